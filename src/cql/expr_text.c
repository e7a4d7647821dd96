/* Expressions and types as Cassandra shows them: in the names of result columns and in errors. */
#include "cql/ast.h"

void cql_raw_type_text(const struct cql_raw_type *t, struct tm_buf *out)
{
	if (t->frozen)
		tm_buf_cstr_put(out, "frozen<");
	if (t->keyspace.at)
		tm_buf_printf(out, "%.*s.", TM_STR_ARG(t->keyspace));
	tm_buf_str_put(out, tm_str_is(t->name, "varchar") ? TM_STR("text") : t->name);
	if (t->arg_count) {
		tm_buf_char(out, '<');
		for (size_t i = 0; i < t->arg_count; i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			cql_raw_type_text(t->args[i], out);
		}
		if (t->dimension)
			tm_buf_printf(out, ", %zu", t->dimension);
		tm_buf_char(out, '>');
	}
	if (t->frozen)
		tm_buf_char(out, '>');
}

static void put_args(const struct cql_expr *e, const char *open, const char *close, struct tm_buf *out)
{
	tm_buf_cstr_put(out, open);
	for (size_t i = 0; i < e->arg_count; i++) {
		if (i)
			tm_buf_cstr_put(out, e->kind == CQL_E_MAP && i % 2 ? ": " : ", ");
		if (e->kind == CQL_E_UDT)
			tm_buf_printf(out, "%.*s: ", TM_STR_ARG(e->names[i]));
		cql_expr_text(e->args[i], out);
	}
	tm_buf_cstr_put(out, close);
}

void cql_expr_text(const struct cql_expr *e, struct tm_buf *out)
{
	static const char *const writetimes[] = {"writetime", "maxwritetime", "ttl"};
	switch (e->kind) {
	case CQL_E_STRING:
		tm_buf_printf(out, "'%.*s'", TM_STR_ARG(e->text));
		break;
	case CQL_E_NULL:
		tm_buf_cstr_put(out, "NULL");
		break;
	case CQL_E_MARKER:
		tm_buf_cstr_put(out, "?");
		break;
	case CQL_E_LIST:
		put_args(e, "[", "]", out);
		break;
	case CQL_E_SET:
	case CQL_E_MAP:
	case CQL_E_UDT:
		put_args(e, "{", "}", out);
		break;
	case CQL_E_TUPLE:
	case CQL_E_PAREN:
		put_args(e, "(", ")", out);
		break;
	case CQL_E_HINT:
		tm_buf_char(out, '(');
		cql_raw_type_text(e->type, out);
		tm_buf_char(out, ')');
		cql_expr_text(e->args[0], out);
		break;
	case CQL_E_CALL:
		tm_buf_printf(out, "%.*s.", TM_STR_ARG(e->keyspace.at ? e->keyspace : TM_STR("system")));
		tm_buf_str_put(out, e->text);
		put_args(e, "(", ")", out);
		break;
	case CQL_E_BINARY:
		cql_expr_text(e->args[0], out);
		tm_buf_printf(out, " %c ", e->op);
		cql_expr_text(e->args[1], out);
		break;
	case CQL_E_NEGATE:
		tm_buf_char(out, '-');
		cql_expr_text(e->args[0], out);
		break;
	case CQL_E_FIELD:
		cql_expr_text(e->args[0], out);
		tm_buf_printf(out, ".%.*s", TM_STR_ARG(e->text));
		break;
	case CQL_E_ELEMENT:
		cql_expr_text(e->args[0], out);
		tm_buf_char(out, '[');
		cql_expr_text(e->args[1], out);
		tm_buf_char(out, ']');
		break;
	case CQL_E_RANGE:
		cql_expr_text(e->args[0], out);
		tm_buf_char(out, '[');
		if (e->args[1])
			cql_expr_text(e->args[1], out);
		tm_buf_cstr_put(out, "..");
		if (e->args[2])
			cql_expr_text(e->args[2], out);
		tm_buf_char(out, ']');
		break;
	case CQL_E_CAST:
		tm_buf_cstr_put(out, "cast(");
		cql_expr_text(e->args[0], out);
		tm_buf_cstr_put(out, " as ");
		cql_raw_type_text(e->type, out);
		tm_buf_char(out, ')');
		break;
	case CQL_E_COUNT_ROWS:
		tm_buf_cstr_put(out, "count");
		break;
	case CQL_E_WRITETIME:
		tm_buf_cstr_put(out, writetimes[e->what]);
		put_args(e, "(", ")", out);
		break;
	default:
		tm_buf_str_put(out, e->text);
	}
}
