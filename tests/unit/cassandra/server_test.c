/* The door end to end: our client against our server, over a store in memory and over one on the disk. */
#include <stdlib.h>
#include <unistd.h>
#include "cassandra/cassandra.h"
#include "cassandra/client.h"
#include "unit.h"

struct house {
	struct tm_store *store;
	struct tm_cassandra_server *server;
	struct tm_cassandra_client *client;
	struct tm_arena arena;
	struct tm_err err;
	struct tm_cql_result result;
};

static void house_open(struct house *h, const char *dir, int version)
{
	*h = (struct house){0};
	struct tm_store_options options = {.env = tm_env_real(), .memory_only = !dir};
	CHECK_OK(tm_store_open(dir ? dir : "", &options, &h->store, &h->err), h->err);
	CHECK_OK(tm_cassandra_server_start(h->store, &(struct tm_cassandra_options){0}, &h->server, &h->err), h->err);
	struct tm_cassandra_client_options o = {.port = tm_cassandra_server_port(h->server), .version = version, .timeout_ms = 10000};
	CHECK_OK(tm_cassandra_client_open(&o, &h->client, &h->err), h->err);
	tm_arena_init(&h->arena);
}

static void house_close(struct house *h)
{
	tm_cassandra_client_close(h->client);
	tm_cassandra_server_stop(h->server);
	tm_store_close(h->store);
	tm_arena_done(&h->arena);
}

static void run(struct house *h, const char *text)
{
	CHECK_OK(tm_cassandra_client_query(h->client, tm_str_of(text), NULL, &h->arena, &h->result, &h->err), h->err);
}

static void refused(struct house *h, const char *text, int code)
{
	CHECK(tm_cassandra_client_query(h->client, tm_str_of(text), NULL, &h->arena, &h->result, &h->err) != TM_OK);
	CHECK_INT(h->err.code, code);
}

static int32_t int_at(struct house *h, size_t cell)
{
	uint32_t v;
	CHECK_INT(h->result.values[cell].bytes.len, 4);
	memcpy(&v, h->result.values[cell].bytes.at, 4);
	return (int32_t)__builtin_bswap32(v);
}

#define KEYSPACE "CREATE KEYSPACE w WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"

TEST(statements_in_every_version)
{
	for (int version = 3; version <= 5; version++) {
		struct house h;
		house_open(&h, NULL, version);
		run(&h, KEYSPACE);
		CHECK_INT(h.result.kind, TM_CQL_SCHEMA_CHANGE);
		run(&h, "USE w");
		CHECK_STR(tm_cassandra_client_keyspace(h.client), "w");
		run(&h, "CREATE TABLE t (k int, c int, v text, PRIMARY KEY (k, c))");
		run(&h, "INSERT INTO t (k, c, v) VALUES (1, 2, 'x')");
		CHECK_INT(h.result.kind, TM_CQL_VOID);
		run(&h, "SELECT c, v FROM t WHERE k = 1");
		CHECK_INT(h.result.row_count, 1);
		CHECK_INT(int_at(&h, 0), 2);
		CHECK_STR(h.result.values[1].bytes, "x");
		refused(&h, "SELEC", 0x2000);
		refused(&h, "SELECT * FROM nope", 0x2200);
		refused(&h, "CREATE TABLE t (k int PRIMARY KEY)", 0x2400);
		run(&h, "SELECT count(*) FROM t");
		CHECK_INT(h.result.row_count, 1);
		house_close(&h);
	}
}

