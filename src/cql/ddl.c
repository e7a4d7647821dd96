/* Keyspaces, user types, DROP, TRUNCATE, USE, and the statements refused by name. Each runs under the store's schema lock. */
#include "cql/ddl.h"
#include <stdlib.h>

tm_rc cql_ddl_keyspace(struct cql_run *run, const struct cql_name *name, struct tm_str *ret, struct tm_err *err)
{
	*ret = name->has_keyspace ? name->keyspace : run->prepared->keyspace.len ? run->prepared->keyspace : run->session->keyspace;
	return ret->len ? TM_OK
			: cql_fail(err, CQL_CODE_INVALID,
				   "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename");
}

tm_rc cql_ddl_changed(struct cql_run *run, const char *change, const char *target, struct tm_str keyspace, struct tm_str name)
{
	struct tm_cql_result *r = run->result;
	r->kind = TM_CQL_SCHEMA_CHANGE;
	r->change = tm_str_of(change);
	r->target = tm_str_of(target);
	r->keyspace = tm_arena_str(run->arena, keyspace);
	r->name = tm_arena_str(run->arena, name);
	return TM_OK;
}

struct cql_scope cql_ddl_scope(struct cql_run *run, const struct tm_schema *schema, struct tm_err *err)
{
	return (struct cql_scope){.arena = run->arena, .session = run->session, .schema = schema, .err = err};
}

