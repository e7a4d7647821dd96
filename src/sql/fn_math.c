/* Mathematics: rounding, roots and logarithms, trigonometry, bits, number systems. */
#include "sql/fn_arith.h"
#include <math.h>

/* ---- functions of one DOUBLE ---- bound to C's own; null where the logarithm has no value */
struct real {
	double (*f)(double);
	double above;
	bool has_above;
};
KERNEL(real)
{
	const struct real *r = call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		double x = AT(0, f64, i);
		if (r->has_above && x <= r->above)
			fn_null(ev, ret, i);
		else
			ret->f64[i] = r->f(x);
	}
	return TM_OK;
}
static double f_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double f_degrees(double x) { return x * (180.0 / 3.14159265358979323846); }
static double f_radians(double x) { return x / 180.0 * 3.14159265358979323846; }
static double f_cot(double x) { return 1 / tan(x); }
static double f_sec(double x) { return 1 / cos(x); }
static double f_csc(double x) { return 1 / sin(x); }
static double f_asinh(double x) { return isinf(x) && x < 0 ? x : log(x + sqrt(x * x + 1)); }
static double f_acosh(double x) { return log(x + sqrt(x * x - 1)); }
static double f_atanh(double x) { return 0.5 * (log1p(x) - log1p(-x)); }
/* cbrt and exp as Java's StrictMath gives them: cbrt by way of more digits, as the C library's is not always the nearest; exp by
 * reduction to [-ln2/2, ln2/2] and a rational approximation there, whose last digit is not always that of the C library. */
static double f_cbrt(double x) { return (double)cbrtl((long double)x); }
static double f_exp(double x)
{
	if (!(fabs(x) < 700) || fabs(x) < 0x1p-28)
		return exp(x);
	double hi = x, lo = 0, k = 0;
	if (fabs(x) > 0.34657359) {
		k = fabs(x) < 1.03972077 ? (x > 0 ? 1 : -1) : trunc(1.44269504088896338700 * x + (x > 0 ? 0.5 : -0.5));
		hi = x - k * 6.93147180369123816490e-01;
		lo = k * 1.90821492927058770002e-10;
	}
	double t = hi - lo, u = t * t;
	double c = t - u * (1.66666666666666019037e-01 +
			    u * (-2.77777777770155933842e-03 +
				 u * (6.61375632143793436117e-05 + u * (-1.65339022054652515390e-06 + u * 4.13813679705723846039e-08))));
	double y = k == 0 ? 1 - (t * c / (c - 2) - t) : 1 - (lo - t * c / (2 - c) - hi);
	return ldexp(y, (int)k);
}
static double f_log10(double x) { return log10(x); }
static double f_rint(double x) { return rint(x); }
BIND(real)
{
	static const struct real table[] = {
	    {sqrt, 0, 0},   {f_cbrt, 0, 0}, {f_exp, 0, 0},     {expm1, 0, 0},     {log, 0, 1},     {f_log10, 0, 1}, {log2, 0, 1},
	    {log1p, -1, 1}, {sin, 0, 0},    {cos, 0, 0},       {tan, 0, 0},       {asin, 0, 0},    {acos, 0, 0},    {atan, 0, 0},
	    {sinh, 0, 0},   {cosh, 0, 0},   {tanh, 0, 0},      {f_asinh, 0, 0},   {f_acosh, 0, 0}, {f_atanh, 0, 0}, {f_cot, 0, 0},
	    {f_sec, 0, 0},  {f_csc, 0, 0},  {f_degrees, 0, 0}, {f_radians, 0, 0}, {f_rint, 0, 0},  {f_sign, 0, 0}};
	TM_TRY(fn_want(b, 0, &tm_type_double, err));
	b->bound = &table[fn_variant(b)];
	return fn_is(b, &tm_k_real, &tm_type_double, fn_any_nullable(b) || table[fn_variant(b)].has_above);
}
KERNEL(sign_interval)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t v = args[0].type->kind == TM_T_INTERVAL_YM ? AT(0, i32, i) : AT(0, i64, i);
		ret->f64[i] = (v > 0) - (v < 0);
	}
	return TM_OK;
}
BIND(signum)
{
	enum tm_type_kind k = b->args[0].type->kind;
	if (k == TM_T_INTERVAL_YM || k == TM_T_INTERVAL_DT)
		return fn_is(b, &tm_k_sign_interval, &tm_type_double, fn_any_nullable(b));
	return tm_bind_real(b, err);
}
KERNEL(constant) /* bound: a double */
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->f64[i] = *(const double *)call->bound;
	return TM_OK;
}
BIND(constant)
{
	static const double values[] = {3.14159265358979323846, 2.7182818284590452354};
	b->bound = &values[fn_variant(b)];
	return fn_is(b, &tm_k_constant, &tm_type_double, false);
}

