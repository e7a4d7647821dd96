/* The outside store against our own door, which stands in for a real Cassandra: shapes of tables, many rows, pages, statements, a server
 * that goes away and comes back, and what is said when it cannot be reached. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "cassandra/cassandra.h"
#include "cassandra/tables_int.h"
#include "cql/cql.h"
#include "table/type.h"
#include "table/value.h"
#include "unit.h"

struct house {
	struct tm_store *store;
	struct tm_cassandra_server *server;
	int port;
	struct tm_tables *tables;
	struct tm_arena arena;
	struct tm_err err;
	struct tm_cql_result result;
};

static void server_start(struct house *h)
{
	const struct tm_cassandra_options options = {.port = h->port};
	CHECK_OK(tm_cassandra_server_start(h->store, &options, &h->server, &h->err), h->err);
	h->port = tm_cassandra_server_port(h->server);
}

static void server_stop(struct house *h)
{
	tm_cassandra_server_stop(h->server);
	h->server = NULL;
}

static tm_rc open_with(struct house *h, const char *parameters)
{
	char url[300];
	snprintf(url, sizeof url, "cassandra://127.0.0.1:%d%s", h->port, parameters);
	return tm_tables_cassandra_open(tm_str_of(url), &h->tables, &h->err);
}

static void house_open(struct house *h, const char *parameters)
{
	*h = (struct house){0};
	const struct tm_store_options options = {.env = tm_env_real(), .memory_only = true};
	CHECK_OK(tm_store_open("", &options, &h->store, &h->err), h->err);
	tm_arena_init(&h->arena);
	server_start(h);
	CHECK_OK(open_with(h, parameters), h->err);
}

static void house_close(struct house *h)
{
	tm_tables_free(h->tables);
	tm_cassandra_server_stop(h->server);
	tm_store_close(h->store);
	tm_arena_done(&h->arena);
}

static tm_rc ask(struct house *h, const char *text, const char *keyspace)
{
	return h->tables->klass->query(h->tables, tm_str_of(text), tm_str_of(keyspace), NULL, &h->arena, &h->result, &h->err);
}

static void run(struct house *h, const char *text) { CHECK_OK(ask(h, text, ""), h->err); }

#define KEYSPACE "CREATE KEYSPACE w WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"

static const struct tm_table_def *table(struct house *h, const char *name)
{
	const struct tm_table_def *def;
	CHECK_OK(h->tables->klass->table(h->tables, TM_STR("w"), tm_str_of(name), &def, &h->err), h->err);
	return def;
}

TEST(statements_in_every_version)
{
	static const char *const parameters[] = {"", "?protocol_version=4", "?protocol_version=3", "?compression=lz4",
						 "?compression=lz4&protocol_version=4"};
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		struct house h;
		house_open(&h, parameters[i]);
		run(&h, KEYSPACE);
		CHECK_OK(ask(&h, "USE W", ""), h.err);
		CHECK_INT(h.result.kind, TM_CQL_SET_KEYSPACE);
		CHECK_STR(h.result.keyspace, "w");
		CHECK(ask(&h, "USE nowhere", "") != TM_OK);
		CHECK_INT(h.err.code, 0x2200);
		CHECK_OK(ask(&h, "CREATE TABLE t (k int PRIMARY KEY, v text)", "w"), h.err);
		CHECK_OK(ask(&h, "INSERT INTO t (k, v) VALUES (1, 'one')", "w"), h.err);
		run(&h, "SELECT v FROM w.t WHERE k = 1");
		CHECK_INT(h.result.row_count, 1);
		CHECK_STR(h.result.values[0].bytes, "one");
		CHECK(ask(&h, "SELECT v FROM\nt WHER k = 1", "w") != TM_OK);
		CHECK_INT(h.err.code, 0x2000);
		CHECK_INT(h.err.line, 2);
		struct tm_tables_state state;
		h.tables->klass->state(h.tables, &h.arena, &state);
		CHECK(state.up && state.nodes == 1 && state.alive == 1);
		house_close(&h);
	}
}

TEST(types_by_their_text)
{
	static const char *const same[] = {"int",
					   "text",
					   "frozen<list<int>>",
					   "map<text, frozen<set<uuid>>>",
					   "frozen<tuple<int, text, frozen<map<int, blob>>>>",
					   "vector<float, 3>",
					   "duration",
					   "set<inet>"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		const struct tm_cql_type *t = tm_outside_type(tm_str_of(same[i]), TM_STR("w"), NULL);
		struct tm_buf text = {0};
		CHECK(t);
		tm_table_type_text(t, &text);
		CHECK_STR(tm_buf_str(&text), same[i]);
		tm_buf_done(&text);
	}
	CHECK(tm_outside_type(TM_STR("'org.example.OwnType'"), TM_STR("w"), NULL) == tm_type_native(TM_CQL_BLOB));
	static const char *const bad[] = {"",           "nothing",       "list<",         "list<int",
					  "list<int>>", "map<int>",      "vector<float>", "vector<float, 0>",
					  "frozen<>",   "set<int, int>", "int int"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!tm_outside_type(tm_str_of(bad[i]), TM_STR("w"), NULL));
	char deep[400] = "";
	for (int i = 0; i < 60; i++)
		strncat(deep, "list<", sizeof deep - strlen(deep) - 1);
	CHECK(!tm_outside_type(tm_str_of(deep), TM_STR("w"), NULL));
}

TEST(shapes_of_tables)
{
	struct house h;
	house_open(&h, "");
	run(&h, KEYSPACE);
	run(&h, "CREATE TYPE w.place (lat double, \"Name\" text)");
	run(&h, "CREATE TABLE w.t (a int, b text, c timestamp, d uuid, s text STATIC, v list<int>, p frozen<place>, z map<text, "
		"frozen<list<place>>>, PRIMARY KEY ((b, a), c, d)) WITH CLUSTERING ORDER BY (c DESC, d ASC) AND default_time_to_live = 60");
	const struct tm_table_def *d = table(&h, "t"), *ours = tm_store_table(h.store, TM_STR("w"), TM_STR("t"));
	CHECK_INT(d->column_count, ours->column_count);
	CHECK_INT(d->partition_key_count, 2);
	CHECK_INT(d->clustering_count, 2);
	CHECK_INT(d->default_ttl, 60);
	CHECK(memcmp(d->id, ours->id, 16) == 0);
	for (size_t i = 0; i < d->column_count; i++) {
		CHECK(tm_str_eq(d->columns[i].name, ours->columns[i].name));
		CHECK_INT(d->columns[i].kind, ours->columns[i].kind);
		CHECK_INT(d->columns[i].position, ours->columns[i].position);
		CHECK(d->columns[i].type == ours->columns[i].type); /* types are interned */
	}
	tm_table_def_unref(h.store, ours);
	const struct tm_table_def *again = table(&h, "t");
	CHECK(again == d);
	run(&h, "ALTER TABLE w.t ADD more int");
	const struct tm_table_def *after = table(&h, "t");
	CHECK(after != d);
	CHECK_INT(after->column_count, d->column_count + 1);
	h.tables->klass->table_unref(h.tables, d);
	h.tables->klass->table_unref(h.tables, again);
	h.tables->klass->table_unref(h.tables, after);
	CHECK_INT(h.tables->klass->table(h.tables, TM_STR("w"), TM_STR("nope"), &d, &h.err), TM_NOT_FOUND);
	const struct tm_table_def **list;
	size_t n;
	CHECK_OK(h.tables->klass->list(h.tables, &list, &n, &h.err), h.err);
	CHECK_INT(n, 1);
	CHECK_STR(list[0]->name, "t");
	h.tables->klass->table_unref(h.tables, list[0]);
	free(list);
	house_close(&h);
}

