/* Errors as values. A function that can fail returns tm_rc (0 = ok) and fills the caller's tm_err, whose size is
 * fixed, so that reporting an error never allocates. Library code returns errors; the edge says them, once. */
#ifndef TM_BASE_ERR_H
#define TM_BASE_ERR_H
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

typedef enum tm_rc {
#define TM_ERROR(sym, text, kafka, cql, http, exit) TM_##sym,
#include "base/errors.def"
#undef TM_ERROR
	TM_RC_COUNT
} tm_rc_enum;
typedef int tm_rc;

#define TM_CHECKED __attribute__((warn_unused_result))
#define TM_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct tm_err {
	tm_rc rc;
	int code;         /* the door's own finer code (Kafka error, CQL code), 0 = the one of errors.def */
	char what[600];   /* what is wrong, one sentence, with the offending value */
	char detail[400]; /* why; empty = nothing to add */
	char hint[300];   /* what to do next; empty = none */
	char klass[96];   /* Spark's error class, as DIVIDE_BY_ZERO; empty = none */
	char sqlstate[8];
	char file[160];   /* where: empty = not in a file */
	int line, column; /* from 1; 0 = unknown */
	bool warning;     /* rendered as a warning: nothing failed */
};

/* Fill err and return rc: `return tm_fail(err, TM_INVALID, "port %d is out of range", port);` err may be NULL. */
tm_rc tm_fail(struct tm_err *err, tm_rc rc, const char *fmt, ...) TM_PRINTF(3, 4);
/* The same with a Spark error class: what becomes Spark's message text without class and SQLSTATE around it. */
tm_rc tm_fail_class(struct tm_err *err, tm_rc rc, const char *klass, const char *sqlstate, const char *fmt, ...) TM_PRINTF(5, 6);
/* Add to an error that is already filled; each replaces the earlier text. err may be NULL. */
void tm_err_detail(struct tm_err *err, const char *fmt, ...) TM_PRINTF(2, 3);
void tm_err_hint(struct tm_err *err, const char *fmt, ...) TM_PRINTF(2, 3);
void tm_err_at(struct tm_err *err, const char *file, int line, int column);
/* Put words before what: "tables/a.cql: " + what. */
void tm_err_prefix(struct tm_err *err, const char *fmt, ...) TM_PRINTF(2, 3);
/* From errno; ENOSPC and EDQUOT become TM_DISK_FULL, ENOENT TM_NOT_FOUND, EACCES/EPERM TM_DENIED. */
tm_rc tm_fail_errno(struct tm_err *err, int errnum, const char *fmt, ...) TM_PRINTF(3, 4);

const char *tm_rc_text(tm_rc rc);
int tm_rc_kafka(tm_rc rc);
int tm_rc_cql(tm_rc rc);
int tm_rc_http(tm_rc rc);
int tm_rc_exit(tm_rc rc);

/* Writes "error: what", the place with the source line and a caret where source (the whole text, may be empty) is
 * given, detail and hint into out (always terminated); returns out. */
char *tm_err_render(const struct tm_err *err, struct tm_str source, char *out, size_t out_size);

#define TM_TRY(expr)                                                                                                                       \
	do {                                                                                                                               \
		tm_rc tm_try_rc_ = (expr);                                                                                                 \
		if (__builtin_expect(tm_try_rc_ != TM_OK, 0))                                                                              \
			return tm_try_rc_;                                                                                                 \
	} while (0)
#define TM_TRY_GOTO(rc_var, label, expr)                                                                                                   \
	do {                                                                                                                               \
		(rc_var) = (expr);                                                                                                         \
		if (__builtin_expect((rc_var) != TM_OK, 0))                                                                                \
			goto label;                                                                                                        \
	} while (0)

/* A programmer's error: says where and aborts, in release too. */
_Noreturn void tm_assert_failed(const char *expr, const char *file, int line, const char *func);
#define TM_ASSERT(expr) ((expr) ? (void)0 : tm_assert_failed(#expr, __FILE__, __LINE__, __func__))
#endif
