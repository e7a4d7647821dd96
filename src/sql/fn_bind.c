/* What bindings and kernels share: implicit casts, results, signatures, error classes.
 *
 * A signature names the arguments' types, then > and the result's: s STRING, x STRING or BINARY, b BINARY, z BOOLEAN, t TINYINT,
 * i INT, l BIGINT, f FLOAT, d DOUBLE, D DATE, T TIMESTAMP, N TIMESTAMP_NTZ, n any number (a string becomes DOUBLE), a anything,
 * A any array, M any map; * after a letter repeats it. Results also: 0..9 the type of that argument, S ARRAY<STRING>, v VARIANT;
 * ? after it: nullable whatever the arguments. ! before a letter: no implicit cast (Spark's ExpectsInputTypes). */
#include "sql/fn_int.h"
#include <stdarg.h>
#include <stdio.h>

void fn_begin_raw(struct tm_eval *ev, const struct tm_expr *call, struct tm_column *ret)
{
	tm_column_init(ret, ev->arena, call->type, ev->rows);
}

void fn_begin(FN_EVAL_ARGS)
{
	tm_column_init(ret, ev->arena, call->type, ev->rows);
	for (size_t a = 0; a < call->arg_count; a++) {
		const struct tm_column *c = &args[a];
		bool all = c->type->kind == TM_T_NULL || (c->constant && c->valid && !c->valid[0]);
		if (!all && (!c->valid || c->constant))
			continue;
		uint8_t *v = tm_column_need_valid(ret, ev->arena);
		if (all)
			memset(v, 0, ev->rows);
		else
			for (size_t i = 0; i < ev->rows; i++)
				v[i] &= c->valid[i];
	}
}

void fn_null(struct tm_eval *ev, struct tm_column *ret, size_t row) { tm_column_need_valid(ret, ev->arena)[row] = 0; }

struct tm_str fn_copy(struct tm_eval *ev, const void *data, size_t n)
{
	char *p = tm_arena_alloc(ev->arena, n ? n : 1);
	if (n)
		memcpy(p, data, n);
	return tm_str_n(p, n);
}

struct tm_str fn_buf(struct tm_eval *ev, struct tm_buf *b)
{
	struct tm_str s = fn_copy(ev, b->at, b->len);
	b->len = 0;
	return s;
}

tm_rc fn_try(struct tm_eval *ev, size_t size, void **ret)
{
	void *p = tm_arena_try(ev->arena, size ? size : 1);
	if (!p)
		return tm_fail(ev->err, TM_LIMIT, "a value of %zu bytes does not fit the memory of this query", size);
	*ret = p;
	return TM_OK;
}

tm_rc fn_text_limit(struct tm_eval *ev, const struct tm_buf *b)
{
	if (b->len <= TM_LIMIT_VALUES_BYTES)
		return TM_OK;
	return tm_fail(ev->err, TM_LIMIT, "a text of more than %zu bytes does not fit the memory of this query", TM_LIMIT_VALUES_BYTES);
}

/* ---- binding ---- */
bool fn_any_nullable(const struct tm_fn_bind *b)
{
	for (size_t i = 0; i < b->arg_count; i++)
		if (b->args[i].nullable)
			return true;
	return false;
}

tm_rc fn_is(struct tm_fn_bind *b, const struct tm_kernel *kernel, const struct tm_type *type, bool nullable)
{
	b->kernel = kernel;
	b->type = type;
	b->nullable = nullable;
	return TM_OK;
}

tm_rc fn_is_agg(struct tm_fn_bind *b, const struct tm_agg_kernel *agg, const struct tm_type *type, bool nullable)
{
	b->agg = agg;
	b->type = type;
	b->nullable = nullable;
	return TM_OK;
}

tm_rc fn_bind_try(struct tm_fn_bind *b, const struct tm_kernel *kernel, const struct tm_type *type, struct tm_err *err)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, kernel, type, fn_any_nullable(b) || fn_variant(b));
}

static bool infix(const char *name)
{
	return !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_') || strcmp(name, "div") == 0 || strcmp(name, "and") == 0 ||
	       strcmp(name, "or") == 0;
}

