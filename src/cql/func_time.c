/* Time: the clock, conversions among date, timestamp and timeuuid, and rounding down to intervals. */
#include "cql/cql_int.h"

enum { NOW_TIMEUUID, NOW_TIMESTAMP, NOW_DATE, NOW_TIME, NEW_UUID };
enum { TO_DATE, TO_TIMESTAMP, TO_UNIX };
#define UUID_EPOCH_100NS 0x01B21DD213814000LL

static const struct tm_cql_type *resolve_now(struct cql_call *c, struct tm_err *err)
{
	static const enum tm_cql_kind kinds[] = {TM_CQL_TIMEUUID, TM_CQL_TIMESTAMP, TM_CQL_DATE, TM_CQL_TIME, TM_CQL_UUID};
	(void)err;
	return tm_type_native(kinds[cql_function_find(c->expr->text)->what]);
}

static struct tm_str timeuuid(struct tm_arena *arena, int64_t t100, const uint8_t tail[8])
{
	uint64_t t = (uint64_t)t100, m = t << 32 | (t >> 16 & 0xFFFF0000ull) | 0x1000 | (t >> 48 & 0xFFF);
	m = __builtin_bswap64(m);
	char *out = tm_arena_alloc(arena, 16);
	memcpy(out, &m, 8);
	memcpy(out + 8, tail, 8);
	return tm_str_n(out, 16);
}

static tm_rc run_now(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		     struct tm_err *err)
{
	(void)a, (void)err;
	const struct tm_env *env = tm_store_env(ev->session->store);
	int64_t us = n->what == NOW_TIMEUUID ? tm_store_now_us(ev->session->store) : tm_now_us(env);
	uint8_t random[16];
	*ret = (struct tm_cql_value){0};
	switch (n->what) {
	case NOW_TIMEUUID:
		tm_random(env, random, 8);
		random[0] = (uint8_t)((random[0] & 0x3F) | 0x80);
		ret->bytes = timeuuid(ev->arena, us * 10 + UUID_EPOCH_100NS, random);
		break;
	case NOW_TIMESTAMP:
		ret->bytes = cql_be64(ev->arena, us / 1000);
		break;
	case NOW_DATE:
		ret->bytes = cql_be32(ev->arena, (int32_t)(uint32_t)(us / 86400000000LL + 2147483648LL));
		break;
	case NOW_TIME:
		ret->bytes = cql_be64(ev->arena, us % 86400000000LL * 1000);
		break;
	default:
		tm_random(env, random, 16);
		random[6] = (uint8_t)((random[6] & 0x0F) | 0x40);
		random[8] = (uint8_t)((random[8] & 0x3F) | 0x80);
		ret->bytes = tm_arena_str(ev->arena, tm_str_n((char *)random, 16));
	}
	return TM_OK;
}

static const struct tm_cql_type *resolve_convert(struct cql_call *c, struct tm_err *err)
{
	static const enum tm_cql_kind kinds[] = {TM_CQL_DATE, TM_CQL_TIMESTAMP, TM_CQL_BIGINT};
	(void)err;
	int what = cql_function_find(c->expr->text)->what;
	const struct tm_cql_type *t = c->types[0] = c->natural[0];
	if (t && t->kind == TM_CQL_BIGINT)
		t = c->types[0] = tm_type_native(TM_CQL_TIMESTAMP);
	bool ok = t && (t->kind == TM_CQL_TIMEUUID || (t->kind == TM_CQL_TIMESTAMP && what != TO_TIMESTAMP) ||
			(t->kind == TM_CQL_DATE && what != TO_DATE));
	return ok && c->args[0]->kind != CQL_E_STRING ? tm_type_native(kinds[what]) : NULL;
}

static int64_t ms_of(const struct tm_cql_type *t, struct tm_str b)
{
	if (t->kind == TM_CQL_TIMEUUID) {
		int64_t v = tm_value_timeuuid_100ns(b.at) - UUID_EPOCH_100NS;
		return v >= 0 ? v / 10000 : -((9999 - v) / 10000);
	}
	return t->kind == TM_CQL_DATE ? ((int64_t)(uint32_t)cql_int_of(b) - 2147483648LL) * 86400000 : cql_int_of(b);
}

