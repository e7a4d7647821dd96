/* Preparing SELECT: columns and their names, restrictions, grouping, order. */
#include "cql/select.h"
#include <stdlib.h>

static struct tm_str result_name(struct cql_scope *s, const struct cql_selector *sel, const struct cql_node *n)
{
	if (sel->alias.at)
		return tm_arena_str(s->arena, sel->alias);
	const struct cql_expr *e = sel->expr;
	while (e->kind == CQL_E_CAST && n->op == CQL_N_COLUMN) /* a cast to its own type is none */
		e = e->args[0];
	if (e->kind == CQL_E_CALL && tm_str_is(e->text, "count") && e->arg_count == 1 && e->args[0]->kind <= CQL_E_DURATION)
		return TM_STR("count");
	return tm_str_of(cql_expr_cstr(s->arena, e));
}

static tm_rc bind_selectors(struct cql_scope *s, struct tm_cql_prepared *p, const struct cql_select *sel, struct cql_select_plan *plan)
{
	const struct tm_table_def *def = &s->table->def;
	plan->wildcard = sel->wildcard;
	plan->node_count = sel->wildcard ? def->column_count : sel->selector_count;
	plan->nodes = TM_NEW_N(s->arena, struct cql_node *, plan->node_count + 1);
	plan->names = TM_NEW_N(s->arena, struct tm_str, plan->node_count + 1);
	for (size_t i = 0; i < plan->node_count; i++) {
		if (sel->wildcard) {
			struct cql_node *n = TM_NEW(s->arena, struct cql_node);
			n->op = CQL_N_COLUMN;
			n->index = i;
			n->type = tm_type_reversed(def->columns[i].type, false);
			plan->nodes[i] = n;
			plan->names[i] = def->columns[i].name;
			continue;
		}
		/* count(1) and its like count rows */
		struct cql_expr *e = sel->selectors[i].expr;
		s->selecting = true;
		TM_TRY(cql_bind_selection(s, e, &plan->nodes[i]));
		s->selecting = false;
		plan->names[i] = result_name(s, &sel->selectors[i], plan->nodes[i]);
	}
	plan->aggregates = s->aggregates.items;
	plan->aggregate_count = s->aggregates.count;
	plan->json = sel->json;
	plan->column_count = sel->json ? 1 : plan->node_count;
	plan->columns = TM_NEW_N(s->arena, struct tm_cql_column_spec, plan->column_count + 1);
	for (size_t i = 0; i < plan->column_count; i++)
		plan->columns[i] = (struct tm_cql_column_spec){def->keyspace, def->name, plan->names[i], plan->nodes[i]->type};
	if (sel->json)
		plan->columns[0] = (struct tm_cql_column_spec){def->keyspace, def->name, TM_STR("[json]"), tm_type_native(TM_CQL_VARCHAR)};
	(void)p;
	return TM_OK;
}

static void columns_used(const struct cql_node *n, bool *used)
{
	if (!n)
		return;
	if (n->op == CQL_N_COLUMN)
		used[n->index] = true;
	for (size_t i = 0; i < n->arg_count; i++)
		columns_used(n->args[i], used);
}

static tm_rc check_distinct(struct cql_scope *s, struct cql_select_plan *plan)
{
	const struct tm_table_def *def = &s->table->def;
	bool *used = TM_NEW_N(s->arena, bool, def->column_count + 1);
	for (size_t i = 0; i < plan->node_count; i++)
		columns_used(plan->nodes[i], used);
	for (size_t i = def->partition_key_count; i < def->column_count; i++)
		if (used[i] && def->columns[i].kind != TM_COLUMN_STATIC)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"SELECT DISTINCT queries must only request partition key columns and/or static columns (not %.*s)",
					TM_STR_ARG(def->columns[i].name));
	for (size_t i = 0; i < def->partition_key_count; i++)
		if (!used[i])
			return cql_fail(s->err, CQL_CODE_INVALID,
					"SELECT DISTINCT queries must request all the partition key columns (missing %.*s)",
					TM_STR_ARG(def->columns[i].name));
	return TM_OK;
}

/* Functions that keep the order of time, and so may end a GROUP BY. */
static bool monotonic(struct tm_str name)
{
	static const char *const names[] = {"floor",        "todate",          "to_date",           "totimestamp",
					    "to_timestamp", "tounixtimestamp", "to_unix_timestamp", NULL};
	return tm_str_among(name, names);
}

