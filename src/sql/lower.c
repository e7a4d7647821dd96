/* Lowering placeholders to operators: event-time windows, generators, window functions. */
#include "sql/sql_int.h"

/* ---- event-time windows ---- */
struct collect {
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} found;
	struct tm_arena *arena;
	int kind;
};
static bool collect_one(const struct tm_expr *e, void *ctx)
{
	struct collect *c = ctx;
	if (sx_kind(e) != c->kind)
		return false;
	for (size_t i = 0; i < c->found.count; i++)
		if (sx_same(c->found.items[i], e))
			return false;
	TM_PUSH_IN(c->arena, &c->found, (struct tm_expr *)(uintptr_t)e);
	return false;
}

static struct tm_expr *window_call(struct sx *sx, const struct tm_expr *placeholder, const struct tm_kernel *kernel,
				   const struct tm_type *type, int64_t back)
{
	const struct sx_time_window *w = placeholder->bound;
	struct sx_window_bound *b = TM_NEW(sx->arena, struct sx_window_bound);
	b->window = *w;
	b->back = back;
	struct tm_expr *arg = placeholder->args[0];
	struct tm_expr *r = sx_call_expr(sx, kernel, kernel->name, type, type->kind == TM_T_BOOLEAN || arg->nullable, &arg, 1);
	r->bound = b;
	r->text = placeholder->text;
	return r;
}

static void lower_time_window(struct sx *sx, struct tm_op **io_op, const struct tm_expr *placeholder)
{
	const struct sx_time_window *w = placeholder->bound;
	struct tm_op *op = *io_op;
	struct tm_str name = placeholder->text;
	if (w->session) {
		struct tm_expr *args[2] = {placeholder->args[0], placeholder->args[1]};
		struct tm_expr *call = sx_call_expr(sx, &sx_kernel_session, "session_window", placeholder->type, true, args, 2);
		call->text = name;
		call->bound = w;
		op = sx_op_append(sx, op, &call, &name, 1);
		*io_op = sx_op_filter(sx, op, sx_is_null(sx, sx_op_column(sx, op, op->schema.count - 1), true));
		op = *io_op;
		op->schema.fields[op->schema.count - 1].nullable = false;
		return;
	}
	if (placeholder->args[0]->nullable)
		op = sx_op_filter(sx, op, sx_is_null(sx, placeholder->args[0], true));
	size_t windows = (size_t)((w->length_us - 1) / w->slide_us + 1);
	if (windows == 1 && w->length_us == w->slide_us) {
		struct tm_expr *call = window_call(sx, placeholder, &sx_kernel_window, placeholder->type, 0);
		call->nullable = false;
		*io_op = sx_op_append(sx, op, &call, &name, 1);
		return;
	}
	size_t have = op->schema.count;
	struct tm_op *expand = sx_op(sx, TM_OP_EXPAND, op, NULL);
	sx_schema_copy(sx, expand, op);
	sx_schema_add(sx, expand, name, placeholder->type, false);
	expand->expand_guarded.count = windows;
	expand->expand_guarded.guards = TM_NEW_N(sx->arena, struct tm_expr *, windows);
	expand->expand_guarded.projections = TM_NEW_N(sx->arena, struct tm_expr **, windows);
	for (size_t k = 0; k < windows; k++) {
		struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, have + 1);
		for (size_t i = 0; i < have; i++)
			exprs[i] = sx_op_column(sx, op, i);
		exprs[have] = window_call(sx, placeholder, &sx_kernel_window, placeholder->type, (int64_t)k);
		/* Only the oldest window may end before the row's time. */
		if (k + 1 == windows)
			expand->expand_guarded.guards[k] = window_call(sx, placeholder, &sx_kernel_in_window, &tm_type_boolean, (int64_t)k);
		expand->expand_guarded.projections[k] = exprs;
	}
	*io_op = expand;
}

