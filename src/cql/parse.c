/* Tokens, names, types, terms and relations; statements are in parse_*.c. Error texts follow the shape of Cassandra's
 * parser: "line 1:9 mismatched input 'FORM' expecting K_FROM (SELECT * [FORM]...)". */
#include "cql/parse_int.h"
#include "table/type.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static tm_rc parse_primary(struct parser *p, struct cql_expr **ret);

static size_t skip_space(const struct parser *p, size_t at)
{
	while (p->tokens.items[at].kind == CQL_T_SPACE)
		at++;
	return at;
}

const struct cql_token *cur(const struct parser *p) { return &p->tokens.items[p->at]; }

const struct cql_token *ahead(const struct parser *p, size_t n)
{
	size_t at = p->at;
	while (n-- && p->tokens.items[at].kind != CQL_T_END)
		at = skip_space(p, at + 1);
	return &p->tokens.items[at];
}

void advance(struct parser *p)
{
	if (cur(p)->kind != CQL_T_END)
		p->at = skip_space(p, p->at + 1);
}

static bool mark_is(const struct cql_token *t, const char *mark) { return t->kind == CQL_T_SYMBOL && tm_str_is(t->raw, mark); }
static bool word_is(const struct cql_token *t, const char *word) { return t->kind == CQL_T_NAME && tm_str_is(t->text, word); }
bool is_mark(const struct parser *p, const char *mark) { return mark_is(cur(p), mark); }
bool is_word(const struct parser *p, const char *word) { return word_is(cur(p), word); }
bool mark_at(const struct parser *p, size_t n, const char *mark) { return mark_is(ahead(p, n), mark); }
bool word_at(const struct parser *p, size_t n, const char *word) { return word_is(ahead(p, n), word); }

bool take_mark(struct parser *p, const char *mark)
{
	if (!is_mark(p, mark))
		return false;
	advance(p);
	return true;
}

bool take_word(struct parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	advance(p);
	return true;
}

/* " (…ten tokens before [from] up to to…)" */
static void put_snippet(struct parser *p, const struct cql_token *from, const struct cql_token *to, struct tm_buf *out)
{
	const struct cql_token *items = p->tokens.items, *end = items + p->tokens.count - 1;
	if (from->kind == CQL_T_END)
		return;
	const struct cql_token *first = from - items > 10 ? from - 10 : items;
	tm_buf_cstr_put(out, first > items ? " (..." : " (");
	for (const struct cql_token *t = first; t < from; t++)
		tm_buf_str_put(out, t->raw);
	tm_buf_char(out, '[');
	tm_buf_str_put(out, from->raw);
	tm_buf_char(out, ']');
	for (const struct cql_token *t = from + 1; t <= to && t < end; t++)
		tm_buf_str_put(out, t->raw);
	tm_buf_cstr_put(out, (to > from ? to : from) + 1 < end ? "...)" : ")");
}

static tm_rc fail_at(struct parser *p, const struct cql_token *from, const struct cql_token *bad, const char *what, const char *expecting)
{
	struct tm_buf b = {0};
	if (bad->kind == CQL_T_END)
		tm_buf_printf(&b, "line 0:-1 %s '<EOF>'%s", what, expecting);
	else
		tm_buf_printf(&b, "line %d:%d %s '%.*s'%s", bad->line, bad->column, what, TM_STR_ARG(bad->raw), expecting);
	if (bad->kind != CQL_T_END)
		put_snippet(p, from, bad, &b);
	tm_rc rc = tm_fail(p->err, TM_SYNTAX, "%s", tm_buf_cstr(&b));
	tm_err_at(p->err, NULL, bad->line, bad->column + 1);
	tm_buf_done(&b);
	return rc;
}

tm_rc no_viable_at(struct parser *p, const struct cql_token *from)
{
	return fail_at(p, from, cur(p), "no viable alternative at input", "");
}
tm_rc no_viable(struct parser *p) { return no_viable_at(p, cur(p)); }

