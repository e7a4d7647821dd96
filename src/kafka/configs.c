/* Configurations of topics, of the broker and of its loggers: describing and altering. */
#include <stdlib.h>
#include "kafka/kafka_int.h"
#include "log/config.h"

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { SOURCE_TOPIC = 1, SOURCE_BROKER_DEFAULT = 3, SOURCE_DEFAULT = 5 };
enum config_type { TYPE_UNKNOWN, TYPE_BOOL, TYPE_WORD, TYPE_INT, TYPE_SHORT, TYPE_LONG, TYPE_DOUBLE, TYPE_LIST, TYPE_CLASS, TYPE_SECRET };
#define TYPE_TEXT TYPE_WORD
#define MALFORMED                                                                                                                          \
	TM_STR("This most likely occurs because of a request being malformed by the client library or the message was sent to an "         \
	       "incompatible broker. "                                                                                                     \
	       "See the broker logs for more details.")

struct config_row {
	const char *name, *value, *synonym;
	enum config_type type;
};
static const struct config_row topic_configs[] = {
#define TM_CONFIG(name, type, value, least, most, words, synonym) {name, value, synonym, TYPE_##type},
#include "log/config.def"
#undef TM_CONFIG
};
enum { TOPIC_CONFIGS = sizeof topic_configs / sizeof *topic_configs };

/* The order in which Kafka lists them; a client may depend on nothing else either. */
static const char *const topic_order[] = {
    "compression.type",
    "remote.log.delete.on.disable",
    "leader.replication.throttled.replicas",
    "remote.storage.enable",
    "min.insync.replicas",
    "segment.jitter.ms",
    "remote.log.copy.disable",
    "local.retention.ms",
    "cleanup.policy",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "compression.lz4.level",
    "segment.bytes",
    "retention.ms",
    "compression.gzip.level",
    "flush.messages",
    "compression.zstd.level",
    "max.compaction.lag.ms",
    "file.delete.delay.ms",
    "max.message.bytes",
    "min.compaction.lag.ms",
    "message.timestamp.type",
    "local.retention.bytes",
    "preallocate",
    "index.interval.bytes",
    "min.cleanable.dirty.ratio",
    "unclean.leader.election.enable",
    "retention.bytes",
    "delete.retention.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "segment.ms",
    "segment.index.bytes",
};

static const struct {
	const char *name, *value;
	enum config_type type;
	bool read_only;
} broker_configs[] = {
    {"min.insync.replicas", "1", TYPE_INT, false},
    {"message.max.bytes", "1048588", TYPE_INT, false},
    {"socket.request.max.bytes", "104857600", TYPE_INT, true},
    {"connections.max.idle.ms", "600000", TYPE_LONG, true},
    {"log.retention.hours", "168", TYPE_INT, true},
    {"log.segment.bytes", "1073741824", TYPE_INT, false},
    {"group.max.session.timeout.ms", "1800000", TYPE_INT, true},
    {"log.message.timestamp.after.max.ms", "3600000", TYPE_LONG, false},
    {"group.consumer.session.timeout.ms", "45000", TYPE_INT, true},
    {"auto.create.topics.enable", "true", TYPE_BOOL, true},
    {"default.replication.factor", "1", TYPE_INT, true},
    {"num.io.threads", "8", TYPE_INT, false},
    {"delete.topic.enable", "true", TYPE_BOOL, true},
    {"log.retention.ms", NULL, TYPE_LONG, false},
    {"offsets.retention.minutes", "10080", TYPE_INT, true},
    {"num.partitions", "1", TYPE_INT, true},
    {"log.cleanup.policy", "delete", TYPE_LIST, false},
    {"offset.metadata.max.bytes", "4096", TYPE_INT, true},
    {"compression.type", "producer", TYPE_WORD, false},
    {"max.incremental.fetch.session.cache.slots", "1000", TYPE_INT, true},
    {"group.min.session.timeout.ms", "6000", TYPE_INT, true},
    {"transaction.max.timeout.ms", "900000", TYPE_INT, true},
};

static const struct config_row *row_of(struct tm_str name)
{
	for (size_t i = 0; i < TOPIC_CONFIGS; i++)
		if (tm_str_is(name, topic_configs[i].name))
			return &topic_configs[i];
	return NULL;
}

