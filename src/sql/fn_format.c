/* Numbers into text and back by formats: format_number, format_string, to_char, to_number. */
#include "sql/fn_list.h"
#include "sql/value_text.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A number as decimal digits, rounded to `places`: false where it is beyond 38 digits. */
static bool rounded(const struct tm_column *c, size_t i, int places, enum tm_rounding how, i128 *ret)
{
	i = tm_row(c, i);
	i128 v;
	int scale = 0;
	switch (c->type->kind) {
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		v = tm_value_integer(c, i);
		break;
	case TM_T_DECIMAL:
		v = c->i128[i];
		scale = c->type->scale;
		break;
	default: {
		char text[64];
		struct tm_buf b = {text, 0, sizeof text};
		int precision;
		if (c->type->kind == TM_T_FLOAT)
			tm_float_text(c->f32[i], &b);
		else
			tm_double_text(c->f64[i], &b);
		if (!tm_decimal_shape(tm_buf_str(&b), &precision, &scale) || precision > 38 || scale > 38 ||
		    tm_decimal_parse(tm_buf_str(&b), 38, scale, &v) != TM_NUMBER_OK)
			return false;
	}
	}
	return tm_decimal_rescale(v, scale, places, 38, how, ret);
}
static double as_double(const struct tm_column *c, size_t i)
{
	i = tm_row(c, i);
	return c->type->kind == TM_T_DOUBLE ? c->f64[i] : c->type->kind == TM_T_FLOAT ? (double)c->f32[i] : 0;
}

/* 1234567.891 -> 1,234,567.89 */
static void group_digits(struct tm_str plain, struct tm_buf *out)
{
	size_t dot = tm_str_find(plain, TM_STR("."), 0), whole = dot == SIZE_MAX ? plain.len : dot, from = plain.len && plain.at[0] == '-';
	if (from)
		tm_buf_char(out, '-');
	for (size_t j = from; j < whole; j++) {
		if (j > from && (whole - j) % 3 == 0)
			tm_buf_char(out, ',');
		tm_buf_char(out, plain.at[j]);
	}
	tm_buf_put(out, plain.at + whole, plain.len - whole);
}

/* A DecimalFormat pattern as far as it is digits: #,###.00 -> grouping, least and most decimals. */
static int pattern_places(struct tm_str p, bool *ret_group, int *ret_least)
{
	size_t dot = tm_str_find(p, TM_STR("."), 0);
	int least = 0, most = 0;
	*ret_group = tm_str_find(p, TM_STR(","), 0) != SIZE_MAX;
	for (size_t j = dot == SIZE_MAX ? p.len : dot + 1; j < p.len; j++) {
		least += p.at[j] == '0';
		most += p.at[j] == '0' || p.at[j] == '#';
	}
	*ret_least = least;
	return most;
}
enum { JAVA_FRACTION_DIGITS = 340 }; /* what DecimalFormat writes of a double or a whole number at most */
KERNEL(format_number)
{
	struct tm_buf b = {0}, plain = {0};
	bool by_pattern = args[1].type->kind == TM_T_STRING;
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		bool group = true;
		int least, places;
		i128 v;
		if (by_pattern) {
			places = pattern_places(STR_AT(1, i), &group, &least);
		} else {
			places = least = AT(1, i32, i);
			if (places < 0) {
				fn_null(ev, ret, i);
				continue;
			}
			if (args[0].type->kind != TM_T_DECIMAL && places > JAVA_FRACTION_DIGITS)
				places = least = JAVA_FRACTION_DIGITS;
			if ((size_t)places > TM_LIMIT_VALUES_BYTES / 8) {
				rc = tm_fail(ev->err, TM_LIMIT, "format_number with %d decimals: at most %zu", places,
					     TM_LIMIT_VALUES_BYTES / 8);
				break;
			}
		}
		plain.len = 0;
		if (rounded(&args[0], i, places > 38 ? 38 : places, TM_HALF_EVEN, &v)) {
			tm_decimal_text(v, places > 38 ? 38 : places, &plain);
			for (int j = 38; j < places; j++)
				tm_buf_char(&plain, '0');
		} else {
			double d = as_double(&args[0], i);
			if (!isfinite(d))
				tm_buf_cstr_put(&plain, isnan(d) ? "NaN" : d < 0 ? "-∞" : "∞");
			else
				tm_buf_printf(&plain, "%.*f", places, d);
		}
		while (places > least && plain.len && plain.at[plain.len - 1] == '0') {
			plain.len--;
			places--;
		}
		if (places == 0 && plain.len && plain.at[plain.len - 1] == '.')
			plain.len--;
		if (group)
			group_digits(tm_buf_str(&plain), &b);
		else
			tm_buf_str_put(&b, tm_buf_str(&plain));
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	tm_buf_done(&plain);
	return rc;
}
BIND(format_number)
{
	if (!tm_type_numeric(b->args[0].type))
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	if (!fn_kind(b, 1, TM_T_STRING))
		TM_TRY(fn_want(b, 1, &tm_type_int, err));
	return fn_is(b, &tm_k_format_number, &tm_type_string, true);
}

