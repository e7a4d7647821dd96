/* Parts of dates and timestamps, truncation, and making them from numbers. */
#include "sql/fn_int.h"
#include "sql/fn_arith.h"
#include <math.h>
#include <stdio.h>

/* ---- parts ---- */
enum part {
	P_YEAR,
	P_QUARTER,
	P_MONTH,
	P_DAY,
	P_DAYOFWEEK,
	P_WEEKDAY,
	P_DOW_ISO,
	P_DAYOFYEAR,
	P_WEEK,
	P_YEAROFWEEK,
	P_HOUR,
	P_MINUTE,
	P_SECOND,
	P_SECONDS
};
static int32_t date_part(enum part part, int64_t days)
{
	int64_t year;
	int month, day, week;
	switch (part) {
	case P_DAYOFWEEK:
		return (tm_weekday(days) + 1) % 7 + 1;
	case P_WEEKDAY:
		return tm_weekday(days);
	case P_DOW_ISO:
		return tm_weekday(days) + 1;
	case P_WEEK:
		tm_iso_week(days, &year, &week);
		return week;
	case P_YEAROFWEEK:
		tm_iso_week(days, &year, &week);
		return (int32_t)year;
	default:
		break;
	}
	tm_civil_of(days, &year, &month, &day);
	switch (part) {
	case P_YEAR:
		return (int32_t)year;
	case P_QUARTER:
		return (month - 1) / 3 + 1;
	case P_MONTH:
		return month;
	case P_DAY:
		return day;
	default:
		return (int32_t)(days - tm_date_days(year, 1, 1)) + 1;
	}
}
KERNEL(date_field) /* bound: the part */
{
	enum part part = (enum part)(intptr_t)call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = date_part(part, AT(0, i32, i));
	return TM_OK;
}
KERNEL(time_field)
{
	enum part part = (enum part)(intptr_t)call->bound;
	enum tm_type_kind kind = args[0].type->kind;
	const struct tm_sql_zone *zone = kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t us = kind == TM_T_TIME ? AT(0, i64, i) / 1000 : tm_floor_mod(tm_sql_zone_to_local(zone, AT(0, i64, i)), TM_US_DAY);
		switch (part) {
		case P_HOUR:
			ret->i32[i] = (int32_t)(us / TM_US_HOUR);
			break;
		case P_MINUTE:
			ret->i32[i] = (int32_t)(us / TM_US_MINUTE % 60);
			break;
		case P_SECOND:
			ret->i32[i] = (int32_t)(us / TM_US_SECOND % 60);
			break;
		default:
			ret->i128[i] = us % TM_US_MINUTE;
		}
	}
	return TM_OK;
}
KERNEL(interval_field)
{
	enum part part = (enum part)(intptr_t)call->bound;
	enum tm_type_kind kind = args[0].type->kind;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_interval v = {0};
		if (kind == TM_T_INTERVAL)
			v = AT(0, interval, i);
		else if (kind == TM_T_INTERVAL_YM)
			v.months = AT(0, i32, i);
		else {
			v.micros = AT(0, i64, i) % TM_US_DAY;
			v.days = (int32_t)(AT(0, i64, i) / TM_US_DAY);
		}
		switch (part) {
		case P_YEAR:
			ret->i32[i] = v.months / 12;
			break;
		case P_MONTH:
			ret->i8[i] = (int8_t)(v.months % 12);
			break;
		case P_DAY:
			ret->i32[i] = v.days;
			break;
		case P_HOUR:
			if (call->type->kind == TM_T_TINYINT)
				ret->i8[i] = (int8_t)(v.micros / TM_US_HOUR);
			else
				ret->i64[i] = v.micros / TM_US_HOUR;
			break;
		case P_MINUTE:
			ret->i8[i] = (int8_t)(v.micros / TM_US_MINUTE % 60);
			break;
		default:
			ret->i128[i] = v.micros % TM_US_MINUTE;
		}
	}
	return TM_OK;
}

static bool is_interval(const struct tm_type *t)
{
	return t->kind == TM_T_INTERVAL || t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT;
}

