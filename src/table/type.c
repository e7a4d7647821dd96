/* The intern table of types and their texts. One mutex guards the table; readers of a type need none. */
#include "table/type.h"
#include <pthread.h>
#include <stdlib.h>

#define TYPES_MAX 65536 /* a real schema has some hundreds; casts in hostile statements stop here */

static const char *const native_names[] = {
    [TM_CQL_ASCII] = "ascii",     [TM_CQL_BIGINT] = "bigint",       [TM_CQL_BLOB] = "blob",       [TM_CQL_BOOLEAN] = "boolean",
    [TM_CQL_COUNTER] = "counter", [TM_CQL_DECIMAL] = "decimal",     [TM_CQL_DOUBLE] = "double",   [TM_CQL_FLOAT] = "float",
    [TM_CQL_INT] = "int",         [TM_CQL_TIMESTAMP] = "timestamp", [TM_CQL_UUID] = "uuid",       [TM_CQL_VARCHAR] = "text",
    [TM_CQL_VARINT] = "varint",   [TM_CQL_TIMEUUID] = "timeuuid",   [TM_CQL_INET] = "inet",       [TM_CQL_DATE] = "date",
    [TM_CQL_TIME] = "time",       [TM_CQL_SMALLINT] = "smallint",   [TM_CQL_TINYINT] = "tinyint", [TM_CQL_DURATION] = "duration",
};
#define NATIVE(k) [k] = {.kind = k}
static const struct tm_cql_type natives[] = {
    NATIVE(TM_CQL_ASCII),   NATIVE(TM_CQL_BIGINT),  NATIVE(TM_CQL_BLOB),     NATIVE(TM_CQL_BOOLEAN),  NATIVE(TM_CQL_COUNTER),
    NATIVE(TM_CQL_DECIMAL), NATIVE(TM_CQL_DOUBLE),  NATIVE(TM_CQL_FLOAT),    NATIVE(TM_CQL_INT),      NATIVE(TM_CQL_TIMESTAMP),
    NATIVE(TM_CQL_UUID),    NATIVE(TM_CQL_VARCHAR), NATIVE(TM_CQL_VARINT),   NATIVE(TM_CQL_TIMEUUID), NATIVE(TM_CQL_INET),
    NATIVE(TM_CQL_DATE),    NATIVE(TM_CQL_TIME),    NATIVE(TM_CQL_SMALLINT), NATIVE(TM_CQL_TINYINT),  NATIVE(TM_CQL_DURATION),
};
static const struct tm_cql_type empty_type = {.kind = TM_CQL_EMPTY};

static pthread_mutex_t intern_lock = PTHREAD_MUTEX_INITIALIZER; /* rank: leaf */
static struct interned {
	struct tm_cql_type type;
	uint64_t hash;
	struct interned *next;
} * buckets[1024];
static size_t interned_count;

const struct tm_cql_type *tm_type_native(enum tm_cql_kind kind)
{
	if (kind == TM_CQL_EMPTY)
		return &empty_type;
	TM_ASSERT(kind < sizeof natives / sizeof *natives && natives[kind].kind == kind);
	return &natives[kind];
}

const struct tm_cql_type *tm_type_native_named(struct tm_str name)
{
	if (tm_str_iis(name, "varchar"))
		return &natives[TM_CQL_VARCHAR];
	for (size_t i = 0; i < sizeof native_names / sizeof *native_names; i++)
		if (native_names[i] && tm_str_iis(name, native_names[i]))
			return &natives[i];
	return NULL;
}

const char *tm_type_native_name(enum tm_cql_kind kind)
{
	return kind < sizeof native_names / sizeof *native_names && native_names[kind] ? native_names[kind] : "empty";
}

