/* PIVOT: values of a column become columns; UNPIVOT: the other way. */
#include "sql/sql_int.h"

static bool reads_column(const struct tm_expr *e, void *ctx) { return e->kind == TM_EXPR_COLUMN && e->column == *(size_t *)ctx; }

/* The columns of op; its first ones were kept and are still found by the names of their relations. */
static void keep_columns(struct sx *sx, struct tm_op *op, const struct ast_names *qualifiers, size_t kept, struct sx_rel *ret)
{
	*ret = (struct sx_rel){.op = op};
	sx_rel_add_columns(sx, ret, op, 0, (struct tm_str){0});
	for (size_t i = 0; i < kept; i++)
		ret->columns.items[i].qualifier = qualifiers[i];
}

/* ---- PIVOT ---- grouping by all columns that it does not name; the aggregates once per value, filtered by it */
struct pivot {
	struct sx *sx;
	struct sx_env env;
	const struct ast_pivot *ast;
	struct tm_op *op; /* the aggregation */
	struct tm_expr **exprs, **columns;
	size_t expr_count, column_count, agg_count; /* agg_count: of all expressions */
	/* while one expression is made for one value */
	struct tm_expr *condition;
	bool plain_column;
};

/* An aggregate function in an expression becomes a column of the aggregation, which counts the value's rows only. */
static struct tm_expr *filtered(void *ctx, struct tm_expr *e)
{
	struct pivot *p = ctx;
	struct sx *sx = p->sx;
	if (e->kind == TM_EXPR_COLUMN)
		p->plain_column = true;
	if (sx_kind(e) != SX_AGG)
		return NULL;
	struct tm_agg *agg = TM_NEW(sx->arena, struct tm_agg);
	*agg = *(const struct tm_agg *)e->bound;
	struct tm_expr *both[2] = {agg->filter, p->condition};
	agg->filter = agg->filter ? sx_and(sx, both, 2) : p->condition;
	size_t column = p->op->schema.count;
	p->op->aggregate.aggs[p->op->aggregate.agg_count++] = agg;
	sx_schema_add(sx, p->op, e->text, agg->type, true);
	return sx_column_expr(sx, column, agg->type, true, e->text);
}

/* Spark groups by the pivot's column, too, and then picks: a value that has no rows in a group is null, whatever the aggregate says
 * of no rows. Where a result is of another type than its PivotFirst takes, it filters as we do. */
static bool picks(const struct pivot *p)
{
	for (size_t k = 0; k < p->expr_count; k++)
		if (!tm_type_numeric(p->exprs[k]->type) && p->exprs[k]->type->kind != TM_T_BOOLEAN)
			return false;
	return true;
}

static tm_rc has_rows(struct pivot *p, struct tm_expr **ret)
{
	struct tm_expr *one = sx_literal_int(p->sx, 1), *pair[2];
	TM_TRY(sx_call(&p->env, "count", &one, 1, p->ast->line, p->ast->column, &pair[0]));
	pair[0] = sx_rewrite(p->sx, pair[0], filtered, NULL, p);
	pair[1] = sx_literal_bigint(p->sx, 0);
	return sx_call(&p->env, ">", pair, 2, p->ast->line, p->ast->column, ret);
}

static bool counts_aggregate(const struct tm_expr *e, void *ctx)
{
	*(size_t *)ctx += sx_kind(e) == SX_AGG;
	return false;
}

static tm_rc resolve(struct pivot *p)
{
	const struct ast_pivot *v = p->ast;
	for (size_t i = 0; i < p->expr_count; i++) {
		size_t before = p->agg_count;
		TM_TRY(sx_resolve(&p->env, v->aggregates.items[i], &p->exprs[i]));
		(void)sx_any(p->exprs[i], counts_aggregate, &p->agg_count);
		if (p->agg_count == before)
			return sx_fail(p->sx, v->line, v->column, "UNSUPPORTED_FEATURE.PIVOT_EXPRESSION", "0A000",
				       "PIVOT takes aggregate functions, not \"%.*s\".", TM_STR_ARG(p->exprs[i]->text));
	}
	for (size_t i = 0; i < p->column_count; i++)
		TM_TRY(sx_resolve(&p->env, v->columns.items[i], &p->columns[i]));
	return TM_OK;
}

