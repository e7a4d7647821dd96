/* Types from text: DDL ("STRUCT<a: INT>", "a INT, b STRING NOT NULL") and the JSON that Spark writes for a type. */
#include "sql/fn_int.h"

struct parser {
	struct tm_arena *arena;
	struct tm_str text;
	size_t at;
	int depth;
	struct tm_err *err;
};
struct fields {
	struct {
		struct tm_str *items;
		size_t count, cap;
	} names;
	struct {
		const struct tm_type **items;
		size_t count, cap;
	} types;
	struct {
		bool *items;
		size_t count, cap;
	} nulls;
};

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static void skip(struct parser *p)
{
	while (p->at < p->text.len && blank(p->text.at[p->at]))
		p->at++;
}
static char peek(struct parser *p)
{
	skip(p);
	return p->at < p->text.len ? p->text.at[p->at] : 0;
}
static bool take(struct parser *p, char c)
{
	if (peek(p) != c)
		return false;
	p->at++;
	return true;
}
static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static tm_rc wrong(struct parser *p)
{
	skip(p);
	if (p->at >= p->text.len)
		return tm_fail_class(p->err, TM_SYNTAX, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near end of input.");
	size_t n = 1;
	while (p->at + n < p->text.len && word_char(p->text.at[p->at + n]) && word_char(p->text.at[p->at]))
		n++;
	return tm_fail_class(p->err, TM_SYNTAX, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near '%.*s'.", (int)n,
			     p->text.at + p->at);
}
static tm_rc expect(struct parser *p, char c) { return take(p, c) ? TM_OK : wrong(p); }

/* A word, or a name in back quotes (two of them mean one). */
static tm_rc name(struct parser *p, struct tm_str *ret)
{
	skip(p);
	size_t from = p->at;
	if (p->at < p->text.len && p->text.at[p->at] == '`') {
		struct tm_buf b = {0};
		for (p->at++; p->at < p->text.len; p->at++) {
			if (p->text.at[p->at] == '`') {
				if (p->at + 1 >= p->text.len || p->text.at[p->at + 1] != '`')
					break;
				p->at++;
			}
			tm_buf_char(&b, p->text.at[p->at]);
		}
		*ret = tm_arena_str(p->arena, tm_buf_str(&b));
		tm_buf_done(&b);
		if (p->at >= p->text.len)
			return wrong(p);
		p->at++;
		return TM_OK;
	}
	while (p->at < p->text.len && word_char(p->text.at[p->at]))
		p->at++;
	if (p->at == from)
		return wrong(p);
	*ret = tm_str_slice(p->text, from, p->at);
	return TM_OK;
}
static bool keyword(struct parser *p, const char *w)
{
	size_t n = strlen(w);
	skip(p);
	if (p->at + n > p->text.len || !tm_str_iis(tm_str_slice(p->text, p->at, p->at + n), w) ||
	    (p->at + n < p->text.len && word_char(p->text.at[p->at + n])))
		return false;
	p->at += n;
	return true;
}
static tm_rc number(struct parser *p, int *ret)
{
	int v = 0;
	skip(p);
	size_t from = p->at;
	while (p->at < p->text.len && p->text.at[p->at] >= '0' && p->text.at[p->at] <= '9' && v < 100000000)
		v = v * 10 + (p->text.at[p->at++] - '0');
	if (p->at == from)
		return wrong(p);
	*ret = v;
	return TM_OK;
}
static tm_rc comment(struct parser *p)
{
	if (!keyword(p, "comment"))
		return TM_OK;
	char q = peek(p);
	if (q != '\'' && q != '"')
		return wrong(p);
	for (p->at++; p->at < p->text.len && p->text.at[p->at] != q; p->at++)
		if (p->text.at[p->at] == '\\')
			p->at++;
	return expect(p, q);
}

static const struct {
	const char *name;
	const struct tm_type *type;
} plain[] = {{"boolean", &tm_type_boolean},
	     {"tinyint", &tm_type_tinyint},
	     {"byte", &tm_type_tinyint},
	     {"smallint", &tm_type_smallint},
	     {"short", &tm_type_smallint},
	     {"int", &tm_type_int},
	     {"integer", &tm_type_int},
	     {"bigint", &tm_type_bigint},
	     {"long", &tm_type_bigint},
	     {"float", &tm_type_float},
	     {"real", &tm_type_float},
	     {"double", &tm_type_double},
	     {"string", &tm_type_string},
	     {"binary", &tm_type_binary},
	     {"date", &tm_type_date},
	     {"timestamp", &tm_type_timestamp},
	     {"timestamp_ltz", &tm_type_timestamp},
	     {"timestamp_ntz", &tm_type_timestamp_ntz},
	     {"variant", &tm_type_variant},
	     {"void", &tm_type_null},
	     {"null", &tm_type_null}};

static tm_rc type(struct parser *p, const struct tm_type **ret);

static tm_rc field_list(struct parser *p, char close, bool colon, const struct tm_type **ret)
{
	struct fields f = {0};
	if (!(close && take(p, close))) {
		do {
			struct tm_str n;
			const struct tm_type *t;
			TM_TRY(name(p, &n));
			if (colon || peek(p) == ':')
				take(p, ':');
			TM_TRY(type(p, &t));
			bool nullable = true;
			if (keyword(p, "not")) {
				if (!keyword(p, "null"))
					return wrong(p);
				nullable = false;
			}
			TM_TRY(comment(p));
			TM_PUSH_IN(p->arena, &f.names, n);
			TM_PUSH_IN(p->arena, &f.types, t);
			TM_PUSH_IN(p->arena, &f.nulls, nullable);
		} while (take(p, ','));
		if (close)
			TM_TRY(expect(p, close));
	}
	*ret = tm_type_struct(p->arena, f.names.count, f.names.items, f.types.items, f.nulls.items);
	return TM_OK;
}

static tm_rc interval_type(struct parser *p, const struct tm_type **ret)
{
	int from = -1, to = -1;
	for (int pass = 0; pass < 2; pass++) {
		for (int f = TM_F_YEAR; f <= TM_F_SECOND; f++)
			if (keyword(p, tm_interval_field_name(f))) {
				*(pass ? &to : &from) = f;
				break;
			}
		if (from < 0) {
			*ret = &tm_type_interval;
			return TM_OK;
		}
		if (pass == 0 && !keyword(p, "to")) {
			to = from;
			break;
		}
	}
	if (to < from || (from <= TM_F_MONTH) != (to <= TM_F_MONTH))
		return wrong(p);
	*ret = from <= TM_F_MONTH ? tm_type_interval_ym(p->arena, from, to) : tm_type_interval_dt(p->arena, from, to);
	return TM_OK;
}

static tm_rc decimal_type(struct parser *p, const struct tm_type **ret)
{
	int precision = 10, scale = 0;
	if (take(p, '(')) {
		TM_TRY(number(p, &precision));
		if (take(p, ','))
			TM_TRY(number(p, &scale));
		TM_TRY(expect(p, ')'));
	}
	if (precision > 38)
		return tm_fail_class(p->err, TM_INVALID, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", "22003",
				     "Decimal precision %d exceeds max precision 38.", precision);
	if (scale > precision)
		return tm_fail_class(p->err, TM_INVALID, "DECIMAL_SCALE_EXCEEDS_PRECISION", "22003",
				     "Decimal scale (%d) cannot be greater than precision (%d).", scale, precision);
	*ret = tm_type_decimal(p->arena, precision, scale);
	return TM_OK;
}

static tm_rc text_type(struct parser *p, bool fixed, const struct tm_type **ret)
{
	int n = 0;
	TM_TRY(expect(p, '('));
	TM_TRY(number(p, &n));
	TM_TRY(expect(p, ')'));
	struct tm_type *t = TM_NEW(p->arena, struct tm_type);
	*t = tm_type_string;
	t->length = n;
	t->fixed_length = fixed;
	*ret = t;
	return TM_OK;
}

static tm_rc type(struct parser *p, const struct tm_type **ret)
{
	struct tm_str n;
	if (++p->depth > TM_LIMIT_TYPE_NESTING)
		return tm_fail(p->err, TM_LIMIT, "a type is nested deeper than %d levels", TM_LIMIT_TYPE_NESTING);
	TM_TRY(name(p, &n));
	tm_rc rc = TM_OK;
	if (tm_str_iis(n, "array")) {
		const struct tm_type *e;
		TM_TRY(expect(p, '<'));
		TM_TRY(type(p, &e));
		TM_TRY(expect(p, '>'));
		*ret = tm_type_array(p->arena, e, true);
	} else if (tm_str_iis(n, "map")) {
		const struct tm_type *k, *v;
		TM_TRY(expect(p, '<'));
		TM_TRY(type(p, &k));
		TM_TRY(expect(p, ','));
		TM_TRY(type(p, &v));
		TM_TRY(expect(p, '>'));
		*ret = tm_type_map(p->arena, k, v, true);
	} else if (tm_str_iis(n, "struct")) {
		TM_TRY(expect(p, '<'));
		rc = field_list(p, '>', true, ret);
	} else if (tm_str_iis(n, "decimal") || tm_str_iis(n, "dec") || tm_str_iis(n, "numeric")) {
		rc = decimal_type(p, ret);
	} else if (tm_str_iis(n, "varchar") || tm_str_iis(n, "char") || tm_str_iis(n, "character")) {
		rc = text_type(p, !tm_str_iis(n, "varchar"), ret);
	} else if (tm_str_iis(n, "interval")) {
		rc = interval_type(p, ret);
	} else if (tm_str_iis(n, "time")) {
		int precision = 6;
		if (take(p, '(')) {
			TM_TRY(number(p, &precision));
			TM_TRY(expect(p, ')'));
		}
		if (precision > 6)
			return tm_fail_class(p->err, TM_INVALID, "UNSUPPORTED_TIME_PRECISION", "0A001",
					     "The seconds precision %d of the TIME data type is out of the supported range [0, 6].",
					     precision);
		*ret = tm_type_time(p->arena, precision);
	} else {
		for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
			if (tm_str_iis(n, plain[i].name)) {
				*ret = plain[i].type;
				p->depth--;
				if (plain[i].type == &tm_type_string && keyword(p, "collate"))
					TM_TRY(name(p, &n));
				return TM_OK;
			}
		struct tm_buf upper = {0};
		for (size_t i = 0; i < n.len; i++)
			tm_buf_char(&upper, n.at[i] >= 'a' && n.at[i] <= 'z' ? (char)(n.at[i] - 32) : n.at[i]);
		rc = tm_fail_class(p->err, TM_INVALID, "UNSUPPORTED_DATATYPE", "0A000", "Unsupported data type \"%.*s\".", (int)upper.len,
				   upper.at);
		tm_buf_done(&upper);
		return rc;
	}
	p->depth--;
	return rc;
}

/* ---- JSON ---- only what Spark writes: strings, and objects with "type" */
static tm_rc json_read_string(struct parser *p, struct tm_str *ret)
{
	struct tm_buf b = {0};
	TM_TRY(expect(p, '"'));
	for (; p->at < p->text.len && p->text.at[p->at] != '"'; p->at++) {
		if (p->text.at[p->at] == '\\' && p->at + 1 < p->text.len)
			p->at++;
		tm_buf_char(&b, p->text.at[p->at]);
	}
	*ret = tm_arena_str(p->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return expect(p, '"');
}

static tm_rc json_skip(struct parser *p)
{
	int depth = 0;
	do {
		char c = peek(p);
		if (c == '"') {
			struct tm_str s;
			TM_TRY(json_read_string(p, &s));
			continue;
		}
		if (c == 0)
			return wrong(p);
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return TM_OK;
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		p->at++;
	} while (depth > 0 || (peek(p) != ',' && peek(p) != '}' && peek(p) != ']' && peek(p) != 0));
	return TM_OK;
}

static tm_rc json_type(struct parser *p, const struct tm_type **ret);

static tm_rc json_fields(struct parser *p, const struct tm_type **ret)
{
	struct fields f = {0};
	TM_TRY(expect(p, '['));
	if (!take(p, ']')) {
		do {
			struct tm_str n = TM_STR(""), key;
			const struct tm_type *t = &tm_type_null;
			bool nullable = true;
			TM_TRY(expect(p, '{'));
			do {
				TM_TRY(json_read_string(p, &key));
				TM_TRY(expect(p, ':'));
				if (tm_str_is(key, "name")) {
					TM_TRY(json_read_string(p, &n));
				} else if (tm_str_is(key, "type")) {
					TM_TRY(json_type(p, &t));
				} else if (tm_str_is(key, "nullable")) {
					nullable = !keyword(p, "false");
					if (nullable && !keyword(p, "true"))
						return wrong(p);
				} else {
					TM_TRY(json_skip(p));
				}
			} while (take(p, ','));
			TM_TRY(expect(p, '}'));
			TM_PUSH_IN(p->arena, &f.names, n);
			TM_PUSH_IN(p->arena, &f.types, t);
			TM_PUSH_IN(p->arena, &f.nulls, nullable);
		} while (take(p, ','));
		TM_TRY(expect(p, ']'));
	}
	*ret = tm_type_struct(p->arena, f.names.count, f.names.items, f.types.items, f.nulls.items);
	return TM_OK;
}

static tm_rc json_type(struct parser *p, const struct tm_type **ret)
{
	if (peek(p) == '"') {
		struct tm_str s;
		TM_TRY(json_read_string(p, &s));
		struct parser inner = {.arena = p->arena, .text = s, .depth = p->depth, .err = p->err};
		TM_TRY(type(&inner, ret));
		return peek(&inner) ? wrong(&inner) : TM_OK;
	}
	if (++p->depth > TM_LIMIT_TYPE_NESTING)
		return tm_fail(p->err, TM_LIMIT, "a type is nested deeper than %d levels", TM_LIMIT_TYPE_NESTING);
	const struct tm_type *element = &tm_type_null, *key_type = &tm_type_null, *value = &tm_type_null, *fields = NULL;
	struct tm_str kind = TM_STR(""), key;
	bool nulls = true;
	TM_TRY(expect(p, '{'));
	do {
		TM_TRY(json_read_string(p, &key));
		TM_TRY(expect(p, ':'));
		if (tm_str_is(key, "type"))
			TM_TRY(json_read_string(p, &kind));
		else if (tm_str_is(key, "elementType"))
			TM_TRY(json_type(p, &element));
		else if (tm_str_is(key, "keyType"))
			TM_TRY(json_type(p, &key_type));
		else if (tm_str_is(key, "valueType"))
			TM_TRY(json_type(p, &value));
		else if (tm_str_is(key, "fields"))
			TM_TRY(json_fields(p, &fields));
		else if (tm_str_is(key, "containsNull") || tm_str_is(key, "valueContainsNull"))
			nulls = !keyword(p, "false") && (keyword(p, "true") || true);
		else
			TM_TRY(json_skip(p));
	} while (take(p, ','));
	TM_TRY(expect(p, '}'));
	p->depth--;
	if (tm_str_is(kind, "array"))
		*ret = tm_type_array(p->arena, element, nulls);
	else if (tm_str_is(kind, "map"))
		*ret = tm_type_map(p->arena, key_type, value, nulls);
	else if (tm_str_is(kind, "struct") && fields)
		*ret = fields;
	else
		return tm_fail_class(p->err, TM_INVALID, "UNSUPPORTED_DATATYPE", "0A000", "Unsupported data type \"%.*s\".",
				     TM_STR_ARG(kind));
	return TM_OK;
}

tm_rc tm_type_parse(struct tm_arena *arena, struct tm_str text, const struct tm_type **ret, struct tm_err *err)
{
	struct parser p = {.arena = arena, .text = text, .err = err};
	char first = peek(&p);
	if (first == '{' || first == '"') {
		TM_TRY(json_type(&p, ret));
		return peek(&p) ? wrong(&p) : TM_OK;
	}
	struct tm_err own = {0};
	p.err = &own;
	tm_rc rc = type(&p, ret);
	if (rc == TM_OK && !peek(&p))
		return TM_OK;
	bool whole = rc != TM_OK && !peek(&p); /* one word, or one type with bad parameters: its own error is the right one */
	if (whole) {
		if (err)
			*err = own;
		return rc;
	}
	p = (struct parser){.arena = arena, .text = text, .err = err};
	TM_TRY(field_list(&p, 0, false, ret));
	return peek(&p) ? wrong(&p) : TM_OK;
}
