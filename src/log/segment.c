/* A segment: record batches one behind the other in .log, a sparse .index (offset -> position) and a sparse .timeindex
 * (largest timestamp so far -> its offset), all in Kafka's layout: big-endian, offsets relative to the base offset.
 *
 * The indexes only speed things up. Whatever they say is checked against the batch they point at; an index that is wrong
 * (a torn write, a flipped bit) is made anew from the log, and said. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/log_int.h"

enum { INDEX_ENTRY = 8, TIME_ENTRY = 12, BEHIND_DAMAGE = INT32_MAX };

struct tm_segment *tm_segment_new(const char *dir, int64_t base_offset)
{
	struct tm_segment *s = tm_zalloc(sizeof *s);
	char path[TM_LOG_PATH_MAX];
	snprintf(path, sizeof path, "%s/%020lld", dir, (long long)base_offset);
	s->base_offset = base_offset;
	s->first_timestamp_ms = s->max_timestamp_ms = s->max_timestamp_offset = s->indexed_timestamp_ms = -1;
	s->fd = s->index_fd = s->time_fd = -1;
	s->refs = 1;
	s->path = tm_strdup(path);
	return s;
}

struct tm_segment *tm_segment_ref(struct tm_segment *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void tm_segment_close_files(struct tm_segment *s)
{
	int *fds[] = {&s->fd, &s->index_fd, &s->time_fd};
	for (int i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void tm_segment_unref(struct tm_segment *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	tm_segment_close_files(s);
	free(s->tail);
	free(s->path);
	free(s);
}

static tm_rc open_file(const struct tm_env *env, const struct tm_segment *s, const char *suffix, bool create, int *fd, struct tm_err *err)
{
	char path[TM_LOG_PATH_MAX + 16];
	if (*fd >= 0)
		return TM_OK;
	snprintf(path, sizeof path, "%s%s", s->path, suffix);
	int got = env->ops->open(env, path, O_RDWR | (create ? O_CREAT : 0), 0644);
	if (got < 0)
		return tm_fail_errno(err, -got, "%s", path);
	*fd = got;
	return TM_OK;
}

tm_rc tm_segment_open(const struct tm_env *env, struct tm_segment *s, bool create, struct tm_err *err)
{
	s->used_ns = tm_mono_ns(env);
	return open_file(env, s, ".log", create, &s->fd, err);
}

static tm_rc open_indexes(const struct tm_env *env, struct tm_segment *s, struct tm_err *err)
{
	TM_TRY(open_file(env, s, ".index", true, &s->index_fd, err));
	return open_file(env, s, ".timeindex", true, &s->time_fd, err);
}

void tm_segment_remove_files(const struct tm_env *env, struct tm_segment *s)
{
	static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex"};
	char path[TM_LOG_PATH_MAX + 16];
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		snprintf(path, sizeof path, "%s%s", s->path, suffixes[i]);
		env->ops->unlink(env, path);
	}
}

/* ---- heads ---- */
static bool plausible(const struct tm_segment *s, const struct tm_batch_info *b, const char *head, int64_t position)
{
	return head[TM_BATCH_MAGIC] == 2 && b->bytes >= TM_BATCH_HEAD && b->bytes <= (uint64_t)(s->size - position) &&
	       b->base_offset >= s->base_offset && b->last_offset_delta >= 0 && b->count >= 0 &&
	       b->base_offset - s->base_offset <= INT32_MAX;
}

