/* Functions that the analyser itself knows: conditionals (which evaluate lazily), structs, casts by name, generators, event-time
 * windows, grouping. */
#include "sql/sql_int.h"

#define SPECIAL(name) static tm_rc name(struct sx_env *env, const struct ast_expr *e, struct tm_expr **args, size_t n, struct tm_expr **ret)

static tm_rc cast_all(struct sx *sx, const struct ast_expr *e, const char *function, struct tm_expr **args, size_t n)
{
	const struct tm_type *common;
	struct tm_str text = sx_text_call(sx, function, args, n);
	TM_TRY(sx_common_type(sx, args, n, &common));
	if (!common)
		return sx_fail_types(sx, e->line, e->column, text, function, args, n);
	for (size_t i = 0; i < n; i++)
		TM_TRY(sx_cast(sx, args[i], common, &args[i]));
	return TM_OK;
}

static tm_rc want_boolean(struct sx *sx, const struct ast_expr *e, struct tm_expr **io, struct tm_str text)
{
	if ((*io)->type->kind == TM_T_BOOLEAN)
		return TM_OK;
	if ((*io)->type->kind == TM_T_NULL || tm_cast_implicit((*io)->type, &tm_type_boolean, sx->session->ansi))
		return sx_cast(sx, *io, &tm_type_boolean, io);
	return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
		       "Cannot resolve \"%.*s\" due to data type mismatch: The first parameter requires the \"BOOLEAN\" type, however "
		       "\"%.*s\" has the type \"%s\".",
		       TM_STR_ARG(text), TM_STR_ARG((*io)->text), sx_type_sql(sx, (*io)->type));
}

SPECIAL(special_if)
{
	(void)n;
	struct sx *sx = env->sx;
	struct tm_str text = sx_text(sx, "(IF(%.*s))", TM_STR_ARG(sx_text_list(sx, args, 3)));
	TM_TRY(want_boolean(sx, e, &args[0], text));
	TM_TRY(cast_all(sx, e, "if", args + 1, 2));
	*ret = sx_if(sx, args[0], args[1], args[2]);
	(*ret)->text = text;
	return TM_OK;
}

SPECIAL(special_coalesce)
{
	struct sx *sx = env->sx;
	struct tm_str text = sx_text_call(sx,
					  tm_str_is(e->names.items[0], "nvl") || tm_str_iis(e->names.items[0], "nvl") ? "nvl"
					  : tm_str_iis(e->names.items[0], "ifnull")                                   ? "ifnull"
														      : "coalesce",
					  args, n);
	bool nullable = true;
	TM_TRY(cast_all(sx, e, "coalesce", args, n));
	for (size_t i = 0; i < n; i++)
		nullable = nullable && args[i]->nullable;
	*ret = sx_call_expr(sx, &sx_kernel_coalesce, "coalesce", args[0]->type, nullable, args, n);
	(*ret)->text = text;
	return TM_OK;
}

SPECIAL(special_nvl2)
{
	struct sx *sx = env->sx;
	struct tm_str text = sx_text_call(sx, "nvl2", args, n);
	TM_TRY(cast_all(sx, e, "if", args + 1, 2));
	*ret = sx_if(sx, sx_is_null(sx, args[0], true), args[1], args[2]);
	(*ret)->text = text;
	return TM_OK;
}

SPECIAL(special_nullif)
{
	struct sx *sx = env->sx;
	struct tm_str text = sx_text_call(sx, "nullif", args, n);
	struct tm_expr *equal;
	TM_TRY(sx_call(env, "=", args, 2, e->line, e->column, &equal));
	*ret = sx_if(sx, equal, sx_literal_null(sx, args[0]->type), args[0]);
	(*ret)->text = text;
	return TM_OK;
}

SPECIAL(special_is_null)
{
	(void)e;
	(void)n;
	*ret = sx_is_null(env->sx, args[0], false);
	return TM_OK;
}
SPECIAL(special_is_not_null)
{
	(void)e;
	(void)n;
	*ret = sx_is_null(env->sx, args[0], true);
	return TM_OK;
}

SPECIAL(special_typeof)
{
	(void)e;
	struct tm_buf b = {0};
	tm_type_text(args[0]->type, &b);
	*ret = sx_literal_str(env->sx, tm_arena_str(env->sx->arena, tm_buf_str(&b)));
	tm_buf_done(&b);
	(*ret)->text = sx_text_call(env->sx, "typeof", args, n);
	return TM_OK;
}

