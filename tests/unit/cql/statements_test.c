/* Statements end to end over a store in memory. */
#include "cql/cql.h"
#include "cql/json.h"
#include "cql/virtual.h"
#include "unit.h"

static struct tm_err err;
static struct tm_store *store;
static struct tm_cql_session session;
static struct tm_arena arena;

static void begin(void)
{
	CHECK_OK(tm_store_open("", &(struct tm_store_options){.memory_only = true}, &store, &err), err);
	CHECK_OK(tm_cql_system_register(store, &err), err);
	session = (struct tm_cql_session){.store = store, .protocol_version = 5};
	tm_arena_init(&arena);
}

static void end(void)
{
	tm_arena_done(&arena);
	tm_store_close(store);
}

static const struct tm_cql_query_options plain = {.timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1};

static tm_rc run(const char *text, struct tm_cql_result *ret)
{
	tm_rc rc = tm_cql_query(&session, tm_str_of(text), &plain, NULL, &arena, ret, &err);
	if (rc == TM_OK && ret->kind == TM_CQL_SET_KEYSPACE)
		session.keyspace = tm_arena_str(&arena, ret->keyspace);
	return rc;
}

static void done(const char *text)
{
	struct tm_cql_result r;
	CHECK_OK(run(text, &r), err);
}

/* The rows as JSON. */
static struct tm_str rows(const char *text)
{
	static struct tm_buf b;
	struct tm_cql_result r;
	CHECK_OK(run(text, &r), err);
	b.len = 0;
	tm_cql_result_json(&r, &b);
	struct tm_str s = tm_buf_str(&b);
	size_t at = tm_str_find(s, TM_STR("\"rows\":"), 0);
	return tm_str_slice(s, at + 7, s.len - 1);
}

