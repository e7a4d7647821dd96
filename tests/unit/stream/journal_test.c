/* A query that goes on in another instance, which has nothing but the journal and the broker: the same answer wherever the first one
 * died; a first one that goes on although its journal refuses it writes nothing. */
#include <unistd.h>
#include "cql/cql.h"
#include "log/log.h"
#include "log/record.h"
#include "sql/sql.h"
#include "stream/journal.h"
#include "memory_journal.h"
#include "stream/query_int.h"
#include "unit.h"

struct house {
	struct tm_store *store;
	struct tm_stream_world world;
	struct tm_sql *sql;
	struct tm_pipeline *pipeline;
	struct tm_query *query;
};
static struct tm_err err;

#define PIPELINE                                                                                                                           \
	"CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'in', startingOffsets 'earliest');\n"                                    \
	"CREATE TEMPORARY VIEW events AS SELECT e.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, n INT') AS e FROM STREAM "   \
	"raw);\n"                                                                                                                          \
	"CREATE STREAMING TABLE copies USING kafka OPTIONS (topic 'out', outputMode 'update') AS "                                         \
	"SELECT concat(id, ':', CAST(count(*) AS STRING), ':', CAST(sum(n) AS STRING)) AS value FROM STREAM events WHERE id IS NOT NULL "  \
	"GROUP BY id;"

/* An instance: a store of its own, filled from the journal; its query is open. */
static void open_house(struct house *h, struct tm_log *log, struct memory *m)
{
	memset(h, 0, sizeof *h);
	CHECK_OK(tm_store_open("", &(struct tm_store_options){.memory_only = true}, &h->store, &err), err);
	struct tm_stream_replica *r;
	CHECK_OK(tm_stream_replica_new(h->store, &r, &err), err);
	CHECK_OK(tm_stream_replica_clear(r, &err), err);
	for (size_t i = 0; i < m->entries.count; i++)
		CHECK_OK(tm_stream_replica_apply(r, &m->entries.items[i], &err), err);
	CHECK_OK(tm_stream_replica_commit(r, &err), err);
	tm_stream_replica_free(r);
	h->world = (struct tm_stream_world){.log = log, .store = h->store, .journal = &m->journal};
	h->sql = tm_sql_new(&(struct tm_sql_options){.world = &h->world, .time_zone = "UTC"});
	CHECK_OK(tm_sql_pipeline(h->sql, TM_STR("test.sql"), TM_STR(PIPELINE), false, &h->pipeline, &err), err);
	CHECK_OK(tm_query_open(&h->world, &h->pipeline->queries[0], &h->query, &err), err);
}

static void close_house(struct house *h)
{
	tm_query_free(h->query);
	tm_sql_free(h->sql);
	tm_store_close(h->store);
}

static void produce(struct tm_log *log, const char *const *values, size_t n)
{
	struct tm_topic *t = tm_log_topic_find(log, TM_STR("in"));
	if (!t)
		CHECK_OK(tm_log_topic_create(log, TM_STR("in"), 1, NULL, 0, &t, &err), err);
	struct tm_record records[8];
	for (size_t i = 0; i < n; i++)
		records[i] = (struct tm_record){.timestamp_ms = 1700000000000, .key_null = true, .value = tm_str_of(values[i])};
	struct tm_buf bytes = {0};
	struct tm_batch_build build = {.producer_id = -1, .base_sequence = -1};
	CHECK_OK(tm_batch_write(&build, records, n, &bytes, &err), err);
	struct tm_log_append part = {.topic = t, .batches = tm_buf_str(&bytes)};
	CHECK_OK(tm_log_append_wait(log, &part, 1, &err), err);
	tm_buf_done(&bytes);
	tm_topic_unref(t);
}

static void topic_values(struct tm_log *log, const char *topic, struct tm_buf *out)
{
	struct tm_topic *t = tm_log_topic_find(log, tm_str_of(topic));
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_buf bytes = {0};
	struct tm_log_read read = {.max_bytes = 1 << 20, .at_least_one = true};
	out->len = 0;
	if (t)
		CHECK_OK(tm_log_read(t, 0, &read, &arena, &bytes, &err), err);
	struct tm_str rest = tm_buf_str(&bytes);
	struct tm_batch_info info;
	while (tm_batch_next(&rest, true, &info, NULL) == TM_OK) {
		struct tm_record *records;
		size_t n;
		CHECK_OK(tm_batch_records(&info, &arena, &records, &n, &err), err);
		for (size_t i = 0; i < n; i++)
			tm_buf_printf(out, "%s%.*s", out->len ? " " : "", TM_STR_ARG(records[i].value));
	}
	tm_buf_cstr(out);
	tm_buf_done(&bytes);
	tm_arena_done(&arena);
	if (t)
		tm_topic_unref(t);
}

static void drain(struct tm_query *q)
{
	for (bool ran = true; ran;)
		CHECK_OK(tm_query_step(q, &ran, &err), err);
}

static int64_t dead_letters(struct house *h)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cql_session session = {.store = h->store, .protocol_version = 4};
	struct tm_cql_query_options options = {.consistency = 1, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	struct tm_cql_result r;
	CHECK_OK(tm_cql_query(&session, TM_STR("SELECT topic, offset, value FROM tidemill.dead_letters"), &options, NULL, &arena, &r, &err),
		 err);
	int64_t n = (int64_t)r.row_count;
	tm_arena_done(&arena);
	return n;
}

