/* Correlated subqueries whose outer columns are not just compared by equality (domain.c). */
#ifndef TM_SQL_DOMAIN_H
#define TM_SQL_DOMAIN_H
#include "sql/sql_int.h"

/* The outer columns that one subquery reads, and how far its analysis has come. */
struct sx_domain {
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} outer, places;             /* over the query around: each once; once for each place, for the subquery's text */
	size_t number, width;        /* of the DOMAIN in this round, and how many of `outer` it gives */
	size_t refs;                 /* how many names were found outside so far */
	bool grouped;                /* some block that carries the domain groups, counts or limits rows */
	bool unequal;                /* some condition is no equality of an inner and an outer column */
	bool grew;                   /* a name came that the DOMAIN does not give: once more */
	const struct tm_expr *stuck; /* read where no column can be carried to: in FROM's functions, PIVOT, LATERAL VIEW */
	bool beyond;                 /* more than equality keys of WHERE: only a DOMAIN can do it */
};
struct sx_subplan {
	struct sx_rel rel; /* the subquery's columns; its operator has the inner keys behind them */
	struct sx_correlations keys;
	struct sx_domain *domain; /* number 0: a join by keys */
	struct tm_expr *empty;    /* scalar: the value where no row matches; NULL = null */
};
/* Plans q as a subquery of the block with env's columns. */
tm_rc sx_subplan(struct sx_env *env, const struct ast_query *q, bool scalar, struct sx_subplan *ret) TM_CHECKED;
/* A query in FROM; it carries the domain where it reads outer columns and env's block carries it. */
tm_rc sx_derived(struct sx_env *env, const struct ast_query *q, const struct sx_cte *ctes, struct sx_rel *ret) TM_CHECKED;
struct tm_expr *sx_domain_ref(struct sx_env *env, struct tm_expr *outer); /* what an outer column is in env's block */
/* In a subquery of HAVING: an aggregate function over the outer block's columns alone is one of that block; NULL = it is not. */
struct tm_expr *sx_domain_aggregate_of_outer(struct sx_env *env, const struct ast_expr *e);
struct tm_op *sx_domain_op(struct sx *sx, const struct sx_domain *d); /* its values, each once */
void sx_carry(struct sx_env *env, struct sx_rel *io);        /* the domain's columns in front, unless they are there; op NULL = no FROM */
void sx_carry_behind(struct sx_env *env, struct sx_rel *io); /* as a block gives them: after its own columns */
void sx_domain_global(struct sx_env *env, struct tm_op **io_op, struct tm_agg **aggs, size_t agg_count, size_t *ret_keys);
tm_rc sx_domain_limit(struct sx_env *env, int64_t count, int64_t offset, struct sx_rel *io) TM_CHECKED;
void sx_domain_windows(struct sx *sx, const struct sx_correlations *c, struct tm_expr **exprs, size_t n);
void sx_domain_condition(const struct sx_env *env, struct tm_expr *condition); /* notes in `unequal` what Spark could not make a join key */
bool sx_reads_outer(const struct sx_env *env, const struct tm_expr *e);
tm_rc sx_fail_outer(struct sx *sx, const struct tm_expr *e, struct tm_str alias) TM_CHECKED;
/* Refuses aggregate functions over outer and inner columns; and outer columns beside aggregate functions, in SELECT. */
tm_rc sx_domain_mixed(const struct sx_env *env, const struct tm_expr *e, bool all_outer) TM_CHECKED;
tm_rc sx_domain_aggregate(const struct sx_env *env, const struct tm_expr *e, struct tm_str alias) TM_CHECKED;
#endif