#define REAL2(name, ...)                                                                                                                   \
	KERNEL(name)                                                                                                                       \
	{                                                                                                                                  \
		fn_begin(ev, call, args, ret);                                                                                             \
		FN_ROWS(i)                                                                                                                 \
		{                                                                                                                          \
			double x = AT(0, f64, i), y = AT(1, f64, i);                                                                       \
			__VA_ARGS__                                                                                                        \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
REAL2(pow, ret->f64[i] = fabs(x) == 1 && (isinf(y) || isnan(y)) ? NAN : pow(x, y);)
REAL2(atan2, ret->f64[i] = atan2(x + 0.0, y + 0.0);)
REAL2(hypot, ret->f64[i] = hypot(x, y);)
REAL2(log_base, if (x <= 0 || y <= 0) fn_null(ev, ret, i); else ret->f64[i] = log(y) / log(x);)
BIND(log)
{
	if (b->arg_count == 1)
		return tm_bind_real(b, err);
	for (size_t i = 0; i < 2; i++)
		TM_TRY(fn_want(b, i, &tm_type_double, err));
	return fn_is(b, &tm_k_log_base, &tm_type_double, true);
}
KERNEL(nanvl)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		if (tm_is_null(&args[0], i)) {
			fn_null(ev, ret, i);
		} else if (!isnan(AT(0, f64, i))) {
			ret->f64[i] = AT(0, f64, i);
		} else if (tm_is_null(&args[1], i)) {
			fn_null(ev, ret, i);
		} else {
			ret->f64[i] = AT(1, f64, i);
		}
	}
	return TM_OK;
}
KERNEL(factorial)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int32_t n = AT(0, i32, i);
		int64_t r = 1;
		if (n < 0 || n > 20) {
			fn_null(ev, ret, i);
			continue;
		}
		for (int32_t j = 2; j <= n; j++)
			r *= j;
		ret->i64[i] = r;
	}
	return TM_OK;
}

/* ---- rounding ---- */
enum { R_ROUND, R_BROUND, R_CEIL, R_FLOOR };
static const enum tm_rounding roundings[] = {TM_HALF_UP, TM_HALF_EVEN, TM_CEILING, TM_FLOOR};
struct rounding {
	enum tm_rounding how;
	int scale;
	bool ansi;
};

