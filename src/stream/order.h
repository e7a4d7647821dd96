/* Putting row numbers in order by sort keys that are evaluated already. */
#ifndef TM_STREAM_ORDER_H
#define TM_STREAM_ORDER_H
#include "stream/exec.h"

/* columns[k] are the values of keys[k] over all rows. Stable: rows that compare equal keep their order. index holds n row numbers. */
void tm_order_rows(struct tm_arena *arena, const struct tm_sort_key *keys, const struct tm_column *columns, size_t key_count,
		   uint32_t *index, size_t n);
/* <0, 0, >0 in the order of the keys. */
int tm_order_cmp(const struct tm_sort_key *keys, const struct tm_column *columns, size_t key_count, uint32_t a, uint32_t b);
#endif
