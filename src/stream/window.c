/* Window functions over what is finite: rows are collected, put in order of partition and order keys, and every function fills
 * one column over the ordered rows. A frame that only grows is aggregated as it grows; others are aggregated anew. */
#include "stream/aggs.h"
#include "stream/order.h"
#include "stream/state.h"
#include <math.h>
#include <stdlib.h>

enum { NO_ROW = UINT32_MAX };

struct window {
	struct tm_node node;
	bool done;
	struct tm_batch rows;
	size_t at;
};

/* One partition at work: rows [from, to) of the ordered batch. */
struct part {
	struct tm_node *node;
	struct tm_arena *arena;
	const struct tm_batch *rows;
	const struct tm_column *order; /* order keys over all rows */
	size_t from, to;
	const size_t *peer_from, *peer_to; /* per row: the rows that the order keys do not tell apart */
};

static tm_rc window_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct window *me = (struct window *)node;
	me->done = false;
	me->at = 0;
	return TM_OK;
}

/* ---- frames ---- */

/* The value of an offset, as of the partition's first row. */
static tm_rc offset_value(const struct part *p, struct tm_expr *expr, struct tm_column **ret, struct tm_err *err)
{
	struct tm_batch one;
	tm_batch_slice(&one, p->arena, p->rows, p->from, 1);
	TM_TRY(tm_node_columns(p->node, p->arena, &one, (struct tm_expr *const *)&expr, 1, ret, err));
	return tm_is_null(*ret, 0) ? tm_fail(err, TM_INVALID, "a window frame's offset is NULL") : TM_OK;
}

static tm_rc offset_rows(const struct part *p, struct tm_expr *expr, int64_t *ret, struct tm_err *err)
{
	struct tm_column *v;
	TM_TRY(offset_value(p, expr, &v, err));
	*ret = tm_value_integer(v, 0);
	return TM_OK;
}

/* The order key's value as a number whose differences mean what a RANGE frame's offset says. */
static double key_number(const struct tm_column *c, size_t row)
{
	switch (c->type->kind) {
	case TM_T_FLOAT:
		return (double)c->f32[row];
	case TM_T_DOUBLE:
		return c->f64[row];
	case TM_T_DECIMAL:
		return (double)c->i128[row] / pow(10, c->type->scale);
	default:
		return (double)tm_value_integer(c, row);
	}
}

static tm_rc offset_number(const struct part *p, struct tm_expr *expr, double *ret, struct tm_err *err)
{
	struct tm_column *v;
	TM_TRY(offset_value(p, expr, &v, err));
	if (v->type->kind == TM_T_INTERVAL) {
		if (v->interval[0].months)
			return tm_fail(err, TM_UNSUPPORTED, "a RANGE frame with an offset in months is not supported");
		*ret = (double)v->interval[0].days * 86400e6 + (double)v->interval[0].micros;
	} else if (v->type->kind == TM_T_INTERVAL_YM) {
		return tm_fail(err, TM_UNSUPPORTED, "a RANGE frame with an offset in months is not supported");
	} else {
		*ret = key_number(v, 0);
	}
	if (p->order[0].type->kind == TM_T_DATE && (v->type->kind == TM_T_INTERVAL_DT || v->type->kind == TM_T_INTERVAL))
		*ret /= 86400e6;
	return TM_OK;
}

struct frame {
	size_t from, to;
};

/* Row i and `by` rows more; far beyond all rows where that is no number. */
static int64_t moved(size_t i, int64_t by)
{
	int64_t r;
	return __builtin_add_overflow((int64_t)i, by, &r) ? INT64_MAX : r;
}
static int64_t opposite(int64_t v) { return v == INT64_MIN ? INT64_MAX : -v; }

