/* Cells keep the time at which they were written and what is left of their life, so a row becomes one INSERT for each (time, life) among
 * its cells. Sets and maps become one addition for each such pair among their elements. A list is written whole, at the newest of its
 * elements' times: its elements have no identity, so a list that is written twice at one time would hold them twice. A row that has
 * nothing but its key is written at time 1. Counters get what is missing to the source's value. */
#include "cli/export_row.h"
#include "table/type.h"
#include <stdlib.h>

enum { CELLS_MAX = 2048 }; /* a table has fewer columns */

struct pair {
	int64_t time_us;
	int32_t life_s; /* 0 = for ever */
};
struct writing {
	struct tm_moved_writer *w;
	const struct tm_moved_row *row;
	const struct tm_moved_table *t;
	int64_t again;
	bool row_made; /* some INSERT has made the row itself */
	struct tm_arena arena;
};

static uint32_t be32(const char *at)
{
	uint32_t n;
	memcpy(&n, at, sizeof n);
	return __builtin_bswap32(n);
}

static int64_t be64(const char *at)
{
	uint64_t n;
	memcpy(&n, at, sizeof n);
	return (int64_t)__builtin_bswap64(n);
}

static struct tm_cql_value number(struct tm_arena *arena, int64_t n, size_t bytes)
{
	uint64_t big = __builtin_bswap64((uint64_t)n << (64 - 8 * bytes));
	char *at = tm_arena_alloc(arena, bytes);
	memcpy(at, &big, bytes);
	return (struct tm_cql_value){.bytes = {at, bytes}};
}

/* The next element of a list, set or map: length and bytes; a null has none. */
static bool element(struct tm_str bytes, size_t *at, struct tm_str *ret, bool *ret_null)
{
	if (*at + 4 > bytes.len)
		return false;
	int32_t len = (int32_t)be32(bytes.at + *at);
	*at += 4;
	*ret_null = len < 0;
	*ret = (struct tm_str){bytes.at + *at, len < 0 ? 0 : (size_t)len};
	if (len > 0 && *at + (size_t)len > bytes.len)
		return false;
	*at += ret->len;
	return true;
}

static struct pair pair_of(struct tm_str time, bool time_null, struct tm_str life, bool life_null)
{
	return (struct pair){time_null || time.len < 8 ? 1 : be64(time.at), life_null || life.len < 4 ? 0 : (int32_t)be32(life.at)};
}

static struct pair of_cell(const struct writing *wr, size_t column)
{
	const struct tm_cql_value *v = &wr->row->values[tm_moved_time_at(wr->t, column)];
	if (!wr->t->columns[column].multi_cell)
		return pair_of(v[0].bytes, v[0].null, v[1].bytes, v[1].null);
	/* the newest of its elements */
	struct pair newest = {1, 0};
	size_t t = 4, l = 4;
	struct tm_str time, life;
	bool time_null, life_null;
	while (element(v[0].bytes, &t, &time, &time_null)) {
		if (!element(v[1].bytes, &l, &life, &life_null))
			life_null = true;
		struct pair p = pair_of(time, time_null, life, life_null);
		if (p.time_us >= newest.time_us)
			newest = p;
	}
	return newest;
}

/* ---- statements ---- */

static void put_table(const struct tm_moved_table *t, struct tm_buf *b)
{
	tm_type_name_quoted(t->keyspace, b);
	tm_buf_char(b, '.');
	tm_type_name_quoted(t->name, b);
}

static void put_where(const struct tm_moved_table *t, size_t keys, struct tm_buf *b)
{
	for (size_t i = 0; i < keys; i++) {
		tm_buf_cstr_put(b, i ? " AND " : " WHERE ");
		tm_type_name_quoted(t->columns[i].name, b);
		tm_buf_cstr_put(b, " = ?");
	}
}

