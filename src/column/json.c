/* JSON text into columns. One pass over the text; each field asked for is written straight into its column at the record's row.
 * Records of a stream mostly look alike: the order of names seen last is tried first, so that a name costs one comparison. */
#include "column/json_scan.h"
#include <math.h>

enum { HINTS = 64 }; /* names of an object that are predicted */

/* A node of the schema; field names resolved. */
struct node {
	const struct tm_type *type;
	size_t child_count;
	struct node *children;
	int corrupt; /* STRUCT at the root: index of the corrupt-record field, or -1 */
	size_t id;   /* of its builder */
};
struct tm_json_decoder {
	struct node root;
	size_t node_count;
	struct tm_json_options options;
};

/* Where a node's values go during one decode. */
struct builder {
	size_t count, cap; /* count: of list elements given out; the root's and its fields' is the row */
	uint8_t *valid;
	char *data;
	struct hint {
		struct tm_str name;
		int field;        /* -1: not asked for */
		uint32_t mask;    /* of pattern's bytes that count; 0: too long for it */
		char pattern[32]; /* "name": */
	} hints[HINTS];           /* STRUCT: names in the order seen last */
	size_t hint_count;
};
struct run {
	const struct tm_json_decoder *decoder;
	struct tm_arena *arena;
	struct builder *builders;
	struct tm_json_scan scan;
	bool misfit; /* some value of this record was not of its type */
};
enum outcome { GOOD, MISFIT, BROKEN }; /* MISFIT: well-formed but not of the type: null, the rest is kept */

static void node_make(struct tm_json_decoder *d, struct tm_arena *arena, struct node *n, const struct tm_type *type)
{
	*n = (struct node){.type = type, .child_count = type->child_count, .corrupt = -1, .id = d->node_count++};
	if (!n->child_count)
		return;
	n->children = TM_NEW_N(arena, struct node, n->child_count);
	for (size_t i = 0; i < n->child_count; i++)
		node_make(d, arena, &n->children[i], type->children[i]);
}

struct tm_json_decoder *tm_json_decoder_new(struct tm_arena *arena, const struct tm_type *schema, const struct tm_json_options *options)
{
	struct tm_json_decoder *d = TM_NEW(arena, struct tm_json_decoder);
	if (options)
		d->options = *options;
	node_make(d, arena, &d->root, schema);
	if (schema->kind == TM_T_STRUCT && d->options.corrupt_field.len)
		for (size_t i = 0; i < schema->child_count; i++)
			if (tm_str_eq(schema->names[i], d->options.corrupt_field) && schema->children[i]->kind == TM_T_STRING)
				d->root.corrupt = (int)i;
	return d;
}

static void room(struct run *r, const struct node *n, size_t rows)
{
	struct builder *b = &r->builders[n->id];
	if (rows <= b->cap)
		return;
	size_t cap = b->cap ? b->cap * 2 : 64, width = tm_type_width(n->type);
	while (cap < rows)
		cap *= 2;
	b->valid = tm_arena_grow(r->arena, b->valid, b->cap, cap);
	memset(b->valid + b->cap, 0, cap - b->cap);
	if (width) {
		b->data = tm_arena_grow(r->arena, b->data, b->cap * width, tm_mul_size(cap, width));
		memset(b->data + b->cap * width, 0, (cap - b->cap) * width);
	}
	b->cap = cap;
	if (n->type->kind == TM_T_STRUCT)
		for (size_t i = 0; i < n->child_count; i++)
			room(r, &n->children[i], cap);
}

/* A row of a struct whose fields hold something, of the same name before or of a try that was given up: all null again. */
static void clear_fields(struct run *r, const struct node *n, size_t row)
{
	for (size_t i = 0; i < n->child_count; i++) {
		r->builders[n->children[i].id].valid[row] = 0;
		if (n->children[i].type->kind == TM_T_STRUCT)
			clear_fields(r, &n->children[i], row);
	}
}

static enum outcome value(struct run *r, const struct node *n, size_t row, int depth);

static bool quoted(const struct run *r)
{
	return *r->scan.at == '"' || (*r->scan.at == '\'' && !r->decoder->options.allow_single_quotes_off);
}

