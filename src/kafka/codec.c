/* The codec: one interpreter over the generated field tables for decoding, encoding and JSON. */
#include "kafka/codec.h"
#include <math.h>

enum { SPLICE_LEAST_BYTES = 2048 }; /* below this copying is cheaper than another write segment */

static bool in_range(int version, int low, int high) { return version >= low && version <= high; }
static bool present(const struct tm_kafka_field *f, int version) { return in_range(version, f->min, f->max); }
static bool nullable(const struct tm_kafka_field *f, int version) { return in_range(version, f->null_min, f->null_max); }
static bool ever_null(const struct tm_kafka_field *f) { return f->null_min <= f->null_max; }

const struct tm_kafka_api *tm_kafka_api_find(int16_t key)
{
	size_t low = 0, high = tm_kafka_api_count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (tm_kafka_apis[mid].key == key)
			return &tm_kafka_apis[mid];
		if (tm_kafka_apis[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct tm_kafka_api *tm_kafka_api_named(struct tm_str name)
{
	for (size_t i = 0; i < tm_kafka_api_count; i++)
		if (tm_str_is(name, tm_kafka_apis[i].name))
			return &tm_kafka_apis[i];
	return NULL;
}

/* ---- defaults ---- */

static const uint8_t scalar_sizes[] = {
    [TM_KAFKA_TYPE_BOOL] = 1,
    [TM_KAFKA_TYPE_INT8] = 1,
    [TM_KAFKA_TYPE_INT16] = 2,
    [TM_KAFKA_TYPE_UINT16] = 2,
    [TM_KAFKA_TYPE_INT32] = 4,
    [TM_KAFKA_TYPE_INT64] = 8,
    [TM_KAFKA_TYPE_FLOAT64] = 8,
    [TM_KAFKA_TYPE_UUID] = 16,
    [TM_KAFKA_TYPE_STRING] = sizeof(struct tm_str),
    [TM_KAFKA_TYPE_BYTES] = sizeof(struct tm_str),
    [TM_KAFKA_TYPE_RECORDS] = sizeof(struct tm_str),
};

static size_t item_size(const struct tm_kafka_field *f) { return f->type == TM_KAFKA_TYPE_STRUCT ? f->sub->size : scalar_sizes[f->type]; }

static void defaults_set(const struct tm_kafka_struct *s, char *at)
{
	memset(at, 0, s->size);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		char *m = at + f->offset;
		if (f->array) {
			((struct tm_kafka_array *)m)->count = ever_null(f) ? -1 : 0;
			continue;
		}
		switch (f->type) {
		case TM_KAFKA_TYPE_BOOL:
		case TM_KAFKA_TYPE_INT8:
			*m = (char)f->default_value;
			break;
		case TM_KAFKA_TYPE_INT16:
		case TM_KAFKA_TYPE_UINT16:
			*(int16_t *)m = (int16_t)f->default_value;
			break;
		case TM_KAFKA_TYPE_INT32:
			*(int32_t *)m = (int32_t)f->default_value;
			break;
		case TM_KAFKA_TYPE_INT64:
			*(int64_t *)m = f->default_value;
			break;
		case TM_KAFKA_TYPE_STRUCT:
			if (!f->pointer)
				defaults_set(f->sub, m);
			break;
		default:
			break;
		}
	}
}

void *tm_kafka_new(const struct tm_kafka_struct *s, struct tm_arena *arena, size_t n)
{
	char *items = tm_arena_alloc(arena, tm_mul_size(n ? n : 1, s->size));
	for (size_t i = 0; i < n; i++)
		defaults_set(s, items + i * s->size);
	return items;
}

/* ---- decoding ---- */

struct decoder {
	struct tm_cursor *in;
	struct tm_arena *arena;
	int version;
	bool flexible;
};

static bool struct_decode(struct decoder *d, const struct tm_kafka_struct *s, char *at);

bool tm_kafka_tags_skip(struct tm_cursor *in)
{
	uint64_t n = tm_cursor_varint(in, 32);
	for (uint64_t i = 0; i < n && !in->bad; i++) {
		tm_cursor_varint(in, 32);
		tm_cursor_take(in, tm_cursor_varint(in, 32));
	}
	return !in->bad;
}

/* A length: -1 = null. Fixed width is the old encoding's: 2 for strings, 4 for the rest. */
static int64_t length_decode(struct decoder *d, int fixed_width)
{
	if (d->flexible)
		return (int64_t)tm_cursor_varint(d->in, 32) - 1;
	return fixed_width == 2 ? (int16_t)tm_cursor_be16(d->in) : (int32_t)tm_cursor_be32(d->in);
}

static bool bytes_decode(struct decoder *d, const struct tm_kafka_field *f, struct tm_str *ret)
{
	int64_t n = length_decode(d, f->type == TM_KAFKA_TYPE_STRING ? 2 : 4);
	if (d->in->bad || n < -1 || (n == -1 && !f->array && !nullable(f, d->version)) || (n == -1 && f->array))
		return false;
	*ret = n == -1 ? (struct tm_str){NULL, 0} : tm_cursor_take(d->in, (size_t)n);
	return !d->in->bad;
}

static bool value_decode(struct decoder *d, const struct tm_kafka_field *f, char *m)
{
	switch (f->type) {
	case TM_KAFKA_TYPE_BOOL:
		*(bool *)m = tm_cursor_u8(d->in) != 0;
		break;
	case TM_KAFKA_TYPE_INT8:
		*m = (char)tm_cursor_u8(d->in);
		break;
	case TM_KAFKA_TYPE_INT16:
	case TM_KAFKA_TYPE_UINT16:
		*(uint16_t *)m = tm_cursor_be16(d->in);
		break;
	case TM_KAFKA_TYPE_INT32:
		*(uint32_t *)m = tm_cursor_be32(d->in);
		break;
	case TM_KAFKA_TYPE_INT64:
	case TM_KAFKA_TYPE_FLOAT64:
		*(uint64_t *)m = tm_cursor_be64(d->in);
		break;
	case TM_KAFKA_TYPE_UUID: {
		struct tm_str s = tm_cursor_take(d->in, 16);
		if (s.at)
			memcpy(m, s.at, 16);
		break;
	}
	case TM_KAFKA_TYPE_STRUCT:
		return struct_decode(d, f->sub, m);
	default:
		return bytes_decode(d, f, (struct tm_str *)m);
	}
	return !d->in->bad;
}

static bool array_decode(struct decoder *d, const struct tm_kafka_field *f, struct tm_kafka_array *m)
{
	int64_t n = length_decode(d, 4);
	if (d->in->bad || n < -1 || (n == -1 && !nullable(f, d->version)))
		return false;
	m->count = (int32_t)n;
	if (n <= 0)
		return true;
	/* Every element takes at least one byte of what is left: a count beyond that is a lie, found before memory is taken. */
	if ((uint64_t)n > tm_cursor_left(d->in) || (uint64_t)n > TM_LIMIT_KAFKA_ARRAY_ITEMS)
		return false;
	size_t size = item_size(f);
	char *items = tm_arena_try(d->arena, (size_t)n * size);
	if (!items)
		return false;
	m->items = items;
	for (int64_t i = 0; i < n; i++)
		if (!value_decode(d, f, items + (size_t)i * size))
			return false;
	return true;
}

static bool field_decode(struct decoder *d, const struct tm_kafka_field *f, char *m)
{
	if (f->array)
		return array_decode(d, f, (struct tm_kafka_array *)m);
	if (!f->pointer)
		return value_decode(d, f, m);
	if (nullable(f, d->version)) {
		/* A structure that may be null has a byte in front: -1 null, 1 there. */
		int8_t there = (int8_t)tm_cursor_u8(d->in);
		if (d->in->bad || (there != -1 && there != 1))
			return false;
		if (there == -1)
			return true;
	}
	char *sub = tm_arena_try(d->arena, f->sub->size);
	if (!sub)
		return false;
	*(char **)m = sub;
	return struct_decode(d, f->sub, sub);
}

static const struct tm_kafka_field *tagged_find(const struct tm_kafka_struct *s, uint64_t tag, int version)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->fields[i].tag >= 0 && (uint64_t)s->fields[i].tag == tag && present(&s->fields[i], version))
			return &s->fields[i];
	return NULL;
}