/* ---- structs ---- */
struct tm_expr *sx_struct(struct sx *sx, struct tm_expr **args, const struct tm_str *names, size_t n)
{
	const struct tm_type **types = TM_NEW_N(sx->arena, const struct tm_type *, n + 1);
	bool *nullable = TM_NEW_N(sx->arena, bool, n + 1);
	for (size_t i = 0; i < n; i++) {
		types[i] = args[i]->type;
		nullable[i] = args[i]->nullable;
	}
	return sx_call_expr(sx, &sx_kernel_struct, "struct", tm_type_struct(sx->arena, n, names, types, nullable), false, args, n);
}

SPECIAL(special_struct)
{
	struct sx *sx = env->sx;
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct ast_expr *a = e->args.items[i];
		if (a->kind == AST_ALIAS)
			names[i] = a->names.items[0];
		else if (a->kind == AST_NAME)
			names[i] = a->names.items[a->names.count - 1];
		else if (a->kind == AST_FIELD)
			names[i] = a->text;
		else
			names[i] = sx_text(sx, "col%zu", i + 1);
	}
	*ret = sx_struct(sx, args, names, n);
	struct tm_buf text = {0};
	for (size_t i = 0; i < n; i++)
		if (e->flag) /* (a, b) */
			tm_buf_printf(&text, "%s%.*s, %.*s", i ? ", " : "", TM_STR_ARG(names[i]), TM_STR_ARG(args[i]->text));
		else if (e->args.items[i]->kind == AST_ALIAS)
			tm_buf_printf(&text, "%s%.*s AS %.*s", i ? ", " : "", TM_STR_ARG(args[i]->text), TM_STR_ARG(names[i]));
		else
			tm_buf_printf(&text, "%s%.*s", i ? ", " : "", TM_STR_ARG(args[i]->text));
	(*ret)->text = sx_text(sx, "%s(%.*s)", e->flag ? "named_struct" : "struct", TM_STR_ARG(tm_buf_str(&text)));
	tm_buf_done(&text);
	return TM_OK;
}

SPECIAL(special_named_struct)
{
	struct sx *sx = env->sx;
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n / 2 + 1);
	struct tm_expr **values = TM_NEW_N(sx->arena, struct tm_expr *, n / 2 + 1);
	if (n % 2 || !n)
		return sx_fail(sx, e->line, e->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
			       "The `named_struct` requires 2n (n > 0) parameters but the actual number is %zu.", n);
	for (size_t i = 0; i < n / 2; i++) {
		const struct tm_column *name = sx_value(sx, args[2 * i]);
		if (!name || args[2 * i]->type->kind != TM_T_STRING || tm_is_null(name, 0))
			return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING", "42K09",
				       "Cannot resolve \"named_struct(%.*s)\" due to data type mismatch: Only foldable `STRING` "
				       "expressions are allowed to appear at odd position, but they are [\"%.*s\"].",
				       TM_STR_ARG(sx_text_list(sx, args, n)), TM_STR_ARG(args[2 * i]->text));
		names[i] = name->str[0];
		values[i] = args[2 * i + 1];
	}
	*ret = sx_struct(sx, values, names, n / 2);
	(*ret)->text = sx_text_call(sx, "named_struct", args, n);
	return TM_OK;
}

/* int(x), string(x), … */
SPECIAL(special_cast)
{
	(void)n;
	struct sx *sx = env->sx;
	const struct tm_type *to;
	struct tm_str name = e->names.items[e->names.count - 1];
	TM_TRY(tm_type_parse(sx->arena, name, &to, sx->err));
	TM_TRY(sx_at(sx, e->line, e->column,
		     tm_cast_bind(sx->arena, sx->session, args[0], to, sx->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY, ret, sx->err)));
	if (*ret == args[0])
		*ret = sx_copy(sx, args[0]);
	(*ret)->text = args[0]->text; /* casts by a function's name are not shown */
	(*ret)->line = e->line;
	(*ret)->column_no = e->column;
	return TM_OK;
}

