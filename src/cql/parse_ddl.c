/* CREATE, ALTER, DROP, TRUNCATE, USE, DESCRIBE, and what is understood only to be refused by name. */
#include "cql/parse_int.h"
#include "table/type.h"
#include <stdlib.h>

static tm_rc parse_if(struct parser *p, bool not_exists, bool *ret)
{
	if (!take_word(p, "if"))
		return TM_OK;
	if (not_exists)
		TM_TRY(need_word(p, "not"));
	*ret = true;
	return need_word(p, "exists");
}

/* ---- properties: name = value, joined by AND ---- */
static tm_rc parse_property_value(struct parser *p, struct tm_str *ret)
{
	const struct cql_token *t = cur(p);
	if (t->kind == CQL_T_SYMBOL || t->kind == CQL_T_END || t->kind == CQL_T_QUOTED)
		return no_viable(p);
	*ret = t->text;
	advance(p);
	return TM_OK;
}

static tm_rc parse_property_map(struct parser *p, struct tm_map *ret)
{
	struct {
		struct tm_map_entry *items;
		size_t count, cap;
	} list = {0};
	TM_TRY(need_mark(p, "{"));
	while (!is_mark(p, "}")) {
		struct tm_map_entry e;
		const struct cql_token *t = cur(p);
		if (t->kind == CQL_T_SYMBOL || t->kind == CQL_T_END)
			return no_viable(p);
		e.key = t->text;
		advance(p);
		TM_TRY(need_mark(p, ":"));
		TM_TRY(parse_property_value(p, &e.value));
		TM_PUSH_IN(p->arena, &list, e);
		if (!take_mark(p, ","))
			break;
	}
	*ret = (struct tm_map){list.items, list.count};
	return need_mark(p, "}");
}

static tm_rc parse_property(struct parser *p, struct cql_properties *ret)
{
	struct cql_property x = {0};
	TM_TRY(parse_name(p, &x.name));
	TM_TRY(need_mark(p, "="));
	if (is_mark(p, "{")) {
		x.is_map = true;
		TM_TRY(parse_property_map(p, &x.map));
	} else {
		TM_TRY(parse_property_value(p, &x.value));
	}
	for (size_t i = 0; i < ret->count; i++)
		if (tm_str_eq(ret->items[i].name, x.name))
			return tm_fail(p->err, TM_SYNTAX, "Multiple definitions for property '%.*s'", TM_STR_ARG(x.name));
	TM_PUSH_IN(p->arena, ret, x);
	return TM_OK;
}

static tm_rc parse_properties(struct parser *p, struct cql_properties *ret)
{
	do
		TM_TRY(parse_property(p, ret));
	while (take_word(p, "and"));
	return TM_OK;
}

/* ---- CREATE TABLE ---- */
static tm_rc parse_primary_key(struct parser *p, struct cql_ddl *d)
{
	struct names partition = {0}, clustering = {0};
	d->has_primary_clause = true;
	d->primary_count++;
	TM_TRY(need_mark(p, "("));
	if (take_mark(p, "(")) {
		TM_TRY(parse_column_names(p, &partition));
		TM_TRY(need_mark(p, ")"));
	} else {
		struct tm_str n;
		TM_TRY(parse_name(p, &n));
		TM_PUSH_IN(p->arena, &partition, n);
	}
	if (take_mark(p, ","))
		TM_TRY(parse_column_names(p, &clustering));
	d->partition = partition.items;
	d->partition_count = partition.count;
	d->clustering = clustering.items;
	d->clustering_count = clustering.count;
	return need_mark(p, ")");
}

struct column_defs {
	struct cql_column_def *items;
	size_t count, cap;
};

