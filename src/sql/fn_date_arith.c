/* Arithmetic with dates, timestamps and intervals. */
#include "sql/fn_arith.h"
#include <math.h>

static bool is_interval(const struct tm_type *t)
{
	return t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT || t->kind == TM_T_INTERVAL;
}
static bool is_stamp(const struct tm_type *t) { return t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ; }

static tm_rc time_overflow(struct tm_eval *ev, const struct tm_expr *call)
{
	(void)call;
	return tm_fail_class(ev->err, TM_DATA, "DATETIME_OVERFLOW", "22008", "Datetime operation overflow.");
}
/* try_add and the like: null instead. bound of all kernels here: struct fn_arith. */
static bool tries(const struct tm_expr *call) { return call->bound && ((const struct fn_arith *)call->bound)->mode == TM_CAST_TRY; }
static bool subtracts(const struct tm_expr *call) { return call->bound && ((const struct fn_arith *)call->bound)->op == FN_SUB; }
#define OR_NULL(rc_expr)                                                                                                                   \
	do {                                                                                                                               \
		if (!tries(call))                                                                                                          \
			return (rc_expr);                                                                                                  \
		fn_null(ev, ret, i);                                                                                                       \
	} while (0)

/* Of the three kinds of days; tm_value_integer asks for more in a loop that does nothing else. */
static int64_t small_int(const struct tm_column *c, size_t i)
{
	i = tm_row(c, i);
	return c->type->kind == TM_T_TINYINT ? c->i8[i] : c->type->kind == TM_T_SMALLINT ? c->i16[i] : c->i32[i];
}

/* ---- dates and days ---- */
KERNEL(date_plus)
{
	bool minus = subtracts(call);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t v = AT(0, i32, i), d = small_int(&args[1], i);
		ret->i32[i] = (int32_t)(minus ? v - d : v + d);
	}
	return TM_OK;
}
KERNEL(date_minus_date)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	if (!tm_micros_of((int64_t)AT(0, i32, i) - AT(1, i32, i), 0, &ret->i64[i]))
		OR_NULL(fn_long_overflow(ev));
	return TM_OK;
}
KERNEL(date_plus_months)
{
	bool minus = subtracts(call);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t days = tm_add_months(AT(0, i32, i), minus ? -(int64_t)AT(1, i32, i) : AT(1, i32, i));
		ret->i32[i] = (int32_t)days;
		if (ret->i32[i] != days)
			OR_NULL(fn_overflow(ev, "integer ", NULL));
	}
	return TM_OK;
}
KERNEL(date_plus_day_time) /* whole days */
{
	bool minus = subtracts(call);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t days = AT(1, i64, i) / TM_US_DAY;
		ret->i32[i] = (int32_t)(AT(0, i32, i) + (minus ? -days : days));
	}
	return TM_OK;
}
KERNEL(date_plus_interval)
{
	int64_t sign = subtracts(call) ? -1 : 1;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_interval v = AT(1, interval, i);
		if (v.micros && ev->session->ansi)
			return tm_fail_class(ev->err, TM_DATA, "ILLEGAL_DATE_INTERVAL", "22023",
					     "Cannot add hours, minutes or seconds, milliseconds, microseconds to a date.");
		int64_t days = tm_add_months(AT(0, i32, i), sign * v.months) + sign * v.days, us;
		if (__builtin_mul_overflow(sign, v.micros, &us)) {
			OR_NULL(fn_interval_overflow(ev, NULL));
			continue;
		}
		days += tm_micros_to_days(us); /* from the day's begin, which may lead to the day before */
		ret->i32[i] = (int32_t)days;
		if (ret->i32[i] != days)
			OR_NULL(fn_overflow(ev, "integer ", NULL));
	}
	return TM_OK;
}

/* ---- timestamps ---- months and days move the local clock, the rest the instant */
static bool shift(const struct tm_sql_zone *zone, int64_t us, int64_t months, int64_t days, int64_t micros, int64_t *ret)
{
	if (months || days) {
		int64_t local = tm_sql_zone_to_local(zone, us), day = tm_micros_to_days(local), rest = tm_floor_mod(local, TM_US_DAY);
		day = (months ? tm_add_months(day, months) : day) + days;
		if (!tm_micros_of(day, rest, &local))
			return false;
		us = tm_sql_zone_to_utc(zone, local);
	}
	return !__builtin_add_overflow(us, micros, ret);
}
bool fn_timestamp_shift(const struct tm_sql_zone *zone, int64_t us, struct tm_interval v, int64_t *ret)
{
	return shift(zone, us, v.months, v.days, v.micros, ret);
}

