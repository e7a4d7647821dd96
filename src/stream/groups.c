/* Hash table of groups; see groups.h. Invariants: every live group is in exactly one slot; slots are at most 70 % full; a probe
 * ends at a free slot (removal shifts the following entries back, there are no tombstones). */
#include "stream/groups.h"
#include <math.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 16, CHUNK_BYTES = 32768, FIXED_MAX = 96, LEAVES_MAX = 60 };

/* A fixed-width leaf of the key columns: where its values are and where they go. */
struct leaf {
	const struct tm_column *column; /* values; NULL while only the layout is walked */
	const struct tm_type *type;
	size_t at, width;
	int null_bit;
};

static bool fixed_kind(const struct tm_type *t)
{
	switch (t->kind) {
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT:
	case TM_T_ARRAY:
	case TM_T_MAP:
	case TM_T_INTERVAL:
		return false;
	case TM_T_STRUCT:
		for (size_t i = 0; i < t->child_count; i++)
			if (!fixed_kind(t->children[i]))
				return false;
		return true;
	default:
		return true;
	}
}

static bool any_nullable(const struct tm_type *t)
{
	if (t->kind == TM_T_NULL)
		return true;
	if (t->kind == TM_T_STRUCT)
		for (size_t i = 0; i < t->child_count; i++)
			if (!t->nullable || t->nullable[i] || any_nullable(t->children[i]))
				return true;
	return false;
}

/* Walks type (and column, when given) into leaves; a struct is a leaf of width 0 for its null bit. */
static void walk(const struct tm_type *type, const struct tm_column *column, struct leaf *leaves, size_t *count, size_t *at)
{
	struct leaf *l = &leaves[*count];
	size_t width = type->kind == TM_T_STRUCT || type->kind == TM_T_NULL ? 0 : tm_type_width(type);
	size_t align = width > 8 ? 8 : width ? width : 1;
	*at = (*at + align - 1) & ~(align - 1);
	*l = (struct leaf){.column = column, .type = type, .at = *at, .width = width, .null_bit = (int)*count};
	*at += width;
	++*count;
	if (type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < type->child_count; i++)
			walk(type->children[i], column ? &column->children[i] : NULL, leaves, count, at);
}

static size_t leaf_count(const struct tm_type *t)
{
	size_t n = 1;
	if (t->kind == TM_T_STRUCT)
		for (size_t i = 0; i < t->child_count; i++)
			n += leaf_count(t->children[i]);
	return n;
}

void tm_groups_init(struct tm_groups *g, const struct tm_type *const *types, const bool *nullable, size_t key_count, size_t payload_bytes,
		    size_t payload_align)
{
	*g = (struct tm_groups){.key_count = key_count};
	g->types = tm_alloc(tm_mul_size(key_count + 1, sizeof *g->types));
	memcpy(g->types, types, key_count * sizeof *types);
	bool fixed = true;
	size_t leaves = 0;
	for (size_t i = 0; i < key_count; i++) {
		fixed = fixed && fixed_kind(types[i]);
		leaves += leaf_count(types[i]);
		g->null_word = g->null_word || !nullable || nullable[i] || any_nullable(types[i]);
	}
	if (fixed && leaves <= LEAVES_MAX) {
		struct leaf list[LEAVES_MAX];
		size_t count = 0, at = g->null_word ? 8 : 0;
		for (size_t i = 0; i < key_count; i++)
			walk(types[i], NULL, list, &count, &at);
		g->key_bytes = (at + 7) & ~(size_t)7;
		g->mode = g->key_bytes <= FIXED_MAX ? TM_GROUPS_FIXED : TM_GROUPS_BLOB;
	} else if (key_count == 1 && (types[0]->kind == TM_T_STRING || types[0]->kind == TM_T_BINARY)) {
		g->mode = TM_GROUPS_STRING;
	} else {
		g->mode = TM_GROUPS_BLOB;
	}
	if (g->mode != TM_GROUPS_FIXED)
		g->key_bytes = sizeof(struct tm_str);
	size_t align = payload_align > 8 ? 16 : 8;
	g->payload_at = (sizeof(struct tm_group) + g->key_bytes + align - 1) & ~(align - 1);
	g->group_bytes = (g->payload_at + payload_bytes + align - 1) & ~(align - 1);
	while (((size_t)2 << g->chunk_shift) * g->group_bytes <= CHUNK_BYTES)
		g->chunk_shift++;
	g->slot_mask = FIRST_SLOTS - 1;
	g->slots = tm_zalloc(FIRST_SLOTS * sizeof *g->slots);
}

