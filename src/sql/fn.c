/* The catalogue's table, made of functions.def, and looking up in it. */
#include "sql/fn_int.h"
#include <stdlib.h>

#define TM_FN(name, kind, min, max, bind, variant, doc, example) tm_rc tm_bind_##bind(struct tm_fn_bind *b, struct tm_err *err);
#define TM_FN_SIMPLE(name, min, max, sig, kernel, doc, example) extern const struct tm_kernel tm_k_##kernel;
#include "sql/functions.def"
#undef TM_FN
#undef TM_FN_SIMPLE

#define TM_FN(name, kind, min, max, bind, variant, doc, example)                                                                           \
	{name, TM_FN_##kind, min, max, tm_bind_##bind, (const void *)(intptr_t)(variant), doc, example},
#define TM_FN_SIMPLE(name, min, max, sig, kernel, doc, example)                                                                            \
	{name, TM_FN_SCALAR, min, max, tm_bind_simple, &(const struct fn_simple){sig, &tm_k_##kernel}, doc, example},
static const struct tm_fn table[] = {
#include "sql/functions.def"
};
#undef TM_FN
#undef TM_FN_SIMPLE
enum { COUNT = sizeof table / sizeof *table };
static const struct tm_fn *sorted[COUNT];

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct tm_fn *const *)a)->name, (*(const struct tm_fn *const *)b)->name);
}
__attribute__((constructor)) static void sort_names(void)
{
	for (size_t i = 0; i < COUNT; i++)
		sorted[i] = &table[i];
	qsort(sorted, COUNT, sizeof *sorted, by_name);
}

const struct tm_fn *tm_fn_find(struct tm_str name)
{
	char key[64];
	if (name.len >= sizeof key)
		return NULL;
	for (size_t i = 0; i < name.len; i++)
		key[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 32) : name.at[i];
	key[name.len] = 0;
	size_t lo = 0, hi = COUNT;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(sorted[mid]->name, key);
		if (c == 0)
			return sorted[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

size_t tm_fn_all(const struct tm_fn **ret)
{
	*ret = table;
	return COUNT;
}
