/* Bytes to envelopes and back: the nine-byte header, bodies compressed one by one (v3, v4), checksummed segments (v5).
 * What a malformed stream gets (an error, an error and the end, or the end without a word) is what Cassandra 5.0 gives. */
#include <lz4.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include "cassandra/protocol.h"

#define CRC24_INIT 0x875060u
#define CRC24_POLY 0x1974F0Bu
#define KEEP_BYTES (64 * TM_KIB) /* an empty buffer larger than this is given back */

static const struct {
	const char *name;
	bool request;
} opcodes[TM_CASS_OPCODE_COUNT] = {
    {"ERROR", false},        {"STARTUP", true},       {"READY", false}, {"AUTHENTICATE", false}, {"CREDENTIALS", true},
    {"OPTIONS", true},       {"SUPPORTED", false},    {"QUERY", true},  {"RESULT", false},       {"PREPARE", true},
    {"EXECUTE", true},       {"REGISTER", true},      {"EVENT", false}, {"BATCH", true},         {"AUTH_CHALLENGE", false},
    {"AUTH_RESPONSE", true}, {"AUTH_SUCCESS", false},
};

const char *tm_cass_opcode_name(int opcode) { return opcode >= 0 && opcode < TM_CASS_OPCODE_COUNT ? opcodes[opcode].name : "UNKNOWN"; }

uint32_t tm_cass_crc24(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t crc = CRC24_INIT;
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint32_t)p[i] << 16;
		for (int bit = 0; bit < 8; bit++) {
			crc <<= 1;
			if (crc & 0x1000000u)
				crc ^= CRC24_POLY;
		}
	}
	return crc & 0xFFFFFFu;
}

uint32_t tm_cass_crc32(const void *data, size_t n)
{
	static const uint8_t seed[4] = {0xFA, 0x2D, 0x55, 0xCA}; /* goes before every payload */
	uLong crc = crc32(0, seed, sizeof seed);
	return (uint32_t)crc32(crc, data, (uInt)n);
}

void tm_cass_reader_init(struct tm_cass_reader *r, bool requests)
{
	*r = (struct tm_cass_reader){.requests = requests, .limit_bytes = requests ? TM_LIMIT_CQL_REQUEST_BYTES : TM_LIMIT_CQL_FRAME_BYTES};
}

void tm_cass_reader_done(struct tm_cass_reader *r)
{
	tm_buf_done(&r->in);
	tm_buf_done(&r->joined);
	tm_buf_done(&r->plain);
	tm_buf_done(&r->body);
}

static void give_back(struct tm_buf *b)
{
	b->len = 0;
	if (b->cap > KEEP_BYTES)
		tm_buf_done(b);
}

void tm_cass_reader_feed(struct tm_cass_reader *r, const char *data, size_t n)
{
	r->stuck = false;
	if (r->window.len == 0 && r->in_at > 0) { /* a window may point into `in` */
		if (r->in_at == r->in.len)
			give_back(&r->in);
		else
			tm_buf_drop_front(&r->in, r->in_at);
		r->in_at = 0;
	}
	if (r->discard_bytes > 0) {
		size_t skip = n < r->discard_bytes ? n : (size_t)r->discard_bytes;
		r->discard_bytes -= skip;
		data += skip;
		n -= skip;
		if (r->discard_bytes == 0)
			r->discard_total |= UINT64_C(1) << 63; /* complete: to be reported */
	}
	if (!r->dead && n > 0)
		tm_buf_put(&r->in, data, n);
}

size_t tm_cass_reader_held_bytes(const struct tm_cass_reader *r) { return r->in.cap + r->joined.cap + r->plain.cap + r->body.cap; }

static enum tm_cass_read fault(struct tm_cass_reader *r, struct tm_cass_fault *out, int code, int16_t stream, const char *fmt, ...)
    TM_PRINTF(5, 6);
static enum tm_cass_read fault(struct tm_cass_reader *r, struct tm_cass_fault *out, int code, int16_t stream, const char *fmt, ...)
{
	va_list ap;
	*out = (struct tm_cass_fault){.code = code, .stream = stream, .version = r->version ? r->version : 5};
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, ap);
	va_end(ap);
	return TM_CASS_FAULT;
}

