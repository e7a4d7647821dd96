/* CREATE statements of things that are there. */
#ifndef TM_CQL_DESCRIBE_H
#define TM_CQL_DESCRIBE_H
#include "table/schema.h"
void cql_describe_table(const struct tm_table *table, bool internals, struct tm_buf *out);
void cql_describe_index(const struct tm_table *table, const struct tm_index *index, struct tm_buf *out);
void cql_describe_type(const struct tm_cql_type *udt, struct tm_buf *out);
void cql_describe_keyspace(const struct tm_keyspace *ks, struct tm_buf *out);
#endif
