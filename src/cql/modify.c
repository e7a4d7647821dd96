/* Preparing INSERT, UPDATE and DELETE. */
#include "cql/modify.h"
#include <stdlib.h>

size_t cql_modify_plan_size(void) { return sizeof(struct cql_modify_plan); }
struct cql_modify_plan *cql_modify_plan_at(struct cql_modify_plan *plans, size_t i) { return &plans[i]; }

static const char *op_text(struct cql_scope *s, const struct cql_assignment *a)
{
	const char *value = a->value ? cql_expr_cstr(s->arena, a->value) : "";
	struct tm_str c = a->column;
	size_t at = tm_table_column_index(&s->table->def, c);
	bool t_is_list =
	    at != SIZE_MAX && s->table->def.columns[at].type->kind == TM_CQL_LIST; /* Cassandra prints a minus for the others */
	switch (a->kind) {
	case CQL_SET_ADD:
		return tm_arena_printf(s->arena, "%.*s = %.*s + %s", TM_STR_ARG(c), TM_STR_ARG(c), value).at;
	case CQL_SET_SUBTRACT:
		return tm_arena_printf(s->arena, "%.*s = %.*s - %s", TM_STR_ARG(c), TM_STR_ARG(c), value).at;
	case CQL_SET_PREPEND:
		return tm_arena_printf(s->arena, t_is_list ? "%.*s = %s + %.*s" : "%.*s = %s - %.*s", TM_STR_ARG(c), value, TM_STR_ARG(c))
		    .at;
	case CQL_SET_ELEMENT:
		return tm_arena_printf(s->arena, "%.*s[%s] = %s", TM_STR_ARG(c), cql_expr_cstr(s->arena, a->element), value).at;
	case CQL_SET_FIELD:
		return tm_arena_printf(s->arena, "%.*s.%.*s = %s", TM_STR_ARG(c), TM_STR_ARG(a->field), value).at;
	default:
		return tm_arena_printf(s->arena, "%.*s = %s", TM_STR_ARG(c), value).at;
	}
}

static const char *doing(struct cql_scope *s, const struct cql_assignment *a)
{
	if (a->kind >= CQL_DELETE_COLUMN)
		return a->kind == CQL_DELETE_FIELD ? "Invalid field deletion operation" : "Invalid deletion operation";
	return tm_arena_printf(s->arena, "Invalid operation (%s)", op_text(s, a)).at;
}

static tm_rc find_column(struct cql_scope *s, struct tm_str name, size_t *ret)
{
	const struct tm_table_def *def = &s->table->def;
	*ret = tm_table_column_index(def, name);
	if (*ret == SIZE_MAX)
		return cql_fail(s->err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(name),
				TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name));
	return TM_OK;
}

static tm_rc find_field(struct cql_scope *s, const struct tm_table_column *c, struct tm_str field, size_t *ret)
{
	*ret = 0;
	while (*ret < c->type->arg_count && !tm_str_eq(c->type->field_names[*ret], field))
		++*ret;
	if (*ret == c->type->arg_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "UDT column %.*s does not have a field named %.*s", TM_STR_ARG(c->name),
				TM_STR_ARG(field));
	return TM_OK;
}

