/* system_schema and system_virtual_schema, made from the store's schema and from the registered virtual tables. Those of a
 * stored look (system.local, system_schema itself) stand in system_schema, the others in system_virtual_schema. */
#include <stdlib.h>
#include "cql/cql_int.h"
#include "cql/virtual.h"

#define PK TM_COLUMN_PARTITION_KEY
#define CK TM_COLUMN_CLUSTERING
#define RE TM_COLUMN_REGULAR
#define TEXT_MAP "frozen<map<text, text>>"
#define TEXT_LIST "frozen<list<text>>"
#define COLUMNS(name, ...) static const struct tm_cql_virtual_column name[] = {__VA_ARGS__}

COLUMNS(keyspaces_columns, {"keyspace_name", "text", PK}, {"durable_writes", "boolean", RE}, {"replication", TEXT_MAP, RE});
enum {
	T_KS,
	T_NAME,
	T_AWP,
	T_SNAPSHOT,
	T_BLOOM,
	T_CACHING,
	T_CDC,
	T_COMMENT,
	T_COMPACTION,
	T_COMPRESSION,
	T_CRC,
	T_DC,
	T_TTL,
	T_EXT,
	T_FLAGS,
	T_GRACE,
	T_ID,
	T_BACKUPS,
	T_MAXIDX,
	T_MEMTABLE,
	T_FLUSH,
	T_MINIDX,
	T_REPAIR,
	T_REPAIRC,
	T_RETRY
};
#define TABLE_OPTIONS(flags)                                                                                                               \
	{"additional_write_policy", "text", RE}, {"allow_auto_snapshot", "boolean", RE}, {"bloom_filter_fp_chance", "double", RE},         \
	    {"caching", TEXT_MAP, RE}, {"cdc", "boolean", RE}, {"comment", "text", RE}, {"compaction", TEXT_MAP, RE},                      \
	    {"compression", TEXT_MAP, RE}, {"crc_check_chance", "double", RE}, {"dclocal_read_repair_chance", "double", RE},               \
	    {"default_time_to_live", "int", RE}, {"extensions", "frozen<map<text, blob>>", RE}, flags{"gc_grace_seconds", "int", RE},      \
	    {"id", "uuid", RE}, {"incremental_backups", "boolean", RE}, {"max_index_interval", "int", RE}, {"memtable", "text", RE},       \
	    {"memtable_flush_period_in_ms", "int", RE}, {"min_index_interval", "int", RE}, {"read_repair", "text", RE},                    \
	    {"read_repair_chance", "double", RE},                                                                                          \
	{                                                                                                                                  \
		"speculative_retry", "text", RE                                                                                            \
	}
#define FLAGS {"flags", "frozen<set<text>>", RE},
COLUMNS(tables_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, TABLE_OPTIONS(FLAGS));
COLUMNS(views_columns, {"keyspace_name", "text", PK}, {"view_name", "text", CK}, TABLE_OPTIONS(), {"base_table_id", "uuid", RE},
	{"base_table_name", "text", RE}, {"include_all_columns", "boolean", RE}, {"where_clause", "text", RE});
COLUMNS(columns_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"column_name", "text", CK},
	{"clustering_order", "text", RE}, {"column_name_bytes", "blob", RE}, {"kind", "text", RE}, {"position", "int", RE},
	{"type", "text", RE});
COLUMNS(masks_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"column_name", "text", CK},
	{"function_argument_nulls", "frozen<list<boolean>>", RE}, {"function_argument_types", TEXT_LIST, RE},
	{"function_argument_values", TEXT_LIST, RE}, {"function_keyspace", "text", RE}, {"function_name", "text", RE});
COLUMNS(dropped_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"column_name", "text", CK},
	{"dropped_time", "timestamp", RE}, {"kind", "text", RE}, {"type", "text", RE});
COLUMNS(triggers_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"trigger_name", "text", CK},
	{"options", TEXT_MAP, RE});
COLUMNS(types_columns, {"keyspace_name", "text", PK}, {"type_name", "text", CK}, {"field_names", TEXT_LIST, RE},
	{"field_types", TEXT_LIST, RE});
COLUMNS(functions_columns, {"keyspace_name", "text", PK}, {"function_name", "text", CK}, {"argument_types", TEXT_LIST, CK},
	{"argument_names", TEXT_LIST, RE}, {"body", "text", RE}, {"called_on_null_input", "boolean", RE}, {"language", "text", RE},
	{"return_type", "text", RE});
