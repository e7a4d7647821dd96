/* Private to the room: channels of length-prefixed JSON, the Python parent, DAG files, tasks. Everything runs on the loop of
 * the engine; nothing here has a lock. */
#ifndef TM_AIRFLOW_AIRFLOW_INT_H
#define TM_AIRFLOW_AIRFLOW_INT_H
#include "airflow/airflow.h"

/* ---- frame.c: [u32 little-endian length][JSON text] ---- */
/* The first whole frame of what was received. *ret_frame_bytes 0 = more bytes are needed. */
tm_rc tm_frame_next(struct tm_str received, size_t *ret_frame_bytes, json_t **ret_message, struct tm_err *err) TM_CHECKED;
void tm_frame_put(struct tm_buf *out, const json_t *message);

/* ---- channel.c: a socket to a Python process ---- */
struct channel;
typedef void channel_message_fn(void *ctx, const json_t *message);
typedef void channel_closed_fn(void *ctx); /* the other end is gone, or spoke nonsense; the channel frees itself after it */
struct channel *tm_channel_new(uv_loop_t *loop, int fd, channel_message_fn *on_message, channel_closed_fn *on_closed, void *ctx);
/* fd -1 = none; else it travels with the message and is closed here. */
void tm_channel_send(struct channel *c, const json_t *message, int fd);
void tm_channel_close(struct channel *c); /* without on_closed; NULL is fine */

/* ---- door.c ---- */
struct parent; /* a Python process that has loaded one DAG file and forks its tasks */
struct dag_file {
	char *path;         /* absolute */
	int64_t stamp;      /* mtime, size and inode mixed: what was loaded */
	bool seen, counted; /* counted: the engine waits for it (tm_dag_loading) */
	bool waiting;       /* to be loaded when another has been */
	struct parent *parent;
	int64_t load_began_us;
	json_t *modules; /* {path: stamp, 0 = it changed while it was loaded} of the project's modules it imported */
};
struct task {
	struct tm_airflow *airflow;
	int64_t work_id;
	struct channel *channel;
	struct parent *parent;
	pid_t pid;
	bool ended, eof, kill_wanted, kill_hard;
	int exit_status;
	uv_timer_t *grace;
	json_t *start; /* sent when the parent is ready */
	char *file;
};
struct parent {
	struct tm_airflow *airflow;
	struct dag_file *file; /* NULL: replaced, goes when its tasks have ended */
	struct channel *channel;
	pid_t pid;
	bool loaded;
	uv_timer_t *limit;
	int64_t used_at;
	int task_count;
};
struct tm_airflow {
	struct tm_dag *dag;
	uv_loop_t *loop;
	json_t *config; /* what every Python process is told */
	char *project_dir, *dags_dir, *data_dir, *python, *package_dir;
	bool watch, stopping;
	pid_t root_pid;
	int root_pidfd;
	struct channel *root;
	uv_poll_t *root_end;
	int root_deaths;
	struct {
		struct dag_file **items;
		size_t count, cap;
	} files;
	struct {
		struct task **items;
		size_t count, cap;
	} tasks;
	struct {
		struct parent **items;
		size_t count, cap;
	} parents;
	struct {
		uv_fs_event_t **items;
		size_t count, cap;
	} watches;
	uv_timer_t *settle; /* changes come in bursts */
	int open_handles;
};
tm_rc tm_airflow_python(const struct tm_airflow_options *options, char **ret_python, char **ret_package_dir, struct tm_err *err) TM_CHECKED;
json_t *tm_airflow_config(const struct tm_airflow_options *options, const char *dags_dir, const char *project_dir, const char *data_dir,
			  const char *journal);
/* A descriptor that reads as the text. */
tm_rc tm_airflow_config_fd(const json_t *config, int *ret_fd, struct tm_err *err) TM_CHECKED;
char **tm_airflow_env(const struct tm_airflow_options *options, const char *package_dir, const char *data_dir);
void tm_airflow_env_free(char **env);

/* ---- module.c ---- */
/* Runs a module of the Python package on all DAG files; more (taken over; NULL = nothing) joins its configuration. *ret: its answer,
 * or an empty array where there are no DAG files. */
tm_rc tm_airflow_ask_module(const struct tm_airflow_options *options, const char *module, json_t *more, json_t **ret,
			    struct tm_err *err) TM_CHECKED;

/* ---- files.c ---- */
void tm_airflow_scan(struct tm_airflow *a); /* loads what is new or changed, forgets what is gone */
void tm_airflow_unwatch(struct tm_airflow *a);
struct dag_file *tm_airflow_file(struct tm_airflow *a, const char *path);
int64_t tm_airflow_stamp(const char *path);
/* 0 where the file was changed since then: which of its contents was loaded is not known. */
int64_t tm_airflow_stamp_before(const char *path, int64_t since_us);
void tm_airflow_scan_soon(struct tm_airflow *a); /* 0 = not there */
/* Paths of the DAG files in a folder, as Airflow finds them: *.py that mention dag and airflow, without what .airflowignore names. */
json_t *tm_airflow_find(const char *dags_dir);

/* ---- door.c, continued: processes ---- */
void tm_airflow_load(struct tm_airflow *a, struct dag_file *f);
void tm_airflow_file_done(struct tm_airflow *a, struct dag_file *f);
void tm_airflow_parent_retire(struct parent *p);
#endif
