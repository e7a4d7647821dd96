/* See cells.h. Dates and times in text are read in ISO 8601 form. */
#include "stream/cells.h"
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/civil.h"

/* ---- types ---- */

const struct tm_type *tm_cell_type(struct tm_arena *arena, const struct tm_cql_type *type)
{
	const struct tm_type *a, *b;
	switch (type->kind) {
	case TM_CQL_ASCII:
	case TM_CQL_VARCHAR:
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
	case TM_CQL_INET:
		return &tm_type_string;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_TIME:
		return &tm_type_bigint;
	case TM_CQL_INT:
		return &tm_type_int;
	case TM_CQL_SMALLINT:
		return &tm_type_smallint;
	case TM_CQL_TINYINT:
		return &tm_type_tinyint;
	case TM_CQL_BOOLEAN:
		return &tm_type_boolean;
	case TM_CQL_DOUBLE:
		return &tm_type_double;
	case TM_CQL_FLOAT:
		return &tm_type_float;
	case TM_CQL_DECIMAL:
		return tm_type_decimal(arena, 38, 18);
	case TM_CQL_VARINT:
		return tm_type_decimal(arena, 38, 0);
	case TM_CQL_BLOB:
		return &tm_type_binary;
	case TM_CQL_TIMESTAMP:
		return &tm_type_timestamp;
	case TM_CQL_DATE:
		return &tm_type_date;
	case TM_CQL_LIST:
	case TM_CQL_SET:
		a = tm_cell_type(arena, type->args[0]);
		return a ? tm_type_array(arena, a, true) : NULL;
	case TM_CQL_MAP:
		a = tm_cell_type(arena, type->args[0]);
		b = tm_cell_type(arena, type->args[1]);
		return a && b ? tm_type_map(arena, a, b, true) : NULL;
	case TM_CQL_TUPLE:
	case TM_CQL_UDT: {
		struct tm_str *names = TM_NEW_N(arena, struct tm_str, type->arg_count + 1);
		const struct tm_type **types = TM_NEW_N(arena, const struct tm_type *, type->arg_count + 1);
		for (size_t i = 0; i < type->arg_count; i++) {
			names[i] = type->kind == TM_CQL_UDT ? type->field_names[i] : tm_arena_printf(arena, "%zu", i);
			types[i] = tm_cell_type(arena, type->args[i]);
			if (!types[i])
				return NULL;
		}
		return tm_type_struct(arena, type->arg_count, names, types, NULL);
	}
	default:
		return NULL;
	}
}

static bool numeric(const struct tm_type *t) { return tm_type_numeric(t) || t->kind == TM_T_BOOLEAN; }

bool tm_cell_fits(const struct tm_type *from, const struct tm_cql_type *to)
{
	bool text = from->kind == TM_T_STRING, none = from->kind == TM_T_NULL;
	if (none)
		return true;
	switch (to->kind) {
	case TM_CQL_ASCII:
	case TM_CQL_VARCHAR:
		return true;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		return text || numeric(from) || from->kind == TM_T_TIMESTAMP;
	case TM_CQL_INT:
	case TM_CQL_SMALLINT:
	case TM_CQL_TINYINT:
	case TM_CQL_VARINT:
	case TM_CQL_DECIMAL:
	case TM_CQL_DOUBLE:
	case TM_CQL_FLOAT:
	case TM_CQL_BOOLEAN:
		return text || numeric(from);
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
	case TM_CQL_INET:
		return text;
	case TM_CQL_BLOB:
		return text || from->kind == TM_T_BINARY;
	case TM_CQL_TIMESTAMP:
		return text || from->kind == TM_T_TIMESTAMP || from->kind == TM_T_TIMESTAMP_NTZ || from->kind == TM_T_DATE ||
		       from->kind == TM_T_BIGINT;
	case TM_CQL_DATE:
		return text || from->kind == TM_T_DATE || from->kind == TM_T_TIMESTAMP || from->kind == TM_T_TIMESTAMP_NTZ ||
		       from->kind == TM_T_INT;
	case TM_CQL_TIME:
		return text || from->kind == TM_T_BIGINT || from->kind == TM_T_TIME;
	case TM_CQL_LIST:
	case TM_CQL_SET:
		return from->kind == TM_T_ARRAY && tm_cell_fits(from->children[0], to->args[0]);
	case TM_CQL_MAP:
		return from->kind == TM_T_MAP && tm_cell_fits(from->children[0], to->args[0]) &&
		       tm_cell_fits(from->children[1], to->args[1]);
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
		if (from->kind != TM_T_STRUCT || from->child_count != to->arg_count)
			return false;
		for (size_t i = 0; i < to->arg_count; i++)
			if (!tm_cell_fits(from->children[i], to->args[i]))
				return false;
		return true;
	default:
		return false;
	}
}

