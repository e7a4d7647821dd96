/* Opening and closing a log, watches, producer ids, findings, and the small text files. */
#include "log/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include "log/log_int.h"

/* ---- text files ---- */
static void path_of(const struct tm_log *log, const char *name, char out[TM_LOG_PATH_MAX])
{
	snprintf(out, TM_LOG_PATH_MAX, "%s/%s", log->dir, name);
}

tm_rc tm_log_text_write(struct tm_log *log, const char *name, const char *kind, struct tm_str lines, struct tm_err *err)
{
	char path[TM_LOG_PATH_MAX];
	struct tm_buf b = {0};
	path_of(log, name, path);
	tm_buf_printf(&b, "%s 1\n", kind);
	tm_buf_str_put(&b, lines);
	tm_buf_printf(&b, "crc32c %08x\n", tm_crc32c(0, b.at, b.len));
	tm_rc rc = tm_file_replace(log->env, path, tm_buf_str(&b), err);
	tm_buf_done(&b);
	return rc;
}

tm_rc tm_log_text_read(struct tm_log *log, const char *name, const char *kind, struct tm_buf *ret, struct tm_err *err)
{
	enum { LAST = 16 }; /* "crc32c 01234567\n" */
	char path[TM_LOG_PATH_MAX], first[64], last[LAST + 1];
	struct tm_buf b = {0};
	path_of(log, name, path);
	TM_TRY(tm_file_read(log->env, path, 256 * TM_MIB, &b, err));
	snprintf(first, sizeof first, "%s 1\n", kind);
	size_t head = strlen(first);
	bool ok = b.len >= head + LAST;
	if (ok) {
		snprintf(last, sizeof last, "crc32c %08x\n", tm_crc32c(0, b.at, b.len - LAST));
		ok = memcmp(last, b.at + b.len - LAST, LAST) == 0;
	}
	if (!ok || memcmp(b.at, first, head) != 0) {
		tm_rc rc =
		    tm_fail(err, TM_CORRUPT,
			    ok ? "%s is of a version that this program does not know" : "%s is damaged: its checksum is wrong", path);
		tm_err_hint(err, "put the file back from a backup; nothing was changed");
		tm_buf_done(&b);
		return rc;
	}
	b.len -= LAST;
	tm_buf_drop_front(&b, head);
	*ret = b;
	return TM_OK;
}

/* ---- findings ---- */
void tm_log_found(struct tm_log *log, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&log->findings_lock);
	bool known = log->findings.count >= 1000;
	for (size_t i = 0; i < log->findings.count && !known; i++)
		known = strcmp(log->findings.items[i], text) == 0;
	if (!known)
		TM_PUSH(&log->findings, tm_strdup(text));
	pthread_mutex_unlock(&log->findings_lock);
	if (!known)
		tm_say(TM_SAY_ERROR, "log", "%s", text);
}

size_t tm_log_findings(struct tm_log *log, const char ***ret)
{
	pthread_mutex_lock(&log->findings_lock);
	size_t n = log->findings.count;
	const char **list = tm_alloc(tm_mul_size(n + 1, sizeof *list));
	for (size_t i = 0; i < n; i++)
		list[i] = log->findings.items[i];
	pthread_mutex_unlock(&log->findings_lock);
	*ret = list;
	return n;
}

/* ---- watches ---- */
struct tm_log_watch *tm_log_watch_add(struct tm_log *log, void (*changed)(void *ctx, struct tm_topic *topic, int32_t partition), void *ctx)
{
	struct tm_log_watch *w = tm_alloc(sizeof *w);
	pthread_mutex_lock(&log->watch_lock);
	*w = (struct tm_log_watch){log->watches, changed, ctx};
	log->watches = w;
	pthread_mutex_unlock(&log->watch_lock);
	return w;
}

void tm_log_watch_remove(struct tm_log *log, struct tm_log_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&log->watch_lock); /* a call that is running holds it */
	for (struct tm_log_watch **at = &log->watches; *at; at = &(*at)->next)
		if (*at == watch) {
			*at = watch->next;
			break;
		}
	pthread_mutex_unlock(&log->watch_lock);
	free(watch);
}

