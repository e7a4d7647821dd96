/* Which APIs are served, at which versions; and what every handler needs. */
#include "kafka/kafka_int.h"

/* Sorted by key. Versions start as low as the protocol's own history where the old ones cost nothing: old clients pick the
 * highest that both know, and some infer the broker's age from the list as a whole. */
const struct kafka_handler kafka_handlers[] = {
    {TM_KAFKA_PRODUCE, 0, 13, kafka_produce},
    {TM_KAFKA_FETCH, 0, 18, kafka_fetch},
    {TM_KAFKA_LIST_OFFSETS, 0, 11, kafka_list_offsets},
    {TM_KAFKA_METADATA, 0, 13, kafka_metadata},
    {TM_KAFKA_OFFSET_COMMIT, 0, 10, kafka_offset_commit},
    {TM_KAFKA_OFFSET_FETCH, 0, 10, kafka_offset_fetch},
    {TM_KAFKA_FIND_COORDINATOR, 0, 6, kafka_find_coordinator},
    {TM_KAFKA_JOIN_GROUP, 0, 9, kafka_join_group},
    {TM_KAFKA_HEARTBEAT, 0, 4, kafka_heartbeat},
    {TM_KAFKA_LEAVE_GROUP, 0, 5, kafka_leave_group},
    {TM_KAFKA_SYNC_GROUP, 0, 5, kafka_sync_group},
    {TM_KAFKA_DESCRIBE_GROUPS, 0, 6, kafka_describe_groups},
    {TM_KAFKA_LIST_GROUPS, 0, 5, kafka_list_groups},
    {TM_KAFKA_SASL_HANDSHAKE, 0, 1, kafka_sasl_handshake},
    {TM_KAFKA_API_VERSIONS, 0, 4, kafka_api_versions},
    {TM_KAFKA_CREATE_TOPICS, 0, 7, kafka_create_topics},
    {TM_KAFKA_DELETE_TOPICS, 0, 6, kafka_delete_topics},
    {TM_KAFKA_DELETE_RECORDS, 0, 2, kafka_delete_records},
    {TM_KAFKA_INIT_PRODUCER_ID, 0, 5, kafka_init_producer_id},
    {TM_KAFKA_OFFSET_FOR_LEADER_EPOCH, 0, 4, kafka_offset_for_leader_epoch},
    {TM_KAFKA_ADD_PARTITIONS_TO_TXN, 0, 5, kafka_add_partitions_to_txn},
    {TM_KAFKA_ADD_OFFSETS_TO_TXN, 0, 4, kafka_add_offsets_to_txn},
    {TM_KAFKA_END_TXN, 0, 5, kafka_end_txn},
    {TM_KAFKA_TXN_OFFSET_COMMIT, 0, 5, kafka_txn_offset_commit},
    {TM_KAFKA_DESCRIBE_ACLS, 0, 3, kafka_describe_acls},
    {TM_KAFKA_CREATE_ACLS, 0, 3, kafka_create_acls},
    {TM_KAFKA_DELETE_ACLS, 0, 3, kafka_delete_acls},
    {TM_KAFKA_DESCRIBE_CONFIGS, 0, 4, kafka_describe_configs},
    {TM_KAFKA_ALTER_CONFIGS, 0, 2, kafka_alter_configs},
    {TM_KAFKA_ALTER_REPLICA_LOG_DIRS, 0, 2, kafka_alter_replica_log_dirs},
    {TM_KAFKA_DESCRIBE_LOG_DIRS, 0, 5, kafka_describe_log_dirs},
    {TM_KAFKA_SASL_AUTHENTICATE, 0, 2, kafka_sasl_authenticate},
    {TM_KAFKA_CREATE_PARTITIONS, 0, 3, kafka_create_partitions},
    {TM_KAFKA_CREATE_DELEGATION_TOKEN, 0, 3, kafka_create_delegation_token},
    {TM_KAFKA_RENEW_DELEGATION_TOKEN, 0, 2, kafka_renew_delegation_token},
    {TM_KAFKA_EXPIRE_DELEGATION_TOKEN, 0, 2, kafka_expire_delegation_token},
    {TM_KAFKA_DESCRIBE_DELEGATION_TOKEN, 0, 3, kafka_describe_delegation_token},
    {TM_KAFKA_DELETE_GROUPS, 0, 2, kafka_delete_groups},
    {TM_KAFKA_ELECT_LEADERS, 0, 2, kafka_elect_leaders},
    {TM_KAFKA_INCREMENTAL_ALTER_CONFIGS, 0, 1, kafka_incremental_alter_configs},
    {TM_KAFKA_ALTER_PARTITION_REASSIGNMENTS, 0, 1, kafka_alter_partition_reassignments},
    {TM_KAFKA_LIST_PARTITION_REASSIGNMENTS, 0, 0, kafka_list_partition_reassignments},
    {TM_KAFKA_OFFSET_DELETE, 0, 0, kafka_offset_delete},
    {TM_KAFKA_DESCRIBE_CLUSTER, 0, 2, kafka_describe_cluster},
    {TM_KAFKA_DESCRIBE_PRODUCERS, 0, 0, kafka_describe_producers},
    {TM_KAFKA_DESCRIBE_TRANSACTIONS, 0, 0, kafka_describe_transactions},
    {TM_KAFKA_LIST_TRANSACTIONS, 0, 2, kafka_list_transactions},
    {TM_KAFKA_LIST_CONFIG_RESOURCES, 0, 1, kafka_list_config_resources},
    {TM_KAFKA_DESCRIBE_TOPIC_PARTITIONS, 0, 0, kafka_describe_topic_partitions},
};
const size_t kafka_handler_count = sizeof kafka_handlers / sizeof *kafka_handlers;

