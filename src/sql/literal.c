/* Literals: numbers with Spark's typing by text, typed literals, intervals. */
#include <stdlib.h>
#include "sql/datetime.h"
#include "sql/sql_int.h"

static struct tm_expr *typed(struct sx *sx, const struct tm_type *type)
{
	struct tm_expr *e = sx_expr(sx, TM_EXPR_LITERAL, type, false);
	tm_column_init(&e->literal, sx->arena, type, 1);
	e->literal.constant = true;
	return e;
}

static tm_rc out_of_range(struct sx *sx, const struct ast_expr *e, const char *type, const char *low, const char *high)
{
	return sx_fail(sx, e->line, e->column, "INVALID_NUMERIC_LITERAL_RANGE", "22003",
		       "Numeric literal %.*s is outside the valid range for %s with minimum value of %s and maximum value of %s. Please "
		       "adjust the value accordingly.",
		       TM_STR_ARG(e->text), type, low, high);
}

/* A decimal as BigDecimal reads it: digits, point, exponent. */
static tm_rc decimal_literal(struct sx *sx, const struct ast_expr *e, struct tm_expr **ret)
{
	__int128 v = 0;
	int digits = 0, scale = 0;
	bool point = false, negative = false;
	long exponent = 0;
	for (size_t i = 0; i < e->text.len; i++) {
		char c = e->text.at[i];
		if (c == '-') {
			negative = true;
		} else if (c == '.') {
			point = true;
		} else if ((c | 32) == 'e') {
			exponent = strtol(tm_arena_cstr(sx->arena, tm_str_slice(e->text, i + 1, e->text.len)), NULL, 10);
			exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent; /* no decimal has that many */
			break;
		} else {
			if (digits || c != '0')
				digits++;
			if (digits <= 38)
				v = v * 10 + (c - '0');
			scale += point;
		}
	}
	long final_scale = scale - exponent;
	for (; final_scale < 0 && digits <= 38; final_scale++) {
		v *= v && digits < 38 ? 10 : 1;
		digits += digits > 0;
	}
	int precision = digits ? digits : 1;
	if (final_scale > precision)
		precision = final_scale > 1000 ? 1000 : (int)final_scale;
	if (precision > 38)
		return sx_fail(sx, e->line, e->column, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", "22003",
			       "Decimal precision %d exceeds max precision 38.", precision);
	struct tm_expr *r = typed(sx, tm_type_decimal(sx->arena, precision, (int)final_scale));
	r->literal.i128[0] = negative ? -v : v;
	*ret = r;
	return TM_OK;
}

static tm_rc integer_literal(struct sx *sx, const struct ast_expr *e, struct tm_expr **ret)
{
	int64_t v;
	if (!tm_str_to_i64(e->text, &v)) {
		if (e->literal == AST_LIT_INTEGER)
			return decimal_literal(sx, e, ret);
		switch (e->literal) {
		case AST_LIT_TINYINT:
			return out_of_range(sx, e, "tinyint", "-128", "127");
		case AST_LIT_SMALLINT:
			return out_of_range(sx, e, "smallint", "-32768", "32767");
		default:
			return out_of_range(sx, e, "bigint", "-9223372036854775808", "9223372036854775807");
		}
	}
	switch (e->literal) {
	case AST_LIT_TINYINT:
		if (v < INT8_MIN || v > INT8_MAX)
			return out_of_range(sx, e, "tinyint", "-128", "127");
		*ret = typed(sx, &tm_type_tinyint);
		(*ret)->literal.i8[0] = (int8_t)v;
		break;
	case AST_LIT_SMALLINT:
		if (v < INT16_MIN || v > INT16_MAX)
			return out_of_range(sx, e, "smallint", "-32768", "32767");
		*ret = typed(sx, &tm_type_smallint);
		(*ret)->literal.i16[0] = (int16_t)v;
		break;
	default:
		if (e->literal == AST_LIT_BIGINT || v < INT32_MIN || v > INT32_MAX)
			*ret = sx_literal_bigint(sx, v);
		else
			*ret = sx_literal_int(sx, (int32_t)v);
	}
	return TM_OK;
}

