/* Strings and UTF-8. */
#include "base/str.h"

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c; }

bool tm_str_ieq(struct tm_str a, struct tm_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower((unsigned char)a.at[i]) != lower((unsigned char)b.at[i]))
			return false;
	return true;
}

bool tm_str_starts(struct tm_str s, struct tm_str p) { return s.len >= p.len && (p.len == 0 || memcmp(s.at, p.at, p.len) == 0); }
bool tm_str_ends(struct tm_str s, struct tm_str p)
{
	return s.len >= p.len && (p.len == 0 || memcmp(s.at + s.len - p.len, p.at, p.len) == 0);
}

size_t tm_str_find(struct tm_str s, struct tm_str needle, size_t from)
{
	if (from > s.len)
		return SIZE_MAX;
	if (needle.len == 0)
		return from;
	const char *hit = memmem(s.at + from, s.len - from, needle.at, needle.len);
	return hit ? (size_t)(hit - s.at) : SIZE_MAX;
}

struct tm_str tm_str_slice(struct tm_str s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	return (struct tm_str){s.at ? s.at + from : NULL, to - from};
}

bool tm_str_among(struct tm_str s, const char *const *names)
{
	while (*names && !tm_str_is(s, *names))
		names++;
	return *names;
}

static bool space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct tm_str tm_str_trim(struct tm_str s)
{
	while (s.len && space(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && space(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool tm_str_to_i64(struct tm_str s, int64_t *ret)
{
	size_t i = 0;
	bool neg = false;
	if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
		neg = s.at[i++] == '-';
	if (i == s.len)
		return false;
	int64_t v = 0;
	for (; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		int d = s.at[i] - '0';
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v)) /* downwards: INT64_MIN fits */
			return false;
	}
	if (!neg && __builtin_sub_overflow((int64_t)0, v, &v))
		return false;
	*ret = v;
	return true;
}

bool tm_str_split(struct tm_str *rest, char sep, struct tm_str *ret_part)
{
	if (!rest->at)
		return false;
	const char *hit = rest->len ? memchr(rest->at, sep, rest->len) : NULL;
	if (!hit) {
		*ret_part = *rest;
		*rest = (struct tm_str){0};
		return true;
	}
	size_t n = (size_t)(hit - rest->at);
	*ret_part = (struct tm_str){rest->at, n};
	*rest = (struct tm_str){hit + 1, rest->len - n - 1};
	return true;
}

/* Optimal string alignment distance, letters without case; only for short names. */
static size_t distance(struct tm_str a, struct tm_str b)
{
	enum { MAX = 64 };
	if (a.len > MAX || b.len > MAX)
		return MAX;
	size_t row[3][MAX + 1];
	for (size_t j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
		cur[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned char x = lower((unsigned char)a.at[i - 1]), y = lower((unsigned char)b.at[j - 1]);
			size_t d = prev[j - 1] + (x != y);
			if (prev[j] + 1 < d)
				d = prev[j] + 1;
			if (cur[j - 1] + 1 < d)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && x == lower((unsigned char)b.at[j - 2]) && y == lower((unsigned char)a.at[i - 2]) &&
			    prev2[j - 2] + 1 < d)
				d = prev2[j - 2] + 1;
			cur[j] = d;
		}
	}
	return row[a.len % 3][b.len];
}

const char *tm_str_closest(struct tm_str s, const char *const *names)
{
	const char *best = NULL;
	size_t best_d = s.len / 3 + 2;
	for (; *names; names++) {
		size_t d = distance(s, tm_str_of(*names));
		if (d < best_d) {
			best_d = d;
			best = *names;
		}
	}
	return best;
}

uint32_t tm_utf8_next(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;
	size_t left = (size_t)(end - *at);
	uint32_t c = p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
	if (n == 1) {
		*at += 1;
		return c;
	}
	if (n == 0 || n > left)
		goto bad;
	uint32_t v = c & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			goto bad;
		v = v << 6 | (p[i] & 0x3F);
	}
	if ((n == 3 && (v < 0x800 || (v >= 0xD800 && v < 0xE000))) || (n == 4 && (v < 0x10000 || v > 0x10FFFF)))
		goto bad;
	*at += n;
	return v;
bad:
	*at += 1;
	return 0xFFFD;
}

size_t tm_utf8_put(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xC0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xE0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[2] = (char)(0x80 | (cp & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
	out[3] = (char)(0x80 | (cp & 0x3F));
	return 4;
}

bool tm_utf8_valid(struct tm_str s)
{
	const char *at = s.at, *end = s.at + s.len;
	while (at < end) {
		if ((unsigned char)*at < 0x80) {
			at++;
			continue;
		}
		const char *before = at;
		if (tm_utf8_next(&at, end) == 0xFFFD && !(at - before == 3))
			return false;
	}
	return true;
}

size_t tm_utf8_count(struct tm_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.at[i] & 0xC0) != 0x80;
	return n;
}
