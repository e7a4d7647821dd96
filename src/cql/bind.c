/* From parsed expressions to typed ones: literals take the type of what receives them, markers too, functions are chosen by
 * their arguments. Error texts are Cassandra's. */
#include <stdarg.h>
#include <stdio.h>
#include "cql/cql_int.h"

tm_rc cql_fail(struct tm_err *err, int code, const char *fmt, ...)
{
	char text[sizeof err->what];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	tm_rc rc = code == CQL_CODE_SYNTAX         ? TM_SYNTAX
		   : code == CQL_CODE_EXISTS       ? TM_EXISTS
		   : code == CQL_CODE_UNAUTHORIZED ? TM_DENIED
		   : code == CQL_CODE_UNAVAILABLE  ? TM_UNAVAILABLE
		   : code == CQL_CODE_SERVER       ? TM_INTERNAL
						   : TM_INVALID;
	tm_fail(err, rc, "%s", text);
	if (err)
		err->code = code;
	return rc;
}

const char *cql_type_cstr(struct tm_arena *arena, const struct tm_cql_type *type)
{
	struct tm_buf b = {0};
	tm_table_type_text(tm_type_unfrozen(tm_type_reversed(type, false)), &b);
	const char *s = tm_arena_cstr(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

const char *cql_expr_cstr(struct tm_arena *arena, const struct cql_expr *e)
{
	struct tm_buf b = {0};
	cql_expr_text(e, &b);
	const char *s = tm_arena_cstr(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

void cql_marker(struct cql_scope *s, size_t index, struct tm_str name, const struct tm_cql_type *type)
{
	if (index >= s->marker_count)
		return;
	struct tm_cql_column_spec *m = &s->markers[index];
	m->keyspace = s->table ? s->table->def.keyspace : (struct tm_str){"", 0};
	m->table = s->table ? s->table->def.name : (struct tm_str){"", 0};
	m->name = s->marker_names && s->marker_names[index].len ? s->marker_names[index] : tm_arena_str(s->arena, name);
	m->type = type;
}

static struct cql_node *new_node(struct cql_scope *s, enum cql_node_op op, const struct tm_cql_type *type)
{
	struct cql_node *n = TM_NEW(s->arena, struct cql_node);
	n->op = op;
	n->type = type;
	return n;
}

/* ---- types ---- */
tm_rc cql_resolve_type(struct cql_scope *s, const struct cql_raw_type *raw, struct tm_str keyspace, const struct tm_cql_type **ret)
{
	const struct tm_cql_type *args[2] = {0}, *t = NULL;
	if (raw->arg_count) {
		const struct tm_cql_type **list = TM_NEW_N(s->arena, const struct tm_cql_type *, raw->arg_count);
		for (size_t i = 0; i < raw->arg_count; i++)
			TM_TRY(cql_resolve_type(s, raw->args[i], keyspace, &list[i]));
		args[0] = list[0];
		args[1] = raw->arg_count > 1 ? list[1] : NULL;
		bool tuple = tm_str_is(raw->name, "tuple");
		for (size_t i = 0; i < raw->arg_count; i++) {
			struct tm_buf b = {0};
			cql_raw_type_text(raw, &b);
			const char *text = tm_arena_cstr(s->arena, tm_buf_str(&b));
			tm_buf_done(&b);
			if (list[i]->kind == TM_CQL_COUNTER)
				return cql_fail(s->err, CQL_CODE_INVALID,
						tuple ? "Counters are not allowed inside tuples"
						      : "Counters are not allowed inside collections: %s",
						text);
			if (tm_str_is(raw->name, "set") && tm_type_mentions(list[i], TM_CQL_DURATION))
				return cql_fail(s->err, CQL_CODE_INVALID, "Durations are not allowed inside sets: %s", text);
			if (tm_str_is(raw->name, "map") && i == 0 && tm_type_mentions(list[i], TM_CQL_DURATION))
				return cql_fail(s->err, CQL_CODE_INVALID, "Durations are not allowed as map keys: %s", text);
			if (!raw->frozen && !tuple && !tm_str_is(raw->name, "vector") && tm_type_is_multicell(list[i]))
				return cql_fail(s->err, CQL_CODE_INVALID,
						list[i]->kind == TM_CQL_UDT
						    ? "Non-frozen UDTs are not allowed inside collections: %s"
						    : "Non-frozen collections are not allowed inside collections: %s",
						text);
			if (tuple || tm_str_is(raw->name, "vector"))
				list[i] = tm_type_frozen(list[i]);
		}
		args[0] = list[0];
		if (tuple)
			t = tm_type_tuple(list, raw->arg_count);
		else if (tm_str_is(raw->name, "list"))
			t = tm_type_list(args[0], false);
		else if (tm_str_is(raw->name, "set"))
			t = tm_type_set(args[0], false);
		else if (tm_str_is(raw->name, "map"))
			t = tm_table_type_map(args[0], args[1], false);
		else
			t = tm_type_vector(args[0], raw->dimension);
	} else if (raw->keyspace.at || !(t = tm_type_native_named(raw->name))) {
		struct tm_str ks = raw->keyspace.at ? raw->keyspace : keyspace;
		if (raw->keyspace.at && keyspace.len && !tm_str_eq(raw->keyspace, keyspace))
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Statement on keyspace %.*s cannot refer to a user type in keyspace %.*s; user types can only be "
					"used in the keyspace they are defined in",
					TM_STR_ARG(keyspace), TM_STR_ARG(raw->keyspace));
		const struct tm_keyspace *k = tm_schema_keyspace(s->schema, ks);
		t = k ? tm_keyspace_type(k, raw->name) : NULL;
		if (!t)
			return cql_fail(s->err, CQL_CODE_INVALID, "Unknown type %.*s.%.*s", TM_STR_ARG(ks), TM_STR_ARG(raw->name));
	}
	if (t && raw->frozen)
		t = tm_type_frozen(t);
	if (!t)
		return cql_fail(s->err, CQL_CODE_INVALID, "too many different types");
	*ret = t;
	return TM_OK;
}

bool cql_value_compatible(const struct tm_cql_type *to, const struct tm_cql_type *from)
{
	to = tm_type_reversed(to, false);
	from = tm_type_reversed(from, false);
	if (tm_type_same_value(to, from))
		return true;
	enum tm_cql_kind a = to->kind, b = from->kind;
	if (a == TM_CQL_BLOB && to->arg_count == 0)
		return true;
	if ((a == TM_CQL_VARCHAR && b == TM_CQL_ASCII) || (a == TM_CQL_BIGINT && b == TM_CQL_TIMESTAMP) ||
	    (a == TM_CQL_TIMESTAMP && b == TM_CQL_BIGINT) || (a == TM_CQL_UUID && b == TM_CQL_TIMEUUID) ||
	    (a == TM_CQL_DATE && b == TM_CQL_INT) || (a == TM_CQL_TIME && b == TM_CQL_BIGINT) ||
	    (a == TM_CQL_VARINT && (b == TM_CQL_INT || b == TM_CQL_BIGINT)))
		return true;
	if (a != b || to->arg_count != from->arg_count || to->arg_count == 0 || a == TM_CQL_UDT || to->dimension != from->dimension)
		return false;
	for (size_t i = 0; i < to->arg_count; i++)
		if (!cql_value_compatible(to->args[i], from->args[i]))
			return false;
	return true;
}

/* ---- natural types ---- */
static bool is_literal(const struct cql_expr *e) { return e->kind <= CQL_E_DURATION; }

static const struct tm_cql_type *literal_type(const struct cql_expr *e)
{
	int64_t v;
	switch (e->kind) {
	case CQL_E_STRING:
		for (size_t i = 0; i < e->text.len; i++)
			if (e->text.at[i] & 0x80)
				return tm_type_native(TM_CQL_VARCHAR);
		return tm_type_native(TM_CQL_ASCII);
	case CQL_E_INTEGER:
		if (!tm_str_to_i64(e->text, &v))
			return tm_type_native(TM_CQL_VARINT);
		return tm_type_native(v >= INT32_MIN && v <= INT32_MAX ? TM_CQL_INT : TM_CQL_BIGINT);
	case CQL_E_FLOAT:
		return tm_type_native(TM_CQL_DOUBLE);
	case CQL_E_BOOLEAN:
		return tm_type_native(TM_CQL_BOOLEAN);
	case CQL_E_UUID:
		return tm_type_native(e->text.at[14] == '1' ? TM_CQL_TIMEUUID : TM_CQL_UUID);
	case CQL_E_HEX:
		return tm_type_native(TM_CQL_BLOB);
	default:
		return tm_type_native(TM_CQL_DURATION);
	}
}

static const struct tm_cql_type *call_type(struct cql_scope *s, const struct cql_expr *e)
{
	struct cql_scope quiet = *s;
	struct tm_err unused;
	quiet.err = &unused;
	quiet.marker_count = 0;
	memset(&quiet.aggregates, 0, sizeof quiet.aggregates);
	struct cql_node *n;
	return cql_bind_selection(&quiet, e, &n) == TM_OK ? n->type : NULL;
}

/* One type that fits all items, NULL when there is none. */
static const struct tm_cql_type *common_type(struct cql_scope *s, const struct cql_expr *e, size_t from, size_t step)
{
	const struct tm_cql_type *best = NULL;
	for (size_t i = from; i < e->arg_count; i += step) {
		const struct tm_cql_type *t = cql_natural_type(s, e->args[i]);
		if (t &&
		    (!best ||
		     (best->kind == TM_CQL_INT && (t->kind == TM_CQL_BIGINT || t->kind == TM_CQL_DOUBLE || t->kind == TM_CQL_VARINT)) ||
		     (best->kind == TM_CQL_ASCII && t->kind == TM_CQL_VARCHAR)))
			best = t;
	}
	return best;
}

const struct tm_cql_type *cql_natural_type(struct cql_scope *s, const struct cql_expr *e)
{
	const struct tm_cql_type *t, *u;
	if (is_literal(e))
		return e->kind == CQL_E_NULL ? NULL : literal_type(e);
	switch (e->kind) {
	case CQL_E_NULL:
	case CQL_E_MARKER:
		return NULL;
	case CQL_E_HINT: {
		struct cql_scope quiet = *s;
		struct tm_err unused;
		quiet.err = &unused;
		struct tm_str ks = s->table ? s->table->def.keyspace : cql_session_keyspace(s->session);
		return cql_resolve_type(&quiet, e->type, ks, &t) == TM_OK ? t : NULL;
	}
	case CQL_E_PAREN:
		return cql_natural_type(s, e->args[0]);
	case CQL_E_LIST:
		return (t = common_type(s, e, 0, 1)) ? tm_type_list(tm_type_frozen(t), true) : NULL;
	case CQL_E_SET:
		return (t = common_type(s, e, 0, 1)) ? tm_type_set(tm_type_frozen(t), true) : NULL;
	case CQL_E_MAP:
		t = common_type(s, e, 0, 2);
		u = common_type(s, e, 1, 2);
		return t && u ? tm_table_type_map(tm_type_frozen(t), tm_type_frozen(u), true) : NULL;
	case CQL_E_TUPLE: {
		const struct tm_cql_type **items = TM_NEW_N(s->arena, const struct tm_cql_type *, e->arg_count);
		for (size_t i = 0; i < e->arg_count; i++)
			if (!(items[i] = cql_natural_type(s, e->args[i])))
				return NULL;
		return tm_type_tuple(items, e->arg_count);
	}
	case CQL_E_UDT:
		return NULL;
	case CQL_E_COLUMN: {
		size_t c = s->table ? tm_table_column_index(&s->table->def, e->text) : SIZE_MAX;
		return c == SIZE_MAX ? NULL : tm_type_reversed(s->table->def.columns[c].type, false);
	}
	default:
		return call_type(s, e);
	}
}

int cql_assignable(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *type)
{
	type = tm_type_reversed(type, false);
	if (e->kind == CQL_E_NULL || e->kind == CQL_E_MARKER)
		return 1;
	if (is_literal(e))
		return !cql_literal_fits(e->kind, type->kind) ? 0 : literal_type(e) == type ? 2 : 1;
	if (e->kind == CQL_E_PAREN)
		return cql_assignable(s, e->args[0], type);
	if (e->kind == CQL_E_LIST || e->kind == CQL_E_SET || e->kind == CQL_E_MAP) {
		bool fits = e->kind == CQL_E_LIST  ? type->kind == TM_CQL_LIST || type->kind == TM_CQL_VECTOR
			    : e->kind == CQL_E_SET ? type->kind == TM_CQL_SET || (type->kind == TM_CQL_MAP && !e->arg_count)
						   : type->kind == TM_CQL_MAP;
		if (!fits || (type->kind == TM_CQL_VECTOR && type->dimension != e->arg_count))
			return 0;
		for (size_t i = 0; i < e->arg_count; i++)
			if (!cql_assignable(s, e->args[i], type->args[type->kind == TM_CQL_MAP ? i % 2 : 0]))
				return 0;
		return 1;
	}
	if (e->kind == CQL_E_TUPLE) {
		if (type->kind != TM_CQL_TUPLE || e->arg_count > type->arg_count)
			return 0;
		for (size_t i = 0; i < e->arg_count; i++)
			if (!cql_assignable(s, e->args[i], type->args[i]))
				return 0;
		return 1;
	}
	if (e->kind == CQL_E_UDT) {
		if (type->kind != TM_CQL_UDT)
			return 0;
		for (size_t i = 0; i < e->arg_count; i++) {
			size_t f = 0;
			while (f < type->arg_count && !tm_str_eq(type->field_names[f], e->names[i]))
				f++;
			if (f == type->arg_count || !cql_assignable(s, e->args[i], type->args[f]))
				return 0;
		}
		return 1;
	}
	if (e->kind == CQL_E_BINARY || e->kind == CQL_E_NEGATE) {
		bool all = true;
		for (size_t i = 0; i < e->arg_count; i++)
			all &= cql_assignable(s, e->args[i], type) > 0;
		if (all)
			return 1;
	}
	const struct tm_cql_type *t = cql_natural_type(s, e);
	return !t ? 0 : tm_type_same_value(t, type) ? 2 : cql_value_compatible(type, t);
}

/* ---- binding terms ---- */
static const char *shape_name(enum cql_expr_kind k)
{
	return k == CQL_E_LIST ? "list" : k == CQL_E_SET ? "set" : k == CQL_E_MAP ? "map" : "tuple";
}

static tm_rc bind_items(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret)
{
	const struct tm_cql_type *t = to.type;
	bool fits = e->kind == CQL_E_LIST  ? t->kind == TM_CQL_LIST || t->kind == TM_CQL_VECTOR
		    : e->kind == CQL_E_SET ? t->kind == TM_CQL_SET || (t->kind == TM_CQL_MAP && !e->arg_count)
					   : t->kind == TM_CQL_MAP;
	if (!fits && e->kind == CQL_E_LIST)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unexpected receiver type '%s'; only list and vector are expected",
				cql_type_cstr(s->arena, t));
	if (!fits)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid %s literal for %.*s of type %s", shape_name(e->kind),
				TM_STR_ARG(to.name), cql_type_cstr(s->arena, t));
	if (t->kind == TM_CQL_VECTOR && t->dimension != e->arg_count)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Invalid vector literal for %.*s of type %s; expected %zu elements, but given %zu", TM_STR_ARG(to.name),
				cql_type_cstr(s->arena, t), t->dimension, e->arg_count);
	struct cql_node *n = new_node(s,
				      t->kind == TM_CQL_VECTOR ? CQL_N_VECTOR
				      : t->kind == TM_CQL_LIST ? CQL_N_LIST
				      : t->kind == TM_CQL_SET  ? CQL_N_SET
							       : CQL_N_MAP,
				      t);
	n->args = TM_NEW_N(s->arena, struct cql_node *, e->arg_count + 1);
	n->arg_count = e->arg_count;
	for (size_t i = 0; i < e->arg_count; i++) {
		const struct tm_cql_type *it = t->args[t->kind == TM_CQL_MAP ? i % 2 : 0];
		const char *part = t->kind == TM_CQL_MAP ? i % 2 ? "value" : "key" : "value";
		if (e->args[i]->kind == CQL_E_NULL)
			return cql_fail(s->err, CQL_CODE_INVALID,
					t->kind == TM_CQL_VECTOR ? "null is not supported inside vectors"
								 : "null is not supported inside collections");
		if (!cql_assignable(s, e->args[i], it)) {
			const char *shape = t->kind == TM_CQL_VECTOR ? "vector" : shape_name(e->kind);
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid %s literal for %.*s: %s %s is not of type %s", shape,
					TM_STR_ARG(to.name), part, cql_expr_cstr(s->arena, e->args[i]), cql_type_cstr(s->arena, it));
		}
		struct cql_receiver inner = {
		    tm_arena_printf(s->arena, "%s(%.*s)", t->kind == TM_CQL_MAP ? part : "value", TM_STR_ARG(to.name)), it};
		TM_TRY(cql_bind_term(s, e->args[i], inner, &n->args[i]));
	}
	*ret = n;
	return TM_OK;
}

