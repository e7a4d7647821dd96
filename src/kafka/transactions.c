/* Producers' ids, and transactions: the host of the coordinator (log/transaction.h) and its APIs. */
#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "kafka/kafka_int.h"

enum { INVALID_REGULAR_EXPRESSION = 128, OPERATION_NOT_ATTEMPTED = 55 };

/* ---- the host ---- */

struct txn_append {
	struct kafka_task task;
	struct tm_kafka_server *server;
	uint64_t ticket;
	int error;
	bool marker, commit, with_groups;
	int64_t producer_id;
	char *bytes;
	struct tm_log_append *parts;
	size_t count;
};

static void txn_append_free(struct txn_append *a)
{
	for (size_t i = 0; i < a->count; i++)
		tm_topic_unref(a->parts[i].topic);
	free(a->parts);
	free(a->bytes);
	free(a);
}

static void txn_appended(struct kafka_task *task)
{
	struct txn_append *a = (struct txn_append *)task;
	struct tm_kafka_server *s = a->server;
	int error = a->error;
	for (size_t i = 0; i < a->count && !error; i++)
		error = a->parts[i].kafka_error ? a->parts[i].kafka_error : a->parts[i].rc != TM_OK ? tm_rc_kafka(a->parts[i].rc) : 0;
	s->group_writes--;
	if (a->marker && a->with_groups && !error)
		tm_groups_transaction_end(s->groups, a->producer_id, a->commit);
	if (a->marker)
		tm_transactions_marked(s->transactions, a->ticket, error);
	else
		tm_transactions_appended(s->transactions, a->ticket, error);
	txn_append_free(a);
	kafka_coordinator_tick(s);
}

static void txn_durable(void *ctx)
{
	struct txn_append *a = ctx;
	kafka_task_post(a->server, &a->task);
}

static struct txn_append *txn_append_new(struct tm_kafka_server *s, struct tm_str batch, size_t parts, uint64_t ticket)
{
	struct txn_append *a = tm_zalloc(sizeof *a);
	a->server = s;
	a->ticket = ticket;
	a->task.run = txn_appended;
	a->bytes = tm_alloc(batch.len + 1);
	memcpy(a->bytes, batch.at, batch.len);
	a->parts = tm_zalloc((parts + 1) * sizeof *a->parts);
	s->group_writes++;
	return a;
}

static void txn_append_start(struct txn_append *a)
{
	if (a->error || !a->count)
		kafka_task_post(a->server, &a->task);
	else
		tm_log_append(a->server->log, a->parts, a->count, true, txn_durable, a);
}

static void host_append(void *ctx, struct tm_str batch, uint64_t ticket)
{
	struct tm_kafka_server *s = ctx;
	struct tm_err err = {0};
	struct txn_append *a = txn_append_new(s, batch, 1, ticket);
	struct tm_topic *topic;
	if (kafka_internal_topic(s, TM_TRANSACTION_TOPIC, &topic, &err) != TM_OK) {
		tm_say_err("kafka", &err);
		a->error = KAFKA_COORDINATOR_NOT_AVAILABLE;
	} else {
		a->parts[a->count++] = (struct tm_log_append){.topic = topic, .batches = tm_str_n(a->bytes, batch.len)};
	}
	txn_append_start(a);
}

static void host_mark(void *ctx, const struct tm_transaction_part *parts, size_t count, struct tm_str marker, int64_t producer_id,
		      bool commit, uint64_t ticket)
{
	struct tm_kafka_server *s = ctx;
	struct txn_append *a = txn_append_new(s, marker, count, ticket);
	/* The log patches offsets into the bytes it is given: each partition gets a copy of its own. */
	free(a->bytes);
	a->bytes = tm_alloc(marker.len * (count + 1));
	a->marker = true;
	a->commit = commit;
	a->producer_id = producer_id;
	for (size_t i = 0; i < count; i++) {
		struct tm_topic *topic = tm_log_topic_find(s->log, parts[i].topic);
		if (!kafka_partition_ok(topic, parts[i].partition)) {
			tm_topic_unref(topic); /* deleted since: nothing is left to end there */
			continue;
		}
		a->with_groups |= tm_str_is(parts[i].topic, TM_GROUP_TOPIC);
		char *copy = a->bytes + marker.len * a->count;
		memcpy(copy, marker.at, marker.len);
		a->parts[a->count++] =
		    (struct tm_log_append){.topic = topic, .partition = parts[i].partition, .batches = tm_str_n(copy, marker.len)};
	}
	txn_append_start(a);
}