/* ---- describe ---- */

typedef struct tm_kafka_describe_configs_request_resources describe_resource;
typedef struct tm_kafka_describe_configs_response_results describe_result;
typedef struct tm_kafka_describe_configs_response_results_configs described;

static bool wanted(const describe_resource *in, const char *name)
{
	for (int32_t i = 0; i < in->configuration_keys.count; i++)
		if (tm_str_is(in->configuration_keys.items[i], name))
			return true;
	return in->configuration_keys.count <= 0; /* an empty list asks for all, too */
}

static void synonym_add(described *c, const char *name, struct tm_str value, int source)
{
	struct tm_kafka_describe_configs_response_results_configs_synonyms *s = &c->synonyms.items[c->synonyms.count++];
	s->name = tm_str_of(name);
	s->value = value;
	s->source = (int8_t)source;
}

static void topic_config_describe(struct kafka_request *r, const struct tm_topic *topic, const struct config_row *row, described *c)
{
	bool is_default = true, broker_wide = strcmp(row->name, "min.insync.replicas") == 0;
	c->name = tm_str_of(row->name);
	c->value = tm_topic_config(topic, row->name, &is_default, &r->arena);
	int standard = broker_wide ? SOURCE_BROKER_DEFAULT : SOURCE_DEFAULT;
	c->config_source = (int8_t)(is_default ? standard : SOURCE_TOPIC);
	c->is_default = is_default;
	c->config_type = (int8_t)row->type;
	if (!((const struct tm_kafka_describe_configs_request *)r->in)->include_synonyms)
		return;
	c->synonyms.items = tm_kafka_describe_configs_response_results_configs_synonyms_new(&r->arena, 3);
	if (!is_default)
		synonym_add(c, row->name, c->value, SOURCE_TOPIC);
	if (broker_wide)
		synonym_add(c, row->name, tm_str_of(row->value), SOURCE_BROKER_DEFAULT);
	if (row->synonym[0])
		synonym_add(c, row->synonym, tm_str_of(row->value), SOURCE_DEFAULT);
}

static void topic_describe(struct kafka_request *r, const describe_resource *in, describe_result *a)
{
	struct tm_err err = {0};
	struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, in->resource_name);
	if (!topic) {
		bool named = tm_log_topic_check_name(in->resource_name, &err) == TM_OK;
		a->error_code = named ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC;
		a->error_message = named ? TM_STR("") : tm_arena_str(&r->arena, tm_str_of(err.what));
		return;
	}
	a->configs.items = tm_kafka_describe_configs_response_results_configs_new(&r->arena, TOPIC_CONFIGS);
	for (size_t i = 0; i < sizeof topic_order / sizeof *topic_order; i++) {
		const struct config_row *row = row_of(tm_str_of(topic_order[i]));
		if (row && wanted(in, row->name))
			topic_config_describe(r, topic, row, &a->configs.items[a->configs.count++]);
	}
	tm_topic_unref(topic);
}

static void broker_describe(struct kafka_request *r, const describe_resource *in, describe_result *a)
{
	const struct tm_kafka_server *s = r->conn->server;
	int64_t id;
	if (!in->resource_name.len)
		return; /* settings for all brokers at once: there are none */
	if (!tm_str_to_i64(in->resource_name, &id)) {
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message =
		    tm_arena_printf(&r->arena, "Broker id must be an integer, but it is: %.*s", TM_STR_ARG(in->resource_name));
		return;
	}
	if (id != s->options.node_id) {
		a->error_code = KAFKA_INVALID_REQUEST;
		a->error_message = tm_arena_printf(&r->arena, "Unexpected broker id, expected %d or empty string, but received %lld",
						   s->options.node_id, (long long)id);
		return;
	}
	size_t n = sizeof broker_configs / sizeof *broker_configs;
	a->configs.items = tm_kafka_describe_configs_response_results_configs_new(&r->arena, n);
	for (size_t i = 0; i < n; i++) {
		if (!wanted(in, broker_configs[i].name))
			continue;
		described *c = &a->configs.items[a->configs.count++];
		bool dynamic = strcmp(broker_configs[i].name, "min.insync.replicas") == 0;
		c->name = tm_str_of(broker_configs[i].name);
		c->value = tm_str_of(broker_configs[i].value);
		if (tm_str_is(c->name, "num.partitions"))
			c->value = tm_arena_printf(&r->arena, "%d", s->options.default_partitions);
		if (tm_str_is(c->name, "auto.create.topics.enable") && s->options.auto_create_off)
			c->value = TM_STR("false");
		c->read_only = broker_configs[i].read_only;
		c->config_source = dynamic ? SOURCE_BROKER_DEFAULT : SOURCE_DEFAULT;
		c->is_default = true;
		c->config_type = (int8_t)broker_configs[i].type;
		if (!((const struct tm_kafka_describe_configs_request *)r->in)->include_synonyms || !c->value.at)
			continue;
		c->synonyms.items = tm_kafka_describe_configs_response_results_configs_synonyms_new(&r->arena, 2);
		if (dynamic)
			synonym_add(c, broker_configs[i].name, c->value, SOURCE_BROKER_DEFAULT);
		synonym_add(c, broker_configs[i].name, c->value, SOURCE_DEFAULT);
	}
}

