/* The ordered form of values. Each value opens with a marker (null < empty < value), so that a bound can be put behind every
 * value with a given prefix by appending 0xFF; what has parts closes with 0x00, which is below every marker. */
#include "table/bignum.h"
#include "table/value.h"

enum { ORDER_END = 0x00, ORDER_NULL = 0x3E, ORDER_EMPTY = 0x3F, ORDER_VALUE = 0x40 };
enum { DEC_NEGATIVE = 1, DEC_ZERO = 2, DEC_POSITIVE = 3 };
enum { VARINT_LONG = 120 }; /* lengths from here on take four more bytes */

static uint64_t be64(const char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static void flip(char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (char)~at[i];
}

void tm_value_escaped_put(struct tm_str s, struct tm_buf *out)
{
	for (size_t from = 0;;) {
		const char *zero = s.len > from ? memchr(s.at + from, 0, s.len - from) : NULL;
		size_t to = zero ? (size_t)(zero - s.at) : s.len;
		tm_buf_put(out, s.at + from, to - from);
		tm_buf_put(out, zero ? "\0\xFF" : "\0\0", 2);
		if (!zero)
			return;
		from = to + 1;
	}
}

static bool take_escaped(struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	const char *start = c->at;
	size_t n = 0;
	for (const char *p = start;; n++) {
		if (c->end - p < 1)
			return false;
		if (*p++ != 0)
			continue;
		if (c->end - p < 1)
			return false;
		if (*p++ == 0) {
			c->at = p;
			break;
		}
	}
	char *out = tm_arena_alloc(arena, n + 1);
	for (size_t i = 0; i < n; i++) {
		out[i] = *start++;
		start += out[i] == 0;
	}
	out[n] = 0;
	*ret = (struct tm_str){out, n};
	return true;
}

static void put_float(struct tm_str s, struct tm_buf *out)
{
	char b[8];
	size_t n = s.len < 8 ? s.len : 8;
	memcpy(b, s.at, n);
	bool nan = n == 8 ? (be64(b) & INT64_MAX) > 0x7FF0000000000000ull
			  : n == 4 && ((uint32_t)(be64((char[8]){b[0], b[1], b[2], b[3]}) >> 32) & INT32_MAX) > 0x7F800000u;
	if (nan)
		memcpy(b, n == 8 ? "\x7F\xF8\0\0\0\0\0\0" : "\x7F\xC0\0\0", n);
	if (b[0] & 0x80)
		flip(b, n);
	else
		b[0] = (char)(b[0] ^ 0x80);
	tm_buf_put(out, b, n);
}

static void put_varint(struct tm_str s, struct tm_buf *out)
{
	while (s.len > 1 && ((s.at[0] == 0 && !(s.at[1] & 0x80)) || (s.at[0] == (char)0xFF && (s.at[1] & 0x80))))
		s = tm_str_slice(s, 1, s.len);
	bool negative = s.at[0] & 0x80;
	size_t from = out->len;
	if (s.len < VARINT_LONG) {
		tm_buf_u8(out, (uint8_t)(0x80 + s.len));
	} else {
		tm_buf_u8(out, 0x80 + VARINT_LONG);
		tm_buf_be32(out, (uint32_t)s.len);
	}
	if (negative)
		flip(out->at + from, out->len - from);
	tm_buf_str_put(out, s);
}

static bool take_varint(struct tm_cursor *c, struct tm_str *ret)
{
	uint8_t head = tm_cursor_u8(c);
	bool negative = head < 0x80;
	size_t n = (negative ? (uint8_t)~head : head) - 0x80u;
	if (n == VARINT_LONG) {
		uint32_t v = tm_cursor_be32(c);
		n = negative ? ~v : v;
	}
	*ret = tm_cursor_take(c, n);
	return !c->bad;
}

/* Sign, exponent of the first digit, digits without trailing zeros, end; all but the sign inverted when negative. */
static void put_decimal(struct tm_str s, struct tm_buf *out)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_dec d;
	if (!tm_dec_of_bytes(&arena, s, &d))
		d = (struct tm_dec){0};
	if (tm_big_is_zero(d.unscaled)) {
		tm_buf_u8(out, DEC_ZERO);
	} else {
		bool negative = d.unscaled.negative;
		d.unscaled.negative = false;
		struct tm_str digits = tm_big_text(&arena, d.unscaled);
		int64_t high = (int64_t)digits.len - d.scale;
		while (digits.len > 1 && digits.at[digits.len - 1] == '0')
			digits.len--;
		tm_buf_u8(out, negative ? DEC_NEGATIVE : DEC_POSITIVE);
		size_t from = out->len;
		tm_buf_be64(out, (uint64_t)high ^ 1ull << 63);
		tm_buf_str_put(out, digits);
		tm_buf_u8(out, 0);
		if (negative)
			flip(out->at + from, out->len - from);
	}
	tm_arena_done(&arena);
}

