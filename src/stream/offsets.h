/* Offsets of topics' partitions as Spark writes them: {"topic":{"0":123,"1":456}}. */
#ifndef TM_STREAM_OFFSETS_H
#define TM_STREAM_OFFSETS_H
#include "base/base.h"

struct tm_offset {
	struct tm_str topic;
	int32_t partition;
	int64_t offset;
};
struct tm_offsets {
	struct tm_offset *items;
	size_t count, cap;
};

/* Topics and names are in arena. Offsets may be -1 (latest) and -2 (earliest). */
tm_rc tm_offsets_parse(struct tm_str text, struct tm_arena *arena, struct tm_offsets *ret, struct tm_err *err) TM_CHECKED;
/* {"topic":[0,1]}: offset is 0. */
tm_rc tm_offsets_parse_assign(struct tm_str text, struct tm_arena *arena, struct tm_offsets *ret, struct tm_err *err) TM_CHECKED;
/* Sorted by topic and partition. */
void tm_offsets_sort(struct tm_offsets *o);
void tm_offsets_text(const struct tm_offsets *o, struct tm_buf *out);
/* NULL where there is none. */
const struct tm_offset *tm_offsets_find(const struct tm_offsets *o, struct tm_str topic, int32_t partition);
#endif
