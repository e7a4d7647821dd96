/* See journal.h. Keys: "sb" + a key of area "stream"; "sl" + query, NUL, batch, number: a dead letter, whose value is its columns in the
 * order of dead_table.h, each a byte (1 = null), a length and the bytes. */
#include "stream/journal.h"
#include "stream/dead_table.h"
#include "stream/query_int.h"
#include <stdlib.h>

enum { DEAD_TTL_S = TM_JOURNAL_DATED_DAYS * 24 * 3600, SEED_BYTES = 8 << 20, CLEAR_KEYS = 10000 };

/* ---- out ---- */

static struct tm_str prefixed(struct tm_arena *arena, const char *prefix, struct tm_str key)
{
	char *at = tm_arena_alloc(arena, 2 + key.len);
	memcpy(at, prefix, 2);
	tm_copy(at + 2, key.at, key.len);
	return tm_str_n(at, 2 + key.len);
}

static void on_bytes(void *ctx, const char *area, struct tm_str key, struct tm_str value)
{
	struct tm_query *q = ctx;
	(void)area; /* a query writes into its own only */
	TM_PUSH(&q->journal.entries, (struct tm_journal_entry){.key = prefixed(&q->journal.arena, "sb", key),
							       .value = value.at ? tm_arena_str(&q->journal.arena, value) : value,
							       .deleted = !value.at});
}

void tm_query_journal_watch(struct tm_query *q)
{
	q->journal.entries.count = 0;
	tm_arena_reset(&q->journal.arena);
	if (q->world->journal && q->commit)
		tm_table_batch_tap(q->commit, on_bytes, q);
}

void tm_query_journal_dead(struct tm_query *q, size_t number, const struct tm_cql_value *values)
{
	if (!q->world->journal)
		return;
	struct tm_buf key = {0}, value = {0};
	tm_buf_cstr_put(&key, "sl");
	tm_buf_str_put(&key, q->spec.name);
	tm_buf_u8(&key, 0);
	tm_buf_be64(&key, (uint64_t)q->batch_id);
	tm_buf_be32(&key, (uint32_t)number);
	for (size_t i = 0; i < TM_DEAD_COUNT; i++) {
		tm_buf_u8(&value, values[i].null);
		tm_buf_le32(&value, (uint32_t)(values[i].null ? 0 : values[i].bytes.len));
		if (!values[i].null)
			tm_buf_str_put(&value, values[i].bytes);
	}
	TM_PUSH(&q->journal.entries, (struct tm_journal_entry){.key = tm_arena_str(&q->journal.arena, tm_buf_str(&key)),
							       .value = tm_arena_str(&q->journal.arena, tm_buf_str(&value)),
							       .dated = true});
	tm_buf_done(&key);
	tm_buf_done(&value);
}

/* First to the journal, where it counts; then into the store, which is a copy of it. */
tm_rc tm_query_commit(struct tm_query *q, struct tm_err *err)
{
	if (q->world->journal && q->journal.entries.count) {
		tm_rc rc = tm_journal_commit(q->world->journal, q->journal.entries.items, q->journal.entries.count, err);
		q->journal.entries.count = 0;
		tm_arena_reset(&q->journal.arena);
		if (rc)
			return rc;
	}
	return tm_table_batch_commit(q->commit, true, err);
}

struct seeding {
	struct tm_journal *journal;
	struct tm_arena arena;
	struct {
		struct tm_journal_entry *items;
		size_t count, cap;
	} entries;
	size_t bytes, total;
	struct tm_err *err;
};

static tm_rc seed_flush(struct seeding *s)
{
	tm_rc rc = s->entries.count ? tm_journal_commit(s->journal, s->entries.items, s->entries.count, s->err) : TM_OK;
	s->total += s->entries.count;
	s->entries.count = 0;
	s->bytes = 0;
	tm_arena_reset(&s->arena);
	return rc;
}

static tm_rc seed_one(void *ctx, struct tm_str key, struct tm_str value)
{
	struct seeding *s = ctx;
	TM_PUSH(&s->entries, (struct tm_journal_entry){.key = prefixed(&s->arena, "sb", key), .value = tm_arena_str(&s->arena, value)});
	s->bytes += key.len + value.len;
	return s->bytes > SEED_BYTES ? seed_flush(s) : TM_OK;
}

tm_rc tm_stream_journal_seed(struct tm_store *store, struct tm_journal *journal, size_t *ret_count, struct tm_err *err)
{
	struct seeding s = {.journal = journal, .err = err};
	tm_arena_init(&s.arena);
	tm_rc rc = tm_store_scan_bytes(store, "stream", TM_STR(""), seed_one, &s, err);
	if (!rc)
		rc = seed_flush(&s);
	*ret_count = s.total;
	free(s.entries.items);
	tm_arena_done(&s.arena);
	return rc;
}