/* ---- format_string ---- java.util.Formatter */
struct spec {
	bool left, plus, blank, zero, group, paren, alt;
	int width, precision;
	char conv;
	size_t index;
};
static void pad_out(const struct spec *s, struct tm_str text, struct tm_buf *out)
{
	size_t n = tm_utf8_count(text), fill = (size_t)(s->width > 0 ? s->width : 0) > n ? (size_t)s->width - n : 0;
	for (size_t j = 0; !s->left && j < fill; j++)
		tm_buf_char(out, ' ');
	tm_buf_str_put(out, text);
	for (size_t j = 0; s->left && j < fill; j++)
		tm_buf_char(out, ' ');
}
/* digits without sign -> sign, grouping, zeros, width */
static void put_signed(const struct spec *s, bool negative, struct tm_str digits, struct tm_buf *out)
{
	struct tm_buf t = {0}, body = {0};
	if (s->group)
		group_digits(digits, &body);
	else
		tm_buf_str_put(&body, digits);
	const char *sign = negative ? (s->paren ? "(" : "-") : s->plus ? "+" : s->blank ? " " : "";
	size_t used = strlen(sign) + body.len + (negative && s->paren);
	tm_buf_cstr_put(&t, sign);
	for (size_t j = used; s->zero && j < (size_t)(s->width > 0 ? s->width : 0); j++)
		tm_buf_char(&t, '0');
	tm_buf_str_put(&t, tm_buf_str(&body));
	if (negative && s->paren)
		tm_buf_char(&t, ')');
	pad_out(s, tm_buf_str(&t), out);
	tm_buf_done(&t);
	tm_buf_done(&body);
}
static bool is_real(const struct tm_type *t) { return t->kind == TM_T_FLOAT || t->kind == TM_T_DOUBLE || t->kind == TM_T_DECIMAL; }

static tm_rc format_arg(struct tm_eval *ev, const struct spec *s, const struct tm_column *c, size_t i, const struct tm_sql_zone *zone,
			struct tm_buf *out)
{
	struct tm_buf t = {0};
	char conv = (char)tolower((unsigned char)s->conv);
	i128 v;
	if (conv == 'b') {
		bool yes = !tm_is_null(c, i) && (c->type->kind != TM_T_BOOLEAN || c->boolean[tm_row(c, i)]);
		pad_out(s, tm_str_of(yes ? "true" : "false"), out);
		return TM_OK;
	}
	if (tm_is_null(c, i)) {
		pad_out(s, TM_STR("null"), out);
		return TM_OK;
	}
	bool whole = tm_type_integral(c->type), real = is_real(c->type);
	if (conv == 's') {
		fn_value_text(zone, c, i, &t);
		if (s->precision >= 0 && t.len > (size_t)s->precision)
			t.len = (size_t)s->precision;
	} else if ((conv == 'd' || conv == 'x' || conv == 'o') && whole && rounded(c, i, 0, TM_DOWN, &v)) {
		if (conv == 'd') {
			tm_decimal_text(v < 0 ? -v : v, 0, &t);
			put_signed(s, v < 0, tm_buf_str(&t), out);
			tm_buf_done(&t);
			return TM_OK;
		}
		uint64_t bits = (uint64_t)v;
		if (c->type->kind != TM_T_BIGINT)
			bits &= c->type->kind == TM_T_INT ? 0xFFFFFFFFu : c->type->kind == TM_T_SMALLINT ? 0xFFFFu : 0xFFu;
		char digits[32];
		int n = snprintf(digits, sizeof digits, conv == 'x' ? "%s%llx" : "%s%llo", s->alt ? (conv == 'x' ? "0x" : "0") : "",
				 (unsigned long long)bits);
		for (int j = n; s->zero && j < s->width; j++)
			tm_buf_char(&t, '0');
		tm_buf_put(&t, digits, (size_t)n);
	} else if (conv == 'c' && whole && rounded(c, i, 0, TM_DOWN, &v)) {
		char utf8[4];
		tm_buf_put(&t, utf8, tm_utf8_put((uint32_t)v, utf8));
	} else if ((conv == 'f' || conv == 'e' || conv == 'g') && real) {
		int places = s->precision < 0 ? 6 : s->precision;
		double d = c->type->kind == TM_T_DECIMAL ? tm_decimal_to_double(c->i128[tm_row(c, i)], c->type->scale) : as_double(c, i);
		if (!isfinite(d)) {
			tm_buf_cstr_put(&t, isnan(d) ? "NaN" : d > 0 ? (s->plus ? "+Infinity" : "Infinity") : "-Infinity");
		} else {
			if (conv == 'f' && places <= 38 && rounded(c, i, places, TM_HALF_UP, &v))
				tm_decimal_text(v < 0 ? -v : v, places, &t);
			else
				tm_buf_printf(&t, conv == 'f' ? "%.*f" : conv == 'e' ? "%.*e" : "%.*g", places, fabs(d));
			put_signed(s, d < 0 || (d == 0 && signbit(d)), tm_buf_str(&t), out);
			tm_buf_done(&t);
			return TM_OK;
		}
	} else {
		struct tm_str type = fn_type_sql(ev->arena, c->type);
		return tm_fail(ev->err, TM_DATA, "%c != %.*s", s->conv, TM_STR_ARG(type));
	}
	if (isupper((unsigned char)s->conv))
		for (size_t j = 0; j < t.len; j++)
			t.at[j] = (char)toupper((unsigned char)t.at[j]);
	pad_out(s, tm_buf_str(&t), out);
	tm_buf_done(&t);
	return TM_OK;
}

