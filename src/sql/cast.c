/* Casts: what may be cast to what, and the plan of a cast (one function per column and pair of types, children apart). */
#include "sql/fn_int.h"
#include <math.h>

static bool is_time(const struct tm_type *t) { return t->kind == TM_T_DATE || t->kind == TM_T_TIMESTAMP || t->kind == TM_T_TIMESTAMP_NTZ; }
static bool is_ansi_interval(const struct tm_type *t) { return t->kind == TM_T_INTERVAL_YM || t->kind == TM_T_INTERVAL_DT; }
static bool is_variant(const struct tm_type *t) { return t->kind == TM_T_VARIANT; }

static bool scalar_allowed(const struct tm_type *from, const struct tm_type *to, bool legacy)
{
	enum tm_type_kind f = from->kind, t = to->kind;
	bool number_from = tm_type_numeric(from), number_to = tm_type_numeric(to);
	switch (t) {
	case TM_T_BINARY:
		return f == TM_T_STRING || (legacy && tm_type_integral(from));
	case TM_T_BOOLEAN:
		return f == TM_T_STRING || number_from || (legacy && is_time(from) && f != TM_T_TIMESTAMP_NTZ);
	case TM_T_TIMESTAMP:
		return f == TM_T_STRING || is_time(from) || number_from || (legacy && f == TM_T_BOOLEAN);
	case TM_T_TIMESTAMP_NTZ:
		return f == TM_T_STRING || is_time(from);
	case TM_T_DATE:
		return f == TM_T_STRING || is_time(from);
	case TM_T_TIME:
		return f == TM_T_STRING || f == TM_T_TIME || f == TM_T_TIMESTAMP || f == TM_T_TIMESTAMP_NTZ;
	case TM_T_INTERVAL:
		return f == TM_T_STRING;
	case TM_T_INTERVAL_YM:
	case TM_T_INTERVAL_DT:
		return f == TM_T_STRING || f == t || (tm_type_integral(from) && to->from_field == to->to_field);
	default:
		break;
	}
	if (!number_to)
		return false;
	if (number_from || f == TM_T_STRING || f == TM_T_BOOLEAN || f == TM_T_TIMESTAMP)
		return true;
	if (is_ansi_interval(from))
		return tm_type_integral(to) || t == TM_T_DECIMAL;
	return legacy && f == TM_T_DATE;
}

bool tm_cast_allowed(const struct tm_type *from, const struct tm_type *to, enum tm_cast_mode mode)
{
	bool legacy = mode == TM_CAST_LEGACY;
	if (tm_type_same(from, to) || from->kind == TM_T_NULL || to->kind == TM_T_STRING)
		return true;
	if (is_variant(from))
		return to->kind != TM_T_BINARY || true;
	if (is_variant(to))
		return from->kind != TM_T_INTERVAL;
	if (from->kind != to->kind || from->child_count == 0)
		return from->child_count == 0 && to->child_count == 0 && scalar_allowed(from, to, legacy);
	if (from->child_count != to->child_count)
		return false;
	for (size_t i = 0; i < from->child_count; i++)
		if (!tm_cast_allowed(from->children[i], to->children[i], mode))
			return false;
	return true;
}

/* ---- runs that are not about numbers, text or time ---- */
void cast_begin(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	tm_column_init(out, ev->arena, p->to, rows);
	if (in->valid) {
		uint8_t *v = tm_arena_alloc(ev->arena, rows ? rows : 1);
		memcpy(v, in->valid, rows);
		out->valid = v;
	}
}

tm_rc cast_identity(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	(void)ev;
	*out = *in;
	out->type = p->to;
	out->rows = rows;
	return TM_OK;
}

tm_rc cast_null(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	(void)in;
	tm_column_init(out, ev->arena, p->to, rows);
	memset(tm_column_need_valid(out, ev->arena), 0, rows);
	return TM_OK;
}

/* Child columns: only the elements in use are cast, so that what no list shows cannot fail. */
static tm_rc cast_list(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	uint32_t *index;
	size_t n;
	cast_begin(ev, p, in, rows, out);
	fn_list_compact(ev, in, rows, out->span, &index, &n);
	out->children = TM_NEW_N(ev->arena, struct tm_column, p->to->child_count);
	for (size_t c = 0; c < p->to->child_count; c++) {
		struct tm_column used;
		tm_column_take(&used, ev->arena, &in->children[c], index, n);
		tm_column_flatten(&used, ev->arena);
		TM_TRY(p->children[c]->run(ev, p->children[c], &used, n, &out->children[c]));
	}
	return TM_OK;
}

tm_rc cast_nested(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	if (p->to->kind != TM_T_STRUCT)
		return cast_list(ev, p, in, rows, out);
	*out = (struct tm_column){.type = p->to, .rows = rows, .valid = in->valid};
	out->children = TM_NEW_N(ev->arena, struct tm_column, p->to->child_count + 1);
	for (size_t c = 0; c < p->to->child_count; c++) {
		struct tm_column child = in->children[c];
		tm_column_flatten(&child, ev->arena);
		if (in->valid) { /* the fields of a null struct do not count */
			uint8_t *v = tm_arena_alloc(ev->arena, rows ? rows : 1);
			for (size_t i = 0; i < rows; i++)
				v[i] = in->valid[i] && (!child.valid || child.valid[i]);
			child.valid = v;
		}
		TM_TRY(p->children[c]->run(ev, p->children[c], &child, rows, &out->children[c]));
	}
	return TM_OK;
}