struct tm_str fn_call_text(struct tm_fn_bind *b)
{
	struct tm_buf t = {0};
	bool op = infix(b->fn->name) && b->arg_count == 2;
	if (!op)
		tm_buf_cstr_put(&t, b->fn->name);
	tm_buf_char(&t, '(');
	for (size_t i = 0; i < b->arg_count; i++) {
		if (i)
			tm_buf_printf(&t, op ? " %s " : "%s ", op ? b->fn->name : ",");
		if (b->args[i].expr)
			tm_buf_str_put(&t, b->args[i].expr->text);
	}
	tm_buf_char(&t, ')');
	struct tm_str s = tm_arena_str(b->arena, tm_buf_str(&t));
	tm_buf_done(&t);
	return s;
}

struct tm_str fn_type_sql(struct tm_arena *arena, const struct tm_type *t)
{
	struct tm_buf text = {0};
	tm_type_sql(t, &text);
	struct tm_str s = tm_arena_str(arena, tm_buf_str(&text));
	tm_buf_done(&text);
	return s;
}

tm_rc fn_mismatch(struct tm_fn_bind *b, struct tm_err *err, const char *klass, const char *fmt, ...)
{
	char name[96];
	va_list ap;
	va_start(ap, fmt);
	struct tm_str why = tm_arena_vprintf(b->arena, fmt, ap);
	va_end(ap);
	snprintf(name, sizeof name, "DATATYPE_MISMATCH.%s", klass);
	struct tm_str text = fn_call_text(b);
	return tm_fail_class(err, TM_INVALID, name, "42K09", "Cannot resolve \"%.*s\" due to data type mismatch: %.*s", TM_STR_ARG(text),
			     TM_STR_ARG(why));
}

static const char *const ordinals[] = {"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"};
tm_rc fn_unexpected_type(struct tm_fn_bind *b, size_t i, const char *required, struct tm_err *err)
{
	struct tm_str has = b->args[i].type ? fn_type_sql(b->arena, b->args[i].type) : TM_STR("LAMBDA");
	struct tm_str text = b->args[i].expr ? b->args[i].expr->text : (struct tm_str){"", 0};
	const char *quote = *required == '(' ? "" : "\""; /* a list of types has its own */
	return fn_mismatch(b, err, "UNEXPECTED_INPUT_TYPE",
			   "The %s parameter requires the %s%s%s type, however \"%.*s\" has the type \"%.*s\".",
			   i < 10 ? ordinals[i] : "given", quote, required, quote, TM_STR_ARG(text), TM_STR_ARG(has));
}

tm_rc fn_different_types(struct tm_fn_bind *b, size_t from, size_t to, struct tm_err *err)
{
	struct tm_buf list = {0};
	for (size_t i = from; i < to; i++) {
		tm_buf_cstr_put(&list, i > from ? ", \"" : "\"");
		tm_type_sql(b->args[i].type, &list);
		tm_buf_char(&list, '"');
	}
	struct tm_str types = tm_arena_str(b->arena, tm_buf_str(&list));
	tm_buf_done(&list);
	return fn_mismatch(b, err, "DATA_DIFF_TYPES", "Input to `%s` should all be the same type, but it's [%.*s].", b->fn->name,
			   TM_STR_ARG(types));
}

tm_rc fn_unorderable(struct tm_fn_bind *b, const struct tm_type *t, struct tm_err *err)
{
	struct tm_str sql = fn_type_sql(b->arena, t);
	return fn_mismatch(b, err, "INVALID_ORDERING_TYPE", "The `%s` does not support ordering on type \"%.*s\".", b->fn->name,
			   TM_STR_ARG(sql));
}

tm_rc fn_want(struct tm_fn_bind *b, size_t i, const struct tm_type *to, struct tm_err *err)
{
	const struct tm_type *from = fn_type(b, i);
	if (from && tm_type_eq(from, to))
		return TM_OK;
	if (!from || !tm_cast_implicit(from, to, b->session->ansi)) {
		struct tm_str sql = fn_type_sql(b->arena, to);
		return fn_unexpected_type(b, i, sql.at, err);
	}
	b->cast[i] = to;
	return TM_OK;
}

tm_rc fn_want_common(struct tm_fn_bind *b, size_t from, size_t to, const struct tm_type **ret, struct tm_err *err)
{
	const struct tm_type *t = &tm_type_null;
	bool ok = true;
	for (int pass = 0; pass < 2; pass++) /* strings last: what they become depends on all the others */
		for (size_t i = from; i < to && ok; i++)
			if ((fn_kind(b, i, TM_T_STRING)) == (pass == 1)) {
				t = tm_type_common(b->arena, t, fn_type(b, i), b->session->ansi);
				ok = t != NULL;
			}
	if (!ok)
		return fn_different_types(b, from, to, err);
	for (size_t i = from; i < to; i++)
		if (!tm_type_eq(fn_type(b, i), t))
			b->cast[i] = t;
	*ret = t;
	return TM_OK;
}

