/* Log lines. */
#include "base/say.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* rank: last; nothing is locked under it */
static enum tm_say_level least_level = TM_SAY_INFO;
static void (*tap_fn)(void *, enum tm_say_level, const char *, const char *);
static void *tap_ctx;

void tm_say_level_set(enum tm_say_level least) { __atomic_store_n(&least_level, least, __ATOMIC_RELAXED); }

void tm_say_tap(void (*tap)(void *, enum tm_say_level, const char *, const char *), void *ctx)
{
	pthread_mutex_lock(&lock);
	tap_fn = tap;
	tap_ctx = ctx;
	pthread_mutex_unlock(&lock);
}

void tm_say(enum tm_say_level level, const char *room, const char *fmt, ...)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	if (level < __atomic_load_n(&least_level, __ATOMIC_RELAXED))
		return;
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	struct tm t;
	localtime_r(&ts.tv_sec, &t);
	pthread_mutex_lock(&lock);
	fprintf(stderr, "%02d:%02d:%02d.%03ld %-5s %s: %s\n", t.tm_hour, t.tm_min, t.tm_sec, ts.tv_nsec / 1000000, names[level], room,
		text);
	if (tap_fn)
		tap_fn(tap_ctx, level, room, text);
	pthread_mutex_unlock(&lock);
}

void tm_say_err(const char *room, const struct tm_err *err)
{
	char text[1600];
	tm_say(TM_SAY_ERROR, room, "%s", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
}