static enum tm_cass_read fault_silent(struct tm_cass_reader *r, struct tm_cass_fault *out)
{
	*out = (struct tm_cass_fault){.silent = true, .close = true};
	r->dead = true;
	return TM_CASS_FAULT;
}

static enum tm_cass_read fault_close(struct tm_cass_reader *r, struct tm_cass_fault *out)
{
	out->close = true;
	r->dead = true;
	return TM_CASS_FAULT;
}

struct header {
	int version;
	bool response;
	uint8_t flags, opcode;
	int16_t stream;
	uint32_t body_len;
};
static struct header header_of(const char *p)
{
	struct tm_cursor c = tm_cursor_of(tm_str_n(p, TM_CASS_HEADER_BYTES));
	uint8_t version = tm_cursor_u8(&c);
	struct header h = {.version = version & 0x7F, .response = version & 0x80};
	h.flags = tm_cursor_u8(&c);
	h.stream = (int16_t)tm_cursor_be16(&c);
	h.opcode = tm_cursor_u8(&c);
	h.body_len = tm_cursor_be32(&c);
	return h;
}

/* Is there such a message in this direction? Text as Cassandra's. */
static bool opcode_fits(const struct header *h, bool requests, char *text, size_t text_size)
{
	if (h->opcode >= TM_CASS_OPCODE_COUNT) {
		snprintf(text, text_size, "Unknown opcode %d", h->opcode);
		return false;
	}
	bool request = opcodes[h->opcode].request;
	if (request == !h->response && request == requests)
		return true;
	if (h->response)
		snprintf(text, text_size, "Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode %d (%s)", h->opcode,
			 opcodes[h->opcode].name);
	else
		snprintf(text, text_size, "Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode %d (%s)", h->opcode,
			 opcodes[h->opcode].name);
	return false;
}

/* The version byte comes first, so that a client of any version gets its answer even with a header of another shape. */
static enum tm_cass_read version_check(struct tm_cass_reader *r, struct tm_str all, struct tm_cass_fault *out, bool *ret_ok)
{
	int version = all.at[0] & 0x7F;
	*ret_ok = false;
	if (version == 1 || version == 2)
		return fault_silent(r, out);
	if (version < 3 || version > 6) {
		if (version && all.len < 4)
			return TM_CASS_MORE; /* the stream id is worth waiting for */
		int16_t stream = version ? (int16_t)((uint8_t)all.at[2] << 8 | (uint8_t)all.at[3]) : 0;
		r->in_at = r->in.len; /* the rest is of no use */
		fault(r, out, TM_CASS_E_PROTOCOL, stream, "Invalid or unsupported protocol version (%d); supported versions are (%s)",
		      version, TM_CASS_SUPPORTED_TEXT);
		return r->requests ? TM_CASS_FAULT : fault_close(r, out);
	}
	*ret_ok = true;
	return TM_CASS_ENVELOPE;
}

static bool lz4_body(struct tm_cass_reader *r, struct tm_str in, struct tm_str *ret)
{
	struct tm_cursor c = tm_cursor_of(in);
	uint32_t len = tm_cursor_be32(&c);
	if (c.bad || len > r->limit_bytes)
		return false;
	r->body.len = 0;
	tm_buf_reserve(&r->body, len + 1);
	if (len > 0 && LZ4_decompress_safe(c.at, r->body.at, (int)tm_cursor_left(&c), (int)len) != (int)len)
		return false;
	r->body.len = len;
	*ret = tm_buf_str(&r->body);
	return true;
}

static bool snappy_body(struct tm_cass_reader *r, struct tm_str in, struct tm_str *ret)
{
	size_t len;
	if (snappy_uncompressed_length(in.at, in.len, &len) != SNAPPY_OK || len > r->limit_bytes)
		return false;
	r->body.len = 0;
	tm_buf_reserve(&r->body, len + 1);
	if (snappy_uncompress(in.at, in.len, r->body.at, &len) != SNAPPY_OK)
		return false;
	r->body.len = len;
	*ret = tm_buf_str(&r->body);
	return true;
}

