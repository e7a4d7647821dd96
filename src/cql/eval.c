/* Evaluating typed expressions over bound values and the current row. Everything lives in the request's arena. */
#include <stdlib.h>
#include "cql/cql_int.h"

struct tm_cql_value cql_row_value(const struct cql_row *row, size_t column, struct tm_arena *arena)
{
	const struct tm_table_def *def = &row->table->def;
	if (!row->read)
		return row->values[column];
	if (column < def->partition_key_count)
		return (struct tm_cql_value){.bytes = row->read->partition_key[column]};
	if (column < def->partition_key_count + def->clustering_count)
		return row->read->clustering ? (struct tm_cql_value){.bytes = row->read->clustering[column - def->partition_key_count]}
					     : (struct tm_cql_value){.null = true};
	return tm_read_value(def->columns[column].type, &row->read->columns[column], arena);
}

static int item_cmp(const void *a, const void *b, void *type)
{
	return tm_value_compare(type, *(const struct tm_str *)a, *(const struct tm_str *)b);
}

struct tm_str cql_pack_items(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str *items, size_t count)
{
	size_t step = type->kind == TM_CQL_MAP ? 2 : 1, n = 0;
	struct tm_str *sorted = items;
	if (type->kind != TM_CQL_LIST && count) {
		qsort_r(items, count / step, step * sizeof *items, item_cmp, (void *)type->args[0]);
		for (size_t i = 0; i < count; i += step)
			if (n == 0 || tm_value_compare(type->args[0], sorted[n - step], items[i]) != 0) {
				tm_move(&sorted[n], &items[i], step * sizeof *items);
				n += step;
			} else {
				tm_move(&sorted[n - step], &items[i], step * sizeof *items);
			}
		count = n;
	}
	size_t bytes = 4;
	for (size_t i = 0; i < count; i++)
		bytes += 4 + items[i].len;
	char *out = tm_arena_alloc(arena, bytes), *p = out;
	uint32_t be = __builtin_bswap32((uint32_t)(count / step));
	memcpy(p, &be, 4);
	p += 4;
	for (size_t i = 0; i < count; i++) {
		be = __builtin_bswap32(items[i].at ? (uint32_t)items[i].len : UINT32_MAX);
		memcpy(p, &be, 4);
		p += 4;
		if (items[i].len)
			memcpy(p, items[i].at, items[i].len);
		p += items[i].len;
	}
	return tm_str_n(out, bytes);
}

static tm_rc eval_marker(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	if (n->index >= ev->value_count)
		return cql_fail(err, CQL_CODE_INVALID, "Invalid amount of bind variables");
	*ret = ev->values[n->index];
	if (ret->unset || ret->null || !ret->bytes.at) {
		ret->null = !ret->unset;
		return TM_OK;
	}
	tm_rc rc = tm_value_validate(n->type, ret->bytes, err);
	if (rc == TM_OK && (n->type->kind == TM_CQL_SET || n->type->kind == TM_CQL_MAP)) {
		/* Drivers send sets and maps in any order. */
		struct tm_value_items it;
		struct tm_str item;
		if (ret->bytes.len >= 4 && tm_value_items_open(ret->bytes, &it)) {
			struct {
				struct tm_str *items;
				size_t count, cap;
			} list = {0};
			while (tm_value_items_next(&it, &item))
				TM_PUSH_IN(ev->arena, &list, item);
			ret->bytes = cql_pack_items(ev->arena, n->type, list.items, list.count);
		}
	}
	return rc;
}

static tm_rc eval_items(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	struct tm_str *items = TM_NEW_N(ev->arena, struct tm_str, n->arg_count + 1);
	for (size_t i = 0; i < n->arg_count; i++) {
		struct tm_cql_value v;
		TM_TRY(cql_eval(ev, n->args[i], &v, err));
		if (v.unset)
			return cql_fail(err, CQL_CODE_INVALID, "unset value is not supported inside collections");
		if (v.null)
			return cql_fail(err, CQL_CODE_INVALID, "null is not supported inside collections");
		if (v.bytes.len > UINT16_MAX && n->type->kind == TM_CQL_SET)
			return cql_fail(err, CQL_CODE_INVALID,
					"Set value is too long. Set values are limited to 65535 bytes but %zu bytes value provided",
					v.bytes.len);
		items[i] = v.bytes.at ? v.bytes : (struct tm_str){"", 0};
	}
	*ret = (struct tm_cql_value){0};
	if (n->op == CQL_N_VECTOR || n->type->kind == TM_CQL_VECTOR) {
		struct tm_buf b = {0};
		bool fixed = tm_type_fixed_length(n->type->args[0]) > 0;
		for (size_t i = 0; i < n->arg_count; i++) {
			if (!fixed)
				tm_value_vint_put(&b, items[i].len);
			tm_buf_str_put(&b, items[i]);
		}
		ret->bytes = tm_arena_str(ev->arena, tm_buf_str(&b));
		tm_buf_done(&b);
		return TM_OK;
	}
	ret->bytes = cql_pack_items(ev->arena, n->type, items, n->arg_count);
	return TM_OK;
}

