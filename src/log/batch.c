/* Reading record batches v2: the head, the checksum, the records. Every byte here comes from outside: lengths are checked
 * against what is left before anything is touched. Kafka's own words and codes are used for what is wrong (err->code). */
#include "log/batch.h"
#include "log/codec.h"

static tm_rc wrong(struct tm_err *err, int code, tm_rc rc)
{
	if (err)
		err->code = code;
	return rc;
}
#define CORRUPT(...) wrong(err, TM_KAFKA_CORRUPT, tm_fail(err, TM_CORRUPT, __VA_ARGS__))
#define INVALID(...) wrong(err, TM_KAFKA_INVALID_RECORD, tm_fail(err, TM_CORRUPT, __VA_ARGS__))

void tm_batch_head(const char *h, struct tm_batch_info *ret)
{
	int16_t attributes = tm_be16_at(h + TM_BATCH_ATTRIBUTES);
	*ret = (struct tm_batch_info){
	    .base_offset = tm_be64_at(h + TM_BATCH_BASE_OFFSET),
	    .leader_epoch = tm_be32_at(h + TM_BATCH_LEADER_EPOCH),
	    .attributes = attributes,
	    .last_offset_delta = tm_be32_at(h + TM_BATCH_LAST_OFFSET_DELTA),
	    .base_timestamp_ms = tm_be64_at(h + TM_BATCH_BASE_TIMESTAMP),
	    .max_timestamp_ms = tm_be64_at(h + TM_BATCH_MAX_TIMESTAMP),
	    .producer_id = tm_be64_at(h + TM_BATCH_PRODUCER_ID),
	    .producer_epoch = tm_be16_at(h + TM_BATCH_PRODUCER_EPOCH),
	    .base_sequence = tm_be32_at(h + TM_BATCH_BASE_SEQUENCE),
	    .count = tm_be32_at(h + TM_BATCH_COUNT),
	    .codec = (enum tm_codec)(attributes & TM_ATTR_CODEC),
	    .log_append_time = attributes & TM_ATTR_LOG_APPEND_TIME,
	    .transactional = attributes & TM_ATTR_TRANSACTIONAL,
	    .control = attributes & TM_ATTR_CONTROL,
	    .bytes = (size_t)TM_BATCH_BEFORE_LENGTH + (uint32_t)tm_be32_at(h + TM_BATCH_LENGTH),
	};
}

tm_rc tm_batch_next(struct tm_str *rest, bool check_crc, struct tm_batch_info *ret, struct tm_err *err)
{
	const char *h = rest->at;
	if (rest->len < TM_BATCH_BEFORE_LENGTH)
		return tm_fail(err, TM_NOT_FOUND, "no whole record batch");
	int32_t length = tm_be32_at(h + TM_BATCH_LENGTH);
	if (length < 14)
		return CORRUPT("Record size %d is less than the minimum record overhead (14)", length);
	if (rest->len <= TM_BATCH_MAGIC)
		return tm_fail(err, TM_NOT_FOUND, "no whole record batch");
	int magic = (int8_t)h[TM_BATCH_MAGIC];
	if (magic < 0 || magic > 2)
		return CORRUPT("Invalid magic found in record: %d", magic);
	size_t bytes = TM_BATCH_BEFORE_LENGTH + (size_t)length;
	if (rest->len < bytes)
		return tm_fail(err, TM_NOT_FOUND, "no whole record batch");
	if (magic < 2)
		return wrong(err, TM_KAFKA_INVALID_RECORD, tm_fail(err, TM_UNSUPPORTED, "message format v%d", magic));
	if (bytes < TM_BATCH_HEAD)
		return CORRUPT("Record batch is corrupt (the size %zu is smaller than the minimum allowed overhead 61)", bytes);
	if (check_crc) {
		uint32_t stored = (uint32_t)tm_be32_at(h + TM_BATCH_CRC);
		uint32_t computed = tm_crc32c(0, h + TM_BATCH_ATTRIBUTES, bytes - TM_BATCH_ATTRIBUTES);
		if (stored != computed)
			return CORRUPT("Record is corrupt (stored crc = %u, computed crc = %u)", stored, computed);
	}
	tm_batch_head(h, ret);
	ret->records = tm_str_n(h + TM_BATCH_HEAD, bytes - TM_BATCH_HEAD);
	rest->at += bytes;
	rest->len -= bytes;
	return TM_OK;
}