tm_rc tm_segment_head(const struct tm_env *env, struct tm_segment *s, int64_t position, struct tm_batch_info *ret, struct tm_err *err)
{
	char head[TM_BATCH_HEAD];
	if (position >= s->size)
		return tm_fail(err, TM_NOT_FOUND, "the segment ends at byte %lld", (long long)s->size);
	TM_TRY(tm_segment_open(env, s, false, err));
	ssize_t n = env->ops->pread(env, s->fd, head, sizeof head, position);
	if (n < 0)
		return tm_fail_errno(err, (int)-n, "%s.log", s->path);
	if (n == sizeof head) {
		tm_batch_head(head, ret);
		if (plausible(s, ret, head, position))
			return TM_OK;
	}
	tm_rc rc = tm_fail(err, TM_CORRUPT, "%s.log is damaged at byte %lld: no record batch begins there", s->path, (long long)position);
	if (err)
		err->code = TM_KAFKA_CORRUPT;
	return rc;
}

/* ---- index entries ---- */
struct index_entry {
	int64_t offset, position;
};
struct time_entry {
	int64_t timestamp_ms, offset;
};

/* The newest entries wait here, so that a small append does not pay for two more writes. After a crash those that were
 * not written are found again by walking the heads behind the last one that was. */
enum { TAIL = 32 };
struct tm_index_tail {
	uint32_t index_count, time_count;
	char index[TAIL][INDEX_ENTRY], time[TAIL][TIME_ENTRY];
};

static void flush_index(const struct tm_env *env, struct tm_segment *s)
{
	struct tm_index_tail *t = s->tail;
	if (!t || t->index_count == 0)
		return;
	size_t n = (size_t)t->index_count * INDEX_ENTRY;
	s->index_entries -= t->index_count;
	if (env->ops->pwrite(env, s->index_fd, t->index, n, (off_t)s->index_entries * INDEX_ENTRY) == (ssize_t)n)
		s->index_entries += t->index_count;
	t->index_count = 0;
}

static void flush_times(const struct tm_env *env, struct tm_segment *s)
{
	struct tm_index_tail *t = s->tail;
	if (!t || t->time_count == 0)
		return;
	size_t n = (size_t)t->time_count * TIME_ENTRY;
	s->time_entries -= t->time_count;
	if (env->ops->pwrite(env, s->time_fd, t->time, n, (off_t)s->time_entries * TIME_ENTRY) == (ssize_t)n)
		s->time_entries += t->time_count;
	t->time_count = 0;
}

static bool index_read(const struct tm_env *env, const struct tm_segment *s, uint32_t i, struct index_entry *ret)
{
	char e[INDEX_ENTRY];
	uint32_t written = s->index_entries - (s->tail ? s->tail->index_count : 0);
	if (i >= written)
		memcpy(e, s->tail->index[i - written], sizeof e);
	else if (env->ops->pread(env, s->index_fd, e, sizeof e, (off_t)i * INDEX_ENTRY) != sizeof e)
		return false;
	*ret = (struct index_entry){s->base_offset + (uint32_t)tm_be32_at(e), (uint32_t)tm_be32_at(e + 4)};
	return true;
}

static bool time_read(const struct tm_env *env, const struct tm_segment *s, uint32_t i, struct time_entry *ret)
{
	char e[TIME_ENTRY];
	uint32_t written = s->time_entries - (s->tail ? s->tail->time_count : 0);
	if (i >= written)
		memcpy(e, s->tail->time[i - written], sizeof e);
	else if (env->ops->pread(env, s->time_fd, e, sizeof e, (off_t)i * TIME_ENTRY) != sizeof e)
		return false;
	*ret = (struct time_entry){tm_be64_at(e), s->base_offset + (uint32_t)tm_be32_at(e + 8)};
	return true;
}

static struct tm_index_tail *tail_of(struct tm_segment *s)
{
	if (!s->tail)
		s->tail = tm_zalloc(sizeof *s->tail);
	return s->tail;
}

static void index_add(const struct tm_env *env, struct tm_segment *s, int64_t last_offset, int64_t position)
{
	struct tm_index_tail *t = tail_of(s);
	if (t->index_count == TAIL)
		flush_index(env, s);
	char *e = t->index[t->index_count++];
	tm_be32_set(e, (int32_t)(last_offset - s->base_offset));
	tm_be32_set(e + 4, (int32_t)position);
	s->index_entries++;
}

