/* VARIANT: JSON text in its normal form (keys sorted, decimals exact). */
#include "sql/json_text.h"
#include "column/json.h"

static bool normal(struct tm_str s, struct tm_buf *out)
{
	struct json_reader r = json_reader_of(s);
	r.variant = r.strict = true;
	return json_whole(&r, out);
}
KERNEL(parse_json) /* bound: not NULL for try_ */
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		if (ret->valid && !ret->valid[i])
			continue;
		b.len = 0;
		if (normal(STR_AT(0, i), &b))
			ret->str[i] = fn_buf(ev, &b);
		else if (call->bound)
			fn_null(ev, ret, i);
		else
			rc = tm_fail_class(ev->err, TM_DATA, "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "22023",
					   "Malformed records are detected in record parsing: %.*s. Parse Mode: FAILFAST. To process "
					   "malformed records as null result, try setting the option 'mode' as "
					   "'PERMISSIVE'.",
					   TM_STR_ARG(STR_AT(0, i)));
	}
	tm_buf_done(&b);
	return rc;
}
BIND(parse_json) { return fn_bind_try(b, &tm_k_parse_json, &tm_type_variant, err); }
KERNEL(is_variant_null)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] = !tm_is_null(&args[0], i) && tm_str_is(STR_AT(0, i), "null");
	return TM_OK;
}
static tm_rc want_variant(struct tm_fn_bind *b, size_t i, struct tm_err *err)
{
	enum tm_type_kind k = b->args[i].type->kind;
	if (k == TM_T_NULL)
		return fn_want(b, i, &tm_type_variant, err);
	return k == TM_T_VARIANT ? TM_OK : fn_unexpected_type(b, i, "VARIANT", err);
}
BIND(is_variant_null)
{
	TM_TRY(want_variant(b, 0, err));
	return fn_is(b, &tm_k_is_variant_null, &tm_type_boolean, false);
}

/* ---- values of variants ---- */
/* JSON texts (null where there is none) as a type: scalars by way of casts of their text, nested ones by the decoder. What does
 * not fit is an error that names the value, or null. */
static tm_rc bad_cast(struct tm_eval *ev, struct tm_str v, const struct tm_type *to)
{
	struct tm_str t = fn_type_sql(ev->arena, to);
	return tm_fail_class(ev->err, TM_DATA, "INVALID_VARIANT_CAST", "22023",
			     "The variant value `%.*s` cannot be cast into `\"%.*s\"`. Please use `try_variant_get` instead.",
			     TM_STR_ARG(v), TM_STR_ARG(t));
}
/* Does the kind of JSON value go with the type at all? */
static bool kind_fits(char c, const struct tm_type *to)
{
	if (c == '{' || c == '[')
		return to->kind == TM_T_STRING;
	if (c == 't' || c == 'f')
		return to->kind == TM_T_BOOLEAN || tm_type_numeric(to) || to->kind == TM_T_STRING;
	return true;
}
static tm_rc scalar_of(struct tm_eval *ev, struct tm_column *texts, const struct tm_type *to, bool strict, struct tm_column *ret)
{
	struct tm_column plain;
	struct tm_buf b = {0};
	const struct cast_plan *plan = cast_plan_new(ev->arena, &tm_type_string, to, TM_CAST_TRY);
	tm_column_init(&plain, ev->arena, &tm_type_string, texts->rows);
	for (size_t i = 0; i < texts->rows; i++) {
		struct tm_str s = tm_is_null(texts, i) ? TM_STR("null") : texts->str[i];
		if (tm_str_is(s, "null") || (s.len && !kind_fits(s.at[0], to))) {
			if (strict && !tm_str_is(s, "null"))
				return bad_cast(ev, s, to);
			fn_null(ev, &plain, i);
			continue;
		}
		struct json_reader r = json_reader_of(s);
		b.len = 0;
		if (s.at[0] == '"' && json_read_string(&r, &b))
			plain.str[i] = fn_buf(ev, &b);
		else if ((s.at[0] == 't' || s.at[0] == 'f') && tm_type_numeric(to))
			plain.str[i] = s.at[0] == 't' ? TM_STR("1") : TM_STR("0");
		else if (tm_type_integral(to) && memchr(s.at, '.', s.len))
			plain.str[i] = tm_str_slice(s, 0, (size_t)((const char *)memchr(s.at, '.', s.len) - s.at));
		else
			plain.str[i] = s;
	}
	tm_buf_done(&b);
	if (!plan)
		return tm_fail(ev->err, TM_UNSUPPORTED, "a variant cannot be cast to this type");
	TM_TRY(plan->run(ev, plan, &plain, texts->rows, ret));
	for (size_t i = 0; strict && i < texts->rows; i++)
		if (!tm_is_null(&plain, i) && tm_is_null(ret, i))
			return bad_cast(ev, texts->str[i], to);
	return TM_OK;
}
static tm_rc texts_to(struct tm_eval *ev, struct tm_column *texts, const struct tm_type *to, bool strict, struct tm_column *ret)
{
	if (to->kind == TM_T_VARIANT) {
		*ret = *texts;
		ret->type = to;
		return TM_OK;
	}
	if (!to->child_count && to->kind != TM_T_STRUCT)
		return scalar_of(ev, texts, to, strict, ret);
	static const struct tm_json_options options = {.allow_single_quotes_off = true};
	struct tm_column source = *texts;
	source.type = &tm_type_string;
	uint8_t *corrupt = tm_arena_zalloc(ev->arena, texts->rows + 1);
	TM_TRY(tm_json_decode(tm_json_decoder_new(ev->arena, to, &options), ev->arena, &source, ret, corrupt, ev->err));
	for (size_t i = 0; i < texts->rows; i++)
		if (corrupt[i] && !tm_is_null(texts, i)) {
			if (strict && !tm_str_is(texts->str[i], "null"))
				return bad_cast(ev, texts->str[i], to);
			fn_null(ev, ret, i);
		}
	return TM_OK;
}

