/* A block that aggregates: what stands above the aggregation is rewritten to its keys and results. */
#include "sql/block.h"

struct regroup {
	struct block *b;
	struct {
		struct tm_agg **items;
		size_t count, cap;
	} aggs;
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} placeholders;
	struct tm_expr *missing;
	size_t id_column; /* of the grouping id; SIZE_MAX = no grouping sets */
	bool bad_grouping;
	const struct tm_expr *not_a_key; /* grouping() of what is no grouping column */
};

static tm_rc eval_grouping(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, struct tm_column *ret)
{
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i8[i] = (int8_t)(args[0].i64[i] >> (uintptr_t)call->bound & 1);
	return TM_OK;
}
static const struct tm_kernel kernel_grouping = {.name = "grouping", .eval = eval_grouping};

static struct tm_expr *regroup_grouping(struct regroup *r, struct tm_expr *e)
{
	struct sx *sx = r->b->sx;
	size_t n = r->b->keys.count;
	if (r->id_column == SIZE_MAX) {
		r->bad_grouping = true;
		return sx_literal_bigint(sx, 0);
	}
	struct tm_expr *id = sx_column_expr(sx, r->id_column, &tm_type_bigint, false, e->text);
	if (e->type->kind == TM_T_BIGINT)
		return id;
	for (size_t i = 0; i < n; i++)
		if (sx_same(r->b->keys.items[i], e->args[0])) {
			struct tm_expr *c = sx_call_expr(sx, &kernel_grouping, "grouping", &tm_type_tinyint, false, &id, 1);
			c->bound = (const void *)(uintptr_t)(n - 1 - i);
			c->text = e->text;
			return c;
		}
	r->not_a_key = e->args[0];
	return id;
}

static struct tm_expr *regroup(void *ctx, struct tm_expr *e)
{
	struct regroup *r = ctx;
	struct sx *sx = r->b->sx;
	if (sx_kind(e) == SX_GROUPING)
		return regroup_grouping(r, e);
	if (e->kind != TM_EXPR_LITERAL)
		for (size_t i = 0; i < r->b->keys.count; i++)
			if (sx_same(r->b->keys.items[i], e)) {
				struct tm_expr *c = sx_column_expr(sx, i, e->type, e->nullable || r->b->sets, e->text);
				c->line = e->line;
				c->column_no = e->column_no;
				return c;
			}
	if (sx_kind(e) == SX_AGG) {
		size_t i = 0;
		while (i < r->placeholders.count && !sx_same(r->placeholders.items[i], e))
			i++;
		if (i == r->placeholders.count) {
			TM_PUSH_IN(sx->arena, &r->placeholders, e);
			TM_PUSH_IN(sx->arena, &r->aggs, (struct tm_agg *)(uintptr_t)e->bound);
		}
		struct tm_expr *c = sx_column_expr(sx, r->b->keys.count + (r->id_column != SIZE_MAX) + i, e->type, e->nullable, e->text);
		c->line = e->line;
		c->column_no = e->column_no;
		return c;
	}
	if (e->kind == TM_EXPR_COLUMN && !r->missing)
		r->missing = e;
	return NULL;
}

/* GROUPING SETS: every row once per set, keys that are not in it null, and the set's number as a key. */
static void expand_sets(struct block *b)
{
	struct sx *sx = b->sx;
	size_t have = b->op->schema.count, n = b->keys.count;
	struct tm_op *op = sx_op(sx, TM_OP_EXPAND, b->op, NULL);
	sx_schema_copy(sx, op, b->op);
	for (size_t k = 0; k < n; k++)
		sx_schema_add(sx, op, b->keys.items[k]->text, b->keys.items[k]->type, true);
	sx_schema_add(sx, op, TM_STR("spark_grouping_id"), &tm_type_bigint, false);
	op->expand_guarded.count = b->set_count;
	op->expand_guarded.projections = TM_NEW_N(sx->arena, struct tm_expr **, b->set_count);
	for (size_t s = 0; s < b->set_count; s++) {
		struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, have + n + 1);
		int64_t id = 0;
		for (size_t i = 0; i < have; i++)
			exprs[i] = sx_op_column(sx, b->op, i);
		for (size_t k = 0; k < n; k++) {
			bool in = b->sets[s * n + k];
			exprs[have + k] = in ? b->keys.items[k] : sx_literal_null(sx, b->keys.items[k]->type);
			id = id << 1 | !in;
		}
		exprs[have + n] = sx_literal_bigint(sx, id);
		op->expand_guarded.projections[s] = exprs;
	}
	b->op = op;
}

