/* From the definition of a DAG (JSON of the loader, see README.md) to what the scheduler works on. Every size and reference
 * is checked here, once. */
#include "dag/dag_int.h"

static const char *text_or(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : otherwise;
}
static double number_or(const json_t *o, const char *key, double otherwise)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : otherwise;
}
static int int_or(const json_t *o, const char *key, int otherwise)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_number(v))
		return otherwise;
	double d = json_number_value(v);
	return d > INT32_MAX ? INT32_MAX : d < INT32_MIN ? INT32_MIN : (int)d;
}
static bool flag(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }
static int64_t time_or_never(const json_t *o, const char *key)
{
	int64_t us;
	const char *s = json_string_value(json_object_get(o, key));
	return s && tm_iso_parse(tm_str_of(s), &us) ? us : TM_DAG_NEVER;
}

static tm_rc read_task(const json_t *j, struct task_def *t, struct tm_err *err)
{
	t->json = j;
	t->task_id = json_string_value(json_object_get(j, "task_id"));
	if (!t->task_id || !*t->task_id)
		return tm_fail(err, TM_INVALID, "a task has no task_id");
	t->rule = text_or(j, "trigger_rule", "all_success");
	if (!tm_dag_rule_known(t->rule))
		return tm_fail(err, TM_INVALID, "task '%s': there is no trigger rule '%s'", t->task_id, t->rule);
	t->pool = text_or(j, "pool", "default_pool");
	t->pool_slots = int_or(j, "pool_slots", 1);
	t->retries = int_or(j, "retries", 0);
	t->retry_delay_s = number_or(j, "retry_delay_s", 300);
	t->backoff = number_or(j, "retry_backoff", 0);
	t->max_retry_delay_s = number_or(j, "max_retry_delay_s", -1);
	t->timeout_s = number_or(j, "execution_timeout_s", 0);
	t->weight = int_or(j, "priority_weight_total", 1);
	t->max_active = int_or(j, "max_active_tis_per_dag", 0);
	t->max_active_per_run = int_or(j, "max_active_tis_per_dagrun", 0);
	t->depends_on_past = flag(j, "depends_on_past");
	t->wait_for_downstream = flag(j, "wait_for_downstream");
	t->setup = flag(j, "is_setup");
	t->teardown = flag(j, "is_teardown");
	t->failure_fails_run = flag(j, "on_failure_fail_dagrun");
	t->start_us = time_or_never(j, "start_date");
	t->end_us = time_or_never(j, "end_date");
	t->expand = json_object_get(j, "expand");
	if (!json_is_object(t->expand))
		t->expand = NULL;
	t->map_group = json_string_value(json_object_get(j, "map_group"));
	const char *kind = text_or(j, "kind", "python");
	t->kind = !strcmp(kind, "empty") ? TM_DAG_TASK_EMPTY : !strcmp(kind, "shell") ? TM_DAG_TASK_SHELL : TM_DAG_TASK_PYTHON;
	return TM_OK;
}

struct by_id {
	const char *id;
	int index;
};
static int order(const void *a, const void *b) { return strcmp(((const struct by_id *)a)->id, ((const struct by_id *)b)->id); }

static tm_rc sort_ids(struct dag_def *d, struct tm_err *err)
{
	struct by_id *ids = tm_alloc(((size_t)d->task_count + 1) * sizeof *ids);
	for (int i = 0; i < d->task_count; i++)
		ids[i] = (struct by_id){d->tasks[i].task_id, i};
	qsort(ids, (size_t)d->task_count, sizeof *ids, order);
	tm_rc rc = TM_OK;
	for (int i = 0; i < d->task_count; i++) {
		d->by_id[i] = ids[i].index;
		if (i && !strcmp(ids[i].id, ids[i - 1].id))
			rc = tm_fail(err, TM_INVALID, "task id '%s' is used twice in DAG '%s'", ids[i].id, d->dag_id);
	}
	free(ids);
	return rc;
}