/* The parts that an interval has: no weeks, quarters or days of the year. */
static bool interval_has(enum part part)
{
	return part == P_YEAR || part == P_MONTH || part == P_DAY || part == P_HOUR || part == P_MINUTE || part == P_SECOND ||
	       part == P_SECONDS;
}

static tm_rc bind_part(struct tm_fn_bind *b, size_t arg, enum part part, struct tm_err *err)
{
	const struct tm_type *t = b->args[arg].type;
	b->bound = (const void *)(intptr_t)part;
	if (is_interval(t)) {
		if (!interval_has(part))
			return fn_unexpected_type(b, arg, "DATE", err);
		bool ym = t->kind == TM_T_INTERVAL_YM;
		const struct tm_type *r = part == P_YEAR || part == P_DAY              ? &tm_type_int
					  : part == P_SECONDS || part == P_SECOND      ? tm_type_decimal(b->arena, 8, 6)
					  : part == P_HOUR && t->kind == TM_T_INTERVAL ? &tm_type_bigint
										       : &tm_type_tinyint;
		if (ym != (part == P_YEAR || part == P_MONTH) && t->kind != TM_T_INTERVAL)
			return fn_unexpected_type(b, arg, "TIMESTAMP", err);
		return fn_is(b, &tm_k_interval_field, r, b->args[arg].nullable);
	}
	if (part >= P_HOUR) {
		if (t->kind != TM_T_TIMESTAMP_NTZ && t->kind != TM_T_TIME)
			TM_TRY(fn_want(b, arg, &tm_type_timestamp, err));
		return fn_is(b, &tm_k_time_field, part == P_SECONDS ? tm_type_decimal(b->arena, 8, 6) : &tm_type_int,
			     b->args[arg].nullable);
	}
	TM_TRY(fn_want(b, arg, &tm_type_date, err));
	return fn_is(b, &tm_k_date_field, &tm_type_int, b->args[arg].nullable);
}
BIND(date_part_of) { return bind_part(b, 0, (enum part)fn_variant(b), err); }

static const struct {
	const char *name;
	enum part part;
} part_names[] = {{"year", P_YEAR},
		  {"y", P_YEAR},
		  {"years", P_YEAR},
		  {"yr", P_YEAR},
		  {"yrs", P_YEAR},
		  {"yearofweek", P_YEAROFWEEK},
		  {"quarter", P_QUARTER},
		  {"qtr", P_QUARTER},
		  {"month", P_MONTH},
		  {"mon", P_MONTH},
		  {"mons", P_MONTH},
		  {"months", P_MONTH},
		  {"week", P_WEEK},
		  {"w", P_WEEK},
		  {"weeks", P_WEEK},
		  {"day", P_DAY},
		  {"d", P_DAY},
		  {"days", P_DAY},
		  {"dayofweek", P_DAYOFWEEK},
		  {"dow", P_DAYOFWEEK},
		  {"dayofweek_iso", P_DOW_ISO},
		  {"dow_iso", P_DOW_ISO},
		  {"doy", P_DAYOFYEAR},
		  {"hour", P_HOUR},
		  {"h", P_HOUR},
		  {"hours", P_HOUR},
		  {"hr", P_HOUR},
		  {"hrs", P_HOUR},
		  {"minute", P_MINUTE},
		  {"m", P_MINUTE},
		  {"min", P_MINUTE},
		  {"mins", P_MINUTE},
		  {"minutes", P_MINUTE},
		  {"second", P_SECONDS},
		  {"s", P_SECONDS},
		  {"sec", P_SECONDS},
		  {"seconds", P_SECONDS},
		  {"secs", P_SECONDS}};

