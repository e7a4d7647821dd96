/* Subqueries in expressions. Each becomes a join: EXISTS and IN as conditions of WHERE a semi or anti join, a scalar subquery a
 * left join with at most one row per key, EXISTS and IN inside other expressions a left join with a marker column. Correlation
 * is by equality in the subquery's WHERE: the inner sides become columns of the subquery, the outer sides the other join keys. */
#include "sql/sql_int.h"

static tm_rc analyse(struct sx_env *env, const struct ast_expr *e, struct sx_correlations *correlations, struct sx_rel *rel,
		     struct sx_subquery *s, struct tm_expr *placeholder, struct tm_expr **values, size_t value_count)
{
	struct sx *sx = env->sx;
	struct sx_env inner = {.sx = sx, .outer = env, .correlations = correlations, .ctes = env->ctes};
	TM_TRY(sx_query(&inner, e->query, rel));
	if (rel->op->streaming)
		return sx_fail(sx, e->line, e->column, "INVALID_SUBQUERY_EXPRESSION.STREAMING_QUERY", "42823",
			       "Invalid subquery: Streaming query is not allowed in subquery expression.");
	s->op = rel->op;
	s->value_count = rel->columns.count;
	s->key_count = correlations->count;
	s->line = e->line;
	s->column = e->column;
	s->null_safe = TM_NEW_N(sx->arena, bool, correlations->count + 1);
	placeholder->arg_count = value_count + correlations->count;
	placeholder->args = TM_NEW_N(sx->arena, struct tm_expr *, placeholder->arg_count + 1);
	for (size_t i = 0; i < value_count; i++)
		placeholder->args[i] = values[i];
	for (size_t i = 0; i < correlations->count; i++) {
		placeholder->args[value_count + i] = correlations->items[i].outer;
		s->null_safe[i] = correlations->items[i].null_safe;
	}
	placeholder->bound = s;
	return TM_OK;
}

static struct tm_expr *constant_true(struct sx *sx) { return sx_literal_bool(sx, true); }

/* The value a scalar aggregate subquery has where no row matches: its projection over counts of 0 and nulls. */
static struct tm_expr *empty_value(struct sx *sx, const struct tm_op *op)
{
	const struct tm_op *agg = op;
	if (op->kind == TM_OP_PROJECT && op->input_count)
		agg = op->inputs[0];
	if (agg->kind != TM_OP_AGGREGATE || op->kind != TM_OP_PROJECT)
		return NULL;
	struct tm_expr *e = op->project.exprs[0];
	if (e->kind != TM_EXPR_COLUMN || e->column < agg->aggregate.key_count)
		return NULL;
	const struct tm_agg *a = agg->aggregate.aggs[e->column - agg->aggregate.key_count];
	return strcmp(a->kernel->name, "count") == 0 ? sx_literal_bigint(sx, 0) : NULL;
}

/* The outer columns a subquery reads, one for each place, as Spark names them in its text. */
struct outer_names {
	struct tm_buf text;
	int kind; /* of their expressions */
};
static bool add_outer(const struct tm_expr *e, void *ctx)
{
	struct outer_names *n = ctx;
	if (sx_kind(e) == n->kind)
		tm_buf_printf(&n->text, "%s%.*s", n->text.len ? ", " : "", TM_STR_ARG(e->text));
	return false;
}
static struct tm_str subquery_text(struct sx *sx, const char *name, const struct sx_correlations *c)
{
	struct outer_names n = {.kind = TM_EXPR_COLUMN};
	for (size_t i = 0; i < c->count; i++)
		sx_any(c->items[i].outer, add_outer, &n);
	n.kind = SX_OUTER;
	for (size_t i = 0; i < c->residuals.count; i++)
		sx_any(c->residuals.items[i], add_outer, &n);
	struct tm_str text = sx_text(sx, "%s(%.*s)", name, (int)n.text.len, n.text.len ? n.text.at : "");
	tm_buf_done(&n.text);
	return text;
}

