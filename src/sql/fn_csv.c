/* from_csv, to_csv, schema_of_csv: one record per text. */
#include "sql/value_text.h"

struct csv {
	char sep, quote, escape;
	bool trim;
	struct tm_str null_value;
};
static void csv_defaults(struct csv *o) { *o = (struct csv){.sep = ',', .quote = '"', .escape = '\\'}; }

static void csv_options(const struct tm_fn_bind *b, size_t arg, struct csv *o)
{
	struct tm_str v;
	csv_defaults(o);
	if ((fn_option(b, arg, "sep", &v) || fn_option(b, arg, "delimiter", &v)) && v.len)
		o->sep = v.at[0];
	if (fn_option(b, arg, "quote", &v) && v.len)
		o->quote = v.at[0];
	if (fn_option(b, arg, "escape", &v) && v.len)
		o->escape = v.at[0];
	if (fn_option(b, arg, "nullValue", &v))
		o->null_value = tm_arena_str(b->arena, v);
}

/* The next field; *ret_quoted tells an empty one from a missing value. False at the end. */
static bool next_field(const struct csv *o, struct tm_str s, size_t *io_at, struct tm_buf *out, bool *ret_quoted)
{
	size_t at = *io_at;
	out->len = 0;
	*ret_quoted = false;
	if (at > s.len)
		return false;
	if (at < s.len && s.at[at] == o->quote) {
		*ret_quoted = true;
		for (at++; at < s.len && s.at[at] != o->quote; at++) {
			if (s.at[at] == o->escape && at + 1 < s.len && (s.at[at + 1] == o->quote || s.at[at + 1] == o->escape))
				at++;
			tm_buf_char(out, s.at[at]);
		}
		at += at < s.len;
	}
	while (at < s.len && s.at[at] != o->sep)
		tm_buf_char(out, s.at[at++]);
	*io_at = at + 1;
	return true;
}

struct from_csv {
	struct csv options;
	const struct cast_plan **casts;
};
KERNEL(from_csv)
{
	const struct from_csv *f = call->bound;
	const struct tm_type *t = call->type;
	struct tm_column *texts = TM_NEW_N(ev->arena, struct tm_column, t->child_count + 1);
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	for (size_t c = 0; c < t->child_count; c++)
		tm_column_init(&texts[c], ev->arena, &tm_type_string, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		size_t at = 0;
		bool live = !ret->valid || ret->valid[i];
		for (size_t c = 0; c < t->child_count; c++) {
			bool quoted;
			if (live && next_field(&f->options, STR_AT(0, i), &at, &b, &quoted) && (b.len || quoted) &&
			    !(f->options.null_value.at && tm_str_eq(tm_buf_str(&b), f->options.null_value)))
				texts[c].str[i] = fn_buf(ev, &b);
			else
				fn_null(ev, &texts[c], i);
		}
	}
	tm_buf_done(&b);
	for (size_t c = 0; c < t->child_count; c++)
		TM_TRY(f->casts[c]->run(ev, f->casts[c], &texts[c], ev->rows, &ret->children[c]));
	return TM_OK;
}
BIND(from_csv)
{
	struct tm_str s;
	const struct tm_type *t;
	struct from_csv *f = TM_NEW(b->arena, struct from_csv);
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	if (!fn_literal_str(b, 1, &s))
		return tm_fail_class(err, TM_INVALID, "INVALID_SCHEMA.NON_STRING_LITERAL", "42K07",
				     "The input schema \"%.*s\" is not a valid schema string.", TM_STR_ARG(b->args[1].expr->text));
	TM_TRY(tm_type_parse(b->arena, s, &t, err));
	if (t->kind != TM_T_STRUCT)
		return tm_fail_class(
		    err, TM_INVALID, "INVALID_SCHEMA.NON_STRUCT_TYPE", "42K07",
		    "The input schema \"%.*s\" is not a valid schema string. The input expression should be evaluated to struct type.",
		    TM_STR_ARG(s));
	t = tm_type_struct(b->arena, t->child_count, t->names, t->children, NULL);
	f->casts = TM_NEW_N(b->arena, const struct cast_plan *, t->child_count + 1);
	for (size_t c = 0; c < t->child_count; c++)
		if (!(f->casts[c] = cast_plan_new(b->arena, &tm_type_string, t->children[c], TM_CAST_TRY)))
			return fn_mismatch(b, err, "UNSUPPORTED_INPUT_TYPE", "a CSV field cannot be read as \"%.*s\".",
					   TM_STR_ARG(fn_type_sql(b->arena, t->children[c])));
	csv_options(b, 2, &f->options);
	b->bound = f;
	return fn_is(b, &tm_k_from_csv, t, true);
}

