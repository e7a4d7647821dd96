/* The CQL engine alone, without a network: prepared INSERTs by key with one sync per group of requests (as the door commits),
 * then prepared SELECTs by key. usage: cql_engine [ROWS] [GROUP] [DIR]; prints rows per second and CPU microseconds each. */
#include "clocks.h"
#include "cql/cql.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct tm_err err;
#define DO(call)                                                                                                                           \
	do {                                                                                                                               \
		if ((call) != TM_OK) {                                                                                                     \
			fprintf(stderr, "%s: %s\n", #call, err.what);                                                                      \
			exit(1);                                                                                                           \
		}                                                                                                                          \
	} while (0)

static struct tm_cql_session session;
static struct tm_arena arena;

static void run(const char *text)
{
	struct tm_cql_query_options o = {.timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1};
	struct tm_cql_result r;
	DO(tm_cql_query(&session, tm_str_of(text), &o, NULL, &arena, &r, &err));
	tm_arena_reset(&arena);
}

int main(int argc, char **argv)
{
	long rows = argc > 1 ? atol(argv[1]) : 200000, group = argc > 2 ? atol(argv[2]) : 64;
	char made[] = "/tmp/cql_engine_XXXXXX";
	const char *dir = argc > 3 ? argv[3] : mkdtemp(made);
	double opened = now_s();
	struct tm_store *store;
	DO(tm_store_open(dir, &(struct tm_store_options){0}, &store, &err));
	opened = now_s() - opened;
	session = (struct tm_cql_session){.store = store, .protocol_version = 5};
	tm_arena_init(&arena);
	run("CREATE KEYSPACE IF NOT EXISTS b WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	run("CREATE TABLE IF NOT EXISTS b.t (k int, c int, a text, n bigint, PRIMARY KEY (k, c))");
	struct tm_cql_prepared *insert, *select;
	DO(tm_cql_prepare(&session, TM_STR("INSERT INTO b.t (k, c, a, n) VALUES (?, ?, ?, ?)"), &insert, &err));
	DO(tm_cql_prepare(&session, TM_STR("SELECT * FROM b.t WHERE k = ? AND c = ?"), &select, &err));
	struct tm_table_batch *pending = tm_table_batch_new(store);
	double wall = now_s(), cpu = cpu_s();
	for (long i = 0; i < rows; i++) {
		uint32_t k = __builtin_bswap32((uint32_t)i * 2654435761u), c = __builtin_bswap32((uint32_t)i);
		uint64_t n = __builtin_bswap64((uint64_t)i);
		struct tm_cql_value v[] = {{.bytes = {(char *)&k, 4}},
					   {.bytes = {(char *)&c, 4}},
					   {.bytes = TM_STR("some text of a usual length, forty bytes")},
					   {.bytes = {(char *)&n, 8}}};
		struct tm_cql_query_options o = {
		    .values = v, .value_count = 4, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1};
		struct tm_cql_result r;
		DO(tm_cql_execute(&session, insert, &o, pending, &arena, &r, &err));
		tm_arena_reset(&arena);
		if (i % group == group - 1)
			DO(tm_table_batch_commit(pending, true, &err));
	}
	DO(tm_table_batch_commit(pending, true, &err));
	wall = now_s() - wall;
	cpu = cpu_s() - cpu;
	printf("open %.1f ms\nwrites %.0f rows/s (synced in groups of %ld), %.2f us of CPU each\n", opened * 1e3, (double)rows / wall,
	       group, cpu / (double)rows * 1e6);
	wall = now_s();
	cpu = cpu_s();
	long found = 0;
	for (long j = 0; j < rows; j++) {
		long i = (long)((unsigned long)j * 7919 % (unsigned long)rows);
		uint32_t k = __builtin_bswap32((uint32_t)i * 2654435761u), c = __builtin_bswap32((uint32_t)i);
		struct tm_cql_value v[] = {{.bytes = {(char *)&k, 4}}, {.bytes = {(char *)&c, 4}}};
		struct tm_cql_query_options o = {.values = v,
						 .value_count = 2,
						 .timestamp_us = INT64_MIN,
						 .now_in_seconds = INT64_MIN,
						 .consistency = 1,
						 .page_size = 5000};
		struct tm_cql_result r;
		DO(tm_cql_execute(&session, select, &o, NULL, &arena, &r, &err));
		found += (long)r.row_count;
		tm_arena_reset(&arena);
	}
	wall = now_s() - wall;
	cpu = cpu_s() - cpu;
	printf("reads %.0f rows/s by key (%ld found), %.2f us of CPU each\n", (double)rows / wall, found, cpu / (double)rows * 1e6);
	tm_cql_prepared_unref(insert);
	tm_cql_prepared_unref(select);
	tm_table_batch_free(pending);
	tm_arena_done(&arena);
	opened = now_s();
	tm_store_close(store);
	DO(tm_store_open(dir, &(struct tm_store_options){0}, &store, &err));
	printf("open again %.1f ms\n", (now_s() - opened) * 1e3);
	tm_store_close(store);
	if (argc <= 3)
		DO(tm_dir_remove(dir, &err));
	return 0;
}
