/* The file `marks`: for each partition how far it is durable, kept apart from the data so that a torn tail (what was
 * being written) and rot or loss (what had been acknowledged) can be told apart after a crash.
 *
 * A slot is written after a round of fdatasync and never says more than is durable. After kill -9 it is exact, since the
 * page cache survives; after a power cut it may lag by the few seconds between its own syncs, never lead. Slots are found
 * by what they hold (topic id, partition), not by place; one with a wrong checksum is reported and counts as missing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/log_int.h"

enum { SLOT = 128, VERSION = 1 };
static const char magic[4] = {'T', 'M', 'M', 'K'};

static void encode(const struct tm_mark *m, char out[SLOT])
{
	memset(out, 0, SLOT);
	memcpy(out, magic, 4);
	tm_be32_set(out + 8, VERSION);
	memcpy(out + 12, m->id, 16);
	tm_be32_set(out + 28, m->partition);
	tm_be64_set(out + 32, m->durable);
	tm_be64_set(out + 40, m->base);
	tm_be64_set(out + 48, m->position);
	tm_be64_set(out + 56, m->start);
	tm_be64_set(out + 64, m->cleaned_to);
	out[72] = m->no_producers;
	tm_be32_set(out + 4, (int32_t)tm_crc32c(0, out + 8, SLOT - 8));
}

/* 1 = a mark, 0 = a free slot, -1 = damaged. */
static int decode(const char in[SLOT], struct tm_mark *m)
{
	static const char zeros[SLOT];
	if (memcmp(in, zeros, SLOT) == 0)
		return 0;
	if (memcmp(in, magic, 4) != 0 || (uint32_t)tm_be32_at(in + 4) != tm_crc32c(0, in + 8, SLOT - 8) || tm_be32_at(in + 8) != VERSION)
		return -1;
	memcpy(m->id, in + 12, 16);
	m->partition = tm_be32_at(in + 28);
	m->durable = tm_be64_at(in + 32);
	m->base = tm_be64_at(in + 40);
	m->position = tm_be64_at(in + 48);
	m->start = tm_be64_at(in + 56);
	m->cleaned_to = tm_be64_at(in + 64);
	m->no_producers = in[72];
	return 1;
}

