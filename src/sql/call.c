/* Calls: binding functions of the catalogue, lambdas, window functions. */
#include "sql/domain.h"

/* ---- binding ---- */
struct binding {
	struct sx_env *env;
	const struct ast_expr *at;
};

static tm_rc bind_lambda(struct tm_fn_bind *bind, size_t arg, const struct tm_type *const *types, const bool *nullable, size_t n,
			 struct tm_err *err)
{
	struct binding *b = bind->analyser;
	struct sx *sx = b->env->sx;
	const struct ast_expr *ast = b->at->args.items[arg];
	(void)err;
	if (ast->kind != AST_LAMBDA || ast->names.count != n)
		return sx_fail(sx, ast->line, ast->column, "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH", "42K0D",
			       "Invalid lambda function call. A higher order function expects %zu arguments, but got %zu.",
			       ast->names.count, n);
	struct sx_env env = *b->env;
	struct tm_expr *e = sx_expr(sx, TM_EXPR_LAMBDA, NULL, false), *body;
	size_t *ids = TM_NEW_N(sx->arena, size_t, n + 1);
	struct tm_buf text = {0};
	for (size_t i = 0; i < n; i++) {
		struct sx_lambda *l = TM_NEW(sx->arena, struct sx_lambda);
		*l = (struct sx_lambda){
		    .name = ast->names.items[i], .id = sx->lambda_count++, .type = types[i], .nullable = nullable[i], .next = env.lambdas};
		env.lambdas = l;
		ids[i] = l->id;
	}
	TM_TRY(sx_resolve(&env, ast->args.items[0], &body));
	e->type = body->type;
	e->nullable = body->nullable;
	e->arg_count = 1;
	e->args = TM_NEW(sx->arena, struct tm_expr *);
	e->args[0] = body;
	e->variable_count = n;
	e->variables = ids;
	tm_buf_printf(&text, "lambdafunction(%.*s", TM_STR_ARG(body->text));
	for (size_t i = 0; i < n; i++)
		tm_buf_cstr_put(&text, ", namedlambdavariable()");
	tm_buf_char(&text, ')');
	e->text = tm_arena_str(sx->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	e->line = ast->line;
	e->column_no = ast->column;
	bind->args[arg].type = body->type;
	bind->args[arg].nullable = body->nullable;
	bind->args[arg].expr = e;
	return TM_OK;
}

static tm_rc check_count(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *at, size_t n)
{
	if ((int)n >= fn->min_args && (fn->max_args < 0 || (int)n <= fn->max_args))
		return TM_OK;
	struct tm_str expected = sx_text(sx, "%d", fn->min_args);
	if (fn->max_args < 0)
		expected = sx_text(sx, "> %d", fn->min_args - 1);
	else if (fn->max_args != fn->min_args) {
		struct tm_buf list = {0};
		for (int i = fn->min_args; i <= fn->max_args; i++)
			tm_buf_printf(&list, "%s%d", i > fn->min_args ? ", " : "[", i);
		tm_buf_char(&list, ']');
		expected = tm_arena_str(sx->arena, tm_buf_str(&list));
		tm_buf_done(&list);
	}
	return sx_fail(sx, at->line, at->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
		       "The `%s` requires %.*s parameters but the actual number is %zu.", fn->name, TM_STR_ARG(expected), n);
}

/* With IGNORE NULLS and RESPECT NULLS these are shown under another name. */
static const char *name_with_nulls(const char *name, const struct ast_expr *at)
{
	if (at->kind != AST_CALL || (!at->ignore_nulls && !at->respect_nulls))
		return name;
	return strcmp(name, "first_value") == 0 ? "first" : strcmp(name, "last_value") == 0 ? "last" : name;
}

struct tm_str sx_text_of_call(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *at, struct tm_expr **args, size_t n)
{
	if (at->flag && n == 2 && strcmp(fn->name, "extract") == 0)
		return sx_text(sx, "extract(%.*s FROM %.*s)", TM_STR_ARG(args[0]->text), TM_STR_ARG(args[1]->text));
	if (at->kind == AST_CALL && n == 1 && strcmp(fn->name, "negative") == 0) /* the function, not the sign */
		return sx_text(sx, "negative(%.*s)", TM_STR_ARG(args[0]->text));
	struct tm_str text = sx_text_call(sx, name_with_nulls(fn->name, at), args, n);
	if (at->kind == AST_CALL && at->text.at) /* v:a, see item_name */
		return sx_text(sx, "%.*s AS %.*s", TM_STR_ARG(text), TM_STR_ARG(at->text));
	size_t open = tm_str_find(text, TM_STR("("), 0);
	if (at->kind != AST_CALL || !at->distinct || open == SIZE_MAX)
		return text;
	return sx_text(sx, "%.*s(DISTINCT %.*s", (int)open, text.at, TM_STR_ARG(tm_str_slice(text, open + 1, text.len)));
}

static tm_rc aggregate_expr(struct sx_env *env, const struct ast_expr *at, struct tm_fn_bind *b, struct tm_expr **args, struct tm_str text,
			    struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	if (env->in_aggregate)
		return sx_fail(sx, at->line, at->column, "NESTED_AGGREGATE_FUNCTION", "42607",
			       "It is not allowed to use an aggregate function in the argument of another aggregate function. Please use "
			       "the inner aggregate function in a sub-query.");
	for (size_t i = 0; i < b->arg_count; i++)
		if (sx_volatile(args[i]))
			return sx_fail(sx, at->line, at->column, "AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION", "42845",
				       "Non-deterministic expression \"%.*s\" should not appear in the arguments of an aggregate function.",
				       TM_STR_ARG(text));
	struct tm_agg *agg = TM_NEW(sx->arena, struct tm_agg);
	struct tm_expr *e = sx_expr(sx, (enum tm_expr_kind)SX_AGG, b->type, b->nullable);
	*agg = (struct tm_agg){.kernel = b->agg,
			       .bound = b->bound,
			       .type = b->type,
			       .nullable = b->nullable,
			       .distinct = at->kind == AST_CALL && at->distinct,
			       .arg_count = b->arg_count,
			       .args = args,
			       .text = text,
			       .line = at->line,
			       .column_no = at->column};
	if (at->filter) {
		TM_TRY(sx_resolve_boolean(env, at->filter, &agg->filter));
		text = sx_text(sx, "%.*s FILTER (WHERE %.*s)", TM_STR_ARG(text), TM_STR_ARG(agg->filter->text));
		agg->text = text;
	}
	e->bound = agg;
	e->args = args;
	e->arg_count = b->arg_count;
	e->text = text;
	e->line = at->line;
	e->column_no = at->column;
	*ret = e;
	return TM_OK;
}

/* Where a function takes a lambda. Every bind may count on there being an expression anywhere else. */
static bool takes_lambda(const char *function, size_t arg)
{
	static const struct {
		const char *name;
		unsigned args;
	} table[] = {{"transform", 2},        {"filter", 2},     {"exists", 2},       {"forall", 2},
		     {"aggregate", 12},       {"reduce", 12},    {"zip_with", 4},     {"transform_keys", 2},
		     {"transform_values", 2}, {"map_filter", 2}, {"map_zip_with", 4}, {"array_sort", 2}};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].name, function) == 0)
			return arg < 8 && table[i].args >> arg & 1;
	return false;
}
static tm_rc check_lambdas(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *at, struct tm_expr *const *args, size_t n)
{
	bool any = false;
	for (size_t i = 0; i < 8; i++)
		any = any || takes_lambda(fn->name, i);
	for (size_t i = 0; i < n; i++)
		if (!args[i] && !any)
			return sx_fail(sx, at->line, at->column, "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", "42K0D",
				       "Invalid lambda function call. A lambda function should only be used in a higher order function. "
				       "However, `%s` is not a higher order function.",
				       fn->name);
		else if (!args[i] && !takes_lambda(fn->name, i))
			return sx_fail(sx, at->line, at->column, "INVALID_LAMBDA_FUNCTION_CALL.PARAMETER_DOES_NOT_ACCEPT_LAMBDA_FUNCTION",
				       "42K0D",
				       "Invalid lambda function call. You passed a lambda function to a parameter of `%s` that does not "
				       "accept it. Please check if lambda function argument is in the correct position.",
				       fn->name);
	return TM_OK;
}

