/* Making, comparing and rewriting expressions. */
#include "sql/sql_int.h"

struct tm_expr *sx_expr(struct sx *sx, enum tm_expr_kind kind, const struct tm_type *type, bool nullable)
{
	struct tm_expr *e = TM_NEW(sx->arena, struct tm_expr);
	e->kind = kind;
	e->type = type;
	e->nullable = nullable;
	return e;
}

struct tm_expr *sx_copy(struct sx *sx, const struct tm_expr *e)
{
	struct tm_expr *c = TM_NEW(sx->arena, struct tm_expr);
	*c = *e;
	return c;
}

struct tm_expr *sx_column_expr(struct sx *sx, size_t index, const struct tm_type *type, bool nullable, struct tm_str text)
{
	struct tm_expr *e = sx_expr(sx, TM_EXPR_COLUMN, type, nullable);
	e->column = index;
	e->text = text;
	return e;
}

struct tm_expr *sx_op_column(struct sx *sx, const struct tm_op *op, size_t index)
{
	const struct tm_field *f = &op->schema.fields[index];
	return sx_column_expr(sx, index, f->type, f->nullable, f->name);
}

struct tm_expr *sx_call_expr(struct sx *sx, const struct tm_kernel *kernel, const char *function, const struct tm_type *type, bool nullable,
			     struct tm_expr **args, size_t n)
{
	struct tm_expr *e = sx_expr(sx, TM_EXPR_CALL, type, nullable);
	e->kernel = kernel;
	e->function = function;
	e->arg_count = n;
	e->args = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	if (n) {
		memcpy(e->args, args, n * sizeof *args);
		e->line = args[0]->line;
		e->column_no = args[0]->column_no;
	}
	return e;
}

static struct tm_expr *literal(struct sx *sx, const struct tm_type *type)
{
	struct tm_expr *e = sx_expr(sx, TM_EXPR_LITERAL, type, false);
	tm_column_init(&e->literal, sx->arena, type, 1);
	e->literal.constant = true;
	return e;
}
struct tm_expr *sx_literal_null(struct sx *sx, const struct tm_type *type)
{
	struct tm_expr *e = sx_expr(sx, TM_EXPR_LITERAL, type, true);
	tm_column_init_null(&e->literal, sx->arena, type, 1);
	e->text = TM_STR("NULL");
	return e;
}
struct tm_expr *sx_literal_bool(struct sx *sx, bool v)
{
	struct tm_expr *e = literal(sx, &tm_type_boolean);
	e->literal.boolean[0] = v;
	e->text = v ? TM_STR("true") : TM_STR("false");
	return e;
}
struct tm_expr *sx_literal_int(struct sx *sx, int32_t v)
{
	struct tm_expr *e = literal(sx, &tm_type_int);
	e->literal.i32[0] = v;
	e->text = sx_text(sx, "%d", v);
	return e;
}
struct tm_expr *sx_literal_bigint(struct sx *sx, int64_t v)
{
	struct tm_expr *e = literal(sx, &tm_type_bigint);
	e->literal.i64[0] = v;
	e->text = sx_text(sx, "%lld", (long long)v);
	return e;
}
struct tm_expr *sx_literal_str(struct sx *sx, struct tm_str s)
{
	struct tm_expr *e = literal(sx, &tm_type_string);
	e->literal.str[0] = s;
	e->text = s;
	return e;
}

struct tm_expr *sx_replace_arg(struct sx *sx, const struct tm_expr *e, struct tm_expr *copy, size_t i, struct tm_expr *arg)
{
	if (arg == e->args[i])
		return copy;
	if (copy == e) {
		copy = sx_copy(sx, e);
		copy->args = TM_NEW_N(sx->arena, struct tm_expr *, e->arg_count);
		memcpy(copy->args, e->args, e->arg_count * sizeof *e->args);
	}
	copy->args[i] = arg;
	return copy;
}

