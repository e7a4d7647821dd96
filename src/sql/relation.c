/* FROM: views, sources, VALUES, table functions, joins, watermarks, aliases. A relation is an operator and the columns that names
 * find in it. */
#include "sql/datetime.h"
#include "sql/domain.h"

void sx_rel_add_columns(struct sx *sx, struct sx_rel *rel, const struct tm_op *op, size_t from, struct tm_str qualifier)
{
	for (size_t i = from; i < op->schema.count; i++) {
		struct sx_column c = {.name = op->schema.fields[i].name,
				      .type = op->schema.fields[i].type,
				      .nullable = op->schema.fields[i].nullable,
				      .index = i};
		if (qualifier.len)
			TM_PUSH_IN(sx->arena, &c.qualifier, qualifier);
		TM_PUSH_IN(sx->arena, &rel->columns, c);
	}
}

static tm_rc rename_columns(struct sx *sx, struct sx_rel *rel, const struct ast_names *names, int line, int column)
{
	if (!names->count)
		return TM_OK;
	size_t visible = 0, k = 0;
	for (size_t i = 0; i < rel->columns.count; i++)
		visible += !rel->columns.items[i].hidden;
	if (visible != names->count)
		return sx_fail(
		    sx, line, column, "ASSIGNMENT_ARITY_MISMATCH", "42802",
		    "The number of columns or variables assigned or aliased: %zu does not match the number of source expressions: %zu.",
		    names->count, visible);
	for (size_t i = 0; i < rel->columns.count; i++)
		if (!rel->columns.items[i].hidden)
			rel->columns.items[i].name = names->items[k++];
	return TM_OK;
}

static tm_rc set_alias(struct sx *sx, struct sx_rel *rel, struct tm_str alias, const struct ast_names *names, int line, int column)
{
	TM_TRY(rename_columns(sx, rel, names, line, column));
	if (!alias.at)
		return TM_OK;
	size_t kept = 0;
	for (size_t i = 0; i < rel->columns.count; i++) {
		struct sx_column c = rel->columns.items[i];
		if (c.hidden)
			continue;
		c.qualifier = (struct ast_names){0};
		TM_PUSH_IN(sx->arena, &c.qualifier, alias);
		rel->columns.items[kept++] = c;
	}
	rel->columns.count = kept;
	return TM_OK;
}

/* ---- scans ---- */
static tm_rc scan(struct sx *sx, const struct tm_relation *relation, bool stream, const struct ast_rel *r, struct tm_str qualifier,
		  struct sx_rel *ret)
{
	struct tm_relation *copy = TM_NEW(sx->arena, struct tm_relation);
	if (stream && sx->want_stream && !relation->streaming && tm_str_is(relation->format, "memory"))
		return sx_fail(
		    sx, r->line, r->column, "_LEGACY_ERROR_TEMP_1008", "",
		    "%.*s is not a temp view of streaming logical plan, please use batch API such as `DataFrameReader.table` to read it.",
		    TM_STR_ARG(relation->name));
	*copy = *relation;
	copy->streaming = sx->want_stream && (stream || relation->streaming);
	if (!copy->schema.count && !copy->streaming)
		TM_TRY(sx_at(sx, r->line, r->column, sx_infer(sx, copy)));
	if (!copy->schema.count)
		TM_TRY(sx_at(sx, r->line, r->column, tm_source_describe(&sx->sql->world, copy, sx->arena, sx->err)));
	struct tm_op *op = sx_op(sx, TM_OP_SCAN, NULL, NULL);
	size_t *columns = TM_NEW_N(sx->arena, size_t, copy->schema.count + 1);
	for (size_t i = 0; i < copy->schema.count; i++) {
		columns[i] = i;
		sx_schema_add(sx, op, copy->schema.fields[i].name, copy->schema.fields[i].type, copy->schema.fields[i].nullable);
	}
	op->scan.relation = copy;
	op->scan.columns = columns;
	op->scan.column_count = copy->schema.count;
	op->streaming = copy->streaming;
	op->line = r->line;
	op->column_no = r->column;
	TM_PUSH_IN(sx->arena, &sx->relations, copy);
	ret->op = op;
	sx_rel_add_columns(sx, ret, op, 0, qualifier);
	return TM_OK;
}

static tm_rc not_found(struct sx *sx, const struct ast_rel *r)
{
	struct tm_buf name = {0};
	for (size_t i = 0; i < r->names.count; i++)
		tm_buf_printf(&name, "%s`%.*s`", i ? "." : "", TM_STR_ARG(r->names.items[i]));
	tm_rc rc = sx_fail(sx, r->line, r->column, "TABLE_OR_VIEW_NOT_FOUND", "42P01",
			   "The table or view %.*s cannot be found. Verify the spelling and correctness of the schema and catalog.\nSearch "
			   "path: [`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`].\nIf you did not qualify the name "
			   "with a schema, verify the current_schema() output, or qualify the name with the correct schema and "
			   "catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS or DROP TABLE IF EXISTS.",
			   TM_STR_ARG(tm_buf_str(&name)));
	tm_buf_done(&name);
	if (r->names.count == 1) {
		const char **names = TM_NEW_N(sx->arena, const char *, sx->sql->views.count + 1);
		for (size_t i = 0; i < sx->sql->views.count; i++)
			names[i] = tm_arena_cstr(sx->arena, sx->sql->views.items[i].name);
		const char *close = tm_str_closest(r->names.items[0], names);
		if (close)
			tm_err_hint(sx->err, "did you mean `%s`?", close);
	}
	return rc;
}

