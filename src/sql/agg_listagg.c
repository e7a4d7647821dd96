/* listagg, string_agg: the values of a group as one text, in the order of WITHIN GROUP (ORDER BY …). */
#include "sql/agg_int.h"
#include "sql/value_text.h"

struct listagg {
	struct tm_str separator;           /* a constant */
	const struct tm_fn_within *within; /* NULL: in the order in which they come */
};

static bool keyed(const struct tm_fn_within *w) { return w && !w->own; }

static int compare(const struct tm_fn_within *w, const struct tm_column *c, size_t a, size_t b)
{
	int cmp = 0;
	for (size_t k = 0; k < w->count && cmp == 0; k++) {
		const struct tm_column *key = w->own ? c : &c->children[k];
		bool a_null = tm_is_null(key, a), b_null = tm_is_null(key, b);
		if (a_null || b_null)
			cmp = (a_null == b_null) ? 0 : (a_null != w->keys[k].nulls_last) ? -1 : 1;
		else
			cmp = tm_value_cmp(key, a, key, b) * (w->keys[k].descending ? -1 : 1);
	}
	return cmp;
}

/* Row numbers of a column in order, by merging runs; equal ones stay as they came. */
static uint32_t *sort_values(struct tm_eval *ev, const struct tm_fn_within *w, const struct tm_column *c, size_t n)
{
	uint32_t *v = tm_arena_alloc(ev->arena, (n + 1) * sizeof *v), *tmp = tm_arena_alloc(ev->arena, (n + 1) * sizeof *tmp);
	for (size_t i = 0; i < n; i++)
		v[i] = (uint32_t)i;
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t lo = 0; lo < n; lo += 2 * width) {
			size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n, a = lo, b = mid, o = lo;
			while (a < mid || b < hi) {
				bool left = b >= hi || (a < mid && compare(w, c, v[a], v[b]) <= 0);
				tmp[o++] = left ? v[a++] : v[b++];
			}
		}
		memcpy(v, tmp, n * sizeof *v);
	}
	return v;
}

/* Null values are left out, null keys are not. */
static tm_rc update(AGG_UPDATE_ARGS)
{
	const struct listagg *o = agg->bound;
	for (size_t i = 0; i < n; i++) {
		const struct tm_column *c = &args[0];
		if (keyed(o->within) ? !tm_is_null(&c->children[o->within->count], tm_row(c, i)) : !tm_is_null(c, i))
			list_add(states[i], c, i);
	}
	return TM_OK;
}

static tm_rc result(AGG_RESULT_ARGS)
{
	const struct listagg *o = agg->bound;
	const struct tm_sql_zone *zone = fn_zone(ev->session);
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n && rc == TM_OK; i++) {
		const struct value_list *l = states[i];
		struct tm_appender *a = tm_appender_new(ev->arena, agg->args[0]->type);
		struct tm_column c;
		if (l->count == 0) {
			fn_null(ev, ret, i);
			continue;
		}
		if (list_append(l, a) == SIZE_MAX) {
			rc = tm_fail(ev->err, TM_CORRUPT, "a collected value cannot be read back");
			break;
		}
		tm_appender_finish(a, &c);
		const uint32_t *order = o->within ? sort_values(ev, o->within, &c, l->count) : NULL;
		const struct tm_column *values = keyed(o->within) ? &c.children[o->within->count] : &c;
		for (size_t j = 0; j < l->count && rc == TM_OK; j++) {
			if (j)
				tm_buf_str_put(&b, o->separator);
			fn_value_text(zone, values, order ? order[j] : j, &b);
			rc = fn_text_limit(ev, &b);
		}
		if (rc == TM_OK)
			ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}

static const struct tm_agg_kernel agg_listagg = {.name = "listagg",
						 .state_bytes = sizeof(struct value_list),
						 .update = update,
						 .merge = agg_list_merge,
						 .result = result,
						 .done = agg_list_free,
						 .encode = agg_list_encode,
						 .decode = agg_list_decode};
BIND(listagg)
{
	struct listagg *o = TM_NEW(b->arena, struct listagg);
	const struct tm_type *t = b->args[0].type;
	if (keyed(b->within))
		t = t->children[b->within->count];
	bool binary = t->kind == TM_T_BINARY;
	if (!binary && !tm_cast_implicit(t, &tm_type_string, b->session->ansi))
		return fn_unexpected_type(b, 0, "(\"STRING\" or \"BINARY\")", err);
	if (b->arg_count > 1 && !fn_literal_null(b, 1) && !fn_literal_str(b, 1, &o->separator))
		return fn_mismatch(b, err, "NON_FOLDABLE_INPUT",
				   "the input \"delimiter\" should be a foldable \"STRING\" expression; however, got \"%.*s\".",
				   TM_STR_ARG(b->args[1].expr->text));
	o->separator = tm_arena_str(b->arena, o->separator);
	o->within = b->within;
	b->bound = o;
	return fn_is_agg(b, &agg_listagg, binary ? &tm_type_binary : &tm_type_string, true);
}
