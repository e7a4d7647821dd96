/* The server's thread: one libuv loop with all sockets. A turn of the loop reads what has come, answers reads, collects writes
 * into a group, and hands the group to the commit thread.
 *
 * States of a connection: open -> (paused <-> open) -> ending (what was written goes out, nothing is read) -> closed, and
 * freed when the last held answer that names it is gone. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/server_int.h"
#include "table/schema.h"

#define READ_BYTES (256 * TM_KIB)
#define BACKLOG 511
#define PAUSE_BYTES (8 * TM_MIB) /* written and not yet taken by the peer */
#define RESUME_BYTES (1 * TM_MIB)

static struct tm_metric open_conns = TM_GAUGE("tidemill_cql_connections", "Connections of CQL clients.");
static struct tm_metric bytes_in = TM_COUNTER("tidemill_cql_bytes_in_total", "Bytes received by the CQL door.");
static struct tm_metric bytes_out = TM_COUNTER("tidemill_cql_bytes_out_total", "Bytes sent by the CQL door.");

struct write_req {
	uv_write_t req;
	struct tm_cass_conn *conn;
	struct tm_buf data;
};

static void conn_drain(struct tm_cass_conn *c);

void tm_cass_conn_unref(struct tm_cass_conn *c)
{
	if (--c->refs > 0)
		return;
	TM_ASSERT(c->closed);
	tm_cass_reader_done(&c->reader);
	tm_cass_writer_done(&c->writer);
	free((void *)c->keyspace.at);
	free(c);
}

static void conn_gauge(struct tm_cassandra_server *s)
{
	__atomic_store_n(&s->conn_gauge, (int64_t)s->conn_count, __ATOMIC_RELAXED);
	tm_metric_set(&open_conns, (int64_t)s->conn_count);
}

static void on_closed(uv_handle_t *handle)
{
	struct tm_cass_conn *c = handle->data;
	tm_cass_conn_unref(c);
}

