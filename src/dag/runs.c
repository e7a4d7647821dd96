/* Runs: making them when they are due, binding them to the definition of the day, ending them; and what is found after a
 * crash. */
#include <ctype.h>
#include "dag/dag_int.h"

struct dag_entry *tm_dag_entry(struct tm_dag *d, const char *dag_id, bool make)
{
	for (size_t i = 0; i < d->dags.count; i++)
		if (!strcmp(d->dags.items[i]->dag_id, dag_id))
			return d->dags.items[i];
	if (!make)
		return NULL;
	struct dag_entry *e = tm_zalloc(sizeof *e);
	e->dag_id = tm_strdup(dag_id);
	e->asset_queue = json_object();
	TM_PUSH(&d->dags, e);
	return e;
}

struct run *tm_dag_active_run(struct tm_dag *d, int64_t run_id)
{
	for (size_t i = 0; i < d->dags.count; i++)
		for (size_t k = 0; k < d->dags.items[i]->run_count; k++)
			if (d->dags.items[i]->runs[k]->id == run_id)
				return d->dags.items[i]->runs[k];
	return NULL;
}

void tm_dag_run_free(struct run *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->slot_count; i++)
		free(r->slots[i].items);
	free(r->slots);
	free(r->dirty.items);
	free(r->run_id);
	free(r->type);
	json_decref(r->conf);
	free(r);
}

static void entry_add_run(struct dag_entry *e, struct run *r)
{
	if (e->run_count == e->run_cap) {
		e->run_cap = e->run_cap ? e->run_cap * 2 : 4;
		e->runs = tm_realloc(e->runs, e->run_cap * sizeof *e->runs);
	}
	e->runs[e->run_count++] = r;
}

static int64_t value_or_never(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);
	return json_is_integer(v) ? json_integer_value(v) : TM_DAG_NEVER;
}
static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));
	return s ? s : "";
}

/* Fresh slots for the definition; states of the run's rows; instances of running work keep their work. */
void tm_dag_run_bind(struct tm_dag *d, struct run *r)
{
	const struct dag_def *def = r->dag->def;
	for (int i = 0; i < r->slot_count; i++)
		free(r->slots[i].items);
	free(r->slots);
	r->dirty.count = 0;
	r->slot_count = def->task_count;
	r->slots = tm_zalloc(((size_t)def->task_count + 1) * sizeof *r->slots);
	json_t *rows = tm_dag_store_rows(d->store, "SELECT * FROM ti WHERE run=? ORDER BY task_id, map_index", "i", r->id), *row;
	size_t n;
	json_array_foreach(rows, n, row)
	{
		int task = tm_dag_def_task(def, text_of(row, "task_id"));
		if (task < 0)
			continue;
		struct ti ti = {.map_index = (int)json_integer_value(json_object_get(row, "map_index")),
				.try_number = (int)json_integer_value(json_object_get(row, "try_number")),
				.max_tries = (int)json_integer_value(json_object_get(row, "max_tries")),
				.start_us = value_or_never(row, "start_us"),
				.end_us = value_or_never(row, "end_us"),
				.next_us = value_or_never(row, "next_us"),
				.first_us = value_or_never(row, "first_us")};
		tm_dag_state_of(tm_str_of(text_of(row, "state")), &ti.state);
		for (size_t i = 0; i < d->works.count; i++)
			if (d->works.items[i]->run_id == r->id && d->works.items[i]->map_index == ti.map_index &&
			    !strcmp(d->works.items[i]->task_id, text_of(row, "task_id")) && ti.state == TM_DAG_RUNNING)
				ti.work_id = d->works.items[i]->id;
		struct slot *s = &r->slots[task];
		TM_PUSH(s, ti);
		s->expanded |= ti.map_index >= 0;
	}
	json_decref(rows);
	for (int i = 0; i < r->slot_count; i++) {
		struct slot *s = &r->slots[i];
		if (!s->count)
			TM_PUSH(s, (struct ti){.state = TM_DAG_NONE,
					       .map_index = -1,
					       .max_tries = def->tasks[i].retries,
					       .start_us = TM_DAG_NEVER,
					       .end_us = TM_DAG_NEVER,
					       .next_us = TM_DAG_NEVER,
					       .first_us = TM_DAG_NEVER});
	}
	tm_dag_ready_forget(d, r);
	tm_dag_touch_all(d, r);
}

