/* One connection to a node: resolving, connecting, the handshake, requests by stream id, time limits. */
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/session_int.h"

#define READ_BYTES (64 * TM_KIB)
#define CONNECT_NS (5 * INT64_C(1000000000))
#define HEARTBEAT_NS (10 * INT64_C(1000000000))
#define GIVEN_UP_MAX 64 /* answers that never came: the connection is of no use */

static void release(struct tm_cass_link *l)
{
	if (--l->refs > 0)
		return;
	tm_cass_reader_done(&l->reader);
	tm_cass_writer_done(&l->writer);
	tm_buf_done(&l->token);
	tm_cass_tls_free(l->tls);
	free(l);
}

static void on_closed(uv_handle_t *h) { release(h->data); }

static void text_of(struct tm_str s, char *out, size_t size) { snprintf(out, size, "%.*s", (int)(s.len < size ? s.len : size - 1), s.at); }

static void close_denied(struct tm_cass_link *l, const char *why, bool denied)
{
	struct tm_cass_session *s = l->session;
	if (l->state == TM_CASS_LINK_CLOSED)
		return;
	l->state = TM_CASS_LINK_CLOSED;
	l->refs++; /* the calls below may look at it */
	if (l->has_tcp)
		uv_close((uv_handle_t *)&l->tcp, on_closed);
	tm_cass_link_gone(l, why, denied);
	for (size_t i = 0; i < TM_CASS_STREAMS; i++) {
		struct tm_cass_call *call = l->slots[i].call;
		l->slots[i] = (struct tm_cass_slot){0};
		if (call && call != &l->hello)
			tm_cass_call_lost(s, call, why);
	}
	l->in_flight = 0;
	l->refs--; /* the session's own */
	release(l);
}

void tm_cass_link_close(struct tm_cass_link *l, const char *why) { close_denied(l, why, false); }

/* ---- sending ---- */

bool tm_cass_link_room(const struct tm_cass_link *l, size_t bytes)
{
	return l->state == TM_CASS_LINK_READY && l->in_flight < TM_LIMIT_CASSANDRA_IN_FLIGHT && l->free_count > 0 &&
	       (l->in_flight == 0 || l->in_flight_bytes + bytes <= TM_LIMIT_CASSANDRA_IN_FLIGHT_BYTES);
}

bool tm_cass_link_send(struct tm_cass_link *l, struct tm_cass_call *call)
{
	struct tm_buf body = {0};
	if (!l->free_count)
		return false;
	if (call->statement && call->request.opcode == TM_CASS_EXECUTE) {
		call->request.id = call->statement->id;
		call->request.result_metadata_id = call->statement->result_metadata_id;
	} else if (call->statement) {
		for (size_t i = 0; i < call->request.item_count; i++)
			if (call->request.items[i].prepared)
				call->request.items[i].text_or_id = call->statement->id;
	}
	if (call->steps && call->attempts && call->attempts <= TM_CASS_STEPS)
		call->request.options.timestamp_us++;
	tm_cass_request_write(&body, l->version, &call->request);
	call->bytes = body.len;
	int16_t stream = l->free_streams[--l->free_count];
	int64_t now = tm_cass_now_ns(), limit_ms = call->timeout_ms ? call->timeout_ms : l->session->timeout_ms;
	l->slots[stream] = (struct tm_cass_slot){call, true, now, now + limit_ms * 1000000};
	if (!l->in_flight)
		l->asked_ns = now;
	l->in_flight++;
	l->in_flight_bytes += call->bytes;
	call->attempts++;
	tm_cass_writer_put(&l->writer, 0, stream, call->request.opcode, tm_buf_str(&body));
	tm_buf_done(&body);
	return true;
}

struct write_req {
	uv_write_t req;
	struct tm_cass_link *link;
	struct tm_buf data;
};

static void on_written(uv_write_t *req, int status)
{
	struct write_req *w = (struct write_req *)req;
	struct tm_cass_link *l = w->link;
	char why[160];
	if (status < 0 && status != UV_ECANCELED) {
		snprintf(why, sizeof why, "sending failed: %s", uv_strerror(status));
		tm_cass_link_close(l, why);
	}
	tm_buf_done(&w->data);
	free(w);
	release(l);
}