struct replace_lowered {
	struct sx *sx;
	const struct sx_lowered_list *done;
};
static struct tm_expr *replace_lowered(void *ctx, struct tm_expr *e)
{
	struct replace_lowered *r = ctx;
	if (sx_kind(e) != SX_TIME_WINDOW)
		return NULL;
	for (size_t i = 0; i < r->done->count; i++)
		if (sx_same(r->done->items[i].placeholder, e))
			return sx_column_expr(r->sx, r->done->items[i].column, e->type, false, e->text);
	return NULL;
}

tm_rc sx_lower_time_windows(struct sx *sx, struct tm_op **io_op, struct sx_columns *io_columns, struct sx_lowered_list *io_done,
			    struct tm_expr **exprs, size_t n)
{
	struct collect found = {.arena = sx->arena, .kind = SX_TIME_WINDOW};
	for (size_t i = 0; i < n; i++)
		sx_any(exprs[i], collect_one, &found);
	for (size_t i = 0; i < found.found.count; i++) {
		struct tm_expr *p = found.found.items[i];
		bool known = false;
		for (size_t k = 0; k < io_done->count; k++)
			known = known || sx_same(io_done->items[k].placeholder, p);
		if (known)
			continue;
		if (io_done->count)
			return sx_fail(sx, p->line, p->column_no, "_LEGACY_ERROR_TEMP_1039", "",
				       "Multiple time/session window expressions would result in a cartesian product of rows, therefore "
				       "they are currently not supported.");
		lower_time_window(sx, io_op, p);
		size_t column = (*io_op)->schema.count - 1;
		TM_PUSH_IN(sx->arena, io_done, (struct sx_lowered){p, column});
		TM_PUSH_IN(sx->arena, io_columns, (struct sx_column){.name = p->text, .type = p->type, .index = column});
	}
	struct replace_lowered r = {sx, io_done};
	for (size_t i = 0; i < n && io_done->count; i++)
		exprs[i] = sx_rewrite(sx, exprs[i], replace_lowered, NULL, &r);
	return TM_OK;
}

/* ---- generators ---- */
tm_rc sx_generate(struct sx *sx, struct tm_op **io_op, struct tm_expr *e, size_t *ret_first)
{
	const struct sx_generator *g = e->bound;
	struct tm_op *in = *io_op;
	*ret_first = in->schema.count;
	if (g->json_tuple) {
		*io_op = sx_op_append(sx, in, e->args, g->names, g->column_count);
		return TM_OK;
	}
	struct tm_op *op = sx_op(sx, TM_OP_GENERATE, in, NULL);
	sx_schema_copy(sx, op, in);
	op->generate.list = e->args[0];
	op->generate.outer = g->outer;
	op->generate.position = g->position;
	op->generate.inline_struct = g->inline_struct;
	for (size_t i = 0; i < g->column_count; i++)
		sx_schema_add(sx, op, g->names[i], g->types[i], g->nullable[i] || g->outer);
	*io_op = op;
	return TM_OK;
}

/* ---- window functions ---- */
struct replace_windows {
	struct sx *sx;
	struct collect *found;
	const size_t *columns;
};
static struct tm_expr *replace_window(void *ctx, struct tm_expr *e)
{
	struct replace_windows *r = ctx;
	if (sx_kind(e) != SX_WINDOW)
		return NULL;
	for (size_t i = 0; i < r->found->found.count; i++)
		if (sx_same(r->found->found.items[i], e))
			return sx_column_expr(r->sx, r->columns[i], e->type, e->nullable, e->text);
	return NULL;
}

