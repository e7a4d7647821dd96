/* Serialised values. Reading is bounds-checked everywhere: values come from drivers and from disk. */
#include "table/value.h"
#include "table/bignum.h"
#include <stdio.h>

static int cmp_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }
static int cmp_u64(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static uint64_t be64(const char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

/* Big-endian bytes of 0 to 8 as a signed number. */
static int64_t be_signed(struct tm_str s)
{
	uint64_t v = s.len && (s.at[0] & 0x80) ? ~0ull : 0;
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | (uint8_t)s.at[i];
	return (int64_t)v;
}

/* ---- vints (Cassandra's: leading ones of the first byte count the bytes that follow) ---- */
void tm_value_vint_put(struct tm_buf *b, uint64_t v)
{
	int extra = 0;
	while (extra < 8 && (extra == 8 || v >> (7 * (extra + 1))))
		extra++;
	uint8_t out[9];
	for (int i = extra; i > 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
	out[0] = extra == 8 ? 0xFF : (uint8_t)((uint8_t)(0xFF00 >> extra) | v);
	tm_buf_put(b, out, (size_t)extra + 1);
}

bool tm_value_vint_take(struct tm_cursor *c, uint64_t *ret)
{
	uint8_t first = tm_cursor_u8(c);
	int extra = 0;
	while (extra < 8 && first & (0x80 >> extra))
		extra++;
	uint64_t v = extra >= 8 ? 0 : first & (0xFFu >> (extra + 1));
	for (int i = 0; i < extra; i++)
		v = v << 8 | tm_cursor_u8(c);
	*ret = v;
	return !c->bad;
}

/* ---- items ---- */
bool tm_value_items_open(struct tm_str bytes, struct tm_value_items *ret)
{
	ret->c = tm_cursor_of(bytes);
	ret->at = 0;
	int32_t n = (int32_t)tm_cursor_be32(&ret->c);
	if (ret->c.bad || n < 0) {
		ret->count = 0;
		return false;
	}
	ret->count = (size_t)n;
	return true;
}

static bool take_bytes(struct tm_cursor *c, struct tm_str *ret)
{
	int32_t n = (int32_t)tm_cursor_be32(c);
	if (c->bad)
		return false;
	*ret = n < 0 ? (struct tm_str){0} : tm_cursor_take(c, (size_t)n);
	return !c->bad;
}

bool tm_value_items_next(struct tm_value_items *it, struct tm_str *ret)
{
	if (it->c.at == it->c.end)
		return false;
	it->at++;
	return take_bytes(&it->c, ret);
}

bool tm_value_vector_next(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_str *ret)
{
	if (c->bad || c->at == c->end)
		return false;
	uint64_t n = tm_type_fixed_length(type->args[0]);
	if (n == 0 && !tm_value_vint_take(c, &n))
		return false;
	*ret = tm_cursor_take(c, n);
	return !c->bad;
}

/* ---- validation ---- */
static tm_rc validate_items(const struct tm_cql_type *type, struct tm_str bytes, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	if (bytes.len < 4)
		return tm_fail(err, TM_DATA, "Not enough bytes to read a %s",
			       type->kind == TM_CQL_MAP   ? "map"
			       : type->kind == TM_CQL_SET ? "set"
							  : "list");
	int32_t n = (int32_t)tm_cursor_be32(&c);
	for (int32_t i = 0; i < n; i++)
		for (size_t a = 0; a < type->arg_count; a++) {
			struct tm_str item;
			if (!take_bytes(&c, &item))
				return tm_fail(err, TM_DATA, "Not enough bytes to read %s %d of a collection",
					       type->kind == TM_CQL_MAP ? "entry" : "element", i);
			if (!item.at && type->frozen)
				continue; /* Cassandra lets nulls into frozen lists that are bound */
			if (!item.at)
				return tm_fail(err, TM_INTERNAL, "java.lang.NullPointerException: null inside a collection");
			TM_TRY(tm_value_validate(type->args[a], item, err));
		}
	if (tm_cursor_left(&c))
		return tm_fail(err, TM_DATA, "Unexpected extraneous bytes after %s value",
			       type->kind == TM_CQL_MAP   ? "map"
			       : type->kind == TM_CQL_SET ? "set"
							  : "list");
	return TM_OK;
}

static tm_rc validate_fields(const struct tm_cql_type *type, struct tm_str bytes, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	for (size_t i = 0; i < type->arg_count && tm_cursor_left(&c); i++) {
		if (tm_cursor_left(&c) < 4)
			return tm_fail(err, TM_DATA, "Not enough bytes to read size of %zuth component", i);
		struct tm_str item;
		if (!take_bytes(&c, &item))
			return tm_fail(err, TM_DATA, "Not enough bytes to read %zuth component", i);
		if (item.at)
			TM_TRY(tm_value_validate(type->args[i], item, err));
	}
	if (tm_cursor_left(&c))
		return tm_fail(err, TM_DATA,
			       type->kind == TM_CQL_UDT ? "Invalid remaining data after end of UDT value"
							: "Invalid remaining data after end of tuple value");
	return TM_OK;
}

static tm_rc validate_vector(const struct tm_cql_type *type, struct tm_str bytes, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	size_t fixed = tm_type_fixed_length(type->args[0]);
	if (fixed && bytes.len != fixed * type->dimension)
		return bytes.len < fixed * type->dimension ? tm_fail(err, TM_DATA, "Not enough bytes to read a vector<%s, %zu>",
								     tm_type_native_name(type->args[0]->kind), type->dimension)
							   : tm_fail(err, TM_DATA, "Unexpected %zu extraneous bytes after vector value",
								     bytes.len - fixed * type->dimension);
	for (size_t i = 0; i < type->dimension; i++) {
		struct tm_str item;
		if (!tm_value_vector_next(type, &c, &item))
			return tm_fail(err, TM_INTERNAL,
				       "java.lang.IndexOutOfBoundsException: not enough bytes to read element %zu of a vector", i);
		TM_TRY(tm_value_validate(type->args[0], item, err));
	}
	if (tm_cursor_left(&c))
		return tm_fail(err, TM_DATA, "Unexpected %zu extraneous bytes after vector value", tm_cursor_left(&c));
	return TM_OK;
}

static tm_rc validate_duration(struct tm_str bytes, struct tm_err *err)
{
	if (bytes.len < 3)
		return tm_fail(err, TM_DATA, "Expected at least 3 bytes for a duration (%zu)", bytes.len);
	struct tm_cursor c = tm_cursor_of(bytes);
	uint64_t v[3];
	for (int i = 0; i < 3; i++)
		if (!tm_value_vint_take(&c, &v[i]))
			return tm_fail(err, TM_INTERNAL, "java.lang.AssertionError: Unexpected error");
	int64_t m = tm_value_zigzag(v[0]), d = tm_value_zigzag(v[1]), n = tm_value_zigzag(v[2]);
	if (m != (int32_t)m || d != (int32_t)d)
		return tm_fail(err, TM_DATA, "The duration %s must be a 32 bits integer but was: %lld", m != (int32_t)m ? "months" : "days",
			       (long long)(m != (int32_t)m ? m : d));
	if ((m < 0 || d < 0 || n < 0) && (m > 0 || d > 0 || n > 0))
		return tm_fail(err, TM_DATA, "The duration months, days and nanoseconds must be all of the same sign (%lld, %lld, %lld)",
			       (long long)m, (long long)d, (long long)n);
	return TM_OK;
}

static tm_rc validate_ascii(struct tm_str b, struct tm_err *err)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.at[i] & 0x80)
			return tm_fail(err, TM_DATA, "Invalid byte for ascii: %d", (int)(signed char)b.at[i]);
	return TM_OK;
}

tm_rc tm_value_validate(const struct tm_cql_type *type, struct tm_str b, struct tm_err *err)
{
	switch (type->kind) {
	case TM_CQL_ASCII:
		return validate_ascii(b, err);
	case TM_CQL_VARCHAR:
		return tm_utf8_valid(b) ? TM_OK : tm_fail(err, TM_DATA, "String didn't validate.");
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		return b.len == 8 || b.len == 0 ? TM_OK : tm_fail(err, TM_DATA, "Expected 8 or 0 byte long (%zu)", b.len);
	case TM_CQL_TIMESTAMP:
		return b.len == 8 || b.len == 0 ? TM_OK : tm_fail(err, TM_DATA, "Expected 8 or 0 byte long for date (%zu)", b.len);
	case TM_CQL_DOUBLE:
		return b.len == 8 || b.len == 0 ? TM_OK : tm_fail(err, TM_DATA, "Expected 8 or 0 byte value for a double (%zu)", b.len);
	case TM_CQL_FLOAT:
		return b.len == 4 || b.len == 0 ? TM_OK : tm_fail(err, TM_DATA, "Expected 4 or 0 byte value for a float (%zu)", b.len);
	case TM_CQL_INT:
		return b.len == 4 || b.len == 0 ? TM_OK : tm_fail(err, TM_DATA, "Expected 4 or 0 byte int (%zu)", b.len);
	case TM_CQL_BOOLEAN:
		return b.len <= 1 ? TM_OK : tm_fail(err, TM_DATA, "Expected 1 or 0 byte value (%zu)", b.len);
	case TM_CQL_SMALLINT:
		return b.len == 2 ? TM_OK : tm_fail(err, TM_DATA, "Expected 2 bytes for a smallint (%zu)", b.len);
	case TM_CQL_TINYINT:
		return b.len == 1 ? TM_OK : tm_fail(err, TM_DATA, "Expected 1 byte for a tinyint (%zu)", b.len);
	case TM_CQL_DATE:
		return b.len == 4 ? TM_OK : tm_fail(err, TM_DATA, "Expected 4 byte long for date (%zu)", b.len);
	case TM_CQL_TIME:
		return b.len == 8 ? TM_OK : tm_fail(err, TM_DATA, "Expected 8 byte long for time (%zu)", b.len);
	case TM_CQL_DECIMAL:
		return b.len == 0 || b.len >= 4 ? TM_OK : tm_fail(err, TM_DATA, "Expected 0 or at least 4 bytes (%zu)", b.len);
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		if (b.len != 16 && b.len != 0)
			return tm_fail(err, TM_DATA, "UUID should be 16 or 0 bytes (%zu)", b.len);
		if (type->kind == TM_CQL_TIMEUUID && b.len && (b.at[6] & 0xF0) != 0x10)
			return tm_fail(err, TM_DATA, "Invalid version for TimeUUID type: 0x%x", (unsigned)(b.at[6] >> 4 & 0xF));
		return TM_OK;
	case TM_CQL_INET: {
		if (b.len == 0 || b.len == 4 || b.len == 16)
			return TM_OK;
		char hex[65];
		for (size_t i = 0; i < b.len && i < 32; i++)
			snprintf(hex + i * 2, 3, "%02x", (uint8_t)b.at[i]);
		return tm_fail(err, TM_DATA, "Expected 4 or 16 byte inetaddress; got %s", hex);
	}
	case TM_CQL_DURATION:
		return validate_duration(b, err);
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
		return validate_items(type, b, err);
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
		return validate_fields(type, b, err);
	case TM_CQL_VECTOR:
		return validate_vector(type, b, err);
	default:
		return TM_OK;
	}
}

/* ---- comparison ---- */
int64_t tm_value_timeuuid_100ns(const void *uuid)
{
	uint64_t m = be64(uuid);
	return (int64_t)((m >> 32) | (m << 16 & 0xFFFF00000000ull) | (m & 0xFFF) << 48);
}

static uint64_t time_order(uint64_t msb) { return msb << 48 | (msb << 16 & 0xFFFF00000000ull) | msb >> 32; }

static int compare_uuid(struct tm_str a, struct tm_str b)
{
	uint64_t ma = be64(a.at), mb = be64(b.at);
	unsigned va = ma >> 12 & 0xF, vb = mb >> 12 & 0xF;
	if (va != vb)
		return va < vb ? -1 : 1;
	int c = va == 1 ? cmp_u64(time_order(ma), time_order(mb)) : cmp_u64(ma, mb);
	return c ? c : cmp_u64(be64(a.at + 8), be64(b.at + 8));
}

static int compare_timeuuid(struct tm_str a, struct tm_str b)
{
	int c = cmp_u64(time_order(be64(a.at)), time_order(be64(b.at)));
	const uint64_t flip = 0x8080808080808080ull;
	return c ? c : cmp_u64(be64(a.at + 8) ^ flip, be64(b.at + 8) ^ flip);
}

/* Sortable bits of a float or double, Java's order: -0.0 before 0.0, NaN last. */
static uint64_t float_order(struct tm_str s)
{
	bool wide = s.len == 8;
	uint64_t bits = 0;
	for (size_t i = 0; i < s.len; i++)
		bits = bits << 8 | (uint8_t)s.at[i];
	uint64_t inf = wide ? 0x7FF0000000000000ull : 0x7F800000ull, sign = wide ? 1ull << 63 : 1ull << 31;
	if ((bits & ~sign) > inf)
		bits = wide ? 0x7FF8000000000000ull : 0x7FC00000ull;
	return bits & sign ? ~bits & (wide ? ~0ull : 0xFFFFFFFFull) : bits | sign;
}

static int compare_decimal(struct tm_str a, struct tm_str b)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_dec x, y;
	int c = tm_dec_of_bytes(&arena, a, &x) && tm_dec_of_bytes(&arena, b, &y) ? tm_dec_cmp(&arena, x, y) : tm_str_cmp(a, b);
	tm_arena_done(&arena);
	return c;
}

