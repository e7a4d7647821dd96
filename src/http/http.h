/* The HTTP door: one port with the page, the JSON API under it (docs/api.md), server-sent events, /metrics and /health.
 * It shows the engines; it owns none of them. Host and Origin are checked, so that no web page elsewhere can drive it. */
#ifndef TM_HTTP_HTTP_H
#define TM_HTTP_HTTP_H
#include "base/base.h"

struct tm_broker;
struct tm_store;
struct tm_dag;
struct tm_query;
struct tm_pipeline;
struct tm_stream_world;
struct tm_http_server;

struct tm_http_pipeline {
	const struct tm_pipeline *pipeline; /* one file */
	struct tm_query *const *queries;    /* pipeline->query_count, each started; NULL entry: it could not start */
};
/* What is served. Pointers must stay valid until stop; NULL = there is none. */
struct tm_http_world {
	const char *project_dir;
	int kafka_port, cassandra_port;
	struct tm_broker *broker; /* of the topics: the embedded log or a real Kafka */
	struct tm_store *store;
	struct tm_dag *dag;
	const struct tm_stream_world *stream; /* for POST /api/sql */
	const struct tm_http_pipeline *pipelines;
	size_t pipeline_count;
	/* Appends a JSON array of findings ({"severity", "subject", "what", "why", "next"}): why nothing moves, and what to do. */
	void (*findings)(void *ctx, struct tm_buf *out);
	void *findings_ctx;
	/* Appends a JSON array of {"client_id", "topic"}: who wrote to which topic. NULL = nobody knows. */
	void (*writers)(void *ctx, struct tm_buf *out);
	void *writers_ctx;
	/* Appends a JSON object: which of several instances acts, and who this one is; NULL = there is one. */
	void (*coordinator)(void *ctx, struct tm_buf *out);
	void *coordinator_ctx;
};
struct tm_http_options {
	const char *host;  /* NULL = 127.0.0.1 */
	int port;          /* 0 = any free one */
	bool trusted;      /* requests may come under any IP address and under the names, not only under loopback's */
	const char *names; /* separated by commas; NULL = none. Copied, as host is. */
};

/* Binds and serves from threads of its own. TM_BUSY when the port is taken. world is copied, what it points to is not. */
tm_rc tm_http_server_start(const struct tm_http_world *world, const struct tm_http_options *options, struct tm_http_server **ret,
			   struct tm_err *err) TM_CHECKED;
int tm_http_server_port(const struct tm_http_server *server);
/* /health answers 503 before this is called with true. */
void tm_http_server_ready(struct tm_http_server *server, bool ready);
/* The door outlives what it serves: put_away waits for the answers under way; requests that come then wait a moment for
 * serve, which hands the door another world (of the same project, with the same ports), before they are refused. */
void tm_http_server_put_away(struct tm_http_server *server);
void tm_http_server_serve(struct tm_http_server *server, const struct tm_http_world *world);
/* Something moved: watchers of /api/events hear of it soon. Any thread, never blocks. */
void tm_http_server_changed(struct tm_http_server *server);
void tm_http_server_stop(struct tm_http_server *server); /* NULL is fine */
#endif