static tm_rc bind_tuple(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret)
{
	const struct tm_cql_type *t = to.type;
	if (t->kind != TM_CQL_TUPLE && t->kind != TM_CQL_UDT)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid tuple type literal for %.*s of type %s", TM_STR_ARG(to.name),
				cql_type_cstr(s->arena, t));
	if (t->kind == TM_CQL_UDT && !t->frozen)
		return cql_fail(s->err, CQL_CODE_SERVER, "java.lang.ClassCastException: a tuple cannot be cast to a user type's value");
	if (e->arg_count > t->arg_count)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Invalid tuple literal for %.*s: too many elements. Type %s expects %zu but got %zu", TM_STR_ARG(to.name),
				cql_type_cstr(s->arena, t), t->arg_count, e->arg_count);
	struct cql_node *n = new_node(s, CQL_N_TUPLE, t);
	n->args = TM_NEW_N(s->arena, struct cql_node *, t->arg_count + 1);
	n->arg_count = e->arg_count;
	for (size_t i = 0; i < e->arg_count; i++) {
		if (!cql_assignable(s, e->args[i], t->args[i]))
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid tuple literal for %.*s: component %zu is not of type %s",
					TM_STR_ARG(to.name), i, cql_type_cstr(s->arena, t->args[i]));
		struct cql_receiver inner = {tm_arena_printf(s->arena, "%.*s[%zu]", TM_STR_ARG(to.name), i), t->args[i]};
		TM_TRY(cql_bind_term(s, e->args[i], inner, &n->args[i]));
	}
	*ret = n;
	return TM_OK;
}