/* date_part(field, source); extract(field FROM source) comes with its field as a string too. */
BIND(date_part)
{
	struct tm_str field;
	if (fn_literal_null(b, 0)) {
		b->replacement = b->args[0].expr;
		return tm_cast_bind(b->arena, b->session, b->args[0].expr, &tm_type_double, TM_CAST_TRY, &b->replacement, err);
	}
	if (!fn_literal_str(b, 0, &field))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"field\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[0].expr->text));
	for (size_t i = 0; i < sizeof part_names / sizeof *part_names; i++)
		if (tm_str_iis(field, part_names[i].name) && (!is_interval(b->args[1].type) || interval_has(part_names[i].part))) {
			const struct tm_fn part = {.name = b->fn->name,
						   .min_args = 1,
						   .max_args = 1,
						   .bind = tm_bind_date_part_of,
						   .data = (const void *)(intptr_t)part_names[i].part};
			return fn_call_of(b, &part, &b->args[1].expr, 1, &b->replacement, err);
		}
	return tm_fail_class(err, TM_INVALID, "INVALID_EXTRACT_FIELD", "42601", "Cannot extract `%.*s` from \"%.*s\".", TM_STR_ARG(field),
			     TM_STR_ARG(b->args[1].expr->text));
}

static const char *const day_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
KERNEL(dayname)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = tm_str_n(day_names[tm_weekday(AT(0, i32, i))], 3);
	return TM_OK;
}
KERNEL(monthname)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = tm_str_n(month_names[date_part(P_MONTH, AT(0, i32, i)) - 1], 3);
	return TM_OK;
}
KERNEL(last_day)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t y;
		int m, d;
		tm_civil_of(AT(0, i32, i), &y, &m, &d);
		ret->i32[i] = (int32_t)tm_date_days(y, m, tm_date_month_days(y, m));
	}
	return TM_OK;
}

/* ---- truncation ---- */
enum level { L_NONE, L_MICRO, L_MILLI, L_SECOND, L_MINUTE, L_HOUR, L_DAY, L_WEEK, L_MONTH, L_QUARTER, L_YEAR };
static enum level level_of(struct tm_str s)
{
	static const struct {
		const char *name;
		enum level level;
	} names[] = {{"microsecond", L_MICRO}, {"millisecond", L_MILLI}, {"second", L_SECOND}, {"minute", L_MINUTE},
		     {"hour", L_HOUR},         {"day", L_DAY},           {"dd", L_DAY},        {"week", L_WEEK},
		     {"mon", L_MONTH},         {"month", L_MONTH},       {"mm", L_MONTH},      {"quarter", L_QUARTER},
		     {"year", L_YEAR},         {"yyyy", L_YEAR},         {"yy", L_YEAR}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (tm_str_iis(s, names[i].name))
			return names[i].level;
	return L_NONE;
}
/* The level that row i of an argument names; a constant is looked up once. */
struct named_level {
	struct tm_str name;
	enum level level;
};
static enum level level_at(struct named_level *last, struct tm_str name)
{
	if (last->name.at != name.at || last->name.len != name.len)
		*last = (struct named_level){name, level_of(name)};
	return last->level;
}
static int64_t trunc_days(int64_t days, enum level level)
{
	int64_t y;
	int m, d;
	if (level == L_WEEK)
		return days - tm_weekday(days);
	tm_civil_of(days, &y, &m, &d);
	return tm_date_days(y, level == L_YEAR ? 1 : level == L_QUARTER ? (m - 1) / 3 * 3 + 1 : m, 1);
}
KERNEL(trunc_date)
{
	struct named_level last = {{NULL, 0}, L_NONE};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		enum level level = level_at(&last, STR_AT(1, i));
		if (level < L_WEEK) {
			fn_null(ev, ret, i);
			continue;
		}
		int64_t days = trunc_days(AT(0, i32, i), level);
		if (days < INT32_MIN)
			return fn_overflow(ev, "integer ", NULL);
		ret->i32[i] = (int32_t)days;
	}
	return TM_OK;
}
KERNEL(trunc_time) /* date_trunc(format, timestamp) */
{
	const struct tm_sql_zone *zone = args[1].type->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	static const int64_t unit[] = {1, 1, 1000, TM_US_SECOND, TM_US_MINUTE, TM_US_HOUR};
	struct named_level last = {{NULL, 0}, L_NONE};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		enum level level = level_at(&last, STR_AT(0, i));
		int64_t us = AT(1, i64, i), local = tm_sql_zone_to_local(zone, us);
		bool over = false;
		if (level == L_NONE) {
			fn_null(ev, ret, i);
		} else if (level <= L_HOUR) {
			over = __builtin_sub_overflow(us, tm_floor_mod(level <= L_SECOND ? us : local, unit[level]), &ret->i64[i]);
		} else {
			int64_t days = tm_micros_to_days(local);
			over = !tm_micros_of(level == L_DAY ? days : trunc_days(days, level), 0, &local);
			ret->i64[i] = tm_sql_zone_to_utc(zone, local);
		}
		if (over)
			return fn_long_overflow(ev);
	}
	return TM_OK;
}
BIND(date_trunc)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	if (!fn_kind(b, 1, TM_T_TIMESTAMP_NTZ))
		TM_TRY(fn_want(b, 1, &tm_type_timestamp, err));
	return fn_is(b, &tm_k_trunc_time, fn_type(b, 1), true);
}

