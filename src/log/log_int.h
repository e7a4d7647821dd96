/* log, inside: how a log, its topics, partitions and segments look in memory.
 *
 * Locks, in rank order (a thread may take a later one while it holds an earlier one, never the other way):
 *   1 log->catalogue   which topics there are, their configs as text
 *   2 partition->lock  all fields of a partition and its segments
 *   3 log->marks.lock  the file of marks
 *   4 log->commit.lock queues of the committer
 *   5 log->watch_lock, log->findings_lock
 *
 * Offsets of a partition: start <= durable <= end; what readers see ends at hw, which is `durable`, or `end` where the
 * topic opted out of fsync-before-ack (flush.messages, flush.ms). */
#ifndef TM_LOG_LOG_INT_H
#define TM_LOG_LOG_INT_H
#include <pthread.h>
#include "log/batch.h"
#include "log/config.h"
#include "log/log.h"

enum {
	TM_KAFKA_OFFSET_OUT_OF_RANGE = 1,
	TM_KAFKA_UNKNOWN_TOPIC = 3,
	TM_KAFKA_TOO_LARGE = 10,
	TM_KAFKA_INVALID_TOPIC = 17,
	TM_KAFKA_INVALID_TIMESTAMP = 32,
	TM_KAFKA_TOPIC_EXISTS = 36,
	TM_KAFKA_INVALID_PARTITIONS = 37,
	TM_KAFKA_INVALID_CONFIG = 40,
	TM_KAFKA_POLICY_VIOLATION = 44,
	TM_KAFKA_OUT_OF_ORDER = 45,
	TM_KAFKA_INVALID_EPOCH = 47,
	TM_KAFKA_INVALID_TXN_STATE = 48,
	TM_KAFKA_TXN_ID_DENIED = 53,
	TM_KAFKA_STORAGE = 56,
};
#define TM_LOG_MAX_PARTITIONS 10000 /* of one topic; Kafka refuses larger requests */
#define TM_LOG_PATH_MAX 4096

/* ---- a segment: <base offset>.log with its indexes ---- */
struct tm_segment {
	int64_t base_offset;
	int64_t size;      /* bytes of whole batches */
	int64_t synced;    /* bytes known to be durable */
	int64_t unchecked; /* bytes below come from an earlier process: their CRC is checked when they are read */
	int64_t first_timestamp_ms, max_timestamp_ms, max_timestamp_offset; /* -1 = none; known once loaded */
	int64_t indexed_timestamp_ms;                                       /* of the last entry of .timeindex */
	int64_t since_index;                                                /* bytes since the last entry of .index */
	int64_t walked_to;                                                  /* behind the last offset that was seen when it was loaded */
	int64_t used_ns;                                                    /* when a file was last used, for closing idle ones */
	uint32_t index_entries, time_entries;
	bool loaded;
	struct tm_index_tail *tail; /* index entries that are not written yet; NULL = none */
	int fd, index_fd, time_fd;  /* -1 = not open */
	int refs;                   /* atomic; the list's own and one per reader */
	char *path;                 /* without the suffix */
};
struct tm_segment *tm_segment_new(const char *dir, int64_t base_offset);
struct tm_segment *tm_segment_ref(struct tm_segment *s);
void tm_segment_unref(struct tm_segment *s);
/* Opens .log (made when missing, if create). */
tm_rc tm_segment_open(const struct tm_env *env, struct tm_segment *s, bool create, struct tm_err *err) TM_CHECKED;
/* Reads what the indexes say: entries, largest timestamp. Rebuilds them when they cannot be right:
 * *ret_rebuilt becomes true then, and is left alone else (here and below). */
tm_rc tm_segment_load(const struct tm_env *env, struct tm_segment *s, bool *ret_rebuilt, struct tm_err *err) TM_CHECKED;
tm_rc tm_segment_rebuild(const struct tm_env *env, struct tm_segment *s, struct tm_err *err) TM_CHECKED;
/* Accounts for a batch that was written at `position`: indexes, timestamps. A failing index is no error: it is rebuilt later. */
void tm_segment_account(const struct tm_env *env, struct tm_segment *s, const struct tm_batch_info *b, int64_t position,
			int32_t interval_bytes);
