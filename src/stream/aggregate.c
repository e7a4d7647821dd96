/* Hash aggregation: of a batch query, and of a stream, where groups stay between batches.
 * In a stream, groups with an event time hang in a list per event time (the window's end, or the timestamp key), so that
 * closing what the watermark passed touches only what closes. Group flags: DIRTY changed in this batch, STORED is in the
 * checkpoint, DOOMED leaves at commit. */
#include "stream/aggs.h"
#include "stream/expiry.h"
#include "stream/state.h"
#include <stdlib.h>

enum { DIRTY = 1, STORED = 2, DOOMED = 4 };

struct aggregate {
	struct tm_node node;
	struct tm_groups groups, late;
	struct tm_aggs aggs;
	bool consumed, stateful;
	struct tm_numbers dirty, emit, doomed;
	struct tm_expiry expiry;
	size_t emit_at;
};

static tm_rc aggregate_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct aggregate *me = (struct aggregate *)node;
	const struct tm_op *op = node->op;
	tm_aggs_init(&me->aggs, op->aggregate.aggs, op->aggregate.agg_count);
	tm_aggs_groups_init(&me->groups, op->aggregate.keys, op->aggregate.key_count, me->aggs.bytes, me->aggs.align);
	tm_aggs_groups_init(&me->late, op->aggregate.keys, op->aggregate.key_count, 0, 8);
	me->stateful = tm_node_stateful(node);
	return TM_OK;
}

static void end_states(struct aggregate *me)
{
	for (uint32_t i = 0; i < me->groups.used; i++)
		if (tm_groups_live(&me->groups, i))
			tm_aggs_end(&me->aggs, tm_groups_payload(&me->groups, i));
}

static void aggregate_close(struct tm_node *node)
{
	struct aggregate *me = (struct aggregate *)node;
	if (me->groups.slots)
		end_states(me);
	tm_groups_done(&me->groups);
	tm_groups_done(&me->late);
	tm_aggs_done(&me->aggs);
	free(me->dirty.items);
	free(me->emit.items);
	free(me->doomed.items);
	tm_expiry_done(&me->expiry);
}

static tm_rc aggregate_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct aggregate *me = (struct aggregate *)node;
	me->consumed = false;
	me->emit_at = 0;
	me->emit.count = 0;
	if (!me->stateful) {
		end_states(me);
		tm_groups_clear(&me->groups);
		tm_aggs_clear(&me->aggs);
		me->dirty.count = 0;
	}
	tm_groups_clear(&me->late);
	node->dropped = 0;
	return TM_OK;
}

/* ---- event time ---- */

static void enlist(struct aggregate *me, uint32_t number, const struct tm_column *keys, size_t row)
{
	int index = me->node.op->aggregate.event_time_key;
	int64_t time_us = 0; /* gcc does not see that it is set where it is read */
	if (index < 0 || !me->node.run->stream->has_watermark || !tm_event_time(&keys[index], row, &time_us))
		return;
	tm_expiry_add(&me->expiry, &me->groups, number, time_us);
}

/* Rows that are not late, or NULL = all. Late ones are counted (as Spark does: one per group) and kept as dead letters. */
static uint32_t *without_late(struct aggregate *me, const struct tm_flow *in, const struct tm_column *keys, size_t *ret_n)
{
	struct tm_node *node = &me->node;
	int index = node->op->aggregate.event_time_key;
	*ret_n = in->batch.rows;
	if (!me->stateful || index < 0 || node->late_us == INT64_MIN || node->run->stream->mode == TM_MODE_COMPLETE)
		return NULL;
	size_t late = 0, rows = in->batch.rows;
	int64_t time_us;
	for (size_t i = 0; i < rows; i++)
		late += tm_event_time(&keys[index], i, &time_us) && time_us <= node->late_us;
	if (!late)
		return NULL;
	uint32_t *good = tm_arena_alloc(&node->arena, tm_mul_size(rows + 1, sizeof *good));
	uint32_t *bad = tm_arena_alloc(&node->arena, tm_mul_size(late + 1, sizeof *bad));
	size_t n = 0, b = 0;
	for (uint32_t i = 0; i < rows; i++) {
		if (!tm_event_time(&keys[index], i, &time_us) || time_us > node->late_us) {
			good[n++] = i;
			continue;
		}
		bad[b++] = i;
		tm_stream_dead(node->run, in, i, "late", "the watermark has passed the row's event time");
	}
	struct tm_column *late_keys = TM_NEW_N(&node->arena, struct tm_column, node->op->aggregate.key_count + 1);
	for (size_t k = 0; k < node->op->aggregate.key_count; k++)
		tm_column_take(&late_keys[k], &node->arena, &keys[k], bad, b);
	uint32_t *numbers = tm_arena_alloc(&node->arena, tm_mul_size(b + 1, sizeof *numbers));
	uint8_t *fresh = tm_arena_alloc(&node->arena, b + 1);
	tm_groups_upsert(&me->late, &node->arena, late_keys, b, numbers, fresh);
	for (size_t i = 0; i < b; i++)
		node->dropped += fresh[i];
	node->rows_late += (int64_t)b;
	*ret_n = n;
	return good;
}