/* ---- generators ---- */
static struct sx_generator *generator(struct sx *sx, size_t columns)
{
	struct sx_generator *g = TM_NEW(sx->arena, struct sx_generator);
	g->column_count = columns;
	g->names = TM_NEW_N(sx->arena, struct tm_str, columns + 1);
	g->types = TM_NEW_N(sx->arena, const struct tm_type *, columns + 1);
	g->nullable = TM_NEW_N(sx->arena, bool, columns + 1);
	return g;
}
static void generator_column(struct sx_generator *g, size_t i, struct tm_str name, const struct tm_type *type, bool nullable)
{
	g->names[i] = name;
	g->types[i] = type;
	g->nullable[i] = nullable || g->outer;
}
static struct tm_expr *generator_expr(struct sx *sx, struct sx_generator *g, struct tm_expr **args, size_t n, struct tm_str text)
{
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_GENERATOR, g->column_count == 1 ? g->types[0] : &tm_type_null, true);
	r->bound = g;
	r->args = args;
	r->arg_count = n;
	r->text = text;
	return r;
}

static bool ends_with_outer(struct tm_str s) { return s.len > 6 && tm_str_iis(tm_str_slice(s, s.len - 6, s.len), "_outer"); }

SPECIAL(special_explode)
{
	struct sx *sx = env->sx;
	struct tm_str name = e->names.items[e->names.count - 1];
	const struct tm_type *t = args[0]->type;
	bool position = (name.at[0] | 32) == 'p';
	if (t->kind != TM_T_ARRAY && t->kind != TM_T_MAP)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
			       "Cannot resolve \"%.*s(%.*s)\" due to data type mismatch: The first parameter requires the (\"ARRAY\" or "
			       "\"MAP\") type, however \"%.*s\" has the type \"%s\".",
			       TM_STR_ARG(name), TM_STR_ARG(args[0]->text), TM_STR_ARG(args[0]->text), sx_type_sql(sx, t));
	struct sx_generator *g = generator(sx, (size_t)position + t->child_count);
	g->outer = ends_with_outer(name);
	g->position = position;
	g->is_map = t->kind == TM_T_MAP;
	if (position)
		generator_column(g, 0, TM_STR("pos"), &tm_type_int, false);
	if (g->is_map) {
		generator_column(g, position, TM_STR("key"), t->children[0], false);
		generator_column(g, (size_t)position + 1, TM_STR("value"), t->children[1], t->nullable[1]);
	} else {
		generator_column(g, position, TM_STR("col"), t->children[0], t->nullable[0]);
	}
	*ret = generator_expr(sx, g, args, 1, sx_text_call(sx, position ? "posexplode" : "explode", args, n));
	return TM_OK;
}

SPECIAL(special_inline)
{
	struct sx *sx = env->sx;
	const struct tm_type *t = args[0]->type;
	if (t->kind != TM_T_ARRAY || t->children[0]->kind != TM_T_STRUCT)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
			       "Cannot resolve \"inline(%.*s)\" due to data type mismatch: The first parameter requires the "
			       "\"ARRAY<STRUCT>\" type, however \"%.*s\" has the type \"%s\".",
			       TM_STR_ARG(args[0]->text), TM_STR_ARG(args[0]->text), sx_type_sql(sx, t));
	const struct tm_type *s = t->children[0];
	struct sx_generator *g = generator(sx, s->child_count);
	g->outer = ends_with_outer(e->names.items[e->names.count - 1]);
	g->inline_struct = true;
	for (size_t i = 0; i < s->child_count; i++)
		generator_column(g, i, s->names[i], s->children[i], s->nullable[i] || t->nullable[0]);
	*ret = generator_expr(sx, g, args, 1, sx_text_call(sx, "inline", args, n));
	return TM_OK;
}

