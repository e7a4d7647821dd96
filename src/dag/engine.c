/* The engine: its thread, its loop, and the calls that come from other threads. */
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
	tm_dag_turn_finish(d, &refused); /* what the callers hear of is on disk */
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
		tm_dag_turn_finish(d, NULL);
}
static void on_check(uv_check_t *c)
{
	struct tm_dag *d = c->data;
	if (d->touched || d->events.count || tm_dag_store_dirty(d->store))
		tm_dag_turn_finish(d, NULL);
}

static void *engine_thread(void *arg)
{
	struct tm_dag *d = arg;
	tm_dag_turn_finish(d, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* ---- open, close ---- */
void tm_dag_pools_read(struct tm_dag *d)
{
	json_t *rows = tm_dag_store_rows(d->store, "SELECT name, slots FROM pool", ""), *row;
	size_t i;
	json_object_clear(d->pools);
	json_array_foreach(rows, i, row)
	    json_object_set(d->pools, json_string_value(json_object_get(row, "name")), json_object_get(row, "slots"));
	json_decref(rows);
}

tm_rc tm_dag_notes_empty(struct tm_dag *d, struct tm_err *err)
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
		tm_dag_pools_read(d);
		tm_dag_recover(d);
		TM_TRY_GOTO(rc, failed, tm_dag_store_commit(d->store, err));
		TM_TRY_GOTO(rc, failed, tm_dag_notes_empty(d, err));
	}
	TM_ASSERT(uv_loop_init(&d->loop) == 0);
	uv_async_init(&d->loop, &d->wake, on_wake);
	uv_timer_init(&d->loop, &d->timer);
	uv_prepare_init(&d->loop, &d->prepare);
	uv_check_init(&d->loop, &d->check);
	d->wake.data = d->timer.data = d->prepare.data = d->check.data = d;
	uv_prepare_start(&d->prepare, on_prepare);
	uv_check_start(&d->check, on_check);
	tm_dag_publish(d);
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

void tm_dag_loading(struct tm_dag *d, int n)
{
	d->loading += n;
	d->touched = true;
	tm_dag_publish(d);
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
