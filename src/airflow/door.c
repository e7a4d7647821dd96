/* The Python side of the door. One root process imports the `airflow` look-alike once; for every DAG file it forks a parent,
 * which loads the file, answers with its DAGs, and forks one process per task. So a task starts with its file loaded, and a
 * file's mess stays in its own process. All of them die with us (PR_SET_PDEATHSIG down the line).
 *
 * States of a file: loading (its parent has not answered; the engine is not idle) -> loaded -> changed: a new parent loads the
 * new text, the old one goes when its tasks have ended. A parent in which the file has started threads cannot fork safely
 * and says so ("fresh"): its tasks are forked from the root and load the file themselves.
 * States of a task: asked for -> hello (its pid is known) -> end -> the socket closes. A socket that closes without an end is a
 * crash: what the parent's wait says becomes the error. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "airflow/airflow_int.h"
#include "dag/spawn.h"

#define LOAD_LIMIT_MS 30000 /* Airflow's dagbag_import_timeout */
#define CRASH_GRACE_MS 1000 /* from the end of the socket to the word of the parent */
#define PARENTS_IDLE_MAX 32 /* parents of files without running tasks that are kept warm */
#define ROOT_DEATHS_MAX 5
#define LOADS_AT_ONCE 4 /* files loaded side by side; the limit of time is for each */

static void root_start_again(struct tm_airflow *a);

static int64_t integer(const json_t *m, const char *key) { return json_integer_value(json_object_get(m, key)); }
static const char *text(const json_t *m, const char *key)
{
	const char *s = json_string_value(json_object_get(m, key));
	return s ? s : "";
}
static bool is(const json_t *m, const char *op) { return !strcmp(text(m, "op"), op); }

static void freed(uv_handle_t *h) { free(h); }
static void timer_drop(uv_timer_t **t)
{
	if (*t)
		uv_close((uv_handle_t *)*t, freed);
	*t = NULL;
}
static uv_timer_t *timer_after(struct tm_airflow *a, uint64_t ms, uv_timer_cb fn, void *ctx)
{
	uv_timer_t *t = tm_zalloc(sizeof *t);
	uv_timer_init(a->loop, t);
	t->data = ctx;
	uv_update_time(a->loop);
	uv_timer_start(t, fn, ms, 0);
	return t;
}

/* ---- parents ---- */
static void parent_free(struct parent *p)
{
	struct tm_airflow *a = p->airflow;
	for (size_t i = 0; i < a->parents.count; i++)
		if (a->parents.items[i] == p)
			a->parents.items[i] = a->parents.items[--a->parents.count];
	for (size_t i = 0; i < a->tasks.count; i++)
		if (a->tasks.items[i]->parent == p)
			a->tasks.items[i]->parent = NULL;
	if (p->file && p->file->parent == p)
		p->file->parent = NULL;
	timer_drop(&p->limit);
	tm_channel_close(p->channel);
	free(p);
}

/* It leaves when its tasks have ended. */
void tm_airflow_parent_retire(struct parent *p)
{
	if (p->file && p->file->parent == p)
		p->file->parent = NULL;
	p->file = NULL;
	timer_drop(&p->limit);
	if (!p->loaded && p->pid > 0)
		kill(-p->pid, SIGKILL);
	json_t *m = json_pack("{s:s}", "op", "retire");
	tm_channel_send(p->channel, m, -1);
	json_decref(m);
}

static int loads_running(const struct tm_airflow *a)
{
	int n = 0;
	for (size_t i = 0; i < a->files.count; i++)
		n += a->files.items[i]->counted && !a->files.items[i]->waiting;
	return n;
}

void tm_airflow_file_done(struct tm_airflow *a, struct dag_file *f)
{
	if (f->counted)
		tm_dag_loading(a->dag, -1);
	f->counted = f->waiting = false;
	for (size_t i = 0; i < a->files.count && loads_running(a) < LOADS_AT_ONCE; i++)
		if (a->files.items[i]->waiting)
			tm_airflow_load(a, a->files.items[i]);
}

static void task_ended(struct task *t, const struct tm_dag_end *end);