static tm_rc eval_tuple(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < n->arg_count && rc == TM_OK; i++) {
		struct tm_cql_value v = {.null = true};
		if (n->args[i])
			rc = cql_eval(ev, n->args[i], &v, err);
		if (rc == TM_OK && v.unset && n->type->kind == TM_CQL_UDT)
			rc = cql_fail(err, CQL_CODE_INVALID, "Invalid unset value for field '%.*s' of user defined type %.*s",
				      TM_STR_ARG(n->type->field_names[i]), TM_STR_ARG(n->type->name));
		else if (rc == TM_OK && v.unset)
			rc = cql_fail(err, CQL_CODE_INVALID, "Invalid unset value for tuple field number %zu", i);
		tm_buf_be32(&b, v.null ? UINT32_MAX : (uint32_t)v.bytes.len);
		if (!v.null)
			tm_buf_str_put(&b, v.bytes);
	}
	*ret = (struct tm_cql_value){.bytes = tm_arena_str(ev->arena, tm_buf_str(&b))};
	tm_buf_done(&b);
	return rc;
}

static tm_rc eval_field(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	struct tm_cql_value v;
	TM_TRY(cql_eval(ev, n->args[0], &v, err));
	*ret = (struct tm_cql_value){.null = true};
	if (v.null || v.unset)
		return TM_OK;
	struct tm_value_items it = {.c = tm_cursor_of(v.bytes)};
	struct tm_str item;
	for (size_t i = 0; tm_value_items_next(&it, &item); i++)
		if (i == n->index) {
			*ret = (struct tm_cql_value){.bytes = item, .null = !item.at};
			break;
		}
	return TM_OK;
}

static tm_rc eval_element(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	struct tm_cql_value v, bound[2] = {{.null = true}, {.null = true}};
	TM_TRY(cql_eval(ev, n->args[0], &v, err));
	for (size_t i = 1; i < n->arg_count; i++)
		if (n->args[i]) {
			TM_TRY(cql_eval(ev, n->args[i], &bound[i - 1], err));
			if (bound[i - 1].null && !bound[i - 1].unset)
				return cql_fail(err, CQL_CODE_INVALID, "Invalid null value for element selection on %.*s",
						TM_STR_ARG(n->args[0]->text));
			if (bound[i - 1].unset && n->op == CQL_N_ELEMENT)
				return cql_fail(err, CQL_CODE_INVALID, "Invalid unset value for element selection on %.*s",
						TM_STR_ARG(n->args[0]->text));
			bound[i - 1].null |= bound[i - 1].unset;
		}
	*ret = (struct tm_cql_value){.null = true};
	struct tm_value_items it;
	struct tm_str key, value;
	if (v.null || !tm_value_items_open(v.bytes, &it))
		return TM_OK;
	const struct tm_cql_type *t = n->args[0]->type;
	struct {
		struct tm_str *items;
		size_t count, cap;
	} kept = {0};
	while (tm_value_items_next(&it, &key)) {
		value = key;
		if (t->kind == TM_CQL_MAP && !tm_value_items_next(&it, &value))
			break;
		if (n->op == CQL_N_ELEMENT) {
			if (tm_value_compare(t->args[0], key, bound[0].bytes) == 0) {
				*ret = (struct tm_cql_value){.bytes = value};
				return TM_OK;
			}
			continue;
		}
		if ((!bound[0].null && tm_value_compare(t->args[0], key, bound[0].bytes) < 0) ||
		    (!bound[1].null && tm_value_compare(t->args[0], key, bound[1].bytes) > 0))
			continue;
		TM_PUSH_IN(ev->arena, &kept, key);
		if (t->kind == TM_CQL_MAP)
			TM_PUSH_IN(ev->arena, &kept, value);
	}
	if (n->op == CQL_N_RANGE)
		*ret = (struct tm_cql_value){.bytes = cql_pack_items(ev->arena, t, kept.items, kept.count)};
	return TM_OK;
}

/* ---- WRITETIME, MAXWRITETIME, TTL ---- */
static struct tm_cql_value cell_number(struct cql_eval *ev, const struct tm_cell *c, int what)
{
	if (what != CQL_TTL)
		return (struct tm_cql_value){.bytes = cql_be64(ev->arena, c->timestamp_us)};
	if (!(c->flags & TM_CELL_EXPIRING))
		return (struct tm_cql_value){.null = true};
	return (struct tm_cql_value){.bytes = cql_be32(ev->arena, (int32_t)(c->at_s - ev->now_s))};
}

