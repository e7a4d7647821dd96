/* A real Kafka as a broker of topics: its topics and their bounds, making topics, single appends. Every question goes through one
 * handle of librdkafka that is made when it is first needed; it is a consumer without a group, which never makes a topic by asking. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNTS_AGE_MS = 1000, CREATED_WAIT_MS = 5000, APPEND_WAIT_MS = 10000 };

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }
static void pause_ms(int64_t ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

bool kb_internal(struct tm_str topic)
{
	static const char *const names[] = {"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata", NULL};
	return tm_str_among(topic, names) || tm_str_starts(topic, TM_STR("__tidemill_")); /* the journal of several instances */
}

tm_rc kb_asking(struct kafka_broker *b, bool committed, rd_kafka_t **ret, struct tm_err *err)
{
	tm_rc rc = TM_OK;
	pthread_mutex_lock(&b->lock);
	if (!b->asking[committed]) {
		rd_kafka_conf_t *conf = kb_conf(b, KB_ASKING);
		if (committed)
			kb_set(conf, "isolation.level", "read_committed");
		rc = kb_handle(b, RD_KAFKA_CONSUMER, conf, &b->asking[committed], err);
	}
	*ret = b->asking[committed];
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* ---- metadata ---- */

/* Of one topic, or of all (name NULL). Free with rd_kafka_metadata_destroy. */
static tm_rc metadata(struct kafka_broker *b, const char *name, int timeout_ms, const struct rd_kafka_metadata **ret, struct tm_err *err)
{
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(rk, name, NULL) : NULL;
	if (name && !topic)
		return kb_fail(b, rd_kafka_last_error(), err, "topic '%s'", name);
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, !name, topic, ret, timeout_ms);
	if (topic)
		rd_kafka_topic_destroy(topic);
	rd_kafka_poll(rk, 0);
	if (code)
		return kb_fail(b, code, err, "the broker %s does not answer", b->b.address);
	kb_content(b);
	return TM_OK;
}

static void keep_nodes(struct kafka_broker *b, const struct rd_kafka_metadata *m)
{
	pthread_mutex_lock(&b->lock);
	tm_arena_reset(&b->nodes_arena);
	b->nodes = TM_NEW_N(&b->nodes_arena, struct tm_kafka_node, (size_t)m->broker_cnt + 1);
	b->node_count = 0;
	for (int i = 0; i < m->broker_cnt; i++)
		b->nodes[b->node_count++] = (struct tm_kafka_node){kb_text(&b->nodes_arena, m->brokers[i].host), m->brokers[i].port};
	pthread_mutex_unlock(&b->lock);
}

size_t tm_kafka_broker_nodes(struct tm_broker *broker, struct tm_arena *arena, struct tm_kafka_node **ret)
{
	struct kafka_broker *b = kb_of(broker);
	pthread_mutex_lock(&b->lock);
	size_t n = b->node_count;
	*ret = TM_NEW_N(arena, struct tm_kafka_node, n + 1);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (struct tm_kafka_node){tm_arena_str(arena, b->nodes[i].host), b->nodes[i].port};
	pthread_mutex_unlock(&b->lock);
	return n;
}

struct tm_kafka_node tm_kafka_broker_bootstrap(struct tm_broker *broker)
{
	const struct tm_url *u = &kb_of(broker)->url;
	return (struct tm_kafka_node){u->hosts[0].host, u->hosts[0].port ? u->hosts[0].port : 9092};
}

/* librdkafka sent a nonce twice until 2.6.1 (its pull request 4895); Kafka looks at it again since 4.0. */
static bool scram_of_old(const struct kafka_broker *b)
{
	const struct tm_str *mechanism = tm_url_param(&b->url, "sasl.mechanisms");
	if (!mechanism)
		mechanism = tm_url_param(&b->url, "sasl.mechanism");
	return mechanism && tm_str_starts(*mechanism, TM_STR("SCRAM")) && rd_kafka_version() < 0x02060100;
}

