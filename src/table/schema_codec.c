/* The stored form of schema entries: a format byte, then fields; texts and lists with their lengths in front. A type is
 * stored whole (a user type with its fields), so that an entry can be read by itself. */
#include "table/schema_int.h"
#include <stdlib.h>

enum { SCHEMA_FORMAT = 1 };

void tm_schema_entry_key(struct tm_buf *out, char kind, struct tm_str keyspace, struct tm_str name)
{
	tm_buf_char(out, kind);
	tm_buf_str_put(out, keyspace);
	tm_buf_u8(out, 0);
	tm_buf_str_put(out, name);
}

bool tm_schema_entry_split(struct tm_str key, char *ret_kind, struct tm_str *ret_keyspace, struct tm_str *ret_name)
{
	const char *zero = key.len > 1 ? memchr(key.at + 1, 0, key.len - 1) : NULL;
	if (!zero)
		return false;
	*ret_kind = key.at[0];
	*ret_keyspace = tm_str_slice(key, 1, (size_t)(zero - key.at));
	*ret_name = tm_str_slice(key, (size_t)(zero - key.at) + 1, key.len);
	return true;
}

static void put_text(struct tm_buf *b, struct tm_str s)
{
	tm_buf_varint(b, s.len);
	tm_buf_str_put(b, s);
}

static struct tm_str take_text(struct tm_cursor *c)
{
	uint64_t n = tm_cursor_varint(c, 32);
	return tm_cursor_take(c, n);
}

/* A count of things of at least one byte each: more than there are bytes is a damaged entry. */
static size_t take_count(struct tm_cursor *c)
{
	uint64_t n = tm_cursor_varint(c, 32);
	if (n > tm_cursor_left(c)) {
		c->bad = true;
		return 0;
	}
	return n;
}

static void put_map(struct tm_buf *b, const struct tm_map *m)
{
	tm_buf_varint(b, m->count);
	for (size_t i = 0; i < m->count; i++) {
		put_text(b, m->entries[i].key);
		put_text(b, m->entries[i].value);
	}
}

/* Texts point into the entry: what is built from them copies. */
static void take_map(struct tm_cursor *c, struct tm_arena *arena, struct tm_map *ret)
{
	size_t n = take_count(c);
	ret->entries = TM_NEW_N(arena, struct tm_map_entry, n + 1);
	ret->count = n;
	for (size_t i = 0; i < n; i++) {
		ret->entries[i].key = take_text(c);
		ret->entries[i].value = take_text(c);
	}
}

void tm_schema_keyspace_encode(const struct tm_keyspace *ks, struct tm_buf *out)
{
	tm_buf_u8(out, SCHEMA_FORMAT);
	tm_buf_u8(out, ks->durable_writes);
	put_map(out, &ks->replication);
}

bool tm_schema_keyspace_decode(struct tm_str bytes, struct tm_arena *arena, struct tm_keyspace *ret)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	if (tm_cursor_u8(&c) != SCHEMA_FORMAT)
		return false;
	ret->durable_writes = tm_cursor_u8(&c);
	take_map(&c, arena, &ret->replication);
	for (size_t i = 0; i < ret->replication.count && !c.bad; i++) {
		struct tm_map_entry *e = &ret->replication.entries[i];
		*e = (struct tm_map_entry){tm_arena_str(arena, e->key), tm_arena_str(arena, e->value)};
	}
	return !c.bad;
}

static void put_type(struct tm_buf *b, const struct tm_cql_type *t)
{
	tm_buf_varint(b, t->kind);
	tm_buf_u8(b, (uint8_t)(t->frozen | t->reversed << 1));
	tm_buf_varint(b, t->dimension);
	tm_buf_varint(b, t->arg_count);
	if (t->kind == TM_CQL_UDT) {
		put_text(b, t->keyspace);
		put_text(b, t->name);
	}
	for (size_t i = 0; i < t->arg_count; i++) {
		if (t->kind == TM_CQL_UDT)
			put_text(b, t->field_names[i]);
		put_type(b, t->args[i]);
	}
}

