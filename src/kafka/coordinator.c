/* The host of the group coordinator (and start and end of both coordinators): its clock, its random numbers, and its records' way to the
 * topic and back. */
#include "kafka/kafka_int.h"
#include <stdlib.h>

enum { REPLAY_BYTES = 1 << 20 };

tm_rc kafka_internal_topic(struct tm_kafka_server *s, const char *name, struct tm_topic **ret, struct tm_err *err)
{
	static const struct tm_log_config configs[] = {{{"cleanup.policy", 14}, {"compact", 7}},
						       {{"compression.type", 16}, {"producer", 8}},
						       {{"segment.bytes", 13}, {"104857600", 9}}};
	*ret = tm_log_topic_find(s->log, tm_str_of(name));
	if (*ret)
		return TM_OK;
	return tm_log_topic_create(s->log, tm_str_of(name), 1, configs, sizeof configs / sizeof *configs, ret, err);
}

static tm_rc partition_replay(struct tm_topic *topic, int32_t partition,
			      tm_rc (*batch)(void *, const struct tm_batch_info *, struct tm_err *), void *ctx, struct tm_err *err)
{
	struct tm_log_offsets o;
	struct tm_buf buf = {0};
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = tm_log_offsets(topic, partition, &o, err);
	for (int64_t at = o.start; rc == TM_OK && at < o.high_watermark;) {
		struct tm_log_read read = {.offset = at, .max_bytes = REPLAY_BYTES, .at_least_one = true};
		buf.len = 0;
		rc = tm_log_read(topic, partition, &read, &arena, &buf, err);
		struct tm_str rest = tm_buf_str(&buf);
		int64_t before = at;
		while (rc == TM_OK) {
			struct tm_batch_info b;
			tm_rc more = tm_batch_next(&rest, false, &b, err);
			if (more == TM_NOT_FOUND)
				break;
			rc = more == TM_OK ? batch(ctx, &b, err) : more;
			at = b.base_offset + b.last_offset_delta + 1;
		}
		if (at == before)
			break; /* nothing more to read: compacted away up to the end */
		tm_arena_reset(&arena);
	}
	tm_arena_done(&arena);
	tm_buf_done(&buf);
	return rc;
}

tm_rc kafka_internal_replay(struct tm_kafka_server *s, const char *name,
			    tm_rc (*batch)(void *, const struct tm_batch_info *, struct tm_err *), void *ctx, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(s->log, tm_str_of(name));
	tm_rc rc = TM_OK;
	for (int32_t p = 0; topic && rc == TM_OK && p < tm_topic_partitions(topic); p++)
		rc = partition_replay(topic, p, batch, ctx, err);
	tm_topic_unref(topic);
	return rc;
}

/* ---- writing ---- */

struct group_append {
	struct kafka_task task;
	struct tm_kafka_server *server;
	uint64_t ticket;
	struct tm_log_append part;
	int error;
};

static void group_appended(struct kafka_task *task)
{
	struct group_append *a = (struct group_append *)task;
	struct tm_kafka_server *s = a->server;
	int error = a->error ? a->error : a->part.kafka_error ? a->part.kafka_error : a->part.rc != TM_OK ? tm_rc_kafka(a->part.rc) : 0;
	/* Clients of a group retry on "not available", and would give up on an error of the disk. */
	if (error)
		error = KAFKA_COORDINATOR_NOT_AVAILABLE;
	uint64_t ticket = a->ticket;
	tm_topic_unref(a->part.topic);
	free(a);
	s->group_writes--;
	tm_groups_appended(s->groups, ticket, error, kafka_now_ms(s));
	kafka_coordinator_tick(s);
}

static void group_durable(void *ctx)
{
	struct group_append *a = ctx;
	kafka_task_post(a->server, &a->task);
}

static void group_append(void *ctx, struct tm_str batch, uint64_t ticket)
{
	struct tm_kafka_server *s = ctx;
	struct group_append *a = tm_zalloc(sizeof *a);
	struct tm_err err = {0};
	a->server = s;
	a->ticket = ticket;
	a->task.run = group_appended;
	s->group_writes++;
	if (kafka_internal_topic(s, TM_GROUP_TOPIC, &a->part.topic, &err) != TM_OK) {
		tm_say_err("kafka", &err);
		a->error = KAFKA_COORDINATOR_NOT_AVAILABLE;
		kafka_task_post(s, &a->task);
		return;
	}
	a->part.batches = batch;
	tm_log_append(s->log, &a->part, 1, true, group_durable, a);
}

static void group_random(void *ctx, void *out, size_t n) { tm_random(((struct tm_kafka_server *)ctx)->env, out, n); }
static int64_t group_wall_ms(void *ctx) { return tm_now_ms(((struct tm_kafka_server *)ctx)->env); }

static tm_rc group_replay(void *ctx, const struct tm_batch_info *b, struct tm_err *err) { return tm_groups_replay(ctx, b, err); }

tm_rc kafka_coordinator_start(struct tm_kafka_server *s, struct tm_err *err)
{
	struct tm_groups_options options = {.ctx = s, .append = group_append, .random = group_random, .wall_ms = group_wall_ms};
	s->groups = tm_groups_new(&options);
	TM_TRY(kafka_internal_replay(s, TM_GROUP_TOPIC, group_replay, s->groups, err));
	tm_groups_replay_end(s->groups, kafka_now_ms(s));
	TM_TRY(kafka_transactions_start(s, err));
	tm_transactions_replay_end(s->transactions);
	kafka_timer_at(s, kafka_now_ms(s));
	return TM_OK;
}

void kafka_coordinator_done(struct tm_kafka_server *s)
{
	tm_groups_free(s->groups);
	tm_transactions_free(s->transactions);
}

bool kafka_coordinator_busy(const struct tm_kafka_server *s) { return s->group_writes > 0; }

void kafka_coordinator_tick(struct tm_kafka_server *s)
{
	if (s->stopping)
		return;
	int64_t next = tm_groups_tick(s->groups, kafka_now_ms(s)), end = tm_transactions_tick(s->transactions);
	if (next != INT64_MAX)
		kafka_timer_at(s, next);
	if (end != INT64_MAX)
		kafka_timer_at(s, kafka_now_ms(s) + (end - tm_now_ms(s->env)));
}
