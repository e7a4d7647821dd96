/* Joins of two streams: both sides are remembered, keyed by the equalities, until the watermark says that nothing they could
 * match will come. In a batch the left rows meet what the right side remembers, then the right rows meet the left side, which
 * has the batch's left rows by then; so every pair is found once. Unmatched rows of an outer side are given when they leave.
 * Rows are kept encoded; an entry of the checkpoint is a row: side and row number -> matched, key, row. */
#include "stream/expiry.h"
#include "stream/groups.h"
#include "stream/state.h"
#include "stream/stateful.h"
#include <stdlib.h>

enum { LEFT, RIGHT };
enum { MATCHED = 1, CHANGED = 2, STORED = 4, GONE = 8 };

struct row {
	uint64_t id;
	int64_t time_us;
	struct tm_str bytes;
	uint32_t group, next;
	uint8_t flags;
}; /* next: row + 1 of the same key, newest first */
struct side {
	struct tm_groups keys; /* payload: uint32_t head (row + 1) */
	struct {
		struct row *items;
		size_t count, cap;
	} rows;
	struct tm_numbers free_rows, changed;
	int64_t least_time_us; /* of the rows that can leave */
	size_t live;
	struct tm_expr *const *key_exprs;
	const struct tm_schema *schema;
	size_t late_column; /* its column with a watermark; SIZE_MAX = none */
	bool by_value;      /* rows leave by their event time and shift_us; else by the key's */
	bool leaves;        /* rows leave at all */
	int64_t shift_us;
};
struct stream_join {
	struct tm_node node;
	struct side sides[2];
	uint64_t next_id;
	int time_key;
	struct tm_expr **pre[2], *both; /* conditions on one side alone; the rest of the residual */
	size_t pre_count[2];
	struct tm_expr **both_parts;
	size_t both_count;
	bool ended;
	struct tm_arena out_arena; /* what this batch gives: from begin to the next begin */
	struct {
		struct tm_batch *items;
		size_t count, cap;
	} out;
	size_t out_at;
	struct tm_arena plan_arena;
};

static bool keeps_unmatched(const struct stream_join *me, int side)
{
	enum tm_join_kind k = me->node.op->join.kind;
	return k == TM_JOIN_FULL || (side == LEFT ? k == TM_JOIN_LEFT : k == TM_JOIN_RIGHT);
}

static void split_condition(struct stream_join *me)
{
	struct tm_expr **parts;
	size_t left = me->sides[LEFT].schema->count, all = left + me->sides[RIGHT].schema->count;
	size_t n = tm_conjuncts(&me->plan_arena, me->node.op->join.residual, &parts);
	for (int s = 0; s < 2; s++)
		me->pre[s] = TM_NEW_N(&me->plan_arena, struct tm_expr *, n + 1);
	me->both_parts = TM_NEW_N(&me->plan_arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		bool l = tm_expr_refers(parts[i], 0, left), r = tm_expr_refers(parts[i], left, all);
		if (l && !r)
			me->pre[LEFT][me->pre_count[LEFT]++] = parts[i];
		else if (r && !l)
			me->pre[RIGHT][me->pre_count[RIGHT]++] = parts[i];
		else
			me->both_parts[me->both_count++] = parts[i];
	}
}

static tm_rc join_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct stream_join *me = (struct stream_join *)node;
	const struct tm_op *op = node->op;
	tm_arena_init(&me->plan_arena);
	tm_arena_init(&me->out_arena);
	me->time_key = tm_join_time_key(op);
	const struct tm_type **types = tm_alloc(tm_mul_size(op->join.key_count + 1, sizeof *types));
	for (int s = 0; s < 2; s++) {
		struct side *side = &me->sides[s];
		side->key_exprs = s == LEFT ? op->join.left_keys : op->join.right_keys;
		side->schema = &op->inputs[s]->schema;
		side->late_column = tm_op_watermark_column(op->inputs[s]);
		side->least_time_us = INT64_MAX;
		for (size_t k = 0; k < op->join.key_count; k++)
			types[k] = op->join.left_keys[k]->type;
		tm_groups_init(&side->keys, types, NULL, op->join.key_count, sizeof(uint64_t), 8);
		side->by_value = me->time_key < 0;
		side->leaves = me->time_key >= 0 || (side->late_column != SIZE_MAX && tm_join_state_shift(op, s, &side->shift_us));
	}
	free(types);
	split_condition(me);
	return TM_OK;
}