static tm_rc missing_column(struct block *b, const struct tm_expr *e, bool has_group_by)
{
	if (!has_group_by)
		return sx_fail(
		    b->sx, b->body->line, b->body->column, "MISSING_GROUP_BY", "42803",
		    "The query does not include a GROUP BY clause. Add GROUP BY or turn it into the window functions using OVER clauses.");
	return sx_fail(b->sx, e->line, e->column_no, "MISSING_AGGREGATION", "42803",
		       "The non-aggregating expression \"%.*s\" is based on columns which are not participating in the GROUP BY "
		       "clause.\nAdd the columns or the expression to the GROUP BY, aggregate the expression, or use \"any_value(%.*s)\" "
		       "if you do not care which of the values within a group is returned.",
		       TM_STR_ARG(e->text), TM_STR_ARG(e->text));
}

tm_rc sx_fail_nested_generator(struct sx *sx, int line, int column, struct tm_str text)
{
	return sx_fail(sx, line, column, "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS", "42K0E",
		       "The generator is not supported: nested in expressions \"%.*s\".", TM_STR_ARG(text));
}

/* A scalar subquery of the row must be a key or in a function. */
static tm_rc check_scalars(struct block *b, const struct tm_expr *e)
{
	if (sx_kind(e) == SX_AGG)
		return TM_OK;
	for (size_t i = 0; i < b->keys.count; i++)
		if (sx_same(b->keys.items[i], e))
			return TM_OK;
	if (sx_is_correlated_scalar(e, NULL))
		return sx_fail(b->sx, ((const struct sx_subquery *)e->bound)->line, ((const struct sx_subquery *)e->bound)->column,
			       "SCALAR_SUBQUERY_IS_IN_GROUP_BY_OR_AGGREGATE_FUNCTION", "0A000",
			       "The correlated scalar subquery '\"%.*s\"' is neither present in GROUP BY, nor in an aggregate function.\n"
			       "Add it to GROUP BY using ordinal position or wrap it in `first()` (or `first_value`) if you don't care "
			       "which value you get.",
			       TM_STR_ARG(e->text));
	for (size_t i = 0; i < e->arg_count; i++)
		TM_TRY(check_scalars(b, e->args[i]));
	return TM_OK;
}