static bool tags_decode(struct decoder *d, const struct tm_kafka_struct *s, char *at)
{
	uint64_t n = tm_cursor_varint(d->in, 32);
	for (uint64_t i = 0; i < n && !d->in->bad; i++) {
		uint64_t tag = tm_cursor_varint(d->in, 32), size = tm_cursor_varint(d->in, 32);
		struct tm_cursor part = tm_cursor_of(tm_cursor_take(d->in, size));
		const struct tm_kafka_field *f = tagged_find(s, tag, d->version);
		if (d->in->bad)
			return false;
		if (!f)
			continue;
		struct decoder sub = *d;
		sub.in = &part;
		if (!field_decode(&sub, f, at + f->offset) || tm_cursor_left(&part) != 0)
			return false;
	}
	return !d->in->bad;
}

static bool struct_decode(struct decoder *d, const struct tm_kafka_struct *s, char *at)
{
	defaults_set(s, at);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		if (f->tag < 0 && present(f, d->version) && !field_decode(d, f, at + f->offset))
			return false;
	}
	return !d->flexible || tags_decode(d, s, at);
}

bool tm_kafka_decode(const struct tm_kafka_struct *s, int version, bool flexible, struct tm_cursor *in, struct tm_arena *arena, void *ret)
{
	struct decoder d = {.in = in, .arena = arena, .version = version, .flexible = flexible};
	return struct_decode(&d, s, ret) && !in->bad;
}

