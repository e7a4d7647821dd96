/* The registry of virtual tables and the builder of their rows. Tables are kept per store, in a list under one mutex; a table
 * never goes away before its store (the registry forgets a store's tables when the store is closed and opened anew). */
#include "cql/virtual.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include "cql/cql_int.h"

struct registered {
	struct tm_table table; /* number 0: made, not stored */
	struct tm_cql_virtual spec;
	struct tm_store *store;
	struct tm_arena arena;
	struct registered *next;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* rank: leaf */
static struct registered *tables;

static void forget_locked(struct tm_store *store)
{
	for (struct registered **at = &tables; *at;) {
		struct registered *r = *at;
		if (r->store != store) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		struct tm_arena arena = r->arena;
		tm_arena_done(&arena);
	}
}

static void store_closed(struct tm_store *store)
{
	pthread_mutex_lock(&lock);
	forget_locked(store);
	pthread_mutex_unlock(&lock);
}

static tm_rc parse_column_type(struct tm_arena *arena, const char *text, const struct tm_cql_type **ret, struct tm_err *err)
{
	/* A type alone is no statement: it is read as the type of a hint. */
	struct cql_statement st;
	struct tm_str statement = tm_arena_printf(arena, "CREATE TYPE t (f %s)", text);
	TM_TRY(cql_parse(arena, statement, &st, err));
	struct tm_schema none = {0};
	struct cql_scope s = {.arena = arena, .schema = &none, .err = err};
	return cql_resolve_type(&s, st.ddl.columns[0].type, (struct tm_str){"", 0}, ret);
}

static int by_name(const void *a, const void *b)
{
	const struct tm_table_column *x = a, *y = b;
	return tm_str_cmp(x->name, y->name);
}

/* What Cassandra's own keyspaces have apart from the defaults: shown by DESCRIBE. */
static void stored_params(struct tm_str keyspace, struct tm_table_params *params)
{
	static const struct {
		const char *keyspace;
		int32_t gc_grace_seconds;
	} own[] = {
	    {"system", 0}, {"system_schema", 604800}, {"system_auth", 7776000}, {"system_distributed", 864000}, {"system_traces", 0}};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (tm_str_is(keyspace, own[i].keyspace)) {
			params->gc_grace_seconds = own[i].gc_grace_seconds;
			params->memtable_flush_period_in_ms = 3600000;
		}
}

tm_rc tm_cql_virtual_register(struct tm_store *store, const struct tm_cql_virtual *v, struct tm_err *err)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct registered *r = TM_NEW(&arena, struct registered);
	r->arena = arena;
	struct tm_arena *a = &r->arena;
	r->spec = *v;
	r->store = store;
	struct tm_table_column *columns = TM_NEW_N(a, struct tm_table_column, v->column_count);
	struct tm_table_def *def = &r->table.def;
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < v->column_count && rc == TM_OK; i++) {
		columns[i] = (struct tm_table_column){.name = tm_str_of(v->columns[i].name), .kind = v->columns[i].kind};
		columns[i].position = columns[i].kind == TM_COLUMN_CLUSTERING      ? def->clustering_count++
				      : columns[i].kind == TM_COLUMN_PARTITION_KEY ? def->partition_key_count++
										   : 0;
		rc = parse_column_type(a, v->columns[i].type, &columns[i].type, err);
	}
	if (rc != TM_OK) {
		arena = r->arena;
		tm_arena_done(&arena);
		return rc;
	}
	size_t keys = def->partition_key_count + def->clustering_count;
	qsort(columns + keys, v->column_count - keys, sizeof *columns, by_name);
	def->keyspace = tm_str_of(v->keyspace);
	def->name = tm_str_of(v->table);
	def->columns = columns;
	def->column_count = v->column_count;
	def->comment = tm_str_of(v->comment ? v->comment : "");
	r->table.params = tm_table_params_default;
	r->table.params.comment = def->comment;
	if (v->stored_look)
		stored_params(def->keyspace, &r->table.params);
	uint64_t h[2] = {tm_xxh64(v->table, strlen(v->table), tm_xxh64(v->keyspace, strlen(v->keyspace), 3)),
			 tm_xxh64(v->table, strlen(v->table), tm_xxh64(v->keyspace, strlen(v->keyspace), 4))};
	memcpy(def->id, h, 16);
	def->id[6] = (uint8_t)((def->id[6] & 0x0F) | 0x30);
	def->id[8] = (uint8_t)((def->id[8] & 0x3F) | 0x80);
	pthread_mutex_lock(&lock);
	struct registered **end = &tables;
	for (; *end; end = &(*end)->next)
		;
	*end = r;
	pthread_mutex_unlock(&lock);
	tm_store_on_close(store, store_closed);
	return TM_OK;
}