/* Where to start looking for offset: the position of a batch at or before it. Rebuilds a broken index (*ret_rebuilt). */
tm_rc tm_segment_seek(const struct tm_env *env, struct tm_segment *s, int64_t offset, int64_t *ret_position, bool *ret_rebuilt,
		      struct tm_err *err) TM_CHECKED;
/* The same for the first record with a timestamp >= timestamp_ms. */
tm_rc tm_segment_seek_time(const struct tm_env *env, struct tm_segment *s, int64_t timestamp_ms, int64_t *ret_position, bool *ret_rebuilt,
			   struct tm_err *err) TM_CHECKED;
/* The head of the batch at position; TM_NOT_FOUND at the end, TM_CORRUPT when it cannot be one. */
tm_rc tm_segment_head(const struct tm_env *env, struct tm_segment *s, int64_t position, struct tm_batch_info *ret,
		      struct tm_err *err) TM_CHECKED;
void tm_segment_begin_anew(struct tm_segment *s);
/* Before a segment is rolled or the log closed: the last time index entry; then fdatasync of both indexes. */
tm_rc tm_segment_seal(const struct tm_env *env, struct tm_segment *s, struct tm_err *err) TM_CHECKED;
void tm_segment_close_files(struct tm_segment *s);
void tm_segment_remove_files(const struct tm_env *env, struct tm_segment *s);
tm_rc tm_segment_cut(const struct tm_env *env, struct tm_segment *s, int64_t size, struct tm_err *err) TM_CHECKED;

/* ---- producers of a partition ---- */
enum { TM_PRODUCER_BATCHES = 5 };
struct tm_producer {
	int64_t id, txn_first, last_timestamp_ms; /* txn_first -1 = no open transaction */
	int32_t coordinator_epoch;
	int16_t epoch;
	uint8_t count; /* of batches, oldest first */
	struct {
		int64_t base_offset, timestamp_ms;
		int32_t first_sequence, last_sequence;
	} batches[TM_PRODUCER_BATCHES];
};
struct tm_aborted {
	int64_t producer_id, first_offset, last_offset;
};
struct tm_closing {
	int64_t first_offset, marker_offset;
};
struct tm_producers {
	struct tm_producer **slots; /* open addressing by id; cap is a power of two */
	size_t count, cap;
	size_t open_transactions;
	struct {
		struct tm_aborted *items;
		size_t count, cap;
	} aborted; /* by last_offset */
	struct {
		struct tm_closing *items;
		size_t count, cap;
	} closing; /* ended, but the marker may not be durable yet */
};
void tm_producers_done(struct tm_producers *ps);
void tm_producers_reset(struct tm_producers *ps);
struct tm_producer *tm_producers_find(const struct tm_producers *ps, int64_t id);
/* 0, or Kafka's error code. *ret_duplicate is the index among the producer's batches, or -1. */
int tm_producers_check(const struct tm_producers *ps, const struct tm_batch_info *b, int *ret_duplicate);
/* Takes a batch that is in the log into account. marker: the records of a control batch say commit or abort.
 * Returns true when a transaction was aborted by it (ps->aborted has grown). */
bool tm_producers_apply(struct tm_producers *ps, const struct tm_batch_info *b);
int64_t tm_producers_first_open(struct tm_producers *ps,
				int64_t hw); /* first offset of the oldest transaction not ended below hw; INT64_MAX */
void tm_producers_expire(struct tm_producers *ps, int64_t before_ms);
void tm_producers_encode(const struct tm_producers *ps, struct tm_buf *out);
tm_rc tm_producers_decode(struct tm_producers *ps, struct tm_str bytes, struct tm_err *err) TM_CHECKED;