static uint64_t type_hash(const struct tm_cql_type *t)
{
	uint64_t h = tm_hash_u64((uint64_t)t->kind << 2 | (uint64_t)t->frozen << 1 | t->reversed);
	for (size_t i = 0; i < t->arg_count; i++) {
		h = tm_hash_u64(h ^ (uint64_t)(uintptr_t)t->args[i]);
		if (t->field_names)
			h = tm_xxh3(t->field_names[i].at, t->field_names[i].len, h);
	}
	h = tm_hash_u64(h ^ t->dimension);
	if (t->kind == TM_CQL_UDT) {
		h = tm_xxh3(t->keyspace.at, t->keyspace.len, h);
		h = tm_xxh3(t->name.at, t->name.len, h);
	}
	return h;
}

static bool type_equal(const struct tm_cql_type *a, const struct tm_cql_type *b)
{
	if (a->kind != b->kind || a->frozen != b->frozen || a->reversed != b->reversed || a->arg_count != b->arg_count ||
	    a->dimension != b->dimension || !tm_str_eq(a->keyspace, b->keyspace) || !tm_str_eq(a->name, b->name) ||
	    !a->field_names != !b->field_names)
		return false;
	for (size_t i = 0; i < a->arg_count; i++)
		if (a->args[i] != b->args[i] || (a->field_names && !tm_str_eq(a->field_names[i], b->field_names[i])))
			return false;
	return true;
}

static const struct tm_cql_type *intern(const struct tm_cql_type *key)
{
	uint64_t h = type_hash(key);
	struct interned **bucket = &buckets[h % (sizeof buckets / sizeof *buckets)];
	pthread_mutex_lock(&intern_lock);
	struct interned *e = *bucket;
	while (e && !(e->hash == h && type_equal(&e->type, key)))
		e = e->next;
	if (!e && interned_count < TYPES_MAX) {
		e = tm_zalloc(sizeof *e);
		e->hash = h;
		e->type = *key;
		e->type.args = tm_alloc(key->arg_count * sizeof *key->args + 1);
		tm_copy((void *)e->type.args, key->args, key->arg_count * sizeof *key->args);
		if (key->kind == TM_CQL_UDT) {
			struct tm_str *names = tm_alloc(key->arg_count * sizeof *names + 1);
			for (size_t i = 0; i < key->arg_count; i++)
				names[i] = tm_str_dup(key->field_names[i]);
			e->type.field_names = names;
			e->type.keyspace = tm_str_dup(key->keyspace);
			e->type.name = tm_str_dup(key->name);
		}
		e->next = *bucket;
		*bucket = e;
		interned_count++;
	}
	pthread_mutex_unlock(&intern_lock);
	return e ? &e->type : NULL;
}

const struct tm_cql_type *tm_type_list(const struct tm_cql_type *item, bool frozen)
{
	return intern(&(struct tm_cql_type){.kind = TM_CQL_LIST, .frozen = frozen, .arg_count = 1, .args = &item});
}

const struct tm_cql_type *tm_type_set(const struct tm_cql_type *item, bool frozen)
{
	return intern(&(struct tm_cql_type){.kind = TM_CQL_SET, .frozen = frozen, .arg_count = 1, .args = &item});
}

const struct tm_cql_type *tm_table_type_map(const struct tm_cql_type *key, const struct tm_cql_type *value, bool frozen)
{
	const struct tm_cql_type *args[2] = {key, value};
	return intern(&(struct tm_cql_type){.kind = TM_CQL_MAP, .frozen = frozen, .arg_count = 2, .args = args});
}

const struct tm_cql_type *tm_type_tuple(const struct tm_cql_type *const *items, size_t count)
{
	return intern(
	    &(struct tm_cql_type){.kind = TM_CQL_TUPLE, .frozen = true, .arg_count = count, .args = (const struct tm_cql_type **)items});
}

const struct tm_cql_type *tm_type_vector(const struct tm_cql_type *item, size_t dimension)
{
	return intern(&(struct tm_cql_type){.kind = TM_CQL_VECTOR, .frozen = true, .arg_count = 1, .args = &item, .dimension = dimension});
}