/* Through the shortest decimal text, as java.math.BigDecimal does it for a double. */
static double round_double(double v, const struct rounding *r, bool single)
{
	if (!isfinite(v) || v == 0)
		return v;
	char text[400];
	struct tm_buf b = {text, 0, sizeof text};
	i128 d;
	int precision, scale;
	if (single)
		tm_float_text((float)v, &b);
	else
		tm_double_text(v, &b);
	if (!tm_decimal_shape(tm_buf_str(&b), &precision, &scale) || precision > TM_DECIMAL_MAX || scale > TM_DECIMAL_MAX)
		return r->scale >= 0 && scale > r->scale && precision == scale ? (r->how == TM_CEILING && v > 0 ? pow(10, -r->scale)
										  : r->how == TM_FLOOR && v < 0 ? -pow(10, -r->scale)
														: v * 0)
									       : v;
	if (scale <= r->scale)
		return v;
	if (tm_decimal_parse(tm_buf_str(&b), TM_DECIMAL_MAX, scale, &d) != TM_NUMBER_OK ||
	    !tm_decimal_rescale(d, scale, r->scale < 0 ? r->scale : r->scale, TM_DECIMAL_MAX, r->how, &d))
		return v;
	if (r->scale >= 0 || d == 0)
		return tm_decimal_to_double(d, r->scale < 0 ? 0 : r->scale);
	return tm_decimal_to_double(d, 0) * pow(10, -r->scale);
}
KERNEL(round_double)
{
	const struct rounding *r = call->bound;
	bool single = args[0].type->kind == TM_T_FLOAT;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		double v = round_double(single ? (double)AT(0, f32, i) : AT(0, f64, i), r, single);
		if (single)
			ret->f32[i] = (float)v;
		else
			ret->f64[i] = v;
	}
	return TM_OK;
}
KERNEL(round_integer)
{
	const struct rounding *r = call->bound;
	enum tm_type_kind k = call->type->kind;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t v = k == TM_T_TINYINT    ? AT(0, i8, i)
			    : k == TM_T_SMALLINT ? AT(0, i16, i)
			    : k == TM_T_INT      ? AT(0, i32, i)
						 : AT(0, i64, i);
		i128 d = v;
		if (r->scale < 0) {
			if (r->scale < -19 || !tm_decimal_rescale(v, 0, r->scale, TM_DECIMAL_MAX, r->how, &d))
				d = 0;
			else
				d *= tm_pow10(-r->scale);
		}
		int64_t w = (int64_t)d;
		bool fits = w == d;
		switch (k) {
		case TM_T_TINYINT:
			fits &= (ret->i8[i] = (int8_t)w) == w;
			break;
		case TM_T_SMALLINT:
			fits &= (ret->i16[i] = (int16_t)w) == w;
			break;
		case TM_T_INT:
			fits &= (ret->i32[i] = (int32_t)w) == w;
			break;
		default:
			ret->i64[i] = w;
		}
		if (!fits && r->ansi)
			return fn_overflow(ev, "", NULL);
	}
	return TM_OK;
}
KERNEL(round_decimal)
{
	const struct rounding *r = call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		i128 d = AT(0, i128, i), v;
		int from = args[0].type->scale;
		ret->i128[i] = 0;
		if (r->scale >= 0) {
			if (!tm_decimal_rescale(d, from, call->type->scale, call->type->precision, r->how, &ret->i128[i]))
				fn_null(ev, ret, i);
		} else if (!tm_decimal_rescale(d, from, r->scale < -38 ? -38 : r->scale, TM_DECIMAL_MAX, r->how, &v)) {
			fn_null(ev, ret, i);
		} else {
			i128 unit = tm_pow10(r->scale < -38 ? 38 : -r->scale), big;
			if (__builtin_mul_overflow(v, unit, &big) || !tm_decimal_fits(big, call->type->precision))
				fn_null(ev, ret, i);
			else
				ret->i128[i] = big;
		}
	}
	return TM_OK;
}
KERNEL(whole_double) /* ceil and floor of one argument: BIGINT */
{
	const struct rounding *r = call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		double v = AT(0, f64, i);
		v = r->how == TM_CEILING ? ceil(v) : floor(v);
		if (r->ansi && !isnan(v) && !(v >= -9223372036854775808.0 && v < 9223372036854775808.0))
			return fn_overflow(ev, "", NULL);
		ret->i64[i] = tm_double_i64(v);
	}
	return TM_OK;
}