/* Takes what is in data. */
static void send_raw(struct tm_cass_link *l, struct tm_buf *data)
{
	if (!data->len) {
		tm_buf_done(data);
		return;
	}
	struct write_req *w = tm_zalloc(sizeof *w);
	w->link = l;
	w->data = *data;
	uv_buf_t buf = uv_buf_init(w->data.at, (unsigned)w->data.len);
	l->refs++;
	int rc = uv_write(&w->req, (uv_stream_t *)&l->tcp, &buf, 1, on_written);
	if (rc < 0)
		on_written(&w->req, rc);
}

void tm_cass_link_flush(struct tm_cass_link *l)
{
	struct tm_buf out = {0}, wrapped = {0};
	if (l->state == TM_CASS_LINK_CLOSED || !l->writer.envelopes.len)
		return;
	tm_cass_writer_flush(&l->writer, &out);
	if (l->tls) {
		tm_cass_tls_put(l->tls, tm_buf_str(&out), &wrapped);
		tm_buf_done(&out);
		out = wrapped;
	}
	send_raw(l, &out);
}

/* ---- the handshake ---- */

static void greeted(struct tm_cass_call *call);

static void greet(struct tm_cass_link *l, const struct tm_cass_request *request)
{
	l->hello = (struct tm_cass_call){.request = *request, .done = greeted, .link = l, .arena = &l->session->scratch};
	tm_cass_link_send(l, &l->hello);
	tm_cass_link_flush(l);
}

static void startup(struct tm_cass_link *l)
{
	bool lz4 = l->session->lz4;
	struct tm_cass_option options[] = {{TM_STR("CQL_VERSION"), TM_STR("3.0.0")},
					   {TM_STR("DRIVER_NAME"), TM_STR("tidemill")},
					   {TM_STR("DRIVER_VERSION"), TM_STR(TM_VERSION)},
					   {TM_STR("COMPRESSION"), TM_STR("lz4")}};
	const struct tm_cass_request request = {.opcode = TM_CASS_STARTUP, .startup = options, .startup_count = lz4 ? 4 : 3};
	l->state = TM_CASS_LINK_GREETING;
	l->reader.compression = l->version < 5 && lz4 ? TM_CASS_LZ4 : TM_CASS_PLAIN;
	greet(l, &request);
}

static void credentials(struct tm_cass_link *l)
{
	struct tm_cass_session *s = l->session;
	if (!s->user) {
		close_denied(l, "it asks for a user and a password", true);
		return;
	}
	l->token.len = 0;
	tm_buf_char(&l->token, 0);
	tm_buf_cstr_put(&l->token, s->user);
	tm_buf_char(&l->token, 0);
	tm_buf_cstr_put(&l->token, s->password ? s->password : "");
	const struct tm_cass_request request = {.opcode = TM_CASS_AUTH_RESPONSE, .token = tm_buf_str(&l->token)};
	greet(l, &request);
}

static void register_events(struct tm_cass_link *l)
{
	struct tm_str events[] = {TM_STR("TOPOLOGY_CHANGE"), TM_STR("STATUS_CHANGE"), TM_STR("SCHEMA_CHANGE")};
	const struct tm_cass_request request = {.opcode = TM_CASS_REGISTER, .events = events, .event_count = 3};
	greet(l, &request);
}

static void ready(struct tm_cass_link *l)
{
	l->state = TM_CASS_LINK_READY;
	tm_cass_link_ready(l);
}

/* The server spoke: what comes next. */
static void greeted(struct tm_cass_call *call)
{
	struct tm_cass_link *l = call->link;
	const struct tm_cass_response *r = &call->response;
	char why[200];
	if (call->rc) {
		text_of(r->error.message, why, sizeof why);
		if (call->request.opcode == TM_CASS_STARTUP && strstr(why, "nsupported protocol version")) {
			l->refused_version = true;
			snprintf(why, sizeof why, "it does not speak protocol v%d", l->version);
		}
		close_denied(l, why, call->code == TM_CASS_E_CREDENTIALS || call->code == TM_CASS_E_UNAUTHORIZED);
		return;
	}
	if (call->request.opcode == TM_CASS_STARTUP) { /* from here on as agreed */
		l->reader.version = l->version;
		l->reader.compression = l->writer.compression = l->session->lz4 ? TM_CASS_LZ4 : TM_CASS_PLAIN;
		l->reader.segmented = l->writer.segmented = l->version >= 5;
	}
	if (r->opcode == TM_CASS_AUTHENTICATE)
		credentials(l);
	else if (r->opcode == TM_CASS_AUTH_CHALLENGE)
		close_denied(l, "it asks for another kind of authentication than a password", true);
	else if (l->control && call->request.opcode != TM_CASS_REGISTER)
		register_events(l);
	else
		ready(l);
}