static void join_close(struct tm_node *node)
{
	struct stream_join *me = (struct stream_join *)node;
	for (int s = 0; s < 2; s++) {
		for (size_t i = 0; i < me->sides[s].rows.count; i++)
			free((void *)me->sides[s].rows.items[i].bytes.at);
		free(me->sides[s].rows.items);
		free(me->sides[s].free_rows.items);
		free(me->sides[s].changed.items);
		tm_groups_done(&me->sides[s].keys);
	}
	free(me->out.items);
	tm_arena_done(&me->plan_arena);
	tm_arena_done(&me->out_arena);
}

static tm_rc join_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct stream_join *me = (struct stream_join *)node;
	tm_arena_reset(&me->out_arena);
	me->out.count = me->out_at = 0;
	me->ended = false;
	node->dropped = 0;
	return TM_OK;
}

/* ---- rows in state ---- */

static uint32_t *head_of(struct side *side, uint32_t group) { return tm_groups_payload(&side->keys, group); }

static void note_change(struct side *side, uint32_t row)
{
	struct row *r = &side->rows.items[row];
	if (r->flags & CHANGED)
		return;
	r->flags |= CHANGED;
	TM_PUSH(&side->changed, row);
}

static uint32_t add_row(struct side *side, uint32_t group, struct row r)
{
	uint32_t at;
	r.group = group;
	r.next = *head_of(side, group);
	if (side->free_rows.count) {
		at = side->free_rows.items[--side->free_rows.count];
		side->rows.items[at] = r;
	} else {
		at = (uint32_t)side->rows.count;
		TM_PUSH(&side->rows, r);
	}
	*head_of(side, group) = at + 1;
	side->live++;
	if (r.time_us < side->least_time_us)
		side->least_time_us = r.time_us;
	return at;
}

static int64_t row_time(const struct stream_join *me, int s, const struct tm_batch *b, const struct tm_column *keys, size_t row)
{
	int64_t us;
	const struct side *side = &me->sides[s];
	if (!side->leaves)
		return INT64_MAX;
	const struct tm_column *c = side->by_value ? &b->columns[side->late_column] : &keys[me->time_key];
	return tm_event_time(c, row, &us) ? us : INT64_MAX;
}

/* Rows of state decoded into columns; number UINT32_MAX gives nulls. */
static void state_columns(struct stream_join *me, int s, struct tm_arena *arena, const uint32_t *rows, size_t n, struct tm_column *ret)
{
	struct side *side = &me->sides[s];
	struct tm_appender **to = TM_NEW_N(arena, struct tm_appender *, side->schema->count + 1);
	for (size_t c = 0; c < side->schema->count; c++)
		to[c] = tm_appender_new(arena, side->schema->fields[c].type);
	for (size_t i = 0; i < n; i++) {
		struct tm_cursor bytes = {0};
		if (rows[i] != UINT32_MAX)
			bytes = tm_cursor_of(side->rows.items[rows[i]].bytes);
		for (size_t c = 0; c < side->schema->count; c++)
			if (rows[i] == UINT32_MAX)
				tm_appender_null(to[c]);
			else
				TM_ASSERT(tm_appender_decode(to[c], &bytes));
	}
	for (size_t c = 0; c < side->schema->count; c++)
		tm_appender_finish(to[c], &ret[c]);
}

static struct tm_batch *new_out(struct stream_join *me, size_t rows)
{
	TM_PUSH(&me->out, (struct tm_batch){.rows = rows, .column_count = me->node.op->schema.count});
	struct tm_batch *b = &me->out.items[me->out.count - 1];
	b->columns = TM_NEW_N(&me->out_arena, struct tm_column, me->sides[LEFT].schema->count + me->sides[RIGHT].schema->count + 1);
	return b;
}

