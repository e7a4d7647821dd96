/* Values to text: as Cassandra's getString, as JSON, and as `--json` of the command line prints them. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "cql/literal.h"
#include "table/bignum.h"
#include "table/value.h"

void cql_double_text(double v, bool single, struct tm_buf *out)
{
	if (isnan(v) || isinf(v)) {
		tm_buf_cstr_put(out, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
		return;
	}
	if (v == 0) {
		tm_buf_cstr_put(out, signbit(v) ? "-0.0" : "0.0");
		return;
	}
	char e[48];
	for (int digits = 1; digits <= 17; digits++) { /* the fewest digits that read back the same, Java wants two at least in E form */
		snprintf(e, sizeof e, "%.*e", digits - 1, v);
		if (single ? strtof(e, NULL) == (float)v : strtod(e, NULL) == v)
			break;
	}
	char *mark = strchr(e, 'e');
	int exponent = (int)strtol(mark + 1, NULL, 10);
	*mark = 0;
	char digits[24];
	size_t n = 0;
	for (char *p = e; *p; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	digits[n] = 0;
	if (n == 1 && (exponent < -3 || exponent >= 7) && exponent < -300) { /* Double.MIN_VALUE is 4.9E-324 in Java */
		snprintf(e, sizeof e, "%.1e", v);
		digits[1] = e[strchr(e, '.') - e + 1];
		n = 2;
		digits[0] = e[e[0] == '-'];
	} else if (single && n == 1 && exponent < -43) {
		snprintf(e, sizeof e, "%.1e", v);
		digits[1] = e[strchr(e, '.') - e + 1];
		n = 2;
		digits[0] = e[e[0] == '-'];
	}
	if (v < 0)
		tm_buf_char(out, '-');
	if (exponent >= -3 && exponent < 7) {
		if (exponent < 0) {
			tm_buf_cstr_put(out, "0.");
			for (int i = -1; i > exponent; i--)
				tm_buf_char(out, '0');
			tm_buf_put(out, digits, n);
			return;
		}
		for (int i = 0; i <= exponent; i++)
			tm_buf_char(out, (size_t)i < n ? digits[i] : '0');
		tm_buf_char(out, '.');
		if ((size_t)exponent + 1 < n)
			tm_buf_put(out, digits + exponent + 1, n - (size_t)exponent - 1);
		else
			tm_buf_char(out, '0');
		return;
	}
	tm_buf_char(out, digits[0]);
	tm_buf_char(out, '.');
	if (n > 1)
		tm_buf_put(out, digits + 1, n - 1);
	else
		tm_buf_char(out, '0');
	tm_buf_printf(out, "E%d", exponent);
}

static void date_text(int64_t days, bool of_era, struct tm_buf *out)
{
	int64_t y;
	int m, d;
	tm_civil_of(days, &y, &m, &d);
	if (of_era && y <= 0) /* Java's "yyyy" leaves the era out */
		y = 1 - y;
	tm_buf_printf(out,
		      y > 9999 ? "+%lld-%02d-%02d"
		      : y < 0  ? "-%04lld-%02d-%02d"
			       : "%04lld-%02d-%02d",
		      (long long)(y < 0 ? -y : y), m, d);
}

void cql_timestamp_text(int64_t ms, enum cql_time_style style, struct tm_buf *out)
{
	int64_t days = ms / 86400000, in_day = ms % 86400000;
	if (in_day < 0) {
		in_day += 86400000;
		days--;
	}
	date_text(days, true, out);
	tm_buf_printf(out, "%c%02d:%02d:%02d.%03dZ", style == CQL_TIME_ISO ? 'T' : ' ', (int)(in_day / 3600000), (int)(in_day / 60000 % 60),
		      (int)(in_day / 1000 % 60), (int)(in_day % 1000));
}

static void duration_text(struct cql_duration d, struct tm_buf *out)
{
	if (d.months < 0 || d.days < 0 || d.nanos < 0)
		tm_buf_char(out, '-');
	uint64_t months = (uint64_t)llabs((long long)d.months), days = (uint64_t)llabs((long long)d.days),
		 nanos = d.nanos < 0 ? 0 - (uint64_t)d.nanos : (uint64_t)d.nanos;
	static const struct {
		const char *unit;
		uint64_t size;
	} small[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
	if (months / 12)
		tm_buf_printf(out, "%lluy", (unsigned long long)(months / 12));
	if (months % 12)
		tm_buf_printf(out, "%llumo", (unsigned long long)(months % 12));
	if (days)
		tm_buf_printf(out, "%llud", (unsigned long long)days);
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		if (nanos / small[i].size)
			tm_buf_printf(out, "%llu%s", (unsigned long long)(nanos / small[i].size), small[i].unit);
		nanos %= small[i].size;
	}
}

static void inet_text(struct tm_str b, struct tm_buf *out)
{
	if (b.len == 4) {
		tm_buf_printf(out, "%d.%d.%d.%d", (uint8_t)b.at[0], (uint8_t)b.at[1], (uint8_t)b.at[2], (uint8_t)b.at[3]);
		return;
	}
	for (size_t i = 0; i + 1 < b.len; i += 2)
		tm_buf_printf(out, i ? ":%x" : "%x", (uint8_t)b.at[i] << 8 | (uint8_t)b.at[i + 1]);
}

