/* Statements around queries: views, sources, streaming tables, flows, SET, SHOW, DESCRIBE, EXPLAIN. */
#include "sql/parse.h"

/* (key value, key = value, …): keys are dotted words or strings, values strings, numbers or words. */
static tm_rc parse_options(struct parser *p, struct ast_stmt *s)
{
	TM_TRY(parse_want_sign(p, "("));
	if (take_sign(p, ")"))
		return TM_OK;
	do {
		struct ast_option o;
		const struct token *t = tok(p, 0);
		if (t->kind == TOK_STRING) {
			o.name = tm_sql_unquote(p->arena, t->text);
			p->at++;
		} else {
			struct ast_names names;
			TM_TRY(parse_names(p, &names));
			o.name = names.items[0];
			for (size_t i = 1; i < names.count; i++)
				o.name = tm_arena_printf(p->arena, "%.*s.%.*s", TM_STR_ARG(o.name), TM_STR_ARG(names.items[i]));
		}
		take_sign(p, "=");
		t = tok(p, 0);
		if (t->kind == TOK_STRING)
			o.value = tm_sql_unquote(p->arena, t->text);
		else if (t->kind == TOK_NUMBER || t->kind == TOK_WORD)
			o.value = tm_str_slice(p->text, t->from, t->to);
		else if (at_sign(p, 0, "-") && tok(p, 1)->kind == TOK_NUMBER) {
			o.value = tm_str_slice(p->text, t->from, tok(p, 1)->to);
			p->at++;
		} else
			return parse_fail(p);
		p->at++;
		TM_PUSH_IN(p->arena, &s->options, o);
	} while (take_sign(p, ","));
	return parse_want_sign(p, ")");
}

/* (a, b) names columns; (a INT, b STRING) defines them. */
static tm_rc parse_columns(struct parser *p, struct ast_stmt *s)
{
	if (at_identifier(p, 1) && (at_sign(p, 2, ",") || at_sign(p, 2, ")") || at_word(p, 2, "COMMENT"))) {
		p->at++;
		do {
			struct tm_str name;
			TM_TRY(parse_identifier(p, &name));
			TM_PUSH_IN(p->arena, &s->columns, name);
			if (take_word(p, "COMMENT"))
				p->at++;
		} while (take_sign(p, ","));
		return parse_want_sign(p, ")");
	}
	size_t from = tok(p, 0)->to;
	p->at++;
	for (int open = 1; open;) {
		if (at_end(p))
			return parse_fail(p);
		open += at_sign(p, 0, "(");
		open -= at_sign(p, 0, ")");
		p->at++;
	}
	s->schema = tm_str_trim(tm_str_slice(p->text, from, p->tokens.items[p->at - 1].from));
	return TM_OK;
}

/* USING f, OPTIONS (…), COMMENT '…', TBLPROPERTIES (…) in any order. */
static tm_rc parse_clauses(struct parser *p, struct ast_stmt *s)
{
	for (;;) {
		if (take_word(p, "USING")) {
			struct ast_names names;
			TM_TRY(parse_names(p, &names));
			s->format = names.items[names.count - 1];
		} else if (take_word(p, "OPTIONS")) {
			TM_TRY(parse_options(p, s));
		} else if (take_word(p, "COMMENT")) {
			p->at++;
		} else if (take_word(p, "TBLPROPERTIES")) {
			struct ast_stmt ignored = {0};
			TM_TRY(parse_options(p, &ignored));
		} else if (at_word(p, 0, "PARTITIONED") || at_word(p, 0, "CLUSTER")) {
			p->at += 2;
			struct ast_names names;
			TM_TRY(parse_name_list(p, &names));
		} else {
			return TM_OK;
		}
	}
}

