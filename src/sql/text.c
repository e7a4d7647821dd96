/* How Spark names expressions (the names of columns without alias, and expressions in messages), and the analyser's errors. */
#include "sql/sql_int.h"

struct tm_str sx_text(struct sx *sx, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct tm_str s = tm_arena_vprintf(sx->arena, fmt, ap);
	va_end(ap);
	return s;
}

static struct tm_str from_buf(struct sx *sx, struct tm_buf *b)
{
	struct tm_str s = tm_arena_str(sx->arena, tm_buf_str(b));
	tm_buf_done(b);
	return s;
}

struct tm_str sx_text_list(struct sx *sx, struct tm_expr *const *args, size_t n)
{
	struct tm_buf b = {0};
	for (size_t i = 0; i < n; i++) {
		if (i)
			tm_buf_cstr_put(&b, ", ");
		tm_buf_str_put(&b, args[i]->text);
	}
	return from_buf(sx, &b);
}

/* Functions whose call Spark writes with arguments that were left out. */
static const struct {
	const char *name;
	size_t args;
	const char *more;
} defaults[] = {
    {"substring", 2, "2147483647"},
    {"substr", 2, "2147483647"},
    {"sort_array", 1, "true"},
    {"split", 2, "-1"},
    {"locate", 2, "1"},
    {"position", 2, "1"},
    {"regexp_extract", 2, "1"},
    {"regexp_extract_all", 2, "1"},
    {"regexp_replace", 3, "1"},
    {"round", 1, "0"},
    {"bround", 1, "0"},
    {"listagg", 1, "NULL"},
    {"string_agg", 1, "NULL"},
    {"overlay", 3, "-1"},
    {"lpad", 2, " "},
    {"rpad", 2, " "},
    {"months_between", 2, "true"},
    {"str_to_map", 1, ",, :"},
    {"lag", 1, "1, NULL"},
    {"lag", 2, "NULL"},
    {"lead", 2, "NULL"},
    {"lead", 1, "1, NULL"},
    {"percentile", 2, "1"},
    {"sentences", 1, ", "},
    {"array_sort", 1,
     "lambdafunction((IF(((namedlambdavariable() IS NULL) AND (namedlambdavariable() IS NULL)), 0, (IF((namedlambdavariable() IS NULL), 1, "
     "(IF((namedlambdavariable() IS NULL), -1, (IF((namedlambdavariable() < namedlambdavariable()), -1, (IF((namedlambdavariable() > "
     "namedlambdavariable()), 1, 0)))))))))), namedlambdavariable(), namedlambdavariable())"},
};
static const struct {
	const char *alias, *name;
} shown[] = {
    {"current_database", "current_schema"},
    {"current_user", "user"},
    {"session_user", "user"},
    {"now", "now"},
    {"substr", "substring"},
    {"position", "locate"},
    {"string_agg", "listagg"},
    {"approx_percentile", "percentile_approx"},
    {"array_agg", "collect_list"},
    {"some", "some"},
    {"len", "len"},
};

struct tm_str sx_text_call(struct sx *sx, const char *name, struct tm_expr *const *args, size_t n)
{
	static const char *const infix[] = {"+",  "-",   "*", "/", "%", "div", "=",  "<",   "<=", ">",
					    ">=", "<=>", "&", "|", "^", "<<",  ">>", ">>>", NULL};
	if (n == 2)
		for (size_t i = 0; infix[i]; i++)
			if (strcmp(name, infix[i]) == 0)
				return sx_text(sx, "(%.*s %s %.*s)", TM_STR_ARG(args[0]->text), name, TM_STR_ARG(args[1]->text));
	if (n == 1 && strcmp(name, "negative") == 0)
		return sx_text(sx, "(- %.*s)", TM_STR_ARG(args[0]->text));
	if (n == 1 && strcmp(name, "positive") == 0)
		return sx_text(sx, "(+ %.*s)", TM_STR_ARG(args[0]->text));
	if (n == 1 && strcmp(name, "~") == 0)
		return sx_text(sx, "~%.*s", TM_STR_ARG(args[0]->text));
	if (strcmp(name, "||") == 0)
		name = "concat";
	if (strcmp(name, "like") == 0 && n == 2)
		return sx_text(sx, "%.*s LIKE %.*s", TM_STR_ARG(args[0]->text), TM_STR_ARG(args[1]->text));
	if (strcmp(name, "rlike") == 0 && n == 2)
		return sx_text(sx, "RLIKE(%.*s, %.*s)", TM_STR_ARG(args[0]->text), TM_STR_ARG(args[1]->text));
	struct tm_str list = sx_text_list(sx, args, n);
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (n == defaults[i].args && strcmp(name, defaults[i].name) == 0)
			list = sx_text(sx, "%.*s, %s", TM_STR_ARG(list), defaults[i].more);
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		if (strcmp(name, shown[i].alias) == 0) {
			name = shown[i].name;
			break;
		}
	return sx_text(sx, "%s(%.*s)", name, TM_STR_ARG(list));
}

