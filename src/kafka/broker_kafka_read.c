/* Reading topics of a real Kafka. A reader fetches ahead: each partition has a queue of librdkafka's that is filled from where the
 * query stands, so that new records are there before they are asked for, and wake it. Keys and values are views into the messages.
 * How far a partition goes is known from the answers to those fetches; where they know of nothing new, and once a second, the broker
 * is asked. Gaps (compaction, transactions) are told from a slow broker by the end-of-partition event.
 * States of a partition: stopped -> fetching from `floor` on -> (read elsewhere, or an error) stopped. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGES = TM_LIMIT_BATCH_ROWS, ASK_EVERY_MS = 1000 };

struct part {
	struct tm_str topic; /* with a NUL behind it, ours */
	int32_t partition;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *queue; /* NULL = stopped */
	int64_t floor;           /* all before it was given */
	int64_t position;        /* no record is in floor..position-1 */
	int64_t ended;           /* the partition ended here when all messages on hand had come */
	rd_kafka_message_t **messages;
	size_t count, next; /* messages taken off the queue; the first that is not given */
};
struct kafka_reader {
	struct tm_broker_reader r;
	struct kafka_broker *b;
	rd_kafka_t *rk;
	struct tm_broker_caller caller;
	bool headers, committed;
	struct {
		struct part **items;
		size_t count, cap;
	} parts;
	int64_t began_ns, asked_ns; /* asked: when the starts were looked up last */
	/* records given last */
	struct part *giving;
	struct tm_arena arena;
	struct kb_commits commits;
	struct tm_arena names; /* the group's */
};

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }

static void woken(rd_kafka_t *rk, void *opaque)
{
	(void)rk;
	struct kafka_reader *me = opaque;
	me->caller.woken(me->caller.ctx);
}

/* ---- partitions ---- */

static struct part *part_of(struct kafka_reader *me, struct tm_str topic, int32_t partition, size_t hint)
{
	if (hint < me->parts.count && me->parts.items[hint]->partition == partition && tm_str_eq(me->parts.items[hint]->topic, topic))
		return me->parts.items[hint];
	for (size_t i = 0; i < me->parts.count; i++)
		if (me->parts.items[i]->partition == partition && tm_str_eq(me->parts.items[i]->topic, topic))
			return me->parts.items[i];
	struct part *p = tm_zalloc(sizeof *p);
	char *name = tm_zalloc(topic.len + 1);
	memcpy(name, topic.at, topic.len);
	*p = (struct part){.topic = {name, topic.len}, .partition = partition};
	TM_PUSH(&me->parts, p);
	return p;
}

static void drop_given(struct part *p)
{
	for (size_t i = 0; i < p->next; i++)
		rd_kafka_message_destroy(p->messages[i]);
	memmove(p->messages, p->messages + p->next, (p->count - p->next) * sizeof *p->messages);
	p->count -= p->next;
	p->next = 0;
}

static void drop_all(struct part *p)
{
	for (size_t i = 0; i < p->count; i++)
		rd_kafka_message_destroy(p->messages[i]);
	p->count = p->next = 0;
}

static void stop(struct part *p)
{
	drop_all(p);
	if (!p->queue)
		return;
	rd_kafka_queue_cb_event_enable(p->queue, NULL, NULL);
	rd_kafka_consume_stop(p->rkt, p->partition);
	rd_kafka_queue_destroy(p->queue);
	rd_kafka_topic_destroy(p->rkt);
	p->queue = NULL;
}

/* A topic that grew: the handle learns of its new partitions now, not when its metadata is due. */
static void learn_of(struct kafka_reader *me, const struct part *p)
{
	const struct rd_kafka_metadata *m;
	bool grown = false;
	for (size_t i = 0; i < me->parts.count; i++)
		grown |= me->parts.items[i]->queue && me->parts.items[i] != p && tm_str_eq(me->parts.items[i]->topic, p->topic);
	if (grown && now_ns() - me->began_ns > ASK_EVERY_MS * INT64_C(1000000) && !rd_kafka_metadata(me->rk, 0, p->rkt, &m, KB_CALL_MS))
		rd_kafka_metadata_destroy(m);
}

