/* Running modifications: values to cells, cells to mutations of rows and heads. Only what cannot be said by cells alone reads
 * first: list elements by index, and removing values from a list. */
#include "cql/modify.h"
#include <stdlib.h>

#define TTL_MAX 630720000
#define INT64_UNSET INT64_MIN

static tm_rc eval_timestamp(struct cql_eval *ev, const struct cql_node *n, int64_t *ret, struct tm_err *err)
{
	struct tm_cql_value v;
	if (!n)
		return TM_OK;
	TM_TRY(cql_eval(ev, n, &v, err));
	if (v.unset)
		return TM_OK;
	if (v.null)
		return cql_fail(err, CQL_CODE_INVALID, "Invalid null value of timestamp");
	*ret = cql_int_of(v.bytes);
	return *ret == INT64_MIN
		   ? cql_fail(err, CQL_CODE_INVALID, "Out of bound timestamp, must be in [-9223372036854775807, 9223372036854775807]")
		   : TM_OK;
}

static tm_rc eval_ttl(struct cql_write *w, struct tm_err *err)
{
	struct tm_cql_value v;
	int32_t ttl = w->plan->table->def.default_ttl;
	if (w->plan->ttl) {
		TM_TRY(cql_eval(&w->run->ev, w->plan->ttl, &v, err));
		if (v.null && !v.unset)
			ttl = 0;
		else if (!v.unset)
			ttl = (int32_t)cql_int_of(v.bytes);
		if (!v.unset && !v.null && ttl < 0)
			return cql_fail(err, CQL_CODE_INVALID, "A TTL must be greater or equal to 0, but was %d", ttl);
		if (ttl > TTL_MAX)
			return cql_fail(err, CQL_CODE_INVALID, "ttl is too large. requested (%d) maximum (%d)", ttl, TTL_MAX);
	}
	if (ttl > 0 && tm_store_clock_s(w->run->session->store) + ttl > INT32_MAX - 1)
		return cql_fail(
		    err, CQL_CODE_INVALID,
		    "Request on table %.*s.%.*s with ttl of %d seconds exceeds maximum supported expiration date of "
		    "2038-01-19T03:14:06+00:00. In order to avoid this use a lower TTL or change the expiration date overflow policy.",
		    TM_STR_ARG(w->plan->table->def.keyspace), TM_STR_ARG(w->plan->table->def.name), ttl);
	w->ttl_s = w->plan->table->counter ? 0 : ttl;
	return TM_OK;
}

static tm_rc json_keys(struct cql_write *w, struct tm_err *err)
{
	struct cql_eval *ev = &w->run->ev;
	const struct tm_table_def *def = &w->plan->table->def;
	struct tm_cql_value text;
	TM_TRY(cql_eval(ev, w->plan->json, &text, err));
	if (text.null || text.unset)
		return cql_fail(err, CQL_CODE_INVALID, "Got null for INSERT JSON values");
	w->json = TM_NEW_N(ev->arena, struct tm_cql_value, def->column_count + 1);
	w->json_present = TM_NEW_N(ev->arena, bool, def->column_count + 1);
	TM_TRY(cql_json_row(ev, def, text.bytes, w->json, w->json_present, err));
	struct tm_str *parts = TM_NEW_N(ev->arena, struct tm_str, def->partition_key_count);
	for (size_t i = 0; i < def->partition_key_count + def->clustering_count; i++) {
		if (!w->json_present[i] || w->json[i].null)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid null value in condition for column %.*s",
					TM_STR_ARG(def->columns[i].name));
		if (i < def->partition_key_count)
			parts[i] = w->json[i].bytes;
	}
	struct tm_buf pk = {0}, ck = {0};
	tm_table_partition_key(def, parts, &pk);
	TM_PUSH_IN(ev->arena, &w->keys, tm_arena_str(ev->arena, tm_buf_str(&pk)));
	for (size_t i = 0; i < def->clustering_count; i++)
		tm_value_order_put(def->columns[def->partition_key_count + i].type, w->json[def->partition_key_count + i].bytes, &ck);
	struct tm_read_slice slice = {.start = tm_arena_str(ev->arena, tm_buf_str(&ck))};
	tm_buf_u8(&ck, 0xFF);
	slice.end = tm_arena_str(ev->arena, tm_buf_str(&ck));
	TM_PUSH_IN(ev->arena, &w->slices, slice);
	tm_buf_done(&pk);
	tm_buf_done(&ck);
	return w->keys.items[0].len ? TM_OK : cql_fail(err, CQL_CODE_INVALID, "Key may not be empty");
}