/* ---- many rows ---- */

enum { ROWS = 20000 };

struct rows {
	struct tm_tables_row *rows;
	size_t refused;
};

/* Partition i / 4, clustering i, value i + add; every row's cells in the arena. */
static struct tm_tables_write many(struct house *h, const struct tm_table_def *def, size_t n, int32_t add, int64_t timestamp_us)
{
	static const size_t columns[] = {0, 1, 2};
	struct tm_tables_row *rows = TM_NEW_N(&h->arena, struct tm_tables_row, n);
	for (size_t i = 0; i < n; i++) {
		struct tm_cql_value *v = TM_NEW_N(&h->arena, struct tm_cql_value, 3);
		uint32_t *bytes = tm_arena_alloc(&h->arena, 12);
		bytes[0] = htonl((uint32_t)i / 4);
		bytes[1] = htonl((uint32_t)i);
		bytes[2] = htonl((uint32_t)((int32_t)i + add));
		for (size_t k = 0; k < 3; k++)
			v[k] = (struct tm_cql_value){.bytes = tm_str_n((char *)&bytes[k], 4)};
		rows[i] = (struct tm_tables_row){v, tm_value_token(v[0].bytes)};
	}
	return (struct tm_tables_write){
	    .def = def, .columns = columns, .column_count = 3, .rows = rows, .row_count = n, .timestamp_us = timestamp_us};
}