static enum tm_cass_read envelope_of(struct tm_cass_reader *r, const struct header *h, struct tm_str body, struct tm_cass_envelope *ret,
				     struct tm_cass_fault *out)
{
	*ret = (struct tm_cass_envelope){.version = h->version == 6 ? 5 : h->version,
					 .beta = h->version == 6,
					 .flags = h->flags,
					 .opcode = h->opcode,
					 .stream = h->stream,
					 .body = body};
	if (!(h->flags & TM_CASS_FLAG_COMPRESSED) || r->segmented || r->compression == TM_CASS_PLAIN || body.len == 0)
		return TM_CASS_ENVELOPE; /* a flag where nothing was agreed means nothing */
	bool ok = r->compression == TM_CASS_LZ4 ? lz4_body(r, body, &ret->body) : snappy_body(r, body, &ret->body);
	if (!ok)
		return fault(r, out, TM_CASS_E_PROTOCOL, h->stream, "The body does not decompress as %s",
			     r->compression == TM_CASS_LZ4 ? "lz4" : "snappy");
	return TM_CASS_ENVELOPE;
}

static enum tm_cass_read legacy_next(struct tm_cass_reader *r, struct tm_cass_envelope *ret, struct tm_cass_fault *out)
{
	struct tm_str all = {r->in.at ? r->in.at + r->in_at : "", r->in.len - r->in_at};
	char text[200];
	bool ok;
	if (r->discard_total >> 63) {
		uint64_t total = r->discard_total & ~(UINT64_C(1) << 63);
		r->discard_total = 0;
		return fault(r, out, TM_CASS_E_INVALID, r->discard_stream,
			     "Request is too big: length %llu exceeds maximum allowed length %zu.", (unsigned long long)total,
			     r->limit_bytes);
	}
	if (r->stuck || all.len == 0)
		return TM_CASS_MORE;
	enum tm_cass_read rc = version_check(r, all, out, &ok);
	if (!ok)
		return rc;
	if (all.len < TM_CASS_HEADER_BYTES)
		return TM_CASS_MORE;
	struct header h = header_of(all.at);
	if (h.version == 6 && !(h.flags & TM_CASS_FLAG_BETA)) {
		r->in_at = r->in.len;
		fault(r, out, TM_CASS_E_PROTOCOL, h.stream, "Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset");
		out->version = 6;
		out->flags = TM_CASS_FLAG_BETA;
		return TM_CASS_FAULT;
	}
	if (r->requests && r->version && h.opcode >= 0x80)
		return fault_silent(r, out); /* a signed index in Cassandra */
	if (!opcode_fits(&h, r->requests, text, sizeof text)) {
		r->stuck = true;
		return fault(r, out, TM_CASS_E_PROTOCOL, h.stream, "%s", text);
	}
	if (h.body_len > r->limit_bytes) {
		r->discard_total = (uint64_t)h.body_len;
		r->discard_stream = h.stream;
		size_t here = all.len - TM_CASS_HEADER_BYTES;
		r->in_at = r->in.len;
		r->discard_bytes = h.body_len - (here < h.body_len ? here : h.body_len);
		return r->requests ? TM_CASS_MORE : fault_close(r, out);
	}
	if (all.len - TM_CASS_HEADER_BYTES < h.body_len)
		return TM_CASS_MORE;
	r->in_at += TM_CASS_HEADER_BYTES + h.body_len;
	if (r->version && h.version != r->version)
		return fault(r, out, TM_CASS_E_PROTOCOL, h.stream,
			     "Invalid message version. Got %d/v%d%s but previous messages on this connection had version %d/v%d%s",
			     h.version, h.version, h.version == 6 ? "-beta" : "", r->version, r->version, r->version == 6 ? "-beta" : "");
	return envelope_of(r, &h, tm_str_n(all.at + TM_CASS_HEADER_BYTES, h.body_len), ret, out);
}

