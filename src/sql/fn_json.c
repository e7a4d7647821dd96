/* from_json, to_json, get_json_object and the like. */
#include "sql/json_text.h"
#include "sql/value_text.h"
#include "column/json.h"
#include <openssl/evp.h>
#include <math.h>

/* ---- from_json ---- */
struct from_json {
	struct tm_json_decoder *decoder;
	struct tm_json_options options;
	const struct tm_session *session;
	const struct tm_sql_zone *zone;
	struct tm_pattern *date, *timestamp, *timestamp_ntz;
	bool comments;
};

static bool parse_date(const void *ctx, struct tm_str s, int32_t *ret)
{
	const struct from_json *f = ctx;
	const struct tm_sql_zone *zone;
	int64_t us;
	int64_t days;
	if (!f->date && tm_date_parse(s, ret))
		return true;
	if (!f->date) { /* as the parser of old: the number of a day */
		if (!tm_str_to_i64(s, &days) || days != (int32_t)days)
			return false;
		*ret = (int32_t)days;
		return true;
	}
	if (!tm_pattern_parse(f->date, s, &us, &zone, NULL))
		return false;
	*ret = (int32_t)tm_micros_to_days(us);
	return true;
}
static bool parse_timestamp(const void *ctx, struct tm_str s, int64_t *ret)
{
	const struct from_json *f = ctx;
	const struct tm_sql_zone *zone;
	if (!f->timestamp)
		return tm_timestamp_parse(s, f->zone, f->session->now_us, ret);
	if (!tm_pattern_parse(f->timestamp, s, ret, &zone, NULL))
		return false;
	*ret = tm_sql_zone_to_utc(zone ? zone : f->zone, *ret);
	return true;
}
static bool parse_timestamp_ntz(const void *ctx, struct tm_str s, int64_t *ret)
{
	const struct from_json *f = ctx;
	const struct tm_sql_zone *zone;
	return f->timestamp_ntz ? tm_pattern_parse(f->timestamp_ntz, s, ret, &zone, NULL) : tm_timestamp_ntz_parse(s, false, ret);
}

/* What a STRING field gets of a value that is no string: Jackson's normal form. Most values are in it already. */
static bool normalise(const void *ctx, struct tm_arena *arena, struct tm_str raw, struct tm_str *ret)
{
	(void)ctx;
	bool plain = true;
	for (size_t i = 0; i < raw.len && plain; i++)
		plain = (unsigned char)raw.at[i] > ' ' && raw.at[i] != '.' && raw.at[i] != 'e' && raw.at[i] != 'E' && raw.at[i] != '\\' &&
			raw.at[i] != '\'' && raw.at[i] != '-';
	if (plain || tm_str_is(raw, "true") || tm_str_is(raw, "false") || tm_str_is(raw, "null")) {
		*ret = raw;
		return true;
	}
	struct json_reader r = json_reader_of(raw);
	struct tm_buf out = {0};
	bool ok = json_value(&r, &out, (int)TM_LIMIT_JSON_NESTING);
	*ret = ok ? tm_arena_str(arena, tm_buf_str(&out)) : raw;
	tm_buf_done(&out);
	return true;
}

static bool option_is(const struct tm_fn_bind *b, size_t arg, const char *name, const char *value)
{
	struct tm_str v;
	return fn_option(b, arg, name, &v) && tm_str_iis(v, value);
}

/* Everything inside may be null, whatever the schema says. */
static const struct tm_type *all_nullable(struct tm_arena *arena, const struct tm_type *t)
{
	if (!t->child_count)
		return t;
	const struct tm_type **children = TM_NEW_N(arena, const struct tm_type *, t->child_count);
	for (size_t i = 0; i < t->child_count; i++)
		children[i] = all_nullable(arena, t->children[i]);
	if (t->kind == TM_T_ARRAY)
		return tm_type_array(arena, children[0], true);
	if (t->kind == TM_T_MAP)
		return tm_type_map(arena, children[0], children[1], true);
	return tm_type_struct(arena, t->child_count, t->names, children, NULL);
}

