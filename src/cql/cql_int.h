/* What the files of the room share: typed expressions, their evaluation, prepared statements. */
#ifndef TM_CQL_INT_H
#define TM_CQL_INT_H
#include "cql/ast.h"
#include "cql/cql.h"
#include "cql/literal.h"
#include "table/mutation.h"
#include "table/read.h"
#include "table/schema.h"
#include "table/value.h"

enum {
	CQL_CODE_SERVER = 0x0000,
	CQL_CODE_UNAVAILABLE = 0x1000,
	CQL_CODE_FUNCTION = 0x1400,
	CQL_CODE_SYNTAX = 0x2000,
	CQL_CODE_UNAUTHORIZED = 0x2100,
	CQL_CODE_INVALID = 0x2200,
	CQL_CODE_CONFIG = 0x2300,
	CQL_CODE_EXISTS = 0x2400
};
/* Fails with a CQL code of its own. */
tm_rc cql_fail(struct tm_err *err, int code, const char *fmt, ...) TM_PRINTF(3, 4);

/* ---- typed expressions ---- */
enum cql_node_op {
	CQL_N_CONST,
	CQL_N_MARKER,
	CQL_N_COLUMN,
	CQL_N_CALL,
	CQL_N_LIST,
	CQL_N_SET,
	CQL_N_MAP,
	CQL_N_TUPLE,
	CQL_N_VECTOR,
	CQL_N_FIELD,
	CQL_N_ELEMENT,
	CQL_N_RANGE,
	CQL_N_WRITETIME,
	CQL_N_AGGREGATE
};
struct cql_function;
struct cql_node {
	enum cql_node_op op;
	const struct tm_cql_type *type;
	struct cql_node **args; /* TUPLE: one per field, NULL = null */
	size_t arg_count;
	struct tm_cql_value value; /* CONST */
	size_t index;              /* MARKER, COLUMN, FIELD, AGGREGATE (slot) */
	const struct cql_function *function;
	int what;           /* WRITETIME: cql_writetime; CALL: operator */
	struct tm_str text; /* for errors */
};
/* Names are looked up and markers typed in a scope. */
struct cql_scope {
	struct tm_arena *arena;
	const struct tm_cql_session *session;
	const struct tm_schema *schema;
	const struct tm_table *table; /* NULL when there is none */
	struct tm_cql_column_spec *markers;
	size_t marker_count;
	const struct tm_str *marker_names;
	struct {
		struct cql_node **items;
		size_t count, cap;
	} aggregates;
	bool in_aggregate, selecting;
	struct tm_err *err;
};
struct cql_receiver {
	struct tm_str name;
	const struct tm_cql_type *type;
};

tm_rc cql_bind_term(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret) TM_CHECKED;
/* A selection: columns may be used, its own type decides; to.type is a wish (NULL: none) for literals and markers. */
tm_rc cql_bind_selection(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret) TM_CHECKED;
/* The type an expression has by itself, NULL when that cannot be told (markers, null, collections of nothing). */
const struct tm_cql_type *cql_natural_type(struct cql_scope *s, const struct cql_expr *e);
/* 0 no, 1 can stand for it, 2 exactly. */
int cql_assignable(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *type);
bool cql_value_compatible(const struct tm_cql_type *to, const struct tm_cql_type *from);
tm_rc cql_resolve_type(struct cql_scope *s, const struct cql_raw_type *raw, struct tm_str keyspace,
		       const struct tm_cql_type **ret) TM_CHECKED;
void cql_marker(struct cql_scope *s, size_t index, struct tm_str name, const struct tm_cql_type *type);
const char *cql_type_cstr(struct tm_arena *arena, const struct tm_cql_type *type);
const char *cql_expr_cstr(struct tm_arena *arena, const struct cql_expr *e);

/* ---- functions ---- */
struct cql_call {
	struct cql_scope *scope;
	const struct cql_expr *expr;
	size_t arg_count;
	struct cql_expr **args;
	const struct tm_cql_type **natural; /* per argument, NULL = unknown */
	const struct tm_cql_type **types;   /* chosen by resolve */
	const struct tm_cql_type *wanted;   /* type of the receiver, NULL = any */
};
struct cql_eval;
typedef tm_rc (*cql_kernel)(struct cql_eval *ev, const struct cql_node *call, const struct tm_cql_value *args, struct tm_cql_value *ret,
			    struct tm_err *err);
struct cql_function {
	const char *name;
	int min_args, max_args;
	/* Chooses c->types and returns the result's type; NULL with err set or not: no signature fits. */
	const struct tm_cql_type *(*resolve)(struct cql_call *c, struct tm_err *err);
	cql_kernel run;
	bool takes_null; /* else null in, null out */
	enum { CQL_SCALAR, CQL_AGG_COUNT, CQL_AGG_MIN, CQL_AGG_MAX, CQL_AGG_SUM, CQL_AGG_AVG } kind;
	int what; /* for functions that share a kernel */
};
const struct cql_function *cql_function_find(struct tm_str name);
extern const struct cql_function cql_functions_time[], cql_functions_math[], cql_functions_value[],
    cql_functions_more[]; /* each ends in a nameless one */
extern const struct cql_function cql_function_binary, cql_function_negate, cql_function_cast;
const struct tm_cql_type *cql_binary_type(const struct tm_cql_type *a, const struct tm_cql_type *b, char op);
tm_rc cql_bind_binary(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *wanted, struct cql_node **ret) TM_CHECKED;
tm_rc cql_bind_cast(struct cql_scope *s, struct cql_node *arg, const struct tm_cql_type *to, const struct cql_expr *e,
		    struct cql_node **ret) TM_CHECKED;