static struct tm_option *option_list(struct sx *sx, size_t n) { return TM_NEW_N(sx->arena, struct tm_option, n); }

/* json.`path`, kafka.topic, keyspace.table, a bare topic or table. */
static tm_rc outside_relation(struct sx *sx, const struct ast_rel *r, struct sx_rel *ret)
{
	const struct ast_names *n = &r->names;
	struct tm_relation rel = {.name = n->items[n->count - 1]};
	struct tm_option *o = option_list(sx, 2);
	rel.options = o;
	if (n->count == 2) {
		bool format = false;
		for (size_t i = 0; tm_source_formats[i]; i++)
			format = format || tm_str_iis(n->items[0], tm_source_formats[i]);
		if (format && !tm_str_iis(n->items[0], "cassandra")) {
			bool kafka = tm_str_iis(n->items[0], "kafka");
			rel.format = n->items[0];
			o[0] = (struct tm_option){kafka ? TM_STR("subscribe") : TM_STR("path"), n->items[1]};
			o[1] = (struct tm_option){TM_STR("startingOffsets"), TM_STR("earliest")};
			rel.option_count = kafka ? 2 : 1;
			return scan(sx, &rel, r->stream, r, n->items[1], ret);
		}
		if (!tm_source_exists(&sx->sql->world, TM_STR("cassandra"), n->items[0], n->items[1]))
			return not_found(sx, r);
		rel.format = TM_STR("cassandra");
		o[0] = (struct tm_option){TM_STR("keyspace"), n->items[0]};
		o[1] = (struct tm_option){TM_STR("table"), n->items[1]};
		rel.option_count = 2;
		return scan(sx, &rel, r->stream, r, n->items[1], ret);
	}
	if (n->count == 1 && tm_source_exists(&sx->sql->world, TM_STR("kafka"), (struct tm_str){0}, n->items[0])) {
		rel.format = TM_STR("kafka");
		o[0] = (struct tm_option){TM_STR("subscribe"), n->items[0]};
		o[1] = (struct tm_option){TM_STR("startingOffsets"), TM_STR("earliest")};
		rel.option_count = 2;
		return scan(sx, &rel, r->stream, r, n->items[0], ret);
	}
	return not_found(sx, r);
}

static tm_rc named(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct tm_str name = r->names.items[r->names.count - 1];
	if (r->names.count == 1)
		for (const struct sx_cte *c = env->ctes; c; c = c->next)
			if (tm_str_ieq(c->name, name)) {
				struct sx_env inner = {.sx = sx, .ctes = c->next};
				if (c->outer && c->outer == env->outer)
					TM_TRY(sx_derived(env, c->query, c->next, ret));
				else
					TM_TRY(sx_query(&inner, c->query, ret));
				return set_alias(sx, ret, name, &c->columns, r->line, r->column);
			}
	struct sx_view *v = r->names.count == 1 ? tm_sql_view(sx->sql, name) : NULL;
	if (!v)
		return outside_relation(sx, r, ret);
	if (v->relation)
		return scan(sx, v->relation, r->stream, r, name, ret);
	if (++sx->view_depth > SX_LIMIT_VIEW_DEPTH)
		return sx_fail(sx, r->line, r->column, "VIEW_EXCEED_MAX_NESTED_DEPTH", "54K00",
			       "The depth of view `%.*s` exceeds the maximum view resolution depth (%d).", TM_STR_ARG(name),
			       SX_LIMIT_VIEW_DEPTH);
	struct sx_env inner = {.sx = sx};
	TM_TRY(sx_query(&inner, v->query, ret));
	sx->view_depth--;
	return set_alias(sx, ret, name, &v->columns, r->line, r->column);
}

/* ---- VALUES ---- */
static tm_rc cell(struct sx *sx, struct tm_expr *e, const struct tm_type *type, struct tm_appender *out)
{
	TM_TRY(sx_cast(sx, e, type, &e));
	struct tm_column c;
	struct tm_batch none = {.rows = 1};
	struct tm_eval ev = {.arena = sx->arena, .session = sx->session, .in = &none, .rows = 1, .err = sx->err};
	TM_TRY(tm_expr_eval(&ev, e, &c));
	if (tm_is_null(&c, 0))
		tm_appender_null(out);
	else
		tm_appender_value(out, &c, 0);
	return TM_OK;
}

static bool not_inline(const struct tm_expr *e, __attribute__((unused)) void *ctx)
{
	return e->kind != TM_EXPR_LITERAL && e->kind != TM_EXPR_CALL && e->kind != TM_EXPR_LAMBDA && e->kind != TM_EXPR_LAMBDA_VARIABLE;
}

