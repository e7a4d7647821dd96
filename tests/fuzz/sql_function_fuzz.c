/* Every function of the catalogue on arguments it was not made for. The input chooses, byte by byte: ANSI mode and the shape (constants
 * that the analyser folds, rows of a VALUES list, an aggregate with GROUP BY), the function, how many arguments, and each argument:
 * one of the literals below, or a string or number made of the input. What comes out is an answer or an error. */
#include <stdio.h>
#include <stdlib.h>
#include "sql/fn.h"
#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const literals[] = {
    "NULL",
    "1",
    "0",
    "-1",
    "3",
    "127Y",
    "-128Y",
    "32767S",
    "2147483647",
    "-2147483648",
    "9223372036854775807L",
    "(-9223372036854775807L - 1L)",
    "0.5D",
    "-0.0D",
    "double('NaN')",
    "double('Infinity')",
    "1.5F",
    "1e300",
    "1.25",
    "99999999999999999999999999999999999999",
    "-0.00000000000000000000000000000000000001",
    "true",
    "false",
    "''",
    "'a'",
    "'Spark SQL'",
    "'äöü€😀'",
    "'%'",
    "'yyyy-MM-dd'",
    "'1,2,3'",
    "'{\"a\": [1, 2.5, null, {\"b\": \"c\"}]}'",
    "'$.a[*].b'",
    "'a INT, b ARRAY<STRING>'",
    "'2024-02-29'",
    "'2024-02-29 12:34:56.789'",
    "'Europe/Berlin'",
    "'(a+)+b'",
    "'\\\\d{2}'",
    "'utf-8'",
    "'base64'",
    "'999,999.99'",
    "X'00ff'",
    "X''",
    "DATE'2024-02-29'",
    "DATE'0001-01-01'",
    "DATE'9999-12-31'",
    "TIMESTAMP'2024-03-31 02:30:00 Europe/Berlin'",
    "TIMESTAMP'1969-12-31 23:59:59.999999'",
    "TIMESTAMP_NTZ'2024-02-29 00:00:00'",
    "INTERVAL '1-2' YEAR TO MONTH",
    "INTERVAL '1 02:03:04.5' DAY TO SECOND",
    "INTERVAL '106751991 04:00:54.775807' DAY TO SECOND",
    "make_interval(1, 2, 3, 4, 5, 6, 7.5)",
    "array(1, 2, NULL, 3)",
    "array('a', NULL, 'b')",
    "array()",
    "array(array(1), array(2, 3))",
    "array(1.5D, double('NaN'))",
    "map('a', 1, 'b', NULL)",
    "map()",
    "map(1, array('x'))",
    "named_struct('a', 1, 'b', 'x')",
    "array(named_struct('a', 1), named_struct('a', 2))",
    "x -> x",
    "x -> x > 1",
    "(x, y) -> x",
    "(x, y) -> x + y",
    "(x, y, z) -> z",
    "map('header', 'true')",
    "'int'",
    "'1 hour'",
    "'PERMISSIVE'",
    "array(map('k', X'01'))",
    "cast(NULL AS ARRAY<INT>)",
    "cast(NULL AS STRING)",
    "cast(NULL AS DECIMAL(38,18))",
    "cast('12:30:45.5' AS TIMESTAMP)",
    "parse_json('{\"a\":[1,{\"b\":2}]}')",
    "200",
    "'a' COLLATE UTF8_BINARY",
    "-100",
    "1000",
};
enum { LITERALS = sizeof literals / sizeof *literals };

static void argument(struct tm_cursor *c, struct tm_buf *out)
{
	uint8_t k = tm_cursor_u8(c);
	if (k < LITERALS) {
		tm_buf_cstr_put(out, literals[k]);
	} else if (k >= 0xF0) { /* a number */
		static const char *const suffixes[] = {"", "L", "D", "BD", "S", "Y", "F", "e5"};
		int64_t v = (int64_t)tm_cursor_be64(c) >> (k & 1 ? 48 : 0);
		tm_buf_printf(out, "(%s%llu%s)", v < 0 ? "-" : "", v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v,
			      suffixes[(k >> 1) & 7]);
	} else { /* a text */
		struct tm_str s = tm_cursor_take(c, tm_cursor_u8(c) % 64);
		if (!s.at)
			s = tm_cursor_take(c, tm_cursor_left(c));
		tm_buf_char(out, '\'');
		for (size_t i = 0; i < s.len; i++) {
			if (s.at[i] == '\'' || s.at[i] == '\\')
				tm_buf_char(out, '\\');
			tm_buf_char(out, s.at[i]);
		}
		tm_buf_char(out, '\'');
	}
}

