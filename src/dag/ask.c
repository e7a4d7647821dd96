/* What a running task may ask: XComs, Variables, states of other runs, triggering a run. One function per operation; the
 * answer is a JSON value, or {"error": text}. */
#include "dag/dag_int.h"

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }
static json_t *wrong(const char *text) { return json_pack("{s:s}", "error", text); }

/* The run a question is about: the asker's own, or one named by dag_id and run_id. -1 = none. */
static int64_t run_of(struct tm_dag *d, const struct work *w, const json_t *q)
{
	const char *dag_id = text_of(q, "dag_id"), *run_id = text_of(q, "run_id");
	if (!dag_id && !run_id)
		return w->run_id;
	if (!run_id)
		run_id = json_string_value(json_object_get(w->run_json, "run_id"));
	return tm_dag_store_int(d->store, -1, "SELECT id FROM run WHERE dag_id=? AND run_id=?", "ss", dag_id ? dag_id : w->dag_id, run_id);
}

static json_t *xcom_push(struct tm_dag *d, const struct work *w, const json_t *q)
{
	const char *key = text_of(q, "key");
	if (!key)
		return wrong("an XCom needs a key");
	tm_dag_store_exec(d->store, "INSERT OR REPLACE INTO xcom VALUES (?,?,?,?,?)", "isisj", w->run_id, w->task_id, (int64_t)w->map_index,
			  key, json_object_get(q, "value"));
	return json_true();
}

static void xcom_rows(struct tm_dag *d, int64_t run, const char *task_id, const char *key, json_t *out)
{
	json_t *rows =
	    task_id ? tm_dag_store_rows(d->store,
					"SELECT task_id, map_index, value FROM xcom WHERE run=? AND key=? AND task_id=? ORDER BY map_index",
					"iss", run, key, task_id)
		    : tm_dag_store_rows(d->store,
					"SELECT task_id, map_index, value FROM xcom WHERE run=? AND key=? ORDER BY task_id, map_index",
					"is", run, key);
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		json_t *v = json_loads(text_of(row, "value") ?: "null", JSON_DECODE_ANY, NULL);
		json_object_set_new(row, "value", v ? v : json_null());
		json_array_append(out, row);
	}
	json_decref(rows);
}

static json_t *xcom_pull(struct tm_dag *d, const struct work *w, const json_t *q)
{
	const char *key = text_of(q, "key"), *dag_id = text_of(q, "dag_id");
	const json_t *ids = json_object_get(q, "task_ids");
	json_t *out = json_array(), *id;
	int64_t run = run_of(d, w, q);
	size_t i;
	if (!key)
		key = "return_value";
	if (json_is_array(ids)) {
		json_array_foreach(ids, i, id) xcom_rows(d, run, json_string_value(id), key, out);
	} else {
		xcom_rows(d, run, json_string_value(ids), key, out);
	}
	if (json_array_size(out) || !json_is_true(json_object_get(q, "include_prior_dates")))
		return out;
	/* Nothing in this run: the newest earlier run that has it. */
	const char *one = json_is_array(ids) ? json_string_value(json_array_get(ids, 0)) : json_string_value(ids);
	run = tm_dag_store_int(d->store, -1,
			       "SELECT r.id FROM run r JOIN xcom x ON x.run = r.id WHERE r.dag_id=? AND x.task_id=? AND x.key=? AND "
			       "r.logical_us <= (SELECT logical_us FROM run WHERE id=?)"
			       " ORDER BY r.logical_us DESC LIMIT 1",
			       "sssi", dag_id ? dag_id : w->dag_id, one, key, w->run_id);
	if (run >= 0)
		xcom_rows(d, run, one, key, out);
	return out;
}

static json_t *variable_get(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)w;
	json_t *rows = tm_dag_store_rows(d->store, "SELECT value FROM variable WHERE key=?", "s", text_of(q, "key"));
	json_t *v = json_array_size(rows) ? json_incref(json_object_get(json_array_get(rows, 0), "value")) : json_null();
	json_decref(rows);
	return v;
}
static json_t *variable_set(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)w;
	if (!text_of(q, "key") || !text_of(q, "value"))
		return wrong("a Variable needs a key and a value");
	tm_dag_store_exec(d->store, "INSERT OR REPLACE INTO variable VALUES (?,?)", "ss", text_of(q, "key"), text_of(q, "value"));
	return json_true();
}
static json_t *variable_delete(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)w;
	tm_dag_store_exec(d->store, "DELETE FROM variable WHERE key=?", "s", text_of(q, "key"));
	return json_true();
}

/* The first row as an answer, null where there is none; takes the rows. */
static json_t *run_answer(json_t *rows)
{
	json_t *row = json_array_size(rows) ? json_incref(json_array_get(rows, 0)) : json_null();
	if (json_is_object(row)) {
		tm_dag_iso_columns(row);
		json_t *conf = json_loads(text_of(row, "conf") ?: "{}", 0, NULL);
		json_object_set_new(row, "conf", conf ? conf : json_object());
	}
	json_decref(rows);
	return row;
}

