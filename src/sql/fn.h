/* The function catalogue: what the analyser asks and what the files fn_*.c answer. One row per function in functions.def. */
#ifndef TM_SQL_FN_H
#define TM_SQL_FN_H
#include "stream/plan.h"

struct tm_fn_arg {
	const struct tm_type *type; /* NULL for a lambda whose parameters are not typed yet */
	bool nullable;
	const struct tm_column *literal; /* the value, when the argument is a constant expression; else NULL */
	struct tm_expr *expr;
	bool lambda;
	size_t lambda_arity;
};
/* WITHIN GROUP (ORDER BY …). */
struct tm_fn_within {
	const struct tm_sort_key *keys;
	size_t count;
	bool own; /* the only key is argument 0 itself; else argument 0 is a struct of the keys and then the value */
};
/* Binding a call: types in, kernel and types out. */
struct tm_fn_bind {
	struct tm_arena *arena; /* plan's lifetime */
	const struct tm_session *session;
	const struct tm_fn *fn;
	struct tm_str name; /* as written */
	struct tm_fn_arg *args;
	size_t arg_count;
	bool distinct, ignore_nulls;
	const struct tm_fn_within *within; /* NULL: no order is asked for, or the arguments say it */
	/* Types a lambda argument: the function says its parameters' types, the analyser analyses the body and fills args[i].type/expr. */
	tm_rc (*bind_lambda)(struct tm_fn_bind *bind, size_t arg, const struct tm_type *const *parameter_types,
			     const bool *parameter_nullable, size_t n, struct tm_err *err);
	void *analyser; /* of bind_lambda */
	/* results */
	const struct tm_type **cast; /* [arg_count], NULL entry = as it is; the analyser adds implicit casts */
	const struct tm_type *type;
	bool nullable;
	const struct tm_kernel *kernel;  /* scalar */
	const struct tm_agg_kernel *agg; /* aggregate */
	const void *bound;
	struct tm_expr *replacement; /* instead of a kernel: a rewritten expression (nvl2 -> if) */
};
enum tm_fn_kind { TM_FN_SCALAR, TM_FN_AGGREGATE, TM_FN_GENERATOR, TM_FN_WINDOW };
struct tm_fn {
	const char *name; /* lower case; operators by their sign: "+", "=", "<=>", "||" */
	enum tm_fn_kind kind;
	int min_args, max_args; /* max -1 = any */
	tm_rc (*bind)(struct tm_fn_bind *bind, struct tm_err *err);
	const void *data; /* of bind: lets one bind serve many rows of the table */
	const char *doc, *example;
};
/* Case aside; NULL when there is none. */
const struct tm_fn *tm_fn_find(struct tm_str name);
size_t tm_fn_all(const struct tm_fn **ret);
/* Closest names for UNRESOLVED_ROUTINE. */

enum tm_cast_mode { TM_CAST_LEGACY, TM_CAST_ANSI, TM_CAST_TRY };
/* May a value of `from` be cast to `to` at all (else DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION …)? */
bool tm_cast_allowed(const struct tm_type *from, const struct tm_type *to, enum tm_cast_mode mode);
/* The call expression of the cast, text "CAST(x AS INT)" left to the caller. */
tm_rc tm_cast_bind(struct tm_arena *arena, const struct tm_session *session, struct tm_expr *value, const struct tm_type *to,
		   enum tm_cast_mode mode, struct tm_expr **ret, struct tm_err *err) TM_CHECKED;
/* Are both casts, and of one mode? Their types and arguments are not looked at. */
bool tm_cast_same(const struct tm_expr *a, const struct tm_expr *b);
/* Spark's type coercion: the type both can be widened to, or NULL. ansi: AnsiTypeCoercion, else TypeCoercion. */
const struct tm_type *tm_type_common(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b, bool ansi);
/* For comparisons: of structs that differ in the names of their fields alone, else NULL. */
const struct tm_type *fn_common_shape(struct tm_arena *arena, const struct tm_type *a, const struct tm_type *b);
/* May `from` be cast implicitly where `to` is asked for? */
bool tm_cast_implicit(const struct tm_type *from, const struct tm_type *to, bool ansi);

/* The value as Spark's CAST(x AS STRING) prints it. */
void tm_value_text(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);
/* As `--json` prints it (shared/vectors README). */
void tm_value_json(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);
/* The type of JSON texts that have none, as schema_of_json finds it: widen NULL's type text by text, then settle. */
bool tm_json_widen(struct tm_arena *arena, struct tm_str text, const struct tm_type **io);
const struct tm_type *tm_json_settle(struct tm_arena *arena, const struct tm_type *t);
/* "STRUCT<a: INT>", "a INT, b STRING NOT NULL" (DDL) or a type's JSON -> type. */
tm_rc tm_type_parse(struct tm_arena *arena, struct tm_str text, const struct tm_type **ret, struct tm_err *err) TM_CHECKED;
#endif
