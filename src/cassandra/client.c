/* The blocking client: a socket, the codec, and one request in flight. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cassandra/client.h"
#include "cassandra/retry.h"
#include "cassandra/tls.h"

#define PAGE_ROWS 5000
#define READ_BYTES (64 * TM_KIB)

struct tm_cassandra_client {
	int fd, version, timeout_ms;
	int16_t stream;
	char where[160]; /* host:port, for errors */
	struct tm_cass_reader reader;
	struct tm_cass_writer writer;
	struct tm_str keyspace; /* malloc'd */
	struct tm_cass_tls_context *tls_context;
	struct tm_cass_tls *tls;
};

static tm_rc lost(struct tm_cassandra_client *c, struct tm_err *err, const char *why)
{
	return tm_fail(err, TM_CLOSED, "the connection to %s was lost: %s", c->where, why);
}

static tm_rc wait_for(struct tm_cassandra_client *c, short events, int64_t deadline_ns, struct tm_err *err)
{
	for (;;) {
		int64_t left = (deadline_ns - tm_mono_ns(tm_env_real())) / 1000000;
		struct pollfd p = {.fd = c->fd, .events = events};
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0)
			return TM_OK;
		if (n == 0)
			return tm_fail(err, TM_TIMEOUT, "%s did not answer within %d ms", c->where, c->timeout_ms);
		if (errno != EINTR)
			return tm_fail_errno(err, errno, "waiting for %s", c->where);
	}
}

static tm_rc send_all(struct tm_cassandra_client *c, struct tm_str data, int64_t deadline_ns, struct tm_err *err)
{
	while (data.len > 0) {
		ssize_t n = send(c->fd, data.at, data.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			TM_TRY(wait_for(c, POLLOUT, deadline_ns, err));
			continue;
		}
		if (n < 0 && errno != EINTR)
			return lost(c, err, strerror(errno));
		if (n > 0)
			data = tm_str_slice(data, (size_t)n, data.len);
	}
	return TM_OK;
}

static tm_rc send_wrapped(struct tm_cassandra_client *c, struct tm_str data, int64_t deadline_ns, struct tm_err *err)
{
	struct tm_buf out = {0};
	if (!c->tls)
		return send_all(c, data, deadline_ns, err);
	tm_cass_tls_put(c->tls, data, &out);
	tm_rc rc = send_all(c, tm_buf_str(&out), deadline_ns, err);
	tm_buf_done(&out);
	return rc;
}

/* Bytes of the socket (none at the start of TLS) to the reader. */
static tm_rc feed(struct tm_cassandra_client *c, const char *data, size_t n, int64_t deadline_ns, struct tm_err *err)
{
	struct tm_buf plain = {0}, out = {0};
	char why[240] = "";
	if (!c->tls) {
		tm_cass_reader_feed(&c->reader, data, n);
		return TM_OK;
	}
	bool good = tm_cass_tls_take(c->tls, data, n, &plain, &out, why, sizeof why);
	tm_rc rc = send_all(c, tm_buf_str(&out), deadline_ns, err);
	if (!good)
		rc = lost(c, err, why);
	else if (!rc && plain.len)
		tm_cass_reader_feed(&c->reader, plain.at, plain.len);
	tm_buf_done(&plain);
	tm_buf_done(&out);
	return rc;
}

/* Takes what has come, or waits for it. */
static tm_rc more(struct tm_cassandra_client *c, int64_t deadline_ns, const char *closed, struct tm_err *err)
{
	char data[READ_BYTES];
	ssize_t n = recv(c->fd, data, sizeof data, 0);
	if (n > 0)
		return feed(c, data, (size_t)n, deadline_ns, err);
	if (n == 0)
		return lost(c, err, closed);
	if (errno == EAGAIN)
		return wait_for(c, POLLIN, deadline_ns, err);
	return errno == EINTR ? TM_OK : lost(c, err, strerror(errno));
}

/* The next response of our stream; events and late answers of others are passed over. */
static tm_rc receive(struct tm_cassandra_client *c, int64_t deadline_ns, struct tm_cass_envelope *ret, struct tm_err *err)
{
	struct tm_cass_fault fault;
	for (;;) {
		enum tm_cass_read rc = tm_cass_reader_next(&c->reader, ret, &fault);
		if (rc == TM_CASS_FAULT)
			return lost(c, err, fault.silent ? "the bytes are no CQL protocol" : fault.text);
		/* A server that cannot read our version answers with stream 0 at times. */
		if (rc == TM_CASS_ENVELOPE && (ret->stream == c->stream || ret->opcode == TM_CASS_ERROR))
			return TM_OK;
		if (rc == TM_CASS_ENVELOPE)
			continue;
		TM_TRY(more(c, deadline_ns, "the server closed it", err));
	}
}

static tm_rc server_fail(const struct tm_cass_error *e, struct tm_err *err)
{
	tm_fail(err, tm_cass_error_rc(e->code), "%.*s", TM_STR_ARG(e->message));
	if (err)
		err->code = e->code;
	return tm_cass_error_rc(e->code);
}

