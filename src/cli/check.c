/* `tidemill check`: everything that is wrong with a project, without running it. The tables are made in a store of its own that
 * is thrown away, so that pipelines are checked against the tables they will write to. */
#include "cli/check_outside.h"
#include "cli/command.h"
#include "cli/coordinator.h"
#include "cli/engine.h"
#include "cli/instance.h"
#include "spark/spark.h"
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct check {
	struct tm_common common;
	struct tm_instance in; /* only its config, store and sql */
	json_t *problems;
	size_t errors, warnings, files;
	struct tm_outside_check outside;
	int spark; /* the version that will run the pipelines; 0: the embedded engine */
};

static void problem(struct check *c, const struct tm_err *err, bool warning)
{
	if (warning)
		c->warnings++;
	else
		c->errors++;
	if (c->common.json) {
		json_array_append_new(c->problems,
				      json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:s}", "severity", warning ? "warning" : "error",
						"file", err->file, "line", err->line, "column", err->column, "class", err->klass, "message",
						err->what, "detail", err->detail, "hint", err->hint));
		return;
	}
	struct tm_buf source = {0};
	if (err->file[0] && err->line)
		(void)!tm_file_read(tm_env_real(), err->file, TM_LIMIT_SQL_BYTES, &source, NULL);
	char text[4000];
	struct tm_err said = *err;
	said.warning = warning;
	tm_err_render(&said, tm_buf_str(&source), text, sizeof text);
	printf("%s\n", text);
	tm_buf_done(&source);
}

static void check_file(struct check *c, const char *folder, const char *suffix,
		       tm_rc (*each)(struct check *, const char *, struct tm_buf *, struct tm_err *))
{
	char dir[4096], path[8192];
	snprintf(dir, sizeof dir, "%s/%s", c->in.config.dir, folder);
	if (access(dir, F_OK) != 0)
		return;
	char **names;
	size_t count;
	struct tm_err err;
	if (tm_dir_list(dir, suffix, &names, &count, &err) != TM_OK) {
		problem(c, &err, false);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct tm_buf text = {0};
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		c->files++;
		tm_rc rc = tm_file_read(tm_env_real(), path, TM_LIMIT_SQL_BYTES, &text, &err);
		if (rc == TM_OK)
			rc = each(c, path, &text, &err);
		if (rc != TM_OK) {
			if (!err.file[0])
				tm_err_at(&err, path, err.line, err.column);
			problem(c, &err, false);
		}
		tm_buf_done(&text);
	}
	tm_dir_list_free(names, count);
}

static tm_rc check_cql(struct check *c, const char *path, struct tm_buf *text, struct tm_err *err)
{
	struct tm_str rest = tm_buf_str(text), statement;
	char keyspace[64] = "";
	while (tm_cql_split(&rest, &statement)) {
		struct tm_arena arena;
		tm_arena_init(&arena);
		struct tm_cql_session session = {.store = c->in.store, .keyspace = tm_str_of(keyspace), .protocol_version = 5};
		struct tm_cql_query_options options = {
		    .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .page_size = -1};
		struct tm_cql_result result;
		tm_rc rc = tm_cql_query(&session, statement, &options, NULL, &arena, &result, err);
		if (rc == TM_OK && result.kind == TM_CQL_SET_KEYSPACE)
			snprintf(keyspace, sizeof keyspace, "%.*s", TM_STR_ARG(result.keyspace));
		tm_arena_done(&arena);
		if (rc != TM_OK) {
			tm_instance_cql_err_at(err, path, text->at, statement.at);
			return rc;
		}
	}
	return TM_OK;
}

static tm_rc check_sql(struct check *c, const char *path, struct tm_buf *text, struct tm_err *err)
{
	struct tm_str file = tm_arena_str(&c->in.arena, tm_str_of(path)), kept = tm_arena_str(&c->in.arena, tm_buf_str(text));
	struct tm_pipeline *pipeline;
	TM_TRY(tm_sql_pipeline(c->in.sql, file, kept, true, &pipeline, err));
	for (size_t q = 0; q < pipeline->query_count; q++) {
		tm_rc rc = tm_query_check(&pipeline->queries[q], err);
		if (rc == TM_OK && !c->spark)
			rc = tm_query_check_sink(&c->in.world, &pipeline->queries[q], err);
		if (rc != TM_OK && rc != TM_UNAVAILABLE) { /* unavailable: nothing runs here, least of all a broker */
			if (!err->line)
				tm_err_at(err, path, pipeline->queries[q].line, 1);
			return rc;
		}
	}
	tm_outside_check_pipeline(&c->outside, pipeline);
	return c->spark ? tm_spark_check(pipeline, c->spark, err) : TM_OK;
}

