/* Snapshots of the schema and its changes. A change builds a whole new snapshot (tables are shared by reference), writes the
 * changed entries to the meta family with sync, and swaps the pointer. Types and keyspaces have an entry each, tables too. */
#include "table/schema_int.h"
#include <stdlib.h>

static struct tm_map_entry default_caching[] = {{TM_STR("keys"), TM_STR("ALL")}, {TM_STR("rows_per_partition"), TM_STR("NONE")}};
static struct tm_map_entry default_compaction[] = {
    {TM_STR("class"), TM_STR("org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy")},
    {TM_STR("max_threshold"), TM_STR("32")},
    {TM_STR("min_threshold"), TM_STR("4")},
};
static struct tm_map_entry default_compression[] = {
    {TM_STR("chunk_length_in_kb"), TM_STR("16")},
    {TM_STR("class"), TM_STR("org.apache.cassandra.io.compress.LZ4Compressor")},
};
const struct tm_table_params tm_table_params_default = {
    .comment = TM_STR(""),
    .additional_write_policy = TM_STR("99p"),
    .speculative_retry = TM_STR("99p"),
    .read_repair = TM_STR("BLOCKING"),
    .memtable = TM_STR("default"),
    .bloom_filter_fp_chance = 0.01,
    .crc_check_chance = 1.0,
    .gc_grace_seconds = 864000,
    .min_index_interval = 128,
    .max_index_interval = 2048,
    .allow_auto_snapshot = true,
    .incremental_backups = true,
    .caching = {default_caching, 2},
    .compaction = {default_compaction, 3},
    .compression = {default_compression, 2},
};

/* ---- look-ups ---- */
size_t tm_table_column_index(const struct tm_table_def *def, struct tm_str name)
{
	for (size_t i = 0; i < def->column_count; i++)
		if (tm_str_eq(def->columns[i].name, name))
			return i;
	return SIZE_MAX;
}

size_t tm_table_column_by_id(const struct tm_table *table, uint32_t id)
{
	for (size_t i = 0; i < table->def.column_count; i++)
		if (table->column_id[i] == id)
			return i;
	return SIZE_MAX;
}

const struct tm_keyspace *tm_schema_keyspace(const struct tm_schema *schema, struct tm_str name)
{
	for (size_t i = 0; i < schema->keyspace_count; i++)
		if (tm_str_eq(schema->keyspaces[i].name, name))
			return &schema->keyspaces[i];
	return NULL;
}

const struct tm_table *tm_keyspace_table(const struct tm_keyspace *ks, struct tm_str name)
{
	for (size_t i = 0; i < ks->table_count; i++)
		if (tm_str_eq(ks->tables[i]->def.name, name))
			return ks->tables[i];
	return NULL;
}

const struct tm_cql_type *tm_keyspace_type(const struct tm_keyspace *ks, struct tm_str name)
{
	for (size_t i = 0; i < ks->type_count; i++)
		if (tm_str_eq(ks->types[i]->name, name))
			return ks->types[i];
	return NULL;
}

/* ---- references ---- */
static void table_unref_locked(struct tm_table *table)
{
	if (--table->refs > 0)
		return;
	struct tm_arena arena = table->arena; /* the table lives in it */
	tm_arena_done(&arena);
}

static void schema_unref_locked(struct tm_schema *schema)
{
	if (!schema || --schema->refs > 0)
		return;
	for (size_t i = 0; i < schema->keyspace_count; i++)
		for (size_t j = 0; j < schema->keyspaces[i].table_count; j++)
			table_unref_locked((struct tm_table *)schema->keyspaces[i].tables[j]);
	struct tm_arena arena = schema->arena;
	tm_arena_done(&arena);
}

const struct tm_schema *tm_store_schema(struct tm_store *store)
{
	pthread_mutex_lock(&store->schema_lock);
	struct tm_schema *s = store->schema;
	s->refs++;
	pthread_mutex_unlock(&store->schema_lock);
	return s;
}