tm_rc sx_aggregate(struct block *b, bool has_group_by)
{
	struct sx *sx = b->sx;
	struct regroup r = {.b = b, .id_column = b->sets ? b->keys.count : SIZE_MAX};
	for (size_t i = 0; has_group_by && i < b->items.count; i++)
		TM_TRY(check_scalars(b, b->items.items[i].expr));
	for (size_t i = 0; i < b->items.count; i++) {
		b->items.items[i].expr = sx_rewrite(sx, b->items.items[i].expr, regroup, NULL, &r);
		if (r.missing)
			return missing_column(b, r.missing, has_group_by);
	}
	if (b->having)
		b->having = sx_rewrite(sx, b->having, regroup, NULL, &r);
	if (b->qualify)
		b->qualify = sx_rewrite(sx, b->qualify, regroup, NULL, &r);
	for (size_t i = 0; i < b->order.count; i++)
		b->order.items[i].expr = sx_rewrite(sx, b->order.items[i].expr, regroup, NULL, &r);
	if (r.bad_grouping)
		return sx_fail(sx, b->body->line, b->body->column, "UNSUPPORTED_GROUPING_EXPRESSION", "42K0E",
			       "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup.");
	if (r.not_a_key)
		return sx_fail(sx, b->body->line, b->body->column, "GROUPING_COLUMN_MISMATCH", "42803",
			       "Column of grouping (%.*s) can't be found in grouping columns %.*s.", TM_STR_ARG(r.not_a_key->text),
			       TM_STR_ARG(sx_text_list(sx, b->keys.items, b->keys.count)));
	if (r.missing)
		return missing_column(b, r.missing, has_group_by);
	for (size_t i = 0; i < r.aggs.count; i++) {
		struct tm_agg *a = r.aggs.items[i];
		TM_TRY(sx_lower_subqueries(sx, &b->op, a->args, a->arg_count));
		TM_TRY(sx_lower_subqueries(sx, &b->op, &a->filter, a->filter != NULL));
	}
	TM_TRY(sx_lower_subqueries(sx, &b->op, b->keys.items, b->keys.count));
	size_t n = b->keys.count, outer_keys = SIZE_MAX;
	if (b->env.carry && !has_group_by)
		sx_domain_global(&b->env, &b->op, r.aggs.items, r.aggs.count, &outer_keys);
	size_t have = b->op->schema.count;
	if (b->sets)
		expand_sets(b);
	struct tm_op *op = sx_op(sx, TM_OP_AGGREGATE, b->op, NULL);
	op->line = b->body->line;
	op->column_no = b->body->column;
	op->aggregate.keys = TM_NEW_N(sx->arena, struct tm_expr *, n + 2);
	op->aggregate.event_time_key = -1;
	for (size_t i = 0; i < n; i++) {
		struct tm_expr *k = b->keys.items[i];
		op->aggregate.keys[i] = b->sets ? sx_op_column(sx, b->op, have + i) : k;
		if (outer_keys != SIZE_MAX)
			op->aggregate.keys[i] = sx_op_column(sx, b->op, outer_keys + i);
		sx_schema_add(sx, op, k->text, k->type, k->nullable || b->sets);
		for (size_t w = 0; w < b->windows.count; w++) {
			const struct sx_time_window *t = b->windows.items[w].placeholder->bound;
			if (t->session && k->kind == TM_EXPR_COLUMN && k->column == b->windows.items[w].column) {
				op->aggregate.event_time_key = (int)i;
				op->aggregate.session_gap_us = t->length_us > 0 ? t->length_us : 1;
				op->aggregate.session_gap = t->length_us > 0 ? NULL : b->windows.items[w].placeholder->args[1];
			}
		}
	}
	if (b->sets) {
		op->aggregate.keys[n] = sx_op_column(sx, b->op, have + n);
		sx_schema_add(sx, op, TM_STR("spark_grouping_id"), &tm_type_bigint, false);
	}
	op->aggregate.key_count = n + (b->sets != NULL);
	op->aggregate.global = op->aggregate.key_count == 0;
	op->aggregate.aggs = r.aggs.items;
	op->aggregate.agg_count = r.aggs.count;
	for (size_t i = 0; i < r.aggs.count; i++) {
		struct tm_agg *a = r.aggs.items[i];
		for (size_t k = 0; k < a->arg_count; k++)
			if (sx_has(a->args[k], SX_GENERATOR))
				return sx_fail_nested_generator(sx, a->line, a->column_no, a->text);
			else if (sx_has(a->args[k], SX_WINDOW))
				return sx_fail(sx, a->line, a->column_no, "UNSUPPORTED_FEATURE.AGGREGATE_ARGUMENT", "0A000",
					       "A window function cannot be an argument of an aggregate function: \"%.*s\".",
					       TM_STR_ARG(a->text));
		sx_schema_add(sx, op, a->text, a->type, a->nullable);
	}
	b->op = op;
	return TM_OK;
}
