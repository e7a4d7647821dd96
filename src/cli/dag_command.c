/* `tidemill dag` and `tidemill doctor`: questions to the running instance. */
#include "cli/command.h"
#include "cli/dag_export.h"
#include "cli/diagnose.h"
#include "cli/remote.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct dag_command {
	struct tm_common common;
	bool secrets;
	const char *conf, *run_id;
	int64_t try_number;
	struct tm_remote remote;
};

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* GET path (or POST body), parsed; NULL after the error was said. */
static json_t *ask(struct dag_command *c, const char *path, const char *body, int *ret_status)
{
	struct tm_buf out = {0};
	struct tm_err err;
	json_t *answer = NULL;
	if (tm_remote_call(&c->remote, path, body, &out, &err) != TM_OK)
		*ret_status = tm_command_fail(&err, c->common.json, (struct tm_str){0});
	else
		answer = json_loadb(out.at, out.len, 0, NULL);
	tm_buf_done(&out);
	return answer;
}

static void dump(const json_t *v)
{
	char *s = json_dumps(v, JSON_COMPACT);
	printf("%s\n", s);
	free(s);
}

static int list(struct dag_command *c)
{
	int status = 0;
	json_t *dags = ask(c, "/api/dags", NULL, &status), *d;
	size_t i;
	if (!dags)
		return status;
	if (c->common.json) {
		dump(dags);
	} else {
		printf("%-32s %-8s %-24s %-10s %s\n", "dag", "airflow", "schedule", "last run", "file");
		json_array_foreach(dags, i, d)
		    printf("%-32s %-8s %-24s %-10s %s\n", str(d, "dag_id"), str(d, "dialect"), str(d, "timetable_summary"),
			   str(json_object_get(d, "last_run"), "state"), str(d, "file"));
	}
	json_decref(dags);
	return 0;
}

static int trigger(struct dag_command *c, const char *dag_id)
{
	char *name = tm_remote_escape(dag_id), path[600];
	snprintf(path, sizeof path, "/api/dags/%s/trigger", name);
	free(name);
	json_error_t bad;
	json_t *conf = json_loads(c->conf ? c->conf : "{}", 0, &bad), *request = NULL, *answer = NULL;
	int status = 0;
	if (!conf) {
		struct tm_err err;
		tm_fail(&err, TM_INVALID, "--conf is not JSON: %s", bad.text);
		return tm_command_fail(&err, c->common.json, (struct tm_str){0});
	}
	request = json_pack("{s:o}", "conf", conf);
	if (c->run_id)
		json_object_set_new(request, "run_id", json_string(c->run_id));
	char *body = json_dumps(request, JSON_COMPACT);
	answer = ask(c, path, body, &status);
	if (answer && c->common.json)
		dump(answer);
	else if (answer)
		printf("%s\n", str(answer, "run_id"));
	free(body);
	json_decref(request);
	json_decref(answer);
	return status;
}

static int print_log(struct dag_command *c, const char *dag, const char *run, const char *task)
{
	char *d = tm_remote_escape(dag), *r = tm_remote_escape(run), *t = tm_remote_escape(task);
	struct tm_buf path = {0}, out = {0};
	struct tm_err err;
	int status = 0;
	tm_buf_printf(&path, "/api/dags/%s/runs/%s/tasks/%s/log?try=%lld", d, r, t, (long long)c->try_number);
	if (tm_remote_call(&c->remote, tm_buf_cstr(&path), NULL, &out, &err) != TM_OK)
		status = err.rc == TM_NOT_FOUND ? 0 : tm_command_fail(&err, c->common.json, (struct tm_str){0});
	else
		fwrite(out.at, 1, out.len, stdout);
	tm_buf_done(&out);
	tm_buf_done(&path);
	free(d);
	free(r);
	free(t);
	return status;
}

