/* Values held in the states of aggregate functions. */
#include "sql/agg_int.h"
#include <stdlib.h>

static bool by_bytes(const struct tm_type *t) { return t->kind == TM_T_STRING || t->kind == TM_T_BINARY || t->kind == TM_T_VARIANT; }
static bool nested(const struct tm_type *t)
{
	return t->child_count > 0 || t->kind == TM_T_STRUCT || t->kind == TM_T_ARRAY || t->kind == TM_T_MAP;
}

static void keep(struct held *h, const void *at, size_t n)
{
	if (n > h->len || !h->bytes) {
		free(h->bytes);
		h->bytes = tm_alloc(n ? n : 1);
	}
	if (n)
		memcpy(h->bytes, at, n);
	h->len = (uint32_t)n;
	h->state = HELD_VALUE;
}

void held_set(struct held *h, const struct tm_column *c, size_t row)
{
	if (tm_is_null(c, row)) {
		h->state = HELD_NULL;
		return;
	}
	row = tm_row(c, row);
	if (nested(c->type)) {
		struct tm_buf b = {0};
		tm_value_encode(c, row, &b);
		keep(h, b.at, b.len);
		tm_buf_done(&b);
	} else if (by_bytes(c->type)) {
		keep(h, c->str[row].at, c->str[row].len);
	} else {
		size_t w = tm_type_width(c->type);
		memcpy(&h->fixed, (const char *)c->data + row * w, w);
		h->state = HELD_VALUE;
	}
}

void held_copy(struct held *h, const struct held *from)
{
	if (from->state == HELD_VALUE && from->bytes)
		keep(h, from->bytes, from->len);
	h->fixed = from->fixed;
	h->state = from->state;
}

void held_done(struct held *h)
{
	free(h->bytes);
	h->bytes = NULL;
}

void held_encode(const struct tm_type *t, const struct held *h, struct tm_buf *out)
{
	tm_buf_u8(out, h->state);
	if (h->state != HELD_VALUE)
		return;
	if (by_bytes(t) || nested(t)) {
		tm_buf_varint(out, h->len);
		tm_buf_put(out, h->bytes, h->len);
	} else {
		tm_buf_put(out, &h->fixed, sizeof h->fixed);
	}
}

bool held_decode(const struct tm_type *t, struct tm_cursor *in, struct held *h)
{
	uint8_t state = tm_cursor_u8(in);
	if (state > HELD_VALUE)
		return false;
	if (state != HELD_VALUE) {
		h->state = state;
		return tm_cursor_ok(in);
	}
	if (by_bytes(t) || nested(t)) {
		struct tm_str s = tm_cursor_take(in, (size_t)tm_cursor_varint(in, 32));
		if (!tm_cursor_ok(in))
			return false;
		keep(h, s.at, s.len);
	} else {
		struct tm_str s = tm_cursor_take(in, sizeof h->fixed);
		if (!tm_cursor_ok(in))
			return false;
		memcpy(&h->fixed, s.at, s.len);
		h->state = HELD_VALUE;
	}
	return true;
}

static void one_row(struct tm_eval *ev, const struct tm_type *t, const struct held *h, struct tm_column *ret)
{
	if (nested(t)) {
		struct tm_appender *a = tm_appender_new(ev->arena, t);
		struct tm_cursor c = tm_cursor_of(tm_str_n(h->bytes, h->len));
		if (!tm_appender_decode(a, &c))
			tm_appender_null(a);
		tm_appender_finish(a, ret);
		return;
	}
	tm_column_init(ret, ev->arena, t, 1);
	if (by_bytes(t))
		ret->str[0] = tm_str_n(h->bytes, h->len);
	else
		memcpy(ret->data, &h->fixed, tm_type_width(t));
}

int held_cmp(struct tm_eval *ev, const struct held *h, const struct tm_column *c, size_t row)
{
	if (by_bytes(c->type))
		return tm_str_cmp(tm_str_n(h->bytes, h->len), c->str[tm_row(c, row)]);
	if (!nested(c->type)) { /* a column of one row over the held bytes */
		struct tm_column one = {.type = c->type, .rows = 1, .data = (void *)&h->fixed};
		return tm_value_cmp(&one, 0, c, row);
	}
	struct tm_column one;
	one_row(ev, c->type, h, &one);
	return tm_value_cmp(&one, 0, c, row);
}