static void start_run(struct tm_dag *d, struct run *r)
{
	r->state = TM_DAG_RUNNING;
	r->start_us = tm_dag_now(d);
	tm_dag_store_exec(d->store, "UPDATE run SET state='running', start_us=? WHERE id=?", "ii", r->start_us, r->id);
	tm_dag_event_add(d, TM_DAG_EVENT_RUN, r->dag->dag_id, r->run_id, "", "running", -1, 0);
	if (r->dag->def->timeout_s > 0)
		tm_dag_timer_add(d, r->start_us + (int64_t)(r->dag->def->timeout_s * 1e6), TIMER_RUN, r->id, "", -1);
	tm_dag_run_bind(d, r);
}

static int running_runs(const struct dag_entry *e)
{
	int n = 0;
	for (size_t i = 0; i < e->run_count; i++)
		n += e->runs[i]->state == TM_DAG_RUNNING;
	return n;
}

static void start_queued(struct tm_dag *d, struct dag_entry *e)
{
	while (e->def && running_runs(e) < e->def->max_active_runs) {
		struct run *first = NULL;
		for (size_t i = 0; i < e->run_count; i++) {
			struct run *r = e->runs[i];
			bool may = r->state == TM_DAG_QUEUED && (!e->paused || (d->options.due_only && !strcmp(r->type, "manual")));
			if (may && (!first || r->run_after_us < first->run_after_us))
				first = r;
		}
		if (!first)
			return;
		start_run(d, first);
	}
}

tm_rc tm_dag_run_create(struct tm_dag *d, struct dag_entry *e, const char *run_id, const char *type, const struct tm_dag_interval *interval,
			const json_t *conf, struct run **ret, struct tm_err *err)
{
	if (tm_dag_store_int(d->store, 0, "SELECT count(*) FROM run WHERE dag_id=? AND run_id=?", "ss", e->dag_id, run_id))
		return tm_fail(err, TM_EXISTS, "DAG '%s' has a run '%s' already", e->dag_id, run_id);
	struct run *r = tm_zalloc(sizeof *r);
	*r = (struct run){.dag = e,
			  .run_id = tm_strdup(run_id),
			  .type = tm_strdup(type),
			  .state = TM_DAG_QUEUED,
			  .logical_us = interval->logical_us,
			  .start_interval_us = interval->start_us,
			  .end_interval_us = interval->end_us,
			  .run_after_us = interval->run_after_us,
			  .queued_us = tm_dag_now(d),
			  .start_us = TM_DAG_NEVER,
			  .end_us = TM_DAG_NEVER,
			  .conf = conf ? json_deep_copy(conf) : json_object()};
	tm_dag_store_exec(d->store,
			  "INSERT INTO run (dag_id, run_id, run_type, state, logical_us, interval_start_us, interval_end_us, run_after_us, "
			  "queued_us, conf) VALUES (?,?,?,'queued',?,?,?,?,?,?)",
			  "sssnnnnnj", e->dag_id, run_id, type, r->logical_us, r->start_interval_us, r->end_interval_us, r->run_after_us,
			  r->queued_us, r->conf);
	r->id = tm_dag_store_last_id(d->store);
	entry_add_run(e, r);
	tm_dag_event_add(d, TM_DAG_EVENT_RUN, e->dag_id, run_id, "", "queued", -1, 0);
	start_queued(d, e);
	d->touched = true;
	if (ret)
		*ret = r;
	return TM_OK;
}

/* The clock that schedules go by: with due_only it stands still. */
static int64_t schedule_now(const struct tm_dag *d) { return d->options.due_only ? d->due_cutoff_us : tm_dag_now(d); }

static bool find_next(struct tm_dag *d, struct dag_entry *e)
{
	struct tm_err err = {0};
	e->has_next = false;
	if (!e->def || e->stalled)
		return false;
	if (tm_timetable_next(e->def->timetable, e->has_last ? &e->last : NULL, e->def->start_us, e->def->end_us, e->def->catchup,
			      schedule_now(d), &e->has_next, &e->next, &err) != TM_OK) {
		tm_err_prefix(&err, "the timetable of DAG '%s': ", e->dag_id);
		tm_say_err("dag", &err);
		e->stalled = true;
	}
	return e->has_next;
}