struct seen {
	size_t rows;
	int64_t sum;
};

static tm_rc see(void *ctx, const struct tm_table_row *row)
{
	struct seen *s = ctx;
	struct tm_cursor c = tm_cursor_of(row->values[0].bytes);
	s->rows++;
	s->sum += (int32_t)tm_cursor_be32(&c);
	return TM_OK;
}

static struct seen scan(struct house *h, const struct tm_table_def *def)
{
	const size_t value = 2;
	struct seen s = {0};
	CHECK_OK(h->tables->klass->scan(h->tables, def, &value, 1, NULL, see, &s, &h->err), h->err);
	return s;
}

static const struct tm_table_def *rows_table(struct house *h)
{
	run(h, KEYSPACE);
	run(h, "CREATE TABLE w.r (p int, c int, v int, PRIMARY KEY (p, c))");
	return table(h, "r");
}

TEST(many_rows_and_the_same_again)
{
	struct house h;
	house_open(&h, "");
	const struct tm_table_def *def = rows_table(&h);
	struct tm_tables_write w = many(&h, def, ROWS, 0, 1000);
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	struct seen s = scan(&h, def);
	CHECK_INT(s.rows, ROWS);
	CHECK_INT(s.sum, (int64_t)ROWS * (ROWS - 1) / 2);
	w = many(&h, def, ROWS, 1, 2000); /* a later batch wins */
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	CHECK_INT(scan(&h, def).sum, (int64_t)ROWS * (ROWS - 1) / 2 + ROWS);
	w = many(&h, def, ROWS, 0, 1000); /* an old one that comes late does not */
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	CHECK_INT(scan(&h, def).sum, (int64_t)ROWS * (ROWS - 1) / 2 + ROWS);
	int64_t n = 0;
	CHECK_OK(h.tables->klass->count(h.tables, def, 0, &n, &h.err), h.err);
	CHECK_INT(n, ROWS);
	for (int i = 0; i < 500 && (n = -1, h.tables->klass->count(h.tables, def, 1000, &n, &h.err) == TM_OK) && n < 0; i++)
		usleep(10000); /* counted aside */
	CHECK_INT(n, ROWS);
	w = many(&h, def, 100, 5, 3000);
	w.ttl_s = 1000;
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	run(&h, "SELECT ttl(v), writetime(v) FROM w.r WHERE p = 0 AND c = 3");
	CHECK_INT(h.result.row_count, 1);
	CHECK(!h.result.values[0].null);
	h.tables->klass->table_unref(h.tables, def);
	house_close(&h);
}

static void refuse(void *ctx, size_t row, const char *why)
{
	size_t *rows = ctx;
	CHECK(row == 7 || row == 9000);
	CHECK(*why);
	(*rows)++;
}

TEST(a_row_that_is_refused_stops_no_other)
{
	struct house h;
	house_open(&h, "");
	const struct tm_table_def *def = rows_table(&h);
	struct tm_tables_write w = many(&h, def, 10000, 0, 1000);
	size_t refused = 0;
	w.refused = refuse;
	w.ctx = &refused;
	((struct tm_cql_value *)(uintptr_t)w.rows[7].values)[2].bytes.len = 3; /* no int */
	((struct tm_cql_value *)(uintptr_t)w.rows[9000].values)[2].bytes.len = 3;
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	CHECK_INT(refused, 2);
	CHECK_INT(scan(&h, def).rows, 9998);
	h.tables->klass->table_unref(h.tables, def);
	house_close(&h);
}

/* ---- a server that goes away ---- */

struct away {
	struct house *h;
	bool stop;
	int times, waits;
};

static void *come_and_go(void *arg)
{
	struct away *a = arg;
	for (int i = 0; i < a->times; i++) {
		usleep(30000);
		server_stop(a->h);
		usleep(150000);
		server_start(a->h);
	}
	return NULL;
}