static tm_rc bind_udt(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret)
{
	const struct tm_cql_type *t = to.type;
	if (t->kind != TM_CQL_UDT)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid user type literal for %.*s of type %s", TM_STR_ARG(to.name),
				cql_type_cstr(s->arena, t));
	struct cql_node *n = new_node(s, CQL_N_TUPLE, t);
	n->args = TM_NEW_N(s->arena, struct cql_node *, t->arg_count + 1);
	n->arg_count = t->arg_count;
	for (size_t i = 0; i < e->arg_count; i++) {
		size_t f = 0;
		while (f < t->arg_count && !tm_str_eq(t->field_names[f], e->names[i]))
			f++;
		if (f == t->arg_count)
			return cql_fail(s->err, CQL_CODE_INVALID, "Unknown field '%.*s' in value of user defined type %.*s",
					TM_STR_ARG(e->names[i]), TM_STR_ARG(t->name));
		if (!cql_assignable(s, e->args[i], t->args[f]))
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid user type literal for %.*s: field %.*s is not of type %s",
					TM_STR_ARG(to.name), TM_STR_ARG(e->names[i]), cql_type_cstr(s->arena, t->args[f]));
		struct cql_receiver inner = {tm_arena_printf(s->arena, "%.*s.%.*s", TM_STR_ARG(to.name), TM_STR_ARG(e->names[i])),
					     t->args[f]};
		TM_TRY(cql_bind_term(s, e->args[i], inner, &n->args[f]));
	}
	*ret = n;
	return TM_OK;
}