int held_cmp_held(struct tm_eval *ev, const struct tm_type *t, const struct held *a, const struct held *b)
{
	struct tm_column one;
	one_row(ev, t, b, &one);
	return held_cmp(ev, a, &one, 0);
}

void held_column(struct tm_eval *ev, const struct tm_type *t, size_t n, const struct held *(*at)(const void *ctx, size_t i),
		 const void *ctx, struct tm_column *ret)
{
	if (nested(t)) {
		struct tm_appender *a = tm_appender_new(ev->arena, t);
		for (size_t i = 0; i < n; i++) {
			const struct held *h = at(ctx, i);
			struct tm_cursor c = tm_cursor_of(tm_str_n(h ? h->bytes : NULL, h ? h->len : 0));
			if (!h || h->state != HELD_VALUE || !tm_appender_decode(a, &c))
				tm_appender_null(a);
		}
		tm_appender_finish(a, ret);
		return;
	}
	tm_column_init(ret, ev->arena, t, n);
	size_t w = tm_type_width(t);
	for (size_t i = 0; i < n; i++) {
		const struct held *h = at(ctx, i);
		if (!h || h->state != HELD_VALUE) {
			if (w)
				memset((char *)ret->data + i * w, 0, w);
			if (t->kind != TM_T_NULL)
				fn_null(ev, ret, i);
		} else if (by_bytes(t)) {
			ret->str[i] = fn_copy(ev, h->bytes, h->len);
		} else {
			memcpy((char *)ret->data + i * w, &h->fixed, w);
		}
	}
}

/* ---- lists ---- */
void list_add(struct value_list *l, const struct tm_column *c, size_t row)
{
	size_t start = l->bytes.len;
	tm_buf_le32(&l->bytes, 0);
	tm_value_encode(c, row, &l->bytes);
	uint32_t n = (uint32_t)(l->bytes.len - start - 4);
	memcpy(l->bytes.at + start, &n, 4);
	l->count++;
}

size_t list_append(const struct value_list *l, struct tm_appender *to)
{
	struct tm_cursor c = tm_cursor_of(tm_buf_str(&l->bytes));
	for (size_t i = 0; i < l->count; i++) {
		struct tm_str s = tm_cursor_take(&c, tm_cursor_le32(&c));
		struct tm_cursor one = tm_cursor_of(s);
		if (!tm_cursor_ok(&c) || !tm_appender_decode(to, &one))
			return SIZE_MAX;
	}
	return l->count;
}

void list_encode(const struct value_list *l, struct tm_buf *out)
{
	tm_buf_varint(out, l->count);
	tm_buf_varint(out, l->bytes.len);
	tm_buf_put(out, l->bytes.at, l->bytes.len);
}

bool list_decode(struct tm_cursor *in, struct value_list *l)
{
	size_t count = (size_t)tm_cursor_varint(in, 64);
	struct tm_str s = tm_cursor_take(in, (size_t)tm_cursor_varint(in, 64));
	if (!tm_cursor_ok(in))
		return false;
	l->count = count;
	tm_buf_str_put(&l->bytes, s);
	return true;
}

tm_rc agg_list_merge(AGG_MERGE_ARGS)
{
	struct value_list *l = into;
	const struct value_list *f = from;
	tm_buf_str_put(&l->bytes, tm_buf_str(&f->bytes));
	l->count += f->count;
	return TM_OK;
}
void agg_list_free(UNUSED const struct tm_agg *agg, void *state) { tm_buf_done(&((struct value_list *)state)->bytes); }
void agg_list_encode(UNUSED const struct tm_agg *agg, const void *state, struct tm_buf *out) { list_encode(state, out); }
bool agg_list_decode(UNUSED const struct tm_agg *agg, struct tm_cursor *in, void *state) { return list_decode(in, state); }