static tm_rc not_modifiable(struct tm_str ks, struct tm_err *err)
{
	return cql_fail(err, CQL_CODE_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.", TM_STR_ARG(ks));
}

/* ---- keyspaces ---- */
static tm_rc replication_of(struct cql_run *run, const struct cql_property *p, struct tm_str keyspace, struct tm_map *ret, bool *ret_more,
			    const struct tm_map *before, struct tm_err *err)
{
	static const char prefix[] = "org.apache.cassandra.locator.";
	struct tm_str class_name = {0};
	int64_t factor = 1, old = -1;
	if (!p->is_map)
		return cql_fail(err, CQL_CODE_SYNTAX, "Invalid value for property 'replication'. It should be a map.");
	struct tm_map_entry *e = TM_NEW_N(run->arena, struct tm_map_entry, p->map.count + 2);
	size_t n = 1;
	for (size_t i = 0; i < p->map.count; i++) {
		if (tm_str_is(p->map.entries[i].key, "class"))
			class_name = p->map.entries[i].value;
		else
			e[n++] = p->map.entries[i];
	}
	if (!class_name.at)
		return cql_fail(err, CQL_CODE_CONFIG, "Missing replication strategy class");
	if (tm_str_starts(class_name, tm_str_of(prefix)))
		class_name = tm_str_slice(class_name, sizeof prefix - 1, class_name.len);
	bool simple = tm_str_is(class_name, "SimpleStrategy"), topology = tm_str_is(class_name, "NetworkTopologyStrategy");
	if (!simple && !topology)
		return cql_fail(err, CQL_CODE_CONFIG, "Unable to find replication strategy class '%s%.*s'", prefix, TM_STR_ARG(class_name));
	e[0] = (struct tm_map_entry){TM_STR("class"), tm_arena_printf(run->arena, "%s%.*s", prefix, TM_STR_ARG(class_name))};
	if (simple && n == 1)
		e[n++] = (struct tm_map_entry){TM_STR("replication_factor"), TM_STR("1")};
	for (size_t i = 1; i < n; i++) {
		if (simple && !tm_str_is(e[i].key, "replication_factor"))
			return cql_fail(err, CQL_CODE_CONFIG,
					"Unrecognized strategy option {%.*s} passed to SimpleStrategy for keyspace %.*s",
					TM_STR_ARG(e[i].key), TM_STR_ARG(keyspace));
		if (topology && tm_str_is(e[i].key, "replication_factor"))
			e[i].key = TM_STR("datacenter1");
		else if (topology && !tm_str_is(e[i].key, "datacenter1"))
			return cql_fail(err, CQL_CODE_CONFIG,
					"Unrecognized strategy option {%.*s} passed to NetworkTopologyStrategy for keyspace %.*s",
					TM_STR_ARG(e[i].key), TM_STR_ARG(keyspace));
		if (!tm_str_to_i64(e[i].value, &factor))
			return cql_fail(err, CQL_CODE_CONFIG, "For input string: \"%.*s\"", TM_STR_ARG(e[i].value));
		if (factor < 0)
			return cql_fail(err, CQL_CODE_CONFIG, "Replication factor must be non-negative; found %lld", (long long)factor);
		e[i].value = tm_arena_printf(run->arena, "%lld", (long long)factor);
	}
	for (size_t i = 0; before && i < before->count; i++)
		if (!tm_str_is(before->entries[i].key, "class"))
			(void)tm_str_to_i64(before->entries[i].value, &old);
	*ret_more = before && factor > old;
	*ret = (struct tm_map){e, n};
	return TM_OK;
}

static void warn_factor(struct cql_run *run, struct tm_str keyspace, const struct tm_map *replication)
{
	int64_t factor = 1;
	for (size_t i = 0; i < replication->count; i++)
		if (!tm_str_is(replication->entries[i].key, "class"))
			(void)tm_str_to_i64(replication->entries[i].value, &factor);
	if (factor > 1)
		cql_result_warn(run, tm_arena_printf(run->arena,
						     "Your replication factor %lld for keyspace %.*s is higher than the number of nodes 1",
						     (long long)factor, TM_STR_ARG(keyspace)));
}

static tm_rc put_keyspace(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str name = d->name.name;
	bool create = d->kind == CQL_CREATE_KEYSPACE, unused;
	if (cql_is_system_keyspace(name))
		return not_modifiable(name, err);
	const struct tm_keyspace *old = tm_schema_keyspace(schema, name);
	bool taken = old || cql_virtual_keyspace(run->session->store, name, &unused);
	if (create) {
		for (size_t i = 0; i < name.len; i++)
			if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= 'A' && name.at[i] <= 'Z') ||
			      (name.at[i] >= '0' && name.at[i] <= '9') || name.at[i] == '_'))
				return cql_fail(err, CQL_CODE_INVALID,
						"Keyspace name must not be empty and must contain alphanumeric or underscore characters "
						"only (got \"%.*s\")",
						TM_STR_ARG(name));
		if (name.len > 48)
			return cql_fail(err, CQL_CODE_INVALID,
					"Keyspace name must not be more than 48 characters long (got %zu characters for \"%.*s\")",
					name.len, TM_STR_ARG(name));
	}
	struct tm_map replication = old ? old->replication : (struct tm_map){0};
	bool durable = old ? old->durable_writes : true, more = false;
	const struct cql_property *given = NULL;
	for (size_t i = 0; i < d->properties.count; i++) {
		const struct cql_property *p = &d->properties.items[i];
		if (tm_str_is(p->name, "replication")) {
			given = p;
			if (!p->is_map)
				return cql_fail(err, CQL_CODE_SYNTAX, "Invalid value for property 'replication'. It should be a map.");
		} else if (tm_str_is(p->name, "durable_writes")) {
			if (!tm_str_iis(p->value, "true") && !tm_str_iis(p->value, "false"))
				return cql_fail(err, CQL_CODE_SYNTAX, "Invalid boolean value %.*s for 'durable_writes'",
						TM_STR_ARG(p->value));
			durable = tm_str_iis(p->value, "true");
		} else {
			return cql_fail(err, CQL_CODE_SYNTAX, "Unknown property '%.*s'", TM_STR_ARG(p->name));
		}
	}
	if (create && !given)
		return cql_fail(err, CQL_CODE_INVALID, "Missing mandatory option 'replication'");
	if (create && taken) {
		if (d->if_not_exists)
			return TM_OK;
		tm_rc rc = cql_fail(err, CQL_CODE_EXISTS, "Cannot add existing keyspace \"%.*s\"", TM_STR_ARG(name));
		tm_err_detail(err, "%.*s ", TM_STR_ARG(name));
		return rc;
	}
	if (!create && !old)
		return d->if_exists ? TM_OK : cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' doesn't exist", TM_STR_ARG(name));
	if (given)
		TM_TRY(replication_of(run, given, name, &replication, &more, old ? &old->replication : NULL, err));
	warn_factor(run, name, &replication);
	if (!create && more)
		cql_result_warn(run,
				TM_STR("When increasing replication factor you need to run a full (-full) repair to distribute the data."));
	TM_TRY(tm_store_keyspace_put(run->session->store, name, &replication, durable, err));
	return cql_ddl_changed(run, create ? "CREATED" : "UPDATED", "KEYSPACE", name, (struct tm_str){"", 0});
}

