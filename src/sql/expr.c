/* Expressions of the tree to typed ones: names, operators, predicates, casts. */
#include "sql/domain.h"

static tm_rc done(const struct ast_expr *e, struct tm_expr *r, struct tm_expr **ret)
{
	if (!r->line) {
		r->line = e->line;
		r->column_no = e->column;
	}
	*ret = r;
	return TM_OK;
}

/* ---- names ---- */
tm_rc sx_extract(struct sx_env *env, struct tm_expr *base, struct tm_str field, int line, int column, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	const struct tm_type *t = base->type, *holder = t->kind == TM_T_ARRAY ? t->children[0] : t;
	if (t->kind == TM_T_MAP) {
		struct tm_expr *args[2] = {base, sx_literal_str(sx, field)};
		struct tm_expr *r = sx_call_expr(sx, &sx_kernel_map_item, "getmapvalue", t->children[1], true, args, 2);
		r->text = sx_text(sx, "%.*s[%.*s]", TM_STR_ARG(base->text), TM_STR_ARG(field));
		*ret = r;
		return TM_OK;
	}
	if (holder->kind != TM_T_STRUCT)
		return sx_fail(sx, line, column, "INVALID_EXTRACT_BASE_FIELD_TYPE", "42000",
			       "Can't extract a value from \"%.*s\". Need a complex type [STRUCT, ARRAY, MAP] but got \"%s\".",
			       TM_STR_ARG(base->text), sx_type_sql(sx, t));
	size_t found = SIZE_MAX, matches = 0;
	for (size_t i = 0; i < holder->child_count; i++)
		if (tm_str_ieq(holder->names[i], field)) {
			found = found == SIZE_MAX ? i : found;
			matches++;
		}
	if (matches > 1)
		return sx_fail(sx, line, column, "AMBIGUOUS_REFERENCE_TO_FIELDS", "42000",
			       "Ambiguous reference to the field `%.*s`. It appears %zu times in the schema.", TM_STR_ARG(field), matches);
	if (!matches) {
		struct tm_buf names = {0};
		for (size_t i = 0; i < holder->child_count; i++)
			tm_buf_printf(&names, "%s`%.*s`", i ? ", " : "", TM_STR_ARG(holder->names[i]));
		tm_rc rc = sx_fail(sx, line, column, "FIELD_NOT_FOUND", "42704", "No such struct field `%.*s` in %.*s.", TM_STR_ARG(field),
				   TM_STR_ARG(tm_buf_str(&names)));
		tm_buf_done(&names);
		return rc;
	}
	struct tm_expr *r;
	if (t->kind == TM_T_STRUCT) {
		r = sx_field(sx, base, found);
	} else {
		r = sx_call_expr(sx, &sx_kernel_array_field, "getarrayfield",
				 tm_type_array(sx->arena, holder->children[found], t->nullable[0] || holder->nullable[found]),
				 base->nullable, &base, 1);
		r->bound = (const void *)(uintptr_t)found;
	}
	r->text = sx_text(sx, "%.*s.%.*s", TM_STR_ARG(base->text), TM_STR_ARG(field));
	*ret = r;
	return TM_OK;
}

static tm_rc extract_rest(struct sx_env *env, const struct ast_expr *e, size_t from, struct tm_expr *base, struct tm_expr **ret)
{
	for (size_t i = from; i < e->names.count; i++) {
		base->line = e->line;
		base->column_no = e->column;
		TM_TRY(sx_extract(env, base, e->names.items[i], e->line, e->column, &base));
	}
	*ret = base;
	return TM_OK;
}

bool sx_qualifier_matches(const struct ast_names *have, const struct ast_names *name, size_t parts)
{
	if (have->count < parts)
		return false;
	for (size_t i = 0; i < parts; i++)
		if (!tm_str_ieq(have->items[have->count - parts + i], name->items[i]))
			return false;
	return true;
}

