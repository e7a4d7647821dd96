/* Write batches: a RocksDB write batch of merge operands; nothing is read. Keys are built here. */
#include "table/mutation.h"
#include "table/read.h"
#include "table/table_int.h"
#include <stdlib.h>

struct tm_table_batch {
	struct tm_store *store;
	rocksdb_writebatch_t *wb;
	struct tm_buf key, value;
	struct tm_arena arena, originals;
	size_t bytes;
	bool rows;
	size_t marked_bytes;
	void (*tap)(void *ctx, const char *area, struct tm_str key, struct tm_str value);
	void *tap_ctx;
};

struct tm_table_batch *tm_table_batch_new(struct tm_store *store)
{
	struct tm_table_batch *b = tm_zalloc(sizeof *b);
	b->store = store;
	b->wb = rocksdb_writebatch_create();
	tm_arena_init(&b->arena);
	tm_arena_init(&b->originals);
	return b;
}

void tm_table_batch_free(struct tm_table_batch *b)
{
	if (!b)
		return;
	rocksdb_writebatch_destroy(b->wb);
	tm_buf_done(&b->key);
	tm_buf_done(&b->value);
	tm_arena_done(&b->arena);
	tm_arena_done(&b->originals);
	free(b);
}

size_t tm_table_batch_bytes(const struct tm_table_batch *b) { return b->bytes; }
struct tm_store *tm_table_batch_store(struct tm_table_batch *b) { return b->store; }
bool tm_table_batch_is_empty(const struct tm_table_batch *b) { return b->bytes == 0; }
int64_t tm_store_now_us(struct tm_store *store) { return tm_store_timestamp_us(store); }
int64_t tm_store_clock_s(struct tm_store *store) { return tm_now_us(store->env) / 1000000; }
const struct tm_env *tm_store_env(struct tm_store *store) { return store->env; }

void tm_table_batch_mark(struct tm_table_batch *b)
{
	rocksdb_writebatch_set_save_point(b->wb);
	b->marked_bytes = b->bytes;
}

void tm_table_batch_settle(struct tm_table_batch *b, bool keep)
{
	char *message = NULL;
	if (keep) {
		rocksdb_writebatch_pop_save_point(b->wb, &message);
	} else {
		rocksdb_writebatch_rollback_to_save_point(b->wb, &message);
		b->bytes = b->marked_bytes;
	}
	TM_ASSERT(!message);
}

/* ---- keys ---- */
void tm_key_table(struct tm_buf *out, uint32_t number) { tm_buf_be32(out, number); }

void tm_key_partition(struct tm_buf *out, uint32_t number, struct tm_str key)
{
	tm_buf_be32(out, number);
	tm_buf_be64(out, (uint64_t)tm_value_token(key) ^ 1ull << 63);
	tm_value_escaped_put(key, out);
}

void tm_table_partition_key(const struct tm_table_def *def, const struct tm_str *values, struct tm_buf *out)
{
	if (def->partition_key_count == 1) {
		tm_buf_str_put(out, values[0]);
		return;
	}
	for (size_t i = 0; i < def->partition_key_count; i++) {
		tm_buf_be16(out, (uint16_t)values[i].len);
		tm_buf_str_put(out, values[i]);
		tm_buf_u8(out, 0);
	}
}

static pthread_mutex_t *stripe(struct tm_store *store, const struct tm_table *table, struct tm_str key)
{
	return &store->stripes[(uint64_t)(tm_value_token(key) ^ table->number) % TM_LWT_STRIPES];
}
void tm_store_partition_lock(struct tm_store *store, const struct tm_table *table, struct tm_str key)
{
	pthread_mutex_lock(stripe(store, table, key));
}
void tm_store_partition_unlock(struct tm_store *store, const struct tm_table *table, struct tm_str key)
{
	pthread_mutex_unlock(stripe(store, table, key));
}

void tm_mutation_list_path(int64_t now_us, bool prepend, uint32_t sequence, uint8_t out[17])
{
	uint64_t t = __builtin_bswap64((uint64_t)(prepend ? INT64_MAX - now_us : now_us));
	uint64_t s = __builtin_bswap64(sequence);
	out[0] = prepend ? 0x40 : 0x80;
	memcpy(out + 1, &t, 8);
	memcpy(out + 9, &s, 8);
}

