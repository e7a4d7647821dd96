/* The engine without Python: definitions given as JSON, empty and shell tasks, every state; durability by opening again. */
#include <unistd.h>
#include "dag/dag_int.h"
#include "unit.h"

struct fixture {
	char dir[64];
	struct tm_dag *dag;
	struct tm_err err;
};
static void open_engine(struct fixture *f)
{
	struct tm_dag_options o = {.data_dir = f->dir, .due_only = true};
	CHECK_OK(tm_dag_open(&o, &f->dag, &f->err), f->err);
}
static void setup(struct fixture *f)
{
	*f = (struct fixture){0};
	snprintf(f->dir, sizeof f->dir, "/tmp/dag_testXXXXXX");
	CHECK(mkdtemp(f->dir) != NULL);
	open_engine(f);
}
static void teardown(struct fixture *f)
{
	tm_dag_close(f->dag);
	CHECK_OK(tm_dir_remove(f->dir, &f->err), f->err);
}
static void wait_idle(struct fixture *f)
{
	for (int i = 0; i < 20000 && !tm_dag_idle(f->dag); i++)
		usleep(500);
	CHECK(tm_dag_idle(f->dag));
}
static void define(struct fixture *f, const char *tasks, const char *timetable)
{
	struct tm_buf b = {0};
	tm_buf_printf(&b, "{\"dags\":[{\"dag_id\":\"d\",\"start_date\":\"2026-01-01T00:00:00+00:00\",\"timetable\":%s,\"tasks\":[%s]}]}",
		      timetable, tasks);
	CHECK_OK(tm_dag_file_set(f->dag, "f.py", tm_buf_str(&b), &f->err), f->err);
	tm_buf_done(&b);
}
static json_t *run_of(struct fixture *f, const char *run_id)
{
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_run_json(f->dag, "d", run_id, &b, &f->err), f->err);
	json_t *j = json_loadb(b.at, b.len, 0, NULL);
	tm_buf_done(&b);
	return j;
}
/* "a=success b=skipped …" in order of the tasks' names. */
static void check_tasks(struct fixture *f, const char *run_id, const char *want)
{
	json_t *j = run_of(f, run_id), *t;
	json_t *by_name = json_object();
	size_t i;
	json_array_foreach(json_object_get(j, "tasks"), i, t)
	    json_object_set(by_name, json_string_value(json_object_get(t, "task_id")), json_object_get(t, "state"));
	char got[400] = "";
	struct tm_str rest = tm_str_of(want), part, name;
	while (tm_str_split(&rest, ' ', &part)) {
		struct tm_str copy = part;
		tm_str_split(&copy, '=', &name);
		char key[64];
		snprintf(key, sizeof key, "%.*s", TM_STR_ARG(name));
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s=%s", *got ? " " : "", key,
			 json_string_value(json_object_get(by_name, key)));
	}
	json_decref(by_name);
	json_decref(j);
	CHECK_STR(tm_str_of(got), want);
}
#define ONCE "{\"kind\":\"once\"}"
#define NEVER_DUE "{\"kind\":\"null\"}"
#define SHELL(id, command, rest) "{\"task_id\":\"" id "\",\"kind\":\"shell\",\"shell\":{\"command\":\"" command "\"}" rest "}"
#define RUN "scheduled__2026-01-01T00:00:00+00:00"

TEST(chain_of_shell_and_empty_tasks)
{
	struct fixture f;
	setup(&f);
	define(&f,
	       SHELL("a", "echo one; echo two", "") "," SHELL(
		   "b", "exit 99",
		   ",\"upstream\":[\"a\"]") ",{\"task_id\":\"c\",\"kind\":\"empty\",\"upstream\":[\"b\"],\"trigger_rule\":\"all_done\"}",
	       ONCE);
	wait_idle(&f);
	check_tasks(&f, RUN, "a=success b=skipped c=success");
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_xcoms_json(f.dag, "d", RUN, "a", &b, &f.err), f.err);
	CHECK_STR(tm_buf_str(&b), "[{\"task_id\":\"a\",\"map_index\":-1,\"key\":\"return_value\",\"value\":\"two\"}]");
	b.len = 0;
	CHECK_OK(tm_dag_log_path(f.dag, "d", RUN, "a", -1, 0, &b, &f.err), f.err);
	struct tm_buf log = {0};
	CHECK_OK(tm_file_read(tm_env_real(), tm_buf_cstr(&b), TM_MIB, &log, &f.err), f.err);
	CHECK(tm_str_find(tm_buf_str(&log), TM_STR("INFO - one\n"), 0) != SIZE_MAX);
	tm_buf_done(&log);
	tm_buf_done(&b);
	teardown(&f);
}

TEST(failure_retries_and_upstream_failed)
{
	struct fixture f;
	setup(&f);
	define(&f,
	       SHELL("a", "test $AIRFLOW_CTX_TRY_NUMBER = 3", ",\"retries\":2,\"retry_delay_s\":0.05") "," SHELL(
		   "b", "exit 1",
		   ",\"retries\":1,\"retry_delay_s\":0.05") "," SHELL("c", "true",
								      ",\"upstream\":[\"b\"]") "," SHELL("e", "true",
													 ",\"upstream\":[\"b\"],\"trigger_"
													 "rule\":\"one_failed\""),
	       ONCE);
	wait_idle(&f);
	check_tasks(&f, RUN, "a=success b=failed c=upstream_failed e=success");
	struct tm_dag_counts n;
	tm_dag_counts(f.dag, &n);
	CHECK_INT(n.runs_failed, 1);
	/* Clearing what failed runs it again; a definition that works now ends the run well. */
	define(&f,
	       SHELL("a", "true", "") "," SHELL("b", "true", "") "," SHELL("c", "true", ",\"upstream\":[\"b\"]") "," SHELL(
		   "e", "true", ",\"upstream\":[\"b\"],\"trigger_rule\":\"one_failed\""),
	       ONCE);
	CHECK_OK(tm_dag_clear(f.dag, "d", RUN, "b", true, false, &f.err), f.err);
	wait_idle(&f);
	check_tasks(&f, RUN, "a=success b=success c=success e=skipped");
	teardown(&f);
}

