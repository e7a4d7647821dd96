/* The inside of the store, shared by store.c and journal.c. */
#ifndef TM_DAG_STORE_INT_H
#define TM_DAG_STORE_INT_H
#include <sqlite3.h>
#include "dag/dag_int.h"

enum { STATEMENTS_MAX = 128, JOURNAL_TABLES = 9 };
struct store {
	sqlite3 *db;
	bool in_transaction;
	struct tm_err err;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statements[STATEMENTS_MAX];
	int statement_count;
	/* several instances */
	struct tm_journal *journal; /* commits go there first; NULL = there is none */
	bool lost;                  /* the journal has refused one: nothing counts any more */
	struct {
		sqlite3_stmt *select, *put, *forget;
	} tables[JOURNAL_TABLES]; /* prepared when they are first needed */
};
void tm_dag_store_fail(struct store *s, const char *sql); /* keeps SQLite's error for the commit */
json_t *tm_dag_store_row(sqlite3_stmt *stmt);
/* Within a transaction that is to be committed: what it changed goes to the journal; a refusal becomes the store's error. */
void tm_dag_journal_write(struct store *s);
void tm_dag_journal_done(struct store *s);
#endif
