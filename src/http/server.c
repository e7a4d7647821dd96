/* Connections, the table of routes, and what protects them. A thread per connection: there are few (a browser, a scraper), and a
 * stream of events may wait as long as it likes. */
#include "http/http_int.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/metrics.h"

enum {
	CONNECTIONS = 64,
	HOLD_MS = 3000, /* what a request waits for an instance that is starting again, before it is refused */
};

static const struct {
	const char *method, *pattern;
	tm_http_handler handler;
} routes[] = {
    {"GET", "/api/status", tm_http_api_status},
    {"GET", "/api/topics", tm_http_api_topics},
    {"GET", "/api/topics/{}/records", tm_http_api_records},
    {"POST", "/api/topics/{}/records", tm_http_api_produce},
    {"GET", "/api/tables", tm_http_api_tables},
    {"GET", "/api/diagnosis", tm_http_api_diagnosis},
    {"POST", "/api/sql", tm_http_api_sql},
    {"POST", "/api/cql", tm_http_api_cql},
    {"GET", "/api/dags", tm_http_api_dags},
    {"GET", "/api/dags/{}", tm_http_api_dag},
    {"GET", "/api/dags/{}/runs", tm_http_api_runs},
    {"GET", "/api/dags/{}/runs/{}", tm_http_api_run},
    {"GET", "/api/dags/{}/runs/{}/tasks/{}/log", tm_http_api_log},
    {"POST", "/api/dags/{}/trigger", tm_http_api_trigger},
    {"POST", "/api/dags/{}/pause", tm_http_api_pause},
    {"POST", "/api/dags/{}/runs/{}/clear", tm_http_api_clear},
};

static struct tm_metric requests_total = TM_COUNTER("tidemill_http_requests_total", "Requests to the HTTP door.");

/* ---- helpers of the handlers ---- */

const char *tm_http_query(const struct tm_http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

int64_t tm_http_query_i64(const struct tm_http_request *r, const char *name, int64_t fallback)
{
	const char *text = tm_http_query(r, name);
	int64_t v;
	return text && tm_str_to_i64(tm_str_of(text), &v) ? v : fallback;
}

const char *tm_http_part(struct tm_http_request *r, size_t i) { return i < r->part_count ? tm_arena_cstr(r->arena, r->parts[i]) : ""; }

void tm_http_put(struct tm_http_answer *a, json_t *json)
{
	char *s = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
	tm_buf_cstr_put(&a->body, s ? s : "null");
	free(s);
	json_decref(json);
}

json_t *tm_http_text(struct tm_str s)
{
	if (tm_utf8_valid(s))
		return json_stringn_nocheck(s.at ? s.at : "", s.len);
	struct tm_buf hex = {0};
	for (size_t i = 0; i < s.len; i++)
		tm_buf_printf(&hex, "%02x", (unsigned char)s.at[i]);
	json_t *v = json_pack("{s:s}", "$hex", tm_buf_cstr(&hex));
	tm_buf_done(&hex);
	return v;
}

/* ---- protection ---- */

static bool ip_address(struct tm_str host)
{
	char text[64];
	unsigned char at[sizeof(struct in6_addr)];
	if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
		host = tm_str_slice(host, 1, host.len - 1);
	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.at, host.len);
	text[host.len] = 0;
	return inet_pton(AF_INET, text, at) == 1 || inet_pton(AF_INET6, text, at) == 1;
}

/* An address, not what begins like one: anybody may own 127.example.org and let it lead here. */
static bool loopback_name(struct tm_str host)
{
	return tm_str_iis(host, "localhost") || tm_str_is(host, "[::1]") || (tm_str_starts(host, TM_STR("127.")) && ip_address(host));
}

static bool own_name(const struct tm_http_server *s, struct tm_str host)
{
	for (const char *at = s->names ? s->names : ""; *at;) {
		size_t len = strcspn(at, ",");
		if (host.len && tm_str_ieq(tm_str_trim(tm_str_n(at, len)), host))
			return true;
		at += len + (at[len] == ',');
	}
	return false;
}

/* Host must name this machine: its loopback, or in a trusted network an address or a name that the configuration gives it (a page
 * elsewhere that rebinds its own name has neither). Origin must be that same host. */
