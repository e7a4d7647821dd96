/* Functions of a unit of time: timestampadd, timestampdiff, and making intervals. */
#include "sql/fn_arith.h"
#include <math.h>

enum unit { U_NONE, U_MICRO, U_MILLI, U_SECOND, U_MINUTE, U_HOUR, U_DAY, U_WEEK, U_MONTH, U_QUARTER, U_YEAR };
static const int64_t unit_us[] = {0, 1, 1000, TM_US_SECOND, TM_US_MINUTE, TM_US_HOUR, TM_US_DAY, 7 * TM_US_DAY};
static enum unit unit_of(struct tm_str s)
{
	static const struct {
		const char *name;
		enum unit unit;
	} names[] = {{"microsecond", U_MICRO}, {"millisecond", U_MILLI}, {"second", U_SECOND}, {"minute", U_MINUTE},
		     {"hour", U_HOUR},         {"day", U_DAY},           {"dayofyear", U_DAY}, {"week", U_WEEK},
		     {"month", U_MONTH},       {"quarter", U_QUARTER},   {"year", U_YEAR}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (tm_str_iis(s, names[i].name))
			return names[i].unit;
	return U_NONE;
}
static tm_rc want_unit(struct tm_fn_bind *b, struct tm_err *err)
{
	struct tm_str s;
	if (!fn_literal_str(b, 0, &s) || unit_of(s) == U_NONE)
		return tm_fail_class(err, TM_INVALID, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", "22023",
				     "The value of parameter(s) `unit` in `%s` is invalid: expects one of the units without quotes YEAR, "
				     "QUARTER, MONTH, WEEK, DAY, DAYOFYEAR, HOUR, MINUTE, "
				     "SECOND, MILLISECOND, MICROSECOND, but got the string literal %.*s.",
				     b->fn->name, TM_STR_ARG(b->args[0].expr->text));
	b->bound = (const void *)(intptr_t)unit_of(s);
	return TM_OK;
}

/* Whole months from a to b on the local clock. */
static int64_t months_between(int64_t a, int64_t b)
{
	struct tm_local x, y;
	tm_local_of(a, &x);
	tm_local_of(b, &y);
	int64_t months = (y.year - x.year) * 12 + y.month - x.month;
	int64_t rest_x = (x.day * TM_US_DAY) + tm_floor_mod(a, TM_US_DAY), rest_y = (y.day * TM_US_DAY) + tm_floor_mod(b, TM_US_DAY);
	if (months > 0 && rest_y < rest_x)
		months--;
	else if (months < 0 && rest_y > rest_x)
		months++;
	return months;
}
KERNEL(timestampdiff) /* (unit, start, end) */
{
	enum unit unit = (enum unit)(intptr_t)call->bound;
	const struct tm_sql_zone *zone = args[1].type->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t a = AT(1, i64, i), b = AT(2, i64, i);
		if (unit > U_HOUR) {
			a = tm_sql_zone_to_local(zone, a);
			b = tm_sql_zone_to_local(zone, b);
		}
		i128 r = unit <= U_WEEK ? ((i128)b - a) / unit_us[unit]
					: months_between(a, b) / (unit == U_YEAR      ? 12
								  : unit == U_QUARTER ? 3
										      : 1);
		ret->i64[i] = (int64_t)r;
		if (ret->i64[i] != r)
			return fn_long_overflow(ev);
	}
	return TM_OK;
}
static tm_rc want_stamps(struct tm_fn_bind *b, size_t from, size_t to, struct tm_err *err)
{
	bool ntz = true;
	for (size_t i = from; i < to; i++)
		ntz &= b->args[i].type->kind == TM_T_TIMESTAMP_NTZ;
	for (size_t i = from; i < to && !ntz; i++)
		TM_TRY(fn_want(b, i, &tm_type_timestamp, err));
	return TM_OK;
}
BIND(timestampdiff)
{
	extern const struct tm_kernel tm_k_datediff;
	if (b->arg_count == 2) { /* datediff(end, start) */
		for (size_t i = 0; i < 2; i++)
			TM_TRY(fn_want(b, i, &tm_type_date, err));
		return fn_is(b, &tm_k_datediff, &tm_type_int, fn_any_nullable(b));
	}
	TM_TRY(want_unit(b, err));
	TM_TRY(want_stamps(b, 1, 3, err));
	return fn_is(b, &tm_k_timestampdiff, &tm_type_bigint, fn_any_nullable(b));
}
KERNEL(timestampadd) /* (unit, count, time) */
{
	enum unit unit = (enum unit)(intptr_t)call->bound;
	const struct tm_sql_zone *zone = args[2].type->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t n = AT(1, i64, i), us = 0, months = 0, days = 0;
		bool over = false;
		if (unit <= U_HOUR)
			over = __builtin_mul_overflow(n, unit_us[unit], &us);
		else if (unit <= U_WEEK)
			over = __builtin_mul_overflow(n, unit == U_WEEK ? 7 : 1, &days);
		else
			over = __builtin_mul_overflow(n, unit == U_YEAR ? 12 : unit == U_QUARTER ? 3 : 1, &months);
		over |= months != (int32_t)months || days != (int32_t)days;
		if (over ||
		    !fn_timestamp_shift(zone, AT(2, i64, i), (struct tm_interval){(int32_t)months, (int32_t)days, us}, &ret->i64[i]))
			return tm_fail_class(ev->err, TM_DATA, "DATETIME_OVERFLOW", "22008",
					     "Datetime operation overflow: add %lldL %.*s to a timestamp.", (long long)n,
					     TM_STR_ARG(STR_AT(0, i)));
	}
	return TM_OK;
}
tm_rc tm_bind_date_add(struct tm_fn_bind *b, struct tm_err *err);
BIND(timestampadd)
{
	if (b->arg_count == 2)
		return tm_bind_date_add(b, err);
	TM_TRY(want_unit(b, err));
	TM_TRY(fn_want(b, 1, &tm_type_bigint, err));
	TM_TRY(want_stamps(b, 2, 3, err));
	return fn_is(b, &tm_k_timestampadd, fn_type(b, 2), fn_any_nullable(b));
}

