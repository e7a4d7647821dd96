/* Dates, times, time zones, intervals and date patterns, as java.time and Spark have them: proleptic Gregorian, microseconds. */
#ifndef TM_SQL_DATETIME_H
#define TM_SQL_DATETIME_H
#include "base/civil.h"
#include "column/type.h"

#define TM_US_SECOND ((int64_t)1000000)
#define TM_US_MINUTE (60 * TM_US_SECOND)
#define TM_US_HOUR (3600 * TM_US_SECOND)
#define TM_US_DAY (86400 * TM_US_SECOND)

/* ---- civil dates (base/civil.h has the days) ---- */
/* False when it overflows. The first day is in range with its last hours only. */
static inline bool tm_micros_of(int64_t days, int64_t us_of_day, int64_t *ret)
{
	__int128 v = (__int128)days * TM_US_DAY + us_of_day;
	*ret = (int64_t)v;
	return *ret == v;
}
static inline int64_t tm_micros_to_days(int64_t us) { return tm_floor_div(us, TM_US_DAY); }
void tm_iso_week(int64_t days, int64_t *ret_year, int *ret_week);
int64_t tm_add_months(int64_t days, int64_t months); /* the day is cut to the month's length */
struct tm_local {                                    /* a local date and time */
	int64_t year;
	int month, day, hour, minute, second;
	int32_t nanos;
	int64_t days;
};
void tm_local_of(int64_t local_us, struct tm_local *ret);

/* ---- time zones ---- immutable, live as long as the process. */
struct tm_sql_zone;
const struct tm_sql_zone *tm_sql_zone_find(struct tm_str id); /* as ZoneId.of with Spark's relaxations; NULL = no such zone */
const struct tm_sql_zone *tm_sql_zone_utc(void);
struct tm_str tm_sql_zone_id(const struct tm_sql_zone *zone);
int32_t tm_sql_zone_offset(const struct tm_sql_zone *zone, int64_t utc_seconds);
/* In a gap the time moves on by the gap's length, in an overlap the earlier offset holds. */
int64_t tm_sql_zone_to_utc(const struct tm_sql_zone *zone, int64_t local_us);
/* At the ends of the range a time stays there: what no zone can show is not told from what is just within. */
static inline int64_t tm_time_shift(int64_t us, int64_t by_us)
{
	int64_t r;
	return __builtin_add_overflow(us, by_us, &r) ? (by_us < 0 ? INT64_MIN : INT64_MAX) : r;
}
static inline int64_t tm_sql_zone_to_local(const struct tm_sql_zone *zone, int64_t us)
{
	return tm_time_shift(us, tm_sql_zone_offset(zone, tm_floor_div(us, TM_US_SECOND)) * TM_US_SECOND);
}
/* "PST", "Pacific Standard Time". */
void tm_sql_zone_name(const struct tm_sql_zone *zone, int64_t utc_seconds, bool full, struct tm_buf *out);

/* ---- text ---- */
void tm_date_text(int64_t days, struct tm_buf *out);
void tm_timestamp_text(int64_t local_us, struct tm_buf *out);
void tm_time_text(int64_t nanos, struct tm_buf *out);
bool tm_date_parse(struct tm_str s, int32_t *ret);
/* zone: of texts that name none. now_us: for texts with a time only. */
bool tm_timestamp_parse(struct tm_str s, const struct tm_sql_zone *zone, int64_t now_us, int64_t *ret);
bool tm_timestamp_ntz_parse(struct tm_str s, bool allow_zone, int64_t *ret);
bool tm_time_parse(struct tm_str s, int64_t *ret_nanos);
/* "epoch", "now", "today", "tomorrow", "yesterday" as a time in zone. */
bool tm_special_time(struct tm_str s, const struct tm_sql_zone *zone, int64_t now_us, int64_t *ret_us);

/* ---- intervals ---- */
/* "INTERVAL '1-2' YEAR TO MONTH", or only the quoted part where it is not `ansi_prefix`. */
void tm_interval_ym_text(int32_t months, int from, int to, bool ansi_prefix, struct tm_buf *out);
void tm_interval_dt_text(int64_t us, int from, int to, bool ansi_prefix, struct tm_buf *out);
void tm_interval_text(struct tm_interval v, struct tm_buf *out); /* "1 years 2 days 3 hours" */
bool tm_interval_ym_parse(struct tm_str s, int from, int to, int32_t *ret);
bool tm_interval_dt_parse(struct tm_str s, int from, int to, int64_t *ret);
/* "1 day 2 hours", with or without the word interval; any units. */
bool tm_interval_parse(struct tm_str s, struct tm_interval *ret);
const char *tm_interval_field_name(int field);

/* ---- patterns ---- Spark's date patterns (java.time.format.DateTimeFormatter with Spark's restrictions). */
struct tm_pattern;
/* err: INVALID_DATETIME_PATTERN…, INCONSISTENT_BEHAVIOR_CROSS_VERSION…; parsing refuses some letters that formatting takes. */
tm_rc tm_pattern_new(struct tm_arena *arena, struct tm_str text, bool parsing, struct tm_pattern **ret, struct tm_err *err) TM_CHECKED;
void tm_pattern_format(const struct tm_pattern *p, const struct tm_sql_zone *zone, int64_t us, bool local, struct tm_buf *out);
void tm_pattern_format_date(const struct tm_pattern *p, const struct tm_sql_zone *zone, int32_t day, struct tm_buf *out);
/* *ret_local: date and time as written; *ret_zone NULL = none named. What is missing is filled from 1970-01-01 00:00.
 * why (may be NULL): Java's message when it fails. */
bool tm_pattern_parse(const struct tm_pattern *p, struct tm_str s, int64_t *ret_local_us, const struct tm_sql_zone **ret_zone,
		      struct tm_buf *why);
#endif
