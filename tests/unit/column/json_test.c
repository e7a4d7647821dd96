/* JSON into columns: every rule of from_json's PERMISSIVE mode. */
#include <math.h>
#include "column/json.h"
#include "unit.h"

static struct tm_arena arena;

static void decode(const struct tm_type *t, const struct tm_json_options *o, const char *const *texts, size_t n, struct tm_column *ret,
		   uint8_t *corrupt)
{
	struct tm_column in;
	tm_column_init(&in, &arena, &tm_type_string, n);
	for (size_t i = 0; i < n; i++)
		in.str[i] = tm_str_of(texts[i]);
	struct tm_err err;
	CHECK_OK(tm_json_decode(tm_json_decoder_new(&arena, t, o), &arena, &in, ret, corrupt, &err), err);
	CHECK_INT(ret->rows, n);
}

static const struct tm_type *row_type(void)
{
	static const struct tm_str names[] = {{"a", 1}, {"b", 1}, {"s", 1}, {"l", 1}};
	const struct tm_type *types[] = {&tm_type_int, &tm_type_double, &tm_type_string, tm_type_array(&arena, &tm_type_bigint, true)};
	return tm_type_struct(&arena, 4, names, types, NULL);
}

TEST(fields)
{
	tm_arena_init(&arena);
	static const char *const texts[] = {
	    "{\"a\":1,\"b\":2.5,\"s\":\"x\",\"l\":[1,2,null]}",
	    " { \"s\" : {\"k\": [1, 2]} , \"b\" : -1e400, \"a\": 3000000000 }", /* raw text; out of range is null, the rest stays */
	    "{\"a\":\"1\",\"s\":\"caf\\u00e9 \\ud83d\\ude00\\n\",\"b\":\"NaN\",\"other\":{\"a\":[{}]}}",
	    "{\"a\":1,",
	    "",
	    "[1]",
	    "{}",
	    "{\"a\":1,\"a\":2,\"s\":null,\"l\":\"no list\"} trailing",
	};
	enum { N = sizeof texts / sizeof *texts };
	struct tm_column c;
	uint8_t corrupt[N];
	decode(row_type(), NULL, texts, N, &c, corrupt);
	const struct tm_column *a = &c.children[0], *b = &c.children[1], *s = &c.children[2], *l = &c.children[3];
	CHECK(a->i32[0] == 1 && b->f64[0] == 2.5 && l->span[0].count == 3 && l->children[0].i64[1] == 2 && tm_is_null(&l->children[0], 2));
	CHECK(tm_is_null(a, 1) && isinf(b->f64[1]));
	CHECK_STR(s->str[1], "{\"k\": [1, 2]}");
	CHECK(tm_is_null(a, 2) && isnan(b->f64[2]));
	CHECK_STR(s->str[2], "caf\xC3\xA9 \xF0\x9F\x98\x80\n");
	CHECK(!tm_is_null(&c, 3) && tm_is_null(a, 3) && corrupt[3]);
	CHECK(tm_is_null(&c, 4) && !corrupt[4]);
	CHECK(!tm_is_null(&c, 5) && tm_is_null(s, 5) && corrupt[5]);
	CHECK(!tm_is_null(&c, 6) && tm_is_null(a, 6) && !corrupt[6]);
	CHECK(a->i32[7] == 2 && tm_is_null(s, 7) && tm_is_null(l, 7) && !corrupt[7]);
	tm_arena_done(&arena);
}

static bool parse_stamp(const void *ctx, struct tm_str s, int64_t *ret)
{
	(void)ctx;
	return s.len == 4 && tm_str_to_i64(s, ret);
}

/* What comes as predicted, without white space, is read by shorter ways: the same columns as with a space after each colon. */
TEST(the_usual_record_reads_like_any_other)
{
	static const char *const values[] = {
	    "1",
	    "0",
	    "-7",
	    "123456789012345678",
	    "1234567890123456789",
	    "99999999999",
	    "1.5",
	    "1e3",
	    "\"\"",
	    "\"text\"",
	    "\"2026\"",
	    "\"20x6\"",
	    "\"AAEC\"",
	    "\"A\"",
	    "\"1.5\"",
	    "\"NaN\"",
	    "\"\\n\"",
	    "\"\\q\"",
	    "null",
	    "true",
	    "{\"x\":1}",
	    "[1]",
	    "\"\x01\"",
	    "\"a long text of more than thirty-two bytes\"",
	};
	static const struct tm_str names[] = {
	    {"a", 1}, {"thirteen_long", 13}, {"a_name_of_twenty_nine_letters", 29}, {"a_name_that_is_longer_than_all_of_them", 38}};
	static const struct tm_type *const kinds[] = {&tm_type_string,  &tm_type_int,    &tm_type_bigint,  &tm_type_double,
						      &tm_type_boolean, &tm_type_binary, &tm_type_variant, &tm_type_timestamp};
	enum { VALUES = sizeof values / sizeof *values, KINDS = sizeof kinds / sizeof *kinds, NAMES = 4, ROWS = 2 * VALUES * NAMES };
	struct tm_json_options o = {.parse_timestamp = parse_stamp};
	for (size_t k = 0; k < KINDS; k++) {
		tm_arena_init(&arena);
		const struct tm_type *types[NAMES] = {kinds[k], kinds[k], kinds[k], kinds[k]};
		const char *texts[2][ROWS];
		struct tm_column c[2];
		uint8_t corrupt[2][ROWS];
		for (size_t i = 0; i < ROWS; i++)
			for (size_t spaced = 0; spaced < 2; spaced++) {
				struct tm_buf b = {0};
				tm_buf_char(&b, '{');
				for (size_t n = 0; n < NAMES; n++)
					tm_buf_printf(&b, "%s\"%s\":%s%s", n ? "," : "", names[n].at, spaced ? " " : "",
						      n == i % NAMES ? values[i / NAMES % VALUES] : "1");
				tm_buf_printf(&b, "}%*s", i < ROWS / 2 ? 0 : 80,
					      ""); /* the last members are near the end of the text, or are not */
				texts[spaced][i] = tm_arena_str(&arena, tm_buf_str(&b)).at;
				tm_buf_done(&b);
			}
		for (size_t spaced = 0; spaced < 2; spaced++)
			decode(tm_type_struct(&arena, NAMES, names, types, NULL), &o, texts[spaced], ROWS, &c[spaced], corrupt[spaced]);
		CHECK(memcmp(corrupt[0], corrupt[1], sizeof corrupt[0]) == 0);
		for (size_t n = 0; n < NAMES; n++)
			for (size_t i = 0; i < ROWS; i++) {
				const struct tm_column *x = &c[0].children[n], *y = &c[1].children[n];
				size_t width = tm_type_width(kinds[k]);
				CHECK_INT(tm_is_null(x, i), tm_is_null(y, i));
				if (tm_is_null(x, i))
					continue;
				if (width == sizeof(struct tm_str))
					CHECK(tm_str_eq(x->str[i], y->str[i]));
				else
					CHECK(memcmp((char *)x->data + i * width, (char *)y->data + i * width, width) == 0);
			}
		tm_arena_done(&arena);
	}
}

