/* A query's commits as entries of a journal (base/journal.h), and entries of a journal as what a query finds in the store. */
#ifndef TM_STREAM_JOURNAL_H
#define TM_STREAM_JOURNAL_H
#include "base/base.h"

struct tm_store;
/* Puts what a journal holds into a store of this instance, before queries start there or while another instance runs them. */
struct tm_stream_replica;
tm_rc tm_stream_replica_new(struct tm_store *store, struct tm_stream_replica **ret, struct tm_err *err) TM_CHECKED;
void tm_stream_replica_free(struct tm_stream_replica *r);
/* Forgets all queries' checkpoints and states: what comes from the journal is the whole truth. */
tm_rc tm_stream_replica_clear(struct tm_stream_replica *r, struct tm_err *err) TM_CHECKED;
/* An entry whose key begins with 's'. TM_CORRUPT where it is not one of ours. */
tm_rc tm_stream_replica_apply(struct tm_stream_replica *r, const struct tm_journal_entry *entry, struct tm_err *err) TM_CHECKED;
/* What was applied, into the store. */
tm_rc tm_stream_replica_commit(struct tm_stream_replica *r, struct tm_err *err) TM_CHECKED;
/* Gives the store's checkpoints and states to a journal that is empty: a project that gets a coordinator goes on where it was. *ret_count:
 * entries. */
tm_rc tm_stream_journal_seed(struct tm_store *store, struct tm_journal *journal, size_t *ret_count, struct tm_err *err) TM_CHECKED;
#endif
