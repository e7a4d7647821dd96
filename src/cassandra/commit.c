/* Group commit. Writes are executed into one batch while they are read; at the end of the loop's turn the batch goes to the
 * commit thread, which makes it durable with one fdatasync; then all its answers go out. Meanwhile the next batch collects.
 *
 * States of a group: collecting (the loop owns it) -> in flight (the commit thread owns it) -> answered, empty, collecting. */
#include <stdlib.h>
#include "cassandra/server_int.h"

#define GROUP_LIMIT_BYTES (32 * TM_MIB) /* above this the loop waits for the disk */

static struct tm_metric commits = TM_COUNTER("tidemill_cql_commits_total", "Group commits of the CQL door.");
static struct tm_metric committed = TM_COUNTER("tidemill_cql_writes_total", "Write requests answered after their commit.");

static void *committer_run(void *arg)
{
	struct tm_cassandra_server *s = arg;
	struct tm_cass_committer *c = &s->committer;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->quit && (!c->job || c->done))
			pthread_cond_wait(&c->changed, &c->lock);
		if (c->quit)
			break;
		struct tm_cass_group *g = c->job;
		pthread_mutex_unlock(&c->lock);
		g->rc = tm_table_batch_commit(g->batch, true, &g->err);
		pthread_mutex_lock(&c->lock);
		c->done = true;
		pthread_cond_broadcast(&c->changed);
		uv_async_send(&s->wake);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

tm_rc tm_cass_committer_start(struct tm_cassandra_server *s, struct tm_err *err)
{
	pthread_mutex_init(&s->committer.lock, NULL);
	pthread_cond_init(&s->committer.changed, NULL);
	for (size_t i = 0; i < 2; i++)
		s->groups[i].batch = tm_table_batch_new(s->store);
	TM_TRY(tm_thread_start(&s->committer.thread, "cql-commit", committer_run, s, err));
	s->committer.running = true;
	return TM_OK;
}

void tm_cass_committer_stop(struct tm_cassandra_server *s)
{
	struct tm_cass_committer *c = &s->committer;
	if (c->running) {
		tm_cass_commit_settle(s);
		pthread_mutex_lock(&c->lock);
		c->quit = true;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
		c->running = false;
	}
	for (size_t i = 0; i < 2; i++) {
		if (s->groups[i].batch)
			tm_table_batch_free(s->groups[i].batch);
		free(s->groups[i].held.items);
		tm_buf_done(&s->groups[i].answers);
		s->groups[i] = (struct tm_cass_group){0};
	}
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
}

/* The group's answers, or its error in their place. Each connection is flushed once, at the end. */
static void group_answer(struct tm_cass_group *g, tm_rc rc, const struct tm_err *err)
{
	for (size_t i = 0; i < g->held.count; i++) {
		struct tm_cass_held *h = &g->held.items[i];
		if (h->conn->closed)
			continue;
		if (rc == TM_OK)
			tm_cass_writer_put(&h->conn->writer, h->flags, h->stream, TM_CASS_RESULT, tm_str_n(g->answers.at + h->at, h->len));
		else
			tm_cass_error_answer(h->conn, h->stream, err, NULL, NULL);
	}
	tm_metric_add(&committed, (int64_t)g->held.count);
	for (size_t i = 0; i < g->held.count; i++) {
		tm_cass_conn_flush(g->held.items[i].conn);
		tm_cass_conn_unref(g->held.items[i].conn);
	}
	g->held.count = 0;
	g->answers.len = 0;
}

void tm_cass_commit_hold(struct tm_cass_conn *conn, uint8_t flags, int16_t stream, struct tm_str body)
{
	struct tm_cassandra_server *s = conn->server;
	struct tm_cass_group *g = &s->groups[s->collecting];
	TM_PUSH(&g->held, (struct tm_cass_held){.conn = conn, .stream = stream, .flags = flags, .at = g->answers.len, .len = body.len});
	conn->refs++;
	tm_buf_str_put(&g->answers, body);
}

struct tm_table_batch *tm_cass_commit_batch(struct tm_cassandra_server *s)
{
	if (tm_table_batch_bytes(s->groups[s->collecting].batch) > GROUP_LIMIT_BYTES)
		tm_cass_commit_settle(s);
	return s->groups[s->collecting].batch;
}

void tm_cass_commit_kick(struct tm_cassandra_server *s)
{
	struct tm_cass_group *g = &s->groups[s->collecting];
	if (s->committing || g->held.count == 0)
		return;
	s->committing = true;
	s->collecting ^= 1;
	tm_metric_add(&commits, 1);
	pthread_mutex_lock(&s->committer.lock);
	s->committer.job = g;
	s->committer.done = false;
	pthread_cond_broadcast(&s->committer.changed);
	pthread_mutex_unlock(&s->committer.lock);
}

void tm_cass_commit_finished(struct tm_cassandra_server *s)
{
	struct tm_cass_committer *c = &s->committer;
	pthread_mutex_lock(&c->lock);
	struct tm_cass_group *g = c->job && c->done ? c->job : NULL;
	if (g)
		c->job = NULL;
	pthread_mutex_unlock(&c->lock);
	if (!g)
		return;
	s->committing = false;
	if (g->rc != TM_OK)
		tm_say_err("cassandra", &g->err);
	/* The disk works on the next group while this one's answers are written. */
	tm_cass_commit_kick(s);
	group_answer(g, g->rc, &g->err);
}

void tm_cass_commit_settle(struct tm_cassandra_server *s)
{
	struct tm_cass_committer *c = &s->committer;
	tm_cass_commit_kick(s);
	while (s->committing) {
		pthread_mutex_lock(&c->lock);
		while (!c->done)
			pthread_cond_wait(&c->changed, &c->lock);
		pthread_mutex_unlock(&c->lock);
		tm_cass_commit_finished(s);
		tm_cass_commit_kick(s);
	}
}

void tm_cass_commit_taken(struct tm_cassandra_server *s, tm_rc rc, const struct tm_err *err)
{
	group_answer(&s->groups[s->collecting], rc, err);
}