static tm_rc parse_create(struct parser *p, struct ast_stmt *s)
{
	p->at++;
	s->replace = take_words(p, "OR", "REPLACE") || take_words(p, "OR", "REFRESH");
	if (take_word(p, "FLOW")) {
		s->kind = AST_STMT_FLOW;
		TM_TRY(parse_names(p, &s->name));
		if (take_word(p, "COMMENT"))
			p->at++;
		TM_TRY(parse_want_word(p, "AS"));
		TM_TRY(parse_want_word(p, "INSERT"));
		TM_TRY(parse_want_word(p, "INTO"));
		TM_TRY(parse_names(p, &s->target));
		s->by_name = take_words(p, "BY", "NAME");
		return parse_query(p, &s->query);
	}
	if (take_words(p, "STREAMING", "TABLE")) {
		s->kind = AST_STMT_STREAMING_TABLE;
		if (take_words(p, "IF", "NOT"))
			TM_TRY(parse_want_word(p, "EXISTS"));
		TM_TRY(parse_names(p, &s->name));
		if (at_sign(p, 0, "("))
			TM_TRY(parse_columns(p, s));
		TM_TRY(parse_clauses(p, s));
		return take_word(p, "AS") ? parse_query(p, &s->query) : TM_OK;
	}
	take_word(p, "GLOBAL");
	if (!take_word(p, "TEMPORARY") && !take_word(p, "TEMP")) {
		tm_rc rc = parse_fail(p);
		tm_err_hint(p->err, "CREATE TEMPORARY VIEW, CREATE STREAMING TABLE and CREATE FLOW are what a pipeline is made of; tables "
				    "of the store are made with CQL in tables/*.cql");
		return rc;
	}
	TM_TRY(parse_want_word(p, "VIEW"));
	if (take_words(p, "IF", "NOT")) {
		TM_TRY(parse_want_word(p, "EXISTS"));
		s->if_exists = true;
	}
	TM_TRY(parse_names(p, &s->name));
	if (at_sign(p, 0, "("))
		TM_TRY(parse_columns(p, s));
	TM_TRY(parse_clauses(p, s));
	s->kind = s->format.at ? AST_STMT_SOURCE : AST_STMT_VIEW;
	if (s->format.at)
		return TM_OK;
	TM_TRY(parse_want_word(p, "AS"));
	return parse_query(p, &s->query);
}

/* SET k, SET k = the rest of the text, SET TIME ZONE 'x'. */
static tm_rc parse_set(struct parser *p, struct ast_stmt *s)
{
	s->kind = AST_STMT_SET;
	p->at++;
	if (take_words(p, "TIME", "ZONE")) {
		s->key = TM_STR("spark.sql.session.timeZone");
		s->has_value = true;
		if (tok(p, 0)->kind == TOK_STRING)
			s->value = tm_sql_unquote(p->arena, tok(p, 0)->text);
		else if (at_word(p, 0, "LOCAL"))
			s->value = TM_STR("UTC");
		else
			return parse_fail(p);
		p->at++;
		return TM_OK;
	}
	size_t from = tok(p, 0)->from, end = p->tokens.items[p->tokens.count - 1].from;
	struct tm_str rest = tm_str_trim(tm_str_slice(p->text, from, end));
	size_t equal = tm_str_find(rest, TM_STR("="), 0);
	s->key = equal == SIZE_MAX ? rest : tm_str_trim(tm_str_slice(rest, 0, equal));
	if (s->key.len >= 2 && s->key.at[0] == '`')
		s->key = tm_str_slice(s->key, 1, s->key.len - 1);
	if (equal != SIZE_MAX) {
		s->has_value = true;
		s->value = tm_str_trim(tm_str_slice(rest, equal + 1, rest.len));
	}
	p->at = p->tokens.count - 1;
	return TM_OK;
}

static tm_rc parse_show(struct parser *p, struct ast_stmt *s)
{
	s->kind = AST_STMT_SHOW;
	p->at++;
	take_word(p, "USER");
	take_word(p, "SYSTEM");
	TM_TRY(parse_identifier(p, &s->key));
	if (take_word(p, "FROM") || take_word(p, "IN"))
		TM_TRY(parse_names(p, &s->name));
	if (take_word(p, "LIKE") || tok(p, 0)->kind == TOK_STRING) {
		if (tok(p, 0)->kind != TOK_STRING)
			return parse_fail(p);
		s->value = tm_sql_unquote(p->arena, tok(p, 0)->text);
		s->has_value = true;
		p->at++;
	}
	return TM_OK;
}