/* Fetching goes on, or begins, at this offset. */
static tm_rc fetch_from(struct kafka_reader *me, struct part *p, int64_t offset, struct tm_err *err)
{
	if (p->queue && offset >= p->floor && offset <= p->position)
		return TM_OK;
	stop(p);
	if (!p->messages)
		p->messages = tm_alloc(MESSAGES * sizeof *p->messages);
	p->rkt = rd_kafka_topic_new(me->rk, p->topic.at, NULL);
	if (!p->rkt)
		return kb_fail(me->b, rd_kafka_last_error(), err, "topic '%s'", p->topic.at);
	learn_of(me, p);
	p->queue = rd_kafka_queue_new(me->rk);
	if (rd_kafka_consume_start_queue(p->rkt, p->partition, offset, p->queue)) {
		rd_kafka_resp_err_t code = rd_kafka_last_error();
		rd_kafka_queue_destroy(p->queue);
		rd_kafka_topic_destroy(p->rkt);
		p->queue = NULL;
		return kb_fail(me->b, code, err, "topic '%s' partition %d", p->topic.at, p->partition);
	}
	if (me->caller.woken)
		rd_kafka_queue_cb_event_enable(p->queue, woken, me);
	p->floor = p->position = p->ended = offset;
	return TM_OK;
}

/* ---- bounds ---- */

/* From what the fetches brought; *ret_new: there is something behind one of the offsets. */
static void bounds_fetched(struct kafka_reader *me, const struct tm_offsets *at, struct tm_broker_bounds *ret, bool *ret_new)
{
	*ret_new = false;
	for (size_t i = 0; i < at->count; i++) {
		const struct tm_offset *o = &at->items[i];
		const struct part *p = part_of(me, o->topic, o->partition, i);
		int64_t low, high;
		if (rd_kafka_get_watermark_offsets(me->rk, p->topic.at, p->partition, &low, &high) || high < o->offset)
			high = o->offset;
		ret[i] = (struct tm_broker_bounds){0, high};
		*ret_new |= high > o->offset;
	}
}

static tm_rc bounds_asked(struct kafka_reader *me, const struct tm_offsets *at, bool starts, struct tm_broker_bounds *ret,
			  struct tm_err *err)
{
	int64_t *offsets = tm_zalloc(tm_mul_size(at->count + 1, sizeof *offsets));
	tm_rc rc = starts ? kb_list_offsets(me->b, me->committed, at, RD_KAFKA_OFFSET_BEGINNING, offsets, err) : TM_OK;
	for (size_t i = 0; i < at->count && !rc; i++)
		ret[i].start = offsets[i];
	if (!rc)
		rc = kb_list_offsets(me->b, me->committed, at, RD_KAFKA_OFFSET_END, offsets, err);
	for (size_t i = 0; i < at->count && !rc; i++)
		ret[i].end = offsets[i];
	free(offsets);
	if (!rc && starts)
		me->asked_ns = now_ns();
	if (!rc)
		kb_content(me->b);
	return rc;
}

static tm_rc reader_bounds(struct tm_broker_reader *r, const struct tm_offsets *at, struct tm_broker_bounds *ret, struct tm_err *err)
{
	struct kafka_reader *me = (struct kafka_reader *)r;
	rd_kafka_poll(me->rk, 0);
	kb_commits_serve(&me->commits);
	bool all = true, fresh = false;
	for (size_t i = 0; i < at->count; i++) {
		all &= at->items[i].offset >= 0;
		if (at->items[i].offset >= 0)
			TM_TRY(fetch_from(me, part_of(me, at->items[i].topic, at->items[i].partition, i), at->items[i].offset, err));
	}
	bool starts = !all || now_ns() - me->asked_ns > ASK_EVERY_MS * INT64_C(1000000);
	if (!starts)
		bounds_fetched(me, at, ret, &fresh);
	return fresh ? TM_OK : bounds_asked(me, at, starts, ret, err);
}

/* ---- records ---- */

static tm_rc event_error(struct kafka_reader *me, struct part *p, const rd_kafka_message_t *m, struct tm_err *err)
{
	rd_kafka_resp_err_t code = m->err;
	if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		tm_rc rc = tm_fail(err, TM_INVALID, "topic '%s' partition %d has no offset %lld", p->topic.at, p->partition,
				   (long long)p->position);
		if (err)
			err->code = RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
		return rc;
	}
	if (kb_passing(code)) {
		kb_complain(me->b, code, rd_kafka_message_errstr(m));
		return TM_OK;
	}
	struct tm_broker_topic there;
	bool gone = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		    code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
	if (gone && me->b->b.klass->topic(&me->b->b, p->topic, &there, NULL) == TM_OK && p->partition < there.partitions)
		return TM_OK; /* it is new, or moves */
	return kb_fail(me->b, code, err, "topic '%s' partition %d", p->topic.at, p->partition);
}

