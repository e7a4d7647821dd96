/* sql: Spark SQL text to plans, and answering it. One tm_sql holds a catalogue (views, settings) over a world (log, store); it is
 * used by one thread at a time. Plans are immutable and may run in others. */
#ifndef TM_SQL_SQL_H
#define TM_SQL_SQL_H
#include "stream/batch.h"
#include "sql/steps.h"

struct tm_sql;
struct tm_sql_options {
	const struct tm_stream_world *world;
	const char *time_zone;
	bool ansi_off;
	size_t max_answer_bytes; /* of one run_json: a larger answer is TM_LIMIT; 0 = any size */
};
struct tm_sql *tm_sql_new(const struct tm_sql_options *options);
void tm_sql_free(struct tm_sql *sql);
/* spark.sql.* settings (SET k=v, conf of the vectors). Unknown ones are kept and have no effect. */
tm_rc tm_sql_set(struct tm_sql *sql, struct tm_str name, struct tm_str value, struct tm_err *err) TM_CHECKED;

/* Splits a script at its semicolons; next statement off *rest; false at the end. Line numbers count from the script's start. */
bool tm_sql_split(struct tm_str *rest, struct tm_str *ret_statement);
/* A view over rows in memory (tests, the vectors) or over any relation. */
tm_rc tm_sql_register(struct tm_sql *sql, struct tm_relation *relation, struct tm_err *err) TM_CHECKED;

/* One batch statement (SELECT, VALUES, WITH, SHOW, DESCRIBE, EXPLAIN, SET, CREATE TEMPORARY VIEW, …). schema first, then rows.
 * Besides views, FROM names kafka topics (`kafka.topic`, or a bare name when it is a topic) and tables (`keyspace.table`). */
struct tm_sql_sink {
	tm_rc (*schema)(void *ctx, const struct tm_schema *schema, const struct tm_session *session);
	tm_rc (*rows)(void *ctx, const struct tm_batch *batch);
	void *ctx;
};
tm_rc tm_sql_run(struct tm_sql *sql, struct tm_str statement, const struct tm_sql_sink *sink, struct tm_err *err) TM_CHECKED;
/* The statement's answer as one line of JSON as section 9 of the design says ({"columns":…,"rows":…} or {"error":…}). */
tm_rc tm_sql_run_json(struct tm_sql *sql, struct tm_str statement, struct tm_buf *out, struct tm_err *err) TM_CHECKED;
/* As a table for people. */
tm_rc tm_sql_run_table(struct tm_sql *sql, struct tm_str statement, size_t max_rows, struct tm_buf *out, struct tm_err *err) TM_CHECKED;

/* ---- pipelines ---- A file of CREATE TEMPORARY VIEW, CREATE STREAMING TABLE, CREATE FLOW: its streaming queries, not started. */
struct tm_pipeline_edge {
	struct tm_str from, to;
}; /* view or topic or table -> query: for the picture */
struct tm_pipeline {
	struct tm_str file;
	struct tm_query_spec *queries;
	size_t query_count;
	struct tm_relation **relations; /* sources used */
	size_t relation_count;
	struct tm_pipeline_edge *edges;
	size_t edge_count;
	struct tm_step *steps; /* the file statement by statement, for an engine elsewhere (steps.h) */
	size_t step_count;
};
/* Lives as long as sql. Errors carry file:line:column. check_only: sources need not exist yet. */
tm_rc tm_sql_pipeline(struct tm_sql *sql, struct tm_str file_name, struct tm_str text, bool check_only, struct tm_pipeline **ret,
		      struct tm_err *err) TM_CHECKED;
/* One streaming SELECT as a query (tests, the vectors): spec without sink. */
tm_rc tm_sql_stream_plan(struct tm_sql *sql, struct tm_str statement, enum tm_output_mode mode, struct tm_query_spec **ret,
			 struct tm_err *err) TM_CHECKED;
#endif