static tm_rc want_schema(struct tm_fn_bind *b, size_t arg, const struct tm_type **ret, struct tm_err *err)
{
	struct tm_str schema;
	if (!fn_literal_str(b, arg, &schema))
		return tm_fail_class(
		    err, TM_INVALID, "INVALID_SCHEMA.NON_STRING_LITERAL", "42K07",
		    "The input schema \"%.*s\" is not a valid schema string. The input expression must be string literal and not null.",
		    TM_STR_ARG(b->args[arg].expr->text));
	TM_TRY(tm_type_parse(b->arena, schema, ret, err));
	*ret = all_nullable(b->arena, *ret);
	return TM_OK;
}

/* Java comments become blanks. */
static struct tm_str without_comments(struct tm_eval *ev, struct tm_str s)
{
	char *out = tm_arena_alloc(ev->arena, s.len + 1), quote = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = out[i] = s.at[i];
		if (quote) {
			if (c == '\\' && i + 1 < s.len) {
				out[i + 1] = s.at[i + 1];
				i++;
			} else if (c == quote) {
				quote = 0;
			}
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '/' && i + 1 < s.len && (s.at[i + 1] == '/' || s.at[i + 1] == '*')) {
			size_t end = s.at[i + 1] == '/' ? tm_str_find(s, TM_STR("\n"), i) : tm_str_find(s, TM_STR("*/"), i + 2);
			end = end == SIZE_MAX ? s.len : s.at[i + 1] == '/' ? end : end + 2;
			memset(out + i, ' ', end - i);
			i = end - 1;
		}
	}
	return tm_str_n(out, s.len);
}

KERNEL(from_json)
{
	const struct from_json *f = call->bound;
	struct tm_column texts = args[0];
	tm_column_flatten(&texts, ev->arena);
	if (f->comments) {
		struct tm_str *own = tm_arena_alloc(ev->arena, (texts.rows + 1) * sizeof *own);
		for (size_t i = 0; i < texts.rows; i++)
			own[i] = tm_is_null(&texts, i) ? (struct tm_str){0} : without_comments(ev, texts.str[i]);
		texts.str = own;
	}
	uint8_t *corrupt = ev->corrupt ? tm_arena_alloc(ev->arena, ev->rows + 1) : NULL;
	TM_TRY(tm_json_decode(f->decoder, ev->arena, &texts, ret, corrupt, ev->err));
	for (size_t i = 0; corrupt && i < ev->rows; i++)
		ev->corrupt[i] |= corrupt[i];
	return TM_OK;
}
BIND(from_json)
{
	const struct tm_type *t;
	struct tm_str v;
	struct from_json *f = TM_NEW(b->arena, struct from_json);
	TM_TRY(want_schema(b, 1, &t, err));
	if (t->kind != TM_T_STRUCT && t->kind != TM_T_ARRAY && t->kind != TM_T_MAP && t->kind != TM_T_VARIANT)
		return tm_fail_class(err, TM_INVALID, "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA", "42K09",
				     "Cannot resolve \"from_json(%.*s)\" due to data type mismatch: Input schema \"%.*s\" must be a "
				     "struct, an array, a map or a variant.",
				     TM_STR_ARG(b->args[0].expr->text), TM_STR_ARG(fn_type_sql(b->arena, t)));
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	if (fn_option(b, 2, "mode", &v) && !tm_str_iis(v, "FAILFAST") && !tm_str_iis(v, "PERMISSIVE"))
		return tm_fail_class(
		    err, TM_INVALID, "PARSE_MODE_UNSUPPORTED", "42601",
		    "The function `from_json` doesn't support the \"%.*s\" mode. Acceptable modes are PERMISSIVE and FAILFAST.",
		    TM_STR_ARG(v));
	f->comments = option_is(b, 2, "allowComments", "true");
	f->session = b->session;
	f->zone = fn_zone(b->session);
	if (fn_option(b, 2, "timeZone", &v) && tm_sql_zone_find(v))
		f->zone = tm_sql_zone_find(v);
	if (fn_option(b, 2, "dateFormat", &v))
		TM_TRY(tm_pattern_new(b->arena, v, true, &f->date, err));
	if (fn_option(b, 2, "timestampFormat", &v))
		TM_TRY(tm_pattern_new(b->arena, v, true, &f->timestamp, err));
	if (fn_option(b, 2, "timestampNTZFormat", &v))
		TM_TRY(tm_pattern_new(b->arena, v, true, &f->timestamp_ntz, err));
	f->options =
	    (struct tm_json_options){.parse_date = parse_date,
				     .parse_timestamp = parse_timestamp,
				     .parse_timestamp_ntz = parse_timestamp_ntz,
				     .normalise = normalise,
				     .ctx = f,
				     .allow_unquoted_names = option_is(b, 2, "allowUnquotedFieldNames", "true"),
				     .allow_single_quotes_off = option_is(b, 2, "allowSingleQuotes", "false"),
				     .allow_leading_zeros = option_is(b, 2, "allowNumericLeadingZeros", "true"),
				     .allow_backslash_any = option_is(b, 2, "allowBackslashEscapingAnyCharacter", "true"),
				     .allow_control_chars = option_is(b, 2, "allowUnquotedControlChars", "true"),
				     .allow_nan_off = option_is(b, 2, "allowNonNumericNumbers", "false"),
				     .primitives_as_string = option_is(b, 2, "primitivesAsString", "true"),
				     .prefer_decimal = option_is(b, 2, "prefersDecimal", "true"),
				     .fail_fast = option_is(b, 2, "mode", "FAILFAST"),
				     .corrupt_field = fn_option(b, 2, "columnNameOfCorruptRecord", &v) ? v : TM_STR("_corrupt_record")};
	f->decoder = tm_json_decoder_new(b->arena, t, &f->options);
	b->bound = f;
	return fn_is(b, &tm_k_from_json, t, true);
}

