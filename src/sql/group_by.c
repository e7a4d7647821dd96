/* GROUP BY: keys (expressions, ordinals, aliases, ALL) and grouping sets. */
#include "sql/block.h"

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

tm_rc sx_ordinal(struct block *b, const struct ast_expr *ast, const char *klass, const char *clause, bool *ret_is, size_t *ret_index)
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

bool sx_is_correlated_scalar(const struct tm_expr *e, __attribute__((unused)) void *ctx)
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
	bool is_ordinal = false;
	size_t index = 0;
	struct ast_names qualifier;
	TM_TRY(sx_pipe_position(b, ast, &e, &qualifier));
	if (!e)
		TM_TRY(sx_ordinal(b, ast, "GROUP_BY_POS_OUT_OF_RANGE", "GROUP BY", &is_ordinal, &index));
	if (e) {
	} else if (is_ordinal) {
		/* Stars before it shift positions: count them out. */
		struct block probe = *b;
		memset(&probe.items, 0, sizeof probe.items);
		size_t at = 0;
		const struct ast_expr *target = NULL;
		e = NULL;
		for (; at < b->body->items.count && !e && !target; at++) {
			const struct ast_expr *a = b->body->items.items[at], *inner = a->kind == AST_ALIAS ? a->args.items[0] : a;
			if (inner->kind == AST_STAR) {
				TM_TRY(sx_star_expand(&probe, inner));
				if (probe.items.count > index)
					e = probe.items.items[index].expr;
			} else if (probe.items.count == index) {
				target = inner;
			} else {
				sx_item_add(&probe, NULL, (struct tm_str){0}, NULL);
			}
		}
		if (target)
			TM_TRY(selected_key(b, target, &e));
	} else {
		const struct ast_expr *aliased = NULL;
		if (ast->kind == AST_NAME && ast->names.count == 1 && !has_column(&b->columns, ast->names.items[0]))
			aliased = alias_ast(b->body, ast->names.items[0]);
		TM_TRY(aliased ? selected_key(b, aliased, &e) : sx_resolve(&b->env, ast, &e));
		if (!aliased && sx_any(e, sx_is_correlated_scalar, NULL))
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

tm_rc sx_group_by_resolve(struct block *b)
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
