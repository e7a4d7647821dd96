/* INTERSECT and EXCEPT; and deduplication, which in a stream keeps its keys between batches until the watermark passes them. */
#include "stream/expiry.h"
#include "stream/state.h"
#include <stdlib.h>

static void init_by_columns(struct tm_groups *g, const struct tm_schema *schema, const size_t *columns, size_t count, size_t payload)
{
	const struct tm_type **types = tm_alloc(tm_mul_size(count + 1, sizeof *types));
	for (size_t i = 0; i < count; i++)
		types[i] = schema->fields[columns ? columns[i] : i].type;
	tm_groups_init(g, types, NULL, count, payload, 8);
	free(types);
}

static void choose_rows(struct tm_node *node, const struct tm_flow *in, const uint32_t *keep, size_t n)
{
	node->out = (struct tm_flow){.origin = in->origin};
	tm_batch_take(&node->out.batch, &node->arena, &in->batch, keep, n);
	if (!in->origin)
		return;
	uint32_t *rows = tm_arena_alloc(&node->arena, tm_mul_size(n + 1, sizeof *rows));
	for (size_t i = 0; i < n; i++)
		rows[i] = tm_flow_record(in, keep[i]);
	node->out.origin_row = rows;
}

/* ---- set operations ---- */

struct set_counts {
	uint32_t right, left;
};
struct set {
	struct tm_node node;
	struct tm_groups groups;
	bool built;
};

static tm_rc set_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	init_by_columns(&((struct set *)node)->groups, &node->op->schema, NULL, node->op->schema.count, sizeof(struct set_counts));
	return TM_OK;
}

static void set_close(struct tm_node *node) { tm_groups_done(&((struct set *)node)->groups); }

static tm_rc set_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct set *)node)->built = false;
	tm_groups_clear(&((struct set *)node)->groups);
	return TM_OK;
}

static uint32_t *numbers_of(struct set *me, const struct tm_batch *b)
{
	uint32_t *numbers = tm_arena_alloc(&me->node.arena, tm_mul_size(b->rows + 1, sizeof *numbers));
	tm_groups_upsert(&me->groups, &me->node.arena, b->columns, b->rows, numbers, NULL);
	return numbers;
}

static bool set_keeps(const struct tm_op *op, struct set_counts *c)
{
	c->left++;
	if (op->set.kind == TM_SET_INTERSECT)
		return op->set.all ? c->left <= c->right : c->right && c->left == 1;
	return op->set.all ? c->left > c->right : !c->right && c->left == 1;
}

static tm_rc set_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct set *me = (struct set *)node;
	const struct tm_flow *in;
	while (!me->built) {
		tm_arena_reset(&node->arena);
		TM_TRY(tm_node_pull(node, 1, &in, err));
		if (!in) {
			me->built = true;
			break;
		}
		uint32_t *numbers = numbers_of(me, &in->batch);
		for (size_t i = 0; i < in->batch.rows; i++)
			((struct set_counts *)tm_groups_payload(&me->groups, numbers[i]))->right++;
	}
	for (;;) {
		tm_arena_reset(&node->arena);
		*ret = NULL;
		TM_TRY(tm_node_pull(node, 0, &in, err));
		if (!in)
			return TM_OK;
		uint32_t *numbers = numbers_of(me, &in->batch);
		uint32_t *keep = tm_arena_alloc(&node->arena, tm_mul_size(in->batch.rows + 1, sizeof *keep));
		size_t n = 0;
		for (uint32_t i = 0; i < in->batch.rows; i++)
			if (set_keeps(node->op, tm_groups_payload(&me->groups, numbers[i])))
				keep[n++] = i;
		if (!n)
			continue;
		choose_rows(node, in, keep, n);
		*ret = &node->out;
		return TM_OK;
	}
}
const struct tm_node_class tm_set_class = {
    .label = "Set", .size = sizeof(struct set), .open = set_open, .begin = set_begin, .next = set_next, .close = set_close};

/* ---- deduplication ---- Group flags: FRESH came in this batch, DOOMED leaves at commit. Payload: when the key leaves. */

