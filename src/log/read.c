/* Reading: whole batches by offset, offsets by time. The lock is held to find the place; the bytes are read without it,
 * from a segment that the reference keeps alive even when retention removes it meanwhile. */
#include <stdlib.h>
#include "log/log_int.h"

static struct tm_metric bytes_out = TM_COUNTER("tidemill_log_bytes_read_total", "Bytes of record batches read.");
static struct tm_metric damaged = TM_COUNTER("tidemill_log_damaged_reads_total", "Reads that met a damaged batch.");

static tm_rc with_code(struct tm_err *err, int code, tm_rc rc)
{
	if (err)
		err->code = code;
	return rc;
}

static tm_rc partition_of(struct tm_topic *topic, int32_t number, struct tm_partition **ret, struct tm_err *err)
{
	struct tm_partition *p = tm_topic_partition(topic, number);
	if (p)
		pthread_mutex_lock(&p->lock);
	if (p && !p->deleted) {
		*ret = p;
		return TM_OK;
	}
	if (p)
		pthread_mutex_unlock(&p->lock);
	return with_code(err, TM_KAFKA_UNKNOWN_TOPIC, tm_fail(err, TM_NOT_FOUND, "there is no partition %s-%d", topic->name, number));
}

static struct tm_log_offsets offsets_locked(struct tm_partition *p)
{
	return (struct tm_log_offsets){
	    .start = p->start, .high_watermark = p->hw, .last_stable = tm_partition_last_stable(p), .end = p->end};
}

tm_rc tm_log_offsets(struct tm_topic *topic, int32_t partition, struct tm_log_offsets *ret, struct tm_err *err)
{
	struct tm_partition *p;
	TM_TRY(partition_of(topic, partition, &p, err));
	*ret = offsets_locked(p);
	pthread_mutex_unlock(&p->lock);
	return TM_OK;
}

