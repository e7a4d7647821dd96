/* Compression codecs. Each library is used in this file only. */
#include "log/codec.h"
#include <limits.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

/* A growing output in an arena: doubled by copying, never beyond the limit. */
struct out {
	struct tm_arena *arena;
	char *at;
	size_t len, cap, limit;
};

static bool out_init(struct out *o, struct tm_arena *arena, size_t guess, size_t limit)
{
	if (guess < 512)
		guess = 512;
	if (guess > limit)
		guess = limit;
	*o = (struct out){.arena = arena, .at = tm_arena_try(arena, guess + 1), .cap = guess, .limit = limit};
	return o->at != NULL;
}

/* Makes room for more; false at the limit. */
static bool out_grow(struct out *o)
{
	if (o->cap >= o->limit)
		return false;
	size_t cap = o->cap > o->limit / 2 ? o->limit : o->cap * 2;
	char *at = tm_arena_try(o->arena, cap + 1);
	if (!at)
		return false;
	memcpy(at, o->at, o->len);
	o->at = at;
	o->cap = cap;
	return true;
}

static tm_rc too_large(const struct out *o, const char *codec, struct tm_err *err)
{
	return tm_fail(err, TM_LIMIT, "a %s batch decompresses to more than %zu bytes", codec, o->limit);
}

static tm_rc damaged(const char *codec, const char *why, struct tm_err *err)
{
	return tm_fail(err, TM_CORRUPT, "a %s batch does not decompress: %s", codec, why);
}

static size_t guess_of(struct tm_str in) { return in.len > SIZE_MAX / 8 ? SIZE_MAX : in.len * 4; }

static tm_rc gzip_unpack(struct tm_str in, struct out *o, struct tm_err *err)
{
	z_stream z = {0};
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return tm_fail(err, TM_NOMEM, "no memory for gzip");
	z.next_in = (Bytef *)(uintptr_t)in.at;
	z.avail_in = (uInt)in.len;
	tm_rc rc = TM_OK;
	for (;;) {
		z.next_out = (Bytef *)o->at + o->len;
		z.avail_out = (uInt)(o->cap - o->len);
		int r = inflate(&z, Z_NO_FLUSH);
		o->len = (size_t)((char *)z.next_out - o->at);
		if (r == Z_STREAM_END && z.avail_in) { /* gzip members may follow one another */
			if (inflateReset(&z) == Z_OK)
				continue;
			r = Z_DATA_ERROR;
		}
		if (r == Z_STREAM_END)
			break;
		if (r != Z_OK && r != Z_BUF_ERROR) {
			rc = damaged("gzip", z.msg ? z.msg : "bad data", err);
			break;
		}
		if (z.avail_out == 0) {
			if (!out_grow(o)) {
				rc = too_large(o, "gzip", err);
				break;
			}
		} else if (z.avail_in == 0) {
			rc = damaged("gzip", "it ends too early", err);
			break;
		}
	}
	inflateEnd(&z);
	return rc;
}

static tm_rc snappy_block(struct tm_str in, struct out *o, struct tm_err *err)
{
	size_t n;
	if (snappy_uncompressed_length(in.at, in.len, &n) != SNAPPY_OK)
		return damaged("snappy", "no length in front", err);
	if (n > o->limit - o->len)
		return too_large(o, "snappy", err);
	/* A byte of snappy makes at most 64/3 bytes: a length beyond that is a lie told before any memory is taken. */
	if (n > 64 + in.len * 32)
		return damaged("snappy", "the length in front is impossible", err);
	while (o->cap - o->len < n)
		if (!out_grow(o))
			return too_large(o, "snappy", err);
	if (snappy_uncompress(in.at, in.len, o->at + o->len, &n) != SNAPPY_OK)
		return damaged("snappy", "bad data", err);
	o->len += n;
	return TM_OK;
}

