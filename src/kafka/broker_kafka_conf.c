/* What librdkafka is configured with: the address of `broker:`, the kafka.* options of views and sinks (Spark passes them on to Java's
 * client; here they go to librdkafka, under its names), our own defaults. And Kafka's errors as ours. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>

/* ---- the address ---- */

/* librdkafka's options that make sense for a whole cluster, whoever uses it. */
static const char *const address_options[] = {
    "security.protocol",
    "sasl.mechanisms",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "sasl.kerberos.service.name",
    "sasl.kerberos.principal",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.config",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.crl.location",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "broker.address.family",
    "broker.address.ttl",
    "client.id",
    "client.rack",
    "socket.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "topic.metadata.refresh.interval.ms",
    "message.max.bytes",
    "receive.message.max.bytes",
    "debug",
    NULL,
};

struct tm_str kb_text(struct tm_arena *arena, const char *s) { return tm_arena_str(arena, tm_str_of(s)); }
const char *kb_cstr(struct tm_arena *arena, struct tm_str s) { return tm_arena_cstr(arena, s); }

static void add_pair(struct kafka_broker *b, const char *name, struct tm_str value)
{
	b->pairs[b->pair_count++] = (struct kb_pair){name, kb_cstr(&b->arena, value)};
}

static tm_rc try_set(rd_kafka_conf_t *conf, const char *name, const char *value, const char *shown, struct tm_err *err)
{
	char why[400] = "";
	rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, value, why, sizeof why);
	if (res == RD_KAFKA_CONF_OK)
		return TM_OK;
	if (res == RD_KAFKA_CONF_UNKNOWN)
		return tm_fail(err, TM_INVALID, "there is no option %s", shown);
	return tm_fail(err, TM_INVALID, "option %s: %s", shown, tm_url_secret(tm_str_of(name)) ? "its value is refused" : why);
}

tm_rc kb_address(struct kafka_broker *b, struct tm_str address, struct tm_err *err)
{
	TM_TRY(tm_url_parse(address, &b->arena, &b->url, err));
	const struct tm_url *u = &b->url;
	b->b.address = tm_url_shown(address, &b->arena).at;
	if (!tm_str_is(u->scheme, "kafka"))
		return tm_fail(err, TM_INVALID, "a broker's address begins with kafka://, not '%.*s://'", TM_STR_ARG(u->scheme));
	if (u->path.len && !tm_str_is(u->path, "/"))
		return tm_fail(err, TM_INVALID, "a broker's address has no path: '%.*s'", TM_STR_ARG(u->path));
	TM_TRY(tm_url_params_known(u, address_options, err));
	b->pairs = TM_NEW_N(&b->arena, struct kb_pair, u->param_count + 5);
	add_pair(b, "bootstrap.servers", tm_url_hosts_text(u, 9092, &b->arena));
	if (u->user.len) {
		if (!tm_url_param(u, "security.protocol"))
			add_pair(b, "security.protocol", TM_STR("SASL_PLAINTEXT"));
		if (!tm_url_param(u, "sasl.mechanisms") && !tm_url_param(u, "sasl.mechanism"))
			add_pair(b, "sasl.mechanisms", TM_STR("PLAIN"));
		add_pair(b, "sasl.username", u->user);
		add_pair(b, "sasl.password", u->password);
	}
	for (size_t i = 0; i < u->param_count; i++)
		add_pair(b, kb_cstr(&b->arena, u->params[i].name), u->params[i].value);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < b->pair_count && !rc; i++)
		rc = try_set(conf, b->pairs[i].name, b->pairs[i].value, b->pairs[i].name, err);
	rd_kafka_conf_destroy(conf);
	return rc;
}

/* ---- options of views and sinks ---- */

