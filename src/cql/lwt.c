/* Conditional writes: under the partition's lock the rows concerned are read, the conditions tested, and either all is written
 * and synced or nothing. The answer is a row that begins with [applied]. */
#include "cql/modify.h"

/* ---- preparing conditions ---- */
static tm_rc bind_condition(struct cql_scope *s, const struct cql_relation *r, struct cql_condition *c)
{
	const struct tm_table_def *def = &s->table->def;
	*c = (struct cql_condition){.op = r->op};
	c->column = tm_table_column_index(def, r->columns[0]);
	if (c->column == SIZE_MAX)
		return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(r->columns[0]),
				TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name));
	const struct tm_table_column *col = &def->columns[c->column];
	struct tm_str name = col->name;
	if (col->kind == TM_COLUMN_PARTITION_KEY || col->kind == TM_COLUMN_CLUSTERING)
		return cql_fail(s->err, CQL_CODE_INVALID, "PRIMARY KEY column '%.*s' cannot have IF conditions", TM_STR_ARG(name));
	c->type = tm_type_reversed(col->type, false);
	if (r->element) {
		if (c->type->kind == TM_CQL_SET)
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid element access syntax for set column %.*s", TM_STR_ARG(name));
		if (c->type->kind != TM_CQL_LIST && c->type->kind != TM_CQL_MAP)
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid element access syntax for non-collection column %.*s",
					TM_STR_ARG(name));
		bool list = c->type->kind == TM_CQL_LIST;
		TM_TRY(cql_bind_term(s, r->element,
				     (struct cql_receiver){tm_arena_printf(s->arena, list ? "idx(%.*s)" : "key(%.*s)", TM_STR_ARG(name)),
							   list ? tm_type_native(TM_CQL_INT) : c->type->args[0]},
				     &c->element));
		c->type = c->type->args[c->type->kind == TM_CQL_MAP];
		name = tm_arena_printf(s->arena, "value(%.*s)", TM_STR_ARG(name));
	} else if (r->field.at) {
		if (c->type->kind != TM_CQL_UDT)
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot have UDT condition on non-UDT column '%.*s'", TM_STR_ARG(name));
		c->has_field = true;
		while (c->field < c->type->arg_count && !tm_str_eq(c->type->field_names[c->field], r->field))
			c->field++;
		if (c->field == c->type->arg_count)
			return cql_fail(s->err, CQL_CODE_INVALID, "No field %.*s for column %.*s", TM_STR_ARG(r->field), TM_STR_ARG(name));
		name = tm_arena_printf(s->arena, "%.*s.%.*s", TM_STR_ARG(name), TM_STR_ARG(r->field));
		c->type = c->type->args[c->field];
	}
	const struct tm_cql_type *vt = c->type;
	if (r->op == CQL_CONTAINS || r->op == CQL_CONTAINS_KEY) {
		if (!tm_type_is_collection(vt))
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot use %s on non-collection column %.*s",
					r->op == CQL_CONTAINS ? "CONTAINS" : "CONTAINS KEY", TM_STR_ARG(name));
		vt = vt->args[r->op == CQL_CONTAINS && vt->kind == TM_CQL_MAP];
	} else if (r->op != CQL_EQ && r->op != CQL_NE && r->op != CQL_IN && tm_type_mentions(vt, TM_CQL_DURATION)) {
		return cql_fail(s->err, CQL_CODE_INVALID, "Slice conditions ( %s ) are not supported on durations",
				r->op == CQL_LT   ? "<"
				: r->op == CQL_LE ? "<="
				: r->op == CQL_GT ? ">"
						  : ">=");
	}
	if (r->op != CQL_IN)
		return cql_bind_term(s, r->value, (struct cql_receiver){name, vt}, &c->value);
	c->value_list = r->value_list;
	if (!r->value_list)
		return cql_bind_term(
		    s, r->value,
		    (struct cql_receiver){tm_arena_printf(s->arena, "in(%.*s)", TM_STR_ARG(name)), tm_type_list(tm_type_frozen(vt), false)},
		    &c->value);
	c->values = TM_NEW_N(s->arena, struct cql_node *, r->value_count + 1);
	c->value_count = r->value_count;
	for (size_t i = 0; i < r->value_count; i++)
		TM_TRY(cql_bind_term(s, r->values[i], (struct cql_receiver){name, vt}, &c->values[i]));
	return TM_OK;
}

