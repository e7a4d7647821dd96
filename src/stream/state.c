/* Operators' side of a streaming query: keyed state, event times, rows that cannot be used. */
#include "stream/state.h"

enum { DEAD_VALUE_BYTES = 65536, DEAD_KEY_BYTES = 4096, DEAD_DETAIL_BYTES = 500 };

void tm_state_put(struct tm_node *node, struct tm_str key, struct tm_str value)
{
	tm_state_store_put(&node->run->stream->stores.items[node->ordinal], key, value);
}
void tm_state_delete(struct tm_node *node, struct tm_str key)
{
	tm_state_store_delete(&node->run->stream->stores.items[node->ordinal], key);
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
	TM_PUSH(&s->reasons, (struct tm_dead_reason){reason, 1});
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
