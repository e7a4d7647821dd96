/* How far an export has come: DATA/export/KIND-TARGET.state, replaced whole, with a version and a checksum. It makes a second start fast;
 * it is not what keeps a record from being sent twice (that is comparing with the target), so a lost one loses nothing. */
#ifndef TM_CLI_EXPORT_STATE_H
#define TM_CLI_EXPORT_STATE_H
#include "base/base.h"

struct tm_export_mark {
	struct tm_str name;  /* topic/partition, or keyspace.table */
	int64_t first, next; /* topics: first and next offset of the source; tables: next: the token up to which all is written */
	int64_t base, count; /* topics: offset of the first one at the target, and how many there are; tables: rows written */
	uint64_t checksum;   /* topics: of those count records */
	bool begun;
};
struct tm_export_state {
	char path[4400];
	struct tm_arena arena;
	struct tm_export_mark **items;
	size_t count, cap;
	int64_t saved_ns;
};
/* A file that is missing, torn or of another version is an empty state; the last two are warned of. Makes the folder. */
tm_rc tm_export_state_open(struct tm_export_state *s, const char *data_dir, const char *kind, struct tm_str target,
			   struct tm_err *err) TM_CHECKED;
void tm_export_state_done(struct tm_export_state *s);
/* NULL where there is none. */
struct tm_export_mark *tm_export_state_find(struct tm_export_state *s, struct tm_str name);
struct tm_export_mark *tm_export_state_add(struct tm_export_state *s, struct tm_str name); /* found or made, zeroed */
/* Writes it durably; without force at most once in half a second. */
tm_rc tm_export_state_save(struct tm_export_state *s, bool force, struct tm_err *err) TM_CHECKED;
#endif
