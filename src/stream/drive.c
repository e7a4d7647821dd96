/* Driving a query: its thread and trigger, waking, "caught up", progress. */
#include "stream/query_int.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINGER_NS = 1000000, STOP_GRACE_NS = 1000000000, POLL_MS = 200, DISK_FULL_WAIT_MS = 1000, AWAY_FIRST_MS = 100, AWAY_MOST_MS = 2000 };

int64_t tm_query_rows_read(const struct tm_query *q)
{
	int64_t n = 0;
	for (size_t i = 0; i < q->sources.count; i++)
		n += q->sources.items[i].node->rows_in;
	return n;
}

tm_rc tm_query_fault(struct tm_query *q, enum tm_fault at, struct tm_err *err)
{
	return q->fault == at ? tm_fail(err, TM_CANCELLED, "the query was made to fail here by a test") : TM_OK;
}

void tm_query_fail_at(struct tm_query *q, enum tm_fault at) { q->fault = at; }

/* ---- waiting for other systems ---- */

/* Says it once, and again when something else is waited for. */
static void note_wait(struct tm_query *q, const char *what)
{
	pthread_mutex_lock(&q->lock);
	struct tm_query_shared *s = &q->shared;
	snprintf(s->waiting, sizeof s->waiting, "%s", what);
	bool news = strcmp(s->said, s->waiting) != 0;
	memcpy(s->said, s->waiting, sizeof s->said);
	pthread_mutex_unlock(&q->lock);
	if (news)
		tm_say(TM_SAY_WARN, "stream", "query '%.*s' waits: %s", TM_STR_ARG(q->spec.name), what);
}

/* What was waited for is there again: *ret_said has to be told (after unlocking). */
static bool goes_on_locked(struct tm_query_shared *s)
{
	bool said = s->said[0] != 0;
	s->said[0] = 0;
	return said;
}

static void say_goes_on(const struct tm_query *q, bool said)
{
	if (said)
		tm_say(TM_SAY_INFO, "stream", "query '%.*s' goes on", TM_STR_ARG(q->spec.name));
}

static bool stopping(struct tm_query *q)
{
	pthread_mutex_lock(&q->lock);
	bool stop = q->shared.stop;
	pthread_mutex_unlock(&q->lock);
	return stop || (q->world->journal && !tm_journal_leads(q->world->journal)); /* another instance leads: nothing more is begun */
}

bool tm_query_stopping(struct tm_query *q) { return stopping(q); }

bool tm_stream_stopping(const struct tm_run *run) { return run->stream && stopping(run->stream->query); }

bool tm_stream_overdue(const struct tm_run *run)
{
	if (!run->stream)
		return false;
	struct tm_query *q = run->stream->query;
	pthread_mutex_lock(&q->lock);
	bool over = q->shared.stop && tm_mono_ns(q->env) - q->shared.stop_ns > STOP_GRACE_NS;
	pthread_mutex_unlock(&q->lock);
	return over;
}

void tm_stream_waits(struct tm_run *run, const char *what)
{
	if (run->stream)
		note_wait(run->stream->query, what);
}

void tm_stream_woken(struct tm_run *run)
{
	if (run->stream)
		tm_query_wake(run->stream->query);
}

struct tm_str tm_stream_query_name(const struct tm_run *run) { return run->stream ? run->stream->query->spec.name : (struct tm_str){0}; }

static bool caller_stopping(void *ctx) { return tm_stream_stopping(ctx); }
static void caller_waits(void *ctx, const char *what) { tm_stream_waits(ctx, what); }
static void caller_woken(void *ctx) { tm_stream_woken(ctx); }

struct tm_broker_caller tm_stream_caller(struct tm_run *run)
{
	if (!run->stream)
		return (struct tm_broker_caller){0};
	return (struct tm_broker_caller){run, caller_stopping, caller_waits, caller_woken};
}

/* ---- progress ---- */

static void copy_counts(struct tm_query *q)
{
	struct tm_query_shared *s = &q->shared;
	s->dead.count = s->ops.count = 0;
	s->progress.rows_late = 0;
	for (size_t i = 0; i < q->stream.reasons.count; i++)
		TM_PUSH(&s->dead, q->stream.reasons.items[i]);
	for (size_t i = 0; i < q->nodes.count; i++) {
		const struct tm_node *n = q->nodes.items[i];
		TM_PUSH(&s->ops, (struct tm_op_progress){.op_id = n->op->id,
							 .label = n->klass->label,
							 .rows_in = n->rows_in,
							 .rows_out = n->rows_out,
							 .state_rows = n->state_rows,
							 .dropped_late = n->dropped,
							 .rows_late = n->rows_late});
		s->progress.rows_late += n->rows_late;
	}
	s->waiting[0] = 0;
	for (size_t i = 0; i < q->sources.count; i++)
		if (q->sources.items[i].source->waiting[0])
			memcpy(s->waiting, q->sources.items[i].source->waiting, sizeof s->waiting);
}

