/* `tidemill sql`: Spark SQL on the running instance, or without one from this process. */
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/shell.h"
#include "sql/sql.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct sql_command {
	struct tm_common common;
	bool local;
	struct tm_remote remote;
	bool is_remote;
	struct tm_stream_world world;
	struct tm_sql *sql;
};

static int run_remote(struct sql_command *c, struct tm_str statement)
{
	json_t *request =
	    json_pack("{s:o, s:s}", "sql", json_stringn_nocheck(statement.at, statement.len), "format", c->common.json ? "json" : "text");
	char *body = json_dumps(request, JSON_COMPACT);
	struct tm_buf out = {0};
	struct tm_err err;
	int status = 0;
	if (tm_remote_call(&c->remote, "/api/sql", body, &out, &err) != TM_OK)
		status = tm_command_fail(&err, c->common.json, statement);
	else {
		fwrite(out.at, 1, out.len, stdout);
		if (out.len && out.at[out.len - 1] != '\n')
			putchar('\n');
		status = tm_str_starts(tm_buf_str(&out), TM_STR("{\"error\"")) ? 1 : 0;
	}
	tm_buf_done(&out);
	free(body);
	json_decref(request);
	return status;
}

static int run_local(struct sql_command *c, struct tm_str statement)
{
	struct tm_buf out = {0};
	struct tm_err err;
	tm_rc rc = c->common.json ? tm_sql_run_json(c->sql, statement, &out, &err) : tm_sql_run_table(c->sql, statement, 1000, &out, &err);
	if (out.len) {
		fwrite(out.at, 1, out.len, stdout);
		if (out.at[out.len - 1] != '\n')
			putchar('\n');
	}
	if (rc != TM_OK && !(c->common.json && out.len))
		tm_command_fail(&err, c->common.json, statement);
	tm_buf_done(&out);
	return rc == TM_OK ? 0 : 1;
}

static int run_one(void *ctx, struct tm_str statement)
{
	struct sql_command *c = ctx;
	int status = c->is_remote ? run_remote(c, statement) : run_local(c, statement);
	fflush(stdout);
	return status;
}

int tm_command_sql(const struct tm_command *self, int argc, char **argv)
{
	struct sql_command c = {0};
	const struct tm_arg args[] = {
	    {"--local", TM_ARG_FLAG, &c.local, NULL, "answer from this process, even where an instance runs"},
	    TM_COMMON_ARGS(&c.common),
	};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		struct tm_err err;
		tm_say_level_set(TM_SAY_WARN);
		c.is_remote = !c.local && tm_remote_find(&c.remote, c.common.project, &err) == TM_OK;
		if (!c.is_remote) {
			c.world = (struct tm_stream_world){.env = tm_env_real(), .project_dir = c.common.project ? c.common.project : "."};
			struct tm_sql_options options = {.world = &c.world, .time_zone = "UTC"};
			c.sql = tm_sql_new(&options);
		}
		struct tm_shell shell = {.prompt = "sql> ", .split = tm_sql_split, .run = run_one, .ctx = &c};
		for (size_t i = 0; i < words.count && status == 0; i++)
			status = tm_shell_run(&shell, words.items[i]);
		if (!words.count)
			status = tm_shell_run(&shell, NULL);
		if (c.sql)
			tm_sql_free(c.sql);
		if (!c.local)
			tm_remote_done(&c.remote);
	}
	tm_texts_done(&words);
	return status;
}
