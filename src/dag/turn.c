/* The end of a turn of the loop: look what follows, commit, start what is to run, tell who watches; and what is done when a commit is
 * refused. */
#include <unistd.h>
#include "dag/dag_int.h"

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

/* The disk refused a commit: what is in memory is ahead of what is on disk, and nobody was told. The way on is from what is on
 * disk: tries that were not yet started are dropped, runs that are not there are forgotten, the others are read again; an end
 * that was lost in memory is in the journal of the workers. */
static void start_over(struct tm_dag *d, struct tm_err *err)
{
	tm_err_detail(err, "nothing of the last turn was reported; the runs are read again from disk");
	tm_say_err("dag", err);
	events_end(d, false);
	tm_dag_paused_read(d);
	tm_dag_pools_read(d);
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
	tm_dag_recover(d); /* runs whose end was refused, too */
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

static void on_again(uv_timer_t *t)
{
	struct tm_dag *d = t->data;
	d->again_at_ns = 1; /* now, whatever this clock says of the loop's, which is rounded */
	d->touched = true;
}
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

void tm_dag_turn_finish(struct tm_dag *d, struct tm_err *ret_refused)
{
	if (d->standby || d->lost) {
		d->touched = false;
		events_end(d, true);
		tm_dag_publish(d);
		return;
	}
	if (!ret_refused && d->again_at_ns && uv_hrtime() < d->again_at_ns)
		return; /* the timer is set; a caller hears at once, though */
	if (d->again_at_ns)
		tm_dag_define_again(d); /* a definition may be among what was refused */
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
					tm_dag_turn_finish(d, NULL);
					return;
				}
				start_over(d, &err);
				uv_update_time(&d->loop);
				uv_timer_start(&d->timer, on_again, AGAIN_MS, 0);
				tm_dag_publish(d);
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
	tm_dag_publish(d);
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

void tm_dag_publish(struct tm_dag *d)
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