tm_rc need_mark(struct parser *p, const char *mark)
{
	if (take_mark(p, mark))
		return TM_OK;
	char expecting[40];
	snprintf(expecting, sizeof expecting, " expecting '%s'", mark);
	return fail_at(p, cur(p), cur(p), "mismatched input", expecting);
}

tm_rc need_word(struct parser *p, const char *word)
{
	if (take_word(p, word))
		return TM_OK;
	char expecting[40] = " expecting K_";
	size_t n = strlen(expecting);
	for (; *word && n + 1 < sizeof expecting; word++)
		expecting[n++] = (char)(*word >= 'a' && *word <= 'z' ? *word - 32 : *word);
	return fail_at(p, cur(p), cur(p), "mismatched input", expecting);
}

static bool reserved(struct tm_str name)
{
	static const char *const words[] = {
	    "add",          "allow",    "alter",    "and",    "apply",    "asc",         "authorize", "batch",   "begin",    "by",
	    "columnfamily", "create",   "delete",   "desc",   "describe", "drop",        "entries",   "execute", "from",     "full",
	    "grant",        "if",       "in",       "index",  "infinity", "insert",      "into",      "is",      "keyspace", "limit",
	    "materialized", "mbean",    "mbeans",   "modify", "nan",      "norecursive", "not",       "null",    "of",       "on",
	    "or",           "order",    "primary",  "rename", "revoke",   "schema",      "select",    "set",     "table",    "to",
	    "token",        "truncate", "unlogged", "update", "use",      "using",       "view",      "where",   "with",     NULL,
	};
	return tm_str_among(name, words);
}

bool is_name(const struct parser *p)
{
	const struct cql_token *t = cur(p);
	return (t->kind == CQL_T_QUOTED && t->text.len) || (t->kind == CQL_T_NAME && !reserved(t->text));
}

tm_rc parse_name(struct parser *p, struct tm_str *ret)
{
	if (!is_name(p))
		return no_viable(p);
	*ret = cur(p)->text;
	advance(p);
	return TM_OK;
}

tm_rc parse_column_names(struct parser *p, struct names *out)
{
	do {
		struct tm_str name;
		TM_TRY(parse_name(p, &name));
		TM_PUSH_IN(p->arena, out, name);
	} while (take_mark(p, ","));
	return TM_OK;
}

tm_rc parse_table_name(struct parser *p, struct cql_name *ret)
{
	*ret = (struct cql_name){0};
	TM_TRY(parse_name(p, &ret->name));
	if (take_mark(p, ".")) {
		ret->keyspace = ret->name;
		ret->has_keyspace = true;
		TM_TRY(parse_name(p, &ret->name));
	}
	return TM_OK;
}

struct cql_expr *new_expr(struct parser *p, enum cql_expr_kind kind, struct tm_str text)
{
	struct cql_expr *e = TM_NEW(p->arena, struct cql_expr);
	e->kind = kind;
	e->text = text;
	e->token = cur(p);
	return e;
}

static tm_rc enter(struct parser *p)
{
	if (++p->depth > TM_LIMIT_CQL_NESTING)
		return tm_fail(p->err, TM_SYNTAX, "line %d:%d nesting is deeper than %d", cur(p)->line, cur(p)->column,
			       TM_LIMIT_CQL_NESTING);
	return TM_OK;
}

