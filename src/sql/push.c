/* Filters go down, as Spark's optimiser moves them: through projections that only rename, watermarks (unless the condition reads
 * the event time: what is filtered away below does not move the watermark), joins, unions, aggregates' keys. Conditions over both
 * sides of a join become its keys. */
#include "sql/sql_int.h"

struct conditions {
	struct tm_expr **items;
	size_t count, cap;
};

/* Cheap enough to be computed once more below. */
static bool cheap(const struct tm_expr *e)
{
	if (e->kind == TM_EXPR_COLUMN || e->kind == TM_EXPR_LITERAL)
		return true;
	return e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_field && cheap(e->args[0]);
}

struct substitute {
	struct sx *sx;
	struct tm_expr **by;
};
static struct tm_expr *substitute(void *ctx, struct tm_expr *e)
{
	struct substitute *s = ctx;
	if (e->kind != TM_EXPR_COLUMN)
		return NULL;
	struct tm_expr *r = sx_copy(s->sx, s->by[e->column]);
	r->text = e->text;
	return r;
}
struct range_check {
	size_t from, to;
	bool (*ok)(const struct tm_op *op, size_t column);
	const struct tm_op *op;
};
static bool outside(const struct tm_expr *e, void *ctx)
{
	const struct range_check *r = ctx;
	return e->kind == TM_EXPR_COLUMN && (e->column < r->from || e->column >= r->to || (r->ok && !r->ok(r->op, e->column)));
}
static bool within(const struct tm_expr *e, size_t from, size_t to)
{
	return !sx_any(e, outside, &(struct range_check){.from = from, .to = to});
}
static bool all_columns(const struct tm_expr *e, const struct tm_op *op, bool (*ok)(const struct tm_op *op, size_t column))
{
	return !sx_any(e, outside, &(struct range_check){.from = 0, .to = SIZE_MAX, .ok = ok, .op = op});
}
static bool cheap_column(const struct tm_op *op, size_t column) { return cheap(op->project.exprs[column]); }
static bool not_event_time(const struct tm_op *op, size_t column) { return column != op->watermark.column; }
static bool is_key(const struct tm_op *op, size_t column)
{
	return column < op->aggregate.key_count && !(op->aggregate.session_gap_us && (int)column == op->aggregate.event_time_key) &&
	       !sx_volatile(op->aggregate.keys[column]);
}

static struct tm_op *push(struct sx *sx, struct tm_op *op, struct conditions *conditions);

static struct tm_op *on_top(struct sx *sx, struct tm_op *op, struct conditions *c)
{
	return c->count ? sx_op_filter(sx, op, sx_and(sx, c->items, c->count)) : op;
}

/* Sends what passes `ok` down, rewritten by `by` (NULL = as it is); the rest stays. */
static void split(struct sx *sx, struct tm_op *op, struct conditions *c, bool (*ok)(const struct tm_op *op, size_t column),
		  struct tm_expr **by, struct conditions *down, struct conditions *stay)
{
	for (size_t i = 0; i < c->count; i++) {
		struct tm_expr *e = c->items[i];
		if (sx_volatile(e) || !all_columns(e, op, ok)) {
			TM_PUSH_IN(sx->arena, stay, e);
			continue;
		}
		struct substitute s = {sx, by};
		TM_PUSH_IN(sx->arena, down, by ? sx_rewrite(sx, e, substitute, NULL, &s) : e);
	}
}