/* variant: R_… ; round(x [, scale]) with a constant scale */
BIND(round)
{
	int what = fn_variant(b);
	bool whole = what >= R_CEIL;
	struct rounding *r = TM_NEW(b->arena, struct rounding);
	int64_t scale = 0;
	if (b->arg_count == 2) {
		TM_TRY(fn_want(b, 1, &tm_type_int, err));
		if (!fn_literal_int(b, 1, &scale) && !fn_literal_null(b, 1))
			return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
					   "the input \"scale\" should be a foldable \"INT\" expression; however, got \"%.*s\".",
					   TM_STR_ARG(b->args[1].expr->text));
	}
	r->how = roundings[what];
	r->scale = scale > 400 ? 400 : scale < -400 ? -400 : (int)scale;
	r->ansi = b->session->ansi;
	b->bound = r;
	const struct tm_type *t = b->args[0].type;
	bool null = fn_any_nullable(b) || fn_literal_null(b, 1);
	if (whole && b->arg_count == 1 && t->kind != TM_T_DECIMAL) {
		if (t->kind == TM_T_BIGINT) {
			b->bound = NULL;
			extern const struct tm_kernel tm_k_timestamp_micros;
			return fn_is(b, &tm_k_timestamp_micros, t, null); /* a copy */
		}
		if (tm_type_integral(t) && t->kind != TM_T_BIGINT) {
			b->cast[0] = &tm_type_bigint;
			extern const struct tm_kernel tm_k_timestamp_micros;
			return fn_is(b, &tm_k_timestamp_micros, &tm_type_bigint, null);
		}
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
		return fn_is(b, &tm_k_whole_double, &tm_type_bigint, null);
	}
	if (whole && t->kind != TM_T_DECIMAL && b->arg_count == 2 && tm_type_numeric(t)) { /* by way of DECIMAL */
		b->cast[0] = t = fn_decimal_for(b->arena, t);
	}
	if (t->kind == TM_T_DECIMAL) {
		int p = t->precision, s = t->scale, whole_digits = p - s + 1;
		if (r->scale < 0) {
			int need = -r->scale + 1, digits = whole_digits > need ? whole_digits : need;
			return fn_is(b, &tm_k_round_decimal, tm_type_decimal(b->arena, digits > 38 ? 38 : digits, 0), true);
		}
		int to = r->scale < s ? r->scale : s, digits = whole_digits + to;
		if (whole && b->arg_count == 1)
			digits = s == 0 ? p : whole_digits;
		return fn_is(b, &tm_k_round_decimal, tm_type_decimal(b->arena, digits > 38 ? 38 : digits, to), true);
	}
	if (tm_type_integral(t))
		return fn_is(b, &tm_k_round_integer, t, null);
	if (t->kind != TM_T_FLOAT)
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	return fn_is(b, &tm_k_round_double, fn_type(b, 0), null);
}