/* ---- types ---- */
static tm_rc parse_type_args(struct parser *p, struct cql_raw_type *t, bool with_dimension)
{
	struct {
		struct cql_raw_type **items;
		size_t count, cap;
	} args = {0};
	TM_TRY(need_mark(p, "<"));
	for (;;) {
		struct cql_raw_type *arg;
		if (with_dimension && args.count == 1) {
			int64_t n;
			if (cur(p)->kind != CQL_T_INTEGER || !tm_str_to_i64(cur(p)->text, &n))
				return no_viable(p);
			if (n <= 0)
				return tm_fail(p->err, TM_INVALID, "vectors may only have positive dimensions; given %lld", (long long)n);
			if (n > 65536)
				return tm_fail(p->err, TM_INVALID, "vectors of more than 65536 dimensions are not supported; given %lld",
					       (long long)n);
			t->dimension = (size_t)n;
			advance(p);
			break;
		}
		TM_TRY(parse_type(p, &arg));
		TM_PUSH_IN(p->arena, &args, arg);
		if (!take_mark(p, ","))
			break;
	}
	TM_TRY(need_mark(p, ">"));
	t->args = args.items;
	t->arg_count = args.count;
	return TM_OK;
}

tm_rc parse_type(struct parser *p, struct cql_raw_type **ret)
{
	TM_TRY(enter(p));
	struct cql_raw_type *t = TM_NEW(p->arena, struct cql_raw_type);
	static const char *const containers[] = {"frozen", "list", "set", "map", "tuple", "vector"};
	if (cur(p)->kind == CQL_T_STRING) {
		t->name = cur(p)->text;
		t->quoted = true;
		advance(p);
		*ret = t;
		p->depth--;
		return TM_OK;
	}
	bool container = false;
	for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
		container |= is_word(p, containers[i]) && mark_at(p, 1, "<");
	if (container) {
		t->name = cur(p)->text;
		const struct cql_token *word = cur(p);
		advance(p);
		TM_TRY(parse_type_args(p, t, tm_str_is(t->name, "vector")));
		size_t want = tm_str_is(t->name, "map") ? 2 : tm_str_is(t->name, "tuple") ? t->arg_count : 1;
		if (t->arg_count != want || (tm_str_is(t->name, "vector") && !t->dimension))
			return no_viable_at(p, word);
		if (tm_str_is(t->name, "frozen")) {
			t = t->args[0];
			static const char *const freezable[] = {"list", "set", "map", "tuple", "vector", NULL};
			bool can = t->frozen || (t->arg_count && tm_str_among(t->name, freezable));
			can |= !t->arg_count && (t->keyspace.at || t->quoted || !tm_type_native_named(t->name));
			if (!can) {
				struct tm_buf b = {0};
				cql_raw_type_text(t, &b);
				tm_rc rc = tm_fail(p->err, TM_SYNTAX,
						   "frozen<> is only allowed on collections, tuples, and user-defined types (got %s)",
						   tm_buf_cstr(&b));
				tm_buf_done(&b);
				return rc;
			}
			t->frozen = true;
		}
	} else {
		struct cql_name name;
		bool quoted = cur(p)->kind == CQL_T_QUOTED;
		if (!is_name(p) && !is_word(p, "set"))
			return no_viable(p);
		TM_TRY(parse_table_name(p, &name));
		t->name = name.name;
		t->keyspace = name.keyspace;
		t->quoted = quoted;
	}
	p->depth--;
	*ret = t;
	return TM_OK;
}

/* ---- terms ---- */
static tm_rc parse_marker(struct parser *p, struct cql_expr **ret)
{
	struct tm_str name = {0};
	struct cql_expr *e = new_expr(p, CQL_E_MARKER, TM_STR("?"));
	if (take_mark(p, ":")) {
		if (cur(p)->kind != CQL_T_NAME && cur(p)->kind != CQL_T_QUOTED)
			return no_viable(p);
		name = cur(p)->text;
		advance(p);
		e->text = name;
		e->names = &e->text;
	} else {
		TM_TRY(need_mark(p, "?"));
	}
	e->marker = p->markers.count;
	TM_PUSH_IN(p->arena, &p->markers, name);
	*ret = e;
	return TM_OK;
}