/* The next segment's payload; TM_CASS_ENVELOPE when there is one. */
static enum tm_cass_read segment_next(struct tm_cass_reader *r, struct tm_str *ret_payload, bool *ret_self_contained,
				      struct tm_cass_fault *out)
{
	struct tm_str all = {r->in.at + r->in_at, r->in.len - r->in_at};
	bool lz4 = r->compression == TM_CASS_LZ4;
	size_t head = lz4 ? 5 : 3;
	if (all.len < head + 3)
		return TM_CASS_MORE;
	uint64_t bits = 0;
	uint32_t crc = 0;
	memcpy(&bits, all.at, head);
	memcpy(&crc, all.at + head, 3);
	uint32_t wanted = tm_cass_crc24(all.at, head);
	if (crc != wanted) {
		fault(r, out, TM_CASS_E_PROTOCOL, 0, "Read corrupted segment header: its CRC24 is %06x, the bytes give %06x", crc, wanted);
		return fault_close(r, out);
	}
	size_t len = bits & 0x1FFFF, plain_len = lz4 ? bits >> 17 & 0x1FFFF : 0;
	*ret_self_contained = bits >> (lz4 ? 34 : 17) & 1;
	if (all.len < head + 3 + len + 4)
		return TM_CASS_MORE;
	const char *payload = all.at + head + 3;
	memcpy(&crc, payload + len, 4);
	wanted = tm_cass_crc32(payload, len);
	if (crc != wanted) {
		fault(r, out, TM_CASS_E_PROTOCOL, 0, "Read corrupted segment payload: its CRC32 is %08x, the bytes give %08x", crc, wanted);
		return fault_close(r, out);
	}
	r->in_at += head + 3 + len + 4;
	*ret_payload = tm_str_n(payload, len);
	if (!plain_len)
		return TM_CASS_ENVELOPE;
	r->plain.len = 0;
	tm_buf_reserve(&r->plain, plain_len);
	if (LZ4_decompress_safe(payload, r->plain.at, (int)len, (int)plain_len) != (int)plain_len) {
		fault(r, out, TM_CASS_E_PROTOCOL, 0, "The segment's payload does not decompress as lz4");
		return fault_close(r, out);
	}
	r->plain.len = plain_len;
	*ret_payload = tm_buf_str(&r->plain);
	return TM_CASS_ENVELOPE;
}

/* The header of a v5 envelope; a fault leaves the caller to skip or to close. */
static enum tm_cass_read v5_header_check(struct tm_cass_reader *r, const struct header *h, struct tm_cass_fault *out)
{
	char text[200];
	if (h->opcode >= 0x80) {
		fault(r, out, TM_CASS_E_SERVER, 0, "Unknown opcode %d", (int8_t)h->opcode);
		return fault_close(r, out);
	}
	if ((int32_t)h->body_len < 0 && h->body_len == UINT32_MAX) {
		fault(r, out, TM_CASS_E_PROTOCOL, h->stream, "Invalid value for envelope header body length field: -1");
		return fault_close(r, out);
	}
	if (h->version != r->version)
		return fault(r, out, TM_CASS_E_PROTOCOL, h->stream,
			     "Invalid message version. Got %d/v%d but previous messages on this connection had version %d/v%d", h->version,
			     h->version, r->version, r->version);
	if (!opcode_fits(h, r->requests, text, sizeof text))
		return fault(r, out, TM_CASS_E_PROTOCOL, h->stream, "%s", text);
	return TM_CASS_ENVELOPE;
}

