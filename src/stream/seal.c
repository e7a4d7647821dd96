/* Version (1 byte), CRC-32C of the payload (4, little-endian), payload. */
#include "stream/seal.h"

enum { SEAL_VERSION = 1 };

void tm_state_seal(struct tm_buf *out, struct tm_str payload)
{
	tm_buf_u8(out, SEAL_VERSION);
	tm_buf_le32(out, tm_crc32c(0, payload.at, payload.len));
	tm_buf_str_put(out, payload);
}

bool tm_state_unseal(struct tm_str sealed, struct tm_str *ret_payload)
{
	struct tm_cursor c = tm_cursor_of(sealed);
	uint8_t version = tm_cursor_u8(&c);
	uint32_t crc = tm_cursor_le32(&c);
	struct tm_str payload = tm_cursor_take(&c, tm_cursor_left(&c));
	if (!tm_cursor_ok(&c) || version != SEAL_VERSION || tm_crc32c(0, payload.at, payload.len) != crc)
		return false;
	*ret_payload = payload;
	return true;
}
