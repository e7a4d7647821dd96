/* Statements that are no queries: SET, SHOW, DESCRIBE, EXPLAIN, views. Their answers are plans of literal rows. */
#include <fnmatch.h>
#include "sql/sql_int.h"

/* A table of strings as an operator. */
struct answer {
	struct sx *sx;
	size_t columns;
	const char *const *names;
	const struct tm_type *const *types;
	struct tm_appender *cells[4];
	size_t rows;
};
static void answer_begin(struct answer *a, struct sx *sx, size_t columns, const char *const *names)
{
	*a = (struct answer){.sx = sx, .columns = columns, .names = names};
	for (size_t i = 0; i < columns; i++)
		a->cells[i] = tm_appender_new(sx->arena, &tm_type_string);
}
static void answer_row(struct answer *a, const struct tm_str *values)
{
	for (size_t i = 0; i < a->columns; i++) {
		if (!values[i].at) {
			tm_appender_null(a->cells[i]);
			continue;
		}
		struct tm_expr *e = sx_literal_str(a->sx, values[i]);
		tm_appender_value(a->cells[i], &e->literal, 0);
	}
	a->rows++;
}
static void answer_end(struct answer *a, struct tm_op **ret)
{
	struct tm_op *op = sx_op(a->sx, TM_OP_VALUES, NULL, NULL);
	op->values.rows = a->rows;
	op->values.column_count = a->columns;
	op->values.columns = TM_NEW_N(a->sx->arena, struct tm_column, a->columns + 1);
	for (size_t i = 0; i < a->columns; i++) {
		tm_appender_finish(a->cells[i], &op->values.columns[i]);
		sx_schema_add(a->sx, op, tm_str_of(a->names[i]), &tm_type_string, true);
	}
	*ret = op;
}

static bool like(struct sx *sx, const struct ast_stmt *s, struct tm_str name)
{
	if (!s->has_value)
		return true;
	return fnmatch(tm_arena_cstr(sx->arena, s->value), tm_arena_cstr(sx->arena, name), FNM_CASEFOLD) == 0;
}

static tm_rc show(struct sx *sx, const struct ast_stmt *s, struct tm_op **ret)
{
	static const char *const tables[] = {"namespace", "tableName", "isTemporary"}, *const databases[] = {"namespace"},
				 *const functions[] = {"function"}, *const columns[] = {"col_name"};
	struct answer a;
	if (tm_str_iis(s->key, "TABLES") || tm_str_iis(s->key, "VIEWS")) {
		answer_begin(&a, sx, 3, tables);
		for (size_t i = 0; i < sx->sql->views.count; i++)
			if (like(sx, s, sx->sql->views.items[i].name))
				answer_row(&a, (struct tm_str[]){TM_STR(""), sx->sql->views.items[i].name, TM_STR("true")});
	} else if (tm_str_iis(s->key, "DATABASES") || tm_str_iis(s->key, "SCHEMAS") || tm_str_iis(s->key, "NAMESPACES")) {
		answer_begin(&a, sx, 1, databases);
		answer_row(&a, (struct tm_str[]){TM_STR("default")});
	} else if (tm_str_iis(s->key, "FUNCTIONS")) {
		const struct tm_fn *all;
		size_t n = tm_fn_all(&all);
		answer_begin(&a, sx, 1, functions);
		for (size_t i = 0; i < n; i++)
			if (like(sx, s, tm_str_of(all[i].name)))
				answer_row(&a, (struct tm_str[]){tm_str_of(all[i].name)});
	} else if (tm_str_iis(s->key, "COLUMNS") && s->name.count) {
		struct ast_rel r = {.kind = AST_REL_NAME, .line = s->line, .column = s->column, .names = s->name};
		struct sx_env env = {.sx = sx};
		struct sx_rel rel;
		TM_TRY(sx_relation(&env, &r, &rel));
		answer_begin(&a, sx, 1, columns);
		for (size_t i = 0; i < rel.columns.count; i++)
			answer_row(&a, (struct tm_str[]){rel.columns.items[i].name});
	} else {
		return sx_fail(sx, s->line, s->column, "PARSE_SYNTAX_ERROR", "42601",
			       "Syntax error at or near '%.*s'. SHOW knows TABLES, VIEWS, DATABASES, FUNCTIONS and COLUMNS IN.",
			       TM_STR_ARG(s->key));
	}
	answer_end(&a, ret);
	return TM_OK;
}

