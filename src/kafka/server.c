/* The server: thread, listener, connections, frames, the order of requests and answers. See kafka_int.h for the states. */
#include "kafka/kafka_int.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	CHUNK_FIRST_BYTES = 32 * 1024,
	CHUNK_SLACK_BYTES = 64 * 1024, /* behind a large frame, for what follows it */
	SPARE_REQUESTS = 256,
	UNANSWERED_MAX = 1000, /* a connection that has more is not read from */
	LISTEN_BACKLOG = 511,
};
#define SPARE_CHUNK_BYTES (32 * TM_MIB)
#define QUEUED_BYTES_MAX (64 * TM_MIB)
#define SPARE_ANSWER_BYTES (24 * TM_MIB)

static struct tm_metric connections_gauge = TM_GAUGE("tidemill_kafka_connections", "Open Kafka connections.");
static struct tm_metric requests_total = TM_COUNTER("tidemill_kafka_requests_total", "Kafka requests.");
static struct tm_metric bytes_in_total = TM_COUNTER("tidemill_kafka_bytes_in_total", "Bytes read from Kafka clients.");
static struct tm_metric bytes_out_total = TM_COUNTER("tidemill_kafka_bytes_out_total", "Bytes written to Kafka clients.");
static struct tm_metric refused_total =
    TM_COUNTER("tidemill_kafka_connections_refused_total", "Kafka connections closed for what they sent.");

/* Another thread may look at a connection's counters at any time. */
static void count(int64_t *counter, int64_t n) { __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); }

static void requests_start(struct kafka_conn *c);
static void conn_read(struct kafka_conn *c);
static void answers_flush(struct kafka_conn *c);

int64_t kafka_now_ms(const struct tm_kafka_server *s) { return tm_mono_ns(s->env) / 1000000; }

/* ---- memory that is used again ---- */

static struct kafka_chunk *chunk_new(struct tm_kafka_server *s, size_t cap)
{
	for (struct kafka_chunk **at = &s->spare_chunks; *at; at = &(*at)->next) {
		struct kafka_chunk *c = *at;
		if (c->cap < cap || c->cap / 4 > cap)
			continue;
		*at = c->next;
		s->spare_chunk_bytes -= c->cap;
		c->refs = 1;
		c->len = 0;
		return c;
	}
	struct kafka_chunk *c = malloc(sizeof *c + cap);
	if (!c)
		return NULL;
	*c = (struct kafka_chunk){.refs = 1, .cap = cap};
	return c;
}

static void chunk_unref(struct tm_kafka_server *s, struct kafka_chunk *c)
{
	if (!c || --c->refs)
		return;
	if (s->stopping || s->spare_chunk_bytes + c->cap > SPARE_CHUNK_BYTES) {
		free(c);
		return;
	}
	c->next = s->spare_chunks;
	s->spare_chunks = c;
	s->spare_chunk_bytes += c->cap;
}

static struct kafka_request *request_new(struct tm_kafka_server *s)
{
	struct kafka_request *r = s->spare_requests;
	if (r) {
		s->spare_requests = r->next;
		s->spare_request_count--;
		struct tm_arena arena = r->arena;
		struct tm_buf answer = r->answer, records = r->records;
		s->spare_answer_bytes -= answer.cap + records.cap;
		*r = (struct kafka_request){.arena = arena, .answer = answer, .records = records};
		return r;
	}
	r = tm_zalloc(sizeof *r);
	tm_arena_init(&r->arena);
	return r;
}

static void request_destroy(struct kafka_request *r)
{
	tm_arena_done(&r->arena);
	tm_buf_done(&r->answer);
	tm_buf_done(&r->records);
	free(r);
}

static void request_free(struct tm_kafka_server *s, struct kafka_request *r)
{
	chunk_unref(s, r->chunk);
	if (s->stopping || s->spare_request_count == SPARE_REQUESTS) {
		request_destroy(r);
		return;
	}
	tm_arena_reset(&r->arena);
	if (s->spare_answer_bytes + r->answer.cap + r->records.cap > SPARE_ANSWER_BYTES) {
		tm_buf_done(&r->answer);
		tm_buf_done(&r->records);
	}
	s->spare_answer_bytes += r->answer.cap + r->records.cap;
	r->answer.len = r->records.len = 0;
	r->next = s->spare_requests;
	s->spare_requests = r;
	s->spare_request_count++;
}