/* One request and its response. The body is copied to the arena, so that the result outlives the reader's buffer. */
static tm_rc call(struct tm_cassandra_client *c, const struct tm_cass_request *request, const struct tm_cql_result *known,
		  struct tm_arena *arena, struct tm_cass_response *ret, struct tm_err *err)
{
	struct tm_buf body = {0}, out = {0};
	struct tm_cass_envelope e;
	int64_t deadline = tm_mono_ns(tm_env_real()) + (int64_t)c->timeout_ms * 1000000;
	c->stream = (int16_t)((c->stream + 1) & 0x7FFF);
	tm_cass_request_write(&body, c->version, request);
	tm_cass_writer_put(&c->writer, 0, c->stream, request->opcode, tm_buf_str(&body));
	tm_cass_writer_flush(&c->writer, &out);
	tm_rc rc = send_wrapped(c, tm_buf_str(&out), deadline, err);
	tm_buf_done(&body);
	tm_buf_done(&out);
	TM_TRY(rc);
	TM_TRY(receive(c, deadline, &e, err));
	e.body = tm_arena_str(arena, e.body);
	TM_TRY(tm_cass_response_read(&e, known, arena, ret, err));
	return ret->opcode == TM_CASS_ERROR ? server_fail(&ret->error, err) : TM_OK;
}

static tm_rc connect_to(struct tm_cassandra_client *c, const char *host, int port, struct tm_err *err)
{
	char service[16];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	snprintf(service, sizeof service, "%d", port);
	int rc = getaddrinfo(host, service, &hints, &list);
	if (rc != 0)
		return tm_fail(err, TM_UNAVAILABLE, "the host \"%s\" is not known: %s", host, gai_strerror(rc));
	int failed = 0;
	for (struct addrinfo *a = list; a && c->fd < 0; a = a->ai_next) {
		c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (c->fd < 0) {
			failed = errno;
			continue;
		}
		int64_t deadline = tm_mono_ns(tm_env_real()) + (int64_t)c->timeout_ms * 1000000;
		if (connect(c->fd, a->ai_addr, a->ai_addrlen) != 0)
			failed = errno;
		else
			failed = 0;
		if (failed == EINPROGRESS) {
			socklen_t len = sizeof failed;
			failed = ETIMEDOUT;
			if (wait_for(c, POLLOUT, deadline, err) == TM_OK)
				getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &len);
		}
		if (failed) {
			close(c->fd);
			c->fd = -1;
		}
	}
	freeaddrinfo(list);
	if (c->fd < 0) {
		tm_fail(err, TM_UNAVAILABLE, "nothing answers CQL at %s: %s", c->where, strerror(failed));
		tm_err_hint(err, "is it running? `tidemill up` starts an instance; listen.cassandra says where");
		return TM_UNAVAILABLE;
	}
	int on = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return TM_OK;
}

static tm_rc secure(struct tm_cassandra_client *c, const char *host, struct tm_err *err)
{
	int64_t deadline = tm_mono_ns(tm_env_real()) + (int64_t)c->timeout_ms * 1000000;
	c->tls = tm_cass_tls_new(c->tls_context, host);
	TM_TRY(feed(c, NULL, 0, deadline, err));
	while (!tm_cass_tls_ready(c->tls))
		TM_TRY(more(c, deadline, "the server closed it during the TLS handshake", err));
	return TM_OK;
}

static tm_rc authenticate(struct tm_cassandra_client *c, const struct tm_cassandra_client_options *o, struct tm_arena *arena,
			  struct tm_err *err)
{
	struct tm_buf token = {0};
	struct tm_cass_response response;
	if (!o->user) {
		tm_fail(err, TM_DENIED, "%s asks for a user and a password", c->where);
		return TM_DENIED;
	}
	tm_buf_char(&token, 0);
	tm_buf_cstr_put(&token, o->user);
	tm_buf_char(&token, 0);
	tm_buf_cstr_put(&token, o->password ? o->password : "");
	struct tm_cass_request r = {.opcode = TM_CASS_AUTH_RESPONSE, .token = tm_buf_str(&token)};
	tm_rc rc = call(c, &r, NULL, arena, &response, err);
	tm_buf_done(&token);
	return rc;
}

static void hang_up(struct tm_cassandra_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	tm_cass_tls_free(c->tls);
	c->tls = NULL;
	tm_cass_reader_done(&c->reader);
	tm_cass_writer_done(&c->writer);
}

