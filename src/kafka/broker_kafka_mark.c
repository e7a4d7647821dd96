/* The offset of a group within a transaction. librdkafka's call for it may never return: where FindCoordinator for the group fails three
 * times, as it does while a Kafka makes the topic for groups' offsets or elects its leader, the request is forgotten, and the call's
 * time-out is not looked at (librdkafka issue 5456). So a thread of its own makes the call, and who waits for it gives up. */
#include "kafka/broker_kafka_int.h"
#include <stdlib.h>
#include <time.h>

enum { CALL_MS = KB_SLICE_MS * 5, GIVE_UP_MS = KB_AWAY_AFTER_MS };

struct call {
	rd_kafka_t *rk;
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_consumer_group_metadata_t *group;
	rd_kafka_error_t *error;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t over;
	bool returned, given_up;
};

static void call_free(struct call *c)
{
	rd_kafka_consumer_group_metadata_destroy(c->group);
	rd_kafka_topic_partition_list_destroy(c->offsets);
	pthread_cond_destroy(&c->over);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void *make_call(void *arg)
{
	struct call *c = arg;
	c->error = rd_kafka_send_offsets_to_transaction(c->rk, c->offsets, c->group, CALL_MS);
	pthread_mutex_lock(&c->lock);
	bool ours = c->given_up;
	c->returned = true;
	pthread_cond_signal(&c->over);
	pthread_mutex_unlock(&c->lock);
	if (ours) {
		if (c->error)
			rd_kafka_error_destroy(c->error);
		rd_kafka_destroy(c->rk);
		call_free(c);
	}
	return NULL;
}

static struct timespec after_ms(int64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

bool kb_send_offset(rd_kafka_t *rk, const char *group, rd_kafka_topic_partition_list_t *offsets, const struct tm_broker_caller *caller,
		    rd_kafka_error_t **ret)
{
	struct call *c = tm_zalloc(sizeof *c);
	c->rk = rk;
	c->offsets = rd_kafka_topic_partition_list_copy(offsets);
	c->group = rd_kafka_consumer_group_metadata_new(group);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->over, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_t thread;
	if (pthread_create(&thread, NULL, make_call, c)) {
		*ret = rd_kafka_error_new(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "no thread can be started");
		call_free(c);
		return true;
	}
	pthread_mutex_lock(&c->lock);
	for (int64_t ms = 0; !c->returned && ms < (kb_stopping(caller) ? 2 * CALL_MS : GIVE_UP_MS); ms += KB_SLICE_MS) {
		struct timespec until = after_ms(KB_SLICE_MS);
		while (!c->returned && pthread_cond_timedwait(&c->over, &c->lock, &until) == 0)
			continue;
	}
	bool returned = c->returned;
	c->given_up = !returned;
	pthread_mutex_unlock(&c->lock);
	if (!returned) {
		pthread_detach(thread);
		return false;
	}
	pthread_join(thread, NULL);
	*ret = c->error;
	call_free(c);
	return true;
}
