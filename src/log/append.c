/* Appending: what a producer sent is checked without any lock, then gets its offsets and is written under the partition's.
 * The bytes go to the page cache as they came, by one pwritev; only the head of each batch is a patched copy. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include "log/codec.h"
#include "log/log_int.h"

static struct tm_metric batches_in = TM_COUNTER("tidemill_log_batches_appended_total", "Record batches appended.");
static struct tm_metric records_in = TM_COUNTER("tidemill_log_records_appended_total", "Records appended.");
static struct tm_metric bytes_in = TM_COUNTER("tidemill_log_bytes_appended_total", "Bytes of record batches appended.");
static struct tm_metric duplicates =
    TM_COUNTER("tidemill_log_duplicate_batches_total", "Batches of idempotent producers that were there already.");
static struct tm_metric refused = TM_COUNTER("tidemill_log_batches_refused_total", "Appends refused.");

/* One batch on its way in. */
struct incoming {
	struct tm_batch_info info;
	char head[TM_BATCH_HEAD];
	struct tm_str body;
};
struct plan {
	struct incoming one, *items; /* items = &one, or on the heap */
	size_t count;
	struct tm_buf recoded; /* batches rewritten for compression.type */
};

static tm_rc refuse(struct tm_log_append *a, tm_rc rc, int code, const char *message)
{
	a->rc = rc;
	a->kafka_error = code;
	a->base_offset = -1;
	snprintf(a->message, sizeof a->message, "%.*s", (int)sizeof a->message - 1, message);
	tm_metric_add(&refused, 1);
	return rc;
}

static tm_rc refuse_err(struct tm_log_append *a, const struct tm_err *err)
{
	return refuse(a, err->rc, err->code ? err->code : tm_rc_kafka(err->rc), err->what);
}

/* Kafka checks these of a batch that a client sends, in this order. */
static tm_rc check_head(struct tm_log_append *a, const struct tm_batch_info *b, const struct tm_settings *s)
{
	if (b->base_offset != 0)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
	if (b->bytes > (size_t)s->max_message_bytes)
		return refuse(a, TM_LIMIT, TM_KAFKA_TOO_LARGE, "");
	if (b->count <= 0 || b->last_offset_delta < 0 || b->last_offset_delta != b->count - 1 || b->control)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
	if (b->transactional && b->producer_id < 0)
		return refuse(a, TM_DENIED, TM_KAFKA_TXN_ID_DENIED, "");
	if (b->producer_id >= 0 && b->base_sequence < 0)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
	if (b->producer_id >= 0 && b->producer_epoch < 0)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_EPOCH, "");
	return TM_OK;
}

static void list_bad(struct tm_log_append *a, const struct tm_batch_check *c)
{
	size_t room = sizeof a->bad_records / sizeof *a->bad_records;
	a->bad_record_count = 0;
	for (size_t i = 0; i < c->bad_count && i < room && i < sizeof c->bad / sizeof *c->bad; i++) {
		a->bad_records[i].index = c->bad[i].index;
		a->bad_records[i].timestamp_ms = c->bad[i].timestamp_ms;
		a->bad_record_count++;
	}
	a->bad_least_timestamp_ms = c->least_timestamp_ms;
	a->bad_most_timestamp_ms = c->most_timestamp_ms;
}

static tm_rc check_records(struct tm_log_append *a, const struct tm_batch_info *b, const struct tm_settings *s, int64_t now_ms,
			   int64_t *ret_max)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_batch_check c = {.key_required = s->compact, .least_timestamp_ms = INT64_MIN, .most_timestamp_ms = INT64_MAX};
	struct tm_batch_info as_created = *b;
	as_created.log_append_time = false; /* the bit means nothing in what a client sends */
	if (!s->log_append_time) {
		if (__builtin_sub_overflow(now_ms, s->timestamp_before_max_ms, &c.least_timestamp_ms))
			c.least_timestamp_ms = INT64_MIN;
		if (__builtin_add_overflow(now_ms, s->timestamp_after_max_ms, &c.most_timestamp_ms))
			c.most_timestamp_ms = INT64_MAX;
	}
	tm_arena_init(&arena);
	tm_rc rc = tm_batch_check(&as_created, &arena, &c, &err);
	tm_arena_done(&arena);
	if (rc != TM_OK)
		return refuse_err(a, &err);
	*ret_max = c.max_timestamp_ms;
	if (c.bad_count == 0)
		return TM_OK;
	list_bad(a, &c);
	if (c.bad_time)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_TIMESTAMP, "One or more records have been rejected due to invalid timestamp");
	char text[120];
	snprintf(text, sizeof text, "One or more records have been rejected due to %zu record errors in total", c.bad_count);
	return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, text);
}

