/* The inside of the Kafka door. One loop thread owns everything here save where it says otherwise.
 *
 * Life of a request: bytes arrive in a chunk; a whole frame becomes a request in its connection's queue (QUEUED). It starts
 * when nothing before it is unanswered, or when it and all of those are Produce (RUNNING): so answers and effects keep the
 * order of the requests, and a pipelining producer still has many batches in the committer at once. Its handler answers now
 * or later with kafka_reply (READY); answers leave in the order of the queue. A request holds its chunk until it is written,
 * so that record batches go to the log without a copy. */
#ifndef TM_KAFKA_KAFKA_INT_H
#define TM_KAFKA_KAFKA_INT_H
#include <uv.h>
#include "kafka/kafka.h"
#include "kafka/messages.h"
#include "log/group.h"
#include "log/log.h"
#include "log/record.h"
#include "log/transaction.h"

enum kafka_error {
	KAFKA_UNKNOWN = -1,
	KAFKA_NONE = 0,
	KAFKA_OFFSET_OUT_OF_RANGE = 1,
	KAFKA_CORRUPT_MESSAGE = 2,
	KAFKA_UNKNOWN_TOPIC_OR_PARTITION = 3,
	KAFKA_NOT_LEADER = 6,
	KAFKA_COORDINATOR_NOT_AVAILABLE = 15,
	KAFKA_INVALID_TOPIC = 17,
	KAFKA_INVALID_REQUIRED_ACKS = 21,
	KAFKA_ILLEGAL_GENERATION = 22,
	KAFKA_INCONSISTENT_GROUP_PROTOCOL = 23,
	KAFKA_INVALID_GROUP_ID = 24,
	KAFKA_UNKNOWN_MEMBER_ID = 25,
	KAFKA_INVALID_SESSION_TIMEOUT = 26,
	KAFKA_REBALANCE_IN_PROGRESS = 27,
	KAFKA_INVALID_TIMESTAMP = 32,
	KAFKA_ILLEGAL_SASL_STATE = 34,
	KAFKA_UNSUPPORTED_VERSION = 35,
	KAFKA_TOPIC_ALREADY_EXISTS = 36,
	KAFKA_INVALID_PARTITIONS = 37,
	KAFKA_INVALID_REPLICATION_FACTOR = 38,
	KAFKA_INVALID_REPLICA_ASSIGNMENT = 39,
	KAFKA_INVALID_CONFIG = 40,
	KAFKA_INVALID_REQUEST = 42,
	KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
	KAFKA_POLICY_VIOLATION = 44,
	KAFKA_OUT_OF_ORDER_SEQUENCE = 45,
	KAFKA_INVALID_PRODUCER_EPOCH = 47,
	KAFKA_INVALID_TXN_STATE = 48,
	KAFKA_INVALID_PRODUCER_ID_MAPPING = 49,
	KAFKA_INVALID_TRANSACTION_TIMEOUT = 50,
	KAFKA_CONCURRENT_TRANSACTIONS = 51,
	KAFKA_SECURITY_DISABLED = 54,
	KAFKA_STORAGE_ERROR = 56,
	KAFKA_NON_EMPTY_GROUP = 68,
	KAFKA_GROUP_ID_NOT_FOUND = 69,
	KAFKA_FETCH_SESSION_ID_NOT_FOUND = 70,
	KAFKA_INVALID_FETCH_SESSION_EPOCH = 71,
	KAFKA_FENCED_LEADER_EPOCH = 74,
	KAFKA_UNKNOWN_LEADER_EPOCH = 75,
	KAFKA_UNSUPPORTED_COMPRESSION = 76,
	KAFKA_MEMBER_ID_REQUIRED = 79,
	KAFKA_FENCED_INSTANCE_ID = 82,
	KAFKA_INVALID_RECORD = 87,
	KAFKA_FETCH_SESSION_TOPIC_ID = 106,
	KAFKA_UNSTABLE_OFFSET_COMMIT = 88,
	KAFKA_PRODUCER_FENCED = 90,
	KAFKA_UNKNOWN_TOPIC_ID = 100,
	KAFKA_TRANSACTIONAL_ID_NOT_FOUND = 105,
	KAFKA_MISMATCHED_ENDPOINT_TYPE = 114,
	KAFKA_TRANSACTION_ABORTABLE = 120,
};

/* Bytes that were read from a connection; requests point into it. */
struct kafka_chunk {
	int refs;
	size_t cap, len;
	struct kafka_chunk *next; /* in the server's list of spare ones */
	char bytes[];
};