static tm_rc values(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	size_t rows = r->args.count, columns = 0;
	struct tm_expr ***cells = TM_NEW_N(sx->arena, struct tm_expr **, rows);
	struct sx_env plain = {.sx = sx, .ctes = env->ctes, .outer = env->outer, .domain = env->domain};
	for (size_t i = 0; i < rows; i++) {
		const struct ast_expr *row = r->args.items[i];
		bool tuple = row->kind == AST_CALL && row->flag && row->parenthesised;
		size_t width = tuple ? row->args.count : 1;
		if (i && width != columns)
			return sx_fail(sx, r->line, r->column, "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH", "42000",
				       "Invalid inline table. Inline table expected %zu columns but found %zu columns in row %zu.", columns,
				       width, i);
		columns = width;
		cells[i] = TM_NEW_N(sx->arena, struct tm_expr *, width);
		for (size_t k = 0; k < width; k++) {
			TM_TRY(sx_resolve(&plain, tuple ? row->args.items[k] : row, &cells[i][k]));
			if (sx_any(cells[i][k], not_inline, NULL))
				return sx_fail(sx, row->line, row->column,
					       "INVALID_INLINE_TABLE.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE", "42000",
					       "Invalid inline table. Cannot evaluate the expression \"%.*s\" in inline table definition.",
					       TM_STR_ARG(cells[i][k]->text));
		}
	}
	struct tm_op *op = sx_op(sx, TM_OP_VALUES, NULL, NULL);
	op->values.rows = rows;
	op->values.column_count = columns;
	op->values.columns = TM_NEW_N(sx->arena, struct tm_column, columns + 1);
	for (size_t k = 0; k < columns; k++) {
		const struct tm_type *type = cells[0][k]->type;
		bool nullable = false;
		for (size_t i = 1; i < rows && type; i++)
			type = tm_type_common(sx->arena, type, cells[i][k]->type, sx->session->ansi);
		if (!type)
			return sx_fail(sx, r->line, r->column, "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE", "42000",
				       "Invalid inline table. Found incompatible types in the column `col%zu` for inline table.", k + 1);
		struct tm_appender *a = tm_appender_new(sx->arena, type);
		for (size_t i = 0; i < rows; i++) {
			TM_TRY(cell(sx, cells[i][k], type, a));
			nullable = nullable || cells[i][k]->nullable;
		}
		tm_appender_finish(a, &op->values.columns[k]);
		sx_schema_add(sx, op, sx_text(sx, "col%zu", k + 1), type, nullable);
	}
	ret->op = op;
	sx_rel_add_columns(sx, ret, op, 0, (struct tm_str){0});
	return TM_OK;
}

/* ---- table functions ---- */
static tm_rc range(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	int64_t v[4] = {0, 0, 1, 1};
	size_t n = r->args.count;
	struct sx_env plain = {.sx = sx};
	if (n < 1 || n > 4)
		return sx_fail(sx, r->line, r->column, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
			       "The `range` requires [1, 2, 3, 4] parameters but the actual number is %zu.", n);
	for (size_t i = 0; i < n; i++) {
		struct tm_expr *e;
		TM_TRY(sx_resolve(&plain, r->args.items[i], &e));
		TM_TRY(sx_cast(sx, e, &tm_type_bigint, &e));
		const struct tm_column *c = sx_value(sx, e);
		if (!c || tm_is_null(c, 0))
			return sx_fail(sx, r->line, r->column, "UNEXPECTED_INPUT_TYPE", "42K09", "range() takes constant integers.");
		v[n == 1 ? 1 : i] = c->i64[0];
	}
	if (v[2] == 0)
		return sx_fail(sx, r->line, r->column, "INVALID_PARAMETER_VALUE.RANGE_STEP", "22023", "The step of range() cannot be 0.");
	struct tm_op *op = sx_op(sx, TM_OP_RANGE, NULL, NULL);
	op->range.start = v[0];
	op->range.end = v[1];
	op->range.step = v[2];
	sx_schema_add(sx, op, TM_STR("id"), &tm_type_bigint, false);
	ret->op = op;
	sx_rel_add_columns(sx, ret, op, 0, (struct tm_str){0});
	return TM_OK;
}

/* A generator as a relation; left: its arguments' columns, which stay in front, hidden from names. */
static tm_rc generator(struct sx_env *env, const struct ast_rel *r, struct sx_rel *left, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct ast_expr call = {.kind = AST_CALL, .line = r->line, .column = r->column, .names = r->names, .args = r->args};
	struct sx_env inner = *env;
	struct tm_expr *e;
	size_t first;
	inner.columns = left ? &left->columns : NULL;
	TM_TRY(sx_resolve(&inner, &call, &e));
	if (sx_kind(e) != SX_GENERATOR)
		return sx_fail(sx, r->line, r->column, "UNRESOLVABLE_TABLE_VALUED_FUNCTION", "42883",
			       "Could not resolve `%.*s` to a table-valued function. Please make sure that `%.*s` is defined as a "
			       "table-valued function and that all required parameters are provided correctly.",
			       TM_STR_ARG(r->names.items[0]), TM_STR_ARG(r->names.items[0]));
	ret->op = left ? left->op : sx_op_one_row(sx);
	TM_TRY(sx_generate(sx, &ret->op, e, &first));
	sx_rel_add_columns(sx, ret, ret->op, first, (struct tm_str){0});
	return TM_OK;
}

/* In a subquery that carries outer values: unfolded for each of them. */
static tm_rc carried_generator(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx_env inner = *env;
	struct sx_rel domain = {0};
	sx_carry(env, &domain);
	inner.in_domain = true;
	inner.domain_at = domain.domain_at;
	TM_TRY(generator(&inner, r, &domain, ret));
	ret->domain = true;
	ret->domain_at = domain.domain_at;
	return TM_OK;
}

