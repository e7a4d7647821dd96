/* Aggregates that keep their values: collect_list, collect_set, mode, percentile, median, histogram_numeric, bitmaps. */
#include "sql/agg_int.h"
#include "sql/fn_hash.h"
#include "sql/value_text.h"
#include <math.h>
#include <stdlib.h>

/* ---- a set of encoded values with counts ---- */
struct bag {
	struct value_list list;
	int64_t *counts; /* per value */
	uint64_t *hashes;
	size_t *offsets; /* of each value's bytes (behind the length) */
	uint32_t *slots; /* value number + 1 */
	size_t cap, mask;
};
static void bag_done(struct bag *b)
{
	tm_buf_done(&b->list.bytes);
	free(b->counts);
	free(b->hashes);
	free(b->offsets);
	free(b->slots);
	*b = (struct bag){0};
}
static void bag_grow(struct bag *b)
{
	b->cap = b->cap ? b->cap * 2 : 8;
	b->counts = tm_realloc(b->counts, b->cap * sizeof *b->counts);
	b->hashes = tm_realloc(b->hashes, b->cap * sizeof *b->hashes);
	b->offsets = tm_realloc(b->offsets, b->cap * sizeof *b->offsets);
	free(b->slots);
	b->slots = tm_zalloc(b->cap * 2 * sizeof *b->slots);
	b->mask = b->cap * 2 - 1;
	for (size_t i = 0; i < b->list.count; i++) {
		size_t at = b->hashes[i] & b->mask;
		while (b->slots[at])
			at = (at + 1) & b->mask;
		b->slots[at] = (uint32_t)i + 1;
	}
}
static struct tm_str bag_value(const struct bag *b, size_t i)
{
	uint32_t n;
	memcpy(&n, b->list.bytes.at + b->offsets[i] - 4, 4);
	return tm_str_n(b->list.bytes.at + b->offsets[i], n);
}
static void bag_add(struct bag *b, struct tm_str value, int64_t count)
{
	uint64_t h = tm_xxh3(value.at, value.len, 0);
	if (b->list.count == b->cap)
		bag_grow(b);
	size_t at = h & b->mask;
	for (; b->slots[at]; at = (at + 1) & b->mask) {
		size_t i = b->slots[at] - 1;
		if (b->hashes[i] == h && tm_str_eq(bag_value(b, i), value)) {
			if (__builtin_add_overflow(b->counts[i], count, &b->counts[i])) /* a damaged state */
				b->counts[i] = INT64_MAX;
			return;
		}
	}
	size_t i = b->list.count++;
	b->slots[at] = (uint32_t)i + 1;
	b->hashes[i] = h;
	b->counts[i] = count;
	tm_buf_le32(&b->list.bytes, (uint32_t)value.len);
	b->offsets[i] = b->list.bytes.len;
	tm_buf_str_put(&b->list.bytes, value);
}
/* -0.0 counts as 0.0. */
static void bag_add_row(struct bag *b, const struct tm_column *c, size_t row, struct tm_buf *scratch)
{
	struct tm_column one = *c;
	double zero = 0;
	float zero_f = 0;
	scratch->len = 0;
	row = tm_row(c, row);
	if (c->type->kind == TM_T_DOUBLE && c->f64[row] == 0) {
		one = (struct tm_column){.type = c->type, .rows = 1, .f64 = &zero};
		row = 0;
	} else if (c->type->kind == TM_T_FLOAT && c->f32[row] == 0) {
		one = (struct tm_column){.type = c->type, .rows = 1, .f32 = &zero_f};
		row = 0;
	}
	one.constant = false;
	tm_value_encode(&one, row, scratch);
	bag_add(b, tm_buf_str(scratch), 1);
}
static tm_rc bag_update(AGG_UPDATE_ARGS)
{
	struct tm_buf scratch = {0};
	for (size_t i = 0; i < n; i++)
		if (!tm_is_null(&args[0], i))
			bag_add_row(states[i], &args[0], i, &scratch);
	tm_buf_done(&scratch);
	return TM_OK;
}
static tm_rc bag_merge(AGG_MERGE_ARGS)
{
	const struct bag *f = from;
	for (size_t i = 0; i < f->list.count; i++)
		bag_add(into, bag_value(f, i), f->counts[i]);
	return TM_OK;
}
static void bag_free(UNUSED const struct tm_agg *agg, void *state) { bag_done(state); }
static void bag_encode(UNUSED const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct bag *b = state;
	tm_buf_varint(out, b->list.count);
	for (size_t i = 0; i < b->list.count; i++) {
		struct tm_str v = bag_value(b, i);
		tm_buf_varint(out, (uint64_t)b->counts[i]);
		tm_buf_varint(out, v.len);
		tm_buf_str_put(out, v);
	}
}
static bool bag_decode(UNUSED const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	uint64_t n = tm_cursor_varint(in, 64);
	for (uint64_t i = 0; i < n && tm_cursor_ok(in); i++) {
		int64_t count = (int64_t)tm_cursor_varint(in, 64);
		struct tm_str v = tm_cursor_take(in, (size_t)tm_cursor_varint(in, 64));
		if (tm_cursor_ok(in))
			bag_add(state, v, count);
	}
	return tm_cursor_ok(in);
}

