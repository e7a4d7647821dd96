/* One query block: FROM, WHERE, GROUP BY, HAVING, windows, the select list, DISTINCT, ORDER BY. Everything is resolved over the
 * operator that FROM and WHERE gave; then, step by step, operators are put on top and the expressions are rewritten to their
 * columns: event-time windows, aggregation, HAVING, window functions, subqueries, generators, projection. */
#include "sql/block.h"

/* ---- ORDER BY ---- over the select list's names first, then the input's. */
static tm_rc resolve_order(struct block *b)
{
	struct sx *sx = b->sx;
	const struct ast_query *q = b->tail;
	struct sx_env env = b->env;
	struct sx_aliases outputs = {0};
	if (!q)
		return TM_OK;
	for (size_t i = 0; i < b->items.count; i++)
		if (b->items.items[i].expr && sx_kind(b->items.items[i].expr) != SX_GENERATOR)
			TM_PUSH_IN(sx->arena, &outputs, (struct sx_alias){b->items.items[i].name, b->items.items[i].expr});
	env.aliases = &outputs;
	env.aliases_first = true;
	if (q->order_all)
		for (size_t i = 0; i < b->items.count; i++)
			TM_PUSH_IN(sx->arena, &b->order,
				   (struct tm_sort_key){b->items.items[i].expr, q->order_all_desc, q->order_all_nulls_last});
	for (size_t i = 0; i < q->order.count; i++) {
		const struct ast_order *o = &q->order.items[i];
		struct tm_expr *e;
		bool is_ordinal;
		size_t index;
		TM_TRY(sx_ordinal(b, o->expr, "ORDER_BY_POS_OUT_OF_RANGE", "ORDER BY", &is_ordinal, &index));
		if (is_ordinal)
			e = b->items.items[index].expr;
		else
			TM_TRY(sx_resolve(&env, o->expr, &e));
		TM_TRY(sx_order_subquery(sx, e, &outputs));
		if (!tm_type_orderable(e->type) && e->type->kind != TM_T_NULL && sx_kind(e) != SX_GENERATOR)
			return sx_fail_unorderable(sx, o->expr->line, o->expr->column, e->text, "sortorder", e->type);
		TM_PUSH_IN(sx->arena, &b->order, (struct tm_sort_key){e, o->descending, o->nulls_last});
	}
	return TM_OK;
}

/* ---- the steps ---- */
static tm_rc lower_time_windows(struct block *b)
{
	struct sx *sx = b->sx;
	TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, b->keys.items, b->keys.count));
	for (size_t i = 0; i < b->items.count; i++)
		TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, &b->items.items[i].expr, 1));
	if (b->having)
		TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, &b->having, 1));
	for (size_t i = 0; i < b->order.count; i++)
		TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, &b->order.items[i].expr, 1));
	return TM_OK;
}

static bool uses_outer(const struct tm_expr *e, __attribute__((unused)) void *ctx) { return sx_kind(e) == SX_OUTER; }
static bool uses_column(const struct tm_expr *e, __attribute__((unused)) void *ctx) { return e->kind == TM_EXPR_COLUMN; }
static struct tm_expr *inward(void *ctx, struct tm_expr *e)
{
	if (sx_kind(e) != SX_OUTER)
		return NULL;
	struct tm_expr *r = sx_copy(ctx, e);
	r->kind = TM_EXPR_COLUMN;
	return r;
}

/* WHERE of a subquery: what compares with outer columns leaves it and joins from outside. */
static void pull_up(struct block *b, struct tm_expr **io_condition)
{
	struct sx *sx = b->sx;
	struct tm_expr **items = NULL, *rest = NULL;
	size_t n = 0;
	sx_conjuncts(sx, *io_condition, &items, &n);
	for (size_t i = 0; i < n; i++) {
		struct tm_expr *e = items[i];
		if (!sx_any(e, uses_outer, NULL)) {
			struct tm_expr *pair[2] = {rest, e};
			rest = rest ? sx_and(sx, pair, 2) : e;
			continue;
		}
		bool equal = e->kind == TM_EXPR_CALL && e->function && e->arg_count == 2 &&
			     (strcmp(e->function, "=") == 0 || strcmp(e->function, "<=>") == 0),
		     taken = false;
		for (int side = 0; equal && side < 2 && !taken; side++) {
			struct tm_expr *in = e->args[side], *out = e->args[!side];
			if (sx_any(in, uses_outer, NULL) || !sx_any(out, uses_outer, NULL) || sx_any(out, uses_column, NULL) ||
			    sx_has(in, SX_SUBQUERY) || sx_has(out, SX_SUBQUERY))
				continue;
			TM_PUSH_IN(sx->arena, &b->correlations,
				   (struct sx_correlation){in, sx_rewrite(sx, out, inward, NULL, sx), strcmp(e->function, "<=>") == 0});
			taken = true;
		}
		if (!taken)
			b->env.domain->beyond = true;
	}
	*io_condition = rest;
}

