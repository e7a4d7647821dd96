/* Kernels that belong to the language rather than to the catalogue: three-valued logic, CASE and COALESCE, which evaluate only the
 * rows they need, access to fields and items, IN, and the event-time windows. */
#include <stdlib.h>
#include "sql/fn_int.h"
#include "sql/sql_int.h"

static uint32_t *row_list(struct tm_eval *ev, size_t n) { return tm_arena_alloc(ev->arena, tm_mul_size(n + 1, sizeof(uint32_t))); }

/* ---- AND, OR, NOT ----
 * decisive: the value that settles the result (false for AND). The right side sees only rows that are not settled. */
static tm_rc eval_logic(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret, uint8_t decisive)
{
	struct tm_column left, right;
	TM_TRY(tm_expr_eval(ev, call->args[0], &left));
	size_t n = ev->rows, open = 0;
	uint32_t *rows = row_list(ev, n);
	bool left_null = left.type->kind == TM_T_NULL, plain = !left_null && !left.constant;
	for (size_t i = 0; plain && !left.valid && i < n; i++) {
		rows[open] = (uint32_t)i;
		open += left.boolean[i] != decisive;
	}
	for (size_t i = 0; (!plain || left.valid) && i < n; i++) {
		rows[open] = (uint32_t)i;
		open += left_null || tm_is_null(&left, i) || left.boolean[tm_row(&left, i)] != decisive;
	}
	/* Nothing is settled and nothing unknown: the right side is the result. */
	if (plain && !left.valid && open == n && call->args[1]->type->kind == TM_T_BOOLEAN)
		return tm_expr_eval(ev, call->args[1], ret);
	tm_column_init(ret, ev->arena, &tm_type_boolean, n);
	memset(ret->boolean, decisive, n);
	TM_TRY(tm_expr_eval_rows(ev, call->args[1], rows, open, &right));
	for (size_t k = 0; k < open; k++) {
		size_t i = rows[k];
		bool ln = left_null || tm_is_null(&left, i), rn = tm_is_null(&right, k);
		if (!rn && right.boolean[tm_row(&right, k)] == decisive)
			continue;
		if (ln || rn)
			tm_column_need_valid(ret, ev->arena)[i] = 0;
		else
			ret->boolean[i] = !decisive;
	}
	return TM_OK;
}
static tm_rc eval_and(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret) { return eval_logic(ev, call, ret, 0); }
static tm_rc eval_or(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret) { return eval_logic(ev, call, ret, 1); }
const struct tm_kernel sx_kernel_and = {.name = "and", .eval_lazy = eval_and}, sx_kernel_or = {.name = "or", .eval_lazy = eval_or};

static tm_rc eval_not(FN_EVAL_ARGS)
{
	tm_column_init(ret, ev->arena, &tm_type_boolean, ev->rows);
	if (args[0].type->kind == TM_T_NULL) {
		memset(tm_column_need_valid(ret, ev->arena), 0, ev->rows);
		return TM_OK;
	}
	for (size_t i = 0; i < ev->rows; i++)
		ret->boolean[i] = !args[0].boolean[i];
	return TM_OK;
}
const struct tm_kernel sx_kernel_not = {.name = "not", .eval = eval_not, .flags = TM_KERNEL_NULL_IN_NULL_OUT};

static tm_rc eval_nullness(struct tm_eval *ev, const struct tm_column *c, struct tm_column *ret, bool negated)
{
	tm_column_init(ret, ev->arena, &tm_type_boolean, ev->rows);
	if (c->type->kind != TM_T_NULL && !c->valid)
		memset(ret->boolean, negated, ev->rows);
	else
		for (size_t i = 0; i < ev->rows; i++)
			ret->boolean[i] = tm_is_null(c, i) != negated;
	return TM_OK;
}
static tm_rc eval_is_null(FN_EVAL_ARGS) { return eval_nullness(ev, args, ret, false); }
static tm_rc eval_is_not_null(FN_EVAL_ARGS) { return eval_nullness(ev, args, ret, true); }
const struct tm_kernel sx_kernel_is_null = {.name = "isnull", .eval = eval_is_null, .flags = TM_KERNEL_CONSTANTS};
const struct tm_kernel sx_kernel_is_not_null = {.name = "isnotnull", .eval = eval_is_not_null, .flags = TM_KERNEL_CONSTANTS};