static size_t parse_spec(struct tm_str f, size_t at, struct spec *s)
{
	*s = (struct spec){.width = -1, .precision = -1};
	size_t j = at, n = 0;
	while (j < f.len && isdigit((unsigned char)f.at[j]) && n < 1000)
		n = n * 10 + (size_t)(f.at[j++] - '0');
	if (j > at && j < f.len && f.at[j] == '$') {
		s->index = n;
		at = j + 1;
	}
	for (; at < f.len && strchr("-+ 0,(#", f.at[at]); at++) {
		s->left |= f.at[at] == '-';
		s->plus |= f.at[at] == '+';
		s->blank |= f.at[at] == ' ';
		s->zero |= f.at[at] == '0';
		s->group |= f.at[at] == ',';
		s->paren |= f.at[at] == '(';
		s->alt |= f.at[at] == '#';
	}
	for (; at < f.len && isdigit((unsigned char)f.at[at]); at++)
		s->width = s->width > 100000 ? s->width : (s->width < 0 ? 0 : s->width) * 10 + (f.at[at] - '0');
	if (at < f.len && f.at[at] == '.')
		for (at++, s->precision = 0; at < f.len && isdigit((unsigned char)f.at[at]); at++)
			s->precision = s->precision > 1000 ? s->precision : s->precision * 10 + (f.at[at] - '0');
	s->conv = at < f.len ? f.at[at] : 0;
	return at + 1;
}

static tm_rc format_row(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t i,
			const struct tm_sql_zone *zone, struct tm_buf *b)
{
	struct tm_str f = STR_AT(0, i);
	size_t next = 1;
	for (size_t j = 0; j < f.len;) {
		if (f.at[j] != '%') {
			tm_buf_char(b, f.at[j++]);
			continue;
		}
		struct spec s;
		size_t start = j;
		j = parse_spec(f, j + 1, &s);
		if (s.conv == '%' || s.conv == 'n') {
			pad_out(&s, tm_str_of(s.conv == '%' ? "%" : "\n"), b);
			TM_TRY(fn_text_limit(ev, b));
			continue;
		}
		if (!s.conv || !strchr("dsxXofeEgGcCbBS", s.conv))
			return tm_fail(ev->err, TM_DATA, "Conversion = '%c'", s.conv ? s.conv : '%');
		size_t arg = s.index ? s.index : next++;
		if (arg >= call->arg_count)
			return tm_fail(ev->err, TM_DATA, "Format specifier '%.*s'", (int)(j - start), f.at + start);
		TM_TRY(format_arg(ev, &s, &args[arg], i, zone, b));
		TM_TRY(fn_text_limit(ev, b));
	}
	return TM_OK;
}
KERNEL(format_string)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		if (tm_is_null(&args[0], i)) {
			fn_null(ev, ret, i);
			continue;
		}
		rc = format_row(ev, call, args, i, zone, &b);
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
BIND(format_string)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	return fn_is(b, &tm_k_format_string, &tm_type_string, b->args[0].nullable);
}

