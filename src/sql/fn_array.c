/* Arrays. */
#include "sql/fn_int.h"

KERNEL(array_concat)
{
	size_t n = call->arg_count, rows = ev->rows, *base = tm_arena_alloc(ev->arena, (n + 1) * sizeof *base);
	const struct tm_column **parts = TM_NEW_N(ev->arena, const struct tm_column *, n);
	struct tm_column *flat = TM_NEW_N(ev->arena, struct tm_column, n), all;
	struct fn_index index = {0};
	fn_begin(ev, call, args, ret);
	base[0] = 0;
	for (size_t a = 0; a < n; a++) {
		flat[a] = args[a].children[0];
		tm_column_flatten(&flat[a], ev->arena);
		flat[a].type = call->type->children[0];
		parts[a] = &flat[a];
		base[a + 1] = base[a] + flat[a].rows;
	}
	for (size_t i = 0; i < rows; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)index.count, 0};
		if (ret->valid && !ret->valid[i])
			continue;
		for (size_t a = 0; a < n; a++) {
			struct tm_span s = AT(a, span, i);
			for (uint32_t j = 0; j < s.count; j++)
				fn_index_add(ev, &index, (uint32_t)base[a] + s.from + j);
		}
		ret->span[i].count = (uint32_t)index.count - ret->span[i].from;
	}
	tm_column_concat(&all, ev->arena, parts, n);
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_column_take(&ret->children[0], ev->arena, &all, index.items, index.count);
	return TM_OK;
}
