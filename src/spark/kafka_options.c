/* `broker: kafka://…` in the words of Spark's Kafka source and sink, which take those of Java's client. */
#include "spark/spark.h"

/* Options of the address (librdkafka's names) and what they are there; the others are librdkafka's own affair. */
static const struct {
	const char *name, *java;
} names[] = {
    {"security.protocol", "kafka.security.protocol"},
    {"sasl.mechanisms", "kafka.sasl.mechanism"},
    {"sasl.mechanism", "kafka.sasl.mechanism"},
    {"ssl.ca.location", "kafka.ssl.truststore.location"},
    {"ssl.endpoint.identification.algorithm", "kafka.ssl.endpoint.identification.algorithm"},
    {"client.id", "kafka.client.id"},
    {"client.rack", "kafka.client.rack"},
};

static struct tm_str in_quotes(struct tm_arena *arena, struct tm_str s)
{
	struct tm_buf b = {0};
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '"' || s.at[i] == '\\')
			tm_buf_char(&b, '\\');
		tm_buf_char(&b, s.at[i]);
	}
	struct tm_str kept = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return kept;
}

static struct tm_str given(const struct tm_url *url, const char *name, struct tm_str otherwise)
{
	const struct tm_str *v = tm_url_param(url, name);
	return v ? *v : otherwise;
}

void tm_spark_kafka_options(const struct tm_url *url, struct tm_arena *arena, const struct tm_option **ret, size_t *ret_count)
{
	struct tm_option *o = TM_NEW_N(arena, struct tm_option, url->param_count + 6);
	size_t n = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct tm_str *v = tm_url_param(url, names[i].name);
		if (v)
			o[n++] = (struct tm_option){tm_str_of(names[i].java), *v};
	}
	if (tm_url_param(url, "ssl.ca.location"))
		o[n++] = (struct tm_option){TM_STR("kafka.ssl.truststore.type"), TM_STR("PEM")};
	struct tm_str user = url->user.len ? url->user : given(url, "sasl.username", (struct tm_str){0});
	struct tm_str password = url->user.len ? url->password : given(url, "sasl.password", (struct tm_str){0});
	if (user.len) {
		struct tm_str mechanism = given(url, "sasl.mechanisms", given(url, "sasl.mechanism", TM_STR("PLAIN")));
		bool scram = tm_str_starts(mechanism, TM_STR("SCRAM"));
		if (!tm_url_param(url, "security.protocol"))
			o[n++] = (struct tm_option){TM_STR("kafka.security.protocol"), TM_STR("SASL_PLAINTEXT")};
		if (!tm_url_param(url, "sasl.mechanisms") && !tm_url_param(url, "sasl.mechanism"))
			o[n++] = (struct tm_option){TM_STR("kafka.sasl.mechanism"), mechanism};
		struct tm_str jaas =
		    tm_arena_printf(arena, "org.apache.kafka.common.security.%s required username=\"%.*s\" password=\"%.*s\";",
				    scram ? "scram.ScramLoginModule" : "plain.PlainLoginModule", TM_STR_ARG(in_quotes(arena, user)),
				    TM_STR_ARG(in_quotes(arena, password)));
		o[n++] = (struct tm_option){TM_STR("kafka.sasl.jaas.config"), jaas};
	}
	*ret = o;
	*ret_count = n;
}
