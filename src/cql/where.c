/* Binding relations to columns, and what may be asked how. */
#include "cql/where.h"
#include <stdlib.h>

#define FILTERING_TEXT                                                                                                                     \
	"Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. If you want to "        \
	"execute this query despite the performance "                                                                                      \
	"unpredictability, use ALLOW FILTERING"

static const char *op_text(enum cql_op op)
{
	static const char *const texts[] = {"=", "<", "<=", ">", ">=", "!=", "IN", "CONTAINS", "CONTAINS KEY", "LIKE", "IS NOT"};
	return texts[op];
}
static bool is_bound(enum cql_op op) { return op >= CQL_LT && op <= CQL_GE; }
static bool is_low(enum cql_op op) { return op == CQL_GT || op == CQL_GE; }

static const char *relation_text(struct cql_scope *s, const struct cql_relation *r)
{
	return tm_arena_printf(s->arena, "%.*s%s%s%s %s %s", TM_STR_ARG(r->columns[0]), r->element ? "[" : "",
			       r->element ? cql_expr_cstr(s->arena, r->element) : "", r->element ? "]" : "", op_text(r->op),
			       r->value                   ? cql_expr_cstr(s->arena, r->value)
			       : r->op == CQL_IS_NOT_NULL ? "NULL"
							  : "(…)")
	    .at;
}

static tm_rc find_columns(struct cql_scope *s, const struct cql_relation *r, struct cql_test *t)
{
	const struct tm_table_def *def = &s->table->def;
	t->columns = TM_NEW_N(s->arena, size_t, r->column_count);
	t->column_count = r->column_count;
	for (size_t i = 0; i < r->column_count; i++) {
		t->columns[i] = tm_table_column_index(def, r->columns[i]);
		if (t->columns[i] == SIZE_MAX)
			return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s",
					TM_STR_ARG(r->columns[i]), TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name));
	}
	return TM_OK;
}

static tm_rc bind_in(struct cql_scope *s, const struct cql_relation *r, struct tm_str name, const struct tm_cql_type *type,
		     struct cql_test *t)
{
	t->value_list = r->value_list;
	if (!r->value_list)
		return cql_bind_term(s, r->value,
				     (struct cql_receiver){tm_arena_printf(s->arena, "in(%.*s)", TM_STR_ARG(name)),
							   tm_type_list(tm_type_frozen(tm_type_reversed(type, false)), false)},
				     &t->value);
	t->values = TM_NEW_N(s->arena, struct cql_node *, r->value_count + 1);
	t->value_count = r->value_count;
	for (size_t i = 0; i < r->value_count; i++)
		TM_TRY(cql_bind_term(s, r->values[i], (struct cql_receiver){name, type}, &t->values[i]));
	return TM_OK;
}

static tm_rc bind_token(struct cql_scope *s, const struct cql_relation *r, struct cql_test *t)
{
	const struct tm_table_def *def = &s->table->def;
	t->token = true;
	for (size_t i = 0; i < t->column_count; i++)
		if (t->columns[i] >= def->partition_key_count)
			return cql_fail(s->err, CQL_CODE_INVALID,
					t->column_count > def->partition_key_count
					    ? "The token() function must contains only partition key components"
					    : "The token() function must be applied to all partition key components or none of them");
	if (t->column_count != def->partition_key_count)
		return cql_fail(s->err, CQL_CODE_INVALID,
				"The token() function must be applied to all partition key components or none of them");
	for (size_t i = 0; i < t->column_count; i++)
		if (t->columns[i] != i) {
			struct tm_buf b = {0};
			for (size_t j = 0; j < def->partition_key_count; j++)
				tm_buf_printf(&b, "%s%.*s", j ? ", " : "", TM_STR_ARG(def->columns[j].name));
			tm_rc rc = cql_fail(s->err, CQL_CODE_INVALID, "The token function arguments must be in the partition key order: %s",
					    tm_buf_cstr(&b));
			tm_buf_done(&b);
			return rc;
		}
	if (r->op == CQL_IN)
		return cql_fail(s->err, CQL_CODE_SYNTAX, "line %d:%d no viable alternative at input 'IN'", 1, 0);
	if (r->op == CQL_NE)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unsupported \"!=\" relation: token(%.*s) != %s", TM_STR_ARG(r->columns[0]),
				cql_expr_cstr(s->arena, r->value));
	t->type = tm_type_native(TM_CQL_BIGINT);
	return cql_bind_term(s, r->value, (struct cql_receiver){TM_STR("partition key token"), t->type}, &t->value);
}