static int compare_varint(struct tm_str a, struct tm_str b)
{
	if (a.len <= 8 && b.len <= 8)
		return cmp_i64(be_signed(a), be_signed(b));
	struct tm_arena arena;
	tm_arena_init(&arena);
	int c = tm_big_cmp(tm_big_of_bytes(&arena, a), tm_big_of_bytes(&arena, b));
	tm_arena_done(&arena);
	return c;
}

/* A null, which bound collections and tuples may hold, stands before all values, also before an empty one: as in the ordered form. */
static int compare_part(const struct tm_cql_type *type, struct tm_str a, struct tm_str b)
{
	return a.at && b.at ? tm_value_compare(type, a, b) : (a.at != NULL) - (b.at != NULL);
}

static int compare_items(const struct tm_cql_type *type, struct tm_str a, struct tm_str b)
{
	struct tm_value_items x, y;
	tm_value_items_open(a, &x);
	tm_value_items_open(b, &y);
	struct tm_str p, q;
	for (size_t i = 0;; i++) {
		bool more_x = tm_value_items_next(&x, &p), more_y = tm_value_items_next(&y, &q);
		if (!more_x || !more_y)
			return more_x - more_y;
		int c = compare_part(type->args[i % type->arg_count], p, q);
		if (c)
			return c;
	}
}