static bool trusted(const struct tm_http_server *s, struct MHD_Connection *c, bool changes)
{
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
	const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");
	const char *site = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Sec-Fetch-Site");
	if (!host)
		return false;
	struct tm_str name = tm_str_of(host);
	size_t colon = name.len;
	while (colon > 0 && name.at[colon - 1] != ':' && name.at[colon - 1] != ']')
		colon--;
	if (colon > 0 && name.at[colon - 1] == ':')
		name.len = colon - 1;
	if (!loopback_name(name) && !(s->trusted && (ip_address(name) || own_name(s, name))))
		return false;
	if (origin) {
		if (strncmp(origin, "http://", 7) != 0 || strcmp(origin + 7, host) != 0)
			return false;
	} else if (changes && site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
		return false;
	}
	return true;
}

void tm_http_headers(struct MHD_Response *response, const char *type, bool cache)
{
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
				"font-src 'self'; base-uri 'none'; "
				"form-action 'none'; frame-ancestors 'none'");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "DENY");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(response, "Cache-Control", cache ? "no-cache" : "no-store");
}

static enum MHD_Result reply(struct MHD_Connection *c, int status, const char *type, struct tm_buf *body)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(body->len, body->at ? body->at : (void *)(uintptr_t) "", MHD_RESPMEM_MUST_COPY);
	tm_http_headers(response, type, false);
	enum MHD_Result rc = MHD_queue_response(c, (unsigned)status, response);
	MHD_destroy_response(response);
	tm_buf_done(body);
	return rc;
}

static enum MHD_Result reply_error(struct MHD_Connection *c, int status, const struct tm_err *err)
{
	json_t *e = json_pack("{s:{s:s, s:s, s:s, s:s, s:i, s:i}}", "error", "what", err->what, "detail", err->detail, "hint", err->hint,
			      "class", err->klass, "line", err->line, "column", err->column);
	struct tm_http_answer a = {0};
	tm_http_put(&a, e ? e : json_pack("{s:{s:s}}", "error", "what", "error"));
	return reply(c, status, "application/json", &a.body);
}

static enum MHD_Result refuse(struct MHD_Connection *c, tm_rc rc, const char *what)
{
	struct tm_err err;
	tm_fail(&err, rc, "%s", what);
	return reply_error(c, tm_rc_http(rc), &err);
}

/* ---- requests ---- */

