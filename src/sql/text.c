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

/* Functions whose call Spark writes with arguments that were left out: what follows the first `from` of them. */
static const struct {
	const char *name;
	size_t from;
	const char *rest[8];
} defaults[] = {
    {"substring", 2, {"2147483647"}},
    {"substr", 2, {"2147483647"}},
    {"sort_array", 1, {"true"}},
    {"split", 2, {"-1"}},
    {"locate", 2, {"1"}},
    {"position", 2, {"1"}},
    {"regexp_extract", 2, {"1"}},
    {"regexp_extract_all", 2, {"1"}},
    {"regexp_instr", 2, {"0"}},
    {"regexp_replace", 3, {"1"}},
    {"replace", 2, {""}},
    {"round", 1, {"0"}},
    {"bround", 1, {"0"}},
    {"listagg", 1, {"NULL"}},
    {"string_agg", 1, {"NULL"}},
    {"overlay", 3, {"-1"}},
    {"lpad", 2, {" "}},
    {"rpad", 2, {" "}},
    {"mask", 1, {"X", "x", "n", "NULL"}},
    {"months_between", 2, {"true"}},
    {"unix_timestamp", 0, {"current_timestamp()", "yyyy-MM-dd HH:mm:ss"}},
    {"to_unix_timestamp", 1, {"yyyy-MM-dd HH:mm:ss"}},
    {"from_unixtime", 1, {"yyyy-MM-dd HH:mm:ss"}},
    {"make_interval", 0, {"0", "0", "0", "0", "0", "0", "0.000000"}},
    {"make_dt_interval", 0, {"0", "0", "0", "0.000000"}},
    {"make_ym_interval", 0, {"0", "0"}},
    {"str_to_map", 1, {",", ":"}},
    {"ntile", 0, {"1"}},
    {"lag", 1, {"1", "NULL"}},
    {"lead", 1, {"1", "NULL"}},
    {"percentile", 2, {"1"}},
    {"percentile_approx", 2, {"10000"}},
    {"approx_percentile", 2, {"10000"}},
    {"sentences", 1, {"", ""}},
    {"aes_encrypt", 2, {"GCM", "DEFAULT", "", ""}},
    {"aes_decrypt", 2, {"GCM", "DEFAULT", ""}},
    {"try_aes_decrypt", 2, {"GCM", "DEFAULT", ""}},
    {"aggregate", 3, {"lambdafunction(namedlambdavariable(), namedlambdavariable())"}},
    {"reduce", 3, {"lambdafunction(namedlambdavariable(), namedlambdavariable())"}},
    {"array_sort",
     1,
     {"lambdafunction((IF(((namedlambdavariable() IS NULL) AND (namedlambdavariable() IS NULL)), 0, (IF((namedlambdavariable() IS NULL), "
      "1, (IF((namedlambdavariable() IS NULL), -1, (IF((namedlambdavariable() < namedlambdavariable()), -1, (IF((namedlambdavariable() > "
      "namedlambdavariable()), 1, 0)))))))))), namedlambdavariable(), namedlambdavariable())"}},
};
/* Functions of whose arguments Spark shows the first ones only. */
static const struct {
	const char *name;
	size_t args;
} most[] = {
    {"from_json", 1},     {"to_json", 1},   {"schema_of_json", 1},        {"from_csv", 1},    {"to_csv", 1},
    {"schema_of_csv", 1}, {"first", 1},     {"first_value", 1},           {"last", 1},        {"last_value", 1},
    {"any_value", 1},     {"nth_value", 2}, {"approx_count_distinct", 1}, {"variant_get", 2}, {"try_variant_get", 2},
    {"ilike", 2},
};
static const struct {
	const char *alias, *name;
} shown[] = {
    {"||", "concat"},
    {"current_database", "current_schema"},
    {"random", "rand"},
    {"curdate", "current_date"},
    {"array_agg", "collect_list"},
    {"to_varchar", "to_char"},
    {"dateadd", "date_add"},
    {"ceil", "CEIL"},
    {"floor", "FLOOR"},
};
/* Functions that Spark shows in capitals. */
static const char *const capitals[] = {"sqrt",   "cbrt",  "exp",   "expm1", "log",    "log10",       "log2",
				       "log1p",  "sin",   "cos",   "tan",   "asin",   "acos",        "atan",
				       "sinh",   "cosh",  "tanh",  "asinh", "acosh",  "atanh",       "cot",
				       "sec",    "csc",   "atan2", "e",     "pi",     "degrees",     "radians",
				       "signum", "power", "hypot", "rlike", "regexp", "regexp_like", "spark_partition_id"};

