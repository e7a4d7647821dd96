/* Arithmetic, shared by numbers (fn_arith.c) and by dates and intervals (fn_date_arith.c). */
#ifndef TM_SQL_FN_ARITH_H
#define TM_SQL_FN_ARITH_H
#include "sql/fn_int.h"
enum fn_arith_op { FN_ADD, FN_SUB, FN_MUL, FN_DIV, FN_IDIV, FN_MOD, FN_PMOD, FN_ARITH_OPS };
enum { FN_TRY = 16 }; /* in the variant of functions.def */
struct fn_arith {
	enum fn_arith_op op;
	enum tm_cast_mode mode;
};
tm_rc fn_bind_numeric(struct tm_fn_bind *b, enum fn_arith_op op, bool try_form, struct tm_err *err) TM_CHECKED;
/* Months, then days on the local clock of zone, then microseconds; false when it overflows. */
bool fn_timestamp_shift(const struct tm_sql_zone *zone, int64_t us, struct tm_interval v, int64_t *ret);
/* *ret_done: there is a date, timestamp or interval among the arguments, and the call is bound. */
tm_rc fn_bind_time_arith(struct tm_fn_bind *b, enum fn_arith_op op, bool try_form, bool *ret_done, struct tm_err *err) TM_CHECKED;
const struct tm_type *fn_adjust_decimal(struct tm_arena *arena, int precision, int scale);
const struct tm_type *fn_common_strict(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi);
const struct tm_type *fn_common_compare(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi);
#endif
