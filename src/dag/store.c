/* The state of the engine on disk: SQLite in WAL mode, synchronous=FULL, one transaction per turn of the loop.
 * Statements are prepared once and kept by the address of their text. An error is kept and comes out of the commit: until
 * then nothing was reported to anyone. */
#include "dag/store_int.h"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS dag (dag_id TEXT PRIMARY KEY, paused INTEGER NOT NULL, file TEXT, definition TEXT, asset_queue TEXT);"
    "CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, dag_id TEXT NOT NULL, run_id TEXT NOT NULL, run_type TEXT NOT NULL, state "
    "TEXT NOT NULL,"
    " logical_us INTEGER, interval_start_us INTEGER, interval_end_us INTEGER, run_after_us INTEGER NOT NULL, queued_us INTEGER, start_us "
    "INTEGER,"
    " end_us INTEGER, conf TEXT, UNIQUE (dag_id, run_id));"
    "CREATE INDEX IF NOT EXISTS run_logical ON run (dag_id, logical_us);"
    "CREATE INDEX IF NOT EXISTS run_state ON run (state) WHERE state IN ('queued', 'running');"
    "CREATE TABLE IF NOT EXISTS ti (run INTEGER NOT NULL, task_id TEXT NOT NULL, map_index INTEGER NOT NULL, state TEXT NOT NULL, "
    "try_number INTEGER NOT NULL,"
    " max_tries INTEGER NOT NULL, start_us INTEGER, end_us INTEGER, next_us INTEGER, first_us INTEGER, error TEXT, rendered_map_index TEXT,"
    " PRIMARY KEY (run, task_id, map_index)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS try (run INTEGER NOT NULL, task_id TEXT NOT NULL, map_index INTEGER NOT NULL, try_number INTEGER NOT NULL, "
    "state TEXT NOT NULL,"
    " start_us INTEGER, end_us INTEGER, error TEXT, PRIMARY KEY (run, task_id, map_index, try_number)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS xcom (run INTEGER NOT NULL, task_id TEXT NOT NULL, map_index INTEGER NOT NULL, key TEXT NOT NULL, value "
    "TEXT NOT NULL,"
    " PRIMARY KEY (run, task_id, map_index, key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS variable (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS pool (name TEXT PRIMARY KEY, slots INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS asset_event (id INTEGER PRIMARY KEY, uri TEXT NOT NULL, extra TEXT, dag_id TEXT, run_id TEXT, task_id "
    "TEXT, map_index INTEGER,"
    " at_us INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS run_asset_event (run INTEGER NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (run, event)) WITHOUT ROWID;";

void tm_dag_store_fail(struct store *s, const char *sql)
{
	if (s->err.rc != TM_OK)
		return;
	int code = sqlite3_errcode(s->db);
	tm_rc rc = code == SQLITE_FULL                               ? TM_DISK_FULL
		   : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? TM_CORRUPT
		   : code == SQLITE_BUSY                             ? TM_BUSY
								     : TM_IO;
	tm_fail(&s->err, rc, "the DAG database: %s", sqlite3_errmsg(s->db));
	tm_err_detail(&s->err, "in %.300s", sql);
}

tm_rc tm_dag_store_open(const char *path, struct store **ret, struct tm_err *err)
{
	struct store *s = tm_zalloc(sizeof *s);
	char *text = NULL;
	int rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(s->db, 2000);
		rc = sqlite3_exec(s->db,
				  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-4096;",
				  NULL, NULL, &text);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, schema, NULL, NULL, &text);
	if (rc != SQLITE_OK) {
		tm_rc code = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? TM_CORRUPT
			     : rc == SQLITE_FULL                         ? TM_DISK_FULL
			     : rc == SQLITE_BUSY                         ? TM_BUSY
									 : TM_IO;
		tm_fail(err, code, "%s: %s", path, text ? text : s->db ? sqlite3_errmsg(s->db) : "out of memory");
		sqlite3_free(text);
		tm_dag_store_close(s);
		return code;
	}
	*ret = s;
	return TM_OK;
}

void tm_dag_store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->statement_count; i++)
		sqlite3_finalize(s->statements[i].stmt);
	tm_dag_journal_done(s);
	sqlite3_close(s->db);
	free(s);
}

bool tm_dag_store_dirty(const struct store *s) { return s->in_transaction; }

