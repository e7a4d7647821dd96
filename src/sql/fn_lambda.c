/* Higher-order functions: the lambda runs once per batch over all elements of all rows. */
#include "sql/fn_list.h"

/* The elements in use of a list column, one after the other, and the row of each. */
struct elements {
	struct tm_span *spans;
	uint32_t *index, *rows;
	size_t count;
};
static void elements_of(struct tm_eval *ev, const struct tm_column *list, struct elements *ret)
{
	ret->spans = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *ret->spans);
	fn_list_compact(ev, list, ev->rows, ret->spans, &ret->index, &ret->count);
	ret->rows = tm_arena_alloc(ev->arena, (ret->count + 1) * sizeof *ret->rows);
	for (size_t i = 0; i < ev->rows; i++)
		for (uint32_t j = 0; j < ret->spans[i].count; j++)
			ret->rows[ret->spans[i].from + j] = (uint32_t)i;
}
static void positions(struct tm_eval *ev, const struct elements *e, struct tm_column *ret)
{
	tm_column_init(ret, ev->arena, &tm_type_int, e->count);
	for (size_t i = 0; i < ev->rows; i++)
		for (uint32_t j = 0; j < e->spans[i].count; j++)
			ret->i32[e->spans[i].from + j] = (int32_t)j;
}
static void take_child(struct tm_eval *ev, const struct tm_column *list, size_t child, const struct elements *e, struct tm_column *ret)
{
	struct tm_column pool = list->children[child];
	tm_column_flatten(&pool, ev->arena);
	tm_column_take(ret, ev->arena, &pool, e->index, e->count);
}
static tm_rc run(struct tm_eval *ev, const struct tm_expr *lambda, const struct tm_column *values, const struct elements *e,
		 struct tm_column *ret)
{
	TM_TRY(tm_lambda_eval(ev, lambda, values, e->rows, e->count, ret));
	tm_column_flatten(ret, ev->arena);
	return TM_OK;
}
/* The lambda over an array's elements [and their positions]. */
static tm_rc run_array(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *list, struct elements *e,
		       struct tm_column *values, struct tm_column *ret)
{
	elements_of(ev, list, e);
	take_child(ev, list, 0, e, &values[0]);
	if (call->args[1]->variable_count > 1)
		positions(ev, e, &values[1]);
	return run(ev, call->args[1], values, e, ret);
}
static bool is_true(const struct tm_column *c, size_t i) { return !tm_is_null(c, i) && c->boolean[tm_row(c, i)]; }
/* The elements for which the lambda said true. */
static void keep_true(struct tm_eval *ev, const struct elements *e, const struct tm_column *said, struct tm_span *ret_spans,
		      struct fn_index *ret_index)
{
	for (size_t i = 0; i < ev->rows; i++) {
		ret_spans[i].from = (uint32_t)ret_index->count;
		for (uint32_t j = e->spans[i].from; j < e->spans[i].from + e->spans[i].count; j++)
			if (is_true(said, j))
				fn_index_add(ev, ret_index, j);
		ret_spans[i].count = (uint32_t)ret_index->count - ret_spans[i].from;
	}
}

/* ---- binding ---- */
static tm_rc lambda(struct tm_fn_bind *b, size_t arg, const struct tm_type *const *types, const bool *nulls, size_t n, struct tm_err *err)
{
	if (!b->args[arg].lambda)
		return fn_mismatch(b, err, "UNEXPECTED_INPUT_TYPE", "The parameter %zu requires a lambda function.", arg + 1);
	return b->bind_lambda(b, arg, types, nulls, n, err);
}
static tm_rc want_array(struct tm_fn_bind *b, size_t i, struct tm_err *err)
{
	if (!b->args[i].type)
		return fn_unexpected_type(b, i, "ARRAY", err);
	if (b->args[i].type->kind == TM_T_NULL)
		b->cast[i] = tm_type_array(b->arena, &tm_type_null, true);
	else if (b->args[i].type->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, i, "ARRAY", err);
	return TM_OK;
}
static tm_rc want_map(struct tm_fn_bind *b, size_t i, struct tm_err *err)
{
	return b->args[i].type && b->args[i].type->kind == TM_T_MAP ? TM_OK : fn_unexpected_type(b, i, "MAP", err);
}
static tm_rc bool_body(struct tm_fn_bind *b, size_t i, struct tm_err *err)
{
	const struct tm_type *t = b->args[i].type;
	if (t->kind == TM_T_BOOLEAN || t->kind == TM_T_NULL)
		return TM_OK;
	return fn_unexpected_type(b, i, "BOOLEAN", err);
}
/* x, or (x, i) */
static tm_rc element_lambda(struct tm_fn_bind *b, size_t arg, const struct tm_type *list, struct tm_err *err)
{
	const struct tm_type *types[2] = {list->children[0], &tm_type_int};
	bool nulls[2] = {list->nullable[0], false};
	size_t n = b->args[arg].lambda && b->args[arg].lambda_arity == 2 ? 2 : 1;
	return lambda(b, arg, types, nulls, n, err);
}

