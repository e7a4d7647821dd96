/* Expressions: precedence climbing over Spark's operator table. From loose to tight: OR, AND, NOT, one predicate (IN, LIKE,
 * BETWEEN, IS), comparison, |, ^, &, shifts, + - ||, * / % DIV, sign, then postfix [] . ::
 * OR and AND chains become balanced trees, so that a thousand conditions nest ten deep. */
#include <stdarg.h>
#include "sql/parse.h"

struct ast_expr *parse_node(struct parser *p, enum ast_expr_kind kind, const struct token *start)
{
	struct ast_expr *e = TM_NEW(p->arena, struct ast_expr);
	e->kind = kind;
	e->line = start->line;
	e->column = start->column;
	e->from = start->from;
	e->to = start->to;
	e->depth = 1;
	return e;
}

struct ast_expr *parse_node_after(struct parser *p, enum ast_expr_kind kind, const struct ast_expr *first)
{
	struct ast_expr *e = parse_node(p, kind, tok(p, 0));
	e->line = first->line;
	e->column = first->column;
	e->from = first->from;
	return e;
}

void parse_close(struct parser *p, struct ast_expr *e)
{
	if (p->at)
		e->to = p->tokens.items[p->at - 1].to;
}

tm_rc parse_fail_class(struct parser *p, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct tm_str what = tm_arena_vprintf(p->arena, fmt, ap);
	va_end(ap);
	tm_rc rc = tm_fail_class(p->err, TM_SYNTAX, klass, sqlstate, "%.*s", TM_STR_ARG(what));
	tm_err_at(p->err, NULL, line, column);
	return rc;
}

