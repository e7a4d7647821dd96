/* A batch query: nodes over the plan, pulled to the end. */
#include "stream/batch.h"
#include "stream/exec.h"

tm_rc tm_plan_run(const struct tm_stream_world *world, const struct tm_session *session, const struct tm_op *root,
		  tm_rc (*each)(void *ctx, const struct tm_batch *batch), void *ctx, struct tm_err *err)
{
	static const struct tm_stream_world nothing;
	struct tm_run run = {.world = world ? world : &nothing, .session = *session};
	struct tm_node *node = NULL;
	tm_rc rc = tm_node_build(&run, root, &node, err);
	if (rc)
		return rc;
	TM_TRY_GOTO(rc, out, tm_node_begin(node, err));
	for (;;) {
		const struct tm_flow *flow;
		TM_TRY_GOTO(rc, out, tm_node_next(node, &flow, err));
		if (!flow)
			break;
		if (flow->batch.rows)
			TM_TRY_GOTO(rc, out, each(ctx, &flow->batch));
	}
out:
	tm_node_free(node);
	return rc;
}
