/* Making, comparing and printing types. */
#include "column/type.h"

#define SIMPLE(name, k) const struct tm_type tm_type_##name = {.kind = TM_T_##k}
SIMPLE(null, NULL);
SIMPLE(boolean, BOOLEAN);
SIMPLE(tinyint, TINYINT);
SIMPLE(smallint, SMALLINT);
SIMPLE(int, INT);
SIMPLE(bigint, BIGINT);
SIMPLE(float, FLOAT);
SIMPLE(double, DOUBLE);
SIMPLE(string, STRING);
SIMPLE(binary, BINARY);
SIMPLE(date, DATE);
SIMPLE(timestamp, TIMESTAMP);
SIMPLE(timestamp_ntz, TIMESTAMP_NTZ);
SIMPLE(interval, INTERVAL);
SIMPLE(variant, VARIANT);

static struct tm_type *make(struct tm_arena *arena, enum tm_type_kind kind)
{
	struct tm_type *t = TM_NEW(arena, struct tm_type);
	t->kind = kind;
	return t;
}

const struct tm_type *tm_type_decimal(struct tm_arena *arena, int precision, int scale)
{
	TM_ASSERT(precision >= 0 && precision <= 38 && scale >= 0 && scale <= 38);
	struct tm_type *t = make(arena, TM_T_DECIMAL);
	t->precision = (uint8_t)precision;
	t->scale = (uint8_t)scale;
	return t;
}

static struct tm_type *nested(struct tm_arena *arena, enum tm_type_kind kind, size_t n, const struct tm_str *names,
			      const struct tm_type *const *types, const bool *nullable)
{
	struct tm_type *t = make(arena, kind);
	const struct tm_type **children = TM_NEW_N(arena, const struct tm_type *, n ? n : 1);
	bool *nulls = TM_NEW_N(arena, bool, n ? n : 1);
	struct tm_str *copies = names ? TM_NEW_N(arena, struct tm_str, n ? n : 1) : NULL;
	for (size_t i = 0; i < n; i++) {
		children[i] = types[i];
		nulls[i] = nullable ? nullable[i] : true;
		if (names)
			copies[i] = tm_arena_str(arena, names[i]);
	}
	t->child_count = n;
	t->children = children;
	t->names = copies;
	t->nullable = nulls;
	return t;
}

const struct tm_type *tm_type_array(struct tm_arena *arena, const struct tm_type *element, bool contains_null)
{
	return nested(arena, TM_T_ARRAY, 1, NULL, &element, &contains_null);
}

const struct tm_type *tm_type_map(struct tm_arena *arena, const struct tm_type *key, const struct tm_type *value, bool value_contains_null)
{
	return nested(arena, TM_T_MAP, 2, NULL, (const struct tm_type *const[]){key, value}, (const bool[]){false, value_contains_null});
}

const struct tm_type *tm_type_struct(struct tm_arena *arena, size_t n, const struct tm_str *names, const struct tm_type *const *types,
				     const bool *nullable)
{
	return nested(arena, TM_T_STRUCT, n, names, types, nullable);
}

static const struct tm_type *with_fields(struct tm_arena *arena, enum tm_type_kind kind, enum tm_interval_field from,
					 enum tm_interval_field to)
{
	struct tm_type *t = make(arena, kind);
	t->from_field = (uint8_t)from;
	t->to_field = (uint8_t)to;
	return t;
}

const struct tm_type *tm_type_interval_ym(struct tm_arena *arena, enum tm_interval_field from, enum tm_interval_field to)
{
	return with_fields(arena, TM_T_INTERVAL_YM, from, to);
}

const struct tm_type *tm_type_interval_dt(struct tm_arena *arena, enum tm_interval_field from, enum tm_interval_field to)
{
	return with_fields(arena, TM_T_INTERVAL_DT, from, to);
}

const struct tm_type *tm_type_time(struct tm_arena *arena, int precision)
{
	struct tm_type *t = make(arena, TM_T_TIME);
	t->precision = (uint8_t)precision;
	return t;
}

const struct tm_type *tm_type_copy(struct tm_arena *arena, const struct tm_type *type)
{
	if (type->child_count == 0 && type->kind != TM_T_STRUCT) {
		struct tm_type *t = TM_NEW(arena, struct tm_type);
		*t = *type;
		return t;
	}
	const struct tm_type **children = TM_NEW_N(arena, const struct tm_type *, type->child_count ? type->child_count : 1);
	for (size_t i = 0; i < type->child_count; i++)
		children[i] = tm_type_copy(arena, type->children[i]);
	return nested(arena, type->kind, type->child_count, type->names, children, type->nullable);
}

static bool equal(const struct tm_type *a, const struct tm_type *b, bool strict)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->precision != b->precision || a->scale != b->scale || a->from_field != b->from_field ||
	    a->to_field != b->to_field || a->child_count != b->child_count ||
	    (strict && (a->length != b->length || a->fixed_length != b->fixed_length)))
		return false;
	for (size_t i = 0; i < a->child_count; i++) {
		if (!equal(a->children[i], b->children[i], strict) || (strict && a->nullable[i] != b->nullable[i]))
			return false;
		if (a->kind == TM_T_STRUCT && !(strict ? tm_str_eq(a->names[i], b->names[i]) : tm_str_ieq(a->names[i], b->names[i])))
			return false;
	}
	return true;
}