/* Takes messages off the queue; waits for the first at most a slice. Errors and the end of the partition are dealt with here. */
static tm_rc take(struct kafka_reader *me, struct part *p, struct tm_err *err)
{
	ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, p->messages + p->count, MESSAGES - p->count);
	if (n <= 0) {
		rd_kafka_message_t *one = rd_kafka_consume_queue(p->queue, KB_SLICE_MS);
		n = one ? 1 : 0;
		if (one)
			p->messages[p->count] = one;
	}
	size_t kept = p->count, end = p->count + (size_t)n;
	tm_rc rc = TM_OK;
	for (size_t i = p->count; i < end; i++) {
		rd_kafka_message_t *m = p->messages[i];
		if (!m->err && !rc && m->offset >= p->floor) {
			p->messages[kept++] = m;
			continue;
		}
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			p->ended = m->offset > p->ended ? m->offset : p->ended;
		else if (m->err && !rc)
			rc = event_error(me, p, m, err);
		rd_kafka_message_destroy(m);
	}
	p->count = kept;
	return rc;
}

static void headers_of(struct kafka_reader *me, rd_kafka_message_t *m, struct tm_broker_records *out, size_t i)
{
	rd_kafka_headers_t *all;
	if (rd_kafka_message_headers(m, &all))
		return;
	size_t n = rd_kafka_header_cnt(all);
	struct tm_header *list = TM_NEW_N(&me->arena, struct tm_header, n + 1);
	for (size_t h = 0; h < n; h++) {
		const char *name;
		const void *value;
		size_t size;
		if (rd_kafka_header_get_all(all, h, &name, &value, &size))
			break;
		list[h] = (struct tm_header){tm_str_of(name), {value ? value : "", value ? size : 0}, value == NULL};
	}
	out->headers[i] = list;
	out->header_counts[i] = n;
}

/* Messages p->next.. below to as columns. */
static void give(struct kafka_reader *me, struct part *p, int64_t to, struct tm_broker_records *out)
{
	size_t n = 0;
	while (p->next + n < p->count && p->messages[p->next + n]->offset < to)
		n++;
	struct tm_arena *arena = &me->arena;
	*out = (struct tm_broker_records){.count = n,
					  .keys = TM_NEW_N(arena, struct tm_str, n + 1),
					  .values = TM_NEW_N(arena, struct tm_str, n + 1),
					  .offsets = TM_NEW_N(arena, int64_t, n + 1),
					  .timestamps_us = TM_NEW_N(arena, int64_t, n + 1),
					  .append_time = TM_NEW_N(arena, uint8_t, n + 1),
					  .headers = TM_NEW_N(arena, const struct tm_header *, n + 1),
					  .header_counts = TM_NEW_N(arena, size_t, n + 1)};
	for (size_t i = 0; i < n; i++) {
		rd_kafka_message_t *m = p->messages[p->next + i];
		rd_kafka_timestamp_type_t type;
		int64_t ms = rd_kafka_message_timestamp(m, &type);
		out->keys[i] = (struct tm_str){m->key, m->key ? m->key_len : 0};
		out->values[i] = (struct tm_str){m->payload, m->payload ? m->len : 0};
		out->any_null_key |= !m->key;
		out->any_null_value |= !m->payload;
		out->offsets[i] = m->offset;
		out->timestamps_us[i] = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1000 : ms * 1000;
		out->append_time[i] = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
		if (me->headers)
			headers_of(me, m, out, i);
	}
	if (n)
		p->position = p->messages[p->next + n - 1]->offset + 1;
	p->next += n;
	if (p->next < p->count && p->messages[p->next]->offset >= to && p->position < to)
		p->position = to; /* what comes next is at or above to: there is nothing in between */
	if (p->next == p->count && p->ended > p->position)
		p->position = p->ended;
}