/* Is the expression null where these columns are null? */
static bool null_of(const struct tm_expr *e, size_t from, size_t to)
{
	static const char *const strict[] = {"=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "like", "not", "negative", NULL};
	if (e->kind == TM_EXPR_COLUMN)
		return e->column >= from && e->column < to;
	if (e->kind != TM_EXPR_CALL)
		return false;
	bool known = !e->function || e->kernel == &sx_kernel_field;
	for (size_t i = 0; !known && strict[i]; i++)
		known = strcmp(e->function, strict[i]) == 0;
	for (size_t i = 0; known && i < e->arg_count; i++)
		if (null_of(e->args[i], from, to))
			return true;
	return false;
}

/* Is the condition never true where these columns are null? Then an outer join below it is none. */
static bool rejects_null(const struct tm_expr *e, size_t from, size_t to)
{
	if (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_and) {
		for (size_t i = 0; i < e->arg_count; i++)
			if (rejects_null(e->args[i], from, to))
				return true;
		return false;
	}
	if (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_is_not_null)
		return null_of(e->args[0], from, to);
	return null_of(e, from, to);
}

static void simplify_outer(struct tm_op *op, const struct conditions *c)
{
	size_t left = op->inputs[0]->schema.count;
	bool needs_left = false, needs_right = false;
	for (size_t i = 0; i < c->count; i++) {
		needs_left = needs_left || rejects_null(c->items[i], 0, left);
		needs_right = needs_right || rejects_null(c->items[i], left, SIZE_MAX);
	}
	if (op->join.kind == TM_JOIN_FULL && (needs_left || needs_right))
		op->join.kind = needs_left && needs_right ? TM_JOIN_INNER : needs_left ? TM_JOIN_LEFT : TM_JOIN_RIGHT;
	if ((op->join.kind == TM_JOIN_LEFT && needs_right) || (op->join.kind == TM_JOIN_RIGHT && needs_left))
		op->join.kind = TM_JOIN_INNER;
}

/* Rows whose key is null join nothing. Spark drops them early, below a watermark too, and so moves the watermark less. */
static void infer_keys(struct sx *sx, struct tm_op *op, struct conditions *left, struct conditions *right)
{
	enum tm_join_kind k = op->join.kind;
	bool null_left = k == TM_JOIN_INNER || k == TM_JOIN_SEMI || k == TM_JOIN_RIGHT,
	     null_right = (null_left && k != TM_JOIN_RIGHT) || k == TM_JOIN_LEFT || (k == TM_JOIN_ANTI && !op->join.null_aware_anti);
	for (size_t i = 0; i < op->join.key_count; i++) {
		struct tm_expr *l = op->join.left_keys[i], *r = op->join.right_keys[i];
		if (op->join.null_safe && op->join.null_safe[i])
			continue;
		if (null_left && l->nullable && cheap(l))
			TM_PUSH_IN(sx->arena, left, sx_is_null(sx, l, true));
		if (null_right && r->nullable && cheap(r))
			TM_PUSH_IN(sx->arena, right, sx_is_null(sx, r, true));
	}
	/* In a full outer join of two streams Spark's state finds null keys like others. */
	if (k == TM_JOIN_FULL && op->inputs[0]->streaming && op->inputs[1]->streaming) {
		bool *safe = TM_NEW_N(sx->arena, bool, op->join.key_count + 1);
		memset(safe, 1, op->join.key_count);
		op->join.null_safe = safe;
	}
}

static struct tm_op *push_join(struct sx *sx, struct tm_op *op, struct conditions *c)
{
	size_t left = op->inputs[0]->schema.count;
	simplify_outer(op, c);
	enum tm_join_kind k = op->join.kind;
	bool inner = k == TM_JOIN_INNER || k == TM_JOIN_CROSS, only_left = k == TM_JOIN_SEMI || k == TM_JOIN_ANTI;
	struct conditions to_left = {0}, to_right = {0}, both = {0}, stay = {0};
	if (op->streaming)
		infer_keys(sx, op, &to_left, &to_right);
	for (size_t i = 0; i < c->count; i++) {
		struct tm_expr *e = c->items[i];
		if (sx_volatile(e))
			TM_PUSH_IN(sx->arena, &stay, e);
		else if (within(e, 0, left) && (inner || only_left || k == TM_JOIN_LEFT))
			TM_PUSH_IN(sx->arena, &to_left, e);
		else if (within(e, left, SIZE_MAX) && (inner || k == TM_JOIN_RIGHT))
			TM_PUSH_IN(sx->arena, &to_right, sx_shift(sx, e, 0 - left));
		else if (inner)
			TM_PUSH_IN(sx->arena, &both, e);
		else
			TM_PUSH_IN(sx->arena, &stay, e);
	}
	if (both.count) {
		if (sx_join_on(sx, op, sx_and(sx, both.items, both.count)) == TM_OK)
			op->join.kind = TM_JOIN_INNER;
	}
	op->inputs[0] = push(sx, op->inputs[0], &to_left);
	op->inputs[1] = push(sx, op->inputs[1], &to_right);
	return on_top(sx, op, &stay);
}

/* explode() drops rows without elements; so does a filter below it. */
static void infer_elements(struct sx *sx, struct tm_expr *list, struct conditions *ret)
{
	struct sx_env env = {.sx = sx};
	struct tm_expr *compared[2] = {NULL, sx_literal_int(sx, 0)}, *positive;
	if (sx_call(&env, "size", &list, 1, 0, 0, &compared[0]) != TM_OK || sx_call(&env, ">", compared, 2, 0, 0, &positive) != TM_OK)
		return;
	TM_PUSH_IN(sx->arena, ret, sx_is_null(sx, list, true));
	TM_PUSH_IN(sx->arena, ret, positive);
}

static struct tm_op *push(struct sx *sx, struct tm_op *op, struct conditions *c)
{
	struct conditions down = {0}, stay = {0};
	switch (op->kind) {
	case TM_OP_FILTER: {
		size_t n = 0;
		struct tm_expr **own = NULL;
		sx_conjuncts(sx, op->filter.condition, &own, &n);
		for (size_t i = 0; i < n; i++)
			TM_PUSH_IN(sx->arena, &down, own[i]);
		for (size_t i = 0; i < c->count; i++)
			TM_PUSH_IN(sx->arena, &down, c->items[i]);
		return push(sx, op->inputs[0], &down);
	}
	case TM_OP_PROJECT:
		split(sx, op, c, cheap_column, op->project.exprs, &down, &stay);
		break;
	case TM_OP_WATERMARK:
		split(sx, op, c, not_event_time, NULL, &down, &stay);
		break;
	case TM_OP_AGGREGATE:
		if (op->aggregate.global)
			stay = *c;
		else
			split(sx, op, c, is_key, op->aggregate.keys, &down, &stay);
		break;
	case TM_OP_JOIN:
		return push_join(sx, op, c);
	case TM_OP_SORT:
		down = *c;
		break;
	case TM_OP_DEDUPLICATE:
		if (op->deduplicate.column_count == op->schema.count && !op->deduplicate.within_watermark)
			down = *c;
		else
			stay = *c;
		break;
	case TM_OP_UNION:
		for (size_t i = 0; i < op->input_count; i++) {
			struct conditions each = {0};
			for (size_t k = 0; k < c->count; k++)
				TM_PUSH_IN(sx->arena, &each, c->items[k]);
			op->inputs[i] = push(sx, op->inputs[i], &each);
		}
		return op;
	case TM_OP_GENERATE: {
		size_t n = op->inputs[0]->schema.count;
		if (op->streaming && !op->generate.outer && cheap(op->generate.list) && op->generate.list->kind != TM_EXPR_LITERAL)
			infer_elements(sx, op->generate.list, &down);
		for (size_t i = 0; i < c->count; i++)
			if (!sx_volatile(c->items[i]) && within(c->items[i], 0, n))
				TM_PUSH_IN(sx->arena, &down, c->items[i]);
			else
				TM_PUSH_IN(sx->arena, &stay, c->items[i]);
		break;
	}
	default:
		for (size_t i = 0; i < op->input_count; i++) {
			struct conditions none = {0};
			op->inputs[i] = push(sx, op->inputs[i], &none);
		}
		return on_top(sx, op, c);
	}
	op->inputs[0] = push(sx, op->inputs[0], &down);
	return on_top(sx, op, &stay);
}

struct tm_op *sx_push_filters(struct sx *sx, struct tm_op *root)
{
	struct conditions none = {0};
	return push(sx, root, &none);
}