/* ---- writing ---- */

static bool refuse(struct tm_cell_writer *w, const struct tm_column *c, size_t row, const char *what)
{
	struct tm_buf text = {0};
	if (c->type->kind == TM_T_STRING)
		tm_buf_str_put(&text, c->str[tm_row(c, row)]);
	else if (w->value_text)
		w->value_text(w->session, c, row, &text);
	snprintf(w->why, sizeof w->why, "'%.*s' is no %s", (int)(text.len < 80 ? text.len : 80), text.at ? text.at : "", what);
	tm_buf_done(&text);
	return false;
}

static struct tm_str be(struct tm_arena *arena, uint64_t v, size_t width)
{
	char *p = tm_arena_alloc(arena, 8);
	uint64_t big = __builtin_bswap64(v);
	memcpy(p, (char *)&big + 8 - width, width);
	return tm_str_n(p, width);
}

/* The shortest two's complement form, as Java's BigInteger.toByteArray. */
static struct tm_str big_integer(struct tm_arena *arena, __int128 v)
{
	char *p = tm_arena_alloc(arena, 16);
	for (int i = 15; i >= 0; i--) {
		p[i] = (char)(v & 0xFF);
		v >>= 8;
	}
	size_t skip = 0;
	while (skip < 15 && ((p[skip] == 0 && p[skip + 1] >= 0) || (p[skip] == -1 && p[skip + 1] < 0)))
		skip++;
	return tm_str_n(p + skip, 16 - skip);
}

/* A decimal number in text, without exponent: unscaled value and scale. */
static bool decimal_text(struct tm_str s, __int128 *ret, int *ret_scale)
{
	s = tm_str_trim(s);
	bool minus = s.len && s.at[0] == '-', point = false;
	size_t i = s.len && (s.at[0] == '-' || s.at[0] == '+'), digits = 0;
	__int128 v = 0;
	int scale = 0;
	for (; i < s.len; i++) {
		if (s.at[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.at[i] < '0' || s.at[i] > '9' || ++digits > 38)
			return false;
		v = v * 10 + (s.at[i] - '0');
		scale += point;
	}
	*ret = minus ? -v : v;
	*ret_scale = scale;
	return digits > 0;
}

static bool to_double(const struct tm_column *c, size_t row, double *ret)
{
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		*ret = (double)tm_value_integer(c, row);
		return true;
	case TM_T_FLOAT:
		*ret = (double)c->f32[row];
		return true;
	case TM_T_DOUBLE:
		*ret = c->f64[row];
		return true;
	case TM_T_DECIMAL:
		*ret = (double)c->i128[row] / pow(10, c->type->scale);
		return true;
	case TM_T_STRING: {
		char text[64], *end;
		struct tm_str s = tm_str_trim(c->str[row]);
		if (!s.len || s.len >= sizeof text)
			return false;
		memcpy(text, s.at, s.len);
		text[s.len] = 0;
		*ret = strtod(text, &end);
		return !*end;
	}
	default:
		return false;
	}
}

