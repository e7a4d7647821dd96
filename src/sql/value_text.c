/* Values as text: CAST AS STRING, the JSON of `--json` and of the vectors, and SQL literals for messages. */
#include "sql/value_text.h"
#include <math.h>

static void number_text(const struct tm_column *c, size_t row, struct tm_buf *out)
{
	switch (c->type->kind) {
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		tm_i64_text(tm_value_integer(c, row), out);
		break;
	case TM_T_FLOAT:
		tm_float_text(c->f32[row], out);
		break;
	case TM_T_DOUBLE:
		tm_double_text(c->f64[row], out);
		break;
	default:
		tm_decimal_text(c->i128[row], c->type->scale, out);
	}
}

/* Dates, times and intervals. */
static void time_text(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	switch (c->type->kind) {
	case TM_T_DATE:
		tm_date_text(c->i32[row], out);
		break;
	case TM_T_TIMESTAMP:
		tm_timestamp_text(tm_sql_zone_to_local(zone, c->i64[row]), out);
		break;
	case TM_T_TIMESTAMP_NTZ:
		tm_timestamp_text(c->i64[row], out);
		break;
	case TM_T_TIME:
		tm_time_text(c->i64[row], out);
		break;
	case TM_T_INTERVAL_YM:
		tm_interval_ym_text(c->i32[row], c->type->from_field, c->type->to_field, true, out);
		break;
	case TM_T_INTERVAL_DT:
		tm_interval_dt_text(c->i64[row], c->type->from_field, c->type->to_field, true, out);
		break;
	default:
		tm_interval_text(c->interval[row], out);
	}
}

/* Of a value in an array, a map or a struct. */
static void inner_text(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	if (tm_is_null(c, row))
		tm_buf_cstr_put(out, "null");
	else
		fn_value_text(zone, c, row, out);
}

void fn_value_text(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	if (tm_is_null(c, row)) {
		tm_buf_cstr_put(out, "NULL");
		return;
	}
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		tm_buf_cstr_put(out, c->boolean[row] ? "true" : "false");
		break;
	case TM_T_STRING:
	case TM_T_BINARY:
	case TM_T_VARIANT:
		tm_buf_str_put(out, c->str[row]);
		break;
	case TM_T_ARRAY: {
		struct tm_span s = c->span[row];
		tm_buf_char(out, '[');
		for (uint32_t i = 0; i < s.count && out->len <= TM_LIMIT_VALUES_BYTES; i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			inner_text(zone, &c->children[0], s.from + i, out);
		}
		tm_buf_char(out, ']');
		break;
	}
	case TM_T_MAP: {
		struct tm_span s = c->span[row];
		tm_buf_char(out, '{');
		for (uint32_t i = 0; i < s.count && out->len <= TM_LIMIT_VALUES_BYTES; i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			fn_value_text(zone, &c->children[0], s.from + i, out);
			tm_buf_cstr_put(out, " -> ");
			inner_text(zone, &c->children[1], s.from + i, out);
		}
		tm_buf_char(out, '}');
		break;
	}
	case TM_T_STRUCT:
		tm_buf_char(out, '{');
		for (size_t i = 0; i < c->type->child_count; i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			inner_text(zone, &c->children[i], row, out);
		}
		tm_buf_char(out, '}');
		break;
	default:
		if (tm_type_numeric(c->type))
			number_text(c, row, out);
		else
			time_text(zone, c, row, out);
	}
}

void tm_value_text(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	fn_value_text(fn_zone(session), c, row, out);
}

/* ---- JSON of the vectors ---- */
static void json_text(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	struct tm_buf text = {0};
	fn_value_text(zone, c, row, &text);
	tm_buf_json_str(out, tm_buf_str(&text));
	tm_buf_done(&text);
}