static struct tm_str shown_name(struct sx *sx, const char *name, size_t n)
{
	bool rounds = strcmp(name, "ceil") == 0 || strcmp(name, "floor") == 0;
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		if (strcmp(name, shown[i].alias) == 0 && (!rounds || n == 1))
			return tm_str_of(shown[i].name);
	for (size_t i = 0; i < sizeof capitals / sizeof *capitals; i++)
		if (strcmp(name, capitals[i]) == 0) {
			struct tm_buf b = {0};
			for (; *name; name++)
				tm_buf_char(&b, *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
			return from_buf(sx, &b);
		}
	return tm_str_of(name);
}

static bool is_interval(const struct tm_type *t)
{
	return t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT || t->kind == TM_T_INTERVAL;
}
static bool is_time(const struct tm_type *t) { return t->kind == TM_T_DATE || t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ; }

/* Sums of times and intervals, under the names of the functions that Spark makes of them; nothing for any other. */
static struct tm_str time_text(struct sx *sx, char sign, const struct tm_expr *l, const struct tm_expr *r)
{
	bool swap = sign == '+'   ? !is_time(l->type) && (is_time(r->type) || (is_interval(l->type) && r->type->kind == TM_T_STRING))
		    : sign == '*' ? is_interval(r->type) && !is_interval(l->type)
				  : false;
	const struct tm_expr *first = swap ? r : l, *second = swap ? l : r;
	const struct tm_type *t = second->type;
	struct tm_str a = first->text, b = second->text;
	bool date = first->type->kind == TM_T_DATE;
	if (sign == '*' && swap)
		return sx_text(sx, "(%.*s * %.*s)", TM_STR_ARG(a), TM_STR_ARG(b));
	if (sign != '+' && sign != '-')
		return (struct tm_str){0};
	if (date && t->kind == TM_T_INTERVAL_DT && t->from_field == TM_F_DAY && t->to_field == TM_F_DAY)
		return sign == '+' ? sx_text(sx, "date_add(%.*s, extractansiintervaldays(%.*s))", TM_STR_ARG(a), TM_STR_ARG(b))
				   : sx_text(sx, "date_add(%.*s, (- extractansiintervaldays(%.*s)))", TM_STR_ARG(a), TM_STR_ARG(b));
	if (t->kind == TM_T_NULL && is_time(first->type))
		return sign == '+' ? sx_text(sx, "%.*s + %.*s", TM_STR_ARG(a), TM_STR_ARG(b)) : (struct tm_str){0};
	if (is_interval(t) && (is_time(first->type) || first->type->kind == TM_T_STRING))
		return sx_text(sx, "%.*s %c %.*s", TM_STR_ARG(a), sign, TM_STR_ARG(b));
	if (date && !is_time(t) && !(t->kind == TM_T_STRING && sign == '-'))
		return sx_text(sx, "%s(%.*s, %.*s)", sign == '+' ? "date_add" : "date_sub", TM_STR_ARG(a), TM_STR_ARG(b));
	return (struct tm_str){0};
}

/* Calls that Spark writes in another form than name(arguments); nothing for any other. */
static struct tm_str special_text(struct sx *sx, const char *name, struct tm_expr *const *args, size_t n)
{
	static const char *const infix[] = {"+",  "-",   "*", "/", "%", "div", "=",  "<",   "<=", ">",
					    ">=", "<=>", "&", "|", "^", "<<",  ">>", ">>>", NULL};
	static const struct {
		const char *name, *side;
	} trims[] = {{"trim", "BOTH"}, {"ltrim", "LEADING"}, {"rtrim", "TRAILING"}};
	struct tm_str a = n > 0 && args[0] ? args[0]->text : TM_STR(""), b = n > 1 && args[1] ? args[1]->text : TM_STR(""), text;
	for (size_t i = 0; n == 2 && infix[i]; i++)
		if (strcmp(name, infix[i]) == 0) {
			text = name[1] ? (struct tm_str){0} : time_text(sx, name[0], args[0], args[1]);
			return text.len ? text : sx_text(sx, "(%.*s %s %.*s)", TM_STR_ARG(a), name, TM_STR_ARG(b));
		}
	for (size_t i = 0; n == 2 && i < sizeof trims / sizeof *trims; i++)
		if (strcmp(name, trims[i].name) == 0)
			return sx_text(sx, "TRIM(%s %.*s FROM %.*s)", trims[i].side, TM_STR_ARG(a), TM_STR_ARG(b));
	if (n == 1 && strcmp(name, "negative") == 0)
		return sx_text(sx, "(- %.*s)", TM_STR_ARG(a));
	if (n == 1 && strcmp(name, "positive") == 0)
		return sx_text(sx, "(+ %.*s)", TM_STR_ARG(a));
	if (n == 1 && strcmp(name, "~") == 0)
		return sx_text(sx, "~%.*s", TM_STR_ARG(a));
	if (strcmp(name, "like") == 0 && n == 2)
		return sx_text(sx, "%.*s LIKE %.*s", TM_STR_ARG(a), TM_STR_ARG(b));
	if (strcmp(name, "like") == 0 && n == 3)
		return sx_text(sx, "%.*s LIKE %.*s ESCAPE '%.*s'", TM_STR_ARG(a), TM_STR_ARG(b), TM_STR_ARG(args[2]->text));
	if (strcmp(name, "datepart") == 0 && n == 2)
		return sx_text(sx, "datepart(%.*s FROM %.*s)", TM_STR_ARG(a), TM_STR_ARG(b));
	if (strcmp(name, "log") == 0 && n == 1)
		return sx_text(sx, "LOG(E(), %.*s)", TM_STR_ARG(a));
	if (strcmp(name, "convert_timezone") == 0 && n == 2)
		return sx_text(sx, "convert_timezone(current_timezone(), %.*s, %.*s)", TM_STR_ARG(a), TM_STR_ARG(b));
	if (strcmp(name, "assert_true") == 0 && n == 1)
		return sx_text(sx, "assert_true(%.*s, '%.*s' is not true!)", TM_STR_ARG(a), TM_STR_ARG(a));
	if (strcmp(name, "mode") == 0 && n == 2) {
		const struct tm_column *v = args[1]->type->kind == TM_T_BOOLEAN ? sx_value(sx, args[1]) : NULL;
		return v && !tm_is_null(v, 0) && v->boolean[0] ? sx_text(sx, "mode() WITHIN GROUP (ORDER BY %.*s DESC)", TM_STR_ARG(a))
							       : sx_text(sx, "mode(%.*s)", TM_STR_ARG(a));
	}
	if ((strcmp(name, "lpad") == 0 || strcmp(name, "rpad") == 0) && n == 2 && args[0]->type->kind == TM_T_BINARY)
		return sx_text(sx, "%s(%.*s, %.*s, X'00')", name, TM_STR_ARG(a), TM_STR_ARG(b));
	bool varchar = strcmp(name, "to_varchar") == 0;
	if ((varchar || strcmp(name, "to_char") == 0) && n == 2 && is_time(args[0]->type))
		return sx_text(sx, "date_format(%.*s, %.*s)", TM_STR_ARG(a), TM_STR_ARG(b));
	if ((varchar || strcmp(name, "to_char") == 0) && n == 2 && args[0]->type->kind == TM_T_BINARY) {
		const char *digits = tm_str_iis(b, "hex") ? "hex" : tm_str_iis(b, "base64") ? "base64" : NULL;
		return digits ? sx_text(sx, "%s(%.*s)", varchar ? name : digits, TM_STR_ARG(a))
			      : sx_text(sx, "%s(%.*s, %.*s)", varchar ? name : "decode", TM_STR_ARG(a), TM_STR_ARG(b));
	}
	return (struct tm_str){0};
}

struct tm_str sx_text_call(struct sx *sx, const char *name, struct tm_expr *const *args, size_t n)
{
	struct tm_str text = special_text(sx, name, args, n);
	if (text.len)
		return text;
	size_t more = 0;
	const char *const *rest = NULL;
	for (size_t i = 0; i < sizeof most / sizeof *most; i++)
		if (n > most[i].args && strcmp(name, most[i].name) == 0)
			n = most[i].args;
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (n >= defaults[i].from && strcmp(name, defaults[i].name) == 0) {
			rest = defaults[i].rest;
			more = n - defaults[i].from;
		}
	struct tm_buf b = {0};
	struct tm_str call = shown_name(sx, name, n), list = sx_text_list(sx, args, n);
	tm_buf_printf(&b, "%.*s(%.*s", TM_STR_ARG(call), TM_STR_ARG(list));
	for (; rest && more < 8 && rest[more]; more++)
		tm_buf_printf(&b, "%s%s", n++ ? ", " : "", rest[more]);
	tm_buf_char(&b, ')');
	return from_buf(sx, &b);
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
