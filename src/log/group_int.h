/* The inside of the groups. Everything is under groups->lock (rank: above all locks of the log, since the host may append
 * under it); answers are collected and given after it is released. */
#ifndef TM_LOG_GROUP_INT_H
#define TM_LOG_GROUP_INT_H
#include <pthread.h>
#include "log/group.h"

enum {
	GROUP_COORDINATOR_NOT_AVAILABLE = 15,
	GROUP_ILLEGAL_GENERATION = 22,
	GROUP_INCONSISTENT_PROTOCOL = 23,
	GROUP_INVALID_ID = 24,
	GROUP_UNKNOWN_MEMBER = 25,
	GROUP_INVALID_SESSION_TIMEOUT = 26,
	GROUP_REBALANCE_IN_PROGRESS = 27,
	GROUP_METADATA_TOO_LARGE = 12,
	GROUP_NON_EMPTY = 68,
	GROUP_NOT_FOUND = 69,
	GROUP_MEMBER_ID_REQUIRED = 79,
	GROUP_FENCED_INSTANCE = 82,
	GROUP_SUBSCRIBED = 86,
	GROUP_UNSTABLE_OFFSET = 88,
};
enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

typedef void (*group_join_answer)(void *ctx, const struct tm_group_joined *joined);
typedef void (*group_sync_answer)(void *ctx, const struct tm_group_synced *synced);

struct member {
	struct tm_str id, instance, client_id, client_host, protocol_type, assignment,
	    next_assignment; /* each malloc'd; instance.at NULL = dynamic */
	struct {
		struct tm_group_protocol *items;
		size_t count, cap;
	} protocols;
	int32_t session_timeout_ms, rebalance_timeout_ms;
	int64_t expires_ms;            /* without a sign of life until then; not while it waits for an answer */
	group_join_answer join_answer; /* waits for the others to join */
	void *join_ctx;
	group_sync_answer sync_answer; /* waits for the leader's assignment */
	void *sync_ctx;
	bool joining; /* has joined the coming generation, also when its connection is gone */
	bool synced;  /* has asked for its assignment of this generation */
	bool skip_assignment_known;
	struct member *next;
};
struct pending_member {
	struct tm_str id;
	int64_t expires_ms;
};
struct committed {
	struct tm_str topic, metadata; /* malloc'd */
	int32_t partition, leader_epoch;
	int64_t offset, commit_ms, expire_ms;
	int64_t producer_id; /* in `unstable` */
};
struct group {
	struct tm_str id, protocol_type, protocol, leader; /* malloc'd; protocol.at NULL = none */
	enum group_state state;
	int32_t generation;
	struct member *members; /* in the order of joining */
	size_t member_count;
	struct {
		struct pending_member *items;
		size_t count, cap;
	} pending; /* ids that were given and not used yet */
	struct {
		struct committed *items;
		size_t count, cap;
	} offsets; /* by topic and partition */
	struct {
		struct committed *items;
		size_t count, cap;
	} unstable;                    /* of open transactions */
	int64_t rebalance_deadline_ms; /* of PREPARING: joining ends; of COMPLETING: syncing ends */
	int64_t state_since_ms;        /* wall clock of the state, as it is written */
	uint64_t assign_ticket;        /* the assignment is on its way to the topic; 0 = none */
	bool written;                  /* the topic has a record of it */
	bool initial;                  /* the first joins of an empty group: ends by delay, not by completeness */
	struct group *next;            /* in its slot */
};

enum { GROUP_SLOTS = 1024 };
struct pending_write {
	uint64_t ticket;
	char *records; /* the batch, applied when durable */
	size_t records_bytes;
	struct tm_str group; /* malloc'd */
	int32_t generation;
	enum { WRITE_STATE, WRITE_ASSIGN, WRITE_COMMIT, WRITE_DELETE, WRITE_DELETE_GROUP } kind;
	struct tm_group_offset *offsets; /* of a commit or delete: where errors go */
	size_t offset_count;
	void (*done)(void *ctx);
	void (*done_error)(void *ctx, int error);
	void *ctx;
	struct pending_write *next;
};
/* An answer that is given when the lock is released. */
struct group_answer {
	struct group_answer *next;
	struct tm_arena arena; /* holds what the answer points to, and the answer */
	group_join_answer join;
	group_sync_answer sync;
	void (*done)(void *ctx);
	void (*done_error)(void *ctx, int error);
	void *ctx;
	int error;
	struct tm_group_joined joined;
	struct tm_group_synced synced;
};
struct tm_groups {
	pthread_mutex_t lock;
	struct tm_groups_options options;
	struct group *slots[GROUP_SLOTS];
	size_t count;
	struct pending_write *writes;
	struct group_answer *answers, **answers_end;
	struct {
		struct tm_buf *items;
		size_t count, cap;
	} spare;
	uint64_t next_ticket;
	int64_t next_expiry_ms;
	struct pending_write *to_append, **to_append_end; /* handed to the host when the lock is released */
};

void group_lock(struct tm_groups *gs);
/* Releases the lock, then hands batches to the host and gives the answers. */
void group_unlock(struct tm_groups *gs);
struct group *group_find(struct tm_groups *gs, struct tm_str id);
struct group *group_make(struct tm_groups *gs, struct tm_str id);
void group_remove(struct tm_groups *gs, struct group *g);
struct member *group_member(struct group *g, struct tm_str id);
struct member *group_instance(struct group *g, struct tm_str instance);
void group_members_free(struct group *g);
void group_str_set(struct tm_str *s, struct tm_str value); /* frees the old, copies the new; NULL stays NULL */
const char *group_state_name(enum group_state s);
/* 0, or why this member may not speak for the group. */
int group_member_check(struct group *g, struct tm_str member, struct tm_str instance, struct member **ret);

/* Writing. Records become one batch; the write is applied and answered in tm_groups_appended. */
struct group_writer {
	struct {
		struct tm_record *items;
		size_t count, cap;
	} records;
	struct tm_arena arena;
};
void group_writer_init(struct group_writer *w);
void group_write_offset(struct group_writer *w, struct tm_str group, const struct tm_group_offset *o);
void group_write_offset_gone(struct group_writer *w, struct tm_str group, struct tm_str topic, int32_t partition);
void group_write_metadata(struct group_writer *w, const struct group *g, bool next_assignments, int64_t wall_ms);
void group_write_gone(struct group_writer *w, struct tm_str group);
struct pending_write *group_write(struct tm_groups *gs, struct group_writer *w, int kind, struct tm_str group, int64_t producer_id,
				  int16_t producer_epoch);
tm_rc group_batch_apply(struct tm_groups *gs, const struct tm_batch_info *batch, bool replay, struct tm_err *err) TM_CHECKED;
void group_offset_put(struct group *g, const struct committed *c);
void group_offset_drop(struct group *g, struct tm_str topic, int32_t partition);
struct committed *group_offset_find(struct group *g, struct tm_str topic, int32_t partition);
void group_offsets_free(struct group *g);
void group_transaction_end(struct tm_groups *gs, int64_t producer_id, bool committed);
int64_t group_offsets_expire(struct tm_groups *gs, int64_t wall_ms);

void group_assigned(struct tm_groups *gs, struct group *g, int error, int64_t now_ms);
#endif
