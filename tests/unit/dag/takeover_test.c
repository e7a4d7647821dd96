/* Two engines of one project: the second stands by, fed by the journal of the first, and goes on wherever that one lost the lead. */
#include <unistd.h>
#include "dag/dag_int.h"
#include "memory_journal.h"
#include "unit.h"

static struct tm_err err;
static char folder[64];

static struct tm_dag *engine(const char *name)
{
	char dir[100];
	struct tm_dag *d;
	snprintf(dir, sizeof dir, "%s/%s", folder, name);
	struct tm_dag_options o = {.data_dir = dir, .standby = true};
	CHECK_OK(tm_dag_open(&o, &d, &err), err);
	return d;
}

/* a -> b -> c (two mapped) -> d (fails once) -> e; each notes that it ran. */
static void define(struct tm_dag *d)
{
	struct tm_buf b = {0};
	tm_buf_cstr_put(
	    &b, "{\"dags\":[{\"dag_id\":\"d\",\"start_date\":\"2026-01-01T00:00:00+00:00\",\"timetable\":{\"kind\":\"null\"},\"tasks\":[");
	static const char *const tasks[][3] = {
	    {"a", "", "\"kind\":\"shell\",\"shell\":{\"command\":\"echo a >> %s/ran; echo xcom-of-a\",\"do_xcom_push\":true}"},
	    {"b", "\"a\"", "\"kind\":\"shell\",\"shell\":{\"command\":\"echo b >> %s/ran\"}"},
	    {"c", "\"b\"", "\"kind\":\"shell\",\"expand\":{\"length\":2},\"shell\":{\"command\":\"echo c >> %s/ran\"}"},
	    {"d", "\"c\"",
	     "\"kind\":\"shell\",\"retries\":1,\"retry_delay_s\":0.01,\"shell\":{\"command\":\"echo d >> %s/ran; test "
	     "$AIRFLOW_CTX_TRY_NUMBER "
	     "-gt 1\"}"},
	    {"e", "\"d\"", "\"kind\":\"shell\",\"shell\":{\"command\":\"echo e >> %s/ran\"}"}};
	for (size_t i = 0; i < 5; i++) {
		const char *rest = strstr(tasks[i][2], "%s");
		tm_buf_printf(&b, "%s{\"task_id\":\"%s\",\"upstream\":[%s],%.*s%s%s}", i ? "," : "", tasks[i][0], tasks[i][1],
			      (int)(rest - tasks[i][2]), tasks[i][2], folder, rest + 2);
	}
	tm_buf_cstr_put(&b, "]}]}");
	CHECK_OK(tm_dag_file_set(d, "f.py", tm_buf_str(&b), &err), err);
	tm_buf_done(&b);
}

static json_t *states(struct tm_dag *d, const char **ret_run_state)
{
	static char state[32];
	struct tm_buf b = {0};
	json_t *by_name = json_object(), *t;
	size_t i;
	*ret_run_state = "none";
	if (tm_dag_run_json(d, "d", "mine", &b, NULL) == TM_OK) {
		json_t *j = json_loadb(b.at, b.len, 0, NULL);
		snprintf(state, sizeof state, "%s", json_string_value(json_object_get(j, "state")));
		*ret_run_state = state;
		json_array_foreach(json_object_get(j, "tasks"), i, t)
		{
			char key[40];
			snprintf(key, sizeof key, "%s.%d", json_string_value(json_object_get(t, "task_id")),
				 (int)json_integer_value(json_object_get(t, "map_index")));
			json_object_set(by_name, key, json_object_get(t, "state"));
		}
		json_decref(j);
	}
	tm_buf_done(&b);
	return by_name;
}

static bool run_ends(struct tm_dag *d, const char *state, int ms)
{
	const char *now = "";
	for (int i = 0; i < ms / 2; i++) {
		json_decref(states(d, &now));
		if (strcmp(now, state) == 0)
			return true;
		if (tm_dag_lost(d))
			return false;
		usleep(2000);
	}
	return false;
}

static void feed(struct tm_dag *d, struct memory *m, bool forget_all)
{
	pthread_mutex_lock(&m->lock);
	tm_rc rc = tm_dag_apply(d, forget_all, m->entries.items, m->entries.count, &err);
	pthread_mutex_unlock(&m->lock);
	CHECK_OK(rc, err);
}

static size_t times_ran(char what)
{
	char path[100];
	struct tm_buf b = {0};
	size_t n = 0;
	snprintf(path, sizeof path, "%s/ran", folder);
	if (tm_file_read(tm_env_real(), path, TM_MIB, &b, &err) == TM_OK)
		for (size_t i = 0; i < b.len; i++)
			n += b.at[i] == what;
	tm_buf_done(&b);
	return n;
}