/* The collection a map is subtracted with is a set of its keys. */
static tm_rc bind_arithmetic(struct cql_scope *s, const struct cql_assignment *a, const struct tm_table_column *c, struct cql_modify_op *op)
{
	const struct tm_cql_type *t = c->type;
	if (a->other.at && !tm_str_eq(a->other, a->column))
		return cql_fail(s->err, CQL_CODE_SYNTAX,
				a->kind == CQL_SET_PREPEND ? "Only expressions of the form X = <value> + X are supported."
							   : "Only expressions of the form X = X %c<value> are supported.",
				a->kind == CQL_SET_ADD ? '+' : '-');
	if (!tm_type_is_collection(t) && t->kind != TM_CQL_COUNTER)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid operation (%s) for non counter column %.*s", op_text(s, a),
				TM_STR_ARG(c->name));
	if (t->kind == TM_CQL_COUNTER && a->kind == CQL_SET_PREPEND)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid operation (%s) for non list column %.*s", op_text(s, a),
				TM_STR_ARG(c->name));
	if (tm_type_is_collection(t) && t->frozen)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid operation (%s) for frozen collection column %.*s", op_text(s, a),
				TM_STR_ARG(c->name));
	if (a->kind == CQL_SET_PREPEND && t->kind != TM_CQL_LIST)
		return cql_fail(s->err, CQL_CODE_INVALID, "Invalid operation (%s) for non list column %.*s", op_text(s, a),
				TM_STR_ARG(c->name));
	if (t->kind == TM_CQL_COUNTER)
		return cql_bind_term(s, a->value, (struct cql_receiver){c->name, t}, &op->value);
	if (t->kind == TM_CQL_MAP && a->kind == CQL_SET_SUBTRACT && a->value->kind == CQL_E_MAP)
		return cql_fail(s->err, CQL_CODE_INVALID, "Value for a map substraction has to be a set, but was: '%s'",
				cql_expr_cstr(s->arena, a->value));
	if (t->kind == TM_CQL_MAP && a->kind == CQL_SET_ADD && a->value->kind == CQL_E_SET && a->value->arg_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "Value for a map addition has to be a map, but was: '%s'",
				cql_expr_cstr(s->arena, a->value));
	if (t->kind == TM_CQL_MAP && a->kind == CQL_SET_SUBTRACT)
		return cql_bind_term(s, a->value, (struct cql_receiver){c->name, tm_type_set(t->args[0], false)}, &op->value);
	return cql_bind_term(s, a->value, (struct cql_receiver){c->name, t}, &op->value);
}

static tm_rc bind_assignment(struct cql_scope *s, struct cql_modify_plan *p, const struct cql_assignment *a)
{
	struct cql_modify_op *op = &p->ops[p->op_count];
	*op = (struct cql_modify_op){.kind = a->kind};
	TM_TRY(find_column(s, a->column, &op->column));
	const struct tm_table_column *c = &s->table->def.columns[op->column];
	const struct tm_cql_type *t = c->type;
	bool key = c->kind == TM_COLUMN_PARTITION_KEY || c->kind == TM_COLUMN_CLUSTERING, deletes = a->kind >= CQL_DELETE_COLUMN;
	if (key)
		return cql_fail(s->err, CQL_CODE_INVALID,
				deletes ? "Invalid identifier %.*s for deletion (should not be a PRIMARY KEY part)"
					: "PRIMARY KEY part %.*s found in SET part",
				TM_STR_ARG(c->name));
	p->writes_static |= c->kind == TM_COLUMN_STATIC;
	p->writes_rows |= c->kind == TM_COLUMN_REGULAR;
	p->op_count++;
	switch (a->kind) {
	case CQL_SET:
		if (t->kind == TM_CQL_COUNTER)
			return cql_fail(
			    s->err, CQL_CODE_INVALID,
			    "Cannot set the value of counter column %.*s (counters can only be incremented/decremented, not set)",
			    TM_STR_ARG(c->name));
		return cql_bind_term(s, a->value, (struct cql_receiver){c->name, t}, &op->value);
	case CQL_SET_ADD:
	case CQL_SET_SUBTRACT:
	case CQL_SET_PREPEND:
		p->needs_read |= t->kind == TM_CQL_LIST && a->kind == CQL_SET_SUBTRACT;
		return bind_arithmetic(s, a, c, op);
	case CQL_SET_ELEMENT:
	case CQL_DELETE_ELEMENT:
		if (!tm_type_is_collection(t))
			return cql_fail(s->err, CQL_CODE_INVALID, "%s for non collection column %.*s", doing(s, a), TM_STR_ARG(c->name));
		if (t->frozen)
			return cql_fail(s->err, CQL_CODE_INVALID, "%s for frozen collection column %.*s", doing(s, a), TM_STR_ARG(c->name));
		if (t->kind == TM_CQL_SET && !deletes)
			return cql_fail(s->err, CQL_CODE_INVALID, "Invalid operation (%s) for set column %.*s", op_text(s, a),
					TM_STR_ARG(c->name));
		p->needs_read |= t->kind == TM_CQL_LIST;
		TM_TRY(cql_bind_term(s, a->element,
				     (struct cql_receiver){tm_arena_printf(s->arena,
									   t->kind == TM_CQL_LIST  ? "idx(%.*s)"
									   : t->kind == TM_CQL_MAP ? "key(%.*s)"
												   : "value(%.*s)",
									   TM_STR_ARG(c->name)),
							   t->kind == TM_CQL_LIST ? tm_type_native(TM_CQL_INT) : t->args[0]},
				     &op->element));
		if (deletes)
			return TM_OK;
		return cql_bind_term(
		    s, a->value,
		    (struct cql_receiver){tm_arena_printf(s->arena, "value(%.*s)", TM_STR_ARG(c->name)), t->args[t->kind == TM_CQL_MAP]},
		    &op->value);
	case CQL_SET_FIELD:
	case CQL_DELETE_FIELD:
		if (t->kind != TM_CQL_UDT)
			return cql_fail(s->err, CQL_CODE_INVALID, "%s for non-UDT column %.*s", doing(s, a), TM_STR_ARG(c->name));
		if (t->frozen)
			return cql_fail(s->err, CQL_CODE_INVALID, "%s for frozen UDT column %.*s", doing(s, a), TM_STR_ARG(c->name));
		TM_TRY(find_field(s, c, a->field, &op->field));
		return deletes ? TM_OK
			       : cql_bind_term(s, a->value,
					       (struct cql_receiver){
						   tm_arena_printf(s->arena, "%.*s.%.*s", TM_STR_ARG(c->name), TM_STR_ARG(a->field)),
						   t->args[op->field]},
					       &op->value);
	default:
		return TM_OK;
	}
}

