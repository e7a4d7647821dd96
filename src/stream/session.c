/* Aggregation by session windows: per key (the other grouping columns) a list of sessions ordered by start, merged where a row
 * joins them. In a stream the lists stay between batches; a session leaves when the watermark passes its end.
 * The key's group holds the list; each session has its aggregate states on the heap. */
#include "stream/aggs.h"
#include "stream/expiry.h"
#include "stream/state.h"
#include <stdlib.h>

enum { DIRTY = 1, STORED = 2 };

struct one {
	int64_t start_us, end_us;
	void *states;
	bool changed;
};
struct sessions {
	struct one *items;
	uint32_t count, cap;
}; /* payload of a group; by start */
struct emitted {
	uint32_t group;
	struct one session;
};
struct session {
	struct tm_node node;
	struct tm_aggs aggs;
	struct tm_groups groups; /* by the keys but the window */
	struct tm_expr **keys;   /* the same, as expressions */
	size_t key_count, window_key;
	bool stateful, consumed;
	struct tm_numbers dirty;
	struct {
		struct emitted *items;
		size_t count, cap;
	} emit;
	struct {
		void **items;
		size_t count, cap;
	} spent; /* states that were given and end at commit */
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
	me->window_key = op->aggregate.event_time_key >= 0 ? (size_t)op->aggregate.event_time_key : 0;
	for (size_t i = 0; i < op->aggregate.key_count; i++)
		if (i != me->window_key)
			me->keys[me->key_count++] = op->aggregate.keys[i];
	tm_aggs_groups_init(&me->groups, me->keys, me->key_count, sizeof(struct sessions), 8);
	me->stateful = tm_node_stateful(node);
	return TM_OK;
}

static void *new_states(struct session *me)
{
	void *states = NULL;
	TM_ASSERT(posix_memalign(&states, 16, me->aggs.bytes + 16) == 0);
	memset(states, 0, me->aggs.bytes + 16);
	tm_aggs_start(&me->aggs, states);
	return states;
}

static void end_states(struct session *me, void *states)
{
	tm_aggs_end(&me->aggs, states);
	free(states);
}

static void end_spent(struct session *me)
{
	for (size_t i = 0; i < me->spent.count; i++)
		end_states(me, me->spent.items[i]);
	me->spent.count = 0;
}

static void end_all(struct session *me)
{
	for (uint32_t i = 0; i < me->groups.used; i++) {
		if (!tm_groups_live(&me->groups, i))
			continue;
		struct sessions *l = list_of(me, i);
		for (uint32_t k = 0; k < l->count; k++)
			end_states(me, l->items[k].states);
		free(l->items);
	}
	end_spent(me);
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

struct span_of {
	int64_t start_us, end_us;
	bool none;
};

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
			spans[i].none |= __builtin_sub_overflow(end->i64[i], start->i64[i], &length);
		} else if (gap) {
			spans[i].none = tm_is_null(gap, i);
			if (spans[i].none)
				continue;
			__int128 us = gap->type->kind != TM_T_INTERVAL
					  ? gap->i64[i]
					  : gap->interval[i].micros + (__int128)gap->interval[i].days * 86400000000LL;
			length = (int64_t)us;
			spans[i].none |= us != length;
		}
		spans[i].start_us = start->i64[i];
		spans[i].none |= length <= 0 || __builtin_add_overflow(start->i64[i], length, &spans[i].end_us);
	}
	*ret = spans;
	return TM_OK;
}

/* ---- merging ---- */

struct entry {
	uint32_t group, row;
	int64_t start_us, end_us;
}; /* a row's own session */
struct join_of {
	void *into, *from;
}; /* states to be merged once the rows are in */
struct joins {
	struct join_of *items;
	size_t count, cap;
};

static int by_group_and_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->start_us != y->start_us)
		return x->start_us < y->start_us ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* Sessions of one key: the kept ones and those of its rows, in the order of their starts (kept ones first), joined where they touch.
 * states[i] gets where row i of the entries is counted: rows that follow one another share states, so that functions which
 * mind the order (first, collect_list) see sessions and rows in order. */
