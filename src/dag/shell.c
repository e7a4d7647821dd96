/* A shell task without Python: `bash -c command` in its own session, output into the log of the try line by line, the last
 * line as the XCom, exit code 99 (or what the task names) = skipped. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dag/dag_int.h"
#include "dag/spawn.h"

#define LINE_BYTES_MAX (64 * TM_KIB) /* a longer line is cut into several */

struct shell_task {
	struct tm_dag *d;
	int64_t work_id;
	pid_t pid;
	int pidfd, out_fd, log_fd;
	uv_poll_t out, end;
	uv_timer_t timeout;
	int open_handles;
	bool out_open, ended, timed_out, push_xcom, killed;
	int status;
	json_t *skip_codes;
	char *cwd; /* a folder of its own, removed at the end; NULL = none */
	struct tm_buf line, last;
	double timeout_s;
};

extern char **environ;

static void log_line(struct shell_task *s, const char *level, struct tm_str text)
{
	struct tm_buf b = {0};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct tm tm;
	gmtime_r(&now.tv_sec, &tm);
	tm_buf_printf(&b, "[%04d-%02d-%02dT%02d:%02d:%02d.%03d+0000] {subprocess} %s - ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		      tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000000), level);
	tm_buf_str_put(&b, text);
	tm_buf_char(&b, '\n');
	(void)!write(s->log_fd, b.at, b.len);
	tm_buf_done(&b);
}

static void take_line(struct shell_task *s)
{
	struct tm_str text = tm_buf_str(&s->line);
	while (text.len && (text.at[text.len - 1] == '\r' || text.at[text.len - 1] == ' '))
		text.len--;
	log_line(s, "INFO", text);
	s->last.len = 0;
	tm_buf_str_put(&s->last, text);
	s->line.len = 0;
}

static void cwd_drop(struct shell_task *s)
{
	struct tm_err err = {0};
	if (s->cwd && tm_dir_remove(s->cwd, &err) != TM_OK)
		tm_say_err("dag", &err);
	free(s->cwd);
}

static void on_closed(uv_handle_t *h)
{
	struct shell_task *s = h->data;
	if (--s->open_handles)
		return;
	close(s->log_fd);
	close(s->pidfd);
	cwd_drop(s);
	tm_buf_done(&s->line);
	tm_buf_done(&s->last);
	json_decref(s->skip_codes);
	free(s);
}

static void finish(struct shell_task *s)
{
	if (!s->ended || s->out_open)
		return;
	if (s->line.len)
		take_line(s);
	int code = WIFEXITED(s->status) ? WEXITSTATUS(s->status) : -WTERMSIG(s->status);
	char text[200] = "";
	struct tm_dag_end end = {.state = TM_DAG_SUCCESS};
	size_t i;
	json_t *skip;
	json_array_foreach(s->skip_codes, i, skip) if (json_integer_value(skip) == code) end.state = TM_DAG_SKIPPED;
	if (s->timed_out) {
		end.state = TM_DAG_FAILED;
		snprintf(text, sizeof text, "AirflowTaskTimeout: Timeout, after %g s", s->timeout_s);
	} else if (end.state == TM_DAG_SKIPPED) {
		snprintf(text, sizeof text, "Bash command returned exit code %d. Skipping.", code);
	} else if (code != 0) {
		end.state = TM_DAG_FAILED;
		snprintf(text, sizeof text,
			 code < 0 ? "AirflowException: Bash command was killed by signal %d"
				  : "AirflowException: Bash command failed. The command returned a non-zero exit code %d.",
			 code < 0 ? -code : code);
	}
	char note[64];
	snprintf(note, sizeof note, "Command exited with return code %d", code);
	log_line(s, "INFO", tm_str_of(note));
	if (*text)
		log_line(s, end.state == TM_DAG_FAILED ? "ERROR" : "INFO", tm_str_of(text));
	end.error = *text ? text : NULL;
	json_t *xcoms = s->push_xcom && end.state == TM_DAG_SUCCESS
			    ? json_pack("{s:s%}", "return_value", s->last.at ? s->last.at : "", s->last.len)
			    : NULL;
	end.xcoms = xcoms;
	struct work *w = tm_dag_work_find(s->d, s->work_id);
	if (w)
		w->proc = NULL;
	tm_dag_work_ended(s->d, s->work_id, &end);
	json_decref(xcoms);
	uv_close((uv_handle_t *)&s->end, on_closed);
	uv_close((uv_handle_t *)&s->timeout, on_closed);
}

static void close_out(struct shell_task *s)
{
	if (!s->out_open)
		return;
	s->out_open = false;
	uv_poll_stop(&s->out);
	close(s->out_fd);
	uv_close((uv_handle_t *)&s->out, on_closed);
	finish(s);
}

/* Reads what is there; false at the end of the output. */
static bool drain(struct shell_task *s)
{
	char chunk[16384];
	for (int i = 0; i < 64; i++) {
		ssize_t n = read(s->out_fd, chunk, sizeof chunk);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		const char *at = chunk, *end = chunk + n;
		while (at < end) {
			const char *nl = memchr(at, '\n', (size_t)(end - at));
			tm_buf_put(&s->line, at, (size_t)((nl ? nl : end) - at));
			at = nl ? nl + 1 : end;
			if (nl || s->line.len >= LINE_BYTES_MAX)
				take_line(s);
		}
	}
	return true;
}

static void on_output(uv_poll_t *h, int status, int events)
{
	struct shell_task *s = h->data;
	if (status < 0 || !drain(s) || (events & UV_DISCONNECT && !drain(s)))
		close_out(s);
}

static void on_end(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	struct shell_task *s = h->data;
	if (waitpid(s->pid, &s->status, WNOHANG) != s->pid)
		return;
	uv_poll_stop(h);
	uv_timer_stop(&s->timeout);
	s->ended = true;
	/* What it wrote is in the pipe; a background child may hold the pipe open for ever and is not waited for. */
	if (s->out_open) {
		drain(s);
		close_out(s);
	} else {
		finish(s);
	}
}

static void on_timeout(uv_timer_t *t)
{
	struct shell_task *s = t->data;
	s->timed_out = true;
	tm_shell_kill(s, s->killed);
	uv_timer_start(t, on_timeout, 5000, 0);
}

void tm_shell_kill(struct shell_task *s, bool hard)
{
	if (s->ended)
		return;
	s->killed = true;
	kill(-s->pid, hard ? SIGKILL : SIGTERM);
}

/* ---- starting ---- */
struct env_list {
	char **items;
	size_t count, cap;
};
static void env_add(struct env_list *l, const char *name, const char *value)
{
	struct tm_buf b = {0};
	tm_buf_printf(&b, "%s=%s", name, value);
	size_t n = strlen(name);
	for (size_t i = 0; i < l->count; i++)
		if (!strncmp(l->items[i], name, n) && l->items[i][n] == '=') {
			free(l->items[i]);
			l->items[i] = tm_strdup(tm_buf_cstr(&b));
			tm_buf_done(&b);
			return;
		}
	TM_PUSH(l, tm_strdup(tm_buf_cstr(&b)));
	tm_buf_done(&b);
}

static void env_make(struct env_list *l, struct tm_dag *d, const struct tm_dag_work *w, const json_t *shell)
{
	const json_t *env = json_object_get(shell, "env");
	bool own = json_is_object(env) && json_object_size(env);
	if (!own || json_is_true(json_object_get(shell, "append_env")))
		for (char **e = environ; *e; e++)
			TM_PUSH(l, tm_strdup(*e));
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)env, key, value) env_add(l, key, json_is_string(value) ? json_string_value(value) : "");
	char number[16];
	snprintf(number, sizeof number, "%d", w->try_number);
	env_add(l, "AIRFLOW_CTX_DAG_ID", w->dag_id);
	env_add(l, "AIRFLOW_CTX_TASK_ID", w->task_id);
	env_add(l, "AIRFLOW_CTX_DAG_RUN_ID", w->run_id);
	env_add(l, "AIRFLOW_CTX_TRY_NUMBER", number);
	const char *owner = json_string_value(json_object_get(w->task, "owner")),
		   *logical = json_string_value(json_object_get(w->run, "logical_date"));
	env_add(l, "AIRFLOW_CTX_DAG_OWNER", owner ? owner : "airflow");
	if (logical) {
		env_add(l, "AIRFLOW_CTX_EXECUTION_DATE", logical);
		env_add(l, "AIRFLOW_CTX_LOGICAL_DATE", logical);
	}
	env_add(l, TM_SPAWN_OWNER, d->data_dir);
	TM_PUSH(l, NULL);
}