static tm_rc parse_column(struct parser *p, struct cql_column_def *c)
{
	*c = (struct cql_column_def){0};
	TM_TRY(parse_name(p, &c->name));
	TM_TRY(parse_type(p, &c->type));
	c->is_static = take_word(p, "static");
	if (take_word(p, "masked")) {
		c->masked = true;
		TM_TRY(need_word(p, "with"));
		if (!take_word(p, "default")) {
			struct cql_expr *unused;
			TM_TRY(parse_term(p, &unused));
		}
	}
	return TM_OK;
}

static tm_rc parse_clustering_order(struct parser *p, struct cql_ddl *d)
{
	struct names columns = {0};
	struct {
		bool *items;
		size_t count, cap;
	} desc = {0};
	TM_TRY(need_word(p, "order"));
	TM_TRY(need_word(p, "by"));
	TM_TRY(need_mark(p, "("));
	do {
		struct tm_str n;
		TM_TRY(parse_name(p, &n));
		bool down = is_word(p, "desc");
		if (!take_word(p, "desc") && !take_word(p, "asc"))
			return no_viable(p);
		TM_PUSH_IN(p->arena, &columns, n);
		TM_PUSH_IN(p->arena, &desc, down);
	} while (take_mark(p, ","));
	d->order_columns = columns.items;
	d->order_desc = desc.items;
	d->order_count = columns.count;
	return need_mark(p, ")");
}

static tm_rc parse_table_options(struct parser *p, struct cql_ddl *d)
{
	do {
		if (is_word(p, "compact") && word_at(p, 1, "storage")) {
			advance(p);
			advance(p);
			d->compact_storage = true;
		} else if (is_word(p, "clustering") && ahead(p, 1)->kind == CQL_T_NAME) {
			advance(p);
			TM_TRY(parse_clustering_order(p, d));
		} else {
			TM_TRY(parse_property(p, &d->properties));
		}
	} while (take_word(p, "and"));
	return TM_OK;
}

static tm_rc parse_create_table(struct parser *p, struct cql_ddl *d)
{
	struct column_defs columns = {0};
	d->kind = CQL_CREATE_TABLE;
	TM_TRY(parse_if(p, true, &d->if_not_exists));
	TM_TRY(parse_table_name(p, &d->name));
	TM_TRY(need_mark(p, "("));
	for (bool first = true; first || (take_mark(p, ",") && !is_mark(p, ")")); first = false) {
		if (is_word(p, "primary")) {
			advance(p);
			TM_TRY(need_word(p, "key"));
			TM_TRY(parse_primary_key(p, d));
			continue;
		}
		struct cql_column_def c;
		TM_TRY(parse_column(p, &c));
		if (take_word(p, "primary")) {
			TM_TRY(need_word(p, "key"));
			c.primary = true;
			d->primary_count++;
		}
		TM_PUSH_IN(p->arena, &columns, c);
	}
	TM_TRY(need_mark(p, ")"));
	d->columns = columns.items;
	d->column_count = columns.count;
	if (take_word(p, "with"))
		return parse_table_options(p, d);
	return TM_OK;
}

static tm_rc parse_create_type(struct parser *p, struct cql_ddl *d)
{
	struct column_defs fields = {0};
	d->kind = CQL_CREATE_TYPE;
	TM_TRY(parse_if(p, true, &d->if_not_exists));
	TM_TRY(parse_table_name(p, &d->name));
	TM_TRY(need_mark(p, "("));
	for (bool first = true; first || (take_mark(p, ",") && !is_mark(p, ")")); first = false) {
		struct cql_column_def c = {0};
		TM_TRY(parse_name(p, &c.name));
		TM_TRY(parse_type(p, &c.type));
		TM_PUSH_IN(p->arena, &fields, c);
	}
	d->columns = fields.items;
	d->column_count = fields.count;
	return need_mark(p, ")");
}

