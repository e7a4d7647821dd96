/* What goes along when topics move from one broker to another, beyond their records: settings, and how far consumer groups have read.
 * Both brokers are of tm_kafka_broker_new. */
#ifndef TM_KAFKA_MOVING_H
#define TM_KAFKA_MOVING_H
#include "stream/broker.h"

struct tm_topic_setting {
	const char *name, *value;
};
/* Those that were set for this topic; defaults of the broker are not among them. In the arena. */
tm_rc tm_kafka_topic_settings(struct tm_broker *broker, struct tm_str topic, struct tm_arena *arena, struct tm_topic_setting **ret,
			      size_t *ret_count, struct tm_err *err) TM_CHECKED;
/* Makes a topic with settings. TM_INVALID where the broker does not take one of them. */
tm_rc tm_kafka_topic_make(struct tm_broker *broker, struct tm_str topic, int32_t partitions, const struct tm_topic_setting *settings,
			  size_t count, struct tm_err *err) TM_CHECKED;

/* Names of all consumer groups, in the arena. */
tm_rc tm_kafka_groups(struct tm_broker *broker, struct tm_arena *arena, struct tm_str **ret, size_t *ret_count,
		      struct tm_err *err) TM_CHECKED;
/* What the group has committed; nothing for a group that is not there. In the arena. */
tm_rc tm_kafka_group_offsets(struct tm_broker *broker, struct tm_str group, struct tm_arena *arena, struct tm_offsets *ret,
			     struct tm_err *err) TM_CHECKED;
/* Commits for a group without members. */
tm_rc tm_kafka_group_commit(struct tm_broker *broker, struct tm_str group, const struct tm_offsets *offsets, struct tm_err *err) TM_CHECKED;
#endif
