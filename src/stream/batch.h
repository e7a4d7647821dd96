/* Answering a batch query: runs a plan to its end. */
#ifndef TM_STREAM_BATCH_H
#define TM_STREAM_BATCH_H
#include "stream/source.h"

/* Calls each with every non-empty batch of the result, in order; the batch lives until each returns. Non-zero stops. */
tm_rc tm_plan_run(const struct tm_stream_world *world, const struct tm_session *session, const struct tm_op *root,
		  tm_rc (*each)(void *ctx, const struct tm_batch *batch), void *ctx, struct tm_err *err) TM_CHECKED;
#endif
