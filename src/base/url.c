/* Addresses of other systems: see url.h. One pass from the left; nothing is guessed. */
#include "base/url.h"
#include <ctype.h>

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool unescape(struct tm_arena *arena, struct tm_str s, struct tm_str *ret)
{
	char *out = tm_arena_alloc(arena, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '%') {
			out[n++] = s.at[i];
			continue;
		}
		if (i + 2 >= s.len || hex(s.at[i + 1]) < 0 || hex(s.at[i + 2]) < 0)
			return false;
		out[n++] = (char)(hex(s.at[i + 1]) * 16 + hex(s.at[i + 2]));
		i += 2;
	}
	out[n] = 0;
	*ret = tm_str_n(out, n);
	return true;
}

/* The part up to the first byte of `ends`; *rest begins with that byte. */
static struct tm_str take_until(struct tm_str *rest, const char *ends)
{
	size_t n = 0;
	while (n < rest->len && !strchr(ends, rest->at[n]))
		n++;
	struct tm_str part = tm_str_n(rest->at, n);
	*rest = tm_str_n(rest->at + n, rest->len - n);
	return part;
}

static tm_rc wrong(struct tm_str text, struct tm_arena *arena, struct tm_err *err, const char *why)
{
	struct tm_str shown = tm_url_shown(text, arena);
	tm_rc rc = tm_fail(err, TM_INVALID, "'%.*s' is no address: %s", TM_STR_ARG(shown), why);
	tm_err_hint(err, "scheme://host:port,host:port/path?option=value");
	return rc;
}

static bool parse_host(struct tm_arena *arena, struct tm_str part, struct tm_url_host *ret)
{
	struct tm_str host = part, port = {0};
	if (part.len && part.at[0] == '[') {
		size_t end = tm_str_find(part, TM_STR("]"), 0);
		if (end == SIZE_MAX)
			return false;
		host = tm_str_slice(part, 1, end);
		port = tm_str_slice(part, end + 1, part.len);
		if (port.len && port.at[0] != ':')
			return false;
		port = port.len ? tm_str_slice(port, 1, port.len) : port;
		if (end + 1 < part.len && !port.len)
			return false;
	} else {
		size_t colon = tm_str_find(part, TM_STR(":"), 0);
		if (colon != SIZE_MAX) {
			host = tm_str_slice(part, 0, colon);
			port = tm_str_slice(part, colon + 1, part.len);
			if (!port.len)
				return false;
		}
	}
	int64_t n = 0;
	if (!host.len || (port.len && (!tm_str_to_i64(port, &n) || n < 1 || n > 65535)))
		return false;
	*ret = (struct tm_url_host){tm_arena_str(arena, host), (int)n};
	return true;
}

tm_rc tm_url_parse(struct tm_str text, struct tm_arena *arena, struct tm_url *ret, struct tm_err *err)
{
	struct tm_url u = {0};
	size_t colon = tm_str_find(text, TM_STR("://"), 0);
	if (colon == SIZE_MAX || colon == 0)
		return wrong(text, arena, err, "it does not begin with scheme://");
	u.scheme = tm_arena_str(arena, tm_str_slice(text, 0, colon));
	struct tm_str rest = tm_str_slice(text, colon + 3, text.len), place = take_until(&rest, "/?");
	size_t at = SIZE_MAX;
	for (size_t i = 0; i < place.len; i++) /* a password may hold an @ that nobody escaped: the last one counts */
		at = place.at[i] == '@' ? i : at;
	if (at != SIZE_MAX) {
		struct tm_str who = tm_str_slice(place, 0, at), user = take_until(&who, ":");
		place = tm_str_slice(place, at + 1, place.len);
		if (!unescape(arena, user, &u.user) || (who.len && !unescape(arena, tm_str_slice(who, 1, who.len), &u.password)))
			return wrong(text, arena, err, "a % is not followed by two hexadecimal digits");
	}
	u.hosts = TM_NEW_N(arena, struct tm_url_host, TM_URL_HOSTS_MAX);
	struct tm_str part;
	while (tm_str_split(&place, ',', &part)) {
		if (u.host_count == TM_URL_HOSTS_MAX)
			return wrong(text, arena, err, "it names more than 64 hosts");
		if (!parse_host(arena, tm_str_trim(part), &u.hosts[u.host_count++]))
			return wrong(text, arena, err, "a host must be name:port, with a port from 1 to 65535");
	}
	if (!u.host_count)
		return wrong(text, arena, err, "it names no host");
	if (!unescape(arena, take_until(&rest, "?"), &u.path))
		return wrong(text, arena, err, "a % is not followed by two hexadecimal digits");
	u.params = TM_NEW_N(arena, struct tm_url_param, TM_URL_PARAMS_MAX);
	rest = rest.len ? tm_str_slice(rest, 1, rest.len) : rest;
	while (rest.len && tm_str_split(&rest, '&', &part)) {
		struct tm_str name = take_until(&part, "=");
		if (u.param_count == TM_URL_PARAMS_MAX || !name.len || !part.len)
			return wrong(text, arena, err, "its options must be name=value, joined by &");
		struct tm_url_param *p = &u.params[u.param_count++];
		if (!unescape(arena, name, &p->name) || !unescape(arena, tm_str_slice(part, 1, part.len), &p->value))
			return wrong(text, arena, err, "a % is not followed by two hexadecimal digits");
	}
	*ret = u;
	return TM_OK;
}

