/* Stars among the arguments of a call: struct(*), hash(t.*), count(DISTINCT *) stand for calls with the columns' names. */
#include "sql/sql_int.h"

static struct tm_str except_list(struct sx *sx, const struct ast_expr *star)
{
	struct tm_str list = {0};
	for (size_t k = 0; k < star->except.count; k++) {
		const struct ast_names *names = &star->except.items[k]->names;
		for (size_t i = 0; i < names->count; i++)
			list = sx_text(sx, "%.*s%s%.*s", TM_STR_ARG(list), i ? "." : k ? ", " : "", TM_STR_ARG(names->items[i]));
	}
	return list;
}

tm_rc sx_star_field_excepted(struct sx *sx, const struct ast_expr *star, const struct tm_type *type, bool **ret)
{
	bool *excepted = *ret = TM_NEW_N(sx->arena, bool, type->child_count + 1);
	for (size_t k = 0; k < star->except.count; k++) {
		const struct ast_expr *x = star->except.items[k];
		bool found = false;
		for (size_t i = 0; x->kind == AST_NAME && i < type->child_count; i++)
			if (tm_str_ieq(x->names.items[x->names.count - 1], type->names[i]))
				found = excepted[i] = true;
		if (!found)
			return sx_fail(sx, x->line, x->column, "UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703",
				       "A column, variable, or function parameter with name `%.*s` cannot be resolved among the fields of "
				       "the star.",
				       TM_STR_ARG(x->kind == AST_NAME ? x->names.items[x->names.count - 1] : x->text));
	}
	return TM_OK;
}

tm_rc sx_star_excepted(struct sx_env *env, const struct ast_expr *star, bool **ret)
{
	struct sx *sx = env->sx;
	bool *excepted = *ret = TM_NEW_N(sx->arena, bool, env->columns->count + 1);
	for (size_t k = 0; k < star->except.count; k++) {
		const struct ast_expr *x = star->except.items[k];
		const struct sx_column *c;
		size_t parts;
		TM_TRY(sx_find_column(env, x, &c, &parts));
		if (parts < x->names.count)
			return sx_fail(sx, x->line, x->column, "UNSUPPORTED_FEATURE.STAR_EXCEPT_FIELD", "0A000",
				       "The feature is not supported: a struct's field in EXCEPT. Name the columns instead of the star.");
		size_t i = (size_t)(c - env->columns->items);
		if (!sx_star_matches(star, c))
			return sx_fail_column(env, x);
		if (excepted[i])
			return sx_fail(sx, star->line, star->column, "EXCEPT_OVERLAPPING_COLUMNS", "42702",
				       "Columns in an EXCEPT list must be distinct and non-overlapping, but got (%.*s).",
				       TM_STR_ARG(except_list(sx, star)));
		excepted[i] = true;
	}
	return TM_OK;
}

bool sx_star_matches(const struct ast_expr *star, const struct sx_column *c)
{
	return star->names.count ? sx_qualifier_matches(&c->qualifier, &star->names, star->names.count) : !c->hidden;
}

static void add_name(struct sx *sx, struct ast_expr *call, const struct ast_expr *star, const struct ast_names *before, struct tm_str name)
{
	struct ast_expr *e = TM_NEW(sx->arena, struct ast_expr);
	*e = (struct ast_expr){
	    .kind = AST_NAME, .line = star->line, .column = star->column, .from = star->from, .to = star->to, .depth = star->depth};
	for (size_t i = 0; i < before->count; i++)
		TM_PUSH_IN(sx->arena, &e->names, before->items[i]);
	TM_PUSH_IN(sx->arena, &e->names, name);
	TM_PUSH_IN(sx->arena, &call->args, e);
}

static tm_rc expand(struct sx_env *env, const struct ast_expr *star, struct ast_expr *call)
{
	bool any = false, *excepted = NULL;
	for (size_t i = 0; env->columns && i < env->columns->count; i++) {
		const struct sx_column *c = &env->columns->items[i];
		if (!sx_star_matches(star, c))
			continue;
		any = true;
		if (!excepted)
			TM_TRY(sx_star_excepted(env, star, &excepted));
		if (!excepted[i])
			add_name(env->sx, call, star, &c->qualifier, c->name);
	}
	if (any || !star->names.count)
		return TM_OK;
	struct ast_expr name = *star; /* no relation: a struct's fields */
	struct tm_expr *base;
	name.kind = AST_NAME;
	TM_TRY(sx_resolve_name(env, &name, &base));
	if (base->type->kind != TM_T_STRUCT)
		return TM_OK;
	TM_TRY(sx_star_field_excepted(env->sx, star, base->type, &excepted));
	for (size_t i = 0; i < base->type->child_count; i++)
		if (!excepted[i])
			add_name(env->sx, call, star, &star->names, base->type->names[i]);
	return TM_OK;
}

tm_rc sx_star_arguments(struct sx_env *env, const struct ast_expr *call, const struct ast_expr **ret)
{
	bool stars = false, count = call->names.count && tm_str_iis(call->names.items[call->names.count - 1], "count");
	*ret = call;
	for (size_t i = 0; i < call->args.count; i++) {
		const struct ast_expr *a = call->args.items[i];
		stars = stars || (a->kind == AST_STAR && !a->operand);
		if (count && a->kind == AST_STAR && a->names.count)
			return sx_fail(env->sx, a->line, a->column, "INVALID_USAGE_OF_STAR_WITH_TABLE_IDENTIFIER_IN_COUNT", "42000",
				       "SELECT COUNT(%.*s.*) is not allowed. Please use SELECT COUNT(*) or name the columns.",
				       TM_STR_ARG(a->names.items[a->names.count - 1]));
	}
	if (!stars || call->arg_names || (count && !call->distinct && call->args.count == 1)) /* count(*) counts rows */
		return TM_OK;
	struct ast_expr *copy = TM_NEW(env->sx->arena, struct ast_expr);
	*copy = *call;
	memset(&copy->args, 0, sizeof copy->args);
	for (size_t i = 0; i < call->args.count; i++) {
		struct ast_expr *a = call->args.items[i];
		if (a->kind == AST_STAR && !a->operand)
			TM_TRY(expand(env, a, copy));
		else
			TM_PUSH_IN(env->sx->arena, &copy->args, a);
	}
	*ret = copy;
	return TM_OK;
}
