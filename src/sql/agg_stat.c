/* Moments: variance, standard deviation, skewness, kurtosis, covariance, correlation and regression, by Spark's own update
 * formulas, so that the last digits agree. */
#include "sql/agg_int.h"
#include <math.h>

/* ---- one variable ---- */
struct moments {
	double n, avg, m2, m3, m4;
};
enum { VAR_POP, VAR_SAMP, STD_POP, STD_SAMP, SKEWNESS, KURTOSIS };

static tm_rc moments_update(AGG_UPDATE_ARGS)
{
	for (size_t i = 0; i < n; i++) {
		if (tm_is_null(&args[0], i))
			continue;
		struct moments *s = states[i];
		double delta = AT(0, f64, i) - s->avg, count = s->n + 1, dn = delta / count;
		double delta2 = delta * delta, dn2 = dn * dn;
		s->n = count;
		s->avg += dn;
		s->m2 += delta * (delta - dn);
		s->m3 = s->m3 - 3 * dn * s->m2 + delta * (delta2 - dn2);
		s->m4 = s->m4 - 4 * dn * s->m3 - 6 * dn2 * s->m2 + delta * (delta * delta2 - dn * dn2);
	}
	return TM_OK;
}
static tm_rc moments_merge(AGG_MERGE_ARGS)
{
	struct moments *a = into, l = *a;
	const struct moments *r = from;
	double n = l.n + r->n, delta = r->avg - l.avg, dn = n == 0 ? 0 : delta / n;
	a->n = n;
	a->avg = l.avg + dn * r->n;
	a->m2 = l.m2 + r->m2 + delta * dn * l.n * r->n;
	a->m3 = l.m3 + r->m3 + dn * dn * delta * l.n * r->n * (l.n - r->n) + 3 * dn * (l.n * r->m2 - r->n * l.m2);
	a->m4 = l.m4 + r->m4 + dn * dn * dn * delta * l.n * r->n * (l.n * l.n - l.n * r->n + r->n * r->n) +
		6 * dn * dn * (l.n * l.n * r->m2 + r->n * r->n * l.m2) + 4 * dn * (l.n * r->m3 - r->n * l.m3);
	return TM_OK;
}
static tm_rc moments_result(AGG_RESULT_ARGS)
{
	int what = (int)(intptr_t)agg->bound;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct moments *s = states[i];
		bool sample = what == VAR_SAMP || what == STD_SAMP, shape = what >= SKEWNESS;
		ret->f64[i] = 0;
		if (s->n == 0 || (sample && s->n == 1) || (shape && s->m2 == 0)) {
			fn_null(ev, ret, i);
			continue;
		}
		double var = s->m2 / (sample ? s->n - 1 : s->n);
		switch (what) {
		case SKEWNESS:
			ret->f64[i] = sqrt(s->n) * s->m3 / sqrt(s->m2 * s->m2 * s->m2);
			break;
		case KURTOSIS:
			ret->f64[i] = s->n * s->m4 / (s->m2 * s->m2) - 3;
			break;
		case STD_POP:
		case STD_SAMP:
			ret->f64[i] = sqrt(var);
			break;
		default:
			ret->f64[i] = var;
		}
	}
	return TM_OK;
}
static const struct tm_agg_kernel agg_moments = {
    .name = "moments", .state_bytes = sizeof(struct moments), .update = moments_update, .merge = moments_merge, .result = moments_result};
BIND(moments)
{
	TM_TRY(fn_want(b, 0, &tm_type_double, err));
	b->bound = (const void *)(intptr_t)fn_variant(b);
	return fn_is_agg(b, &agg_moments, &tm_type_double, true);
}

/* ---- two variables ---- rows where both are there */
struct pairs {
	double n, x_avg, y_avg, ck, x_mk, y_mk;
};
enum { COVAR_POP, COVAR_SAMP, CORR, REGR_COUNT, REGR_AVGX, REGR_AVGY, REGR_SLOPE, REGR_INTERCEPT, REGR_R2, REGR_SXX, REGR_SYY, REGR_SXY };
struct pairs_bound {
	int what;
	size_t x, y;
};

