/* Topic configs. A later entry of the same name wins, as in Kafka. */
#include "log/config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "log/log_int.h"

enum type { BOOL, INT, LONG, DOUBLE, WORD, LIST, TEXT };
static const struct entry {
	const char *name;
	enum type type;
	const char *value;
	int64_t least, most;
	const char *words, *synonym;
} table[] = {
#define TM_CONFIG(name, type, value, least, most, words, synonym) {name, type, value, least, most, words, synonym},
#include "log/config.def"
#undef TM_CONFIG
};
enum { ENTRIES = sizeof table / sizeof *table };
static const char *const type_names[] = {"BOOLEAN", "INT", "LONG", "DOUBLE", "STRING", "LIST", "STRING"};

static const struct entry *find(struct tm_str name)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (tm_str_is(name, table[i].name))
			return &table[i];
	return NULL;
}

static tm_rc refuse(struct tm_err *err, struct tm_str name, struct tm_str value, const char *why)
{
	tm_rc rc = tm_fail(err, TM_INVALID, "Invalid value %.*s for configuration %.*s: %s", TM_STR_ARG(value), TM_STR_ARG(name), why);
	if (err)
		err->code = TM_KAFKA_INVALID_CONFIG;
	return rc;
}

static bool one_of(struct tm_str word, const char *words)
{
	struct tm_str rest = tm_str_of(words), part;
	while (tm_str_split(&rest, ',', &part))
		if (tm_str_eq(tm_str_trim(part), word))
			return true;
	return false;
}

static bool to_double(struct tm_str s, double *ret)
{
	char text[64], *end;
	if (s.len == 0 || s.len >= sizeof text)
		return false;
	memcpy(text, s.at, s.len);
	text[s.len] = 0;
	*ret = strtod(text, &end);
	return *end == 0;
}

static tm_rc check_number(const struct entry *e, struct tm_str name, struct tm_str value, struct tm_err *err)
{
	char why[80];
	int64_t v = 0;
	double d = 0;
	bool ok = e->type == DOUBLE ? to_double(value, &d) : tm_str_to_i64(value, &v);
	if (e->type == INT && (v < INT32_MIN || v > INT32_MAX))
		ok = false;
	if (!ok) {
		snprintf(why, sizeof why, "Not a number of type %s", type_names[e->type]);
		return refuse(err, name, value, why);
	}
	if (e->type == DOUBLE ? d < (double)e->least : v < e->least) {
		snprintf(why, sizeof why, "Value must be at least %lld", (long long)e->least);
		return refuse(err, name, value, why);
	}
	if (e->type == DOUBLE ? d > (double)e->most : v > e->most) {
		snprintf(why, sizeof why, "Value must be no more than %lld", (long long)e->most);
		return refuse(err, name, value, why);
	}
	return TM_OK;
}

tm_rc tm_config_check(struct tm_str name, struct tm_str raw, struct tm_err *err)
{
	const struct entry *e = find(name);
	struct tm_str value = tm_str_trim(raw);
	char why[160];
	if (!e) {
		tm_rc rc = tm_fail(err, TM_INVALID, "Unknown topic config name: %.*s", TM_STR_ARG(name));
		if (err)
			err->code = TM_KAFKA_INVALID_CONFIG;
		return rc;
	}
	switch (e->type) {
	case BOOL:
		if (!tm_str_iis(value, "true") && !tm_str_iis(value, "false"))
			return refuse(err, name, value, "Expected value to be either true or false");
		return TM_OK;
	case INT:
	case LONG:
	case DOUBLE:
		return check_number(e, name, value, err);
	case WORD:
	case LIST: {
		if (!*e->words)
			return TM_OK;
		struct tm_str rest = value, part = value;
		bool list = e->type == LIST;
		while (list ? tm_str_split(&rest, ',', &part) : rest.at != NULL) {
			if (!one_of(tm_str_trim(part), e->words)) {
				snprintf(why, sizeof why, "String must be one of: %s", e->words);
				return refuse(err, name, list ? tm_str_trim(part) : value, why);
			}
			if (!list)
				break;
		}
		return TM_OK;
	}
	case TEXT:
		return TM_OK;
	}
	return TM_OK;
}

const char *tm_config_default(struct tm_str name)
{
	const struct entry *e = find(name);
	return e ? e->value : NULL;
}

static struct tm_str value_of(const struct tm_log_config *configs, size_t count, const char *name, bool *ret_set)
{
	for (size_t i = count; i-- > 0;)
		if (tm_str_is(configs[i].name, name)) {
			if (ret_set)
				*ret_set = true;
			return tm_str_trim(configs[i].value);
		}
	if (ret_set)
		*ret_set = false;
	return tm_str_of(tm_config_default(tm_str_of(name)));
}

static int64_t number(const struct tm_log_config *configs, size_t count, const char *name)
{
	int64_t v = 0;
	bool ok = tm_str_to_i64(value_of(configs, count, name, NULL), &v);
	TM_ASSERT(ok); /* checked when it was set */
	return v;
}

struct tm_settings tm_settings_of(const struct tm_log_config *c, size_t n)
{
	struct tm_str policy = value_of(c, n, "cleanup.policy", NULL), codec = value_of(c, n, "compression.type", NULL);
	bool messages_set, ms_set;
	struct tm_settings s = {
	    .retention_ms = number(c, n, "retention.ms"),
	    .retention_bytes = number(c, n, "retention.bytes"),
	    .segment_ms = number(c, n, "segment.ms"),
	    .delete_retention_ms = number(c, n, "delete.retention.ms"),
	    .min_compaction_lag_ms = number(c, n, "min.compaction.lag.ms"),
	    .max_compaction_lag_ms = number(c, n, "max.compaction.lag.ms"),
	    .flush_messages = number(c, n, "flush.messages"),
	    .flush_ms = number(c, n, "flush.ms"),
	    .timestamp_before_max_ms = number(c, n, "message.timestamp.before.max.ms"),
	    .timestamp_after_max_ms = number(c, n, "message.timestamp.after.max.ms"),
	    .segment_bytes = number(c, n, "segment.bytes"),
	    .max_message_bytes = (int32_t)number(c, n, "max.message.bytes"),
	    .index_interval_bytes = (int32_t)number(c, n, "index.interval.bytes"),
	    .compact = tm_str_find(policy, TM_STR("compact"), 0) != SIZE_MAX,
	    .remove = tm_str_find(policy, TM_STR("delete"), 0) != SIZE_MAX,
	    .log_append_time = tm_str_is(value_of(c, n, "message.timestamp.type", NULL), "LogAppendTime"),
	    .keep_codec = tm_str_is(codec, "producer"),
	    .gzip_level = (int32_t)number(c, n, "compression.gzip.level"),
	    .lz4_level = (int32_t)number(c, n, "compression.lz4.level"),
	    .zstd_level = (int32_t)number(c, n, "compression.zstd.level"),
	};
	for (int i = TM_CODEC_GZIP; i <= TM_CODEC_ZSTD; i++)
		if (tm_str_is(codec, (const char *const[]){"none", "gzip", "snappy", "lz4", "zstd"}[i]))
			s.codec = i;
	to_double(value_of(c, n, "min.cleanable.dirty.ratio", NULL), &s.min_cleanable_dirty_ratio);
	value_of(c, n, "flush.messages", &messages_set);
	value_of(c, n, "flush.ms", &ms_set);
	s.opted_out = (messages_set || ms_set) && s.flush_messages != 1 && s.flush_ms != 0;
	return s;
}