tm_rc cql_write_prepare(struct cql_write *w, const struct cql_modify_item *item, int64_t timestamp_us, struct tm_err *err)
{
	struct cql_eval *ev = &w->run->ev;
	w->plan = item->plan;
	ev->table = w->plan->table;
	ev->values = item->values;
	ev->value_count = item->value_count;
	w->timestamp_us = timestamp_us;
	w->now_s = ev->now_s;
	TM_TRY(eval_timestamp(ev, w->plan->timestamp, &w->timestamp_us, err));
	TM_TRY(eval_ttl(w, err));
	if (w->plan->is_json)
		return json_keys(w, err);
	TM_TRY(cql_where_partitions(ev, &w->plan->where, &w->keys, err));
	return cql_where_slices(ev, &w->plan->where, &w->slices, err);
}

/* ---- cells of one operation ---- */
struct cells {
	struct tm_cells list;
};

static struct tm_cell live_cell(const struct cql_write *w, size_t column)
{
	struct tm_cell c = {.column = w->plan->table->column_id[column], .timestamp_us = w->timestamp_us};
	if (w->ttl_s) {
		c.flags = TM_CELL_EXPIRING;
		c.ttl_s = w->ttl_s;
		c.at_s = w->now_s + w->ttl_s;
	}
	return c;
}

static struct tm_cell dead_cell(const struct cql_write *w, size_t column)
{
	return (struct tm_cell){
	    .column = w->plan->table->column_id[column], .flags = TM_CELL_DEAD, .timestamp_us = w->timestamp_us, .at_s = w->now_s};
}