static tm_rc binary_literal(struct sx *sx, const struct ast_expr *e, struct tm_expr **ret)
{
	size_t n = (e->text.len + 1) / 2, odd = e->text.len % 2;
	char *out = tm_arena_zalloc(sx->arena, n + 1);
	for (size_t i = 0; i < e->text.len; i++) {
		int c = e->text.at[i] | 32, h = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (h < 0)
			return sx_fail(sx, e->line, e->column, "INVALID_TYPED_LITERAL", "42604",
				       "The value of the typed literal \"X\" is invalid: '%.*s'.", TM_STR_ARG(e->text));
		out[(i + odd) / 2] = (char)((unsigned char)out[(i + odd) / 2] << 4 | h);
	}
	*ret = typed(sx, &tm_type_binary);
	(*ret)->literal.str[0] = tm_str_n(out, n);
	return TM_OK;
}

/* 'text' as a value of type, NULL when it is not one. */
static struct tm_expr *cast_text(struct sx *sx, struct tm_str text, const struct tm_type *type)
{
	struct tm_err ignored = {0};
	struct tm_expr *call;
	if (tm_cast_bind(sx->arena, sx->session, sx_literal_str(sx, text), type, TM_CAST_ANSI, &call, &ignored) != TM_OK)
		return NULL;
	const struct tm_column *v = sx_value(sx, call);
	if (!v || tm_is_null(v, 0))
		return NULL;
	struct tm_expr *e = sx_expr(sx, TM_EXPR_LITERAL, type, false);
	e->literal = *v;
	return e;
}

/* TIMESTAMP'…' with a zone in it is one moment; spaces around are cut. */
static tm_rc typed_literal(struct sx *sx, const struct ast_expr *e, struct tm_expr **ret)
{
	static const struct {
		const char *name;
		const struct tm_type *type;
	} types[] = {{"DATE", &tm_type_date},
		     {"TIMESTAMP", &tm_type_timestamp},
		     {"TIMESTAMP_LTZ", &tm_type_timestamp},
		     {"TIMESTAMP_NTZ", &tm_type_timestamp_ntz},
		     {"TIME", NULL}};
	struct tm_str name = e->names.items[0];
	if (tm_str_iis(name, "X"))
		return binary_literal(sx, e, ret);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!tm_str_iis(name, types[i].name))
			continue;
		*ret = cast_text(sx, e->text, types[i].type ? types[i].type : tm_type_time(sx->arena, 6));
		if (!*ret)
			return sx_fail(sx, e->line, e->column, "INVALID_TYPED_LITERAL", "42604",
				       "The value of the typed literal \"%s\" is invalid: '%.*s'.", types[i].name, TM_STR_ARG(e->text));
		return TM_OK;
	}
	char *upper = tm_arena_cstr(sx->arena, name);
	for (char *c = upper; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	return sx_fail(sx, e->line, e->column, "UNSUPPORTED_TYPED_LITERAL", "0A000",
		       "Literals of the type \"%s\" are not supported. Supported types are \"DATE\", \"TIMESTAMP_NTZ\", \"TIMESTAMP_LTZ\", "
		       "\"TIMESTAMP\", \"INTERVAL\", \"X\", \"TIME\".",
		       upper);
}

tm_rc sx_resolve_literal(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_expr *r = NULL;
	switch (e->literal) {
	case AST_LIT_NULL:
		r = sx_literal_null(sx, &tm_type_null);
		break;
	case AST_LIT_TRUE:
		r = sx_literal_bool(sx, true);
		break;
	case AST_LIT_FALSE:
		r = sx_literal_bool(sx, false);
		break;
	case AST_LIT_INTEGER:
	case AST_LIT_TINYINT:
	case AST_LIT_SMALLINT:
	case AST_LIT_BIGINT:
		TM_TRY(integer_literal(sx, e, &r));
		break;
	case AST_LIT_DECIMAL:
		TM_TRY(decimal_literal(sx, e, &r));
		break;
	case AST_LIT_FLOAT:
		r = typed(sx, &tm_type_float);
		r->literal.f32[0] = strtof(tm_arena_cstr(sx->arena, e->text), NULL);
		if (__builtin_isinf(r->literal.f32[0]))
			return out_of_range(sx, e, "float", "-3.4028234663852886E+38", "3.4028234663852886E+38");
		break;
	case AST_LIT_DOUBLE:
		r = typed(sx, &tm_type_double);
		r->literal.f64[0] = strtod(tm_arena_cstr(sx->arena, e->text), NULL);
		if (__builtin_isinf(r->literal.f64[0]))
			return out_of_range(sx, e, "double", "-1.7976931348623157E+308", "1.7976931348623157E+308");
		break;
	case AST_LIT_STRING:
		r = sx_literal_str(sx, e->text);
		break;
	case AST_LIT_TYPED:
		TM_TRY(typed_literal(sx, e, &r));
		break;
	}
	if (!r->text.at)
		r->text = sx_text_literal(sx, r);
	r->line = e->line;
	r->column_no = e->column;
	*ret = r;
	return TM_OK;
}

