/* The message formats before record batches v2 (magic 0 and 1): clients of Produce 0-2 send them, clients of Fetch 0-3 read
 * nothing else. Stored is always v2, so they are converted at the door.
 *
 * A message set is a row of: offset i64, size i32, crc u32 (CRC-32 of what follows), magic i8, attributes i8,
 * timestamp i64 (magic 1), key, value (i32 length, -1 null). A compressed message's value is a message set itself. */
#include <xxhash.h>
#include <zlib.h>
#include "kafka/kafka_int.h"
#include "log/codec.h"
#include "log/record.h"

enum { MAGIC_AT = 16, BEFORE_CRC = 12, LOG_APPEND_TIME = 8, CODEC_MASK = 7 };

struct record_list {
	struct tm_record *items;
	size_t count, cap;
};

bool kafka_is_old_format(struct tm_str records) { return records.len > MAGIC_AT && (uint8_t)records.at[MAGIC_AT] < 2; }

/* Kafka's first lz4 frames have a wrong header checksum: it was computed with the magic number in front. Made right in a copy. */
static struct tm_str lz4_header_mend(struct tm_str frame, struct tm_arena *arena)
{
	enum { FLAGS_AT = 4, CONTENT_SIZE = 0x08 };
	if (frame.len < 7)
		return frame;
	size_t descriptor = (frame.at[FLAGS_AT] & CONTENT_SIZE) ? 10 : 2;
	if (frame.len < FLAGS_AT + descriptor + 1)
		return frame;
	char *copy = tm_arena_alloc(arena, frame.len);
	memcpy(copy, frame.at, frame.len);
	copy[FLAGS_AT + descriptor] = (char)(XXH32(copy + FLAGS_AT, descriptor, 0) >> 8);
	return tm_str_n(copy, frame.len);
}

static struct tm_str bytes_take(struct tm_cursor *c, bool *ret_null)
{
	int32_t n = (int32_t)tm_cursor_be32(c);
	*ret_null = n < 0;
	return n < 0 ? (struct tm_str){0} : tm_cursor_take(c, (size_t)n);
}

struct message {
	int64_t timestamp_ms;
	int attributes, magic;
	struct tm_str key, value;
	bool key_null, value_null;
};

static tm_rc message_take(struct tm_cursor *in, struct message *ret, struct tm_err *err)
{
	tm_cursor_be64(in);
	int32_t size = (int32_t)tm_cursor_be32(in);
	struct tm_str body = tm_cursor_take(in, size < 0 ? SIZE_MAX : (size_t)size);
	if (in->bad || body.len < 14) {
		tm_fail(err, TM_CORRUPT, "a message is cut off or too short");
		goto corrupt;
	}
	struct tm_cursor c = tm_cursor_of(body);
	uint32_t crc = tm_cursor_be32(&c);
	if (crc != (uint32_t)crc32(0, (const Bytef *)c.at, (uInt)tm_cursor_left(&c))) {
		tm_fail(err, TM_CORRUPT, "a message's checksum is wrong");
		goto corrupt;
	}
	ret->magic = tm_cursor_u8(&c);
	ret->attributes = tm_cursor_u8(&c);
	ret->timestamp_ms = ret->magic == 1 ? (int64_t)tm_cursor_be64(&c) : -1;
	ret->key = bytes_take(&c, &ret->key_null);
	ret->value = bytes_take(&c, &ret->value_null);
	if (!c.bad && ret->magic < 2)
		return TM_OK;
	tm_fail(err, TM_CORRUPT, "a message is broken");
corrupt:
	if (err)
		err->code = KAFKA_CORRUPT_MESSAGE;
	return TM_CORRUPT;
}