/* ---- adding and differences ---- */
static tm_rc want_days(struct tm_fn_bind *b, size_t i, struct tm_err *err)
{
	enum tm_type_kind k = b->args[i].type->kind;
	if (k == TM_T_TINYINT || k == TM_T_SMALLINT)
		return TM_OK;
	if (k != TM_T_INT && k != TM_T_STRING && k != TM_T_NULL)
		return fn_mismatch(b, err, "UNEXPECTED_INPUT_TYPE",
				   "The second parameter requires the (\"INT\" or \"SMALLINT\" or \"TINYINT\") type, however \"%.*s\" has "
				   "the type \"%.*s\".",
				   TM_STR_ARG(b->args[i].expr->text), TM_STR_ARG(fn_type_sql(b->arena, b->args[i].type)));
	return fn_want(b, i, &tm_type_int, err);
}
extern const struct tm_kernel tm_k_date_plus;
#include "sql/fn_arith.h"
BIND(date_add)
{
	struct fn_arith *bound = TM_NEW(b->arena, struct fn_arith);
	bound->op = fn_variant(b) ? FN_SUB : FN_ADD;
	b->bound = bound;
	TM_TRY(fn_want(b, 0, &tm_type_date, err));
	TM_TRY(want_days(b, 1, err));
	return fn_is(b, &tm_k_date_plus, &tm_type_date, fn_any_nullable(b));
}
KERNEL(datediff)
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i32[i] = (int32_t)((int64_t)AT(0, i32, i) - AT(1, i32, i));
	return TM_OK;
}
KERNEL(add_months)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t days = tm_add_months(AT(0, i32, i), AT(1, i32, i));
		ret->i32[i] = (int32_t)days;
		if (ret->i32[i] != days)
			return fn_overflow(ev, "integer ", NULL);
	}
	return TM_OK;
}
KERNEL(months_between)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_local a, c;
		int64_t la = tm_sql_zone_to_local(zone, AT(0, i64, i)), lc = tm_sql_zone_to_local(zone, AT(1, i64, i));
		tm_local_of(la, &a);
		tm_local_of(lc, &c);
		double months = (double)((a.year - c.year) * 12 + a.month - c.month);
		bool ends = a.day == tm_date_month_days(a.year, a.month) && c.day == tm_date_month_days(c.year, c.month);
		if (a.day != c.day && !ends) {
			int64_t sa = tm_floor_mod(la, TM_US_DAY) / TM_US_SECOND, sc = tm_floor_mod(lc, TM_US_DAY) / TM_US_SECOND;
			int64_t seconds = (a.day - c.day) * (int64_t)86400 + sa - sc;
			months += (double)seconds / (31.0 * 86400.0);
		}
		if (call->arg_count < 3 || AT(2, boolean, i))
			months = round(months * 1e8) / 1e8;
		ret->f64[i] = months;
	}
	return TM_OK;
}
KERNEL(next_day)
{
	static const char *const names[7][3] = {{"MO", "MON", "MONDAY"},   {"TU", "TUE", "TUESDAY"}, {"WE", "WED", "WEDNESDAY"},
						{"TH", "THU", "THURSDAY"}, {"FR", "FRI", "FRIDAY"},  {"SA", "SAT", "SATURDAY"},
						{"SU", "SUN", "SUNDAY"}};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int want = -1;
		for (int d = 0; d < 7; d++)
			for (int n = 0; n < 3; n++)
				if (tm_str_iis(STR_AT(1, i), names[d][n]))
					want = d;
		if (want < 0) {
			if (ev->session->ansi)
				return tm_fail_class(ev->err, TM_DATA, "ILLEGAL_DAY_OF_WEEK", "22009",
						     "Illegal input for day of week: %.*s.", TM_STR_ARG(STR_AT(1, i)));
			fn_null(ev, ret, i);
			continue;
		}
		int64_t days = AT(0, i32, i);
		int64_t step = tm_floor_mod(want - tm_weekday(days), 7);
		ret->i32[i] = (int32_t)(days + (step ? step : 7));
	}
	return TM_OK;
}