const struct tm_table_def *cql_virtual_table(struct tm_store *store, struct tm_str keyspace, struct tm_str name)
{
	const struct tm_table_def *def = NULL;
	pthread_mutex_lock(&lock);
	for (struct registered *r = tables; r && !def; r = r->next)
		if (r->store == store && tm_str_eq(r->table.def.keyspace, keyspace) && tm_str_eq(r->table.def.name, name))
			def = &r->table.def;
	pthread_mutex_unlock(&lock);
	return def;
}

bool cql_virtual_keyspace(struct tm_store *store, struct tm_str keyspace, bool *ret_stored_look)
{
	bool found = false;
	pthread_mutex_lock(&lock);
	for (struct registered *r = tables; r && !found; r = r->next)
		if (r->store == store && tm_str_eq(r->table.def.keyspace, keyspace)) {
			found = true;
			*ret_stored_look = r->spec.stored_look;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

void cql_virtual_each(struct tm_store *store, void (*each)(void *ctx, const struct tm_table *table, bool stored_look), void *ctx)
{
	/* The call-back may look tables up: walk without the lock, which tables never leave while the store is open. */
	pthread_mutex_lock(&lock);
	struct registered *first = tables;
	pthread_mutex_unlock(&lock);
	for (struct registered *r = first; r; r = r->next)
		if (r->store == store)
			each(ctx, &r->table, r->spec.stored_look);
}

struct keyed {
	int64_t token;
	struct tm_cql_value *values;
	size_t order;
	const struct tm_table_def *def;
};
static int keyed_cmp(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->token != y->token)
		return x->token < y->token ? -1 : 1;
	for (size_t i = x->def->partition_key_count; i < x->def->partition_key_count + x->def->clustering_count; i++) {
		int c = tm_value_compare(x->def->columns[i].type, x->values[i].bytes, y->values[i].bytes);
		if (c)
			return c;
	}
	return (x->order > y->order) - (x->order < y->order);
}

tm_rc cql_virtual_rows(const struct tm_table_def *def, const struct tm_cql_session *session, struct tm_cql_rows *ret, struct tm_err *err)
{
	const struct registered *r = (const struct registered *)def; /* the def is the first of the table, the table of this */
	TM_TRY(r->spec.rows(r->spec.ctx, session, ret, err));
	if (!r->spec.stored_look || ret->count < 2)
		return TM_OK;
	/* As a stored table would give them: by token, then clustering. */
	size_t n = def->column_count;
	struct keyed *keys = TM_NEW_N(ret->arena, struct keyed, ret->count);
	struct tm_str *parts = TM_NEW_N(ret->arena, struct tm_str, def->partition_key_count);
	for (size_t i = 0; i < ret->count; i++) {
		struct tm_buf b = {0};
		keys[i] = (struct keyed){.values = ret->values + i * n, .order = i, .def = def};
		for (size_t k = 0; k < def->partition_key_count; k++)
			parts[k] = keys[i].values[k].bytes;
		tm_table_partition_key(def, parts, &b);
		keys[i].token = tm_value_token(tm_buf_str(&b));
		tm_buf_done(&b);
	}
	qsort(keys, ret->count, sizeof *keys, keyed_cmp);
	struct tm_cql_value *sorted = TM_NEW_N(ret->arena, struct tm_cql_value, ret->count * n);
	for (size_t i = 0; i < ret->count; i++)
		tm_copy(sorted + i * n, keys[i].values, n * sizeof *sorted);
	ret->values = sorted;
	return TM_OK;
}

/* ---- building rows: columns by their place in the registration ---- */
void tm_cql_rows_begin(struct tm_cql_rows *rows)
{
	size_t n = rows->table->def.column_count;
	if (rows->count == rows->cap) {
		size_t more = rows->cap ? rows->cap * 2 : 8;
		rows->values =
		    tm_arena_grow(rows->arena, rows->values, rows->cap * n * sizeof *rows->values, more * n * sizeof *rows->values);
		rows->cap = more;
	}
	for (size_t i = 0; i < n; i++)
		rows->values[rows->count * n + i] = (struct tm_cql_value){.null = true};
	rows->count++;
}

void tm_cql_rows_bytes(struct tm_cql_rows *rows, size_t column, struct tm_str bytes)
{
	const struct registered *r = (const struct registered *)rows->table;
	size_t n = rows->table->def.column_count, at = tm_table_column_index(&rows->table->def, tm_str_of(r->spec.columns[column].name));
	TM_ASSERT(rows->count && at < n);
	rows->values[(rows->count - 1) * n + at] = (struct tm_cql_value){.bytes = tm_arena_str(rows->arena, bytes)};
}

void tm_cql_rows_text(struct tm_cql_rows *rows, size_t column, const char *text)
{
	if (text)
		tm_cql_rows_bytes(rows, column, tm_str_of(text));
}
void tm_cql_rows_int(struct tm_cql_rows *rows, size_t column, int32_t v) { tm_cql_rows_bytes(rows, column, cql_be32(rows->arena, v)); }
void tm_cql_rows_bigint(struct tm_cql_rows *rows, size_t column, int64_t v) { tm_cql_rows_bytes(rows, column, cql_be64(rows->arena, v)); }
void tm_cql_rows_double(struct tm_cql_rows *rows, size_t column, double v)
{
	tm_cql_rows_bytes(rows, column, cql_double_bytes(rows->arena, v));
}
void tm_cql_rows_bool(struct tm_cql_rows *rows, size_t column, bool v) { tm_cql_rows_bytes(rows, column, v ? TM_STR("\1") : TM_STR("\0")); }
void tm_cql_rows_uuid(struct tm_cql_rows *rows, size_t column, const uint8_t uuid[16])
{
	tm_cql_rows_bytes(rows, column, tm_str_n((const char *)uuid, 16));
}

void tm_cql_rows_inet(struct tm_cql_rows *rows, size_t column, const char *text)
{
	uint8_t b[16];
	if (inet_pton(AF_INET, text, b) == 1)
		tm_cql_rows_bytes(rows, column, tm_str_n((char *)b, 4));
	else if (inet_pton(AF_INET6, text, b) == 1)
		tm_cql_rows_bytes(rows, column, tm_str_n((char *)b, 16));
}

void tm_cql_rows_texts(struct tm_cql_rows *rows, size_t column, const struct tm_str *items, size_t count)
{
	size_t at =
	    tm_table_column_index(&rows->table->def, tm_str_of(((const struct registered *)rows->table)->spec.columns[column].name));
	struct tm_str *copy = TM_NEW_N(rows->arena, struct tm_str, count + 1);
	tm_copy(copy, items, count * sizeof *copy);
	tm_cql_rows_bytes(rows, column, cql_pack_items(rows->arena, rows->table->def.columns[at].type, copy, count));
}

void tm_cql_rows_text_map(struct tm_cql_rows *rows, size_t column, const struct tm_str *pairs, size_t pair_count)
{
	tm_cql_rows_texts(rows, column, pairs, pair_count * 2);
}
