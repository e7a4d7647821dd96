/* Hashes and digests: Spark's Murmur3 and XXH64 over any value, md5, sha1, sha2, crc32. */
#include "sql/fn_hash.h"
#include <openssl/evp.h>
#include <zlib.h>

/* ---- Murmur3, 32 bits, as Spark has it: the bytes after the last whole word are mixed in one by one, signed ---- */
static uint32_t rotl(uint32_t x, int r) { return x << r | x >> (32 - r); }
static uint32_t mix_k(uint32_t k) { return rotl(k * 0xcc9e2d51u, 15) * 0x1b873593u; }
static uint32_t mix_h(uint32_t h, uint32_t k) { return rotl(h ^ k, 13) * 5 + 0xe6546b64u; }
static uint32_t finish(uint32_t h, uint32_t n)
{
	h ^= n;
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}
static uint32_t murmur_int(int32_t v, uint32_t seed) { return finish(mix_h(seed, mix_k((uint32_t)v)), 4); }
static uint32_t murmur_long(int64_t v, uint32_t seed)
{
	return finish(mix_h(mix_h(seed, mix_k((uint32_t)v)), mix_k((uint32_t)((uint64_t)v >> 32))), 8);
}
static uint32_t murmur_bytes(struct tm_str s, uint32_t h)
{
	size_t i = 0;
	for (; i + 4 <= s.len; i += 4) {
		uint32_t w;
		memcpy(&w, s.at + i, 4);
		h = mix_h(h, mix_k(w));
	}
	for (; i < s.len; i++)
		h = mix_h(h, mix_k((uint32_t)(int32_t)(int8_t)s.at[i]));
	return finish(h, (uint32_t)s.len);
}

/* ---- XXH64 ---- of one int or long it has short forms of its own */
#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u
static uint64_t rotl64(uint64_t x, int r) { return x << r | x >> (64 - r); }
static uint64_t avalanche(uint64_t h)
{
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
static uint64_t xx_int(int32_t v, uint64_t seed)
{
	uint64_t h = seed + P5 + 4;
	h ^= (uint64_t)(uint32_t)v * P1;
	return avalanche(rotl64(h, 23) * P2 + P3);
}
static uint64_t xx_long(int64_t v, uint64_t seed)
{
	uint64_t h = seed + P5 + 8;
	h ^= rotl64((uint64_t)v * P2, 31) * P1;
	return avalanche(rotl64(h, 27) * P1 + P4);
}

static uint64_t hash_int(bool x, int32_t v, uint64_t seed) { return x ? xx_int(v, seed) : murmur_int(v, (uint32_t)seed); }
static uint64_t hash_long(bool x, int64_t v, uint64_t seed) { return x ? xx_long(v, seed) : murmur_long(v, (uint32_t)seed); }
static uint64_t hash_bytes(bool x, struct tm_str s, uint64_t seed)
{
	return x ? tm_xxh64(s.at, s.len, seed) : murmur_bytes(s, (uint32_t)seed);
}

/* A decimal of more than 18 digits: the bytes of its BigInteger, the fewest that hold its sign. */
static uint64_t hash_big(bool x, i128 v, uint64_t seed)
{
	char bytes[16];
	for (int i = 0; i < 16; i++)
		bytes[15 - i] = (char)(v >> (8 * i));
	int from = 0;
	while (from < 15 && ((bytes[from] == 0 && !(bytes[from + 1] & 0x80)) || (bytes[from] == -1 && (bytes[from + 1] & 0x80))))
		from++;
	return hash_bytes(x, tm_str_n(bytes + from, (size_t)(16 - from)), seed);
}

static uint64_t hash_value(bool x, const struct tm_column *c, size_t row, uint64_t seed)
{
	if (tm_is_null(c, row))
		return seed;
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		return hash_int(x, c->boolean[row], seed);
	case TM_T_TINYINT:
		return hash_int(x, c->i8[row], seed);
	case TM_T_SMALLINT:
		return hash_int(x, c->i16[row], seed);
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return hash_int(x, c->i32[row], seed);
	case TM_T_FLOAT: {
		float f = c->f32[row] == 0 ? 0.0f : c->f32[row];
		int32_t bits;
		memcpy(&bits, &f, 4);
		return hash_int(x, f != f ? 0x7fc00000 : bits, seed);
	}
	case TM_T_DOUBLE: {
		double d = c->f64[row] == 0 ? 0.0 : c->f64[row];
		int64_t bits;
		memcpy(&bits, &d, 8);
		return hash_long(x, d != d ? 0x7ff8000000000000 : bits, seed);
	}
	case TM_T_DECIMAL:
		return c->type->precision <= 18 ? hash_long(x, (int64_t)c->i128[row], seed) : hash_big(x, c->i128[row], seed);
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT:
		return hash_bytes(x, c->str[row], seed);
	case TM_T_INTERVAL: {
		struct tm_interval v = c->interval[row];
		return hash_int(x, v.months, hash_int(x, v.days, hash_long(x, v.micros, seed)));
	}
	case TM_T_ARRAY: {
		struct tm_span s = c->span[row];
		for (uint32_t i = 0; i < s.count; i++)
			seed = hash_value(x, &c->children[0], s.from + i, seed);
		return seed;
	}
	case TM_T_MAP: {
		struct tm_span s = c->span[row];
		for (uint32_t i = 0; i < s.count; i++)
			seed = hash_value(x, &c->children[1], s.from + i, hash_value(x, &c->children[0], s.from + i, seed));
		return seed;
	}
	case TM_T_STRUCT:
		for (size_t i = 0; i < c->type->child_count; i++)
			seed = hash_value(x, &c->children[i], row, seed);
		return seed;
	default:
		return hash_long(x, c->i64[row], seed);
	}
}
uint32_t fn_murmur_int(int32_t v, uint32_t seed) { return murmur_int(v, seed); }
uint32_t fn_murmur_bytes(struct tm_str s, uint32_t seed) { return murmur_bytes(s, seed); }
uint64_t fn_xxhash64(const struct tm_column *c, size_t row, uint64_t seed) { return hash_value(true, c, row, seed); }