static const char xerial_magic[8] = {(char)0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static tm_rc snappy_unpack(struct tm_str in, struct out *o, struct tm_err *err)
{
	if (in.len < 16 || memcmp(in.at, xerial_magic, 8) != 0)
		return snappy_block(in, o, err);
	struct tm_cursor c = tm_cursor_of(tm_str_slice(in, 16, in.len)); /* magic, version, compatible version */
	while (tm_cursor_left(&c)) {
		struct tm_str block = tm_cursor_take(&c, tm_cursor_be32(&c));
		if (!tm_cursor_ok(&c))
			return damaged("snappy", "a block ends too early", err);
		TM_TRY(snappy_block(block, o, err));
	}
	return TM_OK;
}

static tm_rc lz4_unpack(struct tm_str in, struct out *o, struct tm_err *err)
{
	LZ4F_dctx *d;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
		return tm_fail(err, TM_NOMEM, "no memory for lz4");
	tm_rc rc = TM_OK;
	size_t at = 0, more = 1;
	while (at < in.len || more) {
		size_t src = in.len - at, dst = o->cap - o->len;
		more = LZ4F_decompress(d, o->at + o->len, &dst, in.at + at, &src, NULL);
		if (LZ4F_isError(more)) {
			rc = damaged("lz4", LZ4F_getErrorName(more), err);
			break;
		}
		at += src;
		o->len += dst;
		if (more == 0 && at == in.len)
			break;
		if (o->len == o->cap) {
			if (!out_grow(o)) {
				rc = too_large(o, "lz4", err);
				break;
			}
		} else if (src == 0 && dst == 0) {
			rc = damaged("lz4", "it ends too early", err);
			break;
		}
	}
	LZ4F_freeDecompressionContext(d);
	return rc;
}

static tm_rc zstd_unpack(struct tm_str in, struct out *o, struct tm_err *err)
{
	ZSTD_DStream *d = ZSTD_createDStream();
	if (!d)
		return tm_fail(err, TM_NOMEM, "no memory for zstd");
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 27); /* a frame may not ask for more than 128 MiB of window */
	ZSTD_inBuffer src = {in.at, in.len, 0};
	tm_rc rc = TM_OK;
	size_t more = 1;
	while (src.pos < src.size || more) {
		ZSTD_outBuffer dst = {o->at, o->cap, o->len};
		size_t before = src.pos;
		more = ZSTD_decompressStream(d, &dst, &src);
		bool moved = src.pos != before || dst.pos != o->len;
		o->len = dst.pos;
		if (ZSTD_isError(more)) {
			rc = damaged("zstd", ZSTD_getErrorName(more), err);
			break;
		}
		if (more == 0 && src.pos == src.size)
			break;
		if (o->len == o->cap) {
			if (!out_grow(o)) {
				rc = too_large(o, "zstd", err);
				break;
			}
		} else if (!moved) {
			rc = damaged("zstd", "it ends too early", err);
			break;
		}
	}
	ZSTD_freeDStream(d);
	return rc;
}

tm_rc tm_codec_unpack(enum tm_codec codec, struct tm_str in, size_t limit_bytes, struct tm_arena *arena, struct tm_str *ret,
		      struct tm_err *err)
{
	static tm_rc (*const unpack[])(struct tm_str, struct out *, struct tm_err *) = {
	    [TM_CODEC_GZIP] = gzip_unpack, [TM_CODEC_SNAPPY] = snappy_unpack, [TM_CODEC_LZ4] = lz4_unpack, [TM_CODEC_ZSTD] = zstd_unpack};
	if (codec == TM_CODEC_NONE) {
		*ret = in;
		return TM_OK;
	}
	if (codec > TM_CODEC_ZSTD)
		return tm_fail(err, TM_CORRUPT, "unknown compression type id: %d", (int)codec);
	if (in.len == 0)
		return damaged(tm_codec_name(codec), "there is nothing of it", err);
	if (in.len > UINT_MAX)
		return tm_fail(err, TM_LIMIT, "a compressed batch of %zu bytes", in.len);
	struct out o;
	if (!out_init(&o, arena, guess_of(in), limit_bytes))
		return tm_fail(err, TM_NOMEM, "no memory to decompress a batch of %zu bytes", in.len);
	TM_TRY(unpack[codec](in, &o, err));
	*ret = tm_str_n(o.at, o.len);
	return TM_OK;
}

