/* Shapes of tables, read from the server's system_schema. A shape that was given out stays as it is; a table that has changed gets a new
 * one, so that who holds the old one sees the difference by the pointer. */
#include <stdlib.h>
#include "cassandra/tables_int.h"
#include "table/type.h"

enum { SCHEMA_TIMEOUT_MS = 20000, TYPE_DEPTH_MAX = 16, TYPES_MAX = 5000 };

static int32_t cell_int(const struct tm_cql_result *r, size_t row, const char *name)
{
	struct tm_cursor c = tm_cursor_of(tm_cass_cell(r, row, name));
	return (int32_t)tm_cursor_be32(&c);
}

/* ---- types by their text ---- */

struct type_reader {
	struct tm_str text, keyspace;
	const struct tm_cql_result *types;
	int depth, *budget; /* budget: types that may be looked at: one that mentions another twice, and so on, ends here */
};

static const struct tm_cql_type *read_type(struct type_reader *r);

static void skip_space(struct type_reader *r)
{
	while (r->text.len && r->text.at[0] == ' ')
		r->text = tm_str_slice(r->text, 1, r->text.len);
}

static bool take_char(struct type_reader *r, char c)
{
	skip_space(r);
	if (!r->text.len || r->text.at[0] != c)
		return false;
	r->text = tm_str_slice(r->text, 1, r->text.len);
	return true;
}

static struct tm_str take_name(struct type_reader *r, char *quoted)
{
	skip_space(r);
	size_t n = 0;
	*quoted = r->text.len && (r->text.at[0] == '"' || r->text.at[0] == '\'') ? r->text.at[0] : 0;
	if (*quoted) {
		for (n = 1; n < r->text.len && r->text.at[n] != *quoted; n++)
			;
		struct tm_str name = tm_str_slice(r->text, 1, n);
		r->text = tm_str_slice(r->text, n < r->text.len ? n + 1 : n, r->text.len);
		return name;
	}
	while (n < r->text.len && !strchr("<>, ", r->text.at[n]))
		n++;
	struct tm_str name = tm_str_slice(r->text, 0, n);
	r->text = tm_str_slice(r->text, n, r->text.len);
	return name;
}

static bool list_item(struct tm_cursor *c, struct tm_str *ret)
{
	*ret = tm_cursor_take(c, tm_cursor_be32(c));
	return tm_cursor_ok(c);
}

static const struct tm_cql_type *user_type(struct type_reader *r, struct tm_str name)
{
	enum { FIELDS_MAX = 256 };
	struct tm_str field_names[FIELDS_MAX];
	const struct tm_cql_type *fields[FIELDS_MAX];
	for (size_t i = 0; r->types && i < r->types->row_count; i++) {
		struct tm_str ks = tm_cass_cell(r->types, i, "keyspace_name");
		if (!tm_str_eq(tm_cass_cell(r->types, i, "type_name"), name) || !tm_str_eq(ks, r->keyspace))
			continue;
		struct tm_cursor names = tm_cursor_of(tm_cass_cell(r->types, i, "field_names")),
				 texts = tm_cursor_of(tm_cass_cell(r->types, i, "field_types"));
		uint32_t n = tm_cursor_be32(&names), m = tm_cursor_be32(&texts);
		if (n != m || n > FIELDS_MAX || r->depth > TYPE_DEPTH_MAX)
			return NULL;
		for (uint32_t k = 0; k < n; k++) {
			struct type_reader inner = {.keyspace = r->keyspace, .types = r->types, .depth = r->depth + 1, .budget = r->budget};
			if (!list_item(&names, &field_names[k]) || !list_item(&texts, &inner.text))
				return NULL;
			fields[k] = read_type(&inner);
			if (!fields[k])
				return NULL;
		}
		return tm_type_udt(r->keyspace, name, field_names, fields, n, false);
	}
	return NULL;
}