/* ---- types ---- */
static tm_rc create_type(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	if (cql_is_system_keyspace(ks))
		return not_modifiable(ks, err);
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	if (!k)
		return cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' doesn't exist", TM_STR_ARG(ks));
	if (tm_keyspace_type(k, d->name.name))
		return d->if_not_exists
			   ? TM_OK
			   : cql_fail(err, CQL_CODE_INVALID, "A user type with name '%.*s' already exists", TM_STR_ARG(d->name.name));
	struct cql_scope s = cql_ddl_scope(run, schema, err);
	struct tm_str *names = TM_NEW_N(run->arena, struct tm_str, d->column_count);
	const struct tm_cql_type **types = TM_NEW_N(run->arena, const struct tm_cql_type *, d->column_count);
	for (size_t i = 0; i < d->column_count; i++) {
		const struct cql_raw_type *raw = d->columns[i].type;
		names[i] = d->columns[i].name;
		for (size_t j = 0; j < i; j++)
			if (tm_str_eq(names[j], names[i]))
				return cql_fail(err, CQL_CODE_INVALID, "Duplicate field name '%.*s' in type '%.*s'", TM_STR_ARG(names[i]),
						TM_STR_ARG(d->name.name));
		if (!raw->frozen && !raw->arg_count && !raw->quoted && (raw->keyspace.at || !tm_type_native_named(raw->name)))
			return cql_fail(err, CQL_CODE_INVALID, "A user type cannot contain non-frozen UDTs");
		TM_TRY(cql_resolve_type(&s, raw, ks, &types[i]));
		if (types[i]->kind == TM_CQL_COUNTER)
			return cql_fail(err, CQL_CODE_INVALID, "A user type cannot contain counters");
		if (types[i]->kind == TM_CQL_UDT && !types[i]->frozen)
			return cql_fail(err, CQL_CODE_INVALID, "A user type cannot contain non-frozen UDTs");
	}
	const struct tm_cql_type *udt = tm_type_udt(ks, d->name.name, names, types, d->column_count, false);
	if (!udt)
		return cql_fail(err, CQL_CODE_INVALID, "too many different types");
	TM_TRY(tm_store_type_put(run->session->store, udt, err));
	return cql_ddl_changed(run, "CREATED", "TYPE", ks, d->name.name);
}

