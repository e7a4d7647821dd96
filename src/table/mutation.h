/* Writing by cells: what the language's statements become. A mutation is of one row (or of a partition's head) and goes into
 * a batch as one merge operand. */
#ifndef TM_TABLE_MUTATION_H
#define TM_TABLE_MUTATION_H
#include "table/row.h"
#include "table/schema.h"

struct tm_mutation {
	const struct tm_table *table;
	struct tm_str partition_key;     /* serialised */
	const struct tm_str *clustering; /* all clustering values; NULL = the head */
	struct tm_row_info info;
	const struct tm_range_tombstone *ranges;
	struct tm_cell *cells; /* sorted here */
	size_t cell_count;
};
void tm_table_batch_mutate(struct tm_table_batch *batch, const struct tm_mutation *mutation);
/* A point to go back to: settle(false) takes out what was put in since mark. */
void tm_table_batch_mark(struct tm_table_batch *batch);
void tm_table_batch_settle(struct tm_table_batch *batch, bool keep);
struct tm_store *tm_table_batch_store(struct tm_table_batch *batch);
bool tm_table_batch_is_empty(const struct tm_table_batch *batch);
int64_t tm_store_now_us(struct tm_store *store); /* write timestamps: the clock, always going forward */
int64_t tm_store_clock_s(struct tm_store *store);
const struct tm_env *tm_store_env(struct tm_store *store);
/* The path of element `sequence` of a list that is written at the moment `now_us` (tm_store_now_us: once per list, so that it is unlike
 * every other). Elements lie in the order in which they were written, as in Cassandra, whatever USING TIMESTAMP says; prepended ones before
 * all earlier. */
void tm_mutation_list_path(int64_t now_us, bool prepend, uint32_t sequence, uint8_t out[17]);
/* Cells of a whole collection's or unfrozen type's bytes; base gives flags, timestamp and TTL. Element values are not copied. */
struct tm_cells {
	struct tm_cell *items;
	size_t count, cap;
};
void tm_mutation_elements(struct tm_store *store, const struct tm_cql_type *type, uint32_t column, struct tm_str bytes,
			  const struct tm_cell *base, struct tm_arena *arena, struct tm_cells *out);
/* The path of a set's element or a map's key, and what is stored as a map element's value. */
void tm_mutation_path(const struct tm_cql_type *type, struct tm_str item, struct tm_buf *out);
struct tm_str tm_mutation_map_value(const struct tm_cql_type *type, struct tm_str key, struct tm_str value, struct tm_arena *arena);
/* Conditional writes to a partition, one at a time. */
void tm_store_partition_lock(struct tm_store *store, const struct tm_table *table, struct tm_str partition_key);
void tm_store_partition_unlock(struct tm_store *store, const struct tm_table *table, struct tm_str partition_key);
#endif