/* ---- to_json ---- */
struct to_json {
	bool keep_nulls, sort_keys;
	struct tm_pattern *date, *timestamp, *timestamp_ntz;
};

static void base64(struct tm_str s, struct tm_buf *out)
{
	size_t n = (s.len + 2) / 3 * 4;
	char *at = tm_buf_reserve(out, n + 1);
	out->len += (size_t)EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)s.at, (int)s.len);
}

static void write_json(const struct to_json *o, const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out);

static void write_quoted(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	struct tm_buf text = {0};
	fn_value_text(zone, c, row, &text);
	json_quote(tm_buf_str(&text), out);
	tm_buf_done(&text);
}

static void write_time(const struct to_json *o, const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	enum tm_type_kind k = c->type->kind;
	const struct tm_pattern *p = k == TM_T_DATE ? o->date : k == TM_T_TIMESTAMP ? o->timestamp : o->timestamp_ntz;
	tm_buf_char(out, '"');
	if (!p)
		fn_value_text(zone, c, row, out);
	else if (k == TM_T_DATE)
		tm_pattern_format_date(p, zone, c->i32[row], out);
	else
		tm_pattern_format(p, zone, c->i64[row], k != TM_T_TIMESTAMP, out);
	tm_buf_char(out, '"');
}

static void write_map(const struct to_json *o, const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	struct tm_span s = c->span[row];
	struct {
		uint32_t *items;
		size_t count, cap;
	} order = {0};
	for (uint32_t i = 0; i < s.count; i++)
		TM_PUSH(&order, s.from + i);
	for (size_t i = 1; o->sort_keys && i < order.count; i++)
		for (size_t j = i; j > 0 && tm_value_cmp(&c->children[0], order.items[j], &c->children[0], order.items[j - 1]) < 0; j--) {
			uint32_t t = order.items[j];
			order.items[j] = order.items[j - 1];
			order.items[j - 1] = t;
		}
	tm_buf_char(out, '{');
	for (size_t i = 0; i < order.count && out->len <= TM_LIMIT_VALUES_BYTES; i++) {
		if (i)
			tm_buf_char(out, ',');
		write_quoted(zone, &c->children[0], order.items[i], out);
		tm_buf_char(out, ':');
		write_json(o, zone, &c->children[1], order.items[i], out);
	}
	tm_buf_char(out, '}');
	free(order.items);
}

