/* Lists, shared by fn_array.c, fn_array2.c, fn_map.c and fn_lambda.c. */
#ifndef TM_SQL_FN_LIST_H
#define TM_SQL_FN_LIST_H
#include "sql/fn_arith.h"

/* Elements that the functions of one batch may make. Spark's own limit is 2147483632 per array. */
#define FN_LIST_LIMIT ((int)(TM_LIMIT_VALUES_BYTES / 16)) /* 33554432 */
tm_rc fn_list_too_long(struct tm_eval *ev, const char *function);
/* Where lists are joined the limit is one of each; a batch of long ones may make four times as many. from: where the row's begins. */
static inline bool fn_list_fits(const struct fn_index *x, size_t from, size_t more)
{
	return x->count - from + more <= FN_LIST_LIMIT && x->count + more <= (size_t)4 * FN_LIST_LIMIT;
}
/* fn_begin with the first n arguments only. */
void fn_begin_some(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t n, struct tm_column *ret);
/* Columns one after the other as one of type; ret_base[i]: where part i begins. */
void fn_pool(struct tm_eval *ev, const struct tm_column *const *parts, size_t n, const struct tm_type *type, struct tm_column *ret,
	     size_t *ret_base);
/* The elements of an ARRAY column: rows of pool. */
void fn_list_set(struct tm_eval *ev, struct tm_column *ret, const struct tm_column *pool, const struct fn_index *index);
/* The type of an element given beside an array: no string becomes a number here. */
const struct tm_type *fn_common_element(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi);
/* Casts a MAP and the key given beside it to the key type common to both; NULL: they have none. */
tm_rc fn_want_key(struct tm_fn_bind *b, const struct tm_type *key, struct tm_err *err) TM_CHECKED;
/* A MAP column's entries: keys and values by index into their pools. Refuses null keys and keys that come twice. */
tm_rc fn_map_set(struct tm_eval *ev, struct tm_column *ret, const struct tm_column *keys, const struct tm_column *values,
		 const struct fn_index *key_index, const struct fn_index *value_index);
#endif
