/* Statements one by one: from the command line, from standard input, or typed at a prompt. */
#ifndef TM_CLI_SHELL_H
#define TM_CLI_SHELL_H
#include "base/base.h"

struct tm_shell {
	const char *prompt; /* "sql> " */
	bool (*split)(struct tm_str *rest, struct tm_str *ret_statement);
	/* Runs one statement and prints its answer; the exit status of it. */
	int (*run)(void *ctx, struct tm_str statement);
	void *ctx;
};
/* text NULL: reads standard input (with a prompt on a terminal). The status of the last statement that failed, or 0;
 * statements after a failure run on a terminal only. */
int tm_shell_run(const struct tm_shell *shell, const char *text);
#endif