/* ---- collect ---- */
static tm_rc lists_column(struct tm_eval *ev, const struct tm_agg *agg, void *const *states, size_t n, size_t offset, struct tm_column *ret)
{
	struct tm_appender *a = tm_appender_new(ev->arena, agg->type->children[0]);
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct value_list *l = (const void *)((const char *)states[i] + offset);
		ret->span[i].from = (uint32_t)tm_appender_rows(a);
		if (list_append(l, a) == SIZE_MAX)
			return tm_fail(ev->err, TM_CORRUPT, "a collected value cannot be read back");
		ret->span[i].count = (uint32_t)l->count;
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_appender_finish(a, &ret->children[0]);
	return TM_OK;
}
static tm_rc set_result(AGG_RESULT_ARGS) { return lists_column(ev, agg, states, n, offsetof(struct bag, list), ret); }
static tm_rc list_result(AGG_RESULT_ARGS) { return lists_column(ev, agg, states, n, 0, ret); }
static tm_rc list_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++)
		if (!tm_is_null(&args[0], i))
			list_add(states[i], &args[0], i);
	return TM_OK;
}
static const struct tm_agg_kernel agg_list = {.name = "collect_list",
					      .state_bytes = sizeof(struct value_list),
					      .update = list_update,
					      .merge = agg_list_merge,
					      .result = list_result,
					      .done = agg_list_free,
					      .encode = agg_list_encode,
					      .decode = agg_list_decode};
static const struct tm_agg_kernel agg_set = {.name = "collect_set",
					     .state_bytes = sizeof(struct bag),
					     .update = bag_update,
					     .merge = bag_merge,
					     .result = set_result,
					     .done = bag_free,
					     .encode = bag_encode,
					     .decode = bag_decode};
/* variant: 1 set */
BIND(collect)
{
	const struct tm_type *t = b->args[0].type;
	if (fn_variant(b) && t->kind == TM_T_MAP)
		return fn_mismatch(b, err, "UNSUPPORTED_INPUT_TYPE", "The input of `%s` can't be \"MAP\" type data.", b->fn->name);
	return fn_is_agg(b, fn_variant(b) ? &agg_set : &agg_list, tm_type_array(b->arena, t, false), false);
}

/* ---- mode ---- the most frequent value; of equally frequent ones the least where asked to decide, else the one that Spark's
 * hash map gives first: keys lie by their hash, in the order in which they came where they collide. */