/* A string token, escapes resolved. */
static enum outcome text(struct run *r, struct tm_str *ret)
{
	bool escaped;
	char quote = *r->scan.at++;
	if (!tm_json_string(&r->scan, quote, ret, &escaped))
		return BROKEN;
	if (escaped && !tm_json_unescape(&r->decoder->options, r->arena, *ret, ret))
		return BROKEN;
	return GOOD;
}

static enum outcome field_name(struct run *r, struct tm_str *ret)
{
	tm_json_space(&r->scan);
	if (r->scan.at >= r->scan.end)
		return BROKEN;
	if (quoted(r))
		return text(r, ret);
	if (!r->decoder->options.allow_unquoted_names)
		return BROKEN;
	const char *start = r->scan.at;
	while (r->scan.at < r->scan.end && !strchr(" \t\r\n:,{}[]\"'", *r->scan.at))
		r->scan.at++;
	*ret = (struct tm_str){start, (size_t)(r->scan.at - start)};
	return ret->len ? GOOD : BROKEN;
}

static int field_find(const struct node *n, struct tm_str name)
{
	for (size_t i = 0; i < n->child_count; i++)
		if (tm_str_eq(n->type->names[i], name))
			return (int)i == n->corrupt ? -1 : (int)i;
	return -1;
}

/* The next name of an object and which field it is; the usual case is one memcmp. */
static enum outcome next_field(struct run *r, const struct node *n, size_t ordinal, int *ret_field)
{
	struct builder *b = &r->builders[n->id];
	tm_json_space(&r->scan);
	if (ordinal < b->hint_count) {
		struct tm_str want = b->hints[ordinal].name;
		const char *at = r->scan.at;
		if ((size_t)(r->scan.end - at) > want.len + 2 && *at == '"' && (!want.len || memcmp(at + 1, want.at, want.len) == 0) &&
		    at[1 + want.len] == '"') {
			r->scan.at = at + want.len + 2;
			*ret_field = b->hints[ordinal].field;
			return GOOD;
		}
	}
	struct tm_str name;
	if (field_name(r, &name) != GOOD)
		return BROKEN;
	*ret_field = field_find(n, name);
	if (ordinal < HINTS && ordinal <= b->hint_count && !memchr(name.at, '\\', name.len) && !memchr(name.at, '"', name.len)) {
		struct hint *h = &b->hints[ordinal];
		*h = (struct hint){.name = name, .field = *ret_field};
		if (name.len + 3 <= sizeof h->pattern) {
			h->pattern[0] = '"';
			memcpy(h->pattern + 1, name.at, name.len);
			memcpy(h->pattern + 1 + name.len, "\":", 2);
			h->mask = (uint32_t)((1ull << (name.len + 3)) - 1);
		}
		b->hint_count = ordinal + 1;
	}
	return GOOD;
}

static bool from_text(struct run *r, const struct node *n, struct tm_str s, void *out);

#if defined(__SSE2__)
static inline bool name_is(const char *at, const struct hint *h)
{
	__m128i low =
	    _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_loadu_si128((const __m128i *)(const void *)h->pattern));
	uint32_t same = (uint32_t)_mm_movemask_epi8(low);
	if (h->mask > 0xFFFF) {
		__m128i high = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(at + 16)),
					      _mm_loadu_si128((const __m128i *)(const void *)(h->pattern + 16)));
		same |= (uint32_t)_mm_movemask_epi8(high) << 16;
	}
	return (same & h->mask) == h->mask;
}

/* Which of 16 bytes end a plain string: the quote, an escape, a control character. */
static inline unsigned stops(const char *at)
{
	const __m128i q = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), limit = _mm_set1_epi8(0x1F);
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	return (unsigned)_mm_movemask_epi8(
	    _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, q), _mm_cmpeq_epi8(v, slash)), _mm_cmpeq_epi8(_mm_min_epu8(v, limit), v)));
}

/* The quote that ends the string at `at`, before which 16 bytes are there; NULL where the general way must look, or nothing follows. */
static inline const char *plain_end(const char *at, const char *end)
{
	unsigned stop = 0;
	for (; end - at >= 16; at += 16)
		if ((stop = stops(at)))
			break;
	if (!stop && at < end)
		stop = stops(end - 16) >> (16 - (end - at));
	if (!stop)
		return NULL;
	at += __builtin_ctz(stop);
	return *at == '"' && at + 1 < end ? at : NULL;
}

