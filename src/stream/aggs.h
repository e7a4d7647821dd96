/* The aggregate functions of one operator: their states side by side in a group's payload. */
#ifndef TM_STREAM_AGGS_H
#define TM_STREAM_AGGS_H
#include "stream/exec.h"
#include "stream/groups.h"

struct tm_aggs {
	struct tm_agg *const *aggs;
	size_t count, *at, bytes, align; /* at[i]: where the state of function i lies */
	struct tm_groups *distinct;      /* per function with DISTINCT: its (group, arguments) seen; mode unused else */
	bool *is_distinct;
};
/* A table of groups by key expressions. */
void tm_aggs_groups_init(struct tm_groups *g, struct tm_expr *const *keys, size_t key_count, size_t payload_bytes, size_t payload_align);

void tm_aggs_init(struct tm_aggs *a, struct tm_agg *const *aggs, size_t count);
void tm_aggs_done(struct tm_aggs *a);
void tm_aggs_clear(struct tm_aggs *a);                     /* forgets what DISTINCT has seen */
void tm_aggs_start(const struct tm_aggs *a, void *states); /* the states of a new group; memory is zeroed */
void tm_aggs_end(const struct tm_aggs *a, void *states);   /* frees what they hold */
/* Row i of in belongs to states[i]; group[i] tells groups apart for DISTINCT. rows NULL = all rows of in, else these (n). */
tm_rc tm_aggs_update(struct tm_aggs *a, struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in, const uint32_t *rows,
		     size_t n, void *const *states, const uint32_t *groups, struct tm_err *err) TM_CHECKED;
tm_rc tm_aggs_merge(const struct tm_aggs *a, struct tm_eval *ev, void *into, const void *from) TM_CHECKED;
/* Results of n groups into ret[0..count). */
tm_rc tm_aggs_results(const struct tm_aggs *a, struct tm_eval *ev, void *const *states, size_t n, struct tm_column *ret) TM_CHECKED;
void tm_aggs_encode(const struct tm_aggs *a, const void *states, struct tm_buf *out);
bool tm_aggs_decode(const struct tm_aggs *a, struct tm_cursor *in, void *states); /* states started before */
/* What the state of an AGGREGATE operator is made of, as text. */
void tm_aggs_describe(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values);
/* Of tm_state_class: a batch without data is for groups that leave; in complete mode none do. */
bool tm_aggs_want_no_data(struct tm_node *node, int64_t evict_us);
#endif