TEST(rows_survive_a_server_that_comes_and_goes)
{
	struct house h;
	house_open(&h, "");
	const struct tm_table_def *def = rows_table(&h);
	struct away a = {.h = &h, .times = 4};
	pthread_t thread;
	struct tm_tables_write w = many(&h, def, ROWS, 0, 1000);
	CHECK(pthread_create(&thread, NULL, come_and_go, &a) == 0);
	for (int round = 0; round < 8; round++) { /* every statement has to be prepared again by each new server */
		struct tm_tables_write again = many(&h, def, ROWS, round, 1000 + round);
		CHECK_OK(h.tables->klass->write(h.tables, &again, &h.err), h.err);
	}
	pthread_join(thread, NULL);
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	CHECK_INT(scan(&h, def).rows, ROWS);
	CHECK_INT(scan(&h, def).sum, (int64_t)ROWS * (ROWS - 1) / 2 + 7 * ROWS);
	h.tables->klass->table_unref(h.tables, def);
	house_close(&h);
}

static bool stopping(void *ctx) { return __atomic_load_n(&((struct away *)ctx)->stop, __ATOMIC_ACQUIRE); }
static void waits(void *ctx, const char *what)
{
	struct away *a = ctx;
	CHECK(strstr(what, "127.0.0.1"));
	if (++a->waits == 2)
		__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
}

TEST(who_waits_is_told_and_can_give_up)
{
	struct house h;
	house_open(&h, "");
	const struct tm_table_def *def = rows_table(&h);
	struct away a = {.h = &h};
	struct tm_tables_write w = many(&h, def, 100, 0, 1000);
	w.caller = (struct tm_broker_caller){.ctx = &a, .stopping = stopping, .waits = waits};
	server_stop(&h);
	CHECK_INT(h.tables->klass->write(h.tables, &w, &h.err), TM_CANCELLED);
	CHECK_INT(a.waits, 2);
	struct tm_tables_state state;
	for (int i = 0; i < 200; i++) {
		h.tables->klass->state(h.tables, &h.arena, &state);
		if (!state.waiting)
			break;
		usleep(10000);
	}
	CHECK(!state.up);
	CHECK_INT(state.waiting, 0);
	server_start(&h);
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err) == TM_CANCELLED ? TM_OK : TM_INTERNAL, h.err); /* it still stops */
	w.caller = (struct tm_broker_caller){0};
	CHECK_OK(h.tables->klass->write(h.tables, &w, &h.err), h.err);
	h.tables->klass->table_unref(h.tables, def);
	house_close(&h);
}

/* ---- what is said ---- */

static void refused_url(const char *url, tm_rc rc, const char *words)
{
	struct tm_tables *t;
	struct tm_err err = {0};
	char text[2000];
	CHECK_INT(tm_tables_cassandra_open(tm_str_of(url), &t, &err), rc);
	tm_err_render(&err, (struct tm_str){0}, text, sizeof text);
	if (!strstr(text, words))
		FAIL("%s is not in: %s", words, text);
	CHECK(!strstr(text, "s3cret"));
}

TEST(addresses_that_cannot_be)
{
	refused_url("cassandra://127.0.0.1:1", TM_UNAVAILABLE, "127.0.0.1:1: connection refused");
	refused_url("cassandra://127.0.0.1:1,127.0.0.1:2", TM_UNAVAILABLE, "2 addresses");
	refused_url("cassandra://me:s3cret@no.such.host.invalid:9042", TM_UNAVAILABLE, "the host is not known");
	refused_url("cassandra://me:s3cret@127.0.0.1:1?local_cd=a", TM_INVALID, "local_dc");
	refused_url("cassandra://127.0.0.1:1?ssl=yes", TM_INVALID, "neither true nor false");
	refused_url("cassandra://127.0.0.1:1?ssl_ca=/no/such/file", TM_INVALID, "/no/such/file");
	refused_url("cassandra://127.0.0.1:1?consistency=LOCAL_QUORM", TM_INVALID, "LOCAL_QUORUM");
	refused_url("cassandra://127.0.0.1:1/keyspace", TM_INVALID, "keyspace");
	struct house h;
	house_open(&h, "");
	tm_tables_free(h.tables);
	h.tables = NULL;
	CHECK_INT(open_with(&h, "?local_dc=paris"), TM_NOT_FOUND);
	CHECK(strstr(h.err.what, "paris") && strstr(h.err.hint, "datacenter1"));
	house_close(&h);
}

TEST_MAIN()