/* ---- to_char, to_number ---- 9 0 . D , G $ S MI PR */
struct number_format {
	struct tm_str text;
	int whole, places;
	bool dollar, sign_start, sign_end, minus_start, minus_end, angle;
	size_t digits_from, digits_to;
};
static bool number_format_parse(struct tm_str f, struct number_format *ret)
{
	struct number_format n = {.text = f};
	size_t from = 0, to = f.len;
	if (to >= 2 && tm_str_iis(tm_str_slice(f, to - 2, to), "PR")) {
		n.angle = true;
		to -= 2;
	} else if (to >= 2 && tm_str_iis(tm_str_slice(f, to - 2, to), "MI")) {
		n.minus_end = true;
		to -= 2;
	} else if (to >= 1 && (f.at[to - 1] | 32) == 's') {
		n.sign_end = true;
		to--;
	}
	if (from < to && (f.at[from] | 32) == 's') {
		n.sign_start = true;
		from++;
	} else if (to - from >= 2 && tm_str_iis(tm_str_slice(f, from, from + 2), "MI")) {
		n.minus_start = true;
		from += 2;
	}
	if (from < to && f.at[from] == '$') {
		n.dollar = true;
		from++;
	}
	bool point = false;
	n.digits_from = from;
	n.digits_to = to;
	for (size_t j = from; j < to; j++) {
		char c = f.at[j];
		if (c == '9' || c == '0')
			*(point ? &n.places : &n.whole) += 1;
		else if ((c == '.' || (c | 32) == 'd') && !point)
			point = true;
		else if (!(c == ',' || (c | 32) == 'g') || point)
			return false;
	}
	*ret = n;
	return n.whole + n.places > 0 && n.whole + n.places <= 38;
}
static tm_rc bad_format(struct tm_err *err, struct tm_str f)
{
	return tm_fail_class(err, TM_INVALID, "INVALID_FORMAT.UNEXPECTED_TOKEN", "42601",
			     "The format is invalid: '%.*s'. Found an unexpected token in the format string.", TM_STR_ARG(f));
}
static bool to_number(const struct number_format *n, struct tm_str s, i128 *ret)
{
	s = tm_trim_all(s);
	bool negative = false;
	if (n->angle && s.len > 2 && s.at[0] == '<' && s.at[s.len - 1] == '>') {
		negative = true;
		s = tm_str_slice(s, 1, s.len - 1);
	}
	if ((n->sign_start || n->minus_start) && s.len && (s.at[0] == '-' || (n->sign_start && s.at[0] == '+'))) {
		negative = s.at[0] == '-';
		s = tm_str_slice(s, 1, s.len);
	}
	if ((n->sign_end || n->minus_end) && s.len && (s.at[s.len - 1] == '-' || (n->sign_end && s.at[s.len - 1] == '+'))) {
		negative = s.at[s.len - 1] == '-';
		s.len--;
	}
	if (n->dollar) {
		if (!s.len || s.at[0] != '$')
			return false;
		s = tm_str_slice(s, 1, s.len);
	}
	int whole = 0, places = 0;
	bool point = false;
	i128 v = 0;
	for (size_t j = 0; j < s.len; j++) {
		char c = s.at[j];
		if (c >= '0' && c <= '9') {
			*(point ? &places : &whole) += 1;
			if (whole > n->whole || places > n->places)
				return false;
			v = v * 10 + (c - '0');
		} else if (c == '.' && !point) {
			point = true;
		} else if (c != ',' || point) {
			return false;
		}
	}
	if (whole + places == 0)
		return false;
	for (; places < n->places; places++)
		v *= 10;
	*ret = negative ? -v : v;
	return true;
}
struct number_bound {
	struct number_format format;
	bool try_form;
};
KERNEL(to_number)
{
	const struct number_bound *n = call->bound;
	fn_begin_some(ev, call, args, 1, ret);
	FN_ROWS(i)
	{
		ret->i128[i] = 0;
		if (to_number(&n->format, STR_AT(0, i), &ret->i128[i]))
			continue;
		if (!n->try_form)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_FORMAT.MISMATCH_INPUT", "42601",
					     "The format is invalid: %.*s. The input \"STRING\" %.*s does not match the format.",
					     TM_STR_ARG(n->format.text), TM_STR_ARG(STR_AT(0, i)));
		fn_null(ev, ret, i);
	}
	return TM_OK;
}
static tm_rc bind_format(struct tm_fn_bind *b, struct number_bound **ret, struct tm_err *err)
{
	struct tm_str f;
	struct number_bound *n = TM_NEW(b->arena, struct number_bound);
	if (!fn_literal_str(b, 1, &f))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"format\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[1].expr->text));
	if (!number_format_parse(tm_arena_str(b->arena, f), &n->format))
		return bad_format(err, f);
	*ret = n;
	b->bound = n;
	return TM_OK;
}
BIND(to_number)
{
	struct number_bound *n;
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	TM_TRY(bind_format(b, &n, err));
	n->try_form = fn_variant(b);
	return fn_is(b, &tm_k_to_number, tm_type_decimal(b->arena, n->format.whole + n->format.places, n->format.places), true);
}