/* most: length of out at which it ends; the caller has to see that it is too long. */
static void value_json(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, size_t most, struct tm_buf *out)
{
	if (tm_is_null(c, row)) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		tm_buf_cstr_put(out, c->boolean[row] ? "true" : "false");
		break;
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		number_text(c, row, out);
		break;
	case TM_T_FLOAT:
		tm_buf_json_double(out, (double)c->f32[row]);
		break;
	case TM_T_DOUBLE:
		if (isfinite(c->f64[row]))
			tm_double_text(c->f64[row], out);
		else
			tm_buf_json_double(out, c->f64[row]);
		break;
	case TM_T_STRING:
	case TM_T_VARIANT:
		tm_buf_json_str(out, c->str[row]);
		break;
	case TM_T_BINARY: {
		tm_buf_cstr_put(out, "{\"$hex\": \"");
		for (size_t i = 0; i < c->str[row].len; i++)
			tm_buf_printf(out, "%02x", (unsigned char)c->str[row].at[i]);
		tm_buf_cstr_put(out, "\"}");
		break;
	}
	case TM_T_ARRAY: {
		struct tm_span s = c->span[row];
		tm_buf_char(out, '[');
		for (uint32_t i = 0; i < s.count && out->len <= most; i++) {
			tm_buf_cstr_put(out, i ? ", " : "");
			value_json(zone, &c->children[0], s.from + i, most, out);
		}
		tm_buf_char(out, ']');
		break;
	}
	case TM_T_MAP: {
		struct tm_span s = c->span[row];
		tm_buf_cstr_put(out, "{\"$map\": [");
		for (uint32_t i = 0; i < s.count && out->len <= most; i++) {
			tm_buf_cstr_put(out, i ? ", [" : "[");
			value_json(zone, &c->children[0], s.from + i, most, out);
			tm_buf_cstr_put(out, ", ");
			value_json(zone, &c->children[1], s.from + i, most, out);
			tm_buf_char(out, ']');
		}
		tm_buf_cstr_put(out, "]}");
		break;
	}
	case TM_T_STRUCT:
		tm_buf_char(out, '[');
		for (size_t i = 0; i < c->type->child_count; i++) {
			tm_buf_cstr_put(out, i ? ", " : "");
			value_json(zone, &c->children[i], row, most, out);
		}
		tm_buf_char(out, ']');
		break;
	default:
		json_text(zone, c, row, out);
	}
}

/* Numbers, booleans, strings and binaries have a form of their own in JSON; so have arrays, maps and structs of nothing else. */
static bool plain(const struct tm_type *t)
{
	if (!t->child_count && t->kind != TM_T_STRUCT)
		return (t->kind >= TM_T_BOOLEAN && t->kind <= TM_T_BINARY);
	for (size_t i = 0; i < t->child_count; i++)
		if (!plain(t->children[i]))
			return false;
	return true;
}

void tm_value_json(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	const struct tm_sql_zone *zone = fn_zone(session);
	if (!tm_is_null(c, row) && !plain(c->type))
		json_text(zone, c, row, out);
	else
		value_json(zone, c, row, out->len + TM_LIMIT_VALUES_BYTES, out);
}

void fn_value_sql(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	static const char *const suffix[TM_T_KIND_COUNT] = {
	    [TM_T_TINYINT] = "Y", [TM_T_SMALLINT] = "S", [TM_T_BIGINT] = "L", [TM_T_DOUBLE] = "D", [TM_T_DECIMAL] = "BD"};
	static const char *const word[TM_T_KIND_COUNT] = {
	    [TM_T_DATE] = "DATE ", [TM_T_TIMESTAMP] = "TIMESTAMP ", [TM_T_TIMESTAMP_NTZ] = "TIMESTAMP_NTZ "};
	enum tm_type_kind kind = c->type->kind;
	if (tm_is_null(c, row)) {
		tm_buf_cstr_put(out, "NULL");
		return;
	}
	bool quote = kind == TM_T_STRING || word[kind];
	if (word[kind])
		tm_buf_cstr_put(out, word[kind]);
	tm_buf_cstr_put(out, quote ? "'" : "");
	size_t start = out->len;
	tm_value_text(session, c, row, out);
	bool finite = out->len > start && out->at[out->len - 1] != 'y' && out->at[out->len - 1] != 'N';
	tm_buf_cstr_put(out, quote ? "'" : "");
	if (suffix[kind] && finite)
		tm_buf_cstr_put(out, suffix[kind]);
}
