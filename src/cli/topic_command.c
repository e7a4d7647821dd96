/* `tidemill topic`: what is in the topics, and writing to them, on the running instance. */
#include "cli/command.h"
#include "cli/remote.h"
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct topic_command {
	struct tm_common common;
	bool follow;
	int64_t count, partition;
	const char *key;
	struct tm_remote remote;
};

static int list(struct topic_command *c)
{
	struct tm_buf out = {0};
	struct tm_err err;
	if (tm_remote_call(&c->remote, "/api/topics", NULL, &out, &err) != TM_OK)
		return tm_command_fail(&err, c->common.json, (struct tm_str){0});
	if (c->common.json) {
		printf("%s\n", tm_buf_cstr(&out));
	} else {
		json_t *all = json_loadb(out.at, out.len, 0, NULL), *t;
		size_t i;
		printf("%-40s %10s %12s %14s\n", "topic", "partitions", "records", "bytes");
		json_array_foreach(all, i, t) printf("%-40s %10lld %12lld %14lld\n", json_string_value(json_object_get(t, "name")),
						     (long long)json_integer_value(json_object_get(t, "partitions")),
						     (long long)json_integer_value(json_object_get(t, "records")),
						     (long long)json_integer_value(json_object_get(t, "bytes")));
		json_decref(all);
	}
	tm_buf_done(&out);
	return 0;
}

