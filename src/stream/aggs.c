/* Aggregate states; see aggs.h. */
#include "stream/aggs.h"
#include "stream/state.h"
#include <stdlib.h>

void tm_aggs_groups_init(struct tm_groups *g, struct tm_expr *const *keys, size_t key_count, size_t payload_bytes, size_t payload_align)
{
	const struct tm_type **types = tm_alloc(tm_mul_size(key_count + 1, sizeof *types));
	bool *nullable = tm_alloc(key_count + 1);
	for (size_t i = 0; i < key_count; i++) {
		types[i] = keys[i]->type;
		nullable[i] = keys[i]->nullable;
	}
	tm_groups_init(g, types, nullable, key_count, payload_bytes, payload_align);
	free(types);
	free(nullable);
}

void tm_aggs_init(struct tm_aggs *a, struct tm_agg *const *aggs, size_t count)
{
	*a = (struct tm_aggs){.aggs = aggs, .count = count, .align = 8};
	a->at = tm_zalloc(tm_mul_size(count + 1, sizeof *a->at));
	a->distinct = tm_zalloc(tm_mul_size(count + 1, sizeof *a->distinct));
	a->is_distinct = tm_zalloc(count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t bytes = aggs[i]->kernel->state_bytes, align = bytes && bytes % 16 == 0 ? 16 : 8;
		if (align > a->align)
			a->align = align;
		a->bytes = (a->bytes + align - 1) & ~(align - 1);
		a->at[i] = a->bytes;
		a->bytes += (bytes + 7) & ~(size_t)7;
		a->is_distinct[i] = aggs[i]->distinct && aggs[i]->arg_count;
		if (!a->is_distinct[i])
			continue;
		const struct tm_type **types = tm_alloc(tm_mul_size(aggs[i]->arg_count + 1, sizeof *types));
		types[0] = &tm_type_bigint;
		for (size_t k = 0; k < aggs[i]->arg_count; k++)
			types[k + 1] = aggs[i]->args[k]->type;
		tm_groups_init(&a->distinct[i], types, NULL, aggs[i]->arg_count + 1, 0, 8);
		free(types);
	}
}

void tm_aggs_done(struct tm_aggs *a)
{
	for (size_t i = 0; a->distinct && i < a->count; i++)
		tm_groups_done(&a->distinct[i]);
	free(a->at);
	free(a->distinct);
	free(a->is_distinct);
	*a = (struct tm_aggs){0};
}

void tm_aggs_clear(struct tm_aggs *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->is_distinct[i])
			tm_groups_clear(&a->distinct[i]);
}

void tm_aggs_start(const struct tm_aggs *a, void *states)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->aggs[i]->kernel->init)
			a->aggs[i]->kernel->init(a->aggs[i], (char *)states + a->at[i]);
}

void tm_aggs_end(const struct tm_aggs *a, void *states)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->aggs[i]->kernel->done)
			a->aggs[i]->kernel->done(a->aggs[i], (char *)states + a->at[i]);
}

/* Rows of list (n) whose (group, arguments) was not seen before; list is overwritten. args are over all rows of the batch. */
static size_t keep_new(struct tm_aggs *a, size_t i, struct tm_arena *arena, const struct tm_column *args, const uint32_t *groups,
		       const uint32_t *rows, uint32_t *list, size_t n)
{
	size_t arg_count = a->aggs[i]->arg_count;
	struct tm_column *keys = TM_NEW_N(arena, struct tm_column, arg_count + 1);
	tm_column_init(&keys[0], arena, &tm_type_bigint, n);
	uint32_t *in_rows = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *in_rows));
	for (size_t k = 0; k < n; k++) {
		keys[0].i64[k] = groups[list[k]];
		in_rows[k] = rows ? rows[list[k]] : list[k];
	}
	for (size_t k = 0; k < arg_count; k++)
		tm_column_take(&keys[k + 1], arena, &args[k], in_rows, n);
	uint32_t *numbers = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *numbers));
	uint8_t *fresh = tm_arena_alloc(arena, n + 1);
	tm_groups_upsert(&a->distinct[i], arena, keys, n, numbers, fresh);
	size_t kept = 0;
	for (size_t k = 0; k < n; k++)
		if (fresh[k])
			list[kept++] = list[k];
	return kept;
}

/* Indexes into states of the rows that function i takes; NULL = all. */
static tm_rc chosen(struct tm_aggs *a, size_t i, struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in,
		    const uint32_t *rows, size_t n, const struct tm_column *args, const uint32_t *groups, uint32_t **ret, size_t *ret_n,
		    struct tm_err *err)
{
	const struct tm_agg *agg = a->aggs[i];
	*ret = NULL;
	*ret_n = n;
	if (!agg->filter && !a->is_distinct[i])
		return TM_OK;
	uint32_t *list = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *list));
	size_t count = 0;
	if (agg->filter) {
		struct tm_eval ev = tm_node_eval(node, arena, in, err);
		struct tm_column keep;
		TM_TRY(tm_expr_eval(&ev, agg->filter, &keep));
		for (uint32_t k = 0; k < n; k++) {
			size_t row = rows ? rows[k] : k;
			if (!tm_is_null(&keep, row) && keep.boolean[tm_row(&keep, row)])
				list[count++] = k;
		}
	} else {
		for (uint32_t k = 0; k < n; k++)
			list[count++] = k;
	}
	if (a->is_distinct[i])
		count = keep_new(a, i, arena, args, groups, rows, list, count);
	*ret = list;
	*ret_n = count;
	return TM_OK;
}