/* Three batches; in batch die_batch the instance dies at `fault`, and another one goes on. */
static void run_with_takeover(int64_t die_batch, enum tm_fault fault, struct tm_buf *ret_topic, int64_t *ret_dead)
{
	static const char *const values[3][4] = {
	    {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":2}", "{\"id\":\"a\",\"n\":3}", "broken"},
	    {"{\"id\":\"c\",\"n\":1}", "{\"id\":\"b\",\"n\":5}", "{\"id\":\"d\",\"n\":1}", "{\"id\":\"a\",\"n\":1}"},
	    {"{\"id\":\"a\",\"n\":1}", "[", "{\"id\":\"e\",\"n\":1}", "{\"id\":\"c\",\"n\":1}"}};
	char dir[] = "/tmp/tm_journal.XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	struct tm_log *log;
	CHECK_OK(tm_log_open(dir, &(struct tm_log_options){0}, &log, &err), err);
	struct memory m = MEMORY_JOURNAL;
	struct house first, second, *now = &first;
	open_house(&first, log, &m);
	for (int64_t b = 0; b < 3; b++) {
		produce(log, values[b], 4);
		if (b == die_batch) {
			bool ran;
			tm_query_fail_at(first.query, fault);
			CHECK_INT(tm_query_step(first.query, &ran, &err), TM_CANCELLED);
			open_house(&second, log, &m);
			now = &second;
		}
		drain(now->query);
	}
	topic_values(log, "out", ret_topic);
	*ret_dead = dead_letters(now);
	close_house(&first);
	if (now == &second)
		close_house(&second);
	memory_done(&m);
	tm_log_close(log);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

TEST(another_instance_goes_on_from_the_journal_alone)
{
	struct tm_buf clean = {0}, topic = {0};
	int64_t clean_dead, dead;
	run_with_takeover(-1, TM_FAULT_NONE, &clean, &clean_dead);
	CHECK_STR(tm_buf_str(&clean), "a:2:4 b:1:2 a:3:5 b:2:7 c:1:1 d:1:1 a:4:6 c:2:2 e:1:1");
	CHECK_INT(clean_dead, 2); /* they move too */
	for (int64_t b = 0; b < 3; b++)
		for (enum tm_fault f = TM_FAULT_ANNOUNCED; f <= TM_FAULT_COMMITTED; f++) {
			run_with_takeover(b, f, &topic, &dead);
			CHECK_STR(tm_buf_str(&topic), tm_buf_cstr(&clean));
			CHECK_INT(dead, clean_dead);
		}
	tm_buf_done(&clean);
	tm_buf_done(&topic);
}

TEST(whom_the_journal_refuses_writes_nothing)
{
	char dir[] = "/tmp/tm_journal.XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	struct tm_log *log;
	CHECK_OK(tm_log_open(dir, &(struct tm_log_options){0}, &log, &err), err);
	struct memory m = MEMORY_JOURNAL;
	struct house h;
	static const char *const values[] = {"{\"id\":\"a\",\"n\":1}"};
	struct tm_buf topic = {0};
	open_house(&h, log, &m);
	produce(log, values, 1);
	drain(h.query);
	topic_values(log, "out", &topic);
	CHECK_STR(tm_buf_str(&topic), "a:1:1");
	m.refuses = true;
	produce(log, values, 1);
	bool ran;
	CHECK_INT(tm_query_step(h.query, &ran, &err), TM_CANCELLED);
	CHECK_INT(tm_query_step(h.query, &ran, &err), TM_CANCELLED); /* it does not try again by itself */
	topic_values(log, "out", &topic);
	CHECK_STR(tm_buf_str(&topic), "a:1:1");
	close_house(&h);
	m.refuses = false; /* the next leader runs what was never announced */
	open_house(&h, log, &m);
	drain(h.query);
	topic_values(log, "out", &topic);
	CHECK_STR(tm_buf_str(&topic), "a:1:1 a:2:2");
	close_house(&h);
	tm_buf_done(&topic);
	memory_done(&m);
	tm_log_close(log);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

TEST(a_store_seeds_an_empty_journal)
{
	char dir[] = "/tmp/tm_journal.XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	struct tm_log *log;
	CHECK_OK(tm_log_open(dir, &(struct tm_log_options){0}, &log, &err), err);
	struct memory none = MEMORY_JOURNAL, m = MEMORY_JOURNAL;
	struct house alone, next;
	static const char *const values[] = {"{\"id\":\"a\",\"n\":1}", "{\"id\":\"b\",\"n\":1}"};
	struct tm_buf topic = {0};
	open_house(&alone, log, &none);
	produce(log, values, 2);
	drain(alone.query);
	size_t seeded;
	CHECK_OK(tm_stream_journal_seed(alone.store, &m.journal, &seeded, &err), err);
	CHECK(seeded >= 3 && seeded == m.entries.count);
	close_house(&alone);
	open_house(&next, log, &m);
	produce(log, values, 1);
	drain(next.query);
	topic_values(log, "out", &topic);
	CHECK_STR(tm_buf_str(&topic), "a:1:1 b:1:1 a:2:2");
	close_house(&next);
	tm_buf_done(&topic);
	memory_done(&none);
	memory_done(&m);
	tm_log_close(log);
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

TEST_MAIN()