static const char *shown(const json_t *v, char **ret_free)
{
	*ret_free = NULL;
	if (!v || json_is_null(v))
		return "null";
	if (json_is_string(v))
		return json_string_value(v);
	return *ret_free = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void print_record(const struct topic_command *c, const json_t *r)
{
	if (c->common.json) {
		char *s = json_dumps(r, JSON_COMPACT);
		printf("%s\n", s);
		free(s);
		return;
	}
	char *free_key, *free_value;
	const char *key = shown(json_object_get(r, "key"), &free_key), *value = shown(json_object_get(r, "value"), &free_value);
	printf("%lld/%lld  %s  %s\n", (long long)json_integer_value(json_object_get(r, "partition")),
	       (long long)json_integer_value(json_object_get(r, "offset")), key, value);
	free(free_key);
	free(free_value);
}

/* The last records of each partition; with --follow what comes after, asked for again every 200 ms. */
static int tail(struct topic_command *c, const char *topic)
{
	char *name = tm_remote_escape(topic), path[700];
	struct tm_err err;
	int status = 0;
	enum { MAX = 1024 };
	int64_t next[MAX];
	size_t partitions = c->partition >= 0 ? (size_t)c->partition + 1 : 1, first = c->partition >= 0 ? (size_t)c->partition : 0;
	for (size_t p = 0; p < MAX; p++)
		next[p] = -c->count;
	do {
		for (size_t p = first; p < partitions && p < MAX && !status; p++) {
			struct tm_buf out = {0};
			snprintf(path, sizeof path, "/api/topics/%s/records?partition=%zu&offset=%lld&limit=%lld", name, p,
				 (long long)next[p], (long long)(next[p] < 0 ? c->count : 10000));
			if (tm_remote_call(&c->remote, path, NULL, &out, &err) != TM_OK) {
				status = tm_command_fail(&err, c->common.json, (struct tm_str){0});
			} else {
				json_t *answer = json_loadb(out.at, out.len, 0, NULL), *r;
				size_t i;
				json_array_foreach(json_object_get(answer, "records"), i, r) print_record(c, r);
				next[p] = (int64_t)json_integer_value(json_object_get(answer, "next_offset"));
				if (c->partition < 0)
					partitions = (size_t)json_integer_value(json_object_get(answer, "partitions"));
				json_decref(answer);
			}
			tm_buf_done(&out);
		}
		fflush(stdout);
		if (c->follow && !status)
			nanosleep(&(struct timespec){0, 200000000}, NULL);
	} while (c->follow && !status);
	free(name);
	return status;
}

/* A record per line of standard input; --key splits each line at the first occurrence of that separator. */
static int produce(struct topic_command *c, const char *topic)
{
	char *name = tm_remote_escape(topic), *line = NULL, path[700];
	size_t size = 0, sent = 0;
	ssize_t n = 0;
	int status = 0;
	snprintf(path, sizeof path, "/api/topics/%s/records", name);
	free(name);
	while (n >= 0 && !status) {
		json_t *records = json_array();
		while (json_array_size(records) < 1000 && (n = getline(&line, &size, stdin)) >= 0) {
			struct tm_str value = {line, (size_t)n}, key = {0};
			if (value.len && value.at[value.len - 1] == '\n')
				value.len--;
			size_t at = c->key ? tm_str_find(value, tm_str_of(c->key), 0) : SIZE_MAX;
			if (at != SIZE_MAX) {
				key = tm_str_slice(value, 0, at);
				value = tm_str_slice(value, at + strlen(c->key), value.len);
			}
			json_t *r = json_pack("{s:o}", "value", json_stringn(value.at, value.len));
			if (!r) {
				fprintf(stderr, "error: line %zu is not UTF-8\n", sent + json_array_size(records) + 1);
				status = 1;
				break;
			}
			if (at != SIZE_MAX)
				json_object_set_new(r, "key", json_stringn(key.at, key.len));
			if (c->partition >= 0)
				json_object_set_new(r, "partition", json_integer(c->partition));
			json_array_append_new(records, r);
		}
		if (!status && json_array_size(records)) {
			json_t *request = json_pack("{s:O}", "records", records);
			char *body = json_dumps(request, JSON_COMPACT);
			struct tm_buf out = {0};
			struct tm_err err;
			if (tm_remote_call(&c->remote, path, body, &out, &err) != TM_OK)
				status = tm_command_fail(&err, c->common.json, (struct tm_str){0});
			else
				sent += json_array_size(records);
			tm_buf_done(&out);
			free(body);
			json_decref(request);
		}
		json_decref(records);
	}
	free(line);
	if (c->common.json)
		printf("{\"produced\": %zu}\n", sent);
	else
		fprintf(stderr, "%zu records produced to %s\n", sent, topic);
	return status;
}

int tm_command_topic(const struct tm_command *self, int argc, char **argv)
{
	struct topic_command c = {.count = 10, .partition = -1};
	const struct tm_arg args[] = {
	    {"--follow", TM_ARG_FLAG, &c.follow, NULL, "tail: go on with what comes"},
	    {"--count", TM_ARG_NUMBER, &c.count, "N", "tail: the last N records of each partition (10)"},
	    {"--partition", TM_ARG_NUMBER, &c.partition, "N", "only this partition"},
	    {"--key", TM_ARG_TEXT, &c.key, "SEPARATOR", "produce: what stands before SEPARATOR is the key"},
	    TM_COMMON_ARGS(&c.common),
	};
	struct tm_texts words = {0};
	int status = 2;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &c.common, &words, &status)) {
		struct tm_err err;
		const char *verb = words.count ? words.items[0] : "";
		bool one = words.count == 2;
		if (!(strcmp(verb, "list") == 0 && words.count == 1) &&
		    !((strcmp(verb, "tail") == 0 || strcmp(verb, "produce") == 0) && one)) {
			status = tm_command_misused(self, c.common.json);
		} else {
			tm_rc rc = tm_remote_find(&c.remote, c.common.project, &err);
			status = rc != TM_OK                 ? tm_command_fail(&err, c.common.json, (struct tm_str){0})
				 : strcmp(verb, "list") == 0 ? list(&c)
				 : strcmp(verb, "tail") == 0 ? tail(&c, words.items[1])
							     : produce(&c, words.items[1]);
			tm_remote_done(&c.remote);
		}
	}
	tm_texts_done(&words);
	return status;
}
