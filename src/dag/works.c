/* Tries in work: started after the commit that says so, ended by the executor's or the shell's word. */
#include "dag/dag_int.h"

json_t *tm_dag_iso(int64_t us)
{
	if (us == TM_DAG_NEVER)
		return json_null();
	struct tm_buf b = {0};
	tm_iso_put(&b, us, 'T');
	json_t *j = json_stringn(b.at, b.len);
	tm_buf_done(&b);
	return j;
}

struct work *tm_dag_work_find(struct tm_dag *d, int64_t work_id)
{
	for (size_t i = 0; i < d->works.count; i++)
		if (d->works.items[i]->id == work_id)
			return d->works.items[i];
	return NULL;
}

static void work_free(struct work *w)
{
	json_decref(w->run_json);
	free(w->dag_id);
	free(w->task_id);
	free(w->pool);
	free(w);
}

static void path_part(struct tm_buf *out, const char *name, const char *value)
{
	tm_buf_printf(out, "/%s=", name);
	for (const char *c = value; *c; c++)
		tm_buf_char(out, *c == '/' || (unsigned char)*c < ' ' ? '_' : *c);
}

void tm_dag_log_path_put(const struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, int map_index, int try_number,
			 struct tm_buf *out)
{
	tm_buf_printf(out, "%s/logs", d->data_dir);
	path_part(out, "dag_id", dag_id);
	path_part(out, "run_id", run_id);
	path_part(out, "task_id", task_id);
	if (map_index >= 0)
		tm_buf_printf(out, "/map_index=%d", map_index);
	tm_buf_printf(out, "/attempt=%d.log", try_number);
}

/* What a task's context needs of its run; task -1 = a callback of the DAG. */
json_t *tm_dag_run_context(struct tm_dag *d, struct run *r, int task, const struct ti *ti)
{
	json_t *j = json_pack("{s:I,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:O,s:s}", "id", (json_int_t)r->id, "dag_id", r->dag->dag_id,
			      "run_id", r->run_id, "run_type", r->type, "logical_date", tm_dag_iso(r->logical_us), "data_interval_start",
			      tm_dag_iso(r->start_interval_us), "data_interval_end", tm_dag_iso(r->end_interval_us), "run_after",
			      tm_dag_iso(r->run_after_us), "queued_at", tm_dag_iso(r->queued_us), "start_date", tm_dag_iso(r->start_us),
			      "conf", r->conf, "state", tm_dag_state_text(r->state));
	int64_t at;
	/* Airflow 2's names for the runs before and after; a manual run is its own neighbour. */
	if (r->logical_us != TM_DAG_NEVER) {
		bool scheduled = strcmp(r->type, "manual") != 0;
		json_object_set_new(
		    j, "next_logical_date",
		    tm_dag_iso(scheduled && tm_timetable_step(r->dag->def->timetable, r->logical_us, 1, &at) ? at : r->logical_us));
		json_object_set_new(
		    j, "prev_logical_date",
		    tm_dag_iso(scheduled && tm_timetable_step(r->dag->def->timetable, r->logical_us, -1, &at) ? at : r->logical_us));
	}
	if (ti) {
		json_object_set_new(j, "ti_start_date", tm_dag_iso(ti->start_us));
		json_object_set_new(j, "ti_first_date", tm_dag_iso(ti->first_us));
		json_object_set_new(
		    j, "mapped_length",
		    json_integer(task >= 0 && r->slots[task].items[0].map_index >= 0 ? (json_int_t)r->slots[task].count : 0));
	}
	json_t *events = tm_dag_store_rows(d->store,
					   "SELECT e.uri, e.extra, e.dag_id, e.run_id, e.task_id, e.map_index, e.at_us FROM "
					   "run_asset_event r JOIN asset_event e ON e.id = r.event WHERE r.run=?",
					   "i", r->id);
	if (json_array_size(events))
		json_object_set(j, "asset_events", events);
	json_decref(events);
	return j;
}