static struct tm_str path_of(struct cql_write *w, const struct tm_cql_type *t, struct tm_str item)
{
	struct tm_buf b = {0};
	tm_mutation_path(t, item, &b);
	struct tm_str s = tm_arena_str(w->run->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

static void set_value(struct cql_write *w, size_t column, struct tm_cql_value v, struct tm_cells *out)
{
	const struct tm_cql_type *t = w->plan->table->def.columns[column].type;
	struct tm_arena *a = w->run->arena;
	struct tm_cell c = live_cell(w, column);
	if (tm_type_is_multicell(t)) {
		TM_PUSH_IN(
		    a, out,
		    (struct tm_cell){.column = c.column, .flags = TM_CELL_CLEARED, .timestamp_us = w->timestamp_us - 1, .at_s = w->now_s});
		if (!v.null)
			tm_mutation_elements(w->run->session->store, t, c.column, v.bytes, &c, a, out);
		return;
	}
	if (v.null)
		c = dead_cell(w, column);
	else
		c.value = v.bytes.at ? v.bytes : (struct tm_str){"", 0};
	TM_PUSH_IN(a, out, c);
}

static void prepend(struct cql_write *w, size_t column, struct tm_str bytes, struct tm_cells *out)
{
	struct tm_value_items it;
	struct tm_str item;
	if (!tm_value_items_open(bytes, &it))
		return;
	int64_t now_us = tm_store_now_us(w->run->session->store);
	for (uint32_t i = 0; tm_value_items_next(&it, &item); i++) {
		struct tm_cell c = live_cell(w, column);
		char *path = tm_arena_alloc(w->run->arena, 17);
		tm_mutation_list_path(now_us, true, i, (uint8_t *)path);
		c.flags |= TM_CELL_PATH;
		c.path = tm_str_n(path, 17);
		c.value = item;
		TM_PUSH_IN(w->run->arena, out, c);
	}
}

static void remove_items(struct cql_write *w, size_t column, struct tm_str bytes, const struct tm_read_row *row, struct tm_cells *out)
{
	const struct tm_cql_type *t = w->plan->table->def.columns[column].type;
	struct tm_value_items it;
	struct tm_str item;
	if (!tm_value_items_open(bytes, &it))
		return;
	while (tm_value_items_next(&it, &item)) {
		struct tm_cell c = dead_cell(w, column);
		c.flags |= TM_CELL_PATH;
		if (t->kind != TM_CQL_LIST) {
			c.path = path_of(w, t, item);
			TM_PUSH_IN(w->run->arena, out, c);
			continue;
		}
		const struct tm_read_column *cells = row ? &row->columns[column] : NULL;
		for (size_t i = 0; cells && i < cells->count; i++)
			if (tm_value_compare(t->args[0], cells->cells[i].value, item) == 0) {
				c.path = tm_arena_str(w->run->arena, cells->cells[i].path);
				TM_PUSH_IN(w->run->arena, out, c);
			}
	}
}

static tm_rc set_element(struct cql_write *w, const struct cql_modify_op *op, const struct tm_read_row *row, struct tm_cells *out,
			 struct tm_err *err)
{
	const struct tm_table_column *col = &w->plan->table->def.columns[op->column];
	const struct tm_cql_type *t = col->type;
	struct tm_cql_value key, v = {.null = true};
	bool list = t->kind == TM_CQL_LIST;
	TM_TRY(cql_eval(&w->run->ev, op->element, &key, err));
	if (op->value)
		TM_TRY(cql_eval(&w->run->ev, op->value, &v, err));
	if (key.null && !key.unset)
		return cql_fail(err, CQL_CODE_INVALID,
				list                    ? "Invalid null value for list index"
				: t->kind == TM_CQL_MAP ? "Invalid null map key"
							: "Invalid null set element");
	if (key.unset)
		return cql_fail(err, CQL_CODE_INVALID,
				list                    ? "Invalid unset value for list index"
				: t->kind == TM_CQL_MAP ? "Invalid unset map key"
							: "Invalid unset set element");
	if (v.unset)
		return TM_OK;
	struct tm_cell c = v.null ? dead_cell(w, op->column) : live_cell(w, op->column);
	c.flags |= TM_CELL_PATH;
	if (list) {
		int64_t index = cql_int_of(key.bytes);
		size_t count = row ? row->columns[op->column].count : 0;
		if (!count)
			return cql_fail(err, CQL_CODE_INVALID,
					op->value ? "Attempted to set an element on a list which is null"
						  : "Attempted to delete an element from a list which is null");
		if (index < 0 || (size_t)index >= count)
			return cql_fail(err, CQL_CODE_INVALID, "List index %lld out of bound, list has size %zu", (long long)index, count);
		c.path = tm_arena_str(w->run->arena, row->columns[op->column].cells[index].path);
	} else {
		c.path = path_of(w, t, key.bytes);
	}
	if (!v.null)
		c.value = t->kind == TM_CQL_MAP ? tm_mutation_map_value(t, key.bytes, v.bytes, w->run->arena) : v.bytes;
	TM_PUSH_IN(w->run->arena, out, c);
	return TM_OK;
}

static tm_rc apply_op(struct cql_write *w, const struct cql_modify_op *op, const struct tm_read_row *row, struct tm_cells *out,
		      struct tm_err *err)
{
	const struct tm_table_column *col = &w->plan->table->def.columns[op->column];
	struct tm_arena *a = w->run->arena;
	struct tm_cql_value v = {.null = true};
	if (op->kind == CQL_SET_ELEMENT || op->kind == CQL_DELETE_ELEMENT)
		return set_element(w, op, row, out, err);
	if (op->value) {
		TM_TRY(cql_eval(&w->run->ev, op->value, &v, err));
		if (v.unset && col->type->kind == TM_CQL_LIST && op->kind != CQL_SET)
			return cql_fail(err, CQL_CODE_SERVER, "java.lang.NullPointerException");
		if (v.unset)
			return TM_OK;
	}
	if (op->kind == CQL_SET || op->kind == CQL_DELETE_COLUMN) {
		if (op->kind == CQL_DELETE_COLUMN && tm_type_is_multicell(col->type)) {
			TM_PUSH_IN(a, out,
				   (struct tm_cell){.column = w->plan->table->column_id[op->column],
						    .flags = TM_CELL_CLEARED,
						    .timestamp_us = w->timestamp_us,
						    .at_s = w->now_s});
			return TM_OK;
		}
		set_value(w, op->column, v, out);
		return TM_OK;
	}
	if (op->kind == CQL_SET_FIELD || op->kind == CQL_DELETE_FIELD) {
		struct tm_cell c = v.null ? dead_cell(w, op->column) : live_cell(w, op->column);
		uint16_t be = __builtin_bswap16((uint16_t)op->field);
		c.flags |= TM_CELL_PATH;
		c.path = tm_arena_str(a, tm_str_n((char *)&be, 2));
		c.value = v.bytes;
		TM_PUSH_IN(a, out, c);
		return TM_OK;
	}
	if (col->type->kind == TM_CQL_COUNTER) {
		if (v.null)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid null value for counter increment");
		int64_t delta = cql_int_of(v.bytes);
		if (op->kind == CQL_SET_SUBTRACT && delta == INT64_MIN)
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "The negation of -9223372036854775808 overflows supported counter precision (signed 8 bytes integer)");
		struct tm_cell c = {
		    .column = w->plan->table->column_id[op->column], .flags = TM_CELL_COUNTER, .timestamp_us = w->timestamp_us};
		c.value = cql_be64(a, op->kind == CQL_SET_SUBTRACT ? -delta : delta);
		TM_PUSH_IN(a, out, c);
		return TM_OK;
	}
	if (v.null)
		return TM_OK;
	struct tm_cell c = live_cell(w, op->column);
	if (op->kind == CQL_SET_ADD)
		tm_mutation_elements(w->run->session->store, col->type, c.column, v.bytes, &c, a, out);
	else if (op->kind == CQL_SET_PREPEND)
		prepend(w, op->column, v.bytes, out);
	else
		remove_items(w, op->column, v.bytes, row, out);
	return TM_OK;
}

/* ---- mutations ---- */
/* Clustering values from their ordered form. */
static bool clustering_of(struct cql_write *w, struct tm_str form, struct tm_str *ret)
{
	const struct tm_table_def *def = &w->plan->table->def;
	struct tm_cursor c = tm_cursor_of(form);
	for (size_t i = 0; i < def->clustering_count; i++)
		if (!tm_value_order_take(def->columns[def->partition_key_count + i].type, &c, w->run->arena, &ret[i]))
			return false;
	/* as written, where the ordered form loses the scale of a decimal */
	for (size_t i = 0; i < def->clustering_count; i++) {
		size_t column = def->partition_key_count + i;
		const struct cql_test *t = w->plan->is_json ? NULL : cql_where_equal(&w->plan->where, column);
		struct tm_cql_value v;
		struct tm_err unused;
		if (w->plan->is_json)
			ret[i] = w->json[column].bytes;
		else if (t && !tm_value_order_is_exact(def->columns[column].type) &&
			 cql_eval(&w->run->ev, t->value, &v, &unused) == TM_OK && !v.null)
			ret[i] = v.bytes;
	}
	return true;
}

static tm_rc write_cells(struct cql_write *w, struct tm_str pk, const struct tm_str *clustering, bool statics,
			 const struct tm_read_row *row, struct tm_err *err)
{
	const struct cql_modify_plan *p = w->plan;
	const struct tm_table_def *def = &p->table->def;
	struct tm_cells cells = {0};
	struct tm_mutation m = {.table = p->table, .partition_key = pk, .clustering = statics ? NULL : clustering};
	if (p->is_json) {
		for (size_t i = def->partition_key_count + def->clustering_count; i < def->column_count; i++)
			if ((def->columns[i].kind == TM_COLUMN_STATIC) == statics && (w->json_present[i] || !p->json_default_unset) &&
			    !w->json[i].unset) {
				struct tm_cql_value v = w->json[i];
				v.null |= !w->json_present[i];
				set_value(w, i, v, &cells);
			}
	}
	for (size_t i = 0; i < p->op_count; i++)
		if ((def->columns[p->ops[i].column].kind == TM_COLUMN_STATIC) == statics)
			TM_TRY(apply_op(w, &p->ops[i], row, &cells, err));
	if (!statics && p->kind == CQL_INSERT)
		m.info = (struct tm_row_info){
		    .has_marker = true, .marker_us = w->timestamp_us, .marker_ttl_s = w->ttl_s, .marker_expiry_s = w->now_s + w->ttl_s};
	if (!cells.count && !m.info.has_marker)
		return TM_OK;
	m.cells = cells.items;
	m.cell_count = cells.count;
	tm_table_batch_mutate(w->batch, &m);
	return TM_OK;
}

/* The row as it is, for operations that need it. NULL when it is not there. */
static tm_rc read_row(struct cql_write *w, struct tm_str pk, const struct tm_read_slice *slice, struct tm_read **ret_read,
		      const struct tm_read_row **ret, struct tm_err *err)
{
	struct tm_read_options o = {.has_partition = true,
				    .partition_key = pk,
				    .slices = slice,
				    .slice_count = slice ? 1 : 0,
				    .no_static_row = false,
				    .now_s = w->now_s};
	*ret = NULL;
	*ret_read = tm_read_open(w->run->session->store, w->plan->table, &o);
	int got = tm_read_next(*ret_read, ret, err);
	if (got <= 0)
		*ret = NULL;
	return got < 0 ? err->rc : TM_OK;
}

static tm_rc delete_rows(struct cql_write *w, struct tm_str pk, struct tm_err *err)
{
	const struct tm_table_def *def = &w->plan->table->def;
	const struct cql_where *where = &w->plan->where;
	struct tm_row_info gone = {.has_deletion = true, .deletion_us = w->timestamp_us, .deletion_at_s = w->now_s};
	struct tm_mutation m = {.table = w->plan->table, .partition_key = pk, .info = gone};
	(void)err;
	if (!where->ck_restricted || def->clustering_count == 0) {
		struct tm_str none = {"", 0};
		if (def->clustering_count == 0)
			m.clustering = &none;
		tm_table_batch_mutate(w->batch, &m);
		return TM_OK;
	}
	struct tm_str *clustering = TM_NEW_N(w->run->arena, struct tm_str, def->clustering_count);
	for (size_t i = 0; i < w->slices.count; i++) {
		const struct tm_read_slice *s = &w->slices.items[i];
		if (where->ck_prefix == def->clustering_count && clustering_of(w, s->start, clustering)) {
			m.clustering = clustering;
			m.info = gone;
			m.ranges = NULL;
		} else {
			struct tm_range_tombstone *t = TM_NEW(w->run->arena, struct tm_range_tombstone);
			*t = (struct tm_range_tombstone){s->start, s->end, w->timestamp_us, w->now_s};
			m.clustering = NULL;
			m.info = (struct tm_row_info){.range_count = 1};
			m.ranges = t;
		}
		tm_table_batch_mutate(w->batch, &m);
	}
	return TM_OK;
}

tm_rc cql_write_apply(struct cql_write *w, struct tm_err *err)
{
	const struct cql_modify_plan *p = w->plan;
	const struct tm_table_def *def = &p->table->def;
	struct tm_str *clustering = TM_NEW_N(w->run->arena, struct tm_str, def->clustering_count + 1);
	bool statics = p->writes_static || (p->is_json && p->table->has_static);
	bool insert_static_only = p->kind == CQL_INSERT && !p->is_json && p->where.ck_prefix < def->clustering_count;
	for (size_t k = 0; k < w->keys.count; k++) {
		struct tm_str pk = w->keys.items[k];
		if (p->kind == CQL_DELETE && p->op_count == 0) {
			TM_TRY(delete_rows(w, pk, err));
			continue;
		}
		struct tm_read *read = NULL;
		const struct tm_read_row *row = NULL;
		tm_rc rc = TM_OK;
		if (statics) {
			if (p->needs_read)
				rc = read_row(w, pk, NULL, &read, &row, err);
			if (rc == TM_OK)
				rc = write_cells(w, pk, NULL, true, row, err);
			tm_read_close(read);
			TM_TRY(rc);
		}
		bool rows = p->writes_rows || (p->kind == CQL_INSERT && !insert_static_only);
		for (size_t i = 0; rows && i < w->slices.count; i++) {
			read = NULL;
			row = NULL;
			if (!clustering_of(w, w->slices.items[i].start, clustering))
				return tm_fail(err, TM_INTERNAL, "a clustering key that cannot be read back");
			if (p->needs_read)
				rc = read_row(w, pk, def->clustering_count ? &w->slices.items[i] : NULL, &read, &row, err);
			if (rc == TM_OK)
				rc = write_cells(w, pk, clustering, false, row && (row->clustering || !def->clustering_count) ? row : NULL,
						 err);
			tm_read_close(read);
			TM_TRY(rc);
		}
	}
	return TM_OK;
}

/* ---- a statement, or a batch ---- */
static tm_rc check_batch(const struct cql_modify_item *items, size_t count, int type, struct tm_err *err)
{
	bool counters = false, others = false, conditional = false;
	for (size_t i = 0; i < count; i++) {
		counters |= items[i].plan->table->counter;
		others |= !items[i].plan->table->counter;
		conditional |= cql_is_conditional(items[i].plan);
	}
	if (conditional)
		for (size_t i = 1; i < count; i++)
			if (items[i].plan->table->number != items[0].plan->table->number)
				return cql_fail(err, CQL_CODE_INVALID, "Batch with conditions cannot span multiple tables");
	if (type == 2 && others)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot include non-counter statement in a counter batch");
	if (type == 0 && counters)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot include a counter statement in a logged batch");
	if (counters && others)
		return cql_fail(err, CQL_CODE_INVALID, "Counter and non-counter mutations cannot exist in the same batch");
	return TM_OK;
}

tm_rc cql_modify_run(struct cql_run *run, const struct cql_modify_item *items, size_t count, int batch_type, bool is_batch,
		     const struct cql_node *batch_timestamp, struct tm_err *err)
{
	run->result->kind = TM_CQL_VOID;
	struct tm_err mine;
	err = err ? err : &mine;
	if (is_batch)
		TM_TRY(check_batch(items, count, batch_type, err));
	bool conditional = false, alone = false;
	for (size_t i = 0; i < count; i++) {
		conditional |= cql_is_conditional(items[i].plan);
		alone |= items[i].plan->needs_read || items[i].plan->table->counter;
	}
	if (conditional)
		return cql_lwt_run(run, items, count, is_batch, err);
	struct tm_store *store = run->session->store;
	int64_t us = run->options->timestamp_us;
	if (batch_timestamp)
		TM_TRY(eval_timestamp(&run->ev, batch_timestamp, &us, err));
	if (us == INT64_UNSET || (alone && count && items[0].plan->table->counter))
		us = tm_store_now_us(store);
	if (alone && run->pending)
		TM_TRY(tm_table_batch_commit(run->pending, true, err));
	struct tm_table_batch *batch = run->pending && !alone ? run->pending : tm_table_batch_new(store);
	tm_rc rc = TM_OK;
	tm_table_batch_mark(batch); /* a statement that fails leaves nothing behind */
	for (size_t i = 0; i < count && rc == TM_OK; i++) {
		struct cql_write w = {.run = run, .batch = batch};
		if ((rc = cql_write_prepare(&w, &items[i], us, err)) == TM_OK)
			rc = cql_write_apply(&w, err);
	}
	tm_table_batch_settle(batch, rc == TM_OK);
	if (batch != run->pending) {
		if (rc == TM_OK)
			rc = tm_table_batch_commit(batch, true, err);
		tm_table_batch_free(batch);
	}
	return rc;
}