struct tm_expr *sx_rewrite(struct sx *sx, struct tm_expr *e, sx_rewrite_fn before, sx_rewrite_fn after, void *ctx)
{
	struct tm_expr *r = before ? before(ctx, e) : NULL, *copy = e;
	if (r)
		return r;
	for (size_t i = 0; i < e->arg_count; i++)
		copy = sx_replace_arg(sx, e, copy, i, sx_rewrite(sx, e->args[i], before, after, ctx));
	if (sx_kind(e) == SX_AGG) {
		const struct tm_agg *old = e->bound;
		struct tm_expr *filter = old->filter ? sx_rewrite(sx, old->filter, before, after, ctx) : NULL;
		if (copy != e || filter != old->filter) {
			struct tm_agg *agg = TM_NEW(sx->arena, struct tm_agg);
			*agg = *old;
			copy = copy == e ? sx_copy(sx, e) : copy;
			agg->args = copy->args;
			agg->filter = filter;
			copy->bound = agg;
		}
	}
	if (sx_kind(e) == SX_WINDOW) {
		/* A window's specification is made of expressions too. */
		struct sx_window *w = TM_NEW(sx->arena, struct sx_window);
		*w = *(const struct sx_window *)e->bound;
		copy = copy == e ? sx_copy(sx, e) : copy;
		copy->bound = w;
		w->partition = TM_NEW_N(sx->arena, struct tm_expr *, w->partition_count + 1);
		for (size_t i = 0; i < w->partition_count; i++)
			w->partition[i] = sx_rewrite(sx, ((const struct sx_window *)e->bound)->partition[i], before, after, ctx);
		struct tm_sort_key *order = TM_NEW_N(sx->arena, struct tm_sort_key, w->order_count + 1);
		for (size_t i = 0; i < w->order_count; i++) {
			order[i] = w->order[i];
			order[i].expr = sx_rewrite(sx, w->order[i].expr, before, after, ctx);
		}
		w->order = order;
		w->fn.args = copy->args;
		if (w->fn.agg) {
			struct tm_agg *agg = TM_NEW(sx->arena, struct tm_agg);
			*agg = *w->fn.agg;
			agg->args = copy->args;
			if (agg->filter)
				agg->filter = sx_rewrite(sx, agg->filter, before, after, ctx);
			w->fn.agg = agg;
		}
	}
	r = after ? after(ctx, copy) : NULL;
	return r ? r : copy;
}

bool sx_any(const struct tm_expr *e, bool (*test)(const struct tm_expr *e, void *ctx), void *ctx)
{
	if (test(e, ctx))
		return true;
	for (size_t i = 0; i < e->arg_count; i++)
		if (sx_any(e->args[i], test, ctx))
			return true;
	if (sx_kind(e) == SX_WINDOW) {
		const struct sx_window *w = e->bound;
		for (size_t i = 0; i < w->partition_count; i++)
			if (sx_any(w->partition[i], test, ctx))
				return true;
		for (size_t i = 0; i < w->order_count; i++)
			if (sx_any(w->order[i].expr, test, ctx))
				return true;
	}
	if (sx_kind(e) == SX_AGG && ((const struct tm_agg *)e->bound)->filter)
		return sx_any(((const struct tm_agg *)e->bound)->filter, test, ctx);
	return false;
}

static bool is_kind(const struct tm_expr *e, void *ctx) { return sx_kind(e) == *(int *)ctx; }
bool sx_has(const struct tm_expr *e, int kind) { return sx_any(e, is_kind, &kind); }

static bool same_str(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }
static bool same_agg(const struct tm_agg *a, const struct tm_agg *b)
{
	if (a->kernel != b->kernel || a->distinct != b->distinct || !tm_type_same(a->type, b->type) || !a->filter != !b->filter)
		return false;
	return !a->filter || sx_same(a->filter, b->filter);
}
bool sx_same_spec(const struct sx_window *a, const struct sx_window *b)
{
	if (a->partition_count != b->partition_count || a->order_count != b->order_count)
		return false;
	for (size_t i = 0; i < a->partition_count; i++)
		if (!sx_same(a->partition[i], b->partition[i]))
			return false;
	for (size_t i = 0; i < a->order_count; i++)
		if (a->order[i].descending != b->order[i].descending || a->order[i].nulls_last != b->order[i].nulls_last ||
		    !sx_same(a->order[i].expr, b->order[i].expr))
			return false;
	return true;
}
static bool same_window(const struct sx_window *a, const struct sx_window *b)
{
	if (a->fn.kind != b->fn.kind || a->fn.rows_frame != b->fn.rows_frame || a->fn.from != b->fn.from || a->fn.to != b->fn.to ||
	    a->fn.ignore_nulls != b->fn.ignore_nulls)
		return false;
	return sx_same_spec(a, b);
}

struct shift {
	struct sx *sx;
	size_t by;
};
static struct tm_expr *shifted(void *ctx, struct tm_expr *e)
{
	const struct shift *s = ctx;
	if (e->kind != TM_EXPR_COLUMN)
		return NULL;
	struct tm_expr *r = sx_copy(s->sx, e);
	r->column += s->by;
	return r;
}
struct tm_expr *sx_shift(struct sx *sx, struct tm_expr *e, size_t by) { return sx_rewrite(sx, e, shifted, NULL, &(struct shift){sx, by}); }

/* Lambdas whose variables stand for each other, innermost first. */
struct renamed {
	const struct tm_expr *a, *b;
	const struct renamed *outer;
};