static tm_rc alter_type(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	const struct tm_cql_type *old = k ? tm_keyspace_type(k, d->name.name) : NULL;
	if (!old)
		return d->if_exists
			   ? TM_OK
			   : cql_fail(err, CQL_CODE_INVALID, "Type %.*s.%.*s doesn't exist", TM_STR_ARG(ks), TM_STR_ARG(d->name.name));
	if (d->alter == CQL_ALTER_TYPE_OF)
		return cql_fail(err, CQL_CODE_INVALID, "Altering field types is no longer supported");
	struct cql_scope s = cql_ddl_scope(run, schema, err);
	size_t n = old->arg_count;
	struct tm_str *names = TM_NEW_N(run->arena, struct tm_str, n + 1);
	const struct tm_cql_type **types = TM_NEW_N(run->arena, const struct tm_cql_type *, n + 1);
	tm_copy(names, old->field_names, n * sizeof *names);
	tm_copy(types, old->args, n * sizeof *types);
	if (d->alter == CQL_ALTER_ADD) {
		for (size_t i = 0; i < n; i++)
			if (tm_str_eq(names[i], d->columns[0].name))
				return d->if_inner
					   ? TM_OK
					   : cql_fail(err, CQL_CODE_INVALID,
						      "Cannot add field %.*s to type %.*s.%.*s: a field with name %.*s already exists",
						      TM_STR_ARG(names[i]), TM_STR_ARG(ks), TM_STR_ARG(old->name), TM_STR_ARG(names[i]));
		TM_TRY(cql_resolve_type(&s, d->columns[0].type, ks, &types[n]));
		if (types[n]->kind == TM_CQL_COUNTER)
			return cql_fail(err, CQL_CODE_INVALID, "A user type cannot contain counters");
		if (tm_type_mentions_udt(types[n], ks, old->name))
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Cannot add new field %.*s of type %s to user type %.*s.%.*s as it would create a circular reference",
			    TM_STR_ARG(d->columns[0].name), cql_type_cstr(run->arena, types[n]), TM_STR_ARG(ks), TM_STR_ARG(old->name));
		for (size_t i = 0; i < k->table_count; i++)
			for (size_t c = 0; c < k->tables[i]->def.partition_key_count; c++)
				if (tm_type_mentions_udt(k->tables[i]->def.columns[c].type, ks, old->name))
					return cql_fail(
					    err, CQL_CODE_INVALID,
					    "Cannot add new field to type %.*s.%.*s as it is used in the partition key of a table",
					    TM_STR_ARG(ks), TM_STR_ARG(old->name));
		names[n++] = d->columns[0].name;
	} else {
		for (size_t i = 0; i < d->rename_count; i++) {
			size_t at = 0;
			while (at < n && !tm_str_eq(names[at], d->from[i]))
				at++;
			if (at == n && d->if_inner)
				continue;
			if (at == n)
				return cql_fail(err, CQL_CODE_INVALID, "Unkown field %.*s in user type %.*s.%.*s", TM_STR_ARG(d->from[i]),
						TM_STR_ARG(ks), TM_STR_ARG(old->name));
			for (size_t j = 0; j < n; j++)
				if (tm_str_eq(names[j], d->to[i]))
					return cql_fail(err, CQL_CODE_INVALID, "Duplicate field name %.*s in type %.*s.%.*s",
							TM_STR_ARG(d->to[i]), TM_STR_ARG(ks), TM_STR_ARG(old->name));
			names[at] = d->to[i];
		}
	}
	const struct tm_cql_type *udt = tm_type_udt(ks, old->name, names, types, n, false);
	if (!udt)
		return cql_fail(err, CQL_CODE_INVALID, "too many different types");
	TM_TRY(tm_store_type_put(run->session->store, udt, err));
	return cql_ddl_changed(run, "UPDATED", "TYPE", ks, old->name);
}

static tm_rc drop_type(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	const struct tm_cql_type *t = k ? tm_keyspace_type(k, d->name.name) : NULL;
	if (!t)
		return d->if_exists
			   ? TM_OK
			   : cql_fail(err, CQL_CODE_INVALID, "Type '%.*s.%.*s' doesn't exist", TM_STR_ARG(ks), TM_STR_ARG(d->name.name));
	for (size_t i = 0; i < k->type_count; i++)
		if (k->types[i] != t && tm_type_mentions_udt(k->types[i], ks, t->name))
			return cql_fail(err, CQL_CODE_INVALID, "Cannot drop user type '%.*s.%.*s' as it is still used by user types %.*s",
					TM_STR_ARG(ks), TM_STR_ARG(t->name), TM_STR_ARG(k->types[i]->name));
	struct tm_buf users = {0};
	for (size_t i = 0; i < k->table_count; i++)
		for (size_t c = 0; c < k->tables[i]->def.column_count; c++)
			if (tm_type_mentions_udt(k->tables[i]->def.columns[c].type, ks, t->name)) {
				tm_buf_printf(&users, "%s%.*s", users.len ? ", " : "", TM_STR_ARG(k->tables[i]->def.name));
				break;
			}
	tm_rc rc = TM_OK;
	if (users.len)
		rc = cql_fail(err, CQL_CODE_INVALID, "Cannot drop user type '%.*s.%.*s' as it is still used by tables %s", TM_STR_ARG(ks),
			      TM_STR_ARG(t->name), tm_buf_cstr(&users));
	tm_buf_done(&users);
	TM_TRY(rc);
	TM_TRY(tm_store_type_drop(run->session->store, ks, d->name.name, err));
	return cql_ddl_changed(run, "DROPPED", "TYPE", ks, d->name.name);
}

/* ---- drops ---- */
static tm_rc drop_keyspace(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str name = d->name.name;
	if (cql_is_system_keyspace(name))
		return not_modifiable(name, err);
	if (!tm_schema_keyspace(schema, name))
		return d->if_exists ? TM_OK : cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' doesn't exist", TM_STR_ARG(name));
	TM_TRY(tm_store_keyspace_drop(run->session->store, name, err));
	return cql_ddl_changed(run, "DROPPED", "KEYSPACE", name, (struct tm_str){"", 0});
}

