/* Arrays. Results are made of row numbers of the elements' columns, so that elements of every type go the same way. */
#include "sql/fn_list.h"
#include <stdlib.h>

/* ---- shared with fn_map.c and fn_lambda.c ---- */
void fn_begin_some(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t n, struct tm_column *ret)
{
	struct tm_expr fewer = *call;
	fewer.arg_count = n;
	fn_begin(ev, &fewer, args, ret);
}

void fn_pool(struct tm_eval *ev, const struct tm_column *const *parts, size_t n, const struct tm_type *type, struct tm_column *ret,
	     size_t *ret_base)
{
	struct tm_column *flat = TM_NEW_N(ev->arena, struct tm_column, n);
	const struct tm_column **list = TM_NEW_N(ev->arena, const struct tm_column *, n);
	size_t base = 0;
	for (size_t i = 0; i < n; i++) {
		flat[i] = *parts[i];
		if (flat[i].type->kind == TM_T_NULL && type->kind != TM_T_NULL)
			tm_column_init_null(&flat[i], ev->arena, type, parts[i]->rows);
		tm_column_flatten(&flat[i], ev->arena);
		flat[i].type = type;
		list[i] = &flat[i];
		ret_base[i] = base;
		base += flat[i].rows;
	}
	tm_column_concat(ret, ev->arena, list, n);
}

void fn_list_set(struct tm_eval *ev, struct tm_column *ret, const struct tm_column *pool, const struct fn_index *index)
{
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_column_take(&ret->children[0], ev->arena, pool, index->items, index->count);
}

