/* WITHIN GROUP (ORDER BY …): the arguments and the order of the aggregates that take it. */
#include "sql/sql_int.h"

enum takes { VALUES, FRACTION, NOTHING };
static const struct {
	const char *name, *shown;
	enum takes takes;
} functions[] = {{"listagg", "listagg", VALUES},
		 {"string_agg", "listagg", VALUES},
		 {"mode", "Mode", NOTHING},
		 {"percentile_cont", "percentile_cont", FRACTION},
		 {"percentile_disc", "percentile_disc", FRACTION}};

static tm_rc keys(struct sx_env *env, const struct ast_expr *e, enum takes takes, struct tm_sort_key **ret, struct tm_str *ret_text)
{
	struct sx *sx = env->sx;
	bool was = env->in_aggregate;
	tm_rc rc = TM_OK;
	*ret = TM_NEW_N(sx->arena, struct tm_sort_key, e->within.count);
	for (size_t i = 0; i < e->within.count && rc == TM_OK; i++) {
		const struct ast_order *o = &e->within.items[i];
		struct tm_sort_key *k = &(*ret)[i];
		env->in_aggregate = true;
		rc = sx_resolve(env, o->expr, &k->expr);
		env->in_aggregate = was;
		TM_TRY(rc);
		k->descending = o->descending;
		k->nulls_last = o->nulls_last;
		/* As Spark shows them: percentiles without nulls, mode the wrong way round. */
		struct tm_str text =
		    takes != VALUES ? sx_text(sx, "%.*s%s", TM_STR_ARG(k->expr->text), k->descending == (takes == FRACTION) ? " DESC" : "")
				    : sx_text(sx, "%.*s %s NULLS %s", TM_STR_ARG(k->expr->text), k->descending ? "DESC" : "ASC",
					      k->nulls_last ? "LAST" : "FIRST");
		if (!tm_type_orderable(k->expr->type))
			return sx_fail_unorderable(sx, o->expr->line, o->expr->column, text, "sortorder", k->expr->type);
		*ret_text = i ? sx_text(sx, "%.*s, %.*s", TM_STR_ARG(*ret_text), TM_STR_ARG(text)) : text;
	}
	return rc;
}

/* Do different values always have different texts? */
static bool text_tells_apart(const struct tm_type *t)
{
	return t->kind != TM_T_FLOAT && t->kind != TM_T_DOUBLE && t->kind != TM_T_TIMESTAMP && !t->child_count;
}

/* With DISTINCT a value has one place only where the key is the value, or what the value is the text of. */
static tm_rc check_distinct(struct sx *sx, const struct ast_expr *e, const char *name, const struct tm_expr *value,
			    const struct tm_sort_key *order)
{
	const struct tm_expr *key = order[0].expr;
	if (e->within.count == 1 && sx_same(value, key))
		return TM_OK;
	bool text = value->type->kind == TM_T_STRING || value->type->kind == TM_T_BINARY;
	if (text && e->within.count == 1 && e->args.items[0]->kind == AST_CAST && value->arg_count == 1 && sx_same(value->args[0], key)) {
		if (text_tells_apart(key->type))
			return TM_OK;
		return sx_fail(
		    sx, e->line, e->column, "INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT_UNSAFE_CAST", "42K0K",
		    "Invalid function `%s` with WITHIN GROUP. The function `%s` with DISTINCT and WITHIN GROUP (ORDER BY) is not "
		    "supported for \"%s\" input. Explicitly cast the input to \"STRING\" before passing it to both the function "
		    "argument and ORDER BY expression.",
		    name, name, sx_type_sql(sx, key->type));
	}
	struct tm_str list = {0};
	for (size_t i = 0; i < e->within.count; i++)
		list = sx_text(sx, "%.*s%s\"%.*s\"", TM_STR_ARG(list), i ? ", " : "", TM_STR_ARG(order[i].expr->text));
	return sx_fail(
	    sx, e->line, e->column, "INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT", "42K0K",
	    "Invalid function `%s` with WITHIN GROUP. The function is invoked with DISTINCT and WITHIN GROUP but expressions \"%.*s\" "
	    "and %.*s do not match. The WITHIN GROUP ordering expression must be picked from the function inputs.",
	    name, TM_STR_ARG(value->text), TM_STR_ARG(list));
}

