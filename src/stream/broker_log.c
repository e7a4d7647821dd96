/* The embedded log as a broker: its topics, their bounds, single appends. Reading is in broker_log_read.c, the sink's writing in
 * broker_log_write.c. It holds nothing but the log, so that one may be made wherever it is needed. */
#include "stream/broker_log_int.h"
#include "stream/provider.h"
#include <stdlib.h>

static struct tm_log *log_of(struct tm_broker *b) { return ((struct tm_broker_log *)b)->log; }

tm_rc tm_broker_log_topic(struct tm_log *log, struct tm_str name, struct tm_topic **ret, struct tm_err *err)
{
	*ret = tm_log_topic_find(log, name);
	return *ret ? TM_OK : tm_fail(err, TM_NOT_FOUND, "topic '%.*s' does not exist", TM_STR_ARG(name));
}

static tm_rc log_topics(struct tm_broker *b, bool counts, struct tm_arena *arena, struct tm_broker_topic **ret, size_t *ret_count,
			struct tm_err *err)
{
	(void)err;
	struct tm_topic **topics;
	size_t n = tm_log_topics(log_of(b), &topics);
	*ret = TM_NEW_N(arena, struct tm_broker_topic, n + 1);
	*ret_count = n;
	for (size_t i = 0; i < n; i++) {
		struct tm_broker_topic *t = &(*ret)[i];
		*t = (struct tm_broker_topic){.name = tm_arena_str(arena, tm_topic_name(topics[i])),
					      .partitions = tm_topic_partitions(topics[i]),
					      .internal = tm_topic_internal(topics[i])};
		for (int32_t p = 0; counts && p < t->partitions; p++) {
			struct tm_log_offsets o;
			if (tm_log_offsets(topics[i], p, &o, NULL) == TM_OK) {
				t->records += o.high_watermark - o.start;
				t->end += o.high_watermark;
			}
			t->bytes += tm_log_partition_bytes(topics[i], p);
		}
		tm_topic_unref(topics[i]);
	}
	free(topics);
	return TM_OK;
}

static tm_rc log_topic(struct tm_broker *b, struct tm_str name, struct tm_broker_topic *ret, struct tm_err *err)
{
	struct tm_topic *topic;
	TM_TRY(tm_broker_log_topic(log_of(b), name, &topic, err));
	*ret = (struct tm_broker_topic){
	    .name = name, .partitions = tm_topic_partitions(topic), .internal = tm_topic_internal(topic), .bytes = -1};
	tm_topic_unref(topic);
	return TM_OK;
}

static tm_rc log_bounds(struct tm_broker *b, struct tm_str name, int32_t partition, struct tm_broker_bounds *ret, struct tm_err *err)
{
	struct tm_topic *topic;
	struct tm_log_offsets o;
	TM_TRY(tm_broker_log_topic(log_of(b), name, &topic, err));
	tm_rc rc = tm_log_offsets(topic, partition, &o, err);
	tm_topic_unref(topic);
	if (!rc)
		*ret = (struct tm_broker_bounds){o.start, o.high_watermark};
	return rc;
}

static tm_rc log_offset_for_time(struct tm_broker *b, struct tm_str name, int32_t partition, int64_t ms, int64_t *ret, struct tm_err *err)
{
	struct tm_topic *topic;
	int64_t stamp;
	TM_TRY(tm_broker_log_topic(log_of(b), name, &topic, err));
	tm_rc rc = tm_log_offset_for_time(topic, partition, ms, ret, &stamp, err);
	tm_topic_unref(topic);
	return rc;
}

static tm_rc log_create(struct tm_broker *b, struct tm_str name, int32_t partitions, struct tm_err *err)
{
	return tm_log_topic_create(log_of(b), name, partitions, NULL, 0, NULL, err);
}

static tm_rc log_append(struct tm_broker *b, struct tm_str name, int32_t partition, const struct tm_record *records, size_t count,
			int64_t *ret_base, struct tm_err *err)
{
	struct tm_topic *topic;
	TM_TRY(tm_broker_log_topic(log_of(b), name, &topic, err));
	struct tm_buf batch = {0};
	const struct tm_batch_build build = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
	tm_rc rc = tm_batch_write(&build, records, count, &batch, err);
	struct tm_log_append part = {.topic = topic, .partition = partition, .batches = tm_buf_str(&batch), .from_client = true};
	if (!rc)
		rc = tm_log_append_wait(log_of(b), &part, 1, err);
	if (!rc && ret_base)
		*ret_base = part.base_offset;
	tm_buf_done(&batch);
	tm_topic_unref(topic);
	return rc;
}

/* Options for a client of Kafka mean nothing here, but those that change what is read. */
static tm_rc log_check(struct tm_broker *b, const struct tm_option *options, size_t count, bool sink, struct tm_err *err)
{
	(void)b;
	bool committed;
	return sink ? TM_OK : tm_broker_isolation(options, count, &committed, err);
}

static void log_free(struct tm_broker *b) { free(b); }

static const struct tm_broker_class log_class = {.name = "embedded",
						 .embedded = true,
						 .free = log_free,
						 .topics = log_topics,
						 .topic = log_topic,
						 .bounds = log_bounds,
						 .offset_for_time = log_offset_for_time,
						 .create = log_create,
						 .append = log_append,
						 .check = log_check,
						 .reader = tm_broker_log_reader,
						 .writer = tm_broker_log_writer};

struct tm_broker *tm_broker_log_new(struct tm_log *log)
{
	struct tm_broker_log *me = tm_zalloc(sizeof *me);
	me->b = (struct tm_broker){&log_class, "embedded"};
	me->log = log;
	return &me->b;
}

struct tm_broker *tm_broker_of(const struct tm_stream_world *world, struct tm_broker **ret_own)
{
	*ret_own = NULL;
	if (world->broker)
		return world->broker;
	return world->log ? *ret_own = tm_broker_log_new(world->log) : NULL;
}

tm_rc tm_broker_isolation(const struct tm_option *options, size_t count, bool *ret_committed, struct tm_err *err)
{
	const struct tm_str *v = tm_option_get(options, count, "kafka.isolation.level");
	*ret_committed = v && tm_str_is(tm_str_trim(*v), "read_committed");
	if (!v || *ret_committed || tm_str_is(tm_str_trim(*v), "read_uncommitted"))
		return TM_OK;
	return tm_fail(err, TM_INVALID, "option kafka.isolation.level must be read_committed or read_uncommitted, not '%.*s'",
		       TM_STR_ARG(*v));
}