tm_rc sx_bind(struct sx_env *env, const struct tm_fn *fn, const struct ast_expr *at, struct tm_expr **args, size_t n, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	TM_TRY(check_count(sx, fn, at, n));
	TM_TRY(check_lambdas(sx, fn, at, args, n));
	struct binding binding = {env, at};
	struct tm_fn_bind b = {.arena = sx->arena,
			       .session = sx->session,
			       .fn = fn,
			       .name = at->names.count ? at->names.items[at->names.count - 1] : tm_str_of(fn->name),
			       .arg_count = n,
			       .distinct = at->kind == AST_CALL && at->distinct,
			       .ignore_nulls = at->ignore_nulls,
			       .within = env->within,
			       .bind_lambda = bind_lambda,
			       .analyser = &binding};
	b.args = TM_NEW_N(sx->arena, struct tm_fn_arg, n + 1);
	b.cast = TM_NEW_N(sx->arena, const struct tm_type *, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (!args[i]) {
			b.args[i].lambda = true;
			b.args[i].lambda_arity = at->args.items[i]->names.count;
			continue;
		}
		b.args[i] = (struct tm_fn_arg){
		    .type = args[i]->type, .nullable = args[i]->nullable, .expr = args[i], .literal = sx_value(sx, args[i])};
	}
	TM_TRY(sx_at(sx, at->line, at->column, fn->bind(&b, sx->err)));
	struct tm_expr **bound = TM_NEW_N(sx->arena, struct tm_expr *, n + 1), *r;
	for (size_t i = 0; i < n; i++)
		bound[i] = args[i] ? args[i] : b.args[i].expr;
	struct tm_str text = sx_text_of_call(sx, fn, at, bound, n);
	if (b.replacement) {
		r = sx_copy(sx, b.replacement);
		r->text = text;
		r->line = at->line;
		r->column_no = at->column;
		*ret = r;
		return TM_OK;
	}
	for (size_t i = 0; i < n; i++)
		if (b.cast[i] && bound[i]->kind != TM_EXPR_LAMBDA)
			TM_TRY(sx_cast(sx, bound[i], b.cast[i], &bound[i]));
	if (b.agg)
		return aggregate_expr(env, at, &b, bound, text, ret);
	if (!b.kernel)
		return sx_fail(sx, at->line, at->column, "UNSUPPORTED_FEATURE.ROUTINE", "0A000", "The function `%s` cannot be used here.",
			       fn->name);
	r = sx_call_expr(sx, b.kernel, fn->name, b.type, b.nullable, bound, n);
	r->bound = b.bound;
	r->text = text;
	r->line = at->line;
	r->column_no = at->column;
	*ret = r;
	return TM_OK;
}