void tm_schema_unref(struct tm_store *store, const struct tm_schema *schema)
{
	if (!schema)
		return;
	pthread_mutex_lock(&store->schema_lock);
	schema_unref_locked((struct tm_schema *)schema);
	pthread_mutex_unlock(&store->schema_lock);
}

uint64_t tm_store_schema_sequence(struct tm_store *store) { return atomic_load_explicit(&store->schema_sequence, memory_order_acquire); }

const struct tm_table_def *tm_store_table(struct tm_store *store, struct tm_str keyspace, struct tm_str name)
{
	pthread_mutex_lock(&store->schema_lock);
	const struct tm_keyspace *ks = tm_schema_keyspace(store->schema, keyspace);
	struct tm_table *t = ks ? (struct tm_table *)tm_keyspace_table(ks, name) : NULL;
	if (t)
		t->refs++;
	pthread_mutex_unlock(&store->schema_lock);
	return t ? &t->def : NULL;
}

void tm_table_def_unref(struct tm_store *store, const struct tm_table_def *def)
{
	if (!def)
		return;
	pthread_mutex_lock(&store->schema_lock);
	table_unref_locked((struct tm_table *)def);
	pthread_mutex_unlock(&store->schema_lock);
}

size_t tm_store_tables(struct tm_store *store, const struct tm_table_def ***ret)
{
	pthread_mutex_lock(&store->schema_lock);
	const struct tm_schema *s = store->schema;
	size_t n = 0;
	for (size_t i = 0; i < s->keyspace_count; i++)
		n += s->keyspaces[i].table_count;
	const struct tm_table_def **list = tm_alloc((n + 1) * sizeof *list);
	n = 0;
	for (size_t i = 0; i < s->keyspace_count; i++)
		for (size_t j = 0; j < s->keyspaces[i].table_count; j++) {
			struct tm_table *t = (struct tm_table *)s->keyspaces[i].tables[j];
			t->refs++;
			list[n++] = &t->def;
		}
	pthread_mutex_unlock(&store->schema_lock);
	*ret = list;
	return n;
}

void tm_store_ddl_lock(struct tm_store *store) { pthread_mutex_lock(&store->ddl); }
void tm_store_ddl_unlock(struct tm_store *store) { pthread_mutex_unlock(&store->ddl); }

/* ---- building the next snapshot ---- */
static void copy_map(struct tm_arena *arena, const struct tm_map *from, struct tm_map *to)
{
	struct tm_map_entry *e = TM_NEW_N(arena, struct tm_map_entry, from->count + 1);
	for (size_t i = 0; i < from->count; i++)
		e[i] = (struct tm_map_entry){tm_arena_str(arena, from->entries[i].key), tm_arena_str(arena, from->entries[i].value)};
	*to = (struct tm_map){e, from->count};
}

static int column_cmp(const void *a, const void *b)
{
	const struct tm_table_column *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == TM_COLUMN_PARTITION_KEY || x->kind == TM_COLUMN_CLUSTERING)
		return (x->position > y->position) - (x->position < y->position);
	return tm_str_cmp(x->name, y->name);
}

static void copy_columns(struct tm_table *t, const struct tm_table *spec)
{
	struct tm_arena *a = &t->arena;
	size_t n = spec->def.column_count;
	struct tm_table_column *columns = TM_NEW_N(a, struct tm_table_column, n);
	uint32_t *ids = TM_NEW_N(a, uint32_t, n);
	for (size_t i = 0; i < n; i++) {
		columns[i] = spec->def.columns[i];
		columns[i].name = tm_arena_str(a, columns[i].name);
	}
	qsort(columns, n, sizeof *columns, column_cmp);
	for (size_t i = 0; i < n; i++) {
		uint32_t id = UINT32_MAX;
		for (size_t j = 0; spec->column_id && j < n; j++)
			if (tm_str_eq(spec->def.columns[j].name, columns[i].name))
				id = spec->column_id[j];
		ids[i] = id == UINT32_MAX ? t->next_column_id++ : id;
		t->def.partition_key_count += columns[i].kind == TM_COLUMN_PARTITION_KEY;
		t->def.clustering_count += columns[i].kind == TM_COLUMN_CLUSTERING;
		t->has_static |= columns[i].kind == TM_COLUMN_STATIC;
		t->counter |= columns[i].type->kind == TM_CQL_COUNTER;
		t->compact_value |= columns[i].kind == TM_COLUMN_CLUSTERING && !tm_value_order_is_exact(columns[i].type);
	}
	t->def.columns = columns;
	t->def.column_count = n;
	t->column_id = ids;
}

