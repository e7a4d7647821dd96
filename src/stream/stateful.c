/* See stateful.h. A range condition is understood by trying it: both sides of a comparison must be a timestamp column moved by a
 * constant, which is found by evaluating them at two points. */
#include "stream/stateful.h"

static int64_t expr_watermark(const struct tm_op *in, const struct tm_expr *e)
{
	if (e->kind == TM_EXPR_COLUMN)
		return tm_op_watermark_us(in, e->column);
	if (e->kind == TM_EXPR_CALL && e->kernel &&
	    (strcmp(e->kernel->name, "window") == 0 || strcmp(e->kernel->name, "session_window") == 0 ||
	     strcmp(e->kernel->name, "window_time") == 0))
		return expr_watermark(in, e->args[0]);
	return -1;
}

int64_t tm_op_watermark_us(const struct tm_op *op, size_t column)
{
	const struct tm_op *in = op->input_count ? op->inputs[0] : NULL;
	switch (op->kind) {
	case TM_OP_WATERMARK:
		return column == op->watermark.column ? op->watermark.delay_us : tm_op_watermark_us(in, column);
	case TM_OP_PROJECT:
		return expr_watermark(in, op->project.exprs[column]);
	case TM_OP_EXPAND:
		return op->expand_guarded.count ? expr_watermark(in, op->expand_guarded.projections[0][column]) : -1;
	case TM_OP_AGGREGATE:
		return column < op->aggregate.key_count ? expr_watermark(in, op->aggregate.keys[column]) : -1;
	case TM_OP_JOIN:
		return column < in->schema.count ? tm_op_watermark_us(in, column)
						 : tm_op_watermark_us(op->inputs[1], column - in->schema.count);
	case TM_OP_UNION:
		return tm_op_watermark_us(in, column); /* the first branch decides, as in Spark */
	default:
		return in && column < in->schema.count ? tm_op_watermark_us(in, column) : -1;
	}
}

size_t tm_op_watermark_column(const struct tm_op *op)
{
	for (size_t i = 0; i < op->schema.count; i++)
		if (tm_op_watermark_us(op, i) >= 0)
			return i;
	return SIZE_MAX;
}

bool tm_stateful_watermarked(const struct tm_op *aggregate)
{
	if (aggregate->aggregate.event_time_key >= 0)
		return true;
	for (size_t i = 0; i < aggregate->aggregate.key_count; i++)
		if (expr_watermark(aggregate->inputs[0], aggregate->aggregate.keys[i]) >= 0)
			return true;
	return false;
}

/* ---- conditions ---- */

static void split(struct tm_arena *arena, struct tm_expr *e, struct tm_expr ***items, size_t *count, size_t *cap)
{
	if (e->kind == TM_EXPR_CALL && e->kernel && strcmp(e->kernel->name, "and") == 0) {
		for (size_t i = 0; i < e->arg_count; i++)
			split(arena, e->args[i], items, count, cap);
		return;
	}
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} list = {*items, *count, *cap};
	TM_PUSH_IN(arena, &list, e);
	*items = list.items;
	*count = list.count;
	*cap = list.cap;
}

size_t tm_conjuncts(struct tm_arena *arena, struct tm_expr *condition, struct tm_expr ***ret)
{
	size_t count = 0, cap = 0;
	*ret = NULL;
	if (condition)
		split(arena, condition, ret, &count, &cap);
	return count;
}

bool tm_expr_refers(const struct tm_expr *e, size_t from, size_t to)
{
	if (e->kind == TM_EXPR_COLUMN)
		return e->column >= from && e->column < to;
	for (size_t i = 0; i < e->arg_count; i++)
		if (tm_expr_refers(e->args[i], from, to))
			return true;
	return false;
}

static bool is_time(const struct tm_type *t) { return t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ; }

static const struct tm_expr *only_column(const struct tm_expr *e, bool *ret_several)
{
	if (e->kind == TM_EXPR_COLUMN)
		return e;
	const struct tm_expr *found = NULL;
	for (size_t i = 0; i < e->arg_count; i++) {
		const struct tm_expr *c = only_column(e->args[i], ret_several);
		if (c && found && c->column != found->column)
			*ret_several = true;
		found = c ? c : found;
	}
	return found;
}

