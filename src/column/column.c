/* Column vectors: making, taking rows, joining, copying. */
#include "column/column.h"

void tm_column_init(struct tm_column *ret, struct tm_arena *arena, const struct tm_type *type, size_t rows)
{
	*ret = (struct tm_column){.type = type, .rows = rows};
	size_t width = tm_type_width(type), room = rows ? rows : 1;
	if (width) {
		size_t bytes = tm_mul_size(room, width);
		ret->data = tm_arena_alloc(arena, bytes);
		/* Views must be readable in null rows too; one number is set for the constant of an empty column. */
		if (width >= sizeof(struct tm_span) && (type->kind == TM_T_STRING || type->kind == TM_T_BINARY ||
							type->kind == TM_T_VARIANT || type->kind == TM_T_ARRAY || type->kind == TM_T_MAP))
			memset(ret->data, 0, bytes);
	}
	if (type->child_count) {
		ret->children = TM_NEW_N(arena, struct tm_column, type->child_count);
		for (size_t i = 0; i < type->child_count; i++)
			tm_column_init(&ret->children[i], arena, type->children[i], type->kind == TM_T_STRUCT ? rows : 0);
	}
}

uint8_t *tm_column_need_valid(struct tm_column *c, struct tm_arena *arena)
{
	if (!c->valid) {
		size_t n = c->constant || !c->rows ? 1 : c->rows;
		c->valid = tm_arena_alloc(arena, n);
		memset(c->valid, 1, n);
	}
	return c->valid;
}

static void zero_data(struct tm_column *c)
{
	size_t width = tm_type_width(c->type);
	if (width)
		memset(c->data, 0, width);
}

void tm_column_init_null(struct tm_column *ret, struct tm_arena *arena, const struct tm_type *type, size_t rows)
{
	tm_column_init(ret, arena, type, 1);
	ret->rows = rows;
	ret->constant = true;
	ret->valid = tm_arena_zalloc(arena, 1);
	zero_data(ret);
	if (type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < type->child_count; i++)
			tm_column_init_null(&ret->children[i], arena, type->children[i], rows);
}

void tm_column_flatten(struct tm_column *c, struct tm_arena *arena)
{
	if (c->type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < c->type->child_count; i++)
			tm_column_flatten(&c->children[i], arena);
	if (!c->constant)
		return;
	size_t n = c->rows ? c->rows : 1, width = tm_type_width(c->type);
	if (width) {
		char *data = tm_arena_alloc(arena, tm_mul_size(n, width));
		for (size_t i = 0; i < n; i++)
			memcpy(data + i * width, c->data, width);
		c->data = data;
	}
	if (c->valid) {
		uint8_t *valid = tm_arena_alloc(arena, n);
		memset(valid, c->valid[0], n);
		c->valid = valid;
	}
	c->constant = false;
}

/* Moves n values of `width` bytes by index; UINT32_MAX gives zeros. */
#define TAKE_FIXED(T)                                                                                                                      \
	do {                                                                                                                               \
		const T *from = c->data;                                                                                                   \
		T *to = ret->data;                                                                                                         \
		if (holes)                                                                                                                 \
			for (size_t i = 0; i < n; i++)                                                                                     \
				to[i] = index[i] == UINT32_MAX ? (T){0} : from[index[i]];                                                  \
		else                                                                                                                       \
			for (size_t i = 0; i < n; i++)                                                                                     \
				to[i] = from[index[i]];                                                                                    \
	} while (0)

_Static_assert(sizeof(struct tm_str) == 16 && sizeof(struct tm_interval) == 16, "wide values are 16 bytes");

static void take_data(struct tm_column *ret, const struct tm_column *c, const uint32_t *index, size_t n, bool holes)
{
	switch (tm_type_width(c->type)) {
	case 0:
		break;
	case 1:
		TAKE_FIXED(uint8_t);
		break;
	case 2:
		TAKE_FIXED(uint16_t);
		break;
	case 4:
		TAKE_FIXED(uint32_t);
		break;
	case 8:
		TAKE_FIXED(uint64_t);
		break;
	default:
		TAKE_FIXED(struct tm_str);
	}
}

void tm_column_take(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c, const uint32_t *index, size_t n)
{
	bool holes = false;
	for (size_t i = 0; i < n; i++)
		holes |= index[i] == UINT32_MAX;
	if (c->constant && !holes) {
		*ret = *c;
		ret->rows = n;
		if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
			ret->children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
			for (size_t i = 0; i < c->type->child_count; i++)
				tm_column_take(&ret->children[i], arena, &c->children[i], index, n);
		}
		return;
	}
	struct tm_column flat = *c;
	if (c->constant) {
		if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
			flat.children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
			memcpy(flat.children, c->children, c->type->child_count * sizeof *flat.children);
		}
		tm_column_flatten(&flat, arena);
		c = &flat;
	}
	*ret = (struct tm_column){.type = c->type, .rows = n};
	size_t width = tm_type_width(c->type), room = n ? n : 1;
	if (width) {
		ret->data = tm_arena_alloc(arena, tm_mul_size(room, width));
		take_data(ret, c, index, n, holes);
	}
	if (c->valid || holes) {
		ret->valid = tm_arena_alloc(arena, room);
		for (size_t i = 0; i < n; i++)
			ret->valid[i] = index[i] == UINT32_MAX ? 0 : c->valid ? c->valid[index[i]] : 1;
	}
	if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
		ret->children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
		for (size_t i = 0; i < c->type->child_count; i++)
			tm_column_take(&ret->children[i], arena, &c->children[i], index, n);
	} else {
		ret->children = c->children; /* lists: the spans were moved, the elements stay */
	}
}

