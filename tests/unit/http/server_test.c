/* The HTTP door over plain sockets: who may ask, what is refused and how, what every answer carries, events, and the end with watchers. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "http/http_int.h"
#include "stream/source.h"
#include "table/table.h"
#include "unit.h"

static struct tm_store *store;
static struct tm_stream_world stream;
static struct tm_http_server *server;

static void begin(const struct tm_http_options *options)
{
	struct tm_err err = {0};
	CHECK(tm_store_open("", &(struct tm_store_options){.env = tm_env_real(), .memory_only = true}, &store, &err) == TM_OK);
	stream = (struct tm_stream_world){.env = tm_env_real(), .store = store};
	struct tm_http_world world = {.project_dir = "/nowhere", .kafka_port = 1, .cassandra_port = 2, .store = store, .stream = &stream};
	CHECK(tm_http_server_start(&world, options, &server, &err) == TM_OK);
}

static void end(void)
{
	tm_http_server_stop(server);
	tm_store_close(store);
}

static int dial(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)tm_http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 20};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

/* Reads until the other side closes, or until `word` came. */
static struct tm_str hear(int fd, const char *word, struct tm_buf *out)
{
	char part[4096];
	out->len = 0;
	for (;;) {
		ssize_t n = read(fd, part, sizeof part);
		if (n <= 0)
			break;
		tm_buf_put(out, part, (size_t)n);
		if (word && tm_str_find(tm_buf_str(out), tm_str_of(word), 0) != SIZE_MAX)
			break;
	}
	return tm_buf_str(out);
}

static struct tm_buf answer_bytes;
/* One request on a connection of its own: its status; the whole answer stays in answer_bytes. */
static int ask(const char *method, const char *path, const char *headers, const char *body)
{
	struct tm_buf b = {0};
	int fd = dial(), status = 0;
	tm_buf_printf(&b, "%s %s HTTP/1.1\r\n%sConnection: close\r\n", method, path, headers);
	if (body)
		tm_buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
	tm_buf_printf(&b, "\r\n%s", body ? body : "");
	CHECK(write(fd, b.at, b.len) == (ssize_t)b.len);
	struct tm_str got = hear(fd, NULL, &answer_bytes);
	(void)got;
	if (answer_bytes.len)
		sscanf(tm_buf_cstr(&answer_bytes), "HTTP/1.1 %d", &status);
	close(fd);
	tm_buf_done(&b);
	return status;
}
static bool said(const char *word) { return tm_str_find(tm_buf_str(&answer_bytes), tm_str_of(word), 0) != SIZE_MAX; }

#define OURS "Host: 127.0.0.1:1\r\n"
#define JSON OURS "Content-Type: application/json\r\n"

TEST(health_tells_when_all_doors_listen)
{
	begin(&(struct tm_http_options){0});
	CHECK_INT(ask("GET", "/health", OURS, NULL), 503);
	CHECK(said("\"starting\""));
	tm_http_server_ready(server, true);
	CHECK_INT(ask("GET", "/health", OURS, NULL), 200);
	CHECK(said("\"kafka\": 1, \"cassandra\": 2"));
	CHECK_INT(ask("HEAD", "/health", OURS, NULL), 200);
	end();
}