static tm_rc bind_group(struct cql_scope *s, const struct cql_select *sel, struct cql_select_plan *plan)
{
	const struct tm_table_def *def = &s->table->def;
	size_t keys = def->partition_key_count + def->clustering_count, at = 0;
	plan->grouped = true;
	plan->group = TM_NEW_N(s->arena, struct cql_node *, sel->group_count);
	plan->group_count = sel->group_count;
	for (size_t i = 0; i < sel->group_count; i++) {
		TM_TRY(cql_bind_selection(s, sel->group[i], &plan->group[i]));
		const struct cql_node *column = plan->group[i];
		if (column->op == CQL_N_CALL) {
			const struct cql_node *found = NULL;
			for (size_t a = 0; a < column->arg_count; a++)
				if (column->args[a]->op == CQL_N_COLUMN)
					found = column->args[a];
			if (!found || !monotonic(tm_str_of(column->function->name)))
				return cql_fail(s->err, CQL_CODE_INVALID,
						"Group by is currently only supported on the columns of the PRIMARY KEY, got %s",
						cql_expr_cstr(s->arena, sel->group[i]));
			if (i + 1 < sel->group_count)
				return cql_fail(s->err, CQL_CODE_INVALID,
						"Functions are only supported on the last element of the GROUP BY clause");
			column = found;
		}
		if (column->op != CQL_N_COLUMN || column->index >= keys)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Group by is currently only supported on the columns of the PRIMARY KEY, got %s",
					cql_expr_cstr(s->arena, sel->group[i]));
		while (at < column->index && cql_where_equal(&plan->where, at))
			at++;
		if (column->index != at)
			return cql_fail(
			    s->err, CQL_CODE_INVALID,
			    "Group by currently only support groups of columns following their declared order in the PRIMARY KEY");
		at++;
	}
	if (at > 0 && at < def->partition_key_count)
		for (size_t i = at; i < def->partition_key_count; i++)
			if (!cql_where_equal(&plan->where, i))
				return cql_fail(s->err, CQL_CODE_INVALID, "Group by is not supported on only a part of the partition key");
	return TM_OK;
}

static tm_rc bind_ann(struct cql_scope *s, const struct cql_select *sel, struct cql_select_plan *plan)
{
	const struct cql_ordering *o = &sel->order[0];
	const struct tm_table_def *def = &s->table->def;
	size_t c = tm_table_column_index(def, o->column);
	if (c == SIZE_MAX)
		return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(o->column),
				TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name));
	if (def->columns[c].type->kind != TM_CQL_VECTOR)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unexpected receiver type '%s'; only list and vector are expected",
				cql_type_cstr(s->arena, def->columns[c].type));
	TM_TRY(cql_bind_term(s, o->ann, (struct cql_receiver){o->column, def->columns[c].type}, &plan->ann));
	plan->ann_column = c;
	const struct tm_index *index = NULL;
	for (size_t i = 0; i < s->table->index_count; i++)
		if (s->table->indexes[i].custom && tm_str_eq(s->table->indexes[i].column, o->column))
			index = &s->table->indexes[i];
	if (!index)
		return cql_fail(s->err, CQL_CODE_INVALID, "ANN ordering by vector requires the column to be indexed");
	for (size_t i = 0; i < index->options.count; i++)
		if (tm_str_is(index->options.entries[i].key, "similarity_function"))
			plan->ann_function = tm_str_iis(index->options.entries[i].value, "euclidean")     ? 1
					     : tm_str_iis(index->options.entries[i].value, "dot_product") ? 2
													  : 0;
	for (size_t i = 0; i < plan->where.test_count; i++)
		if (!plan->where.tests[i].index && plan->where.tests[i].columns[0] >= def->partition_key_count)
			return cql_fail(s->err, CQL_CODE_INVALID, "ANN ordering by vector requires all restricted column(s) to be indexed");
	if (!sel->limit)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Top-K queries must have a limit specified and the limit must be less than the query page size");
	return TM_OK;
}

