/* The session: callers hand in calls and wait; the loop's thread sends them, reads answers, decides what is tried again.
 * Lock order: the session's lock alone. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "cassandra/session_int.h"

enum {
	TICK_MS = 50,
	IDLE_MS = 1000,
	QUIET_NS = 1000000000,
	PROBLEM_S = 20,
	LOOK_AHEAD = 512,
	TIMEOUT_MS = 12000,
	IMPATIENT_MS = 10000,
	OPEN_S = 30
};

int64_t tm_cass_now_ns(void) { return tm_mono_ns(tm_env_real()); }

uint32_t tm_cass_random(void)
{
	uint32_t v;
	tm_random(tm_env_real(), &v, sizeof v);
	return v;
}

void tm_cass_calls_put(struct tm_cass_calls *list, struct tm_cass_call *call)
{
	call->next = NULL;
	if (list->tail)
		list->tail->next = call;
	else
		list->head = call;
	list->tail = call;
	list->count++;
}

static struct tm_cass_call *take(struct tm_cass_calls *list)
{
	struct tm_cass_call *call = list->head;
	if (!call)
		return NULL;
	list->head = call->next;
	if (!list->head)
		list->tail = NULL;
	list->count--;
	return call;
}

/* ---- the end of a call ---- */

static void finish(struct tm_cass_session *s, struct tm_cass_call *call)
{
	if (call->done) {
		call->done(call);
		return;
	}
	struct tm_cass_group *g = call->group;
	pthread_mutex_lock(&s->lock);
	g->left--;
	g->done++;
	if (!g->left)
		pthread_cond_signal(&g->changed);
	pthread_mutex_unlock(&s->lock);
}

void tm_cass_call_end(struct tm_cass_session *s, struct tm_cass_call *call, tm_rc rc, int code, const char *what)
{
	call->rc = rc;
	call->code = code;
	if (call->err) {
		tm_fail(call->err, rc, "%s", what);
		call->err->code = code;
	}
	finish(s, call);
}

static void again(struct tm_cass_session *s, struct tm_cass_call *call, enum tm_cass_retry how)
{
	if (how == TM_CASS_AGAIN) {
		tm_cass_calls_put(&s->pending, call);
		return;
	}
	call->due_ns = tm_cass_now_ns() + tm_cass_retry_pause_ns(call->attempts, tm_cass_random());
	tm_cass_calls_put(&s->delayed, call);
}

void tm_cass_call_lost(struct tm_cass_session *s, struct tm_cass_call *call, const char *why)
{
	enum tm_cass_retry how = TM_CASS_FAIL;
	if (!call->done && !s->stopping)
		how = tm_cass_retry_lost(call->idempotent, call->patient, call->attempts);
	if (how == TM_CASS_FAIL)
		tm_cass_call_end(s, call, s->stopping ? TM_CANCELLED : TM_UNAVAILABLE, 0, why);
	else
		again(s, call, how);
}

/* ---- statements that a node does not know ---- */

struct preparing {
	struct tm_cass_call call;
	struct tm_cass_statement *statement;
};

static void keep_ids(struct tm_cass_statement *st, const struct tm_cass_response *r)
{
	free((void *)st->id.at);
	free((void *)st->result_metadata_id.at);
	st->id = tm_str_dup(r->prepared_id);
	st->result_metadata_id = tm_str_dup(r->result_metadata_id);
}

static void prepared(struct tm_cass_call *call)
{
	struct preparing *p = (struct preparing *)call;
	struct tm_cass_statement *st = p->statement;
	st->preparing = false;
	if (!call->rc) {
		keep_ids(st, &call->response);
	} else if (call->code) { /* the server's word; a lost connection is no reason */
		tm_fail(&st->err, call->rc, "%.*s", TM_STR_ARG(call->response.error.message));
		st->err.code = call->code;
		__atomic_store_n(&st->broken, true, __ATOMIC_RELEASE);
	}
	free(p);
}

static void prepare_there(struct tm_cass_link *l, struct tm_cass_statement *st)
{
	if (st->preparing || l->state != TM_CASS_LINK_READY)
		return;
	struct preparing *p = tm_zalloc(sizeof *p);
	p->statement = st;
	p->call = (struct tm_cass_call){
	    .request = {.opcode = TM_CASS_PREPARE, .text = st->text}, .done = prepared, .link = l, .arena = &l->session->scratch};
	if (!tm_cass_link_send(l, &p->call)) {
		free(p);
		return;
	}
	st->preparing = true;
	tm_cass_link_flush(l);
}