/* compression.type of the topic is not the producer's: the records are packed anew. */
static tm_rc recode(struct tm_log_append *a, struct plan *plan, struct incoming *in, const struct tm_settings *s)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_record *records;
	size_t count;
	const struct tm_batch_info *b = &in->info;
	tm_arena_init(&arena);
	tm_rc rc = tm_batch_records(b, &arena, &records, &count, &err);
	if (rc == TM_OK) {
		struct tm_batch_compose c = {.codec = (enum tm_codec)s->codec,
					     .level = s->codec == TM_CODEC_GZIP   ? s->gzip_level
						      : s->codec == TM_CODEC_ZSTD ? s->zstd_level
										  : TM_CODEC_LEVEL_DEFAULT,
					     .attributes = (int16_t)(b->attributes & ~TM_ATTR_CODEC),
					     .base_offset = b->base_offset,
					     .base_timestamp_ms = b->base_timestamp_ms,
					     .max_timestamp_ms = b->max_timestamp_ms,
					     .producer_id = b->producer_id,
					     .leader_epoch = 0,
					     .last_offset_delta = b->last_offset_delta,
					     .base_sequence = b->base_sequence,
					     .producer_epoch = b->producer_epoch};
		plan->recoded.len = 0;
		rc = tm_batch_compose(&c, records, count, &plan->recoded, &err);
	}
	tm_arena_done(&arena);
	if (rc != TM_OK)
		return refuse_err(a, &err);
	tm_batch_head(plan->recoded.at, &in->info);
	in->info.records = in->body = tm_str_n(plan->recoded.at + TM_BATCH_HEAD, plan->recoded.len - TM_BATCH_HEAD);
	memcpy(in->head, plan->recoded.at, TM_BATCH_HEAD);
	return TM_OK;
}

/* Sets timestamp type and largest timestamp, where they are not right already; these are under the checksum. */
static void set_time(struct incoming *in, bool append_time, int64_t max_timestamp_ms)
{
	struct tm_batch_info *b = &in->info;
	if (b->log_append_time == append_time && b->max_timestamp_ms == max_timestamp_ms)
		return;
	b->attributes = (int16_t)(append_time ? b->attributes | TM_ATTR_LOG_APPEND_TIME : b->attributes & ~TM_ATTR_LOG_APPEND_TIME);
	b->log_append_time = append_time;
	b->max_timestamp_ms = max_timestamp_ms;
	tm_be16_set(in->head + TM_BATCH_ATTRIBUTES, b->attributes);
	tm_be64_set(in->head + TM_BATCH_MAX_TIMESTAMP, max_timestamp_ms);
	uint32_t crc = tm_crc32c(0, in->head + TM_BATCH_ATTRIBUTES, TM_BATCH_HEAD - TM_BATCH_ATTRIBUTES);
	tm_be32_set(in->head + TM_BATCH_CRC, (int32_t)tm_crc32c(crc, in->body.at, in->body.len));
}

