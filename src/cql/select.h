/* A prepared SELECT, between select.c (preparing) and select_run.c. */
#ifndef TM_CQL_SELECT_H
#define TM_CQL_SELECT_H
#include "cql/where.h"

struct cql_select_plan {
	struct tm_cql_column_spec *columns; /* of the result */
	size_t column_count;
	struct cql_node **nodes; /* per selected expression */
	size_t node_count;
	struct tm_str *names; /* of the JSON members */
	bool json, distinct, grouped, wildcard;
	struct cql_node **aggregates;
	size_t aggregate_count;
	struct cql_node **group; /* what ends a group when it changes */
	size_t group_count;
	struct cql_where where;
	bool reverse;
	size_t *sort; /* columns to sort by after reading: IN on the partition key */
	bool *sort_desc;
	size_t sort_count;
	struct cql_node *ann;
	size_t ann_column;
	int ann_function; /* 0 cosine, 1 euclidean, 2 dot product */
	struct cql_node *limit, *per_partition;
	bool static_rows_alone; /* a partition's static cells may be given without a row */
};
#endif
