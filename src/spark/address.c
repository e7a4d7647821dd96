/* `engine:` of tidemill.yaml: spark://host:port or local[n], with options. */
#include "spark/spark.h"

static const char *const names[] = {"python", "jars", "packages", "checkpoint", NULL};

bool tm_spark_is_address(struct tm_str text) { return tm_str_starts(text, TM_STR("spark://")) || tm_str_starts(text, TM_STR("local[")); }

static tm_rc wrong(struct tm_str text, struct tm_err *err, const char *why)
{
	tm_rc rc = tm_fail(err, TM_INVALID, "'%.*s' is no engine: %s", TM_STR_ARG(text), why);
	tm_err_hint(
	    err, "Write spark://host:7077, or local[2] for a Spark on this machine; options follow as ?python=/path/to/python&jars=DIR.");
	return rc;
}

/* local[2], local[*] as a host that the parser of addresses takes. */
static tm_rc parse_local(struct tm_str text, struct tm_arena *arena, struct tm_spark_address *a, struct tm_url *url, struct tm_err *err)
{
	size_t close = tm_str_find(text, TM_STR("]"), 0);
	struct tm_str n = tm_str_slice(text, 6, close == SIZE_MAX ? text.len : close);
	int64_t cores = 0;
	if (close == SIZE_MAX || (!tm_str_is(n, "*") && (!tm_str_to_i64(n, &cores) || cores < 1 || cores > 1024)))
		return wrong(text, err, "between the brackets stands a number of threads, or *");
	a->master = tm_arena_cstr(arena, tm_str_slice(text, 0, close + 1));
	a->cores = (int)cores;
	struct tm_str rest = tm_str_slice(text, close + 1, text.len);
	if (rest.len && rest.at[0] != '?')
		return wrong(text, err, "behind the bracket stands nothing, or ? and options");
	return tm_url_parse(tm_arena_printf(arena, "local://local%.*s", TM_STR_ARG(rest)), arena, url, err);
}

tm_rc tm_spark_address_parse(struct tm_str text, struct tm_arena *arena, struct tm_spark_address *ret, struct tm_err *err)
{
	struct tm_spark_address a = {0};
	struct tm_url url;
	if (tm_str_starts(text, TM_STR("local["))) {
		TM_TRY(parse_local(text, arena, &a, &url, err));
	} else {
		TM_TRY(tm_url_parse(text, arena, &url, err));
		if (!tm_str_is(url.scheme, "spark"))
			return wrong(text, err, "it begins neither with spark:// nor with local[");
		if (url.user.len || url.path.len > 1)
			return wrong(text, err, "a master has a host and a port, no user and no path");
		a.master = tm_arena_printf(arena, "spark://%.*s", TM_STR_ARG(tm_url_hosts_text(&url, 7077, arena))).at;
	}
	struct tm_url_param *conf = TM_NEW_N(arena, struct tm_url_param, url.param_count + 1);
	size_t others = 0;
	for (size_t i = 0; i < url.param_count; i++) {
		if (tm_str_starts(url.params[i].name, TM_STR("spark.")))
			conf[a.conf_count++] = url.params[i];
		else
			url.params[others++] = url.params[i];
	}
	url.param_count = others;
	TM_TRY(tm_url_params_known(&url, names, err));
	const char **slots[] = {&a.python, &a.jars, &a.packages, &a.checkpoint};
	for (size_t i = 0; names[i]; i++) {
		const struct tm_str *v = tm_url_param(&url, names[i]);
		if (v)
			*slots[i] = tm_arena_cstr(arena, *v);
	}
	a.conf = conf;
	*ret = a;
	return TM_OK;
}