/* Rows of one side alone, nulls for the other (or nothing, in a semi join). from: a batch, or NULL = state. */
static void give_alone(struct stream_join *me, int s, const struct tm_batch *from, const uint32_t *rows, size_t n)
{
	if (!n)
		return;
	struct tm_batch *out = new_out(me, n), mine = {0};
	size_t left = me->sides[LEFT].schema->count;
	struct tm_column *here = out->columns + (s == RIGHT ? left : 0);
	if (from) {
		tm_batch_take(&mine, &me->out_arena, from, rows, n);
		struct tm_batch copy;
		tm_batch_copy(&copy, &me->out_arena, &mine);
		memcpy(here, copy.columns, copy.column_count * sizeof *here);
	} else {
		state_columns(me, s, &me->out_arena, rows, n, here);
	}
	if (me->node.op->join.kind == TM_JOIN_SEMI)
		return;
	const struct tm_schema *other = me->sides[!s].schema;
	for (size_t i = 0; i < other->count; i++)
		tm_column_init_null(out->columns + (s == RIGHT ? 0 : left) + i, &me->out_arena, other->fields[i].type, n);
}

/* ---- a batch of one side ---- */

struct pairs {
	struct {
		uint32_t *items;
		size_t count, cap;
	} mine, theirs;
};

/* Rows of the batch for which all conditions on this side alone hold (1 in ret). */
static tm_rc pre_filter(struct stream_join *me, int s, const struct tm_batch *b, uint8_t *ret, struct tm_err *err)
{
	struct tm_arena *arena = &me->node.arena;
	memset(ret, 1, b->rows);
	if (!me->pre_count[s])
		return TM_OK;
	size_t left = me->sides[LEFT].schema->count, all = left + me->sides[RIGHT].schema->count;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, all + 1);
	for (size_t i = 0; i < all; i++) {
		bool mine = (i < left) == (s == LEFT);
		size_t at = i < left ? i : i - left;
		if (mine)
			columns[i] = b->columns[at];
		else
			tm_column_init_null(&columns[i], arena, me->sides[!s].schema->fields[at].type, b->rows);
	}
	struct tm_batch wide = {.rows = b->rows, .column_count = all, .columns = columns};
	struct tm_eval ev = tm_node_eval(&me->node, arena, &wide, err);
	for (size_t p = 0; p < me->pre_count[s]; p++) {
		struct tm_column v;
		TM_TRY(tm_expr_eval(&ev, me->pre[s][p], &v));
		for (size_t i = 0; i < b->rows; i++)
			ret[i] &= !tm_is_null(&v, i) && v.boolean[tm_row(&v, i)];
	}
	return TM_OK;
}

/* Pairs of the batch's rows with the other side's state that pass the condition; wide gets their columns. */
static tm_rc matching_pairs(struct stream_join *me, int s, const struct tm_batch *b, struct pairs *p, struct tm_batch *wide,
			    struct tm_err *err)
{
	struct tm_arena *arena = &me->out_arena;
	size_t left = me->sides[LEFT].schema->count, n = p->mine.count;
	wide->column_count = left + me->sides[RIGHT].schema->count;
	wide->columns = TM_NEW_N(arena, struct tm_column, wide->column_count + 1);
	wide->rows = n;
	struct tm_batch taken, mine;
	tm_batch_take(&taken, &me->node.arena, b, p->mine.items, n);
	tm_batch_copy(&mine, arena, &taken);
	memcpy(wide->columns + (s == RIGHT ? left : 0), mine.columns, mine.column_count * sizeof *mine.columns);
	state_columns(me, !s, arena, p->theirs.items, n, wide->columns + (s == RIGHT ? 0 : left));
	for (size_t c = 0; c < me->both_count && wide->rows; c++) {
		struct tm_eval ev = tm_node_eval(&me->node, arena, wide, err);
		uint32_t *keep;
		size_t kept;
		TM_TRY(tm_expr_filter(&ev, me->both_parts[c], &keep, &kept));
		if (kept == wide->rows)
			continue;
		struct tm_batch less;
		tm_batch_take(&less, arena, wide, keep, kept);
		for (size_t i = 0; i < kept; i++) {
			p->mine.items[i] = p->mine.items[keep[i]];
			p->theirs.items[i] = p->theirs.items[keep[i]];
		}
		*wide = less;
	}
	p->mine.count = p->theirs.count = wide->rows;
	return TM_OK;
}

