/* table: keyspaces, tables and rows on one RocksDB, with Cassandra's data model: partition key, clustering columns, static
 * columns, per-cell timestamps and TTL, tombstones. Cell values are CQL's serialised bytes (native protocol), so that
 * nothing is encoded again on the way from a driver to the disk and back.
 * Threads: a store may be used from any thread; a tm_table_batch belongs to one. Definitions are immutable snapshots:
 * a schema change makes new ones, readers keep theirs by reference. */
#ifndef TM_TABLE_TABLE_H
#define TM_TABLE_TABLE_H
#include "base/base.h"

struct tm_store;

/* ---- types ---- */
enum tm_cql_kind { /* the protocol's codes */
		   TM_CQL_CUSTOM = 0x00,
		   TM_CQL_ASCII = 0x01,
		   TM_CQL_BIGINT,
		   TM_CQL_BLOB,
		   TM_CQL_BOOLEAN,
		   TM_CQL_COUNTER,
		   TM_CQL_DECIMAL,
		   TM_CQL_DOUBLE,
		   TM_CQL_FLOAT,
		   TM_CQL_INT,
		   TM_CQL_TIMESTAMP = 0x0B,
		   TM_CQL_UUID,
		   TM_CQL_VARCHAR,
		   TM_CQL_VARINT,
		   TM_CQL_TIMEUUID,
		   TM_CQL_INET,
		   TM_CQL_DATE,
		   TM_CQL_TIME,
		   TM_CQL_SMALLINT,
		   TM_CQL_TINYINT,
		   TM_CQL_DURATION,
		   TM_CQL_LIST = 0x20,
		   TM_CQL_MAP,
		   TM_CQL_SET,
		   TM_CQL_UDT = 0x30,
		   TM_CQL_TUPLE,
		   TM_CQL_VECTOR = 0x10000,
		   TM_CQL_EMPTY = 0x10001
};
struct tm_cql_type {
	enum tm_cql_kind kind;
	bool frozen, reversed; /* reversed: only of a clustering column */
	size_t arg_count;      /* list, set 1; map 2; tuple, UDT n; vector 1 */
	const struct tm_cql_type **args;
	size_t dimension;                 /* vector */
	struct tm_str keyspace, name;     /* UDT */
	const struct tm_str *field_names; /* UDT */
};
/* A value: bytes == NULL and !unset is null. */
struct tm_cql_value {
	struct tm_str bytes;
	bool null, unset;
};

/* ---- schema ---- */
enum tm_column_kind { TM_COLUMN_PARTITION_KEY, TM_COLUMN_CLUSTERING, TM_COLUMN_STATIC, TM_COLUMN_REGULAR };
struct tm_table_column {
	struct tm_str name;
	enum tm_column_kind kind;
	size_t position; /* within the key; 0 for the others */
	const struct tm_cql_type *type;
};
struct tm_table_def { /* immutable; hold a reference while you use it */
	struct tm_str keyspace, name;
	uint8_t id[16];
	const struct tm_table_column *columns; /* partition key, clustering, then static and regular by name */
	size_t column_count, partition_key_count, clustering_count;
	int32_t default_ttl;
	struct tm_str comment;
};
/* A reference, or NULL. */
const struct tm_table_def *tm_store_table(struct tm_store *store, struct tm_str keyspace, struct tm_str name);
void tm_table_def_unref(struct tm_store *store, const struct tm_table_def *def);
/* User tables (not system), sorted; *ret malloc'd, each a reference. */
size_t tm_store_tables(struct tm_store *store, const struct tm_table_def ***ret);

struct tm_store_options {
	const struct tm_env *env;
	bool memory_only;
};
/* Exclusive: a second instance on dir gets TM_BUSY. */
tm_rc tm_store_open(const char *dir, const struct tm_store_options *options, struct tm_store **ret, struct tm_err *err) TM_CHECKED;
void tm_store_close(struct tm_store *store);

/* ---- writing ---- One batch commits whole or not at all; durable (WAL synced) when commit returns with sync. */
struct tm_table_batch;
struct tm_table_batch *tm_table_batch_new(struct tm_store *store);
void tm_table_batch_free(struct tm_table_batch *batch);
size_t tm_table_batch_bytes(const struct tm_table_batch *batch);
/* Sets cells of one row, INSERT's way (row marker) or UPDATE's way (none). values[i] belongs to column_index[i] of def; key
 * columns must all be there (for a write to static columns only: the partition key). A null value is a cell tombstone.
 * timestamp_us INT64_MIN = now; ttl_s 0 = the table's default, -1 = none. Key null or empty: TM_DATA with Cassandra's text. */
struct tm_table_write {
	const struct tm_table_def *def;
	const size_t *column_index;
	const struct tm_cql_value *values;
	size_t count;
	bool insert;
	int64_t timestamp_us;
	int32_t ttl_s;
};
tm_rc tm_table_batch_write(struct tm_table_batch *batch, const struct tm_table_write *write, struct tm_err *err) TM_CHECKED;
/* Bytes of other rooms in the same transaction: the stream's state, offsets, watermarks, dead letters. area: a short name
 * ("stream"), key: any bytes in memcmp order. */
void tm_table_batch_put_bytes(struct tm_table_batch *batch, const char *area, struct tm_str key, struct tm_str value);
void tm_table_batch_delete_bytes(struct tm_table_batch *batch, const char *area, struct tm_str key);
/* tap hears of every put and delete of bytes from now on (value.at == NULL: a delete); NULL = nobody. */
void tm_table_batch_tap(struct tm_table_batch *batch, void (*tap)(void *ctx, const char *area, struct tm_str key, struct tm_str value),
			void *ctx);
/* Applies and empties the batch. After TM_IO or TM_DISK_FULL nothing of it is there. */
tm_rc tm_table_batch_commit(struct tm_table_batch *batch, bool sync, struct tm_err *err) TM_CHECKED;

tm_rc tm_store_get_bytes(struct tm_store *store, const char *area, struct tm_str key, struct tm_buf *ret, bool *ret_found,
			 struct tm_err *err) TM_CHECKED;
/* Calls each(key, value) for keys that start with prefix, in order; non-zero stops and is returned. */
tm_rc tm_store_scan_bytes(struct tm_store *store, const char *area, struct tm_str prefix,
			  tm_rc (*each)(void *ctx, struct tm_str key, struct tm_str value), void *ctx, struct tm_err *err) TM_CHECKED;

/* ---- reading ---- Live rows in token order, then clustering order. Values live until the next call. */
struct tm_table_row {
	const struct tm_cql_value *values; /* one per column of def */
};
/* The whole table, or the rows of one partition when key values are given (key_count: partition key columns, then any
 * prefix of the clustering columns). each non-zero stops and is returned. */
tm_rc tm_table_scan(struct tm_store *store, const struct tm_table_def *def, const struct tm_cql_value *key, size_t key_count,
		    tm_rc (*each)(void *ctx, const struct tm_table_row *row), void *ctx, struct tm_err *err) TM_CHECKED;
/* Counts what scan would give. */
tm_rc tm_table_count(struct tm_store *store, const struct tm_table_def *def, int64_t *ret, struct tm_err *err) TM_CHECKED;
/* Counted up at each commit that touched user tables; for pages that follow along. */
uint64_t tm_store_version(struct tm_store *store);
#endif
