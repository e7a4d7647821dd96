/* Format kafka as a sink: rows become records of topics of the embedded log, with the columns of Spark's Kafka sink. Appending is
 * idempotent: the query has a producer id and counts sequences per partition in its checkpoint. A batch that runs again after
 * a crash looks up what of it is in the log already and appends only the rest; rows that come out of state in no certain order
 * are sorted before, so that "the rest" is well defined. */
#include "stream/provider.h"
#include "stream/state.h"
#include "log/log.h"
#include "log/record.h"
#include <stdlib.h>

enum { BATCH_BYTES = 900000, SAVED_VERSION = 1 };

struct target {
	struct tm_str topic;
	int32_t partition;
	int32_t next_sequence;
	int64_t end_offset; /* behind what the last committed batch appended */
	struct {
		struct tm_record *items;
		size_t count, cap;
	} records; /* of the batch at work */
};
struct kafka_sink {
	struct tm_sink s;
	int64_t producer_id; /* -1 = none yet */
	struct {
		struct target *items;
		size_t count, cap;
	} targets;
	struct tm_arena arena;                     /* of the batch */
	int key, value, topic, headers, partition; /* columns, -1 = not there */
	const struct tm_str *topic_option;
	int64_t rows;
};

static int column_named(const struct tm_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (tm_str_iis(schema->fields[i].name, name))
			return (int)i;
	return -1;
}

static bool bytes_like(const struct tm_type *t) { return t->kind == TM_T_STRING || t->kind == TM_T_BINARY || t->kind == TM_T_NULL; }

static tm_rc wrong_type(const struct tm_query_spec *spec, const char *name, const struct tm_type *type, const char *want,
			struct tm_err *err)
{
	struct tm_buf text = {0};
	tm_type_sql(type, &text);
	tm_rc rc = tm_fail(err, TM_INVALID, "query '%.*s': attribute '%s' of the kafka sink has type %.*s; it must be %s",
			   TM_STR_ARG(spec->name), name, (int)text.len, text.at, want);
	tm_buf_done(&text);
	tm_err_at(err, spec->file.at, spec->line, 1);
	return rc;
}

static tm_rc kafka_check(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err)
{
	const struct tm_schema *schema = &spec->root->schema;
	int value = column_named(schema, "value"), key = column_named(schema, "key"), topic = column_named(schema, "topic"),
	    partition = column_named(schema, "partition");
	if (value < 0) {
		tm_rc rc = tm_fail(err, TM_INVALID, "query '%.*s': required attribute 'value' not found", TM_STR_ARG(spec->name));
		tm_err_hint(err, "Give the kafka sink a column named value, for example to_json(struct(*)) AS value.");
		tm_err_at(err, spec->file.at, spec->line, 1);
		return rc;
	}
	if (!bytes_like(schema->fields[value].type))
		return wrong_type(spec, "value", schema->fields[value].type, "STRING or BINARY", err);
	if (key >= 0 && !bytes_like(schema->fields[key].type))
		return wrong_type(spec, "key", schema->fields[key].type, "STRING or BINARY", err);
	if (topic >= 0 && schema->fields[topic].type->kind != TM_T_STRING)
		return wrong_type(spec, "topic", schema->fields[topic].type, "STRING", err);
	if (partition >= 0 && schema->fields[partition].type->kind != TM_T_INT)
		return wrong_type(spec, "partition", schema->fields[partition].type, "INT", err);
	if (topic < 0 && !tm_option_get(spec->sink_options, spec->sink_option_count, "topic"))
		return tm_fail(
		    err, TM_INVALID,
		    "query '%.*s': topic option required when no 'topic' attribute is present. Use the topic option for setting a topic.",
		    TM_STR_ARG(spec->name));
	if (!world->log)
		return tm_fail(err, TM_UNAVAILABLE, "query '%.*s' writes to a topic, but no broker runs here", TM_STR_ARG(spec->name));
	return TM_OK;
}

static tm_rc kafka_open(struct tm_sink *s, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	const struct tm_schema *schema = &s->spec->root->schema;
	tm_arena_init(&me->arena);
	me->producer_id = -1;
	me->value = column_named(schema, "value");
	me->key = column_named(schema, "key");
	me->topic = column_named(schema, "topic");
	me->headers = column_named(schema, "headers");
	me->partition = column_named(schema, "partition");
	me->topic_option = tm_option_get(s->spec->sink_options, s->spec->sink_option_count, "topic");
	return kafka_check(s->world, s->spec, err);
}

