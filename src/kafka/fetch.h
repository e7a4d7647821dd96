/* What a Fetch asks of a partition, and the sessions that remember it between requests (KIP-227). Private to the door. */
#ifndef TM_KAFKA_FETCH_H
#define TM_KAFKA_FETCH_H
#include "kafka/kafka_int.h"

struct fetch_want {
	struct tm_str topic; /* in a session malloc'd; NULL where only the id is known */
	struct tm_kafka_uuid topic_id;
	int32_t partition, leader_epoch, last_fetched_epoch, max_bytes;
	int64_t offset;
};
/* A partition of a session: what was told of it last. */
struct fetch_remembered {
	struct fetch_want want;
	int64_t high_watermark, log_start;
};
struct kafka_fetch_session {
	int32_t id, epoch; /* epoch: of the next request */
	struct {
		struct fetch_remembered *items;
		size_t count, cap;
	} parts; /* in the order in which they are read */
	int64_t used_ms;
	bool busy;  /* a request of it waits */
	bool by_id; /* topics are known by their ids (Fetch 13 and later) */
	struct kafka_fetch_session *next;
};
/* Finds, makes or refuses the session of a request, and takes what the request changes into it. 0 or Kafka's error;
 * *ret NULL = a full answer without a session. */
int kafka_fetch_session_for(struct kafka_request *r, struct kafka_fetch_session **ret, bool *ret_fresh);
struct kafka_fetch_session *kafka_fetch_session_find(struct tm_kafka_server *s, int32_t id);
void kafka_fetch_session_move_last(struct kafka_fetch_session *session, const struct fetch_want *want, bool by_id);
struct fetch_remembered *kafka_fetch_session_part(struct kafka_fetch_session *session, struct tm_str topic, const struct tm_kafka_uuid *id,
						  int32_t partition, bool by_id);
#endif
