/* The store's changes as entries of a journal, and back. Triggers note the keys of rows that a transaction touches; right before its commit
 * the rows are read again, so that an entry is the whole row as it is then, and the last entry of a key is the truth. Keys: "d" + table +
 * NUL + primary key as a JSON array; values: the row as a JSON object. What a file defines is not moved: every instance reads the files. */
#include "dag/store_int.h"
#include <stdlib.h>

static const struct {
	const char *name;
	int keys;            /* the first columns are the primary key */
	const char *columns; /* separated by commas */
} tables[JOURNAL_TABLES] = {
    {"dag", 1, "dag_id,paused,asset_queue"},
    {"run", 1, "id,dag_id,run_id,run_type,state,logical_us,interval_start_us,interval_end_us,run_after_us,queued_us,start_us,end_us,conf"},
    {"ti", 3, "run,task_id,map_index,state,try_number,max_tries,start_us,end_us,next_us,first_us,error,rendered_map_index"},
    {"try", 4, "run,task_id,map_index,try_number,state,start_us,end_us,error"},
    {"xcom", 4, "run,task_id,map_index,key,value"},
    {"variable", 1, "key,value"},
    {"pool", 1, "name,slots"},
    {"asset_event", 1, "id,uri,extra,dag_id,run_id,task_id,map_index,at_us"},
    {"run_asset_event", 2, "run,event"},
};

/* ---- statements by the table above ---- */

/* Calls each with the columns of a table, n of them (0 = all). */
static void columns(struct tm_buf *out, size_t table, int n, const char *format, const char *between)
{
	struct tm_str rest = tm_str_of(tables[table].columns), name;
	for (int i = 0; (!n || i < n) && rest.len && tm_str_split(&rest, ',', &name); i++) {
		if (i)
			tm_buf_cstr_put(out, between);
		for (const char *f = format; *f; f++)
			if (*f == '@')
				tm_buf_str_put(out, name);
			else if (*f == '#')
				tm_buf_printf(out, "%d", i);
			else
				tm_buf_char(out, *f);
	}
}

static bool run_sql(struct store *s, struct tm_buf *sql)
{
	bool good = sqlite3_exec(s->db, tm_buf_cstr(sql), NULL, NULL, NULL) == SQLITE_OK;
	if (!good)
		tm_dag_store_fail(s, tm_buf_cstr(sql));
	sql->len = 0;
	return good;
}

