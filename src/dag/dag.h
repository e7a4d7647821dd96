/* Schedules, runs, task instances: what Airflow's scheduler decides, event-driven and durable in SQLite.
 *
 * One engine = one data directory = one thread with a libuv loop. Every state change of one turn of the loop is one
 * SQLite transaction (WAL, synchronous=FULL); work starts and watchers hear of it only after its commit. Times are
 * microseconds since 1970 UTC; TM_DAG_NEVER = none. Functions are for any thread unless a comment says "loop only". */
#ifndef TM_DAG_DAG_H
#define TM_DAG_DAG_H
#include <jansson.h>
#include <uv.h>
#include "base/base.h"

#define TM_DAG_NEVER INT64_MIN

struct tm_dag; /* the engine */

/* States of a task instance, Airflow's names. */
enum tm_dag_state {
	TM_DAG_NONE,
	TM_DAG_SCHEDULED,
	TM_DAG_QUEUED,
	TM_DAG_RUNNING,
	TM_DAG_SUCCESS,
	TM_DAG_FAILED,
	TM_DAG_SKIPPED,
	TM_DAG_UPSTREAM_FAILED,
	TM_DAG_UP_FOR_RETRY,
	TM_DAG_UP_FOR_RESCHEDULE,
	TM_DAG_REMOVED,
	TM_DAG_RESTARTING,
	TM_DAG_STATE_COUNT
};
const char *tm_dag_state_text(enum tm_dag_state s); /* "none", "success", … */
bool tm_dag_state_of(struct tm_str text, enum tm_dag_state *ret);
bool tm_dag_state_ended(enum tm_dag_state s);

/* ---- the engine ---- */
struct tm_dag_options {
	const char *data_dir;     /* dag.db and logs/ live there; made when missing */
	const struct tm_env *env; /* NULL = the real machine */
	int parallelism;          /* tasks at once; 0 = Airflow's 32 */
	int max_active_tasks;     /* per DAG where it names none; 0 = 16 */
	int max_active_runs;      /* per DAG where it names none; 0 = 16 */
	bool due_only;            /* --until-idle: start only what is due when the engine is opened, and what is triggered */
	bool standby;             /* shows what another engine does (tm_dag_apply) and runs nothing until tm_dag_lead */
};
tm_rc tm_dag_open(const struct tm_dag_options *options, struct tm_dag **ret, struct tm_err *err) TM_CHECKED;
/* Stops the loop, kills what runs (it will run again as a new try after the next open), closes the database. */
void tm_dag_close(struct tm_dag *dag);

/* ---- definitions: one file defines any number of DAGs (the JSON is described in src/dag/README.md) ---- */
/* Takes the DAGs of a file, replacing what the same file defined before. Waits until the engine has them. */
tm_rc tm_dag_file_set(struct tm_dag *dag, const char *file, struct tm_str definition_json, struct tm_err *err) TM_CHECKED;
tm_rc tm_dag_file_remove(struct tm_dag *dag, const char *file, struct tm_err *err) TM_CHECKED;

/* Whether a DAG's definition (one of "dags") would be taken; no engine needed. */
tm_rc tm_dag_try_definition(const json_t *dag_definition, const char *file, struct tm_err *err) TM_CHECKED;

/* ---- commands ---- */
struct tm_dag_trigger {
	const char *run_id;      /* NULL = manual__<now> */
	const char *conf_json;   /* NULL = {} */
	int64_t logical_date_us; /* TM_DAG_NEVER = now */
	bool no_logical_date;    /* Airflow 3's logical_date: null */
	const char *run_type;    /* NULL = "manual" */
};
tm_rc tm_dag_trigger(struct tm_dag *dag, const char *dag_id, const struct tm_dag_trigger *how, char ret_run_id[256],
		     struct tm_err *err) TM_CHECKED;
tm_rc tm_dag_pause(struct tm_dag *dag, const char *dag_id, bool paused, struct tm_err *err) TM_CHECKED;
/* Run tasks of a run again. task_id NULL = all; only_failed = leave those that succeeded. */
tm_rc tm_dag_clear(struct tm_dag *dag, const char *dag_id, const char *run_id, const char *task_id, bool downstream, bool only_failed,
		   struct tm_err *err) TM_CHECKED;
/* Set a run (task_id NULL) or a task's instances to TM_DAG_SUCCESS or TM_DAG_FAILED; kills what runs. */
tm_rc tm_dag_mark(struct tm_dag *dag, const char *dag_id, const char *run_id, const char *task_id, enum tm_dag_state state,
		  struct tm_err *err) TM_CHECKED;
tm_rc tm_dag_pool_set(struct tm_dag *dag, const char *name, int slots, struct tm_err *err) TM_CHECKED;
tm_rc tm_dag_variable_set(struct tm_dag *dag, const char *key, const char *value, struct tm_err *err) TM_CHECKED; /* value NULL = delete */

