/* Runs SQL statements for the vectors, in this process. Standard input holds, per case, settings "conf NAME VALUE" and then
 * "sql LENGTH" followed by that many bytes and a line end; "view NAME LENGTH" makes a view of the statement instead. Every case starts
 * with "case". The clock stands on the day on which Spark was asked: '10:11:12' as a timestamp is of today. One line of JSON per statement,
 * flushed, so that a crash tells which one it was. */
#include <stdio.h>
#include <stdlib.h>
#include "sql/sql.h"

static int64_t recorded_us(const struct tm_env *e)
{
	(void)e;
	return INT64_C(1795348800) * 1000000; /* 2026-11-22 12:00 UTC */
}

static struct tm_sql *fresh(void)
{
	static struct tm_env_ops ops;
	static struct tm_env env;
	static struct tm_stream_world world;
	ops = *tm_env_real()->ops;
	ops.now_us = recorded_us;
	env = *tm_env_real();
	env.ops = &ops;
	world.env = &env;
	struct tm_sql_options options = {.world = &world, .time_zone = "UTC"};
	return tm_sql_new(&options);
}

static struct tm_str read_bytes(size_t n)
{
	char *text = tm_alloc(n + 1);
	if (fread(text, 1, n, stdin) != n)
		exit(2);
	text[n] = 0;
	getchar();
	return tm_str_n(text, n);
}

int main(void)
{
	char line[512], name[256], value[256];
	size_t n;
	struct tm_sql *sql = fresh();
	while (fgets(line, sizeof line, stdin)) {
		if (strncmp(line, "case", 4) == 0) {
			tm_sql_free(sql);
			sql = fresh();
		} else if (sscanf(line, "conf %255s %255[^\n]", name, value) == 2) {
			struct tm_err err = {0};
			if (tm_sql_set(sql, tm_str_of(name), tm_str_of(value), &err) != TM_OK)
				fprintf(stderr, "%s\n", err.what);
		} else if (sscanf(line, "sql %zu", &n) == 1) {
			struct tm_str text = read_bytes(n);
			struct tm_buf out = {0};
			struct tm_err err = {0};
			tm_rc rc = tm_sql_run_json(sql, text, &out, &err);
			(void)rc;
			tm_buf_char(&out, '\n');
			fwrite(out.at, 1, out.len, stdout);
			fflush(stdout);
			tm_buf_done(&out);
			free((void *)(uintptr_t)text.at);
		}
	}
	tm_sql_free(sql);
	return 0;
}
