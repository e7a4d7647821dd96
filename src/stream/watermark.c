/* EventTimeWatermark: passes rows through and tells the query the largest event time it saw. */
#include "stream/expiry.h"
#include "stream/state.h"

static tm_rc watermark_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	TM_TRY(tm_node_next(node->inputs[0], ret, err));
	if (!*ret || !node->run->stream)
		return TM_OK;
	const struct tm_batch *b = &(*ret)->batch;
	const struct tm_column *c = &b->columns[node->op->watermark.column];
	node->rows_in += (int64_t)b->rows;
	int64_t most = INT64_MIN, us;
	if (c->type->kind != TM_T_STRUCT && !c->valid && !c->constant) {
		for (size_t i = 0; i < b->rows; i++)
			most = c->i64[i] > most ? c->i64[i] : most;
	} else {
		for (size_t i = 0; i < b->rows; i++)
			if (tm_event_time(c, i, &us) && us > most)
				most = us;
	}
	if (most != INT64_MIN)
		tm_stream_event_time(node, most);
	return TM_OK;
}
const struct tm_node_class tm_watermark_class = {.label = "Watermark", .size = sizeof(struct tm_node), .next = watermark_next};
