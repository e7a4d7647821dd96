/* A disk that refuses a commit: the caller hears of it, what is shown is what is on disk, and it goes on when the disk takes it. */
#include <sqlite3.h>
#include <unistd.h>
#include "dag/store_int.h"
#include "unit.h"

static struct tm_err err;
static char folder[64];

static struct tm_dag *engine(void)
{
	struct tm_dag *d;
	struct tm_dag_options o = {.data_dir = folder};
	CHECK_OK(tm_dag_open(&o, &d, &err), err);
	return d;
}

struct sql {
	struct tm_dag *d;
	const char *text;
};
static void run_sql(void *ctx)
{
	struct sql *c = ctx;
	CHECK_INT(sqlite3_exec(c->d->store->db, c->text, NULL, NULL, NULL), SQLITE_OK);
}
static void sql(struct tm_dag *d, const char *text) { CHECK_OK(tm_dag_call(d, run_sql, &(struct sql){d, text}, &err), err); }

/* What the disk refuses from here on, as a full one would. */
static void refuse(struct tm_dag *d, const char *what)
{
	char text[200];
	snprintf(text, sizeof text, "CREATE TEMP TRIGGER refuses BEFORE %s BEGIN SELECT RAISE(FAIL, 'no space'); END", what);
	sql(d, text);
}
static void accept_again(struct tm_dag *d) { sql(d, "DROP TRIGGER refuses"); }

struct known {
	struct tm_dag *d;
	bool *ret;
};
static void pool_known(void *ctx)
{
	struct known *c = ctx;
	*c->ret = json_object_get(c->d->pools, "p") != NULL;
}

static tm_rc define(struct tm_dag *d)
{
	return tm_dag_file_set(d, "f.py",
			       TM_STR("{\"dags\":[{\"dag_id\":\"d\",\"start_date\":\"2026-01-01T00:00:00+00:00\",\"timetable\":{\"kind\":"
				      "\"null\"},\"tasks\":[{\"task_id\":\"a\",\"kind\":\"empty\"}]}]}"),
			       &err);
}

static bool ends(struct tm_dag *d, const char *run_id)
{
	bool success = false;
	for (int i = 0; i < 5000 && !success; i++) {
		struct tm_buf b = {0};
		success = tm_dag_run_json(d, "d", run_id, &b, NULL) == TM_OK && strstr(tm_buf_cstr(&b), "\"state\":\"success\"");
		tm_buf_done(&b);
		usleep(2000);
	}
	return success;
}

static bool shows(struct tm_dag *d, const char *what)
{
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_list_json(d, &b, &err), err);
	bool shown = strstr(tm_buf_cstr(&b), what) != NULL;
	tm_buf_done(&b);
	return shown;
}

TEST(a_command_that_is_not_on_disk_has_failed)
{
	snprintf(folder, sizeof folder, "/tmp/dag_refusedXXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	struct tm_dag *d = engine();
	CHECK_OK(define(d), err);
	char run_id[256];
	struct tm_dag_trigger how = {.run_id = "mine", .logical_date_us = TM_DAG_NEVER};
	refuse(d, "INSERT ON run");
	CHECK_INT(tm_dag_trigger(d, "d", &how, run_id, &err), TM_IO);
	CHECK(strstr(err.what, "no space"));
	CHECK_INT(tm_dag_run_json(d, "d", "mine", &(struct tm_buf){0}, NULL), TM_NOT_FOUND);
	CHECK_INT(tm_dag_trigger(d, "d", &how, run_id, &err), TM_IO); /* at once, not when the disk is tried again */
	accept_again(d);
	CHECK_OK(tm_dag_trigger(d, "d", &how, run_id, &err), err);
	CHECK(ends(d, "mine"));
	refuse(d, "UPDATE OF paused ON dag");
	CHECK_INT(tm_dag_pause(d, "d", true, &err), TM_IO);
	CHECK(shows(d, "\"paused\":false"));
	accept_again(d);
	refuse(d, "INSERT ON pool");
	CHECK_INT(tm_dag_pool_set(d, "p", 3, &err), TM_IO);
	bool known = true;
	CHECK_OK(tm_dag_call(d, pool_known, &(struct known){d, &known}, &err), err);
	CHECK(!known);
	accept_again(d);
	CHECK_OK(tm_dag_pause(d, "d", true, &err), err);
	tm_dag_close(d);
	d = engine();
	CHECK_OK(define(d), err);
	CHECK(shows(d, "\"paused\":true") && ends(d, "mine"));
	tm_dag_close(d);
	CHECK_OK(tm_dir_remove(folder, &err), err);
}

TEST(a_definition_and_the_end_of_a_task_are_written_when_the_disk_takes_them)
{
	snprintf(folder, sizeof folder, "/tmp/dag_refusedXXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	struct tm_dag *d = engine();
	char run_id[256];
	refuse(d, "INSERT ON dag");
	CHECK_INT(define(d), TM_IO);
	accept_again(d);
	CHECK_OK(tm_dag_trigger(d, "d", &(struct tm_dag_trigger){.run_id = "first", .logical_date_us = TM_DAG_NEVER}, run_id, &err), err);
	CHECK(ends(d, "first"));
	CHECK_OK(tm_dag_pause(d, "d", true, &err), err); /* the definition's row is there */
	CHECK_OK(tm_dag_pause(d, "d", false, &err), err);
	/* The end of a run comes in a turn of its own. */
	CHECK_OK(
	    tm_dag_file_set(d, "f.py",
			    TM_STR("{\"dags\":[{\"dag_id\":\"d\",\"start_date\":\"2026-01-01T00:00:00+00:00\",\"timetable\":{\"kind\":"
				   "\"null\"},\"tasks\":[{\"task_id\":\"a\",\"kind\":\"shell\",\"shell\":{\"command\":\"sleep 0.3\"}}]}]}"),
			    &err),
	    err);
	CHECK_OK(tm_dag_trigger(d, "d", &(struct tm_dag_trigger){.run_id = "second", .logical_date_us = TM_DAG_NEVER}, run_id, &err), err);
	refuse(d, "UPDATE OF end_us ON run");
	usleep(1200000);
	struct tm_buf b = {0};
	CHECK_OK(tm_dag_run_json(d, "d", "second", &b, NULL), err);
	CHECK(strstr(tm_buf_cstr(&b), "\"state\":\"running\"")); /* shown as it is on disk */
	tm_buf_done(&b);
	accept_again(d);
	CHECK(ends(d, "second"));
	tm_dag_close(d);
	CHECK_OK(tm_dir_remove(folder, &err), err);
}

TEST_MAIN()
