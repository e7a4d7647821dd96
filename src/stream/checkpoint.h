/* The record of where a query is: written with every commit, and ahead of a batch where its sink is not part of the commit. */
#ifndef TM_STREAM_CHECKPOINT_H
#define TM_STREAM_CHECKPOINT_H
#include "base/base.h"

struct tm_checkpoint_watermark {
	int64_t ms;
	bool seen;
};
struct tm_checkpoint {
	int64_t batch_id;
	int64_t watermark_ms;      /* in force in this batch */
	int64_t next_watermark_ms; /* after it */
	int64_t now_us;            /* current_timestamp() of this batch */
	uint64_t plan_hash;
	struct tm_str *offsets; /* per source: where the batch ends */
	size_t offset_count;
	struct tm_checkpoint_watermark *watermarks; /* per watermark operator, after the batch */
	size_t watermark_count;
	struct tm_str sink; /* what the sink saved */
};
void tm_checkpoint_encode(const struct tm_checkpoint *c, struct tm_buf *out);
/* Views into bytes; lists in arena. TM_CORRUPT with what is wrong. */
tm_rc tm_checkpoint_decode(struct tm_str bytes, struct tm_arena *arena, struct tm_checkpoint *ret, struct tm_err *err) TM_CHECKED;
#endif