/* ---- arrays ---- */
KERNEL(transform)
{
	struct elements e;
	struct tm_column values[2];
	fn_begin_some(ev, call, args, 1, ret);
	ret->children = TM_NEW(ev->arena, struct tm_column);
	TM_TRY(run_array(ev, call, &args[0], &e, values, &ret->children[0]));
	memcpy(ret->span, e.spans, ev->rows * sizeof *e.spans);
	return TM_OK;
}
KERNEL(filter_array)
{
	struct elements e;
	struct tm_column values[2], keep;
	struct fn_index index = {0};
	fn_begin_some(ev, call, args, 1, ret);
	TM_TRY(run_array(ev, call, &args[0], &e, values, &keep));
	keep_true(ev, &e, &keep, ret->span, &index);
	fn_list_set(ev, ret, &values[0], &index);
	return TM_OK;
}
/* bound: not NULL for forall */
KERNEL(exists)
{
	struct elements e;
	struct tm_column values[2], test;
	bool all = call->bound;
	fn_begin_some(ev, call, args, 1, ret);
	TM_TRY(run_array(ev, call, &args[0], &e, values, &test));
	FN_ROWS(i)
	{
		bool decided = false, null = false;
		for (uint32_t j = 0; j < e.spans[i].count && !decided; j++) {
			size_t at = e.spans[i].from + j;
			null |= tm_is_null(&test, at);
			decided = !tm_is_null(&test, at) && (bool)test.boolean[tm_row(&test, at)] != all;
		}
		ret->boolean[i] = decided ? !all : all;
		if (!decided && null && (ev->session->ansi || true))
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
/* variant: 0 transform, 1 filter, 2 exists, 3 forall */
BIND(lambda_array)
{
	int which = fn_variant(b);
	TM_TRY(want_array(b, 0, err));
	const struct tm_type *t = fn_type(b, 0);
	TM_TRY(element_lambda(b, 1, t, err));
	if (which == 0)
		return fn_is(b, &tm_k_transform, tm_type_array(b->arena, b->args[1].type, b->args[1].nullable), b->args[0].nullable);
	TM_TRY(bool_body(b, 1, err));
	if (which == 1)
		return fn_is(b, &tm_k_filter_array, t, b->args[0].nullable);
	b->bound = which == 3 ? "" : NULL;
	return fn_is(b, &tm_k_exists, &tm_type_boolean, b->args[0].nullable || b->args[1].nullable);
}

/* aggregate(array, start, merge [, finish]): position by position, all rows at a time */
KERNEL(fold)
{
	struct elements e;
	struct tm_column values[2], pool, acc = args[1], done = {0};
	uint32_t *rows = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *rows),
		 *pick = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *pick),
		 *take = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *take);
	uint32_t longest = 0;
	elements_of(ev, &args[0], &e);
	take_child(ev, &args[0], 0, &e, &pool);
	tm_column_flatten(&acc, ev->arena);
	for (size_t i = 0; i < ev->rows; i++)
		longest = e.spans[i].count > longest ? e.spans[i].count : longest;
	for (uint32_t step = 0; step < longest; step++) {
		size_t n = 0, base[2];
		for (size_t i = 0; i < ev->rows; i++)
			if (e.spans[i].count > step) {
				rows[n] = (uint32_t)i;
				pick[n++] = e.spans[i].from + step;
			}
		tm_column_take(&values[0], ev->arena, &acc, rows, n);
		tm_column_take(&values[1], ev->arena, &pool, pick, n);
		TM_TRY(tm_lambda_eval(ev, call->args[2], values, rows, n, &done));
		struct tm_column both;
		fn_pool(ev, (const struct tm_column *const[]){&acc, &done}, 2, call->args[1]->type, &both, base);
		for (size_t i = 0; i < ev->rows; i++)
			take[i] = (uint32_t)i;
		for (size_t j = 0; j < n; j++)
			take[rows[j]] = (uint32_t)(base[1] + j);
		tm_column_take(&acc, ev->arena, &both, take, ev->rows);
	}
	if (call->arg_count > 3) {
		for (size_t i = 0; i < ev->rows; i++)
			rows[i] = (uint32_t)i;
		values[0] = acc;
		TM_TRY(tm_lambda_eval(ev, call->args[3], values, rows, ev->rows, &acc));
		tm_column_flatten(&acc, ev->arena);
	}
	for (size_t i = 0; i < ev->rows; i++)
		take[i] = tm_is_null(&args[0], i) ? UINT32_MAX : (uint32_t)i;
	tm_column_take(ret, ev->arena, &acc, take, ev->rows);
	ret->type = call->type;
	return TM_OK;
}
BIND(fold)
{
	TM_TRY(want_array(b, 0, err));
	const struct tm_type *list = fn_type(b, 0), *start = b->args[1].type;
	TM_TRY(lambda(b, 2, (const struct tm_type *const[]){start, list->children[0]}, (const bool[]){true, list->nullable[0]}, 2, err));
	if (start->kind == TM_T_NULL && b->args[2].type->kind != TM_T_NULL) {
		b->cast[1] = start = b->args[2].type;
		TM_TRY(lambda(b, 2, (const struct tm_type *const[]){start, list->children[0]}, (const bool[]){true, list->nullable[0]}, 2,
			      err));
	}
	if (!tm_type_same(start, b->args[2].type)) {
		struct tm_str sql = fn_type_sql(b->arena, start);
		return fn_unexpected_type(b, 2, sql.at, err);
	}
	const struct tm_type *result = start;
	if (b->arg_count > 3) {
		TM_TRY(lambda(b, 3, &start, (const bool[]){true}, 1, err));
		result = b->args[3].type;
	}
	return fn_is(b, &tm_k_fold, result, true);
}

