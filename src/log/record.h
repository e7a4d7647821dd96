/* Records inside record batches v2: reading them (with decompression) and building batches. */
#ifndef TM_LOG_RECORD_H
#define TM_LOG_RECORD_H
#include "base/base.h"

enum tm_codec { TM_CODEC_NONE, TM_CODEC_GZIP, TM_CODEC_SNAPPY, TM_CODEC_LZ4, TM_CODEC_ZSTD };
struct tm_header {
	struct tm_str key, value;
	bool value_null;
};
struct tm_record {
	int64_t offset, timestamp_ms;
	struct tm_str key, value;
	bool key_null, value_null;
	const struct tm_header *headers; /* in the arena */
	size_t header_count;
};
struct tm_batch_info { /* the 61-byte head */
	int64_t base_offset, base_timestamp_ms, max_timestamp_ms, producer_id;
	int32_t leader_epoch, last_offset_delta, base_sequence, count;
	int16_t attributes, producer_epoch;
	enum tm_codec codec;
	bool log_append_time, transactional, control;
	size_t bytes;          /* of the whole batch */
	struct tm_str records; /* as stored, still compressed */
};
/* Takes the next whole batch off *rest. TM_NOT_FOUND when *rest is empty or holds only a part of one (a fetch may end in
 * the middle); TM_CORRUPT (code 2) when the head or the CRC is wrong (crc checked if check_crc). */
tm_rc tm_batch_next(struct tm_str *rest, bool check_crc, struct tm_batch_info *ret, struct tm_err *err) TM_CHECKED;
/* Calls each(record) in order; non-zero stops and is returned. Decompressed bytes and headers live in the arena.
 * Uncompressed keys and values point into the batch's own bytes. */
tm_rc tm_batch_each(const struct tm_batch_info *batch, struct tm_arena *arena, tm_rc (*each)(void *ctx, const struct tm_record *r),
		    void *ctx, struct tm_err *err) TM_CHECKED;
/* All records of a batch as an array in the arena. */
tm_rc tm_batch_records(const struct tm_batch_info *batch, struct tm_arena *arena, struct tm_record **ret, size_t *ret_count,
		       struct tm_err *err) TM_CHECKED;

struct tm_batch_build {
	enum tm_codec codec;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	bool transactional;
	int64_t base_offset;
};
/* One batch of these records (offsets are base_offset + index); producer_id -1 = none. Appended to out. */
tm_rc tm_batch_write(const struct tm_batch_build *build, const struct tm_record *records, size_t count, struct tm_buf *out,
		     struct tm_err *err) TM_CHECKED;

/* Message sets of formats 0 and 1 (before Kafka 0.11), for reading only: Kafka 4 refuses them, and so does the log. */
struct tm_legacy_info {
	int64_t offset, timestamp_ms; /* of the message, or of the last one inside a compressed one; timestamp -1 in format 0 */
	uint32_t crc;
	int magic;
	enum tm_codec codec;
	bool log_append_time;
	size_t bytes;
	struct tm_str key, value;
	bool key_null, value_null;
};
/* Takes the next whole message off *rest; results as of tm_batch_next (TM_UNSUPPORTED for a batch of format 2). */
tm_rc tm_legacy_next(struct tm_str *rest, bool check_crc, struct tm_legacy_info *ret, struct tm_err *err) TM_CHECKED;
/* The message, or those inside it, in the arena. */
tm_rc tm_legacy_records(const struct tm_legacy_info *message, struct tm_arena *arena, struct tm_record **ret, size_t *ret_count,
			struct tm_err *err) TM_CHECKED;
#endif
