/* The evaluator: walks an expression tree once per batch, a kernel per node. Constants stay constant: a call whose arguments are
 * all constant is computed for one row. Null-in-null-out kernels get their validity here. Lazy kernels ask for the rows they need;
 * then only the columns that the expression uses are gathered. Nothing is kept between batches. */
#include "stream/expr.h"

/* A constant for `rows` rows; the children of structs alike. */
static void set_rows(struct tm_column *c, struct tm_arena *arena, size_t rows, bool constant)
{
	c->rows = rows;
	c->constant = constant;
	if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
		struct tm_column *children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
		memcpy(children, c->children, c->type->child_count * sizeof *children);
		c->children = children;
		for (size_t i = 0; i < c->type->child_count; i++)
			set_rows(&children[i], arena, rows, constant);
	}
}

static bool all_constant(const struct tm_column *c)
{
	if (!c->constant)
		return false;
	if (c->type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < c->type->child_count; i++)
			if (!all_constant(&c->children[i]))
				return false;
	return true;
}

static void flatten(struct tm_column *c, struct tm_arena *arena)
{
	if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
		struct tm_column *children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
		memcpy(children, c->children, c->type->child_count * sizeof *children);
		c->children = children;
		for (size_t i = 0; i < c->type->child_count; i++)
			flatten(&children[i], arena);
		if (c->constant) {
			if (c->valid) {
				uint8_t *valid = tm_arena_alloc(arena, c->rows ? c->rows : 1);
				memset(valid, c->valid[0], c->rows ? c->rows : 1);
				c->valid = valid;
			}
			c->constant = false;
		}
		return;
	}
	tm_column_flatten(c, arena);
}

/* ret->valid = ret->valid AND the arguments'. */
static void and_valid(struct tm_eval *ev, const struct tm_column *args, size_t n, struct tm_column *ret)
{
	bool shared = true; /* ret->valid is still an argument's own array */
	if (ret->type->kind == TM_T_NULL)
		return;
	for (size_t a = 0; a < n; a++) {
		const uint8_t *from = args[a].valid;
		if (!from || (args[a].constant && from[0]))
			continue;
		if (!ret->valid && !args[a].constant) {
			ret->valid = args[a].valid;
			continue;
		}
		if (shared) {
			size_t rows = ret->rows ? ret->rows : 1;
			uint8_t *own = tm_arena_alloc(ev->arena, rows);
			if (ret->valid)
				memcpy(own, ret->valid, rows);
			else
				memset(own, 1, rows);
			ret->valid = own;
			shared = false;
		}
		for (size_t i = 0; i < ret->rows; i++)
			ret->valid[i] &= from[args[a].constant ? 0 : i];
	}
}

static tm_rc at_expr(struct tm_eval *ev, const struct tm_expr *e, tm_rc rc)
{
	if (rc != TM_OK && ev->err && !ev->err->line && e->line)
		tm_err_at(ev->err, NULL, e->line, e->column_no);
	return rc;
}

