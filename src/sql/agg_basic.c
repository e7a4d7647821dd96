/* count, sum, avg, min, max, first, last, any_value, bool_and, bool_or, bit_and, bit_or, bit_xor, count_if. */
#include "sql/agg_int.h"
#include "sql/fn_arith.h"

/* ---- count ---- */
static tm_rc count_update(AGG_UPDATE_ARGS)
{
	if (agg->arg_count == 0 || (agg->arg_count == 1 && !args[0].valid && args[0].type->kind != TM_T_NULL)) {
		for (size_t i = 0; i < n; i++)
			++*(int64_t *)states[i];
		return TM_OK;
	}
	for (size_t i = 0; i < n; i++) {
		bool all = true;
		for (size_t a = 0; a < agg->arg_count; a++)
			all &= !tm_is_null(&args[a], i);
		*(int64_t *)states[i] += all;
	}
	return TM_OK;
}
static tm_rc count_merge(AGG_MERGE_ARGS)
{
	*(int64_t *)into += *(const int64_t *)from;
	return TM_OK;
}
static tm_rc count_result(AGG_RESULT_ARGS)
{
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++)
		ret->i64[i] = *(const int64_t *)states[i];
	return TM_OK;
}
static const struct tm_agg_kernel agg_count = {
    .name = "count", .state_bytes = 8, .update = count_update, .merge = count_merge, .result = count_result};
BIND(count) { return fn_is_agg(b, &agg_count, &tm_type_bigint, false); }

static tm_rc count_if_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++)
		*(int64_t *)states[i] += !tm_is_null(&args[0], i) && AT(0, boolean, i);
	return TM_OK;
}
static const struct tm_agg_kernel agg_count_if = {
    .name = "count_if", .state_bytes = 8, .update = count_if_update, .merge = count_merge, .result = count_result};
BIND(count_if)
{
	TM_TRY(fn_want(b, 0, &tm_type_boolean, err));
	return fn_is_agg(b, &agg_count_if, &tm_type_bigint, false);
}

/* ---- sum and avg ---- one state for all: the number of values, whether the sum was lost, the sum */
struct sum {
	union {
		double f64;
		i128_state dec;
	} v;
	int64_t count;
	bool lost;
};
struct sum_bound {
	enum tm_cast_mode mode;
	const struct tm_type *type;
};

static bool dec_add(i128_state *into, i128 v)
{
	i128 sum;
	bool over = __builtin_add_overflow((i128)*into, v, &sum);
	*into = sum;
	return over;
}