tm_rc sx_resolve_subquery(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct sx_correlations *c = TM_NEW(sx->arena, struct sx_correlations);
	struct sx_subquery *s = TM_NEW(sx->arena, struct sx_subquery);
	struct sx_rel rel;
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_SUBQUERY, &tm_type_boolean, false), **values = NULL;
	size_t value_count = 0;
	s->kind = e->kind == AST_SUBQUERY ? SX_SCALAR : e->kind == AST_EXISTS ? SX_EXISTS : SX_IN;
	s->negated = e->flag;
	if (s->kind == SX_IN) {
		const struct ast_expr *left = e->args.items[0];
		bool row = left->kind == AST_CALL && left->flag && left->parenthesised;
		value_count = row ? left->args.count : 1;
		values = TM_NEW_N(sx->arena, struct tm_expr *, value_count);
		for (size_t i = 0; i < value_count; i++)
			TM_TRY(sx_resolve(env, row ? left->args.items[i] : left, &values[i]));
	}
	TM_TRY(analyse(env, e, c, &rel, s, r, values, value_count));
	if (c->residuals.count && s->kind != SX_EXISTS)
		return sx_fail(sx, e->line, e->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_COLUMN_IS_NOT_ALLOWED_IN_PREDICATE", "0A000",
			       "Correlated column is not allowed in predicate: only equality with an outer column is supported here.");
	if (s->kind == SX_SCALAR) {
		if (s->value_count != 1)
			return sx_fail(sx, e->line, e->column,
				       "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN", "42823",
				       "Invalid subquery: Scalar subquery must return only one column, but got %zu.", s->value_count);
		r->type = rel.op->schema.fields[0].type;
		r->nullable = true;
		r->text = subquery_text(sx, "scalarsubquery", c);
		s->empty = empty_value(sx, s->op);
	} else if (s->kind == SX_IN) {
		if (s->value_count != value_count)
			return sx_fail(
			    sx, e->line, e->column, "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH", "42K09",
			    "The number of columns in the left hand side of an IN subquery does not match the number of columns in the "
			    "output of subquery. Left hand side columns(length: %zu), right hand side columns(length: %zu).",
			    value_count, s->value_count);
		r->nullable = true;
		r->text = sx_text(sx, "(%.*s IN (%.*s))", TM_STR_ARG(sx_text_list(sx, values, value_count)),
				  TM_STR_ARG(subquery_text(sx, "listquery", c)));
		/* Both sides of one type. */
		struct tm_expr **columns = TM_NEW_N(sx->arena, struct tm_expr *, rel.op->schema.count);
		bool changed = false;
		for (size_t i = 0; i < rel.op->schema.count; i++) {
			columns[i] = sx_op_column(sx, rel.op, i);
			if (i >= value_count)
				continue;
			const struct tm_type *common = tm_type_common(sx->arena, values[i]->type, columns[i]->type, sx->session->ansi);
			if (!common)
				return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH", "42K09",
					       "The data type of one or more elements in the left hand side of an IN subquery is not "
					       "compatible with the data type of the output of the subquery: \"%s\" and \"%s\".",
					       sx_type_sql(sx, values[i]->type), sx_type_sql(sx, columns[i]->type));
			TM_TRY(sx_cast(sx, values[i], common, &r->args[i]));
			TM_TRY(sx_cast(sx, columns[i], common, &columns[i]));
			changed = changed || columns[i]->kind != TM_EXPR_COLUMN;
		}
		if (changed)
			s->op = sx_op_project(sx, rel.op, columns, NULL, rel.op->schema.count);
		if (s->negated) {
			struct tm_expr *not_in = sx_not(sx, r);
			s->negated = false;
			*ret = not_in;
			return TM_OK;
		}
	} else {
		r->text = subquery_text(sx, "exists", c);
		if (c->residuals.count) {
			/* kept with the placeholder: over outer columns (SX_OUTER) and the subquery's */
			s->empty = sx_and(sx, c->residuals.items, c->residuals.count);
		}
	}
	*ret = r;
	return TM_OK;
}

/* ---- joins ---- */
static struct tm_op *join(struct sx *sx, enum tm_join_kind kind, struct tm_op *left, struct tm_op *right)
{
	struct tm_op *op = sx_op(sx, TM_OP_JOIN, left, right);
	op->join.kind = kind;
	sx_schema_copy(sx, op, left);
	if (kind != TM_JOIN_SEMI && kind != TM_JOIN_ANTI)
		for (size_t i = 0; i < right->schema.count; i++)
			sx_schema_add(sx, op, right->schema.fields[i].name, right->schema.fields[i].type, true);
	return op;
}