static void fail_waiting_tasks(struct tm_airflow *a, const char *file, const char *why)
{
	for (size_t i = 0; i < a->tasks.count;) {
		struct task *t = a->tasks.items[i];
		if (t->start && !strcmp(t->file, file)) {
			task_ended(t, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = why});
			i = 0;
		} else {
			i++;
		}
	}
}

static void file_failed(struct tm_airflow *a, struct dag_file *f, const char *what, const char *hint)
{
	json_t *d = json_pack("{s:[],s:[{s:s,s:i,s:i,s:s,s:s}]}", "dags", "errors", "file", f->path, "line", 0, "column", 0, "error", what,
			      "hint", hint);
	struct tm_err err = {0};
	tm_say(TM_SAY_WARN, "airflow", "%s: %s", f->path, what);
	if (tm_dag_file_define(a->dag, f->path, d, &err) != TM_OK)
		tm_say_err("airflow", &err);
	json_decref(d);
	fail_waiting_tasks(a, f->path, what);
	tm_airflow_file_done(a, f);
}

static void on_load_limit(uv_timer_t *t)
{
	struct parent *p = t->data;
	if (p->pid > 0)
		kill(-p->pid, SIGKILL);
	struct dag_file *f = p->file;
	timer_drop(&p->limit);
	if (f) {
		f->parent = NULL;
		p->file = NULL;
		file_failed(p->airflow, f, "DagBag import timeout: the file did not finish loading in 30 s",
			    "code at module level runs each time the file is loaded: put loops and requests inside the task's function");
	}
}

static void start_waiting(struct tm_airflow *a, struct parent *p);
static void trim_parents(struct tm_airflow *a);

static void say_errors(const json_t *definition)
{
	size_t i;
	json_t *e;
	json_array_foreach(json_object_get(definition, "errors"), i, e)
	{
		tm_say(TM_SAY_WARN, "airflow", "%s:%d:%d: %s", text(e, "file"), (int)integer(e, "line"), (int)integer(e, "column"),
		       text(e, "error"));
		if (*text(e, "hint"))
			tm_say(TM_SAY_WARN, "airflow", "  hint: %s", text(e, "hint"));
	}
}

static void on_loaded(struct parent *p, const json_t *m)
{
	struct tm_airflow *a = p->airflow;
	struct dag_file *f = p->file;
	timer_drop(&p->limit);
	bool first = !p->loaded;
	p->loaded = true;
	if (!f || !first)
		return;
	const json_t *definition = json_object_get(m, "definition");
	struct tm_err err = {0};
	say_errors(definition);
	if (tm_dag_file_define(a->dag, f->path, definition, &err) != TM_OK)
		tm_say_err("airflow", &err);
	json_decref(f->modules);
	f->modules = json_object();
	size_t i;
	json_t *path;
	json_array_foreach(json_object_get(m, "modules"), i, path)
	{
		int64_t stamp = tm_airflow_stamp_before(json_string_value(path), f->load_began_us);
		json_object_set_new(f->modules, json_string_value(path), json_integer(stamp));
		if (!stamp)
			tm_airflow_scan_soon(a);
	}
	tm_airflow_file_done(a, f);
	start_waiting(a, p);
	trim_parents(a);
	if (json_is_true(json_object_get(m, "unsafe_to_fork")))
		tm_say(TM_SAY_INFO, "airflow", "%s starts threads at module level: each of its tasks loads it anew", f->path);
}

static struct task *task_by_pid(struct tm_airflow *a, pid_t pid)
{
	for (size_t i = 0; i < a->tasks.count; i++)
		if (a->tasks.items[i]->pid == pid)
			return a->tasks.items[i];
	return NULL;
}

static void crashed(struct task *t);

static void child_exited(struct tm_airflow *a, const json_t *m)
{
	struct task *t = task_by_pid(a, (pid_t)integer(m, "pid"));
	if (!t)
		return;
	t->exit_status = (int)integer(m, "status");
	if (t->eof && !t->ended)
		crashed(t);
}

static void on_parent_message(void *ctx, const json_t *m)
{
	struct parent *p = ctx;
	if (is(m, "hello"))
		p->pid = (pid_t)integer(m, "pid");
	else if (is(m, "loaded"))
		on_loaded(p, m);
	else if (is(m, "exited"))
		child_exited(p->airflow, m);
}