tm_rc tm_aggs_update(struct tm_aggs *a, struct tm_node *node, struct tm_arena *arena, const struct tm_batch *in, const uint32_t *rows,
		     size_t n, void *const *states, const uint32_t *groups, struct tm_err *err)
{
	void **here = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *here));
	for (size_t i = 0; i < a->count; i++) {
		const struct tm_agg *agg = a->aggs[i];
		struct tm_column *args;
		TM_TRY(tm_node_columns(node, arena, in, agg->args, agg->arg_count, &args, err));
		uint32_t *list;
		size_t count;
		TM_TRY(chosen(a, i, node, arena, in, rows, n, args, groups, &list, &count, err));
		if (list || rows) {
			uint32_t *index = tm_arena_alloc(arena, tm_mul_size(count + 1, sizeof *index));
			for (size_t k = 0; k < count; k++) {
				uint32_t at = list ? list[k] : (uint32_t)k;
				index[k] = rows ? rows[at] : at;
				here[k] = (char *)states[at] + a->at[i];
			}
			struct tm_column *taken = TM_NEW_N(arena, struct tm_column, agg->arg_count + 1);
			for (size_t k = 0; k < agg->arg_count; k++)
				tm_column_take(&taken[k], arena, &args[k], index, count);
			args = taken;
		} else {
			for (size_t k = 0; k < n; k++)
				here[k] = (char *)states[k] + a->at[i];
		}
		struct tm_eval ev = tm_node_eval(node, arena, in, err);
		ev.rows = count;
		if (count)
			TM_TRY(agg->kernel->update(&ev, agg, args, here, count));
	}
	return TM_OK;
}

tm_rc tm_aggs_merge(const struct tm_aggs *a, struct tm_eval *ev, void *into, const void *from)
{
	for (size_t i = 0; i < a->count; i++)
		TM_TRY(a->aggs[i]->kernel->merge(ev, a->aggs[i], (char *)into + a->at[i], (const char *)from + a->at[i]));
	return TM_OK;
}

tm_rc tm_aggs_results(const struct tm_aggs *a, struct tm_eval *ev, void *const *states, size_t n, struct tm_column *ret)
{
	void **here = tm_arena_alloc(ev->arena, tm_mul_size(n + 1, sizeof *here));
	for (size_t i = 0; i < a->count; i++) {
		for (size_t k = 0; k < n; k++)
			here[k] = (char *)states[k] + a->at[i];
		TM_TRY(a->aggs[i]->kernel->result(ev, a->aggs[i], here, n, &ret[i]));
		ret[i].type = a->aggs[i]->type;
	}
	return TM_OK;
}

void tm_aggs_encode(const struct tm_aggs *a, const void *states, struct tm_buf *out)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct tm_agg_kernel *k = a->aggs[i]->kernel;
		const char *state = (const char *)states + a->at[i];
		if (k->encode)
			k->encode(a->aggs[i], state, out);
		else
			tm_buf_put(out, state, k->state_bytes);
	}
}

bool tm_aggs_decode(const struct tm_aggs *a, struct tm_cursor *in, void *states)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct tm_agg_kernel *k = a->aggs[i]->kernel;
		char *state = (char *)states + a->at[i];
		if (k->encode) {
			if (!k->decode(a->aggs[i], in, state))
				return false;
			continue;
		}
		struct tm_str bytes = tm_cursor_take(in, k->state_bytes);
		if (!tm_cursor_ok(in))
			return false;
		memcpy(state, bytes.at ? bytes.at : "", bytes.len);
	}
	return true;
}

void tm_aggs_describe(struct tm_node *node, struct tm_buf *keys, struct tm_buf *values)
{
	const struct tm_op *op = node->op;
	for (size_t i = 0; i < op->aggregate.key_count; i++) {
		tm_type_text(op->aggregate.keys[i]->type, keys);
		tm_buf_char(keys, ';');
	}
	for (size_t i = 0; i < op->aggregate.agg_count; i++) {
		const struct tm_agg *agg = op->aggregate.aggs[i];
		tm_buf_printf(values, "%s(", agg->kernel->name);
		for (size_t k = 0; k < agg->arg_count; k++) {
			tm_type_text(agg->args[k]->type, values);
			tm_buf_char(values, ',');
		}
		tm_buf_cstr_put(values, ") ");
		tm_type_text(agg->type, values);
		tm_buf_char(values, ';');
	}
}

bool tm_aggs_want_no_data(struct tm_node *node, int64_t evict_us)
{
	(void)evict_us;
	return node->run->stream->mode != TM_MODE_COMPLETE;
}
