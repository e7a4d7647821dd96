/* Shared by the files fn_*.c, cast*.c, agg_*.c and kernels.c: declaring kernels, reading arguments row by row, binding by signature,
 * Spark's error classes. Kernels initialise ret themselves; "null in, null out" is fn_begin's work. */
#ifndef TM_SQL_FN_INT_H
#define TM_SQL_FN_INT_H
#include "sql/fn.h"
#include "sql/number.h"
#include "sql/datetime.h"

/* ---- kernels ---- */
#define UNUSED __attribute__((unused))
#define FN_EVAL_ARGS                                                                                                                       \
	UNUSED struct tm_eval *ev, UNUSED const struct tm_expr *call, UNUSED const struct tm_column *args, struct tm_column *ret
#define KERNEL_FLAGS(id, bits)                                                                                                             \
	static tm_rc eval_##id(FN_EVAL_ARGS);                                                                                              \
	extern const struct tm_kernel tm_k_##id;                                                                                           \
	const struct tm_kernel tm_k_##id = {.name = #id, .eval = eval_##id, .flags = bits};                                                \
	static tm_rc eval_##id(FN_EVAL_ARGS)
#define KERNEL(id) KERNEL_FLAGS(id, TM_KERNEL_CONSTANTS)
#define KERNEL_VOLATILE(id) KERNEL_FLAGS(id, TM_KERNEL_CONSTANTS | TM_KERNEL_VOLATILE)
/* Makes ret (call->type, ev->rows) with valid = AND of the arguments' valid. */
void fn_begin(FN_EVAL_ARGS);
/* The same without looking at the arguments. */
void fn_begin_raw(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret);
void fn_null(struct tm_eval *ev, struct tm_column *ret, size_t row);
/* Rows of ret that are not null because of their arguments. */
#define FN_ROWS(i)                                                                                                                         \
	for (size_t i = 0; i < ev->rows; i++)                                                                                              \
		if (ret->valid && !ret->valid[i])                                                                                          \
			continue;                                                                                                          \
		else
#define AT(n, field, i) (args[n].field[tm_row(&args[n], i)])
#define STR_AT(n, i) AT(n, str, i)
/* The bytes in the batch's arena. */
struct tm_str fn_copy(struct tm_eval *ev, const void *data, size_t n);
struct tm_str fn_buf(struct tm_eval *ev, struct tm_buf *b); /* copies and empties b */
/* Memory whose size the data decide: an error over the limit. */
tm_rc fn_try(struct tm_eval *ev, size_t size, void **ret) TM_CHECKED;
/* The same for text that grows in a buffer: to be asked after every piece that is not the text's own. */
tm_rc fn_text_limit(struct tm_eval *ev, const struct tm_buf *b) TM_CHECKED;

/* ---- binding ---- */
struct fn_simple {
	const char *sig; /* "s,i>s": see fn_bind.c */
	const struct tm_kernel *kernel;
};
#define BIND(name)                                                                                                                         \
	tm_rc tm_bind_##name(struct tm_fn_bind *b, struct tm_err *err);                                                                    \
	tm_rc tm_bind_##name(struct tm_fn_bind *b, UNUSED struct tm_err *err)
tm_rc tm_bind_simple(struct tm_fn_bind *b, struct tm_err *err) TM_CHECKED;
/* The variant number of the function's row in functions.def. */
static inline int fn_variant(const struct tm_fn_bind *b) { return (int)(intptr_t)b->fn->data; }
bool fn_any_nullable(const struct tm_fn_bind *b);
/* Ends a binding. */
tm_rc fn_is(struct tm_fn_bind *b, const struct tm_kernel *kernel, const struct tm_type *type, bool nullable) TM_CHECKED;
tm_rc fn_is_agg(struct tm_fn_bind *b, const struct tm_agg_kernel *agg, const struct tm_type *type, bool nullable) TM_CHECKED;
/* Binds a function of one text. Its variant is the try_ form: bound is not NULL, and null is the answer where the other form fails. */
tm_rc fn_bind_try(struct tm_fn_bind *b, const struct tm_kernel *kernel, const struct tm_type *type, struct tm_err *err) TM_CHECKED;
/* The argument's type after implicit casts so far. */
static inline const struct tm_type *fn_type(const struct tm_fn_bind *b, size_t i) { return b->cast[i] ? b->cast[i] : b->args[i].type; }
static inline bool fn_kind(const struct tm_fn_bind *b, size_t i, enum tm_type_kind kind) { return fn_type(b, i)->kind == kind; }
/* Asks for an implicit cast of argument i; DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE where there is none. */
tm_rc fn_want(struct tm_fn_bind *b, size_t i, const struct tm_type *to, struct tm_err *err) TM_CHECKED;
/* All the arguments from..to of their common type; DATATYPE_MISMATCH.DATA_DIFF_TYPES where there is none. */
tm_rc fn_want_common(struct tm_fn_bind *b, size_t from, size_t to, const struct tm_type **ret, struct tm_err *err) TM_CHECKED;
/* A constant argument's text; false when it is not constant, not a string or null. */
bool fn_literal_str(const struct tm_fn_bind *b, size_t i, struct tm_str *ret);
bool fn_literal_int(const struct tm_fn_bind *b, size_t i, int64_t *ret);
bool fn_literal_double(const struct tm_fn_bind *b, size_t i, double *ret);
/* Of argument i, a constant map of options: the one of this name, without case. */
bool fn_option(const struct tm_fn_bind *b, size_t i, const char *name, struct tm_str *ret);
static inline bool fn_literal_null(const struct tm_fn_bind *b, size_t i) { return b->args[i].literal && tm_is_null(b->args[i].literal, 0); }
/* The call as Spark writes it in messages. */
struct tm_str fn_call_text(struct tm_fn_bind *b);
struct tm_str fn_type_sql(struct tm_arena *arena, const struct tm_type *t);
tm_rc fn_mismatch(struct tm_fn_bind *b, struct tm_err *err, const char *klass, const char *fmt, ...) TM_PRINTF(4, 5);
tm_rc fn_unexpected_type(struct tm_fn_bind *b, size_t i, const char *required, struct tm_err *err);
tm_rc fn_different_types(struct tm_fn_bind *b, size_t from, size_t to, struct tm_err *err); /* of the arguments from..to */
tm_rc fn_unorderable(struct tm_fn_bind *b, const struct tm_type *t, struct tm_err *err);
/* An expression calling a function of the catalogue by name (rewrites); args are taken as they are. */
tm_rc fn_call(struct tm_fn_bind *b, const char *name, struct tm_expr **args, size_t n, struct tm_expr **ret, struct tm_err *err) TM_CHECKED;
/* The same for a function that is not in the catalogue. */
tm_rc fn_call_of(struct tm_fn_bind *b, const struct tm_fn *fn, struct tm_expr **args, size_t n, struct tm_expr **ret,
		 struct tm_err *err) TM_CHECKED;
