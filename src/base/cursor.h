/* The one bounds-checked reader for bytes from outside (network, disk). A read past the end sets `bad` and gives zeros;
 * the caller checks tm_cursor_ok once at the end, or wherever a value decides a size. Never copies. */
#ifndef TM_BASE_CURSOR_H
#define TM_BASE_CURSOR_H
#include "base/str.h"

struct tm_cursor {
	const char *at, *end;
	bool bad;
};
static inline struct tm_cursor tm_cursor_of(struct tm_str s) { return (struct tm_cursor){s.at, s.at ? s.at + s.len : s.at, false}; }
static inline bool tm_cursor_ok(const struct tm_cursor *c) { return !c->bad; }
static inline size_t tm_cursor_left(const struct tm_cursor *c) { return (size_t)(c->end - c->at); }
/* n bytes, or an empty string with bad set. */
static inline struct tm_str tm_cursor_take(struct tm_cursor *c, size_t n)
{
	if (__builtin_expect(c->bad || n > tm_cursor_left(c), 0)) {
		c->bad = true;
		c->at = c->end;
		return (struct tm_str){NULL, 0};
	}
	struct tm_str s = {c->at, n};
	c->at += n;
	return s;
}
#define TM_CURSOR_INT(name, type, swap)                                                                                                    \
	static inline type name(struct tm_cursor *c)                                                                                       \
	{                                                                                                                                  \
		type v = 0;                                                                                                                \
		struct tm_str s = tm_cursor_take(c, sizeof v);                                                                             \
		if (s.at)                                                                                                                  \
			memcpy(&v, s.at, sizeof v);                                                                                        \
		return (type)swap(v);                                                                                                      \
	}
#define TM_CURSOR_SAME(v) (v)
TM_CURSOR_INT(tm_cursor_u8, uint8_t, TM_CURSOR_SAME)
TM_CURSOR_INT(tm_cursor_be16, uint16_t, __builtin_bswap16)
TM_CURSOR_INT(tm_cursor_be32, uint32_t, __builtin_bswap32)
TM_CURSOR_INT(tm_cursor_be64, uint64_t, __builtin_bswap64)
TM_CURSOR_INT(tm_cursor_le16, uint16_t, TM_CURSOR_SAME)
TM_CURSOR_INT(tm_cursor_le32, uint32_t, TM_CURSOR_SAME)
TM_CURSOR_INT(tm_cursor_le64, uint64_t, TM_CURSOR_SAME)
#undef TM_CURSOR_INT
/* Unsigned LEB128 of at most max_bits bits (32 or 64); longer or overflowing sets bad. */
static inline uint64_t tm_cursor_varint(struct tm_cursor *c, int max_bits)
{
	if (__builtin_expect(!c->bad && tm_cursor_left(c) >= 2, 1)) { /* most have one byte or two */
		uint8_t low = (uint8_t)c->at[0], high = (uint8_t)c->at[1];
		if (low < 0x80) {
			c->at++;
			return low;
		}
		if (high < 0x80) {
			c->at += 2;
			return (uint64_t)high << 7 | (low & 0x7F);
		}
	}
	uint64_t v = 0;
	for (int shift = 0; shift < max_bits; shift += 7) {
		uint8_t b = tm_cursor_u8(c);
		if (c->bad)
			return 0;
		uint64_t part = b & 0x7F;
		if (shift + 7 > max_bits && part >> (max_bits - shift)) {
			c->bad = true;
			return 0;
		}
		v |= part << shift;
		if (!(b & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}
static inline int64_t tm_cursor_zigzag(struct tm_cursor *c, int max_bits)
{
	uint64_t v = tm_cursor_varint(c, max_bits);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
#endif