void tm_cass_call_answered(struct tm_cass_session *s, struct tm_cass_link *l, struct tm_cass_call *call, const struct tm_cass_envelope *e)
{
	struct tm_err err = {0};
	struct tm_cass_envelope copy = *e;
	bool keep = call->arena && call->arena != &s->scratch;
	tm_arena_reset(&s->scratch);
	if (e->opcode == TM_CASS_RESULT && !call->arena) { /* that it worked is all that is asked */
		call->rc = TM_OK;
		finish(s, call);
		return;
	}
	if (keep && e->opcode != TM_CASS_ERROR)
		copy.body = tm_arena_str(call->arena, e->body);
	struct tm_arena *arena = keep && e->opcode != TM_CASS_ERROR ? call->arena : &s->scratch;
	tm_rc rc = tm_cass_response_read(&copy, NULL, arena, &call->response, &err);
	if (rc) {
		tm_cass_call_end(s, call, rc, 0, err.what);
		return;
	}
	if (call->response.opcode != TM_CASS_ERROR) {
		call->rc = TM_OK;
		finish(s, call);
		return;
	}
	const struct tm_cass_error *error = &call->response.error;
	enum tm_cass_retry how = call->done ? TM_CASS_FAIL : tm_cass_retry_error(error, call->idempotent, call->patient, call->attempts);
	if (how == TM_CASS_TELL && call->statement)
		prepare_there(l, call->statement);
	if (how == TM_CASS_FAIL || (how == TM_CASS_TELL && !call->statement)) {
		char what[600];
		snprintf(what, sizeof what, "%.*s", (int)(error->message.len < 590 ? error->message.len : 590), error->message.at);
		tm_cass_call_end(s, call, tm_cass_error_rc(error->code), error->code, what);
		return;
	}
	if (how != TM_CASS_TELL) {
		char what[100];
		snprintf(what, sizeof what, "it answers: %.*s", (int)(error->message.len < 86 ? error->message.len : 86),
			 error->message.at);
		tm_cass_problem(s, l->node, what);
	}
	again(s, call, how);
}

/* ---- the queue ---- */

static size_t guess_bytes(const struct tm_cass_call *call)
{
	if (call->bytes)
		return call->bytes;
	size_t n = call->request.text.len + 64;
	for (size_t i = 0; i < call->request.item_count; i++)
		for (size_t k = 0; k < call->request.items[i].value_count; k++)
			n += 4 + call->request.items[i].values[k].bytes.len;
	return n;
}

static void flush_all(struct tm_cass_session *s)
{
	for (size_t i = 0; i < s->nodes.count; i++)
		if (s->nodes.items[i]->link)
			tm_cass_link_flush(s->nodes.items[i]->link);
}

void tm_cass_pump(struct tm_cass_session *s)
{
	if (s->in_pump)
		return; /* what a call's end put there is taken by the pump that runs */
	s->in_pump = true;
	struct tm_cass_calls kept = {0}; /* they wait for their replicas; those behind them may go to others */
	while (s->pending.head && kept.count < LOOK_AHEAD) {
		struct tm_cass_call *call = s->pending.head;
		if (call->statement && __atomic_load_n(&call->statement->broken, __ATOMIC_ACQUIRE)) {
			take(&s->pending);
			tm_cass_call_end(s, call, call->statement->err.rc, call->statement->err.code, call->statement->err.what);
			continue;
		}
		bool later;
		struct tm_cass_link *l = tm_cass_nodes_choose(s, call, guess_bytes(call), &later);
		if (!l && !later)
			break;
		take(&s->pending);
		if (l)
			tm_cass_link_send(l, call);
		else
			tm_cass_calls_put(&kept, call);
	}
	if (kept.head) {
		kept.tail->next = s->pending.head;
		s->pending.tail = s->pending.tail ? s->pending.tail : kept.tail;
		s->pending.head = kept.head;
		s->pending.count += kept.count;
	}
	s->in_pump = false;
	flush_all(s);
}