void kafka_describe_configs(struct kafka_request *r)
{
	const struct tm_kafka_describe_configs_request *in = r->in;
	struct tm_kafka_describe_configs_response *out = r->out;
	out->results.items = tm_kafka_describe_configs_response_results_new(&r->arena, (size_t)in->resources.count);
	out->results.count = in->resources.count;
	for (int32_t i = 0; i < in->resources.count; i++) {
		describe_result *a = &out->results.items[i];
		a->resource_type = in->resources.items[i].resource_type;
		a->resource_name = in->resources.items[i].resource_name;
		a->error_message = TM_STR("");
		if (a->resource_type == RESOURCE_TOPIC) {
			topic_describe(r, &in->resources.items[i], a);
		} else if (a->resource_type == RESOURCE_BROKER) {
			broker_describe(r, &in->resources.items[i], a);
		} else {
			a->error_code = KAFKA_INVALID_REQUEST;
			a->error_message = MALFORMED;
		}
	}
	kafka_reply(r);
}

/* ---- alter ---- */

struct alteration {
	struct tm_log_config *sets;
	struct tm_str *deletes;
	size_t set_count, delete_count;
	int error;
	struct tm_str why;
};

static void alter_refuse(struct alteration *a, int error, struct tm_str why)
{
	a->error = error;
	a->why = why;
}

static void resource_check(struct kafka_request *r, int type, struct tm_str name, struct alteration *a)
{
	if (type == RESOURCE_BROKER) {
		alter_refuse(a, KAFKA_INVALID_REQUEST, TM_STR("The broker's configuration is set in tidemill.yaml."));
		return;
	}
	if (type != RESOURCE_TOPIC) {
		alter_refuse(a, KAFKA_INVALID_REQUEST, tm_arena_printf(&r->arena, "Unknown resource type %d", type));
		return;
	}
	struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, name);
	if (!topic)
		alter_refuse(a, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
			     tm_arena_printf(&r->arena, "The topic '%.*s' does not exist.", TM_STR_ARG(name)));
	tm_topic_unref(topic);
}

static void config_set(struct kafka_request *r, struct alteration *a, struct tm_str name, struct tm_str value)
{
	struct tm_err err = {0};
	value = tm_str_trim(value);
	if (tm_config_check(name, value, &err) != TM_OK)
		alter_refuse(a, err.code ? err.code : KAFKA_INVALID_CONFIG, tm_arena_str(&r->arena, tm_str_of(err.what)));
	else
		a->sets[a->set_count++] = (struct tm_log_config){name, value};
}

static void alteration_apply(struct kafka_request *r, struct tm_str topic, bool replace_all, bool validate_only, struct alteration *a)
{
	struct tm_err err = {0};
	if (a->error || validate_only)
		return;
	tm_rc rc = tm_log_topic_alter(r->conn->server->log, topic, a->sets, a->set_count, a->deletes, a->delete_count, replace_all, &err);
	if (rc != TM_OK)
		alter_refuse(a, kafka_code(rc, &err), tm_arena_str(&r->arena, tm_str_of(err.what)));
}