/* Key and columns in one INSERT; keys: how many of the key's columns (a static cell has no clustering). */
static tm_rc insert(struct writing *wr, size_t keys, const size_t *columns, size_t count, struct pair p, bool timed, struct tm_err *err)
{
	bool list = false;
	const struct tm_moved_table *t = wr->t;
	struct tm_cql_value *values = TM_NEW_N(&wr->arena, struct tm_cql_value, keys + count + 2);
	struct tm_buf b = {0};
	size_t n = 0;
	tm_buf_cstr_put(&b, "INSERT INTO ");
	put_table(t, &b);
	tm_buf_cstr_put(&b, " (");
	for (size_t i = 0; i < keys + count; i++) {
		size_t c = i < keys ? i : columns[i - keys];
		tm_buf_cstr_put(&b, i ? ", " : "");
		tm_type_name_quoted(t->columns[c].name, &b);
		values[n++] = wr->row->values[c];
		list = list || t->columns[c].list;
	}
	tm_buf_cstr_put(&b, ") VALUES (");
	for (size_t i = 0; i < keys + count; i++)
		tm_buf_cstr_put(&b, i ? ", ?" : "?");
	tm_buf_cstr_put(&b, timed ? ") USING TIMESTAMP ? AND TTL ?" : ") USING TIMESTAMP ?");
	values[n++] = number(&wr->arena, p.time_us, 8);
	if (timed)
		values[n++] = number(&wr->arena, p.life_s, 4);
	const struct tm_moved_write write = {.text = tm_buf_str(&b), .values = values, .count = n, .again = !list};
	tm_rc rc = tm_moved_writer_add(wr->w, &write, err);
	tm_buf_done(&b);
	return rc;
}

static tm_rc add_elements(struct writing *wr, size_t keys, size_t column, struct tm_str elements, struct pair p, struct tm_err *err)
{
	const struct tm_moved_table *t = wr->t;
	struct tm_cql_value *values = TM_NEW_N(&wr->arena, struct tm_cql_value, keys + 3);
	struct tm_buf b = {0};
	size_t n = 0;
	tm_buf_cstr_put(&b, "UPDATE ");
	put_table(t, &b);
	tm_buf_cstr_put(&b, " USING TIMESTAMP ? AND TTL ? SET ");
	tm_type_name_quoted(t->columns[column].name, &b);
	tm_buf_cstr_put(&b, " = ");
	tm_type_name_quoted(t->columns[column].name, &b);
	tm_buf_cstr_put(&b, " + ?");
	put_where(t, keys, &b);
	values[n++] = number(&wr->arena, p.time_us, 8);
	values[n++] = number(&wr->arena, p.life_s, 4);
	values[n++] = (struct tm_cql_value){.bytes = elements};
	for (size_t i = 0; i < keys; i++)
		values[n++] = wr->row->values[i];
	const struct tm_moved_write write = {.text = tm_buf_str(&b), .values = values, .count = n, .again = true};
	tm_rc rc = tm_moved_writer_add(wr->w, &write, err);
	tm_buf_done(&b);
	return rc;
}

/* A set or map: its elements by (time, life). */
static tm_rc write_elements(struct writing *wr, size_t keys, size_t column, struct tm_err *err)
{
	const struct tm_cql_value *v = &wr->row->values[column], *times = &wr->row->values[tm_moved_time_at(wr->t, column)];
	bool map = tm_str_starts(wr->t->columns[column].type, TM_STR("map<"));
	uint32_t count = v->bytes.len >= 4 ? be32(v->bytes.at) : 0;
	struct one {
		struct tm_str bytes; /* with lengths */
		struct pair p;
		bool written;
	} *all = TM_NEW_N(&wr->arena, struct one, count ? count : 1);
	size_t at = 4, t = 4, l = 4;
	for (uint32_t i = 0; i < count; i++) {
		struct tm_str part, time = {0}, life = {0};
		bool null, time_null = true, life_null = true;
		size_t from = at;
		if (!element(v->bytes, &at, &part, &null) || (map && !element(v->bytes, &at, &part, &null)))
			return tm_fail(err, TM_DATA, "a value of column %.*s is cut short", TM_STR_ARG(wr->t->columns[column].name));
		if (!element(times[0].bytes, &t, &time, &time_null))
			time_null = true;
		if (!element(times[1].bytes, &l, &life, &life_null))
			life_null = true;
		all[i] = (struct one){{v->bytes.at + from, at - from}, pair_of(time, time_null, life, life_null), false};
	}
	tm_rc rc = TM_OK;
	for (uint32_t i = 0; i < count && rc == TM_OK; i++) {
		struct tm_buf sub = {0};
		uint32_t n = 0;
		if (all[i].written)
			continue;
		tm_buf_be32(&sub, 0);
		for (uint32_t k = i; k < count; k++) {
			if (all[k].written || all[k].p.time_us != all[i].p.time_us || all[k].p.life_s != all[i].p.life_s)
				continue;
			all[k].written = true;
			tm_buf_str_put(&sub, all[k].bytes);
			n++;
		}
		n = __builtin_bswap32(n);
		memcpy(sub.at, &n, sizeof n);
		rc = add_elements(wr, keys, column, tm_buf_str(&sub), all[i].p, err);
		tm_buf_done(&sub);
	}
	return rc;
}

