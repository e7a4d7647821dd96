/* Metadata and the cluster: one broker, which leads every partition. */
#include "kafka/kafka_int.h"
#include <stdlib.h>

/* 16 bytes in Kafka's URL-safe base64, as cluster ids are. */
enum { ALL_CLUSTER_OPERATIONS = 8096, ALL_TOPIC_OPERATIONS = 3576 }; /* as sets of bits: nothing is forbidden to anybody */
#define CLUSTER_ID TM_STR("dGlkZW1pbGwtbG9jYWwtMQ")

static void partitions_answer(struct kafka_request *r, const struct tm_topic *topic, struct tm_kafka_metadata_response_topics *a)
{
	int32_t n = tm_topic_partitions(topic), *node = TM_NEW(&r->arena, int32_t);
	*node = r->conn->server->options.node_id;
	a->partitions.items = tm_kafka_metadata_response_topics_partitions_new(&r->arena, (size_t)n);
	a->partitions.count = n;
	for (int32_t i = 0; i < n; i++) {
		struct tm_kafka_metadata_response_topics_partitions *p = &a->partitions.items[i];
		p->partition_index = i;
		p->leader_id = *node;
		p->leader_epoch = 0;
		p->replica_nodes.items = p->isr_nodes.items = node;
		p->replica_nodes.count = p->isr_nodes.count = 1;
	}
}

static void topic_answer(struct kafka_request *r, const struct tm_topic *topic, struct tm_kafka_metadata_response_topics *a)
{
	const struct tm_kafka_metadata_request *in = r->in;
	a->name = tm_arena_str(&r->arena, tm_topic_name(topic));
	a->topic_id = kafka_topic_id(topic);
	a->is_internal = tm_topic_internal(topic);
	if (in->include_topic_authorized_operations)
		a->topic_authorized_operations = ALL_TOPIC_OPERATIONS;
	partitions_answer(r, topic, a);
}

/* A topic that is not there: made where the client and the configuration allow it. */
static struct tm_topic *topic_auto_create(struct kafka_request *r, struct tm_str name, int16_t *ret_error)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_metadata_request *in = r->in;
	struct tm_topic *topic = NULL;
	struct tm_err err = {0};
	tm_rc rc = tm_log_topic_check_name(name, &err);
	if (rc != TM_OK) {
		*ret_error = KAFKA_INVALID_TOPIC;
		return NULL;
	}
	*ret_error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (s->options.auto_create_off || (r->version >= 4 && !in->allow_auto_topic_creation))
		return NULL;
	/* The coordinators' topics are made as they need them, whoever asks first. */
	bool internal = tm_str_is(name, TM_GROUP_TOPIC) || tm_str_is(name, TM_TRANSACTION_TOPIC);
	rc = internal ? kafka_internal_topic(s, tm_str_is(name, TM_GROUP_TOPIC) ? TM_GROUP_TOPIC : TM_TRANSACTION_TOPIC, &topic, &err)
		      : tm_log_topic_create(s->log, name, s->options.default_partitions, NULL, 0, &topic, &err);
	if (rc == TM_EXISTS)
		return tm_log_topic_find(s->log, name);
	if (rc != TM_OK) {
		tm_say_err("kafka", &err);
		*ret_error = kafka_code(rc, &err);
		return NULL;
	}
	tm_say(TM_SAY_INFO, "kafka", "topic %.*s made for %s", TM_STR_ARG(name),
	       r->conn->info.client_id[0] ? r->conn->info.client_id : r->conn->info.peer);
	return topic;
}

static bool is_zero(const struct tm_kafka_uuid *id)
{
	static const struct tm_kafka_uuid zero;
	return memcmp(id, &zero, sizeof zero) == 0;
}

static void topic_named(struct kafka_request *r, const struct tm_kafka_metadata_request_topics *want,
			struct tm_kafka_metadata_response_topics *a)
{
	struct tm_kafka_server *s = r->conn->server;
	bool by_id = r->version >= 10 && !is_zero(&want->topic_id);
	struct tm_topic *topic = by_id           ? tm_log_topic_find_id(s->log, want->topic_id.bytes)
				 : want->name.at ? tm_log_topic_find(s->log, want->name)
						 : NULL;
	int16_t error = by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	if (!topic && !by_id && want->name.at)
		topic = topic_auto_create(r, want->name, &error);
	if (topic) {
		topic_answer(r, topic, a);
		tm_topic_unref(topic);
		return;
	}
	a->error_code = error;
	a->name = by_id ? (struct tm_str){0} : want->name;
	a->topic_id = want->topic_id;
}

