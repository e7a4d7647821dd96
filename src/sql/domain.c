/* Correlated subqueries that are no join by key. A subquery is analysed plainly first: where WHERE compares with outer columns by
 * nothing but equality, those are join keys. Else it is analysed once more and its blocks carry the outer values it reads, as
 * columns given by a DOMAIN: they stand in front of FROM, are keys of every grouping, DISTINCT, window and LIMIT, and come out
 * behind the subquery's own columns, where the join around it finds them. */
#include "sql/domain.h"

/* The place of an outer expression among the domain's columns, added where it is new. */
static size_t place_of(struct sx *sx, struct sx_domain *d, struct tm_expr *outer)
{
	for (size_t i = 0; i < d->outer.count; i++)
		if (sx_same(d->outer.items[i], outer))
			return i;
	TM_PUSH_IN(sx->arena, &d->outer, outer);
	return d->outer.count - 1;
}

struct tm_expr *sx_domain_ref(struct sx_env *env, struct tm_expr *outer)
{
	struct sx *sx = env->sx;
	struct sx_domain *d = env->domain;
	size_t at = place_of(sx, d, outer);
	d->refs++;
	TM_PUSH_IN(sx->arena, &d->places, outer);
	if (env->in_domain && at < d->width)
		return sx_column_expr(sx, env->domain_at + at, outer->type, outer->nullable, outer->text);
	struct tm_expr *r = sx_copy(sx, outer);
	if (env->carry && !env->in_domain && !d->stuck)
		d->stuck = outer;
	if (env->in_domain)
		d->grew = true;
	else if (outer->kind != TM_EXPR_COLUMN)
		d->beyond = true; /* a column of USING: no column of the operator */
	if (outer->kind != TM_EXPR_COLUMN) {
		r->args = NULL;
		r->arg_count = 0;
	}
	r->kind = (enum tm_expr_kind)SX_OUTER;
	return r;
}

struct tm_expr *sx_domain_aggregate_of_outer(struct sx_env *env, const struct ast_expr *e)
{
	struct sx *sx = env->sx;
	struct sx_env local = *env, outer = *env->outer;
	struct tm_expr *r;
	struct tm_err *err = sx->err, ignored = {0};
	local.domain = NULL; /* its own names only */
	outer.in_having = false;
	sx->err = &ignored;
	bool own = sx_resolve_call(&local, e, &r) == TM_OK;
	bool outside = !own && sx_resolve_call(&outer, e, &r) == TM_OK && sx_kind(r) == SX_AGG;
	sx->err = err;
	return outside ? sx_domain_ref(env, r) : NULL;
}

struct tm_op *sx_domain_op(struct sx *sx, const struct sx_domain *d)
{
	struct tm_op *leaf = sx_op(sx, TM_OP_DOMAIN, NULL, NULL);
	leaf->domain.number = d->number;
	for (size_t i = 0; i < d->width; i++)
		sx_schema_add(sx, leaf, d->outer.items[i]->text, d->outer.items[i]->type, true);
	struct tm_op *op = sx_op(sx, TM_OP_DEDUPLICATE, leaf, NULL);
	sx_schema_copy(sx, op, leaf);
	size_t *columns = TM_NEW_N(sx->arena, size_t, d->width + 1);
	for (size_t i = 0; i < d->width; i++)
		columns[i] = i;
	op->deduplicate.columns = columns;
	op->deduplicate.column_count = d->width;
	op->deduplicate.event_time_column = -1;
	return op;
}

void sx_carry(struct sx_env *env, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	size_t width = env->domain->width;
	if (io->domain)
		return;
	struct tm_op *domain = sx_domain_op(sx, env->domain), *in = io->op;
	io->domain = true;
	io->domain_at = 0;
	if (!in) {
		io->op = domain;
		return;
	}
	struct tm_op *op = sx_op(sx, TM_OP_JOIN, domain, in);
	op->join.kind = TM_JOIN_CROSS;
	sx_schema_copy(sx, op, domain);
	sx_schema_copy(sx, op, in);
	for (size_t i = 0; i < io->columns.count; i++) {
		struct sx_column *c = &io->columns.items[i];
		if (c->expr)
			c->expr = sx_shift(sx, c->expr, width);
		c->index += width;
	}
	io->op = op;
}

void sx_carry_behind(struct sx_env *env, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	size_t width = env->domain->width, n = io->columns.count;
	sx_carry(env, io);
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + width);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + width);
	for (size_t i = 0; i < n + width; i++) {
		struct sx_column *c = i < n ? &io->columns.items[i] : NULL;
		exprs[i] = c && c->expr ? c->expr : sx_op_column(sx, io->op, c ? c->index : io->domain_at + i - n);
		names[i] = c ? c->name : TM_STR("outer_key");
		if (c) {
			c->expr = NULL;
			c->index = i;
		}
	}
	io->op = sx_op_project(sx, io->op, exprs, names, n + width);
	io->domain_at = n;
}