/* ---- a partition ---- */
struct tm_partition {
	pthread_mutex_t lock;
	struct tm_log *log;
	struct tm_topic *topic;
	int32_t number;
	char *dir;
	int64_t start, durable, hw, end;
	int64_t hw_base, hw_position; /* where hw is: segment and bytes */
	struct {
		struct tm_segment **items;
		size_t count, cap;
	} segments;     /* by base offset; the last is the active one */
	bool dir_dirty; /* a file was made; the folder is to be synced before anything is acknowledged */
	bool failed;    /* an fsync failed: nothing is acknowledged until the next start */
	bool deleted;
	bool flush_due; /* of a topic that opted out: this round must sync */
	int64_t unflushed_messages, unflushed_since_ms;
	struct tm_producers producers;
	int64_t snapshot_offset; /* of the newest .producers file, -1 = none */
	int64_t snapshot_bytes;  /* appended since then */
	int64_t cleaned_to;      /* compaction has gone over all below */
	struct {
		int64_t offset, base, position;
	} readers[8]; /* where the last reads ended: sequential readers need no index */
	unsigned next_reader;
	size_t mark;                     /* its slot in the file of marks */
	struct tm_partition *next_dirty; /* under commit.lock */
	bool queued;
};
static inline struct tm_segment *tm_partition_active(struct tm_partition *p)
{
	return p->segments.count ? p->segments.items[p->segments.count - 1] : NULL;
}
tm_rc tm_partition_new(struct tm_topic *topic, int32_t number, struct tm_partition **ret, struct tm_err *err) TM_CHECKED;
void tm_partition_free(struct tm_partition *p);
size_t tm_partition_segment_of(const struct tm_partition *p, int64_t offset);         /* index of the segment that may hold offset */
int64_t tm_partition_limit(const struct tm_partition *p, const struct tm_segment *s); /* readable bytes of s */
tm_rc tm_partition_roll(struct tm_partition *p, struct tm_err *err) TM_CHECKED;       /* a new active segment at p->end */
tm_rc tm_partition_recover(struct tm_partition *p, bool clean, struct tm_err *err) TM_CHECKED;
tm_rc tm_partition_snapshot(struct tm_partition *p, struct tm_err *err) TM_CHECKED; /* .producers at p->end, older ones removed */
tm_rc tm_partition_load_producers(struct tm_partition *p, struct tm_err *err) TM_CHECKED;
tm_rc tm_partition_txnindex_add(struct tm_partition *p, struct tm_segment *s, const struct tm_aborted *a, struct tm_err *err) TM_CHECKED;
int64_t tm_partition_last_stable(struct tm_partition *p);
/* Moves the start forward; whole segments below it are removed. */
void tm_partition_move_start(struct tm_partition *p, int64_t start);
void tm_partition_drop_front(struct tm_partition *p, size_t segments);
void tm_partition_retain(struct tm_partition *p, int64_t now_ms);
tm_rc tm_partition_compact(struct tm_partition *p, bool force, struct tm_err *err) TM_CHECKED;
bool tm_partition_finish_swaps(struct tm_partition *p, char **names, size_t count);
int64_t tm_partition_size(struct tm_partition *p);

/* ---- a topic ---- */
struct tm_topic {
	struct tm_log *log;
	int refs; /* atomic */
	bool deleted;
	char *name;
	uint8_t id[16];
	int64_t created_ms;
	struct {
		struct tm_log_config *items;
		size_t count, cap;
	} configs;                        /* texts owned; under log->catalogue */
	struct tm_settings *settings;     /* atomic; replaced whole, the old ones wait in `old` */
	struct tm_partition **partitions; /* atomic; the same */
	int32_t partition_count;          /* atomic */
	struct {
		void **items;
		size_t count, cap;
	} old;
};
static inline const struct tm_settings *tm_topic_settings(const struct tm_topic *t)
{
	return __atomic_load_n(&t->settings, __ATOMIC_ACQUIRE);
}
static inline struct tm_partition *tm_topic_partition(const struct tm_topic *t, int32_t i)
{
	int32_t n = __atomic_load_n(&t->partition_count, __ATOMIC_ACQUIRE);
	return i >= 0 && i < n ? __atomic_load_n(&t->partitions, __ATOMIC_ACQUIRE)[i] : NULL;
}
tm_rc tm_topics_load(struct tm_log *log, bool clean, struct tm_err *err) TM_CHECKED;

