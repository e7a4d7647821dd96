/* Maps. */
#include "sql/fn_list.h"

/* Do two of the keys agree? Small maps pairwise, others by a table. */
static bool find_twice(struct tm_eval *ev, const struct tm_column *keys, const uint32_t *index, uint32_t n, uint32_t *ret)
{
	if (n <= 16) {
		for (uint32_t a = 1; a < n; a++)
			for (uint32_t b = 0; b < a; b++)
				if (tm_value_cmp(keys, index[a], keys, index[b]) == 0) {
					*ret = index[a];
					return true;
				}
		return false;
	}
	size_t cap = 64;
	while (cap < (size_t)n * 2)
		cap *= 2;
	uint32_t *slots = tm_arena_zalloc(ev->arena, cap * sizeof *slots);
	for (uint32_t a = 0; a < n; a++) {
		size_t at = tm_value_hash(keys, index[a], 0) & (cap - 1);
		for (; slots[at]; at = (at + 1) & (cap - 1))
			if (tm_value_cmp(keys, index[a], keys, slots[at] - 1) == 0) {
				*ret = index[a];
				return true;
			}
		slots[at] = index[a] + 1;
	}
	return false;
}

tm_rc fn_map_set(struct tm_eval *ev, struct tm_column *ret, const struct tm_column *keys, const struct tm_column *values,
		 const struct fn_index *key_index, const struct fn_index *value_index)
{
	for (size_t i = 0; i < ret->rows; i++) {
		struct tm_span s = ret->span[i];
		uint32_t twice;
		for (uint32_t j = 0; j < s.count; j++)
			if (key_index->items[s.from + j] == UINT32_MAX || tm_is_null(keys, key_index->items[s.from + j]))
				return tm_fail_class(ev->err, TM_DATA, "NULL_MAP_KEY", "2200E", "Cannot use null as map key.");
		if (find_twice(ev, keys, key_index->items + s.from, s.count, &twice)) {
			struct tm_buf text = {0};
			tm_value_text(ev->session, keys, twice, &text);
			tm_rc rc = tm_fail_class(
			    ev->err, TM_DATA, "DUPLICATED_MAP_KEY", "23505",
			    "Duplicate map key %.*s was found, please check the input data.\nIf you want to remove the duplicated keys, "
			    "you can set "
			    "\"spark.sql.mapKeyDedupPolicy\" to \"LAST_WIN\" so that the key inserted at last takes precedence.",
			    (int)text.len, text.at);
			tm_buf_done(&text);
			return rc;
		}
	}
	ret->children = TM_NEW_N(ev->arena, struct tm_column, 2);
	tm_column_take(&ret->children[0], ev->arena, keys, key_index->items, key_index->count);
	tm_column_take(&ret->children[1], ev->arena, values, value_index->items, value_index->count);
	return TM_OK;
}

static tm_rc empty_map(struct tm_eval *ev, struct tm_column *ret)
{
	ret->children = TM_NEW_N(ev->arena, struct tm_column, 2);
	for (size_t c = 0; c < 2; c++)
		tm_column_init(&ret->children[c], ev->arena, ret->type->children[c], 0);
	return TM_OK;
}

KERNEL(map)
{
	size_t n = call->arg_count / 2, *base = tm_arena_alloc(ev->arena, (2 * n + 1) * sizeof *base);
	fn_begin_raw(ev, call, ret);
	if (n == 0)
		return empty_map(ev, ret);
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, 2 * n);
	struct tm_column keys, values;
	struct fn_index ki = {0}, vi = {0};
	for (size_t a = 0; a < n; a++) {
		parts[a] = &args[2 * a];
		parts[n + a] = &args[2 * a + 1];
	}
	fn_pool(ev, parts, n, call->type->children[0], &keys, base);
	fn_pool(ev, parts + n, n, call->type->children[1], &values, base + n);
	for (size_t i = 0; i < ev->rows; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)ki.count, (uint32_t)n};
		for (size_t a = 0; a < n; a++) {
			fn_index_add(ev, &ki, (uint32_t)(base[a] + i));
			fn_index_add(ev, &vi, (uint32_t)(base[n + a] + i));
		}
	}
	return fn_map_set(ev, ret, &keys, &values, &ki, &vi);
}
BIND(map)
{
	const struct tm_type *t[2] = {&tm_type_null, &tm_type_null};
	bool nulls = false;
	if (b->arg_count % 2)
		return tm_fail_class(err, TM_INVALID, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
				     "The `map` requires 2n (n > 0) parameters but the actual number is %zu. Please, refer to "
				     "'https://spark.apache.org/docs/latest/sql-ref-functions.html' for a fix.",
				     b->arg_count);
	for (int side = 0; side < 2; side++) {
		for (int pass = 0; pass < 2; pass++)
			for (size_t i = (size_t)side; i < b->arg_count && t[side]; i += 2)
				if (fn_kind(b, i, TM_T_STRING) == (pass == 1))
					t[side] = tm_type_common(b->arena, t[side], b->args[i].type, b->session->ansi);
		if (!t[side])
			return fn_mismatch(b, err, side ? "CREATE_MAP_VALUE_DIFF_TYPES" : "CREATE_MAP_KEY_DIFF_TYPES",
					   "The given %s of function `map` should all be the same type.", side ? "values" : "keys");
		for (size_t i = (size_t)side; i < b->arg_count; i += 2) {
			if (!tm_type_same(b->args[i].type, t[side]))
				b->cast[i] = t[side];
			nulls |= side && b->args[i].nullable;
		}
	}
	if (t[0]->kind == TM_T_MAP)
		return fn_mismatch(b, err, "INVALID_MAP_KEY_TYPE", "The key of map cannot be/contain \"MAP\".");
	return fn_is(b, &tm_k_map, tm_type_map(b->arena, t[0], t[1], nulls), false);
}