static tm_rc function(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	if (tm_str_iis(r->names.items[r->names.count - 1], "range"))
		return range(env, r, ret);
	static const char *const generators[] = {"explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer",
						 "stack",   "json_tuple",    NULL};
	for (size_t i = 0; generators[i]; i++)
		if (tm_str_iis(r->names.items[0], generators[i]))
			return env->carry ? carried_generator(env, r, ret) : generator(env, r, NULL, ret);
	return sx_fail(env->sx, r->line, r->column, "UNRESOLVABLE_TABLE_VALUED_FUNCTION", "42883",
		       "Could not resolve `%.*s` to a table-valued function. Please make sure that `%.*s` is defined as a table-valued "
		       "function and that all required parameters are provided correctly.",
		       TM_STR_ARG(r->names.items[0]), TM_STR_ARG(r->names.items[0]));
}

tm_rc sx_lateral_view(struct sx_env *env, const struct ast_lateral_view *v, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	struct sx_env inner = *env;
	struct tm_expr *e;
	size_t first, have = io->columns.count;
	inner.columns = &io->columns;
	TM_TRY(sx_resolve(&inner, v->generator, &e));
	if (sx_kind(e) != SX_GENERATOR)
		return sx_fail(sx, v->line, v->column, "UNSUPPORTED_GENERATOR.NOT_GENERATOR", "42K0E",
			       "The generator is not supported: `%.*s` is expected to be a generator.",
			       TM_STR_ARG(v->generator->names.items[0]));
	struct sx_generator *g = TM_NEW(sx->arena, struct sx_generator);
	*g = *(const struct sx_generator *)e->bound;
	g->outer = g->outer || v->outer;
	e->bound = g;
	TM_TRY(sx_generate(sx, &io->op, e, &first));
	if (v->columns.count && v->columns.count != g->column_count)
		return sx_fail(sx, v->line, v->column, "UDTF_ALIAS_NUMBER_MISMATCH", "42802",
			       "The number of aliases supplied in the AS clause does not match the number of columns output by the UDTF. "
			       "Expected %zu aliases, but got %zu.",
			       g->column_count, v->columns.count);
	sx_rel_add_columns(sx, io, io->op, first, v->table);
	for (size_t i = 0; i < v->columns.count; i++)
		io->columns.items[have + i].name = v->columns.items[i];
	return TM_OK;
}

/* ---- joins ---- */
struct side {
	size_t split;
	bool left, right;
};
static bool mark_side(const struct tm_expr *e, void *ctx)
{
	struct side *s = ctx;
	if (e->kind == TM_EXPR_COLUMN) {
		s->left = s->left || e->column < s->split;
		s->right = s->right || e->column >= s->split;
	}
	return false;
}

tm_rc sx_join_on(struct sx *sx, struct tm_op *op, struct tm_expr *condition)
{
	struct tm_expr **items = NULL, *residual = NULL;
	size_t n = 0, split = op->inputs[0]->schema.count, have = op->join.key_count;
	sx_conjuncts(sx, condition, &items, &n);
	struct tm_expr **left = TM_NEW_N(sx->arena, struct tm_expr *, have + n + 1),
		       **right = TM_NEW_N(sx->arena, struct tm_expr *, have + n + 1);
	bool *safe = TM_NEW_N(sx->arena, bool, have + n + 1);
	for (size_t i = 0; i < have; i++) {
		left[i] = op->join.left_keys[i];
		right[i] = op->join.right_keys[i];
		safe[i] = op->join.null_safe[i];
	}
	for (size_t i = 0; i < n; i++) {
		struct tm_expr *e = items[i];
		bool equal = e->kind == TM_EXPR_CALL && e->function && e->arg_count == 2 &&
			     (strcmp(e->function, "=") == 0 || strcmp(e->function, "<=>") == 0);
		struct side a = {.split = split}, b = {.split = split};
		if (equal) {
			sx_any(e->args[0], mark_side, &a);
			sx_any(e->args[1], mark_side, &b);
		}
		bool straight = a.left && !a.right && b.right && !b.left, swapped = a.right && !a.left && b.left && !b.right;
		if (straight || swapped) {
			left[have] = e->args[swapped];
			right[have] = sx_shift(sx, e->args[straight], 0 - split);
			safe[have++] = e->function[1] == '=';
		} else {
			struct tm_expr *pair[2] = {residual, e};
			residual = residual ? sx_and(sx, pair, 2) : e;
		}
	}
	op->join.left_keys = left;
	op->join.right_keys = right;
	op->join.null_safe = safe;
	op->join.key_count = have;
	if (residual && op->join.residual) {
		struct tm_expr *pair[2] = {op->join.residual, residual};
		residual = sx_and(sx, pair, 2);
	}
	op->join.residual = residual ? residual : op->join.residual;
	return TM_OK;
}

static struct tm_op *join_op(struct sx *sx, const struct ast_rel *r, struct tm_op *left, struct tm_op *right)
{
	static const enum tm_join_kind kinds[] = {
	    [AST_JOIN_INNER] = TM_JOIN_INNER, [AST_JOIN_LEFT] = TM_JOIN_LEFT, [AST_JOIN_RIGHT] = TM_JOIN_RIGHT,
	    [AST_JOIN_FULL] = TM_JOIN_FULL,   [AST_JOIN_SEMI] = TM_JOIN_SEMI, [AST_JOIN_ANTI] = TM_JOIN_ANTI,
	    [AST_JOIN_CROSS] = TM_JOIN_CROSS};
	struct tm_op *op = sx_op(sx, TM_OP_JOIN, left, right);
	enum tm_join_kind k = op->join.kind = kinds[r->join];
	op->line = r->line;
	op->column_no = r->column;
	for (size_t i = 0; i < left->schema.count; i++)
		sx_schema_add(sx, op, left->schema.fields[i].name, left->schema.fields[i].type,
			      left->schema.fields[i].nullable || k == TM_JOIN_RIGHT || k == TM_JOIN_FULL);
	if (k != TM_JOIN_SEMI && k != TM_JOIN_ANTI)
		for (size_t i = 0; i < right->schema.count; i++)
			sx_schema_add(sx, op, right->schema.fields[i].name, right->schema.fields[i].type,
				      right->schema.fields[i].nullable || k == TM_JOIN_LEFT || k == TM_JOIN_FULL);
	return op;
}