struct tm_table *tm_table_build(const struct tm_table *spec)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_table *t = TM_NEW(&arena, struct tm_table);
	t->arena = arena;
	struct tm_arena *a = &t->arena;
	t->refs = 1;
	t->number = spec->number;
	t->next_column_id = spec->next_column_id;
	t->def.keyspace = tm_arena_str(a, spec->def.keyspace);
	t->def.name = tm_arena_str(a, spec->def.name);
	memcpy(t->def.id, spec->def.id, 16);
	copy_columns(t, spec);
	t->params = spec->params;
	struct tm_table_params *p = &t->params;
	struct tm_str *texts[] = {&p->comment, &p->additional_write_policy, &p->speculative_retry, &p->read_repair, &p->memtable};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = tm_arena_str(a, *texts[i]);
	struct tm_map *maps[] = {&p->caching, &p->compaction, &p->compression, &p->extensions};
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		copy_map(a, maps[i], maps[i]);
	t->def.default_ttl = p->default_time_to_live;
	t->def.comment = p->comment;
	struct tm_index *ix = TM_NEW_N(a, struct tm_index, spec->index_count + 1);
	for (size_t i = 0; i < spec->index_count; i++) {
		ix[i] = spec->indexes[i];
		ix[i].name = tm_arena_str(a, ix[i].name);
		ix[i].column = tm_arena_str(a, ix[i].column);
		ix[i].class_name = tm_arena_str(a, ix[i].class_name);
		ix[i].target = tm_arena_str(a, ix[i].target);
		copy_map(a, &ix[i].options, &ix[i].options);
	}
	t->indexes = ix;
	t->index_count = spec->index_count;
	struct tm_dropped_column *d = TM_NEW_N(a, struct tm_dropped_column, spec->dropped_count + 1);
	for (size_t i = 0; i < spec->dropped_count; i++) {
		d[i] = spec->dropped[i];
		d[i].name = tm_arena_str(a, d[i].name);
	}
	t->dropped = d;
	t->dropped_count = spec->dropped_count;
	return t;
}

/* A draft of the next snapshot: all of the old one, to be changed in place, then published or thrown away. */
struct draft {
	struct tm_schema *schema;
	struct tm_keyspace *keyspaces; /* room for one more, and in each for one more table and type */
};

static struct draft draft_of(struct tm_store *store)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_schema *s = TM_NEW(&arena, struct tm_schema);
	s->arena = arena;
	const struct tm_schema *old = store->schema;
	size_t n = old ? old->keyspace_count : 0;
	struct tm_keyspace *ks = TM_NEW_N(&s->arena, struct tm_keyspace, n + 1);
	pthread_mutex_lock(&store->schema_lock);
	for (size_t i = 0; i < n; i++) {
		const struct tm_keyspace *k = &old->keyspaces[i];
		ks[i] = *k;
		ks[i].name = tm_arena_str(&s->arena, k->name);
		copy_map(&s->arena, &k->replication, &ks[i].replication);
		const struct tm_table **tables = TM_NEW_N(&s->arena, const struct tm_table *, k->table_count + 1);
		const struct tm_cql_type **types = TM_NEW_N(&s->arena, const struct tm_cql_type *, k->type_count + 1);
		for (size_t j = 0; j < k->table_count; j++) {
			tables[j] = k->tables[j];
			((struct tm_table *)tables[j])->refs++;
		}
		tm_copy(types, k->types, k->type_count * sizeof *types);
		ks[i].tables = tables;
		ks[i].types = types;
	}
	pthread_mutex_unlock(&store->schema_lock);
	s->keyspaces = ks;
	s->keyspace_count = n;
	s->refs = 1;
	return (struct draft){s, ks};
}

