/* Clock, disk and randomness, behind one table of functions so that a seeded simulator can stand in for the machine.
 * Rooms take `const struct tm_env *` at open and use nothing else for these. (The network is libuv's, owned by the doors.) */
#ifndef TM_BASE_ENV_H
#define TM_BASE_ENV_H
#include <sys/types.h>
#include <sys/uio.h>
#include "base/buf.h"
#include "base/err.h"

struct tm_env;
struct tm_env_ops {
	int64_t (*now_us)(const struct tm_env *);  /* wall clock, microseconds since 1970 UTC */
	int64_t (*mono_ns)(const struct tm_env *); /* never goes back */
	void (*random)(const struct tm_env *, void *out, size_t n);
	int (*open)(const struct tm_env *, const char *path, int flags, mode_t mode);           /* fd, or -errno */
	ssize_t (*pwrite)(const struct tm_env *, int fd, const void *data, size_t n, off_t at); /* all of it, or -errno */
	ssize_t (*pread)(const struct tm_env *, int fd, void *data, size_t n, off_t at);        /* short only at the end, or -errno */
	int (*fdatasync)(const struct tm_env *, int fd); /* 0 or -errno; after an error the data is not safe, never retry */
	int (*truncate)(const struct tm_env *, int fd, off_t size);
	int (*rename)(const struct tm_env *, const char *from, const char *to);
	int (*unlink)(const struct tm_env *, const char *path);
	ssize_t (*pwritev)(const struct tm_env *, int fd, struct iovec *parts, int count,
			   off_t at);                      /* as pwrite, may change parts; NULL = none */
	void (*begin_sync)(const struct tm_env *, int fd); /* lets the disk begin; fdatasync is to follow; NULL = none */
};
struct tm_env {
	const struct tm_env_ops *ops;
	void *state;
};
const struct tm_env *tm_env_real(void);

static inline int64_t tm_now_us(const struct tm_env *e) { return e->ops->now_us(e); }
static inline int64_t tm_now_ms(const struct tm_env *e) { return e->ops->now_us(e) / 1000; }
static inline int64_t tm_mono_ns(const struct tm_env *e) { return e->ops->mono_ns(e); }
static inline void tm_random(const struct tm_env *e, void *out, size_t n) { e->ops->random(e, out, n); }

/* Whole files and folders. */
tm_rc tm_file_read(const struct tm_env *env, const char *path, size_t limit_bytes, struct tm_buf *ret, struct tm_err *err) TM_CHECKED;
/* Write beside, fdatasync, rename over, fsync the folder: after a crash the old or the new content is there. */
tm_rc tm_file_replace(const struct tm_env *env, const char *path, struct tm_str content, struct tm_err *err) TM_CHECKED;
tm_rc tm_dir_make(const char *path, struct tm_err *err) TM_CHECKED; /* with parents; existing is fine */
tm_rc tm_dir_sync(const char *path, struct tm_err *err) TM_CHECKED;
tm_rc tm_dir_remove(const char *path, struct tm_err *err) TM_CHECKED; /* with everything in it; missing is fine */
/* Names in a folder, sorted by bytes, without . and ..; each ends in suffix (NULL = all). Free with tm_dir_list_free. */
tm_rc tm_dir_list(const char *path, const char *suffix, char ***ret_names, size_t *ret_count, struct tm_err *err) TM_CHECKED;
void tm_dir_list_free(char **names, size_t count);
#endif