bool tm_kafka_header_decode(struct tm_cursor *in, struct tm_kafka_request_header *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->api_key = (int16_t)tm_cursor_be16(in);
	ret->api_version = (int16_t)tm_cursor_be16(in);
	ret->correlation_id = (int32_t)tm_cursor_be32(in);
	if (in->bad)
		return false;
	int16_t n = (int16_t)tm_cursor_be16(in);
	if (in->bad || n < -1)
		return false;
	if (n >= 0)
		ret->client_id = tm_cursor_take(in, (size_t)n);
	if (in->bad)
		return false;
	const struct tm_kafka_api *api = tm_kafka_api_find(ret->api_key);
	return !api || ret->api_version < api->flexible || tm_kafka_tags_skip(in);
}

/* ---- encoding ---- */

struct encoder {
	struct tm_buf *out;
	struct tm_kafka_splices *splices;
	struct tm_arena *arena;
	int version;
	bool flexible;
};

static void struct_encode(struct encoder *e, const struct tm_kafka_struct *s, const char *at);

static void length_encode(struct encoder *e, int64_t n, int fixed_width)
{
	if (e->flexible)
		tm_buf_varint(e->out, (uint64_t)(n + 1));
	else if (fixed_width == 2)
		tm_buf_be16(e->out, (uint16_t)n);
	else
		tm_buf_be32(e->out, (uint32_t)n);
}

static void bytes_encode(struct encoder *e, const struct tm_kafka_field *f, struct tm_str s)
{
	if (!s.at && (f->array || !nullable(f, e->version)))
		s = TM_STR("");
	if (f->type == TM_KAFKA_TYPE_STRING && s.len > INT16_MAX && !e->flexible)
		s.len = INT16_MAX;
	length_encode(e, s.at ? (int64_t)s.len : -1, f->type == TM_KAFKA_TYPE_STRING ? 2 : 4);
	if (f->type == TM_KAFKA_TYPE_RECORDS && e->splices && s.len >= SPLICE_LEAST_BYTES) {
		TM_PUSH_IN(e->arena, e->splices, (struct tm_kafka_splice){e->out->len, s});
		e->splices->bytes += s.len;
		return;
	}
	tm_buf_str_put(e->out, s);
}

static void value_encode(struct encoder *e, const struct tm_kafka_field *f, const char *m)
{
	switch (f->type) {
	case TM_KAFKA_TYPE_BOOL:
	case TM_KAFKA_TYPE_INT8:
		tm_buf_u8(e->out, (uint8_t)*m);
		break;
	case TM_KAFKA_TYPE_INT16:
	case TM_KAFKA_TYPE_UINT16:
		tm_buf_be16(e->out, *(const uint16_t *)m);
		break;
	case TM_KAFKA_TYPE_INT32:
		tm_buf_be32(e->out, *(const uint32_t *)m);
		break;
	case TM_KAFKA_TYPE_INT64:
	case TM_KAFKA_TYPE_FLOAT64:
		tm_buf_be64(e->out, *(const uint64_t *)m);
		break;
	case TM_KAFKA_TYPE_UUID:
		tm_buf_put(e->out, m, 16);
		break;
	case TM_KAFKA_TYPE_STRUCT:
		struct_encode(e, f->sub, m);
		break;
	default:
		bytes_encode(e, f, *(const struct tm_str *)m);
	}
}