static void draft_drop(struct tm_store *store, struct draft *d) { tm_schema_unref(store, d->schema); }

static struct tm_keyspace *draft_keyspace(struct draft *d, struct tm_str name)
{
	return (struct tm_keyspace *)tm_schema_keyspace(d->schema, name);
}

static void grace_set(struct tm_store *store, const struct tm_schema *s)
{
	pthread_rwlock_wrlock(&store->grace_lock);
	for (size_t i = 0; i < s->keyspace_count; i++)
		for (size_t j = 0; j < s->keyspaces[i].table_count; j++) {
			const struct tm_table *t = s->keyspaces[i].tables[j];
			if (t->number >= store->grace_count) {
				size_t n = t->number * 2 + 16;
				store->grace = tm_realloc(store->grace, n * sizeof *store->grace);
				for (size_t k = store->grace_count; k < n; k++)
					store->grace[k] = 864000;
				store->grace_count = n;
			}
			store->grace[t->number] = t->params.gc_grace_seconds;
		}
	pthread_rwlock_unlock(&store->grace_lock);
}

static void publish(struct tm_store *store, struct draft *d)
{
	tm_schema_digest(d->schema);
	grace_set(store, d->schema);
	pthread_mutex_lock(&store->schema_lock);
	struct tm_schema *old = store->schema;
	d->schema->sequence = (old ? old->sequence : 0) + 1;
	store->schema = d->schema;
	schema_unref_locked(old);
	pthread_mutex_unlock(&store->schema_lock);
	atomic_store_explicit(&store->schema_sequence, d->schema->sequence, memory_order_release);
	atomic_fetch_add(&store->version, 1);
}

/* Writes the batch, then publishes; throws the draft away when the disk says no. */
static tm_rc finish(struct tm_store *store, struct draft *d, rocksdb_writebatch_t *wb, struct tm_err *err)
{
	char *message = NULL;
	rocksdb_write(store->db, store->sync_options, wb, &message);
	rocksdb_writebatch_destroy(wb);
	if (message) {
		draft_drop(store, d);
		return tm_store_failed(message, "cannot write the schema", err);
	}
	publish(store, d);
	return TM_OK;
}

static void put_entry(struct tm_store *store, rocksdb_writebatch_t *wb, char kind, struct tm_str keyspace, struct tm_str name,
		      const struct tm_buf *value)
{
	struct tm_buf k = {0};
	tm_schema_entry_key(&k, kind, keyspace, name);
	if (value)
		rocksdb_writebatch_put_cf(wb, store->family[TM_FAMILY_META], k.at, k.len, value->at, value->len);
	else
		rocksdb_writebatch_delete_cf(wb, store->family[TM_FAMILY_META], k.at, k.len);
	tm_buf_done(&k);
}

static void write_table(struct tm_store *store, rocksdb_writebatch_t *wb, const struct tm_table *t)
{
	struct tm_buf v = {0};
	tm_schema_table_encode(t, &v);
	put_entry(store, wb, 't', t->def.keyspace, t->def.name, &v);
	tm_buf_done(&v);
}

static void write_number(struct tm_store *store, rocksdb_writebatch_t *wb)
{
	struct tm_buf v = {0};
	tm_buf_be32(&v, store->next_number);
	put_entry(store, wb, 'n', (struct tm_str){0}, (struct tm_str){0}, &v);
	tm_buf_done(&v);
}

static void delete_rows(struct tm_store *store, rocksdb_writebatch_t *wb, uint32_t number)
{
	struct tm_buf from = {0}, to = {0};
	tm_key_table(&from, number);
	tm_key_table(&to, number + 1);
	rocksdb_writebatch_delete_range_cf(wb, store->family[TM_FAMILY_DATA], from.at, from.len, to.at, to.len);
	tm_buf_done(&from);
	tm_buf_done(&to);
}

