/* Opening and closing the one RocksDB, its options, and the two call-backs RocksDB makes into us: merging the operands of a row
 * and dropping what nobody can see any more. Families: meta (the schema), data (rows), bytes (other rooms' areas). */
#include "table/table_int.h"
#include <stdio.h>
#include <stdlib.h>

/* Small, so that the process stays small: a memtable takes its memory in arena blocks as it fills, and BUFFERS of them may be held until
 * they are on disk. They are also what a start after a crash has to read again. */
#define BUFFERS 3
#define DATA_BUFFER_BYTES (4 * TM_MIB)
#define SMALL_BUFFER_BYTES (4 * TM_MIB)
#define BLOCK_CACHE_BYTES (16 * TM_MIB)
#define ARENA_BLOCK_BYTES (256 * TM_KIB)
#define FILE_BUFFER_BYTES (256 * TM_KIB)
#define WAL_TOTAL_BYTES (128 * TM_MIB)

tm_rc tm_store_failed(char *message, const char *doing, struct tm_err *err)
{
	struct tm_str m = tm_str_of(message);
	tm_rc rc = TM_IO;
	if (tm_str_starts(m, TM_STR("Corruption")))
		rc = TM_CORRUPT;
	else if (tm_str_find(m, TM_STR("No space left"), 0) != SIZE_MAX || tm_str_find(m, TM_STR("Disk quota"), 0) != SIZE_MAX)
		rc = TM_DISK_FULL;
	else if (tm_str_find(m, TM_STR("lock "), 0) != SIZE_MAX || tm_str_find(m, TM_STR("LOCK: "), 0) != SIZE_MAX)
		rc = tm_str_find(m, TM_STR("Permission denied"), 0) != SIZE_MAX ? TM_DENIED : TM_BUSY;
	else if (tm_str_find(m, TM_STR("Permission denied"), 0) != SIZE_MAX)
		rc = TM_DENIED;
	tm_fail(err, rc, rc == TM_BUSY ? "%s: another process uses it (%s)" : "%s: %s", doing, message);
	if (rc == TM_CORRUPT)
		tm_err_hint(err, "The files of the table store are damaged. Restore them from a backup, or move the directory away and "
				 "replay the topics.");
	free(message);
	return rc;
}

/* ---- merge operator ---- */
static char *merge_all(struct tm_str first, bool has_first, const char *const *operands, const size_t *lengths, int count,
		       unsigned char *success, size_t *ret_length)
{
	struct tm_buf acc = {0}, next = {0};
	*success = 1;
	int i = 0;
	if (has_first)
		tm_buf_str_put(&acc, first);
	else if (count > 0)
		tm_buf_put(&acc, operands[0], lengths[i++]);
	for (; i < count && *success; i++) {
		next.len = 0;
		if (!tm_row_merge(tm_buf_str(&acc), tm_str_n(operands[i], lengths[i]), &next))
			*success = 0;
		struct tm_buf swap = acc;
		acc = next;
		next = swap;
	}
	tm_buf_done(&next);
	if (!*success) {
		tm_buf_done(&acc);
		*ret_length = 0;
		return NULL;
	}
	*ret_length = acc.len;
	return acc.at;
}

static char *full_merge(void *state, const char *key, size_t key_length, const char *existing, size_t existing_length,
			const char *const *operands, const size_t *lengths, int count, unsigned char *success, size_t *ret_length)
{
	(void)state, (void)key, (void)key_length;
	return merge_all(tm_str_n(existing, existing_length), existing != NULL, operands, lengths, count, success, ret_length);
}

static char *partial_merge(void *state, const char *key, size_t key_length, const char *const *operands, const size_t *lengths, int count,
			   unsigned char *success, size_t *ret_length)
{
	(void)state, (void)key, (void)key_length;
	return merge_all((struct tm_str){0}, false, operands, lengths, count, success, ret_length);
}

static void delete_value(void *state, const char *value, size_t length)
{
	(void)state, (void)length;
	free((void *)value);
}

static void nothing(void *state) { (void)state; }

static const char *merge_name(void *state)
{
	(void)state;
	return "tidemill.row.1";
}