static void conn_close(struct tm_cass_conn *c)
{
	struct tm_cassandra_server *s = c->server;
	if (c->closed)
		return;
	c->closed = true;
	pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->conn_count--;
	pthread_mutex_unlock(&s->lock);
	s->held_bytes -= c->held_bytes;
	c->held_bytes = 0;
	conn_gauge(s);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* ---- writing ---- */
static void on_shut(uv_shutdown_t *req, int status)
{
	struct tm_cass_conn *c = req->data;
	(void)status;
	free(req);
	conn_close(c);
	tm_cass_conn_unref(c);
}

static void conn_shut(struct tm_cass_conn *c)
{
	uv_shutdown_t *req = tm_zalloc(sizeof *req);
	req->data = c;
	c->refs++;
	if (uv_shutdown(req, (uv_stream_t *)&c->tcp, on_shut) != 0)
		on_shut(req, 0);
}

void tm_cass_conn_end(struct tm_cass_conn *c)
{
	if (c->ending || c->closed)
		return;
	tm_cass_conn_flush(c);
	c->ending = true;
	uv_read_stop((uv_stream_t *)&c->tcp);
	conn_shut(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct tm_cass_conn *c = handle->data;
	(void)suggested;
	*buf = uv_buf_init(c->server->read_buffer, READ_BYTES);
}

static void on_written(uv_write_t *req, int status)
{
	struct write_req *w = (struct write_req *)req;
	struct tm_cass_conn *c = w->conn;
	tm_buf_done(&w->data);
	free(w);
	if (status < 0)
		conn_close(c);
	if (c->paused && !c->ending && !c->closed && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) < RESUME_BYTES) {
		c->paused = false;
		conn_drain(c);
		if (!c->paused && !c->ending && !c->closed)
			uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	}
	tm_cass_conn_unref(c);
}

void tm_cass_conn_flush(struct tm_cass_conn *c)
{
	struct tm_buf out = {0};
	if (c->ending || c->closed || c->writer.envelopes.len == 0)
		return;
	tm_cass_writer_flush(&c->writer, &out);
	tm_metric_add(&bytes_out, (int64_t)out.len);
	uv_buf_t buf = uv_buf_init(out.at, (unsigned)out.len);
	int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
	size_t done = sent > 0 ? (size_t)sent : 0;
	if (done == out.len) {
		tm_buf_done(&out);
		return;
	}
	struct write_req *w = tm_zalloc(sizeof *w);
	w->conn = c;
	w->data = out;
	c->refs++;
	buf = uv_buf_init(out.at + done, (unsigned)(out.len - done));
	if ((sent < 0 && sent != UV_EAGAIN) || uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
		tm_buf_done(&w->data);
		free(w);
		conn_close(c);
		tm_cass_conn_unref(c);
		return;
	}
	if (!c->paused && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > PAUSE_BYTES) {
		c->paused = true;
		uv_read_stop((uv_stream_t *)&c->tcp);
	}
}

/* ---- reading ---- */
static void conn_drain(struct tm_cass_conn *c)
{
	struct tm_cass_envelope envelope;
	struct tm_cass_fault fault;
	while (!c->paused && !c->ending && !c->closed) {
		enum tm_cass_read rc = tm_cass_reader_next(&c->reader, &envelope, &fault);
		if (rc == TM_CASS_MORE)
			break;
		if (rc == TM_CASS_FAULT)
			tm_cass_answer_fault(c, &fault);
		else
			tm_cass_answer(c, &envelope);
		if (c->writer.envelopes.len > PAUSE_BYTES)
			tm_cass_conn_flush(c);
	}
	tm_cass_conn_flush(c);
}

/* Half-received requests of all connections are bounded together. */
static void held_count(struct tm_cass_conn *c)
{
	struct tm_cassandra_server *s = c->server;
	if (c->closed)
		return;
	size_t now = tm_cass_reader_held_bytes(&c->reader);
	s->held_bytes = s->held_bytes - c->held_bytes + now;
	c->held_bytes = now;
	if (s->held_bytes > TM_LIMIT_CQL_HELD_BYTES && now > TM_MIB && !c->ending) {
		struct tm_err err;
		tm_fail(&err, TM_BUSY, "Too many bytes of unfinished requests (%zu); try again later", s->held_bytes);
		tm_cass_error_answer(c, 0, &err, NULL, NULL);
		tm_cass_conn_end(c);
	}
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct tm_cass_conn *c = stream->data;
	if (n == 0)
		return;
	if (n < 0) {
		conn_close(c);
		return;
	}
	tm_metric_add(&bytes_in, n);
	c->refs++;
	tm_cass_reader_feed(&c->reader, buf->base, (size_t)n);
	conn_drain(c);
	held_count(c);
	tm_cass_conn_unref(c);
}

static void peer_of(struct tm_cass_conn *c)
{
	struct sockaddr_storage a;
	int len = sizeof a;
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &len) != 0)
		return;
	if (a.ss_family == AF_INET6) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a;
		uv_ip6_name(in, c->peer, sizeof c->peer);
		c->peer_port = ntohs(in->sin6_port);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&a;
		uv_ip4_name(in, c->peer, sizeof c->peer);
		c->peer_port = ntohs(in->sin_port);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct tm_cassandra_server *s = listener->data;
	if (status < 0)
		return;
	struct tm_cass_conn *c = tm_zalloc(sizeof *c);
	c->server = s;
	c->refs = 1;
	c->version = 5;
	c->writer = (struct tm_cass_writer){.response = true, .version = 5};
	tm_cass_reader_init(&c->reader, true);
	uv_tcp_init(&s->loop, &c->tcp);
	c->tcp.data = c;
	int rc = uv_accept(listener, (uv_stream_t *)&c->tcp);
	pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	s->conn_count++;
	pthread_mutex_unlock(&s->lock);
	conn_gauge(s);
	if (rc != 0 || s->conn_count > s->connection_limit) {
		if (rc == 0)
			tm_say(TM_SAY_WARN, "cassandra", "a connection over the limit of %zu was closed", s->connection_limit);
		conn_close(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	peer_of(c);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* ---- the thread ---- */
static void on_check(uv_check_t *check) { tm_cass_commit_kick(check->data); }

static void stop_all(struct tm_cassandra_server *s)
{
	tm_cass_commit_settle(s);
	for (struct tm_cass_conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		conn_close(c);
	}
	uv_close((uv_handle_t *)&s->listener, NULL);
	uv_close((uv_handle_t *)&s->check, NULL);
	uv_close((uv_handle_t *)&s->look, NULL);
	uv_close((uv_handle_t *)&s->wake, NULL);
}

static void on_wake(uv_async_t *async)
{
	struct tm_cassandra_server *s = async->data;
	tm_cass_commit_finished(s);
	pthread_mutex_lock(&s->lock);
	bool stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	if (stopping && !uv_is_closing((uv_handle_t *)&s->listener))
		stop_all(s);
}

static void *server_run(void *arg)
{
	struct tm_cassandra_server *s = arg;
	uv_run(&s->loop, UV_RUN_DEFAULT);
	return NULL;
}

static tm_rc listen_on(struct tm_cassandra_server *s, struct tm_err *err)
{
	struct sockaddr_storage addr, bound;
	int len = sizeof bound, rc;
	const char *host = strcmp(s->host, "localhost") == 0 ? "127.0.0.1" : s->host;
	if (uv_ip4_addr(host, s->port, (struct sockaddr_in *)&addr) != 0 && uv_ip6_addr(host, s->port, (struct sockaddr_in6 *)&addr) != 0) {
		tm_fail(err, TM_INVALID, "cassandra: \"%s\" is not an address to listen on", s->host);
		tm_err_hint(err, "listen.cassandra takes address:port, as in 127.0.0.1:9042");
		return TM_INVALID;
	}
	rc = uv_tcp_bind(&s->listener, (struct sockaddr *)&addr, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&bound, &len);
	if (rc == UV_EADDRINUSE) {
		tm_fail(err, TM_BUSY, "cassandra: port %d on %s is in use", s->port, s->host);
		tm_err_hint(err, "stop what listens there, or set listen.cassandra (TIDEMILL_LISTEN_CASSANDRA) to another port");
		return TM_BUSY;
	}
	if (rc != 0)
		return tm_fail(err, rc == UV_EACCES ? TM_DENIED : TM_IO, "cassandra: cannot listen on %s:%d: %s", s->host, s->port,
			       uv_strerror(rc));
	s->port =
	    ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port : ((struct sockaddr_in *)&bound)->sin_port);
	return TM_OK;
}

static void server_free(struct tm_cassandra_server *s)
{
	tm_cass_system_unregister(s);
	tm_cass_committer_stop(s);
	if (s->seen_schema)
		tm_schema_unref(s->store, s->seen_schema);
	tm_cass_prepared_done(&s->prepared);
	tm_arena_done(&s->arena);
	tm_buf_done(&s->body);
	pthread_mutex_destroy(&s->lock);
	free(s->read_buffer);
	free(s);
}

/* Drivers know a node by this: made once, kept in the store. */
static tm_rc host_id_find(struct tm_cassandra_server *s, struct tm_err *err)
{
	struct tm_buf kept = {0};
	bool found = false;
	tm_rc rc = tm_store_get_bytes(s->store, "cassandra", TM_STR("host_id"), &kept, &found, err);
	if (rc == TM_OK && found && kept.len == sizeof s->host_id) {
		memcpy(s->host_id, kept.at, sizeof s->host_id);
	} else if (rc == TM_OK) {
		tm_random(s->env, s->host_id, sizeof s->host_id);
		s->host_id[6] = (uint8_t)((s->host_id[6] & 0x0F) | 0x40);
		s->host_id[8] = (uint8_t)((s->host_id[8] & 0x3F) | 0x80);
		struct tm_table_batch *batch = tm_table_batch_new(s->store);
		tm_table_batch_put_bytes(batch, "cassandra", TM_STR("host_id"), tm_str_n((const char *)s->host_id, sizeof s->host_id));
		rc = tm_table_batch_commit(batch, true, err);
		tm_table_batch_free(batch);
	}
	tm_buf_done(&kept);
	return rc;
}

tm_rc tm_cassandra_server_start(struct tm_store *store, const struct tm_cassandra_options *o, struct tm_cassandra_server **ret,
				struct tm_err *err)
{
	struct tm_cassandra_server *s = tm_zalloc(sizeof *s);
	tm_rc rc;
	s->store = store;
	s->env = tm_env_real();
	s->started_us = tm_now_us(s->env);
	snprintf(s->host, sizeof s->host, "%s", o->host ? o->host : "127.0.0.1");
	snprintf(s->cluster_name, sizeof s->cluster_name, "%s", o->cluster_name ? o->cluster_name : "Test Cluster");
	s->port = o->port;
	s->connection_limit = o->connection_limit ? o->connection_limit : TM_LIMIT_CONNECTIONS;
	s->read_buffer = tm_alloc(READ_BYTES);
	tm_arena_init(&s->arena);
	pthread_mutex_init(&s->lock, NULL);
	tm_cass_prepared_init(&s->prepared, o->prepared_limit ? o->prepared_limit : 10000);
	TM_ASSERT(uv_loop_init(&s->loop) == 0);
	uv_tcp_init(&s->loop, &s->listener);
	uv_async_init(&s->loop, &s->wake, on_wake);
	uv_check_init(&s->loop, &s->check);
	uv_timer_init(&s->loop, &s->look);
	s->listener.data = s->wake.data = s->check.data = s->look.data = s;
	uv_check_start(&s->check, on_check);
	rc = tm_cass_committer_start(s, err);
	if (rc == TM_OK)
		rc = host_id_find(s, err);
	if (rc == TM_OK)
		rc = listen_on(s, err);
	if (rc == TM_OK)
		rc = tm_cass_system_register(s, err);
	if (rc == TM_OK)
		tm_cass_events_start(s);
	if (rc == TM_OK)
		rc = tm_thread_start(&s->thread, "cql-door", server_run, s, err);
	if (rc != TM_OK) {
		stop_all(s);
		uv_run(&s->loop, UV_RUN_DEFAULT);
		uv_loop_close(&s->loop);
		server_free(s);
		return rc;
	}
	*ret = s;
	return TM_OK;
}

int tm_cassandra_server_port(const struct tm_cassandra_server *s) { return s->port; }

int64_t tm_cassandra_server_connections(const struct tm_cassandra_server *s) { return __atomic_load_n(&s->conn_gauge, __ATOMIC_RELAXED); }

void tm_cassandra_server_stop(struct tm_cassandra_server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	uv_async_send(&s->wake);
	pthread_join(s->thread, NULL);
	uv_loop_close(&s->loop);
	server_free(s);
}