/* Java's names of what librdkafka calls otherwise. */
static const struct kb_pair renamed[] = {
    {"fetch.max.wait.ms", "fetch.wait.max.ms"},
    {"max.request.size", "message.max.bytes"},
    {"ssl.keystore.certificate.chain", "ssl.certificate.pem"},
    {"ssl.keystore.key", "ssl.key.pem"},
    {"ssl.truststore.certificates", "ssl.ca.pem"},
};
/* Options that are refused, and why; Spark's own refusals first, in its words. */
static const struct kb_pair refused[] = {
    {"key.deserializer", "keys are always bytes; cast the column key in the query"},
    {"value.deserializer", "values are always bytes; cast the column value in the query"},
    {"key.serializer", "the column key must be a string or bytes"},
    {"value.serializer", "the column value must be a string or bytes"},
    {"auto.offset.reset", "where reading begins is said by the option startingOffsets"},
    {"enable.auto.commit", "offsets are kept in the checkpoint and committed to the group after each batch"},
    {"auto.commit.enable", "offsets are kept in the checkpoint and committed to the group after each batch"},
    {"enable.auto.offset.store", "offsets are kept in the checkpoint and committed to the group after each batch"},
    {"interceptor.classes", "there are no Java classes here"},
    {"partition.assignment.strategy", "a query reads all partitions itself"},
    {"enable.partition.eof", "the source uses it itself"},
    {"enable.idempotence", "the sink is always idempotent"},
    {"delivery.report.only.error", "the sink uses it itself"},
    {"message.timeout.ms", "a batch is written until it is there; while the broker is away the query waits"},
    {"delivery.timeout.ms", "a batch is written until it is there; while the broker is away the query waits"},
    {"acks", "the sink always writes with acks=all"},
    {"request.required.acks", "the sink always writes with acks=all"},
    {"max.poll.records", "the option maxOffsetsPerTrigger says how much a batch reads"},
    {"ssl.truststore.location", "give the certificates as PEM: kafka.ssl.ca.location"},
    {"plugin.library.paths", "no foreign code is loaded"},
};

/* user and password of `…PlainLoginModule required username="u" password="p";`, which is how Java's client is told them. */
static tm_rc jaas(rd_kafka_conf_t *conf, struct tm_str text, struct tm_err *err)
{
	const struct {
		const char *java, *name;
	} parts[] = {{"username=\"", "sasl.username"}, {"password=\"", "sasl.password"}};
	for (size_t i = 0; i < 2; i++) {
		size_t at = tm_str_find(text, tm_str_of(parts[i].java), 0);
		size_t from = at == SIZE_MAX ? at : at + strlen(parts[i].java);
		size_t to = at == SIZE_MAX ? at : tm_str_find(text, TM_STR("\""), from);
		if (to == SIZE_MAX)
			return tm_fail(err, TM_INVALID, "option kafka.sasl.jaas.config: no %.8s in it", parts[i].java);
		struct tm_buf b = {0};
		tm_buf_str_put(&b, tm_str_slice(text, from, to));
		tm_rc rc = conf ? try_set(conf, parts[i].name, tm_buf_cstr(&b), "kafka.sasl.jaas.config", err) : TM_OK;
		tm_buf_done(&b);
		TM_TRY(rc);
	}
	return TM_OK;
}

static tm_rc unknown_option(const char *name, struct tm_err *err)
{
	static const char *const usual[] = {"kafka.group.id",           "kafka.isolation.level",
					    "kafka.transactional.id",   "kafka.compression.type",
					    "kafka.linger.ms",          "kafka.batch.size",
					    "kafka.fetch.min.bytes",    "kafka.fetch.max.bytes",
					    "kafka.fetch.max.wait.ms",  "kafka.max.partition.fetch.bytes",
					    "kafka.request.timeout.ms", "kafka.transaction.timeout.ms",
					    "kafka.max.request.size",   "kafka.client.id",
					    "kafka.bootstrap.servers",  "kafka.security.protocol",
					    "kafka.sasl.mechanism",     "kafka.allow.auto.create.topics",
					    "kafka.session.timeout.ms", NULL};
	tm_rc rc = tm_fail(err, TM_INVALID, "option kafka.%s is not one that the Kafka client here has", name);
	char full[200];
	snprintf(full, sizeof full, "kafka.%s", name);
	const char *close = tm_str_closest(tm_str_of(full), usual);
	if (close)
		tm_err_hint(err, "Did you mean %s?", close);
	else
		tm_err_hint(err, "Options go to librdkafka: its CONFIGURATION.md lists them.");
	return rc;
}

