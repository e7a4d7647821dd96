/* Writing a sink's batches to the embedded log. Appending is idempotent: the writer has a producer id and counts sequences per
 * partition, kept in the query's checkpoint. A batch that runs again after a crash looks up what of it is in the log already and
 * appends only the rest; its records come in the same order as before (the sink sees to it). */
#include "stream/broker_log_int.h"
#include <stdlib.h>

enum { BATCH_BYTES = 900000, SAVED_VERSION = 1 };

struct target {
	struct tm_str topic;
	int32_t partition;
	int32_t next_sequence;
	int64_t end_offset; /* behind what the last committed batch appended */
};
struct log_writer {
	struct tm_broker_writer w;
	struct tm_log *log;
	int64_t producer_id; /* -1 = none yet */
	struct {
		struct target *items;
		size_t count, cap;
	} targets;
};

static void writer_free(struct tm_broker_writer *w)
{
	struct log_writer *me = (struct log_writer *)w;
	for (size_t i = 0; i < me->targets.count; i++)
		free((void *)me->targets.items[i].topic.at);
	free(me->targets.items);
	free(me);
}

static tm_rc writer_topic(struct tm_broker_writer *w, struct tm_str name, int32_t *ret, struct tm_err *err)
{
	struct log_writer *me = (struct log_writer *)w;
	struct tm_topic *topic = tm_log_topic_find(me->log, name);
	if (!topic) {
		tm_rc rc = tm_log_topic_create(me->log, name, -1, NULL, 0, &topic, err);
		if (rc == TM_EXISTS)
			topic = tm_log_topic_find(me->log, name);
		else if (rc)
			return rc;
	}
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(name));
	*ret = tm_topic_partitions(topic);
	tm_topic_unref(topic);
	return TM_OK;
}

/* ---- state ---- */

static void writer_save(struct tm_broker_writer *w, struct tm_buf *out)
{
	struct log_writer *me = (struct log_writer *)w;
	struct tm_err ignored;
	if (me->producer_id < 0 && tm_log_producer_id(me->log, &me->producer_id, &ignored))
		me->producer_id = -1;
	tm_buf_u8(out, SAVED_VERSION);
	tm_buf_le64(out, (uint64_t)me->producer_id);
	tm_buf_le32(out, (uint32_t)me->targets.count);
	for (size_t i = 0; i < me->targets.count; i++) {
		const struct target *t = &me->targets.items[i];
		tm_buf_le32(out, (uint32_t)t->topic.len);
		tm_buf_str_put(out, t->topic);
		tm_buf_le32(out, (uint32_t)t->partition);
		tm_buf_le32(out, (uint32_t)t->next_sequence);
		tm_buf_le64(out, (uint64_t)t->end_offset);
	}
}

static tm_rc writer_load(struct tm_broker_writer *w, struct tm_str saved, struct tm_err *err)
{
	struct log_writer *me = (struct log_writer *)w;
	struct tm_cursor c = tm_cursor_of(saved);
	uint8_t version = tm_cursor_u8(&c);
	me->producer_id = (int64_t)tm_cursor_le64(&c);
	uint32_t n = tm_cursor_le32(&c);
	bool good = version == SAVED_VERSION && n <= tm_cursor_left(&c) / 20;
	for (uint32_t i = 0; i < n && good; i++) {
		struct target t = {.topic = tm_cursor_take(&c, tm_cursor_le32(&c))};
		t.partition = (int32_t)tm_cursor_le32(&c);
		t.next_sequence = (int32_t)tm_cursor_le32(&c);
		t.end_offset = (int64_t)tm_cursor_le64(&c);
		good = tm_cursor_ok(&c) && t.partition >= 0 && t.next_sequence >= 0;
		if (good) {
			t.topic = tm_str_dup(t.topic);
			TM_PUSH(&me->targets, t);
		}
	}
	return good && !tm_cursor_left(&c) ? TM_OK : tm_fail(err, TM_CORRUPT, "what the kafka sink kept in the checkpoint cannot be read");
}

/* ---- appending ---- */

static struct target *target_of(struct log_writer *me, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < me->targets.count; i++)
		if (me->targets.items[i].partition == partition && tm_str_eq(me->targets.items[i].topic, topic))
			return &me->targets.items[i];
	TM_PUSH(&me->targets, (struct target){.topic = tm_str_dup(topic), .partition = partition});
	return &me->targets.items[me->targets.count - 1];
}

