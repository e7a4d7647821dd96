/* Reading topics of the embedded log. Keys and values are views into the bytes that were read; nothing is copied. A read begins where
 * the one before ended, or anywhere else. */
#include "stream/broker_log_int.h"
#include <stdlib.h>

enum { READ_BYTES = 1 << 20 };

struct log_reader {
	struct tm_broker_reader r;
	struct tm_log *log;
	struct tm_log_watch *watch;
	struct tm_broker_caller caller;
	bool committed;
	struct tm_buf bytes; /* whole batches of the partition that is being read */
	struct tm_str rest;  /* what is left of them, from offset rest_at on */
	struct tm_str topic; /* of the bytes; its text is ours */
	int32_t partition;
	int64_t rest_at;
	struct tm_arena arena; /* of the bytes' list of aborted transactions */
	struct tm_log_aborted *aborted;
	size_t aborted_count;
	/* records decoded */
	struct tm_arena records_arena;
	struct tm_broker_records out;
	size_t cap;
};

static void log_changed(void *ctx, struct tm_topic *topic, int32_t partition)
{
	(void)topic;
	(void)partition;
	struct log_reader *me = ctx;
	me->caller.woken(me->caller.ctx);
}

static void reader_free(struct tm_broker_reader *r)
{
	struct log_reader *me = (struct log_reader *)r;
	if (me->watch)
		tm_log_watch_remove(me->log, me->watch);
	tm_buf_done(&me->bytes);
	free((void *)me->topic.at);
	tm_arena_done(&me->arena);
	tm_arena_done(&me->records_arena);
	free(me);
}

static tm_rc reader_bounds(struct tm_broker_reader *r, const struct tm_offsets *at, struct tm_broker_bounds *ret, struct tm_err *err)
{
	struct log_reader *me = (struct log_reader *)r;
	for (size_t i = 0; i < at->count; i++) {
		struct tm_topic *topic;
		struct tm_log_offsets o;
		TM_TRY(tm_broker_log_topic(me->log, at->items[i].topic, &topic, err));
		tm_rc rc = tm_log_offsets(topic, at->items[i].partition, &o, err);
		tm_topic_unref(topic);
		if (rc)
			return rc;
		ret[i] = (struct tm_broker_bounds){o.start, me->committed ? o.last_stable : o.high_watermark};
	}
	return TM_OK;
}

/* ---- records ---- */

static void need_room(struct log_reader *me, size_t more)
{
	struct tm_broker_records *out = &me->out;
	if (out->count + more <= me->cap)
		return;
	size_t cap = me->cap ? me->cap * 2 : TM_LIMIT_BATCH_ROWS * 2;
	while (cap < out->count + more)
		cap *= 2;
#define GROW(field)                                                                                                                        \
	out->field = tm_arena_grow(&me->records_arena, out->field, me->cap * sizeof *out->field, tm_mul_size(cap, sizeof *out->field))
	GROW(keys);
	GROW(values);
	GROW(offsets);
	GROW(timestamps_us);
	GROW(headers);
	GROW(header_counts);
	GROW(append_time);
#undef GROW
	me->cap = cap;
}

struct taking {
	struct tm_broker_records *out;
	int64_t from, to;
	bool append_time;
};

static tm_rc take_record(void *ctx, const struct tm_record *r)
{
	struct taking *t = ctx;
	struct tm_broker_records *out = t->out;
	if (r->offset < t->from || r->offset >= t->to)
		return TM_OK;
	size_t i = out->count++;
	out->keys[i] = r->key_null ? (struct tm_str){NULL, 0} : (struct tm_str){r->key.at ? r->key.at : "", r->key.len};
	out->values[i] = r->value_null ? (struct tm_str){NULL, 0} : (struct tm_str){r->value.at ? r->value.at : "", r->value.len};
	out->any_null_key |= r->key_null;
	out->any_null_value |= r->value_null;
	out->offsets[i] = r->offset;
	out->timestamps_us[i] = r->timestamp_ms * 1000;
	out->headers[i] = r->headers;
	out->header_counts[i] = r->header_count;
	out->append_time[i] = t->append_time;
	return TM_OK;
}