static void time_add(const struct tm_env *env, struct tm_segment *s)
{
	struct tm_index_tail *t = tail_of(s);
	if (s->max_timestamp_ms <= s->indexed_timestamp_ms)
		return;
	if (t->time_count == TAIL)
		flush_times(env, s);
	char *e = t->time[t->time_count++];
	tm_be64_set(e, s->max_timestamp_ms);
	tm_be32_set(e + 8, (int32_t)(s->max_timestamp_offset - s->base_offset));
	s->time_entries++;
	s->indexed_timestamp_ms = s->max_timestamp_ms;
}

void tm_segment_account(const struct tm_env *env, struct tm_segment *s, const struct tm_batch_info *b, int64_t position,
			int32_t interval_bytes)
{
	if (s->first_timestamp_ms < 0)
		s->first_timestamp_ms = b->max_timestamp_ms;
	if (b->max_timestamp_ms > s->max_timestamp_ms) {
		s->max_timestamp_ms = b->max_timestamp_ms;
		s->max_timestamp_offset = tm_batch_last_offset(b); /* Kafka points at the batch's last record too */
	}
	if (s->since_index > interval_bytes && open_indexes(env, s, NULL) == TM_OK) {
		index_add(env, s, tm_batch_last_offset(b), position);
		time_add(env, s);
		s->since_index = 0;
	}
	s->since_index += (int64_t)b->bytes;
}

/* Behind a damaged batch, through which nobody can walk, the next batch gets an index entry at once. */
void tm_segment_begin_anew(struct tm_segment *s) { s->since_index = BEHIND_DAMAGE; }

/* ---- loading and making anew ---- */
static uint32_t entries_of(int fd, int size)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (uint32_t)(st.st_size / size) : 0;
}

/* Walks the heads from position to the end, accounting for each; stops at the first that cannot be one. */
static tm_rc walk(const struct tm_env *env, struct tm_segment *s, int64_t position, bool index_first, struct tm_err *err)
{
	int64_t least = s->base_offset;
	while (position < s->size) {
		struct tm_batch_info b;
		TM_TRY(tm_segment_head(env, s, position, &b, err));
		if (b.base_offset < least)
			return tm_fail(err, TM_CORRUPT, "%s.log is damaged before byte %lld: the offsets go back", s->path,
				       (long long)position);
		s->walked_to = least = tm_batch_last_offset(&b) + 1;
		if (index_first) {
			tm_segment_account(env, s, &b, position, 4096);
		} else { /* the batch that has the last entry: its entry is there already */
			s->since_index = (int64_t)b.bytes;
			if (b.max_timestamp_ms > s->max_timestamp_ms) {
				s->max_timestamp_ms = b.max_timestamp_ms;
				s->max_timestamp_offset = tm_batch_last_offset(&b);
			}
			index_first = true;
		}
		position += (int64_t)b.bytes;
	}
	return TM_OK;
}

tm_rc tm_segment_rebuild(const struct tm_env *env, struct tm_segment *s, struct tm_err *err)
{
	TM_TRY(tm_segment_open(env, s, false, err));
	TM_TRY(open_indexes(env, s, err));
	env->ops->truncate(env, s->index_fd, 0);
	env->ops->truncate(env, s->time_fd, 0);
	s->index_entries = s->time_entries = 0;
	if (s->tail)
		s->tail->index_count = s->tail->time_count = 0;
	s->first_timestamp_ms = s->max_timestamp_ms = s->max_timestamp_offset = s->indexed_timestamp_ms = -1;
	s->since_index = 0;
	s->loaded = true;
	tm_rc rc = walk(env, s, 0, true, err);
	if (rc == TM_CORRUPT) {
		rc = TM_OK; /* told by whoever reads there; the index serves what is before */
		tm_segment_begin_anew(s);
	}
	time_add(env, s);
	return rc;
}

