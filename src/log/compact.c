/* Compaction (cleanup.policy=compact): of each key the newest record stays. The active segment is never touched.
 *
 * A pass learns the newest offset of each key from the segments that were not yet cleaned, then writes the old segments
 * anew without what is out of date, into a file .cleaned; several small ones become one. It takes their place by a rename
 * to <first>-<behind>.swap, which is the moment that counts: after it recovery finishes the exchange, before it the file
 * .cleaned is thrown away. Offsets never change; a batch that keeps some records keeps its offsets, sequences and head.
 *
 * A tombstone gets a delete horizon (Kafka's attribute bit 6: the base timestamp field says when it may go) when it is
 * first seen, and goes when that time has come. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/codec.h"
#include "log/log_int.h"

enum { MAP_ENTRIES = 1 << 20 }; /* 24 MiB at most; a pass that learns more keys than this ends there, the next goes on */
static struct tm_metric cleaned_bytes = TM_COUNTER("tidemill_log_compacted_bytes_total", "Bytes that compaction gave back.");

/* ---- the newest offset of each key, by 128 bits of hash ---- */
struct key_entry {
	uint64_t hash, check;
	int64_t offset;
};
struct key_map {
	struct key_entry *entries;
	size_t cap, count;
};

static struct key_entry *key_slot(const struct key_map *m, struct tm_str key)
{
	uint64_t hash = tm_xxh64(key.at, key.len, 1), check = tm_xxh64(key.at, key.len, 2);
	size_t i = hash & (m->cap - 1);
	while (m->entries[i].offset >= 0 && (m->entries[i].hash != hash || m->entries[i].check != check))
		i = (i + 1) & (m->cap - 1);
	if (m->entries[i].offset < 0) {
		m->entries[i].hash = hash;
		m->entries[i].check = check;
	}
	return &m->entries[i];
}

static void key_map_grow(struct key_map *m)
{
	struct key_map bigger = {.cap = m->cap ? m->cap * 2 : 1024, .count = m->count};
	bigger.entries = tm_alloc(tm_mul_size(bigger.cap, sizeof *bigger.entries));
	for (size_t i = 0; i < bigger.cap; i++)
		bigger.entries[i].offset = -1;
	for (size_t i = 0; i < m->cap; i++) {
		if (m->entries[i].offset < 0)
			continue;
		size_t k = m->entries[i].hash & (bigger.cap - 1);
		while (bigger.entries[k].offset >= 0)
			k = (k + 1) & (bigger.cap - 1);
		bigger.entries[k] = m->entries[i];
	}
	free(m->entries);
	*m = bigger;
}

/* ---- one pass ---- */
struct pass {
	struct tm_partition *p;
	const struct tm_env *env;
	const struct tm_settings *settings;
	struct {
		struct tm_segment **items;
		size_t count, cap;
	} segments; /* references; cleanable ones from the front */
	struct {
		struct tm_aborted *items;
		size_t count, cap;
	} aborted;
	int64_t dirty_from, behind; /* keys of offsets in between were learnt */
	int64_t end;                /* behind the last cleanable segment */
	int64_t now_ms;
	struct key_map keys;
	struct tm_arena arena;
	struct tm_buf bytes;
};

/* The batch at position of s, checked, in pass->bytes. TM_NOT_FOUND at the end. */
static tm_rc load_batch(struct pass *pass, struct tm_segment *s, int64_t position, struct tm_batch_info *ret, struct tm_err *err)
{
	TM_TRY(tm_segment_head(pass->env, s, position, ret, err));
	pass->bytes.len = 0;
	size_t n = ret->bytes;
	ssize_t got = pass->env->ops->pread(pass->env, s->fd, tm_buf_extend(&pass->bytes, n), n, position);
	if (got < 0)
		return tm_fail_errno(err, (int)-got, "%s.log", s->path);
	struct tm_str rest = tm_buf_str(&pass->bytes);
	if ((size_t)got != n || tm_batch_next(&rest, true, ret, err) != TM_OK)
		return tm_fail(err, TM_CORRUPT, "%s.log is damaged at byte %lld; it is not compacted", s->path, (long long)position);
	return TM_OK;
}

