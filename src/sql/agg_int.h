/* Shared by the files agg_*.c: values held in the state of a group, and lists of values. What is longer than 16 bytes hangs on
 * the heap; the state of a group may be moved in memory by the operator. */
#ifndef TM_SQL_AGG_INT_H
#define TM_SQL_AGG_INT_H
#include "sql/fn_int.h"

#define AGG_ARGS UNUSED struct tm_eval *ev, UNUSED const struct tm_agg *agg
#define AGG_UPDATE_ARGS AGG_ARGS, UNUSED const struct tm_column *args, void *const *states, size_t n
#define AGG_MERGE_ARGS AGG_ARGS, void *into, const void *from
#define AGG_RESULT_ARGS AGG_ARGS, void *const *states, size_t n, struct tm_column *ret

enum { HELD_NONE, HELD_NULL, HELD_VALUE };
struct held {
	union {
		int64_t i64;
		i128_state wide;
	} fixed;     /* types of fixed width: their bytes */
	char *bytes; /* strings as they are, nested values encoded */
	uint32_t len;
	uint8_t state;
};
void held_set(struct held *h, const struct tm_column *c, size_t row);
void held_copy(struct held *h, const struct held *from);
void held_done(struct held *h);
void held_encode(const struct tm_type *t, const struct held *h, struct tm_buf *out);
bool held_decode(const struct tm_type *t, struct tm_cursor *in, struct held *h);
/* The value against row of c; neither null. */
int held_cmp(struct tm_eval *ev, const struct held *h, const struct tm_column *c, size_t row);
int held_cmp_held(struct tm_eval *ev, const struct tm_type *t, const struct held *a, const struct held *b);
/* A column of n held values; at(ctx, i) gives each. NULL and HELD_NONE are null. */
void held_column(struct tm_eval *ev, const struct tm_type *t, size_t n, const struct held *(*at)(const void *ctx, size_t i),
		 const void *ctx, struct tm_column *ret);

/* A growing list of encoded values on the heap: u32 length, bytes. */
struct value_list {
	struct tm_buf bytes;
	size_t count;
};
void list_add(struct value_list *l, const struct tm_column *c, size_t row); /* null too */
bool list_add_cursor(struct value_list *l, struct tm_cursor *in);
/* Appends all values to an appender; returns how many, or SIZE_MAX when the bytes are damaged. */
size_t list_append(const struct value_list *l, struct tm_appender *to);
void list_encode(const struct value_list *l, struct tm_buf *out);
bool list_decode(struct tm_cursor *in, struct value_list *l);
/* Of a kernel whose state is one list. */
tm_rc agg_list_merge(AGG_MERGE_ARGS);
void agg_list_free(const struct tm_agg *agg, void *state);
void agg_list_encode(const struct tm_agg *agg, const void *state, struct tm_buf *out);
bool agg_list_decode(const struct tm_agg *agg, struct tm_cursor *in, void *state);

tm_rc agg_bind_top(struct tm_fn_bind *b, bool max, struct tm_err *err); /* agg_top.c */
#endif
