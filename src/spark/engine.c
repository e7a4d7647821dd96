/* The process of the runner: started, told, watched, started again, stopped.
 * States: STARTING (the process runs, Spark does not answer yet) -> UP -> RESTING (it ended: a little longer each time) -> STARTING …;
 * FAILED (what it said can only be mended by people) and ENDED (we stop) are final. One thread owns the process. It is the parent's
 * thread for the kernel, so that it lives as long as the process may (PR_SET_PDEATHSIG): no Spark outlives us, however we end; the
 * runner passes that on to its JVM. What hangs and does not answer for a minute is killed; checkpoints make that harmless.
 * With a coordinator there is a process only while the lead is certain: it is killed at once when that ends, here, and by the runner
 * itself, which is told how long it may go on (we may be paused while it is not). */
#include "spark/spark_int.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS = 200,
	LEASE_TICK_MS = 20,
	LEASE_STATUS = 75, /* the runner's exit status when its lease has ended: python/tidemill/spark/lease.py */
	SILENT_SAY_MS = 10000,
	SILENT_KILL_MS = 60000,
	START_LIMIT_MS = 600000, /* packages may have to be fetched first */
	REST_FIRST_MS = 1000,
	REST_MOST_MS = 30000,
	DEATHS_MAX = 5, /* without having been up */
	STOP_LIMIT_MS = 8000,
	LOG_MAX = 16 * TM_MIB
};
#define OWNER "TIDEMILL_SPARK_OWNER"

static int64_t since_ms(const struct tm_spark *s, int64_t ns) { return (tm_mono_ns(s->env) - ns) / 1000000; }

static void state_set(struct tm_spark *s, enum spark_state state)
{
	pthread_mutex_lock(&s->lock);
	if (s->state != SPARK_FAILED)
		s->state = state;
	pthread_mutex_unlock(&s->lock);
}

static enum spark_state state_of(struct tm_spark *s)
{
	pthread_mutex_lock(&s->lock);
	enum spark_state state = s->state;
	pthread_mutex_unlock(&s->lock);
	return state;
}