struct cql_eval;
/* sum (or average) of serialised numbers of one type, as the aggregates compute it. */
struct tm_cql_value cql_accumulate(struct cql_eval *ev, const struct tm_cql_type *type, const struct tm_str *items, size_t count,
				   bool average);

/* ---- evaluation ---- */
struct cql_row { /* the current row, of a stored or a virtual table */
	const struct tm_table *table;
	const struct tm_read_row *read; /* NULL: values */
	const struct tm_cql_value *values;
};
struct cql_eval {
	struct tm_arena *arena;
	const struct tm_cql_session *session;
	const struct tm_table *table;
	const struct tm_cql_value *values; /* of markers */
	size_t value_count;
	const struct cql_row *row;
	const struct tm_cql_value *aggregates; /* finished, by slot */
	int64_t now_us, now_s;
};
tm_rc cql_eval(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err) TM_CHECKED;
struct tm_cql_value cql_row_value(const struct cql_row *row, size_t column, struct tm_arena *arena);
/* Sorts and removes doubles of serialised set or map items (in pairs); gives the collection's bytes. */
struct tm_str cql_pack_items(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str *items, size_t count);

/* ---- statements ---- */
struct tm_cql_prepared {
	int refs;
	struct tm_arena arena;
	struct tm_store *store;
	uint8_t id[16], result_id[16];
	struct tm_str text, keyspace; /* keyspace: of USE at the time */
	struct cql_statement statement;
	const struct tm_table_def *def; /* of SELECT and modifications; a reference, or of a virtual table */
	bool def_is_virtual;
	uint64_t schema_sequence;
	struct tm_cql_column_spec *markers;
	uint16_t *pk_index;
	size_t pk_count;
	struct cql_select_plan *select;
	struct cql_modify_plan *modify; /* one, or the parts of a batch */
	size_t modify_count;
	const struct tm_table_def **defs; /* of a batch's parts: references */
	size_t def_count;
	struct tm_str *warnings;
	size_t warning_count;
};
struct cql_run { /* one execution */
	struct tm_cql_session *session;
	const struct tm_cql_prepared *prepared;
	const struct tm_cql_query_options *options;
	struct tm_table_batch *pending;
	struct tm_arena *arena;
	struct tm_cql_result *result;
	struct cql_eval ev;
};
struct tm_str cql_session_keyspace(const struct tm_cql_session *s);
/* The table a name means; TM_INVALID with Cassandra's text. A reference (or a virtual table's def: *ret_virtual). */
tm_rc cql_find_table(const struct tm_cql_session *s, const struct cql_name *name, const struct tm_table_def **ret, bool *ret_virtual,
		     struct tm_err *err) TM_CHECKED;

tm_rc cql_select_prepare(struct cql_scope *s, struct tm_cql_prepared *p, const struct cql_select *select) TM_CHECKED;
tm_rc cql_select_run(struct cql_run *run, struct tm_err *err) TM_CHECKED;
void cql_select_columns(const struct tm_cql_prepared *p, const struct tm_cql_column_spec **ret, size_t *ret_count);

tm_rc cql_modify_prepare(struct cql_scope *s, struct tm_cql_prepared *p, const struct cql_modify *m, const struct tm_table *table,
			 struct cql_modify_plan *ret) TM_CHECKED;
size_t cql_modify_plan_size(void);
struct cql_modify_plan *cql_modify_plan_at(struct cql_modify_plan *plans, size_t i);
/* Runs modifications (one statement, or all of a batch) in one go. */
struct cql_modify_item {
	const struct tm_cql_prepared *prepared;
	const struct cql_modify_plan *plan;
	const struct tm_cql_value *values;
	size_t value_count;
};
tm_rc cql_modify_run(struct cql_run *run, const struct cql_modify_item *items, size_t count, int batch_type, bool is_batch,
		     const struct cql_node *batch_timestamp, struct tm_err *err) TM_CHECKED;

tm_rc cql_ddl_run(struct cql_run *run, const struct cql_ddl *d, struct tm_err *err) TM_CHECKED;
tm_rc cql_describe_run(struct cql_run *run, const struct cql_describe *d, struct tm_err *err) TM_CHECKED;
bool cql_is_system_keyspace(struct tm_str name);

/* ---- results ---- */
void cql_result_warn(struct cql_run *run, struct tm_str text);
struct tm_cql_value *cql_result_row(struct cql_run *run, size_t *cap); /* room for one more row; all null */

/* ---- virtual tables ---- */
struct tm_cql_rows {
	struct tm_arena *arena;
	const struct tm_table *table;
	struct tm_cql_value *values;
	size_t count, cap;
};
const struct tm_table_def *cql_virtual_table(struct tm_store *store, struct tm_str keyspace,
					     struct tm_str name); /* lives as long as the store */
bool cql_virtual_keyspace(struct tm_store *store, struct tm_str keyspace, bool *ret_stored_look);
tm_rc cql_virtual_rows(const struct tm_table_def *def, const struct tm_cql_session *session, struct tm_cql_rows *ret,
		       struct tm_err *err) TM_CHECKED;
/* Calls each for every virtual table of the store. */
void cql_virtual_each(struct tm_store *store, void (*each)(void *ctx, const struct tm_table *table, bool stored_look), void *ctx);

/* ---- JSON ---- */
/* The members of a JSON object for a table's columns: values by column, unset where the text does not name it. */
tm_rc cql_json_row(struct cql_eval *ev, const struct tm_table_def *def, struct tm_str text, struct tm_cql_value *values, bool *present,
		   struct tm_err *err) TM_CHECKED;
tm_rc cql_json_value(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str text, struct tm_cql_value *ret,
		     struct tm_err *err) TM_CHECKED;
#endif
