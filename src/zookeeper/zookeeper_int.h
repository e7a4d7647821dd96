/* Private to the room: the address as it is used, and the session's thread. */
#ifndef TM_ZOOKEEPER_ZOOKEEPER_INT_H
#define TM_ZOOKEEPER_ZOOKEEPER_INT_H
#include "zookeeper/zookeeper.h"

struct tm_zookeeper_address {
	const char *hosts; /* "host:port,host:port" */
	const char *path;  /* "/tidemill/quakes", without a slash at its end */
	const char *user;  /* NULL = none */
	const char *auth;  /* "user:password", NULL = none; never shown */
	int session_timeout_ms;
};
/* Texts are the arena's. */
tm_rc tm_zookeeper_address_parse(const char *text, struct tm_arena *arena, struct tm_zookeeper_address *ret, struct tm_err *err) TM_CHECKED;
#endif
