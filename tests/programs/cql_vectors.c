/* Runs CQL statements over a store in memory, one request a line on standard input, one JSON answer a line on standard output.
 * A request is fields parted by tabs:
 *   reset                                   a new, empty store
 *   wait  MICROSECONDS                      the clock goes on by that much
 *   MODE  CONSISTENCY  TIMESTAMP  NOW  PAGE_SIZE  CONTINUE  KEYSPACE  TEXT  VALUE…
 * MODE: q query, p prepare only, e prepare and execute with the values. Numbers or "-". TEXT and VALUEs in hexadecimal, a
 * value also "null" or "unset". CONTINUE 1: with the paging state of the page before. */
#include "cassandra/cassandra.h"
#include "cql/cql.h"
#include "cql/json.h"
#include "cql/virtual.h"
#include <stdio.h>
#include <stdlib.h>

static int64_t ahead_us;
static int64_t now_us(const struct tm_env *e)
{
	(void)e;
	return tm_now_us(tm_env_real()) + ahead_us;
}
static struct tm_env_ops ops;
static struct tm_env env;

static struct tm_store *store;
static struct tm_cassandra_server *door; /* for system.local and its like; nobody connects */
static struct tm_cql_session session;
static char keyspace[256];
static struct tm_buf paging;

static void reset(void)
{
	struct tm_err err;
	tm_cassandra_server_stop(door);
	tm_store_close(store);
	if (tm_store_open("", &(struct tm_store_options){.env = &env, .memory_only = true}, &store, &err) != TM_OK ||
	    tm_cql_system_register(store, &err) != TM_OK ||
	    tm_cassandra_server_start(store, &(struct tm_cassandra_options){0}, &door, &err) != TM_OK) {
		fprintf(stderr, "%s\n", err.what);
		exit(2);
	}
	session = (struct tm_cql_session){.store = store, .protocol_version = 5};
	paging.len = 0;
}

static struct tm_str unhex(struct tm_arena *arena, struct tm_str hex)
{
	char *out = tm_arena_alloc(arena, hex.len / 2 + 1);
	for (size_t i = 0; i + 1 < hex.len; i += 2) {
		unsigned v = 0;
		sscanf(hex.at + i, "%2x", &v);
		out[i / 2] = (char)v;
	}
	return tm_str_n(out, hex.len / 2);
}

static void put_specs(const char *name, const struct tm_cql_column_spec *specs, size_t count, struct tm_buf *out)
{
	tm_buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		struct tm_buf type = {0};
		tm_cql_type_wire_text(specs[i].type, &type);
		tm_buf_cstr_put(out, i ? ",[" : "[");
		tm_buf_json_str(out, specs[i].name);
		tm_buf_char(out, ',');
		tm_buf_json_str(out, tm_buf_str(&type));
		tm_buf_char(out, ']');
		tm_buf_done(&type);
	}
	tm_buf_char(out, ']');
}

static void put_result(const struct tm_cql_result *r, struct tm_buf *out)
{
	static const char *const kinds[] = {"", "void", "rows", "keyspace", "prepared", "schema_change"};
	tm_buf_printf(out, "\"kind\":\"%s\"", kinds[r->kind]);
	if (r->kind == TM_CQL_SET_KEYSPACE) {
		tm_buf_cstr_put(out, ",\"keyspace\":");
		tm_buf_json_str(out, r->keyspace);
	}
	if (r->kind == TM_CQL_SCHEMA_CHANGE) {
		tm_buf_cstr_put(out, ",\"schema_change\":[");
		struct tm_str parts[] = {r->change, r->target, r->keyspace, r->name};
		for (int i = 0; i < (r->name.len ? 4 : 3); i++) {
			tm_buf_cstr_put(out, i ? "," : "");
			tm_buf_json_str(out, parts[i]);
		}
		tm_buf_char(out, ']');
	}
	if (r->kind == TM_CQL_ROWS) {
		tm_buf_char(out, ',');
		put_specs("columns", r->columns, r->column_count, out);
		tm_buf_cstr_put(out, ",\"rows\":[");
		for (size_t i = 0; i < r->row_count; i++) {
			tm_buf_cstr_put(out, i ? ",[" : "[");
			for (size_t c = 0; c < r->column_count; c++) {
				tm_buf_cstr_put(out, c ? "," : "");
				tm_cql_value_plain_json(r->columns[c].type, &r->values[i * r->column_count + c], out);
			}
			tm_buf_char(out, ']');
		}
		tm_buf_cstr_put(out, "],\"hex\":[");
		for (size_t i = 0; i < r->row_count * r->column_count; i++) {
			tm_buf_cstr_put(out, i ? "," : "");
			if (r->values[i].null || !r->values[i].bytes.at) {
				tm_buf_cstr_put(out, "null");
				continue;
			}
			tm_buf_char(out, '"');
			for (size_t k = 0; k < r->values[i].bytes.len; k++)
				tm_buf_printf(out, "%02x", (uint8_t)r->values[i].bytes.at[k]);
			tm_buf_char(out, '"');
		}
		tm_buf_printf(out, "],\"more\":%s", r->paging_state.len ? "true" : "false");
	}
	tm_buf_cstr_put(out, ",\"warnings\":[");
	for (size_t i = 0; i < r->warning_count; i++) {
		tm_buf_cstr_put(out, i ? "," : "");
		tm_buf_json_str(out, r->warnings[i]);
	}
	tm_buf_char(out, ']');
}