static struct tm_str tuple_name(struct cql_scope *s, const struct cql_relation *r, bool in)
{
	struct tm_buf b = {0};
	tm_buf_cstr_put(&b, in ? "" : "(");
	for (size_t i = 0; i < r->column_count; i++)
		tm_buf_printf(&b, "%s%.*s", i ? "," : "", TM_STR_ARG(r->columns[i]));
	tm_buf_cstr_put(&b, in ? "" : ")");
	struct tm_str n = tm_arena_str(s->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return n;
}

/* The value of a tuple relation: parts take the names of the columns they stand for. */
static tm_rc bind_tuple_value(struct cql_scope *s, const struct cql_relation *r, struct cql_test *t, const struct cql_expr *e,
			      struct cql_node **ret)
{
	const struct tm_table_def *def = &s->table->def;
	if (e->kind != CQL_E_TUPLE && e->kind != CQL_E_PAREN) {
		if (e->kind == CQL_E_MARKER)
			return cql_bind_term(s, e, (struct cql_receiver){tuple_name(s, r, false), t->type}, ret);
		return cql_fail(s->err, CQL_CODE_SYNTAX, "line %d:%d no viable alternative at input '%.*s'", e->token->line,
				e->token->column, TM_STR_ARG(e->token->raw));
	}
	if (e->arg_count != t->column_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "Expected %zu elements in value tuple, but got %zu: %s", t->column_count,
				e->arg_count, cql_expr_cstr(s->arena, e));
	struct cql_node *n = TM_NEW(s->arena, struct cql_node);
	n->op = CQL_N_TUPLE;
	n->type = t->type;
	n->arg_count = e->arg_count;
	n->args = TM_NEW_N(s->arena, struct cql_node *, e->arg_count);
	for (size_t i = 0; i < e->arg_count; i++) {
		const struct tm_table_column *c = &def->columns[t->columns[i]];
		TM_TRY(cql_bind_term(s, e->args[i], (struct cql_receiver){c->name, c->type}, &n->args[i]));
	}
	*ret = n;
	return TM_OK;
}

static tm_rc bind_tuple(struct cql_scope *s, const struct cql_relation *r, struct cql_test *t)
{
	const struct tm_table_def *def = &s->table->def;
	t->tuple = true;
	const struct tm_cql_type **types = TM_NEW_N(s->arena, const struct tm_cql_type *, t->column_count);
	for (size_t i = 0; i < t->column_count; i++) {
		const struct tm_table_column *c = &def->columns[t->columns[i]];
		types[i] = tm_type_reversed(c->type, false);
		if (c->kind != TM_COLUMN_CLUSTERING)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Multi-column relations can only be applied to clustering columns but was applied to: %.*s",
					TM_STR_ARG(c->name));
		for (size_t j = 0; j < i; j++)
			if (t->columns[j] == t->columns[i])
				return cql_fail(s->err, CQL_CODE_INVALID, "Column \"%.*s\" appeared twice in a relation: (%.*s) %s",
						TM_STR_ARG(c->name), TM_STR_ARG(tuple_name(s, r, true)), op_text(r->op));
		if (i && t->columns[i] != t->columns[i - 1] + 1)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Clustering columns must appear in the PRIMARY KEY order in multi-column relations: (%.*s) %s",
					TM_STR_ARG(tuple_name(s, r, true)), op_text(r->op));
	}
	t->type = tm_type_tuple(types, t->column_count);
	if (r->op == CQL_NE)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unsupported \"!=\" relation: (%.*s) != %s", TM_STR_ARG(tuple_name(s, r, true)),
				cql_expr_cstr(s->arena, r->value));
	if (r->op != CQL_IN)
		return bind_tuple_value(s, r, t, r->value, &t->value);
	t->value_list = r->value_list;
	if (!r->value_list)
		return cql_bind_term(s, r->value,
				     (struct cql_receiver){tm_arena_printf(s->arena, "in(%.*s)", TM_STR_ARG(tuple_name(s, r, true))),
							   tm_type_list(t->type, false)},
				     &t->value);
	t->values = TM_NEW_N(s->arena, struct cql_node *, r->value_count + 1);
	t->value_count = r->value_count;
	for (size_t i = 0; i < r->value_count; i++)
		TM_TRY(bind_tuple_value(s, r, t, r->values[i], &t->values[i]));
	return TM_OK;
}