COLUMNS(aggregates_columns, {"keyspace_name", "text", PK}, {"aggregate_name", "text", CK}, {"argument_types", TEXT_LIST, CK},
	{"final_func", "text", RE}, {"initcond", "text", RE}, {"return_type", "text", RE}, {"state_func", "text", RE},
	{"state_type", "text", RE});
COLUMNS(indexes_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"index_name", "text", CK}, {"kind", "text", RE},
	{"options", TEXT_MAP, RE});
COLUMNS(virtual_keyspaces_columns, {"keyspace_name", "text", PK});
COLUMNS(virtual_tables_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"comment", "text", RE});
COLUMNS(virtual_columns_columns, {"keyspace_name", "text", PK}, {"table_name", "text", CK}, {"column_name", "text", CK},
	{"clustering_order", "text", RE}, {"column_name_bytes", "blob", RE}, {"kind", "text", RE}, {"position", "int", RE},
	{"type", "text", RE});

/* A walk over all tables that a system_schema table speaks of: stored ones, then virtual ones of a stored look. */
typedef void (*table_row)(struct tm_cql_rows *rows, const struct tm_table *t);
struct walk {
	struct tm_cql_rows *rows;
	table_row row;
	bool stored_look;
};

static void walk_virtual(void *ctx, const struct tm_table *t, bool stored_look)
{
	struct walk *w = ctx;
	if (stored_look == w->stored_look)
		w->row(w->rows, t);
}

static void every_table(const struct tm_cql_session *session, struct tm_cql_rows *rows, table_row row)
{
	const struct tm_schema *s = tm_store_schema(session->store);
	for (size_t i = 0; i < s->keyspace_count; i++)
		for (size_t j = 0; j < s->keyspaces[i].table_count; j++)
			row(rows, s->keyspaces[i].tables[j]);
	tm_schema_unref(session->store, s);
	cql_virtual_each(session->store, walk_virtual, &(struct walk){rows, row, true});
}

static void put_map(struct tm_cql_rows *rows, size_t column, const struct tm_map *m)
{
	struct tm_str *pairs = TM_NEW_N(rows->arena, struct tm_str, m->count * 2 + 1);
	for (size_t i = 0; i < m->count; i++) {
		pairs[i * 2] = m->entries[i].key;
		pairs[i * 2 + 1] = m->entries[i].value;
	}
	tm_cql_rows_text_map(rows, column, pairs, m->count);
}

static void put_type(struct tm_cql_rows *rows, size_t column, const struct tm_cql_type *t)
{
	struct tm_buf b = {0};
	tm_table_type_text(tm_type_reversed(t, false), &b);
	tm_cql_rows_bytes(rows, column, tm_buf_str(&b));
	tm_buf_done(&b);
}

static void two(struct tm_cql_rows *rows, struct tm_str a, struct tm_str b)
{
	tm_cql_rows_begin(rows);
	tm_cql_rows_bytes(rows, 0, a);
	tm_cql_rows_bytes(rows, 1, b);
}

struct names {
	struct tm_cql_rows *rows;
	bool stored_look;
	struct tm_str seen[32];
	size_t count;
};

static void virtual_name(void *ctx, const struct tm_table *t, bool stored_look)
{
	struct names *n = ctx;
	if (stored_look != n->stored_look || n->count == sizeof n->seen / sizeof *n->seen)
		return;
	for (size_t i = 0; i < n->count; i++)
		if (tm_str_eq(n->seen[i], t->def.keyspace))
			return;
	n->seen[n->count++] = t->def.keyspace;
	tm_cql_rows_begin(n->rows);
	tm_cql_rows_bytes(n->rows, 0, t->def.keyspace);
	if (stored_look) {
		struct tm_str local[] = {TM_STR("class"), TM_STR("org.apache.cassandra.locator.LocalStrategy")};
		struct tm_str simple[] = {TM_STR("class"), TM_STR("org.apache.cassandra.locator.SimpleStrategy"),
					  TM_STR("replication_factor"), TM_STR("1")};
		bool replicated = tm_str_is(t->def.keyspace, "system_auth") || tm_str_is(t->def.keyspace, "system_traces") ||
				  tm_str_is(t->def.keyspace, "system_distributed");
		tm_cql_rows_bool(n->rows, 1, true);
		tm_cql_rows_text_map(n->rows, 2, replicated ? simple : local, replicated ? 2 : 1);
	}
}

static tm_rc keyspaces_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	const struct tm_schema *s = tm_store_schema(session->store);
	for (size_t i = 0; i < s->keyspace_count; i++) {
		tm_cql_rows_begin(rows);
		tm_cql_rows_bytes(rows, 0, s->keyspaces[i].name);
		tm_cql_rows_bool(rows, 1, s->keyspaces[i].durable_writes);
		put_map(rows, 2, &s->keyspaces[i].replication);
	}
	tm_schema_unref(session->store, s);
	cql_virtual_each(session->store, virtual_name, &(struct names){.rows = rows, .stored_look = true});
	return TM_OK;
}