static tm_rc parse_describe(struct parser *p, struct ast_stmt *s)
{
	s->kind = AST_STMT_DESCRIBE;
	p->at++;
	if (take_word(p, "FUNCTION")) {
		s->key = TM_STR("FUNCTION");
		s->extended = take_word(p, "EXTENDED");
		if (tok(p, 0)->kind == TOK_SIGN) {
			TM_PUSH_IN(p->arena, &s->name, tok(p, 0)->text);
			p->at++;
			return TM_OK;
		}
		return parse_names(p, &s->name);
	}
	if (!at_sign(p, 1, "."))
		take_word(p, "TABLE");
	bool query = take_word(p, "QUERY");
	s->extended = take_word(p, "EXTENDED") || take_word(p, "FORMATTED");
	if (query || at_query(p, 0))
		return parse_query(p, &s->query);
	return parse_names(p, &s->name);
}

tm_rc parse_statement(struct parser *p, struct ast_stmt **ret)
{
	struct ast_stmt *s = TM_NEW(p->arena, struct ast_stmt);
	const struct token *t = tok(p, 0);
	s->line = t->line;
	s->column = t->column;
	s->from = t->from;
	s->to = p->tokens.items[p->tokens.count - 1].from;
	if (at_word(p, 0, "CREATE")) {
		TM_TRY(parse_create(p, s));
	} else if (at_word(p, 0, "SET")) {
		TM_TRY(parse_set(p, s));
	} else if (take_word(p, "RESET")) {
		s->kind = AST_STMT_RESET;
		s->key = tm_str_trim(tm_str_slice(p->text, tok(p, 0)->from, s->to));
		p->at = p->tokens.count - 1;
	} else if (at_word(p, 0, "SHOW")) {
		TM_TRY(parse_show(p, s));
	} else if (at_word(p, 0, "DESCRIBE") || at_word(p, 0, "DESC")) {
		TM_TRY(parse_describe(p, s));
	} else if (take_word(p, "EXPLAIN")) {
		s->kind = AST_STMT_EXPLAIN;
		s->extended = take_word(p, "EXTENDED") || take_word(p, "FORMATTED") || take_word(p, "CODEGEN") || take_word(p, "COST");
		TM_TRY(parse_query(p, &s->query));
	} else if (take_word(p, "USE")) {
		s->kind = AST_STMT_USE;
		if (!take_word(p, "SCHEMA") && !take_word(p, "DATABASE"))
			take_word(p, "NAMESPACE");
		TM_TRY(parse_names(p, &s->name));
	} else if (take_word(p, "INSERT")) {
		s->kind = AST_STMT_INSERT;
		if (!take_word(p, "OVERWRITE"))
			TM_TRY(parse_want_word(p, "INTO"));
		take_word(p, "TABLE");
		TM_TRY(parse_names(p, &s->name));
		if (at_sign(p, 0, "(") && !at_query(p, 1))
			TM_TRY(parse_name_list(p, &s->columns));
		TM_TRY(parse_query(p, &s->query));
	} else if (take_words(p, "DROP", "VIEW")) {
		s->kind = AST_STMT_DROP_VIEW;
		s->if_exists = take_words(p, "IF", "EXISTS");
		TM_TRY(parse_names(p, &s->name));
	} else {
		s->kind = AST_STMT_QUERY;
		TM_TRY(parse_query(p, &s->query));
	}
	if (!at_end(p))
		return parse_fail(p);
	s->marks = p->marks;
	*ret = s;
	return TM_OK;
}

tm_rc tm_sql_parse(struct tm_arena *arena, struct tm_str text, size_t *offset, struct ast_stmt **ret, struct tm_err *err)
{
	struct parser p = {.arena = arena, .text = text, .err = err};
	TM_TRY(tm_sql_lex(arena, text, offset, &p.tokens, err));
	if (at_end(&p)) {
		*ret = NULL;
		return TM_OK;
	}
	return parse_statement(&p, ret);
}

tm_rc tm_sql_parse_expr(struct tm_arena *arena, struct tm_str text, struct ast_expr **ret, struct tm_err *err)
{
	struct parser p = {.arena = arena, .text = text, .err = err};
	size_t offset = 0;
	TM_TRY(tm_sql_lex(arena, text, &offset, &p.tokens, err));
	TM_TRY(parse_expr(&p, ret));
	return at_end(&p) ? TM_OK : parse_fail(&p);
}
