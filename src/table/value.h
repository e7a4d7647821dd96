/* Serialised CQL values: validation, order, the memcmp-ordered form that keys and collection elements are stored under,
 * and the partitioner's token. */
#ifndef TM_TABLE_VALUE_H
#define TM_TABLE_VALUE_H
#include "table/type.h"

/* TM_DATA with Cassandra's text when bytes are no value of the type. Zero bytes are a value of most types. */
tm_rc tm_value_validate(const struct tm_cql_type *type, struct tm_str bytes, struct tm_err *err) TM_CHECKED;
/* Order of two serialised values (valid ones; never reads past their ends): <0, 0, >0. reversed is not looked at. */
int tm_value_compare(const struct tm_cql_type *type, struct tm_str a, struct tm_str b);
/* Appends the ordered form; memcmp of ordered forms is the type's order, and no form is a prefix of another of the same
 * type. type->reversed inverts it. A value: NULL at = null (inside tuples). */
void tm_value_order_put(const struct tm_cql_type *type, struct tm_str bytes, struct tm_buf *out);
/* Reads an ordered form back into serialised bytes in arena; false on bytes that are none. */
bool tm_value_order_take(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret);
/* Zero bytes as 00 FF, and 00 00 at the end: the ordered form of texts and blobs, and of a partition key. */
void tm_value_escaped_put(struct tm_str s, struct tm_buf *out);
/* False for types whose ordered form loses what does not matter for order (1.0 and 1.00): the original is stored too. */
bool tm_value_order_is_exact(const struct tm_cql_type *type);

/* Murmur3 as Cassandra computes it, of a serialised partition key (one column: its bytes; several: length, bytes, 0 each). */
int64_t tm_value_token(struct tm_str partition_key);
int64_t tm_value_timeuuid_100ns(const void *uuid); /* since 1582 */

/* Walks the items of a serialised collection (bytes of frozen or whole form). */
struct tm_value_items {
	struct tm_cursor c;
	size_t count, at;
};
bool tm_value_items_open(struct tm_str bytes, struct tm_value_items *ret);
/* One [bytes] of it; null gives at = NULL. False at the end or on bad bytes. */
bool tm_value_items_next(struct tm_value_items *it, struct tm_str *ret);
/* Next element of a vector. */
bool tm_value_vector_next(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_str *ret);
void tm_value_vint_put(struct tm_buf *b, uint64_t v); /* Cassandra's unsigned vint */
bool tm_value_vint_take(struct tm_cursor *c, uint64_t *ret);
static inline int64_t tm_value_zigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
#endif
