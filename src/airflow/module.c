/* One question to a Python process of its own, which loads every DAG file once, writes its answer as JSON, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "airflow/airflow_int.h"
#include "dag/spawn.h"

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

static tm_rc run(const char *python, const char *module, char **env, const char *cwd, int config_fd, struct tm_buf *text,
		 struct tm_err *err)
{
	int pipe_fds[2], pidfd = -1;
	pid_t pid;
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return tm_fail_errno(err, errno, "a pipe");
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct tm_spawn how = {.argv = (const char *const[]){python, "-u", "-m", module, NULL},
			       .env = (const char *const *)env,
			       .cwd = cwd,
			       .fds = {nothing, nothing, 2, pipe_fds[1], config_fd},
			       .fd_count = 5};
	tm_rc rc = tm_spawn_start(&how, &pid, &pidfd, err);
	close(nothing);
	close(pipe_fds[1]);
	if (rc == TM_OK) {
		rc = read_all(pipe_fds[0], text, err);
		if (rc != TM_OK)
			kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pidfd);
	}
	close(pipe_fds[0]);
	return rc;
}

tm_rc tm_airflow_ask_module(const struct tm_airflow_options *o, const char *module, json_t *more, json_t **ret, struct tm_err *err)
{
	char *python = NULL, *package = NULL, real[4096], project[4096];
	const char *dags = o->dags_dir && realpath(o->dags_dir, real) ? real : "dags";
	json_t *paths = tm_airflow_find(dags);
	if (!json_array_size(paths)) {
		json_decref(more);
		*ret = paths;
		return TM_OK;
	}
	snprintf(project, sizeof project, "%s", o->project_dir ? o->project_dir : dags);
	if (!o->project_dir && strrchr(project, '/') > project)
		*strrchr(project, '/') = 0;
	json_t *config = tm_airflow_config(o, dags, project, o->data_dir ? o->data_dir : ".tidemill", NULL);
	json_object_set_new(config, "files", paths);
	if (more)
		json_object_update(config, more);
	json_decref(more);
	struct tm_buf text = {0};
	int config_fd = -1;
	tm_rc rc = tm_airflow_python(o, &python, &package, err);
	if (rc == TM_OK)
		rc = tm_airflow_config_fd(config, &config_fd, err);
	json_decref(config);
	if (rc == TM_OK) {
		char **env = tm_airflow_env(o, package, project);
		rc = run(python, module, env, project, config_fd, &text, err);
		tm_airflow_env_free(env);
		close(config_fd);
	}
	if (rc == TM_OK) {
		json_error_t at;
		*ret = json_loadb(text.at ? text.at : "", text.len, 0, &at);
		if (!*ret)
			rc = tm_fail(err, TM_INTERNAL, "Python could not load the DAG files (%s); its words are above", at.text);
	}
	tm_buf_done(&text);
	free(python);
	free(package);
	return rc;
}
