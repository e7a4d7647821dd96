/* One query block while it is resolved: what its files share. The order of the steps is in select.c. */
#ifndef TM_SQL_BLOCK_H
#define TM_SQL_BLOCK_H
#include "sql/domain.h"

struct item {
	struct tm_expr *expr;
	struct tm_str name;
	const struct ast_expr *ast;
	struct ast_names aliases;
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
