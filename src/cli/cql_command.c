/* `tidemill cql`: CQL on the running instance, over the native protocol. */
#include "cassandra/client.h"
#include "cassandra/tables.h"
#include "cli/command.h"
#include "cli/rows.h"
#include "cli/remote.h"
#include "cli/shell.h"
#include <stdio.h>
#include <stdlib.h>

struct cql_command {
	struct tm_common common;
	bool outside; /* a real Cassandra is asked itself */
	struct tm_cassandra_client *client;
};

/* All pages of an answer as one result, so that `--json` prints one line per statement. */
static tm_rc all_pages(struct cql_command *c, struct tm_str statement, struct tm_arena *arena, struct tm_cql_result *ret,
		       struct tm_err *err)
{
	struct tm_cql_query_options options = {.page_size = 5000, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1};
	TM_TRY(tm_cassandra_client_query(c->client, statement, &options, arena, ret, err));
	while (ret->kind == TM_CQL_ROWS && ret->paging_state.len) {
		struct tm_cql_result page;
		options.paging_state = ret->paging_state;
		TM_TRY(tm_cassandra_client_query(c->client, statement, &options, arena, &page, err));
		size_t old = ret->row_count * ret->column_count, more = page.row_count * page.column_count;
		ret->values = tm_arena_grow(arena, ret->values, old * sizeof *ret->values, tm_mul_size(old + more, sizeof *ret->values));
		if (more)
			memcpy(ret->values + old, page.values, more * sizeof *page.values);
		ret->row_count += page.row_count;
		ret->paging_state = page.paging_state;
	}
	return TM_OK;
}

static int fail(const struct cql_command *c, const struct tm_err *err, struct tm_str statement)
{
	if (!c->common.json)
		return tm_command_fail(err, false, statement);
	struct tm_buf out = {0};
	tm_buf_printf(&out, "{\"error\": {\"code\": \"0x%04X\", \"message\": ", (unsigned)(err->code ? err->code : tm_rc_cql(err->rc)));
	tm_buf_json_str(&out, tm_str_of(err->what));
	if (err->line)
		tm_buf_printf(&out, ", \"line\": %d, \"column\": %d", err->line, err->column);
	tm_buf_cstr_put(&out, "}}");
	puts(tm_buf_cstr(&out));
	tm_buf_done(&out);
	return 1;
}

static int run_one(void *ctx, struct tm_str statement)
{
	struct cql_command *c = ctx;
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cql_result result;
	struct tm_err err;
	int status = 0;
	if (all_pages(c, statement, &arena, &result, &err) != TM_OK) {
		if (c->outside && tm_str_find(statement, TM_STR("tidemill."), 0) != SIZE_MAX)
			tm_err_hint(&err,
				    "Dead letters are kept by Tidemill itself: `tidemill sql 'SELECT * FROM tidemill.dead_letters'`.");
		status = fail(c, &err, statement);
	} else if (c->common.json) {
		struct tm_buf out = {0};
		tm_cql_result_json(&result, &out);
		puts(tm_buf_cstr(&out));
		tm_buf_done(&out);
	} else if (result.kind == TM_CQL_ROWS) {
		tm_rows_print(&result);
	}
	fflush(stdout);
	tm_arena_done(&arena);
	return status;
}

int tm_command_cql(const struct tm_command *self, int argc, char **argv)
{
	struct cql_command c = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&c.common)};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		struct tm_err err;
		struct tm_remote remote;
		tm_say_level_set(TM_SAY_WARN);
		tm_rc rc = tm_remote_find(&remote, c.common.project, &err);
		c.outside = (rc == TM_OK || rc == TM_NOT_FOUND) && remote.config.store && strcmp(remote.config.store, "embedded") != 0;
		if (c.outside) { /* whether or not an instance runs */
			rc = tm_tables_cassandra_client(tm_str_of(remote.config.store), &c.client, &err);
		} else if (rc == TM_OK || rc == TM_NOT_FOUND) { /* the CQL door may be there where the page is not */
			struct tm_cassandra_client_options options = {.host = tm_address_here(&remote.config.cassandra),
								      .port = tm_remote_port(&remote, "cassandra")};
			struct tm_err refused;
			tm_rc opened = options.port ? tm_cassandra_client_open(&options, &c.client, &refused) : TM_UNAVAILABLE;
			rc = opened == TM_OK ? TM_OK : rc != TM_OK ? rc : (err = refused, opened);
		}
		if (rc != TM_OK) {
			status = tm_command_fail(&err, c.common.json, (struct tm_str){0});
		} else {
			struct tm_shell shell = {.prompt = "cql> ", .split = tm_cql_split, .run = run_one, .ctx = &c};
			for (size_t i = 0; i < words.count && status == 0; i++)
				status = tm_shell_run(&shell, words.items[i]);
			if (!words.count)
				status = tm_shell_run(&shell, NULL);
		}
		tm_cassandra_client_close(c.client);
		tm_remote_done(&remote);
	}
	tm_texts_done(&words);
	return status;
}