static const struct tm_cql_type *read_args(struct type_reader *r, struct tm_str name)
{
	enum { ITEMS_MAX = 512 };
	const struct tm_cql_type *items[ITEMS_MAX];
	size_t n = 0;
	do {
		if (n == ITEMS_MAX || !(items[n++] = read_type(r)))
			return NULL;
		if (tm_str_is(name, "vector"))
			break;
	} while (take_char(r, ','));
	if (tm_str_is(name, "vector")) {
		char quoted;
		int64_t dimension = 0;
		if (!take_char(r, ',') || !tm_str_to_i64(take_name(r, &quoted), &dimension) || dimension < 1 || dimension > 65536)
			return NULL;
		return take_char(r, '>') ? tm_type_vector(items[0], (size_t)dimension) : NULL;
	}
	if (!take_char(r, '>'))
		return NULL;
	if (tm_str_is(name, "frozen") && n == 1)
		return tm_type_frozen(items[0]);
	if (tm_str_is(name, "list") && n == 1)
		return tm_type_list(items[0], false);
	if (tm_str_is(name, "set") && n == 1)
		return tm_type_set(items[0], false);
	if (tm_str_is(name, "map") && n == 2)
		return tm_table_type_map(items[0], items[1], false);
	return tm_str_is(name, "tuple") ? tm_type_tuple(items, n) : NULL;
}

static const struct tm_cql_type *read_type(struct type_reader *r)
{
	char quoted;
	if (++r->depth > 2 * TYPE_DEPTH_MAX || --*r->budget < 0)
		return NULL;
	struct tm_str name = take_name(r, &quoted);
	const struct tm_cql_type *t = NULL;
	if (quoted == '\'') /* a Java class of the server's own: bytes */
		t = tm_type_native(TM_CQL_BLOB);
	else if (!quoted && take_char(r, '<'))
		t = read_args(r, name);
	else if (!quoted)
		t = tm_type_native_named(name);
	if (!t)
		t = user_type(r, name);
	r->depth--;
	return t;
}

const struct tm_cql_type *tm_outside_type(struct tm_str text, struct tm_str keyspace, const struct tm_cql_result *types)
{
	int budget = TYPES_MAX;
	struct type_reader r = {.text = text, .keyspace = keyspace, .types = types, .budget = &budget};
	const struct tm_cql_type *t = read_type(&r);
	skip_space(&r);
	return r.text.len ? NULL : t;
}

/* ---- tables ---- */

static void def_unref(struct tm_outside_def *d)
{
	if (--d->refs)
		return;
	tm_arena_done(&d->arena);
	free(d);
}

struct look { /* the four tables of system_schema, of one keyspace */
	struct tm_arena arena;
	struct tm_cql_result keyspaces, tables, columns, types;
};

static int column_order(const void *a, const void *b)
{
	const struct tm_table_column *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return tm_str_cmp(x->name, y->name);
}

static bool column_kind(struct tm_str s, enum tm_column_kind *ret)
{
	static const char *const names[] = {"partition_key", "clustering", "static", "regular"};
	for (size_t i = 0; i < 4; i++)
		if (tm_str_is(s, names[i])) {
			*ret = (enum tm_column_kind)i;
			return true;
		}
	return false;
}

/* Replication's map<text, text>: SimpleStrategy's factor, or that of our data centre. */
static struct tm_cass_replication replication_of(struct tm_outside *o, const struct look *l, struct tm_str keyspace)
{
	struct tm_cass_session_state state;
	struct tm_cass_replication ret = {0};
	tm_cass_session_state(o->session, &state);
	for (size_t i = 0; i < l->keyspaces.row_count; i++) {
		if (!tm_str_eq(tm_cass_cell(&l->keyspaces, i, "keyspace_name"), keyspace))
			continue;
		struct tm_cursor c = tm_cursor_of(tm_cass_cell(&l->keyspaces, i, "replication"));
		uint32_t n = tm_cursor_be32(&c);
		for (uint32_t k = 0; k < n && tm_cursor_ok(&c); k++) {
			struct tm_str key, value;
			int64_t factor;
			if (!list_item(&c, &key) || !list_item(&c, &value))
				break;
			if (tm_str_is(key, "class"))
				ret.simple = tm_str_ends(value, TM_STR("SimpleStrategy"));
			else if ((tm_str_is(key, "replication_factor") || tm_str_is(key, state.data_center)) &&
				 tm_str_to_i64(value, &factor) && factor >= 0 && factor < 1000)
				ret.factor = (int)factor;
		}
	}
	return ret;
}