void tm_dag_schedule_next(struct tm_dag *d, struct dag_entry *e)
{
	if (!e->def)
		return;
	start_queued(d, e);
	while (!e->paused && find_next(d, e)) {
		/* A schedule that is due again as soon as its run has ended runs once under due_only. */
		if (e->def->continuous &&
		    ((d->options.due_only && e->has_last && e->last.run_after_us >= e->next.run_after_us) || e->run_count))
			return;
		if (e->next.run_after_us > schedule_now(d)) {
			if (!d->options.due_only && e->timer_us != e->next.run_after_us) {
				e->timer_us = e->next.run_after_us;
				tm_dag_timer_add(d, e->timer_us, TIMER_DAG, 0, e->dag_id, -1);
			}
			return;
		}
		if ((int)e->run_count >= e->def->max_active_runs)
			return;
		struct tm_buf id = {0};
		tm_buf_cstr_put(&id, "scheduled__");
		tm_iso_put(&id, e->next.logical_us, 'T');
		if (tm_dag_run_create(d, e, tm_buf_cstr(&id), "scheduled", &e->next, NULL, NULL, NULL) != TM_OK)
			tm_say(TM_SAY_DEBUG, "dag", "run %s of %s is there already", tm_buf_cstr(&id), e->dag_id);
		tm_buf_done(&id);
		e->last = e->next;
		e->has_last = true;
	}
}

static void start_callback(struct tm_dag *d, struct run *r, bool success)
{
	const struct dag_def *def = r->dag->def;
	if (!d->has_executor || !(success ? def->callback_success : def->callback_failure))
		return;
	struct work *w = tm_zalloc(sizeof *w);
	*w = (struct work){.id = ++d->next_work_id,
			   .run_id = r->id,
			   .dag_id = tm_strdup(r->dag->dag_id),
			   .task_id = tm_strdup(success ? "__on_success_callback" : "__on_failure_callback"),
			   .pool = tm_strdup(""),
			   .map_index = -1,
			   .try_number = 1,
			   .callback = true,
			   .run_json = tm_dag_run_context(d, r, -1, NULL)};
	json_object_set_new(w->run_json, "callback", json_string(success ? "success" : "failure"));
	TM_PUSH(&d->works, w);
	TM_PUSH(&d->starts, w);
}

void tm_dag_run_end(struct tm_dag *d, struct run *r, enum tm_dag_state state)
{
	struct dag_entry *e = r->dag;
	r->state = state;
	r->end_us = tm_dag_now(d);
	tm_dag_store_exec(d->store, "UPDATE run SET state=?, end_us=? WHERE id=?", "sii", tm_dag_state_text(state), r->end_us, r->id);
	bool ok = state == TM_DAG_SUCCESS;
	e->ended_success += ok;
	e->ended_failed += !ok;
	d->ended_success += ok;
	d->ended_failed += !ok;
	e->failed_in_a_row = ok ? 0 : e->failed_in_a_row + 1;
	if (e->def->max_failed_runs > 0 && e->failed_in_a_row >= e->def->max_failed_runs && !e->paused) {
		tm_say(TM_SAY_WARN, "dag", "%s: %d runs failed in a row, pausing it", e->dag_id, e->failed_in_a_row);
		e->paused = true;
		tm_dag_store_exec(d->store, "UPDATE dag SET paused=1 WHERE dag_id=?", "s", e->dag_id);
	}
	start_callback(d, r, ok);
	tm_dag_event_add(d, TM_DAG_EVENT_RUN, e->dag_id, r->run_id, "", tm_dag_state_text(state), -1, 0);
	d->touched = true;
}