/* Frame of row i by values: the first row whose distance is at least, or after the last whose distance is at most. */
static void range_bound(const struct part *p, size_t i, bool is_from, double offset, size_t *ret)
{
	const struct tm_column *key = &p->order[0];
	if (tm_is_null(key, i)) {
		*ret = is_from ? p->peer_from[i] : p->peer_to[i];
		return;
	}
	double sign = p->node->op->window.order[0].descending ? -1 : 1, limit = sign * key_number(key, i) + offset;
	size_t lo = p->from, hi = p->to;
	bool nulls_last = p->node->op->window.order[0].nulls_last;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		bool before;
		if (tm_is_null(key, mid)) {
			before = !nulls_last;
		} else {
			double v = sign * key_number(key, mid);
			before = is_from ? v < limit : v <= limit;
		}
		if (before)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret = lo;
}

static tm_rc frames(const struct part *p, const struct tm_window_fn *f, struct frame *ret, struct tm_err *err)
{
	int64_t from_rows = 0, to_rows = 0;
	double from_value = 0, to_value = 0;
	bool from_given = f->from == TM_FRAME_PRECEDING || f->from == TM_FRAME_FOLLOWING,
	     to_given = f->to == TM_FRAME_PRECEDING || f->to == TM_FRAME_FOLLOWING;
	if (f->rows_frame) {
		if (from_given)
			TM_TRY(offset_rows(p, f->from_offset, &from_rows, err));
		if (to_given)
			TM_TRY(offset_rows(p, f->to_offset, &to_rows, err));
	} else {
		if (from_given)
			TM_TRY(offset_number(p, f->from_offset, &from_value, err));
		if (to_given)
			TM_TRY(offset_number(p, f->to_offset, &to_value, err));
	}
	if (f->from == TM_FRAME_PRECEDING) {
		from_rows = opposite(from_rows);
		from_value = -from_value;
	}
	if (f->to == TM_FRAME_PRECEDING) {
		to_rows = opposite(to_rows);
		to_value = -to_value;
	}
	for (size_t i = p->from; i < p->to; i++) {
		struct frame r = {p->from, p->to};
		if (f->rows_frame) {
			int64_t a = moved(i, from_rows), b = moved(i + 1, to_rows);
			if (f->from != TM_FRAME_UNBOUNDED_PRECEDING)
				r.from = a < (int64_t)p->from ? p->from : a > (int64_t)p->to ? p->to : (size_t)a;
			if (f->to != TM_FRAME_UNBOUNDED_FOLLOWING)
				r.to = b < (int64_t)p->from ? p->from : b > (int64_t)p->to ? p->to : (size_t)b;
		} else {
			if (f->from == TM_FRAME_CURRENT_ROW)
				r.from = p->peer_from[i];
			else if (from_given)
				range_bound(p, i, true, from_value, &r.from);
			if (f->to == TM_FRAME_CURRENT_ROW)
				r.to = p->peer_to[i];
			else if (to_given)
				range_bound(p, i, false, to_value, &r.to);
		}
		if (r.to < r.from)
			r.to = r.from;
		ret[i - p->from] = r;
	}
	return TM_OK;
}

/* ---- functions by kind ---- */