/* What the pairs mean for a semi join: left rows that have found a match, once. */
static void give_semi(struct stream_join *me, int s, const struct tm_batch *b, const struct pairs *p, uint8_t *matched)
{
	struct tm_arena *arena = &me->node.arena;
	uint32_t *list = tm_arena_alloc(arena, tm_mul_size(p->mine.count + 1, sizeof *list));
	size_t n = 0;
	for (size_t i = 0; i < p->mine.count; i++) {
		if (s == LEFT) {
			if (!matched[p->mine.items[i]])
				list[n++] = p->mine.items[i];
			matched[p->mine.items[i]] = 1;
			continue;
		}
		struct row *r = &me->sides[LEFT].rows.items[p->theirs.items[i]];
		if (!(r->flags & MATCHED)) {
			r->flags |= MATCHED;
			note_change(&me->sides[LEFT], p->theirs.items[i]);
			list[n++] = p->theirs.items[i];
		}
	}
	give_alone(me, LEFT, s == LEFT ? b : NULL, list, n);
}

static tm_rc side_batch(struct stream_join *me, int s, const struct tm_flow *in, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	struct side *side = &me->sides[s], *other = &me->sides[!s];
	bool semi = node->op->join.kind == TM_JOIN_SEMI;
	tm_arena_reset(arena);
	tm_stream_used(in);
	size_t n = 0;
	int64_t us;
	uint32_t *good = tm_arena_alloc(arena, tm_mul_size(in->batch.rows + 1, sizeof *good));
	for (uint32_t i = 0; i < in->batch.rows; i++) {
		if (side->late_column != SIZE_MAX && node->late_us != INT64_MIN &&
		    tm_event_time(&in->batch.columns[side->late_column], i, &us) && us <= node->late_us) {
			node->dropped++;
			node->rows_late++;
			tm_stream_dead(node->run, in, i, "late", "the watermark has passed the row's event time");
			continue;
		}
		good[n++] = i;
	}
	struct tm_batch b;
	tm_batch_take(&b, arena, &in->batch, good, n);
	struct tm_column *keys;
	TM_TRY(tm_node_columns(node, arena, &b, side->key_exprs, node->op->join.key_count, &keys, err));
	uint8_t *may = tm_arena_alloc(arena, n + 1), *matched = tm_arena_zalloc(arena, n + 1);
	TM_TRY(pre_filter(me, s, &b, may, err));
	uint32_t *theirs = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *theirs)),
		 *mine = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *mine));
	tm_groups_find(&other->keys, arena, keys, n, theirs);
	struct pairs p = {0};
	struct tm_numbers chain = {0};
	for (uint32_t i = 0; i < n; i++) {
		if (!may[i] ||
		    theirs[i] == UINT32_MAX) /* null keys are equal here, as in Spark; where they must not be, a filter took them out */
			continue;
		chain.count = 0;
		for (uint32_t at = *head_of(other, theirs[i]); at; at = other->rows.items[at - 1].next)
			if (!(semi && s == RIGHT && other->rows.items[at - 1].flags & MATCHED))
				TM_PUSH(&chain, at - 1);
		for (size_t k = chain.count; k-- > 0;) { /* oldest first */
			TM_PUSH_IN(arena, &p.mine, i);
			TM_PUSH_IN(arena, &p.theirs, chain.items[k]);
		}
	}
	free(chain.items);
	if (p.mine.count) {
		struct tm_batch wide;
		TM_TRY(matching_pairs(me, s, &b, &p, &wide, err));
		if (semi) {
			give_semi(me, s, &b, &p, matched);
		} else if (wide.rows) {
			*new_out(me, wide.rows) = wide;
			for (size_t i = 0; i < wide.rows; i++) {
				matched[p.mine.items[i]] = 1;
				struct row *r = &other->rows.items[p.theirs.items[i]];
				if (!(r->flags & MATCHED) && keeps_unmatched(me, !s)) {
					r->flags |= MATCHED;
					note_change(other, p.theirs.items[i]);
				}
			}
		}
	}
	uint32_t *alone = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *alone));
	size_t alone_count = 0;
	tm_groups_upsert(&side->keys, arena, keys, n, mine, NULL);
	struct tm_buf bytes = {0};
	for (uint32_t i = 0; i < n; i++) {
		if (!may[i]) { /* can never match: an outer row is known to be alone at once */
			if (keeps_unmatched(me, s))
				alone[alone_count++] = i;
			continue;
		}
		if (semi && s == LEFT && matched[i])
			continue; /* given already */
		bytes.len = 0;
		for (size_t c = 0; c < b.column_count; c++)
			tm_value_encode(&b.columns[c], i, &bytes);
		uint32_t row = add_row(side, mine[i],
				       (struct row){.id = me->next_id++,
						    .time_us = row_time(me, s, &b, keys, i),
						    .bytes = tm_str_dup(tm_buf_str(&bytes)),
						    .flags = matched[i] ? MATCHED : 0});
		note_change(side, row);
	}
	tm_buf_done(&bytes);
	for (size_t i = 0; i < n; i++) /* keys of rows that were not kept */
		if (tm_groups_live(&side->keys, mine[i]) && !*head_of(side, mine[i]))
			tm_groups_remove(&side->keys, mine[i]);
	give_alone(me, s, &b, alone, alone_count);
	return TM_OK;
}