static tm_rc host_producer_id(void *ctx, int64_t *ret, struct tm_err *err)
{
	return tm_log_producer_id(((struct tm_kafka_server *)ctx)->log, ret, err);
}
static int64_t host_wall_ms(void *ctx) { return tm_now_ms(((struct tm_kafka_server *)ctx)->env); }
static tm_rc host_replay(void *ctx, const struct tm_batch_info *b, struct tm_err *err) { return tm_transactions_replay(ctx, b, err); }

tm_rc kafka_transactions_start(struct tm_kafka_server *s, struct tm_err *err)
{
	struct tm_transactions_options options = {
	    .ctx = s, .append = host_append, .mark = host_mark, .producer_id = host_producer_id, .wall_ms = host_wall_ms};
	s->transactions = tm_transactions_new(&options);
	return kafka_internal_replay(s, TM_TRANSACTION_TOPIC, host_replay, s->transactions, err);
}

static void txn_abandoned(struct kafka_request *r) { tm_transactions_forget(r->conn->server->transactions, r); }

/* ---- InitProducerId, EndTxn ---- */

static void producer_initialised(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_init_producer_id_response *out = r->out;
	r->abandoned = NULL;
	out->error_code = (int16_t)error;
	out->producer_id = error ? -1 : producer_id;
	out->producer_epoch = error ? -1 : epoch;
	kafka_reply(r);
}

void kafka_init_producer_id(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_init_producer_id_request *in = r->in;
	struct tm_err err = {0};
	if (in->transactional_id.at) {
		r->abandoned = txn_abandoned;
		tm_transactions_init(s->transactions, in->transactional_id, in->transaction_timeout_ms,
				     r->version >= 3 ? in->producer_id : -1, r->version >= 3 ? in->producer_epoch : -1,
				     producer_initialised, r);
		kafka_coordinator_tick(s);
		return;
	}
	/* Without a transactional id every call gives a new id: nobody is there to be fenced. */
	int64_t id = -1;
	tm_rc rc = tm_log_producer_id(s->log, &id, &err);
	producer_initialised(r, kafka_code(rc, &err), id, 0);
}

static void ended(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_end_txn_response *out = r->out;
	r->abandoned = NULL;
	out->error_code = (int16_t)error;
	out->producer_id = producer_id;
	out->producer_epoch = epoch;
	kafka_reply(r);
}

void kafka_end_txn(struct kafka_request *r)
{
	const struct tm_kafka_end_txn_request *in = r->in;
	r->abandoned = txn_abandoned;
	tm_transactions_end(r->conn->server->transactions, in->transactional_id, in->producer_id, in->producer_epoch, in->committed,
			    r->version >= 5, ended, r);
}

/* ---- AddPartitionsToTxn, AddOffsetsToTxn ---- */

struct adding {
	struct tm_transaction_part *parts;
	size_t count;
	int32_t at; /* of the request's transactions, from version 4 on */
};

static void partitions_added_old(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_add_partitions_to_txn_response *out = r->out;
	(void)producer_id, (void)epoch;
	r->abandoned = NULL;
	for (int32_t i = 0; i < out->results_by_topic_v3_and_below.count; i++)
		for (int32_t k = 0; k < out->results_by_topic_v3_and_below.items[i].results_by_partition.count; k++)
			out->results_by_topic_v3_and_below.items[i].results_by_partition.items[k].partition_error_code = (int16_t)error;
	kafka_reply(r);
}