/* ---- CREATE INDEX ---- */
static tm_rc parse_index_target(struct parser *p, struct tm_str *ret, enum tm_index_kind *kind, bool *plain)
{
	static const char *const words[] = {"values", "keys", "entries", "full"};
	*plain = true;
	*kind = TM_INDEX_VALUES;
	for (size_t i = 0; i < 4; i++)
		if (is_word(p, words[i]) && ahead(p, 1)->kind == CQL_T_SYMBOL && ahead(p, 1)->raw.at[0] == '(') {
			advance(p);
			advance(p);
			*plain = false;
			*kind = (enum tm_index_kind)i;
			TM_TRY(parse_name(p, ret));
			return need_mark(p, ")");
		}
	return parse_name(p, ret);
}

static tm_rc parse_create_index(struct parser *p, struct cql_ddl *d)
{
	d->kind = CQL_CREATE_INDEX;
	TM_TRY(parse_if(p, true, &d->if_not_exists));
	if (!is_word(p, "on"))
		TM_TRY(parse_name(p, &d->name.name));
	TM_TRY(need_word(p, "on"));
	TM_TRY(parse_table_name(p, &d->on));
	TM_TRY(need_mark(p, "("));
	struct {
		__typeof__(d->targets) items;
		size_t count, cap;
	} targets = {0};
	while (!is_mark(p, ")")) {
		__typeof__(*d->targets) t;
		TM_TRY(parse_index_target(p, &t.column, &t.kind, &t.plain));
		TM_PUSH_IN(p->arena, &targets, t);
		if (!take_mark(p, ","))
			break;
	}
	d->targets = targets.items;
	d->target_count = targets.count;
	TM_TRY(need_mark(p, ")"));
	if (take_word(p, "using")) {
		if (cur(p)->kind != CQL_T_STRING)
			return no_viable(p);
		d->class_name = cur(p)->text;
		advance(p);
	}
	if (take_word(p, "with")) {
		TM_TRY(parse_properties(p, &d->properties));
		for (size_t i = 0; i < d->properties.count; i++)
			if (tm_str_is(d->properties.items[i].name, "options"))
				d->options = d->properties.items[i].map;
	}
	return TM_OK;
}

/* ---- refused kinds: read to the end, answered with a text ---- */
static tm_rc refuse(struct parser *p, struct cql_ddl *d, int code, const char *text)
{
	d->kind = CQL_REFUSED;
	d->refused_code = code;
	d->refused = tm_str_of(text);
	while (cur(p)->kind != CQL_T_END && !is_mark(p, ";"))
		advance(p);
	return TM_OK;
}

static tm_rc refuse_role(struct parser *p, struct cql_ddl *d)
{
	size_t at = p->at;
	bool password = false;
	for (; cur(p)->kind != CQL_T_END; advance(p))
		password |= is_word(p, "password");
	p->at = at;
	return password ? refuse(p, d, 0x2200, "org.apache.cassandra.auth.CassandraRoleManager doesn't support PASSWORD")
			: refuse(p, d, 0x2100, "You have to be logged in and not anonymous to perform this request");
}

static tm_rc refuse_function(struct parser *p, struct cql_ddl *d)
{
	return refuse(p, d, 0x2200,
		      "User-defined functions are disabled in cassandra.yaml - set user_defined_functions_enabled=true to enable");
}

static tm_rc parse_create(struct parser *p, struct cql_ddl *d, const struct cql_token *start)
{
	if (take_word(p, "keyspace") || take_word(p, "schema")) {
		d->kind = CQL_CREATE_KEYSPACE;
		TM_TRY(parse_if(p, true, &d->if_not_exists));
		TM_TRY(parse_name(p, &d->name.name));
		TM_TRY(need_word(p, "with"));
		return parse_properties(p, &d->properties);
	}
	if (take_word(p, "table") || take_word(p, "columnfamily"))
		return parse_create_table(p, d);
	if (take_word(p, "type"))
		return parse_create_type(p, d);
	if (is_word(p, "custom")) {
		advance(p);
		d->custom = true;
		TM_TRY(need_word(p, "index"));
		return parse_create_index(p, d);
	}
	if (take_word(p, "index"))
		return parse_create_index(p, d);
	if (take_word(p, "materialized"))
		return refuse(p, d, 0x2200, "Materialized views are disabled. Enable in cassandra.yaml to use.");
	if (is_word(p, "or") || is_word(p, "function") || is_word(p, "aggregate"))
		return refuse_function(p, d);
	if (is_word(p, "trigger"))
		return refuse(p, d, 0x2200, "Triggers are not supported");
	if (is_word(p, "role") || is_word(p, "user"))
		return refuse_role(p, d);
	return no_viable_at(p, start);
}

