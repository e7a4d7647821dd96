/* CREATE and ALTER TABLE, CREATE and DROP INDEX. */
#include <stdlib.h>
#include "cql/ddl.h"

static const struct tm_table *table_of(const struct tm_schema *schema, struct tm_str ks, struct tm_str name)
{
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	return k ? tm_keyspace_table(k, name) : NULL;
}

static const struct cql_column_def *column_named(const struct cql_ddl *d, struct tm_str name)
{
	for (size_t i = 0; i < d->column_count; i++)
		if (tm_str_eq(d->columns[i].name, name))
			return &d->columns[i];
	return NULL;
}

static tm_rc check_type(const struct tm_cql_type *t, struct tm_err *err)
{
	if (t->kind == TM_CQL_UDT && !t->frozen)
		for (size_t i = 0; i < t->arg_count; i++)
			if (tm_type_is_multicell(t->args[i]) && tm_type_is_collection(t->args[i]))
				return cql_fail(err, CQL_CODE_INVALID,
						"Non-frozen UDTs with nested non-frozen collections are not supported");
	return TM_OK;
}

static tm_rc key_column(struct cql_run *run, const struct cql_ddl *d, struct tm_str name, const struct tm_cql_type *t, struct tm_err *err)
{
	const struct cql_column_def *c = column_named(d, name);
	if (c->is_static)
		return cql_fail(err, CQL_CODE_INVALID, "Static column '%.*s' cannot be part of the PRIMARY KEY", TM_STR_ARG(name));
	struct tm_buf b = {0};
	tm_table_type_text(t, &b);
	const char *text = tm_arena_cstr(run->arena, tm_buf_str(&b));
	tm_buf_done(&b);
	if (t->kind == TM_CQL_COUNTER)
		return cql_fail(err, CQL_CODE_INVALID, "counter type is not supported for PRIMARY KEY column '%.*s'", TM_STR_ARG(name));
	if (tm_type_is_multicell(t))
		return cql_fail(err, CQL_CODE_INVALID, "Invalid non-frozen %s type %s for PRIMARY KEY column '%.*s'",
				t->kind == TM_CQL_UDT ? "user-defined" : "collection",
				t->kind == TM_CQL_UDT ? tm_arena_printf(run->arena, "\"%.*s.%s\"", TM_STR_ARG(t->keyspace), text).at : text,
				TM_STR_ARG(name));
	if (tm_type_mentions(t, TM_CQL_DURATION))
		return cql_fail(err, CQL_CODE_INVALID, "duration type is not supported for PRIMARY KEY column '%.*s'", TM_STR_ARG(name));
	return TM_OK;
}

static tm_rc check_order(const struct cql_ddl *d, struct tm_err *err)
{
	for (size_t i = 0; i < d->order_count; i++) {
		size_t at = 0;
		while (at < d->clustering_count && !tm_str_eq(d->clustering[at], d->order_columns[i]))
			at++;
		if (at == d->clustering_count)
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Only clustering key columns can be defined in CLUSTERING ORDER directive: [%.*s] are not clustering columns",
			    TM_STR_ARG(d->order_columns[i]));
	}
	for (size_t i = 0; i < d->order_count; i++) {
		bool later = false;
		for (size_t j = 0; j < d->order_count; j++)
			later |= i < d->clustering_count && tm_str_eq(d->order_columns[j], d->clustering[i]);
		if (i < d->clustering_count && !tm_str_eq(d->order_columns[i], d->clustering[i]))
			return later ? cql_fail(err, CQL_CODE_INVALID,
						"The order of columns in the CLUSTERING ORDER directive must match that of the clustering "
						"columns (%.*s must appear before %.*s)",
						TM_STR_ARG(d->clustering[i]), TM_STR_ARG(d->order_columns[i]))
				     : cql_fail(err, CQL_CODE_INVALID, "Missing CLUSTERING ORDER for column %.*s",
						TM_STR_ARG(d->clustering[i]));
	}
	return TM_OK;
}