/* ---- bits ---- */
enum { B_AND, B_OR, B_XOR, B_LEFT, B_RIGHT, B_RIGHT_UNSIGNED };
static void put_wide(struct tm_column *c, size_t i, int64_t v)
{
	switch (tm_type_width(c->type)) {
	case 1:
		c->i8[i] = (int8_t)v;
		break;
	case 2:
		c->i16[i] = (int16_t)v;
		break;
	case 4:
		c->i32[i] = (int32_t)v;
		break;
	default:
		c->i64[i] = v;
	}
}
KERNEL(bits)
{
	int op = (int)(intptr_t)call->bound;
	bool narrow = call->type->kind == TM_T_INT;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t a = tm_value_integer(&args[0], i), b = tm_value_integer(&args[1], i), r;
		int s = (int)(b & (narrow ? 31 : 63));
		switch (op) {
		case B_AND:
			r = a & b;
			break;
		case B_OR:
			r = a | b;
			break;
		case B_XOR:
			r = a ^ b;
			break;
		case B_LEFT:
			r = (int64_t)((uint64_t)a << s);
			break;
		case B_RIGHT:
			r = a >> s;
			break;
		default:
			r = narrow ? (int64_t)((uint32_t)a >> s) : (int64_t)((uint64_t)a >> s);
		}
		put_wide(ret, i, r);
	}
	return TM_OK;
}
BIND(bits)
{
	int op = fn_variant(b);
	b->bound = (const void *)(intptr_t)op;
	if (op >= B_LEFT) {
		if (!fn_kind(b, 0, TM_T_BIGINT))
			TM_TRY(fn_want(b, 0, &tm_type_int, err));
		TM_TRY(fn_want(b, 1, &tm_type_int, err));
		return fn_is(b, &tm_k_bits, fn_type(b, 0), fn_any_nullable(b));
	}
	const struct tm_type *t = tm_type_common(b->arena, b->args[0].type, b->args[1].type, b->session->ansi);
	if (t && (t->kind == TM_T_STRING || t->kind == TM_T_NULL))
		t = &tm_type_bigint;
	if (!t || !tm_type_integral(t)) {
		struct tm_str l = fn_type_sql(b->arena, b->args[0].type), r = fn_type_sql(b->arena, b->args[1].type);
		if (tm_type_same(b->args[0].type, b->args[1].type))
			return fn_mismatch(b, err, "BINARY_OP_WRONG_TYPE",
					   "the binary operator requires the input type \"INTEGRAL\", not \"%.*s\".", TM_STR_ARG(l));
		return fn_mismatch(b, err, "BINARY_OP_DIFF_TYPES",
				   "the left and right operands of the binary operator have incompatible types (\"%.*s\" and \"%.*s\").",
				   TM_STR_ARG(l), TM_STR_ARG(r));
	}
	for (size_t i = 0; i < 2; i++)
		if (b->args[i].type->kind != t->kind)
			b->cast[i] = t;
	return fn_is(b, &tm_k_bits, t, fn_any_nullable(b));
}
KERNEL(bit_not)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) put_wide(ret, i, ~tm_value_integer(&args[0], i));
	return TM_OK;
}
BIND(bit_not)
{
	if (!tm_type_integral(b->args[0].type)) {
		if (b->args[0].type->kind != TM_T_STRING && b->args[0].type->kind != TM_T_NULL)
			return fn_unexpected_type(b, 0, "INTEGRAL", err);
		b->cast[0] = &tm_type_bigint;
	}
	return fn_is(b, &tm_k_bit_not, fn_type(b, 0), fn_any_nullable(b));
}
KERNEL(bit_count)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = __builtin_popcountll((uint64_t)tm_value_integer(&args[0], i));
	return TM_OK;
}
BIND(bit_count)
{
	const struct tm_type *t = b->args[0].type;
	if (!tm_type_integral(t) && t->kind != TM_T_BOOLEAN)
		TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	return fn_is(b, &tm_k_bit_count, &tm_type_int, fn_any_nullable(b));
}
KERNEL(getbit)
{
	int size = (int)tm_type_width(args[0].type) * 8;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int32_t p = AT(1, i32, i);
		if (p < 0 || p >= size)
			return fn_bad_parameter(ev, "BIT_POSITION_RANGE",
						"`pos` in `getbit` is invalid: Expects an integer value in [0, %d), but got %d.", size, p);
		ret->i8[i] = (int8_t)(tm_value_integer(&args[0], i) >> p & 1);
	}
	return TM_OK;
}
BIND(getbit)
{
	if (!tm_type_integral(b->args[0].type))
		TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	TM_TRY(fn_want(b, 1, &tm_type_int, err));
	return fn_is(b, &tm_k_getbit, &tm_type_tinyint, fn_any_nullable(b));
}