/* a TO b AND c TO d, behind RENAME */
static tm_rc parse_renames(struct parser *p, struct cql_ddl *d)
{
	struct names from = {0}, to = {0};
	d->alter = CQL_ALTER_RENAME;
	TM_TRY(parse_if(p, false, &d->if_inner));
	do {
		struct tm_str a, b;
		TM_TRY(parse_name(p, &a));
		TM_TRY(need_word(p, "to"));
		TM_TRY(parse_name(p, &b));
		TM_PUSH_IN(p->arena, &from, a);
		TM_PUSH_IN(p->arena, &to, b);
	} while (take_word(p, "and"));
	d->from = from.items;
	d->to = to.items;
	d->rename_count = from.count;
	return TM_OK;
}

static tm_rc parse_alter_table(struct parser *p, struct cql_ddl *d)
{
	struct column_defs columns = {0};
	struct names from = {0};
	d->kind = CQL_ALTER_TABLE;
	TM_TRY(parse_if(p, false, &d->if_exists));
	TM_TRY(parse_table_name(p, &d->name));
	if (take_word(p, "alter")) {
		d->alter = CQL_ALTER_TYPE_OF;
		struct tm_str column;
		(void)parse_if(p, false, &d->if_inner);
		TM_TRY(parse_name(p, &column));
		if (!take_word(p, "type") && !is_word(p, "mask") && !is_word(p, "drop"))
			return no_viable(p);
		while (cur(p)->kind != CQL_T_END && !is_mark(p, ";"))
			advance(p);
		return TM_OK;
	}
	if (take_word(p, "add")) {
		d->alter = CQL_ALTER_ADD;
		TM_TRY(parse_if(p, true, &d->if_inner));
		bool parens = take_mark(p, "(");
		do {
			struct cql_column_def c;
			TM_TRY(parse_column(p, &c));
			TM_PUSH_IN(p->arena, &columns, c);
		} while (take_mark(p, ","));
		d->columns = columns.items;
		d->column_count = columns.count;
		return parens ? need_mark(p, ")") : TM_OK;
	}
	if (take_word(p, "drop")) {
		d->alter = CQL_ALTER_DROP;
		TM_TRY(parse_if(p, false, &d->if_inner));
		if (is_word(p, "compact") && word_at(p, 1, "storage")) {
			d->alter = CQL_ALTER_OTHER;
			advance(p);
			advance(p);
			return TM_OK;
		}
		bool parens = take_mark(p, "(");
		TM_TRY(parse_column_names(p, &from));
		if (parens)
			TM_TRY(need_mark(p, ")"));
		d->from = from.items;
		d->rename_count = from.count;
		if (take_word(p, "using")) {
			TM_TRY(need_word(p, "timestamp"));
			if (cur(p)->kind != CQL_T_INTEGER || !tm_str_to_i64(cur(p)->text, &d->timestamp_us))
				return no_viable(p);
			d->has_timestamp = true;
			advance(p);
		}
		return TM_OK;
	}
	if (take_word(p, "rename"))
		return parse_renames(p, d);
	if (take_word(p, "with")) {
		d->alter = CQL_ALTER_OPTIONS;
		return parse_properties(p, &d->properties);
	}
	return no_viable(p);
}

