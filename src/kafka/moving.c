/* Questions to a broker through librdkafka's admin calls, one at a time. */
#include "kafka/moving.h"
#include "kafka/broker_kafka_int.h"
#include <stdio.h>

enum { WAIT_MS = 30000, LOOK_MS = 20, LOOKS = 250 };

/* The answer of an admin call; free with rd_kafka_event_destroy. */
static tm_rc answer(struct kafka_broker *b, rd_kafka_queue_t *queue, const char *what, rd_kafka_event_t **ret, struct tm_err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
	rd_kafka_queue_destroy(queue);
	if (!event)
		return kb_fail(b, RD_KAFKA_RESP_ERR__TIMED_OUT, err, "%s: the broker %s does not answer", what, b->b.address);
	if (rd_kafka_event_error(event)) {
		tm_rc rc = kb_fail(b, rd_kafka_event_error(event), err, "%s", what);
		rd_kafka_event_destroy(event);
		return rc;
	}
	*ret = event;
	return TM_OK;
}

/* ---- topics ---- */

tm_rc tm_kafka_topic_settings(struct tm_broker *broker, struct tm_str topic, struct tm_arena *arena, struct tm_topic_setting **ret,
			      size_t *ret_count, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_ConfigResource_t *one = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, kb_cstr(arena, topic));
	rd_kafka_event_t *event;
	rd_kafka_DescribeConfigs(rk, &one, 1, NULL, queue);
	tm_rc rc = answer(b, queue, "settings of a topic", &event, err);
	rd_kafka_ConfigResource_destroy(one);
	if (rc)
		return rc;
	size_t n = 0, entries = 0;
	const rd_kafka_ConfigResource_t **found =
	    rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
	*ret = NULL;
	*ret_count = 0;
	if (n && rd_kafka_ConfigResource_error(found[0])) {
		rc = kb_fail(b, rd_kafka_ConfigResource_error(found[0]), err, "settings of topic '%.*s'", TM_STR_ARG(topic));
	} else if (n) {
		const rd_kafka_ConfigEntry_t **all = rd_kafka_ConfigResource_configs(found[0], &entries);
		*ret = TM_NEW_N(arena, struct tm_topic_setting, entries + 1);
		for (size_t i = 0; i < entries; i++)
			if (rd_kafka_ConfigEntry_source(all[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG &&
			    rd_kafka_ConfigEntry_value(all[i]))
				(*ret)[(*ret_count)++] = (struct tm_topic_setting){kb_text(arena, rd_kafka_ConfigEntry_name(all[i])).at,
										   kb_text(arena, rd_kafka_ConfigEntry_value(all[i])).at};
	}
	rd_kafka_event_destroy(event);
	return rc;
}

/* A topic is made before every broker knows it. */
static tm_rc until_there(struct tm_broker *broker, struct tm_str topic, struct tm_err *err)
{
	struct tm_broker_topic found;
	tm_rc rc = TM_NOT_FOUND;
	for (int i = 0; i < LOOKS && rc == TM_NOT_FOUND; i++) {
		rc = broker->klass->topic(broker, topic, &found, err);
		if (rc == TM_NOT_FOUND)
			nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return rc;
}

tm_rc tm_kafka_topic_make(struct tm_broker *broker, struct tm_str topic, int32_t partitions, const struct tm_topic_setting *settings,
			  size_t count, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	char name[256], why[300], what[320];
	snprintf(name, sizeof name, "%.*s", TM_STR_ARG(topic));
	snprintf(what, sizeof what, "topic '%s' is not made", name);
	rd_kafka_NewTopic_t *one = rd_kafka_NewTopic_new(name, partitions, -1, why, sizeof why);
	if (!one)
		return tm_fail(err, TM_INVALID, "%s: %s", what, why);
	for (size_t i = 0; i < count; i++)
		rd_kafka_NewTopic_set_config(one, settings[i].name, settings[i].value);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	rd_kafka_CreateTopics(rk, &one, 1, NULL, queue);
	tm_rc rc = answer(b, queue, what, &event, err);
	rd_kafka_NewTopic_destroy(one);
	if (rc)
		return rc;
	size_t n = 0;
	const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
	rd_kafka_resp_err_t code = n ? rd_kafka_topic_result_error(results[0]) : 0;
	if (code) {
		rc = kb_fail(b, code, err, "%s", what);
		if (rd_kafka_topic_result_error_string(results[0]))
			tm_err_detail(err, "%s", rd_kafka_topic_result_error_string(results[0]));
		if (code == RD_KAFKA_RESP_ERR_INVALID_CONFIG)
			rc = TM_INVALID;
	}
	rd_kafka_event_destroy(event);
	return rc ? rc : until_there(broker, topic, err);
}

/* ---- groups ---- */

tm_rc tm_kafka_groups(struct tm_broker *broker, struct tm_arena *arena, struct tm_str **ret, size_t *ret_count, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	rd_kafka_ListConsumerGroups(rk, NULL, queue);
	TM_TRY(answer(b, queue, "the list of consumer groups", &event, err));
	size_t n = 0;
	const rd_kafka_ConsumerGroupListing_t **all =
	    rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(event), &n);
	*ret = TM_NEW_N(arena, struct tm_str, n + 1);
	*ret_count = n;
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = kb_text(arena, rd_kafka_ConsumerGroupListing_group_id(all[i]));
	rd_kafka_event_destroy(event);
	return TM_OK;
}

static void take(const rd_kafka_topic_partition_list_t *list, struct tm_arena *arena, struct tm_offsets *ret)
{
	for (int i = 0; list && i < list->cnt; i++)
		if (!list->elems[i].err && list->elems[i].offset >= 0)
			TM_PUSH_IN(
			    arena, ret,
			    (struct tm_offset){kb_text(arena, list->elems[i].topic), list->elems[i].partition, list->elems[i].offset});
}

tm_rc tm_kafka_group_offsets(struct tm_broker *broker, struct tm_str group, struct tm_arena *arena, struct tm_offsets *ret,
			     struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_ListConsumerGroupOffsets_t *one = rd_kafka_ListConsumerGroupOffsets_new(kb_cstr(arena, group), NULL);
	rd_kafka_event_t *event;
	rd_kafka_ListConsumerGroupOffsets(rk, &one, 1, NULL, queue);
	tm_rc rc = answer(b, queue, "offsets of a consumer group", &event, err);
	rd_kafka_ListConsumerGroupOffsets_destroy(one);
	if (rc)
		return rc;
	size_t n = 0;
	const rd_kafka_group_result_t **all =
	    rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &n);
	*ret = (struct tm_offsets){0};
	if (n && rd_kafka_group_result_error(all[0]))
		rc =
		    kb_fail(b, rd_kafka_error_code(rd_kafka_group_result_error(all[0])), err, "offsets of group '%.*s'", TM_STR_ARG(group));
	else if (n)
		take(rd_kafka_group_result_partitions(all[0]), arena, ret);
	rd_kafka_event_destroy(event);
	return rc;
}