/* ---- triggering ---- */
tm_rc tm_dag_trigger_locked(struct tm_dag *d, const char *dag_id, const struct tm_dag_trigger *how, char ret_run_id[256],
			    struct tm_err *err)
{
	struct dag_entry *e = tm_dag_entry(d, dag_id, false);
	if (!e || !e->def) {
		tm_fail(err, TM_NOT_FOUND, "there is no DAG '%s'", dag_id);
		tm_err_hint(err, "`tidemill dag list` shows the DAGs that were loaded");
		return TM_NOT_FOUND;
	}
	int64_t now = tm_dag_now(d);
	struct tm_dag_interval interval;
	if (how->no_logical_date) {
		interval = (struct tm_dag_interval){TM_DAG_NEVER, TM_DAG_NEVER, TM_DAG_NEVER, now};
	} else {
		int64_t logical = how->logical_date_us == TM_DAG_NEVER || !how->logical_date_us ? now : how->logical_date_us;
		TM_TRY(tm_timetable_manual(e->def->timetable, logical, &interval, err));
		interval.logical_us = logical;
		interval.run_after_us = now;
	}
	json_t *conf = how->conf_json ? json_loads(how->conf_json, 0, NULL) : json_object();
	if (!json_is_object(conf)) {
		json_decref(conf);
		return tm_fail(err, TM_INVALID, "the conf of a run must be a JSON object");
	}
	struct tm_buf id = {0};
	if (how->run_id && *how->run_id) {
		tm_buf_cstr_put(&id, how->run_id);
	} else {
		tm_buf_cstr_put(&id, "manual__");
		tm_iso_put(&id, interval.logical_us == TM_DAG_NEVER ? now : interval.logical_us, 'T');
	}
	tm_rc rc = id.len >= 250
		       ? tm_fail(err, TM_LIMIT, "a run_id has at most 249 bytes")
		       : tm_dag_run_create(d, e, tm_buf_cstr(&id), how->run_type ? how->run_type : "manual", &interval, conf, NULL, err);
	if (rc == TM_OK && ret_run_id)
		snprintf(ret_run_id, 256, "%s", tm_buf_cstr(&id));
	tm_buf_done(&id);
	json_decref(conf);
	return rc;
}

/* ---- assets (datasets) ---- */
static bool satisfied(const json_t *condition, const json_t *seen)
{
	const json_t *v;
	size_t i;
	json_t *part;
	if ((v = json_object_get(condition, "asset")) || (v = json_object_get(condition, "alias")))
		return json_object_get(seen, json_string_value(v)) != NULL;
	if ((v = json_object_get(condition, "all"))) {
		json_array_foreach(v, i, part) if (!satisfied(part, seen)) return false;
		return json_array_size(v) > 0;
	}
	json_array_foreach(json_object_get(condition, "any"), i, part) if (satisfied(part, seen)) return true;
	return false;
}
static bool mentions(const json_t *condition, const char *uri)
{
	const json_t *v = json_object_get(condition, "asset");
	if (!v)
		v = json_object_get(condition, "alias");
	if (v)
		return !strcmp(json_string_value(v), uri);
	size_t i;
	json_t *part;
	v = json_object_get(condition, "all");
	if (!v)
		v = json_object_get(condition, "any");
	json_array_foreach(v, i, part) if (mentions(part, uri)) return true;
	return false;
}

static void asset_run(struct tm_dag *d, struct dag_entry *e)
{
	int64_t now = tm_dag_now(d);
	struct tm_buf id = {0};
	tm_buf_cstr_put(&id, e->def->version >= 3 ? "asset_triggered__" : "dataset_triggered__");
	tm_iso_put(&id, now, 'T');
	struct tm_dag_interval interval = e->def->version >= 3 ? (struct tm_dag_interval){TM_DAG_NEVER, TM_DAG_NEVER, TM_DAG_NEVER, now}
							       : (struct tm_dag_interval){now, now, now, now};
	struct run *r = NULL;
	if (tm_dag_run_create(d, e, tm_buf_cstr(&id), e->def->version >= 3 ? "asset_triggered" : "dataset_triggered", &interval, NULL, &r,
			      NULL) == TM_OK) {
		const char *uri;
		json_t *events, *event;
		size_t i;
		json_object_foreach(e->asset_queue, uri, events) json_array_foreach(events, i, event) tm_dag_store_exec(
		    d->store, "INSERT OR IGNORE INTO run_asset_event VALUES (?,?)", "ii", r->id, (int64_t)json_integer_value(event));
		json_object_clear(e->asset_queue);
	}
	tm_buf_done(&id);
}