static tm_rc ambiguous(struct sx_env *env, const struct ast_expr *e, const struct sx_columns *columns, size_t parts)
{
	struct sx *sx = env->sx;
	struct tm_buf list = {0}, name = {0};
	bool first = true;
	for (size_t i = 0; i < columns->count; i++) {
		const struct sx_column *c = &columns->items[i];
		if ((parts == 0 && c->hidden) || !tm_str_ieq(c->name, e->names.items[parts]) ||
		    !sx_qualifier_matches(&c->qualifier, &e->names, parts))
			continue;
		tm_buf_cstr_put(&list, first ? "" : ", ");
		first = false;
		for (size_t k = 0; k < c->qualifier.count; k++)
			tm_buf_printf(&list, "`%.*s`.", TM_STR_ARG(c->qualifier.items[k]));
		tm_buf_printf(&list, "`%.*s`", TM_STR_ARG(c->name));
	}
	for (size_t i = 0; i < e->names.count; i++)
		tm_buf_printf(&name, "%s`%.*s`", i ? "." : "", TM_STR_ARG(e->names.items[i]));
	tm_rc rc = sx_fail(sx, e->line, e->column, "AMBIGUOUS_REFERENCE", "42704", "Reference %.*s is ambiguous, could be: [%.*s].",
			   TM_STR_ARG(tm_buf_str(&name)), TM_STR_ARG(tm_buf_str(&list)));
	tm_buf_done(&list);
	tm_buf_done(&name);
	return rc;
}

/* Among columns; *ret NULL when there is none. parts: how many of the name are used up. */
static tm_rc find_column(struct sx_env *env, const struct ast_expr *e, const struct sx_columns *columns, const struct sx_column **ret,
			 size_t *ret_parts)
{
	*ret = NULL;
	for (size_t q = e->names.count; q-- > 0;) {
		size_t matches = 0;
		for (size_t i = 0; i < columns->count; i++) {
			const struct sx_column *c = &columns->items[i];
			if ((q == 0 && c->hidden) || !tm_str_ieq(c->name, e->names.items[q]) ||
			    !sx_qualifier_matches(&c->qualifier, &e->names, q))
				continue;
			if (!matches++)
				*ret = c;
		}
		if (matches > 1)
			return ambiguous(env, e, columns, q);
		if (matches) {
			*ret_parts = q + 1;
			return TM_OK;
		}
	}
	return TM_OK;
}

tm_rc sx_find_column(struct sx_env *env, const struct ast_expr *e, const struct sx_column **ret, size_t *ret_parts)
{
	*ret = NULL;
	if (env->columns && e->kind == AST_NAME)
		TM_TRY(find_column(env, e, env->columns, ret, ret_parts));
	return *ret ? TM_OK : sx_fail_column(env, e);
}

static struct tm_expr *column_ref(struct sx *sx, const struct sx_column *c, struct tm_str written)
{
	if (!c->expr)
		return sx_column_expr(sx, c->index, c->type, c->nullable, written);
	struct tm_expr *r = sx_copy(sx, c->expr);
	r->text = written;
	return r;
}

static struct tm_expr *find_alias(struct sx_env *env, const struct ast_expr *e)
{
	for (size_t i = 0; env->aliases && i < env->aliases->count; i++)
		if (tm_str_ieq(env->aliases->items[i].name, e->names.items[0])) {
			struct tm_expr *r = sx_copy(env->sx, env->aliases->items[i].expr);
			r->text = e->names.items[0];
			return r;
		}
	return NULL;
}

tm_rc sx_resolve_name(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	static const char *const words[] = {
	    "current_date",   "current_timestamp", "current_user", "user", "session_user", "current_catalog", "current_database",
	    "current_schema", "localtimestamp",    "current_time", NULL};
	struct sx *sx = env->sx;
	struct tm_expr *r = NULL;
	const struct sx_column *c = NULL;
	size_t parts = 1;
	for (const struct sx_lambda *l = env->lambdas; l; l = l->next)
		if (tm_str_ieq(l->name, e->names.items[0])) {
			r = sx_expr(sx, TM_EXPR_LAMBDA_VARIABLE, l->type, l->nullable);
			r->column = l->id;
			r->text = TM_STR("namedlambdavariable()");
			return extract_rest(env, e, 1, r, ret);
		}
	if (env->aliases_first && e->names.count == 1 && (r = find_alias(env, e)))
		return extract_rest(env, e, 1, r, ret);
	if (env->columns)
		TM_TRY(find_column(env, e, env->columns, &c, &parts));
	if (c) {
		r = column_ref(sx, c, e->names.items[parts - 1]);
		return extract_rest(env, e, parts, r, ret);
	}
	if ((!env->aliases_first || e->names.count > 1) && (r = find_alias(env, e))) {
		TM_TRY(extract_rest(env, e, 1, r, ret));
		if (!env->aliases_first)
			(*ret)->text = sx_text(sx, "lateralAliasReference(%.*s)", TM_STR_ARG(e->names.items[e->names.count - 1]));
		return TM_OK;
	}
	/* Of the query around, and only of the next one, as Spark finds them. */
	if (env->domain && env->outer->columns)
		TM_TRY(find_column(env, e, env->outer->columns, &c, &parts));
	if (c)
		return extract_rest(env, e, parts, sx_domain_ref(env, column_ref(sx, c, e->names.items[parts - 1])), ret);
	for (size_t i = 0; e->names.count == 1 && words[i]; i++)
		if (tm_str_iis(e->names.items[0], words[i])) {
			const struct tm_fn *fn = tm_fn_find(tm_str_of(words[i]));
			if (fn)
				return sx_bind(env, fn, e, NULL, 0, ret);
		}
	return sx_fail_column(env, e);
}