static void write_json(const struct to_json *o, const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	if (tm_is_null(c, row)) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
	case TM_T_DECIMAL:
	case TM_T_VARIANT:
		fn_value_text(zone, c, row, out);
		break;
	case TM_T_FLOAT:
	case TM_T_DOUBLE:
		if (isfinite(c->type->kind == TM_T_FLOAT ? (double)c->f32[row] : c->f64[row]))
			fn_value_text(zone, c, row, out);
		else
			write_quoted(zone, c, row, out);
		break;
	case TM_T_BINARY:
		tm_buf_char(out, '"');
		base64(c->str[row], out);
		tm_buf_char(out, '"');
		break;
	case TM_T_DATE:
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
		write_time(o, zone, c, row, out);
		break;
	case TM_T_ARRAY: {
		struct tm_span s = c->span[row];
		tm_buf_char(out, '[');
		for (uint32_t i = 0; i < s.count && out->len <= TM_LIMIT_VALUES_BYTES; i++) {
			if (i)
				tm_buf_char(out, ',');
			write_json(o, zone, &c->children[0], s.from + i, out);
		}
		tm_buf_char(out, ']');
		break;
	}
	case TM_T_MAP:
		write_map(o, zone, c, row, out);
		break;
	case TM_T_STRUCT: {
		bool first = true;
		tm_buf_char(out, '{');
		for (size_t i = 0; i < c->type->child_count; i++) {
			if (tm_is_null(&c->children[i], row) && !o->keep_nulls)
				continue;
			if (!first)
				tm_buf_char(out, ',');
			first = false;
			json_quote(c->type->names[i], out);
			tm_buf_char(out, ':');
			write_json(o, zone, &c->children[i], row, out);
		}
		tm_buf_char(out, '}');
		break;
	}
	default:
		write_quoted(zone, c, row, out);
	}
}

void fn_json_text(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	static const struct to_json plain = {.keep_nulls = true};
	write_json(&plain, fn_zone(session), c, row, out);
}

