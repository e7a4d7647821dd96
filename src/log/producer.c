/* Idempotent producers of one partition (KIP-98): the last batches of each, to tell duplicates from gaps, and open
 * transactions. The same function takes a batch into account when it is appended and when it is read again at start, so
 * live state and replay cannot differ. */
#include <stdlib.h>
#include "log/log_int.h"

static size_t slot_of(const struct tm_producers *ps, int64_t id)
{
	size_t i = tm_hash_u64((uint64_t)id) & (ps->cap - 1);
	while (ps->slots[i] && ps->slots[i]->id != id)
		i = (i + 1) & (ps->cap - 1);
	return i;
}

struct tm_producer *tm_producers_find(const struct tm_producers *ps, int64_t id) { return ps->cap ? ps->slots[slot_of(ps, id)] : NULL; }

static struct tm_producer *add(struct tm_producers *ps, int64_t id)
{
	if ((ps->count + 1) * 4 > ps->cap * 3) {
		struct tm_producers bigger = {.cap = ps->cap ? ps->cap * 2 : 4};
		bigger.slots = tm_zalloc(tm_mul_size(bigger.cap, sizeof *bigger.slots));
		for (size_t i = 0; i < ps->cap; i++)
			if (ps->slots[i])
				bigger.slots[slot_of(&bigger, ps->slots[i]->id)] = ps->slots[i];
		free(ps->slots);
		ps->slots = bigger.slots;
		ps->cap = bigger.cap;
	}
	struct tm_producer *p = tm_zalloc(sizeof *p);
	*p = (struct tm_producer){.id = id, .txn_first = -1, .coordinator_epoch = -1, .epoch = -1};
	ps->slots[slot_of(ps, id)] = p;
	ps->count++;
	return p;
}

void tm_producers_reset(struct tm_producers *ps)
{
	for (size_t i = 0; i < ps->cap; i++)
		free(ps->slots[i]);
	free(ps->slots);
	ps->slots = NULL;
	ps->cap = ps->count = ps->open_transactions = 0;
	ps->aborted.count = ps->closing.count = 0;
}

void tm_producers_done(struct tm_producers *ps)
{
	tm_producers_reset(ps);
	free(ps->aborted.items);
	free(ps->closing.items);
	*ps = (struct tm_producers){0};
}

static int32_t last_sequence(const struct tm_batch_info *b)
{
	uint32_t last = (uint32_t)b->base_sequence + (uint32_t)b->last_offset_delta;
	return (int32_t)(last & INT32_MAX); /* wraps behind the largest int to 0 */
}

int tm_producers_check(const struct tm_producers *ps, const struct tm_batch_info *b, int *ret_duplicate)
{
	const struct tm_producer *p = tm_producers_find(ps, b->producer_id);
	*ret_duplicate = -1;
	if (!p)
		return 0; /* never seen, or forgotten: any sequence is right */
	if (b->producer_epoch < p->epoch)
		return TM_KAFKA_INVALID_EPOCH;
	if (b->base_sequence < 0) /* a coordinator's, within a client's transaction: it counts no sequences, and none is a duplicate */
		return 0;
	if (b->producer_epoch > p->epoch)
		return b->base_sequence == 0 ? 0 : TM_KAFKA_OUT_OF_ORDER;
	int32_t last = last_sequence(b);
	for (int i = 0; i < p->count; i++)
		if (p->batches[i].first_sequence == b->base_sequence && p->batches[i].last_sequence == last) {
			*ret_duplicate = i;
			return 0;
		}
	if (p->txn_first >= 0 && !b->transactional)
		return TM_KAFKA_INVALID_TXN_STATE;
	int32_t want = p->count == 0 ? 0 : (int32_t)(((uint32_t)p->batches[p->count - 1].last_sequence + 1) & INT32_MAX);
	return b->base_sequence == want ? 0 : TM_KAFKA_OUT_OF_ORDER;
}

