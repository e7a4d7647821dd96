/* Streaming queries over JSON bids in a topic: records per CPU-second of the whole process (the query, the log's
 * commits, what the store flushes and compacts).
 * usage: stream_bench [records] [query…]   queries: q0 q1 q2 q12 q17 q5 q18 q19 window dedup table latency (default: all)
 * table: every bid a row of a table; latency: one record at a time, from its append to the commit of its row. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "clocks.h"
#include "cql/cql.h"
#include "log/log.h"
#include "log/record.h"
#include "sql/sql.h"
#include "table/table.h"

static const char views[] = "CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'bids', startingOffsets 'earliest');\n"
			    "CREATE TEMPORARY VIEW bid AS SELECT b.* FROM (SELECT from_json(CAST(value AS STRING), 'auction BIGINT, bidder "
			    "BIGINT, price BIGINT, channel STRING, "
			    "url STRING, date_time TIMESTAMP, extra STRING') AS b FROM STREAM raw);\n";
static const struct {
	const char *name, *mode, *sql, *sink;
} queries[] = {
    {"q0", "append", "SELECT auction, bidder, price, channel, url, date_time, extra FROM STREAM bid", NULL},
    {"q1", "append", "SELECT auction, bidder, price * 0.908 AS price, date_time FROM STREAM bid", NULL},
    {"q2", "append", "SELECT auction, price FROM STREAM bid WHERE auction % 123 = 0", NULL},
    {"q12", "update", "SELECT bidder, count(*) AS bids FROM STREAM bid GROUP BY bidder", NULL},
    {"q17", "update",
     "SELECT auction, date_trunc('DAY', date_time) AS day, count(*) AS total, count(*) FILTER (WHERE price < 10000) AS low, "
     "count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle, count(*) FILTER (WHERE price >= 1000000) AS high, "
     "min(price) AS least, max(price) AS most, avg(price) AS mean, sum(price) AS sum FROM STREAM bid GROUP BY auction, date_trunc('DAY', "
     "date_time)",
     NULL},
    /* The most wanted auction of each sliding window. */
    {"q5", "append",
     "SELECT w, max_by(auction, n) AS auction, max(n) AS n FROM (SELECT auction, window(date_time, '10 seconds', '2 seconds') AS w, "
     "count(*) "
     "AS n FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS GROUP BY auction, window(date_time, '10 seconds', '2 seconds')) "
     "GROUP BY w",
     NULL},
    /* The last bid of each bidder on each auction. Spark has no ROW_NUMBER over a stream; this gives the same rows. */
    {"q18", "update",
     "SELECT bidder, auction, max_by(struct(price, channel, url, date_time, extra), date_time) AS last FROM STREAM bid GROUP BY bidder, "
     "auction",
     NULL},
    /* The ten highest bids of each auction. */
    {"q19", "update",
     "SELECT auction, max_by(struct(bidder, price, channel, url, date_time, extra), price, 10) AS best FROM STREAM bid GROUP BY auction",
     NULL},
    {"window", "append",
     "SELECT channel, window(date_time, '10 seconds').start AS start, count(*) AS n, max(price) AS most FROM STREAM bid "
     "WATERMARK date_time DELAY OF INTERVAL 4 SECONDS GROUP BY channel, window(date_time, '10 seconds')",
     NULL},
    {"dedup", "append", "SELECT DISTINCT auction, bidder, date_time FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS", NULL},
    {"table", "append", "SELECT bidder, date_time, auction, price, channel FROM STREAM bid", "cassandra"},
};