static tm_rc no_connection(const struct kafka_broker *b, tm_rc rc, struct tm_err *err)
{
	if (rc != TM_DENIED)
		tm_err_hint(err, "Start the broker, or set broker (environment TIDEMILL_BROKER) to its address.");
	else if (scram_of_old(b))
		tm_err_hint(err,
			    "Look at user and password. Kafka 4 takes no SCRAM from a librdkafka before 2.6.1, and this one is %s: there "
			    "sasl.mechanisms=PLAIN goes, with security.protocol=SASL_SSL.",
			    rd_kafka_version_str());
	else
		tm_err_hint(err, "Look at user and password: broker: kafka://user:password@host:port?security.protocol=SASL_PLAINTEXT");
	return rc;
}

tm_rc tm_kafka_broker_connect(struct tm_broker *broker, int64_t wait_ms, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	int64_t until_ns = now_ns() + wait_ms * 1000000;
	struct tm_err local;
	if (!err)
		err = &local;
	for (bool told = false;;) {
		const struct rd_kafka_metadata *m;
		tm_rc rc = metadata(b, NULL, 500, &m, err);
		if (!rc) {
			keep_nodes(b, m);
			rd_kafka_metadata_destroy(m);
			return TM_OK;
		}
		if (rc != TM_UNAVAILABLE || now_ns() > until_ns)
			return no_connection(b, rc, err);
		if (!told)
			tm_say(TM_SAY_INFO, "kafka", "waiting for the broker %s: %s", b->b.address,
			       err->detail[0] ? err->detail : err->what);
		told = true;
		pause_ms(KB_SLICE_MS);
	}
}

static tm_rc kb_topic(struct tm_broker *broker, struct tm_str name, struct tm_broker_topic *ret, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	char text[256];
	if (!name.len || name.len >= sizeof text)
		return tm_fail(err, TM_NOT_FOUND, "there is no topic with a name of %zu bytes", name.len);
	snprintf(text, sizeof text, "%.*s", TM_STR_ARG(name));
	const struct rd_kafka_metadata *m;
	TM_TRY(metadata(b, text, KB_CALL_MS, &m, err));
	tm_rc rc = TM_OK;
	if (m->topic_cnt < 1 || m->topics[0].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	    m->topics[0].err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || m->topics[0].err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
		rc = tm_fail(err, TM_NOT_FOUND, "topic '%s' does not exist on %s", text, b->b.address);
	else if (m->topics[0].err)
		rc = kb_fail(b, m->topics[0].err, err, "topic '%s'", text);
	else
		*ret = (struct tm_broker_topic){
		    .name = name, .partitions = m->topics[0].partition_cnt, .internal = kb_internal(name), .bytes = -1};
	rd_kafka_metadata_destroy(m);
	return rc;
}

/* ---- offsets ---- */

/* A broker that just started does not know the leaders of its partitions yet; whether a topic is there is asked otherwise. */
static rd_kafka_resp_err_t known_soon(rd_kafka_resp_err_t code)
{
	bool unknown = code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		       code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	return unknown ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE : code;
}

/* The first error of all, or of one partition. A partition that was just made, or moved, has a leader in a moment: it is asked again. */
static rd_kafka_resp_err_t ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t ms)
{
	enum { AGAIN_MS = 50 };
	for (int waited = 0;; waited += AGAIN_MS) {
		for (int i = 0; i < list->cnt; i++)
			list->elems[i].offset = ms;
		rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, KB_CALL_MS);
		for (int i = 0; i < list->cnt && !code; i++)
			code = list->elems[i].err;
		rd_kafka_poll(rk, 0);
		bool soon = code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		if (!soon || waited >= KB_CALL_MS)
			return code;
		pause_ms(AGAIN_MS);
	}
}

tm_rc kb_list_offsets(struct kafka_broker *b, bool committed, const struct tm_offsets *at, int64_t ms, int64_t *ret, struct tm_err *err)
{
	rd_kafka_t *rk;
	if (!at->count)
		return TM_OK;
	TM_TRY(kb_asking(b, committed, &rk, err));
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)at->count);
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < at->count; i++)
		rd_kafka_topic_partition_list_add(list, kb_cstr(&arena, at->items[i].topic), at->items[i].partition);
	rd_kafka_resp_err_t code = ask_offsets(rk, list, ms);
	bool one = false; /* of one partition: it is named below */
	for (int i = 0; i < list->cnt; i++)
		one = one || list->elems[i].err;
	tm_rc rc =
	    code && !one ? kb_fail(b, known_soon(code), err, "the broker %s does not say how far its topics go", b->b.address) : TM_OK;
	for (size_t i = 0; i < at->count && !rc; i++) {
		const rd_kafka_topic_partition_t *p =
		    rd_kafka_topic_partition_list_find(list, kb_cstr(&arena, at->items[i].topic), at->items[i].partition);
		if (p->err)
			rc = kb_fail(b, known_soon(p->err), err, "topic '%s' partition %d", p->topic, p->partition);
		else
			ret[i] = p->offset < 0 ? -1 : p->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	tm_arena_done(&arena);
	return rc;
}