static struct tm_outside_def *def_new(struct tm_outside *o, const struct look *l, size_t row)
{
	struct tm_str keyspace = tm_cass_cell(&l->tables, row, "keyspace_name"), name = tm_cass_cell(&l->tables, row, "table_name"),
		      id = tm_cass_cell(&l->tables, row, "id");
	struct tm_outside_def *d = tm_zalloc(sizeof *d);
	struct {
		struct tm_table_column *items;
		size_t count, cap;
	} columns = {0};
	d->refs = 1;
	tm_arena_init(&d->arena);
	d->def = (struct tm_table_def){.keyspace = tm_arena_str(&d->arena, keyspace),
				       .name = tm_arena_str(&d->arena, name),
				       .default_ttl = cell_int(&l->tables, row, "default_time_to_live"),
				       .comment = tm_arena_str(&d->arena, tm_cass_cell(&l->tables, row, "comment"))};
	if (id.len == 16)
		memcpy(d->def.id, id.at, 16);
	d->replication = replication_of(o, l, keyspace);
	for (size_t i = 0; i < l->columns.row_count; i++) {
		struct tm_table_column c = {0};
		if (!tm_str_eq(tm_cass_cell(&l->columns, i, "table_name"), name) ||
		    !tm_str_eq(tm_cass_cell(&l->columns, i, "keyspace_name"), keyspace) ||
		    !column_kind(tm_cass_cell(&l->columns, i, "kind"), &c.kind))
			continue;
		c.name = tm_arena_str(&d->arena, tm_cass_cell(&l->columns, i, "column_name"));
		c.position = c.kind <= TM_COLUMN_CLUSTERING ? (size_t)cell_int(&l->columns, i, "position") : 0;
		c.type = tm_outside_type(tm_cass_cell(&l->columns, i, "type"), keyspace, &l->types);
		if (!c.type) /* one that only the server knows: its bytes */
			c.type = tm_type_native(TM_CQL_BLOB);
		if (tm_str_is(tm_cass_cell(&l->columns, i, "clustering_order"), "desc"))
			c.type = tm_type_reversed(c.type, true);
		d->def.partition_key_count += c.kind == TM_COLUMN_PARTITION_KEY;
		d->def.clustering_count += c.kind == TM_COLUMN_CLUSTERING;
		TM_PUSH_IN(&d->arena, &columns, c);
	}
	if (columns.count)
		qsort(columns.items, columns.count, sizeof *columns.items, column_order);
	d->def.columns = columns.items;
	d->def.column_count = columns.count;
	return d;
}

static bool same_shape(const struct tm_outside_def *a, const struct tm_outside_def *b)
{
	if (memcmp(a->def.id, b->def.id, 16) != 0 || a->def.column_count != b->def.column_count ||
	    a->def.default_ttl != b->def.default_ttl || a->replication.factor != b->replication.factor ||
	    a->replication.simple != b->replication.simple)
		return false;
	for (size_t i = 0; i < a->def.column_count; i++) {
		const struct tm_table_column *x = &a->def.columns[i], *y = &b->def.columns[i];
		if (x->kind != y->kind || x->position != y->position || x->type != y->type || !tm_str_eq(x->name, y->name))
			return false;
	}
	return true;
}