static const struct tm_cql_type *take_type(struct tm_cursor *c, int depth)
{
	enum tm_cql_kind kind = (enum tm_cql_kind)tm_cursor_varint(c, 32);
	uint8_t flags = tm_cursor_u8(c);
	size_t dimension = tm_cursor_varint(c, 32), n = take_count(c);
	if (c->bad || depth > TM_LIMIT_TYPE_NESTING)
		return NULL;
	const struct tm_cql_type *t = NULL;
	if (n == 0 && kind != TM_CQL_UDT && kind != TM_CQL_TUPLE) {
		if (kind == TM_CQL_CUSTOM || kind > TM_CQL_DURATION || kind == 0x0A)
			return NULL;
		t = tm_type_native(kind);
	} else {
		struct tm_str ks = {0}, name = {0};
		if (kind == TM_CQL_UDT) {
			ks = take_text(c);
			name = take_text(c);
		}
		const struct tm_cql_type **args = tm_zalloc((n + 1) * sizeof *args);
		struct tm_str *names = tm_zalloc((n + 1) * sizeof *names);
		bool ok = true;
		for (size_t i = 0; i < n && ok; i++) {
			if (kind == TM_CQL_UDT)
				names[i] = take_text(c);
			ok = (args[i] = take_type(c, depth + 1)) != NULL;
		}
		bool frozen = flags & 1;
		if (ok && kind == TM_CQL_UDT)
			t = tm_type_udt(ks, name, names, args, n, frozen);
		else if (ok && kind == TM_CQL_TUPLE)
			t = tm_type_tuple(args, n);
		else if (ok && n == 2 && kind == TM_CQL_MAP)
			t = tm_table_type_map(args[0], args[1], frozen);
		else if (ok && n == 1)
			t = kind == TM_CQL_LIST     ? tm_type_list(args[0], frozen)
			    : kind == TM_CQL_SET    ? tm_type_set(args[0], frozen)
			    : kind == TM_CQL_VECTOR ? tm_type_vector(args[0], dimension)
						    : NULL;
		free(args);
		free(names);
	}
	return t ? tm_type_reversed(t, flags & 2) : NULL;
}

void tm_schema_type_encode(const struct tm_cql_type *type, struct tm_buf *out)
{
	tm_buf_u8(out, SCHEMA_FORMAT);
	put_type(out, type);
}

const struct tm_cql_type *tm_schema_type_decode(struct tm_str bytes)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	return tm_cursor_u8(&c) == SCHEMA_FORMAT ? take_type(&c, 0) : NULL;
}

static void put_double(struct tm_buf *b, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, 8);
	tm_buf_be64(b, bits);
}

static double take_double(struct tm_cursor *c)
{
	uint64_t bits = tm_cursor_be64(c);
	double v;
	memcpy(&v, &bits, 8);
	return v;
}

void tm_schema_table_encode(const struct tm_table *t, struct tm_buf *b)
{
	tm_buf_u8(b, SCHEMA_FORMAT);
	tm_buf_put(b, t->def.id, 16);
	tm_buf_be32(b, t->number);
	tm_buf_be32(b, t->next_column_id);
	tm_buf_varint(b, t->def.column_count);
	for (size_t i = 0; i < t->def.column_count; i++) {
		const struct tm_table_column *c = &t->def.columns[i];
		put_text(b, c->name);
		tm_buf_u8(b, (uint8_t)c->kind);
		tm_buf_varint(b, c->position);
		tm_buf_varint(b, t->column_id[i]);
		put_type(b, c->type);
	}
	const struct tm_table_params *p = &t->params;
	put_text(b, p->comment);
	put_text(b, p->additional_write_policy);
	put_text(b, p->speculative_retry);
	put_text(b, p->read_repair);
	put_text(b, p->memtable);
	put_double(b, p->bloom_filter_fp_chance);
	put_double(b, p->crc_check_chance);
	tm_buf_be32(b, (uint32_t)p->default_time_to_live);
	tm_buf_be32(b, (uint32_t)p->gc_grace_seconds);
	tm_buf_be32(b, (uint32_t)p->min_index_interval);
	tm_buf_be32(b, (uint32_t)p->max_index_interval);
	tm_buf_be32(b, (uint32_t)p->memtable_flush_period_in_ms);
	tm_buf_u8(b, (uint8_t)(p->cdc | p->allow_auto_snapshot << 1 | p->incremental_backups << 2));
	put_map(b, &p->caching);
	put_map(b, &p->compaction);
	put_map(b, &p->compression);
	put_map(b, &p->extensions);
	tm_buf_varint(b, t->index_count);
	for (size_t i = 0; i < t->index_count; i++) {
		const struct tm_index *x = &t->indexes[i];
		put_text(b, x->name);
		put_text(b, x->column);
		tm_buf_u8(b, (uint8_t)x->kind);
		tm_buf_u8(b, x->custom);
		put_text(b, x->class_name);
		put_text(b, x->target);
		put_map(b, &x->options);
	}
	tm_buf_varint(b, t->dropped_count);
	for (size_t i = 0; i < t->dropped_count; i++) {
		put_text(b, t->dropped[i].name);
		put_type(b, t->dropped[i].type);
		tm_buf_be64(b, (uint64_t)t->dropped[i].dropped_us);
		tm_buf_u8(b, t->dropped[i].is_static);
	}
}