/* Puts, replaces or (table NULL) removes a table of a draft keyspace, in name order. */
static void draft_table(struct tm_store *store, struct tm_keyspace *ks, struct tm_str name, struct tm_table *table)
{
	const struct tm_table **list = (const struct tm_table **)ks->tables;
	size_t i = 0;
	while (i < ks->table_count && tm_str_cmp(list[i]->def.name, name) < 0)
		i++;
	bool there = i < ks->table_count && tm_str_eq(list[i]->def.name, name);
	pthread_mutex_lock(&store->schema_lock);
	if (there && table) {
		((struct tm_table *)list[i])->refs--; /* the old snapshot still holds it */
		list[i] = table;
	} else if (there) {
		((struct tm_table *)list[i])->refs--;
		tm_move(&list[i], &list[i + 1], (--ks->table_count - i) * sizeof *list);
	} else if (table) {
		tm_move(&list[i + 1], &list[i], (ks->table_count++ - i) * sizeof *list);
		list[i] = table;
	}
	pthread_mutex_unlock(&store->schema_lock);
}

tm_rc tm_store_keyspace_put(struct tm_store *store, struct tm_str name, const struct tm_map *replication, bool durable_writes,
			    struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, name);
	if (!ks) {
		size_t i = 0, n = d.schema->keyspace_count++;
		while (i < n && tm_str_cmp(d.keyspaces[i].name, name) < 0)
			i++;
		tm_move(&d.keyspaces[i + 1], &d.keyspaces[i], (n - i) * sizeof *d.keyspaces);
		ks = &d.keyspaces[i];
		*ks = (struct tm_keyspace){.name = tm_arena_str(&d.schema->arena, name)};
		ks->tables = TM_NEW_N(&d.schema->arena, const struct tm_table *, 1);
		ks->types = TM_NEW_N(&d.schema->arena, const struct tm_cql_type *, 1);
	}
	copy_map(&d.schema->arena, replication, &ks->replication);
	ks->durable_writes = durable_writes;
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	struct tm_buf v = {0};
	tm_schema_keyspace_encode(ks, &v);
	put_entry(store, wb, 'k', name, (struct tm_str){0}, &v);
	tm_buf_done(&v);
	return finish(store, &d, wb, err);
}

tm_rc tm_store_keyspace_drop(struct tm_store *store, struct tm_str name, struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, name);
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	if (ks) {
		put_entry(store, wb, 'k', name, (struct tm_str){0}, NULL);
		for (size_t i = 0; i < ks->type_count; i++)
			put_entry(store, wb, 'u', name, ks->types[i]->name, NULL);
		while (ks->table_count) {
			const struct tm_table *t = ks->tables[0];
			put_entry(store, wb, 't', name, t->def.name, NULL);
			delete_rows(store, wb, t->number);
			draft_table(store, ks, t->def.name, NULL);
		}
		tm_move(ks, ks + 1, (size_t)(&d.keyspaces[d.schema->keyspace_count--] - (ks + 1)) * sizeof *ks);
	}
	return finish(store, &d, wb, err);
}

/* Tables and types of a draft keyspace that mention udt (or what it was called before) take its new form. */
static void follow_type(struct tm_store *store, rocksdb_writebatch_t *wb, struct tm_keyspace *ks, const struct tm_cql_type *udt)
{
	const struct tm_cql_type **types = (const struct tm_cql_type **)ks->types;
	for (size_t i = 0; i < ks->type_count; i++) {
		const struct tm_cql_type *now = tm_type_with_udt(types[i], udt);
		if (now != types[i]) {
			types[i] = now;
			struct tm_buf v = {0};
			tm_schema_type_encode(now, &v);
			put_entry(store, wb, 'u', ks->name, now->name, &v);
			tm_buf_done(&v);
		}
	}
	for (size_t i = 0; i < ks->table_count; i++) {
		const struct tm_table *t = ks->tables[i];
		bool touched = false;
		struct tm_table spec = *t;
		struct tm_table_column *columns = tm_alloc(t->def.column_count * sizeof *columns);
		for (size_t j = 0; j < t->def.column_count; j++) {
			columns[j] = t->def.columns[j];
			columns[j].type = tm_type_with_udt(columns[j].type, udt);
			touched |= columns[j].type != t->def.columns[j].type;
		}
		spec.def.columns = columns;
		if (touched) {
			struct tm_table *now = tm_table_build(&spec);
			draft_table(store, ks, t->def.name, now);
			write_table(store, wb, now);
		}
		free(columns);
	}
}

