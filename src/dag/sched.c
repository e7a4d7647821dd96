/* The scheduler: what of a run can go on, what is started, what waits for a time.
 *
 * A change of a task instance marks the tasks downstream of it; a turn of the loop looks at marked tasks only, until nothing
 * changes. States on disk: only what must outlive us (a try that began, a try that ended, a set state). scheduled and queued
 * are found again by looking. */
#include "dag/dag_int.h"

int64_t tm_dag_now(const struct tm_dag *d) { return tm_now_us(d->env); }

/* ---- timers: a heap; an entry is a hint, whoever fires looks whether it is due ---- */
void tm_dag_timer_add(struct tm_dag *d, int64_t at_us, enum timer_kind kind, int64_t id, const char *name, int map_index)
{
	struct timer t = {.at_us = at_us, .kind = kind, .id = id, .map_index = map_index};
	snprintf(t.name, sizeof t.name, "%s", name ? name : "");
	TM_PUSH(&d->timers, t);
	size_t i = d->timers.count - 1;
	while (i && d->timers.items[(i - 1) / 2].at_us > at_us) {
		d->timers.items[i] = d->timers.items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	d->timers.items[i] = t;
}

static struct timer timer_pop(struct tm_dag *d)
{
	struct timer top = d->timers.items[0], last = d->timers.items[--d->timers.count];
	size_t i = 0, n = d->timers.count;
	while (2 * i + 1 < n) {
		size_t c = 2 * i + 1;
		if (c + 1 < n && d->timers.items[c + 1].at_us < d->timers.items[c].at_us)
			c++;
		if (d->timers.items[c].at_us >= last.at_us)
			break;
		d->timers.items[i] = d->timers.items[c];
		i = c;
	}
	d->timers.items[i] = last;
	return top;
}

static void ti_due(struct tm_dag *d, const struct timer *t, int64_t now)
{
	struct run *r = tm_dag_active_run(d, t->id);
	if (!r || !r->dag->def)
		return;
	for (int i = 0; i < r->slot_count; i++) {
		if (strncmp(r->dag->def->tasks[i].task_id, t->name, sizeof t->name - 1) != 0)
			continue;
		for (size_t k = 0; k < r->slots[i].count; k++) {
			struct ti *ti = &r->slots[i].items[k];
			bool waits = ti->state == TM_DAG_UP_FOR_RETRY || ti->state == TM_DAG_UP_FOR_RESCHEDULE;
			if (ti->map_index == t->map_index && waits && ti->next_us <= now)
				tm_dag_touch_task(r, i);
		}
		if (r->slots[i].items[0].state == TM_DAG_NONE)
			tm_dag_touch_task(r, i); /* a start_date of the task */
	}
	r->touched = d->touched = true;
}

static void run_timed_out(struct tm_dag *d, struct run *r)
{
	tm_say(TM_SAY_WARN, "dag", "run %s of %s: dagrun_timeout", r->run_id, r->dag->dag_id);
	for (int i = 0; i < r->slot_count; i++)
		for (size_t k = 0; k < r->slots[i].count; k++) {
			struct ti *ti = &r->slots[i].items[k];
			if (tm_dag_state_ended(ti->state))
				continue;
			if (ti->work_id) {
				tm_dag_work_kill(d, ti->work_id, false);
				ti->end_us = tm_dag_now(d);
			}
			tm_dag_ti_set(d, r, i, ti, TM_DAG_SKIPPED, "dagrun_timeout");
		}
	tm_dag_run_end(d, r, TM_DAG_FAILED);
}

void tm_dag_timers_fire(struct tm_dag *d)
{
	int64_t now = tm_dag_now(d);
	while (d->timers.count && d->timers.items[0].at_us <= now) {
		struct timer t = timer_pop(d);
		struct run *r;
		struct dag_entry *e;
		switch (t.kind) {
		case TIMER_TI:
			ti_due(d, &t, now);
			break;
		case TIMER_DAG:
			for (size_t i = 0; i < d->dags.count; i++) {
				e = d->dags.items[i];
				if (!strncmp(e->dag_id, t.name, sizeof t.name - 1)) {
					e->timer_us = 0;
					tm_dag_schedule_next(d, e);
				}
			}
			break;
		case TIMER_RUN:
			r = tm_dag_active_run(d, t.id);
			if (r && r->state == TM_DAG_RUNNING)
				run_timed_out(d, r);
			break;
		case TIMER_KILL:
			tm_dag_work_kill(d, t.id, true);
			break;
		}
	}
}

/* ---- marking ---- */
void tm_dag_touch_task(struct run *r, int task)
{
	if (r->slots[task].dirty)
		return;
	r->slots[task].dirty = true;
	TM_PUSH(&r->dirty, task);
}
void tm_dag_touch_all(struct tm_dag *d, struct run *r)
{
	for (int i = 0; i < r->slot_count; i++)
		tm_dag_touch_task(r, i);
	r->touched = d->touched = true;
}

static void touch_after(struct tm_dag *d, struct run *r, int task)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	for (int k = 0; k < t->down_count; k++)
		tm_dag_touch_task(r, t->down[k]);
	r->touched = d->touched = true;
	if (!r->dag->def->any_depends_on_past)
		return;
	for (size_t i = 0; i < r->dag->run_count; i++) {
		struct run *o = r->dag->runs[i];
		if (o == r || o->state != TM_DAG_RUNNING)
			continue;
		tm_dag_touch_task(o, task);
		for (int k = 0; k < t->up_count; k++)
			tm_dag_touch_task(o, t->up[k]); /* wait_for_downstream */
		o->touched = true;
	}
}