const struct tm_cql_type *tm_type_udt(struct tm_str keyspace, struct tm_str name, const struct tm_str *field_names,
				      const struct tm_cql_type *const *fields, size_t count, bool frozen)
{
	return intern(&(struct tm_cql_type){.kind = TM_CQL_UDT,
					    .frozen = frozen,
					    .arg_count = count,
					    .args = (const struct tm_cql_type **)fields,
					    .keyspace = keyspace,
					    .name = name,
					    .field_names = field_names});
}

/* The same type with other arguments and flags. */
static const struct tm_cql_type *rebuilt(const struct tm_cql_type *t, const struct tm_cql_type **args, bool frozen, bool reversed)
{
	struct tm_cql_type key = *t;
	key.args = args;
	key.frozen = frozen;
	key.reversed = reversed;
	return intern(&key);
}

const struct tm_cql_type *tm_type_frozen(const struct tm_cql_type *t)
{
	if (!t || t->arg_count == 0)
		return t;
	const struct tm_cql_type **args = tm_alloc(t->arg_count * sizeof *args);
	for (size_t i = 0; i < t->arg_count; i++)
		args[i] = tm_type_frozen(t->args[i]);
	const struct tm_cql_type *r = rebuilt(t, args, true, t->reversed);
	free(args);
	return r;
}

const struct tm_cql_type *tm_type_unfrozen(const struct tm_cql_type *t)
{
	return t->arg_count == 0 || !t->frozen || t->kind == TM_CQL_TUPLE || t->kind == TM_CQL_VECTOR
		   ? t
		   : rebuilt(t, t->args, false, t->reversed);
}

const struct tm_cql_type *tm_type_reversed(const struct tm_cql_type *t, bool reversed)
{
	if (t->reversed == reversed)
		return t;
	if (t->arg_count == 0 && !reversed)
		return tm_type_native(t->kind);
	return rebuilt(t, t->args, t->frozen, reversed);
}

bool tm_type_is_text(const struct tm_cql_type *t) { return t->kind == TM_CQL_ASCII || t->kind == TM_CQL_VARCHAR; }

bool tm_type_same_value(const struct tm_cql_type *a, const struct tm_cql_type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->arg_count != b->arg_count || a->dimension != b->dimension)
		return false;
	if (a->kind == TM_CQL_UDT && (!tm_str_eq(a->keyspace, b->keyspace) || !tm_str_eq(a->name, b->name)))
		return false;
	for (size_t i = 0; i < a->arg_count; i++)
		if (!tm_type_same_value(a->args[i], b->args[i]))
			return false;
	return true;
}

bool tm_type_mentions(const struct tm_cql_type *t, enum tm_cql_kind kind)
{
	if (t->kind == kind)
		return true;
	for (size_t i = 0; i < t->arg_count; i++)
		if (tm_type_mentions(t->args[i], kind))
			return true;
	return false;
}

bool tm_type_mentions_udt(const struct tm_cql_type *t, struct tm_str keyspace, struct tm_str name)
{
	if (t->kind == TM_CQL_UDT && tm_str_eq(t->keyspace, keyspace) && tm_str_eq(t->name, name))
		return true;
	for (size_t i = 0; i < t->arg_count; i++)
		if (tm_type_mentions_udt(t->args[i], keyspace, name))
			return true;
	return false;
}

const struct tm_cql_type *tm_type_with_udt(const struct tm_cql_type *t, const struct tm_cql_type *udt)
{
	if (t->kind == TM_CQL_UDT && tm_str_eq(t->keyspace, udt->keyspace) && tm_str_eq(t->name, udt->name))
		return tm_type_reversed(t->frozen ? tm_type_frozen(udt) : udt, t->reversed);
	if (t->arg_count == 0 || !tm_type_mentions_udt(t, udt->keyspace, udt->name))
		return t;
	const struct tm_cql_type **args = tm_alloc(t->arg_count * sizeof *args);
	for (size_t i = 0; i < t->arg_count; i++)
		args[i] = tm_type_with_udt(t->args[i], udt);
	const struct tm_cql_type *r = rebuilt(t, args, t->frozen, t->reversed);
	free(args);
	return r;
}

