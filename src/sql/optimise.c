/* From the analyser's plan to the one that runs: constants folded, operators numbered, event-time columns found, the plan's
 * hash, EXPLAIN. */
#include "sql/sql_int.h"

/* Every expression of an operator, in turn. */
typedef tm_rc (*each_expr)(void *ctx, struct tm_expr **io);
static tm_rc visit_agg(struct tm_agg *a, each_expr each, void *ctx)
{
	for (size_t i = 0; i < a->arg_count; i++)
		TM_TRY(each(ctx, &a->args[i]));
	return a->filter ? each(ctx, &a->filter) : TM_OK;
}
static tm_rc visit_list(struct tm_expr **items, size_t n, each_expr each, void *ctx)
{
	for (size_t i = 0; i < n; i++)
		TM_TRY(each(ctx, &items[i]));
	return TM_OK;
}
static tm_rc visit_window(struct tm_op *op, each_expr each, void *ctx)
{
	TM_TRY(visit_list(op->window.partition, op->window.partition_count, each, ctx));
	for (size_t i = 0; i < op->window.order_count; i++)
		TM_TRY(each(ctx, &op->window.order[i].expr));
	for (size_t i = 0; i < op->window.function_count; i++) {
		struct tm_window_fn *f = op->window.functions[i];
		TM_TRY(f->agg ? visit_agg(f->agg, each, ctx) : visit_list(f->args, f->arg_count, each, ctx));
	}
	return TM_OK;
}
static tm_rc visit(struct tm_op *op, each_expr each, void *ctx)
{
	switch (op->kind) {
	case TM_OP_FILTER:
		return each(ctx, &op->filter.condition);
	case TM_OP_PROJECT:
		return visit_list(op->project.exprs, op->schema.count, each, ctx);
	case TM_OP_EXPAND:
		for (size_t i = 0; i < op->expand_guarded.count; i++) {
			if (op->expand_guarded.guards && op->expand_guarded.guards[i])
				TM_TRY(each(ctx, &op->expand_guarded.guards[i]));
			TM_TRY(visit_list(op->expand_guarded.projections[i], op->schema.count, each, ctx));
		}
		return TM_OK;
	case TM_OP_GENERATE:
		return each(ctx, &op->generate.list);
	case TM_OP_AGGREGATE:
		TM_TRY(visit_list(op->aggregate.keys, op->aggregate.key_count, each, ctx));
		for (size_t i = 0; i < op->aggregate.agg_count; i++)
			TM_TRY(visit_agg(op->aggregate.aggs[i], each, ctx));
		return TM_OK;
	case TM_OP_JOIN:
		TM_TRY(visit_list(op->join.left_keys, op->join.key_count, each, ctx));
		TM_TRY(visit_list(op->join.right_keys, op->join.key_count, each, ctx));
		return op->join.residual ? each(ctx, &op->join.residual) : TM_OK;
	case TM_OP_WINDOW:
		return visit_window(op, each, ctx);
	case TM_OP_SORT:
		for (size_t i = 0; i < op->sort.key_count; i++)
			TM_TRY(each(ctx, &op->sort.keys[i].expr));
		return TM_OK;
	default:
		return TM_OK;
	}
}

/* ---- finishing ---- */
static struct tm_expr *fold(void *ctx, struct tm_expr *e)
{
	struct sx *sx = ctx;
	if (e->kind != TM_EXPR_CALL)
		return e->kind == TM_EXPR_LAMBDA ? e : NULL;
	struct tm_expr *r = sx_fold(sx, e);
	return r != e ? r : NULL;
}
static tm_rc finish_expr(void *ctx, struct tm_expr **io)
{
	struct sx *sx = ctx;
	*io = sx_rewrite(sx, *io, fold, NULL, sx);
	return TM_OK;
}

static tm_rc finish(struct sx *sx, struct tm_op *op, size_t *io_id)
{
	op->id = (*io_id)++;
	TM_TRY(visit(op, finish_expr, sx));
	if (op->kind == TM_OP_AGGREGATE && !op->aggregate.session_gap_us && op->streaming)
		for (size_t i = 0; i < op->aggregate.key_count && op->aggregate.event_time_key < 0; i++)
			if (sx_delay(op, i) >= 0)
				op->aggregate.event_time_key = (int)i;
	if (op->kind == TM_OP_DEDUPLICATE && op->streaming && op->deduplicate.event_time_column < 0)
		for (size_t i = 0; i < op->deduplicate.column_count && op->deduplicate.event_time_column < 0; i++)
			if (sx_delay(op, op->deduplicate.columns[i]) >= 0)
				op->deduplicate.event_time_column = (int)op->deduplicate.columns[i];
	for (size_t i = 0; i < op->input_count; i++)
		TM_TRY(finish(sx, op->inputs[i], io_id));
	return TM_OK;
}