static uint32_t java_hash(const struct tm_column *c, size_t i)
{
	uint64_t v;
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		return c->boolean[i] ? 1231 : 1237;
	case TM_T_TINYINT:
		return (uint32_t)c->i8[i];
	case TM_T_SMALLINT:
		return (uint32_t)c->i16[i];
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return (uint32_t)c->i32[i];
	case TM_T_FLOAT:
		memcpy(&v, &c->f32[i], 4);
		return (uint32_t)v;
	case TM_T_STRING:
	case TM_T_BINARY:
		return fn_murmur_bytes(c->str[i], 42);
	case TM_T_DECIMAL:
	case TM_T_INTERVAL:
	case TM_T_VARIANT:
	case TM_T_ARRAY:
	case TM_T_MAP:
	case TM_T_STRUCT:
		return (uint32_t)i;
	default:
		v = (uint64_t)c->i64[i];
	}
	return (uint32_t)(v ^ v >> 32);
}
/* Where the map has value j of the bag's n, in order of coming: ret[j]. */
static void map_places(struct tm_eval *ev, const struct tm_column *values, size_t n, size_t *ret)
{
	size_t cap = 64;
	while (n > cap * 7 / 10)
		cap *= 2;
	uint8_t *taken = tm_arena_zalloc(ev->arena, cap);
	for (size_t j = 0; j < n; j++) {
		size_t at = fn_murmur_int((int32_t)java_hash(values, j), 0) & (cap - 1);
		for (size_t step = 1; taken[at]; step++)
			at = (at + step) & (cap - 1);
		taken[at] = 1;
		ret[j] = at;
	}
}
static tm_rc mode_result(AGG_RESULT_ARGS)
{
	struct tm_appender *a = tm_appender_new(ev->arena, agg->type);
	for (size_t i = 0; i < n; i++) {
		const struct bag *b = states[i];
		size_t best = 0, count = b->list.count;
		struct tm_appender *all = tm_appender_new(ev->arena, agg->type);
		struct tm_column c;
		if (count == 0) {
			tm_appender_null(a);
			continue;
		}
		if (list_append(&b->list, all) == SIZE_MAX)
			return tm_fail(ev->err, TM_CORRUPT, "a collected value cannot be read back");
		tm_appender_finish(all, &c);
		size_t *places = tm_arena_alloc(ev->arena, count * sizeof *places);
		map_places(ev, &c, count, places);
		for (size_t j = 1; j < count; j++) {
			bool more = b->counts[j] > b->counts[best], tie = b->counts[j] == b->counts[best];
			if (more || (tie && (agg->bound ? tm_value_cmp(&c, j, &c, best) < 0 : places[j] < places[best])))
				best = j;
		}
		tm_appender_value(a, &c, best);
	}
	tm_appender_finish(a, ret);
	return TM_OK;
}
static const struct tm_agg_kernel agg_mode = {.name = "mode",
					      .state_bytes = sizeof(struct bag),
					      .update = bag_update,
					      .merge = bag_merge,
					      .result = mode_result,
					      .done = bag_free,
					      .encode = bag_encode,
					      .decode = bag_decode};
BIND(mode)
{
	const struct tm_column *d = b->arg_count > 1 ? b->args[1].literal : NULL;
	if (b->arg_count > 1 && (!d || d->type->kind != TM_T_BOOLEAN))
		return fn_unexpected_type(b, 1, "BOOLEAN", err);
	b->bound = d && !tm_is_null(d, 0) && d->boolean[0] ? "" : NULL;
	return fn_is_agg(b, &agg_mode, b->args[0].type, true);
}