/* "/api/dags/{}/runs" against "/api/dags/x/runs". */
static bool matches(const char *pattern, const char *path, struct tm_str *parts, size_t *ret_count)
{
	size_t n = 0;
	while (*pattern) {
		if (pattern[0] == '{' && pattern[1] == '}') {
			size_t len = strcspn(path, "/");
			if (len == 0 || n == TM_HTTP_PARTS)
				return false;
			parts[n++] = tm_str_n(path, len);
			path += len;
			pattern += 2;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	*ret_count = n;
	return *path == 0;
}

static enum MHD_Result asset(struct MHD_Connection *c, const char *path)
{
	if (strcmp(path, "/") == 0)
		path = "/index.html";
	for (size_t i = 0; i < tm_http_asset_count; i++) {
		const struct tm_http_asset *a = &tm_http_assets[i];
		if (strcmp(a->path, path) != 0)
			continue;
		const char *has = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
		bool same = has && strcmp(has, a->etag) == 0;
		struct MHD_Response *response =
		    MHD_create_response_from_buffer(same ? 0 : a->size, (void *)(uintptr_t)a->bytes, MHD_RESPMEM_PERSISTENT);
		tm_http_headers(response, a->type, true);
		MHD_add_response_header(response, "ETag", a->etag);
		if (a->gzip && !same)
			MHD_add_response_header(response, "Content-Encoding", "gzip");
		enum MHD_Result rc = MHD_queue_response(c, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
		MHD_destroy_response(response);
		return rc;
	}
	return refuse(c, TM_NOT_FOUND, "there is no such page");
}

static enum MHD_Result health(struct tm_http_server *s, struct MHD_Connection *c)
{
	bool ready = __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE);
	struct tm_buf body = {0};
	tm_buf_printf(&body, "{\"status\": \"%s\", \"version\": \"%s\", \"project\": ", ready ? "ok" : "starting", TM_VERSION);
	tm_buf_json_str(&body, tm_str_of(s->project_dir ? s->project_dir : ""));
	tm_buf_printf(&body, ", \"doors\": {\"kafka\": %d, \"cassandra\": %d, \"http\": %d}}", s->kafka_port, s->cassandra_port, s->port);
	return reply(c, ready ? 200 : 503, "application/json", &body);
}

static enum MHD_Result handle(struct tm_http_server *s, struct MHD_Connection *c, const char *method, const char *path,
			      tm_http_handler handler, struct tm_str *parts, size_t part_count, const struct tm_buf *body)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_http_request r = {.server = s, .connection = c, .path = path, .part_count = part_count, .arena = &arena};
	memcpy(r.parts, parts, sizeof r.parts);
	struct tm_http_answer a = {0};
	struct tm_err err = {0};
	json_t *json = NULL;
	tm_rc rc = TM_OK;
	if (strcmp(method, "POST") == 0) {
		json_error_t bad;
		json = json_loadb(body->len ? body->at : "{}", body->len ? body->len : 2, JSON_REJECT_DUPLICATES, &bad);
		if (!json_is_object(json))
			rc = tm_fail(&err, TM_INVALID, "the body is no JSON object: %s", json ? "another value" : bad.text);
		r.body = json;
	}
	if (rc == TM_OK && !tm_http_enter(s, HOLD_MS))
		rc = tm_fail(&err, TM_UNAVAILABLE, "this instance is starting again; what it waits for is in its log");
	if (rc == TM_OK) {
		rc = handler(&r, &a, &err);
		tm_http_leave(s);
	}
	enum MHD_Result sent;
	if (rc != TM_OK) {
		tm_buf_done(&a.body);
		sent = reply_error(c, tm_rc_http(rc), &err);
	} else {
		sent = reply(c, a.status ? a.status : 200, a.type ? a.type : "application/json", &a.body);
	}
	json_decref(json);
	tm_arena_done(&arena);
	return sent;
}

struct call {
	struct tm_buf body;
	bool too_large;
};

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path, const char *method, const char *version,
				  const char *data, size_t *data_size, void **state)
{
	(void)version;
	struct tm_http_server *s = ctx;
	if (!*state) {
		*state = tm_zalloc(sizeof(struct call));
		return MHD_YES;
	}
	struct call *call = *state;
	if (*data_size) {
		if (call->body.len + *data_size > TM_LIMIT_HTTP_BODY_BYTES)
			call->too_large = true;
		else
			tm_buf_put(&call->body, data, *data_size);
		*data_size = 0;
		return MHD_YES;
	}
	tm_metric_add(&requests_total, 1);
	bool post = strcmp(method, "POST") == 0;
	if (!trusted(s, c, post))
		return refuse(
		    c, TM_DENIED,
		    "this Host or Origin is not ours: open the page at http://127.0.0.1 with its port, or name it in listen.names");
	if (call->too_large)
		return refuse(c, TM_LIMIT, "the body is larger than 8 MiB");
	bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (get && strcmp(path, "/health") == 0)
		return health(s, c);
	if (get && strcmp(path, "/metrics") == 0) {
		struct tm_buf body = {0};
		tm_metrics_render(&body);
		return reply(c, 200, "text/plain; version=0.0.4", &body);
	}
	if (get && strcmp(path, "/api/events") == 0)
		return tm_http_events_start(s, c);
	bool known = false;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		struct tm_str parts[TM_HTTP_PARTS] = {{0}};
		size_t part_count;
		if (!matches(routes[i].pattern, path, parts, &part_count))
			continue;
		known = true;
		if (strcmp(routes[i].method, get ? "GET" : method) != 0)
			continue;
		const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");
		if (post && (!type || strncmp(type, "application/json", 16) != 0))
			return refuse(c, TM_INVALID, "a POST needs Content-Type: application/json");
		return handle(s, c, method, path, routes[i].handler, parts, part_count, &call->body);
	}
	if (known || !get) {
		struct tm_buf body = {0};
		tm_buf_cstr_put(&body, "{\"error\": {\"what\": \"this method is not served here\"}}");
		return reply(c, 405, "application/json", &body);
	}
	if (strncmp(path, "/api/", 5) == 0)
		return refuse(c, TM_NOT_FOUND, "there is no such request; docs/api.md lists them");
	return asset(c, path);
}

static void on_done(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	(void)ctx, (void)c, (void)code;
	struct call *call = *state;
	if (call)
		tm_buf_done(&call->body);
	free(call);
	*state = NULL;
}

/* ---- start and stop ---- */

static tm_rc listen_on(const struct tm_http_options *o, int *ret_fd, int *ret_port, struct tm_err *err)
{
	const char *host = o->host ? o->host : "127.0.0.1";
	bool v6 = strchr(host, ':') != NULL;
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)o->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr) != 1)
		return tm_fail(err, TM_INVALID, "'%s' is not an address to listen on", host);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0)
		return tm_fail_errno(err, errno, "no socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	socklen_t size = v6 ? sizeof a6 : sizeof a4;
	if (bind(fd, v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4, size) != 0 || listen(fd, 64) != 0) {
		int e = errno;
		close(fd);
		if (e == EADDRINUSE)
			return tm_fail(err, TM_BUSY, "port %d of %s is in use", o->port, host);
		return tm_fail_errno(err, e, "cannot listen on %s:%d", host, o->port);
	}
	struct sockaddr_storage bound;
	socklen_t n = sizeof bound;
	getsockname(fd, (struct sockaddr *)&bound, &n);
	*ret_port = ntohs(v6 ? ((struct sockaddr_in6 *)&bound)->sin6_port : ((struct sockaddr_in *)&bound)->sin_port);
	*ret_fd = fd;
	return TM_OK;
}

