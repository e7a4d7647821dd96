/* Tables, row by row in the order of their tokens: schema where it is missing, then cells with their write times and what is left of
 * their lives, then both sides are read and compared. Every write carries the time of the cell it copies, so writing a row again changes
 * nothing, and the mark (the token up to which all is written) only saves work. */
#include "cli/export.h"
#include "cassandra/cassandra.h"
#include "cassandra/tables.h"
#include "cli/export_row.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FLUSH_ROWS = 2000 };

struct moving {
	struct tm_export *x;
	struct tm_store *store; /* of a stopped project, behind a door of its own */
	struct tm_cassandra_server *door;
	struct tm_cassandra_client *from, *to;
	struct tm_moved_writer *writer;
	char what[300];
};

/* ---- the two sides ---- */

static tm_rc open_source(struct moving *m, struct tm_err *err)
{
	struct tm_export *x = m->x;
	const struct tm_config *c = &x->remote.config;
	if (x->from)
		return tm_tables_cassandra_client(tm_str_of(x->from), &m->from, err);
	if (strcmp(c->store, "embedded") != 0)
		return tm_tables_cassandra_client(tm_str_of(c->store), &m->from, err);
	if (x->running) {
		struct tm_str door = tm_arena_printf(&x->arena, "cassandra://%s:%d", tm_address_here(&c->cassandra),
						     tm_remote_port(&x->remote, "cassandra"));
		return tm_tables_cassandra_client(door, &m->from, err);
	}
	char path[4200];
	snprintf(path, sizeof path, "%s/table", c->data);
	if (access(path, F_OK) != 0) {
		tm_fail(err, TM_NOT_FOUND, "there are no tables in %s", c->data);
		tm_err_hint(err, "Name the project with --project DIR, or a store with --from cassandra://host:port.");
		return TM_NOT_FOUND;
	}
	const struct tm_store_options options = {0};
	TM_TRY(tm_store_open(path, &options, &m->store, err));
	const struct tm_cassandra_options door = {.host = "127.0.0.1"};
	TM_TRY(tm_cassandra_server_start(m->store, &door, &m->door, err));
	struct tm_str address = tm_arena_printf(&x->arena, "cassandra://127.0.0.1:%d", tm_cassandra_server_port(m->door));
	return tm_tables_cassandra_client(address, &m->from, err);
}

/* ---- schema ---- */

static bool there(struct moving *m, const char *table, const char *column, struct tm_str keyspace, struct tm_str name, tm_rc *rc,
		  struct tm_err *err)
{
	struct tm_cql_result r = {0};
	struct tm_str text =
	    name.at
		? tm_arena_printf(&m->x->arena, "SELECT keyspace_name FROM system_schema.%s WHERE keyspace_name = '%.*s' AND %s = '%.*s'",
				  table, TM_STR_ARG(keyspace), column, TM_STR_ARG(name))
		: tm_arena_printf(&m->x->arena, "SELECT keyspace_name FROM system_schema.%s WHERE keyspace_name = '%.*s'", table,
				  TM_STR_ARG(keyspace));
	if (*rc == TM_OK)
		*rc = tm_moved_query(m->to, text, 0, (struct tm_str){0}, &m->x->arena, &r, err);
	return r.row_count > 0;
}

static tm_rc make(struct moving *m, struct tm_str statement, struct tm_err *err)
{
	struct tm_cql_result r;
	while (statement.len && (statement.at[statement.len - 1] == ';' || statement.at[statement.len - 1] == '\n'))
		statement.len--;
	return tm_moved_query(m->to, statement, 0, (struct tm_str){0}, &m->x->arena, &r, err);
}

static struct tm_str without_quotes(struct tm_str s, struct tm_arena *arena)
{
	char *at = tm_arena_alloc(arena, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] != '"')
			at[n++] = s.at[i];
	return (struct tm_str){at, n};
}

