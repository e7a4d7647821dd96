/* Similarity of vectors and masking of data. */
#include <math.h>
#include "cql/cql_int.h"

enum { COSINE, EUCLIDEAN, DOT };
static bool float_vector(const struct tm_cql_type *t) { return t && t->kind == TM_CQL_VECTOR && t->args[0]->kind == TM_CQL_FLOAT; }

static const struct tm_cql_type *resolve_similarity(struct cql_call *c, struct tm_err *err)
{
	const struct tm_cql_type *t = float_vector(c->natural[0]) ? c->natural[0] : float_vector(c->natural[1]) ? c->natural[1] : NULL;
	for (int i = 0; i < 2 && !t; i++) /* two literals: as long as the first */
		if (c->args[i]->kind == CQL_E_LIST)
			t = tm_type_vector(tm_type_native(TM_CQL_FLOAT), c->args[i]->arg_count ? c->args[i]->arg_count : 1);
	for (int i = 0; i < 2; i++) {
		const struct tm_cql_type *n = c->natural[i];
		bool literal = c->args[i]->kind == CQL_E_LIST;
		if (n && !literal && !float_vector(n)) {
			cql_fail(err, CQL_CODE_INVALID,
				 "Function system.%.*s requires a float vector argument, but found argument %s of type %s",
				 TM_STR_ARG(c->expr->text), cql_expr_cstr(c->scope->arena, c->args[i]), cql_type_cstr(c->scope->arena, n));
			return NULL;
		}
		if (t && ((literal && c->args[i]->arg_count != t->dimension) || (float_vector(n) && n->dimension != t->dimension))) {
			cql_fail(err, CQL_CODE_INVALID, "All arguments must have the same vector dimensions");
			return NULL;
		}
		c->types[i] = t;
	}
	return t ? tm_type_native(TM_CQL_FLOAT) : NULL;
}

static tm_rc run_similarity(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			    struct tm_err *err)
{
	size_t count = n->args[0]->type->dimension;
	double dot = 0, x2 = 0, y2 = 0;
	float square = 0;
	for (size_t i = 0; i < count; i++) {
		float x = (float)cql_double_of(tm_str_slice(a[0].bytes, i * 4, i * 4 + 4)),
		      y = (float)cql_double_of(tm_str_slice(a[1].bytes, i * 4, i * 4 + 4));
		dot += (double)x * y;
		square += (x - y) * (x - y);
		x2 += (double)x * x;
		y2 += (double)y * y;
	}
	if (n->what == COSINE && (x2 == 0 || y2 == 0))
		return cql_fail(err, CQL_CODE_INVALID, "Function system.similarity_cosine doesn't support all-zero vectors.");
	double v = n->what == COSINE ? (1 + dot / sqrt(x2 * y2)) / 2 : n->what == EUCLIDEAN ? (double)(1 / (1 + square)) : (1 + dot) / 2;
	*ret = (struct tm_cql_value){.bytes = cql_float_bytes(ev->arena, (float)v)};
	return TM_OK;
}

/* ---- masks ---- */
enum { MASK_NULL, MASK_DEFAULT, MASK_REPLACE, MASK_INNER, MASK_OUTER };
static const struct tm_cql_type *resolve_mask(struct cql_call *c, struct tm_err *err)
{
	int what = cql_function_find(c->expr->text)->what;
	(void)err;
	const struct tm_cql_type *t = c->types[0] = c->natural[0];
	if (!t)
		return NULL;
	if (what == MASK_REPLACE) {
		c->types[1] = t;
		return cql_assignable(c->scope, c->args[1], t) ? t : NULL;
	}
	if (what == MASK_INNER || what == MASK_OUTER) {
		if (!tm_type_is_text(t))
			return NULL;
		for (size_t i = 1; i < c->arg_count; i++) {
			c->types[i] = i < 3 ? tm_type_native(TM_CQL_INT) : tm_type_native(TM_CQL_VARCHAR);
			if (!cql_assignable(c->scope, c->args[i], c->types[i]))
				return NULL;
		}
	}
	return t;
}