/* An envelope over several segments: its parts are joined up to the length that its header names. */
static enum tm_cass_read joined_next(struct tm_cass_reader *r, struct tm_str part, struct tm_cass_envelope *ret, struct tm_cass_fault *out)
{
	if (!r->joining)
		r->joined.len = 0;
	r->joining = true;
	tm_buf_str_put(&r->joined, part);
	if (r->joined.len < TM_CASS_HEADER_BYTES) {
		fault(r, out, TM_CASS_E_SERVER, 0, "The first segment of an envelope holds %zu bytes, less than its header", r->joined.len);
		return fault_close(r, out);
	}
	struct header h = header_of(r->joined.at);
	enum tm_cass_read rc = v5_header_check(r, &h, out);
	size_t total = TM_CASS_HEADER_BYTES + (size_t)h.body_len;
	if (rc == TM_CASS_ENVELOPE && h.body_len > r->limit_bytes) {
		fault(r, out, TM_CASS_E_INVALID, h.stream, "Request is too big: length %u exceeds maximum allowed length %zu.", h.body_len,
		      r->limit_bytes);
		rc = fault_close(r, out);
	}
	if (rc != TM_CASS_ENVELOPE)
		return r->dead ? rc : fault_close(r, out);
	if (r->joined.len > total) {
		fault(r, out, TM_CASS_E_SERVER, 0, "The segments of an envelope hold %zu bytes, its header says %zu", r->joined.len, total);
		return fault_close(r, out);
	}
	if (r->joined.len < total)
		return TM_CASS_MORE;
	r->joining = false;
	return envelope_of(r, &h, tm_str_n(r->joined.at + TM_CASS_HEADER_BYTES, h.body_len), ret, out);
}

static enum tm_cass_read window_next(struct tm_cass_reader *r, struct tm_cass_envelope *ret, struct tm_cass_fault *out)
{
	struct tm_str *w = &r->window;
	if (w->len < TM_CASS_HEADER_BYTES) {
		fault(r, out, TM_CASS_E_SERVER, 0, "A self-contained segment ends inside an envelope's header");
		return fault_close(r, out);
	}
	struct header h = header_of(w->at);
	enum tm_cass_read rc = v5_header_check(r, &h, out);
	if (r->dead)
		return rc;
	if (h.body_len > w->len - TM_CASS_HEADER_BYTES) {
		fault(r, out, TM_CASS_E_SERVER, 0, "An envelope of %u bytes goes beyond its self-contained segment", h.body_len);
		return fault_close(r, out);
	}
	struct tm_str body = {w->at + TM_CASS_HEADER_BYTES, h.body_len};
	w->at += TM_CASS_HEADER_BYTES + h.body_len;
	w->len -= TM_CASS_HEADER_BYTES + h.body_len;
	return rc == TM_CASS_ENVELOPE ? envelope_of(r, &h, body, ret, out) : rc;
}

enum tm_cass_read tm_cass_reader_next(struct tm_cass_reader *r, struct tm_cass_envelope *ret, struct tm_cass_fault *ret_fault)
{
	if (r->dead || (r->in.len == 0 && r->window.len == 0 && !(r->discard_total >> 63)))
		return TM_CASS_MORE;
	if (!r->segmented)
		return legacy_next(r, ret, ret_fault);
	if (!r->joining && r->joined.cap > KEEP_BYTES)
		tm_buf_done(&r->joined);
	while (r->window.len == 0) {
		struct tm_str payload;
		bool self_contained;
		enum tm_cass_read rc = segment_next(r, &payload, &self_contained, ret_fault);
		if (rc != TM_CASS_ENVELOPE)
			return rc;
		if (!self_contained || r->joining) {
			if (payload.len == 0)
				continue;
			rc = joined_next(r, payload, ret, ret_fault);
			if (rc != TM_CASS_MORE)
				return rc;
			continue;
		}
		r->window = payload;
	}
	return window_next(r, ret, ret_fault);
}

/* ---- writing ---- */
void tm_cass_writer_done(struct tm_cass_writer *w) { tm_buf_done(&w->envelopes); }

static void compressed_put(struct tm_buf *out, enum tm_cass_compression compression, struct tm_str body)
{
	if (compression == TM_CASS_LZ4) {
		int bound = LZ4_compressBound((int)body.len);
		tm_buf_be32(out, (uint32_t)body.len);
		tm_buf_reserve(out, (size_t)bound);
		out->len += (size_t)LZ4_compress_default(body.len ? body.at : "", out->at + out->len, (int)body.len, bound);
		return;
	}
	size_t bound = snappy_max_compressed_length(body.len);
	tm_buf_reserve(out, bound);
	if (snappy_compress(body.len ? body.at : "", body.len, out->at + out->len, &bound) == SNAPPY_OK)
		out->len += bound;
}

