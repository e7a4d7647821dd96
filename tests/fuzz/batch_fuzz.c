/* Record batches and message sets from anywhere: heads, every codec, records, checks of Produce, and what is read is written
 * and read again. The checksum is not looked at, so that the fuzzer gets behind it. */
#include "log/batch.h"
#include "log/codec.h"
#include "log/log_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct tm_batch_info *b, struct tm_record *records, size_t count, struct tm_arena *arena)
{
	struct tm_buf out = {0};
	struct tm_record *back;
	struct tm_batch_info info;
	size_t n;
	struct tm_batch_compose c = tm_batch_compose_as(b);
	if (tm_batch_compose(&c, records, count, &out, NULL) == TM_OK) {
		struct tm_str rest = tm_buf_str(&out);
		TM_ASSERT(tm_batch_next(&rest, true, &info, NULL) == TM_OK && rest.len == 0);
		TM_ASSERT(tm_batch_records(&info, arena, &back, &n, NULL) == TM_OK && n == count);
		for (size_t i = 0; i < n; i++)
			TM_ASSERT(back[i].offset == records[i].offset && tm_str_eq(back[i].key, records[i].key) &&
				  tm_str_eq(back[i].value, records[i].value) && back[i].header_count == records[i].header_count);
	}
	tm_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	struct tm_str rest = {(const char *)data, size};
	struct tm_producers ps = {0};
	tm_arena_init(&arena);
	arena.limit_bytes = 64 * TM_MIB;
	while (rest.len) {
		struct tm_batch_info b;
		struct tm_legacy_info m;
		struct tm_record *records;
		size_t count;
		struct tm_err err = {0};
		tm_rc rc = tm_batch_next(&rest, false, &b, &err);
		if (rc == TM_UNSUPPORTED) {
			if (tm_legacy_next(&rest, false, &m, &err) != TM_OK)
				break;
			if (tm_legacy_records(&m, &arena, &records, &count, &err) != TM_OK)
				continue;
			for (size_t i = 0; i < count; i++)
				TM_ASSERT(records[i].key_null || records[i].key.len <= 64 * TM_MIB);
			continue;
		}
		if (rc != TM_OK)
			break;
		struct tm_batch_check check = {.key_required = true, .least_timestamp_ms = 0, .most_timestamp_ms = INT64_MAX / 2};
		rc = tm_batch_check(&b, &arena, &check, &err);
		tm_rc read = tm_batch_records(&b, &arena, &records, &count, &err);
		TM_ASSERT((rc == TM_OK) == (read == TM_OK) || read == TM_NOMEM || rc == TM_NOMEM || b.count > 1 << 16 ||
			  err.code == TM_KAFKA_INVALID_RECORD);
		if (read == TM_OK && !b.log_append_time && b.codec <= TM_CODEC_ZSTD)
			again(&b, records, count, &arena);
		int duplicate;
		tm_producers_check(&ps, &b, &duplicate);
		tm_producers_apply(&ps, &b);
		tm_arena_reset(&arena);
	}
	tm_producers_done(&ps);
	if (tm_producers_decode(&ps, tm_str_n((const char *)data, size), NULL) == TM_OK) {
		struct tm_buf out = {0};
		tm_producers_encode(&ps, &out);
		TM_ASSERT(out.len == size);
		tm_buf_done(&out);
	}
	tm_producers_done(&ps);
	tm_arena_done(&arena);
	return 0;
}