static void start_one(struct tm_dag *d, struct work *w)
{
	struct run *r = tm_dag_active_run(d, w->run_id);
	struct dag_entry *e = tm_dag_entry(d, w->dag_id, false);
	int task = e && e->def && !w->callback ? tm_dag_def_task(e->def, w->task_id) : -1;
	struct tm_err err = {0};
	if (!e || !e->def || (!w->callback && (!r || task < 0))) {
		tm_dag_work_ended(d, w->id,
				  &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = "the DAG or the task is not defined any more"});
		return;
	}
	struct tm_buf log = {0};
	const char *run_id = w->callback ? json_string_value(json_object_get(w->run_json, "run_id")) : r->run_id;
	tm_dag_log_path_put(d, w->dag_id, run_id, w->task_id, w->map_index, w->try_number, &log);
	struct ti *ti = NULL;
	for (size_t k = 0; !w->callback && k < r->slots[task].count; k++)
		if (r->slots[task].items[k].map_index == w->map_index)
			ti = &r->slots[task].items[k];
	if (!w->callback && !w->run_json)
		w->run_json = tm_dag_run_context(d, r, task, ti);
	struct tm_dag_work work = {.id = w->id,
				   .file = e->def->file,
				   .dag_id = w->dag_id,
				   .run_id = run_id,
				   .task_id = w->task_id,
				   .log_path = tm_buf_cstr(&log),
				   .map_index = w->map_index,
				   .try_number = w->try_number,
				   .max_tries = ti ? ti->max_tries : 0,
				   .dag = e->def->json,
				   .task = task >= 0 ? e->def->tasks[task].json : NULL,
				   .run = w->run_json,
				   .timeout_s = task >= 0 ? e->def->tasks[task].timeout_s : 0};
	if (w->shell) {
		if (tm_shell_start(d, &work, &w->proc, &err) != TM_OK)
			tm_dag_work_ended(d, w->id, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = err.what});
	} else {
		d->executor.start(d->executor.ctx, &work);
	}
	tm_buf_done(&log);
}

/* After the commit. Starting may end at once (an error), which begins a new turn. */
void tm_dag_starts_flush(struct tm_dag *d)
{
	while (d->starts.count) {
		struct work *w = d->starts.items[0];
		memmove(d->starts.items, d->starts.items + 1, --d->starts.count * sizeof *d->starts.items);
		start_one(d, w);
	}
}

void tm_dag_work_kill(struct tm_dag *d, int64_t work_id, bool hard)
{
	struct work *w = tm_dag_work_find(d, work_id);
	if (!w)
		return;
	for (size_t i = 0; i < d->starts.count; i++)
		if (d->starts.items[i] == w) {
			memmove(d->starts.items + i, d->starts.items + i + 1, (--d->starts.count - i) * sizeof *d->starts.items);
			tm_dag_work_ended(d, work_id, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = "killed before it began"});
			return;
		}
	if (w->proc)
		tm_shell_kill(w->proc, hard);
	else if (!w->shell && d->has_executor)
		d->executor.kill(d->executor.ctx, work_id, hard);
	if (!hard)
		tm_dag_timer_add(d, tm_dag_now(d) + 5 * TM_DAG_US, TIMER_KILL, work_id, "", -1);
}

/* ---- ends ---- */
static void skip_tasks(struct tm_dag *d, struct run *r, const json_t *ids)
{
	size_t i;
	json_t *id;
	json_array_foreach(ids, i, id)
	{
		int task = json_is_string(id) ? tm_dag_def_task(r->dag->def, json_string_value(id)) : -1;
		if (task < 0)
			continue;
		for (size_t k = 0; k < r->slots[task].count; k++) {
			struct ti *ti = &r->slots[task].items[k];
			if (ti->state == TM_DAG_NONE || ti->state == TM_DAG_SCHEDULED) {
				ti->start_us = ti->end_us = tm_dag_now(d);
				tm_dag_ti_set(d, r, task, ti, TM_DAG_SKIPPED, NULL);
			}
		}
	}
}

/* fail_fast: the first failure ends everything else of the run. */
static void fail_others(struct tm_dag *d, struct run *r, int failed)
{
	for (int i = 0; i < r->slot_count; i++) {
		if (i == failed || r->dag->def->tasks[i].teardown)
			continue;
		for (size_t k = 0; k < r->slots[i].count; k++) {
			struct ti *ti = &r->slots[i].items[k];
			if (tm_dag_state_ended(ti->state))
				continue;
			bool running = ti->work_id != 0;
			if (running)
				tm_dag_work_kill(d, ti->work_id, false);
			tm_dag_ti_set(d, r, i, ti, running ? TM_DAG_FAILED : TM_DAG_SKIPPED, "fail_fast");
		}
	}
}