/* ---- marks: one slot per partition with what a crash must not take back ---- */
struct tm_mark {
	uint8_t id[16];
	int32_t partition;
	int64_t durable, base, position, start, cleaned_to;
	bool no_producers; /* no idempotent producer had state then: nothing before is to be replayed */
};
struct tm_found_mark {
	struct tm_mark mark;
	size_t slot;
}; /* the mark is first: sorted by it */
struct tm_marks {
	pthread_mutex_t lock;
	int fd;
	size_t slots; /* in the file */
	struct {
		size_t *items;
		size_t count, cap;
	} free_slots;
	struct {
		struct tm_found_mark *items;
		size_t count, cap;
	} found; /* at open, sorted; freed after recovery */
	bool dirty;
};
tm_rc tm_marks_open(struct tm_log *log, struct tm_err *err) TM_CHECKED;
void tm_marks_close(struct tm_log *log);
bool tm_marks_find(struct tm_log *log, const uint8_t id[16], int32_t partition, struct tm_mark *ret, size_t *ret_slot);
void tm_marks_recovered(struct tm_log *log); /* what was found and not asked for is free */
size_t tm_marks_take(struct tm_log *log);
void tm_marks_drop(struct tm_log *log, size_t slot);
tm_rc tm_marks_put(struct tm_partition *p, struct tm_err *err) TM_CHECKED; /* the partition's lock is held */
tm_rc tm_marks_sync(struct tm_log *log, struct tm_err *err) TM_CHECKED;

/* ---- the committer ---- */
struct tm_waiter {
	struct tm_waiter *next;
	struct tm_log_append *parts;
	size_t count;
	void (*done)(void *ctx);
	void *ctx;
};
struct tm_event {
	struct tm_topic *topic;
};
struct tm_sync_job {
	struct tm_partition *partition;
	struct tm_segment *segment;
	int64_t size;
	int rc;
};
struct tm_commit {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread, helpers[3];
	bool running, stop;
	struct tm_partition *dirty;
	struct tm_waiter *waiters, **waiters_end;
	struct {
		struct tm_event *items;
		size_t count, cap;
	} events;
	/* one round's fdatasyncs, shared with the helpers */
	pthread_mutex_t jobs_lock;
	pthread_cond_t jobs_wake, jobs_done;
	struct tm_sync_job *jobs;
	size_t job_count, job_next, job_finished, helper_count;
	bool helpers_stop;
};
tm_rc tm_commit_start(struct tm_log *log, struct tm_err *err) TM_CHECKED;
void tm_commit_stop(struct tm_log *log); /* after a last round */
void tm_commit_dirty(struct tm_partition *p);
void tm_commit_wait(struct tm_log *log, struct tm_waiter *w);
void tm_commit_event(struct tm_log *log, struct tm_topic *topic);

/* ---- the log ---- */
struct tm_log_watch {
	struct tm_log_watch *next;
	void (*changed)(void *ctx, struct tm_topic *topic, int32_t partition);
	void *ctx;
};
struct tm_log {
	const struct tm_env *env;
	char *dir;
	int lock_fd;
	struct tm_log_options options;
	pthread_rwlock_t catalogue;
	struct {
		struct tm_topic **items;
		size_t count, cap;
	} topics; /* by name */
	struct tm_marks marks;
	struct tm_commit commit;
	pthread_mutex_t watch_lock;
	struct tm_log_watch *watches;
	pthread_mutex_t ids_lock; /* rank: alone */
	int64_t next_producer_id, producer_ids_end;
	pthread_mutex_t findings_lock;
	struct {
		char **items;
		size_t count, cap;
	} findings;
	pthread_t keeper; /* retention, compaction, snapshots, flush.ms */
	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_wake;
	bool keeper_running, keeper_stop;
};
void tm_log_notify(struct tm_log *log, struct tm_topic *topic, int32_t partition);
/* Something on disk is not as it should be: said once as an error line, kept for tm_log_findings. */
void tm_log_found(struct tm_log *log, const char *fmt, ...) TM_PRINTF(2, 3);
tm_rc tm_keeper_start(struct tm_log *log, struct tm_err *err) TM_CHECKED;
void tm_keeper_stop(struct tm_log *log);
/* Text files of ours: a first line "<kind> 1", lines, and a last line "crc32c <hex>" over all before it. */
tm_rc tm_log_text_read(struct tm_log *log, const char *name, const char *kind, struct tm_buf *ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_log_text_write(struct tm_log *log, const char *name, const char *kind, struct tm_str lines, struct tm_err *err) TM_CHECKED;
#endif