static void join_keys(struct sx *sx, struct tm_op *op, struct tm_expr **left, const size_t *right, const bool *null_safe, size_t n)
{
	bool *safe = TM_NEW_N(sx->arena, bool, n + 1);
	op->join.left_keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	op->join.right_keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		op->join.left_keys[i] = left[i];
		op->join.right_keys[i] = sx_op_column(sx, op->inputs[1], right[i]);
		safe[i] = null_safe && null_safe[i];
	}
	op->join.null_safe = safe;
	op->join.key_count = n;
}

static struct tm_op *aggregate(struct sx *sx, struct tm_op *in, const size_t *keys, size_t key_count)
{
	struct tm_op *op = sx_op(sx, TM_OP_AGGREGATE, in, NULL);
	op->aggregate.keys = TM_NEW_N(sx->arena, struct tm_expr *, key_count + 1);
	for (size_t i = 0; i < key_count; i++) {
		op->aggregate.keys[i] = sx_op_column(sx, in, keys[i]);
		sx_schema_add(sx, op, in->schema.fields[keys[i]].name, in->schema.fields[keys[i]].type, true);
	}
	op->aggregate.key_count = key_count;
	op->aggregate.global = key_count == 0;
	op->aggregate.event_time_key = -1;
	op->aggregate.aggs = TM_NEW_N(sx->arena, struct tm_agg *, 4);
	return op;
}

static tm_rc add_count(struct sx *sx, struct tm_op *op, struct tm_expr *arg)
{
	struct sx_env env = {.sx = sx};
	struct tm_expr *e;
	TM_TRY(sx_call(&env, "count", &arg, 1, 0, 0, &e));
	op->aggregate.aggs[op->aggregate.agg_count++] = (struct tm_agg *)(uintptr_t)e->bound;
	sx_schema_add(sx, op, TM_STR("count"), &tm_type_bigint, false);
	return TM_OK;
}

static tm_rc positive(struct sx *sx, struct tm_expr *count, struct tm_expr **ret)
{
	struct sx_env env = {.sx = sx};
	struct tm_expr *args[2] = {count, sx_literal_bigint(sx, 0)};
	return sx_call(&env, ">", args, 2, 0, 0, ret);
}

static size_t *key_indexes(struct sx *sx, size_t from, size_t n)
{
	size_t *r = TM_NEW_N(sx->arena, size_t, n + 1);
	for (size_t i = 0; i < n; i++)
		r[i] = from + i;
	return r;
}

static tm_rc lower_scalar(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	struct tm_op *right = s->op;
	size_t base = (*io_op)->schema.count;
	struct tm_op *agg = aggregate(sx, right, key_indexes(sx, 1, s->key_count), s->key_count);
	struct tm_agg *single = TM_NEW(sx->arena, struct tm_agg);
	*single = (struct tm_agg){.kernel = &sx_agg_single,
				  .type = p->type,
				  .nullable = true,
				  .arg_count = 1,
				  .text = p->text,
				  .line = s->line,
				  .column_no = s->column};
	single->args = TM_NEW(sx->arena, struct tm_expr *);
	single->args[0] = sx_op_column(sx, right, 0);
	agg->aggregate.aggs[agg->aggregate.agg_count++] = single;
	sx_schema_add(sx, agg, TM_STR("value"), p->type, true);
	if (s->key_count && s->empty) {
		struct tm_expr *marker = constant_true(sx);
		agg = sx_op_append(sx, agg, &marker, NULL, 1);
	}
	struct tm_op *op = join(sx, s->key_count ? TM_JOIN_LEFT : TM_JOIN_CROSS, *io_op, agg);
	join_keys(sx, op, p->args, key_indexes(sx, 0, s->key_count), s->null_safe, s->key_count);
	*io_op = op;
	*ret = sx_column_expr(sx, base + s->key_count, p->type, true, p->text);
	if (s->key_count && s->empty)
		*ret = sx_if(sx, sx_is_null(sx, sx_op_column(sx, op, base + s->key_count + 1), true), *ret, s->empty);
	return TM_OK;
}

static tm_rc lower_exists(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	size_t base = (*io_op)->schema.count;
	if (s->empty)
		return sx_fail(sx, s->line, s->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_COLUMN_IS_NOT_ALLOWED_IN_PREDICATE", "0A000",
			       "Correlated column is not allowed in predicate: only equality with an outer column is supported here.");
	struct tm_op *agg = aggregate(sx, s->op, key_indexes(sx, s->value_count, s->key_count), s->key_count);
	TM_TRY(add_count(sx, agg, sx_literal_int(sx, 1)));
	struct tm_op *op = join(sx, s->key_count ? TM_JOIN_LEFT : TM_JOIN_CROSS, *io_op, agg);
	join_keys(sx, op, p->args, key_indexes(sx, 0, s->key_count), s->null_safe, s->key_count);
	*io_op = op;
	struct tm_expr *count = sx_op_column(sx, op, base + s->key_count);
	if (s->key_count)
		*ret = sx_is_null(sx, count, true);
	else
		TM_TRY(positive(sx, count, ret));
	return TM_OK;
}