/* Subqueries in PARTITION BY and ORDER BY of w, whose lists become its own. */
static tm_rc spec_subqueries(struct sx *sx, struct tm_op **io_op, struct sx_window *w)
{
	struct tm_expr **partition = TM_NEW_N(sx->arena, struct tm_expr *, w->partition_count + 1);
	struct tm_sort_key *order = TM_NEW_N(sx->arena, struct tm_sort_key, w->order_count + 1);
	for (size_t i = 0; i < w->partition_count; i++)
		partition[i] = w->partition[i];
	for (size_t i = 0; i < w->order_count; i++)
		order[i] = w->order[i];
	TM_TRY(sx_lower_subqueries(sx, io_op, partition, w->partition_count));
	for (size_t i = 0; i < w->order_count; i++)
		TM_TRY(sx_lower_subqueries(sx, io_op, &order[i].expr, 1));
	w->partition = partition;
	w->order = order;
	return TM_OK;
}
static tm_rc argument_subqueries(struct sx *sx, struct tm_op **io_op, struct sx_window *w)
{
	TM_TRY(sx_lower_subqueries(sx, io_op, w->fn.args, w->fn.arg_count));
	return w->fn.agg ? sx_lower_subqueries(sx, io_op, w->fn.agg->args, w->fn.agg->arg_count) : TM_OK;
}

static bool nests_window(const struct tm_expr *e, const struct sx_window *w)
{
	bool nests = false;
	for (size_t i = 0; i < e->arg_count; i++)
		nests = nests || sx_has(e->args[i], SX_WINDOW);
	for (size_t i = 0; i < w->partition_count; i++)
		nests = nests || sx_has(w->partition[i], SX_WINDOW);
	for (size_t i = 0; i < w->order_count; i++)
		nests = nests || sx_has(w->order[i].expr, SX_WINDOW);
	return nests;
}

tm_rc sx_lower_windows(struct sx *sx, struct tm_op **io_op, struct tm_expr **exprs, size_t n)
{
	struct collect found = {.arena = sx->arena, .kind = SX_WINDOW};
	for (size_t i = 0; i < n; i++)
		sx_any(exprs[i], collect_one, &found);
	size_t count = found.found.count;
	if (!count)
		return TM_OK;
	size_t *columns = TM_NEW_N(sx->arena, size_t, count);
	bool *done = TM_NEW_N(sx->arena, bool, count);
	for (size_t i = 0; i < count; i++) {
		if (done[i])
			continue;
		const struct sx_window *spec = found.found.items[i]->bound;
		struct sx_window own = *spec;
		for (size_t k = i; k < count; k++)
			if (!done[k] && sx_same_spec(spec, found.found.items[k]->bound))
				TM_TRY(argument_subqueries(sx, io_op, (struct sx_window *)(uintptr_t)found.found.items[k]->bound));
		TM_TRY(spec_subqueries(sx, io_op, &own));
		struct tm_op *op = sx_op(sx, TM_OP_WINDOW, *io_op, NULL);
		sx_schema_copy(sx, op, *io_op);
		op->window.partition = own.partition;
		op->window.partition_count = own.partition_count;
		op->window.order = own.order;
		op->window.order_count = own.order_count;
		op->window.functions = TM_NEW_N(sx->arena, struct tm_window_fn *, count);
		for (size_t k = i; k < count; k++) {
			struct tm_expr *e = found.found.items[k];
			struct sx_window *w = (struct sx_window *)(uintptr_t)e->bound;
			if (done[k] || !sx_same_spec(spec, w))
				continue;
			if (nests_window(e, w))
				return sx_fail(sx, e->line, e->column_no, "UNSUPPORTED_FEATURE.NESTED_WINDOW", "0A000",
					       "A window function cannot be in another window function: \"%.*s\".", TM_STR_ARG(e->text));
			done[k] = true;
			columns[k] = op->schema.count;
			op->window.functions[op->window.function_count++] = &w->fn;
			sx_schema_add(sx, op, e->text, e->type, e->nullable);
		}
		*io_op = op;
	}
	struct replace_windows r = {sx, &found, columns};
	for (size_t i = 0; i < n; i++)
		exprs[i] = sx_rewrite(sx, exprs[i], replace_window, NULL, &r);
	return TM_OK;
}