bool fn_literal_str(const struct tm_fn_bind *b, size_t i, struct tm_str *ret)
{
	const struct tm_column *c = i < b->arg_count ? b->args[i].literal : NULL;
	if (!c || tm_is_null(c, 0) || (c->type->kind != TM_T_STRING && c->type->kind != TM_T_BINARY))
		return false;
	*ret = c->str[0];
	return true;
}

bool fn_literal_double(const struct tm_fn_bind *b, size_t i, double *ret)
{
	const struct tm_column *c = i < b->arg_count ? b->args[i].literal : NULL;
	if (!c || tm_is_null(c, 0))
		return false;
	switch (c->type->kind) {
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
		*ret = (double)tm_value_integer(c, 0);
		return true;
	case TM_T_FLOAT:
		*ret = (double)c->f32[0];
		return true;
	case TM_T_DOUBLE:
		*ret = c->f64[0];
		return true;
	case TM_T_DECIMAL:
		*ret = tm_decimal_to_double(c->i128[0], c->type->scale);
		return true;
	case TM_T_STRING:
		return tm_double_parse(c->str[0], ret);
	default:
		return false;
	}
}

bool fn_literal_int(const struct tm_fn_bind *b, size_t i, int64_t *ret)
{
	const struct tm_column *c = i < b->arg_count ? b->args[i].literal : NULL;
	if (c && !tm_is_null(c, 0) && c->type->kind == TM_T_BIGINT) {
		*ret = c->i64[0];
		return true;
	}
	double d;
	if (!fn_literal_double(b, i, &d) || !(d > -9.2e18 && d < 9.2e18))
		return false;
	*ret = (int64_t)d;
	return true;
}

bool fn_option(const struct tm_fn_bind *b, size_t arg, const char *name, struct tm_str *ret)
{
	const struct tm_column *m = arg < b->arg_count ? b->args[arg].literal : NULL;
	if (!m || m->type->kind != TM_T_MAP || tm_is_null(m, 0) || m->type->children[0]->kind != TM_T_STRING ||
	    m->type->children[1]->kind != TM_T_STRING)
		return false;
	struct tm_span s = m->span[0];
	for (uint32_t i = s.from; i < s.from + s.count; i++)
		if (tm_str_iis(m->children[0].str[tm_row(&m->children[0], i)], name) && !tm_is_null(&m->children[1], i)) {
			*ret = m->children[1].str[tm_row(&m->children[1], i)];
			return true;
		}
	return false;
}

static const struct tm_type *letter_type(struct tm_fn_bind *b, char c)
{
	switch (c) {
	case 's':
		return &tm_type_string;
	case 'b':
		return &tm_type_binary;
	case 'z':
		return &tm_type_boolean;
	case 't':
		return &tm_type_tinyint;
	case 'i':
		return &tm_type_int;
	case 'l':
		return &tm_type_bigint;
	case 'f':
		return &tm_type_float;
	case 'd':
		return &tm_type_double;
	case 'D':
		return &tm_type_date;
	case 'T':
		return &tm_type_timestamp;
	case 'N':
		return &tm_type_timestamp_ntz;
	case 'v':
		return &tm_type_variant;
	case 'S':
		return tm_type_array(b->arena, &tm_type_string, true);
	case 'V':
		return &tm_type_null;
	default:
		TM_ASSERT(c >= '0' && c <= '9');
		return fn_type(b, (size_t)(c - '0'));
	}
}

static tm_rc want_letter(struct tm_fn_bind *b, size_t i, char c, struct tm_err *err)
{
	const struct tm_type *t = b->args[i].type;
	if (!t)
		return fn_unexpected_type(b, i, "ANY", err);
	switch (c) {
	case 'a':
		return TM_OK;
	case 'x':
		return t->kind == TM_T_BINARY ? TM_OK : fn_want(b, i, &tm_type_string, err);
	case 'n':
		return tm_type_numeric(t)                               ? TM_OK
		       : t->kind == TM_T_STRING || t->kind == TM_T_NULL ? fn_want(b, i, &tm_type_double, err)
									: fn_unexpected_type(b, i, "NUMERIC", err);
	case 'A':
		if (t->kind == TM_T_NULL)
			return fn_want(b, i, tm_type_array(b->arena, &tm_type_null, true), err);
		return t->kind == TM_T_ARRAY ? TM_OK : fn_unexpected_type(b, i, "ARRAY", err);
	case 'M':
		if (t->kind == TM_T_NULL)
			return fn_want(b, i, tm_type_map(b->arena, &tm_type_null, &tm_type_null, true), err);
		return t->kind == TM_T_MAP ? TM_OK : fn_unexpected_type(b, i, "MAP", err);
	default:
		return fn_want(b, i, letter_type(b, c), err);
	}
}