/* The value as a text, as its column is called. */
static tm_rc value_text(struct pivot *p, struct tm_expr *value, struct tm_str *ret)
{
	struct tm_expr *text;
	TM_TRY(sx_cast(p->sx, value, &tm_type_string, &text));
	const struct tm_column *v = sx_value(p->sx, text);
	*ret = !v ? value->text : tm_is_null(v, 0) ? TM_STR("null") : tm_arena_str(p->sx->arena, v->str[0]);
	return TM_OK;
}

/* Is the row's value the i-th one? *ret_text: how that is called. */
static tm_rc value_condition(struct pivot *p, size_t i, struct tm_expr **ret, struct tm_str *ret_text)
{
	struct sx *sx = p->sx;
	const struct ast_expr *value = p->ast->values.items[i].expr;
	*ret = NULL;
	for (size_t k = 0; k < p->column_count; k++) {
		struct tm_expr *pair[2] = {p->columns[k], NULL}, *both[2] = {*ret, NULL};
		TM_TRY(sx_resolve(&p->env, p->column_count > 1 ? value->args.items[k] : value, &pair[1]));
		struct tm_str text;
		TM_TRY(value_text(p, pair[1], &text));
		*ret_text = k ? sx_text(sx, "%.*s, %.*s", TM_STR_ARG(*ret_text), TM_STR_ARG(text)) : text;
		TM_TRY(sx_call(&p->env, "<=>", pair, 2, p->ast->line, p->ast->column, &both[1]));
		*ret = *ret ? sx_and(sx, both, 2) : both[1];
	}
	if (p->ast->values.items[i].alias.at)
		*ret_text = p->ast->values.items[i].alias;
	else if (p->column_count > 1)
		*ret_text = sx_text(sx, "{%.*s}", TM_STR_ARG(*ret_text));
	return TM_OK;
}

static tm_rc pivot(struct sx_env *env, const struct ast_pivot *v, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	struct tm_op *in = io->op;
	struct pivot p = {.sx = sx, .env = *env, .ast = v, .expr_count = v->aggregates.count, .column_count = v->columns.count};
	size_t n = p.expr_count, kept = 0;
	p.env.columns = &io->columns;
	if (in->streaming)
		return sx_fail(sx, v->line, v->column, "_LEGACY_ERROR_TEMP_3102", "",
			       "Multiple streaming aggregations are not supported: PIVOT on a stream.");
	p.exprs = TM_NEW_N(sx->arena, struct tm_expr *, n);
	p.columns = TM_NEW_N(sx->arena, struct tm_expr *, p.column_count);
	TM_TRY(resolve(&p));
	p.op = sx_op(sx, TM_OP_AGGREGATE, in, NULL);
	p.op->aggregate.keys = TM_NEW_N(sx->arena, struct tm_expr *, io->columns.count + 1);
	p.op->aggregate.aggs = TM_NEW_N(sx->arena, struct tm_agg *, v->values.count * (p.agg_count + 1) + 1);
	p.op->aggregate.event_time_key = -1;
	struct ast_names *qualifiers = TM_NEW_N(sx->arena, struct ast_names, io->columns.count + 1);
	struct tm_expr **out = TM_NEW_N(sx->arena, struct tm_expr *, io->columns.count + v->values.count * n + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, io->columns.count + v->values.count * n + 1);
	for (size_t i = 0; i < io->columns.count; i++) {
		const struct sx_column *c = &io->columns.items[i];
		size_t index = c->index;
		bool used = c->hidden || c->expr;
		for (size_t k = 0; k < n; k++)
			used = used || sx_any(p.exprs[k], reads_column, &index);
		for (size_t k = 0; k < p.column_count; k++)
			used = used || sx_any(p.columns[k], reads_column, &index);
		if (used)
			continue;
		qualifiers[kept] = c->qualifier;
		p.op->aggregate.keys[kept] = sx_op_column(sx, in, index);
		sx_schema_add(sx, p.op, c->name, c->type, c->nullable);
		out[kept] = sx_column_expr(sx, kept, c->type, c->nullable, c->name);
		names[kept++] = c->name;
	}
	p.op->aggregate.key_count = kept;
	p.op->aggregate.global = kept == 0;
	size_t count = kept;
	for (size_t i = 0; i < v->values.count; i++) {
		struct tm_str base;
		struct tm_expr *there = NULL;
		TM_TRY(value_condition(&p, i, &p.condition, &base));
		if (picks(&p))
			TM_TRY(has_rows(&p, &there));
		for (size_t k = 0; k < n; k++) {
			const struct ast_expr *ast = v->aggregates.items[k];
			struct tm_str alias = ast->kind == AST_ALIAS ? ast->names.items[0] : p.exprs[k]->text;
			p.plain_column = false;
			out[count] = sx_rewrite(sx, p.exprs[k], filtered, NULL, &p);
			if (p.plain_column)
				return sx_fail(sx, v->line, v->column, "UNSUPPORTED_FEATURE.PIVOT_EXPRESSION", "0A000",
					       "PIVOT takes aggregate functions, not the plain column in \"%.*s\".",
					       TM_STR_ARG(p.exprs[k]->text));
			if (there)
				out[count] = sx_if(sx, there, out[count], sx_literal_null(sx, out[count]->type));
			names[count++] = n == 1 ? base : sx_text(sx, "%.*s_%.*s", TM_STR_ARG(base), TM_STR_ARG(alias));
		}
	}
	keep_columns(sx, sx_op_project(sx, p.op, out, names, count), qualifiers, kept, io);
	return TM_OK;
}

