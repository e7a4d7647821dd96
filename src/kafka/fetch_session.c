/* Fetch sessions: a consumer of many partitions names them once; later requests and answers carry only what has changed. */
#include <stdlib.h>
#include "kafka/fetch.h"

enum { FINAL_EPOCH = -1, INITIAL_EPOCH = 0, MAX_SESSIONS = 1000, MAX_PARTITIONS = 2000, IDLE_MS = 120000 };

static void want_free(struct fetch_want *w) { free((void *)(uintptr_t)w->topic.at); }

static void session_remove(struct tm_kafka_server *s, struct kafka_fetch_session *session)
{
	struct kafka_fetch_session **at = &s->sessions;
	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	s->session_count--;
	for (size_t i = 0; i < session->parts.count; i++)
		want_free(&session->parts.items[i].want);
	free(session->parts.items);
	free(session);
}

void kafka_fetch_sessions_done(struct tm_kafka_server *s)
{
	while (s->sessions)
		session_remove(s, s->sessions);
}

struct kafka_fetch_session *kafka_fetch_session_find(struct tm_kafka_server *s, int32_t id)
{
	for (struct kafka_fetch_session *f = s->sessions; f; f = f->next)
		if (f->id == id)
			return f;
	return NULL;
}

/* The one that has been idle longest, or long enough. */
static struct kafka_fetch_session *session_to_drop(struct tm_kafka_server *s)
{
	struct kafka_fetch_session *oldest = NULL;
	for (struct kafka_fetch_session *f = s->sessions; f; f = f->next)
		if (!f->busy && (!oldest || f->used_ms < oldest->used_ms))
			oldest = f;
	return oldest && kafka_now_ms(s) - oldest->used_ms >= IDLE_MS ? oldest : NULL;
}

static struct kafka_fetch_session *session_new(struct tm_kafka_server *s)
{
	if (s->session_count >= MAX_SESSIONS) {
		struct kafka_fetch_session *drop = session_to_drop(s);
		if (!drop)
			return NULL;
		session_remove(s, drop);
	}
	struct kafka_fetch_session *f = tm_zalloc(sizeof *f);
	do {
		tm_random(s->env, &f->id, sizeof f->id);
		f->id &= INT32_MAX;
	} while (f->id == 0 || kafka_fetch_session_find(s, f->id));
	f->next = s->sessions;
	s->sessions = f;
	s->session_count++;
	return f;
}

/* Partitions are looked for one by one: a Fetch of more than MAX_PARTITIONS gets full answers without a session. */
static bool same_part(const struct fetch_want *w, struct tm_str topic, const struct tm_kafka_uuid *id, int32_t partition, bool by_id)
{
	return w->partition == partition && (by_id ? memcmp(&w->topic_id, id, sizeof *id) == 0 : tm_str_eq(w->topic, topic));
}

struct fetch_remembered *kafka_fetch_session_part(struct kafka_fetch_session *session, struct tm_str topic, const struct tm_kafka_uuid *id,
						  int32_t partition, bool by_id)
{
	for (size_t i = 0; i < session->parts.count; i++)
		if (same_part(&session->parts.items[i].want, topic, id, partition, by_id))
			return &session->parts.items[i];
	return NULL;
}

void kafka_fetch_session_move_last(struct kafka_fetch_session *session, const struct fetch_want *want, bool by_id)
{
	struct fetch_remembered *p = kafka_fetch_session_part(session, want->topic, &want->topic_id, want->partition, by_id);
	if (!p)
		return;
	struct fetch_remembered moved = *p;
	size_t at = (size_t)(p - session->parts.items);
	memmove(p, p + 1, (session->parts.count - at - 1) * sizeof *p);
	session->parts.items[session->parts.count - 1] = moved;
}

static void session_update(struct kafka_fetch_session *session, const struct tm_kafka_fetch_request *in, bool by_id)
{
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_fetch_request_topics *t = &in->topics.items[i];
		for (int32_t k = 0; k < t->partitions.count; k++) {
			const struct tm_kafka_fetch_request_topics_partitions *p = &t->partitions.items[k];
			struct fetch_remembered *have = kafka_fetch_session_part(session, t->topic, &t->topic_id, p->partition, by_id);
			if (!have && session->parts.count >= 2 * MAX_PARTITIONS)
				continue;
			if (!have) {
				struct fetch_remembered fresh = {.high_watermark = -1, .log_start = -1};
				fresh.want.topic = t->topic.at ? tm_str_dup(t->topic) : t->topic;
				fresh.want.topic_id = t->topic_id;
				TM_PUSH(&session->parts, fresh);
				have = &session->parts.items[session->parts.count - 1];
			}
			have->want.partition = p->partition;
			have->want.offset = p->fetch_offset;
			have->want.max_bytes = p->partition_max_bytes;
			have->want.leader_epoch = p->current_leader_epoch;
			have->want.last_fetched_epoch = p->last_fetched_epoch;
		}
	}
	for (int32_t i = 0; i < in->forgotten_topics_data.count; i++) {
		for (int32_t k = 0; k < in->forgotten_topics_data.items[i].partitions.count; k++) {
			struct fetch_remembered *p = kafka_fetch_session_part(
			    session, in->forgotten_topics_data.items[i].topic, &in->forgotten_topics_data.items[i].topic_id,
			    in->forgotten_topics_data.items[i].partitions.items[k], by_id);
			if (!p)
				continue;
			want_free(&p->want);
			memmove(p, p + 1, (session->parts.count - (size_t)(p - session->parts.items) - 1) * sizeof *p);
			session->parts.count--;
		}
	}
}

static size_t partitions_named(const struct tm_kafka_fetch_request *in)
{
	size_t n = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		n += (size_t)in->topics.items[i].partitions.count;
	return n;
}

int kafka_fetch_session_for(struct kafka_request *r, struct kafka_fetch_session **ret, bool *ret_fresh)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_fetch_request *in = r->in;
	struct kafka_fetch_session *session = in->session_id ? kafka_fetch_session_find(s, in->session_id) : NULL;
	bool by_id = r->version >= 13;
	*ret = NULL;
	*ret_fresh = true;
	if (r->version < 7)
		return KAFKA_NONE;
	if (in->session_epoch == FINAL_EPOCH || in->session_epoch == INITIAL_EPOCH) {
		if (session && !session->busy)
			session_remove(s, session);
		if (in->session_epoch == INITIAL_EPOCH && partitions_named(in) <= MAX_PARTITIONS)
			*ret = session_new(s);
		if (*ret) {
			(*ret)->epoch = 1;
			(*ret)->by_id = by_id;
			(*ret)->used_ms = kafka_now_ms(s);
			session_update(*ret, in, by_id);
		}
		return KAFKA_NONE;
	}
	if (!session)
		return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
	if (session->epoch != in->session_epoch || session->busy)
		return KAFKA_INVALID_FETCH_SESSION_EPOCH;
	if (session->by_id != by_id)
		return KAFKA_FETCH_SESSION_TOPIC_ID;
	session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
	session->used_ms = kafka_now_ms(s);
	session_update(session, in, by_id);
	if (!session->parts.count) {
		session_remove(s, session);
		return KAFKA_NONE;
	}
	*ret = session;
	*ret_fresh = false;
	return KAFKA_NONE;
}
