/* log: durable, partitioned topics with Kafka's semantics and file layout, without any network.
 * Record batches (magic 2) are stored as they came; base offset and leader epoch are patched, the CRC-32C is checked.
 * Threads: every function may be called from any thread. What is acknowledged is on disk (group commit: one fdatasync
 * round serves all waiters), unless the topic opts out by Kafka's flush.messages / flush.ms. The high-water mark of a
 * partition is its durable end: readers never see what a crash could take back. */
#ifndef TM_LOG_LOG_H
#define TM_LOG_LOG_H
#include "base/base.h"

struct tm_log;
struct tm_topic; /* reference-counted */

struct tm_log_options {
	const struct tm_env *env;   /* NULL = the real machine */
	int32_t default_partitions; /* num.partitions; 0 = 1 */
	bool auto_create_off;       /* auto.create.topics.enable=false */
	const char *broker_host;    /* only for tools; the door advertises its own */
};
/* Takes an exclusive lock on dir (a second instance gets TM_BUSY), recovers, starts the committer and retention threads. */
tm_rc tm_log_open(const char *dir, const struct tm_log_options *options, struct tm_log **ret, struct tm_err *err) TM_CHECKED;
void tm_log_close(struct tm_log *log); /* makes all durable; NULL is fine */

/* ---- topics ---- */
struct tm_log_config {
	struct tm_str name, value;
}; /* Kafka's topic configs, as text */
/* tm_err.code is Kafka's error: 36 TOPIC_ALREADY_EXISTS, 17 INVALID_TOPIC_EXCEPTION, 37 INVALID_PARTITIONS, 40 INVALID_CONFIG.
 * ret (may be NULL) gets a reference. Durable when it returns. */