KERNEL(to_csv)
{
	const struct csv *o = call->bound;
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct tm_buf b = {0}, field = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		for (size_t c = 0; c < args[0].type->child_count && (rc = fn_text_limit(ev, &b)) == TM_OK; c++) {
			const struct tm_column *column = &args[0].children[c];
			size_t row = tm_row(&args[0], i);
			if (c)
				tm_buf_char(&b, o->sep);
			if (tm_is_null(column, row)) {
				tm_buf_str_put(&b, o->null_value);
				continue;
			}
			field.len = 0;
			fn_value_text(zone, column, row, &field);
			struct tm_str text = tm_str_trim(tm_buf_str(&field)); /* Spark's ignoreLeadingWhiteSpace, on for writing */
			bool quote = text.len == 0;
			for (size_t j = 0; j < text.len; j++)
				quote |= text.at[j] == o->sep || text.at[j] == o->quote || text.at[j] == '\n' || text.at[j] == '\r';
			if (quote)
				tm_buf_char(&b, o->quote);
			for (size_t j = 0; j < text.len; j++) {
				if (quote && text.at[j] == o->quote)
					tm_buf_char(&b, o->escape);
				tm_buf_char(&b, text.at[j]);
			}
			if (quote)
				tm_buf_char(&b, o->quote);
		}
		if (rc == TM_OK)
			rc = fn_text_limit(ev, &b);
		if (rc != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	tm_buf_done(&field);
	return rc;
}
BIND(to_csv)
{
	if (b->args[0].type->kind != TM_T_STRUCT)
		return fn_unexpected_type(b, 0, "STRUCT", err);
	struct csv *o = TM_NEW(b->arena, struct csv);
	csv_options(b, 1, o);
	b->bound = o;
	return fn_is(b, &tm_k_to_csv, &tm_type_string, fn_any_nullable(b));
}

/* INT, BIGINT, DOUBLE, DATE, TIMESTAMP, BOOLEAN or STRING, the first that fits. */
static const char *infer(struct tm_str s, bool quoted)
{
	int64_t v;
	double d;
	int32_t day;
	bool yes;
	if (s.len == 0 && !quoted)
		return "STRING";
	if (tm_integer_parse(s, true, INT32_MIN, INT32_MAX, &v) == TM_NUMBER_OK)
		return "INT";
	if (tm_integer_parse(s, true, INT64_MIN, INT64_MAX, &v) == TM_NUMBER_OK)
		return "BIGINT";
	if (tm_double_parse(s, &d))
		return "DOUBLE";
	if (s.len == 10 && tm_date_parse(s, &day))
		return "DATE";
	if (s.len > 10 && tm_timestamp_parse(s, tm_sql_zone_utc(), 0, &v))
		return "TIMESTAMP";
	return (tm_str_iis(s, "true") || tm_str_iis(s, "false")) && tm_boolean_parse(s, &yes) ? "BOOLEAN" : "STRING";
}
BIND(schema_of_csv)
{
	struct tm_str s;
	struct csv o;
	struct tm_buf field = {0}, out = {0};
	bool quoted;
	if (!fn_literal_str(b, 0, &s))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"csv\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[0].expr->text));
	csv_options(b, 1, &o);
	tm_buf_cstr_put(&out, "STRUCT<");
	for (size_t at = 0, n = 0; next_field(&o, s, &at, &field, &quoted); n++)
		tm_buf_printf(&out, "%s_c%zu: %s", n ? ", " : "", n, infer(tm_buf_str(&field), quoted));
	tm_buf_char(&out, '>');
	b->replacement = fn_make_literal_str(b->arena, tm_buf_str(&out));
	tm_buf_done(&out);
	tm_buf_done(&field);
	return TM_OK;
}
