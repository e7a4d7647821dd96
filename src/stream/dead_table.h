/* The table tidemill.dead_letters: its columns, and making it. Apart from dead.c, since the table room's schema and the columns' have
 * names in common. */
#ifndef TM_STREAM_DEAD_TABLE_H
#define TM_STREAM_DEAD_TABLE_H
#include "table/table.h"

enum tm_dead_column {
	TM_DEAD_QUERY,
	TM_DEAD_BATCH,
	TM_DEAD_NUMBER,
	TM_DEAD_AT,
	TM_DEAD_DETAIL,
	TM_DEAD_KEY,
	TM_DEAD_OFFSET,
	TM_DEAD_PARTITION,
	TM_DEAD_REASON,
	TM_DEAD_TOPIC,
	TM_DEAD_VALUE,
	TM_DEAD_WATERMARK,
	TM_DEAD_COUNT
};
extern const char *const tm_dead_columns[TM_DEAD_COUNT];
/* A reference to the table, which is made where it is not there yet. */
tm_rc tm_dead_table(struct tm_store *store, const struct tm_table_def **ret, struct tm_err *err) TM_CHECKED;
#endif
