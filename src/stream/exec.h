/* The operators at work: a tree of nodes over a plan, pulled from the root, a batch at a time. The plan is immutable and shared;
 * everything that changes is in the nodes. A batch that a node gave (and all it points to) lives until the next call of
 * tm_node_next on that node. Only this room includes this file. */
#ifndef TM_STREAM_EXEC_H
#define TM_STREAM_EXEC_H
#include "stream/source.h"

struct tm_table_batch;

/* ---- where rows came from ----
 * Rows keep the way back to their record while operators only filter, project and unfold them, so that a row that cannot be
 * used can be kept with its bytes. */
enum tm_mark { TM_MARK_CORRUPT = 1, TM_MARK_USED = 2, TM_MARK_DEAD = 4 };
struct tm_origin {
	struct tm_str topic;
	int32_t partition;
	size_t rows;
	const int64_t *offsets;
	const struct tm_str *keys, *values; /* NULL where the source has no bytes; an entry's at NULL = null */
	uint8_t *marks;                     /* tm_mark per record */
	bool any_corrupt;
};
struct tm_flow {
	struct tm_batch batch;
	struct tm_origin *origin;   /* NULL = not known */
	const uint32_t *origin_row; /* NULL = row i is record i */
};
static inline uint32_t tm_flow_record(const struct tm_flow *f, size_t row) { return f->origin_row ? f->origin_row[row] : (uint32_t)row; }

/* ---- what a run shares ---- */
struct tm_stream_run; /* state.h: what only a streaming query has */
struct tm_run {
	const struct tm_stream_world *world;
	struct tm_session session;
	struct tm_stream_run *stream; /* NULL = a batch query */
	uint32_t pulls;               /* of batches; now and then it is asked whether to go on */
};

struct tm_node;
struct tm_node_class {
	const char *label;
	size_t size;                                                                         /* of the node, struct tm_node first */
	tm_rc (*open)(struct tm_node *node, struct tm_err *err);                             /* once; NULL = nothing */
	tm_rc (*begin)(struct tm_node *node, struct tm_err *err);                            /* before every run over the inputs */
	tm_rc (*next)(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err); /* NULL at the end */
	void (*close)(struct tm_node *node);                                                 /* also of a node whose open failed */
	const struct tm_state_class *state;                                                  /* stateful in a stream; NULL = not */
};
struct tm_node {
	const struct tm_node_class *klass;
	const struct tm_op *op;
	struct tm_run *run;
	struct tm_node **inputs;
	size_t input_count;
	struct tm_arena arena;     /* of the batch given last */
	struct tm_arena run_arena; /* of this run: from begin to the next begin */
	struct tm_flow out;
	int64_t rows_in, rows_out;     /* since open */
	int64_t rows_late, state_rows; /* late rows since open; rows in state now */
	int64_t dropped;               /* of this batch, as Spark counts: an aggregate's late groups, else late rows */
	int64_t late_us, evict_us;     /* stateful in a stream: its watermarks in this batch; INT64_MIN = none */
	uint32_t ordinal;              /* of a stateful operator among its kind, inputs first: names its state */
	int64_t limit_hint;            /* of SORT below LIMIT: no more than these rows are asked for; -1 = all */
};

/* Builds the nodes of a plan. */
tm_rc tm_node_build(struct tm_run *run, const struct tm_op *op, struct tm_node **ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_node_begin(struct tm_node *node, struct tm_err *err) TM_CHECKED; /* the whole tree */
tm_rc tm_node_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err) TM_CHECKED;
/* The next batch of an input, counted in rows_in. */
tm_rc tm_node_pull(struct tm_node *node, size_t input, const struct tm_flow **ret, struct tm_err *err) TM_CHECKED;
void tm_node_free(struct tm_node *node); /* the whole tree */

/* Evaluation of a node's expressions over a batch, results in arena. */
static inline struct tm_eval tm_node_eval(const struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in, struct tm_err *err)
{
	return (struct tm_eval){.arena = arena, .session = &node->run->session, .in = in, .rows = in->rows, .err = err};
}
/* All columns flat (an entry per row). */
tm_rc tm_node_columns(const struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in, struct tm_expr *const *exprs,
		      size_t count, struct tm_column **ret, struct tm_err *err) TM_CHECKED;

/* Everything an input gives, as one batch in arena (deep enough to outlive the input's batches). */
tm_rc tm_node_collect(struct tm_node *input, struct tm_arena *arena, const struct tm_schema *schema, struct tm_batch *ret,
		      struct tm_err *err) TM_CHECKED;
void tm_batch_slice(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b, size_t from, size_t n);
/* No rows, of these types. */
void tm_batch_empty(struct tm_batch *ret, struct tm_arena *arena, const struct tm_schema *schema);

extern const struct tm_node_class tm_values_class, tm_range_class, tm_scan_class, tm_filter_class, tm_project_class, tm_expand_class,
    tm_expand_guarded_class, tm_generate_class, tm_aggregate_class, tm_watermark_class, tm_dedup_class, tm_join_class, tm_stream_join_class,
    tm_window_class, tm_sort_class, tm_limit_class, tm_union_class, tm_set_class, tm_sample_class, tm_session_class, tm_domain_class;

/* ---- subqueries that depend on the rows around them ---- */
/* Lets every DOMAIN of this number at or below the node give *feed's rows; feed must outlive the nodes' runs. */
void tm_domain_bind(struct tm_node *node, size_t number, const struct tm_batch *feed);
/* The tree from its beginning again within a run: what does not depend on a DOMAIN and was collected stays. */
tm_rc tm_node_again(struct tm_node *node, struct tm_err *err) TM_CHECKED;
bool tm_join_rewind(struct tm_node *node); /* a join whose right side is collected and stays; false = it must begin anew */
#endif