/* stack(n, a, b, …) unfolds an array of structs. */
SPECIAL(special_stack)
{
	struct sx *sx = env->sx;
	const struct tm_column *rows_value = sx_value(sx, args[0]);
	if (n < 2 || !rows_value || args[0]->type->kind != TM_T_INT || tm_is_null(rows_value, 0) || rows_value->i32[0] < 1)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "42K09",
			       "Cannot resolve \"stack(%.*s)\" due to data type mismatch: The `n` must be between (0, 2147483647].",
			       TM_STR_ARG(sx_text_list(sx, args, n)));
	size_t rows = (size_t)rows_value->i32[0], columns = (n - 1 + rows - 1) / rows;
	if (rows > n)
		rows = n;
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, columns);
	struct tm_expr **structs = TM_NEW_N(sx->arena, struct tm_expr *, rows),
		       **cells = TM_NEW_N(sx->arena, struct tm_expr *, rows * columns), *list;
	for (size_t c = 0; c < columns; c++) {
		const struct tm_type *type = &tm_type_null;
		names[c] = sx_text(sx, "col%zu", c);
		for (size_t r = 0; r < rows; r++)
			if (r * columns + c + 1 < n && type)
				type = tm_type_common(sx->arena, type, args[r * columns + c + 1]->type, sx->session->ansi);
		if (!type)
			return sx_fail_types(sx, e->line, e->column, TM_STR("stack"), "stack", args, n);
		for (size_t r = 0; r < rows; r++) {
			size_t at = r * columns + c + 1;
			cells[r * columns + c] = sx_literal_null(sx, type);
			if (at < n)
				TM_TRY(sx_cast(sx, args[at], type, &cells[r * columns + c]));
		}
	}
	struct sx_generator *g = generator(sx, columns);
	for (size_t r = 0; r < rows; r++)
		structs[r] = sx_struct(sx, cells + r * columns, names, columns);
	TM_TRY(sx_call(env, "array", structs, rows, e->line, e->column, &list));
	for (size_t c = 0; c < columns; c++)
		generator_column(g, c, names[c], list->type->children[0]->children[c], true);
	g->inline_struct = true;
	struct tm_expr **one = TM_NEW(sx->arena, struct tm_expr *);
	one[0] = list;
	*ret = generator_expr(sx, g, one, 1, sx_text_call(sx, "stack", args, n));
	return TM_OK;
}

/* json_tuple(j, 'a', 'b'): one row of get_json_object's answers. */
SPECIAL(special_json_tuple)
{
	struct sx *sx = env->sx;
	struct sx_generator *g = generator(sx, n ? n - 1 : 0);
	struct tm_expr **values = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	if (n < 2)
		return sx_fail(sx, e->line, e->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
			       "The `json_tuple` requires > 1 parameters but the actual number is %zu.", n);
	for (size_t i = 1; i < n; i++) {
		const struct tm_column *path = sx_value(sx, args[i]);
		if (!path || args[i]->type->kind != TM_T_STRING || tm_is_null(path, 0))
			return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.NON_STRING_TYPE", "42K09",
				       "Cannot resolve \"json_tuple(%.*s)\" due to data type mismatch: All arguments must be strings.",
				       TM_STR_ARG(sx_text_list(sx, args, n)));
		struct tm_expr *pair[2] = {args[0], sx_literal_str(sx, sx_text(sx, "$['%.*s']", TM_STR_ARG(path->str[0])))};
		TM_TRY(sx_call(env, "get_json_object", pair, 2, e->line, e->column, &values[i - 1]));
		generator_column(g, i - 1, sx_text(sx, "c%zu", i - 1), &tm_type_string, true);
	}
	g->json_tuple = true;
	*ret = generator_expr(sx, g, values, n - 1, sx_text_call(sx, "json_tuple", args, n));
	return TM_OK;
}

/* ---- event time ---- */
static tm_rc time_argument(struct sx_env *env, const struct ast_expr *e, struct tm_expr *arg, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	const struct tm_type *t = arg->type;
	if (t->kind == TM_T_STRUCT && t->child_count == 2 && tm_str_is(t->names[0], "start") && tm_str_is(t->names[1], "end")) {
		struct tm_expr *r = sx_call_expr(sx, &sx_kernel_window_time, "window_time", t->children[1], arg->nullable, &arg, 1);
		r->text = sx_text(sx, "window_time(%.*s)", TM_STR_ARG(arg->text));
		*ret = r;
		return TM_OK;
	}
	*ret = arg;
	if (t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ)
		return TM_OK;
	if (tm_cast_implicit(t, &tm_type_timestamp, sx->session->ansi))
		return sx_cast(sx, arg, &tm_type_timestamp, ret);
	return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
		       "Cannot resolve \"%.*s(%.*s)\" due to data type mismatch: The first parameter requires the (\"TIMESTAMP\" or "
		       "\"TIMESTAMP WITHOUT TIME ZONE\") type, however \"%.*s\" has the type \"%s\".",
		       TM_STR_ARG(e->names.items[0]), TM_STR_ARG(arg->text), TM_STR_ARG(arg->text), sx_type_sql(sx, t));
}

