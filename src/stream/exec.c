/* Node trees: building, beginning, pulling, freeing; and collecting what a node gives. */
#include "stream/exec.h"
#include "base/memory.h"
#include "stream/state.h"
#include <stdlib.h>

static const struct tm_node_class *class_of(const struct tm_run *run, const struct tm_op *op)
{
	switch (op->kind) {
	case TM_OP_VALUES:
		return &tm_values_class;
	case TM_OP_RANGE:
		return &tm_range_class;
	case TM_OP_SCAN:
		return &tm_scan_class;
	case TM_OP_FILTER:
		return &tm_filter_class;
	case TM_OP_PROJECT:
		return &tm_project_class;
	case TM_OP_EXPAND:
		return &tm_expand_class;
	case TM_OP_GENERATE:
		return &tm_generate_class;
	case TM_OP_AGGREGATE:
		return op->aggregate.session_gap_us || op->aggregate.session_gap ? &tm_session_class : &tm_aggregate_class;
	case TM_OP_WATERMARK:
		return &tm_watermark_class;
	case TM_OP_DEDUPLICATE:
		return &tm_dedup_class;
	case TM_OP_JOIN:
		return run->stream && op->inputs[0]->streaming && op->inputs[1]->streaming ? &tm_stream_join_class : &tm_join_class;
	case TM_OP_WINDOW:
		return &tm_window_class;
	case TM_OP_SORT:
		return &tm_sort_class;
	case TM_OP_LIMIT:
		return &tm_limit_class;
	case TM_OP_UNION:
		return &tm_union_class;
	case TM_OP_SET:
		return &tm_set_class;
	case TM_OP_SAMPLE:
		return &tm_sample_class;
	case TM_OP_DOMAIN:
		return &tm_domain_class;
	}
	return NULL;
}

static tm_rc build(struct tm_run *run, const struct tm_op *op, int64_t limit_hint, struct tm_node **ret, struct tm_err *err)
{
	const struct tm_node_class *klass = class_of(run, op);
	TM_ASSERT(klass);
	struct tm_node *node = tm_zalloc(klass->size);
	*ret = node; /* at once, so that a failure leaves a tree that can be freed */
	node->klass = klass;
	node->op = op;
	node->run = run;
	node->limit_hint = limit_hint;
	tm_arena_init(&node->arena);
	node->arena.limit_bytes = TM_LIMIT_VALUES_BYTES;
	tm_arena_init(&node->run_arena);
	node->inputs = tm_zalloc(tm_mul_size(op->input_count + 1, sizeof(struct tm_node *)));
	int64_t hint = -1;
	if (op->kind == TM_OP_LIMIT && op->limit.count >= 0)
		hint = op->limit.count + (op->limit.offset > 0 ? op->limit.offset : 0);
	else if (op->kind == TM_OP_PROJECT)
		hint = limit_hint;
	for (size_t i = 0; i < op->input_count; i++) {
		node->input_count = i + 1;
		TM_TRY(build(run, op->inputs[i], hint, &node->inputs[i], err));
	}
	return klass->open ? klass->open(node, err) : TM_OK;
}

tm_rc tm_node_build(struct tm_run *run, const struct tm_op *op, struct tm_node **ret, struct tm_err *err)
{
	struct tm_node *root = NULL;
	tm_rc rc = build(run, op, -1, &root, err);
	if (rc) {
		tm_node_free(root);
		return rc;
	}
	*ret = root;
	return TM_OK;
}

tm_rc tm_node_begin(struct tm_node *node, struct tm_err *err)
{
	for (size_t i = 0; i < node->input_count; i++)
		TM_TRY(tm_node_begin(node->inputs[i], err));
	tm_arena_reset(&node->run_arena);
	node->out = (struct tm_flow){0};
	return node->klass->begin ? node->klass->begin(node, err) : TM_OK;
}

/* A stream's batch ends where it holds up the end for too long. A query that somebody asks ends when nobody waits for it any more, and
 * where memory is short: it must not take that of the pipelines, and the process with it. (A stream's state is in the store; its batches
 * have limits of their own.) */
