/* JSON as text: reading with checks, writing in the normal form, paths. */
#include "sql/json_text.h"
#include <stdlib.h>

static void space(struct json_reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
}
char json_peek(struct json_reader *r)
{
	space(r);
	return r->at < r->end ? *r->at : 0;
}

void json_quote(struct tm_str s, struct tm_buf *out)
{
	tm_buf_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		static const char *const named[] = {['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
		if (c == '"' || c == '\\') {
			tm_buf_char(out, '\\');
			tm_buf_char(out, (char)c);
		} else if (c >= 0x20) {
			tm_buf_char(out, (char)c);
		} else if (c <= '\r' && named[c]) {
			tm_buf_cstr_put(out, named[c]);
		} else {
			tm_buf_printf(out, "\\u%04X", c);
		}
	}
	tm_buf_char(out, '"');
}

static bool hex4(struct json_reader *r, uint32_t *ret)
{
	uint32_t v = 0;
	if (r->end - r->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *r->at++;
		int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*ret = v;
	return true;
}

bool json_read_string(struct json_reader *r, struct tm_buf *out)
{
	char quote = json_peek(r);
	if (quote != '"' && (quote != '\'' || r->strict))
		return false;
	for (r->at++; r->at < r->end && *r->at != quote; r->at++) {
		char c = *r->at;
		if ((unsigned char)c < 0x20 && r->strict)
			return false;
		if (c != '\\') {
			tm_buf_char(out, c);
			continue;
		}
		if (++r->at >= r->end)
			return false;
		c = *r->at;
		static const char from[] = "\"\\/bfnrt'", to[] = "\"\\/\b\f\n\r\t'";
		const char *hit = c ? strchr(from, c) : NULL;
		if (hit) {
			tm_buf_char(out, to[hit - from]);
			continue;
		}
		uint32_t cp, low;
		r->at++;
		if (c != 'u' || !hex4(r, &cp))
			return false;
		if (cp >= 0xD800 && cp < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
			struct json_reader ahead = *r;
			ahead.at += 2;
			if (hex4(&ahead, &low) && low >= 0xDC00 && low < 0xE000) {
				cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
				r->at = ahead.at;
			}
		}
		char utf8[4];
		tm_buf_put(out, utf8, tm_utf8_put(cp >= 0xD800 && cp < 0xE000 ? 0xFFFD : cp, utf8));
		r->at--;
	}
	if (r->at >= r->end)
		return false;
	r->at++;
	return true;
}

static bool digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static bool number(struct json_reader *r, struct tm_buf *out)
{
	const char *start = r->at, *at = r->at;
	bool whole = true, exponent = false;
	at += at < r->end && *at == '-';
	if (!digit(at, r->end) || (*at == '0' && digit(at + 1, r->end)))
		return false;
	while (digit(at, r->end))
		at++;
	if (at < r->end && *at == '.') {
		whole = false;
		if (!digit(++at, r->end))
			return false;
		while (digit(at, r->end))
			at++;
	}
	if (at < r->end && (*at | 32) == 'e') {
		whole = false;
		exponent = true;
		at++;
		at += at < r->end && (*at == '+' || *at == '-');
		if (!digit(at, r->end))
			return false;
		while (digit(at, r->end))
			at++;
	}
	if (at < r->end && !strchr(",}]: \n\r\t", *at))
		return false;
	r->at = at;
	struct tm_str s = tm_str_n(start, (size_t)(at - start));
	if (!out)
		return true;
	if (whole) {
		tm_buf_str_put(out, tm_str_is(s, "-0") ? TM_STR("0") : s);
	} else if (r->variant && !exponent && s.len <= 39) { /* exact, without trailing zeros */
		while (s.at[s.len - 1] == '0')
			s.len--;
		if (s.at[s.len - 1] == '.')
			s.len--;
		tm_buf_str_put(out, s);
	} else {
		double v = 0;
		tm_double_parse(s, &v);
		tm_double_text(v, out);
	}
	return true;
}

struct member {
	struct tm_buf key, value;
};
static int by_key(const void *a, const void *b)
{
	return tm_str_cmp(tm_buf_str(&((const struct member *)a)->key), tm_buf_str(&((const struct member *)b)->key));
}

/* An object of a VARIANT: members by name. */
static bool sorted_object(struct json_reader *r, struct tm_buf *out, int depth)
{
	struct {
		struct member *items;
		size_t count, cap;
	} list = {0};
	bool ok = true;
	r->at++;
	if (json_peek(r) == '}') {
		r->at++;
	} else {
		for (bool more = true; more && ok;) {
			TM_PUSH(&list, (struct member){0});
			struct member *m = &list.items[list.count - 1];
			ok = json_read_string(r, &m->key) && json_peek(r) == ':' && r->at++ && json_value(r, &m->value, depth - 1);
			char c = ok ? json_peek(r) : 0;
			ok = ok && (c == ',' || c == '}');
			more = c == ',';
			r->at += ok;
		}
	}
	if (list.count)
		qsort(list.items, list.count, sizeof *list.items, by_key);
	tm_buf_char(out, '{');
	for (size_t i = 0; i < list.count; i++) {
		if (ok && i)
			tm_buf_char(out, ',');
		if (ok) {
			json_quote(tm_buf_str(&list.items[i].key), out);
			tm_buf_char(out, ':');
			tm_buf_str_put(out, tm_buf_str(&list.items[i].value));
		}
		tm_buf_done(&list.items[i].key);
		tm_buf_done(&list.items[i].value);
	}
	tm_buf_char(out, '}');
	free(list.items);
	return ok;
}

static bool members(struct json_reader *r, struct tm_buf *out, int depth, bool object)
{
	char close = object ? '}' : ']';
	if (out)
		tm_buf_char(out, object ? '{' : '[');
	r->at++;
	if (json_peek(r) == close) {
		r->at++;
	} else {
		for (;;) {
			if (object) {
				struct tm_buf key = {0};
				bool ok = json_read_string(r, &key) && json_peek(r) == ':';
				if (ok && out) {
					json_quote(tm_buf_str(&key), out);
					tm_buf_char(out, ':');
				}
				tm_buf_done(&key);
				if (!ok)
					return false;
				r->at++;
			}
			if (!json_value(r, out, depth - 1))
				return false;
			char c = json_peek(r);
			if (c != ',' && c != close)
				return false;
			r->at++;
			if (c == close)
				break;
			if (out)
				tm_buf_char(out, ',');
		}
	}
	if (out)
		tm_buf_char(out, close);
	return true;
}

bool json_value(struct json_reader *r, struct tm_buf *out, int depth)
{
	char c = json_peek(r);
	if (depth <= 0)
		return false;
	if (c == '{')
		return r->variant && out ? sorted_object(r, out, depth) : members(r, out, depth, true);
	if (c == '[')
		return members(r, out, depth, false);
	if (c == '"' || c == '\'') {
		struct tm_buf text = {0};
		bool ok = json_read_string(r, &text);
		if (ok && out)
			json_quote(tm_buf_str(&text), out);
		tm_buf_done(&text);
		return ok;
	}
	static const char *const words[] = {"true", "false", "null"};
	for (int i = 0; i < 3; i++) {
		struct tm_str w = tm_str_of(words[i]);
		if (tm_str_starts(tm_str_n(r->at, (size_t)(r->end - r->at)), w)) {
			r->at += w.len;
			if (out)
				tm_buf_str_put(out, w);
			return true;
		}
	}
	return number(r, out);
}

bool json_whole(struct json_reader *r, struct tm_buf *out) { return json_value(r, out, (int)TM_LIMIT_JSON_NESTING) && json_peek(r) == 0; }

/* ---- paths ---- $ then .name, ['name'], [3], [*], .* */
bool json_path_parse(struct tm_arena *arena, struct tm_str s, struct json_path *ret)
{
	*ret = (struct json_path){0};
	if (s.len == 0 || s.at[0] != '$')
		return false;
	for (size_t i = 1; i < s.len;) {
		struct json_step step = {0};
		if (s.at[i] == '.') {
			size_t from = ++i;
			while (i < s.len && s.at[i] != '.' && s.at[i] != '[')
				i++;
			if (i == from)
				return false;
			step.key = tm_str_slice(s, from, i);
			if (tm_str_is(step.key, "*"))
				return false;
		} else if (s.at[i] == '[' && i + 1 < s.len && (s.at[i + 1] == '\'' || s.at[i + 1] == '"')) {
			size_t from = i + 2, end = from;
			while (end < s.len && s.at[end] != s.at[i + 1])
				end++;
			if (end + 1 >= s.len || s.at[end + 1] != ']' || end == from)
				return false;
			step.key = tm_str_slice(s, from, end);
			i = end + 2;
		} else if (s.at[i] == '[') {
			size_t end = tm_str_find(s, TM_STR("]"), i);
			if (end == SIZE_MAX)
				return false;
			struct tm_str inside = tm_str_slice(s, i + 1, end);
			step.kind = tm_str_is(inside, "*") ? JSON_ALL : JSON_INDEX;
			if (step.kind == JSON_INDEX && (!tm_str_to_i64(inside, &step.index) || step.index < 0))
				return false;
			i = end + 1;
		} else {
			return false;
		}
		TM_PUSH_IN(arena, ret, step);
	}
	return true;
}

/* What a path matches: the values' texts in the normal form, separated by commas. */
struct matches {
	struct tm_buf text;
	size_t count;
	bool is_string, is_null;
	struct tm_str raw;
};

static bool walk(struct json_reader *r, const struct json_path *p, size_t step, int depth, struct matches *m)
{
	if (depth <= 0)
		return false;
	char c = json_peek(r);
	if (step == p->count) {
		if (m->count++)
			tm_buf_char(&m->text, ',');
		m->is_string = c == '"' || c == '\'';
		m->is_null = c == 'n';
		const char *from = r->at;
		bool ok = json_value(r, &m->text, depth);
		m->raw = tm_str_n(from, (size_t)(r->at - from));
		return ok;
	}
	const struct json_step *s = &p->items[step];
	if (c != (s->kind == JSON_KEY ? '{' : '['))
		return json_value(r, NULL, depth);
	char close = c == '{' ? '}' : ']';
	r->at++;
	if (json_peek(r) == close) {
		r->at++;
		return true;
	}
	bool done = false;
	for (int64_t i = 0;; i++) {
		bool hit = s->kind == JSON_ALL || (s->kind == JSON_INDEX && i == s->index);
		if (c == '{') {
			struct tm_buf key = {0};
			bool ok = json_read_string(r, &key) && json_peek(r) == ':';
			hit = ok && !done && tm_str_eq(tm_buf_str(&key), s->key);
			tm_buf_done(&key);
			if (!ok)
				return false;
			r->at++;
		}
		size_t before = m->count;
		if (!(hit ? walk(r, p, step + 1, depth - 1, m) : json_value(r, NULL, depth - 1)))
			return false;
		done |= hit && s->kind == JSON_KEY && m->count > before;
		char next = json_peek(r);
		if (next != ',' && next != close)
			return false;
		r->at++;
		if (next == close)
			return true;
	}
}

bool json_get(struct tm_str text, const struct json_path *path, struct tm_buf *out)
{
	struct json_reader r = json_reader_of(text);
	struct matches m = {0};
	bool all = false;
	for (size_t i = 0; i < path->count; i++)
		all |= path->items[i].kind == JSON_ALL;
	bool ok = walk(&r, path, 0, (int)TM_LIMIT_JSON_NESTING, &m) && m.count && !(m.count == 1 && m.is_null);
	if (ok && m.count == 1 && m.is_string && !all) {
		struct json_reader one = json_reader_of(m.raw);
		ok = json_read_string(&one, out);
	} else if (ok) {
		bool list = all && (m.count > 1 || path->items[path->count - 1].kind == JSON_ALL);
		if (list)
			tm_buf_char(out, '[');
		tm_buf_str_put(out, tm_buf_str(&m.text));
		if (list)
			tm_buf_char(out, ']');
	}
	tm_buf_done(&m.text);
	return ok;
}

bool json_find(struct tm_str text, const struct json_path *path, struct tm_str *ret)
{
	struct json_reader r = json_reader_of(text);
	struct matches m = {0};
	bool ok = walk(&r, path, 0, (int)TM_LIMIT_JSON_NESTING, &m) && m.count == 1;
	tm_buf_done(&m.text);
	*ret = m.raw;
	return ok;
}