tm_rc cql_bind_conditions(struct cql_scope *s, const struct cql_modify *m, struct cql_modify_plan *p)
{
	p->conditions = TM_NEW_N(s->arena, struct cql_condition, m->condition_count + 1);
	p->condition_count = m->condition_count;
	for (size_t i = 0; i < m->condition_count; i++)
		TM_TRY(bind_condition(s, &m->conditions[i], &p->conditions[i]));
	bool regular = false;
	for (size_t i = 0; i < p->condition_count; i++)
		regular |= s->table->def.columns[p->conditions[i].column].kind == TM_COLUMN_REGULAR;
	bool row = p->where.ck_prefix == s->table->def.clustering_count;
	if (regular && !row)
		return cql_fail(s->err, CQL_CODE_INVALID,
				p->kind == CQL_DELETE ? "DELETE statements must restrict all PRIMARY KEY columns with equality relations "
							"in order to use IF condition on non static columns"
						      : "UPDATE statements must restrict all PRIMARY KEY columns with equality relations "
							"in order to use IF conditions on non static columns");
	if (p->kind == CQL_DELETE && !row && (p->condition_count || p->if_exists) && !p->writes_static && p->op_count == 0)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"DELETE statements must restrict all PRIMARY KEY columns with equality relations in order to delete non "
				"static columns");
	return TM_OK;
}

/* ---- testing ---- */
struct looked {
	bool exists, row;
	struct tm_cql_value *values;
}; /* the row a statement is about, as it is */

static tm_rc look(struct cql_run *run, struct cql_write *w, struct looked *ret, struct tm_err *err)
{
	const struct tm_table_def *def = &w->plan->table->def;
	bool whole = w->plan->is_json || w->plan->where.ck_prefix == def->clustering_count;
	struct tm_read_options o = {.has_partition = true,
				    .partition_key = w->keys.items[0],
				    .slices = whole && def->clustering_count ? w->slices.items : NULL,
				    .slice_count = whole && def->clustering_count ? 1 : 0,
				    .now_s = w->now_s};
	struct tm_read *read = tm_read_open(run->session->store, w->plan->table, &o);
	const struct tm_read_row *row;
	int got = tm_read_next(read, &row, err);
	*ret = (struct looked){.values = TM_NEW_N(run->arena, struct tm_cql_value, def->column_count + 1)};
	for (size_t i = 0; i < def->column_count; i++)
		ret->values[i].null = true;
	if (got > 0) {
		struct cql_row r = {.table = w->plan->table, .read = row};
		bool real = row->clustering || def->clustering_count == 0;
		ret->row = whole && real;
		for (size_t i = 0; i < def->column_count; i++) {
			struct tm_cql_value v = cql_row_value(&r, i, run->arena);
			if (v.bytes.at && !v.null) {
				ret->values[i] = (struct tm_cql_value){.bytes = tm_arena_str(run->arena, v.bytes)};
				ret->exists |= def->columns[i].kind == TM_COLUMN_STATIC && !whole;
			}
		}
		ret->exists |= ret->row;
	}
	tm_read_close(read);
	return got < 0 ? err->rc : TM_OK;
}