enum { FRESH = 1, DOOMED = 2 };
struct dedup {
	struct tm_node node;
	struct tm_groups groups;
	struct tm_expiry expiry;
	struct tm_numbers fresh, doomed;
	bool stateful, ended;
	bool time_is_key; /* the event time is among the keys: with it, keys leave */
	int64_t delay_us; /* within_watermark */
};

/* The delay of the watermark that the column has further down. */
static int64_t delay_below(const struct tm_op *op)
{
	if (op->kind == TM_OP_WATERMARK)
		return op->watermark.delay_us;
	for (size_t i = 0; i < op->input_count; i++) {
		int64_t d = delay_below(op->inputs[i]);
		if (d >= 0)
			return d;
	}
	return -1;
}

static tm_rc dedup_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct dedup *me = (struct dedup *)node;
	const struct tm_op *op = node->op;
	init_by_columns(&me->groups, &op->inputs[0]->schema, op->deduplicate.columns, op->deduplicate.column_count, sizeof(int64_t));
	me->stateful = tm_node_stateful(node);
	me->delay_us = delay_below(op);
	for (size_t i = 0; i < op->deduplicate.column_count; i++)
		me->time_is_key = me->time_is_key || (int)op->deduplicate.columns[i] == op->deduplicate.event_time_column;
	return TM_OK;
}

static void dedup_close(struct tm_node *node)
{
	struct dedup *me = (struct dedup *)node;
	tm_groups_done(&me->groups);
	tm_expiry_done(&me->expiry);
	free(me->fresh.items);
	free(me->doomed.items);
}

static tm_rc dedup_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct dedup *me = (struct dedup *)node;
	if (!me->stateful)
		tm_groups_clear(&me->groups);
	me->ended = false;
	node->dropped = 0;
	return TM_OK;
}

static const struct tm_column *time_column(const struct tm_node *node, const struct tm_batch *b)
{
	int at = node->op->deduplicate.event_time_column;
	return at >= 0 && node->run->stream && node->run->stream->has_watermark ? &b->columns[at] : NULL;
}

static void remember(struct dedup *me, uint32_t number, const struct tm_column *time, size_t row)
{
	struct tm_node *node = &me->node;
	tm_groups_at(&me->groups, number)->flags |= FRESH;
	TM_PUSH(&me->fresh, number);
	int64_t us = 0;
	bool has = time && tm_event_time(time, row, &us);
	int64_t leaves = INT64_MAX;
	if (node->op->deduplicate.within_watermark) {
		if (!has)
			leaves = 0; /* a null event time leaves at once, as in Spark */
		else if (__builtin_add_overflow(us, me->delay_us, &leaves))
			leaves = INT64_MAX;
	} else if (me->time_is_key && has) {
		leaves = us;
	}
	*(int64_t *)tm_groups_payload(&me->groups, number) = leaves;
	if (leaves != INT64_MAX)
		tm_expiry_add(&me->expiry, &me->groups, number, leaves);
}

static tm_rc dedup_batch(struct dedup *me, const struct tm_flow *in, size_t *ret_n)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	const struct tm_column *time = time_column(node, &in->batch);
	size_t rows = in->batch.rows, n = 0, keys = node->op->deduplicate.column_count;
	uint32_t *keep = tm_arena_alloc(arena, tm_mul_size(rows + 1, sizeof *keep));
	int64_t us;
	for (uint32_t i = 0; i < rows; i++) {
		if (me->stateful && time && node->late_us != INT64_MIN && tm_event_time(time, i, &us) && us <= node->late_us) {
			node->dropped++;
			node->rows_late++;
			tm_stream_dead(node->run, in, i, "late", "the watermark has passed the row's event time");
			continue;
		}
		keep[n++] = i;
	}
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, keys + 1);
	for (size_t k = 0; k < keys; k++)
		tm_column_take(&columns[k], arena, &in->batch.columns[node->op->deduplicate.columns[k]], keep, n);
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers));
	uint8_t *fresh = tm_arena_alloc(arena, n + 1);
	tm_groups_upsert(&me->groups, arena, columns, n, numbers, fresh);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (!fresh[i])
			continue;
		if (me->stateful)
			remember(me, numbers[i], time, keep[i]);
		keep[kept++] = keep[i];
	}
	if (kept)
		choose_rows(node, in, keep, kept);
	*ret_n = kept;
	return TM_OK;
}

