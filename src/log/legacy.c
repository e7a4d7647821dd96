/* Message sets of formats 0 and 1: a message is an offset, a size, a CRC-32 (the zlib one), and fields with 32-bit lengths.
 * A compressed message holds a message set as its value; it may not hold another compressed one. */
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zlib.h>
#include "log/batch.h"
#include "log/codec.h"

enum { SET_HEAD = 12, LEAST = 14 };

static tm_rc wrong(struct tm_err *err, int code, tm_rc rc)
{
	if (err)
		err->code = code;
	return rc;
}

static struct tm_str take_field(struct tm_cursor *c, bool *ret_null)
{
	int32_t n = (int32_t)tm_cursor_be32(c);
	*ret_null = n < 0;
	if (n < 0) {
		c->bad |= n != -1;
		return (struct tm_str){NULL, 0};
	}
	return tm_cursor_take(c, (size_t)n);
}

tm_rc tm_legacy_next(struct tm_str *rest, bool check_crc, struct tm_legacy_info *ret, struct tm_err *err)
{
	const char *h = rest->at;
	if (rest->len < SET_HEAD)
		return tm_fail(err, TM_NOT_FOUND, "no whole message");
	int32_t size = tm_be32_at(h + 8);
	if (size < LEAST)
		return wrong(err, TM_KAFKA_CORRUPT,
			     tm_fail(err, TM_CORRUPT, "Record size %d is less than the minimum record overhead (14)", size));
	if (rest->len <= TM_BATCH_MAGIC || rest->len < SET_HEAD + (size_t)size)
		return tm_fail(err, TM_NOT_FOUND, "no whole message");
	int magic = (int8_t)h[TM_BATCH_MAGIC];
	if (magic == 2)
		return tm_fail(err, TM_UNSUPPORTED, "a record batch of format 2");
	if (magic != 0 && magic != 1)
		return wrong(err, TM_KAFKA_CORRUPT, tm_fail(err, TM_CORRUPT, "Invalid magic found in record: %d", magic));
	struct tm_cursor c = tm_cursor_of(tm_str_n(h + SET_HEAD, (size_t)size));
	struct tm_legacy_info m = {.offset = tm_be64_at(h), .magic = magic, .bytes = SET_HEAD + (size_t)size, .timestamp_ms = -1};
	m.crc = tm_cursor_be32(&c);
	uint32_t computed = check_crc ? (uint32_t)crc32(0, (const Bytef *)c.at, (uInt)tm_cursor_left(&c)) : m.crc;
	tm_cursor_u8(&c); /* magic */
	uint8_t attributes = tm_cursor_u8(&c);
	if (magic == 1)
		m.timestamp_ms = (int64_t)tm_cursor_be64(&c);
	m.codec = (enum tm_codec)(attributes & 7);
	m.log_append_time = magic == 1 && (attributes & 8);
	m.key = take_field(&c, &m.key_null);
	m.value = take_field(&c, &m.value_null);
	if (computed != m.crc)
		return wrong(err, TM_KAFKA_CORRUPT,
			     tm_fail(err, TM_CORRUPT, "Record is corrupt (stored crc = %u, computed crc = %u)", m.crc, computed));
	if (!tm_cursor_ok(&c) || tm_cursor_left(&c))
		return wrong(err, TM_KAFKA_INVALID_RECORD, tm_fail(err, TM_CORRUPT, "Found invalid message structure"));
	rest->at += m.bytes;
	rest->len -= m.bytes;
	*ret = m;
	return TM_OK;
}

/* Clients of format 0 computed the checksum of the lz4 frame's descriptor over the magic number as well. */
static struct tm_str repair_lz4(struct tm_str in, struct tm_arena *arena)
{
	if (in.len < 7)
		return in;
	size_t descriptor = 2 + ((in.at[4] & 0x08) ? 8 : 0);
	if (in.len < 4 + descriptor + 1)
		return in;
	char *copy = tm_arena_try(arena, in.len);
	if (!copy)
		return in;
	memcpy(copy, in.at, in.len);
	copy[4 + descriptor] = (char)(XXH32(in.at + 4, descriptor, 0) >> 8);
	return tm_str_n(copy, in.len);
}

static tm_rc inner_records(const struct tm_legacy_info *outer, struct tm_str set, struct tm_arena *arena, struct tm_record **ret,
			   size_t *ret_count, struct tm_err *err)
{
	struct {
		struct tm_record *items;
		size_t count, cap;
	} list = {0};
	while (set.len) {
		struct tm_legacy_info m;
		tm_rc rc = tm_legacy_next(&set, true, &m, err);
		if (rc == TM_NOT_FOUND)
			break; /* old clients may leave a part of a message at the end */
		TM_TRY(rc);
		if (m.codec != TM_CODEC_NONE)
			return wrong(err, TM_KAFKA_INVALID_RECORD,
				     tm_fail(err, TM_CORRUPT, "a compressed message inside a compressed message"));
		TM_PUSH_IN(arena, &list,
			   (struct tm_record){.offset = m.offset,
					      .timestamp_ms = outer->log_append_time ? outer->timestamp_ms : m.timestamp_ms,
					      .key = m.key,
					      .value = m.value,
					      .key_null = m.key_null,
					      .value_null = m.value_null});
	}
	if (list.count == 0)
		return wrong(err, TM_KAFKA_INVALID_RECORD, tm_fail(err, TM_CORRUPT, "a compressed message without messages"));
	if (outer->magic == 1) { /* offsets inside are relative, and the outer one is the last one's */
		int64_t base = outer->offset - list.items[list.count - 1].offset;
		for (size_t i = 0; i < list.count; i++)
			list.items[i].offset += base;
	}
	*ret = list.items;
	*ret_count = list.count;
	return TM_OK;
}

tm_rc tm_legacy_records(const struct tm_legacy_info *m, struct tm_arena *arena, struct tm_record **ret, size_t *ret_count,
			struct tm_err *err)
{
	if (m->codec == TM_CODEC_NONE) {
		struct tm_record *r = TM_NEW(arena, struct tm_record);
		*r = (struct tm_record){.offset = m->offset,
					.timestamp_ms = m->timestamp_ms,
					.key = m->key,
					.value = m->value,
					.key_null = m->key_null,
					.value_null = m->value_null};
		*ret = r;
		*ret_count = 1;
		return TM_OK;
	}
	struct tm_str packed = m->codec == TM_CODEC_LZ4 && m->magic == 0 ? repair_lz4(m->value, arena) : m->value, set;
	tm_rc rc = tm_codec_unpack(m->codec, packed, TM_LIMIT_DECOMPRESSED_BYTES, arena, &set, err);
	if (rc != TM_OK)
		return wrong(err, TM_KAFKA_UNKNOWN, rc);
	return inner_records(m, set, arena, ret, ret_count, err);
}
