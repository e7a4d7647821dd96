/* Operators' side of a streaming query: keyed state into the commit, event times, rows that cannot be used.
 * Keys in area "stream": <query> 0x00 's' <operator's ordinal, 4 bytes big-endian> <the operator's key>. Values are sealed: version,
 * CRC-32C of the payload, payload. */
#include "stream/state.h"
#include "table/table.h"

enum { SEAL_VERSION = 1, DEAD_VALUE_BYTES = 65536, DEAD_KEY_BYTES = 4096, DEAD_DETAIL_BYTES = 500 };

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

static struct tm_str state_key(struct tm_node *node, struct tm_str key)
{
	struct tm_stream_run *s = node->run->stream;
	s->key.len = s->prefix_len;
	tm_buf_char(&s->key, 's');
	tm_buf_be32(&s->key, node->ordinal);
	tm_buf_str_put(&s->key, key);
	return tm_buf_str(&s->key);
}

void tm_state_put(struct tm_node *node, struct tm_str key, struct tm_str value)
{
	struct tm_stream_run *s = node->run->stream;
	s->state_writes++;
	if (!s->commit)
		return;
	s->value.len = 0;
	tm_state_seal(&s->value, value);
	tm_table_batch_put_bytes(s->commit, "stream", state_key(node, key), tm_buf_str(&s->value));
}

void tm_state_delete(struct tm_node *node, struct tm_str key)
{
	struct tm_stream_run *s = node->run->stream;
	s->state_writes++;
	if (s->commit)
		tm_table_batch_delete_bytes(s->commit, "stream", state_key(node, key));
}

/* ---- rows that cannot be used ---- */

static struct tm_str keep(struct tm_arena *arena, struct tm_str s, size_t most)
{
	if (!s.at)
		return s;
	return tm_arena_str(arena, tm_str_n(s.at, s.len < most ? s.len : most));
}

static void count_reason(struct tm_stream_run *s, const char *reason)
{
	for (size_t i = 0; i < s->reasons.count; i++)
		if (strcmp(s->reasons.items[i].reason, reason) == 0) {
			s->reasons.items[i].rows++;
			return;
		}
	TM_PUSH(&s->reasons, (struct tm_reason_count){reason, 1});
}

void tm_stream_dead(struct tm_run *run, const struct tm_flow *flow, size_t row, const char *reason, const char *detail)
{
	struct tm_stream_run *s = run->stream;
	if (!s)
		return;
	struct tm_dead d = {.reason = reason, .offset = -1, .detail = keep(&s->arena, tm_str_of(detail), DEAD_DETAIL_BYTES)};
	struct tm_origin *o = flow ? flow->origin : NULL;
	if (o) {
		uint32_t record = tm_flow_record(flow, row);
		if (o->marks) {
			if (o->marks[record] & TM_MARK_DEAD)
				return; /* one record is one dead letter, however many rows came of it */
			if (o->marks[record] & TM_MARK_CORRUPT)
				d.reason = "malformed_record";
			o->marks[record] |= TM_MARK_DEAD;
		}
		d.topic = keep(&s->arena, o->topic, 300);
		d.partition = o->partition;
		if (o->offsets)
			d.offset = o->offsets[record];
		if (o->keys)
			d.key = keep(&s->arena, o->keys[record], DEAD_KEY_BYTES);
		if (o->values)
			d.value = keep(&s->arena, o->values[record], DEAD_VALUE_BYTES);
	}
	TM_PUSH(&s->dead, d);
	count_reason(s, d.reason);
}

void tm_stream_used(const struct tm_flow *flow)
{
	struct tm_origin *o = flow->origin;
	if (!o || !o->any_corrupt)
		return;
	for (size_t i = 0; i < flow->batch.rows; i++)
		o->marks[tm_flow_record(flow, i)] |= TM_MARK_USED;
}

void tm_stream_event_time(struct tm_node *node, int64_t max_us)
{
	struct tm_stream_run *s = node->run->stream;
	for (size_t i = 0; i < s->watermarks.count; i++) {
		struct tm_watermark_node *w = &s->watermarks.items[i];
		if (w->node != node)
			continue;
		if (!w->seen || max_us > w->max_us)
			w->max_us = max_us;
		w->seen = true;
	}
}
