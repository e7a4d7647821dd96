/* Crossing threads: a bounded queue of pointers, many producers and consumers. Threads own their data; a pointer that was
 * pushed belongs to whoever pops it. */
#ifndef TM_BASE_QUEUE_H
#define TM_BASE_QUEUE_H
#include <pthread.h>
#include "base/err.h"

struct tm_queue {
	pthread_mutex_t lock; /* rank: leaf */
	pthread_cond_t filled, drained;
	void **items;
	size_t cap, count, head;
	bool closed;
};
void tm_queue_init(struct tm_queue *q, size_t cap);
void tm_queue_done(struct tm_queue *q);
/* Waits for room; false when the queue was closed. */
bool tm_queue_push(struct tm_queue *q, void *item);
bool tm_queue_try_push(struct tm_queue *q, void *item);
/* Waits up to timeout_ms (-1 = for ever); NULL on time-out, or when closed and empty. */
void *tm_queue_pop(struct tm_queue *q, int timeout_ms);
void tm_queue_close(struct tm_queue *q);

/* A named thread; the name shows in top and in crash reports. Join with pthread_join. */
tm_rc tm_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg, struct tm_err *err) TM_CHECKED;
#endif