TEST(the_whole_way)
{
	begin();
	done("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	done("USE ks");
	done("CREATE TABLE t (k int, c int, s text static, v text, l list<int>, m map<text, int>, PRIMARY KEY (k, c))");
	done("INSERT INTO t (k, c, s, v, l, m) VALUES (1, 2, 'st', 'two', [3, 1], {'b': 2, 'a': 1})");
	done("INSERT INTO t (k, c, v) VALUES (1, 1, 'one')");
	done("UPDATE t SET l = l + [9], m['z'] = 26 WHERE k = 1 AND c = 2");
	CHECK_STR(rows("SELECT * FROM t"),
		  "[[1,1,\"st\",null,null,\"one\"],[1,2,\"st\",[3,1,9],[[\"a\",1],[\"b\",2],[\"z\",26]],\"two\"]]");
	CHECK_STR(rows("SELECT v FROM t WHERE k = 1 AND c > 1"), "[[\"two\"]]");
	CHECK_STR(rows("SELECT count(*) FROM t"), "[[2]]");
	done("DELETE FROM t WHERE k = 1 AND c = 2");
	CHECK_STR(rows("SELECT c FROM t WHERE k = 1 ORDER BY c DESC"), "[[1]]");
	CHECK_STR(rows("INSERT INTO t (k, c) VALUES (1, 1) IF NOT EXISTS"), "[[false,1,1,\"st\",null,null,\"one\"]]");
	CHECK_STR(rows("SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'ks'"), "[[\"t\"]]");
	end();
}

/* What a Cassandra 5.0 answers: elements lie in the order in which they were written, two lists written at one timestamp are both there. */
TEST(lists_keep_the_order_of_writing)
{
	begin();
	done("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	done("USE ks");
	done("CREATE TABLE t (k int PRIMARY KEY, l list<text>)");
	done("UPDATE t USING TIMESTAMP 100 SET l = l + ['a', 'b'] WHERE k = 1");
	done("UPDATE t USING TIMESTAMP 50 SET l = l + ['c', 'd'] WHERE k = 1");
	done("INSERT INTO t (k, l) VALUES (2, ['y', 'x', 'z']) USING TIMESTAMP 100");
	done("INSERT INTO t (k, l) VALUES (2, ['y', 'x', 'z']) USING TIMESTAMP 100");
	done("UPDATE t USING TIMESTAMP 100 SET l = ['a', 'b'] + l WHERE k = 3");
	done("UPDATE t USING TIMESTAMP 50 SET l = ['c', 'd'] + l WHERE k = 3");
	done("BEGIN UNLOGGED BATCH UPDATE t SET l = ['a', 'b'] + l WHERE k = 4; UPDATE t SET l = ['c', 'd'] + l WHERE k = 4; "
	     "UPDATE t SET l = l + ['e', 'f'] WHERE k = 4; APPLY BATCH");
	static const char *const want[] = {"[[[\"a\",\"b\",\"c\",\"d\"]]]", "[[[\"y\",\"x\",\"z\",\"y\",\"x\",\"z\"]]]",
					   "[[[\"c\",\"d\",\"a\",\"b\"]]]", "[[[\"c\",\"d\",\"a\",\"b\",\"e\",\"f\"]]]"};
	for (int k = 1; k <= 4; k++) {
		char text[64];
		(void)snprintf(text, sizeof text, "SELECT l FROM t WHERE k = %d", k);
		CHECK_STR(rows(text), want[k - 1]);
	}
	end();
}

TEST(prepared_and_pages)
{
	begin();
	done("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
	done("CREATE TABLE ks.t (k int, c int, PRIMARY KEY (k, c))");
	struct tm_cql_prepared *p;
	CHECK_OK(tm_cql_prepare(&session, TM_STR("INSERT INTO ks.t (k, c) VALUES (?, ?)"), &p, &err), err);
	struct tm_cql_prepared_info info;
	tm_cql_prepared_describe(p, &info);
	CHECK_INT(info.marker_count, 2);
	CHECK_INT(info.partition_key_count, 1);
	struct tm_table_batch *pending = tm_table_batch_new(store);
	for (int i = 0; i < 25; i++) {
		uint32_t k = __builtin_bswap32((uint32_t)(i % 3)), c = __builtin_bswap32((uint32_t)i);
		struct tm_cql_value values[2] = {{.bytes = {(char *)&k, 4}}, {.bytes = {(char *)&c, 4}}};
		struct tm_cql_query_options o = plain;
		o.values = values;
		o.value_count = 2;
		struct tm_cql_result r;
		CHECK_OK(tm_cql_execute(&session, p, &o, pending, &arena, &r, &err), err);
	}
	CHECK_STR(rows("SELECT count(*) FROM ks.t"), "[[0]]");
	CHECK_OK(tm_table_batch_commit(pending, true, &err), err);
	tm_table_batch_free(pending);
	struct tm_cql_query_options o = plain;
	o.page_size = 10;
	size_t seen = 0;
	for (int pages = 0; pages < 4; pages++) {
		struct tm_cql_result r;
		CHECK_OK(tm_cql_query(&session, TM_STR("SELECT * FROM ks.t"), &o, NULL, &arena, &r, &err), err);
		seen += r.row_count;
		if (!r.paging_state.len)
			break;
		o.paging_state = r.paging_state;
	}
	CHECK_INT(seen, 25);
	done("ALTER TABLE ks.t ADD x int");
	tm_cql_prepared_describe(p, &info);
	CHECK(info.stale);
	tm_cql_prepared_unref(p);
	end();
}

TEST(refusals)
{
	begin();
	struct tm_cql_result r;
	CHECK(run("SELEC * FROM t", &r) != TM_OK);
	CHECK_STR(tm_str_of(err.what), "line 1:0 no viable alternative at input 'SELEC' ([SELEC]...)");
	CHECK(run("SELECT * FROM nope.t", &r) != TM_OK);
	CHECK_STR(tm_str_of(err.what), "keyspace nope does not exist");
	end();
}

TEST(splitting)
{
	struct tm_str rest = TM_STR("SELECT 'a;b'; -- x;\nBEGIN BATCH INSERT a; APPLY BATCH; /* ; */ DROP t"), s;
	CHECK(tm_cql_split(&rest, &s));
	CHECK_STR(s, "SELECT 'a;b'");
	CHECK(tm_cql_split(&rest, &s));
	CHECK(tm_str_ends(s, TM_STR("APPLY BATCH")));
	CHECK(tm_cql_split(&rest, &s));
	CHECK(tm_str_ends(s, TM_STR("DROP t")));
	CHECK(!tm_cql_split(&rest, &s));
}
TEST_MAIN()
