/* The native protocol's codec. The first byte chooses: bits 0-1 the version (3, 4, 5, 5 in segments), bit 2 lz4, bit 3 snappy,
 * bit 4 responses instead of requests, bit 5 the rest is wrapped into one good segment first. The rest comes in two pieces. */
#include "cassandra/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wrap(struct tm_buf *out, const char *data, size_t n)
{
	uint32_t head = (uint32_t)n | 1u << 17, crc;
	tm_buf_put(out, &head, 3);
	crc = tm_cass_crc24(out->at, 3);
	tm_buf_put(out, &crc, 3);
	tm_buf_put(out, data, n);
	tm_buf_le32(out, tm_cass_crc32(data, n));
}

static void message(const struct tm_cass_envelope *e, bool requests)
{
	struct tm_arena arena;
	struct tm_err err;
	struct tm_buf again = {0};
	tm_arena_init(&arena);
	if (requests) {
		struct tm_cass_request r;
		if (tm_cass_request_read(e, &arena, &r, &err) == TM_OK)
			tm_cass_request_write(&again, e->version, &r);
	} else {
		struct tm_cass_response r;
		if (tm_cass_response_read(e, NULL, &arena, &r, &err) == TM_OK && r.opcode == TM_CASS_RESULT &&
		    (r.result.kind != TM_CQL_ROWS || r.result.columns))
			tm_cass_result_write(&again, e->version, &r.result, NULL);
	}
	tm_buf_done(&again);
	tm_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_cass_reader r;
	struct tm_buf in = {0};
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	if (size < 2)
		return 0;
	uint8_t mode = data[0];
	bool segmented = (mode & 3) == 3, requests = !(mode & 16);
	tm_cass_reader_init(&r, requests);
	r.limit_bytes = TM_MIB;
	r.segmented = segmented;
	r.version = segmented ? 5 : mode & 64 ? 3 + (mode & 3) : 0;
	r.compression = mode & 4 ? TM_CASS_LZ4 : mode & 8 && !segmented ? TM_CASS_SNAPPY : TM_CASS_PLAIN;
	if (segmented && mode & 32 && !(mode & 4) && size - 1 <= TM_CASS_SEGMENT_PAYLOAD_MAX)
		wrap(&in, (const char *)data + 1, size - 1);
	else
		tm_buf_put(&in, data + 1, size - 1);
	for (int half = 0; half < 2; half++) {
		size_t cut = in.len / 2;
		tm_cass_reader_feed(&r, in.at + (half ? cut : 0), half ? in.len - cut : cut);
		for (int n = 0; n < 1000; n++) {
			enum tm_cass_read rc = tm_cass_reader_next(&r, &e, &f);
			if (rc == TM_CASS_MORE)
				break;
			if (rc == TM_CASS_ENVELOPE)
				message(&e, requests);
		}
		r.window.len = 0;
	}
	tm_cass_reader_done(&r);
	tm_buf_done(&in);
	return 0;
}