/* Those whose time has come; calls that waited too long for a node. */
static void queue_tick(struct tm_cass_session *s, int64_t now)
{
	struct tm_cass_calls delayed = s->delayed, pending;
	struct tm_cass_call *call;
	s->delayed = (struct tm_cass_calls){0};
	while ((call = take(&delayed)))
		tm_cass_calls_put(now >= call->due_ns ? &s->pending : &s->delayed, call);
	pending = s->pending;
	s->pending = (struct tm_cass_calls){0};
	while ((call = take(&pending))) {
		if (call->patient || now < call->deadline_ns) {
			tm_cass_calls_put(&s->pending, call);
			continue;
		}
		char why[240];
		pthread_mutex_lock(&s->lock);
		snprintf(why, sizeof why, "%s", s->shared.problem[0] ? s->shared.problem : "no node of Cassandra takes requests");
		pthread_mutex_unlock(&s->lock);
		tm_cass_call_end(s, call, TM_UNAVAILABLE, 0, why);
	}
}

static void cancel_list(struct tm_cass_session *s, struct tm_cass_calls *list, const struct tm_cass_group *g)
{
	struct tm_cass_calls old = *list;
	struct tm_cass_call *call;
	*list = (struct tm_cass_calls){0};
	while ((call = take(&old)))
		if (call->group == g)
			tm_cass_call_end(s, call, TM_CANCELLED, 0, "cancelled");
		else
			tm_cass_calls_put(list, call);
}

static void cancel(struct tm_cass_session *s, const struct tm_cass_group *g)
{
	cancel_list(s, &s->pending, g);
	cancel_list(s, &s->delayed, g);
	for (size_t i = 0; i < s->nodes.count; i++) {
		struct tm_cass_link *l = s->nodes.items[i]->link;
		for (size_t k = 0; l && k < TM_CASS_STREAMS; k++) {
			struct tm_cass_call *call = l->slots[k].call;
			if (!call || call->group != g)
				continue;
			l->slots[k].call = NULL;
			l->in_flight--;
			l->in_flight_bytes -= call->bytes;
			l->given_up++;
			tm_cass_call_end(s, call, TM_CANCELLED, 0, "cancelled");
		}
	}
}

/* ---- the loop ---- */

void tm_cass_problem(struct tm_cass_session *s, const struct tm_cass_node *node, const char *what)
{
	int64_t now = tm_cass_now_ns();
	pthread_mutex_lock(&s->lock);
	if (!s->shared.problem[0] || now - s->problem_ns > PROBLEM_S * INT64_C(1000000000)) {
		snprintf(s->shared.problem, sizeof s->shared.problem, "Cassandra at %.120s:%d: %.100s", node->host, node->port, what);
		s->problem_ns = now;
	}
	pthread_mutex_unlock(&s->lock);
}

void tm_cass_shared_update(struct tm_cass_session *s)
{
	size_t nodes = 0, up = 0, in_flight = 0;
	for (size_t i = 0; i < s->nodes.count; i++) {
		const struct tm_cass_node *n = s->nodes.items[i];
		nodes += n->local;
		up += n->local && n->link && n->link->state == TM_CASS_LINK_READY;
		in_flight += n->link ? n->link->in_flight : 0;
	}
	pthread_mutex_lock(&s->lock);
	s->shared.nodes = nodes;
	s->shared.alive = up;
	s->shared.up = up > 0;
	s->shared.waiting = (int64_t)(s->pending.count + s->delayed.count + in_flight);
	if (up && !s->delayed.count)
		s->shared.problem[0] = 0;
	pthread_mutex_unlock(&s->lock);
}

void tm_cass_open_end(struct tm_cass_session *s, const struct tm_err *err)
{
	pthread_mutex_lock(&s->lock);
	if (s->opening == TM_CASS_OPENING) {
		s->opening = err ? TM_CASS_REFUSED : TM_CASS_OPEN;
		if (err)
			s->open_err = *err;
		pthread_cond_broadcast(&s->opened);
	}
	pthread_mutex_unlock(&s->lock);
}

static bool busy(const struct tm_cass_session *s)
{
	bool all = s->control && s->control->state == TM_CASS_LINK_READY && !s->refresh_ns && !s->pending.count && !s->delayed.count;
	for (size_t i = 0; i < s->nodes.count && all; i++) {
		const struct tm_cass_node *n = s->nodes.items[i];
		all = !n->local || (n->link && n->link->state == TM_CASS_LINK_READY && !n->link->in_flight);
	}
	return !all;
}

static void on_timer(uv_timer_t *timer)
{
	struct tm_cass_session *s = timer->data;
	int64_t now = tm_cass_now_ns();
	tm_cass_nodes_tick(s, now);
	queue_tick(s, now);
	tm_cass_pump(s);
	tm_cass_shared_update(s);
	uv_timer_start(&s->timer, on_timer, busy(s) ? TICK_MS : IDLE_MS, 0);
}

