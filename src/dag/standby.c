/* Several instances: fed by the journal of the one that leads; taking the lead. */
#include "dag/dag_int.h"

struct apply_call {
	struct tm_dag *d;
	bool forget_all;
	const struct tm_journal_entry *entries;
	size_t count;
	struct tm_journal *journal;
	struct tm_err *err;
	tm_rc rc;
};

static void apply(void *ctx)
{
	struct apply_call *c = ctx;
	struct tm_dag *d = c->d;
	TM_ASSERT(d->standby);
	c->rc = tm_dag_store_apply(d->store, c->forget_all, c->entries, c->count, c->err);
	tm_dag_paused_read(d);
	for (size_t i = 0; i < d->dags.count; i++)
		tm_dag_last_read(d, d->dags.items[i]);
	tm_dag_event_add(d, TM_DAG_EVENT_RUN, "", "", "", "", -1, 0);
}
tm_rc tm_dag_apply(struct tm_dag *d, bool forget_all, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct apply_call c = {.d = d, .forget_all = forget_all, .entries = entries, .count = count, .err = err};
	tm_rc rc = tm_dag_call(d, apply, &c, err);
	return c.rc ? c.rc : rc;
}

static void lead(void *ctx)
{
	struct apply_call *c = ctx;
	struct tm_dag *d = c->d;
	TM_ASSERT(d->standby);
	c->rc = tm_dag_store_journal(d->store, c->journal, c->forget_all, c->err);
	if (c->rc)
		return;
	d->standby = false;
	d->due_cutoff_us = tm_dag_now(d);
	tm_dag_pools_read(d);
	tm_dag_recover(d);
	tm_dag_define_again(d);
	d->touched = true;
}
tm_rc tm_dag_lead(struct tm_dag *d, struct tm_journal *journal, bool all, struct tm_err *err)
{
	struct apply_call c = {.d = d, .forget_all = all, .journal = journal, .err = err};
	tm_rc rc = tm_dag_call(d, lead, &c, err);
	return c.rc ? c.rc : rc ? rc : tm_dag_notes_empty(d, err);
}

bool tm_dag_lost(struct tm_dag *d)
{
	pthread_mutex_lock(&d->lock);
	bool lost = d->lost;
	pthread_mutex_unlock(&d->lock);
	return lost;
}