static tm_rc aggregate_part(const struct part *p, const struct tm_window_fn *f, struct tm_appender *out, struct tm_err *err)
{
	size_t n = p->to - p->from;
	struct frame *fr = tm_arena_alloc(p->arena, tm_mul_size(n + 1, sizeof *fr));
	TM_TRY(frames(p, f, fr, err));
	struct tm_aggs aggs;
	tm_aggs_init(&aggs, (struct tm_agg *const *)&f->agg, 1);
	void *state = NULL;
	struct frame has = {0, 0};
	tm_rc rc = TM_OK;
	struct tm_arena scratch;
	tm_arena_init(&scratch);
	struct tm_column result = {0};
	for (size_t i = 0; i < n && !rc; i++) {
		if (state && fr[i].from == has.from && fr[i].to == has.to) {
			tm_appender_value(out, &result, 0);
			continue;
		}
		if (!state || fr[i].from != has.from || fr[i].to < has.to) {
			if (state)
				tm_aggs_end(&aggs, state);
			state = tm_arena_zalloc(p->arena, aggs.bytes + 16);
			tm_aggs_start(&aggs, state);
			has = (struct frame){fr[i].from, fr[i].from};
		}
		tm_arena_reset(&scratch);
		size_t add = fr[i].to - has.to;
		if (add) {
			struct tm_batch more;
			tm_batch_slice(&more, &scratch, p->rows, has.to, add);
			void **states = tm_arena_alloc(&scratch, tm_mul_size(add, sizeof *states));
			uint32_t *groups = tm_arena_zalloc(&scratch, tm_mul_size(add, sizeof *groups));
			for (size_t k = 0; k < add; k++)
				states[k] = state;
			rc = tm_aggs_update(&aggs, p->node, &scratch, &more, NULL, add, states, groups, err);
		}
		has = fr[i];
		struct tm_eval ev = {.arena = &scratch, .session = &p->node->run->session, .rows = 1, .err = err};
		if (!rc)
			rc = tm_aggs_results(&aggs, &ev, &state, 1, &result);
		if (!rc)
			tm_appender_value(out, &result, 0);
	}
	if (state)
		tm_aggs_end(&aggs, state);
	tm_aggs_done(&aggs);
	tm_arena_done(&scratch);
	return rc;
}

/* row_number, rank, dense_rank, ntile as integers; percent_rank, cume_dist as doubles. */
static tm_rc rank_part(const struct part *p, const struct tm_window_fn *f, struct tm_column *ret, struct tm_err *err)
{
	size_t n = p->to - p->from, dense = 0;
	int64_t tiles = 1;
	if (f->kind == TM_WF_NTILE)
		TM_TRY(offset_rows(p, f->args[0], &tiles, err));
	if (tiles < 1)
		return tm_fail(err, TM_INVALID, "ntile needs at least 1 bucket, not %lld", (long long)tiles);
	size_t base = n / (size_t)tiles, longer = n % (size_t)tiles;
	for (size_t k = 0; k < n; k++) {
		size_t i = p->from + k, first = p->peer_from[i] - p->from, after = p->peer_to[i] - p->from;
		dense += first == k;
		switch (f->kind) {
		case TM_WF_ROW_NUMBER:
			ret->i32[i] = (int32_t)k + 1;
			break;
		case TM_WF_RANK:
			ret->i32[i] = (int32_t)first + 1;
			break;
		case TM_WF_DENSE_RANK:
			ret->i32[i] = (int32_t)dense;
			break;
		case TM_WF_NTILE:
			ret->i32[i] =
			    (int32_t)(k < longer * (base + 1) ? k / (base + 1) : longer + (k - longer * (base + 1)) / (base ? base : 1)) +
			    1;
			break;
		case TM_WF_PERCENT_RANK:
			ret->f64[i] = n > 1 ? (double)first / (double)(n - 1) : 0;
			break;
		default:
			ret->f64[i] = (double)after / (double)n;
			break;
		}
	}
	return TM_OK;
}

/* The row `steps` values away from i (up for lead), past nulls where they are ignored; NO_ROW = outside. */
static uint32_t shifted(const struct part *p, const struct tm_column *value, size_t i, int64_t steps, bool ignore_nulls)
{
	if (!ignore_nulls) {
		int64_t at = moved(i, steps);
		return at < (int64_t)p->from || at >= (int64_t)p->to ? NO_ROW : (uint32_t)at;
	}
	int64_t way = steps < 0 ? -1 : 1, left = steps < 0 ? opposite(steps) : steps;
	int64_t at = (int64_t)i;
	if (!left)
		return (uint32_t)i;
	while (left) {
		at += way;
		if (at < (int64_t)p->from || at >= (int64_t)p->to)
			return NO_ROW;
		left -= !tm_is_null(value, (size_t)at);
	}
	return (uint32_t)at;
}