/* Keyspace, types, the table and its indexes, each where it is missing, in the words of DESCRIBE. */
static tm_rc make_schema(struct moving *m, struct tm_str keyspace, struct tm_str table, struct tm_err *err)
{
	struct tm_cql_result all;
	struct tm_arena *arena = &m->x->arena;
	tm_rc rc = tm_moved_query(m->from, tm_arena_printf(arena, "DESCRIBE KEYSPACE \"%.*s\"", TM_STR_ARG(keyspace)), 0,
				  (struct tm_str){0}, arena, &all, err);
	struct tm_str on = tm_arena_printf(arena, " ON %.*s.%.*s (", TM_STR_ARG(keyspace), TM_STR_ARG(table));
	for (size_t i = 0; rc == TM_OK && i < all.row_count; i++) {
		const struct tm_cql_value *v = all.values + i * all.column_count;
		struct tm_str type = v[1].bytes, name = without_quotes(v[2].bytes, arena), text = v[3].bytes;
		bool wanted = false;
		if (tm_str_is(type, "keyspace"))
			wanted = !there(m, "keyspaces", NULL, keyspace, (struct tm_str){0}, &rc, err);
		else if (tm_str_is(type, "type"))
			wanted = !there(m, "types", "type_name", keyspace, name, &rc, err);
		else if (tm_str_is(type, "table"))
			wanted = tm_str_eq(name, table) && !there(m, "tables", "table_name", keyspace, name, &rc, err);
		else if (tm_str_is(type, "index"))
			wanted = tm_str_find(without_quotes(text, arena), on, 0) != SIZE_MAX &&
				 !there(m, "indexes", tm_arena_printf(arena, "table_name = '%.*s' AND index_name", TM_STR_ARG(table)).at,
					keyspace, name, &rc, err);
		if (rc == TM_OK && wanted)
			rc = make(m, text, err);
		if (rc == TM_OK && wanted && tm_str_is(type, "keyspace"))
			tm_export_note(
			    m->x, "keyspace %.*s was made with the replication it has here; ALTER KEYSPACE sets one that fits the cluster",
			    TM_STR_ARG(keyspace));
	}
	return rc;
}

/* ---- rows ---- */

struct writing {
	struct moving *m;
	struct tm_export_mark *mark;
	struct tm_err *err;
	int64_t token, unflushed, written;
	bool begun; /* token is that of a row */
};

static tm_rc flush(struct writing *w)
{
	TM_TRY(tm_moved_writer_flush(w->m->writer, w->err));
	w->unflushed = 0;
	return tm_export_state_save(&w->m->x->state, false, w->err);
}

static tm_rc write_row(void *ctx, const struct tm_moved_row *row)
{
	struct writing *w = ctx;
	struct tm_export *x = w->m->x;
	int64_t token = tm_moved_token(row);
	bool next = !w->begun || token != w->token;
	if (tm_export_stopping())
		return tm_fail(w->err, TM_CANCELLED, "stopped; started again it goes on from here");
	if (next && w->begun) {
		/* All of the partition before is on its way; it is written for good when it is flushed. */
		if (w->unflushed >= FLUSH_ROWS) {
			TM_TRY(tm_moved_writer_flush(w->m->writer, w->err));
			w->mark->next = w->token;
			TM_TRY(flush(w));
		}
	}
	w->token = token;
	w->begun = true;
	TM_TRY(tm_moved_row_write(w->m->writer, row, next, w->mark->base, w->err));
	w->unflushed++;
	w->written++;
	x->done++;
	tm_export_progress(x, w->m->what, "rows");
	return TM_OK;
}

struct tally {
	int64_t rows, expiring;
	uint64_t sum, expiring_sum;
	struct tm_buf scratch;
	struct tm_export *x;
	const char *what;
	struct tm_err *err;
};

static tm_rc tally_row(void *ctx, const struct tm_moved_row *row)
{
	struct tally *t = ctx;
	bool expires = tm_moved_expires(row);
	if (tm_export_stopping())
		return tm_fail(t->err, TM_CANCELLED, "stopped; started again it goes on from here");
	/* A sum: the sides may give rows of one token in another order. */
	*(expires ? &t->expiring_sum : &t->sum) += tm_moved_hash(row, &t->scratch);
	(*(expires ? &t->expiring : &t->rows))++;
	t->x->done++;
	tm_export_progress(t->x, t->what, "rows");
	return TM_OK;
}

