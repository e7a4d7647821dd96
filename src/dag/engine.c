/* The engine: its thread, its loop, the definitions it holds, and the commands that come from other threads. */
#include <unistd.h>
#include "dag/dag_int.h"
#include "dag/spawn.h"

/* ---- calls from other threads: a list under the lock, the caller waits ---- */
struct call {
	void (*fn)(void *ctx);
	void *ctx;
	bool done;
	struct tm_err refused; /* why what it wrote is not on disk */
	struct call *next;
};

tm_rc tm_dag_call(struct tm_dag *d, void (*fn)(void *ctx), void *ctx, struct tm_err *err)
{
	if (pthread_equal(pthread_self(), d->thread) || !d->thread_started) {
		fn(ctx);
		return TM_OK;
	}
	struct call call = {.fn = fn, .ctx = ctx};
	pthread_mutex_lock(&d->lock);
	struct call **end = &d->calls;
	while (*end)
		end = &(*end)->next;
	*end = &call;
	uv_async_send(&d->wake);
	while (!call.done)
		pthread_cond_wait(&d->done, &d->lock);
	pthread_mutex_unlock(&d->lock);
	if (call.refused.rc && err)
		*err = call.refused;
	return call.refused.rc;
}

static void publish(struct tm_dag *d);

/* ---- the end of a turn: look, commit, start, tell ---- */
static void events_end(struct tm_dag *d, bool told)
{
	for (size_t i = 0; i < d->events.count; i++) {
		struct tm_dag_event *e = &d->events.items[i];
		for (size_t k = 0; told && k < d->watches.count; k++)
			d->watches.items[k].fn(d->watches.items[k].ctx, e);
		free((char *)(uintptr_t)e->dag_id);
		free((char *)(uintptr_t)e->run_id);
		free((char *)(uintptr_t)e->task_id);
	}
	d->events.count = 0;
}

void tm_dag_event_add(struct tm_dag *d, enum tm_dag_event_kind kind, const char *dag_id, const char *run_id, const char *task_id,
		      const char *state, int map_index, int try_number)
{
	if (!d->watches.count)
		return;
	TM_PUSH(&d->events, (struct tm_dag_event){.kind = kind,
						  .dag_id = tm_strdup(dag_id),
						  .run_id = tm_strdup(run_id),
						  .task_id = tm_strdup(task_id),
						  .state = state,
						  .map_index = map_index,
						  .try_number = try_number,
						  .at_us = tm_dag_now(d)});
}

enum { AGAIN_MS = 500 }; /* between two attempts at a disk that refuses */
static void define_again(struct tm_dag *d);
static void read_paused(struct tm_dag *d);
static void load_pools(struct tm_dag *d);

/* The disk refused a commit: what is in memory is ahead of what is on disk, and nobody was told. The way on is from what is on
 * disk: tries that were not yet started are dropped, runs that are not there are forgotten, the others are read again; an end
 * that was lost in memory is in the journal of the workers. */
static void start_over(struct tm_dag *d, struct tm_err *err)
{
	tm_err_detail(err, "nothing of the last turn was reported; the runs are read again from disk");
	tm_say_err("dag", err);
	events_end(d, false);
	read_paused(d);
	load_pools(d);
	while (d->starts.count) {
		int64_t id = d->starts.items[0]->id;
		struct run *r = tm_dag_active_run(d, d->starts.items[0]->run_id);
		for (int i = 0; r && i < r->slot_count; i++)
			for (size_t k = 0; k < r->slots[i].count; k++)
				if (r->slots[i].items[k].work_id == id)
					r->slots[i].items[k].work_id = 0;
		memmove(d->starts.items, d->starts.items + 1, --d->starts.count * sizeof *d->starts.items);
		tm_dag_work_ended(d, id, &(struct tm_dag_end){.state = TM_DAG_FAILED});
	}
	tm_dag_recover_tasks(d);
	for (size_t i = 0; i < d->dags.count; i++) {
		struct dag_entry *e = d->dags.items[i];
		for (size_t k = 0; k < e->run_count;) {
			struct run *r = e->runs[k];
			if (!tm_dag_store_int(d->store, 0, "SELECT count(*) FROM run WHERE id=? AND run_id=?", "is", r->id, r->run_id)) {
				tm_dag_ready_forget(d, r);
				e->runs[k] = e->runs[--e->run_count];
				tm_dag_run_free(r);
				continue;
			}
			if (e->def && r->state != TM_DAG_QUEUED) {
				r->state = TM_DAG_RUNNING;
				tm_dag_run_bind(d, r);
			}
			k++;
		}
	}
	d->touched = true;
	d->again_at_ns = uv_hrtime() + AGAIN_MS * UINT64_C(1000000);
}

