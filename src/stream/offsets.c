/* See offsets.h. The parser takes just these shapes of JSON. */
#include "stream/offsets.h"
#include <stdlib.h>

enum { OFFSETS_MAX = 100000 };

static void blanks(struct tm_cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static bool take(struct tm_cursor *c, char want)
{
	blanks(c);
	if (c->at >= c->end || *c->at != want)
		return false;
	c->at++;
	return true;
}

/* A string without escapes or control characters: topic names have none. */
static bool string(struct tm_cursor *c, struct tm_str *ret)
{
	if (!take(c, '"'))
		return false;
	const char *from = c->at;
	while (c->at < c->end && *c->at != '"' && *c->at != '\\' && (unsigned char)*c->at >= ' ')
		c->at++;
	if (c->at >= c->end || *c->at != '"')
		return false;
	*ret = tm_str_n(from, (size_t)(c->at - from));
	c->at++;
	return true;
}

static bool number(struct tm_cursor *c, int64_t *ret)
{
	blanks(c);
	const char *from = c->at;
	while (c->at < c->end && (*c->at == '-' || (*c->at >= '0' && *c->at <= '9')))
		c->at++;
	return tm_str_to_i64(tm_str_n(from, (size_t)(c->at - from)), ret);
}

static bool partition_number(int64_t v, int32_t *ret)
{
	*ret = (int32_t)v;
	return v >= 0 && v <= INT32_MAX;
}

static bool partitions(struct tm_cursor *c, struct tm_arena *arena, struct tm_str topic, bool assign, struct tm_offsets *out)
{
	char open = assign ? '[' : '{', close = assign ? ']' : '}';
	if (!take(c, open))
		return false;
	if (take(c, close))
		return true;
	do {
		struct tm_offset o = {.topic = topic};
		int64_t p;
		struct tm_str name;
		if (assign ? !number(c, &p) : (!string(c, &name) || !tm_str_to_i64(name, &p)))
			return false;
		if (!partition_number(p, &o.partition) || out->count >= OFFSETS_MAX)
			return false;
		if (!assign && (!take(c, ':') || !number(c, &o.offset) || o.offset < -2))
			return false;
		TM_PUSH_IN(arena, out, o);
	} while (take(c, ','));
	return take(c, close);
}

static tm_rc parse(struct tm_str text, struct tm_arena *arena, bool assign, struct tm_offsets *ret, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(tm_arena_str(arena, text));
	struct tm_offsets out = {0};
	bool good = take(&c, '{');
	if (good && !take(&c, '}')) {
		do {
			struct tm_str topic;
			good = string(&c, &topic) && take(&c, ':') && partitions(&c, arena, topic, assign, &out);
		} while (good && take(&c, ','));
		good = good && take(&c, '}');
	}
	blanks(&c);
	if (!good || c.at != c.end)
		return tm_fail(err, TM_INVALID, "expected JSON of the form %s, got '%.*s'",
			       assign ? "{\"topicA\":[0,1],\"topicB\":[2,4]}" : "{\"topicA\":{\"0\":23,\"1\":-1},\"topicB\":{\"0\":-2}}",
			       (int)(text.len < 200 ? text.len : 200), text.at);
	*ret = out;
	return TM_OK;
}

tm_rc tm_offsets_parse(struct tm_str text, struct tm_arena *arena, struct tm_offsets *ret, struct tm_err *err)
{
	return parse(text, arena, false, ret, err);
}
tm_rc tm_offsets_parse_assign(struct tm_str text, struct tm_arena *arena, struct tm_offsets *ret, struct tm_err *err)
{
	return parse(text, arena, true, ret, err);
}

static int compare(const void *a, const void *b)
{
	const struct tm_offset *x = a, *y = b;
	int c = tm_str_cmp(x->topic, y->topic);
	return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

void tm_offsets_sort(struct tm_offsets *o)
{
	if (o->count)
		qsort(o->items, o->count, sizeof *o->items, compare);
}

void tm_offsets_text(const struct tm_offsets *o, struct tm_buf *out)
{
	tm_buf_char(out, '{');
	for (size_t i = 0; i < o->count; i++) {
		bool same = i && tm_str_eq(o->items[i].topic, o->items[i - 1].topic);
		if (i)
			tm_buf_cstr_put(out, same ? "," : "},");
		if (!same) {
			tm_buf_json_str(out, o->items[i].topic);
			tm_buf_cstr_put(out, ":{");
		}
		tm_buf_printf(out, "\"%d\":%lld", o->items[i].partition, (long long)o->items[i].offset);
	}
	tm_buf_cstr_put(out, o->count ? "}}" : "}");
}

const struct tm_offset *tm_offsets_find(const struct tm_offsets *o, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->items[i].partition == partition && tm_str_eq(o->items[i].topic, topic))
			return &o->items[i];
	return NULL;
}