static struct sx_column *find_using(struct sx_columns *columns, struct tm_str name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (!columns->items[i].hidden && tm_str_ieq(columns->items[i].name, name))
			return &columns->items[i];
	return NULL;
}

static struct tm_expr *ref(struct sx *sx, const struct sx_column *c)
{
	return c->expr ? c->expr : sx_column_expr(sx, c->index, c->type, c->nullable, c->name);
}

/* USING (a, b): the keys stand first, once; the other side's stay reachable by their qualified names. */
static tm_rc join_using(struct sx_env *env, const struct ast_rel *r, const struct ast_names *names, struct sx_rel *left,
			struct sx_rel *right, struct tm_op *op, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_columns keys = {0}, rest = {0};
	bool only_left = op->join.kind == TM_JOIN_SEMI || op->join.kind == TM_JOIN_ANTI;
	for (size_t i = 0; i < names->count; i++) {
		struct sx_column *l = find_using(&left->columns, names->items[i]), *rc = find_using(&right->columns, names->items[i]);
		if (!l || !rc)
			return sx_fail(sx, r->line, r->column, "UNRESOLVED_USING_COLUMN_FOR_JOIN", "42703",
				       "USING column `%.*s` cannot be resolved on the %s side of the join.", TM_STR_ARG(names->items[i]),
				       l ? "right" : "left");
		struct tm_expr *pair[2] = {ref(sx, l), ref(sx, rc)}, *equal;
		TM_TRY(sx_call(env, "=", pair, 2, r->line, r->column, &equal));
		TM_TRY(sx_join_on(sx, op, equal));
		struct sx_column key = *l;
		if (op->join.kind == TM_JOIN_RIGHT)
			key = *rc;
		if (op->join.kind == TM_JOIN_FULL) {
			const struct tm_type *common = tm_type_common(sx->arena, l->type, rc->type, sx->session->ansi);
			struct tm_expr *both[2];
			TM_TRY(sx_cast(sx, ref(sx, l), common, &both[0]));
			TM_TRY(sx_cast(sx, ref(sx, rc), common, &both[1]));
			key.expr = sx_call_expr(sx, &sx_kernel_coalesce, "coalesce", common, true, both, 2);
			key.expr->text = l->name;
			key.type = common;
			key.nullable = true;
			key.qualifier = (struct ast_names){0};
		}
		TM_PUSH_IN(sx->arena, &keys, key);
		if (op->join.kind == TM_JOIN_RIGHT || op->join.kind == TM_JOIN_FULL) {
			struct sx_column hidden = *l;
			hidden.hidden = true;
			TM_PUSH_IN(sx->arena, &rest, hidden);
		}
		if (op->join.kind != TM_JOIN_RIGHT && !only_left) {
			struct sx_column hidden = *rc;
			hidden.hidden = true;
			TM_PUSH_IN(sx->arena, &rest, hidden);
		}
		l->name = rc->name = (struct tm_str){NULL, 0}; /* used up */
	}
	for (size_t i = 0; i < left->columns.count; i++)
		if (left->columns.items[i].name.at)
			TM_PUSH_IN(sx->arena, &rest, left->columns.items[i]);
	for (size_t i = 0; i < right->columns.count && !only_left; i++)
		if (right->columns.items[i].name.at)
			TM_PUSH_IN(sx->arena, &rest, right->columns.items[i]);
	for (size_t i = 0; i < rest.count; i++)
		TM_PUSH_IN(sx->arena, &keys, rest.items[i]);
	ret->columns = keys;
	return TM_OK;
}