/* ---- rows ---- */
void tm_table_batch_mutate(struct tm_table_batch *b, const struct tm_mutation *m)
{
	const struct tm_table *t = m->table;
	b->key.len = b->value.len = 0;
	tm_key_partition(&b->key, t->number, m->partition_key);
	tm_buf_u8(&b->key, m->clustering ? TM_KEY_ROW : TM_KEY_HEAD);
	struct tm_cell *cells = m->cells;
	size_t count = m->cell_count;
	if (m->clustering) {
		const struct tm_table_column *cc = t->def.columns + t->def.partition_key_count;
		for (size_t i = 0; i < t->def.clustering_count; i++)
			tm_value_order_put(cc[i].type, m->clustering[i], &b->key);
		if (t->compact_value && (m->info.has_marker || count)) {
			/* The ordered form of a decimal loses its scale: keep what was written as a cell of the key's column. */
			tm_arena_reset(&b->originals);
			int64_t us = m->info.has_marker ? m->info.marker_us : cells[0].timestamp_us;
			struct tm_cell *more = TM_NEW_N(&b->originals, struct tm_cell, count + t->def.clustering_count);
			tm_copy(more, cells, count * sizeof *cells);
			for (size_t i = 0; i < t->def.clustering_count; i++)
				if (!tm_value_order_is_exact(cc[i].type) && m->clustering[i].len)
					more[count++] = (struct tm_cell){.column = t->column_id[t->def.partition_key_count + i],
									 .timestamp_us = us,
									 .value = m->clustering[i]};
			cells = more;
		}
	}
	tm_cell_sort(cells, count);
	tm_row_put(&b->value, &m->info, m->ranges, cells, count);
	rocksdb_writebatch_merge_cf(b->wb, b->store->family[TM_FAMILY_DATA], b->key.at, b->key.len, b->value.at, b->value.len);
	b->bytes += b->key.len + b->value.len;
	b->rows = true;
}

void tm_mutation_path(const struct tm_cql_type *type, struct tm_str item, struct tm_buf *out)
{
	tm_value_order_put(type->args[0], item, out);
}

struct tm_str tm_mutation_map_value(const struct tm_cql_type *type, struct tm_str key, struct tm_str value, struct tm_arena *arena)
{
	if (tm_value_order_is_exact(type->args[0]))
		return value;
	struct tm_buf b = {0};
	tm_buf_varint(&b, key.len);
	tm_buf_str_put(&b, key);
	tm_buf_str_put(&b, value);
	struct tm_str r = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return r;
}

void tm_mutation_elements(struct tm_store *store, const struct tm_cql_type *type, uint32_t column, struct tm_str bytes,
			  const struct tm_cell *base, struct tm_arena *arena, struct tm_cells *out)
{
	struct tm_value_items it;
	struct tm_str item, value;
	if (type->kind == TM_CQL_UDT)
		it = (struct tm_value_items){.c = tm_cursor_of(bytes)};
	else if (!tm_value_items_open(bytes, &it))
		return;
	struct tm_buf path = {0};
	int64_t now_us = type->kind == TM_CQL_LIST ? tm_store_now_us(store) : 0;
	for (uint32_t n = 0; tm_value_items_next(&it, &item); n++) {
		struct tm_cell c = *base;
		c.column = column;
		c.flags |= TM_CELL_PATH;
		path.len = 0;
		value = item;
		if (type->kind == TM_CQL_LIST) {
			tm_mutation_list_path(now_us, false, n, (uint8_t *)tm_buf_extend(&path, 17));
		} else if (type->kind == TM_CQL_UDT) {
			tm_buf_be16(&path, (uint16_t)n);
		} else {
			tm_mutation_path(type, item, &path);
			if (type->kind == TM_CQL_MAP)
				value = tm_value_items_next(&it, &value) && value.at ? tm_mutation_map_value(type, item, value, arena)
										     : (struct tm_str){0};
			else
				value = tm_value_order_is_exact(type->args[0]) ? (struct tm_str){"", 0} : item;
		}
		c.path = tm_arena_str(arena, tm_buf_str(&path));
		c.value = value;
		if (value.at)
			TM_PUSH_IN(arena, out, c);
	}
	tm_buf_done(&path);
}

