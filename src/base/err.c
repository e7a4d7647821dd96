/* Filling, mapping and rendering errors. */
#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	int kafka, cql, http, exit;
} kinds[] = {
#define TM_ERROR(sym, text, kafka, cql, http, exit) [TM_##sym] = {text, kafka, cql, http, exit},
#include "base/errors.def"
#undef TM_ERROR
};

static tm_rc known(tm_rc rc) { return rc >= 0 && rc < TM_RC_COUNT ? rc : TM_INTERNAL; }

const char *tm_rc_text(tm_rc rc) { return kinds[known(rc)].text; }
int tm_rc_kafka(tm_rc rc) { return kinds[known(rc)].kafka; }
int tm_rc_cql(tm_rc rc) { return kinds[known(rc)].cql; }
int tm_rc_http(tm_rc rc) { return kinds[known(rc)].http; }
int tm_rc_exit(tm_rc rc) { return kinds[known(rc)].exit; }

static void start(struct tm_err *err, tm_rc rc)
{
	memset(err, 0, sizeof *err);
	err->rc = rc;
}

/* Like vsnprintf, but never leaves half a UTF-8 sequence at a cut end. */
TM_PRINTF(3, 0) static void put(char *out, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, size, fmt, ap);
	if (n < 0 || (size_t)n < size)
		return;
	size_t end = size - 1;
	while (end > 0 && ((unsigned char)out[end - 1] & 0xC0) == 0x80)
		end--;
	if (end > 0 && (unsigned char)out[end - 1] >= 0xC0)
		end--;
	out[end] = 0;
}

/* The caller's fmt with its arguments, into a field. */
#define PUT(field, fmt)                                                                                                                    \
	do {                                                                                                                               \
		va_list ap;                                                                                                                \
		va_start(ap, fmt);                                                                                                         \
		put(field, sizeof(field), fmt, ap);                                                                                        \
		va_end(ap);                                                                                                                \
	} while (0)

tm_rc tm_fail(struct tm_err *err, tm_rc rc, const char *fmt, ...)
{
	if (err) {
		start(err, rc);
		PUT(err->what, fmt);
	}
	return rc;
}

tm_rc tm_fail_class(struct tm_err *err, tm_rc rc, const char *klass, const char *sqlstate, const char *fmt, ...)
{
	if (err) {
		start(err, rc);
		snprintf(err->klass, sizeof err->klass, "%s", klass);
		snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
		PUT(err->what, fmt);
	}
	return rc;
}

void tm_err_detail(struct tm_err *err, const char *fmt, ...)
{
	if (!err)
		return;
	PUT(err->detail, fmt);
}

void tm_err_hint(struct tm_err *err, const char *fmt, ...)
{
	if (!err)
		return;
	PUT(err->hint, fmt);
}

void tm_err_at(struct tm_err *err, const char *file, int line, int column)
{
	if (!err)
		return;
	if (file)
		snprintf(err->file, sizeof err->file, "%s", file);
	err->line = line;
	err->column = column;
}

void tm_err_prefix(struct tm_err *err, const char *fmt, ...)
{
	if (!err)
		return;
	char old[sizeof err->what];
	memcpy(old, err->what, sizeof old);
	PUT(err->what, fmt);
	size_t n = strlen(err->what);
	snprintf(err->what + n, sizeof err->what - n, "%s", old);
}

tm_rc tm_fail_errno(struct tm_err *err, int errnum, const char *fmt, ...)
{
	tm_rc rc = errnum == ENOSPC || errnum == EDQUOT                     ? TM_DISK_FULL
		   : errnum == ENOENT                                       ? TM_NOT_FOUND
		   : errnum == EACCES || errnum == EPERM || errnum == EROFS ? TM_DENIED
		   : errnum == ENOMEM                                       ? TM_NOMEM
									    : TM_IO;
	if (err) {
		start(err, rc);
		PUT(err->what, fmt);
		size_t n = strlen(err->what);
		snprintf(err->what + n, sizeof err->what - n, ": %s", strerror(errnum));
		if (rc == TM_DISK_FULL)
			tm_err_hint(err, "Free some space; what was acknowledged is safe, and work goes on by itself.");
	}
	return rc;
}

static struct tm_str line_of(struct tm_str source, int line)
{
	const char *at = source.at, *end = source.at + source.len;
	for (int i = 1; i < line && at < end; i++) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		if (!nl)
			return (struct tm_str){0};
		at = nl + 1;
	}
	const char *nl = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	return (struct tm_str){at, (size_t)((nl ? nl : end) - at)};
}

char *tm_err_render(const struct tm_err *err, struct tm_str source, char *out, size_t out_size)
{
	size_t n = 0;
#define ADD(...) (n += (size_t)snprintf(out + (n < out_size ? n : out_size), n < out_size ? out_size - n : 0, __VA_ARGS__))
	if (err->file[0])
		ADD("%s:", err->file);
	if (err->line)
		ADD("%d:", err->line);
	if (err->line && err->column)
		ADD("%d:", err->column);
	if (err->file[0] || err->line)
		ADD(" ");
	ADD("%s: ", err->warning ? "warning" : "error");
	if (err->klass[0])
		ADD("[%s] ", err->klass);
	ADD("%s", err->what[0] ? err->what : tm_rc_text(err->rc));
	if (err->line && source.at) {
		struct tm_str line = line_of(source, err->line);
		if (line.len > 160)
			line.len = 160;
		ADD("\n  %5d | %.*s\n        | ", err->line, (int)line.len, line.at ? line.at : "");
		int column = err->column;
		if (!column) /* only the line is known: its first letter */
			for (column = 1; (size_t)column < line.len && strchr(" \t", line.at[column - 1]);)
				column++;
		for (int i = 1; i < column && (size_t)i <= line.len; i++)
			ADD("%c", line.at[i - 1] == '\t' ? '\t' : ' ');
		ADD("^");
	}
	if (err->detail[0])
		ADD("\n  why:  %s", err->detail);
	if (err->hint[0])
		ADD("\n  next: %s", err->hint);
#undef ADD
	return out;
}

void tm_assert_failed(const char *expr, const char *file, int line, const char *func)
{
	fprintf(stderr, "tidemill: assertion failed: %s (%s:%d, %s). This is a bug in Tidemill %s; please report it with this line.\n",
		expr, file, line, func, TM_VERSION);
	abort();
}