/* True when the entry points at the batch whose last offset it names. */
static bool index_right(const struct tm_env *env, struct tm_segment *s, struct index_entry e)
{
	struct tm_batch_info b;
	return e.position < s->size && tm_segment_head(env, s, e.position, &b, NULL) == TM_OK && tm_batch_last_offset(&b) == e.offset;
}

/* After a crash the indexes may already speak of batches behind the last durable one, where s->size ends for now: those
 * entries go, and come again when the batches are found sound. */
static bool drop_entries_behind(const struct tm_env *env, struct tm_segment *s)
{
	struct index_entry e = {s->base_offset, 0};
	struct time_entry t;
	uint32_t had = s->index_entries;
	while (s->index_entries && index_read(env, s, s->index_entries - 1, &e) && e.position >= s->size)
		s->index_entries--;
	if (s->index_entries == had)
		return true;
	int64_t last = s->index_entries ? e.offset : s->base_offset - 1;
	while (s->time_entries && time_read(env, s, s->time_entries - 1, &t) && t.offset > last)
		s->time_entries--;
	return env->ops->truncate(env, s->index_fd, (off_t)s->index_entries * INDEX_ENTRY) == 0 &&
	       env->ops->truncate(env, s->time_fd, (off_t)s->time_entries * TIME_ENTRY) == 0;
}

/* What the last entries say, then the heads behind them. False when an entry cannot be right. */
static bool load_entries(const struct tm_env *env, struct tm_segment *s)
{
	struct index_entry last = {s->base_offset, 0};
	struct time_entry time = {-1, -1};
	struct stat st;
	if (fstat(s->index_fd, &st) != 0 || st.st_size % INDEX_ENTRY)
		return false;
	if (fstat(s->time_fd, &st) != 0 || st.st_size % TIME_ENTRY)
		return false;
	s->index_entries = entries_of(s->index_fd, INDEX_ENTRY);
	s->time_entries = entries_of(s->time_fd, TIME_ENTRY);
	if (!drop_entries_behind(env, s))
		return false;
	if (s->index_entries && (!index_read(env, s, s->index_entries - 1, &last) || !index_right(env, s, last)))
		return false;
	if (s->time_entries && !time_read(env, s, s->time_entries - 1, &time))
		return false;
	s->max_timestamp_ms = s->indexed_timestamp_ms = time.timestamp_ms;
	s->max_timestamp_offset = time.offset;
	struct tm_batch_info first;
	if (tm_segment_head(env, s, 0, &first, NULL) == TM_OK)
		s->first_timestamp_ms = first.max_timestamp_ms;
	if (walk(env, s, last.position, s->index_entries == 0, NULL) != TM_OK)
		tm_segment_begin_anew(s);
	return true;
}

tm_rc tm_segment_load(const struct tm_env *env, struct tm_segment *s, bool *ret_rebuilt, struct tm_err *err)
{
	if (s->loaded)
		return TM_OK;
	TM_TRY(tm_segment_open(env, s, false, err));
	TM_TRY(open_indexes(env, s, err));
	if (load_entries(env, s)) {
		s->loaded = true;
		return TM_OK;
	}
	*ret_rebuilt = true;
	return tm_segment_rebuild(env, s, err);
}

/* ---- searching ---- */
tm_rc tm_segment_seek(const struct tm_env *env, struct tm_segment *s, int64_t offset, int64_t *ret_position, bool *ret_rebuilt,
		      struct tm_err *err)
{
	TM_TRY(tm_segment_load(env, s, ret_rebuilt, err));
	TM_TRY(open_indexes(env, s, err));
	s->used_ns = tm_mono_ns(env);
	for (int attempt = 0; attempt < 2; attempt++) {
		/* The last entry whose batch ends at or below offset. */
		uint32_t low = 0, high = s->index_entries;
		struct index_entry e = {s->base_offset, 0}, at;
		bool ok = true;
		while (low < high) {
			uint32_t mid = low + (high - low) / 2;
			if (!(ok = index_read(env, s, mid, &at)))
				break;
			if (at.offset <= offset) {
				e = at;
				low = mid + 1;
			} else {
				high = mid;
			}
		}
		/* Its neighbour above must end above: checked as well, so that no flipped bit can lead astray. */
		if (ok && low < s->index_entries)
			ok = index_read(env, s, low, &at) && at.offset > offset && index_right(env, s, at);
		if (ok && (low == 0 || index_right(env, s, e))) {
			*ret_position = e.position;
			return TM_OK;
		}
		*ret_rebuilt = true;
		TM_TRY(tm_segment_rebuild(env, s, err));
	}
	*ret_position = 0;
	return TM_OK;
}

