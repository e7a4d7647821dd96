/* The journal's writer: one transactional producer and one thread. Commits of all queries and of the scheduler that wait at one time go
 * into one transaction, so that many wait as long as one. A transaction whose outcome is not known is asked for until it is; one that was
 * aborted is made again. States: open -> fenced (another leader, or we are none any more: for good). */
#include "kafka/journal_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { INIT_MS = 2000, COMMIT_MS = 1000 };

static bool is_fenced(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	       code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH || code == RD_KAFKA_RESP_ERR__STATE;
}

enum outcome { DONE, AGAIN, ABORT, LOST };

/* What is to be done after an error of librdkafka; takes it over. */
static enum outcome judge(struct kj_writer *w, rd_kafka_error_t *error, struct tm_err *why)
{
	if (!error)
		return DONE;
	struct tm_kafka_journal *j = w->j;
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	bool fatal = rd_kafka_error_is_fatal(error) || is_fenced(code), abort = rd_kafka_error_txn_requires_abort(error),
	     again = rd_kafka_error_is_retriable(error) || kb_passing(code);
	if (is_fenced(code))
		tm_fail(why, TM_CANCELLED, "another instance has taken over the journal on %s", j->broker->address);
	else
		kb_fail(kb_of(j->broker), code, why, "the journal on %s: %s", j->broker->address, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return fatal ? LOST : abort ? ABORT : again ? AGAIN : LOST;
}

/* ---- a transaction ---- */

static enum outcome produce(struct kj_writer *w, const struct tm_journal_entry *e, struct tm_err *why)
{
	for (;;) {
		rd_kafka_resp_err_t code =
		    rd_kafka_producev(w->rk, RD_KAFKA_V_TOPIC(w->j->topics[e->dated ? KJ_DATED : KJ_STATE]), RD_KAFKA_V_PARTITION(0),
				      RD_KAFKA_V_KEY(e->key.at, e->key.len),
				      RD_KAFKA_V_VALUE(e->deleted ? NULL : (void *)(uintptr_t)(e->value.at ? e->value.at : ""),
						       e->deleted ? 0 : e->value.len),
				      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
		if (!code)
			return DONE;
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			kb_fail(kb_of(w->j->broker), code, why, "the journal on %s", w->j->broker->address);
			return code == RD_KAFKA_RESP_ERR__FATAL || is_fenced(code) ? LOST : ABORT;
		}
		if (!kj_leads(w->j))
			return LOST;
		rd_kafka_poll(w->rk, KJ_SLICE_MS);
	}
}

/* Until the outcome is known, or we are no leader any more. */
static enum outcome finish(struct kj_writer *w, bool commit, struct tm_err *why)
{
	int64_t began_ns = tm_mono_ns(tm_env_real());
	for (;;) {
		enum outcome o =
		    judge(w, commit ? rd_kafka_commit_transaction(w->rk, COMMIT_MS) : rd_kafka_abort_transaction(w->rk, COMMIT_MS), why);
		if (o != AGAIN)
			return o;
		if (!kj_leads(w->j))
			return LOST;
		if (tm_mono_ns(tm_env_real()) - began_ns > (int64_t)KJ_SAY_AFTER_MS * 1000000)
			kj_waits(w->j, why->what);
	}
}

static enum outcome transaction(struct kj_writer *w, const struct kj_commit *commits, struct tm_err *why)
{
	enum outcome o = judge(w, rd_kafka_begin_transaction(w->rk), why);
	for (const struct kj_commit *c = commits; c && o == DONE; c = c->next)
		for (size_t i = 0; i < c->count && o == DONE; i++)
			o = produce(w, &c->entries[i], why);
	if (o == DONE)
		o = finish(w, true, why);
	if (o == ABORT)
		o = finish(w, false, why) == DONE ? AGAIN : LOST;
	return o;
}

static void write_all(struct kj_writer *w, struct kj_commit *commits)
{
	enum outcome o = AGAIN;
	struct tm_err why = {0};
	tm_fail(&why, TM_CANCELLED, "this instance is not certainly the leader any more");
	while (o == AGAIN)
		o = kj_leads(w->j) && !w->fenced ? transaction(w, commits, &why) : LOST;
	if (o == DONE)
		kj_waits(w->j, "");
	pthread_mutex_lock(&w->lock);
	if (o != DONE && !w->fenced) {
		w->fenced = true;
		tm_say(TM_SAY_WARN, "kafka", "the journal takes no more from this instance: %s", why.what);
	}
	for (struct kj_commit *c = commits, *next; c; c = next) {
		next = c->next;
		c->rc = o == DONE ? TM_OK : tm_fail(c->err, TM_CANCELLED, "%s", why.what);
		c->done = true;
	}
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
	struct kj_writer *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->stop && !w->waiting)
			pthread_cond_wait(&w->changed, &w->lock);
		if (!w->waiting)
			break;
		struct kj_commit *commits = w->waiting;
		w->waiting = NULL;
		w->waiting_end = &w->waiting;
		pthread_mutex_unlock(&w->lock);
		write_all(w, commits);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static tm_rc commit(struct tm_journal *journal, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct kj_writer *w = (struct kj_writer *)journal;
	struct kj_commit c = {.entries = entries, .count = count, .err = err};
	for (size_t i = 0; i < count; i++)
		if (!entries[i].deleted && entries[i].key.len + entries[i].value.len + 100 > TM_LIMIT_JOURNAL_VALUE_BYTES) {
			tm_rc rc = tm_fail(err, TM_LIMIT, "a value of %zu bytes is too large for the journal (at most %zu)",
					   entries[i].value.len, TM_LIMIT_JOURNAL_VALUE_BYTES - 100);
			tm_err_detail(err, "The state of a query is kept in shards; one of them is one value.");
			return rc;
		}
	pthread_mutex_lock(&w->lock);
	if (!w->rk || w->fenced || w->stop) {
		pthread_mutex_unlock(&w->lock);
		return tm_fail(err, TM_CANCELLED, "this instance leads no more: the journal takes nothing from it");
	}
	*w->waiting_end = &c;
	w->waiting_end = &c.next;
	pthread_cond_broadcast(&w->changed);
	while (!c.done)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return c.rc;
}

static bool still_leads(struct tm_journal *journal)
{
	struct kj_writer *w = (struct kj_writer *)journal;
	return !tm_kafka_journal_fenced(w->j) && kj_leads(w->j);
}
static const struct tm_journal_class writer_class = {.commit = commit, .leads = still_leads};

bool tm_kafka_journal_fenced(struct tm_kafka_journal *j)
{
	struct kj_writer *w = &j->writer;
	if (!w->rk)
		return false;
	pthread_mutex_lock(&w->lock);
	bool fenced = w->fenced;
	pthread_mutex_unlock(&w->lock);
	return fenced;
}

/* ---- open, close ---- */

tm_rc kj_writer_open(struct tm_kafka_journal *j, struct tm_err *err)
{
	struct kj_writer *w = &j->writer;
	kj_writer_close(j);
	rd_kafka_conf_t *conf = kb_conf(kb_of(j->broker), KB_WRITING);
	kb_set(conf, "transactional.id", j->transactional_id);
	kb_set(conf, "transaction.timeout.ms", "30000");
	kb_set(conf, "message.timeout.ms", "30000"); /* at most the transaction's */
	kb_set(conf, "linger.ms", "0");
	kb_set(conf, "compression.type", "lz4");
	rd_kafka_t *rk;
	TM_TRY(kb_handle(kb_of(j->broker), RD_KAFKA_PRODUCER, conf, &rk, err));
	*w = (struct kj_writer){.journal = {&writer_class, j->options.name.at}, .j = j, .rk = rk};
	w->waiting_end = &w->waiting;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	tm_rc rc = TM_OK;
	for (;;) {
		struct tm_err why = {0};
		enum outcome o = judge(w, rd_kafka_init_transactions(rk, INIT_MS), &why);
		if (o == DONE)
			break;
		if (o == AGAIN && kj_leads(j)) {
			kj_waits(j, why.what);
			continue;
		}
		if (err)
			*err = why;
		rc = kj_leads(j) ? why.rc : tm_fail(err, TM_CANCELLED, "this instance leads no more");
		break;
	}
	if (!rc)
		rc = tm_thread_start(&w->thread, "journal", run, w, err);
	w->has_thread = !rc;
	if (rc)
		kj_writer_close(j);
	return rc;
}

void kj_writer_close(struct tm_kafka_journal *j)
{
	struct kj_writer *w = &j->writer;
	if (!w->rk)
		return;
	if (w->has_thread) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_broadcast(&w->changed);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_destroy(w->rk);
	w->rk = NULL;
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
}
