/* Addresses of other systems in the configuration: scheme://user:password@host:port,host:port/path?key=value&key=value.
 * Everything but the scheme and one host may be missing. Percent-escapes are decoded in user, password, path and parameters. */
#ifndef TM_BASE_URL_H
#define TM_BASE_URL_H
#include "base/arena.h"

enum { TM_URL_HOSTS_MAX = 64, TM_URL_PARAMS_MAX = 64 };
struct tm_url_host {
	struct tm_str host;
	int port; /* 0 = not given */
};
struct tm_url_param {
	struct tm_str name, value;
};
struct tm_url {
	struct tm_str scheme, user, password, path; /* path: with its slash; empty = none */
	struct tm_url_host *hosts;
	size_t host_count;
	struct tm_url_param *params;
	size_t param_count;
};
/* Parts are the arena's. Errors name what is wrong and show the address without its password. */
tm_rc tm_url_parse(struct tm_str text, struct tm_arena *arena, struct tm_url *ret, struct tm_err *err) TM_CHECKED;
/* NULL where there is no such parameter. */
const struct tm_str *tm_url_param(const struct tm_url *url, const char *name);
/* Refuses parameters that are not in names (NULL-terminated), with the closest one. */
tm_rc tm_url_params_known(const struct tm_url *url, const char *const *names, struct tm_err *err) TM_CHECKED;
/* "host:port,host:port", with default_port where none is given; IPv6 addresses in brackets. */
struct tm_str tm_url_hosts_text(const struct tm_url *url, int default_port, struct tm_arena *arena);
/* Is a parameter of this name something that only the configuration should show (a password, a key, a token)? */
bool tm_url_secret(struct tm_str name);
/* The address for people: without the password and the values of secret parameters. */
struct tm_str tm_url_shown(struct tm_str text, struct tm_arena *arena);
#endif