static tm_rc bind_single(struct cql_scope *s, const struct cql_relation *r, struct cql_test *t)
{
	const struct tm_table_column *c = &s->table->def.columns[t->columns[0]];
	const struct tm_cql_type *type = tm_type_reversed(c->type, false);
	struct tm_str name = c->name;
	bool key = c->kind == TM_COLUMN_PARTITION_KEY || c->kind == TM_COLUMN_CLUSTERING;
	if (r->element) {
		if (type->kind == TM_CQL_LIST)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Indexes on list entries (%.*s[index] = value) are not currently supported.", TM_STR_ARG(name));
		if (type->kind != TM_CQL_MAP)
			return cql_fail(s->err, CQL_CODE_INVALID, "Column %.*s cannot be used as a map", TM_STR_ARG(name));
		if (type->frozen)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Map-entry equality predicates on frozen map column %.*s are not supported", TM_STR_ARG(name));
		if (r->op != CQL_EQ)
			return cql_fail(s->err, CQL_CODE_INVALID, "Only EQ relations are supported on map entries");
		TM_TRY(cql_bind_term(s, r->element,
				     (struct cql_receiver){tm_arena_printf(s->arena, "key(%.*s)", TM_STR_ARG(name)), type->args[0]},
				     &t->element));
		t->type = type->args[1];
		return cql_bind_term(s, r->value,
				     (struct cql_receiver){tm_arena_printf(s->arena, "value(%.*s)", TM_STR_ARG(name)), t->type}, &t->value);
	}
	t->type = type;
	if (r->op == CQL_IS_NOT_NULL)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unsupported restriction: %.*s IS NOT NULL", TM_STR_ARG(name));
	if (r->op == CQL_NE)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unsupported \"!=\" relation: %s", relation_text(s, r));
	if (r->op == CQL_LIKE) {
		TM_TRY(cql_bind_term(s, r->value, (struct cql_receiver){name, type}, &t->value));
		return cql_fail(s->err, CQL_CODE_INVALID,
				"LIKE restriction is only supported on properly indexed columns. %s is not valid.", relation_text(s, r));
	}
	if (r->op == CQL_CONTAINS || r->op == CQL_CONTAINS_KEY) {
		if (!tm_type_is_collection(type))
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot use %s on non-collection column %.*s", op_text(r->op),
					TM_STR_ARG(name));
		if (r->op == CQL_CONTAINS_KEY && type->kind != TM_CQL_MAP)
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot use CONTAINS KEY on non-map column %.*s", TM_STR_ARG(name));
		bool value = r->op == CQL_CONTAINS && type->kind == TM_CQL_MAP;
		t->type = type->args[value];
		return cql_bind_term(
		    s, r->value,
		    (struct cql_receiver){tm_arena_printf(s->arena, r->op == CQL_CONTAINS ? "value(%.*s)" : "key(%.*s)", TM_STR_ARG(name)),
					  t->type},
		    &t->value);
	}
	if (tm_type_is_multicell(type)) {
		if (type->kind == TM_CQL_UDT)
			return cql_fail(s->err, CQL_CODE_INVALID, "Non-frozen UDT column '%.*s' (%s) cannot be restricted by any relation",
					TM_STR_ARG(name), cql_type_cstr(s->arena, type));
		return cql_fail(s->err, CQL_CODE_INVALID, "Collection column '%.*s' (%s) cannot be restricted by a '%s' relation",
				TM_STR_ARG(name), cql_type_cstr(s->arena, type), op_text(r->op));
	}
	if (is_bound(r->op) && tm_type_mentions(type, TM_CQL_DURATION))
		return cql_fail(s->err, CQL_CODE_INVALID,
				type->kind == TM_CQL_DURATION ? "Slice restrictions are not supported on duration columns"
				: type->kind == TM_CQL_TUPLE  ? "Slice restrictions are not supported on tuples containing durations"
				: type->kind == TM_CQL_UDT    ? "Slice restrictions are not supported on UDTs containing durations"
							      : "Slice restrictions are not supported on collections containing durations");
	(void)key;
	if (r->op == CQL_IN)
		return bind_in(s, r, name, type, t);
	return cql_bind_term(s, r->value, (struct cql_receiver){name, type}, &t->value);
}