/* ---- CASE and COALESCE ---- Values come in parts, one per branch; place[row] says where in the parts laid end to end. */
struct parts {
	struct tm_column *columns;
	size_t count, rows;
	uint32_t *place;
};

static void parts_init(struct tm_eval *ev, size_t branches, struct parts *p)
{
	*p = (struct parts){.columns = TM_NEW_N(ev->arena, struct tm_column, branches + 1), .place = row_list(ev, ev->rows)};
	memset(p->place, 0xFF, ev->rows * sizeof *p->place);
}
static void parts_add(struct parts *p, const struct tm_column *values, const uint32_t *rows, size_t n)
{
	if (!n)
		return;
	for (size_t k = 0; k < n; k++)
		p->place[rows[k]] = (uint32_t)(p->rows + k);
	p->columns[p->count++] = *values;
	p->rows += n;
}
static void parts_finish(struct tm_eval *ev, const struct tm_type *type, struct parts *p, struct tm_column *ret)
{
	if (!p->count) {
		tm_column_init_null(ret, ev->arena, type, ev->rows);
		return;
	}
	if (p->count == 1 && p->rows == ev->rows) {
		*ret = p->columns[0];
		return;
	}
	struct tm_column all;
	const struct tm_column **list = TM_NEW_N(ev->arena, const struct tm_column *, p->count);
	for (size_t i = 0; i < p->count; i++)
		list[i] = &p->columns[i];
	if (p->count == 1)
		all = p->columns[0];
	else
		tm_column_concat(&all, ev->arena, list, p->count);
	tm_column_take(ret, ev->arena, &all, p->place, ev->rows);
}

static tm_rc eval_case(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret)
{
	struct parts parts;
	size_t open = ev->rows, branches = call->arg_count / 2;
	uint32_t *rows = row_list(ev, open), *hit = row_list(ev, open);
	parts_init(ev, branches + 1, &parts);
	for (size_t i = 0; i < open; i++)
		rows[i] = (uint32_t)i;
	for (size_t b = 0; b < branches && open; b++) {
		struct tm_column condition, value;
		size_t hits = 0, left = 0;
		TM_TRY(tm_expr_eval_rows(ev, call->args[2 * b], rows, open, &condition));
		for (size_t k = 0; k < open; k++) {
			uint32_t row = rows[k];
			if (!tm_is_null(&condition, k) && condition.boolean[tm_row(&condition, k)])
				hit[hits++] = row;
			else
				rows[left++] = row;
		}
		open = left;
		if (!hits)
			continue;
		TM_TRY(tm_expr_eval_rows(ev, call->args[2 * b + 1], hit, hits, &value));
		parts_add(&parts, &value, hit, hits);
	}
	if (open && call->arg_count % 2) {
		struct tm_column value;
		TM_TRY(tm_expr_eval_rows(ev, call->args[call->arg_count - 1], rows, open, &value));
		parts_add(&parts, &value, rows, open);
	}
	parts_finish(ev, call->type, &parts, ret);
	return TM_OK;
}
const struct tm_kernel sx_kernel_case = {.name = "case", .eval_lazy = eval_case};

