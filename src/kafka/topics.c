/* Making, growing, cutting and deleting topics. */
#include <stdlib.h>
#include "kafka/kafka_int.h"
#include "log/config.h"

enum { MAX_PARTITIONS_PER_REQUEST = 10000 };

static bool zero_id(const struct tm_kafka_uuid *id)
{
	static const struct tm_kafka_uuid zero;
	return memcmp(id, &zero, sizeof zero) == 0;
}

/* How often a name stands in a list, where the list is not absurdly long. */
#define TIMES_NAMED(list, i, ret_times, ret_first)                                                                                         \
	do {                                                                                                                               \
		(ret_times) = 0;                                                                                                           \
		(ret_first) = true;                                                                                                        \
		for (int32_t k_ = 0; k_ < (list).count && k_ < 500; k_++) {                                                                \
			if (!tm_str_eq((list).items[k_].name, (list).items[i].name))                                                       \
				continue;                                                                                                  \
			(ret_times)++;                                                                                                     \
			(ret_first) = (ret_first) && k_ >= (i);                                                                            \
		}                                                                                                                          \
	} while (0)

/* ---- create ---- */

typedef struct tm_kafka_create_topics_request_topics new_topic;
typedef struct tm_kafka_create_topics_response_topics new_topic_answer;

static void refuse(new_topic_answer *a, int error, struct tm_str why)
{
	a->error_code = (int16_t)error;
	a->error_message = why;
	a->configs.count = 0;
}

static void brokers_check(struct kafka_request *r, const int32_t *ids, int32_t count, struct tm_str *ret_why)
{
	int32_t node = r->conn->server->options.node_id;
	if (count == 0) {
		*ret_why = TM_STR("The manual partition assignment includes an empty replica list.");
		return;
	}
	for (int32_t i = 0; i < count && !ret_why->at; i++) {
		if (ids[i] != node)
			*ret_why = tm_arena_printf(
			    &r->arena, "The manual partition assignment includes broker %d, but no such broker is registered.", ids[i]);
		else if (i > 0)
			*ret_why =
			    tm_arena_printf(&r->arena, "The manual partition assignment includes the broker %d more than once.", ids[i]);
	}
}

static bool assignments_check(struct kafka_request *r, const new_topic *t, new_topic_answer *a)
{
	if (t->replication_factor != -1) {
		refuse(a, KAFKA_INVALID_REQUEST,
		       TM_STR("A manual partition assignment was specified, but replication factor was not set to -1."));
		return false;
	}
	if (t->num_partitions != -1) {
		refuse(a, KAFKA_INVALID_REQUEST,
		       TM_STR("A manual partition assignment was specified, but numPartitions was not set to -1."));
		return false;
	}
	int32_t n = t->assignments.count;
	bool *seen = TM_NEW_N(&r->arena, bool, (size_t)n);
	struct tm_str why = {0};
	for (int32_t i = 0; i < n && !why.at; i++) {
		int32_t p = t->assignments.items[i].partition_index;
		if (p >= 0 && p < n && seen[p])
			why = tm_arena_printf(&r->arena, "Found multiple manual partition assignments for partition %d", p);
		else if (p >= 0 && p < n)
			seen[p] = true;
		if (!why.at)
			brokers_check(r, t->assignments.items[i].broker_ids.items, t->assignments.items[i].broker_ids.count, &why);
	}
	for (int32_t i = 0; i < n && !why.at; i++)
		if (!seen[i])
			why = TM_STR("partitions should be a consecutive 0-based integer sequence");
	if (why.at)
		refuse(a, KAFKA_INVALID_REPLICA_ASSIGNMENT, why);
	return !why.at;
}

