/* A client of a real Cassandra for load: one thread with a libuv loop, a connection to each node of the local data centre with many
 * requests in flight, and one more (control) that follows the cluster's nodes and schema.
 *
 * Calls wait in one queue until a node can take them: back-pressure is the queue's, a connection carries at most
 * TM_LIMIT_CASSANDRA_IN_FLIGHT requests. A call that may be repeated without harm (idempotent) is sent again when its connection breaks or
 * the server says that it may not have worked; a patient one for as long as it takes, until its group is cancelled.
 * Nodes that do not answer are tried again after 0.1 s, then twice as long each time up to 5 s, each time a little more or less. */
#ifndef TM_CASSANDRA_SESSION_H
#define TM_CASSANDRA_SESSION_H
#include "cassandra/protocol.h"

struct tm_cass_session;
struct tm_cass_tls_context; /* tls.h */
struct tm_cass_session_options {
	const struct tm_url_host *hosts; /* contact points, tried in turn; port 0 = 9042 */
	size_t host_count;
	const char *local_dc;        /* NULL = that of the first node that answers */
	const char *user, *password; /* NULL = none */
	bool lz4;
	struct tm_cass_tls_context *tls; /* NULL = in the clear; must outlive the session */
	int version;                     /* 3 to 5; 0 = the highest both know */
	int timeout_ms;                  /* of one try; 0 = 12,000, a little over Cassandra's own limits */
};
/* Returns when the nodes are known and one of the data centre answers; fails when every contact point has failed. */
tm_rc tm_cass_session_open(const struct tm_cass_session_options *options, struct tm_cass_session **ret, struct tm_err *err) TM_CHECKED;
void tm_cass_session_close(struct tm_cass_session *session); /* NULL is fine; calls that wait end with TM_CANCELLED */

/* A prepared statement; nodes that do not know it (any more) are told again. */
struct tm_cass_statement;
struct tm_cass_waiter;
/* waiter NULL: impatiently. */
tm_rc tm_cass_prepare(struct tm_cass_session *session, struct tm_str text, const struct tm_cass_waiter *waiter,
		      struct tm_cass_statement **ret, struct tm_err *err) TM_CHECKED;
void tm_cass_statement_free(struct tm_cass_statement *statement);         /* when no call uses it */
bool tm_cass_statement_broken(const struct tm_cass_statement *statement); /* the server refuses its text by now */

/* How a keyspace is spread: SimpleStrategy has no data centre. factor 0 = not known: any node is asked. */
struct tm_cass_replication {
	bool simple;
	int factor; /* in the local data centre, unless simple */
};

struct tm_cass_group;
enum { TM_CASS_STEPS = 44 };
struct tm_cass_call { /* the caller's, and all it points to, until tm_cass_run returns */
	struct tm_cass_request request;
	struct tm_cass_statement *statement; /* EXECUTE, and BATCH's prepared items: ids come from here */
	bool routed;
	int64_t token; /* of the partition */
	struct tm_cass_replication replication;
	bool idempotent, patient;
	bool steps;             /* each time it is sent again its timestamp is a microsecond later, up to TM_CASS_STEPS in all */
	int timeout_ms;         /* of one try; 0 = the session's */
	struct tm_arena *arena; /* for the response, which is not read without */
	/* The outcome. An error of the server has its code in `code`. */
	tm_rc rc;
	int code;
	struct tm_cass_response response;
	struct tm_err *err; /* filled where given */
	/* private */
	struct tm_cass_group *group;
	struct tm_cass_call *next;
	void (*done)(struct tm_cass_call *call); /* internal calls: on the loop's thread, instead of the group */
	void *ctx;
	struct tm_cass_link *link; /* internal calls: this connection only */
	int attempts;
	size_t bytes;
	int64_t due_ns, deadline_ns;
};
/* Who waits; any may be NULL. */
struct tm_cass_waiter {
	void *ctx;
	bool (*stopping)(void *ctx);
	void (*waits)(void *ctx, const char *what); /* after a second without progress, and again when the reason changes */
};
/* Sends the calls, which share one fate for cancelling only, and waits until each has its outcome. */
void tm_cass_run(struct tm_cass_session *session, struct tm_cass_call *calls, size_t count, const struct tm_cass_waiter *waiter);

/* One statement as it is, impatiently. */
tm_rc tm_cass_query(struct tm_cass_session *session, struct tm_str text, const struct tm_cql_query_options *options, int timeout_ms,
		    struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;

struct tm_cass_session_state {
	bool up;
	size_t nodes, alive; /* of the local data centre */
	int version;
	int64_t waiting;
	char data_center[64], release[32], cluster[64], problem[240];
};
void tm_cass_session_state(struct tm_cass_session *session, struct tm_cass_session_state *ret);
/* Counted up whenever the schema may have changed. */
uint64_t tm_cass_session_schema(struct tm_cass_session *session);
void tm_cass_session_schema_changed(struct tm_cass_session *session); /* by us: the event may come later */
#endif