static void put_error(const struct tm_err *err, struct tm_buf *out)
{
	out->len = 0;
	tm_buf_printf(out, "{\"error\":{\"code\":\"0x%04X\",\"message\":", (unsigned)(err->code ? err->code : tm_rc_cql(err->rc)));
	tm_buf_json_str(out, tm_str_of(err->what));
	tm_buf_cstr_put(out, "}}");
}

static int64_t number(struct tm_str s, int64_t otherwise)
{
	int64_t v;
	return tm_str_to_i64(s, &v) ? v : otherwise;
}

static void request(struct tm_arena *arena, struct tm_str *f, size_t n, struct tm_buf *out)
{
	struct tm_err err = {0};
	struct tm_cql_query_options o = {.consistency = (int)number(f[1], 1),
					 .timestamp_us = number(f[2], INT64_MIN),
					 .now_in_seconds = number(f[3], INT64_MIN),
					 .page_size = (int32_t)number(f[4], -1)};
	struct tm_str text = unhex(arena, f[7]);
	struct tm_cql_value *values = TM_NEW_N(arena, struct tm_cql_value, n);
	for (size_t i = 8; i < n; i++) {
		values[i - 8].null = tm_str_is(f[i], "null");
		values[i - 8].unset = tm_str_is(f[i], "unset");
		if (!values[i - 8].null && !values[i - 8].unset)
			values[i - 8].bytes = unhex(arena, f[i]);
	}
	o.values = values;
	o.value_count = n - 8;
	if (tm_str_is(f[5], "1"))
		o.paging_state = tm_arena_str(arena, tm_buf_str(&paging));
	if (f[6].len > 1 || (f[6].len == 1 && f[6].at[0] != '-'))
		o.keyspace = f[6];
	struct tm_cql_result r = {0};
	tm_buf_char(out, '{');
	tm_rc rc;
	if (f[0].at[0] == 'q') {
		rc = tm_cql_query(&session, text, &o, NULL, arena, &r, &err);
	} else {
		struct tm_cql_prepared *p;
		struct tm_cql_session own = session;
		if (o.keyspace.len)
			own.keyspace = o.keyspace;
		rc = tm_cql_prepare(&own, text, &p, &err);
		if (rc == TM_OK) {
			struct tm_cql_prepared_info info;
			tm_cql_prepared_describe(p, &info);
			put_specs("bind", info.markers, info.marker_count, out);
			tm_buf_cstr_put(out, ",\"pk\":[");
			for (size_t i = 0; i < info.partition_key_count; i++)
				tm_buf_printf(out, "%s%d", i ? "," : "", info.partition_key_index[i]);
			tm_buf_cstr_put(out, "],");
			put_specs("prepared_columns", info.columns, info.column_count, out);
			tm_buf_char(out, ',');
			r.kind = TM_CQL_PREPARED;
			if (f[0].at[0] == 'e')
				rc = tm_cql_execute(&own, p, &o, NULL, arena, &r, &err);
			tm_cql_prepared_unref(p);
		}
	}
	if (rc != TM_OK) {
		put_error(&err, out);
		return;
	}
	put_result(&r, out);
	tm_buf_char(out, '}');
	if (r.kind == TM_CQL_SET_KEYSPACE) {
		snprintf(keyspace, sizeof keyspace, "%.*s", TM_STR_ARG(r.keyspace));
		session.keyspace = tm_str_of(keyspace);
	}
	paging.len = 0;
	tm_buf_str_put(&paging, r.paging_state);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t length;
	struct tm_arena arena;
	struct tm_buf out = {0};
	ops = *tm_env_real()->ops;
	ops.now_us = now_us;
	env = *tm_env_real();
	env.ops = &ops;
	tm_arena_init(&arena);
	reset();
	while ((length = getline(&line, &cap, stdin)) > 0) {
		struct tm_str rest = tm_str_n(line, (size_t)length - (line[length - 1] == '\n')), part;
		struct {
			struct tm_str *items;
			size_t count, cap;
		} fields = {0};
		while (tm_str_split(&rest, '\t', &part))
			TM_PUSH_IN(&arena, &fields, part);
		out.len = 0;
		if (tm_str_is(fields.items[0], "reset")) {
			reset();
			tm_buf_cstr_put(&out, "{}");
		} else if (tm_str_is(fields.items[0], "wait")) {
			ahead_us += number(fields.items[1], 0);
			tm_buf_cstr_put(&out, "{}");
		} else if (fields.count >= 8) {
			request(&arena, fields.items, fields.count, &out);
		}
		printf("%.*s\n", (int)out.len, out.at);
		fflush(stdout);
		tm_arena_reset(&arena);
	}
	tm_arena_done(&arena);
	tm_buf_done(&out);
	tm_buf_done(&paging);
	tm_cassandra_server_stop(door);
	tm_store_close(store);
	free(line);
	return 0;
}