/* ---- questions: each writes one JSON value into out ---- */
tm_rc tm_dag_list_json(struct tm_dag *dag, struct tm_buf *out,
		       struct tm_err *err) TM_CHECKED; /* DAGs: id, file, dialect, schedule, paused, next run, last run */
tm_rc tm_dag_get_json(struct tm_dag *dag, const char *dag_id, struct tm_buf *out,
		      struct tm_err *err) TM_CHECKED; /* + tasks, edges, groups */
tm_rc tm_dag_errors_json(struct tm_dag *dag, struct tm_buf *out,
			 struct tm_err *err) TM_CHECKED; /* import errors: file, line, column, error, hint */
tm_rc tm_dag_runs_json(struct tm_dag *dag, const char *dag_id, int limit, int offset, struct tm_buf *out,
		       struct tm_err *err) TM_CHECKED; /* dag_id NULL = all; newest first */
tm_rc tm_dag_run_json(struct tm_dag *dag, const char *dag_id, const char *run_id, struct tm_buf *out,
		      struct tm_err *err) TM_CHECKED; /* + task instances */
tm_rc tm_dag_tries_json(struct tm_dag *dag, const char *dag_id, const char *run_id, const char *task_id, int map_index, struct tm_buf *out,
			struct tm_err *err) TM_CHECKED;
tm_rc tm_dag_xcoms_json(struct tm_dag *dag, const char *dag_id, const char *run_id, const char *task_id, struct tm_buf *out,
			struct tm_err *err) TM_CHECKED; /* task_id NULL = of the run */
/* Per DAG: runs ended since the engine was opened, their states, and their tasks' states (for `up --until-idle --json`). */
tm_rc tm_dag_summary_json(struct tm_dag *dag, struct tm_buf *out, struct tm_err *err) TM_CHECKED;
/* Where the log of a try lies; try_number 0 = the newest. out gets a path. */
tm_rc tm_dag_log_path(struct tm_dag *dag, const char *dag_id, const char *run_id, const char *task_id, int map_index, int try_number,
		      struct tm_buf *out, struct tm_err *err) TM_CHECKED;

struct tm_dag_counts {
	int files_loading; /* not yet answered by the loader */
	int import_errors;
	int runs_active, runs_due;
	int runs_waiting; /* not ended, but nothing will happen by itself: depends_on_past behind a failure, a paused DAG */
	int tasks_running, tasks_waiting;
	int64_t runs_success, runs_failed; /* ended since open */
};
void tm_dag_counts(struct tm_dag *dag, struct tm_dag_counts *ret);
/* Everything due and triggered has ended and no file is being loaded. With due_only: due when the engine was opened. */
bool tm_dag_idle(struct tm_dag *dag);

/* ---- several instances of a project: one engine decides, the others stand by ---- */
/* A standby engine takes entries of the leader's journal; those of other rooms are passed over. forget_all: what was there before is void.
 */
tm_rc tm_dag_apply(struct tm_dag *dag, bool forget_all, const struct tm_journal_entry *entries, size_t count,
		   struct tm_err *err) TM_CHECKED;
/* It decides from now on: what its predecessor left running and did not end runs again as a new try, and every commit goes to the journal
 * before it counts. all: the journal is empty, it gets everything. TM_CANCELLED: the journal refused. */
tm_rc tm_dag_lead(struct tm_dag *dag, struct tm_journal *journal, bool all, struct tm_err *err) TM_CHECKED;
/* The journal has refused a commit: the engine has killed what ran, and does nothing more. */
bool tm_dag_lost(struct tm_dag *dag);

/* ---- watching (SSE, the picture): called on the engine's thread after the commit; must not block ---- */
enum tm_dag_event_kind { TM_DAG_EVENT_FILE, TM_DAG_EVENT_RUN, TM_DAG_EVENT_TASK };
struct tm_dag_event {
	enum tm_dag_event_kind kind;
	const char *dag_id, *run_id, *task_id, *state; /* what the kind has, else ""; FILE: dag_id = file */
	int map_index, try_number;
	int64_t at_us;
};
typedef void tm_dag_watch_fn(void *ctx, const struct tm_dag_event *event);
int tm_dag_watch(struct tm_dag *dag, tm_dag_watch_fn *fn, void *ctx); /* gives a handle */
void tm_dag_unwatch(struct tm_dag *dag, int handle);

/* ---- for a door that executes tasks (src/airflow) ---- */
uv_loop_t *tm_dag_loop(struct tm_dag *dag);
/* Runs fn on the loop and waits until what it wrote is on disk (on the loop already: runs at once). Else *err (may be NULL) says why it
 * is not: what the disk said, or the journal, after which this engine decides no more. */