/* The newest successful run before the asker's. */
static json_t *prev_success(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)q;
	json_t *rows = tm_dag_store_rows(d->store,
					 "SELECT p.* FROM run p, run me WHERE me.id=? AND p.dag_id = me.dag_id AND p.state='success' AND "
					 "p.logical_us < me.logical_us ORDER BY p.logical_us DESC LIMIT 1",
					 "i", w->run_id);
	return run_answer(rows);
}

static json_t *run_get(struct tm_dag *d, const struct work *w, const json_t *q)
{
	int64_t logical;
	const char *at = text_of(q, "logical_date"), *dag_id = text_of(q, "dag_id");
	json_t *rows = at && tm_iso_parse(tm_str_of(at), &logical)
			   ? tm_dag_store_rows(d->store, "SELECT * FROM run WHERE dag_id=? AND logical_us=?", "si",
					       dag_id ? dag_id : w->dag_id, logical)
			   : tm_dag_store_rows(d->store, "SELECT * FROM run WHERE id=?", "i", run_of(d, w, q));
	return run_answer(rows);
}

/* States of tasks in runs at given logical dates (or run ids): what ExternalTaskSensor counts. */
static json_t *task_states(struct tm_dag *d, const struct work *w, const json_t *q)
{
	const char *dag_id = text_of(q, "dag_id");
	json_t *out = json_array(), *at;
	size_t i;
	json_array_foreach(json_object_get(q, "logical_dates"), i, at)
	{
		int64_t logical;
		if (!json_is_string(at) || !tm_iso_parse(tm_str_of(json_string_value(at)), &logical))
			continue;
		json_t *run = tm_dag_store_rows(d->store, "SELECT id, run_id, state FROM run WHERE dag_id=? AND logical_us=?", "si",
						dag_id ? dag_id : w->dag_id, logical),
		       *row;
		size_t k;
		json_array_foreach(run, k, row)
		{
			json_object_set_new(row, "tasks",
					    tm_dag_store_rows(d->store, "SELECT task_id, map_index, state FROM ti WHERE run=?", "i",
							      (int64_t)json_integer_value(json_object_get(row, "id"))));
			json_array_append(out, row);
		}
		json_decref(run);
	}
	return out;
}

static json_t *dag_known(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)w;
	const char *dag_id = text_of(q, "dag_id"), *task_id = text_of(q, "task_id");
	struct dag_entry *e = dag_id ? tm_dag_entry(d, dag_id, false) : NULL;
	return json_boolean(e && e->def && (!task_id || tm_dag_def_task(e->def, task_id) >= 0));
}

static json_t *trigger(struct tm_dag *d, const struct work *w, const json_t *q)
{
	(void)w;
	const char *dag_id = text_of(q, "dag_id"), *at = text_of(q, "logical_date");
	if (!dag_id)
		return wrong("which DAG?");
	struct tm_dag_trigger how = {.run_id = text_of(q, "run_id"), .logical_date_us = TM_DAG_NEVER};
	if (at && !tm_iso_parse(tm_str_of(at), &how.logical_date_us))
		return wrong("the logical_date is no date");
	const json_t *conf = json_object_get(q, "conf");
	char *text = json_is_object(conf) ? json_dumps(conf, JSON_COMPACT) : NULL;
	how.conf_json = text;
	char run_id[256];
	struct tm_err err = {0};
	tm_rc rc = tm_dag_trigger_locked(d, dag_id, &how, run_id, &err);
	free(text);
	if (rc == TM_EXISTS)
		return json_pack("{s:s,s:b}", "error", err.what, "exists", 1);
	return rc == TM_OK ? json_pack("{s:s}", "run_id", run_id) : wrong(err.what);
}

static json_t *clear(struct tm_dag *d, const struct work *w, const json_t *q)
{
	struct tm_err err = {0};
	const char *dag_id = text_of(q, "dag_id");
	if (tm_dag_clear(d, dag_id ? dag_id : w->dag_id, text_of(q, "run_id"), text_of(q, "task_id"),
			 json_is_true(json_object_get(q, "downstream")), false, &err) != TM_OK)
		return wrong(err.what);
	return json_true();
}

json_t *tm_dag_work_ask(struct tm_dag *d, int64_t work_id, const json_t *question)
{
	static const struct {
		const char *op;
		json_t *(*answer)(struct tm_dag *, const struct work *, const json_t *);
	} operations[] = {{"xcom_push", xcom_push},
			  {"xcom_pull", xcom_pull},
			  {"variable_get", variable_get},
			  {"variable_set", variable_set},
			  {"variable_delete", variable_delete},
			  {"prev_success", prev_success},
			  {"run_get", run_get},
			  {"task_states", task_states},
			  {"dag_known", dag_known},
			  {"trigger", trigger},
			  {"clear", clear}};
	struct work *w = tm_dag_work_find(d, work_id);
	const char *op = text_of(question, "op");
	if (!w || !op)
		return wrong("no such question");
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(operations[i].op, op))
			return operations[i].answer(d, w, question);
	return wrong("no such operation");
}
