/* Arena: a list of chunks, bump allocation in the newest. Under the address sanitizer what is not given out is poisoned, to the
 * byte and with a gap behind every piece, so that a read past the end or after a reset is found as it would be with malloc. */
#include "base/arena.h"
#include <stdio.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
enum { GAP = 16 };
#else
#define POISON(at, size) ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
enum { GAP = 0 };
#endif

enum { CHUNK_MIN = 4096, CHUNK_MAX = 1 << 20 };

static size_t rounded(size_t size) { return ((size + 15) & ~(size_t)15) + GAP; }

struct tm_arena_chunk {
	struct tm_arena_chunk *next;
	size_t size; /* of the bytes behind this header */
	_Alignas(16) char bytes[];
};

void tm_arena_init(struct tm_arena *arena) { *arena = (struct tm_arena){.limit_bytes = SIZE_MAX}; }

void tm_arena_done(struct tm_arena *arena)
{
	for (struct tm_arena_chunk *c = arena->head, *next; c; c = next) {
		next = c->next;
		UNPOISON(c->bytes, c->size);
		free(c);
	}
	tm_arena_init(arena);
}

void tm_arena_reset(struct tm_arena *arena)
{
	struct tm_arena_chunk *keep = NULL;
	for (struct tm_arena_chunk *c = arena->head, *next; c; c = next) {
		next = c->next;
		if (!keep && c->size <= CHUNK_MAX) {
			keep = c;
			continue;
		}
		UNPOISON(c->bytes, c->size);
		free(c);
	}
	if (keep) {
		keep->next = NULL;
		POISON(keep->bytes, keep->size);
	}
	arena->head = keep;
	arena->at = keep ? keep->bytes : NULL;
	arena->end = keep ? keep->bytes + keep->size : NULL;
	arena->used_bytes = 0;
}

static void *from_new_chunk(struct tm_arena *arena, size_t size)
{
	size_t want = arena->head ? arena->head->size * 2 : CHUNK_MIN;
	if (want > CHUNK_MAX)
		want = CHUNK_MAX;
	if (want < size)
		want = size;
	struct tm_arena_chunk *c = malloc(sizeof *c + want);
	if (!c)
		return NULL;
	c->size = want;
	POISON(c->bytes, want);
	if (arena->head && size > CHUNK_MAX / 2) { /* a big one goes behind, so that the rest of the newest stays in use */
		c->next = arena->head->next;
		arena->head->next = c;
		return c->bytes;
	}
	c->next = arena->head;
	arena->head = c;
	arena->at = c->bytes + size;
	arena->end = c->bytes + want;
	return c->bytes;
}

void *tm_arena_try(struct tm_arena *arena, size_t size)
{
	size_t asked = size;
	if (size > SIZE_MAX - 64)
		return NULL;
	size = rounded(size);
	if (size > arena->limit_bytes || arena->used_bytes > arena->limit_bytes - size)
		return NULL;
	void *p;
	if (arena->at && (size_t)(arena->end - arena->at) >= size) {
		p = arena->at;
		arena->at += size;
	} else {
		p = from_new_chunk(arena, size);
		if (!p)
			return NULL;
	}
	arena->used_bytes += size;
	UNPOISON(p, asked);
	return p;
}

void *tm_arena_alloc(struct tm_arena *arena, size_t size)
{
	size_t limit = arena->limit_bytes;
	arena->limit_bytes = SIZE_MAX;
	void *p = tm_arena_try(arena, size);
	arena->limit_bytes = limit;
	TM_ASSERT(p && "out of memory");
	return p;
}

void *tm_arena_zalloc(struct tm_arena *arena, size_t size) { return memset(tm_arena_alloc(arena, size), 0, size); }

void *tm_arena_grow(struct tm_arena *arena, void *old, size_t old_size, size_t new_size)
{
	size_t old_up = rounded(old_size), new_up = rounded(new_size);
	if (old && (char *)old + old_up == arena->at && (size_t)(arena->end - (char *)old) >= new_up) {
		arena->at = (char *)old + new_up;
		arena->used_bytes += new_up - old_up;
		POISON(old, new_up);
		UNPOISON(old, new_size);
		return old;
	}
	void *p = tm_arena_alloc(arena, new_size);
	if (old_size)
		memcpy(p, old, old_size < new_size ? old_size : new_size);
	return p;
}

char *tm_arena_cstr(struct tm_arena *arena, struct tm_str s)
{
	char *p = tm_arena_alloc(arena, s.len + 1);
	if (s.len)
		memcpy(p, s.at, s.len);
	p[s.len] = 0;
	return p;
}

struct tm_str tm_arena_str(struct tm_arena *arena, struct tm_str s) { return (struct tm_str){tm_arena_cstr(arena, s), s.len}; }

struct tm_str tm_arena_vprintf(struct tm_arena *arena, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	TM_ASSERT(n >= 0);
	char *p = tm_arena_alloc(arena, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct tm_str){p, (size_t)n};
}

struct tm_str tm_arena_printf(struct tm_arena *arena, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct tm_str s = tm_arena_vprintf(arena, fmt, ap);
	va_end(ap);
	return s;
}

void *tm_alloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	TM_ASSERT(p && "out of memory");
	return p;
}

void *tm_zalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	TM_ASSERT(p && "out of memory");
	return p;
}

void *tm_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);
	TM_ASSERT(p && "out of memory");
	return p;
}

char *tm_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(tm_alloc(n), s, n);
}

struct tm_str tm_str_dup(struct tm_str s)
{
	char *p = tm_alloc(s.len + 1);
	if (s.len)
		memcpy(p, s.at, s.len);
	p[s.len] = 0;
	return (struct tm_str){p, s.len};
}