static tm_rc unresolved(struct sx *sx, const struct ast_expr *e)
{
	struct tm_buf name = {0};
	for (size_t i = 0; i < e->names.count; i++)
		tm_buf_printf(&name, "%s`%.*s`", i ? "." : "", TM_STR_ARG(e->names.items[i]));
	tm_rc rc =
	    sx_fail(sx, e->line, e->column, "UNRESOLVED_ROUTINE", "42883",
		    "Cannot resolve routine %.*s on search path [`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`].",
		    TM_STR_ARG(tm_buf_str(&name)));
	tm_buf_done(&name);
	return rc;
}

tm_rc sx_resolve_call(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	char lower[128];
	struct tm_str name = e->names.items[e->names.count - 1];
	if (e->over)
		return sx_resolve_window(env, e, ret);
	if (e->names.count > 1 && !tm_str_iis(e->names.items[0], "system") && !tm_str_iis(e->names.items[0], "builtin") &&
	    !tm_str_iis(e->names.items[0], "session"))
		return unresolved(sx, e);
	if (name.len >= sizeof lower)
		return unresolved(sx, e);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 32) : name.at[i];
	name = tm_arena_str(sx->arena, tm_str_n(lower, name.len));
	*ret = NULL;
	TM_TRY(sx_special(env, e, name, ret));
	if (*ret)
		return TM_OK;
	const struct tm_fn *fn = tm_fn_find(name);
	if (!fn)
		return unresolved(sx, e);
	bool aggregate = fn->kind == TM_FN_AGGREGATE, was = env->in_aggregate;
	if (aggregate && env->domain && env->outer->in_having && !env->in_having) {
		*ret = sx_domain_aggregate_of_outer(env, e);
		if (*ret)
			return TM_OK;
	}
	size_t n = e->args.count + e->within.count;
	struct tm_expr **args = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	/* Of a window function the arguments may hold aggregates: sum(sum(x)) OVER (…). */
	env->in_aggregate = was || (aggregate && !env->window_call);
	env->window_call = false;
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < e->args.count && rc == TM_OK; i++) {
		const struct ast_expr *arg = e->args.items[i];
		if (arg->kind == AST_STAR && !arg->names.count && strcmp(fn->name, "count") == 0)
			args[i] = sx_literal_int(sx, 1);
		else if (arg->kind != AST_LAMBDA)
			rc = sx_resolve(env, arg, &args[i]);
	}
	env->in_aggregate = was;
	TM_TRY(rc);
	/* datediff(HOUR, a, b) is timestampdiff's other name, and so on. */
	static const struct {
		const char *name, *with_unit;
	} units[] = {
	    {"datediff", "timestampdiff"}, {"date_diff", "timestampdiff"}, {"dateadd", "timestampadd"}, {"date_add", "timestampadd"}};
	for (size_t i = 0; i < sizeof units / sizeof *units && e->args.count == 3 && e->args.items[0]->flag; i++)
		if (strcmp(fn->name, units[i].name) == 0 && tm_fn_find(tm_str_of(units[i].with_unit)))
			fn = tm_fn_find(tm_str_of(units[i].with_unit));
	if (e->within.count)
		return sx_within_group(env, fn, e, args, ret);
	TM_TRY(sx_without_group(sx, fn, e));
	return sx_bind(env, fn, e, args, e->args.count, ret);
}