#define SUM_UPDATE(name, ...)                                                                                                              \
	static tm_rc name(AGG_UPDATE_ARGS)                                                                                                 \
	{                                                                                                                                  \
		for (size_t i = 0; i < n; i++) {                                                                                           \
			if (tm_is_null(&args[0], i))                                                                                       \
				continue;                                                                                                  \
			struct sum *s = states[i];                                                                                         \
			s->count++;                                                                                                        \
			__VA_ARGS__;                                                                                                       \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
/* Integers are summed with 128 bits: what goes over and comes back was not lost, as in Spark's partial sums. */
SUM_UPDATE(sum_i64, s->v.dec += AT(0, i64, i))
SUM_UPDATE(sum_i32, s->v.dec += AT(0, i32, i))
SUM_UPDATE(sum_f64, s->v.f64 += AT(0, f64, i))
SUM_UPDATE(sum_dec, s->lost |= dec_add(&s->v.dec, AT(0, i128, i)))

#define SUM_MERGE(name, ...)                                                                                                               \
	static tm_rc name(AGG_MERGE_ARGS)                                                                                                  \
	{                                                                                                                                  \
		struct sum *a = into;                                                                                                      \
		const struct sum *b = from;                                                                                                \
		__VA_ARGS__;                                                                                                               \
		a->count += b->count;                                                                                                      \
		return TM_OK;                                                                                                              \
	}
SUM_MERGE(sum_merge_int, a->v.dec += b->v.dec)
SUM_MERGE(sum_merge_f64, a->v.f64 += b->v.f64)
SUM_MERGE(sum_merge_dec, a->lost |= b->lost | dec_add(&a->v.dec, b->v.dec))

static tm_rc decimal_result(struct tm_eval *ev, const struct tm_agg *agg, i128 v, int scale, bool lost, size_t i, struct tm_column *ret)
{
	const struct sum_bound *bound = agg->bound;
	ret->i128[i] = 0;
	if (!lost && tm_decimal_rescale(v, scale, agg->type->scale, agg->type->precision, TM_HALF_UP, &ret->i128[i]))
		return TM_OK;
	if (bound->mode != TM_CAST_ANSI) {
		fn_null(ev, ret, i);
		return TM_OK;
	}
	return lost ? cast_decimal_range(ev, agg->type, TM_STR("The sum")) : cast_decimal_value_range(ev, agg->type, v, scale);
}

static tm_rc sum_result(AGG_RESULT_ARGS)
{
	const struct sum_bound *bound = agg->bound;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct sum *s = states[i];
		bool decimal = agg->type->kind == TM_T_DECIMAL || agg->type->kind == TM_T_DOUBLE, ym = agg->type->kind == TM_T_INTERVAL_YM,
		     interval = ym || agg->type->kind == TM_T_INTERVAL_DT; /* fails in every mode but try */
		bool wrong =
		    !decimal && s->v.dec != (ym ? (int32_t)s->v.dec : (int64_t)s->v.dec) && (interval || bound->mode != TM_CAST_LEGACY);
		if (s->count && wrong && interval && bound->mode != TM_CAST_TRY)
			return fn_interval_overflow(ev, "try_sum");
		if (s->count && wrong && bound->mode == TM_CAST_ANSI)
			return fn_overflow(ev, agg->type->kind == TM_T_BIGINT ? "long " : "", "try_sum");
		if (s->count == 0 || wrong)
			fn_null(ev, ret, i);
		switch (agg->type->kind) {
		case TM_T_DECIMAL:
			if (s->count)
				TM_TRY(decimal_result(ev, agg, s->v.dec, agg->type->scale, s->lost, i, ret));
			else
				ret->i128[i] = 0;
			break;
		case TM_T_DOUBLE:
			ret->f64[i] = s->v.f64;
			break;
		case TM_T_INTERVAL_YM:
			ret->i32[i] = (int32_t)s->v.dec;
			break;
		default:
			ret->i64[i] = (int64_t)s->v.dec;
		}
	}
	return TM_OK;
}

static tm_rc avg_result(AGG_RESULT_ARGS)
{
	const struct sum_bound *bound = agg->bound;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct sum *s = states[i];
		if (s->count == 0)
			fn_null(ev, ret, i);
		int64_t count = s->count ? s->count : 1;
		switch (agg->type->kind) {
		case TM_T_DECIMAL: {
			i128 q = 0;
			bool ok = !s->lost && tm_decimal_divide(s->v.dec, bound->type->scale, count, 0, 38, agg->type->scale, &q);
			TM_TRY(decimal_result(ev, agg, q, agg->type->scale, !ok, i, ret));
			break;
		}
		case TM_T_INTERVAL_YM:
			ret->i32[i] = (int32_t)((s->v.dec * 2 + (s->v.dec < 0 ? -count : count)) / (2 * count));
			break;
		case TM_T_INTERVAL_DT: {
			i128 twice = s->v.dec * 2 + (s->v.dec < 0 ? -count : count);
			ret->i64[i] = (int64_t)(twice / (2 * (i128)count));
			break;
		}
		default:
			ret->f64[i] = s->v.f64 / (double)count;
		}
	}
	return TM_OK;
}

