/* Virtual tables: system tables whose rows a function makes when they are asked for. They are answered by the same SELECT
 * engine as stored tables (WHERE, functions, paging, ALLOW FILTERING not needed), and cannot be written.
 *
 *   static tm_rc local_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
 *   {
 *           tm_cql_rows_begin(rows);
 *           tm_cql_rows_text(rows, 0, "local");          (columns by their index in the registration)
 *           …
 *   }
 *   tm_cql_virtual_register(store, &(struct tm_cql_virtual){.keyspace = "system", .table = "local", .columns = columns,
 *           .column_count = n, .rows = local_rows, .ctx = me}, err); */
#ifndef TM_CQL_VIRTUAL_H
#define TM_CQL_VIRTUAL_H
#include "cql/cql.h"

struct tm_cql_rows;
/* A column: kind as in tables; type as CQL text ("text", "map<text, text>", "frozen<map<text, text>>"). */
struct tm_cql_virtual_column {
	const char *name, *type;
	enum tm_column_kind kind;
};
struct tm_cql_virtual {
	const char *keyspace, *table, *comment;
	const struct tm_cql_virtual_column *columns; /* partition key first, then clustering, then the others; all strings static */
	size_t column_count;
	tm_rc (*rows)(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err);
	void *ctx;
	bool stored_look; /* a table of a real system keyspace (system, system_schema): not listed in system_virtual_schema */
};
/* Once per store and table, before the doors open. Belongs to the store until tm_store_close. */
tm_rc tm_cql_virtual_register(struct tm_store *store, const struct tm_cql_virtual *table, struct tm_err *err) TM_CHECKED;
/* The cql room's own: system_schema.* and system_virtual_schema.*, from the store's schema and what is registered.
 * Called once by whoever opens the store. Calling again does nothing. */
tm_rc tm_cql_system_register(struct tm_store *store, struct tm_err *err) TM_CHECKED;

/* Making rows: begin one, set its columns by index (not set = null). Bytes are copied. */
void tm_cql_rows_begin(struct tm_cql_rows *rows);
void tm_cql_rows_bytes(struct tm_cql_rows *rows, size_t column, struct tm_str bytes);
void tm_cql_rows_text(struct tm_cql_rows *rows, size_t column, const char *text);
void tm_cql_rows_int(struct tm_cql_rows *rows, size_t column, int32_t v);
void tm_cql_rows_bigint(struct tm_cql_rows *rows, size_t column, int64_t v); /* bigint, timestamp */
void tm_cql_rows_double(struct tm_cql_rows *rows, size_t column, double v);
void tm_cql_rows_bool(struct tm_cql_rows *rows, size_t column, bool v);
void tm_cql_rows_uuid(struct tm_cql_rows *rows, size_t column, const uint8_t uuid[16]);
void tm_cql_rows_inet(struct tm_cql_rows *rows, size_t column, const char *ipv4); /* "127.0.0.1" */
/* set<text>, list<text>; and map<text, text> from pairs. */
void tm_cql_rows_texts(struct tm_cql_rows *rows, size_t column, const struct tm_str *items, size_t count);
void tm_cql_rows_text_map(struct tm_cql_rows *rows, size_t column, const struct tm_str *keys_and_values, size_t pair_count);
#endif