static tm_rc one_offset(struct kafka_broker *b, struct tm_str topic, int32_t partition, int64_t ms, int64_t *ret, struct tm_err *err)
{
	struct tm_offset one = {topic, partition, 0};
	return kb_list_offsets(b, false, &(struct tm_offsets){&one, 1, 1}, ms, ret, err);
}

static tm_rc kb_bounds(struct tm_broker *broker, struct tm_str topic, int32_t partition, struct tm_broker_bounds *ret, struct tm_err *err)
{
	struct tm_broker_bounds b;
	TM_TRY(one_offset(kb_of(broker), topic, partition, RD_KAFKA_OFFSET_BEGINNING, &b.start, err));
	TM_TRY(one_offset(kb_of(broker), topic, partition, RD_KAFKA_OFFSET_END, &b.end, err));
	*ret = b;
	return TM_OK;
}

static tm_rc kb_offset_for_time(struct tm_broker *broker, struct tm_str topic, int32_t partition, int64_t ms, int64_t *ret,
				struct tm_err *err)
{
	return one_offset(kb_of(broker), topic, partition, ms < 0 ? 0 : ms, ret, err);
}

/* ---- all topics ---- */

static int by_name(const void *a, const void *b)
{
	return tm_str_cmp(((const struct tm_broker_topic *)a)->name, ((const struct tm_broker_topic *)b)->name);
}

static tm_rc list_topics(struct kafka_broker *b, struct tm_arena *arena, struct tm_broker_topic **ret, size_t *ret_count,
			 struct tm_err *err)
{
	const struct rd_kafka_metadata *m;
	TM_TRY(metadata(b, NULL, KB_CALL_MS, &m, err));
	keep_nodes(b, m);
	*ret = TM_NEW_N(arena, struct tm_broker_topic, (size_t)m->topic_cnt + 1);
	*ret_count = 0;
	for (int i = 0; i < m->topic_cnt; i++) {
		struct tm_str name = kb_text(arena, m->topics[i].topic);
		if (!m->topics[i].err)
			(*ret)[(*ret_count)++] = (struct tm_broker_topic){
			    .name = name, .partitions = m->topics[i].partition_cnt, .internal = kb_internal(name), .bytes = -1};
	}
	rd_kafka_metadata_destroy(m);
	qsort(*ret, *ret_count, sizeof **ret, by_name);
	return TM_OK;
}

/* Counts of those that are shown; internal topics are left out. */
static tm_rc count_topics(struct kafka_broker *b, struct tm_broker_topic *topics, size_t n, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_offsets all = {0};
	tm_arena_init(&arena);
	for (size_t i = 0; i < n; i++)
		for (int32_t p = 0; !topics[i].internal && p < topics[i].partitions; p++)
			TM_PUSH_IN(&arena, &all, (struct tm_offset){topics[i].name, p, 0});
	int64_t *start = TM_NEW_N(&arena, int64_t, all.count + 1), *end = TM_NEW_N(&arena, int64_t, all.count + 1);
	tm_rc rc = kb_list_offsets(b, false, &all, RD_KAFKA_OFFSET_BEGINNING, start, err);
	if (!rc)
		rc = kb_list_offsets(b, false, &all, RD_KAFKA_OFFSET_END, end, err);
	for (size_t i = 0, at = 0; i < n && !rc; i++)
		for (int32_t p = 0; !topics[i].internal && p < topics[i].partitions; p++, at++) {
			topics[i].records += end[at] - start[at];
			topics[i].end += end[at];
		}
	tm_arena_done(&arena);
	return rc;
}