KERNEL(hash)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		uint64_t h = 42;
		for (size_t a = 0; a < call->arg_count; a++)
			h = hash_value(false, &args[a], i, h);
		ret->i32[i] = (int32_t)(uint32_t)h;
	}
	return TM_OK;
}
KERNEL(xxhash64)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		uint64_t h = 42;
		for (size_t a = 0; a < call->arg_count; a++)
			h = hash_value(true, &args[a], i, h);
		ret->i64[i] = (int64_t)h;
	}
	return TM_OK;
}
BIND(hash)
{
	bool x = fn_variant(b);
	for (size_t i = 0; i < b->arg_count; i++)
		if (b->args[i].type->kind == TM_T_MAP)
			return fn_mismatch(b, err, "HASH_MAP_TYPE",
					   "Input to the function `%s` cannot contain elements of the \"MAP\" type.", b->fn->name);
	return fn_is(b, x ? &tm_k_xxhash64 : &tm_k_hash, x ? &tm_type_bigint : &tm_type_int, false);
}

/* ---- digests ---- as hexadecimal text */
static struct tm_str digest(struct tm_eval *ev, const EVP_MD *md, struct tm_str s)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (!EVP_Digest(s.at, s.len, sum, &n, md, NULL))
		return tm_str_n("", 0);
	char *out = tm_arena_alloc(ev->arena, n * 2 + 1);
	for (unsigned i = 0; i < n; i++) {
		out[2 * i] = hex[sum[i] >> 4];
		out[2 * i + 1] = hex[sum[i] & 15];
	}
	return tm_str_n(out, n * 2);
}
KERNEL(md5)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = digest(ev, EVP_md5(), STR_AT(0, i));
	return TM_OK;
}
KERNEL(sha1)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = digest(ev, EVP_sha1(), STR_AT(0, i));
	return TM_OK;
}
KERNEL(sha2)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int32_t bits = AT(1, i32, i);
		const EVP_MD *md = bits == 0 || bits == 256 ? EVP_sha256()
				   : bits == 224            ? EVP_sha224()
				   : bits == 384            ? EVP_sha384()
				   : bits == 512            ? EVP_sha512()
							    : NULL;
		if (md)
			ret->str[i] = digest(ev, md, STR_AT(0, i));
		else
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
KERNEL(crc32)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i64[i] = (int64_t)crc32_z(0, (const unsigned char *)STR_AT(0, i).at, STR_AT(0, i).len);
	return TM_OK;
}
