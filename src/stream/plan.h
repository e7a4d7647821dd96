/* The physical plan: a tree of operators over column batches, immutable, made by the sql room, run by this one; the same
 * operators answer a batch query and a stream. Everything lives in the plan's arena. */
#ifndef TM_STREAM_PLAN_H
#define TM_STREAM_PLAN_H
#include "stream/expr.h"

enum tm_op_kind {
	TM_OP_VALUES, /* rows written in the plan (VALUES, one row for SELECT without FROM) */
	TM_OP_RANGE,  /* range(start, end, step) */
	TM_OP_SCAN,   /* a source: kafka, file, rate, cassandra, memory */
	TM_OP_FILTER,
	TM_OP_PROJECT,
	TM_OP_EXPAND,      /* each row becomes one per projection: sliding windows, grouping sets */
	TM_OP_GENERATE,    /* explode, posexplode, inline, stack, json_tuple: row -> rows */
	TM_OP_AGGREGATE,   /* keys and aggregate functions; in a stream: stateful */
	TM_OP_WATERMARK,   /* EventTimeWatermark: column and delay */
	TM_OP_DEDUPLICATE, /* dropDuplicates / DISTINCT of a stream / dropDuplicatesWithinWatermark; in batch too */
	TM_OP_JOIN,
	TM_OP_WINDOW, /* window functions (batch) */
	TM_OP_SORT,
	TM_OP_LIMIT, /* with OFFSET */
	TM_OP_UNION, /* inputs in order, same types */
	TM_OP_SET,   /* INTERSECT / EXCEPT [ALL] */
	TM_OP_SAMPLE,
	TM_OP_DOMAIN /* the outer values of a correlated subquery, as the join around it has them in its left batch */
};
enum tm_join_kind { TM_JOIN_INNER, TM_JOIN_LEFT, TM_JOIN_RIGHT, TM_JOIN_FULL, TM_JOIN_SEMI, TM_JOIN_ANTI, TM_JOIN_CROSS };

struct tm_sort_key {
	struct tm_expr *expr;
	bool descending, nulls_last;
};
struct tm_option {
	struct tm_str name, value;
};

/* Where rows come from. Providers are looked up by `format` (source.h). */
struct tm_relation {
	struct tm_str name;              /* as written, for messages and metrics */
	struct tm_str format;            /* "kafka", "cassandra", "json", "csv", "text", "rate", "memory", … */
	const struct tm_option *options; /* names compared without case */
	size_t option_count;
	struct tm_schema schema; /* all columns that the source can give */
	bool streaming;          /* read as a stream (STREAM v); else as it is now */
	void *memory;            /* format memory: struct tm_batch * (batch) or the test's feed (stream) */
};

struct tm_window_fn { /* one window function of TM_OP_WINDOW */
	enum {
		TM_WF_AGGREGATE,
		TM_WF_ROW_NUMBER,
		TM_WF_RANK,
		TM_WF_DENSE_RANK,
		TM_WF_PERCENT_RANK,
		TM_WF_CUME_DIST,
		TM_WF_NTILE,
		TM_WF_LAG,
		TM_WF_LEAD,
		TM_WF_FIRST_VALUE,
		TM_WF_LAST_VALUE,
		TM_WF_NTH_VALUE
	} kind;
	struct tm_agg *agg;    /* AGGREGATE */
	struct tm_expr **args; /* the others: value, offset, default */
	size_t arg_count;
	bool ignore_nulls;
	const struct tm_type *type;
	bool rows_frame; /* ROWS; else RANGE */
	enum tm_frame_bound {
		TM_FRAME_UNBOUNDED_PRECEDING,
		TM_FRAME_PRECEDING,
		TM_FRAME_CURRENT_ROW,
		TM_FRAME_FOLLOWING,
		TM_FRAME_UNBOUNDED_FOLLOWING
	} from,
	    to;
	struct tm_expr *from_offset, *to_offset;
};

struct tm_op {
	enum tm_op_kind kind;
	struct tm_schema schema; /* output columns */
	size_t input_count;
	struct tm_op **inputs;
	bool streaming; /* some scan below is a stream */
	size_t id;      /* stable within the plan (state, metrics); pre-order */
	int line, column_no;
	union {
		struct tm_batch values;
		struct {
			int64_t start, end, step;
		} range;
		struct {
			struct tm_relation *relation;
			const size_t *columns; /* which of relation->schema, in this order; output has just these */
			size_t column_count;
		} scan;
		struct {
			struct tm_expr *condition;
		} filter;
		struct {
			struct tm_expr **exprs;
		} project; /* schema.count */
		struct {
			struct tm_expr ***projections;
			size_t count;
		} expand; /* each schema.count exprs; a row whose projection's first `guard` expr is false is left out where guards != NULL
			   */
		struct {
			struct tm_expr **guards;
			struct tm_expr ***projections;
			size_t count;
		} expand_guarded;
		struct {
			struct tm_expr *list; /* ARRAY or MAP to unfold, or ARRAY of STRUCT with inline */
			bool outer, position, inline_struct;
			/* output: all input columns, then [pos,] the element (array), key and value (map), or the struct's fields */
		} generate;
		struct {
			struct tm_expr **keys; /* output: keys, then results */
			size_t key_count;
			struct tm_agg **aggs;
			size_t agg_count;
			bool global;                 /* no GROUP BY: one row even without input */
			int event_time_key;          /* index of the key with the watermark: a window struct or a timestamp; -1 = none */
			int64_t session_gap_us;      /* session_window: the event time key is a session; 0 = no */
			struct tm_expr *session_gap; /* dynamic gap (interval), or NULL */
		} aggregate;
		struct {
			size_t column;
			int64_t delay_us;
		} watermark; /* column: TIMESTAMP, TIMESTAMP_NTZ, or a window struct */
		struct {
			const size_t *columns; /* keys; all columns for DISTINCT */
			size_t column_count;
			int event_time_column; /* among the input's columns; -1 = none */
			bool within_watermark;
		} deduplicate;
		struct {
			enum tm_join_kind kind;
			struct tm_expr **left_keys, **right_keys; /* equalities; null-safe per flag */
			const bool *null_safe;
			size_t key_count;
			struct tm_expr *residual; /* over left columns then right columns; or NULL */
			/* output: left columns, then right columns (SEMI, ANTI: left only) */
			bool null_aware_anti; /* NOT IN (subquery) */
			/* A correlated subquery on the right: its rows depend on domain_count left_keys from domain_from on, which DOMAINs
			 * of this number give below. It runs once per left batch. 0 = the right side stands for itself. */
			size_t domain, domain_from, domain_count;
			bool domain_grouped; /* Spark would have to keep the outer values as an aggregate of the left side */
		} join;
		struct {
			size_t number;
		} domain;
		struct {
			struct tm_expr **partition;
			size_t partition_count;
			struct tm_sort_key *order;
			size_t order_count;
			struct tm_window_fn **functions;
			size_t function_count;
		} window;
		struct {
			struct tm_sort_key *keys;
			size_t key_count;
		} sort;
		struct {
			int64_t count, offset;
		} limit; /* count -1 = all */
		struct {
			enum { TM_SET_INTERSECT, TM_SET_EXCEPT } kind;
			bool all;
		} set;
		struct {
			double fraction;
			int64_t seed;
		} sample;
	};
};
/* Which columns of an operator's output carry a watermark, as its delay in µs; -1 = none. Computed by the planner. */
#endif
