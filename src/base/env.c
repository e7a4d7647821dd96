/* The real machine, and whole files on top of it. */
#include "base/env.h"
#include "base/arena.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t real_now_us(const struct tm_env *e)
{
	(void)e;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t real_mono_ns(const struct tm_env *e)
{
	(void)e;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void real_random(const struct tm_env *e, void *out, size_t n)
{
	(void)e;
	for (char *p = out; n;) {
		ssize_t got = getrandom(p, n, 0);
		TM_ASSERT(got > 0 || errno == EINTR);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

static int real_open(const struct tm_env *e, const char *path, int flags, mode_t mode)
{
	(void)e;
	int fd = open(path, flags | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

static ssize_t real_pwrite(const struct tm_env *e, int fd, const void *data, size_t n, off_t at)
{
	(void)e;
	for (size_t done = 0; done < n;) {
		ssize_t got = pwrite(fd, (const char *)data + done, n - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENOSPC;
		done += (size_t)got;
	}
	return (ssize_t)n;
}

static ssize_t real_pwritev(const struct tm_env *e, int fd, struct iovec *parts, int count, off_t at)
{
	(void)e;
	size_t done = 0;
	while (count > 0) {
		ssize_t got = pwritev(fd, parts, count, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENOSPC;
		done += (size_t)got;
		for (size_t left = (size_t)got; count > 0;) {
			if (left < parts->iov_len) {
				parts->iov_base = (char *)parts->iov_base + left;
				parts->iov_len -= left;
				break;
			}
			left -= parts->iov_len;
			parts++;
			count--;
		}
	}
	return (ssize_t)done;
}

static ssize_t real_pread(const struct tm_env *e, int fd, void *data, size_t n, off_t at)
{
	(void)e;
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(fd, (char *)data + done, n - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Starts writing without waiting and without taking notice of errors, which stay for fdatasync to report. */
static void real_begin_sync(const struct tm_env *e, int fd)
{
	(void)e;
	(void)!sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int real_fdatasync(const struct tm_env *e, int fd)
{
	(void)e;
	return fdatasync(fd) ? -errno : 0;
}
static int real_truncate(const struct tm_env *e, int fd, off_t size)
{
	(void)e;
	return ftruncate(fd, size) ? -errno : 0;
}
static int real_rename(const struct tm_env *e, const char *from, const char *to)
{
	(void)e;
	return rename(from, to) ? -errno : 0;
}
static int real_unlink(const struct tm_env *e, const char *path)
{
	(void)e;
	return unlink(path) ? -errno : 0;
}

const struct tm_env *tm_env_real(void)
{
	static const struct tm_env_ops ops = {
	    .now_us = real_now_us,
	    .mono_ns = real_mono_ns,
	    .random = real_random,
	    .open = real_open,
	    .pwrite = real_pwrite,
	    .pread = real_pread,
	    .fdatasync = real_fdatasync,
	    .truncate = real_truncate,
	    .rename = real_rename,
	    .unlink = real_unlink,
	    .pwritev = real_pwritev,
	    .begin_sync = real_begin_sync,
	};
	static const struct tm_env env = {.ops = &ops};
	return &env;
}

tm_rc tm_file_read(const struct tm_env *env, const char *path, size_t limit_bytes, struct tm_buf *ret, struct tm_err *err)
{
	int fd = env->ops->open(env, path, O_RDONLY, 0);
	if (fd < 0)
		return tm_fail_errno(err, -fd, "%s", path);
	struct stat st;
	if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
		close(fd);
		return tm_fail(err, TM_IO, "%s is not a file", path);
	}
	struct tm_buf out = {0};
	tm_rc rc = TM_OK;
	for (;;) {
		size_t want = st.st_size > 0 && out.len < (size_t)st.st_size ? (size_t)st.st_size - out.len + 1 : 65536;
		if (out.len + 1 > limit_bytes) {
			rc = tm_fail(err, TM_LIMIT, "%s is larger than %zu bytes", path, limit_bytes);
			break;
		}
		if (want > limit_bytes + 1 - out.len)
			want = limit_bytes + 1 - out.len;
		ssize_t n = env->ops->pread(env, fd, tm_buf_reserve(&out, want), want, (off_t)out.len);
		if (n < 0) {
			rc = tm_fail_errno(err, (int)-n, "%s", path);
			break;
		}
		if (n == 0)
			break;
		out.len += (size_t)n;
	}
	close(fd);
	if (rc != TM_OK) {
		tm_buf_done(&out);
		return rc;
	}
	tm_buf_cstr(&out);
	*ret = out;
	return TM_OK;
}

static void parent_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		snprintf(out, size, ".");
	else
		snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

tm_rc tm_file_replace(const struct tm_env *env, const char *path, struct tm_str content, struct tm_err *err)
{
	char beside[4096], dir[4096];
	snprintf(beside, sizeof beside, "%s.new", path);
	parent_of(path, dir, sizeof dir);
	int fd = env->ops->open(env, beside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return tm_fail_errno(err, -fd, "%s", beside);
	ssize_t n = content.len ? env->ops->pwrite(env, fd, content.at, content.len, 0) : 0;
	int rc = n < 0 ? (int)n : env->ops->fdatasync(env, fd);
	close(fd);
	if (rc == 0)
		rc = env->ops->rename(env, beside, path);
	if (rc < 0) {
		env->ops->unlink(env, beside);
		return tm_fail_errno(err, -rc, "%s", path);
	}
	return tm_dir_sync(dir, err);
}

tm_rc tm_dir_make(const char *path, struct tm_err *err)
{
	char part[4096];
	size_t n = strlen(path);
	if (n >= sizeof part)
		return tm_fail(err, TM_LIMIT, "the path is too long: %.100s…", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return tm_fail_errno(err, errno, "%s", part);
	}
	struct stat st;
	if (stat(path, &st) != 0)
		return tm_fail_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return tm_fail(err, TM_INVALID, "%s is not a directory", path);
	return TM_OK;
}

tm_rc tm_dir_sync(const char *path, struct tm_err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return tm_fail_errno(err, errno, "%s", path);
	int rc = fsync(fd) ? errno : 0;
	close(fd);
	return rc ? tm_fail_errno(err, rc, "%s", path) : TM_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

tm_rc tm_dir_remove(const char *path, struct tm_err *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return tm_fail_errno(err, errno, "%s", path);
	return TM_OK;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

tm_rc tm_dir_list(const char *path, const char *suffix, char ***ret_names, size_t *ret_count, struct tm_err *err)
{
	DIR *dir = opendir(path);
	if (!dir)
		return tm_fail_errno(err, errno, "%s", path);
	struct {
		char **items;
		size_t count, cap;
	} names = {0};
	for (struct dirent *e; (e = readdir(dir));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (suffix && !tm_str_ends(tm_str_of(e->d_name), tm_str_of(suffix)))
			continue;
		TM_PUSH(&names, tm_strdup(e->d_name));
	}
	closedir(dir);
	if (names.count)
		qsort(names.items, names.count, sizeof *names.items, by_bytes);
	*ret_names = names.items;
	*ret_count = names.count;
	return TM_OK;
}

void tm_dir_list_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}