void kafka_alter_configs(struct kafka_request *r)
{
	const struct tm_kafka_alter_configs_request *in = r->in;
	struct tm_kafka_alter_configs_response *out = r->out;
	out->responses.items = tm_kafka_alter_configs_response_responses_new(&r->arena, (size_t)in->resources.count);
	out->responses.count = in->resources.count;
	for (int32_t i = 0; i < in->resources.count; i++) {
		const struct tm_kafka_alter_configs_request_resources *res = &in->resources.items[i];
		struct alteration a = {.sets = TM_NEW_N(&r->arena, struct tm_log_config, (size_t)res->configs.count + 1)};
		resource_check(r, res->resource_type, res->resource_name, &a);
		for (int32_t k = 0; k < res->configs.count && !a.error; k++) {
			if (res->configs.items[k].value.at)
				config_set(r, &a, res->configs.items[k].name, res->configs.items[k].value);
			else
				alter_refuse(&a, KAFKA_INVALID_REQUEST,
					     tm_arena_printf(&r->arena, "Null value not supported for : %.*s",
							     TM_STR_ARG(res->configs.items[k].name)));
		}
		alteration_apply(r, res->resource_name, true, in->validate_only, &a);
		out->responses.items[i].error_code = (int16_t)a.error;
		out->responses.items[i].error_message = a.why;
		out->responses.items[i].resource_type = res->resource_type;
		out->responses.items[i].resource_name = res->resource_name;
	}
	kafka_reply(r);
}

/* The list in force with the items of `items` added or taken away. */
static struct tm_str list_change(struct kafka_request *r, struct tm_str topic_name, struct tm_str name, struct tm_str items, bool add)
{
	struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, topic_name);
	bool is_default;
	char *cname = tm_arena_cstr(&r->arena, name);
	struct tm_str now = topic ? tm_topic_config(topic, cname, &is_default, &r->arena) : TM_STR(""), rest, part, other;
	struct tm_buf out = {0};
	tm_topic_unref(topic);
	for (rest = now; tm_str_split(&rest, ',', &part);) {
		bool dropped = !tm_str_trim(part).len;
		for (struct tm_str o = items; !add && !dropped && tm_str_split(&o, ',', &other);)
			dropped = tm_str_eq(tm_str_trim(other), tm_str_trim(part));
		if (dropped)
			continue;
		if (out.len)
			tm_buf_char(&out, ',');
		tm_buf_str_put(&out, tm_str_trim(part));
	}
	for (rest = items; add && tm_str_split(&rest, ',', &part);) {
		bool there = false;
		for (struct tm_str o = now; !there && tm_str_split(&o, ',', &other);)
			there = tm_str_eq(tm_str_trim(other), tm_str_trim(part));
		if (there)
			continue;
		if (out.len)
			tm_buf_char(&out, ',');
		tm_buf_str_put(&out, tm_str_trim(part));
	}
	struct tm_str result = tm_arena_str(&r->arena, tm_buf_str(&out));
	tm_buf_done(&out);
	return result;
}

static void config_change(struct kafka_request *r, const struct tm_kafka_incremental_alter_configs_request_resources *res, int32_t at,
			  struct alteration *a)
{
	enum { SET, DELETE, APPEND, SUBTRACT };
	static const char *const words[] = {"SET", "DELETE", "APPEND", "SUBTRACT"};
	struct tm_str name = res->configs.items[at].name, value = res->configs.items[at].value;
	int operation = res->configs.items[at].config_operation;
	for (int32_t i = 0; i < res->configs.count && i < 500; i++)
		if (i != at && tm_str_eq(res->configs.items[i].name, name)) {
			alter_refuse(a, KAFKA_INVALID_REQUEST, TM_STR("Error due to duplicate config keys"));
			return;
		}
	if (operation < SET || operation > SUBTRACT) {
		alter_refuse(a, KAFKA_UNKNOWN, (struct tm_str){0});
		return;
	}
	if (operation != DELETE && !value.at) {
		alter_refuse(a, KAFKA_INVALID_REQUEST, tm_arena_printf(&r->arena, "Null value not supported for : %.*s", TM_STR_ARG(name)));
		return;
	}
	const struct config_row *row = row_of(name);
	if (operation == DELETE) {
		if (row)
			a->deletes[a->delete_count++] = name;
		else
			alter_refuse(a, KAFKA_INVALID_CONFIG,
				     tm_arena_printf(&r->arena, "Unknown topic config name: %.*s", TM_STR_ARG(name)));
		return;
	}
	if (operation != SET && row && row->type != TYPE_LIST) {
		alter_refuse(a, KAFKA_INVALID_CONFIG,
			     tm_arena_printf(&r->arena, "Can't %s to key %s because its type is not LIST.", words[operation], row->name));
		return;
	}
	config_set(r, a, name, operation == SET ? value : list_change(r, res->resource_name, name, value, operation == APPEND));
}

