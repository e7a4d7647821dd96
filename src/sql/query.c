/* Queries around blocks: WITH, set operations, ORDER BY over their result, LIMIT, PIVOT. */
#include "sql/domain.h"

static tm_rc body(struct sx_env *env, const struct ast_body *b, const struct ast_query *tail, struct sx_rel *ret);

/* ---- set operations ---- */
static tm_rc coerce(struct sx *sx, struct sx_rel *rel, const struct tm_type **types, size_t domain)
{
	size_t n = rel->columns.count;
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + domain + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + domain + 1);
	bool changed = rel->op->schema.count != n + domain;
	for (size_t i = 0; i < n; i++) {
		const struct sx_column *c = &rel->columns.items[i];
		struct tm_expr *e = c->expr ? c->expr : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
		TM_TRY(sx_cast(sx, e, types[i], &exprs[i]));
		names[i] = c->name;
		changed = changed || exprs[i]->kind != TM_EXPR_COLUMN || exprs[i]->column != i;
	}
	for (size_t i = 0; i < domain; i++) {
		exprs[n + i] = sx_op_column(sx, rel->op, rel->domain_at + i);
		names[n + i] = TM_STR("outer_key");
	}
	if (changed)
		rel->op = sx_op_project(sx, rel->op, exprs, names, n + domain);
	return TM_OK;
}

tm_rc sx_distinct(struct sx *sx, struct sx_rel *io, int line, int column)
{
	/* Of a stream: grouping without functions, as Spark plans it, with an aggregation's output modes. */
	struct tm_op *op = sx_op(sx, io->op->streaming ? TM_OP_AGGREGATE : TM_OP_DEDUPLICATE, io->op, NULL);
	size_t n = io->op->schema.count, *columns = TM_NEW_N(sx->arena, size_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct tm_field *f = &io->op->schema.fields[i];
		if (f->type->kind == TM_T_MAP)
			return sx_fail(sx, line, column, "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE", "0A000",
				       "The feature is not supported: Cannot have MAP type columns in a set operation (INTERSECT, EXCEPT, "
				       "etc.), but the type of column `%.*s` is \"%s\".",
				       TM_STR_ARG(f->name), sx_type_sql(sx, f->type));
		columns[i] = i;
	}
	sx_schema_copy(sx, op, io->op);
	if (op->kind == TM_OP_AGGREGATE) {
		op->aggregate.keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
		for (size_t i = 0; i < n; i++)
			op->aggregate.keys[i] = sx_op_column(sx, io->op, i);
		op->aggregate.key_count = n;
		op->aggregate.aggs = TM_NEW_N(sx->arena, struct tm_agg *, 1);
		op->aggregate.event_time_key = -1;
		op->line = line;
		op->column_no = column;
		io->op = op;
		return TM_OK;
	}
	op->deduplicate.columns = columns;
	op->deduplicate.column_count = n;
	op->deduplicate.event_time_column = -1;
	op->line = line;
	op->column_no = column;
	io->op = op;
	return TM_OK;
}