tm_rc cast_binary_string(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t rows, struct tm_column *out)
{
	return cast_identity(ev, p, in, rows, out);
}

/* ---- plans ---- */
const struct cast_plan *cast_plan_new(struct tm_arena *arena, const struct tm_type *from, const struct tm_type *to, enum tm_cast_mode mode)
{
	if (!tm_cast_allowed(from, to, mode))
		return NULL;
	struct cast_plan *p = TM_NEW(arena, struct cast_plan);
	p->from = from;
	p->to = to;
	p->mode = mode;
	if (from->kind == TM_T_NULL) {
		p->run = cast_null;
	} else if (tm_type_eq(from, to)) {
		p->run = cast_identity;
	} else if (from->kind == TM_T_STRING && to->kind == TM_T_STRING) {
		p->run = cast_from_string_run(to);
	} else if (from->kind == TM_T_VARIANT) {
		p->run = cast_variant_run(from, to);
	} else if (to->kind == TM_T_STRING) {
		p->run = from->kind == TM_T_BINARY ? cast_binary_string : cast_to_string;
	} else if (to->kind == TM_T_BINARY && from->kind == TM_T_STRING) {
		p->run = cast_binary_string;
	} else if (from->child_count && from->kind == to->kind) {
		p->run = cast_nested;
		p->children = TM_NEW_N(arena, const struct cast_plan *, from->child_count);
		for (size_t i = 0; i < from->child_count; i++)
			if (!(p->children[i] = cast_plan_new(arena, from->children[i], to->children[i], mode)))
				return NULL;
	} else if (from->kind == TM_T_STRING) {
		p->run = cast_from_string_run(to);
	} else {
		p->run = cast_numeric_run(from->kind, to->kind);
		if (!p->run)
			p->run = cast_time_run(from, to);
	}
	return p->run ? p : NULL;
}

static tm_rc eval_cast(FN_EVAL_ARGS)
{
	const struct cast_plan *p = call->bound;
	return p->run(ev, p, &args[0], ev->rows, ret);
}
static const struct tm_kernel kernel_cast = {.name = "cast", .eval = eval_cast};

/* Can a cast of a value that is not null give null? */
static bool makes_null(const struct tm_type *from, const struct tm_type *to, enum tm_cast_mode mode)
{
	if (tm_type_eq(from, to) || to->kind == TM_T_STRING || mode == TM_CAST_ANSI)
		return from->kind == TM_T_NULL;
	if (mode == TM_CAST_TRY)
		return !(tm_type_numeric(from) && tm_type_numeric(to) && to->kind > from->kind && to->kind != TM_T_DECIMAL);
	if (from->kind == TM_T_STRING)
		return to->kind != TM_T_BINARY;
	return to->kind == TM_T_DECIMAL || ((from->kind == TM_T_FLOAT || from->kind == TM_T_DOUBLE) && to->kind == TM_T_TIMESTAMP);
}

static tm_rc refuse(struct tm_session const *session, struct tm_arena *arena, const struct tm_expr *value, const struct tm_type *to,
		    enum tm_cast_mode mode, struct tm_err *err)
{
	struct tm_str f = fn_type_sql(arena, value->type), t = fn_type_sql(arena, to), text = value->text;
	const struct tm_type *from = value->type;
	const char *klass = "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION";
	struct tm_str more = TM_STR("");
	const char *function = to->kind == TM_T_DATE && tm_type_numeric(from)   ? "DATE_FROM_UNIX_DATE"
			       : from->kind == TM_T_DATE && tm_type_numeric(to) ? "UNIX_DATE"
										: NULL;
	bool ansi = mode != TM_CAST_LEGACY || session->ansi;
	if (ansi && function && mode != TM_CAST_LEGACY) {
		klass = "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION";
		more = tm_arena_printf(arena, "\nTo convert values from \"%.*s\" to \"%.*s\", you can use the functions `%s` instead.",
				       TM_STR_ARG(f), TM_STR_ARG(t), function);
	} else if (mode == TM_CAST_ANSI && tm_cast_allowed(from, to, TM_CAST_LEGACY)) {
		klass = "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION";
		more = tm_arena_printf(
		    arena,
		    " with ANSI mode on.\nIf you have to cast \"%.*s\" to \"%.*s\", you can set \"spark.sql.ansi.enabled\" as 'false'.",
		    TM_STR_ARG(f), TM_STR_ARG(t));
	}
	tm_rc rc =
	    tm_fail_class(err, TM_INVALID, klass, "42K09",
			  "Cannot resolve \"%sCAST(%.*s AS %.*s)\" due to data type mismatch: cannot cast \"%.*s\" to \"%.*s\"%s%.*s",
			  mode == TM_CAST_TRY ? "TRY_" : "", TM_STR_ARG(text), TM_STR_ARG(t), TM_STR_ARG(f), TM_STR_ARG(t),
			  more.len && more.at[0] == ' ' ? "" : ".", TM_STR_ARG(more));
	tm_err_at(err, NULL, value->line, value->column_no);
	return rc;
}

