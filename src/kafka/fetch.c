/* Fetch: whole batches are read from the log into the request's record buffer and leave by a vectored write, not copied into
 * the answer. A Fetch that has fewer bytes than it asks for waits until the log changes or its time is up. */
#include "kafka/fetch.h"

static struct tm_metric record_bytes_out = TM_COUNTER("tidemill_kafka_record_bytes_out_total", "Bytes of record batches sent to clients.");
static struct tm_metric fetches_waiting = TM_GAUGE("tidemill_kafka_fetches_waiting", "Fetch requests that wait for data.");

struct fetch_part {
	struct tm_topic *topic; /* a reference, or NULL */
	struct fetch_want want;
	struct tm_log_read read;
	int16_t error;
	bool unknown;   /* there is no such topic or partition */
	bool diverged;  /* the client has read what this log does not have */
	size_t at, len; /* in the request's record buffer */
};
struct fetch {
	struct fetch_part *parts;
	size_t count;
	size_t bytes;
	bool failed;        /* a part has an error: answered at once */
	bool incremental;   /* only what has changed is answered */
	int32_t session_id; /* 0 = none */
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

static void parts_unref(struct kafka_request *r, struct fetch *f)
{
	struct kafka_fetch_session *session = f->session_id ? kafka_fetch_session_find(r->conn->server, f->session_id) : NULL;
	if (session)
		session->busy = false;
	for (size_t i = 0; i < f->count; i++)
		tm_topic_unref(f->parts[i].topic);
	f->count = 0;
}

static void fetch_abandoned(struct kafka_request *r)
{
	waiting_remove(r);
	parts_unref(r, r->state);
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
	size_t want = (size_t)part->want.max_bytes;
	part->at = r->records.len;
	part->len = 0;
	part->error = KAFKA_NONE;
	part->diverged = false;
	part->read = (struct tm_log_read){
	    .offset = part->want.offset,
	    .max_bytes = want < left ? want : left,
	    .at_least_one = f->bytes == 0,
	    .committed = in->isolation_level == 1,
	    .offsets = {-1, -1, -1, -1},
	};
	tm_rc rc = tm_log_read(part->topic, part->want.partition, &part->read, &r->arena, &r->records, &err);
	if (rc != TM_OK) {
		part->error = kafka_code(rc, &err);
		r->records.len = part->at;
		f->failed = true;
		/* A client that says which epoch it read last is told where that epoch ends. */
		struct tm_err ignored = {0};
		part->diverged = part->error == KAFKA_OFFSET_OUT_OF_RANGE && part->want.last_fetched_epoch == 0 &&
				 tm_log_offsets(part->topic, part->want.partition, &part->read.offsets, &ignored) == TM_OK &&
				 part->want.offset > part->read.offsets.high_watermark;
		if (part->diverged)
			part->error = KAFKA_NONE;
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
	tm_rc rc = kafka_down_convert(records, r->version >= 2 ? 1 : 0, part->want.offset, &r->arena, &old, &err);
	part->error = kafka_code(rc, &err);
	records = rc == TM_OK ? tm_arena_str(&r->arena, tm_buf_str(&old)) : TM_STR("");
	tm_buf_done(&old);
	return records;
}

static void part_answer(struct kafka_request *r, struct fetch_part *part, struct tm_kafka_fetch_response_responses_partitions *a)
{
	a->partition_index = part->want.partition;
	a->records = part_records(r, part);
	a->error_code = part->error;
	a->high_watermark = -1;
	if (part->error) {
		if (part->unknown)
			a->aborted_transactions.count = 0;
		return;
	}
	const struct tm_log_offsets *o = &part->read.offsets;
	a->high_watermark = o->high_watermark;
	a->last_stable_offset = o->last_stable;
	a->log_start_offset = o->start;
	if (part->diverged) {
		a->diverging_epoch.epoch = 0;
		a->diverging_epoch.end_offset = o->high_watermark;
	}
	if (part->read.committed) {
		a->aborted_transactions.count = (int32_t)part->read.aborted_count;
		a->aborted_transactions.items =
		    tm_kafka_fetch_response_responses_partitions_aborted_transactions_new(&r->arena, part->read.aborted_count);
		for (size_t i = 0; i < part->read.aborted_count; i++) {
			a->aborted_transactions.items[i].producer_id = part->read.aborted[i].producer_id;
			a->aborted_transactions.items[i].first_offset = part->read.aborted[i].first_offset;
		}
	}
}

/* Whether an incremental answer has something to say of a partition; and remembers what is said. */
static bool part_changed(struct kafka_fetch_session *session, struct fetch_part *part, bool by_id)
{
	struct fetch_remembered *had =
	    kafka_fetch_session_part(session, part->want.topic, &part->want.topic_id, part->want.partition, by_id);
	if (!had)
		return true;
	const struct tm_log_offsets *o = &part->read.offsets;
	bool changed = part->error || part->diverged || part->len || had->high_watermark != o->high_watermark || had->log_start != o->start;
	if (!part->error) {
		had->high_watermark = o->high_watermark;
		had->log_start = o->start;
	} else {
		had->high_watermark = -1;
	}
	if (part->len)
		kafka_fetch_session_move_last(session, &part->want, by_id);
	return changed;
}

static void fetch_answer(struct kafka_request *r)
{
	struct tm_kafka_fetch_response *out = r->out;
	struct fetch *f = r->state;
	struct kafka_fetch_session *session = f->session_id ? kafka_fetch_session_find(r->conn->server, f->session_id) : NULL;
	bool by_id = r->version >= 13;
	struct tm_kafka_fetch_response_responses *topic = NULL;
	const struct fetch_want *last = NULL;
	out->session_id = session ? session->id : 0;
	out->responses.items = tm_kafka_fetch_response_responses_new(&r->arena, f->count);
	for (size_t i = 0; i < f->count; i++) {
		struct fetch_part *part = &f->parts[i];
		bool changed = session ? part_changed(session, part, by_id) : true;
		if (f->incremental && !changed)
			continue;
		bool same =
		    last && (by_id ? memcmp(&last->topic_id, &part->want.topic_id, 16) == 0 : tm_str_eq(last->topic, part->want.topic));
		if (!same) {
			topic = &out->responses.items[out->responses.count++];
			topic->topic = part->want.topic;
			topic->topic_id = part->want.topic_id;
			topic->partitions.items = tm_kafka_fetch_response_responses_partitions_new(&r->arena, f->count - i);
			last = &part->want;
		}
		part_answer(r, part, &topic->partitions.items[topic->partitions.count++]);
	}
	tm_metric_add(&record_bytes_out, (int64_t)f->bytes);
	parts_unref(r, f);
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

static void part_add(struct kafka_request *r, struct fetch *f, const struct fetch_want *want)
{
	const struct tm_kafka_fetch_request *in = r->in;
	bool by_id = r->version >= 13;
	struct fetch_part *part = &f->parts[f->count++];
	part->want = *want;
	if (want->topic.at)
		part->want.topic = tm_arena_str(&r->arena, want->topic); /* a session may change while this one waits */
	struct tm_topic *topic = kafka_topic(r->conn->server, want->topic, &want->topic_id, by_id);
	if (in->isolation_level != 0 && in->isolation_level != 1) {
		part->error = KAFKA_UNKNOWN;
		part->unknown = true;
	} else if (!kafka_partition_ok(topic, want->partition)) {
		part->error = by_id && !topic ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		part->unknown = true;
	} else if (want->leader_epoch > 0) {
		part->error = KAFKA_UNKNOWN_LEADER_EPOCH; /* there has been one leader, of epoch 0 */
	} else if (want->last_fetched_epoch > 0) {
		part->error = KAFKA_OFFSET_OUT_OF_RANGE;
	} else if (r->version < 15 ? in->replica_id >= 0 : in->replica_state.replica_id >= 0) {
		part->error = KAFKA_NOT_LEADER;
	} else if (want->max_bytes < 0 || (r->version >= 3 && in->max_bytes < 0)) {
		part->error = KAFKA_UNKNOWN;
	} else {
		part->topic = tm_topic_ref(topic);
	}
	tm_topic_unref(topic);
}

/* Where a partition is named twice the last word counts. */
static bool named_again(const struct tm_kafka_fetch_request *in, int32_t topic, int32_t partition, bool by_id)
{
	const struct tm_kafka_fetch_request_topics *t = &in->topics.items[topic];
	for (int32_t i = topic; i < in->topics.count && i < topic + 50; i++) {
		const struct tm_kafka_fetch_request_topics *o = &in->topics.items[i];
		if (by_id ? memcmp(&o->topic_id, &t->topic_id, 16) != 0 : !tm_str_eq(o->topic, t->topic))
			continue;
		for (int32_t k = i == topic ? partition + 1 : 0; k < o->partitions.count && k < partition + 50; k++)
			if (o->partitions.items[k].partition == t->partitions.items[partition].partition)
				return true;
	}
	return false;
}

static void parts_of_request(struct kafka_request *r, struct fetch *f)
{
	const struct tm_kafka_fetch_request *in = r->in;
	size_t n = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		n += (size_t)in->topics.items[i].partitions.count;
	f->parts = TM_NEW_N(&r->arena, struct fetch_part, n + 1);
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_fetch_request_topics *t = &in->topics.items[i];
		for (int32_t k = 0; k < t->partitions.count; k++) {
			const struct tm_kafka_fetch_request_topics_partitions *p = &t->partitions.items[k];
			if (named_again(in, i, k, r->version >= 13))
				continue;
			struct fetch_want want = {.topic = t->topic,
						  .topic_id = t->topic_id,
						  .partition = p->partition,
						  .leader_epoch = p->current_leader_epoch,
						  .last_fetched_epoch = p->last_fetched_epoch,
						  .max_bytes = p->partition_max_bytes,
						  .offset = p->fetch_offset};
			part_add(r, f, &want);
		}
	}
}

void kafka_fetch(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_fetch_request *in = r->in;
	struct tm_kafka_fetch_response *out = r->out;
	struct fetch *f = TM_NEW(&r->arena, struct fetch);
	struct kafka_fetch_session *session;
	bool fresh;
	int error = kafka_fetch_session_for(r, &session, &fresh);
	if (error || (!session && in->session_epoch > 0)) {
		out->error_code = (int16_t)error; /* without one: its session ended with its last partition */
		kafka_reply(r);
		return;
	}
	r->state = f;
	if (in->isolation_level != 0 && in->isolation_level != 1)
		out->error_code = KAFKA_UNKNOWN;
	if (session) {
		session->busy = true;
		f->session_id = session->id;
		f->incremental = !fresh;
	}
	if (session && !fresh) {
		f->parts = TM_NEW_N(&r->arena, struct fetch_part, session->parts.count + 1);
		for (size_t i = 0; i < session->parts.count; i++)
			part_add(r, f, &session->parts.items[i].want);
	} else {
		parts_of_request(r, f);
	}
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
