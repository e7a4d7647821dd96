/* What a Python process is told when it starts: which interpreter, which package, the configuration, the environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "airflow/airflow_int.h"
#include "dag/spawn.h"

extern char **environ;

static char *beside_program(const char *relative)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return NULL;
	self[n] = 0;
	char *slash = strrchr(self, '/');
	*slash = 0;
	struct tm_buf b = {0};
	tm_buf_printf(&b, "%s/%s", self, relative);
	char *path = tm_strdup(tm_buf_cstr(&b));
	tm_buf_done(&b);
	return path;
}

static bool holds_package(const char *dir)
{
	struct tm_buf b = {0};
	tm_buf_printf(&b, "%s/tidemill/worker.py", dir);
	bool there = access(tm_buf_cstr(&b), R_OK) == 0;
	tm_buf_done(&b);
	return there;
}

/* The first of the named and the usual places that passes the check. */
static char *first_of(const char *given, const char *from_env, const char *const *beside, const char *const *absolute,
		      bool (*good)(const char *))
{
	if (given)
		return tm_strdup(given);
	if (from_env && *from_env)
		return tm_strdup(from_env);
	for (size_t i = 0; beside[i]; i++) {
		char *path = beside_program(beside[i]);
		if (path && good(path))
			return path;
		free(path);
	}
	for (size_t i = 0; absolute[i]; i++)
		if (good(absolute[i]))
			return tm_strdup(absolute[i]);
	return NULL;
}
static bool executable(const char *path) { return access(path, X_OK) == 0; }

tm_rc tm_airflow_python(const struct tm_airflow_options *o, char **ret_python, char **ret_package_dir, struct tm_err *err)
{
	static const char *const venvs[] = {"../.venv/bin/python3", "../../.venv/bin/python3", NULL}, *const pythons[] = {
													  "/usr/bin/python3",
													  "/usr/local/bin/python3", NULL};
	static const char *const near[] = {"../python", "../../python", "python", "../share/tidemill/python", NULL},
				 *const shared[] = {"/usr/share/tidemill/python", NULL};
	char *python = first_of(o->python, getenv("TIDEMILL_PYTHON"), venvs, pythons, executable);
	if (!python || !executable(python)) {
		tm_fail(err, TM_NOT_FOUND, "no Python interpreter at %s", python ? python : "/usr/bin/python3");
		tm_err_hint(err, "DAG files need CPython 3.9 or newer: install python3, or set `python:` in tidemill.yaml");
		free(python);
		return TM_NOT_FOUND;
	}
	char *dir = first_of(o->package_dir, getenv("TIDEMILL_PYTHON_DIR"), near, shared, holds_package);
	if (!dir || !holds_package(dir)) {
		free(python);
		tm_fail(err, TM_NOT_FOUND, "the Python package tidemill is not %s%s", dir ? "in " : "found beside the program",
			dir ? dir : "");
		tm_err_hint(err, "it comes with the program, in the folder python/; TIDEMILL_PYTHON_DIR names another place");
		free(dir);
		return TM_NOT_FOUND;
	}
	*ret_python = python;
	*ret_package_dir = dir;
	return TM_OK;
}

json_t *tm_airflow_config(const struct tm_airflow_options *o, const char *dags_dir, const char *project_dir, const char *data_dir,
			  const char *journal)
{
	json_t *variables = json_object(), *connections = json_object(), *routes = json_array();
	for (size_t i = 0; i < o->variable_count; i++)
		json_object_set_new(variables, o->variables[i].name, json_string(o->variables[i].value));
	for (size_t i = 0; i < o->connection_count; i++)
		json_object_set_new(connections, o->connections[i].name, json_string(o->connections[i].value));
	for (size_t i = 0; i < o->route_count; i++)
		json_array_append_new(
		    routes, json_pack("[s,i,s,i]", o->routes[i].name, o->routes[i].port, o->routes[i].to_host, o->routes[i].to_port));
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:i}", "dags_dir", dags_dir, "project_dir", project_dir, "data_dir", data_dir,
			 "journal", journal ? journal : "", "variables", variables, "connections", connections, "routes", routes,
			 "default_version", o->default_version == 3 ? 3 : 2);
}

tm_rc tm_airflow_config_fd(const json_t *config, int *ret_fd, struct tm_err *err)
{
	int fd = memfd_create("tidemill-config", MFD_CLOEXEC);
	if (fd < 0)
		return tm_fail_errno(err, errno, "the configuration of the Python processes");
	char *text = json_dumps(config, JSON_COMPACT);
	size_t n = strlen(text), done = 0;
	while (done < n) {
		ssize_t w = write(fd, text + done, n - done);
		if (w <= 0)
			break;
		done += (size_t)w;
	}
	free(text);
	lseek(fd, 0, SEEK_SET);
	*ret_fd = fd;
	return TM_OK;
}

/* Our environment with the package in front of PYTHONPATH and the mark by which left-over processes are known. */
char **tm_airflow_env(const struct tm_airflow_options *o, const char *package_dir, const char *data_dir)
{
	(void)o;
	size_t n = 0;
	while (environ[n])
		n++;
	char **env = tm_zalloc((n + 4) * sizeof *env);
	size_t at = 0;
	const char *path = getenv("PYTHONPATH");
	struct tm_buf b = {0};
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "PYTHONPATH=", 11) != 0 && strncmp(environ[i], TM_SPAWN_OWNER "=", strlen(TM_SPAWN_OWNER) + 1) != 0)
			env[at++] = tm_strdup(environ[i]);
	tm_buf_printf(&b, "PYTHONPATH=%s%s%s", package_dir, path && *path ? ":" : "", path ? path : "");
	env[at++] = tm_strdup(tm_buf_cstr(&b));
	b.len = 0;
	tm_buf_printf(&b, "%s=%s", TM_SPAWN_OWNER, data_dir);
	env[at++] = tm_strdup(tm_buf_cstr(&b));
	tm_buf_done(&b);
	return env;
}
void tm_airflow_env_free(char **env)
{
	for (size_t i = 0; env && env[i]; i++)
		free(env[i]);
	free(env);
}