/* ---- calls with resolved arguments ---- */
tm_rc sx_call(struct sx_env *env, const char *name, struct tm_expr **args, size_t n, int line, int column, struct tm_expr **ret)
{
	const struct tm_fn *fn = tm_fn_find(tm_str_of(name));
	if (!fn)
		return sx_fail(
		    env->sx, line, column, "UNRESOLVED_ROUTINE", "42883",
		    "Cannot resolve routine `%s` on search path [`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`].",
		    name);
	struct ast_expr at = {.line = line, .column = column};
	return sx_bind(env, fn, &at, args, n, ret);
}

static tm_rc resolve_args(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	for (size_t i = 0; i < e->args.count; i++)
		TM_TRY(sx_resolve(env, e->args.items[i], &ret[i]));
	return TM_OK;
}

static tm_rc logic_operand(struct sx *sx, const struct ast_expr *e, struct tm_expr **io)
{
	if ((*io)->type->kind == TM_T_BOOLEAN)
		return TM_OK;
	if ((*io)->type->kind == TM_T_NULL || tm_cast_implicit((*io)->type, &tm_type_boolean, sx->session->ansi))
		return sx_cast(sx, *io, &tm_type_boolean, io);
	return sx_at(sx, e->line, e->column, TM_INVALID);
}

static tm_rc resolve_logic(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_expr *args[2] = {0}, *r;
	TM_TRY(resolve_args(env, e, args));
	if (e->args.count == 1) {
		const char *type = sx_type_sql(sx, args[0]->type);
		struct tm_str text = args[0]->text;
		if (args[0]->type->kind != TM_T_BOOLEAN && args[0]->type->kind != TM_T_NULL &&
		    !tm_cast_implicit(args[0]->type, &tm_type_boolean, sx->session->ansi))
			return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
				       "Cannot resolve \"(NOT %.*s)\" due to data type mismatch: The first parameter requires the "
				       "\"BOOLEAN\" type, however \"%.*s\" has the type \"%s\".",
				       TM_STR_ARG(text), TM_STR_ARG(text), type);
		TM_TRY(logic_operand(sx, e, &args[0]));
		return done(e, sx_not(sx, args[0]), ret);
	}
	bool is_and = tm_str_is(e->text, "AND");
	struct tm_str text = sx_text(sx, "(%.*s %.*s %.*s)", TM_STR_ARG(args[0]->text), TM_STR_ARG(e->text), TM_STR_ARG(args[1]->text));
	for (int i = 0; i < 2; i++) {
		const struct tm_type *t = args[i]->type;
		if (t->kind == TM_T_BOOLEAN || t->kind == TM_T_NULL || tm_cast_implicit(t, &tm_type_boolean, sx->session->ansi)) {
			TM_TRY(logic_operand(sx, e, &args[i]));
			continue;
		}
		if (args[!i]->type->kind != t->kind)
			return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES", "42K09",
				       "Cannot resolve \"%.*s\" due to data type mismatch: the left and right operands of the binary "
				       "operator have incompatible types (\"%s\" and \"%s\").",
				       TM_STR_ARG(text), sx_type_sql(sx, args[0]->type), sx_type_sql(sx, args[1]->type));
		return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE", "42K09",
			       "Cannot resolve \"%.*s\" due to data type mismatch: the binary operator requires the input type "
			       "\"BOOLEAN\", not \"%s\".",
			       TM_STR_ARG(text), sx_type_sql(sx, t));
	}
	r = sx_call_expr(sx, is_and ? &sx_kernel_and : &sx_kernel_or, is_and ? "and" : "or", &tm_type_boolean,
			 args[0]->nullable || args[1]->nullable, args, 2);
	r->text = text;
	return done(e, r, ret);
}