static _Noreturn void fail(const struct tm_err *err)
{
	char text[1600];
	fprintf(stderr, "%s\n", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
	exit(1);
}

static uint64_t seed = 42;
static uint64_t below(uint64_t n) { return tm_hash_u64(seed++) % n; }

/* Nexmark's own distribution: of 50 events one is a person, three are auctions, the others bids; half of the bids go to the hot auction
 * of the time, three of four come from the hot bidder, the others are spread over what is open and who is active. 10,000 events a second.
 */
enum { EVENTS = 50, BIDS = 46, HOT = 100, ACTIVE_PEOPLE = 1000, OPEN_AUCTIONS = 100, FIRST_ID = 1000 };

static size_t bid_json(size_t at, char *out, size_t size, int64_t *ret_ms)
{
	static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};
	size_t event = at / BIDS * EVENTS + (EVENTS - BIDS) + at % BIDS, ms = event / 10;
	uint64_t person = event / EVENTS, last = event / EVENTS * 3 + 2, active = person < ACTIVE_PEOPLE ? person : ACTIVE_PEOPLE;
	uint64_t open = last < OPEN_AUCTIONS ? last : OPEN_AUCTIONS;
	uint64_t auction = below(2) ? last / HOT * HOT : last - open + below(open + 1 + 10);
	uint64_t bidder = below(4) ? person / HOT * HOT + 1 : person - active + below(active + 100);
	static const uint64_t powers[] = {100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
	uint64_t decade = below(6), price = powers[decade] + below(powers[decade + 1] - powers[decade]);
	char channel[24], extra[80];
	uint64_t number = below(10000);
	if (below(2))
		snprintf(channel, sizeof channel, "%s", hot_channels[number & 3]);
	else
		snprintf(channel, sizeof channel, "channel-%llu", (unsigned long long)number);
	size_t length = 20 + below(40);
	for (size_t i = 0; i < length; i++)
		extra[i] = (char)('a' + (number * 31 + i * 7) % 26);
	extra[length] = 0;
	*ret_ms = 1767225600000 + (int64_t)ms;
	return (size_t)snprintf(out, size,
				"{\"auction\":%llu,\"bidder\":%llu,\"price\":%llu,\"channel\":\"%s\",\"url\":\"https://"
				"www.nexmark.com/abo/bpfd/rgs/item.htm?query=1&channel_id=%llu\","
				"\"date_time\":\"2026-01-01T%02zu:%02zu:%02zu.%03zuZ\",\"extra\":\"%s\"}",
				(unsigned long long)(FIRST_ID + auction), (unsigned long long)(FIRST_ID + bidder),
				(unsigned long long)price, channel, (unsigned long long)number, ms / 3600000 % 24, ms / 60000 % 60,
				ms / 1000 % 60, ms % 1000, extra);
}

static void fill_topic(struct tm_log *log, size_t records)
{
	struct tm_err err = {0};
	struct tm_topic *topic;
	if (tm_log_topic_create(log, TM_STR("bids"), 1, NULL, 0, &topic, &err))
		fail(&err);
	enum { PER_BATCH = 2000 };
	static struct tm_record list[PER_BATCH];
	static char text[PER_BATCH][400];
	struct tm_buf bytes = {0};
	for (size_t at = 0; at < records; at += PER_BATCH) {
		size_t n = records - at < PER_BATCH ? records - at : PER_BATCH;
		for (size_t i = 0; i < n; i++) {
			list[i] = (struct tm_record){.key_null = true};
			list[i].value = (struct tm_str){text[i], bid_json(at + i, text[i], sizeof text[i], &list[i].timestamp_ms)};
		}
		struct tm_batch_build build = {.producer_id = -1, .base_sequence = -1};
		bytes.len = 0;
		if (tm_batch_write(&build, list, n, &bytes, &err))
			fail(&err);
		struct tm_log_append part = {.topic = topic, .batches = tm_buf_str(&bytes)};
		if (tm_log_append_wait(log, &part, 1, &err))
			fail(&err);
	}
	tm_buf_done(&bytes);
	tm_topic_unref(topic);
}

static void cql(struct tm_store *store, const char *text)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	tm_arena_init(&arena);
	struct tm_cql_session session = {.store = store, .protocol_version = 4};
	struct tm_cql_query_options options = {.consistency = 1, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	struct tm_cql_result result;
	if (tm_cql_query(&session, tm_str_of(text), &options, NULL, &arena, &result, &err))
		fail(&err);
	tm_arena_done(&arena);
}

static void run(const struct tm_stream_world *world, size_t at, size_t records)
{
	struct tm_err err = {0};
	struct tm_sql *sql = tm_sql_new(&(struct tm_sql_options){.world = world, .time_zone = "UTC"});
	struct tm_buf text = {0};
	tm_buf_printf(&text, "%sCREATE STREAMING TABLE %s USING %s OPTIONS (keyspace 'bench', table 'bids', outputMode '%s') AS %s;", views,
		      queries[at].name, queries[at].sink ? queries[at].sink : "noop", queries[at].mode, queries[at].sql);
	struct tm_pipeline *pipeline;
	struct tm_query *query;
	if (tm_sql_pipeline(sql, TM_STR("bench.sql"), tm_buf_str(&text), false, &pipeline, &err) ||
	    tm_query_open(world, &pipeline->queries[0], &query, &err))
		fail(&err);
	double from = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	int64_t wall = now_ns();
	bool ran = true;
	while (ran)
		if (tm_query_step(query, &ran, &err))
			fail(&err);
	double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - from, took = (double)(now_ns() - wall) * 1e-9;
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_query_progress p;
	tm_query_progress(query, &arena, &p);
	printf(
	    "{\"bench\": \"%s\", \"rows_per_cpu_s\": %.0f, \"rows_per_s\": %.0f, \"read\": %lld, \"written\": %lld, \"batches\": %lld}\n",
	    queries[at].name, (double)records / cpu, (double)records / took, (long long)p.rows_read, (long long)p.rows_written,
	    (long long)p.batches);
	fflush(stdout);
	tm_arena_done(&arena);
	tm_query_free(query);
	tm_sql_free(sql);
	tm_buf_done(&text);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* One record at a time into its own topic; a query with a thread of its own writes it to the table. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t committed = PTHREAD_COND_INITIALIZER;
static int64_t batches_done;
static void batch_done(void *ctx, struct tm_query *query)
{
	(void)ctx;
	(void)query;
	pthread_mutex_lock(&lock);
	batches_done++;
	pthread_cond_signal(&committed);
	pthread_mutex_unlock(&lock);
}

static void latency(const struct tm_stream_world *world)
{
	enum { ROUNDS = 500 };
	static int64_t took[ROUNDS];
	struct tm_err err = {0};
	struct tm_topic *topic;
	struct tm_sql *sql = tm_sql_new(&(struct tm_sql_options){.world = world, .time_zone = "UTC"});
	static const char text[] =
	    "CREATE TEMPORARY VIEW one USING kafka OPTIONS (subscribe 'one', startingOffsets 'earliest');\n"
	    "CREATE STREAMING TABLE latency USING cassandra OPTIONS (keyspace 'bench', table 'bids') AS SELECT b.* FROM (SELECT "
	    "from_json(CAST(value AS STRING), 'bidder BIGINT, date_time TIMESTAMP, price BIGINT') AS b FROM STREAM one);";
	struct tm_pipeline *pipeline;
	struct tm_query *query;
	if (tm_log_topic_create(world->log, TM_STR("one"), 1, NULL, 0, &topic, &err) ||
	    tm_sql_pipeline(sql, TM_STR("bench.sql"), tm_str_of(text), false, &pipeline, &err) ||
	    tm_query_start(world, &pipeline->queries[0], &query, &err))
		fail(&err);
	tm_query_on_batch(query, batch_done, NULL);
	struct tm_buf bytes = {0};
	for (int i = 0; i < ROUNDS; i++) {
		char value[128];
		snprintf(value, sizeof value, "{\"bidder\":%d,\"date_time\":\"2026-01-01T00:00:00Z\",\"price\":%d}", i, i);
		struct tm_record record = {.timestamp_ms = 1767225600000, .key_null = true, .value = tm_str_of(value)};
		bytes.len = 0;
		if (tm_batch_write(&(struct tm_batch_build){.producer_id = -1, .base_sequence = -1}, &record, 1, &bytes, &err))
			fail(&err);
		int64_t from = now_ns();
		struct tm_log_append part = {.topic = topic, .batches = tm_buf_str(&bytes)};
		if (tm_log_append_wait(world->log, &part, 1, &err))
			fail(&err);
		pthread_mutex_lock(&lock);
		while (batches_done <= i)
			pthread_cond_wait(&committed, &lock);
		pthread_mutex_unlock(&lock);
		took[i] = now_ns() - from;
	}
	qsort(took, ROUNDS, sizeof *took, by_size);
	printf("{\"bench\": \"append_to_row\", \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", (double)took[ROUNDS / 2] / 1e6,
	       (double)took[ROUNDS * 99 / 100] / 1e6);
	tm_query_stop(query);
	tm_query_free(query);
	tm_topic_unref(topic);
	tm_sql_free(sql);
	tm_buf_done(&bytes);
}

int main(int argc, char **argv)
{
	size_t records = argc > 1 ? (size_t)atoll(argv[1]) : 1000000;
	struct tm_err err = {0};
	char dir[] = "/tmp/stream_bench.XXXXXX", path[64];
	struct tm_log *log;
	struct tm_store *store;
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/log", dir);
	if (tm_log_open(path, &(struct tm_log_options){0}, &log, &err))
		fail(&err);
	snprintf(path, sizeof path, "%s/table", dir);
	if (tm_store_open(path, &(struct tm_store_options){0}, &store, &err))
		fail(&err);
	fill_topic(log, records);
	cql(store, "CREATE KEYSPACE bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	cql(store, "CREATE TABLE bench.bids (bidder bigint, date_time timestamp, auction bigint, price bigint, channel text, PRIMARY KEY "
		   "(bidder, date_time))");
	struct tm_stream_world world = {.log = log, .store = store};
	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		bool wanted = argc <= 2;
		for (int a = 2; a < argc; a++)
			wanted = wanted || strcmp(argv[a], queries[i].name) == 0;
		if (wanted)
			run(&world, i, records);
	}
	bool wanted = argc <= 2;
	for (int a = 2; a < argc; a++)
		wanted = wanted || strcmp(argv[a], "latency") == 0;
	if (wanted)
		latency(&world);
	tm_store_close(store);
	tm_log_close(log);
	return tm_dir_remove(dir, &err) ? 1 : 0;
}