KERNEL(zip_with)
{
	struct tm_column values[2], pools[2];
	size_t total = 0;
	struct elements e = {.spans = ret->span};
	fn_begin_some(ev, call, args, 2, ret);
	FN_ROWS(i)
	{
		uint32_t a = AT(0, span, i).count, b = AT(1, span, i).count;
		ret->span[i] = (struct tm_span){(uint32_t)total, a > b ? a : b};
		total += ret->span[i].count;
	}
	e.count = total;
	e.rows = tm_arena_alloc(ev->arena, (total + 1) * sizeof *e.rows);
	for (size_t side = 0; side < 2; side++) {
		uint32_t *pick = tm_arena_alloc(ev->arena, (total + 1) * sizeof *pick);
		FN_ROWS(i)
		{
			struct tm_span s = AT(side, span, i), o = ret->span[i];
			for (uint32_t j = 0; j < o.count; j++) {
				pick[o.from + j] = j < s.count ? s.from + j : UINT32_MAX;
				e.rows[o.from + j] = (uint32_t)i;
			}
		}
		pools[side] = args[side].children[0];
		tm_column_flatten(&pools[side], ev->arena);
		tm_column_take(&values[side], ev->arena, &pools[side], pick, total);
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	return run(ev, call->args[2], values, &e, &ret->children[0]);
}
BIND(zip_with)
{
	TM_TRY(want_array(b, 0, err));
	TM_TRY(want_array(b, 1, err));
	TM_TRY(lambda(b, 2, (const struct tm_type *const[]){fn_type(b, 0)->children[0], fn_type(b, 1)->children[0]},
		      (const bool[]){true, true}, 2, err));
	return fn_is(b, &tm_k_zip_with, tm_type_array(b->arena, b->args[2].type, b->args[2].nullable),
		     b->args[0].nullable || b->args[1].nullable);
}

/* ---- sorting by a comparator ---- pair by pair, as its answers decide the next question */
struct sorter {
	struct tm_eval *ev;
	const struct tm_expr *lambda;
	const struct tm_column *pool;
	uint32_t row;
};
static tm_rc ask(const struct sorter *s, uint32_t a, uint32_t b, int32_t *ret)
{
	struct tm_column values[2], answer;
	tm_column_take(&values[0], s->ev->arena, s->pool, &a, 1);
	tm_column_take(&values[1], s->ev->arena, s->pool, &b, 1);
	TM_TRY(tm_lambda_eval(s->ev, s->lambda, values, &s->row, 1, &answer));
	if (tm_is_null(&answer, 0))
		return tm_fail_class(s->ev->err, TM_DATA, "COMPARATOR_RETURNS_NULL", "22004",
				     "The comparator has returned a NULL for a comparison between elements. It should return a positive "
				     "integer for \"greater than\", 0 for \"equal\" and a negative integer for \"less than\".");
	*ret = answer.i32[tm_row(&answer, 0)];
	return TM_OK;
}
static tm_rc sort_by(const struct sorter *s, uint32_t *v, uint32_t *tmp, size_t n)
{
	if (n < 2)
		return TM_OK;
	size_t mid = n / 2, a = 0, b = mid, o = 0;
	TM_TRY(sort_by(s, v, tmp, mid));
	TM_TRY(sort_by(s, v + mid, tmp, n - mid));
	while (a < mid && b < n) {
		int32_t c = 0;
		TM_TRY(ask(s, v[a], v[b], &c));
		tmp[o++] = c <= 0 ? v[a++] : v[b++];
	}
	while (a < mid)
		tmp[o++] = v[a++];
	memcpy(v, tmp, o * sizeof *v);
	return TM_OK;
}
KERNEL(array_sort_by)
{
	struct elements e;
	struct tm_column pool;
	fn_begin_some(ev, call, args, 1, ret);
	elements_of(ev, &args[0], &e);
	take_child(ev, &args[0], 0, &e, &pool);
	uint32_t *order = tm_arena_alloc(ev->arena, (e.count + 1) * 2 * sizeof *order);
	for (size_t j = 0; j < e.count; j++)
		order[j] = (uint32_t)j;
	for (size_t i = 0; i < ev->rows; i++) {
		struct sorter s = {ev, call->args[1], &pool, (uint32_t)i};
		ret->span[i] = e.spans[i];
		TM_TRY(sort_by(&s, order + e.spans[i].from, order + e.count, e.spans[i].count));
	}
	struct fn_index index = {order, e.count, e.count};
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
BIND(array_sort)
{
	extern const struct tm_kernel tm_k_array_sort;
	TM_TRY(want_array(b, 0, err));
	const struct tm_type *t = fn_type(b, 0);
	if (b->arg_count == 1) {
		if (t->children[0]->kind != TM_T_NULL && !tm_type_orderable(t->children[0]))
			return fn_unorderable(b, t->children[0], err);
		return fn_is(b, &tm_k_array_sort, t, b->args[0].nullable);
	}
	const struct tm_type *e = t->children[0];
	TM_TRY(lambda(b, 1, (const struct tm_type *const[]){e, e}, (const bool[]){t->nullable[0], t->nullable[0]}, 2, err));
	if (b->args[1].type->kind != TM_T_INT)
		return fn_mismatch(b, err, "UNEXPECTED_RETURN_TYPE",
				   "The `%s` requires return \"INT\" type, but the actual is another type.", b->fn->name);
	return fn_is(b, &tm_k_array_sort_by, t, b->args[0].nullable);
}

/* ---- maps ---- */
static tm_rc run_map(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *map, struct elements *e,
		     struct tm_column *values, struct tm_column *ret)
{
	elements_of(ev, map, e);
	take_child(ev, map, 0, e, &values[0]);
	take_child(ev, map, 1, e, &values[1]);
	return run(ev, call->args[1], values, e, ret);
}
KERNEL(map_filter)
{
	struct elements e;
	struct tm_column values[2], keep;
	struct fn_index index = {0};
	fn_begin_some(ev, call, args, 1, ret);
	TM_TRY(run_map(ev, call, &args[0], &e, values, &keep));
	keep_true(ev, &e, &keep, ret->span, &index);
	return fn_map_set(ev, ret, &values[0], &values[1], &index, &index);
}
KERNEL(map_transform) /* bound: 0 keys, 1 values */
{
	struct elements e;
	struct tm_column values[2], made;
	bool side = call->bound;
	struct fn_index index = {0};
	fn_begin_some(ev, call, args, 1, ret);
	TM_TRY(run_map(ev, call, &args[0], &e, values, &made));
	memcpy(ret->span, e.spans, ev->rows * sizeof *e.spans);
	for (size_t j = 0; j < e.count; j++)
		fn_index_add(ev, &index, (uint32_t)j);
	return fn_map_set(ev, ret, side ? &values[0] : &made, side ? &made : &values[1], &index, &index);
}
/* variant: 0 transform_keys, 1 transform_values, 2 map_filter */
BIND(lambda_map)
{
	TM_TRY(want_map(b, 0, err));
	const struct tm_type *t = b->args[0].type;
	int which = fn_variant(b);
	TM_TRY(lambda(b, 1, t->children, (const bool[]){false, t->nullable[1]}, 2, err));
	if (which == 2) {
		TM_TRY(bool_body(b, 1, err));
		return fn_is(b, &tm_k_map_filter, t, b->args[0].nullable);
	}
	b->bound = which ? "" : NULL;
	const struct tm_type *r = which ? tm_type_map(b->arena, t->children[0], b->args[1].type, b->args[1].nullable)
					: tm_type_map(b->arena, b->args[1].type, t->children[1], t->nullable[1]);
	return fn_is(b, &tm_k_map_transform, r, b->args[0].nullable);
}
/* Keys of the first map in order, then the second's own; a missing value is null. */
KERNEL(map_zip_with)
{
	struct tm_column keys, values[3], pools[2], made;
	struct fn_index ki = {0}, vi[2] = {{0}, {0}}, rows = {0}, all = {0};
	size_t base[2];
	fn_begin_some(ev, call, args, 2, ret);
	fn_pool(ev, (const struct tm_column *const[]){&args[0].children[0], &args[1].children[0]}, 2, call->type->children[0], &keys, base);
	FN_ROWS(i)
	{
		struct tm_span s[2] = {AT(0, span, i), AT(1, span, i)};
		ret->span[i].from = (uint32_t)ki.count;
		for (int side = 0; side < 2; side++)
			for (uint32_t j = 0; j < s[side].count; j++) {
				size_t mine = base[side] + s[side].from + j;
				uint32_t other = UINT32_MAX;
				for (uint32_t k = 0; k < s[1 - side].count && other == UINT32_MAX; k++)
					if (tm_value_cmp(&keys, mine, &keys, base[1 - side] + s[1 - side].from + k) == 0)
						other = s[1 - side].from + k;
				if (side == 1 && other != UINT32_MAX)
					continue;
				fn_index_add(ev, &ki, (uint32_t)mine);
				fn_index_add(ev, &vi[side], s[side].from + j);
				fn_index_add(ev, &vi[1 - side], other);
				fn_index_add(ev, &rows, (uint32_t)i);
				fn_index_add(ev, &all, (uint32_t)all.count);
			}
		ret->span[i].count = (uint32_t)ki.count - ret->span[i].from;
	}
	tm_column_take(&values[0], ev->arena, &keys, ki.items, ki.count);
	for (size_t side = 0; side < 2; side++) {
		pools[side] = args[side].children[1];
		tm_column_flatten(&pools[side], ev->arena);
		tm_column_take(&values[1 + side], ev->arena, &pools[side], vi[side].items, vi[side].count);
	}
	struct elements e = {.rows = rows.items, .count = ki.count};
	TM_TRY(run(ev, call->args[2], values, &e, &made));
	return fn_map_set(ev, ret, &values[0], &made, &all, &all);
}
BIND(map_zip_with)
{
	TM_TRY(want_map(b, 0, err));
	TM_TRY(want_map(b, 1, err));
	const struct tm_type *l = b->args[0].type, *r = b->args[1].type,
			     *k = fn_common_element(b->arena, l->children[0], r->children[0], b->session->ansi);
	if (!k)
		return fn_mismatch(b, err, "MAP_ZIP_WITH_DIFF_TYPES",
				   "Input to the `map_zip_with` should have been two \"MAP\"s with compatible key types.");
	if (!tm_type_same(k, l->children[0]))
		b->cast[0] = tm_type_map(b->arena, k, l->children[1], l->nullable[1]);
	if (!tm_type_same(k, r->children[0]))
		b->cast[1] = tm_type_map(b->arena, k, r->children[1], r->nullable[1]);
	TM_TRY(lambda(b, 2, (const struct tm_type *const[]){k, l->children[1], r->children[1]}, (const bool[]){false, true, true}, 3, err));
	return fn_is(b, &tm_k_map_zip_with, tm_type_map(b->arena, k, b->args[2].type, b->args[2].nullable),
		     b->args[0].nullable || b->args[1].nullable);
}