/* ---- window functions ---- */
static const struct {
	const char *name;
	int kind;
	const struct tm_type *type;
	int min, max;
} window_functions[] = {
    {"row_number", TM_WF_ROW_NUMBER, &tm_type_int, 0, 0},
    {"rank", TM_WF_RANK, &tm_type_int, 0, 0},
    {"dense_rank", TM_WF_DENSE_RANK, &tm_type_int, 0, 0},
    {"percent_rank", TM_WF_PERCENT_RANK, &tm_type_double, 0, 0},
    {"cume_dist", TM_WF_CUME_DIST, &tm_type_double, 0, 0},
    {"ntile", TM_WF_NTILE, &tm_type_int, 0, 1},
    {"lag", TM_WF_LAG, NULL, 1, 3},
    {"lead", TM_WF_LEAD, NULL, 1, 3},
    {"first_value", TM_WF_FIRST_VALUE, NULL, 1, 2},
    {"first", TM_WF_FIRST_VALUE, NULL, 1, 2},
    {"any_value", TM_WF_FIRST_VALUE, NULL, 1, 2},
    {"last_value", TM_WF_LAST_VALUE, NULL, 1, 2},
    {"last", TM_WF_LAST_VALUE, NULL, 1, 2},
    {"nth_value", TM_WF_NTH_VALUE, NULL, 2, 3},
};

static tm_rc find_window(struct sx_env *env, const struct ast_window *w, const struct ast_window **ret)
{
	for (size_t i = 0; env->body && i < env->body->windows.count; i++)
		if (tm_str_ieq(env->body->windows.items[i].name, w->base)) {
			*ret = env->body->windows.items[i].spec;
			return TM_OK;
		}
	return sx_fail(env->sx, w->line, w->column, "MISSING_WINDOW_SPECIFICATION", "42P20",
		       "Window specification is not defined in the WINDOW clause for `%.*s`.", TM_STR_ARG(w->base));
}