rocksdb_mergeoperator_t *tm_store_merge_operator(void)
{
	return rocksdb_mergeoperator_create(NULL, nothing, full_merge, partial_merge, delete_value, merge_name);
}

/* ---- compaction filter: sees only whole values, which hide all that is older, so what it drops cannot come back ---- */
static unsigned char filter(void *state, int level, const char *key, size_t key_length, const char *value, size_t value_length,
			    char **new_value, size_t *new_value_length, unsigned char *value_changed)
{
	(void)level;
	struct tm_store *store = state;
	static _Thread_local struct tm_buf out; /* RocksDB copies new_value before it calls again on this thread */
	struct tm_cursor c = tm_cursor_of(tm_str_n(key, key_length));
	uint32_t number = tm_cursor_be32(&c);
	int32_t grace = 864000;
	pthread_rwlock_rdlock(&store->grace_lock);
	if (number < store->grace_count)
		grace = store->grace[number];
	pthread_rwlock_unlock(&store->grace_lock);
	/* The kind byte follows the escaped partition key; only a head's key ends right behind it. */
	bool head = key_length > 0 && key[key_length - 1] == TM_KEY_HEAD && key_length >= 15 && key[key_length - 2] == 0 &&
		    key[key_length - 3] == 0;
	out.len = 0;
	int what = tm_row_purge(tm_str_n(value, value_length), head, tm_now_us(store->env) / 1000000 - grace, &out);
	if (what == 2)
		return 1;
	*value_changed = what == 1;
	if (what == 1) {
		*new_value = out.at;
		*new_value_length = out.len;
	}
	return 0;
}

static const char *filter_name(void *state)
{
	(void)state;
	return "tidemill.purge.1";
}

rocksdb_compactionfilter_t *tm_store_compaction_filter(struct tm_store *store)
{
	return rocksdb_compactionfilter_create(store, nothing, filter, filter_name);
}

/* ---- open ---- */
/* Rows of a batch come sorted: each is looked for from where the one before it went, not from the top of the skip list (a third of the
 * CPU time of a large batch). One place is remembered per table number and first byte of the token. The prefix must be longer than the keys
 * of tm_store_table_truncate (a table number alone): RocksDB uses what it remembers of the rows' skip list in the one of deleted ranges,
 * too, and breaks it. The C interface knows this option only as text. */
static rocksdb_options_t *insert_with_hint(rocksdb_options_t *o)
{
	rocksdb_options_t *hinted = rocksdb_options_create();
	char *message = NULL;
	rocksdb_get_options_from_string(o, "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.5", hinted, &message);
	if (message) {
		rocksdb_free(message);
		rocksdb_options_destroy(hinted);
		return o;
	}
	rocksdb_options_destroy(o);
	return hinted;
}

static rocksdb_options_t *family_options(struct tm_store *store, int family)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_max_open_files(o, 256);
	rocksdb_options_set_max_file_opening_threads(o, 1);
	rocksdb_options_set_info_log_level(o, 3);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_skip_checking_sst_file_sizes_on_db_open(o, 1);
	rocksdb_options_set_manifest_preallocation_size(o, 64 * TM_KIB);
	rocksdb_options_set_max_total_wal_size(o, WAL_TOTAL_BYTES);
	rocksdb_options_set_enable_pipelined_write(o, 0);
	rocksdb_options_set_recycle_log_file_num(o, 0);
	rocksdb_options_set_writable_file_max_buffer_size(o, FILE_BUFFER_BYTES);
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
	rocksdb_options_set_arena_block_size(o, ARENA_BLOCK_BYTES);
	rocksdb_options_set_write_buffer_size(o, family == TM_FAMILY_DATA ? DATA_BUFFER_BYTES : SMALL_BUFFER_BYTES);
	rocksdb_options_set_max_write_buffer_number(o, BUFFERS);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
	rocksdb_options_set_env(o, store->rocks_env);
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(t, store->cache);
	rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	/* Index and filter in parts: a whole one of a large file is larger than what a shard of the small cache takes, and would be read
	 * again with every row. */
	rocksdb_block_based_options_set_index_type(t, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(t, 1);
	rocksdb_block_based_options_set_metadata_block_size(t, 4 * TM_KIB);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
	if (family == TM_FAMILY_BYTES) {
		/* The state of pipelines: written by every batch, read when one starts. Its upper two levels, up to 256 MiB, are rewritten
		 * all the time, and compressing them took a third of a query's CPU where each row changes a group. */
		static const int levels[] = {rocksdb_no_compression, rocksdb_no_compression, rocksdb_lz4_compression};
		rocksdb_options_set_compression_per_level(o, levels, sizeof levels / sizeof *levels);
		rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
	}
	if (family == TM_FAMILY_DATA) {
		rocksdb_options_set_merge_operator(o, store->merge);
		rocksdb_options_set_compaction_filter(o, store->filter);
		rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
		rocksdb_options_set_memtable_whole_key_filtering(o, 1);
		o = insert_with_hint(o);
	}
	return o;
}