static tm_rc bind_hint(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret)
{
	const struct tm_cql_type *t;
	struct tm_str ks = s->table ? s->table->def.keyspace : cql_session_keyspace(s->session);
	TM_TRY(cql_resolve_type(s, e->type, ks, &t));
	if (!cql_assignable(s, e->args[0], t))
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot cast value %s to type %s", cql_expr_cstr(s->arena, e->args[0]),
				cql_type_cstr(s->arena, t));
	if (to.type && !cql_value_compatible(to.type, t))
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot assign value %s to %.*s of type %s", cql_expr_cstr(s->arena, e),
				TM_STR_ARG(to.name), cql_type_cstr(s->arena, to.type));
	TM_TRY(
	    cql_bind_term(s, e->args[0], (struct cql_receiver){to.name, to.type && e->args[0]->kind <= CQL_E_MARKER ? to.type : t}, ret));
	if ((*ret)->type != t && !to.type) {
		struct cql_node *n = TM_NEW(s->arena, struct cql_node);
		*n = **ret;
		n->type = t;
		*ret = n;
	}
	return TM_OK;
}

/* A call, by name and arguments; wanted steers overloads (NULL: anything). */
static tm_rc bind_call(struct cql_scope *s, const struct cql_expr *e, const struct tm_cql_type *wanted, struct cql_node **ret)
{
	const struct cql_function *f = e->keyspace.at && !tm_str_is(e->keyspace, "system") ? NULL : cql_function_find(e->text);
	if (!f) {
		const char *dot = e->keyspace.at ? "." : "";
		return cql_fail(s->err, CQL_CODE_INVALID, "Unknown function '%.*s%s%.*s'", TM_STR_ARG(e->keyspace), dot,
				TM_STR_ARG(e->text));
	}
	if (f->kind != CQL_SCALAR && s->in_aggregate)
		return cql_fail(s->err, CQL_CODE_INVALID, "aggregate functions cannot be used as arguments of aggregate functions");
	struct cql_call c = {.scope = s, .expr = e, .arg_count = e->arg_count, .args = e->args, .wanted = wanted};
	c.natural = TM_NEW_N(s->arena, const struct tm_cql_type *, e->arg_count + 1);
	c.types = TM_NEW_N(s->arena, const struct tm_cql_type *, e->arg_count + 1);
	bool outer = s->in_aggregate;
	s->in_aggregate |= f->kind != CQL_SCALAR;
	for (size_t i = 0; i < e->arg_count; i++)
		c.natural[i] = cql_natural_type(s, e->args[i]);
	struct cql_node *n = new_node(s, f->kind == CQL_SCALAR ? CQL_N_CALL : CQL_N_AGGREGATE, NULL);
	n->function = f;
	n->what = f->what;
	n->text = tm_str_of(cql_expr_cstr(s->arena, e));
	n->args = TM_NEW_N(s->arena, struct cql_node *, e->arg_count + 1);
	n->arg_count = e->arg_count;
	struct tm_err *err = s->err;
	err->what[0] = 0;
	err->code = 0;
	/* An argument that is wrong in itself says so before the function does. */
	for (size_t i = 0; i < e->arg_count; i++)
		if (!c.natural[i] && e->args[i]->kind >= CQL_E_CALL && e->args[i]->kind != CQL_E_PAREN) {
			struct cql_node *unused;
			TM_TRY(cql_bind_selection(s, e->args[i], &unused));
		}
	bool count_ok = (int)e->arg_count >= f->min_args && (f->max_args < 0 || (int)e->arg_count <= f->max_args);
	if (count_ok)
		n->type = f->resolve(&c, err);
	if (!n->type) {
		if (count_ok && err->what[0])
			return err->rc;
		if (!count_ok && f->min_args == f->max_args)
			return cql_fail(err, CQL_CODE_INVALID,
					"Invalid number of arguments in call to function system.%s: %d required but %zu provided", f->name,
					f->min_args, e->arg_count);
		return cql_fail(err, CQL_CODE_INVALID,
				"Invalid call to function %.*s, none of its type signatures match (known type signatures: system.%s)",
				TM_STR_ARG(e->text), f->name);
	}
	for (size_t i = 0; i < e->arg_count; i++) {
		struct cql_receiver to = {s->selecting ? TM_STR("[selection]") : tm_arena_printf(s->arena, "arg%zu(system.%s)", i, f->name),
					  c.types[i]};
		if (e->args[i]->kind <= CQL_E_UDT || e->args[i]->kind == CQL_E_HINT) {
			if (!cql_assignable(s, e->args[i], c.types[i]))
				return cql_fail(err, CQL_CODE_INVALID,
						"Type error: %s cannot be passed as argument %zu of function system.%s of type %s",
						cql_expr_cstr(s->arena, e->args[i]), i, f->name, cql_type_cstr(s->arena, c.types[i]));
			TM_TRY(cql_bind_term(s, e->args[i], to, &n->args[i]));
		} else {
			TM_TRY(cql_bind_selection(s, e->args[i], &n->args[i]));
		}
	}
	s->in_aggregate = outer;
	if (n->op == CQL_N_AGGREGATE) {
		n->index = s->aggregates.count;
		TM_PUSH_IN(s->arena, &s->aggregates, n);
	}
	*ret = n;
	return TM_OK;
}