/* LATERAL (SELECT expressions) without FROM: columns computed from the left side's. */
static bool only_expressions(const struct ast_query *q)
{
	const struct ast_body *b = q->body;
	if (b->kind != AST_SELECT || b->from || b->where || b->having || b->group.count || b->distinct || q->limit || q->offset ||
	    q->ctes.count)
		return false;
	for (size_t i = 0; i < b->items.count; i++)
		if (b->items.items[i]->kind == AST_STAR)
			return false;
	return true;
}
/* right's operator already has the columns of left in front. */
static tm_rc lateral_columns(struct sx *sx, const struct ast_rel *r, const struct sx_rel *left, struct sx_rel *right, struct sx_rel *ret)
{
	TM_TRY(set_alias(sx, right, r->right->alias, &r->right->columns, r->line, r->column));
	*ret = (struct sx_rel){.op = right->op, .columns = left->columns, .domain = left->domain, .domain_at = left->domain_at};
	for (size_t i = 0; i < right->columns.count; i++)
		TM_PUSH_IN(sx->arena, &ret->columns, right->columns.items[i]);
	return TM_OK;
}
/* LATERAL (SELECT …): its correlation keys are the join's. */
static tm_rc lateral_query(struct sx_env *env, const struct ast_rel *r, struct sx_rel *left, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_env outer = *env;
	struct sx_subplan *plan = TM_NEW(sx->arena, struct sx_subplan);
	struct sx_rel right;
	outer.columns = &left->columns;
	outer.in_domain = left->domain;
	outer.domain_at = left->domain_at;
	TM_TRY(sx_subplan(&outer, r->right->query, false, plan));
	right = plan->rel;
	size_t split = left->op->schema.count, keys = plan->keys.count, first = right.columns.count;
	TM_TRY(set_alias(sx, &right, r->right->alias, &r->right->columns, r->line, r->column));
	struct tm_op *op = join_op(sx, r, left->op, right.op);
	bool *safe = TM_NEW_N(sx->arena, bool, keys + 1);
	op->join.left_keys = TM_NEW_N(sx->arena, struct tm_expr *, keys + 1);
	op->join.right_keys = TM_NEW_N(sx->arena, struct tm_expr *, keys + 1);
	for (size_t i = 0; i < keys; i++) {
		op->join.left_keys[i] = plan->keys.items[i].outer;
		op->join.right_keys[i] = sx_op_column(sx, right.op, first + i);
		safe[i] = plan->keys.items[i].null_safe;
	}
	op->join.null_safe = safe;
	op->join.key_count = keys;
	op->join.domain = plan->domain->number;
	op->join.domain_count = keys;
	op->join.domain_grouped = plan->domain->grouped && plan->domain->unequal;
	*ret = (struct sx_rel){.op = op, .columns = left->columns, .domain = left->domain, .domain_at = left->domain_at};
	for (size_t i = 0; i < right.columns.count; i++) {
		struct sx_column column = right.columns.items[i];
		column.index += split;
		column.nullable = op->schema.fields[column.index].nullable;
		TM_PUSH_IN(sx->arena, &ret->columns, column);
	}
	if (r->on) {
		struct sx_env on = outer;
		struct tm_expr *condition;
		on.columns = &ret->columns;
		TM_TRY(sx_resolve_boolean(&on, r->on, &condition));
		if (sx_reads_outer(&on, condition))
			return sx_fail_outer(sx, condition, (struct tm_str){0});
		TM_TRY(sx_join_on(sx, op, condition));
	}
	if (op->join.kind == TM_JOIN_INNER && !op->join.key_count && !op->join.residual)
		op->join.kind = TM_JOIN_CROSS;
	return TM_OK;
}

static tm_rc lateral_expressions(struct sx_env *env, const struct ast_rel *r, struct sx_rel *left, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	const struct ast_exprs *items = &r->right->query->body->items;
	struct sx_env inner = *env;
	struct sx_rel right = {0};
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, items->count);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, items->count);
	inner.columns = &left->columns;
	inner.in_domain = left->domain;
	inner.domain_at = left->domain_at;
	for (size_t i = 0; i < items->count; i++) {
		const struct ast_expr *e = items->items[i];
		TM_TRY(sx_resolve(&inner, e, &exprs[i]));
		if (sx_has(exprs[i], SX_AGG) || sx_has(exprs[i], SX_GENERATOR) || sx_has(exprs[i], SX_WINDOW) ||
		    sx_has(exprs[i], SX_SUBQUERY) || sx_has(exprs[i], SX_TIME_WINDOW))
			return lateral_query(env, r, left, ret);
		names[i] = e->kind == AST_ALIAS ? e->names.items[0] : exprs[i]->text;
	}
	right.op = sx_op_append(sx, left->op, exprs, names, items->count);
	sx_rel_add_columns(sx, &right, right.op, left->op->schema.count, (struct tm_str){0});
	return lateral_columns(sx, r, left, &right, ret);
}

static tm_rc lateral_function(struct sx_env *env, const struct ast_rel *r, struct sx_rel *left, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_rel right = {0};
	struct sx_env inner = *env;
	inner.in_domain = left->domain;
	inner.domain_at = left->domain_at;
	TM_TRY(generator(&inner, r->right, left, &right));
	if (r->join == AST_JOIN_LEFT)
		right.op->generate.outer = true;
	return lateral_columns(sx, r, left, &right, ret);
}

/* Does ON read columns of the query around? */
static bool on_reads_outer(struct sx_env *env, const struct ast_rel *r, const struct sx_rel *left, const struct sx_rel *right)
{
	struct sx *sx = env->sx;
	struct sx_env on = *env;
	struct sx_columns both = {0};
	struct tm_expr *ignored_expr;
	struct tm_err *err = sx->err, ignored = {0};
	size_t refs = env->domain->refs, places = env->domain->places.count;
	for (size_t i = 0; i < left->columns.count + right->columns.count; i++)
		TM_PUSH_IN(sx->arena, &both,
			   i < left->columns.count ? left->columns.items[i] : right->columns.items[i - left->columns.count]);
	on.columns = &both;
	on.in_domain = on.carry = false;
	sx->err = &ignored;
	tm_rc rc = sx_resolve(&on, r->on, &ignored_expr);
	(void)rc; /* the condition is resolved again, and then its errors count */
	sx->err = err;
	env->domain->places.count = places;
	return env->domain->refs != refs;
}

/* Inside a correlated subquery: where one side or ON depends on outer values, both sides carry them. */
static tm_rc carry_both(struct sx_env *env, const struct ast_rel *r, struct sx_rel *left, struct sx_rel *right)
{
	if (!env->carry)
		return TM_OK;
	bool full = r->join == AST_JOIN_FULL, on = r->on && on_reads_outer(env, r, left, right);
	if ((right->domain && (full || r->join == AST_JOIN_LEFT)) || (left->domain && (full || r->join == AST_JOIN_RIGHT)) || (on && full))
		return sx_fail(env->sx, r->line, r->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.ACCESSING_OUTER_QUERY_COLUMN_IS_NOT_ALLOWED", "0A000",
			       "Unsupported subquery expression: Accessing outer query column is not allowed in this location: the "
			       "side of an outer join that may be missing.");
	if (left->domain || right->domain || on) {
		sx_carry(env, left);
		sx_carry(env, right);
	}
	return TM_OK;
}

