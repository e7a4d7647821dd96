/* `tidemill check`: loads every DAG file once in Python, without an engine, and says what is wrong with each. */
#include <stdlib.h>
#include "airflow/airflow_int.h"

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

tm_rc tm_airflow_check(const struct tm_airflow_options *o, struct tm_airflow_report *ret, struct tm_err *err)
{
	json_t *files = NULL;
	TM_TRY(tm_airflow_ask_module(o, "tidemill.check", NULL, &files, err));
	struct tm_airflow_report report = {0};
	take_report(&report, files);
	json_decref(files);
	*ret = report;
	return TM_OK;
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
