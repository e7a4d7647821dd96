/* Recovery of a partition at start.
 *
 * After a clean stop the mark says where the end is, and nothing is read. Otherwise every batch behind the mark is
 * checked (CRC-32C):
 *   - a batch that is not whole or does not fit its checksum, and nothing good behind it: a torn tail. It was never
 *     acknowledged; it is cut, and said.
 *   - the same, with good batches behind it: what follows may be worth something, so the bytes are kept aside in a file
 *     `.cut` before they are cut, and it is a finding.
 *   - a segment shorter than the mark, or a bad batch before it: acknowledged records are lost or rotten. Nothing is cut that
 *     can be read; offsets go on behind the mark, so that no lost offset is ever given to another record; a finding.
 * Producers' state comes from the newest good snapshot at or below the end and the batches behind it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/log_int.h"

static struct tm_metric cut_bytes = TM_COUNTER("tidemill_log_torn_bytes_total", "Bytes of torn tails cut at start.");

/* ---- the folder ---- */
static bool base_of(const char *name, const char *suffix, int64_t *ret)
{
	struct tm_str s = tm_str_of(name);
	size_t n = strlen(suffix);
	return s.len == 20 + n && strcmp(name + 20, suffix) == 0 && tm_str_to_i64(tm_str_n(name, 20), ret) && *ret >= 0 &&
	       *ret <= INT64_MAX - UINT32_MAX;
}

static tm_rc list_segments(struct tm_partition *p, struct tm_err *err)
{
	char **names;
	size_t count;
	struct stat st;
	TM_TRY(tm_dir_list(p->dir, NULL, &names, &count, err));
	if (tm_partition_finish_swaps(p, names, count)) {
		tm_dir_list_free(names, count);
		TM_TRY(tm_dir_list(p->dir, NULL, &names, &count, err));
	}
	for (size_t i = 0; i < count; i++) {
		int64_t base;
		char path[TM_LOG_PATH_MAX + 300];
		if (base_of(names[i], ".producers", &base) && base > p->snapshot_offset)
			p->snapshot_offset = base;
		snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
		if (!base_of(names[i], ".log", &base) || stat(path, &st) != 0)
			continue;
		struct tm_segment *s = tm_segment_new(p->dir, base);
		s->size = s->synced = s->unchecked = st.st_size;
		TM_PUSH(&p->segments, s);
	}
	tm_dir_list_free(names, count);
	return TM_OK;
}

/* ---- scanning ---- */
struct scan {
	struct tm_partition *p;
	struct tm_segment *s;
	struct tm_buf bytes; /* of the file from `from` on */
	int64_t from;
};

/* Makes at least n bytes from position on available, or what there is. */
static tm_rc scan_fill(struct scan *sc, int64_t position, size_t n, struct tm_str *ret, struct tm_err *err)
{
	enum { CHUNK = 1 << 20 };
	const struct tm_env *env = sc->p->log->env;
	int64_t end = sc->from + (int64_t)sc->bytes.len;
	if (position < sc->from || position + (int64_t)n > end) {
		size_t want = n > CHUNK ? n : CHUNK;
		sc->bytes.len = 0;
		sc->from = position;
		ssize_t got = env->ops->pread(env, sc->s->fd, tm_buf_reserve(&sc->bytes, want), want, position);
		if (got < 0)
			return tm_fail_errno(err, (int)-got, "%s.log", sc->s->path);
		sc->bytes.len = (size_t)got;
		end = sc->from + got;
	}
	*ret = tm_str_n(sc->bytes.at + (position - sc->from), (size_t)(end - position));
	return TM_OK;
}