KERNEL(to_json)
{
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		if (tm_is_null(&args[0], i)) {
			fn_null(ev, ret, i);
			continue;
		}
		write_json(call->bound, zone, &args[0], i, &b);
		if ((rc = fn_text_limit(ev, &b)) != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
BIND(to_json)
{
	const struct tm_type *t = b->args[0].type;
	struct tm_str v;
	if (t->kind != TM_T_STRUCT && t->kind != TM_T_ARRAY && t->kind != TM_T_MAP && t->kind != TM_T_VARIANT)
		return fn_mismatch(b, err, "INVALID_JSON_SCHEMA", "Input schema \"%.*s\" must be a struct, an array, a map or a variant.",
				   TM_STR_ARG(fn_type_sql(b->arena, t)));
	struct to_json *o = TM_NEW(b->arena, struct to_json);
	o->keep_nulls = option_is(b, 1, "ignoreNullFields", "false");
	o->sort_keys = option_is(b, 1, "sortKeys", "true");
	if (fn_option(b, 1, "dateFormat", &v))
		TM_TRY(tm_pattern_new(b->arena, v, false, &o->date, err));
	TM_TRY(tm_pattern_new(b->arena, fn_option(b, 1, "timestampFormat", &v) ? v : TM_STR("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"), false,
			      &o->timestamp, err));
	TM_TRY(tm_pattern_new(b->arena, fn_option(b, 1, "timestampNTZFormat", &v) ? v : TM_STR("yyyy-MM-dd'T'HH:mm:ss.SSS"), false,
			      &o->timestamp_ntz, err));
	b->bound = o;
	return fn_is(b, &tm_k_to_json, &tm_type_string, fn_any_nullable(b));
}

/* ---- paths ---- */
KERNEL(get_json_object)
{
	struct tm_str last = {0};
	struct json_path path = {0};
	bool path_ok = false;
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str text = STR_AT(1, i);
		if (!last.at || !tm_str_eq(last, text)) {
			path_ok = json_path_parse(ev->arena, text, &path);
			last = text;
		}
		b.len = 0;
		if (path_ok && json_get(STR_AT(0, i), &path, &b))
			ret->str[i] = fn_buf(ev, &b);
		else
			fn_null(ev, ret, i);
	}
	tm_buf_done(&b);
	return TM_OK;
}
/* variant of both: the elements or the keys at the top level */
static bool top_level(struct tm_str text, bool object, int32_t *ret_count, struct tm_buf *keys, struct fn_index *ends, struct tm_eval *ev)
{
	struct json_reader r = json_reader_of(text);
	char close = object ? '}' : ']';
	int32_t n = 0;
	if (json_peek(&r) != (object ? '{' : '['))
		return false;
	r.at++;
	if (json_peek(&r) == close) {
		*ret_count = 0;
		r.at++;
		return true;
	}
	for (;;) {
		if (object) {
			if (!json_read_string(&r, keys) || json_peek(&r) != ':')
				return false;
			fn_index_add(ev, ends, (uint32_t)keys->len);
			r.at++;
		}
		if (!json_value(&r, NULL, (int)TM_LIMIT_JSON_NESTING))
			return false;
		n++;
		char c = json_peek(&r);
		if (c != ',' && c != close)
			return false;
		r.at++;
		if (c == close)
			break;
	}
	*ret_count = n;
	return true;
}
KERNEL(json_array_length)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) if (!top_level(STR_AT(0, i), false, &ret->i32[i], NULL, NULL, ev)) fn_null(ev, ret, i);
	return TM_OK;
}
KERNEL(json_object_keys)
{
	struct tm_buf keys = {0};
	struct fn_strings all = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct fn_index ends = {0};
		int32_t n;
		keys.len = 0;
		ret->span[i].from = (uint32_t)all.count;
		if (!top_level(STR_AT(0, i), true, &n, &keys, &ends, ev)) {
			fn_null(ev, ret, i);
			continue;
		}
		struct tm_str text = fn_copy(ev, keys.at, keys.len);
		for (size_t j = 0; j < ends.count; j++) {
			uint32_t from = j ? ends.items[j - 1] : 0;
			TM_PUSH_IN(ev->arena, &all, tm_str_slice(text, from, ends.items[j]));
		}
		ret->span[i].count = (uint32_t)ends.count;
	}
	fn_strings_set(ev, ret, &all);
	tm_buf_done(&keys);
	return TM_OK;
}

/* ---- schema_of_json ---- */
static const struct tm_type *merge(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b)
{
	if (a->kind == TM_T_NULL || b->kind == TM_T_NULL)
		return a->kind == TM_T_NULL ? b : a;
	if (a->kind == b->kind && a->kind == TM_T_ARRAY)
		return tm_type_array(arena, merge(arena, a->children[0], b->children[0]), true);
	if (a->kind == b->kind && a->kind == TM_T_STRUCT) {
		struct fn_strings names = {0};
		struct {
			const struct tm_type **items;
			size_t count, cap;
		} types = {0};
		for (size_t i = 0, j = 0; i < a->child_count || j < b->child_count;) { /* both sorted by name */
			int c = i >= a->child_count ? 1 : j >= b->child_count ? -1 : tm_str_cmp(a->names[i], b->names[j]);
			TM_PUSH_IN(arena, &names, c <= 0 ? a->names[i] : b->names[j]);
			TM_PUSH_IN(arena, &types,
				   c == 0  ? merge(arena, a->children[i], b->children[j])
				   : c < 0 ? a->children[i]
					   : b->children[j]);
			i += c <= 0;
			j += c >= 0;
		}
		return tm_type_struct(arena, names.count, names.items, types.items, NULL);
	}
	if (tm_type_numeric(a) && tm_type_numeric(b))
		return a->kind == b->kind ? a : &tm_type_double;
	return tm_type_eq(a, b) ? a : &tm_type_string;
}

