/* + - * / div % pmod, unary minus, abs and the try_ forms on numbers. One vectorised loop per operator and type; a lost result is
 * noticed for the whole batch first and looked for row by row only then. Dates and intervals go to fn_date_arith.c. */
#include "sql/fn_arith.h"
#include <math.h>
#include <stdio.h>

static const char *const try_names[] = {
    [FN_ADD] = "try_add",     [FN_SUB] = "try_subtract", [FN_MUL] = "try_multiply", [FN_DIV] = "try_divide",
    [FN_IDIV] = "try_divide", [FN_MOD] = "try_mod",      [FN_PMOD] = "try_mod"};
static const char *const signs[] = {
    [FN_ADD] = "+", [FN_SUB] = "-", [FN_MUL] = "*", [FN_DIV] = "/", [FN_IDIV] = "div", [FN_MOD] = "%", [FN_PMOD] = "pmod"};

static bool live(const struct tm_column *args, size_t i) { return !tm_is_null(&args[0], i) && !tm_is_null(&args[1], i); }

/* Both columns, one constant, or neither: the compiler sees a plain loop each time. */
#define LOOP(T, ...)                                                                                                                       \
	do {                                                                                                                               \
		T const *a_ = args[0].data, *b_ = args[1].data;                                                                            \
		if (!args[0].constant && !args[1].constant)                                                                                \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[i], y = b_[i];                                                                                    \
				__VA_ARGS__;                                                                                               \
			}                                                                                                                  \
		else if (args[1].constant)                                                                                                 \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[args[0].constant ? 0 : i], y = b_[0];                                                             \
				__VA_ARGS__;                                                                                               \
			}                                                                                                                  \
		else                                                                                                                       \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[0], y = b_[i];                                                                                    \
				__VA_ARGS__;                                                                                               \
			}                                                                                                                  \
	} while (0)

/* A result that did not fit, in a row that counts. */
static tm_rc lost(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t row, struct tm_column *ret)
{
	const struct fn_arith *op = call->bound;
	if (op->mode == TM_CAST_LEGACY)
		return TM_OK;
	if (op->mode == TM_CAST_TRY) {
		fn_null(ev, ret, row);
		return TM_OK;
	}
	if (call->type->kind == TM_T_TINYINT || call->type->kind == TM_T_SMALLINT) {
		struct tm_buf t = {0};
		fn_value_sql(ev->session, &args[0], row, &t);
		tm_buf_printf(&t, " %s ", signs[op->op]);
		fn_value_sql(ev->session, &args[1], row, &t);
		tm_rc rc = tm_fail_class(ev->err, TM_DATA, "BINARY_ARITHMETIC_OVERFLOW", "22003",
					 "%.*s caused overflow. Use `%s` to ignore overflow problem and return NULL.", (int)t.len, t.at,
					 try_names[op->op]);
		tm_buf_done(&t);
		return rc;
	}
	return fn_overflow(ev, "", try_names[op->op]);
}

#define CHECKED(name, T, U, compute, check, builtin)                                                                                       \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		size_t n = ev->rows;                                                                                                       \
		T bad = 0;                                                                                                                 \
		fn_begin_raw(ev, call, ret);                                                                                               \
		T *r = ret->data;                                                                                                          \
		LOOP(T, T v = (T)(compute); r[i] = v; bad |= (T)(check));                                                                  \
		if (bad >= 0)                                                                                                              \
			return TM_OK;                                                                                                      \
		T junk;                                                                                                                    \
		for (size_t i = 0; i < n; i++)                                                                                             \
			if (builtin(((T const *)args[0].data)[tm_row(&args[0], i)], ((T const *)args[1].data)[tm_row(&args[1], i)],        \
				    &junk) &&                                                                                              \
			    live(args, i))                                                                                                 \
				TM_TRY(lost(ev, call, args, i, ret));                                                                      \
		return TM_OK;                                                                                                              \
	}
