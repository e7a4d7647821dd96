/* What a cluster of one broker without users has little to say to: authentication, access rules, tokens, elections, moves of
 * replicas. Each is answered as a Kafka answers that has none of it configured, so that tools which ask go on. */
#include "kafka/kafka_int.h"

enum { LOG_DIR_NOT_FOUND = 57, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, ELECTION_NOT_NEEDED = 84, NO_REASSIGNMENT_IN_PROGRESS = 85 };

/* ---- authentication: the port is plain text, everybody is in already ---- */

void kafka_sasl_handshake(struct kafka_request *r)
{
	((struct tm_kafka_sasl_handshake_response *)r->out)->error_code = KAFKA_ILLEGAL_SASL_STATE;
	kafka_reply(r);
}

void kafka_sasl_authenticate(struct kafka_request *r)
{
	struct tm_kafka_sasl_authenticate_response *out = r->out;
	out->error_code = KAFKA_ILLEGAL_SASL_STATE;
	out->error_message = TM_STR("SaslAuthenticate request received after successful authentication");
	kafka_reply(r);
}

/* ---- access rules ---- */

void kafka_describe_acls(struct kafka_request *r)
{
	struct tm_kafka_describe_acls_response *out = r->out;
	out->error_code = KAFKA_SECURITY_DISABLED;
	out->error_message = TM_STR("No Authorizer is configured on the broker");
	kafka_reply(r);
}

void kafka_create_acls(struct kafka_request *r)
{
	const struct tm_kafka_create_acls_request *in = r->in;
	struct tm_kafka_create_acls_response *out = r->out;
	out->results.items = tm_kafka_create_acls_response_results_new(&r->arena, (size_t)in->creations.count);
	out->results.count = in->creations.count;
	for (int32_t i = 0; i < out->results.count; i++) {
		out->results.items[i].error_code = KAFKA_SECURITY_DISABLED;
		out->results.items[i].error_message = TM_STR("No Authorizer is configured.");
	}
	kafka_reply(r);
}

void kafka_delete_acls(struct kafka_request *r)
{
	const struct tm_kafka_delete_acls_request *in = r->in;
	struct tm_kafka_delete_acls_response *out = r->out;
	out->filter_results.items = tm_kafka_delete_acls_response_filter_results_new(&r->arena, (size_t)in->filters.count);
	out->filter_results.count = in->filters.count;
	for (int32_t i = 0; i < out->filter_results.count; i++) {
		out->filter_results.items[i].error_code = KAFKA_SECURITY_DISABLED;
		out->filter_results.items[i].error_message = TM_STR("No Authorizer is configured.");
	}
	kafka_reply(r);
}

/* ---- delegation tokens ---- */

void kafka_create_delegation_token(struct kafka_request *r)
{
	struct tm_kafka_create_delegation_token_response *out = r->out;
	out->error_code = DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	out->principal_type = out->token_requester_principal_type = TM_STR("User");
	out->principal_name = out->token_requester_principal_name = TM_STR("ANONYMOUS");
	out->issue_timestamp_ms = out->expiry_timestamp_ms = out->max_timestamp_ms = -1;
	kafka_reply(r);
}

void kafka_renew_delegation_token(struct kafka_request *r)
{
	struct tm_kafka_renew_delegation_token_response *out = r->out;
	out->error_code = DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	out->expiry_timestamp_ms = -1;
	kafka_reply(r);
}

void kafka_expire_delegation_token(struct kafka_request *r)
{
	struct tm_kafka_expire_delegation_token_response *out = r->out;
	out->error_code = DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	out->expiry_timestamp_ms = -1;
	kafka_reply(r);
}

void kafka_describe_delegation_token(struct kafka_request *r)
{
	((struct tm_kafka_describe_delegation_token_response *)r->out)->error_code = DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	kafka_reply(r);
}

/* ---- elections: the one broker leads everything ---- */

static void election_answer(struct kafka_request *r, int type, struct tm_str name, int32_t partition,
			    struct tm_kafka_elect_leaders_response_replica_election_results_partition_result *a)
{
	struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, name);
	a->partition_id = partition;
	if (type != 0 && type != 1) {
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = tm_arena_printf(&r->arena, "Unknown election type %d", type);
	} else if (kafka_partition_ok(topic, partition)) {
		a->error_code = ELECTION_NOT_NEEDED;
		a->error_message = TM_STR("Leader election not needed for topic partition.");
	} else {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		a->error_message = topic ? tm_arena_printf(&r->arena, "No such partition as %.*s-%d", TM_STR_ARG(name), partition)
					 : tm_arena_printf(&r->arena, "No such topic as %.*s", TM_STR_ARG(name));
	}
	tm_topic_unref(topic);
}

