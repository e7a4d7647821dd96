/* Functions with date patterns: date_format, to_timestamp, to_date, unix_timestamp, from_unixtime. */
#include "sql/fn_int.h"
#include <stdio.h>

/* The pattern: compiled at bind time where it is constant, else once per run of equal patterns. */
struct formats {
	const struct tm_pattern *fixed;
	bool parsing, try_form;
};
struct current {
	struct tm_str text;
	struct tm_pattern *pattern;
};

static tm_rc pattern_for(struct tm_eval *ev, const struct formats *f, const struct tm_column *column, size_t row, struct current *c,
			 const struct tm_pattern **ret)
{
	if (f->fixed) {
		*ret = f->fixed;
		return TM_OK;
	}
	struct tm_str text = column->str[tm_row(column, row)];
	if (!c->pattern || !tm_str_eq(c->text, text)) {
		TM_TRY(tm_pattern_new(ev->arena, text, f->parsing, &c->pattern, ev->err));
		c->text = text;
	}
	*ret = c->pattern;
	return TM_OK;
}

#define DEFAULT_PATTERN TM_STR("yyyy-MM-dd HH:mm:ss")
/* Argument `arg`, or the default where it is missing. */
static tm_rc bind_format(struct tm_fn_bind *b, size_t arg, bool parsing, bool try_form, struct tm_err *err)
{
	struct formats *f = TM_NEW(b->arena, struct formats);
	struct tm_str text = DEFAULT_PATTERN;
	f->parsing = parsing;
	f->try_form = try_form;
	b->bound = f;
	if (arg < b->arg_count) {
		TM_TRY(fn_want(b, arg, &tm_type_string, err));
		if (!fn_literal_str(b, arg, &text))
			return TM_OK;
	}
	struct tm_pattern *p;
	TM_TRY(tm_pattern_new(b->arena, text, parsing, &p, err));
	f->fixed = p;
	return TM_OK;
}

/* unit_us: of the numbers in args[0]; null where they go beyond a timestamp. */
static tm_rc format_times(FN_EVAL_ARGS, int64_t unit_us)
{
	bool local = args[0].type->kind == TM_T_TIMESTAMP_NTZ;
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct current current = {0};
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		const struct tm_pattern *p;
		int64_t us;
		rc = pattern_for(ev, call->bound, &args[1], i, &current, &p);
		if (rc != TM_OK)
			break;
		if (__builtin_mul_overflow(AT(0, i64, i), unit_us, &us)) {
			fn_null(ev, ret, i);
			continue;
		}
		tm_pattern_format(p, zone, us, local, &b);
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
KERNEL(date_format) { return format_times(ev, call, args, ret, 1); }
BIND(date_format)
{
	if (!fn_kind(b, 0, TM_T_TIMESTAMP_NTZ))
		TM_TRY(fn_want(b, 0, &tm_type_timestamp, err));
	TM_TRY(bind_format(b, 1, false, false, err));
	return fn_is(b, &tm_k_date_format, &tm_type_string, fn_any_nullable(b));
}
KERNEL(from_unixtime) { return format_times(ev, call, args, ret, TM_US_SECOND); }
BIND(from_unixtime)
{
	TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	TM_TRY(bind_format(b, 1, false, false, err));
	return fn_is(b, &tm_k_from_unixtime, &tm_type_string, fn_any_nullable(b));
}

/* ---- parsing ---- result: TIMESTAMP, TIMESTAMP_NTZ, DATE or BIGINT seconds */
static tm_rc cannot_parse(struct tm_eval *ev, struct tm_str s, struct tm_buf *why, bool date)
{
	tm_rc rc = tm_fail_class(ev->err, TM_DATA, "CANNOT_PARSE_TIMESTAMP", "22007",
				 "Text '%.*s' could not be parsed%.*s. Use `%s` to tolerate invalid input string and return NULL instead.",
				 TM_STR_ARG(s), (int)why->len, why->at ? why->at : "", date ? "try_to_date" : "try_to_timestamp");
	tm_buf_done(why);
	return rc;
}
KERNEL(parse_time)
{
	const struct formats *f = call->bound;
	const struct tm_sql_zone *session = fn_zone(ev->session);
	enum tm_type_kind kind = call->type->kind;
	struct current current = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		const struct tm_pattern *p;
		const struct tm_sql_zone *zone;
		struct tm_buf why = {0};
		int64_t local = 0;
		TM_TRY(pattern_for(ev, f, call->arg_count > 1 ? &args[1] : NULL, i, &current, &p));
		if (!tm_pattern_parse(p, STR_AT(0, i), &local, &zone, &why)) {
			if (ev->session->ansi && !f->try_form)
				return cannot_parse(ev, STR_AT(0, i), &why, kind == TM_T_DATE);
			tm_buf_done(&why);
			fn_null(ev, ret, i);
			continue;
		}
		tm_buf_done(&why);
		int64_t us = kind == TM_T_TIMESTAMP_NTZ ? local : tm_sql_zone_to_utc(zone ? zone : session, local);
		if (kind == TM_T_DATE)
			ret->i32[i] = (int32_t)tm_micros_to_days(tm_sql_zone_to_local(session, us));
		else
			ret->i64[i] = kind == TM_T_BIGINT ? tm_floor_div(us, TM_US_SECOND) : us;
	}
	return TM_OK;
}

/* variant: 0 to_timestamp, 1 to_timestamp_ntz, 2 to_date; +4: try */
BIND(to_time)
{
	static const struct tm_type *const types[] = {&tm_type_timestamp, &tm_type_timestamp_ntz, &tm_type_date};
	const struct tm_type *type = types[fn_variant(b) & 3];
	bool try_form = fn_variant(b) & 4, text = b->args[0].type->kind == TM_T_STRING;
	if (b->arg_count == 1 || !text) {
		enum tm_cast_mode mode = try_form ? TM_CAST_TRY : b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY;
		return tm_cast_bind(b->arena, b->session, b->args[0].expr, type, mode, &b->replacement, err);
	}
	TM_TRY(bind_format(b, 1, true, try_form, err));
	return fn_is(b, &tm_k_parse_time, type, fn_any_nullable(b) || try_form || !b->session->ansi);
}
/* unix_timestamp([time [, pattern]]), to_unix_timestamp */
BIND(unix_timestamp)
{
	extern const struct tm_kernel tm_k_unix_seconds, tm_k_now_seconds;
	if (b->arg_count == 0)
		return fn_is(b, &tm_k_now_seconds, &tm_type_bigint, false);
	if (b->args[0].type->kind != TM_T_STRING && b->args[0].type->kind != TM_T_NULL) {
		TM_TRY(fn_want(b, 0, &tm_type_timestamp, err));
		return fn_is(b, &tm_k_unix_seconds, &tm_type_bigint, fn_any_nullable(b));
	}
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	TM_TRY(bind_format(b, 1, true, false, err));
	return fn_is(b, &tm_k_parse_time, &tm_type_bigint, fn_any_nullable(b) || !b->session->ansi);
}
KERNEL(now_seconds)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i64[i] = tm_floor_div(ev->session->now_us, TM_US_SECOND);
	return TM_OK;
}
