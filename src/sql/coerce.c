/* Spark's type coercion: AnsiTypeCoercion where ANSI is on, TypeCoercion else. */
#include "sql/fn_list.h"

static bool atomic(const struct tm_type *t)
{
	return t->kind != TM_T_NULL && t->kind != TM_T_ARRAY && t->kind != TM_T_MAP && t->kind != TM_T_STRUCT && t->kind != TM_T_VARIANT &&
	       t->kind != TM_T_INTERVAL;
}
static bool fractional(const struct tm_type *t) { return t->kind == TM_T_FLOAT || t->kind == TM_T_DOUBLE; }

const struct tm_type *fn_decimal_for(struct tm_arena *arena, const struct tm_type *t)
{
	switch (t->kind) {
	case TM_T_TINYINT:
		return tm_type_decimal(arena, 3, 0);
	case TM_T_SMALLINT:
		return tm_type_decimal(arena, 5, 0);
	case TM_T_INT:
		return tm_type_decimal(arena, 10, 0);
	case TM_T_BIGINT:
		return tm_type_decimal(arena, 20, 0);
	case TM_T_FLOAT:
		return tm_type_decimal(arena, 14, 7);
	case TM_T_DOUBLE:
		return tm_type_decimal(arena, 30, 15);
	case TM_T_DECIMAL:
		return t;
	default:
		return NULL;
	}
}

static const struct tm_type *wider_decimal(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b)
{
	int scale = a->scale > b->scale ? a->scale : b->scale;
	int ra = a->precision - a->scale, rb = b->precision - b->scale, range = ra > rb ? ra : rb;
	int precision = range + scale;
	if (precision > TM_DECIMAL_MAX) { /* the whole part is kept as far as it goes */
		int cut = precision - TM_DECIMAL_MAX;
		scale = scale > cut ? scale - cut : 0;
		precision = TM_DECIMAL_MAX;
	}
	return tm_type_decimal(arena, precision, scale);
}

static const struct tm_type *common_numeric(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi)
{
	if (a->kind == TM_T_DECIMAL || b->kind == TM_T_DECIMAL) {
		if (fractional(a) || fractional(b))
			return &tm_type_double;
		return wider_decimal(arena, fn_decimal_for(arena, a), fn_decimal_for(arena, b));
	}
	const struct tm_type *wide = a->kind > b->kind ? a : b, *narrow = wide == a ? b : a;
	if (ansi && wide->kind == TM_T_FLOAT && narrow->kind != TM_T_FLOAT)
		return &tm_type_double;
	return wide;
}

static const struct tm_type *common_interval(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b)
{
	int from = a->from_field < b->from_field ? a->from_field : b->from_field,
	    to = a->to_field > b->to_field ? a->to_field : b->to_field;
	return a->kind == TM_T_INTERVAL_YM ? tm_type_interval_ym(arena, from, to) : tm_type_interval_dt(arena, from, to);
}

static const struct tm_type *common_string(const struct tm_type *other, bool ansi)
{
	if (!atomic(other))
		return NULL;
	if (!ansi)
		return other->kind == TM_T_BOOLEAN || other->kind == TM_T_BINARY ? NULL : &tm_type_string;
	if (tm_type_integral(other))
		return &tm_type_bigint;
	return tm_type_numeric(other) ? &tm_type_double : other;
}

