/* Queries: WITH, SELECT, set operations, VALUES, FROM with joins. */
#include <stdlib.h>
#include "sql/parse.h"

bool at_query(const struct parser *p, size_t ahead)
{
	if (at_word(p, ahead, "SELECT"))
		return !at_sign(p, ahead + 1, ")") && !at_sign(p, ahead + 1, ",");
	if (at_word(p, ahead, "WITH") || at_word(p, ahead, "TABLE") || at_word(p, ahead, "FROM"))
		return at_identifier(p, ahead + 1) || (at_word(p, ahead, "FROM") && at_sign(p, ahead + 1, "("));
	return at_word(p, ahead, "VALUES") && !at_sign(p, ahead + 1, ")") && !at_sign(p, ahead + 1, ",") && !at_sign(p, ahead + 1, ".");
}

/* ---- FROM ---- */
static const char *const relation_stops[] = {
    "WHERE",   "GROUP", "HAVING",  "QUALIFY",     "ORDER", "SORT",    "CLUSTER",   "DISTRIBUTE", "LIMIT", "OFFSET", "UNION", "INTERSECT",
    "EXCEPT",  "MINUS", "LATERAL", "WINDOW",      "JOIN",  "INNER",   "LEFT",      "RIGHT",      "FULL",  "CROSS",  "SEMI",  "ANTI",
    "NATURAL", "ON",    "USING",   "TABLESAMPLE", "PIVOT", "UNPIVOT", "WATERMARK", "SELECT",     "DELAY", "WITH",   NULL};

/* [AS] alias */
static tm_rc parse_alias_name(struct parser *p, struct tm_str *ret)
{
	bool as = take_word(p, "AS");
	if (!as && (!at_identifier(p, 0) || (tok(p, 0)->kind == TOK_WORD && at_words(p, relation_stops))))
		return TM_OK;
	return parse_identifier(p, ret);
}

static tm_rc parse_alias(struct parser *p, struct ast_rel *r)
{
	TM_TRY(parse_alias_name(p, &r->alias));
	if (r->alias.at && at_sign(p, 0, "("))
		TM_TRY(parse_name_list(p, &r->columns));
	return TM_OK;
}

tm_rc parse_sample(struct parser *p, struct ast_rel *r)
{
	if (!at_word(p, 0, "TABLESAMPLE") || r->stream)
		return TM_OK;
	p->at++;
	TM_TRY(parse_want_sign(p, "("));
	const struct token *n = tok(p, 0);
	if (n->kind != TOK_NUMBER)
		return parse_fail(p);
	p->at++;
	char *text = tm_arena_cstr(p->arena, n->text);
	r->sample = true;
	r->sample_percent = -1;
	if (take_word(p, "PERCENT"))
		r->sample_percent = strtod(text, NULL);
	else {
		TM_TRY(parse_want_word(p, "ROWS"));
		r->sample_rows = strtoll(text, NULL, 10);
	}
	TM_TRY(parse_want_sign(p, ")"));
	if (take_word(p, "REPEATABLE")) {
		TM_TRY(parse_want_sign(p, "("));
		p->at++;
		TM_TRY(parse_want_sign(p, ")"));
	}
	return TM_OK;
}

static tm_rc parse_watermark(struct parser *p, struct ast_rel *r)
{
	const struct token *t = tok(p, 0);
	if (!at_word(p, 0, "WATERMARK") || at_word(p, 1, "WHERE"))
		return TM_OK;
	p->at++;
	struct ast_watermark *w = TM_NEW(p->arena, struct ast_watermark);
	w->line = t->line;
	w->column = t->column;
	TM_TRY(parse_expr(p, &w->expr));
	if (take_word(p, "AS")) {
		if (at_sign(p, 0, "("))
			return parse_fail_class(p, t->line, t->column, "CANNOT_USE_MULTI_ALIASES_IN_WATERMARK_CLAUSE", "42000",
						"Multiple aliases are not supported in watermark clause.");
		TM_TRY(parse_identifier(p, &w->name));
	}
	TM_TRY(parse_want_word(p, "DELAY"));
	TM_TRY(parse_want_word(p, "OF"));
	if (!at_interval(p))
		return parse_fail(p);
	TM_TRY(parse_interval(p, &w->delay));
	w->to = p->tokens.items[p->at - 1].to;
	r->watermark = w;
	return TM_OK;
}

