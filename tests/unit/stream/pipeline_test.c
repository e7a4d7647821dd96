/* Pipelines end to end inside the process: topics of a log -> SQL -> tables of a store and topics; dead letters; and the same
 * answer when the query dies at any step of a batch. */
#include <sys/stat.h>
#include <unistd.h>
#include "cql/cql.h"
#include "log/log.h"
#include "log/record.h"
#include "sql/sql.h"
#include "stream/query_int.h"
#include "unit.h"

struct house {
	char dir[64];
	struct tm_log *log;
	struct tm_store *store;
	struct tm_stream_world world;
	struct tm_sql *sql;
	struct tm_pipeline *pipeline;
	struct tm_err err;
};

static void open_house(struct house *h)
{
	*h = (struct house){.dir = "/tmp/tm_pipeline.XXXXXX"};
	CHECK(mkdtemp(h->dir) != NULL);
	char path[100];
	snprintf(path, sizeof path, "%s/log", h->dir);
	CHECK_OK(tm_log_open(path, &(struct tm_log_options){0}, &h->log, &h->err), h->err);
	snprintf(path, sizeof path, "%s/table", h->dir);
	CHECK_OK(tm_store_open(path, &(struct tm_store_options){.memory_only = true}, &h->store, &h->err), h->err);
	h->world = (struct tm_stream_world){.log = h->log, .store = h->store};
	h->sql = tm_sql_new(&(struct tm_sql_options){.world = &h->world, .time_zone = "UTC"});
}

static void close_house(struct house *h)
{
	tm_sql_free(h->sql);
	tm_store_close(h->store);
	tm_log_close(h->log);
	CHECK_OK(tm_dir_remove(h->dir, &h->err), h->err);
}

static void cql(struct house *h, const char *text)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cql_session session = {.store = h->store, .protocol_version = 4};
	struct tm_cql_query_options options = {.consistency = 1, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	struct tm_cql_result result;
	CHECK_OK(tm_cql_query(&session, tm_str_of(text), &options, NULL, &arena, &result, &h->err), h->err);
	tm_arena_done(&arena);
}

/* Rows as text, ordered: "a|1 b|2". */
static void cql_rows(struct house *h, const char *text, struct tm_buf *out)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cql_session session = {.store = h->store, .protocol_version = 4};
	struct tm_cql_query_options options = {.consistency = 1, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	struct tm_cql_result r;
	CHECK_OK(tm_cql_query(&session, tm_str_of(text), &options, NULL, &arena, &r, &h->err), h->err);
	char **lines = calloc(r.row_count + 1, sizeof *lines);
	for (size_t i = 0; i < r.row_count; i++) {
		struct tm_buf line = {0};
		for (size_t c = 0; c < r.column_count; c++) {
			struct tm_cql_value *v = &r.values[i * r.column_count + c];
			if (c)
				tm_buf_char(&line, '|');
			if (v->null)
				tm_buf_cstr_put(&line, "null");
			else
				tm_cql_value_text(r.columns[c].type, v->bytes, &line);
		}
		lines[i] = tm_strdup(tm_buf_cstr(&line));
		tm_buf_done(&line);
	}
	for (size_t i = 1; i < r.row_count; i++)
		for (size_t k = i; k && strcmp(lines[k - 1], lines[k]) > 0; k--) {
			char *swap = lines[k];
			lines[k] = lines[k - 1];
			lines[k - 1] = swap;
		}
	out->len = 0;
	for (size_t i = 0; i < r.row_count; i++) {
		tm_buf_printf(out, "%s%s", i ? " " : "", lines[i]);
		free(lines[i]);
	}
	free(lines);
	tm_buf_cstr(out);
	tm_arena_done(&arena);
}

