/* Private to the room: calendar and time zones, the store, the scheduler's structures. */
#ifndef TM_DAG_DAG_INT_H
#define TM_DAG_DAG_INT_H
#include "base/civil.h"
#include "dag/dag.h"

#define TM_DAG_US INT64_C(1000000)

/* ---- calendar.c: ISO texts ---- */
/* "2026-01-02T03:04:05[.ffffff][Z|+hh:mm]"; without an offset UTC. */
bool tm_iso_parse(struct tm_str s, int64_t *ret_us);
void tm_iso_put(struct tm_buf *out, int64_t us, char sep); /* 2026-01-02T03:04:05.123456+00:00, fraction only when there is one */

/* ---- zone.c: time zones (ICU); one handle belongs to one thread at a time ---- */
struct tm_zone;
tm_rc tm_zone_open(const char *name, struct tm_zone **ret, struct tm_err *err) TM_CHECKED; /* IANA name, "UTC", "+02:00" */
void tm_zone_close(struct tm_zone *z);
int64_t tm_zone_local(struct tm_zone *z, int64_t us);     /* wall clock of an instant, as if it were UTC */
int64_t tm_zone_utc(struct tm_zone *z, int64_t local_us); /* an hour that exists twice: the later; one that does not: moved on by the gap */

/* ---- cron.c ---- */
bool tm_cron_every_hour(const struct tm_cron *c);

/* One tick on (1) or back (-1) from an instant, for Airflow 2's next_ and prev_ names. False: the timetable has no ticks. */
bool tm_timetable_step(const struct tm_timetable *t, int64_t us, int step, int64_t *ret);

/* ---- definitions ---- */
enum tm_dag_task_kind { TM_DAG_TASK_PYTHON, TM_DAG_TASK_SHELL, TM_DAG_TASK_EMPTY };
struct task_def {
	const char *task_id, *rule, *pool;
	int *up, *down;
	int up_count, down_count;
	int retries, pool_slots, weight, max_active, max_active_per_run;
	double retry_delay_s, backoff, max_retry_delay_s, timeout_s;
	bool depends_on_past, wait_for_downstream, setup, teardown, failure_fails_run, ignore_first_depends;
	enum tm_dag_task_kind kind;
	int64_t start_us, end_us;
	const json_t *json, *expand; /* expand: length expression of a mapped task, NULL = one instance */
	const char *map_group;       /* the mapped task group it is in, NULL = none */
};
struct dag_def {
	json_t *json; /* owns every text above and below */
	const char *dag_id, *file;
	struct task_def *tasks;
	int task_count;
	int *by_id; /* task indexes in order of task_id */
	struct tm_timetable *timetable;
	const json_t *assets; /* condition of an asset schedule, NULL = none */
	int64_t start_us, end_us;
	bool catchup, fail_fast, continuous, any_depends_on_past, callback_success, callback_failure;
	int version, max_active_runs, max_active_tasks, max_failed_runs;
	double timeout_s;
};
tm_rc tm_dag_def_new(const json_t *dag, const char *file, int default_runs, int default_tasks, struct dag_def **ret,
		     struct tm_err *err) TM_CHECKED;
void tm_dag_def_free(struct dag_def *d);
int tm_dag_def_task(const struct dag_def *d, const char *task_id); /* -1 = none */

/* ---- runs in memory: those that have not ended ---- */
struct ti {
	enum tm_dag_state state;
	int map_index, try_number, max_tries;
	int64_t start_us, end_us, next_us, first_us; /* first_us: start of the first of the reschedules of this try */
	int64_t work_id;
};
struct slot { /* the instances of one task */
	struct ti *items;
	size_t count, cap;
	bool expanded, dirty;
};
struct run {
	int64_t id;
	struct dag_entry *dag;
	char *run_id, *type;
	enum tm_dag_state state; /* QUEUED or RUNNING (SUCCESS, FAILED on its way out) */
	int64_t logical_us, start_interval_us, end_interval_us, run_after_us, queued_us, start_us, end_us;
	json_t *conf;
	struct slot *slots; /* by task index of the definition */
	int slot_count;
	struct {
		int *items;
		size_t count, cap;
	} dirty; /* tasks to look at again */
	bool touched, cleared;
};
struct dag_entry {
	char *dag_id;
	struct dag_def *def;  /* NULL: no file defines it now */
	bool paused, stalled; /* stalled: its timetable failed */
	struct run **runs;
	size_t run_count, run_cap;
	bool has_last, has_next;
	struct tm_dag_interval last, next;
	json_t *asset_queue;                           /* {uri: event id} since the last run */
	int64_t ended_success, ended_failed, timer_us; /* timer_us: when the timer of the next run fires */
	int failed_in_a_row;
};