static tm_rc resolve_spec(struct sx_env *env, const struct ast_window *w, struct sx_window *ret)
{
	struct sx *sx = env->sx;
	const struct ast_window *base = w, *order = w;
	if (w->base.at)
		TM_TRY(find_window(env, w, &base));
	if (!w->order.count)
		order = base;
	const struct ast_window *frame = w->frame ? w : base;
	ret->partition_count = base->partition.count;
	ret->partition = TM_NEW_N(sx->arena, struct tm_expr *, base->partition.count + 1);
	for (size_t i = 0; i < base->partition.count; i++)
		TM_TRY(sx_resolve(env, base->partition.items[i], &ret->partition[i]));
	ret->order_count = order->order.count;
	ret->order = TM_NEW_N(sx->arena, struct tm_sort_key, order->order.count + 1);
	for (size_t i = 0; i < order->order.count; i++) {
		ret->order[i] =
		    (struct tm_sort_key){.descending = order->order.items[i].descending, .nulls_last = order->order.items[i].nulls_last};
		TM_TRY(sx_resolve(env, order->order.items[i].expr, &ret->order[i].expr));
	}
	return sx_frame_resolve(env, frame, ret);
}

/* A bound as Spark's messages print it. */
static struct tm_str bound_text(struct sx *sx, enum tm_frame_bound bound, const struct tm_expr *offset)
{
	switch (bound) {
	case TM_FRAME_UNBOUNDED_PRECEDING:
		return TM_STR("unboundedpreceding$()");
	case TM_FRAME_UNBOUNDED_FOLLOWING:
		return TM_STR("unboundedfollowing$()");
	case TM_FRAME_CURRENT_ROW:
		return TM_STR("currentrow$()");
	default:
		return sx_text(sx, "%s%.*s", bound == TM_FRAME_PRECEDING ? "-" : "", TM_STR_ARG(offset->text));
	}
}

/* Ranks, row numbers, lag and lead have a frame of their own; another one that is written out is refused, as in Spark. */
static tm_rc check_own_frame(struct sx *sx, const struct ast_expr *e, const char *name, const struct sx_window *w)
{
	const struct tm_window_fn *fn = &w->fn;
	if (!w->frame_given)
		return TM_OK;
	if (fn->kind == TM_WF_LAG || fn->kind == TM_WF_LEAD)
		return sx_fail(sx, e->line, e->column, "_LEGACY_ERROR_TEMP_1035", "", "Cannot specify window frame for %s function.", name);
	bool rows = fn->kind != TM_WF_CUME_DIST; /* the one that counts peers */
	if (fn->rows_frame == rows && fn->from == TM_FRAME_UNBOUNDED_PRECEDING && fn->to == TM_FRAME_CURRENT_ROW)
		return TM_OK;
	return sx_fail(sx, e->line, e->column, "_LEGACY_ERROR_TEMP_1036", "",
		       "Window Frame specifiedwindowframe(%s, %.*s, %.*s) must match the required frame specifiedwindowframe(%s, "
		       "unboundedpreceding$(), currentrow$()).",
		       fn->rows_frame ? "RowFrame" : "RangeFrame", TM_STR_ARG(bound_text(sx, fn->from, fn->from_offset)),
		       TM_STR_ARG(bound_text(sx, fn->to, fn->to_offset)), rows ? "RowFrame" : "RangeFrame");
}

static struct tm_str window_text(struct sx *sx, struct tm_str call, const struct sx_window *w)
{
	struct tm_str frame;
	if (w->fn.kind == TM_WF_LAG || w->fn.kind == TM_WF_LEAD) {
		/* Spark shows their frame as the row they take. */
		struct tm_str n = w->fn.arg_count > 1 ? w->fn.args[1]->text : TM_STR("1");
		const char *sign = w->fn.kind == TM_WF_LAG ? "-" : "";
		frame = sx_text(sx, "ROWS BETWEEN %s%.*s FOLLOWING AND %s%.*s FOLLOWING", sign, TM_STR_ARG(n), sign, TM_STR_ARG(n));
	} else {
		frame = sx_frame_text(sx, w);
	}
	return sx_text(sx, "%.*s OVER %.*s", TM_STR_ARG(call), TM_STR_ARG(sx_spec_text(sx, w, frame)));
}

