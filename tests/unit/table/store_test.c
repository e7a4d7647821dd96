/* The store: writing, reading, reopening, expiry under a clock of the test's own, key order, reconciliation, the shape of its files. */
#include "table/bignum.h"
#include "table/mutation.h"
#include "table/read.h"
#include "table/table_int.h"
#include "table/value.h"
#include "unit.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tm_err err;
static int64_t clock_us = 1700000000000000;
static int64_t test_now_us(const struct tm_env *e)
{
	(void)e;
	return clock_us;
}
static struct tm_env_ops test_ops;
static const struct tm_env *test_env(void)
{
	static struct tm_env env;
	test_ops = *tm_env_real()->ops;
	test_ops.now_us = test_now_us;
	env = *tm_env_real();
	env.ops = &test_ops;
	return &env;
}

static struct tm_store *memory_store(void)
{
	struct tm_store *s;
	CHECK_OK(tm_store_open("", &(struct tm_store_options){.env = test_env(), .memory_only = true}, &s, &err), err);
	return s;
}

/* ks.t (k int, c int, s text static, l list<int>, v text, PRIMARY KEY (k, c)) */
static const struct tm_table_def *make_table(struct tm_store *s)
{
	const struct tm_cql_type *i = tm_type_native(TM_CQL_INT), *t = tm_type_native(TM_CQL_VARCHAR);
	struct tm_table_column columns[] = {
	    {TM_STR("v"), TM_COLUMN_REGULAR, 0, t},    {TM_STR("k"), TM_COLUMN_PARTITION_KEY, 0, i},
	    {TM_STR("c"), TM_COLUMN_CLUSTERING, 0, i}, {TM_STR("l"), TM_COLUMN_REGULAR, 0, tm_type_list(i, false)},
	    {TM_STR("s"), TM_COLUMN_STATIC, 0, t},
	};
	struct tm_table spec = {.def = {.keyspace = TM_STR("ks"), .name = TM_STR("t"), .columns = columns, .column_count = 5},
				.params = tm_table_params_default};
	tm_store_ddl_lock(s);
	CHECK_OK(tm_store_keyspace_put(s, TM_STR("ks"), &(struct tm_map){0}, true, &err), err);
	CHECK_OK(tm_store_table_put(s, &spec, &err), err);
	tm_store_ddl_unlock(s);
	return tm_store_table(s, TM_STR("ks"), TM_STR("t"));
}

static struct tm_cql_value int_value(int32_t v, char out[4])
{
	uint32_t be = __builtin_bswap32((uint32_t)v);
	memcpy(out, &be, 4);
	return (struct tm_cql_value){.bytes = {out, 4}};
}

/* columns: k 0, c 1, s 2, l 3, v 4 */
static void put(struct tm_table_batch *b, const struct tm_table_def *def, int32_t k, int32_t c, const char *v, int64_t us, int32_t ttl)
{
	char kb[4], cb[4];
	struct tm_cql_value values[] = {int_value(k, kb), int_value(c, cb),
					v ? (struct tm_cql_value){.bytes = tm_str_of(v)} : (struct tm_cql_value){.null = true}};
	size_t index[] = {0, 1, 4};
	CHECK_OK(tm_table_batch_write(
		     b,
		     &(struct tm_table_write){
			 .def = def, .column_index = index, .values = values, .count = 3, .insert = true, .timestamp_us = us, .ttl_s = ttl},
		     &err),
		 err);
}

struct seen {
	char text[2000];
};
static tm_rc note(void *ctx, const struct tm_table_row *row)
{
	struct seen *s = ctx;
	int32_t v[2];
	for (int i = 0; i < 2; i++) {
		uint32_t be = 0;
		if (row->values[i].bytes.at)
			memcpy(&be, row->values[i].bytes.at, 4);
		v[i] = (int32_t)__builtin_bswap32(be);
	}
	size_t n = strlen(s->text);
	snprintf(s->text + n, sizeof s->text - n, "%d/%d=%.*s ", v[0], v[1], (int)row->values[4].bytes.len,
		 row->values[4].bytes.at ? row->values[4].bytes.at : "-");
	return TM_OK;
}