static tm_rc plan_batch(struct tm_log_append *a, struct plan *plan, struct tm_str *rest, const struct tm_settings *s, int64_t now_ms)
{
	struct incoming *in = &plan->items[plan->count];
	struct tm_err err = {0};
	const char *head = rest->at;
	tm_rc rc = tm_batch_next(rest, false, &in->info, &err);
	if (rc == TM_NOT_FOUND)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
	if (rc == TM_CORRUPT && a->from_client && strncmp(err.what, "Record batch", 12) == 0)
		return refuse(a, rc, err.code, "");
	if (rc == TM_UNSUPPORTED)
		return refuse(a, rc, TM_KAFKA_INVALID_RECORD, "");
	if (rc != TM_OK)
		return refuse_err(a, &err);
	memcpy(in->head, head, TM_BATCH_HEAD);
	in->body = in->info.records;
	int64_t max = in->info.max_timestamp_ms;
	if (a->from_client) {
		struct tm_str behind = *rest;
		struct tm_batch_info second;
		if (rest->len &&
		    tm_batch_next(&behind, false, &second, NULL) != TM_NOT_FOUND) /* one batch per partition of a Produce request */
			return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
		if (in->info.base_offset == 0 && in->info.bytes <= (size_t)s->max_message_bytes) {
			uint32_t crc = tm_crc32c(0, head + TM_BATCH_ATTRIBUTES, in->info.bytes - TM_BATCH_ATTRIBUTES);
			if (crc != (uint32_t)tm_be32_at(head + TM_BATCH_CRC))
				return refuse(a, TM_CORRUPT, TM_KAFKA_CORRUPT, "");
		}
		if (rest->len) /* bytes behind it that are no batch */
			return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
		TM_TRY(check_head(a, &in->info, s));
		tm_rc checked = check_records(a, &in->info, s, now_ms, &max);
		if (checked != TM_OK) {
			if (a->kafka_error != TM_KAFKA_INVALID_TIMESTAMP && a->bad_record_count == 0)
				a->message[0] = 0; /* Kafka says no more than the code */
			return checked;
		}
	}
	if (!s->keep_codec && !in->info.control && (int)in->info.codec != s->codec)
		TM_TRY(recode(a, plan, in, s));
	if (s->log_append_time && !in->info.control)
		set_time(in, true, now_ms);
	else if (a->from_client)
		set_time(in, false, max);
	plan->count++;
	return TM_OK;
}

static size_t count_batches(struct tm_str rest)
{
	struct tm_batch_info b;
	size_t n = 0;
	while (tm_batch_next(&rest, false, &b, NULL) == TM_OK)
		n++;
	return n ? n : 1;
}

static void plan_done(struct plan *plan)
{
	if (plan->items != &plan->one)
		free(plan->items);
	tm_buf_done(&plan->recoded);
}

static tm_rc plan_part(struct tm_log_append *a, struct plan *plan, const struct tm_settings *s, int64_t now_ms)
{
	struct tm_str rest = a->batches;
	memset(&plan->recoded, 0, sizeof plan->recoded);
	plan->count = 0;
	plan->items = &plan->one;
	if (!a->from_client) {
		size_t n = count_batches(rest);
		/* Recoding keeps one batch at a time; several are refused rather than mixed up. */
		if (n > 1 && !s->keep_codec)
			return refuse(a, TM_UNSUPPORTED, TM_KAFKA_INVALID_RECORD,
				      "several batches at once into a topic with a compression.type of its own");
		if (n > 1)
			plan->items = tm_alloc(tm_mul_size(n, sizeof *plan->items));
	}
	if (rest.len == 0)
		return refuse(a, TM_INVALID, TM_KAFKA_INVALID_RECORD, "");
	while (rest.len)
		TM_TRY(plan_batch(a, plan, &rest, s, now_ms));
	return TM_OK;
}

/* ---- under the partition's lock ---- */
static bool roll_due(const struct tm_partition *p, const struct tm_segment *s, const struct incoming *in,
		     const struct tm_settings *settings)
{
	if (s->size == 0)
		return false;
	if (s->size + (int64_t)in->info.bytes > settings->segment_bytes)
		return true;
	if (p->end + in->info.last_offset_delta - s->base_offset > INT32_MAX)
		return true;
	return s->first_timestamp_ms >= 0 && in->info.max_timestamp_ms - s->first_timestamp_ms > settings->segment_ms;
}

static tm_rc write_vector(struct tm_partition *p, struct tm_segment *s, struct iovec *iov, int n, size_t bytes, struct tm_err *err)
{
	const struct tm_env *env = p->log->env;
	ssize_t got;
	TM_TRY(tm_segment_open(env, s, true, err));
	if (env->ops->pwritev) {
		got = env->ops->pwritev(env, s->fd, iov, n, s->size);
	} else { /* an environment without it: one copy more */
		struct tm_buf all = {0};
		for (int i = 0; i < n; i++)
			tm_buf_put(&all, iov[i].iov_base, iov[i].iov_len);
		got = env->ops->pwrite(env, s->fd, all.at, all.len, s->size);
		tm_buf_done(&all);
	}
	if (got >= 0)
		return TM_OK;
	/* Disk full, most likely. What was written of it must not stay behind the end; should cutting fail as well, the next
	 * append writes over it and recovery cuts it. */
	env->ops->truncate(env, s->fd, s->size);
	return tm_fail_errno(err, (int)-got, "%s.log: %zu bytes", s->path, bytes);
}

