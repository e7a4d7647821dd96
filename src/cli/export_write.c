/* Two ways to the target: a session that has many writes on their way, and a client for single questions. Both keep what was prepared by
 * its text: a table needs one statement for each set of columns that were written together. */
#include "cli/export_write.h"
#include "cassandra/session.h"
#include "cassandra/tables.h"
#include "cli/export.h"
#include <stdlib.h>

enum { WRITES = 1024 };

struct known {
	struct tm_str text;
	struct tm_cassandra_statement question;
	struct tm_cass_statement *write;
};
struct tm_moved_writer {
	struct tm_cassandra_client *client;
	struct tm_tables *tables;
	struct tm_cass_session *session;
	int consistency;
	struct tm_arena arena, pending_arena;
	struct tm_cass_call *pending;
	size_t pending_count;
	struct {
		struct known **items;
		size_t count, cap;
	} known;
};

tm_rc tm_moved_writer_new(struct tm_str target, struct tm_cassandra_client *client, struct tm_moved_writer **ret, struct tm_err *err)
{
	struct tm_tables *tables;
	TM_TRY(tm_tables_cassandra_open(target, &tables, err));
	struct tm_moved_writer *w = tm_zalloc(sizeof *w);
	w->client = client;
	w->tables = tables;
	w->session = tm_tables_cassandra_session(tables, &w->consistency);
	w->pending = tm_zalloc(WRITES * sizeof *w->pending);
	tm_arena_init(&w->arena);
	tm_arena_init(&w->pending_arena);
	*ret = w;
	return TM_OK;
}

void tm_moved_writer_free(struct tm_moved_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->known.count; i++)
		if (w->known.items[i]->write)
			tm_cass_statement_free(w->known.items[i]->write);
	tm_tables_free(w->tables);
	tm_arena_done(&w->arena);
	tm_arena_done(&w->pending_arena);
	free(w->known.items);
	free(w->pending);
	free(w);
}

static struct known *find(struct tm_moved_writer *w, struct tm_str text)
{
	for (size_t i = 0; i < w->known.count; i++)
		if (tm_str_eq(w->known.items[i]->text, text))
			return w->known.items[i];
	struct known *k = TM_NEW(&w->arena, struct known);
	k->text = tm_arena_str(&w->arena, text);
	TM_PUSH(&w->known, k);
	return k;
}

/* ---- writes ---- */

static bool stopping(void *ctx) { return (void)ctx, tm_export_stopping(); }
static const struct tm_cass_waiter waiter = {.stopping = stopping, .waits = tm_export_waits};

tm_rc tm_moved_writer_flush(struct tm_moved_writer *w, struct tm_err *err)
{
	struct tm_err why = {0};
	for (size_t i = 0; i < w->pending_count; i++)
		w->pending[i].err = &why;
	tm_cass_run(w->session, w->pending, w->pending_count, &waiter);
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < w->pending_count && rc == TM_OK; i++)
		rc = w->pending[i].rc;
	w->pending_count = 0;
	tm_arena_reset(&w->pending_arena);
	if (rc != TM_OK && err)
		*err = why;
	return rc;
}

tm_rc tm_moved_writer_add(struct tm_moved_writer *w, const struct tm_moved_write *write, struct tm_err *err)
{
	struct known *k = find(w, write->text);
	if (!k->write)
		TM_TRY(tm_cass_prepare(w->session, k->text, &waiter, &k->write, err));
	struct tm_cass_call *call = &w->pending[w->pending_count++];
	*call = (struct tm_cass_call){.statement = k->write, .idempotent = write->again, .patient = true};
	call->request.opcode = TM_CASS_EXECUTE;
	tm_cass_options_init(&call->request.options);
	call->request.options.consistency = w->consistency;
	struct tm_cql_value *values = TM_NEW_N(&w->pending_arena, struct tm_cql_value, write->count + 1);
	for (size_t i = 0; i < write->count; i++) {
		values[i] = write->values[i];
		if (!values[i].null)
			values[i].bytes = tm_arena_str(&w->pending_arena, values[i].bytes);
	}
	call->request.options.values = values;
	call->request.options.value_count = write->count;
	return w->pending_count == WRITES ? tm_moved_writer_flush(w, err) : TM_OK;
}

/* ---- questions ---- */

tm_rc tm_moved_ask(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count, struct tm_arena *arena,
		   struct tm_cql_result *ret, struct tm_err *err)
{
	struct known *k = find(w, text);
	if (!k->question.id.len)
		TM_TRY(tm_cassandra_client_prepare(w->client, k->text, &w->arena, &k->question, err));
	struct tm_cql_query_options options = {.values = values,
					       .value_count = count,
					       .page_size = -1,
					       .timestamp_us = INT64_MIN,
					       .now_in_seconds = INT64_MIN,
					       .consistency = w->consistency};
	return tm_cassandra_client_execute(w->client, &k->question, &options, arena, ret, err);
}
