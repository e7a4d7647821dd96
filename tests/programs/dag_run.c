/* dag_run [options] DAGS_DIR: runs what is due in a folder of DAG files until idle, without the rest of the program; prints the summary as
 * JSON.
 * --data DIR (default: a fresh folder under /tmp, removed at the end), --python PATH, --trigger DAG_ID (any number), --conf JSON,
 * --route name:port=host:port, --variable K=V, --connection ID=URI, --keep, --check, --list, --serve (until killed), --quiet, --logs. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "airflow/airflow.h"

#define MANY 64
static struct tm_airflow_pair variables[MANY], connections[MANY];
static struct tm_airflow_route routes[MANY];
static size_t variable_count, connection_count, route_count;

static void pair_of(char *text, struct tm_airflow_pair *ret)
{
	char *eq = strchr(text, '=');
	*eq = 0;
	*ret = (struct tm_airflow_pair){text, eq + 1};
}
static void route_of(char *text, struct tm_airflow_route *ret)
{
	char *eq = strchr(text, '='), *colon;
	*eq = 0;
	*ret = (struct tm_airflow_route){.name = text, .to_host = eq + 1};
	if ((colon = strchr(text, ':'))) {
		*colon = 0;
		ret->port = atoi(colon + 1);
	}
	if ((colon = strchr(eq + 1, ':'))) {
		*colon = 0;
		ret->to_port = atoi(colon + 1);
	}
}
static int fail(const struct tm_err *err)
{
	char text[1600];
	fprintf(stderr, "%s\n", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
	return tm_rc_exit(err->rc);
}

static int check(const struct tm_airflow_options *o)
{
	struct tm_err err = {0};
	struct tm_airflow_report r;
	if (tm_airflow_check(o, &r, &err) != TM_OK)
		return fail(&err);
	json_t *out = json_array();
	for (size_t i = 0; i < r.problem_count; i++) {
		struct tm_airflow_problem *p = &r.problems[i];
		json_array_append_new(out, json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:b}", "file", p->file, "line", p->line, "column", p->column,
						     "what", p->what, "detail", p->detail, "hint", p->hint, "warning", p->warning));
	}
	json_t *all = json_pack("{s:o,s:O}", "problems", out, "files", r.files);
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
	int n = 0;
	for (size_t i = 0; i < r.problem_count; i++)
		n += !r.problems[i].warning;
	tm_airflow_report_done(&r);
	return n ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct tm_airflow_options o = {.no_watch = true};
	struct tm_dag_options d = {.due_only = true};
	const char *triggers[MANY], *conf = NULL, *trigger_run_id = NULL, *logical = NULL;
	size_t trigger_count = 0;
	bool keep = false, only_check = false, serve = false, list = false;
	char fresh[] = "/tmp/dag_runXXXXXX";
	struct tm_err err = {0};
	tm_say_level_set(TM_SAY_WARN);
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (!strcmp(a, "--keep"))
			keep = true;
		else if (!strcmp(a, "--check"))
			only_check = true;
		else if (!strcmp(a, "--list"))
			list = true;
		else if (!strcmp(a, "--serve"))
			serve = true;
		else if (!strcmp(a, "--verbose"))
			tm_say_level_set(TM_SAY_DEBUG);
		else if (*a != '-')
			o.dags_dir = a;
		else if (i + 1 >= argc)
			return 64;
		else if (!strcmp(a, "--data"))
			d.data_dir = argv[++i];
		else if (!strcmp(a, "--python"))
			o.python = argv[++i];
		else if (!strcmp(a, "--trigger") && trigger_count < MANY)
			triggers[trigger_count++] = argv[++i];
		else if (!strcmp(a, "--conf"))
			conf = argv[++i];
		else if (!strcmp(a, "--run-id"))
			trigger_run_id = argv[++i];
		else if (!strcmp(a, "--logical"))
			logical = argv[++i];
		else if (!strcmp(a, "--version"))
			o.default_version = atoi(argv[++i]);
		else if (!strcmp(a, "--variable"))
			pair_of(argv[++i], &variables[variable_count++]);
		else if (!strcmp(a, "--connection"))
			pair_of(argv[++i], &connections[connection_count++]);
		else if (!strcmp(a, "--route"))
			route_of(argv[++i], &routes[route_count++]);
		else
			return 64;
	}
	if (!o.dags_dir)
		return 64;
	if (!d.data_dir)
		d.data_dir = mkdtemp(fresh);
	else
		keep = true;
	o.data_dir = d.data_dir;
	o.variables = variables;
	o.variable_count = variable_count;
	o.connections = connections;
	o.connection_count = connection_count;
	o.routes = routes;
	o.route_count = route_count;
	if (only_check)
		return check(&o);
	if (serve) {
		d.due_only = false;
		o.no_watch = false;
	}
	struct tm_dag *dag;
	struct tm_airflow *airflow;
	if (tm_dag_open(&d, &dag, &err) != TM_OK || tm_airflow_start(&o, dag, &airflow, &err) != TM_OK)
		return fail(&err);
	struct tm_dag_counts n;
	for (tm_dag_counts(dag, &n); n.files_loading; tm_dag_counts(dag, &n))
		usleep(500);
	int status = n.import_errors ? 2 : 0;
	for (size_t i = 0; i < trigger_count; i++) {
		struct tm_dag_trigger how = {.conf_json = conf, .run_id = trigger_run_id, .logical_date_us = TM_DAG_NEVER};
		long long us;
		if (logical && !strcmp(logical, "none"))
			how.no_logical_date = true;
		else if (logical && sscanf(logical, "%lld", &us) == 1)
			how.logical_date_us = us;
		if (tm_dag_trigger(dag, triggers[i], &how, NULL, &err) != TM_OK)
			return fail(&err);
	}
	while (serve || (!list && !tm_dag_idle(dag)))
		usleep(serve ? 100000 : 500);
	struct tm_buf out = {0}, errors = {0};
	if ((list ? tm_dag_list_json(dag, &out, &err) : tm_dag_summary_json(dag, &out, &err)) != TM_OK ||
	    tm_dag_errors_json(dag, &errors, &err) != TM_OK)
		return fail(&err);
	printf("{\"data\":\"%s\",\"errors\":%s,\"dags\":%s}\n", d.data_dir, tm_buf_cstr(&errors), tm_buf_cstr(&out));
	tm_dag_counts(dag, &n);
	tm_airflow_stop(airflow);
	tm_dag_close(dag);
	tm_buf_done(&out);
	tm_buf_done(&errors);
	if (!keep && tm_dir_remove(d.data_dir, &err) != TM_OK)
		return fail(&err);
	return status ? status : n.runs_failed ? 1 : 0;
}