/* Rows meet where their outer values are the same. */
static tm_rc join_domains(struct sx_env *env, const struct ast_rel *r, struct tm_op *op, const struct sx_rel *left,
			  const struct sx_rel *right, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	size_t split = left->op->schema.count;
	for (size_t i = 0; i < env->domain->width; i++) {
		struct tm_expr *pair[2] = {sx_op_column(sx, left->op, left->domain_at + i),
					   sx_shift(sx, sx_op_column(sx, right->op, right->domain_at + i), split)},
			       *same;
		TM_TRY(sx_call(env, "<=>", pair, 2, r->line, r->column, &same));
		TM_TRY(sx_join_on(sx, op, same));
	}
	if (op->join.kind == TM_JOIN_CROSS)
		op->join.kind = TM_JOIN_INNER;
	ret->domain = true;
	ret->domain_at = op->join.kind == TM_JOIN_RIGHT ? split + right->domain_at : left->domain_at;
	return TM_OK;
}

static tm_rc join(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	struct sx_rel left = {0}, right = {0};
	TM_TRY(sx_relation(env, r->left, &left));
	if (r->right->lateral && env->carry)
		sx_carry(env, &left);
	if (r->right->lateral && r->right->kind == AST_REL_FUNCTION)
		return lateral_function(env, r, &left, ret);
	if (r->right->lateral && r->right->kind == AST_REL_QUERY && !r->on && only_expressions(r->right->query))
		return lateral_expressions(env, r, &left, ret);
	if (r->right->lateral && r->right->kind == AST_REL_QUERY)
		return lateral_query(env, r, &left, ret);
	TM_TRY(sx_relation(env, r->right, &right));
	TM_TRY(carry_both(env, r, &left, &right));
	size_t split = left.op->schema.count;
	struct tm_op *op = ret->op = join_op(sx, r, left.op, right.op);
	bool only_left = op->join.kind == TM_JOIN_SEMI || op->join.kind == TM_JOIN_ANTI;
	for (size_t i = 0; i < left.columns.count; i++)
		if (!left.columns.items[i].expr)
			left.columns.items[i].nullable = op->schema.fields[left.columns.items[i].index].nullable;
	for (size_t i = 0; i < right.columns.count; i++) {
		struct sx_column *c = &right.columns.items[i];
		if (c->expr)
			c->expr = sx_shift(sx, c->expr, split);
		c->index += split;
		if (!only_left && !c->expr)
			c->nullable = op->schema.fields[c->index].nullable;
	}
	if (left.domain)
		TM_TRY(join_domains(env, r, op, &left, &right, ret));
	struct ast_names shared = {0};
	for (size_t i = 0; r->natural && i < left.columns.count; i++)
		if (!left.columns.items[i].hidden && find_using(&right.columns, left.columns.items[i].name))
			TM_PUSH_IN(sx->arena, &shared, left.columns.items[i].name);
	if (r->using_columns.count || shared.count)
		return join_using(env, r, r->using_columns.count ? &r->using_columns : &shared, &left, &right, op, ret);
	struct sx_columns both = left.columns;
	for (size_t i = 0; i < right.columns.count; i++)
		TM_PUSH_IN(sx->arena, &both, right.columns.items[i]);
	if (r->on) {
		struct sx_env on = *env;
		struct tm_expr *condition;
		on.columns = &both;
		on.in_domain = left.domain;
		on.domain_at = left.domain_at;
		TM_TRY(sx_resolve_boolean(&on, r->on, &condition));
		if (sx_has(condition, SX_AGG) || sx_has(condition, SX_WINDOW))
			return sx_fail(sx, r->on->line, r->on->column, "UNSUPPORTED_FEATURE.JOIN_CONDITION", "0A000",
				       "An aggregate or window function in a join condition is not supported: \"%.*s\".",
				       TM_STR_ARG(condition->text));
		if (sx_has(condition, SX_SUBQUERY)) {
			TM_TRY(sx_lower_on(sx, op, &condition));
			for (size_t i = left.columns.count; i < both.count; i++) {
				if (both.items[i].expr)
					both.items[i].expr = sx_shift(sx, both.items[i].expr, op->inputs[0]->schema.count - split);
				both.items[i].index += op->inputs[0]->schema.count - split;
			}
			if (ret->domain_at >= split)
				ret->domain_at += op->inputs[0]->schema.count - split;
		}
		TM_TRY(sx_join_on(sx, op, condition));
	}
	if (op->join.kind == TM_JOIN_INNER && !op->join.key_count && !op->join.residual)
		op->join.kind = TM_JOIN_CROSS;
	ret->columns = only_left ? left.columns : both;
	return TM_OK;
}

/* ---- what may stand behind a relation ---- */
static bool has_watermark(const struct tm_op *op)
{
	for (size_t i = 0; i < op->input_count; i++)
		if (has_watermark(op->inputs[i]))
			return true;
	return op->kind == TM_OP_WATERMARK;
}