void tm_log_notify(struct tm_log *log, struct tm_topic *topic, int32_t partition)
{
	pthread_mutex_lock(&log->watch_lock);
	for (struct tm_log_watch *w = log->watches; w; w = w->next)
		w->changed(w->ctx, topic, partition);
	pthread_mutex_unlock(&log->watch_lock);
}

/* ---- producer ids: a block at a time is taken on disk before the first of it is given ---- */
tm_rc tm_log_producer_id(struct tm_log *log, int64_t *ret_id, struct tm_err *err)
{
	enum { BLOCK = 1000 };
	tm_rc rc = TM_OK;
	pthread_mutex_lock(&log->ids_lock);
	if (log->next_producer_id == log->producer_ids_end) {
		char line[64];
		snprintf(line, sizeof line, "next %lld\n", (long long)(log->producer_ids_end + BLOCK));
		rc = tm_log_text_write(log, "producer-ids", "tidemill-producer-ids", tm_str_of(line), err);
		if (rc == TM_OK)
			log->producer_ids_end += BLOCK;
	}
	if (rc == TM_OK)
		*ret_id = log->next_producer_id++;
	pthread_mutex_unlock(&log->ids_lock);
	return rc;
}

static tm_rc load_producer_ids(struct tm_log *log, struct tm_err *err)
{
	struct tm_buf text = {0};
	tm_rc rc = tm_log_text_read(log, "producer-ids", "tidemill-producer-ids", &text, err);
	int64_t next = 1; /* ids begin where Kafka's first client gets one: 0 is never given */
	if (rc == TM_OK && (text.len < 6 || !tm_str_to_i64(tm_str_trim(tm_str_n(text.at + 5, text.len - 5)), &next) || next < 0))
		rc = TM_CORRUPT;
	tm_buf_done(&text);
	if (rc == TM_NOT_FOUND)
		rc = TM_OK;
	if (rc == TM_CORRUPT) {
		/* The clock in microseconds is far above any id given so far, so none is given twice. */
		next = tm_now_ms(log->env) * 1000;
		tm_log_found(log, "%s/producer-ids is damaged; producer ids go on from %lld", log->dir, (long long)next);
		rc = TM_OK;
	}
	TM_TRY(rc);
	log->next_producer_id = log->producer_ids_end = next;
	return TM_OK;
}