static tm_rc kb_topics(struct tm_broker *broker, bool counts, struct tm_arena *arena, struct tm_broker_topic **ret, size_t *ret_count,
		       struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	if (!counts)
		return list_topics(b, arena, ret, ret_count, err);
	pthread_mutex_lock(&b->counting);
	tm_rc rc = TM_OK;
	if (b->count_failed_ns && now_ns() - b->count_failed_ns < COUNTS_AGE_MS * INT64_C(1000000)) {
		rc = b->count_err.rc; /* it was away a moment ago: who looks at the page does not wait for it again */
		if (err)
			*err = b->count_err;
	} else if (!b->counted_ns || now_ns() - b->counted_ns > COUNTS_AGE_MS * INT64_C(1000000)) {
		tm_arena_reset(&b->counted_arena);
		b->counted_count = 0;
		b->counted_ns = 0;
		rc = list_topics(b, &b->counted_arena, &b->counted, &b->counted_count, &b->count_err);
		if (!rc)
			rc = count_topics(b, b->counted, b->counted_count, &b->count_err);
		if (rc == TM_NOT_FOUND) { /* a topic went just now */
			b->count_failed_ns = 0;
			if (err)
				*err = b->count_err;
		} else {
			b->count_failed_ns = rc ? now_ns() : 0;
			b->counted_ns = rc ? 0 : now_ns();
			if (rc && err)
				*err = b->count_err;
		}
	}
	*ret_count = rc ? 0 : b->counted_count;
	*ret = TM_NEW_N(arena, struct tm_broker_topic, *ret_count + 1);
	for (size_t i = 0; i < *ret_count; i++) {
		(*ret)[i] = b->counted[i];
		(*ret)[i].name = tm_arena_str(arena, b->counted[i].name);
	}
	pthread_mutex_unlock(&b->counting);
	return rc;
}

/* ---- making topics ---- */

static tm_rc created(struct kafka_broker *b, rd_kafka_queue_t *queue, const char *name, struct tm_err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, APPEND_WAIT_MS);
	if (!event)
		return kb_fail(b, RD_KAFKA_RESP_ERR__TIMED_OUT, err, "the broker %s does not answer", b->b.address);
	tm_rc rc = TM_OK;
	if (rd_kafka_event_error(event)) {
		rc = kb_fail(b, rd_kafka_event_error(event), err, "topic '%s' is not made", name);
	} else {
		size_t n = 0;
		const rd_kafka_topic_result_t **results =
		    rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
		for (size_t i = 0; i < n && !rc; i++)
			if (rd_kafka_topic_result_error(results[i])) {
				rc = kb_fail(b, rd_kafka_topic_result_error(results[i]), err, "topic '%s' is not made", name);
				if (rd_kafka_topic_result_error_string(results[i]))
					tm_err_detail(err, "%s", rd_kafka_topic_result_error_string(results[i]));
			}
	}
	rd_kafka_event_destroy(event);
	return rc;
}

static tm_rc kb_create(struct tm_broker *broker, struct tm_str topic, int32_t partitions, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	char name[256], why[300];
	snprintf(name, sizeof name, "%.*s", TM_STR_ARG(topic));
	rd_kafka_NewTopic_t *one = rd_kafka_NewTopic_new(name, partitions, -1, why, sizeof why);
	if (!one)
		return tm_fail(err, TM_INVALID, "topic '%s': %s", name, why);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_CreateTopics(rk, &one, 1, NULL, queue);
	tm_rc rc = created(b, queue, name, err);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(one);
	struct tm_broker_topic found;
	int64_t until_ns = now_ns() + CREATED_WAIT_MS * INT64_C(1000000);
	while (!rc && kb_topic(broker, topic, &found, NULL) && now_ns() < until_ns)
		pause_ms(20); /* it is made before all brokers know it */
	return rc;
}

/* ---- single appends ---- */

struct appending {
	size_t left;
	int64_t base;
	rd_kafka_resp_err_t failed;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	struct appending *a = m->_private;
	a->left--;
	if (m->err)
		a->failed = m->err;
	else if (a->base < 0 || m->offset < a->base)
		a->base = m->offset;
}

static tm_rc produce_all(struct kafka_broker *b, rd_kafka_topic_t *topic, int32_t partition, const struct tm_record *records, size_t count,
			 struct appending *a, struct tm_err *err)
{
	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = kb_produce(b->producer, topic, partition, &records[i], RD_KAFKA_MSG_F_COPY, a);
		const struct rd_kafka_metadata *m;
		if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION &&
		    !rd_kafka_metadata(b->producer, 0, topic, &m, KB_CALL_MS)) { /* the topic grew */
			rd_kafka_metadata_destroy(m);
			code = kb_produce(b->producer, topic, partition, &records[i], RD_KAFKA_MSG_F_COPY, a);
		}
		if (code)
			return kb_fail(b, code, err, "topic '%s'", rd_kafka_topic_name(topic));
		a->left++;
	}
	return TM_OK;
}

