/* CQL types as values. A type is interned: made once per process, never freed, so two types are equal when their
 * pointers are. That lets results, prepared statements and table definitions share types without owning them.
 * The number of different types a process sees is bounded by its schema and by a limit (type.c). */
#ifndef TM_TABLE_TYPE_H
#define TM_TABLE_TYPE_H
#include "table/table.h"

const struct tm_cql_type *tm_type_native(enum tm_cql_kind kind);
/* NULL for a name that is no native type. */
const struct tm_cql_type *tm_type_native_named(struct tm_str name);
const char *tm_type_native_name(enum tm_cql_kind kind);
/* NULL when the process holds too many types already. */
const struct tm_cql_type *tm_type_list(const struct tm_cql_type *item, bool frozen);
const struct tm_cql_type *tm_type_set(const struct tm_cql_type *item, bool frozen);
const struct tm_cql_type *tm_table_type_map(const struct tm_cql_type *key, const struct tm_cql_type *value, bool frozen);
const struct tm_cql_type *tm_type_tuple(const struct tm_cql_type *const *items, size_t count);
const struct tm_cql_type *tm_type_vector(const struct tm_cql_type *item, size_t dimension);
const struct tm_cql_type *tm_type_udt(struct tm_str keyspace, struct tm_str name, const struct tm_str *field_names,
				      const struct tm_cql_type *const *fields, size_t count, bool frozen);
/* The same type frozen (inner collections too), or not; natives are what they are. */
const struct tm_cql_type *tm_type_frozen(const struct tm_cql_type *type);
const struct tm_cql_type *tm_type_unfrozen(const struct tm_cql_type *type);
const struct tm_cql_type *tm_type_reversed(const struct tm_cql_type *type, bool reversed);

static inline bool tm_type_is_collection(const struct tm_cql_type *t)
{
	return t->kind == TM_CQL_LIST || t->kind == TM_CQL_SET || t->kind == TM_CQL_MAP;
}
/* Stored as one cell per element or field. */
static inline bool tm_type_is_multicell(const struct tm_cql_type *t)
{
	return !t->frozen && (tm_type_is_collection(t) || t->kind == TM_CQL_UDT);
}
bool tm_type_is_text(const struct tm_cql_type *t); /* ascii, text */
/* Equal but for frozen and reversed: their values have the same bytes. */
bool tm_type_same_value(const struct tm_cql_type *a, const struct tm_cql_type *b);
/* Does type mention a type of this kind (or this UDT by name)? */
bool tm_type_mentions(const struct tm_cql_type *type, enum tm_cql_kind kind);
bool tm_type_mentions_udt(const struct tm_cql_type *type, struct tm_str keyspace, struct tm_str name);
/* The type with every mention of the UDT of that name put in its new form. */
const struct tm_cql_type *tm_type_with_udt(const struct tm_cql_type *type, const struct tm_cql_type *udt);
/* As CQL writes it: frozen<list<int>>, vector<float, 3>, a UDT by its name. */
void tm_table_type_text(const struct tm_cql_type *type, struct tm_buf *out);
/* A name, in double quotes where CQL needs them. */
void tm_type_name_text(struct tm_str name, struct tm_buf *out);
void tm_type_name_quoted(struct tm_str name, struct tm_buf *out); /* always in quotes */
/* Value length where it is fixed, else 0. */
size_t tm_type_fixed_length(const struct tm_cql_type *type);
#endif