static const char *scan(struct tm_store *s, const struct tm_table_def *def)
{
	static struct seen seen;
	seen.text[0] = 0;
	CHECK_OK(tm_table_scan(s, def, NULL, 0, note, &seen, &err), err);
	return seen.text;
}

TEST(write_and_scan)
{
	struct tm_store *s = memory_store();
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	put(b, def, 1, 2, "b", INT64_MIN, 0);
	put(b, def, 1, -1, "a", INT64_MIN, 0);
	put(b, def, 2, 5, "x", INT64_MIN, 0);
	tm_table_batch_put_bytes(b, "stream", TM_STR("k1"), TM_STR("v1"));
	CHECK_INT(tm_table_count(s, def, &(int64_t){0}, &err), 0);
	CHECK_OK(tm_table_batch_commit(b, true, &err), err);
	CHECK_STR(tm_str_of(scan(s, def)), "1/-1=a 1/2=b 2/5=x ");
	struct tm_buf got = {0};
	bool found;
	CHECK_OK(tm_store_get_bytes(s, "stream", TM_STR("k1"), &got, &found, &err), err);
	CHECK(found);
	CHECK_STR(tm_buf_str(&got), "v1");
	tm_buf_done(&got);
	/* an older write loses, an equal one is decided by the value */
	put(b, def, 1, 2, "old", 5, 0);
	put(b, def, 3, 1, "m", 100, 0);
	put(b, def, 3, 1, "n", 100, 0);
	put(b, def, 3, 1, "a", 100, 0);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	CHECK_STR(tm_str_of(scan(s, def)), "1/-1=a 1/2=b 2/5=x 3/1=n ");
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
}

/* A range that is deleted and rows that are written lie in skip lists of their own: what is remembered of one must not be used in the
 * other. */
TEST(truncate_between_writes)
{
	struct tm_store *s = memory_store();
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	for (int round = 0; round < 3; round++) {
		for (int32_t k = 0; k < 200; k++)
			put(b, def, k, k, "v", INT64_MIN, 0);
		CHECK_OK(tm_table_batch_commit(b, false, &err), err);
		int64_t rows = 0;
		CHECK_OK(tm_table_count(s, def, &rows, &err), err);
		CHECK_INT(rows, 200);
		tm_store_ddl_lock(s);
		CHECK_OK(tm_store_table_truncate(s, TM_STR("ks"), TM_STR("t"), &err), err);
		tm_store_ddl_unlock(s);
		CHECK_STR(tm_str_of(scan(s, def)), "");
	}
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
}

TEST(expiry)
{
	struct tm_store *s = memory_store();
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	put(b, def, 1, 1, "brief", INT64_MIN, 10);
	put(b, def, 1, 2, "long", INT64_MIN, 0);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	clock_us += 9000000;
	CHECK_STR(tm_str_of(scan(s, def)), "1/1=brief 1/2=long ");
	clock_us += 1000000;
	CHECK_STR(tm_str_of(scan(s, def)), "1/2=long ");
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
}

TEST(static_and_deletions)
{
	struct tm_store *s = memory_store();
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	char kb[4];
	size_t index[] = {0, 2};
	struct tm_cql_value values[] = {int_value(7, kb), {.bytes = TM_STR("st")}};
	CHECK_OK(
	    tm_table_batch_write(
		b, &(struct tm_table_write){.def = def, .column_index = index, .values = values, .count = 2, .timestamp_us = 50}, &err),
	    err);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	int64_t n;
	CHECK_OK(tm_table_count(s, def, &n, &err), err);
	CHECK_INT(n, 1); /* the static row alone */
	put(b, def, 7, 1, "a", 60, 0);
	put(b, def, 7, 2, "b", 60, 0);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	CHECK_STR(tm_str_of(scan(s, def)), "7/1=a 7/2=b ");
	/* a partition deletion hides what is older, not what is younger */
	struct tm_mutation m = {.table = tm_table_of(def),
				.partition_key = values[0].bytes,
				.info = {.has_deletion = true, .deletion_us = 70, .deletion_at_s = 1700000000}};
	tm_table_batch_mutate(b, &m);
	put(b, def, 7, 3, "c", 80, 0);
	put(b, def, 7, 4, "d", 65, 0);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	CHECK_STR(tm_str_of(scan(s, def)), "7/3=c ");
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
}