static void on_parent_closed(void *ctx)
{
	struct parent *p = ctx;
	struct tm_airflow *a = p->airflow;
	struct dag_file *f = p->file;
	bool loaded = p->loaded;
	p->channel = NULL;
	parent_free(p);
	if (f && !loaded && !a->stopping)
		file_failed(a, f, "the process that loaded the file died",
			    "a crash in an extension module, or too little memory; the engine's log may say more");
}

static struct parent *parent_new(struct tm_airflow *a, struct dag_file *f)
{
	int pair[2];
	if (!a->root || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return NULL;
	struct parent *p = tm_zalloc(sizeof *p);
	p->airflow = a;
	p->file = f;
	p->channel = tm_channel_new(a->loop, pair[0], on_parent_message, on_parent_closed, p);
	p->limit = timer_after(a, LOAD_LIMIT_MS, on_load_limit, p);
	TM_PUSH(&a->parents, p);
	json_t *m = json_pack("{s:s,s:s}", "op", "file", "path", f->path);
	tm_channel_send(a->root, m, pair[1]);
	json_decref(m);
	return p;
}

void tm_airflow_load(struct tm_airflow *a, struct dag_file *f)
{
	if (f->parent)
		tm_airflow_parent_retire(f->parent);
	if (!f->counted)
		tm_dag_loading(a->dag, 1);
	f->counted = true;
	f->waiting = true;
	if (loads_running(a) >= LOADS_AT_ONCE)
		return;
	f->waiting = false;
	f->load_began_us = tm_now_us(tm_env_real());
	f->parent = parent_new(a, f);
	if (!f->parent)
		file_failed(a, f, "the Python process is not running", "see the log for why it ended");
}

/* Warm parents cost memory: of those without tasks the longest unused go. */
static void trim_parents(struct tm_airflow *a)
{
	size_t idle = 0;
	struct parent *oldest = NULL;
	for (size_t i = 0; i < a->parents.count; i++) {
		struct parent *p = a->parents.items[i];
		if (!p->file || !p->loaded || p->task_count)
			continue;
		idle++;
		if (!oldest || p->used_at < oldest->used_at)
			oldest = p;
	}
	if (idle > PARENTS_IDLE_MAX)
		tm_airflow_parent_retire(oldest);
}

/* ---- tasks ---- */
static void task_free(struct task *t)
{
	struct tm_airflow *a = t->airflow;
	for (size_t i = 0; i < a->tasks.count; i++)
		if (a->tasks.items[i] == t)
			a->tasks.items[i] = a->tasks.items[--a->tasks.count];
	if (t->parent) {
		t->parent->task_count--;
		t->parent->used_at = (int64_t)uv_now(a->loop);
	}
	timer_drop(&t->grace);
	tm_channel_close(t->channel);
	json_decref(t->start);
	free(t->file);
	free(t);
}

static void task_ended(struct task *t, const struct tm_dag_end *end)
{
	struct tm_airflow *a = t->airflow;
	if (t->ended)
		return;
	t->ended = true;
	if (!a->stopping)
		tm_dag_work_ended(a->dag, t->work_id, end);
	task_free(t);
	trim_parents(a);
}

static void crashed(struct task *t)
{
	char why[160];
	if (WIFSIGNALED(t->exit_status))
		snprintf(why, sizeof why, "the task's process was killed by signal %d (%s)", WTERMSIG(t->exit_status),
			 strsignal(WTERMSIG(t->exit_status)));
	else if (t->exit_status >= 0)
		snprintf(why, sizeof why, "the task's process exited with %d without reporting an end", WEXITSTATUS(t->exit_status));
	else
		snprintf(why, sizeof why, "the task's process ended without reporting an end");
	task_ended(t, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = why});
}

static void on_crash_grace(uv_timer_t *timer) { crashed(timer->data); }