int64_t tm_log_partition_bytes(struct tm_topic *topic, int32_t partition)
{
	struct tm_partition *p;
	if (partition_of(topic, partition, &p, NULL) != TM_OK)
		return 0;
	int64_t n = tm_partition_size(p);
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* Where to read: set under the lock, used without. */
struct place {
	struct tm_segment *segment; /* a reference */
	int64_t position, limit, unchecked;
	int64_t next_base;   /* of the segment behind, -1 = none */
	int64_t least, most; /* offsets of the batches from position to limit are within: they are not under the checksum */
};

static void say_rebuilt(struct tm_partition *p, const struct tm_segment *s)
{
	tm_log_found(p->log, "the index of %s.log was damaged and has been made anew", s->path);
}

static tm_rc find_place(struct tm_partition *p, int64_t offset, struct place *ret, struct tm_err *err)
{
	size_t i = tm_partition_segment_of(p, offset);
	struct tm_segment *s = p->segments.items[i];
	int64_t position = -1;
	for (size_t k = 0; k < sizeof p->readers / sizeof *p->readers; k++)
		if (p->readers[k].offset == offset && p->readers[k].base == s->base_offset) {
			position = p->readers[k].position;
			p->readers[k].offset = -1;
			break;
		}
	TM_TRY(tm_segment_open(p->log->env, s, false, err));
	if (position < 0) {
		bool rebuilt = false;
		tm_rc rc = tm_segment_seek(p->log->env, s, offset, &position, &rebuilt, err);
		if (rebuilt)
			say_rebuilt(p, s);
		TM_TRY(rc);
	}
	*ret = (struct place){tm_segment_ref(s),
			      position,
			      tm_partition_limit(p, s),
			      s->unchecked,
			      i + 1 < p->segments.count ? p->segments.items[i + 1]->base_offset : -1,
			      s->base_offset,
			      p->hw - 1};
	return TM_OK;
}

static tm_rc rotten(struct tm_partition *p, const struct place *at, int64_t position, struct tm_err *err)
{
	tm_metric_add(&damaged, 1);
	tm_log_found(p->log, "%s.log is damaged at byte %lld: the batch there does not fit its checksum", at->segment->path,
		     (long long)position);
	return with_code(err, TM_KAFKA_CORRUPT,
			 tm_fail(err, TM_CORRUPT, "%s.log is damaged at byte %lld", at->segment->path, (long long)position));
}

/* A head that can stand at this position, behind the batches before it. */
static bool fits(const struct place *at, int64_t position, const char *head, const struct tm_batch_info *b)
{
	return head[TM_BATCH_MAGIC] == 2 && b->bytes >= TM_BATCH_HEAD && (int64_t)b->bytes <= at->limit - position &&
	       b->last_offset_delta >= 0 && b->base_offset >= at->least && tm_batch_last_offset(b) <= at->most;
}

/* Skips batches that end before offset; *at moves. */
static tm_rc skip_to(struct tm_partition *p, struct place *at, int64_t offset, struct tm_err *err)
{
	while (at->position < at->limit) {
		struct tm_batch_info b;
		char head[TM_BATCH_HEAD];
		const struct tm_env *env = p->log->env;
		ssize_t n = env->ops->pread(env, at->segment->fd, head, sizeof head, at->position);
		if (n < 0)
			return tm_fail_errno(err, (int)-n, "%s.log", at->segment->path);
		tm_batch_head(head, &b);
		if (n < (ssize_t)sizeof head || !fits(at, at->position, head, &b))
			return rotten(p, at, at->position, err);
		if (tm_batch_last_offset(&b) >= offset)
			return TM_OK;
		at->least = tm_batch_last_offset(&b) + 1;
		at->position += (int64_t)b.bytes;
	}
	return TM_OK;
}

/* How many whole batches are in bytes, up to most and below the offset `before`; the last one's end is *ret_next. */
static tm_rc count_whole(struct tm_partition *p, struct place *at, const char *bytes, size_t len, size_t most, bool at_least_one,
			 int64_t before, size_t *ret_used, size_t *ret_wanted, int64_t *ret_next, bool *ret_stop, struct tm_err *err)
{
	size_t used = 0;
	*ret_wanted = 0;
	while (used < len) {
		struct tm_batch_info b;
		const char *h = bytes + used;
		if (len - used < TM_BATCH_HEAD) {
			*ret_wanted = TM_BATCH_HEAD;
			break;
		}
		tm_batch_head(h, &b);
		int64_t position = at->position + (int64_t)used;
		if (!fits(at, position, h, &b)) {
			if (used == 0)
				return rotten(p, at, position, err);
			*ret_stop = true; /* what is before is good; the next read meets it first */
			break;
		}
		if (b.base_offset >= before) {
			*ret_stop = true;
			break;
		}
		if (used + b.bytes > most && !(at_least_one && used == 0)) {
			*ret_stop = true;
			break;
		}
		if (b.bytes > len - used) {
			*ret_wanted = b.bytes;
			break;
		}
		if (position < at->unchecked &&
		    tm_crc32c(0, h + TM_BATCH_ATTRIBUTES, b.bytes - TM_BATCH_ATTRIBUTES) != (uint32_t)tm_be32_at(h + TM_BATCH_CRC)) {
			if (used == 0)
				return rotten(p, at, position, err);
			*ret_stop = true;
			break;
		}
		used += b.bytes;
		at->least = *ret_next = tm_batch_last_offset(&b) + 1;
	}
	*ret_used = used;
	return TM_OK;
}

/* Reads from one segment. *ret_next is where the next read goes on; *ret_stop when no more is wanted. */
static tm_rc read_segment(struct tm_partition *p, struct place *at, const struct tm_log_read *r, size_t had, int64_t before,
			  struct tm_buf *out, int64_t *ret_next, bool *ret_stop, struct tm_err *err)
{
	const struct tm_env *env = p->log->env;
	size_t most = r->max_bytes > had ? r->max_bytes - had : 0;
	bool one = r->at_least_one && had == 0;
	size_t want = most < 4096 ? 4096 : most; /* a little more than asked for: the first batch is often whole then */
	for (;;) {
		size_t left = (size_t)(at->limit - at->position), n = want < left ? want : left, used = 0, wanted = 0;
		if (n == 0)
			return TM_OK;
		char *to = tm_buf_reserve(out, n);
		ssize_t got = env->ops->pread(env, at->segment->fd, to, n, at->position);
		if (got < 0)
			return tm_fail_errno(err, (int)-got, "%s.log", at->segment->path);
		if (got == 0)
			return rotten(p, at, at->position, err); /* the file is shorter than it was */
		TM_TRY(count_whole(p, at, to, (size_t)got, most, one, before, &used, &wanted, ret_next, ret_stop, err));
		if (used == 0 && wanted && wanted > n && n < left) {
			want = wanted;
			continue;
		}
		if (used == 0 && wanted && (size_t)got < n)
			return rotten(p, at, at->position, err);
		if (wanted)
			*ret_stop = true;
		out->len += used;
		at->position += (int64_t)used;
		tm_metric_add(&bytes_out, (int64_t)used);
		return TM_OK;
	}
}

static void remember(struct tm_partition *p, int64_t offset, int64_t base, int64_t position)
{
	size_t n = sizeof p->readers / sizeof *p->readers, i = 0;
	while (i < n && p->readers[i].offset >= 0)
		i++;
	if (i == n)
		i = p->next_reader++ % n;
	p->readers[i].offset = offset;
	p->readers[i].base = base;
	p->readers[i].position = position;
}

static void list_aborted(struct tm_partition *p, struct tm_log_read *r, int64_t end, struct tm_arena *arena)
{
	struct {
		struct tm_log_aborted *items;
		size_t count, cap;
	} list = {0};
	for (size_t i = 0; i < p->producers.aborted.count; i++) {
		struct tm_aborted a = p->producers.aborted.items[i];
		if (a.last_offset >= r->offset && a.first_offset < end)
			TM_PUSH_IN(arena, &list, (struct tm_log_aborted){a.producer_id, a.first_offset});
	}
	r->aborted = list.items;
	r->aborted_count = list.count;
}

tm_rc tm_log_read(struct tm_topic *topic, int32_t partition, struct tm_log_read *r, struct tm_arena *arena, struct tm_buf *out,
		  struct tm_err *err)
{
	struct tm_partition *p;
	size_t start = out->len;
	int64_t next = r->offset;
	r->aborted = NULL;
	r->aborted_count = 0;
	TM_TRY(partition_of(topic, partition, &p, err));
	r->offsets = offsets_locked(p);
	int64_t before = r->committed ? r->offsets.last_stable : p->hw;
	if (r->offset < p->start || r->offset > p->hw) {
		pthread_mutex_unlock(&p->lock);
		return with_code(err, TM_KAFKA_OFFSET_OUT_OF_RANGE,
				 tm_fail(err, TM_INVALID, "offset %lld of %s-%d is outside %lld to %lld", (long long)r->offset, topic->name,
					 partition, (long long)r->offsets.start, (long long)r->offsets.high_watermark));
	}
	bool stop = r->offset >= before || p->segments.count == 0;
	tm_rc rc = TM_OK;
	while (!stop && rc == TM_OK) {
		struct place at;
		rc = find_place(p, next, &at, err);
		if (rc != TM_OK)
			break;
		pthread_mutex_unlock(&p->lock);
		rc = skip_to(p, &at, next, err);
		if (rc == TM_OK)
			rc = read_segment(p, &at, r, out->len - start, before, out, &next, &stop, err);
		bool full = out->len - start >= r->max_bytes;
		pthread_mutex_lock(&p->lock);
		if (rc == TM_OK && at.position < at.limit)
			remember(p, next, at.segment->base_offset, at.position);
		if (rc == TM_OK && at.position >= at.limit) { /* on to the next segment, or the end */
			if (at.limit == at.segment->size && at.next_base >= 0 && at.next_base < before)
				next = next > at.next_base ? next : at.next_base;
			else
				remember(p, next, at.segment->base_offset, at.position), stop = true;
		}
		stop |= full || p->deleted;
		tm_segment_unref(at.segment);
	}
	if (r->committed && arena)
		list_aborted(p, r, next > r->offset ? next : before, arena);
	pthread_mutex_unlock(&p->lock);
	if (rc == TM_CORRUPT && out->len > start)
		rc = TM_OK; /* what came before the damage is given; the next read meets it */
	if (rc != TM_OK)
		out->len = start;
	return rc;
}

/* ---- offsets by time ---- */
struct find_time {
	int64_t least_ms, least_offset, offset, timestamp_ms;
};

static tm_rc first_in_batch(void *ctx, const struct tm_record *r)
{
	struct find_time *f = ctx;
	if (f->offset < 0 && r->timestamp_ms >= f->least_ms && r->offset >= f->least_offset) {
		f->offset = r->offset;
		f->timestamp_ms = r->timestamp_ms;
	}
	return TM_OK;
}

/* Looks through the segment's batches from position on for the first that reaches f->least_ms. */
static tm_rc scan_for_time(struct tm_partition *p, struct tm_segment *s, int64_t position, struct find_time *f, struct tm_err *err)
{
	int64_t limit = tm_partition_limit(p, s);
	while (position < limit && f->offset < 0) {
		struct tm_batch_info b;
		TM_TRY(tm_segment_head(p->log->env, s, position, &b, err));
		if (b.max_timestamp_ms >= f->least_ms && tm_batch_last_offset(&b) >= f->least_offset && !b.control) {
			struct tm_buf bytes = {0};
			struct tm_arena arena;
			tm_arena_init(&arena);
			ssize_t n = p->log->env->ops->pread(p->log->env, s->fd, tm_buf_extend(&bytes, b.bytes), b.bytes, position);
			struct tm_str rest = tm_buf_str(&bytes);
			tm_rc rc = n == (ssize_t)b.bytes ? tm_batch_next(&rest, true, &b, err)
							 : tm_fail(err, TM_CORRUPT, "%s.log ends too early", s->path);
			if (rc == TM_OK)
				rc = tm_batch_each(&b, &arena, first_in_batch, f, err);
			tm_arena_done(&arena);
			tm_buf_done(&bytes);
			TM_TRY(rc);
		}
		position += (int64_t)b.bytes;
	}
	return TM_OK;
}

static tm_rc offset_for_time(struct tm_partition *p, int64_t timestamp_ms, struct find_time *f, struct tm_err *err)
{
	const struct tm_env *env = p->log->env;
	struct tm_segment *largest = NULL;
	for (size_t i = 0; i < p->segments.count && f->offset < 0; i++) {
		struct tm_segment *s = p->segments.items[i];
		bool rebuilt = false;
		int64_t position;
		if (s->size == 0)
			continue;
		TM_TRY(tm_segment_load(env, s, &rebuilt, err));
		if (timestamp_ms == -3) {
			if (!largest || s->max_timestamp_ms > largest->max_timestamp_ms)
				largest = s;
		} else if (s->max_timestamp_ms >= timestamp_ms) {
			TM_TRY(tm_segment_seek_time(env, s, timestamp_ms, &position, &rebuilt, err));
			TM_TRY(scan_for_time(p, s, position, f, err));
		}
		if (rebuilt)
			say_rebuilt(p, s);
	}
	if (largest) {
		bool rebuilt = false;
		int64_t position;
		f->least_ms = largest->max_timestamp_ms;
		TM_TRY(tm_segment_seek_time(env, largest, f->least_ms, &position, &rebuilt, err));
		TM_TRY(scan_for_time(p, largest, position, f, err));
	}
	return TM_OK;
}

tm_rc tm_log_offset_for_time(struct tm_topic *topic, int32_t partition, int64_t timestamp_ms, int64_t *ret_offset,
			     int64_t *ret_timestamp_ms, struct tm_err *err)
{
	struct tm_partition *p;
	TM_TRY(partition_of(topic, partition, &p, err));
	struct find_time f = {timestamp_ms, p->start, -1, -1};
	tm_rc rc = offset_for_time(p, timestamp_ms, &f, err);
	pthread_mutex_unlock(&p->lock);
	TM_TRY(rc);
	*ret_offset = f.offset;
	*ret_timestamp_ms = f.timestamp_ms;
	return TM_OK;
}

tm_rc tm_log_delete_records(struct tm_topic *topic, int32_t partition, int64_t before_offset, int64_t *ret_start, struct tm_err *err)
{
	struct tm_partition *p;
	const struct tm_settings *settings = tm_topic_settings(topic);
	TM_TRY(partition_of(topic, partition, &p, err));
	tm_rc rc = TM_OK;
	int64_t to = before_offset == -1 ? p->hw : before_offset;
	if (!settings->remove)
		rc = with_code(err, TM_KAFKA_POLICY_VIOLATION,
			       tm_fail(err, TM_INVALID, "%s is compacted: records cannot be deleted by offset", topic->name));
	else if (to < 0 || to > p->hw)
		rc = with_code(err, TM_KAFKA_OFFSET_OUT_OF_RANGE,
			       tm_fail(err, TM_INVALID, "offset %lld is above the high-water mark %lld", (long long)to, (long long)p->hw));
	if (rc == TM_OK && to > p->start) {
		tm_partition_move_start(p, to);
		rc = tm_marks_put(p, err);
	}
	int64_t start = p->start;
	pthread_mutex_unlock(&p->lock);
	TM_TRY(rc);
	TM_TRY(tm_marks_sync(topic->log, err));
	*ret_start = start;
	return TM_OK;
}

tm_rc tm_log_producers(struct tm_topic *topic, int32_t partition, struct tm_arena *arena, struct tm_log_producer **ret, size_t *ret_count,
		       struct tm_err *err)
{
	struct tm_partition *p;
	TM_TRY(partition_of(topic, partition, &p, err));
	struct tm_log_producer *list = TM_NEW_N(arena, struct tm_log_producer, p->producers.count ? p->producers.count : 1);
	size_t n = 0;
	for (size_t i = 0; i < p->producers.cap; i++) {
		const struct tm_producer *x = p->producers.slots[i];
		if (x)
			list[n++] = (struct tm_log_producer){x->id,
							     x->last_timestamp_ms,
							     x->txn_first,
							     x->epoch,
							     x->count ? x->batches[x->count - 1].last_sequence : -1,
							     x->coordinator_epoch};
	}
	pthread_mutex_unlock(&p->lock);
	*ret = list;
	*ret_count = n;
	return TM_OK;
}