void tm_query_note_batch(struct tm_query *q, bool data, int64_t read, int64_t written, int64_t took_ns)
{
	pthread_mutex_lock(&q->lock);
	struct tm_query_progress *p = &q->shared.progress;
	if (took_ns >= 0) {
		p->batch_id = q->batch_id;
		p->batches++;
		p->rows_read += read;
		p->rows_written += written;
		p->last_batch_ms = took_ns / 1000000;
		if (took_ns > 0 && read) {
			double now = (double)read * 1e9 / (double)took_ns;
			p->rows_per_second = p->rows_per_second > 0 ? p->rows_per_second * 0.8 + now * 0.2 : now;
		}
		p->last_had_data = data;
	} else {
		p->batch_id = p->lag = -1;
	}
	p->watermark_ms = q->stream.has_watermark ? q->watermark_ms : INT64_MIN;
	p->next_watermark_ms = q->stream.has_watermark ? q->next_watermark_ms : INT64_MIN;
	copy_counts(q);
	bool said = goes_on_locked(&q->shared);
	void (*done)(void *, struct tm_query *) = q->on_batch;
	void *ctx = q->on_batch_ctx;
	pthread_mutex_unlock(&q->lock);
	say_goes_on(q, said);
	if (took_ns >= 0 && done)
		done(ctx, q);
}

void tm_query_note_failure(struct tm_query *q)
{
	pthread_mutex_lock(&q->lock);
	q->shared.progress.state = TM_QUERY_FAILED;
	q->shared.progress.error = q->failed;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void tm_query_shared_done(struct tm_query *q)
{
	free(q->shared.dead.items);
	free(q->shared.ops.items);
}

void tm_query_progress(struct tm_query *q, struct tm_arena *arena, struct tm_query_progress *ret)
{
	pthread_mutex_lock(&q->lock);
	const struct tm_query_shared *s = &q->shared;
	*ret = s->progress;
	ret->name = q->spec.name;
	ret->waiting = tm_arena_str(arena, tm_str_of(s->waiting));
	ret->dead_count = s->dead.count;
	ret->dead = TM_NEW_N(arena, struct tm_dead_reason, s->dead.count + 1);
	if (s->dead.count)
		memcpy(ret->dead, s->dead.items, s->dead.count * sizeof *ret->dead);
	ret->op_count = s->ops.count;
	ret->ops = TM_NEW_N(arena, struct tm_op_progress, s->ops.count + 1);
	if (s->ops.count)
		memcpy(ret->ops, s->ops.items, s->ops.count * sizeof *ret->ops);
	pthread_mutex_unlock(&q->lock);
}

void tm_query_on_batch(struct tm_query *q, void (*done)(void *ctx, struct tm_query *query), void *ctx)
{
	pthread_mutex_lock(&q->lock); /* its thread may be in a batch already */
	q->on_batch = done;
	q->on_batch_ctx = ctx;
	pthread_mutex_unlock(&q->lock);
}

/* ---- the thread ---- */

static void signal_woken(struct tm_query *q)
{
	pthread_mutex_lock(&q->lock);
	if (!q->shared.woken) {
		q->shared.woken = true;
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
}

void tm_query_wake(struct tm_query *q) { signal_woken(q); }

/* Sleeps until woken, asked, stopped, or for ms. data: news from the log counts as being woken. */
static void rest(struct tm_query *q, int64_t ms, bool data)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&q->lock);
	struct tm_query_shared *s = &q->shared;
	while (!s->stop && !(data && s->woken) && s->asked == s->answered)
		if (pthread_cond_timedwait(&q->changed, &q->lock, &until) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&q->lock);
}

/* Sleeps without looking for data until stopped or for ms; whoever asks meanwhile hears that there is more to do. */
static void rest_away(struct tm_query *q, int64_t ms)
{
	int64_t until_ns = tm_mono_ns(q->env) + ms * 1000000;
	for (;;) {
		pthread_mutex_lock(&q->lock);
		q->shared.idle = false;
		q->shared.answered = q->shared.asked;
		pthread_cond_broadcast(&q->changed);
		bool stop = q->shared.stop;
		pthread_mutex_unlock(&q->lock);
		int64_t left_ns = until_ns - tm_mono_ns(q->env);
		if (stop || left_ns <= 0)
			return;
		nanosleep(&(struct timespec){0, left_ns < 20000000 ? left_ns : 20000000}, NULL);
	}
}

