/* See expiry.h. Invariant: items are ordered by time, each time once, no list is empty. */
#include "stream/expiry.h"
#include <stdlib.h>

static struct tm_expiry_bucket *bucket_of(struct tm_expiry *e, int64_t time_us)
{
	size_t lo = 0, hi = e->count;
	if (hi && e->items[hi - 1].time_us < time_us)
		lo = hi; /* the usual: time goes on */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (e->items[mid].time_us < time_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < e->count && e->items[lo].time_us == time_us)
		return &e->items[lo];
	TM_PUSH(e, (struct tm_expiry_bucket){0, 0});
	memmove(&e->items[lo + 1], &e->items[lo], (e->count - 1 - lo) * sizeof *e->items);
	e->items[lo] = (struct tm_expiry_bucket){time_us, 0};
	return &e->items[lo];
}

void tm_expiry_add(struct tm_expiry *e, struct tm_groups *g, uint32_t number, int64_t time_us)
{
	struct tm_expiry_bucket *b = bucket_of(e, time_us);
	tm_groups_at(g, number)->next = b->head;
	b->head = number + 1;
}

void tm_expiry_pop(struct tm_expiry *e, struct tm_groups *g, int64_t until_us, struct tm_numbers *out)
{
	size_t gone = 0;
	for (; gone < e->count && e->items[gone].time_us <= until_us; gone++)
		for (uint32_t link = e->items[gone].head; link; link = tm_groups_at(g, link - 1)->next)
			TM_PUSH(out, link - 1);
	if (!gone)
		return;
	e->count -= gone;
	memmove(e->items, e->items + gone, e->count * sizeof *e->items);
}

void tm_expiry_done(struct tm_expiry *e)
{
	free(e->items);
	*e = (struct tm_expiry){0};
}