int tm_dag_def_task(const struct dag_def *d, const char *task_id)
{
	int low = 0, high = d->task_count - 1;
	while (low <= high) {
		int mid = (low + high) / 2, c = strcmp(task_id, d->tasks[d->by_id[mid]].task_id);
		if (c == 0)
			return d->by_id[mid];
		if (c < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return -1;
}

static tm_rc link_tasks(struct dag_def *d, struct tm_err *err)
{
	for (int i = 0; i < d->task_count; i++) {
		const json_t *ups = json_object_get(d->tasks[i].json, "upstream"), *u;
		size_t n;
		d->tasks[i].up = tm_alloc((json_array_size(ups) + 1) * sizeof(int));
		json_array_foreach(ups, n, u)
		{
			int at = json_is_string(u) ? tm_dag_def_task(d, json_string_value(u)) : -1;
			if (at < 0)
				return tm_fail(err, TM_INVALID, "task '%s' has an upstream task that the DAG does not have",
					       d->tasks[i].task_id);
			d->tasks[i].up[d->tasks[i].up_count++] = at;
			d->tasks[at].down_count++;
		}
	}
	for (int i = 0; i < d->task_count; i++) {
		d->tasks[i].down = tm_alloc(((size_t)d->tasks[i].down_count + 1) * sizeof(int));
		d->tasks[i].down_count = 0;
	}
	for (int i = 0; i < d->task_count; i++)
		for (int k = 0; k < d->tasks[i].up_count; k++) {
			struct task_def *u = &d->tasks[d->tasks[i].up[k]];
			u->down[u->down_count++] = i;
		}
	return TM_OK;
}

/* Kahn's order: what is left over has a cycle. */
static tm_rc check_cycles(const struct dag_def *d, struct tm_err *err)
{
	int *open = tm_alloc(((size_t)d->task_count + 1) * sizeof(int)), *queue = tm_alloc(((size_t)d->task_count + 1) * sizeof(int)),
	    head = 0, tail = 0;
	for (int i = 0; i < d->task_count; i++) {
		open[i] = d->tasks[i].up_count;
		if (!open[i])
			queue[tail++] = i;
	}
	while (head < tail) {
		const struct task_def *t = &d->tasks[queue[head++]];
		for (int k = 0; k < t->down_count; k++)
			if (--open[t->down[k]] == 0)
				queue[tail++] = t->down[k];
	}
	tm_rc rc = TM_OK;
	for (int i = 0; i < d->task_count && rc == TM_OK; i++)
		if (open[i] > 0)
			rc = tm_fail(err, TM_INVALID, "Cycle detected in DAG: %s. Faulty task: %s", d->dag_id, d->tasks[i].task_id);
	free(open);
	free(queue);
	return rc;
}

static tm_rc read_dag(struct dag_def *d, int default_runs, int default_tasks, struct tm_err *err)
{
	const json_t *j = d->json, *tasks = json_object_get(j, "tasks"), *t;
	d->dag_id = json_string_value(json_object_get(j, "dag_id"));
	if (!d->dag_id || !*d->dag_id)
		return tm_fail(err, TM_INVALID, "a DAG has no dag_id");
	d->start_us = time_or_never(j, "start_date");
	d->end_us = time_or_never(j, "end_date");
	d->catchup = flag(j, "catchup");
	d->fail_fast = flag(j, "fail_fast");
	d->version = int_or(j, "version", 2);
	d->max_active_runs = int_or(j, "max_active_runs", default_runs);
	d->max_active_tasks = int_or(j, "max_active_tasks", default_tasks);
	if (d->max_active_runs <= 0)
		d->max_active_runs = INT32_MAX;
	if (d->max_active_tasks <= 0)
		d->max_active_tasks = INT32_MAX;
	d->max_failed_runs = int_or(j, "max_consecutive_failed_dag_runs", 0);
	d->timeout_s = number_or(j, "dagrun_timeout_s", 0);
	d->callback_success = flag(j, "on_success_callback");
	d->callback_failure = flag(j, "on_failure_callback");
	const json_t *timetable = json_object_get(j, "timetable");
	d->assets = json_object_get(timetable, "assets");
	d->continuous = tm_str_is(tm_str_of(text_or(timetable, "kind", "")), "continuous");
	TM_TRY(tm_timetable_new(timetable, &d->timetable, err));
	size_t n = json_array_size(tasks), i;
	d->tasks = tm_zalloc((n + 1) * sizeof *d->tasks);
	d->by_id = tm_zalloc((n + 1) * sizeof *d->by_id);
	json_array_foreach(tasks, i, t)
	{
		TM_TRY(read_task(t, &d->tasks[d->task_count], err));
		d->any_depends_on_past |= d->tasks[d->task_count].depends_on_past || d->tasks[d->task_count].wait_for_downstream;
		d->task_count++;
	}
	TM_TRY(sort_ids(d, err));
	TM_TRY(link_tasks(d, err));
	return check_cycles(d, err);
}

tm_rc tm_dag_def_new(const json_t *dag, const char *file, int default_runs, int default_tasks, struct dag_def **ret, struct tm_err *err)
{
	struct dag_def *d = tm_zalloc(sizeof *d);
	d->json = json_deep_copy(dag);
	json_object_set_new(d->json, "file", json_string(file));
	d->file = json_string_value(json_object_get(d->json, "file"));
	tm_rc rc = read_dag(d, default_runs, default_tasks, err);
	if (rc == TM_OK)
		*ret = d;
	else
		tm_dag_def_free(d);
	return rc;
}

void tm_dag_def_free(struct dag_def *d)
{
	if (!d)
		return;
	for (int i = 0; i < d->task_count; i++) {
		free(d->tasks[i].up);
		free(d->tasks[i].down);
	}
	free(d->tasks);
	free(d->by_id);
	tm_timetable_free(d->timetable);
	json_decref(d->json);
	free(d);
}

tm_rc tm_dag_try_definition(const json_t *dag_definition, const char *file, struct tm_err *err)
{
	struct dag_def *d = NULL;
	TM_TRY(tm_dag_def_new(dag_definition, file, 16, 16, &d, err));
	tm_dag_def_free(d);
	return TM_OK;
}