static tm_rc messages_read(struct tm_str set, bool nested, struct tm_arena *arena, struct record_list *list, enum tm_codec *ret_codec,
			   struct tm_err *err)
{
	struct tm_cursor in = tm_cursor_of(set);
	while (tm_cursor_left(&in)) {
		struct message m;
		TM_TRY(message_take(&in, &m, err));
		enum tm_codec codec = (enum tm_codec)(m.attributes & CODEC_MASK);
		if (codec == TM_CODEC_NONE) {
			TM_PUSH_IN(arena, list,
				   (struct tm_record){.offset = (int64_t)list->count,
						      .timestamp_ms = m.timestamp_ms,
						      .key = m.key,
						      .value = m.value,
						      .key_null = m.key_null,
						      .value_null = m.value_null});
			continue;
		}
		if (nested || codec > TM_CODEC_LZ4 || m.value_null) {
			tm_fail(err, TM_CORRUPT, "a compressed message is broken");
			if (err)
				err->code = KAFKA_CORRUPT_MESSAGE;
			return TM_CORRUPT;
		}
		struct tm_str packed = codec == TM_CODEC_LZ4 && m.magic == 0 ? lz4_header_mend(m.value, arena) : m.value, inner;
		TM_TRY(tm_codec_unpack(codec, packed, TM_LIMIT_DECOMPRESSED_BYTES, arena, &inner, err));
		*ret_codec = codec;
		TM_TRY(messages_read(inner, true, arena, list, ret_codec, err));
	}
	return TM_OK;
}

tm_rc kafka_up_convert(struct tm_str messages, struct tm_arena *arena, struct tm_buf *out, struct tm_err *err)
{
	struct record_list list = {0};
	struct tm_batch_build build = {.codec = TM_CODEC_NONE, .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
	TM_TRY(messages_read(messages, false, arena, &list, &build.codec, err));
	return tm_batch_write(&build, list.items, list.count, out, err);
}

struct down {
	struct tm_buf *out;
	int64_t from;
	int magic;
	bool log_append_time;
};

static void bytes_put(struct tm_buf *out, struct tm_str s, bool null)
{
	tm_buf_be32(out, null ? UINT32_MAX : (uint32_t)s.len);
	if (!null)
		tm_buf_str_put(out, s);
}

static tm_rc record_down(void *ctx, const struct tm_record *r)
{
	struct down *d = ctx;
	if (r->offset < d->from)
		return TM_OK;
	size_t at = d->out->len;
	tm_buf_be64(d->out, (uint64_t)r->offset);
	tm_buf_be64(d->out, 0); /* size and checksum, known below */
	tm_buf_u8(d->out, (uint8_t)d->magic);
	tm_buf_u8(d->out, d->magic == 1 && d->log_append_time ? LOG_APPEND_TIME : 0);
	if (d->magic == 1)
		tm_buf_be64(d->out, (uint64_t)r->timestamp_ms);
	bytes_put(d->out, r->key, r->key_null);
	bytes_put(d->out, r->value, r->value_null);
	size_t body = at + BEFORE_CRC + 4;
	uint32_t size = __builtin_bswap32((uint32_t)(d->out->len - at - BEFORE_CRC));
	uint32_t crc = __builtin_bswap32((uint32_t)crc32(0, (const Bytef *)d->out->at + body, (uInt)(d->out->len - body)));
	memcpy(d->out->at + at + 8, &size, 4);
	memcpy(d->out->at + at + BEFORE_CRC, &crc, 4);
	return TM_OK;
}

tm_rc kafka_down_convert(struct tm_str batches, int magic, int64_t from, struct tm_arena *arena, struct tm_buf *out, struct tm_err *err)
{
	struct tm_batch_info batch;
	for (;;) {
		tm_rc rc = tm_batch_next(&batches, false, &batch, err);
		if (rc == TM_NOT_FOUND)
			return TM_OK;
		TM_TRY(rc);
		if (batch.control)
			continue;
		struct down d = {.out = out, .from = from, .magic = magic, .log_append_time = batch.log_append_time};
		TM_TRY(tm_batch_each(&batch, arena, record_down, &d, err));
	}
}
