/* CQL text from outside: parsed, prepared against a small schema, executed without bound values, its result shown. The first
 * byte's low bit chooses a script to split, else one statement. */
#include "cql/cql.h"
#include "cql/json.h"
#include "cql/virtual.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tm_store *store;
static struct tm_cql_session session;
static struct tm_cql_query_options options = {.timestamp_us = 1, .now_in_seconds = 1700000000, .consistency = 1};

static void one(struct tm_arena *arena, struct tm_str text)
{
	struct tm_cql_result r;
	struct tm_err err;
	struct tm_buf out = {0};
	if (tm_cql_query(&session, text, &options, NULL, arena, &r, &err) == TM_OK)
		tm_cql_result_json(&r, &out);
	tm_buf_done(&out);
	tm_arena_reset(arena);
}

static void fresh(struct tm_arena *arena)
{
	static const char *const statements[] = {
	    "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
	    "CREATE TYPE ks.u (a int, b frozen<list<text>>)",
	    "CREATE TABLE ks.t (k int, c text, s int static, i int, l list<int>, st set<text>, m map<text, decimal>, u u, t tuple<int, "
	    "uuid>, v vector<float, 2>, d duration, PRIMARY KEY (k, c))",
	    "INSERT INTO ks.t (k, c, s, i, l, st, m, u, t, v, d) VALUES (1, 'a', 2, 3, [1, 2], {'x'}, {'y': 1.50}, {a: 1, b: ['q']}, (1, "
	    "123e4567-e89b-12d3-a456-426614174000), [1, 2], 1mo2d3h)",
	};
	struct tm_err err;
	tm_store_close(store);
	if (tm_store_open("", &(struct tm_store_options){.memory_only = true}, &store, &err) != TM_OK ||
	    tm_cql_system_register(store, &err) != TM_OK)
		__builtin_trap();
	session = (struct tm_cql_session){.store = store, .keyspace = TM_STR("ks"), .protocol_version = 5};
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		one(arena, tm_str_of(statements[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static long runs;
	struct tm_arena arena;
	tm_arena_init(&arena);
	if (runs++ % 2000 == 0) /* statements change the schema: begin anew now and then */
		fresh(&arena);
	if (size > 1) {
		struct tm_str text = tm_str_n((const char *)data + 1, size - 1), s;
		if (data[0] & 1)
			for (struct tm_str rest = text; tm_cql_split(&rest, &s);)
				one(&arena, s);
		else
			one(&arena, text);
	}
	tm_arena_done(&arena);
	return 0;
}