static bool infer(struct tm_arena *arena, struct json_reader *r, int depth, const struct tm_type **ret)
{
	char c = json_peek(r);
	if (depth <= 0)
		return false;
	if (c != '{' && c != '[') {
		const char *from = r->at;
		if (!json_value(r, NULL, depth))
			return false;
		struct tm_str s = tm_str_n(from, (size_t)(r->at - from));
		bool fraction = memchr(s.at, '.', s.len) || memchr(s.at, 'e', s.len) || memchr(s.at, 'E', s.len);
		int64_t v;
		*ret = c == '"' || c == '\''  ? &tm_type_string
		       : c == 'n'             ? &tm_type_null
		       : c == 't' || c == 'f' ? &tm_type_boolean
		       : fraction             ? &tm_type_double
		       : tm_str_to_i64(s, &v) ? &tm_type_bigint
		       : s.len <= 38          ? tm_type_decimal(arena, (int)s.len - (s.at[0] == '-'), 0)
					      : &tm_type_double;
		return true;
	}
	char close = c == '{' ? '}' : ']';
	const struct tm_type *t = c == '[' ? &tm_type_null : tm_type_struct(arena, 0, NULL, NULL, NULL);
	r->at++;
	if (json_peek(r) == close) {
		r->at++;
	} else {
		for (;;) {
			struct tm_str name = {0};
			const struct tm_type *e;
			if (c == '{') {
				struct tm_buf key = {0};
				bool ok = json_read_string(r, &key) && json_peek(r) == ':';
				name = tm_arena_str(arena, tm_buf_str(&key));
				tm_buf_done(&key);
				if (!ok)
					return false;
				r->at++;
			}
			if (!infer(arena, r, depth - 1, &e))
				return false;
			t = merge(arena, t, c == '{' ? tm_type_struct(arena, 1, &name, &e, NULL) : e);
			char next = json_peek(r);
			if (next != ',' && next != close)
				return false;
			r->at++;
			if (next == close)
				break;
		}
	}
	*ret = c == '{' ? t : tm_type_array(arena, t, true);
	return true;
}
/* What stayed unknown is a string. */
static const struct tm_type *settle(struct tm_arena *arena, const struct tm_type *t)
{
	if (t->kind == TM_T_NULL)
		return &tm_type_string;
	if (t->kind == TM_T_ARRAY)
		return tm_type_array(arena, settle(arena, t->children[0]), true);
	if (t->kind != TM_T_STRUCT)
		return t;
	const struct tm_type **types = TM_NEW_N(arena, const struct tm_type *, t->child_count + 1);
	for (size_t i = 0; i < t->child_count; i++)
		types[i] = settle(arena, t->children[i]);
	return tm_type_struct(arena, t->child_count, t->names, types, NULL);
}
/* Widens *io by one more text (start with the null type); false when it is no JSON. tm_json_settle ends it: what was always null is STRING.
 */
bool tm_json_widen(struct tm_arena *arena, struct tm_str text, const struct tm_type **io)
{
	struct json_reader r = json_reader_of(text);
	const struct tm_type *t;
	if (!infer(arena, &r, (int)TM_LIMIT_JSON_NESTING, &t))
		return false;
	*io = (*io)->kind == TM_T_NULL ? t : merge(arena, *io, t);
	return true;
}
const struct tm_type *tm_json_settle(struct tm_arena *arena, const struct tm_type *t) { return settle(arena, t); }

BIND(schema_of_json)
{
	struct tm_str s;
	const struct tm_type *t;
	if (!fn_literal_str(b, 0, &s))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"json\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[0].expr->text));
	struct json_reader r = json_reader_of(s);
	if (!infer(b->arena, &r, (int)TM_LIMIT_JSON_NESTING, &t))
		t = &tm_type_string;
	b->replacement = fn_make_literal_str(b->arena, fn_type_sql(b->arena, settle(b->arena, t)));
	return TM_OK;
}
