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