tm_rc parse_marker_or(struct parser *p, enum cql_expr_kind kind, struct cql_expr **ret)
{
	if (is_mark(p, "?") || is_mark(p, ":"))
		return parse_marker(p, ret);
	enum cql_token_kind want = kind == CQL_E_STRING ? CQL_T_STRING : CQL_T_INTEGER;
	if (cur(p)->kind != want)
		return no_viable(p);
	*ret = new_expr(p, kind, cur(p)->text);
	advance(p);
	return TM_OK;
}

struct exprs {
	struct cql_expr **items;
	size_t count, cap;
};

static tm_rc parse_list_of(struct parser *p, const char *end, struct exprs *out)
{
	while (!is_mark(p, end)) {
		struct cql_expr *e;
		TM_TRY(parse_term(p, &e));
		TM_PUSH_IN(p->arena, out, e);
		if (!take_mark(p, ","))
			break;
		if (is_mark(p, end))
			return no_viable(p);
	}
	return need_mark(p, end);
}

static void set_args(struct cql_expr *e, const struct exprs *x)
{
	e->args = x->items;
	e->arg_count = x->count;
}

/* {…}: a set, a map, or a user type's value. */
static tm_rc parse_braces(struct parser *p, struct cql_expr **ret)
{
	struct cql_expr *e = new_expr(p, CQL_E_SET, (struct tm_str){0});
	struct exprs items = {0};
	struct names names = {0};
	advance(p);
	if (is_name(p) && !is_word(p, "true") && !is_word(p, "false") && mark_at(p, 1, ":")) {
		e->kind = CQL_E_UDT;
		do {
			struct tm_str name;
			struct cql_expr *v;
			TM_TRY(parse_name(p, &name));
			TM_TRY(need_mark(p, ":"));
			TM_TRY(parse_term(p, &v));
			TM_PUSH_IN(p->arena, &names, name);
			TM_PUSH_IN(p->arena, &items, v);
		} while (take_mark(p, ","));
		e->names = names.items;
	} else if (!is_mark(p, "}")) {
		for (bool first = true; first || take_mark(p, ","); first = false) {
			struct cql_expr *k, *v;
			TM_TRY(parse_term(p, &k));
			TM_PUSH_IN(p->arena, &items, k);
			if (first && is_mark(p, ":"))
				e->kind = CQL_E_MAP;
			if (e->kind == CQL_E_MAP) {
				TM_TRY(need_mark(p, ":"));
				TM_TRY(parse_term(p, &v));
				TM_PUSH_IN(p->arena, &items, v);
			}
		}
	}
	TM_TRY(need_mark(p, "}"));
	set_args(e, &items);
	*ret = e;
	return TM_OK;
}

/* (type) term, (a, b), or (term). */
static tm_rc parse_parens(struct parser *p, struct cql_expr **ret)
{
	size_t start = p->at;
	struct cql_expr *e = new_expr(p, CQL_E_TUPLE, (struct tm_str){0});
	advance(p);
	if (cur(p)->kind == CQL_T_NAME || cur(p)->kind == CQL_T_QUOTED) { /* a type, when a term follows its closing parenthesis */
		struct tm_err *err = p->err, unused;
		size_t markers = p->markers.count;
		int depth = p->depth;
		struct cql_raw_type *type;
		p->err = &unused;
		bool is_type = parse_type(p, &type) == TM_OK && is_mark(p, ")");
		p->err = err;
		p->depth = depth;
		if (is_type) {
			advance(p);
			const struct cql_token *t = cur(p);
			bool term =
			    t->kind == CQL_T_STRING || t->kind == CQL_T_INTEGER || t->kind == CQL_T_FLOAT || t->kind == CQL_T_UUID ||
			    t->kind == CQL_T_HEX || t->kind == CQL_T_DURATION || mark_is(t, "?") || mark_is(t, ":") || mark_is(t, "(") ||
			    mark_is(t, "[") || mark_is(t, "{") ||
			    (t->kind == CQL_T_NAME && (!reserved(t->text) || tm_str_is(t->text, "null") || tm_str_is(t->text, "nan") ||
						       tm_str_is(t->text, "infinity") || tm_str_is(t->text, "token"))) ||
			    t->kind == CQL_T_QUOTED;
			if (term) {
				e->kind = CQL_E_HINT;
				e->type = type;
				e->args = TM_NEW_N(p->arena, struct cql_expr *, 1);
				e->arg_count = 1;
				TM_TRY(enter(p));
				TM_TRY(parse_primary(p, &e->args[0]));
				p->depth--;
				*ret = e;
				return TM_OK;
			}
		}
		p->at = start;
		p->markers.count = markers;
		advance(p);
	}
	struct exprs items = {0};
	if (is_mark(p, ")"))
		return no_viable(p);
	TM_TRY(parse_list_of(p, ")", &items));
	set_args(e, &items);
	if (items.count == 1)
		e->kind = CQL_E_PAREN;
	*ret = e;
	return TM_OK;
}