static tm_rc drop_table(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	struct tm_str ks, name = d->name.name;
	TM_TRY(cql_ddl_keyspace(run, &d->name, &ks, err));
	if (cql_is_system_keyspace(ks))
		return tm_str_is(ks, "system") || tm_str_is(ks, "system_schema")
			   ? not_modifiable(ks, err)
			   : cql_fail(err, CQL_CODE_UNAUTHORIZED, "Cannot DROP <table %.*s.%.*s>", TM_STR_ARG(ks), TM_STR_ARG(name));
	const struct tm_keyspace *k = tm_schema_keyspace(schema, ks);
	if (!k || !tm_keyspace_table(k, name))
		return d->if_exists ? TM_OK
				    : cql_fail(err, CQL_CODE_INVALID, "Table '%.*s.%.*s' doesn't exist", TM_STR_ARG(ks), TM_STR_ARG(name));
	TM_TRY(tm_store_table_drop(run->session->store, ks, name, err));
	return cql_ddl_changed(run, "DROPPED", "TABLE", ks, name);
}

static tm_rc truncate_table(struct cql_run *run, const struct cql_ddl *d, struct tm_err *err)
{
	const struct tm_table_def *def;
	bool is_virtual;
	TM_TRY(cql_find_table(run->session, &d->name, &def, &is_virtual, err));
	if (is_virtual)
		return cql_is_system_keyspace(def->keyspace) ? not_modifiable(def->keyspace, err)
							     : cql_fail(err, CQL_CODE_INVALID, "Cannot truncate virtual tables");
	tm_rc rc = tm_store_table_truncate(run->session->store, def->keyspace, def->name, err);
	tm_table_def_unref(run->session->store, def);
	return rc;
}

static tm_rc use_keyspace(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	bool unused;
	if (!tm_schema_keyspace(schema, d->name.name) && !cql_virtual_keyspace(run->session->store, d->name.name, &unused))
		return cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' does not exist", TM_STR_ARG(d->name.name));
	run->result->kind = TM_CQL_SET_KEYSPACE;
	run->result->keyspace = tm_arena_str(run->arena, d->name.name);
	return TM_OK;
}

static tm_rc run_locked(struct cql_run *run, const struct cql_ddl *d, const struct tm_schema *schema, struct tm_err *err)
{
	switch (d->kind) {
	case CQL_CREATE_KEYSPACE:
	case CQL_ALTER_KEYSPACE:
		return put_keyspace(run, d, schema, err);
	case CQL_DROP_KEYSPACE:
		return drop_keyspace(run, d, schema, err);
	case CQL_CREATE_TABLE:
		return cql_create_table(run, d, schema, err);
	case CQL_ALTER_TABLE:
		return cql_alter_table(run, d, schema, err);
	case CQL_DROP_TABLE:
		return drop_table(run, d, schema, err);
	case CQL_CREATE_TYPE:
		return create_type(run, d, schema, err);
	case CQL_ALTER_TYPE:
		return alter_type(run, d, schema, err);
	case CQL_DROP_TYPE:
		return drop_type(run, d, schema, err);
	case CQL_CREATE_INDEX:
		return cql_create_index(run, d, schema, err);
	case CQL_DROP_INDEX:
		return cql_drop_index(run, d, schema, err);
	case CQL_TRUNCATE:
		return truncate_table(run, d, err);
	case CQL_USE:
		return use_keyspace(run, d, schema, err);
	case CQL_REFUSED:
		return d->refused_code ? cql_fail(err, d->refused_code, "%.*s", TM_STR_ARG(d->refused)) : TM_OK;
	}
	return tm_fail(err, TM_INTERNAL, "a schema statement of no known kind");
}

tm_rc cql_ddl_run(struct cql_run *run, const struct cql_ddl *d, struct tm_err *err)
{
	struct tm_store *store = run->session->store;
	run->result->kind = TM_CQL_VOID;
	tm_store_ddl_lock(store);
	const struct tm_schema *schema = tm_store_schema(store);
	tm_rc rc = run_locked(run, d, schema, err);
	tm_schema_unref(store, schema);
	tm_store_ddl_unlock(store);
	return rc;
}
