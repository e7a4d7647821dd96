/* Format memory: rows that a test (or the shell) put there. As a table: the batch as it is now. As a stream: a feed cut into
 * steps, one step per micro-batch; the offset is the number of steps taken. */
#include "stream/provider.h"
#include <stdio.h>

struct memory {
	struct tm_source s;
	const struct tm_batch *parts;
	size_t part_count, part, row;
	struct tm_origin origin;
};

static tm_rc memory_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	(void)world;
	(void)arena;
	if (!relation->schema.count)
		return tm_fail(err, TM_INVALID, "'%.*s' has no columns: rows in memory come from a program, not from SQL text",
			       TM_STR_ARG(relation->name));
	return TM_OK;
}

static tm_rc memory_initial(struct tm_source *s, struct tm_buf *ret, struct tm_err *err)
{
	(void)s;
	(void)err;
	tm_buf_char(ret, '0');
	return TM_OK;
}

static tm_rc steps_of(struct tm_str text, int64_t *ret, struct tm_err *err)
{
	if (!tm_str_to_i64(text, ret) || *ret < 0)
		return tm_fail(err, TM_CORRUPT, "'%.*s' is not an offset of a memory stream", TM_STR_ARG(text));
	return TM_OK;
}

static tm_rc memory_latest(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err)
{
	const struct tm_memory_feed *feed = s->relation->memory;
	int64_t at;
	TM_TRY(steps_of(from, &at, err));
	*ret_new = false;
	if (feed && (size_t)at < feed->released && (size_t)at < feed->step_count) {
		*ret_new = feed->steps[at].advances;
		at++;
	}
	tm_buf_printf(ret_to, "%lld", (long long)at);
	return TM_OK;
}

static tm_rc memory_range(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err)
{
	struct memory *me = (struct memory *)s;
	me->part = me->row = me->part_count = 0;
	if (!s->relation->streaming) {
		me->parts = s->relation->memory;
		me->part_count = me->parts != NULL;
		return TM_OK;
	}
	const struct tm_memory_feed *feed = s->relation->memory;
	int64_t first, last;
	TM_TRY(steps_of(from, &first, err));
	TM_TRY(steps_of(to, &last, err));
	while (first + 1 < last && (size_t)first < feed->step_count && !feed->steps[first].advances)
		first++; /* steps at which nothing came do not count as a batch */
	if (last != first + 1 || (size_t)last > feed->step_count)
		return tm_fail(err, TM_CORRUPT, "the checkpoint asks for steps %lld to %lld of a memory stream that has %zu",
			       (long long)first, (long long)last, feed->step_count);
	if (feed->steps[first].advances) {
		me->parts = feed->steps[first].parts;
		me->part_count = feed->steps[first].part_count;
	}
	return TM_OK;
}

static tm_rc memory_next(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err)
{
	(void)err;
	struct memory *me = (struct memory *)s;
	*ret_some = false;
	while (me->part < me->part_count && me->row >= me->parts[me->part].rows) {
		me->part++;
		me->row = 0;
	}
	if (me->part >= me->part_count)
		return TM_OK;
	const struct tm_batch *all = &me->parts[me->part];
	size_t n = all->rows - me->row < TM_LIMIT_BATCH_ROWS ? all->rows - me->row : TM_LIMIT_BATCH_ROWS;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, s->column_count + 1);
	for (size_t i = 0; i < s->column_count; i++)
		tm_column_slice(&columns[i], arena, &all->columns[s->columns[i]], me->row, n);
	me->row += n;
	ret->batch = (struct tm_batch){.rows = n, .column_count = s->column_count, .columns = columns};
	if (s->relation->streaming) {
		me->origin = (struct tm_origin){
		    .topic = s->relation->name, .partition = (int32_t)me->part, .rows = n, .marks = TM_NEW_N(arena, uint8_t, n)};
		ret->origin = &me->origin;
	}
	*ret_some = true;
	return TM_OK;
}

static const char *const formats[] = {"memory", NULL};
const struct tm_source_class tm_source_memory = {.formats = formats,
						 .size = sizeof(struct memory),
						 .describe = memory_describe,
						 .initial = memory_initial,
						 .latest = memory_latest,
						 .range = memory_range,
						 .next = memory_next};
