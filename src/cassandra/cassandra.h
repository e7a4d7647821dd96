/* The Cassandra door: a server of the CQL native protocol (v3, v4, v5) over a store. Any Cassandra driver connects to it.
 * It runs in a thread of its own; writes are acknowledged after they are durable, many of them by one fdatasync. */
#ifndef TM_CASSANDRA_CASSANDRA_H
#define TM_CASSANDRA_CASSANDRA_H
#include "cql/cql.h"

struct tm_cassandra_server;

struct tm_cassandra_options {
	const char *host;         /* an address; NULL = 127.0.0.1 */
	int port;                 /* 0 = any free one, see tm_cassandra_server_port */
	const char *cluster_name; /* NULL = "Test Cluster", Cassandra's default */
	size_t connection_limit;  /* 0 = TM_LIMIT_CONNECTIONS */
	size_t prepared_limit;    /* prepared statements kept; 0 = 10,000 */
};

/* Binds, listens and starts the thread. The store must outlive the server. TM_BUSY when the port is taken. */
tm_rc tm_cassandra_server_start(struct tm_store *store, const struct tm_cassandra_options *options, struct tm_cassandra_server **ret,
				struct tm_err *err) TM_CHECKED;
int tm_cassandra_server_port(const struct tm_cassandra_server *server);
/* Finishes what has been read, answers it, closes every connection, joins the thread and frees. NULL is fine. */
void tm_cassandra_server_stop(struct tm_cassandra_server *server);

/* Connections that are open now; may be called from any thread. */
int64_t tm_cassandra_server_connections(const struct tm_cassandra_server *server);
#endif
