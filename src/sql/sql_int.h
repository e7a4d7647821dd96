/* Between the files of the analyser: from names to positions. A query block is analysed bottom-up straight into operators; while
 * that goes on, an expression may hold placeholders (kinds below) for what an operator has to compute first. Lowering appends
 * columns to the operator and puts a column in the placeholder's place; columns are only ever appended, so expressions that were
 * resolved earlier stay right. */
#ifndef TM_SQL_INT_H
#define TM_SQL_INT_H
#include <stdarg.h>
#include "sql/ast.h"
#include "sql/fn.h"
#include "sql/sql.h"

enum {
	SX_AGG = 100,   /* bound: struct tm_agg; args: its arguments */
	SX_WINDOW,      /* bound: struct sx_window */
	SX_GENERATOR,   /* bound: struct sx_generator; args[0]: the list */
	SX_TIME_WINDOW, /* bound: struct sx_time_window; args[0]: the time [, args[1]: dynamic gap] */
	SX_OUTER,       /* column of the query around; column: its index there */
	SX_SUBQUERY,    /* bound: struct sx_subquery; args: values of the outer side */
	SX_GROUPING     /* grouping(k), grouping_id(…); args: the keys */
};
static inline int sx_kind(const struct tm_expr *e) { return (int)e->kind; }

struct sx_window {
	struct tm_window_fn fn;
	struct tm_expr **partition;
	size_t partition_count;
	struct tm_sort_key *order;
	size_t order_count;
	bool frame_given;                 /* written out */
	struct tm_str from_text, to_text; /* of bounds with an offset, as is their type */
	const struct tm_type *from_type, *to_type;
};
struct sx_generator {
	bool outer, position, inline_struct, is_map;
	size_t column_count;
	struct tm_str *names;
	const struct tm_type **types;
	bool *nullable;
	bool json_tuple; /* args are columns of one row, nothing to unfold */
};
struct sx_time_window {
	bool session;
	int64_t length_us, slide_us, offset_us;
	bool ntz;
};
enum sx_subquery_kind { SX_SCALAR, SX_EXISTS, SX_IN };
struct sx_subquery {
	enum sx_subquery_kind kind;
	bool negated;
	struct tm_op *op; /* its rows: value columns first, then correlation keys */
	size_t domain;    /* of a DOMAIN in it; 0 = none */
	bool grouped;     /* with a DOMAIN: what else than equality compares with outer columns stands below a grouping */
	size_t value_count;
	size_t key_count; /* args: IN values, then as many outer keys */
	bool *null_safe;
	struct tm_expr *empty; /* scalar over an aggregate: the value where no row matches */
	int line, column;
};

struct sx_column {
	struct tm_str name;
	struct ast_names qualifier; /* parts from the outermost */
	const struct tm_type *type;
	bool nullable;
	bool hidden;          /* only by qualified name: the other side of USING */
	struct tm_expr *expr; /* NULL: column `index` of the operator; else this */
	size_t index;
};
struct sx_columns {
	struct sx_column *items;
	size_t count, cap;
};
struct sx_rel {
	struct tm_op *op;
	struct sx_columns columns;
	bool domain; /* the operator has the outer values of the subquery around, from this column on */
	size_t domain_at;
};

struct sx_cte {
	struct tm_str name;
	struct ast_names columns;
	struct ast_query *query;
	const struct sx_cte *next;
	const struct sx_env *outer; /* of a subquery's WITH: the query around the subquery */
};
struct sx_lambda {
	struct tm_str name;
	size_t id;
	const struct tm_type *type;
	bool nullable;
	const struct sx_lambda *next;
};
struct sx_alias {
	struct tm_str name;
	struct tm_expr *expr;
};
struct sx_aliases {
	struct sx_alias *items;
	size_t count, cap;
};
struct sx_correlation {
	struct tm_expr *inner, *outer;
	bool null_safe;
};
struct sx_correlations {
	struct sx_correlation *items;
	size_t count, cap;
	bool global; /* of an aggregate without GROUP BY: it has a row where nothing matches */
};