/* The number right-aligned in the format's digits; # where it does not fit. */
static void to_char(const struct number_format *n, i128 v, bool fits, struct tm_buf *out)
{
	bool negative = v < 0;
	char digits[48];
	i128 m = negative ? -v : v;
	for (int j = n->whole + n->places - 1; j >= 0; j--) {
		digits[j] = (char)('0' + (int)(m % 10));
		m /= 10;
	}
	fits = fits && m == 0;
	struct tm_buf body = {0};
	int at = 0;
	bool started = false, point = false;
	for (size_t j = n->digits_from; j < n->digits_to; j++) {
		char c = n->text.at[j];
		if (c == '9' || c == '0') {
			started |= digits[at] != '0' || c == '0' || point || !fits;
			tm_buf_char(&body, !fits ? '#' : started || at == n->whole - 1 ? digits[at] : ' ');
			at++;
		} else if (c == '.' || (c | 32) == 'd') {
			point = true;
			tm_buf_char(&body, '.');
		} else {
			tm_buf_char(&body, started ? ',' : ' ');
		}
	}
	size_t blanks = 0;
	while (blanks < body.len && body.at[blanks] == ' ')
		blanks++;
	for (size_t j = 0; j < blanks; j++)
		tm_buf_char(out, ' ');
	if (n->angle && negative)
		tm_buf_char(out, '<');
	if (n->sign_start)
		tm_buf_char(out, negative ? '-' : '+');
	if (n->minus_start)
		tm_buf_char(out, negative ? '-' : ' ');
	if (n->dollar)
		tm_buf_char(out, '$');
	tm_buf_put(out, body.at + blanks, body.len - blanks);
	if (n->sign_end)
		tm_buf_char(out, negative ? '-' : '+');
	if (n->minus_end)
		tm_buf_char(out, negative ? '-' : ' ');
	if (n->angle)
		tm_buf_char(out, negative ? '>' : ' ');
	tm_buf_done(&body);
}
KERNEL(to_char)
{
	const struct number_bound *n = call->bound;
	struct tm_buf b = {0};
	fn_begin_some(ev, call, args, 1, ret);
	FN_ROWS(i)
	{
		i128 v = 0;
		bool fits = rounded(&args[0], i, n->format.places, TM_HALF_UP, &v);
		to_char(&n->format, v, fits, &b);
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}
/* to_char also takes dates with a date pattern and binaries with a character set */
BIND(to_char)
{
	struct number_bound *n;
	const struct tm_type *t = b->args[0].type;
	if (t->kind == TM_T_DATE || t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ || t->kind == TM_T_BINARY) {
		bool hex = false, base64 = false;
		struct tm_str f;
		if (t->kind != TM_T_BINARY) {
			struct tm_expr *two[2] = {b->args[0].expr, b->args[1].expr};
			return fn_call(b, "date_format", two, 2, &b->replacement, err);
		}
		if (fn_literal_str(b, 1, &f)) {
			hex = tm_str_iis(f, "hex");
			base64 = tm_str_iis(f, "base64");
		}
		if (hex || base64)
			return fn_call(b, hex ? "hex" : "base64", &b->args[0].expr, 1, &b->replacement, err);
		return tm_cast_bind(b->arena, b->session, b->args[0].expr, &tm_type_string, TM_CAST_ANSI, &b->replacement, err);
	}
	if (!tm_type_numeric(t))
		return fn_unexpected_type(b, 0, "(\"NUMERIC\" or \"DATE\" or \"TIMESTAMP\" or \"BINARY\")", err);
	TM_TRY(bind_format(b, &n, err));
	return fn_is(b, &tm_k_to_char, &tm_type_string, true);
}
