/* Spark's xxhash64 of one value, for sketches. */
#ifndef TM_SQL_FN_HASH_H
#define TM_SQL_FN_HASH_H
#include "sql/fn_int.h"
uint64_t fn_xxhash64(const struct tm_column *c, size_t row, uint64_t seed);
/* Murmur3 with 32 bits. */
uint32_t fn_murmur_int(int32_t v, uint32_t seed);
uint32_t fn_murmur_bytes(struct tm_str s, uint32_t seed);
#endif
