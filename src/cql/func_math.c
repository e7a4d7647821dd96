/* Numbers: operators, casts, abs to round, sum and avg. A number of any type is held as one of three kinds: 64-bit integer,
 * double (with float's rounding where the result is a float), or decimal. */
#include <math.h>
#include <stdlib.h>
#include "cql/cql_int.h"
#include "table/bignum.h"

enum { RANK_NONE, RANK_TINYINT, RANK_SMALLINT, RANK_INT, RANK_BIGINT, RANK_VARINT, RANK_FLOAT, RANK_DOUBLE, RANK_DECIMAL };
static int rank(const struct tm_cql_type *t)
{
	switch (t ? t->kind : TM_CQL_CUSTOM) {
	case TM_CQL_TINYINT:
		return RANK_TINYINT;
	case TM_CQL_SMALLINT:
		return RANK_SMALLINT;
	case TM_CQL_INT:
		return RANK_INT;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
		return RANK_BIGINT;
	case TM_CQL_VARINT:
		return RANK_VARINT;
	case TM_CQL_FLOAT:
		return RANK_FLOAT;
	case TM_CQL_DOUBLE:
		return RANK_DOUBLE;
	case TM_CQL_DECIMAL:
		return RANK_DECIMAL;
	default:
		return RANK_NONE;
	}
}
static bool is_whole(const struct tm_cql_type *t) { return rank(t) >= RANK_TINYINT && rank(t) <= RANK_BIGINT; }
static bool is_floating(const struct tm_cql_type *t) { return rank(t) == RANK_FLOAT || rank(t) == RANK_DOUBLE; }

const struct tm_cql_type *cql_binary_type(const struct tm_cql_type *a, const struct tm_cql_type *b, char op)
{
	if (op == '+' && a && b && tm_type_is_text(a) && tm_type_is_text(b))
		return tm_type_native(a->kind == TM_CQL_ASCII && b->kind == TM_CQL_ASCII ? TM_CQL_ASCII : TM_CQL_VARCHAR);
	if (a && b && (op == '+' || op == '-') && (a->kind == TM_CQL_TIMESTAMP || a->kind == TM_CQL_DATE) && b->kind == TM_CQL_DURATION)
		return a;
	int x = rank(a), y = rank(b);
	if (!x || !y)
		return NULL;
	int high = x > y ? x : y, low = x > y ? y : x;
	if (high == RANK_FLOAT && low == RANK_BIGINT)
		return tm_type_native(TM_CQL_DOUBLE);
	if (is_floating(high == x ? a : b) && low == RANK_VARINT)
		return tm_type_native(TM_CQL_DECIMAL);
	const struct tm_cql_type *t = high == x ? a : b;
	return t->kind == TM_CQL_COUNTER ? tm_type_native(TM_CQL_BIGINT) : t;
}

static struct tm_dec decimal_of(struct tm_arena *arena, const struct tm_cql_type *t, struct tm_str b)
{
	struct tm_dec d = {0};
	if (t->kind == TM_CQL_DECIMAL) {
		(void)tm_dec_of_bytes(arena, b, &d);
	} else if (t->kind == TM_CQL_VARINT) {
		d.unscaled = tm_big_of_bytes(arena, b);
	} else if (is_floating(t)) {
		struct tm_buf text = {0};
		cql_double_text(cql_double_of(b), t->kind == TM_CQL_FLOAT, &text);
		(void)tm_dec_parse(arena, tm_buf_str(&text), &d);
		tm_buf_done(&text);
	} else {
		d.unscaled = tm_big_i64(arena, cql_int_of(b));
	}
	return d;
}

/* Beside a decimal, Cassandra makes one of a whole number by way of a double: 17 becomes 17.0. */
static struct tm_dec operand_of(struct tm_arena *arena, const struct tm_cql_type *t, struct tm_str b)
{
	struct tm_dec d = decimal_of(arena, t, b);
	if (is_whole(t))
		d = (struct tm_dec){tm_big_mul(arena, d.unscaled, tm_big_i64(arena, 10)), 1};
	return d;
}