static void a_table(struct tm_cql_rows *rows, const struct tm_table *t)
{
	const struct tm_table_params *p = &t->params;
	two(rows, t->def.keyspace, t->def.name);
	tm_cql_rows_bytes(rows, T_AWP, p->additional_write_policy);
	tm_cql_rows_double(rows, T_BLOOM, p->bloom_filter_fp_chance);
	put_map(rows, T_CACHING, &p->caching);
	if (!p->allow_auto_snapshot)
		tm_cql_rows_bool(rows, T_SNAPSHOT, false);
	if (!p->incremental_backups)
		tm_cql_rows_bool(rows, T_BACKUPS, false);
	tm_cql_rows_bytes(rows, T_COMMENT, p->comment);
	put_map(rows, T_COMPACTION, &p->compaction);
	put_map(rows, T_COMPRESSION, &p->compression);
	tm_cql_rows_double(rows, T_CRC, p->crc_check_chance);
	tm_cql_rows_double(rows, T_DC, 0);
	tm_cql_rows_int(rows, T_TTL, p->default_time_to_live);
	put_map(rows, T_EXT, &p->extensions);
	struct tm_str flags[] = {TM_STR("compound"), TM_STR("counter")};
	tm_cql_rows_texts(rows, T_FLAGS, flags, t->counter ? 2 : 1);
	tm_cql_rows_int(rows, T_GRACE, p->gc_grace_seconds);
	tm_cql_rows_uuid(rows, T_ID, t->def.id);
	tm_cql_rows_int(rows, T_MAXIDX, p->max_index_interval);
	tm_cql_rows_int(rows, T_FLUSH, p->memtable_flush_period_in_ms);
	tm_cql_rows_int(rows, T_MINIDX, p->min_index_interval);
	tm_cql_rows_bytes(rows, T_REPAIR, p->read_repair);
	tm_cql_rows_double(rows, T_REPAIRC, 0);
	tm_cql_rows_bytes(rows, T_RETRY, p->speculative_retry);
}

static tm_rc tables_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	every_table(session, rows, a_table);
	return TM_OK;
}

static void the_columns(struct tm_cql_rows *rows, const struct tm_table *t)
{
	static const char *const kinds[] = {"partition_key", "clustering", "static", "regular"};
	for (size_t i = 0; i < t->def.column_count; i++) {
		const struct tm_table_column *c = &t->def.columns[i];
		two(rows, t->def.keyspace, t->def.name);
		tm_cql_rows_bytes(rows, 2, c->name);
		tm_cql_rows_text(rows, 3, c->kind != TM_COLUMN_CLUSTERING ? "none" : c->type->reversed ? "desc" : "asc");
		tm_cql_rows_bytes(rows, 4, c->name);
		tm_cql_rows_text(rows, 5, kinds[c->kind]);
		tm_cql_rows_int(rows, 6, c->kind == TM_COLUMN_PARTITION_KEY || c->kind == TM_COLUMN_CLUSTERING ? (int32_t)c->position : -1);
		put_type(rows, 7, c->type);
	}
}

static tm_rc columns_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	every_table(session, rows, the_columns);
	return TM_OK;
}

static void the_dropped(struct tm_cql_rows *rows, const struct tm_table *t)
{
	for (size_t i = 0; i < t->dropped_count; i++) {
		two(rows, t->def.keyspace, t->def.name);
		tm_cql_rows_bytes(rows, 2, t->dropped[i].name);
		tm_cql_rows_bigint(rows, 3, t->dropped[i].dropped_us / 1000);
		tm_cql_rows_text(rows, 4, t->dropped[i].is_static ? "static" : "regular");
		put_type(rows, 5, t->dropped[i].type);
	}
}

static tm_rc dropped_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	every_table(session, rows, the_dropped);
	return TM_OK;
}