/* ---- receiving ---- */

static void answer(struct tm_cass_link *l, const struct tm_cass_envelope *e)
{
	struct tm_cass_session *s = l->session;
	if (e->opcode == TM_CASS_EVENT) {
		struct tm_cass_response event;
		tm_arena_reset(&s->scratch);
		if (tm_cass_response_read(e, NULL, &s->scratch, &event, NULL) == TM_OK)
			tm_cass_control_event(s, &event);
		return;
	}
	int16_t stream = e->stream;
	/* A server that cannot read our version may answer with stream 0. */
	if (l->state == TM_CASS_LINK_GREETING && e->opcode == TM_CASS_ERROR)
		for (int16_t i = 0; i < TM_CASS_STREAMS; i++)
			if (l->slots[i].call == &l->hello)
				stream = i;
	if (stream < 0 || stream >= TM_CASS_STREAMS || !l->slots[stream].busy) {
		tm_cass_link_close(l, "it answered what was not asked");
		return;
	}
	struct tm_cass_slot slot = l->slots[stream];
	l->slots[stream] = (struct tm_cass_slot){0};
	l->free_streams[l->free_count++] = stream;
	if (!slot.call) {
		l->given_up--;
		return;
	}
	l->in_flight--;
	l->in_flight_bytes -= slot.call->bytes;
	tm_cass_call_answered(s, l, slot.call, e);
}

/* Bytes of the socket: through TLS where there is one. The handshake of TLS comes before ours. */
static void feed(struct tm_cass_link *l, const char *data, size_t n)
{
	struct tm_buf plain = {0}, out = {0};
	char why[240] = "";
	if (!l->tls) {
		tm_cass_reader_feed(&l->reader, data, n);
		return;
	}
	bool before = tm_cass_tls_ready(l->tls), good = tm_cass_tls_take(l->tls, data, n, &plain, &out, why, sizeof why);
	send_raw(l, &out);
	if (!good)
		tm_cass_link_close(l, why);
	else if (plain.len)
		tm_cass_reader_feed(&l->reader, plain.at, plain.len);
	if (good && !before && tm_cass_tls_ready(l->tls))
		startup(l);
	tm_buf_done(&plain);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct tm_cass_link *l = stream->data;
	struct tm_cass_envelope e;
	struct tm_cass_fault fault;
	char why[240];
	l->refs++;
	if (n < 0) {
		snprintf(why, sizeof why, "%s", n == UV_EOF ? "the server closed the connection" : uv_strerror((int)n));
		tm_cass_link_close(l, why);
	} else if (n > 0) {
		l->heard_ns = tm_cass_now_ns();
		feed(l, buf->base, (size_t)n);
		while (l->state != TM_CASS_LINK_CLOSED) {
			enum tm_cass_read rc = tm_cass_reader_next(&l->reader, &e, &fault);
			if (rc == TM_CASS_MORE)
				break;
			if (rc == TM_CASS_FAULT) {
				snprintf(why, sizeof why, "what it sends is no CQL protocol%s%.150s", fault.silent ? "" : ": ",
					 fault.silent ? "" : fault.text);
				tm_cass_link_close(l, why);
				break;
			}
			answer(l, &e);
		}
		tm_cass_pump(l->session);
	}
	free(buf->base);
	release(l);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)h;
	(void)suggested;
	*buf = uv_buf_init(tm_alloc(READ_BYTES), READ_BYTES);
}

/* ---- opening ---- */