/* ---- number systems ---- */
KERNEL(bin)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		char text[64];
		int at = 64;
		uint64_t v = (uint64_t)AT(0, i64, i);
		do {
			text[--at] = (char)('0' + (v & 1));
			v >>= 1;
		} while (v);
		ret->str[i] = fn_copy(ev, text + at, (size_t)(64 - at));
	}
	return TM_OK;
}
KERNEL(hex)
{
	bool number = args[0].type->kind == TM_T_BIGINT;
	static const char digits[] = "0123456789ABCDEF";
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		if (number) {
			char text[16];
			int at = 16;
			uint64_t v = (uint64_t)AT(0, i64, i);
			do {
				text[--at] = digits[v & 15];
				v >>= 4;
			} while (v);
			ret->str[i] = fn_copy(ev, text + at, (size_t)(16 - at));
			continue;
		}
		struct tm_str s = STR_AT(0, i);
		char *out = tm_arena_alloc(ev->arena, s.len * 2 + 1);
		for (size_t j = 0; j < s.len; j++) {
			out[2 * j] = digits[(unsigned char)s.at[j] >> 4];
			out[2 * j + 1] = digits[s.at[j] & 15];
		}
		ret->str[i] = tm_str_n(out, s.len * 2);
	}
	return TM_OK;
}
BIND(hex)
{
	const struct tm_type *t = b->args[0].type;
	if (tm_type_numeric(t))
		TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	else if (t->kind != TM_T_BINARY)
		TM_TRY(fn_want(b, 0, &tm_type_string, err));
	return fn_is(b, &tm_k_hex, &tm_type_string, fn_any_nullable(b));
}
static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
bool fn_unhex(struct tm_eval *ev, struct tm_str s, struct tm_str *ret)
{
	char *out = tm_arena_alloc(ev->arena, s.len / 2 + 1);
	size_t n = 0, at = 0;
	if (s.len & 1) {
		if (hex_digit(s.at[0]) < 0)
			return false;
		out[n++] = (char)hex_digit(s.at[at++]);
	}
	for (; at < s.len; at += 2) {
		int hi = hex_digit(s.at[at]), lo = hex_digit(s.at[at + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[n++] = (char)(hi << 4 | lo);
	}
	*ret = tm_str_n(out, n);
	return true;
}
KERNEL(unhex)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) if (!fn_unhex(ev, STR_AT(0, i), &ret->str[i])) fn_null(ev, ret, i);
	return TM_OK;
}

/* conv(number, from base, to base): 64 bits, unsigned unless the target base is negative */
KERNEL(conv)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = tm_trim_all(STR_AT(0, i));
		int from = AT(1, i32, i), to = AT(2, i32, i), base = to < -36 ? 0 : to < 0 ? -to : to;
		if (from < 2 || from > 36 || base < 2 || base > 36 || s.len == 0) {
			fn_null(ev, ret, i);
			continue;
		}
		bool negative = s.at[0] == '-', over = false;
		uint64_t v = 0;
		for (size_t j = negative; j < s.len; j++) {
			int d = s.at[j] >= '0' && s.at[j] <= '9'                 ? s.at[j] - '0'
				: (s.at[j] | 32) >= 'a' && (s.at[j] | 32) <= 'z' ? (s.at[j] | 32) - 'a' + 10
										 : 99;
			if (d >= from)
				break;
			over |= __builtin_mul_overflow(v, (uint64_t)from, &v) || __builtin_add_overflow(v, (uint64_t)d, &v);
		}
		if (over) {
			if (ev->session->ansi)
				return fn_overflow(ev, "Overflow in function conv(). ", NULL);
			v = UINT64_MAX;
		}
		if (negative && to > 0)
			v = (int64_t)v < 0 && !over ? UINT64_MAX : over ? UINT64_MAX : 0 - v;
		if (to < 0 && (int64_t)v < 0 && !negative) {
			v = 0 - v;
			negative = true;
		}
		char text[66];
		int at = 66;
		do {
			int d = (int)(v % (unsigned)base);
			text[--at] = (char)(d < 10 ? '0' + d : 'A' + d - 10);
			v /= (unsigned)base;
		} while (v);
		if (negative && to < 0)
			text[--at] = '-';
		ret->str[i] = fn_copy(ev, text + at, (size_t)(66 - at));
	}
	return TM_OK;
}
KERNEL(width_bucket)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		double v = AT(0, f64, i), lo = AT(1, f64, i), hi = AT(2, f64, i);
		int64_t n = AT(3, i64, i);
		if (n <= 0 || n == INT64_MAX || isnan(v) || lo == hi || !isfinite(lo) || !isfinite(hi))
			fn_null(ev, ret, i);
		else if (lo < hi ? v < lo : v > lo)
			ret->i64[i] = 0;
		else if (lo < hi ? v >= hi : v <= hi)
			ret->i64[i] = n + 1;
		else /* wraps, as in Java */
			ret->i64[i] = (int64_t)((uint64_t)tm_double_i64((double)n * (v - lo) / (hi - lo)) + 1);
	}
	return TM_OK;
}
