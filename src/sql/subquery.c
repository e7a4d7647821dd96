/* Subqueries in expressions. Each becomes a join: EXISTS and IN as conditions of WHERE a semi or anti join, a scalar subquery a
 * left join with at most one row per key, EXISTS and IN inside other expressions a left join with a marker column. Correlation
 * by equality in the subquery's WHERE makes join keys: the inner sides become columns of the subquery. Any other correlation makes
 * the subquery carry the outer values themselves (domain.c), which are the keys then. */
#include "sql/domain.h"

static tm_rc analyse(struct sx_env *env, const struct ast_expr *e, struct sx_subplan *plan, struct sx_subquery *s,
		     struct tm_expr *placeholder, struct tm_expr **values, size_t value_count)
{
	struct sx *sx = env->sx;
	const struct sx_correlations *correlations = &plan->keys;
	TM_TRY(sx_subplan(env, e->query, s->kind == SX_SCALAR, plan));
	if (plan->rel.op->streaming)
		return sx_fail(sx, e->line, e->column, "INVALID_SUBQUERY_EXPRESSION.STREAMING_QUERY", "42823",
			       "Invalid subquery: Streaming query is not allowed in subquery expressions.");
	s->op = plan->rel.op;
	s->domain = plan->domain->number;
	s->grouped = plan->domain->grouped && plan->domain->unequal;
	s->empty = plan->empty;
	s->value_count = plan->rel.columns.count;
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

/* The outer columns a subquery reads, one for each place, as Spark names them in its text. */
static struct tm_str subquery_text(struct sx *sx, const char *name, const struct sx_subplan *plan)
{
	struct tm_buf names = {0};
	for (size_t i = 0; i < plan->domain->places.count; i++)
		tm_buf_printf(&names, "%s%.*s", i ? ", " : "", TM_STR_ARG(plan->domain->places.items[i]->text));
	struct tm_str text = sx_text(sx, "%s(%.*s)", name, (int)names.len, names.len ? names.at : "");
	tm_buf_done(&names);
	return text;
}

tm_rc sx_resolve_subquery(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct sx_subplan *c = TM_NEW(sx->arena, struct sx_subplan);
	struct sx_subquery *s = TM_NEW(sx->arena, struct sx_subquery);
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_SUBQUERY, &tm_type_boolean, false), **values = NULL;
	size_t value_count = 0;
	s->kind = e->kind == AST_SUBQUERY ? SX_SCALAR : e->kind == AST_EXISTS ? SX_EXISTS : SX_IN;
	s->negated = e->flag;
	if (s->kind == SX_IN) {
		const struct ast_expr *left = e->args.items[0];
		/* (a, b) and struct(a, b) are two values */
		bool row = left->kind == AST_CALL &&
			   ((left->flag && left->parenthesised) || (left->names.count == 1 && tm_str_iis(left->names.items[0], "struct")));
		value_count = row ? left->args.count : 1;
		values = TM_NEW_N(sx->arena, struct tm_expr *, value_count);
		for (size_t i = 0; i < value_count; i++)
			TM_TRY(sx_resolve(env, row ? left->args.items[i] : left, &values[i]));
	}
	TM_TRY(analyse(env, e, c, s, r, values, value_count));
	const struct sx_rel rel = c->rel;
	if (s->kind == SX_SCALAR) {
		if (s->value_count != 1)
			return sx_fail(sx, e->line, e->column,
				       "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN", "42823",
				       "Invalid subquery: Scalar subquery must return only one column, but got %zu.", s->value_count);
		r->type = rel.op->schema.fields[0].type;
		r->nullable = true;
		r->text = subquery_text(sx, "scalarsubquery", c);
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

/* values: how many keys stand before the outer values that s depends on. */
static void join_keys(struct sx *sx, struct tm_op *op, const struct sx_subquery *s, size_t values, struct tm_expr **left,
		      const size_t *right)
{
	size_t n = values + s->key_count;
	bool *safe = TM_NEW_N(sx->arena, bool, n + 1);
	op->join.left_keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	op->join.right_keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		op->join.left_keys[i] = left[i];
		op->join.right_keys[i] = sx_op_column(sx, op->inputs[1], right[i]);
		safe[i] = i >= values && s->null_safe[i - values];
	}
	op->join.null_safe = safe;
	op->join.key_count = n;
	op->join.domain = s->domain;
	op->join.domain_from = values;
	op->join.domain_count = s->key_count;
	op->join.domain_grouped = s->grouped;
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
	join_keys(sx, op, s, 0, p->args, key_indexes(sx, 0, s->key_count));
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
	struct tm_op *agg = aggregate(sx, s->op, key_indexes(sx, s->value_count, s->key_count), s->key_count);
	TM_TRY(add_count(sx, agg, sx_literal_int(sx, 1)));
	struct tm_op *op = join(sx, s->key_count ? TM_JOIN_LEFT : TM_JOIN_CROSS, *io_op, agg);
	join_keys(sx, op, s, 0, p->args, key_indexes(sx, 0, s->key_count));
	*io_op = op;
	struct tm_expr *count = sx_op_column(sx, op, base + s->key_count);
	if (s->key_count)
		*ret = sx_is_null(sx, count, true);
	else
		TM_TRY(positive(sx, count, ret));
	return TM_OK;
}

/* x IN (SELECT y) where it is no condition of WHERE: does a row match? Spark answers false there, not null, where it is unknown. */
static tm_rc lower_in(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	size_t base = (*io_op)->schema.count, n = s->value_count + s->key_count;
	struct tm_expr *marker = constant_true(sx);
	struct tm_op *matches = sx_op_append(sx, aggregate(sx, s->op, key_indexes(sx, 0, n), n), &marker, NULL, 1);
	struct tm_op *op = join(sx, TM_JOIN_LEFT, *io_op, matches);
	join_keys(sx, op, s, s->value_count, p->args, key_indexes(sx, 0, n));
	*ret = sx_is_null(sx, sx_op_column(sx, op, base + n), true);
	*io_op = op;
	return TM_OK;
}

static struct tm_expr *either(struct sx *sx, struct tm_expr *a, struct tm_expr *b)
{
	struct tm_expr *pair[2] = {a, b}, *r = sx_call_expr(sx, &sx_kernel_or, "or", &tm_type_boolean, true, pair, 2);
	r->text = TM_STR("or");
	return r;
}

/* x NOT IN (SELECT y): no row matches, and none might: neither is x null where there are rows, nor is some y null. */
static tm_rc lower_not_in(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	size_t keys = s->key_count;
	struct tm_expr *matched;
	TM_TRY(lower_in(sx, io_op, p, &matched));
	size_t next = (*io_op)->schema.count;
	struct tm_op *rows = sx_op_clone(sx, s->op), *counts = aggregate(sx, rows, key_indexes(sx, 1, keys), keys);
	TM_TRY(add_count(sx, counts, sx_literal_int(sx, 1)));
	TM_TRY(add_count(sx, counts, sx_op_column(sx, rows, 0)));
	struct tm_op *op = join(sx, keys ? TM_JOIN_LEFT : TM_JOIN_CROSS, *io_op, counts);
	join_keys(sx, op, s, 0, p->args + 1, key_indexes(sx, 0, keys));
	struct tm_expr *all = sx_op_column(sx, op, next + keys), *whole = sx_op_column(sx, op, next + keys + 1), *any, *some_null,
		       *args[2] = {all, whole};
	struct sx_env env = {.sx = sx};
	TM_TRY(positive(sx, all, &any));
	TM_TRY(sx_call(&env, ">", args, 2, 0, 0, &some_null));
	struct tm_expr *both[2] = {sx_is_null(sx, p->args[0], false), any};
	struct tm_expr *may = either(sx, matched, either(sx, sx_and(sx, both, 2), some_null));
	*ret = sx_if(sx, may, sx_literal_bool(sx, false), sx_literal_bool(sx, true));
	*io_op = op;
	return TM_OK;
}

/* (a, b) NOT IN (SELECT c, d): every pair must be told apart by some column that is not null on both sides. The pairs are looked
 * at once for every row's values, which are a domain of their own. */
static tm_rc lower_row_not_in(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, struct tm_expr **ret)
{
	const struct sx_subquery *s = p->bound;
	size_t base = (*io_op)->schema.count, values = s->value_count, n = values + s->key_count;
	struct sx_domain d = {.number = ++sx->domains, .width = n, .outer = {.items = p->args, .count = n}};
	struct tm_op *domain = sx_domain_op(sx, &d), *pairs = join(sx, TM_JOIN_INNER, domain, s->op);
	struct tm_expr **keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 1), *open = NULL;
	for (size_t i = 0; i < s->key_count; i++)
		keys[i] = sx_op_column(sx, domain, values + i);
	join_keys(sx, pairs, s, 0, keys, key_indexes(sx, values, s->key_count));
	for (size_t i = 0; i < values; i++) {
		struct sx_env env = {.sx = sx};
		struct tm_expr *pair[2] = {sx_op_column(sx, pairs, i), sx_op_column(sx, pairs, n + i)}, *same, *both[2];
		TM_TRY(sx_call(&env, "=", pair, 2, s->line, s->column, &same));
		both[1] = either(sx, same, either(sx, sx_is_null(sx, pair[0], false), sx_is_null(sx, pair[1], false)));
		both[0] = open;
		open = open ? sx_and(sx, both, 2) : both[1];
	}
	pairs->join.residual = open;
	struct tm_expr *marker = constant_true(sx);
	struct tm_op *found = sx_op_append(sx, aggregate(sx, pairs, key_indexes(sx, 0, n), n), &marker, NULL, 1);
	struct tm_op *op = join(sx, TM_JOIN_LEFT, *io_op, found);
	bool *safe = TM_NEW_N(sx->arena, bool, n + 1);
	memset(safe, true, n);
	struct sx_subquery whole = {.domain = d.number, .key_count = n, .null_safe = safe};
	join_keys(sx, op, &whole, 0, p->args, key_indexes(sx, 0, n));
	*ret = sx_is_null(sx, sx_op_column(sx, op, base + n), false);
	*io_op = op;
	return TM_OK;
}

