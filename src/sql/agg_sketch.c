/* Sketches: approx_count_distinct as Spark's HyperLogLog++ (XXH64 with seed 42, registers of six bits), bitmaps of positions. */
#include "sql/agg_int.h"
#include "sql/fn_hash.h"
#include <math.h>
#include <stdlib.h>

/* ---- HyperLogLog++ ---- state: one byte per register behind a pointer, made at the first value */
struct hll { uint8_t *registers; };
struct hll_bound { int p; size_t m; };

static tm_rc hll_update(UNUSED struct tm_eval *ev, const struct tm_agg *agg, const struct tm_column *args, void *const *states, size_t n)
{
	const struct hll_bound *b = agg->bound;
	for (size_t i = 0; i < n; i++) {
		struct hll *s = states[i];
		if (tm_is_null(&args[0], i))
			continue;
		if (!s->registers)
			s->registers = tm_zalloc(b->m);
		uint64_t x = fn_xxhash64(&args[0], i, 42), w = x << b->p | (uint64_t)1 << (b->p - 1);
		uint8_t rank = (uint8_t)(__builtin_clzll(w) + 1), *r = &s->registers[x >> (64 - b->p)];
		if (rank > *r)
			*r = rank;
	}
	return TM_OK;
}
static tm_rc hll_merge(UNUSED struct tm_eval *ev, const struct tm_agg *agg, void *into, const void *from)
{
	const struct hll_bound *b = agg->bound;
	struct hll *s = into;
	const struct hll *f = from;
	if (!f->registers)
		return TM_OK;
	if (!s->registers)
		s->registers = tm_zalloc(b->m);
	for (size_t i = 0; i < b->m; i++)
		if (f->registers[i] > s->registers[i])
			s->registers[i] = f->registers[i];
	return TM_OK;
}

/* How much the raw estimate is too high for a true count of n = t * m: the excess over n shrinks as the registers fill. A fit to
 * the estimator's mean over many runs; Spark interpolates measured tables, so that between its threshold and 5 m the two can
 * differ by a fraction of a percent, far below the sketch's own error. */
static double hll_bias(double e, double m)
{
	double t = e / m;
	return t >= 5 ? 0 : m * 0.7213 * exp(-1.45 * (t - 0.7213) - 0.02 * t * t) * (t < 0.7213 ? 1 : 1);
}

static int64_t hll_estimate(const struct hll_bound *b, const struct hll *s)
{
	static const double thresholds[] = {10, 20, 40, 80, 220, 400, 900, 1800, 3100, 6500, 11500, 20000, 50000, 120000, 350000};
	double m = (double)b->m, z = 0, zeros = 0;
	if (!s->registers)
		return 0;
	for (size_t i = 0; i < b->m; i++) {
		z += 1.0 / (double)((uint64_t)1 << s->registers[i]);
		zeros += s->registers[i] == 0;
	}
	double alpha = b->p == 4 ? 0.673 : b->p == 5 ? 0.697 : b->p == 6 ? 0.709 : 0.7213 / (1 + 1.079 / m);
	double e = alpha * m * m / z;
	if (b->p < 19 && e < 5 * m)
		e -= hll_bias(e, m);
	if (zeros > 0) {
		double linear = m * log(m / zeros);
		if (b->p - 4 < 15 && linear <= thresholds[b->p - 4])
			e = linear;
	}
	return (int64_t)floor(e + 0.5);
}
static tm_rc hll_result(AGG_RESULT_ARGS)
{
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++)
		ret->i64[i] = hll_estimate(agg->bound, states[i]);
	return TM_OK;
}
static void hll_free(UNUSED const struct tm_agg *agg, void *state) { free(((struct hll *)state)->registers); }
static void hll_encode(const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct hll *s = state;
	tm_buf_u8(out, s->registers != NULL);
	if (s->registers)
		tm_buf_put(out, s->registers, ((const struct hll_bound *)agg->bound)->m);
}
static bool hll_decode(const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	size_t m = ((const struct hll_bound *)agg->bound)->m;
	if (!tm_cursor_u8(in))
		return tm_cursor_ok(in);
	struct tm_str bytes = tm_cursor_take(in, m);
	if (!tm_cursor_ok(in))
		return false;
	uint8_t *r = tm_alloc(m);
	for (size_t i = 0; i < m; i++)
		r[i] = (uint8_t)bytes.at[i] > 63 ? 63 : (uint8_t)bytes.at[i];
	((struct hll *)state)->registers = r;
	return true;
}
static const struct tm_agg_kernel agg_hll = {.name = "approx_count_distinct", .state_bytes = sizeof(struct hll), .update = hll_update, .merge = hll_merge, .result = hll_result,
					     .done = hll_free, .encode = hll_encode, .decode = hll_decode};
