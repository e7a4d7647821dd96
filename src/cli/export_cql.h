/* Tables as `tidemill export` sees them, on either side: statements, a table's shape, and a query that gives each cell with the time at
 * which it was written and how long it lives. */
#ifndef TM_CLI_EXPORT_CQL_H
#define TM_CLI_EXPORT_CQL_H
#include "cassandra/client.h"
#include "cql/cql.h"

/* One page; bytes are the arena's. page_size 0 = all. */
tm_rc tm_moved_query(struct tm_cassandra_client *s, struct tm_str text, int32_t page_size, struct tm_str paging_state,
		     struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;

struct tm_moved_column {
	struct tm_str name, kind, type, order; /* as system_schema.columns has them */
	int64_t position;
	bool key, is_static, counter;
	bool multi_cell; /* a collection or user type whose parts have times of their own */
	bool list;       /* multi-cell: written twice at one time it would have its elements twice */
};
struct tm_moved_table {
	struct tm_str keyspace, name;
	struct tm_moved_column *columns; /* partition key, clustering, static, regular; each by position, then name */
	size_t column_count, partition_key_count, key_count;
	bool counters, lists;
	/* SELECT columns, then for each that is no key writetime and ttl, then token(partition key); to be followed by WHERE or nothing. */
	struct tm_str select;
};
/* TM_NOT_FOUND where there is no such table. Everything is the arena's. */
tm_rc tm_moved_table_load(struct tm_cassandra_client *s, struct tm_str keyspace, struct tm_str name, struct tm_arena *arena,
			  struct tm_moved_table *ret, struct tm_err *err) TM_CHECKED;
/* The same columns, kinds and types? Says the first difference. */
tm_rc tm_moved_table_same(const struct tm_moved_table *ours, const struct tm_moved_table *theirs, struct tm_err *err) TM_CHECKED;

/* A row of `select`. */
struct tm_moved_row {
	const struct tm_moved_table *table;
	const struct tm_cql_value *values; /* as selected */
	const struct tm_cql_column_spec *specs;
};
int64_t tm_moved_token(const struct tm_moved_row *r);
/* Place of the write time and of the life time of a column that is no key. */
size_t tm_moved_time_at(const struct tm_moved_table *t, size_t column);
/* Calls each(row) for all rows behind a token (begun) or all. */
tm_rc tm_moved_scan(struct tm_cassandra_client *s, const struct tm_moved_table *t, const int64_t *behind,
		    tm_rc (*each)(void *ctx, const struct tm_moved_row *row), void *ctx, struct tm_err *err) TM_CHECKED;
/* Does any cell end by itself? */
bool tm_moved_expires(const struct tm_moved_row *r);
/* Of all values and write times; not of life times, which run down while one looks. */
uint64_t tm_moved_hash(const struct tm_moved_row *r, struct tm_buf *scratch);
#endif