/* ---- leaving ---- */

static void unlink_row(struct side *side, uint32_t row)
{
	struct row *r = &side->rows.items[row];
	uint32_t *link = head_of(side, r->group);
	while (*link != row + 1)
		link = &side->rows.items[*link - 1].next;
	*link = r->next;
	side->live--;
}

static void evict(struct stream_join *me, int s)
{
	struct side *side = &me->sides[s];
	if (!side->leaves || me->node.evict_us == INT64_MIN)
		return;
	int64_t until = me->node.evict_us + (side->by_value ? side->shift_us : 0);
	if (side->least_time_us > until)
		return;
	struct tm_numbers alone = {0};
	side->least_time_us = INT64_MAX;
	for (uint32_t i = 0; i < side->rows.count; i++) {
		struct row *r = &side->rows.items[i];
		if (!r->bytes.at || r->flags & GONE)
			continue;
		if (r->time_us > until) {
			side->least_time_us = r->time_us < side->least_time_us ? r->time_us : side->least_time_us;
			continue;
		}
		if (keeps_unmatched(me, s) && !(r->flags & MATCHED))
			TM_PUSH(&alone, i);
		unlink_row(side, i);
		note_change(side, i);
		r->flags |= GONE;
	}
	give_alone(me, s, NULL, alone.items, alone.count);
	free(alone.items);
}

static tm_rc join_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct stream_join *me = (struct stream_join *)node;
	if (!me->ended) {
		for (int s = 0; s < 2; s++)
			for (;;) {
				const struct tm_flow *in;
				TM_TRY(tm_node_pull(node, (size_t)s, &in, err));
				if (!in)
					break;
				if (in->batch.rows)
					TM_TRY(side_batch(me, s, in, err));
			}
		evict(me, LEFT);
		evict(me, RIGHT);
		me->ended = true;
	}
	*ret = NULL;
	if (me->out_at < me->out.count) {
		node->out = (struct tm_flow){.batch = me->out.items[me->out_at++]};
		node->out.batch.column_count = node->op->schema.count;
		*ret = &node->out;
	}
	return TM_OK;
}

/* ---- state ---- */

static void row_key(int s, uint64_t id, struct tm_buf *out)
{
	out->len = 0;
	tm_buf_u8(out, (uint8_t)s);
	tm_buf_be64(out, id);
}

static void commit_side(struct stream_join *me, int s, struct tm_buf *key, struct tm_buf *value)
{
	struct side *side = &me->sides[s];
	for (size_t i = 0; i < side->changed.count; i++) {
		uint32_t at = side->changed.items[i];
		struct row *r = &side->rows.items[at];
		r->flags &= (uint8_t)~CHANGED;
		row_key(s, r->id, key);
		if (r->flags & GONE) {
			if (r->flags & STORED)
				tm_state_delete(&me->node, tm_buf_str(key));
			uint32_t group = r->group;
			free((void *)r->bytes.at);
			*r = (struct row){0};
			TM_PUSH(&side->free_rows, at);
			if (tm_groups_live(&side->keys, group) && !*head_of(side, group))
				tm_groups_remove(&side->keys, group);
			continue;
		}
		r->flags |= STORED;
		value->len = 0;
		tm_buf_u8(value, r->flags & MATCHED);
		tm_buf_le64(value, (uint64_t)r->time_us);
		struct tm_buf group = {0};
		tm_groups_key_bytes(&side->keys, r->group, &group);
		tm_buf_le32(value, (uint32_t)group.len);
		tm_buf_str_put(value, tm_buf_str(&group));
		tm_buf_str_put(value, r->bytes);
		tm_buf_done(&group);
		tm_state_put(&me->node, tm_buf_str(key), tm_buf_str(value));
	}
	side->changed.count = 0;
}

