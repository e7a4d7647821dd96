/* Aggregation by session windows: per key (the other grouping columns) a list of sessions ordered by start, merged where a row
 * joins them. In a stream the lists stay between batches; a session leaves when the watermark passes its end.
 * The key's group holds the list; each session has its aggregate states on the heap. */
#include "stream/aggs.h"
#include "stream/expiry.h"
#include "stream/state.h"
#include <stdlib.h>

enum { DIRTY = 1, STORED = 2 };

struct one { int64_t start_us, end_us; void *states; bool changed; };
struct sessions { struct one *items; uint32_t count, cap; }; /* payload of a group; by start */
struct emitted { uint32_t group; struct one session; };
struct session {
	struct tm_node node;
	struct tm_aggs aggs;
	struct tm_groups groups;         /* by the keys but the window */
	struct tm_expr **keys;           /* the same, as expressions */
	size_t key_count, window_key;
	bool stateful, consumed;
	struct tm_numbers dirty;
	struct { struct emitted *items; size_t count, cap; } emit;
	struct { void **items; size_t count, cap; } spent; /* states that were given and end at commit */
	size_t emit_at;
};

static struct sessions *list_of(struct session *me, uint32_t number) { return tm_groups_payload(&me->groups, number); }

static tm_rc session_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct session *me = (struct session *)node;
	const struct tm_op *op = node->op;
	tm_aggs_init(&me->aggs, op->aggregate.aggs, op->aggregate.agg_count);
	me->keys = tm_zalloc(tm_mul_size(op->aggregate.key_count + 1, sizeof(struct tm_expr *)));
	const struct tm_type **types = tm_alloc(tm_mul_size(op->aggregate.key_count + 1, sizeof *types));
	bool *nullable = tm_alloc(op->aggregate.key_count + 1);
	me->window_key = op->aggregate.event_time_key >= 0 ? (size_t)op->aggregate.event_time_key : 0;
	for (size_t i = 0; i < op->aggregate.key_count; i++) {
		if (i == me->window_key)
			continue;
		types[me->key_count] = op->aggregate.keys[i]->type;
		nullable[me->key_count] = op->aggregate.keys[i]->nullable;
		me->keys[me->key_count++] = op->aggregate.keys[i];
	}
	tm_groups_init(&me->groups, types, nullable, me->key_count, sizeof(struct sessions), 8);
	free(types);
	free(nullable);
	me->stateful = tm_node_stateful(node);
	return TM_OK;
}

static void end_session(struct session *me, struct one *s)
{
	tm_aggs_end(&me->aggs, s->states);
	free(s->states);
}

static void end_all(struct session *me)
{
	for (uint32_t i = 0; i < me->groups.used; i++) {
		if (!tm_groups_live(&me->groups, i))
			continue;
		struct sessions *l = list_of(me, i);
		for (uint32_t k = 0; k < l->count; k++)
			end_session(me, &l->items[k]);
		free(l->items);
	}
	for (size_t i = 0; i < me->spent.count; i++) {
		tm_aggs_end(&me->aggs, me->spent.items[i]);
		free(me->spent.items[i]);
	}
	me->spent.count = 0;
}

static void session_close(struct tm_node *node)
{
	struct session *me = (struct session *)node;
	if (me->groups.slots)
		end_all(me);
	tm_groups_done(&me->groups);
	tm_aggs_done(&me->aggs);
	free(me->keys);
	free(me->dirty.items);
	free(me->emit.items);
	free(me->spent.items);
}

static tm_rc session_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct session *me = (struct session *)node;
	me->consumed = false;
	me->emit.count = me->emit_at = 0;
	if (!me->stateful) {
		end_all(me);
		tm_groups_clear(&me->groups);
		me->dirty.count = 0;
	}
	node->dropped = 0;
	return TM_OK;
}

/* ---- one row ---- */

static void insert_at(struct sessions *l, uint32_t at, struct one s)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 2;
		l->items = tm_realloc(l->items, tm_mul_size(l->cap, sizeof *l->items));
	}
	memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof *l->items);
	l->items[at] = s;
	l->count++;
}