static bool value_at(const struct tm_op *join, struct tm_arena *arena, const struct tm_expr *e, size_t column, int64_t us, int64_t *ret)
{
	static const struct tm_session session = {.time_zone = "UTC"};
	const struct tm_schema *l = &join->inputs[0]->schema, *r = &join->inputs[1]->schema;
	size_t n = l->count + r->count;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct tm_type *type = i < l->count ? l->fields[i].type : r->fields[i - l->count].type;
		tm_column_init_null(&columns[i], arena, type, 1);
		if (i == column) {
			tm_column_init(&columns[i], arena, type, 1);
			columns[i].i64[0] = us;
		}
	}
	struct tm_batch one = {.rows = 1, .column_count = n, .columns = columns};
	struct tm_err err = {0};
	struct tm_eval ev = {.arena = arena, .session = &session, .in = &one, .rows = 1, .err = &err};
	struct tm_column value;
	if (tm_expr_eval(&ev, e, &value) || tm_is_null(&value, 0))
		return false;
	*ret = value.i64[0];
	return true;
}

/* Is e a timestamp column plus a constant? */
static bool moved_column(const struct tm_op *join, struct tm_arena *arena, const struct tm_expr *e, size_t *ret_column,
			 int64_t *ret_shift_us)
{
	enum { DAY_S = 86400 };
	const int64_t a = 1772366400000000LL, b = a + (int64_t)DAY_S * 200 * 1000000 + 12345678;
	if (!is_time(e->type))
		return false;
	bool several = false;
	const struct tm_expr *c = only_column(e, &several);
	int64_t at_a, at_b;
	if (!c || several || !is_time(c->type) || !value_at(join, arena, e, c->column, a, &at_a) ||
	    !value_at(join, arena, e, c->column, b, &at_b) || at_a - a != at_b - b)
		return false;
	*ret_column = c->column;
	*ret_shift_us = at_a - a;
	return true;
}

static bool carries(const struct tm_op *join, size_t column)
{
	size_t left = join->inputs[0]->schema.count;
	return (column < left ? tm_op_watermark_us(join->inputs[0], column) : tm_op_watermark_us(join->inputs[1], column - left)) >= 0;
}

/* The shift that one comparison gives for a side: small <= big means big >= small. */
static bool comparison_shift(const struct tm_op *join, struct tm_arena *arena, const struct tm_expr *e, int side, int64_t *ret)
{
	if (e->kind != TM_EXPR_CALL || !e->kernel || e->arg_count != 2)
		return false;
	const char *name = e->kernel->name;
	bool less = strncmp(name, "lt_", 3) == 0 || strncmp(name, "le_", 3) == 0,
	     more = strncmp(name, "gt_", 3) == 0 || strncmp(name, "ge_", 3) == 0;
	if (!less && !more)
		return false;
	bool strict = name[1] == 't';
	const struct tm_expr *small = e->args[less ? 0 : 1], *big = e->args[less ? 1 : 0];
	size_t small_column, big_column, left = join->inputs[0]->schema.count;
	int64_t small_shift, big_shift;
	if (!moved_column(join, arena, small, &small_column, &small_shift) || !moved_column(join, arena, big, &big_column, &big_shift))
		return false;
	bool mine = (big_column < left) == (side == 0), other = (small_column < left) == (side == 1);
	if (!mine || !other || !carries(join, small_column))
		return false;
	*ret = small_shift - big_shift - (strict ? 0 : 1000); /* Spark counts in milliseconds: >= keeps the last one */
	return true;
}

bool tm_join_state_shift(const struct tm_op *join, int side, int64_t *ret_shift_us)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_expr **parts;
	size_t n = tm_conjuncts(&arena, join->join.residual, &parts);
	bool found = false;
	for (size_t i = 0; i < n; i++) {
		int64_t shift;
		if (!comparison_shift(join, &arena, parts[i], side, &shift))
			continue;
		*ret_shift_us = found && *ret_shift_us < shift ? *ret_shift_us : shift;
		found = true;
	}
	tm_arena_done(&arena);
	return found;
}

int tm_join_time_key(const struct tm_op *join)
{
	for (size_t k = 0; k < join->join.key_count; k++)
		if (expr_watermark(join->inputs[0], join->join.left_keys[k]) >= 0 ||
		    expr_watermark(join->inputs[1], join->join.right_keys[k]) >= 0)
			return (int)k;
	return -1;
}

bool tm_join_outer_bounded(const struct tm_op *join)
{
	int64_t shift;
	if (tm_join_time_key(join) >= 0)
		return true;
	switch (join->join.kind) {
	case TM_JOIN_LEFT:
	case TM_JOIN_SEMI:
		return tm_join_state_shift(join, 0, &shift);
	case TM_JOIN_RIGHT:
		return tm_join_state_shift(join, 1, &shift);
	case TM_JOIN_FULL:
		return tm_join_state_shift(join, 0, &shift) || tm_join_state_shift(join, 1, &shift);
	default:
		return true;
	}
}
