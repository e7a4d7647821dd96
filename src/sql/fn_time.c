/* TIME: making, reading and cutting times of the day. */
#include "sql/fn_int.h"
#include <stdio.h>

#define NS_SECOND ((int64_t)1000000000)
#define NS_DAY (86400 * NS_SECOND)

KERNEL(make_time) /* hour, minute, seconds (decimal(16,6)) */
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t h = AT(0, i32, i), m = AT(1, i32, i), us = (int64_t)AT(2, i128, i);
		const char *bad = h < 0 || h > 23            ? "HourOfDay (valid values 0 - 23)"
				  : m < 0 || m > 59          ? "MinuteOfHour (valid values 0 - 59)"
				  : us < 0 || us >= 60000000 ? "SecondOfMinute (valid values 0 - 59)"
							     : NULL;
		if (bad)
			return tm_fail_class(ev->err, TM_DATA, "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION", "22023",
					     "Invalid value for %s: %lld. ", bad,
					     (long long)(bad[0] == 'H'   ? h
							 : bad[0] == 'M' ? m
									 : us / 1000000));
		ret->i64[i] = (h * 60 + m) * 60 * NS_SECOND + us * 1000;
	}
	return TM_OK;
}
BIND(make_time)
{
	TM_TRY(fn_want(b, 0, &tm_type_int, err));
	TM_TRY(fn_want(b, 1, &tm_type_int, err));
	TM_TRY(fn_want(b, 2, tm_type_decimal(b->arena, 16, 6), err));
	return fn_is(b, &tm_k_make_time, tm_type_time(b->arena, 6), fn_any_nullable(b));
}
KERNEL(current_time)
{
	int64_t us = tm_floor_mod(tm_sql_zone_to_local(fn_zone(ev->session), ev->session->now_us), TM_US_DAY);
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i64[i] = us * 1000;
	return TM_OK;
}
BIND(current_time) { return fn_is(b, &tm_k_current_time, tm_type_time(b->arena, 6), false); }

/* to_time(text [, pattern]) */
struct to_time {
	struct tm_pattern *pattern;
	bool try_form;
};
KERNEL(to_time)
{
	const struct to_time *t = call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		const struct tm_sql_zone *zone;
		int64_t us = 0;
		bool ok = t->pattern ? tm_pattern_parse(t->pattern, s, &us, &zone, NULL) : tm_time_parse(s, &ret->i64[i]);
		if (ok && t->pattern)
			ret->i64[i] = tm_floor_mod(us, TM_US_DAY) * 1000;
		if (ok)
			continue;
		if (!t->try_form)
			return tm_fail_class(
			    ev->err, TM_DATA, "CANNOT_PARSE_TIME", "22010",
			    "The input string '%.*s' cannot be parsed to a TIME value because it does not match the datetime format.",
			    TM_STR_ARG(s));
		fn_null(ev, ret, i);
	}
	return TM_OK;
}
BIND(time_of_text)
{
	struct to_time *t = TM_NEW(b->arena, struct to_time);
	struct tm_str p;
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	t->try_form = fn_variant(b);
	if (b->arg_count > 1) {
		if (!fn_literal_str(b, 1, &p))
			return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
					   "the input \"format\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
					   TM_STR_ARG(b->args[1].expr->text));
		TM_TRY(tm_pattern_new(b->arena, p, true, &t->pattern, err));
	}
	b->bound = t;
	return fn_is(b, &tm_k_to_time, tm_type_time(b->arena, 6), fn_any_nullable(b) || t->try_form);
}

/* time_trunc(unit, time), time_diff(unit, start, end) */
static int64_t unit_ns(struct tm_str s)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
	    {"hour", 3600 * NS_SECOND}, {"minute", 60 * NS_SECOND}, {"second", NS_SECOND}, {"millisecond", 1000000}, {"microsecond", 1000}};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (tm_str_iis(s, units[i].name))
			return units[i].ns;
	return 0;
}
KERNEL(time_unit) /* bound: not NULL for time_diff */
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t ns = unit_ns(STR_AT(0, i));
		if (!ns)
			return fn_bad_parameter(
			    ev, "TIME_UNIT",
			    "`unit` in `%s` is invalid: expects one of HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, but got '%.*s'.",
			    call->bound ? "time_diff" : "time_trunc", TM_STR_ARG(STR_AT(0, i)));
		ret->i64[i] = call->bound ? (AT(2, i64, i) - AT(1, i64, i)) / ns : AT(1, i64, i) / ns * ns;
	}
	return TM_OK;
}
BIND(time_unit)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	for (size_t i = 1; i < b->arg_count; i++)
		if (b->args[i].type->kind != TM_T_TIME)
			TM_TRY(fn_want(b, i, tm_type_time(b->arena, 6), err));
	bool diff = fn_variant(b);
	b->bound = diff ? "" : NULL;
	return fn_is(b, &tm_k_time_unit, diff ? &tm_type_bigint : fn_type(b, 1), fn_any_nullable(b));
}