/* A page elsewhere may make a browser send requests, or give its own name our address: it has neither our Host nor our Origin. */
TEST(only_our_own_page_may_ask)
{
	static const struct {
		const char *method, *headers;
		int status, trusted_status;
	} cases[] = {
	    {"GET", "Host: 127.0.0.1:80\r\n", 200, 200},
	    {"GET", "Host: localhost\r\n", 200, 200},
	    {"GET", "Host: [::1]:9\r\n", 200, 200},
	    {"GET", "Host: evil.example\r\n", 403, 403},
	    {"GET", "Host: 127.0.0.1.evil.example\r\n", 403, 403},
	    {"GET", "Host: 127.evil.example:80\r\nOrigin: http://127.evil.example:80\r\n", 403, 403},
	    {"GET", "Host: 127.8.9.1\r\n", 200, 200},
	    {"GET", "Host: 192.168.7.8:80\r\n", 403, 200},
	    {"GET", "Host: [fe80::1]:80\r\n", 403, 200},
	    {"GET", "Host: mill.lan\r\n", 403, 200},
	    {"GET", "Host: MILL.lan:80\r\n", 403, 200},
	    {"GET", "Host: xmill.lan\r\n", 403, 403},
	    {"GET", "Host: 127.0.0.1:80\r\nOrigin: http://evil.example\r\n", 403, 403},
	    {"GET", "Host: 127.0.0.1:80\r\nOrigin: null\r\n", 403, 403},
	    {"GET", "Host: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:81\r\n", 403, 403},
	    {"GET", "Host: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:80\r\n", 200, 200},
	    {"POST", "Host: 127.0.0.1:80\r\nSec-Fetch-Site: cross-site\r\n", 403, 403},
	    {"POST", "Host: 127.0.0.1:80\r\nSec-Fetch-Site: same-site\r\n", 403, 403},
	    {"POST", "Host: 127.0.0.1:80\r\nSec-Fetch-Site: same-origin\r\n", 200, 200},
	    {"POST", "Host: 127.0.0.1:80\r\n", 200, 200},
	};
	for (int trusted = 0; trusted < 2; trusted++) {
		begin(&(struct tm_http_options){.trusted = trusted, .names = trusted ? "other.lan, mill.lan" : NULL});
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			char headers[300];
			bool post = *cases[i].method == 'P';
			snprintf(headers, sizeof headers, "%s%s", cases[i].headers, post ? "Content-Type: application/json\r\n" : "");
			int status = ask(cases[i].method, post ? "/api/cql" : "/api/tables", headers,
					 post ? "{\"cql\": \"SELECT key FROM system.local\"}" : NULL);
			if (status != (trusted ? cases[i].trusted_status : cases[i].status))
				printf("case %zu: %s", i, cases[i].headers);
			CHECK_INT(status, trusted ? cases[i].trusted_status : cases[i].status);
		}
		end();
	}
}

TEST(what_is_no_request_of_ours_is_refused_with_a_reason)
{
	begin(&(struct tm_http_options){0});
	CHECK_INT(ask("GET", "/api/nothing", OURS, NULL), 404);
	CHECK(said("docs/api.md"));
	CHECK_INT(ask("GET", "/../../etc/passwd", OURS, NULL), 404);
	CHECK_INT(ask("DELETE", "/api/tables", OURS, NULL), 405);
	CHECK_INT(ask("GET", "/api/cql", OURS, NULL), 405);
	CHECK_INT(ask("POST", "/api/cql", OURS "Content-Type: text/plain\r\n", "{}"), 400);
	CHECK(said("application/json"));
	CHECK_INT(ask("POST", "/api/cql", JSON, "{\"cql\": "), 400);
	CHECK_INT(ask("POST", "/api/cql", JSON, "[1]"), 400);
	CHECK_INT(ask("POST", "/api/cql", JSON, "{\"cql\": 1}"), 400);
	CHECK(said("needs a text"));
	CHECK_INT(ask("POST", "/api/cql", JSON, "{\"cql\": \"x\", \"cql\": \"y\"}"), 400);
	CHECK_INT(ask("GET", "/api/tables", "", NULL), 403); /* without Host */
	struct tm_buf large = {0};
	tm_buf_printf(&large, "{\"cql\": \"");
	for (size_t i = 0; i < TM_LIMIT_HTTP_BODY_BYTES; i += 64)
		tm_buf_cstr_put(&large, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	tm_buf_cstr_put(&large, "\"}");
	CHECK_INT(ask("POST", "/api/cql", JSON, tm_buf_cstr(&large)), 413);
	tm_buf_done(&large);
	end();
}

TEST(every_answer_forbids_what_the_page_does_not_need)
{
	static const char *const paths[] = {"/", "/health", "/metrics", "/api/tables", "/api/nothing", "/nothing"};
	begin(&(struct tm_http_options){0});
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		ask("GET", paths[i], OURS, NULL);
		CHECK(said("Content-Security-Policy: default-src 'none'; script-src 'self'"));
		CHECK(said("X-Content-Type-Options: nosniff") && said("X-Frame-Options: DENY"));
		CHECK(!said("Access-Control-Allow"));
	}
	CHECK_INT(ask("GET", "/", OURS, NULL), 200);
	const char *etag = strstr(tm_buf_cstr(&answer_bytes), "ETag: ");
	CHECK(etag != NULL);
	char headers[200];
	snprintf(headers, sizeof headers, OURS "If-None-Match: %.*s\r\n", (int)strcspn(etag + 6, "\r"), etag + 6);
	CHECK_INT(ask("GET", "/", headers, NULL), 304);
	end();
}