/* x IN (SELECT y): true with a match; else null when x is null and there are rows, or when some y is null; else false. */
static tm_rc lower_in(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	size_t base = (*io_op)->schema.count, values = s->value_count, keys = s->key_count;
	struct tm_op *matches = aggregate(sx, s->op, key_indexes(sx, 0, values + keys), values + keys);
	struct tm_expr *marker = constant_true(sx);
	matches = sx_op_append(sx, matches, &marker, NULL, 1);
	struct tm_op *op = join(sx, TM_JOIN_LEFT, *io_op, matches);
	join_keys(sx, op, p->args, key_indexes(sx, 0, values + keys), NULL, values + keys);
	struct tm_expr *matched = sx_is_null(sx, sx_op_column(sx, op, base + values + keys), true);
	size_t next = op->schema.count;
	/* How many rows there are for this key, and how many without nulls. */
	struct tm_op *rows = sx_op_clone(sx, s->op), *counts = aggregate(sx, rows, key_indexes(sx, values, keys), keys);
	struct tm_expr *complete = sx_op_column(sx, rows, 0);
	for (size_t i = 1; i < values; i++)
		complete = sx_if(sx, sx_is_null(sx, sx_op_column(sx, s->op, i), false), sx_literal_null(sx, complete->type), complete);
	TM_TRY(add_count(sx, counts, sx_literal_int(sx, 1)));
	TM_TRY(add_count(sx, counts, complete));
	op = join(sx, keys ? TM_JOIN_LEFT : TM_JOIN_CROSS, op, counts);
	join_keys(sx, op, p->args + values, key_indexes(sx, 0, keys), s->null_safe, keys);
	struct tm_expr *all = sx_op_column(sx, op, next + keys), *whole = sx_op_column(sx, op, next + keys + 1), *any, *some_null,
		       *args[2] = {all, whole};
	struct sx_env env = {.sx = sx};
	TM_TRY(positive(sx, all, &any));
	TM_TRY(sx_call(&env, ">", args, 2, 0, 0, &some_null));
	struct tm_expr *x_null = sx_is_null(sx, p->args[0], false);
	for (size_t i = 1; i < values; i++) {
		struct tm_expr *pair[2] = {x_null, sx_is_null(sx, p->args[i], false)};
		x_null = sx_call_expr(sx, &sx_kernel_or, "or", &tm_type_boolean, false, pair, 2);
		x_null->text = TM_STR("or");
	}
	struct tm_expr *both[2] = {x_null, any}, *unknown[2] = {sx_and(sx, both, 2), some_null};
	struct tm_expr *open = sx_call_expr(sx, &sx_kernel_or, "or", &tm_type_boolean, true, unknown, 2);
	open->text = TM_STR("or");
	struct tm_expr *otherwise = sx_if(sx, open, sx_literal_null(sx, &tm_type_boolean), sx_literal_bool(sx, false));
	*ret = sx_if(sx, matched, sx_literal_bool(sx, true), otherwise);
	(*ret)->text = p->text;
	*io_op = op;
	return TM_OK;
}

static tm_rc replace(struct sx *sx, struct tm_op **io_op, struct tm_expr *e, struct tm_expr **ret)
{
	*ret = e;
	if (sx_kind(e) == SX_SUBQUERY) {
		struct tm_str text = e->text;
		switch (((const struct sx_subquery *)e->bound)->kind) {
		case SX_SCALAR:
			TM_TRY(lower_scalar(sx, io_op, e, ret));
			break;
		case SX_EXISTS:
			TM_TRY(lower_exists(sx, io_op, e, ret));
			break;
		case SX_IN:
			TM_TRY(lower_in(sx, io_op, e, ret));
			break;
		}
		(*ret)->text = text;
		return TM_OK;
	}
	struct tm_expr *copy = e;
	for (size_t i = 0; i < e->arg_count; i++) {
		struct tm_expr *arg;
		TM_TRY(replace(sx, io_op, e->args[i], &arg));
		copy = sx_replace_arg(sx, e, copy, i, arg);
	}
	*ret = copy;
	return TM_OK;
}

