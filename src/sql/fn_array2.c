/* Arrays: slices, sequences, joining to text, zipping. */
#include "sql/fn_list.h"
#include "sql/value_text.h"

KERNEL(slice)
{
	struct tm_column pool = args[0].children[0];
	struct fn_index index = {0};
	tm_column_flatten(&pool, ev->arena);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		int64_t start = AT(1, i32, i), len = AT(2, i32, i);
		if (start == 0)
			return fn_bad_parameter(
			    ev, "START", "`start` in `slice` is invalid: Expects a positive or a negative value for `start`, but got 0.");
		if (len < 0)
			return fn_bad_parameter(
			    ev, "LENGTH", "`length` in `slice` is invalid: Expects `length` greater than or equal to 0, but got %lld.",
			    (long long)len);
		int64_t from = start > 0 ? start - 1 : (int64_t)s.count + start;
		if (from < 0 || from > s.count)
			len = 0;
		else if (len > s.count - from)
			len = s.count - from;
		ret->span[i] = (struct tm_span){(uint32_t)index.count, (uint32_t)len};
		for (int64_t j = 0; j < len; j++)
			fn_index_add(ev, &index, s.from + (uint32_t)(from + j));
	}
	fn_list_set(ev, ret, &pool, &index);
	return TM_OK;
}

/* ---- sequence ---- */
static tm_rc bad_boundaries(struct tm_eval *ev, long long from, long long to, long long step)
{
	return tm_fail(ev->err, TM_DATA, "requirement failed: Illegal sequence boundaries: %lld to %lld by %lld", from, to, step);
}
struct numbers {
	int64_t *items;
	size_t count, cap;
};
static tm_rc sequence_room(struct tm_eval *ev, const struct numbers *n)
{
	return n->count >= FN_LIST_LIMIT ? fn_list_too_long(ev, "sequence") : TM_OK;
}

static tm_rc number_sequence(struct tm_eval *ev, int64_t from, int64_t to, int64_t step, struct numbers *out)
{
	if ((step == 0 && from != to) || (step > 0 && from > to) || (step < 0 && from < to))
		return bad_boundaries(ev, from, to, step);
	for (int64_t v = from;;) {
		TM_TRY(sequence_room(ev, out));
		TM_PUSH_IN(ev->arena, out, v);
		if (step == 0 || __builtin_add_overflow(v, step, &v) || (step > 0 ? v > to : v < to))
			return TM_OK;
	}
}
/* Of dates (in days) or timestamps (in microseconds) by an interval: start + n * step, so that month ends do not creep. */
static tm_rc time_sequence(struct tm_eval *ev, const struct tm_sql_zone *zone, bool date, int64_t from, int64_t to, struct tm_interval step,
			   struct numbers *out)
{
	bool forward = step.months > 0 || (step.months == 0 && (step.days > 0 || (step.days == 0 && step.micros > 0)));
	int64_t from_us = from, to_us = to;
	if (date && (!tm_micros_of(from, 0, &from_us) || !tm_micros_of(to, 0, &to_us)))
		return fn_long_overflow(ev);
	bool zero = step.months == 0 && step.days == 0 && step.micros == 0;
	if ((zero && from != to) || (!zero && (forward ? from_us > to_us : from_us < to_us)))
		return bad_boundaries(ev, from, to, 0);
	for (int32_t n = 0;; n++) {
		int64_t us;
		struct tm_interval by;
		if (__builtin_mul_overflow(step.months, n, &by.months) || __builtin_mul_overflow(step.days, n, &by.days) ||
		    __builtin_mul_overflow(step.micros, (int64_t)n, &by.micros) || !fn_timestamp_shift(zone, from_us, by, &us) ||
		    (forward ? us > to_us : us < to_us))
			return TM_OK;
		TM_TRY(sequence_room(ev, out));
		TM_PUSH_IN(ev->arena, out, date ? tm_micros_to_days(tm_sql_zone_to_local(zone, us)) : us);
		if (zero)
			return TM_OK;
	}
}
static struct tm_interval interval_at(const struct tm_column *c, size_t i)
{
	i = tm_row(c, i);
	if (c->type->kind == TM_T_INTERVAL)
		return c->interval[i];
	if (c->type->kind == TM_T_INTERVAL_YM)
		return (struct tm_interval){c->i32[i], 0, 0};
	return (struct tm_interval){0, (int32_t)(c->i64[i] / TM_US_DAY), c->i64[i] % TM_US_DAY};
}
KERNEL(sequence)
{
	const struct tm_type *e = call->type->children[0];
	bool number = tm_type_integral(e), date = e->kind == TM_T_DATE;
	const struct tm_sql_zone *zone = e->kind == TM_T_TIMESTAMP ? fn_zone(ev->session) : tm_sql_zone_utc();
	struct numbers out = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t from = tm_value_integer(&args[0], i), to = tm_value_integer(&args[1], i);
		ret->span[i].from = (uint32_t)out.count;
		if (number) {
			TM_TRY(number_sequence(ev, from, to,
					       call->arg_count > 2 ? tm_value_integer(&args[2], i)
					       : from <= to        ? 1
								   : -1,
					       &out));
		} else {
			struct tm_interval step = {0, from <= to ? 1 : -1, 0};
			if (call->arg_count > 2)
				step = interval_at(&args[2], i);
			TM_TRY(time_sequence(ev, zone, date, from, to, step, &out));
		}
		ret->span[i].count = (uint32_t)out.count - ret->span[i].from;
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	struct tm_column *c = &ret->children[0];
	tm_column_init(c, ev->arena, e, out.count);
	for (size_t j = 0; j < out.count; j++)
		switch (tm_type_width(e)) {
		case 1:
			c->i8[j] = (int8_t)out.items[j];
			break;
		case 2:
			c->i16[j] = (int16_t)out.items[j];
			break;
		case 4:
			c->i32[j] = (int32_t)out.items[j];
			break;
		default:
			c->i64[j] = out.items[j];
		}
	return TM_OK;
}
BIND(sequence)
{
	const struct tm_type *t;
	TM_TRY(fn_want_common(b, 0, 2, &t, err));
	bool time = t->kind == TM_T_DATE || t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ;
	if (!tm_type_integral(t) && !time)
		return fn_mismatch(
		    b, err, "SEQUENCE_WRONG_INPUT_TYPES",
		    "`sequence` uses the wrong parameter type. The parameter type must conform to integral or datetime types.");
	if (b->arg_count > 2) {
		const struct tm_type *s = b->args[2].type;
		if (time) {
			if (s->kind != TM_T_INTERVAL && s->kind != TM_T_INTERVAL_YM && s->kind != TM_T_INTERVAL_DT)
				TM_TRY(fn_want(b, 2, &tm_type_interval, err));
		} else {
			TM_TRY(fn_want_common(b, 0, 3, &t, err));
			if (!tm_type_integral(t))
				return fn_mismatch(b, err, "SEQUENCE_WRONG_INPUT_TYPES",
						   "`sequence` uses the wrong parameter type. The step type must be integral.");
		}
	}
	return fn_is(b, &tm_k_sequence, tm_type_array(b->arena, t, false), fn_any_nullable(b));
}