/* ---- states ---- */
static void save(struct tm_dag *d, const struct run *r, const char *task_id, const struct ti *ti, const char *error)
{
	tm_dag_store_exec(d->store,
			  "INSERT INTO ti (run, task_id, map_index, state, try_number, max_tries, start_us, end_us, next_us, first_us, "
			  "error) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
			  " ON CONFLICT (run, task_id, map_index) DO UPDATE SET state=excluded.state, try_number=excluded.try_number, "
			  "max_tries=excluded.max_tries,"
			  " start_us=excluded.start_us, end_us=excluded.end_us, next_us=excluded.next_us, first_us=excluded.first_us, "
			  "error=excluded.error",
			  "isisiinnnns", r->id, task_id, (int64_t)ti->map_index, tm_dag_state_text(ti->state), (int64_t)ti->try_number,
			  (int64_t)ti->max_tries, ti->start_us, ti->end_us, ti->next_us, ti->first_us, error);
}

void tm_dag_ti_set(struct tm_dag *d, struct run *r, int task, struct ti *ti, enum tm_dag_state state, const char *error)
{
	const char *task_id = r->dag->def->tasks[task].task_id;
	ti->state = state;
	if (tm_dag_state_ended(state)) {
		ti->work_id = 0;
		if (ti->end_us == TM_DAG_NEVER)
			ti->end_us = tm_dag_now(d);
		touch_after(d, r, task);
	}
	if (state != TM_DAG_SCHEDULED)
		save(d, r, task_id, ti, error);
	tm_dag_event_add(d, TM_DAG_EVENT_TASK, r->dag->dag_id, r->run_id, task_id, tm_dag_state_text(state), ti->map_index, ti->try_number);
	d->touched = true;
}