/* W: wide enough for a product. C, CU: what Java computes in, int at least, and the unsigned type in which it wraps. */
#define INTEGER_OPS(s, T, U, W, C, CU)                                                                                                     \
	CHECKED(add_##s, T, U, (U)x + (U)y, (x ^ v) & (y ^ v), __builtin_add_overflow)                                                     \
	CHECKED(sub_##s, T, U, (U)x - (U)y, (x ^ y) & (x ^ v), __builtin_sub_overflow)                                                     \
	CHECKED(mul_##s, T, U, (CU)x *(CU)y, (W)x *(W)y != (W)v ? (T)-1 : 0, __builtin_mul_overflow)                                       \
	DIVIDE_OPS(s, T, C, CU)

static tm_rc by_zero(struct tm_eval *ev, const struct tm_expr *call, size_t row, struct tm_column *ret)
{
	const struct fn_arith *op = call->bound;
	if (op->mode == TM_CAST_ANSI)
		return op->op == FN_MOD || op->op == FN_PMOD ? fn_remainder_by_zero(ev) : fn_divide_by_zero(ev);
	fn_null(ev, ret, row);
	return TM_OK;
}

/* The rows whose divisor is 0 get 0 and are looked at afterwards. -1 apart: the quotient of the least number would trap. */
#define DIVIDE(name, T, compute)                                                                                                           \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		size_t n = ev->rows;                                                                                                       \
		bool zero = false;                                                                                                         \
		fn_begin_raw(ev, call, ret);                                                                                               \
		T *r = ret->data;                                                                                                          \
		LOOP(T, zero |= y == 0; r[i] = y == 0 ? 0 : (T)(compute));                                                                 \
		for (size_t i = 0; zero && i < n; i++)                                                                                     \
			if (((T const *)args[1].data)[tm_row(&args[1], i)] == 0 && live(args, i))                                          \
				TM_TRY(by_zero(ev, call, i, ret));                                                                         \
		return TM_OK;                                                                                                              \
	}
#define DIVIDE_OPS(s, T, C, CU)                                                                                                            \
	DIVIDE(mod_##s, T, y == -1 ? 0 : x % y)                                                                                            \
	DIVIDE(pmod_##s, T, y == -1 ? 0 : (x % y < 0 ? (T)((C)((CU)(x % y) + (CU)y) % y) : x % y))
INTEGER_OPS(i8, int8_t, uint8_t, int, int32_t, uint32_t)
INTEGER_OPS(i16, int16_t, uint16_t, int, int32_t, uint32_t)
INTEGER_OPS(i32, int32_t, uint32_t, int64_t, int32_t, uint32_t)
INTEGER_OPS(i64, int64_t, uint64_t, __int128, int64_t, uint64_t)

/* Of two BIGINTs; only the least one by -1 does not fit. */
static tm_rc idiv_i64(FN_EVAL_ARGS)
{
	size_t n = ev->rows;
	fn_begin_raw(ev, call, ret);
	bool odd = false;
	LOOP(int64_t, odd |= y == 0 || (y == -1 && x == INT64_MIN); ret->i64[i] = y == 0    ? 0
										  : y == -1 ? (int64_t)(0 - (uint64_t)x)
											    : x / y);
	for (size_t i = 0; odd && i < n; i++) {
		int64_t x = AT(0, i64, i), y = AT(1, i64, i);
		if (!live(args, i))
			continue;
		if (y == 0)
			TM_TRY(by_zero(ev, call, i, ret));
		else if (y == -1 && x == INT64_MIN)
			TM_TRY(lost(ev, call, args, i, ret));
	}
	return TM_OK;
}

#define PLAIN(name, T, compute)                                                                                                            \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		size_t n = ev->rows;                                                                                                       \
		fn_begin_raw(ev, call, ret);                                                                                               \
		T *r = ret->data;                                                                                                          \
		LOOP(T, r[i] = compute);                                                                                                   \
		return TM_OK;                                                                                                              \
	}
#define FLOAT_OPS(s, T, rest)                                                                                                              \
	PLAIN(add_##s, T, x + y)                                                                                                           \
	PLAIN(sub_##s, T, x - y)                                                                                                           \
	PLAIN(mul_##s, T, x *y)                                                                                                            \
	DIVIDE(div_##s, T, x / y)                                                                                                          \
	DIVIDE(mod_##s, T, rest(x, y))                                                                                                     \
	DIVIDE(pmod_##s, T, rest(x, y) < 0 ? rest(rest(x, y) + y, y) : rest(x, y))
FLOAT_OPS(f32, float, fmodf)
FLOAT_OPS(f64, double, fmod)

/* ---- decimals ---- */
static tm_rc decimal_lost(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t row, struct tm_column *ret)
{
	const struct fn_arith *op = call->bound;
	ret->i128[row] = 0;
	if (op->mode != TM_CAST_ANSI) {
		fn_null(ev, ret, row);
		return TM_OK;
	}
	/* The value for the message as a number of double precision would mislead: the exact one where 38 digits show it. */
	i128 v, a = AT(0, i128, row), b = AT(1, i128, row);
	int sa = args[0].type->scale, sb = args[1].type->scale, s = sa > sb ? sa : sb;
	bool shown = op->op == FN_ADD   ? tm_decimal_add(a, sa, b, sb, 38, s, &v)
		     : op->op == FN_SUB ? tm_decimal_add(a, sa, -b, sb, 38, s, &v)
		     : op->op == FN_MUL ? (s = sa + sb, tm_decimal_multiply(a, sa, b, sb, 38, s > 38 ? 38 : s, &v))
					: false;
	return shown ? cast_decimal_value_range(ev, call->type, v, s > 38 ? 38 : s)
		     : cast_decimal_range(ev, call->type, TM_STR("The result"));
}

#define DECIMAL_OP(name, ...)                                                                                                              \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		int sa = args[0].type->scale, sb = args[1].type->scale, precision = call->type->precision, scale = call->type->scale;      \
		fn_begin(ev, call, args, ret);                                                                                             \
		for (size_t i = 0; i < ev->rows; i++) {                                                                                    \
			if (ret->valid && !ret->valid[i]) {                                                                                \
				ret->i128[i] = 0;                                                                                          \
				continue;                                                                                                  \
			}                                                                                                                  \
			i128 a = AT(0, i128, i), b = AT(1, i128, i);                                                                       \
			__VA_ARGS__                                                                                                        \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
#define FIT(function, second)                                                                                                              \
	if (!function(a, sa, second, sb, precision, scale, &ret->i128[i]))                                                                 \
		TM_TRY(decimal_lost(ev, call, args, i, ret));
#define NOT_ZERO                                                                                                                           \
	if (b == 0) {                                                                                                                      \
		ret->i128[i] = 0;                                                                                                          \
		TM_TRY(by_zero(ev, call, i, ret));                                                                                         \
		continue;                                                                                                                  \
	}
DECIMAL_OP(add_dec, FIT(tm_decimal_add, b))
DECIMAL_OP(sub_dec, FIT(tm_decimal_add, -b))
DECIMAL_OP(mul_dec, FIT(tm_decimal_multiply, b))
DECIMAL_OP(div_dec, NOT_ZERO FIT(tm_decimal_divide, b))
DECIMAL_OP(mod_dec, NOT_ZERO FIT(tm_decimal_remainder, b))
DECIMAL_OP(
    pmod_dec, NOT_ZERO FIT(tm_decimal_remainder, b) if (ret->i128[i] < 0) {
	    i128 r = ret->i128[i];
	    int s = scale;
	    if (tm_decimal_add(r, s, b, sb, 38, s, &r) && tm_decimal_remainder(r, s, b, sb, 38, s, &r))
		    ret->i128[i] = r;
    })
static tm_rc idiv_dec(FN_EVAL_ARGS)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		if (AT(1, i128, i) == 0)
			TM_TRY(by_zero(ev, call, i, ret));
		else
			ret->i64[i] = tm_decimal_quotient(AT(0, i128, i), args[0].type->scale, AT(1, i128, i), args[1].type->scale);
	}
	return TM_OK;
}

/* ---- which kernel ---- */
enum { CLASS_I8, CLASS_I16, CLASS_I32, CLASS_I64, CLASS_F32, CLASS_F64, CLASS_DEC, CLASSES };
#define K(f)                                                                                                                               \
	{                                                                                                                                  \
		.name = #f, .eval = f, .flags = TM_KERNEL_CONSTANTS | TM_KERNEL_NULL_IN_NULL_OUT                                           \
	}
static const struct tm_kernel kernels[FN_ARITH_OPS][CLASSES] = {
    [FN_ADD] = {K(add_i8), K(add_i16), K(add_i32), K(add_i64), K(add_f32), K(add_f64), K(add_dec)},
    [FN_SUB] = {K(sub_i8), K(sub_i16), K(sub_i32), K(sub_i64), K(sub_f32), K(sub_f64), K(sub_dec)},
    [FN_MUL] = {K(mul_i8), K(mul_i16), K(mul_i32), K(mul_i64), K(mul_f32), K(mul_f64), K(mul_dec)},
    [FN_DIV] = {[CLASS_F32] = K(div_f32), [CLASS_F64] = K(div_f64), [CLASS_DEC] = K(div_dec)},
    [FN_IDIV] = {[CLASS_I64] = K(idiv_i64), [CLASS_DEC] = K(idiv_dec)},
    [FN_MOD] = {K(mod_i8), K(mod_i16), K(mod_i32), K(mod_i64), K(mod_f32), K(mod_f64), K(mod_dec)},
    [FN_PMOD] = {K(pmod_i8), K(pmod_i16), K(pmod_i32), K(pmod_i64), K(pmod_f32), K(pmod_f64), K(pmod_dec)},
};

/* ---- types ---- */
const struct tm_type *fn_adjust_decimal(struct tm_arena *arena, int precision, int scale)
{
	if (precision <= TM_DECIMAL_MAX)
		return tm_type_decimal(arena, precision, scale);
	int whole = precision - scale, least = scale < 6 ? scale : 6, keep = TM_DECIMAL_MAX - whole;
	return tm_type_decimal(arena, TM_DECIMAL_MAX, keep > least ? keep : least);
}

static const struct tm_type *decimal_result(struct tm_arena *arena, enum fn_arith_op op, const struct tm_type *a, const struct tm_type *b)
{
	int p1 = a->precision, s1 = a->scale, p2 = b->precision, s2 = b->scale, s = s1 > s2 ? s1 : s2;
	int w1 = p1 - s1, w2 = p2 - s2;
	switch (op) {
	case FN_MUL:
		return fn_adjust_decimal(arena, p1 + p2 + 1, s1 + s2);
	case FN_DIV: {
		int scale = s1 + p2 + 1 > 6 ? s1 + p2 + 1 : 6;
		return fn_adjust_decimal(arena, w1 + s2 + scale, scale);
	}
	case FN_MOD:
	case FN_PMOD:
		return fn_adjust_decimal(arena, (w1 < w2 ? w1 : w2) + s, s);
	default:
		return fn_adjust_decimal(arena, (w1 > w2 ? w1 : w2) + s + 1, s);
	}
}

/* An integer beside a decimal: a literal takes the digits it has, other values those of their type. */
static const struct tm_type *as_decimal(struct tm_fn_bind *b, size_t i)
{
	const struct tm_type *t = fn_type(b, i);
	const struct tm_column *c = b->args[i].literal;
	if (c && !b->cast[i] && b->args[i].expr && b->args[i].expr->kind == TM_EXPR_LITERAL && !tm_is_null(c, 0)) {
		int64_t v = t->kind == TM_T_SMALLINT ? c->i16[0] : t->kind == TM_T_INT ? c->i32[0] : t->kind == TM_T_BIGINT ? c->i64[0] : 0;
		if (t->kind == TM_T_SMALLINT || t->kind == TM_T_INT || t->kind == TM_T_BIGINT)
			return tm_type_decimal(b->arena, tm_decimal_digits(v), 0);
	}
	return fn_decimal_for(b->arena, t);
}

static tm_rc operands_differ(struct tm_fn_bind *b, struct tm_err *err)
{
	struct tm_str l = fn_type_sql(b->arena, b->args[0].type), r = fn_type_sql(b->arena, b->args[1].type);
	return fn_mismatch(b, err, "BINARY_OP_DIFF_TYPES",
			   "the left and right operands of the binary operator have incompatible types (\"%.*s\" and \"%.*s\").",
			   TM_STR_ARG(l), TM_STR_ARG(r));
}
static tm_rc operands_wrong(struct tm_fn_bind *b, const char *wants, const struct tm_type *has, struct tm_err *err)
{
	struct tm_str t = fn_type_sql(b->arena, has);
	return fn_mismatch(b, err, "BINARY_OP_WRONG_TYPE", "the binary operator requires the input type %s, not \"%.*s\".", wants,
			   TM_STR_ARG(t));
}

/* Casts both arguments to types the operator has a loop for. */
static tm_rc numeric_operands(struct tm_fn_bind *b, enum fn_arith_op op, struct tm_err *err)
{
	bool ansi = b->session->ansi;
	for (size_t i = 0; i < 2; i++) { /* strings and nulls follow the other side */
		const struct tm_type *mine = b->args[i].type, *other = b->args[1 - i].type;
		if (mine->kind == TM_T_STRING)
			b->cast[i] = ansi && tm_type_integral(other) ? &tm_type_bigint : &tm_type_double;
		else if (mine->kind == TM_T_NULL && other->kind == TM_T_NULL)
			b->cast[i] = op == FN_IDIV ? &tm_type_bigint : &tm_type_double;
		else if (mine->kind == TM_T_NULL)
			b->cast[i] = other->kind == TM_T_STRING ? &tm_type_double : other;
	}
	const struct tm_type *l = fn_type(b, 0), *r = fn_type(b, 1);
	if (!tm_type_numeric(l) || !tm_type_numeric(r)) {
		if (tm_type_same(l, r))
			return operands_wrong(
			    b,
			    op == FN_IDIV ? "(\"BIGINT\" or \"DECIMAL\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\")"
					  : "\"NUMERIC\"",
			    l, err);
		return operands_differ(b, err);
	}
	if (op == FN_DIV && b->args[0].type->kind == TM_T_NULL)
		b->cast[0] = b->cast[1] = l = r = &tm_type_double;
	bool floating = l->kind == TM_T_FLOAT || l->kind == TM_T_DOUBLE || r->kind == TM_T_FLOAT || r->kind == TM_T_DOUBLE;
	bool decimal = l->kind == TM_T_DECIMAL || r->kind == TM_T_DECIMAL;
	const struct tm_type *to;
	if (op == FN_IDIV && floating)
		return tm_type_same(b->args[0].type, b->args[1].type) || decimal
			   ? operands_wrong(b, "(\"BIGINT\" or \"DECIMAL\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\")", l,
					    err)
			   : operands_differ(b, err);
	if (decimal && !floating) {
		for (size_t i = 0; i < 2; i++)
			if (fn_type(b, i)->kind != TM_T_DECIMAL)
				b->cast[i] = as_decimal(b, i);
		return TM_OK;
	}
	if (op == FN_DIV || (decimal && floating))
		to = &tm_type_double;
	else if (op == FN_IDIV)
		to = &tm_type_bigint;
	else
		to = tm_type_common(b->arena, l, r, ansi);
	for (size_t i = 0; i < 2; i++)
		if (fn_type(b, i)->kind != to->kind)
			b->cast[i] = to;
	return TM_OK;
}

static int class_of(const struct tm_type *t) { return (int)t->kind - TM_T_TINYINT; }

tm_rc fn_bind_numeric(struct tm_fn_bind *b, enum fn_arith_op op, bool try_form, struct tm_err *err)
{
	TM_TRY(numeric_operands(b, op, err));
	struct fn_arith *bound = TM_NEW(b->arena, struct fn_arith);
	bound->op = op;
	bound->mode = try_form ? TM_CAST_TRY : b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY;
	b->bound = bound;
	const struct tm_type *l = fn_type(b, 0), *r = fn_type(b, 1);
	const struct tm_type *type = op == FN_IDIV ? &tm_type_bigint : l->kind == TM_T_DECIMAL ? decimal_result(b->arena, op, l, r) : l;
	bool may_null = bound->mode != TM_CAST_ANSI && (try_form || op >= FN_DIV || l->kind == TM_T_DECIMAL);
	return fn_is(b, &kernels[op][class_of(l)], type, may_null || fn_any_nullable(b));
}

BIND(arith)
{
	int variant = fn_variant(b);
	enum fn_arith_op op = (enum fn_arith_op)(variant & 15);
	bool try_form = variant & FN_TRY;
	if (b->arg_count == 1) {
		struct tm_expr *e;
		TM_TRY(fn_call(b, op == FN_SUB ? "negative" : "positive", &b->args[0].expr, 1, &e, err));
		b->replacement = e;
		return TM_OK;
	}
	bool done = false;
	TM_TRY(fn_bind_time_arith(b, op, try_form, &done, err));
	return done ? TM_OK : fn_bind_numeric(b, op, try_form, err);
}

/* ---- one argument ---- */
static tm_rc unary_lost(struct tm_eval *ev, const struct tm_expr *call)
{
	if (call->type->kind == TM_T_INTERVAL_YM || call->type->kind == TM_T_INTERVAL_DT)
		return fn_interval_overflow(ev, NULL);
	return call->bound ? fn_overflow(ev, "", NULL) : TM_OK;
}

#define UNARY_WRAP(name, T, U, compute)                                                                                                    \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		bool least = false;                                                                                                        \
		fn_begin_raw(ev, call, ret);                                                                                               \
		T const *a = args[0].data;                                                                                                 \
		T *r = ret->data;                                                                                                          \
		for (size_t i = 0; i < ev->rows; i++) {                                                                                    \
			T x = a[args[0].constant ? 0 : i], m = (T)(0 - (U)x);                                                              \
			r[i] = compute;                                                                                                    \
			least |= x < 0 && m < 0;                                                                                           \
		}                                                                                                                          \
		for (size_t i = 0; least && i < ev->rows; i++) {                                                                           \
			T x = a[tm_row(&args[0], i)];                                                                                      \
			if (x < 0 && (T)(0 - (U)x) < 0 && !tm_is_null(&args[0], i))                                                        \
				TM_TRY(unary_lost(ev, call));                                                                              \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
#define UNARY_PLAIN(name, T, compute)                                                                                                      \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		fn_begin_raw(ev, call, ret);                                                                                               \
		T const *a = args[0].data;                                                                                                 \
		T *r = ret->data;                                                                                                          \
		for (size_t i = 0; i < ev->rows; i++) {                                                                                    \
			T x = a[args[0].constant ? 0 : i];                                                                                 \
			r[i] = compute;                                                                                                    \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
#define BOTH(s, T, U) UNARY_WRAP(neg_##s, T, U, m) UNARY_WRAP(abs_##s, T, U, x < 0 ? m : x)
BOTH(i8, int8_t, uint8_t)
BOTH(i16, int16_t, uint16_t)
BOTH(i32, int32_t, uint32_t)
BOTH(i64, int64_t, uint64_t)
UNARY_PLAIN(neg_f32, float, -x)
UNARY_PLAIN(neg_f64, double, -x)
UNARY_PLAIN(neg_dec, i128, -x)
UNARY_PLAIN(abs_f32, float, fabsf(x))
UNARY_PLAIN(abs_f64, double, fabs(x))
UNARY_PLAIN(abs_dec, i128, x < 0 ? -x : x)
static const struct tm_kernel negatives[CLASSES] = {K(neg_i8), K(neg_i16), K(neg_i32), K(neg_i64), K(neg_f32), K(neg_f64), K(neg_dec)},
			      absolutes[CLASSES] = {K(abs_i8), K(abs_i16), K(abs_i32), K(abs_i64), K(abs_f32), K(abs_f64), K(abs_dec)};
static tm_rc neg_interval(FN_EVAL_ARGS)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_interval v = AT(0, interval, i), *r = &ret->interval[i];
		bool months = __builtin_sub_overflow(0, v.months, &r->months), days = __builtin_sub_overflow(0, v.days, &r->days),
		     small = months || days, large = __builtin_sub_overflow(0, v.micros, &r->micros);
		if ((small || large) && ev->session->ansi)
			return fn_overflow(ev, small ? "integer " : "long ", NULL);
	}
	return TM_OK;
}
static const struct tm_kernel kernel_neg_interval = K(neg_interval);

/* variant: 0 positive, 1 negative, 2 abs */
BIND(sign)
{
	const struct tm_type *t = b->args[0].type;
	int what = fn_variant(b);
	if (t->kind == TM_T_STRING || t->kind == TM_T_NULL)
		b->cast[0] = t = &tm_type_double;
	int class = t->kind == TM_T_INTERVAL_YM ? CLASS_I32 : t->kind == TM_T_INTERVAL_DT ? CLASS_I64 : class_of(t);
	if (!tm_type_numeric(t) && t->kind != TM_T_INTERVAL_YM && t->kind != TM_T_INTERVAL_DT && !(t->kind == TM_T_INTERVAL && what < 2))
		return fn_unexpected_type(b, 0, "NUMERIC", err);
	if (what == 0) {
		b->replacement = b->args[0].expr;
		return b->cast[0] ? tm_cast_bind(b->arena, b->session, b->args[0].expr, b->cast[0],
						 b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY, &b->replacement, err)
				  : TM_OK;
	}
	b->bound = b->session->ansi || t->kind >= TM_T_INTERVAL_YM ? "" : NULL;
	if (t->kind == TM_T_INTERVAL)
		return fn_is(b, &kernel_neg_interval, t, fn_any_nullable(b));
	return fn_is(b, what == 1 ? &negatives[class] : &absolutes[class], t, fn_any_nullable(b));
}
