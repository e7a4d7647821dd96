/* Inside the HTTP door: a request on its way through the table of routes. */
#ifndef TM_HTTP_HTTP_INT_H
#define TM_HTTP_HTTP_INT_H
#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include "http/http.h"

enum { TM_HTTP_PARTS = 8 };

/* Sampled counts, from which rates are made. */
struct tm_http_rate {
	char name[256];
	int64_t records;
	double per_s;
};

struct tm_http_server {
	struct MHD_Daemon *daemon;
	int port, kafka_port, cassandra_port;
	bool ready, trusted;
	char *names;                /* may be NULL; see tm_http_options */
	char *project_dir;          /* may be NULL */
	struct tm_http_world world; /* to be looked at between tm_http_enter and tm_http_leave only */
	int64_t started_ns;         /* the same */
	pthread_mutex_t lock;       /* rank: leaf; guards what follows */
	pthread_cond_t moved;       /* version or stopping */
	pthread_cond_t handed;      /* serving, using or stopping */
	uint64_t version;           /* counted up by tm_http_server_changed, by the ticker, and by another world */
	int using;                  /* answers that are being made from world */
	bool serving;               /* world is there */
	bool stopping;
	pthread_t ticker;
	struct tm_http_rate *rates;
	size_t rate_count;
	int64_t rates_at_ns;
};

struct tm_http_request {
	struct tm_http_server *server;
	struct MHD_Connection *connection;
	const char *path;
	struct tm_str parts[TM_HTTP_PARTS]; /* what {…} of the route matched, unescaped (by libmicrohttpd) */
	size_t part_count;
	const json_t *body; /* of a POST */
	struct tm_arena *arena;
};
struct tm_http_answer {
	int status;         /* 0 = 200 */
	const char *type;   /* NULL = application/json */
	struct tm_buf body; /* freed by the server */
};
/* A handler fills the answer, or fails: the error becomes JSON with its HTTP status. */
typedef tm_rc (*tm_http_handler)(struct tm_http_request *request, struct tm_http_answer *answer, struct tm_err *err);

/* world stays as it is until tm_http_leave. False: it is put away, and did not come back within hold_ms. */
bool tm_http_enter(struct tm_http_server *server, int hold_ms) TM_CHECKED;
void tm_http_leave(struct tm_http_server *server);
/* Of a struct tm_http_request: its client is gone, or the door is to close or to be handed on. For what takes long. */
bool tm_http_unwanted(void *request);
void tm_http_headers(struct MHD_Response *response, const char *type, bool cache);
/* events.c */
enum MHD_Result tm_http_events_start(struct tm_http_server *server, struct MHD_Connection *connection);
void *tm_http_tick(void *server);

const char *tm_http_query(const struct tm_http_request *request, const char *name); /* NULL = not given */
int64_t tm_http_query_i64(const struct tm_http_request *request, const char *name, int64_t fallback);
const char *tm_http_part(struct tm_http_request *request, size_t i); /* NUL-terminated, in the arena */
/* Appends the JSON and lets go of it. */
void tm_http_put(struct tm_http_answer *answer, json_t *json);
json_t *tm_http_text(struct tm_str s); /* a string, or {"$hex": …} where it is no UTF-8 */

/* The picture of the whole run; also what /api/events sends. */
json_t *tm_http_status(struct tm_http_server *server);
json_t *tm_http_topics(struct tm_http_server *server);
json_t *tm_http_tables(struct tm_http_server *server);

tm_rc tm_http_api_status(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_topics(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_records(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_produce(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_tables(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_diagnosis(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_sql(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_cql(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_dags(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_dag(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_runs(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_run(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_log(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_trigger(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_pause(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);
tm_rc tm_http_api_clear(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err);

/* The page's files, embedded at build (tools/gen/embed.py). */
struct tm_http_asset {
	const char *path, *type, *etag;
	const unsigned char *bytes;
	size_t size;
	bool gzip;
};
extern const struct tm_http_asset tm_http_assets[];
extern const size_t tm_http_asset_count;
#endif