static tm_rc one_option(const char *name, struct tm_str value, enum kb_use use, rd_kafka_conf_t *conf, struct kb_wishes *ret,
			struct tm_err *err)
{
	if (strcmp(name, "bootstrap.servers") == 0) /* said by `broker:`; on Spark the view needs it */
		return TM_OK;
	if (strcmp(name, "group.id") == 0 && use == KB_READING) {
		ret->group = value;
		return TM_OK;
	}
	if (strcmp(name, "transactional.id") == 0 && use == KB_WRITING) {
		ret->transactional_id = value;
		ret->exactly_once = true;
		return TM_OK;
	}
	if (strcmp(name, "isolation.level") == 0)
		return TM_OK; /* looked at on its own */
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (strcmp(refused[i].name, name) == 0)
			return tm_fail(err, TM_INVALID, "option kafka.%s is not supported: %s", name, refused[i].value);
	if (strcmp(name, "sasl.jaas.config") == 0)
		return jaas(conf, value, err);
	for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
		if (strcmp(renamed[i].name, name) == 0)
			name = renamed[i].value;
	struct tm_buf text = {0};
	char shown[200];
	tm_buf_str_put(&text, value);
	snprintf(shown, sizeof shown, "kafka.%s", name);
	rd_kafka_conf_t *scratch = conf ? NULL : rd_kafka_conf_new();
	tm_rc rc = try_set(conf ? conf : scratch, name, tm_buf_cstr(&text), shown, err);
	if (rc && strncmp(err->what, "there is no", 11) == 0)
		rc = unknown_option(name, err);
	if (scratch)
		rd_kafka_conf_destroy(scratch);
	tm_buf_done(&text);
	return rc;
}

tm_rc kb_wishes(const struct tm_option *options, size_t count, enum kb_use use, rd_kafka_conf_t *conf, struct kb_wishes *ret,
		struct tm_err *err)
{
	struct tm_err local;
	*ret = (struct kb_wishes){0};
	if (!err)
		err = &local;
	for (size_t i = 0; i < count; i++) {
		char name[160] = "";
		struct tm_str full = options[i].name;
		if (tm_str_iis(full, "groupIdPrefix") || tm_str_iis(full, "processing.guarantee")) {
			if (tm_str_iis(full, "processing.guarantee"))
				ret->exactly_once |= tm_str_is(options[i].value, "exactly_once_v2");
			continue;
		}
		if (full.len < 6 || !tm_str_iis(tm_str_slice(full, 0, 6), "kafka."))
			continue;
		for (size_t k = 6; k < full.len && k - 6 < sizeof name - 1; k++)
			name[k - 6] = full.at[k] >= 'A' && full.at[k] <= 'Z' ? (char)(full.at[k] + 32) : full.at[k];
		TM_TRY(one_option(name, tm_str_trim(options[i].value), use, conf, ret, err));
	}
	return tm_broker_isolation(options, count, &ret->committed, err);
}

/* ---- configurations and handles ---- */

void kb_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[300];
	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
		tm_say(TM_SAY_WARN, "kafka", "librdkafka refuses %s: %s", name, why);
}

void kb_complain(struct kafka_broker *b, rd_kafka_resp_err_t code, const char *text)
{
	pthread_mutex_lock(&b->complaint.lock);
	bool denied = b->complaint.code == RD_KAFKA_RESP_ERR__AUTHENTICATION;
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !(denied && code == RD_KAFKA_RESP_ERR__TRANSPORT)) {
		b->complaint.code = code;
		snprintf(b->complaint.text, sizeof b->complaint.text, "%s", text);
	}
	pthread_mutex_unlock(&b->complaint.lock);
}

void kb_content(struct kafka_broker *b)
{
	pthread_mutex_lock(&b->complaint.lock);
	b->complaint.code = RD_KAFKA_RESP_ERR_NO_ERROR;
	b->complaint.text[0] = 0;
	pthread_mutex_unlock(&b->complaint.lock);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	(void)rk;
	kb_complain(opaque, (rd_kafka_resp_err_t)code, reason);
}