/* ---- records ---- */
struct reader {
	const uint8_t *at, *end;
	bool too_long; /* a varint of more bytes than its type has */
	bool bad;
};

static uint64_t varint_slow(struct reader *r, int max_bytes)
{
	uint64_t v = 0;
	for (int i = 0; i < max_bytes; i++) {
		if (r->at == r->end) {
			r->bad = true;
			return 0;
		}
		uint8_t b = *r->at++;
		v |= (uint64_t)(b & 0x7F) << (7 * i);
		if (!(b & 0x80))
			return v;
	}
	r->bad = r->too_long = true;
	return 0;
}

static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

static inline int32_t read_int(struct reader *r)
{
	if (__builtin_expect(r->at < r->end && *r->at < 0x80, 1))
		return (int32_t)unzigzag(*r->at++);
	return (int32_t)unzigzag((uint32_t)varint_slow(r, 5));
}

static inline int64_t read_long(struct reader *r)
{
	if (__builtin_expect(r->at < r->end && *r->at < 0x80, 1))
		return unzigzag(*r->at++);
	return unzigzag(varint_slow(r, 10));
}

/* A length and that many bytes; -1 is null where null_ok. */
static inline struct tm_str read_bytes(struct reader *r, bool null_ok, bool *ret_null)
{
	int32_t n = read_int(r);
	*ret_null = n == -1;
	if (__builtin_expect(n < 0, 0)) {
		if (n != -1 || !null_ok)
			r->bad = true;
		return (struct tm_str){NULL, 0};
	}
	if (__builtin_expect((size_t)n > (size_t)(r->end - r->at), 0)) {
		r->bad = true;
		return (struct tm_str){NULL, 0};
	}
	struct tm_str s = {(const char *)r->at, (size_t)n};
	r->at += n;
	return s;
}

static bool read_headers(struct reader *r, int32_t n, struct tm_arena *arena, struct tm_record *record)
{
	/* Each header takes two bytes at least, so the count cannot ask for more memory than the bytes that came allow. */
	if (n < 0 || (size_t)n > (size_t)(r->end - r->at) / 2)
		return false;
	struct tm_header *headers = arena ? tm_arena_try(arena, (size_t)n * sizeof *headers) : NULL;
	if (arena && !headers)
		return false;
	for (int32_t i = 0; i < n; i++) {
		struct tm_header h;
		bool null;
		h.key = read_bytes(r, false, &null);
		h.value = read_bytes(r, true, &h.value_null);
		if (r->bad)
			return false;
		if (headers)
			headers[i] = h;
	}
	record->headers = headers;
	record->header_count = (size_t)n;
	return true;
}

static tm_rc bad_record(const struct reader *r, int32_t index, struct tm_err *err)
{
	if (r->too_long)
		return wrong(err, TM_KAFKA_UNKNOWN, tm_fail(err, TM_CORRUPT, "Varint is too long in record %d", index));
	return INVALID("Found invalid record structure in record %d", index);
}

/* Reads one record; arena NULL = headers are checked but not kept. */
static inline tm_rc read_record(struct reader *all, const struct tm_batch_info *batch, int32_t index, struct tm_arena *arena,
				struct tm_record *ret, struct tm_err *err)
{
	int32_t length = read_int(all);
	if (__builtin_expect(all->bad, 0)) {
		if (all->too_long)
			return bad_record(all, index, err);
		return INVALID("Incorrect declared batch size, premature EOF reached");
	}
	if (__builtin_expect(length < 0 || (size_t)length > (size_t)(all->end - all->at), 0))
		return INVALID("Invalid record size: expected to read %d bytes in record payload, but %zu are left", length,
			       (size_t)(all->end - all->at));
	struct reader r = {all->at, all->at + length, false, false};
	all->at = r.end;
	if (r.at < r.end)
		r.at++; /* attributes: none are defined */
	else
		r.bad = true;
	int64_t timestamp = (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)read_long(&r));
	ret->timestamp_ms = batch->log_append_time ? batch->max_timestamp_ms : timestamp;
	ret->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)read_int(&r));
	ret->key = read_bytes(&r, true, &ret->key_null);
	ret->value = read_bytes(&r, true, &ret->value_null);
	int32_t headers = read_int(&r);
	ret->headers = NULL;
	ret->header_count = 0;
	if (__builtin_expect(r.bad, 0))
		return bad_record(&r, index, err);
	if (headers != 0 && !read_headers(&r, headers, arena, ret))
		return bad_record(&r, index, err);
	if (__builtin_expect(r.at != r.end, 0))
		return INVALID("Invalid record size: expected to read %d bytes in record payload, but instead read %d", length,
			       length - (int)(r.end - r.at));
	return TM_OK;
}

