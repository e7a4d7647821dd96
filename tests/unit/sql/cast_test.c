/* Casts, numbers as text, dates, zones and intervals, straight at the functions. */
#include "unit.h"
#include "sql/fn.h"
#include "sql/number.h"
#include "sql/datetime.h"

static struct tm_arena arena;
static struct tm_session session = {.time_zone = "UTC", .ansi = true};

/* CAST('text' AS type) as text; "!CLASS" for an error, "NULL". */
static const char *cast(const char *text, const char *type, enum tm_cast_mode mode)
{
	static char out[400];
	struct tm_err err = {0};
	const struct tm_type *t;
	struct tm_expr lit = {.kind = TM_EXPR_LITERAL, .type = &tm_type_string, .text = tm_str_of(text)}, *e;
	struct tm_str s = tm_str_of(text);
	lit.literal = (struct tm_column){.type = &tm_type_string, .rows = 1, .constant = true, .str = &s};
	CHECK_OK(tm_type_parse(&arena, tm_str_of(type), &t, &err), err);
	tm_rc rc = tm_cast_bind(&arena, &session, &lit, t, mode, &e, &err);
	struct tm_column c;
	struct tm_eval ev = {.arena = &arena, .session = &session, .rows = 1, .err = &err};
	if (rc == TM_OK)
		rc = tm_expr_eval(&ev, e, &c);
	if (rc != TM_OK) {
		snprintf(out, sizeof out, "!%s", err.klass);
		return out;
	}
	struct tm_buf b = {0};
	tm_value_text(&session, &c, 0, &b);
	snprintf(out, sizeof out, "%.*s", (int)b.len, b.at);
	tm_buf_done(&b);
	return out;
}
#define CAST(text, type, want) CHECK_STR(tm_str_of(cast(text, type, TM_CAST_ANSI)), want)
#define LEGACY(text, type, want) CHECK_STR(tm_str_of(cast(text, type, TM_CAST_LEGACY)), want)