static int logs(struct dag_command *c, const char *dag_id, const char *task_id)
{
	char *name = tm_remote_escape(dag_id), path[1200];
	int status = 0;
	const char *run = c->run_id;
	json_t *runs = NULL, *detail = NULL, *t;
	if (!run) {
		snprintf(path, sizeof path, "/api/dags/%s/runs?limit=1", name);
		runs = ask(c, path, NULL, &status);
		run = runs ? str(json_array_get(runs, 0), "run_id") : NULL;
		if (runs && !*run) {
			struct tm_err err;
			tm_fail(&err, TM_NOT_FOUND, "DAG %s has not run yet", dag_id);
			tm_err_hint(&err, "`tidemill dag trigger %s` starts a run.", dag_id);
			status = tm_command_fail(&err, c->common.json, (struct tm_str){0});
		}
	}
	if (!status && run && *run) {
		char *escaped = tm_remote_escape(run);
		snprintf(path, sizeof path, "/api/dags/%s/runs/%s", name, escaped);
		free(escaped);
		detail = ask(c, path, NULL, &status);
		const json_t *tasks = json_object_get(detail, "task_instances") ? json_object_get(detail, "task_instances")
										: json_object_get(detail, "tasks");
		size_t i;
		json_array_foreach(tasks, i, t)
		{
			if (task_id && strcmp(str(t, "task_id"), task_id) != 0)
				continue;
			if (!task_id)
				printf("==> %s (%s)\n", str(t, "task_id"), str(t, "state"));
			status = print_log(c, dag_id, run, str(t, "task_id"));
		}
	}
	json_decref(runs);
	json_decref(detail);
	free(name);
	return status;
}

int tm_command_dag(const struct tm_command *self, int argc, char **argv)
{
	struct dag_command c = {0};
	const struct tm_arg args[] = {
	    {"--conf", TM_ARG_TEXT, &c.conf, "JSON", "trigger: dag_run.conf"},
	    {"--run", TM_ARG_TEXT, &c.run_id, "RUN_ID", "the run (logs: default the newest)"},
	    {"--try", TM_ARG_NUMBER, &c.try_number, "N", "logs: of this try (default the newest)"},
	    {"--secrets", TM_ARG_FLAG, &c.secrets, NULL, "export: write passwords too, to secrets.env"},
	    TM_COMMON_ARGS(&c.common),
	};
	struct tm_texts words = {0};
	int status = 2;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		struct tm_err err;
		const char *verb = words.count ? words.items[0] : "";
		bool is_list = strcmp(verb, "list") == 0 && words.count == 1, is_trigger = strcmp(verb, "trigger") == 0 && words.count == 2;
		bool is_logs = strcmp(verb, "logs") == 0 && (words.count == 2 || words.count == 3);
		if (strcmp(verb, "export") == 0 && words.count <= 2) {
			status = tm_dag_export(&c.common, words.count == 2 ? words.items[1] : NULL, c.secrets);
		} else if (!is_list && !is_trigger && !is_logs) {
			status = tm_command_misused(self, c.common.json);
		} else {
			tm_rc rc = tm_remote_find(&c.remote, c.common.project, &err);
			status = rc != TM_OK  ? tm_command_fail(&err, c.common.json, (struct tm_str){0})
				 : is_list    ? list(&c)
				 : is_trigger ? trigger(&c, words.items[1])
					      : logs(&c, words.items[1], words.count == 3 ? words.items[2] : NULL);
			tm_remote_done(&c.remote);
		}
	}
	tm_texts_done(&words);
	return status;
}

/* Asks the instance; where none runs, says what `check` finds. */
int tm_command_doctor(const struct tm_command *self, int argc, char **argv)
{
	struct dag_command c = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&c.common)};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		struct tm_err err;
		const char *dir = words.count ? words.items[0] : c.common.project;
		if (tm_remote_find(&c.remote, dir, &err) != TM_OK) {
			fprintf(stderr, "No instance of this project is running, so only its files are looked at.\n");
			char *check_argv[] = {(char *)(uintptr_t)(dir ? dir : "."), (char *)(uintptr_t) "--json"};
			status = tm_command_check(self, c.common.json ? 2 : 1, check_argv);
		} else {
			struct tm_buf out = {0};
			if (tm_remote_call(&c.remote, "/api/diagnosis", NULL, &out, &err) != TM_OK) {
				status = tm_command_fail(&err, c.common.json, (struct tm_str){0});
			} else if (c.common.json) {
				printf("%s\n", tm_buf_cstr(&out));
			} else {
				struct tm_buf text = {0};
				tm_findings_text(tm_buf_str(&out), tm_color(1), &text);
				printf("%s",
				       text.len ? tm_buf_cstr(&text) : "Nothing is wrong: every topic, pipeline and DAG run is well.\n");
				tm_buf_done(&text);
			}
			status = status ? status : memmem(out.at ? out.at : "", out.len, "\"error\"", 7) != NULL;
			tm_buf_done(&out);
		}
		tm_remote_done(&c.remote);
	}
	tm_texts_done(&words);
	return status;
}