/* The usual member of the usual record: the predicted name without white space, a plain string or a plain integer. True when it was
 * taken whole; else nothing has happened and the general way is gone. */
static inline bool usual_member(struct run *r, const struct node *n, struct builder *b, size_t ordinal, size_t row)
{
	if (ordinal >= b->hint_count)
		return false;
	const struct hint *h = &b->hints[ordinal];
	const char *at = r->scan.at, *end = r->scan.end;
	if (!h->mask || end - at <= (h->mask > 0xFFFF ? 32 : 16) || !name_is(at, h))
		return false;
	at += h->name.len + 3;
	const struct node *child = h->field < 0 ? NULL : &n->children[h->field];
	struct builder *cb = child ? &r->builders[child->id] : NULL;
	if (*at == '"') {
		if (child && (child->child_count || child->type->kind == TM_T_VARIANT))
			return false;
		const char *start = ++at;
		if (!(at = plain_end(at, end)))
			return false;
		struct tm_str s = {start, (size_t)(at - start)};
		if (child && child->type->kind == TM_T_STRING) {
			((struct tm_str *)(void *)cb->data)[row] = s;
			cb->valid[row] = 1;
		} else if (child) {
			cb->valid[row] = from_text(r, child, s, cb->data + row * tm_type_width(child->type));
			r->misfit |= !cb->valid[row];
		}
		at++;
	} else if (*at >= '1' && *at <= '9') {
		if (child && child->type->kind != TM_T_BIGINT && child->type->kind != TM_T_INT)
			return false;
		uint64_t v = 0;
		const char *start = at;
		while (at < end && *at >= '0' && *at <= '9' && at - start < 18)
			v = v * 10 + (uint64_t)(*at++ - '0');
		if (at >= end || (*at != ',' && *at != '}'))
			return false;
		if (child && child->type->kind == TM_T_INT) {
			if (v > INT32_MAX)
				return false;
			((int32_t *)(void *)cb->data)[row] = (int32_t)v;
		} else if (child) {
			((int64_t *)(void *)cb->data)[row] = (int64_t)v;
		}
		if (child)
			cb->valid[row] = 1;
	} else {
		return false;
	}
	r->scan.at = at;
	return true;
}
#else
static inline bool usual_member(struct run *r, const struct node *n, struct builder *b, size_t ordinal, size_t row)
{
	(void)r, (void)n, (void)b, (void)ordinal, (void)row;
	return false;
}
#endif

static enum outcome object(struct run *r, const struct node *n, size_t row, int depth)
{
	r->scan.at++;
	tm_json_space(&r->scan);
	if (r->scan.at < r->scan.end && *r->scan.at == '}') {
		r->scan.at++;
		return GOOD;
	}
	struct builder *b = &r->builders[n->id];
	for (size_t ordinal = 0;; ordinal++) {
		int field;
		if (usual_member(r, n, b, ordinal, row)) {
			char c = *r->scan.at; /* a member is taken only where something follows it */
			if (c == ',') {
				r->scan.at++;
				continue;
			}
			goto next;
		}
		if (next_field(r, n, ordinal, &field) != GOOD)
			return BROKEN;
		tm_json_space(&r->scan);
		if (r->scan.at >= r->scan.end || *r->scan.at++ != ':')
			return BROKEN;
		if (field < 0) {
			if (!tm_json_skip(&r->scan, depth - 1))
				return BROKEN;
		} else if (value(r, &n->children[field], row, depth - 1) == BROKEN) {
			return BROKEN;
		}
	next:
		tm_json_space(&r->scan);
		if (r->scan.at >= r->scan.end)
			return BROKEN;
		char c = *r->scan.at++;
		if (c == '}')
			return GOOD;
		if (c != ',')
			return BROKEN;
	}
}

