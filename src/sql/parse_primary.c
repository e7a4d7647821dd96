/* Primary expressions: literals, names, calls with all that may follow them, and the forms with words inside their parentheses. */
#include "sql/parse.h"

static tm_rc parse_number(struct parser *p, struct ast_expr **ret)
{
	const struct token *start = tok(p, 0);
	bool negative = take_sign(p, "-");
	const struct token *t = tok(p, 0);
	struct ast_expr *e = parse_node(p, AST_LITERAL, start);
	static const enum ast_literal kinds[] = {
	    [NUM_INTEGER] = AST_LIT_INTEGER, [NUM_DECIMAL] = AST_LIT_DECIMAL,   [NUM_EXPONENT] = AST_LIT_DOUBLE,
	    [NUM_TINYINT] = AST_LIT_TINYINT, [NUM_SMALLINT] = AST_LIT_SMALLINT, [NUM_BIGINT] = AST_LIT_BIGINT,
	    [NUM_FLOAT] = AST_LIT_FLOAT,     [NUM_DOUBLE] = AST_LIT_DOUBLE,     [NUM_BIGDECIMAL] = AST_LIT_DECIMAL};
	e->literal = kinds[t->number];
	e->text = negative ? tm_arena_printf(p->arena, "-%.*s", TM_STR_ARG(t->text)) : t->text;
	p->at++;
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_strings(struct parser *p, struct ast_expr **ret)
{
	struct ast_expr *e = parse_string_node(p, tm_sql_unquote(p->arena, tok(p, 0)->text), tok(p, 0));
	p->at++;
	while (tok(p, 0)->kind == TOK_STRING) {
		struct tm_str more = tm_sql_unquote(p->arena, tok(p, 0)->text);
		e->text = tm_arena_printf(p->arena, "%.*s%.*s", TM_STR_ARG(e->text), TM_STR_ARG(more));
		p->at++;
	}
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_case(struct parser *p, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node(p, AST_CASE, tok(p, 0)), *arg;
	p->at++;
	if (!at_word(p, 0, "WHEN"))
		TM_TRY(parse_expr(p, &e->operand));
	if (!at_word(p, 0, "WHEN"))
		return parse_fail(p);
	while (take_word(p, "WHEN")) {
		TM_TRY(parse_expr(p, &arg));
		TM_TRY(parse_add_arg(p, e, arg));
		TM_TRY(parse_want_word(p, "THEN"));
		TM_TRY(parse_expr(p, &arg));
		TM_TRY(parse_add_arg(p, e, arg));
	}
	if (take_word(p, "ELSE")) {
		TM_TRY(parse_expr(p, &e->otherwise));
		if (e->otherwise->depth >= e->depth)
			e->depth = e->otherwise->depth + 1;
	}
	TM_TRY(parse_want_word(p, "END"));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_cast(struct parser *p, bool try, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node(p, AST_CAST, tok(p, 0)), *arg;
	p->at += 2;
	e->flag = try;
	TM_TRY(parse_expr(p, &arg));
	TM_TRY(parse_add_arg(p, e, arg));
	TM_TRY(parse_want_word(p, "AS"));
	e->operand = parse_node(p, AST_LITERAL, tok(p, 0)); /* where the type stands */
	TM_TRY(parse_type_text(p, &e->text));
	TM_TRY(parse_want_sign(p, ")"));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_lambda(struct parser *p, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node(p, AST_LAMBDA, tok(p, 0)), *body;
	if (at_sign(p, 0, "(")) {
		TM_TRY(parse_name_list(p, &e->names));
	} else {
		struct tm_str name;
		TM_TRY(parse_identifier(p, &name));
		TM_PUSH_IN(p->arena, &e->names, name);
	}
	TM_TRY(parse_want_sign(p, "->"));
	TM_TRY(parse_expr(p, &body));
	TM_TRY(parse_add_arg(p, e, body));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static bool at_lambda(const struct parser *p)
{
	if (at_identifier(p, 0))
		return at_sign(p, 1, "->");
	if (!at_sign(p, 0, "("))
		return false;
	for (size_t i = 1;; i += 2) {
		if (!at_identifier(p, i))
			return false;
		if (at_sign(p, i + 1, ")"))
			return at_sign(p, i + 2, "->");
		if (!at_sign(p, i + 1, ","))
			return false;
	}
}

tm_rc parse_named_expr(struct parser *p, struct ast_expr **ret)
{
	static const char *const stops[] = {"FROM",       "WHERE",  "GROUP",   "HAVING", "ORDER",     "SORT",   "CLUSTER",
					    "DISTRIBUTE", "LIMIT",  "OFFSET",  "UNION",  "INTERSECT", "EXCEPT", "MINUS",
					    "LATERAL",    "WINDOW", "QUALIFY", "IGNORE", "RESPECT",   "FOR",    NULL};
	struct ast_expr *e, *alias;
	TM_TRY(parse_expr(p, &e));
	bool as = take_word(p, "AS");
	/* Words are not reserved: SELECT 1 FROM names the column "FROM" where nothing else can follow. */
	bool word =
	    at_identifier(p, 0) && (tok(p, 0)->kind == TOK_QUOTED || !at_words(p, stops) ||
				    (at_word(p, 0, "FROM") && (tok(p, 1)->kind == TOK_END || at_sign(p, 1, ")") || at_sign(p, 1, ","))));
	word = word && !(at_word(p, 0, "WITH") && (at_word(p, 1, "ROLLUP") || at_word(p, 1, "CUBE")));
	if (!as && !word) {
		*ret = e;
		return TM_OK;
	}
	alias = parse_node_after(p, AST_ALIAS, e);
	TM_TRY(parse_add_arg(p, alias, e));
	if (as && at_sign(p, 0, "(")) {
		TM_TRY(parse_name_list(p, &alias->names));
	} else {
		struct tm_str name;
		TM_TRY(parse_identifier(p, &name));
		TM_PUSH_IN(p->arena, &alias->names, name);
	}
	parse_close(p, alias);
	*ret = alias;
	return TM_OK;
}

tm_rc parse_order_by(struct parser *p, struct ast_orders *ret)
{
	do {
		struct ast_order o = {0};
		TM_TRY(parse_expr(p, &o.expr));
		if (take_word(p, "DESC"))
			o.descending = true;
		else
			take_word(p, "ASC");
		o.nulls_last = o.descending;
		if (take_word(p, "NULLS")) {
			o.nulls_given = true;
			if (take_word(p, "LAST"))
				o.nulls_last = true;
			else {
				TM_TRY(parse_want_word(p, "FIRST"));
				o.nulls_last = false;
			}
		}
		TM_PUSH_IN(p->arena, ret, o);
	} while (take_sign(p, ","));
	return TM_OK;
}

static tm_rc parse_frame_bound(struct parser *p, int *ret, struct ast_expr **ret_offset)
{
	if (take_word(p, "UNBOUNDED")) {
		bool preceding = take_word(p, "PRECEDING");
		if (!preceding)
			TM_TRY(parse_want_word(p, "FOLLOWING"));
		*ret = preceding ? 0 : 4;
		return TM_OK;
	}
	if (take_words(p, "CURRENT", "ROW")) {
		*ret = 2;
		return TM_OK;
	}
	TM_TRY(parse_expr(p, ret_offset));
	bool preceding = take_word(p, "PRECEDING");
	if (!preceding)
		TM_TRY(parse_want_word(p, "FOLLOWING"));
	*ret = preceding ? 1 : 3;
	return TM_OK;
}

tm_rc parse_window(struct parser *p, struct ast_window **ret)
{
	struct ast_window *w = TM_NEW(p->arena, struct ast_window);
	w->line = tok(p, 0)->line;
	w->column = tok(p, 0)->column;
	if (!at_sign(p, 0, "(")) {
		TM_TRY(parse_identifier(p, &w->base));
		*ret = w;
		return TM_OK;
	}
	p->at++;
	if (at_identifier(p, 0) && !at_word(p, 0, "PARTITION") && !at_word(p, 0, "ORDER") && !at_word(p, 0, "ROWS") &&
	    !at_word(p, 0, "RANGE") && !at_word(p, 0, "DISTRIBUTE") && !at_word(p, 0, "SORT") && !at_word(p, 0, "CLUSTER"))
		TM_TRY(parse_identifier(p, &w->base));
	if (take_words(p, "PARTITION", "BY") || take_words(p, "DISTRIBUTE", "BY"))
		TM_TRY(parse_expr_list(p, &w->partition));
	if (take_words(p, "ORDER", "BY") || take_words(p, "SORT", "BY"))
		TM_TRY(parse_order_by(p, &w->order));
	if (at_word(p, 0, "ROWS") || at_word(p, 0, "RANGE")) {
		w->frame = true;
		w->rows = at_word(p, 0, "ROWS");
		p->at++;
		w->to = 2;
		if (take_word(p, "BETWEEN")) {
			TM_TRY(parse_frame_bound(p, &w->from, &w->from_offset));
			TM_TRY(parse_want_word(p, "AND"));
			TM_TRY(parse_frame_bound(p, &w->to, &w->to_offset));
		} else {
			TM_TRY(parse_frame_bound(p, &w->from, &w->from_offset));
		}
	}
	TM_TRY(parse_want_sign(p, ")"));
	*ret = w;
	return TM_OK;
}

/* ---- calls ---- */
static tm_rc parse_call_tail(struct parser *p, struct ast_expr *e)
{
	if (take_words(p, "WITHIN", "GROUP")) {
		TM_TRY(parse_want_sign(p, "("));
		if (!take_words(p, "ORDER", "BY"))
			return parse_fail(p);
		TM_TRY(parse_order_by(p, &e->within));
		TM_TRY(parse_want_sign(p, ")"));
	}
	if (at_word(p, 0, "FILTER") && at_sign(p, 1, "(")) {
		p->at += 2;
		TM_TRY(parse_want_word(p, "WHERE"));
		TM_TRY(parse_expr(p, &e->filter));
		TM_TRY(parse_want_sign(p, ")"));
	}
	if (take_words(p, "IGNORE", "NULLS"))
		e->ignore_nulls = true;
	else if (take_words(p, "RESPECT", "NULLS"))
		e->respect_nulls = true;
	if (take_word(p, "OVER"))
		TM_TRY(parse_window(p, &e->over));
	parse_close(p, e);
	return TM_OK;
}

static tm_rc parse_argument(struct parser *p, struct ast_expr *e)
{
	struct ast_expr *arg;
	struct tm_str name = {0};
	if (at_identifier(p, 0) && at_sign(p, 1, "=>")) {
		name = tok(p, 0)->text;
		p->at += 2;
	}
	TM_TRY(parse_named_expr(p, &arg));
	if (name.at) {
		/* One entry per argument from the first named one on; positional ones before it have empty names. */
		struct tm_str *grown = TM_NEW_N(p->arena, struct tm_str, e->args.count + 1);
		if (e->arg_names)
			memcpy(grown, e->arg_names, sizeof *grown * e->args.count);
		e->arg_names = grown;
		grown[e->args.count] = name;
	} else if (e->arg_names) {
		return parse_fail_class(
		    p, arg->line, arg->column, "UNEXPECTED_POSITIONAL_ARGUMENT", "4274K",
		    "Cannot invoke routine `%.*s` because it contains positional argument(s) following the named argument assigned to "
		    "`%.*s`; please rearrange them so the positional arguments come first and then retry the query again.",
		    TM_STR_ARG(e->names.items[e->names.count - 1]), TM_STR_ARG(e->arg_names[e->args.count - 1]));
	}
	return parse_add_arg(p, e, arg);
}

static bool is_function(const struct ast_expr *e, const char *const *names)
{
	if (e->names.count != 1)
		return false;
	for (; *names; names++)
		if (tm_str_iis(e->names.items[0], *names))
			return true;
	return false;
}

/* The arguments of a call whose "(" stands next. */
static tm_rc parse_call(struct parser *p, struct ast_expr *e)
{
	static const char *const with_unit[] = {"timestampadd", "timestampdiff", "dateadd", "date_add", "datediff", "date_diff", NULL};
	e->kind = AST_CALL;
	struct ast_mark m = {.kind = AST_MARK_CALL, .line = e->line, .column = e->column, .name = e->names.items[e->names.count - 1]};
	TM_PUSH_IN(p->arena, &p->marks, m);
	p->at++;
	if (!take_sign(p, ")")) {
		if (take_word(p, "DISTINCT"))
			e->distinct = true;
		else if (at_word(p, 0, "ALL") && !at_sign(p, 1, ",") && !at_sign(p, 1, ")") && !at_sign(p, 1, "."))
			p->at++;
		if (is_function(e, with_unit) && tok(p, 0)->kind == TOK_WORD && at_sign(p, 1, ",")) {
			size_t commas = 0, depth = 0;
			for (size_t i = 1; tok(p, i)->kind != TOK_END && !(depth == 0 && at_sign(p, i, ")")); i++) {
				depth += at_sign(p, i, "(");
				depth -= at_sign(p, i, ")");
				commas += depth == 0 && at_sign(p, i, ",");
			}
			if (commas == 2) {
				struct ast_expr *unit = parse_string_node(p, tok(p, 0)->text, tok(p, 0));
				unit->flag = true; /* a word, not a string */
				p->at++;
				TM_TRY(parse_add_arg(p, e, unit));
				TM_TRY(parse_want_sign(p, ","));
			}
		}
		do
			TM_TRY(parse_argument(p, e));
		while (take_sign(p, ","));
		if (take_words(p, "IGNORE", "NULLS"))
			e->ignore_nulls = true;
		else
			take_words(p, "RESPECT", "NULLS");
		TM_TRY(parse_want_sign(p, ")"));
	}
	return parse_call_tail(p, e);
}

static struct ast_expr *call_node(struct parser *p, const struct token *at, const char *name)
{
	struct ast_expr *e = parse_node(p, AST_CALL, at);
	TM_PUSH_IN(p->arena, &e->names, tm_str_of(name));
	return e;
}

static tm_rc add_parsed(struct parser *p, struct ast_expr *e)
{
	struct ast_expr *arg;
	TM_TRY(parse_expr(p, &arg));
	return parse_add_arg(p, e, arg);
}

/* EXTRACT(f FROM x), SUBSTRING(x FROM a FOR b), TRIM(BOTH a FROM x), POSITION(a IN b), OVERLAY(…): *ret stays NULL when the call
 * is written like any other. */
static tm_rc parse_word_form(struct parser *p, struct ast_expr **ret)
{
	const struct token *t = tok(p, 0);
	size_t start = p->at;
	struct ast_expr *e;
	*ret = NULL;
	if (at_word(p, 0, "EXTRACT")) {
		if (!at_identifier(p, 2) && tok(p, 2)->kind != TOK_STRING)
			return TM_OK;
		if (!at_word(p, 3, "FROM"))
			return TM_OK;
		e = call_node(p, t, "extract");
		e->flag = true;
		const struct token *f = tok(p, 2);
		p->at += 4;
		TM_TRY(parse_add_arg(p, e, parse_string_node(p, f->kind == TOK_STRING ? tm_sql_unquote(p->arena, f->text) : f->text, f)));
		TM_TRY(add_parsed(p, e));
	} else if (at_word(p, 0, "POSITION")) {
		e = call_node(p, t, "locate");
		p->at += 2;
		TM_TRY(parse_value(p, 2, &e->operand));
		TM_TRY(parse_add_arg(p, e, e->operand));
		e->operand = NULL;
		if (!take_word(p, "IN")) {
			p->at = start;
			return TM_OK;
		}
		TM_TRY(parse_value(p, 2, &e->operand));
		TM_TRY(parse_add_arg(p, e, e->operand));
		e->operand = NULL;
	} else if (at_word(p, 0, "SUBSTRING") || at_word(p, 0, "SUBSTR")) {
		e = call_node(p, t, "substring");
		if (at_sign(p, 2, ")"))
			return TM_OK;
		p->at += 2;
		TM_TRY(add_parsed(p, e));
		if (!take_word(p, "FROM")) {
			p->at = start;
			return TM_OK;
		}
		TM_TRY(add_parsed(p, e));
		if (take_word(p, "FOR"))
			TM_TRY(add_parsed(p, e));
	} else if (at_word(p, 0, "OVERLAY")) {
		e = call_node(p, t, "overlay");
		p->at += 2;
		TM_TRY(add_parsed(p, e));
		if (!take_word(p, "PLACING")) {
			p->at = start;
			return TM_OK;
		}
		TM_TRY(add_parsed(p, e));
		TM_TRY(parse_want_word(p, "FROM"));
		TM_TRY(add_parsed(p, e));
		if (take_word(p, "FOR"))
			TM_TRY(add_parsed(p, e));
	} else {
		const char *name = at_word(p, 2, "LEADING") ? "ltrim" : at_word(p, 2, "TRAILING") ? "rtrim" : "trim";
		bool side = at_word(p, 2, "LEADING") || at_word(p, 2, "TRAILING") || at_word(p, 2, "BOTH");
		struct ast_expr *what = NULL, *from;
		e = call_node(p, t, name);
		if (at_sign(p, 2, ")") || (side && (at_sign(p, 3, ")") || at_sign(p, 3, ","))))
			return TM_OK;
		p->at += side ? 3 : 2;
		if (!at_word(p, 0, "FROM") || !side)
			TM_TRY(parse_expr(p, &what));
		if (!take_word(p, "FROM")) {
			p->at = start;
			return TM_OK;
		}
		TM_TRY(parse_expr(p, &from));
		if (what)
			TM_TRY(parse_add_arg(p, e, what));
		TM_TRY(parse_add_arg(p, e, from));
		e->flag = true;
	}
	TM_TRY(parse_want_sign(p, ")"));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_star(struct parser *p, struct ast_expr *e)
{
	e->kind = AST_STAR;
	if (at_word(p, 0, "EXCEPT") && at_sign(p, 1, "(") && !at_query(p, 2)) {
		p->at += 2;
		TM_TRY(parse_expr_list(p, &e->except));
		TM_TRY(parse_want_sign(p, ")"));
	}
	parse_close(p, e);
	return TM_OK;
}

/* A name, a call, a qualified star, or a literal with its type's name before it. */
static tm_rc parse_word(struct parser *p, struct ast_expr **ret)
{
	static const char *const forms[] = {"EXTRACT", "POSITION", "SUBSTRING", "SUBSTR", "OVERLAY", "TRIM", NULL};
	const struct token *t = tok(p, 0);
	struct ast_expr *e;
	if (t->kind == TOK_WORD) {
		bool paren = at_sign(p, 1, "(");
		if (paren && (at_word(p, 0, "CAST") || at_word(p, 0, "TRY_CAST")))
			return parse_cast(p, at_word(p, 0, "TRY_CAST"), ret);
		if (at_word(p, 0, "CASE") && !paren)
			return parse_case(p, ret);
		if (at_word(p, 0, "CASE") && paren)
			return parse_case(p, ret);
		if (at_interval(p))
			return parse_interval(p, ret);
		if (at_word(p, 0, "EXISTS") && paren && at_query(p, 2)) {
			e = parse_node(p, AST_EXISTS, t);
			p->at += 2;
			TM_TRY(parse_query(p, &e->query));
			TM_TRY(parse_want_sign(p, ")"));
			parse_close(p, e);
			*ret = e;
			return TM_OK;
		}
		if (paren && at_words(p, forms)) {
			TM_TRY(parse_word_form(p, ret));
			if (*ret)
				return TM_OK;
		}
		if (at_word(p, 0, "NULL") || at_word(p, 0, "TRUE") || at_word(p, 0, "FALSE")) {
			e = parse_node(p, AST_LITERAL, t);
			e->literal = at_word(p, 0, "NULL") ? AST_LIT_NULL : at_word(p, 0, "TRUE") ? AST_LIT_TRUE : AST_LIT_FALSE;
			p->at++;
			*ret = e;
			return TM_OK;
		}
		if (tok(p, 1)->kind == TOK_STRING) {
			e = parse_node(p, AST_LITERAL, t);
			e->literal = AST_LIT_TYPED;
			TM_PUSH_IN(p->arena, &e->names, t->text);
			e->text = tm_sql_unquote(p->arena, tok(p, 1)->text);
			p->at += 2;
			parse_close(p, e);
			*ret = e;
			return TM_OK;
		}
	}
	e = parse_node(p, AST_NAME, t);
	TM_PUSH_IN(p->arena, &e->names, t->text);
	p->at++;
	while (at_sign(p, 0, ".")) {
		if (at_sign(p, 1, "*")) {
			p->at += 2;
			*ret = e;
			return parse_star(p, e);
		}
		if (!at_identifier(p, 1)) {
			p->at++;
			return parse_fail(p);
		}
		TM_PUSH_IN(p->arena, &e->names, tok(p, 1)->text);
		p->at += 2;
	}
	parse_close(p, e);
	*ret = e;
	if (at_sign(p, 0, "("))
		return parse_call(p, e);
	return TM_OK;
}

static tm_rc parse_parenthesis(struct parser *p, struct ast_expr **ret)
{
	const struct token *t = tok(p, 0);
	struct ast_expr *e, *arg;
	p->at++;
	if (at_query(p, 0)) {
		e = parse_node(p, AST_SUBQUERY, t);
		TM_TRY(parse_query(p, &e->query));
		TM_TRY(parse_want_sign(p, ")"));
		parse_close(p, e);
		*ret = e;
		return TM_OK;
	}
	TM_TRY(parse_named_expr(p, &e));
	if (at_sign(p, 0, ",")) {
		struct ast_expr *row = call_node(p, t, "struct");
		row->flag = true; /* a row constructor */
		TM_TRY(parse_add_arg(p, row, e));
		while (take_sign(p, ",")) {
			TM_TRY(parse_named_expr(p, &arg));
			TM_TRY(parse_add_arg(p, row, arg));
		}
		e = row;
	}
	TM_TRY(parse_want_sign(p, ")"));
	e->parenthesised = true;
	e->from = t->from;
	e->line = t->line;
	e->column = t->column;
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_base(struct parser *p, struct ast_expr **ret)
{
	const struct token *t = tok(p, 0);
	struct ast_expr *e;
	if (at_lambda(p))
		return parse_lambda(p, ret);
	switch (t->kind) {
	case TOK_NUMBER:
		return parse_number(p, ret);
	case TOK_STRING:
		return parse_strings(p, ret);
	case TOK_WORD:
	case TOK_QUOTED:
		return parse_word(p, ret);
	case TOK_SIGN:
		break;
	default:
		return parse_fail(p);
	}
	if (at_sign(p, 0, "-") && tok(p, 1)->kind == TOK_NUMBER)
		return parse_number(p, ret);
	if (at_sign(p, 0, "("))
		return parse_parenthesis(p, ret);
	if (take_sign(p, "*")) {
		*ret = parse_node(p, AST_STAR, t);
		return parse_star(p, *ret);
	}
	if ((at_sign(p, 0, ":") && at_identifier(p, 1)) || at_sign(p, 0, "?")) {
		e = parse_node(p, AST_PARAMETER, t);
		e->text = at_sign(p, 0, "?") ? tm_arena_printf(p->arena, "_%zu", t->from) : tok(p, 1)->text;
		p->at += at_sign(p, 0, "?") ? 1 : 2;
		*ret = e;
		return TM_OK;
	}
	return parse_fail(p);
}

tm_rc parse_primary(struct parser *p, struct ast_expr **ret)
{
	struct ast_expr *e, *next, *index;
	TM_TRY(parse_base(p, &e));
	for (;;) {
		const struct token *t = tok(p, 0);
		enum ast_expr_kind kind;
		if (at_sign(p, 0, "["))
			kind = AST_INDEX;
		else if (at_sign(p, 0, ".") && at_identifier(p, 1) && e->kind != AST_STAR)
			kind = AST_FIELD;
		else if (at_sign(p, 0, ".") && at_sign(p, 1, "*") && e->kind != AST_STAR) {
			/* f(x).*: the fields of a struct */
			next = parse_node(p, AST_STAR, t);
			next->operand = e;
			p->at += 2;
			TM_TRY(parse_star(p, next));
			e = next;
			continue;
		} else if (at_sign(p, 0, ":") && at_identifier(p, 1) && e->kind != AST_LITERAL) {
			/* v:a.b[0]: a path into a variant */
			struct tm_buf path = {0};
			next = call_node(p, t, "variant_get");
			TM_TRY(parse_add_arg(p, next, e));
			tm_buf_printf(&path, "$.%.*s", TM_STR_ARG(tok(p, 1)->text));
			next->text = tok(p, 1)->text; /* the last field's name */
			p->at += 2;
			for (;;) {
				if (at_sign(p, 0, ".") && at_identifier(p, 1)) {
					next->text = tok(p, 1)->text;
					tm_buf_printf(&path, ".%.*s", TM_STR_ARG(tok(p, 1)->text));
					p->at += 2;
				} else if (at_sign(p, 0, "[") && tok(p, 1)->kind == TOK_NUMBER && at_sign(p, 2, "]")) {
					tm_buf_printf(&path, "[%.*s]", TM_STR_ARG(tok(p, 1)->text));
					p->at += 3;
				} else
					break;
			}
			TM_TRY(parse_add_arg(p, next, parse_string_node(p, tm_arena_str(p->arena, tm_buf_str(&path)), t)));
			TM_TRY(parse_add_arg(p, next, parse_string_node(p, TM_STR("variant"), t)));
			tm_buf_done(&path);
			e = next;
			continue;
		} else if (at_sign(p, 0, "::"))
			kind = AST_CAST;
		else if (at_word(p, 0, "COLLATE") && at_identifier(p, 1)) {
			next = call_node(p, t, "collate");
			TM_TRY(parse_add_arg(p, next, e));
			TM_TRY(parse_add_arg(p, next, parse_string_node(p, tok(p, 1)->text, tok(p, 1))));
			p->at += 2;
			e = next;
			continue;
		} else
			break;
		next = parse_node_after(p, kind, e);
		TM_TRY(parse_add_arg(p, next, e));
		p->at++;
		if (kind == AST_INDEX) {
			TM_TRY(parse_deeper(p));
			TM_TRY(parse_value(p, 1, &index));
			p->depth--;
			TM_TRY(parse_add_arg(p, next, index));
			TM_TRY(parse_want_sign(p, "]"));
		} else if (kind == AST_FIELD) {
			TM_TRY(parse_identifier(p, &next->text));
		} else {
			next->operand = parse_node(p, AST_LITERAL, tok(p, 0));
			TM_TRY(parse_type_text(p, &next->text));
		}
		parse_close(p, next);
		e = next;
	}
	*ret = e;
	return TM_OK;
}