/* Two relations about one column that cannot stand together. */
static tm_rc check_pair(struct cql_scope *s, const struct cql_test *a, const struct cql_test *b)
{
	if (a->token != b->token || a->element || b->element || a->op >= CQL_CONTAINS || b->op >= CQL_CONTAINS)
		return TM_OK;
	const struct tm_table_def *def = &s->table->def;
	bool shared = false;
	size_t column = 0;
	for (size_t i = 0; i < a->column_count; i++)
		for (size_t j = 0; j < b->column_count; j++)
			if (a->columns[i] == b->columns[j] && !shared) {
				shared = true;
				column = a->columns[i];
			}
	if (!shared)
		return TM_OK;
	struct tm_str name = def->columns[column].name;
	if (a->tuple != b->tuple &&
	    (a->op == CQL_EQ || a->op == CQL_IN || b->op == CQL_EQ || b->op == CQL_IN || a->columns[0] != b->columns[0]))
		return cql_fail(s->err, CQL_CODE_INVALID, "%.*s cannot be restricted by more than one relation if it includes %s",
				TM_STR_ARG(name), a->op == CQL_IN || b->op == CQL_IN ? "a IN" : "an Equal");
	if (a->tuple && b->tuple && a->columns[0] != b->columns[0] && is_bound(a->op) && is_bound(b->op))
		return cql_fail(s->err, CQL_CODE_INVALID,
				"Column \"%.*s\" cannot be restricted by two inequalities not starting with the same column",
				TM_STR_ARG(name));
	if (a->op == CQL_EQ || b->op == CQL_EQ)
		return cql_fail(s->err, CQL_CODE_INVALID,
				a->tuple && b->tuple ? "(%.*s) cannot be restricted by more than one relation if it includes an Equal"
						     : "%.*s cannot be restricted by more than one relation if it includes an Equal",
				TM_STR_ARG(name));
	if (a->op == CQL_IN || b->op == CQL_IN)
		return cql_fail(s->err, CQL_CODE_INVALID, "%.*s cannot be restricted by more than one relation if it includes a IN",
				TM_STR_ARG(name));
	if (is_low(a->op) == is_low(b->op))
		return cql_fail(s->err, CQL_CODE_INVALID, "More than one restriction was found for the %s bound on %.*s",
				is_low(a->op) ? "start" : "end", TM_STR_ARG(name));
	return TM_OK;
}

const struct cql_test *cql_where_equal(const struct cql_where *w, size_t column)
{
	for (size_t i = 0; i < w->test_count; i++)
		if (!w->tests[i].token && !w->tests[i].tuple && !w->tests[i].element && w->tests[i].columns[0] == column &&
		    w->tests[i].op == CQL_EQ)
			return &w->tests[i];
	return NULL;
}

static struct cql_test *key_test(struct cql_where *w, size_t column)
{
	for (size_t i = 0; i < w->test_count; i++) {
		struct cql_test *t = &w->tests[i];
		if (!t->token && !t->element && t->op <= CQL_IN && t->op != CQL_NE && t->columns[0] == column)
			return t;
	}
	return NULL;
}

/* Which tests the keys answer. */
static void plan_keys(struct cql_scope *s, struct cql_where *w)
{
	const struct tm_table_def *def = &s->table->def;
	size_t pk = def->partition_key_count;
	w->pk_full = true;
	for (size_t i = 0; i < pk; i++) {
		struct cql_test *t = key_test(w, i);
		w->pk_full &= t && (t->op == CQL_EQ || t->op == CQL_IN);
		w->pk_in |= t && t->op == CQL_IN;
	}
	for (size_t i = 0; i < w->test_count; i++) {
		struct cql_test *t = &w->tests[i];
		w->has_token |= t->token;
		w->ck_restricted |= !t->token && t->columns[0] >= pk && t->columns[0] < pk + def->clustering_count;
		if (!t->token && t->columns[0] < pk && w->pk_full)
			t->used = true;
	}
	for (size_t i = 0; i < def->clustering_count;) {
		struct cql_test *t = key_test(w, pk + i);
		if (!t)
			break;
		if (t->op != CQL_EQ && t->op != CQL_IN) {
			w->ck_slice = true;
			break;
		}
		t->used = true;
		i += t->tuple ? t->column_count : 1;
		w->ck_prefix = i;
	}
	if (w->ck_slice)
		for (size_t i = 0; i < w->test_count; i++)
			if (!w->tests[i].tuple && !w->tests[i].token && w->tests[i].columns[0] == pk + w->ck_prefix &&
			    is_bound(w->tests[i].op))
				w->tests[i].used = true;
	if (!w->pk_full) /* without the partition, slices are of no use: test the rows */
		for (size_t i = 0; i < w->test_count; i++)
			w->tests[i].used = false;
}