/* The whole, sound batch at position; TM_NOT_FOUND at the exact end, TM_CORRUPT when there is none. */
static tm_rc scan_batch(struct scan *sc, int64_t position, int64_t least_offset, struct tm_batch_info *ret, struct tm_err *err)
{
	struct tm_str bytes;
	if (position >= sc->s->size)
		return TM_NOT_FOUND;
	TM_TRY(scan_fill(sc, position, TM_BATCH_HEAD, &bytes, err));
	if (bytes.len < TM_BATCH_HEAD || bytes.at[TM_BATCH_MAGIC] != 2)
		return TM_CORRUPT;
	tm_batch_head(bytes.at, ret);
	if (ret->bytes < TM_BATCH_HEAD || (int64_t)ret->bytes > sc->s->size - position || ret->base_offset < least_offset ||
	    ret->last_offset_delta < 0 || ret->base_offset - sc->s->base_offset > INT32_MAX || ret->count < 0)
		return TM_CORRUPT;
	TM_TRY(scan_fill(sc, position, ret->bytes, &bytes, err));
	if (bytes.len < ret->bytes)
		return TM_CORRUPT;
	bytes.len = ret->bytes;
	return tm_batch_next(&bytes, true, ret, NULL) == TM_OK ? TM_OK : TM_CORRUPT;
}

/* Whether any sound batch begins behind position. */
static bool good_behind(struct scan *sc, int64_t position, int64_t least_offset)
{
	for (int64_t at = position + 1; at + TM_BATCH_HEAD <= sc->s->size; at++) {
		struct tm_str bytes;
		struct tm_batch_info b;
		if (scan_fill(sc, at, TM_BATCH_HEAD, &bytes, NULL) != TM_OK || bytes.len < TM_BATCH_HEAD)
			return false;
		/* Quick look before the checksum: the magic byte, then the sizes in scan_batch. */
		const char *hit = memchr(bytes.at + TM_BATCH_MAGIC, 2, bytes.len - TM_BATCH_MAGIC);
		if (!hit) {
			at += (int64_t)bytes.len - TM_BATCH_MAGIC - 1;
			continue;
		}
		at += hit - (bytes.at + TM_BATCH_MAGIC);
		int64_t from = sc->from; /* scan_batch may move the window; going back is fine, it is read again */
		if (scan_batch(sc, at, least_offset, &b, NULL) == TM_OK)
			return true;
		(void)from;
	}
	return false;
}