static int compare_fields(const struct tm_cql_type *type, struct tm_str a, struct tm_str b)
{
	struct tm_cursor x = tm_cursor_of(a), y = tm_cursor_of(b);
	for (size_t i = 0; i < type->arg_count; i++) {
		struct tm_str p = {0}, q = {0};
		bool more_x = tm_cursor_left(&x) && take_bytes(&x, &p), more_y = tm_cursor_left(&y) && take_bytes(&y, &q);
		if (!more_x && !more_y)
			return 0;
		int c = compare_part(type->args[i], p, q);
		if (c)
			return c;
	}
	return 0;
}

static int compare_vector(const struct tm_cql_type *type, struct tm_str a, struct tm_str b)
{
	struct tm_cursor x = tm_cursor_of(a), y = tm_cursor_of(b);
	struct tm_str p, q;
	for (;;) {
		bool more_x = tm_value_vector_next(type, &x, &p), more_y = tm_value_vector_next(type, &y, &q);
		if (!more_x || !more_y)
			return more_x - more_y;
		int c = tm_value_compare(type->args[0], p, q);
		if (c)
			return c;
	}
}

int tm_value_compare(const struct tm_cql_type *type, struct tm_str a, struct tm_str b)
{
	if (a.len == 0 || b.len == 0)
		return (a.len > 0) - (b.len > 0);
	switch (type->kind) {
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
	case TM_CQL_TIMESTAMP:
		return cmp_i64(be_signed(tm_str_slice(a, 0, 8)), be_signed(tm_str_slice(b, 0, 8)));
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE:
		return a.len == b.len && (a.len == 4 || a.len == 8) ? cmp_u64(float_order(a), float_order(b)) : tm_str_cmp(a, b);
	case TM_CQL_UUID:
		return a.len == 16 && b.len == 16 ? compare_uuid(a, b) : tm_str_cmp(a, b);
	case TM_CQL_TIMEUUID:
		return a.len == 16 && b.len == 16 ? compare_timeuuid(a, b) : tm_str_cmp(a, b);
	case TM_CQL_VARINT:
		return compare_varint(a, b);
	case TM_CQL_DECIMAL:
		return compare_decimal(a, b);
	case TM_CQL_BOOLEAN:
		return (a.at[0] != 0) - (b.at[0] != 0);
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
		return compare_items(type, a, b);
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
		return compare_fields(type, a, b);
	case TM_CQL_VECTOR:
		return compare_vector(type, a, b);
	default:
		return tm_str_cmp(a, b);
	}
}

