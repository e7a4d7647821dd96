/* The frame of a window: its bounds, how they are shown, and what Spark refuses of them (its SpecifiedWindowFrame and
 * WindowSpecDefinition). */
#include "sql/sql_int.h"
#include <stdio.h>

struct bound {
	enum tm_frame_bound at;
	struct tm_expr *offset; /* NULL: the bound has none */
	const struct tm_type *type;
	const char *name;
};

static bool has_offset(enum tm_frame_bound b) { return b == TM_FRAME_PRECEDING || b == TM_FRAME_FOLLOWING; }

/* cast: what Spark shows is no longer a negated offset then, but an expression. */
static struct tm_str bound_text(struct sx *sx, enum tm_frame_bound bound, struct tm_str offset, bool cast)
{
	switch (bound) {
	case TM_FRAME_UNBOUNDED_PRECEDING:
		return TM_STR("UNBOUNDED PRECEDING");
	case TM_FRAME_UNBOUNDED_FOLLOWING:
		return TM_STR("UNBOUNDED FOLLOWING");
	case TM_FRAME_CURRENT_ROW:
		return TM_STR("CURRENT ROW");
	case TM_FRAME_PRECEDING:
		return cast ? sx_text(sx, "(- %.*s) FOLLOWING", TM_STR_ARG(offset)) : sx_text(sx, "%.*s PRECEDING", TM_STR_ARG(offset));
	default:
		return sx_text(sx, "%.*s FOLLOWING", TM_STR_ARG(offset));
	}
}

struct tm_str sx_frame_text(struct sx *sx, const struct sx_window *w)
{
	const struct tm_window_fn *fn = &w->fn;
	struct tm_str none = {0};
	struct tm_str from = fn->from_offset ? w->from_text : bound_text(sx, fn->from, none, false),
		      to = fn->to_offset ? w->to_text : bound_text(sx, fn->to, none, false);
	return sx_text(sx, "%s BETWEEN %.*s AND %.*s", fn->rows_frame ? "ROWS" : "RANGE", TM_STR_ARG(from), TM_STR_ARG(to));
}

