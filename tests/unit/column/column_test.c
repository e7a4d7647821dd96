/* Vectors: taking, joining, copying, order, hashing, bytes and back. */
#include "column/column.h"
#include "unit.h"

/* array<struct<k:string,v:double>> with nulls at every level. */
static void sample(struct tm_arena *arena, struct tm_column *ret)
{
	const struct tm_str names[] = {TM_STR("k"), TM_STR("v")};
	const struct tm_type *types[] = {&tm_type_string, &tm_type_double};
	const struct tm_type *t = tm_type_array(arena, tm_type_struct(arena, 2, names, types, NULL), true);
	tm_column_init(ret, arena, t, 4);
	struct tm_column *s = &ret->children[0];
	tm_column_init(s, arena, t->children[0], 3);
	s->children[0].str[0] = TM_STR("a");
	s->children[0].str[1] = TM_STR("");
	tm_column_need_valid(&s->children[0], arena)[2] = 0;
	s->children[1].f64[0] = -0.0;
	s->children[1].f64[1] = 0.0 / 0.0;
	s->children[1].f64[2] = 3;
	ret->span[0] = (struct tm_span){0, 2};
	ret->span[1] = (struct tm_span){2, 1};
	ret->span[2] = (struct tm_span){0, 0};
	tm_column_need_valid(ret, arena)[3] = 0;
}

TEST(bytes_and_back)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_column c, back;
	sample(&arena, &c);
	struct tm_buf bytes = {0};
	for (size_t i = 0; i < c.rows; i++)
		tm_value_encode(&c, i, &bytes);
	struct tm_appender *a = tm_appender_new(&arena, c.type);
	struct tm_cursor in = tm_cursor_of(tm_buf_str(&bytes));
	for (size_t i = 0; i < c.rows; i++)
		CHECK(tm_appender_decode(a, &in));
	CHECK_INT(tm_cursor_left(&in), 0);
	tm_appender_finish(a, &back);
	CHECK_INT(back.rows, 4);
	for (size_t i = 0; i < 4; i++) {
		CHECK(tm_value_eq(&c, i, &back, i));
		CHECK(tm_value_hash(&c, i, 7) == tm_value_hash(&back, i, 7));
		for (size_t j = 0; j < 4; j++)
			CHECK_INT(tm_value_cmp(&c, i, &back, j), -tm_value_cmp(&back, j, &c, i));
	}
	/* Every cut of the bytes is refused, without a trace. */
	for (size_t cut = 0; cut < 8; cut++) {
		size_t rows = tm_appender_rows(a);
		in = tm_cursor_of(tm_str_n(bytes.at, cut));
		CHECK(!tm_appender_decode(a, &in));
		CHECK_INT(tm_appender_rows(a), rows);
	}
	tm_buf_done(&bytes);
	tm_arena_done(&arena);
}

TEST(take_concat_copy)
{
	struct tm_arena arena, other;
	tm_arena_init(&arena);
	tm_arena_init(&other);
	struct tm_column c, taken, joined, copy;
	sample(&arena, &c);
	const uint32_t index[] = {3, 1, UINT32_MAX, 0};
	tm_column_take(&taken, &arena, &c, index, 4);
	CHECK(tm_is_null(&taken, 0) && tm_is_null(&taken, 2));
	CHECK(tm_value_eq(&taken, 1, &c, 1) && tm_value_eq(&taken, 3, &c, 0));
	const struct tm_column *parts[] = {&c, &taken, &c};
	tm_column_concat(&joined, &arena, parts, 3);
	CHECK_INT(joined.rows, 12);
	CHECK(tm_value_eq(&joined, 8, &c, 0) && tm_value_eq(&joined, 5, &c, 1) && tm_is_null(&joined, 11));
	joined.type = tm_type_copy(&other, joined.type); /* a column's type is its maker's: copying leaves it where it is */
	tm_column_copy(&copy, &other, &joined);
	for (size_t i = 0; i < 12; i++)
		CHECK(tm_value_eq(&joined, i, &copy, i));
	tm_arena_done(&arena);
	CHECK(!tm_is_null(&copy, 0)); /* lives on */
	tm_arena_done(&other);
}

TEST(constants)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_column c;
	tm_column_init_null(&c, &arena, &tm_type_int, 5);
	CHECK(tm_is_null(&c, 4));
	const uint32_t index[] = {4, UINT32_MAX};
	struct tm_column taken;
	tm_column_take(&taken, &arena, &c, index, 2);
	CHECK(tm_is_null(&taken, 0) && tm_is_null(&taken, 1));
	tm_column_init(&c, &arena, &tm_type_int, 1);
	c.i32[0] = 42;
	c.constant = true;
	c.rows = 3;
	uint64_t hashes[3];
	tm_rows_hash(&c, 1, 3, hashes);
	tm_column_flatten(&c, &arena);
	uint64_t flat[3];
	tm_rows_hash(&c, 1, 3, flat);
	for (int i = 0; i < 3; i++)
		CHECK(c.i32[i] == 42 && hashes[i] == flat[i]);
	tm_arena_done(&arena);
}

TEST(type_names)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_str names[] = {TM_STR("a"), TM_STR("odd name")};
	const struct tm_type *types[] = {tm_type_decimal(&arena, 10, 2), tm_type_map(&arena, &tm_type_string, &tm_type_bigint, true)};
	const bool nullable[] = {false, true};
	const struct tm_type *t = tm_type_struct(&arena, 2, names, types, nullable);
	struct tm_buf b = {0};
	tm_type_text(t, &b);
	CHECK_STR(tm_buf_str(&b), "struct<a:decimal(10,2),odd name:map<string,bigint>>");
	b.len = 0;
	tm_type_sql(t, &b);
	CHECK_STR(tm_buf_str(&b), "STRUCT<a: DECIMAL(10,2) NOT NULL, `odd name`: MAP<STRING, BIGINT>>");
	CHECK(tm_type_eq(t, tm_type_copy(&arena, t)));
	tm_buf_done(&b);
	tm_arena_done(&arena);
}

TEST_MAIN()
