/* A real Kafka as a broker of topics (stream/broker.h), through librdkafka: `broker:
 * kafka://user:password@host:port,host:port?option=value`. Options are librdkafka's configuration names; user and password mean SASL PLAIN.
 */
#ifndef TM_KAFKA_BROKER_KAFKA_H
#define TM_KAFKA_BROKER_KAFKA_H
#include "stream/broker.h"

/* Checks the address; connects to nothing yet. The text need not stay. */
tm_rc tm_kafka_broker_new(struct tm_str address, struct tm_broker **ret, struct tm_err *err) TM_CHECKED;
/* Waits until the broker answers, at most wait_ms; TM_DENIED at once when it refuses user or password. */
tm_rc tm_kafka_broker_connect(struct tm_broker *broker, int64_t wait_ms, struct tm_err *err) TM_CHECKED;

struct tm_kafka_node {
	struct tm_str host;
	int port;
};
/* Where the cluster tells its clients to connect to; in the arena. Empty before it has answered. */
size_t tm_kafka_broker_nodes(struct tm_broker *broker, struct tm_arena *arena, struct tm_kafka_node **ret);
/* The first host and port of the address. */
struct tm_kafka_node tm_kafka_broker_bootstrap(struct tm_broker *broker);
#endif