/* The number that ntile, nth_value, lag and lead take is a constant in a range. */
static tm_rc check_number(struct sx *sx, const struct ast_expr *e, int kind, struct tm_str call, const struct tm_expr *number)
{
	bool ntile = kind == TM_WF_NTILE, nth = kind == TM_WF_NTH_VALUE;
	enum tm_type_kind k = number->type->kind;
	const struct tm_column *v = sx_value(sx, number);
	if (ntile && k != TM_T_TINYINT && k != TM_T_SMALLINT && k != TM_T_INT)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: The first parameter requires the \"INT\" type, however "
			       "\"%.*s\" has the type \"%s\".",
			       TM_STR_ARG(call), TM_STR_ARG(number->text), sx_type_sql(sx, number->type));
	if (!v)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: the input `%s` should be a foldable \"INT\" expression; "
			       "however, got \"%s%.*s%s\".",
			       TM_STR_ARG(call), ntile ? "buckets" : "offset", kind == TM_WF_LAG ? "(- " : "", TM_STR_ARG(number->text),
			       kind == TM_WF_LAG ? ")" : "");
	bool whole = k == TM_T_TINYINT || k == TM_T_SMALLINT || k == TM_T_INT || k == TM_T_BIGINT;
	if ((ntile || nth) && whole && !tm_is_null(v, 0) && tm_value_integer(v, 0) <= 0)
		return sx_fail(
		    sx, e->line, e->column, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "42K09",
		    "Cannot resolve \"%.*s\" due to data type mismatch: The %s must be between (0, %s] (current value = %lld%s).",
		    TM_STR_ARG(call), ntile ? "buckets" : "offset", ntile ? "2147483647" : "9223372036854775807",
		    (long long)tm_value_integer(v, 0), ntile ? "" : "L");
	return TM_OK;
}

static tm_rc bind_window_function(struct sx_env *env, const struct ast_expr *e, size_t which, struct sx_window *w, struct tm_expr **args,
				  struct tm_str *ret_text, bool *ret_nullable)
{
	struct sx *sx = env->sx;
	struct tm_window_fn *fn = &w->fn;
	fn->kind = window_functions[which].kind;
	fn->type = window_functions[which].type ? window_functions[which].type : args[0]->type;
	fn->ignore_nulls = e->ignore_nulls;
	fn->arg_count = e->args.count;
	*ret_nullable = !window_functions[which].type;
	*ret_text = fn->kind == TM_WF_RANK         ? TM_STR("RANK()")
		    : fn->kind == TM_WF_DENSE_RANK ? TM_STR("DENSE_RANK()")
		    : fn->kind == TM_WF_PERCENT_RANK
			? TM_STR("PERCENT_RANK()")
			: sx_text_call(sx, name_with_nulls(window_functions[which].name, e), args, fn->arg_count);
	bool offset = fn->kind == TM_WF_LAG || fn->kind == TM_WF_LEAD;
	if (fn->kind != TM_WF_FIRST_VALUE && fn->kind != TM_WF_LAST_VALUE && fn->kind != TM_WF_NTH_VALUE) {
		TM_TRY(check_own_frame(sx, e, window_functions[which].name, w));
		fn->rows_frame = fn->kind != TM_WF_CUME_DIST;
		fn->from = TM_FRAME_UNBOUNDED_PRECEDING;
		fn->to = TM_FRAME_CURRENT_ROW;
		fn->from_offset = fn->to_offset = NULL;
	}
	size_t own = fn->kind == TM_WF_NTH_VALUE ? 2 : fn->kind == TM_WF_FIRST_VALUE || fn->kind == TM_WF_LAST_VALUE ? 1 : SIZE_MAX;
	if (fn->arg_count > own) { /* then: are nulls ignored? */
		const struct tm_column *v = sx_value(sx, args[own]);
		fn->ignore_nulls = v && !tm_is_null(v, 0) && args[own]->type->kind == TM_T_BOOLEAN && v->boolean[0];
		fn->arg_count = own;
	}
	if (fn->kind == TM_WF_NTH_VALUE && fn->ignore_nulls)
		*ret_text = sx_text(sx, "%.*s ignore nulls", TM_STR_ARG(*ret_text));
	if (offset || fn->kind == TM_WF_NTH_VALUE || fn->kind == TM_WF_NTILE) {
		if (fn->kind == TM_WF_NTILE && !fn->arg_count) {
			args[0] = sx_literal_int(sx, 1);
			fn->arg_count = 1;
		}
		size_t number = fn->kind == TM_WF_NTILE ? 0 : 1;
		if (fn->arg_count > number)
			TM_TRY(check_number(sx, e, fn->kind, *ret_text, args[number]));
		if (fn->arg_count > number)
			TM_TRY(sx_cast(sx, args[number], &tm_type_int, &args[number]));
		if (offset && fn->arg_count == 3)
			TM_TRY(sx_cast(sx, args[2], args[0]->type, &args[2]));
	}
	if (!w->order_count && fn->kind != TM_WF_FIRST_VALUE && fn->kind != TM_WF_LAST_VALUE)
		return sx_fail(
		    sx, e->line, e->column, "WINDOW_FUNCTION_FRAME_NOT_ORDERED", "42601",
		    "Window function %s requires the window to be ordered. You need to add an ORDER BY clause. For example: SELECT "
		    "%.*s OVER (PARTITION BY window_partition ORDER BY window_ordering) FROM table.",
		    window_functions[which].name, TM_STR_ARG(*ret_text));
	return TM_OK;
}

