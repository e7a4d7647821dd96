/* One query block: FROM, WHERE, GROUP BY, HAVING, windows, the select list, DISTINCT, ORDER BY. Everything is resolved over the
 * operator that FROM and WHERE gave; then, step by step, operators are put on top and the expressions are rewritten to their
 * columns: event-time windows, aggregation, HAVING, window functions, subqueries, generators, projection. */
#include "sql/domain.h"

struct item {
	struct tm_expr *expr;
	struct tm_str name;
	const struct ast_expr *ast;
	struct ast_names aliases;
};
struct block {
	struct sx *sx;
	struct sx_env env;
	const struct ast_body *body;
	const struct ast_query *tail;
	struct tm_op *op;
	struct sx_columns columns;
	struct sx_aliases aliases;
	struct {
		struct item *items;
		size_t count, cap;
	} items;
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} keys;
	struct {
		struct {
			const struct ast_expr *ast;
			struct tm_expr *expr;
		} * items;
		size_t count, cap;
	} selected_keys; /* subqueries of the select list that GROUP BY names: resolved once */
	bool *sets;      /* grouping sets: set_count × keys.count, 1 = the key is in the set; NULL = plain */
	size_t set_count;
	struct tm_expr *having, *qualify;
	struct {
		struct tm_sort_key *items;
		size_t count, cap;
	} order;
	struct sx_lowered_list windows;
	struct sx_correlations correlations;
	bool aggregated;
};

/* ---- select list ---- */
static void add_item(struct block *b, struct tm_expr *e, struct tm_str name, const struct ast_expr *ast)
{
	TM_PUSH_IN(b->sx->arena, &b->items, (struct item){.expr = e, .name = name, .ast = ast});
}

static bool excepted(const struct ast_expr *star, struct tm_str name)
{
	for (size_t i = 0; i < star->except.count; i++) {
		const struct ast_expr *x = star->except.items[i];
		if (x->kind == AST_NAME && tm_str_ieq(x->names.items[x->names.count - 1], name))
			return true;
	}
	return false;
}

static tm_rc star_of_struct(struct block *b, const struct ast_expr *star, struct tm_expr *base)
{
	if (base->type->kind != TM_T_STRUCT)
		return sx_fail(b->sx, star->line, star->column, "CANNOT_RESOLVE_STAR_EXPAND", "42704",
			       "Cannot resolve %.*s.* given input columns. Please check that the specified table or struct exists and is "
			       "accessible in the input columns.",
			       TM_STR_ARG(base->text));
	for (size_t i = 0; i < base->type->child_count; i++)
		if (!excepted(star, base->type->names[i])) {
			struct tm_expr *f = sx_field(b->sx, base, i);
			f->line = star->line;
			f->column_no = star->column;
			add_item(b, f, base->type->names[i], NULL);
		}
	return TM_OK;
}

static tm_rc expand_star(struct block *b, const struct ast_expr *star)
{
	struct sx *sx = b->sx;
	size_t before = b->items.count;
	if (star->operand) {
		struct tm_expr *base;
		TM_TRY(sx_resolve(&b->env, star->operand, &base));
		return star_of_struct(b, star, base);
	}
	bool any = false;
	for (size_t i = 0; i < b->columns.count; i++) {
		const struct sx_column *c = &b->columns.items[i];
		if (star->names.count) {
			size_t n = star->names.count;
			bool match = c->qualifier.count >= n;
			for (size_t k = 0; match && k < n; k++)
				match = tm_str_ieq(c->qualifier.items[c->qualifier.count - n + k], star->names.items[k]);
			if (!match)
				continue;
		} else if (c->hidden) {
			continue;
		}
		any = true;
		if (excepted(star, c->name))
			continue;
		struct tm_expr *e = c->expr ? sx_copy(sx, c->expr) : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
		e->text = c->name;
		e->line = star->line;
		e->column_no = star->column;
		add_item(b, e, c->name, NULL);
	}
	if (star->names.count && !any) {
		struct ast_expr name = *star;
		struct tm_expr *base;
		name.kind = AST_NAME;
		if (sx_resolve_name(&b->env, &name, &base) != TM_OK)
			return sx_fail(sx, star->line, star->column, "CANNOT_RESOLVE_STAR_EXPAND", "42704",
				       "Cannot resolve `%.*s`.* given input columns. Please check that the specified table or struct "
				       "exists and is accessible in the input columns.",
				       TM_STR_ARG(star->names.items[0]));
		return star_of_struct(b, star, base);
	}
	if (b->items.count == before && !b->body->from)
		return sx_fail(sx, star->line, star->column, "INVALID_USAGE_OF_STAR_OR_REGEX", "42000",
			       "Invalid usage of '*' in expression `project`.");
	return TM_OK;
}

