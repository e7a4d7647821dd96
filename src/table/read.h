/* Reading rows: one partition or a range of tokens, through one consistent view. A row comes with its cells, so that the
 * language can give values, write times and times to live. */
#ifndef TM_TABLE_READ_H
#define TM_TABLE_READ_H
#include "table/row.h"
#include "table/schema.h"

/* Cells of one column of a row that are alive: one at most, or for collections and unfrozen types one per element, in order. */
struct tm_read_column {
	const struct tm_cell *cells;
	size_t count;
};
struct tm_read_row {
	const struct tm_str *partition_key;   /* per partition key column */
	const struct tm_str *clustering;      /* per clustering column; NULL: only the static cells of a partition that has no rows here */
	const struct tm_read_column *columns; /* per column of the def; key columns empty */
	struct tm_str position;               /* of the row in the table: give it back as `after` to go on behind it */
	bool has_marker;
	int64_t marker_us;
	bool first_of_partition;
};
/* Ranges of clustering keys in ordered form: start <= key < end; an empty end is the end of the partition. */
struct tm_read_slice {
	struct tm_str start, end;
};
struct tm_read_options {
	bool has_partition;
	struct tm_str partition_key;        /* serialised (tm_table_partition_key) */
	int64_t token_from, token_to;       /* inclusive; without a partition */
	const struct tm_read_slice *slices; /* in key order, apart; none: all rows */
	size_t slice_count;
	bool reverse;        /* rows of a partition from the last to the first; only with a partition */
	bool static_only;    /* one row per partition that has anything alive, clustering NULL: DISTINCT */
	bool no_static_row;  /* do not give the static-only row: a clustering column is restricted */
	struct tm_str after; /* position to go on behind; empty = from the start */
	int64_t now_s;
};
struct tm_read;
/* def must stay referenced. What options point to must stay. */
struct tm_read *tm_read_open(struct tm_store *store, const struct tm_table *table, const struct tm_read_options *options);
/* 1 a row, valid until the next call; 0 the end; -1 an error. */
int tm_read_next(struct tm_read *read, const struct tm_read_row **ret, struct tm_err *err);
void tm_read_close(struct tm_read *read);

/* Serialised partition key of its columns' values; and one clustering value in ordered form. */
void tm_table_partition_key(const struct tm_table_def *def, const struct tm_str *values, struct tm_buf *out);
/* A collection or unfrozen type's cells as the protocol's bytes, in arena; null when there are none. */
struct tm_cql_value tm_read_value(const struct tm_cql_type *type, const struct tm_read_column *column, struct tm_arena *arena);
/* The element an ordered path stands for. */
struct tm_str tm_read_path(const struct tm_cql_type *type, struct tm_str path, struct tm_arena *arena);
#endif