/* Connects and shakes hands in one version. *ret_refused: the server does not speak it. */
static tm_rc shake(struct tm_cassandra_client *c, const struct tm_cassandra_client_options *o, int version, bool *ret_refused,
		   struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_cass_response response;
	enum tm_cass_compression compression = o->compression && strcmp(o->compression, "lz4") == 0 ? TM_CASS_LZ4 : TM_CASS_PLAIN;
	struct tm_cass_option options[] = {{TM_STR("CQL_VERSION"), TM_STR("3.0.0")},
					   {TM_STR("DRIVER_NAME"), TM_STR("tidemill")},
					   {TM_STR("DRIVER_VERSION"), TM_STR(TM_VERSION)},
					   {TM_STR("COMPRESSION"), TM_STR("lz4")}};
	struct tm_cass_request request = {.opcode = TM_CASS_STARTUP, .startup = options, .startup_count = compression ? 4 : 3};
	*ret_refused = false;
	c->version = version;
	c->writer = (struct tm_cass_writer){.version = version};
	tm_cass_reader_init(&c->reader, false);
	TM_TRY(connect_to(c, o->host ? o->host : "127.0.0.1", o->port ? o->port : 9042, err));
	if (c->tls_context)
		TM_TRY(secure(c, o->host ? o->host : "127.0.0.1", err));
	c->reader.compression = version < 5 ? compression : TM_CASS_PLAIN;
	tm_arena_init(&arena);
	tm_rc rc = call(c, &request, NULL, &arena, &response, err);
	if (rc != TM_OK && err && strstr(err->what, "nsupported protocol version"))
		*ret_refused = true;
	if (rc == TM_OK) {
		c->reader.version = version;
		c->reader.compression = c->writer.compression = compression;
		c->reader.segmented = c->writer.segmented = version >= 5;
		if (response.opcode == TM_CASS_AUTHENTICATE)
			rc = authenticate(c, o, &arena, err);
	}
	tm_arena_done(&arena);
	return rc;
}

tm_rc tm_cassandra_client_open(const struct tm_cassandra_client_options *o, struct tm_cassandra_client **ret, struct tm_err *err)
{
	struct tm_cassandra_client *c = tm_zalloc(sizeof *c);
	struct tm_err own = {0};
	bool refused;
	tm_rc rc;
	c->fd = -1;
	c->timeout_ms = o->timeout_ms ? o->timeout_ms : 30000;
	snprintf(c->where, sizeof c->where, "%s:%d", o->host ? o->host : "127.0.0.1", o->port ? o->port : 9042);
	if (o->tls) {
		rc = tm_cass_tls_context_new(o->tls_ca, o->tls_any_name, &c->tls_context, err);
		if (rc) {
			free(c);
			return rc;
		}
	}
	for (int version = o->version ? o->version : 5;; version--) {
		rc = shake(c, o, version, &refused, &own);
		if (rc == TM_OK) {
			*ret = c;
			return TM_OK;
		}
		hang_up(c);
		if (!refused || o->version || version == 3)
			break;
	}
	tm_cass_tls_context_free(c->tls_context);
	free(c);
	if (err)
		*err = own;
	return rc;
}

void tm_cassandra_client_close(struct tm_cassandra_client *c)
{
	if (!c)
		return;
	hang_up(c);
	tm_cass_tls_context_free(c->tls_context);
	free((void *)c->keyspace.at);
	free(c);
}

static void options_default(struct tm_cql_query_options *to, const struct tm_cql_query_options *from)
{
	if (from) {
		*to = *from;
		return;
	}
	tm_cass_options_init(to);
	to->page_size = PAGE_ROWS;
}

static tm_rc finish(struct tm_cassandra_client *c, tm_rc rc, const struct tm_cass_response *response, struct tm_cql_result *ret)
{
	TM_TRY(rc);
	if (response->result.kind == TM_CQL_SET_KEYSPACE) {
		free((void *)c->keyspace.at);
		c->keyspace = tm_str_dup(response->result.keyspace);
	}
	*ret = response->result;
	return TM_OK;
}

tm_rc tm_cassandra_client_query(struct tm_cassandra_client *c, struct tm_str text, const struct tm_cql_query_options *options,
				struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_cass_request r = {.opcode = TM_CASS_QUERY, .text = text};
	struct tm_cass_response response;
	options_default(&r.options, options);
	return finish(c, call(c, &r, NULL, arena, &response, err), &response, ret);
}

tm_rc tm_cassandra_client_prepare(struct tm_cassandra_client *c, struct tm_str text, struct tm_arena *arena,
				  struct tm_cassandra_statement *ret, struct tm_err *err)
{
	struct tm_cass_request r = {.opcode = TM_CASS_PREPARE, .text = text};
	struct tm_cass_response response;
	TM_TRY(call(c, &r, NULL, arena, &response, err));
	*ret = (struct tm_cassandra_statement){.id = response.prepared_id,
					       .result_metadata_id = response.result_metadata_id,
					       .markers = response.markers,
					       .marker_count = response.marker_count,
					       .known = response.result};
	return TM_OK;
}

tm_rc tm_cassandra_client_execute(struct tm_cassandra_client *c, const struct tm_cassandra_statement *s,
				  const struct tm_cql_query_options *options, struct tm_arena *arena, struct tm_cql_result *ret,
				  struct tm_err *err)
{
	struct tm_cass_request r = {.opcode = TM_CASS_EXECUTE,
				    .id = s->id,
				    .result_metadata_id = s->result_metadata_id,
				    .skip_metadata = s->known.column_count > 0};
	struct tm_cass_response response;
	options_default(&r.options, options);
	return finish(c, call(c, &r, &s->known, arena, &response, err), &response, ret);
}

struct tm_str tm_cassandra_client_keyspace(const struct tm_cassandra_client *c) { return c->keyspace; }