static struct tm_str order_of(const struct tm_cql_type *t, struct tm_str v, struct tm_buf *b)
{
	b->len = 0;
	tm_value_order_put(t, v, b);
	return tm_buf_str(b);
}

/* The ordered form sorts as the type does, reads back, and inverts for DESC. */
static void check_order(const struct tm_cql_type *t, const struct tm_str *sorted, size_t n)
{
	const struct tm_cql_type *down = tm_type_reversed(t, true);
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < n; i++) {
		struct tm_buf a = {0}, b = {0};
		struct tm_str back;
		for (int side = 0; side < 2; side++) {
			struct tm_str form = order_of(side ? down : t, sorted[i], &a);
			struct tm_cursor c = tm_cursor_of(form);
			CHECK(tm_value_order_take(side ? down : t, &c, &arena, &back));
			CHECK(c.at == c.end);
			CHECK(tm_value_compare(t, back, sorted[i]) == 0);
			if (tm_value_order_is_exact(t))
				CHECK(tm_str_eq(back, sorted[i]));
		}
		if (i + 1 < n) {
			CHECK(tm_str_cmp(order_of(t, sorted[i], &a), order_of(t, sorted[i + 1], &b)) < 0);
			CHECK(tm_str_cmp(order_of(down, sorted[i], &a), order_of(down, sorted[i + 1], &b)) > 0);
			CHECK(tm_value_compare(t, sorted[i], sorted[i + 1]) < 0);
		}
		tm_buf_done(&a);
		tm_buf_done(&b);
	}
	tm_arena_done(&arena);
}
#define ORDER(type, ...)                                                                                                                   \
	check_order(type, (const struct tm_str[]){__VA_ARGS__}, sizeof((const struct tm_str[]){__VA_ARGS__}) / sizeof(struct tm_str))

TEST(order_by_type)
{
	ORDER(tm_type_native(TM_CQL_INT), TM_STR(""), TM_STR("\x80\0\0\0"), TM_STR("\xFF\xFF\xFF\xFF"), TM_STR("\0\0\0\0"),
	      TM_STR("\x7F\xFF\xFF\xFF"));
	ORDER(tm_type_native(TM_CQL_VARCHAR), TM_STR(""), TM_STR("\0"), TM_STR("a"), TM_STR("a\0"), TM_STR("a\0b"), TM_STR("a\x01"),
	      TM_STR("ab"), TM_STR("b"), TM_STR("\xFF"));
	ORDER(tm_type_native(TM_CQL_DOUBLE), TM_STR("\xFF\xF0\0\0\0\0\0\0"), TM_STR("\xBF\xF0\0\0\0\0\0\0"), TM_STR("\x80\0\0\0\0\0\0\0"),
	      TM_STR("\0\0\0\0\0\0\0\0"), TM_STR("\x3F\xF0\0\0\0\0\0\0"), TM_STR("\x7F\xF0\0\0\0\0\0\0"), TM_STR("\x7F\xF8\0\0\0\0\0\0"));
	ORDER(tm_type_native(TM_CQL_VARINT), TM_STR("\x80\0"), TM_STR("\xFF\x7F"), TM_STR("\x80"), TM_STR("\xFF"), TM_STR("\0"),
	      TM_STR("\x7F"), TM_STR("\0\x80"), TM_STR("\x01\0"));
	ORDER(tm_type_native(TM_CQL_DECIMAL), TM_STR("\0\0\0\0\x80"), TM_STR("\0\0\0\0\xFF"), TM_STR("\0\0\0\x01\xFB"),
	      TM_STR("\0\0\0\x05\0"), TM_STR("\0\0\0\x01\x01"), TM_STR("\0\0\0\0\x01"), TM_STR("\xFF\xFF\xFF\xFE\x01"));
	ORDER(tm_type_list(tm_type_native(TM_CQL_INT), true), TM_STR("\0\0\0\0"), TM_STR("\0\0\0\x01\0\0\0\x04\xFF\xFF\xFF\xFF"),
	      TM_STR("\0\0\0\x01\0\0\0\x04\0\0\0\x01"), TM_STR("\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x01"),
	      TM_STR("\0\0\0\x01\0\0\0\x04\0\0\0\x02"));
	CHECK(tm_value_token(TM_STR("abc")) == -5434086359492102041);
}