static bool counts_check(struct kafka_request *r, const new_topic *t, new_topic_answer *a)
{
	if (t->num_partitions != -1 && t->num_partitions <= 0)
		refuse(a, KAFKA_INVALID_PARTITIONS, TM_STR("Number of partitions was set to an invalid non-positive value."));
	else if (t->num_partitions > MAX_PARTITIONS_PER_REQUEST)
		refuse(a, KAFKA_POLICY_VIOLATION, TM_STR("Excessively large number of partitions per request."));
	else if (t->replication_factor != -1 && t->replication_factor <= 0)
		refuse(a, KAFKA_INVALID_REPLICATION_FACTOR,
		       TM_STR("Replication factor must be larger than 0, or -1 to use the default value."));
	else if (t->replication_factor > 1)
		refuse(a, KAFKA_INVALID_REPLICATION_FACTOR,
		       tm_arena_printf(&r->arena,
				       "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be "
				       "reached because only 1 "
				       "broker(s) are registered or some brokers have all their log directories cordoned.",
				       t->replication_factor, t->replication_factor));
	return !a->error_code;
}

static bool name_check(struct kafka_request *r, const new_topic *t, new_topic_answer *a)
{
	struct tm_err err = {0};
	struct tm_topic *there = tm_log_topic_find(r->conn->server->log, t->name);
	tm_topic_unref(there);
	if (there)
		refuse(a, KAFKA_TOPIC_ALREADY_EXISTS, tm_arena_printf(&r->arena, "Topic '%.*s' already exists.", TM_STR_ARG(t->name)));
	else if (tm_str_is(t->name, "__cluster_metadata"))
		refuse(a, KAFKA_INVALID_REQUEST, TM_STR("Creation of internal topic __cluster_metadata is prohibited."));
	else if (tm_log_topic_check_name(t->name, &err) != TM_OK)
		refuse(a, KAFKA_INVALID_TOPIC, tm_arena_str(&r->arena, tm_str_of(err.what)));
	if (a->error_code)
		return false;
	/* '.' and '_' are the same in the names of metrics, so that Kafka lets only one of two such names be. */
	struct tm_topic **all;
	size_t n = tm_log_topics(r->conn->server->log, &all);
	for (size_t i = 0; i < n; i++) {
		struct tm_str other = tm_topic_name(all[i]);
		bool same = other.len == t->name.len;
		for (size_t k = 0; same && k < other.len; k++)
			same = (other.at[k] == '.' ? '_' : other.at[k]) == (t->name.at[k] == '.' ? '_' : t->name.at[k]);
		if (same && !a->error_code)
			refuse(a, KAFKA_INVALID_TOPIC,
			       tm_arena_printf(&r->arena, "Topic '%.*s' collides with existing topic: %.*s", TM_STR_ARG(t->name),
					       TM_STR_ARG(other)));
		tm_topic_unref(all[i]);
	}
	free(all);
	return !a->error_code;
}

/* The last value of a name counts, as in the map that Kafka reads them into. */
static bool configs_check(struct kafka_request *r, const new_topic *t, new_topic_answer *a, struct tm_log_config **ret, size_t *ret_count)
{
	struct tm_log_config *list = TM_NEW_N(&r->arena, struct tm_log_config, (size_t)t->configs.count + 1);
	size_t n = 0;
	for (int32_t i = 0; i < t->configs.count; i++) {
		struct tm_str name = t->configs.items[i].name, value = tm_str_trim(t->configs.items[i].value);
		struct tm_err err = {0};
		if (!t->configs.items[i].value.at) {
			refuse(a, KAFKA_INVALID_CONFIG,
			       tm_arena_printf(&r->arena, "Null value not supported for topic configs: %.*s", TM_STR_ARG(name)));
			return false;
		}
		if (tm_config_check(name, value, &err) != TM_OK) {
			refuse(a, err.code ? err.code : KAFKA_INVALID_CONFIG, tm_arena_str(&r->arena, tm_str_of(err.what)));
			return false;
		}
		size_t at = 0;
		while (at < n && !tm_str_eq(list[at].name, name))
			at++;
		list[at] = (struct tm_log_config){name, t->configs.items[i].value}; /* as it was given, as Kafka keeps it */
		n += at == n;
	}
	*ret = list;
	*ret_count = n;
	return true;
}