TEST(state_outlives_the_engine)
{
	struct fixture f;
	setup(&f);
	define(&f, SHELL("a", "sleep 30", "") "," SHELL("b", "true", ""), NEVER_DUE);
	char run_id[256];
	struct tm_dag_trigger how = {.run_id = "mine", .logical_date_us = TM_DAG_NEVER, .conf_json = "{\"k\": 1}"};
	CHECK_OK(tm_dag_trigger(f.dag, "d", &how, run_id, &f.err), f.err);
	CHECK_INT(tm_dag_trigger(f.dag, "d", &how, run_id, &f.err), TM_EXISTS);
	usleep(100000);
	CHECK(!tm_dag_idle(f.dag));
	tm_dag_close(f.dag);
	open_engine(&f);
	define(&f, SHELL("a", "test $AIRFLOW_CTX_TRY_NUMBER = 2", "") "," SHELL("b", "exit 1", ""), NEVER_DUE);
	wait_idle(&f);
	check_tasks(&f, "mine", "a=success b=success"); /* b had ended, so its new command did not run */
	json_t *j = run_of(&f, "mine");
	CHECK_INT(json_integer_value(json_object_get(json_object_get(j, "conf"), "k")), 1);
	json_decref(j);
	teardown(&f);
}

TEST(mapped_pool_and_mark)
{
	struct fixture f;
	setup(&f);
	CHECK_OK(tm_dag_pool_set(f.dag, "one", 1, &f.err), f.err);
	define(&f,
	       "{\"task_id\":\"m\",\"kind\":\"shell\",\"shell\":{\"command\":\"true\"},\"pool\":\"one\",\"expand\":{\"product\":[{"
	       "\"length\":2},{\"length\":3}],\"depends\":[]}}," SHELL("z", "sleep 30", ""),
	       ONCE);
	usleep(300000);
	CHECK_OK(tm_dag_mark(f.dag, "d", RUN, "z", TM_DAG_SUCCESS, &f.err), f.err);
	wait_idle(&f);
	json_t *j = run_of(&f, RUN);
	CHECK_INT(json_array_size(json_object_get(j, "tasks")), 7);
	CHECK_STR(tm_str_of(json_string_value(json_object_get(j, "state"))), "success");
	json_decref(j);
	CHECK_INT(tm_dag_trigger(f.dag, "nope", NULL, NULL, &f.err), TM_NOT_FOUND);
	teardown(&f);
}

TEST(bad_definitions_are_errors)
{
	struct fixture f;
	setup(&f);
	static const char *const bad[] = {
	    "{\"dags\":[{\"dag_id\":\"d\",\"timetable\":{\"kind\":\"nope\"},\"tasks\":[]}]}",
	    "{\"dags\":[{\"dag_id\":\"d\",\"timetable\":{\"kind\":\"null\"},\"tasks\":[{\"task_id\":\"a\",\"upstream\":[\"b\"]}]}]}",
	    "{\"dags\":[{\"dag_id\":\"d\",\"timetable\":{\"kind\":\"null\"},\"tasks\":[{\"task_id\":\"a\",\"upstream\":[\"a\"]}]}]}",
	    "{\"dags\":[{\"timetable\":{\"kind\":\"null\"}}]}", "not json"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(tm_dag_file_set(f.dag, "f.py", tm_str_of(bad[i]), &f.err) != TM_OK);
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_errors_json(f.dag, &b, &f.err), f.err);
	CHECK(tm_str_find(tm_buf_str(&b), TM_STR("no dag_id"), 0) != SIZE_MAX);
	tm_buf_done(&b);
	CHECK(tm_dag_idle(f.dag));
	teardown(&f);
}

TEST(dst_and_iso)
{
	struct tm_err err = {0};
	struct tm_zone *z;
	int64_t us;
	CHECK_OK(tm_zone_open("Europe/Vienna", &z, &err), err);
	CHECK(tm_iso_parse(TM_STR("2026-03-29T02:30:00"), &us)); /* does not exist: 03:30 summer time */
	CHECK_INT(tm_zone_utc(z, us), us - 3600 * TM_DAG_US);
	CHECK(tm_iso_parse(TM_STR("2026-10-25T02:30:00"), &us)); /* exists twice: winter time */
	CHECK_INT(tm_zone_utc(z, us), us - 3600 * TM_DAG_US);
	tm_zone_close(z);
	CHECK_INT(tm_zone_open("Nowhere/Land", &z, &err), TM_INVALID);
	CHECK(tm_iso_parse(TM_STR("2026-01-02T03:04:05.5+02:00"), &us));
	struct tm_buf b = {0};
	tm_iso_put(&b, us, ' ');
	CHECK_STR(tm_buf_str(&b), "2026-01-02 01:04:05.500000+00:00");
	tm_buf_done(&b);
	CHECK(!tm_iso_parse(TM_STR("2026-02-30"), &us));
}
TEST_MAIN()
