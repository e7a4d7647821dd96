/* What operators see of the streaming query they run in: output mode, watermarks, keyed state that outlives the batch, and the
 * place for rows that cannot be used. Only this room includes this file. */
#ifndef TM_STREAM_STATE_H
#define TM_STREAM_STATE_H
#include "stream/broker.h"
#include "stream/exec.h"
#include "stream/query.h"
#include "stream/seal.h"
#include "stream/state_store.h"

/* Keyed state of a stateful operator. In memory while the query runs; what a batch changed is written when it commits. */
struct tm_state_class {
	/* Called when the batch is complete, within its commit: puts and deletes entries, then forgets what left the state. */
	void (*commit)(struct tm_node *node);
	/* One entry as it was put; after a restart, before the first batch. TM_CORRUPT when it is not one of this operator's. */
	tm_rc (*restore)(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err);
	/* Has it to run again, without data, now that its watermark is evict_us? NULL = whenever that is news. */
	bool (*wants_no_data)(struct tm_node *node, int64_t evict_us);
	/* What its entries are made of, for a restart with a changed query: types of the keys, types of the values. */
	void (*describe)(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values);
	const char *(*name)(struct tm_node *node); /* NULL = the label */
	/* The watermark it passes on, given the least of its inputs. NULL = the same. */
	int64_t (*passes_on)(struct tm_node *node, int64_t watermark_us);
};

/* A row that cannot be used, kept until the batch commits. */
struct tm_dead {
	const char *reason;                      /* static text */
	struct tm_str detail, topic, key, value; /* in the batch's arena; at NULL = not known */
	int32_t partition;
	int64_t offset; /* -1 = not known */
};
struct tm_watermark_node {
	struct tm_node *node;
	int64_t max_us;
	bool seen;
}; /* max_us of this batch */

struct tm_stream_run {
	struct tm_query *query;
	enum tm_output_mode mode;
	bool has_watermark;                      /* some operator declares one */
	bool no_data;                            /* this batch has no new rows */
	int64_t watermark_us, late_watermark_us; /* in force for eviction, and for lateness: the batch's before */
	struct {
		struct tm_watermark_node *items;
		size_t count, cap;
	} watermarks;
	/* of the batch at work */
	struct tm_arena arena;
	struct {
		struct tm_dead *items;
		size_t count, cap;
	} dead;
	struct tm_buf key; /* prefix of this query's keys, and room to build one */
	size_t prefix_len;
	struct {
		struct tm_state_store *items;
		size_t count, cap;
	} stores; /* by a stateful operator's ordinal */
	struct {
		struct tm_dead_reason *items;
		size_t count, cap;
	} reasons; /* dead letters since the start */
};

/* For operators, while a batch commits. The key is within the operator. */
void tm_state_put(struct tm_node *node, struct tm_str key, struct tm_str value);
void tm_state_delete(struct tm_node *node, struct tm_str key);

/* A row that cannot be used: kept with its record's bytes where they are known, counted by reason. Does nothing in a batch query. */
void tm_stream_dead(struct tm_run *run, const struct tm_flow *flow, size_t row, const char *reason, const char *detail);
/* A corrupt record reached an operator that used it as it is: it is no dead letter. */
void tm_stream_used(const struct tm_flow *flow);

/* Watermark operators report the largest event time of the batch, in order of the plan. */
void tm_stream_event_time(struct tm_node *node, int64_t max_us);

/* ---- outside systems ----
 * Sources and sinks that wait for another system ask whether the query is to stop (then they give up with TM_CANCELLED), and say what
 * they wait for, for the page. A call that fails with TM_UNAVAILABLE does not end the query: it says so, waits, and runs the very same
 * batch again. All do nothing in a batch query. */
bool tm_stream_stopping(const struct tm_run *run);
/* It was told to stop a second ago: its batch is left as a crash would leave it, and runs again at the next start. */
bool tm_stream_overdue(const struct tm_run *run);
void tm_stream_waits(struct tm_run *run, const char *what);
void tm_stream_woken(struct tm_run *run); /* there may be something new; any thread */
struct tm_str tm_stream_query_name(const struct tm_run *run);
struct tm_broker_caller tm_stream_caller(struct tm_run *run); /* the same for a broker */

static inline bool tm_node_stateful(const struct tm_node *node) { return node->run->stream && node->op->streaming && node->klass->state; }
#endif
