/* A row of one side as the statements that make it on the other. */
#ifndef TM_CLI_EXPORT_ROW_H
#define TM_CLI_EXPORT_ROW_H
#include "cli/export_cql.h"
#include "cli/export_write.h"

/* with_static: the partition's static columns too (once for each partition is enough). again: how often this table's export was begun
 * before; lists are written that many microseconds later, so that they replace what a broken attempt has left. */
tm_rc tm_moved_row_write(struct tm_moved_writer *w, const struct tm_moved_row *row, bool with_static, int64_t again,
			 struct tm_err *err) TM_CHECKED;
#endif