/* ---- to text ---- */
KERNEL(array_join)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_span s = AT(0, span, i);
		bool first = true;
		for (uint32_t j = 0; j < s.count && rc == TM_OK; j++) {
			const struct tm_column *c = &args[0].children[0];
			bool null = tm_is_null(c, s.from + j);
			if (null && call->arg_count < 3)
				continue;
			if (!first)
				tm_buf_str_put(&b, STR_AT(1, i));
			first = false;
			tm_buf_str_put(&b, null ? STR_AT(2, i) : c->str[tm_row(c, s.from + j)]);
			rc = fn_text_limit(ev, &b);
		}
		if (rc != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
BIND(array_join)
{
	TM_TRY(fn_want(b, 0, tm_type_array(b->arena, &tm_type_string, true), err));
	for (size_t i = 1; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	return fn_is(b, &tm_k_array_join, &tm_type_string, fn_any_nullable(b));
}

/* ---- arrays_zip ---- */
KERNEL(arrays_zip)
{
	const struct tm_type *e = call->type->children[0];
	size_t n = call->arg_count, total = 0;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		uint32_t most = 0;
		for (size_t a = 0; a < n; a++)
			most = AT(a, span, i).count > most ? AT(a, span, i).count : most;
		ret->span[i] = (struct tm_span){(uint32_t)total, most};
		total += most;
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	struct tm_column *out = &ret->children[0];
	tm_column_init(out, ev->arena, e, total);
	for (size_t a = 0; a < n; a++) {
		uint32_t *pick = tm_arena_alloc(ev->arena, (total + 1) * sizeof *pick);
		struct tm_column pool = args[a].children[0];
		tm_column_flatten(&pool, ev->arena);
		FN_ROWS(i)
		{
			struct tm_span s = AT(a, span, i), o = ret->span[i];
			for (uint32_t j = 0; j < o.count; j++)
				pick[o.from + j] = j < s.count ? s.from + j : UINT32_MAX;
		}
		tm_column_take(&out->children[a], ev->arena, &pool, pick, total);
	}
	return TM_OK;
}
BIND(arrays_zip)
{
	size_t n = b->arg_count;
	struct tm_str *names = TM_NEW_N(b->arena, struct tm_str, n + 1);
	const struct tm_type **types = TM_NEW_N(b->arena, const struct tm_type *, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (b->args[i].type->kind != TM_T_ARRAY)
			return fn_unexpected_type(b, i, "ARRAY", err);
		types[i] = b->args[i].type->children[0];
		names[i] = b->args[i].expr && b->args[i].expr->kind == TM_EXPR_COLUMN && b->args[i].expr->text.len
			       ? b->args[i].expr->text
			       : tm_arena_printf(b->arena, "%zu", i);
	}
	return fn_is(b, &tm_k_arrays_zip, tm_type_array(b->arena, tm_type_struct(b->arena, n, names, types, NULL), false),
		     fn_any_nullable(b));
}