static struct tm_str *stored_str(const struct tm_groups *g, uint32_t number)
{
	return (struct tm_str *)((char *)tm_groups_at(g, number) + sizeof(struct tm_group));
}

static void free_keys(struct tm_groups *g)
{
	if (g->mode == TM_GROUPS_FIXED)
		return;
	for (uint32_t i = 0; i < g->used; i++)
		if (tm_groups_live(g, i))
			free((void *)stored_str(g, i)->at);
}

void tm_groups_done(struct tm_groups *g)
{
	if (!g->slots)
		return;
	free_keys(g);
	for (size_t i = 0; i < g->chunk_count; i++)
		free(g->chunks[i]);
	free(g->chunks);
	free(g->slots);
	free(g->types);
	tm_buf_done(&g->scratch);
	*g = (struct tm_groups){0};
}

void tm_groups_clear(struct tm_groups *g)
{
	free_keys(g);
	memset(g->slots, 0, (g->slot_mask + 1) * sizeof *g->slots);
	g->count = 0;
	g->used = 0;
	g->free_head = 0;
}

static void grow(struct tm_groups *g)
{
	size_t slots = (g->slot_mask + 1) * 2, mask = slots - 1;
	struct tm_groups_slot *fresh = tm_zalloc(tm_mul_size(slots, sizeof *fresh));
	for (size_t i = 0; i <= g->slot_mask; i++) {
		if (!g->slots[i].number)
			continue;
		size_t at = g->slots[i].hash & mask;
		while (fresh[at].number)
			at = (at + 1) & mask;
		fresh[at] = g->slots[i];
	}
	free(g->slots);
	g->slots = fresh;
	g->slot_mask = mask;
}

static uint32_t new_group(struct tm_groups *g)
{
	uint32_t number;
	if (g->free_head) {
		number = g->free_head - 1;
		g->free_head = tm_groups_at(g, number)->next;
	} else {
		number = g->used++;
		TM_ASSERT(number < UINT32_MAX - 2);
		if (number >> g->chunk_shift >= g->chunk_count) {
			if (g->chunk_count == g->chunk_cap) {
				g->chunk_cap = g->chunk_cap ? g->chunk_cap * 2 : 8;
				g->chunks = tm_realloc(g->chunks, tm_mul_size(g->chunk_cap, sizeof *g->chunks));
			}
			g->chunks[g->chunk_count++] = tm_alloc(g->group_bytes << g->chunk_shift);
		}
	}
	struct tm_group *group = tm_groups_at(g, number);
	memset(group, 0, sizeof *group);
	memset((char *)group + g->payload_at, 0, g->group_bytes - g->payload_at);
	g->count++;
	return number;
}

/* ---- packing ---- */