static tm_rc open_log(const char *path, int *ret_fd, struct tm_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 && errno == ENOENT) {
		struct tm_buf dir = {0};
		tm_buf_put(&dir, path, (size_t)(strrchr(path, '/') - path));
		tm_rc rc = tm_dir_make(tm_buf_cstr(&dir), err);
		tm_buf_done(&dir);
		TM_TRY(rc);
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	}
	if (fd < 0)
		return tm_fail_errno(err, errno, "%s", path);
	*ret_fd = fd;
	return TM_OK;
}

static tm_rc run_command(struct tm_dag *d, struct shell_task *s, const struct tm_dag_work *w, struct tm_err *err)
{
	const json_t *shell = json_object_get(w->task, "shell");
	const char *command = json_string_value(json_object_get(shell, "command")), *cwd = json_string_value(json_object_get(shell, "cwd"));
	if (!command)
		return tm_fail(err, TM_INVALID, "the task has no command");
	int pipe_fds[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0) {
		int e = errno;
		if (nothing >= 0)
			close(nothing);
		return tm_fail_errno(err, e, "a pipe for the task");
	}
	if (!cwd) {
		char dir[] = "/tmp/airflowtmpXXXXXX";
		if (mkdtemp(dir))
			s->cwd = tm_strdup(dir);
	}
	struct env_list env = {0};
	env_make(&env, d, w, shell);
	const char *bash = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
	struct tm_spawn how = {.argv = (const char *const[]){bash, "-c", command, NULL},
			       .env = (const char *const *)env.items,
			       .cwd = cwd ? cwd : s->cwd,
			       .fds = {nothing, pipe_fds[1], pipe_fds[1]},
			       .fd_count = 3};
	tm_rc rc = tm_spawn_start(&how, &s->pid, &s->pidfd, err);
	for (size_t i = 0; i + 1 < env.count; i++)
		free(env.items[i]);
	free(env.items);
	close(nothing);
	close(pipe_fds[1]);
	if (rc != TM_OK) {
		close(pipe_fds[0]);
		return rc;
	}
	s->out_fd = pipe_fds[0];
	fcntl(s->out_fd, F_SETFL, O_NONBLOCK);
	struct tm_buf line = {0};
	tm_buf_printf(&line, "Running command: ['%s', '-c', '%s']", bash, command);
	log_line(s, "INFO", tm_buf_str(&line));
	tm_buf_done(&line);
	return TM_OK;
}