static tm_rc look(struct tm_outside *o, struct tm_str keyspace, struct look *l, struct tm_err *err)
{
	static const char *const texts[] = {
	    "SELECT keyspace_name, replication FROM system_schema.keyspaces",
	    "SELECT keyspace_name, table_name, id, default_time_to_live, comment FROM system_schema.tables",
	    "SELECT keyspace_name, table_name, column_name, kind, position, type, clustering_order FROM system_schema.columns",
	    "SELECT keyspace_name, type_name, field_names, field_types FROM system_schema.types"};
	struct tm_cass_call calls[4] = {0};
	struct tm_cql_result *results[4] = {&l->keyspaces, &l->tables, &l->columns, &l->types};
	const struct tm_cql_value value = {.bytes = keyspace};
	struct tm_err own = {0};
	for (size_t i = 0; i < 4; i++) {
		struct tm_str text = tm_arena_printf(&l->arena, "%s WHERE keyspace_name = ?", texts[i]);
		calls[i] = (struct tm_cass_call){.request = {.opcode = TM_CASS_QUERY, .text = text},
						 .arena = &l->arena,
						 .idempotent = true,
						 .timeout_ms = SCHEMA_TIMEOUT_MS,
						 .err = &own};
		tm_cass_options_init(&calls[i].request.options);
		calls[i].request.options.values = &value;
		calls[i].request.options.value_count = 1;
	}
	tm_cass_run(o->session, calls, 4, NULL);
	for (size_t i = 0; i < 4; i++) {
		if (calls[i].rc) {
			if (err)
				*err = own;
			return calls[i].rc;
		}
		*results[i] = calls[i].response.result;
	}
	return TM_OK;
}

/* Those of the keyspace become what was found; equal ones stay the ones they are. */
static void replace_locked(struct tm_outside *o, struct tm_str keyspace, struct tm_outside_def **fresh, size_t n, uint64_t schema)
{
	size_t kept = 0;
	for (size_t i = 0; i < o->defs.count; i++) {
		struct tm_outside_def *old = o->defs.items[i];
		bool concerned = tm_str_eq(old->def.keyspace, keyspace), stays = !concerned;
		for (size_t k = 0; concerned && k < n && !stays; k++)
			if (fresh[k] && tm_str_eq(fresh[k]->def.keyspace, old->def.keyspace) &&
			    tm_str_eq(fresh[k]->def.name, old->def.name) && same_shape(fresh[k], old)) {
				def_unref(fresh[k]);
				fresh[k] = NULL;
				stays = true;
			}
		if (stays)
			o->defs.items[kept++] = old;
		else
			def_unref(old);
	}
	o->defs.count = kept;
	for (size_t k = 0; k < n; k++)
		if (fresh[k])
			TM_PUSH(&o->defs, fresh[k]);
	for (size_t i = 0; i < o->loaded.count; i++)
		if (tm_str_eq(o->loaded.items[i].keyspace, keyspace)) {
			o->loaded.items[i].schema = schema;
			return;
		}
	TM_PUSH(&o->loaded, (struct tm_outside_loaded){tm_arena_str(&o->arena, keyspace), schema});
}

static bool loaded_locked(const struct tm_outside *o, struct tm_str keyspace, uint64_t schema)
{
	for (size_t i = 0; i < o->loaded.count; i++)
		if (tm_str_eq(o->loaded.items[i].keyspace, keyspace) && o->loaded.items[i].schema == schema)
			return true;
	return false;
}

static tm_rc load(struct tm_outside *o, struct tm_str keyspace, struct tm_err *err)
{
	uint64_t schema = tm_cass_session_schema(o->session); /* before the look: what changes during it is looked at again */
	struct look l = {0};
	pthread_mutex_lock(&o->lock);
	bool there = loaded_locked(o, keyspace, schema);
	pthread_mutex_unlock(&o->lock);
	if (there)
		return TM_OK;
	tm_arena_init(&l.arena);
	tm_rc rc = look(o, keyspace, &l, err);
	if (!rc) {
		struct tm_outside_def **fresh = TM_NEW_N(&l.arena, struct tm_outside_def *, l.tables.row_count + 1);
		size_t n = 0;
		for (size_t i = 0; i < l.tables.row_count; i++)
			fresh[n++] = def_new(o, &l, i);
		pthread_mutex_lock(&o->lock);
		replace_locked(o, keyspace, fresh, n, schema);
		pthread_mutex_unlock(&o->lock);
	}
	tm_arena_done(&l.arena);
	return rc;
}