static int by_key(const void *a, const void *b)
{
	const struct tm_mark *x = a, *y = b;
	int c = memcmp(x->id, y->id, 16);
	return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

tm_rc tm_marks_open(struct tm_log *log, struct tm_err *err)
{
	struct tm_marks *m = &log->marks;
	char path[TM_LOG_PATH_MAX];
	struct stat st;
	pthread_mutex_init(&m->lock, NULL);
	snprintf(path, sizeof path, "%s/marks", log->dir);
	m->fd = log->env->ops->open(log->env, path, O_RDWR | O_CREAT, 0644);
	if (m->fd < 0)
		return tm_fail_errno(err, -m->fd, "%s", path);
	if (fstat(m->fd, &st) != 0)
		return tm_fail_errno(err, errno, "%s", path);
	m->slots = (size_t)st.st_size / SLOT;
	for (size_t first = 0; first < m->slots; first += 512) {
		char chunk[512 * SLOT];
		size_t n = m->slots - first < 512 ? m->slots - first : 512;
		ssize_t got = log->env->ops->pread(log->env, m->fd, chunk, n * SLOT, (off_t)(first * SLOT));
		if (got < 0)
			return tm_fail_errno(err, (int)-got, "%s", path);
		for (size_t i = 0; i < (size_t)got / SLOT; i++) {
			struct tm_mark mark = {.partition = -1};
			int kind = decode(chunk + i * SLOT, &mark);
			if (kind < 0)
				tm_log_found(log, "slot %zu of %s is damaged: how far its partition was durable is not known", first + i,
					     path);
			if (kind > 0) {
				TM_PUSH(&m->found, (struct tm_found_mark){mark, first + i});
			} else {
				TM_PUSH(&m->free_slots, first + i);
			}
		}
	}
	if (m->found.count)
		qsort(m->found.items, m->found.count, sizeof *m->found.items, by_key);
	return TM_OK;
}

bool tm_marks_find(struct tm_log *log, const uint8_t id[16], int32_t partition, struct tm_mark *ret, size_t *ret_slot)
{
	struct tm_marks *m = &log->marks;
	struct tm_mark key = {.partition = partition};
	memcpy(key.id, id, 16);
	if (m->found.count == 0)
		return false;
	struct tm_found_mark *hit = bsearch(&key, m->found.items, m->found.count, sizeof *m->found.items, by_key);
	if (!hit || hit->slot == SIZE_MAX)
		return false;
	*ret = hit->mark;
	*ret_slot = hit->slot;
	hit->slot = SIZE_MAX;
	return true;
}

void tm_marks_recovered(struct tm_log *log)
{
	struct tm_marks *m = &log->marks;
	for (size_t i = 0; i < m->found.count; i++)
		if (m->found.items[i].slot != SIZE_MAX)
			tm_marks_drop(log, m->found.items[i].slot);
	free(m->found.items);
	memset(&m->found, 0, sizeof m->found);
}

size_t tm_marks_take(struct tm_log *log)
{
	struct tm_marks *m = &log->marks;
	pthread_mutex_lock(&m->lock);
	size_t slot = m->free_slots.count ? m->free_slots.items[--m->free_slots.count] : m->slots++;
	pthread_mutex_unlock(&m->lock);
	return slot;
}

void tm_marks_drop(struct tm_log *log, size_t slot)
{
	struct tm_marks *m = &log->marks;
	char zeros[SLOT] = {0};
	pthread_mutex_lock(&m->lock);
	log->env->ops->pwrite(log->env, m->fd, zeros, SLOT, (off_t)(slot * SLOT));
	TM_PUSH(&m->free_slots, slot);
	m->dirty = true;
	pthread_mutex_unlock(&m->lock);
}

tm_rc tm_marks_put(struct tm_partition *p, struct tm_err *err)
{
	struct tm_marks *m = &p->log->marks;
	struct tm_mark mark = {.partition = p->number,
			       .durable = p->durable,
			       .start = p->start,
			       .cleaned_to = p->cleaned_to,
			       .no_producers = p->producers.count == 0};
	memcpy(mark.id, p->topic->id, 16);
	/* The durable end as a place: the last segment that has synced bytes. */
	for (size_t i = p->segments.count; i-- > 0;) {
		const struct tm_segment *s = p->segments.items[i];
		if (s->base_offset <= p->durable) {
			mark.base = s->base_offset;
			mark.position = s->synced;
			break;
		}
	}
	char slot[SLOT];
	encode(&mark, slot);
	ssize_t n = p->log->env->ops->pwrite(p->log->env, m->fd, slot, SLOT, (off_t)(p->mark * SLOT));
	__atomic_store_n(&m->dirty, true, __ATOMIC_RELAXED);
	return n < 0 ? tm_fail_errno(err, (int)-n, "%s/marks", p->log->dir) : TM_OK;
}

tm_rc tm_marks_sync(struct tm_log *log, struct tm_err *err)
{
	struct tm_marks *m = &log->marks;
	if (!__atomic_exchange_n(&m->dirty, false, __ATOMIC_RELAXED))
		return TM_OK;
	int rc = log->env->ops->fdatasync(log->env, m->fd);
	return rc < 0 ? tm_fail_errno(err, -rc, "%s/marks", log->dir) : TM_OK;
}

void tm_marks_close(struct tm_log *log)
{
	struct tm_marks *m = &log->marks;
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
	free(m->free_slots.items);
	free(m->found.items);
	memset(&m->free_slots, 0, sizeof m->free_slots);
	memset(&m->found, 0, sizeof m->found);
	pthread_mutex_destroy(&m->lock);
}