static enum outcome list(struct run *r, const struct node *n, size_t row, int depth)
{
	const struct node *element = &n->children[0];
	/* Elements of nested lists go to the same builder: collected first, so that a list's elements lie together. */
	struct builder *eb = &r->builders[element->id];
	uint32_t from = (uint32_t)eb->count, count = 0;
	enum outcome all = GOOD; /* one element that does not fit makes the whole list null */
	r->scan.at++;
	tm_json_space(&r->scan);
	if (r->scan.at < r->scan.end && *r->scan.at == ']') {
		r->scan.at++;
	} else {
		for (;;) {
			size_t at = eb->count++;
			room(r, element, eb->count);
			eb->valid[at] = 0;
			enum outcome got = value(r, element, at, depth - 1);
			if (got == BROKEN)
				return BROKEN;
			all = got == GOOD ? all : got;
			count++;
			tm_json_space(&r->scan);
			if (r->scan.at >= r->scan.end)
				return BROKEN;
			char c = *r->scan.at++;
			if (c == ']')
				break;
			if (c != ',')
				return BROKEN;
		}
	}
	((struct tm_span *)(void *)r->builders[n->id].data)[row] = (struct tm_span){from, count};
	return all;
}

/* A key that came before takes the value just read (entry from + count), which is dropped. Not for structs, whose fields lie apart. */
static bool last_wins(struct run *r, const struct node *n, uint32_t from, uint32_t count)
{
	struct builder *kb = &r->builders[n->children[0].id], *vb = &r->builders[n->children[1].id];
	const struct tm_str *keys = (const struct tm_str *)(void *)kb->data;
	size_t width = tm_type_width(n->children[1].type), at = from + count;
	for (size_t i = from; width && i < at; i++) {
		if (!tm_str_eq(keys[i], keys[at]))
			continue;
		memcpy(vb->data + i * width, vb->data + at * width, width);
		vb->valid[i] = vb->valid[at];
		kb->count--;
		vb->count--;
		return true;
	}
	return false;
}

static enum outcome map(struct run *r, const struct node *n, size_t row, int depth)
{
	const struct node *key = &n->children[0], *val = &n->children[1];
	struct builder *kb = &r->builders[key->id], *vb = &r->builders[val->id];
	uint32_t from = (uint32_t)kb->count, count = 0;
	enum outcome all = GOOD;
	r->scan.at++;
	tm_json_space(&r->scan);
	if (r->scan.at < r->scan.end && *r->scan.at == '}') {
		r->scan.at++;
	} else {
		for (;;) {
			struct tm_str name;
			if (field_name(r, &name) != GOOD)
				return BROKEN;
			tm_json_space(&r->scan);
			if (r->scan.at >= r->scan.end || *r->scan.at++ != ':')
				return BROKEN;
			size_t at = kb->count++;
			vb->count = kb->count;
			room(r, key, kb->count);
			room(r, val, kb->count);
			kb->valid[at] = 1;
			((struct tm_str *)(void *)kb->data)[at] = name;
			vb->valid[at] = 0;
			enum outcome got = value(r, val, at, depth - 1);
			if (got == BROKEN)
				return BROKEN;
			all = got == GOOD ? all : got;
			if (!last_wins(r, n, from, count))
				count++;
			tm_json_space(&r->scan);
			if (r->scan.at >= r->scan.end)
				return BROKEN;
			char c = *r->scan.at++;
			if (c == '}')
				break;
			if (c != ',')
				return BROKEN;
		}
	}
	((struct tm_span *)(void *)r->builders[n->id].data)[row] = (struct tm_span){from, count};
	return all;
}

static bool parse_i64(struct tm_str s, int64_t *ret)
{
	const char *at = s.at, *end = s.at + s.len;
	bool neg = *at == '-';
	at += neg;
	if (end - at > 18)
		return tm_str_to_i64(s, ret);
	int64_t v = 0;
	for (; at < end; at++)
		v = v * 10 + (*at - '0');
	*ret = neg ? -v : v;
	return true;
}

static bool decimal(const struct tm_type *t, struct tm_str s, __int128 *ret);
static bool base64(struct tm_arena *arena, struct tm_str s, struct tm_str *ret);

static bool special_double(struct tm_str s, double *ret)
{
	if (tm_str_is(s, "NaN"))
		*ret = NAN;
	else if (tm_str_is(s, "Infinity") || tm_str_is(s, "+Infinity") || tm_str_is(s, "INF") || tm_str_is(s, "+INF"))
		*ret = INFINITY;
	else if (tm_str_is(s, "-Infinity") || tm_str_is(s, "-INF"))
		*ret = -INFINITY;
	else
		return false;
	return true;
}

