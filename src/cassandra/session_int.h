/* What the session's files share: session.c (callers, the queue, sending), link.c (one connection), nodes.c (the control connection,
 * nodes and ring). Everything but `inbox`, `cancels`, `shared` and the groups belongs to the loop's thread. */
#ifndef TM_CASSANDRA_SESSION_INT_H
#define TM_CASSANDRA_SESSION_INT_H
#include <pthread.h>
#include <uv.h>
#include "cassandra/retry.h"
#include "cassandra/ring.h"
#include "cassandra/session.h"
#include "cassandra/tls.h"

enum { TM_CASS_STREAMS = 2 * TM_LIMIT_CASSANDRA_IN_FLIGHT };

struct tm_cass_statement {
	struct tm_str text;                   /* malloc'd, as the ids */
	struct tm_str id, result_metadata_id; /* the loop's, once it is made */
	bool preparing;                       /* some connection is being told it */
	bool broken;
	struct tm_err err; /* broken */
};

struct tm_cass_group {
	struct tm_cass_session *session;
	size_t left, done; /* under the session's lock */
	bool cancelled;
	pthread_cond_t changed;
	struct tm_cass_group *next; /* of the cancels */
};

struct tm_cass_calls { /* a queue */
	struct tm_cass_call *head, *tail;
	size_t count;
};

struct tm_cass_slot {
	struct tm_cass_call *call; /* NULL of a busy slot: given up, the answer is still to come */
	bool busy;
	int64_t sent_ns, limit_ns;
};
/* States: RESOLVING -> CONNECTING -> GREETING (STARTUP, credentials; control: REGISTER, nodes) -> READY -> CLOSED */
enum tm_cass_link_state { TM_CASS_LINK_RESOLVING, TM_CASS_LINK_CONNECTING, TM_CASS_LINK_GREETING, TM_CASS_LINK_READY, TM_CASS_LINK_CLOSED };
struct tm_cass_link {
	struct tm_cass_session *session;
	struct tm_cass_node *node;
	bool control;
	enum tm_cass_link_state state;
	int refs; /* handles and requests of libuv, and the session's own */
	uv_tcp_t tcp;
	bool has_tcp;
	uv_getaddrinfo_t resolve;
	uv_connect_t connect;
	int version;
	struct tm_cass_tls *tls;
	struct tm_cass_reader reader;
	struct tm_cass_writer writer;
	struct tm_cass_slot slots[TM_CASS_STREAMS];
	int16_t free_streams[TM_CASS_STREAMS];
	size_t free_count, in_flight, in_flight_bytes, given_up;
	int64_t heard_ns, opened_ns, asked_ns;
	struct tm_cass_call hello; /* of the handshake */
	struct tm_buf token;
	bool refused_version;
};

struct tm_cass_node {
	char host[256], data_center[64], rack[64], release[32];
	int port;
	uint8_t host_id[16];
	bool known, contact, seen; /* in the cluster's tables; from the configuration; seen in the last look */
	bool local;                /* of the data centre that is used */
	struct tm_cass_link *link;
	int attempts;
	int64_t retry_at_ns;
	char problem[200];
};

struct tm_cass_session {
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t async;
	uv_timer_t timer;
	bool stopping, timer_on, in_pump;
	char *user, *password;
	bool lz4, has_local_dc;
	struct tm_cass_tls_context *tls;
	int version, timeout_ms;
	struct tm_arena arena; /* options */

	struct {
		struct tm_cass_node **items;
		size_t count, cap;
	} nodes;
	struct tm_cass_ring ring;
	struct tm_cass_place *places; /* per node, for the ring */
	struct tm_cass_link *control;
	size_t control_next; /* node that is tried next */
	int control_attempts;
	int64_t control_retry_ns, refresh_ns; /* 0 = not wanted */
	bool looking;
	struct tm_cass_call looks[2];
	struct tm_arena look_arena;
	size_t looks_left;
	bool peers_old; /* no system.peers_v2 there */

	struct tm_cass_calls pending, delayed;
	struct tm_arena scratch;
	uint32_t turn;

	pthread_mutex_t lock; /* rank: leaf */
	struct tm_cass_calls inbox;
	struct tm_cass_group *cancels;
	bool stop_asked;
	pthread_cond_t opened;
	enum { TM_CASS_OPENING, TM_CASS_OPEN, TM_CASS_REFUSED } opening;
	struct tm_err open_err;
	struct tm_cass_session_state shared;
	int64_t problem_ns; /* when shared.problem was set */
	uint64_t schema;
};

/* session.c */
int64_t tm_cass_now_ns(void);
uint32_t tm_cass_random(void);
void tm_cass_calls_put(struct tm_cass_calls *list, struct tm_cass_call *call);
void tm_cass_call_end(struct tm_cass_session *s, struct tm_cass_call *call, tm_rc rc, int code, const char *what);
/* The call has failed on its way: again, later, or the end. */
void tm_cass_call_lost(struct tm_cass_session *s, struct tm_cass_call *call, const char *why);
void tm_cass_call_answered(struct tm_cass_session *s, struct tm_cass_link *l, struct tm_cass_call *call,
			   const struct tm_cass_envelope *envelope);
void tm_cass_pump(struct tm_cass_session *s);
void tm_cass_shared_update(struct tm_cass_session *s);
/* Why something does not go on, for people; the first of several reasons stays for a while, so that they do not flicker. */
void tm_cass_problem(struct tm_cass_session *s, const struct tm_cass_node *node, const char *what);
void tm_cass_open_end(struct tm_cass_session *s, const struct tm_err *err); /* NULL = open */

/* link.c */
void tm_cass_link_open(struct tm_cass_session *s, struct tm_cass_node *node, bool control);
bool tm_cass_link_room(const struct tm_cass_link *l, size_t bytes);
bool tm_cass_link_send(struct tm_cass_link *l, struct tm_cass_call *call); /* false: no room */
void tm_cass_link_flush(struct tm_cass_link *l);
void tm_cass_link_close(struct tm_cass_link *l, const char *why);
void tm_cass_link_tick(struct tm_cass_link *l, int64_t now_ns);

/* nodes.c */
void tm_cass_nodes_contact(struct tm_cass_session *s, const char *host, int port);
void tm_cass_nodes_tick(struct tm_cass_session *s, int64_t now_ns);
void tm_cass_nodes_done(struct tm_cass_session *s);
void tm_cass_link_ready(struct tm_cass_link *l);
void tm_cass_link_gone(struct tm_cass_link *l, const char *why, bool denied);
void tm_cass_control_look(struct tm_cass_session *s);
void tm_cass_control_event(struct tm_cass_session *s, const struct tm_cass_response *event);
/* NULL: nobody takes anything now; or *ret_later: others have room, but this call waits for one of its replicas. */
struct tm_cass_link *tm_cass_nodes_choose(struct tm_cass_session *s, const struct tm_cass_call *call, size_t bytes, bool *ret_later);
#endif