struct variant_get {
	const struct tm_type *type;
	struct json_path path;
	bool try_form;
};
KERNEL(variant_get)
{
	const struct variant_get *v = call->bound;
	struct tm_column texts;
	tm_column_init(&texts, ev->arena, &tm_type_string, ev->rows);
	for (size_t i = 0; i < ev->rows; i++)
		if (tm_is_null(&args[0], i) || !json_find(STR_AT(0, i), &v->path, &texts.str[i]))
			fn_null(ev, &texts, i);
	return texts_to(ev, &texts, v->type, !v->try_form, ret);
}
/* variant_get(v, path [, type]) */
BIND(variant_get)
{
	struct variant_get *v = TM_NEW(b->arena, struct variant_get);
	struct tm_str s;
	TM_TRY(want_variant(b, 0, err));
	v->type = &tm_type_variant;
	v->try_form = fn_variant(b);
	if (!fn_literal_str(b, 1, &s) || !json_path_parse(b->arena, tm_arena_str(b->arena, s), &v->path))
		return tm_fail_class(err, TM_INVALID, "INVALID_VARIANT_GET_PATH", "22023",
				     "The path `%.*s` is not a valid variant extraction path in `%s`. A valid path should start with `$` "
				     "and is followed by zero or more segments like `[123]`, `.name`, `['name']`, or `[\"name\"]`.",
				     TM_STR_ARG(b->args[1].expr->text), b->fn->name);
	if (b->arg_count > 2) {
		if (!fn_literal_str(b, 2, &s))
			return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
					   "the input \"type\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
					   TM_STR_ARG(b->args[2].expr->text));
		TM_TRY(tm_type_parse(b->arena, s, &v->type, err));
	}
	b->bound = v;
	return fn_is(b, &tm_k_variant_get, v->type, true);
}

