/* An offset at the target is the first one there plus how many records lie before the committed one. Where the source has a record at
 * every offset that is a subtraction; else they are counted. */
#include "cli/export_groups.h"
#include "kafka/moving.h"
#include <inttypes.h>

static tm_rc records_from(struct tm_broker_reader *source, const struct tm_offset *at, int64_t end, int64_t *ret, struct tm_err *err)
{
	struct tm_offset from = *at;
	*ret = 0;
	while (from.offset < end) {
		struct tm_broker_records in = {0};
		if (tm_export_stopping())
			return tm_fail(err, TM_CANCELLED, "stopped; started again it goes on from here");
		TM_TRY(source->klass->read(source, &from, end, &in, &from.offset, err));
		*ret += (int64_t)in.count;
	}
	return TM_OK;
}

static tm_rc translate(struct tm_export *x, struct tm_broker_reader *source, const struct tm_offset *at, int64_t *ret, struct tm_err *err)
{
	const struct tm_export_mark *m =
	    tm_export_state_find(&x->state, tm_arena_printf(&x->arena, "%.*s/%d", TM_STR_ARG(at->topic), at->partition));
	*ret = -1;
	if (!m || !m->begun)
		return TM_OK; /* a topic that was not moved */
	if (at->offset <= m->first) {
		*ret = m->base;
	} else if (at->offset >= m->next) {
		*ret = m->base + m->count;
	} else if (m->next - m->first == m->count) {
		*ret = m->base + (at->offset - m->first);
	} else {
		int64_t behind;
		TM_TRY(records_from(source, at, m->next, &behind, err));
		*ret = m->base + m->count - behind;
	}
	return TM_OK;
}

static tm_rc move_group(struct tm_export *x, struct tm_broker *from, struct tm_broker *to, struct tm_broker_reader *source,
			struct tm_str group, json_t *groups, struct tm_err *err)
{
	struct tm_offsets ours, theirs, moved = {0};
	int64_t ahead = 0;
	TM_TRY(tm_kafka_group_offsets(from, group, &x->arena, &ours, err));
	for (size_t i = 0; i < ours.count; i++) {
		struct tm_offset o = ours.items[i];
		TM_TRY(translate(x, source, &ours.items[i], &o.offset, err));
		if (o.offset >= 0)
			TM_PUSH_IN(&x->arena, &moved, o);
	}
	if (!moved.count)
		return TM_OK;
	TM_TRY(tm_kafka_group_offsets(to, group, &x->arena, &theirs, err));
	size_t n = 0;
	for (size_t i = 0; i < moved.count; i++) {
		const struct tm_offset *there = tm_offsets_find(&theirs, moved.items[i].topic, moved.items[i].partition);
		if (!there || there->offset < moved.items[i].offset)
			moved.items[n++] = moved.items[i];
		else if (there->offset > moved.items[i].offset)
			ahead++;
	}
	moved.count = n;
	if (ahead)
		tm_export_note(x, "group %.*s has read further at the target in %" PRId64 " partitions, which are left as they are",
			       TM_STR_ARG(group), ahead);
	struct tm_err why;
	tm_rc rc = n ? tm_kafka_group_commit(to, group, &moved, &why) : TM_OK;
	if (rc == TM_UNAVAILABLE && err)
		return *err = why, rc;
	if (rc)
		tm_export_note(x, "group %.*s is not moved: %s (does it have members at the target?)", TM_STR_ARG(group), why.what);
	json_array_append_new(
	    groups, json_pack("{s:s%, s:I, s:b}", "group", group.at, group.len, "partitions", (json_int_t)n, "moved", rc == TM_OK));
	if (!rc && n && !x->common.json)
		printf("group %.*s: %zu partition%s\n", TM_STR_ARG(group), n, n == 1 ? "" : "s");
	return TM_OK;
}

tm_rc tm_export_groups(struct tm_export *x, struct tm_broker *from, struct tm_broker *to, struct tm_broker_reader *source, json_t *groups,
		       struct tm_err *err)
{
	struct tm_str *names;
	size_t n;
	TM_TRY(tm_kafka_groups(from, &x->arena, &names, &n, err));
	for (size_t i = 0; i < n; i++)
		TM_TRY(move_group(x, from, to, source, names[i], groups, err));
	return TM_OK;
}