static bool same_variable(const struct renamed *r, size_t a, size_t b)
{
	for (; r; r = r->outer)
		for (size_t i = 0; i < r->a->variable_count; i++)
			if (r->a->variables[i] == a || r->b->variables[i] == b)
				return r->a->variables[i] == a && r->b->variables[i] == b;
	return a == b;
}

static bool same(const struct renamed *renamed, const struct tm_expr *a, const struct tm_expr *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->arg_count != b->arg_count || !tm_type_same(a->type, b->type))
		return false;
	switch (sx_kind(a)) {
	case TM_EXPR_COLUMN:
	case SX_OUTER:
		return a->column == b->column;
	case TM_EXPR_LAMBDA_VARIABLE:
		return same_variable(renamed, a->column, b->column);
	case TM_EXPR_LAMBDA:
		return a->variable_count == b->variable_count && same(&(struct renamed){a, b, renamed}, a->args[0], b->args[0]);
	case TM_EXPR_LITERAL:
		return tm_value_eq(&a->literal, 0, &b->literal, 0);
	case TM_EXPR_CALL:
		if (a->kernel != b->kernel || !same_str(a->function, b->function) || (a->kernel->flags & TM_KERNEL_VOLATILE))
			return false;
		/* What was bound is decided by function, types and constant arguments; a text may be an alias. */
		if (!a->function && a->bound != b->bound && !tm_cast_same(a, b) && !tm_str_ieq(a->text, b->text))
			return false;
		break;
	case SX_AGG:
		if (!same_agg(a->bound, b->bound) || !tm_str_ieq(a->text, b->text))
			return false;
		break;
	case SX_WINDOW:
		if (!same_window(a->bound, b->bound) || !tm_str_ieq(a->text, b->text))
			return false;
		break;
	case SX_TIME_WINDOW:
		if (memcmp(a->bound, b->bound, sizeof(struct sx_time_window)) != 0)
			return false;
		break;
	case SX_GROUPING:
		return tm_str_ieq(a->text, b->text);
	case SX_SUBQUERY:
		if (a->bound != b->bound)
			return false;
		break;
	default:
		return false;
	}
	for (size_t i = 0; i < a->arg_count; i++)
		if (!same(renamed, a->args[i], b->args[i]))
			return false;
	return true;
}

/* Do both compute the same? Names and places do not matter. */
bool sx_same(const struct tm_expr *a, const struct tm_expr *b) { return same(NULL, a, b); }

static bool is_volatile(const struct tm_expr *e, __attribute__((unused)) void *ctx)
{
	return e->kind == TM_EXPR_CALL && (e->kernel->flags & TM_KERNEL_VOLATILE);
}
bool sx_volatile(const struct tm_expr *e) { return sx_any(e, is_volatile, NULL); }

static bool is_varying(const struct tm_expr *e, __attribute__((unused)) void *ctx)
{
	static const char *const timeless[] = {"array",           "map",    "struct",   "pi", "e", "named_struct",
					       "map_from_arrays", "concat", "coalesce", NULL};
	if (e->kind == TM_EXPR_LITERAL || e->kind == TM_EXPR_LAMBDA)
		return false;
	if (e->kind == TM_EXPR_LAMBDA_VARIABLE)
		return false; /* bound by a lambda inside, or else the lambda's body is asked alone: see sx_constant */
	if (e->kind != TM_EXPR_CALL || (e->kernel->flags & TM_KERNEL_VOLATILE))
		return true;
	if (e->arg_count)
		return false;
	for (size_t i = 0; timeless[i]; i++)
		if (same_str(e->function, timeless[i]))
			return false;
	return true; /* current_timestamp() and its kin: fixed for a batch, not for a query */
}
static bool is_free_variable(const struct tm_expr *e, __attribute__((unused)) void *ctx)
{
	return e->kind == TM_EXPR_LAMBDA_VARIABLE || e->kind == TM_EXPR_LAMBDA;
}
bool sx_constant(const struct tm_expr *e)
{
	if (sx_any(e, is_varying, NULL))
		return false;
	if (!sx_any(e, is_free_variable, NULL))
		return true;
	/* With lambdas inside: constant only as a whole call that binds its variables. */
	if (e->kind != TM_EXPR_CALL)
		return false;
	for (size_t i = 0; i < e->arg_count; i++)
		if (e->args[i]->kind != TM_EXPR_LAMBDA && !sx_constant(e->args[i]))
			return false;
	return true;
}

const struct tm_column *sx_value(struct sx *sx, const struct tm_expr *e)
{
	if (e->kind == TM_EXPR_LITERAL)
		return &e->literal;
	if (!sx_constant(e))
		return NULL;
	struct tm_column *c = TM_NEW(sx->arena, struct tm_column);
	struct tm_batch none = {.rows = 1};
	struct tm_eval ev = {.arena = sx->arena, .session = sx->session, .in = &none, .rows = 1};
	if (tm_expr_eval(&ev, e, c) != TM_OK)
		return NULL;
	c->constant = true;
	return c;
}