static tm_rc run_convert(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			 struct tm_err *err)
{
	(void)err;
	int64_t ms = ms_of(n->args[0]->type, a[0].bytes);
	*ret = (struct tm_cql_value){.bytes = n->what == TO_DATE
						  ? cql_be32(ev->arena, (int32_t)(uint32_t)(tm_floor_div(ms, 86400000) + 2147483648LL))
						  : cql_be64(ev->arena, ms)};
	return TM_OK;
}

static const struct tm_cql_type *resolve_minmax(struct cql_call *c, struct tm_err *err)
{
	(void)err;
	c->types[0] = tm_type_native(TM_CQL_TIMESTAMP);
	return cql_assignable(c->scope, c->args[0], c->types[0]) ? tm_type_native(TM_CQL_TIMEUUID) : NULL;
}

static tm_rc run_minmax(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			struct tm_err *err)
{
	(void)err;
	static const uint8_t low[8] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
			     high[8] = {0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F};
	int64_t t = cql_int_of(a[0].bytes) * 10000 + UUID_EPOCH_100NS + (n->what ? 9999 : 0);
	*ret = (struct tm_cql_value){.bytes = timeuuid(ev->arena, t, n->what ? high : low)};
	return TM_OK;
}

/* floor(time, duration [, start]) */
static const struct tm_cql_type *resolve_floor(struct cql_call *c, struct tm_err *err)
{
	(void)err;
	const struct tm_cql_type *t = c->natural[0] ? c->natural[0] : c->wanted;
	if (t && (t->kind == TM_CQL_ASCII || t->kind == TM_CQL_VARCHAR) && c->wanted)
		t = c->wanted;
	bool ok = t && (t->kind == TM_CQL_TIMESTAMP || t->kind == TM_CQL_DATE || t->kind == TM_CQL_TIMEUUID ||
			(t->kind == TM_CQL_TIME && c->arg_count == 2));
	if (!ok)
		return NULL;
	c->types[0] = t;
	c->types[1] = tm_type_native(TM_CQL_DURATION);
	if (!cql_assignable(c->scope, c->args[1], c->types[1]))
		return NULL;
	const struct tm_cql_type *result = t->kind == TM_CQL_TIMEUUID ? tm_type_native(TM_CQL_TIMESTAMP) : t;
	if (c->arg_count == 3) {
		c->types[2] = t->kind == TM_CQL_TIMEUUID ? tm_type_native(TM_CQL_TIMESTAMP) : t;
		if (!cql_assignable(c->scope, c->args[2], c->types[2]))
			return NULL;
	}
	return result;
}

static tm_rc floor_failed(const struct cql_node *n, const char *why, struct tm_err *err)
{
	return cql_fail(err, CQL_CODE_FUNCTION, "execution of 'system.%s[%s, duration]' failed: %s", n->function->name,
			tm_type_native_name(n->args[0]->type->kind), why);
}

