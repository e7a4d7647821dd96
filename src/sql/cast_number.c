/* Casts among BOOLEAN, the integers, FLOAT, DOUBLE and DECIMAL: one loop per pair of types. */
#include "sql/fn_int.h"
#include <math.h>

/* What overflows under ANSI is an error, under TRY null, else the low bits (integers) or the nearest bound (from fractions). */
static tm_rc overflowed(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row, struct tm_column *out)
{
	if (p->mode == TM_CAST_ANSI)
		return cast_overflow(ev, p, in, row);
	if (p->mode == TM_CAST_TRY)
		fn_null(ev, out, row);
	return TM_OK;
}

#define WIDEN(name, from, to)                                                                                                              \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		from const *a = in->data;                                                                                                  \
		to *r = out->data;                                                                                                         \
		for (size_t i = 0; i < rows; i++)                                                                                          \
			r[i] = (to)a[i];                                                                                                   \
		return TM_OK;                                                                                                              \
	}
#define NARROW(name, from, to)                                                                                                             \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		from const *a = in->data;                                                                                                  \
		to *r = out->data;                                                                                                         \
		bool lost = false;                                                                                                         \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			r[i] = (to)a[i];                                                                                                   \
			lost |= r[i] != a[i];                                                                                              \
		}                                                                                                                          \
		if (!lost || p->mode == TM_CAST_LEGACY)                                                                                    \
			return TM_OK;                                                                                                      \
		for (size_t i = 0; i < rows; i++)                                                                                          \
			if (r[i] != a[i] && CAST_LIVE(i))                                                                                  \
				TM_TRY(overflowed(ev, p, in, i, out));                                                                     \
		return TM_OK;                                                                                                              \
	}
/* Java's (int) of a double: NaN is 0, beyond the range the bound; to the small types by way of int. Under ANSI the value
 * without its fraction must be in range. */
#define CUT(name, from, to, min, max, legacy_via)                                                                                          \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		from const *a = in->data;                                                                                                  \
		to *r = out->data;                                                                                                         \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			double v = (double)a[i];                                                                                           \
			if (v > (double)(min)-1.0 && v < (double)(max) + 1.0 && v >= (double)(min)-0.9999999) {                            \
				r[i] = (to)v;                                                                                              \
				continue;                                                                                                  \
			}                                                                                                                  \
			r[i] = (to)legacy_via(v);                                                                                          \
			if (CAST_LIVE(i) && p->mode != TM_CAST_LEGACY)                                                                     \
				TM_TRY(overflowed(ev, p, in, i, out));                                                                     \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}