/* ---- to and from numbers ---- */
static tm_rc seconds_overflow(struct tm_eval *ev, int64_t v, const char *unit)
{
	return tm_fail_class(ev->err, TM_DATA, "DATETIME_OVERFLOW", "22008",
			     "Datetime operation overflow: create a TIMESTAMP from %lldL %s since the epoch.", (long long)v, unit);
}
KERNEL(timestamp_seconds)
{
	enum tm_type_kind kind = args[0].type->kind;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		if (kind == TM_T_DOUBLE) {
			double us = AT(0, f64, i) * 1e6;
			if (!isfinite(us))
				fn_null(ev, ret, i);
			else
				ret->i64[i] = us >= 9223372036854775807.0    ? INT64_MAX
					      : us <= -9223372036854775808.0 ? INT64_MIN
									     : (int64_t)us;
		} else if (kind == TM_T_DECIMAL) {
			i128 us;
			if (!tm_decimal_rescale(AT(0, i128, i), args[0].type->scale, 6, 38, TM_DOWN, &us) || us != (int64_t)us)
				return seconds_overflow(ev, 0, "seconds");
			ret->i64[i] = (int64_t)us;
		} else if (__builtin_mul_overflow(AT(0, i64, i), TM_US_SECOND, &ret->i64[i])) {
			return seconds_overflow(ev, AT(0, i64, i), "seconds");
		}
	}
	return TM_OK;
}
BIND(timestamp_seconds)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind == TM_T_FLOAT || t->kind == TM_T_STRING)
		b->cast[0] = &tm_type_double;
	else if (t->kind != TM_T_DOUBLE && t->kind != TM_T_DECIMAL)
		TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	return fn_is(b, &tm_k_timestamp_seconds, &tm_type_timestamp, true);
}
KERNEL(timestamp_millis)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	if (__builtin_mul_overflow(AT(0, i64, i), (int64_t)1000, &ret->i64[i]))
		return seconds_overflow(ev, AT(0, i64, i), "milliseconds");
	return TM_OK;
}
KERNEL(timestamp_micros)
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i64[i] = AT(0, i64, i);
	return TM_OK;
}
#define UNIX(name, unit)                                                                                                                   \
	KERNEL(name)                                                                                                                       \
	{                                                                                                                                  \
		fn_begin(ev, call, args, ret);                                                                                             \
		for (size_t i = 0; i < ev->rows; i++)                                                                                      \
			ret->i64[i] = tm_floor_div(AT(0, i64, i), unit);                                                                   \
		return TM_OK;                                                                                                              \
	}
UNIX(unix_seconds, TM_US_SECOND)
UNIX(unix_millis, 1000)
UNIX(unix_micros, 1)
KERNEL(days_as_int)
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i32[i] = AT(0, i32, i);
	return TM_OK;
}