static tm_rc open_db(struct tm_store *store, const char *dir, struct tm_err *err)
{
	static const char *const names[TM_FAMILY_COUNT] = {"default", "data", "bytes"};
	rocksdb_options_t *options[TM_FAMILY_COUNT];
	for (int i = 0; i < TM_FAMILY_COUNT; i++)
		options[i] = family_options(store, i);
	char *message = NULL;
	store->merge = NULL; /* the options own it now */
	store->db = rocksdb_open_column_families(options[0], dir, TM_FAMILY_COUNT, names, (const rocksdb_options_t *const *)options,
						 store->family, &message);
	for (int i = 0; i < TM_FAMILY_COUNT; i++)
		rocksdb_options_destroy(options[i]);
	if (!store->db) {
		char doing[300];
		snprintf(doing, sizeof doing, "cannot open the table store in %s", dir);
		return tm_store_failed(message, doing, err);
	}
	return TM_OK;
}

tm_rc tm_store_open(const char *dir, const struct tm_store_options *options, struct tm_store **ret, struct tm_err *err)
{
	struct tm_store *store = tm_zalloc(sizeof *store);
	store->memory_only = options->memory_only;
	store->env = options->env ? options->env : tm_env_real();
	pthread_mutex_init(&store->ddl, NULL);
	pthread_mutex_init(&store->schema_lock, NULL);
	pthread_rwlock_init(&store->grace_lock, NULL);
	for (size_t i = 0; i < TM_LWT_STRIPES; i++)
		pthread_mutex_init(&store->stripes[i], NULL);
	store->rocks_env = options->memory_only ? rocksdb_create_mem_env() : rocksdb_create_default_env();
	store->cache = rocksdb_cache_create_lru(BLOCK_CACHE_BYTES);
	store->read_options = rocksdb_readoptions_create();
	store->write_options = rocksdb_writeoptions_create();
	store->sync_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->sync_options, 1);
	store->merge = tm_store_merge_operator();
	store->filter = tm_store_compaction_filter(store);
	tm_rc rc = TM_OK;
	if (!options->memory_only)
		rc = tm_dir_make(dir, err);
	if (rc == TM_OK)
		rc = open_db(store, options->memory_only ? "/memory" : dir, err);
	if (rc == TM_OK)
		rc = tm_store_schema_load(store, err);
	if (rc != TM_OK) {
		tm_store_close(store);
		return rc;
	}
	*ret = store;
	return TM_OK;
}

/* What is in memory goes to files now, so that the next start has no log to read again. A failure loses nothing: the log is there. */
static void flush_all(struct tm_store *store)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	for (int i = 0; i < TM_FAMILY_COUNT && !store->memory_only; i++) {
		char *message = NULL;
		rocksdb_flush_cf(store->db, o, store->family[i], &message);
		free(message);
	}
	rocksdb_flushoptions_destroy(o);
}

