/* zookeeper://[user:password@]host:port,host:port/path[?session_timeout_ms=6000] */
#include "zookeeper/zookeeper_int.h"

enum { SESSION_TIMEOUT_MS = 6000, SESSION_LEAST_MS = 1000, SESSION_MOST_MS = 600000, PATH_MAX_BYTES = 200 };

static bool good_path(struct tm_str path)
{
	struct tm_str rest = tm_str_slice(path, 1, path.len), part;
	while (tm_str_split(&rest, '/', &part)) {
		if (!part.len || tm_str_is(part, ".") || tm_str_is(part, "..") || tm_str_is(part, "zookeeper"))
			return false;
		for (size_t i = 0; i < part.len; i++)
			if ((unsigned char)part.at[i] < ' ' || (unsigned char)part.at[i] == 0x7f)
				return false;
	}
	return path.len <= PATH_MAX_BYTES;
}

tm_rc tm_zookeeper_address_parse(const char *text, struct tm_arena *arena, struct tm_zookeeper_address *ret, struct tm_err *err)
{
	static const char *const options[] = {"session_timeout_ms", NULL};
	struct tm_url url;
	TM_TRY(tm_url_parse(tm_str_of(text), arena, &url, err));
	if (!tm_str_is(url.scheme, "zookeeper"))
		return tm_fail(err, TM_INVALID, "the coordinator's address begins with zookeeper://, not %.*s://", TM_STR_ARG(url.scheme));
	TM_TRY(tm_url_params_known(&url, options, err));
	if (url.password.len && !url.user.len)
		return tm_fail(err, TM_INVALID, "the coordinator's address has a password, but no user: user:password@host is wanted");
	if (url.user.len && tm_str_find(url.user, TM_STR(":"), 0) != SIZE_MAX) /* ZooKeeper would take what follows for the password */
		return tm_fail(err, TM_INVALID, "the coordinator's address: a user's name has no ':' in ZooKeeper");
	struct tm_str path = url.path;
	while (path.len && path.at[path.len - 1] == '/')
		path.len--;
	if (!path.len) {
		tm_rc rc = tm_fail(err, TM_INVALID, "the coordinator's address names no path");
		tm_err_detail(err, "All instances with one path elect one leader: each project needs a path of its own.");
		tm_err_hint(err, "Write zookeeper://host:2181/tidemill/my-project.");
		return rc;
	}
	if (!good_path(path))
		return tm_fail(err, TM_INVALID, "'%.*s' is no path for ZooKeeper: names between single slashes, at most %d bytes",
			       TM_STR_ARG(path), PATH_MAX_BYTES);
	int64_t timeout = SESSION_TIMEOUT_MS;
	const struct tm_str *given = tm_url_param(&url, "session_timeout_ms");
	if (given && (!tm_str_to_i64(*given, &timeout) || timeout < SESSION_LEAST_MS || timeout > SESSION_MOST_MS)) {
		tm_rc rc = tm_fail(err, TM_INVALID, "session_timeout_ms=%.*s: a number from %d to %d is wanted", TM_STR_ARG(*given),
				   SESSION_LEAST_MS, SESSION_MOST_MS);
		tm_err_detail(err, "A server grants from 2 to 20 of its ticks (tickTime 2000: 4000 to 40000) and corrects the rest.");
		return rc;
	}
	*ret = (struct tm_zookeeper_address){.hosts = tm_arena_cstr(arena, tm_url_hosts_text(&url, TM_ZOOKEEPER_PORT, arena)),
					     .path = tm_arena_cstr(arena, path),
					     .session_timeout_ms = (int)timeout};
	if (url.user.len) {
		ret->user = tm_arena_cstr(arena, url.user);
		ret->auth = tm_arena_printf(arena, "%.*s:%.*s", TM_STR_ARG(url.user), TM_STR_ARG(url.password)).at;
	}
	return TM_OK;
}

tm_rc tm_zookeeper_check(const char *address, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_zookeeper_address a;
	tm_arena_init(&arena);
	tm_rc rc = tm_zookeeper_address_parse(address, &arena, &a, err);
	tm_arena_done(&arena);
	return rc;
}