static const struct tm_type *window_type(struct sx *sx, const struct tm_type *time)
{
	static const struct tm_str names[2] = {{"start", 5}, {"end", 3}};
	const struct tm_type *types[2] = {time, time};
	return tm_type_struct(sx->arena, 2, names, types, NULL);
}

static tm_rc duration(struct sx_env *env, const struct tm_expr *e, int64_t *ret)
{
	int32_t months;
	if (e->type->kind != TM_T_STRING && e->type->kind != TM_T_INT && e->type->kind != TM_T_BIGINT)
		return sx_fail(env->sx, e->line, e->column_no, "_LEGACY_ERROR_TEMP_1207", "",
			       "The duration and time inputs to window must be an integer, long or string literal.");
	TM_TRY(sx_interval_us(env, e, ret, &months));
	if (months)
		return sx_fail(env->sx, e->line, e->column_no, "_LEGACY_ERROR_TEMP_3231", "",
			       "Intervals greater than a month is not supported (%.*s).", TM_STR_ARG(e->text));
	return TM_OK;
}

SPECIAL(special_window)
{
	struct sx *sx = env->sx;
	struct tm_expr *time;
	int64_t length, slide, offset = 0;
	TM_TRY(time_argument(env, e, args[0], &time));
	TM_TRY(duration(env, args[1], &length));
	slide = length;
	if (n > 2)
		TM_TRY(duration(env, args[2], &slide));
	if (n > 3)
		TM_TRY(duration(env, args[3], &offset));
	struct tm_str shown = sx_text(sx, "window(%.*s, %lld, %lld, %lld)", TM_STR_ARG(args[0]->text), (long long)length, (long long)slide,
				      (long long)offset);
	if (length <= 0 || slide <= 0)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: The `%s` must be between (0, 9223372036854775807] "
			       "(current value = %lldL).",
			       TM_STR_ARG(shown), length <= 0 ? "window_duration" : "slide_duration",
			       (long long)(length <= 0 ? length : slide));
	if (slide > length)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: The `slide_duration`(%lldL) must be <= the "
			       "`window_duration`(%lldL).",
			       TM_STR_ARG(shown), (long long)slide, (long long)length);
	if (offset >= slide || offset <= -slide)
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: The `abs(start_time)`(%lldL) must be < the "
			       "`slide_duration`(%lldL).",
			       TM_STR_ARG(shown),
			       (long long)(offset > 0            ? offset
					   : offset > -INT64_MAX ? -offset
								 : INT64_MAX),
			       (long long)slide);
	if ((length - 1) / slide + 1 > 10000)
		return sx_fail(sx, e->line, e->column, "UNSUPPORTED_FEATURE.WINDOW", "0A000",
			       "A row would belong to %lld windows; at most 10000 are supported.", (long long)((length - 1) / slide + 1));
	struct sx_time_window *w = TM_NEW(sx->arena, struct sx_time_window);
	w->length_us = length;
	w->slide_us = slide;
	w->offset_us = offset;
	args[0] = time;
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_TIME_WINDOW, window_type(sx, time->type), false);
	r->bound = w;
	r->args = args;
	r->arg_count = 1;
	r->text = TM_STR("window");
	*ret = r;
	return TM_OK;
}

SPECIAL(special_session)
{
	(void)n;
	struct sx *sx = env->sx;
	struct tm_expr *time;
	TM_TRY(time_argument(env, e, args[0], &time));
	struct sx_time_window *w = TM_NEW(sx->arena, struct sx_time_window);
	w->session = true;
	if (sx_value(sx, args[1])) {
		int32_t months;
		TM_TRY(sx_interval_us(env, args[1], &w->length_us, &months));
		if (months)
			return sx_fail(sx, e->line, e->column, "_LEGACY_ERROR_TEMP_3231", "",
				       "Intervals greater than a month is not supported (%.*s).", TM_STR_ARG(args[1]->text));
		args[1] = sx_literal_bigint(sx, w->length_us);
	} else {
		w->length_us = -1;
		TM_TRY(sx_cast(sx, args[1], &tm_type_interval, &args[1]));
	}
	args[0] = time;
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_TIME_WINDOW, window_type(sx, time->type), false);
	r->bound = w;
	r->args = args;
	r->arg_count = 2;
	r->text = TM_STR("session_window");
	*ret = r;
	return TM_OK;
}