/* ---- making ---- */
KERNEL(array)
{
	size_t n = call->arg_count, *base = tm_arena_alloc(ev->arena, (n + 1) * sizeof *base);
	struct tm_column pool;
	struct fn_index index = {0};
	fn_begin_raw(ev, call, ret);
	if (n == 0) {
		ret->children = TM_NEW(ev->arena, struct tm_column);
		tm_column_init(&ret->children[0], ev->arena, call->type->children[0], 0);
		return TM_OK;
	}
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, n);
	for (size_t a = 0; a < n; a++)
		parts[a] = &args[a];
	fn_pool(ev, parts, n, call->type->children[0], &pool, base);
	for (size_t i = 0; i < ev->rows; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)index.count, (uint32_t)n};
		for (size_t a = 0; a < n; a++)
			fn_index_add(ev, &index, (uint32_t)(base[a] + i));
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
BIND(array)
{
	const struct tm_type *t = &tm_type_null;
	if (b->arg_count)
		TM_TRY(fn_want_common(b, 0, b->arg_count, &t, err));
	return fn_is(b, &tm_k_array, tm_type_array(b->arena, t, fn_any_nullable(b)), false);
}
KERNEL(array_repeat)
{
	struct tm_column pool;
	struct fn_index index = {0};
	size_t base;
	fn_begin_some(ev, call, args + 1, 1, ret);
	fn_pool(ev, (const struct tm_column *const[]){&args[0]}, 1, call->type->children[0], &pool, &base);
	for (size_t i = 0; i < ev->rows; i++) {
		int32_t n = ret->valid && !ret->valid[i] ? 0 : AT(1, i32, i);
		ret->span[i] = (struct tm_span){(uint32_t)index.count, n > 0 ? (uint32_t)n : 0};
		if (n > 0 && index.count + (size_t)n > FN_LIST_LIMIT)
			return fn_list_too_long(ev, "array_repeat");
		for (int32_t j = 0; j < n; j++)
			fn_index_add(ev, &index, (uint32_t)i);
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
BIND(array_repeat)
{
	TM_TRY(fn_want(b, 1, &tm_type_int, err));
	return fn_is(b, &tm_k_array_repeat, tm_type_array(b->arena, b->args[0].type, b->args[0].nullable), b->args[1].nullable);
}
tm_rc fn_list_too_long(struct tm_eval *ev, const char *function)
{
	return tm_fail_class(ev->err, TM_LIMIT, "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION", "54000",
			     "Can't create array with more than %d elements which exceeding the array size limit, caused by `%s`.",
			     FN_LIST_LIMIT, function);
}

/* ---- joining lists ---- */
KERNEL(array_concat)
{
	size_t n = call->arg_count, *base = tm_arena_alloc(ev->arena, (n + 1) * sizeof *base);
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, n);
	struct tm_column pool;
	struct fn_index index = {0};
	fn_begin(ev, call, args, ret);
	for (size_t a = 0; a < n; a++)
		parts[a] = &args[a].children[0];
	fn_pool(ev, parts, n, call->type->children[0], &pool, base);
	for (size_t i = 0; i < ev->rows; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)index.count, 0};
		if (ret->valid && !ret->valid[i])
			continue;
		for (size_t a = 0; a < n; a++) {
			struct tm_span s = AT(a, span, i);
			if (!fn_list_fits(&index, ret->span[i].from, s.count))
				return fn_list_too_long(ev, "concat");
			for (uint32_t j = 0; j < s.count; j++)
				fn_index_add(ev, &index, (uint32_t)base[a] + s.from + j);
		}
		ret->span[i].count = (uint32_t)index.count - ret->span[i].from;
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
KERNEL(flatten)
{
	const struct tm_column *inner = &args[0].children[0];
	struct fn_index index = {0};
	struct tm_column pool = inner->children[0];
	tm_column_flatten(&pool, ev->arena);
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		struct tm_span s = ret->valid && !ret->valid[i] ? (struct tm_span){0} : AT(0, span, i);
		ret->span[i] = (struct tm_span){(uint32_t)index.count, 0};
		bool null = false;
		for (uint32_t j = 0; j < s.count; j++)
			null |= tm_is_null(inner, s.from + j);
		if (null) {
			fn_null(ev, ret, i);
			continue;
		}
		for (uint32_t j = 0; j < s.count; j++) {
			struct tm_span t = inner->span[tm_row(inner, s.from + j)];
			if (!fn_list_fits(&index, ret->span[i].from, t.count))
				return fn_list_too_long(ev, "flatten");
			for (uint32_t k = 0; k < t.count; k++)
				fn_index_add(ev, &index, t.from + k);
		}
		ret->span[i].count = (uint32_t)index.count - ret->span[i].from;
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
BIND(flatten)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind != TM_T_ARRAY || t->children[0]->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, 0, "ARRAY of ARRAY", err);
	return fn_is(b, &tm_k_flatten, t->children[0], fn_any_nullable(b) || t->nullable[0]);
}

/* ---- reordering and picking: each row's elements by a function ---- */
/* Keeps, drops or reorders the elements of args[0]: pick writes numbers within the span, at most span.count (or limit). */
typedef size_t pick_fn(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t row, struct tm_span s,
		       uint32_t *out);
static tm_rc pick_elements(struct tm_eval *ev, const struct tm_expr *call, const struct tm_column *args, size_t null_args,
			   struct tm_column *ret, pick_fn *pick)
{
	struct tm_column pool = args[0].children[0];
	struct fn_index index = {0};
	uint32_t *out = NULL;
	size_t cap = 0;
	tm_column_flatten(&pool, ev->arena);
	fn_begin_some(ev, call, args, null_args, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		struct tm_span s = ret->valid && !ret->valid[i] ? (struct tm_span){0} : AT(0, span, i);
		ret->span[i] = (struct tm_span){(uint32_t)index.count, 0};
		if (s.count > cap) {
			cap = s.count;
			out = tm_arena_alloc(ev->arena, cap * sizeof *out);
		}
		size_t n = s.count ? pick(ev, call, args, i, s, out) : 0;
		for (size_t j = 0; j < n; j++)
			fn_index_add(ev, &index, s.from + out[j]);
		ret->span[i].count = (uint32_t)n;
	}
	pool.type = call->type->children[0];
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
#define PICK(name)                                                                                                                         \
	static size_t pick_##name(UNUSED struct tm_eval *ev, UNUSED const struct tm_expr *call, const struct tm_column *args,              \
				  UNUSED size_t row, struct tm_span s, uint32_t *out)