static tm_rc parse_tail(struct parser *p, struct ast_rel *r)
{
	TM_TRY(parse_sample(p, r));
	TM_TRY(parse_watermark(p, r));
	TM_TRY(parse_alias(p, r));
	TM_TRY(parse_sample(p, r));
	if (!r->watermark)
		TM_TRY(parse_watermark(p, r));
	return TM_OK;
}

struct ast_rel *parse_rel_node(struct parser *p, enum ast_rel_kind kind)
{
	struct ast_rel *r = TM_NEW(p->arena, struct ast_rel);
	r->kind = kind;
	r->line = tok(p, 0)->line;
	r->column = tok(p, 0)->column;
	return r;
}

/* A relation whose end has been read up to its alias: named, or with a watermark. */
static void mark_rel(struct parser *p, const struct ast_rel *r, const struct token *from, size_t base_to)
{
	struct ast_mark m = {.kind = AST_MARK_REL,
			     .line = from->line,
			     .column = from->column,
			     .from = from->from,
			     .base_to = base_to,
			     .to = r->watermark ? r->watermark->to : base_to,
			     .rel = r};
	if (r->kind == AST_REL_NAME || r->watermark)
		TM_PUSH_IN(p->arena, &p->marks, m);
}

static size_t end_of_last(const struct parser *p) { return p->at ? p->tokens.items[p->at - 1].to : 0; }

static tm_rc parse_rel_primary(struct parser *p, struct ast_rel **ret)
{
	struct ast_rel *r;
	const struct token *first = tok(p, 0);
	size_t base_to;
	TM_TRY(parse_deeper(p));
	if (at_sign(p, 0, "(")) {
		r = parse_rel_node(p, AST_REL_QUERY);
		bool inner_query = at_query(p, 1);
		/* "((" is a nested query or a nested join: what stands first inside decides. */
		for (size_t i = 1; !inner_query && i < TM_LIMIT_SQL_NESTING && at_sign(p, i, "("); i++)
			inner_query = at_query(p, i + 1);
		p->at++;
		if (inner_query) {
			TM_TRY(parse_query(p, &r->query));
			TM_TRY(parse_want_sign(p, ")"));
		} else {
			TM_TRY(parse_rel(p, &r));
			TM_TRY(parse_want_sign(p, ")"));
			if (at_word(p, 0, "AS") || (at_identifier(p, 0) && !at_words(p, relation_stops))) {
				/* (a JOIN b) x: as a subquery, so that the alias covers all columns */
				struct ast_rel *outer = parse_rel_node(p, AST_REL_QUERY);
				struct ast_body *body = TM_NEW(p->arena, struct ast_body);
				struct ast_expr *star = parse_node(p, AST_STAR, tok(p, 0));
				TM_PUSH_IN(p->arena, &body->items, star);
				body->from = r;
				outer->query = TM_NEW(p->arena, struct ast_query);
				outer->query->body = body;
				r = outer;
			}
		}
		base_to = end_of_last(p);
		TM_TRY(parse_tail(p, r));
	} else if (at_word(p, 0, "VALUES") && !at_sign(p, 1, ".") && tok(p, 1)->kind != TOK_END) {
		r = parse_rel_node(p, AST_REL_VALUES);
		p->at++;
		TM_TRY(parse_expr_list(p, &r->args));
		base_to = end_of_last(p);
		TM_TRY(parse_tail(p, r));
	} else {
		bool stream = at_word(p, 0, "STREAM") && (at_sign(p, 1, "(") || (at_identifier(p, 1) && !at_word(p, 1, "AS") &&
										 !at_word(p, 1, "WHERE") && !at_word(p, 1, "JOIN")));
		bool paren = stream && at_sign(p, 1, "(");
		p->at += (size_t)stream + (size_t)paren;
		r = parse_rel_node(p, AST_REL_NAME);
		r->stream = stream;
		TM_TRY(parse_names(p, &r->names));
		if (paren)
			TM_TRY(parse_want_sign(p, ")"));
		else if (take_sign(p, "(")) {
			r->kind = AST_REL_FUNCTION;
			if (!at_sign(p, 0, ")"))
				do {
					struct ast_expr *arg;
					if (at_identifier(p, 0) && at_sign(p, 1, "=>"))
						p->at += 2;
					TM_TRY(parse_expr(p, &arg));
					TM_PUSH_IN(p->arena, &r->args, arg);
				} while (take_sign(p, ","));
			TM_TRY(parse_want_sign(p, ")"));
		}
		base_to = end_of_last(p);
		TM_TRY(parse_tail(p, r));
	}
	mark_rel(p, r, first, base_to);
	p->depth--;
	*ret = r;
	return TM_OK;
}

