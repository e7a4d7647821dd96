/* Stars among the arguments of a call: struct(*), hash(t.*), count(DISTINCT *) stand for calls with the columns' names. */
#include "sql/sql_int.h"

bool sx_star_excepts(const struct ast_expr *star, struct tm_str name)
{
	for (size_t i = 0; i < star->except.count; i++) {
		const struct ast_expr *x = star->except.items[i];
		if (x->kind == AST_NAME && tm_str_ieq(x->names.items[x->names.count - 1], name))
			return true;
	}
	return false;
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
	bool any = false;
	for (size_t i = 0; env->columns && i < env->columns->count; i++) {
		const struct sx_column *c = &env->columns->items[i];
		if (!sx_star_matches(star, c))
			continue;
		any = true;
		if (!sx_star_excepts(star, c->name))
			add_name(env->sx, call, star, &c->qualifier, c->name);
	}
	if (any || !star->names.count)
		return TM_OK;
	struct ast_expr name = *star; /* no relation: a struct's fields */
	struct tm_expr *base;
	name.kind = AST_NAME;
	TM_TRY(sx_resolve_name(env, &name, &base));
	for (size_t i = 0; base->type->kind == TM_T_STRUCT && i < base->type->child_count; i++)
		if (!sx_star_excepts(star, base->type->names[i]))
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