static void keep_aside(struct scan *sc, int64_t position)
{
	char path[TM_LOG_PATH_MAX + 64];
	const struct tm_env *env = sc->p->log->env;
	snprintf(path, sizeof path, "%s.log.%lld.cut", sc->s->path, (long long)position);
	int fd = env->ops->open(env, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return;
	struct tm_str bytes;
	for (int64_t at = position; at < sc->s->size && scan_fill(sc, at, 1, &bytes, NULL) == TM_OK && bytes.len; at += (int64_t)bytes.len)
		if (env->ops->pwrite(env, fd, bytes.at, bytes.len, at - position) < 0)
			break;
	env->ops->fdatasync(env, fd);
	close(fd);
}

/* Checks a segment from position on and accounts for what is good. Returns where the good part ends. */
static tm_rc check_from(struct tm_partition *p, struct tm_segment *s, int64_t position, int64_t trusted, int64_t least_offset,
			struct tm_err *err)
{
	struct scan sc = {.p = p, .s = s};
	tm_rc rc;
	TM_TRY(tm_segment_open(p->log->env, s, false, err));
	for (;;) {
		struct tm_batch_info b = {0};
		rc = scan_batch(&sc, position, least_offset, &b, err);
		if (rc == TM_CORRUPT && position < trusted) {
			/* Acknowledged, and rotten: it stays for whoever can repair it; reads refuse it. On from the mark. */
			tm_log_found(p->log,
				     "%s.log is damaged at byte %lld: acknowledged records from offset %lld on do not fit their checksum",
				     s->path, (long long)position, (long long)least_offset);
			position = trusted;
			if (p->end > least_offset)
				least_offset = p->end;
			continue;
		}
		if (rc != TM_OK)
			break;
		if (position >= trusted)
			tm_segment_account(p->log->env, s, &b, position, tm_topic_settings(p->topic)->index_interval_bytes);
		position += (int64_t)b.bytes;
		least_offset = tm_batch_last_offset(&b) + 1;
		if (least_offset > p->end)
			p->end = least_offset;
	}
	if (rc == TM_CORRUPT) {
		int64_t left = s->size - position;
		rc = TM_OK;
		if (good_behind(&sc, position, least_offset)) {
			keep_aside(&sc, position);
			tm_log_found(p->log,
				     "%s.log: %lld bytes from byte %lld on begin with a damaged batch, with good ones behind it; they are "
				     "kept in a file .cut",
				     s->path, (long long)left, (long long)position);
		} else {
			tm_say(TM_SAY_WARN, "log", "%s.log: a torn tail of %lld bytes was cut; it had not been acknowledged", s->path,
			       (long long)left);
		}
		tm_metric_add(&cut_bytes, left);
		rc = tm_segment_cut(p->log->env, s, position, err);
	} else if (rc == TM_NOT_FOUND) {
		rc = TM_OK;
	}
	tm_buf_done(&sc.bytes);
	return rc;
}

/* The last place at or before the mark where a batch is known to begin: the mark itself. With the index loaded, timestamps
 * and the distance since the last entry are known up to it. */
static tm_rc recover_segment(struct tm_partition *p, struct tm_segment *s, int64_t mark_position, int64_t least_offset, struct tm_err *err)
{
	int64_t size = s->size;
	bool rebuilt = false;
	s->size = mark_position; /* the indexes may speak of what is before the mark only */
	tm_rc rc = TM_OK;
	if (mark_position > 0)
		rc = tm_segment_load(p->log->env, s, &rebuilt, err);
	else
		rc = tm_segment_rebuild(p->log->env, s, err);
	s->size = size;
	if (rebuilt)
		tm_say(TM_SAY_WARN, "log", "the index of %s.log was made anew", s->path);
	TM_TRY(rc);
	s->loaded = true;
	if (mark_position > 0 && s->walked_to > least_offset)
		tm_segment_begin_anew(s); /* the last offsets before the mark are rotten */
	return check_from(p, s, mark_position, mark_position, least_offset, err);
}

/* The file is shorter than what was acknowledged: keep what is whole, and go on behind the mark. */
static tm_rc recover_loss(struct tm_partition *p, struct tm_segment *s, const struct tm_mark *mark, struct tm_err *err)
{
	tm_log_found(p->log, "%s.log ends at byte %lld, but %lld bytes had been acknowledged: records before offset %lld are lost", s->path,
		     (long long)s->size, (long long)mark->position, (long long)mark->durable);
	int64_t size = s->size;
	s->size = 0; /* empty indexes, which check_from fills */
	tm_rc rc = tm_segment_rebuild(p->log->env, s, err);
	s->size = size;
	TM_TRY(rc);
	return check_from(p, s, 0, 0, s->base_offset, err);
}

static tm_rc recover_segments(struct tm_partition *p, const struct tm_mark *mark, bool marked, struct tm_err *err)
{
	size_t first = 0;
	int64_t durable = marked ? mark->durable : 0;
	if (marked)
		while (first + 1 < p->segments.count && p->segments.items[first + 1]->base_offset <= mark->base)
			first++;
	p->end = p->segments.count ? p->segments.items[first]->base_offset : 0;
	for (size_t i = first; i < p->segments.count; i++) {
		struct tm_segment *s = p->segments.items[i];
		bool at_mark = marked && s->base_offset == mark->base;
		if (at_mark && s->size < mark->position) {
			TM_TRY(recover_loss(p, s, mark, err));
		} else {
			if (at_mark && mark->durable > p->end)
				p->end = mark->durable;
			TM_TRY(recover_segment(p, s, at_mark ? mark->position : 0, at_mark ? mark->durable : s->base_offset, err));
		}
	}
	if (marked && (p->segments.count == 0 || p->segments.items[first]->base_offset > mark->base) && mark->durable > mark->start &&
	    p->end < mark->durable)
		tm_log_found(p->log,
			     "%s: the segment that begins at offset %lld is missing; acknowledged records before offset %lld are lost",
			     p->dir, (long long)mark->base, (long long)mark->durable);
	if (p->end < durable)
		p->end = durable;
	/* Lost records leave a hole; the next ones begin behind it in a segment of their own where the hole is too wide. */
	return TM_OK;
}

/* ---- producers ---- */
static void replay_batch(struct tm_partition *p, struct tm_segment *s, int64_t position, struct tm_batch_info *b)
{
	struct tm_buf bytes = {0};
	if (b->control) { /* the marker's kind is in its record */
		ssize_t n = p->log->env->ops->pread(p->log->env, s->fd, tm_buf_extend(&bytes, b->bytes), b->bytes, position);
		if (n == (ssize_t)b->bytes)
			b->records = tm_str_n(bytes.at + TM_BATCH_HEAD, b->bytes - TM_BATCH_HEAD);
	}
	tm_producers_apply(&p->producers, b);
	tm_buf_done(&bytes);
}

/* Takes the batches from offset on into account; the .txnindex files of these segments are made anew. */
static tm_rc replay(struct tm_partition *p, int64_t offset, struct tm_err *err)
{
	if (offset >= p->end || p->segments.count == 0)
		return TM_OK;
	for (size_t i = tm_partition_segment_of(p, offset); i < p->segments.count; i++) {
		struct tm_segment *s = p->segments.items[i];
		int64_t position = 0;
		bool rebuilt = false;
		struct tm_batch_info b;
		if (s->size == 0)
			continue;
		TM_TRY(tm_segment_seek(p->log->env, s, offset, &position, &rebuilt, err));
		while (tm_segment_head(p->log->env, s, position, &b, NULL) == TM_OK) {
			if (b.base_offset >= offset)
				replay_batch(p, s, position, &b);
			position += (int64_t)b.bytes;
		}
	}
	return TM_OK;
}

static bool is_marker_of(struct tm_partition *p, const struct tm_aborted *a)
{
	struct tm_segment *s = p->segments.items[tm_partition_segment_of(p, a->last_offset)];
	int64_t position;
	bool rebuilt = false;
	struct tm_batch_info b;
	if (a->first_offset < 0 || a->first_offset >= a->last_offset || a->last_offset < s->base_offset ||
	    tm_segment_seek(p->log->env, s, a->last_offset, &position, &rebuilt, NULL) != TM_OK)
		return false;
	while (tm_segment_head(p->log->env, s, position, &b, NULL) == TM_OK && b.base_offset < a->last_offset)
		position += (int64_t)b.bytes;
	return tm_segment_head(p->log->env, s, position, &b, NULL) == TM_OK && b.base_offset == a->last_offset && b.control &&
	       b.producer_id == a->producer_id;
}

/* Aborted transactions that ended below offset, from .txnindex; each entry is checked against its marker. False = damaged. */
static bool load_aborted(struct tm_partition *p, int64_t below)
{
	enum { ENTRY = 34 };
	for (size_t i = 0; i < p->segments.count; i++) {
		char path[TM_LOG_PATH_MAX + 16];
		struct tm_buf bytes = {0};
		snprintf(path, sizeof path, "%s.txnindex", p->segments.items[i]->path);
		if (access(path, F_OK) != 0)
			continue;
		if (tm_file_read(p->log->env, path, 64 * TM_MIB, &bytes, NULL) != TM_OK)
			return false;
		for (size_t at = 0; at + ENTRY <= bytes.len; at += ENTRY) {
			const char *e = bytes.at + at;
			struct tm_aborted a = {tm_be64_at(e + 2), tm_be64_at(e + 10), tm_be64_at(e + 18)};
			if (a.last_offset >= below && a.last_offset < p->end)
				continue; /* found again by the replay */
			if (tm_be16_at(e) != 0 || !is_marker_of(p, &a)) {
				tm_buf_done(&bytes);
				return false;
			}
			if (a.last_offset >= p->start)
				TM_PUSH(&p->producers.aborted, a);
		}
		tm_buf_done(&bytes);
	}
	return true;
}

static void rewrite_txnindex(struct tm_partition *p)
{
	for (size_t i = 0; i < p->segments.count; i++) {
		char path[TM_LOG_PATH_MAX + 16];
		snprintf(path, sizeof path, "%s.txnindex", p->segments.items[i]->path);
		p->log->env->ops->unlink(p->log->env, path);
	}
	for (size_t i = 0; i < p->producers.aborted.count; i++) {
		const struct tm_aborted *a = &p->producers.aborted.items[i];
		struct tm_err err = {0};
		if (tm_partition_txnindex_add(p, p->segments.items[tm_partition_segment_of(p, a->last_offset)], a, &err) != TM_OK)
			tm_say_err("log", &err);
	}
}

/* The newest snapshot at or below the end that is whole; later ones speak of batches that are gone and are removed. */
static int64_t load_snapshot(struct tm_partition *p)
{
	char **names;
	size_t count;
	int64_t offset = -1;
	if (tm_dir_list(p->dir, ".producers", &names, &count, NULL) != TM_OK)
		return -1;
	for (size_t i = count; i-- > 0 && offset < 0;) {
		int64_t base;
		char path[TM_LOG_PATH_MAX + 300];
		struct tm_buf bytes = {0};
		struct tm_err err = {0};
		if (!base_of(names[i], ".producers", &base))
			continue;
		snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
		if (base > p->end) {
			p->log->env->ops->unlink(p->log->env, path);
			continue;
		}
		tm_rc rc = tm_file_read(p->log->env, path, 256 * TM_MIB, &bytes, &err);
		if (rc == TM_OK)
			rc = tm_producers_decode(&p->producers, tm_buf_str(&bytes), &err);
		if (rc == TM_OK)
			offset = base;
		else
			tm_log_found(p->log, "%s: %s; the state is made anew from the log", path, err.what);
		tm_buf_done(&bytes);
	}
	tm_dir_list_free(names, count);
	return offset;
}

tm_rc tm_partition_load_producers(struct tm_partition *p, struct tm_err *err)
{
	int64_t from = load_snapshot(p);
	p->snapshot_offset = from;
	if (from < 0)
		from = p->start;
	if (!load_aborted(p, from)) {
		tm_log_found(p->log, "%s: a .txnindex is damaged; it is made anew from the log", p->dir);
		tm_producers_reset(&p->producers);
		from = p->segments.count ? p->segments.items[0]->base_offset : 0;
	}
	size_t before = p->producers.aborted.count;
	bool again = from < p->end;
	TM_TRY(replay(p, from, err));
	if (again && (p->producers.aborted.count != before || before))
		rewrite_txnindex(p);
	return TM_OK;
}

/* ---- all of it ---- */
static void set_ends(struct tm_partition *p)
{
	struct tm_segment *s = tm_partition_active(p);
	p->durable = p->hw = p->end;
	p->hw_base = s ? s->base_offset : 0;
	p->hw_position = s ? s->size : 0;
}

static tm_rc sync_recovered(struct tm_partition *p, struct tm_err *err)
{
	for (size_t i = 0; i < p->segments.count; i++) {
		struct tm_segment *s = p->segments.items[i];
		if (s->fd < 0)
			continue;
		int rc = p->log->env->ops->fdatasync(p->log->env, s->fd);
		if (rc < 0)
			return tm_fail_errno(err, -rc, "%s.log", s->path);
		s->synced = s->unchecked = s->size;
	}
	return TM_OK;
}

tm_rc tm_partition_recover(struct tm_partition *p, bool clean, struct tm_err *err)
{
	struct tm_mark mark = {0};
	struct stat st;
	bool marked = tm_marks_find(p->log, p->topic->id, p->number, &mark, &p->mark);
	if (!marked)
		p->mark = tm_marks_take(p->log);
	if (stat(p->dir, &st) != 0) {
		if (!marked || mark.durable > 0)
			tm_log_found(p->log, "the folder %s is missing; its records before offset %lld are lost", p->dir,
				     (long long)mark.durable);
		TM_TRY(tm_dir_make(p->dir, err));
	}
	TM_TRY(list_segments(p, err));
	struct tm_segment *active = tm_partition_active(p);
	bool known =
	    clean && marked && (active ? active->base_offset == mark.base && active->size == mark.position : mark.durable == mark.start);
	p->start = marked ? mark.start : 0;
	if (p->segments.count && p->segments.items[0]->base_offset > p->start)
		p->start = p->segments.items[0]->base_offset;
	p->cleaned_to = marked ? mark.cleaned_to : 0;
	if (known) {
		p->end = mark.durable;
	} else {
		TM_TRY(recover_segments(p, &mark, marked, err));
		TM_TRY(sync_recovered(p, err));
	}
	if (p->end < p->start)
		p->end = p->start;
	set_ends(p);
	if (known && mark.no_producers && p->snapshot_offset < 0)
		return TM_OK;
	TM_TRY(tm_partition_load_producers(p, err));
	return known ? TM_OK : tm_marks_put(p, err);
}