static void kafka_close(struct tm_sink *s)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	for (size_t i = 0; i < me->targets.count; i++)
		free((void *)me->targets.items[i].topic.at);
	free(me->targets.items);
	tm_arena_done(&me->arena);
}

/* ---- state ---- */

static void kafka_save(struct tm_sink *s, struct tm_buf *out)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	struct tm_err ignored;
	if (me->producer_id < 0 && tm_log_producer_id(s->world->log, &me->producer_id, &ignored))
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

static tm_rc kafka_load(struct tm_sink *s, struct tm_str saved, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
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

/* ---- rows ---- */

static tm_rc kafka_begin(struct tm_sink *s, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	tm_arena_reset(&me->arena);
	for (size_t i = 0; i < me->targets.count; i++) {
		me->targets.items[i].records.items = NULL;
		me->targets.items[i].records.count = me->targets.items[i].records.cap = 0;
	}
	me->rows = 0;
	return me->producer_id < 0 ? tm_log_producer_id(s->world->log, &me->producer_id, err) : TM_OK;
}

static struct target *target_of(struct kafka_sink *me, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < me->targets.count; i++)
		if (me->targets.items[i].partition == partition && tm_str_eq(me->targets.items[i].topic, topic))
			return &me->targets.items[i];
	TM_PUSH(&me->targets, (struct target){.topic = tm_str_dup(topic), .partition = partition});
	return &me->targets.items[me->targets.count - 1];
}

/* Kafka's murmur2 of a key, as its clients' default partitioner. */
static uint32_t murmur2(struct tm_str key)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28cu ^ (uint32_t)key.len;
	size_t i = 0;
	for (; i + 4 <= key.len; i += 4) {
		uint32_t k;
		memcpy(&k, key.at + i, 4);
		k *= m;
		k ^= k >> 24;
		k *= m;
		h = h * m ^ k;
	}
	size_t left = key.len - i;
	if (left >= 3)
		h ^= (uint32_t)(unsigned char)key.at[i + 2] << 16;
	if (left >= 2)
		h ^= (uint32_t)(unsigned char)key.at[i + 1] << 8;
	if (left >= 1) {
		h ^= (unsigned char)key.at[i];
		h *= m;
	}
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

static tm_rc topic_partitions(struct kafka_sink *me, struct tm_str name, int32_t *ret, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->s.world->log, name);
	if (!topic) {
		tm_rc rc = tm_log_topic_create(me->s.world->log, name, -1, NULL, 0, &topic, err);
		if (rc == TM_EXISTS)
			topic = tm_log_topic_find(me->s.world->log, name);
		else if (rc)
			return rc;
	}
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(name));
	*ret = tm_topic_partitions(topic);
	tm_topic_unref(topic);
	return TM_OK;
}

static struct tm_str copy_bytes(struct kafka_sink *me, const struct tm_column *c, size_t row, bool *ret_null)
{
	*ret_null = tm_is_null(c, row);
	return *ret_null ? (struct tm_str){NULL, 0} : tm_arena_str(&me->arena, c->str[tm_row(c, row)]);
}

static void copy_headers(struct kafka_sink *me, const struct tm_column *c, size_t row, struct tm_record *r)
{
	if (tm_is_null(c, row) || c->type->kind != TM_T_ARRAY || c->type->children[0]->kind != TM_T_STRUCT ||
	    c->type->children[0]->child_count != 2)
		return;
	struct tm_span s = c->span[tm_row(c, row)];
	struct tm_header *list = TM_NEW_N(&me->arena, struct tm_header, s.count + 1);
	const struct tm_column *item = &c->children[0];
	for (uint32_t i = 0; i < s.count; i++) {
		bool null;
		list[i].key = copy_bytes(me, &item->children[0], s.from + i, &null);
		list[i].value = copy_bytes(me, &item->children[1], s.from + i, &list[i].value_null);
	}
	r->headers = list;
	r->header_count = s.count;
}