static double double_of(struct tm_arena *arena, const struct tm_cql_type *t, struct tm_str b)
{
	if (is_floating(t))
		return cql_double_of(b);
	if (is_whole(t))
		return (double)cql_int_of(b);
	return strtod(tm_arena_cstr(arena, tm_dec_text(arena, decimal_of(arena, t, b))), NULL);
}

static struct tm_cql_value whole_value(struct tm_arena *arena, const struct tm_cql_type *t, int64_t v)
{
	size_t n = t->kind == TM_CQL_TINYINT ? 1 : t->kind == TM_CQL_SMALLINT ? 2 : t->kind == TM_CQL_INT ? 4 : 8;
	return (struct tm_cql_value){.bytes = tm_str_slice(cql_be64(arena, v), 8 - n, 8)};
}

static struct tm_cql_value floating_value(struct tm_arena *arena, const struct tm_cql_type *t, double v)
{
	return (struct tm_cql_value){.bytes = t->kind == TM_CQL_FLOAT ? cql_float_bytes(arena, (float)v) : cql_double_bytes(arena, v)};
}

static struct tm_dec stripped(struct tm_arena *arena, struct tm_dec d)
{
	struct tm_big ten = tm_big_i64(arena, 10), q, r;
	if (tm_big_is_zero(d.unscaled))
		return (struct tm_dec){d.unscaled, 0};
	for (;;) {
		tm_big_divmod(arena, d.unscaled, ten, &q, &r);
		if (!tm_big_is_zero(r))
			return d;
		d.unscaled = q;
		d.scale--;
	}
}

/* Quotient with so many digits behind the point, rounded half up or half even. */
static bool quotient(struct tm_arena *arena, struct tm_dec a, struct tm_dec b, int32_t scale, bool even, struct tm_dec *ret)
{
	int64_t shift = (int64_t)scale + b.scale - a.scale;
	if (llabs(shift) > TM_BIG_MAX_BYTES)
		return false;
	struct tm_big n = a.unscaled, d = b.unscaled, q, r;
	if (shift >= 0)
		n = tm_big_mul(arena, n, tm_big_pow10(arena, (size_t)shift));
	else
		d = tm_big_mul(arena, d, tm_big_pow10(arena, (size_t)-shift));
	tm_big_divmod(arena, n, d, &q, &r);
	bool negative = n.negative != d.negative;
	r.negative = d.negative = false;
	int c = tm_big_cmp(tm_big_add(arena, r, r), d);
	if (c > 0 || (c == 0 && (!even || (q.count && (q.limbs[0] & 1)))))
		q = tm_big_add(arena, q, tm_big_i64(arena, negative ? -1 : 1));
	*ret = (struct tm_dec){q, scale};
	return true;
}

static const char *op_name(char op)
{
	return op == '+' ? "_add" : op == '-' ? "_substract" : op == '*' ? "_multiply" : op == '/' ? "_divide" : "_modulo";
}

static tm_rc op_failed(const struct cql_node *n, const char *why, struct tm_err *err)
{
	tm_rc rc = cql_fail(err, CQL_CODE_FUNCTION, "the operation '%s %c %s' failed: %s", tm_type_native_name(n->args[0]->type->kind),
			    n->what, tm_type_native_name(n->args[1]->type->kind), why);
	tm_err_detail(err, "system.%s(%s,%s)", op_name((char)n->what), tm_type_native_name(n->args[0]->type->kind),
		      tm_type_native_name(n->args[1]->type->kind));
	return rc;
}

static int64_t wrap(const struct tm_cql_type *t, int64_t v)
{
	return t->kind == TM_CQL_TINYINT ? (int8_t)v : t->kind == TM_CQL_SMALLINT ? (int16_t)v : t->kind == TM_CQL_INT ? (int32_t)v : v;
}

static tm_rc whole_op(struct cql_eval *ev, const struct cql_node *n, int64_t a, int64_t b, struct tm_cql_value *ret, struct tm_err *err)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;
	if ((n->what == '/' || n->what == '%') && b == 0)
		return op_failed(n, "/ by zero", err);
	int64_t v = n->what == '+'   ? (int64_t)(x + y)
		    : n->what == '-' ? (int64_t)(x - y)
		    : n->what == '*' ? (int64_t)(x * y)
		    : b == -1        ? (n->what == '/' ? (int64_t)(0 - x) : 0)
		    : n->what == '/' ? a / b
				     : a % b;
	*ret = whole_value(ev->arena, n->type, wrap(n->type, v));
	return TM_OK;
}