static bool take_decimal(struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	uint8_t sign = tm_cursor_u8(c);
	if (c->bad || sign < DEC_NEGATIVE || sign > DEC_POSITIVE)
		return false;
	struct tm_dec d = {0};
	if (sign != DEC_ZERO) {
		bool negative = sign == DEC_NEGATIVE;
		uint64_t bits = tm_cursor_be64(c);
		int64_t high = (int64_t)((negative ? ~bits : bits) ^ 1ull << 63);
		const char *end = c->at < c->end ? memchr(c->at, negative ? 0xFF : 0, tm_cursor_left(c)) : NULL;
		if (!end)
			return false;
		size_t n = (size_t)(end - c->at);
		char *digits = tm_arena_alloc(arena, n + 1);
		for (size_t i = 0; i < n; i++)
			digits[i] = negative ? (char)~c->at[i] : c->at[i];
		c->at = end + 1;
		if (!tm_big_parse(arena, (struct tm_str){digits, n}, &d.unscaled))
			return false;
		d.unscaled.negative = negative;
		int64_t scale = (int64_t)n - high;
		if (scale < INT32_MIN) { /* zeros were cut off that the scale cannot do without */
			if (INT32_MIN - scale > TM_BIG_MAX_BYTES * 2)
				return false;
			d.unscaled = tm_big_mul(arena, d.unscaled, tm_big_pow10(arena, (size_t)(INT32_MIN - scale)));
			scale = INT32_MIN;
		}
		if (scale > INT32_MAX)
			return false;
		d.scale = (int32_t)scale;
	}
	*ret = tm_dec_bytes(arena, d);
	return true;
}

static uint64_t time_order(uint64_t m) { return m << 48 | (m << 16 & 0xFFFF00000000ull) | m >> 32; }
static uint64_t time_unorder(uint64_t t) { return t << 32 | (t >> 16 & 0xFFFF0000ull) | t >> 48; }

static void put_uuid(const struct tm_cql_type *type, struct tm_str s, struct tm_buf *out)
{
	uint64_t m = be64(s.at), l = be64(s.at + 8);
	if (type->kind == TM_CQL_TIMEUUID) {
		tm_buf_be64(out, time_order(m));
		tm_buf_be64(out, l ^ 0x8080808080808080ull);
		return;
	}
	unsigned version = m >> 12 & 0xF;
	tm_buf_u8(out, (uint8_t)version);
	tm_buf_be64(out, version == 1 ? time_order(m) : m);
	tm_buf_be64(out, l);
}

static bool take_uuid(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	bool ordered = true;
	uint64_t flips = 0x8080808080808080ull;
	if (type->kind == TM_CQL_UUID) {
		ordered = tm_cursor_u8(c) == 1;
		flips = 0;
	}
	uint64_t m = tm_cursor_be64(c), l = tm_cursor_be64(c) ^ flips;
	if (c->bad)
		return false;
	m = __builtin_bswap64(ordered ? time_unorder(m) : m);
	l = __builtin_bswap64(l);
	char *out = tm_arena_alloc(arena, 16);
	memcpy(out, &m, 8);
	memcpy(out + 8, &l, 8);
	*ret = (struct tm_str){out, 16};
	return true;
}

static void put_parts(const struct tm_cql_type *type, struct tm_str s, struct tm_buf *out)
{
	struct tm_str item;
	if (type->kind == TM_CQL_VECTOR) {
		struct tm_cursor c = tm_cursor_of(s);
		for (size_t i = 0; i < type->dimension && tm_value_vector_next(type, &c, &item); i++)
			tm_value_order_put(type->args[0], item, out);
		return;
	}
	if (type->kind == TM_CQL_TUPLE || type->kind == TM_CQL_UDT) {
		/* Fields left out at the end are null, so that nulls there are left out: both are the same value. */
		struct tm_value_items it = {.c = tm_cursor_of(s)}, again = it;
		size_t count = 0;
		for (size_t i = 0; i < type->arg_count && tm_value_items_next(&it, &item); i++)
			if (item.at || i == 0) /* one stays: no field at all would be the empty value */
				count = i + 1;
		for (size_t i = 0; i < count && tm_value_items_next(&again, &item); i++)
			tm_value_order_put(type->args[i], item, out);
	} else {
		struct tm_value_items it;
		tm_value_items_open(s, &it);
		for (size_t i = 0; tm_value_items_next(&it, &item); i++)
			tm_value_order_put(type->args[i % type->arg_count], item, out);
	}
	tm_buf_u8(out, ORDER_END);
}

static bool take_parts(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	struct tm_buf b = {0};
	bool vector = type->kind == TM_CQL_VECTOR, fields = type->kind == TM_CQL_TUPLE || type->kind == TM_CQL_UDT, ok = true;
	size_t n = 0;
	if (!vector && !fields)
		tm_buf_be32(&b, 0);
	for (;; n++) {
		if (vector ? n == type->dimension : c->at < c->end && *c->at == ORDER_END)
			break;
		struct tm_str item;
		if ((fields && n >= type->arg_count) ||
		    !tm_value_order_take(type->args[fields ? n : n % type->arg_count], c, arena, &item)) {
			ok = false;
			break;
		}
		if (!vector)
			tm_buf_be32(&b, item.at ? (uint32_t)item.len : UINT32_MAX);
		else if (tm_type_fixed_length(type->args[0]) == 0)
			tm_value_vint_put(&b, item.len);
		tm_buf_str_put(&b, item);
	}
	if (ok && !vector)
		c->at++;
	if (ok && !vector && !fields) {
		uint32_t count = __builtin_bswap32((uint32_t)(n / type->arg_count));
		memcpy(b.at, &count, 4);
	}
	*ret = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return ok;
}