struct sx;
struct sx_domain;
struct sx_env {
	struct sx *sx;
	const struct sx_columns *columns;
	struct sx_env *outer;                 /* of the query around, for correlated names */
	struct sx_correlations *correlations; /* where WHERE puts what it pulls up; NULL = not a subquery */
	struct sx_domain *domain;             /* of the subquery; NULL = not in one */
	bool carry;                           /* the query has to carry the domain's columns */
	bool in_domain;                       /* the block's operator has them, from domain_at on */
	size_t domain_at;
	const struct sx_lambda *lambdas;
	const struct sx_aliases *aliases;
	bool aliases_first;          /* ORDER BY */
	const struct ast_body *body; /* named windows */
	const struct sx_cte *ctes;
	bool in_aggregate, window_call, in_having;
	const struct tm_fn_within *within; /* of the aggregate that is bound */
};
/* One statement's analysis. */
struct sx {
	struct tm_sql *sql;
	struct tm_arena *arena;
	struct tm_session *session;
	struct tm_err *err;
	size_t lambda_count;
	size_t blocks; /* query blocks analysed: views and CTEs are analysed at each use */
	size_t view_depth;
	size_t domains;   /* numbers given to DOMAINs */
	bool check_only;  /* sources need not exist */
	bool want_stream; /* a streaming query: sources named with STREAM are streams */
	struct {
		struct tm_relation **items;
		size_t count, cap;
	} relations;
};
#define SX_LIMIT_BLOCKS 20000
#define SX_LIMIT_VIEW_DEPTH 100

/* ---- error.c ---- */
tm_rc sx_fail(struct sx *sx, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...) TM_PRINTF(6, 7);
/* Arguments of different types, a type without an order; call: how Spark writes the call. */
tm_rc sx_fail_types(struct sx *sx, int line, int column, struct tm_str call, const char *function, struct tm_expr *const *args, size_t n);
tm_rc sx_fail_unorderable(struct sx *sx, int line, int column, struct tm_str call, const char *function, const struct tm_type *t);
tm_rc sx_at(struct sx *sx, int line, int column, tm_rc rc); /* gives an error without a place this one */
const char *sx_type_sql(struct sx *sx, const struct tm_type *t);
tm_rc sx_fail_column(struct sx_env *env, const struct ast_expr *e);

/* ---- text.c: how Spark names an expression ---- */
struct tm_str sx_text(struct sx *sx, const char *fmt, ...) TM_PRINTF(2, 3);
struct tm_str sx_text_list(struct sx *sx, struct tm_expr *const *args, size_t n);
struct tm_str sx_text_call(struct sx *sx, const char *name, struct tm_expr *const *args, size_t n);
struct tm_str sx_text_literal(struct sx *sx, const struct tm_expr *e);
struct tm_str sx_text_quoted(struct sx *sx, struct tm_str name); /* `name` */

/* ---- build.c: making and rewriting expressions ---- */
struct tm_expr *sx_expr(struct sx *sx, enum tm_expr_kind kind, const struct tm_type *type, bool nullable);
struct tm_expr *sx_column_expr(struct sx *sx, size_t index, const struct tm_type *type, bool nullable, struct tm_str text);
struct tm_expr *sx_call_expr(struct sx *sx, const struct tm_kernel *kernel, const char *function, const struct tm_type *type, bool nullable,
			     struct tm_expr **args, size_t n);
struct tm_expr *sx_literal_null(struct sx *sx, const struct tm_type *type);
struct tm_expr *sx_struct(struct sx *sx, struct tm_expr **args, const struct tm_str *names, size_t n);
struct tm_expr *sx_literal_bool(struct sx *sx, bool v);
struct tm_expr *sx_literal_int(struct sx *sx, int32_t v);
struct tm_expr *sx_literal_bigint(struct sx *sx, int64_t v);
struct tm_expr *sx_literal_str(struct sx *sx, struct tm_str s);
struct tm_expr *sx_copy(struct sx *sx, const struct tm_expr *e); /* the node; args shared */
/* The copy of e with arg in place i; copy is e itself as long as no argument differs. */
struct tm_expr *sx_replace_arg(struct sx *sx, const struct tm_expr *e, struct tm_expr *copy, size_t i, struct tm_expr *arg);
/* Bottom-up rewrite: `each` may give another node; NULL keeps it. Children are copied only where something changed. enter (may
 * be NULL) decides whether the children are visited. */