tm_rc parse_pivot(struct parser *p, struct ast_rel *r)
{
	struct ast_pivot *v = TM_NEW(p->arena, struct ast_pivot);
	struct ast_expr *e;
	v->line = tok(p, 0)->line;
	v->column = tok(p, 0)->column;
	v->unpivot = at_word(p, 0, "UNPIVOT");
	p->at++;
	if (take_words(p, "INCLUDE", "NULLS"))
		v->include_nulls = true;
	else
		take_words(p, "EXCLUDE", "NULLS");
	TM_TRY(parse_want_sign(p, "("));
	if (v->unpivot) {
		TM_TRY(parse_identifier(p, &v->value_name));
		TM_TRY(parse_want_word(p, "FOR"));
		TM_TRY(parse_identifier(p, &v->name_name));
		TM_TRY(parse_want_word(p, "IN"));
		TM_TRY(parse_want_sign(p, "("));
		do {
			TM_TRY(parse_named_expr(p, &e));
			TM_PUSH_IN(p->arena, &v->columns, e);
		} while (take_sign(p, ","));
	} else {
		do {
			TM_TRY(parse_named_expr(p, &e));
			TM_PUSH_IN(p->arena, &v->aggregates, e);
		} while (take_sign(p, ","));
		TM_TRY(parse_want_word(p, "FOR"));
		if (take_sign(p, "(")) {
			TM_TRY(parse_expr_list(p, &v->columns));
			TM_TRY(parse_want_sign(p, ")"));
		} else {
			TM_TRY(parse_primary(p, &e));
			TM_PUSH_IN(p->arena, &v->columns, e);
		}
		TM_TRY(parse_want_word(p, "IN"));
		TM_TRY(parse_want_sign(p, "("));
		do {
			struct ast_pivot_value one = {0};
			TM_TRY(parse_named_expr(p, &one.expr));
			if (one.expr->kind == AST_ALIAS) {
				one.alias = one.expr->names.items[0];
				one.expr = one.expr->args.items[0];
			}
			TM_PUSH_IN(p->arena, &v->values, one);
		} while (take_sign(p, ","));
	}
	TM_TRY(parse_want_sign(p, ")"));
	TM_TRY(parse_want_sign(p, ")"));
	TM_PUSH_IN(p->arena, &r->pivots, v);
	if (v->unpivot)
		return parse_alias_name(p, &v->alias);
	return r->alias.at ? TM_OK : parse_alias(p, r);
}

static bool take_join(struct parser *p, enum ast_join *ret, bool *ret_natural)
{
	size_t back = p->at;
	*ret_natural = take_word(p, "NATURAL");
	*ret = AST_JOIN_INNER;
	if (take_word(p, "INNER")) {
	} else if (take_word(p, "CROSS")) {
		*ret = AST_JOIN_CROSS;
	} else if (take_word(p, "LEFT")) {
		*ret = take_word(p, "SEMI") ? AST_JOIN_SEMI : take_word(p, "ANTI") ? AST_JOIN_ANTI : AST_JOIN_LEFT;
		take_word(p, "OUTER");
	} else if (take_word(p, "RIGHT")) {
		*ret = AST_JOIN_RIGHT;
		take_word(p, "OUTER");
	} else if (take_word(p, "FULL")) {
		*ret = AST_JOIN_FULL;
		take_word(p, "OUTER");
	} else if (take_word(p, "SEMI")) {
		*ret = AST_JOIN_SEMI;
	} else if (take_word(p, "ANTI")) {
		*ret = AST_JOIN_ANTI;
	}
	if (take_word(p, "JOIN"))
		return true;
	p->at = back;
	return false;
}