/* ---- mapped tasks ---- */
static int expand_value(struct tm_dag *d, struct run *r, const json_t *e, bool *ready)
{
	const json_t *v;
	size_t i;
	int total = 1;
	if ((v = json_object_get(e, "length")))
		return (int)json_integer_value(v);
	if ((v = json_object_get(e, "xcom"))) {
		const char *task_id = json_string_value(v), *key = json_string_value(json_object_get(e, "key"));
		int task = tm_dag_def_task(r->dag->def, task_id);
		if (task >= 0 && r->slots[task].expanded && r->dag->def->tasks[task].expand)
			return (int)tm_dag_store_int(d->store, 0, "SELECT count(*) FROM xcom WHERE run=? AND task_id=? AND key=?", "iss",
						     r->id, task_id, key ? key : "return_value");
		json_t *rows = tm_dag_store_rows(d->store, "SELECT value FROM xcom WHERE run=? AND task_id=? AND key=?", "iss", r->id,
						 task_id, key ? key : "return_value");
		json_t *value =
		    json_loads(json_string_value(json_object_get(json_array_get(rows, 0), "value")) ?: "null", JSON_DECODE_ANY, NULL);
		int n = json_is_array(value) ? (int)json_array_size(value) : json_is_object(value) ? (int)json_object_size(value) : -1;
		const json_t *tuple = json_object_get(value, "__value");
		if (json_is_array(tuple))
			n = (int)json_array_size(tuple);
		json_decref(value);
		json_decref(rows);
		return n;
	}
	if ((v = json_object_get(e, "product"))) {
		json_array_foreach(v, i, e)
		{
			int n = expand_value(d, r, e, ready);
			if (n < 0)
				return n;
			total *= n;
		}
		return total;
	}
	if ((v = json_object_get(e, "concat"))) {
		total = 0;
		json_array_foreach(v, i, e) total += expand_value(d, r, e, ready);
		return total;
	}
	bool longest = (v = json_object_get(e, "zip_longest")) != NULL;
	if (longest || (v = json_object_get(e, "zip"))) {
		total = -1;
		json_array_foreach(v, i, e)
		{
			int n = expand_value(d, r, e, ready);
			total = total < 0 || (longest ? n > total : n < total) ? n : total;
		}
		return total;
	}
	*ready = false;
	return 0;
}

int tm_dag_expand_count(struct tm_dag *d, struct run *r, const json_t *expand, bool *ret_ready)
{
	*ret_ready = true;
	size_t i;
	json_t *dep;
	json_array_foreach(json_object_get(expand, "depends"), i, dep)
	{
		int task = tm_dag_def_task(r->dag->def, json_string_value(dep));
		if (task < 0)
			continue;
		for (size_t k = 0; k < r->slots[task].count; k++)
			if (r->slots[task].items[k].state != TM_DAG_SUCCESS)
				*ret_ready = *ret_ready && tm_dag_state_ended(r->slots[task].items[k].state) && r->slots[task].count > 1;
	}
	return *ret_ready ? expand_value(d, r, expand, ret_ready) : 0;
}

/* Makes the instances of a mapped task; false while what it maps over is not there. */
static bool expand(struct tm_dag *d, struct run *r, int task)
{
	struct slot *s = &r->slots[task];
	const struct task_def *t = &r->dag->def->tasks[task];
	bool ready;
	int n = tm_dag_expand_count(d, r, t->expand, &ready);
	if (!ready)
		return false;
	s->expanded = true;
	if (n < 0) {
		tm_dag_ti_set(d, r, task, &s->items[0], TM_DAG_FAILED,
			      "what the task maps over is neither a list nor a dict (UnmappableXComTypePushed)");
		return true;
	}
	if (n == 0) {
		tm_dag_ti_set(d, r, task, &s->items[0], TM_DAG_SKIPPED, "the task maps over nothing");
		return true;
	}
	struct ti first = s->items[0];
	s->count = 0;
	for (int i = 0; i < n; i++) {
		first.map_index = i;
		TM_PUSH(s, first);
		save(d, r, t->task_id, &first, NULL);
	}
	tm_dag_store_exec(d->store, "DELETE FROM ti WHERE run=? AND task_id=? AND map_index=-1", "is", r->id, t->task_id);
	return true;
}