struct tm_str sx_text_literal(struct sx *sx, const struct tm_expr *e)
{
	const struct tm_column *c = &e->literal;
	struct tm_buf b = {0};
	if (tm_is_null(c, 0))
		return TM_STR("NULL");
	const char *prefix = NULL;
	switch (e->type->kind) {
	case TM_T_STRING:
		return c->str[0];
	case TM_T_BINARY:
		tm_buf_cstr_put(&b, "X'");
		for (size_t i = 0; i < c->str[0].len; i++)
			tm_buf_printf(&b, "%02X", (unsigned char)c->str[0].at[i]);
		tm_buf_char(&b, '\'');
		return from_buf(sx, &b);
	case TM_T_DATE:
		prefix = "DATE";
		break;
	case TM_T_TIMESTAMP:
		prefix = "TIMESTAMP";
		break;
	case TM_T_TIMESTAMP_NTZ:
		prefix = "TIMESTAMP_NTZ";
		break;
	case TM_T_TIME:
		prefix = "TIME";
		break;
	default:
		break;
	}
	if (prefix)
		tm_buf_printf(&b, "%s '", prefix);
	tm_value_text(sx->session, c, 0, &b);
	if (prefix)
		tm_buf_char(&b, '\'');
	return from_buf(sx, &b);
}

struct tm_str sx_text_quoted(struct sx *sx, struct tm_str name)
{
	struct tm_buf b = {0};
	tm_buf_char(&b, '`');
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '`')
			tm_buf_char(&b, '`');
		tm_buf_char(&b, name.at[i]);
	}
	tm_buf_char(&b, '`');
	return from_buf(sx, &b);
}

const char *sx_type_sql(struct sx *sx, const struct tm_type *t)
{
	struct tm_buf b = {0};
	tm_type_sql(t, &b);
	return from_buf(sx, &b).at;
}

tm_rc sx_fail(struct sx *sx, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct tm_str what = tm_arena_vprintf(sx->arena, fmt, ap);
	va_end(ap);
	tm_rc rc = tm_fail_class(sx->err, TM_INVALID, klass, sqlstate, "%.*s", TM_STR_ARG(what));
	if (line)
		tm_err_at(sx->err, NULL, line, column);
	return rc;
}

tm_rc sx_fail_types(struct sx *sx, int line, int column, struct tm_str call, const char *function, struct tm_expr *const *args, size_t n)
{
	struct tm_buf types = {0};
	for (size_t i = 0; i < n; i++)
		tm_buf_printf(&types, "%s\"%s\"", i ? ", " : "", sx_type_sql(sx, args[i]->type));
	tm_rc rc = sx_fail(sx, line, column, "DATATYPE_MISMATCH.DATA_DIFF_TYPES", "42K09",
			   "Cannot resolve \"%.*s\" due to data type mismatch: Input to `%s` should all be the same type, but it's [%.*s].",
			   TM_STR_ARG(call), function, TM_STR_ARG(tm_buf_str(&types)));
	tm_buf_done(&types);
	return rc;
}

tm_rc sx_fail_unorderable(struct sx *sx, int line, int column, struct tm_str call, const char *function, const struct tm_type *t)
{
	return sx_fail(sx, line, column, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "42K09",
		       "Cannot resolve \"%.*s\" due to data type mismatch: The `%s` does not support ordering on type \"%s\".",
		       TM_STR_ARG(call), function, sx_type_sql(sx, t));
}

tm_rc sx_at(struct sx *sx, int line, int column, tm_rc rc)
{
	if (rc != TM_OK && sx->err && !sx->err->line && line)
		tm_err_at(sx->err, NULL, line, column);
	return rc;
}

/* Edit distance for "did you mean", small names only. */
static size_t distance(struct tm_str a, struct tm_str b)
{
	size_t row[65];
	if (a.len > 64 || b.len > 64)
		return 64;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t up = row[j], cost = (a.at[i - 1] | 32) != (b.at[j - 1] | 32);
			size_t best = diagonal + cost;
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = up;
		}
	}
	return row[b.len];
}

tm_rc sx_fail_column(struct sx_env *env, const struct ast_expr *e)
{
	struct sx *sx = env->sx;
	struct tm_buf name = {0}, list = {0};
	for (size_t i = 0; i < e->names.count; i++) {
		struct tm_str q = sx_text_quoted(sx, e->names.items[i]);
		tm_buf_printf(&name, "%s%.*s", i ? "." : "", TM_STR_ARG(q));
	}
	struct tm_str shown_name = from_buf(sx, &name);
	size_t count = env->columns ? env->columns->count : 0, given = 0;
	bool *used = TM_NEW_N(sx->arena, bool, count + 1);
	for (; given < 5 && given < count; given++) {
		size_t best = SIZE_MAX, least = SIZE_MAX;
		for (size_t i = 0; i < count; i++) {
			size_t d = used[i] || env->columns->items[i].hidden
				       ? SIZE_MAX
				       : distance(e->names.items[e->names.count - 1], env->columns->items[i].name);
			if (d < least) {
				least = d;
				best = i;
			}
		}
		if (best == SIZE_MAX)
			break;
		used[best] = true;
		const struct sx_column *c = &env->columns->items[best];
		struct tm_str q = sx_text_quoted(sx, c->name);
		tm_buf_cstr_put(&list, given ? ", " : "");
		for (size_t i = 0; i < c->qualifier.count; i++) {
			struct tm_str part = sx_text_quoted(sx, c->qualifier.items[i]);
			tm_buf_printf(&list, "%.*s.", TM_STR_ARG(part));
		}
		tm_buf_str_put(&list, q);
	}
	struct tm_str proposals = from_buf(sx, &list);
	if (!given)
		return sx_fail(sx, e->line, e->column, "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703",
			       "A column, variable, or function parameter with name %.*s cannot be resolved. ", TM_STR_ARG(shown_name));
	return sx_fail(
	    sx, e->line, e->column, "UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703",
	    "A column, variable, or function parameter with name %.*s cannot be resolved. Did you mean one of the following? [%.*s].",
	    TM_STR_ARG(shown_name), TM_STR_ARG(proposals));
}