static tm_rc bind_order(struct cql_scope *s, const struct cql_select *sel, struct cql_select_plan *plan)
{
	const struct tm_table_def *def = &s->table->def;
	size_t pk = def->partition_key_count;
	if (sel->order[0].ann)
		return bind_ann(s, sel, plan);
	bool index = plan->where.uses_index;
	for (size_t i = 0; i < plan->where.test_count; i++)
		index |= plan->where.tests[i].index;
	if (index)
		return cql_fail(s->err, CQL_CODE_INVALID, "ORDER BY with 2ndary indexes is not supported, except for ANN queries.");
	if (!plan->where.pk_full)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"ORDER BY is only supported when the partition key is restricted by an EQ or an IN.");
	plan->sort = TM_NEW_N(s->arena, size_t, sel->order_count);
	plan->sort_desc = TM_NEW_N(s->arena, bool, sel->order_count);
	bool reversed[2] = {false, false};
	size_t at = 0;
	for (size_t i = 0; i < sel->order_count; i++) {
		size_t c = tm_table_column_index(def, sel->order[i].column);
		if (c == SIZE_MAX)
			return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s",
					TM_STR_ARG(sel->order[i].column), TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name));
		if (def->columns[c].kind != TM_COLUMN_CLUSTERING)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Order by is currently only supported on the clustered columns of the PRIMARY KEY, got %.*s",
					TM_STR_ARG(sel->order[i].column));
		while (pk + at < c && cql_where_equal(&plan->where, pk + at))
			at++;
		if (c != pk + at)
			return cql_fail(
			    s->err, CQL_CODE_INVALID,
			    "Order by currently only supports the ordering of columns following their declared order in the PRIMARY KEY");
		at++;
		reversed[sel->order[i].descending != def->columns[c].type->reversed] = true;
		plan->sort[i] = c;
		plan->sort_desc[i] = sel->order[i].descending;
	}
	if (reversed[0] && reversed[1])
		return cql_fail(s->err, CQL_CODE_INVALID, "Unsupported order by relation");
	plan->reverse = reversed[1];
	if (plan->where.pk_in)
		plan->sort_count = sel->order_count;
	return TM_OK;
}

static tm_rc bind_limits(struct cql_scope *s, const struct cql_select *sel, struct cql_select_plan *plan)
{
	const struct tm_cql_type *t = tm_type_native(TM_CQL_INT);
	if (sel->per_partition)
		TM_TRY(
		    cql_bind_term(s, sel->per_partition, (struct cql_receiver){TM_STR("[per_partition_limit]"), t}, &plan->per_partition));
	if (sel->limit)
		TM_TRY(cql_bind_term(s, sel->limit, (struct cql_receiver){TM_STR("[limit]"), t}, &plan->limit));
	if (sel->per_partition && sel->distinct)
		return cql_fail(s->err, CQL_CODE_INVALID, "PER PARTITION LIMIT is not allowed with SELECT DISTINCT queries");
	if (sel->per_partition && plan->aggregate_count && !sel->group_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "PER PARTITION LIMIT is not allowed with aggregate queries.");
	return TM_OK;
}

tm_rc cql_select_prepare(struct cql_scope *s, struct tm_cql_prepared *p, const struct cql_select *sel)
{
	struct cql_select_plan *plan = TM_NEW(s->arena, struct cql_select_plan);
	const struct tm_table_def *def = &s->table->def;
	TM_TRY(bind_selectors(s, p, sel, plan));
	TM_TRY(cql_where_bind(s, sel->where, sel->where_count, CQL_WHERE_SELECT, &plan->where));
	bool ann = sel->order_count && sel->order[0].ann;
	tm_rc checked = cql_where_check_select(s, &plan->where, sel->allow_filtering || ann, sel->distinct);
	TM_TRY(checked);
	if (sel->group_count)
		TM_TRY(bind_group(s, sel, plan));
	if (sel->distinct) {
		plan->distinct = true;
		TM_TRY(check_distinct(s, plan));
	}
	TM_TRY(bind_limits(s, sel, plan));
	if (sel->order_count)
		TM_TRY(bind_order(s, sel, plan));
	if (plan->where.ck_restricted && !plan->distinct && !sel->wildcard) {
		/* only static columns asked for, yet a clustering column restricted */
		bool *used = TM_NEW_N(s->arena, bool, def->column_count + 1);
		bool any_static = false, other = false;
		for (size_t i = 0; i < plan->node_count; i++)
			columns_used(plan->nodes[i], used);
		for (size_t i = def->partition_key_count; i < def->column_count; i++) {
			any_static |= used[i] && def->columns[i].kind == TM_COLUMN_STATIC;
			other |= used[i] && def->columns[i].kind != TM_COLUMN_STATIC;
		}
		if (any_static && !other && !plan->aggregate_count)
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot restrict clustering columns when selecting only static columns");
	}
	plan->static_rows_alone = !plan->where.ck_restricted;
	p->select = plan;
	return TM_OK;
}

void cql_select_columns(const struct tm_cql_prepared *p, const struct tm_cql_column_spec **ret, size_t *ret_count)
{
	*ret = p->select ? p->select->columns : NULL;
	*ret_count = p->select ? p->select->column_count : 0;
}