static bool bad_in_where(const struct tm_expr *e, void *ctx)
{
	if (sx_kind(e) != SX_AGG && sx_kind(e) != SX_WINDOW && sx_kind(e) != SX_GENERATOR)
		return false;
	*(const struct tm_expr **)ctx = e;
	return true;
}

static tm_rc fail_window(struct sx *sx, const struct ast_expr *at, const char *clause)
{
	return sx_fail(sx, at->line, at->column, "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE", "42601",
		       "It is not allowed to use window functions inside %s clause.", clause);
}

static tm_rc where(struct block *b)
{
	struct sx *sx = b->sx;
	struct tm_expr *condition;
	const struct tm_expr *bad = NULL;
	if (!b->body->where)
		return TM_OK;
	TM_TRY(sx_resolve_boolean(&b->env, b->body->where, &condition));
	if (b->env.domain)
		TM_TRY(sx_domain_mixed(&b->env, condition, false));
	if (sx_has(condition, SX_WINDOW))
		return fail_window(sx, b->body->where, "WHERE");
	if (sx_any(condition, bad_in_where, &bad))
		return sx_fail(sx, b->body->where->line, b->body->where->column, "INVALID_WHERE_CONDITION", "42903",
			       "The WHERE condition \"%.*s\" contains invalid expressions: %.*s.\nRewrite the query to avoid window "
			       "functions, aggregate functions, and generator functions in the WHERE clause.",
			       TM_STR_ARG(condition->text), TM_STR_ARG(bad->text));
	TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, &condition, 1));
	if (b->env.correlations)
		pull_up(b, &condition);
	else if (b->env.in_domain)
		sx_domain_condition(&b->env, condition);
	return condition ? sx_filter_expr(sx, condition, &b->op) : TM_OK;
}

/* Generators unfold rows and give their item's columns. */
static tm_rc generators(struct block *b)
{
	struct sx *sx = b->sx;
	for (size_t i = 0; i < b->items.count; i++) {
		struct item it = b->items.items[i];
		if (sx_kind(it.expr) != SX_GENERATOR) {
			if (sx_has(it.expr, SX_GENERATOR))
				return sx_fail_nested_generator(sx, it.expr->line, it.expr->column_no, it.expr->text);
			continue;
		}
		const struct sx_generator *g = it.expr->bound;
		size_t first;
		if (it.aliases.count && it.aliases.count != g->column_count)
			return sx_fail(sx, it.expr->line, it.expr->column_no, "UDTF_ALIAS_NUMBER_MISMATCH", "42802",
				       "The number of aliases supplied in the AS clause does not match the number of columns output by the "
				       "UDTF. Expected %zu aliases, but got %zu.",
				       g->column_count, it.aliases.count);
		TM_TRY(sx_generate(sx, &b->op, it.expr, &first));
		struct item *old = b->items.items;
		size_t old_count = b->items.count;
		memset(&b->items, 0, sizeof b->items);
		for (size_t k = 0; k < i; k++)
			TM_PUSH_IN(sx->arena, &b->items, old[k]);
		for (size_t k = 0; k < g->column_count; k++) {
			struct tm_str name = it.aliases.count ? it.aliases.items[k] : g->names[k];
			sx_item_add(b, sx_column_expr(sx, first + k, g->types[k], g->nullable[k] || g->outer, name), name, NULL);
		}
		for (size_t k = i + 1; k < old_count; k++)
			TM_PUSH_IN(sx->arena, &b->items, old[k]);
		i += g->column_count - 1;
		/* ORDER BY col */
		for (size_t k = 0; k < b->order.count; k++)
			if (b->order.items[k].expr == it.expr)
				b->order.items[k].expr = b->items.items[i].expr;
	}
	return TM_OK;
}

