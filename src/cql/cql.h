/* cql: the CQL language (3.4.7): parser and statements over table. No network: the Cassandra door and the shell use it. */
#ifndef TM_CQL_CQL_H
#define TM_CQL_CQL_H
#include "table/table.h"

struct tm_cql_session { /* per connection; plain data */
	struct tm_store *store;
	struct tm_str keyspace; /* of USE; empty = none. Owned by the caller */
	int protocol_version;   /* 3, 4, 5 */
};
struct tm_cql_prepared; /* reference-counted, immutable: parsed and bound to the schema of its time */

struct tm_cql_column_spec {
	struct tm_str keyspace, table, name;
	const struct tm_cql_type *type;
};
enum tm_cql_result_kind { TM_CQL_VOID = 1, TM_CQL_ROWS, TM_CQL_SET_KEYSPACE, TM_CQL_PREPARED, TM_CQL_SCHEMA_CHANGE };
struct tm_cql_result { /* everything in the request's arena */
	enum tm_cql_result_kind kind;
	struct tm_cql_column_spec *columns;
	size_t column_count;
	struct tm_cql_value *values; /* row_count * column_count, row by row */
	size_t row_count;
	struct tm_str paging_state;         /* empty = no more pages */
	struct tm_str keyspace;             /* SET_KEYSPACE, SCHEMA_CHANGE */
	struct tm_str change, target, name; /* SCHEMA_CHANGE: CREATED|UPDATED|DROPPED, KEYSPACE|TABLE|TYPE|FUNCTION|AGGREGATE */
	struct tm_str *warnings;
	size_t warning_count;
};
struct tm_cql_query_options {
	const struct tm_cql_value *values; /* bind markers in order */
	const struct tm_str *names;        /* of the values; NULL = by position */
	size_t value_count;
	int32_t page_size; /* <= 0: all */
	struct tm_str paging_state;
	int64_t timestamp_us; /* INT64_MIN = the server's clock */
	int consistency, serial_consistency;
	struct tm_str keyspace; /* v5: keyspace of this request */
	int64_t now_in_seconds; /* v5; INT64_MIN = the clock */
};
/* Parses and prepares; errors carry CQL code, Cassandra's text, line:column. */
tm_rc tm_cql_prepare(struct tm_cql_session *session, struct tm_str text, struct tm_cql_prepared **ret, struct tm_err *err) TM_CHECKED;
void tm_cql_prepared_unref(struct tm_cql_prepared *prepared);
const uint8_t *tm_cql_prepared_id(const struct tm_cql_prepared *prepared); /* 16 bytes: MD5 of keyspace and text */
/* What PREPARED answers: bind markers with types, indexes of the partition key among them, result columns (or none). */
struct tm_cql_prepared_info {
	const struct tm_cql_column_spec *markers;
	size_t marker_count;
	const uint16_t *partition_key_index;
	size_t partition_key_count;
	const struct tm_cql_column_spec *columns;
	size_t column_count;
	const uint8_t *result_metadata_id; /* 16 bytes */
	bool stale;                        /* the schema has changed since: answer UNPREPARED */
};
void tm_cql_prepared_describe(const struct tm_cql_prepared *prepared, struct tm_cql_prepared_info *ret);
/* Runs it. Writes go into pending where it is given (the caller commits it with sync before it answers: many requests, one
 * fdatasync); where pending is NULL they are committed and synced here. Reads see what is committed. LWT, counters and
 * schema changes commit pending first, and themselves. */
tm_rc tm_cql_execute(struct tm_cql_session *session, const struct tm_cql_prepared *prepared, const struct tm_cql_query_options *options,
		     struct tm_table_batch *pending, struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
/* Parse, prepare and execute in one. USE changes what the result says (SET_KEYSPACE); the caller keeps the keyspace. */
tm_rc tm_cql_query(struct tm_cql_session *session, struct tm_str text, const struct tm_cql_query_options *options,
		   struct tm_table_batch *pending, struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
/* A BATCH message of the protocol: type 0 logged, 1 unlogged, 2 counter. */
struct tm_cql_batch_part {
	const struct tm_cql_prepared *prepared;
	struct tm_cql_query_options options;
};
tm_rc tm_cql_batch(struct tm_cql_session *session, int type, const struct tm_cql_batch_part *parts, size_t part_count,
		   const struct tm_cql_query_options *options, struct tm_table_batch *pending, struct tm_arena *arena,
		   struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
/* Splits a script at its semicolons (strings, comments, $$ and BATCH respected): next statement off *rest; false at the end. */
bool tm_cql_split(struct tm_str *rest, struct tm_str *ret_statement);

/* Text of a value and of a type, as cqlsh and Cassandra print them; and a literal's bytes as a type. */
void tm_cql_value_text(const struct tm_cql_type *type, struct tm_str bytes, struct tm_buf *out);
/* JSON as in SELECT JSON, and as `--json` prints it (shared/vectors: kafka-and-cql.md). */
void tm_cql_value_json(const struct tm_cql_type *type, struct tm_str bytes, struct tm_buf *out);
/* A result as `--json` prints it: {"columns": …, "rows": …} on one line; {} for a statement without rows. */
void tm_cql_result_json(const struct tm_cql_result *result, struct tm_buf *out);
void tm_cql_type_text(const struct tm_cql_type *type, struct tm_buf *out);
#endif