tm_rc cql_bind_term(struct cql_scope *s, const struct cql_expr *e, struct cql_receiver to, struct cql_node **ret)
{
	to.type = tm_type_reversed(to.type, false);
	struct cql_node *n;
	if (is_literal(e) && e->kind != CQL_E_NULL) {
		n = new_node(s, CQL_N_CONST, to.type);
		TM_TRY(cql_literal(s->arena, e, to.type, to.name, &n->value.bytes, s->err));
		*ret = n;
		return TM_OK;
	}
	switch (e->kind) {
	case CQL_E_NULL:
		n = new_node(s, CQL_N_CONST, to.type);
		n->value.null = true;
		*ret = n;
		return TM_OK;
	case CQL_E_MARKER:
		n = new_node(s, CQL_N_MARKER, to.type);
		n->index = e->marker;
		n->text = tm_arena_str(s->arena, to.name);
		cql_marker(s, e->marker, to.name, to.type);
		*ret = n;
		return TM_OK;
	case CQL_E_LIST:
	case CQL_E_SET:
	case CQL_E_MAP:
		return bind_items(s, e, to, ret);
	case CQL_E_TUPLE:
		return bind_tuple(s, e, to, ret);
	case CQL_E_PAREN:
		if (to.type->kind == TM_CQL_TUPLE && to.type->arg_count >= 1 && cql_assignable(s, e->args[0], to.type) == 0)
			return bind_tuple(s, e, to, ret);
		return cql_bind_term(s, e->args[0], to, ret);
	case CQL_E_UDT:
		return bind_udt(s, e, to, ret);
	case CQL_E_HINT:
		return bind_hint(s, e, to, ret);
	case CQL_E_CALL:
		TM_TRY(bind_call(s, e, to.type, &n));
		if (n->op == CQL_N_AGGREGATE)
			return cql_fail(s->err, CQL_CODE_INVALID, "Aggregate function are not supported in the where clause");
		if (!cql_value_compatible(to.type, n->type))
			return cql_fail(
			    s->err, CQL_CODE_INVALID, "Type error: cannot assign result of function system.%s (type %s) to %.*s (type %s)",
			    n->function->name, cql_type_cstr(s->arena, n->type), TM_STR_ARG(to.name), cql_type_cstr(s->arena, to.type));
		*ret = n;
		return TM_OK;
	case CQL_E_BINARY:
	case CQL_E_NEGATE:
		TM_TRY(cql_bind_binary(s, e, to.type, &n));
		if (!cql_value_compatible(to.type, n->type))
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Type error: cannot assign result of function system._%s (type %s) to %.*s (type %s)",
					e->kind == CQL_E_NEGATE ? "negate"
					: e->op == '+'          ? "add"
					: e->op == '-'          ? "substract"
					: e->op == '*'          ? "multiply"
					: e->op == '/'          ? "divide"
								: "modulo",
					cql_type_cstr(s->arena, n->type), TM_STR_ARG(to.name), cql_type_cstr(s->arena, to.type));
		*ret = n;
		return TM_OK;
	default:
		return cql_fail(s->err, CQL_CODE_SYNTAX, "line %d:%d no viable alternative at input '%.*s'", e->token->line,
				e->token->column, TM_STR_ARG(e->token->raw));
	}
}