static tm_rc run_floor(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		       struct tm_err *err)
{
	struct cql_duration d;
	const struct tm_cql_type *t = n->args[0]->type;
	if (!cql_duration_of(a[1].bytes, &d))
		return floor_failed(n, "no duration", err);
	if (d.months < 0 || d.days < 0 || d.nanos < 0)
		return cql_fail(err, CQL_CODE_INVALID, "Negative durations are not supported by the floor function");
	if (t->kind == TM_CQL_TIME) {
		if (d.months || d.days)
			return cql_fail(err, CQL_CODE_INVALID,
					"For time values, the floor can only be computed for durations smaller that a day");
		int64_t v = cql_int_of(a[0].bytes);
		if (d.nanos > 86400000000000)
			return cql_fail(err, CQL_CODE_INVALID,
					"For time values, the floor can only be computed for durations smaller that a day");
		*ret = (struct tm_cql_value){.bytes = cql_be64(ev->arena, d.nanos ? v - v % d.nanos : v)};
		return TM_OK;
	}
	if (d.nanos % 1000000)
		return cql_fail(err, CQL_CODE_INVALID,
				"The floor cannot be computed for the %s duration as precision is below 1 millisecond",
				tm_arena_cstr(ev->arena, TM_STR("given")));
	if (t->kind == TM_CQL_DATE && d.nanos)
		return cql_fail(err, CQL_CODE_INVALID,
				"The floor on date values cannot be computed for the given duration as precision is below 1 day");
	int64_t ms = ms_of(t, a[0].bytes), start = n->arg_count == 3 ? ms_of(n->args[2]->type, a[2].bytes) : 0;
	if (ms < start)
		return cql_fail(err, CQL_CODE_INVALID, "The floor function starting time is greater than the provided time");
	if (d.months) {
		int64_t y0, y1;
		int m0, d0, m1, d1;
		tm_civil_of(tm_floor_div(start, 86400000), &y0, &m0, &d0);
		tm_civil_of(tm_floor_div(ms, 86400000), &y1, &m1, &d1);
		int64_t months = (y1 * 12 + m1) - (y0 * 12 + m0);
		if (d1 < d0)
			months--;
		months = tm_floor_div(months, d.months) * d.months;
		int64_t total = y0 * 12 + (m0 - 1) + months, y = tm_floor_div(total, 12);
		ms = tm_date_days(y, (int)(total - y * 12) + 1, d0) * 86400000 + (start - tm_floor_div(start, 86400000) * 86400000);
	} else {
		int64_t step = d.days * 86400000LL + d.nanos / 1000000;
		if (step)
			ms = start + tm_floor_div(ms - start, step) * step;
	}
	*ret = (struct tm_cql_value){.bytes = n->type->kind == TM_CQL_DATE
						  ? cql_be32(ev->arena, (int32_t)(uint32_t)(tm_floor_div(ms, 86400000) + 2147483648LL))
						  : cql_be64(ev->arena, ms)};
	return TM_OK;
}

#define F(name, min, max, resolve, run, what)                                                                                              \
	{                                                                                                                                  \
		name, min, max, resolve, run, false, CQL_SCALAR, what                                                                      \
	}
const struct cql_function cql_functions_time[] = {
    F("now", 0, 0, resolve_now, run_now, NOW_TIMEUUID),
    F("currenttimeuuid", 0, 0, resolve_now, run_now, NOW_TIMEUUID),
    F("current_timeuuid", 0, 0, resolve_now, run_now, NOW_TIMEUUID),
    F("currenttimestamp", 0, 0, resolve_now, run_now, NOW_TIMESTAMP),
    F("current_timestamp", 0, 0, resolve_now, run_now, NOW_TIMESTAMP),
    F("currentdate", 0, 0, resolve_now, run_now, NOW_DATE),
    F("current_date", 0, 0, resolve_now, run_now, NOW_DATE),
    F("currenttime", 0, 0, resolve_now, run_now, NOW_TIME),
    F("current_time", 0, 0, resolve_now, run_now, NOW_TIME),
    F("uuid", 0, 0, resolve_now, run_now, NEW_UUID),
    F("todate", 1, 1, resolve_convert, run_convert, TO_DATE),
    F("to_date", 1, 1, resolve_convert, run_convert, TO_DATE),
    F("totimestamp", 1, 1, resolve_convert, run_convert, TO_TIMESTAMP),
    F("to_timestamp", 1, 1, resolve_convert, run_convert, TO_TIMESTAMP),
    F("tounixtimestamp", 1, 1, resolve_convert, run_convert, TO_UNIX),
    F("to_unix_timestamp", 1, 1, resolve_convert, run_convert, TO_UNIX),
    F("mintimeuuid", 1, 1, resolve_minmax, run_minmax, 0),
    F("min_timeuuid", 1, 1, resolve_minmax, run_minmax, 0),
    F("maxtimeuuid", 1, 1, resolve_minmax, run_minmax, 1),
    F("max_timeuuid", 1, 1, resolve_minmax, run_minmax, 1),
    F("floor", 2, 3, resolve_floor, run_floor, 0),
    {0},
};