typedef struct tm_expr *(*sx_rewrite_fn)(void *ctx, struct tm_expr *e);
struct tm_expr *sx_rewrite(struct sx *sx, struct tm_expr *e, sx_rewrite_fn before, sx_rewrite_fn after, void *ctx);
/* Columns so many places on, beside another input; 0 - n: back, modulo the size of size_t. */
struct tm_expr *sx_shift(struct sx *sx, struct tm_expr *e, size_t by);
bool sx_any(const struct tm_expr *e, bool (*test)(const struct tm_expr *e, void *ctx), void *ctx);
bool sx_has(const struct tm_expr *e, int kind);
bool sx_same(const struct tm_expr *a, const struct tm_expr *b);
bool sx_same_spec(const struct sx_window *a, const struct sx_window *b); /* PARTITION BY and ORDER BY */
bool sx_constant(const struct tm_expr *e);                               /* the same for every row, now and later */
bool sx_volatile(const struct tm_expr *e);
/* The value of a constant expression; NULL when it is none or fails. */
const struct tm_column *sx_value(struct sx *sx, const struct tm_expr *e);
struct tm_expr *sx_fold(struct sx *sx, struct tm_expr *e);
void sx_conjuncts(struct sx *sx, struct tm_expr *e, struct tm_expr ***io_items, size_t *io_count);
struct tm_expr *sx_and(struct sx *sx, struct tm_expr **items, size_t n);
struct tm_expr *sx_not(struct sx *sx, struct tm_expr *e);
struct tm_expr *sx_is_null(struct sx *sx, struct tm_expr *e, bool negated);
struct tm_expr *sx_if(struct sx *sx, struct tm_expr *condition, struct tm_expr *then, struct tm_expr *otherwise);
struct tm_expr *sx_field(struct sx *sx, struct tm_expr *base, size_t field);
/* A call of the catalogue with arguments that are resolved. */
tm_rc sx_call(struct sx_env *env, const char *name, struct tm_expr **args, size_t n, int line, int column, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_cast(struct sx *sx, struct tm_expr *e, const struct tm_type *to, struct tm_expr **ret) TM_CHECKED; /* implicit: keeps the text */
tm_rc sx_common_type(struct sx *sx, struct tm_expr *const *items, size_t n,
		     const struct tm_type **ret) TM_CHECKED; /* NULL where there is none */

/* ---- expr.c, call.c, special.c: AST to expressions ---- */
tm_rc sx_resolve(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_resolve_call(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
/* star.c */
/* Which of the environment's columns, or of a struct's fields, the star's EXCEPT takes out; each name must be one of them. */
tm_rc sx_star_excepted(struct sx_env *env, const struct ast_expr *star, bool **ret) TM_CHECKED;
tm_rc sx_star_field_excepted(struct sx *sx, const struct ast_expr *star, const struct tm_type *type, bool **ret) TM_CHECKED;
bool sx_star_matches(const struct ast_expr *star, const struct sx_column *c); /* t.* only t's columns, * all that are not hidden */
/* The call with names instead of stars among its arguments; the call itself where there are none, and for count(*). */
tm_rc sx_star_arguments(struct sx_env *env, const struct ast_expr *call, const struct ast_expr **ret) TM_CHECKED;
/* frame.c: w has its order by now. The check comes when the function has said what frame it takes; at: where an error is. */
tm_rc sx_frame_resolve(struct sx_env *env, const struct ast_window *frame, struct sx_window *w) TM_CHECKED;
tm_rc sx_frame_check(struct sx_env *env, const struct ast_window *at, const struct sx_window *w) TM_CHECKED;
struct tm_str sx_frame_text(struct sx *sx, const struct sx_window *w);                     /* "ROWS BETWEEN … AND …" */
struct tm_str sx_spec_text(struct sx *sx, const struct sx_window *w, struct tm_str frame); /* "(PARTITION BY … ORDER BY … frame)" */
/* within.c: a call with WITHIN GROUP; args has room for the keys. */
tm_rc sx_within_group(struct sx_env *env, const struct tm_fn *fn, const struct ast_expr *e, struct tm_expr **args,
		      struct tm_expr **ret) TM_CHECKED;
tm_rc sx_without_group(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *e) TM_CHECKED; /* refuses what needs one */
/* As Spark shows the call, with DISTINCT. */
struct tm_str sx_text_of_call(struct sx *sx, const struct tm_fn *fn, const struct ast_expr *at, struct tm_expr **args, size_t n);
tm_rc sx_resolve_literal(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_resolve_interval(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_resolve_name(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
/* The column that a name or its first *ret_parts parts stand for. */
tm_rc sx_find_column(struct sx_env *env, const struct ast_expr *e, const struct sx_column **ret, size_t *ret_parts) TM_CHECKED;
/* Do the last `parts` names of a column's qualifier say what the first of a written name say? */
bool sx_qualifier_matches(const struct ast_names *have, const struct ast_names *name, size_t parts);
tm_rc sx_resolve_boolean(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED; /* WHERE, HAVING, ON */
tm_rc sx_resolve_window(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;  /* f(…) OVER (…) */
tm_rc sx_resolve_subquery(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret) TM_CHECKED;
/* Functions that the analyser itself knows (CASE and its kin, struct, window …); *ret stays NULL for others. */
tm_rc sx_special(struct sx_env *env, const struct ast_expr *e, struct tm_str name, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_extract(struct sx_env *env, struct tm_expr *base, struct tm_str field, int line, int column, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_bind_in(struct sx *sx, struct tm_expr **items, size_t n, int line, int column, struct tm_expr **ret) TM_CHECKED;
tm_rc sx_interval_us(struct sx_env *env, const struct tm_expr *e, int64_t *ret_us, int32_t *ret_months) TM_CHECKED;
tm_rc sx_interval_overflow(struct sx *sx, int line, int column);
/* Binds an aggregate or scalar function of the catalogue. */
tm_rc sx_bind(struct sx_env *env, const struct tm_fn *fn, const struct ast_expr *at, struct tm_expr **args, size_t n,
	      struct tm_expr **ret) TM_CHECKED;

/* ---- relation.c, select.c, query.c … ---- */
struct tm_op *sx_op(struct sx *sx, enum tm_op_kind kind, struct tm_op *input, struct tm_op *second);
void sx_schema_add(struct sx *sx, struct tm_op *op, struct tm_str name, const struct tm_type *type, bool nullable);
void sx_schema_copy(struct sx *sx, struct tm_op *op, const struct tm_op *from);
struct tm_op *sx_op_filter(struct sx *sx, struct tm_op *input, struct tm_expr *condition);
struct tm_op *sx_op_project(struct sx *sx, struct tm_op *input, struct tm_expr **exprs, const struct tm_str *names, size_t n);
struct tm_op *sx_op_append(struct sx *sx, struct tm_op *input, struct tm_expr **exprs, const struct tm_str *names,
			   size_t n);                                   /* all columns, then these */
struct tm_op *sx_op_keep(struct sx *sx, struct tm_op *input, size_t n); /* the first n columns */
struct tm_op *sx_op_one_row(struct sx *sx);
struct tm_expr *sx_op_column(struct sx *sx, const struct tm_op *op, size_t index);
/* Names for the columns of op from `from` on, in front of them the qualifier unless it is empty. */
void sx_rel_add_columns(struct sx *sx, struct sx_rel *rel, const struct tm_op *op, size_t from, struct tm_str qualifier);
int64_t sx_delay(const struct tm_op *op, size_t column); /* of the watermark on it, µs; -1 = none */

/* The columns of JSON files, and of CSV with inferSchema, from the first lines of the files; leaves others alone. */
tm_rc sx_infer(struct sx *sx, struct tm_relation *relation) TM_CHECKED;
tm_rc sx_query(struct sx_env *env, const struct ast_query *q, struct sx_rel *ret) TM_CHECKED;
tm_rc sx_relation(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret) TM_CHECKED;
tm_rc sx_lateral_view(struct sx_env *env, const struct ast_lateral_view *v, struct sx_rel *io) TM_CHECKED;
tm_rc sx_body(struct sx_env *env, const struct ast_body *b, const struct ast_query *tail, struct sx_rel *ret) TM_CHECKED;
tm_rc sx_order_limit(struct sx_env *env, const struct ast_query *q, struct sx_rel *io) TM_CHECKED;
tm_rc sx_limit(struct sx_env *env, const struct ast_query *q, struct sx_rel *io) TM_CHECKED;
tm_rc sx_pivot(struct sx_env *env, const struct ast_pivot *v, struct sx_rel *io) TM_CHECKED;
tm_rc sx_join_on(struct sx *sx, struct tm_op *join, struct tm_expr *condition) TM_CHECKED; /* splits into keys and residual */
tm_rc sx_distinct(struct sx *sx, struct sx_rel *io, int line, int column) TM_CHECKED;
/* Lowering: placeholders in exprs[0..n) become columns that *io_op then has. */
tm_rc sx_lower_subqueries(struct sx *sx, struct tm_op **io_op, struct tm_expr **exprs, size_t n) TM_CHECKED;
tm_rc sx_lower_windows(struct sx *sx, struct tm_op **io_op, struct tm_expr **exprs, size_t n) TM_CHECKED;
struct sx_lowered {
	struct tm_expr *placeholder;
	size_t column;
};
struct sx_lowered_list {
	struct sx_lowered *items;
	size_t count, cap;
};
tm_rc sx_lower_time_windows(struct sx *sx, struct tm_op **io_op, struct sx_columns *io_columns, struct sx_lowered_list *io_done,
			    struct tm_expr **exprs, size_t n) TM_CHECKED;
/* Spark sorts by subqueries that are selected; of others only by scalar ones that stand for themselves. */
tm_rc sx_order_subquery(struct sx *sx, const struct tm_expr *e, const struct sx_aliases *outputs) TM_CHECKED;
/* ON with subqueries: each becomes columns of the side that it reads. */
tm_rc sx_lower_on(struct sx *sx, struct tm_op *join, struct tm_expr **io_condition) TM_CHECKED;
/* A condition as a FILTER; its subqueries become joins. */
tm_rc sx_filter_expr(struct sx *sx, struct tm_expr *condition, struct tm_op **io_op) TM_CHECKED;
tm_rc sx_generate(struct sx *sx, struct tm_op **io_op, struct tm_expr *generator, size_t *ret_first) TM_CHECKED;

/* ---- optimise.c, push.c, prune.c ---- */
struct tm_op *sx_push_filters(struct sx *sx, struct tm_op *root);
tm_rc sx_prune(struct sx *sx, struct tm_op **io_root) TM_CHECKED;
struct tm_op *sx_op_clone(struct sx *sx, const struct tm_op *op); /* the whole tree: rewriting one does not touch the other */
tm_rc sx_optimise(struct sx *sx, struct tm_op **io_root) TM_CHECKED;
uint64_t sx_plan_hash(const struct tm_op *root);
void sx_explain(struct sx *sx, const struct tm_op *root, struct tm_buf *out);

/* ---- kernels.c ---- */
extern const struct tm_kernel sx_kernel_and, sx_kernel_or, sx_kernel_not, sx_kernel_is_null, sx_kernel_is_not_null, sx_kernel_case,
    sx_kernel_coalesce, sx_kernel_in, sx_kernel_struct, sx_kernel_field, sx_kernel_array_field, sx_kernel_array_item, sx_kernel_map_item,
    sx_kernel_window, sx_kernel_session, sx_kernel_window_time, sx_kernel_in_window;
struct sx_window_bound {
	struct sx_time_window window;
	int64_t back;
};
extern const struct tm_agg_kernel sx_agg_single;

/* ---- statement.c, pipeline.c ---- */
tm_rc sx_statement(struct sx *sx, const struct ast_stmt *s, struct tm_str text,
		   struct tm_op **ret) TM_CHECKED;                                      /* what is no query; *ret: its answer */
tm_rc sx_plan(struct sx *sx, const struct ast_query *q, struct tm_op **ret) TM_CHECKED; /* analysed and optimised */
struct sx sx_begin(struct tm_sql *sql, struct tm_arena *arena, struct tm_err *err);

/* ---- catalogue (sql.c) ---- */
struct sx_view {
	struct tm_str name;
	struct ast_query *query;
	struct ast_names columns;
	struct tm_relation *relation;
	const struct sx_cte *ctes;
};
struct tm_sql {
	struct tm_arena arena;
	struct tm_stream_world world;
	struct tm_session session;
	size_t max_answer_bytes;
	struct {
		struct sx_view *items;
		size_t count, cap;
	} views;
	struct {
		struct tm_option *items;
		size_t count, cap;
	} settings;
};
struct sx_view *tm_sql_view(struct tm_sql *sql, struct tm_str name);
tm_rc tm_sql_define(struct tm_sql *sql, const struct sx_view *view, bool replace, struct tm_err *err) TM_CHECKED;
/* A source's relation from CREATE TEMPORARY VIEW … USING …, in the catalogue's arena; its columns are asked for at first use. */
/* steps.c: fills text and marks; text is the file's. */
tm_rc tm_sql_step_marks(struct tm_sql *sql, const struct ast_stmt *s, struct tm_str text, struct tm_step *io_step,
			struct tm_err *err) TM_CHECKED;
tm_rc tm_sql_source(struct tm_sql *sql, const struct ast_stmt *s, struct tm_relation **ret, struct tm_err *err) TM_CHECKED;
struct tm_str tm_sql_setting(const struct tm_sql *sql, const char *name); /* at NULL = not set */
#endif