static sqlite3_stmt *prepared(struct store *s, sqlite3_stmt **stmt, struct tm_buf *sql)
{
	if (!*stmt && sqlite3_prepare_v3(s->db, tm_buf_cstr(sql), -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
		tm_dag_store_fail(s, tm_buf_cstr(sql));
	tm_buf_done(sql);
	return *stmt;
}

static sqlite3_stmt *select_of(struct store *s, size_t t)
{
	struct tm_buf sql = {0};
	if (!s->tables[t].select) {
		tm_buf_printf(&sql, "SELECT %s FROM main.%s WHERE ", tables[t].columns, tables[t].name);
		columns(&sql, t, tables[t].keys, "@ IS json_extract(?1,'$[#]')", " AND ");
	}
	return prepared(s, &s->tables[t].select, &sql);
}

static sqlite3_stmt *forget_of(struct store *s, size_t t)
{
	struct tm_buf sql = {0};
	if (!s->tables[t].forget) {
		tm_buf_printf(&sql, "DELETE FROM main.%s WHERE ", tables[t].name);
		columns(&sql, t, tables[t].keys, "@ IS json_extract(?1,'$[#]')", " AND ");
	}
	return prepared(s, &s->tables[t].forget, &sql);
}

static sqlite3_stmt *put_of(struct store *s, size_t t)
{
	struct tm_buf sql = {0};
	if (!s->tables[t].put) {
		tm_buf_printf(&sql, "INSERT INTO main.%s (%s) SELECT ", tables[t].name, tables[t].columns);
		columns(&sql, t, 0, "json_extract(?1,'$.@')", ",");
		tm_buf_cstr_put(&sql, " WHERE true ON CONFLICT (");
		columns(&sql, t, tables[t].keys, "@", ",");
		tm_buf_cstr_put(&sql, ") DO UPDATE SET ");
		columns(&sql, t, 0, "@=excluded.@", ",");
	}
	return prepared(s, &s->tables[t].put, &sql);
}

void tm_dag_journal_done(struct store *s)
{
	for (size_t t = 0; t < JOURNAL_TABLES; t++) {
		sqlite3_finalize(s->tables[t].select);
		sqlite3_finalize(s->tables[t].put);
		sqlite3_finalize(s->tables[t].forget);
	}
}

/* ---- out ---- */

tm_rc tm_dag_store_journal(struct store *s, struct tm_journal *journal, bool all, struct tm_err *err)
{
	struct tm_buf sql = {0};
	tm_buf_cstr_put(&sql, "CREATE TEMP TABLE IF NOT EXISTS changed (t INTEGER, k TEXT, PRIMARY KEY (t, k)) WITHOUT ROWID");
	bool good = run_sql(s, &sql);
	static const char *const events[][2] = {{"INSERT", "NEW"}, {"UPDATE", "NEW"}, {"DELETE", "OLD"}};
	for (size_t t = 0; t < JOURNAL_TABLES && good; t++)
		for (size_t e = 0; e < 3 && good; e++) {
			char column[20];
			snprintf(column, sizeof column, "%s.@", events[e][1]);
			/* No conflict clause: that of the statement which fires the trigger would count instead. */
			tm_buf_printf(
			    &sql,
			    "CREATE TEMP TRIGGER IF NOT EXISTS note_%s_%s AFTER %s ON main.%s BEGIN INSERT INTO changed SELECT t, k "
			    "FROM (SELECT %zu AS t, json_array(",
			    tables[t].name, events[e][0], events[e][0], tables[t].name, t);
			columns(&sql, t, tables[t].keys, column, ",");
			tm_buf_cstr_put(&sql,
					") AS k) AS f WHERE NOT EXISTS (SELECT 1 FROM changed AS c WHERE c.t = f.t AND c.k = f.k); END");
			good = run_sql(s, &sql);
		}
	if (good && all && !s->in_transaction) {
		tm_buf_cstr_put(&sql, "BEGIN IMMEDIATE");
		good = s->in_transaction = run_sql(s, &sql);
	}
	for (size_t t = 0; all && t < JOURNAL_TABLES && good; t++) {
		tm_buf_printf(&sql, "INSERT OR REPLACE INTO changed SELECT %zu, json_array(", t);
		columns(&sql, t, tables[t].keys, "@", ",");
		tm_buf_printf(&sql, ") FROM main.%s", tables[t].name);
		good = run_sql(s, &sql);
	}
	tm_buf_done(&sql);
	if (!good) {
		tm_rc rc = s->err.rc;
		if (err)
			*err = s->err;
		s->err = (struct tm_err){0};
		return rc;
	}
	s->journal = journal;
	return TM_OK;
}

struct gathering {
	struct tm_arena arena;
	struct {
		struct tm_journal_entry *items;
		size_t count, cap;
	} entries;
};

static void gather(struct store *s, struct gathering *g, size_t t, struct tm_str key)
{
	sqlite3_stmt *stmt = select_of(s, t);
	if (!stmt)
		return;
	struct tm_buf full = {0};
	tm_buf_printf(&full, "d%s", tables[t].name);
	tm_buf_u8(&full, 0);
	tm_buf_str_put(&full, key);
	struct tm_journal_entry e = {.key = tm_arena_str(&g->arena, tm_buf_str(&full)), .deleted = true};
	tm_buf_done(&full);
	sqlite3_bind_text(stmt, 1, key.at, (int)key.len, SQLITE_STATIC);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		json_t *row = tm_dag_store_row(stmt);
		char *text = json_dumps(row, JSON_COMPACT);
		e.deleted = false;
		e.value = tm_arena_str(&g->arena, tm_str_of(text ? text : "{}"));
		free(text);
		json_decref(row);
	} else if (rc != SQLITE_DONE) {
		tm_dag_store_fail(s, "SELECT of a changed row");
	}
	sqlite3_reset(stmt);
	TM_PUSH(&g->entries, e);
}

void tm_dag_journal_write(struct store *s)
{
	struct gathering g = {0};
	sqlite3_stmt *stmt;
	tm_arena_init(&g.arena);
	if (sqlite3_prepare_v2(s->db, "SELECT t, k FROM changed", -1, &stmt, NULL) != SQLITE_OK) {
		tm_dag_store_fail(s, "SELECT FROM changed");
		stmt = NULL;
	}
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		gather(s, &g, (size_t)sqlite3_column_int(stmt, 0),
		       tm_str_n((const char *)sqlite3_column_text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1)));
	sqlite3_finalize(stmt);
	if (s->err.rc == TM_OK && sqlite3_exec(s->db, "DELETE FROM changed", NULL, NULL, NULL) != SQLITE_OK)
		tm_dag_store_fail(s, "DELETE FROM changed");
	if (s->err.rc == TM_OK && g.entries.count) {
		struct tm_err why = {0};
		tm_rc rc = tm_journal_commit(s->journal, g.entries.items, g.entries.count, &why);
		if (rc != TM_OK) {
			s->err = why;
			s->err.rc = rc;
			s->lost = true;
		}
	}
	free(g.entries.items);
	tm_arena_done(&g.arena);
}

/* ---- in ---- */

static void apply_one(struct store *s, const struct tm_journal_entry *e)
{
	size_t nul = e->key.len ? tm_str_find(e->key, tm_str_n("", 1), 0) : SIZE_MAX, t = 0;
	if (nul == SIZE_MAX || e->key.at[0] != 'd')
		return;
	struct tm_str name = tm_str_slice(e->key, 1, nul), key = tm_str_slice(e->key, nul + 1, e->key.len);
	while (t < JOURNAL_TABLES && !tm_str_is(name, tables[t].name))
		t++;
	if (t == JOURNAL_TABLES)
		return; /* of a newer version: it is not needed here */
	sqlite3_stmt *stmt = e->deleted ? forget_of(s, t) : put_of(s, t);
	struct tm_str argument = e->deleted ? key : e->value;
	if (!stmt)
		return;
	sqlite3_bind_text(stmt, 1, argument.at, (int)argument.len, SQLITE_STATIC);
	if (sqlite3_step(stmt) != SQLITE_DONE)
		tm_dag_store_fail(s, sqlite3_sql(stmt));
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

tm_rc tm_dag_store_apply(struct store *s, bool forget_all, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct tm_buf sql = {0};
	tm_buf_cstr_put(&sql, "BEGIN IMMEDIATE");
	if (run_sql(s, &sql))
		s->in_transaction = true;
	for (size_t t = 0; forget_all && t < JOURNAL_TABLES && s->err.rc == TM_OK; t++) {
		tm_buf_printf(&sql, "DELETE FROM main.%s", tables[t].name);
		run_sql(s, &sql);
	}
	tm_buf_done(&sql);
	for (size_t i = 0; i < count && s->err.rc == TM_OK; i++)
		apply_one(s, &entries[i]);
	return tm_dag_store_commit(s, err);
}