static void hex_text(struct tm_str b, struct tm_buf *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < b.len; i++) {
		tm_buf_char(out, digits[(uint8_t)b.at[i] >> 4]);
		tm_buf_char(out, digits[b.at[i] & 15]);
	}
}

void cql_native_text(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	if (b.len == 0 && !tm_type_is_text(type) && type->kind != TM_CQL_BLOB)
		return;
	struct tm_arena arena;
	struct cql_duration d;
	switch (type->kind) {
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
		tm_buf_printf(out, "%lld", (long long)cql_int_of(b));
		break;
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE:
		cql_double_text(cql_double_of(b), type->kind == TM_CQL_FLOAT, out);
		break;
	case TM_CQL_BOOLEAN:
		tm_buf_cstr_put(out, b.at[0] ? "true" : "false");
		break;
	case TM_CQL_BLOB:
		hex_text(b, out);
		break;
	case TM_CQL_TIMESTAMP:
		cql_timestamp_text(cql_int_of(b), CQL_TIME_JSON, out);
		break;
	case TM_CQL_DATE:
		date_text((int64_t)(uint32_t)cql_int_of(b) - 2147483648LL, false, out);
		break;
	case TM_CQL_TIME: {
		uint64_t n = (uint64_t)cql_int_of(b), s = n / 1000000000;
		tm_buf_printf(out, "%02llu:%02d:%02d.%09llu", (unsigned long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60),
			      (unsigned long long)(n % 1000000000));
		break;
	}
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		for (size_t i = 0; i < b.len; i++) {
			if (i == 4 || i == 6 || i == 8 || i == 10)
				tm_buf_char(out, '-');
			hex_text(tm_str_slice(b, i, i + 1), out);
		}
		break;
	case TM_CQL_INET:
		inet_text(b, out);
		break;
	case TM_CQL_DURATION:
		if (cql_duration_of(b, &d))
			duration_text(d, out);
		break;
	case TM_CQL_VARINT:
	case TM_CQL_DECIMAL: {
		tm_arena_init(&arena);
		struct tm_dec dec;
		if (type->kind == TM_CQL_VARINT)
			tm_buf_str_put(out, tm_big_text(&arena, tm_big_of_bytes(&arena, b)));
		else if (tm_dec_of_bytes(&arena, b, &dec))
			tm_buf_str_put(out, tm_dec_text(&arena, dec));
		tm_arena_done(&arena);
		break;
	}
	default:
		tm_buf_str_put(out, b);
	}
}

/* ---- JSON as SELECT JSON gives it ---- */
static void json_string(struct tm_str s, struct tm_buf *out)
{
	/* Cassandra's encoder leaves what is not ASCII as it is. */
	static const char hex[] = "0123456789abcdef";
	tm_buf_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		switch (c) {
		case '"':
			tm_buf_cstr_put(out, "\\\"");
			break;
		case '\\':
			tm_buf_cstr_put(out, "\\\\");
			break;
		case '\b':
			tm_buf_cstr_put(out, "\\b");
			break;
		case '\f':
			tm_buf_cstr_put(out, "\\f");
			break;
		case '\n':
			tm_buf_cstr_put(out, "\\n");
			break;
		case '\r':
			tm_buf_cstr_put(out, "\\r");
			break;
		case '\t':
			tm_buf_cstr_put(out, "\\t");
			break;
		default:
			if (c < 0x20) {
				tm_buf_cstr_put(out, "\\u00");
				tm_buf_char(out, hex[c >> 4]);
				tm_buf_char(out, hex[c & 15]);
			} else {
				tm_buf_char(out, (char)c);
			}
		}
	}
	tm_buf_char(out, '"');
}

static void json_key(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	struct tm_buf key = {0};
	tm_cql_value_json(type, b, &key);
	if (key.len && key.at[0] == '"')
		tm_buf_str_put(out, tm_buf_str(&key));
	else
		json_string(tm_buf_str(&key), out);
	tm_buf_done(&key);
}

static void json_items(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	bool map = type->kind == TM_CQL_MAP;
	struct tm_value_items it = {.c = tm_cursor_of(b)};
	struct tm_str item;
	if (type->kind != TM_CQL_TUPLE)
		tm_value_items_open(b, &it);
	tm_buf_char(out, map ? '{' : '[');
	for (size_t i = 0; tm_value_items_next(&it, &item); i++) {
		if (i)
			tm_buf_cstr_put(out, ", ");
		if (map) {
			json_key(type->args[0], item, out);
			tm_buf_cstr_put(out, ": ");
			if (!tm_value_items_next(&it, &item))
				break;
		}
		if (type->kind == TM_CQL_TUPLE && i >= type->arg_count)
			break;
		tm_cql_value_json(type->args[map ? 1 : type->kind == TM_CQL_TUPLE ? i : 0], item, out);
	}
	tm_buf_char(out, map ? '}' : ']');
}