static void configs_answer(struct kafka_request *r, const struct tm_log_config *set, size_t set_count, new_topic_answer *a)
{
	static const struct {
		const char *name, *value;
	} all[] = {
#define TM_CONFIG(name, type, value, least, most, words, synonym) {name, value},
#include "log/config.def"
#undef TM_CONFIG
	};
	enum { DYNAMIC_TOPIC = 1, DEFAULT = 5 };
	size_t n = sizeof all / sizeof *all;
	a->configs.items = tm_kafka_create_topics_response_topics_configs_new(&r->arena, n);
	a->configs.count = (int32_t)n;
	for (size_t i = 0; i < n; i++) {
		struct tm_kafka_create_topics_response_topics_configs *c = &a->configs.items[i];
		c->name = tm_str_of(all[i].name);
		c->value = tm_str_of(all[i].value);
		c->config_source = tm_str_is(c->name, "min.insync.replicas") ? 3 : DEFAULT;
		for (size_t k = 0; k < set_count; k++) {
			if (!tm_str_eq(set[k].name, c->name))
				continue;
			c->value = set[k].value;
			c->config_source = DYNAMIC_TOPIC;
		}
	}
}

static void topic_create(struct kafka_request *r, const new_topic *t, new_topic_answer *a)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_create_topics_request *in = r->in;
	struct tm_log_config *configs;
	size_t config_count;
	if (!name_check(r, t, a) || !configs_check(r, t, a, &configs, &config_count))
		return;
	if (t->assignments.count > 0 ? !assignments_check(r, t, a) : !counts_check(r, t, a))
		return;
	int32_t partitions = t->assignments.count > 0  ? t->assignments.count
			     : t->num_partitions == -1 ? s->options.default_partitions
						       : t->num_partitions;
	if (in->validate_only && r->version >= 1) {
		tm_random(s->env, &a->topic_id, sizeof a->topic_id);
	} else {
		struct tm_topic *topic = NULL;
		struct tm_err err = {0};
		tm_rc rc = tm_log_topic_create(s->log, t->name, partitions, configs, config_count, &topic, &err);
		if (rc != TM_OK) {
			refuse(a, kafka_code(rc, &err), tm_arena_str(&r->arena, tm_str_of(err.what)));
			return;
		}
		a->topic_id = kafka_topic_id(topic);
		tm_topic_unref(topic);
	}
	a->num_partitions = partitions;
	a->replication_factor = 1;
	configs_answer(r, configs, config_count, a);
}

void kafka_create_topics(struct kafka_request *r)
{
	const struct tm_kafka_create_topics_request *in = r->in;
	struct tm_kafka_create_topics_response *out = r->out;
	out->topics.items = tm_kafka_create_topics_response_topics_new(&r->arena, (size_t)in->topics.count);
	for (int pass = 0; pass < 2; pass++) {
		/* Topics that are named twice are refused, behind the others. */
		for (int32_t i = 0; i < in->topics.count; i++) {
			int times;
			bool first;
			TIMES_NAMED(in->topics, i, times, first);
			if (!first || (times > 1) != pass)
				continue;
			new_topic_answer *a = &out->topics.items[out->topics.count++];
			a->name = in->topics.items[i].name;
			a->configs.count = 0;
			if (times > 1)
				refuse(a, KAFKA_INVALID_REQUEST, TM_STR("Duplicate topic name."));
			else
				topic_create(r, &in->topics.items[i], a);
		}
	}
	kafka_reply(r);
}

/* ---- delete ---- */

typedef struct tm_kafka_delete_topics_response_responses delete_answer;

