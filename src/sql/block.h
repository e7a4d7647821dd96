/* One query block while it is resolved: what its files share. The order of the steps is in select.c. */
#ifndef TM_SQL_BLOCK_H
#define TM_SQL_BLOCK_H
#include "sql/domain.h"

struct item {
	struct tm_expr *expr;
	struct tm_str name;
	const struct ast_expr *ast;
	struct ast_names aliases;
	struct ast_names qualifier; /* in a pipe: of a column that is passed on as it is */
};
struct block {
	struct sx *sx;
	struct sx_env env;
	const struct ast_body *body;
	const struct ast_query *tail;
	struct tm_op *op;
	struct sx_columns columns;
	struct sx_aliases aliases;
	struct {
		struct item *items;
		size_t count, cap;
	} items;
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} keys;
	struct {
		struct {
			const struct ast_expr *ast;
			struct tm_expr *expr;
		} * items;
		size_t count, cap;
	} selected_keys; /* subqueries of the select list that GROUP BY names: resolved once */
	bool *sets;      /* grouping sets: set_count × keys.count, 1 = the key is in the set; NULL = plain */
	size_t set_count;
	struct tm_expr *having, *qualify;
	struct {
		struct tm_sort_key *items;
		size_t count, cap;
	} order;
	struct sx_lowered_list windows;
	struct sx_correlations correlations;
	bool aggregated;
};

/* ---- select_list.c ---- */
void sx_item_add(struct block *b, struct tm_expr *e, struct tm_str name, const struct ast_expr *ast);
tm_rc sx_star_expand(struct block *b, const struct ast_expr *star);
tm_rc sx_items_resolve(struct block *b);

/* ---- pipe.c: the operators behind |> ---- */
/* A number among AGGREGATE's keys is a column of what stands before; *ret NULL: it is none. */
tm_rc sx_pipe_position(struct block *b, const struct ast_expr *ast, struct tm_expr **ret, struct ast_names *ret_qualifier);
/* Refuses what the operator does not take as its item i. */
tm_rc sx_pipe_check(struct block *b, size_t i, const struct ast_expr *ast, const struct tm_expr *e);
/* What a SET puts instead of column c: an AST_ALIAS; NULL = nothing. */
const struct ast_expr *sx_pipe_set(const struct ast_expr *star, const struct sx_column *c);
void sx_pipe_pass(struct block *b, struct item *item); /* its column's qualifier */

/* ---- group_by.c ---- */
/* An integer literal stands for an item of the select list; klass and clause are of the error where there is none. */
tm_rc sx_ordinal(struct block *b, const struct ast_expr *ast, const char *klass, const char *clause, bool *ret_is, size_t *ret_index);
bool sx_is_correlated_scalar(const struct tm_expr *e, void *ctx);
tm_rc sx_group_by_resolve(struct block *b);

/* ---- aggregation.c ---- */
/* Puts the aggregation on the block's operator and rewrites what is above it. has_group_by: the query has the clause. */
tm_rc sx_aggregate(struct block *b, bool has_group_by);
tm_rc sx_fail_nested_generator(struct sx *sx, int line, int column, struct tm_str text);

#endif
