/* Expressions and aggregate functions as the operators run them: resolved, typed, immutable, evaluated a batch at a time.
 * The sql room makes them (names, types and kernels live in its function catalogue); the operators only evaluate. */
#ifndef TM_STREAM_EXPR_H
#define TM_STREAM_EXPR_H
#include "column/column.h"

/* What an evaluation depends on besides its input. Plain data, fixed for a query (now_us: for a batch). */
struct tm_session {
	const char *time_zone; /* spark.sql.session.timeZone; "UTC" */
	bool ansi;             /* spark.sql.ansi.enabled */
	int64_t now_us;        /* current_timestamp() */
	int64_t batch_id;      /* of a stream; 0 else */
	struct tm_str current_database, user;
	const struct tm_env *env;
};

struct tm_expr;
struct tm_eval {
	struct tm_arena *arena; /* results go here */
	const struct tm_session *session;
	const struct tm_batch *in;
	size_t rows;                           /* of the result; in->rows, or what a lazy kernel asks for */
	const struct tm_column *const *lambda; /* values of lambda variables by id; rows entries each */
	size_t lambda_count;
	struct tm_err *err;
	/* rows bytes, or NULL where nobody asks: a kernel that met a whole record it could not use (from_json, from_csv in PERMISSIVE
	 * mode) sets the row's byte to 1, besides giving null. tm_expr_eval hands it on; tm_expr_eval_rows must not (rows differ). */
	uint8_t *corrupt;
};

struct tm_kernel {
	const char *name;
	/* Eager: args are evaluated (rows each; may be constant where KERNEL_CONSTANTS is set, else they are flattened). ret is to be
	 * filled wholly; type is call->type. */
	tm_rc (*eval)(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, struct tm_column *ret);
	/* Lazy (instead of eval): CASE, COALESCE, AND, higher-order functions: evaluates its args itself, on the rows it needs. */
	tm_rc (*eval_lazy)(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret);
	unsigned flags;
};
enum {
	TM_KERNEL_CONSTANTS = 1,        /* copes with constant columns (use tm_row()) */
	TM_KERNEL_NULL_IN_NULL_OUT = 2, /* the evaluator sets ret->valid = AND of the args' after eval; eval may compute garbage for null
					   rows but must not fail on them */
	TM_KERNEL_VOLATILE = 4,         /* rand(), uuid(): never folded or shared */
};

enum tm_expr_kind { TM_EXPR_COLUMN, TM_EXPR_LITERAL, TM_EXPR_CALL, TM_EXPR_LAMBDA, TM_EXPR_LAMBDA_VARIABLE };
struct tm_expr {
	enum tm_expr_kind kind;
	const struct tm_type *type;
	bool nullable;
	size_t column;                  /* COLUMN: of the input batch. LAMBDA_VARIABLE: its id */
	struct tm_column literal;       /* LITERAL: constant, one entry */
	const struct tm_kernel *kernel; /* CALL */
	const void *bound;              /* CALL: what the kernel prepared at bind time; immutable, plan's lifetime */
	const char *function; /* CALL: its name in the catalogue ("+", "from_json"), for the planner's rewrites; NULL = none (casts) */
	size_t arg_count;     /* CALL: arguments. LAMBDA: 1, the body */
	struct tm_expr **args;
	size_t variable_count;   /* LAMBDA */
	const size_t *variables; /* LAMBDA: ids of its variables */
	struct tm_str text;      /* as Spark names the column: "(a + 1)" */
	int line, column_no;     /* position in the SQL text, from 1; 0 = none */
};

/* Evaluates for all rows of ev->in (ev->rows). On failure ev->err is filled, with the position of the expression. */
tm_rc tm_expr_eval(struct tm_eval *ev, const struct tm_expr *expr, struct tm_column *ret) TM_CHECKED;
/* For lazy kernels: only for the rows named; ret has count rows. */
tm_rc tm_expr_eval_rows(struct tm_eval *ev, const struct tm_expr *expr, const uint32_t *rows, size_t count,
			struct tm_column *ret) TM_CHECKED;
/* For filters: indexes of rows where a BOOLEAN expression is true (null is not), in the arena. */
tm_rc tm_expr_filter(struct tm_eval *ev, const struct tm_expr *expr, uint32_t **ret_rows, size_t *ret_count) TM_CHECKED;

/* For higher-order kernels: the lambda's body over n elements. values: its variables (n rows each); outer_rows[i] is the row of
 * ev->in that element i belongs to (captured columns and outer variables are repeated by it). */
tm_rc tm_lambda_eval(struct tm_eval *ev, const struct tm_expr *lambda, const struct tm_column *values, const uint32_t *outer_rows, size_t n,
		     struct tm_column *ret) TM_CHECKED;

/* ---- aggregate functions ----
 * State is a fixed-size block per group (in the operator's hash table, zeroed before init); what is larger hangs on the heap
 * and is freed by done. All functions are re-entrant. */
struct tm_agg;
struct tm_agg_kernel {
	const char *name;
	size_t state_bytes;                                  /* or 0 with state_bytes_of for sizes known at bind time */
	void (*init)(const struct tm_agg *agg, void *state); /* NULL: zero is the start */
	/* Row i of args belongs to states[i] (n rows, already filtered by FILTER and DISTINCT). */
	tm_rc (*update)(struct tm_eval *ev, const struct tm_agg *agg, const struct tm_column *args, void *const *states, size_t n);
	tm_rc (*merge)(struct tm_eval *ev, const struct tm_agg *agg, void *into, const void *from);
	/* Results of n groups into ret (type agg->type). */
	tm_rc (*result)(struct tm_eval *ev, const struct tm_agg *agg, void *const *states, size_t n, struct tm_column *ret);
	void (*done)(const struct tm_agg *agg, void *state); /* NULL: nothing on the heap */
	/* For checkpoints; NULL pair: the block itself is stored. */
	void (*encode)(const struct tm_agg *agg, const void *state, struct tm_buf *out);
	bool (*decode)(const struct tm_agg *agg, struct tm_cursor *in, void *state);
};
struct tm_agg {
	const struct tm_agg_kernel *kernel;
	const void *bound;
	const struct tm_type *type; /* of the result */
	bool nullable, distinct;
	size_t arg_count;
	struct tm_expr **args;  /* over the aggregate's input */
	struct tm_expr *filter; /* FILTER (WHERE …), or NULL */
	struct tm_str text;
	int line, column_no;
};
#endif