static struct tm_cql_value part_of(struct cql_run *run, const struct tm_cql_type *t, struct tm_cql_value whole,
				   const struct cql_condition *c, struct tm_cql_value element)
{
	struct tm_value_items it;
	struct tm_str key, value;
	struct tm_cql_value none = {.null = true};
	(void)run;
	if (whole.null)
		return none;
	if (c->has_field) {
		it = (struct tm_value_items){.c = tm_cursor_of(whole.bytes)};
		for (size_t i = 0; tm_value_items_next(&it, &value); i++)
			if (i == c->field)
				return (struct tm_cql_value){.bytes = value, .null = !value.at};
		return none;
	}
	if (!tm_value_items_open(whole.bytes, &it))
		return none;
	if (t->kind == TM_CQL_LIST) {
		int64_t index = cql_int_of(element.bytes);
		for (int64_t i = 0; tm_value_items_next(&it, &value); i++)
			if (i == index)
				return (struct tm_cql_value){.bytes = value};
		return none;
	}
	while (tm_value_items_next(&it, &key) && tm_value_items_next(&it, &value))
		if (tm_value_compare(t->args[0], key, element.bytes) == 0)
			return (struct tm_cql_value){.bytes = value};
	return none;
}

static bool null_value(const struct tm_cql_type *t, struct tm_cql_value v)
{
	return v.null || !v.bytes.at ||
	       (tm_type_is_multicell(t) && tm_type_is_collection(t) && v.bytes.len == 4 && cql_int_of(v.bytes) == 0);
}

static bool holds(const struct tm_cql_type *t, enum cql_op op, struct tm_cql_value have, struct tm_cql_value want)
{
	bool a = null_value(t, have), b = null_value(t, want);
	if (a || b)
		return op == CQL_EQ ? a && b : op == CQL_NE ? a != b : false;
	return cql_compare_op(op, tm_value_compare(t, have.bytes, want.bytes));
}

static tm_rc test(struct cql_run *run, const struct cql_write *w, const struct cql_condition *c, const struct looked *now, bool *ret,
		  struct tm_err *err)
{
	const struct tm_table_column *col = &w->plan->table->def.columns[c->column];
	struct tm_cql_value have = now->values[c->column], want = {.null = true}, element = {0};
	if (c->element) {
		TM_TRY(cql_eval(&run->ev, c->element, &element, err));
		if (element.null || element.unset)
			return cql_fail(err, CQL_CODE_INVALID,
					element.unset ? "Invalid unset value for element access"
						      : "Invalid null value for %s element access",
					col->type->kind == TM_CQL_LIST ? "list" : "map");
		if (col->type->kind == TM_CQL_LIST && cql_int_of(element.bytes) < 0)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid negative list index %lld", (long long)cql_int_of(element.bytes));
	}
	if (c->element || c->has_field)
		have = part_of(run, col->type, have, c, element);
	*ret = false;
	if (c->op == CQL_IN) {
		if (!c->value_list) {
			TM_TRY(cql_eval(&run->ev, c->value, &want, err));
			struct tm_value_items it;
			struct tm_str item;
			if (want.null || want.unset)
				return cql_fail(err, CQL_CODE_INVALID, "Invalid null list in IN condition");
			if (tm_value_items_open(want.bytes, &it))
				while (tm_value_items_next(&it, &item))
					*ret |= holds(c->type, CQL_EQ, have, (struct tm_cql_value){.bytes = item, .null = !item.at});
			return TM_OK;
		}
		for (size_t i = 0; i < c->value_count; i++) {
			TM_TRY(cql_eval(&run->ev, c->values[i], &want, err));
			*ret |= !want.unset && holds(c->type, CQL_EQ, have, want);
		}
		return TM_OK;
	}
	TM_TRY(cql_eval(&run->ev, c->value, &want, err));
	if (want.unset)
		return cql_fail(err, CQL_CODE_INVALID, "Invalid 'unset' value in condition");
	if (c->op == CQL_CONTAINS || c->op == CQL_CONTAINS_KEY) {
		struct tm_value_items it;
		struct tm_str item;
		if (want.null)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid comparison with null for operator \"%s\"",
					c->op == CQL_CONTAINS ? "CONTAINS" : "CONTAINS KEY");
		bool map = c->type->kind == TM_CQL_MAP;
		if (!have.null && tm_value_items_open(have.bytes, &it))
			for (size_t i = 0; tm_value_items_next(&it, &item); i++)
				if (!map || (i % 2 == 1) == (c->op == CQL_CONTAINS))
					*ret |= tm_value_compare(c->value->type, item, want.bytes) == 0;
		return TM_OK;
	}
	if (want.null && c->op != CQL_EQ && c->op != CQL_NE)
		return cql_fail(err, CQL_CODE_INVALID, "Invalid comparison with null for operator \"%s\"",
				c->op == CQL_LT   ? "<"
				: c->op == CQL_LE ? "<="
				: c->op == CQL_GT ? ">"
						  : ">=");
	*ret = holds(c->type, c->op, have, want);
	return TM_OK;
}