/* ---- selections ---- */
static tm_rc bind_column(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret)
{
	size_t c = s->table ? tm_table_column_index(&s->table->def, e->text) : SIZE_MAX;
	if (c == SIZE_MAX)
		return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(e->text),
				s->table ? (int)s->table->def.keyspace.len : 0, s->table ? s->table->def.keyspace.at : "",
				s->table ? (int)s->table->def.name.len : 0, s->table ? s->table->def.name.at : "");
	struct cql_node *n = new_node(s, CQL_N_COLUMN, tm_type_reversed(s->table->def.columns[c].type, false));
	n->index = c;
	n->text = s->table->def.columns[c].name;
	*ret = n;
	return TM_OK;
}

static tm_rc bind_field(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret)
{
	struct cql_node *base, *n;
	TM_TRY(cql_bind_selection(s, e->args[0], &base));
	if (base->type->kind != TM_CQL_UDT)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid field selection: %s of type %s is not a user type",
				cql_expr_cstr(s->arena, e->args[0]), cql_type_cstr(s->arena, base->type));
	size_t f = 0;
	while (f < base->type->arg_count && !tm_str_eq(base->type->field_names[f], e->text))
		f++;
	if (f == base->type->arg_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "%s of type %.*s has no field %.*s", cql_expr_cstr(s->arena, e->args[0]),
				TM_STR_ARG(base->type->name), TM_STR_ARG(e->text));
	n = new_node(s, CQL_N_FIELD, base->type->args[f]);
	n->index = f;
	n->args = TM_NEW_N(s->arena, struct cql_node *, 1);
	n->args[0] = base;
	n->arg_count = 1;
	*ret = n;
	return TM_OK;
}