static const struct tm_sql_zone *zone_of(struct tm_eval *ev, const struct tm_type *t)
{
	return t->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
}

KERNEL(stamp_plus)
{
	const struct tm_sql_zone *zone = zone_of(ev, args[0].type);
	int64_t sign = subtracts(call) ? -1 : 1;
	enum tm_type_kind kind = args[1].type->kind;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_interval v = {0};
		int64_t days = 0, micros = 0, months = 0;
		if (kind == TM_T_INTERVAL) {
			v = AT(1, interval, i);
			months = v.months;
			days = v.days;
			micros = v.micros;
		} else if (kind == TM_T_INTERVAL_YM) {
			months = AT(1, i32, i);
		} else {
			micros = AT(1, i64, i);
			days = micros / TM_US_DAY;
			micros %= TM_US_DAY;
		}
		if (__builtin_mul_overflow(sign, micros, &micros) ||
		    !shift(zone, AT(0, i64, i), sign * months, sign * days, micros, &ret->i64[i]))
			OR_NULL(time_overflow(ev, call));
	}
	return TM_OK;
}
KERNEL(stamp_minus_stamp)
{
	fn_begin(ev, call, args, ret);
	const struct tm_sql_zone *zone = zone_of(ev, args[0].type);
	FN_ROWS(i)
	{
		int64_t a = tm_sql_zone_to_local(zone, AT(0, i64, i)), b = tm_sql_zone_to_local(zone, AT(1, i64, i));
		if (__builtin_sub_overflow(a, b, &ret->i64[i]))
			OR_NULL(fn_interval_overflow(ev, NULL));
	}
	return TM_OK;
}

/* ---- intervals ---- */
KERNEL(interval_plus)
{
	bool minus = subtracts(call), ym = call->type->kind == TM_T_INTERVAL_YM;
	const char *function = minus ? "try_subtract" : "try_add";
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		bool over;
		if (call->type->kind == TM_T_INTERVAL) {
			struct tm_interval a = AT(0, interval, i), b = AT(1, interval, i), r;
			bool months = minus ? __builtin_sub_overflow(a.months, b.months, &r.months)
					    : __builtin_add_overflow(a.months, b.months, &r.months);
			bool days =
			    minus ? __builtin_sub_overflow(a.days, b.days, &r.days) : __builtin_add_overflow(a.days, b.days, &r.days);
			bool micros = minus ? __builtin_sub_overflow(a.micros, b.micros, &r.micros)
					    : __builtin_add_overflow(a.micros, b.micros, &r.micros);
			over = months || days || micros;
			ret->interval[i] = r;
		} else if (ym) {
			over = minus ? __builtin_sub_overflow(AT(0, i32, i), AT(1, i32, i), &ret->i32[i])
				     : __builtin_add_overflow(AT(0, i32, i), AT(1, i32, i), &ret->i32[i]);
		} else {
			over = minus ? __builtin_sub_overflow(AT(0, i64, i), AT(1, i64, i), &ret->i64[i])
				     : __builtin_add_overflow(AT(0, i64, i), AT(1, i64, i), &ret->i64[i]);
		}
		if (over)
			OR_NULL(fn_interval_overflow(ev, function));
	}
	return TM_OK;
}

/* By a DOUBLE or a DECIMAL (38, 18 at most): rounded half up. */
static bool scale_interval(struct tm_eval *ev, const struct tm_column *by, size_t i, i128 v, bool divide, i128 *ret, bool *ret_zero)
{
	(void)ev;
	*ret_zero = false;
	i = tm_row(by, i);
	if (by->type->kind == TM_T_DOUBLE) {
		double d = by->f64[i];
		*ret_zero = divide && d == 0;
		double r = divide ? (double)v / d : (double)v * d;
		if (*ret_zero || !(fabs(r) < 9223372036854775808.0))
			return false;
		*ret = (i128)llround(r);
		return true;
	}
	i128 d = by->type->kind == TM_T_DECIMAL ? by->i128[i] : by->i64[i];
	int scale = by->type->kind == TM_T_DECIMAL ? by->type->scale : 0;
	*ret_zero = divide && d == 0;
	if (*ret_zero)
		return false;
	return divide ? tm_decimal_divide(v, 0, d, scale, 38, 0, ret) : tm_decimal_multiply(v, 0, d, scale, 38, 0, ret);
}
KERNEL(interval_times)
{
	bool divide = ((const struct fn_arith *)call->bound)->op == FN_DIV, ym = call->type->kind == TM_T_INTERVAL_YM;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		i128 v = ym ? AT(0, i32, i) : AT(0, i64, i), r = 0;
		bool zero, ok = scale_interval(ev, &args[1], i, v, divide, &r, &zero);
		if (zero)
			OR_NULL(tm_fail_class(ev->err, TM_DATA, "INTERVAL_DIVIDED_BY_ZERO", "22012",
					      "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead."));
		else if (!ok || (ym ? r != (int32_t)r : r != (int64_t)r))
			OR_NULL(fn_interval_overflow(ev, divide ? "try_divide" : "try_multiply"));
		if (ym)
			ret->i32[i] = (int32_t)r;
		else
			ret->i64[i] = (int64_t)r;
	}
	return TM_OK;
}