tm_rc tm_shell_start(struct tm_dag *d, const struct tm_dag_work *w, struct shell_task **ret, struct tm_err *err)
{
	struct shell_task *s = tm_zalloc(sizeof *s);
	s->d = d;
	s->work_id = w->id;
	s->timeout_s = w->timeout_s;
	tm_rc rc = open_log(w->log_path, &s->log_fd, err);
	if (rc != TM_OK) {
		free(s);
		return rc;
	}
	const json_t *shell = json_object_get(w->task, "shell"), *skip = json_object_get(shell, "skip_on_exit_code"),
		     *push = json_object_get(shell, "do_xcom_push");
	s->push_xcom = !push || json_is_true(push);
	s->skip_codes = json_is_array(skip) ? json_copy((json_t *)(uintptr_t)skip) : json_pack("[i]", 99);
	rc = run_command(d, s, w, err);
	if (rc != TM_OK) {
		log_line(s, "ERROR", tm_str_of(err->what));
		close(s->log_fd);
		cwd_drop(s);
		json_decref(s->skip_codes);
		free(s);
		return rc;
	}
	uv_poll_init(&d->loop, &s->out, s->out_fd);
	uv_poll_init(&d->loop, &s->end, s->pidfd);
	uv_timer_init(&d->loop, &s->timeout);
	s->out.data = s->end.data = s->timeout.data = s;
	s->open_handles = 3;
	s->out_open = true;
	uv_poll_start(&s->out, UV_READABLE | UV_DISCONNECT, on_output);
	uv_poll_start(&s->end, UV_READABLE, on_end);
	if (w->timeout_s > 0) {
		uv_update_time(&d->loop);
		uv_timer_start(&s->timeout, on_timeout, (uint64_t)(w->timeout_s * 1000), 0);
	}
	*ret = s;
	return TM_OK;
}
