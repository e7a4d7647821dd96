/* The 61-byte head of a record batch v2 as offsets, and what the rooms' own files need beyond record.h. */
#ifndef TM_LOG_BATCH_H
#define TM_LOG_BATCH_H
#include "log/record.h"

enum {
	TM_BATCH_BASE_OFFSET = 0,
	TM_BATCH_LENGTH = 8, /* of all behind this field */
	TM_BATCH_LEADER_EPOCH = 12,
	TM_BATCH_MAGIC = 16,
	TM_BATCH_CRC = 17, /* of all behind this field */
	TM_BATCH_ATTRIBUTES = 21,
	TM_BATCH_LAST_OFFSET_DELTA = 23,
	TM_BATCH_BASE_TIMESTAMP = 27,
	TM_BATCH_MAX_TIMESTAMP = 35,
	TM_BATCH_PRODUCER_ID = 43,
	TM_BATCH_PRODUCER_EPOCH = 51,
	TM_BATCH_BASE_SEQUENCE = 53,
	TM_BATCH_COUNT = 57,
	TM_BATCH_HEAD = 61,
	TM_BATCH_BEFORE_LENGTH = 12, /* base offset and length: what the length field does not count */
};
enum {
	TM_ATTR_CODEC = 0x07,
	TM_ATTR_LOG_APPEND_TIME = 0x08,
	TM_ATTR_TRANSACTIONAL = 0x10,
	TM_ATTR_CONTROL = 0x20,
	TM_ATTR_DELETE_HORIZON = 0x40,
};
enum { TM_KAFKA_UNKNOWN = -1, TM_KAFKA_CORRUPT = 2, TM_KAFKA_INVALID_RECORD = 87 };

static inline int64_t tm_be64_at(const char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return (int64_t)__builtin_bswap64(v);
}
static inline int32_t tm_be32_at(const char *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return (int32_t)__builtin_bswap32(v);
}
static inline int16_t tm_be16_at(const char *p)
{
	uint16_t v;
	memcpy(&v, p, 2);
	return (int16_t)__builtin_bswap16(v);
}
static inline void tm_be64_set(char *p, int64_t v)
{
	uint64_t s = __builtin_bswap64((uint64_t)v);
	memcpy(p, &s, 8);
}
static inline void tm_be32_set(char *p, int32_t v)
{
	uint32_t s = __builtin_bswap32((uint32_t)v);
	memcpy(p, &s, 4);
}
static inline void tm_be16_set(char *p, int16_t v)
{
	uint16_t s = __builtin_bswap16((uint16_t)v);
	memcpy(p, &s, 2);
}

/* Reads a head of TM_BATCH_HEAD bytes without any check; `bytes` is what the length field says. `records` stays empty. */
void tm_batch_head(const char *head, struct tm_batch_info *ret);
static inline int64_t tm_batch_last_offset(const struct tm_batch_info *b)
{
	return (int64_t)((uint64_t)b->base_offset + (uint64_t)(int64_t)b->last_offset_delta);
}

/* What Produce checks in each record without copying any: the records are there as counted, and their largest timestamp. */
struct tm_batch_check {
	bool key_required;                             /* a compacted topic */
	int64_t least_timestamp_ms, most_timestamp_ms; /* records outside are listed as bad */
	/* results */
	int64_t max_timestamp_ms;
	size_t bad_count; /* of records without key or outside the times */
	bool bad_time;    /* the first bad one is bad by its time */
	struct {
		int32_t index;
		int64_t timestamp_ms;
	} bad[8];
};
tm_rc tm_batch_check(const struct tm_batch_info *batch, struct tm_arena *arena, struct tm_batch_check *check,
		     struct tm_err *err) TM_CHECKED;

/* A batch with every field given. Records carry their own offsets (ascending, base_offset or above) and timestamps. */
struct tm_batch_compose {
	enum tm_codec codec;
	int32_t level;
	int16_t attributes; /* all but the codec */
	int64_t base_offset, base_timestamp_ms, max_timestamp_ms, producer_id;
	int32_t leader_epoch, last_offset_delta, base_sequence;
	int16_t producer_epoch;
};
struct tm_batch_compose tm_batch_compose_as(const struct tm_batch_info *batch); /* every field as in a batch that was read */
tm_rc tm_batch_compose(const struct tm_batch_compose *head, const struct tm_record *records, size_t count, struct tm_buf *out,
		       struct tm_err *err) TM_CHECKED;
#endif