/* strings: may a string meet another type? (greatest and least say no) */
static const struct tm_type *common(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi, bool strings)
{
	if (a->kind == TM_T_NULL || b->kind == TM_T_NULL)
		return a->kind == TM_T_NULL ? b : a;
	if (tm_type_numeric(a) && tm_type_numeric(b) && (a->kind != b->kind || a->kind == TM_T_DECIMAL))
		return common_numeric(arena, a, b, ansi);
	if (a->kind == b->kind) {
		switch (a->kind) {
		case TM_T_STRING:
			return a->length == b->length && a->fixed_length == b->fixed_length ? a : &tm_type_string;
		case TM_T_INTERVAL_YM:
		case TM_T_INTERVAL_DT:
			return common_interval(arena, a, b);
		case TM_T_TIME:
			return a->precision > b->precision ? a : b;
		case TM_T_ARRAY: {
			const struct tm_type *e = common(arena, a->children[0], b->children[0], ansi, strings);
			return e ? tm_type_array(arena, e, a->nullable[0] || b->nullable[0]) : NULL;
		}
		case TM_T_MAP: {
			const struct tm_type *k = common(arena, a->children[0], b->children[0], ansi, strings);
			const struct tm_type *v = common(arena, a->children[1], b->children[1], ansi, strings);
			return k && v ? tm_type_map(arena, k, v, a->nullable[1] || b->nullable[1]) : NULL;
		}
		case TM_T_STRUCT: {
			if (a->child_count != b->child_count)
				return NULL;
			const struct tm_type **types = TM_NEW_N(arena, const struct tm_type *, a->child_count + 1);
			bool *nulls = TM_NEW_N(arena, bool, a->child_count + 1);
			for (size_t i = 0; i < a->child_count; i++) {
				if (!tm_str_ieq(a->names[i], b->names[i]) ||
				    !(types[i] = common(arena, a->children[i], b->children[i], ansi, strings)))
					return NULL;
				nulls[i] = a->nullable[i] || b->nullable[i];
			}
			return tm_type_struct(arena, a->child_count, a->names, types, nulls);
		}
		default:
			return a;
		}
	}
	const struct tm_type *lo = a->kind < b->kind ? a : b, *hi = lo == a ? b : a;
	if (lo->kind == TM_T_STRING || hi->kind == TM_T_STRING)
		return strings ? common_string(lo->kind == TM_T_STRING ? hi : lo, ansi) : NULL;
	if (lo->kind == TM_T_DATE && (hi->kind == TM_T_TIMESTAMP || hi->kind == TM_T_TIMESTAMP_NTZ))
		return hi;
	if (lo->kind == TM_T_TIMESTAMP && hi->kind == TM_T_TIMESTAMP_NTZ)
		return lo;
	return NULL;
}

const struct tm_type *tm_type_common(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi)
{
	return common(arena, a, b, ansi, true);
}
const struct tm_type *fn_common_strict(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi)
{
	return common(arena, a, b, ansi, false);
}

/* b under the names of a, when all else is the same; else NULL. */
static const struct tm_type *renamed(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b)
{
	if (a->kind != TM_T_STRUCT || b->kind != TM_T_STRUCT)
		return tm_type_same(a, b) ? b : NULL;
	if (a->child_count != b->child_count)
		return NULL;
	const struct tm_type **types = TM_NEW_N(arena, const struct tm_type *, a->child_count + 1);
	for (size_t i = 0; i < a->child_count; i++)
		if (!(types[i] = renamed(arena, a->children[i], b->children[i])))
			return NULL;
	return tm_type_struct(arena, a->child_count, a->names, types, b->nullable);
}
const struct tm_type *fn_common_shape(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b)
{
	const struct tm_type *same = renamed(arena, a, b);
	return same ? common(arena, a, same, true, false) : NULL;
}

/* Comparisons outside ANSI read the string as the other side's type. */
const struct tm_type *fn_common_compare(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi)
{
	const struct tm_type *other = a->kind == TM_T_STRING ? b : a;
	if (!ansi && (a->kind == TM_T_STRING) != (b->kind == TM_T_STRING) && atomic(other))
		return other->kind == TM_T_DECIMAL ? &tm_type_double : other;
	if (!ansi && (a->kind == TM_T_BOOLEAN || b->kind == TM_T_BOOLEAN)) { /* true = 1 */
		other = a->kind == TM_T_BOOLEAN ? b : a;
		if (tm_type_numeric(other))
			return other;
	}
	const struct tm_type *t = common(arena, a, b, ansi, true);
	return t ? t : fn_common_shape(arena, a, b);
}

bool tm_cast_implicit(const struct tm_type *from, const struct tm_type *to, bool ansi)
{
	if (from->kind == TM_T_NULL || tm_type_same(from, to))
		return true;
	if (tm_type_numeric(from) && tm_type_numeric(to))
		return true;
	if (from->kind == TM_T_STRING)
		return atomic(to);
	if (to->kind == TM_T_STRING)
		return atomic(from);
	if (from->kind == to->kind) {
		if (from->kind == TM_T_ARRAY || from->kind == TM_T_MAP || from->kind == TM_T_STRUCT) {
			if (from->child_count != to->child_count)
				return false;
			for (size_t i = 0; i < from->child_count; i++)
				if (!tm_cast_implicit(from->children[i], to->children[i], ansi))
					return false;
		}
		return true;
	}
	bool from_time = from->kind == TM_T_DATE || from->kind == TM_T_TIMESTAMP || from->kind == TM_T_TIMESTAMP_NTZ;
	bool to_time = to->kind == TM_T_DATE || to->kind == TM_T_TIMESTAMP || to->kind == TM_T_TIMESTAMP_NTZ;
	return from_time && to_time;
}

const struct tm_type *fn_common_element(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi)
{
	return common(arena, a, b, ansi, false);
}