static tm_rc bind_element(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret)
{
	struct cql_node *base, *n;
	TM_TRY(cql_bind_selection(s, e->args[0], &base));
	const struct tm_cql_type *t = base->type;
	if (t->kind == TM_CQL_LIST)
		return cql_fail(s->err, CQL_CODE_INVALID, "%s selection is only allowed on sets and maps, but %s is a list",
				e->kind == CQL_E_RANGE ? "Slice" : "Element", cql_expr_cstr(s->arena, e->args[0]));
	if (t->kind != TM_CQL_MAP && t->kind != TM_CQL_SET)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid %s selection: %s is of type %s is not a collection",
				e->kind == CQL_E_RANGE ? "slice" : "element", cql_expr_cstr(s->arena, e->args[0]),
				cql_type_cstr(s->arena, t));
	n = new_node(s, e->kind == CQL_E_RANGE ? CQL_N_RANGE : CQL_N_ELEMENT,
		     e->kind == CQL_E_RANGE  ? t
		     : t->kind == TM_CQL_MAP ? t->args[1]
					     : t->args[0]);
	n->args = TM_NEW_N(s->arena, struct cql_node *, 3);
	n->args[0] = base;
	n->arg_count = e->arg_count;
	for (size_t i = 1; i < e->arg_count; i++)
		if (e->args[i])
			TM_TRY(
			    cql_bind_term(s, e->args[i],
					  (struct cql_receiver){tm_arena_printf(s->arena, "%s(%s)", t->kind == TM_CQL_MAP ? "key" : "value",
										cql_expr_cstr(s->arena, e->args[0])),
								t->args[0]},
					  &n->args[i]));
	*ret = n;
	return TM_OK;
}