/* ---- making intervals ---- */
static int64_t int_arg(const struct tm_expr *call, const struct tm_column *args, size_t a, size_t i)
{
	return a < call->arg_count ? AT(a, i32, i) : 0;
}
KERNEL(make_ym_interval)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t m = int_arg(call, args, 0, i) * 12 + int_arg(call, args, 1, i);
		if (m != (int32_t)m)
			return fn_interval_overflow(ev, NULL);
		ret->i32[i] = (int32_t)m;
	}
	return TM_OK;
}
KERNEL(make_dt_interval)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		i128 us = (i128)int_arg(call, args, 0, i) * TM_US_DAY + (i128)int_arg(call, args, 1, i) * TM_US_HOUR +
			  (i128)int_arg(call, args, 2, i) * TM_US_MINUTE;
		if (call->arg_count > 3)
			us += AT(3, i128, i);
		if (us != (int64_t)us)
			return fn_interval_overflow(ev, NULL);
		ret->i64[i] = (int64_t)us;
	}
	return TM_OK;
}
KERNEL(make_interval) /* years, months, weeks, days, hours, minutes, seconds */
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t m = int_arg(call, args, 0, i) * 12 + int_arg(call, args, 1, i),
			d = int_arg(call, args, 2, i) * 7 + int_arg(call, args, 3, i);
		i128 us = (i128)int_arg(call, args, 4, i) * TM_US_HOUR + (i128)int_arg(call, args, 5, i) * TM_US_MINUTE;
		if (call->arg_count > 6)
			us += AT(6, i128, i);
		if (m != (int32_t)m || d != (int32_t)d || us != (int64_t)us) {
			if (ev->session->ansi)
				return fn_interval_overflow(ev, NULL);
			fn_null(ev, ret, i);
			continue;
		}
		ret->interval[i] = (struct tm_interval){(int32_t)m, (int32_t)d, (int64_t)us};
	}
	return TM_OK;
}
/* variant: 0 year-month, 1 day-time, 2 calendar */
BIND(make_interval)
{
	static const struct tm_kernel *const kernels[] = {&tm_k_make_ym_interval, &tm_k_make_dt_interval, &tm_k_make_interval};
	int v = fn_variant(b);
	size_t seconds = v == 1 ? 3 : v == 2 ? 6 : 99;
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, i == seconds ? tm_type_decimal(b->arena, 18, 6) : &tm_type_int, err));
	const struct tm_type *t = v == 0   ? tm_type_interval_ym(b->arena, TM_F_YEAR, TM_F_MONTH)
				  : v == 1 ? tm_type_interval_dt(b->arena, TM_F_DAY, TM_F_SECOND)
					   : &tm_type_interval;
	return fn_is(b, kernels[v], t, fn_any_nullable(b) || !b->session->ansi);
}