static void on_again(uv_timer_t *t) { ((struct tm_dag *)t->data)->touched = true; }
static void on_timer(uv_timer_t *t) { tm_dag_timers_fire(t->data); }

static void kill_works(struct tm_dag *d)
{
	d->starts.count = 0;
	for (size_t i = 0; i < d->works.count; i++) {
		struct work *w = d->works.items[i];
		if (w->proc)
			tm_shell_kill(w->proc, true);
		else if (!w->shell && d->has_executor)
			d->executor.kill(d->executor.ctx, w->id, true);
	}
}

/* The journal refused a commit: another engine decides. Nothing of this turn was started or told, and nothing will be. */
static void lose(struct tm_dag *d, const struct tm_err *err)
{
	tm_say(TM_SAY_WARN, "dag", "this engine decides no more: %s", err->what);
	pthread_mutex_lock(&d->lock);
	d->lost = true;
	pthread_mutex_unlock(&d->lock);
	kill_works(d);
}

/* ret_refused (may be NULL): why what had been written before this is not on disk, rc TM_OK where it is. Later commits of the same
 * turn, of what followed from it, do not count. */
static void finish_turn(struct tm_dag *d, struct tm_err *ret_refused)
{
	if (d->standby || d->lost) {
		d->touched = false;
		events_end(d, true);
		publish(d);
		return;
	}
	if (!ret_refused && d->again_at_ns && uv_hrtime() < d->again_at_ns)
		return; /* the timer is set; a caller hears at once, though */
	if (d->again_at_ns)
		define_again(d); /* a definition may be among what was refused */
	d->again_at_ns = 0;
	for (int rounds = 0; rounds < 1000; rounds++) {
		if (d->touched)
			tm_dag_turn(d);
		if (tm_dag_store_dirty(d->store)) {
			struct tm_err err = {0};
			if (tm_dag_store_commit(d->store, &err) != TM_OK) {
				if (ret_refused && rounds == 0)
					*ret_refused = err;
				if (tm_dag_store_lost(d->store)) {
					lose(d, &err);
					finish_turn(d, NULL);
					return;
				}
				start_over(d, &err);
				uv_update_time(&d->loop);
				uv_timer_start(&d->timer, on_again, AGAIN_MS, 0);
				publish(d);
				return;
			}
		}
		tm_dag_starts_flush(d);
		if (!d->touched && !tm_dag_store_dirty(d->store))
			break;
	}
	events_end(d, true);
	if (!d->works.count && !d->stopping) {
		/* Every end is on disk: the notes of the workers are not needed any more. */
		off_t size = 0;
		int fd = d->env->ops->open(d->env, d->journal_path, O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0) {
			size = lseek(fd, 0, SEEK_END);
			if (size > (off_t)(64 * TM_KIB))
				(void)!ftruncate(fd, 0);
			close(fd);
		}
	}
	/* The next timer. */
	if (d->timers.count && !d->stopping) {
		int64_t wait = d->timers.items[0].at_us - tm_dag_now(d);
		uint64_t ms = wait <= 0 ? 0 : (uint64_t)((wait + 999) / 1000);
		uv_update_time(&d->loop);
		uv_timer_start(&d->timer, on_timer, ms, 0);
	}
	publish(d);
}

/* Something will still happen to a run by itself: a try in work, waiting for its time or for a free slot. */
static bool moves(const struct run *r)
{
	if (r->state != TM_DAG_RUNNING || r->touched)
		return r->state == TM_DAG_RUNNING;
	for (int i = 0; i < r->slot_count; i++)
		for (size_t k = 0; k < r->slots[i].count; k++)
			if (r->slots[i].items[k].state != TM_DAG_NONE && !tm_dag_state_ended(r->slots[i].items[k].state))
				return true;
	return false;
}