static tm_rc varint_op(struct cql_eval *ev, const struct cql_node *n, struct tm_big a, struct tm_big b, struct tm_cql_value *ret,
		       struct tm_err *err)
{
	struct tm_big q, r;
	struct tm_arena *m = ev->arena;
	if ((n->what == '/' || n->what == '%')) {
		if (tm_big_is_zero(b))
			return op_failed(n, "BigInteger divide by zero", err);
		tm_big_divmod(m, a, b, &q, &r);
		q = n->what == '/' ? q : r;
	} else {
		q = n->what == '+' ? tm_big_add(m, a, b) : n->what == '-' ? tm_big_sub(m, a, b) : tm_big_mul(m, a, b);
	}
	*ret = (struct tm_cql_value){.bytes = tm_big_bytes(m, q)};
	return TM_OK;
}

static tm_rc decimal_op(struct cql_eval *ev, const struct cql_node *n, struct tm_dec a, struct tm_dec b, struct tm_cql_value *ret,
			struct tm_err *err)
{
	struct tm_dec d = {0};
	struct tm_arena *m = ev->arena;
	bool ok = true;
	if ((n->what == '/' || n->what == '%') && tm_big_is_zero(b.unscaled))
		return op_failed(n, n->what == '/' && tm_big_is_zero(a.unscaled) ? "Division undefined" : "Division by zero", err);
	if (n->what == '+' || n->what == '-') {
		ok = tm_dec_add(m, a, b, n->what == '-', &d);
	} else if (n->what == '*') {
		ok = tm_dec_mul(m, a, b, &d);
	} else if (n->what == '/') {
		int64_t digits = (int64_t)tm_dec_precision(m, b) - b.scale - ((int64_t)tm_dec_precision(m, a) - a.scale),
			scale = 32 + (digits > 0 ? digits : 0);
		scale = scale < a.scale ? a.scale : scale;
		scale = scale < b.scale ? b.scale : scale;
		ok = quotient(m, a, b, (int32_t)(scale > 1000 ? 1000 : scale), false, &d);
		d = ok ? stripped(m, d) : d;
	} else {
		struct tm_big q, r;
		int32_t scale = a.scale > b.scale ? a.scale : b.scale;
		ok = tm_dec_set_scale(m, a, scale, false, &a) && tm_dec_set_scale(m, b, scale, false, &b);
		if (ok) {
			tm_big_divmod(m, a.unscaled, b.unscaled, &q, &r);
			d = (struct tm_dec){r, scale};
		}
	}
	if (!ok)
		return op_failed(n, "the numbers' exponents lie too far apart", err);
	*ret = (struct tm_cql_value){.bytes = tm_dec_bytes(m, d)};
	return TM_OK;
}

/* Adds months to days since 1970, the day cut to the month's length. */
static int64_t plus_months(int64_t days, int64_t months)
{
	int64_t y;
	int m, d;
	tm_civil_of(days, &y, &m, &d);
	int64_t total = y * 12 + (m - 1) + months;
	y = total >= 0 ? total / 12 : -((11 - total) / 12);
	m = (int)(total - y * 12) + 1;
	int64_t first = tm_date_days(y, m, 1), next = m == 12 ? tm_date_days(y + 1, 1, 1) : tm_date_days(y, m + 1, 1);
	return first + (d > next - first ? next - first : d) - 1;
}

static tm_rc time_op(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		     struct tm_err *err)
{
	struct cql_duration d;
	if (!cql_duration_of(a[1].bytes, &d))
		return op_failed(n, "no duration", err);
	int sign = n->what == '-' ? -1 : 1;
	if (n->type->kind == TM_CQL_DATE) {
		if (d.nanos)
			return op_failed(n, "The duration must have a day precision. Was: nanoseconds", err);
		int64_t days = plus_months((int64_t)(uint32_t)cql_int_of(a[0].bytes) - 2147483648LL, (int64_t)sign * d.months) +
			       (int64_t)sign * d.days;
		*ret = (struct tm_cql_value){.bytes = cql_be32(ev->arena, (int32_t)(uint32_t)(days + 2147483648LL))};
		return TM_OK;
	}
	int64_t ms = cql_int_of(a[0].bytes), day = ms >= 0 ? ms / 86400000 : -((86399999 - ms) / 86400000), rest = ms - day * 86400000;
	day = plus_months(day, (int64_t)sign * d.months) + (int64_t)sign * d.days;
	*ret = (struct tm_cql_value){.bytes = cql_be64(ev->arena, day * 86400000 + rest + sign * (d.nanos / 1000000))};
	return TM_OK;
}