tm_rc parse_fail(struct parser *p)
{
	const struct token *t = tok(p, 0);
	if (t->kind == TOK_END)
		return parse_fail_class(p, t->line, t->column, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near end of input.");
	struct tm_str s = tm_str_slice(p->text, t->from, t->to);
	return parse_fail_class(p, t->line, t->column, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near '%.*s'.", TM_STR_ARG(s));
}

tm_rc parse_want_word(struct parser *p, const char *word) { return take_word(p, word) ? TM_OK : parse_fail(p); }
tm_rc parse_want_sign(struct parser *p, const char *sign) { return take_sign(p, sign) ? TM_OK : parse_fail(p); }
bool take_words(struct parser *p, const char *first, const char *second)
{
	if (!at_word(p, 0, first) || !at_word(p, 1, second))
		return false;
	p->at += 2;
	return true;
}
bool at_words(const struct parser *p, const char *const *words)
{
	for (; *words; words++)
		if (at_word(p, 0, *words))
			return true;
	return false;
}

tm_rc parse_too_deep(struct parser *p)
{
	const struct token *t = tok(p, 0);
	return parse_fail_class(
	    p, t->line, t->column, "FAILED_TO_PARSE_TOO_COMPLEX", "54001",
	    "The statement, including potential SQL functions and referenced views, was too complex to parse (nested more than %d deep).",
	    TM_LIMIT_SQL_NESTING);
}
tm_rc parse_deeper(struct parser *p) { return ++p->depth > TM_LIMIT_SQL_NESTING ? parse_too_deep(p) : TM_OK; }

tm_rc parse_add_arg(struct parser *p, struct ast_expr *e, struct ast_expr *arg)
{
	TM_PUSH_IN(p->arena, &e->args, arg);
	if (arg->depth >= e->depth)
		e->depth = arg->depth + 1;
	return e->depth > TM_LIMIT_SQL_NESTING ? parse_too_deep(p) : TM_OK;
}

bool at_identifier(const struct parser *p, size_t ahead)
{
	const struct token *t = tok(p, ahead);
	return t->kind == TOK_WORD || t->kind == TOK_QUOTED;
}
tm_rc parse_identifier(struct parser *p, struct tm_str *ret)
{
	if (!at_identifier(p, 0))
		return parse_fail(p);
	*ret = tok(p, 0)->text;
	p->at++;
	return TM_OK;
}
tm_rc parse_names(struct parser *p, struct ast_names *ret)
{
	struct tm_str part;
	*ret = (struct ast_names){0};
	do {
		TM_TRY(parse_identifier(p, &part));
		TM_PUSH_IN(p->arena, ret, part);
	} while (take_sign(p, "."));
	return TM_OK;
}
tm_rc parse_name_list(struct parser *p, struct ast_names *ret)
{
	struct tm_str part;
	*ret = (struct ast_names){0};
	TM_TRY(parse_want_sign(p, "("));
	do {
		TM_TRY(parse_identifier(p, &part));
		TM_PUSH_IN(p->arena, ret, part);
	} while (take_sign(p, ","));
	return parse_want_sign(p, ")");
}

struct ast_expr *parse_string_node(struct parser *p, struct tm_str s, const struct token *at)
{
	struct ast_expr *e = parse_node(p, AST_LITERAL, at);
	e->literal = AST_LIT_STRING;
	e->text = s;
	return e;
}

static const char *const interval_units[] = {"YEAR",        "YEARS",        "QUARTER",    "QUARTERS",    "MONTH",       "MONTHS",
					     "WEEK",        "WEEKS",        "DAY",        "DAYS",        "HOUR",        "HOURS",
					     "MINUTE",      "MINUTES",      "SECOND",     "SECONDS",     "MILLISECOND", "MILLISECONDS",
					     "MICROSECOND", "MICROSECONDS", "NANOSECOND", "NANOSECONDS", NULL};
static bool is_unit(const struct token *t)
{
	for (size_t i = 0; interval_units[i]; i++)
		if (t->kind == TOK_WORD && tm_str_iis(t->text, interval_units[i]))
			return true;
	return false;
}

/* The text of a type from here on: a word, (…), <…>, and the words of intervals and time zones. */
tm_rc parse_type_text(struct parser *p, struct tm_str *ret)
{
	const struct token *first = tok(p, 0);
	if (!at_identifier(p, 0))
		return parse_fail(p);
	p->at++;
	if (tm_str_iis(first->text, "INTERVAL")) {
		if (is_unit(tok(p, 0))) {
			p->at++;
			if (take_word(p, "TO")) {
				if (!is_unit(tok(p, 0)))
					return parse_fail(p);
				p->at++;
			}
		}
	} else if (tm_str_iis(first->text, "TIMESTAMP") && (at_word(p, 0, "WITHOUT") || at_word(p, 0, "WITH"))) {
		p->at++;
		take_word(p, "LOCAL");
		TM_TRY(parse_want_word(p, "TIME"));
		TM_TRY(parse_want_word(p, "ZONE"));
	} else if (tm_str_iis(first->text, "DOUBLE")) {
		take_word(p, "PRECISION");
	}
	if (at_sign(p, 0, "(")) {
		while (!take_sign(p, ")")) {
			if (at_end(p))
				return parse_fail(p);
			p->at++;
		}
	}
	if (take_sign(p, "<>")) {
	} else if (take_sign(p, "<")) {
		int open = 1;
		while (open > 0) {
			const struct token *t = tok(p, 0);
			if (t->kind == TOK_END)
				return parse_fail(p);
			if (t->kind == TOK_SIGN && t->text.at[0] == '<')
				open += t->text.len == 2 && t->text.at[1] == '<' ? 2 : t->text.len == 1;
			else if (t->kind == TOK_SIGN && t->text.at[0] == '>')
				open -= (int)t->text.len;
			p->at++;
		}
	}
	if (tm_str_iis(first->text, "STRING") && take_word(p, "COLLATE"))
		p->at++;
	*ret = tm_str_slice(p->text, first->from, p->tokens.items[p->at - 1].to);
	return TM_OK;
}

/* ---- the loose levels ---- */
static tm_rc binary(struct parser *p, struct tm_str op, struct ast_expr *left, struct ast_expr *right, struct ast_expr **ret)
{
	struct ast_expr *e = TM_NEW(p->arena, struct ast_expr);
	*e = (struct ast_expr){
	    .kind = AST_OPERATOR, .line = left->line, .column = left->column, .from = left->from, .to = right->to, .depth = 1, .text = op};
	TM_TRY(parse_add_arg(p, e, left));
	TM_TRY(parse_add_arg(p, e, right));
	*ret = e;
	return TM_OK;
}

static tm_rc balance(struct parser *p, struct tm_str op, struct ast_expr **items, size_t n, struct ast_expr **ret)
{
	if (n == 1) {
		*ret = items[0];
		return TM_OK;
	}
	struct ast_expr *left, *right;
	/* Spark's way of halving keeps (a AND b) AND c for three. */
	size_t half = (n + 1) / 2;
	TM_TRY(balance(p, op, items, half, &left));
	TM_TRY(balance(p, op, items + half, n - half, &right));
	return binary(p, op, left, right, ret);
}

static tm_rc parse_not(struct parser *p, struct ast_expr **ret);

static tm_rc parse_and(struct parser *p, struct ast_expr **ret)
{
	struct ast_exprs list = {0};
	struct ast_expr *e;
	do {
		TM_TRY(parse_not(p, &e));
		if (!list.count && !at_word(p, 0, "AND")) {
			*ret = e;
			return TM_OK;
		}
		TM_PUSH_IN(p->arena, &list, e);
	} while (take_word(p, "AND"));
	return balance(p, TM_STR("AND"), list.items, list.count, ret);
}

tm_rc parse_expr(struct parser *p, struct ast_expr **ret)
{
	struct ast_exprs list = {0};
	struct ast_expr *e;
	TM_TRY(parse_deeper(p));
	do {
		TM_TRY(parse_and(p, &e));
		if (!list.count && !at_word(p, 0, "OR"))
			break;
		TM_PUSH_IN(p->arena, &list, e);
	} while (take_word(p, "OR"));
	p->depth--;
	if (!list.count) {
		*ret = e;
		return TM_OK;
	}
	return balance(p, TM_STR("OR"), list.items, list.count, ret);
}

tm_rc parse_expr_list(struct parser *p, struct ast_exprs *ret)
{
	struct ast_expr *e;
	do {
		TM_TRY(parse_expr(p, &e));
		TM_PUSH_IN(p->arena, ret, e);
	} while (take_sign(p, ","));
	return TM_OK;
}

static tm_rc parse_like(struct parser *p, struct ast_expr *value, bool negated, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node_after(p, AST_LIKE, value), *arg;
	e->flag = negated;
	e->text = tok(p, 0)->text;
	if (tm_str_iis(e->text, "REGEXP"))
		e->text = TM_STR("RLIKE");
	p->at++;
	TM_TRY(parse_add_arg(p, e, value));
	if ((at_word(p, 0, "ANY") || at_word(p, 0, "SOME") || at_word(p, 0, "ALL")) && at_sign(p, 1, "(")) {
		e->quantifier = at_word(p, 0, "ALL") ? AST_ALL : AST_ANY;
		p->at += 2;
		do {
			TM_TRY(parse_expr(p, &arg));
			TM_TRY(parse_add_arg(p, e, arg));
		} while (take_sign(p, ","));
		TM_TRY(parse_want_sign(p, ")"));
	} else {
		TM_TRY(parse_value(p, 2, &arg));
		TM_TRY(parse_add_arg(p, e, arg));
		if (take_word(p, "ESCAPE")) {
			if (tok(p, 0)->kind != TOK_STRING)
				return parse_fail(p);
			TM_TRY(parse_primary(p, &e->escape));
			if (tm_utf8_count(e->escape->text) != 1)
				return parse_fail_class(p, e->escape->line, e->escape->column, "INVALID_ESCAPE_CHAR", "42604",
							"`EscapeChar` should be a string literal of length one, but got \"%.*s\".",
							TM_STR_ARG(e->escape->text));
		}
	}
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_in(struct parser *p, struct ast_expr *value, bool negated, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node_after(p, AST_IN, value), *arg;
	e->flag = negated;
	TM_TRY(parse_want_sign(p, "("));
	TM_TRY(parse_add_arg(p, e, value));
	if (at_query(p, 0)) {
		e->kind = AST_IN_QUERY;
		TM_TRY(parse_query(p, &e->query));
	} else {
		do {
			TM_TRY(parse_expr(p, &arg));
			TM_TRY(parse_add_arg(p, e, arg));
		} while (take_sign(p, ","));
	}
	TM_TRY(parse_want_sign(p, ")"));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_is(struct parser *p, struct ast_expr *value, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node_after(p, AST_IS, value), *right;
	TM_TRY(parse_add_arg(p, e, value));
	e->flag = take_word(p, "NOT");
	if (take_word(p, "NULL"))
		e->text = TM_STR("NULL");
	else if (take_word(p, "TRUE"))
		e->text = TM_STR("TRUE");
	else if (take_word(p, "FALSE"))
		e->text = TM_STR("FALSE");
	else if (take_word(p, "UNKNOWN"))
		e->text = TM_STR("UNKNOWN");
	else if (take_words(p, "DISTINCT", "FROM")) {
		e->text = TM_STR("DISTINCT FROM");
		TM_TRY(parse_value(p, 2, &right));
		TM_TRY(parse_add_arg(p, e, right));
	} else
		return parse_fail(p);
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_predicate(struct parser *p, struct ast_expr *value, struct ast_expr **ret)
{
	static const char *const like_words[] = {"LIKE", "ILIKE", "RLIKE", "REGEXP", NULL};
	bool negated = false;
	size_t back = p->at;
	if (take_word(p, "IS"))
		return parse_is(p, value, ret);
	negated = take_word(p, "NOT");
	if (take_word(p, "BETWEEN")) {
		struct ast_expr *e = parse_node_after(p, AST_BETWEEN, value), *low, *high;
		e->flag = negated;
		TM_TRY(parse_value(p, 2, &low));
		TM_TRY(parse_want_word(p, "AND"));
		TM_TRY(parse_value(p, 2, &high));
		TM_TRY(parse_add_arg(p, e, value));
		TM_TRY(parse_add_arg(p, e, low));
		TM_TRY(parse_add_arg(p, e, high));
		parse_close(p, e);
		*ret = e;
		return TM_OK;
	}
	if (take_word(p, "IN"))
		return parse_in(p, value, negated, ret);
	if (at_words(p, like_words))
		return parse_like(p, value, negated, ret);
	p->at = back;
	*ret = value;
	return TM_OK;
}

static tm_rc parse_not(struct parser *p, struct ast_expr **ret)
{
	const struct token *t = tok(p, 0);
	struct ast_expr *e, *arg;
	if (!at_word(p, 0, "NOT") && !at_sign(p, 0, "!")) {
		TM_TRY(parse_value(p, 1, &e));
		return parse_predicate(p, e, ret);
	}
	p->at++;
	TM_TRY(parse_deeper(p));
	TM_TRY(parse_not(p, &arg));
	p->depth--;
	e = parse_node(p, AST_OPERATOR, t);
	e->text = TM_STR("NOT");
	TM_TRY(parse_add_arg(p, e, arg));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

/* ---- the tight levels ---- */
static int level_of(const struct token *t)
{
	static const struct {
		const char *sign;
		int level;
	} table[] = {{"=", 1},   {"==", 1}, {"<=>", 1}, {"<>", 1}, {"!=", 1}, {"<", 1}, {"<=", 1}, {">", 1},
		     {">=", 1},  {"!<", 1}, {"!>", 1},  {"|", 2},  {"^", 3},  {"&", 4}, {"<<", 5}, {">>", 5},
		     {">>>", 5}, {"+", 6},  {"-", 6},   {"||", 6}, {"*", 7},  {"/", 7}, {"%", 7}};
	if (t->kind == TOK_WORD)
		return tm_str_iis(t->text, "DIV") ? 7 : 0;
	if (t->kind != TOK_SIGN)
		return 0;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (tm_str_is(t->text, table[i].sign))
			return table[i].level;
	return 0;
}

static struct tm_str operator_name(const struct token *t)
{
	if (tm_str_is(t->text, "=="))
		return TM_STR("=");
	if (tm_str_is(t->text, "!="))
		return TM_STR("<>");
	if (tm_str_is(t->text, "!<"))
		return TM_STR(">=");
	if (tm_str_is(t->text, "!>"))
		return TM_STR("<=");
	if (t->kind == TOK_WORD)
		return TM_STR("div");
	return t->text;
}

static tm_rc parse_unary(struct parser *p, struct ast_expr **ret)
{
	const struct token *t = tok(p, 0);
	struct ast_expr *arg, *e;
	if (t->kind != TOK_SIGN || t->text.len != 1 || !strchr("+-~", t->text.at[0]) ||
	    (t->text.at[0] == '-' && tok(p, 1)->kind == TOK_NUMBER))
		return parse_primary(p, ret);
	p->at++;
	TM_TRY(parse_deeper(p));
	TM_TRY(parse_unary(p, &arg));
	p->depth--;
	e = parse_node(p, AST_OPERATOR, t);
	e->text = t->text.at[0] == '-' ? TM_STR("negative") : t->text.at[0] == '+' ? TM_STR("positive") : TM_STR("~");
	TM_TRY(parse_add_arg(p, e, arg));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}

tm_rc parse_value(struct parser *p, int least, struct ast_expr **ret)
{
	struct ast_expr *left, *right;
	TM_TRY(parse_unary(p, &left));
	for (;;) {
		const struct token *t = tok(p, 0);
		int level = level_of(t);
		if (!level || level < least)
			break;
		p->at++;
		TM_TRY(parse_deeper(p));
		TM_TRY(parse_value(p, level + 1, &right));
		p->depth--;
		TM_TRY(binary(p, operator_name(t), left, right, &left));
	}
	*ret = left;
	return TM_OK;
}

/* ---- intervals ---- */
bool at_interval(const struct parser *p)
{
	if (!at_word(p, 0, "INTERVAL"))
		return false;
	const struct token *t = tok(p, 1);
	if (t->kind == TOK_STRING || t->kind == TOK_NUMBER)
		return true;
	if (t->kind == TOK_SIGN && (t->text.at[0] == '-' || t->text.at[0] == '+'))
		return tok(p, 2)->kind == TOK_STRING || tok(p, 2)->kind == TOK_NUMBER;
	return t->kind == TOK_WORD ? is_unit(tok(p, 2)) : at_sign(p, 1, "(");
}

tm_rc parse_interval(struct parser *p, struct ast_expr **ret)
{
	struct ast_expr *e = parse_node(p, AST_INTERVAL, tok(p, 0)), *value;
	p->at++;
	do {
		bool text = tok(p, 0)->kind == TOK_STRING;
		TM_TRY(parse_unary(p, &value));
		TM_TRY(parse_add_arg(p, e, value));
		if (!is_unit(tok(p, 0))) {
			if (!text || e->args.count > 1)
				return parse_fail(p);
			break;
		}
		TM_PUSH_IN(p->arena, &e->names, tok(p, 0)->text);
		p->at++;
		if (at_word(p, 0, "TO") && is_unit(tok(p, 1))) {
			e->text = tok(p, 1)->text;
			p->at += 2;
			break;
		}
	} while (tok(p, 0)->kind == TOK_NUMBER || tok(p, 0)->kind == TOK_STRING ||
		 (at_sign(p, 0, "-") && (tok(p, 1)->kind == TOK_NUMBER || tok(p, 1)->kind == TOK_STRING) && is_unit(tok(p, 2))));
	parse_close(p, e);
	*ret = e;
	return TM_OK;
}