/* ---- binding ---- */
static void swap_args(struct tm_fn_bind *b)
{
	/* The kernels want the time first; the analyser passes the arguments as written, so the call is rewritten. */
	struct tm_fn_arg a = b->args[0];
	b->args[0] = b->args[1];
	b->args[1] = a;
}

static tm_rc differ(struct tm_fn_bind *b, struct tm_err *err)
{
	struct tm_str l = fn_type_sql(b->arena, b->args[0].type), r = fn_type_sql(b->arena, b->args[1].type);
	return fn_mismatch(b, err, "BINARY_OP_DIFF_TYPES",
			   "the left and right operands of the binary operator have incompatible types (\"%.*s\" and \"%.*s\").",
			   TM_STR_ARG(l), TM_STR_ARG(r));
}

static bool end(struct tm_fn_bind *b, const struct tm_kernel *k, const struct tm_type *t)
{
	return fn_is(b, k, t, tries(&(struct tm_expr){.bound = b->bound}) || fn_any_nullable(b)) == TM_OK;
}

/* Time (date or timestamp) first, interval second. */
static bool time_and_interval(struct tm_fn_bind *b)
{
	const struct tm_type *t = b->args[0].type, *v = b->args[1].type;
	if (t->kind != TM_T_DATE)
		return end(b, &tm_k_stamp_plus, t);
	if (v->kind == TM_T_INTERVAL_YM)
		return end(b, &tm_k_date_plus_months, t);
	if (v->kind == TM_T_INTERVAL)
		return end(b, &tm_k_date_plus_interval, t);
	if (v->from_field == TM_F_DAY && v->to_field == TM_F_DAY)
		return end(b, &tm_k_date_plus_day_time, t);
	b->cast[0] = &tm_type_timestamp;
	return end(b, &tm_k_stamp_plus, &tm_type_timestamp);
}

/* A text that is a timestamp stays a text: CAST(CAST(text AS TIMESTAMP) + interval AS STRING). */
static tm_rc text_and_interval(struct tm_fn_bind *b, struct tm_err *err)
{
	bool try_form = tries(&(struct tm_expr){.bound = b->bound});
	enum tm_cast_mode mode = try_form ? TM_CAST_TRY : b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY;
	struct tm_expr *args[2] = {NULL, b->args[1].expr}, *moved;
	TM_TRY(tm_cast_bind(b->arena, b->session, b->args[0].expr, &tm_type_timestamp, mode, &args[0], err));
	TM_TRY(fn_call(b, b->fn->name, args, 2, &moved, err));
	return tm_cast_bind(b->arena, b->session, moved, &tm_type_string, mode, &b->replacement, err);
}

static bool interval_and_number(struct tm_fn_bind *b, enum fn_arith_op op)
{
	const struct tm_type *v = b->args[0].type, *n = b->args[1].type;
	if ((op != FN_MUL && op != FN_DIV) || v->kind == TM_T_INTERVAL ||
	    !(tm_type_numeric(n) || n->kind == TM_T_STRING || n->kind == TM_T_NULL))
		return false;
	if (n->kind != TM_T_DECIMAL && n->kind != TM_T_BIGINT && n->kind != TM_T_DOUBLE)
		b->cast[1] = tm_type_integral(n) ? &tm_type_bigint : &tm_type_double;
	const struct tm_type *t = v->kind == TM_T_INTERVAL_YM ? tm_type_interval_ym(b->arena, TM_F_YEAR, TM_F_MONTH)
							      : tm_type_interval_dt(b->arena, TM_F_DAY, TM_F_SECOND);
	return end(b, &tm_k_interval_times, t);
}

#define TIMESTAMPS "(\"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)\")"