static tm_rc parse_call(struct parser *p, struct cql_expr **ret)
{
	struct cql_expr *e = new_expr(p, CQL_E_CALL, cur(p)->text);
	advance(p);
	if (take_mark(p, ".")) {
		e->keyspace = e->text;
		if (cur(p)->kind != CQL_T_NAME && cur(p)->kind != CQL_T_QUOTED)
			return no_viable(p);
		e->text = cur(p)->text;
		advance(p);
	}
	TM_TRY(need_mark(p, "("));
	struct exprs items = {0};
	if (p->selecting && tm_str_is(e->text, "count") && !e->keyspace.at &&
	    (is_mark(p, "*") || (cur(p)->kind == CQL_T_INTEGER && mark_at(p, 1, ")")))) {
		if (cur(p)->kind == CQL_T_INTEGER && !tm_str_is(cur(p)->text, "1"))
			return tm_fail(p->err, TM_SYNTAX, "Only COUNT(1) is supported, got COUNT(%.*s)", TM_STR_ARG(cur(p)->text));
		e->kind = CQL_E_COUNT_ROWS;
		e->what = cur(p)->kind == CQL_T_INTEGER;
		advance(p);
		TM_TRY(need_mark(p, ")"));
	} else if (p->selecting && !e->keyspace.at &&
		   (tm_str_is(e->text, "writetime") || tm_str_is(e->text, "maxwritetime") || tm_str_is(e->text, "ttl")) &&
		   e->token->kind == CQL_T_NAME) {
		e->kind = CQL_E_WRITETIME;
		e->what = tm_str_is(e->text, "ttl") ? CQL_TTL : tm_str_is(e->text, "writetime") ? CQL_WRITETIME : CQL_MAXWRITETIME;
		if (!is_name(p))
			return no_viable(p);
		TM_TRY(parse_list_of(p, ")", &items));
	} else if (p->selecting && !e->keyspace.at && tm_str_is(e->text, "cast") && e->token->kind == CQL_T_NAME) {
		e->kind = CQL_E_CAST;
		struct cql_expr *v;
		TM_TRY(parse_term(p, &v));
		TM_PUSH_IN(p->arena, &items, v);
		TM_TRY(need_word(p, "as"));
		if (cur(p)->kind != CQL_T_NAME || !tm_type_native_named(cur(p)->text))
			return no_viable(p);
		TM_TRY(parse_type(p, &e->type));
		TM_TRY(need_mark(p, ")"));
	} else {
		TM_TRY(parse_list_of(p, ")", &items));
	}
	set_args(e, &items);
	*ret = e;
	return TM_OK;
}

