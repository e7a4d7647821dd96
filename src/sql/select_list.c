/* The select list: its items, stars, and the names of what has none. */
#include "sql/block.h"

void sx_item_add(struct block *b, struct tm_expr *e, struct tm_str name, const struct ast_expr *ast)
{
	TM_PUSH_IN(b->sx->arena, &b->items, (struct item){.expr = e, .name = name, .ast = ast});
}

static tm_rc star_of_struct(struct block *b, const struct ast_expr *star, struct tm_expr *base)
{
	if (base->type->kind != TM_T_STRUCT)
		return sx_fail(b->sx, star->line, star->column, "CANNOT_RESOLVE_STAR_EXPAND", "42704",
			       "Cannot resolve %.*s.* given input columns. Please check that the specified table or struct exists and is "
			       "accessible in the input columns.",
			       TM_STR_ARG(base->text));
	bool *excepted;
	TM_TRY(sx_star_field_excepted(b->sx, star, base->type, &excepted));
	for (size_t i = 0; i < base->type->child_count; i++)
		if (!excepted[i]) {
			struct tm_expr *f = sx_field(b->sx, base, i);
			f->line = star->line;
			f->column_no = star->column;
			sx_item_add(b, f, base->type->names[i], NULL);
		}
	return TM_OK;
}

tm_rc sx_star_expand(struct block *b, const struct ast_expr *star)
{
	struct sx *sx = b->sx;
	size_t before = b->items.count;
	if (star->operand) {
		struct tm_expr *base;
		TM_TRY(sx_resolve(&b->env, star->operand, &base));
		return star_of_struct(b, star, base);
	}
	bool any = false, *excepted = NULL;
	for (size_t i = 0; i < star->args.count; i++) {
		struct ast_expr name = *star->args.items[i];
		const struct sx_column *c;
		size_t parts;
		name.kind = AST_NAME;
		TM_TRY(sx_find_column(&b->env, &name, &c, &parts));
	}
	for (size_t i = 0; i < b->columns.count; i++) {
		const struct sx_column *c = &b->columns.items[i];
		const struct ast_expr *set = sx_pipe_set(star, c);
		if (!sx_star_matches(star, c))
			continue;
		any = true;
		if (!excepted)
			TM_TRY(sx_star_excepted(&b->env, star, &excepted));
		if (excepted[i])
			continue;
		if (set) {
			struct tm_expr *value;
			TM_TRY(sx_resolve(&b->env, set->args.items[0], &value));
			TM_TRY(sx_pipe_check(b, 0, set->args.items[0], value));
			sx_item_add(b, value, set->names.items[0], NULL);
			b->items.items[b->items.count - 1].aliases = set->names;
			continue;
		}
		struct tm_expr *e = c->expr ? sx_copy(sx, c->expr) : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
		e->text = c->name;
		e->line = star->line;
		e->column_no = star->column;
		sx_item_add(b, e, c->name, NULL);
		if (b->body->pipe)
			b->items.items[b->items.count - 1].qualifier = c->qualifier;
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

/* Of CAST(v AS …), the column or path that is cast, else ast itself. s.a may be a field and current_date a function: the text tells. */
static const struct ast_expr *cast_of(struct sx *sx, const struct ast_expr *ast, const struct tm_expr *e)
{
	if (ast->kind != AST_CAST)
		return ast;
	const struct ast_expr *of = ast->args.items[0];
	if (of->kind != AST_NAME)
		return of->kind == AST_CALL && of->text.at ? of : ast;
	struct tm_str name = of->names.items[of->names.count - 1];
	if (tm_str_eq(e->text, name))
		return of;
	struct tm_str column = sx_text(sx, "(%.*s AS ", TM_STR_ARG(name));
	struct tm_str alias = sx_text(sx, "(lateralAliasReference(%.*s) AS ", TM_STR_ARG(name));
	return tm_str_find(e->text, column, 0) != SIZE_MAX || tm_str_find(e->text, alias, 0) != SIZE_MAX ? of : ast;
}

static bool ends_as_call(struct tm_str s) { return s.len > 2 && tm_str_is(tm_str_slice(s, s.len - 2, s.len), "()"); }

/* Spark names a column, a path into a variant, and the cast of either, by its last part, all else by its text. */
static struct tm_str item_name(struct sx *sx, const struct ast_expr *ast, const struct tm_expr *e)
{
	ast = cast_of(sx, ast, e);
	if (ast->kind == AST_NAME && ends_as_call(e->text)) /* current_date */
		return e->text;
	if (ast->kind == AST_NAME)
		return ast->names.items[ast->names.count - 1];
	if (ast->kind == AST_CALL && ast->text.at) /* v:a */
		return ast->text;
	if (ast->kind == AST_FIELD && ast->args.items[0]->kind == AST_NAME) /* (s).a */
		return ast->text;
	return e->text;
}

tm_rc sx_items_resolve(struct block *b)
{
	for (size_t i = 0; i < b->body->items.count; i++) {
		const struct ast_expr *ast = b->body->items.items[i], *inner = ast->kind == AST_ALIAS ? ast->args.items[0] : ast;
		struct tm_expr *e = NULL;
		struct ast_names qualifier = {0};
		if (inner->kind == AST_STAR) {
			TM_TRY(sx_pipe_check(b, i, inner, NULL));
			TM_TRY(sx_star_expand(b, inner));
			continue;
		}
		if (i < b->body->pipe_first)
			TM_TRY(sx_pipe_position(b, inner, &e, &qualifier));
		for (size_t k = 0; k < b->selected_keys.count; k++)
			if (b->selected_keys.items[k].ast == inner)
				e = b->selected_keys.items[k].expr;
		if (!e)
			TM_TRY(sx_resolve(&b->env, inner, &e));
		TM_TRY(sx_pipe_check(b, i, inner, e));
		sx_item_add(b, e, ast->kind == AST_ALIAS ? ast->names.items[0] : item_name(b->sx, inner, e), inner);
		struct item *item = &b->items.items[b->items.count - 1];
		item->qualifier = qualifier;
		if (ast->kind == AST_NAME)
			sx_pipe_pass(b, item);
		if (ast->kind == AST_ALIAS) {
			item->aliases = ast->names;
			if (ast->names.count == 1 && sx_kind(e) != SX_GENERATOR)
				TM_PUSH_IN(b->sx->arena, &b->aliases, (struct sx_alias){ast->names.items[0], e});
		}
	}
	return TM_OK;
}
