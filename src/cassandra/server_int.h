/* What the server's files share. Everything here belongs to the loop's thread, save what `lock` guards and the group that the
 * commit thread was handed. */
#ifndef TM_CASSANDRA_SERVER_INT_H
#define TM_CASSANDRA_SERVER_INT_H
#include <uv.h>
#include "cassandra/cassandra.h"
#include "cassandra/protocol.h"

struct tm_cass_conn {
	struct tm_cassandra_server *server;
	uv_tcp_t tcp;
	struct tm_cass_conn *prev, *next;
	struct tm_cass_reader reader;
	struct tm_cass_writer writer;
	size_t refs;       /* the socket, and each held answer */
	size_t held_bytes; /* counted in the server's */
	bool started;      /* STARTUP is done */
	bool registered;   /* wants schema events */
	bool paused;       /* its peer does not read: neither do we */
	bool ending;       /* closes when what was written is out */
	bool closed;
	int version;
	struct tm_str keyspace; /* of USE; malloc'd */
	char peer[64];
	int peer_port;
	char driver_name[64], driver_version[64];
	int64_t request_count;
};

/* ---- group commit ---- */
struct tm_cass_held { /* an answer that waits for the commit */
	struct tm_cass_conn *conn;
	int16_t stream;
	uint8_t flags;
	size_t at, len; /* of the body in the group's answers */
};
struct tm_cass_group {
	struct tm_table_batch *batch;
	struct {
		struct tm_cass_held *items;
		size_t count, cap;
	} held;
	struct tm_buf answers;
	tm_rc rc;
	struct tm_err err;
};
struct tm_cass_committer {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* rank: leaf */
	pthread_cond_t changed;
	struct tm_cass_group *job; /* handed over, not yet done */
	bool done, quit;
};

/* ---- prepared statements ---- */
struct tm_cass_prepared {
	uint8_t id[16];                 /* MD5 of keyspace and text */
	uint8_t result_metadata_id[16]; /* MD5 of names and types: both as Cassandra makes them */
	struct tm_cql_prepared *statement;
	struct tm_str text, keyspace; /* for system.prepared_statements; malloc'd */
	bool settles;                 /* changes the schema: nothing may be in flight beside it */
	bool scans;                   /* may take long: see scan.c */
	struct tm_cass_prepared *chain, *older, *newer;
};
struct tm_cass_prepared_cache {
	struct tm_cass_prepared **slots;
	size_t slot_count, count, limit, bytes;
	int64_t evicted, executed; /* atomic */
	struct tm_cass_prepared *oldest, *newest;
	pthread_mutex_t lock; /* rank: leaf; system.prepared_statements reads from any thread */
};
void tm_cass_prepared_init(struct tm_cass_prepared_cache *cache, size_t limit);
void tm_cass_prepared_done(struct tm_cass_prepared_cache *cache);
struct tm_cass_prepared *tm_cass_prepared_find(struct tm_cass_prepared_cache *cache, struct tm_str id);
/* Takes over the statement's reference; one with the same id is replaced. */
struct tm_cass_prepared *tm_cass_prepared_add(struct tm_cass_prepared_cache *cache, struct tm_cql_prepared *statement, struct tm_str text,
					      struct tm_str keyspace);
void tm_cass_md5(const struct tm_str *parts, size_t count, uint8_t ret[16]);
void tm_cass_prepared_drop(struct tm_cass_prepared_cache *cache, struct tm_cass_prepared *prepared);
bool tm_cass_text_settles(struct tm_str text);

/* ---- traces ---- */
#define TM_CASS_TRACES 64
struct tm_cass_trace {
	uint8_t id[16];
	int64_t started_us, duration_us;
	char client[64];
	const char *request; /* opcode's name */
	char text[400];
};