static void produce(struct house *h, const char *topic, const char *const *values, size_t n)
{
	struct tm_topic *t = tm_log_topic_find(h->log, tm_str_of(topic));
	if (!t)
		CHECK_OK(tm_log_topic_create(h->log, tm_str_of(topic), 1, NULL, 0, &t, &h->err), h->err);
	struct tm_record *records = calloc(n, sizeof *records);
	for (size_t i = 0; i < n; i++)
		records[i] = (struct tm_record){
		    .timestamp_ms = 1700000000000 + (int64_t)i, .key_null = true, .value = tm_str_of(values[i]), .value_null = !values[i]};
	struct tm_buf bytes = {0};
	struct tm_batch_build build = {.producer_id = -1, .base_sequence = -1};
	CHECK_OK(tm_batch_write(&build, records, n, &bytes, &h->err), h->err);
	struct tm_log_append part = {.topic = t, .batches = tm_buf_str(&bytes)};
	CHECK_OK(tm_log_append_wait(h->log, &part, 1, &h->err), h->err);
	tm_buf_done(&bytes);
	free(records);
	tm_topic_unref(t);
}

/* Values of a topic's records, one per word. */
static void topic_values(struct house *h, const char *topic, struct tm_buf *out)
{
	out->len = 0;
	struct tm_topic *t = tm_log_topic_find(h->log, tm_str_of(topic));
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_buf bytes = {0};
	struct tm_log_offsets o = {0};
	if (t)
		CHECK_OK(tm_log_offsets(t, 0, &o, &h->err), h->err);
	int64_t at = 0;
	while (t && at < o.high_watermark) {
		struct tm_log_read read = {.offset = at, .max_bytes = 1 << 20, .at_least_one = true};
		bytes.len = 0;
		CHECK_OK(tm_log_read(t, 0, &read, &arena, &bytes, &h->err), h->err);
		struct tm_str rest = tm_buf_str(&bytes);
		struct tm_batch_info info;
		while (tm_batch_next(&rest, true, &info, NULL) == TM_OK) {
			struct tm_record *records;
			size_t n;
			CHECK_OK(tm_batch_records(&info, &arena, &records, &n, &h->err), h->err);
			for (size_t i = 0; i < n; i++)
				tm_buf_printf(out, "%s%.*s", out->len ? " " : "", TM_STR_ARG(records[i].value));
			at = info.base_offset + info.last_offset_delta + 1;
		}
	}
	tm_buf_cstr(out);
	tm_buf_done(&bytes);
	tm_arena_done(&arena);
	if (t)
		tm_topic_unref(t);
}

static void load(struct house *h, const char *text)
{
	CHECK_OK(tm_sql_pipeline(h->sql, TM_STR("test.sql"), tm_str_of(text), false, &h->pipeline, &h->err), h->err);
}

static void drain(struct house *h, struct tm_query *q)
{
	bool ran = true;
	while (ran)
		CHECK_OK(tm_query_step(q, &ran, &h->err), h->err);
}

#define SOURCE "CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'in', startingOffsets 'earliest');\n"
#define PARSED                                                                                                                             \
	SOURCE "CREATE TEMPORARY VIEW events AS SELECT e.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, n INT, at "           \
	       "TIMESTAMP') AS e FROM STREAM raw);\n"