static tm_rc kafka_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	const struct tm_batch *b = &rows->batch;
	size_t written = 0;
	struct tm_str last_topic = {0};
	int32_t partitions = 0;
	for (size_t i = 0; i < b->rows; i++) {
		struct tm_str topic = me->topic_option ? *me->topic_option : (struct tm_str){0};
		if (!me->topic_option) {
			if (tm_is_null(&b->columns[me->topic], i)) {
				tm_stream_dead(s->run, rows, i, "null_topic",
					       "null topic present in the data. Use the topic option for setting a topic.");
				continue;
			}
			topic = b->columns[me->topic].str[tm_row(&b->columns[me->topic], i)];
		}
		if (!last_topic.at || !tm_str_eq(topic, last_topic)) {
			struct tm_err why = {0};
			if (tm_log_topic_check_name(topic, &why)) {
				tm_stream_dead(s->run, rows, i, "refused_value", why.what);
				continue;
			}
			TM_TRY(topic_partitions(me, topic, &partitions, err));
			last_topic = topic;
		}
		struct tm_record r = {.timestamp_ms = s->run->session.now_us / 1000, .key_null = true};
		r.value = copy_bytes(me, &b->columns[me->value], i, &r.value_null);
		if (me->key >= 0)
			r.key = copy_bytes(me, &b->columns[me->key], i, &r.key_null);
		if (me->headers >= 0)
			copy_headers(me, &b->columns[me->headers], i, &r);
		int32_t partition =
		    r.key_null ? (int32_t)(s->batch_id % partitions) : (int32_t)((murmur2(r.key) & 0x7fffffff) % (uint32_t)partitions);
		if (me->partition >= 0 && !tm_is_null(&b->columns[me->partition], i)) {
			partition = b->columns[me->partition].i32[tm_row(&b->columns[me->partition], i)];
			if (partition < 0 || partition >= partitions) {
				tm_stream_dead(s->run, rows, i, "refused_value", "the topic has no such partition");
				continue;
			}
		}
		struct target *t = target_of(me, topic, partition);
		TM_PUSH_IN(&me->arena, &t->records, r);
		written++;
	}
	*ret_written = written;
	return TM_OK;
}

/* ---- appending ---- */

static int compare_records(const void *a, const void *b)
{
	const struct tm_record *x = a, *y = b;
	int c = tm_str_cmp(x->key, y->key);
	return c ? c : tm_str_cmp(x->value, y->value);
}

/* How many of the batch's records the partition has already, from the run that a crash cut off. */
static tm_rc already_there(struct kafka_sink *me, struct target *t, struct tm_topic *topic, size_t *ret, struct tm_err *err)
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
			if (info.producer_id == me->producer_id && (size_t)behind <= t->records.count)
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

static tm_rc append_target(struct kafka_sink *me, struct target *t, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->s.world->log, t->topic);
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(t->topic));
	if (!me->s.ordered)
		qsort(t->records.items, t->records.count, sizeof *t->records.items, compare_records);
	size_t from = 0;
	tm_rc rc = me->s.replay ? already_there(me, t, topic, &from, err) : TM_OK;
	struct tm_buf bytes = {0};
	while (from < t->records.count && !rc) {
		size_t n = 0, size = 0;
		do
			size += record_bytes(&t->records.items[from + n++]);
		while (from + n < t->records.count && size + record_bytes(&t->records.items[from + n]) < BATCH_BYTES);
		struct tm_batch_build build = {.producer_id = me->producer_id,
					       .base_sequence = (int32_t)(((uint32_t)t->next_sequence + (uint32_t)from) & 0x7fffffff)};
		bytes.len = 0;
		TM_TRY_GOTO(rc, out, tm_batch_write(&build, t->records.items + from, n, &bytes, err));
		struct tm_log_append part = {.topic = topic, .partition = t->partition, .batches = tm_buf_str(&bytes)};
		TM_TRY_GOTO(rc, out, tm_log_append_wait(me->s.world->log, &part, 1, err));
		t->end_offset = part.base_offset + (int64_t)n;
		from += n;
	}
out:
	if (!rc)
		t->next_sequence = (int32_t)(((uint32_t)t->next_sequence + (uint32_t)t->records.count) & 0x7fffffff);
	tm_buf_done(&bytes);
	tm_topic_unref(topic);
	return rc;
}

static tm_rc kafka_finish(struct tm_sink *s, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	for (size_t i = 0; i < me->targets.count; i++)
		if (me->targets.items[i].records.count)
			TM_TRY(append_target(me, &me->targets.items[i], err));
	return TM_OK;
}

static const char *const formats[] = {"kafka", NULL};
const struct tm_sink_class tm_sink_kafka = {.formats = formats,
					    .size = sizeof(struct kafka_sink),
					    .check = kafka_check,
					    .open = kafka_open,
					    .close = kafka_close,
					    .begin = kafka_begin,
					    .write = kafka_write,
					    .finish = kafka_finish,
					    .save = kafka_save,
					    .load = kafka_load};