/* The columns of one kind (static or regular). */
static tm_rc write_cells(struct writing *wr, bool statics, struct tm_err *err)
{
	const struct tm_moved_table *t = wr->t;
	size_t keys = statics ? t->partition_key_count : t->key_count, group[CELLS_MAX];
	bool *done = TM_NEW_N(&wr->arena, bool, t->column_count);
	struct pair *pairs = TM_NEW_N(&wr->arena, struct pair, t->column_count), newest = {1, 0};
	bool any = false;
	for (size_t i = t->key_count; i < t->column_count; i++) {
		const struct tm_moved_column *c = &t->columns[i];
		done[i] = c->is_static != statics || wr->row->values[i].null;
		if (done[i])
			continue;
		pairs[i] = of_cell(wr, i);
		if (pairs[i].time_us >= newest.time_us)
			newest = pairs[i];
		any = true;
		bool growing = c->multi_cell && (tm_str_starts(c->type, TM_STR("set<")) || tm_str_starts(c->type, TM_STR("map<")));
		if (growing) {
			TM_TRY(write_elements(wr, keys, i, err));
			done[i] = true;
		} else if (c->list) {
			pairs[i].time_us += wr->again;
		}
	}
	for (size_t i = t->key_count; i < t->column_count; i++) {
		size_t n = 0;
		if (done[i])
			continue;
		for (size_t k = i; k < t->column_count && n < CELLS_MAX; k++)
			if (!done[k] && pairs[k].time_us == pairs[i].time_us && pairs[k].life_s == pairs[i].life_s) {
				group[n++] = k;
				done[k] = true;
			}
		wr->row_made = wr->row_made || !statics;
		TM_TRY(insert(wr, keys, group, n, pairs[i], true, err));
	}
	if (!statics && !wr->row_made)
		return insert(wr, keys, NULL, 0, newest, any, err);
	return TM_OK;
}

/* ---- counters ---- */

static tm_rc write_counters(struct writing *wr, struct tm_err *err)
{
	const struct tm_moved_table *t = wr->t;
	struct tm_buf b = {0};
	struct tm_cql_result there = {0};
	tm_rc rc = TM_OK;
	for (size_t i = t->key_count; i < t->column_count && rc == TM_OK; i++) {
		const struct tm_moved_column *c = &t->columns[i];
		if (wr->row->values[i].null)
			continue;
		size_t keys = c->is_static ? t->partition_key_count : t->key_count;
		b.len = 0;
		tm_buf_cstr_put(&b, "SELECT ");
		tm_type_name_quoted(c->name, &b);
		tm_buf_cstr_put(&b, " FROM ");
		put_table(t, &b);
		put_where(t, keys, &b);
		rc = tm_moved_ask(wr->w, tm_buf_str(&b), wr->row->values, keys, &wr->arena, &there, err);
		if (rc != TM_OK)
			break;
		int64_t have = there.row_count && there.values[0].bytes.len == 8 ? be64(there.values[0].bytes.at) : 0;
		int64_t missing = (int64_t)((uint64_t)be64(wr->row->values[i].bytes.at) - (uint64_t)have);
		if (!missing && there.row_count && !there.values[0].null)
			continue;
		b.len = 0;
		tm_buf_cstr_put(&b, "UPDATE ");
		put_table(t, &b);
		tm_buf_cstr_put(&b, " SET ");
		tm_type_name_quoted(c->name, &b);
		tm_buf_cstr_put(&b, " = ");
		tm_type_name_quoted(c->name, &b);
		tm_buf_cstr_put(&b, " + ?");
		put_where(t, keys, &b);
		struct tm_cql_value *values = TM_NEW_N(&wr->arena, struct tm_cql_value, keys + 1);
		values[0] = number(&wr->arena, missing, 8);
		for (size_t k = 0; k < keys; k++)
			values[k + 1] = wr->row->values[k];
		rc = tm_moved_ask(wr->w, tm_buf_str(&b), values, keys + 1, &wr->arena, &there, err);
	}
	tm_buf_done(&b);
	return rc;
}

tm_rc tm_moved_row_write(struct tm_moved_writer *w, const struct tm_moved_row *row, bool with_static, int64_t again, struct tm_err *err)
{
	const struct tm_moved_table *t = row->table;
	struct writing wr = {.w = w, .row = row, .t = t, .again = again};
	bool only_static = t->key_count > t->partition_key_count && row->values[t->partition_key_count].null;
	tm_rc rc = TM_OK;
	tm_arena_init(&wr.arena);
	if (t->counters) {
		rc = write_counters(&wr, err);
	} else {
		if (with_static)
			rc = write_cells(&wr, true, err);
		if (rc == TM_OK && !only_static)
			rc = write_cells(&wr, false, err);
	}
	tm_arena_done(&wr.arena);
	return rc;
}