/* The session of [start, end] in the list: made, widened, or several melted into one. */
static tm_rc join_session(struct session *me, struct sessions *l, int64_t start_us, int64_t end_us, struct tm_eval *ev, void **ret_states)
{
	uint32_t at = 0;
	while (at < l->count && l->items[at].end_us < start_us)
		at++;
	if (at == l->count || l->items[at].start_us > end_us) {
		void *states = NULL;
		TM_ASSERT(posix_memalign(&states, 16, me->aggs.bytes + 16) == 0);
		memset(states, 0, me->aggs.bytes + 16);
		tm_aggs_start(&me->aggs, states);
		insert_at(l, at, (struct one){start_us, end_us, states, true});
		*ret_states = states;
		return TM_OK;
	}
	struct one *s = &l->items[at];
	s->changed = true;
	s->start_us = start_us < s->start_us ? start_us : s->start_us;
	s->end_us = end_us > s->end_us ? end_us : s->end_us;
	while (at + 1 < l->count && l->items[at + 1].start_us <= s->end_us) {
		struct one *next = &l->items[at + 1];
		s->end_us = next->end_us > s->end_us ? next->end_us : s->end_us;
		tm_rc rc = tm_aggs_merge(&me->aggs, ev, s->states, next->states);
		end_session(me, next);
		memmove(next, next + 1, (l->count - at - 2) * sizeof *next);
		l->count--;
		TM_TRY(rc);
	}
	*ret_states = s->states;
	return TM_OK;
}

struct span_of { int64_t start_us, end_us; bool none; };

/* The rows' own sessions: the window key's struct where the planner made one, widened by the gap. A gap that is not positive, or
 * a null time, gives none. */
static tm_rc row_sessions(struct session *me, const struct tm_batch *in, struct span_of **ret, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_column *window, *gap = NULL;
	TM_TRY(tm_node_columns(node, &node->arena, in, &node->op->aggregate.keys[me->window_key], 1, &window, err));
	if (node->op->aggregate.session_gap && window->type->kind != TM_T_STRUCT)
		TM_TRY(tm_node_columns(node, &node->arena, in, (struct tm_expr *const *)&node->op->aggregate.session_gap, 1, &gap, err));
	struct span_of *spans = TM_NEW_N(&node->arena, struct span_of, in->rows + 1);
	const struct tm_column *start = window->type->kind == TM_T_STRUCT ? &window->children[0] : window;
	const struct tm_column *end = window->type->kind == TM_T_STRUCT ? &window->children[1] : NULL;
	for (size_t i = 0; i < in->rows; i++) {
		spans[i].none = tm_is_null(window, i) || tm_is_null(start, i);
		if (spans[i].none)
			continue;
		int64_t length = node->op->aggregate.session_gap_us;
		if (end) {
			length = end->i64[i] - start->i64[i];
		} else if (gap) {
			spans[i].none = tm_is_null(gap, i);
			if (spans[i].none)
				continue;
			length = gap->type->kind == TM_T_INTERVAL ? gap->interval[i].micros + (int64_t)gap->interval[i].days * 86400000000LL : gap->i64[i];
		}
		spans[i].start_us = start->i64[i];
		spans[i].end_us = start->i64[i] + length;
		spans[i].none = length <= 0;
	}
	*ret = spans;
	return TM_OK;
}