static bool to_i128(const struct tm_column *c, size_t row, __int128 *ret)
{
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		*ret = tm_value_integer(c, row);
		return true;
	case TM_T_TIMESTAMP:
		*ret = c->i64[row] / 1000;
		return true;
	case TM_T_FLOAT:
	case TM_T_DOUBLE: {
		double v = c->type->kind == TM_T_FLOAT ? (double)c->f32[row] : c->f64[row];
		if (!(fabs(v) < 1e37))
			return false;
		*ret = (__int128)v;
		return true;
	}
	case TM_T_DECIMAL: {
		__int128 v = c->i128[row];
		for (int i = 0; i < c->type->scale; i++)
			v /= 10;
		*ret = v;
		return true;
	}
	case TM_T_STRING: {
		int scale;
		return decimal_text(c->str[row], ret, &scale) && scale == 0;
	}
	default:
		return false;
	}
}

static bool write_integer(struct tm_cell_writer *w, const struct tm_column *c, size_t row, size_t bits, const char *what,
			  struct tm_str *ret)
{
	__int128 v, most = ((__int128)1 << (bits - 1)) - 1;
	if (!to_i128(c, row, &v) || v > most || v < -most - 1)
		return refuse(w, c, row, what);
	*ret = be(w->arena, (uint64_t)v, bits / 8);
	return true;
}

static bool write_decimal(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	__int128 v;
	int scale = 0;
	size_t at = tm_row(c, row);
	if (c->type->kind == TM_T_DECIMAL) {
		v = c->i128[at];
		scale = c->type->scale;
	} else if (c->type->kind == TM_T_STRING) {
		if (!decimal_text(c->str[at], &v, &scale))
			return refuse(w, c, row, "decimal");
	} else if (c->type->kind == TM_T_FLOAT || c->type->kind == TM_T_DOUBLE) {
		struct tm_buf text = {0};
		double d = c->type->kind == TM_T_FLOAT ? (double)c->f32[at] : c->f64[at];
		char plain[400];
		tm_buf_json_double(&text, d);
		bool good = isfinite(d) &&
			    (snprintf(plain, sizeof plain, "%.*s", (int)text.len, text.at), decimal_text(tm_str_of(plain), &v, &scale));
		tm_buf_done(&text);
		if (!good) {
			snprintf(plain, sizeof plain, "%.17f", d);
			if (!isfinite(d) || !decimal_text(tm_str_of(plain), &v, &scale))
				return refuse(w, c, row, "decimal");
		}
	} else if (!to_i128(c, row, &v)) {
		return refuse(w, c, row, "decimal");
	}
	struct tm_str n = big_integer(w->arena, v), s = be(w->arena, (uint64_t)scale, 4);
	char *p = tm_arena_alloc(w->arena, 4 + n.len);
	memcpy(p, s.at, 4);
	memcpy(p + 4, n.at, n.len);
	*ret = tm_str_n(p, 4 + n.len);
	return true;
}

static int hex(char ch) { return ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1; }

/* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx; groups may be shorter, as Java's UUID.fromString takes them. */
static bool write_uuid(struct tm_cell_writer *w, const struct tm_column *c, size_t row, bool time_only, struct tm_str *ret)
{
	static const unsigned width[5] = {8, 4, 4, 4, 12};
	struct tm_str s = tm_str_trim(c->str[tm_row(c, row)]), part;
	uint64_t groups[5];
	size_t n = 0;
	while (tm_str_split(&s, '-', &part)) {
		if (n == 5 || !part.len || part.len > width[n])
			return refuse(w, c, row, "UUID");
		uint64_t v = 0;
		for (size_t i = 0; i < part.len; i++) {
			if (hex(part.at[i]) < 0)
				return refuse(w, c, row, "UUID");
			v = v << 4 | (uint64_t)hex(part.at[i]);
		}
		groups[n++] = v;
	}
	if (n != 5)
		return refuse(w, c, row, "UUID");
	uint64_t high = groups[0] << 32 | groups[1] << 16 | groups[2], low = groups[3] << 48 | groups[4];
	if (time_only && (high >> 12 & 15) != 1)
		return refuse(w, c, row, "time-based UUID (version 1)");
	char *p = tm_arena_alloc(w->arena, 16);
	high = __builtin_bswap64(high);
	low = __builtin_bswap64(low);
	memcpy(p, &high, 8);
	memcpy(p + 8, &low, 8);
	*ret = tm_str_n(p, 16);
	return true;
}