static tm_rc run_binary(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			struct tm_err *err)
{
	const struct tm_cql_type *x = n->args[0]->type, *y = n->args[1]->type, *t = n->type;
	struct tm_arena *m = ev->arena;
	if (tm_type_is_text(t)) {
		*ret = (struct tm_cql_value){.bytes = tm_arena_printf(m, "%.*s%.*s", TM_STR_ARG(a[0].bytes), TM_STR_ARG(a[1].bytes))};
		return TM_OK;
	}
	if (y->kind == TM_CQL_DURATION)
		return time_op(ev, n, a, ret, err);
	if (is_whole(t))
		return whole_op(ev, n, cql_int_of(a[0].bytes), cql_int_of(a[1].bytes), ret, err);
	if (t->kind == TM_CQL_VARINT)
		return varint_op(ev, n, decimal_of(m, x, a[0].bytes).unscaled, decimal_of(m, y, a[1].bytes).unscaled, ret, err);
	if (t->kind == TM_CQL_DECIMAL)
		return decimal_op(ev, n, operand_of(m, x, a[0].bytes), operand_of(m, y, a[1].bytes), ret, err);
	double p = double_of(m, x, a[0].bytes), q = double_of(m, y, a[1].bytes), v;
	if (t->kind == TM_CQL_FLOAT) {
		float f = (float)p, g = (float)q;
		v = (double)(n->what == '+'   ? f + g
			     : n->what == '-' ? f - g
			     : n->what == '*' ? f * g
			     : n->what == '/' ? f / g
					      : fmodf(f, g));
	} else {
		v = n->what == '+' ? p + q : n->what == '-' ? p - q : n->what == '*' ? p * q : n->what == '/' ? p / q : fmod(p, q);
	}
	*ret = floating_value(m, t, v);
	return TM_OK;
}

static tm_rc run_negate(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			struct tm_err *err)
{
	(void)err;
	const struct tm_cql_type *t = n->type;
	struct cql_duration d;
	if (t->kind == TM_CQL_DURATION && cql_duration_of(a[0].bytes, &d)) {
		*ret = (struct tm_cql_value){.bytes = cql_duration_bytes(ev->arena, (struct cql_duration){-d.months, -d.days, -d.nanos})};
	} else if (is_whole(t)) {
		*ret = whole_value(ev->arena, t, wrap(t, (int64_t)(0 - (uint64_t)cql_int_of(a[0].bytes))));
	} else if (is_floating(t)) {
		*ret = floating_value(ev->arena, t, -cql_double_of(a[0].bytes));
	} else {
		struct tm_dec v = decimal_of(ev->arena, t, a[0].bytes);
		v.unscaled = tm_big_neg(v.unscaled);
		*ret = (struct tm_cql_value){.bytes = t->kind == TM_CQL_VARINT ? tm_big_bytes(ev->arena, v.unscaled)
									       : tm_dec_bytes(ev->arena, v)};
	}
	return TM_OK;
}

const struct cql_function cql_function_binary = {"operator", 2, 2, NULL, run_binary, false, CQL_SCALAR, 0};
const struct cql_function cql_function_negate = {"_negate", 1, 1, NULL, run_negate, false, CQL_SCALAR, 0};

static tm_rc bind_operand(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *t, const char *function, size_t i,
			  struct cql_node **ret)
{
	if (e->kind <= CQL_E_DURATION || e->kind == CQL_E_MARKER || e->kind == CQL_E_HINT || e->kind == CQL_E_PAREN) {
		if (e->kind == CQL_E_PAREN && e->args[0]->kind > CQL_E_MARKER)
			return bind_operand(s, e->args[0], t, function, i, ret);
		return cql_bind_term(s, e, (struct cql_receiver){tm_arena_printf(s->arena, "arg%zu(system.%s)", i, function), t}, ret);
	}
	if ((e->kind == CQL_E_BINARY || e->kind == CQL_E_NEGATE) && t)
		return cql_bind_binary(s, e, t, ret);
	return cql_bind_selection(s, e, ret);
}

