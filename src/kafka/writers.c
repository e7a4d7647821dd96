/* Which client writes to which topic: for the picture of a run. A task's client carries the name of its DAG and task as its client id
 * (python/tidemill/net.py), so that the picture can lead from the DAG to the topic. Bounded: what comes after the limit is not kept. */
#include "kafka/kafka_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { WRITERS_MAX = 1024 };

void kafka_writers_note(struct kafka_request *r, const struct tm_topic *topic)
{
	struct kafka_conn *c = r->conn;
	struct tm_kafka_server *s = c->server;
	if (c->wrote_to == topic) /* the usual case: the same topic again */
		return;
	c->wrote_to = topic;
	struct tm_str name = tm_topic_name(topic), client = r->header.client_id;
	char id[sizeof s->writers.items->client_id];
	kafka_conn_name(c, id, sizeof id, client);
	pthread_mutex_lock(&s->lock);
	bool known = s->writers.count >= WRITERS_MAX;
	for (size_t i = 0; i < s->writers.count && !known; i++)
		known = strcmp(s->writers.items[i].client_id, id) == 0 && tm_str_is(name, s->writers.items[i].topic);
	if (!known) {
		struct tm_kafka_writer w;
		memcpy(w.client_id, id, sizeof w.client_id);
		snprintf(w.topic, sizeof w.topic, "%.*s", TM_STR_ARG(name));
		TM_PUSH(&s->writers, w);
	}
	pthread_mutex_unlock(&s->lock);
}

size_t tm_kafka_server_writers(struct tm_kafka_server *s, struct tm_kafka_writer **ret)
{
	pthread_mutex_lock(&s->lock);
	size_t n = s->writers.count;
	*ret = tm_alloc((n + 1) * sizeof **ret);
	tm_copy(*ret, s->writers.items, n * sizeof **ret);
	pthread_mutex_unlock(&s->lock);
	return n;
}
