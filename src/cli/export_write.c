/* Prepared statements of the target, by their text. */
#include "cli/export_write.h"
#include <stdlib.h>

struct known {
	struct tm_str text;
	struct tm_cassandra_statement statement;
};
struct tm_moved_writer {
	struct tm_cassandra_client *client;
	struct tm_arena arena, request;
	struct {
		struct known **items;
		size_t count, cap;
	} known;
};

struct tm_moved_writer *tm_moved_writer_new(struct tm_cassandra_client *target)
{
	struct tm_moved_writer *w = tm_zalloc(sizeof *w);
	w->client = target;
	tm_arena_init(&w->arena);
	tm_arena_init(&w->request);
	return w;
}

void tm_moved_writer_free(struct tm_moved_writer *w)
{
	if (!w)
		return;
	tm_arena_done(&w->arena);
	tm_arena_done(&w->request);
	free(w->known.items);
	free(w);
}

static tm_rc find(struct tm_moved_writer *w, struct tm_str text, const struct tm_cassandra_statement **ret, struct tm_err *err)
{
	for (size_t i = 0; i < w->known.count; i++)
		if (tm_str_eq(w->known.items[i]->text, text)) {
			*ret = &w->known.items[i]->statement;
			return TM_OK;
		}
	struct known *k = TM_NEW(&w->arena, struct known);
	k->text = tm_arena_str(&w->arena, text);
	TM_TRY(tm_cassandra_client_prepare(w->client, k->text, &w->arena, &k->statement, err));
	TM_PUSH(&w->known, k);
	*ret = &k->statement;
	return TM_OK;
}

tm_rc tm_moved_ask(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count, struct tm_arena *arena,
		   struct tm_cql_result *ret, struct tm_err *err)
{
	const struct tm_cassandra_statement *statement;
	TM_TRY(find(w, text, &statement, err));
	struct tm_cql_query_options options = {.values = values,
					       .value_count = count,
					       .page_size = -1,
					       .timestamp_us = INT64_MIN,
					       .now_in_seconds = INT64_MIN,
					       .consistency = 1};
	return tm_cassandra_client_execute(w->client, statement, &options, arena, ret, err);
}

tm_rc tm_moved_write(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count, struct tm_err *err)
{
	struct tm_cql_result result;
	tm_arena_reset(&w->request);
	return tm_moved_ask(w, text, values, count, &w->request, &result, err);
}

tm_rc tm_moved_writer_flush(struct tm_moved_writer *w, struct tm_err *err) { return (void)w, (void)err, TM_OK; }