/* A projection that only picks columns of another projection is made part of it. */
static void merge_projects(struct sx *sx, struct tm_op *op)
{
	struct tm_op *in = op->input_count ? op->inputs[0] : NULL;
	while (op->kind == TM_OP_PROJECT && in->kind == TM_OP_PROJECT) {
		uint8_t *used = TM_NEW_N(sx->arena, uint8_t, in->schema.count + 1);
		bool plain = true;
		for (size_t i = 0; plain && i < op->schema.count; i++) {
			const struct tm_expr *e = op->project.exprs[i];
			plain = e->kind == TM_EXPR_COLUMN && (!used[e->column]++ || in->project.exprs[e->column]->kind == TM_EXPR_COLUMN);
		}
		if (!plain)
			break;
		struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, op->schema.count + 1);
		for (size_t i = 0; i < op->schema.count; i++)
			exprs[i] = in->project.exprs[op->project.exprs[i]->column];
		op->project.exprs = exprs;
		op->inputs[0] = in = in->inputs[0];
	}
	for (size_t i = 0; i < op->input_count; i++)
		merge_projects(sx, op->inputs[i]);
}

tm_rc sx_optimise(struct sx *sx, struct tm_op **io_root)
{
	size_t id = 0;
	*io_root = sx_push_filters(sx, *io_root);
	TM_TRY(sx_prune(sx, io_root));
	merge_projects(sx, *io_root);
	return finish(sx, *io_root, &id);
}

/* ---- hash and text ---- */
static const char *const kind_names[] = {[TM_OP_VALUES] = "LocalTableScan",
					 [TM_OP_RANGE] = "Range",
					 [TM_OP_SCAN] = "Scan",
					 [TM_OP_FILTER] = "Filter",
					 [TM_OP_PROJECT] = "Project",
					 [TM_OP_EXPAND] = "Expand",
					 [TM_OP_GENERATE] = "Generate",
					 [TM_OP_AGGREGATE] = "HashAggregate",
					 [TM_OP_WATERMARK] = "EventTimeWatermark",
					 [TM_OP_DEDUPLICATE] = "Deduplicate",
					 [TM_OP_JOIN] = "HashJoin",
					 [TM_OP_WINDOW] = "Window",
					 [TM_OP_SORT] = "Sort",
					 [TM_OP_LIMIT] = "Limit",
					 [TM_OP_UNION] = "Union",
					 [TM_OP_SET] = "SetOperation",
					 [TM_OP_SAMPLE] = "Sample",
					 [TM_OP_DOMAIN] = "Domain"};

static void explain_exprs(struct tm_buf *out, const char *label, struct tm_expr *const *items, size_t n)
{
	tm_buf_printf(out, " %s[", label);
	for (size_t i = 0; i < n; i++)
		tm_buf_printf(out, "%s%.*s", i ? ", " : "", TM_STR_ARG(items[i]->text));
	tm_buf_char(out, ']');
}

