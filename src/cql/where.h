/* The WHERE clause: what it says about each key column, and what is left to be tested on every row. */
#ifndef TM_CQL_WHERE_H
#define TM_CQL_WHERE_H
#include "cql/cql_int.h"

struct cql_test { /* one relation, typed */
	enum cql_op op;
	size_t *columns; /* one, or those of a tuple */
	size_t column_count;
	bool tuple, token;
	struct cql_node *element;       /* m[element] */
	const struct tm_cql_type *type; /* of the values: the column's, the element's, or the tuple's */
	struct cql_node *value;         /* or a marker for a whole IN list */
	struct cql_node **values;       /* IN (…) */
	size_t value_count;
	bool value_list;
	bool used;  /* answered by the key, not tested again */
	bool index; /* an index could answer it */
	struct cql_relation *relation;
};
struct cql_where {
	struct cql_test *tests;
	size_t test_count;
	bool pk_full; /* every partition key column by EQ or IN */
	bool pk_in, has_token;
	bool ck_restricted, filtering, uses_index;
	size_t ck_prefix; /* clustering columns fixed by EQ or IN from the first on */
	bool ck_slice;    /* the column behind the prefix has bounds */
};
enum cql_where_for { CQL_WHERE_SELECT, CQL_WHERE_UPDATE, CQL_WHERE_DELETE };
tm_rc cql_where_bind(struct cql_scope *s, struct cql_relation *relations, size_t count, enum cql_where_for use,
		     struct cql_where *ret) TM_CHECKED;
/* The checks of SELECT: what needs ALLOW FILTERING, an index, or cannot be. */
tm_rc cql_where_check_select(struct cql_scope *s, struct cql_where *w, bool allow_filtering, bool distinct) TM_CHECKED;

/* At run time: partition keys (serialised, in value order, without doubles), and slices of clustering keys. */
struct cql_keys {
	struct tm_str *items;
	size_t count, cap;
	struct tm_str **parts;
};
tm_rc cql_where_partitions(struct cql_eval *ev, const struct cql_where *w, struct cql_keys *ret, struct tm_err *err) TM_CHECKED;
/* Slices, and for UPDATE and DELETE by whole key the clustering values of each. */
struct cql_slices {
	struct tm_read_slice *items;
	size_t count, cap;
};
tm_rc cql_where_slices(struct cql_eval *ev, const struct cql_where *w, struct cql_slices *ret, struct tm_err *err) TM_CHECKED;
tm_rc cql_where_tokens(struct cql_eval *ev, const struct cql_where *w, int64_t *ret_from, int64_t *ret_to, bool *ret_empty,
		       struct tm_err *err) TM_CHECKED;
/* Values of the tests, computed once per execution. */
struct cql_test_values {
	struct tm_str *items;
	size_t count;
	bool null;
};
tm_rc cql_where_values(struct cql_eval *ev, const struct cql_where *w, bool all, struct cql_test_values **ret,
		       struct tm_err *err) TM_CHECKED;
bool cql_where_row_matches(struct cql_eval *ev, const struct cql_where *w, const struct cql_test_values *values);
bool cql_compare_op(enum cql_op op, int c);
/* Column is restricted by one EQ. */
const struct cql_test *cql_where_equal(const struct cql_where *w, size_t column);
#endif
