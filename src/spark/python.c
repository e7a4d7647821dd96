/* Which Python has pyspark, and where our package lies. */
#include "spark/spark_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VERSION_MAX = 64 };

static bool holds_runner(const char *dir)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/tidemill/spark/run.py", dir);
	return access(path, R_OK) == 0;
}

static const char *package_dir(struct tm_arena *arena)
{
	static const char *const near[] = {"../python", "../../python", "python", "../share/tidemill/python"};
	const char *given = getenv("TIDEMILL_PYTHON_DIR");
	if (given && *given)
		return holds_runner(given) ? given : NULL;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return NULL;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
		const char *dir = tm_arena_printf(arena, "%s/%s", self, near[i]).at;
		if (holds_runner(dir))
			return dir;
	}
	return holds_runner("/usr/share/tidemill/python") ? "/usr/share/tidemill/python" : NULL;
}

static const char *on_path(struct tm_arena *arena, const char *name)
{
	const char *path = getenv("PATH");
	struct tm_str rest = tm_str_of(path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;
	while (rest.len && tm_str_split(&rest, ':', &dir)) {
		const char *file = tm_arena_printf(arena, "%.*s/%s", TM_STR_ARG(dir), name).at;
		if (access(file, X_OK) == 0)
			return file;
	}
	return NULL;
}

static const char *interpreter(const struct tm_spark_address *address, const char *dag_python, const char *project_dir,
			       struct tm_arena *arena)
{
	const char *given = address->python ? address->python : getenv("SPARK_PYTHON");
	given = given && *given ? given : dag_python;
	if (given && *given) {
		if (!strchr(given, '/'))
			return on_path(arena, given);
		const char *file = *given == '/' ? given : tm_arena_printf(arena, "%s/%s", project_dir, given).at;
		return access(file, X_OK) == 0 ? file : NULL;
	}
	const char *own = tm_arena_printf(arena, "%s/.venv/bin/python", project_dir).at;
	return access(own, X_OK) == 0 ? own : on_path(arena, "python3");
}

/* What the interpreter prints, at most max - 1 bytes; 0 = nothing, or it failed. */
static size_t ask(const char *python, const char *script, char *ret, size_t max, struct tm_err *err)
{
	int pipe_fds[2], null_fd;
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return 0;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *argv[] = {python, "-c", script, NULL};
	struct tm_spawn how = {
	    .argv = argv, .env = (const char *const *)(uintptr_t)environ, .fds = {null_fd, pipe_fds[1], null_fd}, .fd_count = 3};
	pid_t pid;
	int pidfd;
	tm_rc rc = tm_spawn_start(&how, &pid, &pidfd, err);
	close(pipe_fds[1]);
	close(null_fd);
	size_t n = 0;
	if (rc == TM_OK) {
		ssize_t got;
		while (n < max - 1 && (got = read(pipe_fds[0], ret + n, max - 1 - n)) > 0)
			n += (size_t)got;
		int status = 1;
		waitpid(pid, &status, 0);
		close(pidfd);
		n = status == 0 ? n : 0;
	}
	close(pipe_fds[0]);
	while (n && (ret[n - 1] == '\n' || ret[n - 1] == ' '))
		n--;
	ret[n] = 0;
	return n;
}

tm_rc tm_spark_python(const struct tm_spark_address *address, const char *dag_python, const char *project_dir, struct tm_arena *arena,
		      const char **ret_python, const char **ret_package_dir, const char **ret_version, struct tm_err *err)
{
	/* What is installed is read from its metadata, as importing pyspark takes half a second; a Spark that is only unpacked has none. */
	static const char script[] = "try:\n"
				     " import importlib.metadata as m\n"
				     " print(m.version('pyspark'))\n"
				     "except Exception:\n"
				     " import pyspark\n"
				     " print(pyspark.__version__)\n";
	const char *python = interpreter(address, dag_python, project_dir, arena), *package = package_dir(arena);
	if (!python) {
		tm_fail(err, TM_NOT_FOUND, "engine: there is no Python %s", address->python ? address->python : "for Spark");
		tm_err_hint(err, "Name one that has pyspark: engine: %s?python=/path/to/python.", address->master);
		return TM_NOT_FOUND;
	}
	if (!package) {
		tm_fail(err, TM_NOT_FOUND, "the Python package tidemill is not found beside the program");
		tm_err_hint(err, "It comes with the program, in the folder python/; TIDEMILL_PYTHON_DIR names another place.");
		return TM_NOT_FOUND;
	}
	char version[VERSION_MAX];
	if (!ask(python, script, version, sizeof version, err) || !tm_spark_version_of(version)) {
		tm_fail(err, TM_NOT_FOUND, "engine: %s has no pyspark", python);
		tm_err_hint(err, "`%s -m pip install 'pyspark>=3.5'`, or name another: engine: %s?python=/path/to/python.", python,
			    address->master);
		return TM_NOT_FOUND;
	}
	if (tm_spark_version_of(version) < 305) {
		tm_fail(err, TM_UNSUPPORTED, "engine: %s has pyspark %s; 3.5 is the oldest that is supported", python, version);
		return TM_UNSUPPORTED;
	}
	*ret_python = python;
	*ret_package_dir = package;
	*ret_version = tm_arena_cstr(arena, tm_str_of(version));
	return TM_OK;
}