static tm_rc open_records(const struct tm_batch_info *batch, struct tm_arena *arena, struct reader *ret, struct tm_err *err)
{
	struct tm_str bytes;
	if (batch->count < 0)
		return INVALID("Found invalid record count %d in magic v2 batch", batch->count);
	tm_rc rc = tm_codec_unpack(batch->codec, batch->records, TM_LIMIT_DECOMPRESSED_BYTES, arena, &bytes, err);
	if (rc != TM_OK)
		return wrong(err, TM_KAFKA_UNKNOWN, rc);
	*ret = (struct reader){(const uint8_t *)bytes.at, (const uint8_t *)bytes.at + bytes.len, false, false};
	return TM_OK;
}

static tm_rc close_records(const struct reader *r, const struct tm_batch_info *batch, struct tm_err *err)
{
	if (r->at != r->end && batch->count > 0)
		return INVALID("Incorrect declared batch size, records still remaining in file");
	return TM_OK;
}

tm_rc tm_batch_each(const struct tm_batch_info *batch, struct tm_arena *arena, tm_rc (*each)(void *ctx, const struct tm_record *r),
		    void *ctx, struct tm_err *err)
{
	struct reader r;
	TM_TRY(open_records(batch, arena, &r, err));
	for (int32_t i = 0; i < batch->count; i++) {
		struct tm_record record;
		TM_TRY(read_record(&r, batch, i, arena, &record, err));
		TM_TRY(each(ctx, &record));
	}
	return close_records(&r, batch, err);
}

tm_rc tm_batch_records(const struct tm_batch_info *batch, struct tm_arena *arena, struct tm_record **ret, size_t *ret_count,
		       struct tm_err *err)
{
	struct reader r;
	TM_TRY(open_records(batch, arena, &r, err));
	/* A record takes seven bytes at least: a count beyond that is refused before any memory is taken for it. */
	if ((size_t)batch->count > (size_t)(r.end - r.at) / 7)
		return INVALID("Incorrect declared batch size, premature EOF reached");
	struct tm_record *records = tm_arena_try(arena, tm_mul_size((size_t)batch->count, sizeof *records));
	if (!records)
		return tm_fail(err, TM_NOMEM, "no memory for the %d records of a batch", batch->count);
	for (int32_t i = 0; i < batch->count; i++)
		TM_TRY(read_record(&r, batch, i, arena, &records[i], err));
	TM_TRY(close_records(&r, batch, err));
	*ret = records;
	*ret_count = (size_t)batch->count;
	return TM_OK;
}

static void add_bad(struct tm_batch_check *c, int32_t index, int64_t timestamp_ms, bool by_time)
{
	if (c->bad_count == 0)
		c->bad_time = by_time;
	if (c->bad_count < sizeof c->bad / sizeof *c->bad) {
		c->bad[c->bad_count].index = index;
		c->bad[c->bad_count].timestamp_ms = timestamp_ms;
	}
	c->bad_count++;
}

tm_rc tm_batch_check(const struct tm_batch_info *batch, struct tm_arena *arena, struct tm_batch_check *c, struct tm_err *err)
{
	struct reader r;
	TM_TRY(open_records(batch, arena, &r, err));
	c->max_timestamp_ms = -1;
	c->bad_count = 0;
	for (int32_t i = 0; i < batch->count; i++) {
		struct tm_record record;
		TM_TRY(read_record(&r, batch, i, NULL, &record, err));
		if (record.timestamp_ms > c->max_timestamp_ms)
			c->max_timestamp_ms = record.timestamp_ms;
		if (c->key_required && record.key_null)
			add_bad(c, i, record.timestamp_ms, false);
		else if (record.timestamp_ms >= 0 &&
			 (record.timestamp_ms < c->least_timestamp_ms || record.timestamp_ms > c->most_timestamp_ms))
			add_bad(c, i, record.timestamp_ms, true);
	}
	return close_records(&r, batch, err);
}