/* The select list, with what ORDER BY needs besides it, sorted, and cut to the list. */
static tm_rc project(struct block *b, struct sx_rel *ret)
{
	struct sx *sx = b->sx;
	size_t n = b->items.count, extra = 0, correlated = b->correlations.count;
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + b->order.count + correlated + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + b->order.count + correlated + 1);
	struct tm_sort_key *keys = TM_NEW_N(sx->arena, struct tm_sort_key, b->order.count + 1);
	for (size_t i = 0; i < n; i++) {
		exprs[i] = b->items.items[i].expr;
		names[i] = b->items.items[i].name;
	}
	for (size_t i = 0; i < correlated; i++, n++) {
		exprs[n] = b->correlations.items[i].inner;
		names[n] = TM_STR("outer_key");
	}
	for (size_t i = 0; i < b->order.count; i++) {
		struct tm_expr *e = b->order.items[i].expr;
		size_t at = 0;
		while (at < n + extra && !sx_same(exprs[at], e))
			at++;
		if (at == n + extra) {
			if (b->body->distinct && at >= b->items.count)
				return sx_fail(sx, e->line, e->column_no, "UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703",
					       "A column, variable, or function parameter with name `%.*s` cannot be resolved. With SELECT "
					       "DISTINCT, ORDER BY takes what is selected.",
					       TM_STR_ARG(e->text));
			exprs[at] = e;
			names[at] = e->text;
			extra++;
		}
		keys[i] = b->order.items[i];
		keys[i].expr = sx_column_expr(sx, at, e->type, e->nullable, e->text);
	}
	TM_TRY(sx_lower_subqueries(sx, &b->op, exprs, n + extra));
	b->op = sx_op_project(sx, b->op, exprs, names, n + extra);
	ret->op = b->op;
	if (b->body->distinct)
		TM_TRY(sx_distinct(sx, ret, b->body->line, b->body->column));
	if (b->order.count) {
		struct tm_op *sort = sx_op(sx, TM_OP_SORT, ret->op, NULL);
		sx_schema_copy(sx, sort, ret->op);
		sort->sort.keys = keys;
		sort->sort.key_count = b->order.count;
		ret->op = sx_op_keep(sx, sort, n);
	}
	for (size_t i = 0; i < b->items.count; i++)
		TM_PUSH_IN(sx->arena, &ret->columns,
			   (struct sx_column){.name = names[i],
					      .qualifier = b->items.items[i].qualifier,
					      .type = exprs[i]->type,
					      .nullable = exprs[i]->nullable,
					      .index = i});
	return TM_OK;
}

/* A key that all rows of a group share, besides GROUP BY's: it is in every grouping set. */
static void add_key(struct block *b, struct tm_expr *e)
{
	size_t n = b->keys.count;
	TM_PUSH_IN(b->sx->arena, &b->keys, e);
	if (!b->sets)
		return;
	bool *sets = TM_NEW_N(b->sx->arena, bool, b->set_count *(n + 1));
	for (size_t i = 0; i < b->set_count; i++) {
		memcpy(sets + i * (n + 1), b->sets + i * n, n);
		sets[i * (n + 1) + n] = true;
	}
	b->sets = sets;
}

static tm_rc correlated_keys(struct block *b)
{
	for (size_t i = 0; i < b->items.count; i++)
		TM_TRY(sx_domain_aggregate(&b->env, b->items.items[i].expr, b->items.items[i].name));
	if (b->having && b->env.in_domain)
		TM_TRY(sx_domain_mixed(&b->env, b->having, true));
	for (size_t i = 0; i < b->keys.count; i++)
		if (sx_reads_outer(&b->env, b->keys.items[i]))
			return sx_fail_outer(b->sx, b->keys.items[i], (struct tm_str){0});
	if (b->sets && b->correlations.count)
		return sx_fail(b->sx, b->body->line, b->body->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.ACCESSING_OUTER_QUERY_COLUMN_IS_NOT_ALLOWED", "0A000",
			       "Unsupported subquery expression: Accessing outer query column is not allowed in this location: below "
			       "GROUPING SETS, CUBE and ROLLUP.");
	for (size_t i = 0; i < b->correlations.count; i++) {
		struct tm_expr *key = b->correlations.items[i].inner;
		add_key(b, key);
		b->correlations.items[i].inner = sx_column_expr(b->sx, b->keys.count - 1, key->type, key->nullable, key->text);
	}
	return TM_OK;
}