/* A table of instances, one row a line. */
/* clang-format off */
#define INTEGERS(X) X(i8, int8_t) X(i16, int16_t) X(i32, int32_t) X(i64, int64_t)
WIDEN(i8_i16, int8_t, int16_t) WIDEN(i8_i32, int8_t, int32_t) WIDEN(i8_i64, int8_t, int64_t)
WIDEN(i16_i32, int16_t, int32_t) WIDEN(i16_i64, int16_t, int64_t) WIDEN(i32_i64, int32_t, int64_t)
NARROW(i16_i8, int16_t, int8_t) NARROW(i32_i8, int32_t, int8_t) NARROW(i64_i8, int64_t, int8_t)
NARROW(i32_i16, int32_t, int16_t) NARROW(i64_i16, int64_t, int16_t) NARROW(i64_i32, int64_t, int32_t)
#define FLOATING(n, t) WIDEN(n##_f32, t, float) WIDEN(n##_f64, t, double)
INTEGERS(FLOATING)
WIDEN(f32_f64, float, double)
WIDEN(f64_f32, double, float)
/* clang-format on */
#define CUTS(f, ft)                                                                                                                        \
	CUT(f##_i8, ft, int8_t, INT8_MIN, INT8_MAX, tm_double_i32)                                                                         \
	CUT(f##_i16, ft, int16_t, INT16_MIN, INT16_MAX, tm_double_i32)                                                                     \
	CUT(f##_i32, ft, int32_t, INT32_MIN, INT32_MAX, tm_double_i32)
		CUTS(f32, float) CUTS(f64, double)
#define CUT_LONG(name, from)                                                                                                               \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		from const *a = in->data;                                                                                                  \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			double v = (double)a[i];                                                                                           \
			out->i64[i] = tm_double_i64(v);                                                                                    \
			if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0) && CAST_LIVE(i) && p->mode != TM_CAST_LEGACY)      \
				TM_TRY(overflowed(ev, p, in, i, out));                                                                     \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
		    CUT_LONG(f32_i64, float) CUT_LONG(f64_i64, double)

/* ---- boolean ---- */
#define BOOLEAN_PAIR(n, t)                                                                                                                 \
	WIDEN(bool_##n, uint8_t, t)                                                                                                        \
	CAST(n##_bool)                                                                                                                     \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		t const *a = in->data;                                                                                                     \
		for (size_t i = 0; i < rows; i++)                                                                                          \
			out->boolean[i] = a[i] != 0;                                                                                       \
		return TM_OK;                                                                                                              \
	}
			BOOLEAN_PAIR(i8, int8_t) BOOLEAN_PAIR(i16, int16_t) BOOLEAN_PAIR(i32, int32_t) BOOLEAN_PAIR(i64, int64_t)
			    BOOLEAN_PAIR(f32, float) BOOLEAN_PAIR(f64, double) CAST(dec_bool)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->boolean[i] = in->i128[i] != 0;
	return TM_OK;
}

/* ---- decimal ---- */
static tm_rc decimal_lost(struct tm_eval *ev, const struct cast_plan *p, i128 v, int scale, size_t row, struct tm_column *out)
{
	if (p->mode != TM_CAST_ANSI) {
		fn_null(ev, out, row);
		return TM_OK;
	}
	return cast_decimal_value_range(ev, p->to, v, scale);
}

#define TO_DECIMAL(name, from)                                                                                                             \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		from const *a = in->data;                                                                                                  \
		for (size_t i = 0; i < rows; i++)                                                                                          \
			if (!tm_decimal_rescale(a[i], 0, p->to->scale, p->to->precision, TM_HALF_UP, &out->i128[i])) {                     \
				out->i128[i] = 0;                                                                                          \
				if (CAST_LIVE(i))                                                                                          \
					TM_TRY(decimal_lost(ev, p, a[i], 0, i, out));                                                      \
			}                                                                                                                  \
		return TM_OK;                                                                                                              \
	}
TO_DECIMAL(bool_dec, uint8_t)
TO_DECIMAL(i8_dec, int8_t)
TO_DECIMAL(i16_dec, int16_t)
TO_DECIMAL(i32_dec, int32_t)
TO_DECIMAL(i64_dec, int64_t)

CAST(dec_dec)
{
	cast_begin(ev, p, in, rows, out);
	int from = p->from->scale, to = p->to->scale;
	for (size_t i = 0; i < rows; i++)
		if (!tm_decimal_rescale(in->i128[i], from, to, p->to->precision, TM_HALF_UP, &out->i128[i])) {
			out->i128[i] = 0;
			if (CAST_LIVE(i))
				TM_TRY(decimal_lost(ev, p, in->i128[i], from, i, out));
		}
	return TM_OK;
}