static void put_value(const struct tm_cql_type *type, struct tm_str s, struct tm_buf *out)
{
	switch (type->kind) {
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
	case TM_CQL_TIMESTAMP: {
		size_t from = out->len;
		tm_buf_str_put(out, s);
		out->at[from] = (char)(out->at[from] ^ 0x80);
		return;
	}
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE:
		put_float(s, out);
		return;
	case TM_CQL_DATE:
	case TM_CQL_TIME:
		tm_buf_str_put(out, s);
		return;
	case TM_CQL_BOOLEAN:
		tm_buf_u8(out, s.at[0] != 0);
		return; /* drivers send 1, but any other byte is as true */
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		put_uuid(type, s, out);
		return;
	case TM_CQL_VARINT:
		put_varint(s, out);
		return;
	case TM_CQL_DECIMAL:
		put_decimal(s, out);
		return;
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
	case TM_CQL_VECTOR:
		put_parts(type, s, out);
		return;
	default:
		tm_value_escaped_put(s, out);
	}
}

void tm_value_order_put(const struct tm_cql_type *type, struct tm_str s, struct tm_buf *out)
{
	size_t from = out->len;
	if (!s.at || s.len == 0) {
		tm_buf_u8(out, s.at ? ORDER_EMPTY : ORDER_NULL);
	} else {
		tm_buf_u8(out, ORDER_VALUE);
		put_value(type, s, out);
	}
	if (type->reversed)
		flip(out->at + from, out->len - from);
}

static size_t plain_length(const struct tm_cql_type *type)
{
	switch (type->kind) {
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_TIMESTAMP:
	case TM_CQL_DOUBLE:
	case TM_CQL_TIME:
		return 8;
	case TM_CQL_INT:
	case TM_CQL_FLOAT:
	case TM_CQL_DATE:
		return 4;
	case TM_CQL_SMALLINT:
		return 2;
	case TM_CQL_TINYINT:
	case TM_CQL_BOOLEAN:
		return 1;
	default:
		return 0;
	}
}

static bool take_plain(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	struct tm_str s = tm_cursor_take(c, plain_length(type));
	if (c->bad)
		return false;
	char *out = tm_arena_alloc(arena, s.len);
	memcpy(out, s.at, s.len);
	if (type->kind == TM_CQL_FLOAT || type->kind == TM_CQL_DOUBLE) {
		if (out[0] & 0x80)
			out[0] = (char)(out[0] ^ 0x80);
		else
			flip(out, s.len);
	} else if (type->kind != TM_CQL_DATE && type->kind != TM_CQL_TIME && type->kind != TM_CQL_BOOLEAN) {
		out[0] = (char)(out[0] ^ 0x80);
	}
	*ret = (struct tm_str){out, s.len};
	return true;
}

static bool take_value(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	if (plain_length(type))
		return take_plain(type, c, arena, ret);
	switch (type->kind) {
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		return take_uuid(type, c, arena, ret);
	case TM_CQL_VARINT:
		if (!take_varint(c, ret))
			return false;
		*ret = tm_arena_str(arena, *ret);
		return true;
	case TM_CQL_DECIMAL:
		return take_decimal(c, arena, ret);
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
	case TM_CQL_VECTOR:
		return take_parts(type, c, arena, ret);
	default:
		return take_escaped(c, arena, ret);
	}
}

bool tm_value_order_take(const struct tm_cql_type *type, struct tm_cursor *c, struct tm_arena *arena, struct tm_str *ret)
{
	struct tm_cursor plain = *c;
	if (type->reversed) {
		size_t n = tm_cursor_left(c);
		char *copy = tm_arena_alloc(arena, n + 1);
		tm_copy(copy, c->at, n);
		flip(copy, n);
		plain = tm_cursor_of((struct tm_str){copy, n});
	}
	const char *start = plain.at;
	uint8_t marker = tm_cursor_u8(&plain);
	bool ok = !plain.bad;
	if (ok && marker == ORDER_NULL)
		*ret = (struct tm_str){0};
	else if (ok && marker == ORDER_EMPTY)
		*ret = (struct tm_str){"", 0};
	else
		ok = ok && marker == ORDER_VALUE && take_value(type, &plain, arena, ret);
	if (!ok) {
		c->bad = true;
		return false;
	}
	c->at += plain.at - start;
	return true;
}

bool tm_value_order_is_exact(const struct tm_cql_type *type)
{
	if (type->kind == TM_CQL_DECIMAL)
		return false;
	for (size_t i = 0; i < type->arg_count; i++)
		if (!tm_value_order_is_exact(type->args[i]))
			return false;
	return true;
}
