/* Talking to the running instance of a project over its HTTP API (libcurl). */
#ifndef TM_CLI_REMOTE_H
#define TM_CLI_REMOTE_H
#include "cli/config.h"

struct tm_remote {
	char base[300];
	struct tm_config config;
};
/* Finds it by the project's tidemill.yaml and the listen addresses. TM_NOT_FOUND (with a hint) when none answers, or
 * another project of this machine does. */
tm_rc tm_remote_find(struct tm_remote *remote, const char *project, struct tm_err *err) TM_CHECKED;
void tm_remote_done(struct tm_remote *remote);
/* The port on which a door of the instance listens ("kafka", "cassandra"), as the instance says; the configured one where it
 * does not answer. */
int tm_remote_port(const struct tm_remote *remote, const char *door);
/* One request; body NULL = GET. A status of 400 and more becomes an error with the server's words. */
tm_rc tm_remote_call(const struct tm_remote *remote, const char *path, const char *body, struct tm_buf *out, struct tm_err *err) TM_CHECKED;
/* Escaped for a path or a query: free with free(). */
char *tm_remote_escape(const char *text);
#endif