static void pack_leaf(const struct leaf *l, size_t rows, size_t stride, bool null_word, char *out)
{
	const struct tm_column *c = l->column;
	bool all_null = c->type->kind == TM_T_NULL;
	char *at = out + l->at;
#define PACK(T, field)                                                                                                                     \
	for (size_t i = 0; i < rows; i++) {                                                                                                \
		T v = c->field[c->constant ? 0 : i];                                                                                       \
		memcpy(at + i * stride, &v, sizeof v);                                                                                     \
	}
	switch (all_null ? TM_T_NULL : l->type->kind) {
	case TM_T_NULL:
	case TM_T_STRUCT:
		break;
	case TM_T_FLOAT:
		for (size_t i = 0; i < rows; i++) {
			float v = c->f32[tm_row(c, i)];
			v = isnan(v) ? (float)NAN : v == 0 ? 0.0f : v;
			memcpy(at + i * stride, &v, sizeof v);
		}
		break;
	case TM_T_DOUBLE:
		for (size_t i = 0; i < rows; i++) {
			double v = c->f64[tm_row(c, i)];
			v = isnan(v) ? (double)NAN : v == 0 ? 0.0 : v;
			memcpy(at + i * stride, &v, sizeof v);
		}
		break;
	default:
		switch (l->width) {
		case 1:
			PACK(uint8_t, boolean) break;
		case 2:
			PACK(int16_t, i16) break;
		case 4:
			PACK(int32_t, i32) break;
		case 8:
			PACK(int64_t, i64) break;
		default:
			PACK(__int128, i128) break;
		}
	}
#undef PACK
	if (!null_word || (!all_null && !c->valid))
		return;
	uint64_t bit = (uint64_t)1 << l->null_bit;
	for (size_t i = 0; i < rows; i++) {
		if (!all_null && c->valid[tm_row(c, i)])
			continue;
		uint64_t word;
		memcpy(&word, out + i * stride, 8);
		word |= bit;
		memcpy(out + i * stride, &word, 8);
		memset(at + i * stride, 0, l->width);
	}
}

/* A null struct hides its fields: they are made null and zero too, so that equal keys are equal bytes. */
static void hide_under_null(const struct leaf *leaves, size_t count, size_t rows, size_t stride, char *out)
{
	for (size_t s = 0; s < count; s++) {
		if (leaves[s].type->kind != TM_T_STRUCT || !leaves[s].column->valid)
			continue;
		size_t last = s + leaf_count(leaves[s].type);
		for (size_t i = 0; i < rows; i++) {
			uint64_t word;
			memcpy(&word, out + i * stride, 8);
			if (!(word >> leaves[s].null_bit & 1))
				continue;
			for (size_t k = s + 1; k < last; k++) {
				word |= (uint64_t)1 << leaves[k].null_bit;
				memset(out + i * stride + leaves[k].at, 0, leaves[k].width);
			}
			memcpy(out + i * stride, &word, 8);
		}
	}
}

static char *pack(const struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows)
{
	size_t stride = g->key_bytes ? g->key_bytes : 8;
	char *out = tm_arena_alloc(arena, tm_mul_size(rows + 1, stride));
	struct leaf leaves[LEAVES_MAX];
	size_t count = 0, at = g->null_word ? 8 : 0;
	for (size_t i = 0; i < g->key_count; i++)
		walk(g->types[i], &keys[i], leaves, &count, &at);
	if (!(count == 1 && leaves[0].width == 8 && !g->null_word))
		memset(out, 0, rows * stride);
	for (size_t i = 0; i < count; i++)
		pack_leaf(&leaves[i], rows, stride, g->null_word, out);
	if (g->null_word)
		hide_under_null(leaves, count, rows, stride, out);
	return out;
}

static uint32_t hash_fixed(const char *key, size_t bytes)
{
	uint64_t h = 0, w;
	for (size_t i = 0; i < bytes; i += 8) {
		memcpy(&w, key + i, 8);
		h = tm_hash_u64(h ^ w) + 0x9E3779B97F4A7C15u;
	}
	return (uint32_t)(h >> 16);
}

/* Encoded keys must be equal where the values are: numbers are put into one form before. */
static void normalise(struct tm_column *c, struct tm_arena *arena)
{
	size_t n = c->constant ? 1 : c->rows;
	if (c->type->kind == TM_T_FLOAT) {
		float *v = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *v));
		for (size_t i = 0; i < n; i++)
			v[i] = isnan(c->f32[i]) ? (float)NAN : c->f32[i] == 0 ? 0.0f : c->f32[i];
		c->f32 = v;
	} else if (c->type->kind == TM_T_DOUBLE) {
		double *v = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *v));
		for (size_t i = 0; i < n; i++)
			v[i] = isnan(c->f64[i]) ? (double)NAN : c->f64[i] == 0 ? 0.0 : c->f64[i];
		c->f64 = v;
	} else if (c->type->child_count && c->children) {
		struct tm_column *children = tm_arena_alloc(arena, tm_mul_size(c->type->child_count, sizeof *children));
		memcpy(children, c->children, c->type->child_count * sizeof *children);
		for (size_t i = 0; i < c->type->child_count; i++)
			normalise(&children[i], arena);
		c->children = children;
	}
}

