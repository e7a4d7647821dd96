/* A real Cassandra as pipelines, the page and the command line see it (implemented by the cassandra room, tables.c). Where the store is
 * embedded there is none (world.tables == NULL), and sinks and sources work on struct tm_store directly, in the query's commit. The shape
 * of a table is the table room's own, whoever keeps it. The keyspace `tidemill` (dead letters) is always the embedded store's.
 * Methods may be called from any thread and wait. Errors: TM_NOT_FOUND: no such table. TM_UNAVAILABLE: Cassandra is away; the same call
 * may be made again. TM_CANCELLED: the caller is stopping. TM_DENIED: it refuses us. */
#ifndef TM_STREAM_TABLES_H
#define TM_STREAM_TABLES_H
#include "stream/broker.h" /* struct tm_broker_caller */
#include "table/table.h"

struct tm_cql_result; /* cql/cql.h */
struct tm_cql_query_options;
struct tm_stream_world;
struct tm_tables;

struct tm_tables_row {
	const struct tm_cql_value *values; /* one per column that is written; unset: that cell is left alone */
	int64_t token;                     /* of its partition: who is asked first */
};
struct tm_tables_write {
	const struct tm_table_def *def;
	const size_t *columns; /* of def; all of the primary key among them */
	size_t column_count;
	const struct tm_tables_row *rows; /* no two with one primary key */
	size_t row_count;
	int64_t timestamp_us; /* of every cell; up to TM_BATCH_AGAIN_US - 1 more for what is sent again (provider.h says why) */
	int32_t ttl_s;        /* 0 = the table's default */
	/* A row that the server refuses for what is in it; the others are written. May be called from another thread, one call at a time.
	 */
	void (*refused)(void *ctx, size_t row, const char *why);
	void *ctx;
	struct tm_broker_caller caller;
};
struct tm_tables_state {
	bool up;             /* some node answers */
	struct tm_str what;  /* "Cassandra 5.0.9, data centre datacenter1, 3 nodes", or why nobody answers */
	int64_t waiting;     /* requests that wait for an answer or for a node */
	size_t nodes, alive; /* of the data centre */
};

struct tm_tables_class {
	const char *name; /* "cassandra" */
	void (*free)(struct tm_tables *t);
	/* The table's shape, from the server's schema tables; cheap while the schema does not change. Each a reference. */
	tm_rc (*table)(struct tm_tables *t, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret,
		       struct tm_err *err);
	void (*table_unref)(struct tm_tables *t, const struct tm_table_def *def);
	/* The project uses this keyspace: list shows its tables (a cluster has those of others too). A table that was found does as much.
	 */
	void (*uses)(struct tm_tables *t, struct tm_str keyspace);
	/* The tables of the keyspaces that the project uses, sorted; *ret malloc'd, each a reference. */
	tm_rc (*list)(struct tm_tables *t, const struct tm_table_def ***ret, size_t *ret_count, struct tm_err *err);
	/* How many rows. The server reads the whole table for it: with max_age_ms > 0 it is done aside where the last answer is older than
	 * that (or than the counting took, many times over), and *ret is the last answer, -1 where there is none yet. 0: counted now. */
	tm_rc (*count)(struct tm_tables *t, const struct tm_table_def *def, int64_t max_age_ms, int64_t *ret, struct tm_err *err);
	/* Sends the rows, many at a time, and returns when all are acknowledged. What is not acknowledged is sent again until it is, or
	 * until the caller stops: each cell has its timestamp, so that twice is once. */
	tm_rc (*write)(struct tm_tables *t, const struct tm_tables_write *write, struct tm_err *err);
	/* Calls each for every row, page by page: values[i] belongs to columns[i] (none: only that there is a row). caller may be NULL:
	 * then an error ends it instead of being waited out. */
	tm_rc (*scan)(struct tm_tables *t, const struct tm_table_def *def, const size_t *columns, size_t column_count,
		      const struct tm_broker_caller *caller, tm_rc (*each)(void *ctx, const struct tm_table_row *row), void *ctx,
		      struct tm_err *err);
	/* One CQL statement, one page of its answer; everything in the arena. keyspace: of USE, empty = none. After a change of the schema
	 * all nodes agree on it. */
	tm_rc (*query)(struct tm_tables *t, struct tm_str text, struct tm_str keyspace, const struct tm_cql_query_options *options,
		       struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err);
	void (*state)(struct tm_tables *t, struct tm_arena *arena, struct tm_tables_state *ret);
};
struct tm_tables {
	const struct tm_tables_class *klass;
	const char *address; /* for people, without a password */
};

/* ---- either store ---- what the world has: its outside tables, and of the embedded store those (all, or keyspace tidemill's) that are
 * its own. Each def is a reference, given back by tm_tables_unref. */
tm_rc tm_tables_find(const struct tm_stream_world *world, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret,
		     struct tm_err *err) TM_CHECKED;
void tm_tables_unref(const struct tm_stream_world *world, const struct tm_table_def *def);
/* Sorted; *ret malloc'd. */
tm_rc tm_tables_list(const struct tm_stream_world *world, const struct tm_table_def ***ret, size_t *ret_count,
		     struct tm_err *err) TM_CHECKED;
tm_rc tm_tables_count(const struct tm_stream_world *world, const struct tm_table_def *def, int64_t max_age_ms, int64_t *ret,
		      struct tm_err *err) TM_CHECKED;
/* The outside tables that a keyspace belongs to; NULL = the embedded store's. */
struct tm_tables *tm_tables_of(const struct tm_stream_world *world, struct tm_str keyspace);

static inline void tm_tables_free(struct tm_tables *t)
{
	if (t)
		t->klass->free(t);
}
#endif