static tm_rc describe_function(struct sx *sx, const struct ast_stmt *s, struct tm_op **ret)
{
	static const char *const names[] = {"function_desc"};
	struct tm_str name = s->name.items[s->name.count - 1];
	const struct tm_fn *fn = tm_fn_find(name);
	struct answer a;
	if (!fn)
		return sx_fail(
		    sx, s->line, s->column, "UNRESOLVED_ROUTINE", "42883",
		    "Cannot resolve routine `%.*s` on search path [`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`].",
		    TM_STR_ARG(name));
	answer_begin(&a, sx, 1, names);
	answer_row(&a, (struct tm_str[]){sx_text(sx, "Function: %s", fn->name)});
	answer_row(&a, (struct tm_str[]){sx_text(sx, "Usage: %s", fn->doc ? fn->doc : "")});
	if (s->extended && fn->example)
		answer_row(&a, (struct tm_str[]){sx_text(sx, "Example: %s", fn->example)});
	answer_end(&a, ret);
	return TM_OK;
}

static tm_rc describe(struct sx *sx, const struct ast_stmt *s, struct tm_op **ret)
{
	static const char *const names[] = {"col_name", "data_type", "comment"};
	if (tm_str_is(s->key, "FUNCTION"))
		return describe_function(sx, s, ret);
	struct sx_env env = {.sx = sx};
	struct sx_rel rel = {0};
	struct answer a;
	if (s->query) {
		TM_TRY(sx_query(&env, s->query, &rel));
	} else {
		struct ast_rel r = {.kind = AST_REL_NAME, .line = s->line, .column = s->column, .names = s->name};
		TM_TRY(sx_relation(&env, &r, &rel));
	}
	answer_begin(&a, sx, 3, names);
	for (size_t i = 0; i < rel.columns.count; i++) {
		struct tm_buf type = {0};
		if (rel.columns.items[i].hidden)
			continue;
		tm_type_text(rel.columns.items[i].type, &type);
		answer_row(&a, (struct tm_str[]){rel.columns.items[i].name, tm_arena_str(sx->arena, tm_buf_str(&type)), {0}});
		tm_buf_done(&type);
	}
	answer_end(&a, ret);
	return TM_OK;
}

static tm_rc set(struct sx *sx, const struct ast_stmt *s, struct tm_op **ret)
{
	static const char *const names[] = {"key", "value"};
	struct answer a;
	answer_begin(&a, sx, 2, names);
	if (!s->key.len) {
		for (size_t i = 0; i < sx->sql->settings.count; i++)
			answer_row(&a, (struct tm_str[]){sx->sql->settings.items[i].name, sx->sql->settings.items[i].value});
	} else if (s->has_value) {
		TM_TRY(sx_at(sx, s->line, s->column, tm_sql_set(sx->sql, s->key, s->value, sx->err)));
		answer_row(&a, (struct tm_str[]){s->key, s->value});
	} else {
		struct tm_str v = tm_sql_setting(sx->sql, tm_arena_cstr(sx->arena, s->key));
		answer_row(&a, (struct tm_str[]){s->key, v.at ? v : TM_STR("<undefined>")});
	}
	answer_end(&a, ret);
	return TM_OK;
}

static tm_rc explain(struct sx *sx, const struct ast_stmt *s, struct tm_op **ret)
{
	static const char *const names[] = {"plan"};
	struct tm_op *root;
	struct answer a;
	struct tm_buf b = {0};
	sx->want_stream = true;
	TM_TRY(sx_plan(sx, s->query, &root));
	tm_buf_cstr_put(&b, "== Physical Plan ==\n");
	sx_explain(sx, root, &b);
	answer_begin(&a, sx, 1, names);
	answer_row(&a, (struct tm_str[]){tm_arena_str(sx->arena, tm_buf_str(&b))});
	tm_buf_done(&b);
	answer_end(&a, ret);
	return TM_OK;
}