/* ---- lookup ---- */

struct probe {
	const char *fixed;
	struct tm_str str;
	uint32_t hash;
};

static bool same_key(const struct tm_groups *g, uint32_t number, const struct probe *p)
{
	const char *stored = (const char *)tm_groups_at(g, number) + sizeof(struct tm_group);
	if (g->mode == TM_GROUPS_FIXED) {
		for (size_t i = 0; i < g->key_bytes; i += 8) {
			uint64_t a, b;
			memcpy(&a, stored + i, 8);
			memcpy(&b, p->fixed + i, 8);
			if (a != b)
				return false;
		}
		return true;
	}
	struct tm_str s;
	memcpy(&s, stored, sizeof s);
	return s.len == p->str.len && !s.at == !p->str.at && (!s.len || memcmp(s.at, p->str.at, s.len) == 0);
}

static uint32_t lookup(struct tm_groups *g, const struct probe *p, bool insert, bool *ret_fresh)
{
	size_t at = p->hash & g->slot_mask;
	for (; g->slots[at].number; at = (at + 1) & g->slot_mask)
		if (g->slots[at].hash == p->hash && same_key(g, g->slots[at].number - 1, p))
			return g->slots[at].number - 1;
	if (!insert)
		return UINT32_MAX;
	uint32_t number = new_group(g);
	char *stored = (char *)tm_groups_at(g, number) + sizeof(struct tm_group);
	if (g->mode == TM_GROUPS_FIXED) {
		memcpy(stored, p->fixed, g->key_bytes);
	} else {
		struct tm_str s = {NULL, 0};
		if (p->str.at) {
			char *copy = tm_alloc(p->str.len + 1);
			memcpy(copy, p->str.at, p->str.len);
			s = (struct tm_str){copy, p->str.len};
		}
		memcpy(stored, &s, sizeof s);
	}
	g->slots[at] = (struct tm_groups_slot){number + 1, p->hash};
	*ret_fresh = true;
	if (g->count * 10 > (g->slot_mask + 1) * 7)
		grow(g);
	return number;
}

static void lookup_fixed(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, bool insert, uint32_t *ret,
			 uint8_t *fresh)
{
	char *packed = pack(g, arena, keys, rows);
	size_t stride = g->key_bytes ? g->key_bytes : 8;
	uint32_t *hashes = tm_arena_alloc(arena, tm_mul_size(rows + 1, sizeof *hashes));
	for (size_t i = 0; i < rows; i++)
		hashes[i] = hash_fixed(packed + i * stride, g->key_bytes);
	enum { AHEAD = 8 };
	for (size_t i = 0; i < rows; i++) {
		if (i + AHEAD < rows)
			__builtin_prefetch(&g->slots[hashes[i + AHEAD] & g->slot_mask]);
		struct probe p = {.fixed = packed + i * stride, .hash = hashes[i]};
		bool made = false;
		ret[i] = lookup(g, &p, insert, &made);
		if (fresh)
			fresh[i] = made;
	}
}

