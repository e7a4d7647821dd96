/* DESCRIBE: the rows Cassandra 5.0's server gives to cqlsh, with CREATE statements in its exact text. */
#include "cql/describe.h"
#include <stdlib.h>
#include "cql/cql_int.h"

static void put_map(const struct tm_map *m, struct tm_buf *out)
{
	tm_buf_char(out, '{');
	for (size_t i = 0; i < m->count; i++) {
		tm_buf_printf(out, "%s'%.*s': '%.*s'", i ? ", " : "", TM_STR_ARG(m->entries[i].key), TM_STR_ARG(m->entries[i].value));
	}
	tm_buf_char(out, '}');
}

static void put_literal(struct tm_str s, struct tm_buf *out)
{
	tm_buf_char(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\'')
			tm_buf_char(out, '\'');
		tm_buf_char(out, s.at[i]);
	}
	tm_buf_char(out, '\'');
}

static void put_params(const struct tm_table_params *p, struct tm_buf *out)
{
	const char *and = "\n    AND ";
	struct tm_buf d = {0};
	tm_buf_cstr_put(out, "additional_write_policy = ");
	put_literal(p->additional_write_policy, out);
	tm_buf_printf(out, "%sallow_auto_snapshot = %s", and, p->allow_auto_snapshot ? "true" : "false");
	cql_double_text(p->bloom_filter_fp_chance, false, &d);
	tm_buf_printf(out, "%sbloom_filter_fp_chance = %s%scaching = ", and, tm_buf_cstr(&d), and);
	put_map(&p->caching, out);
	tm_buf_printf(out, "%scdc = %s%scomment = ", and, p->cdc ? "true" : "false", and);
	put_literal(p->comment, out);
	tm_buf_printf(out, "%scompaction = ", and);
	put_map(&p->compaction, out);
	tm_buf_printf(out, "%scompression = ", and);
	put_map(&p->compression, out);
	d.len = 0;
	cql_double_text(p->crc_check_chance, false, &d);
	tm_buf_printf(out, "%smemtable = '%.*s'%scrc_check_chance = %s", and, TM_STR_ARG(p->memtable), and, tm_buf_cstr(&d));
	tm_buf_printf(out, "%sdefault_time_to_live = %d%sextensions = ", and, p->default_time_to_live, and);
	put_map(&p->extensions, out);
	tm_buf_printf(out, "%sgc_grace_seconds = %d%sincremental_backups = %s", and, p->gc_grace_seconds, and,
		      p->incremental_backups ? "true" : "false");
	tm_buf_printf(out, "%smax_index_interval = %d%smemtable_flush_period_in_ms = %d", and, p->max_index_interval, and,
		      p->memtable_flush_period_in_ms);
	tm_buf_printf(out, "%smin_index_interval = %d%sread_repair = '%.*s'", and, p->min_index_interval, and, TM_STR_ARG(p->read_repair));
	tm_buf_printf(out, "%sspeculative_retry = '%.*s'", and, TM_STR_ARG(p->speculative_retry));
	tm_buf_done(&d);
}

static void put_column(const struct tm_table_column *c, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "    ");
	tm_type_name_text(c->name, out);
	tm_buf_char(out, ' ');
	tm_table_type_text(tm_type_reversed(c->type, false), out);
	if (c->kind == TM_COLUMN_STATIC)
		tm_buf_cstr_put(out, " static");
}

static void put_names(const struct tm_table_column *c, size_t n, struct tm_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			tm_buf_cstr_put(out, ", ");
		tm_type_name_text(c[i].name, out);
	}
}