static tm_rc resolve_operator(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	if (tm_str_is(e->text, "AND") || tm_str_is(e->text, "OR") || tm_str_is(e->text, "NOT"))
		return resolve_logic(env, e, ret);
	struct tm_expr *args[2] = {0}, *r;
	TM_TRY(resolve_args(env, e, args));
	bool differs = tm_str_is(e->text, "<>");
	TM_TRY(sx_call(env, differs ? "=" : tm_arena_cstr(env->sx->arena, e->text), args, e->args.count, e->line, e->column, &r));
	return done(e, differs ? sx_not(env->sx, r) : r, ret);
}

/* ---- predicates ---- */
static tm_rc resolve_between(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_expr *args[3], *low[2], *high[2], *both[2];
	TM_TRY(resolve_args(env, e, args));
	low[0] = high[0] = args[0];
	low[1] = args[1];
	high[1] = args[2];
	TM_TRY(sx_call(env, ">=", low, 2, e->line, e->column, &both[0]));
	TM_TRY(sx_call(env, "<=", high, 2, e->line, e->column, &both[1]));
	struct tm_expr *r = sx_and(sx, both, 2);
	r->text = sx_text(sx, "between(%.*s)", TM_STR_ARG(sx_text_list(sx, args, 3)));
	return done(e, e->flag ? sx_not(sx, r) : r, ret);
}

tm_rc sx_bind_in(struct sx *sx, struct tm_expr **items, size_t n, int line, int column, struct tm_expr **ret)
{
	const struct tm_type *common;
	struct tm_str text = sx_text(sx, "(%.*s IN (%.*s))", TM_STR_ARG(items[0]->text), TM_STR_ARG(sx_text_list(sx, items + 1, n - 1)));
	bool nullable = false;
	TM_TRY(sx_common_type(sx, items, n, &common));
	if (!common) { /* (a, b) IN ((1, 2)): the names do not matter */
		common = items[0]->type;
		for (size_t i = 1; i < n && common; i++)
			common = fn_common_shape(sx->arena, common, items[i]->type);
	}
	if (!common)
		return sx_fail_types(sx, line, column, text, "in", items, n);
	if (!tm_type_orderable(common))
		return sx_fail_unorderable(sx, line, column, text, "in", common);
	for (size_t i = 0; i < n; i++) {
		TM_TRY(sx_cast(sx, items[i], common, &items[i]));
		nullable = nullable || items[i]->nullable;
	}
	struct tm_expr *r = sx_call_expr(sx, &sx_kernel_in, "in", &tm_type_boolean, nullable, items, n);
	r->text = text;
	*ret = r;
	return TM_OK;
}

static tm_rc resolve_in(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct tm_expr **args = TM_NEW_N(env->sx->arena, struct tm_expr *, e->args.count), *r;
	TM_TRY(resolve_args(env, e, args));
	TM_TRY(sx_bind_in(env->sx, args, e->args.count, e->line, e->column, &r));
	return done(e, e->flag ? sx_not(env->sx, r) : r, ret);
}