static struct tm_str default_mask(struct tm_arena *arena, const struct tm_cql_type *t)
{
	switch (t->kind) {
	case TM_CQL_ASCII:
	case TM_CQL_VARCHAR:
		return TM_STR("****");
	case TM_CQL_BLOB:
	case TM_CQL_TUPLE:
	case TM_CQL_UDT:
	case TM_CQL_VECTOR:
		return (struct tm_str){"", 0};
	case TM_CQL_BOOLEAN:
	case TM_CQL_TINYINT:
	case TM_CQL_VARINT:
		return TM_STR("\0");
	case TM_CQL_SMALLINT:
		return TM_STR("\0\0");
	case TM_CQL_DURATION:
		return TM_STR("\0\0\0");
	case TM_CQL_DATE:
		return TM_STR("\x80\0\0\0");
	case TM_CQL_DECIMAL:
		return TM_STR("\0\0\0\0\0");
	case TM_CQL_INET:
		return TM_STR("\0\0\0\0");
	case TM_CQL_UUID:
		return TM_STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	case TM_CQL_TIMEUUID:
		return TM_STR("\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0");
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_INT:
	case TM_CQL_FLOAT:
		return cql_be32(arena, 0);
	default:
		return cql_be64(arena, 0);
	}
}

static struct tm_str partial_mask(struct tm_arena *arena, const struct cql_node *n, const struct tm_cql_value *a, bool inner)
{
	struct tm_str s = a[0].bytes, pad = n->arg_count > 3 && !a[3].null && a[3].bytes.len ? a[3].bytes : TM_STR("*");
	int64_t begin = a[1].null ? 0 : cql_int_of(a[1].bytes), end = a[2].null ? 0 : cql_int_of(a[2].bytes),
		count = (int64_t)tm_utf8_count(s), at = 0;
	struct tm_buf b = {0};
	for (const char *p = s.at, *stop = s.at + s.len; p < stop; at++) {
		const char *from = p;
		(void)tm_utf8_next(&p, stop);
		bool edge = at < begin || at >= count - end;
		if (edge == inner)
			tm_buf_put(&b, from, (size_t)(p - from));
		else
			tm_buf_str_put(&b, pad);
	}
	struct tm_str r = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return r;
}

static tm_rc run_mask(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		      struct tm_err *err)
{
	(void)err;
	*ret = (struct tm_cql_value){.null = true};
	switch (n->what) {
	case MASK_NULL:
		break;
	case MASK_DEFAULT:
		*ret = (struct tm_cql_value){.bytes = default_mask(ev->arena, n->type)};
		break;
	case MASK_REPLACE:
		*ret = a[1];
		break;
	default:
		if (!a[0].null)
			*ret = (struct tm_cql_value){.bytes = partial_mask(ev->arena, n, a, n->what == MASK_INNER)};
	}
	return TM_OK;
}

const struct cql_function cql_functions_more[] = {
    {"similarity_cosine", 2, 2, resolve_similarity, run_similarity, false, CQL_SCALAR, COSINE},
    {"similarity_euclidean", 2, 2, resolve_similarity, run_similarity, false, CQL_SCALAR, EUCLIDEAN},
    {"similarity_dot_product", 2, 2, resolve_similarity, run_similarity, false, CQL_SCALAR, DOT},
    {"mask_null", 1, 1, resolve_mask, run_mask, true, CQL_SCALAR, MASK_NULL},
    {"mask_default", 1, 1, resolve_mask, run_mask, true, CQL_SCALAR, MASK_DEFAULT},
    {"mask_replace", 2, 2, resolve_mask, run_mask, true, CQL_SCALAR, MASK_REPLACE},
    {"mask_inner", 3, 4, resolve_mask, run_mask, true, CQL_SCALAR, MASK_INNER},
    {"mask_outer", 3, 4, resolve_mask, run_mask, true, CQL_SCALAR, MASK_OUTER},
    {0},
};
