/* Group commit. One thread takes everything that was appended since its last round, syncs each file once (several files
 * in parallel), moves the durable ends, and then answers all who waited. While a round runs, the next one fills up: the
 * slower the disk, the more appends share a sync.
 *
 * An fdatasync that fails is never tried again: the kernel may have dropped the pages and would answer "fine". The
 * partition refuses appends until the next start, whose recovery finds out what the disk really has. */
#include <stdio.h>
#include <stdlib.h>
#include "log/log_int.h"

static struct tm_metric rounds = TM_COUNTER("tidemill_log_commit_rounds_total", "Rounds of group commit.");
static struct tm_metric syncs = TM_COUNTER("tidemill_log_fdatasync_total", "Files of the log synced to disk.");

void tm_commit_dirty(struct tm_partition *p)
{
	struct tm_commit *c = &p->log->commit;
	pthread_mutex_lock(&c->lock);
	if (!p->queued) {
		p->queued = true;
		tm_topic_ref(p->topic);
		p->next_dirty = c->dirty;
		c->dirty = p;
		pthread_cond_signal(&c->wake);
	}
	pthread_mutex_unlock(&c->lock);
}

void tm_commit_wait(struct tm_log *log, struct tm_waiter *w)
{
	struct tm_commit *c = &log->commit;
	w->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->waiters_end = w;
	c->waiters_end = &w->next;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void tm_commit_event(struct tm_log *log, struct tm_topic *topic)
{
	struct tm_commit *c = &log->commit;
	pthread_mutex_lock(&c->lock);
	TM_PUSH(&c->events, (struct tm_event){tm_topic_ref(topic)});
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the files of one round ---- */
struct job_list {
	struct tm_sync_job *items;
	size_t count, cap;
};

static void run_job(struct tm_log *log, struct tm_sync_job *j)
{
	j->rc = log->env->ops->fdatasync(log->env, j->segment->fd);
	tm_metric_add(&syncs, 1);
}

/* Takes jobs until none is left; the lock is held around the taking only. */
static void work_off(struct tm_log *log)
{
	struct tm_commit *c = &log->commit;
	while (c->job_next < c->job_count) {
		struct tm_sync_job *j = &c->jobs[c->job_next++];
		pthread_mutex_unlock(&c->jobs_lock);
		run_job(log, j);
		pthread_mutex_lock(&c->jobs_lock);
		if (++c->job_finished == c->job_count)
			pthread_cond_signal(&c->jobs_done);
	}
}

static void *helper(void *arg)
{
	struct tm_log *log = arg;
	struct tm_commit *c = &log->commit;
	pthread_mutex_lock(&c->jobs_lock);
	while (!c->helpers_stop) {
		work_off(log);
		if (!c->helpers_stop)
			pthread_cond_wait(&c->jobs_wake, &c->jobs_lock);
	}
	pthread_mutex_unlock(&c->jobs_lock);
	return NULL;
}

static void sync_all(struct tm_log *log, struct job_list *jobs)
{
	struct tm_commit *c = &log->commit;
	if (jobs->count <= 1) {
		if (jobs->count)
			run_job(log, &jobs->items[0]);
		return;
	}
	for (size_t i = 0; i < jobs->count && log->env->ops->begin_sync; i++)
		log->env->ops->begin_sync(log->env, jobs->items[i].segment->fd);
	size_t want = jobs->count - 1 < sizeof c->helpers / sizeof *c->helpers ? jobs->count - 1 : sizeof c->helpers / sizeof *c->helpers;
	while (c->helper_count < want && tm_thread_start(&c->helpers[c->helper_count], "log-sync", helper, log, NULL) == TM_OK)
		c->helper_count++;
	pthread_mutex_lock(&c->jobs_lock);
	c->jobs = jobs->items;
	c->job_count = jobs->count;
	c->job_next = c->job_finished = 0;
	pthread_cond_broadcast(&c->jobs_wake);
	work_off(log);
	while (c->job_finished < c->job_count)
		pthread_cond_wait(&c->jobs_done, &c->jobs_lock);
	c->job_count = c->job_next = 0;
	pthread_mutex_unlock(&c->jobs_lock);
}

static void fail_partition(struct tm_partition *p, const struct tm_err *why)
{
	struct tm_err err = *why;
	p->failed = true;
	tm_err_hint(&err, "%s-%d takes no more records until the next start", p->topic->name, p->number);
	tm_say_err("log", &err);
}

/* Adds the partition's unsynced files to the round. Returns false when nothing of it is to be synced now. The end and the
 * files' sizes are taken together, so that the durable end is also a known place in the active file. */
static bool collect(struct tm_partition *p, struct job_list *jobs, int64_t *ret_end)
{
	const struct tm_settings *settings = tm_topic_settings(p->topic);
	struct tm_err err = {0};
	pthread_mutex_lock(&p->lock);
	bool due = !settings->opted_out || p->flush_due;
	if (p->deleted || p->failed || !due || p->durable == p->end) {
		pthread_mutex_unlock(&p->lock);
		return false;
	}
	if (p->dir_dirty) {
		p->dir_dirty = false;
		if (tm_dir_sync(p->dir, &err) != TM_OK)
			fail_partition(p, &err);
	}
	p->flush_due = false;
	p->unflushed_messages = 0;
	*ret_end = p->end;
	for (size_t i = 0; i < p->segments.count; i++) {
		struct tm_segment *s = p->segments.items[i];
		if (s->synced < s->size && s->fd >= 0)
			TM_PUSH(jobs, (struct tm_sync_job){p, tm_segment_ref(s), s->size, 0});
	}
	pthread_mutex_unlock(&p->lock);
	return true;
}

static void settle(struct tm_sync_job *j)
{
	struct tm_partition *p = j->partition;
	pthread_mutex_lock(&p->lock);
	if (j->rc < 0 && !p->failed) {
		struct tm_err err = {0};
		tm_fail_errno(&err, -j->rc, "%s.log could not be made durable", j->segment->path);
		fail_partition(p, &err);
	}
	if (!p->failed && !p->deleted && j->size > j->segment->synced)
		j->segment->synced = j->size;
	pthread_mutex_unlock(&p->lock);
	tm_segment_unref(j->segment);
}

/* All bytes before `end` are synced now. */
static void move_ends(struct tm_partition *p, int64_t end)
{
	pthread_mutex_lock(&p->lock);
	if (!p->failed && !p->deleted) {
		if (end > p->durable)
			p->durable = end;
		if (p->durable > p->hw) {
			p->hw = p->durable;
			for (size_t i = p->segments.count; i-- > 0;)
				if (p->segments.items[i]->base_offset < p->hw || i == 0) {
					p->hw_base = p->segments.items[i]->base_offset;
					p->hw_position = p->segments.items[i]->synced;
					break;
				}
		}
		struct tm_err err = {0};
		if (tm_marks_put(p, &err) != TM_OK)
			tm_say_err("log", &err); /* the mark only lags behind then */
	}
	pthread_mutex_unlock(&p->lock);
}

static void answer(struct tm_waiter *w)
{
	for (size_t i = 0; i < w->count; i++) {
		struct tm_log_append *a = &w->parts[i];
		struct tm_partition *p = a->rc == TM_OK ? tm_topic_partition(a->topic, a->partition) : NULL;
		if (!p || tm_topic_settings(a->topic)->opted_out)
			continue;
		pthread_mutex_lock(&p->lock);
		if (p->failed || p->deleted) {
			a->rc = p->deleted ? TM_NOT_FOUND : TM_IO;
			a->kafka_error = p->deleted ? TM_KAFKA_UNKNOWN_TOPIC : TM_KAFKA_STORAGE;
			a->base_offset = -1;
			snprintf(a->message, sizeof a->message, "%s",
				 p->deleted ? "The topic was deleted." : "The disk did not take the records.");
		}
		pthread_mutex_unlock(&p->lock);
	}
	w->done(w->ctx);
	free(w);
}

struct work {
	struct tm_partition *p;
	int64_t end;
	bool synced;
};

static void round_of(struct tm_log *log, struct tm_partition *dirty, struct tm_waiter *waiters)
{
	struct job_list jobs = {0};
	struct {
		struct work *items;
		size_t count, cap;
	} work = {0};
	for (struct tm_partition *p = dirty, *next; p; p = next) {
		next = p->next_dirty;
		pthread_mutex_lock(&log->commit.lock);
		p->queued = false; /* from here on an append queues it again */
		pthread_mutex_unlock(&log->commit.lock);
		int64_t end = 0;
		bool synced = collect(p, &jobs, &end);
		TM_PUSH(&work, (struct work){p, end, synced});
	}
	sync_all(log, &jobs);
	for (size_t i = 0; i < jobs.count; i++)
		settle(&jobs.items[i]);
	for (size_t i = 0; i < work.count; i++)
		if (work.items[i].synced)
			move_ends(work.items[i].p, work.items[i].end);
	for (struct tm_waiter *w = waiters, *next; w; w = next) {
		next = w->next;
		answer(w);
	}
	for (size_t i = 0; i < work.count; i++) {
		tm_log_notify(log, work.items[i].p->topic, work.items[i].p->number);
		tm_topic_unref(work.items[i].p->topic);
	}
	tm_metric_add(&rounds, 1);
	free(jobs.items);
	free(work.items);
}

static void *run(void *arg)
{
	struct tm_log *log = arg;
	struct tm_commit *c = &log->commit;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->dirty && !c->waiters && c->events.count == 0 && !c->stop)
			pthread_cond_wait(&c->wake, &c->lock);
		if (!c->dirty && !c->waiters && c->events.count == 0)
			break;
		struct tm_partition *dirty = c->dirty;
		struct tm_waiter *waiters = c->waiters;
		__typeof__(c->events) events = c->events;
		c->dirty = NULL;
		c->waiters = NULL;
		c->waiters_end = &c->waiters;
		memset(&c->events, 0, sizeof c->events);
		pthread_mutex_unlock(&c->lock);
		round_of(log, dirty, waiters);
		for (size_t i = 0; i < events.count; i++) {
			tm_log_notify(log, events.items[i].topic, -1);
			tm_topic_unref(events.items[i].topic);
		}
		free(events.items);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

tm_rc tm_commit_start(struct tm_log *log, struct tm_err *err)
{
	struct tm_commit *c = &log->commit;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	pthread_mutex_init(&c->jobs_lock, NULL);
	pthread_cond_init(&c->jobs_wake, NULL);
	pthread_cond_init(&c->jobs_done, NULL);
	c->waiters_end = &c->waiters;
	TM_TRY(tm_thread_start(&c->thread, "log-commit", run, log, err));
	c->running = true;
	return TM_OK;
}

void tm_commit_stop(struct tm_log *log)
{
	struct tm_commit *c = &log->commit;
	if (!c->running)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_lock(&c->jobs_lock);
	c->helpers_stop = true;
	pthread_cond_broadcast(&c->jobs_wake);
	pthread_mutex_unlock(&c->jobs_lock);
	for (size_t i = 0; i < c->helper_count; i++)
		pthread_join(c->helpers[i], NULL);
	c->running = false;
	pthread_cond_destroy(&c->wake);
	pthread_cond_destroy(&c->jobs_wake);
	pthread_cond_destroy(&c->jobs_done);
	pthread_mutex_destroy(&c->jobs_lock);
	pthread_mutex_destroy(&c->lock);
}