/* ---- intervals ---- */
static int unit_field(struct tm_str unit)
{
	static const struct {
		const char *name;
		int field;
	} fields[] = {{"year", TM_F_YEAR},          {"month", TM_F_MONTH},      {"week", TM_F_DAY},      {"day", TM_F_DAY},
		      {"hour", TM_F_HOUR},          {"minute", TM_F_MINUTE},    {"second", TM_F_SECOND}, {"millisecond", TM_F_SECOND},
		      {"microsecond", TM_F_SECOND}, {"nanosecond", TM_F_SECOND}};
	struct tm_str one = unit.len > 1 && (unit.at[unit.len - 1] | 32) == 's' ? tm_str_n(unit.at, unit.len - 1) : unit;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (tm_str_iis(one, fields[i].name))
			return fields[i].field;
	return -1;
}

static tm_rc bad_interval(struct sx *sx, const struct ast_expr *e, struct tm_str text)
{
	return sx_fail(
	    sx, e->line, e->column, "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING", "22006",
	    "Error parsing '%.*s' to interval. Please ensure that the value provided is in a valid format for defining an interval.",
	    TM_STR_ARG(text));
}

/* A literal of the type that its units ask for, from months and microseconds. */
static tm_rc interval_of(struct sx *sx, const struct ast_expr *e, struct tm_str text, int low, int high, struct tm_expr **ret)
{
	struct tm_expr *all = cast_text(sx, text, &tm_type_interval);
	if (!all || low < 0)
		return bad_interval(sx, e, text);
	struct tm_interval v = all->literal.interval[0];
	if (low <= TM_F_MONTH && high > TM_F_MONTH)
		return sx_fail(sx, e->line, e->column, "_LEGACY_ERROR_TEMP_0029", "", "Cannot mix year-month and day-time fields: %.*s",
			       TM_STR_ARG(text));
	if (high <= TM_F_MONTH) {
		*ret = typed(sx, tm_type_interval_ym(sx->arena, (enum tm_interval_field)low, (enum tm_interval_field)high));
		(*ret)->literal.i32[0] = v.months;
	} else {
		int64_t micros;
		if (!tm_micros_of(v.days, v.micros, &micros))
			return bad_interval(sx, e, text);
		*ret = typed(sx, tm_type_interval_dt(sx->arena, (enum tm_interval_field)low, (enum tm_interval_field)high));
		(*ret)->literal.i64[0] = micros;
	}
	return TM_OK;
}

static void widen_fields(int field, int *low, int *high)
{
	if (*low < 0 || field < *low)
		*low = field;
	if (field > *high)
		*high = field;
}

