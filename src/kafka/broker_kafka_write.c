/* Writing a sink's batches to a real Kafka.
 * at_least_once (the default): an idempotent producer. While the process lives nothing is written twice, however often the broker goes
 * away; after a crash the batch runs again, and what of it is in the topics already is looked for (broker_kafka_replay.c).
 * exactly_once_v2: a transaction per batch. With the records, one offset is committed within the transaction: of the group
 * <transactional.id>-batches, with the batch's number and time as its metadata. After a crash, starting the producer ends whatever
 * transaction was open (and locks out any older producer of that id), and then that offset says whether the batch is in.
 * Several instances of a project (options.project): always a transaction per batch. The producer is begun, which locks out an older one,
 * only by who leads; and who does not certainly lead any more commits nothing. States of the producer: none -> ready -> (fatal or aborted)
 * none. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SAVED_VERSION = 2, TOPIC_AGE_MS = 5000, TOPIC_WAIT_MS = 10000, MADE_WAIT_MS = 8000 };

struct known_topic {
	struct tm_str name; /* with a NUL behind it, ours */
	rd_kafka_topic_t *rkt;
	int32_t partitions;
	int64_t asked_ns;
};
struct kafka_writer {
	struct tm_broker_writer w;
	struct kafka_broker *b;
	struct tm_broker_caller caller;
	const struct tm_option *options;
	size_t option_count;
	struct tm_arena arena; /* of ids */
	const char *transactional_id, *marker_group;
	bool exactly_once, turns; /* turns: other instances write under this id when they lead */
	rd_kafka_t *rk;           /* NULL = none */
	bool asked;               /* the marker group has answered since this producer began: its coordinator is there */
	struct {
		struct known_topic *items;
		size_t count, cap;
	} topics;
	struct tm_offsets ends; /* behind what was written last, by partition; topics' texts are ours */
	/* of the batch at work */
	size_t left;
	rd_kafka_resp_err_t failed;
	char failed_where[300];
	int64_t *part_ends;
};

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }
static void pause_ms(int64_t ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

/* ---- the producer ---- */

struct in_flight { /* a record's way back to its part */
	struct kafka_writer *w;
	size_t part;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	const struct in_flight *f = m->_private;
	struct kafka_writer *me = f->w;
	me->left--;
	if (m->err && !me->failed) {
		me->failed = m->err;
		snprintf(me->failed_where, sizeof me->failed_where, "topic '%s' partition %d, record of %zu bytes",
			 rd_kafka_topic_name(m->rkt), m->partition, m->len + m->key_len);
	} else if (!m->err && m->offset >= me->part_ends[f->part]) {
		me->part_ends[f->part] = m->offset + 1;
	}
}

static void forget_topics(struct kafka_writer *me)
{
	for (size_t i = 0; i < me->topics.count; i++) {
		rd_kafka_topic_destroy(me->topics.items[i].rkt);
		free((void *)me->topics.items[i].name.at);
	}
	me->topics.count = 0;
}

static void drop_producer(struct kafka_writer *me)
{
	if (!me->rk)
		return;
	forget_topics(me);
	rd_kafka_purge(me->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	while (rd_kafka_poll(me->rk, 0) > 0)
		continue;
	rd_kafka_destroy(me->rk);
	me->rk = NULL;
	me->asked = false;
}

/* Leaves the producer to the call that does not return. */
static void give_up_producer(struct kafka_writer *me)
{
	forget_topics(me);
	me->b->outlived = true;
	me->rk = NULL;
	me->asked = false;
}

static tm_rc error_of(struct kafka_writer *me, rd_kafka_error_t *error, const char *what, struct tm_err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	bool again = rd_kafka_error_is_retriable(error) || rd_kafka_error_txn_requires_abort(error);
	tm_rc rc = kb_fail(me->b, code, err, "%s", what);
	if (again && rc != TM_DENIED)
		rc = tm_fail(err, TM_UNAVAILABLE, "%s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return rc;
}

/* Ends what an earlier producer of this id left open; waits for the coordinator. */
static tm_rc init_transactions(struct kafka_writer *me, struct tm_err *err)
{
	int64_t since_ns = now_ns();
	if (kb_stopping(&me->caller))
		return tm_fail(err, TM_CANCELLED, "stopped before the sink's transactions began");
	for (bool told = false;;) {
		rd_kafka_error_t *error = rd_kafka_init_transactions(me->rk, KB_SLICE_MS * 5);
		if (!error)
			return TM_OK;
		int64_t ms = (now_ns() - since_ns) / 1000000;
		rd_kafka_poll(me->rk, 0);
		bool again = rd_kafka_error_is_retriable(error) && ms < KB_AWAY_AFTER_MS;
		if (kb_stopping(&me->caller)) {
			rd_kafka_error_destroy(error);
			return tm_fail(err, TM_CANCELLED, "stopped while waiting for the transaction coordinator");
		}
		if (!again)
			return error_of(me, error, "the sink's transactions cannot begin", err);
		if (ms > KB_SAY_AFTER_MS && !told)
			kb_waits(&me->caller, "the broker's transaction coordinator does not answer");
		told = ms > KB_SAY_AFTER_MS;
		rd_kafka_error_destroy(error);
	}
}

static tm_rc need_producer(struct kafka_writer *me, struct tm_err *err)
{
	if (me->rk)
		return TM_OK;
	rd_kafka_conf_t *conf = kb_conf(me->b, KB_WRITING);
	struct kb_wishes wishes;
	tm_rc rc = kb_wishes(me->options, me->option_count, KB_WRITING, conf, &wishes, err);
	if (rc) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	if (me->exactly_once) {
		kb_set(conf, "transactional.id", me->transactional_id);
		kb_set(conf, "message.timeout.ms", "60000"); /* not longer than a transaction may take */
	}
	TM_TRY(kb_handle(me->b, RD_KAFKA_PRODUCER, conf, &me->rk, err));
	if (me->exactly_once)
		rc = init_transactions(me, err);
	if (rc)
		drop_producer(me);
	return rc;
}

/* ---- topics ---- */

static struct known_topic *known(struct kafka_writer *me, struct tm_str name)
{
	for (size_t i = 0; i < me->topics.count; i++)
		if (tm_str_eq(me->topics.items[i].name, name))
			return &me->topics.items[i];
	char *text = tm_zalloc(name.len + 1);
	memcpy(text, name.at, name.len);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(me->rk, text, NULL);
	if (!rkt) {
		free(text);
		return NULL;
	}
	TM_PUSH(&me->topics, (struct known_topic){.name = {text, name.len}, .rkt = rkt});
	return &me->topics.items[me->topics.count - 1];
}

/* A producer's question about a topic makes it, where the broker makes topics by itself. */
static tm_rc writer_topic(struct tm_broker_writer *w, struct tm_str name, int32_t *ret, struct tm_err *err)
{
	struct kafka_writer *me = (struct kafka_writer *)w;
	TM_TRY(need_producer(me, err));
	struct known_topic *t = known(me, name);
	if (!t)
		return kb_fail(me->b, rd_kafka_last_error(), err, "topic '%.*s'", TM_STR_ARG(name));
	int64_t since_ns = now_ns();
	while (!t->partitions || now_ns() - t->asked_ns > TOPIC_AGE_MS * INT64_C(1000000)) {
		const struct rd_kafka_metadata *m;
		rd_kafka_resp_err_t code = rd_kafka_metadata(me->rk, 0, t->rkt, &m, KB_CALL_MS / 2);
		int32_t partitions = code || m->topic_cnt < 1 ? 0 : m->topics[0].partition_cnt;
		if (!code) {
			code = m->topic_cnt < 1 ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : m->topics[0].err;
			rd_kafka_metadata_destroy(m);
		}
		rd_kafka_poll(me->rk, 0);
		int64_t ms = (now_ns() - since_ns) / 1000000;
		bool missing = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
		if (!code && partitions) {
			t->partitions = partitions;
			t->asked_ns = now_ns();
		} else if (kb_stopping(&me->caller)) {
			return tm_fail(err, TM_CANCELLED, "stopped while looking for topic '%s'", t->name.at);
		} else if (missing && ms > MADE_WAIT_MS) {
			/* A query that runs waits for it: a broker that just started does not know all of its topics. */
			bool runs = me->caller.ctx != NULL;
			tm_rc rc = tm_fail(err, runs ? TM_UNAVAILABLE : TM_NOT_FOUND,
					   "topic '%s' does not exist on %s, and the broker does not make it by itself", t->name.at,
					   me->b->b.address);
			tm_err_hint(err,
				    "Make it with Kafka's kafka-topics --create, or let the broker do it (auto.create.topics.enable).");
			return rc;
		} else if (!missing && (!kb_passing(code) || ms > TOPIC_WAIT_MS)) {
			return kb_fail(me->b, code, err, "topic '%s'", t->name.at);
		} else {
			pause_ms(50);
		}
	}
	*ret = t->partitions;
	return TM_OK;
}

/* ---- what is kept in the checkpoint ---- */

static void forget_ends(struct kafka_writer *me)
{
	for (size_t i = 0; i < me->ends.count; i++)
		free((void *)me->ends.items[i].topic.at);
	me->ends.count = 0;
}

static void keep_end(struct kafka_writer *me, struct tm_str topic, int32_t partition, int64_t end)
{
	for (size_t i = 0; i < me->ends.count; i++)
		if (me->ends.items[i].partition == partition && tm_str_eq(me->ends.items[i].topic, topic)) {
			me->ends.items[i].offset = end;
			return;
		}
	TM_PUSH(&me->ends, (struct tm_offset){tm_str_dup(topic), partition, end});
}

static void writer_save(struct tm_broker_writer *w, struct tm_buf *out)
{
	struct kafka_writer *me = (struct kafka_writer *)w;
	tm_buf_u8(out, SAVED_VERSION);
	tm_buf_le32(out, (uint32_t)me->ends.count);
	for (size_t i = 0; i < me->ends.count; i++) {
		const struct tm_offset *e = &me->ends.items[i];
		tm_buf_le32(out, (uint32_t)e->topic.len);
		tm_buf_str_put(out, e->topic);
		tm_buf_le32(out, (uint32_t)e->partition);
		tm_buf_le64(out, (uint64_t)e->offset);
	}
}

static tm_rc writer_load(struct tm_broker_writer *w, struct tm_str saved, struct tm_err *err)
{
	struct kafka_writer *me = (struct kafka_writer *)w;
	struct tm_cursor c = tm_cursor_of(saved);
	uint8_t version = tm_cursor_u8(&c);
	forget_ends(me);
	if (version == 1) /* it wrote to the embedded log before: nothing of that is in these topics */
		return TM_OK;
	uint32_t n = tm_cursor_le32(&c);
	bool good = version == SAVED_VERSION && n <= tm_cursor_left(&c) / 16;
	for (uint32_t i = 0; i < n && good; i++) {
		struct tm_str topic = tm_cursor_take(&c, tm_cursor_le32(&c));
		int32_t partition = (int32_t)tm_cursor_le32(&c);
		int64_t end = (int64_t)tm_cursor_le64(&c);
		good = tm_cursor_ok(&c) && partition >= 0 && end >= 0;
		if (good)
			keep_end(me, topic, partition, end);
	}
	return good && !tm_cursor_left(&c) ? TM_OK : tm_fail(err, TM_CORRUPT, "what the kafka sink kept in the checkpoint cannot be read");
}

/* ---- a batch ---- */

/* librdkafka takes NULL for null, so that what is empty needs an address. */
static void *bytes_of(struct tm_str s, bool null) { return (void *)(uintptr_t)(null ? NULL : s.at ? s.at : ""); }

static rd_kafka_headers_t *headers_of(const struct tm_record *r)
{
	if (!r->header_count)
		return NULL;
	rd_kafka_headers_t *list = rd_kafka_headers_new(r->header_count);
	for (size_t h = 0; h < r->header_count; h++) {
		const struct tm_header *one = &r->headers[h];
		rd_kafka_header_add(list, bytes_of(one->key, false), (ssize_t)one->key.len, bytes_of(one->value, one->value_null),
				    (ssize_t)one->value.len);
	}
	return list;
}

rd_kafka_resp_err_t kb_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const struct tm_record *r, int flags,
			       void *opaque)
{
	rd_kafka_headers_t *headers = headers_of(r);
	rd_kafka_vu_t v[8] = {
	    {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
	    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
	    {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = flags},
	    {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = r->timestamp_ms},
	    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
	    {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {bytes_of(r->value, r->value_null), r->value.len}},
	    {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {bytes_of(r->key, r->key_null), r->key.len}},
	    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	rd_kafka_error_t *error = rd_kafka_produceva(rk, v, headers ? 8 : 7);
	if (!error)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	if (headers)
		rd_kafka_headers_destroy(headers);
	return code;
}

/* Serves deliveries for a slice; says what is waited for, gives up only when the query stops (or, in a transaction, after a while). */
static tm_rc wait_on(struct kafka_writer *me, int64_t *since_ns, size_t *left_then, bool *told, struct tm_err *err)
{
	rd_kafka_flush(me->rk, KB_SLICE_MS);
	if (me->left != *left_then) {
		*left_then = me->left;
		*since_ns = now_ns();
	}
	int64_t ms = (now_ns() - *since_ns) / 1000000;
	char text[200];
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(me->rk, text, sizeof text);
	if (fatal) { /* a new producer, and the batch again; but not against one that has taken over */
		tm_rc rc = kb_fail(me->b, fatal, err, "the sink's producer: %s", text);
		return rc == TM_DENIED ? rc : tm_fail(err, TM_UNAVAILABLE, "the sink's producer has to begin anew: %s", text);
	}
	if (kb_stopping(&me->caller))
		return tm_fail(err, TM_CANCELLED, "stopped while writing to the broker");
	if (ms > KB_SAY_AFTER_MS && !*told) {
		snprintf(text, sizeof text, "the broker %s does not take %zu records of the batch", me->b->b.address, me->left);
		kb_waits(&me->caller, text);
		*told = true;
	}
	return TM_OK;
}

static tm_rc send_part(struct kafka_writer *me, const struct tm_broker_part *part, const uint8_t *written, struct in_flight *way,
		       struct tm_err *err)
{
	struct known_topic *t = known(me, part->topic);
	if (!t)
		return kb_fail(me->b, rd_kafka_last_error(), err, "topic '%.*s'", TM_STR_ARG(part->topic));
	int64_t since_ns = now_ns();
	size_t left_then = me->left;
	for (size_t i = 0, told = 0; i < part->count;) {
		if (written && written[i]) {
			i++;
			continue;
		}
		/* Not copied: the batch's memory outlives its delivery. */
		rd_kafka_resp_err_t code = kb_produce(me->rk, t->rkt, part->partition, &part->records[i], 0, way);
		if (!code) {
			me->left++;
			if (++i % 10000 == 0)
				rd_kafka_poll(me->rk, 0);
		} else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			bool said = told;
			TM_TRY(wait_on(me, &since_ns, &left_then, &said, err));
			told = said;
		} else {
			return kb_fail(me->b, code, err, "topic '%s' partition %d", t->name.at, part->partition);
		}
	}
	return TM_OK;
}

/* All records that are not there yet, delivered. */
static tm_rc send_batch(struct kafka_writer *me, const struct tm_broker_batch *batch, const uint8_t *written, struct tm_arena *arena,
			struct tm_err *err)
{
	struct in_flight *ways = TM_NEW_N(arena, struct in_flight, batch->part_count + 1);
	me->part_ends = TM_NEW_N(arena, int64_t, batch->part_count + 1);
	me->left = 0;
	me->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
	tm_rc rc = TM_OK;
	for (size_t p = 0; p < batch->part_count && !rc; p++) {
		ways[p] = (struct in_flight){me, p};
		rc = send_part(me, &batch->parts[p], written, &ways[p], err);
		if (written)
			written += batch->parts[p].count;
	}
	int64_t since_ns = now_ns();
	size_t left_then = me->left;
	for (bool told = false; !rc && me->left;)
		rc = wait_on(me, &since_ns, &left_then, &told, err);
	if (!rc && me->failed)
		rc = kb_fail(me->b, me->failed, err, "%s", me->failed_where);
	if (rc)
		drop_producer(me); /* nothing may point into the batch any more */
	for (size_t p = 0; p < batch->part_count && !rc; p++)
		if (me->part_ends[p])
			keep_end(me, batch->parts[p].topic, batch->parts[p].partition, me->part_ends[p]);
	me->part_ends = NULL;
	return rc;
}

/* ---- transactions ---- */

static void marker_text(const struct tm_broker_batch *batch, char *out, size_t size)
{
	snprintf(out, size, "tidemill batch %lld of %lld", (long long)batch->batch_id, (long long)batch->now_us);
}

/* Was the batch committed before a crash? */
static tm_rc already_committed(struct kafka_writer *me, const struct tm_broker_batch *batch, bool *ret, struct tm_err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < batch->part_count && !rc; i++) {
		int32_t partitions;
		const char *name = kb_cstr(&arena, batch->parts[i].topic);
		rc = writer_topic(&me->w, batch->parts[i].topic, &partitions, err);
		for (int32_t p = 0; !rc && p < partitions; p++)
			if (!rd_kafka_topic_partition_list_find(list, name, p))
				rd_kafka_topic_partition_list_add(list, name, p);
	}
	char text[100];
	marker_text(batch, text, sizeof text);
	if (!rc)
		rc = kb_group_marked(me->b, me->marker_group, list, text, ret, err);
	rd_kafka_topic_partition_list_destroy(list);
	tm_arena_done(&arena);
	return rc;
}

struct patience {
	int64_t since_ns;
	bool told;
};
/* May the same call be made again? Frees the error then; after a while says what is waited for. */
static bool again(struct kafka_writer *me, rd_kafka_error_t **error, struct patience *p)
{
	if (!*error || !rd_kafka_error_is_retriable(*error) || kb_stopping(&me->caller))
		return false;
	rd_kafka_error_destroy(*error);
	*error = NULL;
	if (now_ns() - p->since_ns > KB_SAY_AFTER_MS * INT64_C(1000000) && !p->told) {
		char text[200];
		snprintf(text, sizeof text, "the transaction coordinator of %s does not take the batch", me->b->b.address);
		kb_waits(&me->caller, text);
		p->told = true;
	}
	return true;
}

/* The batch's mark, as the offset of the group on the first part's partition. */
static tm_rc mark(struct kafka_writer *me, const struct tm_broker_batch *batch, int64_t end, struct tm_arena *arena, rd_kafka_error_t **ret,
		  struct tm_err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *p =
	    rd_kafka_topic_partition_list_add(list, kb_cstr(arena, batch->parts[0].topic), batch->parts[0].partition);
	char text[100];
	marker_text(batch, text, sizeof text);
	p->offset = end;
	p->metadata_size = strlen(text);
	p->metadata = rd_kafka_mem_malloc(me->rk, p->metadata_size);
	memcpy(p->metadata, text, p->metadata_size);
	struct patience patience = {.since_ns = now_ns()};
	bool returned;
	do
		returned = kb_send_offset(me->rk, me->marker_group, list, &me->caller, ret);
	while (returned && again(me, ret, &patience));
	rd_kafka_topic_partition_list_destroy(list);
	if (returned)
		return TM_OK;
	give_up_producer(me);
	return tm_fail(err, TM_UNAVAILABLE, "the coordinator of group '%s' does not take the batch's mark; the sink's producer begins anew",
		       me->marker_group);
}

static rd_kafka_error_t *commit(struct kafka_writer *me)
{
	rd_kafka_error_t *error;
	struct patience patience = {.since_ns = now_ns()};
	if (kb_stopping(&me->caller)) /* the next leader may have begun meanwhile: what is not committed yet is its to write */
		return rd_kafka_error_new(RD_KAFKA_RESP_ERR__FENCED, "stopped before the batch was committed");
	do
		error = rd_kafka_commit_transaction(me->rk, KB_SLICE_MS * 5);
	while (again(me, &error, &patience));
	return error;
}

static tm_rc in_transaction(struct kafka_writer *me, const struct tm_broker_batch *batch, struct tm_arena *arena, struct tm_err *err)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(me->rk);
	if (error)
		return error_of(me, error, "a transaction cannot begin", err);
	TM_TRY(send_batch(me, batch, NULL, arena, err));
	const struct tm_broker_part *first = &batch->parts[0];
	int64_t end = 0;
	for (size_t i = 0; i < me->ends.count; i++)
		if (me->ends.items[i].partition == first->partition && tm_str_eq(me->ends.items[i].topic, first->topic))
			end = me->ends.items[i].offset;
	TM_TRY(mark(me, batch, end, arena, &error, err));
	if (!error)
		error = commit(me);
	return error ? error_of(me, error, "the batch's transaction", err) : TM_OK;
}

static tm_rc write_exactly_once(struct kafka_writer *me, const struct tm_broker_batch *batch, struct tm_arena *arena, struct tm_err *err)
{
	bool there = false;
	if (batch->replay || !me->asked) /* also because the group's first use takes a Kafka a while */
		TM_TRY(already_committed(me, batch, &there, err));
	me->asked = true;
	if (there) {
		tm_say(TM_SAY_INFO, "kafka", "batch %lld was committed before the restart", (long long)batch->batch_id);
		return TM_OK;
	}
	tm_rc rc = in_transaction(me, batch, arena, err);
	if (kb_stopping(&me->caller) && rc) /* it runs again when the query does */
		rc = tm_fail(err, TM_CANCELLED, "stopped while writing to the broker");
	else if (rc == TM_DENIED && me->turns && err->code != RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED &&
		 err->code != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) /* a leader of before has woken up late: we begin anew */
		rc = err->rc = TM_UNAVAILABLE;
	if (rc == TM_IO) /* the transaction is lost in whatever way: a new producer ends it, and the batch runs again */
		rc = err->rc = TM_UNAVAILABLE;
	if (rc)
		drop_producer(me);
	return rc;
}

static tm_rc writer_write(struct tm_broker_writer *w, const struct tm_broker_batch *batch, struct tm_err *err)
{
	struct kafka_writer *me = (struct kafka_writer *)w;
	struct tm_err local;
	if (!err)
		err = &local;
	if (!batch->part_count)
		return TM_OK;
	TM_TRY(need_producer(me, err));
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	if (me->exactly_once) {
		rc = write_exactly_once(me, batch, &arena, err);
	} else {
		uint8_t *written = NULL;
		if (batch->replay)
			rc = kb_written(me->b, batch, &me->ends, &me->caller, &arena, &written, err);
		if (!rc)
			rc = send_batch(me, batch, written, &arena, err);
	}
	tm_arena_done(&arena);
	return rc;
}

/* ---- life ---- */

static void writer_free(struct tm_broker_writer *w)
{
	struct kafka_writer *me = (struct kafka_writer *)w;
	drop_producer(me);
	free(me->topics.items);
	forget_ends(me);
	free(me->ends.items);
	tm_arena_done(&me->arena);
	free(me);
}

static const struct tm_broker_writer_class writer_class = {
    .free = writer_free, .topic = writer_topic, .write = writer_write, .save = writer_save, .load = writer_load};

tm_rc kb_writer(struct tm_broker *broker, const struct tm_broker_writer_options *options, struct tm_broker_writer **ret, struct tm_err *err)
{
	struct kb_wishes wishes;
	TM_TRY(kb_wishes(options->options, options->option_count, KB_WRITING, NULL, &wishes, err));
	struct kafka_writer *me = tm_zalloc(sizeof *me);
	me->w.klass = &writer_class;
	me->b = kb_of(broker);
	me->caller = options->caller;
	me->options = options->options;
	me->option_count = options->option_count;
	me->turns = options->project.len > 0;
	me->exactly_once = wishes.exactly_once || me->turns;
	tm_arena_init(&me->arena);
	struct tm_str id = wishes.transactional_id.len ? tm_arena_str(&me->arena, wishes.transactional_id)
			   : me->turns
			       ? tm_arena_printf(&me->arena, "tidemill-%.*s-%.*s", TM_STR_ARG(options->project), TM_STR_ARG(options->query))
			       : tm_arena_printf(&me->arena, "tidemill-%.*s", TM_STR_ARG(options->query));
	me->transactional_id = id.at;
	me->marker_group = tm_arena_printf(&me->arena, "%s-batches", id.at).at;
	*ret = &me->w;
	return TM_OK;
}
