/* Produce: record batches go from the read buffer straight to the log; the answer comes when they are as durable as asked. */
#include "kafka/kafka_int.h"

static struct tm_metric records_in = TM_COUNTER("tidemill_kafka_records_in_total", "Records that clients produced and the log took.");
static struct tm_metric record_bytes_in = TM_COUNTER("tidemill_kafka_record_bytes_in_total", "Bytes of record batches that the log took.");

struct produce {
	struct kafka_request *request;
	struct tm_log_append *parts;                                              /* of the partitions that went to the log */
	struct tm_kafka_produce_response_responses_partition_responses **answers; /* beside each part */
	size_t count;
};

/* The head of a batch, as far as the door looks into it. */
enum {
	BATCH_MAGIC_AT = 16,
	BATCH_ATTRIBUTES_AT = 21,
	BATCH_PRODUCER_ID_AT = 43,
	BATCH_COUNT_AT = 57,
	BATCH_HEAD_BYTES = 61,
	CODEC_ZSTD = 4
};

static int64_t record_count(struct tm_str batches)
{
	int64_t n = 0;
	while (batches.len >= BATCH_HEAD_BYTES) {
		uint32_t length, count;
		memcpy(&length, batches.at + 8, 4);
		memcpy(&count, batches.at + BATCH_COUNT_AT, 4);
		size_t whole = 12 + (size_t)__builtin_bswap32(length);
		n += (int32_t)__builtin_bswap32(count);
		if (whole > batches.len)
			break;
		batches.at += whole;
		batches.len -= whole;
	}
	return n;
}

/* Which records are bad, where the log says so: without a key in a compacted topic, or outside the times that are allowed. */
static void record_errors_answer(struct kafka_request *r, const struct tm_log_append *part,
				 struct tm_kafka_produce_response_responses_partition_responses *a)
{
	size_t n = part->bad_record_count < 8 ? part->bad_record_count : 8;
	struct tm_str name = tm_topic_name(part->topic);
	a->record_errors.items = tm_kafka_produce_response_responses_partition_responses_record_errors_new(&r->arena, n);
	a->record_errors.count = (int32_t)n;
	for (size_t i = 0; i < n; i++) {
		a->record_errors.items[i].batch_index = part->bad_records[i].index;
		a->record_errors.items[i].batch_index_error_message =
		    a->error_code == KAFKA_INVALID_TIMESTAMP
			? tm_arena_printf(
			      &r->arena,
			      "Timestamp %lld of message with offset %d is out of range. The timestamp should be within [%lld, %lld]",
			      (long long)part->bad_records[i].timestamp_ms, part->bad_records[i].index,
			      (long long)part->bad_least_timestamp_ms, (long long)part->bad_most_timestamp_ms)
			: tm_arena_printf(&r->arena, "Compacted topic cannot accept message without key in topic partition %.*s-%d",
					  TM_STR_ARG(name), part->partition);
	}
}