/* ---- consuming ---- */

static tm_rc consume_batch(struct aggregate *me, const struct tm_flow *in, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	size_t key_count = node->op->aggregate.key_count, n;
	tm_arena_reset(arena);
	tm_stream_used(in);
	struct tm_column *keys;
	TM_TRY(tm_node_columns(node, arena, &in->batch, node->op->aggregate.keys, key_count, &keys, err));
	uint32_t *rows = without_late(me, in, keys, &n);
	if (rows)
		for (size_t k = 0; k < key_count; k++) {
			struct tm_column taken;
			tm_column_take(&taken, arena, &keys[k], rows, n);
			keys[k] = taken;
		}
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers));
	uint8_t *fresh = tm_arena_alloc(arena, n + 1);
	void **states = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *states));
	tm_groups_upsert(&me->groups, arena, keys, n, numbers, fresh);
	for (size_t i = 0; i < n; i++) {
		states[i] = tm_groups_payload(&me->groups, numbers[i]);
		if (fresh[i]) {
			tm_aggs_start(&me->aggs, states[i]);
			if (me->stateful)
				enlist(me, numbers[i], keys, i);
		}
	}
	if (me->stateful)
		for (size_t i = 0; i < n; i++)
			tm_group_mark(&me->groups, numbers[i], DIRTY, &me->dirty);
	return tm_aggs_update(&me->aggs, node, arena, &in->batch, rows, n, states, numbers, err);
}

/* The one group of an aggregate without keys. */
static void need_global(struct aggregate *me)
{
	uint32_t number;
	uint8_t fresh;
	tm_groups_upsert(&me->groups, &me->node.arena, NULL, 1, &number, &fresh);
	if (fresh)
		tm_aggs_start(&me->aggs, tm_groups_payload(&me->groups, number));
	if (me->stateful)
		tm_group_mark(&me->groups, number, DIRTY, &me->dirty);
}

/* ---- giving ---- */

static void close_passed(struct aggregate *me)
{
	tm_expiry_pop(&me->expiry, &me->groups, me->node.evict_us, &me->doomed);
	for (size_t i = 0; i < me->doomed.count; i++)
		tm_groups_at(&me->groups, me->doomed.items[i])->flags |= DOOMED;
}

static void choose_output(struct aggregate *me)
{
	bool all = !me->stateful || me->node.run->stream->mode == TM_MODE_COMPLETE;
	if (all) {
		for (uint32_t i = 0; i < me->groups.used; i++)
			if (tm_groups_live(&me->groups, i))
				TM_PUSH(&me->emit, i);
		return;
	}
	if (me->node.evict_us != INT64_MIN)
		close_passed(me);
	bool append = me->node.run->stream->mode == TM_MODE_APPEND;
	size_t n = append ? me->doomed.count : me->dirty.count;
	const uint32_t *list = append ? me->doomed.items : me->dirty.items;
	for (size_t i = 0; i < n; i++)
		TM_PUSH(&me->emit, list[i]);
}