static void lookup_all(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, bool insert, uint32_t *ret,
		       uint8_t *fresh)
{
	if (g->mode == TM_GROUPS_FIXED) {
		lookup_fixed(g, arena, keys, rows, insert, ret, fresh);
		return;
	}
	struct tm_column *normal = NULL;
	if (g->mode == TM_GROUPS_BLOB) {
		normal = tm_arena_alloc(arena, tm_mul_size(g->key_count + 1, sizeof *normal));
		for (size_t k = 0; k < g->key_count; k++) {
			normal[k] = keys[k];
			normalise(&normal[k], arena);
		}
	}
	for (size_t i = 0; i < rows; i++) {
		struct probe p = {0};
		if (g->mode == TM_GROUPS_STRING) {
			if (!tm_is_null(&keys[0], i)) {
				p.str = keys[0].str[tm_row(&keys[0], i)];
				if (!p.str.at)
					p.str.at = "";
			}
		} else {
			g->scratch.len = 0;
			for (size_t k = 0; k < g->key_count; k++)
				tm_value_encode(&normal[k], i, &g->scratch);
			p.str = tm_buf_str(&g->scratch);
			if (!p.str.at)
				p.str.at = "";
		}
		p.hash = (uint32_t)tm_xxh3(p.str.at ? p.str.at : "", p.str.len, p.str.at ? 0 : 1);
		bool made = false;
		ret[i] = lookup(g, &p, insert, &made);
		if (fresh)
			fresh[i] = made;
	}
}

void tm_groups_upsert(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, uint32_t *ret, uint8_t *fresh)
{
	lookup_all(g, arena, keys, rows, true, ret, fresh);
}

void tm_groups_find(struct tm_groups *g, struct tm_arena *arena, const struct tm_column *keys, size_t rows, uint32_t *ret)
{
	lookup_all(g, arena, keys, rows, false, ret, NULL);
}

static uint32_t stored_hash(const struct tm_groups *g, uint32_t number)
{
	if (g->mode == TM_GROUPS_FIXED)
		return hash_fixed((const char *)tm_groups_at(g, number) + sizeof(struct tm_group), g->key_bytes);
	struct tm_str s = *stored_str(g, number);
	return (uint32_t)tm_xxh3(s.at ? s.at : "", s.len, s.at ? 0 : 1);
}

void tm_groups_remove(struct tm_groups *g, uint32_t number)
{
	size_t at = stored_hash(g, number) & g->slot_mask;
	while (g->slots[at].number != number + 1)
		at = (at + 1) & g->slot_mask;
	/* Shift back what follows, as far as it belongs at or before the hole. */
	for (size_t i = (at + 1) & g->slot_mask; g->slots[i].number; i = (i + 1) & g->slot_mask) {
		size_t home = g->slots[i].hash & g->slot_mask;
		if (((i - home) & g->slot_mask) >= ((i - at) & g->slot_mask)) {
			g->slots[at] = g->slots[i];
			at = i;
		}
	}
	g->slots[at].number = 0;
	if (g->mode != TM_GROUPS_FIXED)
		free((void *)stored_str(g, number)->at);
	struct tm_group *group = tm_groups_at(g, number);
	group->flags = TM_GROUP_FREE;
	group->next = g->free_head;
	g->free_head = number + 1;
	g->count--;
}

/* ---- keys back into columns ---- */

static void unpack(const struct tm_groups *g, struct tm_arena *arena, const struct tm_type *type, const uint32_t *numbers, size_t n,
		   size_t *leaf, size_t *at, struct tm_column *ret)
{
	size_t width = type->kind == TM_T_STRUCT || type->kind == TM_T_NULL ? 0 : tm_type_width(type);
	size_t align = width > 8 ? 8 : width ? width : 1;
	*at = (*at + align - 1) & ~(align - 1);
	size_t here = sizeof(struct tm_group) + *at, bit = *leaf;
	*at += width;
	++*leaf;
	tm_column_init(ret, arena, type, n);
	for (size_t i = 0; i < n && width; i++)
		memcpy((char *)ret->data + i * width, (const char *)tm_groups_at(g, numbers[i]) + here, width);
	if (g->null_word) {
		uint8_t *valid = NULL;
		for (size_t i = 0; i < n; i++) {
			uint64_t word;
			memcpy(&word, (const char *)tm_groups_at(g, numbers[i]) + sizeof(struct tm_group), 8);
			if (word >> bit & 1) {
				if (!valid)
					valid = tm_column_need_valid(ret, arena);
				valid[i] = 0;
			}
		}
	}
	if (type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < type->child_count; i++)
			unpack(g, arena, type->children[i], numbers, n, leaf, at, &ret->children[i]);
}