static void stop(struct tm_cass_session *s)
{
	s->stopping = true;
	for (size_t i = 0; i < s->nodes.count; i++)
		if (s->nodes.items[i]->link)
			tm_cass_link_close(s->nodes.items[i]->link, "the session ends");
	if (s->control)
		tm_cass_link_close(s->control, "the session ends");
	struct tm_cass_call *call;
	while ((call = take(&s->pending)) || (call = take(&s->delayed)))
		tm_cass_call_end(s, call, TM_CANCELLED, 0, "the session ends");
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->async, NULL);
}

static void on_async(uv_async_t *async)
{
	struct tm_cass_session *s = async->data;
	if (s->stopping)
		return;
	pthread_mutex_lock(&s->lock);
	struct tm_cass_calls inbox = s->inbox;
	struct tm_cass_group *cancels = s->cancels;
	bool asked = s->stop_asked;
	s->inbox = (struct tm_cass_calls){0};
	s->cancels = NULL;
	pthread_mutex_unlock(&s->lock);
	struct tm_cass_call *call;
	while ((call = take(&inbox)))
		tm_cass_calls_put(&s->pending, call);
	while (cancels) {
		struct tm_cass_group *g = cancels;
		cancels = g->next; /* before the last of its calls ends, when it goes */
		cancel(s, g);
	}
	if (asked) {
		stop(s);
		return;
	}
	tm_cass_pump(s);
	tm_cass_shared_update(s);
	if (busy(s) && uv_timer_get_due_in(&s->timer) > TICK_MS)
		uv_timer_start(&s->timer, on_timer, TICK_MS, 0);
}

static void *run(void *arg)
{
	struct tm_cass_session *s = arg;
	uv_run(&s->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* ---- for callers ---- */

static void until_in(struct timespec *ret, int64_t ms)
{
	clock_gettime(CLOCK_REALTIME, ret);
	ret->tv_sec += ms / 1000;
	ret->tv_nsec += ms % 1000 * 1000000;
	if (ret->tv_nsec >= 1000000000) {
		ret->tv_sec++;
		ret->tv_nsec -= 1000000000;
	}
}

void tm_cass_run(struct tm_cass_session *s, struct tm_cass_call *calls, size_t count, const struct tm_cass_waiter *w)
{
	struct tm_cass_group g = {.session = s, .left = count};
	if (!count)
		return;
	pthread_cond_init(&g.changed, NULL);
	int64_t now = tm_cass_now_ns(), moved_ns = now;
	for (size_t i = 0; i < count; i++) {
		calls[i].group = &g;
		calls[i].attempts = 0;
		calls[i].bytes = 0;
		calls[i].deadline_ns = now + (calls[i].timeout_ms ? calls[i].timeout_ms : IMPATIENT_MS) * INT64_C(1000000);
	}
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < count; i++)
		tm_cass_calls_put(&s->inbox, &calls[i]);
	uv_async_send(&s->async);
	size_t seen = 0;
	while (g.left) {
		struct timespec until;
		until_in(&until, 100);
		pthread_cond_timedwait(&g.changed, &s->lock, &until);
		if (!g.left || !w)
			continue;
		now = tm_cass_now_ns();
		moved_ns = seen == g.done ? moved_ns : now;
		seen = g.done;
		char why[240] = "";
		if (now - moved_ns > QUIET_NS)
			snprintf(why, sizeof why, "%s", s->shared.problem[0] ? s->shared.problem : "Cassandra does not answer");
		pthread_mutex_unlock(&s->lock);
		if (why[0] && w->waits)
			w->waits(w->ctx, why);
		bool stopping = !g.cancelled && w->stopping && w->stopping(w->ctx);
		pthread_mutex_lock(&s->lock);
		if (stopping && g.left) {
			g.cancelled = true;
			g.next = s->cancels;
			s->cancels = &g;
			uv_async_send(&s->async);
		}
	}
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&g.changed);
}

tm_rc tm_cass_query(struct tm_cass_session *s, struct tm_str text, const struct tm_cql_query_options *options, int timeout_ms,
		    struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_err own = {0};
	struct tm_cass_call call = {
	    .request = {.opcode = TM_CASS_QUERY, .text = text}, .arena = arena, .timeout_ms = timeout_ms, .err = err ? err : &own};
	if (options)
		call.request.options = *options;
	else
		tm_cass_options_init(&call.request.options);
	tm_cass_run(s, &call, 1, NULL);
	if (!call.rc)
		*ret = call.response.result;
	return call.rc;
}