bool tm_type_eq(const struct tm_type *a, const struct tm_type *b) { return equal(a, b, true); }
bool tm_type_same(const struct tm_type *a, const struct tm_type *b) { return equal(a, b, false); }
bool tm_type_integral(const struct tm_type *t) { return t->kind >= TM_T_TINYINT && t->kind <= TM_T_BIGINT; }
bool tm_type_numeric(const struct tm_type *t) { return t->kind >= TM_T_TINYINT && t->kind <= TM_T_DECIMAL; }

bool tm_type_orderable(const struct tm_type *t)
{
	if (t->kind == TM_T_MAP || t->kind == TM_T_VARIANT || t->kind == TM_T_INTERVAL)
		return false;
	for (size_t i = 0; i < t->child_count; i++)
		if (!tm_type_orderable(t->children[i]))
			return false;
	return true;
}

size_t tm_type_width(const struct tm_type *t)
{
	static const uint8_t widths[TM_T_KIND_COUNT] = {
	    [TM_T_BOOLEAN] = 1,
	    [TM_T_TINYINT] = 1,
	    [TM_T_SMALLINT] = 2,
	    [TM_T_INT] = 4,
	    [TM_T_BIGINT] = 8,
	    [TM_T_FLOAT] = 4,
	    [TM_T_DOUBLE] = 8,
	    [TM_T_DECIMAL] = 16,
	    [TM_T_STRING] = sizeof(struct tm_str),
	    [TM_T_BINARY] = sizeof(struct tm_str),
	    [TM_T_DATE] = 4,
	    [TM_T_TIMESTAMP] = 8,
	    [TM_T_TIMESTAMP_NTZ] = 8,
	    [TM_T_TIME] = 8,
	    [TM_T_INTERVAL_YM] = 4,
	    [TM_T_INTERVAL_DT] = 8,
	    [TM_T_INTERVAL] = sizeof(struct tm_interval),
	    [TM_T_VARIANT] = sizeof(struct tm_str),
	    [TM_T_ARRAY] = sizeof(struct tm_span),
	    [TM_T_MAP] = sizeof(struct tm_span),
	};
	return widths[t->kind];
}

static const char *const simple_names[TM_T_KIND_COUNT] = {
    [TM_T_NULL] = "void",
    [TM_T_BOOLEAN] = "boolean",
    [TM_T_TINYINT] = "tinyint",
    [TM_T_SMALLINT] = "smallint",
    [TM_T_INT] = "int",
    [TM_T_BIGINT] = "bigint",
    [TM_T_FLOAT] = "float",
    [TM_T_DOUBLE] = "double",
    [TM_T_STRING] = "string",
    [TM_T_BINARY] = "binary",
    [TM_T_DATE] = "date",
    [TM_T_TIMESTAMP] = "timestamp",
    [TM_T_TIMESTAMP_NTZ] = "timestamp_ntz",
    [TM_T_INTERVAL] = "interval",
    [TM_T_VARIANT] = "variant",
};
static const char *const field_names[] = {"year", "month", "day", "hour", "minute", "second"};

static void word(struct tm_buf *out, const char *s, bool upper)
{
	for (; *s; s++)
		tm_buf_char(out, upper && *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s);
}

static bool plain_name(struct tm_str name)
{
	if (name.len == 0)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

static void name_put(struct tm_buf *out, struct tm_str name, bool sql)
{
	if (!sql || plain_name(name)) {
		tm_buf_str_put(out, name);
		return;
	}
	tm_buf_char(out, '`');
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '`')
			tm_buf_char(out, '`');
		tm_buf_char(out, name.at[i]);
	}
	tm_buf_char(out, '`');
}

static void text(const struct tm_type *t, struct tm_buf *out, bool sql)
{
	switch (t->kind) {
	case TM_T_DECIMAL:
		word(out, "decimal", sql);
		tm_buf_printf(out, "(%d,%d)", t->precision, t->scale);
		return;
	case TM_T_TIME:
		word(out, "time", sql);
		tm_buf_printf(out, "(%d)", t->precision);
		return;
	case TM_T_STRING:
		word(out, !t->length ? "string" : t->fixed_length ? "char" : "varchar", sql);
		if (t->length)
			tm_buf_printf(out, "(%d)", t->length);
		return;
	case TM_T_INTERVAL_YM:
	case TM_T_INTERVAL_DT:
		word(out, "interval ", sql);
		word(out, field_names[t->from_field], sql);
		if (t->from_field != t->to_field) {
			word(out, " to ", sql);
			word(out, field_names[t->to_field], sql);
		}
		return;
	case TM_T_ARRAY:
	case TM_T_MAP:
		word(out, t->kind == TM_T_MAP ? "map<" : "array<", sql);
		for (size_t i = 0; i < t->child_count; i++) {
			if (i)
				tm_buf_cstr_put(out, sql ? ", " : ",");
			text(t->children[i], out, sql);
		}
		tm_buf_char(out, '>');
		return;
	case TM_T_STRUCT:
		word(out, "struct<", sql);
		for (size_t i = 0; i < t->child_count; i++) {
			if (i)
				tm_buf_cstr_put(out, sql ? ", " : ",");
			name_put(out, t->names[i], sql);
			tm_buf_cstr_put(out, sql ? ": " : ":");
			text(t->children[i], out, sql);
			if (sql && !t->nullable[i])
				tm_buf_cstr_put(out, " NOT NULL");
		}
		tm_buf_char(out, '>');
		return;
	default:
		word(out, simple_names[t->kind], sql);
	}
}

void tm_type_text(const struct tm_type *t, struct tm_buf *out) { text(t, out, false); }
void tm_type_sql(const struct tm_type *t, struct tm_buf *out) { text(t, out, true); }