TEST(rows_arrive_and_bad_ones_are_kept)
{
	struct house h;
	struct tm_buf text = {0};
	open_house(&h);
	cql(&h, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(&h, "CREATE TABLE ks.t (id text PRIMARY KEY, n int, at timestamp)");
	const char *const values[] = {"{\"id\":\"a\",\"n\":1,\"at\":\"2026-01-01T00:00:00Z\"}", "{\"id\":\"b\",", "{\"n\":3}",
				      "{\"id\":\"d\",\"n\":\"x\"}", "not json"};
	produce(&h, "in", values, 5);
	load(&h, PARSED "CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'ks', table 't') AS SELECT * FROM STREAM events;");
	struct tm_query *q;
	CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
	drain(&h, q);
	cql_rows(&h, "SELECT id, n FROM ks.t", &text);
	CHECK_STR(tm_buf_str(&text), "a|1 d|null");
	cql_rows(&h, "SELECT reason, topic, partition, offset FROM tidemill.dead_letters", &text);
	CHECK_STR(tm_buf_str(&text), "malformed_record|in|0|1 malformed_record|in|0|4 null_key|in|0|2");
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_query_progress p;
	tm_query_progress(q, &arena, &p);
	CHECK_INT(p.rows_read, 5);
	CHECK_INT(p.rows_written, 2);
	CHECK_INT(p.dead_count, 2);
	tm_arena_done(&arena);
	tm_query_free(q);
	tm_buf_done(&text);
	close_house(&h);
}

/* A subquery that is no join by key runs for every micro-batch's rows, and they keep the way to their records. */
TEST(a_stream_asks_a_correlated_subquery)
{
	struct house h;
	struct tm_buf text = {0};
	open_house(&h);
	cql(&h, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(&h, "CREATE TABLE ks.t (id text PRIMARY KEY, n int, above int, odd boolean)");
	load(&h, PARSED "CREATE TEMPORARY VIEW marks AS SELECT * FROM VALUES (2), (5), (9), (NULL) v(x);\n"
			"CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'ks', table 't', outputMode 'update') AS "
			"SELECT id, n, CAST((SELECT count(*) + 1 FROM marks WHERE x = n) AS INT) AS above, "
			"n IN (SELECT x FROM marks WHERE x < n + 1) AS odd FROM STREAM events "
			"WHERE EXISTS (SELECT 1 FROM marks WHERE x > n) OR n IS NULL OR id IS NULL;");
	struct tm_query *q;
	CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
	const char *const first[] = {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":5}", "{\"id\":\"c\",\"n\":20}", "{\"n\":30}"},
			  *const second[] = {"{\"id\":\"d\",\"n\":5}", "{\"id\":\"e\"}"};
	produce(&h, "in", first, 4);
	drain(&h, q);
	produce(&h, "in", second, 2);
	drain(&h, q);
	cql_rows(&h, "SELECT id, n, above, odd FROM ks.t", &text);
	CHECK_STR(tm_buf_str(&text), "a|1|1|false b|5|2|true d|5|2|true e|null|1|false");
	cql_rows(&h, "SELECT reason, offset FROM tidemill.dead_letters", &text);
	CHECK_STR(tm_buf_str(&text), "null_key|3");
	tm_query_free(q);
	tm_buf_done(&text);
	close_house(&h);
}

static void count(void *ctx, struct tm_query *q)
{
	(void)q;
	__atomic_add_fetch((int *)ctx, 1, __ATOMIC_RELAXED);
}

/* As the instance does it: the query's thread is in its first batches when it learns whom to tell (for the thread sanitizer). */
TEST(who_is_told_of_batches_may_be_said_while_they_run)
{
	struct house h;
	open_house(&h);
	cql(&h, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(&h, "CREATE TABLE ks.t (id text PRIMARY KEY, n int, at timestamp)");
	const char *const values[] = {"{\"id\":\"a\",\"n\":1}"};
	produce(&h, "in", values, 1);
	load(&h, PARSED "CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'ks', table 't') AS SELECT * FROM STREAM events;");
	for (int round = 0; round < 5; round++) {
		struct tm_query *q;
		int told[2] = {0};
		CHECK_OK(tm_query_start(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
		for (int i = 0; i < 200 && !__atomic_load_n(&told[1], __ATOMIC_RELAXED); i++) {
			tm_query_on_batch(q, count, &told[i & 1]);
			produce(&h, "in", values, 1);
			usleep(1000);
		}
		tm_query_on_batch(q, count, &told[1]);
		for (int i = 0; i < 5000 && !__atomic_load_n(&told[1], __ATOMIC_RELAXED); i++) {
			if (i % 100 == 0)
				produce(&h, "in", values, 1);
			usleep(2000);
		}
		tm_query_free(q);
		CHECK(told[1] > 0);
	}
	close_house(&h);
}

/* The end of the process must not wait for a batch that takes hours: it is left as a crash would leave it. */
TEST(a_long_batch_does_not_hold_up_the_end)
{
	enum { RECORDS = 5000 };
	struct house h;
	const char *values[RECORDS];
	for (size_t i = 0; i < RECORDS; i++)
		values[i] = "v";
	open_house(&h);
	produce(&h, "in", values, RECORDS);
	load(&h, "CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'in', startingOffsets 'earliest');"
		 "CREATE STREAMING TABLE t USING noop OPTIONS (outputMode 'update') AS "
		 "SELECT count(*) FROM (SELECT explode(sequence(1, 1000000)) FROM STREAM raw);");
	for (int round = 0; round < 2; round++) { /* the second begins with the batch that the first has left */
		struct tm_query *q;
		CHECK_OK(tm_query_start(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
		usleep(200000);
		tm_query_stop(q);
		struct tm_arena arena;
		struct tm_query_progress p;
		tm_arena_init(&arena);
		tm_query_progress(q, &arena, &p);
		CHECK_INT(p.state, TM_QUERY_STOPPED);
		CHECK_INT(p.batches, 0);
		tm_arena_done(&arena);
		tm_query_free(q);
	}
	close_house(&h);
}

TEST(a_sink_that_does_not_fit_is_refused_by_name)
{
	struct house h;
	struct tm_query *q;
	open_house(&h);
	cql(&h, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(&h, "CREATE TABLE ks.t (id text, day date, n int, PRIMARY KEY (id, day))");
	load(&h,
	     PARSED "CREATE STREAMING TABLE t USING cassandra OPTIONS (keyspace 'ks', table 't') AS SELECT id, n FROM STREAM events;"
		    "CREATE STREAMING TABLE u USING cassandra OPTIONS (keyspace 'ks', table 't') AS SELECT id, n AS day, at AS m FROM "
		    "STREAM events;"
		    "CREATE STREAMING TABLE v USING cassandra OPTIONS (keyspace 'ks', table 'nothere') AS SELECT id FROM STREAM events;");
	CHECK_INT(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), TM_INVALID);
	CHECK(strstr(h.err.what, "missing in the result: day") != NULL);
	CHECK_INT(tm_query_open(&h.world, &h.pipeline->queries[1], &q, &h.err), TM_INVALID);
	CHECK(strstr(h.err.what, "columns not found in table ks.t: m") != NULL);
	CHECK_INT(tm_query_open(&h.world, &h.pipeline->queries[2], &q, &h.err), TM_NOT_FOUND);
	close_house(&h);
}

/* What a batch writes is held until its commit: one that writes few of the rows it reads may read more of a backlog. */
TEST(a_backlog_is_read_in_larger_batches_where_few_rows_are_written)
{
	enum { ROUNDS = 40, PER_ROUND = 500, VALUE_BYTES = 250 };
	static const char *const queries[] = {
	    "CREATE STREAMING TABLE every USING noop AS SELECT value FROM STREAM raw;",
	    "CREATE STREAMING TABLE few USING noop OPTIONS (outputMode 'update') AS SELECT count(*) FROM STREAM raw;"};
	struct house h;
	char value[VALUE_BYTES + 1];
	const char *values[PER_ROUND];
	int64_t batches[2];
	struct tm_buf text = {0};
	open_house(&h);
	memset(value, 'v', VALUE_BYTES);
	value[VALUE_BYTES] = 0;
	for (size_t i = 0; i < PER_ROUND; i++)
		values[i] = value;
	for (int i = 0; i < ROUNDS; i++)
		produce(&h, "in", values, PER_ROUND);
	for (size_t i = 0; i < 2; i++) {
		struct tm_query *q;
		struct tm_query_progress p;
		struct tm_arena arena;
		text.len = 0;
		tm_buf_printf(&text, SOURCE "%s", queries[i]);
		load(&h, tm_buf_cstr(&text));
		CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
		drain(&h, q);
		tm_arena_init(&arena);
		tm_query_progress(q, &arena, &p);
		CHECK_INT(p.rows_read, ROUNDS * PER_ROUND);
		batches[i] = p.batches;
		tm_arena_done(&arena);
		tm_query_free(q);
	}
	CHECK(batches[0] >= (int64_t)(ROUNDS * PER_ROUND * VALUE_BYTES / TM_MIB));
	CHECK(batches[1] > 1 && batches[1] <= 3);
	tm_buf_done(&text);
	close_house(&h);
}

TEST(a_topic_that_is_not_there_yet_is_waited_for)
{
	struct house h;
	struct tm_query *q;
	struct tm_buf text = {0};
	bool ran;
	open_house(&h);
	load(&h, SOURCE "CREATE STREAMING TABLE out USING kafka OPTIONS (topic 'out') AS SELECT value FROM STREAM raw;");
	CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
	CHECK_OK(tm_query_step(q, &ran, &h.err), h.err);
	CHECK(!ran);
	const char *const values[] = {"1", "2"};
	produce(&h, "in", values, 2);
	drain(&h, q);
	topic_values(&h, "out", &text);
	CHECK_STR(tm_buf_str(&text), "1 2");
	tm_query_free(q);
	tm_buf_done(&text);
	close_house(&h);
}

/* Runs the pipeline over three batches; in batch `die_batch` the query dies at `fault` and is opened again. */
static void run_with_death(int64_t die_batch, enum tm_fault fault, struct tm_buf *table, struct tm_buf *topic, int64_t *ret_dead)
{
	struct house h;
	open_house(&h);
	cql(&h, "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(&h, "CREATE TABLE ks.counts (id text PRIMARY KEY, n bigint, total bigint)");
	load(&h, PARSED "CREATE STREAMING TABLE counts USING cassandra OPTIONS (keyspace 'ks', table 'counts', outputMode 'update') AS "
			"SELECT id, count(*) AS n, sum(n) AS total FROM STREAM events WHERE id IS NOT NULL GROUP BY id;\n"
			"CREATE STREAMING TABLE copies USING kafka OPTIONS (topic 'out', outputMode 'update') AS "
			"SELECT concat(id, ':', CAST(count(*) AS STRING)) AS value FROM STREAM events WHERE id IS NOT NULL GROUP BY id;");
	static const char *const values[3][4] = {
	    {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":2}", "{\"id\":\"a\",\"n\":3}", "broken"},
	    {"{\"id\":\"c\",\"n\":1}", "{\"id\":\"b\",\"n\":5}", "{\"id\":\"d\",\"n\":1}", "{\"id\":\"a\",\"n\":1}"},
	    {"{\"id\":\"a\",\"n\":1}", "[", "{\"id\":\"e\",\"n\":1}", "{\"id\":\"c\",\"n\":1}"}};
	for (int q_at = 0; q_at < 2; q_at++) {
		struct tm_query *q;
		CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[q_at], &q, &h.err), h.err);
		for (int b = 0; b < 3; b++) {
			if (q_at == 0)
				produce(&h, "in", values[b], 4);
			else if (b > 0)
				break; /* the second query reads all at once */
			if (b == die_batch || (q_at == 1 && die_batch >= 0)) {
				bool ran;
				tm_query_fail_at(q, fault);
				CHECK_INT(tm_query_step(q, &ran, &h.err), TM_CANCELLED);
				tm_query_free(q);
				CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[q_at], &q, &h.err), h.err);
			}
			drain(&h, q);
		}
		tm_query_free(q);
	}
	cql_rows(&h, "SELECT id, n, total FROM ks.counts", table);
	topic_values(&h, "out", topic);
	struct tm_buf dead = {0};
	cql_rows(&h, "SELECT count(*) FROM tidemill.dead_letters WHERE query = 'counts'", &dead);
	*ret_dead = atoll(tm_buf_cstr(&dead));
	tm_buf_done(&dead);
	close_house(&h);
}

TEST(the_same_after_dying_at_any_step)
{
	struct tm_buf table = {0}, topic = {0}, clean_table = {0}, clean_topic = {0};
	int64_t dead, clean_dead;
	run_with_death(-1, TM_FAULT_NONE, &clean_table, &clean_topic, &clean_dead);
	CHECK_STR(tm_buf_str(&clean_table), "a|4|6 b|2|7 c|2|2 d|1|1 e|1|1");
	CHECK_STR(tm_buf_str(&clean_topic), "a:4 b:2 c:2 d:1 e:1");
	CHECK_INT(clean_dead, 2);
	for (int64_t b = 0; b < 3; b++)
		for (enum tm_fault f = TM_FAULT_ANNOUNCED; f <= TM_FAULT_COMMITTED; f++) {
			run_with_death(b, f, &table, &topic, &dead);
			CHECK_STR(tm_buf_str(&table), tm_buf_cstr(&clean_table));
			CHECK_STR(tm_buf_str(&topic), tm_buf_cstr(&clean_topic));
			CHECK_INT(dead, clean_dead);
		}
	tm_buf_done(&table);
	tm_buf_done(&topic);
	tm_buf_done(&clean_table);
	tm_buf_done(&clean_topic);
}

/* Damage of any byte of any entry of the checkpoint is noticed at the start; nothing is read as something else. */
struct entries {
	struct {
		char *key, *value;
		size_t key_len, value_len;
	} items[64];
	size_t count;
};
static tm_rc take_entry(void *ctx, struct tm_str key, struct tm_str value)
{
	struct entries *e = ctx;
	CHECK(e->count < 64);
	e->items[e->count].key = (char *)(uintptr_t)tm_str_dup(key).at;
	e->items[e->count].key_len = key.len;
	e->items[e->count].value = (char *)(uintptr_t)tm_str_dup(value).at;
	e->items[e->count++].value_len = value.len;
	return TM_OK;
}

static void put(struct house *h, const char *key, size_t key_len, const char *value, size_t value_len)
{
	struct tm_table_batch *b = tm_table_batch_new(h->store);
	tm_table_batch_put_bytes(b, "stream", tm_str_n(key, key_len), tm_str_n(value, value_len));
	CHECK_OK(tm_table_batch_commit(b, false, &h->err), h->err);
	tm_table_batch_free(b);
}

TEST(a_damaged_checkpoint_is_refused)
{
	struct house h;
	struct tm_query *q;
	open_house(&h);
	load(&h, PARSED "CREATE STREAMING TABLE c USING noop OPTIONS (outputMode 'update') AS SELECT id, count(*) AS n FROM STREAM events "
			"GROUP BY id;");
	const char *const values[] = {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":2}"};
	produce(&h, "in", values, 2);
	CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
	drain(&h, q);
	tm_query_free(q);
	struct entries e = {0};
	CHECK_OK(tm_store_scan_bytes(h.store, "stream", TM_STR(""), take_entry, &e, &h.err), h.err);
	CHECK(e.count >= 4);
	int refused = 0, tried = 0;
	for (size_t i = 0; i < e.count; i++) {
		if (e.items[i].key[2] == 'i' || (e.items[i].key_len == 3 && e.items[i].key[2] == 'i'))
			continue; /* where it began: not read once there is a commit */
		for (size_t at = 0; at < e.items[i].value_len; at += 3) {
			e.items[i].value[at] ^= 0x10;
			put(&h, e.items[i].key, e.items[i].key_len, e.items[i].value, e.items[i].value_len);
			tried++;
			if (tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err) == TM_OK)
				tm_query_free(q);
			else
				refused += h.err.rc == TM_CORRUPT;
			e.items[i].value[at] ^= 0x10;
		}
		put(&h, e.items[i].key, e.items[i].key_len, e.items[i].value, e.items[i].value_len);
	}
	CHECK(tried > 20);
	CHECK_INT(refused, tried);
	CHECK_OK(tm_query_open(&h.world, &h.pipeline->queries[0], &q, &h.err), h.err);
	tm_query_free(q);
	for (size_t i = 0; i < e.count; i++) {
		free(e.items[i].key);
		free(e.items[i].value);
	}
	close_house(&h);
}
TEST_MAIN()
