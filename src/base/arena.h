/* Memory by lifetime: an arena gives memory that is freed all at once (connection, request, plan, batch).
 * Not thread-safe: an arena belongs to one thread at a time. */
#ifndef TM_BASE_ARENA_H
#define TM_BASE_ARENA_H
#include <stdarg.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

struct tm_arena_chunk;
struct tm_arena {
	struct tm_arena_chunk *head;
	char *at, *end;
	size_t used_bytes;  /* given out since init or reset */
	size_t limit_bytes; /* tm_arena_try fails above this; SIZE_MAX = none */
};
void tm_arena_init(struct tm_arena *arena);
void tm_arena_done(struct tm_arena *arena);
/* Forgets everything given out; keeps one chunk for reuse. */
void tm_arena_reset(struct tm_arena *arena);
/* 16-byte aligned, not cleared. Aborts when memory is out: only for sizes that do not come from outside. */
void *tm_arena_alloc(struct tm_arena *arena, size_t size);
/* For sizes that come from outside: NULL over the arena's limit or when memory is out. */
void *tm_arena_try(struct tm_arena *arena, size_t size);
void *tm_arena_zalloc(struct tm_arena *arena, size_t size); /* cleared */
#define TM_NEW(arena, type) ((type *)tm_arena_zalloc((arena), sizeof(type)))
#define TM_NEW_N(arena, type, n) ((type *)tm_arena_zalloc((arena), tm_mul_size((n), sizeof(type))))
/* The last allocation grows in place where it can, else is copied. */
void *tm_arena_grow(struct tm_arena *arena, void *old, size_t old_size, size_t new_size);
struct tm_str tm_arena_str(struct tm_arena *arena, struct tm_str s); /* a copy, NUL behind it */
char *tm_arena_cstr(struct tm_arena *arena, struct tm_str s);
struct tm_str tm_arena_printf(struct tm_arena *arena, const char *fmt, ...) TM_PRINTF(2, 3);
struct tm_str tm_arena_vprintf(struct tm_arena *arena, const char *fmt, va_list ap) TM_PRINTF(2, 0);

/* a*b, asserting that it does not overflow. */
static inline size_t tm_mul_size(size_t a, size_t b)
{
	size_t r;
	TM_ASSERT(!__builtin_mul_overflow(a, b, &r));
	return r;
}

/* malloc and friends that abort when memory is out: only for sizes that do not come from outside. */
void *tm_alloc(size_t size);
void *tm_zalloc(size_t size);
void *tm_realloc(void *old, size_t size);
char *tm_strdup(const char *s);
struct tm_str tm_str_dup(struct tm_str s); /* free with free((void *)s.at) */

/* A growing array: struct { T *items; size_t count, cap; }. TM_PUSH(&list, value) on the heap. */
#define TM_PUSH(list, ...)                                                                                                                 \
	do {                                                                                                                               \
		if ((list)->count == (list)->cap) {                                                                                        \
			(list)->cap = (list)->cap ? (list)->cap * 2 : 8;                                                                   \
			(list)->items = tm_realloc((list)->items, tm_mul_size((list)->cap, sizeof *(list)->items));                        \
		}                                                                                                                          \
		(list)->items[(list)->count++] = (__VA_ARGS__);                                                                            \
	} while (0)
/* The same in an arena. */
#define TM_PUSH_IN(arena, list, ...)                                                                                                       \
	do {                                                                                                                               \
		if ((list)->count == (list)->cap) {                                                                                        \
			size_t tm_old_ = tm_mul_size((list)->cap, sizeof *(list)->items);                                                  \
			(list)->cap = (list)->cap ? (list)->cap * 2 : 8;                                                                   \
			(list)->items = tm_arena_grow((arena), (list)->items, tm_old_, tm_mul_size((list)->cap, sizeof *(list)->items));   \
		}                                                                                                                          \
		(list)->items[(list)->count++] = (__VA_ARGS__);                                                                            \
	} while (0)
#endif