static bool is_in(const struct tm_expr *e) { return sx_kind(e) == SX_SUBQUERY && ((const struct sx_subquery *)e->bound)->kind == SX_IN; }

static bool is_subquery(const struct tm_expr *e)
{
	return sx_kind(e) == SX_SUBQUERY || (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_not && is_in(e->args[0]));
}

static tm_rc replace(struct sx *sx, struct tm_op **io_op, struct tm_expr *e, struct tm_expr **ret);

/* What a subquery, or NOT of one, takes from outside may hold subqueries too: (SELECT …) IN (SELECT …). */
static tm_rc replace_values(struct sx *sx, struct tm_op **io_op, struct tm_expr *e, struct tm_expr **ret)
{
	struct tm_expr *copy = e;
	for (size_t i = 0; i < e->arg_count; i++) {
		struct tm_expr *arg = e->args[i];
		if (sx_kind(e) != SX_SUBQUERY)
			TM_TRY(replace_values(sx, io_op, arg, &arg));
		else
			TM_TRY(replace(sx, io_op, arg, &arg));
		copy = sx_replace_arg(sx, e, copy, i, arg);
	}
	*ret = copy;
	return TM_OK;
}

static tm_rc replace(struct sx *sx, struct tm_op **io_op, struct tm_expr *e, struct tm_expr **ret)
{
	*ret = e;
	if (is_subquery(e))
		TM_TRY(replace_values(sx, io_op, e, &e));
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
	if (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_not && is_in(e->args[0])) {
		bool row = ((const struct sx_subquery *)e->args[0]->bound)->value_count > 1;
		TM_TRY(row ? lower_row_not_in(sx, io_op, e->args[0], ret) : lower_not_in(sx, io_op, e->args[0], ret));
		(*ret)->text = e->text;
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

/* Of e = false and e = true: e, and whether it is to be true. */
static struct tm_expr *compared_with_literal(struct sx *sx, const struct tm_expr *e, bool *ret_true)
{
	if (e->kind != TM_EXPR_CALL || !e->function || strcmp(e->function, "=") != 0 || e->arg_count != 2)
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct tm_expr *other = e->args[1 - i];
		const struct tm_column *v = other->type->kind == TM_T_BOOLEAN && sx_constant(other) ? sx_value(sx, other) : NULL;
		if (!v || tm_is_null(v, 0) || !sx_has(e->args[i], SX_SUBQUERY))
			continue;
		*ret_true = v->boolean[0];
		return e->args[i];
	}
	return NULL;
}

/* NOT goes down to the subqueries first, as in Spark: an IN under it is NOT IN there, and that treats nulls otherwise. So does = false,
 * which is NOT there. */
static struct tm_expr *push_not(void *ctx, struct tm_expr *e)
{
	struct sx *sx = ctx;
	bool wanted;
	struct tm_expr *compared = compared_with_literal(sx, e, &wanted);
	if (compared) {
		struct tm_expr *r = sx_copy(sx, sx_rewrite(sx, wanted ? compared : sx_not(sx, compared), push_not, NULL, sx));
		r->text = e->text;
		return r;
	}
	struct tm_expr *in = e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_not ? e->args[0] : NULL;
	if (!in || in->kind != TM_EXPR_CALL || !sx_has(in, SX_SUBQUERY))
		return NULL;
	if (in->kernel == &sx_kernel_not)
		return sx_rewrite(sx, in->args[0], push_not, NULL, sx);
	bool is_and = in->kernel == &sx_kernel_and;
	if ((!is_and && in->kernel != &sx_kernel_or) || in->arg_count != 2)
		return NULL;
	struct tm_expr *both[2] = {sx_not(sx, in->args[0]), sx_not(sx, in->args[1])};
	struct tm_expr *r =
	    sx_call_expr(sx, is_and ? &sx_kernel_or : &sx_kernel_and, is_and ? "or" : "and", &tm_type_boolean, e->nullable, both, 2);
	r->text = e->text;
	for (size_t i = 0; i < 2; i++)
		r->args[i] = sx_rewrite(sx, r->args[i], push_not, NULL, sx);
	return r;
}

tm_rc sx_lower_subqueries(struct sx *sx, struct tm_op **io_op, struct tm_expr **exprs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sx_has(exprs[i], SX_SUBQUERY))
			TM_TRY(replace(sx, io_op, sx_rewrite(sx, exprs[i], push_not, NULL, sx), &exprs[i]));
	return TM_OK;
}

