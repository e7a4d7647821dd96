/* What a plan says about event time: which columns carry a watermark, and which range of event times a join of two streams
 * needs to remember. */
#ifndef TM_STREAM_STATEFUL_H
#define TM_STREAM_STATEFUL_H
#include "stream/plan.h"

/* The delay of the watermark that a column of op's output carries, in µs; -1 = none. */
int64_t tm_op_watermark_us(const struct tm_op *op, size_t column);
/* The first column that carries one, or SIZE_MAX. */
size_t tm_op_watermark_column(const struct tm_op *op);
/* Does a key of the aggregate carry a watermark? */
bool tm_stateful_watermarked(const struct tm_op *aggregate);

/* Conjuncts of a condition (AND unfolded), in arena. */
size_t tm_conjuncts(struct tm_arena *arena, struct tm_expr *condition, struct tm_expr ***ret);
/* Does it refer to columns in [from, to)? */
bool tm_expr_refers(const struct tm_expr *e, size_t from, size_t to);

/* For a join of two streams: the join key that carries a watermark on either side, or -1. */
int tm_join_time_key(const struct tm_op *join);
/* Rows of one side (0 left, 1 right) with event time <= watermark + *ret_shift_us can match nothing that still comes from the other.
 * Found in the residual condition, as Spark does. False = no such range. */
bool tm_join_state_shift(const struct tm_op *join, int side, int64_t *ret_shift_us);
/* May an outer or semi join be run at all: will unmatched rows ever be known? */
bool tm_join_outer_bounded(const struct tm_op *join);
#endif
