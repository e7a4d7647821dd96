/* The pipe form, FROM r |> op |> op (Spark 4's "SQL Pipe Syntax"): each operator is a SELECT over what stands before it, whose columns
 * keep the names of their relations. */
#include "sql/parse.h"

static struct ast_query *query_of(struct parser *p, struct ast_body *b)
{
	struct ast_query *q = TM_NEW(p->arena, struct ast_query);
	q->line = b->line;
	q->column = b->column;
	q->body = b;
	return q;
}

/* Each stands in the next one, as a subquery in FROM does: as deep as one. */
static tm_rc parse_stage(struct parser *p)
{
	TM_TRY(parse_deeper(p));
	return parse_deeper(p);
}

static struct ast_expr *star_node(struct parser *p) { return parse_node(p, AST_STAR, tok(p, 0)); }

/* Its columns are those of r. */
static struct ast_body *select_from(struct parser *p, struct ast_rel *r, enum ast_pipe pipe)
{
	struct ast_body *b = parse_body_node(p, AST_SELECT);
	TM_PUSH_IN(p->arena, &b->items, star_node(p));
	b->from = r;
	b->pipe = pipe;
	return b;
}

/* What a query before |> gives, as a relation. FROM alone is the relation that stands there. */
static struct ast_rel *relation_of(struct parser *p, struct ast_query *q)
{
	struct ast_body *b = q->body;
	if (b->kind == AST_SELECT && b->from_only)
		return b->from;
	if (b->kind == AST_SELECT && !b->pipe)
		b->pipe = AST_PIPE_SELECT;
	struct ast_rel *r = parse_rel_node(p, AST_REL_QUERY);
	r->query = q;
	r->piped = true;
	return r;
}

/* One that may be given an alias, or a PIVOT. */
static struct ast_rel *own_relation(struct parser *p, struct ast_rel *r)
{
	return r->kind == AST_REL_QUERY && !r->alias.at && !r->pivots.count
		   ? r
		   : relation_of(p, query_of(p, select_from(p, r, AST_PIPE_SELECT)));
}

static tm_rc unsupported(struct parser *p, const char *what)
{
	return parse_fail_class(p, tok(p, 0)->line, tok(p, 0)->column, "UNSUPPORTED_FEATURE.PIPE_OPERATOR_AGGREGATE_UNSUPPORTED_CASE",
				"0A000",
				"The feature is not supported: The SQL pipe operator syntax with aggregation (using |> AGGREGATE) does not "
				"support %s.",
				what);
}

/* AGGREGATE [f, …] [GROUP BY k, …]: the keys come first. A number among them is a column of what stands before. */
static tm_rc parse_aggregate(struct parser *p, struct ast_body *b)
{
	static const char *const words[] = {"ALL", "ROLLUP", "CUBE"}, *const names[] = {"GROUP BY ALL", "GROUP BY ROLLUP", "GROUP BY CUBE"};
	const struct token *t = tok(p, 0);
	struct ast_exprs aggregates = {0};
	b->items = (struct ast_exprs){0};
	if (!at_word(p, 0, "GROUP") && !at_end(p) && !at_sign(p, 0, "|>") && !at_sign(p, 0, ")") && !at_sign(p, 0, ";"))
		TM_TRY(parse_items(p, &aggregates));
	if (take_words(p, "GROUP", "BY")) {
		for (size_t i = 0; i < 3; i++)
			if (at_word(p, 0, words[i]) && (i == 0 || at_sign(p, 1, "(")))
				return unsupported(p, names[i]);
		if (at_word(p, 0, "GROUPING") && at_word(p, 1, "SETS"))
			return unsupported(p, "GROUPING SETS");
		TM_TRY(parse_items(p, &b->items));
		for (size_t i = 1; i < 3; i++)
			if (at_word(p, 0, "WITH") && at_word(p, 1, words[i]))
				return unsupported(p, names[i]);
	}
	if (!b->items.count && !aggregates.count)
		return parse_fail_class(p, t->line, t->column, "_LEGACY_ERROR_TEMP_0035", NULL,
					"Operation not allowed: The AGGREGATE clause requires a list of aggregate expressions or a list of "
					"grouping expressions, or both.");
	b->pipe_first = b->items.count;
	for (size_t i = 0; i < b->items.count; i++) {
		struct ast_expr *e = b->items.items[i];
		TM_PUSH_IN(p->arena, &b->group, (struct ast_grouping){.expr = e->kind == AST_ALIAS ? e->args.items[0] : e});
	}
	for (size_t i = 0; i < aggregates.count; i++)
		TM_PUSH_IN(p->arena, &b->items, aggregates.items[i]);
	return TM_OK;
}

