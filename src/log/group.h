/* Groups of consumers: members, generations, committed offsets. A state machine without I/O, clock or threads of its own: the
 * host hands in requests and the time, carries its records to the topic __consumer_offsets, and is told what to answer.
 *
 * Committed offsets and the generation of a group exist only as records of that topic: a change is written first and takes
 * effect when the host reports that it is durable, by the same code that replays the topic at start. So replay equals live.
 *
 * States of a group, as Kafka's classic protocol has them: Empty -> PreparingRebalance (members join) -> CompletingRebalance
 * (the leader assigns) -> Stable -> … -> Dead (deleted).
 *
 * Every function may be called from any thread; answers are given from the calling thread after the inner lock is released,
 * so that an answer may call back in. Error codes are Kafka's. */
#ifndef TM_LOG_GROUP_H
#define TM_LOG_GROUP_H
#include "base/base.h"
#include "log/record.h"

#define TM_GROUP_TOPIC "__consumer_offsets"

struct tm_groups;
struct tm_groups_options {
	void *ctx;
	/* Append this batch (uncompressed; valid during the call) and report by tm_groups_appended with the ticket, once. May report
	 * before it returns. */
	void (*append)(void *ctx, struct tm_str batch, uint64_t ticket);
	int64_t min_session_ms, max_session_ms;         /* 0 = Kafka's 6 s and 30 min */
	int64_t initial_delay_ms;                       /* group.initial.rebalance.delay.ms */
	int64_t offsets_retention_ms;                   /* 0 = Kafka's 7 days */
	size_t max_metadata_bytes;                      /* 0 = Kafka's 4096 */
	void (*random)(void *ctx, void *out, size_t n); /* for member ids */
	int64_t (*wall_ms)(void *ctx);                  /* time of day, for what is written; now_ms elsewhere never goes back */
};
struct tm_groups *tm_groups_new(const struct tm_groups_options *options);
void tm_groups_free(struct tm_groups *groups);

/* Replay at start: every batch of the topic in order; then members' sessions begin anew. */
tm_rc tm_groups_replay(struct tm_groups *groups, const struct tm_batch_info *batch, struct tm_err *err) TM_CHECKED;
void tm_groups_replay_end(struct tm_groups *groups, int64_t now_ms);

/* Time has come: returns when to call again at the latest (INT64_MAX = not at all until something else is called). */
int64_t tm_groups_tick(struct tm_groups *groups, int64_t now_ms);
void tm_groups_appended(struct tm_groups *groups, uint64_t ticket, int error, int64_t now_ms);
/* Answers for this ctx are no longer wanted: its connection is gone. */
void tm_groups_forget(struct tm_groups *groups, void *ctx);

/* ---- membership ---- */
struct tm_group_protocol {
	struct tm_str name, metadata;
};
struct tm_group_join {
	struct tm_str group, member, instance; /* instance.at NULL = a dynamic member */
	struct tm_str client_id, client_host, protocol_type;
	const struct tm_group_protocol *protocols;
	size_t protocol_count;
	int32_t session_timeout_ms, rebalance_timeout_ms;
	bool member_id_required;    /* JoinGroup 4 and later */
	bool skip_assignment_known; /* JoinGroup 9 and later */
};
struct tm_group_member {
	struct tm_str member, instance, client_id, client_host, metadata, assignment;
};
struct tm_group_joined {
	int error;
	int32_t generation;
	struct tm_str protocol_type, protocol, leader, member; /* at NULL where not known */
	const struct tm_group_member *members;                 /* to the leader */
	size_t member_count;
	bool skip_assignment;
};
void tm_groups_join(struct tm_groups *groups, const struct tm_group_join *join, int64_t now_ms,
		    void (*answer)(void *ctx, const struct tm_group_joined *joined), void *ctx);
struct tm_group_assignment {
	struct tm_str member, assignment;
};
struct tm_group_sync {
	struct tm_str group, member, instance;
	int32_t generation;
	bool check_protocol; /* SyncGroup 5 and later */
	struct tm_str protocol_type, protocol;
	const struct tm_group_assignment *assignments;
	size_t assignment_count;
};
struct tm_group_synced {
	int error;
	struct tm_str protocol_type, protocol, assignment;
};
void tm_groups_sync(struct tm_groups *groups, const struct tm_group_sync *sync, int64_t now_ms,
		    void (*answer)(void *ctx, const struct tm_group_synced *synced), void *ctx);
int tm_groups_heartbeat(struct tm_groups *groups, struct tm_str group, struct tm_str member, struct tm_str instance, int32_t generation,
			int64_t now_ms);
/* Of one member; by instance where given. */
int tm_groups_leave(struct tm_groups *groups, struct tm_str group, struct tm_str member, struct tm_str instance, int64_t now_ms);

/* ---- offsets ---- */
struct tm_group_offset {
	struct tm_str topic;
	int32_t partition, leader_epoch;
	int64_t offset, commit_ms, expire_ms; /* expire_ms -1 = by the retention of the group */
	struct tm_str metadata;
	uint8_t topic_id[16]; /* zero = unknown */
	int error;            /* result of a commit or delete; of a fetch: UNSTABLE_OFFSET_COMMIT */
};
struct tm_group_commit {
	struct tm_str group, member, instance;
	int32_t generation;              /* -1 and no member: from outside the group */
	struct tm_group_offset *offsets; /* must stay until the answer; those with an error are left out */
	size_t offset_count;
	int64_t producer_id; /* -1 = no transaction */
	int16_t producer_epoch;
};
void tm_groups_commit(struct tm_groups *groups, const struct tm_group_commit *commit, int64_t now_ms, void (*answer)(void *ctx), void *ctx);
/* The transaction of this producer ended: its offsets count, or are forgotten. Call it when the marker is durable. */
void tm_groups_transaction_end(struct tm_groups *groups, int64_t producer_id, bool committed);
/* Fills offset, leader_epoch, metadata, commit_ms of each named partition (-1 where nothing is committed). */
void tm_groups_fetch(struct tm_groups *groups, struct tm_str group, bool require_stable, struct tm_group_offset *offsets, size_t count,
		     struct tm_arena *arena);
/* All of a group, by topic and partition. */
size_t tm_groups_fetch_all(struct tm_groups *groups, struct tm_str group, bool require_stable, struct tm_arena *arena,
			   struct tm_group_offset **ret);
/* answer gets the group's error; each offset has its own. subscribed says whether the group's members read a topic. */
void tm_groups_offsets_delete(struct tm_groups *groups, struct tm_str group, struct tm_group_offset *offsets, size_t count, int64_t now_ms,
			      void (*answer)(void *ctx, int error), void *ctx);
/* A topic was deleted: so are the offsets that groups committed in it. */
void tm_groups_topic_deleted(struct tm_groups *groups, struct tm_str topic, int64_t now_ms);
void tm_groups_delete(struct tm_groups *groups, struct tm_str group, int64_t now_ms, void (*answer)(void *ctx, int error), void *ctx);

/* ---- looking ---- */
struct tm_group_info {
	struct tm_str group, state, protocol_type, protocol;
	int32_t generation;
	const struct tm_group_member *members;
	size_t member_count;
};
/* All groups by name, without members' bytes unless asked; in the arena. */
size_t tm_groups_list(struct tm_groups *groups, bool with_members, struct tm_arena *arena, struct tm_group_info **ret);
bool tm_groups_describe(struct tm_groups *groups, struct tm_str group, struct tm_arena *arena, struct tm_group_info *ret);
#endif
