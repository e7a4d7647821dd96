/* Casts from and to STRING. */
#include "sql/value_text.h"

static tm_rc bad(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row, struct tm_column *out)
{
	if (p->mode == TM_CAST_ANSI)
		return cast_invalid(ev, p, in, row);
	fn_null(ev, out, row);
	return TM_OK;
}

#define TO_INTEGER(name, field, min, max)                                                                                                  \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			int64_t v = 0;                                                                                                     \
			if (CAST_LIVE(i) && tm_integer_parse(in->str[i], p->mode != TM_CAST_LEGACY, min, max, &v) != TM_NUMBER_OK)         \
				TM_TRY(bad(ev, p, in, i, out));                                                                            \
			out->field[i] = (__typeof__(*out->field))v;                                                                        \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
TO_INTEGER(to_i8, i8, INT8_MIN, INT8_MAX)
TO_INTEGER(to_i16, i16, INT16_MIN, INT16_MAX)
TO_INTEGER(to_i32, i32, INT32_MIN, INT32_MAX)
TO_INTEGER(to_i64, i64, INT64_MIN, INT64_MAX)

#define BY_PARSER(name, field, type, ...)                                                                                                  \
	CAST(name)                                                                                                                         \
	{                                                                                                                                  \
		cast_begin(ev, p, in, rows, out);                                                                                          \
		for (size_t i = 0; i < rows; i++) {                                                                                        \
			struct tm_str s = in->str[i];                                                                                      \
			type v = {0};                                                                                                      \
			if (CAST_LIVE(i) && !(__VA_ARGS__))                                                                                \
				TM_TRY(bad(ev, p, in, i, out));                                                                            \
			out->field[i] = v;                                                                                                 \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
BY_PARSER(to_bool, boolean, bool, tm_boolean_parse(s, &v))
BY_PARSER(to_f64, f64, double, tm_double_parse(s, &v))
BY_PARSER(to_f32, f32, float, tm_float_parse(s, &v))
BY_PARSER(to_time, i64, int64_t, tm_time_parse(s, &v))
BY_PARSER(to_interval, interval, struct tm_interval, tm_interval_parse(s, &v))
BY_PARSER(to_interval_ym, i32, int32_t, tm_interval_ym_parse(s, p->to->from_field, p->to->to_field, &v))
BY_PARSER(to_interval_dt, i64, int64_t, tm_interval_dt_parse(s, p->to->from_field, p->to->to_field, &v))

CAST(to_decimal)
{
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		out->i128[i] = 0;
		if (!CAST_LIVE(i))
			continue;
		enum tm_number_parse got = tm_decimal_parse(in->str[i], p->to->precision, p->to->scale, &out->i128[i]);
		if (got == TM_NUMBER_OK)
			continue;
		if (p->mode == TM_CAST_ANSI && got == TM_NUMBER_RANGE)
			return cast_decimal_range(ev, p->to, tm_trim_all(in->str[i]));
		if (p->mode == TM_CAST_ANSI && got == TM_NUMBER_HUGE)
			return tm_fail_class(ev->err, TM_DATA, "NUMERIC_OUT_OF_SUPPORTED_RANGE", "22003",
					     "The value %.*s cannot be interpreted as a numeric since it has more than 38 digits.",
					     TM_STR_ARG(in->str[i]));
		TM_TRY(bad(ev, p, in, i, out));
	}
	return TM_OK;
}

CAST(to_date)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		int32_t v = 0;
		int64_t us;
		if (CAST_LIVE(i) && !tm_date_parse(in->str[i], &v)) {
			if (p->special && tm_special_time(in->str[i], zone, ev->session->now_us, &us))
				v = (int32_t)tm_micros_to_days(tm_sql_zone_to_local(zone, us));
			else
				TM_TRY(bad(ev, p, in, i, out));
		}
		out->i32[i] = v;
	}
	return TM_OK;
}

CAST(to_timestamp)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	bool ntz = p->to->kind == TM_T_TIMESTAMP_NTZ;
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows; i++) {
		int64_t v = 0;
		bool ok = !CAST_LIVE(i) || (ntz ? tm_timestamp_ntz_parse(in->str[i], true, &v)
						: tm_timestamp_parse(in->str[i], zone, ev->session->now_us, &v));
		if (!ok && p->special && tm_special_time(in->str[i], zone, ev->session->now_us, &v)) {
			ok = true;
			if (ntz && v)
				v = tm_sql_zone_to_local(zone, v);
		}
		if (!ok)
			TM_TRY(bad(ev, p, in, i, out));
		out->i64[i] = v;
	}
	return TM_OK;
}

/* CHAR(n) and VARCHAR(n) in a cast are strings. */
cast_run *cast_from_string_run(const struct tm_type *to)
{
	static cast_run *const runs[TM_T_KIND_COUNT] = {[TM_T_STRING] = cast_identity,
							[TM_T_BOOLEAN] = to_bool,
							[TM_T_TINYINT] = to_i8,
							[TM_T_SMALLINT] = to_i16,
							[TM_T_INT] = to_i32,
							[TM_T_BIGINT] = to_i64,
							[TM_T_FLOAT] = to_f32,
							[TM_T_DOUBLE] = to_f64,
							[TM_T_DECIMAL] = to_decimal,
							[TM_T_DATE] = to_date,
							[TM_T_TIMESTAMP] = to_timestamp,
							[TM_T_TIMESTAMP_NTZ] = to_timestamp,
							[TM_T_TIME] = to_time,
							[TM_T_INTERVAL] = to_interval,
							[TM_T_INTERVAL_YM] = to_interval_ym,
							[TM_T_INTERVAL_DT] = to_interval_dt};
	return runs[to->kind];
}

/* All rows' texts go into one piece of the arena; the views are set when it no longer moves. */
tm_rc cast_to_string(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct tm_buf text = {0};
	tm_rc rc = TM_OK;
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows && rc == TM_OK; i++) {
		size_t start = text.len;
		if (CAST_LIVE(i))
			fn_value_text(zone, in, i, &text);
		out->str[i].len = text.len - start;
		rc = fn_text_limit(ev, &text);
	}
	if (rc != TM_OK) {
		tm_buf_done(&text);
		return rc;
	}
	char *at = tm_arena_alloc(ev->arena, text.len ? text.len : 1);
	if (text.len)
		memcpy(at, text.at, text.len);
	for (size_t i = 0; i < rows; i++) {
		out->str[i].at = at;
		at += out->str[i].len;
	}
	tm_buf_done(&text);
	return TM_OK;
}
