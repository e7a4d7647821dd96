/* Offsets of consumer groups, without being a member of one: a query's progress, so that tools see its lag; and a transactional sink's
 * mark. Through the admin calls of the handle for questions: a consumer's own commits may keep librdkafka from ending when the broker
 * goes away in between. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { COMMIT_EVERY_MS = 1000, LAST_COMMIT_MS = 500 };

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }

static void answered(struct kb_commits *c, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	size_t n = 0;
	const rd_kafka_group_result_t **groups =
	    code ? NULL : rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event), &n);
	for (size_t i = 0; i < n && !code; i++) {
		const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[i]);
		const rd_kafka_topic_partition_list_t *parts = rd_kafka_group_result_partitions(groups[i]);
		code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
		for (int p = 0; parts && p < parts->cnt && !code; p++)
			code = parts->elems[p].err;
	}
	if (code && !kb_passing(code) && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !c->said) {
		tm_say(TM_SAY_WARN, "kafka", "offsets are not committed to the group '%s', tools will show a wrong lag: %s", c->group,
		       rd_kafka_err2str(code));
		c->said = true;
	}
	rd_kafka_event_destroy(event);
	c->in_flight = false;
}

static void commit(struct kb_commits *c)
{
	rd_kafka_t *rk;
	if (kb_asking(c->b, false, &rk, NULL))
		return;
	if (!c->queue)
		c->queue = rd_kafka_queue_new(rk);
	rd_kafka_AlterConsumerGroupOffsets_t *one = rd_kafka_AlterConsumerGroupOffsets_new(c->group, c->wanted);
	rd_kafka_AlterConsumerGroupOffsets(rk, &one, 1, NULL, c->queue);
	rd_kafka_AlterConsumerGroupOffsets_destroy(one);
	rd_kafka_topic_partition_list_destroy(c->wanted);
	c->wanted = NULL;
	c->in_flight = true;
	c->begun_ns = now_ns();
}

void kb_commits_serve(struct kb_commits *c)
{
	rd_kafka_event_t *event = c->in_flight ? rd_kafka_queue_poll(c->queue, 0) : NULL;
	if (event)
		answered(c, event);
	if (c->wanted && !c->in_flight && now_ns() - c->begun_ns > COMMIT_EVERY_MS * INT64_C(1000000))
		commit(c);
}

void kb_commits_want(struct kb_commits *c, const struct tm_offsets *offsets)
{
	if (!c->group || !offsets->count)
		return;
	if (c->wanted)
		rd_kafka_topic_partition_list_destroy(c->wanted);
	c->wanted = rd_kafka_topic_partition_list_new((int)offsets->count);
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < offsets->count; i++)
		rd_kafka_topic_partition_list_add(c->wanted, kb_cstr(&arena, offsets->items[i].topic), offsets->items[i].partition)
		    ->offset = offsets->items[i].offset;
	tm_arena_done(&arena);
	kb_commits_serve(c);
}

void kb_commits_done(struct kb_commits *c)
{
	for (int round = 0; round < 2 && (c->in_flight || c->wanted); round++) {
		if (!c->in_flight)
			commit(c);
		rd_kafka_event_t *event = c->in_flight ? rd_kafka_queue_poll(c->queue, LAST_COMMIT_MS) : NULL;
		if (!event)
			break; /* the broker is away: the checkpoint knows */
		answered(c, event);
	}
	if (c->wanted)
		rd_kafka_topic_partition_list_destroy(c->wanted);
	if (c->queue)
		rd_kafka_queue_destroy(c->queue);
	*c = (struct kb_commits){0};
}

/* ---- marks ---- */

static tm_rc marked(struct kafka_broker *b, rd_kafka_event_t *event, const char *group, const char *mark, bool *ret, struct tm_err *err)
{
	if (!event)
		return kb_fail(b, RD_KAFKA_RESP_ERR__TIMED_OUT, err, "the offsets of group %s cannot be asked", group);
	if (rd_kafka_event_error(event))
		return kb_fail(b, rd_kafka_event_error(event), err, "the offsets of group %s cannot be asked", group);
	size_t n = 0;
	const rd_kafka_group_result_t **groups =
	    rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &n);
	for (size_t i = 0; i < n; i++) {
		const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[i]);
		if (error)
			return kb_fail(b, rd_kafka_error_code(error), err, "the offsets of group %s cannot be asked", group);
		const rd_kafka_topic_partition_list_t *parts = rd_kafka_group_result_partitions(groups[i]);
		for (int p = 0; parts && p < parts->cnt; p++) {
			const rd_kafka_topic_partition_t *one = &parts->elems[p];
			if (one->err)
				return kb_fail(b, one->err, err, "the offsets of group %s cannot be asked", group);
			*ret |= one->metadata && one->metadata_size == strlen(mark) && memcmp(one->metadata, mark, strlen(mark)) == 0;
		}
	}
	return TM_OK;
}

tm_rc kb_group_marked(struct kafka_broker *b, const char *group, rd_kafka_topic_partition_list_t *parts, const char *mark, bool *ret,
		      struct tm_err *err)
{
	rd_kafka_t *rk;
	*ret = false;
	TM_TRY(kb_asking(b, false, &rk, err));
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_error_t *error = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
	if (error)
		rd_kafka_error_destroy(error);
	rd_kafka_AdminOptions_set_request_timeout(options, KB_AWAY_AFTER_MS / 2, NULL, 0);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_ListConsumerGroupOffsets_t *one = rd_kafka_ListConsumerGroupOffsets_new(group, parts);
	rd_kafka_ListConsumerGroupOffsets(rk, &one, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KB_AWAY_AFTER_MS);
	tm_rc rc = marked(b, event, group, mark, ret, err);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_ListConsumerGroupOffsets_destroy(one);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return rc;
}
