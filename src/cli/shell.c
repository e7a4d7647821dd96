/* The loop of the shells. */
#include "cli/shell.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run_all(const struct tm_shell *sh, struct tm_str text, bool go_on)
{
	int status = 0;
	struct tm_str rest = text, statement;
	while ((go_on || status == 0) && sh->split(&rest, &statement)) {
		int one = sh->run(sh->ctx, statement);
		status = one ? one : status;
	}
	return status;
}

/* At a prompt, a statement ends with a semicolon at the end of a line. */
static int prompt(const struct tm_shell *sh)
{
	struct tm_buf pending = {0};
	char *line = NULL;
	size_t size = 0;
	int status = 0;
	for (;;) {
		fprintf(stdout, "%s", pending.len ? "   > " : sh->prompt);
		fflush(stdout);
		ssize_t n = getline(&line, &size, stdin);
		if (n < 0)
			break;
		struct tm_str typed = tm_str_trim(tm_str_n(line, (size_t)n));
		if (!pending.len &&
		    (tm_str_is(typed, "exit") || tm_str_is(typed, "quit") || tm_str_is(typed, "exit;") || tm_str_is(typed, "quit;")))
			break;
		tm_buf_put(&pending, line, (size_t)n);
		if (!tm_str_ends(typed, TM_STR(";")))
			continue;
		status = run_all(sh, tm_buf_str(&pending), true);
		pending.len = 0;
	}
	free(line);
	tm_buf_done(&pending);
	printf("\n");
	return status;
}

int tm_shell_run(const struct tm_shell *sh, const char *text)
{
	if (text)
		return run_all(sh, tm_str_of(text), false);
	if (isatty(0))
		return prompt(sh);
	struct tm_buf all = {0};
	for (;;) {
		size_t n = fread(tm_buf_reserve(&all, 65536), 1, 65536, stdin);
		if (n == 0 || all.len > TM_LIMIT_SQL_BYTES)
			break;
		all.len += n;
	}
	int status = run_all(sh, tm_buf_str(&all), false);
	tm_buf_done(&all);
	return status;
}
