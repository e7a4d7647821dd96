/* What the files of the room share. */
#ifndef TM_TABLE_INT_H
#define TM_TABLE_INT_H
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include "table/row.h"
#include "table/schema.h"
#include "table/value.h"

enum { TM_FAMILY_META, TM_FAMILY_DATA, TM_FAMILY_BYTES, TM_FAMILY_COUNT };
enum { TM_LWT_STRIPES = 64 };

struct tm_store {
	const struct tm_env *env;
	bool memory_only;
	rocksdb_t *db;
	rocksdb_env_t *rocks_env;
	rocksdb_cache_t *cache;
	rocksdb_column_family_handle_t *family[TM_FAMILY_COUNT];
	rocksdb_readoptions_t *read_options;
	rocksdb_writeoptions_t *write_options, *sync_options;
	rocksdb_mergeoperator_t *merge;
	rocksdb_compactionfilter_t *filter;
	pthread_mutex_t ddl;         /* rank 1: one schema change at a time */
	pthread_mutex_t schema_lock; /* rank 2: the pointer below and the reference counts */
	struct tm_schema *schema;
	_Atomic uint64_t schema_sequence, version;
	_Atomic int64_t last_timestamp_us;
	uint32_t next_number;
	pthread_rwlock_t grace_lock; /* rank leaf: gc_grace_seconds by table number, for the compaction filter */
	int32_t *grace;
	size_t grace_count;
	void (*on_close[4])(struct tm_store *store);
	pthread_mutex_t stripes[TM_LWT_STRIPES]; /* rank 1: conditional writes, by partition */
};

/* Turns RocksDB's message into an error and frees it. */
tm_rc tm_store_failed(char *message, const char *doing, struct tm_err *err);
rocksdb_mergeoperator_t *tm_store_merge_operator(void);
rocksdb_compactionfilter_t *tm_store_compaction_filter(struct tm_store *store);
tm_rc tm_store_schema_load(struct tm_store *store, struct tm_err *err) TM_CHECKED;
void tm_store_schema_free(struct tm_store *store);
int64_t tm_store_timestamp_us(struct tm_store *store); /* the clock, always going forward */

/* Keys: table number, token, escaped partition key, kind, clustering columns in ordered form. */
enum { TM_KEY_HEAD = 0x01, TM_KEY_ROW = 0x02 };
void tm_key_table(struct tm_buf *out, uint32_t number);
void tm_key_partition(struct tm_buf *out, uint32_t number, struct tm_str partition_key);
#endif
