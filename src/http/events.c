/* Server-sent events: the picture of the whole run, again whenever it has changed. */
#include "http/http_int.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVENT_GAP_MS = 250, TICK_MS = 1000, PING_S = 15 };

struct events {
	struct tm_http_server *server;
	uint64_t seen;
	int64_t sent_ns;
	struct tm_buf pending;
	size_t at;
};

static ssize_t events_read(void *ctx, uint64_t pos, char *out, size_t max)
{
	(void)pos;
	struct events *e = ctx;
	struct tm_http_server *s = e->server;
	if (e->at == e->pending.len) {
		e->pending.len = e->at = 0;
		int64_t since = (tm_mono_ns(tm_env_real()) - e->sent_ns) / 1000000;
		if (e->sent_ns && since < EVENT_GAP_MS)
			usleep((useconds_t)(EVENT_GAP_MS - since) * 1000);
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PING_S;
		pthread_mutex_lock(&s->lock);
		while (e->seen == s->version && !s->stopping)
			if (pthread_cond_timedwait(&s->moved, &s->lock, &until) == ETIMEDOUT)
				break;
		bool moved = e->seen != s->version, stopping = s->stopping;
		e->seen = s->version;
		pthread_mutex_unlock(&s->lock);
		if (stopping)
			return MHD_CONTENT_READER_END_OF_STREAM;
		e->sent_ns = tm_mono_ns(tm_env_real());
		if (moved && tm_http_enter(s, 0)) {
			json_t *status = tm_http_status(s);
			char *text = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(12));
			tm_buf_printf(&e->pending, "event: status\ndata: %s\n\n", text);
			free(text);
			json_decref(status);
			tm_http_leave(s);
		} else {
			tm_buf_cstr_put(&e->pending, ": still here\n\n");
		}
	}
	size_t n = e->pending.len - e->at < max ? e->pending.len - e->at : max;
	memcpy(out, e->pending.at + e->at, n);
	e->at += n;
	return (ssize_t)n;
}

static void events_free(void *ctx)
{
	struct events *e = ctx;
	tm_buf_done(&e->pending);
	free(e);
}

enum MHD_Result tm_http_events_start(struct tm_http_server *s, struct MHD_Connection *c)
{
	struct events *e = tm_zalloc(sizeof *e);
	e->server = s;
	e->seen = UINT64_MAX;
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64 * 1024, events_read, e, events_free);
	tm_http_headers(response, "text/event-stream", false);
	enum MHD_Result rc = MHD_queue_response(c, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return rc;
}

void tm_http_server_changed(struct tm_http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->version++;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
}

/* What changes without telling (topic sizes, DAG states, rates) is looked at once a second while somebody watches. */
void *tm_http_tick(void *ctx)
{
	struct tm_http_server *s = ctx;
	uint64_t last = 0;
	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += TICK_MS / 1000;
		pthread_cond_timedwait(&s->moved, &s->lock, &until);
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		if (s->stopping || now.tv_sec < until.tv_sec)
			continue;
		pthread_mutex_unlock(&s->lock);
		const union MHD_DaemonInfo *open = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
		uint64_t sum = 0;
		if (open && open->num_connections && tm_http_enter(s, 0)) {
			json_t *topics = tm_http_topics(s);
			char *text = json_dumps(topics, JSON_COMPACT);
			sum = tm_xxh3(text, strlen(text), 0);
			free(text);
			json_decref(topics);
			tm_http_leave(s);
		}
		pthread_mutex_lock(&s->lock);
		if (sum != last) {
			last = sum;
			s->version++;
			pthread_cond_broadcast(&s->moved);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