static tm_rc parse_literal(struct parser *p, struct cql_expr **ret)
{
	static const enum cql_expr_kind kinds[] = {
	    [CQL_T_STRING] = CQL_E_STRING, [CQL_T_INTEGER] = CQL_E_INTEGER, [CQL_T_FLOAT] = CQL_E_FLOAT,
	    [CQL_T_UUID] = CQL_E_UUID,     [CQL_T_HEX] = CQL_E_HEX,         [CQL_T_DURATION] = CQL_E_DURATION,
	};
	const struct cql_token *t = cur(p);
	*ret = new_expr(p, kinds[t->kind], t->text);
	if (t->kind == CQL_T_FLOAT && !isfinite(strtod(tm_arena_cstr(p->arena, t->raw), NULL)) &&
	    t->raw.at[t->raw.len - 1] <= '9') /* Cassandra's parser makes a double of it first */
		return tm_fail(p->err, TM_SYNTAX,
			       "Failed parsing statement: [%.*s] reason: NumberFormatException Character I is neither a decimal digit "
			       "number, decimal point, nor \"e\" notation exponential mark.",
			       TM_STR_ARG(p->source));
	advance(p);
	return TM_OK;
}

static tm_rc parse_primary(struct parser *p, struct cql_expr **ret)
{
	const struct cql_token *t = cur(p);
	switch (t->kind) {
	case CQL_T_STRING:
	case CQL_T_INTEGER:
	case CQL_T_FLOAT:
	case CQL_T_UUID:
	case CQL_T_HEX:
	case CQL_T_DURATION:
		return parse_literal(p, ret);
	case CQL_T_SYMBOL:
		if (is_mark(p, "?") || is_mark(p, ":"))
			return parse_marker(p, ret);
		if (is_mark(p, "("))
			return parse_parens(p, ret);
		if (is_mark(p, "{"))
			return parse_braces(p, ret);
		if (is_mark(p, "[")) {
			struct cql_expr *e = new_expr(p, CQL_E_LIST, (struct tm_str){0});
			struct exprs items = {0};
			advance(p);
			TM_TRY(parse_list_of(p, "]", &items));
			set_args(e, &items);
			*ret = e;
			return TM_OK;
		}
		return no_viable(p);
	case CQL_T_NAME:
	case CQL_T_QUOTED: {
		const struct cql_token *next = ahead(p, 1);
		bool call = mark_is(next, "(") || (mark_is(next, ".") && mark_at(p, 3, "("));
		if (call && (is_name(p) || word_is(t, "token")))
			return parse_call(p, ret);
		if (t->kind == CQL_T_NAME) {
			enum cql_expr_kind kind = word_is(t, "true") || word_is(t, "false")     ? CQL_E_BOOLEAN
						  : word_is(t, "null")                          ? CQL_E_NULL
						  : word_is(t, "nan") || word_is(t, "infinity") ? CQL_E_FLOAT
												: CQL_E_COLUMN;
			if (kind != CQL_E_COLUMN) {
				*ret = new_expr(p, kind, t->raw);
				advance(p);
				return TM_OK;
			}
		}
		if (!p->selecting || !is_name(p))
			return t->kind == CQL_T_NAME && !p->selecting && !reserved(t->text) ? (advance(p), no_viable_at(p, t))
											    : no_viable(p);
		*ret = new_expr(p, CQL_E_COLUMN, t->text);
		advance(p);
		return TM_OK;
	}
	default:
		return no_viable(p);
	}
}

/* x.field, x[i], x[a..b] behind a selection. */
static tm_rc parse_suffixes(struct parser *p, struct cql_expr **e)
{
	while (p->selecting && (is_mark(p, ".") || is_mark(p, "["))) {
		struct cql_expr *outer = new_expr(p, CQL_E_FIELD, (struct tm_str){0});
		struct cql_expr **args = TM_NEW_N(p->arena, struct cql_expr *, 3);
		args[0] = *e;
		outer->args = args;
		outer->arg_count = 1;
		if (take_mark(p, ".")) {
			TM_TRY(parse_name(p, &outer->text));
		} else {
			advance(p);
			outer->kind = CQL_E_ELEMENT;
			if (!is_mark(p, ".."))
				TM_TRY(parse_term(p, &args[1]));
			if (take_mark(p, "..")) {
				outer->kind = CQL_E_RANGE;
				if (!is_mark(p, "]"))
					TM_TRY(parse_term(p, &args[2]));
			}
			outer->arg_count = outer->kind == CQL_E_RANGE ? 3 : 2;
			TM_TRY(need_mark(p, "]"));
		}
		*e = outer;
	}
	return TM_OK;
}