static void field_encode(struct encoder *e, const struct tm_kafka_field *f, const char *m)
{
	if (f->array) {
		const struct tm_kafka_array *a = (const struct tm_kafka_array *)m;
		int32_t n = a->count < 0 && !nullable(f, e->version) ? 0 : a->count;
		length_encode(e, n, 4);
		size_t size = item_size(f);
		for (int32_t i = 0; i < n; i++)
			value_encode(e, f, (const char *)a->items + (size_t)i * size);
		return;
	}
	if (!f->pointer) {
		value_encode(e, f, m);
		return;
	}
	const char *sub = *(char *const *)m;
	if (nullable(f, e->version))
		tm_buf_u8(e->out, sub ? 1 : 0xFF);
	if (sub)
		struct_encode(e, f->sub, sub);
}

static bool is_default(const struct tm_kafka_field *f, const char *m)
{
	static const char zero[16];
	if (f->array)
		return ((const struct tm_kafka_array *)m)->count == (ever_null(f) ? -1 : 0);
	switch (f->type) {
	case TM_KAFKA_TYPE_BOOL:
		return *(const bool *)m == (f->default_value != 0);
	case TM_KAFKA_TYPE_INT8:
		return *(const int8_t *)m == f->default_value;
	case TM_KAFKA_TYPE_INT16:
		return *(const int16_t *)m == f->default_value;
	case TM_KAFKA_TYPE_UINT16:
		return *(const uint16_t *)m == f->default_value;
	case TM_KAFKA_TYPE_INT32:
		return *(const int32_t *)m == f->default_value;
	case TM_KAFKA_TYPE_INT64:
		return *(const int64_t *)m == f->default_value;
	case TM_KAFKA_TYPE_FLOAT64:
		return *(const double *)m == 0;
	case TM_KAFKA_TYPE_UUID:
		return memcmp(m, zero, 16) == 0;
	case TM_KAFKA_TYPE_STRUCT:
		break;
	default:
		return ever_null(f) ? !((const struct tm_str *)m)->at : ((const struct tm_str *)m)->len == 0;
	}
	if (f->pointer)
		return !*(char *const *)m;
	for (uint32_t i = 0; i < f->sub->count; i++)
		if (!is_default(&f->sub->fields[i], m + f->sub->fields[i].offset))
			return false;
	return true;
}

static bool tag_written(const struct tm_kafka_field *f, int version, const char *at)
{
	return f->tag >= 0 && present(f, version) && !is_default(f, at + f->offset);
}

static void tags_encode(struct encoder *e, const struct tm_kafka_struct *s, const char *at)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->count; i++)
		n += tag_written(&s->fields[i], e->version, at);
	tm_buf_varint(e->out, n);
	for (int tag = 0; n; tag++) {
		for (uint32_t i = 0; i < s->count; i++) {
			const struct tm_kafka_field *f = &s->fields[i];
			if (f->tag != tag || !tag_written(f, e->version, at))
				continue;
			/* The size goes in front: a tagged field is small, so it is written apart and copied. */
			struct tm_buf part = {0};
			struct encoder sub = *e;
			sub.out = &part;
			sub.splices = NULL;
			field_encode(&sub, f, at + f->offset);
			tm_buf_varint(e->out, (uint64_t)tag);
			tm_buf_varint(e->out, part.len);
			tm_buf_put(e->out, part.at, part.len);
			tm_buf_done(&part);
			n--;
		}
	}
}

static void struct_encode(struct encoder *e, const struct tm_kafka_struct *s, const char *at)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		if (f->tag < 0 && present(f, e->version))
			field_encode(e, f, at + f->offset);
	}
	if (e->flexible)
		tags_encode(e, s, at);
}

void tm_kafka_encode(const struct tm_kafka_struct *s, int version, bool flexible, const void *message, struct tm_buf *out,
		     struct tm_kafka_splices *splices, struct tm_arena *arena)
{
	struct encoder e = {.out = out, .splices = splices, .arena = arena, .version = version, .flexible = flexible};
	struct_encode(&e, s, message);
}

