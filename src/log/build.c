/* Building record batches v2. Uncompressed batches are written straight into the output, with one reservation. */
#include "log/batch.h"
#include "log/codec.h"

static inline char *put_varint(char *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (char)(v | 0x80);
		v >>= 7;
	}
	*p++ = (char)v;
	return p;
}
static inline char *put_zigzag(char *p, int64_t v) { return put_varint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }

static inline size_t varint_size(uint64_t v) { return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1; }
static inline size_t zigzag_size(int64_t v) { return varint_size((uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }

static inline size_t field_size(struct tm_str s, bool null) { return null ? 1 : zigzag_size((int64_t)s.len) + s.len; }
static inline char *put_field(char *p, struct tm_str s, bool null)
{
	if (null)
		return put_zigzag(p, -1);
	p = put_zigzag(p, (int64_t)s.len);
	if (s.len)
		memcpy(p, s.at, s.len);
	return p + s.len;
}

static size_t body_size(const struct tm_record *r, int64_t time_delta, int64_t offset_delta)
{
	size_t n = 1 + zigzag_size(time_delta) + zigzag_size(offset_delta) + field_size(r->key, r->key_null) +
		   field_size(r->value, r->value_null) + zigzag_size((int64_t)r->header_count);
	for (size_t i = 0; i < r->header_count; i++)
		n += field_size(r->headers[i].key, false) + field_size(r->headers[i].value, r->headers[i].value_null);
	return n;
}

static void put_record(struct tm_buf *out, const struct tm_record *r, int64_t offset_delta, int64_t base_timestamp_ms)
{
	int64_t time_delta = (int64_t)((uint64_t)r->timestamp_ms - (uint64_t)base_timestamp_ms);
	size_t n = body_size(r, time_delta, offset_delta);
	char *p = put_zigzag(tm_buf_reserve(out, n + 10), (int64_t)n);
	*p++ = 0; /* attributes: none are defined */
	p = put_zigzag(p, time_delta);
	p = put_zigzag(p, offset_delta);
	p = put_field(p, r->key, r->key_null);
	p = put_field(p, r->value, r->value_null);
	p = put_zigzag(p, (int64_t)r->header_count);
	for (size_t i = 0; i < r->header_count; i++) {
		p = put_field(p, r->headers[i].key, false);
		p = put_field(p, r->headers[i].value, r->headers[i].value_null);
	}
	out->len = (size_t)(p - out->at);
}

static void put_head(char *h, const struct tm_batch_compose *c, size_t bytes, size_t count)
{
	tm_be64_set(h + TM_BATCH_BASE_OFFSET, c->base_offset);
	tm_be32_set(h + TM_BATCH_LENGTH, (int32_t)(bytes - TM_BATCH_BEFORE_LENGTH));
	tm_be32_set(h + TM_BATCH_LEADER_EPOCH, c->leader_epoch);
	h[TM_BATCH_MAGIC] = 2;
	tm_be16_set(h + TM_BATCH_ATTRIBUTES, (int16_t)(c->attributes | (int16_t)c->codec));
	tm_be32_set(h + TM_BATCH_LAST_OFFSET_DELTA, c->last_offset_delta);
	tm_be64_set(h + TM_BATCH_BASE_TIMESTAMP, c->base_timestamp_ms);
	tm_be64_set(h + TM_BATCH_MAX_TIMESTAMP, c->max_timestamp_ms);
	tm_be64_set(h + TM_BATCH_PRODUCER_ID, c->producer_id);
	tm_be16_set(h + TM_BATCH_PRODUCER_EPOCH, c->producer_epoch);
	tm_be32_set(h + TM_BATCH_BASE_SEQUENCE, c->base_sequence);
	tm_be32_set(h + TM_BATCH_COUNT, (int32_t)count);
	tm_be32_set(h + TM_BATCH_CRC, (int32_t)tm_crc32c(0, h + TM_BATCH_ATTRIBUTES, bytes - TM_BATCH_ATTRIBUTES));
}

static void put_records(struct tm_buf *out, const struct tm_batch_compose *head, const struct tm_record *records, size_t count,
			bool by_index)
{
	for (size_t i = 0; i < count; i++)
		put_record(out, &records[i], by_index ? (int64_t)i : (int64_t)((uint64_t)records[i].offset - (uint64_t)head->base_offset),
			   head->base_timestamp_ms);
}

/* by_index: offsets are base_offset + index, whatever the records say. */
static tm_rc compose(const struct tm_batch_compose *head, const struct tm_record *records, size_t count, bool by_index, struct tm_buf *out,
		     struct tm_err *err)
{
	if (count > INT32_MAX)
		return tm_fail(err, TM_LIMIT, "%zu records do not fit into one batch", count);
	size_t start = out->len;
	tm_buf_extend(out, TM_BATCH_HEAD);
	tm_rc rc = TM_OK;
	if (head->codec == TM_CODEC_NONE) {
		put_records(out, head, records, count, by_index);
	} else {
		struct tm_buf plain = {0};
		put_records(&plain, head, records, count, by_index);
		rc = tm_codec_pack(head->codec, head->level, tm_buf_str(&plain), out, err);
		tm_buf_done(&plain);
	}
	size_t bytes = out->len - start;
	if (rc == TM_OK && bytes > INT32_MAX)
		rc = tm_fail(err, TM_LIMIT, "a batch of %zu bytes is too large", bytes);
	if (rc != TM_OK) {
		out->len = start;
		return rc;
	}
	put_head(out->at + start, head, bytes, count);
	return TM_OK;
}

struct tm_batch_compose tm_batch_compose_as(const struct tm_batch_info *b)
{
	return (struct tm_batch_compose){.codec = b->codec,
					 .level = TM_CODEC_LEVEL_DEFAULT,
					 .attributes = (int16_t)(b->attributes & ~TM_ATTR_CODEC),
					 .base_offset = b->base_offset,
					 .base_timestamp_ms = b->base_timestamp_ms,
					 .max_timestamp_ms = b->max_timestamp_ms,
					 .producer_id = b->producer_id,
					 .leader_epoch = b->leader_epoch,
					 .last_offset_delta = b->last_offset_delta,
					 .base_sequence = b->base_sequence,
					 .producer_epoch = b->producer_epoch};
}

tm_rc tm_batch_compose(const struct tm_batch_compose *head, const struct tm_record *records, size_t count, struct tm_buf *out,
		       struct tm_err *err)
{
	return compose(head, records, count, false, out, err);
}

tm_rc tm_batch_write(const struct tm_batch_build *build, const struct tm_record *records, size_t count, struct tm_buf *out,
		     struct tm_err *err)
{
	if (count == 0)
		return tm_fail(err, TM_INVALID, "a batch without records");
	bool producer = build->producer_id >= 0;
	struct tm_batch_compose head = {
	    .codec = build->codec,
	    .level = TM_CODEC_LEVEL_DEFAULT,
	    .attributes = build->transactional ? TM_ATTR_TRANSACTIONAL : 0,
	    .base_offset = build->base_offset,
	    .base_timestamp_ms = records[0].timestamp_ms,
	    .max_timestamp_ms = records[0].timestamp_ms,
	    .producer_id = producer ? build->producer_id : -1,
	    .producer_epoch = producer ? build->producer_epoch : -1,
	    .base_sequence = producer ? build->base_sequence : -1,
	    .leader_epoch = -1,
	    .last_offset_delta = (int32_t)(count - 1),
	};
	for (size_t i = 1; i < count; i++)
		if (records[i].timestamp_ms > head.max_timestamp_ms)
			head.max_timestamp_ms = records[i].timestamp_ms;
	return compose(&head, records, count, true, out, err);
}