SPECIAL(special_window_time)
{
	(void)n;
	const struct tm_type *t = args[0]->type;
	if (t->kind != TM_T_STRUCT || t->child_count != 2 || !tm_str_is(t->names[1], "end"))
		return sx_fail(env->sx, e->line, e->column, "_LEGACY_ERROR_TEMP_3101", "", "The input is not a correct window column: %.*s",
			       TM_STR_ARG(args[0]->text));
	return time_argument(env, e, args[0], ret);
}

SPECIAL(special_grouping)
{
	struct sx *sx = env->sx;
	bool id = tm_str_iis(e->names.items[0], "grouping_id");
	struct tm_expr *r = sx_expr(sx, (enum tm_expr_kind)SX_GROUPING, id ? &tm_type_bigint : &tm_type_tinyint, false);
	r->args = args;
	r->arg_count = n;
	r->text = sx_text_call(sx, id ? "grouping_id" : "grouping", args, n);
	*ret = r;
	return TM_OK;
}

static const struct {
	const char *name;
	int min, max;
	tm_rc (*bind)(struct sx_env *env, const struct ast_expr *e, struct tm_expr **args, size_t n, struct tm_expr **ret);
} specials[] = {
    {"if", 3, 3, special_if},
    {"coalesce", 1, -1, special_coalesce},
    {"nvl", 2, 2, special_coalesce},
    {"ifnull", 2, 2, special_coalesce},
    {"nvl2", 3, 3, special_nvl2},
    {"nullif", 2, 2, special_nullif},
    {"isnull", 1, 1, special_is_null},
    {"isnotnull", 1, 1, special_is_not_null},
    {"typeof", 1, 1, special_typeof},
    {"struct", 0, -1, special_struct},
    {"named_struct", 0, -1, special_named_struct},
    {"boolean", 1, 1, special_cast},
    {"tinyint", 1, 1, special_cast},
    {"smallint", 1, 1, special_cast},
    {"int", 1, 1, special_cast},
    {"bigint", 1, 1, special_cast},
    {"float", 1, 1, special_cast},
    {"double", 1, 1, special_cast},
    {"decimal", 1, 1, special_cast},
    {"date", 1, 1, special_cast},
    {"timestamp", 1, 1, special_cast},
    {"binary", 1, 1, special_cast},
    {"string", 1, 1, special_cast},
    {"explode", 1, 1, special_explode},
    {"explode_outer", 1, 1, special_explode},
    {"posexplode", 1, 1, special_explode},
    {"posexplode_outer", 1, 1, special_explode},
    {"inline", 1, 1, special_inline},
    {"inline_outer", 1, 1, special_inline},
    {"stack", 2, -1, special_stack},
    {"json_tuple", 2, -1, special_json_tuple},
    {"window", 2, 4, special_window},
    {"session_window", 2, 2, special_session},
    {"window_time", 1, 1, special_window_time},
    {"grouping", 1, 1, special_grouping},
    {"grouping_id", 0, -1, special_grouping},
};

tm_rc sx_special(struct sx_env *env, const struct ast_expr *e, struct tm_str name, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	size_t i = 0, n = e->args.count, count = sizeof specials / sizeof *specials;
	while (i < count && !tm_str_is(name, specials[i].name))
		i++;
	if (i == count)
		return TM_OK;
	if ((int)n < specials[i].min || (specials[i].max >= 0 && (int)n > specials[i].max)) {
		struct tm_str expected =
		    specials[i].max < 0 ? sx_text(sx, "> %d", specials[i].min - 1) : sx_text(sx, "%d", specials[i].min);
		return sx_fail(sx, e->line, e->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
			       "The `%s` requires %.*s parameters but the actual number is %zu.", specials[i].name, TM_STR_ARG(expected),
			       n);
	}
	struct tm_expr **args = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t k = 0; k < n; k++)
		TM_TRY(sx_resolve(env, e->args.items[k], &args[k]));
	return specials[i].bind(env, e, args, n, ret);
}
