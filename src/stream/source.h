/* Sources and sinks behind one interface each: the operators know no Kafka, file or table. A provider is found by the
 * relation's or sink's format. */
#ifndef TM_STREAM_SOURCE_H
#define TM_STREAM_SOURCE_H
#include "stream/plan.h"

struct tm_log;
struct tm_store;
struct tm_broker; /* broker.h */
struct tm_tables; /* tables.h */
/* What providers may use; any may be NULL (`tidemill sql` without an instance has neither log nor store). */
struct tm_stream_world {
	const struct tm_env *env;
	struct tm_log *log;
	struct tm_store *store;
	struct tm_broker *broker;     /* a real Kafka instead of log; NULL = log is the broker */
	struct tm_tables *tables;     /* a real Cassandra for the tables; store then keeps only states and dead letters. NULL = store */
	struct tm_journal *journal;   /* commits of queries go there before they count (base/journal.h); NULL = the store alone */
	const char *project_dir;      /* relative paths start here */
	bool (*cancelled)(void *ctx); /* asked by batch queries now and then: does nobody want the answer any more? NULL = never */
	void *cancelled_ctx;
};

/* The columns a relation of this format and these options has (for kafka fixed, for cassandra the table's, for files the
 * given schema or inferred). Fills relation->schema; refuses unknown formats and missing options by name. */
tm_rc tm_source_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena,
			 struct tm_err *err) TM_CHECKED;
/* Is there a table keyspace.name (format cassandra) or a topic name (format kafka)? Quick; for names in FROM. */
bool tm_source_exists(const struct tm_stream_world *world, struct tm_str format, struct tm_str keyspace, struct tm_str name);
/* ---- format memory (tests, the vectors) ---- relation->memory is a struct tm_batch * that is read anew by every run; for a stream it
 * is this feed: each step that is released is one micro-batch's worth (all feeds of a query are released together). */
struct tm_memory_step {
	bool advances;                /* false: nothing came at this step */
	const struct tm_batch *parts; /* input partitions, with all columns of the relation; a part may have 0 rows */
	size_t part_count;
};
struct tm_memory_feed {
	const struct tm_memory_step *steps;
	size_t step_count;
	size_t released; /* how many steps are there; only the thread that runs the query may change it while it runs */
};

/* Formats there are, NULL-terminated, for "did you mean". */
extern const char *const tm_source_formats[], *const tm_sink_formats[];
#endif