tm_rc parse_join(struct parser *p, struct ast_rel *left, struct ast_rel **ret)
{
	enum ast_join kind;
	bool natural;
	const struct token *t = tok(p, 0);
	*ret = NULL;
	if (!take_join(p, &kind, &natural))
		return TM_OK;
	struct ast_rel *j = *ret = TM_NEW(p->arena, struct ast_rel);
	j->kind = AST_REL_JOIN;
	j->line = t->line;
	j->column = t->column;
	j->join = kind;
	j->natural = natural;
	j->left = left;
	bool lateral = take_word(p, "LATERAL");
	TM_TRY(parse_rel_primary(p, &j->right));
	j->right->lateral = lateral;
	if (take_word(p, "ON"))
		return parse_expr(p, &j->on);
	return take_word(p, "USING") ? parse_name_list(p, &j->using_columns) : TM_OK;
}

/* before: what stands before a comma; it is joined first, and then comes what follows: (a, b) JOIN c. */
static tm_rc parse_rel_after(struct parser *p, struct ast_rel *before, struct ast_rel **ret)
{
	struct ast_rel *left, *j;
	bool lateral = take_word(p, "LATERAL");
	size_t links = 0;
	TM_TRY(parse_rel_primary(p, &left));
	left->lateral = lateral;
	if (before) {
		j = parse_rel_node(p, AST_REL_JOIN);
		j->join = AST_JOIN_INNER;
		j->comma = true;
		j->left = before;
		j->right = left;
		left = j;
	}
	for (;;) {
		if (at_word(p, 0, "PIVOT") || at_word(p, 0, "UNPIVOT")) {
			TM_TRY(parse_pivot(p, left));
			continue;
		}
		TM_TRY(parse_join(p, left, &j));
		if (!j)
			break;
		if (++links > TM_LIMIT_SQL_NESTING)
			return parse_too_deep(p);
		left = j;
	}
	*ret = left;
	return TM_OK;
}

tm_rc parse_rel(struct parser *p, struct ast_rel **ret) { return parse_rel_after(p, NULL, ret); }

tm_rc parse_lateral_views(struct parser *p, struct ast_lateral_view **ret_items, size_t *ret_count)
{
	struct {
		struct ast_lateral_view *items;
		size_t count, cap;
	} list = {0};
	while (at_word(p, 0, "LATERAL") && at_word(p, 1, "VIEW")) {
		struct ast_lateral_view v = {.line = tok(p, 0)->line, .column = tok(p, 0)->column};
		p->at += 2;
		v.outer = take_word(p, "OUTER");
		TM_TRY(parse_primary(p, &v.generator));
		if (v.generator->kind != AST_CALL)
			return parse_fail(p);
		if (at_identifier(p, 0) && !at_word(p, 0, "AS") && !at_words(p, relation_stops))
			TM_TRY(parse_identifier(p, &v.table));
		if (take_word(p, "AS") || (at_identifier(p, 0) && !at_words(p, relation_stops))) {
			struct tm_str column;
			do {
				TM_TRY(parse_identifier(p, &column));
				TM_PUSH_IN(p->arena, &v.columns, column);
			} while (at_sign(p, 0, ",") && at_identifier(p, 1) && !at_sign(p, 2, "(") && (p->at++, true));
		}
		TM_PUSH_IN(p->arena, &list, v);
	}
	*ret_items = list.items;
	*ret_count = list.count;
	return TM_OK;
}

static tm_rc parse_from(struct parser *p, struct ast_body *b)
{
	size_t links = 0;
	TM_TRY(parse_rel(p, &b->from));
	while (take_sign(p, ",")) {
		if (++links > TM_LIMIT_SQL_NESTING)
			return parse_too_deep(p);
		TM_TRY(parse_rel_after(p, b->from, &b->from));
	}
	TM_TRY(parse_lateral_views(p, &b->views.items, &b->views.count));
	if (at_word(p, 0, "PIVOT") || at_word(p, 0, "UNPIVOT"))
		TM_TRY(parse_pivot(p, b->from));
	return TM_OK;
}