/* map_from_arrays(keys, values) */
KERNEL(map_from_arrays)
{
	struct fn_index ki = {0}, vi = {0};
	struct tm_column keys = args[0].children[0], values = args[1].children[0];
	tm_column_flatten(&keys, ev->arena);
	tm_column_flatten(&values, ev->arena);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span k = AT(0, span, i), v = AT(1, span, i);
		if (k.count != v.count)
			return tm_fail(ev->err, TM_DATA, "The key array and value array of MapData must have the same length.");
		ret->span[i] = (struct tm_span){(uint32_t)ki.count, k.count};
		for (uint32_t j = 0; j < k.count; j++) {
			fn_index_add(ev, &ki, k.from + j);
			fn_index_add(ev, &vi, v.from + j);
		}
	}
	return fn_map_set(ev, ret, &keys, &values, &ki, &vi);
}
BIND(map_from_arrays)
{
	for (size_t i = 0; i < 2; i++)
		if (b->args[i].type->kind != TM_T_ARRAY)
			return fn_unexpected_type(b, i, "ARRAY", err);
	const struct tm_type *v = b->args[1].type;
	return fn_is(b, &tm_k_map_from_arrays, tm_type_map(b->arena, b->args[0].type->children[0], v->children[0], v->nullable[0]),
		     fn_any_nullable(b));
}
KERNEL(map_from_entries)
{
	const struct tm_column *entries = &args[0].children[0];
	struct fn_index ki = {0};
	struct tm_column keys = entries->children[0], values = entries->children[1];
	tm_column_flatten(&keys, ev->arena);
	tm_column_flatten(&values, ev->arena);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		bool null = false;
		for (uint32_t j = 0; j < s.count; j++)
			null |= tm_is_null(entries, s.from + j);
		ret->span[i] = (struct tm_span){(uint32_t)ki.count, null ? 0 : s.count};
		if (null)
			fn_null(ev, ret, i);
		for (uint32_t j = 0; j < s.count && !null; j++)
			fn_index_add(ev, &ki, s.from + j);
	}
	return fn_map_set(ev, ret, &keys, &values, &ki, &ki);
}
BIND(map_from_entries)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind != TM_T_ARRAY || t->children[0]->kind != TM_T_STRUCT || t->children[0]->child_count != 2)
		return fn_unexpected_type(b, 0, "ARRAY of pair STRUCT", err);
	const struct tm_type *e = t->children[0];
	return fn_is(b, &tm_k_map_from_entries, tm_type_map(b->arena, e->children[0], e->children[1], e->nullable[1]),
		     fn_any_nullable(b) || t->nullable[0]);
}

