/* The inside of the journal in topics: shared by journal.c (topics, reading, taking over) and journal_write.c. */
#ifndef TM_KAFKA_JOURNAL_INT_H
#define TM_KAFKA_JOURNAL_INT_H
#include "kafka/broker_kafka_int.h"
#include "kafka/journal.h"

enum { KJ_STATE, KJ_DATED, KJ_TOPICS };
enum { KJ_SLICE_MS = 100, KJ_SAY_AFTER_MS = 1000 };

struct kj_commit { /* one caller's, on its stack until it is done */
	const struct tm_journal_entry *entries;
	size_t count;
	bool done;
	struct tm_err *err;
	tm_rc rc;
	struct kj_commit *next;
};
struct kj_writer {
	struct tm_journal journal; /* first */
	struct tm_kafka_journal *j;
	rd_kafka_t *rk;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* rank: below the stream's and the dag's */
	pthread_cond_t changed;
	struct kj_commit *waiting, **waiting_end;
	bool stop, fenced; /* fenced: for good */
};
struct tm_kafka_journal {
	struct tm_kafka_journal_options options;
	struct tm_arena arena;
	struct tm_broker *broker; /* for its address and options */
	const char *topics[KJ_TOPICS], *transactional_id;
	/* reading */
	rd_kafka_t *rk;
	rd_kafka_topic_t *handles[KJ_TOPICS];
	rd_kafka_queue_t *queue;
	int64_t next[KJ_TOPICS]; /* behind what was read */
	uint64_t seen;           /* entries of state */
	struct kj_writer writer;
	char said[300]; /* what is waited for, as told last */
};
static inline bool kj_leads(const struct tm_kafka_journal *j) { return !j->options.leads || j->options.leads(j->options.ctx); }
void kj_waits(struct tm_kafka_journal *j, const char *what);

/* journal_write.c */
tm_rc kj_writer_open(struct tm_kafka_journal *j, struct tm_err *err) TM_CHECKED; /* fences */
void kj_writer_close(struct tm_kafka_journal *j);
#endif
