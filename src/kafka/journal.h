/* A project's journal (base/journal.h) in two topics of a real Kafka, one partition each: `__tidemill_checkpoint_<name>`, compacted, holds
 * what is true of each key; `__tidemill_dead_letters_<name>`, kept for 30 days, what is dated. One commit is one transaction over both.
 *
 * The fence: the transactional.id is the project's. Who becomes the leader initialises it anew, which gives it a higher epoch at the broker
 * and aborts what its predecessor had under way; from then on the broker refuses whatever the predecessor still sends. Only then the topics
 * are read to their end: nothing can come behind it but what the new leader writes. */
#ifndef TM_KAFKA_JOURNAL_H
#define TM_KAFKA_JOURNAL_H
#include "base/base.h"

struct tm_kafka_journal;
struct tm_kafka_journal_options {
	struct tm_str address; /* kafka://… */
	struct tm_str name;    /* of the project: letters, digits, '.', '_', '-' */
	/* Still the leader, and sure of it? Asked right before each transaction and while waiting. NULL = always. */
	bool (*leads)(void *ctx);
	void (*waits)(void *ctx, const char *what); /* for people, from any thread; "" = it goes on. NULL = nobody */
	void *ctx;
};
/* Checks address and name; connects to nothing. One thread reads and leads; commits come from any. */
tm_rc tm_kafka_journal_new(const struct tm_kafka_journal_options *options, struct tm_kafka_journal **ret, struct tm_err *err) TM_CHECKED;
void tm_kafka_journal_free(struct tm_kafka_journal *j); /* NULL is fine */

typedef tm_rc tm_kafka_journal_each(void *ctx, const struct tm_journal_entry *entries, size_t count, struct tm_err *err);
/* Gives what came since the last call to each, waiting at most wait_ms for the first of it. Committed transactions only. The topics are
 * made where they are missing. TM_UNAVAILABLE: the broker is away; the same again. */
tm_rc tm_kafka_journal_read(struct tm_kafka_journal *j, int64_t wait_ms, tm_kafka_journal_each *each, void *ctx,
			    struct tm_err *err) TM_CHECKED;
/* Fences the predecessor, then reads to the end; waits for the broker as long as leads() is true, else TM_CANCELLED. *ret_empty: no
 * entry was ever seen. Afterwards the writer may be used. */
tm_rc tm_kafka_journal_lead(struct tm_kafka_journal *j, tm_kafka_journal_each *each, void *ctx, bool *ret_empty,
			    struct tm_err *err) TM_CHECKED;
struct tm_journal *tm_kafka_journal_writer(struct tm_kafka_journal *j);
/* Another one has taken over: the writer takes no more. */
bool tm_kafka_journal_fenced(struct tm_kafka_journal *j);
#endif