/* Has it no type of its own but what literals suggest? */
static bool only_literals(const struct cql_expr *e)
{
	if (e->kind <= CQL_E_DURATION)
		return e->kind != CQL_E_NULL;
	if (e->kind != CQL_E_BINARY && e->kind != CQL_E_NEGATE && e->kind != CQL_E_PAREN)
		return false;
	for (size_t i = 0; i < e->arg_count; i++)
		if (!only_literals(e->args[i]))
			return false;
	return true;
}

static tm_rc bind_negate(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *wanted, struct cql_node **ret)
{
	const struct cql_expr *a = e->args[0];
	const struct tm_cql_type *t = only_literals(a) && rank(wanted) && cql_assignable(s, a, wanted) ? wanted : cql_natural_type(s, a);
	if (!t && a->kind != CQL_E_MARKER && a->kind != CQL_E_NULL) {
		struct cql_node *unused;
		TM_TRY(cql_bind_selection(s, a, &unused));
	}
	if (!t)
		t = wanted;
	if (!t)
		return cql_fail(s->err, CQL_CODE_INVALID, "Ambiguous negation: use type hint to disambiguate, example '(int) ?'");
	if (!rank(t))
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Invalid call to function system._negate, none of its type signatures match (known type signatures: "
				"system._negate : (int) -> int)");
	struct cql_node *n = TM_NEW(s->arena, struct cql_node);
	n->op = CQL_N_CALL;
	n->function = &cql_function_negate;
	n->args = TM_NEW_N(s->arena, struct cql_node *, 1);
	n->arg_count = 1;
	TM_TRY(bind_operand(s, a, t, "_negate", 0, &n->args[0]));
	n->type = n->args[0]->type->kind == TM_CQL_COUNTER ? tm_type_native(TM_CQL_BIGINT) : n->args[0]->type;
	*ret = n;
	return TM_OK;
}

tm_rc cql_bind_binary(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *wanted, struct cql_node **ret)
{
	if (e->kind == CQL_E_NEGATE)
		return bind_negate(s, e, wanted, ret);
	const struct tm_cql_type *types[2];
	for (int i = 0; i < 2; i++) {
		const struct cql_expr *a = e->args[i];
		types[i] = cql_natural_type(s, a);
		if (types[i] && only_literals(a) && only_literals(e->args[!i]) && rank(wanted) && !cql_value_compatible(wanted, types[i]) &&
		    cql_assignable(s, a, wanted))
			types[i] = wanted;
		if (!types[i] && a->kind != CQL_E_MARKER && a->kind != CQL_E_NULL &&
		    !(a->kind == CQL_E_PAREN && a->args[0]->kind == CQL_E_MARKER)) {
			struct cql_node *unused;
			TM_TRY(cql_bind_selection(s, a, &unused));
		}
	}
	bool time = types[0] && (types[0]->kind == TM_CQL_TIMESTAMP || types[0]->kind == TM_CQL_DATE);
	if (time && !types[1])
		types[1] = tm_type_native(TM_CQL_DURATION);
	if (!types[0] || !types[1])
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Ambiguous '%c' operation with args %s and %s: use type hint to disambiguate, example '(int) ?'", e->op,
				cql_expr_cstr(s->arena, e->args[0]), cql_expr_cstr(s->arena, e->args[1]));
	const struct tm_cql_type *t = cql_binary_type(types[0], types[1], e->op);
	if (!t)
		return cql_fail(s->err, CQL_CODE_INVALID, "the '%c' operation is not supported between %s and %s", e->op,
				cql_expr_cstr(s->arena, e->args[0]), cql_expr_cstr(s->arena, e->args[1]));
	struct cql_node *n = TM_NEW(s->arena, struct cql_node);
	n->op = CQL_N_CALL;
	n->function = &cql_function_binary;
	n->what = e->op;
	n->type = t;
	n->text = tm_str_of(cql_expr_cstr(s->arena, e));
	n->args = TM_NEW_N(s->arena, struct cql_node *, 2);
	n->arg_count = 2;
	for (size_t i = 0; i < 2; i++)
		TM_TRY(bind_operand(s, e->args[i], types[i], op_name(e->op), i, &n->args[i]));
	*ret = n;
	return TM_OK;
}