/* A value that was written as a string, for a type that is no string. */
static bool from_text(struct run *r, const struct node *n, struct tm_str s, void *out)
{
	const struct tm_json_options *o = &r->decoder->options;
	double d;
	switch (n->type->kind) {
	case TM_T_BINARY:
		return base64(r->arena, s, out);
	case TM_T_FLOAT:
		if (o->allow_nan_off || !special_double(s, &d))
			return false;
		*(float *)out = (float)d;
		return true;
	case TM_T_DOUBLE:
		return !o->allow_nan_off && special_double(s, out);
	case TM_T_DECIMAL:
		return decimal(n->type, s, out);
	case TM_T_DATE:
		return o->parse_date && o->parse_date(o->ctx, s, out);
	case TM_T_TIMESTAMP:
		return o->parse_timestamp && o->parse_timestamp(o->ctx, s, out);
	case TM_T_TIMESTAMP_NTZ:
		return o->parse_timestamp_ntz && o->parse_timestamp_ntz(o->ctx, s, out);
	default:
		return false;
	}
}

static bool from_number(const struct node *n, struct tm_str s, bool integer, void *out)
{
	int64_t v;
	switch (n->type->kind) {
	case TM_T_DOUBLE:
		*(double *)out = tm_json_double(s);
		return true;
	case TM_T_FLOAT:
		*(float *)out = (float)tm_json_double(s);
		return true;
	case TM_T_DECIMAL:
		return decimal(n->type, s, out);
	default:
		break;
	}
	if (!integer || !parse_i64(s, &v))
		return false;
	switch (n->type->kind) {
	case TM_T_TINYINT:
		*(int8_t *)out = (int8_t)v;
		return v == (int8_t)v;
	case TM_T_SMALLINT:
		*(int16_t *)out = (int16_t)v;
		return v == (int16_t)v;
	case TM_T_INT:
		*(int32_t *)out = (int32_t)v;
		return v == (int32_t)v;
	case TM_T_BIGINT:
		*(int64_t *)out = v;
		return true;
	case TM_T_TIMESTAMP:
		return !__builtin_mul_overflow(v, (int64_t)1000000, (int64_t *)out); /* seconds, as Spark reads a number */
	default:
		return false;
	}
}

/* Any value as its raw text: what a STRING (or VARIANT) field gets of what is no string. */
static enum outcome raw(struct run *r, struct tm_str *ret, int depth)
{
	const char *start = r->scan.at;
	if (!tm_json_skip(&r->scan, depth))
		return BROKEN;
	*ret = (struct tm_str){start, (size_t)(r->scan.at - start)};
	const struct tm_json_options *o = &r->decoder->options;
	return !o->normalise || o->normalise(o->ctx, r->arena, *ret, ret) ? GOOD : BROKEN;
}

static enum outcome scalar(struct run *r, const struct node *n, void *out, int depth)
{
	struct tm_str s;
	char c = *r->scan.at;
	if (n->type->kind == TM_T_VARIANT)
		return raw(r, out, depth);
	if (quoted(r)) {
		enum outcome got = text(r, &s);
		if (got != GOOD)
			return got;
		if (n->type->kind == TM_T_STRING) {
			*(struct tm_str *)out = s;
			return GOOD;
		}
		return from_text(r, n, s, out) ? GOOD : MISFIT;
	}
	if (n->type->kind == TM_T_STRING)
		return raw(r, out, depth);
	if ((c >= '0' && c <= '9') || c == '-') {
		bool integer;
		if (tm_json_number(&r->scan, &s, &integer))
			return from_number(n, s, integer, out) ? GOOD : MISFIT;
	}
	if (c == 't' || c == 'f') {
		if (raw(r, &s, depth) != GOOD)
			return BROKEN;
		if (n->type->kind != TM_T_BOOLEAN)
			return MISFIT;
		*(uint8_t *)out = c == 't';
		return GOOD;
	}
	if (tm_json_non_number(&r->scan, &s)) {
		double d;
		if (!special_double(s, &d) || (n->type->kind != TM_T_DOUBLE && n->type->kind != TM_T_FLOAT))
			return MISFIT;
		if (n->type->kind == TM_T_DOUBLE)
			*(double *)out = d;
		else
			*(float *)out = (float)d;
		return GOOD;
	}
	return raw(r, &s, depth) == GOOD ? MISFIT : BROKEN;
}

