/* Transactions of producers: ids, epochs, what a transaction has written to, and how it ends. A state machine without I/O, clock
 * or threads, like the groups: the host carries records to __transaction_state and end markers to the partitions, and reports.
 * A change counts when its record is durable; the same records, replayed at start, give the same state.
 *
 * States: Empty -> Ongoing -> PrepareCommit | PrepareAbort (decided; markers are on their way) -> CompleteCommit | CompleteAbort.
 * Owned by one thread. An answer is always the last thing a function does. Error codes are Kafka's. */
#ifndef TM_LOG_TRANSACTION_H
#define TM_LOG_TRANSACTION_H
#include "base/base.h"
#include "log/record.h"

#define TM_TRANSACTION_TOPIC "__transaction_state"

struct tm_transactions;
struct tm_transaction_part {
	struct tm_str topic;
	int32_t partition;
};
struct tm_transactions_options {
	void *ctx;
	/* Append this batch (valid during the call) and report by tm_transactions_appended with the ticket, once. */
	void (*append)(void *ctx, struct tm_str batch, uint64_t ticket);
	/* Write this end marker to all the partitions and report by tm_transactions_marked with the ticket, once. */
	void (*mark)(void *ctx, const struct tm_transaction_part *parts, size_t count, struct tm_str marker, int64_t producer_id,
		     bool commit, uint64_t ticket);
	tm_rc (*producer_id)(void *ctx, int64_t *ret, struct tm_err *err);
	int64_t (*wall_ms)(void *ctx);
	int64_t max_timeout_ms; /* transaction.max.timeout.ms; 0 = Kafka's 15 min */
};
struct tm_transactions *tm_transactions_new(const struct tm_transactions_options *options);
void tm_transactions_free(struct tm_transactions *ts);
tm_rc tm_transactions_replay(struct tm_transactions *ts, const struct tm_batch_info *batch, struct tm_err *err) TM_CHECKED;
/* Transactions that were decided before the end of the last run are finished. */
void tm_transactions_replay_end(struct tm_transactions *ts);
void tm_transactions_appended(struct tm_transactions *ts, uint64_t ticket, int error);
void tm_transactions_marked(struct tm_transactions *ts, uint64_t ticket, int error);
/* Aborts what has taken too long; returns the wall clock's time of the next one, INT64_MAX = none. */
int64_t tm_transactions_tick(struct tm_transactions *ts);
/* Answers for this ctx are no longer wanted. */
void tm_transactions_forget(struct tm_transactions *ts, void *ctx);

typedef void (*tm_transaction_answer)(void *ctx, int error, int64_t producer_id, int16_t epoch);
/* InitProducerId with a transactional id: aborts what its predecessor left open, and fences it. producer_id -1 = a new process. */
void tm_transactions_init(struct tm_transactions *ts, struct tm_str id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
			  tm_transaction_answer answer, void *ctx);
/* The transaction (begun by the first of these) will write to these partitions. */
void tm_transactions_add(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch,
			 const struct tm_transaction_part *parts, size_t count, tm_transaction_answer answer, void *ctx);
/* bump: the next transaction uses the next epoch, which the answer gives (EndTxn 5). */
void tm_transactions_end(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch, bool commit, bool bump,
			 tm_transaction_answer answer, void *ctx);
/* Whether this producer's open transaction has the partition: 0, else why not (48 when not). */
int tm_transactions_check(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch, struct tm_str topic,
			  int32_t partition);

struct tm_transaction_info {
	struct tm_str id, state;
	int64_t producer_id, start_ms;
	int16_t epoch;
	int32_t timeout_ms;
	const struct tm_transaction_part *parts; /* by topic and partition */
	size_t part_count;
};
size_t tm_transactions_list(struct tm_transactions *ts, struct tm_arena *arena, struct tm_transaction_info **ret); /* by id */
bool tm_transactions_describe(struct tm_transactions *ts, struct tm_str id, struct tm_arena *arena, struct tm_transaction_info *ret);
const char *const *tm_transaction_states(size_t *ret_count);
#endif
