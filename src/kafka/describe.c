/* Looking at topics page by page, at sizes on disk, at producers, at leader epochs. */
#include <stdlib.h>
#include <sys/statvfs.h>
#include "kafka/kafka_int.h"

enum { ALL_TOPIC_OPERATIONS = 3576, PARTITIONS_PER_ANSWER = 2000 };

/* ---- DescribeTopicPartitions ---- */

typedef struct tm_kafka_describe_topic_partitions_response_topics described_topic;

/* From partition `from` on; returns how many partitions were listed. */
static int32_t partitions_list(struct kafka_request *r, const struct tm_topic *topic, int32_t from, int32_t limit, described_topic *a)
{
	int32_t total = tm_topic_partitions(topic), n = total - from < limit ? total - from : limit, *node = TM_NEW(&r->arena, int32_t);
	*node = r->conn->server->options.node_id;
	n = n > 0 ? n : 0;
	a->partitions.items = tm_kafka_describe_topic_partitions_response_topics_partitions_new(&r->arena, (size_t)n);
	a->partitions.count = n;
	for (int32_t i = 0; i < n; i++) {
		struct tm_kafka_describe_topic_partitions_response_topics_partitions *p = &a->partitions.items[i];
		p->partition_index = from + i;
		p->leader_id = *node;
		p->leader_epoch = 0;
		p->replica_nodes.items = p->isr_nodes.items = node;
		p->replica_nodes.count = p->isr_nodes.count = 1;
		p->eligible_leader_replicas.count = p->last_known_elr.count = 0;
	}
	return n;
}

static int by_name(const void *a, const void *b) { return tm_str_cmp(*(const struct tm_str *)a, *(const struct tm_str *)b); }

static size_t names_asked(struct kafka_request *r, struct tm_str **ret)
{
	const struct tm_kafka_describe_topic_partitions_request *in = r->in;
	struct tm_topic **all = NULL;
	size_t n = in->topics.count > 0 ? (size_t)in->topics.count : tm_log_topics(r->conn->server->log, &all);
	struct tm_str *names = TM_NEW_N(&r->arena, struct tm_str, n + 1);
	for (size_t i = 0; i < n; i++) {
		names[i] = all ? tm_arena_str(&r->arena, tm_topic_name(all[i])) : in->topics.items[i].name;
		if (all)
			tm_topic_unref(all[i]);
	}
	free(all);
	qsort(names, n, sizeof *names, by_name);
	*ret = names;
	return n;
}

void kafka_describe_topic_partitions(struct kafka_request *r)
{
	const struct tm_kafka_describe_topic_partitions_request *in = r->in;
	struct tm_kafka_describe_topic_partitions_response *out = r->out;
	struct tm_str *names;
	size_t n = names_asked(r, &names);
	int32_t left = in->response_partition_limit < 1                       ? 1
		       : in->response_partition_limit > PARTITIONS_PER_ANSWER ? PARTITIONS_PER_ANSWER
									      : in->response_partition_limit;
	out->topics.items = tm_kafka_describe_topic_partitions_response_topics_new(&r->arena, n);
	for (size_t i = 0; i < n; i++) {
		if ((i && tm_str_eq(names[i], names[i - 1])) || (in->cursor && tm_str_cmp(names[i], in->cursor->topic_name) < 0))
			continue;
		int32_t from = in->cursor && tm_str_eq(names[i], in->cursor->topic_name) ? in->cursor->partition_index : 0;
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, names[i]);
		if (left == 0) {
			out->next_cursor = tm_kafka_describe_topic_partitions_response_next_cursor_new(&r->arena, 1);
			out->next_cursor->topic_name = names[i];
			out->next_cursor->partition_index = from;
			tm_topic_unref(topic);
			break;
		}
		described_topic *a = &out->topics.items[out->topics.count++];
		a->name = names[i];
		if (from < 0) {
			a->error_code = KAFKA_INVALID_REQUEST;
		} else if (!topic) {
			struct tm_err err = {0};
			a->error_code =
			    tm_log_topic_check_name(names[i], &err) == TM_OK ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC;
		} else {
			a->topic_id = kafka_topic_id(topic);
			a->is_internal = tm_topic_internal(topic);
			a->topic_authorized_operations = ALL_TOPIC_OPERATIONS;
			int32_t listed = partitions_list(r, topic, from, left, a);
			left -= listed;
			if (from + listed < tm_topic_partitions(topic)) {
				out->next_cursor = tm_kafka_describe_topic_partitions_response_next_cursor_new(&r->arena, 1);
				out->next_cursor->topic_name = names[i];
				out->next_cursor->partition_index = from + listed;
			}
		}
		tm_topic_unref(topic);
		if (out->next_cursor)
			break;
	}
	kafka_reply(r);
}

/* ---- DescribeLogDirs ---- */

static void log_dir_topic(struct kafka_request *r, struct tm_topic *topic, const int32_t *partitions, int32_t count,
			  struct tm_kafka_describe_log_dirs_response_results *a)
{
	struct tm_kafka_describe_log_dirs_response_results_topics *t = &a->topics.items[a->topics.count++];
	int32_t n = partitions ? count : tm_topic_partitions(topic);
	t->name = tm_arena_str(&r->arena, tm_topic_name(topic));
	t->partitions.items = tm_kafka_describe_log_dirs_response_results_topics_partitions_new(&r->arena, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		int32_t p = partitions ? partitions[i] : i;
		if (!kafka_partition_ok(topic, p))
			continue;
		t->partitions.items[t->partitions.count].partition_index = p;
		t->partitions.items[t->partitions.count++].partition_size = tm_log_partition_bytes(topic, p);
	}
}