static bool was_aborted(const struct pass *pass, const struct tm_batch_info *b)
{
	if (!b->transactional || b->control)
		return false;
	for (size_t i = 0; i < pass->aborted.count; i++) {
		const struct tm_aborted *a = &pass->aborted.items[i];
		if (a->producer_id == b->producer_id && b->base_offset >= a->first_offset && b->base_offset < a->last_offset)
			return true;
	}
	return false;
}

static tm_rc learn_key(void *ctx, const struct tm_record *r)
{
	struct pass *pass = ctx;
	if (r->key_null || r->offset < pass->dirty_from)
		return TM_OK;
	if ((pass->keys.count + 1) * 4 > pass->keys.cap * 3)
		key_map_grow(&pass->keys);
	struct key_entry *e = key_slot(&pass->keys, r->key);
	if (e->offset < 0)
		pass->keys.count++;
	e->offset = r->offset;
	return TM_OK;
}

static tm_rc learn(struct pass *pass, struct tm_err *err)
{
	pass->behind = pass->dirty_from;
	for (size_t i = 0; i < pass->segments.count; i++) {
		struct tm_segment *s = pass->segments.items[i];
		int64_t next = i + 1 < pass->segments.count ? pass->segments.items[i + 1]->base_offset : pass->end;
		if (next <= pass->dirty_from)
			continue;
		for (int64_t position = 0; position < s->size;) {
			struct tm_batch_info b;
			TM_TRY(load_batch(pass, s, position, &b, err));
			tm_arena_reset(&pass->arena);
			if (!b.control && tm_batch_last_offset(&b) >= pass->dirty_from && !was_aborted(pass, &b))
				TM_TRY(tm_batch_each(&b, &pass->arena, learn_key, pass, err));
			position += (int64_t)b.bytes;
			pass->behind = tm_batch_last_offset(&b) + 1;
			if (pass->keys.count >= MAP_ENTRIES)
				return TM_OK;
		}
		pass->behind = next;
	}
	return TM_OK;
}

/* Whether a record stays. *tombstone is set when it stays as one. */
static bool stays(struct pass *pass, const struct tm_batch_info *b, const struct tm_record *r, bool *ret_tombstone)
{
	if (r->offset >= pass->behind)
		return true;
	if (r->key_null)
		return false;
	struct key_entry *e = pass->keys.cap ? key_slot(&pass->keys, r->key) : NULL;
	if (e && e->offset > r->offset)
		return false;
	if (!r->value_null)
		return true;
	bool horizon = b->attributes & TM_ATTR_DELETE_HORIZON;
	if (horizon && b->base_timestamp_ms <= pass->now_ms)
		return false;
	*ret_tombstone = true;
	return true;
}

/* Appends what stays of the batch to out. */
static tm_rc filter_batch(struct pass *pass, const struct tm_batch_info *b, struct tm_buf *out, struct tm_err *err)
{
	struct tm_record *records;
	size_t count, kept = 0;
	bool tombstone = false, horizon = b->attributes & TM_ATTR_DELETE_HORIZON;
	if (b->base_offset >= pass->behind) {
		tm_buf_str_put(out, tm_buf_str(&pass->bytes));
		return TM_OK;
	}
	if (was_aborted(pass, b))
		return TM_OK;
	tm_arena_reset(&pass->arena);
	TM_TRY(tm_batch_records(b, &pass->arena, &records, &count, err));
	if (b->control) {
		if (horizon && b->base_timestamp_ms <= pass->now_ms)
			return TM_OK;
		tombstone = true;
		kept = count;
	}
	for (size_t i = 0; i < count && !b->control; i++)
		if (stays(pass, b, &records[i], &tombstone))
			records[kept++] = records[i];
	if (kept == 0)
		return TM_OK;
	if (kept == count && (!tombstone || horizon)) {
		tm_buf_str_put(out, tm_buf_str(&pass->bytes));
		return TM_OK;
	}
	struct tm_batch_compose c = tm_batch_compose_as(b);
	if (tombstone && !horizon) {
		c.attributes |= TM_ATTR_DELETE_HORIZON;
		c.base_timestamp_ms = pass->now_ms + pass->settings->delete_retention_ms;
	}
	return tm_batch_compose(&c, records, kept, out, err);
}

