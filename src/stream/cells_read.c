/* Cells of a table into columns: a reader per column that grows, with one reader per item type below collections. */
#include "stream/cells.h"
#include <arpa/inet.h>
#include <stdio.h>

struct tm_cell_reader {
	struct tm_arena *arena;
	const struct tm_cql_type *from;
	const struct tm_type *to;
	size_t rows, cap, width;
	char *data;
	uint8_t *valid;
	bool any_null;
	struct tm_cell_reader **children;
};

struct tm_cell_reader *tm_cell_reader_new(struct tm_arena *arena, const struct tm_cql_type *from, const struct tm_type *to)
{
	struct tm_cell_reader *r = TM_NEW(arena, struct tm_cell_reader);
	*r = (struct tm_cell_reader){.arena = arena, .from = from, .to = to, .width = tm_type_width(to)};
	r->children = TM_NEW_N(arena, struct tm_cell_reader *, to->child_count + 1);
	for (size_t i = 0; i < to->child_count; i++)
		r->children[i] = tm_cell_reader_new(arena, from->args[i], to->children[i]);
	return r;
}

static uint64_t be(struct tm_str s)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.len && i < 8; i++)
		v = v << 8 | (unsigned char)s.at[i];
	return v;
}

static bool big_integer(struct tm_str s, __int128 *ret)
{
	if (!s.len || s.len > 16)
		return false;
	__int128 v = s.at[0] < 0 ? -1 : 0;
	for (size_t i = 0; i < s.len; i++)
		v = (__int128)((unsigned __int128)v << 8 | (unsigned char)s.at[i]);
	*ret = v;
	return true;
}

/* A decimal at the column's scale; false where it does not fit. */
static bool decimal(struct tm_str s, const struct tm_type *to, __int128 *ret)
{
	if (s.len < 5)
		return false;
	int32_t scale = (int32_t)be(tm_str_slice(s, 0, 4));
	__int128 v;
	if (!big_integer(tm_str_slice(s, 4, s.len), &v) || scale < -38 || scale > 76)
		return false;
	for (; scale < to->scale; scale++)
		if (__builtin_mul_overflow(v, (__int128)10, &v))
			return false;
	for (; scale > to->scale; scale--)
		v = (v + (scale == to->scale + 1 ? (v < 0 ? -5 : 5) : 0)) / 10;
	*ret = v;
	return true;
}

static struct tm_str uuid_text(struct tm_arena *arena, struct tm_str s)
{
	const unsigned char *p = (const unsigned char *)s.at;
	return tm_arena_printf(arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", p[0], p[1], p[2], p[3], p[4],
			       p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
}

static bool text(struct tm_cell_reader *r, struct tm_str s, struct tm_str *ret)
{
	char address[64];
	switch (r->from->kind) {
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		if (s.len != 16)
			return false;
		*ret = uuid_text(r->arena, s);
		return true;
	case TM_CQL_INET:
		if ((s.len != 4 && s.len != 16) || !inet_ntop(s.len == 4 ? AF_INET : AF_INET6, s.at, address, sizeof address))
			return false;
		*ret = tm_arena_str(r->arena, tm_str_of(address));
		return true;
	default:
		*ret = tm_arena_str(r->arena, s);
		return true;
	}
}

static bool fixed(struct tm_cell_reader *r, struct tm_str s, char *at)
{
	uint64_t v = be(s);
	if (s.len != (r->from->kind == TM_CQL_DATE ? 4 : r->width) && r->from->kind != TM_CQL_TIMESTAMP)
		return false;
	switch (r->from->kind) {
	case TM_CQL_TIMESTAMP: {
		int64_t us;
		if (s.len != 8 || __builtin_mul_overflow((int64_t)v, 1000, &us))
			return false;
		memcpy(at, &us, 8);
		return true;
	}
	case TM_CQL_DATE: {
		int32_t days = (int32_t)((int64_t)v - 2147483648LL);
		memcpy(at, &days, 4);
		return true;
	}
	default:
		memcpy(at, &v, r->width); /* little-endian machine: the low bytes */
		return true;
	}
}

static bool item(struct tm_cursor *c, struct tm_cql_value *ret)
{
	uint32_t n = tm_cursor_be32(c);
	*ret = (struct tm_cql_value){.null = true};
	if ((int32_t)n < 0)
		return tm_cursor_ok(c);
	ret->bytes = tm_cursor_take(c, n);
	ret->null = false;
	return tm_cursor_ok(c);
}

static bool nested(struct tm_cell_reader *r, struct tm_str s, char *at)
{
	struct tm_cursor c = tm_cursor_of(s);
	struct tm_cql_value v;
	if (r->to->kind == TM_T_STRUCT) { /* a value written before a field was added is shorter */
		for (size_t i = 0; i < r->to->child_count; i++) {
			if (!tm_cursor_left(&c) || !item(&c, &v))
				v = (struct tm_cql_value){.null = true};
			tm_cell_read(r->children[i], &v);
		}
		return true;
	}
	uint32_t n = tm_cursor_be32(&c), got = 0;
	struct tm_span span = {(uint32_t)r->children[0]->rows, 0};
	for (; got < n && tm_cursor_ok(&c); got++)
		for (size_t k = 0; k < r->to->child_count; k++) {
			if (!item(&c, &v))
				v = (struct tm_cql_value){.null = true};
			tm_cell_read(r->children[k], &v);
		}
	span.count = got;
	memcpy(at, &span, sizeof span);
	return true;
}

void tm_cell_read(struct tm_cell_reader *r, const struct tm_cql_value *value)
{
	if (r->rows == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		r->data = tm_arena_grow(r->arena, r->data, r->cap * r->width, tm_mul_size(cap, r->width ? r->width : 1));
		r->valid = tm_arena_grow(r->arena, r->valid, r->cap, cap);
		r->cap = cap;
	}
	char *at = r->data + r->rows * r->width;
	memset(at, 0, r->width);
	bool good = false, null = value->null || value->unset || !value->bytes.at;
	struct tm_str s = value->bytes;
	if (!null)
		switch (r->to->kind) {
		case TM_T_STRING:
		case TM_T_BINARY: {
			struct tm_str copy;
			good = text(r, s, &copy);
			if (good)
				memcpy(at, &copy, sizeof copy);
			break;
		}
		case TM_T_DECIMAL: {
			__int128 v;
			good = r->from->kind == TM_CQL_VARINT ? big_integer(s, &v) : decimal(s, r->to, &v);
			if (good)
				memcpy(at, &v, sizeof v);
			break;
		}
		case TM_T_ARRAY:
		case TM_T_MAP:
		case TM_T_STRUCT:
			good = nested(r, s, at);
			break;
		default:
			good = fixed(r, s, at);
			break;
		}
	else if (r->to->kind == TM_T_STRUCT)
		for (size_t i = 0; i < r->to->child_count; i++)
			tm_cell_read(r->children[i], &(struct tm_cql_value){.null = true});
	r->valid[r->rows++] = good;
	r->any_null |= !good;
}

void tm_cell_reader_finish(struct tm_cell_reader *r, struct tm_column *ret)
{
	*ret = (struct tm_column){.type = r->to, .rows = r->rows, .valid = r->any_null ? r->valid : NULL, .data = r->data};
	if (r->to->child_count) {
		ret->children = TM_NEW_N(r->arena, struct tm_column, r->to->child_count);
		for (size_t i = 0; i < r->to->child_count; i++)
			tm_cell_reader_finish(r->children[i], &ret->children[i]);
	}
}
