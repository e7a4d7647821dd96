/* The room's door: a catalogue of views and settings, statements in, batches or JSON lines out. */
#include <stdlib.h>
#include "sql/sql_int.h"

struct tm_sql *tm_sql_new(const struct tm_sql_options *options)
{
	struct tm_sql *sql = tm_zalloc(sizeof *sql);
	const char *user = getenv("USER");
	tm_arena_init(&sql->arena);
	if (options->world)
		sql->world = *options->world;
	if (!sql->world.env)
		sql->world.env = tm_env_real();
	sql->max_answer_bytes = options->max_answer_bytes;
	sql->session =
	    (struct tm_session){.time_zone = tm_arena_cstr(&sql->arena, tm_str_of(options->time_zone ? options->time_zone : "UTC")),
				.ansi = !options->ansi_off,
				.current_database = TM_STR("default"),
				.user = tm_arena_str(&sql->arena, tm_str_of(user && *user ? user : "tidemill")),
				.env = sql->world.env};
	return sql;
}

void tm_sql_free(struct tm_sql *sql)
{
	if (!sql)
		return;
	free(sql->views.items);
	free(sql->settings.items);
	tm_arena_done(&sql->arena);
	free(sql);
}

struct tm_str tm_sql_setting(const struct tm_sql *sql, const char *name)
{
	for (size_t i = 0; i < sql->settings.count; i++)
		if (tm_str_iis(sql->settings.items[i].name, name))
			return sql->settings.items[i].value;
	return (struct tm_str){0};
}

tm_rc tm_sql_set(struct tm_sql *sql, struct tm_str name, struct tm_str value, struct tm_err *err)
{
	bool on = tm_str_iis(value, "true"), is_bool = on || tm_str_iis(value, "false");
	if (tm_str_iis(name, "spark.sql.ansi.enabled")) {
		if (!is_bool)
			return tm_fail_class(
			    err, TM_INVALID, "INVALID_CONF_VALUE.TYPE_MISMATCH", "22022",
			    "The value '%.*s' in the config \"spark.sql.ansi.enabled\" is invalid. It should be a/an boolean.",
			    TM_STR_ARG(value));
		sql->session.ansi = on;
	}
	value = tm_arena_str(&sql->arena, value);
	if (tm_str_iis(name, "spark.sql.session.timeZone"))
		sql->session.time_zone = value.at;
	for (size_t i = 0; i < sql->settings.count; i++)
		if (tm_str_ieq(sql->settings.items[i].name, name)) {
			sql->settings.items[i].value = value;
			return TM_OK;
		}
	TM_PUSH(&sql->settings, (struct tm_option){tm_arena_str(&sql->arena, name), value});
	return TM_OK;
}

struct sx_view *tm_sql_view(struct tm_sql *sql, struct tm_str name)
{
	for (size_t i = 0; i < sql->views.count; i++)
		if (tm_str_ieq(sql->views.items[i].name, name))
			return &sql->views.items[i];
	return NULL;
}

tm_rc tm_sql_define(struct tm_sql *sql, const struct sx_view *view, bool replace, struct tm_err *err)
{
	struct sx_view *old = tm_sql_view(sql, view->name);
	if (old && !replace)
		return tm_fail_class(err, TM_EXISTS, "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS", "42P07",
				     "Cannot create the temporary view `%.*s` because it already exists. Choose a different name, drop or "
				     "replace the existing view, or add the IF NOT EXISTS clause to tolerate pre-existing views.",
				     TM_STR_ARG(view->name));
	if (old)
		*old = *view;
	else
		TM_PUSH(&sql->views, *view);
	return TM_OK;
}

tm_rc tm_sql_register(struct tm_sql *sql, struct tm_relation *relation, struct tm_err *err)
{
	struct sx_view v = {.name = relation->name, .relation = relation};
	return tm_sql_define(sql, &v, true, err);
}