static tm_rc parse_unary(struct parser *p, struct cql_expr **ret)
{
	TM_TRY(enter(p));
	if (is_mark(p, "-")) {
		struct cql_expr *e = new_expr(p, CQL_E_NEGATE, TM_STR("-"));
		advance(p);
		e->args = TM_NEW_N(p->arena, struct cql_expr *, 1);
		e->arg_count = 1;
		TM_TRY(parse_unary(p, &e->args[0]));
		*ret = e;
	} else {
		TM_TRY(parse_primary(p, ret));
		TM_TRY(parse_suffixes(p, ret));
	}
	p->depth--;
	return TM_OK;
}

static tm_rc parse_binary(struct parser *p, struct cql_expr **ret, bool product)
{
	if (product)
		TM_TRY(parse_unary(p, ret));
	else
		TM_TRY(parse_binary(p, ret, true));
	for (;;) {
		char op = 0;
		for (const char *o = product ? "*/%" : "+-"; *o; o++)
			if (is_mark(p, (char[]){*o, 0}))
				op = *o;
		/* "3 -2" lexes as 3 and -2 in Cassandra; ours keeps the minus apart behind an operand. */
		if (!op)
			return TM_OK;
		struct cql_expr *e = new_expr(p, CQL_E_BINARY, (struct tm_str){0});
		advance(p);
		e->op = op;
		e->args = TM_NEW_N(p->arena, struct cql_expr *, 2);
		e->arg_count = 2;
		e->args[0] = *ret;
		if (product)
			TM_TRY(parse_unary(p, &e->args[1]));
		else
			TM_TRY(parse_binary(p, &e->args[1], true));
		*ret = e;
	}
}

tm_rc parse_term(struct parser *p, struct cql_expr **ret)
{
	TM_TRY(enter(p));
	TM_TRY(parse_binary(p, ret, false));
	p->depth--;
	return TM_OK;
}

/* ---- relations ---- */
static bool take_operator(struct parser *p, enum cql_op *ret)
{
	static const struct {
		const char *mark;
		enum cql_op op;
	} ops[] = {{"=", CQL_EQ}, {"<", CQL_LT}, {"<=", CQL_LE}, {">", CQL_GT}, {">=", CQL_GE}, {"!=", CQL_NE}};
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (take_mark(p, ops[i].mark)) {
			*ret = ops[i].op;
			return true;
		}
	return false;
}

static tm_rc parse_in_values(struct parser *p, struct cql_relation *r)
{
	r->op = CQL_IN;
	if (is_mark(p, "?") || is_mark(p, ":"))
		return parse_marker(p, &r->value);
	struct exprs items = {0};
	TM_TRY(need_mark(p, "("));
	if (is_mark(p, ")"))
		advance(p);
	else
		TM_TRY(parse_list_of(p, ")", &items));
	r->values = items.items;
	r->value_count = items.count;
	r->value_list = true;
	return TM_OK;
}

/* (a, b) */
static tm_rc parse_columns(struct parser *p, struct cql_relation *r)
{
	struct names names = {0};
	TM_TRY(need_mark(p, "("));
	TM_TRY(parse_column_names(p, &names));
	TM_TRY(need_mark(p, ")"));
	r->columns = names.items;
	r->column_count = names.count;
	return TM_OK;
}