/* ---- the answer ---- */
static tm_rc answer(struct cql_run *run, const struct cql_write *writes, const struct looked *rows, size_t count, bool is_batch,
		    bool applied)
{
	struct tm_cql_result *r = run->result;
	const struct tm_table *table = writes[0].plan->table;
	const struct tm_table_def *def = &table->def;
	bool *shown = TM_NEW_N(run->arena, bool, def->column_count + 1);
	bool any_row = false, all = false;
	r->kind = TM_CQL_ROWS;
	r->columns = TM_NEW_N(run->arena, struct tm_cql_column_spec, def->column_count + 2);
	r->columns[0] = (struct tm_cql_column_spec){def->keyspace, def->name, TM_STR("[applied]"), tm_type_native(TM_CQL_BOOLEAN)};
	r->column_count = 1;
	if (!applied) {
		for (size_t i = 0; i < count; i++) {
			any_row |= rows[i].exists || (writes[i].plan->condition_count && rows[i].exists);
			all |= writes[i].plan->if_not_exists;
			for (size_t c = 0; c < writes[i].plan->condition_count; c++)
				shown[writes[i].plan->conditions[c].column] = true;
		}
		for (size_t c = 0; c < def->column_count; c++)
			if (all || (is_batch && c < def->partition_key_count + def->clustering_count))
				shown[c] = true;
		bool only_exists = !is_batch && writes[0].plan->if_exists;
		for (size_t c = 0; any_row && !only_exists && c < def->column_count; c++)
			if (shown[c])
				r->columns[r->column_count++] = (struct tm_cql_column_spec){def->keyspace, def->name, def->columns[c].name,
											    tm_type_reversed(def->columns[c].type, false)};
	}
	size_t cap = 0, given = 0;
	for (size_t i = 0; i < count || given == 0; i++) {
		if (i < count && r->column_count > 1 && !rows[i].exists)
			continue;
		struct tm_cql_value *out = cql_result_row(run, &cap);
		out[0] = (struct tm_cql_value){.bytes = applied ? TM_STR("\1") : TM_STR("\0")};
		size_t at = 1;
		for (size_t c = 0; r->column_count > 1 && i < count && c < def->column_count; c++)
			if (shown[c])
				out[at++] = rows[i].values[c];
		given++;
		if (r->column_count == 1)
			break;
	}
	return TM_OK;
}

static bool same_row(const struct cql_write *a, const struct cql_write *b)
{
	if (a->slices.count != b->slices.count)
		return false;
	for (size_t i = 0; i < a->slices.count; i++)
		if (!tm_str_eq(a->slices.items[i].start, b->slices.items[i].start))
			return false;
	return true;
}

