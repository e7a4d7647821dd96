/* The keeper: a thread that wakes every few seconds for retention, compaction, snapshots of producers, flush.ms, and closing
 * files that nobody has used for a while. */
#include <stdlib.h>
#include <time.h>
#include "log/log_int.h"

/* Retention is looked at as often as Kafka does (log.retention.check.interval.ms): records with old times stay readable that long. */
enum {
	TICK_MS = 250,
	HOUSE_MS = 5000,
	RETENTION_CHECK_MS = 300000,
	IDLE_FILES_MS = 60000,
	SNAPSHOT_BYTES = 16 * 1024 * 1024,
	PRODUCER_IDLE_MS = 86400000
};

static struct tm_metric removed = TM_COUNTER("tidemill_log_segments_removed_total", "Segments removed by retention.");

/* Whole segments from the front, never the active one, never what is not yet durable. */
void tm_partition_retain(struct tm_partition *p, int64_t now_ms)
{
	const struct tm_settings *s = tm_topic_settings(p->topic);
	int64_t size = tm_partition_size(p);
	size_t n = 0;
	while (s->remove && n + 1 < p->segments.count && p->segments.items[n + 1]->base_offset <= p->durable) {
		struct tm_segment *old = p->segments.items[n];
		bool rebuilt = false, due = s->retention_bytes >= 0 && size - old->size >= s->retention_bytes;
		if (!due && s->retention_ms >= 0 && tm_segment_load(p->log->env, old, &rebuilt, NULL) == TM_OK)
			due = old->max_timestamp_ms >= 0 ? now_ms - old->max_timestamp_ms > s->retention_ms : false;
		if (!due)
			break;
		size -= old->size;
		n++;
	}
	if (n) {
		tm_metric_add(&removed, (int64_t)n);
		tm_partition_move_start(p, p->segments.items[n]->base_offset);
	}
	/* An active segment that is over-age as a whole is rolled, so that the next round can remove it. */
	struct tm_segment *active = tm_partition_active(p);
	if (s->remove && s->retention_ms >= 0 && active && active->size && active->loaded && active->max_timestamp_ms >= 0 &&
	    now_ms - active->max_timestamp_ms > s->retention_ms && p->durable == p->end && !p->failed) {
		struct tm_err err = {0};
		if (tm_partition_roll(p, &err) != TM_OK)
			tm_say_err("log", &err);
	}
}

static void close_idle(struct tm_partition *p, int64_t now_ns)
{
	for (size_t i = 0; i + 1 < p->segments.count; i++) {
		struct tm_segment *s = p->segments.items[i];
		if (s->fd >= 0 && s->synced == s->size && now_ns - s->used_ns > (int64_t)IDLE_FILES_MS * 1000000 &&
		    __atomic_load_n(&s->refs, __ATOMIC_ACQUIRE) == 1)
			tm_segment_close_files(s);
	}
}

static void keep_partition(struct tm_partition *p, bool retain, bool force_compaction)
{
	struct tm_log *log = p->log;
	struct tm_err err = {0};
	int64_t now_ms = tm_now_ms(log->env);
	pthread_mutex_lock(&p->lock);
	if (p->deleted || p->failed) {
		pthread_mutex_unlock(&p->lock);
		return;
	}
	int64_t start = p->start;
	if (retain)
		tm_partition_retain(p, now_ms);
	tm_producers_expire(&p->producers, now_ms - PRODUCER_IDLE_MS);
	if (p->producers.count && p->snapshot_bytes >= SNAPSHOT_BYTES && tm_partition_snapshot(p, &err) != TM_OK)
		tm_say_err("log", &err);
	if (p->start != start && tm_marks_put(p, &err) != TM_OK)
		tm_say_err("log", &err);
	close_idle(p, tm_mono_ns(log->env));
	pthread_mutex_unlock(&p->lock);
	if (tm_topic_settings(p->topic)->compact) {
		struct tm_err why = {0};
		if (tm_partition_compact(p, force_compaction, &why) != TM_OK)
			tm_say_err("log", &why);
	}
}

static void flush_late(struct tm_partition *p, int64_t now_ms)
{
	const struct tm_settings *s = tm_topic_settings(p->topic);
	pthread_mutex_lock(&p->lock);
	bool due = s->opted_out && p->unflushed_since_ms && now_ms - p->unflushed_since_ms >= s->flush_ms;
	if (due) {
		p->flush_due = true;
		p->unflushed_since_ms = 0;
	}
	if (due && !p->deleted)
		tm_commit_dirty(p);
	pthread_mutex_unlock(&p->lock);
}

static void each_partition(struct tm_log *log, bool house, bool retain, bool force_compaction)
{
	struct tm_topic **topics;
	size_t n = tm_log_topics(log, &topics);
	int64_t now_ms = tm_now_ms(log->env);
	for (size_t i = 0; i < n; i++) {
		for (int32_t k = 0; k < tm_topic_partitions(topics[i]); k++) {
			struct tm_partition *p = tm_topic_partition(topics[i], k);
			if (tm_topic_settings(topics[i])->opted_out)
				flush_late(p, now_ms);
			if (house)
				keep_partition(p, retain, force_compaction);
		}
		tm_topic_unref(topics[i]);
	}
	free(topics);
}

static void keep_house(struct tm_log *log, bool retain, bool force_compaction)
{
	struct tm_err err = {0};
	each_partition(log, true, retain, force_compaction);
	if (tm_marks_sync(log, &err) != TM_OK)
		tm_say_err("log", &err);
}

void tm_log_keep_house(struct tm_log *log, bool force_compaction) { keep_house(log, true, force_compaction); }

static void *run(void *arg)
{
	struct tm_log *log = arg;
	int64_t last_house_ns = tm_mono_ns(log->env), last_retention_ns = last_house_ns;
	pthread_mutex_lock(&log->keeper_lock);
	while (!log->keeper_stop) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (long)TICK_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&log->keeper_wake, &log->keeper_lock, &until);
		if (log->keeper_stop)
			break;
		pthread_mutex_unlock(&log->keeper_lock);
		int64_t now_ns = tm_mono_ns(log->env);
		if (now_ns - last_house_ns >= (int64_t)HOUSE_MS * 1000000) {
			bool retain = now_ns - last_retention_ns >= (int64_t)RETENTION_CHECK_MS * 1000000;
			last_house_ns = now_ns;
			if (retain)
				last_retention_ns = now_ns;
			keep_house(log, retain, false);
		} else {
			each_partition(log, false, false, false);
		}
		pthread_mutex_lock(&log->keeper_lock);
	}
	pthread_mutex_unlock(&log->keeper_lock);
	return NULL;
}

tm_rc tm_keeper_start(struct tm_log *log, struct tm_err *err)
{
	pthread_mutex_init(&log->keeper_lock, NULL);
	pthread_cond_init(&log->keeper_wake, NULL);
	TM_TRY(tm_thread_start(&log->keeper, "log-keeper", run, log, err));
	log->keeper_running = true;
	return TM_OK;
}

void tm_keeper_stop(struct tm_log *log)
{
	if (!log->keeper_running)
		return;
	pthread_mutex_lock(&log->keeper_lock);
	log->keeper_stop = true;
	pthread_cond_signal(&log->keeper_wake);
	pthread_mutex_unlock(&log->keeper_lock);
	pthread_join(log->keeper, NULL);
	log->keeper_running = false;
	pthread_cond_destroy(&log->keeper_wake);
	pthread_mutex_destroy(&log->keeper_lock);
}