static void topic_delete(struct kafka_request *r, struct tm_str name, delete_answer *a)
{
	struct tm_kafka_server *s = r->conn->server;
	struct tm_err err = {0};
	struct tm_topic *topic = tm_log_topic_find(s->log, name);
	a->name = name;
	if (!topic) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		a->error_message = TM_STR("This server does not host this topic-partition.");
		return;
	}
	bool internal = tm_topic_internal(topic);
	tm_topic_unref(topic);
	if (internal) {
		/* The groups and transactions that live in it would be lost while their coordinator goes on. */
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = TM_STR("An internal topic cannot be deleted.");
		return;
	}
	tm_rc rc = tm_log_topic_delete(s->log, name, &err);
	a->error_code = kafka_code(rc, &err);
	if (rc != TM_OK)
		a->error_message = tm_arena_str(&r->arena, tm_str_of(err.what));
	else
		tm_groups_topic_deleted(s->groups, name, kafka_now_ms(s));
}

static void topic_delete_6(struct kafka_request *r, const struct tm_kafka_delete_topics_request_topics *t, delete_answer *a)
{
	bool by_id = !zero_id(&t->topic_id);
	a->name = t->name;
	a->topic_id = t->topic_id;
	if (!t->name.at && !by_id) {
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = TM_STR("Neither topic name nor id were specified.");
	} else if (t->name.at && by_id) {
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = TM_STR("You may not specify both topic name and topic id.");
	} else if (t->name.at) {
		topic_delete(r, t->name, a);
	} else {
		struct tm_topic *topic = tm_log_topic_find_id(r->conn->server->log, t->topic_id.bytes);
		if (topic) {
			topic_delete(r, tm_arena_str(&r->arena, tm_topic_name(topic)), a);
		} else {
			a->error_code = KAFKA_UNKNOWN_TOPIC_ID;
			a->error_message = TM_STR("This server does not host this topic ID.");
		}
		tm_topic_unref(topic);
	}
}

void kafka_delete_topics(struct kafka_request *r)
{
	const struct tm_kafka_delete_topics_request *in = r->in;
	struct tm_kafka_delete_topics_response *out = r->out;
	int32_t n = r->version >= 6 ? in->topics.count : in->topic_names.count;
	out->responses.items = tm_kafka_delete_topics_response_responses_new(&r->arena, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		if (r->version < 6) {
			topic_delete(r, in->topic_names.items[i], &out->responses.items[out->responses.count++]);
			continue;
		}
		int times = 1;
		bool first = true;
		if (in->topics.items[i].name.at)
			TIMES_NAMED(in->topics, i, times, first);
		if (!first)
			continue;
		delete_answer *a = &out->responses.items[out->responses.count++];
		if (times == 1) {
			topic_delete_6(r, &in->topics.items[i], a);
			continue;
		}
		a->name = in->topics.items[i].name;
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = TM_STR("Duplicate topic name.");
	}
	kafka_reply(r);
}

/* ---- grow and cut ---- */

static void partitions_create(struct kafka_request *r, const struct tm_kafka_create_partitions_request_topics *t,
			      struct tm_kafka_create_partitions_response_results *a)
{
	struct tm_kafka_server *s = r->conn->server;
	struct tm_topic *topic = tm_log_topic_find(s->log, t->name);
	struct tm_err err = {0};
	if (!topic) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		return;
	}
	int32_t now = tm_topic_partitions(topic);
	tm_topic_unref(topic);
	struct tm_str why = {0};
	if (t->count == now) {
		a->error_code = KAFKA_INVALID_PARTITIONS;
		a->error_message = tm_arena_printf(&r->arena, "Topic already has %d partition(s).", now);
	} else if (t->count < now) {
		a->error_code = KAFKA_INVALID_PARTITIONS;
		a->error_message = tm_arena_printf(&r->arena, "The topic %.*s currently has %d partition(s); %d would not be an increase.",
						   TM_STR_ARG(t->name), now, t->count);
	} else if (t->assignments.count >= 0 && t->assignments.count != t->count - now) {
		a->error_code = KAFKA_INVALID_REPLICA_ASSIGNMENT;
		a->error_message =
		    tm_arena_printf(&r->arena, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
				    t->count - now, t->assignments.count);
	} else {
		for (int32_t i = 0; i < t->assignments.count && !why.at; i++)
			brokers_check(r, t->assignments.items[i].broker_ids.items, t->assignments.items[i].broker_ids.count, &why);
		a->error_code = why.at ? KAFKA_INVALID_REPLICA_ASSIGNMENT : 0;
		a->error_message = why;
	}
	if (a->error_code || ((const struct tm_kafka_create_partitions_request *)r->in)->validate_only)
		return;
	tm_rc rc = tm_log_topic_add_partitions(s->log, t->name, t->count, &err);
	a->error_code = kafka_code(rc, &err);
	if (rc != TM_OK)
		a->error_message = tm_arena_str(&r->arena, tm_str_of(err.what));
}