struct tm_expr *sx_fold(struct sx *sx, struct tm_expr *e)
{
	if (e->kind != TM_EXPR_CALL)
		return e;
	const struct tm_column *v = sx_value(sx, e);
	if (!v)
		return e;
	struct tm_expr *r = sx_copy(sx, e);
	r->kind = TM_EXPR_LITERAL;
	r->literal = *v;
	r->literal.rows = 1;
	r->args = NULL;
	r->arg_count = 0;
	return r;
}

void sx_conjuncts(struct sx *sx, struct tm_expr *e, struct tm_expr ***io_items, size_t *io_count)
{
	if (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_and) {
		for (size_t i = 0; i < e->arg_count; i++)
			sx_conjuncts(sx, e->args[i], io_items, io_count);
		return;
	}
	struct tm_expr **grown = TM_NEW_N(sx->arena, struct tm_expr *, *io_count + 1);
	if (*io_count)
		memcpy(grown, *io_items, *io_count * sizeof *grown);
	grown[(*io_count)++] = e;
	*io_items = grown;
}

struct tm_expr *sx_and(struct sx *sx, struct tm_expr **items, size_t n)
{
	if (!n)
		return NULL;
	struct tm_expr *e = items[0];
	for (size_t i = 1; i < n; i++) {
		struct tm_expr *pair[2] = {e, items[i]};
		e = sx_call_expr(sx, &sx_kernel_and, "and", &tm_type_boolean, pair[0]->nullable || pair[1]->nullable, pair, 2);
		e->text = sx_text(sx, "(%.*s AND %.*s)", TM_STR_ARG(pair[0]->text), TM_STR_ARG(pair[1]->text));
	}
	return e;
}

struct tm_expr *sx_not(struct sx *sx, struct tm_expr *e)
{
	struct tm_expr *r = sx_call_expr(sx, &sx_kernel_not, "not", &tm_type_boolean, e->nullable, &e, 1);
	r->text = sx_text(sx, "(NOT %.*s)", TM_STR_ARG(e->text));
	return r;
}

struct tm_expr *sx_is_null(struct sx *sx, struct tm_expr *e, bool negated)
{
	struct tm_expr *r = sx_call_expr(sx, negated ? &sx_kernel_is_not_null : &sx_kernel_is_null, negated ? "isnotnull" : "isnull",
					 &tm_type_boolean, false, &e, 1);
	r->text = sx_text(sx, "(%.*s IS %sNULL)", TM_STR_ARG(e->text), negated ? "NOT " : "");
	return r;
}

struct tm_expr *sx_if(struct sx *sx, struct tm_expr *condition, struct tm_expr *then, struct tm_expr *otherwise)
{
	struct tm_expr *args[3] = {condition, then, otherwise};
	struct tm_expr *r = sx_call_expr(sx, &sx_kernel_case, "if", then->type, then->nullable || otherwise->nullable, args, 3);
	r->text = sx_text(sx, "(IF(%.*s, %.*s, %.*s))", TM_STR_ARG(condition->text), TM_STR_ARG(then->text), TM_STR_ARG(otherwise->text));
	return r;
}

struct tm_expr *sx_field(struct sx *sx, struct tm_expr *base, size_t field)
{
	struct tm_expr *r = sx_call_expr(sx, &sx_kernel_field, "getfield", base->type->children[field],
					 base->nullable || base->type->nullable[field], &base, 1);
	r->bound = (const void *)(uintptr_t)field;
	r->text = sx_text(sx, "%.*s.%.*s", TM_STR_ARG(base->text), TM_STR_ARG(base->type->names[field]));
	return r;
}

tm_rc sx_cast(struct sx *sx, struct tm_expr *e, const struct tm_type *to, struct tm_expr **ret)
{
	if (tm_type_same(e->type, to)) {
		*ret = e;
		return TM_OK;
	}
	struct tm_expr *r;
	TM_TRY(sx_at(sx, e->line, e->column_no,
		     tm_cast_bind(sx->arena, sx->session, e, to, sx->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY, &r, sx->err)));
	if (r != e) {
		r->text = e->text;
		r->line = e->line;
		r->column_no = e->column_no;
	}
	*ret = r;
	return TM_OK;
}

tm_rc sx_common_type(struct sx *sx, struct tm_expr *const *items, size_t n, const struct tm_type **ret)
{
	const struct tm_type *t = items[0]->type;
	for (size_t i = 1; i < n && t; i++)
		t = tm_type_common(sx->arena, t, items[i]->type, sx->session->ansi);
	*ret = t;
	return TM_OK;
}
