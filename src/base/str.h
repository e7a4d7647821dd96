/* A string is a pointer and a length: it need not end in NUL and may hold any bytes. Text is UTF-8. */
#ifndef TM_BASE_STR_H
#define TM_BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tm_str {
	const char *at;
	size_t len;
};
/* memcpy and memmove that take NULL for nothing. */
static inline void tm_copy(void *to, const void *from, size_t n)
{
	if (n)
		memcpy(to, from, n);
}
static inline void tm_move(void *to, const void *from, size_t n)
{
	if (n)
		memmove(to, from, n);
}
#define TM_STR(literal) ((struct tm_str){"" literal, sizeof(literal) - 1})
#define TM_STR_ARG(s) (int)(s).len, (s).at /* for "%.*s" */

static inline struct tm_str tm_str_of(const char *cstr) { return (struct tm_str){cstr, cstr ? strlen(cstr) : 0}; }
static inline struct tm_str tm_str_n(const char *at, size_t len) { return (struct tm_str){at, len}; }
static inline bool tm_str_eq(struct tm_str a, struct tm_str b) { return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0); }
static inline bool tm_str_is(struct tm_str a, const char *cstr) { return tm_str_eq(a, tm_str_of(cstr)); }
/* Byte order, shorter first: Spark's UTF8_BINARY, memcmp order. <0, 0, >0. */
static inline int tm_str_cmp(struct tm_str a, struct tm_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.at, b.at, n) : 0;
	return c ? c : (a.len > b.len) - (a.len < b.len);
}
/* ASCII letters without case. */
bool tm_str_ieq(struct tm_str a, struct tm_str b);
static inline bool tm_str_iis(struct tm_str a, const char *cstr) { return tm_str_ieq(a, tm_str_of(cstr)); }
bool tm_str_starts(struct tm_str s, struct tm_str prefix);
bool tm_str_ends(struct tm_str s, struct tm_str suffix);
/* Index of needle from `from` on, or SIZE_MAX. An empty needle is found at from. */
size_t tm_str_find(struct tm_str s, struct tm_str needle, size_t from);
struct tm_str tm_str_slice(struct tm_str s, size_t from, size_t to);
/* Cuts ASCII white space off both ends. */
struct tm_str tm_str_trim(struct tm_str s);
/* Whole text must be a decimal integer with an optional sign; false otherwise or when it overflows. */
bool tm_str_to_i64(struct tm_str s, int64_t *ret);
/* Takes the part before the next sep off *rest; false when *rest was already used up. */
bool tm_str_split(struct tm_str *rest, char sep, struct tm_str *ret_part);
/* Is it one of names (NULL-terminated)? */
bool tm_str_among(struct tm_str s, const char *const *names);
/* Closest of names (NULL-terminated) for "did you mean"; NULL when none is close. */
const char *tm_str_closest(struct tm_str s, const char *const *names);

/* Decodes one code point at *at (< end) and advances; ill-formed bytes give U+FFFD and advance by one. */
uint32_t tm_utf8_next(const char **at, const char *end);
/* Writes cp as 1 to 4 bytes; returns how many. */
size_t tm_utf8_put(uint32_t cp, char out[4]);
bool tm_utf8_valid(struct tm_str s);
size_t tm_utf8_count(struct tm_str s); /* code points */
#endif