/* One value at scan.at into row of the node's builder. Leaves valid 0 unless it fits. */
static enum outcome value(struct run *r, const struct node *n, size_t row, int depth)
{
	struct builder *b = &r->builders[n->id];
	tm_json_space(&r->scan);
	if (r->scan.at >= r->scan.end || depth <= 0)
		return BROKEN;
	char c = *r->scan.at;
	enum outcome got;
	if (b->valid[row] && n->type->kind == TM_T_STRUCT)
		clear_fields(r, n, row);
	b->valid[row] = 0;
	if (c == 'n') {
		if (r->scan.end - r->scan.at < 4 || memcmp(r->scan.at, "null", 4) != 0)
			return BROKEN;
		r->scan.at += 4;
		return GOOD;
	}
	switch (n->type->kind) {
	case TM_T_STRUCT:
	case TM_T_MAP:
	case TM_T_ARRAY: {
		struct tm_str skipped;
		if (c != (n->type->kind == TM_T_ARRAY ? '[' : '{'))
			return raw(r, &skipped, depth) == GOOD ? (r->misfit = true, MISFIT) : BROKEN;
		got = n->type->kind == TM_T_STRUCT ? object(r, n, row, depth)
		      : n->type->kind == TM_T_MAP  ? map(r, n, row, depth)
						   : list(r, n, row, depth);
		break;
	}
	default:
		got = scalar(r, n, b->data + row * tm_type_width(n->type), depth);
	}
	if (got == GOOD)
		r->builders[n->id].valid[row] = 1;
	else
		r->misfit = true;
	return got;
}

static void finish(struct run *r, const struct node *n, size_t rows, struct tm_column *ret)
{
	struct builder *b = &r->builders[n->id];
	room(r, n, rows ? rows : 1);
	*ret = (struct tm_column){.type = n->type, .rows = rows, .data = b->data};
	bool nulls = rows && memchr(b->valid, 0, rows);
	if (nulls)
		ret->valid = b->valid;
	if (!n->child_count)
		return;
	if (nulls && n->type->kind != TM_T_STRUCT)
		for (size_t i = 0; i < rows; i++)
			if (!b->valid[i])
				((struct tm_span *)(void *)b->data)[i] = (struct tm_span){0, 0};
	ret->children = TM_NEW_N(r->arena, struct tm_column, n->child_count);
	for (size_t i = 0; i < n->child_count; i++)
		finish(r, &n->children[i], n->type->kind == TM_T_STRUCT ? rows : r->builders[n->children[i].id].count, &ret->children[i]);
}

/* One record; an object where a list of structs is asked for is a list of one. */
static enum outcome record(struct run *r, const struct node *root, size_t row)
{
	if (root->type->kind != TM_T_ARRAY || root->type->children[0]->kind != TM_T_STRUCT || *r->scan.at != '{')
		return value(r, root, row, (int)TM_LIMIT_JSON_NESTING);
	struct builder *eb = &r->builders[root->children[0].id];
	size_t at = eb->count++;
	room(r, &root->children[0], eb->count);
	eb->valid[at] = 0;
	enum outcome got = value(r, &root->children[0], at, (int)TM_LIMIT_JSON_NESTING - 1);
	((struct tm_span *)(void *)r->builders[root->id].data)[row] = (struct tm_span){(uint32_t)at, 1};
	r->builders[root->id].valid[row] = got == GOOD;
	return got;
}

static void keep_corrupt(struct run *r, const struct node *root, size_t row, struct tm_str text)
{
	struct builder *b = &r->builders[root->children[root->corrupt].id];
	((struct tm_str *)(void *)b->data)[row] = text;
	b->valid[row] = 1;
}