static void partitions_add_old(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_add_partitions_to_txn_request *in = r->in;
	struct tm_kafka_add_partitions_to_txn_response *out = r->out;
	struct adding *a = TM_NEW(&r->arena, struct adding);
	bool bad = false;
	size_t n = 0;
	for (int32_t i = 0; i < in->v3_and_below_topics.count; i++)
		n += (size_t)in->v3_and_below_topics.items[i].partitions.count;
	a->parts = TM_NEW_N(&r->arena, struct tm_transaction_part, n + 1);
	out->results_by_topic_v3_and_below.items =
	    tm_kafka_add_partitions_to_txn_response_results_by_topic_v3_and_below_new(&r->arena, (size_t)in->v3_and_below_topics.count);
	out->results_by_topic_v3_and_below.count = in->v3_and_below_topics.count;
	for (int32_t i = 0; i < in->v3_and_below_topics.count; i++) {
		const struct tm_kafka_add_partitions_to_txn_request_v3_and_below_topics *t = &in->v3_and_below_topics.items[i];
		struct tm_kafka_add_partitions_to_txn_response_results_by_topic_v3_and_below *o =
		    &out->results_by_topic_v3_and_below.items[i];
		struct tm_topic *topic = tm_log_topic_find(s->log, t->name);
		o->name = t->name;
		o->results_by_partition.items =
		    tm_kafka_add_partitions_to_txn_response_results_by_topic_v3_and_below_results_by_partition_new(
			&r->arena, (size_t)t->partitions.count);
		o->results_by_partition.count = t->partitions.count;
		for (int32_t k = 0; k < t->partitions.count; k++) {
			o->results_by_partition.items[k].partition_index = t->partitions.items[k];
			bool ok = kafka_partition_ok(topic, t->partitions.items[k]);
			bad |= !ok;
			o->results_by_partition.items[k].partition_error_code =
			    ok ? OPERATION_NOT_ATTEMPTED : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
			a->parts[a->count++] = (struct tm_transaction_part){t->name, t->partitions.items[k]};
		}
		tm_topic_unref(topic);
	}
	if (bad) {
		kafka_reply(r);
		return;
	}
	r->abandoned = txn_abandoned;
	tm_transactions_add(s->transactions, in->v3_and_below_transactional_id, in->v3_and_below_producer_id,
			    in->v3_and_below_producer_epoch, a->parts, a->count, partitions_added_old, r);
}

static void transaction_add_next(struct kafka_request *r);

static void transaction_added(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	(void)producer_id, (void)epoch;
	struct tm_kafka_add_partitions_to_txn_response *out = r->out;
	struct adding *a = r->state;
	r->abandoned = NULL;
	for (int32_t i = 0; i < out->results_by_transaction.items[a->at].topic_results.count; i++) {
		struct tm_kafka_add_partitions_to_txn_response_results_by_transaction_topic_results *t =
		    &out->results_by_transaction.items[a->at].topic_results.items[i];
		for (int32_t k = 0; k < t->results_by_partition.count; k++)
			t->results_by_partition.items[k].partition_error_code = (int16_t)error;
	}
	a->at++;
	transaction_add_next(r);
}