tm_rc tm_log_topic_create(struct tm_log *log, struct tm_str name, int32_t partitions, const struct tm_log_config *configs,
			  size_t config_count, struct tm_topic **ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_log_topic_check_name(struct tm_str name, struct tm_err *err) TM_CHECKED;
tm_rc tm_log_topic_delete(struct tm_log *log, struct tm_str name, struct tm_err *err) TM_CHECKED;
tm_rc tm_log_topic_add_partitions(struct tm_log *log, struct tm_str name, int32_t total, struct tm_err *err) TM_CHECKED;
struct tm_topic *tm_log_topic_find(struct tm_log *log, struct tm_str name);      /* a reference, or NULL */
struct tm_topic *tm_log_topic_find_id(struct tm_log *log, const uint8_t id[16]); /* a reference, or NULL */
struct tm_topic *tm_topic_ref(struct tm_topic *topic);
void tm_topic_unref(struct tm_topic *topic);
/* All topics, sorted by name; *ret is malloc'd, each a reference. */
size_t tm_log_topics(struct tm_log *log, struct tm_topic ***ret);
struct tm_str tm_topic_name(const struct tm_topic *topic);
const uint8_t *tm_topic_id(const struct tm_topic *topic); /* 16 bytes */
int32_t tm_topic_partitions(const struct tm_topic *topic);
bool tm_topic_internal(const struct tm_topic *topic); /* __consumer_offsets, __transaction_state */
/* The value in force of a Kafka topic config (default where not set), or an empty string when there is no such config. */
struct tm_str tm_topic_config(const struct tm_topic *topic, const char *name, bool *ret_is_default, struct tm_arena *arena);
tm_rc tm_log_topic_alter(struct tm_log *log, struct tm_str name, const struct tm_log_config *sets, size_t set_count,
			 const struct tm_str *deletes, size_t delete_count, bool replace_all, struct tm_err *err) TM_CHECKED;

/* ---- append ---- */
struct tm_log_append {
	struct tm_topic *topic;
	int32_t partition;
	struct tm_str batches; /* one or more record batches v2; must stay until done */
	bool from_client;      /* Produce: exactly one batch, base offset 0; control batches, wrong CRC, wrong counts and times
				* refused, max.message.bytes enforced. Else the room that made the batches vouches for them. */
	/* results */
	int64_t base_offset;        /* of the first record, -1 on error; of the first copy where it was a duplicate */
	int64_t log_append_time_ms; /* -1 unless message.timestamp.type=LogAppendTime */
	int64_t log_start_offset;
	bool duplicate; /* idempotent producer: was there already, nothing was written */
	tm_rc rc;
	int kafka_error;   /* Kafka's code, 0 = none */
	char message[120]; /* Kafka's message, empty = null */
	/* codes 32 and 87: the first bad records (by index in the batch), and the times that would have been right for 32 */
	size_t bad_record_count;
	struct {
		int32_t index;
		int64_t timestamp_ms;
	} bad_records[8];
	int64_t bad_least_timestamp_ms, bad_most_timestamp_ms;
};
/* Appends every part (each succeeds or fails alone), then calls done exactly once, when all parts that succeeded are as
 * durable as their topics ask; from the committer's thread, or from the caller's before return. done must not block.
 * durable=false (acks 0 or 1): done as soon as the parts are in the log. */
void tm_log_append(struct tm_log *log, struct tm_log_append *parts, size_t count, bool durable, void (*done)(void *ctx), void *ctx);
/* The same, waiting. Returns the first part's error. */
tm_rc tm_log_append_wait(struct tm_log *log, struct tm_log_append *parts, size_t count, struct tm_err *err) TM_CHECKED;

/* ---- read ---- */
struct tm_log_offsets {
	int64_t start, high_watermark, last_stable, end;
};
tm_rc tm_log_offsets(struct tm_topic *topic, int32_t partition, struct tm_log_offsets *ret, struct tm_err *err) TM_CHECKED;
struct tm_log_aborted {
	int64_t producer_id, first_offset;
};
struct tm_log_read {
	int64_t offset;               /* batches from the one that holds this offset on */
	size_t max_bytes;             /* whole batches up to this; the first one even when larger, if at_least_one */
	bool at_least_one, committed; /* committed: up to the last stable offset, with the list of aborted transactions */
	/* results */
	struct tm_log_offsets offsets;
	struct tm_log_aborted *aborted; /* in the arena that was given */
	size_t aborted_count;
};
/* Appends whole record batches to out. TM_INVALID with code 1 (OFFSET_OUT_OF_RANGE) outside start..high_watermark. */
tm_rc tm_log_read(struct tm_topic *topic, int32_t partition, struct tm_log_read *read, struct tm_arena *arena, struct tm_buf *out,
		  struct tm_err *err) TM_CHECKED;
/* First offset whose timestamp is >= timestamp_ms; -1 when there is none. -3 asks for the record with the largest timestamp. */
tm_rc tm_log_offset_for_time(struct tm_topic *topic, int32_t partition, int64_t timestamp_ms, int64_t *ret_offset,
			     int64_t *ret_timestamp_ms, struct tm_err *err) TM_CHECKED;
tm_rc tm_log_delete_records(struct tm_topic *topic, int32_t partition, int64_t before_offset, int64_t *ret_start,
			    struct tm_err *err) TM_CHECKED;
int64_t tm_log_partition_bytes(struct tm_topic *topic, int32_t partition);

/* ---- waiting for data ----
 * The call-back runs (from the committer's thread, must not block or call back into the log) whenever a high-water mark
 * moved or a topic was created or deleted: topic NULL = any. Several may watch. */
struct tm_log_watch;
struct tm_log_watch *tm_log_watch_add(struct tm_log *log, void (*changed)(void *ctx, struct tm_topic *topic, int32_t partition), void *ctx);
void tm_log_watch_remove(struct tm_log *log, struct tm_log_watch *watch); /* after it returns the call-back does not run */

/* ---- what the log knows ---- */
struct tm_log_producer {
	int64_t producer_id, last_timestamp_ms, txn_first_offset;
	int32_t producer_epoch, last_sequence, coordinator_epoch;
};
/* Producers with state in the partition (DescribeProducers), in the arena. */
tm_rc tm_log_producers(struct tm_topic *topic, int32_t partition, struct tm_arena *arena, struct tm_log_producer **ret, size_t *ret_count,
		       struct tm_err *err) TM_CHECKED;
/* Lines about damage found since open (rot, loss, broken index, cut tails); the strings live until close. */
size_t tm_log_findings(struct tm_log *log, const char ***ret); /* *ret is malloc'd */
/* Reads every batch of every partition and checks it; what is wrong goes to the findings. Returns the number of damaged places. */
size_t tm_log_verify(struct tm_log *log);
/* One round of housekeeping now (retention, compaction, snapshots), as the keeper's thread does it every few seconds. */
void tm_log_keep_house(struct tm_log *log, bool force_compaction);

/* ---- producers (idempotence, KIP-98) ---- */
tm_rc tm_log_producer_id(struct tm_log *log, int64_t *ret_id, struct tm_err *err) TM_CHECKED; /* never given twice, also after a crash */
#endif