static tm_rc gzip_pack(int level, struct tm_str in, struct tm_buf *out, struct tm_err *err)
{
	z_stream z = {0};
	if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return tm_fail(err, TM_NOMEM, "no memory for gzip");
	size_t bound = deflateBound(&z, in.len) + 32;
	z.next_in = (Bytef *)(uintptr_t)in.at;
	z.avail_in = (uInt)in.len;
	z.next_out = (Bytef *)tm_buf_reserve(out, bound);
	z.avail_out = (uInt)bound;
	int r = deflate(&z, Z_FINISH);
	out->len += bound - z.avail_out;
	deflateEnd(&z);
	return r == Z_STREAM_END ? TM_OK : tm_fail(err, TM_INTERNAL, "gzip failed (%d)", r);
}

/* As the Java library frames it: 32 KiB blocks, each with its length in front, behind a head of 16 bytes. */
static tm_rc snappy_pack(struct tm_str in, struct tm_buf *out, struct tm_err *err)
{
	enum { BLOCK = 32 * 1024 };
	tm_buf_put(out, xerial_magic, 8);
	tm_buf_be32(out, 1);
	tm_buf_be32(out, 1);
	for (size_t at = 0; at < in.len; at += BLOCK) {
		size_t n = in.len - at < BLOCK ? in.len - at : BLOCK, packed = snappy_max_compressed_length(n);
		char *to = tm_buf_reserve(out, 4 + packed);
		if (snappy_compress(in.at + at, n, to + 4, &packed) != SNAPPY_OK)
			return tm_fail(err, TM_INTERNAL, "snappy failed");
		uint32_t be = __builtin_bswap32((uint32_t)packed);
		memcpy(to, &be, 4);
		out->len += 4 + packed;
	}
	return TM_OK;
}

static tm_rc lz4_pack(int level, struct tm_str in, struct tm_buf *out, struct tm_err *err)
{
	LZ4F_preferences_t p = {.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent}, .compressionLevel = level};
	size_t bound = LZ4F_compressFrameBound(in.len, &p);
	size_t n = LZ4F_compressFrame(tm_buf_reserve(out, bound), bound, in.at, in.len, &p);
	if (LZ4F_isError(n))
		return tm_fail(err, TM_INTERNAL, "lz4 failed: %s", LZ4F_getErrorName(n));
	out->len += n;
	return TM_OK;
}

static tm_rc zstd_pack(int level, struct tm_str in, struct tm_buf *out, struct tm_err *err)
{
	size_t bound = ZSTD_compressBound(in.len);
	size_t n = ZSTD_compress(tm_buf_reserve(out, bound), bound, in.at, in.len, level);
	if (ZSTD_isError(n))
		return tm_fail(err, TM_INTERNAL, "zstd failed: %s", ZSTD_getErrorName(n));
	out->len += n;
	return TM_OK;
}

tm_rc tm_codec_pack(enum tm_codec codec, int32_t level, struct tm_str in, struct tm_buf *out, struct tm_err *err)
{
	bool preset = level == TM_CODEC_LEVEL_DEFAULT;
	switch (codec) {
	case TM_CODEC_NONE:
		tm_buf_str_put(out, in);
		return TM_OK;
	case TM_CODEC_GZIP:
		return gzip_pack(preset ? Z_DEFAULT_COMPRESSION : level, in, out, err);
	case TM_CODEC_SNAPPY:
		return snappy_pack(in, out, err);
	case TM_CODEC_LZ4:
		return lz4_pack(preset ? 0 : level, in, out, err);
	case TM_CODEC_ZSTD:
		return zstd_pack(preset ? 3 : level, in, out, err);
	}
	return tm_fail(err, TM_INVALID, "unknown compression type id: %d", (int)codec);
}

const char *tm_codec_name(enum tm_codec codec)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
	return codec <= TM_CODEC_ZSTD ? names[codec] : "unknown";
}