/* ---- looking at a task ---- */
static void count_one(struct tm_dag_rule_counts *n, enum tm_dag_state s, bool setup)
{
	n->total++;
	n->success += s == TM_DAG_SUCCESS;
	n->skipped += s == TM_DAG_SKIPPED;
	n->failed += s == TM_DAG_FAILED;
	n->upstream_failed += s == TM_DAG_UPSTREAM_FAILED;
	n->removed += s == TM_DAG_REMOVED;
	n->done += tm_dag_state_ended(s);
	n->setups += setup;
	n->setups_success += setup && s == TM_DAG_SUCCESS;
	n->setups_skipped += setup && s == TM_DAG_SKIPPED;
}

static struct tm_dag_rule_counts count_upstream(const struct run *r, int task, int map_index)
{
	const struct dag_def *def = r->dag->def;
	const struct task_def *t = &def->tasks[task];
	struct tm_dag_rule_counts n = {0};
	for (int k = 0; k < t->up_count; k++) {
		const struct slot *s = &r->slots[t->up[k]];
		const struct task_def *u = &def->tasks[t->up[k]];
		/* Inside one mapped group an instance sees only its own row. */
		bool same_row = t->map_group && u->map_group && !strcmp(t->map_group, u->map_group) && map_index >= 0 &&
				(size_t)map_index < s->count && s->count > 1;
		if (same_row) {
			count_one(&n, s->items[map_index].state, u->setup);
			continue;
		}
		for (size_t i = 0; i < s->count; i++)
			count_one(&n, s->items[i].state, u->setup);
	}
	return n;
}

/* depends_on_past and wait_for_downstream: the same task of the run before ended well. */
static bool past_allows(struct tm_dag *d, struct run *r, int task, const struct ti *ti)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	if (!t->depends_on_past && !t->wait_for_downstream)
		return true;
	if (r->logical_us == TM_DAG_NEVER || (t->start_us != TM_DAG_NEVER && r->logical_us == t->start_us))
		return true;
	int64_t before = tm_dag_store_int(
	    d->store, -1,
	    r->dag->def->catchup
		? "SELECT id FROM run WHERE dag_id=? AND logical_us < ? AND run_type <> 'manual' ORDER BY logical_us DESC LIMIT 1"
		: "SELECT id FROM run WHERE dag_id=? AND logical_us < ? ORDER BY logical_us DESC LIMIT 1",
	    "si", r->dag->dag_id, r->logical_us);
	if (before < 0)
		return true;
	struct run *o = tm_dag_active_run(d, before);
	if (o && o->slot_count > task) {
		for (size_t k = 0; k < o->slots[task].count; k++)
			if (o->slots[task].items[k].map_index == ti->map_index && o->slots[task].items[k].state != TM_DAG_SUCCESS &&
			    o->slots[task].items[k].state != TM_DAG_SKIPPED)
				return false;
	} else if (tm_dag_store_int(
		       d->store, 0,
		       "SELECT count(*) FROM ti WHERE run=? AND task_id=? AND map_index=? AND state NOT IN ('success', 'skipped')", "isi",
		       before, t->task_id, (int64_t)ti->map_index) > 0) {
		return false;
	}
	if (!t->wait_for_downstream)
		return true;
	for (int k = 0; k < t->down_count; k++)
		if (tm_dag_store_int(d->store, 0, "SELECT count(*) FROM ti WHERE run=? AND task_id=? AND state IN ('success', 'skipped')",
				     "is", before, r->dag->def->tasks[t->down[k]].task_id) == 0)
			return false;
	return true;
}