/* ---- connections ---- */

static void conn_free_if_idle(struct kafka_conn *c)
{
	if (!c->closed || c->head)
		return;
	struct tm_kafka_server *s = c->server;
	pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->conn_count--;
	pthread_mutex_unlock(&s->lock);
	tm_metric_set(&connections_gauge, (int64_t)s->conn_count);
	chunk_unref(s, c->chunk);
	free(c);
}

static void conn_closed(uv_handle_t *h)
{
	struct kafka_conn *c = h->data;
	c->closed = true;
	/* What is not running will never run; what runs is freed when it is resumed. */
	for (struct kafka_request **at = &c->head; *at;) {
		struct kafka_request *r = *at;
		if (r->stage == KAFKA_RUNNING && r->abandoned) {
			r->abandoned(r);
			r->stage = KAFKA_READY;
		}
		if (r->stage == KAFKA_RUNNING || r->stage == KAFKA_WRITING) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		request_free(c->server, r);
	}
	conn_free_if_idle(c);
}

static void held_count(struct kafka_conn *c, size_t bytes)
{
	c->server->held_bytes += bytes - c->held_bytes;
	c->held_bytes = bytes;
}

static void conn_close(struct kafka_conn *c)
{
	if (c->closing)
		return;
	held_count(c, 0);
	c->closing = true;
	uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void conn_refuse(struct kafka_conn *c, const char *why)
{
	if (c->closing)
		return;
	tm_say(TM_SAY_WARN, "kafka", "connection %s closed: %s", c->info.peer, why);
	tm_metric_add(&refused_total, 1);
	conn_close(c);
}

void kafka_refuse(struct kafka_request *r, const char *why)
{
	if (!r->conn->closing)
		tm_say(TM_SAY_WARN, "kafka", "connection %s closed: %s%s%s", r->conn->info.peer, r->api ? r->api->name : "",
		       r->api ? ": " : "", why);
	tm_metric_add(&refused_total, 1);
	r->poison = true;
	r->stage = KAFKA_READY;
	answers_flush(r->conn);
}

/* ---- answers ---- */

static void request_take(struct kafka_conn *c, struct kafka_request *r)
{
	struct kafka_request **at = &c->head;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (c->tail == r) {
		c->tail = c->head;
		while (c->tail && c->tail->next)
			c->tail = c->tail->next;
	}
	c->queued_bytes -= r->frame.len;
}

static void written(uv_write_t *w, int status)
{
	struct kafka_request *r = w->data;
	struct kafka_conn *c = r->conn;
	request_take(c, r);
	request_free(c->server, r);
	if (status < 0)
		conn_close(c);
	if (c->closing)
		conn_free_if_idle(c);
	else
		requests_start(c);
}

/* The answer's bytes and the records between them, as one vectored write. */
static void answer_write(struct kafka_conn *c, struct kafka_request *r)
{
	size_t n = 0, at = 0;
	uv_buf_t few[8], *bufs = few;
	if (r->splices.count * 2 + 1 > sizeof few / sizeof *few)
		bufs = TM_NEW_N(&r->arena, uv_buf_t, r->splices.count * 2 + 1);
	for (size_t i = 0; i < r->splices.count; i++) {
		const struct tm_kafka_splice *p = &r->splices.items[i];
		bufs[n++] = uv_buf_init(r->answer.at + at, (unsigned)(p->at - at));
		bufs[n++] = uv_buf_init((char *)(uintptr_t)p->bytes.at, (unsigned)p->bytes.len);
		at = p->at;
	}
	if (at < r->answer.len)
		bufs[n++] = uv_buf_init(r->answer.at + at, (unsigned)(r->answer.len - at));
	size_t total = r->answer.len + r->splices.bytes;
	count(&c->info.bytes_out, (int64_t)total);
	tm_metric_add(&bytes_out_total, (int64_t)total);
	r->stage = KAFKA_WRITING;
	r->write.data = r;
	if (uv_write(&r->write, (uv_stream_t *)&c->tcp, bufs, (unsigned)n, written) != 0) {
		r->stage = KAFKA_READY;
		conn_close(c);
	}
}

static bool is_produce(const struct kafka_request *r)
{
	return r->frame.len >= 2 && r->frame.at[0] == 0 && r->frame.at[1] == TM_KAFKA_PRODUCE;
}

static void answers_flush(struct kafka_conn *c)
{
	while (!c->closing) {
		struct kafka_request *r = c->head;
		while (r && r->stage == KAFKA_WRITING)
			r = r->next;
		if (!r || r->stage != KAFKA_READY)
			return;
		c->unanswered--;
		c->active--;
		c->active_other -= !is_produce(r);
		if (r->poison) {
			conn_close(c);
			return;
		}
		if (r->silent) {
			request_take(c, r);
			request_free(c->server, r);
			continue;
		}
		answer_write(c, r);
	}
}

void kafka_reply(struct kafka_request *r)
{
	struct kafka_conn *c = r->conn;
	TM_ASSERT(r->stage == KAFKA_RUNNING);
	r->stage = KAFKA_READY;
	if (c->closed) {
		request_take(c, r);
		request_free(c->server, r);
		conn_free_if_idle(c);
		return;
	}
	if (c->closing)
		return;
	if (!r->silent) {
		tm_buf_be32(&r->answer, 0);
		tm_buf_be32(&r->answer, (uint32_t)r->header.correlation_id);
		if (r->flexible && r->api->key != TM_KAFKA_API_VERSIONS)
			tm_buf_u8(&r->answer, 0);
		tm_kafka_encode(r->api->response, r->version, r->flexible, r->out, &r->answer, &r->splices, &r->arena);
		uint32_t size = __builtin_bswap32((uint32_t)(r->answer.len + r->splices.bytes - 4));
		memcpy(r->answer.at, &size, 4);
	}
	answers_flush(c);
	if (!c->closing)
		requests_start(c);
}

void kafka_task_post(struct tm_kafka_server *s, struct kafka_task *task)
{
	task->next = NULL;
	pthread_mutex_lock(&s->lock);
	bool first = !s->tasks;
	if (first)
		s->tasks = task;
	else
		*s->tasks_end = task;
	s->tasks_end = &task->next;
	pthread_mutex_unlock(&s->lock);
	if (first)
		uv_async_send(&s->wake);
}

static void request_resume(struct kafka_task *task)
{
	struct kafka_request *r = (struct kafka_request *)((char *)task - offsetof(struct kafka_request, task));
	r->resume(r);
}

void kafka_resume(struct kafka_request *r)
{
	r->task.run = request_resume;
	kafka_task_post(r->conn->server, &r->task);
}

/* ---- requests ---- */

/* Finds out what a request is; false when it can not be answered. */
static bool request_parse(struct kafka_request *r)
{
	struct tm_cursor in = tm_cursor_of(r->frame);
	bool whole = tm_kafka_header_decode(&in, &r->header);
	r->version = r->header.api_version;
	r->api = tm_kafka_api_find(r->header.api_key);
	r->handler = r->api ? kafka_handler_find(r->header.api_key) : NULL;
	if (!r->handler) {
		kafka_refuse(r, "an API key that is not served");
		return false;
	}
	r->arena.limit_bytes = TM_LIMIT_KAFKA_DECODED_BYTES;
	/* Clients ask for ApiVersions before they know anything: an unknown version gets an answer that every client can read. */
	bool too_new = r->version < r->handler->min || r->version > r->handler->max;
	if (!whole || (too_new && r->api->key != TM_KAFKA_API_VERSIONS)) {
		kafka_refuse(r, whole ? "a version that is not served" : "a broken header");
		return false;
	}
	r->flexible = !too_new && r->version >= r->api->flexible;
	if (too_new) {
		r->in = NULL;
		r->version = 0;
	} else {
		r->in = tm_arena_try(&r->arena, r->api->request->size);
		if (!r->in || !tm_kafka_decode(r->api->request, r->version, r->flexible, &in, &r->arena, r->in)) {
			kafka_refuse(r, "a malformed request");
			return false;
		}
	}
	r->arena.limit_bytes = SIZE_MAX;
	r->out = tm_kafka_new(r->api->response, &r->arena, 1);
	return true;
}

void kafka_conn_name(struct kafka_conn *c, char *out, size_t size, struct tm_str text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;
	pthread_mutex_lock(&c->server->lock);
	for (size_t i = 0; i < n; i++)
		out[i] = text.at[i] >= ' ' && text.at[i] < 0x7F ? text.at[i] : '?';
	out[n] = 0;
	pthread_mutex_unlock(&c->server->lock);
}

static void request_run(struct kafka_request *r)
{
	struct kafka_conn *c = r->conn;
	r->stage = KAFKA_RUNNING;
	c->active++;
	c->active_other += !is_produce(r);
	count(&c->info.requests, 1);
	tm_metric_add(&requests_total, 1);
	if (!request_parse(r))
		return;
	if (r->header.client_id.len && !c->info.client_id[0])
		kafka_conn_name(c, c->info.client_id, sizeof c->info.client_id, r->header.client_id);
	r->handler->handle(r);
}

static void requests_start(struct kafka_conn *c)
{
	if (c->touched)
		return; /* a handler answered at once: the loop below goes on */
	c->touched = true;
	while (!c->closing && c->queued && (!c->active || (is_produce(c->queued) && !c->active_other))) {
		struct kafka_request *r = c->queued;
		c->queued = r->next;
		request_run(r);
	}
	c->touched = false;
	if (!c->closing && c->paused && c->unanswered < UNANSWERED_MAX / 2 && c->queued_bytes < QUEUED_BYTES_MAX / 2) {
		c->paused = false;
		conn_read(c);
	}
}

/* ---- frames ---- */

/* Room behind what was read for `need` bytes of the frame that begins at c->parsed. */
static bool chunk_fit(struct kafka_conn *c, size_t need)
{
	struct kafka_chunk *old = c->chunk;
	size_t have = old ? old->len - c->parsed : 0;
	if (old && old->refs == 1 && have == 0) {
		old->len = c->parsed = 0;
		if (old->cap >= need)
			return true;
	}
	if (old && old->cap - c->parsed >= need && old->cap - old->len >= 1)
		return true;
	size_t cap = need <= CHUNK_FIRST_BYTES ? CHUNK_FIRST_BYTES : need + CHUNK_SLACK_BYTES;
	struct kafka_chunk *fresh = chunk_new(c->server, cap);
	if (!fresh)
		return false;
	if (have)
		memcpy(fresh->bytes, old->bytes + c->parsed, have);
	fresh->len = have;
	chunk_unref(c->server, old);
	c->chunk = fresh;
	c->parsed = 0;
	return true;
}

static void frame_take(struct kafka_conn *c, struct tm_str frame)
{
	struct kafka_request *r = request_new(c->server);
	r->conn = c;
	r->chunk = c->chunk;
	r->chunk->refs++;
	r->frame = frame;
	r->stage = KAFKA_QUEUED;
	if (c->tail)
		c->tail->next = r;
	else
		c->head = r;
	c->tail = r;
	if (!c->queued)
		c->queued = r;
	c->queued_bytes += frame.len;
	c->unanswered++;
}

/* Every whole frame becomes a request; false with the reason when what follows can be none. */
static bool frames_take(struct kafka_conn *c, char *why, size_t why_size)
{
	for (;;) {
		struct kafka_chunk *k = c->chunk;
		size_t have = k->len - c->parsed;
		size_t need = 4;
		if (have >= 4) {
			uint32_t n;
			memcpy(&n, k->bytes + c->parsed, 4);
			n = __builtin_bswap32(n);
			if (n > TM_LIMIT_KAFKA_REQUEST_BYTES || n < 8) {
				snprintf(why, why_size, "a request of %d bytes (allowed: 8 to %zu)", (int32_t)n,
					 TM_LIMIT_KAFKA_REQUEST_BYTES);
				return false;
			}
			need += n;
			if (have >= need) {
				frame_take(c, tm_str_n(k->bytes + c->parsed + 4, n));
				c->parsed += need;
				continue;
			}
		}
		if (!chunk_fit(c, need)) {
			snprintf(why, why_size, "out of memory");
			return false;
		}
		return true;
	}
}

static void alloc_for_read(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	(void)suggested;
	struct kafka_conn *c = h->data;
	if (!c->chunk || c->chunk->cap == c->chunk->len)
		chunk_fit(c, c->chunk ? c->chunk->len - c->parsed + 1 : 4);
	if (c->chunk && c->chunk->cap > c->chunk->len)
		*ret = uv_buf_init(c->chunk->bytes + c->chunk->len, (unsigned)(c->chunk->cap - c->chunk->len));
	else
		*ret = uv_buf_init(NULL, 0);
}

static void was_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	struct kafka_conn *c = stream->data;
	if (n == 0)
		return;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->chunk->len += (size_t)n;
	count(&c->info.bytes_in, n);
	tm_metric_add(&bytes_in_total, n);
	char why[120];
	bool good = frames_take(c, why, sizeof why);
	requests_start(c); /* also before closing: what came before the bad frame is answered */
	if (!good)
		conn_refuse(c, why);
	if (c->closing)
		return;
	held_count(c, c->chunk->len - c->parsed);
	if (c->server->held_bytes > TM_LIMIT_KAFKA_HELD_BYTES && c->held_bytes > TM_MIB)
		conn_refuse(c, "too many bytes of unfinished requests; try again later");
	if (!c->closing && (c->unanswered > UNANSWERED_MAX || c->queued_bytes > QUEUED_BYTES_MAX)) {
		c->paused = true;
		uv_read_stop(stream);
	}
}