/* ---- SELECT ---- */
static tm_rc parse_group_set(struct parser *p, struct ast_exprs *ret)
{
	struct ast_expr *e;
	if (!take_sign(p, "(")) {
		TM_TRY(parse_expr(p, &e));
		TM_PUSH_IN(p->arena, ret, e);
		return TM_OK;
	}
	if (take_sign(p, ")"))
		return TM_OK;
	TM_TRY(parse_expr_list(p, ret));
	return parse_want_sign(p, ")");
}

static tm_rc parse_group_by(struct parser *p, struct ast_body *b)
{
	if (at_word(p, 0, "ALL") && !at_sign(p, 1, ".") && !at_sign(p, 1, "(")) {
		p->at++;
		b->group_all = true;
		return TM_OK;
	}
	do {
		struct ast_grouping g = {0};
		if (take_words(p, "GROUPING", "SETS"))
			g.kind = AST_GROUP_SETS;
		else if ((at_word(p, 0, "ROLLUP") || at_word(p, 0, "CUBE")) && at_sign(p, 1, "(")) {
			g.kind = at_word(p, 0, "CUBE") ? AST_GROUP_CUBE : AST_GROUP_ROLLUP;
			p->at++;
		}
		if (g.kind == AST_GROUP_PLAIN) {
			TM_TRY(parse_expr(p, &g.expr));
		} else {
			TM_TRY(parse_want_sign(p, "("));
			do {
				struct ast_exprs set = {0};
				TM_TRY(parse_group_set(p, &set));
				TM_PUSH_IN(p->arena, &g.sets, set);
			} while (take_sign(p, ","));
			TM_TRY(parse_want_sign(p, ")"));
		}
		TM_PUSH_IN(p->arena, &b->group, g);
	} while (take_sign(p, ","));
	bool rollup = at_word(p, 0, "WITH") && at_word(p, 1, "ROLLUP"), cube = at_word(p, 0, "WITH") && at_word(p, 1, "CUBE");
	if (rollup || cube) {
		struct ast_grouping g = {.kind = rollup ? AST_GROUP_ROLLUP : AST_GROUP_CUBE};
		p->at += 2;
		for (size_t i = 0; i < b->group.count; i++) {
			struct ast_exprs set = {0};
			TM_PUSH_IN(p->arena, &set, b->group.items[i].expr);
			TM_PUSH_IN(p->arena, &g.sets, set);
		}
		b->group.count = 0;
		TM_PUSH_IN(p->arena, &b->group, g);
	} else if (at_word(p, 0, "GROUPING") && at_word(p, 1, "SETS")) {
		/* GROUP BY a, b GROUPING SETS (…): the list before only names the columns */
		b->group.count = 0;
		return parse_group_by(p, b);
	}
	return TM_OK;
}

tm_rc parse_windows(struct parser *p, struct ast_body *b)
{
	if (!take_word(p, "WINDOW"))
		return TM_OK;
	do {
		size_t n = b->windows.count;
		struct tm_str name;
		struct ast_window *spec;
		TM_TRY(parse_identifier(p, &name));
		TM_TRY(parse_want_word(p, "AS"));
		TM_TRY(parse_window(p, &spec));
		if (n == b->windows.cap) {
			size_t size = sizeof *b->windows.items;
			b->windows.items = tm_arena_grow(p->arena, b->windows.items, b->windows.cap * size, (b->windows.cap + 8) * size);
			b->windows.cap += 8;
		}
		b->windows.items[n].name = name;
		b->windows.items[n].spec = spec;
		b->windows.count++;
	} while (take_sign(p, ","));
	return TM_OK;
}

static tm_rc parse_select_tail(struct parser *p, struct ast_body *b)
{
	if (take_word(p, "WHERE"))
		TM_TRY(parse_expr(p, &b->where));
	if (take_words(p, "GROUP", "BY"))
		TM_TRY(parse_group_by(p, b));
	if (take_word(p, "HAVING"))
		TM_TRY(parse_expr(p, &b->having));
	if (at_word(p, 0, "QUALIFY") && tok(p, 1)->kind != TOK_END && !at_sign(p, 1, ",")) {
		p->at++;
		TM_TRY(parse_expr(p, &b->qualify));
	}
	return parse_windows(p, b);
}