/* What idle and counts answer from any thread. */
static void publish(struct tm_dag *d)
{
	struct tm_dag_counts c = {.files_loading = d->loading,
				  .import_errors = d->import_errors,
				  .runs_success = d->ended_success,
				  .runs_failed = d->ended_failed};
	int64_t now = d->options.due_only ? d->due_cutoff_us : tm_dag_now(d);
	for (size_t i = 0; i < d->dags.count; i++) {
		const struct dag_entry *e = d->dags.items[i];
		if (!e->def)
			continue;
		for (size_t k = 0; k < e->run_count; k++)
			if (moves(e->runs[k]))
				c.runs_active++;
			else
				c.runs_waiting++;
		bool again =
		    e->def->continuous && (d->options.due_only ? e->has_last && e->last.run_after_us >= e->next.run_after_us : false);
		c.runs_due +=
		    !e->paused && (int)e->run_count < e->def->max_active_runs && e->has_next && !again && e->next.run_after_us <= now;
	}
	for (size_t i = 0; i < d->works.count; i++)
		c.tasks_running++;
	c.tasks_waiting = (int)d->ready.count;
	pthread_mutex_lock(&d->lock);
	d->counts = c;
	d->idle = !c.files_loading && !c.runs_active && !c.runs_due && !c.tasks_running;
	pthread_mutex_unlock(&d->lock);
}

void tm_dag_counts(struct tm_dag *d, struct tm_dag_counts *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->counts;
	pthread_mutex_unlock(&d->lock);
}
bool tm_dag_idle(struct tm_dag *d)
{
	pthread_mutex_lock(&d->lock);
	bool idle = d->idle;
	pthread_mutex_unlock(&d->lock);
	return idle;
}

static void run_calls(struct tm_dag *d)
{
	pthread_mutex_lock(&d->lock);
	struct call *calls = d->calls;
	d->calls = NULL;
	pthread_mutex_unlock(&d->lock);
	if (!calls)
		return;
	for (struct call *c = calls; c; c = c->next)
		c->fn(c->ctx);
	struct tm_err refused = {0};
	finish_turn(d, &refused); /* what the callers hear of is on disk */
	pthread_mutex_lock(&d->lock);
	while (calls) {
		struct call *next = calls->next;
		calls->refused = refused;
		calls->done = true;
		calls = next;
	}
	pthread_cond_broadcast(&d->done);
	pthread_mutex_unlock(&d->lock);
}

static void on_wake(uv_async_t *a)
{
	struct tm_dag *d = a->data;
	run_calls(d);
	if (d->stopping)
		uv_stop(&d->loop);
}
static void on_prepare(uv_prepare_t *p)
{
	struct tm_dag *d = p->data;
	if (d->touched || d->events.count || tm_dag_store_dirty(d->store) || d->timers.count)
		finish_turn(d, NULL);
}
static void on_check(uv_check_t *c)
{
	struct tm_dag *d = c->data;
	if (d->touched || d->events.count || tm_dag_store_dirty(d->store))
		finish_turn(d, NULL);
}