TEST(pages_follow_each_other)
{
	struct house h;
	char text[100];
	house_open(&h, NULL, 0);
	run(&h, KEYSPACE);
	run(&h, "CREATE TABLE w.t (k int, c int, PRIMARY KEY (k, c))");
	for (int i = 0; i < 250; i++) {
		snprintf(text, sizeof text, "INSERT INTO w.t (k, c) VALUES (%d, %d)", i % 3, i);
		run(&h, text);
	}
	struct tm_cql_query_options o = {
	    .consistency = 1, .serial_consistency = 8, .page_size = 17, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	size_t rows = 0, pages = 0;
	do {
		CHECK_OK(tm_cassandra_client_query(h.client, TM_STR("SELECT k, c FROM w.t"), &o, &h.arena, &h.result, &h.err), h.err);
		CHECK(h.result.row_count <= 17);
		rows += h.result.row_count;
		pages++;
		o.paging_state = h.result.paging_state;
	} while (o.paging_state.len > 0 && pages < 100);
	CHECK_INT(rows, 250);
	CHECK_INT(pages, 15);
	house_close(&h);
}

TEST(prepared_statements_die_with_their_table)
{
	struct house h;
	struct tm_cassandra_statement insert, select;
	house_open(&h, NULL, 5);
	run(&h, KEYSPACE);
	run(&h, "CREATE TABLE w.t (k int PRIMARY KEY, v text)");
	CHECK_OK(tm_cassandra_client_prepare(h.client, TM_STR("INSERT INTO w.t (k, v) VALUES (?, ?)"), &h.arena, &insert, &h.err), h.err);
	CHECK_OK(tm_cassandra_client_prepare(h.client, TM_STR("SELECT v FROM w.t WHERE k = ?"), &h.arena, &select, &h.err), h.err);
	CHECK_INT(insert.marker_count, 2);
	struct tm_cql_value values[2] = {{.bytes = TM_STR("\0\0\0\5")}, {.bytes = TM_STR("five")}};
	struct tm_cql_query_options o = {.values = values,
					 .value_count = 2,
					 .consistency = 1,
					 .serial_consistency = 8,
					 .timestamp_us = INT64_MIN,
					 .now_in_seconds = INT64_MIN};
	CHECK_OK(tm_cassandra_client_execute(h.client, &insert, &o, &h.arena, &h.result, &h.err), h.err);
	o.value_count = 1;
	CHECK_OK(tm_cassandra_client_execute(h.client, &select, &o, &h.arena, &h.result, &h.err), h.err);
	CHECK_INT(h.result.row_count, 1);
	CHECK_STR(h.result.values[0].bytes, "five");
	CHECK_STR(h.result.columns[0].name, "v");
	run(&h, "ALTER TABLE w.t ADD more int");
	CHECK(tm_cassandra_client_execute(h.client, &select, &o, &h.arena, &h.result, &h.err) != TM_OK);
	CHECK_INT(h.err.code, 0x2500);
	house_close(&h);
}

TEST(what_was_answered_is_there_after_a_restart)
{
	char dir[] = "/tmp/tidemill-cql-XXXXXX";
	struct house h;
	CHECK(mkdtemp(dir));
	house_open(&h, dir, 0);
	run(&h, KEYSPACE);
	run(&h, "CREATE TABLE w.t (k int PRIMARY KEY, v text)");
	run(&h, "INSERT INTO w.t (k, v) VALUES (1, 'kept')");
	run(&h, "SELECT host_id FROM system.local");
	struct tm_str id = h.result.values[0].bytes;
	char kept[16];
	memcpy(kept, id.at, 16);
	house_close(&h);
	house_open(&h, dir, 0);
	run(&h, "SELECT v FROM w.t WHERE k = 1");
	CHECK_INT(h.result.row_count, 1);
	CHECK_STR(h.result.values[0].bytes, "kept");
	run(&h, "SELECT host_id FROM system.local");
	CHECK(memcmp(h.result.values[0].bytes.at, kept, 16) == 0);
	house_close(&h);
	CHECK_OK(tm_dir_remove(dir, &h.err), h.err);
}

TEST(a_port_in_use_is_said)
{
	struct house h;
	struct tm_cassandra_server *second;
	struct tm_store *store;
	house_open(&h, NULL, 0);
	CHECK_OK(tm_store_open("", &(struct tm_store_options){.env = tm_env_real(), .memory_only = true}, &store, &h.err), h.err);
	CHECK_INT(
	    tm_cassandra_server_start(store, &(struct tm_cassandra_options){.port = tm_cassandra_server_port(h.server)}, &second, &h.err),
	    TM_BUSY);
	tm_store_close(store);
	house_close(&h);
}
TEST_MAIN()