static void on_connected(uv_connect_t *req, int status)
{
	struct tm_cass_link *l = req->data;
	if (l->state == TM_CASS_LINK_CONNECTING && status == 0) {
		uv_tcp_nodelay(&l->tcp, 1);
		uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
		if (l->session->tls) {
			l->tls = tm_cass_tls_new(l->session->tls, l->node->host);
			feed(l, NULL, 0);
		} else {
			startup(l);
		}
	} else if (l->state == TM_CASS_LINK_CONNECTING) {
		tm_cass_link_close(l, uv_strerror(status));
	}
	release(l);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct tm_cass_link *l = req->data;
	char why[160];
	if (l->state != TM_CASS_LINK_RESOLVING) {
		;
	} else if (status != 0) {
		snprintf(why, sizeof why, "the host is not known: %s", uv_strerror(status));
		tm_cass_link_close(l, why);
	} else {
		uv_tcp_init(&l->session->loop, &l->tcp);
		l->tcp.data = l->connect.data = l;
		l->has_tcp = true;
		l->refs += 2; /* the handle's, the request's */
		l->state = TM_CASS_LINK_CONNECTING;
		int rc = uv_tcp_connect(&l->connect, &l->tcp, list->ai_addr, on_connected);
		if (rc < 0) {
			release(l);
			tm_cass_link_close(l, uv_strerror(rc));
		}
	}
	uv_freeaddrinfo(list);
	release(l);
}

void tm_cass_link_open(struct tm_cass_session *s, struct tm_cass_node *node, bool control)
{
	struct tm_cass_link *l = tm_zalloc(sizeof *l);
	char service[16];
	*l = (struct tm_cass_link){
	    .session = s, .node = node, .control = control, .refs = 2, .version = s->version, .writer = {.version = s->version}};
	tm_cass_reader_init(&l->reader, false);
	for (size_t i = 0; i < TM_CASS_STREAMS; i++)
		l->free_streams[l->free_count++] = (int16_t)(TM_CASS_STREAMS - 1 - i);
	l->opened_ns = l->heard_ns = tm_cass_now_ns();
	if (control)
		s->control = l;
	else
		node->link = l;
	l->resolve.data = l;
	snprintf(service, sizeof service, "%d", node->port);
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int rc = uv_getaddrinfo(&s->loop, &l->resolve, on_resolved, node->host, service, &hints);
	if (rc < 0) {
		l->refs--;
		tm_cass_link_close(l, uv_strerror(rc));
	}
}

/* ---- time ---- */

static void beat_answered(struct tm_cass_call *call) { free(call); }

static void beat(struct tm_cass_link *l)
{
	struct tm_cass_call *call = tm_zalloc(sizeof *call);
	*call = (struct tm_cass_call){.request = {.opcode = TM_CASS_OPTIONS}, .done = beat_answered, .link = l};
	if (!tm_cass_link_send(l, call)) {
		free(call);
		return;
	}
	tm_cass_link_flush(l);
}

void tm_cass_link_tick(struct tm_cass_link *l, int64_t now)
{
	char why[160];
	if (l->state < TM_CASS_LINK_READY && now - l->opened_ns > CONNECT_NS) {
		snprintf(why, sizeof why, "no answer within %d s", (int)(CONNECT_NS / 1000000000));
		tm_cass_link_close(l, why);
		return;
	}
	int64_t since = l->heard_ns > l->asked_ns ? l->heard_ns : l->asked_ns, silent = now - since;
	if (l->state == TM_CASS_LINK_READY && l->in_flight && silent > (int64_t)l->session->timeout_ms * 1000000) {
		snprintf(why, sizeof why, "no answer for %d s", (int)(silent / 1000000000));
		tm_cass_link_close(l, why);
		return;
	}
	l->refs++;
	for (size_t i = 0; l->in_flight && i < TM_CASS_STREAMS && l->state == TM_CASS_LINK_READY; i++) {
		struct tm_cass_call *call = l->slots[i].call;
		if (!call || now < l->slots[i].limit_ns)
			continue;
		l->slots[i].call = NULL;
		l->in_flight--;
		l->in_flight_bytes -= call->bytes;
		l->given_up++;
		tm_cass_call_lost(l->session, call, "no answer in time");
	}
	if (l->state == TM_CASS_LINK_READY && l->given_up > GIVEN_UP_MAX)
		tm_cass_link_close(l, "too many requests without an answer");
	if (l->state == TM_CASS_LINK_READY && !l->in_flight && now - l->heard_ns > HEARTBEAT_NS)
		beat(l);
	release(l);
}