static struct tm_str item_name(const struct ast_expr *ast, const struct tm_expr *e)
{
	if (ast->kind == AST_NAME)
		return ast->names.items[ast->names.count - 1];
	if (ast->kind == AST_FIELD)
		return ast->text;
	return e->text;
}

static tm_rc resolve_items(struct block *b)
{
	for (size_t i = 0; i < b->body->items.count; i++) {
		const struct ast_expr *ast = b->body->items.items[i], *inner = ast->kind == AST_ALIAS ? ast->args.items[0] : ast;
		if (inner->kind == AST_STAR) {
			TM_TRY(expand_star(b, inner));
			continue;
		}
		struct tm_expr *e = NULL;
		for (size_t k = 0; k < b->selected_keys.count; k++)
			if (b->selected_keys.items[k].ast == inner)
				e = b->selected_keys.items[k].expr;
		if (!e)
			TM_TRY(sx_resolve(&b->env, inner, &e));
		add_item(b, e, ast->kind == AST_ALIAS ? ast->names.items[0] : item_name(inner, e), inner);
		struct item *item = &b->items.items[b->items.count - 1];
		if (ast->kind == AST_ALIAS) {
			item->aliases = ast->names;
			if (ast->names.count == 1 && sx_kind(e) != SX_GENERATOR)
				TM_PUSH_IN(b->sx->arena, &b->aliases, (struct sx_alias){ast->names.items[0], e});
		}
	}
	return TM_OK;
}

/* ---- GROUP BY ---- */
static const struct ast_expr *alias_ast(const struct ast_body *body, struct tm_str name)
{
	for (size_t i = 0; i < body->items.count; i++) {
		const struct ast_expr *a = body->items.items[i];
		if (a->kind == AST_ALIAS && a->names.count == 1 && tm_str_ieq(a->names.items[0], name))
			return a->args.items[0];
	}
	return NULL;
}

static bool has_column(const struct sx_columns *columns, struct tm_str name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (!columns->items[i].hidden && tm_str_ieq(columns->items[i].name, name))
			return true;
	return false;
}

static tm_rc ordinal(struct block *b, const struct ast_expr *ast, const char *klass, const char *clause, bool *ret_is, size_t *ret_index)
{
	int64_t v;
	*ret_is = ast->kind == AST_LITERAL && ast->literal == AST_LIT_INTEGER && tm_str_to_i64(ast->text, &v);
	if (!*ret_is)
		return TM_OK;
	size_t count = b->items.count ? b->items.count : b->body->items.count;
	if (v < 1 || (size_t)v > count)
		return sx_fail(b->sx, ast->line, ast->column, klass, "42805",
			       "%s position %lld is not in select list (valid range is [1, %zu]).", clause, (long long)v, count);
	*ret_index = (size_t)v - 1;
	return TM_OK;
}

static bool is_correlated_scalar(const struct tm_expr *e, __attribute__((unused)) void *ctx)
{
	const struct sx_subquery *s = e->bound;
	return sx_kind(e) == SX_SUBQUERY && s->kind == SX_SCALAR && s->key_count;
}

static tm_rc selected_key(struct block *b, const struct ast_expr *ast, struct tm_expr **ret)
{
	for (size_t i = 0; i < b->selected_keys.count; i++)
		if (b->selected_keys.items[i].ast == ast) {
			*ret = b->selected_keys.items[i].expr;
			return TM_OK;
		}
	TM_TRY(sx_resolve(&b->env, ast, ret));
	if (sx_has(*ret, SX_SUBQUERY))
		TM_PUSH_IN(b->sx->arena, &b->selected_keys, (__typeof__(*b->selected_keys.items)){ast, *ret});
	return TM_OK;
}