KERNEL(map_side) /* bound: 0 keys, 1 values */
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->span[i] = tm_is_null(&args[0], i) ? (struct tm_span){0} : AT(0, span, i);
	ret->children = TM_NEW(ev->arena, struct tm_column);
	ret->children[0] = args[0].children[(size_t)(intptr_t)call->bound];
	tm_column_flatten(&ret->children[0], ev->arena);
	return TM_OK;
}
KERNEL(map_entries)
{
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->span[i] = tm_is_null(&args[0], i) ? (struct tm_span){0} : AT(0, span, i);
	ret->children = TM_NEW(ev->arena, struct tm_column);
	struct tm_column *e = &ret->children[0];
	*e = (struct tm_column){.type = call->type->children[0], .rows = args[0].children[0].rows};
	e->children = TM_NEW_N(ev->arena, struct tm_column, 2);
	for (size_t c = 0; c < 2; c++) {
		e->children[c] = args[0].children[c];
		tm_column_flatten(&e->children[c], ev->arena);
	}
	return TM_OK;
}
/* variant: 0 keys, 1 values, 2 entries */
BIND(map_side)
{
	const struct tm_type *t = b->args[0].type;
	int side = fn_variant(b);
	if (t->kind != TM_T_MAP)
		return fn_unexpected_type(b, 0, "MAP", err);
	b->bound = (const void *)(intptr_t)side;
	if (side < 2)
		return fn_is(b, &tm_k_map_side, tm_type_array(b->arena, t->children[side], side && t->nullable[1]), fn_any_nullable(b));
	const struct tm_type *e = tm_type_struct(b->arena, 2, (const struct tm_str[]){TM_STR("key"), TM_STR("value")}, t->children,
						 (const bool[]){false, t->nullable[1]});
	return fn_is(b, &tm_k_map_entries, tm_type_array(b->arena, e, false), fn_any_nullable(b));
}

KERNEL(map_concat)
{
	size_t n = call->arg_count, *base = tm_arena_alloc(ev->arena, (2 * n + 1) * sizeof *base);
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, 2 * n + 1);
	struct tm_column keys, values;
	struct fn_index ki = {0}, vi = {0};
	fn_begin(ev, call, args, ret);
	if (n == 0)
		return empty_map(ev, ret);
	for (size_t a = 0; a < n; a++) {
		parts[a] = &args[a].children[0];
		parts[n + a] = &args[a].children[1];
	}
	fn_pool(ev, parts, n, call->type->children[0], &keys, base);
	fn_pool(ev, parts + n, n, call->type->children[1], &values, base + n);
	FN_ROWS(i)
	{
		ret->span[i].from = (uint32_t)ki.count;
		for (size_t a = 0; a < n; a++) {
			struct tm_span s = AT(a, span, i);
			for (uint32_t j = 0; j < s.count; j++) {
				fn_index_add(ev, &ki, (uint32_t)base[a] + s.from + j);
				fn_index_add(ev, &vi, (uint32_t)base[n + a] + s.from + j);
			}
		}
		ret->span[i].count = (uint32_t)ki.count - ret->span[i].from;
	}
	return fn_map_set(ev, ret, &keys, &values, &ki, &vi);
}
BIND(map_concat)
{
	const struct tm_type *t = tm_type_map(b->arena, &tm_type_string, &tm_type_string, true);
	if (b->arg_count)
		TM_TRY(fn_want_common(b, 0, b->arg_count, &t, err));
	if (t->kind != TM_T_MAP)
		return fn_mismatch(b, err, "MAP_CONCAT_DIFF_TYPES", "The `map_concat` should all be of type map.");
	return fn_is(b, &tm_k_map_concat, t, fn_any_nullable(b));
}
tm_rc fn_want_key(struct tm_fn_bind *b, const struct tm_type *key, struct tm_err *err)
{
	const struct tm_type *t = b->args[0].type;
	if (!key)
		return fn_mismatch(b, err, "MAP_FUNCTION_DIFF_TYPES",
				   "Input to `%s` should have been \"MAP\" followed by a value with same key type.", b->fn->name);
	if (!tm_type_same(key, t->children[0]))
		b->cast[0] = tm_type_map(b->arena, key, t->children[1], t->nullable[1]);
	if (!tm_type_same(key, b->args[1].type))
		b->cast[1] = key;
	return TM_OK;
}
KERNEL(map_contains_key)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		ret->boolean[i] = false;
		for (uint32_t j = 0; j < s.count && !ret->boolean[i]; j++)
			ret->boolean[i] = tm_value_cmp(&args[0].children[0], s.from + j, &args[1], i) == 0;
	}
	return TM_OK;
}
BIND(map_contains_key)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind != TM_T_MAP)
		return fn_unexpected_type(b, 0, "MAP", err);
	const struct tm_type *k = fn_common_element(b->arena, t->children[0], b->args[1].type, b->session->ansi);
	TM_TRY(fn_want_key(b, k, err));
	return fn_is(b, &tm_k_map_contains_key, &tm_type_boolean, fn_any_nullable(b));
}