static tm_rc consume_batch(struct session *me, const struct tm_flow *in, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	tm_arena_reset(arena);
	tm_stream_used(in);
	size_t rows = in->batch.rows, n = 0;
	struct span_of *spans;
	TM_TRY(row_sessions(me, &in->batch, &spans, err));
	uint32_t *list = tm_arena_alloc(arena, tm_mul_size(rows + 1, sizeof *list));
	for (uint32_t i = 0; i < rows; i++) {
		if (spans[i].none)
			continue;
		if (me->stateful && node->late_us != INT64_MIN && node->run->stream->mode != TM_MODE_COMPLETE && spans[i].end_us <= node->late_us) {
			node->dropped++;
			node->rows_late++;
			tm_stream_dead(node->run, in, i, "late", "the watermark has passed the row's session");
			continue;
		}
		list[n++] = i;
	}
	struct tm_batch chosen;
	tm_batch_take(&chosen, arena, &in->batch, list, n);
	struct tm_column *keys;
	TM_TRY(tm_node_columns(node, arena, &chosen, me->keys, me->key_count, &keys, err));
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers));
	tm_groups_upsert(&me->groups, arena, keys, n, numbers, NULL);
	struct tm_eval ev = tm_node_eval(node, arena, &chosen, err);
	void **states = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *states));
	for (size_t i = 0; i < n; i++) { /* first all lists get their form: a row's session may still melt into another */
		struct tm_group *g = tm_groups_at(&me->groups, numbers[i]);
		if (!(g->flags & DIRTY)) {
			g->flags |= DIRTY;
			TM_PUSH(&me->dirty, numbers[i]);
		}
		TM_TRY(join_session(me, list_of(me, numbers[i]), spans[list[i]].start_us, spans[list[i]].end_us, &ev, &states[i]));
	}
	for (size_t i = 0; i < n; i++) {
		const struct sessions *l = list_of(me, numbers[i]);
		uint32_t at = 0;
		while (l->items[at].end_us < spans[list[i]].start_us)
			at++;
		states[i] = l->items[at].states;
	}
	return tm_aggs_update(&me->aggs, node, arena, &chosen, NULL, n, states, numbers, err);
}

/* ---- giving ---- */

static void choose_output(struct session *me)
{
	bool stream = me->stateful, append = stream && me->node.run->stream->mode == TM_MODE_APPEND, update = stream && me->node.run->stream->mode == TM_MODE_UPDATE;
	for (uint32_t i = 0; i < me->groups.used; i++) {
		if (!tm_groups_live(&me->groups, i))
			continue;
		struct sessions *l = list_of(me, i);
		uint32_t kept = 0;
		for (uint32_t k = 0; k < l->count; k++) {
			struct one *s = &l->items[k];
			bool passed = (append || update) && me->node.evict_us != INT64_MIN && s->end_us <= me->node.evict_us;
			if (append ? passed : update ? s->changed : true)
				TM_PUSH(&me->emit, (struct emitted){i, *s});
			s->changed = false;
			if (passed) {
				TM_PUSH(&me->spent, s->states);
				struct tm_group *g = tm_groups_at(&me->groups, i);
				if (!(g->flags & DIRTY)) {
					g->flags |= DIRTY;
					TM_PUSH(&me->dirty, i);
				}
				continue;
			}
			l->items[kept++] = *s;
		}
		l->count = kept;
	}
}

static tm_rc give(struct session *me, size_t n, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	size_t keys = node->op->aggregate.key_count;
	const struct emitted *e = me->emit.items + me->emit_at;
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers));
	void **states = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *states));
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, keys + me->aggs.count + 1);
	struct tm_column *plain = TM_NEW_N(arena, struct tm_column, me->key_count + 1);
	struct tm_column *window = &columns[me->window_key];
	tm_column_init(window, arena, node->op->aggregate.keys[me->window_key]->type, n);
	for (size_t i = 0; i < n; i++) {
		numbers[i] = e[i].group;
		states[i] = e[i].session.states;
		window->children[0].i64[i] = e[i].session.start_us;
		window->children[1].i64[i] = e[i].session.end_us;
	}
	tm_groups_keys(&me->groups, arena, numbers, n, plain);
	for (size_t i = 0, p = 0; i < keys; i++)
		if (i != me->window_key)
			columns[i] = plain[p++];
	struct tm_eval ev = {.arena = arena, .session = &node->run->session, .rows = n, .err = err};
	TM_TRY(tm_aggs_results(&me->aggs, &ev, states, n, columns + keys));
	node->out = (struct tm_flow){.batch = {.rows = n, .column_count = keys + me->aggs.count, .columns = columns}};
	return TM_OK;
}