static tm_rc watermark(struct sx_env *env, const struct ast_watermark *w, struct sx_rel *io)
{
	struct sx *sx = env->sx;
	struct sx_env inner = *env;
	struct tm_expr *e, *delay;
	int64_t us;
	int32_t months;
	inner.columns = &io->columns;
	TM_TRY(sx_resolve(&inner, w->expr, &e));
	TM_TRY(sx_resolve(&inner, w->delay, &delay));
	TM_TRY(sx_interval_us(&inner, delay, &us, &months));
	if (!tm_micros_of(months * (int64_t)31, us, &us))
		return sx_interval_overflow(sx, w->line, w->column);
	if (us < 0)
		return sx_fail(sx, w->line, w->column, "_LEGACY_ERROR_TEMP_1147", "", "Delay threshold (%.*s) should not be negative.",
			       TM_STR_ARG(delay->text));
	bool window = e->type->kind == TM_T_STRUCT && e->type->child_count == 2 && tm_str_is(e->type->names[1], "end");
	if (e->type->kind != TM_T_TIMESTAMP && !window)
		return sx_fail(sx, w->line, w->column, "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE", "42K09",
			       "The event time `%.*s` has the invalid type \"%s\", but expected \"TIMESTAMP\".", TM_STR_ARG(e->text),
			       sx_type_sql(sx, e->type));
	size_t column = e->column;
	struct tm_str name = w->name;
	if (!name.at && e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_field)
		name = e->args[0]->type->names[(size_t)(uintptr_t)e->bound];
	if (e->kind != TM_EXPR_COLUMN || name.at) {
		if (!name.at)
			return sx_fail(sx, w->line, w->column, "REQUIRES_EXPLICIT_NAME_IN_WATERMARK_CLAUSE", "42000",
				       "The watermark clause requires an explicit name if expression is specified, but got %.*s.",
				       TM_STR_ARG(e->text));
		io->op = sx_op_append(sx, io->op, &e, &name, 1);
		column = io->op->schema.count - 1;
		/* It stands before the others. */
		struct sx_columns all = {0};
		TM_PUSH_IN(sx->arena, &all, (struct sx_column){.name = name, .type = e->type, .nullable = e->nullable, .index = column});
		if (io->columns.count)
			all.items[0].qualifier = io->columns.items[0].qualifier;
		for (size_t i = 0; i < io->columns.count; i++)
			TM_PUSH_IN(sx->arena, &all, io->columns.items[i]);
		io->columns = all;
	}
	if (sx->want_stream && has_watermark(io->op))
		return sx_fail(
		    sx, w->line, w->column, "_LEGACY_ERROR_TEMP_3076", "",
		    "Redefining watermark is disallowed. You can set the config 'spark.sql.streaming.statefulOperator.allowMultiple' to "
		    "'false' to restore the previous behavior. Note that multiple stateful operators will be disallowed.");
	struct tm_op *op = sx_op(sx, TM_OP_WATERMARK, io->op, NULL);
	sx_schema_copy(sx, op, io->op);
	op->watermark.column = column;
	op->watermark.delay_us = us;
	op->line = w->line;
	op->column_no = w->column;
	io->op = op;
	return TM_OK;
}

static tm_rc sample(struct sx *sx, const struct ast_rel *r, struct sx_rel *io)
{
	struct tm_op *op = sx_op(sx, r->sample_percent < 0 ? TM_OP_LIMIT : TM_OP_SAMPLE, io->op, NULL);
	sx_schema_copy(sx, op, io->op);
	if (r->sample_percent < 0)
		op->limit.count = r->sample_rows;
	else
		op->sample.fraction = r->sample_percent / 100;
	io->op = op;
	return TM_OK;
}

tm_rc sx_relation(struct sx_env *env, const struct ast_rel *r, struct sx_rel *ret)
{
	struct sx *sx = env->sx;
	*ret = (struct sx_rel){0};
	struct sx_env inner = *env;
	inner.correlations = NULL;
	switch (r->kind) {
	case AST_REL_NAME:
		TM_TRY(named(env, r, ret));
		break;
	case AST_REL_QUERY:
		TM_TRY(sx_derived(env, r->query, env->ctes, ret));
		for (size_t i = 0; !r->piped && i < ret->columns.count; i++)
			ret->columns.items[i].qualifier = (struct ast_names){0};
		break;
	case AST_REL_VALUES:
		TM_TRY(values(env, r, ret));
		break;
	case AST_REL_FUNCTION:
		TM_TRY(function(&inner, r, ret));
		break;
	case AST_REL_JOIN:
		TM_TRY(join(&inner, r, ret));
		break;
	}
	if (r->sample)
		TM_TRY(sample(sx, r, ret));
	TM_TRY(set_alias(sx, ret, r->alias, &r->columns, r->line, r->column));
	if (r->watermark)
		TM_TRY(watermark(env, r->watermark, ret));
	if (r->pivots.count && ret->domain)
		return sx_fail(sx, r->line, r->column,
			       "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.ACCESSING_OUTER_QUERY_COLUMN_IS_NOT_ALLOWED", "0A000",
			       "Unsupported subquery expression: Accessing outer query column is not allowed in this location: below PIVOT "
			       "and UNPIVOT.");
	for (size_t i = 0; i < r->pivots.count; i++) {
		TM_TRY(sx_pivot(env, r->pivots.items[i], ret));
		TM_TRY(set_alias(sx, ret, r->pivots.items[i]->alias, &(const struct ast_names){0}, r->line, r->column));
	}
	return TM_OK;
}
