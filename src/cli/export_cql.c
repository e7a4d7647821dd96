/* Statements and shapes for moving tables. */
#include "cli/export_cql.h"
#include "table/type.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_ROWS = 1000, TIMES = 2 };

tm_rc tm_moved_query(struct tm_cassandra_client *s, struct tm_str text, int32_t page_size, struct tm_str paging_state,
		     struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_cql_query_options options = {.page_size = page_size ? page_size : -1,
					       .paging_state = paging_state,
					       .timestamp_us = INT64_MIN,
					       .now_in_seconds = INT64_MIN,
					       .consistency = 1};
	return tm_cassandra_client_query(s, text, &options, arena, ret, err);
}

/* ---- the shape ---- */

static int rank(struct tm_str kind)
{
	static const char *const kinds[] = {"partition_key", "clustering", "static", "regular"};
	for (int i = 0; i < 4; i++)
		if (tm_str_is(kind, kinds[i]))
			return i;
	return 4;
}

static int by_place(const void *a, const void *b)
{
	const struct tm_moved_column *x = a, *y = b;
	int r = rank(x->kind) - rank(y->kind);
	return r                            ? r
	       : x->position != y->position ? (x->position > y->position) - (x->position < y->position)
					    : tm_str_cmp(x->name, y->name);
}

static bool primitive(struct tm_str type)
{
	static const char *const names[] = {"ascii",    "bigint",  "blob", "boolean", "counter",  "date", "decimal", "double",
					    "duration", "float",   "inet", "int",     "smallint", "text", "time",    "timestamp",
					    "timeuuid", "tinyint", "uuid", "varchar", "varint",   NULL};
	return tm_str_among(type, names) || tm_str_starts(type, TM_STR("frozen<")) || tm_str_starts(type, TM_STR("tuple<")) ||
	       tm_str_starts(type, TM_STR("vector<")) || tm_str_starts(type, TM_STR("'"));
}

static struct tm_str select_text(const struct tm_moved_table *t, struct tm_arena *arena)
{
	struct tm_buf b = {0};
	tm_buf_cstr_put(&b, "SELECT ");
	for (size_t i = 0; i < t->column_count; i++) {
		tm_type_name_quoted(t->columns[i].name, &b);
		tm_buf_cstr_put(&b, ", ");
	}
	for (size_t i = t->key_count; i < t->column_count && !t->counters; i++)
		for (int k = 0; k < TIMES; k++) {
			tm_buf_cstr_put(&b, k ? "ttl(" : "writetime(");
			tm_type_name_quoted(t->columns[i].name, &b);
			tm_buf_cstr_put(&b, "), ");
		}
	tm_buf_cstr_put(&b, "token(");
	for (size_t i = 0; i < t->partition_key_count; i++) {
		tm_buf_cstr_put(&b, i ? ", " : "");
		tm_type_name_quoted(t->columns[i].name, &b);
	}
	tm_buf_cstr_put(&b, ") FROM ");
	tm_type_name_quoted(t->keyspace, &b);
	tm_buf_char(&b, '.');
	tm_type_name_quoted(t->name, &b);
	struct tm_str text = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return text;
}

static void finish(struct tm_moved_table *t, struct tm_arena *arena)
{
	qsort(t->columns, t->column_count, sizeof *t->columns, by_place);
	for (size_t i = 0; i < t->column_count; i++) {
		struct tm_moved_column *c = &t->columns[i];
		int r = rank(c->kind);
		c->key = r < 2;
		c->is_static = r == 2;
		c->counter = tm_str_is(c->type, "counter");
		c->multi_cell = !c->key && !primitive(c->type);
		c->list = c->multi_cell && tm_str_starts(c->type, TM_STR("list<"));
		t->partition_key_count += r == 0;
		t->key_count += r < 2;
		t->counters = t->counters || c->counter;
		t->lists = t->lists || c->list;
	}
	t->select = select_text(t, arena);
}

tm_rc tm_moved_table_load(struct tm_cassandra_client *s, struct tm_str keyspace, struct tm_str name, struct tm_arena *arena,
			  struct tm_moved_table *ret, struct tm_err *err)
{
	struct tm_cql_result r;
	struct tm_str text = tm_arena_printf(arena,
					     "SELECT column_name, kind, type, clustering_order, position FROM system_schema.columns WHERE "
					     "keyspace_name = '%.*s' AND table_name = '%.*s'",
					     TM_STR_ARG(keyspace), TM_STR_ARG(name));
	*ret = (struct tm_moved_table){.keyspace = keyspace, .name = name};
	TM_TRY(tm_moved_query(s, text, 0, (struct tm_str){0}, arena, &r, err));
	if (r.row_count == 0)
		return tm_fail(err, TM_NOT_FOUND, "there is no table %.*s.%.*s", TM_STR_ARG(keyspace), TM_STR_ARG(name));
	ret->columns = TM_NEW_N(arena, struct tm_moved_column, r.row_count);
	ret->column_count = r.row_count;
	for (size_t i = 0; i < r.row_count; i++) {
		const struct tm_cql_value *v = r.values + i * r.column_count;
		uint32_t position = 0;
		if (v[4].bytes.len == sizeof position)
			memcpy(&position, v[4].bytes.at, sizeof position);
		ret->columns[i] = (struct tm_moved_column){.name = v[0].bytes,
							   .kind = v[1].bytes,
							   .type = v[2].bytes,
							   .order = v[3].bytes,
							   .position = (int32_t)__builtin_bswap32(position)};
	}
	finish(ret, arena);
	return TM_OK;
}

