/* Reads that may take long (whole tables, aggregates, filtering) run on libuv's worker threads, so that a count over millions
 * of rows does not hold up the requests beside it. The request travels as a copy; its answer comes back to the loop's thread. */
#include <stdlib.h>
#include "cassandra/server_int.h"

#define SCAN_LIMIT 256 /* waiting and running; above it a client is told to come back (0x1001) */

struct scan {
	uv_work_t work;
	struct tm_cass_conn *conn;
	struct tm_store *store;
	struct tm_cass_envelope envelope; /* its body is ours */
	struct tm_str body, text, keyspace;
	struct tm_cass_rows_options rows;
	uint8_t changed_id[16], tracing_id[16];
	bool traced;
	struct tm_buf answer;
	uint8_t flags, opcode;
};

static bool has(struct tm_str text, const char *upper)
{
	size_t n = strlen(upper);
	for (size_t i = 0; i + n <= text.len; i++)
		if ((text.at[i] | 0x20) == (upper[0] | 0x20) && tm_str_ieq(tm_str_n(text.at + i, n), tm_str_n(upper, n)))
			return true;
	return false;
}

/* A guess by words, on the safe side: a wrong one costs a thread's hop or a wait, never a wrong answer. */
bool tm_cass_text_scans(struct tm_str text)
{
	static const char *const words[] = {"ALLOW FILTERING", "COUNT(", "SUM(", "AVG(", "MIN(", "MAX(", "TOKEN("};
	struct tm_str trimmed = tm_str_trim(text);
	if (trimmed.len < 6 || !tm_str_iis(tm_str_slice(trimmed, 0, 6), "SELECT") || has(trimmed, "FROM system"))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (has(trimmed, words[i]))
			return true;
	return !has(trimmed, "WHERE");
}

static void scan_work(uv_work_t *work)
{
	struct scan *s = work->data;
	struct tm_cass_request request;
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_cql_result result = {0};
	struct tm_cql_session session = {.store = s->store, .keyspace = s->keyspace, .protocol_version = s->envelope.version};
	const uint8_t *tracing_id = s->traced ? s->tracing_id : NULL;
	tm_arena_init(&arena);
	tm_rc rc = tm_cass_request_read(&s->envelope, &arena, &request, &err);
	if (rc == TM_OK)
		rc = tm_cql_query(&session, s->text, &request.options, NULL, &arena, &result, &err);
	if (rc == TM_OK) {
		s->opcode = TM_CASS_RESULT;
		s->flags = tm_cass_prefix_write(&s->answer, s->envelope.version, tracing_id, &result);
		tm_cass_result_write(&s->answer, s->envelope.version, &result, &s->rows);
		if (s->answer.len > TM_LIMIT_CQL_FRAME_BYTES)
			rc = tm_fail(&err, TM_LIMIT, "The result's %zu bytes are more than one message may hold; ask for pages",
				     s->answer.len);
	}
	if (rc != TM_OK) {
		s->opcode = TM_CASS_ERROR;
		s->answer.len = 0;
		s->flags = tm_cass_prefix_write(&s->answer, s->envelope.version, tracing_id, NULL);
		tm_cass_fail_write(&s->answer, s->envelope.version, &err, &request);
	}
	tm_arena_done(&arena);
}

static void scan_done(uv_work_t *work, int status)
{
	struct scan *s = work->data;
	struct tm_cass_conn *c = s->conn;
	(void)status;
	c->server->scan_count--;
	if (!c->closed && !c->ending) {
		tm_cass_writer_put(&c->writer, s->flags, s->envelope.stream, s->opcode, tm_buf_str(&s->answer));
		tm_cass_conn_flush(c);
	}
	tm_cass_conn_unref(c);
	tm_buf_done(&s->answer);
	free((void *)s->body.at);
	free((void *)s->text.at);
	free((void *)s->keyspace.at);
	free(s);
}

bool tm_cass_scan_start(struct tm_cass_conn *c, const struct tm_cass_envelope *e, struct tm_str text, struct tm_str keyspace,
			const struct tm_cass_rows_options *rows, const uint8_t *tracing_id)
{
	struct tm_cassandra_server *server = c->server;
	if (server->scan_count >= SCAN_LIMIT)
		return false;
	struct scan *s = tm_zalloc(sizeof *s);
	s->work.data = s;
	s->conn = c;
	s->store = server->store;
	s->body = tm_str_dup(e->body);
	s->envelope = *e;
	s->envelope.body = s->body;
	s->text = tm_str_dup(text);
	s->keyspace = tm_str_dup(keyspace);
	if (rows) {
		s->rows = *rows;
		if (rows->changed_metadata_id) {
			memcpy(s->changed_id, rows->changed_metadata_id, sizeof s->changed_id);
			s->rows.changed_metadata_id = s->changed_id;
		}
	}
	if (tracing_id) {
		s->traced = true;
		memcpy(s->tracing_id, tracing_id, sizeof s->tracing_id);
	}
	c->refs++;
	server->scan_count++;
	TM_ASSERT(uv_queue_work(&server->loop, &s->work, scan_work, scan_done) == 0);
	return true;
}