#define PICK_KERNEL(name, null_args)                                                                                                       \
	KERNEL(name) { return pick_elements(ev, call, args, null_args, ret, pick_##name); }

PICK(array_reverse)
{
	(void)args;
	for (uint32_t j = 0; j < s.count; j++)
		out[j] = s.count - 1 - j;
	return s.count;
}
PICK_KERNEL(array_reverse, 1)
BIND(reverse)
{
	extern const struct tm_kernel tm_k_reverse;
	if (b->args[0].type->kind == TM_T_ARRAY)
		return fn_is(b, &tm_k_array_reverse, b->args[0].type, fn_any_nullable(b));
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	return fn_is(b, &tm_k_reverse, &tm_type_string, fn_any_nullable(b));
}

/* A set of elements seen so far; equality as in grouping. Positions are rows of one column. */
struct seen {
	uint32_t *slots; /* row + 1; 0 = free */
	size_t mask, count;
};
static void seen_init(struct tm_eval *ev, struct seen *x, size_t n)
{
	size_t cap = 8;
	while (cap < n * 2)
		cap *= 2;
	x->slots = tm_arena_zalloc(ev->arena, cap * sizeof *x->slots);
	x->mask = cap - 1;
	x->count = 0;
}
static bool same(const struct tm_column *a, size_t i, const struct tm_column *b, size_t j)
{
	bool an = tm_is_null(a, i), bn = tm_is_null(b, j);
	return an || bn ? an == bn : tm_value_eq(a, i, b, j);
}
static bool seen_find(const struct seen *x, const struct tm_column *base, const struct tm_column *c, size_t row)
{
	for (size_t at = tm_value_hash(c, row, 0) & x->mask; x->slots[at]; at = (at + 1) & x->mask)
		if (same(base, x->slots[at] - 1, c, row))
			return true;
	return false;
}
/* False when it was there already. */
static bool seen_add(struct seen *x, const struct tm_column *base, size_t row)
{
	size_t at = tm_value_hash(base, row, 0) & x->mask;
	for (; x->slots[at]; at = (at + 1) & x->mask)
		if (same(base, x->slots[at] - 1, base, row))
			return false;
	x->slots[at] = (uint32_t)row + 1;
	x->count++;
	return true;
}
PICK(array_distinct)
{
	struct seen x;
	size_t n = 0;
	seen_init(ev, &x, s.count);
	for (uint32_t j = 0; j < s.count; j++)
		if (seen_add(&x, &args[0].children[0], s.from + j))
			out[n++] = j;
	return n;
}
PICK_KERNEL(array_distinct, 1)
PICK(array_compact)
{
	size_t n = 0;
	for (uint32_t j = 0; j < s.count; j++)
		if (!tm_is_null(&args[0].children[0], s.from + j))
			out[n++] = j;
	return n;
}
PICK_KERNEL(array_compact, 1)
PICK(array_remove)
{
	size_t n = 0;
	for (uint32_t j = 0; j < s.count; j++)
		if (tm_is_null(&args[0].children[0], s.from + j) || tm_value_cmp(&args[0].children[0], s.from + j, &args[1], row) != 0)
			out[n++] = j;
	return n;
}
PICK_KERNEL(array_remove, 2)
static size_t pick_set(struct tm_eval *ev, const struct tm_column *args, size_t row, struct tm_span s, uint32_t *out, bool want)
{
	struct seen other, mine;
	const struct tm_column *a = &args[0].children[0], *b = &args[1].children[0];
	struct tm_span t = AT(1, span, row);
	size_t n = 0;
	seen_init(ev, &other, t.count);
	seen_init(ev, &mine, s.count);
	for (uint32_t j = 0; j < t.count; j++)
		seen_add(&other, b, t.from + j);
	for (uint32_t j = 0; j < s.count; j++)
		if (seen_find(&other, b, a, s.from + j) == want && seen_add(&mine, a, s.from + j))
			out[n++] = j;
	return n;
}
PICK(array_intersect) { return pick_set(ev, args, row, s, out, true); }
PICK(array_except) { return pick_set(ev, args, row, s, out, false); }
PICK_KERNEL(array_intersect, 2)
PICK_KERNEL(array_except, 2)
KERNEL(array_union)
{
	struct tm_column both;
	TM_TRY(eval_array_concat(ev, call, args, &both));
	struct tm_expr one = *call;
	one.arg_count = 1;
	return eval_array_distinct(ev, &one, &both, ret);
}
PICK(shuffle)
{
	(void)args;
	for (uint32_t j = 0; j < s.count; j++)
		out[j] = j;
	for (uint32_t j = s.count; j > 1; j--) {
		uint32_t r;
		tm_random(ev->session->env ? ev->session->env : tm_env_real(), &r, sizeof r);
		uint32_t k = r % j, t = out[j - 1];
		out[j - 1] = out[k];
		out[k] = t;
	}
	return s.count;
}
KERNEL_VOLATILE(shuffle) { return pick_elements(ev, call, args, 1, ret, pick_shuffle); }

static void merge_sort(struct tm_eval *ev, const struct tm_column *c, uint32_t from, uint32_t *v, size_t n, bool down)
{
	uint32_t *tmp = tm_arena_alloc(ev->arena, (n + 1) * sizeof *tmp);
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t lo = 0; lo < n; lo += 2 * width) {
			size_t mid = lo + width < n ? lo + width : n, hi = lo + 2 * width < n ? lo + 2 * width : n, a = lo, b = mid, o = lo;
			while (a < mid || b < hi) {
				bool left = b >= hi;
				if (a < mid && b < hi) {
					int cmp = tm_value_cmp(c, from + v[a], c, from + v[b]);
					left = down ? cmp >= 0 : cmp <= 0;
				}
				tmp[o++] = left ? v[a++] : v[b++];
			}
		}
		memcpy(v, tmp, n * sizeof *v);
	}
}
static size_t pick_sorted(struct tm_eval *ev, const struct tm_column *list, struct tm_span s, uint32_t *out, bool down, bool nulls_first)
{
	const struct tm_column *c = &list->children[0];
	size_t nulls = 0, n = 0;
	for (uint32_t j = 0; j < s.count; j++)
		nulls += tm_is_null(c, s.from + j);
	size_t null_at = nulls_first ? 0 : s.count - nulls, value_at = nulls_first ? nulls : 0;
	for (uint32_t j = 0; j < s.count; j++) {
		if (tm_is_null(c, s.from + j))
			out[null_at++] = j;
		else
			out[value_at + n++] = j;
	}
	merge_sort(ev, c, s.from, out + value_at, n, down);
	return s.count;
}
PICK(sort_array)
{
	bool down = call->arg_count > 1 && !AT(1, boolean, row);
	return pick_sorted(ev, &args[0], s, out, down, !down);
}
PICK_KERNEL(sort_array, call->arg_count)
PICK(array_sort) { return pick_sorted(ev, &args[0], s, out, false, false); }
PICK_KERNEL(array_sort, 1)
BIND(array_pick) /* variant: which; the result has the type of the first argument */
{
	static const struct tm_kernel *const kernels[] = {&tm_k_array_distinct, &tm_k_array_compact, &tm_k_sort_array, &tm_k_shuffle};
	const struct tm_type *t = b->args[0].type;
	int which = fn_variant(b);
	if (t->kind == TM_T_NULL)
		b->cast[0] = t = tm_type_array(b->arena, &tm_type_null, true);
	if (t->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, 0, "ARRAY", err);
	if (which == 2 && t->children[0]->kind != TM_T_NULL && !tm_type_orderable(t->children[0]))
		return fn_unorderable(b, t, err);
	if (b->arg_count > 1)
		TM_TRY(fn_want(b, 1, &tm_type_boolean, err));
	return fn_is(b, kernels[which], which == 1 ? tm_type_array(b->arena, t->children[0], false) : t, fn_any_nullable(b));
}
KERNEL(arrays_overlap)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i), t = AT(1, span, i);
		bool hit = false, null = false;
		for (uint32_t j = 0; j < s.count && !hit; j++) {
			null |= tm_is_null(&args[0].children[0], s.from + j);
			for (uint32_t k = 0; k < t.count && !hit; k++) {
				bool n = tm_is_null(&args[1].children[0], t.from + k);
				null |= n;
				hit = !n && !tm_is_null(&args[0].children[0], s.from + j) &&
				      tm_value_cmp(&args[0].children[0], s.from + j, &args[1].children[0], t.from + k) == 0;
			}
		}
		ret->boolean[i] = hit;
		if (!hit && null && s.count && t.count)
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
/* variant: 0 union, 1 intersect, 2 except, 3 overlap */
BIND(array_set)
{
	static const struct tm_kernel *const kernels[] = {&tm_k_array_union, &tm_k_array_intersect, &tm_k_array_except,
							  &tm_k_arrays_overlap};
	const struct tm_type *t;
	TM_TRY(fn_want_common(b, 0, 2, &t, err));
	if (t->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, 0, "ARRAY", err);
	return fn_is(b, kernels[fn_variant(b)], fn_variant(b) == 3 ? &tm_type_boolean : t, fn_any_nullable(b) || fn_variant(b) == 3);
}