static tm_rc session_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct session *me = (struct session *)node;
	while (!me->consumed) {
		const struct tm_flow *in;
		TM_TRY(tm_node_next(node->inputs[0], &in, err));
		if (in) {
			node->rows_in += (int64_t)in->batch.rows;
			if (in->batch.rows)
				TM_TRY(consume_batch(me, in, err));
			continue;
		}
		me->consumed = true;
		choose_output(me);
	}
	tm_arena_reset(&node->arena);
	*ret = NULL;
	size_t n = me->emit.count - me->emit_at;
	if (!n)
		return TM_OK;
	n = n > TM_LIMIT_BATCH_ROWS ? TM_LIMIT_BATCH_ROWS : n;
	TM_TRY(give(me, n, err));
	me->emit_at += n;
	*ret = &node->out;
	return TM_OK;
}

/* ---- state ---- one entry per key: its sessions */

static void session_commit(struct tm_node *node)
{
	struct session *me = (struct session *)node;
	struct tm_buf key = {0}, value = {0};
	for (size_t i = 0; i < me->dirty.count; i++) {
		uint32_t number = me->dirty.items[i];
		struct tm_group *g = tm_groups_at(&me->groups, number);
		struct sessions *l = list_of(me, number);
		key.len = value.len = 0;
		tm_groups_key_bytes(&me->groups, number, &key);
		g->flags &= ~(uint32_t)DIRTY;
		if (!l->count) {
			if (g->flags & STORED)
				tm_state_delete(node, tm_buf_str(&key));
			free(l->items);
			*l = (struct sessions){0};
			tm_groups_remove(&me->groups, number);
			continue;
		}
		g->flags |= STORED;
		tm_buf_le32(&value, l->count);
		for (uint32_t k = 0; k < l->count; k++) {
			tm_buf_le64(&value, (uint64_t)l->items[k].start_us);
			tm_buf_le64(&value, (uint64_t)l->items[k].end_us);
			tm_aggs_encode(&me->aggs, l->items[k].states, &value);
		}
		tm_state_put(node, tm_buf_str(&key), tm_buf_str(&value));
	}
	for (size_t i = 0; i < me->spent.count; i++) {
		tm_aggs_end(&me->aggs, me->spent.items[i]);
		free(me->spent.items[i]);
	}
	me->spent.count = me->dirty.count = me->emit.count = me->emit_at = 0;
	node->state_rows = 0;
	for (uint32_t i = 0; i < me->groups.used; i++)
		if (tm_groups_live(&me->groups, i))
			node->state_rows += list_of(me, i)->count;
	tm_buf_done(&key);
	tm_buf_done(&value);
}

static tm_rc session_restore(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct session *me = (struct session *)node;
	uint32_t number;
	bool fresh;
	if (!tm_groups_insert_bytes(&me->groups, key, &number, &fresh) || !fresh)
		return tm_fail(err, TM_CORRUPT, "a session's key in the checkpoint is not one of this query");
	tm_groups_at(&me->groups, number)->flags = STORED;
	struct tm_cursor c = tm_cursor_of(value);
	uint32_t n = tm_cursor_le32(&c);
	bool good = n <= tm_cursor_left(&c) / 16;
	for (uint32_t i = 0; i < n && good; i++) {
		struct one s = {.start_us = (int64_t)tm_cursor_le64(&c)};
		s.end_us = (int64_t)tm_cursor_le64(&c);
		TM_ASSERT(posix_memalign(&s.states, 16, me->aggs.bytes + 16) == 0);
		memset(s.states, 0, me->aggs.bytes + 16);
		tm_aggs_start(&me->aggs, s.states);
		insert_at(list_of(me, number), i, s);
		good = tm_aggs_decode(&me->aggs, &c, s.states) && tm_cursor_ok(&c);
	}
	if (!good || tm_cursor_left(&c))
		return tm_fail(err, TM_CORRUPT, "a session's state in the checkpoint cannot be read");
	node->state_rows += n;
	return TM_OK;
}

static void session_describe(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values) { tm_aggs_describe(node, keys, values); }

static bool session_wants(struct tm_node *node, int64_t evict_us)
{
	(void)evict_us;
	return node->run->stream->mode != TM_MODE_COMPLETE;
}

static const struct tm_state_class state = {.commit = session_commit, .restore = session_restore, .describe = session_describe, .wants_no_data = session_wants};
const struct tm_node_class tm_session_class = {.label = "SessionAggregate", .size = sizeof(struct session), .open = session_open, .begin = session_begin,
					       .next = session_next, .close = session_close, .state = &state};