/* Writes count batches, which fit into the active segment, and takes them into account. */
static tm_rc write_batches(struct tm_partition *p, struct incoming *items, size_t count, const struct tm_settings *settings,
			   struct tm_err *err)
{
	enum { VECTOR = 64 };
	struct tm_segment *s = tm_partition_active(p);
	struct iovec iov[VECTOR * 2];
	size_t bytes = 0;
	int64_t offset = p->end;
	TM_ASSERT(count <= VECTOR);
	for (size_t i = 0; i < count; i++) {
		struct incoming *in = &items[i];
		in->info.base_offset = offset;
		tm_be64_set(in->head + TM_BATCH_BASE_OFFSET, offset);
		tm_be32_set(in->head + TM_BATCH_LEADER_EPOCH, 0);
		iov[2 * i] = (struct iovec){in->head, TM_BATCH_HEAD};
		iov[2 * i + 1] = (struct iovec){(void *)(uintptr_t)in->body.at, in->body.len};
		offset = tm_batch_last_offset(&in->info) + 1;
		bytes += in->info.bytes;
	}
	TM_TRY(write_vector(p, s, iov, (int)(2 * count), bytes, err));
	for (size_t i = 0; i < count; i++) {
		const struct tm_batch_info *b = &items[i].info;
		tm_segment_account(p->log->env, s, b, s->size, settings->index_interval_bytes);
		s->size += (int64_t)b->bytes;
		p->end = tm_batch_last_offset(b) + 1;
		if (tm_producers_apply(&p->producers, b)) {
			struct tm_err ignored = {0};
			if (tm_partition_txnindex_add(p, s, &p->producers.aborted.items[p->producers.aborted.count - 1], &ignored) != TM_OK)
				tm_say_err("log", &ignored); /* made anew from the log at the next start */
		}
		tm_metric_add(&records_in, b->count);
		p->unflushed_messages += b->count;
	}
	p->snapshot_bytes += (int64_t)bytes;
	tm_metric_add(&batches_in, (int64_t)count);
	tm_metric_add(&bytes_in, (int64_t)bytes);
	return TM_OK;
}

/* Idempotence: 0 = append it, 1 = it was there already, -1 = refused. */
static int check_producer(struct tm_partition *p, struct tm_log_append *a, const struct incoming *in)
{
	int duplicate;
	const struct tm_batch_info *b = &in->info;
	if (b->producer_id < 0 || b->control)
		return 0;
	int code = tm_producers_check(&p->producers, b, &duplicate);
	if (code) {
		refuse(a, TM_INVALID, code, "");
		return -1;
	}
	if (duplicate < 0)
		return 0;
	const struct tm_producer *producer = tm_producers_find(&p->producers, b->producer_id);
	if (a->base_offset < 0)
		a->base_offset = producer->batches[duplicate].base_offset;
	a->duplicate = true;
	if (a->log_append_time_ms < 0)
		a->log_append_time_ms = producer->batches[duplicate].timestamp_ms;
	tm_metric_add(&duplicates, 1);
	return 1;
}

static tm_rc append_locked(struct tm_partition *p, struct tm_log_append *a, struct plan *plan, const struct tm_settings *settings,
			   struct tm_err *err)
{
	for (size_t i = 0; i < plan->count;) {
		struct incoming *in = &plan->items[i];
		int kind = check_producer(p, a, in);
		if (kind < 0)
			return a->rc;
		if (kind > 0) {
			i++;
			continue;
		}
		struct tm_segment *s = tm_partition_active(p);
		if (!s || roll_due(p, s, in, settings)) {
			TM_TRY(tm_partition_roll(p, err));
			s = tm_partition_active(p);
		}
		if (!s->loaded) {
			bool rebuilt = false;
			TM_TRY(tm_segment_load(p->log->env, s, &rebuilt, err));
		}
		/* As many batches as go into one write: without a producer's state to check between them. */
		size_t n = 1;
		int64_t bytes = (int64_t)in->info.bytes;
		while (i + n < plan->count && n < 64 && in->info.producer_id < 0 && plan->items[i + n].info.producer_id < 0 &&
		       s->size + bytes + (int64_t)plan->items[i + n].info.bytes <= settings->segment_bytes)
			bytes += (int64_t)plan->items[i + n++].info.bytes;
		int64_t first = p->end;
		TM_TRY(write_batches(p, in, n, settings, err));
		if (a->base_offset < 0)
			a->base_offset = first;
		a->duplicate = false;
		i += n;
	}
	return TM_OK;
}