static void on_task_end(struct task *t, const json_t *m)
{
	struct tm_dag_end end = {.state = TM_DAG_FAILED,
				 .no_retry = json_is_true(json_object_get(m, "no_retry")),
				 .error = json_string_value(json_object_get(m, "error")),
				 .xcoms = json_object_get(m, "xcoms"),
				 .skip = json_object_get(m, "skip"),
				 .asset_events = json_object_get(m, "asset_events"),
				 .rendered_map_index = json_string_value(json_object_get(m, "rendered_map_index")),
				 .reschedule_at_us = integer(m, "reschedule_at_us")};
	if (!tm_dag_state_of(tm_str_of(text(m, "state")), &end.state))
		end.error = "the task reported a state that does not exist";
	task_ended(t, &end);
}

static void on_task_message(void *ctx, const json_t *m)
{
	struct task *t = ctx;
	struct tm_airflow *a = t->airflow;
	if (is(m, "hello")) {
		t->pid = (pid_t)integer(m, "pid");
		if (t->kill_wanted)
			kill(-t->pid, t->kill_hard ? SIGKILL : SIGTERM);
	} else if (is(m, "end")) {
		on_task_end(t, m);
	} else {
		json_t *answer = json_object();
		json_object_set_new(answer, "answer", tm_dag_work_ask(a->dag, t->work_id, m));
		tm_channel_send(t->channel, answer, -1);
		json_decref(answer);
	}
}

static void on_task_closed(void *ctx)
{
	struct task *t = ctx;
	t->channel = NULL;
	if (t->ended)
		return;
	t->eof = true;
	if (t->exit_status >= 0)
		crashed(t);
	else
		t->grace = timer_after(t->airflow, CRASH_GRACE_MS, on_crash_grace, t);
}

/* Asks the parent for a process and gives it its orders. */
static void task_fork(struct task *t, struct parent *p)
{
	struct tm_airflow *a = t->airflow;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		task_ended(t, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = "no more file descriptors for tasks"});
		return;
	}
	t->parent = p;
	p->task_count++;
	t->channel = tm_channel_new(a->loop, pair[0], on_task_message, on_task_closed, t);
	json_t *m = json_pack("{s:s}", "op", "task");
	tm_channel_send(p->channel, m, pair[1]);
	json_decref(m);
	tm_channel_send(t->channel, t->start, -1);
	json_decref(t->start);
	t->start = NULL;
}

static void start_waiting(struct tm_airflow *a, struct parent *p)
{
	for (size_t i = 0; i < a->tasks.count; i++) {
		struct task *t = a->tasks.items[i];
		if (t->start && p->file && !strcmp(t->file, p->file->path))
			task_fork(t, p);
	}
}

static void start(void *ctx, const struct tm_dag_work *w)
{
	struct tm_airflow *a = ctx;
	struct task *t = tm_zalloc(sizeof *t);
	t->airflow = a;
	t->work_id = w->id;
	t->exit_status = -1;
	t->file = tm_strdup(w->file);
	t->start = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:O,s:f}", "op", "start", "dag_id", w->dag_id, "run_id", w->run_id,
			     "task_id", w->task_id, "log", w->log_path, "map_index", w->map_index, "try_number", w->try_number, "max_tries",
			     w->max_tries, "run", w->run, "timeout_s", w->timeout_s);
	TM_PUSH(&a->tasks, t);
	struct dag_file *f = tm_airflow_file(a, w->file);
	if (!f) {
		task_ended(t, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = "the DAG's file is gone"});
		return;
	}
	if (!f->parent && !f->waiting)
		f->parent = parent_new(a, f);
	if (!f->parent && !f->waiting)
		task_ended(t, &(struct tm_dag_end){.state = TM_DAG_FAILED, .error = "the Python process is not running"});
	else if (f->parent && f->parent->loaded)
		task_fork(t, f->parent);
}

static void kill_task(void *ctx, int64_t work_id, bool hard)
{
	struct tm_airflow *a = ctx;
	for (size_t i = 0; i < a->tasks.count; i++) {
		struct task *t = a->tasks.items[i];
		if (t->work_id != work_id)
			continue;
		t->kill_wanted = true;
		t->kill_hard = hard;
		if (t->pid > 0)
			kill(-t->pid, hard ? SIGKILL : SIGTERM);
		return;
	}
}