/* CHAR(n) and VARCHAR(n) are plain strings in casts. */
static const struct tm_type *plain_strings(struct tm_arena *arena, const struct tm_type *t)
{
	if (t->kind == TM_T_STRING && t->length)
		return &tm_type_string;
	if (!t->child_count)
		return t;
	struct tm_type *copy = TM_NEW(arena, struct tm_type);
	const struct tm_type **children = TM_NEW_N(arena, const struct tm_type *, t->child_count);
	bool same = true;
	for (size_t i = 0; i < t->child_count; i++) {
		children[i] = plain_strings(arena, t->children[i]);
		same &= children[i] == t->children[i];
	}
	*copy = *t;
	copy->children = children;
	return same ? t : copy;
}

bool tm_cast_same(const struct tm_expr *a, const struct tm_expr *b)
{
	return a->kernel == &kernel_cast && b->kernel == &kernel_cast &&
	       ((const struct cast_plan *)a->bound)->mode == ((const struct cast_plan *)b->bound)->mode;
}

tm_rc tm_cast_bind(struct tm_arena *arena, const struct tm_session *session, struct tm_expr *value, const struct tm_type *to,
		   enum tm_cast_mode mode, struct tm_expr **ret, struct tm_err *err)
{
	to = plain_strings(arena, to);
	if (tm_type_eq(value->type, to)) {
		*ret = value;
		return TM_OK;
	}
	const struct cast_plan *plan = cast_plan_new(arena, value->type, to, mode);
	if (!plan)
		return refuse(session, arena, value, to, mode, err);
	if (value->kind == TM_EXPR_LITERAL)
		((struct cast_plan *)plan)->special = true;
	struct tm_expr *e = TM_NEW(arena, struct tm_expr);
	e->kind = TM_EXPR_CALL;
	e->type = to;
	e->nullable = value->nullable || makes_null(value->type, to, mode);
	e->kernel = &kernel_cast;
	e->bound = plan;
	e->arg_count = 1;
	e->args = TM_NEW(arena, struct tm_expr *);
	e->args[0] = value;
	e->line = value->line;
	e->column_no = value->column_no;
	struct tm_str type = fn_type_sql(arena, to);
	e->text =
	    tm_arena_printf(arena, "%sCAST(%.*s AS %.*s)", mode == TM_CAST_TRY ? "TRY_" : "", TM_STR_ARG(value->text), TM_STR_ARG(type));
	*ret = e;
	return TM_OK;
}

/* ---- errors ---- */
static struct tm_str value_sql(struct tm_eval *ev, const struct tm_column *in, size_t row)
{
	struct tm_buf text = {0};
	fn_value_sql(ev->session, in, row, &text);
	struct tm_str s = tm_arena_str(ev->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	return s;
}

tm_rc cast_invalid(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row)
{
	struct tm_str v = value_sql(ev, in, row), f = fn_type_sql(ev->arena, p->from), t = fn_type_sql(ev->arena, p->to);
	return tm_fail_class(ev->err, TM_DATA, "CAST_INVALID_INPUT", "22018",
			     "The value %.*s of the type \"%.*s\" cannot be cast to \"%.*s\" because it is malformed. Correct the value as "
			     "per the syntax, or change its "
			     "target type. Use `try_cast` to tolerate malformed input and return NULL instead.",
			     TM_STR_ARG(v), TM_STR_ARG(f), TM_STR_ARG(t));
}

tm_rc cast_overflow(struct tm_eval *ev, const struct cast_plan *p, const struct tm_column *in, size_t row)
{
	struct tm_str v = value_sql(ev, in, row), f = fn_type_sql(ev->arena, p->from), t = fn_type_sql(ev->arena, p->to);
	return tm_fail_class(ev->err, TM_DATA, "CAST_OVERFLOW", "22003",
			     "The value %.*s of the type \"%.*s\" cannot be cast to \"%.*s\" due to an overflow. Use `try_cast` to "
			     "tolerate overflow and return NULL instead.",
			     TM_STR_ARG(v), TM_STR_ARG(f), TM_STR_ARG(t));
}

tm_rc cast_decimal_range(struct tm_eval *ev, const struct tm_type *to, struct tm_str value)
{
	return tm_fail_class(ev->err, TM_DATA, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "22003",
			     " %.*s cannot be represented as Decimal(%d, %d). If necessary set \"spark.sql.ansi.enabled\" to \"false\" to "
			     "bypass this error, and return NULL "
			     "instead.",
			     TM_STR_ARG(value), to->precision, to->scale);
}

tm_rc cast_decimal_value_range(struct tm_eval *ev, const struct tm_type *to, i128 v, int scale)
{
	struct tm_buf text = {0};
	tm_decimal_text(v, scale, &text);
	tm_rc rc = cast_decimal_range(ev, to, tm_buf_str(&text));
	tm_buf_done(&text);
	return rc;
}