void tm_dag_asset_event(struct tm_dag *d, const char *uri, const json_t *extra, struct run *source, const char *task_id, int map_index)
{
	if (!uri)
		return;
	tm_dag_store_exec(d->store,
			  "INSERT INTO asset_event (uri, extra, dag_id, run_id, task_id, map_index, at_us) VALUES (?,?,?,?,?,?,?)",
			  "sjsssii", uri, extra, source->dag->dag_id, source->run_id, task_id, (int64_t)map_index, tm_dag_now(d));
	int64_t id = tm_dag_store_last_id(d->store);
	for (size_t i = 0; i < d->dags.count; i++) {
		struct dag_entry *e = d->dags.items[i];
		if (!e->def || !e->def->assets || e->paused || !mentions(e->def->assets, uri))
			continue;
		json_t *events = json_object_get(e->asset_queue, uri);
		if (!events) {
			events = json_array();
			json_object_set_new(e->asset_queue, uri, events);
		}
		json_array_append_new(events, json_integer(id));
		if (satisfied(e->def->assets, e->asset_queue))
			asset_run(d, e);
		tm_dag_store_exec(d->store, "UPDATE dag SET asset_queue=? WHERE dag_id=?", "js", e->asset_queue, e->dag_id);
	}
}

/* ---- after a crash ---- */
/* Ends that workers wrote down before they could report them. */
static void read_journal(struct tm_dag *d, json_t *ends)
{
	struct tm_buf b = {0};
	struct tm_err err = {0};
	if (tm_file_read(d->env, d->journal_path, 1024 * TM_MIB, &b, &err) != TM_OK)
		return;
	struct tm_str rest = tm_buf_str(&b), line;
	while (tm_str_split(&rest, '\n', &line)) {
		json_t *end = line.len && line.len < TM_LIMIT_TASK_MESSAGE_BYTES ? json_loadb(line.at, line.len, 0, NULL)
										 : NULL; /* a torn last line is none */
		const char *key = json_string_value(json_object_get(end, "key"));
		if (key)
			json_object_set(ends, key, end);
		json_decref(end);
	}
	tm_buf_done(&b);
}

static void journal_key(struct tm_buf *out, int64_t run, const char *task_id, int64_t map_index, int64_t try_number)
{
	tm_buf_printf(out, "%lld/%s/%lld/%lld", (long long)run, task_id, (long long)map_index, (long long)try_number);
}

static void recover_xcoms(struct tm_dag *d, const json_t *row, const json_t *end)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)json_object_get(end, "xcoms"), key, value) tm_dag_store_exec(
	    d->store, "INSERT OR REPLACE INTO xcom VALUES (?,?,?,?,?)", "isisj", (int64_t)json_integer_value(json_object_get(row, "run")),
	    text_of(row, "task_id"), (int64_t)json_integer_value(json_object_get(row, "map_index")), key, value);
	size_t i;
	json_array_foreach(json_object_get(end, "skip"), i, value)
	    tm_dag_store_exec(d->store,
			      "INSERT INTO ti (run, task_id, map_index, state, try_number, max_tries) VALUES (?,?,-1,'skipped',0,0) ON "
			      "CONFLICT (run, task_id, map_index) DO"
			      " UPDATE SET state='skipped' WHERE state='none'",
			      "is", (int64_t)json_integer_value(json_object_get(row, "run")), json_string_value(value));
}

/* A task that was running when we were killed: its end is in the journal, or its try is lost and it runs again. */
static void recover_task(struct tm_dag *d, const json_t *row, const json_t *ends)
{
	int64_t run = json_integer_value(json_object_get(row, "run")), map_index = json_integer_value(json_object_get(row, "map_index"));
	int64_t try_number = json_integer_value(json_object_get(row, "try_number")),
		max_tries = json_integer_value(json_object_get(row, "max_tries"));
	const char *task_id = text_of(row, "task_id");
	struct tm_buf key = {0};
	journal_key(&key, run, task_id, map_index, try_number);
	const json_t *end = json_object_get(ends, tm_buf_cstr(&key));
	tm_buf_done(&key);
	const char *state = text_of(end, "state");
	int64_t now = tm_dag_now(d);
	bool failed = !strcmp(state, "failed");
	if (!strcmp(state, "success") || !strcmp(state, "skipped") ||
	    (failed && (json_is_true(json_object_get(end, "no_retry")) || try_number > max_tries))) {
		tm_dag_store_exec(d->store, "UPDATE ti SET state=?, end_us=?, error=? WHERE run=? AND task_id=? AND map_index=?", "sisisi",
				  state, now, json_string_value(json_object_get(end, "error")), run, task_id, map_index);
		recover_xcoms(d, row, end);
		tm_say(TM_SAY_INFO, "dag", "task %s had ended (%s) when we were killed", task_id, state);
	} else {
		/* Without a word from it, or failed with tries left: a new try. Only a failure of its own uses up a try. */
		tm_dag_store_exec(
		    d->store,
		    "UPDATE ti SET state='none', max_tries=?, next_us=NULL, first_us=NULL WHERE run=? AND task_id=? AND map_index=?",
		    "iisi", max_tries + !failed, run, task_id, map_index);
		tm_say(TM_SAY_INFO, "dag", "task %s was running when we were killed: it runs again", task_id);
		state = "failed";
	}
	tm_dag_store_exec(d->store, "INSERT OR REPLACE INTO try VALUES (?,?,?,?,?,?,?,?)", "isiisnns", run, task_id, map_index, try_number,
			  state, value_or_never(row, "start_us"), now,
			  end ? json_string_value(json_object_get(end, "error")) : "the scheduler was killed while this try ran");
}