const struct tm_str *tm_url_param(const struct tm_url *url, const char *name)
{
	for (size_t i = 0; i < url->param_count; i++)
		if (tm_str_is(url->params[i].name, name))
			return &url->params[i].value;
	return NULL;
}

tm_rc tm_url_params_known(const struct tm_url *url, const char *const *names, struct tm_err *err)
{
	for (size_t i = 0; i < url->param_count; i++) {
		if (tm_str_among(url->params[i].name, names))
			continue;
		tm_rc rc = tm_fail(err, TM_INVALID, "the %.*s:// address has an unknown option '%.*s'", TM_STR_ARG(url->scheme),
				   TM_STR_ARG(url->params[i].name));
		const char *closest = tm_str_closest(url->params[i].name, names);
		if (closest)
			tm_err_hint(err, "Did you mean %s?", closest);
		return rc;
	}
	return TM_OK;
}

struct tm_str tm_url_hosts_text(const struct tm_url *url, int default_port, struct tm_arena *arena)
{
	struct tm_str all = {0};
	for (size_t i = 0; i < url->host_count; i++) {
		struct tm_str h = url->hosts[i].host;
		bool v6 = tm_str_find(h, TM_STR(":"), 0) != SIZE_MAX;
		all = tm_arena_printf(arena, "%.*s%s%s%.*s%s:%d", TM_STR_ARG(all), i ? "," : "", v6 ? "[" : "", TM_STR_ARG(h),
				      v6 ? "]" : "", url->hosts[i].port ? url->hosts[i].port : default_port);
	}
	return all;
}

bool tm_url_secret(struct tm_str name)
{
	static const char *const parts[] = {"password", "secret", ".pem", "oauthbearer.config"};
	char low[128];
	size_t n = name.len < sizeof low - 1 ? name.len : sizeof low - 1;
	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)name.at[i]);
	low[n] = 0;
	bool is = n < name.len;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		is |= strstr(low, parts[i]) != NULL;
	return is;
}

/* Where user:password ends, at its '@', and *colon where the password begins; SIZE_MAX = there is none. A '/' or '?' in the password
 * should have been escaped, but what is no port is rather a password than shown. */
static size_t end_of_user(struct tm_str text, size_t begin, size_t *colon)
{
	size_t at = SIZE_MAX, i = begin;
	bool digits = true;
	*colon = SIZE_MAX;
	for (; i < text.len && !strchr("/?", text.at[i]); i++) {
		at = text.at[i] == '@' ? i : at;
		digits &= *colon == SIZE_MAX || (text.at[i] >= '0' && text.at[i] <= '9');
		*colon = text.at[i] == ':' && *colon == SIZE_MAX ? i : *colon;
	}
	if (at == SIZE_MAX && *colon != SIZE_MAX && !digits)
		for (; i < text.len; i++)
			at = text.at[i] == '@' ? i : at;
	return *colon == SIZE_MAX || at == SIZE_MAX || *colon > at ? SIZE_MAX : at;
}

struct tm_str tm_url_shown(struct tm_str text, struct tm_arena *arena)
{
	size_t begin = tm_str_find(text, TM_STR("://"), 0), colon;
	if (begin == SIZE_MAX)
		return tm_arena_str(arena, text);
	size_t at = end_of_user(text, begin + 3, &colon);
	struct tm_str out = text, rest = at == SIZE_MAX ? text : tm_str_slice(text, at, text.len);
	if (at != SIZE_MAX)
		out = tm_arena_printf(arena, "%.*s:…%.*s", (int)colon, text.at, TM_STR_ARG(rest));
	size_t query = tm_str_find(rest, TM_STR("?"), 0);
	if (query == SIZE_MAX)
		return tm_arena_str(arena, out);
	out.len -= rest.len - query - 1;
	rest = tm_str_slice(rest, query + 1, rest.len);
	for (struct tm_str one, name; rest.len && tm_str_split(&rest, '&', &one);) {
		struct tm_str value = one, plain = take_until(&value, "=");
		bool secret = value.len && (!unescape(arena, plain, &name) || tm_url_secret(name));
		out = tm_arena_printf(arena, "%.*s%.*s%.*s%s", TM_STR_ARG(out), TM_STR_ARG(plain),
				      TM_STR_ARG(secret ? TM_STR("=…") : value), rest.at ? "&" : "");
	}
	return out;
}
