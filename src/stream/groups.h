/* A hash table from key columns to fixed-size groups: aggregation, DISTINCT, deduplication, set operations and keyed state.
 * Open addressing over 8-byte slots (group number and hash); groups lie in chunks and never move, so a pointer to one stays
 * good until it is removed. Keys of fixed width (numbers, dates, windows) are packed into the group; a single string is kept
 * as it is; everything else as its encoded bytes. Equality is grouping equality: null = null, NaN = NaN, -0.0 = 0.0. */
#ifndef TM_STREAM_GROUPS_H
#define TM_STREAM_GROUPS_H
#include "column/column.h"

struct tm_group {
	uint32_t next;  /* free for the owner: link to another group, by number */
	uint32_t flags; /* free for the owner */
			/* the key, then the owner's bytes */
};
struct tm_groups_slot {
	uint32_t number;
	uint32_t hash;
}; /* number + 1; 0 = free */
enum tm_groups_mode { TM_GROUPS_FIXED, TM_GROUPS_STRING, TM_GROUPS_BLOB };
struct tm_groups {
	enum tm_groups_mode mode;
	const struct tm_type **types;
	size_t key_count;
	bool null_word; /* FIXED: the first word holds null bits */
	size_t key_bytes, payload_at, group_bytes;
	struct tm_groups_slot *slots;
	size_t slot_mask, count; /* live groups */
	char **chunks;
	size_t chunk_count, chunk_cap, chunk_shift;
	uint32_t used;      /* numbers given out so far */
	uint32_t free_head; /* number + 1 of a freed group, linked by next; 0 = none */
	struct tm_buf scratch;
};
#define TM_GROUP_FREE UINT32_MAX /* flags of a group that is not in use */

/* payload_bytes are zeroed in a new group; payload_align is 8 or 16. types must outlive the table. nullable NULL = all are. */
void tm_groups_init(struct tm_groups *g, const struct tm_type *const *types, const bool *nullable, size_t key_count, size_t payload_bytes,
		    size_t payload_align);
void tm_groups_done(struct tm_groups *g);
void tm_groups_clear(struct tm_groups *g);

/* Finds or makes the group of each row; ret[i] is its number; fresh (rows bytes, may be NULL) gets 1 where it was made. */
void tm_groups_upsert(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, uint32_t *ret,
		      uint8_t *fresh);
/* Finds only; UINT32_MAX where there is none. */
void tm_groups_find(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, uint32_t *ret);
void tm_groups_remove(struct tm_groups *g, uint32_t number);

static inline struct tm_group *tm_groups_at(const struct tm_groups *g, uint32_t number)
{
	return (struct tm_group *)(g->chunks[number >> g->chunk_shift] + (number & (((uint32_t)1 << g->chunk_shift) - 1)) * g->group_bytes);
}
static inline void *tm_groups_payload(const struct tm_groups *g, uint32_t number)
{
	return (char *)tm_groups_at(g, number) + g->payload_at;
}
static inline bool tm_groups_live(const struct tm_groups *g, uint32_t number) { return tm_groups_at(g, number)->flags != TM_GROUP_FREE; }

/* The key columns of n groups; strings are views into the table. */
void tm_groups_keys(const struct tm_groups *g, struct tm_arena *arena, const uint32_t *numbers, size_t n, struct tm_column *ret);
/* A group's key as bytes, for a checkpoint, appended to out; and back (false: not a key of this table). */
void tm_groups_key_bytes(const struct tm_groups *g, uint32_t number, struct tm_buf *out);
bool tm_groups_insert_bytes(struct tm_groups *g, struct tm_str bytes, uint32_t *ret_number, bool *ret_fresh);
size_t tm_groups_memory(const struct tm_groups *g); /* bytes, long keys aside */
#endif