/* The first engine's refuse_at-th commit is refused; false: the run had ended before. */
static bool take_over(size_t refuse_at)
{
	struct memory m = MEMORY_JOURNAL;
	m.refuse_at = refuse_at;
	snprintf(folder, sizeof folder, "/tmp/dag_takeoverXXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	struct tm_dag *first = engine("first"), *second = engine("second");
	define(first);
	define(second);
	char run_id[256];
	struct tm_dag_trigger how = {.run_id = "mine", .logical_date_us = TM_DAG_NEVER, .conf_json = "{\"k\": \"\xc3\xa4 'quoted'\"}"};
	CHECK_INT(tm_dag_trigger(first, "d", &how, run_id, &err), TM_UNAVAILABLE); /* nobody leads yet */
	tm_rc rc = tm_dag_lead(first, &m.journal, true, &err);
	CHECK(rc == TM_OK || (refuse_at == 1 && rc == TM_CANCELLED));
	rc = tm_dag_trigger(first, "d", &how, run_id, &err);
	CHECK(rc == TM_OK || (tm_dag_lost(first) && rc == TM_UNAVAILABLE));
	bool triggered = rc == TM_OK, ended = run_ends(first, "success", 20000);
	CHECK(ended || tm_dag_lost(first));
	CHECK_INT(tm_dag_trigger(second, "d", &how, run_id, &err), TM_UNAVAILABLE);
	feed(second, &m, true);
	const char *run_state;
	json_t *told = states(second, &run_state); /* what had been told to anyone */
	size_t a = times_ran('a'), b = times_ran('b'), e = times_ran('e');
	m.refuses = false;
	m.refuse_at = 0;
	CHECK_OK(tm_dag_lead(second, &m.journal, m.entries.count == 0, &err), err);
	if (!triggered) {
		CHECK_OK(tm_dag_trigger(second, "d", &how, run_id, &err), err);
	} else {
		CHECK_INT(tm_dag_trigger(second, "d", &how, run_id, &err), TM_EXISTS);
	}
	CHECK(run_ends(second, "success", 20000));
#define SUCCESS(key) (strcmp(json_string_value(json_object_get(told, key)) ?: "", "success") == 0)
	if (SUCCESS("a.-1"))
		CHECK_INT(times_ran('a'), a);
	if (SUCCESS("b.-1"))
		CHECK_INT(times_ran('b'), b);
	if (SUCCESS("e.-1"))
		CHECK_INT(times_ran('e'), e);
	CHECK(times_ran('a') >= 1 && times_ran('b') >= 1 && times_ran('c') >= 2 && times_ran('d') >= 2 && times_ran('e') >= 1);
	size_t all = times_ran('a') + times_ran('b') + times_ran('c') + times_ran('d') + times_ran('e');
	CHECK(all <= 9); /* 7, and again what was under way: at most two */
	struct tm_buf x = {0};
	CHECK_OK(tm_dag_xcoms_json(second, "d", "mine", "a", &x, &err), err);
	CHECK(strstr(tm_buf_cstr(&x), "xcom-of-a"));
	x.len = 0;
	CHECK_OK(tm_dag_run_json(second, "d", "mine", &x, &err), err);
	CHECK(strstr(tm_buf_cstr(&x), "\xc3\xa4 'quoted'"));
	tm_buf_done(&x);
	json_decref(told);
	tm_dag_close(first);
	tm_dag_close(second);
	CHECK_OK(tm_dir_remove(folder, &err), err);
	memory_done(&m);
	return !ended;
}

TEST(the_run_goes_on_wherever_the_lead_was_lost)
{
	size_t at = 1;
	tm_say_level_set(TM_SAY_ERROR);
	while (at < 60 && take_over(at))
		at++;
	CHECK(at > 8 && at < 60); /* every commit of the run was refused once */
}

TEST(a_standby_engine_shows_what_the_leader_does)
{
	struct memory m = MEMORY_JOURNAL;
	snprintf(folder, sizeof folder, "/tmp/dag_takeoverXXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	struct tm_dag *first = engine("first"), *second = engine("second");
	define(first);
	define(second);
	CHECK_OK(tm_dag_lead(first, &m.journal, true, &err), err);
	CHECK_OK(tm_dag_pause(first, "d", true, &err), err);
	CHECK_OK(tm_dag_variable_set(first, "v", "1", &err), err);
	CHECK_OK(tm_dag_pool_set(first, "p", 3, &err), err);
	feed(second, &m, true);
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_list_json(second, &b, &err), err);
	CHECK(strstr(tm_buf_cstr(&b), "\"paused\":true"));
	CHECK_OK(tm_dag_pause(first, "d", false, &err), err);
	CHECK_OK(tm_dag_variable_set(first, "v", NULL, &err), err);
	char run_id[256];
	struct tm_dag_trigger how = {.run_id = "mine", .logical_date_us = TM_DAG_NEVER};
	CHECK_OK(tm_dag_trigger(first, "d", &how, run_id, &err), err);
	CHECK(run_ends(first, "success", 20000));
	feed(second, &m, false);
	b.len = 0;
	CHECK_OK(tm_dag_list_json(second, &b, &err), err);
	CHECK(strstr(tm_buf_cstr(&b), "\"paused\":false"));
	const char *state;
	json_t *of_first = states(first, &state), *of_second = states(second, &state);
	CHECK(strcmp(state, "success") == 0 && json_equal(of_first, of_second) && json_object_size(of_second) == 6);
	json_decref(of_first);
	json_decref(of_second);
	CHECK_INT(tm_dag_pause(second, "d", true, &err), TM_UNAVAILABLE);
	CHECK_INT(tm_dag_clear(second, "d", "mine", NULL, false, false, &err), TM_UNAVAILABLE);
	CHECK_INT(tm_dag_mark(second, "d", "mine", NULL, TM_DAG_FAILED, &err), TM_UNAVAILABLE);
	tm_buf_done(&b);
	tm_dag_close(first);
	tm_dag_close(second);
	CHECK_OK(tm_dir_remove(folder, &err), err);
	memory_done(&m);
}

TEST_MAIN()