tm_rc fn_bind_time_arith(struct tm_fn_bind *b, enum fn_arith_op op, bool try_form, bool *ret_done, struct tm_err *err)
{
	const struct tm_type *l = b->args[0].type, *r = b->args[1].type;
	bool l_time = l->kind == TM_T_DATE || is_stamp(l), r_time = r->kind == TM_T_DATE || is_stamp(r);
	*ret_done = false;
	if (!l_time && !r_time && !is_interval(l) && !is_interval(r))
		return TM_OK;
	struct fn_arith *bound = TM_NEW(b->arena, struct fn_arith);
	bound->op = op;
	bound->mode = try_form ? TM_CAST_TRY : TM_CAST_ANSI;
	b->bound = bound;
	*ret_done = true;
	bool sum = op == FN_ADD || op == FN_SUB;
	bool swap = (op == FN_ADD && (is_interval(l) ? r_time || r->kind == TM_T_STRING : r_time && !l_time)) ||
		    (op == FN_MUL && is_interval(r) && !is_interval(l));
	if (swap) {
		struct tm_expr *args[2] = {b->args[1].expr, b->args[0].expr}, *e;
		swap_args(b);
		TM_TRY(fn_call(b, b->fn->name, args, 2, &e, err));
		b->replacement = e;
		swap_args(b);
		return TM_OK;
	}
	for (size_t i = 0; i < 2; i++) /* a null takes the type that makes sense */
		if (b->args[i].type->kind == TM_T_NULL)
			b->cast[i] = b->args[1 - i].type;
	if (op == FN_ADD && l_time && r->kind == TM_T_NULL) { /* an interval, with which a date is a timestamp */
		b->cast[0] = l->kind == TM_T_DATE ? &tm_type_timestamp : NULL;
		b->cast[1] = &tm_type_interval;
	}
	l = fn_type(b, 0);
	r = fn_type(b, 1);
	l_time = l->kind == TM_T_DATE || is_stamp(l) || (l->kind == TM_T_STRING && (is_interval(r) || op == FN_SUB));
	r_time = r->kind == TM_T_DATE || is_stamp(r);
	if (sum && l->kind == TM_T_STRING && is_interval(r))
		return r->kind == TM_T_INTERVAL_YM ? differ(b, err) : text_and_interval(b, err);
	if (sum && l_time && is_interval(r))
		return time_and_interval(b) ? TM_OK : differ(b, err);
	if (sum && l->kind == TM_T_DATE && (r->kind == TM_T_INT || r->kind == TM_T_SMALLINT || r->kind == TM_T_TINYINT)) {
		end(b, &tm_k_date_plus, l);
		return TM_OK;
	}
	if (l->kind == TM_T_DATE && (op == FN_ADD || (op == FN_SUB && !r_time && r->kind != TM_T_STRING)))
		return fn_unexpected_type(b, 1, "(\"INT\" or \"SMALLINT\" or \"TINYINT\")", err);
	if (op == FN_SUB && r_time && !l_time)
		return fn_unexpected_type(b, 0, r->kind == TM_T_DATE ? "DATE" : TIMESTAMPS, err);
	if (sum && (r->kind == TM_T_INTERVAL || r->kind == TM_T_INTERVAL_DT) && !is_interval(l))
		return fn_unexpected_type(b, 0, TIMESTAMPS, err);
	if (op == FN_SUB && is_stamp(l) && !r_time && r->kind != TM_T_STRING && !is_interval(r))
		return fn_unexpected_type(b, 1, TIMESTAMPS, err);
	if (op == FN_SUB && l_time && (r_time || r->kind == TM_T_STRING)) {
		if (is_stamp(l) || is_stamp(r)) {
			const struct tm_type *t =
			    l->kind == TM_T_TIMESTAMP || r->kind == TM_T_TIMESTAMP ? &tm_type_timestamp : &tm_type_timestamp_ntz;
			for (size_t i = 0; i < 2; i++)
				if (fn_type(b, i)->kind != t->kind)
					b->cast[i] = t;
			end(b, &tm_k_stamp_minus_stamp, tm_type_interval_dt(b->arena, TM_F_DAY, TM_F_SECOND));
		} else {
			for (size_t i = 0; i < 2; i++)
				if (fn_type(b, i)->kind != TM_T_DATE)
					b->cast[i] = &tm_type_date;
			end(b, &tm_k_date_minus_date, tm_type_interval_dt(b->arena, TM_F_DAY, TM_F_DAY));
		}
		return TM_OK;
	}
	if (sum && is_interval(l) && is_interval(r)) {
		const struct tm_type *t = tm_type_common(b->arena, l, r, b->session->ansi);
		if (!t)
			return fn_unexpected_type(b, 0, "(\"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")", err);
		for (size_t i = 0; i < 2; i++)
			if (!tm_type_same(fn_type(b, i), t))
				b->cast[i] = t;
		end(b, &tm_k_interval_plus, t);
		return TM_OK;
	}
	if (is_interval(l) && interval_and_number(b, op))
		return TM_OK;
	return differ(b, err);
}