static tm_rc parse_relation(struct parser *p, struct cql_relation *r, bool condition)
{
	*r = (struct cql_relation){0};
	TM_TRY(enter(p));
	if (is_mark(p, "(") && !condition) {
		/* (a, b) op …, or a relation in parentheses */
		if (mark_at(p, 1, "(") || !(mark_at(p, 2, ",") || mark_at(p, 2, ")"))) {
			advance(p);
			TM_TRY(parse_relation(p, r, condition));
			p->depth--;
			return need_mark(p, ")");
		}
		r->tuple = true;
		TM_TRY(parse_columns(p, r));
	} else if (is_word(p, "token") && !condition) {
		advance(p);
		r->token = true;
		TM_TRY(parse_columns(p, r));
	} else {
		const struct cql_token *start = cur(p);
		struct tm_str *name = TM_NEW(p->arena, struct tm_str);
		TM_TRY(parse_name(p, name));
		r->columns = name;
		r->column_count = 1;
		if (take_mark(p, "[")) {
			TM_TRY(parse_term(p, &r->element));
			TM_TRY(need_mark(p, "]"));
		} else if (condition && take_mark(p, ".")) {
			TM_TRY(parse_name(p, &r->field));
		}
		if (!is_word(p, "in") && !is_word(p, "contains") && !is_word(p, "like") && !is_word(p, "is") &&
		    !(cur(p)->kind == CQL_T_SYMBOL && strchr("=<>!", cur(p)->raw.at[0])))
			return no_viable_at(p, start);
	}
	p->depth--;
	if (take_word(p, "in"))
		return parse_in_values(p, r);
	if (!r->tuple && !r->token && take_word(p, "contains")) {
		r->op = take_word(p, "key") ? CQL_CONTAINS_KEY : CQL_CONTAINS;
		return parse_term(p, &r->value);
	}
	if (!r->tuple && !r->token && !condition && take_word(p, "like")) {
		r->op = CQL_LIKE;
		return parse_term(p, &r->value);
	}
	if (!r->tuple && !r->token && !condition && take_word(p, "is")) {
		TM_TRY(need_word(p, "not"));
		TM_TRY(need_word(p, "null"));
		r->op = CQL_IS_NOT_NULL;
		return TM_OK;
	}
	if (!take_operator(p, &r->op))
		return no_viable(p);
	return parse_term(p, &r->value);
}

tm_rc parse_relations(struct parser *p, bool conditions, struct cql_relation **ret, size_t *ret_count)
{
	struct {
		struct cql_relation *items;
		size_t count, cap;
	} list = {0};
	do {
		struct cql_relation r;
		TM_TRY(parse_relation(p, &r, conditions));
		TM_PUSH_IN(p->arena, &list, r);
	} while (take_word(p, "and"));
	*ret = list.items;
	*ret_count = list.count;
	return TM_OK;
}

/* ---- the whole ---- */
static tm_rc parse_statement(struct parser *p, struct cql_statement *s)
{
	if (is_word(p, "select"))
		return parse_select(p, s);
	if (is_word(p, "insert") || is_word(p, "update") || is_word(p, "delete")) {
		s->kind = CQL_S_MODIFY;
		return parse_modification(p, &s->modify);
	}
	if (is_word(p, "begin"))
		return parse_batch(p, s);
	if (is_word(p, "describe") || is_word(p, "desc"))
		return parse_describe(p, s);
	return parse_ddl(p, s);
}

tm_rc cql_parse(struct tm_arena *arena, struct tm_str text, struct cql_statement *ret, struct tm_err *err)
{
	struct parser p = {.arena = arena, .source = text, .err = err};
	memset(ret, 0, sizeof *ret);
	TM_TRY(cql_lex(arena, text, &p.tokens, err));
	p.at = skip_space(&p, 0);
	TM_TRY(parse_statement(&p, ret));
	while (take_mark(&p, ";"))
		;
	if (cur(&p)->kind != CQL_T_END)
		return fail_at(&p, cur(&p), cur(&p), "mismatched input", " expecting EOF");
	ret->marker_names = p.markers.items;
	ret->marker_count = p.markers.count;
	return TM_OK;
}