/* ---- percentiles ---- of all values, sorted at the end */
struct percentile {
	double *p;
	size_t count;
	bool array, disc, typed;
	bool descending; /* counted from the largest */
};
struct doubles {
	double *v;
	size_t count, cap;
};
static void doubles_add(struct doubles *d, double v)
{
	if (d->count == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->v = tm_realloc(d->v, tm_mul_size(d->cap, sizeof *d->v));
	}
	d->v[d->count++] = v;
}
static double number_at(const struct tm_column *c, size_t i)
{
	i = tm_row(c, i);
	switch (c->type->kind) {
	case TM_T_FLOAT:
		return (double)c->f32[i];
	case TM_T_DOUBLE:
		return c->f64[i];
	case TM_T_DECIMAL:
		return tm_decimal_to_double(c->i128[i], c->type->scale);
	default:
		return (double)tm_value_integer(c, i);
	}
}
static tm_rc doubles_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++) {
		if (tm_is_null(&args[0], i))
			continue;
		int64_t times = 1;
		if (agg->arg_count > 2 && !((const struct percentile *)agg->bound)->typed)
			times = tm_is_null(&args[2], i) ? 0 : tm_value_integer(&args[2], i);
		if (times < 0)
			return tm_fail_class(ev->err, TM_DATA, "NEGATIVE_VALUES_IN_FREQUENCY_EXPRESSION", "22003",
					     "Found the negative value in frequency expression.");
		const struct doubles *d = states[i];
		if (times > 1 && (uint64_t)times + d->count > TM_LIMIT_VALUES_BYTES / sizeof *d->v)
			return tm_fail(ev->err, TM_LIMIT, "the frequencies of a percentile add up to more than %zu values",
				       TM_LIMIT_VALUES_BYTES / sizeof *d->v);
		for (; times > 0; times--)
			doubles_add(states[i], number_at(&args[0], i));
	}
	return TM_OK;
}
static tm_rc doubles_merge(AGG_MERGE_ARGS)
{
	const struct doubles *f = from;
	for (size_t i = 0; i < f->count; i++)
		doubles_add(into, f->v[i]);
	return TM_OK;
}
static void doubles_free(UNUSED const struct tm_agg *agg, void *state) { free(((struct doubles *)state)->v); }
static void doubles_encode(UNUSED const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct doubles *d = state;
	tm_buf_varint(out, d->count);
	tm_buf_put(out, d->v, d->count * sizeof *d->v);
}
static bool doubles_decode(UNUSED const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	size_t n = (size_t)tm_cursor_varint(in, 60);
	struct tm_str s = tm_cursor_take(in, n > tm_cursor_left(in) / 8 ? SIZE_MAX : n * 8);
	for (size_t i = 0; tm_cursor_ok(in) && i < n; i++) {
		double v;
		memcpy(&v, s.at + i * 8, 8);
		doubles_add(state, v);
	}
	return tm_cursor_ok(in);
}
static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	return (x > y) - (x < y);
}
static double nth(const struct percentile *o, const double *v, size_t n, double k)
{
	return v[o->descending ? n - 1 - (size_t)k : (size_t)k];
}
static double percentile_of(const struct percentile *o, const double *v, size_t n, double p)
{
	if (o->disc) {
		double rank = ceil(p * (double)n);
		return nth(o, v, n, rank < 1 ? 0 : rank - 1 < (double)n ? rank - 1 : (double)(n - 1));
	}
	double at = p * (double)(n - 1), lo = floor(at), hi = ceil(at), a = nth(o, v, n, lo), b = nth(o, v, n, hi);
	return lo == hi || a == b ? a : (hi - at) * a + (at - lo) * b;
}
static void put_number(struct tm_column *c, size_t i, double v)
{
	switch (c->type->kind) {
	case TM_T_TINYINT:
		c->i8[i] = (int8_t)tm_double_i32(v);
		break;
	case TM_T_SMALLINT:
		c->i16[i] = (int16_t)tm_double_i32(v);
		break;
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		c->i32[i] = tm_double_i32(v);
		break;
	case TM_T_FLOAT:
		c->f32[i] = (float)v;
		break;
	case TM_T_DOUBLE:
		c->f64[i] = v;
		break;
	case TM_T_DECIMAL: {
		char text[64];
		struct tm_buf b = {text, 0, sizeof text};
		c->i128[i] = 0;
		tm_double_text(v, &b);
		tm_decimal_parse(tm_buf_str(&b), c->type->precision, c->type->scale, &c->i128[i]);
		break;
	}
	default:
		c->i64[i] = tm_double_i64(v);
	}
}
static tm_rc percentile_result(AGG_RESULT_ARGS)
{
	const struct percentile *o = agg->bound;
	tm_column_init(ret, ev->arena, agg->type, n);
	struct tm_column *out = ret;
	if (o->array) {
		ret->children = TM_NEW(ev->arena, struct tm_column);
		out = &ret->children[0];
		tm_column_init(out, ev->arena, agg->type->children[0], n * o->count);
	}
	for (size_t i = 0; i < n; i++) {
		struct doubles *d = states[i];
		if (d->count == 0) {
			fn_null(ev, ret, i);
			if (!o->array)
				put_number(out, i, 0);
			continue;
		}
		qsort(d->v, d->count, sizeof *d->v, by_value);
		for (size_t j = 0; j < o->count; j++)
			put_number(out, o->array ? i * o->count + j : i, percentile_of(o, d->v, d->count, o->p[j]));
		if (o->array)
			ret->span[i] = (struct tm_span){(uint32_t)(i * o->count), (uint32_t)o->count};
	}
	for (size_t i = 0; o->array && i < n; i++) /* what null rows left unset */
		if (ret->valid && !ret->valid[i])
			for (size_t j = 0; j < o->count; j++)
				put_number(out, i * o->count + j, 0);
	return TM_OK;
}
static const struct tm_agg_kernel agg_percentile = {.name = "percentile",
						    .state_bytes = sizeof(struct doubles),
						    .update = doubles_update,
						    .merge = doubles_merge,
						    .result = percentile_result,
						    .done = doubles_free,
						    .encode = doubles_encode,
						    .decode = doubles_decode};