/* ---- CAST ---- */
static bool castable(const struct tm_cql_type *from, const struct tm_cql_type *to)
{
	enum tm_cql_kind a = from->kind, b = to->kind;
	if (b == TM_CQL_VARCHAR || b == TM_CQL_ASCII)
		return rank(from) || a == TM_CQL_BOOLEAN || a == TM_CQL_DATE || a == TM_CQL_TIME || a == TM_CQL_TIMESTAMP ||
		       a == TM_CQL_UUID || a == TM_CQL_TIMEUUID || a == TM_CQL_INET || (a == TM_CQL_ASCII && b == TM_CQL_VARCHAR);
	if (rank(to))
		return rank(from) || (a == TM_CQL_TIMESTAMP && (b == TM_CQL_BIGINT || b == TM_CQL_VARINT));
	if (b == TM_CQL_DATE)
		return a == TM_CQL_TIMESTAMP || a == TM_CQL_TIMEUUID || a == TM_CQL_BIGINT;
	return b == TM_CQL_TIMESTAMP && (a == TM_CQL_DATE || a == TM_CQL_TIMEUUID);
}

static int64_t java_long(double v, int64_t low, int64_t high)
{
	return isnan(v) ? 0 : v >= (double)high ? high : v <= (double)low ? low : (int64_t)v;
}

static tm_rc run_cast(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		      struct tm_err *err)
{
	const struct tm_cql_type *from = n->args[0]->type, *to = n->type;
	struct tm_arena *m = ev->arena;
	struct tm_str b = a[0].bytes;
	(void)err;
	if (tm_type_is_text(to)) {
		struct tm_buf text = {0};
		if (from->kind == TM_CQL_TIMESTAMP)
			cql_timestamp_text(cql_int_of(b), CQL_TIME_ISO, &text);
		else if (from->kind == TM_CQL_DECIMAL)
			tm_buf_str_put(&text, tm_dec_plain_text(m, decimal_of(m, from, b)));
		else
			cql_native_text(from, b, &text);
		*ret = (struct tm_cql_value){.bytes = tm_arena_str(m, tm_buf_str(&text))};
		tm_buf_done(&text);
		return TM_OK;
	}
	if (to->kind == TM_CQL_DATE || to->kind == TM_CQL_TIMESTAMP) {
		int64_t ms = from->kind == TM_CQL_DATE       ? ((int64_t)(uint32_t)cql_int_of(b) - 2147483648LL) * 86400000
			     : from->kind == TM_CQL_TIMEUUID ? (tm_value_timeuuid_100ns(b.at) - 0x01B21DD213814000LL) / 10000
							     : cql_int_of(b);
		int64_t day = ms >= 0 ? ms / 86400000 : -((86399999 - ms) / 86400000);
		*ret = (struct tm_cql_value){.bytes = to->kind == TM_CQL_DATE ? cql_be32(m, (int32_t)(uint32_t)(day + 2147483648LL))
									      : cql_be64(m, ms)};
		return TM_OK;
	}
	if (is_floating(to)) {
		*ret = floating_value(m, to, double_of(m, from, b));
	} else if (is_whole(to)) {
		int64_t v;
		if (is_floating(from)) {
			double d = cql_double_of(b);
			v = to->kind == TM_CQL_BIGINT || to->kind == TM_CQL_COUNTER ? java_long(d, INT64_MIN, INT64_MAX)
										    : java_long(d, INT32_MIN, INT32_MAX);
		} else if (is_whole(from) || from->kind == TM_CQL_TIMESTAMP) {
			v = cql_int_of(b);
		} else {
			struct tm_dec d = decimal_of(m, from, b);
			struct tm_big q = d.unscaled, r;
			if (d.scale > 0 && d.scale < TM_BIG_MAX_BYTES)
				tm_big_divmod(m, q, tm_big_pow10(m, (size_t)d.scale), &q, &r);
			else if (d.scale < 0 && d.scale > -TM_BIG_MAX_BYTES)
				q = tm_big_mul(m, q, tm_big_pow10(m, (size_t)-d.scale));
			v = tm_big_low64(q);
		}
		*ret = whole_value(m, to, wrap(to, v));
	} else if (to->kind == TM_CQL_VARINT) {
		struct tm_dec d =
		    from->kind == TM_CQL_TIMESTAMP ? (struct tm_dec){tm_big_i64(m, cql_int_of(b)), 0} : decimal_of(m, from, b);
		if (is_floating(from))
			d = (struct tm_dec){tm_big_i64(m, java_long(cql_double_of(b), INT64_MIN, INT64_MAX)), 0};
		struct tm_big q = d.unscaled, r;
		if (d.scale > 0 && d.scale < TM_BIG_MAX_BYTES)
			tm_big_divmod(m, q, tm_big_pow10(m, (size_t)d.scale), &q, &r);
		else if (d.scale < 0 && d.scale > -TM_BIG_MAX_BYTES)
			q = tm_big_mul(m, q, tm_big_pow10(m, (size_t)-d.scale));
		*ret = (struct tm_cql_value){.bytes = tm_big_bytes(m, q)};
	} else {
		*ret = (struct tm_cql_value){.bytes = tm_dec_bytes(m, decimal_of(m, from, b))};
	}
	return TM_OK;
}