/* ---- the root ---- */
static void on_root_message(void *ctx, const json_t *m)
{
	struct tm_airflow *a = ctx;
	if (is(m, "exited"))
		child_exited(a, m);
}
static void on_root_closed(void *ctx)
{
	struct tm_airflow *a = ctx;
	a->root = NULL;
}
static void on_root_end(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	struct tm_airflow *a = h->data;
	int code;
	if (waitpid(a->root_pid, &code, WNOHANG) != a->root_pid)
		return;
	uv_poll_stop(h);
	uv_close((uv_handle_t *)h, freed);
	a->root_end = NULL;
	close(a->root_pidfd);
	tm_channel_close(a->root);
	a->root = NULL;
	a->root_pid = 0;
	if (a->stopping)
		return;
	tm_say(TM_SAY_ERROR, "airflow", "the Python process ended (%s %d)", WIFSIGNALED(code) ? "signal" : "status",
	       WIFSIGNALED(code) ? WTERMSIG(code) : WEXITSTATUS(code));
	root_start_again(a);
}

static tm_rc root_start(struct tm_airflow *a, struct tm_err *err)
{
	int pair[2], config = -1;
	TM_TRY(tm_airflow_config_fd(a->config, &config, err));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		int e = errno;
		close(config);
		return tm_fail_errno(err, e, "a socket for the Python process");
	}
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char **env = tm_airflow_env(NULL, a->package_dir, a->data_dir);
	struct tm_spawn how = {.argv = (const char *const[]){a->python, "-u", "-m", "tidemill.worker", NULL},
			       .env = (const char *const *)env,
			       .cwd = a->project_dir,
			       .fds = {nothing, 2, 2, pair[1], config},
			       .fd_count = 5};
	tm_rc rc = tm_spawn_start(&how, &a->root_pid, &a->root_pidfd, err);
	tm_airflow_env_free(env);
	close(nothing);
	close(config);
	close(pair[1]);
	if (rc != TM_OK) {
		close(pair[0]);
		return rc;
	}
	a->root = tm_channel_new(a->loop, pair[0], on_root_message, on_root_closed, a);
	a->root_end = tm_zalloc(sizeof *a->root_end);
	uv_poll_init(a->loop, a->root_end, a->root_pidfd);
	a->root_end->data = a;
	uv_poll_start(a->root_end, UV_READABLE, on_root_end);
	return TM_OK;
}

/* Its children went with it: their sockets tell. Files are loaded anew; a Python that always dies is given up. */
static void root_start_again(struct tm_airflow *a)
{
	struct tm_err err = {0};
	if (++a->root_deaths <= ROOT_DEATHS_MAX && root_start(a, &err) != TM_OK)
		tm_say_err("airflow", &err);
	for (size_t i = 0; i < a->files.count; i++) {
		struct dag_file *f = a->files.items[i];
		if (f->parent)
			tm_airflow_parent_retire(f->parent);
		tm_airflow_load(a, f);
	}
}

/* ---- start and stop ---- */
struct start_call {
	struct tm_airflow *a;
	tm_rc rc;
	struct tm_err *err;
};
static void start_on_loop(void *ctx)
{
	struct start_call *c = ctx;
	struct tm_airflow *a = c->a;
	a->settle = tm_zalloc(sizeof *a->settle);
	uv_timer_init(a->loop, a->settle);
	a->settle->data = a;
	c->rc = root_start(a, c->err);
	if (c->rc != TM_OK)
		return;
	struct tm_dag_executor executor = {.ctx = a, .start = start, .kill = kill_task};
	tm_dag_executor_set(a->dag, &executor);
	tm_airflow_scan(a);
}

static void stop_on_loop(void *ctx)
{
	struct tm_airflow *a = ctx;
	a->stopping = true;
	tm_dag_executor_set(a->dag, NULL);
	while (a->tasks.count) {
		struct task *t = a->tasks.items[0];
		if (t->pid > 0)
			kill(-t->pid, SIGKILL);
		task_free(t);
	}
	while (a->parents.count) {
		struct parent *p = a->parents.items[0];
		if (p->pid > 0)
			kill(-p->pid, SIGKILL);
		parent_free(p);
	}
	tm_airflow_unwatch(a);
	timer_drop(&a->settle);
	if (a->root_end) {
		uv_poll_stop(a->root_end);
		uv_close((uv_handle_t *)a->root_end, freed);
	}
	if (a->root_pid > 0) {
		kill(-a->root_pid, SIGKILL);
		waitpid(a->root_pid, NULL, 0);
		close(a->root_pidfd);
	}
	tm_channel_close(a->root);
}