static void *engine_thread(void *arg)
{
	struct tm_dag *d = arg;
	finish_turn(d, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* ---- open, close ---- */
static void load_pools(struct tm_dag *d)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT name, slots FROM pool", ""), *row;
	size_t i;
	json_object_clear(d->pools);
	json_array_foreach(rows, i, row)
	    json_object_set(d->pools, json_string_value(json_object_get(row, "name")), json_object_get(row, "slots"));
	json_decref(rows);
}

/* The workers' notes of ends were read: a fresh file for the next ones. */
static tm_rc notes_empty(struct tm_dag *d, struct tm_err *err)
{
	int fd = d->env->ops->open(d->env, d->journal_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return tm_fail_errno(err, -fd, "%s", d->journal_path);
	close(fd);
	return TM_OK;
}

tm_rc tm_dag_open(const struct tm_dag_options *options, struct tm_dag **ret, struct tm_err *err)
{
	struct tm_dag *d = tm_zalloc(sizeof *d);
	d->options = *options;
	d->env = options->env ? options->env : tm_env_real();
	if (d->options.parallelism <= 0)
		d->options.parallelism = 32;
	if (d->options.max_active_tasks <= 0)
		d->options.max_active_tasks = 16;
	if (d->options.max_active_runs <= 0)
		d->options.max_active_runs = 16;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->done, NULL);
	d->files = json_object();
	d->pools = json_object();
	char real[4096];
	struct tm_buf path = {0};
	tm_rc rc;
	TM_TRY_GOTO(rc, failed, tm_dir_make(options->data_dir, err));
	d->data_dir = tm_strdup(realpath(options->data_dir, real) ? real : options->data_dir);
	d->options.data_dir = d->data_dir;
	tm_buf_printf(&path, "%s/dag.journal", d->data_dir);
	d->journal_path = tm_strdup(tm_buf_cstr(&path));
	path.len = 0;
	tm_buf_printf(&path, "%s/dag.db", d->data_dir);
	TM_TRY_GOTO(rc, failed, tm_dag_store_open(tm_buf_cstr(&path), &d->store, err));
	tm_spawn_sweep(d->data_dir);
	d->due_cutoff_us = tm_dag_now(d);
	d->standby = options->standby;
	if (!d->standby) {
		load_pools(d);
		tm_dag_recover(d);
		TM_TRY_GOTO(rc, failed, tm_dag_store_commit(d->store, err));
		TM_TRY_GOTO(rc, failed, notes_empty(d, err));
	}
	TM_ASSERT(uv_loop_init(&d->loop) == 0);
	uv_async_init(&d->loop, &d->wake, on_wake);
	uv_timer_init(&d->loop, &d->timer);
	uv_prepare_init(&d->loop, &d->prepare);
	uv_check_init(&d->loop, &d->check);
	d->wake.data = d->timer.data = d->prepare.data = d->check.data = d;
	uv_prepare_start(&d->prepare, on_prepare);
	uv_check_start(&d->check, on_check);
	publish(d);
	tm_buf_done(&path);
	TM_TRY_GOTO(rc, failed_loop, tm_thread_start(&d->thread, "tm-dag", engine_thread, d, err));
	d->thread_started = true;
	*ret = d;
	return TM_OK;
failed_loop:
	uv_loop_close(&d->loop);
failed:
	tm_buf_done(&path);
	tm_dag_store_close(d->store);
	json_decref(d->files);
	json_decref(d->pools);
	free(d->data_dir);
	free(d->journal_path);
	free(d);
	return rc;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void kill_all(void *ctx)
{
	struct tm_dag *d = ctx;
	d->stopping = true;
	d->starts.count = 0;
	for (size_t i = 0; i < d->works.count; i++) {
		struct work *w = d->works.items[i];
		if (w->proc)
			tm_shell_kill(w->proc, true);
	}
}

void tm_dag_close(struct tm_dag *d)
{
	if (!d)
		return;
	tm_dag_call(d, kill_all, d, NULL);
	uv_async_send(&d->wake);
	pthread_join(d->thread, NULL);
	d->thread_started = false;
	uv_prepare_stop(&d->prepare);
	uv_check_stop(&d->check);
	uv_close((uv_handle_t *)&d->timer, NULL);
	for (bool busy = true; busy;) {
		/* Shell tasks were killed: their handles close themselves. */
		busy = false;
		for (size_t i = 0; i < d->works.count; i++)
			busy |= d->works.items[i]->proc != NULL;
		if (busy)
			uv_run(&d->loop, UV_RUN_ONCE);
	}
	uv_walk(&d->loop, close_handle, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
	struct tm_err err = {0};
	if (tm_dag_store_commit(d->store, &err) != TM_OK)
		tm_say_err("dag", &err);
	tm_dag_store_close(d->store);
	for (size_t i = 0; i < d->dags.count; i++) {
		struct dag_entry *e = d->dags.items[i];
		for (size_t k = 0; k < e->run_count; k++)
			tm_dag_run_free(e->runs[k]);
		free(e->runs);
		tm_dag_def_free(e->def);
		json_decref(e->asset_queue);
		free(e->dag_id);
		free(e);
	}
	free(d->dags.items);
	for (size_t i = 0; i < d->works.count; i++) {
		struct work *w = d->works.items[i];
		json_decref(w->run_json);
		free(w->dag_id);
		free(w->task_id);
		free(w->pool);
		free(w);
	}
	free(d->works.items);
	free(d->starts.items);
	free(d->ready.items);
	free(d->timers.items);
	free(d->events.items);
	free(d->watches.items);
	json_decref(d->files);
	json_decref(d->pools);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->done);
	free(d->data_dir);
	free(d->journal_path);
	free(d);
}

/* ---- definitions ---- */
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

static void read_last(struct tm_dag *d, struct dag_entry *e)
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

static void dag_defined(struct tm_dag *d, struct dag_def *def)
{
	struct dag_entry *e = tm_dag_entry(d, def->dag_id, true);
	struct dag_def *old = e->def;
	if (old != def)
		e->def = def;
	e->stalled = false;
	if (d->standby) {
		read_last(d, e);
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
	read_last(d, e);
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

static void define_again(struct tm_dag *d)
{
	for (size_t i = 0; i < d->dags.count; i++)
		if (d->dags.items[i]->def)
			dag_defined(d, d->dags.items[i]->def);
}

/* ---- several instances ---- */
struct apply_call {
	struct tm_dag *d;
	bool forget_all;
	const struct tm_journal_entry *entries;
	size_t count;
	struct tm_journal *journal;
	struct tm_err *err;
	tm_rc rc;
};

static void read_paused(struct tm_dag *d)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT dag_id, paused FROM dag", ""), *row;
	size_t i;
	json_array_foreach(rows, i, row) tm_dag_entry(d, json_string_value(json_object_get(row, "dag_id")), true)->paused =
	    json_integer_value(json_object_get(row, "paused"));
	json_decref(rows);
}

static void apply(void *ctx)
{
	struct apply_call *c = ctx;
	struct tm_dag *d = c->d;
	TM_ASSERT(d->standby);
	c->rc = tm_dag_store_apply(d->store, c->forget_all, c->entries, c->count, c->err);
	read_paused(d);
	for (size_t i = 0; i < d->dags.count; i++)
		read_last(d, d->dags.items[i]);
	tm_dag_event_add(d, TM_DAG_EVENT_RUN, "", "", "", "", -1, 0);
}
tm_rc tm_dag_apply(struct tm_dag *d, bool forget_all, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct apply_call c = {.d = d, .forget_all = forget_all, .entries = entries, .count = count, .err = err};
	tm_rc rc = tm_dag_call(d, apply, &c, err);
	return c.rc ? c.rc : rc;
}

static void lead(void *ctx)
{
	struct apply_call *c = ctx;
	struct tm_dag *d = c->d;
	TM_ASSERT(d->standby);
	c->rc = tm_dag_store_journal(d->store, c->journal, c->forget_all, c->err);
	if (c->rc)
		return;
	d->standby = false;
	d->due_cutoff_us = tm_dag_now(d);
	load_pools(d);
	tm_dag_recover(d);
	define_again(d);
	d->touched = true;
}
tm_rc tm_dag_lead(struct tm_dag *d, struct tm_journal *journal, bool all, struct tm_err *err)
{
	struct apply_call c = {.d = d, .forget_all = all, .journal = journal, .err = err};
	tm_rc rc = tm_dag_call(d, lead, &c, err);
	return c.rc ? c.rc : rc ? rc : notes_empty(d, err);
}

bool tm_dag_lost(struct tm_dag *d)
{
	pthread_mutex_lock(&d->lock);
	bool lost = d->lost;
	pthread_mutex_unlock(&d->lock);
	return lost;
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

void tm_dag_loading(struct tm_dag *d, int n)
{
	d->loading += n;
	d->touched = true;
	publish(d);
}

uv_loop_t *tm_dag_loop(struct tm_dag *d) { return &d->loop; }
const char *tm_dag_journal_path(struct tm_dag *d) { return d->journal_path; }
void tm_dag_executor_set(struct tm_dag *d, const struct tm_dag_executor *executor)
{
	d->has_executor = executor != NULL;
	if (executor)
		d->executor = *executor;
	d->touched = true;
}

struct watch_call {
	struct tm_dag *d;
	struct watch watch;
};
static void watch_add(void *ctx)
{
	struct watch_call *c = ctx;
	c->watch.handle = ++c->d->next_watch;
	TM_PUSH(&c->d->watches, c->watch);
}
static void watch_drop(void *ctx)
{
	struct watch_call *c = ctx;
	for (size_t i = 0; i < c->d->watches.count; i++)
		if (c->d->watches.items[i].handle == c->watch.handle)
			c->d->watches.items[i] = c->d->watches.items[--c->d->watches.count];
}
int tm_dag_watch(struct tm_dag *d, tm_dag_watch_fn *fn, void *ctx)
{
	struct watch_call c = {d, {0, fn, ctx}};
	tm_dag_call(d, watch_add, &c, NULL);
	return c.watch.handle;
}
void tm_dag_unwatch(struct tm_dag *d, int handle)
{
	struct watch_call c = {d, {handle, NULL, NULL}};
	tm_dag_call(d, watch_drop, &c, NULL);
}
