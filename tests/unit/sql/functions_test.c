/* Functions through the SQL that calls them: what the vectors do not pin down, and what must not be lost from it. */
#include "unit.h"
#include "sql/sql.h"
#include "sql/fn.h"

static const char *answer(const char *sql, bool ansi)
{
	static char out[2000];
	struct tm_err err = {0};
	struct tm_buf b = {0};
	struct tm_stream_world world = {.env = tm_env_real()};
	struct tm_sql *s = tm_sql_new(&(struct tm_sql_options){.world = &world, .time_zone = "UTC", .ansi_off = !ansi});
	(void)!tm_sql_run_json(s, tm_str_of(sql), &b, &err);
	const char *from = tm_buf_cstr(&b), *rows = strstr(from, "\"rows\": "), *error = strstr(from, "\"class\": ");
	snprintf(out, sizeof out, "%s", rows ? rows + 8 : error ? error + 9 : from);
	char *end = rows ? strrchr(out, '}') : strchr(out + 1, ',');
	if (end)
		*end = 0;
	tm_buf_done(&b);
	tm_sql_free(s);
	return out;
}
#define IS(sql, want) CHECK_STR(tm_str_of(answer("SELECT " sql, true)), want)
#define LEGACY(sql, want) CHECK_STR(tm_str_of(answer("SELECT " sql, false)), want)

