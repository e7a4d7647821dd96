/* What a source has to answer, and a sink. One file per provider; source.c and sink.c find them by format. Only this room
 * includes this file. Offsets are text, as Spark writes them into its checkpoint ({"topic":{"0":123}}). */
#ifndef TM_STREAM_PROVIDER_H
#define TM_STREAM_PROVIDER_H
#include "stream/exec.h"
#include "stream/query.h"

struct tm_source;
struct tm_source_class {
	const char *const *formats; /* NULL-terminated */
	size_t size;                /* of the source, struct tm_source first */
	/* Fills relation->schema, checks the options. */
	tm_rc (*describe)(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err);
	tm_rc (*open)(struct tm_source *s, struct tm_err *err);
	void (*close)(struct tm_source *s);
	/* Streams: where reading begins when there is no checkpoint. */
	tm_rc (*initial)(struct tm_source *s, struct tm_buf *ret, struct tm_err *err);
	/* Streams: where the next batch from `from` on ends; *ret_new: there is something new in between. all: without limit per trigger.
	 */
	tm_rc (*latest)(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err);
	/* Begins to read from..to; both empty: everything there is now (batch). */
	tm_rc (*range)(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err);
	/* The next rows (columns as asked for) into ret; *ret_some false at the end. They live until the next call. */
	tm_rc (*next)(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err);
	/* Streams: all up to `to` is committed. NULL = nothing to do. */
	void (*committed)(struct tm_source *s, struct tm_str to);
	/* AvailableNow: what comes after this moment is not read. NULL = cannot tell; the stream ends when nothing is new. */
	tm_rc (*pin)(struct tm_source *s, struct tm_err *err);
};
struct tm_source {
	const struct tm_source_class *klass;
	const struct tm_stream_world *world;
	const struct tm_relation *relation;
	const size_t *columns; /* of relation->schema */
	size_t column_count;
	const struct tm_session *session;
	struct tm_run *run;
	bool few_written;  /* of what the last batch read: a larger one is not held in more memory */
	char waiting[200]; /* why there is no data, for people; empty = nothing to say */
};

extern const struct tm_source_class tm_source_memory, tm_source_kafka, tm_source_file, tm_source_rate, tm_source_table;

/* The source of a scan's node. */
struct tm_source *tm_scan_source(struct tm_node *node);
/* A stream's range for the next run; must outlive it. */
void tm_scan_set_range(struct tm_node *node, struct tm_str from, struct tm_str to);

/* ---- options ---- names are compared without case; NULL or the default where not given */
const struct tm_str *tm_option_get(const struct tm_option *options, size_t count, const char *name);
tm_rc tm_option_i64(const struct tm_option *options, size_t count, const char *name, int64_t fallback, int64_t *ret,
		    struct tm_err *err) TM_CHECKED;
tm_rc tm_option_bool(const struct tm_option *options, size_t count, const char *name, bool fallback, bool *ret,
		     struct tm_err *err) TM_CHECKED;

/* ---- sinks ---- */
struct tm_sink;
struct tm_sink_class {
	const char *const *formats;
	size_t size;        /* of the sink, struct tm_sink first */
	bool transactional; /* its writes are part of the query's commit: no batch is announced ahead */
	/* Before the start: options, columns, output mode. */
	tm_rc (*check)(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err);
	tm_rc (*open)(struct tm_sink *s, struct tm_err *err);
	void (*close)(struct tm_sink *s);
	tm_rc (*begin)(struct tm_sink *s, struct tm_err *err);
	/* Rows that are refused go to tm_stream_dead; *ret_written counts the others. */
	tm_rc (*write)(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err);
	/* All rows of the batch are given; makes them durable where they are not part of the commit. */
	tm_rc (*finish)(struct tm_sink *s, struct tm_err *err);
	void (*committed)(struct tm_sink *s);
	/* What the sink has to know after a restart, as of the last finished batch. NULL = nothing. */
	void (*save)(struct tm_sink *s, struct tm_buf *out);
	tm_rc (*load)(struct tm_sink *s, struct tm_str saved, struct tm_err *err);
};
enum { TM_BATCH_AGAIN_US = 90, TM_BATCH_AGAIN_MAX = 10 };
struct tm_sink {
	const struct tm_sink_class *klass;
	const struct tm_stream_world *world;
	const struct tm_query_spec *spec;
	struct tm_run *run;
	struct tm_table_batch *commit; /* of the batch at work; NULL without a store */
	int64_t batch_id;
	bool replay; /* the batch was announced before a crash: some of it may be there already */
	/* Timestamp of what the batch writes into tables outside: its time, and TM_BATCH_AGAIN_US more each time that it is run again.
	 * Cells would be the same at the same timestamp, but a list would have its elements twice: Cassandra makes a new place for each
	 * that is written, and removes what was there before only where that is older. Batches are a millisecond apart at least. */
	int64_t write_us;
	bool ordered; /* rows come in the same order when the batch is run again */
};
extern const struct tm_sink_class tm_sink_memory, tm_sink_noop, tm_sink_console, tm_sink_kafka, tm_sink_table, tm_sink_outside,
    tm_sink_file;
/* The world decides which sink format cassandra is. */
const struct tm_sink_class *tm_sink_find(const struct tm_stream_world *world, struct tm_str format);
tm_rc tm_sink_unknown(const struct tm_query_spec *spec, struct tm_err *err);
#endif