tm_rc tm_dag_call(struct tm_dag *dag, void (*fn)(void *ctx), void *ctx, struct tm_err *err);
/* Loop only: n files more (or, negative, fewer) are being loaded: not idle meanwhile. */
void tm_dag_loading(struct tm_dag *dag, int n);
/* Loop only: as tm_dag_file_set. definition is borrowed. */
tm_rc tm_dag_file_define(struct tm_dag *dag, const char *file, const json_t *definition, struct tm_err *err) TM_CHECKED;
void tm_dag_file_forget(struct tm_dag *dag, const char *file);

/* One try of one task instance, to be executed. Borrowed for the call of start. */
struct tm_dag_work {
	int64_t id; /* unique while the engine is open */
	const char *file, *dag_id, *run_id, *task_id, *log_path;
	int map_index, try_number, max_tries;
	const json_t *dag, *task; /* definitions; task NULL = a callback of the DAG (what is in run) */
	json_t *run;              /* what the task's context needs of its run; the executor may keep a reference */
	double timeout_s;         /* execution_timeout, 0 = none */
};
/* How a try ended. */
struct tm_dag_end {
	enum tm_dag_state state;    /* SUCCESS, FAILED, SKIPPED, UP_FOR_RESCHEDULE */
	bool no_retry;              /* AirflowFailException and the like */
	int64_t reschedule_at_us;   /* UP_FOR_RESCHEDULE */
	const char *error;          /* one line; NULL = none */
	const json_t *xcoms;        /* {key: value}, NULL = none */
	const json_t *skip;         /* task ids of this run to skip, NULL = none */
	const json_t *asset_events; /* [{"uri": …, "extra": …}] */
	const char *rendered_map_index;
};
struct tm_dag_executor {
	void *ctx;
	void (*start)(void *ctx, const struct tm_dag_work *work);
	void (*kill)(void *ctx, int64_t work_id, bool hard); /* SIGTERM, or SIGKILL to the whole process group */
};
/* Loop only. Until an executor is set, tasks other than shell and empty ones wait. */
void tm_dag_executor_set(struct tm_dag *dag, const struct tm_dag_executor *executor);
void tm_dag_work_ended(struct tm_dag *dag, int64_t work_id, const struct tm_dag_end *end);
/* Loop only. A running task asks something (src/dag/README.md lists the operations); gives the answer, a new reference. */
json_t *tm_dag_work_ask(struct tm_dag *dag, int64_t work_id, const json_t *question);
/* Where a worker writes down an end before it reports it, so that a crash of ours between cannot lose it. */
const char *tm_dag_journal_path(struct tm_dag *dag);

/* ---- the rules by themselves (vectors, tests, `tidemill check`) ---- */
struct tm_cron;
tm_rc tm_cron_parse(struct tm_str expr, struct tm_cron **ret, struct tm_err *err) TM_CHECKED; /* err.klass: croniter's class */
void tm_cron_free(struct tm_cron *c);
/* Naive local seconds since 1970: the next tick after / the previous before t. */
tm_rc tm_cron_next(const struct tm_cron *c, int64_t t, int64_t *ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_cron_prev(const struct tm_cron *c, int64_t t, int64_t *ret, struct tm_err *err) TM_CHECKED;

/* Timetables: see timetable in src/dag/README.md. */
struct tm_timetable;
struct tm_dag_interval {
	int64_t logical_us, start_us, end_us, run_after_us; /* NEVER = none */
};
tm_rc tm_timetable_new(const json_t *spec, struct tm_timetable **ret, struct tm_err *err) TM_CHECKED;
void tm_timetable_free(struct tm_timetable *t);
/* last: the newest automated run's interval, NULL = none. *ret_found false: never again. */
tm_rc tm_timetable_next(const struct tm_timetable *t, const struct tm_dag_interval *last, int64_t earliest_us, int64_t latest_us,
			bool catchup, int64_t now_us, bool *ret_found, struct tm_dag_interval *ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_timetable_manual(const struct tm_timetable *t, int64_t run_after_us, struct tm_dag_interval *ret, struct tm_err *err) TM_CHECKED;

enum tm_dag_rule_verdict { TM_DAG_RULE_WAIT, TM_DAG_RULE_RUN, TM_DAG_RULE_SET };
/* The trigger rule over counts of upstream states; total = how many upstream instances there are. */
struct tm_dag_rule_counts {
	int total, success, skipped, failed, upstream_failed, removed, done;
	int setups, setups_success, setups_skipped; /* of those, setup tasks (for all_done_setup_success) */
};
bool tm_dag_rule_known(const char *rule);
enum tm_dag_rule_verdict tm_dag_rule_eval(const char *rule, const struct tm_dag_rule_counts *n, int version, enum tm_dag_state *ret_state);
/* Seconds from the end of a try to the next. factor 0 = fixed delay, 2 = retry_exponential_backoff=True. */
double tm_dag_retry_wait_s(const char *dag_id, const char *task_id, const char *logical_date, int try_number, double retry_delay_s,
			   double factor, double max_retry_delay_s /* <0 = none */);
#endif