static tm_rc nothing_came(struct kafka_reader *me, const struct part *p, int64_t since_ns, bool *told, struct tm_err *err)
{
	if (kb_stopping(&me->caller))
		return tm_fail(err, TM_CANCELLED, "stopped while waiting for topic '%s'", p->topic.at);
	int64_t ms = (now_ns() - since_ns) / 1000000;
	rd_kafka_poll(me->rk, 0);
	if (ms > KB_AWAY_AFTER_MS)
		return kb_fail(me->b, RD_KAFKA_RESP_ERR__TIMED_OUT, err, "topic '%s' partition %d gives nothing at offset %lld",
			       p->topic.at, p->partition, (long long)p->position);
	if (ms > KB_SAY_AFTER_MS && !*told) {
		char text[200];
		snprintf(text, sizeof text, "the broker %s does not give the records of topic '%s' partition %d from offset %lld on",
			 me->b->b.address, p->topic.at, p->partition, (long long)p->position);
		kb_waits(&me->caller, text);
		*told = true;
	}
	return TM_OK;
}

static tm_rc reader_read(struct tm_broker_reader *r, const struct tm_offset *at, int64_t to, struct tm_broker_records *ret,
			 int64_t *ret_next, struct tm_err *err)
{
	struct kafka_reader *me = (struct kafka_reader *)r;
	struct tm_err local;
	if (!err)
		err = &local;
	if (me->giving)
		drop_given(me->giving);
	tm_arena_reset(&me->arena);
	*ret = (struct tm_broker_records){0};
	struct part *p = me->giving = part_of(me, at->topic, at->partition, SIZE_MAX);
	TM_TRY(fetch_from(me, p, at->offset, err));
	int64_t since_ns = now_ns();
	for (bool told = false;;) {
		give(me, p, to, ret);
		if (ret->count || p->position >= to)
			break;
		tm_rc rc = take(me, p, err);
		if (!rc && p->next == p->count && p->position < to)
			rc = nothing_came(me, p, since_ns, &told, err);
		if (rc) {
			stop(p);
			return rc;
		}
	}
	*ret_next = p->floor = p->position < to ? p->position : to;
	return TM_OK;
}

/* ---- life ---- */

static void reader_free(struct tm_broker_reader *r)
{
	struct kafka_reader *me = (struct kafka_reader *)r;
	for (size_t i = 0; i < me->parts.count; i++) {
		struct part *p = me->parts.items[i];
		stop(p);
		free(p->messages);
		free((void *)p->topic.at);
		free(p);
	}
	free(me->parts.items);
	kb_commits_done(&me->commits);
	if (me->rk)
		rd_kafka_destroy_flags(me->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	tm_arena_done(&me->arena);
	tm_arena_done(&me->names);
	free(me);
}

static void reader_committed(struct tm_broker_reader *r, const struct tm_offsets *offsets)
{
	kb_commits_want(&((struct kafka_reader *)r)->commits, offsets);
}

static const struct tm_broker_reader_class reader_class = {
    .free = reader_free, .bounds = reader_bounds, .read = reader_read, .committed = reader_committed};

/* kafka.group.id, else Spark's groupIdPrefix (ours: tidemill) and the query's name. */
static void name_group(struct kafka_reader *me, const struct tm_broker_reader_options *options, const struct kb_wishes *wishes)
{
	if (!options->query.len)
		return;
	struct tm_str prefix = TM_STR("tidemill");
	for (size_t i = 0; i < options->option_count; i++)
		if (tm_str_iis(options->options[i].name, "groupIdPrefix"))
			prefix = options->options[i].value;
	me->commits.b = me->b;
	me->commits.group = wishes->group.len ? kb_cstr(&me->names, wishes->group)
					      : tm_arena_printf(&me->names, "%.*s-%.*s", TM_STR_ARG(prefix), TM_STR_ARG(options->query)).at;
}

tm_rc kb_reader(struct tm_broker *broker, const struct tm_broker_reader_options *options, struct tm_broker_reader **ret, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_conf_t *conf = kb_conf(b, KB_READING);
	struct kb_wishes wishes;
	tm_rc rc = kb_wishes(options->options, options->option_count, KB_READING, conf, &wishes, err);
	if (rc) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	struct kafka_reader *me = tm_zalloc(sizeof *me);
	me->r.klass = &reader_class;
	me->b = b;
	me->caller = options->caller;
	me->headers = options->headers;
	me->committed = wishes.committed;
	me->began_ns = now_ns();
	tm_arena_init(&me->arena);
	if (me->committed)
		kb_set(conf, "isolation.level", "read_committed");
	tm_arena_init(&me->names);
	name_group(me, options, &wishes);
	rc = kb_handle(b, RD_KAFKA_CONSUMER, conf, &me->rk, err);
	if (rc) {
		reader_free(&me->r);
		return rc;
	}
	*ret = &me->r;
	return TM_OK;
}
