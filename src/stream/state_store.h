/* Keyed state on disk: a change log per operator and shard. A commit appends one chunk per shard it touched (all changed entries of
 * the shard side by side), which costs a fraction of an entry each in the store; when a shard's log has grown past what lives in
 * it, the commit rewrites that shard alone, so that no commit pays for the whole state.
 * Keys in area "stream": <query> 0x00 's' <operator, 4 bytes> <shard, 1 byte> <sequence, 8 bytes>, big-endian. A chunk is sealed; its
 * entries are: 1 key-length key value-length value (put), or 0 key-length key (delete); lengths as unsigned LEB128. */
#ifndef TM_STREAM_STATE_STORE_H
#define TM_STREAM_STATE_STORE_H
#include "base/base.h"

enum { TM_STATE_SHARDS = 32 };
struct tm_state_shard {
	struct tm_buf pending;        /* entries of the commit at work */
	uint64_t first, next;         /* sequences of its chunks: first..next-1 */
	size_t base_bytes, log_bytes; /* of the last rewrite; of all chunks after it */
};
struct tm_state_store {
	struct tm_state_shard shards[TM_STATE_SHARDS];
};

void tm_state_store_put(struct tm_state_store *s, struct tm_str key, struct tm_str value);
void tm_state_store_delete(struct tm_state_store *s, struct tm_str key);
void tm_state_store_done(struct tm_state_store *s);

struct tm_store;
struct tm_table_batch;
/* Writes what is pending into the commit. prefix: the key up to and with the operator. */
tm_rc tm_state_store_flush(struct tm_state_store *s, struct tm_store *store, struct tm_table_batch *commit, struct tm_str prefix,
			   struct tm_err *err) TM_CHECKED;
/* Calls each(key, value) for every live entry. Bookkeeping for later flushes is made. */
tm_rc tm_state_store_restore(struct tm_state_store *s, struct tm_store *store, struct tm_str prefix,
			     tm_rc (*each)(void *ctx, struct tm_str key, struct tm_str value, struct tm_err *err), void *ctx,
			     struct tm_err *err) TM_CHECKED;
#endif