static tm_rc setop(struct sx_env *env, const struct ast_body *b, struct sx_rel *ret)
{
	static const char *const names[] = {[AST_UNION] = "UNION", [AST_INTERSECT] = "INTERSECT", [AST_EXCEPT] = "EXCEPT"};
	struct sx *sx = env->sx;
	struct sx_env inner = *env;
	struct sx_rel left = {0}, right = {0};
	inner.correlations = NULL;
	TM_TRY(body(&inner, b->left, NULL, &left));
	TM_TRY(body(&inner, b->right, NULL, &right));
	if (left.columns.count != right.columns.count)
		return sx_fail(sx, b->line, b->column, "NUM_COLUMNS_MISMATCH", "42826",
			       "%s can only be performed on inputs with the same number of columns, but the first input has %zu columns "
			       "and the second input has %zu columns.",
			       names[b->setop], left.columns.count, right.columns.count);
	size_t n = left.columns.count;
	const struct tm_type **types = TM_NEW_N(sx->arena, const struct tm_type *, n + 1);
	for (size_t i = 0; i < n; i++) {
		types[i] = tm_type_common(sx->arena, left.columns.items[i].type, right.columns.items[i].type, sx->session->ansi);
		if (!types[i])
			return sx_fail(sx, b->line, b->column, "INCOMPATIBLE_COLUMN_TYPE", "42825",
				       "%s can only be performed on tables with compatible column types. The %zu column of the second "
				       "table is \"%s\" type which is not compatible with \"%s\" at the same column of the first table.",
				       names[b->setop], i + 1, sx_type_sql(sx, right.columns.items[i].type),
				       sx_type_sql(sx, left.columns.items[i].type));
		if (types[i]->kind == TM_T_MAP && !(b->setop == AST_UNION && b->all))
			return sx_fail(sx, b->line, b->column, "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE", "0A000",
				       "The feature is not supported: Cannot have MAP type columns in a set operation (INTERSECT, EXCEPT, "
				       "etc.), but the type of column `%.*s` is \"%s\".",
				       TM_STR_ARG(left.columns.items[i].name), sx_type_sql(sx, types[i]));
	}
	size_t domain = env->carry ? env->domain->width : 0;
	TM_TRY(coerce(sx, &left, types, domain));
	TM_TRY(coerce(sx, &right, types, domain));
	struct tm_op *op = sx_op(sx, b->setop == AST_UNION ? TM_OP_UNION : TM_OP_SET, left.op, right.op);
	op->line = b->line;
	op->column_no = b->column;
	if (b->setop != AST_UNION) {
		op->set.kind = b->setop == AST_INTERSECT ? TM_SET_INTERSECT : TM_SET_EXCEPT;
		op->set.all = b->all;
	}
	*ret = (struct sx_rel){.op = op};
	for (size_t i = 0; i < n; i++) {
		bool nullable = left.columns.items[i].nullable || (b->setop == AST_UNION && right.columns.items[i].nullable);
		sx_schema_add(sx, op, left.columns.items[i].name, types[i], nullable);
		TM_PUSH_IN(sx->arena, &ret->columns,
			   (struct sx_column){.name = left.columns.items[i].name, .type = types[i], .nullable = nullable, .index = i});
	}
	ret->domain = env->carry;
	ret->domain_at = n;
	for (size_t i = 0; i < domain; i++)
		sx_schema_add(sx, op, TM_STR("outer_key"), left.op->schema.fields[n + i].type, true);
	if (b->setop == AST_UNION && !b->all)
		return sx_distinct(sx, ret, b->line, b->column);
	return TM_OK;
}

static tm_rc body(struct sx_env *env, const struct ast_body *b, const struct ast_query *tail, struct sx_rel *ret)
{
	*ret = (struct sx_rel){0};
	switch (b->kind) {
	case AST_SELECT:
		return sx_body(env, b, tail, ret);
	case AST_SETOP:
		return setop(env, b, ret);
	case AST_QUERY:
		return sx_query(env, b->query, ret);
	case AST_TABLE:
		TM_TRY(sx_relation(env, b->from, ret));
		if (env->carry)
			sx_carry_behind(env, ret);
		return TM_OK;
	}
	return tm_fail(env->sx->err, TM_INTERNAL, "a query body of kind %d", (int)b->kind);
}

/* ---- ORDER BY over a result, LIMIT ---- */
tm_rc sx_order_limit(struct sx_env *env, const struct ast_query *q, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	struct sx_env inner = {.sx = sx, .columns = &io->columns, .ctes = env->ctes};
	size_t n = q->order_all ? io->columns.count : q->order.count;
	if (!n)
		return TM_OK;
	struct tm_op *op = sx_op(sx, TM_OP_SORT, io->op, NULL);
	sx_schema_copy(sx, op, io->op);
	op->sort.key_count = n;
	op->sort.keys = TM_NEW_N(sx->arena, struct tm_sort_key, n);
	for (size_t i = 0; i < n; i++) {
		struct tm_sort_key *k = &op->sort.keys[i];
		const struct ast_expr *ast = q->order_all ? NULL : q->order.items[i].expr;
		int64_t v = (int64_t)i + 1;
		if (!ast || (ast->kind == AST_LITERAL && ast->literal == AST_LIT_INTEGER && tm_str_to_i64(ast->text, &v))) {
			if (v < 1 || (size_t)v > io->columns.count)
				return sx_fail(sx, ast ? ast->line : q->line, ast ? ast->column : q->column, "ORDER_BY_POS_OUT_OF_RANGE",
					       "42805", "ORDER BY position %lld is not in select list (valid range is [1, %zu]).",
					       (long long)v, io->columns.count);
			const struct sx_column *c = &io->columns.items[v - 1];
			k->expr = c->expr ? c->expr : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
		} else {
			TM_TRY(sx_resolve(&inner, ast, &k->expr));
		}
		if (!tm_type_orderable(k->expr->type) && k->expr->type->kind != TM_T_NULL)
			return sx_fail_unorderable(sx, q->line, q->column, k->expr->text, "sortorder", k->expr->type);
		k->descending = q->order_all ? q->order_all_desc : q->order.items[i].descending;
		k->nulls_last = q->order_all ? q->order_all_nulls_last : q->order.items[i].nulls_last;
	}
	io->op = op;
	return TM_OK;
}