/* ---- schema ---- */
/* False where the text is no JSON after all: a record's raw text may hold NaN. */
static bool schema(struct json_reader *r, struct tm_buf *out, int depth)
{
	char c = json_peek(r);
	if (depth <= 0)
		return false;
	if (c == '{' || c == '[') {
		char close = c == '{' ? '}' : ']';
		struct tm_buf element = {0};
		bool first = true, ok = true;
		r->at++;
		tm_buf_cstr_put(out, c == '{' ? "OBJECT<" : "ARRAY<");
		while (ok && json_peek(r) != close) {
			struct tm_buf name = {0}, type = {0};
			if (c == '{') {
				ok = json_read_string(r, &name) && json_peek(r) == ':';
				r->at += ok;
			}
			ok = ok && schema(r, &type, depth - 1);
			if (c == '{') {
				tm_buf_printf(out, "%s%.*s: %.*s", first ? "" : ", ", (int)name.len, name.at ? name.at : "", (int)type.len,
					      type.at ? type.at : "");
			} else if (first || tm_str_is(tm_buf_str(&element), "VOID")) {
				element.len = 0;
				tm_buf_str_put(&element, tm_buf_str(&type));
			} else if (!tm_str_eq(tm_buf_str(&element), tm_buf_str(&type)) && !tm_str_is(tm_buf_str(&type), "VOID")) {
				element.len = 0;
				tm_buf_cstr_put(&element, "VARIANT");
			}
			first = false;
			tm_buf_done(&name);
			tm_buf_done(&type);
			char next = json_peek(r);
			ok = ok && (next == ',' || next == close);
			r->at += ok && next == ',';
		}
		r->at += ok;
		if (c == '[') {
			if (first)
				tm_buf_cstr_put(out, "VOID");
			tm_buf_str_put(out, tm_buf_str(&element));
		}
		tm_buf_char(out, '>');
		tm_buf_done(&element);
		return ok;
	}
	struct tm_buf text = {0};
	bool ok = json_value(r, &text, depth);
	if (ok) {
		int precision, scale;
		struct tm_str s = tm_buf_str(&text);
		bool fraction = memchr(s.at, '.', s.len), exponent = memchr(s.at, 'E', s.len);
		if (c == '"')
			tm_buf_cstr_put(out, "STRING");
		else if (c == 't' || c == 'f')
			tm_buf_cstr_put(out, "BOOLEAN");
		else if (c == 'n')
			tm_buf_cstr_put(out, "VOID");
		else if (exponent || !tm_decimal_shape(s, &precision, &scale) || precision > 38)
			tm_buf_cstr_put(out, "DOUBLE");
		else if (fraction || precision > 19)
			tm_buf_printf(out, "DECIMAL(%d,%d)", precision, scale);
		else
			tm_buf_cstr_put(out, "BIGINT");
	}
	tm_buf_done(&text);
	return ok;
}
KERNEL(schema_of_variant)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct json_reader r = json_reader_of(STR_AT(0, i));
		r.variant = true;
		if (!schema(&r, &b, (int)TM_LIMIT_JSON_NESTING)) {
			rc = tm_fail_class(ev->err, TM_DATA, "MALFORMED_VARIANT", "22023",
					   "Variant binary is malformed. Please check the data source is valid.");
			break;
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
BIND(schema_of_variant)
{
	TM_TRY(want_variant(b, 0, err));
	return fn_is(b, &tm_k_schema_of_variant, &tm_type_string, fn_any_nullable(b));
}

BIND(to_variant) { return tm_cast_bind(b->arena, b->session, b->args[0].expr, &tm_type_variant, TM_CAST_ANSI, &b->replacement, err); }

/* ---- casts ---- */
static tm_rc variant_to(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	struct tm_column texts = *in;
	texts.rows = rows;
	return texts_to(ev, &texts, p->to, p->mode == TM_CAST_ANSI, out);
}
/* Scalars and nested values into JSON text, by to_json's writer. */
static tm_rc to_variant(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	struct tm_buf b = {0}, n = {0};
	tm_rc rc = TM_OK;
	cast_begin(ev, p, in, rows, out);
	for (size_t i = 0; i < rows && rc == TM_OK; i++) {
		if (tm_is_null(in, i))
			continue;
		b.len = n.len = 0;
		if (p->from->kind == TM_T_STRING)
			json_quote(in->str[tm_row(in, i)], &b);
		else
			fn_json_text(ev->session, in, i, &b);
		if ((rc = fn_text_limit(ev, &b)) != TM_OK)
			break;
		if (!normal(tm_buf_str(&b), &n))
			tm_buf_str_put(&n, tm_buf_str(&b));
		out->str[i] = fn_buf(ev, &n);
	}
	tm_buf_done(&b);
	tm_buf_done(&n);
	return rc;
}
cast_run *cast_variant_run(const struct tm_type *from, const struct tm_type *to)
{
	(void)to;
	return from->kind == TM_T_VARIANT ? variant_to : to_variant;
}