/* After a clear: a branch that is not run again still holds its decision. */
static bool branch_forbids(struct tm_dag *d, struct run *r, int task)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	bool forbids = false;
	for (int k = 0; r->cleared && k < t->up_count && !forbids; k++) {
		json_t *rows = tm_dag_store_rows(d->store, "SELECT value FROM xcom WHERE run=? AND task_id=? AND key='skipmixin_key'", "is",
						 r->id, r->dag->def->tasks[t->up[k]].task_id);
		json_t *v = json_loads(json_string_value(json_object_get(json_array_get(rows, 0), "value")) ?: "null", JSON_DECODE_ANY,
				       NULL),
		       *id;
		const json_t *skipped = json_object_get(v, "skipped");
		size_t i;
		json_array_foreach(skipped, i, id) forbids = forbids || (json_is_string(id) && !strcmp(json_string_value(id), t->task_id));
		json_decref(v);
		json_decref(rows);
	}
	return forbids;
}

static void ready_push(struct tm_dag *d, struct run *r, int task, const struct ti *ti)
{
	TM_PUSH(&d->ready, (struct ready){r, task, ti->map_index, r->dag->def->tasks[task].weight});
	d->ready_unsorted = true;
}

void tm_dag_ready_forget(struct tm_dag *d, const struct run *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < d->ready.count; i++)
		if (d->ready.items[i].run != r)
			d->ready.items[kept++] = d->ready.items[i];
	d->ready.count = kept;
}

static void look_at_instance(struct tm_dag *d, struct run *r, int task, struct ti *ti)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	int64_t now = tm_dag_now(d);
	if (ti->state == TM_DAG_UP_FOR_RETRY || ti->state == TM_DAG_UP_FOR_RESCHEDULE) {
		if (ti->next_us > now) {
			tm_dag_timer_add(d, ti->next_us, TIMER_TI, r->id, t->task_id, ti->map_index);
			return;
		}
	} else if (ti->state != TM_DAG_NONE) {
		return;
	}
	struct tm_dag_rule_counts n = count_upstream(r, task, ti->map_index);
	enum tm_dag_state set = TM_DAG_NONE;
	enum tm_dag_rule_verdict v = tm_dag_rule_eval(t->rule, &n, r->dag->def->version, &set);
	if (v == TM_DAG_RULE_SET) {
		tm_dag_ti_set(d, r, task, ti, set, NULL);
		return;
	}
	if (v == TM_DAG_RULE_WAIT || !past_allows(d, r, task, ti))
		return;
	if (branch_forbids(d, r, task)) {
		tm_dag_ti_set(d, r, task, ti, TM_DAG_SKIPPED, NULL);
		return;
	}
	if (r->logical_us != TM_DAG_NEVER && strcmp(r->type, "manual") != 0 &&
	    ((t->start_us != TM_DAG_NEVER && r->logical_us < t->start_us) || (t->end_us != TM_DAG_NEVER && r->logical_us > t->end_us)))
		return;
	if (t->kind == TM_DAG_TASK_EMPTY) {
		ti->try_number++;
		ti->start_us = ti->end_us = now;
		tm_dag_ti_set(d, r, task, ti, TM_DAG_SUCCESS, NULL);
		size_t i;
		json_t *uri;
		json_array_foreach(json_object_get(t->json, "outlets"), i, uri)
		    tm_dag_asset_event(d, json_string_value(uri), NULL, r, t->task_id, ti->map_index);
		return;
	}
	tm_dag_ti_set(d, r, task, ti, TM_DAG_SCHEDULED, NULL);
	ready_push(d, r, task, ti);
}

static void look_at_task(struct tm_dag *d, struct run *r, int task)
{
	struct slot *s = &r->slots[task];
	const struct task_def *t = &r->dag->def->tasks[task];
	if (t->expand && !s->expanded && s->items[0].state == TM_DAG_NONE) {
		struct tm_dag_rule_counts n = count_upstream(r, task, -1);
		enum tm_dag_state set = TM_DAG_NONE;
		bool in_group = t->map_group != NULL;
		/* A task that can never run is not expanded; one of a mapped group is, before its rows are judged one by one. */
		if (!in_group && tm_dag_rule_eval(t->rule, &n, r->dag->def->version, &set) == TM_DAG_RULE_SET) {
			tm_dag_ti_set(d, r, task, &s->items[0], set, NULL);
			return;
		}
		if (!expand(d, r, task)) {
			if (in_group && tm_dag_rule_eval(t->rule, &n, r->dag->def->version, &set) == TM_DAG_RULE_SET)
				tm_dag_ti_set(d, r, task, &s->items[0], set, NULL);
			return;
		}
	}
	for (size_t i = 0; i < r->slots[task].count; i++)
		look_at_instance(d, r, task, &r->slots[task].items[i]);
}