static tm_rc append_locked(struct kafka_broker *b, const char *name, int32_t partition, const struct tm_record *records, size_t count,
			   int64_t *ret_base, struct tm_err *err)
{
	if (!b->producer) {
		rd_kafka_conf_t *conf = kb_conf(b, KB_WRITING);
		rd_kafka_conf_set_dr_msg_cb(conf, delivered);
		kb_set(conf, "message.timeout.ms", "10000");
		TM_TRY(kb_handle(b, RD_KAFKA_PRODUCER, conf, &b->producer, err));
	}
	struct appending a = {.base = -1};
	rd_kafka_topic_t *topic = rd_kafka_topic_new(b->producer, name, NULL);
	if (!topic)
		return kb_fail(b, rd_kafka_last_error(), err, "topic '%s'", name);
	tm_rc rc = produce_all(b, topic, partition, records, count, &a, err);
	while (a.left)
		rd_kafka_flush(b->producer, KB_SLICE_MS); /* each is delivered or times out */
	rd_kafka_topic_destroy(topic);
	if (!rc && a.failed)
		rc = kb_fail(b, a.failed, err, "topic '%s' partition %d", name, partition);
	if (rc) { /* after a fatal error the handle is of no use */
		rd_kafka_destroy(b->producer);
		b->producer = NULL;
	}
	if (!rc && ret_base)
		*ret_base = a.base;
	return rc;
}

static tm_rc kb_append(struct tm_broker *broker, struct tm_str topic, int32_t partition, const struct tm_record *records, size_t count,
		       int64_t *ret_base, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	char name[256];
	snprintf(name, sizeof name, "%.*s", TM_STR_ARG(topic));
	pthread_mutex_lock(&b->appending);
	tm_rc rc = append_locked(b, name, partition, records, count, ret_base, err);
	pthread_mutex_unlock(&b->appending);
	return rc;
}

/* ---- life ---- */

static tm_rc kb_check(struct tm_broker *broker, const struct tm_option *options, size_t count, bool sink, struct tm_err *err)
{
	(void)broker;
	struct kb_wishes wishes;
	return kb_wishes(options, count, sink ? KB_WRITING : KB_READING, NULL, &wishes, err);
}

static void kb_free(struct tm_broker *broker)
{
	struct kafka_broker *b = kb_of(broker);
	if (b->producer)
		rd_kafka_destroy(b->producer);
	for (size_t i = 0; i < 2; i++)
		if (b->asking[i])
			rd_kafka_destroy_flags(b->asking[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	if (b->outlived)
		return;
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->appending);
	pthread_mutex_destroy(&b->counting);
	pthread_mutex_destroy(&b->complaint.lock);
	tm_arena_done(&b->arena);
	tm_arena_done(&b->counted_arena);
	tm_arena_done(&b->nodes_arena);
	free(b);
}

static const struct tm_broker_class kafka_class = {.name = "kafka",
						   .free = kb_free,
						   .topics = kb_topics,
						   .topic = kb_topic,
						   .bounds = kb_bounds,
						   .offset_for_time = kb_offset_for_time,
						   .create = kb_create,
						   .append = kb_append,
						   .check = kb_check,
						   .reader = kb_reader,
						   .writer = kb_writer};

tm_rc tm_kafka_broker_new(struct tm_str address, struct tm_broker **ret, struct tm_err *err)
{
	struct kafka_broker *b = tm_zalloc(sizeof *b);
	b->b.klass = &kafka_class;
	tm_arena_init(&b->arena);
	tm_arena_init(&b->counted_arena);
	tm_arena_init(&b->nodes_arena);
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->appending, NULL);
	pthread_mutex_init(&b->counting, NULL);
	pthread_mutex_init(&b->complaint.lock, NULL);
	tm_rc rc = kb_address(b, address, err);
	if (rc) {
		kb_free(&b->b);
		return rc;
	}
	*ret = &b->b;
	return TM_OK;
}
