/* Single values: order, equality, hash, and as self-contained bytes. */
#include "column/column.h"
#include <math.h>

#define CMP(a, b) (((a) > (b)) - ((a) < (b)))

static int cmp_double(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !!isnan(a) - !!isnan(b);
	return CMP(a, b); /* -0.0 == 0.0 */
}

static int cmp_spans(const struct tm_column *a, struct tm_span x, const struct tm_column *b, struct tm_span y)
{
	uint32_t n = x.count < y.count ? x.count : y.count;
	for (uint32_t i = 0; i < n; i++)
		for (size_t k = 0; k < a->type->child_count; k++) {
			int c = tm_value_cmp(&a->children[k], x.from + i, &b->children[k], y.from + i);
			if (c)
				return c;
		}
	return CMP(x.count, y.count);
}

int tm_value_cmp(const struct tm_column *a, size_t row_a, const struct tm_column *b, size_t row_b)
{
	bool null_a = tm_is_null(a, row_a), null_b = tm_is_null(b, row_b);
	if (null_a || null_b)
		return (int)null_b - (int)null_a;
	size_t i = tm_row(a, row_a), j = tm_row(b, row_b);
	switch (a->type->kind) {
	case TM_T_BOOLEAN:
		return CMP(a->boolean[i], b->boolean[j]);
	case TM_T_TINYINT:
		return CMP(a->i8[i], b->i8[j]);
	case TM_T_SMALLINT:
		return CMP(a->i16[i], b->i16[j]);
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return CMP(a->i32[i], b->i32[j]);
	case TM_T_BIGINT:
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
	case TM_T_TIME:
	case TM_T_INTERVAL_DT:
		return CMP(a->i64[i], b->i64[j]);
	case TM_T_FLOAT:
		return cmp_double(a->f32[i], b->f32[j]);
	case TM_T_DOUBLE:
		return cmp_double(a->f64[i], b->f64[j]);
	case TM_T_DECIMAL:
		return CMP(a->i128[i], b->i128[j]);
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT: {
		int c = tm_str_cmp(a->str[i], b->str[j]);
		return CMP(c, 0);
	}
	case TM_T_INTERVAL: {
		const struct tm_interval *x = &a->interval[i], *y = &b->interval[j];
		int c = CMP(x->months, y->months);
		c = c ? c : CMP(x->days, y->days);
		return c ? c : CMP(x->micros, y->micros);
	}
	case TM_T_ARRAY:
	case TM_T_MAP:
		return cmp_spans(a, a->span[i], b, b->span[j]);
	case TM_T_STRUCT:
		for (size_t k = 0; k < a->type->child_count; k++) {
			int c = tm_value_cmp(&a->children[k], row_a, &b->children[k], row_b);
			if (c)
				return c;
		}
		return 0;
	default:
		return 0;
	}
}

bool tm_value_eq(const struct tm_column *a, size_t row_a, const struct tm_column *b, size_t row_b)
{
	if (a->type->kind == TM_T_STRING || a->type->kind == TM_T_BINARY) { /* the usual key: no order needed */
		bool null_a = tm_is_null(a, row_a), null_b = tm_is_null(b, row_b);
		return null_a || null_b ? null_a == null_b : tm_str_eq(a->str[tm_row(a, row_a)], b->str[tm_row(b, row_b)]);
	}
	return tm_value_cmp(a, row_a, b, row_b) == 0;
}

static uint64_t mix(uint64_t seed, uint64_t v) { return tm_hash_u64(seed * 0x9E3779B97F4A7C15u + v + 0x165667B19E3779F9u); }

static uint64_t double_bits(double v)
{
	uint64_t bits;
	if (isnan(v))
		v = NAN;
	if (v == 0)
		v = 0; /* no -0.0 */
	memcpy(&bits, &v, sizeof bits);
	return isnan(v) ? 0x7FF8000000000000u : bits;
}

static const uint64_t null_hash = 0x9AE16A3B2F90404Fu;