tm_rc tm_store_type_put(struct tm_store *store, const struct tm_cql_type *udt, struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, udt->keyspace);
	TM_ASSERT(ks);
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	const struct tm_cql_type **types = (const struct tm_cql_type **)ks->types;
	size_t i = 0;
	while (i < ks->type_count && tm_str_cmp(types[i]->name, udt->name) < 0)
		i++;
	if (i < ks->type_count && tm_str_eq(types[i]->name, udt->name)) {
		follow_type(store, wb, ks, udt);
	} else {
		tm_move(&types[i + 1], &types[i], (ks->type_count++ - i) * sizeof *types);
		types[i] = udt;
	}
	struct tm_buf v = {0};
	tm_schema_type_encode(udt, &v);
	put_entry(store, wb, 'u', udt->keyspace, udt->name, &v);
	tm_buf_done(&v);
	return finish(store, &d, wb, err);
}

tm_rc tm_store_type_drop(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, keyspace);
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	const struct tm_cql_type **types = (const struct tm_cql_type **)ks->types;
	for (size_t i = 0; i < ks->type_count; i++)
		if (tm_str_eq(types[i]->name, name)) {
			tm_move(&types[i], &types[i + 1], (--ks->type_count - i) * sizeof *types);
			break;
		}
	put_entry(store, wb, 'u', keyspace, name, NULL);
	return finish(store, &d, wb, err);
}

tm_rc tm_store_table_put(struct tm_store *store, const struct tm_table *spec, struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, spec->def.keyspace);
	TM_ASSERT(ks);
	struct tm_table made = *spec;
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	if (!made.number) {
		made.number = store->next_number++;
		write_number(store, wb);
	}
	static const uint8_t none[16];
	if (memcmp(made.def.id, none, 16) == 0) { /* a time UUID, as Cassandra gives */
		uint64_t t = (uint64_t)tm_store_timestamp_us(store) * 10 + 0x01B21DD213814000ull;
		uint64_t m = t << 32 | (t >> 16 & 0xFFFF0000ull) | 0x1000 | t >> 48;
		m = __builtin_bswap64(m);
		tm_random(store->env, made.def.id + 8, 8);
		memcpy(made.def.id, &m, 8);
		made.def.id[8] = (uint8_t)((made.def.id[8] & 0x3F) | 0x80);
	}
	struct tm_table *t = tm_table_build(&made);
	draft_table(store, ks, t->def.name, t);
	write_table(store, wb, t);
	return finish(store, &d, wb, err);
}

tm_rc tm_store_table_drop(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err)
{
	struct draft d = draft_of(store);
	struct tm_keyspace *ks = draft_keyspace(&d, keyspace);
	rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
	const struct tm_table *t = ks ? tm_keyspace_table(ks, name) : NULL;
	if (t) {
		put_entry(store, wb, 't', keyspace, name, NULL);
		delete_rows(store, wb, t->number);
		draft_table(store, ks, name, NULL);
	}
	return finish(store, &d, wb, err);
}

tm_rc tm_store_table_truncate(struct tm_store *store, struct tm_str keyspace, struct tm_str name, struct tm_err *err)
{
	const struct tm_schema *s = tm_store_schema(store);
	const struct tm_keyspace *ks = tm_schema_keyspace(s, keyspace);
	const struct tm_table *t = ks ? tm_keyspace_table(ks, name) : NULL;
	tm_rc rc = TM_OK;
	if (t) {
		rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
		delete_rows(store, wb, t->number);
		char *message = NULL;
		rocksdb_write(store->db, store->sync_options, wb, &message);
		rocksdb_writebatch_destroy(wb);
		if (message)
			rc = tm_store_failed(message, "cannot truncate", err);
		atomic_fetch_add(&store->version, 1);
	}
	tm_schema_unref(store, s);
	return rc;
}