struct tm_str sx_spec_text(struct sx *sx, const struct sx_window *w, struct tm_str frame)
{
	struct tm_buf b = {0};
	tm_buf_char(&b, '(');
	if (w->partition_count)
		tm_buf_printf(&b, "PARTITION BY %.*s ", TM_STR_ARG(sx_text_list(sx, w->partition, w->partition_count)));
	for (size_t i = 0; i < w->order_count; i++)
		tm_buf_printf(&b, "%s%.*s %s NULLS %s%s", i ? ", " : "ORDER BY ", TM_STR_ARG(w->order[i].expr->text),
			      w->order[i].descending ? "DESC" : "ASC", w->order[i].nulls_last ? "LAST" : "FIRST",
			      i + 1 == w->order_count ? " " : "");
	tm_buf_printf(&b, "%.*s)", TM_STR_ARG(frame));
	struct tm_str s = tm_arena_str(sx->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

static bool is_interval(const struct tm_type *t)
{
	return t->kind == TM_T_INTERVAL || t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT;
}

/* As written in Spark's plan: a bound before the row is negative. */
static struct tm_str signed_text(struct sx *sx, const struct bound *b)
{
	if (!b->offset)
		return bound_text(sx, b->at, (struct tm_str){0}, false);
	return sx_text(sx, b->at == TM_FRAME_PRECEDING ? "(- %.*s)" : "%.*s", TM_STR_ARG(b->offset->text));
}

static tm_rc mismatch_of(struct sx *sx, const struct ast_window *at, const char *klass, struct tm_str what, struct tm_str why)
{
	char full[96];
	snprintf(full, sizeof full, "DATATYPE_MISMATCH.%s", klass);
	return sx_fail(sx, at->line, at->column, full, "42K09", "Cannot resolve \"%.*s\" due to data type mismatch: %.*s", TM_STR_ARG(what),
		       TM_STR_ARG(why));
}

static tm_rc mismatch(struct sx *sx, const struct ast_window *at, const char *klass, const struct sx_window *w, struct tm_str why)
{
	return mismatch_of(sx, at, klass, sx_frame_text(sx, w), why);
}

static tm_rc check_bound(struct sx *sx, const struct ast_window *at, const struct sx_window *w, const struct bound *b)
{
	if (!b->offset)
		return TM_OK;
	bool rows = w->fn.rows_frame;
	if (!sx_constant(b->offset))
		return mismatch(sx, at, "SPECIFIED_WINDOW_FRAME_WITHOUT_FOLDABLE", w,
				sx_text(sx, "Window frame %s bound \"%.*s\" is not a literal.", b->name, TM_STR_ARG(b->offset->text)));
	if (rows ? b->type->kind == TM_T_INT : tm_type_numeric(b->type) || is_interval(b->type))
		return TM_OK;
	return mismatch(
	    sx, at, "SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE", w,
	    sx_text(sx, "The data type of the %s bound \"%s\" does not match the expected data type %s.", b->name, sx_type_sql(sx, b->type),
		    rows ? "\"INT\"" : "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")"));
}

static tm_rc signed_offset(struct sx_env *env, const struct ast_window *at, const struct bound *b, struct tm_expr **ret)
{
	*ret = b->offset;
	return b->at == TM_FRAME_PRECEDING ? sx_call(env, "negative", ret, 1, at->line, at->column, ret) : TM_OK;
}

static tm_rc check_order_of_bounds(struct sx_env *env, const struct ast_window *at, const struct sx_window *w, const struct bound *from,
				   const struct bound *to)
{
	struct sx *sx = env->sx;
	if (from->at == TM_FRAME_UNBOUNDED_FOLLOWING || to->at == TM_FRAME_UNBOUNDED_PRECEDING)
		return mismatch(sx, at, "SPECIFIED_WINDOW_FRAME_INVALID_BOUND", w,
				sx_text(sx, "Window frame upper bound \"%.*s\" does not follow the lower bound \"%.*s\".",
					TM_STR_ARG(signed_text(sx, to)), TM_STR_ARG(signed_text(sx, from))));
	if (!from->offset || !to->offset)
		return TM_OK;
	if (!tm_type_same(from->type, to->type))
		return mismatch(sx, at, "SPECIFIED_WINDOW_FRAME_DIFF_TYPES", w,
				sx_text(sx, "Window frame bounds \"%.*s\" and \"%.*s\" do not have the same type: \"%s\" <> \"%s\".",
					TM_STR_ARG(signed_text(sx, from)), TM_STR_ARG(signed_text(sx, to)), sx_type_sql(sx, from->type),
					sx_type_sql(sx, to->type)));
	struct tm_expr *pair[2], *later;
	TM_TRY(signed_offset(env, at, from, &pair[0]));
	TM_TRY(signed_offset(env, at, to, &pair[1]));
	TM_TRY(sx_call(env, ">", pair, 2, at->line, at->column, &later));
	const struct tm_column *v = sx_value(sx, later);
	if (v && !tm_is_null(v, 0) && v->boolean[0])
		return mismatch(sx, at, "SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON", w,
				TM_STR("The lower bound of a window frame must be less than or equal to the upper bound."));
	return TM_OK;
}

static bool range_fits(const struct tm_type *order, const struct tm_type *offset)
{
	switch (order->kind) {
	case TM_T_DATE:
		return offset->kind == TM_T_INT || offset->kind == TM_T_INTERVAL_YM || tm_type_same(offset, order) ||
		       (offset->kind == TM_T_INTERVAL_DT && offset->from_field == TM_F_DAY && offset->to_field == TM_F_DAY);
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
		return is_interval(offset) || tm_type_same(offset, order);
	default:
		return tm_type_same(offset, order);
	}
}

static tm_rc check_range(struct sx *sx, const struct ast_window *at, const struct sx_window *w, const struct bound *value)
{
	struct tm_str whole = sx_spec_text(sx, w, sx_frame_text(sx, w));
	if (!w->order_count)
		return mismatch_of(sx, at, "RANGE_FRAME_WITHOUT_ORDER", whole,
				   TM_STR("A range window frame cannot be used in an unordered window specification."));
	if (!value)
		return TM_OK;
	if (w->order_count > 1)
		return mismatch_of(
		    sx, at, "RANGE_FRAME_MULTI_ORDER", whole,
		    TM_STR("A range window frame with value boundaries cannot be used in a window specification with multiple "
			   "order by expressions."));
	const struct tm_type *order = w->order[0].expr->type;
	if (range_fits(order, value->type))
		return TM_OK;
	return mismatch_of(
	    sx, at, "RANGE_FRAME_INVALID_TYPE", whole,
	    sx_text(sx,
		    "The data type \"%s\" used in the order specification does not support the data type \"%s\" which is used in "
		    "the range frame.",
		    sx_type_sql(sx, order), sx_type_sql(sx, value->type)));
}

static tm_rc resolve_bound(struct sx_env *env, const struct ast_expr *ast, struct sx_window *w, struct bound *b, struct tm_str *ret_text)
{
	struct sx *sx = env->sx;
	if (!has_offset(b->at) || !ast)
		return TM_OK;
	TM_TRY(sx_resolve(env, ast, &b->offset));
	struct tm_str text = b->offset->text;
	b->type = b->offset->type;
	if (b->at == TM_FRAME_PRECEDING && b->type->kind == TM_T_STRING) /* it was negated */
		b->type = &tm_type_double;
	const struct tm_type *order = !w->fn.rows_frame && w->order_count == 1 ? w->order[0].expr->type : NULL;
	bool time = order && (order->kind == TM_T_DATE || order->kind == TM_T_TIMESTAMP || order->kind == TM_T_TIMESTAMP_NTZ);
	bool cast = order && !time && !tm_type_same(b->type, order) && tm_cast_allowed(b->type, order, TM_CAST_ANSI);
	if (cast) {
		TM_TRY(sx_cast(sx, b->offset, order, &b->offset));
		b->type = order;
	}
	*ret_text = bound_text(sx, b->at, text, cast);
	return TM_OK;
}

tm_rc sx_frame_resolve(struct sx_env *env, const struct ast_window *frame, struct sx_window *ret)
{
	struct tm_window_fn *fn = &ret->fn;
	if (!frame->frame) {
		fn->rows_frame = !ret->order_count;
		fn->from = TM_FRAME_UNBOUNDED_PRECEDING;
		fn->to = ret->order_count ? TM_FRAME_CURRENT_ROW : TM_FRAME_UNBOUNDED_FOLLOWING;
		return TM_OK;
	}
	fn->rows_frame = frame->rows;
	fn->from = (enum tm_frame_bound)frame->from;
	fn->to = (enum tm_frame_bound)frame->to;
	struct bound from = {.at = fn->from}, to = {.at = fn->to};
	TM_TRY(resolve_bound(env, frame->from_offset, ret, &from, &ret->from_text));
	TM_TRY(resolve_bound(env, frame->to_offset, ret, &to, &ret->to_text));
	fn->from_offset = from.offset;
	fn->to_offset = to.offset;
	ret->from_type = from.type;
	ret->to_type = to.type;
	ret->frame_given = true;
	return TM_OK;
}

tm_rc sx_frame_check(struct sx_env *env, const struct ast_window *at, const struct sx_window *w)
{
	const struct tm_window_fn *fn = &w->fn;
	const struct bound from = {fn->from, fn->from_offset, w->from_type, "lower"}, to = {fn->to, fn->to_offset, w->to_type, "upper"};
	if (!w->frame_given)
		return TM_OK;
	TM_TRY(check_bound(env->sx, at, w, &from));
	TM_TRY(check_bound(env->sx, at, w, &to));
	TM_TRY(check_order_of_bounds(env, at, w, &from, &to));
	return fn->rows_frame ? TM_OK : check_range(env->sx, at, w, from.offset ? &from : to.offset ? &to : NULL);
}
