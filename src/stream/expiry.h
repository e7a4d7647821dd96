/* Groups of a table by the event time at which they leave: lists per time, so that what the watermark passes is found without a
 * walk over the rest. Uses group->next of the groups that are enlisted. */
#ifndef TM_STREAM_EXPIRY_H
#define TM_STREAM_EXPIRY_H
#include "stream/groups.h"

struct tm_expiry_bucket {
	int64_t time_us;
	uint32_t head;
}; /* head: group number + 1, linked by group->next the same way */
struct tm_expiry {
	struct tm_expiry_bucket *items;
	size_t count, cap;
}; /* by time */
struct tm_numbers {
	uint32_t *items;
	size_t count, cap;
};

/* Sets a group's flag; the list gets the number where the flag was not set yet. */
static inline void tm_group_mark(struct tm_groups *g, uint32_t number, uint32_t flag, struct tm_numbers *list)
{
	struct tm_group *group = tm_groups_at(g, number);
	if (group->flags & flag)
		return;
	group->flags |= flag;
	TM_PUSH(list, number);
}

void tm_expiry_add(struct tm_expiry *e, struct tm_groups *g, uint32_t number, int64_t time_us);
/* Takes off all with time <= until_us and appends their numbers. */
void tm_expiry_pop(struct tm_expiry *e, struct tm_groups *g, int64_t until_us, struct tm_numbers *out);
void tm_expiry_done(struct tm_expiry *e);

/* The event time of a value: a window's end, or the timestamp itself. False = none (null). */
static inline bool tm_event_time(const struct tm_column *c, size_t row, int64_t *ret_us)
{
	if (tm_is_null(c, row))
		return false;
	if (c->type->kind == TM_T_STRUCT) {
		if (c->type->child_count < 2 || tm_is_null(&c->children[1], row))
			return false;
		*ret_us = c->children[1].i64[tm_row(&c->children[1], tm_row(c, row))];
		return true;
	}
	*ret_us = c->i64[tm_row(c, row)];
	return true;
}
#endif
