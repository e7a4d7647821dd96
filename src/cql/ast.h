/* What the parser makes: statements and expressions in an arena, with names not yet looked up. */
#ifndef TM_CQL_AST_H
#define TM_CQL_AST_H
#include "cql/lex.h"
#include "table/schema.h"

struct cql_raw_type {
	struct tm_str keyspace, name; /* name as written for errors; natives in lower case */
	bool frozen, quoted;
	struct cql_raw_type **args;
	size_t arg_count, dimension;
};

enum cql_expr_kind {
	CQL_E_STRING,
	CQL_E_INTEGER,
	CQL_E_FLOAT,
	CQL_E_BOOLEAN,
	CQL_E_UUID,
	CQL_E_HEX,
	CQL_E_DURATION,
	CQL_E_NULL,
	CQL_E_MARKER,
	CQL_E_LIST,
	CQL_E_SET,
	CQL_E_MAP,
	CQL_E_TUPLE,
	CQL_E_UDT,
	CQL_E_HINT, /* (type) term */
	CQL_E_CALL,
	CQL_E_BINARY,
	CQL_E_NEGATE,
	CQL_E_PAREN,
	/* only in selections */
	CQL_E_COLUMN,
	CQL_E_FIELD,
	CQL_E_ELEMENT,
	CQL_E_RANGE,
	CQL_E_CAST,
	CQL_E_COUNT_ROWS,
	CQL_E_WRITETIME
};
enum cql_writetime { CQL_WRITETIME, CQL_MAXWRITETIME, CQL_TTL };
struct cql_expr {
	enum cql_expr_kind kind;
	struct tm_str text;     /* literal text; name of column, field, function */
	struct tm_str keyspace; /* of a function */
	struct cql_expr **args; /* map: key, value, …; range: base, from, to (NULL = open) */
	size_t arg_count;
	const struct tm_str *names; /* UDT fields */
	struct cql_raw_type *type;  /* hint, cast */
	char op;                    /* + - * / % */
	int what;                   /* cql_writetime; COUNT_ROWS: 1 for count(1) */
	size_t marker;              /* index */
	const struct cql_token *token;
};

enum cql_op { CQL_EQ, CQL_LT, CQL_LE, CQL_GT, CQL_GE, CQL_NE, CQL_IN, CQL_CONTAINS, CQL_CONTAINS_KEY, CQL_LIKE, CQL_IS_NOT_NULL };
struct cql_relation {
	const struct tm_str *columns;
	size_t column_count;
	bool tuple, token;        /* (a, b) op …; token(a, b) op … */
	struct cql_expr *element; /* column[element] op … */
	struct tm_str field;      /* column.field op … (conditions) */
	enum cql_op op;
	struct cql_expr *value;   /* IN: a marker, or a tuple-like list in values */
	struct cql_expr **values; /* IN (…) */
	size_t value_count;
	bool value_list;
};

struct cql_name {
	struct tm_str keyspace, name;
	bool has_keyspace;
};

struct cql_selector {
	struct cql_expr *expr;
	struct tm_str alias;
};
struct cql_ordering {
	struct cql_expr *expr;
	struct tm_str column;
	bool descending;
	struct cql_expr *ann;
};
struct cql_select {
	struct cql_name table;
	bool json, distinct, wildcard, allow_filtering;
	struct cql_selector *selectors;
	size_t selector_count;
	struct cql_relation *where;
	size_t where_count;
	struct cql_expr **group;
	size_t group_count;
	struct cql_ordering *order;
	size_t order_count;
	struct cql_expr *limit, *per_partition;
};

enum cql_assign {
	CQL_SET,
	CQL_SET_ADD,
	CQL_SET_SUBTRACT,
	CQL_SET_PREPEND,
	CQL_SET_ELEMENT,
	CQL_SET_FIELD,
	CQL_DELETE_COLUMN,
	CQL_DELETE_ELEMENT,
	CQL_DELETE_FIELD
};
struct cql_assignment {
	enum cql_assign kind;
	struct tm_str column, other, field; /* other: x of "c = x + …", must be the column */
	struct cql_expr *element, *value;
	bool short_form; /* c += … */
};
enum cql_modify_kind { CQL_INSERT, CQL_UPDATE, CQL_DELETE };
struct cql_modify {
	enum cql_modify_kind kind;
	struct cql_name table;
	struct tm_str *columns; /* INSERT */
	struct cql_expr **values;
	size_t column_count, value_count;
	struct cql_expr *json; /* INSERT JSON */
	bool json_default_unset, is_json;
	struct cql_assignment *assignments;
	size_t assignment_count;
	struct cql_relation *where, *conditions;
	size_t where_count, condition_count;
	bool if_not_exists, if_exists;
	struct cql_expr *timestamp, *ttl;
};
struct cql_batch {
	int type; /* 0 logged, 1 unlogged, 2 counter */
	struct cql_expr *timestamp, *ttl;
	struct cql_modify *parts;
	size_t part_count;
};

