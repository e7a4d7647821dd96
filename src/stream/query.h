/* Streaming queries: micro-batches with Spark's semantics, each batch one transaction. */
#ifndef TM_STREAM_QUERY_H
#define TM_STREAM_QUERY_H
#include "stream/source.h"

enum tm_output_mode { TM_MODE_APPEND, TM_MODE_UPDATE, TM_MODE_COMPLETE };
enum tm_trigger { TM_TRIGGER_ASAP, TM_TRIGGER_PROCESSING_TIME, TM_TRIGGER_AVAILABLE_NOW };
struct tm_query_spec {
	struct tm_str name;        /* queryName or the streaming table's name; names the checkpoint */
	const struct tm_op *root;  /* must outlive the query */
	struct tm_str sink_format; /* cassandra, kafka, console, memory, noop */
	const struct tm_option *sink_options;
	size_t sink_option_count;
	enum tm_output_mode mode;
	enum tm_trigger trigger;
	int64_t trigger_interval_ms;
	struct tm_session session;
	uint64_t plan_hash; /* of what the state depends on: a changed query does not read old state silently */
	struct tm_str file; /* for messages */
	int line;
	/* tm_value_text of the sql room, which sets it: console, file and text columns of tables print values by it. */
	void (*value_text)(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);
	/* format memory: called with every non-empty batch of rows, before the commit; NULL = they are dropped. */
	tm_rc (*memory_sink)(void *ctx, int64_t batch_id, const struct tm_batch *rows, struct tm_err *err);
	void *memory_ctx;
	bool max_watermark_policy;  /* spark.sql.streaming.multipleWatermarkPolicy=max */
	bool no_data_batches_off;   /* spark.sql.streaming.noDataMicroBatches.enabled=false */
	bool single_watermark;      /* spark.sql.streaming.statefulOperator.allowMultiple=false */
	bool correctness_check_off; /* spark.sql.streaming.statefulOperator.checkCorrectness.enabled=false */
};
struct tm_query;
/* Refuses what Spark refuses for a stream (UnsupportedOperationChecker), with its class. Checkpoint lives in world->store. */
tm_rc tm_query_check(const struct tm_query_spec *spec, struct tm_err *err) TM_CHECKED;
/* Can the sink take the rows: is its table there, has it the columns, do the types fit? TM_UNAVAILABLE: the world lacks what the sink
 * writes to. */
tm_rc tm_query_check_sink(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err) TM_CHECKED;
tm_rc tm_query_start(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_query **ret,
		     struct tm_err *err) TM_CHECKED;
/* Without a thread of its own (tests, AvailableNow in the caller's thread): tm_query_step runs at most one micro-batch and says whether it
 * did. false = nothing to do now. */
tm_rc tm_query_open(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_query **ret,
		    struct tm_err *err) TM_CHECKED;
tm_rc tm_query_step(struct tm_query *query, bool *ret_ran, struct tm_err *err) TM_CHECKED;
/* After the batch in flight, which has a second for that; waits. A longer one is left as a crash would leave it, and runs again at the next
 * start. */
void tm_query_stop(struct tm_query *query);
void tm_query_stop_soon(struct tm_query *query); /* the same, without waiting: before several are stopped */
void tm_query_free(struct tm_query *query);
/* True when all that the sources hold now has been processed and committed (and the no-data batch after it has run). */
bool tm_query_caught_up(struct tm_query *query);
void tm_query_wake(struct tm_query *query); /* look for data now */

struct tm_dead_reason {
	const char *reason;
	int64_t rows;
};
/* dropped_late: of the last batch, as Spark's numRowsDroppedByWatermark counts (an aggregate's late groups); rows_late: rows since the
 * start. */
struct tm_op_progress {
	size_t op_id;
	const char *label;
	int64_t rows_in, rows_out, state_rows, dropped_late, rows_late;
};
struct tm_query_progress {
	struct tm_str name;
	enum { TM_QUERY_RUNNING, TM_QUERY_STOPPED, TM_QUERY_FAILED } state;
	struct tm_err error; /* FAILED */
	int64_t batch_id, batches, rows_read, rows_written, rows_late, last_batch_ms;
	int64_t lag; /* records that are in the topics and not read yet, as of the last batch; -1 = not known */
	double rows_per_second;
	int64_t watermark_ms;        /* in force in the last batch; INT64_MIN = none */
	int64_t next_watermark_ms;   /* in force in the next one */
	bool last_had_data;          /* false: the last batch was a no-data batch */
	struct tm_str waiting;       /* why nothing comes, where a source knows ("topic x does not exist yet"); in the arena given */
	struct tm_dead_reason *dead; /* in the arena given */
	size_t dead_count;
	struct tm_op_progress *ops;
	size_t op_count;
};
void tm_query_progress(struct tm_query *query, struct tm_arena *arena, struct tm_query_progress *ret);
/* ---- a query that another engine runs ---- here only to be seen: it is stopped and freed like the others, which stops nothing there */
struct tm_query_elsewhere {
	bool (*caught_up)(void *ctx, const struct tm_query *query); /* what tm_query_caught_up answers while it runs */
	void *ctx;
};
struct tm_query *tm_query_elsewhere_new(const struct tm_query_spec *spec, const struct tm_query_elsewhere *elsewhere);
/* What tm_query_progress says from now on; the name is the spec's, all texts are copied. Any thread. */
void tm_query_report(struct tm_query *query, const struct tm_query_progress *progress);
/* Called after each committed batch, from the query's thread. */
void tm_query_on_batch(struct tm_query *query, void (*done)(void *ctx, struct tm_query *query), void *ctx);
#endif