static void finish_thread(struct tm_query *q, int state)
{
	pthread_mutex_lock(&q->lock);
	if (q->shared.progress.state != TM_QUERY_FAILED)
		q->shared.progress.state = state;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

/* After a step: how long to wait for the next one; -1 = not at all. */
static int64_t pause_ms(struct tm_query *q, bool ran, bool ran_before, int64_t began_ns)
{
	if (q->spec.trigger == TM_TRIGGER_PROCESSING_TIME && q->spec.trigger_interval_ms > 0) {
		int64_t now_ms = tm_now_us(q->env) / 1000, interval = q->spec.trigger_interval_ms;
		return interval - now_ms % interval;
	}
	if (!ran)
		return POLL_MS;
	int64_t left_ns = LINGER_NS - (tm_mono_ns(q->env) - began_ns); /* a batch per millisecond is enough: under load they grow instead */
	if (left_ns > 0 && ran_before && q->spec.trigger == TM_TRIGGER_ASAP) {
		struct timespec t = {0, left_ns};
		nanosleep(&t, NULL);
	}
	return -1;
}

static void *run(void *arg)
{
	struct tm_query *q = arg;
	bool ran_before = false;
	int64_t away_ms = AWAY_FIRST_MS;
	for (;;) {
		pthread_mutex_lock(&q->lock);
		bool stop = q->shared.stop;
		uint64_t asked = q->shared.asked;
		q->shared.woken = false;
		pthread_mutex_unlock(&q->lock);
		if (stop)
			break;
		struct tm_err err = {0};
		bool ran = false;
		int64_t began_ns = tm_mono_ns(q->env);
		tm_rc rc = tm_query_step(q, &ran, &err);
		if (rc == TM_DISK_FULL) {
			tm_say(TM_SAY_WARN, "stream", "query '%.*s' waits: %s", TM_STR_ARG(q->spec.name), err.what);
			rest(q, DISK_FULL_WAIT_MS, false);
			continue;
		}
		if (rc == TM_UNAVAILABLE) { /* another system is away: the same again, a little later each time */
			note_wait(q, err.what);
			rest_away(q, away_ms);
			away_ms = away_ms * 2 < AWAY_MOST_MS ? away_ms * 2 : AWAY_MOST_MS;
			continue;
		}
		away_ms = AWAY_FIRST_MS;
		if (rc == TM_CANCELLED && stopping(q))
			break;
		if (rc) {
			tm_err_prefix(&err, "query '%.*s' stopped: ", TM_STR_ARG(q->spec.name));
			tm_say_err("stream", &err);
			break;
		}
		if (!ran && q->spec.trigger == TM_TRIGGER_AVAILABLE_NOW)
			break;
		pthread_mutex_lock(&q->lock);
		if (!ran)
			copy_counts(q); /* a source may wait for something: people want to know */
		bool said = !ran && goes_on_locked(&q->shared);
		q->shared.idle = !ran;
		if (!ran || asked != q->shared.answered) {
			q->shared.answered = asked;
			pthread_cond_broadcast(&q->changed);
		}
		pthread_mutex_unlock(&q->lock);
		say_goes_on(q, said);
		int64_t ms = pause_ms(q, ran, ran_before, began_ns);
		ran_before = ran;
		if (ms >= 0)
			rest(q, ms, q->spec.trigger == TM_TRIGGER_ASAP);
	}
	finish_thread(q, TM_QUERY_STOPPED);
	return NULL;
}

tm_rc tm_query_start(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_query **ret, struct tm_err *err)
{
	struct tm_query *q;
	TM_TRY(tm_query_open(world, spec, &q, err));
	tm_rc rc = tm_thread_start(&q->thread, "query", run, q, err);
	if (rc) {
		tm_query_free(q);
		return rc;
	}
	q->has_thread = true;
	*ret = q;
	return TM_OK;
}

void tm_query_stop_soon(struct tm_query *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	if (!q->shared.stop)
		q->shared.stop_ns = tm_mono_ns(q->env);
	q->shared.stop = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void tm_query_stop(struct tm_query *q)
{
	tm_query_stop_soon(q);
	if (q && q->has_thread) {
		pthread_join(q->thread, NULL);
		q->has_thread = false;
	}
}

bool tm_query_caught_up(struct tm_query *q)
{
	if (q->elsewhere.caught_up)
		return tm_query_elsewhere_caught_up(q);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	pthread_mutex_lock(&q->lock);
	struct tm_query_shared *s = &q->shared;
	uint64_t mine = ++s->asked;
	pthread_cond_broadcast(&q->changed);
	while (s->answered < mine && s->progress.state == TM_QUERY_RUNNING && q->has_thread)
		if (pthread_cond_timedwait(&q->changed, &q->lock, &until) == ETIMEDOUT)
			break;
	bool caught = s->progress.state != TM_QUERY_RUNNING || (s->answered >= mine && s->idle);
	pthread_mutex_unlock(&q->lock);
	return caught;
}