enum timer_kind { TIMER_DAG, TIMER_TI, TIMER_RUN, TIMER_KILL };
struct timer {
	int64_t at_us;
	enum timer_kind kind;
	int64_t id;    /* run id, or work id */
	char name[64]; /* dag id (cut: checked again when due) or task id */
	int map_index;
};

struct work {
	int64_t id, run_id;
	char *dag_id, *task_id, *pool;
	int map_index, try_number, pool_slots;
	bool shell, callback;
	struct shell_task *proc;
	json_t *run_json;
};

struct watch {
	int handle;
	tm_dag_watch_fn *fn;
	void *ctx;
};

struct store;
struct tm_dag {
	struct tm_dag_options options;
	const struct tm_env *env;
	char *data_dir, *journal_path;
	struct store *store;
	pthread_t thread;
	bool thread_started;
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer;
	uv_prepare_t prepare;
	uv_check_t check;
	bool stopping, standby, lost; /* lost: the journal took a commit no more; under lock too, for other threads */
	int64_t due_cutoff_us;
	/* definitions and runs */
	struct {
		struct dag_entry **items;
		size_t count, cap;
	} dags;
	json_t *files; /* {file: definition as given} */
	int loading, import_errors;
	/* ready tasks, timers, work */
	struct {
		struct ready {
			struct run *run;
			int task, map_index, weight;
		} * items;
		size_t count, cap;
	} ready;
	struct {
		struct timer *items;
		size_t count, cap;
	} timers;
	struct {
		struct work **items;
		size_t count, cap;
	} works, starts;
	bool ready_unsorted;
	int64_t next_work_id;
	json_t *pools; /* {name: slots} */
	struct tm_dag_executor executor;
	bool has_executor;
	bool touched; /* something changed in this turn */
	struct {
		struct tm_dag_event *items;
		size_t count, cap;
	} events;
	struct {
		struct watch *items;
		size_t count, cap;
	} watches;
	int next_watch;
	int64_t ended_success, ended_failed;
	/* crossing threads */
	pthread_mutex_t lock; /* rank: leaf; guards calls, counts */
	pthread_cond_t done;
	struct call *calls;
	uint64_t again_at_ns; /* the disk refused a commit: not again before; 0 = it did not */
	struct tm_dag_counts counts;
	bool idle;
};

/* ---- store.c ---- */
tm_rc tm_dag_store_open(const char *path, struct store **ret, struct tm_err *err) TM_CHECKED;
void tm_dag_store_close(struct store *s);
bool tm_dag_store_dirty(const struct store *s);
tm_rc tm_dag_store_commit(struct store *s, struct tm_err *err) TM_CHECKED;
/* A statement of one row or none. types of values: i int64, s text, j json (NULL = SQL NULL), n int64 where NEVER is NULL. Never fails
 * but for the disk: the error is kept and comes out of the commit. */
void tm_dag_store_exec(struct store *s, const char *sql, const char *types, ...);
/* Rows as JSON: an array of objects by column name. */
json_t *tm_dag_store_rows(struct store *s, const char *sql, const char *types, ...);
int64_t tm_dag_store_int(struct store *s, int64_t otherwise, const char *sql, const char *types, ...);
int64_t tm_dag_store_last_id(struct store *s);
bool tm_dag_store_lost(const struct store *s);

/* ---- journal.c ---- */
/* From now on commits go to the journal first. all: the next one takes everything that is in the store with it. */
tm_rc tm_dag_store_journal(struct store *s, struct tm_journal *journal, bool all, struct tm_err *err) TM_CHECKED;
/* Entries of another instance's journal into the store, in one transaction. forget_all: what was there before is void. */
tm_rc tm_dag_store_apply(struct store *s, bool forget_all, const struct tm_journal_entry *entries, size_t count,
			 struct tm_err *err) TM_CHECKED;