/* ---- UNPIVOT ---- */
static tm_rc unpivot(struct sx_env *env, const struct ast_pivot *v, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	struct sx_env inner = *env;
	size_t n = v->columns.count, kept = 0;
	struct tm_expr **values = TM_NEW_N(sx->arena, struct tm_expr *, n),
		       **keep = TM_NEW_N(sx->arena, struct tm_expr *, io->columns.count + 1);
	struct ast_names *qualifiers = TM_NEW_N(sx->arena, struct ast_names, io->columns.count + 1);
	struct tm_str *labels = TM_NEW_N(sx->arena, struct tm_str, n);
	const struct tm_type *type;
	inner.columns = &io->columns;
	for (size_t i = 0; i < n; i++) {
		const struct ast_expr *ast = v->columns.items[i];
		TM_TRY(sx_resolve(&inner, ast, &values[i]));
		labels[i] = ast->kind == AST_ALIAS ? ast->names.items[0] : values[i]->text;
	}
	TM_TRY(sx_common_type(sx, values, n, &type));
	if (!type)
		return sx_fail(sx, v->line, v->column, "UNPIVOT_VALUE_DATA_TYPE_MISMATCH", "42K09",
			       "Unpivot value columns must share a least common type.");
	for (size_t i = 0; i < io->columns.count; i++) {
		const struct sx_column *c = &io->columns.items[i];
		size_t index = c->index;
		bool used = c->hidden;
		for (size_t k = 0; k < n; k++)
			used = used || sx_any(values[k], reads_column, &index);
		if (used)
			continue;
		qualifiers[kept] = c->qualifier;
		keep[kept++] = c->expr ? c->expr : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
	}
	struct tm_op *op = sx_op(sx, TM_OP_EXPAND, io->op, NULL);
	for (size_t i = 0; i < kept; i++)
		sx_schema_add(sx, op, keep[i]->text, keep[i]->type, keep[i]->nullable);
	sx_schema_add(sx, op, v->name_name, &tm_type_string, false);
	sx_schema_add(sx, op, v->value_name, type, true);
	op->expand_guarded.count = n;
	op->expand_guarded.projections = TM_NEW_N(sx->arena, struct tm_expr **, n);
	op->expand_guarded.guards = TM_NEW_N(sx->arena, struct tm_expr *, n);
	for (size_t k = 0; k < n; k++) {
		struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, kept + 2);
		for (size_t i = 0; i < kept; i++)
			exprs[i] = keep[i];
		exprs[kept] = sx_literal_str(sx, labels[k]);
		TM_TRY(sx_cast(sx, values[k], type, &exprs[kept + 1]));
		if (!v->include_nulls)
			op->expand_guarded.guards[k] = sx_is_null(sx, values[k], true);
		op->expand_guarded.projections[k] = exprs;
	}
	keep_columns(sx, op, qualifiers, kept, io);
	return TM_OK;
}

tm_rc sx_pivot(struct sx_env *env, const struct ast_pivot *v, struct sx_rel *io)
{
	return v->unpivot ? unpivot(env, v, io) : pivot(env, v, io);
}