static void unpack_strings(const struct tm_groups *g, struct tm_arena *arena, const uint32_t *numbers, size_t n, struct tm_column *ret)
{
	tm_column_init(ret, arena, g->types[0], n);
	uint8_t *valid = NULL;
	for (size_t i = 0; i < n; i++) {
		ret->str[i] = *stored_str(g, numbers[i]);
		if (!ret->str[i].at) {
			if (!valid)
				valid = tm_column_need_valid(ret, arena);
			valid[i] = 0;
		}
	}
}

void tm_groups_keys(const struct tm_groups *g, struct tm_arena *arena, const uint32_t *numbers, size_t n, struct tm_column *ret)
{
	if (g->mode == TM_GROUPS_FIXED) {
		size_t leaf = 0, at = g->null_word ? 8 : 0;
		for (size_t k = 0; k < g->key_count; k++)
			unpack(g, arena, g->types[k], numbers, n, &leaf, &at, &ret[k]);
		return;
	}
	if (g->mode == TM_GROUPS_STRING) {
		unpack_strings(g, arena, numbers, n, &ret[0]);
		return;
	}
	struct tm_appender **to = tm_arena_alloc(arena, tm_mul_size(g->key_count + 1, sizeof *to));
	for (size_t k = 0; k < g->key_count; k++)
		to[k] = tm_appender_new(arena, g->types[k]);
	for (size_t i = 0; i < n; i++) {
		struct tm_cursor c = tm_cursor_of(*stored_str(g, numbers[i]));
		for (size_t k = 0; k < g->key_count; k++)
			TM_ASSERT(tm_appender_decode(to[k], &c));
	}
	for (size_t k = 0; k < g->key_count; k++)
		tm_appender_finish(to[k], &ret[k]);
}

void tm_groups_key_bytes(const struct tm_groups *g, uint32_t number, struct tm_buf *out)
{
	if (g->mode == TM_GROUPS_FIXED) {
		tm_buf_put(out, (const char *)tm_groups_at(g, number) + sizeof(struct tm_group), g->key_bytes);
		return;
	}
	struct tm_str s = *stored_str(g, number);
	tm_buf_u8(out, s.at != NULL);
	tm_buf_str_put(out, s);
}

bool tm_groups_insert_bytes(struct tm_groups *g, struct tm_str bytes, uint32_t *ret_number, bool *ret_fresh)
{
	struct probe p = {0};
	char aligned[FIXED_MAX + 8] = {0};
	if (g->mode == TM_GROUPS_FIXED) {
		if (bytes.len != g->key_bytes)
			return false;
		memcpy(aligned, bytes.at, bytes.len);
		p.fixed = aligned;
		p.hash = hash_fixed(aligned, g->key_bytes);
	} else {
		if (bytes.len < 1)
			return false;
		struct tm_str s = tm_str_slice(bytes, 1, bytes.len);
		if (bytes.at[0])
			p.str = (struct tm_str){s.len ? s.at : "", s.len};
		else if (s.len || g->mode == TM_GROUPS_BLOB)
			return false;
		if (g->mode == TM_GROUPS_BLOB) { /* only what decodes may come in: tm_groups_keys relies on it */
			struct tm_arena check;
			tm_arena_init(&check);
			struct tm_cursor c = tm_cursor_of(s);
			bool good = true;
			for (size_t k = 0; k < g->key_count && good; k++)
				good = tm_appender_decode(tm_appender_new(&check, g->types[k]), &c);
			good = good && tm_cursor_left(&c) == 0;
			tm_arena_done(&check);
			if (!good)
				return false;
		}
		p.hash = (uint32_t)tm_xxh3(p.str.at ? p.str.at : "", p.str.len, p.str.at ? 0 : 1);
	}
	*ret_fresh = false;
	*ret_number = lookup(g, &p, true, ret_fresh);
	return true;
}

size_t tm_groups_memory(const struct tm_groups *g)
{
	return g->chunk_count * (g->group_bytes << g->chunk_shift) + (g->slot_mask + 1) * sizeof *g->slots +
	       g->chunk_cap * sizeof *g->chunks;
}
