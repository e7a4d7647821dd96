/* ListOffsets: the ends of partitions, and offsets for timestamps. */
#include "kafka/kafka_int.h"

enum { LATEST = -1, EARLIEST = -2, MAX_TIMESTAMP = -3, EARLIEST_LOCAL = -4, LATEST_TIERED = -5, EARLIEST_PENDING_UPLOAD = -6 };

static tm_rc offset_find(const struct kafka_request *r, struct tm_topic *topic, int32_t partition, int64_t timestamp, int64_t *ret_offset,
			 int64_t *ret_timestamp, struct tm_err *err)
{
	const struct tm_kafka_list_offsets_request *in = r->in;
	struct tm_log_offsets o;
	TM_TRY(tm_log_offsets(topic, partition, &o, err));
	*ret_timestamp = -1;
	switch (timestamp) {
	case LATEST:
		*ret_offset = in->isolation_level == 1 ? o.last_stable : o.high_watermark;
		return TM_OK;
	case EARLIEST:
	case EARLIEST_LOCAL:
		*ret_offset = o.start;
		return TM_OK;
	case LATEST_TIERED:
	case EARLIEST_PENDING_UPLOAD:
		*ret_offset = -1;
		return TM_OK; /* there is no tiered storage */
	default:
		break;
	}
	TM_TRY(tm_log_offset_for_time(topic, partition, timestamp, ret_offset, ret_timestamp, err));
	if (*ret_offset < 0)
		*ret_timestamp = -1;
	return TM_OK;
}

/* The oldest special timestamp that a version knows. */
static int64_t least_timestamp(int version)
{
	return version >= 11  ? EARLIEST_PENDING_UPLOAD
	       : version >= 9 ? LATEST_TIERED
	       : version >= 8 ? EARLIEST_LOCAL
	       : version >= 7 ? MAX_TIMESTAMP
			      : EARLIEST;
}

static void partition_answer(struct kafka_request *r, struct tm_topic *topic, const struct tm_kafka_list_offsets_request_topics *t,
			     int32_t at, struct tm_kafka_list_offsets_response_topics_partitions *a)
{
	const struct tm_kafka_list_offsets_request_topics_partitions *p = &t->partitions.items[at];
	struct tm_err err = {0};
	int64_t offset = -1, timestamp = -1;
	a->partition_index = p->partition_index;
	for (int32_t i = 0; i < t->partitions.count && i < 500; i++)
		if (i != at && t->partitions.items[i].partition_index == p->partition_index)
			a->error_code = KAFKA_INVALID_REQUEST;
	if (a->error_code)
		return;
	if (!kafka_partition_ok(topic, p->partition_index)) {
		a->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		return;
	}
	if (p->current_leader_epoch > 0) {
		a->error_code = KAFKA_UNKNOWN_LEADER_EPOCH;
		return;
	}
	if (p->timestamp < least_timestamp(r->version)) {
		a->error_code = KAFKA_UNSUPPORTED_VERSION;
		return;
	}
	a->error_code = kafka_code(offset_find(r, topic, p->partition_index, p->timestamp, &offset, &timestamp, &err), &err);
	if (a->error_code)
		return;
	a->offset = offset;
	a->timestamp = timestamp;
	a->leader_epoch = offset < 0 ? -1 : 0;
	if (r->version == 0 && offset >= 0 && p->max_num_offsets > 0) {
		a->old_style_offsets.items = TM_NEW(&r->arena, int64_t);
		a->old_style_offsets.items[0] = offset;
		a->old_style_offsets.count = 1;
	}
}

static bool asked_before(const struct tm_kafka_list_offsets_request_topics *t, int32_t at)
{
	for (int32_t i = 0; i < at && i < 500; i++)
		if (t->partitions.items[i].partition_index == t->partitions.items[at].partition_index)
			return true;
	return false;
}

void kafka_list_offsets(struct kafka_request *r)
{
	const struct tm_kafka_list_offsets_request *in = r->in;
	struct tm_kafka_list_offsets_response *out = r->out;
	out->topics.items = tm_kafka_list_offsets_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_list_offsets_request_topics *t = &in->topics.items[i];
		struct tm_kafka_list_offsets_response_topics *a = &out->topics.items[i];
		struct tm_topic *topic = tm_log_topic_find(r->conn->server->log, t->name);
		a->name = t->name;
		a->partitions.items = tm_kafka_list_offsets_response_topics_partitions_new(&r->arena, (size_t)t->partitions.count);
		for (int32_t k = 0; k < t->partitions.count; k++)
			if (!asked_before(t, k))
				partition_answer(r, topic, t, k, &a->partitions.items[a->partitions.count++]);
		tm_topic_unref(topic);
	}
	kafka_reply(r);
}