/* An aggregate without GROUP BY has a row for every outer value: the domain joins its input from outside, and the functions
 * see the rows that are not made up. */
void sx_domain_global(struct sx_env *env, struct tm_op **io_op, struct tm_agg **aggs, size_t agg_count, size_t *ret_keys)
{
	struct sx *sx = env->sx;
	size_t width = env->domain->width, marker = (*io_op)->schema.count;
	struct tm_expr *one = sx_literal_bool(sx, true);
	struct tm_op *rows = sx_op_append(sx, *io_op, &one, NULL, 1), *domain = sx_domain_op(sx, env->domain),
		     *op = sx_op(sx, TM_OP_JOIN, rows, domain);
	bool *safe = TM_NEW_N(sx->arena, bool, width + 1);
	op->join.kind = TM_JOIN_RIGHT;
	op->join.key_count = width;
	op->join.left_keys = TM_NEW_N(sx->arena, struct tm_expr *, width + 1);
	op->join.right_keys = TM_NEW_N(sx->arena, struct tm_expr *, width + 1);
	for (size_t i = 0; i < width; i++) {
		op->join.left_keys[i] = sx_op_column(sx, rows, env->domain_at + i);
		op->join.right_keys[i] = sx_op_column(sx, domain, i);
		safe[i] = true;
	}
	op->join.null_safe = safe;
	for (size_t i = 0; i < rows->schema.count; i++)
		sx_schema_add(sx, op, rows->schema.fields[i].name, rows->schema.fields[i].type, true);
	sx_schema_copy(sx, op, domain);
	for (size_t i = 0; i < agg_count; i++) {
		struct tm_agg *a = TM_NEW(sx->arena, struct tm_agg);
		*a = *aggs[i];
		struct tm_expr *both[2] = {sx_is_null(sx, sx_op_column(sx, op, marker), true), a->filter};
		a->filter = a->filter ? sx_and(sx, both, 2) : both[0];
		aggs[i] = a;
	}
	*ret_keys = marker + 1;
	*io_op = op;
}

/* LIMIT and OFFSET for every outer value: rows are numbered in the order in which they come. */
tm_rc sx_domain_limit(struct sx_env *env, int64_t count, int64_t offset, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	size_t width = env->domain->width, n = io->op->schema.count;
	env->domain->grouped = true;
	struct tm_op *op = sx_op(sx, TM_OP_WINDOW, io->op, NULL);
	sx_schema_copy(sx, op, io->op);
	op->window.partition = TM_NEW_N(sx->arena, struct tm_expr *, width + 1);
	op->window.partition_count = width;
	for (size_t i = 0; i < width; i++)
		op->window.partition[i] = sx_op_column(sx, io->op, io->domain_at + i);
	struct tm_window_fn *number = TM_NEW(sx->arena, struct tm_window_fn);
	*number = (struct tm_window_fn){.kind = TM_WF_ROW_NUMBER,
					.type = &tm_type_int,
					.rows_frame = true,
					.from = TM_FRAME_UNBOUNDED_PRECEDING,
					.to = TM_FRAME_CURRENT_ROW};
	op->window.functions = TM_NEW(sx->arena, struct tm_window_fn *);
	op->window.functions[0] = number;
	op->window.function_count = 1;
	sx_schema_add(sx, op, TM_STR("row_number"), &tm_type_int, false);
	struct tm_expr *at, *bounds[2] = {sx_literal_bool(sx, true), sx_literal_bool(sx, true)};
	TM_TRY(sx_cast(sx, sx_op_column(sx, op, n), &tm_type_bigint, &at));
	struct tm_expr *after[2] = {at, sx_literal_bigint(sx, offset)};
	TM_TRY(sx_call(env, ">", after, 2, 0, 0, &bounds[0]));
	int64_t last;
	if (count >= 0 && !__builtin_add_overflow(count, offset, &last)) {
		struct tm_expr *until[2] = {at, sx_literal_bigint(sx, last)};
		TM_TRY(sx_call(env, "<=", until, 2, 0, 0, &bounds[1]));
	}
	io->op = sx_op_keep(sx, sx_op_filter(sx, op, sx_and(sx, bounds, 2)), n);
	return TM_OK;
}