/* ---- does a run go on? ---- */
static bool effective_leaf(const struct dag_def *def, int task)
{
	const struct task_def *t = &def->tasks[task];
	for (int k = 0; k < t->down_count; k++) {
		const struct task_def *down = &def->tasks[t->down[k]];
		if (!down->teardown || down->failure_fails_run)
			return false;
	}
	return !t->teardown || t->failure_fails_run;
}

static void judge_run(struct tm_dag *d, struct run *r)
{
	const struct dag_def *def = r->dag->def;
	bool unfinished = false, moving = false, leaf_failed = false, may_wait = false;
	for (int i = 0; i < r->slot_count; i++) {
		bool leaf = effective_leaf(def, i);
		for (size_t k = 0; k < r->slots[i].count; k++) {
			enum tm_dag_state s = r->slots[i].items[k].state;
			if (!tm_dag_state_ended(s)) {
				unfinished = true;
				moving |= s != TM_DAG_NONE;
				may_wait |= def->tasks[i].depends_on_past || def->tasks[i].wait_for_downstream || def->tasks[i].max_active;
			}
			leaf_failed |= leaf && (s == TM_DAG_FAILED || s == TM_DAG_UPSTREAM_FAILED);
		}
	}
	if (!unfinished) {
		tm_dag_run_end(d, r, leaf_failed ? TM_DAG_FAILED : TM_DAG_SUCCESS);
	} else if (!moving && !may_wait) {
		tm_say(TM_SAY_WARN, "dag", "run %s of %s: no task can run any more (deadlock)", r->run_id, r->dag->dag_id);
		tm_dag_run_end(d, r, TM_DAG_FAILED);
	}
}

static void look_at_run(struct tm_dag *d, struct run *r)
{
	while (r->dirty.count) {
		int task = r->dirty.items[--r->dirty.count];
		r->slots[task].dirty = false;
		look_at_task(d, r, task);
	}
	r->touched = false;
	judge_run(d, r);
}

/* ---- starting what is ready, within the limits ---- */
static int ready_order(const void *a, const void *b)
{
	const struct ready *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	if (x->run->run_after_us != y->run->run_after_us)
		return x->run->run_after_us < y->run->run_after_us ? -1 : 1;
	if (x->run->id != y->run->id)
		return x->run->id < y->run->id ? -1 : 1;
	return x->task != y->task ? (x->task < y->task ? -1 : 1) : (x->map_index > y->map_index) - (x->map_index < y->map_index);
}

static bool limits_allow(const struct tm_dag *d, const struct run *r, int task)
{
	const struct dag_def *def = r->dag->def;
	const struct task_def *t = &def->tasks[task];
	const json_t *slots = json_object_get(d->pools, t->pool);
	int in_dag = 0, in_pool = 0, same = 0, same_run = 0;
	for (size_t i = 0; i < d->works.count; i++) {
		const struct work *w = d->works.items[i];
		if (!strcmp(w->pool, t->pool))
			in_pool += w->pool_slots;
		if (strcmp(w->dag_id, r->dag->dag_id) != 0 || w->callback)
			continue;
		in_dag += def->version < 3 || w->run_id == r->id;
		same += !strcmp(w->task_id, t->task_id);
		same_run += w->run_id == r->id && !strcmp(w->task_id, t->task_id);
	}
	int64_t pool = json_is_integer(slots) ? json_integer_value(slots) : 128;
	return in_dag < def->max_active_tasks && (pool < 0 || in_pool + t->pool_slots <= pool) &&
	       (!t->max_active || same < t->max_active) && (!t->max_active_per_run || same_run < t->max_active_per_run);
}