/* ---- turn.c: on the loop ---- */
/* *ret_refused (may be NULL): why what had been written before this is not on disk, rc TM_OK where it is. Later commits of the same turn,
 * of what followed from it, do not count. */
void tm_dag_turn_finish(struct tm_dag *d, struct tm_err *ret_refused);
void tm_dag_publish(struct tm_dag *d); /* what tm_dag_counts and tm_dag_idle answer */

/* ---- engine.c, files.c: on the loop; what is in memory is read again from the store ---- */
void tm_dag_pools_read(struct tm_dag *d);
void tm_dag_paused_read(struct tm_dag *d);
void tm_dag_last_read(struct tm_dag *d, struct dag_entry *e);   /* the last scheduled run */
void tm_dag_define_again(struct tm_dag *d);                     /* each DAG, as if its file had just been loaded */
tm_rc tm_dag_notes_empty(struct tm_dag *d, struct tm_err *err); /* the workers' notes of ends were read: a fresh file for the next ones */

/* ---- sched.c: on the loop ---- */
int64_t tm_dag_now(const struct tm_dag *d);
struct dag_entry *tm_dag_entry(struct tm_dag *d, const char *dag_id, bool make);
struct run *tm_dag_active_run(struct tm_dag *d, int64_t run_id);
void tm_dag_timer_add(struct tm_dag *d, int64_t at_us, enum timer_kind kind, int64_t id, const char *name, int map_index);
void tm_dag_turn(struct tm_dag *d); /* looks at what changed, commits, starts, tells */
void tm_dag_timers_fire(struct tm_dag *d);
void tm_dag_touch_task(struct run *r, int task);
void tm_dag_touch_all(struct tm_dag *d, struct run *r);
void tm_dag_ti_set(struct tm_dag *d, struct run *r, int task, struct ti *ti, enum tm_dag_state state, const char *error);
void tm_dag_schedule_next(struct tm_dag *d, struct dag_entry *e);
tm_rc tm_dag_run_create(struct tm_dag *d, struct dag_entry *e, const char *run_id, const char *type, const struct tm_dag_interval *interval,
			const json_t *conf, struct run **ret, struct tm_err *err) TM_CHECKED;
void tm_dag_run_end(struct tm_dag *d, struct run *r, enum tm_dag_state state);
void tm_dag_run_bind(struct tm_dag *d, struct run *r); /* slots of the current definition, states from the store */
void tm_dag_run_free(struct run *r);
void tm_dag_work_kill(struct tm_dag *d, int64_t work_id, bool hard);
void tm_dag_event_add(struct tm_dag *d, enum tm_dag_event_kind kind, const char *dag_id, const char *run_id, const char *task_id,
		      const char *state, int map_index, int try_number);
void tm_dag_starts_flush(struct tm_dag *d);
struct work *tm_dag_work_find(struct tm_dag *d, int64_t work_id);
void tm_dag_log_path_put(const struct tm_dag *d, const char *dag_id, const char *run_id, const char *task_id, int map_index, int try_number,
			 struct tm_buf *out);
void tm_dag_asset_event(struct tm_dag *d, const char *uri, const json_t *extra, struct run *source, const char *task_id, int map_index);
json_t *tm_dag_run_context(struct tm_dag *d, struct run *r, int task, const struct ti *ti);
json_t *tm_dag_iso(int64_t us); /* JSON text or null */
/* Columns of a run or an instance ending in _us become ISO texts under Airflow's names. */
void tm_dag_iso_columns(json_t *row);
int tm_dag_expand_count(struct tm_dag *d, struct run *r, const json_t *expand, bool *ret_ready);
tm_rc tm_dag_trigger_locked(struct tm_dag *d, const char *dag_id, const struct tm_dag_trigger *how, char ret_run_id[256],
			    struct tm_err *err) TM_CHECKED;
void tm_dag_recover(struct tm_dag *d);
void tm_dag_recover_tasks(struct tm_dag *d); /* tries on disk that nobody works at */
void tm_dag_ready_forget(struct tm_dag *d, const struct run *r);

/* ---- shell.c: a shell task is run without Python ---- */
struct shell_task;
tm_rc tm_shell_start(struct tm_dag *d, const struct tm_dag_work *work, struct shell_task **ret, struct tm_err *err) TM_CHECKED;
void tm_shell_kill(struct shell_task *s, bool hard);
#endif