static tm_rc aggregate_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct aggregate *me = (struct aggregate *)node;
	while (!me->consumed) {
		const struct tm_flow *in;
		TM_TRY(tm_node_pull(node, 0, &in, err));
		if (in) {
			if (in->batch.rows)
				TM_TRY(consume_batch(me, in, err));
			continue;
		}
		me->consumed = true;
		if (node->op->aggregate.global)
			need_global(me);
		choose_output(me);
	}
	tm_arena_reset(&node->arena);
	*ret = NULL;
	size_t n = me->emit.count - me->emit_at;
	if (!n)
		return TM_OK;
	if (n > TM_LIMIT_BATCH_ROWS)
		n = TM_LIMIT_BATCH_ROWS;
	const uint32_t *numbers = me->emit.items + me->emit_at;
	me->emit_at += n;
	size_t keys = node->op->aggregate.key_count;
	struct tm_column *columns = TM_NEW_N(&node->arena, struct tm_column, keys + me->aggs.count + 1);
	tm_groups_keys(&me->groups, &node->arena, numbers, n, columns);
	void **states = tm_arena_alloc(&node->arena, tm_mul_size(n + 1, sizeof *states));
	for (size_t i = 0; i < n; i++)
		states[i] = tm_groups_payload(&me->groups, numbers[i]);
	struct tm_eval ev = {.arena = &node->arena, .session = &node->run->session, .rows = n, .err = err};
	TM_TRY(tm_aggs_results(&me->aggs, &ev, states, n, columns + keys));
	node->out = (struct tm_flow){.batch = {.rows = n, .column_count = keys + me->aggs.count, .columns = columns}};
	*ret = &node->out;
	return TM_OK;
}

/* ---- state ---- */

static void aggregate_commit(struct tm_node *node)
{
	struct aggregate *me = (struct aggregate *)node;
	struct tm_buf key = {0}, value = {0};
	for (size_t i = 0; i < me->dirty.count; i++) {
		struct tm_group *g = tm_groups_at(&me->groups, me->dirty.items[i]);
		g->flags &= ~(uint32_t)DIRTY;
		if (g->flags & DOOMED)
			continue;
		g->flags |= STORED;
		key.len = value.len = 0;
		tm_groups_key_bytes(&me->groups, me->dirty.items[i], &key);
		tm_aggs_encode(&me->aggs, tm_groups_payload(&me->groups, me->dirty.items[i]), &value);
		tm_state_put(node, tm_buf_str(&key), tm_buf_str(&value));
	}
	for (size_t i = 0; i < me->doomed.count; i++) {
		uint32_t number = me->doomed.items[i];
		if (tm_groups_at(&me->groups, number)->flags & STORED) {
			key.len = 0;
			tm_groups_key_bytes(&me->groups, number, &key);
			tm_state_delete(node, tm_buf_str(&key));
		}
		tm_aggs_end(&me->aggs, tm_groups_payload(&me->groups, number));
		tm_groups_remove(&me->groups, number);
	}
	me->dirty.count = me->doomed.count = me->emit.count = me->emit_at = 0;
	node->state_rows = (int64_t)me->groups.count;
	tm_buf_done(&key);
	tm_buf_done(&value);
}

static tm_rc aggregate_restore(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct aggregate *me = (struct aggregate *)node;
	uint32_t number;
	bool fresh;
	if (!tm_groups_insert_bytes(&me->groups, key, &number, &fresh) || !fresh)
		return tm_fail(err, TM_CORRUPT, "a group's key in the checkpoint is not one of this query");
	void *states = tm_groups_payload(&me->groups, number);
	tm_aggs_start(&me->aggs, states);
	struct tm_cursor c = tm_cursor_of(value);
	if (!tm_aggs_decode(&me->aggs, &c, states) || tm_cursor_left(&c))
		return tm_fail(err, TM_CORRUPT, "a group's state in the checkpoint cannot be read");
	tm_groups_at(&me->groups, number)->flags = STORED;
	if (node->op->aggregate.event_time_key >= 0) {
		struct tm_column *keys = TM_NEW_N(&node->run_arena, struct tm_column, node->op->aggregate.key_count + 1);
		tm_groups_keys(&me->groups, &node->run_arena, &number, 1, keys);
		enlist(me, number, keys, 0);
		tm_arena_reset(&node->run_arena);
	}
	node->state_rows = (int64_t)me->groups.count;
	return TM_OK;
}

static const struct tm_state_class state = {
    .commit = aggregate_commit, .restore = aggregate_restore, .describe = tm_aggs_describe, .wants_no_data = tm_aggs_want_no_data};
const struct tm_node_class tm_aggregate_class = {.label = "Aggregate",
						 .size = sizeof(struct aggregate),
						 .open = aggregate_open,
						 .begin = aggregate_begin,
						 .next = aggregate_next,
						 .close = aggregate_close,
						 .state = &state};