static bool stopping(struct tm_spark *s)
{
	pthread_mutex_lock(&s->lock);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

/* ---- the lead ---- */

static bool may_act(const struct tm_spark *s)
{
	struct timespec ts;
	if (!s->options.lead_until_ns)
		return true;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec < s->options.lead_until_ns(s->options.lead_ctx);
}

/* ---- starting ---- */

static const char **environment(struct tm_spark *s, struct tm_arena *arena)
{
	size_t n = 0, k = 0;
	while (environ[n])
		n++;
	const char **env = TM_NEW_N(arena, const char *, n + 8), *path = getenv("PYTHONPATH");
	static const char *const ours[] = {"PYTHONPATH=", "PYSPARK_PYTHON=", "PYSPARK_DRIVER_PYTHON=", "TZ=", "SPARK_REMOTE=", OWNER "="};
	for (size_t i = 0; i < n; i++) {
		bool skip = false;
		for (size_t o = 0; o < sizeof ours / sizeof *ours; o++)
			skip = skip || strncmp(environ[i], ours[o], strlen(ours[o])) == 0;
		if (!skip)
			env[k++] = environ[i];
	}
	env[k++] = tm_arena_printf(arena, "PYTHONPATH=%s%s%s", s->options.package_dir, path && *path ? ":" : "", path ? path : "").at;
	env[k++] = tm_arena_printf(arena, "PYSPARK_PYTHON=%s", s->options.python).at;
	env[k++] = tm_arena_printf(arena, "PYSPARK_DRIVER_PYTHON=%s", s->options.python).at;
	env[k++] = tm_arena_printf(arena, OWNER "=%s", s->options.data_dir).at;
	env[k++] = "TZ=UTC";
	env[k] = NULL;
	return env;
}

static bool prints(const struct tm_spark *s)
{
	for (size_t i = 0; i < s->query_count; i++)
		if (tm_str_iis(s->queries[i].spec->sink_format, "console"))
			return true;
	return false;
}

static int log_open(struct tm_spark *s)
{
	struct stat st;
	char old[4300];
	if (stat(s->log_path, &st) == 0 && st.st_size > LOG_MAX) {
		snprintf(old, sizeof old, "%s.1", s->log_path);
		rename(s->log_path, old);
	}
	return open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* A runner that is paused does not read: it is waited for while we may act, and until we stop. */
static bool writable(struct tm_spark *s)
{
	struct pollfd p = {s->command_fd, POLLOUT, 0};
	while (poll(&p, 1, TICK_MS) <= 0)
		if (!may_act(s) || stopping(s))
			return false;
	return (p.revents & POLLOUT) != 0;
}

static bool send_locked(struct tm_spark *s, const json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	struct tm_buf line = {0};
	tm_buf_printf(&line, "%s\n", text);
	free(text);
	size_t at = 0;
	while (at < line.len) {
		ssize_t n = write(s->command_fd, line.at + at, line.len - at);
		if (n < 0 && errno != EINTR && !(errno == EAGAIN && writable(s)))
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	bool all = at == line.len;
	tm_buf_done(&line);
	return all;
}

static bool send(struct tm_spark *s, const json_t *o)
{
	pthread_mutex_lock(&s->process);
	bool sent = send_locked(s, o);
	pthread_mutex_unlock(&s->process);
	return sent;
}

static bool command(struct tm_spark *s, const char *op, struct tm_str query)
{
	json_t *o = json_pack("{s:s, s:o}", "op", op, "query", json_stringn_nocheck(query.at ? query.at : "", query.len));
	bool sent = send(s, o);
	json_decref(o);
	return sent;
}

static tm_rc spawn(struct tm_spark *s, struct tm_arena *arena, int in, int log, int out, struct tm_err *err)
{
	const char *argv[] = {s->options.python, "-m", "tidemill.spark", "-", "--events", "3", NULL};
	char cwd[4200];
	snprintf(cwd, sizeof cwd, "%s/spark", s->options.data_dir);
	struct tm_spawn how = {
	    .argv = argv, .env = environment(s, arena), .cwd = cwd, .fds = {in, prints(s) ? STDERR_FILENO : log, log, out}, .fd_count = 4};
	return tm_spawn_start(&how, &s->pid, &s->pid_fd, err);
}

static tm_rc start_process(struct tm_spark *s, struct tm_err *err)
{
	if (s->options.place->scratch_dir) { /* a Spark that was killed leaves its own there */
		(void)!tm_dir_remove(s->options.place->scratch_dir, NULL);
		TM_TRY(tm_dir_make(s->options.place->scratch_dir, err));
	}
	int in[2], out[2], log = log_open(s);
	if (log < 0)
		return tm_fail_errno(err, errno, "opening %s", s->log_path);
	if (pipe2(in, O_CLOEXEC) != 0) {
		close(log);
		return tm_fail_errno(err, errno, "starting Spark");
	}
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(log);
		close(in[0]);
		close(in[1]);
		return tm_fail_errno(err, errno, "starting Spark");
	}
	struct tm_arena arena;
	tm_arena_init(&arena);
	json_t *description = tm_spark_describe(s->options.pipelines, s->options.pipeline_count, s->options.place, s->options.address);
	if (s->options.lead_until_ns)
		json_object_set_new(description, "lease", json_true());
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	pthread_mutex_lock(&s->process);
	tm_rc rc = spawn(s, &arena, in[0], log, out[1], err);
	s->command_fd = rc == TM_OK ? in[1] : -1;
	s->lease_ns = 0;
	__atomic_store_n(&s->lost, false, __ATOMIC_RELEASE);
	if (rc == TM_OK)
		(void)!send_locked(s, description); /* before any lease; where it has ended already, its end is seen */
	pthread_mutex_unlock(&s->process);
	json_decref(description);
	tm_arena_done(&arena);
	close(in[0]);
	close(out[1]);
	close(log);
	if (rc != TM_OK) {
		close(in[1]);
		close(out[0]);
		return rc;
	}
	s->event_fd = out[0];
	s->began_ns = s->heard_ns = tm_mono_ns(s->env);
	s->silent = false;
	s->incoming.len = 0;
	s->why[0] = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->query_count; i++)
		s->queries[i].asked = s->queries[i].held = false;
	pthread_mutex_unlock(&s->lock);
	state_set(s, SPARK_STARTING);
	tm_spark_all_wait(s, "Spark is starting");
	return TM_OK;
}

/* ---- its end ---- */

static void close_all(struct tm_spark *s)
{
	int *fds[] = {&s->command_fd, &s->event_fd, &s->pid_fd};
	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Kills what is left of it: its group, and what the JVM started in groups of its own. */
static void kill_all(struct tm_spark *s)
{
	if (s->pid > 0)
		kill(-s->pid, SIGKILL);
	(void)tm_spawn_sweep_of(OWNER, s->options.data_dir);
}

static void reap(struct tm_spark *s, char *ret_how, size_t size)
{
	int status = 0;
	pthread_mutex_lock(&s->process);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == LEASE_STATUS && s->options.lead_until_ns)
		snprintf(ret_how, size, "it did not hear for too long that this instance still leads");
	else if (WIFSIGNALED(status))
		snprintf(ret_how, size, "it was killed by signal %d", WTERMSIG(status));
	else
		snprintf(ret_how, size, "it ended with status %d", WEXITSTATUS(status));
	kill_all(s);
	s->pid = -1;
	close_all(s);
	pthread_mutex_unlock(&s->process);
}

/* After its end: rest, unless it said that only people can mend it. */
static void rest(struct tm_spark *s, const char *how)
{
	if (state_of(s) == SPARK_FAILED)
		return;
	if (++s->deaths > DEATHS_MAX) {
		struct tm_err err;
		tm_fail(&err, TM_UNAVAILABLE, "Spark did not start %d times: %s", s->deaths, s->why[0] ? s->why : how);
		tm_err_hint(&err, "What it wrote is in %s.", s->log_path);
		tm_spark_all_fail(s, &err);
		tm_say_err("spark", &err);
		state_set(s, SPARK_FAILED);
		return;
	}
	s->rest_ms = s->rest_ms ? s->rest_ms * 2 : REST_FIRST_MS;
	s->rest_ms = s->rest_ms < REST_MOST_MS ? s->rest_ms : REST_MOST_MS;
	s->rest_until_ns = tm_mono_ns(s->env) + s->rest_ms * INT64_C(1000000);
	char text[400];
	snprintf(text, sizeof text, "Spark is gone (%s); it starts again in %d s, from its checkpoints", s->why[0] ? s->why : how,
		 s->rest_ms / 1000);
	tm_say(TM_SAY_WARN, "spark", "%s", text);
	state_set(s, SPARK_RESTING);
	tm_spark_all_wait(s, text);
}

static bool lost(const struct tm_spark *s) { return __atomic_load_n(&s->lost, __ATOMIC_ACQUIRE) || !may_act(s); }

/* Nothing of it may go on: the next leader's Spark works on the same checkpoints. */
static void lose_lead(struct tm_spark *s)
{
	static const char why[] = "this instance is not certain any more that it leads";
	char how[80];
	kill_all(s);
	reap(s, how, sizeof how);
	tm_say(TM_SAY_WARN, "spark", "Spark was killed: %s", why);
	state_set(s, SPARK_RESTING);
	tm_spark_all_wait(s, why);
}

/* ---- while it runs ---- */

static void read_events(struct tm_spark *s)
{
	for (;;) {
		ssize_t n = read(s->event_fd, tm_buf_reserve(&s->incoming, 65536), 65536);
		if (n <= 0)
			break;
		s->incoming.len += (size_t)n;
		s->heard_ns = tm_mono_ns(s->env);
	}
	struct tm_str rest_ = tm_buf_str(&s->incoming);
	size_t used = 0;
	for (const char *end; used < rest_.len && (end = memchr(rest_.at + used, '\n', rest_.len - used));) {
		size_t len = (size_t)(end - (rest_.at + used));
		json_t *event = json_loadb(rest_.at + used, len, 0, NULL);
		if (event)
			tm_spark_take(s, event);
		json_decref(event);
		used += len + 1;
	}
	if (used)
		tm_buf_drop_front(&s->incoming, used);
	if (s->incoming.len > 4 * TM_MIB) /* no line of ours is that long */
		s->incoming.len = 0;
}

/* Tells it to start the queries whose topics are there. */
static void start_queries(struct tm_spark *s)
{
	for (size_t i = 0; i < s->query_count; i++) {
		struct watched *w = &s->queries[i];
		char missing[200] = "";
		if (w->asked || w->now.state != TM_QUERY_RUNNING)
			continue;
		bool there = tm_spark_topics_there(s, w, missing, sizeof missing);
		pthread_mutex_lock(&s->lock);
		bool news = strcmp(w->waiting, missing) != 0;
		w->held = !there;
		if (news) {
			snprintf(w->waiting, sizeof w->waiting, "%s", missing);
			tm_spark_report_locked(w);
		}
		pthread_mutex_unlock(&s->lock);
		if (there)
			w->asked = command(s, "start", w->spec->name);
		else if (news)
			tm_say(TM_SAY_INFO, "spark", "query '%.*s' waits: %s", TM_STR_ARG(w->spec->name), missing);
	}
}

static void watch_silence(struct tm_spark *s)
{
	int64_t ms = since_ms(s, s->heard_ns);
	if (state_of(s) == SPARK_STARTING) {
		if (ms > START_LIMIT_MS) {
			snprintf(s->why, sizeof s->why, "it was not up after %d s", START_LIMIT_MS / 1000);
			kill_all(s);
		}
		return;
	}
	if (ms < SILENT_SAY_MS) {
		if (s->silent) {
			tm_say(TM_SAY_INFO, "spark", "Spark answers again");
			tm_spark_all_wait(s, "");
		}
		s->silent = false;
		return;
	}
	if (ms > SILENT_KILL_MS) {
		snprintf(s->why, sizeof s->why, "it did not answer for %d s and was killed", SILENT_KILL_MS / 1000);
		tm_say(TM_SAY_WARN, "spark", "Spark has not answered for %d s: it is killed", SILENT_KILL_MS / 1000);
		kill_all(s);
		s->heard_ns = tm_mono_ns(s->env);
		return;
	}
	char text[160];
	snprintf(text, sizeof text, "Spark has not answered for %d s", (int)(ms / 1000));
	if (!s->silent)
		tm_say(TM_SAY_WARN, "spark", "%s; after %d s it is killed and started again", text, SILENT_KILL_MS / 1000);
	s->silent = true;
	if (since_ms(s, s->told_ns) >= 1000) {
		tm_spark_all_wait(s, text);
		s->told_ns = tm_mono_ns(s->env);
	}
}

/* One look at the process; true when it has ended. */
static bool look(struct tm_spark *s)
{
	struct pollfd fds[3] = {{s->event_fd, POLLIN, 0}, {s->pid_fd, POLLIN, 0}, {s->wake_fd, POLLIN, 0}};
	poll(fds, 3, TICK_MS);
	if (fds[0].revents)
		read_events(s);
	if (fds[1].revents) {
		read_events(s); /* its last words */
		return true;
	}
	watch_silence(s);
	return false;
}

static void wait_resting(struct tm_spark *s)
{
	struct pollfd p = {s->wake_fd, POLLIN, 0};
	poll(&p, 1, TICK_MS);
}

static void stop_process(struct tm_spark *s)
{
	if (s->pid <= 0)
		return;
	if (lost(s)) {
		lose_lead(s);
		return;
	}
	command(s, "stop", (struct tm_str){0}); /* the pipe stays open: it hears of its lease until it has ended */
	int64_t began = tm_mono_ns(s->env);
	bool ended = false;
	while (!ended && since_ms(s, began) < STOP_LIMIT_MS && may_act(s)) {
		struct pollfd fds[2] = {{s->event_fd, POLLIN, 0}, {s->pid_fd, POLLIN, 0}};
		poll(fds, 2, TICK_MS);
		if (fds[0].revents)
			read_events(s);
		ended = fds[1].revents;
	}
	if (!ended && may_act(s))
		tm_say(TM_SAY_WARN, "spark", "Spark did not stop in %d s: it is killed", STOP_LIMIT_MS / 1000);
	if (!ended)
		kill_all(s);
	char how[80];
	reap(s, how, sizeof how);
}

/* Tells the runner until when it may act, whenever that has changed. What it has not read yet need not grow: a runner that does not read
 * is one whose lease ends. */
static void renew_locked(struct tm_spark *s)
{
	struct pollfd p = {s->command_fd, POLLOUT, 0};
	int64_t until_ns = s->options.lead_until_ns(s->options.lead_ctx);
	if (until_ns == s->lease_ns || poll(&p, 1, 0) <= 0)
		return;
	json_t *o = json_pack("{s:s, s:I}", "op", "lease", "until_ns", (json_int_t)until_ns);
	if (send_locked(s, o))
		s->lease_ns = until_ns;
	json_decref(o);
}

/* The engine's thread may be waiting for a broker that is away: the lease goes on meanwhile, and its end is not late. */
static void *keep(void *arg)
{
	struct tm_spark *s = arg;
	while (__atomic_load_n(&s->keeps, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&s->process);
		if (s->pid > 0 && may_act(s)) {
			renew_locked(s);
		} else if (s->pid > 0 && !s->lost) {
			__atomic_store_n(&s->lost, true, __ATOMIC_RELEASE);
			kill_all(s);
		}
		pthread_mutex_unlock(&s->process);
		nanosleep(&(struct timespec){0, LEASE_TICK_MS * 1000000}, NULL);
	}
	return NULL;
}

static void *run(void *arg)
{
	struct tm_spark *s = arg;
	char how[80];
	int left = tm_spawn_sweep_of(OWNER, s->options.data_dir);
	if (left)
		tm_say(TM_SAY_INFO, "spark", "killed %d process%s of a Spark that was left over", left, left == 1 ? "" : "es");
	while (!stopping(s)) {
		if (s->pid > 0) {
			bool ended = !lost(s) && look(s);
			if (lost(s)) {
				lose_lead(s);
			} else if (ended) {
				reap(s, how, sizeof how);
				rest(s, how);
			} else if (state_of(s) == SPARK_UP) {
				start_queries(s);
			}
			continue;
		}
		if (state_of(s) == SPARK_FAILED || tm_mono_ns(s->env) < s->rest_until_ns || !may_act(s)) {
			wait_resting(s);
			continue;
		}
		struct tm_err err;
		if (start_process(s, &err) != TM_OK) {
			snprintf(s->why, sizeof s->why, "%.250s", err.what);
			rest(s, err.what);
		}
	}
	stop_process(s);
	state_set(s, SPARK_ENDED);
	return NULL;
}

/* ---- from outside ---- */

static void add_topics(struct tm_spark *s, struct watched *w, const struct tm_op *op)
{
	for (size_t i = 0; i < op->input_count; i++)
		add_topics(s, w, op->inputs[i]);
	if (op->kind != TM_OP_SCAN || !op->scan.relation->streaming || !tm_str_iis(op->scan.relation->format, "kafka"))
		return;
	for (size_t i = 0; i < op->scan.relation->option_count; i++) {
		struct tm_str rest_ = op->scan.relation->options[i].value, part;
		if (!tm_str_iis(op->scan.relation->options[i].name, "subscribe"))
			continue;
		while (rest_.len && tm_str_split(&rest_, ',', &part)) {
			struct tm_str *grown = TM_NEW_N(&s->arena, struct tm_str, w->topic_count + 1);
			if (w->topic_count)
				memcpy(grown, w->topics, w->topic_count * sizeof *grown);
			grown[w->topic_count++] = tm_str_trim(part);
			w->topics = grown;
		}
	}
}

static void add_queries(struct tm_spark *s)
{
	const struct tm_query_elsewhere elsewhere = {tm_spark_caught_up, s};
	s->first_query = TM_NEW_N(&s->arena, size_t, s->options.pipeline_count + 1);
	for (size_t p = 0; p < s->options.pipeline_count; p++)
		s->query_count += s->options.pipelines[p]->query_count;
	s->queries = TM_NEW_N(&s->arena, struct watched, s->query_count + 1);
	size_t n = 0;
	for (size_t p = 0; p < s->options.pipeline_count; p++) {
		s->first_query[p] = n;
		for (size_t q = 0; q < s->options.pipelines[p]->query_count; q++) {
			struct watched *w = &s->queries[n++];
			*w = (struct watched){.spec = &s->options.pipelines[p]->queries[q], .file = s->options.pipelines[p]->file};
			w->query = tm_query_elsewhere_new(w->spec, &elsewhere);
			w->now.batch_id = w->now.lag = -1;
			w->now.watermark_ms = w->now.next_watermark_ms = INT64_MIN;
			add_topics(s, w, w->spec->root);
		}
	}
}

tm_rc tm_spark_start(const struct tm_spark_options *options, struct tm_spark **ret, struct tm_err *err)
{
	char dir[4100];
	snprintf(dir, sizeof dir, "%s/spark", options->data_dir);
	TM_TRY(tm_dir_make(dir, err));
	struct tm_spark *s = tm_zalloc(sizeof *s);
	s->options = *options;
	s->env = tm_env_real();
	s->command_fd = s->event_fd = s->pid_fd = -1;
	s->pid = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(s->log_path, sizeof s->log_path, "%s/spark.log", dir);
	pthread_mutex_init(&s->process, NULL);
	pthread_mutex_init(&s->lock, NULL);
	tm_arena_init(&s->arena);
	add_queries(s);
	tm_rc rc = s->wake_fd < 0 ? tm_fail_errno(err, errno, "starting Spark") : TM_OK;
	if (rc == TM_OK && s->query_count) {
		rc = tm_thread_start(&s->thread, "spark", run, s, err);
		s->has_thread = rc == TM_OK;
	}
	if (rc == TM_OK && s->has_thread && options->lead_until_ns) {
		s->keeps = true;
		rc = tm_thread_start(&s->keeper, "spark lease", keep, s, err);
		s->has_keeper = rc == TM_OK;
	}
	if (rc != TM_OK) {
		tm_spark_free(s);
		return rc;
	}
	*ret = s;
	return TM_OK;
}

struct tm_query *tm_spark_query(struct tm_spark *s, size_t pipeline, size_t query)
{
	return s->queries[s->first_query[pipeline] + query].query;
}

void tm_spark_halt(struct tm_spark *s)
{
	if (!s || !s->has_thread)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	(void)!write(s->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
	pthread_join(s->thread, NULL);
	s->has_thread = false;
	__atomic_store_n(&s->keeps, false, __ATOMIC_RELEASE);
	if (s->has_keeper)
		pthread_join(s->keeper, NULL);
	s->has_keeper = false;
}

void tm_spark_free(struct tm_spark *s)
{
	if (!s)
		return;
	tm_spark_halt(s);
	for (size_t i = 0; i < s->query_count; i++)
		tm_query_free(s->queries[i].query);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	tm_buf_done(&s->incoming);
	pthread_mutex_destroy(&s->process);
	pthread_mutex_destroy(&s->lock);
	tm_arena_done(&s->arena);
	free(s);
}
