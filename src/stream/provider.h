/* What a source has to answer, and a sink. One file per provider; source.c and sink.c find them by format. Only this room
 * includes this file. Offsets are text, as Spark writes them into its checkpoint ({"topic":{"0":123}}). */
#ifndef TM_STREAM_PROVIDER_H
#define TM_STREAM_PROVIDER_H
#include "stream/exec.h"

struct tm_source;
struct tm_source_class {
	const char *const *formats;          /* NULL-terminated */
	size_t size;                         /* of the source, struct tm_source first */
	/* Fills relation->schema, checks the options. */
	tm_rc (*describe)(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err);
	tm_rc (*open)(struct tm_source *s, struct tm_err *err);
	void (*close)(struct tm_source *s);
	/* Streams: where reading begins when there is no checkpoint. */
	tm_rc (*initial)(struct tm_source *s, struct tm_buf *ret, struct tm_err *err);
	/* Streams: where the next batch from `from` on ends; *ret_new: there is something new in between. all: without limit per trigger. */
	tm_rc (*latest)(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err);
	/* Begins to read from..to; both empty: everything there is now (batch). */
	tm_rc (*range)(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err);
	/* The next rows (columns as asked for) into ret; *ret_some false at the end. They live until the next call. */
	tm_rc (*next)(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err);
	/* Streams: all up to `to` is committed. NULL = nothing to do. */
	void (*committed)(struct tm_source *s, struct tm_str to);
};
struct tm_source {
	const struct tm_source_class *klass;
	const struct tm_stream_world *world;
	const struct tm_relation *relation;
	const size_t *columns;               /* of relation->schema */
	size_t column_count;
	const struct tm_session *session;
	char waiting[200];                   /* why there is no data, for people; empty = nothing to say */
};

extern const struct tm_source_class tm_source_memory, tm_source_kafka, tm_source_file, tm_source_rate, tm_source_table;

/* The source of a scan's node. */
struct tm_source *tm_scan_source(struct tm_node *node);
/* A stream's range for the next run; must outlive it. */
void tm_scan_set_range(struct tm_node *node, struct tm_str from, struct tm_str to);

/* ---- options ---- names are compared without case; NULL or the default where not given */
const struct tm_str *tm_option_get(const struct tm_option *options, size_t count, const char *name);
tm_rc tm_option_i64(const struct tm_option *options, size_t count, const char *name, int64_t fallback, int64_t *ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_option_bool(const struct tm_option *options, size_t count, const char *name, bool fallback, bool *ret, struct tm_err *err) TM_CHECKED;
#endif
