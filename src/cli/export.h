/* `tidemill export topics|tables --to URL`: moves what the embedded parts hold to real ones, or anywhere that speaks their protocols.
 * Both kinds may be killed at any moment and started again: what is at the target already is compared, not written twice. */
#ifndef TM_CLI_EXPORT_H
#define TM_CLI_EXPORT_H
#include "cli/command.h"
#include "cli/export_state.h"
#include "cli/remote.h"
#include <jansson.h>

struct tm_export {
	struct tm_common common;
	const char *kind, *to, *from; /* from: NULL = the project, by the doors of its running instance or from its data directory */
	const char *const *names;     /* topics, or keyspace.table and keyspace; none = all */
	size_t name_count;
	struct tm_remote remote;
	bool running;
	struct tm_arena arena;
	struct tm_url target;
	struct tm_str target_shown; /* without the password */
	struct tm_export_state state;
	/* The outcome */
	json_t *parts;     /* one object for each topic or table */
	json_t *groups;    /* of consumers: one object for each whose offsets were moved */
	json_t *notes;     /* what differs there and has to be known */
	int64_t different; /* counts or checksums that do not agree */
	/* Progress, on standard error */
	int64_t started_ns, shown_ns, done, all;
	bool line_open;
};
tm_rc tm_export_topics(struct tm_export *x, struct tm_err *err) TM_CHECKED;
tm_rc tm_export_tables(struct tm_export *x, struct tm_err *err) TM_CHECKED;

/* what: "topic earthquakes"; unit: "records". Said from 300 ms on, a few times a second on a terminal, else every two seconds. */
void tm_export_progress(struct tm_export *x, const char *what, const char *unit);
/* A call-back of what waits for a target. */
void tm_export_waits(void *ctx, const char *what);
void tm_export_note(struct tm_export *x, const char *fmt, ...) TM_PRINTF(2, 3);
/* Is it one of the names given? Names with * and ? are patterns. */
bool tm_export_wanted(const struct tm_export *x, struct tm_str name);
/* SIGINT or SIGTERM came: what is done so far is kept. */
bool tm_export_stopping(void);
#endif