/* One transaction of a request of version 4 and later after the other. */
static void transaction_add_next(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_add_partitions_to_txn_request *in = r->in;
	struct tm_kafka_add_partitions_to_txn_response *out = r->out;
	struct adding *a = r->state;
	if (a->at == out->results_by_transaction.count) {
		kafka_reply(r);
		return;
	}
	const struct tm_kafka_add_partitions_to_txn_request_transactions *t = &in->transactions.items[a->at];
	struct tm_kafka_add_partitions_to_txn_response_results_by_transaction *o = &out->results_by_transaction.items[a->at];
	size_t n = 0;
	for (int32_t i = 0; i < t->topics.count; i++)
		n += (size_t)t->topics.items[i].partitions.count;
	a->parts = TM_NEW_N(&r->arena, struct tm_transaction_part, n + 1);
	a->count = 0;
	bool bad = false;
	int error = 0;
	o->transactional_id = t->transactional_id;
	o->topic_results.items =
	    tm_kafka_add_partitions_to_txn_response_results_by_transaction_topic_results_new(&r->arena, (size_t)t->topics.count);
	o->topic_results.count = t->topics.count;
	for (int32_t i = 0; i < t->topics.count; i++) {
		struct tm_topic *topic = tm_log_topic_find(s->log, t->topics.items[i].name);
		int32_t count = t->topics.items[i].partitions.count;
		o->topic_results.items[i].name = t->topics.items[i].name;
		o->topic_results.items[i].results_by_partition.items =
		    tm_kafka_add_partitions_to_txn_response_results_by_transaction_topic_results_results_by_partition_new(&r->arena,
															  (size_t)count);
		o->topic_results.items[i].results_by_partition.count = count;
		for (int32_t k = 0; k < count; k++) {
			int32_t p = t->topics.items[i].partitions.items[k];
			o->topic_results.items[i].results_by_partition.items[k].partition_index = p;
			bad |= !kafka_partition_ok(topic, p);
			a->parts[a->count++] = (struct tm_transaction_part){t->topics.items[i].name, p};
			if (t->verify_only && !error)
				error = tm_transactions_check(s->transactions, t->transactional_id, t->producer_id, t->producer_epoch,
							      t->topics.items[i].name, p);
		}
		tm_topic_unref(topic);
	}
	if (bad || t->verify_only) {
		transaction_added(r, bad ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : error, -1, -1);
		return;
	}
	r->abandoned = txn_abandoned;
	tm_transactions_add(s->transactions, t->transactional_id, t->producer_id, t->producer_epoch, a->parts, a->count, transaction_added,
			    r);
}

void kafka_add_partitions_to_txn(struct kafka_request *r)
{
	const struct tm_kafka_add_partitions_to_txn_request *in = r->in;
	struct tm_kafka_add_partitions_to_txn_response *out = r->out;
	if (r->version < 4) {
		partitions_add_old(r);
		return;
	}
	int32_t n = in->transactions.count < 1000 ? in->transactions.count : 1000; /* each may nest one call */
	out->results_by_transaction.items = tm_kafka_add_partitions_to_txn_response_results_by_transaction_new(&r->arena, (size_t)n);
	out->results_by_transaction.count = n;
	r->state = TM_NEW(&r->arena, struct adding);
	transaction_add_next(r);
}

static const struct tm_transaction_part offsets_part = {{TM_GROUP_TOPIC, sizeof TM_GROUP_TOPIC - 1}, 0};

static void offsets_added(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_add_offsets_to_txn_response *out = r->out;
	(void)producer_id, (void)epoch;
	r->abandoned = NULL;
	out->error_code = (int16_t)error;
	kafka_reply(r);
}

void kafka_add_offsets_to_txn(struct kafka_request *r)
{
	const struct tm_kafka_add_offsets_to_txn_request *in = r->in;
	r->abandoned = txn_abandoned;
	tm_transactions_add(r->conn->server->transactions, in->transactional_id, in->producer_id, in->producer_epoch, &offsets_part, 1,
			    offsets_added, r);
}

/* ---- TxnOffsetCommit ---- */

static void txn_offsets_committed(void *ctx)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_txn_offset_commit_response *out = r->out;
	const struct tm_group_offset *o = r->state;
	for (int32_t i = 0; i < out->topics.count; i++)
		for (int32_t k = 0; k < out->topics.items[i].partitions.count; k++)
			out->topics.items[i].partitions.items[k].error_code = (int16_t)(o++)->error;
	kafka_reply(r);
}