/* Words of the grammar that may not stand as a bare name. */
static bool reserved(struct tm_str name)
{
	static const char *const words[] = {
	    "add",         "allow",        "alter",    "and",     "apply",        "asc",   "authorize", "batch",    "begin",
	    "by",          "columnfamily", "create",   "default", "delete",       "desc",  "describe",  "drop",     "entries",
	    "execute",     "from",         "full",     "grant",   "if",           "in",    "index",     "infinity", "insert",
	    "into",        "is",           "keyspace", "limit",   "materialized", "mbean", "mbeans",    "modify",   "nan",
	    "norecursive", "not",          "null",     "of",      "on",           "or",    "order",     "primary",  "rename",
	    "replace",     "revoke",       "schema",   "select",  "set",          "table", "to",        "token",    "truncate",
	    "unlogged",    "unset",        "update",   "use",     "using",        "view",  "where",     "with",     NULL,
	};
	return tm_str_among(name, words);
}

void tm_type_name_quoted(struct tm_str name, struct tm_buf *out)
{
	tm_buf_char(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '"')
			tm_buf_char(out, '"');
		tm_buf_char(out, name.at[i]);
	}
	tm_buf_char(out, '"');
}

void tm_type_name_text(struct tm_str name, struct tm_buf *out)
{
	bool plain = name.len > 0 && ((name.at[0] >= 'a' && name.at[0] <= 'z')) && !reserved(name);
	for (size_t i = 0; plain && i < name.len; i++) {
		char c = name.at[i];
		plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
	}
	if (plain)
		tm_buf_str_put(out, name);
	else
		tm_type_name_quoted(name, out);
}

void tm_table_type_text(const struct tm_cql_type *t, struct tm_buf *out)
{
	bool wrap = t->frozen && t->kind != TM_CQL_VECTOR;
	if (wrap)
		tm_buf_cstr_put(out, "frozen<");
	switch (t->kind) {
	case TM_CQL_LIST:
		tm_buf_cstr_put(out, "list<");
		break;
	case TM_CQL_SET:
		tm_buf_cstr_put(out, "set<");
		break;
	case TM_CQL_MAP:
		tm_buf_cstr_put(out, "map<");
		break;
	case TM_CQL_TUPLE:
		tm_buf_cstr_put(out, "tuple<");
		break;
	case TM_CQL_VECTOR:
		tm_buf_cstr_put(out, "vector<");
		break;
	case TM_CQL_UDT:
		tm_type_name_text(t->name, out);
		break;
	default:
		tm_buf_cstr_put(out, tm_type_native_name(t->kind));
	}
	if (t->kind != TM_CQL_UDT && t->arg_count) {
		for (size_t i = 0; i < t->arg_count; i++) {
			if (i)
				tm_buf_cstr_put(out, ", ");
			tm_table_type_text(t->args[i], out);
		}
		if (t->kind == TM_CQL_VECTOR)
			tm_buf_printf(out, ", %zu", t->dimension);
		tm_buf_char(out, '>');
	}
	if (wrap)
		tm_buf_char(out, '>');
}

size_t tm_type_fixed_length(const struct tm_cql_type *t)
{
	switch (t->kind) {
	case TM_CQL_BOOLEAN:
		return 1;
	case TM_CQL_INT:
	case TM_CQL_FLOAT:
		return 4;
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_DOUBLE:
	case TM_CQL_TIMESTAMP:
		return 8;
	case TM_CQL_UUID:
	case TM_CQL_TIMEUUID:
		return 16;
	case TM_CQL_VECTOR:
		return tm_type_fixed_length(t->args[0]) * t->dimension;
	/* tinyint, smallint, date and time have a fixed length, yet Cassandra frames them as variable inside a vector. */
	default:
		return 0;
	}
}