static void take_batch(struct tm_producer *p, const struct tm_batch_info *b)
{
	if (p->count == TM_PRODUCER_BATCHES) {
		memmove(&p->batches[0], &p->batches[1], sizeof p->batches[0] * (TM_PRODUCER_BATCHES - 1));
		p->count--;
	}
	p->batches[p->count].base_offset = b->base_offset;
	p->batches[p->count].timestamp_ms = b->max_timestamp_ms;
	p->batches[p->count].first_sequence = b->base_sequence;
	p->batches[p->count].last_sequence = last_sequence(b);
	p->count++;
}

/* The end-of-transaction marker in a control batch: 0 abort, 1 commit, -1 something else. */
static int marker_of(const struct tm_batch_info *b, int32_t *ret_coordinator_epoch)
{
	struct tm_arena arena;
	struct tm_record *records;
	size_t count;
	int type = -1;
	tm_arena_init(&arena);
	if (b->records.at && tm_batch_records(b, &arena, &records, &count, NULL) == TM_OK && count == 1 && records[0].key.len >= 4) {
		type = tm_be16_at(records[0].key.at + 2);
		if (records[0].value.len >= 6)
			*ret_coordinator_epoch = tm_be32_at(records[0].value.at + 2);
	}
	tm_arena_done(&arena);
	return type == 0 || type == 1 ? type : -1;
}

bool tm_producers_apply(struct tm_producers *ps, const struct tm_batch_info *b)
{
	if (b->producer_id < 0)
		return false;
	int32_t coordinator_epoch = -1;
	int marker = b->control ? marker_of(b, &coordinator_epoch) : -1;
	if (b->control && marker < 0)
		return false;
	struct tm_producer *p = tm_producers_find(ps, b->producer_id);
	if (!p)
		p = add(ps, b->producer_id);
	if (b->producer_epoch != p->epoch)
		p->count = 0;
	p->epoch = b->producer_epoch;
	p->last_timestamp_ms = b->max_timestamp_ms;
	if (!b->control) {
		if (b->base_sequence >= 0)
			take_batch(p, b);
		if (b->transactional && p->txn_first < 0) {
			p->txn_first = b->base_offset;
			ps->open_transactions++;
		}
		return false;
	}
	p->coordinator_epoch = coordinator_epoch;
	if (p->txn_first < 0)
		return false;
	TM_PUSH(&ps->closing, (struct tm_closing){p->txn_first, b->base_offset});
	if (marker == 0)
		TM_PUSH(&ps->aborted, (struct tm_aborted){p->id, p->txn_first, b->base_offset});
	p->txn_first = -1;
	ps->open_transactions--;
	return marker == 0;
}

int64_t tm_producers_first_open(struct tm_producers *ps, int64_t hw)
{
	int64_t first = INT64_MAX;
	size_t kept = 0;
	for (size_t i = 0; i < ps->closing.count; i++) {
		struct tm_closing c = ps->closing.items[i];
		if (c.marker_offset < hw)
			continue; /* durable: done with */
		ps->closing.items[kept++] = c;
		if (c.first_offset < first)
			first = c.first_offset;
	}
	ps->closing.count = kept;
	for (size_t i = 0; ps->open_transactions && i < ps->cap; i++)
		if (ps->slots[i] && ps->slots[i]->txn_first >= 0 && ps->slots[i]->txn_first < first)
			first = ps->slots[i]->txn_first;
	return first;
}

void tm_producers_expire(struct tm_producers *ps, int64_t before_ms)
{
	struct tm_producer **old = ps->slots;
	size_t cap = ps->cap, left = 0;
	for (size_t i = 0; i < cap; i++)
		if (old[i] && old[i]->txn_first < 0 && old[i]->last_timestamp_ms < before_ms)
			left++;
	if (left == 0)
		return;
	ps->slots = tm_zalloc(tm_mul_size(cap, sizeof *ps->slots));
	ps->count = 0;
	for (size_t i = 0; i < cap; i++) {
		if (old[i] && old[i]->txn_first < 0 && old[i]->last_timestamp_ms < before_ms) {
			free(old[i]);
		} else if (old[i]) {
			ps->slots[slot_of(ps, old[i]->id)] = old[i];
			ps->count++;
		}
	}
	free(old);
}

