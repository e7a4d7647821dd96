/* max_by(x, y, k), min_by(x, y, k): the k values of x with the greatest or least y, in that order. Of equal ones those seen first stay. */
#include "sql/agg_int.h"
#include <stdlib.h>

enum { TOP_K_MAX = 100000 }; /* Spark's */

struct top_item {
	struct held order;
	char *value; /* encoded */
	uint32_t value_len;
};
struct top {
	struct top_item *items; /* the best first */
	uint32_t count, cap;
};
struct top_bound {
	bool max;
	uint32_t k;
};

/* Where an order belongs: behind all that are better or equal. sign(cmp of an item against it) comes from `against`. */
static size_t place(const struct top *s, const struct top_bound *b, int (*against)(const struct held *item, const void *ctx),
		    const void *ctx)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = against(&s->items[mid].order, ctx);
		if (b->max ? c >= 0 : c <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Room at a place; the one that falls off the end gives its memory. */
static struct top_item *make_room(struct top *s, const struct top_bound *b, size_t at)
{
	struct top_item fallen = {0};
	if (s->count == b->k) {
		fallen = s->items[--s->count];
	} else if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : b->k < 4 ? b->k : 4;
		s->items = tm_realloc(s->items, s->cap * sizeof *s->items);
	}
	memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof *s->items);
	s->count++;
	s->items[at] = fallen;
	return &s->items[at];
}

static void value_keep(struct top_item *item, const void *bytes, size_t n)
{
	if (n > item->value_len || !item->value) {
		free(item->value);
		item->value = tm_alloc(n ? n : 1);
	}
	memcpy(item->value, bytes, n);
	item->value_len = (uint32_t)n;
}

struct row_of {
	struct tm_eval *ev;
	const struct tm_column *column;
	size_t row;
};
static int against_row(const struct held *item, const void *ctx)
{
	const struct row_of *r = ctx;
	return held_cmp(r->ev, item, r->column, r->row);
}
static tm_rc top_update(AGG_UPDATE_ARGS)
{
	const struct top_bound *b = agg->bound;
	struct tm_buf bytes = {0};
	for (size_t i = 0; i < n; i++) {
		struct top *s = states[i];
		if (tm_is_null(&args[1], i))
			continue;
		struct row_of row = {ev, &args[1], i};
		if (s->count == b->k) { /* most rows end here */
			int c = against_row(&s->items[s->count - 1].order, &row);
			if (b->max ? c >= 0 : c <= 0)
				continue;
		}
		struct top_item *item = make_room(s, b, place(s, b, against_row, &row));
		held_set(&item->order, &args[1], i);
		bytes.len = 0;
		tm_value_encode(&args[0], i, &bytes);
		value_keep(item, bytes.at, bytes.len);
	}
	tm_buf_done(&bytes);
	return TM_OK;
}

struct held_of {
	struct tm_eval *ev;
	const struct tm_type *type;
	const struct held *held;
};
static int against_held(const struct held *item, const void *ctx)
{
	const struct held_of *h = ctx;
	return held_cmp_held(h->ev, h->type, item, h->held);
}
static tm_rc top_merge(AGG_MERGE_ARGS)
{
	const struct top_bound *b = agg->bound;
	struct top *s = into;
	const struct top *f = from;
	for (size_t i = 0; i < f->count; i++) {
		struct held_of h = {ev, agg->args[1]->type, &f->items[i].order};
		size_t at = place(s, b, against_held, &h);
		if (at == b->k)
			break;
		struct top_item *item = make_room(s, b, at);
		held_copy(&item->order, &f->items[i].order);
		value_keep(item, f->items[i].value, f->items[i].value_len);
	}
	return TM_OK;
}

static tm_rc top_result(AGG_RESULT_ARGS)
{
	struct tm_appender *a = tm_appender_new(ev->arena, agg->type->children[0]);
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct top *s = states[i];
		ret->span[i].from = (uint32_t)tm_appender_rows(a);
		ret->span[i].count = s->count;
		if (!s->count)
			fn_null(ev, ret, i);
		for (size_t k = 0; k < s->count; k++) {
			struct tm_cursor c = tm_cursor_of(tm_str_n(s->items[k].value, s->items[k].value_len));
			if (!tm_appender_decode(a, &c))
				return tm_fail(ev->err, TM_CORRUPT, "a value that was kept cannot be read back");
		}
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_appender_finish(a, &ret->children[0]);
	return TM_OK;
}

static void top_done(UNUSED const struct tm_agg *agg, void *state)
{
	struct top *s = state;
	for (size_t i = 0; i < s->count; i++) {
		held_done(&s->items[i].order);
		free(s->items[i].value);
	}
	free(s->items);
	*s = (struct top){0};
}

static void top_encode(const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct top *s = state;
	tm_buf_varint(out, s->count);
	for (size_t i = 0; i < s->count; i++) {
		held_encode(agg->args[1]->type, &s->items[i].order, out);
		tm_buf_varint(out, s->items[i].value_len);
		tm_buf_put(out, s->items[i].value, s->items[i].value_len);
	}
}

static bool top_decode(const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	const struct top_bound *b = agg->bound;
	struct top *s = state;
	uint64_t n = tm_cursor_varint(in, 32);
	if (n > b->k)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct top_item *item = make_room(s, b, s->count);
		if (!held_decode(agg->args[1]->type, in, &item->order) || item->order.state != HELD_VALUE)
			return false;
		struct tm_str v = tm_cursor_take(in, (size_t)tm_cursor_varint(in, 32));
		if (!tm_cursor_ok(in))
			return false;
		value_keep(item, v.at, v.len);
	}
	return tm_cursor_ok(in);
}

static const struct tm_agg_kernel agg_top = {.name = "top",
					     .state_bytes = sizeof(struct top),
					     .update = top_update,
					     .merge = top_merge,
					     .result = top_result,
					     .done = top_done,
					     .encode = top_encode,
					     .decode = top_decode};

/* Called by the binding of max_by and min_by when they have three arguments. */
tm_rc agg_bind_top(struct tm_fn_bind *b, bool max, struct tm_err *err)
{
	int64_t k;
	if (!b->args[2].literal || !fn_literal_int(b, 2, &k))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"k\" should be a foldable \"INT\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[2].expr->text));
	if (k < 1 || k > TOP_K_MAX)
		return fn_mismatch(b, err, "VALUE_OUT_OF_RANGE", "The `k` must be between [1, %d] (current value = %lld).", TOP_K_MAX,
				   (long long)k);
	struct top_bound *bound = TM_NEW(b->arena, struct top_bound);
	*bound = (struct top_bound){.max = max, .k = (uint32_t)k};
	b->bound = bound;
	return fn_is_agg(b, &agg_top, tm_type_array(b->arena, b->args[0].type, true), true);
}