static void the_indexes(struct tm_cql_rows *rows, const struct tm_table *t)
{
	for (size_t i = 0; i < t->index_count; i++) {
		const struct tm_index *x = &t->indexes[i];
		struct tm_str *pairs = TM_NEW_N(rows->arena, struct tm_str, (x->options.count + 2) * 2);
		size_t n = 0;
		for (size_t j = 0; j < x->options.count; j++) {
			pairs[n++] = x->options.entries[j].key;
			pairs[n++] = x->options.entries[j].value;
		}
		if (x->custom) {
			pairs[n++] = TM_STR("class_name");
			pairs[n++] = x->class_name;
		}
		pairs[n++] = TM_STR("target");
		pairs[n++] = x->target;
		two(rows, t->def.keyspace, t->def.name);
		tm_cql_rows_bytes(rows, 2, x->name);
		tm_cql_rows_text(rows, 3, x->custom ? "CUSTOM" : "COMPOSITES");
		tm_cql_rows_text_map(rows, 4, pairs, n / 2);
	}
}

static tm_rc indexes_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	every_table(session, rows, the_indexes);
	return TM_OK;
}

static tm_rc types_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	const struct tm_schema *s = tm_store_schema(session->store);
	for (size_t i = 0; i < s->keyspace_count; i++)
		for (size_t j = 0; j < s->keyspaces[i].type_count; j++) {
			const struct tm_cql_type *t = s->keyspaces[i].types[j];
			struct tm_str *texts = TM_NEW_N(rows->arena, struct tm_str, t->arg_count + 1);
			for (size_t k = 0; k < t->arg_count; k++) {
				struct tm_buf b = {0};
				tm_table_type_text(t->args[k], &b);
				texts[k] = tm_arena_str(rows->arena, tm_buf_str(&b));
				tm_buf_done(&b);
			}
			two(rows, t->keyspace, t->name);
			tm_cql_rows_texts(rows, 2, t->field_names, t->arg_count);
			tm_cql_rows_texts(rows, 3, texts, t->arg_count);
		}
	tm_schema_unref(session->store, s);
	return TM_OK;
}

static tm_rc no_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)session, (void)rows, (void)err;
	return TM_OK;
}

static tm_rc virtual_keyspaces_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	cql_virtual_each(session->store, virtual_name, &(struct names){.rows = rows, .stored_look = false});
	return TM_OK;
}

static void a_virtual_table(struct tm_cql_rows *rows, const struct tm_table *t)
{
	two(rows, t->def.keyspace, t->def.name);
	tm_cql_rows_bytes(rows, 2, t->def.comment);
}

static tm_rc virtual_tables_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	cql_virtual_each(session->store, walk_virtual, &(struct walk){rows, a_virtual_table, false});
	return TM_OK;
}

static tm_rc virtual_columns_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)ctx, (void)err;
	cql_virtual_each(session->store, walk_virtual, &(struct walk){rows, the_columns, false});
	return TM_OK;
}

tm_rc tm_cql_system_register(struct tm_store *store, struct tm_err *err)
{
#define T(ks, name, cols, rows_of, comment_text, look)                                                                                     \
	{                                                                                                                                  \
		.keyspace = ks, .table = name, .comment = comment_text, .columns = cols, .column_count = sizeof cols / sizeof *cols,       \
		.rows = rows_of, .stored_look = look                                                                                       \
	}
	static const struct tm_cql_virtual list[] = {
	    T("system_schema", "keyspaces", keyspaces_columns, keyspaces_rows, "keyspace definitions", true),
	    T("system_schema", "tables", tables_columns, tables_rows, "table definitions", true),
	    T("system_schema", "columns", columns_columns, columns_rows, "column definitions", true),
	    T("system_schema", "column_masks", masks_columns, no_rows, "column dynamic data masks", true),
	    T("system_schema", "dropped_columns", dropped_columns, dropped_rows, "dropped column registry", true),
	    T("system_schema", "triggers", triggers_columns, no_rows, "trigger definitions", true),
	    T("system_schema", "views", views_columns, no_rows, "view definitions", true),
	    T("system_schema", "types", types_columns, types_rows, "user defined type definitions", true),
	    T("system_schema", "functions", functions_columns, no_rows, "user defined function definitions", true),
	    T("system_schema", "aggregates", aggregates_columns, no_rows, "user defined aggregate definitions", true),
	    T("system_schema", "indexes", indexes_columns, indexes_rows, "secondary index definitions", true),
	    T("system_virtual_schema", "keyspaces", virtual_keyspaces_columns, virtual_keyspaces_rows, "virtual keyspace definitions",
	      false),
	    T("system_virtual_schema", "tables", virtual_tables_columns, virtual_tables_rows, "virtual table definitions", false),
	    T("system_virtual_schema", "columns", virtual_columns_columns, virtual_columns_rows, "virtual column definitions", false),
	};
#undef T
	if (cql_virtual_table(store, TM_STR("system_schema"), TM_STR("keyspaces")))
		return TM_OK;
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		TM_TRY(tm_cql_virtual_register(store, &list[i], err));
	return TM_OK;
}