static void airflow_free(struct tm_airflow *a)
{
	for (size_t i = 0; i < a->files.count; i++) {
		json_decref(a->files.items[i]->modules);
		free(a->files.items[i]->path);
		free(a->files.items[i]);
	}
	free(a->files.items);
	free(a->tasks.items);
	free(a->parents.items);
	free(a->watches.items);
	json_decref(a->config);
	free(a->project_dir);
	free(a->dags_dir);
	free(a->data_dir);
	free(a->python);
	free(a->package_dir);
	free(a);
}

static char *real_path(const char *path)
{
	char real[4096];
	return tm_strdup(realpath(path, real) ? real : path);
}

tm_rc tm_airflow_start(const struct tm_airflow_options *o, struct tm_dag *dag, struct tm_airflow **ret, struct tm_err *err)
{
	struct tm_airflow *a = tm_zalloc(sizeof *a);
	a->dag = dag;
	a->loop = tm_dag_loop(dag);
	a->dags_dir = real_path(o->dags_dir ? o->dags_dir : "dags");
	a->data_dir = real_path(o->data_dir ? o->data_dir : ".tidemill");
	if (o->project_dir) {
		a->project_dir = real_path(o->project_dir);
	} else {
		char *slash = strrchr(a->dags_dir, '/');
		a->project_dir = slash && slash != a->dags_dir ? tm_strdup(a->dags_dir) : tm_strdup(".");
		if (slash && slash != a->dags_dir)
			a->project_dir[slash - a->dags_dir] = 0;
	}
	a->watch = !o->no_watch;
	tm_rc rc = tm_airflow_python(o, &a->python, &a->package_dir, err);
	if (rc == TM_OK) {
		a->config = tm_airflow_config(o, a->dags_dir, a->project_dir, a->data_dir, tm_dag_journal_path(dag));
		struct start_call c = {a, TM_OK, err};
		tm_dag_call(dag, start_on_loop, &c, NULL);
		rc = c.rc;
		if (rc != TM_OK)
			tm_dag_call(dag, stop_on_loop, a, NULL);
	}
	if (rc != TM_OK) {
		airflow_free(a);
		return rc;
	}
	*ret = a;
	return TM_OK;
}

void tm_airflow_stop(struct tm_airflow *a)
{
	if (!a)
		return;
	tm_dag_call(a->dag, stop_on_loop, a, NULL);
	airflow_free(a);
}

/* ---- settings that change while we run ---- */
struct settings_call {
	struct tm_airflow *airflow;
	json_t *variables, *connections;
};

static json_t *pairs_json(const struct tm_airflow_pair *pairs, size_t n)
{
	json_t *o = json_object();
	for (size_t i = 0; i < n; i++)
		json_object_set_new(o, pairs[i].name, json_string(pairs[i].value));
	return o;
}

static void settings(void *ctx)
{
	struct settings_call *c = ctx;
	struct tm_airflow *a = c->airflow;
	json_object_set(a->config, "variables", c->variables);
	json_object_set(a->config, "connections", c->connections);
	if (!a->root)
		return; /* the next one is told all */
	json_t *m = json_pack("{s:s,s:O,s:O}", "op", "settings", "variables", c->variables, "connections", c->connections);
	tm_channel_send(a->root, m, -1);
	json_decref(m);
	for (size_t i = 0; i < a->files.count; i++)
		tm_airflow_load(a, a->files.items[i]);
}

void tm_airflow_settings(struct tm_airflow *a, const struct tm_airflow_pair *variables, size_t variable_count,
			 const struct tm_airflow_pair *connections, size_t connection_count)
{
	struct settings_call c = {a, pairs_json(variables, variable_count), pairs_json(connections, connection_count)};
	tm_dag_call(a->dag, settings, &c, NULL);
	json_decref(c.variables);
	json_decref(c.connections);
}