/* The windows of a block that carries a domain are apart for every outer value. */
struct partition {
	struct sx *sx;
	struct tm_expr **by;
	size_t count;
};
static struct tm_expr *partition(void *ctx, struct tm_expr *e)
{
	struct partition *p = ctx;
	if (sx_kind(e) != SX_WINDOW)
		return NULL;
	struct sx_window *w = TM_NEW(p->sx->arena, struct sx_window);
	*w = *(const struct sx_window *)e->bound;
	w->partition = TM_NEW_N(p->sx->arena, struct tm_expr *, w->partition_count + p->count + 1);
	for (size_t i = 0; i < w->partition_count; i++)
		w->partition[i] = ((const struct sx_window *)e->bound)->partition[i];
	for (size_t i = 0; i < p->count; i++)
		w->partition[w->partition_count++] = p->by[i];
	struct tm_expr *r = sx_copy(p->sx, e);
	r->bound = w;
	return r;
}
void sx_domain_windows(struct sx *sx, const struct sx_correlations *c, struct tm_expr **exprs, size_t n)
{
	struct partition p = {.sx = sx, .by = TM_NEW_N(sx->arena, struct tm_expr *, c->count + 1), .count = c->count};
	for (size_t i = 0; i < c->count; i++)
		p.by[i] = c->items[i].inner;
	for (size_t i = 0; i < n; i++)
		exprs[i] = sx_rewrite(sx, exprs[i], partition, NULL, &p);
}

/* ---- what Spark refuses ---- */
struct reads {
	size_t from, to;
	bool outer, local;
};
static bool reads(const struct tm_expr *e, void *ctx)
{
	struct reads *r = ctx;
	if (e->kind == TM_EXPR_COLUMN && e->column >= r->from && e->column < r->to)
		r->outer = true;
	else if (e->kind == TM_EXPR_COLUMN)
		r->local = true;
	else if (sx_kind(e) == SX_OUTER)
		r->outer = true;
	return false;
}
static struct reads reads_of(const struct sx_env *env, const struct tm_expr *e)
{
	struct reads r = {.from = env->domain_at, .to = env->domain_at + (env->in_domain ? env->domain->width : 0)};
	sx_any(e, reads, &r);
	return r;
}
bool sx_reads_outer(const struct sx_env *env, const struct tm_expr *e) { return env->in_domain && reads_of(env, e).outer; }

void sx_domain_condition(const struct sx_env *env, struct tm_expr *condition)
{
	struct tm_expr **items = NULL;
	size_t n = 0;
	sx_conjuncts(env->sx, condition, &items, &n);
	for (size_t i = 0; i < n; i++) {
		const struct tm_expr *e = items[i];
		bool equal = e->kind == TM_EXPR_CALL && e->function && e->arg_count == 2 &&
			     (strcmp(e->function, "=") == 0 || strcmp(e->function, "<=>") == 0) &&
			     sx_reads_outer(env, e->args[0]) != sx_reads_outer(env, e->args[1]);
		env->domain->unequal = env->domain->unequal || (sx_reads_outer(env, e) && !equal);
	}
}

tm_rc sx_fail_outer(struct sx *sx, const struct tm_expr *e, struct tm_str alias)
{
	if (alias.at && !tm_str_eq(alias, e->text))
		return sx_fail(sx, e->line, e->column_no, "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE", "0A000",
			       "Unsupported subquery expression: Expressions referencing the outer query are not supported outside of "
			       "WHERE/HAVING clauses: \"%.*s AS %.*s\".",
			       TM_STR_ARG(e->text), TM_STR_ARG(alias));
	return sx_fail(sx, e->line, e->column_no, "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE", "0A000",
		       "Unsupported subquery expression: Expressions referencing the outer query are not supported outside of "
		       "WHERE/HAVING clauses: \"%.*s\".",
		       TM_STR_ARG(e->text));
}

struct mixed {
	const struct sx_env *env;
	bool all_outer; /* look for those of outer columns alone, too */
	const struct tm_expr *found;
};
static bool mixed(const struct tm_expr *e, void *ctx)
{
	struct mixed *m = ctx;
	if (sx_kind(e) != SX_AGG)
		return false;
	struct reads r = reads_of(m->env, e);
	m->found = r.outer && (r.local || m->all_outer) ? e : NULL;
	return m->found != NULL;
}
tm_rc sx_domain_mixed(const struct sx_env *env, const struct tm_expr *e, bool all_outer)
{
	struct mixed m = {.env = env, .all_outer = all_outer};
	if (!sx_any(e, mixed, &m))
		return TM_OK;
	if (!reads_of(env, m.found).local)
		return sx_fail_outer(env->sx, m.found, (struct tm_str){0});
	return sx_fail(env->sx, m.found->line, m.found->column_no,
		       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.AGGREGATE_FUNCTION_MIXED_OUTER_LOCAL_REFERENCES", "0A000",
		       "Unsupported subquery expression: Found an aggregate function in a correlated predicate that has both outer "
		       "and local references, which is not supported: %.*s.",
		       TM_STR_ARG(m.found->text));
}
tm_rc sx_domain_aggregate(const struct sx_env *env, const struct tm_expr *e, struct tm_str alias)
{
	if (!sx_reads_outer(env, e))
		return TM_OK;
	TM_TRY(sx_domain_mixed(env, e, false));
	return sx_fail_outer(env->sx, e, alias);
}

