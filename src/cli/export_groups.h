/* Consumer groups move with their topics: each goes on at the target with the record at which it would have gone on here. */
#ifndef TM_CLI_EXPORT_GROUPS_H
#define TM_CLI_EXPORT_GROUPS_H
#include "cli/export.h"
#include "stream/broker.h"
/* After the topics were moved. A group that has read further at the target, or that has members there, is left alone. source: a reader
 * of `from`. */
tm_rc tm_export_groups(struct tm_export *x, struct tm_broker *from, struct tm_broker *to, struct tm_broker_reader *source, json_t *groups,
		       struct tm_err *err) TM_CHECKED;
#endif