/* ---- making ---- */
static tm_rc out_of_bounds(struct tm_eval *ev, const char *fmt, long long v)
{
	char why[120];
	snprintf(why, sizeof why, "Invalid value for %s: %lld", fmt, v);
	return tm_fail_class(ev->err, TM_DATA, "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION", "22023", "%s. ", why);
}
static const char *bad_date_of(int64_t y, int64_t m, int64_t d, long long *ret_value, char *text, size_t size)
{
	if (y < -999999999 || y > 999999999) {
		*ret_value = y;
		return "Year (valid values -999999999 - 999999999)";
	}
	if (m < 1 || m > 12) {
		*ret_value = m;
		return "MonthOfYear (valid values 1 - 12)";
	}
	if (d < 1 || d > 31) {
		*ret_value = d;
		return "DayOfMonth (valid values 1 - 28/31)";
	}
	snprintf(text, size, "date");
	*ret_value = d;
	return d > tm_date_month_days(y, (int)m) ? text : NULL;
}
KERNEL(make_date)
{
	bool try_form = call->bound != NULL;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t y = AT(0, i32, i), m = AT(1, i32, i), d = AT(2, i32, i);
		long long v;
		char text[16];
		const char *bad = bad_date_of(y, m, d, &v, text, sizeof text);
		int64_t days = bad ? 0 : tm_date_days(y, (int)m, (int)d);
		ret->i32[i] = (int32_t)days;
		if (ret->i32[i] != days && try_form)
			fn_null(ev, ret, i);
		else if (ret->i32[i] != days)
			return fn_overflow(ev, "integer ", NULL);
		else if (!bad)
			continue;
		else if (ev->session->ansi && !try_form)
			return out_of_bounds(ev, bad, v);
		else
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
BIND(make_date)
{
	for (size_t i = 0; i < 3; i++)
		TM_TRY(fn_want(b, i, &tm_type_int, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_make_date, &tm_type_date, fn_any_nullable(b) || !b->session->ansi);
}

/* year, month, day, hour, minute, seconds (decimal(16,6)) [, zone] */
KERNEL(make_timestamp)
{
	bool ntz = call->type->kind == TM_T_TIMESTAMP_NTZ, try_form = call->bound != NULL;
	const struct tm_sql_zone *session = fn_zone(ev->session);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t y = AT(0, i32, i), m = AT(1, i32, i), d = AT(2, i32, i), h = AT(3, i32, i), min = AT(4, i32, i),
			us = (int64_t)AT(5, i128, i);
		const struct tm_sql_zone *zone = ntz ? tm_sql_zone_utc() : call->arg_count > 6 ? tm_sql_zone_find(STR_AT(6, i)) : session;
		long long v = 0;
		char text[16];
		const char *bad = bad_date_of(y, m, d, &v, text, sizeof text);
		if (!bad && (h < 0 || h > 23)) {
			bad = "HourOfDay (valid values 0 - 23)";
			v = h;
		} else if (!bad && (min < 0 || min > 59)) {
			bad = "MinuteOfHour (valid values 0 - 59)";
			v = min;
		}
		bool fraction = us > TM_US_MINUTE || us < 0;
		if (!bad && !fraction && zone) {
			int64_t local;
			if (tm_micros_of(tm_date_days(y, (int)m, (int)d), h * TM_US_HOUR + min * TM_US_MINUTE + us, &local))
				ret->i64[i] = tm_sql_zone_to_utc(zone, local);
			else if (try_form)
				fn_null(ev, ret, i);
			else
				return fn_long_overflow(ev);
			continue;
		}
		if (!ev->session->ansi || try_form) {
			fn_null(ev, ret, i);
			continue;
		}
		if (bad)
			return out_of_bounds(ev, bad, v);
		if (fraction && us > TM_US_MINUTE && us < TM_US_MINUTE + TM_US_SECOND)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_FRACTION_OF_SECOND", "22023",
					     "Valid range for seconds is [0, 60] (inclusive), but the provided value is %g. To avoid this "
					     "error, use `try_make_timestamp`, which returns "
					     "NULL on error.",
					     (double)us / 1e6);
		if (fraction)
			return out_of_bounds(ev, "SecondOfMinute (valid values 0 - 59)", us / TM_US_SECOND);
		return tm_fail_class(ev->err, TM_DATA, "INVALID_TIMEZONE", "22009", "The timezone: %.*s is invalid.",
				     TM_STR_ARG(STR_AT(6, i)));
	}
	return TM_OK;
}
/* variant: 1 without zone, 2 try */
BIND(make_timestamp)
{
	bool ntz = fn_variant(b) & 1;
	for (size_t i = 0; i < 5; i++)
		TM_TRY(fn_want(b, i, &tm_type_int, err));
	TM_TRY(fn_want(b, 5, tm_type_decimal(b->arena, 16, 6), err));
	if (b->arg_count > 6)
		TM_TRY(fn_want(b, 6, &tm_type_string, err));
	b->bound = fn_variant(b) & 2 ? "" : NULL;
	return fn_is(b, &tm_k_make_timestamp, ntz ? &tm_type_timestamp_ntz : &tm_type_timestamp, fn_any_nullable(b) || !b->session->ansi);
}

