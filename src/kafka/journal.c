/* The journal's topics: making them, reading them, taking them over. Reading uses librdkafka's simple consumer, which needs no group. */
#include "kafka/journal_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MESSAGES = 1000, CREATE_MS = 10000 };

void kj_waits(struct tm_kafka_journal *j, const char *what)
{
	if (strcmp(j->said, what) == 0)
		return;
	snprintf(j->said, sizeof j->said, "%s", what);
	if (j->options.waits)
		j->options.waits(j->options.ctx, what);
}

/* ---- making the topics ---- */

static const struct {
	const char *name, *value;
	bool dated;
} topic_configs[] = {
    {"cleanup.policy", "compact", false},        {"max.message.bytes", "67108864", false}, /* TM_LIMIT_JOURNAL_VALUE_BYTES */
    {"segment.bytes", "16777216", false}, /* only closed segments are compacted: small ones keep the topic short */
    {"min.cleanable.dirty.ratio", "0.1", false}, {"cleanup.policy", "delete", true},
    {"retention.ms", "2592000000", true}, /* TM_JOURNAL_DATED_DAYS */
    {"max.message.bytes", "67108864", true},
};

static rd_kafka_NewTopic_t *new_topic(const char *name, bool dated)
{
	char why[300];
	rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(name, 1, -1, why, sizeof why);
	for (size_t i = 0; t && i < sizeof topic_configs / sizeof *topic_configs; i++)
		if (topic_configs[i].dated == dated)
			rd_kafka_NewTopic_set_config(t, topic_configs[i].name, topic_configs[i].value);
	return t;
}