/* ---- in ---- */

struct tm_stream_replica {
	struct tm_store *store;
	struct tm_table_batch *batch;
	const struct tm_table_def *dead;
	size_t column[TM_DEAD_COUNT]; /* of dead; SIZE_MAX: the user has dropped it */
};

tm_rc tm_stream_replica_new(struct tm_store *store, struct tm_stream_replica **ret, struct tm_err *err)
{
	const struct tm_table_def *dead;
	TM_TRY(tm_dead_table(store, &dead, err));
	struct tm_stream_replica *r = tm_zalloc(sizeof *r);
	*r = (struct tm_stream_replica){.store = store, .batch = tm_table_batch_new(store), .dead = dead};
	for (size_t i = 0; i < TM_DEAD_COUNT; i++) {
		r->column[i] = SIZE_MAX;
		for (size_t c = 0; c < dead->column_count; c++)
			if (tm_str_is(dead->columns[c].name, tm_dead_columns[i]))
				r->column[i] = c;
	}
	*ret = r;
	return TM_OK;
}

void tm_stream_replica_free(struct tm_stream_replica *r)
{
	if (!r)
		return;
	tm_table_batch_free(r->batch);
	tm_table_def_unref(r->store, r->dead);
	free(r);
}

static tm_rc forget(void *ctx, struct tm_str key, struct tm_str value)
{
	(void)value;
	struct tm_table_batch *batch = ctx;
	tm_table_batch_delete_bytes(batch, "stream", key);
	return TM_OK;
}

tm_rc tm_stream_replica_clear(struct tm_stream_replica *r, struct tm_err *err)
{
	TM_TRY(tm_store_scan_bytes(r->store, "stream", TM_STR(""), forget, r->batch, err));
	return tm_table_batch_commit(r->batch, false, err);
}

static tm_rc apply_dead(struct tm_stream_replica *r, struct tm_str bytes, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	struct tm_cql_value values[TM_DEAD_COUNT], used[TM_DEAD_COUNT];
	size_t index[TM_DEAD_COUNT], n = 0;
	for (size_t i = 0; i < TM_DEAD_COUNT; i++) {
		bool null = tm_cursor_u8(&c) != 0;
		values[i] = (struct tm_cql_value){.bytes = tm_cursor_take(&c, tm_cursor_le32(&c)), .null = null};
		if (r->column[i] == SIZE_MAX)
			continue;
		index[n] = r->column[i];
		used[n++] = values[i];
	}
	if (!tm_cursor_ok(&c) || tm_cursor_left(&c) || values[TM_DEAD_AT].bytes.len != 8)
		return tm_fail(err, TM_CORRUPT, "a dead letter of the journal cannot be read");
	struct tm_cursor at = tm_cursor_of(values[TM_DEAD_AT].bytes);
	int64_t at_ms = (int64_t)tm_cursor_be64(&at), left_s = DEAD_TTL_S - (tm_now_ms(tm_env_real()) - at_ms) / 1000;
	if (left_s <= 0)
		return TM_OK;
	const struct tm_table_write write = {.def = r->dead,
					     .column_index = index,
					     .values = used,
					     .count = n,
					     .insert = true,
					     .timestamp_us = at_ms * 1000,
					     .ttl_s = (int32_t)(left_s < DEAD_TTL_S ? left_s : DEAD_TTL_S)};
	return tm_table_batch_write(r->batch, &write, err);
}

tm_rc tm_stream_replica_apply(struct tm_stream_replica *r, const struct tm_journal_entry *e, struct tm_err *err)
{
	if (tm_str_starts(e->key, TM_STR("sb")) && e->key.len > 2) {
		struct tm_str key = tm_str_slice(e->key, 2, e->key.len);
		if (e->deleted)
			tm_table_batch_delete_bytes(r->batch, "stream", key);
		else
			tm_table_batch_put_bytes(r->batch, "stream", key, e->value);
		return TM_OK;
	}
	if (tm_str_starts(e->key, TM_STR("sl")))
		return e->deleted ? TM_OK : apply_dead(r, e->value, err);
	return tm_fail(err, TM_CORRUPT, "the journal holds a key that this version does not know: '%.*s'",
		       (int)(e->key.len < 60 ? e->key.len : 60), e->key.at);
}

tm_rc tm_stream_replica_commit(struct tm_stream_replica *r, struct tm_err *err) { return tm_table_batch_commit(r->batch, false, err); }