static tm_rc primary_key(struct cql_run *run, struct cql_ddl *d, const struct tm_cql_type **types, struct tm_err *err)
{
	struct tm_str table = d->name.name;
	if (d->primary_count == 0)
		return cql_fail(err, CQL_CODE_INVALID, "No PRIMARY KEY specifed for table '%.*s' (exactly one required)",
				TM_STR_ARG(table));
	if (d->primary_count > 1)
		return cql_fail(err, CQL_CODE_INVALID, "Multiple PRIMARY KEY specified for table '%.*s' (exactly one required)",
				TM_STR_ARG(table));
	if (!d->has_primary_clause)
		for (size_t i = 0; i < d->column_count; i++)
			if (d->columns[i].primary) {
				d->partition = &d->columns[i].name;
				d->partition_count = 1;
			}
	for (size_t i = 0; i < d->partition_count + d->clustering_count; i++) {
		struct tm_str name = i < d->partition_count ? d->partition[i] : d->clustering[i - d->partition_count];
		const struct cql_column_def *c = column_named(d, name);
		if (!c)
			return cql_fail(err, CQL_CODE_INVALID, "Unknown column '%.*s' referenced in PRIMARY KEY for table '%.*s'",
					TM_STR_ARG(name), TM_STR_ARG(table));
		for (size_t j = 0; j < i; j++)
			if (tm_str_eq(name, j < d->partition_count ? d->partition[j] : d->clustering[j - d->partition_count]))
				return cql_fail(err, CQL_CODE_INVALID, "Duplicate column '%.*s' in PRIMARY KEY clause for table '%.*s'",
						TM_STR_ARG(name), TM_STR_ARG(table));
		TM_TRY(key_column(run, d, name, types[c - d->columns], err));
	}
	return TM_OK;
}

static tm_rc make_columns(struct cql_run *run, const struct cql_ddl *d, const struct tm_cql_type **types, struct tm_table *spec,
			  struct tm_err *err)
{
	struct tm_table_column *columns = TM_NEW_N(run->arena, struct tm_table_column, d->column_count);
	size_t counters = 0, others = 0;
	for (size_t i = 0; i < d->column_count; i++) {
		struct tm_str name = d->columns[i].name;
		columns[i] = (struct tm_table_column){
		    .name = name, .kind = d->columns[i].is_static ? TM_COLUMN_STATIC : TM_COLUMN_REGULAR, .type = types[i]};
		for (size_t k = 0; k < d->partition_count; k++)
			if (tm_str_eq(d->partition[k], name)) {
				columns[i].kind = TM_COLUMN_PARTITION_KEY;
				columns[i].position = k;
			}
		for (size_t k = 0; k < d->clustering_count; k++)
			if (tm_str_eq(d->clustering[k], name)) {
				columns[i].kind = TM_COLUMN_CLUSTERING;
				columns[i].position = k;
				for (size_t o = 0; o < d->order_count; o++)
					if (tm_str_eq(d->order_columns[o], name) && d->order_desc[o])
						columns[i].type = tm_type_reversed(types[i], true);
			}
		if (columns[i].kind == TM_COLUMN_STATIC || columns[i].kind == TM_COLUMN_REGULAR) {
			counters += types[i]->kind == TM_CQL_COUNTER;
			others += types[i]->kind != TM_CQL_COUNTER;
		}
		if (columns[i].kind == TM_COLUMN_STATIC && !d->clustering_count)
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Static columns are only useful (and thus allowed) if the table has at least one clustering column");
	}
	if (counters && others)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot mix counter and non counter columns in the same table");
	spec->def.columns = columns;
	spec->def.column_count = d->column_count;
	if (counters && spec->params.default_time_to_live)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot set default_time_to_live on a table with counters");
	return TM_OK;
}