static tm_rc dedup_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct dedup *me = (struct dedup *)node;
	for (;;) {
		tm_arena_reset(&node->arena);
		const struct tm_flow *in;
		*ret = NULL;
		TM_TRY(tm_node_pull(node, 0, &in, err));
		if (!in) {
			if (me->stateful && !me->ended && node->evict_us != INT64_MIN)
				tm_expiry_pop(&me->expiry, &me->groups, node->evict_us, &me->doomed);
			me->ended = true;
			return TM_OK;
		}
		size_t n;
		TM_TRY(dedup_batch(me, in, &n));
		if (n) {
			*ret = &node->out;
			return TM_OK;
		}
	}
}

static void dedup_commit(struct tm_node *node)
{
	struct dedup *me = (struct dedup *)node;
	struct tm_buf key = {0}, value = {0};
	for (size_t i = 0; i < me->doomed.count; i++)
		tm_groups_at(&me->groups, me->doomed.items[i])->flags |= DOOMED;
	for (size_t i = 0; i < me->fresh.count; i++) {
		struct tm_group *g = tm_groups_at(&me->groups, me->fresh.items[i]);
		if (g->flags & DOOMED)
			continue;
		g->flags = 0;
		key.len = value.len = 0;
		tm_groups_key_bytes(&me->groups, me->fresh.items[i], &key);
		tm_buf_le64(&value, (uint64_t) * (int64_t *)tm_groups_payload(&me->groups, me->fresh.items[i]));
		tm_state_put(node, tm_buf_str(&key), tm_buf_str(&value));
	}
	for (size_t i = 0; i < me->doomed.count; i++) {
		uint32_t number = me->doomed.items[i];
		if (!(tm_groups_at(&me->groups, number)->flags & FRESH)) {
			key.len = 0;
			tm_groups_key_bytes(&me->groups, number, &key);
			tm_state_delete(node, tm_buf_str(&key));
		}
		tm_groups_remove(&me->groups, number);
	}
	me->fresh.count = me->doomed.count = 0;
	node->state_rows = (int64_t)me->groups.count;
	tm_buf_done(&key);
	tm_buf_done(&value);
}

static tm_rc dedup_restore(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct dedup *me = (struct dedup *)node;
	uint32_t number;
	bool fresh;
	struct tm_cursor c = tm_cursor_of(value);
	int64_t leaves = (int64_t)tm_cursor_le64(&c);
	if (!tm_cursor_ok(&c) || tm_cursor_left(&c) || !tm_groups_insert_bytes(&me->groups, key, &number, &fresh) || !fresh)
		return tm_fail(err, TM_CORRUPT, "a key of the deduplication in the checkpoint cannot be read");
	*(int64_t *)tm_groups_payload(&me->groups, number) = leaves;
	if (leaves != INT64_MAX)
		tm_expiry_add(&me->expiry, &me->groups, number, leaves);
	node->state_rows = (int64_t)me->groups.count;
	return TM_OK;
}

static void dedup_describe(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values)
{
	(void)values;
	for (size_t i = 0; i < node->op->deduplicate.column_count; i++) {
		tm_type_text(node->op->inputs[0]->schema.fields[node->op->deduplicate.columns[i]].type, keys);
		tm_buf_char(keys, ';');
	}
}

static const char *dedup_name(struct tm_node *node)
{
	return node->op->deduplicate.within_watermark ? "DeduplicateWithinWatermark" : "Deduplicate";
}

static const struct tm_state_class state = {
    .commit = dedup_commit, .restore = dedup_restore, .describe = dedup_describe, .name = dedup_name};
const struct tm_node_class tm_dedup_class = {.label = "Deduplicate",
					     .size = sizeof(struct dedup),
					     .open = dedup_open,
					     .begin = dedup_begin,
					     .next = dedup_next,
					     .close = dedup_close,
					     .state = &state};