struct tm_cass_system;
struct tm_schema;
struct tm_cassandra_server {
	struct tm_store *store;
	const struct tm_env *env;
	struct tm_cass_system *system;
	int64_t started_us;
	uint8_t host_id[16]; /* the same as long as the store lives */
	char host[128], cluster_name[128];
	int port;
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_async_t wake;
	uv_check_t check;
	uv_timer_t look;
	const struct tm_schema *seen_schema; /* whose changes clients were told of */
	pthread_t thread;
	bool stopping; /* guarded by lock */
	size_t connection_limit;
	struct tm_cass_conn *conns;
	size_t conn_count;
	int64_t conn_gauge; /* atomic copy for other threads */
	size_t held_bytes;
	char *read_buffer;
	struct tm_arena arena; /* of the request at hand */
	struct tm_buf body;    /* of the answer at hand */
	size_t scan_count;     /* reads with the worker threads */
	struct tm_cass_group groups[2];
	size_t collecting; /* index of the group that takes new writes */
	bool committing;   /* the other one is with the commit thread */
	struct tm_cass_committer committer;
	struct tm_cass_prepared_cache prepared;
	pthread_mutex_t lock; /* rank: leaf; guards stopping, traces and the list of connections for system tables */
	struct tm_cass_trace traces[TM_CASS_TRACES];
	size_t trace_count;
};

/* server.c */
void tm_cass_conn_flush(struct tm_cass_conn *conn);
void tm_cass_conn_end(struct tm_cass_conn *conn); /* after what is written went out */
void tm_cass_conn_unref(struct tm_cass_conn *conn);
/* commit.c */
tm_rc tm_cass_committer_start(struct tm_cassandra_server *server, struct tm_err *err) TM_CHECKED;
void tm_cass_committer_stop(struct tm_cassandra_server *server); /* commits and answers what was collected */
void tm_cass_commit_hold(struct tm_cass_conn *conn, uint8_t flags, int16_t stream, struct tm_str body);
void tm_cass_commit_kick(struct tm_cassandra_server *server);     /* hand over what was collected, if the thread is idle */
void tm_cass_commit_finished(struct tm_cassandra_server *server); /* on the loop: answer what is durable, hand over the next */
void tm_cass_commit_settle(struct tm_cassandra_server *server);   /* wait until nothing is pending or in flight */
/* The collecting group's batch was committed (or lost) inside a statement: answer for it. */
void tm_cass_commit_taken(struct tm_cassandra_server *server, tm_rc rc, const struct tm_err *err);
struct tm_table_batch *tm_cass_commit_batch(struct tm_cassandra_server *server);
/* answer.c */
void tm_cass_answer(struct tm_cass_conn *conn, const struct tm_cass_envelope *envelope);
void tm_cass_answer_fault(struct tm_cass_conn *conn, const struct tm_cass_fault *fault);
void tm_cass_error_answer(struct tm_cass_conn *conn, int16_t stream, const struct tm_err *err, const struct tm_cass_request *request,
			  const uint8_t *tracing_id);
/* Tracing id and warnings, which go before any body; returns the flags that say so. */
uint8_t tm_cass_prefix_write(struct tm_buf *out, int version, const uint8_t *tracing_id, const struct tm_cql_result *result);
/* The body of an ERROR. */
void tm_cass_fail_write(struct tm_buf *out, int version, const struct tm_err *err, const struct tm_cass_request *request);
/* events.c */
void tm_cass_events_start(struct tm_cassandra_server *server);
void tm_cass_events_push(struct tm_cassandra_server *server, struct tm_str change, struct tm_str target, struct tm_str keyspace,
			 struct tm_str name);
void tm_cass_events_look(struct tm_cassandra_server *server); /* tells of what others changed */
void tm_cass_events_told(struct tm_cassandra_server *server); /* the schema as it is now is known to clients */
/* scan.c */
bool tm_cass_text_scans(struct tm_str text);
/* false when too many run already. */
bool tm_cass_scan_start(struct tm_cass_conn *conn, const struct tm_cass_envelope *envelope, struct tm_str text, struct tm_str keyspace,
			const struct tm_cass_rows_options *rows, const uint8_t *tracing_id);
/* system.c */
tm_rc tm_cass_system_register(struct tm_cassandra_server *server, struct tm_err *err) TM_CHECKED;
void tm_cass_system_unregister(struct tm_cassandra_server *server);
#endif
