/* What the DAG files define: DAGs that come, change and go. */
#include "dag/dag_int.h"

static void dag_gone(struct tm_dag *d, struct dag_entry *e)
{
	for (size_t k = 0; k < e->run_count; k++) {
		struct run *r = e->runs[k];
		tm_dag_ready_forget(d, r);
		for (int i = 0; i < r->slot_count; i++)
			free(r->slots[i].items);
		free(r->slots);
		r->slots = NULL;
		r->slot_count = 0;
		r->dirty.count = 0;
	}
	tm_dag_def_free(e->def);
	e->def = NULL;
	e->has_next = e->has_last = false;
}

void tm_dag_last_read(struct tm_dag *d, struct dag_entry *e)
{
	json_t *rows = tm_dag_store_rows(d->store,
					 "SELECT logical_us, interval_start_us, interval_end_us, run_after_us FROM run WHERE dag_id=? AND "
					 "run_type='scheduled' ORDER BY logical_us DESC LIMIT 1",
					 "s", e->dag_id);
	json_t *row = json_array_get(rows, 0);
	e->has_last = row != NULL;
	if (row)
		e->last = (struct tm_dag_interval){
		    json_integer_value(json_object_get(row, "logical_us")), json_integer_value(json_object_get(row, "interval_start_us")),
		    json_integer_value(json_object_get(row, "interval_end_us")), json_integer_value(json_object_get(row, "run_after_us"))};
	json_decref(rows);
}

void tm_dag_paused_read(struct tm_dag *d)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT dag_id, paused FROM dag", ""), *row;
	size_t i;
	json_array_foreach(rows, i, row) tm_dag_entry(d, json_string_value(json_object_get(row, "dag_id")), true)->paused =
	    json_integer_value(json_object_get(row, "paused"));
	json_decref(rows);
}

static void dag_defined(struct tm_dag *d, struct dag_def *def)
{
	struct dag_entry *e = tm_dag_entry(d, def->dag_id, true);
	struct dag_def *old = e->def;
	if (old != def)
		e->def = def;
	e->stalled = false;
	if (d->standby) {
		tm_dag_last_read(d, e);
		tm_dag_def_free(old);
		return;
	}
	bool known = tm_dag_store_int(d->store, 0, "SELECT count(*) FROM dag WHERE dag_id=?", "s", def->dag_id);
	if (!known)
		e->paused = json_is_true(json_object_get(def->json, "is_paused_upon_creation"));
	tm_dag_store_exec(d->store,
			  "INSERT INTO dag (dag_id, paused, file, definition) VALUES (?,?,?,?) ON CONFLICT (dag_id) DO UPDATE SET "
			  "file=excluded.file, definition=excluded.definition",
			  "sisj", def->dag_id, (int64_t)e->paused, def->file, def->json);
	tm_dag_last_read(d, e);
	for (size_t k = 0; k < e->run_count; k++)
		if (e->runs[k]->state == TM_DAG_RUNNING) {
			tm_dag_run_bind(d, e->runs[k]);
			if (def->timeout_s > 0)
				tm_dag_timer_add(d, e->runs[k]->start_us + (int64_t)(def->timeout_s * 1e6), TIMER_RUN, e->runs[k]->id, "",
						 -1);
		}
	if (old != def)
		tm_dag_def_free(old);
	tm_dag_schedule_next(d, e);
	d->touched = true;
}

void tm_dag_define_again(struct tm_dag *d)
{
	for (size_t i = 0; i < d->dags.count; i++)
		if (d->dags.items[i]->def)
			dag_defined(d, d->dags.items[i]->def);
}

static void count_errors(struct tm_dag *d)
{
	const char *file;
	json_t *def, *e;
	size_t i;
	d->import_errors = 0;
	json_object_foreach(d->files, file, def) json_array_foreach(json_object_get(def, "errors"), i, e) d->import_errors +=
	    !json_is_true(json_object_get(e, "warning"));
}

tm_rc tm_dag_file_define(struct tm_dag *d, const char *file, const json_t *definition, struct tm_err *err)
{
	const json_t *dags = json_object_get(definition, "dags"), *j;
	size_t i, n = json_array_size(dags);
	struct dag_def **defs = tm_zalloc((n + 1) * sizeof *defs);
	json_t *kept = json_deep_copy(definition);
	tm_rc rc = TM_OK;
	json_array_foreach(dags, i, j)
	{
		struct tm_err one = {0};
		if (tm_dag_def_new(j, file, d->options.max_active_runs, d->options.max_active_tasks, &defs[i], &one) != TM_OK) {
			/* One DAG that does not fit is an error of its file; the others go on. */
			json_t *errors = json_object_get(kept, "errors");
			if (!errors) {
				errors = json_array();
				json_object_set_new(kept, "errors", errors);
			}
			json_array_append_new(errors, json_pack("{s:s,s:i,s:i,s:s,s:s}", "file", file, "line",
								(int)json_integer_value(json_object_get(j, "line")), "column", 0, "error",
								one.what, "hint", one.hint));
			rc = one.rc;
			if (err)
				*err = one;
		}
	}
	/* DAGs this file defined before and does not any more. */
	for (size_t k = 0; k < d->dags.count; k++) {
		struct dag_entry *e = d->dags.items[k];
		bool still = !e->def || strcmp(e->def->file, file) != 0;
		for (i = 0; i < n; i++)
			still |= defs[i] && !strcmp(defs[i]->dag_id, e->dag_id);
		if (!still)
			dag_gone(d, e);
	}
	for (i = 0; i < n; i++)
		if (defs[i])
			dag_defined(d, defs[i]);
	free(defs);
	json_object_del(kept, "dags");
	json_object_set_new(d->files, file, kept);
	count_errors(d);
	tm_dag_event_add(d, TM_DAG_EVENT_FILE, file, "", "", rc == TM_OK ? "loaded" : "failed", -1, 0);
	d->touched = true;
	return rc;
}

void tm_dag_file_forget(struct tm_dag *d, const char *file)
{
	for (size_t k = 0; k < d->dags.count; k++)
		if (d->dags.items[k]->def && !strcmp(d->dags.items[k]->def->file, file))
			dag_gone(d, d->dags.items[k]);
	json_object_del(d->files, file);
	count_errors(d);
	d->touched = true;
}