/* The nth value (from 1) of a frame, from its start or its end. */
static uint32_t in_frame(const struct tm_column *value, struct frame fr, int64_t nth, bool from_end, bool ignore_nulls)
{
	for (size_t k = 0; k < fr.to - fr.from; k++) {
		size_t i = from_end ? fr.to - 1 - k : fr.from + k;
		if (ignore_nulls && tm_is_null(value, i))
			continue;
		if (--nth == 0)
			return (uint32_t)i;
	}
	return NO_ROW;
}

/* lag, lead, first_value, last_value, nth_value: index[i] = the row whose value it is; rows + i = the default of row i. */
static tm_rc pick_part(const struct part *p, const struct tm_window_fn *f, const struct tm_column *value, bool has_default, uint32_t *index,
		       struct tm_err *err)
{
	int64_t nth = 1;
	if (f->arg_count > 1)
		TM_TRY(offset_rows(p, f->args[1], &nth, err));
	size_t n = p->to - p->from;
	if (f->kind == TM_WF_LAG || f->kind == TM_WF_LEAD) {
		for (size_t i = p->from; i < p->to; i++) {
			index[i] = shifted(p, value, i, f->kind == TM_WF_LAG ? opposite(nth) : nth, f->ignore_nulls);
			if (index[i] == NO_ROW && has_default)
				index[i] = (uint32_t)(p->rows->rows + i);
		}
		return TM_OK;
	}
	struct frame *fr = tm_arena_alloc(p->arena, tm_mul_size(n + 1, sizeof *fr));
	TM_TRY(frames(p, f, fr, err));
	if (f->kind == TM_WF_NTH_VALUE && nth < 1)
		return tm_fail(err, TM_INVALID, "nth_value counts from 1, not from %lld", (long long)nth);
	for (size_t k = 0; k < n; k++)
		index[p->from + k] =
		    in_frame(value, fr[k], f->kind == TM_WF_NTH_VALUE ? nth : 1, f->kind == TM_WF_LAST_VALUE, f->ignore_nulls);
	return TM_OK;
}

/* ---- one function over all partitions ---- */

static tm_rc function_column(struct tm_node *node, struct part *p, const size_t *starts, size_t parts, const struct tm_window_fn *f,
			     struct tm_column *ret, struct tm_err *err)
{
	size_t rows = p->rows->rows;
	struct tm_appender *out = NULL;
	uint32_t *index = NULL;
	struct tm_column *args = NULL, both;
	bool has_default = (f->kind == TM_WF_LAG || f->kind == TM_WF_LEAD) && f->arg_count > 2;
	if (f->kind == TM_WF_AGGREGATE) {
		out = tm_appender_new(p->arena, f->type);
	} else if (f->kind >= TM_WF_LAG) {
		TM_TRY(tm_node_columns(node, p->arena, p->rows, f->args, f->arg_count, &args, err));
		index = tm_arena_alloc(p->arena, tm_mul_size(rows + 1, sizeof *index));
	} else {
		tm_column_init(ret, p->arena, f->type, rows);
	}
	for (size_t k = 0; k < parts; k++) {
		p->from = starts[k];
		p->to = starts[k + 1];
		if (out)
			TM_TRY(aggregate_part(p, f, out, err));
		else if (index)
			TM_TRY(pick_part(p, f, &args[0], has_default, index, err));
		else
			TM_TRY(rank_part(p, f, ret, err));
	}
	if (out) {
		tm_appender_finish(out, ret);
	} else if (index) {
		const struct tm_column *list[2] = {&args[0], has_default ? &args[2] : NULL};
		if (has_default)
			tm_column_concat(&both, p->arena, list, 2);
		tm_column_take(ret, p->arena, has_default ? &both : &args[0], index, rows);
	}
	return TM_OK;
}

static bool same_keys(const struct tm_column *columns, size_t count, size_t a, size_t b)
{
	for (size_t k = 0; k < count; k++)
		if (!tm_value_eq(&columns[k], a, &columns[k], b))
			return false;
	return true;
}