TEST(integers)
{
	CAST(" 42 ", "int", "42");
	CAST("1.5", "int", "!CAST_INVALID_INPUT");
	LEGACY("1.5", "int", "1");
	CAST("-9223372036854775808", "bigint", "-9223372036854775808");
	CAST("128", "tinyint", "!CAST_INVALID_INPUT");
	LEGACY("x", "int", "NULL");
	CHECK_STR(tm_str_of(cast("x", "int", TM_CAST_TRY)), "NULL");
}
TEST(floats)
{
	CAST("1e3", "double", "1000.0");
	CAST("1e400", "double", "Infinity");
	CAST("-inf", "double", "-Infinity");
	CAST("NaN", "float", "NaN");
	CAST("1.5d", "double", "1.5");
	CAST("0x1F", "double", "!CAST_INVALID_INPUT");
	CAST("10000000", "double", "1.0E7");
	CAST("0.001", "double", "0.001");
	CAST("0.0001", "double", "1.0E-4");
	CAST("9223372036854775808", "float", "9.223372E18");
	CAST("4.9e-324", "double", "4.9E-324");
	CAST("0.1", "float", "0.1");
	CAST("123456.7", "float", "123456.7");
}
TEST(decimals)
{
	CAST("1.999", "decimal(3,2)", "2.00");
	CAST("9.995", "decimal(3,2)", "!NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION");
	CAST("1e-3", "decimal(10,5)", "0.00100");
	CAST("-0.005", "decimal(3,2)", "-0.01");
	CAST("1e50", "decimal(38,0)", "!NUMERIC_OUT_OF_SUPPORTED_RANGE");
	CAST("99999999999999999999999999999999999999", "decimal(38,0)", "99999999999999999999999999999999999999");
}
TEST(times)
{
	CAST("2026-11-22", "date", "2026-11-22");
	CAST("2026", "date", "2026-01-01");
	CAST("2026-02-30", "date", "!CAST_INVALID_INPUT");
	CAST("+12026-01-01", "date", "+12026-01-01");
	CAST("epoch", "date", "1970-01-01");
	CAST("2026-11-22T10:11:12.123456789Z", "timestamp", "2026-11-22 10:11:12.123456");
	CAST("2026-11-22 10:11:12+05:30", "timestamp", "2026-11-22 04:41:12");
	CAST("2026-10-25 02:30:00 Europe/Berlin", "timestamp", "2026-10-25 00:30:00");
	CAST("2026-03-29 02:30:00 Europe/Berlin", "timestamp", "2026-03-29 01:30:00");
	CAST("2026-11-22 24:00:00", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 10:11", "timestamp_ntz", "2026-11-22 10:11:00");
}
/* The usual form is read by a shorter way: what it takes and what it leaves gives the same. */
TEST(the_usual_timestamp)
{
	CAST("2026-11-22T10:11:12", "timestamp", "2026-11-22 10:11:12");
	CAST("2026-11-22 10:11:12.", "timestamp", "2026-11-22 10:11:12");
	CAST("2026-11-22 10:11:12.5", "timestamp", "2026-11-22 10:11:12.5");
	CAST("2026-11-22 10:11:12.0000001Z", "timestamp", "2026-11-22 10:11:12");
	CAST("2026-11-22 10:11:12.25 +01:00", "timestamp", "2026-11-22 09:11:12.25");
	CAST("2026-11-22 10:11:12 UTC", "timestamp", "2026-11-22 10:11:12");
	CAST("2026-11-22 10:11:12  ", "timestamp", "2026-11-22 10:11:12");
	CAST("  2026-11-22 10:11:12.5  ", "timestamp", "2026-11-22 10:11:12.5");
	CAST("+2026-11-22 10:11:12", "timestamp", "2026-11-22 10:11:12");
	CAST("2026-11-22 10:11:123", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 10:11:12:13", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 10:11:12.5.5", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 10:60:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 24:11:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-13-22 10:11:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-02-30 10:11:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-1a-22 10:11:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22t10:11:12", "timestamp", "!CAST_INVALID_INPUT");
	CAST("2026-11-22 1:11:12.25", "timestamp", "2026-11-22 01:11:12.25");
	CAST("2026-11-22 10:11:12.5Z", "timestamp_ntz", "2026-11-22 10:11:12.5");
	CAST("0001-01-01 00:00:00", "timestamp_ntz", "0001-01-01 00:00:00");
}
/* A space in front goes the longer way: nothing near the usual form is read otherwise. */
TEST(timestamps_near_the_usual_form)
{
	static const char usual[] = " 2026-11-22T10:11:12.123456+01:00", bytes[] = "0123456789-+:.TZ \t/9";
	const struct tm_sql_zone *utc = tm_sql_zone_utc();
	for (uint64_t seed = 1; seed < 300000; seed++) {
		char text[sizeof usual];
		memcpy(text, usual, sizeof usual);
		uint64_t r = tm_hash_u64(seed);
		for (int k = 0; k < 1 + (int)(r & 1); k++, r >>= 24)
			text[1 + (r >> 1) % (sizeof usual - 2)] = bytes[(r >> 9) % (sizeof bytes - 1)];
		size_t len = r & 6 ? 18 + (r >> 3) % (sizeof usual - 18) : sizeof usual - 1;
		int64_t shorter = 0, longer = 0;
		bool good = tm_timestamp_parse((struct tm_str){text + 1, len - 1}, utc, 0, &shorter);
		CHECK_INT(good, tm_timestamp_parse((struct tm_str){text, len}, utc, 0, &longer));
		CHECK_INT(shorter, longer);
	}
}
TEST(intervals)
{
	CAST("1 02:03:04.5", "interval day to second", "INTERVAL '1 02:03:04.5' DAY TO SECOND");
	CAST("INTERVAL '-1-2' YEAR TO MONTH", "interval year to month", "INTERVAL '-1-2' YEAR TO MONTH");
	CAST("1 day 2 hours", "interval", "1 days 2 hours");
}
TEST(civil_dates_round_trip)
{
	for (int64_t d = -800000; d < 3000000; d += 37) {
		int64_t y;
		int m, day;
		tm_civil_of(d, &y, &m, &day);
		CHECK_INT(tm_date_days(y, m, day), d);
	}
}
TEST(decimal_arithmetic)
{
	i128 r;
	CHECK(tm_decimal_divide(1, 0, 30, 1, 8, 6, &r) && r == 333333);
	CHECK(tm_decimal_multiply(tm_pow10(37), 19, tm_pow10(37), 19, 38, 0, &r) && r == tm_pow10(36));
	CHECK(!tm_decimal_multiply(tm_pow10(37), 0, 100, 0, 38, 0, &r));
	CHECK(tm_decimal_remainder(-325, 2, 25, 1, 3, 2, &r) && r == -75);
	CHECK_INT(tm_decimal_cmp(tm_pow10(37), 0, 1, 38), 1);
}
TEST_MAIN()