/* A conjunct that is [NOT] EXISTS or [NOT] IN: as a semi or anti join. */
static tm_rc filter_join(struct sx *sx, struct tm_op **io_op, const struct tm_expr *p, bool negated)
{
	const struct sx_subquery *s = p->bound;
	size_t values = s->kind == SX_IN ? s->value_count : 0;
	struct tm_op *right = s->op;
	size_t *keys = key_indexes(sx, 0, values + s->key_count);
	for (size_t i = 0; i < s->key_count; i++)
		keys[values + i] = s->value_count + i;
	if (s->domain) {
		/* All pairs of rows may stand behind it: what is kept is a row per key. */
		right = aggregate(sx, right, keys, values + s->key_count);
		keys = key_indexes(sx, 0, values + s->key_count);
	}
	struct tm_op *op = join(sx, negated ? TM_JOIN_ANTI : TM_JOIN_SEMI, *io_op, right);
	join_keys(sx, op, s, values, p->args, keys);
	op->join.null_aware_anti = negated && s->kind == SX_IN;
	*io_op = op;
	return TM_OK;
}

static bool is_condition(const struct tm_expr *e)
{
	if (sx_kind(e) != SX_SUBQUERY)
		return false;
	const struct sx_subquery *s = e->bound;
	for (size_t i = 0; i < e->arg_count; i++)
		if (sx_has(e->args[i], SX_SUBQUERY))
			return false;
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
	sx_conjuncts(sx, sx_rewrite(sx, condition, push_not, NULL, sx), &items, &n);
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

/* ---- ON ---- */
struct sides {
	size_t split;
	bool left, right;
};
static bool find_side(const struct tm_expr *e, void *ctx)
{
	struct sides *s = ctx;
	if (e->kind == TM_EXPR_COLUMN && e->column < s->split)
		s->left = true;
	else if (e->kind == TM_EXPR_COLUMN)
		s->right = true;
	return false;
}

struct on {
	struct sx *sx;
	struct tm_op *join;
	size_t split; /* columns of the left side as the condition counts them */
	struct {
		struct tm_expr *placeholder, *column;
		bool right;
	} * found;
	size_t count, room;
	tm_rc rc;
};

static tm_rc fail_scalar(struct sx *sx, const struct sx_subquery *s)
{
	return sx_fail(sx, s->line, s->column, "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_CORRELATED_SCALAR_SUBQUERY", "0A000",
		       "Unsupported subquery expression: Correlated scalar subqueries can only be used in filters, aggregations, "
		       "projections, and UPDATE/MERGE/DELETE commands.");
}

static tm_rc on_subquery(struct on *o, struct tm_expr *e)
{
	struct sx *sx = o->sx;
	const struct tm_expr *p = sx_kind(e) == SX_SUBQUERY ? e : e->args[0];
	const struct sx_subquery *s = p->bound;
	struct sides sides = {.split = o->split};
	if (s->kind == SX_SCALAR && s->key_count)
		return fail_scalar(sx, s);
	sx_any(p, find_side, &sides);
	if (sides.left && sides.right)
		return sx_fail(sx, s->line, s->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_CORRELATED_EXPRESSION_IN_JOIN_CONDITION", "0A000",
			       "Unsupported subquery expression: Correlated subqueries in the join predicate cannot reference both join "
			       "inputs:\n%.*s",
			       TM_STR_ARG(p->text));
	struct tm_expr *column = sides.right ? sx_shift(sx, e, 0 - o->split) : e;
	TM_TRY(sx_lower_subqueries(sx, &o->join->inputs[sides.right], &column, 1));
	o->found[o->count].placeholder = e;
	o->found[o->count].column = column;
	o->found[o->count++].right = sides.right;
	return TM_OK;
}

/* In an outer join's ON, what reads only the side whose rows all stay cannot be a filter of that side; Spark does not look for
 * nulls in a NOT IN there. */
static bool stays_in_on(const struct on *o, const struct tm_expr *p)
{
	struct sides sides = {.split = o->split};
	enum tm_join_kind k = o->join->join.kind;
	sx_any(p, find_side, &sides);
	return k == TM_JOIN_FULL || (k == TM_JOIN_LEFT && !sides.right) || (k == TM_JOIN_RIGHT && sides.right);
}
static tm_rc find_on(struct on *o, struct tm_expr *e)
{
	if (is_subquery(e) && !(sx_kind(e) != SX_SUBQUERY && stays_in_on(o, e->args[0])))
		return o->count < o->room ? on_subquery(o, e) : TM_OK;
	for (size_t i = 0; i < e->arg_count; i++)
		TM_TRY(find_on(o, e->args[i]));
	return TM_OK;
}
static bool count_subqueries(const struct tm_expr *e, void *ctx)
{
	*(size_t *)ctx += sx_kind(e) == SX_SUBQUERY;
	return false;
}

static struct tm_expr *on_column(void *ctx, struct tm_expr *e)
{
	struct on *o = ctx;
	size_t left = o->join->inputs[0]->schema.count;
	for (size_t i = 0; i < o->count; i++)
		if (o->found[i].placeholder == e)
			return o->found[i].right ? sx_shift(o->sx, o->found[i].column, left) : o->found[i].column;
	return e->kind == TM_EXPR_COLUMN && e->column >= o->split ? sx_shift(o->sx, e, left - o->split) : NULL;
}

tm_rc sx_lower_on(struct sx *sx, struct tm_op *op, struct tm_expr **io_condition)
{
	struct on o = {.sx = sx, .join = op, .split = op->inputs[0]->schema.count};
	sx_any(*io_condition, count_subqueries, &o.room);
	o.found = TM_NEW_N(sx->arena, __typeof__(*o.found), o.room + 1);
	TM_TRY(find_on(&o, *io_condition));
	*io_condition = sx_rewrite(sx, *io_condition, on_column, NULL, &o);
	enum tm_join_kind k = op->join.kind;
	op->schema = (struct tm_schema){0};
	for (int side = 0; side < 2; side++) {
		const struct tm_schema *in = &op->inputs[side]->schema;
		bool widen = k == TM_JOIN_FULL || k == (side ? TM_JOIN_LEFT : TM_JOIN_RIGHT);
		for (size_t i = 0; i < in->count && !(side && (k == TM_JOIN_SEMI || k == TM_JOIN_ANTI)); i++)
			sx_schema_add(sx, op, in->fields[i].name, in->fields[i].type, in->fields[i].nullable || widen);
	}
	return TM_OK;
}

/* ---- ORDER BY ---- */
static bool is_given(const struct tm_expr *e, void *ctx) { return sx_kind(e) == SX_SUBQUERY && e->bound == *(const void **)ctx; }
struct order {
	const struct sx_aliases *outputs;
	const struct sx_subquery *bad;
};
static bool bad_order(const struct tm_expr *e, void *ctx)
{
	struct order *o = ctx;
	if (sx_kind(e) != SX_SUBQUERY)
		return false;
	const struct sx_subquery *s = e->bound;
	const void *bound = s;
	bool given = s->kind == SX_SCALAR && !s->key_count;
	for (size_t i = 0; !given && i < o->outputs->count; i++)
		given = sx_any(o->outputs->items[i].expr, is_given, &bound);
	o->bad = given ? NULL : s;
	return !given;
}

tm_rc sx_order_subquery(struct sx *sx, const struct tm_expr *e, const struct sx_aliases *outputs)
{
	struct order o = {.outputs = outputs};
	if (!sx_any(e, bad_order, &o))
		return TM_OK;
	if (o.bad->kind == SX_SCALAR)
		return fail_scalar(sx, o.bad);
	return sx_fail(sx, o.bad->line, o.bad->column, "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_IN_EXISTS_SUBQUERY", "0A000",
		       "Unsupported subquery expression: IN/EXISTS predicate subqueries can only be used in filters, joins, aggregations, "
		       "window functions, projections, and UPDATE/MERGE/DELETE commands.");
}
