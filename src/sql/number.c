/* Numbers as Java and Spark read and write them. */
#include "sql/number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/uchar.h>

/* ---- wide integers, for intermediate results of decimals: up to 114 digits ---- */
enum { LIMBS = 7 };
struct big {
	uint64_t w[LIMBS];
};

static struct big big_of(u128 v) { return (struct big){{(uint64_t)v, (uint64_t)(v >> 64)}}; }
static u128 magnitude(i128 v) { return v < 0 ? -(u128)v : (u128)v; }

static void big_mul_small(struct big *b, uint64_t m)
{
	u128 carry = 0;
	for (int i = 0; i < LIMBS; i++) {
		carry += (u128)b->w[i] * m;
		b->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
}

static void big_mul_pow10(struct big *b, int k)
{
	for (; k >= 19; k -= 19)
		big_mul_small(b, 10000000000000000000u);
	if (k > 0)
		big_mul_small(b, (uint64_t)tm_pow10(k));
}

static uint64_t big_div_small(struct big *b, uint64_t d)
{
	u128 rest = 0;
	for (int i = LIMBS - 1; i >= 0; i--) {
		rest = rest << 64 | b->w[i];
		b->w[i] = (uint64_t)(rest / d);
		rest %= d;
	}
	return (uint64_t)rest;
}

static int big_cmp(const struct big *a, const struct big *b)
{
	for (int i = LIMBS - 1; i >= 0; i--)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

static void big_add(struct big *a, const struct big *b)
{
	u128 carry = 0;
	for (int i = 0; i < LIMBS; i++) {
		carry += (u128)a->w[i] + b->w[i];
		a->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
}

static void big_sub(struct big *a, const struct big *b) /* a >= b */
{
	uint64_t borrow = 0;
	for (int i = 0; i < LIMBS; i++) {
		u128 d = (u128)a->w[i] - b->w[i] - borrow;
		a->w[i] = (uint64_t)d;
		borrow = (uint64_t)(d >> 64) & 1;
	}
}

static struct big big_mul(u128 a, u128 b)
{
	struct big lo = big_of(a), hi = big_of(a);
	big_mul_small(&lo, (uint64_t)b);
	big_mul_small(&hi, (uint64_t)(b >> 64));
	for (int i = LIMBS - 1; i > 0; i--)
		hi.w[i] = hi.w[i - 1];
	hi.w[0] = 0;
	big_add(&lo, &hi);
	return lo;
}

static bool big_zero_from(const struct big *b, int limb)
{
	for (int i = limb; i < LIMBS; i++)
		if (b->w[i])
			return false;
	return true;
}

static void big_shift_left(struct big *b)
{
	for (int i = LIMBS - 1; i > 0; i--)
		b->w[i] = b->w[i] << 1 | b->w[i - 1] >> 63;
	b->w[0] <<= 1;
}

/* a = a / b, returns the rest. Bit by bit: only for operands that do not fit 128 bits. */
static struct big big_divide(struct big *a, const struct big *b)
{
	struct big rest = {{0}}, quotient = {{0}};
	if (big_zero_from(a, 2) && big_zero_from(b, 2)) {
		u128 x = (u128)a->w[1] << 64 | a->w[0], y = (u128)b->w[1] << 64 | b->w[0];
		*a = big_of(x / y);
		return big_of(x % y);
	}
	if (big_zero_from(b, 1)) {
		uint64_t r = big_div_small(a, b->w[0]);
		return big_of(r);
	}
	for (int bit = LIMBS * 64 - 1; bit >= 0; bit--) {
		big_shift_left(&rest);
		rest.w[0] |= a->w[bit / 64] >> (bit % 64) & 1;
		if (big_cmp(&rest, b) >= 0) {
			big_sub(&rest, b);
			quotient.w[bit / 64] |= (uint64_t)1 << (bit % 64);
		}
	}
	*a = quotient;
	return rest;
}

static bool big_take(const struct big *b, bool negative, int precision, i128 *ret)
{
	u128 v = (u128)b->w[1] << 64 | b->w[0];
	if (!big_zero_from(b, 2) || v >= (u128)tm_pow10(precision))
		return false;
	*ret = negative ? -(i128)v : (i128)v;
	return true;
}

/* Cuts k digits off, rounding half up. */
static void big_round(struct big *b, int k)
{
	if (k <= 0)
		return;
	for (k--; k >= 19; k -= 19)
		big_div_small(b, 10000000000000000000u);
	if (k > 0)
		big_div_small(b, (uint64_t)tm_pow10(k));
	uint64_t digit = big_div_small(b, 10);
	if (digit >= 5) {
		struct big one = big_of(1);
		big_add(b, &one);
	}
}

/* ---- decimals ---- */
static i128 powers[TM_DECIMAL_MAX + 1];
__attribute__((constructor)) static void fill_powers(void)
{
	powers[0] = 1;
	for (int i = 1; i <= TM_DECIMAL_MAX; i++)
		powers[i] = powers[i - 1] * 10;
}
i128 tm_pow10(int k)
{
	TM_ASSERT(k >= 0 && k <= TM_DECIMAL_MAX);
	return powers[k];
}

int tm_decimal_digits(i128 v)
{
	u128 m = magnitude(v);
	int n = 1;
	while (n < 39 && n <= TM_DECIMAL_MAX && m >= (u128)powers[n])
		n++;
	return n;
}

bool tm_decimal_rescale(i128 v, int from, int to, int precision, enum tm_rounding rounding, i128 *ret)
{
	bool negative = v < 0;
	if (to >= from) {
		if (to - from > TM_DECIMAL_MAX) {
			*ret = 0;
			return v == 0;
		}
		i128 r;
		if (__builtin_mul_overflow(v, powers[to - from], &r) || !tm_decimal_fits(r, precision))
			return false;
		*ret = r;
		return true;
	}
	int k = from - to;
	i128 q = 0;
	int more; /* how the cut part compares with a half: -1, 0, 1 */
	bool exact = false;
	if (k > TM_DECIMAL_MAX) {
		more = -1;
		exact = v == 0;
	} else {
		u128 m = magnitude(v), d = (u128)powers[k], rest = m % d;
		q = (i128)(m / d);
		exact = rest == 0;
		more = rest * 2 < d ? -1 : rest * 2 > d;
		if (k == TM_DECIMAL_MAX && rest > d / 2)
			more = 1;
	}
	if (!exact) {
		bool up = rounding == TM_HALF_UP     ? more >= 0
			  : rounding == TM_HALF_EVEN ? more > 0 || (more == 0 && (q & 1))
			  : rounding == TM_CEILING   ? !negative
			  : rounding == TM_FLOOR     ? negative
						     : false;
		q += up;
	}
	if (!tm_decimal_fits(q, precision))
		return false;
	*ret = negative ? -q : q;
	return true;
}

bool tm_decimal_add(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret)
{
	int s = sa > sb ? sa : sb;
	i128 x, y, sum;
	if (s == scale && !__builtin_mul_overflow(a, powers[s - sa], &x) && !__builtin_mul_overflow(b, powers[s - sb], &y) &&
	    !__builtin_add_overflow(x, y, &sum)) {
		*ret = sum;
		return tm_decimal_fits(sum, precision);
	}
	struct big p = big_of(magnitude(a)), q = big_of(magnitude(b));
	big_mul_pow10(&p, s - sa);
	big_mul_pow10(&q, s - sb);
	bool negative = a < 0;
	if ((a < 0) == (b < 0)) {
		big_add(&p, &q);
	} else if (big_cmp(&p, &q) >= 0) {
		big_sub(&p, &q);
	} else {
		big_sub(&q, &p);
		p = q;
		negative = b < 0;
	}
	if (scale >= s)
		big_mul_pow10(&p, scale - s);
	else
		big_round(&p, s - scale);
	return big_take(&p, negative, precision, ret);
}

bool tm_decimal_multiply(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret)
{
	i128 product;
	if (sa + sb == scale && !__builtin_mul_overflow(a, b, &product)) {
		*ret = product;
		return tm_decimal_fits(product, precision);
	}
	struct big p = big_mul(magnitude(a), magnitude(b));
	if (scale >= sa + sb)
		big_mul_pow10(&p, scale - sa - sb);
	else
		big_round(&p, sa + sb - scale);
	return big_take(&p, (a < 0) != (b < 0), precision, ret);
}

bool tm_decimal_divide(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret)
{
	struct big p = big_of(magnitude(a)), q = big_of(magnitude(b));
	int k = scale - sa + sb;
	if (k >= 0)
		big_mul_pow10(&p, k);
	else
		big_mul_pow10(&q, -k);
	struct big rest = big_divide(&p, &q);
	big_mul_small(&rest, 2);
	if (big_cmp(&rest, &q) >= 0) {
		struct big one = big_of(1);
		big_add(&p, &one);
	}
	return big_take(&p, (a < 0) != (b < 0), precision, ret);
}

bool tm_decimal_remainder(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret)
{
	int s = sa > sb ? sa : sb;
	struct big p = big_of(magnitude(a)), q = big_of(magnitude(b));
	big_mul_pow10(&p, s - sa);
	big_mul_pow10(&q, s - sb);
	struct big rest = big_divide(&p, &q);
	if (scale >= s)
		big_mul_pow10(&rest, scale - s);
	else
		big_round(&rest, s - scale);
	return big_take(&rest, a < 0, precision, ret);
}

int64_t tm_decimal_quotient(i128 a, int sa, i128 b, int sb)
{
	struct big p = big_of(magnitude(a)), q = big_of(magnitude(b));
	if (sb >= sa)
		big_mul_pow10(&p, sb - sa);
	else
		big_mul_pow10(&q, sa - sb);
	big_divide(&p, &q);
	return (int64_t)((a < 0) != (b < 0) ? -p.w[0] : p.w[0]);
}

int tm_decimal_cmp(i128 a, int sa, i128 b, int sb)
{
	if (sa == sb)
		return (a > b) - (a < b);
	if ((a < 0) != (b < 0))
		return a < b ? -1 : 1;
	struct big p = big_of(magnitude(a)), q = big_of(magnitude(b));
	big_mul_pow10(&p, sb > sa ? sb - sa : 0);
	big_mul_pow10(&q, sa > sb ? sa - sb : 0);
	return a < 0 ? big_cmp(&q, &p) : big_cmp(&p, &q);
}

void tm_decimal_text(i128 v, int scale, struct tm_buf *out)
{
	char text[64];
	int at = sizeof text, digits = 0;
	u128 m = magnitude(v);
	do {
		if (digits == scale && scale > 0)
			text[--at] = '.';
		text[--at] = (char)('0' + (int)(m % 10));
		m /= 10;
		digits++;
	} while (m || digits <= scale);
	if (v < 0)
		text[--at] = '-';
	tm_buf_put(out, text + at, sizeof text - (size_t)at);
}

double tm_decimal_to_double(i128 v, int scale)
{
	if (scale <= 22 && v >= -((i128)1 << 53) && v <= (i128)1 << 53)
		return (double)(int64_t)v / (double)powers[scale]; /* both exact: correctly rounded */
	char text[64];
	struct tm_buf b = {text, 0, sizeof text};
	tm_decimal_text(v, scale, &b);
	text[b.len] = 0;
	return strtod(text, NULL);
}

/* ---- reading ---- */
struct tm_str tm_trim_all(struct tm_str s)
{
	while (s.len && ((unsigned char)s.at[0] <= ' ' || s.at[0] == 0x7F)) {
		s.at++;
		s.len--;
	}
	while (s.len && ((unsigned char)s.at[s.len - 1] <= ' ' || s.at[s.len - 1] == 0x7F))
		s.len--;
	return s;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* [sign] digits [. digits] [e [sign] digits]: where the parts are. */
struct number_parts {
	bool negative;
	struct tm_str whole, fraction;
	int64_t exponent;
};
static bool number_split(struct tm_str s, struct number_parts *ret)
{
	struct number_parts p = {0};
	size_t i = 0;
	if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
		p.negative = s.at[i++] == '-';
	size_t from = i;
	while (i < s.len && digit(s.at[i]))
		i++;
	p.whole = tm_str_slice(s, from, i);
	if (i < s.len && s.at[i] == '.') {
		from = ++i;
		while (i < s.len && digit(s.at[i]))
			i++;
		p.fraction = tm_str_slice(s, from, i);
	}
	if (p.whole.len + p.fraction.len == 0)
		return false;
	if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
		bool minus = false;
		i++;
		if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
			minus = s.at[i++] == '-';
		if (i == s.len)
			return false;
		for (; i < s.len && digit(s.at[i]); i++)
			if (p.exponent < 100000000000)
				p.exponent = p.exponent * 10 + (s.at[i] - '0');
		if (minus)
			p.exponent = -p.exponent;
	}
	*ret = p;
	return i == s.len;
}

static int part_digit(const struct number_parts *p, size_t i)
{
	return (i < p->whole.len ? p->whole.at[i] : p->fraction.at[i - p->whole.len]) - '0';
}

/* BigDecimal takes digits of any script: as ASCII, or the text itself where there are none. */
static struct tm_str ascii_digits(struct tm_str s, char *text, size_t size)
{
	size_t n = 0;
	bool other = false;
	for (size_t i = 0; i < s.len; i++)
		other |= s.at[i] & 0x80;
	if (!other || s.len >= size)
		return s;
	for (const char *at = s.at, *end = s.at + s.len; at < end;) {
		const char *from = at;
		int d = u_charDigitValue((UChar32)tm_utf8_next(&at, end));
		if (d >= 0)
			text[n++] = (char)('0' + d);
		else
			for (; from < at; from++)
				text[n++] = *from;
	}
	return tm_str_n(text, n);
}

enum tm_number_parse tm_decimal_parse(struct tm_str s, int precision, int scale, i128 *ret)
{
	struct number_parts p;
	char text[256];
	if (!number_split(ascii_digits(tm_trim_all(s), text, sizeof text), &p) || p.exponent > 2147483647 || p.exponent < -2147483647)
		return TM_NUMBER_BAD;
	size_t n = p.whole.len + p.fraction.len, first = 0;
	while (first < n && part_digit(&p, first) == 0)
		first++;
	if (first == n) {
		*ret = 0;
		return TM_NUMBER_OK;
	}
	int64_t whole_digits = (int64_t)p.whole.len - (int64_t)first + p.exponent; /* of the value, may be negative */
	if (whole_digits > TM_DECIMAL_MAX)
		return TM_NUMBER_HUGE;
	int64_t keep = whole_digits + scale; /* digits from `first` on that stay: the first is not 0 */
	if (keep > TM_DECIMAL_MAX)
		return TM_NUMBER_RANGE;
	u128 v = 0;
	for (int64_t i = 0; i < keep; i++)
		v = v * 10 + (unsigned)((size_t)i + first < n ? part_digit(&p, (size_t)i + first) : 0);
	if (keep >= 0 && (size_t)keep + first < n && part_digit(&p, (size_t)keep + first) >= 5)
		v++;
	if (v >= (u128)tm_pow10(precision))
		return TM_NUMBER_RANGE;
	*ret = p.negative ? -(i128)v : (i128)v;
	return TM_NUMBER_OK;
}

bool tm_decimal_shape(struct tm_str s, int *ret_precision, int *ret_scale)
{
	struct number_parts p;
	if (!number_split(tm_trim_all(s), &p))
		return false;
	size_t n = p.whole.len + p.fraction.len, first = 0;
	while (first + 1 < n && part_digit(&p, first) == 0)
		first++;
	int64_t scale = (int64_t)p.fraction.len - p.exponent, precision = (int64_t)(n - first);
	if (scale < 0) {
		precision -= scale;
		scale = 0;
	}
	if (precision < scale)
		precision = scale;
	if (precision > 100000 || scale > 100000)
		return false;
	*ret_precision = (int)precision;
	*ret_scale = (int)scale;
	return true;
}

enum tm_number_parse tm_integer_parse(struct tm_str s, bool exact, int64_t min, int64_t max, int64_t *ret)
{
	s = tm_trim_all(s);
	size_t i = 0;
	bool negative = false;
	if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
		negative = s.at[i++] == '-';
	if (i == s.len)
		return TM_NUMBER_BAD;
	int64_t v = 0; /* downwards, so that the least value fits */
	bool over = false;
	for (; i < s.len && digit(s.at[i]); i++)
		over |= __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.at[i] - '0', &v);
	if (i < s.len && s.at[i] == '.' && !exact)
		for (i++; i < s.len && digit(s.at[i]); i++)
			;
	if (i < s.len)
		return TM_NUMBER_BAD;
	over |= !negative && __builtin_sub_overflow((int64_t)0, v, &v);
	if (over || v < min || v > max)
		return TM_NUMBER_RANGE;
	*ret = v;
	return TM_NUMBER_OK;
}

/* Is s a FloatingPointLiteral of Java, without the type letter? *ret_text: copied with a NUL for strtod. */
static bool java_float(struct tm_str s, char *text, size_t size, bool *ret_special, double *ret)
{
	*ret_special = true;
	size_t sign = s.len && (s.at[0] == '-' || s.at[0] == '+');
	struct tm_str rest = tm_str_slice(s, sign, s.len);
	double unit = s.len && s.at[0] == '-' ? -1 : 1;
	if (tm_str_iis(rest, "infinity") || tm_str_iis(rest, "inf")) {
		*ret = unit * INFINITY;
		return true;
	}
	if (tm_str_iis(s, "nan") || tm_str_is(rest, "NaN")) {
		*ret = NAN;
		return true;
	}
	*ret_special = false;
	bool hex = rest.len > 2 && rest.at[0] == '0' && (rest.at[1] == 'x' || rest.at[1] == 'X');
	if (s.len && strchr("dDfF", s.at[s.len - 1]) && s.at[s.len - 1])
		s.len--;
	struct number_parts p;
	if (hex) {
		bool power = false;
		for (size_t i = sign + 2; i < s.len; i++) {
			power |= s.at[i] == 'p' || s.at[i] == 'P';
			if (!strchr("0123456789abcdefABCDEF.pP+-", s.at[i]))
				return false;
		}
		if (!power)
			return false;
	} else if (!number_split(s, &p)) {
		return false;
	}
	if (s.len >= size)
		return false;
	memcpy(text, s.at, s.len);
	text[s.len] = 0;
	return true;
}

enum { FLOAT_TEXT = 1100 };
bool tm_double_parse(struct tm_str s, double *ret)
{
	char text[FLOAT_TEXT], *end;
	bool special;
	s = tm_trim_all(s);
	if (!java_float(s, text, sizeof text, &special, ret))
		return false;
	if (special)
		return true;
	double v = strtod(text, &end);
	if (*end)
		return false;
	*ret = v;
	return true;
}

bool tm_float_parse(struct tm_str s, float *ret)
{
	char text[FLOAT_TEXT], *end;
	bool special;
	double d;
	s = tm_trim_all(s);
	if (!java_float(s, text, sizeof text, &special, &d))
		return false;
	if (special) {
		*ret = (float)d;
		return true;
	}
	float v = strtof(text, &end);
	if (*end)
		return false;
	*ret = v;
	return true;
}

bool tm_boolean_parse(struct tm_str s, bool *ret)
{
	static const char *const yes[] = {"t", "true", "y", "yes", "1"}, *const no[] = {"f", "false", "n", "no", "0"};
	s = tm_trim_all(s);
	for (size_t i = 0; i < 5; i++) {
		if (tm_str_iis(s, yes[i]) || tm_str_iis(s, no[i])) {
			*ret = tm_str_iis(s, yes[i]);
			return true;
		}
	}
	return false;
}

/* ---- writing ---- */
void tm_i64_text(int64_t v, struct tm_buf *out)
{
	char text[24];
	int at = sizeof text;
	uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
	do {
		text[--at] = (char)('0' + m % 10);
		m /= 10;
	} while (m);
	if (v < 0)
		text[--at] = '-';
	tm_buf_put(out, text + at, sizeof text - (size_t)at);
}

/* From "d.ddde±xx" with the shortest digits to Java's form. */
static void java_form(const char *e_text, struct tm_buf *out)
{
	char digits[24];
	int n = 0, exponent;
	const char *c = e_text;
	if (*c == '-') {
		tm_buf_char(out, '-');
		c++;
	}
	for (; *c && *c != 'e'; c++)
		if (digit(*c))
			digits[n++] = *c;
	exponent = (int)strtol(c + 1, NULL, 10);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (exponent >= -3 && exponent < 7) {
		if (exponent < 0) {
			tm_buf_cstr_put(out, "0.");
			for (int i = -1; i > exponent; i--)
				tm_buf_char(out, '0');
			tm_buf_put(out, digits, (size_t)n);
			return;
		}
		for (int i = 0; i <= exponent; i++)
			tm_buf_char(out, i < n ? digits[i] : '0');
		tm_buf_char(out, '.');
		if (n > exponent + 1)
			tm_buf_put(out, digits + exponent + 1, (size_t)(n - exponent - 1));
		else
			tm_buf_char(out, '0');
		return;
	}
	tm_buf_char(out, digits[0]);
	tm_buf_char(out, '.');
	if (n > 1)
		tm_buf_put(out, digits + 1, (size_t)(n - 1));
	else
		tm_buf_char(out, '0');
	tm_buf_char(out, 'E');
	tm_i64_text(exponent, out);
}

void tm_double_text(double v, struct tm_buf *out)
{
	if (isnan(v)) {
		tm_buf_cstr_put(out, "NaN");
		return;
	}
	if (isinf(v)) {
		tm_buf_cstr_put(out, v < 0 ? "-Infinity" : "Infinity");
		return;
	}
	if (v == 0) {
		tm_buf_cstr_put(out, signbit(v) ? "-0.0" : "0.0");
		return;
	}
	if (fabs(v) < 1e7 && v == (double)(int64_t)v) {
		tm_i64_text((int64_t)v, out);
		tm_buf_cstr_put(out, ".0");
		return;
	}
	char text[40];
	for (int p = fabs(v) < 1e-300 ? 1 : 14; p <= 16; p++) {
		snprintf(text, sizeof text, "%.*e", p, v);
		if (strtod(text, NULL) == v)
			break;
	}
	java_form(text, out);
}

void tm_float_text(float v, struct tm_buf *out)
{
	if (isnan(v) || isinf(v) || v == 0) {
		tm_double_text((double)v, out);
		return;
	}
	char text[40];
	for (int p = fabsf(v) < 1e-37f ? 1 : 5; p <= 8; p++) {
		snprintf(text, sizeof text, "%.*e", p, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	java_form(text, out);
}