static tm_rc tally_of(struct moving *m, struct tm_cassandra_client *side, const struct tm_moved_table *t, struct tally *ret,
		      struct tm_err *err)
{
	*ret = (struct tally){.x = m->x, .what = m->what, .err = err};
	tm_rc rc = tm_moved_scan(side, t, NULL, tally_row, ret, err);
	tm_buf_done(&ret->scratch);
	return rc;
}

/* Rows that end by themselves may have ended between the two readings. */
static bool agree(const struct tally *ours, const struct tally *theirs)
{
	bool lasting = ours->rows == theirs->rows && ours->sum == theirs->sum;
	return lasting &&
	       (ours->expiring != theirs->expiring ? ours->expiring > theirs->expiring : ours->expiring_sum == theirs->expiring_sum);
}

static tm_rc compare(struct moving *m, const struct tm_moved_table *t, struct tally *ours, struct tally *theirs, struct tm_err *err)
{
	TM_TRY(tally_of(m, m->from, t, ours, err));
	return tally_of(m, m->to, t, theirs, err);
}

static tm_rc any_row(void *ctx, const struct tm_moved_row *row) { return (void)row, *(bool *)ctx = true, TM_CANCELLED; }

static tm_rc move_rows(struct moving *m, const struct tm_moved_table *t, struct tm_export_mark *mark, int64_t *ret_written,
		       struct tm_err *err)
{
	enum { FINISHED = 1 };
	if (!mark->begun) {
		bool some = false;
		if (t->lists) {
			tm_rc rc = tm_moved_scan(m->to, t, NULL, any_row, &some, err);
			if (rc != TM_OK && rc != TM_CANCELLED)
				return rc;
		}
		if (some) {
			tm_fail(err, TM_EXISTS, "table %.*s.%.*s has rows at the target, and nothing here says that this export wrote them",
				TM_STR_ARG(t->keyspace), TM_STR_ARG(t->name));
			tm_err_detail(err, "It has lists: written a second time, they would hold their elements twice.");
			tm_err_hint(err, "TRUNCATE it there and start the export again.");
			return TM_EXISTS;
		}
		*mark = (struct tm_export_mark){.name = mark->name, .begun = true, .next = INT64_MIN};
	} else {
		mark->base++;
		if (mark->first == FINISHED)
			mark->next = INT64_MIN;
	}
	mark->first = 0;
	TM_TRY(tm_export_state_save(&m->x->state, true, err));
	struct writing w = {.m = m, .mark = mark, .err = err};
	TM_TRY(tm_moved_scan(m->from, t, &mark->next, write_row, &w, err));
	TM_TRY(tm_moved_writer_flush(m->writer, err));
	mark->first = FINISHED;
	mark->count = w.written;
	*ret_written = w.written;
	return tm_export_state_save(&m->x->state, true, err);
}