static void outside_problem(void *ctx, const struct tm_err *err, bool warning) { problem(ctx, err, warning); }

static void check_dags(struct check *c)
{
	struct tm_airflow_options options;
	tm_instance_airflow_options(&c->in, &options);
	if (access(options.dags_dir, F_OK) != 0)
		return;
	struct tm_airflow_report report;
	struct tm_err err;
	if (tm_airflow_check(&options, &report, &err) != TM_OK) {
		problem(c, &err, false);
		return;
	}
	c->files += json_array_size(report.files);
	for (size_t i = 0; i < report.problem_count; i++) {
		const struct tm_airflow_problem *p = &report.problems[i];
		tm_fail(&err, TM_INVALID, "%s", p->what);
		tm_err_detail(&err, "%s", p->detail);
		tm_err_hint(&err, "%s", p->hint);
		tm_err_at(&err, p->file, p->line, p->column);
		problem(c, &err, p->warning);
	}
	tm_airflow_report_done(&report);
}

static tm_rc check_all(struct check *c, const char *dir, const char *scratch, struct tm_err *err)
{
	tm_arena_init(&c->in.arena);
	tm_rc rc = tm_config_load(&c->in.config, dir, err);
	if (rc != TM_OK)
		return rc;
	struct tm_err coordinator;
	if (tm_coordinator_check(&c->in.config, &coordinator) != TM_OK)
		problem(c, &coordinator, false);
	const struct tm_store_options store = {0};
	TM_TRY(tm_store_open(scratch, &store, &c->in.store, err));
	c->in.world = (struct tm_stream_world){.env = tm_env_real(), .store = c->in.store, .project_dir = c->in.config.dir};
	if (tm_instance_broker_new(&c->in, err) != TM_OK)
		problem(c, err, false);
	struct tm_sql_options sql = {.world = &c->in.world, .time_zone = "UTC"};
	c->in.sql = tm_sql_new(&sql);
	check_file(c, "tables", ".cql", check_cql);
	c->outside = (struct tm_outside_check){.in = &c->in, .problem = outside_problem, .ctx = c};
	tm_outside_check(&c->outside);
	if (tm_engine_is_spark(&c->in.config) && tm_engine_check_version(&c->in, &c->spark, err) != TM_OK)
		problem(c, err, false);
	check_file(c, "pipelines", ".sql", check_sql);
	check_dags(c);
	if (c->files == 0) {
		tm_fail(err, TM_NOT_FOUND, "%s holds no dags/*.py, tables/*.cql or pipelines/*.sql", c->in.config.dir);
		tm_err_hint(err, "Is this the project directory? `tidemill check examples/earthquakes` shows one that is whole.");
		problem(c, err, false);
	}
	return TM_OK;
}

int tm_command_check(const struct tm_command *self, int argc, char **argv)
{
	struct check c = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&c.common)};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		char scratch[] = "/tmp/tidemill-check-XXXXXX";
		struct tm_err err;
		c.problems = json_array();
		tm_say_level_set(TM_SAY_WARN);
		if (!mkdtemp(scratch))
			tm_fail(&err, TM_IO, "no temporary directory under /tmp");
		else if (check_all(&c, words.count ? words.items[0] : c.common.project ? c.common.project : ".", scratch, &err) != TM_OK)
			problem(&c, &err, false);
		if (c.common.json) {
			char *s = json_dumps(c.problems, JSON_COMPACT);
			printf("{\"ok\": %s, \"files\": %zu, \"problems\": %s}\n", c.errors ? "false" : "true", c.files, s);
			free(s);
		} else {
			printf("%zu file%s checked: %zu error%s, %zu warning%s\n", c.files, c.files == 1 ? "" : "s", c.errors,
			       c.errors == 1 ? "" : "s", c.warnings, c.warnings == 1 ? "" : "s");
		}
		json_decref(c.problems);
		if (c.in.sql)
			tm_sql_free(c.in.sql);
		tm_instance_broker_stop(&c.in);
		if (c.in.store)
			tm_store_close(c.in.store);
		tm_arena_done(&c.in.arena);
		tm_config_done(&c.in.config);
		(void)!tm_dir_remove(scratch, NULL);
		status = c.errors ? 1 : 0;
	}
	tm_texts_done(&words);
	return status;
}