static void join_commit(struct tm_node *node)
{
	struct stream_join *me = (struct stream_join *)node;
	struct tm_buf key = {0}, value = {0};
	commit_side(me, LEFT, &key, &value);
	commit_side(me, RIGHT, &key, &value);
	node->state_rows = (int64_t)(me->sides[LEFT].live + me->sides[RIGHT].live);
	tm_buf_done(&key);
	tm_buf_done(&value);
}

/* Does the row decode into this side's columns? */
static bool row_fits(const struct side *side, struct tm_str bytes)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cursor c = tm_cursor_of(bytes);
	bool good = true;
	for (size_t i = 0; i < side->schema->count && good; i++)
		good = tm_appender_decode(tm_appender_new(&arena, side->schema->fields[i].type), &c);
	tm_arena_done(&arena);
	return good && tm_cursor_left(&c) == 0;
}

static tm_rc join_restore(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct stream_join *me = (struct stream_join *)node;
	struct tm_cursor k = tm_cursor_of(key), v = tm_cursor_of(value);
	uint8_t s = tm_cursor_u8(&k);
	struct row r = {.id = tm_cursor_be64(&k)};
	r.flags = STORED | (tm_cursor_u8(&v) & MATCHED);
	r.time_us = (int64_t)tm_cursor_le64(&v);
	struct tm_str group = tm_cursor_take(&v, tm_cursor_le32(&v)), bytes = tm_cursor_take(&v, tm_cursor_left(&v));
	uint32_t number;
	bool fresh;
	if (!tm_cursor_ok(&k) || !tm_cursor_ok(&v) || tm_cursor_left(&k) || s > 1 || !row_fits(&me->sides[s], bytes) ||
	    !tm_groups_insert_bytes(&me->sides[s].keys, group, &number, &fresh))
		return tm_fail(err, TM_CORRUPT, "a row of a join in the checkpoint cannot be read");
	r.bytes = tm_str_dup(bytes);
	add_row(&me->sides[s], number, r);
	if (r.id >= me->next_id)
		me->next_id = r.id + 1;
	node->state_rows++;
	return TM_OK;
}

static void join_describe(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values)
{
	struct stream_join *me = (struct stream_join *)node;
	for (size_t i = 0; i < node->op->join.key_count; i++) {
		tm_type_text(node->op->join.left_keys[i]->type, keys);
		tm_buf_char(keys, ';');
	}
	for (int s = 0; s < 2; s++)
		for (size_t i = 0; i < me->sides[s].schema->count; i++) {
			tm_type_text(me->sides[s].schema->fields[i].type, values);
			tm_buf_char(values, ';');
		}
}

static bool join_wants(struct tm_node *node, int64_t evict_us)
{
	(void)evict_us;
	struct stream_join *me = (struct stream_join *)node;
	return me->sides[LEFT].leaves || me->sides[RIGHT].leaves;
}

/* Unmatched rows come out as late as their state is kept. */
static int64_t join_passes_on(struct tm_node *node, int64_t watermark_us)
{
	struct stream_join *me = (struct stream_join *)node;
	int64_t least = watermark_us;
	for (int s = 0; s < 2; s++)
		if (me->sides[s].leaves && me->sides[s].by_value && watermark_us + me->sides[s].shift_us < least)
			least = watermark_us + me->sides[s].shift_us;
	return least < 0 ? 0 : least;
}

static const struct tm_state_class state = {
    .commit = join_commit, .restore = join_restore, .describe = join_describe, .wants_no_data = join_wants, .passes_on = join_passes_on};
const struct tm_node_class tm_stream_join_class = {.label = "StreamJoin",
						   .size = sizeof(struct stream_join),
						   .open = join_open,
						   .begin = join_begin,
						   .next = join_next,
						   .close = join_close,
						   .state = &state};