void tm_column_slice(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c, size_t from, size_t n)
{
	TM_ASSERT(from <= c->rows && n <= c->rows - from);
	*ret = *c;
	ret->rows = n;
	if (!c->constant) {
		if (c->data)
			ret->data = (char *)c->data + from * tm_type_width(c->type);
		if (c->valid)
			ret->valid = c->valid + from;
	}
	if (c->type->kind == TM_T_STRUCT && c->type->child_count) {
		ret->children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
		for (size_t i = 0; i < c->type->child_count; i++)
			tm_column_slice(&ret->children[i], arena, &c->children[i], from, n);
	}
}

static void concat_lists(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *const *parts, size_t n)
{
	size_t children = ret->type->child_count;
	ret->children = TM_NEW_N(arena, struct tm_column, children);
	const struct tm_column **elements = TM_NEW_N(arena, const struct tm_column *, n);
	for (size_t k = 0; k < children; k++) {
		for (size_t p = 0; p < n; p++)
			elements[p] = &parts[p]->children[k];
		tm_column_concat(&ret->children[k], arena, elements, n);
	}
	uint32_t base = 0;
	size_t row = 0;
	for (size_t p = 0; p < n; p++) {
		for (size_t i = 0; i < parts[p]->rows; i++, row++)
			ret->span[row].from += base;
		base += (uint32_t)parts[p]->children[0].rows;
	}
}

void tm_column_concat(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *const *parts, size_t n)
{
	TM_ASSERT(n >= 1);
	size_t rows = 0;
	bool nulls = false;
	for (size_t p = 0; p < n; p++) {
		rows += parts[p]->rows;
		nulls |= parts[p]->valid != NULL;
	}
	const struct tm_type *type = parts[0]->type;
	*ret = (struct tm_column){.type = type, .rows = rows};
	size_t width = tm_type_width(type), at = 0;
	if (width)
		ret->data = tm_arena_alloc(arena, tm_mul_size(rows ? rows : 1, width));
	if (nulls)
		ret->valid = tm_arena_alloc(arena, rows ? rows : 1);
	for (size_t p = 0; p < n; p++) {
		const struct tm_column *c = parts[p];
		if (!c->constant && c->rows) {
			if (width)
				memcpy((char *)ret->data + at * width, c->data, c->rows * width);
			if (nulls && c->valid)
				memcpy(ret->valid + at, c->valid, c->rows);
			else if (nulls)
				memset(ret->valid + at, 1, c->rows);
		}
		for (size_t i = 0; c->constant && i < c->rows; i++) {
			if (width)
				memcpy((char *)ret->data + (at + i) * width, c->data, width);
			if (nulls)
				ret->valid[at + i] = c->valid ? c->valid[0] : 1;
		}
		at += c->rows;
	}
	if (type->kind == TM_T_ARRAY || type->kind == TM_T_MAP) {
		concat_lists(ret, arena, parts, n);
	} else if (type->kind == TM_T_STRUCT && type->child_count) {
		ret->children = TM_NEW_N(arena, struct tm_column, type->child_count);
		const struct tm_column **fields = TM_NEW_N(arena, const struct tm_column *, n);
		for (size_t k = 0; k < type->child_count; k++) {
			for (size_t p = 0; p < n; p++)
				fields[p] = &parts[p]->children[k];
			tm_column_concat(&ret->children[k], arena, fields, n);
		}
	}
}

void tm_column_copy(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c)
{
	*ret = *c;
	size_t entries = c->constant || !c->rows ? 1 : c->rows, width = tm_type_width(c->type);
	if (c->valid) {
		ret->valid = tm_arena_alloc(arena, entries);
		memcpy(ret->valid, c->valid, entries);
	}
	if (width) {
		ret->data = tm_arena_alloc(arena, tm_mul_size(entries, width));
		memcpy(ret->data, c->data, entries * width);
	}
	if (c->type->kind == TM_T_STRING || c->type->kind == TM_T_BINARY || c->type->kind == TM_T_VARIANT) {
		size_t bytes = 0;
		for (size_t i = 0; i < entries; i++)
			bytes += c->valid && !c->valid[i] ? 0 : c->str[i].len;
		char *at = tm_arena_alloc(arena, bytes ? bytes : 1);
		for (size_t i = 0; i < entries; i++) {
			if (c->valid && !c->valid[i]) {
				ret->str[i] = (struct tm_str){0};
				continue;
			}
			if (c->str[i].len)
				memcpy(at, c->str[i].at, c->str[i].len);
			ret->str[i] = (struct tm_str){at, c->str[i].len};
			at += c->str[i].len;
		}
	}
	if (c->type->child_count && c->children) {
		ret->children = TM_NEW_N(arena, struct tm_column, c->type->child_count);
		for (size_t i = 0; i < c->type->child_count; i++)
			tm_column_copy(&ret->children[i], arena, &c->children[i]);
	}
}

void tm_batch_take(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b, const uint32_t *index, size_t n)
{
	*ret = (struct tm_batch){.rows = n,
				 .column_count = b->column_count,
				 .columns = TM_NEW_N(arena, struct tm_column, b->column_count ? b->column_count : 1)};
	for (size_t i = 0; i < b->column_count; i++)
		tm_column_take(&ret->columns[i], arena, &b->columns[i], index, n);
}

void tm_batch_copy(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b)
{
	*ret = (struct tm_batch){.rows = b->rows,
				 .column_count = b->column_count,
				 .columns = TM_NEW_N(arena, struct tm_column, b->column_count ? b->column_count : 1)};
	for (size_t i = 0; i < b->column_count; i++)
		tm_column_copy(&ret->columns[i], arena, &b->columns[i]);
}