const struct cql_function cql_function_cast = {"cast", 1, 1, NULL, run_cast, false, CQL_SCALAR, 0};

tm_rc cql_bind_cast(struct cql_scope *s, struct cql_node *arg, const struct tm_cql_type *to, const struct cql_expr *e,
		    struct cql_node **ret)
{
	if (arg->type == to) {
		*ret = arg;
		return TM_OK;
	}
	bool target = rank(to) || tm_type_is_text(to) || to->kind == TM_CQL_DATE || to->kind == TM_CQL_TIMESTAMP;
	if (to->kind == TM_CQL_COUNTER || !target)
		return cql_fail(s->err, CQL_CODE_INVALID, "%s cannot be cast to %s", cql_expr_cstr(s->arena, e->args[0]),
				cql_type_cstr(s->arena, to));
	if (!castable(arg->type, to))
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Invalid call to function system.cast_as_%s, none of its type signatures match (known type signatures: "
				"system.cast_as_%s)",
				cql_type_cstr(s->arena, to), cql_type_cstr(s->arena, to));
	struct cql_node *n = TM_NEW(s->arena, struct cql_node);
	n->op = CQL_N_CALL;
	n->function = &cql_function_cast;
	n->type = to;
	n->args = TM_NEW_N(s->arena, struct cql_node *, 1);
	n->args[0] = arg;
	n->arg_count = 1;
	*ret = n;
	return TM_OK;
}

/* ---- sum and avg ---- */
struct tm_cql_value cql_accumulate(struct cql_eval *ev, const struct tm_cql_type *t, const struct tm_str *items, size_t count, bool average)
{
	struct tm_arena *m = ev->arena;
	if (is_whole(t)) {
		__int128 sum = 0;
		for (size_t i = 0; i < count; i++)
			sum += cql_int_of(items[i]);
		if (average)
			sum = count ? sum / (__int128)count : 0;
		return whole_value(m, t, wrap(t, (int64_t)sum));
	}
	if (is_floating(t)) {
		double sum = 0, rest = 0; /* Kahan's compensation, as Cassandra does */
		double plain = 0;
		for (size_t i = 0; i < count; i++) {
			double v = cql_double_of(items[i]), y = v - rest, next = sum + y;
			rest = (next - sum) - y;
			sum = next;
			plain += v;
		}
		if (isinf(plain) || isnan(sum))
			sum = plain;
		return floating_value(m, t, average ? count ? sum / (double)count : 0 : sum);
	}
	struct tm_dec sum = {tm_big_i64(m, 0), 0};
	for (size_t i = 0; i < count; i++)
		if (!tm_dec_add(m, sum, decimal_of(m, t, items[i]), false, &sum))
			return (struct tm_cql_value){.null = true};
	if (average && count) {
		struct tm_dec n = {tm_big_i64(m, (int64_t)count), 0};
		struct tm_big q, r;
		if (t->kind == TM_CQL_VARINT) {
			tm_big_divmod(m, sum.unscaled, n.unscaled, &q, &r);
			sum.unscaled = q;
		} else {
			(void)quotient(m, sum, n, sum.scale, true, &sum);
		}
	}
	return (struct tm_cql_value){.bytes = t->kind == TM_CQL_VARINT ? tm_big_bytes(m, sum.unscaled) : tm_dec_bytes(m, sum)};
}

