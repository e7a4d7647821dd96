/* The subcommands. Each parses its own options, returns the exit status, and says errors itself (tm_command_fail). */
#ifndef TM_CLI_COMMAND_H
#define TM_CLI_COMMAND_H
#include "cli/args.h"

struct tm_command {
	const char *name, *usage, *summary;
	int (*run)(const struct tm_command *self, int argc, char **argv);
};
int tm_command_up(const struct tm_command *self, int argc, char **argv);
int tm_command_check(const struct tm_command *self, int argc, char **argv);
int tm_command_sql(const struct tm_command *self, int argc, char **argv);
int tm_command_cql(const struct tm_command *self, int argc, char **argv);
int tm_command_topic(const struct tm_command *self, int argc, char **argv);
int tm_command_dag(const struct tm_command *self, int argc, char **argv);
int tm_command_export(const struct tm_command *self, int argc, char **argv);
int tm_command_doctor(const struct tm_command *self, int argc, char **argv);
int tm_command_describe(const struct tm_command *self, int argc, char **argv);
int tm_command_health(const struct tm_command *self, int argc, char **argv);
int tm_command_version(const struct tm_command *self, int argc, char **argv);
extern const struct tm_command tm_commands[];
extern const size_t tm_command_count;

/* Options that each command has. */
struct tm_common {
	bool help, json;
	const char *project;
};
#define TM_COMMON_ARGS(c)                                                                                                                  \
	{"--project", TM_ARG_TEXT, &(c)->project, "DIR", "the project whose instance is meant (default: here)"},                           \
	    {"--json", TM_ARG_FLAG, &(c)->json, NULL, "print JSON"},                                                                       \
	{                                                                                                                                  \
		"--help", TM_ARG_FLAG, &(c)->help, NULL, "print this"                                                                      \
	}

/* Parses; prints help or the error. False: exit with *ret_status. */
bool tm_command_parse(const struct tm_command *self, int argc, char **argv, const struct tm_arg *args, size_t arg_count,
		      const struct tm_common *common, struct tm_texts *ret_words, int *ret_status);
/* Says the error (as JSON on standard output with json) and gives its exit status. source: the text it points into, or empty. */
int tm_command_fail(const struct tm_err *err, bool json, struct tm_str source);
/* Says how it is used; gives the exit status. */
int tm_command_misused(const struct tm_command *self, bool json);
bool tm_color(int fd); /* a terminal, and NO_COLOR is not set */
#endif