static tm_rc may_go_on(struct tm_run *run, struct tm_err *err)
{
	enum { PULLS = 64 };
	if (++run->pulls % PULLS)
		return TM_OK;
	if (run->stream)
		return tm_stream_overdue(run) ? tm_fail(err, TM_CANCELLED, "it was told to stop") : TM_OK;
	if (run->world->cancelled && run->world->cancelled(run->world->cancelled_ctx))
		return tm_fail_class(err, TM_CANCELLED, "OPERATION_CANCELED", "HY008", "Operation has been canceled.");
	if (!tm_memory_short())
		return TM_OK;
	return tm_fail_class(err, TM_LIMIT, "UNABLE_TO_ACQUIRE_MEMORY", "53200",
			     "The query needs more memory than it may have: the process has used %zu of %zu MiB, and the rest is for the "
			     "pipelines. Add a filter or LIMIT, or let a pipeline do it batch by batch.",
			     tm_memory_used() / TM_MIB, tm_memory_limit() / TM_MIB);
}

tm_rc tm_node_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	const struct tm_flow *flow = NULL;
	TM_TRY(may_go_on(node->run, err));
	TM_TRY(node->klass->next(node, &flow, err));
	if (flow)
		__atomic_add_fetch(&node->rows_out, (int64_t)flow->batch.rows, __ATOMIC_RELAXED);
	*ret = flow;
	return TM_OK;
}

tm_rc tm_node_pull(struct tm_node *node, size_t input, const struct tm_flow **ret, struct tm_err *err)
{
	TM_TRY(tm_node_next(node->inputs[input], ret, err));
	if (*ret)
		node->rows_in += (int64_t)(*ret)->batch.rows;
	return TM_OK;
}

void tm_node_free(struct tm_node *node)
{
	if (!node)
		return;
	if (node->klass->close)
		node->klass->close(node);
	for (size_t i = 0; i < node->input_count; i++)
		tm_node_free(node->inputs[i]);
	free(node->inputs);
	tm_arena_done(&node->arena);
	tm_arena_done(&node->run_arena);
	free(node);
}

tm_rc tm_node_columns(const struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in, struct tm_expr *const *exprs,
		      size_t count, struct tm_column **ret, struct tm_err *err)
{
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, count + 1);
	struct tm_eval ev = tm_node_eval(node, arena, in, err);
	for (size_t i = 0; i < count; i++) {
		TM_TRY(tm_expr_eval(&ev, exprs[i], &columns[i]));
		if (columns[i].constant) {
			columns[i].rows = in->rows;
			tm_column_flatten(&columns[i], arena);
		}
	}
	*ret = columns;
	return TM_OK;
}

void tm_batch_slice(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b, size_t from, size_t n)
{
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, b->column_count + 1);
	for (size_t i = 0; i < b->column_count; i++)
		tm_column_slice(&columns[i], arena, &b->columns[i], from, n);
	*ret = (struct tm_batch){.rows = n, .column_count = b->column_count, .columns = columns};
}

void tm_batch_empty(struct tm_batch *ret, struct tm_arena *arena, const struct tm_schema *schema)
{
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, schema->count + 1);
	for (size_t i = 0; i < schema->count; i++)
		tm_column_init(&columns[i], arena, schema->fields[i].type, 0);
	*ret = (struct tm_batch){.rows = 0, .column_count = schema->count, .columns = columns};
}

tm_rc tm_node_collect(struct tm_node *input, struct tm_arena *arena, const struct tm_schema *schema, struct tm_batch *ret,
		      struct tm_err *err)
{
	struct {
		struct tm_batch *items;
		size_t count, cap;
	} parts = {0};
	size_t rows = 0;
	for (;;) {
		const struct tm_flow *flow;
		TM_TRY(tm_node_next(input, &flow, err));
		if (!flow)
			break;
		if (!flow->batch.rows)
			continue;
		tm_stream_used(flow);
		struct tm_batch copy;
		tm_batch_copy(&copy, arena, &flow->batch);
		TM_PUSH_IN(arena, &parts, copy);
		rows += copy.rows;
		if (rows >= UINT32_MAX)
			return tm_fail(err, TM_LIMIT, "more than %u rows meet in one operator", UINT32_MAX - 1);
	}
	if (!parts.count) {
		tm_batch_empty(ret, arena, schema);
		return TM_OK;
	}
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, schema->count + 1);
	const struct tm_column **list = TM_NEW_N(arena, const struct tm_column *, parts.count);
	for (size_t c = 0; c < schema->count; c++) {
		for (size_t p = 0; p < parts.count; p++) {
			struct tm_column *column = &parts.items[p].columns[c];
			if (column->constant) {
				column->rows = parts.items[p].rows;
				tm_column_flatten(column, arena);
			}
			list[p] = column;
		}
		if (parts.count == 1)
			columns[c] = *list[0];
		else
			tm_column_concat(&columns[c], arena, list, parts.count);
	}
	*ret = (struct tm_batch){.rows = rows, .column_count = schema->count, .columns = columns};
	return TM_OK;
}