struct cql_property {
	struct tm_str name;
	bool is_map;
	struct tm_str value;
	struct tm_map map;
};
struct cql_properties {
	struct cql_property *items;
	size_t count, cap;
};
struct cql_column_def {
	struct tm_str name;
	struct cql_raw_type *type;
	bool is_static, primary, masked;
};
enum cql_ddl_kind {
	CQL_CREATE_KEYSPACE,
	CQL_ALTER_KEYSPACE,
	CQL_DROP_KEYSPACE,
	CQL_CREATE_TABLE,
	CQL_ALTER_TABLE,
	CQL_DROP_TABLE,
	CQL_CREATE_TYPE,
	CQL_ALTER_TYPE,
	CQL_DROP_TYPE,
	CQL_CREATE_INDEX,
	CQL_DROP_INDEX,
	CQL_TRUNCATE,
	CQL_USE,
	CQL_REFUSED
};
enum cql_alter { CQL_ALTER_ADD, CQL_ALTER_DROP, CQL_ALTER_RENAME, CQL_ALTER_OPTIONS, CQL_ALTER_TYPE_OF, CQL_ALTER_OTHER };
struct cql_ddl {
	enum cql_ddl_kind kind;
	enum cql_alter alter;
	struct cql_name name;
	bool if_exists, if_not_exists, if_inner; /* if_inner: ADD IF NOT EXISTS, DROP IF EXISTS */
	struct cql_properties properties;
	struct cql_column_def *columns; /* table columns, type fields */
	size_t column_count;
	struct tm_str *partition, *clustering, *from, *to; /* keys; RENAME pairs */
	size_t partition_count, clustering_count, rename_count;
	bool has_primary_clause, compact_storage;
	int primary_count;
	struct tm_str *order_columns;
	bool *order_desc;
	size_t order_count;
	bool has_timestamp;
	int64_t timestamp_us; /* DROP … USING TIMESTAMP */
	/* index */
	struct cql_name on;
	struct {
		struct tm_str column;
		enum tm_index_kind kind;
		bool plain;
	} * targets;
	size_t target_count;
	bool custom;
	struct tm_str class_name;
	struct tm_map options;
	/* refused */
	int refused_code;
	struct tm_str refused;
};
enum cql_describe_what {
	CQL_DESC_CLUSTER,
	CQL_DESC_SCHEMA,
	CQL_DESC_KEYSPACES,
	CQL_DESC_TABLES,
	CQL_DESC_TYPES,
	CQL_DESC_FUNCTIONS,
	CQL_DESC_AGGREGATES,
	CQL_DESC_KEYSPACE,
	CQL_DESC_TABLE,
	CQL_DESC_INDEX,
	CQL_DESC_TYPE,
	CQL_DESC_FUNCTION,
	CQL_DESC_AGGREGATE,
	CQL_DESC_VIEW,
	CQL_DESC_ANY
};
struct cql_describe {
	enum cql_describe_what what;
	struct cql_name name;
	bool full, only, internals, has_name;
};

enum cql_statement_kind { CQL_S_SELECT, CQL_S_MODIFY, CQL_S_BATCH, CQL_S_DDL, CQL_S_DESCRIBE };
struct cql_statement {
	enum cql_statement_kind kind;
	union {
		struct cql_select select;
		struct cql_modify modify;
		struct cql_batch batch;
		struct cql_ddl ddl;
		struct cql_describe describe;
	};
	const struct tm_str *marker_names; /* empty = positional */
	size_t marker_count;
};
/* Whole text must be one statement, optionally with semicolons behind. */
tm_rc cql_parse(struct tm_arena *arena, struct tm_str text, struct cql_statement *ret, struct tm_err *err) TM_CHECKED;
/* As Cassandra shows it: in column names and in errors. */
void cql_expr_text(const struct cql_expr *e, struct tm_buf *out);
void cql_raw_type_text(const struct cql_raw_type *t, struct tm_buf *out);
#endif
