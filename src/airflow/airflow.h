/* The door of Airflow: loads DAG files with a real CPython and the `airflow` look-alike of python/tidemill, keeps the
 * engine's definitions in step with the files, and executes Python tasks in processes forked from warm parents.
 * It lives on the engine's loop (tm_dag_loop); the functions here are for any thread. */
#ifndef TM_AIRFLOW_AIRFLOW_H
#define TM_AIRFLOW_AIRFLOW_H
#include "base/base.h"
#include "dag/dag.h"

struct tm_airflow;

struct tm_airflow_pair {
	const char *name, *value;
};
/* A connection that Python code opens to name:port (port 0 = any) goes to host:to_port (0 = the same port). */
struct tm_airflow_route {
	const char *name;
	int port;
	const char *to_host;
	int to_port;
};
struct tm_airflow_options {
	const char *project_dir;               /* working directory of tasks; NULL = parent of dags_dir */
	const char *dags_dir;                  /* DAG files and the modules they import; may be missing: no DAGs */
	const char *data_dir;                  /* logs go to data_dir/logs */
	const char *python;                    /* interpreter; NULL = the first of $TIDEMILL_PYTHON, the build's .venv, /usr/bin/python3 */
	const char *package_dir;               /* where the Python package `tidemill` lies; NULL = found beside the program */
	const struct tm_airflow_route *routes; /* `hosts:` and the usual addresses of tutorials, to our doors */
	size_t route_count;
	const struct tm_airflow_pair *variables; /* Airflow Variables: text or JSON text */
	size_t variable_count;
	const struct tm_airflow_pair *connections; /* Airflow Connections: id, and URI or JSON */
	size_t connection_count;
	int default_version; /* dialect of files that show none: 2 (default) or 3 */
	bool no_watch;       /* do not follow changes of the files */
};
/* Starts the Python parent and loads every file. Returns when the parent was started; loading goes on
 * (tm_dag_counts().files_loading). Copies the options. dag must outlive the result. */
tm_rc tm_airflow_start(const struct tm_airflow_options *options, struct tm_dag *dag, struct tm_airflow **ret,
		       struct tm_err *err) TM_CHECKED;
void tm_airflow_stop(struct tm_airflow *airflow); /* before tm_dag_close; NULL is fine */

/* Variables and connections changed: tasks that start from now on see these; the files are loaded anew. Copies the pairs. */
void tm_airflow_settings(struct tm_airflow *airflow, const struct tm_airflow_pair *variables, size_t variable_count,
			 const struct tm_airflow_pair *connections, size_t connection_count);

/* What is wrong with the DAG files, without running anything. */
struct tm_airflow_problem {
	char *file, *what, *detail, *hint; /* detail, hint may be "" */
	int line, column;
	bool warning;
};
struct tm_airflow_report {
	struct tm_airflow_problem *problems;
	size_t problem_count;
	json_t *files; /* definitions as loaded: [{"file", "dialect", "dags": […]}] */
};
tm_rc tm_airflow_check(const struct tm_airflow_options *options, struct tm_airflow_report *ret, struct tm_err *err) TM_CHECKED;
void tm_airflow_report_done(struct tm_airflow_report *report);

/* Writes what a real Airflow needs beside the DAG files into the folder `to`: connections, variables, pools, requirements, settings.
 * secrets: their values too, in a file that only the owner can read. *ret: {"directory", "files": [{"file", "holds", "secret"}],
 * "dags", "import": [commands], "warnings"}. */
tm_rc tm_airflow_export(const struct tm_airflow_options *options, const char *to, bool secrets, json_t **ret,
			struct tm_err *err) TM_CHECKED;
#endif