static tm_rc eval_coalesce(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret)
{
	struct parts parts;
	size_t open = ev->rows;
	uint32_t *rows = row_list(ev, open), *hit = row_list(ev, open), *from = row_list(ev, open);
	parts_init(ev, call->arg_count, &parts);
	for (size_t i = 0; i < open; i++)
		rows[i] = (uint32_t)i;
	for (size_t a = 0; a < call->arg_count && open; a++) {
		struct tm_column value, taken;
		size_t hits = 0, left = 0;
		TM_TRY(tm_expr_eval_rows(ev, call->args[a], rows, open, &value));
		for (size_t k = 0; k < open; k++) {
			uint32_t row = rows[k];
			if (tm_is_null(&value, k)) {
				rows[left++] = row;
			} else {
				from[hits] = (uint32_t)k;
				hit[hits++] = row;
			}
		}
		if (!hits)
			continue;
		if (hits < open) {
			tm_column_take(&taken, ev->arena, &value, from, hits);
			value = taken;
		}
		parts_add(&parts, &value, hit, hits);
		open = left;
	}
	parts_finish(ev, call->type, &parts, ret);
	return TM_OK;
}
const struct tm_kernel sx_kernel_coalesce = {.name = "coalesce", .eval_lazy = eval_coalesce};

/* ---- IN ---- args[0] IN args[1…], all of one type. */
static tm_rc eval_in(FN_EVAL_ARGS)
{
	tm_column_init(ret, ev->arena, &tm_type_boolean, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		bool found = false, null = tm_is_null(&args[0], i);
		for (size_t a = 1; a < call->arg_count && !found && !tm_is_null(&args[0], i); a++) {
			if (tm_is_null(&args[a], i))
				null = true;
			else if (args[0].type->kind == TM_T_STRING)
				found = tm_str_eq(args[0].str[tm_row(&args[0], i)], args[a].str[tm_row(&args[a], i)]);
			else
				found = tm_value_cmp(&args[0], i, &args[a], i) == 0;
		}
		ret->boolean[i] = found;
		if (!found && null)
			tm_column_need_valid(ret, ev->arena)[i] = 0;
	}
	return TM_OK;
}
const struct tm_kernel sx_kernel_in = {.name = "in", .eval = eval_in, .flags = TM_KERNEL_CONSTANTS};

/* ---- structs, fields, items ---- */
static tm_rc eval_struct(FN_EVAL_ARGS)
{
	*ret = (struct tm_column){
	    .type = call->type, .rows = ev->rows, .children = TM_NEW_N(ev->arena, struct tm_column, call->arg_count + 1)};
	memcpy(ret->children, args, call->arg_count * sizeof *args);
	return TM_OK;
}
const struct tm_kernel sx_kernel_struct = {.name = "struct", .eval = eval_struct};

/* A field of c; null where the struct is. */
static void take_field(struct tm_eval *ev, const struct tm_column *c, size_t field, struct tm_column *ret)
{
	*ret = c->children[field];
	if (!c->valid)
		return;
	if (c->constant && c->valid[0])
		return;
	if (c->constant) {
		tm_column_init_null(ret, ev->arena, c->type->children[field], c->rows);
		return;
	}
	if (ret->constant) {
		struct tm_column copy;
		tm_column_copy(&copy, ev->arena, ret);
		copy.rows = c->rows;
		tm_column_flatten(&copy, ev->arena);
		*ret = copy;
	}
	if (!ret->valid) {
		ret->valid = c->valid;
		return;
	}
	uint8_t *valid = tm_arena_alloc(ev->arena, c->rows ? c->rows : 1);
	for (size_t i = 0; i < c->rows; i++)
		valid[i] = ret->valid[i] & c->valid[i];
	ret->valid = valid;
}
static tm_rc eval_field(FN_EVAL_ARGS)
{
	take_field(ev, &args[0], (size_t)(uintptr_t)call->bound, ret);
	return TM_OK;
}
const struct tm_kernel sx_kernel_field = {.name = "getfield", .eval = eval_field, .flags = TM_KERNEL_CONSTANTS};

static tm_rc eval_array_field(FN_EVAL_ARGS)
{
	*ret = args[0];
	ret->type = call->type;
	ret->children = TM_NEW(ev->arena, struct tm_column);
	take_field(ev, &args[0].children[0], (size_t)(uintptr_t)call->bound, ret->children);
	return TM_OK;
}
const struct tm_kernel sx_kernel_array_field = {.name = "getarrayfield", .eval = eval_array_field, .flags = TM_KERNEL_CONSTANTS};