/* By way of the shortest text, as Java's BigDecimal.valueOf. */
static tm_rc floating_decimal(struct tm_eval *ev, const struct cast_plan *p, struct tm_buf *text, double v, size_t row,
			      struct tm_column *out)
{
	if (tm_decimal_parse(tm_buf_str(text), p->to->precision, p->to->scale, &out->i128[row]) == TM_NUMBER_OK)
		return TM_OK;
	out->i128[row] = 0;
	if (!CAST_LIVE(row))
		return TM_OK;
	if (p->mode != TM_CAST_ANSI || !isfinite(v)) {
		fn_null(ev, out, row);
		return TM_OK;
	}
	i128 whole;
	int precision, scale;
	if (isfinite(v) && tm_decimal_shape(tm_buf_str(text), &precision, &scale) && precision <= TM_DECIMAL_MAX &&
	    scale <= TM_DECIMAL_MAX && tm_decimal_parse(tm_buf_str(text), TM_DECIMAL_MAX, scale, &whole) == TM_NUMBER_OK) {
		text->len = 0;
		tm_decimal_text(whole, scale, text);
	}
	return cast_decimal_range(ev, p->to, tm_buf_str(text));
}
#define FLOATING_DECIMAL(name, field, print)                                                                                               \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		struct tm_buf text = {0};                                                                                                  \
		tm_rc rc = TM_OK;                                                                                                          \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		for (size_t i = 0; i < rows && rc == TM_OK; i++) {                                                                         \
			text.len = 0;                                                                                                      \
			print(in->field[i], &text);                                                                                        \
			rc = floating_decimal(ev, p, &text, (double)in->field[i], i, out);                                                 \
		}                                                                                                                          \
		tm_buf_done(&text);                                                                                                        \
		return rc;                                                                                                                 \
	}
FLOATING_DECIMAL(f32_dec, f32, tm_float_text)
FLOATING_DECIMAL(f64_dec, f64, tm_double_text)

CAST(dec_f64)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->f64[i] = tm_decimal_to_double(in->i128[i], p->from->scale);
	return TM_OK;
}
CAST(dec_f32)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->f32[i] = (float)tm_decimal_to_double(in->i128[i], p->from->scale);
	return TM_OK;
}
#define DECIMAL_INTEGER(n, t)                                                                                                              \
	CAST(dec_##n)                                                                                                                      \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		t *r = out->data;                                                                                                          \
		i128 unit = tm_pow10(p->from->scale);                                                                                      \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			i128 v = in->i128[i] / unit;                                                                                       \
			r[i] = (t)v;                                                                                                       \
			if (r[i] != v && CAST_LIVE(i) && p->mode != TM_CAST_LEGACY)                                                        \
				TM_TRY(overflowed(ev, p, in, i, out));                                                                     \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
INTEGERS(DECIMAL_INTEGER)

/* ---- which ---- */
enum { C_BOOL, C_I8, C_I16, C_I32, C_I64, C_F32, C_F64, C_DEC, C_COUNT };
static int index_of(enum tm_type_kind k) { return k >= TM_T_BOOLEAN && k <= TM_T_DECIMAL ? (int)k - TM_T_BOOLEAN : -1; }

cast_run *cast_numeric_run(enum tm_type_kind from, enum tm_type_kind to)
{
	static cast_run *const runs[C_COUNT][C_COUNT] = {
	    {NULL, bool_i8, bool_i16, bool_i32, bool_i64, bool_f32, bool_f64, bool_dec},
	    {i8_bool, NULL, i8_i16, i8_i32, i8_i64, i8_f32, i8_f64, i8_dec},
	    {i16_bool, i16_i8, NULL, i16_i32, i16_i64, i16_f32, i16_f64, i16_dec},
	    {i32_bool, i32_i8, i32_i16, NULL, i32_i64, i32_f32, i32_f64, i32_dec},
	    {i64_bool, i64_i8, i64_i16, i64_i32, NULL, i64_f32, i64_f64, i64_dec},
	    {f32_bool, f32_i8, f32_i16, f32_i32, f32_i64, NULL, f32_f64, f32_dec},
	    {f64_bool, f64_i8, f64_i16, f64_i32, f64_i64, f64_f32, NULL, f64_dec},
	    {dec_bool, dec_i8, dec_i16, dec_i32, dec_i64, dec_f32, dec_f64, dec_dec},
	};
	int f = index_of(from), t = index_of(to);
	return f < 0 || t < 0 ? NULL : runs[f][t];
}