#define SUM_KERNEL(id, up, mer, res)                                                                                                       \
	static const struct tm_agg_kernel id = {.name = #id, .state_bytes = sizeof(struct sum), .update = up, .merge = mer, .result = res}
SUM_KERNEL(agg_sum_i64, sum_i64, sum_merge_int, sum_result);
SUM_KERNEL(agg_sum_i32, sum_i32, sum_merge_int, sum_result);
SUM_KERNEL(agg_sum_f64, sum_f64, sum_merge_f64, sum_result);
SUM_KERNEL(agg_sum_dec, sum_dec, sum_merge_dec, sum_result);
SUM_KERNEL(agg_avg_i64, sum_i64, sum_merge_int, avg_result);
SUM_KERNEL(agg_avg_i32, sum_i32, sum_merge_int, avg_result);
SUM_KERNEL(agg_avg_f64, sum_f64, sum_merge_f64, avg_result);
SUM_KERNEL(agg_avg_dec, sum_dec, sum_merge_dec, avg_result);

enum { SUM, AVG, TRY_SUM, TRY_AVG };
BIND(sum)
{
	int variant = fn_variant(b);
	bool avg = variant == AVG || variant == TRY_AVG;
	const struct tm_type *t = b->args[0].type;
	struct sum_bound *bound = TM_NEW(b->arena, struct sum_bound);
	bound->mode = variant >= TRY_SUM ? TM_CAST_TRY : b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY;
	b->bound = bound;
	if (t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT) {
		bool ym = t->kind == TM_T_INTERVAL_YM;
		const struct tm_type *result = !avg ? t
					       : ym ? tm_type_interval_ym(b->arena, TM_F_YEAR, TM_F_MONTH)
						    : tm_type_interval_dt(b->arena, TM_F_DAY, TM_F_SECOND);
		return fn_is_agg(b, ym ? (avg ? &agg_avg_i32 : &agg_sum_i32) : (avg ? &agg_avg_i64 : &agg_sum_i64), result, true);
	}
	if (!tm_type_numeric(t) && t->kind != TM_T_STRING && t->kind != TM_T_NULL)
		return fn_unexpected_type(b, 0, "NUMERIC\" or \"ANSI INTERVAL", err);
	if (t->kind == TM_T_DECIMAL) {
		int more = avg ? 4 : 10, p = t->precision + more, s = t->scale + (avg ? 4 : 0);
		bound->type = t;
		return fn_is_agg(b, avg ? &agg_avg_dec : &agg_sum_dec,
				 avg ? tm_type_decimal(b->arena, p > 38 ? 38 : p, s > 38 ? 38 : s)
				     : tm_type_decimal(b->arena, p > 38 ? 38 : p, s),
				 true);
	}
	bool whole = tm_type_integral(t) && !avg;
	TM_TRY(fn_want(b, 0, whole ? &tm_type_bigint : &tm_type_double, err));
	return fn_is_agg(b, whole ? &agg_sum_i64 : avg ? &agg_avg_f64 : &agg_sum_f64, whole ? &tm_type_bigint : &tm_type_double, true);
}

/* ---- min and max ---- of 64 bits and less in 16 bytes */
struct extreme {
	int64_t v;
	bool has;
};
struct extreme_f {
	double v;
	bool has;
};
#define EXTREME_UPDATE(name, state, field, better)                                                                                         \
	static tm_rc name(AGG_UPDATE_ARGS)                                                                                                 \
	{                                                                                                                                  \
		for (size_t i = 0; i < n; i++) {                                                                                           \
			if (tm_is_null(&args[0], i))                                                                                       \
				continue;                                                                                                  \
			state *s = states[i];                                                                                              \
			__typeof__(s->v) v = (__typeof__(s->v))AT(0, field, i), o = s->v;                                                  \
			if (!s->has || (better))                                                                                           \
				s->v = v;                                                                                                  \
			s->has = true;                                                                                                     \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
#define ABOVE (v > o || (v != v && o == o))
#define BELOW (v < o || (o != o && v == v))
#define EXTREME_TYPE(f) EXTREME_UPDATE(max_##f, struct extreme, f, v > o) EXTREME_UPDATE(min_##f, struct extreme, f, v < o)
EXTREME_TYPE(boolean)
EXTREME_TYPE(i8)
EXTREME_TYPE(i16)
EXTREME_TYPE(i32)
EXTREME_TYPE(i64)
EXTREME_UPDATE(max_f32, struct extreme_f, f32, ABOVE)
EXTREME_UPDATE(min_f32, struct extreme_f, f32, BELOW)
EXTREME_UPDATE(max_f64, struct extreme_f, f64, ABOVE)
EXTREME_UPDATE(min_f64, struct extreme_f, f64, BELOW)
#define EXTREME_MERGE(name, state, better)                                                                                                 \
	static tm_rc name(AGG_MERGE_ARGS)                                                                                                  \
	{                                                                                                                                  \
		state *s = into;                                                                                                           \
		const state *f = from;                                                                                                     \
		__typeof__(s->v) v = f->v, o = s->v;                                                                                       \
		if (f->has && (!s->has || (better)))                                                                                       \
			*s = *f;                                                                                                           \
		return TM_OK;                                                                                                              \
	}
EXTREME_MERGE(max_merge, struct extreme, v > o)
EXTREME_MERGE(min_merge, struct extreme, v < o)
EXTREME_MERGE(max_merge_f, struct extreme_f, ABOVE)
EXTREME_MERGE(min_merge_f, struct extreme_f, BELOW)

static tm_rc extreme_result(AGG_RESULT_ARGS)
{
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct extreme *s = states[i];
		if (!s->has)
			fn_null(ev, ret, i);
		switch (tm_type_width(agg->type)) {
		case 1:
			ret->i8[i] = (int8_t)s->v;
			break;
		case 2:
			ret->i16[i] = (int16_t)s->v;
			break;
		case 4:
			ret->i32[i] = (int32_t)s->v;
			break;
		default:
			ret->i64[i] = s->v;
		}
	}
	return TM_OK;
}
static tm_rc extreme_result_f(AGG_RESULT_ARGS)
{
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct extreme_f *s = states[i];
		if (!s->has)
			fn_null(ev, ret, i);
		if (agg->type->kind == TM_T_FLOAT)
			ret->f32[i] = (float)s->v;
		else
			ret->f64[i] = s->v;
	}
	return TM_OK;
}

/* ---- held values: the other types of min and max, first, last, any_value ---- */
enum { HOLD_MIN, HOLD_MAX, HOLD_FIRST, HOLD_LAST };
struct hold_bound {
	int what;
	bool skip_nulls;
};

static bool hold_wants(struct tm_eval *ev, const struct hold_bound *b, const struct held *h, const struct tm_column *c, size_t row)
{
	bool null = tm_is_null(c, row);
	switch (b->what) {
	case HOLD_FIRST:
		return h->state == HELD_NONE && !(null && b->skip_nulls);
	case HOLD_LAST:
		return !(null && b->skip_nulls);
	default:
		if (null)
			return false;
		if (h->state != HELD_VALUE)
			return true;
		int cmp = held_cmp(ev, h, c, row);
		return b->what == HOLD_MIN ? cmp > 0 : cmp < 0;
	}
}
static tm_rc hold_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++)
		if (hold_wants(ev, agg->bound, states[i], &args[0], i))
			held_set(states[i], &args[0], i);
	return TM_OK;
}
static tm_rc hold_merge(AGG_MERGE_ARGS)
{
	const struct hold_bound *b = agg->bound;
	struct held *h = into;
	const struct held *f = from;
	if (f->state == HELD_NONE)
		return TM_OK;
	bool take = h->state == HELD_NONE || b->what == HOLD_LAST;
	if (!take && b->what < HOLD_FIRST && f->state == HELD_VALUE) {
		int cmp = h->state == HELD_VALUE ? held_cmp_held(ev, agg->type, h, f) : b->what == HOLD_MIN ? 1 : -1;
		take = b->what == HOLD_MIN ? cmp > 0 : cmp < 0;
	}
	if (take)
		held_copy(h, f);
	return TM_OK;
}
static const struct held *hold_at(const void *ctx, size_t i) { return ((void *const *)ctx)[i]; }
static tm_rc hold_result(AGG_RESULT_ARGS)
{
	held_column(ev, agg->type, n, hold_at, states, ret);
	return TM_OK;
}
static void hold_done(UNUSED const struct tm_agg *agg, void *state) { held_done(state); }
static void hold_encode(const struct tm_agg *agg, const void *state, struct tm_buf *out) { held_encode(agg->type, state, out); }
static bool hold_decode(const struct tm_agg *agg, struct tm_cursor *in, void *state) { return held_decode(agg->type, in, state); }
static const struct tm_agg_kernel agg_hold = {.name = "hold",
					      .state_bytes = sizeof(struct held),
					      .update = hold_update,
					      .merge = hold_merge,
					      .result = hold_result,
					      .done = hold_done,
					      .encode = hold_encode,
					      .decode = hold_decode};

