/* Questions of the cli and the page: each runs on the loop and writes one JSON value. */
#include <unistd.h>
#include "dag/dag_int.h"

struct question {
	struct tm_dag *d;
	const char *dag_id, *run_id, *task_id;
	int map_index, limit, offset;
	struct tm_buf *out;
	tm_rc rc;
	struct tm_err *err;
};
static tm_rc ask(struct question *q, void (*fn)(void *))
{
	tm_dag_call(q->d, fn, q, NULL);
	return q->rc;
}
static void answer(struct question *q, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	tm_buf_cstr_put(q->out, text ? text : "null");
	free(text);
	json_decref(j);
}

void tm_dag_iso_columns(json_t *row)
{
	static const char *const names[][2] = {{"logical_us", "logical_date"},
					       {"interval_start_us", "data_interval_start"},
					       {"interval_end_us", "data_interval_end"},
					       {"run_after_us", "run_after"},
					       {"queued_us", "queued_at"},
					       {"start_us", "start_date"},
					       {"end_us", "end_date"},
					       {"next_us", "next_try_at"},
					       {"first_us", NULL}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const json_t *v = json_object_get(row, names[i][0]);
		if (!v)
			continue;
		if (names[i][1])
			json_object_set_new(row, names[i][1], tm_dag_iso(json_is_integer(v) ? json_integer_value(v) : TM_DAG_NEVER));
		json_object_del(row, names[i][0]);
	}
}
static void json_column(json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));
	json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	json_object_set_new(row, name, v ? v : json_null());
}

static json_t *dag_summary(struct tm_dag *d, const struct dag_entry *e)
{
	const json_t *j = e->def->json;
	json_t *o =
	    json_pack("{s:s,s:s,s:b,s:i}", "dag_id", e->dag_id, "file", e->def->file, "paused", e->paused, "tasks", e->def->task_count);
	static const char *const copied[] = {
	    "dialect", "description", "timetable_summary", "timetable_description", "timezone", "tags", "catchup", "owner", "start_date",
	    "params",  "doc_md",      "dag_display_name"};
	for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
		if (json_object_get(j, copied[i]))
			json_object_set(o, copied[i], json_object_get(j, copied[i]));
	json_object_set_new(o, "next_run_after", tm_dag_iso(e->has_next && !e->paused ? e->next.run_after_us : TM_DAG_NEVER));
	json_object_set_new(o, "next_logical_date", tm_dag_iso(e->has_next && !e->paused ? e->next.logical_us : TM_DAG_NEVER));
	json_t *runs = tm_dag_store_rows(
	    d->store, "SELECT run_id, state, run_type, logical_us, start_us, end_us FROM run WHERE dag_id=? ORDER BY id DESC LIMIT 1", "s",
	    e->dag_id);
	json_t *last = json_array_get(runs, 0);
	if (last)
		tm_dag_iso_columns(last);
	json_object_set(o, "last_run", last ? last : json_null());
	if (!last)
		json_object_set_new(o, "last_run", json_null());
	json_decref(runs);
	json_t *counts = tm_dag_store_rows(d->store, "SELECT state, count(*) AS n FROM run WHERE dag_id=? GROUP BY state", "s", e->dag_id),
	       *row, *states = json_object();
	size_t i;
	json_array_foreach(counts, i, row)
	    json_object_set(states, json_string_value(json_object_get(row, "state")), json_object_get(row, "n"));
	json_object_set_new(o, "runs", states);
	json_decref(counts);
	return o;
}

static void list(void *ctx)
{
	struct question *q = ctx;
	json_t *a = json_array();
	for (size_t i = 0; i < q->d->dags.count; i++)
		if (q->d->dags.items[i]->def)
			json_array_append_new(a, dag_summary(q->d, q->d->dags.items[i]));
	answer(q, a);
}
tm_rc tm_dag_list_json(struct tm_dag *d, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .out = out, .err = err}, list);
}

static struct dag_entry *entry_or_fail(struct question *q)
{
	struct dag_entry *e = tm_dag_entry(q->d, q->dag_id, false);
	if (!e || !e->def) {
		q->rc = tm_fail(q->err, TM_NOT_FOUND, "there is no DAG '%s'", q->dag_id);
		tm_err_hint(q->err, "`tidemill dag list` shows the DAGs that were loaded");
		return NULL;
	}
	return e;
}