tm_rc cql_create_table(struct cql_run *run, const struct cql_ddl *given, const struct tm_schema *schema, struct tm_err *err)
{
	struct cql_ddl copy = *given, *d = &copy;
	struct tm_str ks;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	if (cql_is_system_keyspace(ks))
		return cql_fail(err, CQL_CODE_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.", TM_STR_ARG(ks));
	for (size_t i = 0; i < d->column_count; i++)
		if (d->columns[i].masked)
			return cql_fail(err, CQL_CODE_INVALID,
					"Cannot mask columns because dynamic data masking is not enabled. You can enable it with the "
					"dynamic_data_masking_enabled property on cassandra.yaml");
	if (!tm_schema_keyspace(schema, ks))
		return cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' doesn't exist", TM_STR_ARG(ks));
	if (table_of(schema, ks, d->name.name)) {
		if (d->if_not_exists)
			return TM_OK;
		tm_rc rc = cql_fail(err, CQL_CODE_EXISTS, "Cannot add already existing table \"%.*s\" to keyspace \"%.*s\"",
				    TM_STR_ARG(d->name.name), TM_STR_ARG(ks));
		tm_err_detail(err, "%.*s %.*s", TM_STR_ARG(ks), TM_STR_ARG(d->name.name));
		return rc;
	}
	struct cql_scope s = cql_ddl_scope(run, schema, err);
	struct tm_table spec = {.def = {.keyspace = ks, .name = d->name.name}, .params = tm_table_params_default};
	for (size_t i = 0; i < d->column_count; i++)
		for (size_t j = 0; j < i; j++)
			if (tm_str_eq(d->columns[i].name, d->columns[j].name))
				return cql_fail(err, CQL_CODE_INVALID, "Duplicate column '%.*s' declaration for table '%.*s'",
						TM_STR_ARG(d->columns[i].name), TM_STR_ARG(d->name.name));
	TM_TRY(cql_table_options(run->arena, &d->properties, &spec.params, spec.def.id, err));
	const struct tm_cql_type **types = TM_NEW_N(run->arena, const struct tm_cql_type *, d->column_count + 1);
	for (size_t i = 0; i < d->column_count; i++) {
		TM_TRY(cql_resolve_type(&s, d->columns[i].type, ks, &types[i]));
		TM_TRY(check_type(types[i], err));
	}
	TM_TRY(primary_key(run, d, types, err));
	TM_TRY(check_order(d, err));
	for (size_t i = 0; i < d->name.name.len; i++) {
		char c = d->name.name.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
			return cql_fail(
			    err, CQL_CODE_CONFIG,
			    "%.*s.%.*s: Table name must not be empty or not contain non-alphanumeric-underscore characters (got \"%.*s\")",
			    TM_STR_ARG(ks), TM_STR_ARG(d->name.name), TM_STR_ARG(d->name.name));
	}
	TM_TRY(make_columns(run, d, types, &spec, err));
	TM_TRY(tm_store_table_put(run->session->store, &spec, err));
	return cql_ddl_changed(run, "CREATED", "TABLE", ks, d->name.name);
}

/* ---- ALTER TABLE ---- */
static tm_rc add_columns(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_table *spec,
			 struct tm_err *err)
{
	struct cql_scope s = cql_ddl_scope(run, schema, err);
	size_t n = spec->def.column_count;
	struct tm_table_column *columns = TM_NEW_N(run->arena, struct tm_table_column, n + d->column_count);
	uint32_t *ids = TM_NEW_N(run->arena, uint32_t, n + d->column_count);
	tm_copy(columns, spec->def.columns, n * sizeof *columns);
	tm_copy(ids, spec->column_id, n * sizeof *ids);
	for (size_t i = 0; i < d->column_count; i++) {
		const struct cql_column_def *c = &d->columns[i];
		const struct tm_cql_type *t;
		struct tm_str name = c->name;
		bool there = false;
		for (size_t j = 0; j < n; j++)
			there |= tm_str_eq(columns[j].name, name);
		if (there && d->if_inner)
			continue;
		if (there)
			return cql_fail(err, CQL_CODE_INVALID, "Column with name '%.*s' already exists", TM_STR_ARG(name));
		TM_TRY(cql_resolve_type(&s, c->type, spec->def.keyspace, &t));
		TM_TRY(check_type(t, err));
		if (c->is_static && !spec->def.clustering_count)
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Static columns are only useful (and thus allowed) if the table has at least one clustering column");
		for (size_t j = 0; j < spec->dropped_count; j++) {
			const struct tm_dropped_column *old = &spec->dropped[j];
			if (!tm_str_eq(old->name, name))
				continue;
			struct tm_buf a = {0}, b = {0};
			tm_table_type_text(t, &a);
			tm_table_type_text(old->type, &b);
			bool fits = t == old->type ||
				    (!tm_type_is_multicell(t) && !tm_type_is_multicell(old->type) && cql_value_compatible(t, old->type));
			tm_rc rc = TM_OK;
			if (!fits)
				rc = cql_fail(
				    err, CQL_CODE_INVALID,
				    "Cannot add a column '%.*s' of type %s, incompatible with previously dropped column '%.*s' of type %s",
				    TM_STR_ARG(name), tm_buf_cstr(&a), TM_STR_ARG(name), tm_buf_cstr(&b));
			else if (old->is_static != c->is_static)
				rc = cql_fail(
				    err, CQL_CODE_INVALID,
				    "Cannot re-add previously dropped column '%.*s' of kind %s, incompatible with previous kind %s",
				    TM_STR_ARG(name), c->is_static ? "STATIC" : "REGULAR", old->is_static ? "STATIC" : "REGULAR");
			tm_buf_done(&a);
			tm_buf_done(&b);
			TM_TRY(rc);
		}
		if ((t->kind == TM_CQL_COUNTER) != spec->counter)
			return cql_fail(err, CQL_CODE_CONFIG,
					spec->counter ? "%.*s.%.*s: Cannot have a non counter column (\"%.*s\") in a counter table"
						      : "%.*s.%.*s: Cannot have a counter column (\"%.*s\") in a non counter table",
					TM_STR_ARG(spec->def.keyspace), TM_STR_ARG(spec->def.name), TM_STR_ARG(name));
		ids[n] = UINT32_MAX;
		columns[n++] =
		    (struct tm_table_column){.name = name, .kind = c->is_static ? TM_COLUMN_STATIC : TM_COLUMN_REGULAR, .type = t};
	}
	spec->def.columns = columns;
	spec->def.column_count = n;
	spec->column_id = ids;
	return TM_OK;
}

static tm_rc drop_columns(struct cql_run *run, const struct cql_ddl *d, struct tm_table *spec, struct tm_err *err)
{
	size_t n = spec->def.column_count;
	struct tm_table_column *columns = TM_NEW_N(run->arena, struct tm_table_column, n);
	uint32_t *ids = TM_NEW_N(run->arena, uint32_t, n);
	struct tm_dropped_column *dropped = TM_NEW_N(run->arena, struct tm_dropped_column, spec->dropped_count + d->rename_count);
	tm_copy(columns, spec->def.columns, n * sizeof *columns);
	tm_copy(ids, spec->column_id, n * sizeof *ids);
	size_t dropped_count = 0;
	for (size_t i = 0; i < spec->dropped_count; i++) {
		bool again = false;
		for (size_t j = 0; j < d->rename_count; j++)
			again |= tm_str_eq(d->from[j], spec->dropped[i].name) && tm_table_column_index(&spec->def, d->from[j]) != SIZE_MAX;
		if (!again)
			dropped[dropped_count++] = spec->dropped[i];
	}
	for (size_t i = 0; i < d->rename_count; i++) {
		size_t at = 0;
		while (at < n && !tm_str_eq(columns[at].name, d->from[i]))
			at++;
		if (at == n && d->if_inner)
			continue;
		if (at == n)
			return cql_fail(err, CQL_CODE_INVALID, "Column %.*s was not found in table '%.*s.%.*s'", TM_STR_ARG(d->from[i]),
					TM_STR_ARG(spec->def.keyspace), TM_STR_ARG(spec->def.name));
		if (columns[at].kind == TM_COLUMN_PARTITION_KEY || columns[at].kind == TM_COLUMN_CLUSTERING)
			return cql_fail(err, CQL_CODE_INVALID, "Cannot drop PRIMARY KEY column %.*s", TM_STR_ARG(d->from[i]));
		for (size_t j = 0; j < spec->index_count; j++)
			if (tm_str_eq(spec->indexes[j].column, d->from[i]))
				return cql_fail(err, CQL_CODE_INVALID,
						"Cannot drop column %.*s because it has dependent secondary indexes (%.*s)",
						TM_STR_ARG(d->from[i]), TM_STR_ARG(spec->indexes[j].name));
		dropped[dropped_count++] = (struct tm_dropped_column){
		    columns[at].name, columns[at].type, d->has_timestamp ? d->timestamp_us : tm_store_now_us(run->session->store),
		    columns[at].kind == TM_COLUMN_STATIC};
		tm_move(&columns[at], &columns[at + 1], (n - at - 1) * sizeof *columns);
		tm_move(&ids[at], &ids[at + 1], (n - at - 1) * sizeof *ids);
		n--;
	}
	spec->def.columns = columns;
	spec->def.column_count = n;
	spec->column_id = ids;
	spec->dropped = dropped;
	spec->dropped_count = dropped_count;
	return TM_OK;
}

static tm_rc rename_columns(struct cql_run *run, const struct cql_ddl *d, struct tm_table *spec, struct tm_err *err)
{
	size_t n = spec->def.column_count;
	struct tm_table_column *columns = TM_NEW_N(run->arena, struct tm_table_column, n);
	tm_copy(columns, spec->def.columns, n * sizeof *columns);
	for (size_t i = 0; i < d->rename_count; i++) {
		size_t at = 0;
		while (at < n && !tm_str_eq(columns[at].name, d->from[i]))
			at++;
		if (at == n)
			return cql_fail(err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(d->from[i]),
					TM_STR_ARG(spec->def.keyspace), TM_STR_ARG(spec->def.name));
		if (columns[at].kind != TM_COLUMN_PARTITION_KEY && columns[at].kind != TM_COLUMN_CLUSTERING)
			return cql_fail(err, CQL_CODE_INVALID, "Cannot rename non PRIMARY KEY column %.*s", TM_STR_ARG(d->from[i]));
		for (size_t j = 0; j < n; j++)
			if (tm_str_eq(columns[j].name, d->to[i]))
				return cql_fail(
				    err, CQL_CODE_INVALID,
				    "Cannot rename column %.*s to %.*s in table '%.*s.%.*s'; another column with that name already exists",
				    TM_STR_ARG(d->from[i]), TM_STR_ARG(d->to[i]), TM_STR_ARG(spec->def.keyspace),
				    TM_STR_ARG(spec->def.name));
		for (size_t j = 0; j < spec->index_count; j++)
			if (tm_str_eq(spec->indexes[j].column, d->from[i]))
				return cql_fail(err, CQL_CODE_INVALID,
						"Can't rename column %.*s because it has dependent secondary indexes (%.*s)",
						TM_STR_ARG(d->from[i]), TM_STR_ARG(spec->indexes[j].name));
		columns[at].name = d->to[i];
	}
	spec->def.columns = columns;
	return TM_OK;
}

tm_rc cql_alter_table(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	if (cql_is_system_keyspace(ks))
		return cql_fail(err, CQL_CODE_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.", TM_STR_ARG(ks));
	const struct tm_table *table = table_of(schema, ks, d->name.name);
	if (!table)
		return d->if_exists
			   ? TM_OK
			   : cql_fail(err, CQL_CODE_INVALID, "Table '%.*s.%.*s' doesn't exist", TM_STR_ARG(ks), TM_STR_ARG(d->name.name));
	struct tm_table spec = *table;
	switch (d->alter) {
	case CQL_ALTER_ADD:
		TM_TRY(add_columns(run, d, schema, &spec, err));
		break;
	case CQL_ALTER_DROP:
		TM_TRY(drop_columns(run, d, &spec, err));
		break;
	case CQL_ALTER_RENAME:
		TM_TRY(rename_columns(run, d, &spec, err));
		break;
	case CQL_ALTER_OPTIONS:
		TM_TRY(cql_table_options(run->arena, &d->properties, &spec.params, NULL, err));
		if (spec.counter && spec.params.default_time_to_live)
			return cql_fail(err, CQL_CODE_INVALID, "Cannot set default_time_to_live on a table with counters");
		break;
	case CQL_ALTER_TYPE_OF:
		return cql_fail(err, CQL_CODE_INVALID, "Altering column types is no longer supported");
	case CQL_ALTER_OTHER:
		return cql_fail(err, CQL_CODE_INVALID, "DROP COMPACT STORAGE is disabled. Enable in cassandra.yaml to use.");
	}
	if ((d->alter == CQL_ALTER_ADD || d->alter == CQL_ALTER_DROP) && spec.def.column_count == table->def.column_count)
		return TM_OK; /* IF [NOT] EXISTS left nothing to do */
	TM_TRY(tm_store_table_put(run->session->store, &spec, err));
	return cql_ddl_changed(run, "UPDATED", "TABLE", ks, d->name.name);
}

/* ---- indexes ---- */
static const char *target_word(enum tm_index_kind k)
{
	return k == TM_INDEX_KEYS ? "keys" : k == TM_INDEX_ENTRIES ? "entries" : k == TM_INDEX_FULL ? "full" : "values";
}

static const struct tm_index *index_named(const struct tm_schema *schema, struct tm_str ks, struct tm_str name,
					  const struct tm_table **ret_table)
{
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	for (size_t i = 0; k && i < k->table_count; i++)
		for (size_t j = 0; j < k->tables[i]->index_count; j++)
			if (tm_str_eq(k->tables[i]->indexes[j].name, name)) {
				*ret_table = k->tables[i];
				return &k->tables[i]->indexes[j];
			}
	return NULL;
}

static tm_rc check_target(const struct tm_table *table, const struct tm_table_column *c, enum tm_index_kind *kind, bool plain, bool sai,
			  struct tm_err *err)
{
	const struct tm_cql_type *t = c->type;
	bool collection = tm_type_is_collection(t);
	if (table->counter)
		return cql_fail(err, CQL_CODE_INVALID, "Secondary indexes on counter tables aren't supported");
	if (c->kind == TM_COLUMN_PARTITION_KEY && table->def.partition_key_count == 1)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot create secondary index on the only partition key column %.*s",
				TM_STR_ARG(c->name));
	if (tm_type_mentions(t, TM_CQL_DURATION))
		return cql_fail(err, CQL_CODE_INVALID,
				t->kind == TM_CQL_DURATION ? "Secondary indexes are not supported on duration columns"
							   : "Secondary indexes are not supported on collections containing durations");
	if (*kind == TM_INDEX_FULL && !(collection && t->frozen))
		return cql_fail(err, CQL_CODE_INVALID, "full() indexes can only be created on frozen collections");
	if (!collection) {
		if (!plain)
			return cql_fail(err, CQL_CODE_INVALID,
					"Cannot create %s() index on %.*s. Non-collection columns only support simple indexes",
					target_word(*kind), TM_STR_ARG(c->name));
		if (tm_type_is_multicell(t))
			return cql_fail(err, CQL_CODE_INVALID, "Cannot create index on non-frozen UDT column %.*s", TM_STR_ARG(c->name));
	} else if (t->frozen && *kind != TM_INDEX_FULL) {
		if (plain && sai) {
			*kind = TM_INDEX_FULL;
			return TM_OK;
		}
		return cql_fail(err, CQL_CODE_INVALID,
				"Cannot create %s() index on frozen column %.*s. Frozen collections are immutable and must be fully "
				"indexed by using the 'full(%.*s)' modifier",
				target_word(*kind), TM_STR_ARG(c->name), TM_STR_ARG(c->name));
	}
	if ((*kind == TM_INDEX_KEYS || *kind == TM_INDEX_ENTRIES) && t->kind != TM_CQL_MAP)
		return cql_fail(err, CQL_CODE_INVALID, "Cannot create index on %s of column %.*s with non-map type", target_word(*kind),
				TM_STR_ARG(c->name));
	if (!sai && t->kind == TM_CQL_VECTOR)
		return cql_fail(err, CQL_CODE_INVALID, "Secondary indexes are not supported on vector columns");
	const struct tm_cql_type *value =
	    collection && *kind != TM_INDEX_FULL ? t->args[*kind == TM_INDEX_VALUES && t->kind == TM_CQL_MAP] : t;
	if (sai && (value->kind == TM_CQL_BLOB || value->kind == TM_CQL_COUNTER))
		return cql_fail(err, CQL_CODE_INVALID, "Unsupported type: %s", tm_type_native_name(value->kind));
	return TM_OK;
}

static tm_rc check_sai_options(const struct tm_map *options, const struct tm_cql_type *t, struct tm_err *err)
{
	static const char *const known[] = {"case_sensitive",          "normalize",    "ascii",
					    "similarity_function",     "optimize_for", "maximum_node_connections",
					    "construction_beam_width", "target",       NULL};
	for (size_t i = 0; i < options->count; i++) {
		if (!tm_str_among(options->entries[i].key, known))
			return cql_fail(err, CQL_CODE_INVALID, "Properties specified [%.*s] are not understood by StorageAttachedIndex",
					TM_STR_ARG(options->entries[i].key));
		struct tm_str v = options->entries[i].value;
		if (tm_str_is(options->entries[i].key, "similarity_function") && !tm_str_iis(v, "cosine") && !tm_str_iis(v, "euclidean") &&
		    !tm_str_iis(v, "dot_product"))
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Similarity function %.*s was not recognized for index. Valid values are: EUCLIDEAN, DOT_PRODUCT, COSINE",
			    TM_STR_ARG(v));
		if ((tm_str_is(options->entries[i].key, "case_sensitive") || tm_str_is(options->entries[i].key, "normalize") ||
		     tm_str_is(options->entries[i].key, "ascii")) &&
		    !tm_type_is_text(t) && t->arg_count == 0)
			return cql_fail(err, CQL_CODE_INVALID, "CQL type %s cannot be analyzed.", tm_type_native_name(t->kind));
	}
	return TM_OK;
}