/* Something to do in the loop thread, handed over by another one. */
struct kafka_task {
	void (*run)(struct kafka_task *task);
	struct kafka_task *next;
};

struct kafka_request;
struct kafka_handler {
	int16_t key;
	int8_t min, max; /* the versions served and advertised */
	void (*handle)(struct kafka_request *r);
};
const struct kafka_handler *kafka_handler_find(int16_t key);
extern const struct kafka_handler kafka_handlers[];
extern const size_t kafka_handler_count;

struct kafka_conn;
struct kafka_request {
	struct kafka_conn *conn;
	struct kafka_request *next; /* in the connection's queue, or in the list of spare ones */
	enum { KAFKA_QUEUED, KAFKA_RUNNING, KAFKA_READY, KAFKA_WRITING } stage;
	struct kafka_chunk *chunk;
	struct tm_str frame;
	struct tm_kafka_request_header header;
	const struct tm_kafka_api *api;
	const struct kafka_handler *handler;
	int version;
	bool flexible, silent, poison; /* silent: no answer; poison: close the connection when its turn comes */
	struct tm_arena arena;
	void *in, *out;        /* the decoded request, the answer */
	struct tm_buf answer;  /* frame length, header, body */
	struct tm_buf records; /* of a Fetch: what the splices point to */
	struct tm_kafka_splices splices;
	uv_write_t write;
	/* of a handler that answers later */
	void *state;
	struct kafka_task task;
	void (*resume)(struct kafka_request *r);    /* runs in the loop after kafka_resume */
	void (*abandoned)(struct kafka_request *r); /* the connection closed while the request waits; NULL = it will be resumed anyhow */
	struct kafka_request *wait_next, *wait_prev;
	int64_t deadline_ms; /* on the monotonic clock */
};

struct kafka_fetch_session;
struct kafka_conn {
	uv_tcp_t tcp;
	struct tm_kafka_server *server;
	struct kafka_conn *next, *prev;
	struct kafka_chunk *chunk;
	size_t parsed; /* up to here the chunk's frames became requests */
	struct kafka_request *head, *tail;
	struct kafka_request *queued; /* the first that was not started; all behind it are not either */
	size_t active, active_other;  /* started and not being written yet; those that are no Produce */
	size_t held_bytes;            /* of a request that is not whole yet, as counted in the server */
	size_t queued_bytes, unanswered;
	bool closing, closed, paused, touched;
	char host[64]; /* what the client is told to connect to */
	int port;
	const struct tm_topic *wrote_to; /* last; only compared */
	struct tm_kafka_connection info;
};

struct tm_kafka_server {
	struct tm_log *log;
	const struct tm_env *env;
	struct tm_kafka_options options;
	struct tm_groups *groups;
	size_t group_writes; /* under way */
	struct tm_transactions *transactions;
	char *host, *advertised_host, *published_host, *log_dir;
	int port;
	uv_loop_t loop;
	uv_tcp_t listener, published;
	uv_async_t wake;
	uv_timer_t timer;
	pthread_t thread;
	uv_sem_t started;
	tm_rc start_rc;
	struct tm_err start_err;
	struct kafka_conn *conns;
	size_t conn_count;
	struct kafka_chunk *spare_chunks;
	size_t spare_chunk_bytes;
	size_t held_bytes; /* half-received requests of all connections */
	struct kafka_request *spare_requests;
	size_t spare_request_count, spare_answer_bytes;
	struct kafka_request *waiting; /* Fetches that wait for data */
	struct kafka_fetch_session *sessions;
	size_t session_count;
	struct tm_log_watch *watch;
	int64_t say_storage_ms; /* not before: a word about a full disk */
	bool stopping;
	/* crossing threads */
	pthread_mutex_t lock; /* rank: leaf; guards tasks, conns' info and writers */
	struct {
		struct tm_kafka_writer *items;
		size_t count, cap;
	} writers;
	struct kafka_task *tasks, **tasks_end;
	int watching, changed, stop; /* atomic */
};