TEST(statements_are_answered_line_by_line_and_the_error_is_the_last)
{
	begin(&(struct tm_http_options){0});
	CHECK_INT(
	    ask("POST", "/api/cql", JSON,
		"{\"cql\": \"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}; USE k; CREATE "
		"TABLE t (a int PRIMARY KEY, b blob); INSERT INTO t (a, b) VALUES (1, 0xff00); SELECT * FROM t; SELECT x FROM t; "
		"SELECT * FROM t\"}"),
	    200);
	CHECK(said("\"rows\":[[1,\"0xff00\"]]}"));
	CHECK(said("\"code\": \"0x2200\""));
	const char *error = strstr(tm_buf_cstr(&answer_bytes), "{\"error\"");
	CHECK(error && !strchr(error, '\n')[1]); /* what stands behind the error is not run */
	CHECK_INT(ask("POST", "/api/sql", JSON, "{\"sql\": \"SELECT 1 AS one; SELECT 1 +\"}"), 200);
	CHECK(said("\"one\"") && said("PARSE_SYNTAX_ERROR"));
	end();
}

static void nested(struct tm_buf *out, const char *begin, const char *before, int times, const char *middle, const char *after)
{
	out->len = 0;
	tm_buf_printf(out, "{\"sql\": \"%s", begin);
	for (int i = 0; i < times; i++)
		tm_buf_cstr_put(out, before);
	tm_buf_cstr_put(out, middle);
	for (int i = 0; i < times; i++)
		tm_buf_cstr_put(out, after);
	tm_buf_cstr_put(out, "\"}");
}

/* What the parser takes must not be more than the stack of the door's threads can bear. */
TEST(deeply_nested_statements_are_answered_or_refused)
{
	static const struct {
		const char *begin, *before, *middle, *after;
	} forms[] = {{"", "SELECT * FROM (", "SELECT 1 AS x", ")"},
		     {"FROM VALUES (1) t(x) ", "|> SET x = x + 1 ", "|> SELECT x", ""},
		     {"SELECT ", "abs(", "1", ")"},
		     {"SELECT 1 AS x ", "UNION ALL SELECT 1 ", "", ""},
		     {"SELECT count(*) FROM range(1) ", ", range(1) ", "", ""},
		     {"SELECT count(*) FROM range(1) ", "CROSS JOIN range(1) ", "", ""},
		     {"SELECT ", "(SELECT ", "1", ")"},
		     {"SELECT 1 AS x WHERE ", "EXISTS (SELECT 1 WHERE ", "true", ")"}};
	begin(&(struct tm_http_options){0});
	struct tm_buf body = {0};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		for (int times = 240; times <= 3840; times *= 2) {
			nested(&body, forms[i].begin, forms[i].before, times, forms[i].middle, forms[i].after);
			CHECK_INT(ask("POST", "/api/sql", JSON, tm_buf_cstr(&body)), 200);
			CHECK(said("\"rows\": [[") || said("TOO_COMPLEX"));
			CHECK(times < 1000 || said("TOO_COMPLEX"));
		}
	tm_buf_done(&body);
	end();
}

TEST(watchers_hear_of_changes_and_do_not_hold_up_the_end)
{
	begin(&(struct tm_http_options){0});
	struct tm_buf b = {0};
	int watchers[3];
	static const char request[] = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
	for (int i = 0; i < 3; i++) {
		watchers[i] = dial();
		CHECK(write(watchers[i], request, sizeof request - 1) == sizeof request - 1);
		hear(watchers[i], "event: status\ndata: {", &b); /* the picture as it is now */
		CHECK(tm_str_find(tm_buf_str(&b), TM_STR("text/event-stream"), 0) != SIZE_MAX);
	}
	tm_http_server_changed(server);
	for (int i = 0; i < 3; i++) {
		hear(watchers[i], "event: status", &b);
		CHECK(tm_str_find(tm_buf_str(&b), TM_STR("event: status"), 0) != SIZE_MAX);
	}
	/* Half a request, and bytes that are none, are nobody's business either. */
	int half = dial(), noise = dial();
	CHECK(write(half, "POST /api/cql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{", 65) > 0);
	CHECK(write(noise, "\0\0\0\x10\0\x03\0\x01garbage\r\n\r\n", 20) > 0);
	CHECK_INT(ask("GET", "/health", OURS, NULL), 503);
	end();
	for (int i = 0; i < 3; i++) {
		hear(watchers[i], NULL, &b); /* ends: the server closed it */
		close(watchers[i]);
	}
	close(half);
	close(noise);
	tm_buf_done(&b);
}

