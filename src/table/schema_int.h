/* The stored form of the schema, between schema.c and schema_codec.c. */
#ifndef TM_TABLE_SCHEMA_INT_H
#define TM_TABLE_SCHEMA_INT_H
#include "table/table_int.h"

struct tm_table *tm_table_build(const struct tm_table *spec); /* one reference */
/* kind: 'k' keyspace, 'n' next table number, 't' table, 'u' user type. */
void tm_schema_entry_key(struct tm_buf *out, char kind, struct tm_str keyspace, struct tm_str name);
bool tm_schema_entry_split(struct tm_str key, char *ret_kind, struct tm_str *ret_keyspace, struct tm_str *ret_name);
void tm_schema_keyspace_encode(const struct tm_keyspace *ks, struct tm_buf *out);
bool tm_schema_keyspace_decode(struct tm_str bytes, struct tm_arena *arena, struct tm_keyspace *ret);
void tm_schema_type_encode(const struct tm_cql_type *type, struct tm_buf *out);
const struct tm_cql_type *tm_schema_type_decode(struct tm_str bytes);
void tm_schema_table_encode(const struct tm_table *table, struct tm_buf *out);
struct tm_table *tm_schema_table_decode(struct tm_str bytes, struct tm_str keyspace, struct tm_str name);
void tm_schema_digest(struct tm_schema *schema); /* sets its version from its content */
#endif
