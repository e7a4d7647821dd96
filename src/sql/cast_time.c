/* Casts from and to dates, timestamps, times and intervals, other than from and to STRING. */
#include "sql/fn_int.h"
#include <math.h>

static tm_rc overflowed(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row, struct tm_column *out)
{
	if (p->mode == TM_CAST_ANSI)
		return cast_overflow(ev, p, in, row);
	fn_null(ev, out, row);
	return TM_OK;
}

/* ---- among the times ---- */
CAST(date_ts)
{
	const struct tm_sql_zone *zone = p->to->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		int64_t local = 0;
		if (CAST_LIVE(i) && !tm_micros_of(in->i32[i], 0, &local)) { /* fails in every mode but try */
			if (p->mode != TM_CAST_TRY)
				return fn_long_overflow(ev);
			fn_null(ev, out, i);
			local = 0;
		}
		out->i64[i] = tm_sql_zone_to_utc(zone, local);
	}
	return TM_OK;
}
CAST(ts_date)
{
	const struct tm_sql_zone *zone = p->from->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->i32[i] = (int32_t)tm_micros_to_days(tm_sql_zone_to_local(zone, in->i64[i]));
	return TM_OK;
}
CAST(ts_ts) /* with zone to without, or back */
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	bool to_local = p->to->kind == TM_T_TIMESTAMP_NTZ;
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->i64[i] = to_local ? tm_sql_zone_to_local(zone, in->i64[i]) : tm_sql_zone_to_utc(zone, in->i64[i]);
	return TM_OK;
}
CAST(ts_time)
{
	const struct tm_sql_zone *zone = p->from->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->i64[i] = tm_floor_mod(tm_sql_zone_to_local(zone, in->i64[i]), TM_US_DAY) * 1000;
	return TM_OK;
}
CAST(time_time)
{
	int64_t unit = (int64_t)tm_pow10(9 - p->to->precision);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->i64[i] = in->i64[i] / unit * unit;
	return TM_OK;
}

/* ---- numbers are seconds ---- */
#define SECONDS(name, field)                                                                                                               \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		for (size_t i = 0; i < rows; i++)                                                                                          \
			if (__builtin_mul_overflow((int64_t)in->field[i], TM_US_SECOND, &out->i64[i]))                                     \
				out->i64[i] = in->field[i] < 0 ? INT64_MIN : INT64_MAX;                                                    \
		return TM_OK;                                                                                                              \
	}
SECONDS(i8_ts, i8)
SECONDS(i16_ts, i16)
SECONDS(i32_ts, i32)
SECONDS(i64_ts, i64)
CAST(bool_ts)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->i64[i] = in->boolean[i] ? 1 : 0;
	return TM_OK;
}
static tm_rc double_ts(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t i, double v, struct tm_column *out)
{
	double us = v * 1e6;
	if (isfinite(us) && p->mode == TM_CAST_ANSI && (us >= 9223372036854775807.0 || us < -9223372036854775808.0)) {
		out->i64[i] = 0;
		return CAST_LIVE(i) ? cast_overflow(ev, p, in, i) : TM_OK;
	}
	if (isfinite(us)) {
		out->i64[i] = us >= 9223372036854775807.0 ? INT64_MAX : us <= -9223372036854775808.0 ? INT64_MIN : (int64_t)us;
		return TM_OK;
	}
	out->i64[i] = 0;
	if (!CAST_LIVE(i))
		return TM_OK;
	if (p->mode == TM_CAST_ANSI)
		return cast_invalid(ev, p, in, i);
	fn_null(ev, out, i);
	return TM_OK;
}
CAST(f64_ts)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		TM_TRY(double_ts(ev, p, in, i, in->f64[i], out));
	return TM_OK;
}
CAST(f32_ts)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		TM_TRY(double_ts(ev, p, in, i, (double)in->f32[i], out));
	return TM_OK;
}
CAST(dec_ts)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		i128 us;
		if (!tm_decimal_rescale(in->i128[i], p->from->scale, 6, TM_DECIMAL_MAX, TM_DOWN, &us) || us != (int64_t)us) {
			out->i64[i] = 0;
			if (CAST_LIVE(i))
				TM_TRY(overflowed(ev, p, in, i, out));
		} else {
			out->i64[i] = (int64_t)us;
		}
	}
	return TM_OK;
}
#define TS_INTEGER(name, type)                                                                                                             \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		type *r = out->data;                                                                                                       \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			int64_t v = tm_floor_div(in->i64[i], TM_US_SECOND);                                                                \
			r[i] = (type)v;                                                                                                    \
			if (r[i] != v && CAST_LIVE(i) && p->mode != TM_CAST_LEGACY)                                                        \
				TM_TRY(overflowed(ev, p, in, i, out));                                                                     \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
TS_INTEGER(ts_i8, int8_t)
TS_INTEGER(ts_i16, int16_t)
TS_INTEGER(ts_i32, int32_t)
TS_INTEGER(ts_i64, int64_t)
CAST(ts_f64)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->f64[i] = (double)in->i64[i] / 1e6;
	return TM_OK;
}
CAST(ts_f32)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->f32[i] = (float)((double)in->i64[i] / 1e6);
	return TM_OK;
}
static tm_rc put_decimal(struct tm_eval *ev, const struct cast_plan *p, i128 v, int scale, size_t i, struct tm_column *out)
{
	if (tm_decimal_rescale(v, scale, p->to->scale, p->to->precision, TM_HALF_UP, &out->i128[i]))
		return TM_OK;
	out->i128[i] = 0;
	if (!CAST_LIVE(i))
		return TM_OK;
	bool interval = p->from->kind == TM_T_INTERVAL_YM || p->from->kind == TM_T_INTERVAL_DT; /* fails in every mode but try */
	if (p->mode == TM_CAST_TRY || (p->mode == TM_CAST_LEGACY && !interval)) {
		fn_null(ev, out, i);
		return TM_OK;
	}
	return cast_decimal_value_range(ev, p->to, v, scale);
}
CAST(ts_dec)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		TM_TRY(put_decimal(ev, p, in->i64[i], 6, i, out));
	return TM_OK;
}
CAST(ts_bool)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++)
		out->boolean[i] = in->i64[i] != 0;
	return TM_OK;
}