/* ---- an element beside an array ---- */
static tm_rc want_element(struct tm_fn_bind *b, size_t array, size_t element, struct tm_err *err)
{
	const struct tm_type *t = b->args[array].type, *e = b->args[element].type;
	if (t->kind == TM_T_NULL) {
		b->cast[array] = tm_type_array(b->arena, e, true);
		return TM_OK;
	}
	if (t->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, array, "ARRAY", err);
	const struct tm_type *common = fn_common_element(b->arena, t->children[0], e, b->session->ansi);
	if (!common) {
		struct tm_str ts = fn_type_sql(b->arena, t), es = fn_type_sql(b->arena, e);
		return fn_mismatch(
		    b, err, "ARRAY_FUNCTION_DIFF_TYPES",
		    "Input to `%s` should have been \"ARRAY\" followed by a value with same element type, but it's [\"%.*s\", \"%.*s\"].",
		    b->fn->name, TM_STR_ARG(ts), TM_STR_ARG(es));
	}
	if (!tm_type_same(common, e))
		b->cast[element] = common;
	if (!tm_type_same(common, t->children[0]))
		b->cast[array] = tm_type_array(b->arena, common, t->nullable[0]);
	return TM_OK;
}
KERNEL(array_contains)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		bool hit = false, null = false;
		for (uint32_t j = 0; j < s.count && !hit; j++) {
			bool n = tm_is_null(&args[0].children[0], s.from + j);
			null |= n;
			hit = !n && tm_value_cmp(&args[0].children[0], s.from + j, &args[1], i) == 0;
		}
		ret->boolean[i] = hit;
		if (!hit && null)
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
KERNEL(array_position)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		ret->i64[i] = 0;
		for (uint32_t j = 0; j < s.count && !ret->i64[i]; j++)
			if (!tm_is_null(&args[0].children[0], s.from + j) &&
			    tm_value_cmp(&args[0].children[0], s.from + j, &args[1], i) == 0)
				ret->i64[i] = j + 1;
	}
	return TM_OK;
}
/* variant: 0 contains, 1 position, 2 remove */
BIND(array_element_test)
{
	static const struct tm_kernel *const kernels[] = {&tm_k_array_contains, &tm_k_array_position, &tm_k_array_remove};
	int which = fn_variant(b);
	if (which == 0 && b->args[1].type->kind == TM_T_NULL)
		return fn_mismatch(b, err, "NULL_TYPE", "Null typed values cannot be used as arguments of `%s`.", b->fn->name);
	TM_TRY(want_element(b, 0, 1, err));
	return fn_is(b, kernels[which], which == 0 ? &tm_type_boolean : which == 1 ? &tm_type_bigint : fn_type(b, 0), true);
}

