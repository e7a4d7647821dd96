/* MD5, by RFC 1321: only for names (ids of prepared statements and of result metadata), which drivers compare with Cassandra's. */
#include <math.h>
#include "cassandra/server_int.h"

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void block(uint32_t state[4], const uint8_t *p)
{
	static const int shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
	static uint32_t sines[64];
	static bool made;
	uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
	if (!__atomic_load_n(&made, __ATOMIC_ACQUIRE)) { /* the same values whoever makes them */
		for (int i = 0; i < 64; i++)
			__atomic_store_n(&sines[i], (uint32_t)(int64_t)floor(fabs(sin(i + 1)) * 4294967296.0), __ATOMIC_RELAXED);
		__atomic_store_n(&made, true, __ATOMIC_RELEASE);
	}
	memcpy(words, p, sizeof words);
	for (int i = 0; i < 64; i++) {
		uint32_t f;
		int word;
		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			word = i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			word = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			word = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			word = 7 * i % 16;
			break;
		}
		uint32_t next = b + rotate(a + f + sines[i] + words[word], shifts[i / 16][i % 4]);
		a = d;
		d = c;
		c = b;
		b = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

void tm_cass_md5(const struct tm_str *parts, size_t count, uint8_t ret[16])
{
	uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	struct tm_buf all = {0};
	for (size_t i = 0; i < count; i++)
		tm_buf_str_put(&all, parts[i]);
	uint64_t bits = (uint64_t)all.len * 8;
	tm_buf_u8(&all, 0x80);
	while (all.len % 64 != 56)
		tm_buf_u8(&all, 0);
	tm_buf_le64(&all, bits);
	for (size_t at = 0; at < all.len; at += 64)
		block(state, (const uint8_t *)all.at + at);
	memcpy(ret, state, 16);
	tm_buf_done(&all);
}