/* Returns true when the answer must wait for the committer. */
static bool append_part(struct tm_log *log, struct tm_log_append *a, bool durable)
{
	struct tm_partition *p = a->topic ? tm_topic_partition(a->topic, a->partition) : NULL;
	struct plan plan = {.items = &plan.one};
	struct tm_err err = {0};
	bool wait = false;
	a->base_offset = a->log_append_time_ms = a->log_start_offset = -1;
	a->duplicate = false;
	a->rc = TM_OK;
	a->kafka_error = 0;
	a->message[0] = 0;
	a->bad_record_count = 0;
	if (!p) {
		refuse(a, TM_NOT_FOUND, TM_KAFKA_UNKNOWN_TOPIC, "");
		return false;
	}
	const struct tm_settings *settings = tm_topic_settings(a->topic);
	int64_t now_ms = tm_now_ms(log->env);
	if (plan_part(a, &plan, settings, now_ms) != TM_OK) {
		plan_done(&plan);
		return false;
	}
	if (settings->log_append_time)
		a->log_append_time_ms = now_ms;
	pthread_mutex_lock(&p->lock);
	tm_rc rc = TM_OK;
	if (p->deleted)
		rc = refuse(a, TM_NOT_FOUND, TM_KAFKA_UNKNOWN_TOPIC, "");
	else if (p->failed)
		rc = refuse(a, TM_IO, TM_KAFKA_STORAGE, "The disk did not take records written earlier.");
	else
		rc = append_locked(p, a, &plan, settings, &err);
	if (rc != TM_OK && a->rc == TM_OK) {
		refuse(a, rc, TM_KAFKA_STORAGE, err.what);
	} else if (rc == TM_OK) {
		a->log_start_offset = p->start;
		if (settings->opted_out) {
			p->hw = p->end;
			p->hw_base = tm_partition_active(p) ? tm_partition_active(p)->base_offset : 0;
			p->hw_position = tm_partition_active(p) ? tm_partition_active(p)->size : 0;
			if (p->unflushed_messages >= settings->flush_messages)
				p->flush_due = true;
			if (!p->unflushed_since_ms)
				p->unflushed_since_ms = now_ms;
		}
		wait = durable && !settings->opted_out && (!a->duplicate || p->durable < p->end);
		tm_commit_dirty(p);
	}
	pthread_mutex_unlock(&p->lock);
	plan_done(&plan);
	return wait;
}

void tm_log_append(struct tm_log *log, struct tm_log_append *parts, size_t count, bool durable, void (*done)(void *ctx), void *ctx)
{
	bool wait = false;
	for (size_t i = 0; i < count; i++)
		wait |= append_part(log, &parts[i], durable);
	if (!wait) {
		done(ctx);
		return;
	}
	struct tm_waiter *w = tm_alloc(sizeof *w);
	*w = (struct tm_waiter){.parts = parts, .count = count, .done = done, .ctx = ctx};
	tm_commit_wait(log, w);
}

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
};
static void wake_up(void *ctx)
{
	struct waiting *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

tm_rc tm_log_append_wait(struct tm_log *log, struct tm_log_append *parts, size_t count, struct tm_err *err)
{
	struct waiting w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	tm_log_append(log, parts, count, true, wake_up, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.wake, &w.lock);
	pthread_mutex_unlock(&w.lock);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].rc == TM_OK)
			continue;
		tm_rc rc = tm_fail(err, parts[i].rc, "appending to %s-%d: %s", parts[i].topic ? parts[i].topic->name : "?",
				   parts[i].partition, parts[i].message[0] ? parts[i].message : "the records were refused");
		if (err)
			err->code = parts[i].kafka_error;
		return rc;
	}
	return TM_OK;
}