/* variant: 0 percentile and percentile_cont, 1 median, 2 percentile_approx, 3 percentile_disc */
BIND(percentile)
{
	int what = fn_variant(b);
	struct percentile *o = TM_NEW(b->arena, struct percentile);
	const struct tm_type *t = b->args[0].type;
	o->disc = what >= 2;
	o->typed = what == 2;
	o->descending = b->within && b->within->keys[0].descending;
	o->p = TM_NEW_N(b->arena, double, 1);
	o->p[0] = 0.5;
	o->count = 1;
	if (what != 1) {
		const struct tm_column *l = b->args[1].literal;
		if (!l || tm_is_null(l, 0))
			return fn_mismatch(b, err, l ? "UNEXPECTED_NULL" : "NON_FOLDABLE_INPUT",
					   "the input \"percentage\" should be a foldable \"DOUBLE\" expression; however, got \"%.*s\".",
					   TM_STR_ARG(b->args[1].expr->text));
		const struct tm_column *values = l;
		size_t from = 0;
		if (l->type->kind == TM_T_ARRAY) {
			o->array = true;
			values = &l->children[0];
			from = l->span[0].from;
			o->count = l->span[0].count;
			o->p = TM_NEW_N(b->arena, double, o->count + 1);
		}
		for (size_t i = 0; i < o->count; i++) {
			if (!tm_type_numeric(values->type))
				return fn_unexpected_type(b, 1, "DOUBLE", err);
			o->p[i] = number_at(values, from + i);
			if (!(o->p[i] >= 0 && o->p[i] <= 1))
				return fn_mismatch(b, err, "VALUE_OUT_OF_RANGE",
						   "The `percentage` must be between [0.0, 1.0] (current value = %g).", o->p[i]);
		}
	}
	if (b->arg_count > 2 && !o->typed) { /* frequencies: whole numbers */
		const struct tm_type *f = b->args[2].type;
		if (f->kind == TM_T_NULL)
			TM_TRY(fn_want(b, 2, &tm_type_bigint, err));
		else if (f->kind != TM_T_TINYINT && f->kind != TM_T_SMALLINT && f->kind != TM_T_INT && f->kind != TM_T_BIGINT)
			return fn_unexpected_type(b, 2, "INTEGRAL", err);
	}
	const struct tm_type *result = &tm_type_double;
	bool interval = t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT,
	     time = t->kind == TM_T_DATE || t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ;
	if (!tm_type_numeric(t) && !interval && !(time && o->typed))
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	if (o->typed || interval)
		result = fn_type(b, 0);
	b->bound = o;
	return fn_is_agg(b, &agg_percentile, o->array ? tm_type_array(b->arena, result, false) : result, true);
}