static tm_rc limit_value(struct sx_env *env, const struct ast_expr *ast, const char *name, int64_t *ret)
{
	struct sx *sx = env->sx;
	struct sx_env plain = {.sx = sx};
	struct tm_expr *e;
	TM_TRY(sx_resolve(&plain, ast, &e));
	const struct tm_column *v = sx_value(sx, e);
	if (!v)
		return sx_fail(sx, ast->line, ast->column, "INVALID_LIMIT_LIKE_EXPRESSION.IS_UNFOLDABLE", "42K0E",
			       "The limit like expression \"%.*s\" is invalid. The %s expression must evaluate to a constant value.",
			       TM_STR_ARG(e->text), name);
	if (!tm_type_integral(e->type))
		return sx_fail(sx, ast->line, ast->column, "INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE", "42K0E",
			       "The limit like expression \"%.*s\" is invalid. The %s expression must be integer type, but got \"%s\".",
			       TM_STR_ARG(e->text), name, sx_type_sql(sx, e->type));
	if (tm_is_null(v, 0))
		return sx_fail(sx, ast->line, ast->column, "INVALID_LIMIT_LIKE_EXPRESSION.IS_NULL", "42K0E",
			       "The limit like expression \"%.*s\" is invalid. The evaluated %s expression must not be null.",
			       TM_STR_ARG(e->text), name);
	TM_TRY(sx_cast(sx, e, &tm_type_bigint, &e));
	v = sx_value(sx, e);
	*ret = v ? v->i64[0] : 0;
	if (*ret < 0)
		return sx_fail(
		    sx, ast->line, ast->column, "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE", "42K0E",
		    "The limit like expression \"%.*s\" is invalid. The %s expression must be equal to or greater than 0, but got %lld.",
		    TM_STR_ARG(e->text), name, (long long)*ret);
	return TM_OK;
}

tm_rc sx_limit(struct sx_env *env, const struct ast_query *q, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	if (!q->limit && !q->offset)
		return TM_OK;
	if (env->domain && !env->carry && env->domain->refs)
		env->domain->beyond = true; /* of every outer row's own rows */
	struct tm_op *op = sx_op(sx, TM_OP_LIMIT, io->op, NULL);
	sx_schema_copy(sx, op, io->op);
	op->limit.count = -1;
	if (q->limit)
		TM_TRY(limit_value(env, q->limit, "limit", &op->limit.count));
	if (q->offset)
		TM_TRY(limit_value(env, q->offset, "offset", &op->limit.offset));
	if (env->carry)
		return sx_domain_limit(env, op->limit.count, op->limit.offset, io);
	io->op = op;
	return TM_OK;
}

tm_rc sx_query(struct sx_env *env, const struct ast_query *q, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_env inner = *env;
	for (size_t i = 0; i < q->ctes.count; i++) {
		struct sx_cte *c = TM_NEW(sx->arena, struct sx_cte);
		*c = (struct sx_cte){.name = q->ctes.items[i].name,
				     .columns = q->ctes.items[i].columns,
				     .query = q->ctes.items[i].query,
				     .next = inner.ctes,
				     .outer = env->outer};
		for (size_t k = 0; k < i; k++)
			if (tm_str_ieq(q->ctes.items[k].name, c->name))
				return sx_fail(sx, q->line, q->column, "DUPLICATED_CTE_NAMES", "42000",
					       "CTE definition can't have duplicate names: `%.*s`.", TM_STR_ARG(c->name));
		inner.ctes = c;
	}
	bool select = q->body->kind == AST_SELECT;
	TM_TRY(body(&inner, q->body, select && (q->order.count || q->order_all) ? q : NULL, ret));
	if (!select)
		TM_TRY(sx_order_limit(&inner, q, ret));
	return sx_limit(&inner, q, ret);
}
