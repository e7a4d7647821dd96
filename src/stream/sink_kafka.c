/* Format kafka: rows become records of topics, with the columns and options of Spark's Kafka sink. A batch's records are gathered by
 * partition and given to the broker's writer (broker.h), which sees to it that a batch that runs again after a crash is not written
 * twice. Rows that come out of state in no certain order are sorted, so that a batch is the same whenever it runs. */
#include "log/log.h"
#include "stream/broker.h"
#include "stream/provider.h"
#include "stream/state.h"
#include <stdlib.h>

struct target {
	struct tm_str topic;
	int32_t partition;
	struct {
		struct tm_record *items;
		size_t count, cap;
	} records;
};
struct kafka_sink {
	struct tm_sink s;
	struct tm_broker *broker, *own; /* own: made here, over the world's log */
	struct tm_broker_writer *writer;
	struct {
		struct target *items;
		size_t count, cap;
	} targets;                                 /* of the batch, in the arena */
	struct tm_arena arena;                     /* of the batch */
	int key, value, topic, headers, partition; /* columns, -1 = not there */
	const struct tm_str *topic_option;
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

/* Kafka Streams' word for what a batch's records are worth. */
static tm_rc check_guarantee(const struct tm_query_spec *spec, struct tm_err *err)
{
	static const char *const known[] = {"at_least_once", "exactly_once_v2", NULL};
	const struct tm_str *v = tm_option_get(spec->sink_options, spec->sink_option_count, "processing.guarantee");
	for (size_t i = 0; v && known[i]; i++)
		if (tm_str_is(*v, known[i]))
			return TM_OK;
	if (!v)
		return TM_OK;
	tm_rc rc =
	    tm_fail(err, TM_INVALID, "query '%.*s': option processing.guarantee must be at_least_once or exactly_once_v2, not '%.*s'",
		    TM_STR_ARG(spec->name), TM_STR_ARG(*v));
	tm_err_at(err, spec->file.at, spec->line, 1);
	return rc;
}

/* The topic of the option is there, or a writer's question makes it. */
static tm_rc check_topic(struct tm_broker *broker, const struct tm_query_spec *spec, struct tm_err *err)
{
	const struct tm_str *name = tm_option_get(spec->sink_options, spec->sink_option_count, "topic");
	struct tm_broker_topic topic;
	tm_rc rc = name ? broker->klass->topic(broker, *name, &topic, err) : TM_OK;
	if (rc != TM_NOT_FOUND)
		return rc;
	const struct tm_broker_writer_options plain = {.query = spec->name};
	struct tm_broker_writer *writer;
	TM_TRY(broker->klass->writer(broker, &plain, &writer, err));
	rc = writer->klass->topic(writer, *name, &topic.partitions, err);
	tm_broker_writer_free(writer);
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
	if (!world->log && !world->broker)
		return tm_fail(err, TM_UNAVAILABLE, "query '%.*s' writes to a topic, but no broker runs here", TM_STR_ARG(spec->name));
	TM_TRY(check_guarantee(spec, err));
	if (!world->broker)
		return TM_OK;
	tm_rc rc = world->broker->klass->check(world->broker, spec->sink_options, spec->sink_option_count, true, err);
	if (!rc)
		rc = check_topic(world->broker, spec, err);
	if (rc) {
		tm_err_prefix(err, "query '%.*s': ", TM_STR_ARG(spec->name));
		tm_err_at(err, spec->file.at, spec->line, 1);
	}
	return rc;
}

static tm_rc kafka_open(struct tm_sink *s, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	const struct tm_schema *schema = &s->spec->root->schema;
	tm_arena_init(&me->arena);
	me->value = column_named(schema, "value");
	me->key = column_named(schema, "key");
	me->topic = column_named(schema, "topic");
	me->headers = column_named(schema, "headers");
	me->partition = column_named(schema, "partition");
	me->topic_option = tm_option_get(s->spec->sink_options, s->spec->sink_option_count, "topic");
	me->broker = tm_broker_of(s->world, &me->own);
	const struct tm_broker_writer_options options = {.options = s->spec->sink_options,
							 .option_count = s->spec->sink_option_count,
							 .query = s->spec->name,
							 .project = tm_str_of(s->world->journal ? s->world->journal->project : NULL),
							 .caller = tm_stream_caller(s->run)};
	return me->broker->klass->writer(me->broker, &options, &me->writer, err);
}

static void kafka_close(struct tm_sink *s)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	tm_broker_writer_free(me->writer);
	tm_broker_free(me->own);
	tm_arena_done(&me->arena);
}

static void kafka_save(struct tm_sink *s, struct tm_buf *out)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	me->writer->klass->save(me->writer, out);
}

static tm_rc kafka_load(struct tm_sink *s, struct tm_str saved, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	return me->writer->klass->load(me->writer, saved, err);
}

/* ---- rows ---- */

static tm_rc kafka_begin(struct tm_sink *s, struct tm_err *err)
{
	(void)err;
	struct kafka_sink *me = (struct kafka_sink *)s;
	tm_arena_reset(&me->arena);
	memset(&me->targets, 0, sizeof me->targets);
	return TM_OK;
}

static struct target *target_of(struct kafka_sink *me, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < me->targets.count; i++)
		if (me->targets.items[i].partition == partition && tm_str_eq(me->targets.items[i].topic, topic))
			return &me->targets.items[i];
	TM_PUSH_IN(&me->arena, &me->targets, (struct target){.topic = tm_arena_str(&me->arena, topic), .partition = partition});
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
			TM_TRY(me->writer->klass->topic(me->writer, topic, &partitions, err));
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

static int compare_records(const void *a, const void *b)
{
	const struct tm_record *x = a, *y = b;
	int c = tm_str_cmp(x->key, y->key);
	return c ? c : tm_str_cmp(x->value, y->value);
}

static tm_rc kafka_finish(struct tm_sink *s, struct tm_err *err)
{
	struct kafka_sink *me = (struct kafka_sink *)s;
	if (!me->targets.count)
		return TM_OK;
	struct tm_broker_part *parts = TM_NEW_N(&me->arena, struct tm_broker_part, me->targets.count);
	for (size_t i = 0; i < me->targets.count; i++) {
		struct target *t = &me->targets.items[i];
		if (!s->ordered)
			qsort(t->records.items, t->records.count, sizeof *t->records.items, compare_records);
		parts[i] = (struct tm_broker_part){t->topic, t->partition, t->records.items, t->records.count};
	}
	const struct tm_broker_batch batch = {.batch_id = s->batch_id,
					      .now_us = s->run->session.now_us,
					      .replay = s->replay,
					      .parts = parts,
					      .part_count = me->targets.count};
	return me->writer->klass->write(me->writer, &batch, err);
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