TEST(decimals)
{
	struct tm_arena a;
	tm_arena_init(&a);
	static const char *const texts[][3] = {
	    {"1.50", "1.50", "1.50"},
	    {"1E+3", "1E+3", "1000"},
	    {"-0.001", "-0.001", "-0.001"},
	    {"0E-10", "0E-10", "0.0000000000"},
	    {"123456789012345678901234567890.5", "123456789012345678901234567890.5", "123456789012345678901234567890.5"}};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct tm_dec d, back;
		CHECK(tm_dec_parse(&a, tm_str_of(texts[i][0]), &d));
		CHECK_STR(tm_dec_text(&a, d), texts[i][1]);
		CHECK_STR(tm_dec_plain_text(&a, d), texts[i][2]);
		CHECK(tm_dec_of_bytes(&a, tm_dec_bytes(&a, d), &back));
		CHECK(tm_dec_cmp(&a, d, back) == 0);
	}
	struct tm_big x, y, q, r;
	CHECK(tm_big_parse(&a, TM_STR("123456789012345678901234567890"), &x) && tm_big_parse(&a, TM_STR("-987654321098765"), &y));
	tm_big_divmod(&a, x, y, &q, &r);
	CHECK_STR(tm_big_text(&a, q), "-124999998860937");
	CHECK_STR(tm_big_text(&a, tm_big_add(&a, tm_big_mul(&a, q, y), r)), "123456789012345678901234567890");
	tm_arena_done(&a);
}