/* ---- a subquery's plan ---- */
/* A scalar aggregate's value where no row matches, if that is known without the rows: 0 of a count, else null. */
static bool empty_value(struct sx *sx, const struct tm_op *op, struct tm_expr **ret)
{
	static const char *const null_when_empty[] = {"sum", "max", "min", "avg", "mean", "first", "last", "any_value", NULL};
	const struct tm_op *agg = op->input_count ? op->inputs[0] : NULL;
	*ret = NULL;
	if (op->kind != TM_OP_PROJECT || agg->kind != TM_OP_AGGREGATE)
		return false;
	const struct tm_expr *e = op->project.exprs[0];
	if (e->kind != TM_EXPR_COLUMN || e->column < agg->aggregate.key_count)
		return false;
	const char *name = agg->aggregate.aggs[e->column - agg->aggregate.key_count]->kernel->name;
	if (strcmp(name, "count") == 0) {
		*ret = sx_literal_bigint(sx, 0);
		return true;
	}
	for (size_t i = 0; null_when_empty[i]; i++)
		if (strcmp(name, null_when_empty[i]) == 0)
			return true;
	return false;
}

static tm_rc plain(struct sx_env *env, const struct ast_query *q, bool scalar, struct sx_domain *d, struct sx_subplan *ret)
{
	struct sx *sx = env->sx;
	struct sx_env inner = {.sx = sx, .outer = env, .domain = d, .correlations = &ret->keys, .ctes = env->ctes};
	TM_TRY(sx_query(&inner, q, &ret->rel));
	if (d->refs && ret->keys.global && !(scalar && empty_value(sx, ret->rel.op, &ret->empty)))
		d->beyond = true;
	return TM_OK;
}

static tm_rc carried(struct sx_env *env, const struct ast_query *q, struct sx_domain *d, struct sx_subplan *ret)
{
	struct sx *sx = env->sx;
	struct sx_env inner = {.sx = sx, .outer = env, .domain = d, .carry = true, .ctes = env->ctes};
	d->width = d->outer.count;
	d->number = ++sx->domains;
	d->grew = d->grouped = d->unequal = false;
	d->refs = d->places.count = 0;
	d->stuck = NULL;
	*ret = (struct sx_subplan){.domain = d};
	TM_TRY(sx_query(&inner, q, &ret->rel));
	if (d->stuck)
		return sx_fail_outer(sx, d->stuck, (struct tm_str){0});
	for (size_t i = 0; i < d->width; i++)
		TM_PUSH_IN(sx->arena, &ret->keys, (struct sx_correlation){.outer = d->outer.items[i], .null_safe = true});
	return TM_OK;
}

tm_rc sx_subplan(struct sx_env *env, const struct ast_query *q, bool scalar, struct sx_subplan *ret)
{
	struct sx *sx = env->sx;
	struct sx_domain *d = TM_NEW(sx->arena, struct sx_domain);
	struct tm_err *err = sx->err, tried = {0};
	size_t relations = sx->relations.count, depth = sx->view_depth;
	*ret = (struct sx_subplan){.domain = d};
	sx->err = &tried;
	tm_rc rc = plain(env, q, scalar, d, ret);
	bool again = d->outer.count && (rc != TM_OK || d->beyond);
	while (again) {
		/* What was analysed is thrown away. A name that was not met before makes the domain wider. */
		tried = (struct tm_err){0};
		sx->relations.count = relations;
		sx->view_depth = depth;
		rc = carried(env, q, d, ret);
		again = d->grew;
	}
	sx->err = err;
	if (rc != TM_OK && err)
		*err = tried;
	return rc;
}

tm_rc sx_derived(struct sx_env *env, const struct ast_query *q, const struct sx_cte *ctes, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_domain *d = env->domain;
	struct sx_env inner = {.sx = sx, .ctes = ctes, .outer = env->outer, .domain = d};
	if (!d)
		return sx_query(&inner, q, ret);
	struct tm_err *err = sx->err, tried = {0};
	size_t refs = d->refs, places = d->places.count, relations = sx->relations.count, depth = sx->view_depth;
	sx->err = &tried;
	tm_rc rc = sx_query(&inner, q, ret);
	sx->err = err;
	if (d->refs == refs || !env->carry) {
		d->beyond = d->beyond || d->refs != refs;
		if (rc != TM_OK && err)
			*err = tried;
		return rc;
	}
	sx->relations.count = relations;
	sx->view_depth = depth;
	d->places.count = places;
	inner.carry = true;
	return sx_query(&inner, q, ret);
}