static bool take_columns(struct tm_cursor *c, struct tm_arena *arena, struct tm_table *spec)
{
	size_t n = take_count(c);
	struct tm_table_column *columns = TM_NEW_N(arena, struct tm_table_column, n + 1);
	uint32_t *ids = TM_NEW_N(arena, uint32_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		columns[i].name = take_text(c);
		columns[i].kind = tm_cursor_u8(c);
		columns[i].position = tm_cursor_varint(c, 32);
		ids[i] = (uint32_t)tm_cursor_varint(c, 32);
		columns[i].type = take_type(c, 0);
		if (c->bad || !columns[i].type || columns[i].kind > TM_COLUMN_REGULAR)
			return false;
	}
	spec->def.columns = columns;
	spec->def.column_count = n;
	spec->column_id = ids;
	return n > 0;
}

static void take_params(struct tm_cursor *c, struct tm_arena *arena, struct tm_table_params *p)
{
	p->comment = take_text(c);
	p->additional_write_policy = take_text(c);
	p->speculative_retry = take_text(c);
	p->read_repair = take_text(c);
	p->memtable = take_text(c);
	p->bloom_filter_fp_chance = take_double(c);
	p->crc_check_chance = take_double(c);
	p->default_time_to_live = (int32_t)tm_cursor_be32(c);
	p->gc_grace_seconds = (int32_t)tm_cursor_be32(c);
	p->min_index_interval = (int32_t)tm_cursor_be32(c);
	p->max_index_interval = (int32_t)tm_cursor_be32(c);
	p->memtable_flush_period_in_ms = (int32_t)tm_cursor_be32(c);
	uint8_t flags = tm_cursor_u8(c);
	p->cdc = flags & 1;
	p->allow_auto_snapshot = flags & 2;
	p->incremental_backups = flags & 4;
	take_map(c, arena, &p->caching);
	take_map(c, arena, &p->compaction);
	take_map(c, arena, &p->compression);
	take_map(c, arena, &p->extensions);
}

struct tm_table *tm_schema_table_decode(struct tm_str bytes, struct tm_str keyspace, struct tm_str name)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_table spec = {.def = {.keyspace = keyspace, .name = name}}, *made = NULL;
	struct tm_cursor c = tm_cursor_of(bytes);
	if (tm_cursor_u8(&c) != SCHEMA_FORMAT)
		goto out;
	struct tm_str id = tm_cursor_take(&c, 16);
	if (id.at)
		memcpy(spec.def.id, id.at, 16);
	spec.number = tm_cursor_be32(&c);
	spec.next_column_id = tm_cursor_be32(&c);
	if (!take_columns(&c, &arena, &spec))
		goto out;
	take_params(&c, &arena, &spec.params);
	spec.index_count = take_count(&c);
	struct tm_index *indexes = TM_NEW_N(&arena, struct tm_index, spec.index_count + 1);
	for (size_t i = 0; i < spec.index_count; i++) {
		indexes[i].name = take_text(&c);
		indexes[i].column = take_text(&c);
		indexes[i].kind = tm_cursor_u8(&c);
		indexes[i].custom = tm_cursor_u8(&c);
		indexes[i].class_name = take_text(&c);
		indexes[i].target = take_text(&c);
		take_map(&c, &arena, &indexes[i].options);
	}
	spec.indexes = indexes;
	spec.dropped_count = take_count(&c);
	struct tm_dropped_column *dropped = TM_NEW_N(&arena, struct tm_dropped_column, spec.dropped_count + 1);
	for (size_t i = 0; i < spec.dropped_count; i++) {
		dropped[i].name = take_text(&c);
		if (!(dropped[i].type = take_type(&c, 0)))
			goto out;
		dropped[i].dropped_us = (int64_t)tm_cursor_be64(&c);
		dropped[i].is_static = tm_cursor_u8(&c);
	}
	spec.dropped = dropped;
	if (!c.bad && spec.number && tm_cursor_left(&c) == 0)
		made = tm_table_build(&spec);
out:
	tm_arena_done(&arena);
	return made;
}

void tm_schema_digest(struct tm_schema *s)
{
	struct tm_buf b = {0};
	for (size_t i = 0; i < s->keyspace_count; i++) {
		const struct tm_keyspace *ks = &s->keyspaces[i];
		put_text(&b, ks->name);
		tm_schema_keyspace_encode(ks, &b);
		for (size_t j = 0; j < ks->type_count; j++)
			tm_schema_type_encode(ks->types[j], &b);
		for (size_t j = 0; j < ks->table_count; j++) {
			put_text(&b, ks->tables[j]->def.name);
			tm_schema_table_encode(ks->tables[j], &b);
		}
	}
	uint64_t h[2] = {tm_xxh64(b.at, b.len, 1), tm_xxh64(b.at, b.len, 2)};
	memcpy(s->version, h, 16);
	s->version[6] = (uint8_t)((s->version[6] & 0x0F) | 0x30); /* a name-based UUID */
	s->version[8] = (uint8_t)((s->version[8] & 0x3F) | 0x80);
	tm_buf_done(&b);
}
