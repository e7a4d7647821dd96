/* The query box: SQL over topics and tables, CQL over tables. One line of JSON per statement, or tables for people. */
#include "cql/cql.h"
#include "http/http_int.h"
#include "sql/sql.h"
#include "stream/tables.h"
#include <stdio.h>

enum { TEXT_ROWS = 1000 };

static tm_rc text_field(struct tm_http_request *r, const char *name, struct tm_str *ret, struct tm_err *err)
{
	const json_t *v = json_object_get(r->body, name);
	if (!json_is_string(v))
		return tm_fail(err, TM_INVALID, "the body needs a text \"%s\"", name);
	*ret = tm_str_n(json_string_value(v), json_string_length(v));
	return TM_OK;
}

tm_rc tm_http_api_sql(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_str rest, statement;
	TM_TRY(text_field(r, "sql", &rest, err));
	const char *format = json_string_value(json_object_get(r->body, "format"));
	bool text = format && strcmp(format, "text") == 0;
	static const struct tm_stream_world nothing;
	struct tm_stream_world world = r->server->world.stream ? *r->server->world.stream : nothing;
	world.cancelled = tm_http_unwanted;
	world.cancelled_ctx = r;
	struct tm_sql_options options = {.world = &world, .time_zone = "UTC", .max_answer_bytes = TM_LIMIT_HTTP_ANSWER_BYTES};
	struct tm_sql *sql = tm_sql_new(&options);
	tm_rc rc = TM_OK;
	while (rc == TM_OK && tm_sql_split(&rest, &statement)) {
		rc = text ? tm_sql_run_table(sql, statement, TEXT_ROWS, &a->body, err) : tm_sql_run_json(sql, statement, &a->body, err);
		if (a->body.len && a->body.at[a->body.len - 1] != '\n')
			tm_buf_char(&a->body, '\n');
	}
	tm_sql_free(sql);
	if (rc != TM_OK && !text && a->body.len) /* the error is the last line */
		rc = TM_OK;
	a->type = text ? "text/plain; charset=utf-8" : "application/x-ndjson";
	return rc;
}

/* On the outside tables where there are some; the keyspace tidemill (dead letters) is ours in any case. */
static tm_rc run_cql(struct tm_http_request *r, struct tm_str statement, struct tm_str keyspace, struct tm_cql_result *ret,
		     struct tm_err *err)
{
	struct tm_cql_query_options options = {
	    .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .serial_consistency = 8, .page_size = 5000};
	const struct tm_stream_world *world = r->server->world.stream;
	struct tm_tables *outside = world ? world->tables : NULL;
	bool ours = tm_str_is(keyspace, "tidemill") || tm_str_find(statement, TM_STR("tidemill."), 0) != SIZE_MAX;
	if (outside && !ours)
		return outside->klass->query(outside, statement, keyspace, &options, r->arena, ret, err);
	struct tm_cql_session session = {.store = r->server->world.store, .keyspace = keyspace, .protocol_version = 5};
	return tm_cql_query(&session, statement, &options, NULL, r->arena, ret, err);
}

tm_rc tm_http_api_cql(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_str rest, statement;
	TM_TRY(text_field(r, "cql", &rest, err));
	char keyspace[64] = "";
	tm_rc rc = TM_OK;
	while (rc == TM_OK && tm_cql_split(&rest, &statement)) {
		struct tm_cql_result result;
		rc = run_cql(r, statement, tm_str_of(keyspace), &result, err);
		if (rc == TM_OK) {
			tm_cql_result_json(&result, &a->body);
			if (result.kind == TM_CQL_SET_KEYSPACE)
				snprintf(keyspace, sizeof keyspace, "%.*s", TM_STR_ARG(result.keyspace));
		} else {
			tm_buf_printf(&a->body, "{\"error\": {\"code\": \"0x%04X\", \"message\": ",
				      (unsigned)(err->code ? err->code : tm_rc_cql(rc)));
			tm_buf_json_str(&a->body, tm_str_of(err->what));
			tm_buf_printf(&a->body, ", \"line\": %d, \"column\": %d}}", err->line, err->column);
		}
		if (a->body.len && a->body.at[a->body.len - 1] != '\n')
			tm_buf_char(&a->body, '\n');
	}
	a->type = "application/x-ndjson";
	tm_http_server_changed(r->server);
	return TM_OK;
}