tm_rc tm_bind_simple(struct tm_fn_bind *b, struct tm_err *err)
{
	const struct fn_simple *simple = b->fn->data;
	const char *s = simple->sig, *result = strchr(s, '>') + 1;
	for (size_t i = 0; i < b->arg_count; i++) {
		bool strict = *s == '!';
		char letter = s[strict];
		const struct tm_type *is = b->args[i].type;
		if (strict && is && is->kind != TM_T_NULL && is->kind != letter_type(b, letter)->kind)
			return fn_unexpected_type(b, i, fn_type_sql(b->arena, letter_type(b, letter)).at, err);
		TM_TRY(want_letter(b, i, letter, err));
		const char *next = s + strict + 1;
		if (*next != '*' && *next != '>')
			s = next;
	}
	return fn_is(b, simple->kernel, letter_type(b, *result), result[1] == '?' || fn_any_nullable(b));
}

tm_rc fn_call(struct tm_fn_bind *b, const char *name, struct tm_expr **args, size_t n, struct tm_expr **ret, struct tm_err *err)
{
	const struct tm_fn *fn = tm_fn_find(tm_str_of(name));
	TM_ASSERT(fn);
	return fn_call_of(b, fn, args, n, ret, err);
}

tm_rc fn_call_of(struct tm_fn_bind *b, const struct tm_fn *fn, struct tm_expr **args, size_t n, struct tm_expr **ret, struct tm_err *err)
{
	struct tm_fn_bind inner = {.arena = b->arena,
				   .session = b->session,
				   .fn = fn,
				   .name = tm_str_of(fn->name),
				   .arg_count = n,
				   .bind_lambda = b->bind_lambda,
				   .analyser = b->analyser};
	inner.args = TM_NEW_N(b->arena, struct tm_fn_arg, n + 1);
	inner.cast = TM_NEW_N(b->arena, const struct tm_type *, n + 1);
	for (size_t i = 0; i < n; i++)
		inner.args[i] = (struct tm_fn_arg){.type = args[i]->type,
						   .nullable = args[i]->nullable,
						   .expr = args[i],
						   .literal = args[i]->kind == TM_EXPR_LITERAL ? &args[i]->literal : NULL};
	TM_TRY(inner.fn->bind(&inner, err));
	if (inner.replacement) {
		*ret = inner.replacement;
		return TM_OK;
	}
	struct tm_expr *e = TM_NEW(b->arena, struct tm_expr);
	e->kind = TM_EXPR_CALL;
	e->type = inner.type;
	e->nullable = inner.nullable;
	e->kernel = inner.kernel;
	e->bound = inner.bound;
	e->arg_count = n;
	e->args = TM_NEW_N(b->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		e->args[i] = args[i];
		if (inner.cast[i])
			TM_TRY(tm_cast_bind(b->arena, b->session, args[i], inner.cast[i], b->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY,
					    &e->args[i], err));
	}
	e->text = fn_call_text(&inner);
	if (n) {
		e->line = args[0]->line;
		e->column_no = args[0]->column_no;
	}
	*ret = e;
	return TM_OK;
}

static struct tm_expr *literal(struct tm_arena *arena, const struct tm_type *type)
{
	struct tm_expr *e = TM_NEW(arena, struct tm_expr);
	e->kind = TM_EXPR_LITERAL;
	e->type = type;
	tm_column_init(&e->literal, arena, type, 1);
	e->literal.constant = true;
	return e;
}

struct tm_expr *fn_make_literal_int(struct tm_arena *arena, const struct tm_type *type, int64_t v)
{
	struct tm_expr *e = literal(arena, type);
	switch (type->kind) {
	case TM_T_TINYINT:
		e->literal.i8[0] = (int8_t)v;
		break;
	case TM_T_SMALLINT:
		e->literal.i16[0] = (int16_t)v;
		break;
	case TM_T_INT:
		e->literal.i32[0] = (int32_t)v;
		break;
	case TM_T_BOOLEAN:
		e->literal.boolean[0] = v != 0;
		break;
	case TM_T_DOUBLE:
		e->literal.f64[0] = (double)v;
		break;
	default:
		e->literal.i64[0] = v;
	}
	e->text = tm_arena_printf(arena, "%lld", (long long)v);
	return e;
}