static void call_text(const struct tm_fn *fn, struct tm_buf *const *args, size_t n, struct tm_buf *out)
{
	bool sign = !((fn->name[0] >= 'a' && fn->name[0] <= 'z') || fn->name[0] == '_');
	if (sign && n == 2) {
		tm_buf_printf(out, "((%s) %s (%s))", tm_buf_cstr(args[0]), fn->name, tm_buf_cstr(args[1]));
		return;
	}
	tm_buf_printf(out, "%s(", sign && n != 1 ? "concat" : fn->name);
	for (size_t i = 0; i < n; i++)
		tm_buf_printf(out, "%s%s", i ? ", " : "", tm_buf_cstr(args[i]));
	tm_buf_char(out, ')');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tm_fn *all;
	size_t count = tm_fn_all(&all);
	struct tm_cursor c = tm_cursor_of(tm_str_n((const char *)data, size));
	if (size > 600)
		return 0;
	uint8_t mode = tm_cursor_u8(&c);
	const struct tm_fn *fn = &all[tm_cursor_be16(&c) % count];
	size_t most = fn->max_args < 0 || fn->max_args > 6 ? 6 : (size_t)fn->max_args,
	       least = (size_t)fn->min_args > most ? most : (size_t)fn->min_args;
	size_t n = least + tm_cursor_u8(&c) % (most - least + 1);
	if (strcmp(fn->name, "sleep") == 0 || strcmp(fn->name, "java_method") == 0 || strcmp(fn->name, "reflect") == 0)
		return 0;
	struct tm_buf texts[12] = {0}, *columns[6], *values[6], *others[6], sql = {0}, out = {0};
	for (size_t i = 0; i < n; i++) {
		argument(&c, &texts[i]);
		values[i] = &texts[i];
	}
	struct tm_buf names[6] = {0};
	for (size_t i = 0; i < n; i++) {
		bool lambda = memmem(tm_buf_cstr(values[i]), values[i]->len, "->", 2) && values[i]->at[0] != '\'';
		if (lambda || mode & (8u << (i % 4))) /* stays a constant */
			tm_buf_str_put(&names[i], tm_buf_str(values[i]));
		else
			tm_buf_printf(&names[i], "c%zu", i);
		columns[i] = &names[i];
	}
	tm_buf_cstr_put(&sql, "SELECT ");
	if (mode & 2) {
		call_text(fn, columns, n, &sql);
		tm_buf_cstr_put(&sql, " FROM VALUES (");
		for (int row = 0; row < 2; row++) {
			for (size_t i = 0; i < n; i++) {
				bool lambda = memmem(values[i]->at, values[i]->len, "->", 2) && values[i]->at[0] != '\'';
				if (row && !lambda) {
					argument(&c, &texts[6 + i]);
					others[i] = &texts[6 + i];
				} else {
					others[i] = values[i];
				}
				tm_buf_printf(&sql, "%s%s", i ? ", " : "", lambda ? "NULL" : tm_buf_cstr(others[i]));
			}
			tm_buf_printf(&sql, "%s, %d)", n ? "" : "1", row);
			if (!row)
				tm_buf_cstr_put(&sql, ", (");
		}
		tm_buf_cstr_put(&sql, " AS t(");
		for (size_t i = 0; i < n; i++)
			tm_buf_printf(&sql, "c%zu, ", i);
		tm_buf_cstr_put(&sql, n ? "g)" : "one, g)");
		if (mode & 4 && fn->kind == TM_FN_AGGREGATE)
			tm_buf_cstr_put(&sql, " GROUP BY g");
	} else {
		call_text(fn, values, n, &sql);
	}
	struct tm_sql_options options = {.time_zone = "America/New_York", .ansi_off = mode & 1};
	struct tm_sql *engine = tm_sql_new(&options);
	struct tm_err err = {0};
	if (getenv("TM_FUZZ_SHOW"))
		fprintf(stderr, "%s\n", tm_buf_cstr(&sql));
	tm_rc rc = tm_sql_run_json(engine, tm_buf_str(&sql), &out, &err);
	if (getenv("TM_FUZZ_SHOW"))
		fprintf(stderr, "%d %s\n", (int)rc, tm_buf_cstr(&out));
	TM_ASSERT(rc == TM_OK || err.what[0] || err.klass[0]);
	tm_sql_free(engine);
	for (size_t i = 0; i < 12; i++)
		tm_buf_done(&texts[i]);
	for (size_t i = 0; i < 6; i++)
		tm_buf_done(&names[i]);
	tm_buf_done(&sql);
	tm_buf_done(&out);
	return 0;
}