/* ---- JSON ---- */

static void base64_put(struct tm_buf *out, const void *data, size_t n, const char *last_two, bool pad)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const uint8_t *p = data;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		for (int k = 0; k < 4; k++) {
			uint32_t d = v >> (18 - 6 * k) & 63;
			bool there = i + (size_t)k <= n;
			if (there)
				tm_buf_char(out, d < 62 ? digits[d] : last_two[d - 62]);
			else if (pad)
				tm_buf_char(out, '=');
		}
	}
}

static void struct_json(const struct tm_kafka_struct *s, int version, const char *at, struct tm_buf *out);

static void value_json(const struct tm_kafka_field *f, int version, const char *m, struct tm_buf *out)
{
	switch (f->type) {
	case TM_KAFKA_TYPE_BOOL:
		tm_buf_cstr_put(out, *(const bool *)m ? "true" : "false");
		return;
	case TM_KAFKA_TYPE_INT8:
		tm_buf_printf(out, "%d", *(const int8_t *)m);
		return;
	case TM_KAFKA_TYPE_INT16:
		tm_buf_printf(out, "%d", *(const int16_t *)m);
		return;
	case TM_KAFKA_TYPE_UINT16:
		tm_buf_printf(out, "%d", *(const uint16_t *)m);
		return;
	case TM_KAFKA_TYPE_INT32:
		tm_buf_printf(out, "%d", *(const int32_t *)m);
		return;
	case TM_KAFKA_TYPE_INT64:
		tm_buf_printf(out, "%lld", (long long)*(const int64_t *)m);
		return;
	case TM_KAFKA_TYPE_FLOAT64:
		tm_buf_json_double(out, *(const double *)m);
		return;
	case TM_KAFKA_TYPE_UUID:
		tm_buf_char(out, '"');
		base64_put(out, m, 16, "-_", false);
		tm_buf_char(out, '"');
		return;
	case TM_KAFKA_TYPE_STRUCT:
		struct_json(f->sub, version, m, out);
		return;
	default:
		break;
	}
	const struct tm_str *s = (const struct tm_str *)m;
	if (!s->at)
		tm_buf_cstr_put(out, "null");
	else if (f->type == TM_KAFKA_TYPE_STRING)
		tm_buf_json_str(out, *s);
	else if (f->type == TM_KAFKA_TYPE_RECORDS)
		tm_buf_printf(out, "%zu", s->len); /* under the name recordsSizeInBytes */
	else {
		tm_buf_char(out, '"');
		base64_put(out, s->at, s->len, "+/", true);
		tm_buf_char(out, '"');
	}
}

static void struct_json(const struct tm_kafka_struct *s, int version, const char *at, struct tm_buf *out)
{
	const char *comma = "{";
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		const char *m = at + f->offset;
		if (!present(f, version) || (f->tag >= 0 && is_default(f, m)))
			continue;
		bool sized = f->type == TM_KAFKA_TYPE_RECORDS && ((const struct tm_str *)m)->at;
		tm_buf_printf(out, "%s\"%s\":", comma, sized ? "recordsSizeInBytes" : f->name);
		comma = ",";
		const struct tm_kafka_array *a = (const struct tm_kafka_array *)m;
		if (f->array && a->count < 0) {
			tm_buf_cstr_put(out, "null");
		} else if (f->array) {
			tm_buf_char(out, '[');
			for (int32_t k = 0; k < a->count; k++) {
				if (k)
					tm_buf_char(out, ',');
				value_json(f, version, (const char *)a->items + (size_t)k * item_size(f), out);
			}
			tm_buf_char(out, ']');
		} else if (f->pointer) {
			if (*(char *const *)m)
				struct_json(f->sub, version, *(char *const *)m, out);
			else
				tm_buf_cstr_put(out, "null");
		} else {
			value_json(f, version, m, out);
		}
	}
	tm_buf_cstr_put(out, *comma == '{' ? "{}" : "}");
}

void tm_kafka_json(const struct tm_kafka_struct *s, int version, const void *message, struct tm_buf *out)
{
	struct_json(s, version, message, out);
}
