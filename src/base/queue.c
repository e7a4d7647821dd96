/* The bounded queue, and starting threads. */
#include "base/queue.h"
#include "base/limits.h"
#include "base/arena.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void tm_queue_init(struct tm_queue *q, size_t cap)
{
	TM_ASSERT(cap > 0);
	*q = (struct tm_queue){.cap = cap, .items = tm_alloc(tm_mul_size(cap, sizeof(void *)))};
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->filled, &attr);
	pthread_cond_init(&q->drained, &attr);
	pthread_condattr_destroy(&attr);
}

void tm_queue_done(struct tm_queue *q)
{
	if (!q->items)
		return;
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->drained);
	free(q->items);
	*q = (struct tm_queue){0};
}

static void put_locked(struct tm_queue *q, void *item)
{
	q->items[(q->head + q->count++) % q->cap] = item;
	pthread_cond_signal(&q->filled);
}

bool tm_queue_push(struct tm_queue *q, void *item)
{
	pthread_mutex_lock(&q->lock);
	while (q->count == q->cap && !q->closed)
		pthread_cond_wait(&q->drained, &q->lock);
	bool ok = !q->closed;
	if (ok)
		put_locked(q, item);
	pthread_mutex_unlock(&q->lock);
	return ok;
}

bool tm_queue_try_push(struct tm_queue *q, void *item)
{
	pthread_mutex_lock(&q->lock);
	bool ok = !q->closed && q->count < q->cap;
	if (ok)
		put_locked(q, item);
	pthread_mutex_unlock(&q->lock);
	return ok;
}

void *tm_queue_pop(struct tm_queue *q, int timeout_ms)
{
	struct timespec until = {0};
	if (timeout_ms >= 0) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
	}
	pthread_mutex_lock(&q->lock);
	while (q->count == 0 && !q->closed) {
		if (timeout_ms < 0)
			pthread_cond_wait(&q->filled, &q->lock);
		else if (pthread_cond_timedwait(&q->filled, &q->lock, &until) == ETIMEDOUT)
			break;
	}
	void *item = NULL;
	if (q->count) {
		item = q->items[q->head];
		q->head = (q->head + 1) % q->cap;
		q->count--;
		pthread_cond_signal(&q->drained);
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

void tm_queue_close(struct tm_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->filled);
	pthread_cond_broadcast(&q->drained);
	pthread_mutex_unlock(&q->lock);
}

tm_rc tm_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg, struct tm_err *err)
{
	/* Signals are the main thread's business. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_t attr; /* what the shell's limits would give may be less */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, TM_STACK_BYTES);
	int rc = pthread_create(ret, &attr, run, arg);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return tm_fail_errno(err, rc, "cannot start the thread %s", name);
	char cut[16];
	snprintf(cut, sizeof cut, "%s", name);
	pthread_setname_np(*ret, cut);
	return TM_OK;
}