int64_t kafka_now_ms(const struct tm_kafka_server *s); /* monotonic */
/* Answers a request, from the loop thread, once. */
void kafka_reply(struct kafka_request *r);
/* Closes the connection without an answer, with a word in the log. */
void kafka_refuse(struct kafka_request *r, const char *why);
/* Keeps what a client says of itself, for people to read: whatever is no plain character becomes a question mark. */
void kafka_conn_name(struct kafka_conn *c, char *out, size_t size, struct tm_str text);
/* The client of a Produce writes to this topic. */
void kafka_writers_note(struct kafka_request *r, const struct tm_topic *topic);
/* From any thread: r->resume runs in the loop. */
void kafka_resume(struct kafka_request *r);
void kafka_task_post(struct tm_kafka_server *s, struct kafka_task *task);
/* The loop's timer must fire at this monotonic time or earlier. */
void kafka_timer_at(struct tm_kafka_server *s, int64_t at_ms);
/* Looks again at the waiting Fetches (all, or those past their time). */
void kafka_fetch_waiting_check(struct tm_kafka_server *s);
void kafka_fetch_sessions_done(struct tm_kafka_server *s);
int64_t kafka_fetch_next_deadline(const struct tm_kafka_server *s); /* INT64_MAX = none */

/* A topic by name, or by id where by_id; NULL = none. A reference. */
struct tm_topic *kafka_topic(struct tm_kafka_server *s, struct tm_str name, const struct tm_kafka_uuid *id, bool by_id);
bool kafka_partition_ok(const struct tm_topic *t, int32_t partition);
struct tm_kafka_uuid kafka_topic_id(const struct tm_topic *t);
/* Kafka's error code of a failed call. */
int16_t kafka_code(tm_rc rc, const struct tm_err *err);
/* Kafka's words for an error code; NULL for none. */
struct tm_str kafka_error_text(int code);

/* ---- the group coordinator's host (coordinator.c) ---- */
tm_rc kafka_coordinator_start(struct tm_kafka_server *s, struct tm_err *err) TM_CHECKED;
void kafka_coordinator_done(struct tm_kafka_server *s);
tm_rc kafka_transactions_start(struct tm_kafka_server *s, struct tm_err *err) TM_CHECKED;
bool kafka_coordinator_busy(const struct tm_kafka_server *s); /* writes are under way */
void kafka_coordinator_tick(struct tm_kafka_server *s);
/* A one-partition internal topic, made when it is first needed. A reference. */
tm_rc kafka_internal_topic(struct tm_kafka_server *s, const char *name, struct tm_topic **ret, struct tm_err *err) TM_CHECKED;
tm_rc kafka_internal_replay(struct tm_kafka_server *s, const char *name,
			    tm_rc (*batch)(void *ctx, const struct tm_batch_info *b, struct tm_err *err), void *ctx,
			    struct tm_err *err) TM_CHECKED;

/* Old message formats (magic 0 and 1). */
bool kafka_is_old_format(struct tm_str records);
/* Message sets to record batches v2; what is appended to out. */
tm_rc kafka_up_convert(struct tm_str messages, struct tm_arena *arena, struct tm_buf *out, struct tm_err *err) TM_CHECKED;
/* Record batches v2 to a message set of magic 0 or 1, from the record at `from` on. */
tm_rc kafka_down_convert(struct tm_str batches, int magic, int64_t from, struct tm_arena *arena, struct tm_buf *out,
			 struct tm_err *err) TM_CHECKED;

/* clang-format off */
#define KAFKA_HANDLERS(X) \
	X(api_versions) X(produce) X(fetch) X(list_offsets) X(metadata) X(describe_cluster) X(find_coordinator) X(join_group) \
	X(sync_group) X(heartbeat) X(leave_group) X(describe_groups) X(list_groups) X(delete_groups) X(offset_commit) \
	X(offset_fetch) X(offset_delete) X(create_topics) X(delete_topics) X(create_partitions) X(delete_records) \
	X(describe_configs) X(alter_configs) X(incremental_alter_configs) X(list_config_resources) X(describe_topic_partitions) \
	X(describe_log_dirs) X(describe_producers) X(offset_for_leader_epoch) X(init_producer_id) X(add_partitions_to_txn) \
	X(add_offsets_to_txn) X(end_txn) X(txn_offset_commit) X(describe_transactions) X(list_transactions) X(sasl_handshake) \
	X(sasl_authenticate) X(describe_acls) X(create_acls) X(delete_acls) X(create_delegation_token) X(renew_delegation_token) \
	X(expire_delegation_token) X(describe_delegation_token) X(elect_leaders) X(list_partition_reassignments) \
	X(alter_partition_reassignments) X(alter_replica_log_dirs)
/* clang-format on */
#define X(name) void kafka_##name(struct kafka_request *r);
KAFKA_HANDLERS(X)
#undef X
#endif