/* ---- snapshots: magic, version, CRC-32C of the rest, count, producers ---- */
static const char magic[4] = {'T', 'M', 'P', 'R'};
enum { VERSION = 1, HEAD = 12 };

void tm_producers_encode(const struct tm_producers *ps, struct tm_buf *out)
{
	size_t start = out->len;
	tm_buf_put(out, magic, 4);
	tm_buf_be32(out, VERSION);
	tm_buf_be32(out, 0);
	tm_buf_be32(out, (uint32_t)ps->count);
	for (size_t i = 0; i < ps->cap; i++) {
		const struct tm_producer *p = ps->slots[i];
		if (!p)
			continue;
		tm_buf_be64(out, (uint64_t)p->id);
		tm_buf_be16(out, (uint16_t)p->epoch);
		tm_buf_be32(out, (uint32_t)p->coordinator_epoch);
		tm_buf_be64(out, (uint64_t)p->txn_first);
		tm_buf_be64(out, (uint64_t)p->last_timestamp_ms);
		tm_buf_u8(out, p->count);
		for (int k = 0; k < p->count; k++) {
			tm_buf_be64(out, (uint64_t)p->batches[k].base_offset);
			tm_buf_be64(out, (uint64_t)p->batches[k].timestamp_ms);
			tm_buf_be32(out, (uint32_t)p->batches[k].first_sequence);
			tm_buf_be32(out, (uint32_t)p->batches[k].last_sequence);
		}
	}
	tm_be32_set(out->at + start + 8, (int32_t)tm_crc32c(0, out->at + start + HEAD, out->len - start - HEAD));
}

tm_rc tm_producers_decode(struct tm_producers *ps, struct tm_str bytes, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	struct tm_str m = tm_cursor_take(&c, 4);
	uint32_t version = tm_cursor_be32(&c), crc = tm_cursor_be32(&c);
	if (!tm_cursor_ok(&c) || memcmp(m.at, magic, 4) != 0)
		return tm_fail(err, TM_CORRUPT, "not a snapshot of producers");
	if (version != VERSION)
		return tm_fail(err, TM_CORRUPT, "a snapshot of producers of version %u; this program writes %d", version, VERSION);
	if (crc != tm_crc32c(0, c.at, tm_cursor_left(&c)))
		return tm_fail(err, TM_CORRUPT, "a snapshot of producers with a wrong checksum");
	uint32_t count = tm_cursor_be32(&c);
	for (uint32_t i = 0; i < count && tm_cursor_ok(&c); i++) {
		int64_t id = (int64_t)tm_cursor_be64(&c);
		struct tm_producer p = {.id = id};
		p.epoch = (int16_t)tm_cursor_be16(&c);
		p.coordinator_epoch = (int32_t)tm_cursor_be32(&c);
		p.txn_first = (int64_t)tm_cursor_be64(&c);
		p.last_timestamp_ms = (int64_t)tm_cursor_be64(&c);
		p.count = tm_cursor_u8(&c);
		if (!tm_cursor_ok(&c) || p.count > TM_PRODUCER_BATCHES || tm_producers_find(ps, id)) {
			c.bad = true;
			break;
		}
		for (int k = 0; k < p.count; k++) {
			p.batches[k].base_offset = (int64_t)tm_cursor_be64(&c);
			p.batches[k].timestamp_ms = (int64_t)tm_cursor_be64(&c);
			p.batches[k].first_sequence = (int32_t)tm_cursor_be32(&c);
			p.batches[k].last_sequence = (int32_t)tm_cursor_be32(&c);
		}
		if (!tm_cursor_ok(&c))
			break;
		*add(ps, id) = p;
		ps->open_transactions += p.txn_first >= 0;
	}
	if (!tm_cursor_ok(&c) || tm_cursor_left(&c)) {
		tm_producers_reset(ps);
		return tm_fail(err, TM_CORRUPT, "a snapshot of producers that does not hold what it says");
	}
	return TM_OK;
}
