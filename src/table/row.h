/* The stored form of a row, and of a partition's head (its static cells, its deletion, its range tombstones). The same bytes
 * serve as a whole value and as a merge operand, so a write never reads. Reconciliation is Cassandra's: the higher
 * timestamp wins; of equal ones a tombstone, then a cell with a TTL (later expiry first), then the greater value.
 * Merging is associative, and order-free but for counters, whose operands add up in the order of writing. */
#ifndef TM_TABLE_ROW_H
#define TM_TABLE_ROW_H
#include "base/base.h"

enum { TM_ROW_FORMAT = 1 };
enum tm_cell_flags {
	TM_CELL_DEAD = 1,     /* tombstone; at_s = when it was written */
	TM_CELL_EXPIRING = 2, /* ttl, at_s = when it ends */
	TM_CELL_PATH = 4,     /* element of a collection or field of a type; path in ordered form */
	TM_CELL_CLEARED = 8,  /* no value: hides the elements of its column written before; at_s */
	TM_CELL_COUNTER = 16, /* value: 8 bytes, adds to what is there */
	TM_CELL_RESET = 32,   /* of a counter: does not add, begins anew */
};
struct tm_cell {
	uint32_t column;
	uint8_t flags;
	int32_t ttl_s;
	int64_t timestamp_us, at_s;
	struct tm_str path, value;
};
struct tm_range_tombstone { /* clustering prefixes in ordered form: start <= row < end by bytes */
	struct tm_str start, end;
	int64_t timestamp_us, at_s;
};
struct tm_row_info {
	bool has_marker, has_deletion;
	int32_t marker_ttl_s; /* 0 = none */
	int64_t marker_us, marker_expiry_s;
	int64_t deletion_us, deletion_at_s;
	size_t range_count;
};
struct tm_row_reader {
	struct tm_cursor c, ranges;
	struct tm_row_info info;
};
/* False when bytes are no row. */
bool tm_row_open(struct tm_str bytes, struct tm_row_reader *ret);
bool tm_row_next_range(struct tm_row_reader *r, struct tm_range_tombstone *ret);
/* 1 a cell, 0 the end, -1 bad bytes. Cells come by column, then path. */
int tm_row_next(struct tm_row_reader *r, struct tm_cell *ret);
/* cells must be in order (tm_cell_sort). */
void tm_row_put(struct tm_buf *out, const struct tm_row_info *info, const struct tm_range_tombstone *ranges, const struct tm_cell *cells,
		size_t cell_count);
void tm_cell_sort(struct tm_cell *cells, size_t count);
/* newer was written after older; out gets what both say together. False on bad bytes. */
bool tm_row_merge(struct tm_str older, struct tm_str newer, struct tm_buf *out);
/* Without what no reader can see any more: tombstones and expired cells older than before_s. Deletions of a head stay, since
 * they hide other keys. 0 nothing to do, 1 out has the rest, 2 nothing is left, -1 bad bytes. */
int tm_row_purge(struct tm_str bytes, bool is_head, int64_t before_s, struct tm_buf *out);
#endif