static bool digits(struct tm_cursor *c, int most, int *ret)
{
	int n = 0, v = 0;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && n < most) {
		v = v * 10 + (*c->at++ - '0');
		n++;
	}
	*ret = v;
	return n > 0;
}

static bool sign(struct tm_cursor *c, const char *any)
{
	if (c->at < c->end && strchr(any, *c->at)) {
		c->at++;
		return true;
	}
	return false;
}

/* hh:mm[:ss[.fraction]] in nanoseconds of the day. */
static bool clock_text(struct tm_cursor *c, int64_t *ret_ns)
{
	int h, m, s = 0;
	int64_t ns = 0;
	if (!digits(c, 2, &h) || !sign(c, ":") || !digits(c, 2, &m) || h > 23 || m > 59)
		return false;
	if (sign(c, ":")) {
		if (!digits(c, 2, &s) || s > 59)
			return false;
		if (sign(c, ".")) {
			int64_t unit = 100000000;
			const char *from = c->at;
			for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; unit /= 10)
				ns += (*c->at++ - '0') * unit;
			if (c->at == from)
				return false;
		}
	}
	*ret_ns = ((int64_t)h * 3600 + m * 60 + s) * 1000000000 + ns;
	return true;
}

/* ISO 8601 date, with time and offset where they are there; UTC where no offset is given. */
static bool iso_text(struct tm_str s, int64_t *ret_us, bool *ret_date_only)
{
	struct tm_cursor c = tm_cursor_of(tm_str_trim(s));
	int y, m, d;
	if (!digits(&c, 4, &y) || !sign(&c, "-") || !digits(&c, 2, &m) || !sign(&c, "-") || !digits(&c, 2, &d) || m < 1 || m > 12 ||
	    d < 1 || d > 31)
		return false;
	*ret_us = tm_date_days(y, m, d) * 86400000000LL;
	*ret_date_only = c.at == c.end;
	if (*ret_date_only)
		return true;
	int64_t ns;
	if (!sign(&c, "T ") || !clock_text(&c, &ns))
		return false;
	*ret_us += ns / 1000;
	if (c.at == c.end || (sign(&c, "Zz") && c.at == c.end))
		return true;
	bool minus = c.at < c.end && *c.at == '-';
	int oh, om = 0;
	if (!sign(&c, "+-") || !digits(&c, 2, &oh))
		return false;
	if (c.at < c.end && (sign(&c, ":"), !digits(&c, 2, &om)))
		return false;
	*ret_us -= (minus ? -1 : 1) * ((int64_t)oh * 60 + om) * 60000000;
	return c.at == c.end;
}

static bool write_timestamp(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	int64_t us = 0;
	size_t at = tm_row(c, row);
	bool date_only;
	switch (c->type->kind) {
	case TM_T_DATE:
		*ret = be(w->arena, (uint64_t)(c->i32[at] * 86400000LL), 8);
		return true;
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
		us = c->i64[at];
		break;
	case TM_T_BIGINT:
		*ret = be(w->arena, (uint64_t)c->i64[at], 8);
		return true;
	default:
		if (!iso_text(c->str[at], &us, &date_only))
			return refuse(w, c, row, "timestamp");
	}
	*ret = be(w->arena, (uint64_t)tm_floor_div(us, 1000), 8);
	return true;
}