tm_rc tm_moved_table_same(const struct tm_moved_table *a, const struct tm_moved_table *b, struct tm_err *err)
{
	tm_rc rc = TM_OK;
	for (size_t i = 0; rc == TM_OK && (i < a->column_count || i < b->column_count); i++) {
		const struct tm_moved_column *x = i < a->column_count ? &a->columns[i] : NULL,
					     *y = i < b->column_count ? &b->columns[i] : NULL;
		if (x && y && tm_str_eq(x->name, y->name) && tm_str_eq(x->kind, y->kind) && tm_str_eq(x->type, y->type) &&
		    tm_str_eq(x->order, y->order))
			continue;
		rc = tm_fail(err, TM_EXISTS, "table %.*s.%.*s is another one at the target", TM_STR_ARG(a->keyspace), TM_STR_ARG(a->name));
		if (x && y && tm_str_eq(x->name, y->name))
			tm_err_detail(err, "Column %.*s is %.*s %.*s there and %.*s %.*s here.", TM_STR_ARG(x->name), TM_STR_ARG(y->kind),
				      TM_STR_ARG(y->type), TM_STR_ARG(x->kind), TM_STR_ARG(x->type));
		else
			tm_err_detail(err, "Column %.*s is only %s.", TM_STR_ARG((x ? x : y)->name), x ? "here" : "there");
		tm_err_hint(err, "Drop it there, and it is made as it is here; or name the tables to move without it.");
	}
	return rc;
}

/* ---- rows ---- */

static int64_t bigint(const struct tm_cql_value *v)
{
	uint64_t n = 0;
	if (v->bytes.len == sizeof n)
		memcpy(&n, v->bytes.at, sizeof n);
	return (int64_t)__builtin_bswap64(n);
}

size_t tm_moved_time_at(const struct tm_moved_table *t, size_t column) { return t->column_count + (column - t->key_count) * TIMES; }

static size_t width(const struct tm_moved_table *t)
{
	return t->column_count + (t->counters ? 0 : (t->column_count - t->key_count) * TIMES) + 1;
}

int64_t tm_moved_token(const struct tm_moved_row *r) { return bigint(&r->values[width(r->table) - 1]); }

tm_rc tm_moved_scan(struct tm_cassandra_client *s, const struct tm_moved_table *t, const int64_t *behind,
		    tm_rc (*each)(void *ctx, const struct tm_moved_row *row), void *ctx, struct tm_err *err)
{
	struct tm_buf text = {0}, state = {0};
	tm_buf_str_put(&text, t->select);
	if (behind) {
		tm_buf_cstr_put(&text, " WHERE token(");
		for (size_t i = 0; i < t->partition_key_count; i++) {
			tm_buf_cstr_put(&text, i ? ", " : "");
			tm_type_name_quoted(t->columns[i].name, &text);
		}
		tm_buf_printf(&text, ") > %" PRId64, *behind);
	}
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	do {
		struct tm_cql_result page = {0};
		tm_arena_reset(&arena);
		rc = tm_moved_query(s, tm_buf_str(&text), PAGE_ROWS, tm_buf_str(&state), &arena, &page, err);
		state.len = 0;
		if (rc == TM_OK)
			tm_buf_str_put(&state, page.paging_state);
		for (size_t i = 0; rc == TM_OK && i < page.row_count; i++) {
			struct tm_moved_row row = {t, page.values + i * page.column_count, page.columns};
			rc = each(ctx, &row);
		}
	} while (rc == TM_OK && state.len);
	tm_arena_done(&arena);
	tm_buf_done(&text);
	tm_buf_done(&state);
	return rc;
}

bool tm_moved_expires(const struct tm_moved_row *r)
{
	const struct tm_moved_table *t = r->table;
	for (size_t i = t->key_count; i < t->column_count && !t->counters; i++) {
		const struct tm_cql_value *ttl = &r->values[tm_moved_time_at(t, i) + 1];
		if (ttl->null || ttl->bytes.len == 0)
			continue;
		if (!t->columns[i].multi_cell)
			return true;
		/* a list: a count, then length and value of each; a null has length -1 */
		for (size_t at = 4; at + 4 <= ttl->bytes.len;) {
			uint32_t n;
			memcpy(&n, ttl->bytes.at + at, sizeof n);
			int32_t len = (int32_t)__builtin_bswap32(n);
			if (len > 0)
				return true;
			at += 4;
		}
	}
	return false;
}

uint64_t tm_moved_hash(const struct tm_moved_row *r, struct tm_buf *b)
{
	const struct tm_moved_table *t = r->table;
	b->len = 0;
	for (size_t i = 0; i < t->column_count; i++) {
		const struct tm_cql_value *v = &r->values[i];
		tm_buf_le32(b, v->null ? UINT32_MAX : (uint32_t)v->bytes.len);
		tm_buf_put(b, v->bytes.at, v->null ? 0 : v->bytes.len);
		/* Elements of a list get the time of the whole, see export_tables.c. */
		if (i >= t->key_count && !t->counters && !t->columns[i].list && !v->null) {
			const struct tm_cql_value *time = &r->values[tm_moved_time_at(t, i)];
			tm_buf_put(b, time->bytes.at, time->null ? 0 : time->bytes.len);
		}
	}
	return tm_xxh64(b->at, b->len, 0);
}
