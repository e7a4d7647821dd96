/* What the operators behind |> do otherwise than SELECT: columns keep their relations' names, SET replaces columns, and EXTEND, SET and
 * AGGREGATE say which expressions they take. */
#include "sql/block.h"

const struct ast_expr *sx_pipe_set(const struct ast_expr *star, const struct sx_column *c)
{
	for (size_t i = 0; i < star->args.count; i++)
		if (!c->hidden && tm_str_ieq(star->args.items[i]->names.items[0], c->name))
			return star->args.items[i];
	return NULL;
}

void sx_pipe_pass(struct block *b, struct item *item)
{
	for (size_t i = 0; b->body->pipe && i < b->columns.count; i++) {
		const struct sx_column *c = &b->columns.items[i];
		bool same = c->expr ? sx_same(c->expr, item->expr) : item->expr->kind == TM_EXPR_COLUMN && item->expr->column == c->index;
		if (!c->hidden && same)
			item->qualifier = c->qualifier;
	}
}

tm_rc sx_pipe_position(struct block *b, const struct ast_expr *ast, struct tm_expr **ret, struct ast_names *ret_qualifier)
{
	int64_t v, at = 0;
	*ret = NULL;
	if (b->body->pipe != AST_PIPE_AGGREGATE || ast->kind != AST_LITERAL || ast->literal != AST_LIT_INTEGER ||
	    !tm_str_to_i64(ast->text, &v))
		return TM_OK;
	for (size_t i = 0; i < b->columns.count; i++) {
		const struct sx_column *c = &b->columns.items[i];
		at += !c->hidden;
		if (c->hidden || at != v)
			continue;
		*ret = c->expr ? sx_copy(b->sx, c->expr) : sx_column_expr(b->sx, c->index, c->type, c->nullable, c->name);
		(*ret)->text = c->name;
		*ret_qualifier = c->qualifier;
	}
	if (*ret)
		return TM_OK;
	return sx_fail(b->sx, ast->line, ast->column, "GROUP_BY_POS_OUT_OF_RANGE", "42805",
		       "GROUP BY position %lld is not in select list (valid range is [1, %lld]).", (long long)v, (long long)at);
}

static bool find_aggregate(const struct tm_expr *e, void *ctx)
{
	if (sx_kind(e) != SX_AGG)
		return false;
	*(const struct tm_expr **)ctx = e;
	return true;
}

tm_rc sx_pipe_check(struct block *b, size_t i, const struct ast_expr *ast, const struct tm_expr *e)
{
	enum ast_pipe pipe = b->body->pipe;
	const struct tm_expr *aggregate = NULL;
	if (pipe < AST_PIPE_EXTEND || i < b->body->pipe_first)
		return TM_OK;
	if (!e) /* a star */
		return pipe == AST_PIPE_SET ? TM_OK
					    : sx_fail(b->sx, ast->line, ast->column, "INVALID_USAGE_OF_STAR_OR_REGEX", "42000",
						      "Invalid usage of '*' in expression `pipeexpression`.");
	sx_any(e, find_aggregate, &aggregate);
	if (pipe == AST_PIPE_AGGREGATE && sx_has(e, SX_GROUPING))
		return sx_fail(b->sx, ast->line, ast->column, "UNSUPPORTED_FEATURE.PIPE_OPERATOR_AGGREGATE_UNSUPPORTED_CASE", "0A000",
			       "The feature is not supported: The SQL pipe operator syntax with aggregation (using |> AGGREGATE) does not "
			       "support GROUPING.");
	if (pipe == AST_PIPE_AGGREGATE && !aggregate)
		return sx_fail(b->sx, ast->line, ast->column, "PIPE_OPERATOR_AGGREGATE_EXPRESSION_CONTAINS_NO_AGGREGATE_FUNCTION", "0A000",
			       "Non-grouping expression %.*s is provided as an argument to the |> AGGREGATE pipe operator but does not "
			       "contain any aggregate function; please update it to include an aggregate function and then retry the "
			       "query again.",
			       TM_STR_ARG(e->text));
	if (pipe != AST_PIPE_AGGREGATE && aggregate)
		return sx_fail(b->sx, ast->line, ast->column, "PIPE_OPERATOR_CONTAINS_AGGREGATE_FUNCTION", "0A000",
			       "Aggregate function %.*s is not allowed when using the pipe operator |> %s clause; please use the pipe "
			       "operator |> AGGREGATE clause instead.",
			       TM_STR_ARG(aggregate->text), pipe == AST_PIPE_SET ? "SET" : "EXTEND");
	return TM_OK;
}
