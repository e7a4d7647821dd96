/* Making operators. */
#include "sql/sql_int.h"

struct tm_op *sx_op(struct sx *sx, enum tm_op_kind kind, struct tm_op *input, struct tm_op *second)
{
	struct tm_op *op = TM_NEW(sx->arena, struct tm_op);
	op->kind = kind;
	op->input_count = (size_t)(input != NULL) + (size_t)(second != NULL);
	op->inputs = TM_NEW_N(sx->arena, struct tm_op *, 2);
	op->inputs[0] = input;
	op->inputs[1] = second;
	op->streaming = (input && input->streaming) || (second && second->streaming);
	if (input) {
		op->line = input->line;
		op->column_no = input->column_no;
	}
	return op;
}

void sx_schema_add(struct sx *sx, struct tm_op *op, struct tm_str name, const struct tm_type *type, bool nullable)
{
	size_t n = op->schema.count;
	/* Room grows by doubling: a power of two is full. */
	if ((n & (n - 1)) == 0) {
		struct tm_field *fields = TM_NEW_N(sx->arena, struct tm_field, n ? n * 2 : 1);
		if (n)
			memcpy(fields, op->schema.fields, n * sizeof *fields);
		op->schema.fields = fields;
	}
	op->schema.fields[op->schema.count++] = (struct tm_field){name, type, nullable};
}

void sx_schema_copy(struct sx *sx, struct tm_op *op, const struct tm_op *from)
{
	for (size_t i = 0; i < from->schema.count; i++)
		sx_schema_add(sx, op, from->schema.fields[i].name, from->schema.fields[i].type, from->schema.fields[i].nullable);
}

struct tm_op *sx_op_filter(struct sx *sx, struct tm_op *input, struct tm_expr *condition)
{
	struct tm_op *op = sx_op(sx, TM_OP_FILTER, input, NULL);
	sx_schema_copy(sx, op, input);
	op->filter.condition = condition;
	return op;
}

struct tm_op *sx_op_project(struct sx *sx, struct tm_op *input, struct tm_expr **exprs, const struct tm_str *names, size_t n)
{
	struct tm_op *op = sx_op(sx, TM_OP_PROJECT, input, NULL);
	op->project.exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		op->project.exprs[i] = exprs[i];
		sx_schema_add(sx, op, names ? names[i] : exprs[i]->text, exprs[i]->type, exprs[i]->nullable);
	}
	return op;
}

struct tm_op *sx_op_append(struct sx *sx, struct tm_op *input, struct tm_expr **exprs, const struct tm_str *names, size_t n)
{
	size_t have = input->schema.count;
	struct tm_expr **all = TM_NEW_N(sx->arena, struct tm_expr *, have + n);
	struct tm_str *all_names = TM_NEW_N(sx->arena, struct tm_str, have + n);
	for (size_t i = 0; i < have; i++) {
		all[i] = sx_op_column(sx, input, i);
		all_names[i] = input->schema.fields[i].name;
	}
	for (size_t i = 0; i < n; i++) {
		all[have + i] = exprs[i];
		all_names[have + i] = names ? names[i] : exprs[i]->text;
	}
	return sx_op_project(sx, input, all, all_names, have + n);
}

struct tm_op *sx_op_keep(struct sx *sx, struct tm_op *input, size_t n)
{
	if (input->schema.count == n)
		return input;
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + 1);
	for (size_t i = 0; i < n; i++) {
		exprs[i] = sx_op_column(sx, input, i);
		names[i] = input->schema.fields[i].name;
	}
	return sx_op_project(sx, input, exprs, names, n);
}

struct tm_op *sx_op_one_row(struct sx *sx)
{
	struct tm_op *op = sx_op(sx, TM_OP_VALUES, NULL, NULL);
	op->values.rows = 1;
	return op;
}

static void *copied(struct sx *sx, const void *items, size_t n, size_t size)
{
	void *r = tm_arena_zalloc(sx->arena, (n + 1) * size);
	if (n)
		memcpy(r, items, n * size);
	return r;
}

struct tm_op *sx_op_clone(struct sx *sx, const struct tm_op *op)
{
	struct tm_op *r = copied(sx, op, 1, sizeof *op);
	r->inputs = copied(sx, op->inputs, 2, sizeof *op->inputs);
	for (size_t i = 0; i < op->input_count; i++)
		r->inputs[i] = sx_op_clone(sx, op->inputs[i]);
	r->schema = (struct tm_schema){0};
	sx_schema_copy(sx, r, op);
	switch (op->kind) {
	case TM_OP_PROJECT:
		r->project.exprs = copied(sx, op->project.exprs, op->schema.count, sizeof *op->project.exprs);
		break;
	case TM_OP_AGGREGATE:
		r->aggregate.keys = copied(sx, op->aggregate.keys, op->aggregate.key_count, sizeof *op->aggregate.keys);
		r->aggregate.aggs = copied(sx, op->aggregate.aggs, op->aggregate.agg_count, sizeof *op->aggregate.aggs);
		break;
	case TM_OP_WINDOW:
		r->window.functions = copied(sx, op->window.functions, op->window.function_count, sizeof *op->window.functions);
		break;
	default:
		break;
	}
	return r;
}

static int64_t expr_delay(const struct tm_op *input, const struct tm_expr *e)
{
	if (e->kind == TM_EXPR_COLUMN)
		return sx_delay(input, e->column);
	if (e->kind == TM_EXPR_CALL &&
	    (e->kernel == &sx_kernel_window || e->kernel == &sx_kernel_session || e->kernel == &sx_kernel_window_time))
		return expr_delay(input, e->args[0]);
	return -1;
}

int64_t sx_delay(const struct tm_op *op, size_t column)
{
	const struct tm_op *in = op->input_count ? op->inputs[0] : NULL;
	switch (op->kind) {
	case TM_OP_FILTER:
	case TM_OP_SORT:
	case TM_OP_LIMIT:
	case TM_OP_SAMPLE:
	case TM_OP_DEDUPLICATE:
	case TM_OP_SET:
		return sx_delay(in, column);
	case TM_OP_GENERATE:
	case TM_OP_WINDOW:
		return column < in->schema.count ? sx_delay(in, column) : -1;
	case TM_OP_WATERMARK:
		return column == op->watermark.column ? op->watermark.delay_us : sx_delay(in, column);
	case TM_OP_PROJECT:
		return expr_delay(in, op->project.exprs[column]);
	case TM_OP_EXPAND:
		return op->expand_guarded.count ? expr_delay(in, op->expand_guarded.projections[0][column]) : -1;
	case TM_OP_AGGREGATE:
		return column < op->aggregate.key_count ? expr_delay(in, op->aggregate.keys[column]) : -1;
	case TM_OP_JOIN:
		return column < in->schema.count ? sx_delay(in, column) : sx_delay(op->inputs[1], column - in->schema.count);
	case TM_OP_UNION:
		/* Spark takes a union's columns from its first input. */
		return sx_delay(in, column);
	default:
		return -1;
	}
}