/* ---- open and close ---- */
static tm_rc take_lock(struct tm_log *log, struct tm_err *err)
{
	char path[TM_LOG_PATH_MAX];
	path_of(log, ".lock", path);
	log->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (log->lock_fd < 0)
		return tm_fail_errno(err, errno, "%s", path);
	if (flock(log->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return TM_OK;
	tm_rc rc = errno == EWOULDBLOCK ? tm_fail(err, TM_BUSY, "%s is in use by another instance", log->dir)
					: tm_fail_errno(err, errno, "%s", path);
	tm_err_hint(err, "stop the other instance, or choose another data directory");
	return rc;
}

/* The file of a clean stop is taken away before anything is written: a crash from here on is not clean. */
static tm_rc take_clean_stop(struct tm_log *log, bool *ret_clean, struct tm_err *err)
{
	struct tm_buf text = {0};
	char path[TM_LOG_PATH_MAX];
	tm_rc rc = tm_log_text_read(log, "clean-stop", "tidemill-clean-stop", &text, err);
	tm_buf_done(&text);
	*ret_clean = rc == TM_OK;
	if (rc == TM_NOT_FOUND)
		return TM_OK;
	if (rc != TM_OK && rc != TM_CORRUPT)
		return rc;
	path_of(log, "clean-stop", path);
	int gone = log->env->ops->unlink(log->env, path);
	if (gone < 0)
		return tm_fail_errno(err, -gone, "%s", path);
	return tm_dir_sync(log->dir, err);
}

/* Every partition may have three files open. */
static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static struct tm_log *log_new(const char *dir, const struct tm_log_options *options)
{
	struct tm_log *log = tm_zalloc(sizeof *log);
	if (options)
		log->options = *options;
	log->env = log->options.env ? log->options.env : tm_env_real();
	log->dir = tm_strdup(dir);
	log->lock_fd = log->marks.fd = -1;
	pthread_rwlock_init(&log->catalogue, NULL);
	pthread_mutex_init(&log->watch_lock, NULL);
	pthread_mutex_init(&log->ids_lock, NULL);
	pthread_mutex_init(&log->findings_lock, NULL);
	return log;
}

static void log_free(struct tm_log *log)
{
	for (size_t i = 0; i < log->topics.count; i++)
		tm_topic_unref(log->topics.items[i]);
	free(log->topics.items);
	if (log->marks.fd >= 0)
		tm_marks_close(log);
	while (log->watches) {
		struct tm_log_watch *next = log->watches->next;
		free(log->watches);
		log->watches = next;
	}
	for (size_t i = 0; i < log->findings.count; i++)
		free(log->findings.items[i]);
	free(log->findings.items);
	if (log->lock_fd >= 0)
		close(log->lock_fd);
	pthread_rwlock_destroy(&log->catalogue);
	pthread_mutex_destroy(&log->watch_lock);
	pthread_mutex_destroy(&log->ids_lock);
	pthread_mutex_destroy(&log->findings_lock);
	free(log->dir);
	free(log);
}

static tm_rc start(struct tm_log *log, struct tm_err *err)
{
	bool clean;
	TM_TRY(tm_dir_make(log->dir, err));
	TM_TRY(take_lock(log, err));
	raise_file_limit();
	TM_TRY(take_clean_stop(log, &clean, err));
	TM_TRY(tm_marks_open(log, err));
	TM_TRY(load_producer_ids(log, err));
	TM_TRY(tm_topics_load(log, clean, err));
	tm_marks_recovered(log);
	TM_TRY(tm_commit_start(log, err));
	return tm_keeper_start(log, err);
}

tm_rc tm_log_open(const char *dir, const struct tm_log_options *options, struct tm_log **ret, struct tm_err *err)
{
	struct tm_log *log = log_new(dir, options);
	tm_rc rc = start(log, err);
	if (rc != TM_OK) {
		tm_keeper_stop(log);
		tm_commit_stop(log);
		log_free(log);
		return rc;
	}
	*ret = log;
	return TM_OK;
}

/* Seals a partition for a clean stop. False when something could not be written: the next start then recovers. */
static bool seal(struct tm_partition *p)
{
	struct tm_err err = {0};
	struct tm_segment *s = tm_partition_active(p);
	pthread_mutex_lock(&p->lock);
	bool ok = !p->failed && p->durable == p->end;
	if (ok && s && s->loaded && s->fd >= 0)
		ok = tm_segment_seal(p->log->env, s, &err) == TM_OK;
	if (ok && s && p->producers.count)
		ok = tm_partition_snapshot(p, &err) == TM_OK;
	if (ok)
		ok = tm_marks_put(p, &err) == TM_OK;
	pthread_mutex_unlock(&p->lock);
	if (err.rc)
		tm_say_err("log", &err);
	return ok;
}

void tm_log_close(struct tm_log *log)
{
	if (!log)
		return;
	struct tm_err err = {0};
	bool clean = true;
	tm_keeper_stop(log);
	for (size_t i = 0; i < log->topics.count; i++) {
		struct tm_topic *t = log->topics.items[i];
		for (int32_t k = 0; k < t->partition_count; k++) {
			struct tm_partition *p = t->partitions[k];
			pthread_mutex_lock(&p->lock);
			p->flush_due = true;
			if (p->durable < p->end)
				tm_commit_dirty(p);
			pthread_mutex_unlock(&p->lock);
		}
	}
	tm_commit_stop(log);
	for (size_t i = 0; i < log->topics.count; i++)
		for (int32_t k = 0; k < log->topics.items[i]->partition_count; k++)
			clean &= seal(log->topics.items[i]->partitions[k]);
	if (clean && tm_marks_sync(log, &err) == TM_OK &&
	    tm_log_text_write(log, "clean-stop", "tidemill-clean-stop", TM_STR(""), &err) != TM_OK)
		tm_say_err("log", &err);
	log_free(log);
}