tm_rc sx_lower_subqueries(struct sx *sx, struct tm_op **io_op, struct tm_expr **exprs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sx_has(exprs[i], SX_SUBQUERY))
			TM_TRY(replace(sx, io_op, exprs[i], &exprs[i]));
	return TM_OK;
}

/* SX_OUTER columns of a residual belong to the left side now, its other columns come after it. */
struct shift {
	struct sx *sx;
	size_t by;
};
static struct tm_expr *shift_residual(void *ctx, struct tm_expr *e)
{
	struct shift *s = ctx;
	if (sx_kind(e) != SX_OUTER && e->kind != TM_EXPR_COLUMN)
		return NULL;
	struct tm_expr *r = sx_copy(s->sx, e);
	if (sx_kind(e) == SX_OUTER)
		r->kind = TM_EXPR_COLUMN;
	else
		r->column += s->by;
	return r;
}

/* A conjunct that is [NOT] EXISTS or [NOT] IN: as a semi or anti join. */
static tm_rc filter_join(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, bool negated)
{
	const struct sx_subquery *s = p->bound;
	size_t values = s->kind == SX_IN ? s->value_count : 0;
	struct tm_op *op = join(sx, negated ? TM_JOIN_ANTI : TM_JOIN_SEMI, *io_op, s->op);
	size_t *keys = TM_NEW_N(sx->arena, size_t, values + s->key_count + 1);
	bool *safe = TM_NEW_N(sx->arena, bool, values + s->key_count + 1);
	for (size_t i = 0; i < values; i++)
		keys[i] = i;
	for (size_t i = 0; i < s->key_count; i++) {
		keys[values + i] = s->value_count + i;
		safe[values + i] = s->null_safe[i];
	}
	join_keys(sx, op, p->args, keys, safe, values + s->key_count);
	op->join.null_aware_anti = negated && s->kind == SX_IN;
	if (s->kind == SX_EXISTS && s->empty) {
		struct shift shift = {sx, (*io_op)->schema.count};
		op->join.residual = sx_rewrite(sx, s->empty, shift_residual, NULL, &shift);
	}
	*io_op = op;
	return TM_OK;
}

static bool is_condition(const struct tm_expr *e)
{
	if (sx_kind(e) != SX_SUBQUERY)
		return false;
	const struct sx_subquery *s = e->bound;
	return s->kind == SX_EXISTS || s->kind == SX_IN;
}

/* NOT IN of several columns, or correlated: not what a null-aware anti join does. */
static bool anti_ok(const struct tm_expr *e)
{
	const struct sx_subquery *s = e->bound;
	return s->kind == SX_EXISTS || (s->value_count == 1 && s->key_count == 0);
}

tm_rc sx_filter_expr(struct sx *sx, struct tm_expr *condition, struct tm_op **io_op)
{
	struct tm_expr **items = NULL, *plain = NULL;
	size_t n = 0, width = (*io_op)->schema.count;
	sx_conjuncts(sx, condition, &items, &n);
	for (size_t i = 0; i < n; i++) {
		struct tm_expr *e = items[i];
		bool negated = e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_not && is_condition(e->args[0]) && anti_ok(e->args[0]);
		if (is_condition(e) || negated) {
			TM_TRY(filter_join(sx, io_op, negated ? e->args[0] : e, negated));
		} else if (sx_has(e, SX_SUBQUERY)) {
			TM_TRY(sx_lower_subqueries(sx, io_op, &e, 1));
			*io_op = sx_op_keep(sx, sx_op_filter(sx, *io_op, e), width);
		} else {
			struct tm_expr *pair[2] = {plain, e};
			plain = plain ? sx_and(sx, pair, 2) : e;
		}
	}
	/* Plain conditions first: they stand below the joins. */
	if (plain && n > 1 && (*io_op)->kind == TM_OP_JOIN && (*io_op)->join.kind >= TM_JOIN_SEMI && (*io_op)->join.kind <= TM_JOIN_ANTI &&
	    (*io_op)->schema.count == width) {
		struct tm_op *semi = *io_op;
		semi->inputs[0] = sx_op_filter(sx, semi->inputs[0], plain);
	} else if (plain) {
		*io_op = sx_op_filter(sx, *io_op, plain);
	}
	return TM_OK;
}
