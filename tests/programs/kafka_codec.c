/* Converts Kafka messages between bytes and JSON for the tests, a line of JSON in, a line out:
 *   {"api": "Fetch", "kind": "request", "version": 12, "hex": "…"}   -> {"json": {…}, "again": "hex when encoded again",
 *                                                                 "rest": bytes left, "records": ["hex", …]}
 *   {"api": …, "kind": …, "version": …, "json": {…}[, "records": ["hex", …]]} -> {"hex": "…"}
 * JSON names only the size of records; their bytes come from `records`, in order. `{"apis": true}` lists the APIs. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "kafka/messages.h"

static struct tm_str base64(struct tm_arena *arena, const char *text)
{
	size_t n = strlen(text), len = 0;
	uint8_t *out = tm_arena_alloc(arena, n + 1);
	uint32_t bits = 0;
	int have = 0;
	for (size_t i = 0; i < n && text[i] != '='; i++) {
		char c = text[i];
		uint32_t v = c >= 'A' && c <= 'Z'   ? (uint32_t)(c - 'A')
			     : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a' + 26)
			     : c >= '0' && c <= '9' ? (uint32_t)(c - '0' + 52)
			     : c == '+' || c == '-' ? 62
						    : 63;
		bits = bits << 6 | v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
		}
	}
	return tm_str_n((char *)out, len);
}

static int nibble(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static struct tm_str unhex(struct tm_arena *arena, const char *hex)
{
	size_t n = strlen(hex) / 2;
	char *out = tm_arena_alloc(arena, n + 1);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	return tm_str_n(out, n);
}

static json_t *hexed(struct tm_str s)
{
	static const char digits[] = "0123456789abcdef";
	char *out = tm_alloc(s.len * 2 + 1);
	for (size_t i = 0; i < s.len; i++) {
		out[2 * i] = digits[(uint8_t)s.at[i] >> 4];
		out[2 * i + 1] = digits[s.at[i] & 15];
	}
	out[s.len * 2] = 0;
	json_t *j = json_string(out);
	free(out);
	return j;
}

struct reader {
	struct tm_arena *arena;
	json_t *records;
	size_t records_at;
};
static void struct_from(struct reader *r, const struct tm_kafka_struct *s, json_t *j, char *at);

static void value_from(struct reader *r, const struct tm_kafka_field *f, json_t *j, char *m)
{
	switch (f->type) {
	case TM_KAFKA_TYPE_BOOL:
		*(bool *)m = json_is_true(j);
		break;
	case TM_KAFKA_TYPE_INT8:
		*(int8_t *)m = (int8_t)json_integer_value(j);
		break;
	case TM_KAFKA_TYPE_INT16:
	case TM_KAFKA_TYPE_UINT16:
		*(int16_t *)m = (int16_t)json_integer_value(j);
		break;
	case TM_KAFKA_TYPE_INT32:
		*(int32_t *)m = (int32_t)json_integer_value(j);
		break;
	case TM_KAFKA_TYPE_INT64:
		*(int64_t *)m = json_integer_value(j);
		break;
	case TM_KAFKA_TYPE_FLOAT64:
		*(double *)m = json_number_value(j);
		break;
	case TM_KAFKA_TYPE_UUID: {
		struct tm_str s = base64(r->arena, json_string_value(j) ? json_string_value(j) : "");
		memcpy(m, s.at, s.len < 16 ? s.len : 16);
		break;
	}
	case TM_KAFKA_TYPE_STRUCT:
		struct_from(r, f->sub, j, m);
		break;
	case TM_KAFKA_TYPE_STRING:
		*(struct tm_str *)m =
		    json_is_string(j) ? tm_arena_str(r->arena, tm_str_n(json_string_value(j), json_string_length(j))) : (struct tm_str){0};
		break;
	default:
		*(struct tm_str *)m = json_is_string(j) ? base64(r->arena, json_string_value(j)) : (struct tm_str){0};
	}
}

static void struct_from(struct reader *r, const struct tm_kafka_struct *s, json_t *j, char *at)
{
	memcpy(at, tm_kafka_new(s, r->arena, 1), s->size);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		char *m = at + f->offset;
		if (f->type == TM_KAFKA_TYPE_RECORDS && json_object_get(j, "recordsSizeInBytes")) {
			const char *hex = json_string_value(json_array_get(r->records, r->records_at++));
			*(struct tm_str *)m = unhex(r->arena, hex ? hex : "");
			continue;
		}
		json_t *v = json_object_get(j, f->name);
		if (!v)
			continue;
		if (f->array) {
			struct tm_kafka_array *a = (struct tm_kafka_array *)m;
			a->count = json_is_array(v) ? (int32_t)json_array_size(v) : -1;
			size_t size = f->type == TM_KAFKA_TYPE_STRUCT ? f->sub->size : sizeof(struct tm_str);
			static const size_t sizes[] = {1, 1, 2, 2, 4, 8, 8, 16};
			if (f->type < TM_KAFKA_TYPE_STRING)
				size = sizes[f->type];
			a->items = tm_arena_zalloc(r->arena, (size_t)(a->count > 0 ? a->count : 1) * size);
			for (int32_t k = 0; k < a->count; k++)
				value_from(r, f, json_array_get(v, (size_t)k), (char *)a->items + (size_t)k * size);
		} else if (f->pointer) {
			*(char **)m = NULL;
			if (json_is_object(v)) {
				*(char **)m = tm_kafka_new(f->sub, r->arena, 1);
				struct_from(r, f->sub, v, *(char **)m);
			}
		} else {
			value_from(r, f, v, m);
		}
	}
}

/* The bytes of every records field, in the order of the JSON. */
static void records_of(const struct tm_kafka_struct *s, const char *at, json_t *list)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct tm_kafka_field *f = &s->fields[i];
		const char *m = at + f->offset;
		if (f->type == TM_KAFKA_TYPE_RECORDS && ((const struct tm_str *)m)->at)
			json_array_append_new(list, hexed(*(const struct tm_str *)m));
		const struct tm_kafka_array *a = (const struct tm_kafka_array *)m;
		for (int32_t k = 0; f->array && f->type == TM_KAFKA_TYPE_STRUCT && k < a->count; k++)
			records_of(f->sub, (const char *)a->items + (size_t)k * f->sub->size, list);
	}
}