void kafka_incremental_alter_configs(struct kafka_request *r)
{
	const struct tm_kafka_incremental_alter_configs_request *in = r->in;
	struct tm_kafka_incremental_alter_configs_response *out = r->out;
	out->responses.items = tm_kafka_incremental_alter_configs_response_responses_new(&r->arena, (size_t)in->resources.count);
	out->responses.count = in->resources.count;
	for (int32_t i = 0; i < in->resources.count; i++) {
		const struct tm_kafka_incremental_alter_configs_request_resources *res = &in->resources.items[i];
		struct alteration a = {.sets = TM_NEW_N(&r->arena, struct tm_log_config, (size_t)res->configs.count + 1),
				       .deletes = TM_NEW_N(&r->arena, struct tm_str, (size_t)res->configs.count + 1)};
		resource_check(r, res->resource_type, res->resource_name, &a);
		for (int32_t k = 0; k < res->configs.count && !a.error; k++)
			config_change(r, res, k, &a);
		alteration_apply(r, res->resource_name, false, in->validate_only, &a);
		out->responses.items[i].error_code = (int16_t)a.error;
		out->responses.items[i].error_message = a.why;
		out->responses.items[i].resource_type = res->resource_type;
		out->responses.items[i].resource_name = res->resource_name;
	}
	kafka_reply(r);
}

/* ---- what has configurations ---- */

void kafka_list_config_resources(struct kafka_request *r)
{
	const struct tm_kafka_list_config_resources_request *in = r->in;
	struct tm_kafka_list_config_resources_response *out = r->out;
	enum { CLIENT_METRICS = 16, GROUP = 32, BROKER_LOGGER = 8 };
	bool topics = false, brokers = false, loggers = false, all = r->version >= 1 && in->resource_types.count <= 0;
	for (int32_t i = 0; i < in->resource_types.count; i++) {
		int type = in->resource_types.items[i];
		topics |= type == RESOURCE_TOPIC;
		brokers |= type == RESOURCE_BROKER;
		loggers |= type == BROKER_LOGGER;
		if (type != RESOURCE_TOPIC && type != RESOURCE_BROKER && type != CLIENT_METRICS && type != GROUP && type != BROKER_LOGGER)
			out->error_code = KAFKA_UNSUPPORTED_VERSION;
	}
	struct tm_topic **list = NULL;
	size_t n = topics || all ? tm_log_topics(r->conn->server->log, &list) : 0;
	out->config_resources.items = tm_kafka_list_config_resources_response_config_resources_new(&r->arena, n + 2);
	for (size_t i = 0; i < n; i++) {
		out->config_resources.items[out->config_resources.count].resource_name = tm_arena_str(&r->arena, tm_topic_name(list[i]));
		out->config_resources.items[out->config_resources.count++].resource_type = RESOURCE_TOPIC;
		tm_topic_unref(list[i]);
	}
	free(list);
	for (int type = 0; type < 2 && !out->error_code; type++) {
		if (type == 0 ? !(brokers || all) : !(loggers || all))
			continue;
		out->config_resources.items[out->config_resources.count].resource_name =
		    tm_arena_printf(&r->arena, "%d", r->conn->server->options.node_id);
		out->config_resources.items[out->config_resources.count++].resource_type = type == 0 ? RESOURCE_BROKER : BROKER_LOGGER;
	}
	if (out->error_code)
		out->config_resources.count = 0;
	kafka_reply(r);
}
