/* A partition: its list of segments, its start and end, rolling, and removing from the front. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/log_int.h"

tm_rc tm_partition_new(struct tm_topic *topic, int32_t number, struct tm_partition **ret, struct tm_err *err)
{
	char dir[TM_LOG_PATH_MAX];
	int n = snprintf(dir, sizeof dir, "%s/%s-%d", topic->log->dir, topic->name, number);
	if (n < 0 || (size_t)n + 64 >= sizeof dir)
		return tm_fail(err, TM_LIMIT, "the path of the data directory is too long");
	struct tm_partition *p = tm_zalloc(sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	p->log = topic->log;
	p->topic = topic;
	p->number = number;
	p->dir = tm_strdup(dir);
	p->snapshot_offset = -1;
	p->mark = SIZE_MAX;
	for (size_t i = 0; i < sizeof p->readers / sizeof *p->readers; i++)
		p->readers[i].offset = -1;
	*ret = p;
	return TM_OK;
}

void tm_partition_free(struct tm_partition *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->segments.count; i++)
		tm_segment_unref(p->segments.items[i]);
	free(p->segments.items);
	tm_producers_done(&p->producers);
	pthread_mutex_destroy(&p->lock);
	free(p->dir);
	free(p);
}

size_t tm_partition_segment_of(const struct tm_partition *p, int64_t offset)
{
	size_t low = 0, high = p->segments.count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (p->segments.items[mid]->base_offset <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? low - 1 : 0;
}

int64_t tm_partition_limit(const struct tm_partition *p, const struct tm_segment *s)
{
	if (s->base_offset < p->hw_base)
		return s->size;
	return s->base_offset == p->hw_base ? p->hw_position : 0;
}

tm_rc tm_partition_roll(struct tm_partition *p, struct tm_err *err)
{
	struct tm_segment *old = tm_partition_active(p), *s = tm_segment_new(p->dir, p->end);
	tm_rc rc = old ? tm_segment_seal(p->log->env, old, err) : TM_OK;
	if (rc == TM_OK)
		rc = tm_segment_open(p->log->env, s, true, err);
	if (rc != TM_OK) {
		tm_segment_unref(s);
		return rc;
	}
	s->loaded = true;
	p->dir_dirty = true;
	TM_PUSH(&p->segments, s);
	if (p->segments.count > 1)
		return tm_partition_snapshot(p, err);
	return TM_OK;
}

int64_t tm_partition_size(struct tm_partition *p)
{
	int64_t n = 0;
	for (size_t i = 0; i < p->segments.count; i++)
		n += p->segments.items[i]->size;
	return n;
}

int64_t tm_partition_last_stable(struct tm_partition *p)
{
	int64_t first = tm_producers_first_open(&p->producers, p->hw);
	return first < p->hw ? first : p->hw;
}

void tm_partition_drop_front(struct tm_partition *p, size_t count)
{
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		tm_segment_remove_files(p->log->env, p->segments.items[i]);
		tm_segment_unref(p->segments.items[i]);
	}
	p->segments.count -= count;
	memmove(p->segments.items, p->segments.items + count, p->segments.count * sizeof *p->segments.items);
}

void tm_partition_move_start(struct tm_partition *p, int64_t start)
{
	if (start <= p->start)
		return;
	p->start = start;
	size_t n = 0;
	while (n + 1 < p->segments.count && p->segments.items[n + 1]->base_offset <= start)
		n++;
	tm_partition_drop_front(p, n);
	size_t kept = 0;
	for (size_t i = 0; i < p->producers.aborted.count; i++)
		if (p->producers.aborted.items[i].last_offset >= start)
			p->producers.aborted.items[kept++] = p->producers.aborted.items[i];
	p->producers.aborted.count = kept;
}

/* ---- .txnindex: aborted transactions by segment, in Kafka's layout ---- */
enum { TXN_ENTRY = 34 };
tm_rc tm_partition_txnindex_add(struct tm_partition *p, struct tm_segment *s, const struct tm_aborted *a, struct tm_err *err)
{
	char path[TM_LOG_PATH_MAX + 16], e[TXN_ENTRY];
	struct stat st;
	const struct tm_env *env = p->log->env;
	snprintf(path, sizeof path, "%s.txnindex", s->path);
	int fd = env->ops->open(env, path, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return tm_fail_errno(err, -fd, "%s", path);
	tm_be16_set(e, 0);
	tm_be64_set(e + 2, a->producer_id);
	tm_be64_set(e + 10, a->first_offset);
	tm_be64_set(e + 18, a->last_offset);
	tm_be64_set(e + 26, tm_partition_last_stable(p));
	ssize_t n = fstat(fd, &st) == 0 ? env->ops->pwrite(env, fd, e, sizeof e, st.st_size / TXN_ENTRY * TXN_ENTRY) : -errno;
	int rc = n < 0 ? (int)n : env->ops->fdatasync(env, fd);
	close(fd);
	return rc < 0 ? tm_fail_errno(err, -rc, "%s", path) : TM_OK;
}

/* ---- snapshots of producers ---- */
tm_rc tm_partition_snapshot(struct tm_partition *p, struct tm_err *err)
{
	char path[TM_LOG_PATH_MAX];
	struct tm_buf bytes = {0};
	if (p->snapshot_offset == p->end)
		return TM_OK;
	snprintf(path, sizeof path, "%s/%020lld.producers", p->dir, (long long)p->end);
	tm_producers_encode(&p->producers, &bytes);
	tm_rc rc = tm_file_replace(p->log->env, path, tm_buf_str(&bytes), err);
	tm_buf_done(&bytes);
	TM_TRY(rc);
	/* The one before stays: should the end turn out to be less durable than this, it is the one to begin with. */
	char **names;
	size_t count;
	TM_TRY(tm_dir_list(p->dir, ".producers", &names, &count, err));
	for (size_t i = 0; i + 2 < count; i++) {
		snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
		p->log->env->ops->unlink(p->log->env, path);
	}
	tm_dir_list_free(names, count);
	p->snapshot_offset = p->end;
	p->snapshot_bytes = 0;
	return TM_OK;
}