static tm_rc bind_writetime(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret)
{
	static const char *const names[] = {"writetime", "maxwritetime", "ttl"};
	const char *name = names[e->what];
	struct cql_node *base;
	TM_TRY(cql_bind_selection(s, e->args[0], &base));
	const struct cql_node *column = base;
	while (column->op == CQL_N_FIELD || column->op == CQL_N_ELEMENT || column->op == CQL_N_RANGE)
		column = column->args[0];
	if (column->op != CQL_N_COLUMN)
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot use selection function %s on %s", name,
				cql_expr_cstr(s->arena, e->args[0]));
	const struct tm_table_column *c = &s->table->def.columns[column->index];
	if (c->kind == TM_COLUMN_PARTITION_KEY || c->kind == TM_COLUMN_CLUSTERING)
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot use selection function %s on PRIMARY KEY part %.*s", name,
				TM_STR_ARG(c->name));
	const struct tm_cql_type *t = tm_type_native(e->what == CQL_TTL ? TM_CQL_INT : TM_CQL_BIGINT);
	bool many = tm_type_is_multicell(c->type) && e->what != CQL_MAXWRITETIME && (base->op == CQL_N_COLUMN || base->op == CQL_N_RANGE);
	struct cql_node *n = new_node(s, CQL_N_WRITETIME, many ? tm_type_list(t, false) : t);
	n->what = e->what;
	n->args = TM_NEW_N(s->arena, struct cql_node *, 1);
	n->args[0] = base;
	n->arg_count = 1;
	*ret = n;
	return TM_OK;
}

tm_rc cql_bind_selection(struct cql_scope *s, const struct cql_expr *e, struct cql_node **ret)
{
	struct cql_node *n;
	switch (e->kind) {
	case CQL_E_COLUMN:
		return bind_column(s, e, ret);
	case CQL_E_FIELD:
		return bind_field(s, e, ret);
	case CQL_E_ELEMENT:
	case CQL_E_RANGE:
		return bind_element(s, e, ret);
	case CQL_E_WRITETIME:
		return bind_writetime(s, e, ret);
	case CQL_E_CALL:
		return bind_call(s, e, NULL, ret);
	case CQL_E_BINARY:
	case CQL_E_NEGATE:
		return cql_bind_binary(s, e, NULL, ret);
	case CQL_E_COUNT_ROWS:
		if (s->in_aggregate)
			return cql_fail(s->err, CQL_CODE_INVALID, "aggregate functions cannot be used as arguments of aggregate functions");
		n = new_node(s, CQL_N_AGGREGATE, tm_type_native(TM_CQL_BIGINT));
		n->function = cql_function_find(TM_STR("count"));
		n->index = s->aggregates.count;
		n->text = TM_STR("count");
		TM_PUSH_IN(s->arena, &s->aggregates, n);
		*ret = n;
		return TM_OK;
	case CQL_E_CAST: {
		const struct tm_cql_type *t;
		TM_TRY(cql_resolve_type(s, e->type, (struct tm_str){0}, &t));
		TM_TRY(cql_bind_selection(s, e->args[0], &n));
		return cql_bind_cast(s, n, t, e, ret);
	}
	case CQL_E_PAREN:
		if (e->arg_count == 1)
			return cql_bind_selection(s, e->args[0], ret);
		break;
	case CQL_E_HINT:
		return bind_hint(s, e, (struct cql_receiver){TM_STR("[selection]"), NULL}, ret);
	default:
		break;
	}
	if (e->kind == CQL_E_LIST || e->kind == CQL_E_SET || e->kind == CQL_E_MAP || e->kind == CQL_E_TUPLE) {
		/* columns may stand inside */
		const struct tm_cql_type *t = cql_natural_type(s, e);
		bool columns = false;
		for (size_t i = 0; i < e->arg_count; i++)
			columns |= e->args[i]->kind >= CQL_E_CALL;
		if (t && columns) {
			n = new_node(s,
				     e->kind == CQL_E_LIST  ? CQL_N_LIST
				     : e->kind == CQL_E_SET ? CQL_N_SET
				     : e->kind == CQL_E_MAP ? CQL_N_MAP
							    : CQL_N_TUPLE,
				     t);
			n->args = TM_NEW_N(s->arena, struct cql_node *, e->arg_count + 1);
			n->arg_count = e->arg_count;
			for (size_t i = 0; i < e->arg_count; i++) {
				const struct tm_cql_type *it = t->args[t->kind == TM_CQL_MAP ? i % 2 : t->kind == TM_CQL_TUPLE ? i : 0];
				if (e->args[i]->kind >= CQL_E_CALL)
					TM_TRY(cql_bind_selection(s, e->args[i], &n->args[i]));
				else
					TM_TRY(cql_bind_term(s, e->args[i], (struct cql_receiver){TM_STR("[selection]"), it}, &n->args[i]));
			}
			*ret = n;
			return TM_OK;
		}
	}
	return cql_fail(s->err, CQL_CODE_INVALID, "Cannot infer type for term %s in selection clause (try using a cast to force a type)",
			cql_expr_cstr(s->arena, e));
}