static tm_rc parse_alter_type(struct parser *p, struct cql_ddl *d)
{
	d->kind = CQL_ALTER_TYPE;
	TM_TRY(parse_if(p, false, &d->if_exists));
	TM_TRY(parse_table_name(p, &d->name));
	if (take_word(p, "add")) {
		struct column_defs fields = {0};
		struct cql_column_def c = {0};
		d->alter = CQL_ALTER_ADD;
		TM_TRY(parse_if(p, true, &d->if_inner));
		TM_TRY(parse_name(p, &c.name));
		TM_TRY(parse_type(p, &c.type));
		TM_PUSH_IN(p->arena, &fields, c);
		d->columns = fields.items;
		d->column_count = 1;
		return TM_OK;
	}
	if (take_word(p, "alter")) {
		struct cql_raw_type *unused;
		struct tm_str name;
		d->alter = CQL_ALTER_TYPE_OF;
		TM_TRY(parse_name(p, &name));
		TM_TRY(need_word(p, "type"));
		return parse_type(p, &unused);
	}
	if (take_word(p, "rename"))
		return parse_renames(p, d);
	return no_viable(p);
}

static tm_rc parse_drop(struct parser *p, struct cql_ddl *d, const struct cql_token *start)
{
	if (take_word(p, "keyspace") || take_word(p, "schema")) {
		d->kind = CQL_DROP_KEYSPACE;
		TM_TRY(parse_if(p, false, &d->if_exists));
		return parse_name(p, &d->name.name);
	}
	static const struct {
		const char *word;
		enum cql_ddl_kind kind;
	} kinds[] = {
	    {"table", CQL_DROP_TABLE},
	    {"columnfamily", CQL_DROP_TABLE},
	    {"type", CQL_DROP_TYPE},
	    {"index", CQL_DROP_INDEX},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (take_word(p, kinds[i].word)) {
			d->kind = kinds[i].kind;
			TM_TRY(parse_if(p, false, &d->if_exists));
			return parse_table_name(p, &d->name);
		}
	if (take_word(p, "materialized")) {
		TM_TRY(need_word(p, "view"));
		TM_TRY(parse_if(p, false, &d->if_exists));
		TM_TRY(parse_table_name(p, &d->name));
		d->kind = CQL_REFUSED;
		d->refused_code = d->if_exists ? 0 : 0x2200;
		d->refused = tm_arena_printf(p->arena, "Materialized view '%.*s%s%.*s' doesn't exist", TM_STR_ARG(d->name.keyspace),
					     d->name.has_keyspace ? "." : "", TM_STR_ARG(d->name.name));
		return TM_OK;
	}
	if (is_word(p, "function") || is_word(p, "aggregate")) {
		const char *what = is_word(p, "function") ? "Function" : "Aggregate";
		advance(p);
		TM_TRY(parse_if(p, false, &d->if_exists));
		TM_TRY(parse_table_name(p, &d->name));
		struct tm_str name = d->name.name;
		TM_TRY(refuse(p, d, d->if_exists ? 0 : 0x2200, ""));
		d->refused = tm_arena_printf(p->arena, "%s '%.*s' doesn't exist", what, TM_STR_ARG(name));
		return TM_OK;
	}
	if (is_word(p, "role") || is_word(p, "user") || is_word(p, "identity"))
		return refuse_role(p, d);
	if (is_word(p, "trigger"))
		return refuse(p, d, 0x2200, "Triggers are not supported");
	return no_viable_at(p, start);
}

tm_rc parse_ddl(struct parser *p, struct cql_statement *s)
{
	s->kind = CQL_S_DDL;
	struct cql_ddl *d = &s->ddl;
	const struct cql_token *start = cur(p);
	if (take_word(p, "create"))
		return parse_create(p, d, start);
	if (take_word(p, "drop"))
		return parse_drop(p, d, start);
	if (take_word(p, "use")) {
		d->kind = CQL_USE;
		return parse_name(p, &d->name.name);
	}
	if (take_word(p, "truncate")) {
		d->kind = CQL_TRUNCATE;
		if (is_word(p, "table") || is_word(p, "columnfamily"))
			advance(p);
		return parse_table_name(p, &d->name);
	}
	if (take_word(p, "alter")) {
		if (take_word(p, "table") || take_word(p, "columnfamily"))
			return parse_alter_table(p, d);
		if (take_word(p, "type"))
			return parse_alter_type(p, d);
		if (take_word(p, "keyspace") || take_word(p, "schema")) {
			d->kind = CQL_ALTER_KEYSPACE;
			TM_TRY(parse_if(p, false, &d->if_exists));
			TM_TRY(parse_name(p, &d->name.name));
			TM_TRY(need_word(p, "with"));
			return parse_properties(p, &d->properties);
		}
		if (is_word(p, "materialized"))
			return refuse(p, d, 0x2200, "Materialized views are disabled. Enable in cassandra.yaml to use.");
		if (is_word(p, "role") || is_word(p, "user"))
			return refuse_role(p, d);
		return no_viable_at(p, start);
	}
	static const char *const rights[] = {"grant", "revoke", "list", "add"};
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
		if (is_word(p, rights[i]) && ahead(p, 1)->kind == CQL_T_NAME)
			return refuse_role(p, d);
	return no_viable(p);
}

tm_rc parse_describe(struct parser *p, struct cql_statement *s)
{
	static const struct {
		const char *word;
		enum cql_describe_what what;
	} lists[] = {
	    {"cluster", CQL_DESC_CLUSTER},       {"schema", CQL_DESC_SCHEMA}, {"keyspaces", CQL_DESC_KEYSPACES},
	    {"tables", CQL_DESC_TABLES},         {"types", CQL_DESC_TYPES},   {"functions", CQL_DESC_FUNCTIONS},
	    {"aggregates", CQL_DESC_AGGREGATES},
	};
	static const struct {
		const char *word;
		enum cql_describe_what what;
	} things[] = {
	    {"table", CQL_DESC_TABLE}, {"columnfamily", CQL_DESC_TABLE}, {"index", CQL_DESC_INDEX},
	    {"type", CQL_DESC_TYPE},   {"function", CQL_DESC_FUNCTION},  {"aggregate", CQL_DESC_AGGREGATE},
	};
	s->kind = CQL_S_DESCRIBE;
	struct cql_describe *d = &s->describe;
	advance(p);
	d->what = CQL_DESC_ANY;
	bool found = false;
	if (is_word(p, "full") && tm_str_is(ahead(p, 1)->text, "schema")) {
		advance(p);
		d->full = true;
	}
	if (is_word(p, "only") && tm_str_is(ahead(p, 1)->text, "keyspace")) {
		advance(p);
		d->only = true;
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists && !found; i++)
		if (take_word(p, lists[i].word)) {
			d->what = lists[i].what;
			found = true;
		}
	if (!found && take_word(p, "keyspace")) {
		d->what = CQL_DESC_KEYSPACE;
		found = true;
		if (is_name(p)) {
			d->has_name = true;
			TM_TRY(parse_name(p, &d->name.name));
		}
	}
	for (size_t i = 0; i < sizeof things / sizeof *things && !found; i++)
		if (is_word(p, things[i].word)) {
			advance(p);
			d->what = things[i].what;
			found = d->has_name = true;
			TM_TRY(parse_table_name(p, &d->name));
		}
	if (!found && take_word(p, "materialized")) {
		TM_TRY(need_word(p, "view"));
		d->what = CQL_DESC_VIEW;
		found = d->has_name = true;
		TM_TRY(parse_table_name(p, &d->name));
	}
	if (!found) {
		d->has_name = true;
		TM_TRY(parse_table_name(p, &d->name));
	}
	if (take_word(p, "with")) {
		TM_TRY(need_word(p, "internals"));
		d->internals = true;
	}
	return TM_OK;
}
