/* Comparisons: = <> < <= > >= <=>, and greatest and least. A loop per operator and type. */
#include "sql/fn_arith.h"
#include <math.h>

enum op { EQ, NE, LT, LE, GT, GE, NULL_SAFE };

#define LOOP(T, expr)                                                                                                                      \
	do {                                                                                                                               \
		T const *a_ = args[0].data, *b_ = args[1].data;                                                                            \
		if (!args[0].constant && !args[1].constant)                                                                                \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[i], y = b_[i];                                                                                    \
				r[i] = (expr);                                                                                             \
			}                                                                                                                  \
		else if (args[1].constant)                                                                                                 \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[args[0].constant ? 0 : i], y = b_[0];                                                             \
				r[i] = (expr);                                                                                             \
			}                                                                                                                  \
		else                                                                                                                       \
			for (size_t i = 0; i < n; i++) {                                                                                   \
				T x = a_[0], y = b_[i];                                                                                    \
				r[i] = (expr);                                                                                             \
			}                                                                                                                  \
	} while (0)
#define CMP(name, T, expr)                                                                                                                 \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		size_t n = ev->rows;                                                                                                       \
		fn_begin_raw(ev, call, ret);                                                                                               \
		uint8_t *r = ret->boolean;                                                                                                 \
		LOOP(T, expr);                                                                                                             \
		return TM_OK;                                                                                                              \
	}
/* A table of instances, one row a line. */
/* clang-format off */
#define NUMBERS(s, T) \
	CMP(eq_##s, T, x == y) CMP(ne_##s, T, x != y) CMP(lt_##s, T, x < y) CMP(le_##s, T, x <= y) CMP(gt_##s, T, x > y) CMP(ge_##s, T, x >= y)
NUMBERS(u8, uint8_t)
NUMBERS(i8, int8_t)
NUMBERS(i16, int16_t)
NUMBERS(i32, int32_t)
NUMBERS(i64, int64_t)
NUMBERS(i128, i128)
/* NaN equals NaN and is above all else. */
#define FLOATS(s, T) \
	CMP(eq_##s, T, (x == y) | ((x != x) & (y != y))) CMP(ne_##s, T, !((x == y) | ((x != x) & (y != y)))) \
	CMP(lt_##s, T, (x < y) | ((y != y) & (x == x))) CMP(le_##s, T, (x <= y) | (y != y)) \
	CMP(gt_##s, T, (x > y) | ((x != x) & (y == y))) CMP(ge_##s, T, (x >= y) | (x != x))
FLOATS(f32, float)
FLOATS(f64, double)
static inline bool str_eq(struct tm_str a, struct tm_str b) { return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0); }
CMP(eq_str, struct tm_str, str_eq(x, y))
CMP(ne_str, struct tm_str, !str_eq(x, y))
CMP(lt_str, struct tm_str, tm_str_cmp(x, y) < 0)
CMP(le_str, struct tm_str, tm_str_cmp(x, y) <= 0)
CMP(gt_str, struct tm_str, tm_str_cmp(x, y) > 0)
CMP(ge_str, struct tm_str, tm_str_cmp(x, y) >= 0)
/* clang-format on */

/* Nested values. */
#define NESTED(name, test)                                                                                                                 \
	static tm_rc name(FN_EVAL_ARGS)                                                                                                    \
	{                                                                                                                                  \
		fn_begin(ev, call, args, ret);                                                                                             \
		FN_ROWS(i)                                                                                                                 \
		{                                                                                                                          \
			int c = tm_value_cmp(&args[0], i, &args[1], i);                                                                    \
			ret->boolean[i] = test;                                                                                            \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
NESTED(eq_any, c == 0)
NESTED(ne_any, c != 0)
NESTED(lt_any, c < 0)
NESTED(le_any, c <= 0)
NESTED(gt_any, c > 0)
NESTED(ge_any, c >= 0)

static tm_rc null_safe(FN_EVAL_ARGS)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		bool a = tm_is_null(&args[0], i), b = tm_is_null(&args[1], i);
		ret->boolean[i] = a || b ? a == b : tm_value_cmp(&args[0], i, &args[1], i) == 0;
	}
	return TM_OK;
}

#define K(f)                                                                                                                               \
	{                                                                                                                                  \
		.name = #f, .eval = f, .flags = TM_KERNEL_CONSTANTS | TM_KERNEL_NULL_IN_NULL_OUT                                           \
	}
#define ROW(s)                                                                                                                             \
	{                                                                                                                                  \
		K(eq_##s), K(ne_##s), K(lt_##s), K(le_##s), K(gt_##s), K(ge_##s)                                                           \
	}
enum { C_U8, C_I8, C_I16, C_I32, C_I64, C_I128, C_F32, C_F64, C_STR, C_ANY, C_COUNT };
static const struct tm_kernel kernels[C_COUNT][NULL_SAFE] = {ROW(u8),   ROW(i8),  ROW(i16), ROW(i32), ROW(i64),
							     ROW(i128), ROW(f32), ROW(f64), ROW(str), ROW(any)};
static const struct tm_kernel kernel_null_safe = {.name = "<=>", .eval = null_safe, .flags = TM_KERNEL_CONSTANTS};

static const uint8_t classes[TM_T_KIND_COUNT] = {
    [TM_T_NULL] = C_ANY,        [TM_T_BOOLEAN] = C_U8,      [TM_T_TINYINT] = C_I8,    [TM_T_SMALLINT] = C_I16,      [TM_T_INT] = C_I32,
    [TM_T_BIGINT] = C_I64,      [TM_T_FLOAT] = C_F32,       [TM_T_DOUBLE] = C_F64,    [TM_T_DECIMAL] = C_I128,      [TM_T_STRING] = C_STR,
    [TM_T_BINARY] = C_STR,      [TM_T_DATE] = C_I32,        [TM_T_TIMESTAMP] = C_I64, [TM_T_TIMESTAMP_NTZ] = C_I64, [TM_T_TIME] = C_I64,
    [TM_T_INTERVAL_YM] = C_I32, [TM_T_INTERVAL_DT] = C_I64, [TM_T_INTERVAL] = C_ANY,  [TM_T_VARIANT] = C_ANY,       [TM_T_ARRAY] = C_ANY,
    [TM_T_MAP] = C_ANY,         [TM_T_STRUCT] = C_ANY};

BIND(compare)
{
	int op = fn_variant(b);
	const struct tm_type *l = b->args[0].type, *r = b->args[1].type, *to = fn_common_compare(b->arena, l, r, b->session->ansi);
	if (!to) {
		struct tm_str lt = fn_type_sql(b->arena, l), rt = fn_type_sql(b->arena, r);
		return fn_mismatch(b, err, "BINARY_OP_DIFF_TYPES",
				   "the left and right operands of the binary operator have incompatible types (\"%.*s\" and \"%.*s\").",
				   TM_STR_ARG(lt), TM_STR_ARG(rt));
	}
	if (!tm_type_orderable(to))
		return fn_unorderable(b, to, err);
	for (size_t i = 0; i < 2; i++)
		if (!tm_type_same(b->args[i].type, to))
			b->cast[i] = to;
	if (op == NULL_SAFE)
		return fn_is(b, &kernel_null_safe, &tm_type_boolean, false);
	return fn_is(b, &kernels[classes[to->kind]][op], &tm_type_boolean, fn_any_nullable(b));
}

KERNEL(not )
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] = !AT(0, boolean, i);
	return TM_OK;
}

KERNEL(isnull)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] = tm_is_null(&args[0], i);
	return TM_OK;
}
KERNEL(isnotnull)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] = !tm_is_null(&args[0], i);
	return TM_OK;
}
/* variant: 0 isnull, 1 isnotnull */
BIND(null_test) { return fn_is(b, fn_variant(b) ? &tm_k_isnotnull : &tm_k_isnull, &tm_type_boolean, false); }