/* ---- histogram_numeric ---- the closest two bars are joined until there are few enough */
struct bar {
	double x, y;
};
struct bars {
	struct bar *v;
	size_t count;
};
static void bars_trim(struct bars *h, size_t most)
{
	while (h->count > most) {
		size_t best = 0;
		for (size_t i = 0; i + 1 < h->count; i++)
			if (h->v[i + 1].x - h->v[i].x <= h->v[best + 1].x - h->v[best].x)
				best = i;
		struct bar *a = &h->v[best], *b = a + 1;
		double y = a->y + b->y;
		a->x = (a->x * a->y + b->x * b->y) / y;
		a->y = y;
		memmove(b, b + 1, (h->count - best - 2) * sizeof *b);
		h->count--;
	}
}
static void bars_add(struct bars *h, double x, double y, size_t most)
{
	size_t at = 0;
	while (at < h->count && h->v[at].x < x)
		at++;
	if (at < h->count && h->v[at].x == x) {
		h->v[at].y += y;
		return;
	}
	h->v = tm_realloc(h->v, (h->count + 1) * sizeof *h->v);
	memmove(h->v + at + 1, h->v + at, (h->count - at) * sizeof *h->v);
	h->v[at] = (struct bar){x, y};
	h->count++;
	bars_trim(h, most);
}
static tm_rc bars_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++)
		if (!tm_is_null(&args[0], i))
			bars_add(states[i], number_at(&args[0], i), 1, (size_t)(intptr_t)agg->bound);
	return TM_OK;
}
static tm_rc bars_merge(AGG_MERGE_ARGS)
{
	const struct bars *f = from;
	for (size_t i = 0; i < f->count; i++)
		bars_add(into, f->v[i].x, f->v[i].y, (size_t)(intptr_t)agg->bound);
	return TM_OK;
}
static tm_rc bars_result(AGG_RESULT_ARGS)
{
	size_t total = 0;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct bars *h = states[i];
		ret->span[i] = (struct tm_span){(uint32_t)total, (uint32_t)h->count};
		total += h->count;
		if (!h->count)
			fn_null(ev, ret, i);
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_column_init(&ret->children[0], ev->arena, agg->type->children[0], total);
	for (size_t i = 0, at = 0; i < n; i++)
		for (size_t j = 0; j < ((const struct bars *)states[i])->count; j++, at++) {
			put_number(&ret->children[0].children[0], at, ((const struct bars *)states[i])->v[j].x);
			ret->children[0].children[1].f64[at] = ((const struct bars *)states[i])->v[j].y;
		}
	return TM_OK;
}
static void bars_free(UNUSED const struct tm_agg *agg, void *state) { free(((struct bars *)state)->v); }
static void bars_encode(UNUSED const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct bars *h = state;
	tm_buf_varint(out, h->count);
	tm_buf_put(out, h->v, h->count * sizeof *h->v);
}
static bool bars_decode(UNUSED const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	struct bars *h = state;
	size_t n = (size_t)tm_cursor_varint(in, 32);
	struct tm_str s = tm_cursor_take(in, n * sizeof *h->v);
	if (!tm_cursor_ok(in))
		return false;
	h->v = tm_alloc(s.len ? s.len : 1);
	if (s.len)
		memcpy(h->v, s.at, s.len);
	h->count = n;
	return true;
}
static const struct tm_agg_kernel agg_bars = {.name = "histogram_numeric",
					      .state_bytes = sizeof(struct bars),
					      .update = bars_update,
					      .merge = bars_merge,
					      .result = bars_result,
					      .done = bars_free,
					      .encode = bars_encode,
					      .decode = bars_decode};
BIND(histogram_numeric)
{
	int64_t n;
	if (!fn_literal_int(b, 1, &n) || n < 2 || n > 1000000)
		return fn_mismatch(b, err, "VALUE_OUT_OF_RANGE", "The `nb` must be between [2, 1000000].");
	const struct tm_type *t = b->args[0].type;
	if (!tm_type_numeric(t))
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	const struct tm_type *types[2] = {fn_type(b, 0), &tm_type_double};
	b->bound = (const void *)(intptr_t)n;
	return fn_is_agg(
	    b, &agg_bars,
	    tm_type_array(b->arena, tm_type_struct(b->arena, 2, (const struct tm_str[]){TM_STR("x"), TM_STR("y")}, types, NULL), true),
	    true);
}
