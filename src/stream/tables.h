/* A real Cassandra as pipelines see it (implemented by the cassandra room). Where the store is embedded there is none, and sinks and
 * sources work on struct tm_store directly, in the query's commit. The shape of a table is the table room's own, whoever keeps it. */
#ifndef TM_STREAM_TABLES_H
#define TM_STREAM_TABLES_H
#include "table/table.h"

struct tm_tables;
struct tm_tables_row {
	const struct tm_cql_value *values; /* of the columns that the writer was opened with */
	int64_t timestamp_us;              /* of the write: the same when the batch is run again, so that nothing is written twice */
	int32_t ttl_s;                     /* 0 = none */
};
struct tm_tables_class {
	void (*free)(struct tm_tables *t);
	/* The table's shape, made from the server's schema tables; free with tm_tables' unref. TM_NOT_FOUND, TM_UNAVAILABLE. */
	tm_rc (*table)(struct tm_tables *t, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret,
		       struct tm_err *err);
	void (*table_unref)(struct tm_tables *t, const struct tm_table_def *def);
	/* Sends the rows, many at a time, and waits until all are acknowledged. Retries are safe: each row has its timestamp. Refusals of a
	 * row by the server come back through refused (row, why) and do not stop the others. */
	tm_rc (*write)(struct tm_tables *t, const struct tm_table_def *def, const size_t *columns, size_t column_count,
		       const struct tm_tables_row *rows, size_t row_count, void (*refused)(void *ctx, size_t row, const char *why),
		       void *ctx, struct tm_err *err);
	/* Calls each for every row (values by def's columns; NULL columns = all), page by page. */
	tm_rc (*scan)(struct tm_tables *t, const struct tm_table_def *def, const size_t *columns, size_t column_count,
		      tm_rc (*each)(void *ctx, const struct tm_table_row *row), void *ctx, struct tm_err *err);
};
struct tm_tables {
	const struct tm_tables_class *klass;
};
#endif
