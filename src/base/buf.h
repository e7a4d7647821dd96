/* A growing byte buffer on the heap. Writers for big-endian (Kafka, CQL) and little-endian numbers, and JSON text.
 * Growing aborts when memory is out; callers that write sizes from outside check a named limit first. */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H
#include <stdarg.h>
#include "base/err.h"

struct tm_buf {
	char *at;
	size_t len, cap;
};
static inline struct tm_str tm_buf_str(const struct tm_buf *b) { return (struct tm_str){b->at, b->len}; }
void tm_buf_done(struct tm_buf *b);               /* zero-initialised or done are both fine */
char *tm_buf_reserve(struct tm_buf *b, size_t n); /* room for n more bytes; len is not moved */
char *tm_buf_extend(struct tm_buf *b, size_t n);  /* n more bytes, not cleared; len moves */
void tm_buf_put(struct tm_buf *b, const void *data, size_t n);
void tm_buf_str_put(struct tm_buf *b, struct tm_str s);
void tm_buf_cstr_put(struct tm_buf *b, const char *s);
void tm_buf_char(struct tm_buf *b, char c);
void tm_buf_printf(struct tm_buf *b, const char *fmt, ...) TM_PRINTF(2, 3);
void tm_buf_drop_front(struct tm_buf *b, size_t n); /* moves the rest down */
const char *tm_buf_cstr(struct tm_buf *b);          /* puts a NUL behind the end, len unchanged */

#define TM_BUF_INT(name, type, swap)                                                                                                       \
	static inline void name(struct tm_buf *b, type v)                                                                                  \
	{                                                                                                                                  \
		type s = (type)swap(v);                                                                                                    \
		memcpy(tm_buf_extend(b, sizeof s), &s, sizeof s);                                                                          \
	}
#define TM_SAME(v) (v)
TM_BUF_INT(tm_buf_u8, uint8_t, TM_SAME)
TM_BUF_INT(tm_buf_be16, uint16_t, __builtin_bswap16)
TM_BUF_INT(tm_buf_be32, uint32_t, __builtin_bswap32)
TM_BUF_INT(tm_buf_be64, uint64_t, __builtin_bswap64)
TM_BUF_INT(tm_buf_le16, uint16_t, TM_SAME)
TM_BUF_INT(tm_buf_le32, uint32_t, TM_SAME)
TM_BUF_INT(tm_buf_le64, uint64_t, TM_SAME)
#undef TM_BUF_INT
void tm_buf_varint(struct tm_buf *b, uint64_t v); /* unsigned LEB128, as Kafka's UNSIGNED_VARINT */
void tm_buf_zigzag(struct tm_buf *b, int64_t v);  /* Kafka's VARINT and VARLONG */

/* JSON: a quoted string with escapes; ill-formed UTF-8 becomes U+FFFD. */
void tm_buf_json_str(struct tm_buf *b, struct tm_str s);
/* Shortest text that reads back as the same double, valid JSON for finite values; NaN and infinities as "NaN", "Infinity", "-Infinity"
 * (strings). */
void tm_buf_json_double(struct tm_buf *b, double v);
#endif
