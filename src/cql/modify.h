/* A prepared INSERT, UPDATE or DELETE, between modify.c (preparing), modify_run.c and lwt.c. */
#ifndef TM_CQL_MODIFY_H
#define TM_CQL_MODIFY_H
#include "cql/where.h"

struct cql_modify_op {
	enum cql_assign kind;
	size_t column, field;
	struct cql_node *value, *element;
};
struct cql_condition {
	size_t column, field;
	bool has_field;
	enum cql_op op;
	struct cql_node *element, *value, **values;
	size_t value_count;
	bool value_list;
	const struct tm_cql_type *type;
};
struct cql_modify_plan {
	enum cql_modify_kind kind;
	const struct tm_table *table;
	struct cql_where where;
	struct cql_modify_op *ops;
	size_t op_count;
	struct cql_condition *conditions;
	size_t condition_count;
	bool if_exists, if_not_exists, is_json, json_default_unset;
	bool writes_static, writes_rows, needs_read;
	struct cql_node *json, *timestamp, *ttl;
};
static inline bool cql_is_conditional(const struct cql_modify_plan *p) { return p->condition_count || p->if_exists || p->if_not_exists; }

/* One statement's writes of one run: where they go and with which time. */
struct cql_write {
	struct cql_run *run;
	const struct cql_modify_plan *plan;
	struct tm_table_batch *batch;
	int64_t timestamp_us, now_s;
	int32_t ttl_s;
	struct cql_keys keys;
	struct cql_slices slices;
	struct tm_cql_value *json; /* values by column */
	bool *json_present;
};
tm_rc cql_write_prepare(struct cql_write *w, const struct cql_modify_item *item, int64_t timestamp_us, struct tm_err *err) TM_CHECKED;
tm_rc cql_write_apply(struct cql_write *w, struct tm_err *err) TM_CHECKED;
/* Conditional: all items are of one partition. Fills the result with [applied]. */
tm_rc cql_lwt_run(struct cql_run *run, const struct cql_modify_item *items, size_t count, bool is_batch, struct tm_err *err) TM_CHECKED;
tm_rc cql_bind_conditions(struct cql_scope *s, const struct cql_modify *m, struct cql_modify_plan *p) TM_CHECKED;
#endif