uint64_t tm_value_hash(const struct tm_column *c, size_t row, uint64_t seed)
{
	if (tm_is_null(c, row))
		return mix(seed, null_hash);
	size_t i = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		return mix(seed, c->boolean[i]);
	case TM_T_TINYINT:
		return mix(seed, (uint64_t)c->i8[i]);
	case TM_T_SMALLINT:
		return mix(seed, (uint64_t)c->i16[i]);
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return mix(seed, (uint64_t)c->i32[i]);
	case TM_T_BIGINT:
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
	case TM_T_TIME:
	case TM_T_INTERVAL_DT:
		return mix(seed, (uint64_t)c->i64[i]);
	case TM_T_FLOAT:
		return mix(seed, double_bits(c->f32[i]));
	case TM_T_DOUBLE:
		return mix(seed, double_bits(c->f64[i]));
	case TM_T_DECIMAL:
		return mix(mix(seed, (uint64_t)c->i128[i]), (uint64_t)(c->i128[i] >> 64));
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT:
		return tm_xxh3(c->str[i].at, c->str[i].len, seed);
	case TM_T_INTERVAL:
		return mix(mix(mix(seed, (uint64_t)c->interval[i].months), (uint64_t)c->interval[i].days), (uint64_t)c->interval[i].micros);
	case TM_T_ARRAY:
	case TM_T_MAP: {
		uint64_t h = mix(seed, c->span[i].count);
		for (uint32_t e = 0; e < c->span[i].count; e++)
			for (size_t k = 0; k < c->type->child_count; k++)
				h = tm_value_hash(&c->children[k], c->span[i].from + e, h);
		return h;
	}
	case TM_T_STRUCT: {
		uint64_t h = seed;
		for (size_t k = 0; k < c->type->child_count; k++)
			h = tm_value_hash(&c->children[k], row, h);
		return h;
	}
	default:
		return mix(seed, null_hash);
	}
}

void tm_rows_hash(const struct tm_column *columns, size_t column_count, size_t rows, uint64_t *out)
{
	memset(out, 0, rows * sizeof *out);
	for (size_t k = 0; k < column_count; k++) {
		const struct tm_column *c = &columns[k];
		bool plain = !c->constant && !c->valid;
		if (plain && tm_type_width(c->type) == 8 && c->type->kind != TM_T_DOUBLE && c->type->kind != TM_T_ARRAY &&
		    c->type->kind != TM_T_MAP) {
			for (size_t i = 0; i < rows; i++)
				out[i] = mix(out[i], (uint64_t)c->i64[i]);
		} else if (plain && tm_type_width(c->type) == 4 && c->type->kind != TM_T_FLOAT) {
			for (size_t i = 0; i < rows; i++)
				out[i] = mix(out[i], (uint64_t)c->i32[i]);
		} else if (plain && (c->type->kind == TM_T_STRING || c->type->kind == TM_T_BINARY)) {
			for (size_t i = 0; i < rows; i++)
				out[i] = tm_xxh3(c->str[i].at, c->str[i].len, out[i]);
		} else {
			for (size_t i = 0; i < rows; i++)
				out[i] = tm_value_hash(c, i, out[i]);
		}
	}
}

/* ---- bytes ----
 * One byte 0 (null) or 1, then: fixed-size values little-endian, strings and lists a varint count first. Doubles are
 * normalised, so that equal keys have equal bytes. */
void tm_value_encode(const struct tm_column *c, size_t row, struct tm_buf *out)
{
	if (tm_is_null(c, row)) {
		tm_buf_u8(out, 0);
		return;
	}
	tm_buf_u8(out, 1);
	size_t i = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_FLOAT: {
		float v = isnan(c->f32[i]) ? NAN : c->f32[i] == 0 ? 0 : c->f32[i];
		tm_buf_put(out, &v, sizeof v);
		return;
	}
	case TM_T_DOUBLE:
		tm_buf_le64(out, double_bits(c->f64[i]));
		return;
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT:
		tm_buf_varint(out, c->str[i].len);
		tm_buf_str_put(out, c->str[i]);
		return;
	case TM_T_ARRAY:
	case TM_T_MAP:
		tm_buf_varint(out, c->span[i].count);
		for (uint32_t e = 0; e < c->span[i].count; e++)
			for (size_t k = 0; k < c->type->child_count; k++)
				tm_value_encode(&c->children[k], c->span[i].from + e, out);
		return;
	case TM_T_STRUCT:
		for (size_t k = 0; k < c->type->child_count; k++)
			tm_value_encode(&c->children[k], row, out);
		return;
	default: {
		size_t width = tm_type_width(c->type);
		tm_buf_put(out, (const char *)c->data + i * width, width);
	}
	}
}

struct tm_appender {
	struct tm_arena *arena;
	const struct tm_type *type;
	size_t rows, cap;
	bool nulls;
	uint8_t *valid;
	char *data;
	struct tm_appender **children;
};

struct tm_appender *tm_appender_new(struct tm_arena *arena, const struct tm_type *type)
{
	struct tm_appender *a = TM_NEW(arena, struct tm_appender);
	a->arena = arena;
	a->type = type;
	if (type->child_count) {
		a->children = TM_NEW_N(arena, struct tm_appender *, type->child_count);
		for (size_t i = 0; i < type->child_count; i++)
			a->children[i] = tm_appender_new(arena, type->children[i]);
	}
	return a;
}

static size_t add_row(struct tm_appender *a, bool valid)
{
	if (a->rows == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 16, width = tm_type_width(a->type);
		a->valid = tm_arena_grow(a->arena, a->valid, a->cap, cap);
		if (width)
			a->data = tm_arena_grow(a->arena, a->data, tm_mul_size(a->cap, width), tm_mul_size(cap, width));
		a->cap = cap;
	}
	a->valid[a->rows] = valid;
	a->nulls |= !valid;
	return a->rows++;
}