static tm_rc eval_call(struct tm_eval *ev, const struct tm_expr *e, struct tm_column *ret)
{
	const struct tm_kernel *k = e->kernel;
	if (k->eval_lazy)
		return at_expr(ev, e, k->eval_lazy(ev, e, ret));
	struct tm_column small[6], *args = e->arg_count <= 6 ? small : TM_NEW_N(ev->arena, struct tm_column, e->arg_count);
	bool constant = e->arg_count > 0 && !(k->flags & TM_KERNEL_VOLATILE);
	for (size_t i = 0; i < e->arg_count; i++) {
		if (e->args[i]->kind == TM_EXPR_LAMBDA) {
			args[i] = (struct tm_column){.type = &tm_type_null, .rows = ev->rows, .constant = true};
			constant = false;
			continue;
		}
		TM_TRY(tm_expr_eval(ev, e->args[i], &args[i]));
		constant = constant && all_constant(&args[i]);
	}
	if (k->flags & TM_KERNEL_NULL_IN_NULL_OUT)
		for (size_t i = 0; i < e->arg_count; i++)
			if (args[i].type->kind == TM_T_NULL || (args[i].constant && args[i].valid && !args[i].valid[0])) {
				tm_column_init_null(ret, ev->arena, e->type, ev->rows);
				return TM_OK;
			}
	size_t rows = ev->rows;
	if (constant && rows != 1) {
		/* One row stands for all. Evaluated even for an empty batch's sake only where there are rows. */
		if (!rows) {
			tm_column_init(ret, ev->arena, e->type, 0);
			return TM_OK;
		}
		ev->rows = 1;
		for (size_t i = 0; i < e->arg_count; i++)
			set_rows(&args[i], ev->arena, 1, k->flags & TM_KERNEL_CONSTANTS);
	} else if (!(k->flags & TM_KERNEL_CONSTANTS)) {
		for (size_t i = 0; i < e->arg_count; i++)
			if (e->args[i]->kind != TM_EXPR_LAMBDA)
				flatten(&args[i], ev->arena);
	}
	tm_rc rc = k->eval(ev, e, args, ret);
	if (rc == TM_OK && (k->flags & TM_KERNEL_NULL_IN_NULL_OUT) && !ret->constant)
		and_valid(ev, args, e->arg_count, ret);
	if (ev->rows != rows) {
		ev->rows = rows;
		if (rc == TM_OK)
			set_rows(ret, ev->arena, rows, true);
	}
	return at_expr(ev, e, rc);
}

tm_rc tm_expr_eval(struct tm_eval *ev, const struct tm_expr *expr, struct tm_column *ret)
{
	switch (expr->kind) {
	case TM_EXPR_COLUMN:
		TM_ASSERT(expr->column < ev->in->column_count);
		*ret = ev->in->columns[expr->column];
		return TM_OK;
	case TM_EXPR_LITERAL:
		*ret = expr->literal;
		set_rows(ret, ev->arena, ev->rows, true);
		return TM_OK;
	case TM_EXPR_LAMBDA_VARIABLE:
		TM_ASSERT(expr->column < ev->lambda_count && ev->lambda[expr->column]);
		*ret = *ev->lambda[expr->column];
		return TM_OK;
	case TM_EXPR_CALL:
		return eval_call(ev, expr, ret);
	case TM_EXPR_LAMBDA:
		break;
	}
	return tm_fail(ev->err, TM_INTERNAL, "an expression of kind %d cannot be evaluated", (int)expr->kind);
}

/* Which columns and lambda variables an expression reads. */
static void mark_used(const struct tm_expr *e, uint8_t *columns, size_t column_count, uint8_t *variables, size_t variable_count)
{
	if (e->kind == TM_EXPR_COLUMN && e->column < column_count)
		columns[e->column] = 1;
	else if (e->kind == TM_EXPR_LAMBDA_VARIABLE && e->column < variable_count)
		variables[e->column] = 1;
	for (size_t i = 0; i < e->arg_count; i++)
		mark_used(e->args[i], columns, column_count, variables, variable_count);
}

/* ev's input gathered by rows, only what e reads. */
static void gather(const struct tm_eval *ev, const struct tm_expr *e, const uint32_t *rows, size_t n, size_t lambda_count,
		   struct tm_batch *ret_batch, const struct tm_column ***ret_lambda)
{
	struct tm_arena *arena = ev->arena;
	size_t columns = ev->in ? ev->in->column_count : 0;
	uint8_t *used = TM_NEW_N(arena, uint8_t, columns + ev->lambda_count + 1);
	mark_used(e, used, columns, used + columns, ev->lambda_count);
	*ret_batch = (struct tm_batch){.rows = n, .column_count = columns, .columns = TM_NEW_N(arena, struct tm_column, columns + 1)};
	for (size_t i = 0; i < columns; i++)
		if (used[i])
			tm_column_take(&ret_batch->columns[i], arena, &ev->in->columns[i], rows, n);
	if (lambda_count < ev->lambda_count)
		lambda_count = ev->lambda_count;
	const struct tm_column **lambda = TM_NEW_N(arena, const struct tm_column *, lambda_count + 1);
	for (size_t i = 0; i < ev->lambda_count; i++)
		if (used[columns + i] && ev->lambda[i]) {
			struct tm_column *taken = TM_NEW(arena, struct tm_column);
			tm_column_take(taken, arena, ev->lambda[i], rows, n);
			lambda[i] = taken;
		}
	*ret_lambda = lambda;
}