static struct ti *instance(struct run *r, int task, int map_index)
{
	for (size_t k = 0; k < r->slots[task].count; k++)
		if (r->slots[task].items[k].map_index == map_index)
			return &r->slots[task].items[k];
	return NULL;
}

static void begin_try(struct tm_dag *d, struct run *r, int task, struct ti *ti)
{
	const struct task_def *t = &r->dag->def->tasks[task];
	int64_t now = tm_dag_now(d);
	bool again = ti->next_us != TM_DAG_NEVER && ti->first_us != TM_DAG_NEVER && ti->try_number > 0; /* a sensor looks once more */
	if (!again) {
		ti->try_number++;
		ti->first_us = now;
		if (ti->try_number > 1)
			tm_dag_store_exec(d->store, "DELETE FROM xcom WHERE run=? AND task_id=? AND map_index=?", "isi", r->id, t->task_id,
					  (int64_t)ti->map_index);
	}
	ti->start_us = now;
	ti->end_us = ti->next_us = TM_DAG_NEVER;
	ti->work_id = ++d->next_work_id;
	struct work *w = tm_zalloc(sizeof *w);
	*w = (struct work){.id = ti->work_id,
			   .run_id = r->id,
			   .dag_id = tm_strdup(r->dag->dag_id),
			   .task_id = tm_strdup(t->task_id),
			   .pool = tm_strdup(t->pool),
			   .map_index = ti->map_index,
			   .try_number = ti->try_number,
			   .pool_slots = t->pool_slots,
			   .shell = t->kind == TM_DAG_TASK_SHELL};
	TM_PUSH(&d->works, w);
	TM_PUSH(&d->starts, w);
	tm_dag_ti_set(d, r, task, ti, TM_DAG_RUNNING, NULL);
}

static void start_ready(struct tm_dag *d)
{
	if (!d->ready.count)
		return;
	if (d->ready.count > 1 && d->ready_unsorted)
		qsort(d->ready.items, d->ready.count, sizeof *d->ready.items, ready_order);
	d->ready_unsorted = false;
	size_t kept = 0;
	for (size_t i = 0; i < d->ready.count; i++) {
		if ((int)d->works.count >= d->options.parallelism) {
			memmove(d->ready.items + kept, d->ready.items + i, (d->ready.count - i) * sizeof *d->ready.items);
			kept += d->ready.count - i;
			break;
		}
		struct ready c = d->ready.items[i];
		struct ti *ti = instance(c.run, c.task, c.map_index);
		if (!ti || ti->state != TM_DAG_SCHEDULED)
			continue;
		bool shell = c.run->dag->def->tasks[c.task].kind == TM_DAG_TASK_SHELL;
		if ((!d->has_executor && !shell) || !limits_allow(d, c.run, c.task)) {
			d->ready.items[kept++] = c;
			continue;
		}
		begin_try(d, c.run, c.task, ti);
	}
	d->ready.count = kept;
}

/* ---- the turn ---- */
void tm_dag_turn(struct tm_dag *d)
{
	for (int rounds = 0; d->touched && rounds < 100000; rounds++) {
		d->touched = false;
		for (size_t i = 0; i < d->dags.count; i++) {
			struct dag_entry *e = d->dags.items[i];
			for (size_t k = 0; k < e->run_count;) {
				struct run *r = e->runs[k];
				if (e->def && r->state == TM_DAG_RUNNING && r->touched)
					look_at_run(d, r);
				if (r->state == TM_DAG_SUCCESS || r->state == TM_DAG_FAILED) {
					tm_dag_ready_forget(d, r);
					e->runs[k] = e->runs[--e->run_count];
					tm_dag_run_free(r);
					tm_dag_schedule_next(d, e);
				} else {
					k++;
				}
			}
		}
		start_ready(d);
	}
}
