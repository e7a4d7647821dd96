/* Tokens of JSON text. */
#include "column/json_scan.h"
#include <stdlib.h>

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex4(struct tm_str s, size_t at, uint32_t *ret)
{
	if (at + 4 > s.len)
		return false;
	uint32_t v = 0;
	for (size_t i = 0; i < 4; i++) {
		int d = hex_digit(s.at[at + i]);
		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*ret = v;
	return true;
}

bool tm_json_unescape(const struct tm_json_options *options, struct tm_arena *arena, struct tm_str raw, struct tm_str *ret)
{
	char *out = tm_arena_alloc(arena, raw.len + 1); /* an escape is never shorter than what it stands for */
	size_t n = 0;
	for (size_t i = 0; i < raw.len;) {
		if (raw.at[i] != '\\') {
			out[n++] = raw.at[i++];
			continue;
		}
		if (++i >= raw.len)
			return false;
		char c = raw.at[i++];
		switch (c) {
		case '"':
		case '\\':
		case '/':
			out[n++] = c;
			break;
		case 'n':
			out[n++] = '\n';
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'r':
			out[n++] = '\r';
			break;
		case 'b':
			out[n++] = '\b';
			break;
		case 'f':
			out[n++] = '\f';
			break;
		case 'u': {
			uint32_t cp, low;
			if (!hex4(raw, i, &cp))
				return false;
			i += 4;
			if (cp >= 0xD800 && cp < 0xDC00 && i + 6 <= raw.len && raw.at[i] == '\\' && raw.at[i + 1] == 'u' &&
			    hex4(raw, i + 2, &low) && low >= 0xDC00 && low < 0xE000) {
				cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
				i += 6;
			} else if (cp >= 0xD800 && cp < 0xE000) {
				cp = '?'; /* half a pair: what Java's UTF-8 encoder writes for it */
			}
			n += tm_utf8_put(cp, out + n);
			break;
		}
		default:
			if (c == '\'' && !options->allow_single_quotes_off) {
				out[n++] = c;
				break;
			}
			if (!options->allow_backslash_any)
				return false;
			out[n++] = c;
		}
	}
	*ret = (struct tm_str){out, n};
	return true;
}

static bool digit(const struct tm_json_scan *s, const char *at) { return at < s->end && *at >= '0' && *at <= '9'; }

bool tm_json_number(struct tm_json_scan *s, struct tm_str *ret, bool *integer)
{
	const char *at = s->at;
	if (at < s->end && *at == '-')
		at++;
	if (!digit(s, at))
		return false;
	if (*at == '0' && digit(s, at + 1) && !s->options->allow_leading_zeros)
		return false;
	while (digit(s, at))
		at++;
	bool whole = true;
	if (at < s->end && *at == '.') {
		whole = false;
		if (!digit(s, ++at))
			return false;
		while (digit(s, at))
			at++;
	}
	if (at < s->end && (*at == 'e' || *at == 'E')) {
		whole = false;
		at++;
		if (at < s->end && (*at == '+' || *at == '-'))
			at++;
		if (!digit(s, at))
			return false;
		while (digit(s, at))
			at++;
	}
	/* A number ends at white space or a structural character. */
	if (at < s->end && *at != ',' && *at != '}' && *at != ']' && *at != ':' && *at != ' ' && *at != '\n' && *at != '\r' && *at != '\t')
		return false;
	*ret = (struct tm_str){s->at, (size_t)(at - s->at)};
	*integer = whole;
	s->at = at;
	return true;
}

bool tm_json_non_number(struct tm_json_scan *s, struct tm_str *ret)
{
	static const char *const words[] = {"NaN", "Infinity", "+Infinity", "-Infinity", "+INF", "-INF", "INF", NULL};
	if (s->options->allow_nan_off)
		return false;
	struct tm_str rest = {s->at, (size_t)(s->end - s->at)};
	for (size_t i = 0; words[i]; i++)
		if (tm_str_starts(rest, tm_str_of(words[i]))) {
			*ret = tm_str_n(s->at, strlen(words[i]));
			s->at += ret->len;
			return true;
		}
	return false;
}

static bool word(struct tm_json_scan *s, const char *text)
{
	if (!tm_str_starts((struct tm_str){s->at, (size_t)(s->end - s->at)}, tm_str_of(text)))
		return false;
	s->at += strlen(text);
	return true;
}

static bool skip_members(struct tm_json_scan *s, int depth, bool object)
{
	char close = object ? '}' : ']';
	s->at++;
	tm_json_space(s);
	if (s->at < s->end && *s->at == close) {
		s->at++;
		return true;
	}
	for (;;) {
		if (object) {
			struct tm_str key;
			bool escaped;
			tm_json_space(s);
			if (s->at >= s->end || (*s->at != '"' && (*s->at != '\'' || s->options->allow_single_quotes_off)))
				return false;
			char quote = *s->at++;
			if (!tm_json_string(s, quote, &key, &escaped))
				return false;
			tm_json_space(s);
			if (s->at >= s->end || *s->at++ != ':')
				return false;
		}
		if (!tm_json_skip(s, depth - 1))
			return false;
		tm_json_space(s);
		if (s->at >= s->end)
			return false;
		char c = *s->at++;
		if (c == close)
			return true;
		if (c != ',')
			return false;
	}
}

bool tm_json_skip(struct tm_json_scan *s, int depth)
{
	struct tm_str token;
	bool flag;
	tm_json_space(s);
	if (s->at >= s->end || depth <= 0)
		return false;
	switch (*s->at) {
	case '{':
		return skip_members(s, depth, true);
	case '[':
		return skip_members(s, depth, false);
	case '"':
		s->at++;
		return tm_json_string(s, '"', &token, &flag);
	case '\'':
		s->at++;
		return !s->options->allow_single_quotes_off && tm_json_string(s, '\'', &token, &flag);
	case 't':
		return word(s, "true");
	case 'f':
		return word(s, "false");
	case 'n':
		return word(s, "null");
	default:
		return tm_json_number(s, &token, &flag) || tm_json_non_number(s, &token);
	}
}

bool tm_json_valid(struct tm_str text)
{
	static const struct tm_json_options strict = {.allow_nan_off = true, .allow_single_quotes_off = true};
	struct tm_json_scan s = {text.at, text.at + text.len, &strict};
	if (!tm_json_skip(&s, (int)TM_LIMIT_JSON_NESTING))
		return false;
	tm_json_space(&s);
	return s.at == s.end;
}

double tm_json_double(struct tm_str number)
{
	static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
					1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	const char *at = number.at, *end = number.at + number.len;
	bool neg = at < end && *at == '-';
	at += neg;
	uint64_t mantissa = 0;
	int digits = 0, exponent = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++, digits += mantissa != 0)
		mantissa = mantissa * 10 + (uint64_t)(*at - '0');
	if (at < end && *at == '.')
		for (at++; at < end && *at >= '0' && *at <= '9'; at++, digits += mantissa != 0, exponent--)
			mantissa = mantissa * 10 + (uint64_t)(*at - '0');
	/* Clinger's fast path: both parts are exact doubles, so one operation rounds correctly. */
	if (at == end && digits <= 15 && exponent >= -22) {
		double v = (double)mantissa / powers[-exponent];
		return neg ? -v : v;
	}
	char copy[64], *text = copy;
	if (number.len >= sizeof copy)
		text = tm_alloc(number.len + 1);
	memcpy(text, number.at, number.len);
	text[number.len] = 0;
	double v = strtod(text, NULL);
	if (text != copy)
		free(text);
	return v;
}
