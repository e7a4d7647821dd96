/* Fetch: whole batches are read from the log into the request's record buffer and leave by a vectored write, not copied into
 * the answer. A Fetch that has fewer bytes than it asks for waits until the log changes or its time is up. */
#include "kafka/kafka_int.h"

static struct tm_metric record_bytes_out = TM_COUNTER("tidemill_kafka_record_bytes_out_total", "Bytes of record batches sent to clients.");
static struct tm_metric fetches_waiting = TM_GAUGE("tidemill_kafka_fetches_waiting", "Fetch requests that wait for data.");

struct fetch_part {
	struct tm_topic *topic; /* a reference, or NULL */
	const struct tm_kafka_fetch_request_topics_partitions *in;
	struct tm_log_read read;
	int16_t error;
	size_t at, len; /* in the request's record buffer */
};
struct fetch {
	struct fetch_part *parts;
	size_t count;
	size_t bytes;
	bool failed; /* a part has an error: answered at once */
};

/* ---- waiting ---- */

static void waiting_add(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	r->wait_prev = NULL;
	r->wait_next = s->waiting;
	if (s->waiting)
		s->waiting->wait_prev = r;
	s->waiting = r;
	tm_metric_add(&fetches_waiting, 1);
}

static void waiting_remove(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	if (r->wait_prev)
		r->wait_prev->wait_next = r->wait_next;
	else
		s->waiting = r->wait_next;
	if (r->wait_next)
		r->wait_next->wait_prev = r->wait_prev;
	__atomic_sub_fetch(&s->watching, 1, __ATOMIC_ACQ_REL);
	tm_metric_add(&fetches_waiting, -1);
}

static void parts_unref(struct fetch *f)
{
	for (size_t i = 0; i < f->count; i++)
		tm_topic_unref(f->parts[i].topic);
	f->count = 0;
}

static void fetch_abandoned(struct kafka_request *r)
{
	waiting_remove(r);
	parts_unref(r->state);
}

int64_t kafka_fetch_next_deadline(const struct tm_kafka_server *s)
{
	int64_t least = INT64_MAX;
	for (const struct kafka_request *r = s->waiting; r; r = r->wait_next)
		if (r->deadline_ms < least)
			least = r->deadline_ms;
	return least;
}

/* ---- reading ---- */

static void part_read(struct kafka_request *r, struct fetch *f, struct fetch_part *part, size_t max_bytes)
{
	const struct tm_kafka_fetch_request *in = r->in;
	struct tm_err err = {0};
	size_t left = f->bytes < max_bytes ? max_bytes - f->bytes : 0;
	size_t want = part->in->partition_max_bytes > 0 ? (size_t)part->in->partition_max_bytes : 0;
	part->at = r->records.len;
	part->len = 0;
	part->error = KAFKA_NONE;
	part->read = (struct tm_log_read){
		.offset = part->in->fetch_offset,
		.max_bytes = want < left ? want : left,
		.at_least_one = f->bytes == 0,
		.committed = in->isolation_level == 1,
		.offsets = {-1, -1, -1, -1},
	};
	tm_rc rc = tm_log_read(part->topic, part->in->partition, &part->read, &r->arena, &r->records, &err);
	if (rc != TM_OK) {
		part->error = kafka_code(rc, &err);
		r->records.len = part->at;
		f->failed = true;
		return;
	}
	part->len = r->records.len - part->at;
	f->bytes += part->len;
}

static void parts_read(struct kafka_request *r, struct fetch *f)
{
	const struct tm_kafka_fetch_request *in = r->in;
	size_t max_bytes = r->version >= 3 && in->max_bytes >= 0 ? (size_t)in->max_bytes : TM_LIMIT_KAFKA_FETCH_BYTES;
	if (max_bytes > TM_LIMIT_KAFKA_FETCH_BYTES)
		max_bytes = TM_LIMIT_KAFKA_FETCH_BYTES;
	r->records.len = 0;
	f->bytes = 0;
	f->failed = false;
	for (size_t i = 0; i < f->count; i++) {
		struct fetch_part *part = &f->parts[i];
		if (part->topic)
			part_read(r, f, part, max_bytes);
		else
			f->failed = true;
	}
}

/* ---- answering ---- */

/* Clients before Fetch 4 know no record batches v2. */
static struct tm_str part_records(struct kafka_request *r, struct fetch_part *part)
{
	struct tm_str records = tm_str_n(r->records.at ? r->records.at + part->at : "", part->len);
	if (r->version >= 4 || !records.len)
		return records;
	struct tm_buf old = {0};
	struct tm_err err = {0};
	tm_rc rc = kafka_down_convert(records, r->version >= 2 ? 1 : 0, part->in->fetch_offset, &r->arena, &old, &err);
	part->error = kafka_code(rc, &err);
	records = rc == TM_OK ? tm_arena_str(&r->arena, tm_buf_str(&old)) : TM_STR("");
	tm_buf_done(&old);
	return records;
}