/* ---- token ---- */
static uint64_t rotl(uint64_t v, int n) { return v << n | v >> (64 - n); }

static uint64_t fmix(uint64_t k)
{
	k ^= k >> 33;
	k *= 0xff51afd7ed558ccdull;
	k ^= k >> 33;
	k *= 0xc4ceb9fe1a85ec53ull;
	k ^= k >> 33;
	return k;
}

/* MurmurHash3 x64-128, first half, with Cassandra's quirk: bytes of the tail are sign-extended. */
int64_t tm_value_token(struct tm_str key)
{
	if (key.len == 0)
		return INT64_MIN;
	const uint64_t c1 = 0x87c37b91114253d5ull, c2 = 0x4cf5ad432745937full;
	uint64_t h1 = 0, h2 = 0;
	size_t blocks = key.len / 16;
	for (size_t i = 0; i < blocks; i++) {
		uint64_t k1, k2;
		memcpy(&k1, key.at + i * 16, 8);
		memcpy(&k2, key.at + i * 16 + 8, 8);
		h1 ^= rotl(k1 * c1, 31) * c2;
		h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= rotl(k2 * c2, 33) * c1;
		h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	const signed char *tail = (const signed char *)key.at + blocks * 16;
	size_t left = key.len & 15;
	uint64_t k1 = 0, k2 = 0;
	for (size_t i = left; i-- > 8;)
		k2 ^= (uint64_t)(int64_t)tail[i] << ((i - 8) * 8);
	for (size_t i = left < 8 ? left : 8; i-- > 0;)
		k1 ^= (uint64_t)(int64_t)tail[i] << (i * 8);
	if (left > 8)
		h2 ^= rotl(k2 * c2, 33) * c1;
	if (left)
		h1 ^= rotl(k1 * c1, 31) * c2;
	h1 ^= key.len;
	h2 ^= key.len;
	h1 += h2;
	h2 += h1;
	h1 = fmix(h1) + fmix(h2);
	return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}
