/* See state_store.h. Invariant: applying a shard's chunks in the order of their sequences gives its live entries. */
#include "stream/state_store.h"
#include "stream/groups.h"
#include "stream/seal.h"
#include "table/table.h"
#include <stdlib.h>

enum { REWRITE_MIN_BYTES = 256 * 1024 };

static struct tm_state_shard *shard_of(struct tm_state_store *s, struct tm_str key)
{
	return &s->shards[tm_xxh64(key.at, key.len, 0) % TM_STATE_SHARDS];
}

static void entry(struct tm_buf *out, bool put, struct tm_str key, struct tm_str value)
{
	tm_buf_u8(out, put);
	tm_buf_varint(out, key.len);
	tm_buf_str_put(out, key);
	if (!put)
		return;
	tm_buf_varint(out, value.len);
	tm_buf_str_put(out, value);
}

void tm_state_store_put(struct tm_state_store *s, struct tm_str key, struct tm_str value)
{
	entry(&shard_of(s, key)->pending, true, key, value);
}
void tm_state_store_delete(struct tm_state_store *s, struct tm_str key)
{
	entry(&shard_of(s, key)->pending, false, key, (struct tm_str){0});
}

void tm_state_store_done(struct tm_state_store *s)
{
	for (size_t i = 0; i < TM_STATE_SHARDS; i++)
		tm_buf_done(&s->shards[i].pending);
	*s = (struct tm_state_store){0};
}

/* ---- merging chunks ---- */

struct item {
	struct tm_str key, value;
	bool put;
};
struct items {
	struct item *items;
	size_t count, cap;
};

static tm_rc parse(struct tm_str chunk, struct tm_arena *arena, struct items *out, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(chunk);
	while (tm_cursor_ok(&c) && tm_cursor_left(&c)) {
		struct item it = {0};
		uint8_t kind = tm_cursor_u8(&c);
		it.put = kind == 1;
		it.key = tm_cursor_take(&c, tm_cursor_varint(&c, 32));
		if (it.put)
			it.value = tm_cursor_take(&c, tm_cursor_varint(&c, 32));
		if (kind > 1 || !tm_cursor_ok(&c))
			return tm_fail(err, TM_CORRUPT, "a chunk of state in the checkpoint has an impossible length");
		TM_PUSH_IN(arena, out, it);
	}
	return TM_OK;
}

/* Of entries with the same key only the last stays, where it is a put. */
static void keep_last(struct items *all, struct tm_arena *arena)
{
	const struct tm_type *types[] = {&tm_type_binary};
	const bool nullable[] = {false};
	struct tm_groups g;
	tm_groups_init(&g, types, nullable, 1, sizeof(uint64_t), 8);
	struct tm_column keys;
	tm_column_init(&keys, arena, &tm_type_binary, all->count);
	for (size_t i = 0; i < all->count; i++)
		keys.str[i] = (struct tm_str){all->items[i].key.at ? all->items[i].key.at : "", all->items[i].key.len};
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(all->count + 1, sizeof *numbers));
	tm_groups_upsert(&g, arena, &keys, all->count, numbers, NULL);
	for (size_t i = 0; i < all->count; i++)
		*(uint64_t *)tm_groups_payload(&g, numbers[i]) = i;
	size_t n = 0;
	for (size_t i = 0; i < all->count; i++)
		if (*(uint64_t *)tm_groups_payload(&g, numbers[i]) == i && all->items[i].put)
			all->items[n++] = all->items[i];
	all->count = n;
	tm_groups_done(&g);
}

static struct tm_str shard_key(struct tm_buf *key, struct tm_str prefix, size_t shard)
{
	key->len = 0;
	tm_buf_str_put(key, prefix);
	tm_buf_u8(key, (uint8_t)shard);
	return tm_buf_str(key);
}

static struct tm_str chunk_key(struct tm_buf *key, struct tm_str prefix, size_t shard, uint64_t sequence)
{
	shard_key(key, prefix, shard);
	tm_buf_be64(key, sequence);
	return tm_buf_str(key);
}

struct reading {
	struct tm_arena *arena;
	struct items *items;
	struct tm_state_shard *shard;
	size_t key_len;
	bool first;
	struct tm_err *err;
};

