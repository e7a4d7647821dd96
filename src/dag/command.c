/* Commands: each packs its arguments, runs on the loop, and answers when it is on disk. */
#include "dag/dag_int.h"

struct command {
	struct tm_dag *d;
	const char *dag_id, *run_id, *task_id, *text;
	struct tm_str json;
	const struct tm_dag_trigger *trigger;
	char *ret_run_id;
	bool flag, other;
	int number;
	enum tm_dag_state state;
	tm_rc rc;
	struct tm_err *err;
	void (*decides)(void *ctx);
};
static tm_rc call(struct command *c, void (*fn)(void *))
{
	struct tm_err why = {0};
	tm_rc refused = tm_dag_call(c->d, fn, c, &why);
	if (c->rc || !refused)
		return c->rc;
	if (c->err)
		*c->err = why;
	return refused;
}

static tm_rc not_here(struct tm_err *err)
{
	tm_fail(err, TM_UNAVAILABLE, "this instance follows another one, which runs the DAGs");
	tm_err_hint(err, "Ask the leader; the page and `tidemill doctor` say where it is.");
	return TM_UNAVAILABLE;
}

static void decide(void *ctx)
{
	struct command *c = ctx;
	if (c->d->standby || c->d->lost)
		c->rc = not_here(c->err);
	else
		c->decides(c);
}

/* What only the engine that decides may do. */
static tm_rc act(struct command *c, void (*fn)(void *))
{
	c->decides = fn;
	tm_rc rc = call(c, decide);
	return rc && !c->rc && tm_dag_lost(c->d) ? not_here(c->err) : rc; /* the journal refused it: another one decides */
}

/* The command's DAG, with a definition where that is asked for; NULL: the command has failed. */
static struct dag_entry *dag_of(struct command *c, bool defined)
{
	struct dag_entry *e = tm_dag_entry(c->d, c->dag_id, false);
	if (e && (e->def || !defined))
		return e;
	c->rc = tm_fail(c->err, TM_NOT_FOUND, "there is no DAG '%s'", c->dag_id);
	tm_err_hint(c->err, "`tidemill dag list` shows the DAGs that were loaded");
	return NULL;
}

static void file_set(void *ctx)
{
	struct command *c = ctx;
	json_error_t at;
	json_t *j = json_loadb(c->json.at, c->json.len, 0, &at);
	if (!j)
		c->rc = tm_fail(c->err, TM_SYNTAX, "the definition of %s is no JSON: %s", c->text, at.text);
	else
		c->rc = tm_dag_file_define(c->d, c->text, j, c->err);
	json_decref(j);
}
tm_rc tm_dag_file_set(struct tm_dag *d, const char *file, struct tm_str definition_json, struct tm_err *err)
{
	return call(&(struct command){.d = d, .text = file, .json = definition_json, .err = err}, file_set);
}

static void file_remove(void *ctx)
{
	struct command *c = ctx;
	tm_dag_file_forget(c->d, c->text);
}
tm_rc tm_dag_file_remove(struct tm_dag *d, const char *file, struct tm_err *err)
{
	return call(&(struct command){.d = d, .text = file, .err = err}, file_remove);
}

static void trigger(void *ctx)
{
	struct command *c = ctx;
	c->rc = tm_dag_trigger_locked(c->d, c->dag_id, c->trigger, c->ret_run_id, c->err);
}
tm_rc tm_dag_trigger(struct tm_dag *d, const char *dag_id, const struct tm_dag_trigger *how, char ret_run_id[256], struct tm_err *err)
{
	static const struct tm_dag_trigger plain = {.logical_date_us = TM_DAG_NEVER};
	return act(&(struct command){.d = d, .dag_id = dag_id, .trigger = how ? how : &plain, .ret_run_id = ret_run_id, .err = err},
		   trigger);
}

static void pause_dag(void *ctx)
{
	struct command *c = ctx;
	struct dag_entry *e = dag_of(c, false);
	if (!e)
		return;
	e->paused = c->flag;
	tm_dag_store_exec(c->d->store, "UPDATE dag SET paused=? WHERE dag_id=?", "is", (int64_t)c->flag, c->dag_id);
	tm_dag_schedule_next(c->d, e);
	tm_dag_event_add(c->d, TM_DAG_EVENT_RUN, c->dag_id, "", "", c->flag ? "paused" : "unpaused", -1, 0);
	c->d->touched = true;
}
tm_rc tm_dag_pause(struct tm_dag *d, const char *dag_id, bool paused, struct tm_err *err)
{
	return act(&(struct command){.d = d, .dag_id = dag_id, .flag = paused, .err = err}, pause_dag);
}