static tm_rc group_key(struct block *b, const struct ast_expr *ast, size_t *ret_index)
{
	struct sx *sx = b->sx;
	struct tm_expr *e;
	bool is_ordinal;
	size_t index;
	TM_TRY(ordinal(b, ast, "GROUP_BY_POS_OUT_OF_RANGE", "GROUP BY", &is_ordinal, &index));
	if (is_ordinal) {
		/* Stars before it shift positions: count them out. */
		struct block probe = *b;
		memset(&probe.items, 0, sizeof probe.items);
		size_t at = 0;
		const struct ast_expr *target = NULL;
		e = NULL;
		for (; at < b->body->items.count && !e && !target; at++) {
			const struct ast_expr *a = b->body->items.items[at], *inner = a->kind == AST_ALIAS ? a->args.items[0] : a;
			if (inner->kind == AST_STAR) {
				TM_TRY(expand_star(&probe, inner));
				if (probe.items.count > index)
					e = probe.items.items[index].expr;
			} else if (probe.items.count == index) {
				target = inner;
			} else {
				add_item(&probe, NULL, (struct tm_str){0}, NULL);
			}
		}
		if (target)
			TM_TRY(selected_key(b, target, &e));
	} else {
		const struct ast_expr *aliased = NULL;
		if (ast->kind == AST_NAME && ast->names.count == 1 && !has_column(&b->columns, ast->names.items[0]))
			aliased = alias_ast(b->body, ast->names.items[0]);
		TM_TRY(aliased ? selected_key(b, aliased, &e) : sx_resolve(&b->env, ast, &e));
		if (!aliased && sx_any(e, is_correlated_scalar, NULL))
			return sx_fail(sx, ast->line, ast->column,
				       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.MUST_AGGREGATE_CORRELATED_SCALAR_SUBQUERY", "0A000",
				       "Unsupported subquery expression: Correlated scalar subqueries must be aggregated to return at most "
				       "one row.");
	}
	if (sx_has(e, SX_AGG))
		return sx_fail(sx, ast->line, ast->column, "GROUP_BY_AGGREGATE", "42903",
			       "Aggregate functions are not allowed in GROUP BY, but found %.*s.", TM_STR_ARG(e->text));
	if (sx_has(e, SX_WINDOW) || sx_has(e, SX_GENERATOR))
		return sx_fail(sx, ast->line, ast->column, "UNSUPPORTED_GROUPING_EXPRESSION", "42K0E",
			       "A window function or generator cannot be a grouping expression: %.*s.", TM_STR_ARG(e->text));
	if (!tm_type_orderable(e->type) && e->type->kind != TM_T_NULL && e->type->kind != TM_T_MAP && e->type->kind != TM_T_INTERVAL)
		return sx_fail(sx, ast->line, ast->column, "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE", "42822",
			       "The expression \"%.*s\" cannot be used as a grouping expression because its data type \"%s\" is not an "
			       "orderable data type.",
			       TM_STR_ARG(e->text), sx_type_sql(sx, e->type));
	for (size_t i = 0; i < b->keys.count; i++)
		if (sx_same(b->keys.items[i], e)) {
			*ret_index = i;
			return TM_OK;
		}
	*ret_index = b->keys.count;
	TM_PUSH_IN(sx->arena, &b->keys, e);
	return TM_OK;
}

struct set {
	uint64_t bits;
};
struct sets {
	struct set *items;
	size_t count, cap;
};

/* The sets that one element of GROUP BY stands for. */
static tm_rc element_sets(struct block *b, const struct ast_grouping *g, struct sets *ret)
{
	struct sets parts = {0};
	size_t index;
	if (g->kind == AST_GROUP_PLAIN) {
		TM_TRY(group_key(b, g->expr, &index));
		TM_PUSH_IN(b->sx->arena, ret, (struct set){(uint64_t)1 << (index & 63)});
		return TM_OK;
	}
	for (size_t i = 0; i < g->sets.count; i++) {
		struct set s = {0};
		for (size_t k = 0; k < g->sets.items[i].count; k++) {
			TM_TRY(group_key(b, g->sets.items[i].items[k], &index));
			s.bits |= (uint64_t)1 << (index & 63);
		}
		TM_PUSH_IN(b->sx->arena, &parts, s);
	}
	if (b->keys.count > 63 || (g->kind == AST_GROUP_CUBE && parts.count > 12))
		return sx_fail(b->sx, b->body->line, b->body->column, "GROUPING_SIZE_LIMIT_EXCEEDED", "54000",
			       "Grouping sets size cannot be greater than 64.");
	if (g->kind == AST_GROUP_SETS) {
		*ret = parts;
		return TM_OK;
	}
	if (g->kind == AST_GROUP_ROLLUP) {
		for (size_t n = parts.count + 1; n-- > 0;) {
			struct set s = {0};
			for (size_t i = 0; i < n; i++)
				s.bits |= parts.items[i].bits;
			TM_PUSH_IN(b->sx->arena, ret, s);
		}
		return TM_OK;
	}
	for (size_t mask = (size_t)1 << parts.count; mask-- > 0;) {
		struct set s = {0};
		for (size_t i = 0; i < parts.count; i++)
			if (mask >> (parts.count - 1 - i) & 1)
				s.bits |= parts.items[i].bits;
		TM_PUSH_IN(b->sx->arena, ret, s);
	}
	return TM_OK;
}