/* ---- keys ---- */
static tm_rc missing(struct cql_scope *s, const char *what, size_t from, size_t to, const struct cql_where *w)
{
	struct tm_buf b = {0};
	const struct tm_table_def *def = &s->table->def;
	for (size_t i = from; i < to; i++) {
		bool there = false;
		for (size_t j = 0; j < w->test_count; j++)
			for (size_t c = 0; c < w->tests[j].column_count; c++)
				there |= w->tests[j].columns[c] == i;
		if (!there)
			tm_buf_printf(&b, "%s%.*s", b.len ? ", " : "", TM_STR_ARG(def->columns[i].name));
	}
	tm_rc rc = b.len ? cql_fail(s->err, CQL_CODE_INVALID, "Some %s are missing: %s", what, tm_buf_cstr(&b)) : TM_OK;
	tm_buf_done(&b);
	return rc;
}

static const char *verb(const struct cql_modify_plan *p)
{
	return p->kind == CQL_INSERT ? "INSERT" : p->kind == CQL_UPDATE ? "UPDATE" : "DELETE";
}

static tm_rc check_keys(struct cql_scope *s, struct cql_modify_plan *p)
{
	const struct tm_table_def *def = &s->table->def;
	size_t pk = def->partition_key_count, keys = pk + def->clustering_count;
	struct cql_where *w = &p->where;
	struct tm_buf others = {0};
	for (size_t i = 0; i < w->test_count; i++)
		if (w->tests[i].columns[0] >= keys)
			tm_buf_printf(&others, "%s%.*s", others.len ? ", " : "", TM_STR_ARG(def->columns[w->tests[i].columns[0]].name));
	tm_rc rc = missing(s, "partition key parts", 0, pk, w);
	if (rc != TM_OK || others.len) {
		if (rc == TM_OK)
			rc = cql_fail(s->err, CQL_CODE_INVALID, "Non PRIMARY KEY columns found in where clause: %s ", tm_buf_cstr(&others));
		tm_buf_done(&others);
		return rc;
	}
	if (!w->pk_full)
		return cql_fail(
		    s->err, CQL_CODE_INVALID,
		    "Only EQ and IN relation are supported on the partition key (unless you use the token() function) for %s statements",
		    verb(p));
	bool static_only = p->writes_static && !p->writes_rows && p->op_count;
	if (static_only && p->kind != CQL_INSERT) {
		if (w->ck_restricted && !p->condition_count)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"Invalid restrictions on clustering columns since the %s statement modifies only static columns",
					verb(p));
		return TM_OK;
	}
	bool whole = w->ck_prefix == def->clustering_count;
	if (p->kind == CQL_DELETE && !p->op_count) { /* rows, ranges, the partition */
		bool used = true;
		for (size_t i = 0; i < w->test_count; i++)
			used &= w->tests[i].used || (w->tests[i].tuple && w->ck_slice);
		if (!used) {
			for (size_t i = 0; i < w->test_count; i++)
				if (!w->tests[i].used && w->tests[i].columns[0] >= pk) {
					if (w->ck_slice)
						return cql_fail(s->err, CQL_CODE_INVALID,
								"Clustering column \"%.*s\" cannot be restricted (preceding column "
								"\"%.*s\" is restricted by a non-EQ relation)",
								TM_STR_ARG(def->columns[w->tests[i].columns[0]].name),
								TM_STR_ARG(def->columns[pk + w->ck_prefix].name));
					return cql_fail(s->err, CQL_CODE_INVALID,
							"PRIMARY KEY column \"%.*s\" cannot be restricted as preceding column \"%.*s\" is "
							"not restricted",
							TM_STR_ARG(def->columns[w->tests[i].columns[0]].name),
							TM_STR_ARG(def->columns[pk + w->ck_prefix].name));
				}
		}
		if (cql_is_conditional(p) && !whole && def->clustering_count && w->ck_slice)
			return cql_fail(s->err, CQL_CODE_INVALID,
					"DELETE statements must restrict all PRIMARY KEY columns with equality relations in order to "
					"delete non static columns");
		return TM_OK;
	}
	if (whole)
		return TM_OK;
	if (p->kind == CQL_INSERT && static_only && !w->ck_restricted)
		return TM_OK;
	if (w->ck_slice)
		return p->kind == CQL_DELETE
			   ? cql_fail(s->err, CQL_CODE_INVALID, "Range deletions are not supported for specific columns")
			   : cql_fail(s->err, CQL_CODE_INVALID,
				      "Slice restrictions are not supported on the clustering columns in %s statements", verb(p));
	if (p->kind == CQL_DELETE)
		return cql_fail(s->err, CQL_CODE_INVALID, "Range deletions are not supported for specific columns");
	return missing(s, "clustering keys", pk, keys, w);
}