void tm_cass_writer_put(struct tm_cass_writer *w, uint8_t flags, int16_t stream, uint8_t opcode, struct tm_str body)
{
	struct tm_buf *b = &w->envelopes;
	/* A client leaves small bodies alone: the flag says which is which. */
	bool compress = !w->segmented && w->compression != TM_CASS_PLAIN && w->version < 5 && (w->response || body.len > 512) &&
			body.len < INT32_MAX / 2;
	if (w->beta)
		flags |= TM_CASS_FLAG_BETA;
	if (compress)
		flags |= TM_CASS_FLAG_COMPRESSED;
	tm_buf_reserve(b, TM_CASS_HEADER_BYTES + body.len);
	tm_buf_u8(b, (uint8_t)((w->beta ? 6 : w->version) | (w->response ? 0x80 : 0)));
	tm_buf_u8(b, flags);
	tm_buf_be16(b, (uint16_t)stream);
	tm_buf_u8(b, opcode);
	size_t len_at = b->len;
	tm_buf_be32(b, (uint32_t)body.len);
	if (!compress) {
		tm_buf_str_put(b, body);
		return;
	}
	compressed_put(b, w->compression, body);
	uint32_t len = __builtin_bswap32((uint32_t)(b->len - len_at - 4));
	memcpy(b->at + len_at, &len, 4);
}

static void segment_put(struct tm_buf *out, bool lz4, struct tm_str payload, bool self_contained)
{
	size_t head_at = out->len, head = lz4 ? 5 : 3, len = payload.len, plain_len = 0;
	tm_buf_extend(out, head + 3);
	if (lz4) {
		int bound = LZ4_compressBound((int)payload.len);
		tm_buf_reserve(out, (size_t)bound);
		int n = LZ4_compress_default(payload.at, out->at + out->len, (int)payload.len, bound);
		if (n > 0 && (size_t)n < payload.len) {
			plain_len = payload.len;
			len = (size_t)n;
			out->len += len;
		}
	}
	if (!plain_len)
		tm_buf_str_put(out, payload); /* not worth it: travels as it is */
	uint64_t bits = lz4 ? (uint64_t)len | (uint64_t)plain_len << 17 | (uint64_t)self_contained << 34
			    : (uint64_t)len | (uint64_t)self_contained << 17;
	memcpy(out->at + head_at, &bits, head);
	uint32_t crc = tm_cass_crc24(out->at + head_at, head);
	memcpy(out->at + head_at + head, &crc, 3);
	tm_buf_le32(out, tm_cass_crc32(out->at + head_at + head + 3, len));
}

void tm_cass_writer_flush(struct tm_cass_writer *w, struct tm_buf *out)
{
	struct tm_str rest = tm_buf_str(&w->envelopes);
	bool lz4 = w->compression == TM_CASS_LZ4;
	if (!w->segmented) {
		tm_buf_str_put(out, rest);
		rest.len = 0;
	}
	while (rest.len > 0) {
		size_t pack = 0;
		while (pack < rest.len) { /* as many whole envelopes as fit */
			struct header h = header_of(rest.at + pack);
			size_t total = TM_CASS_HEADER_BYTES + (size_t)h.body_len;
			if (pack + total > TM_CASS_SEGMENT_PAYLOAD_MAX) {
				if (pack == 0)
					pack = total;
				break;
			}
			pack += total;
		}
		struct tm_str now = {rest.at, pack};
		rest.at += pack;
		rest.len -= pack;
		if (pack <= TM_CASS_SEGMENT_PAYLOAD_MAX) {
			segment_put(out, lz4, now, true);
			continue;
		}
		while (now.len > 0) {
			size_t part = now.len < TM_CASS_SEGMENT_PAYLOAD_MAX ? now.len : TM_CASS_SEGMENT_PAYLOAD_MAX;
			segment_put(out, lz4, tm_str_n(now.at, part), false);
			now.at += part;
			now.len -= part;
		}
	}
	give_back(&w->envelopes);
}
