/* Numbers as Java and Spark read and write them; DECIMAL as unscaled __int128 with at most 38 digits. */
#ifndef TM_SQL_NUMBER_H
#define TM_SQL_NUMBER_H
#include "base/base.h"

typedef __int128 i128;
typedef unsigned __int128 u128;
typedef __int128 i128_state __attribute__((aligned(8))); /* in the states of aggregates, which are aligned to 8 only */
enum { TM_DECIMAL_MAX = 38 };
enum tm_rounding { TM_HALF_UP, TM_HALF_EVEN, TM_DOWN, TM_CEILING, TM_FLOOR };

i128 tm_pow10(int k); /* 0..38 */
static inline bool tm_decimal_fits(i128 v, int precision)
{
	i128 limit = tm_pow10(precision);
	return v > -limit && v < limit;
}
int tm_decimal_digits(i128 v); /* at least 1 */
/* Java's (long) and (int) of a double: NaN is 0, what is beyond the range the bound. */
static inline int64_t tm_double_i64(double v)
{
	return v != v ? 0 : v >= 9223372036854775808.0 ? INT64_MAX : v <= -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}
static inline int32_t tm_double_i32(double v)
{
	return v != v ? 0 : v >= 2147483647.0 ? INT32_MAX : v <= -2147483648.0 ? INT32_MIN : (int32_t)v;
}
/* To another scale; false when it has more than `precision` digits then. */
bool tm_decimal_rescale(i128 v, int from_scale, int to_scale, int precision, enum tm_rounding rounding, i128 *ret);
/* Exact results rounded half up to scale; false when they need more than precision digits. b != 0 for divide and remainder. */
bool tm_decimal_add(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret);
bool tm_decimal_multiply(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret);
bool tm_decimal_divide(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret);
bool tm_decimal_remainder(i128 a, int sa, i128 b, int sb, int precision, int scale, i128 *ret);
/* The whole part of a/b, cut to 64 bits as Java's longValue does. */
int64_t tm_decimal_quotient(i128 a, int sa, i128 b, int sb);
int tm_decimal_cmp(i128 a, int sa, i128 b, int sb);
void tm_decimal_text(i128 v, int scale, struct tm_buf *out);
double tm_decimal_to_double(i128 v, int scale);

enum tm_number_parse { TM_NUMBER_OK, TM_NUMBER_BAD, TM_NUMBER_RANGE, TM_NUMBER_HUGE /* whole part over 38 digits */ };
/* java.math.BigDecimal's grammar, blanks around it cut. */
enum tm_number_parse tm_decimal_parse(struct tm_str s, int precision, int scale, i128 *ret);
/* Precision and scale the text has by itself (as a BigDecimal). */
bool tm_decimal_shape(struct tm_str s, int *ret_precision, int *ret_scale);
/* exact: digits only (ANSI); else a fraction is cut off. */
enum tm_number_parse tm_integer_parse(struct tm_str s, bool exact, int64_t min, int64_t max, int64_t *ret);
/* Double.parseDouble plus Spark's spellings of infinity. */
bool tm_double_parse(struct tm_str s, double *ret);
bool tm_float_parse(struct tm_str s, float *ret);
bool tm_boolean_parse(struct tm_str s, bool *ret);
/* Double.toString and Float.toString. */
void tm_double_text(double v, struct tm_buf *out);
void tm_float_text(float v, struct tm_buf *out);
/* Cuts blanks and control characters as UTF8String.trimAll does. */
struct tm_str tm_trim_all(struct tm_str s);
void tm_i64_text(int64_t v, struct tm_buf *out);
#endif
