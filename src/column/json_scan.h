/* Scanning JSON tokens: where a string ends, a validating skip over any value, numbers. Private to the decoder's files. */
#ifndef TM_COLUMN_JSON_SCAN_H
#define TM_COLUMN_JSON_SCAN_H
#include "column/json.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

struct tm_json_scan {
	const char *at, *end;
	const struct tm_json_options *options;
};

static inline void tm_json_space(struct tm_json_scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
}

/* From behind the opening quote to the closing one: s->at ends behind it. *ret is the inside, *escaped tells whether a
 * backslash is in it. False: no end, or a control character. */
static inline bool tm_json_string(struct tm_json_scan *s, char quote, struct tm_str *ret, bool *escaped)
{
	const char *at = s->at, *start = at;
	bool esc = false;
	for (;;) {
#if defined(__SSE2__)
		const __m128i q = _mm_set1_epi8(quote), b = _mm_set1_epi8('\\'), limit = _mm_set1_epi8(0x1F);
		while (s->end - at >= 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
			__m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, q), _mm_cmpeq_epi8(v, b)),
						   _mm_cmpeq_epi8(_mm_min_epu8(v, limit), v));
			int mask = _mm_movemask_epi8(hit);
			if (mask) {
				at += __builtin_ctz((unsigned)mask);
				break;
			}
			at += 16;
		}
#endif
		while (at < s->end && *at != quote && *at != '\\' && (unsigned char)*at >= 0x20)
			at++;
		if (at >= s->end)
			return false;
		if (*at == quote)
			break;
		if (*at == '\\') {
			esc = true;
			at += 2;
			if (at > s->end)
				return false;
			continue;
		}
		if (!s->options->allow_control_chars)
			return false;
		at++;
	}
	*ret = (struct tm_str){start, (size_t)(at - start)};
	*escaped = esc;
	s->at = at + 1;
	return true;
}

/* Resolves escapes into the arena; false when one is not JSON's. */
bool tm_json_unescape(const struct tm_json_options *options, struct tm_arena *arena, struct tm_str raw, struct tm_str *ret);
/* A number token at s->at; integer tells whether it has neither fraction nor exponent. NaN and infinities are not taken here. */
bool tm_json_number(struct tm_json_scan *s, struct tm_str *ret, bool *integer);
/* NaN, Infinity, +Infinity, -Infinity, INF without quotes, where allowed. */
bool tm_json_non_number(struct tm_json_scan *s, struct tm_str *ret);
/* Over one whole value, checking all of it; depth counts down from TM_LIMIT_JSON_NESTING. */
bool tm_json_skip(struct tm_json_scan *s, int depth);
double tm_json_double(struct tm_str number);
#endif
