/* Dead letters: rows that a query could not use, in the table tidemill.dead_letters, written in the same commit as the batch they
 * came in. Keyed by query, batch and a number within the batch, so that a batch that runs again writes the same rows again.
 * They leave after 30 days (the table's default time to live, which may be changed). */
#include "stream/query_int.h"
#include "stream/dead_table.h"

static size_t column_index(const struct tm_table_def *def, const char *name)
{
	for (size_t i = 0; i < def->column_count; i++)
		if (tm_str_is(def->columns[i].name, name))
			return i;
	return SIZE_MAX;
}

tm_rc tm_dead_open(struct tm_query *q, struct tm_err *err)
{
	return q->world->store ? tm_dead_table(q->world->store, &q->dead_def, err) : TM_OK;
}

void tm_dead_close(struct tm_query *q)
{
	if (q->dead_def)
		tm_table_def_unref(q->world->store, q->dead_def);
	q->dead_def = NULL;
}

static struct tm_cql_value text_value(struct tm_str s) { return (struct tm_cql_value){.bytes = s, .null = s.at == NULL}; }

static struct tm_cql_value be_value(struct tm_arena *arena, int64_t v, size_t width, bool null)
{
	char *bytes = tm_arena_alloc(arena, 8);
	uint64_t big = __builtin_bswap64((uint64_t)v);
	memcpy(bytes, (char *)&big + 8 - width, width);
	return (struct tm_cql_value){.bytes = {bytes, width}, .null = null};
}

tm_rc tm_dead_write(struct tm_query *q, struct tm_err *err)
{
	struct tm_arena *arena = &q->stream.arena;
	size_t index[TM_DEAD_COUNT], used = 0;
	if (!q->stream.dead.count || !q->dead_def)
		return TM_OK;
	size_t which[TM_DEAD_COUNT];
	for (size_t i = 0; i < TM_DEAD_COUNT; i++) {
		size_t at = column_index(q->dead_def, tm_dead_columns[i]);
		if (at == SIZE_MAX)
			continue; /* the user has dropped the column */
		which[used] = i;
		index[used++] = at;
	}
	for (size_t n = 0; n < q->stream.dead.count; n++) {
		const struct tm_dead *d = &q->stream.dead.items[n];
		struct tm_cql_value all[TM_DEAD_COUNT] = {
		    [TM_DEAD_QUERY] = text_value(q->spec.name),
		    [TM_DEAD_BATCH] = be_value(arena, q->batch_id, 8, false),
		    [TM_DEAD_NUMBER] = be_value(arena, (int64_t)n, 4, false),
		    [TM_DEAD_AT] = be_value(arena, q->run.session.now_us / 1000, 8, false),
		    [TM_DEAD_DETAIL] = text_value(d->detail),
		    [TM_DEAD_KEY] = text_value(d->key),
		    [TM_DEAD_OFFSET] = be_value(arena, d->offset, 8, d->offset < 0),
		    [TM_DEAD_PARTITION] = be_value(arena, d->partition, 4, d->offset < 0),
		    [TM_DEAD_REASON] = text_value(tm_str_of(d->reason)),
		    [TM_DEAD_TOPIC] = text_value(d->topic),
		    [TM_DEAD_VALUE] = text_value(d->value),
		    [TM_DEAD_WATERMARK] = be_value(arena, q->watermark_ms, 8, !q->stream.has_watermark),
		};
		tm_query_journal_dead(q, n, all);
		struct tm_cql_value values[TM_DEAD_COUNT];
		for (size_t i = 0; i < used; i++)
			values[i] = all[which[i]];
		const struct tm_table_write write = {
		    .def = q->dead_def, .column_index = index, .values = values, .count = used, .insert = true, .timestamp_us = INT64_MIN};
		TM_TRY(tm_table_batch_write(q->commit, &write, err));
	}
	return TM_OK;
}