static struct run *active_by_id(struct dag_entry *e, const char *run_id)
{
	for (size_t i = 0; i < e->run_count; i++)
		if (!strcmp(e->runs[i]->run_id, run_id))
			return e->runs[i];
	return NULL;
}

/* ---- clear ---- */
static void mark_downstream(const struct dag_def *def, int task, bool *chosen)
{
	if (chosen[task])
		return;
	chosen[task] = true;
	for (int k = 0; k < def->tasks[task].down_count; k++)
		mark_downstream(def, def->tasks[task].down[k], chosen);
}

/* A run that has ended goes on: it is read back and bound like one found after a restart. */
static struct run *revive(struct tm_dag *d, struct dag_entry *e, const char *run_id)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT * FROM run WHERE dag_id=? AND run_id=?", "ss", e->dag_id, run_id),
	       *row = json_array_get(rows, 0);
	struct run *r = NULL;
	if (row) {
#define AT(name) (json_is_integer(json_object_get(row, name)) ? json_integer_value(json_object_get(row, name)) : TM_DAG_NEVER)
		r = tm_zalloc(sizeof *r);
		*r = (struct run){.id = AT("id"),
				  .dag = e,
				  .run_id = tm_strdup(run_id),
				  .type = tm_strdup(json_string_value(json_object_get(row, "run_type"))),
				  .state = TM_DAG_RUNNING,
				  .logical_us = AT("logical_us"),
				  .start_interval_us = AT("interval_start_us"),
				  .end_interval_us = AT("interval_end_us"),
				  .run_after_us = AT("run_after_us"),
				  .queued_us = AT("queued_us"),
				  .start_us = tm_dag_now(d),
				  .end_us = TM_DAG_NEVER,
				  .conf = json_loads(json_string_value(json_object_get(row, "conf")) ?: "{}", 0, NULL)};
#undef AT
		if (!r->conf)
			r->conf = json_object();
		if (e->run_count == e->run_cap) {
			e->run_cap = e->run_cap ? e->run_cap * 2 : 4;
			e->runs = tm_realloc(e->runs, e->run_cap * sizeof *e->runs);
		}
		e->runs[e->run_count++] = r;
		tm_dag_store_exec(d->store, "UPDATE run SET state='running', end_us=NULL WHERE id=?", "i", r->id);
		tm_dag_run_bind(d, r);
		tm_dag_event_add(d, TM_DAG_EVENT_RUN, e->dag_id, run_id, "", "running", -1, 0);
	}
	json_decref(rows);
	return r;
}

static void clear_task(struct tm_dag *d, struct run *r, int task, bool only_failed)
{
	struct slot *s = &r->slots[task];
	const struct task_def *t = &r->dag->def->tasks[task];
	for (size_t k = 0; k < s->count; k++) {
		struct ti *ti = &s->items[k];
		bool failed = ti->state == TM_DAG_FAILED || ti->state == TM_DAG_UPSTREAM_FAILED;
		if ((only_failed && !failed) || ti->state == TM_DAG_NONE)
			continue;
		if (ti->work_id)
			tm_dag_work_kill(d, ti->work_id, false);
		ti->work_id = 0;
		ti->max_tries = ti->try_number + t->retries;
		ti->start_us = ti->end_us = ti->next_us = ti->first_us = TM_DAG_NEVER;
		tm_dag_ti_set(d, r, task, ti, TM_DAG_NONE, NULL);
	}
	tm_dag_store_exec(d->store, "DELETE FROM xcom WHERE run=? AND task_id=? AND ?=0", "isi", r->id, t->task_id, (int64_t)only_failed);
	if (t->expand && !only_failed && s->expanded) {
		/* What it maps over may have changed. */
		tm_dag_store_exec(d->store, "DELETE FROM ti WHERE run=? AND task_id=?", "is", r->id, t->task_id);
		s->items[0].map_index = -1;
		s->count = 1;
		s->expanded = false;
	}
}