void kafka_elect_leaders(struct kafka_request *r)
{
	const struct tm_kafka_elect_leaders_request *in = r->in;
	struct tm_kafka_elect_leaders_response *out = r->out;
	int32_t n = in->topic_partitions.count > 0 ? in->topic_partitions.count : 0; /* null = all: none needs one */
	out->error_code = in->election_type != 0 && in->election_type != 1 ? KAFKA_INVALID_REQUEST : KAFKA_NONE;
	out->replica_election_results.items = tm_kafka_elect_leaders_response_replica_election_results_new(&r->arena, (size_t)n);
	out->replica_election_results.count = n;
	for (int32_t i = 0; i < n; i++) {
		int32_t count = in->topic_partitions.items[i].partitions.count;
		struct tm_kafka_elect_leaders_response_replica_election_results *t = &out->replica_election_results.items[i];
		t->topic = in->topic_partitions.items[i].topic;
		t->partition_result.items =
		    tm_kafka_elect_leaders_response_replica_election_results_partition_result_new(&r->arena, (size_t)count);
		t->partition_result.count = count;
		for (int32_t k = 0; k < count; k++)
			election_answer(r, in->election_type, t->topic, in->topic_partitions.items[i].partitions.items[k],
					&t->partition_result.items[k]);
	}
	kafka_reply(r);
}

/* ---- moves of replicas: there is nowhere else ---- */

void kafka_list_partition_reassignments(struct kafka_request *r) { kafka_reply(r); }

static void reassignment_answer(struct kafka_request *r, struct tm_topic *topic, struct tm_str name,
				const struct tm_kafka_alter_partition_reassignments_request_topics_partitions *in,
				struct tm_kafka_alter_partition_reassignments_response_responses_partitions *a)
{
	int32_t node = r->conn->server->options.node_id;
	a->partition_index = in->partition_index;
	if (!topic) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		a->error_message = tm_arena_printf(&r->arena, "Unable to find a topic named %.*s.", TM_STR_ARG(name));
	} else if (!kafka_partition_ok(topic, in->partition_index)) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		a->error_message = tm_arena_printf(&r->arena, "Unable to find partition %.*s:%d.", TM_STR_ARG(name), in->partition_index);
	} else if (in->replicas.count < 0) {
		a->error_code = NO_REASSIGNMENT_IN_PROGRESS;
	} else if (in->replicas.count == 0) {
		a->error_code = KAFKA_INVALID_REPLICA_ASSIGNMENT;
		a->error_message = TM_STR("The manual partition assignment includes an empty replica list.");
	} else {
		for (int32_t i = 0; i < in->replicas.count && !a->error_code; i++) {
			if (in->replicas.items[i] == node)
				continue;
			a->error_code = KAFKA_INVALID_REPLICA_ASSIGNMENT;
			a->error_message = tm_arena_printf(
			    &r->arena, "The manual partition assignment includes broker %d, but no such broker is registered.",
			    in->replicas.items[i]);
		}
	}
}

void kafka_alter_partition_reassignments(struct kafka_request *r)
{
	const struct tm_kafka_alter_partition_reassignments_request *in = r->in;
	struct tm_kafka_alter_partition_reassignments_response *out = r->out;
	out->allow_replication_factor_change = in->allow_replication_factor_change;
	out->responses.items = tm_kafka_alter_partition_reassignments_response_responses_new(&r->arena, (size_t)in->topics.count);
	out->responses.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, in->topics.items[i].name);
		int32_t n = in->topics.items[i].partitions.count;
		out->responses.items[i].name = in->topics.items[i].name;
		out->responses.items[i].partitions.items =
		    tm_kafka_alter_partition_reassignments_response_responses_partitions_new(&r->arena, (size_t)n);
		out->responses.items[i].partitions.count = n;
		for (int32_t k = 0; k < n; k++)
			reassignment_answer(r, topic, in->topics.items[i].name, &in->topics.items[i].partitions.items[k],
					    &out->responses.items[i].partitions.items[k]);
		tm_topic_unref(topic);
	}
	kafka_reply(r);
}

void kafka_alter_replica_log_dirs(struct kafka_request *r)
{
	const struct tm_kafka_alter_replica_log_dirs_request *in = r->in;
	struct tm_kafka_alter_replica_log_dirs_response *out = r->out;
	size_t topics = 0;
	for (int32_t i = 0; i < in->dirs.count; i++)
		topics += (size_t)in->dirs.items[i].topics.count;
	out->results.items = tm_kafka_alter_replica_log_dirs_response_results_new(&r->arena, topics);
	for (int32_t i = 0; i < in->dirs.count; i++) {
		bool here = r->conn->server->log_dir && tm_str_is(in->dirs.items[i].path, r->conn->server->log_dir);
		for (int32_t k = 0; k < in->dirs.items[i].topics.count; k++) {
			const struct tm_kafka_alter_replica_log_dirs_request_dirs_topics *t = &in->dirs.items[i].topics.items[k];
			struct tm_kafka_alter_replica_log_dirs_response_results *a = &out->results.items[out->results.count++];
			a->topic_name = t->name;
			a->partitions.items =
			    tm_kafka_alter_replica_log_dirs_response_results_partitions_new(&r->arena, (size_t)t->partitions.count);
			a->partitions.count = t->partitions.count;
			for (int32_t p = 0; p < t->partitions.count; p++) {
				a->partitions.items[p].partition_index = t->partitions.items[p];
				a->partitions.items[p].error_code = here ? KAFKA_NONE : LOG_DIR_NOT_FOUND;
			}
		}
	}
	kafka_reply(r);
}