/* ---- time zones ---- */
static tm_rc zone_arg(struct tm_eval *ev, struct tm_str id, const struct tm_sql_zone **ret)
{
	*ret = tm_sql_zone_find(id);
	if (*ret)
		return TM_OK;
	return tm_fail_class(ev->err, TM_DATA, "INVALID_TIMEZONE", "22009",
			     "The timezone: %.*s is invalid. The timezone must be either a region-based zone ID or a zone offset. Region "
			     "IDs must have the form 'area/city', such as "
			     "'America/Los_Angeles'. Zone offsets must be in the format '(+|-)HH', '(+|-)HH:mm' or '(+|-)HH:mm:ss', e.g "
			     "'-08' , '+01:00' or '-13:33:33', and must be in "
			     "the range from -18:00 to +18:00.",
			     TM_STR_ARG(id));
}
KERNEL(from_utc_timestamp)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		const struct tm_sql_zone *zone;
		TM_TRY(zone_arg(ev, STR_AT(1, i), &zone));
		ret->i64[i] = tm_sql_zone_to_local(zone, AT(0, i64, i));
	}
	return TM_OK;
}
KERNEL(to_utc_timestamp)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		const struct tm_sql_zone *zone;
		TM_TRY(zone_arg(ev, STR_AT(1, i), &zone));
		ret->i64[i] = tm_sql_zone_to_utc(zone, AT(0, i64, i));
	}
	return TM_OK;
}
KERNEL(convert_timezone) /* [from,] to, timestamp_ntz */
{
	size_t n = call->arg_count;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		const struct tm_sql_zone *from = fn_zone(ev->session), *to;
		if (n == 3)
			TM_TRY(zone_arg(ev, STR_AT(0, i), &from));
		TM_TRY(zone_arg(ev, STR_AT(n - 2, i), &to));
		ret->i64[i] = tm_sql_zone_to_local(to, tm_sql_zone_to_utc(from, AT(n - 1, i64, i)));
	}
	return TM_OK;
}
BIND(convert_timezone)
{
	for (size_t i = 0; i + 1 < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	TM_TRY(fn_want(b, b->arg_count - 1, &tm_type_timestamp_ntz, err));
	return fn_is(b, &tm_k_convert_timezone, &tm_type_timestamp_ntz, fn_any_nullable(b));
}

/* ---- now ---- fixed for the query, or for the micro-batch */
KERNEL(now)
{
	fn_begin_raw(ev, call, ret);
	bool local = call->type->kind == TM_T_TIMESTAMP_NTZ, date = call->type->kind == TM_T_DATE;
	int64_t us = ev->session->now_us;
	if (local || date)
		us = tm_sql_zone_to_local(fn_zone(ev->session), us);
	for (size_t i = 0; i < ev->rows; i++) {
		if (date)
			ret->i32[i] = (int32_t)tm_micros_to_days(us);
		else
			ret->i64[i] = us;
	}
	return TM_OK;
}
/* variant: 0 timestamp, 1 local timestamp, 2 date */
BIND(now)
{
	static const struct tm_type *const types[] = {&tm_type_timestamp, &tm_type_timestamp_ntz, &tm_type_date};
	return fn_is(b, &tm_k_now, types[fn_variant(b)], false);
}
KERNEL(current_timezone)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->str[i] = tm_str_of(ev->session->time_zone ? ev->session->time_zone : "UTC");
	return TM_OK;
}
