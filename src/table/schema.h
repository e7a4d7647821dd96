/* The schema: keyspaces, user types, tables, indexes. A tm_schema is an immutable snapshot; changes are made one at a time
 * (tm_store_ddl_lock … unlock around the look and the change), written to the disk, then published as a new snapshot. */
#ifndef TM_TABLE_SCHEMA_H
#define TM_TABLE_SCHEMA_H
#include "table/type.h"

struct tm_map_entry {
	struct tm_str key, value;
};
struct tm_map {
	struct tm_map_entry *entries;
	size_t count;
};

struct tm_table_params {
	struct tm_str comment, additional_write_policy, speculative_retry, read_repair, memtable;
	double bloom_filter_fp_chance, crc_check_chance;
	int32_t default_time_to_live, gc_grace_seconds, min_index_interval, max_index_interval, memtable_flush_period_in_ms;
	bool cdc, allow_auto_snapshot, incremental_backups;
	struct tm_map caching, compaction, compression, extensions;
};
extern const struct tm_table_params tm_table_params_default;

enum tm_index_kind { TM_INDEX_VALUES, TM_INDEX_KEYS, TM_INDEX_ENTRIES, TM_INDEX_FULL };
struct tm_index {
	struct tm_str name, column;
	enum tm_index_kind kind;
	bool custom;              /* CREATE CUSTOM INDEX, or USING 'sai' */
	struct tm_str class_name; /* as system_schema shows it; empty of a legacy one */
	struct tm_str target;     /* as system_schema shows it: "v", "keys(m)" */
	struct tm_map options;
};
struct tm_dropped_column {
	struct tm_str name;
	const struct tm_cql_type *type;
	int64_t dropped_us;
	bool is_static;
};

struct tm_table {
	struct tm_table_def def;   /* first: a def of the store is a table */
	uint32_t number;           /* its prefix of keys; TRUNCATE gives a new one */
	const uint32_t *column_id; /* per column; never used again after a drop */
	uint32_t next_column_id;
	struct tm_table_params params;
	const struct tm_index *indexes;
	size_t index_count;
	const struct tm_dropped_column *dropped;
	size_t dropped_count;
	bool counter; /* its cells are counters */
	bool has_static;
	bool compact_value; /* lossy clustering types: originals are stored beside */
	/* private */
	int refs;
	struct tm_arena arena;
};
static inline const struct tm_table *tm_table_of(const struct tm_table_def *def) { return (const struct tm_table *)def; }
/* Column of that name, or SIZE_MAX. */
size_t tm_table_column_index(const struct tm_table_def *def, struct tm_str name);
size_t tm_table_column_by_id(const struct tm_table *table, uint32_t id);

struct tm_keyspace {
	struct tm_str name;
	struct tm_map replication; /* "class" first */
	bool durable_writes;
	const struct tm_table *const *tables; /* by name */
	size_t table_count;
	const struct tm_cql_type *const *types; /* user types, unfrozen, by name */
	size_t type_count;
};
struct tm_schema {
	const struct tm_keyspace *keyspaces; /* by name */
	size_t keyspace_count;
	uint8_t version[16]; /* a UUID; changes with every change, the same after a restart */
	uint64_t sequence;
	/* private */
	int refs;
	struct tm_arena arena;
};
const struct tm_schema *tm_store_schema(struct tm_store *store); /* a reference */
void tm_schema_unref(struct tm_store *store, const struct tm_schema *schema);
uint64_t tm_store_schema_sequence(struct tm_store *store); /* cheap: has anything changed since? */
const struct tm_keyspace *tm_schema_keyspace(const struct tm_schema *schema, struct tm_str name);
const struct tm_table *tm_keyspace_table(const struct tm_keyspace *ks, struct tm_str name);
const struct tm_cql_type *tm_keyspace_type(const struct tm_keyspace *ks, struct tm_str name);

/* Called when the store is closed, before anything of it goes; the same function is kept once. */
void tm_store_on_close(struct tm_store *store, void (*call)(struct tm_store *store));

void tm_store_ddl_lock(struct tm_store *store);
void tm_store_ddl_unlock(struct tm_store *store);
/* What is given is copied. All need the lock, are durable when they return, and hold until TM_OK. */
tm_rc tm_store_keyspace_put(struct tm_store *store, struct tm_str name, const struct tm_map *replication, bool durable_writes,
			    struct tm_err *err) TM_CHECKED;
tm_rc tm_store_keyspace_drop(struct tm_store *store, struct tm_str name, struct tm_err *err) TM_CHECKED;
/* A new type, or a new form of it: then the tables and types that mention it follow. */
tm_rc tm_store_type_put(struct tm_store *store, const struct tm_cql_type *udt, struct tm_err *err) TM_CHECKED;
tm_rc tm_store_type_drop(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err) TM_CHECKED;
/* spec: def (columns in any order; id zero = make one), params, indexes, dropped. column_id NULL or UINT32_MAX entries get
 * new ids. number 0 = a new table. */
tm_rc tm_store_table_put(struct tm_store *store, const struct tm_table *spec, struct tm_err *err) TM_CHECKED;
tm_rc tm_store_table_drop(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err) TM_CHECKED;
tm_rc tm_store_table_truncate(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err) TM_CHECKED;
#endif