static void explain_op(const struct tm_op *op, struct tm_buf *out)
{
	static const char *const joins[] = {"Inner", "LeftOuter", "RightOuter", "FullOuter", "LeftSemi", "LeftAnti", "Cross"};
	tm_buf_cstr_put(out, kind_names[op->kind]);
	switch (op->kind) {
	case TM_OP_SCAN:
		tm_buf_printf(out, " %.*s %.*s%s [", TM_STR_ARG(op->scan.relation->format), TM_STR_ARG(op->scan.relation->name),
			      op->scan.relation->streaming ? " streaming" : "");
		for (size_t i = 0; i < op->schema.count; i++)
			tm_buf_printf(out, "%s%.*s", i ? ", " : "", TM_STR_ARG(op->schema.fields[i].name));
		tm_buf_char(out, ']');
		break;
	case TM_OP_FILTER:
		tm_buf_printf(out, " %.*s", TM_STR_ARG(op->filter.condition->text));
		break;
	case TM_OP_PROJECT:
		explain_exprs(out, "", op->project.exprs, op->schema.count);
		break;
	case TM_OP_AGGREGATE:
		explain_exprs(out, "keys=", op->aggregate.keys, op->aggregate.key_count);
		tm_buf_cstr_put(out, " functions=[");
		for (size_t i = 0; i < op->aggregate.agg_count; i++)
			tm_buf_printf(out, "%s%.*s", i ? ", " : "", TM_STR_ARG(op->aggregate.aggs[i]->text));
		tm_buf_char(out, ']');
		break;
	case TM_OP_JOIN:
		tm_buf_printf(out, " %s", joins[op->join.kind]);
		explain_exprs(out, "", op->join.left_keys, op->join.key_count);
		explain_exprs(out, "", op->join.right_keys, op->join.key_count);
		if (op->join.residual)
			tm_buf_printf(out, " on %.*s", TM_STR_ARG(op->join.residual->text));
		break;
	case TM_OP_WATERMARK:
		tm_buf_printf(out, " %.*s delay %lld us", TM_STR_ARG(op->schema.fields[op->watermark.column].name),
			      (long long)op->watermark.delay_us);
		break;
	case TM_OP_LIMIT:
		tm_buf_printf(out, " %lld offset %lld", (long long)op->limit.count, (long long)op->limit.offset);
		break;
	case TM_OP_RANGE:
		tm_buf_printf(out, " (%lld, %lld, %lld)", (long long)op->range.start, (long long)op->range.end, (long long)op->range.step);
		break;
	case TM_OP_GENERATE:
		tm_buf_printf(out, " %s(%.*s)", op->generate.outer ? "outer " : "", TM_STR_ARG(op->generate.list->text));
		break;
	default:
		break;
	}
	tm_buf_char(out, '\n');
}

static void explain_tree(const struct tm_op *op, size_t depth, struct tm_buf *out)
{
	for (size_t i = 0; i < depth; i++)
		tm_buf_cstr_put(out, i + 1 < depth ? "   " : "+- ");
	explain_op(op, out);
	for (size_t i = 0; i < op->input_count; i++)
		explain_tree(op->inputs[i], depth + 1, out);
}

void sx_explain(__attribute__((unused)) struct sx *sx, const struct tm_op *root, struct tm_buf *out) { explain_tree(root, 0, out); }

static void hash_type(const struct tm_type *t, struct tm_buf *out)
{
	tm_buf_char(out, ' ');
	tm_type_text(t, out);
}
/* What keyed state depends on: the stateful operators with the types of their keys and their functions, and how many streams
 * there are. Names, filters, delays and what comes behind may change, as with Spark. */
static void hash_op(const struct tm_op *op, struct tm_buf *out)
{
	switch (op->kind) {
	case TM_OP_AGGREGATE:
		tm_buf_printf(out, "aggregate %d", op->aggregate.session_gap_us != 0);
		for (size_t i = 0; i < op->aggregate.key_count; i++)
			hash_type(op->aggregate.keys[i]->type, out);
		for (size_t i = 0; i < op->aggregate.agg_count; i++) {
			tm_buf_printf(out, " %s%s", op->aggregate.aggs[i]->kernel->name,
				      op->aggregate.aggs[i]->distinct ? " distinct" : "");
			hash_type(op->aggregate.aggs[i]->type, out);
		}
		break;
	case TM_OP_DEDUPLICATE:
		tm_buf_printf(out, "deduplicate %d", op->deduplicate.within_watermark);
		for (size_t i = 0; i < op->deduplicate.column_count; i++)
			hash_type(op->schema.fields[op->deduplicate.columns[i]].type, out);
		break;
	case TM_OP_JOIN:
		if (!op->inputs[0]->streaming || !op->inputs[1]->streaming)
			break;
		tm_buf_printf(out, "join %d", op->join.kind);
		for (size_t i = 0; i < op->join.key_count; i++)
			hash_type(op->join.left_keys[i]->type, out);
		for (int side = 0; side < 2; side++)
			for (size_t i = 0; i < op->inputs[side]->schema.count; i++)
				hash_type(op->inputs[side]->schema.fields[i].type, out);
		break;
	case TM_OP_SCAN:
		tm_buf_cstr_put(out, op->streaming ? "stream\n" : "");
		break;
	default:
		break;
	}
	for (size_t i = 0; i < op->input_count; i++)
		hash_op(op->inputs[i], out);
}

uint64_t sx_plan_hash(const struct tm_op *root)
{
	struct tm_buf b = {0};
	hash_op(root, &b);
	uint64_t h = tm_xxh64(b.at, b.len, 0);
	tm_buf_done(&b);
	return h;
}