/* Kafka's message for bad records quotes the first of them. */
static struct tm_str refused_message(struct kafka_request *r, const struct tm_log_append *part,
				     const struct tm_kafka_produce_response_responses_partition_responses *a)
{
	if (!part->message[0])
		return (struct tm_str){0};
	if (a->error_code != KAFKA_INVALID_RECORD || !a->record_errors.count)
		return tm_arena_str(&r->arena, tm_str_of(part->message));
	struct tm_buf text = {0};
	tm_buf_printf(&text, "%s, and only showing the first three errors at most: [", part->message);
	for (int32_t i = 0; i < a->record_errors.count && i < 3; i++)
		tm_buf_printf(&text, "%sRecordError(batchIndex=%d, message='%.*s')", i ? ", " : "", a->record_errors.items[i].batch_index,
			      TM_STR_ARG(a->record_errors.items[i].batch_index_error_message));
	tm_buf_char(&text, ']');
	struct tm_str s = tm_arena_str(&r->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	return s;
}

/* Errors that are found in the partition itself come with where it starts. */
static int64_t refused_start(const struct tm_log_append *part, int error)
{
	struct tm_log_offsets o;
	struct tm_err err = {0};
	bool inside = error == KAFKA_UNKNOWN || error == KAFKA_INVALID_TIMESTAMP || error == KAFKA_OUT_OF_ORDER_SEQUENCE ||
		      error == KAFKA_INVALID_PRODUCER_EPOCH || error == KAFKA_INVALID_RECORD;
	/* What is not exactly one batch is refused before. */
	uint32_t length = 0;
	if (error == KAFKA_INVALID_RECORD) {
		memcpy(&length, part->batches.at + 8, part->batches.len >= BATCH_HEAD_BYTES ? 4 : 0);
		inside = part->batches.len >= BATCH_HEAD_BYTES && (size_t)__builtin_bswap32(length) + 12 == part->batches.len;
	}
	return inside && tm_log_offsets(part->topic, part->partition, &o, &err) == TM_OK ? o.start : -1;
}

/* A disk that takes nothing more is said, but not for every batch. */
static void storage_say(struct kafka_request *r, const struct tm_log_append *part)
{
	enum { SAY_AGAIN_MS = 10000 };
	struct tm_kafka_server *s = r->conn->server;
	int64_t now = kafka_now_ms(s);
	if ((part->rc != TM_DISK_FULL && part->rc != TM_IO) || now < s->say_storage_ms)
		return;
	s->say_storage_ms = now + SAY_AGAIN_MS;
	struct tm_str name = tm_topic_name(part->topic);
	tm_say(TM_SAY_ERROR, "kafka",
	       "records for %.*s are refused: %s. Nothing that was acknowledged is lost; producers go on when there is room.",
	       TM_STR_ARG(name), tm_rc_text(part->rc));
}

static void appended(struct kafka_request *r)
{
	struct produce *p = r->state;
	for (size_t i = 0; i < p->count; i++) {
		struct tm_log_append *part = &p->parts[i];
		struct tm_kafka_produce_response_responses_partition_responses *a = p->answers[i];
		if (part->rc != TM_OK || part->kafka_error) {
			a->error_code = (int16_t)(part->kafka_error ? part->kafka_error : tm_rc_kafka(part->rc));
			a->base_offset = -1;
			storage_say(r, part);
			if (part->bad_record_count)
				record_errors_answer(r, part, a);
			a->error_message = refused_message(r, part, a);
			a->log_start_offset = refused_start(part, a->error_code);
			/* Only a client that waits for nothing is told of an error by closing its connection. */
			if (r->silent)
				r->poison = true;
		} else {
			a->base_offset = part->base_offset;
			a->log_append_time_ms = part->log_append_time_ms;
			a->log_start_offset = part->log_start_offset;
			tm_metric_add(&records_in, record_count(part->batches));
			tm_metric_add(&record_bytes_in, (int64_t)part->batches.len);
		}
		tm_topic_unref(part->topic);
	}
	kafka_reply(r);
}

static void durable(void *ctx)
{
	struct kafka_request *r = ctx;
	r->resume = appended;
	kafka_resume(r);
}

/* What the door itself refuses; 0 = it goes to the log. */
static int batches_check(struct kafka_request *r, struct tm_str batches, bool transactional)
{
	if (batches.len < BATCH_HEAD_BYTES)
		return KAFKA_NONE;
	int16_t attributes = (int16_t)((uint8_t)batches.at[BATCH_ATTRIBUTES_AT] << 8 | (uint8_t)batches.at[BATCH_ATTRIBUTES_AT + 1]);
	if ((attributes & 7) == CODEC_ZSTD && r->version < 7)
		return KAFKA_UNSUPPORTED_COMPRESSION;
	if ((attributes & 0x10) && !transactional)
		return 53; /* TRANSACTIONAL_ID_AUTHORIZATION_FAILED is Kafka's answer to a transactional batch without the id */
	return KAFKA_NONE;
}

/* Old message sets become record batches; true when *records can be appended. */
static int records_modernise(struct kafka_request *r, struct tm_str *records)
{
	if (records->len <= BATCH_MAGIC_AT || !kafka_is_old_format(*records))
		return KAFKA_NONE;
	if (r->version >= 3)
		return KAFKA_INVALID_RECORD;
	struct tm_buf out = {0};
	struct tm_err err = {0};
	tm_rc rc = kafka_up_convert(*records, &r->arena, &out, &err);
	if (rc == TM_OK)
		*records = tm_arena_str(&r->arena, tm_buf_str(&out));
	tm_buf_done(&out);
	return kafka_code(rc, &err);
}

/* Where a partition is named twice the first one counts, and is answered alone. */
static bool duplicate_partition(const struct tm_kafka_produce_request_topic_data *t, int32_t at)
{
	for (int32_t i = at > 50 ? at - 50 : 0; i < at; i++)
		if (t->partition_data.items[i].index == t->partition_data.items[at].index)
			return true;
	return false;
}

static void partition_produce(struct kafka_request *r, struct produce *p, struct tm_topic *topic, bool by_id, bool acks_ok,
			      const struct tm_kafka_produce_request_topic_data *data, int32_t at,
			      struct tm_kafka_produce_response_responses_partition_responses *a)
{
	const struct tm_kafka_produce_request *in = r->in;
	struct tm_str records = data->partition_data.items[at].records;
	a->index = data->partition_data.items[at].index;
	a->base_offset = -1;
	a->record_errors.count = 0;
	if (!acks_ok)
		a->error_code = KAFKA_INVALID_REQUIRED_ACKS;
	else if (!kafka_partition_ok(topic, a->index))
		a->error_code = by_id && !topic ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (tm_topic_internal(topic))
		a->error_code = KAFKA_INVALID_TOPIC;
	else if (!records.at || !records.len)
		a->error_code = KAFKA_INVALID_RECORD;
	else
		a->error_code = (int16_t)records_modernise(r, &records);
	if (!a->error_code)
		a->error_code = (int16_t)batches_check(r, records, in->transactional_id.at != NULL);
	if (a->error_code) {
		if (r->silent)
			r->poison = true;
		return;
	}
	kafka_writers_note(r, topic);
	p->answers[p->count] = a;
	p->parts[p->count++] =
	    (struct tm_log_append){.topic = tm_topic_ref(topic), .partition = a->index, .batches = records, .from_client = true};
}

static void parts_append(struct kafka_request *r, struct produce *p)
{
	if (p->count) {
		/* Whatever acks says, the answer waits until the records are durable: that is when they can be read, and a pipelining
		 * client loses nothing by it. */
		tm_log_append(r->conn->server->log, p->parts, p->count, true, durable, r);
	} else {
		kafka_reply(r);
	}
}

/* ---- in a transaction ---- */

static int64_t producer_of(struct tm_str batch, int16_t *ret_epoch)
{
	uint64_t id;
	uint16_t epoch;
	if (batch.len < BATCH_HEAD_BYTES)
		return -1;
	memcpy(&id, batch.at + BATCH_PRODUCER_ID_AT, 8);
	memcpy(&epoch, batch.at + BATCH_PRODUCER_ID_AT + 8, 2);
	*ret_epoch = (int16_t)__builtin_bswap16(epoch);
	return (int64_t)__builtin_bswap64(id);
}

static void part_refuse(struct produce *p, size_t at, int error)
{
	p->answers[at]->error_code = (int16_t)error;
	tm_topic_unref(p->parts[at].topic);
	memmove(&p->parts[at], &p->parts[at + 1], (p->count - at - 1) * sizeof *p->parts);
	memmove(&p->answers[at], &p->answers[at + 1], (p->count - at - 1) * sizeof *p->answers);
	p->count--;
}

/* What Produce says of a coordinator's error: a stale epoch by its older name, and (where the client knows it) to abort. */
static int transaction_error(const struct kafka_request *r, int error)
{
	if (error == KAFKA_PRODUCER_FENCED)
		return KAFKA_INVALID_PRODUCER_EPOCH;
	return error == KAFKA_INVALID_TXN_STATE && r->version >= 11 ? KAFKA_TRANSACTION_ABORTABLE : error;
}

static void transaction_joined(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct produce *p = r->state;
	(void)producer_id, (void)epoch;
	while (error && p->count)
		part_refuse(p, p->count - 1, transaction_error(r, error));
	parts_append(r, p);
}

/* From version 12 on writing to a partition takes it into the transaction; before, it must be in it. */
static void transaction_join(struct kafka_request *r, struct produce *p)
{
	struct tm_transactions *ts = r->conn->server->transactions;
	const struct tm_kafka_produce_request *in = r->in;
	int16_t epoch = -1;
	int64_t id = p->count ? producer_of(p->parts[0].batches, &epoch) : -1;
	if (r->version < 12) {
		for (size_t i = p->count; i-- > 0;) {
			id = producer_of(p->parts[i].batches, &epoch);
			int error = tm_transactions_check(ts, in->transactional_id, id, epoch, tm_topic_name(p->parts[i].topic),
							  p->parts[i].partition);
			if (error)
				part_refuse(p, i, transaction_error(r, error));
		}
		parts_append(r, p);
		return;
	}
	struct tm_transaction_part *parts = TM_NEW_N(&r->arena, struct tm_transaction_part, p->count + 1);
	for (size_t i = 0; i < p->count; i++)
		parts[i] = (struct tm_transaction_part){tm_topic_name(p->parts[i].topic), p->parts[i].partition};
	tm_transactions_add(ts, in->transactional_id, id, epoch, parts, p->count, transaction_joined, r);
}

void kafka_produce(struct kafka_request *r)
{
	const struct tm_kafka_produce_request *in = r->in;
	struct tm_kafka_produce_response *out = r->out;
	r->silent = in->acks == 0;
	bool acks_ok = in->acks >= -1 && in->acks <= 1, by_id = r->version >= 13;
	size_t partitions = 0;
	for (int32_t i = 0; i < in->topic_data.count; i++)
		partitions += (size_t)in->topic_data.items[i].partition_data.count;
	struct produce *p = TM_NEW(&r->arena, struct produce);
	p->request = r;
	p->parts = TM_NEW_N(&r->arena, struct tm_log_append, partitions + 1);
	p->answers = (void *)TM_NEW_N(&r->arena, void *, partitions + 1);
	out->responses.items = tm_kafka_produce_response_responses_new(&r->arena, (size_t)in->topic_data.count);
	for (int32_t i = 0; i < in->topic_data.count; i++) {
		const struct tm_kafka_produce_request_topic_data *data = &in->topic_data.items[i];
		int32_t n = data->partition_data.count;
		if (n == 0)
			continue;
		struct tm_kafka_produce_response_responses *answer = &out->responses.items[out->responses.count++];
		struct tm_topic *topic = kafka_topic(r->conn->server, data->name, &data->topic_id, by_id);
		answer->name = data->name;
		answer->topic_id = data->topic_id;
		answer->partition_responses.items = tm_kafka_produce_response_responses_partition_responses_new(&r->arena, (size_t)n);
		for (int32_t k = 0; k < n; k++)
			if (!duplicate_partition(data, k))
				partition_produce(r, p, topic, by_id, acks_ok, data, k,
						  &answer->partition_responses.items[answer->partition_responses.count++]);
		tm_topic_unref(topic);
	}
	if (p->count == 0) {
		kafka_reply(r);
		return;
	}
	r->state = p;
	if (in->transactional_id.at)
		transaction_join(r, p);
	else
		parts_append(r, p);
}