static tm_rc eval_writetime(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	const struct cql_node *base = n->args[0], *column = base;
	while (column->op != CQL_N_COLUMN)
		column = column->args[0];
	*ret = (struct tm_cql_value){.null = true};
	if (!ev->row->read)
		return TM_OK;
	const struct tm_cql_type *t = ev->row->table->def.columns[column->index].type;
	struct tm_read_column cells = ev->row->read->columns[column->index];
	if (!tm_type_is_multicell(t)) {
		if (!cells.count)
			return TM_OK;
		if (base != column) { /* of a part of a frozen value: of the whole, where the part is there */
			struct tm_cql_value part;
			TM_TRY(cql_eval(ev, base, &part, err));
			if (part.null)
				return TM_OK;
		}
		*ret = cell_number(ev, &cells.cells[0], n->what);
		return TM_OK;
	}
	struct tm_cql_value bound[2] = {{.null = true}, {.null = true}};
	for (size_t i = 1; i < base->arg_count && base->op != CQL_N_FIELD; i++)
		if (base->args[i])
			TM_TRY(cql_eval(ev, base->args[i], &bound[i - 1], err));
	struct {
		struct tm_str *items;
		size_t count, cap;
	} list = {0};
	int64_t max = INT64_MIN;
	size_t field = 0;
	for (size_t i = 0; i < cells.count; i++) {
		const struct tm_cell *c = &cells.cells[i];
		if (t->kind == TM_CQL_UDT) {
			uint16_t index;
			memcpy(&index, c->path.at, 2);
			index = __builtin_bswap16(index);
			if (base->op == CQL_N_FIELD) {
				if (index == base->index)
					*ret = cell_number(ev, c, n->what);
				continue;
			}
			for (; n->what != CQL_MAXWRITETIME && field < index; field++)
				TM_PUSH_IN(ev->arena, &list, (struct tm_str){0});
			field++;
		} else if (base->op == CQL_N_ELEMENT || base->op == CQL_N_RANGE) {
			struct tm_str key = tm_read_path(t, c->path, ev->arena);
			bool hit = base->op == CQL_N_ELEMENT
				       ? tm_value_compare(t->args[0], key, bound[0].bytes) == 0
				       : (bound[0].null || tm_value_compare(t->args[0], key, bound[0].bytes) >= 0) &&
					     (bound[1].null || tm_value_compare(t->args[0], key, bound[1].bytes) <= 0);
			if (!hit)
				continue;
			if (base->op == CQL_N_ELEMENT)
				*ret = cell_number(ev, c, n->what);
		}
		if (c->timestamp_us > max)
			max = c->timestamp_us;
		TM_PUSH_IN(ev->arena, &list, cell_number(ev, c, n->what).bytes);
	}
	if (n->what == CQL_MAXWRITETIME && list.count)
		*ret = (struct tm_cql_value){.bytes = cql_be64(ev->arena, max)};
	else if (n->type->kind == TM_CQL_LIST && list.count) {
		for (; t->kind == TM_CQL_UDT && field < t->arg_count; field++)
			TM_PUSH_IN(ev->arena, &list, (struct tm_str){0});
		*ret = (struct tm_cql_value){.bytes = cql_pack_items(ev->arena, n->type, list.items, list.count)};
	}
	return TM_OK;
}

static tm_rc eval_call(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	struct tm_cql_value small[6], *args = n->arg_count <= 6 ? small : TM_NEW_N(ev->arena, struct tm_cql_value, n->arg_count);
	bool null = false;
	for (size_t i = 0; i < n->arg_count; i++) {
		TM_TRY(cql_eval(ev, n->args[i], &args[i], err));
		if (args[i].unset)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid unset value for argument in call to function %s",
					n->function->name);
		/* A zero-length value of a type that has none is null to a function. */
		if (!args[i].null && args[i].bytes.len == 0 && !tm_type_is_text(n->args[i]->type) &&
		    n->args[i]->type->kind != TM_CQL_BLOB && n->args[i]->type->arg_count == 0)
			args[i].null = !n->function->takes_null || args[i].null;
		null |= args[i].null;
	}
	*ret = (struct tm_cql_value){.null = true};
	return null && !n->function->takes_null ? TM_OK : n->function->run(ev, n, args, ret, err);
}

tm_rc cql_eval(struct cql_eval *ev, const struct cql_node *n, struct tm_cql_value *ret, struct tm_err *err)
{
	switch (n->op) {
	case CQL_N_CONST:
		*ret = n->value;
		return TM_OK;
	case CQL_N_MARKER:
		return eval_marker(ev, n, ret, err);
	case CQL_N_COLUMN:
		*ret = cql_row_value(ev->row, n->index, ev->arena);
		ret->null |= !ret->bytes.at;
		return TM_OK;
	case CQL_N_CALL:
		return eval_call(ev, n, ret, err);
	case CQL_N_LIST:
	case CQL_N_SET:
	case CQL_N_MAP:
	case CQL_N_VECTOR:
		return eval_items(ev, n, ret, err);
	case CQL_N_TUPLE:
		return eval_tuple(ev, n, ret, err);
	case CQL_N_FIELD:
		return eval_field(ev, n, ret, err);
	case CQL_N_ELEMENT:
	case CQL_N_RANGE:
		return eval_element(ev, n, ret, err);
	case CQL_N_WRITETIME:
		return eval_writetime(ev, n, ret, err);
	case CQL_N_AGGREGATE:
		*ret = ev->aggregates[n->index];
		return TM_OK;
	}
	return tm_fail(err, TM_INTERNAL, "an expression of no known kind");
}