static tm_rc compute(struct window *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->run_arena;
	const struct tm_op *op = node->op;
	struct tm_batch all;
	TM_TRY(tm_node_collect(node->inputs[0], arena, &op->inputs[0]->schema, &all, err));
	node->rows_in += (int64_t)all.rows;
	size_t parts_n = op->window.partition_count, order_n = op->window.order_count, keys_n = parts_n + order_n, rows = all.rows;
	struct tm_sort_key *keys = TM_NEW_N(arena, struct tm_sort_key, keys_n + 1);
	struct tm_expr **exprs = TM_NEW_N(arena, struct tm_expr *, keys_n + 1);
	for (size_t i = 0; i < keys_n; i++) {
		keys[i] = i < parts_n ? (struct tm_sort_key){.expr = op->window.partition[i]} : op->window.order[i - parts_n];
		exprs[i] = keys[i].expr;
	}
	struct tm_column *columns;
	TM_TRY(tm_node_columns(node, arena, &all, exprs, keys_n, &columns, err));
	uint32_t *index = tm_arena_alloc(arena, tm_mul_size(rows + 1, sizeof *index));
	for (uint32_t i = 0; i < rows; i++)
		index[i] = i;
	tm_order_rows(arena, keys, columns, keys_n, index, rows);
	struct tm_batch ordered;
	tm_batch_take(&ordered, arena, &all, index, rows);
	for (size_t i = 0; i < keys_n; i++) {
		struct tm_column taken;
		tm_column_take(&taken, arena, &columns[i], index, rows);
		columns[i] = taken;
	}
	size_t *starts = TM_NEW_N(arena, size_t, rows + 2), *peer_from = TM_NEW_N(arena, size_t, rows + 1),
	       *peer_to = TM_NEW_N(arena, size_t, rows + 1);
	size_t parts = 0;
	for (size_t i = 0; i < rows; i++) {
		bool new_part = i == 0 || !same_keys(columns, parts_n, i - 1, i);
		if (new_part)
			starts[parts++] = i;
		peer_from[i] = new_part || !same_keys(columns + parts_n, order_n, i - 1, i) ? i : peer_from[i - 1];
	}
	starts[parts] = rows;
	for (size_t i = rows; i-- > 0;)
		peer_to[i] = i + 1 < rows && peer_from[i + 1] == peer_from[i] ? peer_to[i + 1] : i + 1;
	struct part p = {
	    .node = node, .arena = arena, .rows = &ordered, .order = columns + parts_n, .peer_from = peer_from, .peer_to = peer_to};
	size_t in_n = ordered.column_count;
	struct tm_column *out = TM_NEW_N(arena, struct tm_column, op->schema.count + 1);
	memcpy(out, ordered.columns, in_n * sizeof *out);
	for (size_t i = 0; i < op->window.function_count; i++)
		TM_TRY(function_column(node, &p, starts, parts, op->window.functions[i], &out[in_n + i], err));
	me->rows = (struct tm_batch){.rows = rows, .column_count = in_n + op->window.function_count, .columns = out};
	me->done = true;
	return TM_OK;
}

static tm_rc window_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct window *me = (struct window *)node;
	if (!me->done)
		TM_TRY(compute(me, err));
	tm_arena_reset(&node->arena);
	*ret = NULL;
	size_t n = me->rows.rows - me->at;
	if (!n)
		return TM_OK;
	if (n > TM_LIMIT_BATCH_ROWS)
		n = TM_LIMIT_BATCH_ROWS;
	node->out = (struct tm_flow){0};
	tm_batch_slice(&node->out.batch, &node->arena, &me->rows, me->at, n);
	me->at += n;
	*ret = &node->out;
	return TM_OK;
}
const struct tm_node_class tm_window_class = {.label = "Window", .size = sizeof(struct window), .begin = window_begin, .next = window_next};