/* array_append, array_prepend, array_insert(array, position, element [, legacy]) */
KERNEL(array_insert)
{
	int kind = (int)(intptr_t)call->bound; /* 0 append, 1 prepend, 2 insert */
	size_t element = kind == 2 ? 2 : 1, base[2];
	struct tm_column pool;
	struct fn_index index = {0};
	fn_begin_some(ev, call, args, kind == 2 ? 2 : 1, ret);
	fn_pool(ev, (const struct tm_column *const[]){&args[0].children[0], &args[element]}, 2, call->type->children[0], &pool, base);
	for (size_t i = 0; i < ev->rows; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)index.count, 0};
		if (ret->valid && !ret->valid[i])
			continue;
		struct tm_span s = AT(0, span, i);
		int64_t at = kind == 0 ? s.count : 0, n = s.count + 1;
		if (kind == 2) {
			int64_t pos = AT(1, i32, i);
			if (pos == 0)
				return fn_index_zero(ev);
			if (pos > 0) {
				at = pos - 1;
			} else if (pos >= -(int64_t)s.count - 1) {
				at = (int64_t)s.count + pos + 1;
			} else { /* before the start: nulls fill the gap */
				at = 0;
				n = -pos;
			}
			if (pos > (int64_t)s.count + 1)
				n = pos;
			if (index.count + (size_t)n > FN_LIST_LIMIT)
				return fn_list_too_long(ev, "array_insert");
		}
		int64_t shift = n - s.count - 1; /* nulls between */
		bool before = kind == 2 && AT(1, i32, i) < 0;
		for (int64_t j = 0; j < n; j++) {
			int64_t source = j < at ? j : before ? j - 1 - shift : j - 1;
			if (j == at)
				fn_index_add(ev, &index, (uint32_t)(base[1] + i));
			else if (source < 0 || source >= s.count)
				fn_index_add(ev, &index, UINT32_MAX);
			else
				fn_index_add(ev, &index, s.from + (uint32_t)source);
		}
		ret->span[i].count = (uint32_t)n;
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}
BIND(array_insert)
{
	int kind = fn_variant(b);
	size_t element = kind == 2 ? 2 : 1;
	TM_TRY(want_element(b, 0, element, err));
	if (kind == 2)
		TM_TRY(fn_want(b, 1, &tm_type_int, err));
	b->bound = (const void *)(intptr_t)kind;
	const struct tm_type *t = fn_type(b, 0);
	return fn_is(b, &tm_k_array_insert,
		     tm_type_array(b->arena, t->children[0], t->nullable[0] || b->args[element].nullable || kind == 2), fn_any_nullable(b));
}