/* Waits until so many answers are being made. */
static bool answers_under_way(int wanted)
{
	for (int tries = 0; tries < 3000; tries++) {
		pthread_mutex_lock(&server->lock);
		int n = server->using;
		pthread_mutex_unlock(&server->lock);
		if (n == wanted)
			return true;
		usleep(10000);
	}
	return false;
}

/* A request that would take hours. */
static int dial_and_ask_for_long(void)
{
	static const char request[] =
	    "POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 77\r\n\r\n"
	    "{\"sql\": \"SELECT count(*) FROM range(9000000000000000) WHERE id % 7 = 3     \"}";
	int fd = dial();
	CHECK(write(fd, request, sizeof request - 1) == sizeof request - 1);
	CHECK(answers_under_way(1));
	return fd;
}

/* Neither does a query hold up the end, nor the hand over to the next instance, nor does it go on when nobody waits for it. */
TEST(a_long_query_ends_when_nobody_wants_it)
{
	struct tm_http_world world = {.project_dir = "/again"};
	struct tm_buf b = {0};
	begin(&(struct tm_http_options){0});
	close(dial_and_ask_for_long());
	CHECK(answers_under_way(0));
	int asked = dial_and_ask_for_long();
	tm_http_server_put_away(server); /* waits for it */
	hear(asked, "OPERATION_CANCELED", &b);
	CHECK(tm_str_find(tm_buf_str(&b), TM_STR("OPERATION_CANCELED"), 0) != SIZE_MAX);
	close(asked);
	tm_http_server_serve(server, &world);
	asked = dial_and_ask_for_long();
	end();
	close(asked);
	tm_buf_done(&b);
}

static void *serve_again(void *world)
{
	usleep(100000);
	tm_http_server_serve(server, world);
	return NULL;
}

/* An instance that starts again as a follower keeps its door: nobody who asks meanwhile is turned away. */
TEST(the_door_outlives_what_it_serves)
{
	begin(&(struct tm_http_options){0});
	tm_http_server_ready(server, true);
	struct tm_buf b = {0};
	int watcher = dial();
	static const char request[] = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
	CHECK(write(watcher, request, sizeof request - 1) == sizeof request - 1);
	hear(watcher, "\"project\":\"/nowhere\"", &b);
	tm_http_server_put_away(server);
	tm_http_server_put_away(server); /* a start that failed: nothing was served between them */
	CHECK_INT(ask("GET", "/health", OURS, NULL), 503);
	CHECK(said("\"starting\"") && said("/nowhere") && said("\"cassandra\": 2"));
	CHECK_INT(ask("GET", "/", OURS, NULL), 200); /* the page itself is always there */
	struct tm_http_world world = {.project_dir = "/again", .store = store, .stream = &stream};
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, serve_again, &world) == 0);
	CHECK_INT(ask("POST", "/api/cql", JSON, "{\"cql\": \"SELECT key FROM system.local\"}"), 200); /* it has waited */
	pthread_join(thread, NULL);
	CHECK_INT(ask("GET", "/api/status", OURS, NULL), 200);
	CHECK(said("\"project\":\"/again\""));
	hear(watcher, "\"project\":\"/again\"", &b); /* on the connection it had */
	CHECK(tm_str_find(tm_buf_str(&b), TM_STR("/again"), 0) != SIZE_MAX);
	tm_http_server_put_away(server);
	CHECK_INT(ask("GET", "/api/tables", OURS, NULL), 503); /* nothing came: who asks is told */
	CHECK(said("starting again"));
	end();
	close(watcher);
	tm_buf_done(&b);
}

TEST_MAIN()
