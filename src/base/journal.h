/* A journal outside of this machine that a commit goes to before it counts: where several instances of a project take turns, the next one
 * goes on from it. Entries are keyed: the last value of a key is what is true, and a deleted key is gone. One commit is in the journal
 * whole or not at all. The stream room and the dag room write to it and apply what is read from it; the kafka room keeps it in compacted
 * topics. Keys begin with the room's letter: 's' stream, 'd' dag. */
#ifndef TM_BASE_JOURNAL_H
#define TM_BASE_JOURNAL_H
#include "base/err.h"
#include "base/str.h"

struct tm_journal_entry {
	struct tm_str key, value;
	bool deleted; /* value is not used */
	bool dated;   /* no state, but a fact that leaves after TM_JOURNAL_DATED_DAYS; never deleted by key */
};
enum { TM_JOURNAL_DATED_DAYS = 30 };

struct tm_journal;
struct tm_journal_class {
	/* Durable when it returns TM_OK. Waits while the journal is away and this instance is still the leader. TM_CANCELLED: it is not, or
	 * not certainly: whether the entries are in the journal is not known, and the caller does nothing more. TM_LIMIT: a value is too
	 * large. */
	tm_rc (*commit)(struct tm_journal *j, const struct tm_journal_entry *entries, size_t count, struct tm_err *err);
	/* Would a commit be taken now? Quick; for what is done outside between two commits, right before it is done. */
	bool (*leads)(struct tm_journal *j);
};
struct tm_journal {
	const struct tm_journal_class *klass;
	const char *project; /* the same in all instances: what fences by name (a producer's transactional.id) is named after it */
};
static inline bool tm_journal_leads(struct tm_journal *j) { return j->klass->leads(j); }
static inline tm_rc tm_journal_commit(struct tm_journal *j, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	return j->klass->commit(j, entries, count, err);
}
#endif