static json_t *apis(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tm_kafka_api_count; i++) {
		const struct tm_kafka_api *a = &tm_kafka_apis[i];
		json_array_append_new(list, json_pack("{s:s,s:i,s:i,s:i,s:i}", "api", a->name, "key", a->key, "min", a->min, "max", a->max,
						      "flexible", a->flexible));
	}
	return list;
}

static json_t *convert(json_t *in, struct tm_arena *arena)
{
	if (json_object_get(in, "apis"))
		return apis();
	const char *name = json_string_value(json_object_get(in, "api")), *kind = json_string_value(json_object_get(in, "kind"));
	const struct tm_kafka_api *api = name ? tm_kafka_api_named(tm_str_of(name)) : NULL;
	int version = (int)json_integer_value(json_object_get(in, "version"));
	if (!api || !kind || version < api->min || version > api->max)
		return json_pack("{s:s}", "error", "no such message");
	const struct tm_kafka_struct *s = strcmp(kind, "request") == 0 ? api->request : api->response;
	bool flexible = version >= api->flexible;
	struct tm_buf out = {0};
	void *message = tm_kafka_new(s, arena, 1);
	json_t *result;
	if (json_object_get(in, "hex")) {
		struct tm_cursor c = tm_cursor_of(unhex(arena, json_string_value(json_object_get(in, "hex"))));
		if (!tm_kafka_decode(s, version, flexible, &c, arena, message))
			return json_pack("{s:s}", "error", "not decoded");
		struct tm_buf text = {0};
		tm_kafka_json(s, version, message, &text);
		tm_kafka_encode(s, version, flexible, message, &out, NULL, NULL);
		json_error_t e;
		json_t *j = json_loadb(text.at, text.len, JSON_ALLOW_NUL, &e);
		json_t *records = json_array();
		records_of(s, message, records);
		result = j ? json_pack("{s:o,s:o,s:i,s:o}", "json", j, "again", hexed(tm_buf_str(&out)), "rest", (int)tm_cursor_left(&c),
				       "records", records)
			   : json_pack("{s:s}", "error", e.text);
		tm_buf_done(&text);
	} else {
		struct reader r = {.arena = arena, .records = json_object_get(in, "records")};
		struct_from(&r, s, json_object_get(in, "json"), message);
		tm_kafka_encode(s, version, flexible, message, &out, NULL, NULL);
		result = json_pack("{s:o}", "hex", hexed(tm_buf_str(&out)));
	}
	tm_buf_done(&out);
	return result;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
		json_error_t e;
		json_t *in = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, &e);
		json_t *out = in ? convert(in, &arena) : json_pack("{s:s}", "error", e.text);
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(out);
		json_decref(in);
		tm_arena_reset(&arena);
	}
	free(line);
	tm_arena_done(&arena);
	return 0;
}
