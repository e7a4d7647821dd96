/* The client of our own API. */
#include "cli/remote.h"
#include <curl/curl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t take(char *data, size_t size, size_t n, void *ctx)
{
	struct tm_buf *out = ctx;
	if (out->len + size * n > 64 * TM_MIB)
		return 0;
	tm_buf_put(out, data, size * n);
	return size * n;
}

static tm_rc call(const char *url, const char *body, long timeout_s, long *ret_status, struct tm_buf *out, struct tm_err *err)
{
	CURL *curl = curl_easy_init();
	if (!curl)
		return tm_fail(err, TM_NOMEM, "out of memory");
	struct curl_slist *headers = NULL;
	if (body) {
		headers = curl_slist_append(headers, "Content-Type: application/json");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 2000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	CURLcode rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return rc == CURLE_OK ? TM_OK : tm_fail(err, TM_UNAVAILABLE, "%s", curl_easy_strerror(rc));
}

static const char *field(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static bool is_project(const char *dir)
{
	static const char *const has[] = {"tidemill.yaml", "dags", "pipelines", "tables"};
	char path[4200];
	for (size_t i = 0; i < sizeof has / sizeof *has; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, has[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* Both are projects of this machine, and not the same one. An instance in a container names a folder that is not here, and who asks
 * from elsewhere than a project means whoever answers: neither is refused. */
static bool another(const char *dir, const char *answers)
{
	char a[PATH_MAX], b[PATH_MAX];
	return *answers && is_project(dir) && realpath(dir, a) && realpath(answers, b) && strcmp(a, b) != 0;
}

tm_rc tm_remote_find(struct tm_remote *remote, const char *project, struct tm_err *err)
{
	memset(remote, 0, sizeof *remote);
	TM_TRY(tm_config_load(&remote->config, project ? project : ".", err));
	const struct tm_address *http = &remote->config.http;
	/* An instance that took other ports than configured left them in its data directory. */
	char path[4200];
	snprintf(path, sizeof path, "%s/http.address", remote->config.data);
	struct tm_buf text = {0};
	struct tm_address real = *http;
	if (tm_file_read(tm_env_real(), path, 400, &text, NULL) == TM_OK) {
		if (tm_address_parse(tm_str_trim(tm_buf_str(&text)), &real, NULL) != TM_OK)
			real = *http;
	}
	tm_buf_done(&text);
	const char *host = tm_address_here(&real);
	snprintf(remote->base, sizeof remote->base, strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host, real.port);
	char url[400];
	snprintf(url, sizeof url, "%s/health", remote->base);
	struct tm_buf out = {0};
	long status = 0;
	tm_rc rc = call(url, NULL, 5, &status, &out, err);
	json_t *health = rc == TM_OK && status == 200 ? json_loadb(out.at ? out.at : "", out.len, 0, NULL) : NULL;
	const char *answers = field(health, "project");
	bool found = json_object_get(health, "version") != NULL, other = found && another(remote->config.dir, answers);
	if (!found || other) {
		rc = tm_fail(err, TM_NOT_FOUND, "no instance of this project answers at %s", remote->base);
		if (other)
			tm_err_detail(err, "What answers there is the project %s.", answers);
		tm_err_hint(err, "Start it with `tidemill up %s`, or name its directory with --project DIR.", project ? project : ".");
	}
	json_decref(health);
	tm_buf_done(&out);
	return found && !other ? TM_OK : rc;
}

void tm_remote_done(struct tm_remote *remote) { tm_config_done(&remote->config); }

tm_rc tm_remote_call(const struct tm_remote *remote, const char *path, const char *body, struct tm_buf *out, struct tm_err *err)
{
	struct tm_buf url = {0};
	tm_buf_printf(&url, "%s%s", remote->base, path);
	size_t start = out->len;
	long status = 0;
	tm_rc rc = call(tm_buf_cstr(&url), body, 600, &status, out, err);
	tm_buf_done(&url);
	if (rc != TM_OK || status < 400)
		return rc;
	json_t *answer = json_loadb(out->at + start, out->len - start, 0, NULL);
	const json_t *e = json_object_get(answer, "error");
	tm_fail(err,
		status == 404  ? TM_NOT_FOUND
		: status < 500 ? TM_INVALID
			       : TM_UNAVAILABLE,
		"%s", e ? field(e, "what") : "the instance refused the request");
	if (e && *field(e, "detail"))
		tm_err_detail(err, "%s", field(e, "detail"));
	if (e && *field(e, "hint"))
		tm_err_hint(err, "%s", field(e, "hint"));
	json_decref(answer);
	return err->rc;
}

char *tm_remote_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy = tm_strdup(escaped ? escaped : "");
	curl_free(escaped);
	return copy;
}

int tm_remote_port(const struct tm_remote *remote, const char *door)
{
	struct tm_buf out = {0};
	int port = strcmp(door, "kafka") == 0 ? remote->config.kafka.port : remote->config.cassandra.port;
	if (remote->base[0] && tm_remote_call(remote, "/health", NULL, &out, &(struct tm_err){0}) == TM_OK) {
		json_t *health = json_loadb(out.at, out.len, 0, NULL);
		const json_t *told = json_object_get(json_object_get(health, "doors"), door);
		if (json_is_integer(told))
			port = (int)json_integer_value(told);
		json_decref(health);
	}
	tm_buf_done(&out);
	return port;
}