static tm_rc resolve_group_by(struct block *b)
{
	struct sets all = {0};
	bool plain = true;
	TM_PUSH_IN(b->sx->arena, &all, (struct set){0});
	for (size_t i = 0; i < b->body->group.count; i++) {
		const struct ast_grouping *g = &b->body->group.items[i];
		struct sets one = {0}, product = {0};
		plain = plain && g->kind == AST_GROUP_PLAIN;
		TM_TRY(element_sets(b, g, &one));
		if (plain)
			continue;
		/* An element that came before is in every set. */
		if (all.count == 1 && i)
			all.items[0].bits = b->keys.count > 63 ? 0 : all.items[0].bits;
		for (size_t x = 0; x < all.count; x++)
			for (size_t y = 0; y < one.count; y++)
				TM_PUSH_IN(b->sx->arena, &product, (struct set){all.items[x].bits | one.items[y].bits});
		if (product.count > 4096)
			return sx_fail(b->sx, b->body->line, b->body->column, "GROUPING_SIZE_LIMIT_EXCEEDED", "54000",
				       "There are more than 4096 grouping sets.");
		all = product;
	}
	if (plain)
		return TM_OK;
	uint64_t always = 0;
	for (size_t i = 0, index; i < b->body->group.count; i++)
		if (b->body->group.items[i].kind == AST_GROUP_PLAIN) {
			TM_TRY(group_key(b, b->body->group.items[i].expr, &index));
			always |= (uint64_t)1 << (index & 63);
		}
	b->set_count = all.count;
	b->sets = TM_NEW_N(b->sx->arena, bool, all.count *(b->keys.count + 1));
	for (size_t i = 0; i < all.count; i++)
		for (size_t k = 0; k < b->keys.count; k++)
			b->sets[i * b->keys.count + k] = (all.items[i].bits | always) >> k & 1;
	return TM_OK;
}

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
		TM_TRY(ordinal(b, o->expr, "ORDER_BY_POS_OUT_OF_RANGE", "ORDER BY", &is_ordinal, &index));
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

/* ---- aggregation ---- */
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

static tm_rc nested_generator(struct sx *sx, int line, int column, struct tm_str text)
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
	if (is_correlated_scalar(e, NULL))
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

static tm_rc aggregate(struct block *b, bool has_group_by)
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
				return nested_generator(sx, a->line, a->column_no, a->text);
			else if (sx_has(a->args[k], SX_WINDOW))
				return sx_fail(sx, a->line, a->column_no, "UNSUPPORTED_FEATURE.AGGREGATE_ARGUMENT", "0A000",
					       "A window function cannot be an argument of an aggregate function: \"%.*s\".",
					       TM_STR_ARG(a->text));
		sx_schema_add(sx, op, a->text, a->type, a->nullable);
	}
	b->op = op;
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
				return nested_generator(sx, it.expr->line, it.expr->column_no, it.expr->text);
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
			add_item(b, sx_column_expr(sx, first + k, g->types[k], g->nullable[k] || g->outer, name), name, NULL);
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
			   (struct sx_column){.name = names[i], .type = exprs[i]->type, .nullable = exprs[i]->nullable, .index = i});
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
	TM_TRY(resolve_group_by(b));
	TM_TRY(sx_lower_time_windows(sx, &b->op, &b->columns, &b->windows, b->keys.items, b->keys.count));
	b->env.aliases = &b->aliases;
	TM_TRY(resolve_items(b));
	b->env.in_having = true;
	if (body->having)
		TM_TRY(sx_resolve_boolean(&b->env, body->having, &b->having));
	b->env.in_having = false;
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
		TM_TRY(aggregate(b, body->group.count || body->group_all));
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