void tm_store_close(struct tm_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < sizeof store->on_close / sizeof *store->on_close && store->on_close[i]; i++)
		store->on_close[i](store);
	tm_store_schema_free(store);
	if (store->db) {
		flush_all(store);
		for (int i = 0; i < TM_FAMILY_COUNT; i++)
			rocksdb_column_family_handle_destroy(store->family[i]);
		rocksdb_close(store->db);
	}
	if (store->merge)
		rocksdb_mergeoperator_destroy(store->merge);
	rocksdb_compactionfilter_destroy(store->filter);
	rocksdb_readoptions_destroy(store->read_options);
	rocksdb_writeoptions_destroy(store->write_options);
	rocksdb_writeoptions_destroy(store->sync_options);
	rocksdb_cache_destroy(store->cache);
	rocksdb_env_destroy(store->rocks_env);
	for (size_t i = 0; i < TM_LWT_STRIPES; i++)
		pthread_mutex_destroy(&store->stripes[i]);
	pthread_rwlock_destroy(&store->grace_lock);
	pthread_mutex_destroy(&store->schema_lock);
	pthread_mutex_destroy(&store->ddl);
	free(store->grace);
	free(store);
}

void tm_store_on_close(struct tm_store *store, void (*call)(struct tm_store *store))
{
	pthread_mutex_lock(&store->schema_lock);
	size_t i = 0, n = sizeof store->on_close / sizeof *store->on_close;
	while (i < n && store->on_close[i] && store->on_close[i] != call)
		i++;
	TM_ASSERT(i < n);
	store->on_close[i] = call;
	pthread_mutex_unlock(&store->schema_lock);
}

int64_t tm_store_timestamp_us(struct tm_store *store)
{
	int64_t now = tm_now_us(store->env), last = atomic_load_explicit(&store->last_timestamp_us, memory_order_relaxed), next;
	do
		next = now > last ? now : last + 1;
	while (!atomic_compare_exchange_weak(&store->last_timestamp_us, &last, next));
	return next;
}

uint64_t tm_store_version(struct tm_store *store) { return atomic_load(&store->version); }

/* ---- areas of bytes ---- */
static void area_key(struct tm_buf *out, const char *area, struct tm_str key)
{
	tm_buf_cstr_put(out, area);
	tm_buf_u8(out, 0);
	tm_buf_str_put(out, key);
}

tm_rc tm_store_get_bytes(struct tm_store *store, const char *area, struct tm_str key, struct tm_buf *ret, bool *ret_found,
			 struct tm_err *err)
{
	struct tm_buf k = {0};
	area_key(&k, area, key);
	char *message = NULL;
	rocksdb_pinnableslice_t *v =
	    rocksdb_get_pinned_cf(store->db, store->read_options, store->family[TM_FAMILY_BYTES], k.at, k.len, &message);
	tm_buf_done(&k);
	if (message)
		return tm_store_failed(message, "cannot read from the table store", err);
	*ret_found = v != NULL;
	if (v) {
		size_t n;
		const char *p = rocksdb_pinnableslice_value(v, &n);
		tm_buf_put(ret, p, n);
		rocksdb_pinnableslice_destroy(v);
	}
	return TM_OK;
}

tm_rc tm_store_scan_bytes(struct tm_store *store, const char *area, struct tm_str prefix,
			  tm_rc (*each)(void *ctx, struct tm_str key, struct tm_str value), void *ctx, struct tm_err *err)
{
	struct tm_buf k = {0};
	area_key(&k, area, prefix);
	size_t skip = strlen(area) + 1;
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(store->db, store->read_options, store->family[TM_FAMILY_BYTES]);
	tm_rc rc = TM_OK;
	for (rocksdb_iter_seek(it, k.at, k.len); rc == TM_OK && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
		struct tm_str key, value;
		key.at = rocksdb_iter_key(it, &key.len);
		if (!tm_str_starts(key, tm_buf_str(&k)))
			break;
		value.at = rocksdb_iter_value(it, &value.len);
		rc = each(ctx, tm_str_slice(key, skip, key.len), value);
	}
	char *message = NULL;
	rocksdb_iter_get_error(it, &message);
	rocksdb_iter_destroy(it);
	tm_buf_done(&k);
	if (message) {
		tm_rc bad = tm_store_failed(message, "cannot read from the table store", err);
		return rc == TM_OK ? bad : rc;
	}
	return rc;
}