/* ---- single elements ---- */
KERNEL(size)
{
	bool legacy_null = call->bound != NULL;
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		if (!tm_is_null(&args[0], i))
			ret->i32[i] = (int32_t)AT(0, span, i).count;
		else if (legacy_null)
			ret->i32[i] = -1;
		else
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
/* variant: 1 array_size (null for null always) */
BIND(size)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind == TM_T_NULL)
		b->cast[0] = tm_type_array(b->arena, &tm_type_null, true);
	else if (t->kind != TM_T_ARRAY && t->kind != TM_T_MAP)
		return fn_unexpected_type(b, 0, "(\"ARRAY\" or \"MAP\")", err);
	bool legacy = !b->session->ansi && !fn_variant(b);
	b->bound = legacy ? "" : NULL;
	return fn_is(b, &tm_k_size, &tm_type_int, !legacy && fn_any_nullable(b));
}
static size_t map_find(const struct tm_column *map, size_t row, const struct tm_column *key, size_t key_row)
{
	struct tm_span s = map->span[tm_row(map, row)];
	for (uint32_t j = s.count; j-- > 0;)
		if (tm_value_cmp(&map->children[0], s.from + j, key, key_row) == 0)
			return s.from + j;
	return SIZE_MAX;
}
/* bound: struct { 0 element_at, 1 try_element_at, 2 get } */
KERNEL(element_at)
{
	int kind = (int)(intptr_t)call->bound;
	bool map = args[0].type->kind == TM_T_MAP;
	const struct tm_column *source = &args[0].children[map ? 1 : 0];
	uint32_t *pick = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *pick);
	struct tm_column nulls;
	struct tm_expr plain = *call;
	plain.type = &tm_type_boolean;
	fn_begin(ev, &plain, args, &nulls);
	for (size_t i = 0; i < ev->rows; i++) {
		pick[i] = UINT32_MAX;
		if (nulls.valid && !nulls.valid[i])
			continue;
		if (map) {
			size_t at = map_find(&args[0], i, &args[1], i);
			pick[i] = at == SIZE_MAX ? UINT32_MAX : (uint32_t)at;
			continue;
		}
		struct tm_span s = AT(0, span, i);
		int64_t index = AT(1, i32, i), at = kind == 2 ? index : index > 0 ? index - 1 : (int64_t)s.count + index;
		if (index == 0 && kind != 2)
			return fn_index_zero(ev);
		if (at >= 0 && at < s.count)
			pick[i] = s.from + (uint32_t)at;
		else if (kind == 0 && ev->session->ansi)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_ARRAY_INDEX_IN_ELEMENT_AT", "22003",
					     "The index %lld is out of bounds. The array has %u elements. Use `try_element_at` to tolerate "
					     "accessing element at invalid index and return NULL instead.",
					     (long long)index, s.count);
	}
	struct tm_column flat = *source;
	tm_column_flatten(&flat, ev->arena);
	tm_column_take(ret, ev->arena, &flat, pick, ev->rows);
	ret->type = call->type;
	return TM_OK;
}
BIND(element_at)
{
	int kind = fn_variant(b);
	const struct tm_type *t = b->args[0].type;
	b->bound = (const void *)(intptr_t)kind;
	if (t->kind == TM_T_MAP && kind != 2) {
		const struct tm_type *k = tm_type_common(b->arena, t->children[0], b->args[1].type, b->session->ansi);
		TM_TRY(fn_want_key(b, k, err));
		return fn_is(b, &tm_k_element_at, t->children[1], true);
	}
	if (t->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, 0, kind == 2 ? "ARRAY" : "(\"ARRAY\" or \"MAP\")", err);
	if (b->args[1].type->kind == TM_T_BIGINT || b->args[1].type->kind == TM_T_NULL)
		return fn_unexpected_type(b, 1, "INT", err);
	TM_TRY(fn_want(b, 1, &tm_type_int, err));
	return fn_is(b, &tm_k_element_at, t->children[0], true);
}
KERNEL(array_extreme) /* bound: not NULL for max */
{
	const struct tm_column *source = &args[0].children[0];
	uint32_t *pick = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *pick);
	for (size_t i = 0; i < ev->rows; i++) {
		pick[i] = UINT32_MAX;
		if (tm_is_null(&args[0], i))
			continue;
		struct tm_span s = AT(0, span, i);
		for (uint32_t j = s.from; j < s.from + s.count; j++) {
			if (tm_is_null(source, j))
				continue;
			int c = pick[i] == UINT32_MAX ? 0 : tm_value_cmp(source, j, source, pick[i]);
			if (pick[i] == UINT32_MAX || (call->bound ? c > 0 : c < 0))
				pick[i] = j;
		}
	}
	struct tm_column flat = *source;
	tm_column_flatten(&flat, ev->arena);
	tm_column_take(ret, ev->arena, &flat, pick, ev->rows);
	ret->type = call->type;
	return TM_OK;
}
BIND(array_extreme)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind != TM_T_ARRAY)
		return fn_unexpected_type(b, 0, "ARRAY", err);
	if (t->children[0]->kind != TM_T_NULL && !tm_type_orderable(t->children[0]))
		return fn_unorderable(b, t, err);
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_array_extreme, t->children[0], true);
}