/* ---- abs, exp, log, log10, round ---- */
enum { ABS, EXP, LOG, LOG10, ROUND };
static const struct tm_cql_type *resolve_math(struct cql_call *c, struct tm_err *err)
{
	(void)err;
	const struct tm_cql_type *t = c->natural[0];
	if (only_literals(c->args[0]) && rank(c->wanted) && cql_assignable(c->scope, c->args[0], c->wanted))
		t = c->wanted;
	c->types[0] = t;
	return !rank(t) ? NULL : t->kind == TM_CQL_COUNTER ? tm_type_native(TM_CQL_BIGINT) : t;
}

static tm_rc run_math(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		      struct tm_err *err)
{
	const struct tm_cql_type *t = n->type;
	struct tm_arena *m = ev->arena;
	int what = n->function->what;
	if (what == ABS || what == ROUND) {
		if (is_whole(t)) {
			int64_t v = cql_int_of(a[0].bytes);
			*ret = whole_value(m, t, what == ABS && v < 0 ? wrap(t, (int64_t)(0 - (uint64_t)v)) : v);
		} else if (is_floating(t)) {
			double v = cql_double_of(a[0].bytes);
			if (what == ROUND)
				v = floor(v + 0.5);
			*ret = floating_value(m, t, what == ABS ? fabs(v) : v);
		} else {
			struct tm_dec d = decimal_of(m, t, a[0].bytes);
			if (what == ABS)
				d.unscaled.negative = false;
			else if (t->kind == TM_CQL_DECIMAL)
				(void)tm_dec_set_scale(m, d, 0, false, &d);
			*ret = (struct tm_cql_value){.bytes = t->kind == TM_CQL_VARINT ? tm_big_bytes(m, d.unscaled) : tm_dec_bytes(m, d)};
		}
		return TM_OK;
	}
	double v = double_of(m, t, a[0].bytes);
	if (what != EXP && v <= 0 && !is_floating(t) && t->kind == TM_CQL_DECIMAL)
		return cql_fail(err, CQL_CODE_SERVER, "java.lang.ArithmeticException: %s of number zero or less",
				what == LOG ? "Natural log" : "Log base 10");
	double r = what == EXP ? exp(v) : what == LOG ? log(v) : log10(v);
	if (is_floating(t)) {
		*ret = floating_value(m, t, r);
	} else if (is_whole(t)) {
		*ret = whole_value(m, t,
				   wrap(t, t->kind == TM_CQL_BIGINT || t->kind == TM_CQL_COUNTER ? java_long(r, INT64_MIN, INT64_MAX)
												 : java_long(r, INT32_MIN, INT32_MAX)));
	} else {
		struct tm_dec d = {0};
		struct tm_buf text = {0};
		if (isfinite(r))
			cql_double_text(r, false, &text);
		(void)tm_dec_parse(m, tm_buf_str(&text), &d);
		tm_buf_done(&text);
		if (t->kind == TM_CQL_VARINT)
			(void)tm_dec_set_scale(m, d, 0, false, &d);
		*ret = (struct tm_cql_value){.bytes = t->kind == TM_CQL_VARINT ? tm_big_bytes(m, d.unscaled) : tm_dec_bytes(m, d)};
	}
	return TM_OK;
}

const struct cql_function cql_functions_math[] = {
    {"abs", 1, 1, resolve_math, run_math, false, CQL_SCALAR, ABS},     {"exp", 1, 1, resolve_math, run_math, false, CQL_SCALAR, EXP},
    {"log", 1, 1, resolve_math, run_math, false, CQL_SCALAR, LOG},     {"log10", 1, 1, resolve_math, run_math, false, CQL_SCALAR, LOG10},
    {"round", 1, 1, resolve_math, run_math, false, CQL_SCALAR, ROUND}, {0},
};