tm_rc tm_expr_eval_rows(struct tm_eval *ev, const struct tm_expr *expr, const uint32_t *rows, size_t count, struct tm_column *ret)
{
	if (count == 0) {
		tm_column_init(ret, ev->arena, expr->type, 0);
		return TM_OK;
	}
	if (expr->kind == TM_EXPR_LITERAL) {
		*ret = expr->literal;
		set_rows(ret, ev->arena, count, true);
		return TM_OK;
	}
	/* Rows are ascending: as many as there are means all of them. */
	if (count == ev->rows)
		return tm_expr_eval(ev, expr, ret);
	if (expr->kind == TM_EXPR_COLUMN) {
		tm_column_take(ret, ev->arena, &ev->in->columns[expr->column], rows, count);
		return TM_OK;
	}
	struct tm_batch in;
	const struct tm_column **lambda;
	gather(ev, expr, rows, count, 0, &in, &lambda);
	struct tm_eval sub = *ev;
	sub.corrupt = NULL; /* its rows are others */
	sub.in = &in;
	sub.rows = count;
	sub.lambda = lambda;
	return tm_expr_eval(&sub, expr, ret);
}

tm_rc tm_lambda_eval(struct tm_eval *ev, const struct tm_expr *lambda, const struct tm_column *values, const uint32_t *outer_rows, size_t n,
		     struct tm_column *ret)
{
	const struct tm_expr *body = lambda->args[0];
	size_t count = ev->lambda_count;
	if (n == 0) {
		tm_column_init(ret, ev->arena, body->type, 0);
		return TM_OK;
	}
	for (size_t i = 0; i < lambda->variable_count; i++)
		if (lambda->variables[i] >= count)
			count = lambda->variables[i] + 1;
	struct tm_batch in;
	const struct tm_column **variables;
	gather(ev, body, outer_rows, n, count, &in, &variables);
	for (size_t i = 0; i < lambda->variable_count; i++)
		variables[lambda->variables[i]] = &values[i];
	struct tm_eval sub = *ev;
	sub.corrupt = NULL; /* its rows are others */
	sub.in = &in;
	sub.rows = n;
	sub.lambda = variables;
	sub.lambda_count = count;
	return tm_expr_eval(&sub, body, ret);
}

tm_rc tm_expr_filter(struct tm_eval *ev, const struct tm_expr *expr, uint32_t **ret_rows, size_t *ret_count)
{
	struct tm_column c;
	size_t n = 0;
	TM_TRY(tm_expr_eval(ev, expr, &c));
	uint32_t *rows = tm_arena_alloc(ev->arena, tm_mul_size(ev->rows + 1, sizeof *rows));
	if (c.constant || c.type->kind == TM_T_NULL) {
		if (c.type->kind != TM_T_NULL && ev->rows && !tm_is_null(&c, 0) && c.boolean[0])
			for (; n < ev->rows; n++)
				rows[n] = (uint32_t)n;
	} else if (c.valid) {
		for (size_t i = 0; i < ev->rows; i++) {
			rows[n] = (uint32_t)i;
			n += c.boolean[i] & c.valid[i];
		}
	} else {
		for (size_t i = 0; i < ev->rows; i++) {
			rows[n] = (uint32_t)i;
			n += c.boolean[i];
		}
	}
	*ret_rows = rows;
	*ret_count = n;
	return TM_OK;
}