static void take_xcoms(struct tm_dag *d, struct run *r, const char *task_id, int map_index, const json_t *xcoms)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)xcoms, key, value) tm_dag_store_exec(
	    d->store, "INSERT OR REPLACE INTO xcom VALUES (?,?,?,?,?)", "isisj", r->id, task_id, (int64_t)map_index, key, value);
}

static void logical_text(const struct run *r, struct tm_buf *out)
{
	if (r->logical_us == TM_DAG_NEVER)
		tm_buf_cstr_put(out, "None");
	else
		tm_iso_put(out, r->logical_us, ' ');
}

static void apply_end(struct tm_dag *d, struct run *r, int task, struct ti *ti, const struct tm_dag_end *end)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	enum tm_dag_state state = end->state;
	ti->work_id = 0;
	ti->end_us = tm_dag_now(d);
	take_xcoms(d, r, t->task_id, ti->map_index, end->xcoms);
	if (state == TM_DAG_FAILED && !end->no_retry && ti->try_number <= ti->max_tries)
		state = TM_DAG_UP_FOR_RETRY;
	tm_dag_store_exec(d->store, "INSERT OR REPLACE INTO try VALUES (?,?,?,?,?,?,?,?)", "isiisnns", r->id, t->task_id,
			  (int64_t)ti->map_index, (int64_t)ti->try_number,
			  tm_dag_state_text(state == TM_DAG_UP_FOR_RETRY ? TM_DAG_FAILED : state), ti->start_us, ti->end_us, end->error);
	if (state == TM_DAG_UP_FOR_RETRY) {
		struct tm_buf logical = {0};
		logical_text(r, &logical);
		double wait = tm_dag_retry_wait_s(r->dag->dag_id, t->task_id, tm_buf_cstr(&logical), ti->try_number, t->retry_delay_s,
						  t->backoff, t->max_retry_delay_s);
		tm_buf_done(&logical);
		ti->next_us = ti->end_us + (int64_t)(wait * 1e6);
		ti->first_us = TM_DAG_NEVER;
	} else if (state == TM_DAG_UP_FOR_RESCHEDULE) {
		ti->next_us = end->reschedule_at_us;
	}
	if (state == TM_DAG_UP_FOR_RETRY || state == TM_DAG_UP_FOR_RESCHEDULE) {
		tm_dag_touch_task(r, task);
		r->touched = true;
	}
	tm_dag_ti_set(d, r, task, ti, state, end->error);
	if (end->rendered_map_index)
		tm_dag_store_exec(d->store, "UPDATE ti SET rendered_map_index=? WHERE run=? AND task_id=? AND map_index=?", "sisi",
				  end->rendered_map_index, r->id, t->task_id, (int64_t)ti->map_index);
	skip_tasks(d, r, end->skip);
	size_t i;
	json_t *event;
	json_array_foreach(state == TM_DAG_SUCCESS ? end->asset_events : NULL, i, event) tm_dag_asset_event(
	    d, json_string_value(json_object_get(event, "uri")), json_object_get(event, "extra"), r, t->task_id, ti->map_index);
	if (state == TM_DAG_FAILED && r->dag->def->fail_fast)
		fail_others(d, r, task);
}

void tm_dag_work_ended(struct tm_dag *d, int64_t work_id, const struct tm_dag_end *end)
{
	for (size_t i = 0; i < d->works.count; i++) {
		struct work *w = d->works.items[i];
		if (w->id != work_id)
			continue;
		d->works.items[i] = d->works.items[--d->works.count];
		struct run *r = w->callback || d->stopping || d->lost
				    ? NULL
				    : tm_dag_active_run(d, w->run_id); /* stopping, lost: the try is lost, on disk it runs */
		int task = r && r->dag->def ? tm_dag_def_task(r->dag->def, w->task_id) : -1;
		for (size_t k = 0; task >= 0 && k < r->slots[task].count; k++) {
			struct ti *ti = &r->slots[task].items[k];
			if (ti->map_index == w->map_index && ti->work_id == work_id) {
				apply_end(d, r, task, ti, end);
				break;
			}
		}
		work_free(w);
		break;
	}
	d->touched = true;
}