static void txn_offsets_commit(void *ctx, int error, int64_t producer_id, int16_t epoch)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_txn_offset_commit_request *in = r->in;
	struct tm_kafka_txn_offset_commit_response *out = r->out;
	(void)producer_id, (void)epoch;
	r->abandoned = NULL;
	size_t count = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		count += (size_t)in->topics.items[i].partitions.count;
	struct tm_group_offset *offsets = TM_NEW_N(&r->arena, struct tm_group_offset, count + 1), *o = offsets;
	out->topics.items = tm_kafka_txn_offset_commit_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		struct tm_topic *topic = tm_log_topic_find(s->log, in->topics.items[i].name);
		int32_t n = in->topics.items[i].partitions.count;
		out->topics.items[i].name = in->topics.items[i].name;
		out->topics.items[i].partitions.items = tm_kafka_txn_offset_commit_response_topics_partitions_new(&r->arena, (size_t)n);
		out->topics.items[i].partitions.count = n;
		for (int32_t k = 0; k < n; k++, o++) {
			const struct tm_kafka_txn_offset_commit_request_topics_partitions *p = &in->topics.items[i].partitions.items[k];
			out->topics.items[i].partitions.items[k].partition_index = p->partition_index;
			*o = (struct tm_group_offset){.topic = in->topics.items[i].name,
						      .partition = p->partition_index,
						      .leader_epoch = p->committed_leader_epoch,
						      .offset = p->committed_offset,
						      .metadata = p->committed_metadata,
						      .commit_ms = tm_now_ms(s->env),
						      .expire_ms = -1};
			o->error = error ? error : kafka_partition_ok(topic, p->partition_index) ? 0 : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		}
		tm_topic_unref(topic);
	}
	struct tm_group_commit commit = {
	    .group = in->group_id,
	    .member = r->version >= 3 ? in->member_id : TM_STR(""),
	    .instance = in->group_instance_id,
	    .generation = r->version >= 3 ? in->generation_id : -1,
	    .offsets = offsets,
	    .offset_count = count,
	    .producer_id = in->producer_id,
	    .producer_epoch = in->producer_epoch,
	};
	r->state = offsets;
	tm_groups_commit(s->groups, &commit, kafka_now_ms(s), txn_offsets_committed, r);
}

void kafka_txn_offset_commit(struct kafka_request *r)
{
	struct tm_transactions *ts = r->conn->server->transactions;
	const struct tm_kafka_txn_offset_commit_request *in = r->in;
	if (r->version >= 5) {
		r->abandoned = txn_abandoned;
		tm_transactions_add(ts, in->transactional_id, in->producer_id, in->producer_epoch, &offsets_part, 1, txn_offsets_commit, r);
		return;
	}
	txn_offsets_commit(r,
			   tm_transactions_check(ts, in->transactional_id, in->producer_id, in->producer_epoch, offsets_part.topic,
						 offsets_part.partition),
			   -1, -1);
}

/* ---- looking ---- */

void kafka_describe_transactions(struct kafka_request *r)
{
	const struct tm_kafka_describe_transactions_request *in = r->in;
	struct tm_kafka_describe_transactions_response *out = r->out;
	out->transaction_states.items =
	    tm_kafka_describe_transactions_response_transaction_states_new(&r->arena, (size_t)in->transactional_ids.count);
	out->transaction_states.count = in->transactional_ids.count;
	for (int32_t i = 0; i < in->transactional_ids.count; i++) {
		struct tm_kafka_describe_transactions_response_transaction_states *a = &out->transaction_states.items[i];
		struct tm_transaction_info info;
		a->transactional_id = in->transactional_ids.items[i];
		if (!tm_transactions_describe(r->conn->server->transactions, a->transactional_id, &r->arena, &info)) {
			a->error_code = KAFKA_TRANSACTIONAL_ID_NOT_FOUND;
			continue;
		}
		a->transaction_state = info.state;
		a->transaction_timeout_ms = info.timeout_ms;
		a->transaction_start_time_ms = info.start_ms;
		a->producer_id = info.producer_id;
		a->producer_epoch = info.epoch;
		a->topics.items = tm_kafka_describe_transactions_response_transaction_states_topics_new(&r->arena, info.part_count);
		for (size_t k = 0, end; k < info.part_count; k = end) {
			struct tm_kafka_describe_transactions_response_transaction_states_topics *t = &a->topics.items[a->topics.count++];
			for (end = k; end < info.part_count && tm_str_eq(info.parts[end].topic, info.parts[k].topic);)
				end++;
			t->topic = info.parts[k].topic;
			t->partitions.items = TM_NEW_N(&r->arena, int32_t, end - k);
			for (size_t p = k; p < end; p++)
				t->partitions.items[t->partitions.count++] = info.parts[p].partition;
		}
	}
	kafka_reply(r);
}