static tm_rc resolve_like(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	const char *name = tm_str_iis(e->text, "LIKE") ? "like" : tm_str_iis(e->text, "ILIKE") ? "ilike" : "rlike";
	struct tm_expr *value, *all = NULL;
	bool literals = true; /* are all patterns? */
	TM_TRY(sx_resolve(env, e->args.items[0], &value));
	for (size_t i = 1; i < e->args.count; i++) {
		struct tm_expr *args[3] = {value}, *one, *pair[2];
		TM_TRY(sx_resolve(env, e->args.items[i], &args[1]));
		literals = literals && e->args.items[i]->kind == AST_LITERAL && args[1]->type->kind == TM_T_STRING;
		if (e->escape)
			TM_TRY(sx_resolve(env, e->escape, &args[2]));
		TM_TRY(sx_call(env, name, args, e->escape ? 3 : 2, e->line, e->column, &one));
		if (e->flag)
			one = sx_not(sx, one);
		if (!all) {
			all = one;
			continue;
		}
		pair[0] = all;
		pair[1] = one;
		bool is_and = e->quantifier == AST_ALL;
		all = sx_call_expr(sx, is_and ? &sx_kernel_and : &sx_kernel_or, is_and ? "and" : "or", &tm_type_boolean,
				   pair[0]->nullable || pair[1]->nullable, pair, 2);
		all->text = sx_text(sx, "(%.*s %s %.*s)", TM_STR_ARG(pair[0]->text), is_and ? "AND" : "OR", TM_STR_ARG(pair[1]->text));
	}
	if (e->quantifier != AST_ONE && literals && strcmp(name, "rlike") != 0) { /* Spark keeps these patterns for itself */
		struct tm_str operand = strcmp(name, "ilike") == 0 ? sx_text_call(sx, "lower", &value, 1) : value->text;
		all->text =
		    sx_text(sx, "%slike%s(%.*s)", e->flag ? "not" : "", e->quantifier == AST_ALL ? "all" : "any", TM_STR_ARG(operand));
	}
	return done(e, all, ret);
}

static tm_rc resolve_is(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_expr *args[2], *r;
	TM_TRY(sx_resolve(env, e->args.items[0], &args[0]));
	if (tm_str_is(e->text, "NULL") || tm_str_is(e->text, "UNKNOWN")) {
		r = sx_is_null(sx, args[0], e->flag);
		if (args[0]->type->kind == TM_T_BOOLEAN && tm_str_is(e->text, "UNKNOWN"))
			r->text = sx_text(sx, "(%.*s IS %sUNKNOWN)", TM_STR_ARG(args[0]->text), e->flag ? "NOT " : "");
		return done(e, r, ret);
	}
	if (tm_str_is(e->text, "DISTINCT FROM"))
		TM_TRY(sx_resolve(env, e->args.items[1], &args[1]));
	else
		args[1] = sx_literal_bool(sx, tm_str_is(e->text, "TRUE"));
	TM_TRY(sx_call(env, "<=>", args, 2, e->line, e->column, &r));
	bool negated = tm_str_is(e->text, "DISTINCT FROM") ? !e->flag : e->flag;
	return done(e, negated ? sx_not(sx, r) : r, ret);
}

/* ---- CASE, CAST, access ---- */
static tm_rc resolve_case(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	size_t branches = e->args.count / 2, n = e->args.count + (e->otherwise != NULL), values = 0;
	struct tm_expr **args = TM_NEW_N(sx->arena, struct tm_expr *, n), **results = TM_NEW_N(sx->arena, struct tm_expr *, branches + 1),
		       *operand = NULL;
	struct tm_buf text = {0};
	const struct tm_type *common;
	if (e->operand)
		TM_TRY(sx_resolve(env, e->operand, &operand));
	for (size_t i = 0; i < branches; i++) {
		TM_TRY(sx_resolve(env, e->args.items[2 * i], &args[2 * i]));
		TM_TRY(sx_resolve(env, e->args.items[2 * i + 1], &args[2 * i + 1]));
		if (operand) {
			struct tm_expr *pair[2] = {operand, args[2 * i]};
			TM_TRY(sx_call(env, "=", pair, 2, args[2 * i]->line, args[2 * i]->column_no, &args[2 * i]));
		}
		if (args[2 * i]->type->kind != TM_T_BOOLEAN)
			return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
				       "Cannot resolve \"CASE WHEN %.*s THEN %.*s END\" due to data type mismatch: The %s parameter "
				       "requires the \"BOOLEAN\" type, however \"%.*s\" has the type \"%s\".",
				       TM_STR_ARG(args[2 * i]->text), TM_STR_ARG(args[2 * i + 1]->text), i ? "next" : "first",
				       TM_STR_ARG(args[2 * i]->text), sx_type_sql(sx, args[2 * i]->type));
		results[values++] = args[2 * i + 1];
	}
	if (e->otherwise) {
		TM_TRY(sx_resolve(env, e->otherwise, &args[n - 1]));
		results[values++] = args[n - 1];
	}
	TM_TRY(sx_common_type(sx, results, values, &common));
	tm_buf_cstr_put(&text, "CASE");
	for (size_t i = 0; i < branches; i++)
		tm_buf_printf(&text, " WHEN %.*s THEN %.*s", TM_STR_ARG(args[2 * i]->text), TM_STR_ARG(args[2 * i + 1]->text));
	if (e->otherwise)
		tm_buf_printf(&text, " ELSE %.*s", TM_STR_ARG(args[n - 1]->text));
	tm_buf_cstr_put(&text, " END");
	struct tm_str name = tm_arena_str(sx->arena, tm_buf_str(&text));
	tm_buf_done(&text);
	if (!common)
		return sx_fail_types(sx, e->line, e->column, name, "casewhen", results, values);
	bool nullable = !e->otherwise;
	for (size_t i = 0; i < branches; i++)
		TM_TRY(sx_cast(sx, args[2 * i + 1], common, &args[2 * i + 1]));
	if (e->otherwise)
		TM_TRY(sx_cast(sx, args[n - 1], common, &args[n - 1]));
	for (size_t i = 1; i < n; i += 2)
		nullable = nullable || args[i]->nullable;
	if (e->otherwise)
		nullable = nullable || args[n - 1]->nullable;
	struct tm_expr *r = sx_call_expr(sx, &sx_kernel_case, "case", common, nullable, args, n);
	r->text = name;
	return done(e, r, ret);
}

