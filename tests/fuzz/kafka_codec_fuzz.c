/* Any bytes as a request (header and body), and as a response of the API and version that their first four bytes name. What is
 * decoded must be encoded and decoded again to the same bytes. */
#include <stdlib.h>
#include "kafka/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct tm_kafka_struct *s, int version, bool flexible, struct tm_cursor in)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	arena.limit_bytes = TM_LIMIT_KAFKA_DECODED_BYTES;
	void *message = malloc(s->size), *again = malloc(s->size);
	if (tm_kafka_decode(s, version, flexible, &in, &arena, message)) {
		struct tm_buf first = {0}, second = {0}, json = {0};
		tm_kafka_encode(s, version, flexible, message, &first, NULL, NULL);
		tm_kafka_json(s, version, message, &json);
		struct tm_cursor c = tm_cursor_of(tm_buf_str(&first));
		TM_ASSERT(tm_kafka_decode(s, version, flexible, &c, &arena, again) && tm_cursor_left(&c) == 0);
		tm_kafka_encode(s, version, flexible, again, &second, NULL, NULL);
		TM_ASSERT(tm_str_eq(tm_buf_str(&first), tm_buf_str(&second)));
		tm_buf_done(&first);
		tm_buf_done(&second);
		tm_buf_done(&json);
	}
	free(message);
	free(again);
	tm_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	struct tm_cursor in = tm_cursor_of(tm_str_n((const char *)data, size));
	struct tm_kafka_request_header header;
	bool whole = tm_kafka_header_decode(&in, &header);
	const struct tm_kafka_api *api = tm_kafka_api_find(header.api_key);
	if (!api || header.api_version < api->min || header.api_version > api->max)
		return 0;
	bool flexible = header.api_version >= api->flexible;
	if (whole)
		round_trip(api->request, header.api_version, flexible, in);
	round_trip(api->response, header.api_version, flexible, tm_cursor_of(tm_str_n((const char *)data + 4, size - 4)));
	return 0;
}