static void clear(void *ctx)
{
	struct command *c = ctx;
	struct dag_entry *e = dag_of(c, true);
	if (!e)
		return;
	int task = c->task_id ? tm_dag_def_task(e->def, c->task_id) : -1;
	if (c->task_id && task < 0) {
		c->rc = tm_fail(c->err, TM_NOT_FOUND, "DAG '%s' has no task '%s'", c->dag_id, c->task_id);
		return;
	}
	struct run *r = c->run_id ? active_by_id(e, c->run_id) : NULL;
	if (!r && c->run_id)
		r = revive(c->d, e, c->run_id);
	if (!r) {
		c->rc = tm_fail(c->err, TM_NOT_FOUND, "DAG '%s' has no run '%s'", c->dag_id, c->run_id ? c->run_id : "");
		return;
	}
	if (r->state != TM_DAG_RUNNING)
		return;
	bool *chosen = tm_zalloc((size_t)e->def->task_count + 1);
	if (task < 0)
		memset(chosen, 1, (size_t)e->def->task_count);
	else if (c->flag)
		mark_downstream(e->def, task, chosen);
	else
		chosen[task] = true;
	for (int i = 0; i < e->def->task_count; i++)
		if (chosen[i])
			clear_task(c->d, r, i, c->other);
	free(chosen);
	r->cleared = true;
	tm_dag_touch_all(c->d, r);
}
tm_rc tm_dag_clear(struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, bool downstream, bool only_failed,
		   struct tm_err *err)
{
	return act(
	    &(struct command){
		.d = d, .dag_id = dag_id, .run_id = run_id, .task_id = task_id, .flag = downstream, .other = only_failed, .err = err},
	    clear);
}

/* ---- mark ---- */
static void mark_instance(struct tm_dag *d, struct run *r, int task, struct ti *ti, enum tm_dag_state state)
{
	int64_t work = ti->work_id;
	ti->end_us = tm_dag_now(d);
	tm_dag_ti_set(d, r, task, ti, state, "set by hand");
	if (work)
		tm_dag_work_kill(d, work, false);
}

static void mark(void *ctx)
{
	struct command *c = ctx;
	struct dag_entry *e = dag_of(c, true);
	if (!e)
		return;
	int task = c->task_id ? tm_dag_def_task(e->def, c->task_id) : -1;
	struct run *r = active_by_id(e, c->run_id);
	if (!r && c->task_id)
		r = revive(c->d, e, c->run_id);
	if ((c->task_id && task < 0) || !r) {
		c->rc = tm_fail(c->err, TM_NOT_FOUND, "DAG '%s' has no %s '%s'%s", c->dag_id, c->task_id && task < 0 ? "task" : "run",
				c->task_id && task < 0 ? c->task_id : c->run_id, r || c->task_id ? "" : " that has not ended");
		return;
	}
	for (int i = 0; i < r->slot_count; i++)
		for (size_t k = 0; (task < 0 || task == i) && k < r->slots[i].count; k++) {
			struct ti *ti = &r->slots[i].items[k];
			if (task >= 0 || !tm_dag_state_ended(ti->state))
				mark_instance(c->d, r, i, ti,
					      task < 0 && c->state == TM_DAG_FAILED && !ti->work_id ? TM_DAG_SKIPPED : c->state);
		}
	if (task < 0)
		tm_dag_run_end(c->d, r, c->state);
	r->touched = c->d->touched = true;
}
tm_rc tm_dag_mark(struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, enum tm_dag_state state,
		  struct tm_err *err)
{
	if (state != TM_DAG_SUCCESS && state != TM_DAG_FAILED)
		return tm_fail(err, TM_INVALID, "only success and failed can be set");
	return act(&(struct command){.d = d, .dag_id = dag_id, .run_id = run_id, .task_id = task_id, .state = state, .err = err}, mark);
}

static void pool_set(void *ctx)
{
	struct command *c = ctx;
	json_object_set_new(c->d->pools, c->text, json_integer(c->number));
	tm_dag_store_exec(c->d->store, "INSERT OR REPLACE INTO pool VALUES (?,?)", "si", c->text, (int64_t)c->number);
	c->d->touched = true;
}
tm_rc tm_dag_pool_set(struct tm_dag *d, const char *name, int slots, struct tm_err *err)
{
	return act(&(struct command){.d = d, .text = name, .number = slots, .err = err}, pool_set);
}

static void variable_set(void *ctx)
{
	struct command *c = ctx;
	if (c->text)
		tm_dag_store_exec(c->d->store, "INSERT OR REPLACE INTO variable VALUES (?,?)", "ss", c->dag_id, c->text);
	else
		tm_dag_store_exec(c->d->store, "DELETE FROM variable WHERE key=?", "s", c->dag_id);
}
tm_rc tm_dag_variable_set(struct tm_dag *d, const char *key, const char *value, struct tm_err *err)
{
	return act(&(struct command){.d = d, .dag_id = key, .text = value, .err = err}, variable_set);
}