TEST(decimals)
{
	IS("CAST(1 AS DECIMAL(38,18)) / 3", "[[\"0.333333333333333333\"]]");
	IS("CAST('0.1' AS DECIMAL(38,37)) * CAST('0.1' AS DECIMAL(38,37))", "[[\"0.01000000000000000000000000000000000\"]]");
	IS("round(CAST('12345.6789' AS DECIMAL(10,4)), -2)", "[[\"12300\"]]");
	LEGACY("CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0)) * 10", "[[null]]");
}
TEST(overflow)
{
	IS("CAST(100 AS TINYINT) + CAST(100 AS TINYINT)", "\"BINARY_ARITHMETIC_OVERFLOW\"");
	IS("9223372036854775807 + 1", "\"ARITHMETIC_OVERFLOW\"");
	LEGACY("9223372036854775807 + 1", "[[-9223372036854775808]]");
	IS("sum(x) FROM VALUES (9223372036854775807L), (1L) t(x)", "\"ARITHMETIC_OVERFLOW\"");
	IS("(-9223372036854775808L) div -1", "\"ARITHMETIC_OVERFLOW\"");
	IS("(-9223372036854775808L) % -1", "[[0]]");
}
/* The least number has no opposite: taking it away is not adding its negative. */
TEST(interval_overflow)
{
	IS("try_subtract(make_interval(0, 0), make_interval(0, -2147483648))", "[[null]]");
	IS("CAST(try_subtract(make_interval(0, -1), make_interval(0, -2147483648)) AS STRING)", "[[\"178956970 years 7 months\"]]");
	IS("CAST(try_subtract(make_interval(0, 0, 0, -1), make_interval(0, 0, 0, -2147483648)) AS STRING)", "[[\"2147483647 days\"]]");
	IS("make_interval(0, 0) - make_interval(0, -2147483648)", "\"INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION\"");
}
/* What leaves the range of dates, times and intervals, or just reaches its end. */
TEST(ends_of_the_calendar)
{
	IS("CAST(date_add(DATE'2024-01-01', 2147463647) AS TIMESTAMP)", "\"ARITHMETIC_OVERFLOW\"");
	IS("try_cast(date_add(DATE'2024-01-01', 2147463647) AS TIMESTAMP)", "[[null]]");
	IS("try_subtract(date_add(DATE'2024-01-01', 2147463647), DATE'2024-01-01')", "[[null]]");
	IS("add_months(DATE'2024-01-01', 2147483647)", "\"ARITHMETIC_OVERFLOW\"");
	IS("DATE'2024-01-01' - INTERVAL '178956970-8' YEAR TO MONTH", "\"INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING\"");
	IS("try_add(DATE'2024-01-01', INTERVAL '178956970-7' YEAR TO MONTH)", "[[null]]");
	LEGACY("DATE'2024-01-02' - make_interval(0, 0, 0, 0, 1), DATE'2024-01-02' + make_interval(0, 0, 0, 0, 25)",
	       "[[\"2024-01-01\", \"2024-01-03\"]]");
	IS("make_date(9999999, 1, 1)", "\"ARITHMETIC_OVERFLOW\"");
	IS("make_date(2147483647, 1, 1)", "\"DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION\"");
	IS("make_timestamp(294247, 1, 10, 4, 0, 54.775807)", "[[\"+294247-01-10 04:00:54.775807\"]]");
	IS("make_timestamp(294247, 1, 10, 4, 0, 54.775808)", "\"ARITHMETIC_OVERFLOW\"");
	IS("make_timestamp(-290308, 12, 21, 19, 59, 5.224192)", "[[\"-290308-12-21 19:59:05.224192\"]]");
	IS("date_trunc('YEAR', timestamp_micros(-9223372036854775807L))", "\"ARITHMETIC_OVERFLOW\"");
	IS("date_trunc('HOUR', TIMESTAMP'1969-12-31 23:59:59.5'), date_trunc('SECOND', TIMESTAMP'1969-12-31 23:59:59.5')",
	   "[[\"1969-12-31 23:00:00\", \"1969-12-31 23:59:59\"]]");
	IS("timestampdiff(MICROSECOND, timestamp_micros(-2L), timestamp_micros(9223372036854775807L))", "\"ARITHMETIC_OVERFLOW\"");
	IS("timestampdiff(SECOND, timestamp_micros(-9223372036854775807L), timestamp_micros(9223372036854775807L))", "[[18446744073709]]");
	IS("date_format(timestamp_micros(9223372036854775807L), 'yyyy HH:mm')", "[[\"+294247 04:00\"]]");
	IS("to_timestamp('+999999999999999999', 'yyyy')", "\"CANNOT_PARSE_TIMESTAMP\"");
	IS("to_json(struct(date_add(DATE'2024-01-01', 2147463647) AS d), map('dateFormat', 'dd.MM.yyyy'))",
	   "[[\"{\\\"d\\\":\\\"08.10.+5881579\\\"}\"]]");
	IS("INTERVAL '106751991 04:00:54.775808' DAY TO SECOND", "\"INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING\"");
	IS("CAST(INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND AS STRING)",
	   "[[\"INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND\"]]");
	IS("INTERVAL '106751991 04:00:54.775807' DAY TO SECOND * 1.0D", "\"INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION\"");
	IS("median(x) = max(x) FROM VALUES (INTERVAL '106751991 04:00:54.775807' DAY TO SECOND) t(x)", "[[true]]");
	IS("try_sum(x) FROM VALUES (INTERVAL '178956970-7' YEAR TO MONTH), (INTERVAL '1' YEAR) t(x)", "[[null]]");
	IS("sum(x) FROM VALUES (INTERVAL '106751991' DAY), (INTERVAL '1' DAY) t(x)", "\"INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION\"");
	IS("- make_interval(0, -2147483648)", "\"ARITHMETIC_OVERFLOW\"");
	IS("window(t, '2147483647 days') FROM VALUES (TIMESTAMP'2024-01-01') v(t)", "\"INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION\"");
}
TEST(ends_of_the_numbers)
{
	IS("-1S * -1S, pmod(-1, -2147483648), pmod(-1Y, -128Y)", "[[1, 2147483647, -1]]"); /* Java's: bytes are ints there */
	IS("CAST('35000000000000000000000000000000000000' AS DECIMAL(38,1))", "\"NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION\"");
	IS("from_json('{\"d\": 9e36}', 'd DECIMAL(38,1)')", "[[[\"9000000000000000000000000000000000000.0\"]]]");
	IS("0e999999999999999BD", "[[\"0\"]]");
	IS("1e-99999999999999999999BD", "\"DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION\"");
	IS("conv('10', 10, -2147483648), conv('-10', 10, -16), round(1.5D, -400)", "[[null, \"-A\", 0.0]]");
	IS("width_bucket(0.9999999999999999, 0, 1, 9223372036854775806L) > 0, width_bucket(1e308, -1e308, 1.5e308, 10)", "[[true, 1]]");
	IS("to_number(repeat('9', 39), '99999999999999999999999999999999999999')", "\"INVALID_FORMAT.MISMATCH_INPUT\"");
	IS("percentile_approx(x, 0.5) FROM VALUES (9223372036854775807L) t(x)", "[[9223372036854775807]]");
	IS("format_string('%08x|%#x|%03o', 255, 255, 8)", "[[\"000000ff|0xff|010\"]]");
	IS("lead(x, 2147483647) OVER (ORDER BY x), lag(x, -2147483648) OVER (ORDER BY x) FROM VALUES (1), (2) t(x)",
	   "[[null, null], [null, null]]");
}
/* A short statement must not make more than the memory holds. */
TEST(what_grows_has_a_limit)
{
	IS("length(replace(repeat('a', 100000), 'a', repeat('b', 100000)))", "\"INTERNAL_ERROR\"");
	IS("size(flatten(array_repeat(array_repeat(1, 100000), 100000)))", "\"COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION\"");
	IS("length(format_string('%01000000x', 1))", "[[1000000]]");
	IS("schema_of_variant(from_json('[NaN]', 'variant'))", "\"MALFORMED_VARIANT\"");
}
TEST(the_k_values_of_max_by)
{
	IS("max_by(x, y, 2) FROM VALUES ('a', 10), ('b', 50), ('c', 20) t(x, y)", "[[[\"b\", \"c\"]]]"); /* Spark's own example */
	IS("min_by(x, y, 2) FROM VALUES ('a', 10), ('b', 50), ('c', 20) t(x, y)", "[[[\"a\", \"c\"]]]");
	IS("max_by(x, y, 5) FROM VALUES ('a', 10), (NULL, 50), ('c', NULL) t(x, y)", "[[[null, \"a\"]]]");
	IS("max_by(x, y, 5) FROM VALUES ('a', CAST(NULL AS INT)) t(x, y)", "[[null]]");
	IS("max_by(struct(x, y), x || 'z', 1) FROM VALUES ('a', 10), ('b', 50) t(x, y)", "[[[[\"b\", 50]]]]");
	IS("sum(size(top)), min(top[9]), max(top[0]) FROM (SELECT max_by(id, id, 10) AS top FROM range(1000) GROUP BY id % 7)",
	   "[[70, 930, 999]]");
	IS("max_by(id, id % 3, 1) FROM range(6)", "[[[2]]]"); /* of equal ones the first stays */
	IS("max_by(id, id, 0) FROM range(6)", "\"DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE\"");
	IS("max_by(id, id, id) FROM range(6)", "\"DATATYPE_MISMATCH.NON_FOLDABLE_INPUT\"");
	IS("max_by(id, id, 100001) FROM range(6)", "\"DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE\"");
}
TEST(regular_expressions)
{
	IS("regexp_replace('aXbXc', '[a-z&&[^b]]', '-')", "[[\"-XbX-\"]]");
	IS("regexp_replace('a.b', '\\\\Q.\\\\E', '!')", "[[\"a!b\"]]");
	IS("regexp_replace('x1y', '(?<d>\\\\d)', '<${d}>')", "[[\"x<1>y\"]]");
	IS("split('a1b2c3', '\\\\d', 2)", "[[[\"a\", \"b2c3\"]]]");
	IS("regexp_like('straße', '^\\\\p{IsAlphabetic}+$')", "[[true]]");
	IS("regexp_like('a', '(')", "\"INVALID_PARAMETER_VALUE.PATTERN\"");
	IS("'a%b' LIKE 'a\\\\%_'", "[[true]]");
	IS("'ÄB' ILIKE 'äb'", "[[true]]");
}
TEST(patterns)
{
	IS("date_format(TIMESTAMP'2026-03-05 14:07:09', 'G y QQQQ MMMM E h a')", "[[\"AD 2026 1st quarter March Thu 2 PM\"]]");
	IS("to_timestamp('20260305 1407', 'yyyyMMdd HHmm')", "[[\"2026-03-05 14:07:00\"]]");
	IS("to_timestamp('5 Mar 26 2pm', 'd MMM yy ha')", "[[\"2026-03-05 14:00:00\"]]");
	IS("to_timestamp('2026-03-05T14:07:09+02:00', \"yyyy-MM-dd'T'HH:mm:ssXXX\")", "[[\"2026-03-05 12:07:09\"]]");
	IS("try_to_timestamp('2025-02-29', 'yyyy-MM-dd')", "[[null]]");
}
TEST(time_zones)
{
	IS("from_utc_timestamp('1890-01-01 00:00:00', 'Europe/Berlin')", "[[\"1890-01-01 00:53:28\"]]");
	IS("to_utc_timestamp('2400-07-01 12:00:00', 'Europe/Berlin')", "[[\"2400-07-01 10:00:00\"]]");
	IS("to_utc_timestamp('2800-01-01 12:00:00', 'America/New_York')", "[[\"2800-01-01 17:00:00\"]]");
}
TEST(hyperloglog)
{
	IS("approx_count_distinct(id) FROM range(100000)", "[[95546]]");
	IS("approx_count_distinct(id % 10) FROM range(1000)", "[[10]]");
	IS("approx_count_distinct(id, 0.01) FROM range(100000)", "[[100425]]");
}
TEST(aggregates)
{
	IS("collect_list(id), collect_set(id % 2), max_by(id, -id) FROM range(3)", "[[[0, 1, 2], [0, 1], 0]]");
	IS("percentile(id, array(0.25, 0.5)), percentile_approx(id, 0.5), median(id) FROM range(5)", "[[[1.0, 2.0], 2, 2.0]]");
	IS("listagg(x, '-') WITHIN GROUP (ORDER BY x DESC) FROM VALUES (2), (10), (1) t(x)", "[[\"10-2-1\"]]");
	IS("min(s), max(s), first(s), last(s) FROM VALUES (struct(2, 'b')), (struct(1, 'c')) t(s)",
	   "[[[1, \"c\"], [2, \"b\"], [2, \"b\"], [1, \"c\"]]]");
}
TEST(higher_order)
{
	IS("transform(array(1, 2), (x, i) -> x * 10 + i)", "[[[10, 21]]]");
	IS("aggregate(array(1, 2, 3), 0, (a, x) -> a + x, a -> a * 10)", "[[60]]");
	IS("array_sort(array('bb', 'a', 'ccc'), (l, r) -> length(r) - length(l))", "[[[\"ccc\", \"bb\", \"a\"]]]");
	IS("transform(array(array(1), array(2, 3)), x -> transform(x, y -> y + size(x)))", "[[[[2], [4, 5]]]]");
	IS("filter(a, x -> x > b) FROM VALUES (array(1, 5), 2), (array(7), 9) t(a, b)", "[[[5]], [[]]]");
}
TEST(nested_casts_touch_only_what_is_there) { IS("CAST(filter(array('1', 'x'), s -> s != 'x') AS ARRAY<INT>)", "[[[1]]]"); }
/* Every function's example runs, or fails with a class of Spark's. */
TEST(examples)
{
	const struct tm_fn *all;
	size_t n = tm_fn_all(&all), bad = 0;
	for (size_t i = 0; i < n; i++) {
		char sql[600];
		bool agg = all[i].kind == TM_FN_AGGREGATE;
		snprintf(sql, sizeof sql, "SELECT %s%s", all[i].example, agg ? " FROM VALUES (1, 2), (3, 4) t(x, y)" : "");
		const char *a = answer(sql, true);
		bool boolean = strstr(all[i].example, "bool") || !strcmp(all[i].name, "every") || !strcmp(all[i].name, "some") ||
			       !strcmp(all[i].name, "any") || !strcmp(all[i].name, "bitmap_or_agg");
		if (a[0] != '[' && !boolean && strcmp(all[i].name, "raise_error") != 0) {
			fprintf(stderr, "%s: %s\n", sql, a);
			bad++;
		}
	}
	CHECK_INT(bad, 0);
}
TEST(docs_are_current) { CHECK_INT(system("python3 tools/gen/functions.py --check"), 0); }
TEST_MAIN()
