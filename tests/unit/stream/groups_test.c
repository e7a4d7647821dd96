/* The hash table of groups beside a list that is searched from end to end; expiry; the change log of state. */
#include "column/column.h"
#include "stream/expiry.h"
#include "stream/groups.h"
#include "stream/state_store.h"
#include "table/table.h"
#include "unit.h"

static uint64_t seed = 7;
static uint64_t next_random(void) { return tm_hash_u64(++seed); }

/* Columns (bigint, string, double), with nulls, few different values. */
static void random_keys(struct tm_arena *arena, struct tm_column *c, size_t count, size_t rows)
{
	static const struct tm_type *const types[] = {&tm_type_bigint, &tm_type_string, &tm_type_double};
	static const char *const words[] = {"", "a", "b", "a long word that is not kept in place", "ab"};
	for (size_t k = 0; k < count; k++) {
		tm_column_init(&c[k], arena, types[k], rows);
		uint8_t *valid = tm_column_need_valid(&c[k], arena);
		for (size_t i = 0; i < rows; i++) {
			uint64_t r = next_random();
			valid[i] = r % 7 != 0;
			if (k == 0)
				c[k].i64[i] = (int64_t)(r >> 8) % 50;
			else if (k == 1)
				c[k].str[i] = tm_str_of(words[(r >> 8) % 5]);
			else
				c[k].f64[i] = (r >> 8) % 3 == 0 ? -0.0 : (r >> 8) % 3 == 1 ? 0.0 : __builtin_nan("");
		}
	}
}

struct model {
	struct tm_column keys[3];
	size_t row;
	uint32_t number;
};

static void compare_with_model(size_t key_count)
{
	enum { ROUNDS = 20, ROWS = 200 };
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_type *types[] = {&tm_type_bigint, &tm_type_string, &tm_type_double};
	struct tm_groups g;
	tm_groups_init(&g, types, NULL, key_count, sizeof(uint64_t), 8);
	struct {
		struct model *items;
		size_t count, cap;
	} model = {0};
	for (int round = 0; round < ROUNDS; round++) {
		struct tm_column keys[3];
		random_keys(&arena, keys, key_count, ROWS);
		uint32_t numbers[ROWS];
		uint8_t fresh[ROWS];
		tm_groups_upsert(&g, &arena, keys, ROWS, numbers, fresh);
		for (size_t i = 0; i < ROWS; i++) {
			struct model *found = NULL;
			for (size_t m = 0; m < model.count && !found; m++) {
				bool same = true;
				for (size_t k = 0; k < key_count; k++)
					same = same && tm_value_eq(&model.items[m].keys[k], model.items[m].row, &keys[k], i);
				if (same)
					found = &model.items[m];
			}
			CHECK_INT(fresh[i], !found);
			if (found)
				CHECK_INT(numbers[i], found->number);
			else {
				struct model m = {.row = i, .number = numbers[i]};
				memcpy(m.keys, keys, sizeof m.keys);
				TM_PUSH(&model, m);
			}
		}
		CHECK_INT(g.count, model.count);
		for (size_t m = 0; m < model.count;) { /* some leave */
			if (next_random() % 5) {
				m++;
				continue;
			}
			tm_groups_remove(&g, model.items[m].number);
			model.items[m] = model.items[--model.count];
		}
		for (size_t m = 0; m < model.count; m++) { /* keys come back as they went in, also through bytes */
			struct tm_column back[3];
			uint32_t number = model.items[m].number;
			tm_groups_keys(&g, &arena, &number, 1, back);
			for (size_t k = 0; k < key_count; k++)
				CHECK(tm_value_eq(&back[k], 0, &model.items[m].keys[k], model.items[m].row));
			struct tm_buf bytes = {0};
			tm_groups_key_bytes(&g, number, &bytes);
			uint32_t again;
			bool made;
			CHECK(tm_groups_insert_bytes(&g, tm_buf_str(&bytes), &again, &made));
			CHECK(!made);
			CHECK_INT(again, number);
			tm_buf_done(&bytes);
		}
	}
	free(model.items);
	tm_groups_done(&g);
	tm_arena_done(&arena);
}

TEST(one_number_as_key) { compare_with_model(1); }
TEST(number_and_string_as_key) { compare_with_model(2); }
TEST(three_columns_as_key) { compare_with_model(3); }

TEST(a_string_as_key)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_type *types[] = {&tm_type_string};
	struct tm_groups g;
	tm_groups_init(&g, types, NULL, 1, 8, 8);
	struct tm_column c;
	tm_column_init(&c, &arena, &tm_type_string, 4);
	c.str[0] = TM_STR("");
	c.str[1] = TM_STR("x");
	c.str[2] = TM_STR("x");
	tm_column_need_valid(&c, &arena)[3] = 0;
	uint32_t n[4];
	tm_groups_upsert(&g, &arena, &c, 4, n, NULL);
	CHECK_INT(g.count, 3);
	CHECK_INT(n[1], n[2]);
	CHECK(n[0] != n[3]); /* empty is not null */
	tm_groups_done(&g);
	tm_arena_done(&arena);
}

