/* A batch that runs again after a crash, written by an idempotent producer without transactions: which of its records are in the
 * topics already? Looked for from where the last committed batch ended, else from the batch's own time on. A record is recognised by
 * key, value, headers and timestamp; the timestamp is the batch's, of which no two of a query are the same. */
#include "kafka/broker_kafka_int.h"
#include <stdlib.h>

enum { SLACK_MS = 60000 }; /* between our clock and the broker's, for topics that keep the broker's time */

struct wanted { /* records of the batch by their hash, open addressing */
	const struct tm_record **slots;
	size_t *numbers; /* of the record in the batch */
	size_t mask;
};

static uint64_t hash_of(struct tm_str key, bool key_null, struct tm_str value, bool value_null)
{
	uint64_t h = key_null ? 1 : tm_xxh3(key.at, key.len, 2);
	return value_null ? h * 31 + 1 : tm_xxh3(value.at, value.len, h);
}

static void index_batch(const struct tm_broker_batch *batch, struct tm_arena *arena, struct wanted *ret, size_t *ret_total)
{
	size_t total = 0, cap = 16;
	for (size_t p = 0; p < batch->part_count; p++)
		total += batch->parts[p].count;
	while (cap < total * 2)
		cap *= 2;
	*ret = (struct wanted){TM_NEW_N(arena, const struct tm_record *, cap), TM_NEW_N(arena, size_t, cap), cap - 1};
	for (size_t p = 0, number = 0; p < batch->part_count; p++)
		for (size_t i = 0; i < batch->parts[p].count; i++, number++) {
			const struct tm_record *r = &batch->parts[p].records[i];
			size_t at = hash_of(r->key, r->key_null, r->value, r->value_null) & ret->mask;
			while (ret->slots[at])
				at = (at + 1) & ret->mask;
			ret->slots[at] = r;
			ret->numbers[at] = number;
		}
	*ret_total = total;
}

static bool same(const struct tm_record *r, const struct tm_broker_records *all, size_t i)
{
	if (r->key_null != !all->keys[i].at || r->value_null != !all->values[i].at || r->header_count != all->header_counts[i])
		return false;
	if (!all->append_time[i] && r->timestamp_ms * 1000 != all->timestamps_us[i])
		return false;
	if (!tm_str_eq(r->key, all->keys[i]) || !tm_str_eq(r->value, all->values[i]))
		return false;
	for (size_t h = 0; h < r->header_count; h++) {
		const struct tm_header *a = &r->headers[h], *b = &all->headers[i][h];
		if (!tm_str_eq(a->key, b->key) || a->value_null != b->value_null || !tm_str_eq(a->value, b->value))
			return false;
	}
	return true;
}

static void look_up(const struct wanted *wanted, const struct tm_broker_records *all, uint8_t *written)
{
	for (size_t i = 0; i < all->count; i++) {
		size_t at = hash_of(all->keys[i], !all->keys[i].at, all->values[i], !all->values[i].at) & wanted->mask;
		for (; wanted->slots[at]; at = (at + 1) & wanted->mask)
			if (!written[wanted->numbers[at]] && same(wanted->slots[at], all, i)) {
				written[wanted->numbers[at]] = 1;
				break;
			}
	}
}

static tm_rc look_through(struct kafka_broker *b, struct tm_broker_reader *reader, struct tm_str topic, int32_t partition,
			  const struct tm_broker_batch *batch, const struct tm_offsets *ends, const struct wanted *wanted, uint8_t *written,
			  struct tm_err *err)
{
	struct tm_offset at = {topic, partition, -1};
	struct tm_broker_bounds bounds;
	TM_TRY(reader->klass->bounds(reader, &(struct tm_offsets){&at, 1, 1}, &bounds, err));
	for (size_t i = 0; i < ends->count; i++)
		if (ends->items[i].partition == partition && tm_str_eq(ends->items[i].topic, topic))
			at.offset = ends->items[i].offset;
	if (at.offset < 0) {
		TM_TRY(b->b.klass->offset_for_time(&b->b, topic, partition, batch->now_us / 1000 - SLACK_MS, &at.offset, err));
		if (at.offset < 0)
			return TM_OK; /* nothing is that new */
	}
	if (at.offset < bounds.start)
		at.offset = bounds.start;
	while (at.offset < bounds.end) {
		struct tm_broker_records got;
		TM_TRY(reader->klass->read(reader, &at, bounds.end, &got, &at.offset, err));
		look_up(wanted, &got, written);
	}
	return TM_OK;
}

tm_rc kb_written(struct kafka_broker *b, const struct tm_broker_batch *batch, const struct tm_offsets *ends,
		 const struct tm_broker_caller *caller, struct tm_arena *arena, uint8_t **ret_written, struct tm_err *err)
{
	const struct tm_option committed[] = {{TM_STR("kafka.isolation.level"), TM_STR("read_committed")}};
	const struct tm_broker_reader_options how = {
	    .options = committed, .option_count = 1, .headers = true, .caller = {caller->ctx, caller->stopping, caller->waits, NULL}};
	struct wanted wanted;
	size_t total;
	index_batch(batch, arena, &wanted, &total);
	uint8_t *written = TM_NEW_N(arena, uint8_t, total + 1);
	struct tm_broker_reader *reader;
	TM_TRY(kb_reader(&b->b, &how, &reader, err));
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < batch->part_count && !rc; i++) {
		bool seen = false; /* all partitions of the topic at its first part: since then it may have grown */
		for (size_t k = 0; k < i; k++)
			seen |= tm_str_eq(batch->parts[k].topic, batch->parts[i].topic);
		struct tm_broker_topic topic;
		if (!seen)
			rc = b->b.klass->topic(&b->b, batch->parts[i].topic, &topic, err);
		for (int32_t p = 0; !seen && !rc && p < topic.partitions; p++)
			rc = look_through(b, reader, batch->parts[i].topic, p, batch, ends, &wanted, written, err);
	}
	tm_broker_reader_free(reader);
	if (!rc) {
		size_t n = 0;
		for (size_t i = 0; i < total; i++)
			n += written[i];
		if (n)
			tm_say(TM_SAY_INFO, "kafka", "%zu of %zu records of batch %lld were written before the restart", n, total,
			       (long long)batch->batch_id);
		*ret_written = written;
	}
	return rc;
}