tm_rc tm_dag_store_commit(struct store *s, struct tm_err *err)
{
	if (s->in_transaction && s->err.rc == TM_OK && s->journal)
		tm_dag_journal_write(s);
	if (s->in_transaction && s->err.rc == TM_OK && sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		tm_dag_store_fail(s, "COMMIT");
		s->lost = s->journal != NULL; /* the journal has it: the way on is from there */
	}
	if (s->err.rc != TM_OK) {
		if (s->in_transaction)
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		s->in_transaction = false;
		if (err)
			*err = s->err;
		tm_rc rc = s->err.rc;
		s->err = (struct tm_err){0};
		return rc;
	}
	s->in_transaction = false;
	return TM_OK;
}

static sqlite3_stmt *prepare(struct store *s, const char *sql)
{
	for (int i = 0; i < s->statement_count; i++)
		if (s->statements[i].sql == sql)
			return s->statements[i].stmt;
	TM_ASSERT(s->statement_count < STATEMENTS_MAX);
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
		tm_dag_store_fail(s, sql);
		return NULL;
	}
	s->statements[s->statement_count].sql = sql;
	s->statements[s->statement_count++].stmt = stmt;
	return stmt;
}

static void bind_values(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	for (int i = 1; *types; types++, i++) {
		const char *text;
		const json_t *j;
		char *dumped;
		int64_t v;
		switch (*types) {
		case 'i':
			sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
			break;
		case 'n':
			v = va_arg(ap, int64_t);
			if (v == TM_DAG_NEVER)
				sqlite3_bind_null(stmt, i);
			else
				sqlite3_bind_int64(stmt, i, v);
			break;
		case 's':
			text = va_arg(ap, const char *);
			if (text)
				sqlite3_bind_text(stmt, i, text, -1, SQLITE_TRANSIENT);
			else
				sqlite3_bind_null(stmt, i);
			break;
		case 'j':
			j = va_arg(ap, const json_t *);
			dumped = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
			if (dumped)
				sqlite3_bind_text(stmt, i, dumped, -1, free);
			else
				sqlite3_bind_null(stmt, i);
			break;
		default:
			TM_ASSERT(!"type of a bound value");
		}
	}
}

static sqlite3_stmt *start(struct store *s, const char *sql, const char *types, va_list ap, bool writes)
{
	if (writes && s->lost)
		return NULL; /* nothing that this engine decides counts any more */
	if (writes && !s->in_transaction) {
		if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
			tm_dag_store_fail(s, "BEGIN");
			return NULL;
		}
		s->in_transaction = true;
	}
	sqlite3_stmt *stmt = prepare(s, sql);
	if (stmt)
		bind_values(stmt, types, ap);
	return stmt;
}

void tm_dag_store_exec(struct store *s, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *stmt = start(s, sql, types, ap, true);
	va_end(ap);
	if (!stmt)
		return;
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		tm_dag_store_fail(s, sql);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

json_t *tm_dag_store_row(sqlite3_stmt *stmt)
{
	json_t *row = json_object();
	for (int i = 0; i < sqlite3_column_count(stmt); i++) {
		json_t *v;
		switch (sqlite3_column_type(stmt, i)) {
		case SQLITE_INTEGER:
			v = json_integer(sqlite3_column_int64(stmt, i));
			break;
		case SQLITE_FLOAT:
			v = json_real(sqlite3_column_double(stmt, i));
			break;
		case SQLITE_NULL:
			v = json_null();
			break;
		default:
			v = json_stringn((const char *)sqlite3_column_text(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
			break;
		}
		json_object_set_new(row, sqlite3_column_name(stmt, i), v ? v : json_null());
	}
	return row;
}

json_t *tm_dag_store_rows(struct store *s, const char *sql, const char *types, ...)
{
	json_t *rows = json_array();
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *stmt = start(s, sql, types, ap, false);
	va_end(ap);
	if (!stmt)
		return rows;
	int rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		json_array_append_new(rows, tm_dag_store_row(stmt));
	if (rc != SQLITE_DONE)
		tm_dag_store_fail(s, sql);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return rows;
}

int64_t tm_dag_store_int(struct store *s, int64_t otherwise, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *stmt = start(s, sql, types, ap, false);
	va_end(ap);
	if (!stmt)
		return otherwise;
	int64_t v = otherwise;
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		v = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return v;
}

int64_t tm_dag_store_last_id(struct store *s) { return sqlite3_last_insert_rowid(s->db); }

bool tm_dag_store_lost(const struct store *s) { return s->lost; }