struct tm_expr *fn_make_literal_int(struct tm_arena *arena, const struct tm_type *type, int64_t v);
struct tm_expr *fn_make_literal_str(struct tm_arena *arena, struct tm_str s);
/* Element type of decimal arithmetic for integers, as Spark's DecimalType.forType; NULL for others. */
const struct tm_type *fn_decimal_for(struct tm_arena *arena, const struct tm_type *t);

/* Bytes of hexadecimal text; false when it is none. */
bool fn_unhex(struct tm_eval *ev, struct tm_str s, struct tm_str *ret);

/* ---- lists ---- */
/* A compact copy of an ARRAY or MAP column's spans: *ret_index names the child rows in use, in order; spans are renumbered. */
void fn_list_compact(struct tm_eval *ev, const struct tm_column *list, size_t rows, struct tm_span *ret_spans, uint32_t **ret_index,
		     size_t *ret_count);
/* Collects child rows (index UINT32_MAX = null) and spans of a result list made by taking elements. */
struct fn_index {
	uint32_t *items;
	size_t count, cap;
};
static inline void fn_index_add(struct tm_eval *ev, struct fn_index *x, uint32_t v) { TM_PUSH_IN(ev->arena, x, v); }
/* The strings of a result ARRAY<STRING>; its spans are the kernel's. */
struct fn_strings {
	struct tm_str *items;
	size_t count, cap;
};
void fn_strings_set(struct tm_eval *ev, struct tm_column *ret, const struct fn_strings *s);

/* ---- casts ---- */
struct cast_plan;
typedef tm_rc cast_run(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out);
struct cast_plan {
	const struct tm_type *from, *to;
	enum tm_cast_mode mode;
	bool special; /* 'now', 'today': only for literals */
	cast_run *run;
	const struct cast_plan **children;
};
#define CAST(name)                                                                                                                         \
	static tm_rc name(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
#define CAST_LIVE(i) (!out->valid || out->valid[i]) /* there is a value to cast in row i */
/* NULL when it is not allowed. */
const struct cast_plan *cast_plan_new(struct tm_arena *arena, const struct tm_type *from, const struct tm_type *to, enum tm_cast_mode mode);
tm_rc cast_invalid(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row);
tm_rc cast_overflow(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row);
tm_rc cast_decimal_range(struct tm_eval *ev, const struct tm_type *to, struct tm_str value);
tm_rc cast_decimal_value_range(struct tm_eval *ev, const struct tm_type *to, i128 v, int scale);
void cast_begin(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out);
cast_run *cast_numeric_run(enum tm_type_kind from, enum tm_type_kind to);
cast_run *cast_from_string_run(const struct tm_type *to);
cast_run *cast_time_run(const struct tm_type *from, const struct tm_type *to);
cast_run *cast_variant_run(const struct tm_type *from, const struct tm_type *to);
cast_run cast_identity, cast_to_string, cast_binary_string, cast_nested, cast_null;

/* ---- texts ---- */
struct tm_sql_zone;
const struct tm_sql_zone *fn_zone(const struct tm_session *session); /* of the session; UTC where it is unknown */
/* The literal form for messages: 1.0E21D, 128Y, 'abc'. */
void fn_value_sql(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);

/* ---- errors ---- */
#define FN_ANSI_HINT " If necessary set \"spark.sql.ansi.enabled\" to \"false\" to bypass this error."
tm_rc fn_divide_by_zero(struct tm_eval *ev);
tm_rc fn_remainder_by_zero(struct tm_eval *ev);
tm_rc fn_overflow(struct tm_eval *ev, const char *what, const char *try_name); /* ARITHMETIC_OVERFLOW */
/* What java.time's exact arithmetic on microseconds throws. */
tm_rc fn_long_overflow(struct tm_eval *ev);
tm_rc fn_interval_overflow(struct tm_eval *ev, const char *try_name);
tm_rc fn_index_zero(struct tm_eval *ev);
tm_rc fn_bad_parameter(struct tm_eval *ev, const char *klass, const char *fmt, ...) TM_PRINTF(3, 4); /* INVALID_PARAMETER_VALUE.klass */
#endif