static tm_rc move_table(struct moving *m, struct tm_str keyspace, struct tm_str name, struct tm_err *err)
{
	struct tm_export *x = m->x;
	struct tm_moved_table ours, theirs;
	struct tally a, b;
	int64_t written = 0;
	struct tm_str full = tm_arena_printf(&x->arena, "%.*s.%.*s", TM_STR_ARG(keyspace), TM_STR_ARG(name));
	snprintf(m->what, sizeof m->what, "table %.*s", TM_STR_ARG(full));
	TM_TRY(tm_moved_table_load(m->from, keyspace, name, &x->arena, &ours, err));
	TM_TRY(make_schema(m, keyspace, name, err));
	TM_TRY(tm_moved_table_load(m->to, keyspace, name, &x->arena, &theirs, err));
	TM_TRY(tm_moved_table_same(&ours, &theirs, err));
	struct tm_export_mark *mark = tm_export_state_add(&x->state, full);
	bool same = false;
	if (mark->begun && mark->first) { /* finished before: is it still so? */
		TM_TRY(compare(m, &ours, &a, &b, err));
		same = agree(&a, &b);
	}
	if (!same) {
		TM_TRY(move_rows(m, &ours, mark, &written, err));
		TM_TRY(compare(m, &ours, &a, &b, err));
		same = agree(&a, &b);
	}
	x->different += !same;
	char sums[2][20];
	snprintf(sums[0], sizeof sums[0], "%016" PRIx64, a.sum);
	snprintf(sums[1], sizeof sums[1], "%016" PRIx64, b.sum);
	json_array_append_new(x->parts, json_pack("{s:s%, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "table", full.at, full.len, "rows",
						  (json_int_t)(a.rows + a.expiring), "target_rows", (json_int_t)(b.rows + b.expiring),
						  "expiring", (json_int_t)a.expiring, "written", (json_int_t)written, "begun_again",
						  (json_int_t)mark->base, "checksum", sums[0], "target_checksum", sums[1], "same", same));
	if (!x->common.json && same)
		printf("table %.*s: %" PRId64 " rows (%" PRId64 " written now), checksum %s on both sides\n", TM_STR_ARG(full),
		       a.rows + a.expiring, written, sums[0]);
	else if (!x->common.json)
		printf("table %.*s: DIFFERENT: %" PRId64 " rows with checksum %s here, %" PRId64 " with %s there\n", TM_STR_ARG(full),
		       a.rows + a.expiring, sums[0], b.rows + b.expiring, sums[1]);
	fflush(stdout);
	return TM_OK;
}

static bool system_keyspace(struct tm_str k) { return tm_str_starts(k, TM_STR("system")) || tm_str_is(k, "tidemill"); }

static bool named(const struct tm_export *x, const char *name)
{
	for (size_t i = 0; i < x->name_count; i++)
		if (strcmp(x->names[i], name) == 0)
			return true;
	return false;
}

static tm_rc run(struct moving *m, struct tm_err *err)
{
	struct tm_export *x = m->x;
	struct tm_cql_result tables;
	size_t wanted = 0;
	TM_TRY(open_source(m, err));
	TM_TRY(tm_tables_cassandra_client(tm_str_of(x->to), &m->to, err));
	TM_TRY(tm_moved_writer_new(tm_str_of(x->to), m->to, &m->writer, err));
	TM_TRY(tm_moved_query(m->from, TM_STR("SELECT keyspace_name, table_name FROM system_schema.tables"), 0, (struct tm_str){0},
			      &x->arena, &tables, err));
	for (size_t i = 0; i < tables.row_count; i++) {
		struct tm_str keyspace = tables.values[i * 2].bytes, name = tables.values[i * 2 + 1].bytes;
		struct tm_str full = tm_arena_printf(&x->arena, "%.*s.%.*s", TM_STR_ARG(keyspace), TM_STR_ARG(name));
		bool is = tm_export_wanted(x, full) || tm_export_wanted(x, keyspace);
		if (is && system_keyspace(keyspace))
			is = named(x, full.at) || named(x, tm_arena_cstr(&x->arena, keyspace));
		if (!is)
			continue;
		wanted++;
		TM_TRY(move_table(m, keyspace, name, err));
	}
	if (!wanted && x->name_count) {
		tm_fail(err, TM_NOT_FOUND, "there is no table or keyspace %s", x->names[0]);
		tm_err_hint(err, "Tables are named as keyspace.table; `tidemill cql \"DESCRIBE TABLES\"` shows them.");
		return TM_NOT_FOUND;
	}
	return TM_OK;
}

tm_rc tm_export_tables(struct tm_export *x, struct tm_err *err)
{
	struct moving m = {.x = x};
	tm_rc rc = run(&m, err);
	tm_moved_writer_free(m.writer);
	tm_cassandra_client_close(m.from);
	tm_cassandra_client_close(m.to);
	if (m.door)
		tm_cassandra_server_stop(m.door);
	if (m.store)
		tm_store_close(m.store);
	return rc;
}
