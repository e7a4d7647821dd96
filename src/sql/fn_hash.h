/* Spark's xxhash64 of one value, for sketches. */
#ifndef TM_SQL_FN_HASH_H
#define TM_SQL_FN_HASH_H
#include "sql/fn_int.h"
uint64_t fn_xxhash64(const struct tm_column *c, size_t row, uint64_t seed);
#endif
