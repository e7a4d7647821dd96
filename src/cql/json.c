/* `--json` of the command line: one line {"columns": …, "rows": …} per statement, values in the forms that docs and tests use:
 * numbers as numbers, big ones and decimals as strings, blobs 0x…, times in ISO forms, collections as arrays. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "cql/json.h"
#include "cql/literal.h"
#include "table/value.h"

static void put_value(const struct tm_cql_type *t, struct tm_str b, struct tm_buf *out);

static void put_quoted(const struct tm_cql_type *t, struct tm_str b, struct tm_buf *out)
{
	struct tm_buf text = {0};
	tm_cql_value_text(t, b, &text);
	tm_buf_json_str(out, tm_buf_str(&text));
	tm_buf_done(&text);
}

static void put_items(const struct tm_cql_type *t, struct tm_str b, struct tm_buf *out)
{
	struct tm_value_items it = {.c = tm_cursor_of(b)};
	struct tm_str item;
	bool map = t->kind == TM_CQL_MAP, tuple = t->kind == TM_CQL_TUPLE, vector = t->kind == TM_CQL_VECTOR;
	if (!tuple && !vector)
		tm_value_items_open(b, &it);
	tm_buf_char(out, '[');
	for (size_t i = 0; tuple    ? i < t->arg_count
			   : vector ? tm_value_vector_next(t, &it.c, &item)
				    : tm_value_items_next(&it, &item);
	     i++) {
		if (tuple && !tm_value_items_next(&it, &item))
			item = (struct tm_str){0};
		if (i)
			tm_buf_char(out, ',');
		if (map)
			tm_buf_char(out, '[');
		put_value(t->args[tuple ? i : 0], item, out);
		if (map) {
			tm_buf_char(out, ',');
			put_value(t->args[1], tm_value_items_next(&it, &item) ? item : (struct tm_str){0}, out);
			tm_buf_char(out, ']');
		}
	}
	tm_buf_char(out, ']');
}

static void put_udt(const struct tm_cql_type *t, struct tm_str b, struct tm_buf *out)
{
	struct tm_value_items it = {.c = tm_cursor_of(b)};
	struct tm_str item;
	tm_buf_char(out, '{');
	for (size_t i = 0; i < t->arg_count; i++) {
		if (!tm_value_items_next(&it, &item))
			item = (struct tm_str){0};
		if (i)
			tm_buf_char(out, ',');
		tm_buf_json_str(out, t->field_names[i]);
		tm_buf_char(out, ':');
		put_value(t->args[i], item, out);
	}
	tm_buf_char(out, '}');
}

static void put_duration(struct tm_str b, struct tm_buf *out)
{
	struct cql_duration d = {0};
	(void)cql_duration_of(b, &d);
	tm_buf_printf(out, "\"%dmo%dd%lldns\"", d.months, d.days, (long long)d.nanos);
}

/* The fewest digits that read back the same. */
static void shortest(double v, bool single, struct tm_buf *out)
{
	if (!isfinite(v)) {
		tm_buf_cstr_put(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
		return;
	}
	char text[40];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v)
			break;
	}
	tm_buf_cstr_put(out, text);
	if (!strpbrk(text, ".e"))
		tm_buf_cstr_put(out, ".0");
}