TEST(reopen_and_exclusive)
{
	char dir[] = "/tmp/tm_table_XXXXXX";
	CHECK(mkdtemp(dir));
	struct tm_store *s, *other;
	CHECK_OK(tm_store_open(dir, &(struct tm_store_options){0}, &s, &err), err);
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	put(b, def, 1, 1, "kept", INT64_MIN, 0);
	CHECK_OK(tm_table_batch_commit(b, true, &err), err);
	CHECK_INT(tm_store_open(dir, &(struct tm_store_options){0}, &other, &err), TM_BUSY);
	uint8_t version[16];
	const struct tm_schema *schema = tm_store_schema(s);
	memcpy(version, schema->version, 16);
	tm_schema_unref(s, schema);
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
	CHECK_OK(tm_store_open(dir, &(struct tm_store_options){0}, &s, &err), err);
	def = tm_store_table(s, TM_STR("ks"), TM_STR("t"));
	CHECK(def != NULL);
	CHECK_STR(tm_str_of(scan(s, def)), "1/1=kept ");
	schema = tm_store_schema(s);
	CHECK(memcmp(version, schema->version, 16) == 0);
	tm_schema_unref(s, schema);
	tm_table_def_unref(s, def);
	tm_store_close(s);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

/* A child writes rows one commit each and says so after each; it is killed at some point; what it had said must be there. */
TEST(kill_keeps_acknowledged)
{
	char dir[] = "/tmp/tm_table_XXXXXX";
	CHECK(mkdtemp(dir));
	int64_t acknowledged = 0;
	for (int round = 0; round < 3; round++) {
		int fds[2];
		CHECK(pipe(fds) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			struct tm_store *s;
			if (tm_store_open(dir, &(struct tm_store_options){0}, &s, &err) != TM_OK)
				_exit(3);
			const struct tm_table_def *def = tm_store_table(s, TM_STR("ks"), TM_STR("t"));
			if (!def)
				def = make_table(s);
			struct tm_table_batch *b = tm_table_batch_new(s);
			for (int32_t i = 0;; i++) {
				put(b, def, round, i, "v", INT64_MIN, 0);
				if (tm_table_batch_commit(b, true, &err) != TM_OK || write(fds[1], &i, sizeof i) != sizeof i)
					_exit(4);
			}
		}
		close(fds[1]);
		int32_t last = -1, n;
		for (int i = 0; i < 20 + 15 * round && read(fds[0], &n, sizeof n) == sizeof n; i++)
			last = n;
		kill(pid, SIGKILL);
		while (read(fds[0], &n, sizeof n) == sizeof n)
			last = n;
		close(fds[0]);
		waitpid(pid, NULL, 0);
		CHECK(last >= 0);
		struct tm_store *s;
		CHECK_OK(tm_store_open(dir, &(struct tm_store_options){0}, &s, &err), err);
		const struct tm_table_def *def = tm_store_table(s, TM_STR("ks"), TM_STR("t"));
		CHECK(def != NULL);
		int64_t rows = 0;
		CHECK_OK(tm_table_count(s, def, &rows, &err), err);
		acknowledged += last + 1;
		CHECK(rows >= acknowledged);
		tm_table_def_unref(s, def);
		tm_store_close(s);
	}
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

/* The one file of the rows, as bytes. */
static struct tm_buf data_file(struct tm_store *s, const char *dir)
{
	const rocksdb_livefiles_t *files = rocksdb_livefiles(s->db);
	struct tm_buf bytes = {0};
	for (int i = 0; i < rocksdb_livefiles_count(files); i++) {
		if (strcmp(rocksdb_livefiles_column_family_name(files, i), "data") != 0)
			continue;
		char path[300];
		snprintf(path, sizeof path, "%s%s", dir, rocksdb_livefiles_name(files, i));
		CHECK_INT(bytes.len, 0);
		CHECK_OK(tm_file_read(tm_env_real(), path, 64 * TM_MIB, &bytes, &err), err);
	}
	rocksdb_livefiles_destroy(files);
	return bytes;
}

/* A whole index or filter of a large file would not stay in the small cache. RocksDB tells how many parts an index has; that the filter
 * has parts is told by the name of its block in the file. */
TEST(index_and_filter_in_parts)
{
	char dir[] = "/tmp/tm_table_XXXXXX";
	CHECK(mkdtemp(dir));
	struct tm_store *s;
	CHECK_OK(tm_store_open(dir, &(struct tm_store_options){0}, &s, &err), err);
	const struct tm_table_def *def = make_table(s);
	struct tm_table_batch *b = tm_table_batch_new(s);
	for (int32_t k = 0; k < 20000; k++)
		put(b, def, k, k, "a value of some length", INT64_MIN, 0);
	CHECK_OK(tm_table_batch_commit(b, false, &err), err);
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	char *message = NULL;
	rocksdb_flush_cf(s->db, o, s->family[TM_FAMILY_DATA], &message);
	rocksdb_flushoptions_destroy(o);
	CHECK(!message);
	char *properties = rocksdb_property_value_cf(s->db, s->family[TM_FAMILY_DATA], "rocksdb.aggregated-table-properties");
	CHECK(properties);
	const char *parts = strstr(properties, "# index partitions=");
	CHECK(parts);
	CHECK(strtol(strchr(parts, '=') + 1, NULL, 10) > 1);
	free(properties);
	struct tm_buf file = data_file(s, dir);
	CHECK(tm_str_find(tm_buf_str(&file), TM_STR("partitionedfilter.rocksdb."), 0) != SIZE_MAX);
	tm_buf_done(&file);
	tm_table_batch_free(b);
	tm_table_def_unref(s, def);
	tm_store_close(s);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}
TEST_MAIN()