/* ---- the typed write of table.h ---- */
tm_rc tm_table_batch_write(struct tm_table_batch *b, const struct tm_table_write *w, struct tm_err *err)
{
	const struct tm_table *t = tm_table_of(w->def);
	const struct tm_table_def *def = w->def;
	tm_arena_reset(&b->arena);
	struct tm_arena *a = &b->arena;
	size_t keys = def->partition_key_count + def->clustering_count;
	struct tm_str *key = TM_NEW_N(a, struct tm_str, keys + 1);
	int64_t us = w->timestamp_us == INT64_MIN ? tm_store_timestamp_us(b->store) : w->timestamp_us, now_s = tm_store_clock_s(b->store);
	int32_t ttl = w->ttl_s > 0 ? w->ttl_s : w->ttl_s == 0 ? def->default_ttl : 0;
	struct tm_cells cells[2] = {{0}, {0}}; /* static, regular */
	for (size_t i = 0; i < w->count; i++) {
		size_t ci = w->column_index[i];
		const struct tm_table_column *col = &def->columns[ci];
		const struct tm_cql_value *v = &w->values[i];
		if (v->unset)
			continue;
		bool null = v->null || !v->bytes.at;
		if (ci < keys) {
			if (null)
				return tm_fail(err, TM_DATA, "Invalid null value in condition for column %.*s", TM_STR_ARG(col->name));
			key[ci] = v->bytes;
			continue;
		}
		struct tm_cells *side = &cells[col->kind == TM_COLUMN_REGULAR];
		struct tm_cell c = {.column = t->column_id[ci], .timestamp_us = us};
		if (ttl && !null) {
			c.flags = TM_CELL_EXPIRING;
			c.ttl_s = ttl;
			c.at_s = now_s + ttl;
		}
		if (tm_type_is_multicell(col->type)) {
			TM_PUSH_IN(a, side,
				   (struct tm_cell){.column = c.column, .flags = TM_CELL_CLEARED, .timestamp_us = us - 1, .at_s = now_s});
			if (!null)
				tm_mutation_elements(b->store, col->type, c.column, v->bytes, &c, a, side);
			continue;
		}
		if (null) {
			c.flags = TM_CELL_DEAD;
			c.at_s = now_s;
		} else {
			c.value = v->bytes;
		}
		TM_PUSH_IN(a, side, c);
	}
	size_t given = 0;
	for (size_t i = 0; i < keys; i++) {
		given += key[i].at != NULL;
		if (!key[i].at && i < def->partition_key_count)
			return tm_fail(err, TM_DATA, "Some partition key parts are missing: %.*s", TM_STR_ARG(def->columns[i].name));
	}
	bool row = given == keys && (def->clustering_count == 0 || cells[1].count || w->insert);
	if (!row && (cells[1].count || !cells[0].count))
		return tm_fail(err, TM_DATA, "Some clustering keys are missing");
	struct tm_buf pk = {0};
	tm_table_partition_key(def, key, &pk);
	tm_rc rc = TM_OK;
	if (pk.len == 0)
		rc = tm_fail(err, TM_DATA, "Key may not be empty");
	else if (pk.len > UINT16_MAX)
		rc = tm_fail(err, TM_DATA, "Key length of %zu is longer than maximum of 65535", pk.len);
	if (rc == TM_OK && cells[0].count)
		tm_table_batch_mutate(
		    b, &(struct tm_mutation){
			   .table = t, .partition_key = tm_buf_str(&pk), .cells = cells[0].items, .cell_count = cells[0].count});
	if (rc == TM_OK && row) {
		struct tm_mutation m = {.table = t,
					.partition_key = tm_buf_str(&pk),
					.clustering = key + def->partition_key_count,
					.cells = cells[1].items,
					.cell_count = cells[1].count};
		if (w->insert)
			m.info =
			    (struct tm_row_info){.has_marker = true, .marker_us = us, .marker_ttl_s = ttl, .marker_expiry_s = now_s + ttl};
		tm_table_batch_mutate(b, &m);
	}
	tm_buf_done(&pk);
	return rc;
}

void tm_table_batch_put_bytes(struct tm_table_batch *b, const char *area, struct tm_str key, struct tm_str value)
{
	b->key.len = 0;
	tm_buf_cstr_put(&b->key, area);
	tm_buf_u8(&b->key, 0);
	tm_buf_str_put(&b->key, key);
	rocksdb_writebatch_put_cf(b->wb, b->store->family[TM_FAMILY_BYTES], b->key.at, b->key.len, value.at, value.len);
	b->bytes += b->key.len + value.len;
	if (b->tap)
		b->tap(b->tap_ctx, area, key, value.at ? value : TM_STR(""));
}

void tm_table_batch_tap(struct tm_table_batch *b, void (*tap)(void *ctx, const char *area, struct tm_str key, struct tm_str value),
			void *ctx)
{
	b->tap = tap;
	b->tap_ctx = ctx;
}

void tm_table_batch_delete_bytes(struct tm_table_batch *b, const char *area, struct tm_str key)
{
	b->key.len = 0;
	tm_buf_cstr_put(&b->key, area);
	tm_buf_u8(&b->key, 0);
	tm_buf_str_put(&b->key, key);
	rocksdb_writebatch_delete_cf(b->wb, b->store->family[TM_FAMILY_BYTES], b->key.at, b->key.len);
	b->bytes += b->key.len;
	if (b->tap)
		b->tap(b->tap_ctx, area, key, (struct tm_str){0});
}

tm_rc tm_table_batch_commit(struct tm_table_batch *b, bool sync, struct tm_err *err)
{
	if (b->bytes == 0)
		return TM_OK;
	char *message = NULL;
	rocksdb_write(b->store->db, sync ? b->store->sync_options : b->store->write_options, b->wb, &message);
	rocksdb_writebatch_clear(b->wb);
	bool rows = b->rows;
	b->bytes = 0;
	b->rows = false;
	if (message)
		return tm_store_failed(message, "cannot write to the table store", err);
	if (rows)
		atomic_fetch_add_explicit(&b->store->version, 1, memory_order_release);
	return TM_OK;
}