static tm_rc check_counters(struct cql_scope *s, const struct cql_modify *m, struct cql_modify_plan *p)
{
	if (!s->table->counter)
		return TM_OK;
	if (p->kind == CQL_INSERT)
		return cql_fail(s->err, CQL_CODE_INVALID, "INSERT statements are not allowed on counter tables, use UPDATE instead");
	if (m->timestamp && p->kind == CQL_UPDATE)
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot provide custom timestamp for counter updates");
	if (m->ttl)
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot provide custom TTL for counter updates");
	if (cql_is_conditional(p))
		return cql_fail(s->err, CQL_CODE_INVALID,
				p->condition_count ? "Conditions on counters are not supported"
						   : "Conditional updates are not supported on counter tables");
	return TM_OK;
}

/* INSERT's columns: keys become equalities, the rest assignments. */
static tm_rc bind_insert(struct cql_scope *s, const struct cql_modify *m, struct cql_modify_plan *p)
{
	const struct tm_table_def *def = &s->table->def;
	if (m->is_json) {
		p->is_json = true;
		p->json_default_unset = m->json_default_unset;
		p->writes_rows = true;
		return cql_bind_term(s, m->json, (struct cql_receiver){TM_STR("[json]"), tm_type_native(TM_CQL_VARCHAR)}, &p->json);
	}
	if (m->column_count != m->value_count)
		return cql_fail(s->err, CQL_CODE_INVALID, "Unmatched column names/values");
	struct cql_relation *keys = TM_NEW_N(s->arena, struct cql_relation, m->column_count);
	size_t key_count = 0;
	p->ops = TM_NEW_N(s->arena, struct cql_modify_op, m->column_count + 1);
	for (size_t i = 0; i < m->column_count; i++) {
		size_t c;
		TM_TRY(find_column(s, m->columns[i], &c));
		for (size_t j = 0; j < i; j++)
			if (tm_str_eq(m->columns[i], m->columns[j]))
				return cql_fail(s->err, CQL_CODE_INVALID, "The column names contains duplicates");
		if (c < def->partition_key_count + def->clustering_count) {
			keys[key_count++] =
			    (struct cql_relation){.columns = &m->columns[i], .column_count = 1, .op = CQL_EQ, .value = m->values[i]};
			continue;
		}
		TM_TRY(bind_assignment(s, p, &(struct cql_assignment){.kind = CQL_SET, .column = m->columns[i], .value = m->values[i]}));
	}
	TM_TRY(cql_where_bind(s, keys, key_count, CQL_WHERE_UPDATE, &p->where));
	return check_keys(s, p);
}

