/* kafka: the door of the log. A server that speaks Kafka's protocol on one TCP port, in one thread of its own. */
#ifndef TM_KAFKA_KAFKA_H
#define TM_KAFKA_KAFKA_H
#include "log/log.h"

struct tm_kafka_server;
struct tm_groups;
struct tm_kafka_options {
	const char *host;            /* to listen on; NULL = 127.0.0.1 */
	int port;                    /* 0 = any free one: tm_kafka_server_port */
	const char *advertised_host; /* what clients are told to connect to; NULL = the address that they connected to */
	int advertised_port;         /* 0 = the port that they connected to */
	/* A second listener on published_port of host, whose clients are told published_host and this port: what a container publishes
	 * under the same port of the machine it runs on. 0 = none. */
	const char *published_host;
	int published_port;
	int32_t node_id;            /* 0 = 1 */
	const char *log_dir;        /* what DescribeLogDirs names; NULL = "." */
	bool auto_create_off;       /* auto.create.topics.enable=false */
	int32_t default_partitions; /* num.partitions; 0 = 1 */
};
/* Listens when it returns. TM_BUSY when the port is taken. The log must outlive the server. */
tm_rc tm_kafka_server_start(struct tm_log *log, const struct tm_kafka_options *options, struct tm_kafka_server **ret,
			    struct tm_err *err) TM_CHECKED;
/* Closes the connections and ends the thread; NULL is fine. */
void tm_kafka_server_stop(struct tm_kafka_server *server);
int tm_kafka_server_port(const struct tm_kafka_server *server);
/* The groups of this server, for looking at (log/group.h: snapshots may be taken from any thread). */
struct tm_groups *tm_kafka_server_groups(struct tm_kafka_server *server);

struct tm_kafka_connection {
	char peer[64], client_id[64], software[64]; /* software: name and version as the client gives them; may be empty */
	int64_t opened_ms, requests, bytes_in, bytes_out;
};
/* The open connections; *ret is malloc'd. Any thread. */
size_t tm_kafka_server_connections(struct tm_kafka_server *server, struct tm_kafka_connection **ret);

/* Who wrote to which topic since the start, each pair once. */
struct tm_kafka_writer {
	char client_id[300], topic[256];
};
/* *ret is malloc'd. Any thread. */
size_t tm_kafka_server_writers(struct tm_kafka_server *server, struct tm_kafka_writer **ret);
#endif