/* librdkafka's lines are for the curious; what matters comes back as errors. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	tm_say(TM_SAY_DEBUG, "kafka", "%s %s", facility, text);
}

static const struct kb_pair defaults[] = {
    {"client.id", "tidemill"},
    {"log.connection.close", "false"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"socket.timeout.ms", "10000"}, /* a broker that is silent so long is connected to anew */
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    {"topic.metadata.refresh.interval.ms", "30000"},
};
static const struct kb_pair reading[] = {
    {"enable.auto.commit", "false"},
    {"auto.commit.enable", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"isolation.level", "read_uncommitted"}, /* Java's default and so Spark's; librdkafka's is read_committed */
    {"check.crcs", "true"},
    {"fetch.error.backoff.ms", "100"},
    {"queued.min.messages", "1000000"},
    {"queued.max.messages.kbytes", "32768"}, /* of each partition */
};
static const struct kb_pair writing[] = {
    {"enable.idempotence", "true"},
    {"message.timeout.ms", "0"}, /* never: the query waits until it is there */
    {"queue.buffering.max.messages", "1000000"},
    {"queue.buffering.max.kbytes", "262144"},
    {"message.max.bytes", "104857600"}, /* what is too large is the topic's affair */
    {"linger.ms", "2"},
    {"retry.backoff.ms", "50"},
};

static void set_all(rd_kafka_conf_t *conf, const struct kb_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kb_set(conf, pairs[i].name, pairs[i].value);
}

rd_kafka_conf_t *kb_conf(struct kafka_broker *b, enum kb_use use)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set_all(conf, defaults, sizeof defaults / sizeof *defaults);
	if (use == KB_WRITING)
		set_all(conf, writing, sizeof writing / sizeof *writing);
	else
		set_all(conf, reading, sizeof reading / sizeof *reading);
	set_all(conf, b->pairs, b->pair_count);
	rd_kafka_conf_set_opaque(conf, b);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	return conf;
}

tm_rc kb_handle(struct kafka_broker *b, rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret, struct tm_err *err)
{
	char why[400] = "";
	(void)b;
	*ret = rd_kafka_new(type, conf, why, sizeof why);
	if (*ret)
		return TM_OK;
	rd_kafka_conf_destroy(conf);
	return tm_fail(err, TM_INVALID, "the Kafka client cannot start: %s", why);
}

/* ---- errors ---- */

bool kb_passing(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__WAIT_COORD:
	case RD_KAFKA_RESP_ERR__WAIT_CACHE:
	case RD_KAFKA_RESP_ERR__IN_PROGRESS:
	case RD_KAFKA_RESP_ERR__RETRY:
	case RD_KAFKA_RESP_ERR__DESTROY:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
	case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
	case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
	case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
		return true;
	default:
		return false;
	}
}

static tm_rc rc_of(rd_kafka_resp_err_t code)
{
	if (kb_passing(code))
		return TM_UNAVAILABLE;
	switch (code) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return TM_NOT_FOUND;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return TM_EXISTS;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR__FENCED:
	case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
	case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
		return TM_DENIED;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
		return TM_DATA;
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
	case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		return TM_INVALID;
	default:
		return TM_IO;
	}
}

tm_rc kb_fail(struct kafka_broker *b, rd_kafka_resp_err_t code, struct tm_err *err, const char *fmt, ...)
{
	char what[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&b->complaint.lock);
	char complaint[300];
	rd_kafka_resp_err_t said = b->complaint.code;
	memcpy(complaint, b->complaint.text, sizeof complaint);
	pthread_mutex_unlock(&b->complaint.lock);
	tm_rc rc = rc_of(code);
	if (rc == TM_UNAVAILABLE && said == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		rc = TM_DENIED;
	rc = tm_fail(err, rc, "%s: %s", what, rd_kafka_err2str(code));
	if (err && code > 0)
		err->code = code;
	if (complaint[0] && (rc == TM_UNAVAILABLE || rc == TM_DENIED))
		tm_err_detail(err, "%s", complaint);
	return rc;
}
