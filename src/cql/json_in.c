/* INSERT JSON and from_json: JSON text to values by type. A cursor over the text, with a bound on nesting. */
#include <ctype.h>
#include <stdlib.h>
#include "cql/cql_int.h"

struct reader {
	struct tm_arena *arena;
	const char *at, *end;
	int depth;
	struct tm_err *err;
};
enum shape { J_NULL, J_TRUE, J_FALSE, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT, J_BAD };

static void skip_space(struct reader *r)
{
	while (r->at < r->end && isspace((unsigned char)*r->at))
		r->at++;
}

static enum shape peek(struct reader *r)
{
	skip_space(r);
	if (r->at == r->end)
		return J_BAD;
	switch (*r->at) {
	case '{':
		return J_OBJECT;
	case '[':
		return J_ARRAY;
	case '"':
		return J_STRING;
	case 't':
		return J_TRUE;
	case 'f':
		return J_FALSE;
	case 'n':
		return J_NULL;
	default:
		return *r->at == '-' || isdigit((unsigned char)*r->at) ? J_NUMBER : J_BAD;
	}
}

static tm_rc bad_json(struct reader *r, const char *why)
{
	return cql_fail(r->err, CQL_CODE_INVALID, "Could not decode JSON string as a map: %s", why);
}

static bool take(struct reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

static bool take_string(struct reader *r, struct tm_str *ret)
{
	if (!take(r, "\""))
		return false;
	struct tm_buf b = {0};
	bool ok = false;
	while (r->at < r->end) {
		char c = *r->at++;
		if (c == '"') {
			ok = true;
			break;
		}
		if (c != '\\') {
			tm_buf_char(&b, c);
			continue;
		}
		if (r->at == r->end)
			break;
		c = *r->at++;
		const char *from = "bfnrt\"\\/", *to = "\b\f\n\r\t\"\\/", *hit = strchr(from, c);
		if (hit && c) {
			tm_buf_char(&b, to[hit - from]);
			continue;
		}
		if (c != 'u' || r->end - r->at < 4)
			break;
		uint32_t cp = (uint32_t)strtoul(tm_arena_cstr(r->arena, tm_str_n(r->at, 4)), NULL, 16);
		r->at += 4;
		if (cp >= 0xD800 && cp < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
			uint32_t low = (uint32_t)strtoul(tm_arena_cstr(r->arena, tm_str_n(r->at + 2, 4)), NULL, 16);
			cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
			r->at += 6;
		}
		char out[4];
		tm_buf_put(&b, out, tm_utf8_put(cp, out));
	}
	*ret = tm_arena_str(r->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return ok;
}

static struct tm_str take_number(struct reader *r)
{
	const char *from = r->at;
	while (r->at < r->end && (isdigit((unsigned char)*r->at) || strchr("+-.eE", *r->at)))
		r->at++;
	return tm_str_n(from, (size_t)(r->at - from));
}

static bool skip_value(struct reader *r)
{
	struct tm_str s;
	if (++r->depth > TM_LIMIT_CQL_NESTING)
		return false;
	bool ok = true;
	switch (peek(r)) {
	case J_NULL:
		ok = take(r, "null");
		break;
	case J_TRUE:
		ok = take(r, "true");
		break;
	case J_FALSE:
		ok = take(r, "false");
		break;
	case J_NUMBER:
		(void)take_number(r);
		break;
	case J_STRING:
		ok = take_string(r, &s);
		break;
	case J_ARRAY:
	case J_OBJECT: {
		bool object = *r->at == '{';
		r->at++;
		skip_space(r);
		if (take(r, object ? "}" : "]"))
			break;
		for (;;) {
			if (object) {
				skip_space(r);
				if (!take_string(r, &s))
					return false;
				skip_space(r);
				if (!take(r, ":"))
					return false;
			}
			if (!skip_value(r))
				return false;
			skip_space(r);
			if (take(r, ","))
				continue;
			ok = take(r, object ? "}" : "]");
			break;
		}
		break;
	}
	default:
		ok = false;
	}
	r->depth--;
	return ok;
}

static const char *java_shape(enum shape s, struct tm_str number)
{
	switch (s) {
	case J_TRUE:
	case J_FALSE:
		return "Boolean";
	case J_NUMBER:
		return tm_str_find(number, TM_STR("."), 0) != SIZE_MAX || tm_str_find(number, TM_STR("e"), 0) != SIZE_MAX ||
			       tm_str_find(number, TM_STR("E"), 0) != SIZE_MAX
			   ? "Double"
		       : number.len > 9 ? "Long"
					: "Integer";
	case J_ARRAY:
		return "ArrayList";
	case J_OBJECT:
		return "LinkedHashMap";
	default:
		return "String";
	}
}

static const char *expected(const struct tm_cql_type *t)
{
	switch (t->kind) {
	case TM_CQL_INT:
		return "an int value";
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		return "a bigint value";
	case TM_CQL_SMALLINT:
		return "a short value";
	case TM_CQL_TINYINT:
		return "a byte value";
	case TM_CQL_FLOAT:
		return "a float value";
	case TM_CQL_DOUBLE:
		return "a double value";
	case TM_CQL_BOOLEAN:
		return "a boolean value";
	case TM_CQL_VARCHAR:
		return "a UTF-8 string";
	case TM_CQL_ASCII:
		return "an ascii string";
	case TM_CQL_BLOB:
		return "a valid blob representation";
	case TM_CQL_DATE:
		return "a string representation of a date value";
	case TM_CQL_TIME:
		return "a string representation of a time value";
	case TM_CQL_TIMESTAMP:
		return "a long or a datestring representation of a timestamp value";
	case TM_CQL_DURATION:
		return "a string representation of a duration";
	case TM_CQL_INET:
		return "a string representation of an inet value";
	case TM_CQL_UUID:
		return "a string representation of a uuid";
	case TM_CQL_TIMEUUID:
		return "a string representation of a timeuuid";
	default:
		return "a valid value";
	}
}

static tm_rc value(struct reader *r, const struct tm_cql_type *t, struct tm_cql_value *ret);

static tm_rc wrong(struct reader *r, const struct tm_cql_type *t, enum shape s, const char *from)
{
	r->at = from;
	struct tm_str number = s == J_NUMBER ? take_number(r) : (struct tm_str){"", 0};
	r->at = from;
	(void)skip_value(r);
	if (t->kind == TM_CQL_DECIMAL || t->kind == TM_CQL_VARINT)
		return cql_fail(r->err, CQL_CODE_INVALID, "Value '%.*s' is not a valid representation of a %s value", (int)(r->at - from),
				from, tm_type_native_name(t->kind));
	return cql_fail(r->err, CQL_CODE_INVALID, "Expected %s, but got a %s: %.*s", expected(t), java_shape(s, number),
			(int)(r->at - from), from);
}

static tm_rc native(struct reader *r, const struct tm_cql_type *t, struct tm_cql_value *ret)
{
	enum shape s = peek(r);
	const char *from = r->at;
	struct tm_str text = {0};
	bool number = t->kind == TM_CQL_INT || t->kind == TM_CQL_BIGINT || t->kind == TM_CQL_COUNTER || t->kind == TM_CQL_SMALLINT ||
		      t->kind == TM_CQL_TINYINT || t->kind == TM_CQL_VARINT || t->kind == TM_CQL_DECIMAL || t->kind == TM_CQL_FLOAT ||
		      t->kind == TM_CQL_DOUBLE;
	if (s == J_STRING) {
		if (!take_string(r, &text))
			return bad_json(r, "a string does not end");
		if (t->kind == TM_CQL_BLOB) {
			if (!tm_str_starts(text, TM_STR("0x")))
				return cql_fail(r->err, CQL_CODE_INVALID,
						"Value '%.*s' is not a valid blob representation: String representation of blob is missing "
						"0x prefix: %.*s",
						TM_STR_ARG(text), TM_STR_ARG(text));
			text = tm_str_slice(text, 2, text.len);
		}
		if (text.len == 0 && t->kind == TM_CQL_VARINT)
			return cql_fail(r->err, CQL_CODE_INVALID, "Value '' is not a valid representation of a varint value");
		if (text.len == 0 && t->kind == TM_CQL_BOOLEAN) {
			*ret = (struct tm_cql_value){.bytes = {"\0", 1}};
			return TM_OK;
		}
		bool bare = number || t->kind == TM_CQL_TIMESTAMP || t->kind == TM_CQL_UUID || t->kind == TM_CQL_TIMEUUID ||
			    t->kind == TM_CQL_INET || t->kind == TM_CQL_DURATION;
		if (text.len == 0 && bare) { /* an empty text is a value of no bytes */
			*ret = (struct tm_cql_value){.bytes = {"", 0}};
			return TM_OK;
		}
	} else if (s == J_NUMBER && (number || t->kind == TM_CQL_TIMESTAMP)) {
		text = take_number(r);
		bool whole = t->kind != TM_CQL_DECIMAL && t->kind != TM_CQL_FLOAT && t->kind != TM_CQL_DOUBLE;
		int64_t fits;
		if (t->kind == TM_CQL_TIMESTAMP && tm_str_to_i64(text, &fits) && fits == (int32_t)fits)
			return wrong(r, t, s, from); /* Cassandra takes what Java reads as a long only */
		for (size_t i = 0; whole && i < text.len; i++)
			if (!isdigit((unsigned char)text.at[i]) && text.at[i] != '-')
				return wrong(r, t, s, from);
	} else if ((s == J_TRUE || s == J_FALSE) && t->kind == TM_CQL_BOOLEAN) {
		text = s == J_TRUE ? TM_STR("true") : TM_STR("false");
		r->at += text.len;
	} else if (s == J_BAD) {
		return bad_json(r, "a value is missing");
	} else {
		return wrong(r, t, s, from);
	}
	*ret = (struct tm_cql_value){0};
	return cql_from_string(r->arena, t, text, &ret->bytes, r->err);
}

struct items {
	struct tm_str *items;
	size_t count, cap;
};

static tm_rc array(struct reader *r, const struct tm_cql_type *t, struct items *out)
{
	if (peek(r) != J_ARRAY)
		return cql_fail(r->err, CQL_CODE_INVALID, "Expected a %s, but got a %s",
				t->kind == TM_CQL_SET     ? "list (representing a set)"
				: t->kind == TM_CQL_TUPLE ? "list representation of a tuple"
							  : "list",
				java_shape(peek(r), (struct tm_str){"", 0}));
	r->at++;
	skip_space(r);
	if (take(r, "]"))
		return TM_OK;
	for (;;) {
		struct tm_cql_value v;
		if (t->kind == TM_CQL_TUPLE && out->count >= t->arg_count)
			return cql_fail(r->err, CQL_CODE_INVALID, "Tuple contains extra items (expected %zu)", t->arg_count);
		TM_TRY(value(r, t->args[t->kind == TM_CQL_TUPLE ? out->count : 0], &v));
		if (v.null && t->kind != TM_CQL_TUPLE)
			return cql_fail(r->err, CQL_CODE_INVALID, "Invalid null element in %s", t->kind == TM_CQL_SET ? "set" : "list");
		TM_PUSH_IN(r->arena, out, v.null ? (struct tm_str){0} : v.bytes);
		skip_space(r);
		if (take(r, ","))
			continue;
		return take(r, "]") ? TM_OK : bad_json(r, "a list does not end");
	}
}

/* Keys are strings that hold the key's JSON. */
static tm_rc key_value(struct reader *r, const struct tm_cql_type *t, struct tm_str text, struct tm_cql_value *ret)
{
	if (tm_type_is_text(t) || (t->arg_count == 0 && t->kind != TM_CQL_BOOLEAN)) {
		struct tm_str s = text;
		if (t->kind == TM_CQL_BLOB) {
			if (!tm_str_starts(s, TM_STR("0x")))
				return cql_fail(r->err, CQL_CODE_INVALID, "String representation of blob is missing 0x prefix: %.*s",
						TM_STR_ARG(s));
			s = tm_str_slice(s, 2, s.len);
		}
		*ret = (struct tm_cql_value){0};
		return cql_from_string(r->arena, t, s, &ret->bytes, r->err);
	}
	struct reader inner = {.arena = r->arena, .at = text.at, .end = text.at + text.len, .depth = r->depth, .err = r->err};
	return value(&inner, t, ret);
}

static tm_rc object(struct reader *r, const struct tm_cql_type *t, struct items *out)
{
	if (peek(r) != J_OBJECT)
		return cql_fail(r->err, CQL_CODE_INVALID, "Expected a map, but got a %s", java_shape(peek(r), (struct tm_str){"", 0}));
	r->at++;
	skip_space(r);
	if (take(r, "}"))
		return TM_OK;
	for (;;) {
		struct tm_str key;
		struct tm_cql_value k = {0}, v;
		skip_space(r);
		if (!take_string(r, &key))
			return bad_json(r, "a key is no string");
		skip_space(r);
		if (!take(r, ":"))
			return bad_json(r, "a colon is missing");
		if (t->kind == TM_CQL_UDT) {
			size_t f = 0;
			struct tm_str name = key;
			bool quoted = key.len >= 2 && key.at[0] == '"' && key.at[key.len - 1] == '"';
			if (quoted)
				name = tm_str_slice(key, 1, key.len - 1);
			while (f < t->arg_count && !(quoted ? tm_str_eq(t->field_names[f], name) : tm_str_ieq(t->field_names[f], name)))
				f++;
			if (f == t->arg_count)
				return cql_fail(r->err, CQL_CODE_INVALID, "Unknown field in value of user defined type %.*s: %.*s",
						TM_STR_ARG(t->name), TM_STR_ARG(key));
			TM_TRY(value(r, t->args[f], &v));
			out->items[f] = v.null ? (struct tm_str){0} : v.bytes;
		} else {
			TM_TRY(key_value(r, t->args[0], key, &k));
			TM_TRY(value(r, t->args[1], &v));
			if (v.null)
				return cql_fail(r->err, CQL_CODE_INVALID, "Invalid null value in map");
			TM_PUSH_IN(r->arena, out, k.bytes);
			TM_PUSH_IN(r->arena, out, v.bytes);
		}
		skip_space(r);
		if (take(r, ","))
			continue;
		return take(r, "}") ? TM_OK : bad_json(r, "a map does not end");
	}
}

static struct tm_str joined(struct tm_arena *arena, const struct tm_cql_type *t, const struct items *x)
{
	struct tm_buf b = {0};
	for (size_t i = 0; i < x->count; i++) {
		if (t->kind == TM_CQL_VECTOR) {
			if (tm_type_fixed_length(t->args[0]) == 0)
				tm_value_vint_put(&b, x->items[i].len);
		} else {
			tm_buf_be32(&b, x->items[i].at ? (uint32_t)x->items[i].len : UINT32_MAX);
		}
		tm_buf_str_put(&b, x->items[i]);
	}
	struct tm_str s = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

static tm_rc value(struct reader *r, const struct tm_cql_type *t, struct tm_cql_value *ret)
{
	struct items list = {0};
	if (++r->depth > TM_LIMIT_CQL_NESTING)
		return cql_fail(r->err, CQL_CODE_INVALID, "JSON is nested deeper than %d", TM_LIMIT_CQL_NESTING);
	*ret = (struct tm_cql_value){0};
	if (peek(r) == J_NULL && take(r, "null")) {
		ret->null = true;
		r->depth--;
		return TM_OK;
	}
	/* A container may come as a string that holds its JSON. */
	if (t->arg_count && peek(r) == J_STRING) {
		struct tm_str text;
		if (!take_string(r, &text))
			return bad_json(r, "a string does not end");
		struct reader inner = {.arena = r->arena, .at = text.at, .end = text.at + text.len, .depth = r->depth, .err = r->err};
		r->depth--;
		return value(&inner, t, ret);
	}
	tm_rc rc = TM_OK;
	switch (t->kind) {
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_VECTOR:
	case TM_CQL_TUPLE:
		rc = array(r, t, &list);
		if (rc == TM_OK && t->kind == TM_CQL_TUPLE && list.count < t->arg_count)
			rc = cql_fail(r->err, CQL_CODE_INVALID, "Tuple is missing items (expected %zu, got %zu)", t->arg_count, list.count);
		if (rc == TM_OK && t->kind == TM_CQL_VECTOR && list.count != t->dimension)
			rc = cql_fail(r->err, CQL_CODE_INVALID, "Unable to parse a vector of %zu elements from %zu", t->dimension,
				      list.count);
		if (rc == TM_OK)
			ret->bytes = t->kind == TM_CQL_LIST || t->kind == TM_CQL_SET ? cql_pack_items(r->arena, t, list.items, list.count)
										     : joined(r->arena, t, &list);
		break;
	case TM_CQL_MAP:
		rc = object(r, t, &list);
		if (rc == TM_OK)
			ret->bytes = cql_pack_items(r->arena, t, list.items, list.count);
		break;
	case TM_CQL_UDT:
		list.items = TM_NEW_N(r->arena, struct tm_str, t->arg_count + 1);
		list.count = t->arg_count;
		rc = object(r, t, &list);
		if (rc == TM_OK)
			ret->bytes = joined(r->arena, t, &list);
		break;
	default:
		rc = native(r, t, ret);
	}
	r->depth--;
	return rc;
}

tm_rc cql_json_value(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str text, struct tm_cql_value *ret,
		     struct tm_err *err)
{
	struct reader r = {.arena = arena, .at = text.at, .end = text.at + text.len, .err = err};
	TM_TRY(value(&r, tm_type_reversed(type, false), ret));
	skip_space(&r);
	return r.at == r.end ? TM_OK : bad_json(&r, "text follows the value");
}

tm_rc cql_json_row(struct cql_eval *ev, const struct tm_table_def *def, struct tm_str text, struct tm_cql_value *values, bool *present,
		   struct tm_err *err)
{
	struct reader r = {.arena = ev->arena, .at = text.at, .end = text.at + text.len, .err = err};
	if (peek(&r) == J_NULL)
		return cql_fail(err, CQL_CODE_INVALID, "Got null for INSERT JSON values");
	if (peek(&r) != J_OBJECT)
		return cql_fail(err, CQL_CODE_INVALID,
				"Could not decode JSON string as a map: it does not begin with {. (String was: %.*s)", TM_STR_ARG(text));
	struct reader whole = r;
	if (!skip_value(&whole))
		return cql_fail(err, CQL_CODE_INVALID, "Could not decode JSON string as a map: the text is no JSON. (String was: %.*s)",
				TM_STR_ARG(text));
	skip_space(&whole);
	r.at++;
	skip_space(&r);
	bool more = !take(&r, "}");
	while (more) {
		struct tm_str key;
		skip_space(&r);
		if (!take_string(&r, &key))
			return bad_json(&r, "a key is no string");
		skip_space(&r);
		if (!take(&r, ":"))
			return bad_json(&r, "a colon is missing");
		bool quoted = key.len >= 2 && key.at[0] == '"' && key.at[key.len - 1] == '"';
		struct tm_str name = quoted ? tm_str_slice(key, 1, key.len - 1) : key;
		size_t c = 0;
		if (!quoted) {
			char *lower = tm_arena_cstr(ev->arena, name);
			for (size_t i = 0; i < name.len; i++)
				lower[i] = (char)tolower((unsigned char)lower[i]);
			name = tm_str_n(lower, name.len);
		}
		while (c < def->column_count && !tm_str_eq(def->columns[c].name, name))
			c++;
		if (c == def->column_count)
			return cql_fail(err, CQL_CODE_INVALID, "JSON values map contains unrecognized column: %.*s", TM_STR_ARG(name));
		tm_rc rc = value(&r, tm_type_reversed(def->columns[c].type, false), &values[c]);
		if (rc != TM_OK) {
			tm_err_prefix(err, "Error decoding JSON value for %.*s: ", TM_STR_ARG(def->columns[c].name));
			return rc;
		}
		present[c] = true;
		skip_space(&r);
		more = take(&r, ",");
		if (!more && !take(&r, "}"))
			return bad_json(&r, "the map does not end");
	}
	return TM_OK;
}