/* What Spark keeps outer columns out of. */
static tm_rc check_outer(struct block *b)
{
	if (!b->env.in_domain)
		return TM_OK;
	if (b->qualify && sx_reads_outer(&b->env, b->qualify))
		return sx_fail_outer(b->sx, b->qualify, (struct tm_str){0});
	for (size_t i = 0; i < b->order.count; i++)
		if (sx_reads_outer(&b->env, b->order.items[i].expr)) {
			const struct tm_sort_key *k = &b->order.items[i];
			struct tm_expr *e = sx_copy(b->sx, k->expr);
			e->text = sx_text(b->sx, "%.*s %s NULLS %s", TM_STR_ARG(e->text), k->descending ? "DESC" : "ASC",
					  k->nulls_last ? "LAST" : "FIRST");
			return sx_fail_outer(b->sx, e, (struct tm_str){0});
		}
	for (size_t i = 0; i < b->items.count; i++)
		if (sx_has(b->items.items[i].expr, SX_WINDOW) && sx_reads_outer(&b->env, b->items.items[i].expr))
			return sx_fail_outer(b->sx, b->items.items[i].expr, b->items.items[i].name);
	return TM_OK;
}

/* FROM of a block that carries the outer values of its subquery. */
static tm_rc from_relation(struct block *b, struct sx_env *env, struct sx_rel *ret)
{
	const struct ast_body *body = b->body;
	struct sx *sx = b->sx;
	if (body->from)
		TM_TRY(sx_relation(env, body->from, ret));
	else if (!env->carry)
		ret->op = sx_op_one_row(sx);
	if (env->carry)
		sx_carry(env, ret);
	size_t refs = env->domain ? env->domain->refs : 0;
	for (size_t i = 0; i < body->views.count; i++)
		TM_TRY(sx_lateral_view(env, &body->views.items[i], ret));
	if (env->carry && refs != env->domain->refs)
		return sx_fail(sx, body->line, body->column, "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE", "0A000",
			       "Unsupported subquery expression: Expressions referencing the outer query are not supported outside of "
			       "WHERE/HAVING clauses: LATERAL VIEW.");
	b->op = ret->op;
	b->columns = ret->columns;
	b->env.columns = &b->columns;
	b->env.body = body;
	b->env.in_domain = env->carry;
	b->env.domain_at = ret->domain_at;
	for (size_t i = 0; env->carry && i < env->domain->width; i++) {
		struct tm_expr *inner = sx_op_column(sx, b->op, ret->domain_at + i);
		TM_PUSH_IN(sx->arena, &b->correlations, (struct sx_correlation){inner, env->domain->outer.items[i], true});
	}
	return TM_OK;
}

/* In the first, plain analysis of a subquery: is there more to its outer columns than keys? */
static void plain_only(struct block *b, size_t refs)
{
	struct sx_domain *d = b->env.domain;
	if (!d || b->env.carry)
		return;
	d->beyond = d->beyond || d->refs != refs;
	if (!d->refs)
		return;
	bool windows = b->qualify != NULL;
	for (size_t i = 0; i < b->items.count; i++)
		windows = windows || sx_has(b->items.items[i].expr, SX_WINDOW);
	bool global = b->aggregated && !b->body->group.count && !b->body->group_all;
	d->beyond = d->beyond || windows || b->sets || (global && b->having);
	if (b->env.correlations)
		b->env.correlations->global = global;
}