static void get(void *ctx)
{
	struct question *q = ctx;
	struct dag_entry *e = entry_or_fail(q);
	if (!e)
		return;
	json_t *o = json_deep_copy(e->def->json), *s = dag_summary(q->d, e);
	json_object_set_new(s, "task_count", json_integer(e->def->task_count));
	json_object_del(s, "tasks");
	json_object_update(o, s);
	json_decref(s);
	json_t *edges = json_array();
	for (int i = 0; i < e->def->task_count; i++)
		for (int k = 0; k < e->def->tasks[i].down_count; k++)
			json_array_append_new(
			    edges, json_pack("[s,s]", e->def->tasks[i].task_id, e->def->tasks[e->def->tasks[i].down[k]].task_id));
	json_object_set_new(o, "edges", edges);
	answer(q, o);
}
tm_rc tm_dag_get_json(struct tm_dag *d, const char *dag_id, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .dag_id = dag_id, .out = out, .err = err}, get);
}

static void errors(void *ctx)
{
	struct question *q = ctx;
	json_t *a = json_array(), *def;
	const char *file;
	json_object_foreach(q->d->files, file, def) json_array_extend(a, json_object_get(def, "errors"));
	answer(q, a);
}
tm_rc tm_dag_errors_json(struct tm_dag *d, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .out = out, .err = err}, errors);
}

static void runs(void *ctx)
{
	struct question *q = ctx;
	int64_t limit = q->limit > 0 ? q->limit : 100, offset = q->offset > 0 ? q->offset : 0;
	json_t *rows = q->dag_id
			   ? tm_dag_store_rows(q->d->store, "SELECT * FROM run WHERE dag_id=? ORDER BY id DESC LIMIT ? OFFSET ?", "sii",
					       q->dag_id, limit, offset)
			   : tm_dag_store_rows(q->d->store, "SELECT * FROM run ORDER BY id DESC LIMIT ? OFFSET ?", "ii", limit, offset);
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		tm_dag_iso_columns(row);
		json_column(row, "conf");
	}
	answer(q, rows);
}
tm_rc tm_dag_runs_json(struct tm_dag *d, const char *dag_id, int limit, int offset, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .dag_id = dag_id, .limit = limit, .offset = offset, .out = out, .err = err}, runs);
}

static int64_t run_or_fail(struct question *q)
{
	int64_t id = tm_dag_store_int(q->d->store, -1, "SELECT id FROM run WHERE dag_id=? AND run_id=?", "ss", q->dag_id, q->run_id);
	if (id < 0)
		q->rc = tm_fail(q->err, TM_NOT_FOUND, "DAG '%s' has no run '%s'", q->dag_id, q->run_id);
	return id;
}

/* Rows of instances, and of tasks that have none yet: those in memory know more than the disk (scheduled), the definition the rest. */
static json_t *instances(struct tm_dag *d, int64_t id, const char *dag_id)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT * FROM ti WHERE run=? ORDER BY start_us IS NULL, start_us, task_id, map_index",
					 "i", id),
	       *row, *seen = json_object();
	size_t i;
	json_array_foreach(rows, i, row)
	{
		tm_dag_iso_columns(row);
		json_object_del(row, "run");
		json_object_set_new(seen, json_string_value(json_object_get(row, "task_id")), json_true());
	}
	struct run *r = tm_dag_active_run(d, id);
	struct dag_entry *e = tm_dag_entry(d, dag_id, false);
	for (int k = 0; e && e->def && k < e->def->task_count; k++) {
		const char *task_id = e->def->tasks[k].task_id;
		if (json_object_get(seen, task_id))
			continue;
		enum tm_dag_state s = r && k < r->slot_count ? r->slots[k].items[0].state : TM_DAG_NONE;
		json_array_append_new(rows, json_pack("{s:s,s:i,s:s,s:i,s:i}", "task_id", task_id, "map_index", -1, "state",
						      tm_dag_state_text(s), "try_number", 0, "max_tries", e->def->tasks[k].retries));
	}
	json_decref(seen);
	return rows;
}

static void run_json(void *ctx)
{
	struct question *q = ctx;
	int64_t id = run_or_fail(q);
	if (id < 0)
		return;
	json_t *rows = tm_dag_store_rows(q->d->store, "SELECT * FROM run WHERE id=?", "i", id), *row = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	tm_dag_iso_columns(row);
	json_column(row, "conf");
	json_object_set_new(row, "tasks", instances(q->d, id, q->dag_id));
	answer(q, row);
}
tm_rc tm_dag_run_json(struct tm_dag *d, const char *dag_id, const char *run_id, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .dag_id = dag_id, .run_id = run_id, .out = out, .err = err}, run_json);
}

