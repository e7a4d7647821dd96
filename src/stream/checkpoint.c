/* Encoding of the checkpoint record; sealed (version, CRC-32C), then fixed fields and counted lists, little-endian. */
#include "stream/checkpoint.h"
#include "stream/state.h"

enum { RECORD_VERSION = 1, LIST_MAX = 4096 };

void tm_checkpoint_encode(const struct tm_checkpoint *c, struct tm_buf *out)
{
	struct tm_buf b = {0};
	tm_buf_u8(&b, RECORD_VERSION);
	tm_buf_le64(&b, (uint64_t)c->batch_id);
	tm_buf_le64(&b, (uint64_t)c->watermark_ms);
	tm_buf_le64(&b, (uint64_t)c->next_watermark_ms);
	tm_buf_le64(&b, (uint64_t)c->now_us);
	tm_buf_le64(&b, c->plan_hash);
	tm_buf_le32(&b, (uint32_t)c->offset_count);
	for (size_t i = 0; i < c->offset_count; i++) {
		tm_buf_le32(&b, (uint32_t)c->offsets[i].len);
		tm_buf_str_put(&b, c->offsets[i]);
	}
	tm_buf_le32(&b, (uint32_t)c->watermark_count);
	for (size_t i = 0; i < c->watermark_count; i++) {
		tm_buf_le64(&b, (uint64_t)c->watermarks[i].ms);
		tm_buf_u8(&b, c->watermarks[i].seen);
	}
	tm_buf_le32(&b, (uint32_t)c->sink.len);
	tm_buf_str_put(&b, c->sink);
	tm_state_seal(out, tm_buf_str(&b));
	tm_buf_done(&b);
}

tm_rc tm_checkpoint_decode(struct tm_str bytes, struct tm_arena *arena, struct tm_checkpoint *ret, struct tm_err *err)
{
	struct tm_str payload;
	if (!tm_state_unseal(bytes, &payload))
		return tm_fail(err, TM_CORRUPT, "the checkpoint's record is damaged: its checksum does not match");
	struct tm_cursor c = tm_cursor_of(payload);
	uint8_t version = tm_cursor_u8(&c);
	if (version != RECORD_VERSION)
		return tm_fail(err, TM_CORRUPT, "the checkpoint was written in format %d; this program reads format %d", version,
			       RECORD_VERSION);
	struct tm_checkpoint r = {0};
	r.batch_id = (int64_t)tm_cursor_le64(&c);
	r.watermark_ms = (int64_t)tm_cursor_le64(&c);
	r.next_watermark_ms = (int64_t)tm_cursor_le64(&c);
	r.now_us = (int64_t)tm_cursor_le64(&c);
	r.plan_hash = tm_cursor_le64(&c);
	size_t n = tm_cursor_le32(&c);
	if (n > LIST_MAX || n > tm_cursor_left(&c) / 4)
		return tm_fail(err, TM_CORRUPT, "the checkpoint's record names %zu sources", n);
	r.offsets = TM_NEW_N(arena, struct tm_str, n + 1);
	for (r.offset_count = 0; r.offset_count < n; r.offset_count++)
		r.offsets[r.offset_count] = tm_cursor_take(&c, tm_cursor_le32(&c));
	n = tm_cursor_le32(&c);
	if (n > LIST_MAX || n > tm_cursor_left(&c) / 9)
		return tm_fail(err, TM_CORRUPT, "the checkpoint's record names %zu watermarks", n);
	r.watermarks = TM_NEW_N(arena, struct tm_checkpoint_watermark, n + 1);
	for (r.watermark_count = 0; r.watermark_count < n; r.watermark_count++) {
		r.watermarks[r.watermark_count].ms = (int64_t)tm_cursor_le64(&c);
		r.watermarks[r.watermark_count].seen = tm_cursor_u8(&c) != 0;
	}
	r.sink = tm_cursor_take(&c, tm_cursor_le32(&c));
	if (!tm_cursor_ok(&c) || tm_cursor_left(&c) || r.batch_id < 0)
		return tm_fail(err, TM_CORRUPT, "the checkpoint's record has an impossible length");
	*ret = r;
	return TM_OK;
}
