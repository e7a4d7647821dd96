/* The growing byte buffer. */
#include "base/buf.h"
#include "base/arena.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void tm_buf_done(struct tm_buf *b)
{
	free(b->at);
	*b = (struct tm_buf){0};
}

char *tm_buf_reserve(struct tm_buf *b, size_t n)
{
	if (b->cap - b->len < n) {
		size_t cap = b->cap ? b->cap * 2 : 64;
		while (cap - b->len < n)
			cap *= 2;
		b->at = tm_realloc(b->at, cap);
		b->cap = cap;
	}
	return b->at + b->len;
}

char *tm_buf_extend(struct tm_buf *b, size_t n)
{
	char *p = tm_buf_reserve(b, n);
	b->len += n;
	return p;
}

void tm_buf_put(struct tm_buf *b, const void *data, size_t n)
{
	if (n)
		memcpy(tm_buf_extend(b, n), data, n);
}

void tm_buf_str_put(struct tm_buf *b, struct tm_str s) { tm_buf_put(b, s.at, s.len); }
void tm_buf_cstr_put(struct tm_buf *b, const char *s) { tm_buf_put(b, s, strlen(s)); }
void tm_buf_char(struct tm_buf *b, char c) { *tm_buf_extend(b, 1) = c; }

void tm_buf_printf(struct tm_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t room = b->cap - b->len;
	int n = vsnprintf(b->at ? b->at + b->len : NULL, room, fmt, ap);
	va_end(ap);
	TM_ASSERT(n >= 0);
	if ((size_t)n >= room) {
		tm_buf_reserve(b, (size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(b->at + b->len, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void tm_buf_drop_front(struct tm_buf *b, size_t n)
{
	TM_ASSERT(n <= b->len);
	if (n && b->len > n)
		memmove(b->at, b->at + n, b->len - n);
	b->len -= n;
}

const char *tm_buf_cstr(struct tm_buf *b)
{
	*tm_buf_reserve(b, 1) = 0;
	return b->at;
}

void tm_buf_varint(struct tm_buf *b, uint64_t v)
{
	while (v >= 0x80) {
		tm_buf_u8(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	tm_buf_u8(b, (uint8_t)v);
}

void tm_buf_zigzag(struct tm_buf *b, int64_t v) { tm_buf_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63)); }

void tm_buf_json_str(struct tm_buf *b, struct tm_str s)
{
	static const char hex[] = "0123456789abcdef";
	tm_buf_char(b, '"');
	const char *at = s.len ? s.at : "", *end = at + s.len, *plain = at;
	while (at < end) {
		unsigned char c = (unsigned char)*at;
		if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
			at++;
			continue;
		}
		tm_buf_put(b, plain, (size_t)(at - plain));
		if (c >= 0x80) {
			char out[4];
			tm_buf_put(b, out, tm_utf8_put(tm_utf8_next(&at, end), out));
			plain = at;
			continue;
		}
		tm_buf_char(b, '\\');
		switch (c) {
		case '"':
		case '\\':
			tm_buf_char(b, (char)c);
			break;
		case '\n':
			tm_buf_char(b, 'n');
			break;
		case '\r':
			tm_buf_char(b, 'r');
			break;
		case '\t':
			tm_buf_char(b, 't');
			break;
		case '\b':
			tm_buf_char(b, 'b');
			break;
		case '\f':
			tm_buf_char(b, 'f');
			break;
		default:
			tm_buf_put(b, "u00", 3);
			tm_buf_char(b, hex[c >> 4]);
			tm_buf_char(b, hex[c & 15]);
		}
		plain = ++at;
	}
	tm_buf_put(b, plain, (size_t)(at - plain));
	tm_buf_char(b, '"');
}

void tm_buf_json_double(struct tm_buf *b, double v)
{
	if (isnan(v)) {
		tm_buf_cstr_put(b, "\"NaN\"");
		return;
	}
	if (isinf(v)) {
		tm_buf_cstr_put(b, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
		return;
	}
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	tm_buf_cstr_put(b, text);
	if (!strpbrk(text, ".eE"))
		tm_buf_cstr_put(b, ".0");
}