tm_rc tm_sql_source(struct tm_sql *sql, const struct ast_stmt *s, struct tm_relation **ret, struct tm_err *err)
{
	struct tm_arena *a = &sql->arena;
	struct tm_relation *r = TM_NEW(a, struct tm_relation);
	struct tm_option *options = TM_NEW_N(a, struct tm_option, s->options.count + 2);
	r->name = tm_arena_str(a, s->name.items[s->name.count - 1]);
	r->format = tm_arena_str(a, s->format);
	for (size_t i = 0; i < s->options.count; i++)
		options[i] = (struct tm_option){tm_arena_str(a, s->options.items[i].name), tm_arena_str(a, s->options.items[i].value)};
	r->options = options;
	r->option_count = s->options.count;
	struct tm_str schema = s->schema;
	for (size_t i = 0; i < s->options.count && !schema.at; i++)
		if (tm_str_iis(s->options.items[i].name, "schema"))
			schema = s->options.items[i].value;
	if (schema.at) {
		const struct tm_type *t;
		tm_rc rc = tm_type_parse(a, schema, &t, err);
		if (rc != TM_OK) {
			if (err && !err->line)
				tm_err_at(err, NULL, s->line, s->column);
			return rc;
		}
		if (t->kind == TM_T_STRUCT) {
			r->schema.count = t->child_count;
			r->schema.fields = TM_NEW_N(a, struct tm_field, t->child_count + 1);
			for (size_t i = 0; i < t->child_count; i++)
				r->schema.fields[i] = (struct tm_field){t->names[i], t->children[i], t->nullable[i]};
		}
	}
	*ret = r;
	return TM_OK;
}

struct sx sx_begin(struct tm_sql *sql, struct tm_arena *arena, struct tm_err *err)
{
	sql->session.now_us = tm_now_us(sql->world.env);
	return (struct sx){.sql = sql, .arena = arena, .session = &sql->session, .err = err};
}

tm_rc sx_plan(struct sx *sx, const struct ast_query *q, struct tm_op **ret)
{
	struct sx_env env = {.sx = sx};
	struct sx_rel rel = {0};
	TM_TRY(sx_query(&env, q, &rel));
	/* Names of the relation may differ from the operator's, and columns may stand in another order (USING, aliases). */
	size_t n = 0;
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, rel.columns.count + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, rel.columns.count + 1);
	bool same = true;
	for (size_t i = 0; i < rel.columns.count; i++) {
		const struct sx_column *c = &rel.columns.items[i];
		if (c->hidden)
			continue;
		exprs[n] = c->expr ? c->expr : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
		names[n] = c->name;
		same = same && !c->expr && c->index == n && tm_str_eq(rel.op->schema.fields[n].name, c->name);
		n++;
	}
	if (!same || n != rel.op->schema.count)
		rel.op = sx_op_project(sx, rel.op, exprs, names, n);
	*ret = rel.op;
	return sx_optimise(sx, ret);
}