static tm_rc eval_array_item(FN_EVAL_ARGS)
{
	uint32_t *index = row_list(ev, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		index[i] = UINT32_MAX;
		if (tm_is_null(&args[0], i) || tm_is_null(&args[1], i))
			continue;
		struct tm_span span = args[0].span[tm_row(&args[0], i)];
		int64_t at = tm_value_integer(&args[1], i);
		if (at >= 0 && at < span.count)
			index[i] = span.from + (uint32_t)at;
		else if (ev->session->ansi)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_ARRAY_INDEX", "22003",
					     "The index %lld is out of bounds. The array has %u elements. Use the SQL function `get()` to "
					     "tolerate accessing element at invalid index and return NULL instead.",
					     (long long)at, span.count);
	}
	tm_column_take(ret, ev->arena, &args[0].children[0], index, ev->rows);
	return TM_OK;
}
const struct tm_kernel sx_kernel_array_item = {.name = "getarrayitem", .eval = eval_array_item, .flags = TM_KERNEL_CONSTANTS};

static tm_rc eval_map_item(FN_EVAL_ARGS)
{
	uint32_t *index = row_list(ev, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		index[i] = UINT32_MAX;
		if (tm_is_null(&args[0], i) || tm_is_null(&args[1], i))
			continue;
		struct tm_span span = args[0].span[tm_row(&args[0], i)];
		for (uint32_t k = span.from; k < span.from + span.count; k++)
			if (tm_value_cmp(&args[0].children[0], k, &args[1], i) == 0) {
				index[i] = k;
				break;
			}
	}
	tm_column_take(ret, ev->arena, &args[0].children[1], index, ev->rows);
	return TM_OK;
}
const struct tm_kernel sx_kernel_map_item = {.name = "getmapvalue", .eval = eval_map_item, .flags = TM_KERNEL_CONSTANTS};

/* ---- event-time windows ---- */
static int64_t window_start(const struct sx_window_bound *b, int64_t ts)
{
	int64_t slide = b->window.slide_us, since;
	bool over = __builtin_sub_overflow(ts, b->window.offset_us, &since);
	int64_t rest = over ? (int64_t)(((__int128)ts - b->window.offset_us) % slide) : since % slide;
	if (rest < 0)
		rest += slide;
	return tm_time_shift(tm_time_shift(ts, -rest), -b->back * slide);
}
static tm_rc eval_window(FN_EVAL_ARGS)
{
	const struct sx_window_bound *b = call->bound;
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		int64_t start = args[0].valid && !args[0].valid[i] ? 0 : window_start(b, args[0].i64[i]);
		ret->children[0].i64[i] = start;
		ret->children[1].i64[i] = tm_time_shift(start, b->window.length_us);
	}
	return TM_OK;
}
const struct tm_kernel sx_kernel_window = {.name = "window", .eval = eval_window, .flags = TM_KERNEL_NULL_IN_NULL_OUT};

static tm_rc eval_in_window(FN_EVAL_ARGS)
{
	const struct sx_window_bound *b = call->bound;
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		bool null = args[0].valid && !args[0].valid[i];
		ret->boolean[i] = !null && args[0].i64[i] < tm_time_shift(window_start(b, args[0].i64[i]), b->window.length_us);
	}
	return TM_OK;
}
const struct tm_kernel sx_kernel_in_window = {.name = "inwindow", .eval = eval_in_window};

/* session_window before merging: [ts, ts + gap). Args: ts, gap as BIGINT micros or an interval. A gap that is not positive gives
 * null, and such rows are left out. */