tm_rc tm_cass_prepare(struct tm_cass_session *s, struct tm_str text, const struct tm_cass_waiter *waiter, struct tm_cass_statement **ret,
		      struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_err own = {0};
	tm_arena_init(&arena);
	struct tm_cass_call call = {.request = {.opcode = TM_CASS_PREPARE, .text = text},
				    .arena = &arena,
				    .idempotent = true,
				    .patient = waiter,
				    .err = err ? err : &own};
	tm_cass_run(s, &call, 1, waiter);
	if (!call.rc) {
		struct tm_cass_statement *st = tm_zalloc(sizeof *st);
		st->text = tm_str_dup(text);
		keep_ids(st, &call.response);
		*ret = st;
	}
	tm_arena_done(&arena);
	return call.rc;
}

bool tm_cass_statement_broken(const struct tm_cass_statement *st) { return __atomic_load_n(&st->broken, __ATOMIC_ACQUIRE); }

void tm_cass_statement_free(struct tm_cass_statement *st)
{
	if (!st)
		return;
	free((void *)st->text.at);
	free((void *)st->id.at);
	free((void *)st->result_metadata_id.at);
	free(st);
}

void tm_cass_session_state(struct tm_cass_session *s, struct tm_cass_session_state *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->shared;
	pthread_mutex_unlock(&s->lock);
}

uint64_t tm_cass_session_schema(struct tm_cass_session *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t v = s->schema;
	pthread_mutex_unlock(&s->lock);
	return v;
}

void tm_cass_session_schema_changed(struct tm_cass_session *s)
{
	pthread_mutex_lock(&s->lock);
	s->schema++;
	pthread_mutex_unlock(&s->lock);
}

tm_rc tm_cass_session_open(const struct tm_cass_session_options *o, struct tm_cass_session **ret, struct tm_err *err)
{
	struct tm_cass_session *s = tm_zalloc(sizeof *s);
	tm_arena_init(&s->arena);
	tm_arena_init(&s->scratch);
	tm_arena_init(&s->look_arena);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->opened, NULL);
	s->version = o->version ? o->version : 5;
	s->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	s->lz4 = o->lz4;
	s->tls = o->tls;
	s->user = o->user ? tm_arena_cstr(&s->arena, tm_str_of(o->user)) : NULL;
	s->password = o->password ? tm_arena_cstr(&s->arena, tm_str_of(o->password)) : NULL;
	s->has_local_dc = o->local_dc && *o->local_dc;
	if (s->has_local_dc)
		snprintf(s->shared.data_center, sizeof s->shared.data_center, "%s", o->local_dc);
	for (size_t i = 0; i < o->host_count; i++)
		tm_cass_nodes_contact(s, tm_arena_cstr(&s->arena, o->hosts[i].host), o->hosts[i].port ? o->hosts[i].port : 9042);
	uv_loop_init(&s->loop);
	uv_async_init(&s->loop, &s->async, on_async);
	uv_timer_init(&s->loop, &s->timer);
	s->async.data = s->timer.data = s;
	uv_timer_start(&s->timer, on_timer, 0, 0);
	tm_rc rc = tm_thread_start(&s->thread, "cassandra", run, s, err);
	TM_ASSERT(rc == TM_OK); /* without threads nothing of us runs */
	struct timespec until;
	until_in(&until, OPEN_S * 1000);
	pthread_mutex_lock(&s->lock);
	while (s->opening == TM_CASS_OPENING && pthread_cond_timedwait(&s->opened, &s->lock, &until) == 0)
		;
	if (s->opening == TM_CASS_REFUSED) {
		rc = s->open_err.rc;
		if (err)
			*err = s->open_err;
	} else if (s->opening == TM_CASS_OPENING) {
		rc = tm_fail(err, TM_UNAVAILABLE, "Cassandra at %s did not become ready within %d s", s->nodes.items[0]->host, OPEN_S);
	}
	pthread_mutex_unlock(&s->lock);
	if (rc) {
		tm_cass_session_close(s);
		return rc;
	}
	*ret = s;
	return TM_OK;
}

void tm_cass_session_close(struct tm_cass_session *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop_asked = true;
	uv_async_send(&s->async);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	uv_loop_close(&s->loop);
	tm_cass_nodes_done(s);
	tm_arena_done(&s->arena);
	tm_arena_done(&s->scratch);
	tm_arena_done(&s->look_arena);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->opened);
	free(s);
}