static void put_value(const struct tm_cql_type *t, struct tm_str b, struct tm_buf *out)
{
	if (!b.at) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	if (b.len == 0 && !tm_type_is_text(t) && t->kind != TM_CQL_BLOB && t->arg_count == 0) {
		tm_buf_cstr_put(out, "{\"empty\":true}");
		return;
	}
	int64_t v = cql_int_of(b);
	switch (t->kind) {
	case TM_CQL_TINYINT:
	case TM_CQL_SMALLINT:
	case TM_CQL_INT:
		tm_buf_printf(out, "%lld", (long long)v);
		break;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		tm_buf_printf(out, v > 9007199254740992 || v < -9007199254740992 ? "\"%lld\"" : "%lld", (long long)v);
		break;
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE: {
		struct tm_buf text = {0};
		double d = cql_double_of(b);
		shortest(d, t->kind == TM_CQL_FLOAT, &text);
		if (isfinite(d))
			tm_buf_str_put(out, tm_buf_str(&text));
		else
			tm_buf_json_str(out, tm_buf_str(&text));
		tm_buf_done(&text);
		break;
	}
	case TM_CQL_BOOLEAN:
		tm_buf_cstr_put(out, b.at[0] ? "true" : "false");
		break;
	case TM_CQL_DATE: {
		int64_t days = (int64_t)(uint32_t)v - 2147483648LL;
		if (days < -719162 || days > 2932896)
			tm_buf_printf(out, "\"days:%lld\"", (long long)days);
		else
			put_quoted(t, b, out);
		break;
	}
	case TM_CQL_TIMESTAMP:
		if (v < -62135596800000 || v > 253402300799999) {
			tm_buf_printf(out, "\"ms:%lld\"", (long long)v);
		} else {
			tm_buf_char(out, '"');
			cql_timestamp_text(v, CQL_TIME_ISO, out);
			tm_buf_char(out, '"');
		}
		break;
	case TM_CQL_DURATION:
		put_duration(b, out);
		break;
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
	case TM_CQL_VECTOR:
		put_items(t, b, out);
		break;
	case TM_CQL_UDT:
		put_udt(t, b, out);
		break;
	default:
		put_quoted(t, b, out);
	}
}

void tm_cql_value_plain_json(const struct tm_cql_type *type, const struct tm_cql_value *value, struct tm_buf *out)
{
	put_value(type, value->null ? (struct tm_str){0} : value->bytes, out);
}

/* Type names as on the wire: frozen is not seen, a user type shows its fields. */
void tm_cql_type_wire_text(const struct tm_cql_type *t, struct tm_buf *out)
{
	if (t->kind != TM_CQL_UDT && t->arg_count == 0) {
		tm_table_type_text(t, out);
		return;
	}
	static const char *const names[] = {"list<", "map<", "set<"};
	if (t->kind == TM_CQL_UDT)
		tm_buf_printf(out, "udt %.*s.%.*s(", TM_STR_ARG(t->keyspace), TM_STR_ARG(t->name));
	else
		tm_buf_cstr_put(out, t->kind == TM_CQL_TUPLE    ? "tuple<"
				     : t->kind == TM_CQL_VECTOR ? "vector<"
								: names[t->kind - TM_CQL_LIST]);
	for (size_t i = 0; i < t->arg_count; i++) {
		if (i)
			tm_buf_cstr_put(out, ", ");
		if (t->kind == TM_CQL_UDT)
			tm_buf_printf(out, "%.*s ", TM_STR_ARG(t->field_names[i]));
		tm_cql_type_wire_text(t->args[i], out);
	}
	if (t->kind == TM_CQL_VECTOR)
		tm_buf_printf(out, ", %zu", t->dimension);
	tm_buf_char(out, t->kind == TM_CQL_UDT ? ')' : '>');
}

void tm_cql_result_json(const struct tm_cql_result *r, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "{\"columns\":[");
	size_t columns = r->kind == TM_CQL_ROWS ? r->column_count : 0;
	for (size_t i = 0; i < columns; i++) {
		struct tm_buf type = {0};
		tm_cql_type_wire_text(r->columns[i].type, &type);
		tm_buf_cstr_put(out, i ? ",{\"name\":" : "{\"name\":");
		tm_buf_json_str(out, r->columns[i].name);
		tm_buf_cstr_put(out, ",\"type\":");
		tm_buf_json_str(out, tm_buf_str(&type));
		tm_buf_char(out, '}');
		tm_buf_done(&type);
	}
	tm_buf_cstr_put(out, "],\"rows\":[");
	for (size_t i = 0; i < (columns ? r->row_count : 0); i++) {
		tm_buf_cstr_put(out, i ? ",[" : "[");
		for (size_t c = 0; c < columns; c++) {
			if (c)
				tm_buf_char(out, ',');
			tm_cql_value_plain_json(r->columns[c].type, &r->values[i * columns + c], out);
		}
		tm_buf_char(out, ']');
	}
	tm_buf_cstr_put(out, "]}");
}