#define EXTREME_KERNEL(f, state, suffix)                                                                                                   \
	{                                                                                                                                  \
		{.name = "min",                                                                                                            \
		 .state_bytes = sizeof(state),                                                                                             \
		 .update = min_##f,                                                                                                        \
		 .merge = min_merge##suffix,                                                                                               \
		 .result = extreme_result##suffix},                                                                                        \
		{                                                                                                                          \
			.name = "max", .state_bytes = sizeof(state), .update = max_##f, .merge = max_merge##suffix,                        \
			.result = extreme_result##suffix                                                                                   \
		}                                                                                                                          \
	}
enum { E_BOOL, E_I8, E_I16, E_I32, E_I64, E_F32, E_F64 };
static const struct tm_agg_kernel extremes[][2] = {EXTREME_KERNEL(boolean, struct extreme, ), EXTREME_KERNEL(i8, struct extreme, ),
						   EXTREME_KERNEL(i16, struct extreme, ),     EXTREME_KERNEL(i32, struct extreme, ),
						   EXTREME_KERNEL(i64, struct extreme, ),     EXTREME_KERNEL(f32, struct extreme_f, _f),
						   EXTREME_KERNEL(f64, struct extreme_f, _f)};
static int extreme_class(enum tm_type_kind k)
{
	if (k >= TM_T_BOOLEAN && k <= TM_T_DOUBLE)
		return (int)k - TM_T_BOOLEAN;
	if (k == TM_T_DATE || k == TM_T_INTERVAL_YM)
		return E_I32;
	return k == TM_T_TIMESTAMP || k == TM_T_TIMESTAMP_NTZ || k == TM_T_TIME || k == TM_T_INTERVAL_DT ? E_I64 : -1;
}

/* variant: HOLD_MIN, HOLD_MAX */
BIND(min_max)
{
	const struct tm_type *t = b->args[0].type;
	if (!tm_type_orderable(t))
		return fn_unorderable(b, t, err);
	int class = extreme_class(t->kind), what = fn_variant(b);
	if (class >= 0)
		return fn_is_agg(b, &extremes[class][what == HOLD_MAX], t, true);
	struct hold_bound *bound = TM_NEW(b->arena, struct hold_bound);
	bound->what = what;
	b->bound = bound;
	return fn_is_agg(b, &agg_hold, t, true);
}

/* variant: HOLD_FIRST, HOLD_LAST; a second argument true, or IGNORE NULLS, skips nulls */
BIND(first_last)
{
	struct hold_bound *bound = TM_NEW(b->arena, struct hold_bound);
	bound->what = fn_variant(b);
	bound->skip_nulls = b->ignore_nulls;
	if (b->arg_count == 2) {
		const struct tm_column *c = b->args[1].literal;
		if (!c || c->type->kind != TM_T_BOOLEAN)
			return fn_unexpected_type(b, 1, "BOOLEAN", err);
		bound->skip_nulls |= c->boolean[0];
	}
	b->bound = bound;
	return fn_is_agg(b, &agg_hold, b->args[0].type, true);
}

/* ---- bits and booleans ---- */
enum { BIT_AND, BIT_OR, BIT_XOR };
static void bit_join(int what, struct extreme *s, int64_t v)
{
	s->v = !s->has ? v : what == BIT_AND ? s->v & v : what == BIT_OR ? s->v | v : s->v ^ v;
	s->has = true;
}
static tm_rc bit_update(AGG_UPDATE_ARGS)
{
	int what = (int)(intptr_t)agg->bound;
	for (size_t i = 0; i < n; i++)
		if (!tm_is_null(&args[0], i))
			bit_join(what, states[i], tm_value_integer(&args[0], i));
	return TM_OK;
}
static tm_rc bit_merge(AGG_MERGE_ARGS)
{
	const struct extreme *f = from;
	if (f->has)
		bit_join((int)(intptr_t)agg->bound, into, f->v);
	return TM_OK;
}
static const struct tm_agg_kernel agg_bits = {
    .name = "bits", .state_bytes = sizeof(struct extreme), .update = bit_update, .merge = bit_merge, .result = extreme_result};
BIND(bit_agg)
{
	const struct tm_type *t = b->args[0].type;
	if (!tm_type_integral(t)) {
		if (t->kind != TM_T_STRING && t->kind != TM_T_NULL)
			return fn_unexpected_type(b, 0, "INTEGRAL", err);
		b->cast[0] = t = &tm_type_bigint;
	}
	b->bound = (const void *)(intptr_t)fn_variant(b);
	return fn_is_agg(b, &agg_bits, t, true);
}
/* variant: HOLD_MIN for and, HOLD_MAX for or */
BIND(bool_agg)
{
	TM_TRY(fn_want(b, 0, &tm_type_boolean, err));
	return fn_is_agg(b, &extremes[E_BOOL][fn_variant(b) == HOLD_MAX], &tm_type_boolean, true);
}