static void merge_key(struct session *me, struct sessions *l, const struct entry *rows, size_t n, void **states, struct joins *joins)
{
	struct sessions merged = {0};
	uint32_t kept = 0;
	size_t at = 0;
	bool last_is_row = false;
	void *last = NULL;
	while (kept < l->count || at < n) {
		bool is_row = kept == l->count || (at < n && rows[at].start_us < l->items[kept].start_us);
		struct one e = is_row ? (struct one){rows[at].start_us, rows[at].end_us, NULL, true} : l->items[kept];
		struct one *current = merged.count ? &merged.items[merged.count - 1] : NULL;
		bool joined = current && e.start_us <= current->end_us;
		if (is_row) {
			if (!joined || !last_is_row)
				last = e.states = new_states(me);
			states[at++] = last;
		} else {
			kept++;
		}
		if (joined) {
			current->end_us = e.end_us > current->end_us ? e.end_us : current->end_us;
			current->changed = true;
			if (e.states)
				TM_PUSH(joins, (struct join_of){current->states, e.states});
		} else {
			insert_at(&merged, merged.count, e);
		}
		last_is_row = is_row;
	}
	free(l->items);
	*l = merged;
}

static tm_rc merge_rows(struct session *me, const struct tm_flow *in, const uint32_t *list, size_t n, const struct span_of *spans,
			struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	struct tm_batch chosen, ordered;
	tm_batch_take(&chosen, arena, &in->batch, list, n);
	struct tm_column *keys;
	TM_TRY(tm_node_columns(node, arena, &chosen, me->keys, me->key_count, &keys, err));
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers)),
		 *order = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *order));
	tm_groups_upsert(&me->groups, arena, keys, n, numbers, NULL);
	struct entry *entries = TM_NEW_N(arena, struct entry, n + 1);
	for (uint32_t i = 0; i < n; i++)
		entries[i] = (struct entry){numbers[i], i, spans[list[i]].start_us, spans[list[i]].end_us};
	qsort(entries, n, sizeof *entries, by_group_and_start);
	void **states = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *states));
	struct joins joins = {0};
	for (size_t from = 0, to; from < n; from = to) {
		uint32_t group = entries[from].group;
		for (to = from; to < n && entries[to].group == group; to++)
			;
		tm_group_mark(&me->groups, group, DIRTY, &me->dirty);
		merge_key(me, list_of(me, group), entries + from, to - from, states + from, &joins);
	}
	for (size_t i = 0; i < n; i++) {
		order[i] = entries[i].row;
		numbers[i] = entries[i].group;
	}
	tm_batch_take(&ordered, arena, &chosen, order, n);
	tm_rc rc = tm_aggs_update(&me->aggs, node, arena, &ordered, NULL, n, states, numbers, err);
	struct tm_eval ev = tm_node_eval(node, arena, &ordered, err);
	for (size_t i = 0; i < joins.count; i++) {
		if (!rc)
			rc = tm_aggs_merge(&me->aggs, &ev, joins.items[i].into, joins.items[i].from);
		end_states(me, joins.items[i].from);
	}
	free(joins.items);
	return rc;
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
		if (me->stateful && node->late_us != INT64_MIN && node->run->stream->mode != TM_MODE_COMPLETE &&
		    spans[i].end_us <= node->late_us) {
			node->dropped++;
			node->rows_late++;
			tm_stream_dead(node->run, in, i, "late", "the watermark has passed the row's session");
			continue;
		}
		list[n++] = i;
	}
	return merge_rows(me, in, list, n, spans, err);
}

/* ---- giving ---- */

static void choose_output(struct session *me)
{
	bool stream = me->stateful, append = stream && me->node.run->stream->mode == TM_MODE_APPEND,
	     update = stream && me->node.run->stream->mode == TM_MODE_UPDATE;
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
				tm_group_mark(&me->groups, i, DIRTY, &me->dirty);
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
		TM_TRY(tm_node_pull(node, 0, &in, err));
		if (in) {
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
	end_spent(me);
	me->dirty.count = me->emit.count = me->emit_at = 0;
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
		s.states = new_states(me);
		insert_at(list_of(me, number), i, s);
		good = tm_aggs_decode(&me->aggs, &c, s.states) && tm_cursor_ok(&c);
	}
	if (!good || tm_cursor_left(&c))
		return tm_fail(err, TM_CORRUPT, "a session's state in the checkpoint cannot be read");
	node->state_rows += n;
	return TM_OK;
}

static const struct tm_state_class state = {
    .commit = session_commit, .restore = session_restore, .describe = tm_aggs_describe, .wants_no_data = tm_aggs_want_no_data};
const struct tm_node_class tm_session_class = {.label = "SessionAggregate",
					       .size = sizeof(struct session),
					       .open = session_open,
					       .begin = session_begin,
					       .next = session_next,
					       .close = session_close,
					       .state = &state};