tm_rc sx_resolve_window(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct sx_window *w = TM_NEW(sx->arena, struct sx_window);
	struct tm_str name = e->names.items[e->names.count - 1], text = {0};
	size_t which = 0, count = sizeof window_functions / sizeof *window_functions;
	bool nullable = true;
	while (which < count && !tm_str_iis(name, window_functions[which].name))
		which++;
	TM_TRY(resolve_spec(env, e->over, w));
	struct tm_expr *r;
	if (which < count && !e->distinct) {
		struct tm_expr **args = TM_NEW_N(sx->arena, struct tm_expr *, e->args.count + 2);
		if ((int)e->args.count < window_functions[which].min || (int)e->args.count > window_functions[which].max)
			return sx_fail(sx, e->line, e->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
				       "The `%s` requires %d parameters but the actual number is %zu.", window_functions[which].name,
				       window_functions[which].min, e->args.count);
		for (size_t i = 0; i < e->args.count; i++)
			TM_TRY(sx_resolve(env, e->args.items[i], &args[i]));
		TM_TRY(bind_window_function(env, e, which, w, args, &text, &nullable));
		w->fn.args = args;
		r = sx_expr(sx, (enum tm_expr_kind)SX_WINDOW, w->fn.type, nullable);
		r->args = args;
		r->arg_count = w->fn.arg_count;
	} else {
		struct ast_expr plain = *e;
		plain.over = NULL;
		struct tm_expr *agg;
		env->window_call = true;
		TM_TRY(sx_resolve_call(env, &plain, &agg));
		env->window_call = false;
		if (sx_kind(agg) != SX_AGG)
			return sx_fail(sx, e->line, e->column, "UNSUPPORTED_EXPR_FOR_WINDOW", "42P20",
				       "Expression \"%.*s\" not supported within a window function.", TM_STR_ARG(agg->text));
		struct tm_agg *copy = TM_NEW(sx->arena, struct tm_agg);
		*copy = *(const struct tm_agg *)agg->bound;
		w->fn.kind = TM_WF_AGGREGATE;
		w->fn.agg = copy;
		w->fn.args = agg->args;
		w->fn.arg_count = agg->arg_count;
		w->fn.type = agg->type;
		text = agg->text;
		if (copy->distinct)
			return sx_fail(sx, e->line, e->column, "DISTINCT_WINDOW_FUNCTION_UNSUPPORTED", "0A000",
				       "Distinct window functions are not supported: \"%.*s\".", TM_STR_ARG(window_text(sx, text, w)));
		r = sx_expr(sx, (enum tm_expr_kind)SX_WINDOW, agg->type, agg->nullable);
		r->args = agg->args;
		r->arg_count = agg->arg_count;
	}
	TM_TRY(sx_frame_check(env, e->over, w));
	r->bound = w;
	r->text = window_text(sx, text, w);
	r->line = e->line;
	r->column_no = e->column;
	*ret = r;
	return TM_OK;
}