static void part_answer(struct kafka_request *r, struct fetch_part *part, struct tm_kafka_fetch_response_responses_partitions *a)
{
	a->partition_index = part->in->partition;
	a->records = part_records(r, part);
	a->error_code = part->error;
	a->high_watermark = -1;
	if (part->error && part->error != KAFKA_OFFSET_OUT_OF_RANGE)
		return;
	const struct tm_log_offsets *o = &part->read.offsets;
	if (!part->error) {
		a->high_watermark = o->high_watermark;
		a->last_stable_offset = o->last_stable;
		a->log_start_offset = o->start;
	}
	if (part->read.committed && !part->error) {
		a->aborted_transactions.count = (int32_t)part->read.aborted_count;
		a->aborted_transactions.items = tm_kafka_fetch_response_responses_partitions_aborted_transactions_new(&r->arena, part->read.aborted_count);
		for (size_t i = 0; i < part->read.aborted_count; i++) {
			a->aborted_transactions.items[i].producer_id = part->read.aborted[i].producer_id;
			a->aborted_transactions.items[i].first_offset = part->read.aborted[i].first_offset;
		}
	}
}

static void fetch_answer(struct kafka_request *r)
{
	const struct tm_kafka_fetch_request *in = r->in;
	struct tm_kafka_fetch_response *out = r->out;
	struct fetch *f = r->state;
	size_t at = 0;
	out->responses.items = tm_kafka_fetch_response_responses_new(&r->arena, (size_t)in->topics.count);
	out->responses.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		struct tm_kafka_fetch_response_responses *topic = &out->responses.items[i];
		int32_t n = in->topics.items[i].partitions.count;
		topic->topic = in->topics.items[i].topic;
		topic->topic_id = in->topics.items[i].topic_id;
		topic->partitions.items = tm_kafka_fetch_response_responses_partitions_new(&r->arena, (size_t)n);
		topic->partitions.count = n;
		for (int32_t k = 0; k < n; k++)
			part_answer(r, &f->parts[at++], &topic->partitions.items[k]);
	}
	tm_metric_add(&record_bytes_out, (int64_t)f->bytes);
	parts_unref(f);
	kafka_reply(r);
}

static bool enough(const struct kafka_request *r, const struct fetch *f)
{
	const struct tm_kafka_fetch_request *in = r->in;
	return f->failed || (int64_t)f->bytes >= in->min_bytes || f->count == 0;
}

void kafka_fetch_waiting_check(struct tm_kafka_server *s)
{
	int64_t now = kafka_now_ms(s);
	for (struct kafka_request *r = s->waiting, *next; r; r = next) {
		next = r->wait_next;
		parts_read(r, r->state);
		if (!enough(r, r->state) && now < r->deadline_ms)
			continue;
		waiting_remove(r);
		r->abandoned = NULL;
		fetch_answer(r);
	}
}

static void parts_init(struct kafka_request *r, struct fetch *f)
{
	const struct tm_kafka_fetch_request *in = r->in;
	size_t n = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		n += (size_t)in->topics.items[i].partitions.count;
	f->parts = TM_NEW_N(&r->arena, struct fetch_part, n + 1);
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_fetch_request_topics *t = &in->topics.items[i];
		struct tm_topic *topic = kafka_topic(r->conn->server, t->topic, &t->topic_id, r->version >= 13);
		for (int32_t k = 0; k < t->partitions.count; k++) {
			struct fetch_part *part = &f->parts[f->count++];
			part->in = &t->partitions.items[k];
			if (!kafka_partition_ok(topic, part->in->partition))
				part->error = r->version >= 13 && !topic ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
			else if (part->in->current_leader_epoch > 0)
				part->error = KAFKA_UNKNOWN_LEADER_EPOCH; /* there has been one leader, of epoch 0 */
			else
				part->topic = tm_topic_ref(topic);
		}
		tm_topic_unref(topic);
	}
}

void kafka_fetch_sessions_done(struct tm_kafka_server *s) { (void)s; }

void kafka_fetch(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_fetch_request *in = r->in;
	struct tm_kafka_fetch_response *out = r->out;
	if (in->session_id != 0 || in->session_epoch > 0) {
		out->error_code = KAFKA_FETCH_SESSION_ID_NOT_FOUND; /* sessions are never opened: every Fetch is a full one */
		kafka_reply(r);
		return;
	}
	struct fetch *f = TM_NEW(&r->arena, struct fetch);
	r->state = f;
	parts_init(r, f);
	/* Watched before it is read, so that nothing can arrive between the two unseen. */
	__atomic_add_fetch(&s->watching, 1, __ATOMIC_ACQ_REL);
	parts_read(r, f);
	if (enough(r, f) || in->max_wait_ms <= 0) {
		__atomic_sub_fetch(&s->watching, 1, __ATOMIC_ACQ_REL);
		fetch_answer(r);
		return;
	}
	r->abandoned = fetch_abandoned;
	r->deadline_ms = kafka_now_ms(s) + in->max_wait_ms;
	waiting_add(r);
	kafka_timer_at(s, r->deadline_ms);
}
