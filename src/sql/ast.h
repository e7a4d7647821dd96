/* What the parser makes of SQL text: a tree that still speaks in names. Every node knows where it stood (line and column from 1,
 * byte offsets of its text). Everything lives in the parser's arena. */
#ifndef TM_SQL_AST_H
#define TM_SQL_AST_H
#include "base/base.h"

struct ast_query;
struct ast_expr;
struct ast_exprs {
	struct ast_expr **items;
	size_t count, cap;
};
struct ast_names {
	struct tm_str *items;
	size_t count, cap;
};

enum ast_literal {
	AST_LIT_NULL,
	AST_LIT_TRUE,
	AST_LIT_FALSE,
	AST_LIT_INTEGER, /* no suffix: INT, BIGINT or DECIMAL by its size */
	AST_LIT_TINYINT,
	AST_LIT_SMALLINT,
	AST_LIT_BIGINT,
	AST_LIT_FLOAT,
	AST_LIT_DOUBLE,
	AST_LIT_DECIMAL,
	AST_LIT_STRING,
	AST_LIT_TYPED /* name 'text': DATE, TIMESTAMP, X, … */
};

enum ast_expr_kind {
	AST_LITERAL,  /* literal, text; TYPED: name */
	AST_NAME,     /* names: a, t.a, s.t.a.b */
	AST_STAR,     /* names: qualifier; except; args: what stands instead of columns (SET of a pipe), each an AST_ALIAS */
	AST_CALL,     /* names: function; args */
	AST_OPERATOR, /* text: "+", "AND", "NOT", …; args */
	AST_CASE,     /* operand or NULL; args: when, then, when, then, …; otherwise or NULL */
	AST_CAST,     /* args[0]; text: type; flag: TRY_CAST */
	AST_BETWEEN,  /* args: value, low, high; flag: NOT */
	AST_IN,       /* args: value, items…; flag: NOT */
	AST_IN_QUERY, /* args: value (or several of a row); query; flag: NOT */
	AST_EXISTS,   /* query */
	AST_SUBQUERY, /* query: scalar */
	AST_LIKE,     /* text: like, ilike, rlike; args: value, pattern(s); quantifier; escape; flag: NOT */
	AST_IS,       /* text: NULL, TRUE, FALSE, UNKNOWN, DISTINCT FROM; args; flag: NOT */
	AST_INDEX,    /* args: base, index */
	AST_FIELD,    /* args[0]; text: field name */
	AST_LAMBDA,   /* names: parameters; args[0]: body */
	AST_INTERVAL, /* args: values (literals or expressions), names: units, or one value with unit and text = unit TO */
	AST_ALIAS,    /* args[0]; names: one or several */
	AST_PARAMETER /* text */
};

struct ast_order {
	struct ast_expr *expr;
	bool descending, nulls_given, nulls_last;
};
struct ast_orders {
	struct ast_order *items;
	size_t count, cap;
};
struct ast_window {
	struct tm_str base; /* OVER name or a named window it extends; empty = none */
	struct ast_exprs partition;
	struct ast_orders order;
	bool frame, rows; /* frame given; ROWS, else RANGE */
	int from, to;     /* enum tm_frame_bound's order: unbounded preceding, preceding, current, following, unbounded following */
	struct ast_expr *from_offset, *to_offset;
	int line, column;
};
struct ast_expr {
	enum ast_expr_kind kind;
	enum ast_literal literal;
	int line, column;
	size_t from, to; /* bytes of the text */
	uint32_t depth;  /* of the tree under it */
	bool flag, distinct, ignore_nulls, respect_nulls, parenthesised;
	enum { AST_ONE, AST_ANY, AST_ALL } quantifier;
	struct tm_str text;
	struct ast_names names;
	struct ast_exprs args;
	struct tm_str *arg_names; /* named arguments (name => value); NULL = none */
	struct ast_expr *operand, *otherwise, *escape, *filter;
	struct ast_orders within; /* WITHIN GROUP (ORDER BY …) */
	struct ast_window *over;
	struct ast_query *query;
	struct ast_exprs except; /* of a star */
};

/* ---- relations ---- */
struct ast_watermark {
	struct ast_expr *expr;
	struct tm_str name;
	struct ast_expr *delay;
	int line, column;
	size_t to; /* byte behind its last word */
};
struct ast_lateral_view {
	bool outer;
	struct ast_expr *generator;
	struct tm_str table;
	struct ast_names columns;
	int line, column;
};
struct ast_pivot_value {
	struct ast_expr *expr;
	struct tm_str alias;
};
struct ast_pivot {
	bool unpivot, include_nulls;
	struct ast_exprs aggregates; /* aliases inside */
	struct ast_exprs columns;    /* FOR (…); of unpivot: the columns IN (…) */
	struct {
		struct ast_pivot_value *items;
		size_t count, cap;
	} values;
	struct tm_str value_name, name_name, alias; /* unpivot; the alias is its result's, that before it the relation's */
	int line, column;
};
enum ast_rel_kind { AST_REL_NAME, AST_REL_QUERY, AST_REL_VALUES, AST_REL_FUNCTION, AST_REL_JOIN };
enum ast_join { AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_RIGHT, AST_JOIN_FULL, AST_JOIN_SEMI, AST_JOIN_ANTI, AST_JOIN_CROSS };
struct ast_rel {
	enum ast_rel_kind kind;
	int line, column;
	bool stream, lateral;
	bool piped;             /* QUERY: before |>, its columns keep the names of their relations */
	struct ast_names names; /* NAME, FUNCTION */
	struct ast_query *query;
	struct ast_exprs args; /* FUNCTION; VALUES: rows (a row of several columns is a call of struct) */
	struct tm_str alias;
	struct ast_names columns;
	bool sample;
	double sample_percent;
	int64_t sample_rows;
	struct ast_watermark *watermark;
	struct {
		struct ast_pivot **items;
		size_t count, cap;
	} pivots;
	struct {
		struct ast_lateral_view *items;
		size_t count, cap;
	} views;
	/* JOIN */
	enum ast_join join;
	bool natural, comma;
	struct ast_rel *left, *right;
	struct ast_names using_columns;
	struct ast_expr *on;
};
struct ast_rels {
	struct ast_rel **items;
	size_t count, cap;
};