static tm_rc resolve_cast(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	const struct tm_type *to;
	struct tm_expr *value, *r;
	TM_TRY(sx_at(sx, e->operand ? e->operand->line : e->line, e->operand ? e->operand->column : e->column,
		     tm_type_parse(sx->arena, e->text, &to, sx->err)));
	TM_TRY(sx_resolve(env, e->args.items[0], &value));
	enum tm_cast_mode mode = e->flag ? TM_CAST_TRY : sx->session->ansi ? TM_CAST_ANSI : TM_CAST_LEGACY;
	TM_TRY(sx_at(sx, e->line, e->column, tm_cast_bind(sx->arena, sx->session, value, to, mode, &r, sx->err)));
	if (r == value)
		r = sx_copy(sx, value);
	if (to->child_count) /* Spark does not show these */
		r->text = value->text;
	else
		r->text = sx_text(sx, "%s(%.*s AS %s)", e->flag ? "TRY_CAST" : "CAST", TM_STR_ARG(value->text),
				  sx_type_sql(sx, to->kind == TM_T_STRING ? &tm_type_string : to));
	r->line = e->line;
	r->column_no = e->column;
	*ret = r;
	return TM_OK;
}

static tm_rc resolve_index(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct sx *sx = env->sx;
	struct tm_expr *args[2], *r;
	TM_TRY(resolve_args(env, e, args));
	const struct tm_type *t = args[0]->type;
	if (t->kind == TM_T_STRUCT ||
	    (t->kind == TM_T_ARRAY && t->children[0]->kind == TM_T_STRUCT && args[1]->type->kind == TM_T_STRING)) {
		const struct tm_column *v = sx_value(sx, args[1]);
		if (!v || args[1]->type->kind != TM_T_STRING || tm_is_null(v, 0))
			return sx_fail(sx, e->line, e->column, "INVALID_EXTRACT_FIELD_TYPE", "42000",
				       "Field name should be a non-null string literal, but it's \"%.*s\".", TM_STR_ARG(args[1]->text));
		return sx_extract(env, args[0], v->str[0], e->line, e->column, ret);
	}
	if (t->kind == TM_T_ARRAY) {
		if (!tm_type_integral(args[1]->type)) {
			if (args[1]->type->kind != TM_T_NULL && !tm_cast_implicit(args[1]->type, &tm_type_int, sx->session->ansi))
				return sx_fail(sx, e->line, e->column, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "42K09",
					       "Cannot resolve \"%.*s[%.*s]\" due to data type mismatch: The second parameter requires the "
					       "\"INTEGRAL\" type, however \"%.*s\" has the type \"%s\".",
					       TM_STR_ARG(args[0]->text), TM_STR_ARG(args[1]->text), TM_STR_ARG(args[1]->text),
					       sx_type_sql(sx, args[1]->type));
			TM_TRY(sx_cast(sx, args[1], &tm_type_int, &args[1]));
		}
		r = sx_call_expr(sx, &sx_kernel_array_item, "getarrayitem", t->children[0],
				 !sx->session->ansi || t->nullable[0] || args[0]->nullable || args[1]->nullable, args, 2);
	} else if (t->kind == TM_T_MAP) {
		TM_TRY(sx_cast(sx, args[1], t->children[0], &args[1]));
		r = sx_call_expr(sx, &sx_kernel_map_item, "getmapvalue", t->children[1], true, args, 2);
	} else {
		return sx_fail(sx, e->line, e->column, "INVALID_EXTRACT_BASE_FIELD_TYPE", "42000",
			       "Can't extract a value from \"%.*s\". Need a complex type [STRUCT, ARRAY, MAP] but got \"%s\".",
			       TM_STR_ARG(args[0]->text), sx_type_sql(sx, t));
	}
	r->text = sx_text(sx, "%.*s[%.*s]", TM_STR_ARG(args[0]->text), TM_STR_ARG(args[1]->text));
	return done(e, r, ret);
}