/* A view keeps its query: parsed again into the catalogue's arena, and analysed once now so that errors show. */
static tm_rc create_view(struct sx *sx, const struct ast_stmt *s, struct tm_str text)
{
	struct tm_sql *sql = sx->sql;
	struct ast_stmt *kept;
	size_t offset = 0;
	struct tm_op *root;
	if (s->if_exists && tm_sql_view(sql, s->name.items[s->name.count - 1]))
		return TM_OK;
	struct sx_view v = {0};
	if (s->kind == AST_STMT_SOURCE) {
		TM_TRY(tm_sql_source(sql, s, &v.relation, sx->err));
		v.name = v.relation->name;
		return sx_at(sx, s->line, s->column, tm_sql_define(sql, &v, s->replace, sx->err));
	}
	TM_TRY(sx_plan(sx, s->query, &root));
	if (s->columns.count && s->columns.count != root->schema.count)
		return sx_fail(sx, s->line, s->column, "CREATE_VIEW_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS", "21S01",
			       "Cannot create view `%.*s`, the reason is a wrong number of column names: %zu names for %zu columns.",
			       TM_STR_ARG(s->name.items[s->name.count - 1]), s->columns.count, root->schema.count);
	TM_TRY(tm_sql_parse(&sql->arena, tm_arena_str(&sql->arena, text), &offset, &kept, sx->err));
	v.name = kept->name.items[kept->name.count - 1];
	v.query = kept->query;
	v.columns = kept->columns;
	return sx_at(sx, s->line, s->column, tm_sql_define(sql, &v, s->replace, sx->err));
}

static tm_rc drop_view(struct sx *sx, const struct ast_stmt *s)
{
	struct tm_str name = s->name.items[s->name.count - 1];
	struct sx_view *v = tm_sql_view(sx->sql, name);
	if (!v && s->if_exists)
		return TM_OK;
	if (!v)
		return sx_fail(sx, s->line, s->column, "TABLE_OR_VIEW_NOT_FOUND", "42P01",
			       "The table or view `%.*s` cannot be found. Verify the spelling and correctness of the schema and catalog.",
			       TM_STR_ARG(name));
	*v = sx->sql->views.items[--sx->sql->views.count];
	return TM_OK;
}

/* Rows are written by pipelines and by CQL; a name that is nothing is told first. */
static tm_rc insert(struct sx *sx, const struct ast_stmt *s)
{
	struct ast_rel r = {.kind = AST_REL_NAME, .line = s->line, .column = s->column, .names = s->name};
	struct sx_env env = {.sx = sx};
	struct sx_rel rel;
	TM_TRY(sx_relation(&env, &r, &rel));
	tm_rc rc = sx_fail(sx, s->line, s->column, "UNSUPPORTED_INSERT.NOT_ALLOWED", "42809",
			   "Can't insert into the target. The target relation `%.*s` does not allow insertion by SQL.",
			   TM_STR_ARG(s->name.items[s->name.count - 1]));
	tm_err_hint(sx->err, "write rows with CQL (`tidemill cql`), or with a pipeline: CREATE STREAMING TABLE … USING cassandra");
	return rc;
}

tm_rc sx_statement(struct sx *sx, const struct ast_stmt *s, struct tm_str text, struct tm_op **ret)
{
	struct answer none;
	answer_begin(&none, sx, 0, NULL);
	answer_end(&none, ret);
	switch (s->kind) {
	case AST_STMT_SET:
		return set(sx, s, ret);
	case AST_STMT_SHOW:
		return show(sx, s, ret);
	case AST_STMT_DESCRIBE:
		return describe(sx, s, ret);
	case AST_STMT_EXPLAIN:
		return explain(sx, s, ret);
	case AST_STMT_VIEW:
	case AST_STMT_SOURCE:
		return create_view(sx, s, text);
	case AST_STMT_DROP_VIEW:
		return drop_view(sx, s);
	case AST_STMT_USE:
		return TM_OK;
	case AST_STMT_RESET:
		sx->sql->settings.count = 0;
		sx->sql->session.ansi = true;
		sx->sql->session.time_zone = "UTC";
		return TM_OK;
	case AST_STMT_STREAMING_TABLE:
	case AST_STMT_FLOW: {
		tm_rc rc = sx_fail(sx, s->line, s->column, "UNSUPPORTED_FEATURE.STREAMING_STATEMENT", "0A000",
				   "CREATE STREAMING TABLE and CREATE FLOW belong to a pipeline.");
		tm_err_hint(sx->err, "put the statement into pipelines/*.sql of a project and run it with `tidemill up`");
		return rc;
	}
	case AST_STMT_INSERT:
		return insert(sx, s);
	case AST_STMT_QUERY:
		break;
	}
	return tm_fail(sx->err, TM_INTERNAL, "a statement of kind %d", (int)s->kind);
}