static void conn_read(struct kafka_conn *c) { uv_read_start((uv_stream_t *)&c->tcp, alloc_for_read, was_read); }

/* ---- listening ---- */

static void address_text(const struct sockaddr_storage *a, char *host, size_t size, int *port)
{
	snprintf(host, size, "?");
	*port = 0;
	if (a->ss_family == AF_INET) {
		uv_ip4_name((const struct sockaddr_in *)a, host, size);
		*port = ntohs(((const struct sockaddr_in *)a)->sin_port);
	} else if (a->ss_family == AF_INET6) {
		uv_ip6_name((const struct sockaddr_in6 *)a, host, size);
		*port = ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
		if (strncmp(host, "::ffff:", 7) == 0)
			memmove(host, host + 7, strlen(host + 7) + 1);
	}
}

static void conn_init_addresses(struct kafka_conn *c)
{
	struct sockaddr_storage a;
	int n = sizeof a, port;
	char host[48];
	memset(&a, 0, sizeof a);
	uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &n);
	address_text(&a, host, sizeof host, &port);
	snprintf(c->info.peer, sizeof c->info.peer, "%s:%d", host, port);
	memset(&a, 0, sizeof a);
	n = sizeof a;
	uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&a, &n);
	address_text(&a, c->host, sizeof c->host, &c->port);
	const struct tm_kafka_options *o = &c->server->options;
	if (o->published_port && c->port == o->published_port) {
		snprintf(c->host, sizeof c->host, "%s", c->server->published_host);
		return;
	}
	if (c->server->advertised_host)
		snprintf(c->host, sizeof c->host, "%s", c->server->advertised_host);
	if (o->advertised_port)
		c->port = o->advertised_port;
}