static tm_rc eval_session(FN_EVAL_ARGS)
{
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	for (size_t i = 0; i < ev->rows; i++) {
		int64_t gap = 0, end = 0, days = 0;
		bool null = tm_is_null(&args[0], i) || tm_is_null(&args[1], i);
		if (!null && args[1].type->kind == TM_T_INTERVAL) {
			struct tm_interval v = args[1].interval[tm_row(&args[1], i)];
			gap = v.micros;
			days = v.days + v.months * (int64_t)31;
		} else if (!null) {
			gap = args[1].i64[tm_row(&args[1], i)];
		}
		int64_t ts = null ? 0 : args[0].i64[tm_row(&args[0], i)];
		if (null || !tm_micros_of(days, gap, &gap) || gap <= 0 || __builtin_add_overflow(ts, gap, &end))
			tm_column_need_valid(ret, ev->arena)[i] = 0;
		ret->children[0].i64[i] = ts;
		ret->children[1].i64[i] = end;
	}
	return TM_OK;
}
const struct tm_kernel sx_kernel_session = {.name = "session_window", .eval = eval_session, .flags = TM_KERNEL_CONSTANTS};

static tm_rc eval_window_time(FN_EVAL_ARGS)
{
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	const struct tm_column *end = &args[0].children[1];
	for (size_t i = 0; i < ev->rows; i++)
		ret->i64[i] = tm_time_shift(end->i64[tm_row(end, i)], -1);
	return TM_OK;
}
const struct tm_kernel sx_kernel_window_time = {.name = "window_time", .eval = eval_window_time, .flags = TM_KERNEL_NULL_IN_NULL_OUT};

/* ---- the value of a scalar subquery: an aggregate that takes one row ---- */
struct single {
	int64_t rows;
	char *bytes;
	size_t len;
};

static tm_rc too_many_rows(struct tm_eval *ev, const struct tm_agg *agg)
{
	tm_rc rc = tm_fail_class(ev->err, TM_DATA, "SCALAR_SUBQUERY_TOO_MANY_ROWS", "21000",
				 "More than one row returned by a subquery used as an expression.");
	tm_err_at(ev->err, NULL, agg->line, agg->column_no);
	return rc;
}
static tm_rc single_update(struct tm_eval *ev, const struct tm_agg *agg, const struct tm_column *args, void *const *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct single *s = states[i];
		if (s->rows++)
			return too_many_rows(ev, agg);
		struct tm_buf b = {0};
		if (tm_is_null(&args[0], i))
			continue;
		tm_value_encode(&args[0], i, &b);
		s->bytes = b.at;
		s->len = b.len;
	}
	return TM_OK;
}
static tm_rc single_merge(struct tm_eval *ev, const struct tm_agg *agg, void *into, const void *from)
{
	struct single *a = into;
	const struct single *b = from;
	if (a->rows && b->rows)
		return too_many_rows(ev, agg);
	if (b->rows) {
		a->rows = b->rows;
		a->len = b->len;
		a->bytes = b->bytes ? tm_alloc(b->len + 1) : NULL;
		if (b->bytes)
			memcpy(a->bytes, b->bytes, b->len);
	}
	return TM_OK;
}
static tm_rc single_result(struct tm_eval *ev, const struct tm_agg *agg, void *const *states, size_t n, struct tm_column *ret)
{
	struct tm_appender *a = tm_appender_new(ev->arena, agg->type);
	for (size_t i = 0; i < n; i++) {
		const struct single *s = states[i];
		struct tm_cursor c = tm_cursor_of(tm_str_n(s->bytes, s->len));
		if (!s->bytes || !tm_appender_decode(a, &c))
			tm_appender_null(a);
	}
	tm_appender_finish(a, ret);
	return TM_OK;
}
static void single_done(UNUSED const struct tm_agg *agg, void *state) { free(((struct single *)state)->bytes); }
const struct tm_agg_kernel sx_agg_single = {.name = "single",
					    .state_bytes = sizeof(struct single),
					    .update = single_update,
					    .merge = single_merge,
					    .result = single_result,
					    .done = single_done};
