/* Strings, arenas, cursors, files, checksums. */
#include <unistd.h>
#include "unit.h"

TEST(utf8_round_trip)
{
	for (uint32_t cp = 1; cp < 0x110000; cp += cp < 0x900 ? 1 : 97) {
		if (cp >= 0xD800 && cp < 0xE000)
			continue;
		char out[4];
		size_t n = tm_utf8_put(cp, out);
		const char *at = out;
		CHECK_INT(tm_utf8_next(&at, out + n), cp);
		CHECK(at == out + n);
		CHECK(tm_utf8_valid(tm_str_n(out, n)));
		if (n > 1)
			CHECK(!tm_utf8_valid(tm_str_n(out, n - 1)));
	}
	CHECK(!tm_utf8_valid(TM_STR("\xC0\x80")));
	CHECK(!tm_utf8_valid(TM_STR("\xED\xA0\x80")));
}

TEST(integers_from_text)
{
	int64_t v;
	CHECK(tm_str_to_i64(TM_STR("-9223372036854775808"), &v) && v == INT64_MIN);
	CHECK(tm_str_to_i64(TM_STR("9223372036854775807"), &v) && v == INT64_MAX);
	CHECK(!tm_str_to_i64(TM_STR("9223372036854775808"), &v));
	CHECK(!tm_str_to_i64(TM_STR(""), &v) && !tm_str_to_i64(TM_STR("+"), &v) && !tm_str_to_i64(TM_STR("1x"), &v));
}

TEST(closest_name)
{
	const char *const names[] = {"listen", "data", "python", NULL};
	CHECK(strcmp(tm_str_closest(TM_STR("lisen"), names), "listen") == 0);
	CHECK(tm_str_closest(TM_STR("zebra_crossing"), names) == NULL);
}

TEST(arena_limits_and_grows)
{
	struct tm_arena a;
	tm_arena_init(&a);
	a.limit_bytes = 1000;
	CHECK(tm_arena_try(&a, 900) != NULL);
	CHECK(tm_arena_try(&a, 200) == NULL);
	CHECK(tm_arena_try(&a, SIZE_MAX - 3) == NULL);
	tm_arena_reset(&a);
	char *p = tm_arena_alloc(&a, 10);
	memset(p, 'x', 10);
	for (size_t n = 10; n < 100000; n *= 3) {
		p = tm_arena_grow(&a, p, n, n * 3);
		CHECK(p[9] == 'x');
		memset(p, 'x', n * 3);
	}
	tm_arena_done(&a);
}

TEST(cursor_stops_at_the_end)
{
	struct tm_cursor c = tm_cursor_of(TM_STR("\x00\x01\x02"));
	CHECK_INT(tm_cursor_be16(&c), 1);
	CHECK_INT(tm_cursor_be32(&c), 0);
	CHECK(!tm_cursor_ok(&c));
	struct tm_buf b = {0};
	int64_t values[] = {0, -1, 1, 63, -64, 64, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		tm_buf_zigzag(&b, values[i]);
	c = tm_cursor_of(tm_buf_str(&b));
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		CHECK_INT(tm_cursor_zigzag(&c, 64), values[i]);
	CHECK(tm_cursor_ok(&c) && tm_cursor_left(&c) == 0);
	c = tm_cursor_of(TM_STR("\xFF\xFF\xFF\xFF\x7F"));
	tm_cursor_varint(&c, 32);
	CHECK(!tm_cursor_ok(&c));
	tm_buf_done(&b);
}

TEST(crc32c_known_answers)
{
	CHECK_INT(tm_crc32c(0, "123456789", 9), 0xE3069283u);
	char zeros[32] = {0};
	CHECK_INT(tm_crc32c(0, zeros, 32), 0x8A9136AAu);
	CHECK_INT(tm_crc32c(tm_crc32c(0, "1234", 4), "56789", 5), 0xE3069283u);
}

/* Bit by bit, as the polynomial is defined; what is long enough is read in lanes. */
TEST(crc32c_of_any_length)
{
	static unsigned char bytes[7000];
	uint32_t want = ~0u;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)tm_hash_u64(i + 1);
	for (size_t n = 0; n < sizeof bytes - 1; n++) {
		CHECK_INT(tm_crc32c(0, bytes + 1, n), ~want);
		CHECK_INT(tm_crc32c(tm_crc32c(0, bytes + 1, n / 3), bytes + 1 + n / 3, n - n / 3), ~want);
		want ^= bytes[1 + n];
		for (int k = 0; k < 8; k++)
			want = want & 1 ? want >> 1 ^ 0x82F63B78u : want >> 1;
	}
}

TEST(file_replace_is_whole)
{
	char dir[] = "/tmp/tm-base-XXXXXX", path[64];
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b/file", dir);
	struct tm_err err;
	char sub[64];
	snprintf(sub, sizeof sub, "%s/a/b", dir);
	CHECK_OK(tm_dir_make(sub, &err), err);
	CHECK_OK(tm_file_replace(tm_env_real(), path, TM_STR("one"), &err), err);
	CHECK_OK(tm_file_replace(tm_env_real(), path, TM_STR("two"), &err), err);
	struct tm_buf got = {0};
	CHECK_OK(tm_file_read(tm_env_real(), path, 100, &got, &err), err);
	CHECK_STR(tm_buf_str(&got), "two");
	tm_buf_done(&got);
	CHECK_INT(tm_file_read(tm_env_real(), path, 2, &got, &err), TM_LIMIT);
	CHECK_OK(tm_dir_remove(dir, &err), err);
	CHECK(access(dir, F_OK) != 0);
}

TEST(json_text)
{
	struct tm_buf b = {0};
	tm_buf_json_str(&b, TM_STR("a\"\n\x01\xC3\xA9\xFF"));
	CHECK_STR(tm_buf_str(&b), "\"a\\\"\\n\\u0001\xC3\xA9\xEF\xBF\xBD\"");
	b.len = 0;
	tm_buf_json_double(&b, 0.1);
	tm_buf_char(&b, ' ');
	tm_buf_json_double(&b, 3);
	CHECK_STR(tm_buf_str(&b), "0.1 3.0");
	tm_buf_done(&b);
}

TEST(errors_render_with_a_caret)
{
	struct tm_err err;
	CHECK_INT(tm_fail(&err, TM_SYNTAX, "unexpected '%s'", "FORM"), TM_SYNTAX);
	tm_err_at(&err, "q.sql", 2, 3);
	tm_err_hint(&err, "Did you mean FROM?");
	char out[500];
	tm_err_render(&err, TM_STR("SELECT 1\n  FORM t"), out, sizeof out);
	CHECK_STR(tm_str_of(out), "q.sql:2:3: error: unexpected 'FORM'\n      2 |   FORM t\n        |   ^\n  next: Did you mean FROM?");
}

TEST_MAIN()