/* True when the entry names the last offset of a batch whose largest timestamp it has. */
static bool time_right(const struct tm_env *env, struct tm_segment *s, struct time_entry e)
{
	int64_t position;
	bool rebuilt = false;
	struct tm_batch_info b;
	if (tm_segment_seek(env, s, e.offset, &position, &rebuilt, NULL) != TM_OK)
		return false;
	while (tm_segment_head(env, s, position, &b, NULL) == TM_OK) {
		if (tm_batch_last_offset(&b) >= e.offset)
			return tm_batch_last_offset(&b) == e.offset && b.max_timestamp_ms == e.timestamp_ms;
		position += (int64_t)b.bytes;
	}
	return false;
}

tm_rc tm_segment_seek_time(const struct tm_env *env, struct tm_segment *s, int64_t timestamp_ms, int64_t *ret_position, bool *ret_rebuilt,
			   struct tm_err *err)
{
	TM_TRY(tm_segment_load(env, s, ret_rebuilt, err));
	TM_TRY(open_indexes(env, s, err));
	for (int attempt = 0; attempt < 2; attempt++) {
		uint32_t low = 0, high = s->time_entries;
		struct time_entry e = {-1, s->base_offset}, at;
		bool ok = true;
		while (low < high) {
			uint32_t mid = low + (high - low) / 2;
			if (!(ok = time_read(env, s, mid, &at)))
				break;
			if (at.timestamp_ms < timestamp_ms) {
				e = at;
				low = mid + 1;
			} else {
				high = mid;
			}
		}
		if (ok && low < s->time_entries)
			ok = time_read(env, s, low, &at) && at.timestamp_ms >= timestamp_ms && time_right(env, s, at);
		if (ok && (low == 0 || time_right(env, s, e)))
			return tm_segment_seek(env, s, e.offset, ret_position, ret_rebuilt, err);
		*ret_rebuilt = true;
		TM_TRY(tm_segment_rebuild(env, s, err));
	}
	*ret_position = 0;
	return TM_OK;
}

tm_rc tm_segment_seal(const struct tm_env *env, struct tm_segment *s, struct tm_err *err)
{
	bool rebuilt = false;
	if (s->size == 0)
		return TM_OK;
	TM_TRY(tm_segment_load(env, s, &rebuilt, err));
	TM_TRY(open_indexes(env, s, err));
	time_add(env, s);
	flush_index(env, s);
	flush_times(env, s);
	int rc = env->ops->fdatasync(env, s->index_fd);
	if (rc == 0)
		rc = env->ops->fdatasync(env, s->time_fd);
	return rc < 0 ? tm_fail_errno(err, -rc, "%s.index", s->path) : TM_OK;
}

tm_rc tm_segment_cut(const struct tm_env *env, struct tm_segment *s, int64_t size, struct tm_err *err)
{
	TM_TRY(tm_segment_open(env, s, false, err));
	int rc = env->ops->truncate(env, s->fd, size);
	if (rc == 0)
		rc = env->ops->fdatasync(env, s->fd);
	if (rc < 0)
		return tm_fail_errno(err, -rc, "%s.log", s->path);
	s->size = size;
	s->synced = size;
	return TM_OK;
}