static void tries(void *ctx)
{
	struct question *q = ctx;
	int64_t id = run_or_fail(q);
	if (id < 0)
		return;
	json_t *rows = tm_dag_store_rows(q->d->store, "SELECT * FROM try WHERE run=? AND task_id=? AND map_index=? ORDER BY try_number",
					 "isi", id, q->task_id, (int64_t)q->map_index),
	       *row;
	json_t *now = tm_dag_store_rows(
	    q->d->store,
	    "SELECT try_number, state, start_us, end_us, error FROM ti WHERE run=? AND task_id=? AND map_index=? AND state='running'",
	    "isi", id, q->task_id, (int64_t)q->map_index);
	json_array_extend(rows, now);
	json_decref(now);
	size_t i;
	json_array_foreach(rows, i, row)
	{
		tm_dag_iso_columns(row);
		json_object_del(row, "run");
		struct tm_buf log = {0};
		tm_dag_log_path_put(q->d, q->dag_id, q->run_id, q->task_id, q->map_index,
				    (int)json_integer_value(json_object_get(row, "try_number")), &log);
		json_object_set_new(row, "log", json_stringn(log.at, log.len));
		tm_buf_done(&log);
	}
	answer(q, rows);
}
tm_rc tm_dag_tries_json(struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, int map_index, struct tm_buf *out,
			struct tm_err *err)
{
	return ask(
	    &(struct question){
		.d = d, .dag_id = dag_id, .run_id = run_id, .task_id = task_id, .map_index = map_index, .out = out, .err = err},
	    tries);
}

static void xcoms(void *ctx)
{
	struct question *q = ctx;
	int64_t id = run_or_fail(q);
	if (id < 0)
		return;
	json_t *rows =
	    q->task_id
		? tm_dag_store_rows(q->d->store,
				    "SELECT task_id, map_index, key, value FROM xcom WHERE run=? AND task_id=? ORDER BY map_index, key",
				    "is", id, q->task_id)
		: tm_dag_store_rows(
		      q->d->store, "SELECT task_id, map_index, key, value FROM xcom WHERE run=? ORDER BY task_id, map_index, key", "i", id);
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row) json_column(row, "value");
	answer(q, rows);
}
tm_rc tm_dag_xcoms_json(struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, struct tm_buf *out,
			struct tm_err *err)
{
	return ask(&(struct question){.d = d, .dag_id = dag_id, .run_id = run_id, .task_id = task_id, .out = out, .err = err}, xcoms);
}

static json_t *summary_of(struct tm_dag *d, const struct dag_entry *e)
{
	json_t *o = json_pack("{s:s,s:s,s:I,s:I}", "file", e->def->file, "dialect",
			      json_string_value(json_object_get(e->def->json, "dialect")) ?: "", "success", (json_int_t)e->ended_success,
			      "failed", (json_int_t)e->ended_failed);
	json_t *rows = tm_dag_store_rows(d->store,
					 "SELECT id, run_id, run_type, state, logical_us, start_us, end_us FROM run WHERE dag_id=? AND "
					 "(end_us >= ? OR end_us IS NULL) ORDER BY id",
					 "si", e->dag_id, d->due_cutoff_us);
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		json_t *tis = tm_dag_store_rows(d->store,
						"SELECT task_id, map_index, state, try_number, error FROM ti WHERE run=? ORDER BY start_us "
						"IS NULL, start_us, task_id, map_index",
						"i", (int64_t)json_integer_value(json_object_get(row, "id")));
		json_object_del(row, "id");
		tm_dag_iso_columns(row);
		json_object_set_new(row, "tasks", tis);
	}
	json_object_set_new(o, "runs", rows);
	return o;
}
static void summary(void *ctx)
{
	struct question *q = ctx;
	json_t *o = json_object();
	for (size_t i = 0; i < q->d->dags.count; i++)
		if (q->d->dags.items[i]->def)
			json_object_set_new(o, q->d->dags.items[i]->dag_id, summary_of(q->d, q->d->dags.items[i]));
	answer(q, o);
}
tm_rc tm_dag_summary_json(struct tm_dag *d, struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d, .out = out, .err = err}, summary);
}

static void log_path(void *ctx)
{
	struct question *q = ctx;
	int64_t id = run_or_fail(q);
	if (id < 0)
		return;
	int64_t last = tm_dag_store_int(q->d->store, -1, "SELECT try_number FROM ti WHERE run=? AND task_id=? AND map_index=?", "isi", id,
					q->task_id, (int64_t)q->map_index);
	if (last < 1) {
		q->rc = tm_fail(q->err, TM_NOT_FOUND, "task '%s' of run '%s' was not tried yet", q->task_id, q->run_id);
		return;
	}
	tm_dag_log_path_put(q->d, q->dag_id, q->run_id, q->task_id, q->map_index, q->limit > 0 ? q->limit : (int)last, q->out);
}
tm_rc tm_dag_log_path(struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, int map_index, int try_number,
		      struct tm_buf *out, struct tm_err *err)
{
	return ask(&(struct question){.d = d,
				      .dag_id = dag_id,
				      .run_id = run_id,
				      .task_id = task_id,
				      .map_index = map_index,
				      .limit = try_number,
				      .out = out,
				      .err = err},
		   log_path);
}