static tm_rc create_topics(struct tm_kafka_journal *j, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(j->broker);
	rd_kafka_NewTopic_t *topics[KJ_TOPICS];
	for (int i = 0; i < KJ_TOPICS; i++)
		topics[i] = new_topic(j->topics[i], i == KJ_DATED);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(j->rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(j->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(j->rk, topics, KJ_TOPICS, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_MS);
	tm_rc rc = TM_OK;
	if (!event) {
		rc = tm_fail(err, TM_UNAVAILABLE, "the broker %s does not answer", j->broker->address);
	} else if (rd_kafka_event_error(event)) {
		rc = kb_fail(b, rd_kafka_event_error(event), err, "the journal's topics cannot be made on %s", j->broker->address);
	} else {
		size_t n;
		const rd_kafka_topic_result_t **results =
		    rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
		for (size_t i = 0; i < n && !rc; i++)
			if (rd_kafka_topic_result_error(results[i]) &&
			    rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
				rc = kb_fail(b, rd_kafka_topic_result_error(results[i]), err, "topic '%s' cannot be made on %s",
					     rd_kafka_topic_result_name(results[i]), j->broker->address);
	}
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy_array(topics, KJ_TOPICS);
	return rc;
}

/* Are both there? */
static tm_rc topics_exist(struct tm_kafka_journal *j, bool *ret, struct tm_err *err)
{
	*ret = true;
	for (int i = 0; i < KJ_TOPICS; i++) {
		const struct rd_kafka_metadata *m;
		rd_kafka_topic_t *t = rd_kafka_topic_new(j->rk, j->topics[i], NULL);
		rd_kafka_resp_err_t code = rd_kafka_metadata(j->rk, 0, t, &m, KB_CALL_MS);
		rd_kafka_topic_destroy(t);
		if (code)
			return kb_fail(kb_of(j->broker), code, err, "the broker %s does not answer", j->broker->address);
		*ret &= m->topic_cnt == 1 && !m->topics[0].err && m->topics[0].partition_cnt == 1;
		if (m->topic_cnt == 1 && m->topics[0].partition_cnt > 1) {
			tm_rc rc = tm_fail(err, TM_INVALID, "topic '%s' has %d partitions; the journal needs one", j->topics[i],
					   m->topics[0].partition_cnt);
			rd_kafka_metadata_destroy(m);
			return rc;
		}
		rd_kafka_metadata_destroy(m);
	}
	return TM_OK;
}

/* ---- reading ---- */

static tm_rc open_reader(struct tm_kafka_journal *j, struct tm_err *err)
{
	if (j->queue)
		return TM_OK;
	if (!j->rk) {
		rd_kafka_conf_t *conf = kb_conf(kb_of(j->broker), KB_READING);
		kb_set(conf, "isolation.level", "read_committed");
		kb_set(conf, "fetch.wait.max.ms", "200");
		kb_set(conf, "fetch.message.max.bytes", "67108864");
		kb_set(conf, "receive.message.max.bytes", "134217728");
		TM_TRY(kb_handle(kb_of(j->broker), RD_KAFKA_CONSUMER, conf, &j->rk, err));
	}
	bool exist;
	TM_TRY(topics_exist(j, &exist, err));
	if (!exist) {
		TM_TRY(create_topics(j, err));
		TM_TRY(topics_exist(j, &exist, err));
		if (!exist)
			return tm_fail(err, TM_UNAVAILABLE, "the broker %s is making the journal's topics", j->broker->address);
	}
	j->queue = rd_kafka_queue_new(j->rk);
	for (int i = 0; i < KJ_TOPICS; i++) {
		j->handles[i] = rd_kafka_topic_new(j->rk, j->topics[i], NULL);
		if (rd_kafka_consume_start_queue(j->handles[i], 0, j->next[i] ? j->next[i] : RD_KAFKA_OFFSET_BEGINNING, j->queue))
			return kb_fail(kb_of(j->broker), rd_kafka_last_error(), err, "topic '%s' cannot be read", j->topics[i]);
	}
	return TM_OK;
}

static void close_reader(struct tm_kafka_journal *j)
{
	for (int i = 0; i < KJ_TOPICS; i++)
		if (j->handles[i]) {
			rd_kafka_consume_stop(j->handles[i], 0);
			rd_kafka_topic_destroy(j->handles[i]);
			j->handles[i] = NULL;
		}
	if (j->queue)
		rd_kafka_queue_destroy(j->queue);
	j->queue = NULL;
	if (j->rk)
		rd_kafka_destroy(j->rk);
	j->rk = NULL;
}

static int topic_of(const struct tm_kafka_journal *j, const rd_kafka_message_t *m)
{
	for (int i = 0; i < KJ_TOPICS; i++)
		if (m->rkt == j->handles[i] || strcmp(rd_kafka_topic_name(m->rkt), j->topics[i]) == 0)
			return i;
	return -1;
}

static tm_rc take_messages(struct tm_kafka_journal *j, rd_kafka_message_t **messages, size_t n, tm_kafka_journal_each *each, void *ctx,
			   struct tm_err *err)
{
	struct tm_journal_entry *entries = tm_alloc(tm_mul_size(n, sizeof *entries));
	size_t count = 0;
	tm_rc rc = TM_OK;
	int64_t next[KJ_TOPICS];
	memcpy(next, j->next, sizeof next);
	uint64_t seen = j->seen;
	for (size_t i = 0; i < n && !rc; i++) {
		const rd_kafka_message_t *m = messages[i];
		int t = m->rkt ? topic_of(j, m) : -1;
		if (t < 0)
			continue;
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			next[t] = m->offset > next[t] ? m->offset : next[t];
		} else if (m->err) {
			rc = kb_fail(kb_of(j->broker), m->err, err, "topic '%s' cannot be read on %s", j->topics[t], j->broker->address);
			if (rc == TM_NOT_FOUND)
				rc = TM_UNAVAILABLE; /* just made, or gone for a moment */
		} else {
			next[t] = m->offset + 1;
			seen += t == KJ_STATE;
			if (m->key)
				entries[count++] = (struct tm_journal_entry){.key = tm_str_n(m->key, m->key_len),
									     .value = tm_str_n(m->payload, m->len),
									     .deleted = !m->payload,
									     .dated = t == KJ_DATED};
		}
	}
	if (count) { /* what came before an error counts too */
		tm_rc applied = each(ctx, entries, count, rc ? NULL : err);
		rc = rc ? rc : applied;
	}
	memcpy(j->next, next, sizeof next);
	j->seen = seen;
	free(entries);
	return rc;
}

tm_rc tm_kafka_journal_read(struct tm_kafka_journal *j, int64_t wait_ms, tm_kafka_journal_each *each, void *ctx, struct tm_err *err)
{
	TM_TRY(open_reader(j, err));
	rd_kafka_message_t *messages[MESSAGES];
	rd_kafka_poll(j->rk, 0);
	ssize_t n = rd_kafka_consume_batch_queue(j->queue, (int)wait_ms, messages, MESSAGES);
	if (n <= 0)
		return TM_OK;
	tm_rc rc = take_messages(j, messages, (size_t)n, each, ctx, err);
	for (ssize_t i = 0; i < n; i++)
		rd_kafka_message_destroy(messages[i]);
	return rc;
}

/* ---- taking over ---- */

static tm_rc ends(struct tm_kafka_journal *j, int64_t ret[KJ_TOPICS], struct tm_err *err)
{
	for (int i = 0; i < KJ_TOPICS; i++) {
		int64_t low;
		rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(j->rk, j->topics[i], 0, &low, &ret[i], KB_CALL_MS);
		if (code)
			return kb_fail(kb_of(j->broker), code, err, "the broker %s does not say where topic '%s' ends", j->broker->address,
				       j->topics[i]);
	}
	return TM_OK;
}

static tm_rc read_to_end(struct tm_kafka_journal *j, tm_kafka_journal_each *each, void *ctx, struct tm_err *err)
{
	int64_t end[KJ_TOPICS];
	TM_TRY(open_reader(j, err));
	TM_TRY(ends(j, end, err));
	for (int i = 0; i < KJ_TOPICS; i++)
		while (j->next[i] < end[i]) {
			if (!kj_leads(j))
				return tm_fail(err, TM_CANCELLED, "this instance leads no more");
			TM_TRY(tm_kafka_journal_read(j, KJ_SLICE_MS, each, ctx, err));
		}
	return TM_OK;
}

tm_rc tm_kafka_journal_lead(struct tm_kafka_journal *j, tm_kafka_journal_each *each, void *ctx, bool *ret_empty, struct tm_err *err)
{
	bool fenced = false;
	for (;;) {
		tm_rc rc = open_reader(j, err);
		if (!rc && !fenced) {
			rc = kj_writer_open(j, err);
			fenced = !rc;
		}
		if (!rc)
			rc = read_to_end(j, each, ctx, err);
		if (!rc)
			break;
		if (rc != TM_UNAVAILABLE || !kj_leads(j)) {
			kj_writer_close(j);
			kj_waits(j, "");
			return rc == TM_UNAVAILABLE ? tm_fail(err, TM_CANCELLED, "this instance leads no more") : rc;
		}
		kj_waits(j, err && err->what[0] ? err->what : "the broker is away");
		nanosleep(&(struct timespec){0, KJ_SLICE_MS * 1000000}, NULL);
	}
	kj_waits(j, "");
	close_reader(j); /* the leader knows what it writes */
	*ret_empty = j->seen == 0;
	return TM_OK;
}

/* ---- the whole ---- */

tm_rc tm_kafka_journal_new(const struct tm_kafka_journal_options *options, struct tm_kafka_journal **ret, struct tm_err *err)
{
	struct tm_kafka_journal *j = tm_zalloc(sizeof *j);
	tm_arena_init(&j->arena);
	j->options = *options;
	j->options.address = tm_arena_str(&j->arena, options->address);
	struct tm_str name = j->options.name = tm_arena_str(&j->arena, options->name);
	j->topics[KJ_STATE] = tm_arena_printf(&j->arena, "__tidemill_checkpoint_%.*s", TM_STR_ARG(name)).at;
	j->topics[KJ_DATED] = tm_arena_printf(&j->arena, "__tidemill_dead_letters_%.*s", TM_STR_ARG(name)).at;
	j->transactional_id = tm_arena_printf(&j->arena, "tidemill-%.*s", TM_STR_ARG(name)).at;
	tm_rc rc = tm_kafka_broker_new(j->options.address, &j->broker, err);
	if (rc) {
		tm_kafka_journal_free(j);
		return rc;
	}
	*ret = j;
	return TM_OK;
}

void tm_kafka_journal_free(struct tm_kafka_journal *j)
{
	if (!j)
		return;
	kj_writer_close(j);
	close_reader(j);
	tm_broker_free(j->broker);
	tm_arena_done(&j->arena);
	free(j);
}

struct tm_journal *tm_kafka_journal_writer(struct tm_kafka_journal *j) { return &j->writer.journal; }