BIND(approx_count_distinct)
{
	double rsd = 0.05;
	struct hll_bound *bound = TM_NEW(b->arena, struct hll_bound);
	if (b->arg_count > 1 && !fn_literal_double(b, 1, &rsd))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT", "the input \"relativeSD\" should be a foldable \"DOUBLE\" expression; however, got \"%.*s\".", TM_STR_ARG(b->args[1].expr->text));
	bound->p = (int)ceil(2 * log(1.106 / rsd) / log(2));
	if (!(rsd <= 0.39) || bound->p < 4 || bound->p > 24)
		return fn_mismatch(b, err, "VALUE_OUT_OF_RANGE", "The `relativeSD` must be between (0.0, 0.39] (current value = %g).", rsd);
	bound->m = (size_t)1 << bound->p;
	b->bound = bound;
	return fn_is_agg(b, &agg_hll, &tm_type_bigint, false);
}

/* ---- bitmaps ---- 32768 bits per bucket */
enum { BITMAP_BYTES = 4096 };
struct bitmap { uint8_t *bits; };
static uint8_t *bitmap_bits(struct bitmap *s)
{
	if (!s->bits)
		s->bits = tm_zalloc(BITMAP_BYTES);
	return s->bits;
}
static tm_rc bitmap_update(struct tm_eval *ev, const struct tm_agg *agg, const struct tm_column *args, void *const *states, size_t n)
{
	bool merge = agg->bound;
	for (size_t i = 0; i < n; i++) {
		if (tm_is_null(&args[0], i))
			continue;
		uint8_t *bits = bitmap_bits(states[i]);
		if (merge) {
			struct tm_str s = STR_AT(0, i);
			for (size_t j = 0; j < s.len && j < BITMAP_BYTES; j++)
				bits[j] |= (uint8_t)s.at[j];
			continue;
		}
		int64_t p = AT(0, i64, i);
		if (p < 0 || p >= BITMAP_BYTES * 8)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_BITMAP_POSITION", "22003", "The 0-indexed bitmap position %lld is out of bounds. The bitmap has %d bits (%d bytes).",
					     (long long)p, BITMAP_BYTES * 8, BITMAP_BYTES);
		bits[p / 8] |= (uint8_t)(1 << p % 8);
	}
	return TM_OK;
}
static tm_rc bitmap_merge(UNUSED struct tm_eval *ev, UNUSED const struct tm_agg *agg, void *into, const void *from)
{
	const struct bitmap *f = from;
	for (size_t i = 0; f->bits && i < BITMAP_BYTES; i++)
		bitmap_bits(into)[i] |= f->bits[i];
	return TM_OK;
}
static tm_rc bitmap_result(AGG_RESULT_ARGS)
{
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		char *at = tm_arena_zalloc(ev->arena, BITMAP_BYTES);
		const struct bitmap *s = states[i];
		if (s->bits)
			memcpy(at, s->bits, BITMAP_BYTES);
		ret->str[i] = tm_str_n(at, BITMAP_BYTES);
	}
	return TM_OK;
}
static void bitmap_free(UNUSED const struct tm_agg *agg, void *state) { free(((struct bitmap *)state)->bits); }
static void bitmap_encode(UNUSED const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct bitmap *s = state;
	tm_buf_u8(out, s->bits != NULL);
	if (s->bits)
		tm_buf_put(out, s->bits, BITMAP_BYTES);
}
static bool bitmap_decode(UNUSED const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	if (!tm_cursor_u8(in))
		return tm_cursor_ok(in);
	struct tm_str s = tm_cursor_take(in, BITMAP_BYTES);
	if (!tm_cursor_ok(in))
		return false;
	memcpy(bitmap_bits(state), s.at, s.len);
	return true;
}
static const struct tm_agg_kernel agg_bitmap = {.name = "bitmap", .state_bytes = sizeof(struct bitmap), .update = bitmap_update, .merge = bitmap_merge, .result = bitmap_result,
						.done = bitmap_free, .encode = bitmap_encode, .decode = bitmap_decode};
/* variant: 1 of bitmaps (bitmap_or_agg) */
BIND(bitmap_agg)
{
	TM_TRY(fn_want(b, 0, fn_variant(b) ? &tm_type_binary : &tm_type_bigint, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is_agg(b, &agg_bitmap, &tm_type_binary, false);
}
KERNEL(bitmap_count)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		ret->i64[i] = 0;
		for (size_t j = 0; j < s.len; j++)
			ret->i64[i] += __builtin_popcount((unsigned char)s.at[j]);
	}
	return TM_OK;
}
KERNEL(bitmap_bit_position)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t v = AT(0, i64, i);
		ret->i64[i] = v > 0 ? (v - 1) % (BITMAP_BYTES * 8) : (int64_t)(-(uint64_t)v % (BITMAP_BYTES * 8));
	}
	return TM_OK;
}
KERNEL(bitmap_bucket_number)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t v = AT(0, i64, i);
		ret->i64[i] = v > 0 ? 1 + (v - 1) / (BITMAP_BYTES * 8) : v / (BITMAP_BYTES * 8);
	}
	return TM_OK;
}