/* ---- writing a group of segments anew ---- */
static tm_rc write_group(struct pass *pass, size_t first, size_t count, const char *path, int64_t *ret_size, struct tm_err *err)
{
	struct tm_buf out = {0};
	int64_t size = 0;
	tm_rc rc = TM_OK;
	int fd = pass->env->ops->open(pass->env, path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return tm_fail_errno(err, -fd, "%s", path);
	for (size_t i = first; i < first + count && rc == TM_OK; i++) {
		struct tm_segment *s = pass->segments.items[i];
		for (int64_t position = 0; position < s->size && rc == TM_OK;) {
			struct tm_batch_info b = {0};
			rc = load_batch(pass, s, position, &b, err);
			if (rc == TM_OK)
				rc = filter_batch(pass, &b, &out, err);
			position += (int64_t)b.bytes;
			bool last = i + 1 == first + count && position >= s->size;
			if (rc == TM_OK && out.len && (out.len >= TM_MIB || last)) {
				ssize_t n = pass->env->ops->pwrite(pass->env, fd, out.at, out.len, size);
				if (n < 0)
					rc = tm_fail_errno(err, (int)-n, "%s", path);
				size += (int64_t)out.len;
				out.len = 0;
			}
		}
	}
	if (rc == TM_OK && out.len) { /* the group ends with an empty segment */
		ssize_t n = pass->env->ops->pwrite(pass->env, fd, out.at, out.len, size);
		if (n < 0)
			rc = tm_fail_errno(err, (int)-n, "%s", path);
		size += (int64_t)out.len;
	}
	if (rc == TM_OK) {
		int synced = pass->env->ops->fdatasync(pass->env, fd);
		if (synced < 0)
			rc = tm_fail_errno(err, -synced, "%s", path);
	}
	close(fd);
	tm_buf_done(&out);
	if (rc != TM_OK)
		pass->env->ops->unlink(pass->env, path);
	*ret_size = size;
	return rc;
}

/* Puts the written file in the place of the group; the partition's lock is held. False when the segments are not what
 * they were (retention came between). */
static tm_rc exchange(struct pass *pass, size_t first, size_t count, const char *cleaned, int64_t size, bool *ret_done, struct tm_err *err)
{
	struct tm_partition *p = pass->p;
	struct tm_segment *head = pass->segments.items[first];
	int64_t next = first + count < pass->segments.count ? pass->segments.items[first + count]->base_offset : pass->end;
	char swap[TM_LOG_PATH_MAX + 64], log_path[TM_LOG_PATH_MAX + 16];
	size_t at = 0;
	*ret_done = false;
	while (at < p->segments.count && p->segments.items[at] != head)
		at++;
	if (p->deleted || at + count >= p->segments.count)
		return TM_OK;
	for (size_t i = 0; i < count; i++)
		if (p->segments.items[at + i] != pass->segments.items[first + i])
			return TM_OK;
	snprintf(swap, sizeof swap, "%s-%020lld.swap", head->path, (long long)next);
	snprintf(log_path, sizeof log_path, "%s.log", head->path);
	int rc = pass->env->ops->rename(pass->env, cleaned, swap);
	if (rc < 0)
		return tm_fail_errno(err, -rc, "%s", swap);
	TM_TRY(tm_dir_sync(p->dir, err));
	for (size_t i = 0; i < count; i++)
		tm_segment_remove_files(pass->env, p->segments.items[at + i]);
	rc = pass->env->ops->rename(pass->env, swap, log_path);
	if (rc < 0)
		return tm_fail_errno(err, -rc, "%s", log_path);
	struct tm_segment *s = tm_segment_new(p->dir, head->base_offset);
	s->size = s->synced = s->unchecked = size;
	for (size_t i = 0; i < count; i++) {
		tm_metric_add(&cleaned_bytes, p->segments.items[at + i]->size);
		tm_segment_unref(p->segments.items[at + i]);
	}
	tm_metric_add(&cleaned_bytes, -size);
	p->segments.items[at] = s;
	p->segments.count -= count - 1;
	memmove(p->segments.items + at + 1, p->segments.items + at + count, (p->segments.count - at - 1) * sizeof *p->segments.items);
	for (size_t i = 0; i < sizeof p->readers / sizeof *p->readers; i++)
		p->readers[i].offset = -1;
	for (size_t i = 0; i < p->producers.aborted.count; i++) {
		const struct tm_aborted *a = &p->producers.aborted.items[i];
		if (a->last_offset >= s->base_offset && a->last_offset < next)
			TM_TRY(tm_partition_txnindex_add(p, s, a, err));
	}
	*ret_done = true;
	return tm_dir_sync(p->dir, err);
}

/* Whether the pass is worth it, by Kafka's rule; the segments are in pass->segments then. The lock is held. */
static bool choose(struct pass *pass, bool force)
{
	struct tm_partition *p = pass->p;
	const struct tm_settings *s = pass->settings;
	int64_t stable = tm_partition_last_stable(p), clean_bytes = 0, dirty_bytes = 0, oldest_ms = INT64_MAX;
	size_t n = 0;
	for (; n + 1 < p->segments.count; n++) {
		struct tm_segment *seg = p->segments.items[n];
		bool rebuilt = false;
		if (p->segments.items[n + 1]->base_offset > stable || p->segments.items[n + 1]->base_offset > p->durable)
			break;
		if (tm_segment_load(pass->env, seg, &rebuilt, NULL) != TM_OK)
			break;
		if (s->min_compaction_lag_ms > 0 && pass->now_ms - seg->max_timestamp_ms < s->min_compaction_lag_ms)
			break;
		bool dirty = p->segments.items[n + 1]->base_offset > p->cleaned_to;
		*(dirty ? &dirty_bytes : &clean_bytes) += seg->size;
		if (dirty && seg->first_timestamp_ms >= 0 && seg->first_timestamp_ms < oldest_ms)
			oldest_ms = seg->first_timestamp_ms;
	}
	if (n == 0)
		return false;
	bool due = dirty_bytes > 0 && (double)dirty_bytes >= s->min_cleanable_dirty_ratio * (double)(dirty_bytes + clean_bytes);
	due |= dirty_bytes > 0 && oldest_ms < INT64_MAX && pass->now_ms - oldest_ms > s->max_compaction_lag_ms;
	if (!due && !force)
		return false;
	for (size_t i = 0; i < n; i++)
		TM_PUSH(&pass->segments, tm_segment_ref(p->segments.items[i]));
	for (size_t i = 0; i < p->producers.aborted.count; i++)
		TM_PUSH(&pass->aborted, p->producers.aborted.items[i]);
	pass->dirty_from = p->cleaned_to > p->segments.items[0]->base_offset ? p->cleaned_to : p->segments.items[0]->base_offset;
	pass->end = p->segments.items[n]->base_offset;
	return true;
}

static tm_rc clean(struct pass *pass, struct tm_err *err)
{
	struct tm_partition *p = pass->p;
	TM_TRY(learn(pass, err));
	for (size_t first = 0; first < pass->segments.count;) {
		int64_t total = pass->segments.items[first]->size, size = 0;
		size_t count = 1;
		while (first + count < pass->segments.count &&
		       total + pass->segments.items[first + count]->size <= pass->settings->segment_bytes &&
		       (first + count + 1 < pass->segments.count ? pass->segments.items[first + count + 1]->base_offset : pass->end) -
			       pass->segments.items[first]->base_offset <=
			   INT32_MAX)
			total += pass->segments.items[first + count++]->size;
		char path[TM_LOG_PATH_MAX + 16];
		bool done;
		snprintf(path, sizeof path, "%s.cleaned", pass->segments.items[first]->path);
		TM_TRY(write_group(pass, first, count, path, &size, err));
		pthread_mutex_lock(&p->lock);
		tm_rc rc = exchange(pass, first, count, path, size, &done, err);
		pthread_mutex_unlock(&p->lock);
		TM_TRY(rc);
		if (!done) {
			pass->env->ops->unlink(pass->env, path);
			return TM_OK;
		}
		first += count;
	}
	pthread_mutex_lock(&p->lock);
	p->cleaned_to = pass->behind;
	tm_rc rc = p->deleted ? TM_OK : tm_marks_put(p, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

tm_rc tm_partition_compact(struct tm_partition *p, bool force, struct tm_err *err)
{
	struct pass pass = {.p = p, .env = p->log->env, .settings = tm_topic_settings(p->topic), .now_ms = tm_now_ms(p->log->env)};
	tm_rc rc = TM_OK;
	pthread_mutex_lock(&p->lock);
	bool go = !p->deleted && !p->failed;
	if (go && force && tm_partition_active(p) && tm_partition_active(p)->size && p->durable == p->end)
		rc = tm_partition_roll(p, err);
	go = go && rc == TM_OK && choose(&pass, force);
	pthread_mutex_unlock(&p->lock);
	if (go) {
		tm_arena_init(&pass.arena);
		rc = clean(&pass, err);
		tm_arena_done(&pass.arena);
	}
	for (size_t i = 0; i < pass.segments.count; i++)
		tm_segment_unref(pass.segments.items[i]);
	free(pass.segments.items);
	free(pass.aborted.items);
	free(pass.keys.entries);
	tm_buf_done(&pass.bytes);
	return rc;
}

/* At start: what a crash left of an exchange. True when files changed. */
static bool finish_swap(struct tm_partition *p, const char *name, char **names, size_t count)
{
	int64_t first, behind, base;
	char from[TM_LOG_PATH_MAX + 300], to[TM_LOG_PATH_MAX + 300];
	struct tm_str s = tm_str_of(name);
	if (s.len != 20 + 1 + 20 + 5 || !tm_str_to_i64(tm_str_n(name, 20), &first) || !tm_str_to_i64(tm_str_n(name + 21, 20), &behind))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct tm_str n = tm_str_of(names[i]);
		bool part = tm_str_ends(n, TM_STR(".log")) || tm_str_ends(n, TM_STR("index"));
		if (!part || n.len < 24 || names[i][20] != '.' || !tm_str_to_i64(tm_str_n(names[i], 20), &base) || base < first ||
		    base >= behind)
			continue;
		snprintf(from, sizeof from, "%s/%s", p->dir, names[i]);
		p->log->env->ops->unlink(p->log->env, from);
	}
	snprintf(from, sizeof from, "%s/%s", p->dir, name);
	snprintf(to, sizeof to, "%s/%020lld.log", p->dir, (long long)first);
	p->log->env->ops->rename(p->log->env, from, to);
	return true;
}

bool tm_partition_finish_swaps(struct tm_partition *p, char **names, size_t count)
{
	bool changed = false;
	for (size_t i = 0; i < count; i++) {
		char path[TM_LOG_PATH_MAX + 300];
		if (tm_str_ends(tm_str_of(names[i]), TM_STR(".swap")))
			changed |= finish_swap(p, names[i], names, count);
		if (!tm_str_ends(tm_str_of(names[i]), TM_STR(".cleaned")))
			continue;
		snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
		p->log->env->ops->unlink(p->log->env, path);
		changed = true;
	}
	return changed;
}