static void broker_answer(struct kafka_request *r, struct tm_kafka_metadata_response *out)
{
	out->brokers.items = tm_kafka_metadata_response_brokers_new(&r->arena, 1);
	out->brokers.count = 1;
	out->brokers.items[0].node_id = r->conn->server->options.node_id;
	out->brokers.items[0].host = tm_str_of(r->conn->host);
	out->brokers.items[0].port = r->conn->port;
	out->cluster_id = CLUSTER_ID;
	out->controller_id = r->conn->server->options.node_id;
}

/* Topics that are there come first, each part in the order of the request. */
static void unknown_last(struct kafka_request *r, struct tm_kafka_metadata_response *out)
{
	struct tm_kafka_metadata_response_topics *sorted = tm_kafka_metadata_response_topics_new(&r->arena, (size_t)out->topics.count);
	int32_t n = 0;
	for (int pass = 0; pass < 2; pass++)
		for (int32_t i = 0; i < out->topics.count; i++)
			if ((out->topics.items[i].error_code != 0) == pass)
				sorted[n++] = out->topics.items[i];
	out->topics.items = sorted;
}

static void metadata_refuse(struct kafka_request *r, int error)
{
	const struct tm_kafka_metadata_request *in = r->in;
	struct tm_kafka_metadata_response *out = tm_kafka_metadata_response_new(&r->arena, 1);
	r->out = out;
	out->topics.items = tm_kafka_metadata_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		out->topics.items[i].name = in->topics.items[i].name.at ? in->topics.items[i].name : TM_STR("");
		out->topics.items[i].topic_id = in->topics.items[i].topic_id;
		out->topics.items[i].error_code = (int16_t)error;
	}
	kafka_reply(r);
}

void kafka_metadata(struct kafka_request *r)
{
	const struct tm_kafka_metadata_request *in = r->in;
	struct tm_kafka_metadata_response *out = r->out;
	broker_answer(r, out);
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = ALL_CLUSTER_OPERATIONS;
	if (in->topics.count < 0 || (r->version == 0 && in->topics.count == 0)) {
		struct tm_topic **all;
		size_t n = tm_log_topics(r->conn->server->log, &all);
		out->topics.items = tm_kafka_metadata_response_topics_new(&r->arena, n);
		out->topics.count = (int32_t)n;
		for (size_t i = 0; i < n; i++) {
			topic_answer(r, all[i], &out->topics.items[i]);
			tm_topic_unref(all[i]);
		}
		free(all);
		kafka_reply(r);
		return;
	}
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_metadata_request_topics *t = &in->topics.items[i];
		bool by_id = r->version >= 10 && !is_zero(&t->topic_id);
		/* A client's mistake is answered for the whole request: ids before they were supported, or neither name nor id. */
		if ((by_id && r->version < 12) || (!by_id && !t->name.at)) {
			metadata_refuse(r, by_id ? KAFKA_INVALID_REQUEST : KAFKA_UNKNOWN);
			return;
		}
	}
	out->topics.items = tm_kafka_metadata_response_topics_new(&r->arena, (size_t)in->topics.count);
	for (int32_t i = 0; i < in->topics.count; i++) {
		bool again = false;
		for (int32_t k = i > 1000 ? i - 1000 : 0; k < i && !again; k++)
			again = tm_str_eq(in->topics.items[k].name, in->topics.items[i].name) && in->topics.items[i].name.at;
		if (!again)
			topic_named(r, &in->topics.items[i], &out->topics.items[out->topics.count++]);
	}
	unknown_last(r, out);
	kafka_reply(r);
}

void kafka_describe_cluster(struct kafka_request *r)
{
	const struct tm_kafka_describe_cluster_request *in = r->in;
	struct tm_kafka_describe_cluster_response *out = r->out;
	if (r->version >= 1 && in->endpoint_type != 1) {
		out->error_code = in->endpoint_type == 2 ? KAFKA_MISMATCHED_ENDPOINT_TYPE : 115;
		out->error_message =
		    in->endpoint_type == 2
			? TM_STR("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
			: tm_arena_printf(&r->arena, "Unsupported endpoint type %d", in->endpoint_type);
		kafka_reply(r);
		return;
	}
	out->cluster_id = CLUSTER_ID;
	out->controller_id = r->conn->server->options.node_id;
	out->brokers.items = tm_kafka_describe_cluster_response_brokers_new(&r->arena, 1);
	out->brokers.count = 1;
	out->brokers.items[0].broker_id = r->conn->server->options.node_id;
	out->brokers.items[0].host = tm_str_of(r->conn->host);
	out->brokers.items[0].port = r->conn->port;
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = ALL_CLUSTER_OPERATIONS;
	kafka_reply(r);
}