tm_rc sx_resolve_interval(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_buf text = {0};
	int low = -1, high = -1;
	for (size_t i = 0; i < e->args.count; i++) {
		const struct ast_expr *v = e->args.items[i];
		bool minus = v->kind == AST_OPERATOR && tm_str_is(v->text, "negative");
		if (minus || (v->kind == AST_OPERATOR && tm_str_is(v->text, "positive")))
			v = v->args.items[0];
		if (v->kind != AST_LITERAL || v->literal == AST_LIT_NULL || v->literal == AST_LIT_TYPED) {
			tm_buf_done(&text);
			return sx_fail(sx, v->line, v->column, "PARSE_SYNTAX_ERROR", "42601",
				       "An interval takes numbers and strings; for expressions use make_interval, make_dt_interval or "
				       "make_ym_interval.");
		}
		tm_buf_cstr_put(&text, i ? " " : "");
		if (minus && v->text.len && v->text.at[0] == '-')
			tm_buf_put(&text, v->text.at + 1, v->text.len - 1);
		else
			tm_buf_printf(&text, "%s%.*s", minus ? "-" : "", TM_STR_ARG(v->text));
		if (i < e->names.count) {
			widen_fields(unit_field(e->names.items[i]), &low, &high);
			if (!e->text.at)
				tm_buf_printf(&text, " %.*s", TM_STR_ARG(e->names.items[i]));
		}
	}
	struct tm_str s = tm_arena_str(sx->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	struct tm_expr *r = NULL;
	if (e->text.at) {
		int to = unit_field(e->text);
		const struct tm_type *type = to <= TM_F_MONTH
						 ? tm_type_interval_ym(sx->arena, (enum tm_interval_field)low, (enum tm_interval_field)to)
						 : tm_type_interval_dt(sx->arena, (enum tm_interval_field)low, (enum tm_interval_field)to);
		if (low > to || (low <= TM_F_MONTH) != (to <= TM_F_MONTH) || !(r = cast_text(sx, s, type)))
			return bad_interval(sx, e, s);
	} else {
		struct tm_str rest = s, word;
		/* '1 day 2 hours': the units stand in the text */
		while (!e->names.count && tm_str_split(&rest, ' ', &word))
			if (word.len && ((word.at[0] | 32) >= 'a' && (word.at[0] | 32) <= 'z') && unit_field(word) >= 0)
				widen_fields(unit_field(word), &low, &high);
		TM_TRY(interval_of(sx, e, s, low, high, &r));
	}
	r->text = sx_text_literal(sx, r);
	r->line = e->line;
	r->column_no = e->column;
	*ret = r;
	return TM_OK;
}

static tm_rc interval_us(struct sx *sx, const struct tm_expr *e, struct tm_interval v, int64_t *ret)
{
	return tm_micros_of(v.days, v.micros, ret) ? TM_OK : sx_interval_overflow(sx, e->line, e->column_no);
}

tm_rc sx_interval_overflow(struct sx *sx, int line, int column)
{
	return sx_fail(sx, line, column, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "22015",
		       "Integer overflow while operating with intervals.");
}

/* The length of a constant interval: a literal, or a string as window() takes. */
tm_rc sx_interval_us(struct sx_env *env, const struct tm_expr *e, int64_t *ret_us, int32_t *ret_months)
{
	struct sx *sx = env->sx;
	const struct tm_column *v = sx_value(sx, e);
	*ret_months = 0;
	if (v && !tm_is_null(v, 0))
		switch (e->type->kind) {
		case TM_T_STRING: {
			struct tm_expr *all = cast_text(sx, v->str[0], &tm_type_interval);
			if (!all)
				return sx_fail(
				    sx, e->line, e->column_no, "CANNOT_PARSE_INTERVAL", "22006",
				    "Unable to parse '%.*s'. Please ensure that the value provided is in a valid format for defining an "
				    "interval. You can reference the documentation for the correct format. If the issue persists, please "
				    "double check that the input value is not null or empty and try again.",
				    TM_STR_ARG(v->str[0]));
			struct tm_interval i = all->literal.interval[0];
			*ret_months = i.months;
			return interval_us(sx, e, i, ret_us);
		}
		case TM_T_INT:
			*ret_us = v->i32[0];
			return TM_OK;
		case TM_T_BIGINT:
			*ret_us = v->i64[0];
			return TM_OK;
		case TM_T_INTERVAL_DT:
			*ret_us = v->i64[0];
			return TM_OK;
		case TM_T_INTERVAL_YM:
			*ret_us = 0;
			*ret_months = v->i32[0];
			return TM_OK;
		case TM_T_INTERVAL:
			*ret_months = v->interval[0].months;
			return interval_us(sx, e, v->interval[0], ret_us);
		default:
			break;
		}
	return sx_fail(sx, e->line, e->column_no, "_LEGACY_ERROR_TEMP_1207", "",
		       "The duration and time inputs to window must be an integer, long or string literal.");
}