void cql_describe_table(const struct tm_table *t, bool internals, struct tm_buf *out)
{
	const struct tm_table_def *def = &t->def;
	size_t pk = def->partition_key_count, keys = pk + def->clustering_count;
	bool single = keys == 1;
	tm_buf_cstr_put(out, "CREATE TABLE ");
	tm_type_name_text(def->keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(def->name, out);
	tm_buf_cstr_put(out, " (\n");
	for (size_t i = 0; i < keys; i++) {
		put_column(&def->columns[i], out);
		tm_buf_cstr_put(out, single ? " PRIMARY KEY" : ",\n");
	}
	/* static ones first, then regular; collections and unfrozen types behind the simple ones */
	bool first = single;
	for (int pass = 0; pass < 4; pass++)
		for (size_t i = keys; i < def->column_count; i++)
			if ((def->columns[i].kind == TM_COLUMN_STATIC) == (pass < 2) &&
			    tm_type_is_multicell(def->columns[i].type) == (pass % 2 == 1)) {
				tm_buf_cstr_put(out, first ? ",\n" : "");
				put_column(&def->columns[i], out);
				tm_buf_cstr_put(out, single ? "" : ",\n");
				first = single;
			}
	if (single) {
		tm_buf_char(out, '\n');
	} else {
		tm_buf_cstr_put(out, "    PRIMARY KEY (");
		if (pk > 1)
			tm_buf_char(out, '(');
		put_names(def->columns, pk, out);
		if (pk > 1)
			tm_buf_char(out, ')');
		if (def->clustering_count)
			tm_buf_cstr_put(out, ", ");
		put_names(def->columns + pk, def->clustering_count, out);
		tm_buf_cstr_put(out, ")\n");
	}
	tm_buf_cstr_put(out, ") WITH ");
	if (internals) {
		struct tm_buf id = {0};
		tm_cql_value_text(tm_type_native(TM_CQL_UUID), tm_str_n((const char *)def->id, 16), &id);
		tm_buf_printf(out, "ID = %s\n    AND ", tm_buf_cstr(&id));
		tm_buf_done(&id);
	}
	if (def->clustering_count) {
		tm_buf_cstr_put(out, "CLUSTERING ORDER BY (");
		for (size_t i = pk; i < keys; i++) {
			if (i > pk)
				tm_buf_cstr_put(out, ", ");
			tm_type_name_text(def->columns[i].name, out);
			tm_buf_cstr_put(out, def->columns[i].type->reversed ? " DESC" : " ASC");
		}
		tm_buf_cstr_put(out, ")\n    AND ");
	}
	put_params(&t->params, out);
	tm_buf_char(out, ';');
}

void cql_describe_index(const struct tm_table *t, const struct tm_index *x, struct tm_buf *out)
{
	tm_buf_cstr_put(out, x->custom ? "CREATE CUSTOM INDEX " : "CREATE INDEX ");
	tm_type_name_text(x->name, out);
	tm_buf_cstr_put(out, " ON ");
	tm_type_name_text(t->def.keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(t->def.name, out);
	tm_buf_printf(out, " (%.*s)", TM_STR_ARG(x->target));
	if (x->custom) {
		tm_buf_printf(out, " USING '%.*s'", TM_STR_ARG(x->class_name));
		if (x->options.count) {
			tm_buf_cstr_put(out, " WITH OPTIONS = ");
			put_map(&x->options, out);
		}
	}
	tm_buf_char(out, ';');
}

void cql_describe_type(const struct tm_cql_type *t, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "CREATE TYPE ");
	tm_type_name_text(t->keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(t->name, out);
	tm_buf_cstr_put(out, " (\n");
	for (size_t i = 0; i < t->arg_count; i++) {
		tm_buf_cstr_put(out, i ? ",\n    " : "    ");
		tm_type_name_text(t->field_names[i], out);
		tm_buf_char(out, ' ');
		tm_table_type_text(t->args[i], out);
	}
	tm_buf_cstr_put(out, "\n);");
}

void cql_describe_keyspace(const struct tm_keyspace *ks, struct tm_buf *out)
{
	static const char prefix[] = "org.apache.cassandra.locator.";
	tm_buf_cstr_put(out, "CREATE KEYSPACE ");
	tm_type_name_text(ks->name, out);
	tm_buf_cstr_put(out, " WITH replication = {");
	for (size_t i = 0; i < ks->replication.count; i++) {
		struct tm_str v = ks->replication.entries[i].value;
		if (tm_str_starts(v, tm_str_of(prefix)))
			v = tm_str_slice(v, sizeof prefix - 1, v.len);
		tm_buf_printf(out, "%s'%.*s': '%.*s'", i ? ", " : "", TM_STR_ARG(ks->replication.entries[i].key), TM_STR_ARG(v));
	}
	tm_buf_printf(out, "}  AND durable_writes = %s;", ks->durable_writes ? "true" : "false");
}

/* ---- rows ---- */
struct out {
	struct cql_run *run;
	size_t cap;
	const struct cql_describe *d;
	const struct tm_schema *schema;
	struct tm_err *err;
};

static void columns(struct out *o, const char *const *names, size_t count)
{
	struct tm_cql_result *r = o->run->result;
	r->kind = TM_CQL_ROWS;
	r->column_count = count;
	r->columns = TM_NEW_N(o->run->arena, struct tm_cql_column_spec, count);
	for (size_t i = 0; i < count; i++)
		r->columns[i] =
		    (struct tm_cql_column_spec){TM_STR("system"), TM_STR("describe"), tm_str_of(names[i]), tm_type_native(TM_CQL_VARCHAR)};
}

static void name_columns(struct out *o, bool statement)
{
	static const char *const names[] = {"keyspace_name", "type", "name", "create_statement"};
	columns(o, names, statement ? 4 : 3);
}

static void row(struct out *o, struct tm_str ks, const char *type, struct tm_str name, struct tm_buf *statement)
{
	struct tm_cql_value *v = cql_result_row(o->run, &o->cap);
	struct tm_buf a = {0}, b = {0};
	tm_type_name_text(ks, &a);
	tm_type_name_text(name, &b);
	v[0] = (struct tm_cql_value){.bytes = tm_arena_str(o->run->arena, tm_buf_str(&a))};
	v[1] = (struct tm_cql_value){.bytes = tm_str_of(type)};
	v[2] = (struct tm_cql_value){.bytes = tm_arena_str(o->run->arena, tm_buf_str(&b))};
	if (o->run->result->column_count == 4)
		v[3] =
		    (struct tm_cql_value){.bytes = statement ? tm_arena_str(o->run->arena, tm_buf_str(statement)) : (struct tm_str){"", 0}};
	tm_buf_done(&a);
	tm_buf_done(&b);
	if (statement)
		tm_buf_done(statement);
}

static void table_rows(struct out *o, const struct tm_table *t)
{
	struct tm_buf b = {0};
	cql_describe_table(t, o->d->internals, &b);
	row(o, t->def.keyspace, "table", t->def.name, &b);
	for (size_t i = 0; i < t->index_count; i++) {
		struct tm_buf x = {0};
		cql_describe_index(t, &t->indexes[i], &x);
		row(o, t->def.keyspace, "index", t->indexes[i].name, &x);
	}
}

static void type_row(struct out *o, const struct tm_cql_type *t)
{
	struct tm_buf b = {0};
	cql_describe_type(t, &b);
	row(o, t->keyspace, "type", t->name, &b);
}

static void keyspace_rows(struct out *o, const struct tm_keyspace *ks)
{
	struct tm_buf b = {0};
	cql_describe_keyspace(ks, &b);
	row(o, ks->name, "keyspace", ks->name, &b);
	if (o->d->only)
		return;
	/* a type stands before those that use it */
	bool *done = TM_NEW_N(o->run->arena, bool, ks->type_count + 1);
	for (size_t given = 0; given < ks->type_count;)
		for (size_t i = 0; i < ks->type_count; i++) {
			bool ready = !done[i];
			for (size_t j = 0; ready && j < ks->type_count; j++)
				ready = done[j] || i == j || !tm_type_mentions_udt(ks->types[i], ks->name, ks->types[j]->name);
			if (ready) {
				type_row(o, ks->types[i]);
				done[i] = true;
				given++;
			}
		}
	for (size_t i = 0; i < ks->table_count; i++)
		table_rows(o, ks->tables[i]);
}

struct virtual_walk {
	struct out *o;
	struct tm_str keyspace, last;
	bool found;
};

static void virtual_table(void *ctx, const struct tm_table *t, bool stored_look)
{
	struct virtual_walk *w = ctx;
	(void)stored_look;
	if (!tm_str_eq(t->def.keyspace, w->keyspace))
		return;
	w->found = true;
	if (w->o->d->what == CQL_DESC_TABLES)
		row(w->o, t->def.keyspace, "table", t->def.name, NULL);
	else if (w->o->run->result->column_count == 4)
		table_rows(w->o, t);
}

static void virtual_keyspace(void *ctx, const struct tm_table *t, bool stored_look)
{
	struct virtual_walk *w = ctx;
	(void)stored_look;
	if (tm_str_eq(t->def.keyspace, w->last))
		return;
	struct tm_cql_result *r = w->o->run->result;
	for (size_t i = 0; i < r->row_count; i++)
		if (tm_str_eq(r->values[i * r->column_count].bytes, t->def.keyspace))
			return;
	w->last = t->def.keyspace;
	row(w->o, t->def.keyspace, "keyspace", t->def.keyspace, NULL);
}

static tm_rc cluster(struct out *o)
{
	static const char *const names[] = {"cluster", "partitioner", "snitch", "range_ownership"};
	bool keyspace = o->run->session->keyspace.len > 0;
	columns(o, names, keyspace ? 4 : 3);
	struct tm_cql_value *v = cql_result_row(o->run, &o->cap);
	v[0] = (struct tm_cql_value){.bytes = TM_STR("Test Cluster")};
	v[1] = (struct tm_cql_value){.bytes = TM_STR("Murmur3Partitioner")};
	v[2] = (struct tm_cql_value){.bytes = TM_STR("DynamicEndpointSnitch")};
	if (keyspace) {
		const struct tm_cql_type *text = tm_type_native(TM_CQL_VARCHAR), *list = tm_type_list(text, false);
		o->run->result->columns[3].type = tm_table_type_map(text, list, false);
		struct tm_str node = TM_STR("127.0.0.1:7000"), pair[2] = {TM_STR("0"), {0}};
		pair[1] = cql_pack_items(o->run->arena, list, &node, 1);
		v[3] = (struct tm_cql_value){.bytes = cql_pack_items(o->run->arena, o->run->result->columns[3].type, pair, 2)};
	}
	return TM_OK;
}

static tm_rc need_keyspace(struct out *o, struct tm_str *ret)
{
	const struct cql_name *n = &o->d->name;
	*ret = n->has_keyspace ? n->keyspace : o->run->session->keyspace;
	if (!ret->len)
		return cql_fail(o->err, CQL_CODE_INVALID, "No keyspace specified and no current keyspace");
	bool unused;
	if (!tm_schema_keyspace(o->schema, *ret) && !cql_virtual_keyspace(o->run->session->store, *ret, &unused))
		return cql_fail(o->err, CQL_CODE_INVALID, "'%.*s' not found in keyspaces", TM_STR_ARG(*ret));
	return TM_OK;
}

static bool describe_keyspace(struct out *o, struct tm_str name)
{
	const struct tm_keyspace *ks = tm_schema_keyspace(o->schema, name);
	if (ks) {
		name_columns(o, true);
		keyspace_rows(o, ks);
		return true;
	}
	bool stored;
	if (!cql_virtual_keyspace(o->run->session->store, name, &stored))
		return false;
	name_columns(o, true);
	struct tm_buf b = {0};
	if (stored)
		tm_buf_printf(&b, "CREATE KEYSPACE %.*s WITH replication = {'class': 'LocalStrategy'}  AND durable_writes = true;",
			      TM_STR_ARG(name));
	else
		tm_buf_printf(&b,
			      "/*\nWarning: Keyspace %.*s is a virtual keyspace and cannot be recreated with CQL.\nStructure, for "
			      "reference:\nVIRTUAL KEYSPACE %.*s;\n*/",
			      TM_STR_ARG(name), TM_STR_ARG(name));
	row(o, name, "keyspace", name, &b);
	struct virtual_walk w = {.o = o, .keyspace = name};
	if (!o->d->only)
		cql_virtual_each(o->run->session->store, virtual_table, &w);
	return true;
}

static bool describe_in(struct out *o, struct tm_str ks_name, struct tm_str name, enum cql_describe_what what)
{
	const struct tm_keyspace *ks = tm_schema_keyspace(o->schema, ks_name);
	name_columns(o, true);
	if (what == CQL_DESC_TABLE || what == CQL_DESC_ANY) {
		const struct tm_table *t = ks ? tm_keyspace_table(ks, name) : NULL;
		if (!t)
			t = (const struct tm_table *)cql_virtual_table(o->run->session->store, ks_name, name);
		if (t) {
			table_rows(o, t);
			return true;
		}
	}
	if (ks && (what == CQL_DESC_TYPE || what == CQL_DESC_ANY)) {
		const struct tm_cql_type *t = tm_keyspace_type(ks, name);
		if (t) {
			type_row(o, t);
			return true;
		}
	}
	for (size_t i = 0; ks && (what == CQL_DESC_INDEX || what == CQL_DESC_ANY) && i < ks->table_count; i++)
		for (size_t j = 0; j < ks->tables[i]->index_count; j++)
			if (tm_str_eq(ks->tables[i]->indexes[j].name, name)) {
				struct tm_buf x = {0};
				cql_describe_index(ks->tables[i], &ks->tables[i]->indexes[j], &x);
				row(o, ks_name, "index", name, &x);
				return true;
			}
	return false;
}

static tm_rc list(struct out *o)
{
	enum cql_describe_what what = o->d->what;
	const struct tm_schema *s = o->schema;
	name_columns(o, false);
	struct tm_str only = o->run->session->keyspace;
	for (size_t i = 0; i < s->keyspace_count; i++) {
		const struct tm_keyspace *ks = &s->keyspaces[i];
		if (what == CQL_DESC_KEYSPACES) {
			row(o, ks->name, "keyspace", ks->name, NULL);
			continue;
		}
		if (only.len && !tm_str_eq(only, ks->name))
			continue;
		for (size_t j = 0; what == CQL_DESC_TABLES && j < ks->table_count; j++)
			row(o, ks->name, "table", ks->tables[j]->def.name, NULL);
		for (size_t j = 0; what == CQL_DESC_TYPES && j < ks->type_count; j++)
			row(o, ks->name, "type", ks->types[j]->name, NULL);
	}
	struct virtual_walk w = {.o = o, .keyspace = only};
	if (what == CQL_DESC_KEYSPACES)
		cql_virtual_each(o->run->session->store, virtual_keyspace, &w);
	else if (what == CQL_DESC_TABLES && only.len && !tm_schema_keyspace(s, only))
		cql_virtual_each(o->run->session->store, virtual_table, &w);
	return TM_OK;
}

static tm_rc describe(struct out *o)
{
	const struct cql_describe *d = o->d;
	struct tm_str ks, name = d->name.name;
	switch (d->what) {
	case CQL_DESC_CLUSTER:
		return cluster(o);
	case CQL_DESC_KEYSPACES:
	case CQL_DESC_TABLES:
	case CQL_DESC_TYPES:
	case CQL_DESC_FUNCTIONS:
	case CQL_DESC_AGGREGATES:
		return list(o);
	case CQL_DESC_SCHEMA:
		name_columns(o, true);
		for (size_t i = 0; i < o->schema->keyspace_count; i++)
			keyspace_rows(o, &o->schema->keyspaces[i]);
		return TM_OK;
	case CQL_DESC_KEYSPACE:
		if (!d->has_name)
			name = o->run->session->keyspace;
		if (!name.len)
			return cql_fail(o->err, CQL_CODE_INVALID, "No keyspace specified and no current keyspace");
		return describe_keyspace(o, name) ? TM_OK
						  : cql_fail(o->err, CQL_CODE_INVALID, "'%.*s' not found in keyspaces", TM_STR_ARG(name));
	case CQL_DESC_ANY:
		if (!d->name.has_keyspace && describe_keyspace(o, name))
			return TM_OK;
		if (!d->name.has_keyspace && !o->run->session->keyspace.len)
			return cql_fail(o->err, CQL_CODE_INVALID, "'%.*s' not found in keyspaces", TM_STR_ARG(name));
		TM_TRY(need_keyspace(o, &ks));
		return describe_in(o, ks, name, CQL_DESC_ANY)
			   ? TM_OK
			   : cql_fail(o->err, CQL_CODE_INVALID, "'%.*s' not found in keyspace '%.*s'", TM_STR_ARG(name), TM_STR_ARG(ks));
	default:
		break;
	}
	TM_TRY(need_keyspace(o, &ks));
	if (describe_in(o, ks, name, d->what))
		return TM_OK;
	if (d->what == CQL_DESC_TABLE)
		return cql_fail(o->err, CQL_CODE_INVALID, "Table '%.*s' not found in keyspace '%.*s'", TM_STR_ARG(name), TM_STR_ARG(ks));
	if (d->what == CQL_DESC_INDEX)
		return cql_fail(o->err, CQL_CODE_INVALID, "Table for existing index '%.*s' not found in '%.*s'", TM_STR_ARG(name),
				TM_STR_ARG(ks));
	return cql_fail(o->err, CQL_CODE_INVALID, "%s '%.*s' not found in '%.*s'",
			d->what == CQL_DESC_TYPE        ? "User defined type"
			: d->what == CQL_DESC_FUNCTION  ? "User defined function"
			: d->what == CQL_DESC_AGGREGATE ? "User defined aggregate"
							: "Materialized view",
			TM_STR_ARG(name), TM_STR_ARG(ks));
}

tm_rc cql_describe_run(struct cql_run *run, const struct cql_describe *d, struct tm_err *err)
{
	const struct tm_schema *schema = tm_store_schema(run->session->store);
	struct out o = {.run = run, .d = d, .schema = schema, .err = err};
	tm_rc rc = describe(&o);
	if (rc != TM_OK)
		run->result->row_count = 0;
	tm_schema_unref(run->session->store, schema);
	return rc;
}