tm_rc sx_resolve(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	struct tm_expr *base;
	switch (e->kind) {
	case AST_LITERAL:
		return sx_resolve_literal(env, e, ret);
	case AST_NAME:
		TM_TRY(sx_resolve_name(env, e, &base));
		return done(e, base, ret);
	case AST_CALL:
		TM_TRY(sx_star_arguments(env, e, &e));
		TM_TRY(sx_resolve_call(env, e, &base));
		return done(e, base, ret);
	case AST_OPERATOR:
		return resolve_operator(env, e, ret);
	case AST_CASE:
		return resolve_case(env, e, ret);
	case AST_CAST:
		return resolve_cast(env, e, ret);
	case AST_BETWEEN:
		return resolve_between(env, e, ret);
	case AST_IN:
		TM_TRY(sx_star_arguments(env, e, &e));
		return resolve_in(env, e, ret);
	case AST_LIKE:
		return resolve_like(env, e, ret);
	case AST_IS:
		return resolve_is(env, e, ret);
	case AST_INDEX:
		return resolve_index(env, e, ret);
	case AST_FIELD:
		TM_TRY(sx_resolve(env, e->args.items[0], &base));
		TM_TRY(sx_extract(env, base, e->text, e->line, e->column, &base));
		return done(e, base, ret);
	case AST_INTERVAL:
		return sx_resolve_interval(env, e, ret);
	case AST_ALIAS:
		return sx_resolve(env, e->args.items[0], ret);
	case AST_SUBQUERY:
	case AST_EXISTS:
	case AST_IN_QUERY:
		TM_TRY(sx_resolve_subquery(env, e, &base));
		return done(e, base, ret);
	case AST_STAR:
		return sx_fail(env->sx, e->line, e->column, "INVALID_USAGE_OF_STAR_OR_REGEX", "42000",
			       "Invalid usage of '*' in expression.");
	case AST_LAMBDA:
		return sx_fail(env->sx, e->line, e->column, "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", "42K0D",
			       "Invalid lambda function call. A lambda function should only be used in a higher order function.");
	case AST_PARAMETER:
		return sx_fail(env->sx, e->line, e->column, "UNBOUND_SQL_PARAMETER", "42P02",
			       "Found the unbound parameter: %.*s. Please, fix `args` and provide a mapping of the parameter to either a "
			       "SQL literal or collection constructor functions such as `map()`, `array()`, `struct()`.",
			       TM_STR_ARG(e->text));
	}
	return tm_fail(env->sx->err, TM_INTERNAL, "an expression of kind %d", (int)e->kind);
}

tm_rc sx_resolve_boolean(struct sx_env *env, const struct ast_expr *e, struct tm_expr **ret)
{
	TM_TRY(sx_resolve(env, e, ret));
	if ((*ret)->type->kind == TM_T_NULL)
		return sx_cast(env->sx, *ret, &tm_type_boolean, ret);
	if ((*ret)->type->kind != TM_T_BOOLEAN)
		return sx_fail(
		    env->sx, e->line, e->column, "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN", "42K09",
		    "Cannot resolve \"%.*s\" due to data type mismatch: Filter expression \"%.*s\" of type \"%s\" is not a boolean.",
		    TM_STR_ARG((*ret)->text), TM_STR_ARG((*ret)->text), sx_type_sql(env->sx, (*ret)->type));
	return TM_OK;
}