/* SET a = e, b = f: the second sees what the first has set, so each is a SELECT of its own. */
static tm_rc parse_set(struct parser *p, struct ast_body *b, struct ast_query **io)
{
	for (;;) {
		const struct token *t = tok(p, 0);
		struct ast_expr *set = parse_node(p, AST_ALIAS, t), *value;
		struct tm_str name;
		TM_TRY(parse_identifier(p, &name));
		if (at_sign(p, 0, "."))
			return parse_fail_class(
			    p, t->line, t->column, "_LEGACY_ERROR_TEMP_0035", NULL,
			    "Operation not allowed: SQL pipe syntax |> SET operator with multi-part assignment key (only "
			    "single-part keys are allowed).");
		TM_TRY(parse_want_sign(p, "="));
		TM_TRY(parse_expr(p, &value));
		TM_PUSH_IN(p->arena, &set->names, name);
		TM_TRY(parse_add_arg(p, set, value));
		TM_PUSH_IN(p->arena, &b->items.items[0]->args, set);
		*io = query_of(p, b);
		if (!take_sign(p, ","))
			return parse_windows(p, b);
		TM_TRY(parse_stage(p));
		b = select_from(p, relation_of(p, *io), AST_PIPE_SET);
	}
}

static tm_rc parse_drop(struct parser *p, struct ast_body *b)
{
	struct ast_expr *star = b->items.items[0];
	do {
		struct ast_expr *name = parse_node(p, AST_NAME, tok(p, 0));
		TM_TRY(parse_names(p, &name->names));
		parse_close(p, name);
		TM_PUSH_IN(p->arena, &star->except, name);
	} while (take_sign(p, ","));
	return TM_OK;
}

static tm_rc parse_result_clause(struct parser *p, struct ast_query *q)
{
	const struct token *t = tok(p, 0);
	size_t before = p->at;
	TM_TRY(parse_query_tail(p, q));
	if (at_word(p, 0, "WINDOW"))
		return parse_fail_class(p, t->line, t->column, "UNSUPPORTED_FEATURE.CLAUSE_WITH_PIPE_OPERATORS", "0A000",
					"The feature is not supported: The SQL pipe operator syntax using |> does not support the WINDOW "
					"clause.");
	if (p->at == before)
		return parse_fail(p);
	if ((q->order.count || q->order_all) && (q->limit || q->offset))
		return parse_fail_class(p, t->line, t->column, "MULTIPLE_QUERY_RESULT_CLAUSES_WITH_PIPE_OPERATORS", "42000",
					"%.*s BY and %s cannot coexist in the same SQL pipe operator using '|>'. Please separate the "
					"multiple result clauses into separate pipe operators and then retry the query again.",
					TM_STR_ARG(t->text), q->limit ? "LIMIT" : "OFFSET");
	return TM_OK;
}

static tm_rc parse_operator(struct parser *p, struct ast_query **io)
{
	struct ast_rel *in = relation_of(p, *io), *joined;
	struct ast_body *b = select_from(p, in, AST_PIPE_SELECT);
	struct ast_query *q = query_of(p, b);
	if (take_word(p, "SET")) {
		b->pipe = AST_PIPE_SET;
		return parse_set(p, b, io);
	}
	*io = q;
	if (take_word(p, "WHERE"))
		return parse_expr(p, &b->where);
	if (at_word(p, 0, "SELECT")) {
		b->items = (struct ast_exprs){0};
		TM_TRY(parse_select_list(p, b));
		return parse_windows(p, b);
	}
	if (take_word(p, "EXTEND")) {
		b->pipe = AST_PIPE_EXTEND;
		b->pipe_first = 1;
		TM_TRY(parse_items(p, &b->items));
		return parse_windows(p, b);
	}
	if (take_word(p, "DROP"))
		return parse_drop(p, b);
	if (take_word(p, "AGGREGATE")) {
		b->pipe = AST_PIPE_AGGREGATE;
		return parse_aggregate(p, b);
	}
	if (take_word(p, "AS")) {
		in = b->from = own_relation(p, in);
		return parse_identifier(p, &in->alias);
	}
	if (at_word(p, 0, "PIVOT") || at_word(p, 0, "UNPIVOT") || at_word(p, 0, "TABLESAMPLE")) {
		in = b->from = own_relation(p, in);
		return at_word(p, 0, "TABLESAMPLE") ? parse_sample(p, in) : parse_pivot(p, in);
	}
	if (at_setop(p)) {
		q->body = parse_setop_node(p, b);
		return parse_query_term(p, &q->body->right);
	}
	TM_TRY(parse_join(p, in, &joined));
	if (!joined)
		return parse_result_clause(p, q);
	b->from = joined;
	return TM_OK;
}

tm_rc parse_pipe(struct parser *p, struct ast_query **io)
{
	struct ast_mark m = {.kind = AST_MARK_NEW, .line = tok(p, 0)->line, .column = tok(p, 0)->column, .name = TM_STR("|>")};
	uint32_t depth = p->depth;
	TM_PUSH_IN(p->arena, &p->marks, m);
	while (take_sign(p, "|>")) {
		TM_TRY(parse_stage(p));
		TM_TRY(parse_operator(p, io));
	}
	p->depth = depth;
	return TM_OK;
}