tm_rc tm_kafka_group_commit(struct tm_broker *broker, struct tm_str group, const struct tm_offsets *offsets, struct tm_err *err)
{
	struct kafka_broker *b = kb_of(broker);
	struct tm_arena arena;
	rd_kafka_t *rk;
	TM_TRY(kb_asking(b, false, &rk, err));
	tm_arena_init(&arena);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)offsets->count);
	for (size_t i = 0; i < offsets->count; i++)
		rd_kafka_topic_partition_list_add(list, kb_cstr(&arena, offsets->items[i].topic), offsets->items[i].partition)->offset =
		    offsets->items[i].offset;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AlterConsumerGroupOffsets_t *one = rd_kafka_AlterConsumerGroupOffsets_new(kb_cstr(&arena, group), list);
	rd_kafka_event_t *event;
	rd_kafka_AlterConsumerGroupOffsets(rk, &one, 1, NULL, queue);
	tm_rc rc = answer(b, queue, "committing for a consumer group", &event, err);
	rd_kafka_AlterConsumerGroupOffsets_destroy(one);
	rd_kafka_topic_partition_list_destroy(list);
	tm_arena_done(&arena);
	if (rc)
		return rc;
	size_t n = 0;
	const rd_kafka_group_result_t **all =
	    rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event), &n);
	const rd_kafka_topic_partition_list_t *done = n ? rd_kafka_group_result_partitions(all[0]) : NULL;
	rd_kafka_resp_err_t code = n && rd_kafka_group_result_error(all[0]) ? rd_kafka_error_code(rd_kafka_group_result_error(all[0])) : 0;
	for (int i = 0; done && i < done->cnt && !code; i++)
		code = done->elems[i].err;
	if (code)
		rc = kb_fail(b, code, err, "committing for group '%.*s'", TM_STR_ARG(group));
	rd_kafka_event_destroy(event);
	return rc;
}