static tm_rc bind_using(struct cql_scope *s, const struct cql_modify *m, struct cql_modify_plan *p)
{
	if (m->timestamp)
		TM_TRY(cql_bind_term(s, m->timestamp, (struct cql_receiver){TM_STR("[timestamp]"), tm_type_native(TM_CQL_BIGINT)},
				     &p->timestamp));
	if (m->ttl)
		TM_TRY(cql_bind_term(s, m->ttl, (struct cql_receiver){TM_STR("[ttl]"), tm_type_native(TM_CQL_INT)}, &p->ttl));
	return TM_OK;
}

tm_rc cql_modify_prepare(struct cql_scope *s, struct tm_cql_prepared *prepared, const struct cql_modify *m, const struct tm_table *table,
			 struct cql_modify_plan *p)
{
	(void)prepared;
	s->table = table;
	*p = (struct cql_modify_plan){.kind = m->kind, .table = table, .if_exists = m->if_exists, .if_not_exists = m->if_not_exists};
	p->condition_count = m->condition_count;
	TM_TRY(check_counters(s, m, p));
	if (cql_is_conditional(p) && m->timestamp)
		return cql_fail(s->err, CQL_CODE_INVALID, "Cannot provide custom timestamp for conditional updates");
	if (m->kind == CQL_INSERT) {
		TM_TRY(bind_insert(s, m, p));
		return bind_using(s, m, p);
	}
	if (m->kind == CQL_UPDATE || m->timestamp)
		TM_TRY(bind_using(s, m, p));
	p->ops = TM_NEW_N(s->arena, struct cql_modify_op, m->assignment_count + 1);
	for (size_t i = 0; i < m->assignment_count; i++) {
		TM_TRY(bind_assignment(s, p, &m->assignments[i]));
		for (size_t j = 0; j < i; j++)
			if (p->ops[j].column == p->ops[i].column && p->ops[j].kind == CQL_SET && p->ops[i].kind == CQL_SET)
				return cql_fail(s->err, CQL_CODE_SYNTAX, "Multiple incompatible setting of column %.*s",
						TM_STR_ARG(m->assignments[i].column));
	}
	TM_TRY(cql_where_bind(s, m->where, m->where_count, m->kind == CQL_UPDATE ? CQL_WHERE_UPDATE : CQL_WHERE_DELETE, &p->where));
	TM_TRY(check_keys(s, p));
	TM_TRY(cql_bind_conditions(s, m, p));
	if (cql_is_conditional(p) && p->where.pk_in)
		return cql_fail(s->err, CQL_CODE_INVALID, "IN on the partition key is not supported with conditional %s",
				m->kind == CQL_UPDATE ? "updates" : "deletions");
	if (cql_is_conditional(p))
		for (size_t i = 0; i < p->where.test_count; i++)
			if (p->where.tests[i].op == CQL_IN)
				return cql_fail(s->err, CQL_CODE_INVALID,
						"IN on the clustering key columns is not supported with conditional %s",
						m->kind == CQL_UPDATE ? "updates" : "deletions");
	return TM_OK;
}