static tm_rc decide(struct cql_run *run, struct cql_write *writes, const struct cql_modify_item *items, struct looked *rows, size_t count,
		    bool *applied, struct tm_err *err)
{
	*applied = true;
	for (size_t i = 0; i < count; i++) {
		const struct cql_modify_plan *p = writes[i].plan;
		run->ev.table = p->table;
		run->ev.values = items[i].values;
		run->ev.value_count = items[i].value_count;
		if (!cql_is_conditional(p))
			continue;
		TM_TRY(look(run, &writes[i], &rows[i], err));
		if ((p->if_not_exists && rows[i].exists) || (p->if_exists && !rows[i].exists))
			*applied = false;
		for (size_t c = 0; c < p->condition_count; c++) {
			bool hit = false;
			TM_TRY(test(run, &writes[i], &p->conditions[c], &rows[i], &hit, err));
			*applied &= hit;
		}
	}
	return TM_OK;
}

tm_rc cql_lwt_run(struct cql_run *run, const struct cql_modify_item *items, size_t count, bool is_batch, struct tm_err *err)
{
	struct tm_store *store = run->session->store;
	struct cql_write *writes = TM_NEW_N(run->arena, struct cql_write, count);
	struct looked *rows = TM_NEW_N(run->arena, struct looked, count);
	int64_t us = tm_store_now_us(store);
	for (size_t i = 0; i < count; i++) {
		writes[i] = (struct cql_write){.run = run};
		TM_TRY(cql_write_prepare(&writes[i], &items[i], us, err));
		if (writes[i].keys.count != 1)
			return cql_fail(err, CQL_CODE_INVALID, "IN on the partition key is not supported with conditional updates");
		if (i && !tm_str_eq(writes[i].keys.items[0], writes[0].keys.items[0]))
			return cql_fail(err, CQL_CODE_INVALID, "Batch with conditions cannot span multiple partitions");
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			if (items[i].plan->if_not_exists && (items[j].plan->condition_count || items[j].plan->if_exists) &&
			    same_row(&writes[i], &writes[j]))
				return cql_fail(err, CQL_CODE_INVALID,
						items[j].plan->if_exists
						    ? "Cannot mix IF EXISTS and IF NOT EXISTS conditions for the same row"
						    : "Cannot mix IF conditions and IF NOT EXISTS for the same row");
	if (run->pending)
		TM_TRY(tm_table_batch_commit(run->pending, true, err));
	struct tm_str pk = writes[0].keys.items[0];
	const struct tm_table *table = writes[0].plan->table;
	tm_store_partition_lock(store, table, pk);
	struct tm_table_batch *batch = tm_table_batch_new(store);
	bool applied;
	us = tm_store_now_us(store);
	tm_rc rc = decide(run, writes, items, rows, count, &applied, err);
	for (size_t i = 0; i < count && rc == TM_OK && applied; i++) {
		writes[i].batch = batch;
		/* A range goes just below the time of the rows that the same statement writes. */
		bool range = writes[i].plan->kind == CQL_DELETE && !writes[i].plan->op_count &&
			     writes[i].plan->where.ck_prefix < writes[i].plan->table->def.clustering_count;
		writes[i].timestamp_us = us - range;
		run->ev.table = writes[i].plan->table;
		run->ev.values = items[i].values;
		run->ev.value_count = items[i].value_count;
		rc = cql_write_apply(&writes[i], err);
	}
	if (rc == TM_OK && applied)
		rc = tm_table_batch_commit(batch, true, err);
	tm_table_batch_free(batch);
	tm_store_partition_unlock(store, table, pk);
	if (rc != TM_OK)
		return rc;
	/* rows that several statements are about are shown once */
	size_t shown = 0;
	for (size_t i = 0; i < count; i++) {
		bool skip = !cql_is_conditional(writes[i].plan);
		for (size_t j = 0; j < shown && !skip; j++)
			skip = same_row(&writes[j], &writes[i]);
		if (skip)
			continue;
		writes[shown] = writes[i];
		rows[shown++] = rows[i];
	}
	return answer(run, writes, rows, shown, is_batch, applied);
}