/* The values carry their keys: listagg(struct(k1, …, value), separator). */
static struct tm_expr *with_keys(struct sx *sx, const struct tm_sort_key *order, size_t n, struct tm_expr *value)
{
	struct tm_expr **fields = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + 1);
	for (size_t i = 0; i <= n; i++) {
		fields[i] = i < n ? order[i].expr : value;
		names[i] = sx_text(sx, "col%zu", i + 1);
	}
	return sx_struct(sx, fields, names, n + 1);
}

tm_rc sx_without_group(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *e)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (functions[i].takes == FRACTION && strcmp(functions[i].name, fn->name) == 0)
			return sx_fail(sx, e->line, e->column, "INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING", "42K0K",
				       "Invalid function `%s` with WITHIN GROUP. WITHIN GROUP is required for the function.", fn->name);
	return TM_OK;
}

tm_rc sx_within_group(struct sx_env *env, const struct tm_fn *fn, const struct ast_expr *e, struct tm_expr **args, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	size_t n = e->args.count, which = 0, count = sizeof functions / sizeof *functions;
	struct tm_str shown = sx_text_of_call(sx, fn, e, args, n), direction = {0};
	while (which < count && strcmp(functions[which].name, fn->name) != 0)
		which++;
	if (which == count) {
		const char *name = strcmp(fn->name, "array_agg") == 0 ? "collect_list" : fn->name;
		return sx_fail(sx, e->line, e->column, "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX", "42000",
			       "Invalid SQL syntax: The function `%s` does not support WITHIN GROUP (ORDER BY ...).", name);
	}
	const char *name = functions[which].shown;
	enum takes takes = functions[which].takes;
	if (takes == VALUES) { /* string_agg is shown as listagg here */
		struct tm_fn as = *fn;
		as.name = name;
		shown = sx_text_of_call(sx, &as, e, args, n);
	}
	struct tm_sort_key *order;
	struct tm_fn_within within = {.count = e->within.count};
	TM_TRY(keys(env, e, takes, &order, &direction));
	within.keys = order;
	if (takes != VALUES && e->within.count != 1)
		return sx_fail(sx, e->line, e->column, "INVALID_WITHIN_GROUP_EXPRESSION.WRONG_NUM_ORDERINGS", "42K0K",
			       "Invalid function `%s` with WITHIN GROUP. The function requires 1 orderings in WITHIN GROUP but got %zu.",
			       name, e->within.count);
	if (takes == VALUES && n) {
		if (e->distinct)
			TM_TRY(check_distinct(sx, e, name, args[0], order));
		within.own = e->within.count == 1 && sx_same(args[0], order[0].expr);
		bool fits = args[0]->type->kind == TM_T_BINARY || tm_cast_implicit(args[0]->type, &tm_type_string, sx->session->ansi);
		if (!fits)
			within.own = true; /* bind says what is wrong with it */
		else if (!within.own)
			args[0] = with_keys(sx, order, e->within.count, args[0]);
	} else if (takes == FRACTION && n == 1) { /* percentile_disc(p) WITHIN GROUP (ORDER BY x) is percentile_disc(x, p) */
		args[1] = args[0];
		args[0] = order[0].expr;
		within.own = true;
		n = 2;
	} else if (takes == NOTHING && n == 0) { /* mode() WITHIN GROUP (ORDER BY x) orders its own values */
		args[0] = order[0].expr;
		args[1] = sx_literal_bool(sx, order[0].descending);
		n = order[0].descending ? 2 : 1;
	}
	struct tm_fn_within *kept = TM_NEW(sx->arena, struct tm_fn_within);
	*kept = within;
	env->within = kept;
	tm_rc rc = sx_bind(env, fn, e, args, n, ret);
	env->within = NULL;
	if (rc == TM_OK) {
		struct tm_agg *agg = sx_kind(*ret) == SX_AGG ? (struct tm_agg *)(uintptr_t)(*ret)->bound : NULL;
		(*ret)->text = sx_text(sx, "%.*s WITHIN GROUP (ORDER BY %.*s)", TM_STR_ARG(shown), TM_STR_ARG(direction));
		if (agg && agg->filter)
			(*ret)->text = sx_text(sx, "%.*s FILTER (WHERE %.*s)", TM_STR_ARG((*ret)->text), TM_STR_ARG(agg->filter->text));
		if (agg)
			agg->text = (*ret)->text;
	}
	return rc;
}
