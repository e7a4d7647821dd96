/* Log lines for people: one function, one line each, on standard error. "12:00:01 warn  kafka: …". Secrets never go in.
 * (Named say, since `log` is the room of topics.) */
#ifndef TM_BASE_SAY_H
#define TM_BASE_SAY_H
#include "base/err.h"

enum tm_say_level { TM_SAY_DEBUG, TM_SAY_INFO, TM_SAY_WARN, TM_SAY_ERROR };
void tm_say(enum tm_say_level level, const char *room, const char *fmt, ...) TM_PRINTF(3, 4);
/* An error value, rendered, as one line. */
void tm_say_err(const char *room, const struct tm_err *err);
void tm_say_level_set(enum tm_say_level least);
/* Also give each line to a function (the page's log, tests); called with a lock held, must not say. NULL = none. */
void tm_say_tap(void (*tap)(void *ctx, enum tm_say_level level, const char *room, const char *text), void *ctx);
#endif