struct ast_body *parse_body_node(struct parser *p, enum ast_body_kind kind)
{
	struct ast_body *b = TM_NEW(p->arena, struct ast_body);
	b->kind = kind;
	b->line = tok(p, 0)->line;
	b->column = tok(p, 0)->column;
	return b;
}

tm_rc parse_items(struct parser *p, struct ast_exprs *ret)
{
	struct ast_expr *e;
	do {
		TM_TRY(parse_named_expr(p, &e));
		TM_PUSH_IN(p->arena, ret, e);
	} while (take_sign(p, ","));
	return TM_OK;
}

tm_rc parse_select_list(struct parser *p, struct ast_body *b)
{
	p->at++;
	if (take_word(p, "DISTINCT"))
		b->distinct = true;
	else if (at_word(p, 0, "ALL") && tok(p, 1)->kind != TOK_END && !at_sign(p, 1, ",") && !at_word(p, 1, "FROM"))
		p->at++;
	return parse_items(p, &b->items);
}

static tm_rc parse_select(struct parser *p, struct ast_body *b)
{
	TM_TRY(parse_select_list(p, b));
	if (take_word(p, "FROM"))
		TM_TRY(parse_from(p, b));
	return parse_select_tail(p, b);
}

tm_rc parse_query_term(struct parser *p, struct ast_body **ret)
{
	struct ast_body *b = parse_body_node(p, AST_SELECT);
	*ret = b;
	if (at_word(p, 0, "SELECT"))
		return parse_select(p, b);
	if (at_word(p, 0, "VALUES")) {
		b->kind = AST_TABLE;
		return parse_rel_primary(p, &b->from);
	}
	if (at_word(p, 0, "TABLE")) {
		b->kind = AST_TABLE;
		p->at++;
		return parse_rel_primary(p, &b->from);
	}
	if (at_sign(p, 0, "(")) {
		b->kind = AST_QUERY;
		p->at++;
		TM_TRY(parse_query(p, &b->query));
		return parse_want_sign(p, ")");
	}
	if (take_word(p, "FROM")) {
		TM_TRY(parse_from(p, b));
		if (at_word(p, 0, "SELECT")) {
			TM_TRY(parse_select_list(p, b));
			return parse_select_tail(p, b);
		}
		b->from_only = !b->views.count;
		struct ast_expr *star = parse_node(p, AST_STAR, tok(p, 0));
		TM_PUSH_IN(p->arena, &b->items, star);
		return TM_OK;
	}
	return parse_fail(p);
}

static int setop_level(const struct parser *p)
{
	if (at_word(p, 0, "INTERSECT"))
		return 2;
	return at_word(p, 0, "UNION") || at_word(p, 0, "EXCEPT") || at_word(p, 0, "MINUS") ? 1 : 0;
}

bool at_setop(const struct parser *p) { return setop_level(p) > 0; }

struct ast_body *parse_setop_node(struct parser *p, struct ast_body *left)
{
	struct ast_body *b = parse_body_node(p, AST_SETOP);
	b->line = left->line;
	b->column = left->column;
	b->setop = at_word(p, 0, "INTERSECT") ? AST_INTERSECT : at_word(p, 0, "UNION") ? AST_UNION : AST_EXCEPT;
	p->at++;
	b->all = take_word(p, "ALL");
	if (!b->all)
		take_word(p, "DISTINCT");
	b->left = left;
	return b;
}

/* left: what has been read of it; NULL = nothing. */
static tm_rc parse_setop(struct parser *p, int least, struct ast_body *left, struct ast_body **ret)
{
	size_t links = 0;
	if (!left)
		TM_TRY(parse_query_term(p, &left));
	for (int level; (level = setop_level(p)) && level >= least;) {
		if (++links > TM_LIMIT_SQL_NESTING)
			return parse_too_deep(p);
		left = parse_setop_node(p, left);
		TM_TRY(parse_setop(p, level + 1, NULL, &left->right));
	}
	*ret = left;
	return TM_OK;
}