KERNEL(isnan)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] =
		    !tm_is_null(&args[0], i) && isnan(args[0].type->kind == TM_T_FLOAT ? (double)AT(0, f32, i) : AT(0, f64, i));
	return TM_OK;
}
BIND(isnan)
{
	if (!fn_kind(b, 0, TM_T_FLOAT))
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	return fn_is(b, &tm_k_isnan, &tm_type_boolean, false);
}

/* greatest, least: nulls are skipped. bound: not NULL for greatest */
KERNEL(extreme)
{
	uint32_t *pick = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *pick);
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, call->arg_count);
	struct tm_column *flat = TM_NEW_N(ev->arena, struct tm_column, call->arg_count);
	struct tm_column all;
	for (size_t a = 0; a < call->arg_count; a++) {
		flat[a] = args[a];
		tm_column_flatten(&flat[a], ev->arena);
		flat[a].type = call->type;
		parts[a] = &flat[a];
	}
	for (size_t i = 0; i < ev->rows; i++) {
		size_t best = SIZE_MAX;
		for (size_t a = 0; a < call->arg_count; a++) {
			if (tm_is_null(&flat[a], i))
				continue;
			int c = best == SIZE_MAX ? 0 : tm_value_cmp(&flat[a], i, &flat[best], i);
			if (best == SIZE_MAX || (call->bound ? c > 0 : c < 0))
				best = a;
		}
		pick[i] = best == SIZE_MAX ? UINT32_MAX : (uint32_t)(best * ev->rows + i);
	}
	tm_column_concat(&all, ev->arena, parts, call->arg_count);
	tm_column_take(ret, ev->arena, &all, pick, ev->rows);
	return TM_OK;
}

BIND(extreme)
{
	const struct tm_type *t = b->args[0].type;
	bool nullable = true;
	for (size_t i = 0; i < b->arg_count; i++) {
		t = t ? fn_common_strict(b->arena, t, b->args[i].type, b->session->ansi) : NULL;
		nullable = nullable && b->args[i].nullable;
	}
	if (!t)
		return fn_different_types(b, 0, b->arg_count, err);
	if (!tm_type_orderable(t))
		return fn_unorderable(b, t, err);
	for (size_t i = 0; i < b->arg_count; i++)
		if (!tm_type_same(b->args[i].type, t))
			b->cast[i] = t;
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_extreme, t, nullable);
}