/* ---- opening ---- */
static tm_rc load_entry(struct tm_store *store, struct draft *d, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct tm_arena *a = &d->schema->arena;
	struct tm_str parts[2];
	char kind;
	if (!tm_schema_entry_split(key, &kind, &parts[0], &parts[1]))
		return tm_fail(err, TM_CORRUPT, "the table store's schema has a key that is none");
	if (kind == 'n') {
		struct tm_cursor c = tm_cursor_of(value);
		store->next_number = tm_cursor_be32(&c);
		return c.bad ? tm_fail(err, TM_CORRUPT, "the table store's schema has a bad table counter") : TM_OK;
	}
	if (kind == 'k') { /* entries come in the order k, n, t, u: keyspaces first */
		struct tm_keyspace *grown = TM_NEW_N(a, struct tm_keyspace, d->schema->keyspace_count + 1);
		tm_copy(grown, d->keyspaces, d->schema->keyspace_count * sizeof *grown);
		struct tm_keyspace *ks = &grown[d->schema->keyspace_count++];
		d->schema->keyspaces = d->keyspaces = grown;
		ks->name = tm_arena_str(a, parts[0]);
		return tm_schema_keyspace_decode(value, a, ks)
			   ? TM_OK
			   : tm_fail(err, TM_CORRUPT, "the schema of keyspace %.*s is damaged", TM_STR_ARG(parts[0]));
	}
	struct tm_keyspace *ks = draft_keyspace(d, parts[0]);
	if (!ks)
		return tm_fail(err, TM_CORRUPT, "the schema of %.*s.%.*s has no keyspace", TM_STR_ARG(parts[0]), TM_STR_ARG(parts[1]));
	if (kind == 'u') {
		const struct tm_cql_type **types = TM_NEW_N(a, const struct tm_cql_type *, ks->type_count + 1);
		tm_copy(types, ks->types, ks->type_count * sizeof *types);
		const struct tm_cql_type *t = tm_schema_type_decode(value);
		if (!t || t->kind != TM_CQL_UDT)
			return tm_fail(err, TM_CORRUPT, "the schema of type %.*s.%.*s is damaged", TM_STR_ARG(parts[0]),
				       TM_STR_ARG(parts[1]));
		types[ks->type_count++] = t;
		ks->types = types;
		return TM_OK;
	}
	struct tm_table *t = kind == 't' ? tm_schema_table_decode(value, parts[0], parts[1]) : NULL;
	if (!t)
		return tm_fail(err, TM_CORRUPT, "the schema of table %.*s.%.*s is damaged", TM_STR_ARG(parts[0]), TM_STR_ARG(parts[1]));
	const struct tm_table **tables = TM_NEW_N(a, const struct tm_table *, ks->table_count + 1);
	tm_copy(tables, ks->tables, ks->table_count * sizeof *tables);
	tables[ks->table_count++] = t;
	ks->tables = tables;
	return TM_OK;
}

tm_rc tm_store_schema_load(struct tm_store *store, struct tm_err *err)
{
	store->next_number = 1;
	struct draft d = draft_of(store);
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(store->db, store->read_options, store->family[TM_FAMILY_META]);
	tm_rc rc = TM_OK;
	for (rocksdb_iter_seek_to_first(it); rc == TM_OK && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
		struct tm_str key, value;
		key.at = rocksdb_iter_key(it, &key.len);
		value.at = rocksdb_iter_value(it, &value.len);
		rc = load_entry(store, &d, key, value, err);
	}
	char *message = NULL;
	rocksdb_iter_get_error(it, &message);
	rocksdb_iter_destroy(it);
	if (message)
		rc = tm_store_failed(message, "cannot read the schema", err);
	if (rc != TM_OK) {
		draft_drop(store, &d);
		return rc;
	}
	publish(store, &d);
	return TM_OK;
}

void tm_store_schema_free(struct tm_store *store)
{
	pthread_mutex_lock(&store->schema_lock);
	schema_unref_locked(store->schema);
	store->schema = NULL;
	pthread_mutex_unlock(&store->schema_lock);
}