static void accepted(uv_stream_t *listener, int status)
{
	struct tm_kafka_server *s = listener->data;
	if (status < 0 || s->stopping)
		return;
	struct kafka_conn *c = tm_zalloc(sizeof *c);
	c->server = s;
	uv_tcp_init(&s->loop, &c->tcp);
	c->tcp.data = c;
	bool accepted_one = uv_accept(listener, (uv_stream_t *)&c->tcp) == 0;
	if (accepted_one) {
		uv_tcp_nodelay(&c->tcp, 1);
		conn_init_addresses(c);
	}
	c->info.opened_ms = tm_now_ms(s->env);
	pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->conn_count++;
	pthread_mutex_unlock(&s->lock);
	tm_metric_set(&connections_gauge, (int64_t)s->conn_count);
	if (!accepted_one) {
		conn_close(c);
		return;
	}
	if (s->conn_count > TM_LIMIT_CONNECTIONS) {
		conn_refuse(c, "too many connections");
		return;
	}
	conn_read(c);
}

static tm_rc listen_on(struct tm_kafka_server *s, int port, uv_tcp_t *listener, int *ret_port, struct tm_err *err)
{
	struct sockaddr_storage a;
	memset(&a, 0, sizeof a);
	const char *host = strcmp(s->host, "localhost") == 0 ? "127.0.0.1" : s->host;
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)&a) != 0 && uv_ip6_addr(host, port, (struct sockaddr_in6 *)&a) != 0)
		return tm_fail(err, TM_INVALID, "%s is not an IP address to listen on", s->host);
	int rc = uv_tcp_bind(listener, (struct sockaddr *)&a, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)listener, LISTEN_BACKLOG, accepted);
	if (rc == 0) {
		int n = sizeof a;
		rc = uv_tcp_getsockname(listener, (struct sockaddr *)&a, &n);
		char text[64];
		address_text(&a, text, sizeof text, ret_port);
	}
	if (rc == 0)
		return TM_OK;
	tm_rc kind = rc == UV_EADDRINUSE ? TM_BUSY : rc == UV_EACCES ? TM_DENIED : TM_IO;
	tm_fail(err, kind, "cannot listen on %s:%d: %s", s->host, port, uv_strerror(rc));
	if (kind == TM_BUSY)
		tm_err_hint(err, "another program has the port: choose one with listen.kafka, or stop that program");
	return kind;
}

