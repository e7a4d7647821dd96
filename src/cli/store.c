/* The stage `store`: where the tables are, and the statements of the .cql files. The instance's own store is there in any case: for states,
 * checkpoints and dead letters. */
#include "cassandra/tables.h"
#include "cli/instance.h"
#include <stdio.h>

static bool outside(const struct tm_instance *in) { return strcmp(in->config.store, "embedded") != 0; }

tm_rc tm_instance_store_start(struct tm_instance *in, struct tm_err *err)
{
	if (!outside(in))
		return TM_OK;
	tm_rc rc = tm_tables_cassandra_open(tm_str_of(in->config.store), &in->tables, err);
	if (rc) {
		tm_err_prefix(err, "store: ");
		return rc;
	}
	in->world.tables = in->tables;
	return TM_OK;
}

void tm_instance_store_stop(struct tm_instance *in)
{
	tm_tables_free(in->tables);
	in->tables = in->world.tables = NULL;
}

void tm_instance_store_address(struct tm_instance *in, const char **ret_host, int *ret_port)
{
	struct tm_url url;
	*ret_host = tm_address_here(&in->config.cassandra);
	*ret_port = in->config.cassandra.port;
	if (!outside(in) || tm_url_parse(tm_str_of(in->config.store), &in->arena, &url, NULL) != TM_OK)
		return;
	*ret_host = tm_arena_cstr(&in->arena, url.hosts[0].host);
	*ret_port = url.hosts[0].port ? url.hosts[0].port : 9042;
}

tm_rc tm_instance_cql(struct tm_instance *in, struct tm_str statement, struct tm_str keyspace, struct tm_arena *arena,
		      struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_cql_query_options options = {
	    .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .serial_consistency = 8, .page_size = -1};
	if (in->tables)
		return in->tables->klass->query(in->tables, statement, keyspace, &options, arena, ret, err);
	struct tm_cql_session session = {.store = in->store, .keyspace = keyspace, .protocol_version = 5};
	return tm_cql_query(&session, statement, &options, NULL, arena, ret, err);
}

void tm_instance_cql_err_at(struct tm_err *err, const char *path, const char *file, const char *statement)
{
	int line = 1;
	for (const char *p = file; p < statement; p++)
		line += *p == '\n';
	tm_err_at(err, path, line + (err->line ? err->line - 1 : 0), err->column ? err->column : 1);
}

/* "CREATE TABLE IF NOT EXISTS ks.t" says nothing when the table is there: the keyspace is in its text, before the first dot. */
static void note_keyspace(struct tm_instance *in, struct tm_str statement, struct tm_str used)
{
	size_t dot = tm_str_find(statement, TM_STR("."), 0), paren = tm_str_find(statement, TM_STR("("), 0);
	if (!in->tables)
		return;
	if (used.len)
		in->tables->klass->uses(in->tables, used);
	if (dot == SIZE_MAX || dot > paren)
		return;
	struct tm_str name = tm_str_trim(tm_str_slice(statement, 0, dot));
	size_t from = name.len;
	while (from > 0 && !strchr(" \t\r\n\"", name.at[from - 1]) && (name.at[name.len - 1] != '"' || from == name.len))
		from--;
	if (name.len > 2 && name.at[name.len - 1] == '"') {
		for (from = name.len - 1; from > 0 && name.at[from - 1] != '"'; from--)
			;
		name.len--;
	}
	name = tm_str_slice(name, from, name.len);
	if (name.len)
		in->tables->klass->uses(in->tables, name);
}

tm_rc tm_instance_cql_file(struct tm_instance *in, const char *path, struct tm_err *err)
{
	struct tm_buf text = {0};
	TM_TRY(tm_file_read(tm_env_real(), path, TM_LIMIT_CQL_STATEMENT_BYTES, &text, err));
	struct tm_str rest = tm_buf_str(&text), statement;
	char keyspace[64] = "";
	tm_rc rc = TM_OK;
	while (rc == TM_OK && tm_cql_split(&rest, &statement)) {
		struct tm_arena arena;
		struct tm_cql_result result;
		tm_arena_init(&arena);
		rc = tm_instance_cql(in, statement, tm_str_of(keyspace), &arena, &result, err);
		if (rc == TM_OK && result.kind == TM_CQL_SET_KEYSPACE)
			snprintf(keyspace, sizeof keyspace, "%.*s", TM_STR_ARG(result.keyspace));
		if (rc != TM_OK)
			tm_instance_cql_err_at(err, path, text.at, statement.at);
		else
			note_keyspace(in, statement, tm_str_of(keyspace));
		tm_arena_done(&arena);
	}
	tm_buf_done(&text);
	return rc;
}