/* ---- queries ---- */
enum ast_body_kind { AST_SELECT, AST_SETOP, AST_QUERY, AST_TABLE };
/* An operator behind |>, or what stands before the first one (AST_PIPE_SELECT). */
enum ast_pipe { AST_PIPE_NONE, AST_PIPE_SELECT, AST_PIPE_EXTEND, AST_PIPE_SET, AST_PIPE_AGGREGATE };
struct ast_grouping {
	enum { AST_GROUP_PLAIN, AST_GROUP_ROLLUP, AST_GROUP_CUBE, AST_GROUP_SETS } kind;
	struct ast_expr *expr;
	struct {
		struct ast_exprs *items;
		size_t count, cap;
	} sets;
};
struct ast_body {
	enum ast_body_kind kind;
	int line, column;
	/* SELECT */
	bool distinct;
	bool from_only; /* FROM r, without SELECT */
	enum ast_pipe pipe;
	size_t pipe_first; /* of items: that many are not the operator's own expressions, but columns (EXTEND) or keys (AGGREGATE) */
	struct ast_exprs items;
	struct ast_rel *from; /* NULL: one row */
	struct {
		struct ast_lateral_view *items;
		size_t count, cap;
	} views;
	struct ast_expr *where, *having, *qualify;
	bool group_all;
	struct {
		struct ast_grouping *items;
		size_t count, cap;
	} group;
	struct {
		struct {
			struct tm_str name;
			struct ast_window *spec;
		} * items;
		size_t count, cap;
	} windows;
	/* SETOP */
	enum { AST_UNION, AST_INTERSECT, AST_EXCEPT } setop;
	bool all;
	struct ast_body *left, *right;
	/* QUERY */
	struct ast_query *query;
};
struct ast_cte {
	struct tm_str name;
	struct ast_names columns;
	struct ast_query *query;
};
struct ast_query {
	int line, column;
	size_t from; /* byte of the text */
	struct {
		struct ast_cte *items;
		size_t count, cap;
	} ctes;
	struct ast_body *body;
	struct ast_orders order;
	bool order_all, order_all_desc, order_all_nulls_given, order_all_nulls_last;
	struct ast_expr *limit, *offset;
};

/* ---- marks ---- Places of a statement that an engine of another version needs in other words, in the order in which their ends stand
 * (so what is inside comes first). The parser goes back now and then, so the same place may be told twice. */
struct ast_mark {
	enum {
		AST_MARK_REL,  /* rel: a relation that is named, or has a watermark */
		AST_MARK_CALL, /* name: a function */
		AST_MARK_CTE,  /* name: a common table expression */
		AST_MARK_NEW   /* name: words that only Spark 4 has */
	} kind;
	int line, column;
	size_t from, base_to, to; /* REL: with STREAM; without and with the watermark */
	const struct ast_rel *rel;
	struct tm_str name;
};
struct ast_marks {
	struct ast_mark *items;
	size_t count, cap;
};

/* ---- statements ---- */
enum ast_stmt_kind {
	AST_STMT_QUERY,
	AST_STMT_VIEW,
	AST_STMT_SOURCE,
	AST_STMT_STREAMING_TABLE,
	AST_STMT_FLOW,
	AST_STMT_SET,
	AST_STMT_RESET,
	AST_STMT_SHOW,
	AST_STMT_DESCRIBE,
	AST_STMT_EXPLAIN,
	AST_STMT_DROP_VIEW,
	AST_STMT_USE,
	AST_STMT_INSERT
};
struct ast_option {
	struct tm_str name, value;
};
struct ast_stmt {
	enum ast_stmt_kind kind;
	int line, column;
	size_t from, to;
	bool replace, if_exists, extended, by_name;
	struct ast_names name; /* view, table, flow; SHOW: what */
	struct ast_names columns;
	struct tm_str schema; /* column definitions of a source: "a INT, b STRING" */
	struct tm_str format;
	struct {
		struct ast_option *items;
		size_t count, cap;
	} options;
	struct ast_names target; /* FLOW … INTO */
	struct ast_query *query;
	struct ast_marks marks;
	struct tm_str key, value; /* SET; SHOW … LIKE */
	bool has_value;
};

/* Parses one statement that starts at text.at + *offset; line numbers count from text.at. On return *offset stands behind it
 * and its semicolon; *ret is NULL where there was nothing but blanks and comments. */
tm_rc tm_sql_parse(struct tm_arena *arena, struct tm_str text, size_t *offset, struct ast_stmt **ret, struct tm_err *err) TM_CHECKED;
/* An expression alone: options, tests. */
tm_rc tm_sql_parse_expr(struct tm_arena *arena, struct tm_str text, struct ast_expr **ret, struct tm_err *err) TM_CHECKED;
#endif