void tm_cql_value_json(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	struct tm_str item;
	if (!b.at) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	switch (type->kind) {
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
		json_items(type, b, out);
		return;
	case TM_CQL_VECTOR: {
		struct tm_cursor c = tm_cursor_of(b);
		tm_buf_char(out, '[');
		for (size_t i = 0; tm_value_vector_next(type, &c, &item); i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			tm_cql_value_json(type->args[0], item, out);
		}
		tm_buf_char(out, ']');
		return;
	}
	case TM_CQL_UDT: {
		struct tm_value_items it = {.c = tm_cursor_of(b)};
		tm_buf_char(out, '{');
		for (size_t i = 0; i < type->arg_count; i++) {
			if (!tm_value_items_next(&it, &item))
				item = (struct tm_str){0};
			tm_buf_cstr_put(out, i ? ", " : "");
			struct tm_buf name = {0};
			bool lower = true;
			for (size_t k = 0; k < type->field_names[i].len; k++)
				lower &= !(type->field_names[i].at[k] >= 'A' && type->field_names[i].at[k] <= 'Z');
			tm_buf_printf(&name, lower ? "%.*s" : "\"%.*s\"", TM_STR_ARG(type->field_names[i]));
			json_string(tm_buf_str(&name), out);
			tm_buf_done(&name);
			tm_buf_cstr_put(out, ": ");
			tm_cql_value_json(type->args[i], item, out);
		}
		tm_buf_char(out, '}');
		return;
	}
	default:
		break;
	}
	struct tm_buf text = {0};
	cql_native_text(type, b, &text);
	switch (type->kind) {
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE: {
		double v = cql_double_of(b);
		if (b.len == 0)
			tm_buf_cstr_put(out, "\"\"");
		else if (isfinite(v))
			tm_buf_str_put(out, tm_buf_str(&text));
		else
			tm_buf_cstr_put(out, "null");
		break;
	}
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
	case TM_CQL_VARINT:
	case TM_CQL_DECIMAL:
	case TM_CQL_BOOLEAN:
		if (b.len == 0)
			tm_buf_cstr_put(out, "\"\"");
		else
			tm_buf_str_put(out, tm_buf_str(&text));
		break;
	case TM_CQL_BLOB:
		tm_buf_printf(out, "\"0x%.*s\"", (int)text.len, text.at ? text.at : "");
		break;
	default:
		json_string(tm_buf_str(&text), out);
	}
	tm_buf_done(&text);
}

void tm_cql_type_text(const struct tm_cql_type *type, struct tm_buf *out) { tm_table_type_text(type, out); }

/* ---- as cqlsh shows it ---- */
static void shell_quoted(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	bool quote = tm_type_is_text(type) || type->kind == TM_CQL_TIMESTAMP || type->kind == TM_CQL_DATE || type->kind == TM_CQL_TIME ||
		     type->kind == TM_CQL_INET;
	if (!b.at) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	if (quote)
		tm_buf_char(out, '\'');
	tm_cql_value_text(type, b, out);
	if (quote)
		tm_buf_char(out, '\'');
}

void tm_cql_value_text(const struct tm_cql_type *type, struct tm_str b, struct tm_buf *out)
{
	struct tm_str item;
	if (!b.at) {
		tm_buf_cstr_put(out, "null");
		return;
	}
	if (type->kind == TM_CQL_BLOB) {
		tm_buf_cstr_put(out, "0x");
		hex_text(b, out);
		return;
	}
	if (type->kind == TM_CQL_INET && b.len == 16) { /* the short form, as cqlsh has it */
		char text[64];
		tm_buf_cstr_put(out, inet_ntop(AF_INET6, b.at, text, sizeof text) ? text : "");
		return;
	}
	if (type->arg_count == 0) {
		cql_native_text(type, b, out);
		return;
	}
	struct tm_value_items it = {.c = tm_cursor_of(b)};
	bool map = type->kind == TM_CQL_MAP, fields = type->kind == TM_CQL_TUPLE || type->kind == TM_CQL_UDT,
	     vector = type->kind == TM_CQL_VECTOR;
	if (!fields && !vector)
		tm_value_items_open(b, &it);
	tm_buf_char(out, type->kind == TM_CQL_LIST || vector ? '[' : type->kind == TM_CQL_TUPLE ? '(' : '{');
	for (size_t i = 0; vector   ? tm_value_vector_next(type, &it.c, &item)
			   : fields ? i < type->arg_count
				    : tm_value_items_next(&it, &item);
	     i++) {
		if (fields && !tm_value_items_next(&it, &item))
			item = (struct tm_str){0};
		if (i)
			tm_buf_cstr_put(out, ", ");
		if (type->kind == TM_CQL_UDT)
			tm_buf_printf(out, "%.*s: ", TM_STR_ARG(type->field_names[i]));
		shell_quoted(type->args[fields ? i : 0], item, out);
		if (map) {
			tm_buf_cstr_put(out, ": ");
			if (!tm_value_items_next(&it, &item))
				break;
			shell_quoted(type->args[1], item, out);
		}
	}
	tm_buf_char(out, type->kind == TM_CQL_LIST || vector ? ']' : type->kind == TM_CQL_TUPLE ? ')' : '}');
}