static tm_rc pairs_update(AGG_UPDATE_ARGS)
{
	const struct pairs_bound *b = agg->bound;
	for (size_t i = 0; i < n; i++) {
		if (tm_is_null(&args[0], i) || tm_is_null(&args[1], i))
			continue;
		struct pairs *s = states[i];
		double x = AT(b->x, f64, i), y = AT(b->y, f64, i), dx = x - s->x_avg, dy = y - s->y_avg;
		s->n += 1;
		s->x_avg += dx / s->n;
		s->y_avg += dy / s->n;
		s->ck += dx * (y - s->y_avg);
		s->x_mk += dx * (x - s->x_avg);
		s->y_mk += dy * (y - s->y_avg);
	}
	return TM_OK;
}
static tm_rc pairs_merge(AGG_MERGE_ARGS)
{
	struct pairs *a = into, l = *a;
	const struct pairs *r = from;
	double n = l.n + r->n, dx = r->x_avg - l.x_avg, dxn = n == 0 ? 0 : dx / n, dy = r->y_avg - l.y_avg, dyn = n == 0 ? 0 : dy / n;
	a->n = n;
	a->x_avg = l.x_avg + dxn * r->n;
	a->y_avg = l.y_avg + dyn * r->n;
	a->ck = l.ck + r->ck + dx * dyn * l.n * r->n;
	a->x_mk = l.x_mk + r->x_mk + dx * dxn * l.n * r->n;
	a->y_mk = l.y_mk + r->y_mk + dy * dyn * l.n * r->n;
	return TM_OK;
}
static bool pairs_value(const struct pairs *s, int what, double *ret)
{
	bool flat = s->x_mk == 0;
	if (s->n == 0 || (what == COVAR_SAMP && s->n == 1) || (what == CORR && (s->n == 1 || s->x_mk * s->y_mk == 0)))
		return false;
	switch (what) {
	case COVAR_POP:
		*ret = s->ck / s->n;
		return true;
	case COVAR_SAMP:
		*ret = s->ck / (s->n - 1);
		return true;
	case CORR:
		*ret = s->ck / sqrt(s->x_mk * s->y_mk);
		return true;
	case REGR_AVGX:
		*ret = s->x_avg;
		return true;
	case REGR_AVGY:
		*ret = s->y_avg;
		return true;
	case REGR_SXX:
		*ret = s->x_mk;
		return true;
	case REGR_SYY:
		*ret = s->y_mk;
		return true;
	case REGR_SXY:
		*ret = s->ck;
		return true;
	case REGR_SLOPE:
		*ret = flat ? 0 : s->ck / s->x_mk;
		return !flat;
	case REGR_INTERCEPT:
		*ret = flat ? 0 : s->y_avg - s->ck / s->x_mk * s->x_avg;
		return !flat;
	default:
		if (flat)
			return false;
		*ret = s->y_mk == 0 ? 1 : s->ck * s->ck / (s->x_mk * s->y_mk);
		return true;
	}
}
static tm_rc pairs_result(AGG_RESULT_ARGS)
{
	const struct pairs_bound *b = agg->bound;
	tm_column_init(ret, ev->arena, agg->type, n);
	for (size_t i = 0; i < n; i++) {
		const struct pairs *s = states[i];
		if (b->what == REGR_COUNT) {
			ret->i64[i] = tm_double_i64(s->n);
		} else {
			ret->f64[i] = 0;
			if (!pairs_value(s, b->what, &ret->f64[i]))
				fn_null(ev, ret, i);
		}
	}
	return TM_OK;
}
static const struct tm_agg_kernel agg_pairs = {
    .name = "pairs", .state_bytes = sizeof(struct pairs), .update = pairs_update, .merge = pairs_merge, .result = pairs_result};
/* The regr_ functions name the dependent variable first. */
BIND(pairs)
{
	struct pairs_bound *bound = TM_NEW(b->arena, struct pairs_bound);
	bound->what = fn_variant(b);
	bound->x = bound->what >= REGR_COUNT;
	bound->y = !bound->x;
	b->bound = bound;
	for (size_t i = 0; i < 2; i++)
		TM_TRY(fn_want(b, i, &tm_type_double, err));
	bool count = bound->what == REGR_COUNT;
	return fn_is_agg(b, &agg_pairs, count ? &tm_type_bigint : &tm_type_double, !count);
}

/* ---- the extreme of another column: max_by, min_by ---- of equal ones the last */
struct by {
	struct held value, order;
};
static tm_rc by_update(AGG_UPDATE_ARGS)
{
	bool max = agg->bound;
	for (size_t i = 0; i < n; i++) {
		struct by *s = states[i];
		if (tm_is_null(&args[1], i))
			continue;
		int c = s->order.state == HELD_VALUE ? held_cmp(ev, &s->order, &args[1], i) : 0;
		if (max ? c > 0 : c < 0)
			continue;
		held_set(&s->value, &args[0], i);
		held_set(&s->order, &args[1], i);
	}
	return TM_OK;
}
static tm_rc by_merge(AGG_MERGE_ARGS)
{
	struct by *a = into;
	const struct by *b = from;
	if (b->order.state != HELD_VALUE)
		return TM_OK;
	int c = a->order.state == HELD_VALUE ? held_cmp_held(ev, agg->args[1]->type, &a->order, &b->order) : 0;
	if (agg->bound ? c > 0 : c < 0)
		return TM_OK;
	held_copy(&a->value, &b->value);
	held_copy(&a->order, &b->order);
	return TM_OK;
}
static const struct held *by_at(const void *ctx, size_t i) { return &((const struct by *)((void *const *)ctx)[i])->value; }
static tm_rc by_result(AGG_RESULT_ARGS)
{
	held_column(ev, agg->type, n, by_at, states, ret);
	return TM_OK;
}
static void by_done(UNUSED const struct tm_agg *agg, void *state)
{
	struct by *s = state;
	held_done(&s->value);
	held_done(&s->order);
}
static void by_encode(const struct tm_agg *agg, const void *state, struct tm_buf *out)
{
	const struct by *s = state;
	held_encode(agg->args[0]->type, &s->value, out);
	held_encode(agg->args[1]->type, &s->order, out);
}
static bool by_decode(const struct tm_agg *agg, struct tm_cursor *in, void *state)
{
	struct by *s = state;
	return held_decode(agg->args[0]->type, in, &s->value) && held_decode(agg->args[1]->type, in, &s->order);
}
static const struct tm_agg_kernel agg_by = {.name = "by",
					    .state_bytes = sizeof(struct by),
					    .update = by_update,
					    .merge = by_merge,
					    .result = by_result,
					    .done = by_done,
					    .encode = by_encode,
					    .decode = by_decode};
BIND(max_by)
{
	if (!tm_type_orderable(b->args[1].type))
		return fn_unorderable(b, b->args[1].type, err);
	if (b->arg_count == 3)
		return agg_bind_top(b, fn_variant(b), err);
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is_agg(b, &agg_by, b->args[0].type, true);
}