static tm_rc read_more(struct log_reader *me, const struct tm_offset *at, struct tm_err *err)
{
	struct tm_topic *topic;
	TM_TRY(tm_broker_log_topic(me->log, at->topic, &topic, err));
	struct tm_log_read read = {.offset = at->offset, .max_bytes = READ_BYTES, .at_least_one = true, .committed = me->committed};
	me->bytes.len = 0;
	tm_arena_reset(&me->arena);
	tm_rc rc = tm_log_read(topic, at->partition, &read, &me->arena, &me->bytes, err);
	tm_topic_unref(topic);
	me->rest = tm_buf_str(&me->bytes);
	me->aborted = read.aborted;
	me->aborted_count = read.aborted_count;
	if (!me->topic.at || !tm_str_eq(me->topic, at->topic)) {
		free((void *)me->topic.at);
		me->topic = tm_str_dup(at->topic);
	}
	me->partition = at->partition;
	return rc;
}

/* Belongs the batch to a transaction that was taken back? Its producer's abort marker ends the transaction. */
static bool taken_back(struct log_reader *me, const struct tm_batch_info *info)
{
	int64_t last = info->base_offset + info->last_offset_delta;
	for (size_t i = 0; i < me->aborted_count; i++) {
		struct tm_log_aborted *a = &me->aborted[i];
		if (a->producer_id != info->producer_id || a->first_offset < 0 || a->first_offset > last)
			continue;
		if (info->control)
			a->first_offset = -1;
		return true;
	}
	return false;
}

static tm_rc reader_read(struct tm_broker_reader *r, const struct tm_offset *from, int64_t to, struct tm_broker_records *ret,
			 int64_t *ret_next, struct tm_err *err)
{
	struct log_reader *me = (struct log_reader *)r;
	struct tm_offset at = *from;
	tm_arena_reset(&me->records_arena);
	me->out = (struct tm_broker_records){0};
	me->cap = 0;
	bool goes_on = me->rest.len && me->rest_at == at.offset && me->partition == at.partition && tm_str_eq(me->topic, at.topic);
	if (!goes_on) {
		me->rest.len = 0;
		TM_TRY(read_more(me, &at, err));
		if (!me->rest.len) { /* nothing left below the end: the rest of the range was compacted away */
			*ret = me->out;
			*ret_next = to;
			return TM_OK;
		}
	}
	while (me->out.count < TM_LIMIT_BATCH_ROWS && at.offset < to) {
		struct tm_batch_info info;
		tm_rc rc = tm_batch_next(&me->rest, true, &info, err);
		if (rc == TM_NOT_FOUND) {
			me->rest.len = 0;
			break;
		}
		TM_TRY(rc);
		bool skip = me->committed && info.transactional && taken_back(me, &info);
		if (!info.control && !skip) {
			need_room(me, (size_t)(info.count > 0 ? info.count : 0));
			struct taking t = {&me->out, at.offset, to, info.log_append_time};
			TM_TRY(tm_batch_each(&info, &me->records_arena, take_record, &t, err));
		}
		at.offset = info.base_offset + info.last_offset_delta + 1;
	}
	if (at.offset >= to)
		me->rest.len = 0;
	me->rest_at = at.offset;
	*ret = me->out;
	*ret_next = at.offset < to ? at.offset : to;
	return TM_OK;
}

static const struct tm_broker_reader_class reader_class = {.free = reader_free, .bounds = reader_bounds, .read = reader_read};

tm_rc tm_broker_log_reader(struct tm_broker *b, const struct tm_broker_reader_options *options, struct tm_broker_reader **ret,
			   struct tm_err *err)
{
	bool committed;
	TM_TRY(tm_broker_isolation(options->options, options->option_count, &committed, err));
	struct log_reader *me = tm_zalloc(sizeof *me);
	me->r.klass = &reader_class;
	me->log = ((struct tm_broker_log *)b)->log;
	me->caller = options->caller;
	me->committed = committed;
	tm_arena_init(&me->arena);
	tm_arena_init(&me->records_arena);
	if (me->caller.woken)
		me->watch = tm_log_watch_add(me->log, log_changed, me);
	*ret = &me->r;
	return TM_OK;
}