static tm_rc select_block(struct sx_env *env, const struct ast_body *body, const struct ast_query *tail, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct block *b = TM_NEW(sx->arena, struct block);
	struct sx_rel from = {0};
	b->sx = sx;
	b->body = body;
	b->tail = tail;
	b->env = *env;
	size_t refs = env->domain ? env->domain->refs : 0;
	TM_TRY(from_relation(b, env, &from));
	if (env->domain && !env->carry && env->domain->refs != refs)
		env->domain->beyond = true;
	TM_TRY(where(b));
	if (env->domain && !env->correlations && env->domain->refs != refs)
		env->domain->beyond = true;
	refs = env->domain ? env->domain->refs : 0;
	TM_TRY(sx_group_by_resolve(b));
	TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, b->keys.items, b->keys.count));
	b->env.aliases = &b->aliases;
	TM_TRY(sx_items_resolve(b));
	b->env.in_having = true;
	if (body->having)
		TM_TRY(sx_resolve_boolean(&b->env, body->having, &b->having));
	b->env.in_having = false;
	if (b->having && sx_has(b->having, SX_WINDOW))
		return fail_window(sx, body->having, "HAVING");
	if (body->qualify)
		TM_TRY(sx_resolve_boolean(&b->env, body->qualify, &b->qualify));
	TM_TRY(resolve_order(b));
	TM_TRY(lower_time_windows(b));
	TM_TRY(check_outer(b));
	b->aggregated = body->group.count || body->group_all || body->having;
	for (size_t i = 0; i < b->items.count; i++) {
		struct tm_expr *e = b->items.items[i].expr;
		b->aggregated = b->aggregated || sx_has(e, SX_AGG) || sx_has(e, SX_GROUPING);
		if (body->group_all && !sx_has(e, SX_AGG))
			TM_PUSH_IN(sx->arena, &b->keys, e);
	}
	for (size_t i = 0; i < b->order.count; i++)
		b->aggregated = b->aggregated || sx_has(b->order.items[i].expr, SX_AGG);
	plain_only(b, refs);
	if (b->aggregated) {
		TM_TRY(correlated_keys(b));
		TM_TRY(sx_aggregate(b, body->group.count || body->group_all));
		if (b->having)
			TM_TRY(sx_filter_expr(sx, b->having, &b->op));
	}
	struct tm_expr **all = TM_NEW_N(sx->arena, struct tm_expr *, b->items.count + b->order.count + 2);
	size_t listed = b->items.count + b->order.count;
	for (size_t i = 0; i < b->items.count; i++)
		all[i] = b->items.items[i].expr;
	for (size_t i = 0; i < b->order.count; i++)
		all[b->items.count + i] = b->order.items[i].expr;
	if (b->qualify)
		all[listed++] = b->qualify;
	if (b->env.carry && (b->aggregated || body->distinct))
		b->env.domain->grouped = true;
	if (b->env.carry && b->having && !body->group.count && !body->group_all)
		b->env.domain->unequal = true; /* HAVING sees the rows that are made up */
	if (b->env.carry)
		sx_domain_windows(sx, &b->correlations, all, listed);
	TM_TRY(sx_lower_windows(sx, &b->op, all, listed));
	if (b->qualify)
		TM_TRY(sx_filter_expr(sx, all[listed - 1], &b->op));
	for (size_t i = 0; i < b->items.count; i++)
		b->items.items[i].expr = all[i];
	for (size_t i = 0; i < b->order.count; i++)
		b->order.items[i].expr = all[b->items.count + i];
	TM_TRY(generators(b));
	TM_TRY(project(b, ret));
	for (size_t i = 0; env->correlations && i < b->correlations.count; i++)
		TM_PUSH_IN(sx->arena, env->correlations, b->correlations.items[i]);
	ret->domain = env->carry;
	ret->domain_at = b->items.count;
	return TM_OK;
}

tm_rc sx_body(struct sx_env *env, const struct ast_body *body, const struct ast_query *tail, struct sx_rel *ret)
{
	if (++env->sx->blocks > SX_LIMIT_BLOCKS)
		return sx_fail(env->sx, body->line, body->column, "FAILED_TO_PARSE_TOO_COMPLEX", "54001",
			       "The statement is too complex: its views and common table expressions expand to more than %d query blocks.",
			       SX_LIMIT_BLOCKS);
	return select_block(env, body, tail, ret);
}
