/* Options of a command line, by a table: parsed fully before anything is done; an unknown one is told with the closest. */
#ifndef TM_CLI_ARGS_H
#define TM_CLI_ARGS_H
#include "base/base.h"

enum tm_arg_kind { TM_ARG_FLAG, TM_ARG_TEXT, TM_ARG_NUMBER, TM_ARG_TEXTS };
struct tm_texts {
	const char **items;
	size_t count, cap;
};
struct tm_arg {
	const char *name; /* "--json" */
	enum tm_arg_kind kind;
	void *at;                /* bool *, const char **, int64_t *, struct tm_texts * */
	const char *value, *doc; /* "DAG_ID"; what it is for */
};
/* What is not an option lands in words. "--" ends options. */
tm_rc tm_args_parse(int argc, char **argv, const struct tm_arg *args, size_t arg_count, struct tm_texts *ret_words,
		    struct tm_err *err) TM_CHECKED;
void tm_args_help(const struct tm_arg *args, size_t arg_count, struct tm_buf *out);
void tm_texts_done(struct tm_texts *texts);
#endif