static tm_rc server_listen(struct tm_kafka_server *s, struct tm_err *err)
{
	TM_TRY(listen_on(s, s->options.port, &s->listener, &s->port, err));
	int port;
	if (!s->options.published_port)
		return TM_OK;
	tm_rc rc = listen_on(s, s->options.published_port, &s->published, &port, err);
	if (rc != TM_BUSY)
		return rc;
	/* Not TM_BUSY: another port for listen.kafka would not help. */
	tm_fail(err, TM_IO, "listen.kafka_published: port %d of %s is taken", s->options.published_port, s->host);
	tm_err_hint(err, "Give listen.kafka and listen.kafka_published different ports that nothing else listens on.");
	return TM_IO;
}

/* ---- the loop ---- */

static void timer_fired(uv_timer_t *timer);

void kafka_timer_at(struct tm_kafka_server *s, int64_t at_ms)
{
	int64_t now = kafka_now_ms(s), wait = at_ms > now ? at_ms - now : 0;
	if (!uv_is_active((uv_handle_t *)&s->timer) || (int64_t)uv_timer_get_due_in(&s->timer) > wait) {
		uv_update_time(&s->loop);
		uv_timer_start(&s->timer, timer_fired, (uint64_t)wait, 0);
	}
}

static void timer_fired(uv_timer_t *timer)
{
	struct tm_kafka_server *s = timer->data;
	kafka_fetch_waiting_check(s);
	kafka_coordinator_tick(s);
	int64_t next = kafka_fetch_next_deadline(s);
	if (next != INT64_MAX)
		kafka_timer_at(s, next);
}