/* ---- running ---- */
tm_rc tm_sql_run(struct tm_sql *sql, struct tm_str statement, const struct tm_sql_sink *sink, struct tm_err *err)
{
	struct tm_arena arena;
	struct ast_stmt *s;
	struct tm_op *root = NULL;
	size_t offset = 0;
	tm_arena_init(&arena);
	arena.limit_bytes = TM_LIMIT_VALUES_BYTES; /* constants are folded in it */
	struct sx sx = sx_begin(sql, &arena, err);
	tm_rc rc;
	/* Views outlive the statement: their text and tree belong to the catalogue. */
	struct tm_str text = tm_str_trim(statement);
	TM_TRY_GOTO(rc, out, tm_sql_parse(&arena, statement, &offset, &s, err));
	if (!s) {
		rc = tm_fail_class(err, TM_SYNTAX, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near end of input.");
		tm_err_at(err, NULL, 1, 1);
		goto out;
	}
	if (s->kind == AST_STMT_QUERY)
		rc = sx_plan(&sx, s->query, &root);
	else
		rc = sx_statement(&sx, s, text, &root);
	if (rc != TM_OK)
		goto out;
	if (sink->schema)
		TM_TRY_GOTO(rc, out, sink->schema(sink->ctx, &root->schema, &sql->session));
	rc = tm_plan_run(&sql->world, &sql->session, root, sink->rows, sink->ctx, err);
out:
	tm_arena_done(&arena);
	return rc;
}

struct json_sink {
	struct tm_buf *out;
	const struct tm_session *session;
	struct tm_err *err;
	bool any;
	size_t max; /* length of out */
};
static tm_rc json_schema(void *ctx, const struct tm_schema *schema, const struct tm_session *session)
{
	struct json_sink *j = ctx;
	j->session = session;
	tm_buf_cstr_put(j->out, "{\"columns\": [");
	for (size_t i = 0; i < schema->count; i++) {
		struct tm_buf type = {0};
		tm_type_text(schema->fields[i].type, &type);
		tm_buf_cstr_put(j->out, i ? ", {\"name\": " : "{\"name\": ");
		tm_buf_json_str(j->out, schema->fields[i].name);
		tm_buf_cstr_put(j->out, ", \"type\": ");
		tm_buf_json_str(j->out, tm_buf_str(&type));
		tm_buf_char(j->out, '}');
		tm_buf_done(&type);
	}
	tm_buf_cstr_put(j->out, "], \"rows\": [");
	return TM_OK;
}
static tm_rc fail_large(const struct json_sink *j)
{
	return tm_fail_class(
	    j->err, TM_LIMIT, "RESULT_TOO_LARGE", "54000",
	    "The answer is larger than what is sent at once. Add LIMIT, or let a pipeline write it into a table or a topic.");
}

static tm_rc json_rows(void *ctx, const struct tm_batch *batch)
{
	struct json_sink *j = ctx;
	for (size_t i = 0; i < batch->rows; i++) {
		tm_buf_cstr_put(j->out, j->any ? ", [" : "[");
		j->any = true;
		for (size_t k = 0; k < batch->column_count; k++) {
			if (k)
				tm_buf_cstr_put(j->out, ", ");
			size_t start = j->out->len;
			tm_value_json(j->session, &batch->columns[k], i, j->out);
			if (j->out->len - start > TM_LIMIT_VALUES_BYTES)
				return tm_fail(j->err, TM_LIMIT, "a value of more than %zu bytes cannot be shown", TM_LIMIT_VALUES_BYTES);
		}
		tm_buf_char(j->out, ']');
		if (j->out->len > j->max)
			return fail_large(j);
	}
	return TM_OK;
}

tm_rc tm_sql_run_json(struct tm_sql *sql, struct tm_str statement, struct tm_buf *out, struct tm_err *err)
{
	struct tm_err own = {0};
	struct json_sink j = {.out = out};
	struct tm_sql_sink sink = {json_schema, json_rows, &j};
	size_t start = out->len;
	if (!err)
		err = &own;
	j.err = err;
	j.max = sql->max_answer_bytes ? start + sql->max_answer_bytes : SIZE_MAX;
	tm_rc rc = tm_sql_run(sql, statement, &sink, err);
	if (rc == TM_OK) {
		tm_buf_cstr_put(out, "]}");
		return TM_OK;
	}
	out->len = start;
	tm_buf_cstr_put(out, "{\"error\": {\"class\": ");
	tm_buf_json_str(out, tm_str_of(err->klass[0] ? err->klass : "INTERNAL_ERROR"));
	tm_buf_cstr_put(out, ", \"sqlstate\": ");
	tm_buf_json_str(out, tm_str_of(err->klass[0] ? err->sqlstate : "XX000"));
	tm_buf_cstr_put(out, ", \"message\": ");
	tm_buf_json_str(out, tm_str_of(err->what));
	tm_buf_printf(out, ", \"line\": %d, \"column\": %d}}", err->line, err->column);
	return rc;
}

/* ---- a table for people ---- */
struct table_sink {
	struct tm_arena arena;
	const struct tm_session *session;
	struct {
		struct tm_str *items;
		size_t count, cap;
	} cells;
	size_t columns, rows, max_rows, total;
	bool *right;
};
static tm_rc table_schema(void *ctx, const struct tm_schema *schema, const struct tm_session *session)
{
	struct table_sink *t = ctx;
	t->session = session;
	t->columns = schema->count;
	t->right = TM_NEW_N(&t->arena, bool, schema->count + 1);
	for (size_t i = 0; i < schema->count; i++) {
		t->right[i] = tm_type_numeric(schema->fields[i].type);
		TM_PUSH_IN(&t->arena, &t->cells, tm_arena_str(&t->arena, schema->fields[i].name));
	}
	return TM_OK;
}
static tm_rc table_rows(void *ctx, const struct tm_batch *batch)
{
	struct table_sink *t = ctx;
	struct tm_buf b = {0};
	t->total += batch->rows;
	for (size_t i = 0; i < batch->rows && t->rows < t->max_rows; i++, t->rows++)
		for (size_t k = 0; k < batch->column_count; k++) {
			b.len = 0;
			if (tm_is_null(&batch->columns[k], i))
				tm_buf_cstr_put(&b, "NULL");
			else
				tm_value_text(t->session, &batch->columns[k], i, &b);
			for (size_t c = 0; c < b.len; c++)
				if ((unsigned char)b.at[c] < ' ')
					b.at[c] = ' ';
			TM_PUSH_IN(&t->arena, &t->cells, tm_arena_str(&t->arena, tm_buf_str(&b)));
		}
	tm_buf_done(&b);
	return TM_OK;
}

static void pad(struct tm_buf *out, char c, size_t n)
{
	while (n--)
		tm_buf_char(out, c);
}

tm_rc tm_sql_run_table(struct tm_sql *sql, struct tm_str statement, size_t max_rows, struct tm_buf *out, struct tm_err *err)
{
	struct table_sink t = {.max_rows = max_rows};
	struct tm_sql_sink sink = {table_schema, table_rows, &t};
	tm_arena_init(&t.arena);
	tm_rc rc = tm_sql_run(sql, statement, &sink, err);
	if (rc == TM_OK && t.columns) {
		size_t *width = TM_NEW_N(&t.arena, size_t, t.columns);
		for (size_t i = 0; i < t.cells.count; i++) {
			size_t n = tm_utf8_count(t.cells.items[i]);
			if (n > width[i % t.columns])
				width[i % t.columns] = n;
		}
		for (size_t row = 0; row <= t.rows; row++) {
			for (size_t k = 0; k < t.columns; k++) {
				struct tm_str cell = t.cells.items[row * t.columns + k];
				size_t fill = width[k] - tm_utf8_count(cell);
				tm_buf_cstr_put(out, k ? " | " : " ");
				pad(out, ' ', t.right[k] ? fill : 0);
				tm_buf_str_put(out, cell);
				if (k + 1 < t.columns)
					pad(out, ' ', t.right[k] ? 0 : fill);
			}
			tm_buf_char(out, '\n');
			for (size_t k = 0; !row && k < t.columns; k++) {
				tm_buf_cstr_put(out, k ? "+" : "");
				pad(out, '-', width[k] + 2);
			}
			if (!row)
				tm_buf_char(out, '\n');
		}
		if (t.total > t.rows)
			tm_buf_printf(out, "(%zu of %zu rows)\n", t.rows, t.total);
		else
			tm_buf_printf(out, "(%zu row%s)\n", t.total, t.total == 1 ? "" : "s");
	}
	tm_arena_done(&t.arena);
	return rc;
}

/* ---- scripts ---- */
static size_t skip_quoted(struct tm_str s, size_t i, bool raw)
{
	char quote = s.at[i];
	for (i++; i < s.len; i++) {
		if (s.at[i] == '\\' && quote != '`' && !raw)
			i++;
		else if (s.at[i] == quote)
			return i + 1;
	}
	return s.len;
}

static size_t skip_remark(struct tm_str s, size_t i)
{
	if (s.at[i] == '-') {
		while (i < s.len && s.at[i] != '\n')
			i++;
		return i;
	}
	int depth = 0;
	while (i < s.len) {
		if (i + 1 < s.len && s.at[i] == '/' && s.at[i + 1] == '*') {
			depth++;
			i += 2;
		} else if (i + 1 < s.len && s.at[i] == '*' && s.at[i + 1] == '/') {
			i += 2;
			if (!--depth)
				return i;
		} else {
			i++;
		}
	}
	return i;
}

bool tm_sql_split(struct tm_str *rest, struct tm_str *ret_statement)
{
	struct tm_str s = *rest;
	while (s.len) {
		while (s.len && (unsigned char)s.at[0] <= ' ')
			s = tm_str_slice(s, 1, s.len);
		size_t i = 0;
		bool content = false;
		while (i < s.len && s.at[i] != ';') {
			char c = s.at[i], next = i + 1 < s.len ? s.at[i + 1] : 0;
			if ((c == '-' && next == '-') || (c == '/' && next == '*')) {
				i = skip_remark(s, i);
				continue;
			}
			content = content || (unsigned char)c > ' ';
			if (c == '\'' || c == '"' || c == '`')
				i = skip_quoted(s, i,
						i > 0 && (s.at[i - 1] | 32) == 'r' &&
						    (i < 2 || !((s.at[i - 2] | 32) >= 'a' && (s.at[i - 2] | 32) <= 'z')));
			else
				i++;
		}
		*ret_statement = tm_str_slice(s, 0, i);
		s = tm_str_slice(s, i < s.len ? i + 1 : i, s.len);
		*rest = s;
		if (content)
			return true;
	}
	return false;
}