void tm_dag_recover_tasks(struct tm_dag *d)
{
	json_t *ends = json_object(), *row;
	size_t n;
	read_journal(d, ends);
	json_t *rows = tm_dag_store_rows(
	    d->store, "SELECT ti.* FROM ti JOIN run ON run.id = ti.run WHERE ti.state = 'running' AND run.state IN ('queued', 'running')",
	    "");
	json_array_foreach(rows, n, row)
	{
		bool alive = false;
		for (size_t i = 0; i < d->works.count; i++) {
			const struct work *w = d->works.items[i];
			alive |= w->run_id == json_integer_value(json_object_get(row, "run")) &&
				 w->map_index == json_integer_value(json_object_get(row, "map_index")) &&
				 !strcmp(w->task_id, text_of(row, "task_id"));
		}
		if (!alive)
			recover_task(d, row, ends);
	}
	json_decref(rows);
	json_decref(ends);
}

void tm_dag_recover(struct tm_dag *d)
{
	json_t *row, *rows;
	size_t n;
	tm_dag_recover_tasks(d);
	rows = tm_dag_store_rows(d->store, "SELECT * FROM run WHERE state IN ('queued', 'running') ORDER BY id", "");
	json_array_foreach(rows, n, row)
	{
		struct dag_entry *e = tm_dag_entry(d, text_of(row, "dag_id"), true);
		if (tm_dag_active_run(d, json_integer_value(json_object_get(row, "id"))))
			continue; /* a commit was refused, and this one is still known */
		struct run *r = tm_zalloc(sizeof *r);
		*r = (struct run){.id = json_integer_value(json_object_get(row, "id")),
				  .dag = e,
				  .run_id = tm_strdup(text_of(row, "run_id")),
				  .type = tm_strdup(text_of(row, "run_type")),
				  .state = !strcmp(text_of(row, "state"), "running") ? TM_DAG_RUNNING : TM_DAG_QUEUED,
				  .logical_us = value_or_never(row, "logical_us"),
				  .start_interval_us = value_or_never(row, "interval_start_us"),
				  .end_interval_us = value_or_never(row, "interval_end_us"),
				  .run_after_us = value_or_never(row, "run_after_us"),
				  .queued_us = value_or_never(row, "queued_us"),
				  .start_us = value_or_never(row, "start_us"),
				  .end_us = TM_DAG_NEVER,
				  .conf = json_loads(text_of(row, "conf"), 0, NULL)};
		if (!r->conf)
			r->conf = json_object();
		entry_add_run(e, r);
	}
	json_decref(rows);
	rows = tm_dag_store_rows(d->store, "SELECT dag_id, paused, asset_queue FROM dag", "");
	json_array_foreach(rows, n, row)
	{
		struct dag_entry *e = tm_dag_entry(d, text_of(row, "dag_id"), true);
		e->paused = json_integer_value(json_object_get(row, "paused"));
		json_t *queue = json_loads(text_of(row, "asset_queue"), 0, NULL);
		if (json_is_object(queue))
			json_object_update(e->asset_queue, queue);
		json_decref(queue);
	}
	json_decref(rows);
}