/* How many of the part's records the partition has already, from the run that a crash cut off. */
static tm_rc already_there(struct log_writer *me, const struct target *t, size_t count, struct tm_topic *topic, size_t *ret,
			   struct tm_err *err)
{
	*ret = 0;
	struct tm_log_offsets bounds;
	TM_TRY(tm_log_offsets(topic, t->partition, &bounds, err));
	struct tm_buf bytes = {0};
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	int64_t at = t->end_offset > bounds.start ? t->end_offset : bounds.start;
	while (at < bounds.high_watermark && !rc) {
		struct tm_log_read read = {.offset = at, .max_bytes = 1 << 20, .at_least_one = true};
		bytes.len = 0;
		rc = tm_log_read(topic, t->partition, &read, &arena, &bytes, err);
		struct tm_str rest = tm_buf_str(&bytes);
		struct tm_batch_info info;
		int64_t before = at;
		while (!rc && tm_batch_next(&rest, false, &info, NULL) == TM_OK) {
			at = info.base_offset + info.last_offset_delta + 1;
			int32_t behind =
			    (int32_t)(((uint32_t)info.base_sequence + (uint32_t)info.count - (uint32_t)t->next_sequence) & 0x7fffffff);
			if (info.producer_id == me->producer_id && (size_t)behind <= count)
				*ret = (size_t)behind > *ret ? (size_t)behind : *ret;
		}
		if (at == before)
			break;
	}
	tm_buf_done(&bytes);
	tm_arena_done(&arena);
	return rc;
}

static size_t record_bytes(const struct tm_record *r)
{
	size_t n = r->key.len + r->value.len + 32;
	for (size_t i = 0; i < r->header_count; i++)
		n += r->headers[i].key.len + r->headers[i].value.len + 10;
	return n;
}

static tm_rc append_part(struct log_writer *me, const struct tm_broker_part *part, bool replay, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->log, part->topic);
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(part->topic));
	struct target *t = target_of(me, part->topic, part->partition);
	size_t from = 0;
	tm_rc rc = replay ? already_there(me, t, part->count, topic, &from, err) : TM_OK;
	struct tm_buf bytes = {0};
	while (from < part->count && !rc) {
		size_t n = 0, size = 0;
		do
			size += record_bytes(&part->records[from + n++]);
		while (from + n < part->count && size + record_bytes(&part->records[from + n]) < BATCH_BYTES);
		struct tm_batch_build build = {.producer_id = me->producer_id,
					       .base_sequence = (int32_t)(((uint32_t)t->next_sequence + (uint32_t)from) & 0x7fffffff)};
		bytes.len = 0;
		TM_TRY_GOTO(rc, out, tm_batch_write(&build, part->records + from, n, &bytes, err));
		struct tm_log_append append = {.topic = topic, .partition = part->partition, .batches = tm_buf_str(&bytes)};
		TM_TRY_GOTO(rc, out, tm_log_append_wait(me->log, &append, 1, err));
		t->end_offset = append.base_offset + (int64_t)n;
		from += n;
	}
out:
	if (!rc)
		t->next_sequence = (int32_t)(((uint32_t)t->next_sequence + (uint32_t)part->count) & 0x7fffffff);
	tm_buf_done(&bytes);
	tm_topic_unref(topic);
	return rc;
}

static tm_rc writer_write(struct tm_broker_writer *w, const struct tm_broker_batch *batch, struct tm_err *err)
{
	struct log_writer *me = (struct log_writer *)w;
	if (me->producer_id < 0)
		TM_TRY(tm_log_producer_id(me->log, &me->producer_id, err));
	for (size_t i = 0; i < batch->part_count; i++)
		TM_TRY(append_part(me, &batch->parts[i], batch->replay, err));
	return TM_OK;
}

static const struct tm_broker_writer_class writer_class = {
    .free = writer_free, .topic = writer_topic, .write = writer_write, .save = writer_save, .load = writer_load};

tm_rc tm_broker_log_writer(struct tm_broker *b, const struct tm_broker_writer_options *options, struct tm_broker_writer **ret,
			   struct tm_err *err)
{
	(void)options;
	(void)err;
	struct log_writer *me = tm_zalloc(sizeof *me);
	me->w.klass = &writer_class;
	me->log = ((struct tm_broker_log *)b)->log;
	me->producer_id = -1;
	*ret = &me->w;
	return TM_OK;
}