tm_rc tm_json_decode(const struct tm_json_decoder *d, struct tm_arena *arena, const struct tm_column *texts, struct tm_column *ret,
		     uint8_t *corrupt, struct tm_err *err)
{
	const struct node *root = &d->root;
	struct run r = {.decoder = d, .arena = arena, .builders = TM_NEW_N(arena, struct builder, d->node_count)};
	r.scan.options = &d->options;
	room(&r, root, texts->rows ? texts->rows : 1);
	struct builder *b = &r.builders[root->id];
	for (size_t row = 0; row < texts->rows; row++) {
		bool broken = false;
		if (corrupt)
			corrupt[row] = 0;
		if (tm_is_null(texts, row))
			continue;
		struct tm_str t = texts->str[tm_row(texts, row)];
		r.scan.at = t.at;
		r.scan.end = t.at + t.len;
		tm_json_space(&r.scan);
		if (r.scan.at >= r.scan.end)
			continue;
		r.misfit = false;
		enum outcome got = record(&r, root, row);
		broken = got != GOOD || !b->valid[row];
		if (!broken && !r.misfit)
			continue;
		if (d->options.fail_fast)
			return tm_fail_class(err, TM_DATA, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "22023",
					     "Malformed records are detected in record parsing: %.*s. Parse Mode: FAILFAST. To process "
					     "malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'.",
					     (int)(t.len < 200 ? t.len : 200), t.at);
		if (!broken) {
			if (root->corrupt >= 0)
				keep_corrupt(&r, root, row, t);
			continue;
		}
		if (corrupt)
			corrupt[row] = 1;
		b->valid[row] = 0;
		if (root->type->kind == TM_T_STRUCT) { /* a row of nulls, not a null */
			clear_fields(&r, root, row);
			b->valid[row] = 1;
			if (root->corrupt >= 0)
				keep_corrupt(&r, root, row, t);
		}
	}
	finish(&r, root, texts->rows, ret);
	return TM_OK;
}

/* ---- texts that stand for other types ---- */

static bool decimal(const struct tm_type *t, struct tm_str s, __int128 *ret)
{
	size_t i = 0;
	bool neg = false;
	if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
		neg = s.at[i++] == '-';
	__int128 v = 0;
	int scale = 0, digits = 0, seen = 0, round = 0;
	bool point = false, rounded = false;
	const int max_digits = 38;
	int exponent = 0;
	size_t e = s.len;
	for (size_t k = i; k < s.len; k++)
		if (s.at[k] == 'e' || s.at[k] == 'E') {
			int64_t x;
			if (!tm_str_to_i64(tm_str_slice(s, k + 1, s.len), &x) || x > 1000 || x < -1000)
				return false;
			exponent = (int)x;
			e = k;
			break;
		}
	int dropped = 0;
	for (; i < e; i++) {
		char c = s.at[i];
		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		seen++;
		if (digits < max_digits) {
			v = v * 10 + (c - '0');
			digits += v != 0;
			scale += point;
		} else {
			if (!rounded) {
				round = c >= '5';
				rounded = true;
			}
			dropped += !point;
		}
	}
	if (!seen)
		return false;
	v += round;
	scale -= exponent + dropped;
	for (; scale < t->scale; scale++)
		if (v == 0 || __builtin_mul_overflow(v, 10, &v))
			return v == 0 ? (*ret = 0, true) : false;
	while (scale > t->scale) {
		int last = 0;
		for (; scale > t->scale; scale--) {
			last = (int)(v % 10);
			v /= 10;
			if (v == 0 && scale > t->scale + 1) {
				last = 0;
				scale = t->scale + 1;
			}
		}
		v += last >= 5; /* HALF_UP */
	}
	__int128 bound = 1;
	for (int k = 0; k < t->precision; k++)
		bound *= 10;
	if (v >= bound)
		return false;
	*ret = neg ? -v : v;
	return true;
}

static bool base64(struct tm_arena *arena, struct tm_str s, struct tm_str *ret)
{
	if (s.len % 4)
		return false;
	unsigned char *out = tm_arena_alloc(arena, s.len + 1);
	size_t n = 0;
	uint32_t bits = 0;
	int have = 0;
	for (size_t i = 0; i < s.len && s.at[i] != '='; i++) {
		char c = s.at[i];
		int v = c >= 'A' && c <= 'Z'   ? c - 'A'
			: c >= 'a' && c <= 'z' ? c - 'a' + 26
			: c >= '0' && c <= '9' ? c - '0' + 52
			: c == '+'             ? 62
			: c == '/'             ? 63
					       : -1;
		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (unsigned char)(bits >> have);
		}
	}
	*ret = (struct tm_str){(char *)out, n};
	return true;
}
