/* `tidemill check`: loads every DAG file once in Python, without an engine, and says what is wrong with each. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "airflow/airflow_int.h"
#include "dag/spawn.h"

static char *dup_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return tm_strdup(s ? s : "");
}

static void add(struct tm_airflow_report *r, struct tm_airflow_problem p)
{
	r->problems = tm_realloc(r->problems, (r->problem_count + 1) * sizeof *r->problems);
	r->problems[r->problem_count++] = p;
}

/* What the definition itself cannot be: rules, cycles, schedules. */
static void check_dag(struct tm_airflow_report *r, const json_t *file, const json_t *dag)
{
	struct tm_err err = {0};
	char *path = dup_text(file, "file");
	tm_rc rc = tm_dag_try_definition(dag, path, &err);
	if (rc == TM_OK)
		free(path);
	else
		add(r, (struct tm_airflow_problem){.file = path,
						   .what = tm_strdup(err.what),
						   .detail = tm_strdup(err.detail),
						   .hint = tm_strdup(err.hint),
						   .line = (int)json_integer_value(json_object_get(dag, "line"))});
}

static void take_report(struct tm_airflow_report *r, json_t *files)
{
	size_t i, k;
	json_t *file, *e;
	json_array_foreach(files, i, file)
	{
		json_array_foreach(json_object_get(file, "errors"), k, e)
		    add(r, (struct tm_airflow_problem){.file = dup_text(e, "file"),
						       .what = dup_text(e, "error"),
						       .detail = dup_text(e, "detail"),
						       .hint = dup_text(e, "hint"),
						       .line = (int)json_integer_value(json_object_get(e, "line")),
						       .column = (int)json_integer_value(json_object_get(e, "column")),
						       .warning = json_is_true(json_object_get(e, "warning"))});
		json_array_foreach(json_object_get(file, "dags"), k, e) check_dag(r, file, e);
	}
	r->files = json_incref(files);
}

static tm_rc read_all(int fd, struct tm_buf *out, struct tm_err *err)
{
	for (;;) {
		if (out->len > TM_LIMIT_TASK_MESSAGE_BYTES)
			return tm_fail(err, TM_LIMIT, "the definitions of the DAG files are larger than %zu bytes",
				       TM_LIMIT_TASK_MESSAGE_BYTES);
		ssize_t n = read(fd, tm_buf_reserve(out, 65536), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tm_fail_errno(err, errno, "reading from Python");
		if (n == 0)
			return TM_OK;
		out->len += (size_t)n;
	}
}

tm_rc tm_airflow_check(const struct tm_airflow_options *o, struct tm_airflow_report *ret, struct tm_err *err)
{
	char *python = NULL, *package = NULL, real[4096];
	struct tm_airflow_report report = {0};
	const char *dags = o->dags_dir && realpath(o->dags_dir, real) ? real : "dags";
	json_t *paths = tm_airflow_find(dags);
	if (!json_array_size(paths)) {
		json_decref(paths);
		report.files = json_array();
		*ret = report;
		return TM_OK;
	}
	tm_rc rc = tm_airflow_python(o, &python, &package, err);
	if (rc != TM_OK) {
		json_decref(paths);
		return rc;
	}
	char project[4096];
	snprintf(project, sizeof project, "%s", o->project_dir ? o->project_dir : dags);
	if (!o->project_dir && strrchr(project, '/') > project)
		*strrchr(project, '/') = 0;
	json_t *config = tm_airflow_config(o, dags, project, o->data_dir ? o->data_dir : ".tidemill", NULL);
	json_object_set_new(config, "files", paths);
	int config_fd = -1, pipe_fds[2], pidfd = -1;
	pid_t pid;
	struct tm_buf text = {0};
	rc = tm_airflow_config_fd(config, &config_fd, err);
	json_decref(config);
	if (rc == TM_OK && pipe2(pipe_fds, O_CLOEXEC) != 0)
		rc = tm_fail_errno(err, errno, "a pipe");
	if (rc == TM_OK) {
		int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
		char **env = tm_airflow_env(o, package, project);
		struct tm_spawn how = {.argv = (const char *const[]){python, "-u", "-m", "tidemill.check", NULL},
				       .env = (const char *const *)env,
				       .cwd = project,
				       .fds = {nothing, nothing, 2, pipe_fds[1], config_fd},
				       .fd_count = 5};
		rc = tm_spawn_start(&how, &pid, &pidfd, err);
		tm_airflow_env_free(env);
		close(nothing);
		close(pipe_fds[1]);
		if (rc == TM_OK) {
			rc = read_all(pipe_fds[0], &text, err);
			if (rc != TM_OK)
				kill(-pid, SIGKILL);
			waitpid(pid, NULL, 0);
			close(pidfd);
		}
		close(pipe_fds[0]);
	}
	if (config_fd >= 0)
		close(config_fd);
	if (rc == TM_OK) {
		json_error_t at;
		json_t *files = json_loadb(text.at ? text.at : "", text.len, 0, &at);
		if (json_is_array(files)) {
			take_report(&report, files);
			*ret = report;
		} else {
			rc = tm_fail(err, TM_INTERNAL, "Python could not load the DAG files (%s); its words are above", at.text);
		}
		json_decref(files);
	}
	tm_buf_done(&text);
	free(python);
	free(package);
	return rc;
}

void tm_airflow_report_done(struct tm_airflow_report *r)
{
	for (size_t i = 0; i < r->problem_count; i++) {
		free(r->problems[i].file);
		free(r->problems[i].what);
		free(r->problems[i].detail);
		free(r->problems[i].hint);
	}
	free(r->problems);
	json_decref(r->files);
	*r = (struct tm_airflow_report){0};
}
