/* Integers and decimals of any size, as CQL's varint and decimal need them. Numbers live in an arena. Operations are the
 * schoolbook ones; TM_BIG_MAX_BYTES bounds what they are asked to do, so that a hostile value costs little. */
#ifndef TM_TABLE_BIGNUM_H
#define TM_TABLE_BIGNUM_H
#include "base/base.h"

#define TM_BIG_MAX_BYTES 4096

struct tm_big { /* sign and magnitude, least limb first, no zero limb on top; zero has count 0 and is not negative */
	bool negative;
	size_t count;
	uint32_t *limbs;
};
struct tm_big tm_big_i64(struct tm_arena *arena, int64_t v);
struct tm_big tm_big_of_bytes(struct tm_arena *arena,
			      struct tm_str bytes); /* two's complement, big-endian; at most TM_BIG_MAX_BYTES are looked at */
struct tm_str tm_big_bytes(struct tm_arena *arena, struct tm_big a); /* shortest two's complement, at least one byte */
/* Digits with an optional minus; false when it is something else or too long. */
bool tm_big_parse(struct tm_arena *arena, struct tm_str digits, struct tm_big *ret);
struct tm_str tm_big_text(struct tm_arena *arena, struct tm_big a);
bool tm_big_to_i64(struct tm_big a, int64_t *ret); /* false when it does not fit */
int64_t tm_big_low64(struct tm_big a);             /* as Java's longValue */
double tm_big_to_double(struct tm_arena *arena, struct tm_big a);
int tm_big_cmp(struct tm_big a, struct tm_big b);
struct tm_big tm_big_neg(struct tm_big a);
struct tm_big tm_big_add(struct tm_arena *arena, struct tm_big a, struct tm_big b);
struct tm_big tm_big_sub(struct tm_arena *arena, struct tm_big a, struct tm_big b);
struct tm_big tm_big_mul(struct tm_arena *arena, struct tm_big a, struct tm_big b);
/* Towards zero; b must not be zero. */
void tm_big_divmod(struct tm_arena *arena, struct tm_big a, struct tm_big b, struct tm_big *ret_quotient, struct tm_big *ret_rest);
struct tm_big tm_big_pow10(struct tm_arena *arena, size_t n);
static inline bool tm_big_is_zero(struct tm_big a) { return a.count == 0; }

struct tm_dec {
	struct tm_big unscaled;
	int32_t scale;
};
bool tm_dec_of_bytes(struct tm_arena *arena, struct tm_str bytes, struct tm_dec *ret);
struct tm_str tm_dec_bytes(struct tm_arena *arena, struct tm_dec d);
/* As Java's new BigDecimal(text). */
bool tm_dec_parse(struct tm_arena *arena, struct tm_str text, struct tm_dec *ret);
struct tm_str tm_dec_text(struct tm_arena *arena, struct tm_dec d);       /* BigDecimal.toString */
struct tm_str tm_dec_plain_text(struct tm_arena *arena, struct tm_dec d); /* toPlainString; falls back to toString when that is too long */
/* False when scales lie too far apart to compute with. */
bool tm_dec_add(struct tm_arena *arena, struct tm_dec a, struct tm_dec b, bool subtract, struct tm_dec *ret);
bool tm_dec_mul(struct tm_arena *arena, struct tm_dec a, struct tm_dec b, struct tm_dec *ret);
/* Number as a value, whatever the scale: <0, 0, >0. */
int tm_dec_cmp(struct tm_arena *arena, struct tm_dec a, struct tm_dec b);
/* Rounded half up to scale (half even where even). False when too long. */
bool tm_dec_set_scale(struct tm_arena *arena, struct tm_dec a, int32_t scale, bool even, struct tm_dec *ret);
size_t tm_dec_precision(struct tm_arena *arena, struct tm_dec d);
#endif