TM_PRINTF(2, 0) static void quiet(void *ctx, const char *fmt, va_list ap)
{
	char text[500];
	(void)ctx;
	vsnprintf(text, sizeof text, fmt, ap);
	tm_say(TM_SAY_DEBUG, "http", "%s", text);
}

static void server_free(struct tm_http_server *s)
{
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->moved);
	pthread_cond_destroy(&s->handed);
	free(s->rates);
	free(s->names);
	free(s->project_dir);
	free(s);
}

tm_rc tm_http_server_start(const struct tm_http_world *world, const struct tm_http_options *options, struct tm_http_server **ret,
			   struct tm_err *err)
{
	int fd = -1, port = 0;
	TM_TRY(listen_on(options, &fd, &port, err));
	struct tm_http_server *s = tm_zalloc(sizeof *s);
	s->port = port;
	s->trusted = options->trusted;
	s->names = options->names ? tm_strdup(options->names) : NULL;
	s->project_dir = world->project_dir ? tm_strdup(world->project_dir) : NULL;
	s->kafka_port = world->kafka_port;
	s->cassandra_port = world->cassandra_port;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->moved, NULL);
	pthread_cond_init(&s->handed, NULL);
	tm_http_server_serve(s, world);
	s->daemon = MHD_start_daemon(
	    MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	    on_request, s, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(128 * TM_KIB),
	    MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_THREAD_STACK_SIZE, (size_t)TM_STACK_BYTES, MHD_OPTION_END);
	tm_rc rc = s->daemon ? tm_thread_start(&s->ticker, "http-tick", tm_http_tick, s, err)
			     : tm_fail(err, TM_IO, "the HTTP door does not start");
	if (rc != TM_OK) {
		if (s->daemon)
			MHD_stop_daemon(s->daemon);
		else
			close(fd);
		server_free(s);
		return rc;
	}
	*ret = s;
	return TM_OK;
}

/* ---- what is served ---- */

bool tm_http_enter(struct tm_http_server *s, int hold_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += hold_ms / 1000;
	pthread_mutex_lock(&s->lock);
	while (!s->serving && !s->stopping && hold_ms && pthread_cond_timedwait(&s->handed, &s->lock, &until) != ETIMEDOUT)
		;
	bool serving = s->serving;
	s->using += serving;
	pthread_mutex_unlock(&s->lock);
	return serving;
}

void tm_http_leave(struct tm_http_server *s)
{
	pthread_mutex_lock(&s->lock);
	if (--s->using == 0)
		pthread_cond_broadcast(&s->handed);
	pthread_mutex_unlock(&s->lock);
}

bool tm_http_unwanted(void *request)
{
	const struct tm_http_request *r = request;
	struct tm_http_server *s = r->server;
	pthread_mutex_lock(&s->lock);
	bool over = s->stopping || !s->serving;
	pthread_mutex_unlock(&s->lock);
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	char next;
	return over || (info && recv(info->connect_fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

void tm_http_server_serve(struct tm_http_server *s, const struct tm_http_world *world)
{
	pthread_mutex_lock(&s->lock);
	s->world = *world;
	s->started_ns = tm_mono_ns(tm_env_real());
	s->serving = true;
	s->version++;
	pthread_cond_broadcast(&s->handed);
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
}

void tm_http_server_put_away(struct tm_http_server *s)
{
	tm_http_server_ready(s, false);
	pthread_mutex_lock(&s->lock);
	s->serving = false;
	while (s->using)
		pthread_cond_wait(&s->handed, &s->lock);
	s->world = (struct tm_http_world){0};
	pthread_mutex_unlock(&s->lock);
}

int tm_http_server_port(const struct tm_http_server *s) { return s->port; }
void tm_http_server_ready(struct tm_http_server *s, bool ready) { __atomic_store_n(&s->ready, ready, __ATOMIC_RELEASE); }

void tm_http_server_stop(struct tm_http_server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->moved);
	pthread_cond_broadcast(&s->handed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->ticker, NULL);
	MHD_stop_daemon(s->daemon);
	server_free(s);
}
