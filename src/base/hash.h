/* Checksums and hashes. crc32c: Castagnoli, of record batches and our own files. xxh3: hash tables (not stable on disk: xxh64 is). */
#ifndef TM_BASE_HASH_H
#define TM_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>
uint32_t tm_crc32c(uint32_t crc, const void *data, size_t n); /* start with 0 */
uint64_t tm_xxh3(const void *data, size_t n, uint64_t seed);
uint64_t tm_xxh64(const void *data, size_t n, uint64_t seed);
/* Mixes 64 bits well enough for a power-of-two table. */
static inline uint64_t tm_hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	return x;
}
#endif