/* A name that is not kept for prediction leaves no hole that an empty name would fall into. */
TEST(an_unusual_name_before_an_empty_one)
{
	tm_arena_init(&arena);
	static const char *const texts[] = {"{'q\"':1,\"a\":2}", "{\"\":6}"};
	struct tm_column c;
	decode(row_type(), NULL, texts, 2, &c, NULL);
	CHECK(c.children[0].i32[0] == 2 && tm_is_null(&c.children[0], 1));
	tm_arena_done(&arena);
}

TEST(the_last_of_two_structs_of_one_name)
{
	tm_arena_init(&arena);
	static const struct tm_str outer[] = {{"s", 1}}, middle[] = {{"i", 1}, {"z", 1}}, inner[] = {{"x", 1}, {"y", 1}};
	const struct tm_type *ints[] = {&tm_type_int, &tm_type_int};
	const struct tm_type *in = tm_type_struct(&arena, 2, inner, ints, NULL), *two[] = {in, &tm_type_int};
	const struct tm_type *mid = tm_type_struct(&arena, 2, middle, two, NULL);
	static const char *const texts[] = {
	    "{\"s\":{\"i\":{\"x\":1},\"z\":2},\"s\":{\"i\":{\"y\":3}}}",
	    "{\"s\":{\"i\":{\"x\":1},\"z\":2},\"s\":null,\"s\":{\"i\":{\"y\":3}}}",
	    "{\"s\":{\"i\":{\"x\":1},\"z\":2},\"s\":7,\"s\":{\"i\":{\"y\":3}}}",
	    "{\"s\":{\"i\":{\"x\":1},\"i\":null,\"i\":{\"y\":3}}}",
	};
	struct tm_column c;
	decode(tm_type_struct(&arena, 1, outer, &mid, NULL), NULL, texts, 4, &c, NULL);
	const struct tm_column *i = &c.children[0].children[0];
	for (size_t row = 0; row < 4; row++) {
		CHECK(!tm_is_null(i, row) && tm_is_null(&i->children[0], row) && i->children[1].i32[row] == 3);
		CHECK(tm_is_null(&c.children[0].children[1], row));
	}
	tm_arena_done(&arena);
}

TEST(nesting_is_limited)
{
	tm_arena_init(&arena);
	enum { DEEP = 100000 };
	char *deep = malloc(DEEP * 2 + 20);
	memcpy(deep, "{\"x\":", 5);
	memset(deep + 5, '[', DEEP);
	memset(deep + 5 + DEEP, ']', DEEP);
	memcpy(deep + 5 + 2 * DEEP, "}", 2);
	const char *texts[] = {deep};
	struct tm_column c;
	uint8_t corrupt[1];
	decode(row_type(), NULL, texts, 1, &c, corrupt);
	CHECK(corrupt[0]);
	CHECK(!tm_json_valid(tm_str_of(deep)));
	free(deep);
	tm_arena_done(&arena);
}

TEST(maps_decimals_and_the_corrupt_column)
{
	tm_arena_init(&arena);
	static const struct tm_str names[] = {{"m", 1}, {"d", 1}, {"bad", 3}};
	const struct tm_type *types[] = {tm_type_map(&arena, &tm_type_string, &tm_type_int, true), tm_type_decimal(&arena, 5, 2),
					 &tm_type_string};
	static const char *const texts[] = {"{'m':{\"x\":1,\"y\":null},\"d\":1.005}", "{\"d\":1234.5}", "{\"d\":\"-12.3\"", "{\"d\":1e2}"};
	struct tm_json_options o = {.corrupt_field = TM_STR("bad")};
	struct tm_column c;
	decode(tm_type_struct(&arena, 3, names, types, NULL), &o, texts, 4, &c, NULL);
	CHECK(c.children[0].span[0].count == 2 && tm_is_null(&c.children[0].children[1], 1));
	CHECK_STR(c.children[0].children[0].str[1], "y");
	CHECK_INT(c.children[1].i128[0], 101);
	CHECK(tm_is_null(&c.children[1], 1) && tm_is_null(&c.children[1], 2));
	CHECK_STR(c.children[2].str[2], texts[2]);
	CHECK_INT(c.children[1].i128[3], 10000);
	tm_arena_done(&arena);
}

TEST_MAIN()