static void loop_close(struct tm_kafka_server *s)
{
	s->stopping = true;
	uv_close((uv_handle_t *)&s->listener, NULL);
	uv_close((uv_handle_t *)&s->published, NULL);
	uv_close((uv_handle_t *)&s->timer, NULL);
	for (struct kafka_conn *c = s->conns; c; c = c->next)
		conn_close(c);
}

static void woken(uv_async_t *wake)
{
	struct tm_kafka_server *s = wake->data;
	pthread_mutex_lock(&s->lock);
	struct kafka_task *task = s->tasks;
	s->tasks = NULL;
	pthread_mutex_unlock(&s->lock);
	while (task) {
		struct kafka_task *next = task->next;
		task->run(task);
		task = next;
	}
	if (__atomic_exchange_n(&s->changed, 0, __ATOMIC_ACQ_REL) && !s->stopping)
		kafka_fetch_waiting_check(s);
	if (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE) && !s->stopping)
		loop_close(s);
}

static void log_changed(void *ctx, struct tm_topic *topic, int32_t partition)
{
	(void)topic, (void)partition;
	struct tm_kafka_server *s = ctx;
	if (__atomic_load_n(&s->watching, __ATOMIC_ACQUIRE) && !__atomic_exchange_n(&s->changed, 1, __ATOMIC_ACQ_REL))
		uv_async_send(&s->wake);
}

static void *server_run(void *arg)
{
	struct tm_kafka_server *s = arg;
	uv_tcp_init(&s->loop, &s->listener);
	uv_tcp_init(&s->loop, &s->published);
	s->listener.data = s->published.data = s;
	s->start_rc = server_listen(s, &s->start_err);
	bool listening = s->start_rc == TM_OK;
	uv_sem_post(&s->started);
	if (!listening) {
		uv_close((uv_handle_t *)&s->listener, NULL);
		uv_close((uv_handle_t *)&s->published, NULL);
		uv_close((uv_handle_t *)&s->timer, NULL);
		uv_close((uv_handle_t *)&s->wake, NULL);
	}
	while (uv_run(&s->loop, UV_RUN_ONCE)) {
		/* The wake handle goes last: appends that are under way still report through it. */
		if (s->stopping && !s->conns && !kafka_coordinator_busy(s) && !uv_is_closing((uv_handle_t *)&s->wake))
			uv_close((uv_handle_t *)&s->wake, NULL);
	}
	return NULL;
}