void tm_appender_null(struct tm_appender *a)
{
	size_t row = add_row(a, false), width = tm_type_width(a->type);
	if (width)
		memset(a->data + row * width, 0, width);
	if (a->type->kind == TM_T_STRUCT)
		for (size_t k = 0; k < a->type->child_count; k++)
			tm_appender_null(a->children[k]);
}

void tm_appender_value(struct tm_appender *a, const struct tm_column *c, size_t row)
{
	if (tm_is_null(c, row)) {
		tm_appender_null(a);
		return;
	}
	size_t i = tm_row(c, row), width = tm_type_width(a->type), to;
	switch (a->type->kind) {
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT: {
		struct tm_str copy = tm_arena_str(a->arena, c->str[i]);
		to = add_row(a, true);
		((struct tm_str *)(void *)a->data)[to] = copy;
		return;
	}
	case TM_T_ARRAY:
	case TM_T_MAP: {
		struct tm_span span = {(uint32_t)a->children[0]->rows, c->span[i].count};
		for (uint32_t e = 0; e < span.count; e++)
			for (size_t k = 0; k < a->type->child_count; k++)
				tm_appender_value(a->children[k], &c->children[k], c->span[i].from + e);
		to = add_row(a, true);
		((struct tm_span *)(void *)a->data)[to] = span;
		return;
	}
	case TM_T_STRUCT:
		for (size_t k = 0; k < a->type->child_count; k++)
			tm_appender_value(a->children[k], &c->children[k], row);
		add_row(a, true);
		return;
	default:
		to = add_row(a, true);
		if (width)
			memcpy(a->data + to * width, (const char *)c->data + i * width, width);
	}
}

static bool decode(struct tm_appender *a, struct tm_cursor *in, int depth)
{
	uint8_t there = tm_cursor_u8(in);
	if (in->bad || there > 1 || depth > TM_LIMIT_TYPE_NESTING)
		return false;
	if (!there) {
		tm_appender_null(a);
		return true;
	}
	size_t width = tm_type_width(a->type), to;
	switch (a->type->kind) {
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT: {
		struct tm_str s = tm_cursor_take(in, tm_cursor_varint(in, 64));
		if (in->bad)
			return false;
		s = tm_arena_str(a->arena, s);
		to = add_row(a, true);
		((struct tm_str *)(void *)a->data)[to] = s;
		return true;
	}
	case TM_T_ARRAY:
	case TM_T_MAP: {
		uint64_t count = tm_cursor_varint(in, 32);
		struct tm_span span = {(uint32_t)a->children[0]->rows, (uint32_t)count};
		if (in->bad || count > tm_cursor_left(in)) /* an element takes a byte at least */
			return false;
		for (uint32_t e = 0; e < span.count; e++)
			for (size_t k = 0; k < a->type->child_count; k++)
				if (!decode(a->children[k], in, depth + 1))
					return false;
		to = add_row(a, true);
		((struct tm_span *)(void *)a->data)[to] = span;
		return true;
	}
	case TM_T_STRUCT:
		for (size_t k = 0; k < a->type->child_count; k++)
			if (!decode(a->children[k], in, depth + 1))
				return false;
		add_row(a, true);
		return true;
	default: {
		struct tm_str s = tm_cursor_take(in, width);
		if (in->bad)
			return false;
		to = add_row(a, true);
		if (width)
			memcpy(a->data + to * width, s.at, width);
		return true;
	}
	}
}

/* Takes rows that a failed decode left in the children back. */
static void cut(struct tm_appender *a, size_t rows)
{
	a->rows = rows;
	if (a->type->kind == TM_T_STRUCT)
		for (size_t k = 0; k < a->type->child_count; k++)
			cut(a->children[k], rows);
}

bool tm_appender_decode(struct tm_appender *a, struct tm_cursor *bytes)
{
	size_t rows = a->rows;
	if (decode(a, bytes, 0))
		return true;
	cut(a, rows);
	return false;
}

size_t tm_appender_rows(const struct tm_appender *a) { return a->rows; }

void tm_appender_finish(struct tm_appender *a, struct tm_column *ret)
{
	*ret = (struct tm_column){.type = a->type, .rows = a->rows, .data = a->data, .valid = a->nulls ? a->valid : NULL};
	if (!a->data && tm_type_width(a->type))
		ret->data = tm_arena_zalloc(a->arena, tm_type_width(a->type));
	if (a->type->child_count) {
		ret->children = TM_NEW_N(a->arena, struct tm_column, a->type->child_count);
		for (size_t k = 0; k < a->type->child_count; k++)
			tm_appender_finish(a->children[k], &ret->children[k]);
	}
}