TEST(a_count_by_bigint_takes_little_room)
{
	enum { GROUPS = 1000000, STEP = 4096 };
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_type *types[] = {&tm_type_bigint};
	const bool nullable[] = {false};
	struct tm_groups g;
	tm_groups_init(&g, types, nullable, 1, 8, 8);
	for (size_t at = 0; at < GROUPS; at += STEP) {
		struct tm_column c;
		uint32_t numbers[STEP];
		tm_arena_reset(&arena);
		tm_column_init(&c, &arena, &tm_type_bigint, STEP);
		for (size_t i = 0; i < STEP; i++)
			c.i64[i] = (int64_t)(at + i);
		tm_groups_upsert(&g, &arena, &c, STEP, numbers, NULL);
	}
	CHECK(tm_groups_memory(&g) / g.count <= 64);
	tm_groups_done(&g);
	tm_arena_done(&arena);
}

TEST(groups_leave_in_order_of_their_time)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_type *types[] = {&tm_type_bigint};
	struct tm_groups g;
	tm_groups_init(&g, types, NULL, 1, 8, 8);
	struct tm_expiry e = {0};
	struct tm_column c;
	uint32_t numbers[100];
	tm_column_init(&c, &arena, &tm_type_bigint, 100);
	for (size_t i = 0; i < 100; i++)
		c.i64[i] = (int64_t)i;
	tm_groups_upsert(&g, &arena, &c, 100, numbers, NULL);
	for (size_t i = 0; i < 100; i++)
		tm_expiry_add(&e, &g, numbers[i], (int64_t)(i * 37 % 100));
	struct tm_numbers out = {0};
	tm_expiry_pop(&e, &g, 9, &out);
	CHECK_INT(out.count, 10);
	tm_expiry_pop(&e, &g, 9, &out);
	CHECK_INT(out.count, 10);
	tm_expiry_pop(&e, &g, 1000, &out);
	CHECK_INT(out.count, 100);
	free(out.items);
	tm_expiry_done(&e);
	tm_groups_done(&g);
	tm_arena_done(&arena);
}

/* ---- the change log ---- */

enum { KEYS = 3000 };
struct seen {
	int64_t values[KEYS];
	size_t count;
};
static tm_rc see(void *ctx, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct seen *s = ctx;
	uint32_t k;
	int64_t v;
	if (key.len != 4 || value.len != 8)
		return tm_fail(err, TM_CORRUPT, "not an entry of the test");
	memcpy(&k, key.at, 4);
	memcpy(&v, value.at, 8);
	CHECK(k < KEYS && s->values[k] == -1);
	s->values[k] = v;
	s->count++;
	return TM_OK;
}

TEST(state_comes_back_through_rewrites)
{
	struct tm_err err = {0};
	char dir[] = "/tmp/tm_groups.XXXXXX";
	struct tm_store *store;
	CHECK(mkdtemp(dir) != NULL);
	CHECK_OK(tm_store_open(dir, &(struct tm_store_options){.memory_only = true}, &store, &err), err);
	struct tm_table_batch *commit = tm_table_batch_new(store);
	struct tm_state_store s = {0};
	static int64_t model[KEYS];
	static struct seen seen;
	char padding[8];
	for (size_t k = 0; k < KEYS; k++)
		model[k] = -1;
	size_t live = 0;
	for (int round = 0; round < 1200; round++) {
		for (int i = 0; i < 800; i++) {
			uint32_t k = (uint32_t)(next_random() % KEYS);
			struct tm_str key = {(char *)&k, 4};
			if (next_random() % 4 == 0) {
				tm_state_store_delete(&s, key);
				live -= model[k] != -1;
				model[k] = -1;
				continue;
			}
			int64_t v = (int64_t)(next_random() >> 1);
			memcpy(padding, &v, 8);
			tm_state_store_put(&s, key, tm_str_n(padding, 8));
			live += model[k] == -1;
			model[k] = v;
		}
		CHECK_OK(tm_state_store_flush(&s, store, commit, TM_STR("p"), &err), err);
		CHECK_OK(tm_table_batch_commit(commit, false, &err), err);
		if (round % 300 != 299)
			continue;
		tm_state_store_done(&s); /* as after a restart */
		for (size_t k = 0; k < KEYS; k++)
			seen.values[k] = -1;
		seen.count = 0;
		CHECK_OK(tm_state_store_restore(&s, store, TM_STR("p"), see, &seen, &err), err);
		CHECK_INT(seen.count, live);
		for (size_t k = 0; k < KEYS; k++)
			CHECK_INT(seen.values[k], model[k]);
	}
	tm_state_store_done(&s);
	tm_table_batch_free(commit);
	tm_store_close(store);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}
TEST_MAIN()