static tm_rc parse_ctes(struct parser *p, struct ast_query *q)
{
	const struct token *t = tok(p, 0);
	if (at_word(p, 0, "RECURSIVE") && at_identifier(p, 1) && !at_word(p, 1, "AS"))
		return parse_fail_class(p, t->line, t->column, "UNSUPPORTED_FEATURE.RECURSIVE_CTE", "0A000",
					"The feature is not supported: recursive common table expressions.");
	do {
		struct ast_cte c = {0};
		struct ast_mark m = {.kind = AST_MARK_CTE, .line = tok(p, 0)->line, .column = tok(p, 0)->column};
		TM_TRY(parse_identifier(p, &c.name));
		m.name = c.name;
		TM_PUSH_IN(p->arena, &p->marks, m);
		if (at_sign(p, 0, "("))
			TM_TRY(parse_name_list(p, &c.columns));
		take_word(p, "AS");
		TM_TRY(parse_want_sign(p, "("));
		TM_TRY(parse_query(p, &c.query));
		TM_TRY(parse_want_sign(p, ")"));
		TM_PUSH_IN(p->arena, &q->ctes, c);
	} while (take_sign(p, ","));
	return TM_OK;
}

tm_rc parse_query_tail(struct parser *p, struct ast_query *q)
{
	struct ast_exprs ignored = {0};
	if (at_word(p, 0, "ORDER") && at_word(p, 1, "BY") && at_word(p, 2, "ALL") && !at_sign(p, 3, ".") && !at_sign(p, 3, "(")) {
		p->at += 3;
		q->order_all = true;
		q->order_all_desc = take_word(p, "DESC");
		take_word(p, "ASC");
		q->order_all_nulls_last = q->order_all_desc;
		if (take_word(p, "NULLS")) {
			q->order_all_nulls_given = true;
			q->order_all_nulls_last = take_word(p, "LAST");
			if (!q->order_all_nulls_last)
				TM_TRY(parse_want_word(p, "FIRST"));
		}
	} else if (take_words(p, "ORDER", "BY") || take_words(p, "SORT", "BY")) {
		TM_TRY(parse_order_by(p, &q->order));
	}
	if (take_words(p, "DISTRIBUTE", "BY"))
		TM_TRY(parse_expr_list(p, &ignored));
	if (take_words(p, "CLUSTER", "BY"))
		TM_TRY(parse_order_by(p, &q->order));
	if (take_words(p, "SORT", "BY"))
		TM_TRY(parse_order_by(p, &q->order));
	if (take_word(p, "LIMIT") && !take_word(p, "ALL"))
		TM_TRY(parse_expr(p, &q->limit));
	if (take_word(p, "OFFSET"))
		TM_TRY(parse_expr(p, &q->offset));
	return TM_OK;
}

tm_rc parse_query(struct parser *p, struct ast_query **ret)
{
	struct ast_query with = {0}, *q = TM_NEW(p->arena, struct ast_query);
	size_t from = tok(p, 0)->from;
	q->line = tok(p, 0)->line;
	q->column = tok(p, 0)->column;
	TM_TRY(parse_deeper(p));
	if (take_word(p, "WITH"))
		TM_TRY(parse_ctes(p, &with));
	TM_TRY(parse_setop(p, 1, NULL, &q->body));
	while (at_sign(p, 0, "|>")) {
		TM_TRY(parse_pipe(p, &q));
		if (at_setop(p)) {
			struct ast_body *left = parse_body_node(p, AST_QUERY);
			left->query = q;
			q = TM_NEW(p->arena, struct ast_query);
			q->line = left->line;
			q->column = left->column;
			TM_TRY(parse_setop(p, 1, left, &q->body));
		}
	}
	if (!q->order.count && !q->order_all && !q->limit && !q->offset) /* a pipe's last operator may be one of these */
		TM_TRY(parse_query_tail(p, q));
	q->ctes = with.ctes; /* all of it sees them */
	q->from = from;
	p->depth--;
	*ret = q;
	return TM_OK;
}