struct tm_expr *fn_make_literal_str(struct tm_arena *arena, struct tm_str s)
{
	struct tm_expr *e = literal(arena, &tm_type_string);
	e->literal.str[0] = tm_arena_str(arena, s);
	e->text = e->literal.str[0];
	return e;
}

/* ---- lists ---- */
void fn_list_compact(struct tm_eval *ev, const struct tm_column *list, size_t rows, struct tm_span *ret_spans, uint32_t **ret_index,
		     size_t *ret_count)
{
	size_t n = 0;
	for (size_t i = 0; i < rows; i++)
		n += tm_is_null(list, i) ? 0 : list->span[tm_row(list, i)].count;
	uint32_t *index = tm_arena_alloc(ev->arena, tm_mul_size(n + 1, sizeof *index));
	size_t at = 0;
	for (size_t i = 0; i < rows; i++) {
		struct tm_span s = tm_is_null(list, i) ? (struct tm_span){0} : list->span[tm_row(list, i)];
		ret_spans[i] = (struct tm_span){(uint32_t)at, s.count};
		for (uint32_t j = 0; j < s.count; j++)
			index[at++] = s.from + j;
	}
	*ret_index = index;
	*ret_count = n;
}

void fn_strings_set(struct tm_eval *ev, struct tm_column *ret, const struct fn_strings *s)
{
	ret->children = TM_NEW(ev->arena, struct tm_column);
	tm_column_init(&ret->children[0], ev->arena, &tm_type_string, s->count);
	if (s->count)
		memcpy(ret->children[0].str, s->items, s->count * sizeof *s->items);
}

/* ---- errors ---- */
tm_rc fn_divide_by_zero(struct tm_eval *ev)
{
	return tm_fail_class(ev->err, TM_DATA, "DIVIDE_BY_ZERO", "22012",
			     "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead." FN_ANSI_HINT);
}
tm_rc fn_remainder_by_zero(struct tm_eval *ev)
{
	return tm_fail_class(ev->err, TM_DATA, "REMAINDER_BY_ZERO", "22012",
			     "Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead." FN_ANSI_HINT);
}
tm_rc fn_overflow(struct tm_eval *ev, const char *what, const char *try_name)
{
	if (try_name)
		return tm_fail_class(ev->err, TM_DATA, "ARITHMETIC_OVERFLOW", "22003",
				     "%soverflow. Use '%s' to tolerate overflow and return NULL instead." FN_ANSI_HINT, what, try_name);
	return tm_fail_class(ev->err, TM_DATA, "ARITHMETIC_OVERFLOW", "22003", "%soverflow." FN_ANSI_HINT, what);
}
tm_rc fn_long_overflow(struct tm_eval *ev) { return tm_fail_class(ev->err, TM_DATA, "ARITHMETIC_OVERFLOW", "22003", "long overflow."); }
tm_rc fn_interval_overflow(struct tm_eval *ev, const char *try_name)
{
	if (try_name)
		return tm_fail_class(
		    ev->err, TM_DATA, "INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", "22015",
		    "Integer overflow while operating with intervals. Use `%s` to tolerate overflow and return NULL instead.", try_name);
	return tm_fail_class(ev->err, TM_DATA, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "22015",
			     "Integer overflow while operating with intervals.");
}
tm_rc fn_index_zero(struct tm_eval *ev)
{
	return tm_fail_class(ev->err, TM_DATA, "INVALID_INDEX_OF_ZERO", "22003",
			     "The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1).");
}
tm_rc fn_bad_parameter(struct tm_eval *ev, const char *klass, const char *fmt, ...)
{
	char name[96];
	va_list ap;
	va_start(ap, fmt);
	struct tm_str why = tm_arena_vprintf(ev->arena, fmt, ap);
	va_end(ap);
	snprintf(name, sizeof name, "INVALID_PARAMETER_VALUE.%s", klass);
	return tm_fail_class(ev->err, TM_DATA, name, "22023", "The value of parameter(s) %.*s", TM_STR_ARG(why));
}

const struct tm_sql_zone *fn_zone(const struct tm_session *session)
{
	const struct tm_sql_zone *zone = session && session->time_zone ? tm_sql_zone_find(tm_str_of(session->time_zone)) : NULL;
	return zone ? zone : tm_sql_zone_utc();
}