void kafka_create_partitions(struct kafka_request *r)
{
	const struct tm_kafka_create_partitions_request *in = r->in;
	struct tm_kafka_create_partitions_response *out = r->out;
	out->results.items = tm_kafka_create_partitions_response_results_new(&r->arena, (size_t)in->topics.count);
	for (int32_t i = 0; i < in->topics.count; i++) {
		int times;
		bool first;
		TIMES_NAMED(in->topics, i, times, first);
		if (!first)
			continue;
		struct tm_kafka_create_partitions_response_results *a = &out->results.items[out->results.count++];
		a->name = in->topics.items[i].name;
		if (times == 1) {
			partitions_create(r, &in->topics.items[i], a);
			continue;
		}
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = TM_STR("Duplicate topic name.");
	}
	kafka_reply(r);
}

static bool only_compacted(const struct tm_topic *topic, struct tm_arena *arena)
{
	bool is_default;
	struct tm_str policy = tm_topic_config(topic, "cleanup.policy", &is_default, arena);
	return tm_str_find(policy, TM_STR("delete"), 0) == SIZE_MAX;
}

void kafka_delete_records(struct kafka_request *r)
{
	const struct tm_kafka_delete_records_request *in = r->in;
	struct tm_kafka_delete_records_response *out = r->out;
	out->topics.items = tm_kafka_delete_records_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_delete_records_request_topics *t = &in->topics.items[i];
		struct tm_kafka_delete_records_response_topics *a = &out->topics.items[i];
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, t->name);
		a->name = t->name;
		a->partitions.items = tm_kafka_delete_records_response_topics_partitions_new(&r->arena, (size_t)t->partitions.count);
		a->partitions.count = t->partitions.count;
		for (int32_t k = 0; k < t->partitions.count; k++) {
			struct tm_kafka_delete_records_response_topics_partitions *p = &a->partitions.items[k];
			struct tm_err err = {0};
			int64_t offset = t->partitions.items[k].offset, start = -1;
			struct tm_log_offsets o;
			p->partition_index = t->partitions.items[k].partition_index;
			p->low_watermark = -1;
			if (!kafka_partition_ok(topic, p->partition_index)) {
				p->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
				continue;
			}
			if (only_compacted(topic, &r->arena) || tm_topic_internal(topic)) {
				p->error_code = KAFKA_POLICY_VIOLATION;
				continue;
			}
			tm_rc rc = tm_log_offsets(topic, p->partition_index, &o, &err);
			if (rc == TM_OK && offset == -1)
				offset = o.high_watermark;
			if (rc == TM_OK && (offset < 0 || offset > o.high_watermark)) {
				p->error_code = KAFKA_OFFSET_OUT_OF_RANGE;
				continue;
			}
			if (rc == TM_OK)
				rc = tm_log_delete_records(topic, p->partition_index, offset, &start, &err);
			p->error_code = kafka_code(rc, &err);
			if (rc == TM_OK)
				p->low_watermark = start;
		}
		tm_topic_unref(topic);
	}
	kafka_reply(r);
}