/* A pattern must match the whole id, as Kafka's does. NULL with *ret_bad where it is no pattern. */
static pcre2_code *pattern_compile(struct tm_str pattern, bool *ret_bad)
{
	int code;
	PCRE2_SIZE at;
	*ret_bad = false;
	if (!pattern.len)
		return NULL;
	pcre2_code *c =
	    pcre2_compile((PCRE2_SPTR)pattern.at, pattern.len, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &code, &at, NULL);
	*ret_bad = !c;
	return c;
}

static bool pattern_matches(pcre2_code *c, struct tm_str s)
{
	if (!c)
		return true;
	pcre2_match_data *m = pcre2_match_data_create(1, NULL);
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(limits, 10000);
	bool yes = pcre2_match(c, (PCRE2_SPTR)s.at, s.len, 0, 0, m, limits) > 0;
	pcre2_match_context_free(limits);
	pcre2_match_data_free(m);
	return yes;
}

void kafka_list_transactions(struct kafka_request *r)
{
	const struct tm_kafka_list_transactions_request *in = r->in;
	struct tm_kafka_list_transactions_response *out = r->out;
	struct tm_kafka_server *s = r->conn->server;
	size_t state_count;
	const char *const *states = tm_transaction_states(&state_count);
	out->unknown_state_filters.items = TM_NEW_N(&r->arena, struct tm_str, (size_t)in->state_filters.count + 1);
	bool bad, any_known = in->state_filters.count == 0;
	for (int32_t i = 0; i < in->state_filters.count; i++) {
		bool known = false;
		for (size_t k = 0; k < state_count && !known; k++)
			known = tm_str_is(in->state_filters.items[i], states[k]);
		any_known |= known;
		if (!known)
			out->unknown_state_filters.items[out->unknown_state_filters.count++] = in->state_filters.items[i];
	}
	pcre2_code *pattern = pattern_compile(in->transactional_id_pattern, &bad);
	struct tm_transaction_info *all;
	size_t n = bad || !any_known ? 0 : tm_transactions_list(s->transactions, &r->arena, &all);
	out->error_code = bad ? INVALID_REGULAR_EXPRESSION : 0;
	out->transaction_states.items = tm_kafka_list_transactions_response_transaction_states_new(&r->arena, n);
	for (size_t i = 0; i < n; i++) {
		bool state_ok = in->state_filters.count == 0, id_ok = in->producer_id_filters.count == 0;
		for (int32_t k = 0; k < in->state_filters.count; k++)
			state_ok |= tm_str_eq(in->state_filters.items[k], all[i].state);
		for (int32_t k = 0; k < in->producer_id_filters.count; k++)
			id_ok |= in->producer_id_filters.items[k] == all[i].producer_id;
		bool long_enough =
		    in->duration_filter < 0 || (all[i].start_ms >= 0 && tm_now_ms(s->env) - all[i].start_ms > in->duration_filter);
		if (!state_ok || !id_ok || !long_enough || !pattern_matches(pattern, all[i].id))
			continue;
		struct tm_kafka_list_transactions_response_transaction_states *t =
		    &out->transaction_states.items[out->transaction_states.count++];
		t->transactional_id = all[i].id;
		t->producer_id = all[i].producer_id;
		t->transaction_state = all[i].state;
	}
	pcre2_code_free(pattern);
	kafka_reply(r);
}