static tm_rc read_chunk(void *ctx, struct tm_str key, struct tm_str value)
{
	struct reading *r = ctx;
	struct tm_str payload;
	if (key.len != r->key_len + 8 || !tm_state_unseal(value, &payload))
		return tm_fail(r->err, TM_CORRUPT, "a chunk of state in the checkpoint is damaged: its checksum does not match");
	struct tm_cursor c = tm_cursor_of(tm_str_slice(key, r->key_len, key.len));
	uint64_t sequence = tm_cursor_be64(&c);
	if (!r->first && sequence != r->shard->next)
		return tm_fail(r->err, TM_CORRUPT, "a chunk of state is missing in the checkpoint");
	if (r->first) {
		r->shard->first = sequence;
		r->shard->base_bytes = payload.len;
		r->shard->log_bytes = 0;
	} else {
		r->shard->log_bytes += payload.len;
	}
	r->first = false;
	r->shard->next = sequence + 1;
	return parse(tm_arena_str(r->arena, payload), r->arena, r->items, r->err);
}

static tm_rc read_shard(struct tm_state_shard *shard, size_t at, struct tm_store *store, struct tm_str prefix, struct tm_arena *arena,
			struct items *ret, struct tm_err *err)
{
	struct tm_buf key = {0};
	shard_key(&key, prefix, at);
	struct reading r = {arena, ret, shard, key.len, true, err};
	tm_rc rc = tm_store_scan_bytes(store, "stream", tm_buf_str(&key), read_chunk, &r, err);
	tm_buf_done(&key);
	return rc;
}

/* The shard's chunks and what is pending become one chunk. */
static tm_rc rewrite(struct tm_state_shard *shard, size_t at, struct tm_store *store, struct tm_table_batch *commit, struct tm_str prefix,
		     struct tm_err *err)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct items all = {0};
	struct tm_buf key = {0}, merged = {0}, sealed = {0};
	uint64_t first = shard->first, next = shard->next;
	tm_rc rc = read_shard(shard, at, store, prefix, &arena, &all, err);
	if (!rc && (shard->first != first || shard->next != next))
		rc = tm_fail(err, TM_CORRUPT, "the chunks of state in the store are not those that were written");
	if (!rc)
		rc = parse(tm_buf_str(&shard->pending), &arena, &all, err);
	if (!rc) {
		keep_last(&all, &arena);
		for (size_t i = 0; i < all.count; i++)
			entry(&merged, true, all.items[i].key, all.items[i].value);
		for (uint64_t s = first; s < next; s++)
			tm_table_batch_delete_bytes(commit, "stream", chunk_key(&key, prefix, at, s));
		tm_state_seal(&sealed, tm_buf_str(&merged));
		tm_table_batch_put_bytes(commit, "stream", chunk_key(&key, prefix, at, next), tm_buf_str(&sealed));
		shard->first = next;
		shard->next = next + 1;
		shard->base_bytes = merged.len;
		shard->log_bytes = 0;
	}
	tm_buf_done(&key);
	tm_buf_done(&merged);
	tm_buf_done(&sealed);
	tm_arena_done(&arena);
	return rc;
}

tm_rc tm_state_store_flush(struct tm_state_store *s, struct tm_store *store, struct tm_table_batch *commit, struct tm_str prefix,
			   struct tm_err *err)
{
	struct tm_buf key = {0}, sealed = {0};
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < TM_STATE_SHARDS && !rc; i++) {
		struct tm_state_shard *shard = &s->shards[i];
		if (!shard->pending.len)
			continue;
		size_t log = shard->log_bytes + shard->pending.len;
		if (shard->next > shard->first && log > REWRITE_MIN_BYTES && log > 2 * shard->base_bytes) {
			rc = rewrite(shard, i, store, commit, prefix, err);
		} else {
			sealed.len = 0;
			tm_state_seal(&sealed, tm_buf_str(&shard->pending));
			tm_table_batch_put_bytes(commit, "stream", chunk_key(&key, prefix, i, shard->next), tm_buf_str(&sealed));
			if (shard->next == shard->first)
				shard->base_bytes = shard->pending.len;
			else
				shard->log_bytes = log;
			shard->next++;
		}
		shard->pending.len = 0;
	}
	tm_buf_done(&key);
	tm_buf_done(&sealed);
	return rc;
}

tm_rc tm_state_store_restore(struct tm_state_store *s, struct tm_store *store, struct tm_str prefix,
			     tm_rc (*each)(void *ctx, struct tm_str key, struct tm_str value, struct tm_err *err), void *ctx,
			     struct tm_err *err)
{
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < TM_STATE_SHARDS && !rc; i++) {
		struct tm_arena arena;
		tm_arena_init(&arena);
		struct items all = {0};
		rc = read_shard(&s->shards[i], i, store, prefix, &arena, &all, err);
		if (!rc)
			keep_last(&all, &arena);
		for (size_t k = 0; k < all.count && !rc; k++)
			rc = each(ctx, all.items[k].key, all.items[k].value, err);
		tm_arena_done(&arena);
	}
	return rc;
}