const struct kafka_handler *kafka_handler_find(int16_t key)
{
	for (size_t i = 0; i < kafka_handler_count; i++)
		if (kafka_handlers[i].key == key)
			return &kafka_handlers[i];
	return NULL;
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool software_ok(struct tm_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && ((c != '-' && c != '.') || i == 0 || i + 1 == s.len))
			return false;
	}
	return s.len > 0;
}

void kafka_api_versions(struct kafka_request *r)
{
	const struct tm_kafka_api_versions_request *in = r->in;
	struct tm_kafka_api_versions_response *out = r->out;
	if (!in) {
		/* A version that is not known: which ones are, in the oldest form. */
		const struct kafka_handler *h = kafka_handler_find(TM_KAFKA_API_VERSIONS);
		out->error_code = KAFKA_UNSUPPORTED_VERSION;
		out->api_keys.items = tm_kafka_api_versions_response_api_keys_new(&r->arena, 1);
		out->api_keys.count = 1;
		out->api_keys.items[0].api_key = h->key;
		out->api_keys.items[0].min_version = h->min;
		out->api_keys.items[0].max_version = h->max;
		kafka_reply(r);
		return;
	}
	if (r->version >= 3) {
		if (!software_ok(in->client_software_name) || !software_ok(in->client_software_version)) {
			out->error_code = KAFKA_INVALID_REQUEST;
			kafka_reply(r);
			return;
		}
		kafka_conn_name(
		    r->conn, r->conn->info.software, sizeof r->conn->info.software,
		    tm_arena_printf(&r->arena, "%.*s %.*s", TM_STR_ARG(in->client_software_name), TM_STR_ARG(in->client_software_version)));
	}
	out->api_keys.items = tm_kafka_api_versions_response_api_keys_new(&r->arena, kafka_handler_count);
	out->api_keys.count = (int32_t)kafka_handler_count;
	for (size_t i = 0; i < kafka_handler_count; i++) {
		out->api_keys.items[i].api_key = kafka_handlers[i].key;
		out->api_keys.items[i].min_version = kafka_handlers[i].min;
		out->api_keys.items[i].max_version = kafka_handlers[i].max;
	}
	kafka_reply(r);
}

struct tm_topic *kafka_topic(struct tm_kafka_server *s, struct tm_str name, const struct tm_kafka_uuid *id, bool by_id)
{
	return by_id ? tm_log_topic_find_id(s->log, id->bytes) : tm_log_topic_find(s->log, name);
}

bool kafka_partition_ok(const struct tm_topic *t, int32_t partition) { return t && partition >= 0 && partition < tm_topic_partitions(t); }

struct tm_kafka_uuid kafka_topic_id(const struct tm_topic *t)
{
	struct tm_kafka_uuid id;
	memcpy(id.bytes, tm_topic_id(t), sizeof id.bytes);
	return id;
}

int16_t kafka_code(tm_rc rc, const struct tm_err *err)
{
	if (rc == TM_OK)
		return KAFKA_NONE;
	return (int16_t)(err && err->code ? err->code : tm_rc_kafka(rc));
}