static void uses_locked(struct tm_outside *o, struct tm_str keyspace)
{
	for (size_t i = 0; i < o->used.count; i++)
		if (tm_str_eq(o->used.items[i], keyspace))
			return;
	TM_PUSH(&o->used, tm_str_dup(keyspace));
}

tm_rc tm_outside_table(struct tm_tables *t, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret, struct tm_err *err)
{
	struct tm_outside *o = (struct tm_outside *)t;
	TM_TRY(load(o, keyspace, err));
	struct tm_outside_def *found = NULL;
	pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < o->defs.count; i++)
		if (tm_str_eq(o->defs.items[i]->def.keyspace, keyspace) && tm_str_eq(o->defs.items[i]->def.name, name))
			found = o->defs.items[i];
	if (found) {
		found->refs++;
		uses_locked(o, keyspace);
	}
	pthread_mutex_unlock(&o->lock);
	if (!found)
		return tm_fail(err, TM_NOT_FOUND, "%s has no table %.*s.%.*s", t->address, TM_STR_ARG(keyspace), TM_STR_ARG(name));
	*ret = &found->def;
	return TM_OK;
}

void tm_outside_unref(struct tm_tables *t, const struct tm_table_def *def)
{
	struct tm_outside *o = (struct tm_outside *)t;
	pthread_mutex_lock(&o->lock);
	def_unref((struct tm_outside_def *)(uintptr_t)def);
	pthread_mutex_unlock(&o->lock);
}

static int by_name(const void *a, const void *b)
{
	const struct tm_table_def *x = *(const struct tm_table_def *const *)a, *y = *(const struct tm_table_def *const *)b;
	int c = tm_str_cmp(x->keyspace, y->keyspace);
	return c ? c : tm_str_cmp(x->name, y->name);
}

void tm_outside_uses(struct tm_tables *t, struct tm_str keyspace)
{
	struct tm_outside *o = (struct tm_outside *)t;
	pthread_mutex_lock(&o->lock);
	uses_locked(o, keyspace);
	pthread_mutex_unlock(&o->lock);
}

tm_rc tm_outside_list(struct tm_tables *t, const struct tm_table_def ***ret, size_t *ret_count, struct tm_err *err)
{
	struct tm_outside *o = (struct tm_outside *)t;
	for (size_t i = 0;; i++) {
		pthread_mutex_lock(&o->lock);
		struct tm_str keyspace = i < o->used.count ? o->used.items[i] : (struct tm_str){0};
		pthread_mutex_unlock(&o->lock);
		if (!keyspace.at)
			break;
		TM_TRY(load(o, keyspace, err));
	}
	pthread_mutex_lock(&o->lock);
	const struct tm_table_def **list = tm_zalloc(tm_mul_size(o->defs.count + 1, sizeof *list));
	size_t n = 0;
	for (size_t i = 0; i < o->defs.count; i++)
		for (size_t k = 0; k < o->used.count; k++)
			if (tm_str_eq(o->used.items[k], o->defs.items[i]->def.keyspace)) {
				o->defs.items[i]->refs++;
				list[n++] = &o->defs.items[i]->def;
			}
	pthread_mutex_unlock(&o->lock);
	if (n)
		qsort(list, n, sizeof *list, by_name);
	*ret = list;
	*ret_count = n;
	return TM_OK;
}

void tm_outside_defs_done(struct tm_outside *o)
{
	for (size_t i = 0; i < o->defs.count; i++)
		def_unref(o->defs.items[i]);
	for (size_t i = 0; i < o->used.count; i++)
		free((void *)o->used.items[i].at);
	free(o->used.items);
	free(o->defs.items);
	free(o->loaded.items);
}