void kafka_describe_log_dirs(struct kafka_request *r)
{
	const struct tm_kafka_describe_log_dirs_request *in = r->in;
	struct tm_kafka_describe_log_dirs_response *out = r->out;
	struct tm_kafka_server *s = r->conn->server;
	out->results.items = tm_kafka_describe_log_dirs_response_results_new(&r->arena, 1);
	out->results.count = 1;
	struct tm_kafka_describe_log_dirs_response_results *a = out->results.items;
	a->log_dir = tm_str_of(s->log_dir ? s->log_dir : ".");
	struct statvfs fs;
	if (statvfs(s->log_dir ? s->log_dir : ".", &fs) == 0) {
		a->total_bytes = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
		a->usable_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	}
	if (in->topics.count >= 0) {
		a->topics.items = tm_kafka_describe_log_dirs_response_results_topics_new(&r->arena, (size_t)in->topics.count);
		for (int32_t i = 0; i < in->topics.count; i++) {
			struct tm_topic *topic = tm_log_topic_find(s->log, in->topics.items[i].topic);
			if (topic)
				log_dir_topic(r, topic, in->topics.items[i].partitions.items, in->topics.items[i].partitions.count, a);
			tm_topic_unref(topic);
		}
	} else {
		struct tm_topic **all;
		size_t n = tm_log_topics(s->log, &all);
		a->topics.items = tm_kafka_describe_log_dirs_response_results_topics_new(&r->arena, n);
		for (size_t i = 0; i < n; i++) {
			log_dir_topic(r, all[i], NULL, 0, a);
			tm_topic_unref(all[i]);
		}
		free(all);
	}
	kafka_reply(r);
}

/* ---- DescribeProducers ---- */

static void producers_answer(struct kafka_request *r, struct tm_topic *topic,
			     struct tm_kafka_describe_producers_response_topics_partitions *a)
{
	struct tm_log_producer *list;
	size_t n;
	struct tm_err err = {0};
	if (!kafka_partition_ok(topic, a->partition_index)) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		a->error_message = topic ? (struct tm_str){0} : TM_STR("This server does not host this topic-partition.");
		return;
	}
	tm_rc rc = tm_log_producers(topic, a->partition_index, &r->arena, &list, &n, &err);
	a->error_code = kafka_code(rc, &err);
	if (rc != TM_OK)
		return;
	a->active_producers.items = tm_kafka_describe_producers_response_topics_partitions_active_producers_new(&r->arena, n);
	a->active_producers.count = (int32_t)n;
	for (size_t i = 0; i < n; i++) {
		a->active_producers.items[i].producer_id = list[i].producer_id;
		a->active_producers.items[i].producer_epoch = list[i].producer_epoch;
		a->active_producers.items[i].last_sequence = list[i].last_sequence;
		a->active_producers.items[i].last_timestamp = list[i].last_timestamp_ms;
		a->active_producers.items[i].coordinator_epoch = list[i].coordinator_epoch;
		a->active_producers.items[i].current_txn_start_offset = list[i].txn_first_offset;
	}
}

void kafka_describe_producers(struct kafka_request *r)
{
	const struct tm_kafka_describe_producers_request *in = r->in;
	struct tm_kafka_describe_producers_response *out = r->out;
	out->topics.items = tm_kafka_describe_producers_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		struct tm_kafka_describe_producers_response_topics *a = &out->topics.items[i];
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, in->topics.items[i].name);
		int32_t n = in->topics.items[i].partition_indexes.count;
		a->name = in->topics.items[i].name;
		a->partitions.items = tm_kafka_describe_producers_response_topics_partitions_new(&r->arena, (size_t)n);
		a->partitions.count = n;
		for (int32_t k = 0; k < n; k++) {
			a->partitions.items[k].partition_index = in->topics.items[i].partition_indexes.items[k];
			producers_answer(r, topic, &a->partitions.items[k]);
		}
		tm_topic_unref(topic);
	}
	kafka_reply(r);
}

/* ---- OffsetForLeaderEpoch: there has been one leader, of epoch 0 ---- */

static void epoch_answer(struct tm_topic *topic, const struct tm_kafka_offset_for_leader_epoch_request_topics_partitions *in,
			 struct tm_kafka_offset_for_leader_epoch_response_topics_partitions *a)
{
	struct tm_log_offsets o;
	struct tm_err err = {0};
	a->partition = in->partition;
	if (!kafka_partition_ok(topic, in->partition)) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	} else if (in->current_leader_epoch > 0) {
		a->error_code = KAFKA_UNKNOWN_LEADER_EPOCH;
	} else if (in->leader_epoch == 0) {
		tm_rc rc = tm_log_offsets(topic, in->partition, &o, &err);
		a->error_code = kafka_code(rc, &err);
		if (rc == TM_OK) {
			a->leader_epoch = 0;
			a->end_offset = o.high_watermark;
		}
	}
}

void kafka_offset_for_leader_epoch(struct kafka_request *r)
{
	const struct tm_kafka_offset_for_leader_epoch_request *in = r->in;
	struct tm_kafka_offset_for_leader_epoch_response *out = r->out;
	out->topics.items = tm_kafka_offset_for_leader_epoch_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, in->topics.items[i].topic);
		int32_t n = in->topics.items[i].partitions.count;
		out->topics.items[i].topic = in->topics.items[i].topic;
		out->topics.items[i].partitions.items =
		    tm_kafka_offset_for_leader_epoch_response_topics_partitions_new(&r->arena, (size_t)n);
		out->topics.items[i].partitions.count = n;
		for (int32_t k = 0; k < n; k++)
			epoch_answer(topic, &in->topics.items[i].partitions.items[k], &out->topics.items[i].partitions.items[k]);
		tm_topic_unref(topic);
	}
	kafka_reply(r);
}