tm_rc cql_where_bind(struct cql_scope *s, struct cql_relation *relations, size_t count, enum cql_where_for use, struct cql_where *ret)
{
	struct cql_where *w = ret;
	*w = (struct cql_where){.tests = TM_NEW_N(s->arena, struct cql_test, count + 1), .test_count = count};
	for (size_t i = 0; i < count; i++) {
		struct cql_test *t = &w->tests[i];
		struct cql_relation *r = &relations[i];
		t->op = r->op;
		t->relation = r;
		TM_TRY(find_columns(s, r, t));
		if (r->token && use != CQL_WHERE_SELECT)
			return cql_fail(s->err, CQL_CODE_INVALID, "The token function cannot be used in WHERE clauses for %s statements",
					use == CQL_WHERE_UPDATE ? "UPDATE" : "DELETE");
		TM_TRY(r->token ? bind_token(s, r, t) : r->tuple ? bind_tuple(s, r, t) : bind_single(s, r, t));
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			TM_TRY(check_pair(s, &w->tests[j], &w->tests[i]));
	plan_keys(s, w);
	return TM_OK;
}

/* ---- indexes ---- */
static bool index_answers(const struct tm_table *table, const struct cql_test *t)
{
	if (t->token || t->tuple)
		return false;
	struct tm_str column = table->def.columns[t->columns[0]].name;
	const struct tm_cql_type *type = table->def.columns[t->columns[0]].type;
	for (size_t i = 0; i < table->index_count; i++) {
		const struct tm_index *x = &table->indexes[i];
		if (!tm_str_eq(x->column, column))
			continue;
		if (t->element) {
			if (x->kind == TM_INDEX_ENTRIES)
				return true;
			continue;
		}
		switch (t->op) {
		case CQL_CONTAINS:
			if (x->kind == TM_INDEX_VALUES && tm_type_is_collection(type))
				return true;
			break;
		case CQL_CONTAINS_KEY:
			if (x->kind == TM_INDEX_KEYS)
				return true;
			break;
		case CQL_EQ:
			if (x->kind == TM_INDEX_FULL || (x->kind == TM_INDEX_VALUES && !tm_type_is_collection(type)))
				return true;
			break;
		case CQL_LT:
		case CQL_LE:
		case CQL_GT:
		case CQL_GE:
			if (x->custom && x->kind == TM_INDEX_VALUES && !tm_type_is_collection(type) && !tm_type_is_text(type) &&
			    type->kind != TM_CQL_BOOLEAN && type->kind != TM_CQL_UUID)
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

static bool has_sai(const struct tm_table *table, const struct cql_test *t)
{
	for (size_t i = 0; i < table->index_count; i++)
		if (table->indexes[i].custom && tm_str_eq(table->indexes[i].column, table->def.columns[t->columns[0]].name))
			return true;
	return false;
}

static tm_rc check_clustering(struct cql_scope *s, struct cql_where *w)
{
	const struct tm_table_def *def = &s->table->def;
	size_t pk = def->partition_key_count;
	const struct cql_test *slice = NULL;
	size_t gap = SIZE_MAX;
	for (size_t i = 0; i < def->clustering_count;) {
		struct cql_test *t = key_test(w, pk + i);
		if (!t) {
			if (gap == SIZE_MAX)
				gap = i;
			i++;
			continue;
		}
		if (slice)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Clustering column \"%.*s\" cannot be restricted (preceding column \"%.*s\" is restricted by a "
					"non-EQ relation)",
					TM_STR_ARG(def->columns[pk + i].name), TM_STR_ARG(def->columns[slice->columns[0]].name));
		if (gap != SIZE_MAX)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"PRIMARY KEY column \"%.*s\" cannot be restricted as preceding column \"%.*s\" is not restricted",
					TM_STR_ARG(def->columns[pk + i].name), TM_STR_ARG(def->columns[pk + gap].name));
		if (is_bound(t->op))
			slice = t;
		i += t->tuple ? t->column_count : 1;
	}
	return TM_OK;
}

tm_rc cql_where_check_select(struct cql_scope *s, struct cql_where *w, bool allow_filtering, bool distinct)
{
	const struct tm_table_def *def = &s->table->def;
	size_t pk = def->partition_key_count, keys = pk + def->clustering_count;
	size_t unanswered = 0, answered = 0, others = 0;
	bool all_sai = true, ck_indexed = false, pk_touched = false, pk_slice = false;
	for (size_t i = 0; i < w->test_count; i++) {
		struct cql_test *t = &w->tests[i];
		size_t c = t->columns[0];
		if (c >= keys || (c >= pk && (t->op == CQL_CONTAINS || t->op == CQL_CONTAINS_KEY || t->element))) {
			others++;
			t->index = index_answers(s->table, t);
			answered += t->index;
			unanswered += !t->index;
			all_sai &= t->index && has_sai(s->table, t);
			if (distinct && def->columns[c].kind != TM_COLUMN_STATIC)
				return cql_fail(
				    s->err, CQL_CODE_INVALID,
				    "SELECT DISTINCT with WHERE clause only supports restriction by partition key and/or static columns.");
			if (def->columns[c].type->kind == TM_CQL_VECTOR && has_sai(s->table, t) && t->op == CQL_EQ && !allow_filtering)
				return cql_fail(s->err, CQL_CODE_INVALID, "Vector indexes only support ANN queries");
		} else if (c >= pk) {
			t->index = index_answers(s->table, t);
			ck_indexed |= t->index;
			if (distinct)
				return cql_fail(
				    s->err, CQL_CODE_INVALID,
				    "SELECT DISTINCT with WHERE clause only supports restriction by partition key and/or static columns.");
		} else if (!t->token) {
			pk_touched = true;
			t->index = index_answers(s->table, t);
			pk_slice |= is_bound(t->op);
		}
	}
	bool virtual_table = s->table->number == 0;
	if (allow_filtering || virtual_table) {
		for (size_t i = 0; virtual_table && i < w->test_count; i++)
			w->tests[i].used = false; /* all rows are made: every one is tested */
		w->filtering = true;
		return TM_OK;
	}
	bool index = answered > 0;
	if (w->pk_full && w->ck_restricted && !index && !ck_indexed)
		TM_TRY(check_clustering(s, w));
	if (!w->pk_full) {
		if (index || ck_indexed) {
			w->uses_index = true;
			size_t ck_free = 0, ck_count = 0;
			for (size_t i = 0; i < w->test_count; i++)
				if (w->tests[i].columns[0] >= pk && w->tests[i].columns[0] < keys && !w->tests[i].token) {
					ck_count++;
					ck_free += !w->tests[i].index;
				}
			bool pk_free = false;
			for (size_t i = 0; i < w->test_count; i++)
				pk_free |= !w->tests[i].token && w->tests[i].columns[0] < pk && !w->tests[i].index;
			bool sai = all_sai && (!ck_indexed || answered || true);
			size_t used = answered + (ck_count - ck_free);
			if (unanswered || ck_free || pk_free || (used > 1 && !sai))
				return cql_fail(s->err, CQL_CODE_INVALID, FILTERING_TEXT);
			return TM_OK;
		}
		if (pk_touched || pk_slice || w->ck_restricted || others) {
			bool pk_index = false;
			for (size_t i = 0; i < w->test_count; i++)
				pk_index |= !w->tests[i].token && w->tests[i].columns[0] < pk && w->tests[i].index;
			if (pk_index && !others && !w->ck_restricted)
				return TM_OK;
			return cql_fail(s->err, CQL_CODE_INVALID, FILTERING_TEXT);
		}
		return TM_OK;
	}
	if (others) {
		w->uses_index = index;
		if (!index || unanswered || (answered > 1 && !all_sai))
			return cql_fail(s->err, CQL_CODE_INVALID, FILTERING_TEXT);
	}
	return TM_OK;
}