tm_rc cql_create_index(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks, class_name = d->class_name;
	TM_TRY(cql_ddl_keyspace(run, &d->on, &ks, err));
	if (cql_is_system_keyspace(ks))
		return cql_fail(err, CQL_CODE_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.", TM_STR_ARG(ks));
	const struct tm_table *table = table_of(schema, ks, d->on.name), *owner;
	struct tm_str name = d->name.name;
	if (!table)
		return cql_fail(err, CQL_CODE_INVALID, "Table '%.*s' doesn't exist", TM_STR_ARG(d->on.name));
	if (name.at && index_named(schema, ks, name, &owner))
		return d->if_not_exists ? TM_OK : cql_fail(err, CQL_CODE_INVALID, "Index '%.*s' already exists", TM_STR_ARG(name));
	bool sai = tm_str_iis(class_name, "sai") || tm_str_iis(class_name, "StorageAttachedIndex") ||
		   tm_str_iis(class_name, "org.apache.cassandra.index.sai.StorageAttachedIndex");
	if (class_name.at && !sai && !tm_str_is(class_name, "legacy_local_table"))
		return cql_fail(err, CQL_CODE_CONFIG, "Unable to find custom indexer class '%.*s'", TM_STR_ARG(class_name));
	if (d->custom && !class_name.at)
		return cql_fail(err, CQL_CODE_CONFIG, "Unable to find custom indexer class 'legacy_local_table'");
	if (d->target_count == 0)
		return cql_fail(err, CQL_CODE_INVALID, "Only CUSTOM indexes can be created without specifying a target column");
	if (d->target_count > 1)
		return cql_fail(err, CQL_CODE_INVALID,
				sai ? "storage-attached indexes cannot be created on multiple columns"
				    : "Only CUSTOM indexes support multiple columns");
	size_t c = tm_table_column_index(&table->def, d->targets[0].column);
	if (c == SIZE_MAX)
		return cql_fail(err, CQL_CODE_INVALID, "Undefined column name %.*s in table %.*s.%.*s", TM_STR_ARG(d->targets[0].column),
				TM_STR_ARG(ks), TM_STR_ARG(table->def.name));
	const struct tm_table_column *col = &table->def.columns[c];
	enum tm_index_kind kind = d->targets[0].kind;
	TM_TRY(check_target(table, col, &kind, d->targets[0].plain, sai, err));
	if (!name.at) {
		struct tm_str base = tm_arena_printf(run->arena, "%.*s_%.*s_idx", TM_STR_ARG(table->def.name), TM_STR_ARG(col->name));
		name = base;
		for (int i = 1; index_named(schema, ks, name, &owner); i++)
			name = tm_arena_printf(run->arena, "%.*s_%d", TM_STR_ARG(base), i);
	}
	for (size_t i = 0; i < table->index_count; i++) {
		const struct tm_index *x = &table->indexes[i];
		if (!tm_str_eq(x->column, col->name) || x->kind != kind || x->custom != sai)
			continue;
		if (d->if_not_exists)
			return TM_OK;
		bool same = x->options.count == d->options.count;
		return same ? cql_fail(err, CQL_CODE_INVALID, "Index %.*s is a duplicate of existing index %.*s", TM_STR_ARG(name),
				       TM_STR_ARG(x->name))
			    : cql_fail(err, CQL_CODE_INVALID, "Cannot create more than one storage-attached index on the same column: %.*s",
				       TM_STR_ARG(col->name));
	}
	if (sai)
		TM_TRY(check_sai_options(&d->options, col->type, err));
	struct tm_table spec = *table;
	struct tm_index *list = TM_NEW_N(run->arena, struct tm_index, table->index_count + 1);
	size_t at = 0;
	while (at < table->index_count && tm_str_cmp(table->indexes[at].name, name) < 0)
		at++;
	tm_copy(list, table->indexes, at * sizeof *list);
	tm_copy(list + at + 1, table->indexes + at, (table->index_count - at) * sizeof *list);
	bool wrapped = tm_type_is_collection(col->type) && (kind != TM_INDEX_VALUES || !col->type->frozen);
	struct tm_buf quoted = {0};
	tm_type_name_text(col->name, &quoted);
	struct tm_str target = tm_arena_printf(run->arena, wrapped ? "%s(%s)" : "%.0s%s", target_word(kind), tm_buf_cstr(&quoted));
	tm_buf_done(&quoted);
	list[at] = (struct tm_index){.name = name,
				     .column = col->name,
				     .kind = kind,
				     .custom = sai,
				     .class_name = sai ? class_name : (struct tm_str){"", 0},
				     .target = target,
				     .options = d->options};
	spec.indexes = list;
	spec.index_count = table->index_count + 1;
	if (sai && col->type->kind == TM_CQL_VECTOR)
		cql_result_warn(run, TM_STR("SAI ANN indexes on vector columns are experimental and are not recommended for production "
					    "use.\nThey don't yet support SELECT queries with:\n * Consistency level higher than "
					    "ONE/LOCAL_ONE.\n * Paging.\n * No LIMIT clauses.\n * PER PARTITION LIMIT clauses.\n * GROUP "
					    "BY clauses.\n * Aggregation functions.\n * Filters on columns without a SAI index."));
	TM_TRY(tm_store_table_put(run->session->store, &spec, err));
	return cql_ddl_changed(run, "UPDATED", "TABLE", ks, table->def.name);
}

tm_rc cql_drop_index(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks;
	const struct tm_table *table;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	const struct tm_index *x = index_named(schema, ks, d->name.name, &table);
	if (!x)
		return d->if_exists
			   ? TM_OK
			   : cql_fail(err, CQL_CODE_INVALID, "Index '%.*s.%.*s' doesn't exist'", TM_STR_ARG(ks), TM_STR_ARG(d->name.name));
	struct tm_table spec = *table;
	struct tm_index *list = TM_NEW_N(run->arena, struct tm_index, table->index_count);
	size_t at = (size_t)(x - table->indexes);
	tm_copy(list, table->indexes, at * sizeof *list);
	tm_copy(list + at, table->indexes + at + 1, (table->index_count - at - 1) * sizeof *list);
	spec.indexes = list;
	spec.index_count--;
	struct tm_str table_name = tm_arena_str(run->arena, table->def.name);
	TM_TRY(tm_store_table_put(run->session->store, &spec, err));
	return cql_ddl_changed(run, "UPDATED", "TABLE", ks, table_name);
}