static void server_free(struct tm_kafka_server *s)
{
	kafka_fetch_sessions_done(s);
	kafka_coordinator_done(s);
	s->stopping = true;
	for (struct kafka_chunk *c = s->spare_chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	for (struct kafka_request *r = s->spare_requests, *next; r; r = next) {
		next = r->next;
		request_destroy(r);
	}
	uv_loop_close(&s->loop);
	uv_sem_destroy(&s->started);
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	free(s->advertised_host);
	free(s->published_host);
	free(s->log_dir);
	free(s->writers.items);
	free(s);
}

tm_rc tm_kafka_server_start(struct tm_log *log, const struct tm_kafka_options *options, struct tm_kafka_server **ret, struct tm_err *err)
{
	struct tm_kafka_server *s = tm_zalloc(sizeof *s);
	s->log = log;
	s->env = tm_env_real();
	s->options = *options;
	s->host = tm_strdup(options->host ? options->host : "127.0.0.1");
	s->advertised_host = options->advertised_host ? tm_strdup(options->advertised_host) : NULL;
	s->published_host = tm_strdup(options->published_host ? options->published_host : s->host);
	s->log_dir = options->log_dir ? tm_strdup(options->log_dir) : NULL;
	s->options.host = s->host;
	s->options.advertised_host = s->advertised_host;
	if (s->options.node_id == 0)
		s->options.node_id = 1;
	if (s->options.default_partitions == 0)
		s->options.default_partitions = 1;
	pthread_mutex_init(&s->lock, NULL);
	uv_sem_init(&s->started, 0);
	uv_loop_init(&s->loop);
	uv_async_init(&s->loop, &s->wake, woken);
	uv_timer_init(&s->loop, &s->timer);
	s->wake.data = s->timer.data = s;
	tm_rc rc = kafka_coordinator_start(s, err);
	if (rc == TM_OK)
		rc = tm_thread_start(&s->thread, "tm-kafka", server_run, s, err);
	if (rc != TM_OK) {
		uv_close((uv_handle_t *)&s->wake, NULL);
		uv_close((uv_handle_t *)&s->timer, NULL);
		uv_run(&s->loop, UV_RUN_DEFAULT);
		server_free(s);
		return rc;
	}
	uv_sem_wait(&s->started);
	if (s->start_rc != TM_OK) {
		pthread_join(s->thread, NULL);
		rc = s->start_rc;
		if (err)
			*err = s->start_err;
		server_free(s);
		return rc;
	}
	s->watch = tm_log_watch_add(log, log_changed, s);
	*ret = s;
	return TM_OK;
}

void tm_kafka_server_stop(struct tm_kafka_server *s)
{
	if (!s)
		return;
	tm_log_watch_remove(s->log, s->watch);
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	uv_async_send(&s->wake);
	pthread_join(s->thread, NULL);
	server_free(s);
}

int tm_kafka_server_port(const struct tm_kafka_server *s) { return s->port; }
struct tm_groups *tm_kafka_server_groups(struct tm_kafka_server *s) { return s->groups; }

size_t tm_kafka_server_connections(struct tm_kafka_server *s, struct tm_kafka_connection **ret)
{
	pthread_mutex_lock(&s->lock);
	struct tm_kafka_connection *list = tm_alloc((s->conn_count + 1) * sizeof *list);
	size_t n = 0;
	for (struct kafka_conn *c = s->conns; c; c = c->next, n++) {
		memcpy(list[n].peer, c->info.peer, sizeof list[n].peer);
		memcpy(list[n].client_id, c->info.client_id, sizeof list[n].client_id);
		memcpy(list[n].software, c->info.software, sizeof list[n].software);
		list[n].opened_ms = c->info.opened_ms;
		list[n].requests = __atomic_load_n(&c->info.requests, __ATOMIC_RELAXED);
		list[n].bytes_in = __atomic_load_n(&c->info.bytes_in, __ATOMIC_RELAXED);
		list[n].bytes_out = __atomic_load_n(&c->info.bytes_out, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&s->lock);
	*ret = list;
	return n;
}