/* ---- intervals ---- in units of their last field */
static int64_t field_unit(const struct tm_type *t, int field)
{
	static const int64_t unit[] = {12, 1, TM_US_DAY, TM_US_HOUR, TM_US_MINUTE, TM_US_SECOND};
	(void)t;
	return unit[field];
}
CAST(interval_interval)
{
	int64_t unit = field_unit(p->to, p->to->to_field);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		if (p->to->kind == TM_T_INTERVAL_YM)
			out->i32[i] = (int32_t)(in->i32[i] / unit * unit);
		else
			out->i64[i] = p->to->to_field == TM_F_SECOND ? in->i64[i] : in->i64[i] / unit * unit;
	}
	return TM_OK;
}
CAST(interval_number)
{
	int64_t unit = field_unit(p->from, p->from->to_field);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		int64_t v = tm_value_integer(in, i), whole = v / unit, back;
		switch (p->to->kind) {
		case TM_T_TINYINT:
			back = out->i8[i] = (int8_t)whole;
			break;
		case TM_T_SMALLINT:
			back = out->i16[i] = (int16_t)whole;
			break;
		case TM_T_INT:
			back = out->i32[i] = (int32_t)whole;
			break;
		case TM_T_BIGINT:
			back = out->i64[i] = whole;
			break;
		default:
			TM_TRY(p->from->to_field == TM_F_SECOND ? put_decimal(ev, p, v, 6, i, out) : put_decimal(ev, p, whole, 0, i, out));
			back = whole;
		}
		if (back != whole && CAST_LIVE(i)) {
			if (p->mode != TM_CAST_TRY)
				return cast_overflow(ev, p, in, i);
			fn_null(ev, out, i);
		}
	}
	return TM_OK;
}
CAST(number_interval)
{
	int64_t unit = field_unit(p->to, p->to->to_field);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		int64_t r;
		bool over = __builtin_mul_overflow(tm_value_integer(in, i), unit, &r);
		if (p->to->kind == TM_T_INTERVAL_YM) {
			out->i32[i] = (int32_t)r;
			over |= out->i32[i] != r;
		} else {
			out->i64[i] = r;
		}
		if (over && CAST_LIVE(i))
			TM_TRY(overflowed(ev, p, in, i, out));
	}
	return TM_OK;
}

/* ---- legacy only ---- an integer's bytes, most significant first */
CAST(integer_binary)
{
	size_t n = tm_type_width(p->from);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		char *at = tm_arena_alloc(ev->arena, n);
		const char *from = (const char *)in->data + i * n;
		for (size_t j = 0; j < n; j++)
			at[j] = from[n - 1 - j];
		out->str[i] = tm_str_n(at, n);
	}
	return TM_OK;
}

cast_run *cast_time_run(const struct tm_type *from, const struct tm_type *to)
{
	static cast_run *const to_ts[TM_T_KIND_COUNT] = {
	    [TM_T_BOOLEAN] = bool_ts, [TM_T_TINYINT] = i8_ts,      [TM_T_SMALLINT] = i16_ts, [TM_T_INT] = i32_ts,
	    [TM_T_BIGINT] = i64_ts,   [TM_T_FLOAT] = f32_ts,       [TM_T_DOUBLE] = f64_ts,   [TM_T_DECIMAL] = dec_ts,
	    [TM_T_DATE] = date_ts,    [TM_T_TIMESTAMP_NTZ] = ts_ts};
	static cast_run *const from_ts[TM_T_KIND_COUNT] = {
	    [TM_T_BOOLEAN] = ts_bool, [TM_T_TINYINT] = ts_i8,       [TM_T_SMALLINT] = ts_i16, [TM_T_INT] = ts_i32,
	    [TM_T_BIGINT] = ts_i64,   [TM_T_FLOAT] = ts_f32,        [TM_T_DOUBLE] = ts_f64,   [TM_T_DECIMAL] = ts_dec,
	    [TM_T_DATE] = ts_date,    [TM_T_TIMESTAMP_NTZ] = ts_ts, [TM_T_TIME] = ts_time};
	enum tm_type_kind f = from->kind, t = to->kind;
	if (t == TM_T_BINARY)
		return tm_type_integral(from) ? integer_binary : NULL;
	if (t == TM_T_TIMESTAMP)
		return to_ts[f];
	if (f == TM_T_TIMESTAMP)
		return from_ts[t];
	if (f == TM_T_TIMESTAMP_NTZ)
		return t == TM_T_DATE ? ts_date : t == TM_T_TIME ? ts_time : NULL;
	if (f == TM_T_DATE)
		return t == TM_T_TIMESTAMP_NTZ ? date_ts : cast_null; /* legacy: a date as a number is null */
	if (f == TM_T_TIME)
		return t == TM_T_TIME ? time_time : NULL;
	if (f == TM_T_INTERVAL_YM || f == TM_T_INTERVAL_DT)
		return f == t ? interval_interval : interval_number;
	if (t == TM_T_INTERVAL_YM || t == TM_T_INTERVAL_DT)
		return number_interval;
	if (f == TM_T_VARIANT || t == TM_T_VARIANT)
		return cast_variant_run(from, to);
	return NULL;
}