static bool write_date(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	int64_t us, days;
	size_t at = tm_row(c, row);
	bool date_only;
	switch (c->type->kind) {
	case TM_T_DATE:
	case TM_T_INT:
		days = c->i32[at];
		break;
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
		days = tm_floor_div(c->i64[at], 86400000000LL);
		break;
	default:
		if (!iso_text(c->str[at], &us, &date_only))
			return refuse(w, c, row, "date");
		days = tm_floor_div(us, 86400000000LL);
	}
	*ret = be(w->arena, (uint64_t)(days + 2147483648LL), 4);
	return true;
}

static bool write_time(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	int64_t ns;
	size_t at = tm_row(c, row);
	if (c->type->kind == TM_T_STRING) {
		struct tm_cursor cur = tm_cursor_of(tm_str_trim(c->str[at]));
		if (!clock_text(&cur, &ns) || cur.at != cur.end)
			return refuse(w, c, row, "time");
	} else {
		ns = c->i64[at];
	}
	if (ns < 0 || ns >= 86400000000000LL)
		return refuse(w, c, row, "time");
	*ret = be(w->arena, (uint64_t)ns, 8);
	return true;
}

static bool write_text(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	if (c->type->kind == TM_T_STRING || c->type->kind == TM_T_BINARY) {
		*ret = c->str[tm_row(c, row)];
		if (!ret->at)
			ret->at = "";
		return tm_utf8_valid(*ret) ? true : refuse(w, c, row, "UTF-8 text");
	}
	if (!w->value_text)
		return refuse(w, c, row, "text");
	struct tm_buf text = {0};
	w->value_text(w->session, c, row, &text);
	*ret = tm_arena_str(w->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	return true;
}

static bool write_blob(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	struct tm_str s = c->str[tm_row(c, row)];
	if (c->type->kind == TM_T_STRING && s.len >= 2 && s.at[0] == '0' && (s.at[1] | 32) == 'x') {
		char *p = tm_arena_alloc(w->arena, s.len / 2 + 1);
		if (s.len % 2)
			return refuse(w, c, row, "blob");
		for (size_t i = 2; i < s.len; i += 2) {
			if (hex(s.at[i]) < 0 || hex(s.at[i + 1]) < 0)
				return refuse(w, c, row, "blob");
			p[i / 2 - 1] = (char)(hex(s.at[i]) << 4 | hex(s.at[i + 1]));
		}
		s = tm_str_n(p, s.len / 2 - 1);
	}
	*ret = s.at ? s : tm_str_n("", 0);
	return true;
}

static bool write_inet(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	char text[64], *p = tm_arena_alloc(w->arena, 16);
	struct tm_str s = tm_str_trim(c->str[tm_row(c, row)]);
	if (s.len >= sizeof text)
		return refuse(w, c, row, "address");
	memcpy(text, s.at ? s.at : "", s.len);
	text[s.len] = 0;
	if (inet_pton(AF_INET, text, p) == 1)
		*ret = tm_str_n(p, 4);
	else if (inet_pton(AF_INET6, text, p) == 1)
		*ret = tm_str_n(p, 16);
	else
		return refuse(w, c, row, "address");
	return true;
}

static bool write_boolean(struct tm_cell_writer *w, const struct tm_column *c, size_t row, struct tm_str *ret)
{
	bool v;
	double d;
	if (c->type->kind == TM_T_STRING && tm_str_iis(c->str[tm_row(c, row)], "true"))
		v = true;
	else if (c->type->kind == TM_T_STRING && tm_str_iis(c->str[tm_row(c, row)], "false"))
		v = false;
	else if (c->type->kind != TM_T_STRING && to_double(c, row, &d))
		v = d != 0;
	else
		return refuse(w, c, row, "boolean");
	*ret = tm_str_n(v ? "\1" : "\0", 1);
	return true;
}

/* An item of a collection, tuple or UDT: length and bytes; -1 for null. */
static bool write_item(struct tm_cell_writer *w, const struct tm_column *c, size_t row, const struct tm_cql_type *to, struct tm_buf *out)
{
	if (tm_is_null(c, row)) {
		tm_buf_be32(out, UINT32_MAX);
		return true;
	}
	struct tm_str bytes;
	if (!tm_cell_write(w, c, row, to, &bytes))
		return false;
	tm_buf_be32(out, (uint32_t)bytes.len);
	tm_buf_str_put(out, bytes);
	return true;
}

static bool write_nested(struct tm_cell_writer *w, const struct tm_column *c, size_t row, const struct tm_cql_type *to, struct tm_str *ret)
{
	struct tm_buf out = {0};
	bool good = true;
	size_t at = tm_row(c, row);
	if (to->kind == TM_CQL_TUPLE || to->kind == TM_CQL_UDT) {
		for (size_t i = 0; i < to->arg_count && good; i++)
			good = write_item(w, &c->children[i], at, to->args[i], &out);
	} else {
		struct tm_span s = c->span[at];
		tm_buf_be32(&out, s.count);
		for (uint32_t i = 0; i < s.count && good; i++) {
			for (size_t k = 0; k < c->type->child_count && good; k++) {
				if (tm_is_null(&c->children[k], s.from + i)) {
					snprintf(w->why, sizeof w->why, "null inside a collection is not supported");
					good = false;
				} else {
					good = write_item(w, &c->children[k], s.from + i, to->args[k], &out);
				}
			}
		}
	}
	if (good)
		*ret = tm_arena_str(w->arena, tm_buf_str(&out));
	tm_buf_done(&out);
	return good;
}

bool tm_cell_write(struct tm_cell_writer *w, const struct tm_column *c, size_t row, const struct tm_cql_type *to, struct tm_str *ret)
{
	double d;
	__int128 v;
	switch (to->kind) {
	case TM_CQL_ASCII:
	case TM_CQL_VARCHAR:
		return write_text(w, c, row, ret);
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		return write_integer(w, c, row, 64, "bigint", ret);
	case TM_CQL_INT:
		return write_integer(w, c, row, 32, "int", ret);
	case TM_CQL_SMALLINT:
		return write_integer(w, c, row, 16, "smallint", ret);
	case TM_CQL_TINYINT:
		return write_integer(w, c, row, 8, "tinyint", ret);
	case TM_CQL_VARINT:
		if (!to_i128(c, row, &v))
			return refuse(w, c, row, "varint");
		*ret = big_integer(w->arena, v);
		return true;
	case TM_CQL_DECIMAL:
		return write_decimal(w, c, row, ret);
	case TM_CQL_DOUBLE: {
		if (!to_double(c, row, &d))
			return refuse(w, c, row, "double");
		uint64_t bits;
		memcpy(&bits, &d, 8);
		*ret = be(w->arena, bits, 8);
		return true;
	}
	case TM_CQL_FLOAT: {
		if (!to_double(c, row, &d))
			return refuse(w, c, row, "float");
		float f = (float)d;
		uint32_t bits;
		memcpy(&bits, &f, 4);
		*ret = be(w->arena, bits, 4);
		return true;
	}
	case TM_CQL_BOOLEAN:
		return write_boolean(w, c, row, ret);
	case TM_CQL_UUID:
		return write_uuid(w, c, row, false, ret);
	case TM_CQL_TIMEUUID:
		return write_uuid(w, c, row, true, ret);
	case TM_CQL_INET:
		return write_inet(w, c, row, ret);
	case TM_CQL_BLOB:
		return write_blob(w, c, row, ret);
	case TM_CQL_TIMESTAMP:
		return write_timestamp(w, c, row, ret);
	case TM_CQL_DATE:
		return write_date(w, c, row, ret);
	case TM_CQL_TIME:
		return write_time(w, c, row, ret);
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
		return write_nested(w, c, row, to, ret);
	default:
		return refuse(w, c, row, "value of this type");
	}
}
