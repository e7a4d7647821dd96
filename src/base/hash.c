/* CRC-32C by the SSE 4.2 instruction where the CPU has it, else by table; xxHash from the library.
 * The instruction takes three cycles and a new one can begin in each: long input is read in three lanes at once, whose remainders are
 * then joined by a carry-less multiplication. */
#include "base/hash.h"
#include <pthread.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define XXH_INLINE_ALL
#include <xxhash.h>

#define POLYNOMIAL 0x82F63B78u
static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xFF];
}

static uint32_t by_table(uint32_t crc, const unsigned char *p, size_t n)
{
	pthread_once(&once, make_table);
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;
		memcpy(&w, p, 8);
		w ^= crc;
		crc = table[7][w & 0xFF] ^ table[6][w >> 8 & 0xFF] ^ table[5][w >> 16 & 0xFF] ^ table[4][w >> 24 & 0xFF] ^
		      table[3][w >> 32 & 0xFF] ^ table[2][w >> 40 & 0xFF] ^ table[1][w >> 48 & 0xFF] ^ table[0][w >> 56];
	}
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xFF];
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t c = crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;
		memcpy(&w, p, 8);
		c = _mm_crc32_u64(c, w);
	}
	crc = (uint32_t)c;
	while (n--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}

enum { LANE = 512 };                /* bytes, a multiple of 8 */
static uint32_t over_one, over_two; /* what a remainder is multiplied with to stand before one and two lanes of zeros */

/* x^n modulo the polynomial, lowest power in the highest bit, as the instruction has it. */
static uint32_t power(size_t n)
{
	uint32_t c = 0x80000000u;
	while (n--)
		c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
	return c;
}

/* The product of two reflected remainders is one bit short, and the instruction multiplies what it is given by x^32: 33 too many. */
static void make_powers(void)
{
	over_one = power(8 * (size_t)LANE - 33);
	over_two = power(16 * (size_t)LANE - 33);
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t moved(uint64_t crc, uint32_t by)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128(by), 0);
	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t by_lanes(uint32_t crc, const unsigned char *p, size_t n)
{
	static pthread_once_t powers = PTHREAD_ONCE_INIT;
	pthread_once(&powers, make_powers);
	for (; n >= 3 * (size_t)LANE; n -= 3 * (size_t)LANE, p += 3 * (size_t)LANE) {
		uint64_t a = crc, b = 0, c = 0, w[3];
		for (size_t i = 0; i < LANE; i += 8) {
			memcpy(&w[0], p + i, 8);
			memcpy(&w[1], p + LANE + i, 8);
			memcpy(&w[2], p + 2 * (size_t)LANE + i, 8);
			a = _mm_crc32_u64(a, w[0]);
			b = _mm_crc32_u64(b, w[1]);
			c = _mm_crc32_u64(c, w[2]);
		}
		crc = (uint32_t)(moved(a, over_two) ^ moved(b, over_one) ^ c);
	}
	return by_instruction(crc, p, n);
}
#endif

uint32_t tm_crc32c(uint32_t crc, const void *data, size_t n)
{
	crc = ~crc;
#if defined(__x86_64__)
	if (n >= 3 * (size_t)LANE && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
		return ~by_lanes(crc, data, n);
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(crc, data, n);
#endif
	return ~by_table(crc, data, n);
}

uint64_t tm_xxh3(const void *data, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(data, n, seed); }
uint64_t tm_xxh64(const void *data, size_t n, uint64_t seed) { return XXH64(data, n, seed); }
