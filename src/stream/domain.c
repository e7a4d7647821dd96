/* Correlated subqueries that are no join by key: a join hands the outer values of its left batch to the DOMAINs below its right
 * side and runs that side anew. What in it does not depend on them is read once per run. */
#include "stream/exec.h"

struct domain {
	struct tm_node node;
	const struct tm_batch *feed; /* of the join around it */
	size_t at;
};

static tm_rc domain_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct domain *)node)->at = 0;
	return TM_OK;
}

static tm_rc domain_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	(void)err;
	struct domain *me = (struct domain *)node;
	const struct tm_batch *all = me->feed;
	TM_ASSERT(all);
	tm_arena_reset(&node->arena);
	*ret = NULL;
	if (me->at >= all->rows)
		return TM_OK;
	size_t n = all->rows - me->at < TM_LIMIT_BATCH_ROWS ? all->rows - me->at : TM_LIMIT_BATCH_ROWS;
	node->out = (struct tm_flow){0};
	tm_batch_slice(&node->out.batch, &node->arena, all, me->at, n);
	me->at += n;
	*ret = &node->out;
	return TM_OK;
}
const struct tm_node_class tm_domain_class = {.label = "Domain", .size = sizeof(struct domain), .begin = domain_begin, .next = domain_next};

void tm_domain_bind(struct tm_node *node, size_t number, const struct tm_batch *feed)
{
	if (node->op->kind == TM_OP_DOMAIN && node->op->domain.number == number)
		((struct domain *)node)->feed = feed;
	for (size_t i = 0; i < node->input_count; i++)
		tm_domain_bind(node->inputs[i], number, feed);
}

tm_rc tm_node_again(struct tm_node *node, struct tm_err *err)
{
	if (node->klass == &tm_join_class && tm_join_rewind(node))
		return tm_node_again(node->inputs[0], err);
	for (size_t i = 0; i < node->input_count; i++)
		TM_TRY(tm_node_again(node->inputs[i], err));
	tm_arena_reset(&node->run_arena);
	node->out = (struct tm_flow){0};
	return node->klass->begin ? node->klass->begin(node, err) : TM_OK;
}
