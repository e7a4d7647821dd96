/* Records of topics: looking at them and writing some. */
#include "http/http_int.h"
#include "stream/broker.h"
#include <stdlib.h>

enum { RECORDS_MAX = 10000 };

tm_rc tm_http_api_topics(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	(void)err;
	tm_http_put(a, tm_http_topics(r->server));
	return TM_OK;
}

static tm_rc find(struct tm_http_request *r, struct tm_broker_topic *ret, struct tm_err *err)
{
	struct tm_broker *broker = r->server->world.broker;
	if (!broker)
		return tm_fail(err, TM_NOT_FOUND, "there is no broker here");
	tm_rc rc = broker->klass->topic(broker, r->parts[0], ret, err);
	if (rc == TM_NOT_FOUND) {
		tm_fail(err, TM_NOT_FOUND, "there is no topic %.*s", TM_STR_ARG(r->parts[0]));
		tm_err_hint(err, "`tidemill topic list` shows the topics there are.");
	}
	return rc;
}

static json_t *record_json(const struct tm_broker_records *all, size_t i, int32_t partition)
{
	json_t *headers = json_array();
	for (size_t h = 0; h < all->header_counts[i]; h++) {
		const struct tm_header *one = &all->headers[i][h];
		json_array_append_new(
		    headers, json_pack("[o, o]", tm_http_text(one->key), one->value_null ? json_null() : tm_http_text(one->value)));
	}
	return json_pack("{s:i, s:I, s:I, s:o, s:o, s:o}", "partition", (int)partition, "offset", (json_int_t)all->offsets[i], "timestamp",
			 (json_int_t)(all->timestamps_us[i] / 1000), "key", all->keys[i].at ? tm_http_text(all->keys[i]) : json_null(),
			 "value", all->values[i].at ? tm_http_text(all->values[i]) : json_null(), "headers", headers);
}

/* Committed records from at on until the limit or the end; *ret_next: where to go on. */
static tm_rc read_on(struct tm_broker *broker, struct tm_offset at, int64_t end, size_t limit, json_t *list, int64_t *ret_next,
		     struct tm_err *err)
{
	const struct tm_option options[] = {{TM_STR("kafka.isolation.level"), TM_STR("read_committed")}};
	const struct tm_broker_reader_options how = {.options = options, .option_count = 1, .headers = true};
	struct tm_broker_reader *reader;
	TM_TRY(broker->klass->reader(broker, &how, &reader, err));
	tm_rc rc = TM_OK;
	while (rc == TM_OK && at.offset < end && json_array_size(list) < limit) {
		struct tm_broker_records got;
		int64_t next;
		rc = reader->klass->read(reader, &at, end, &got, &next, err);
		for (size_t i = 0; rc == TM_OK && i < got.count && json_array_size(list) < limit; i++) {
			json_array_append_new(list, record_json(&got, i, at.partition));
			at.offset = got.offsets[i] + 1;
		}
		if (rc == TM_OK && json_array_size(list) < limit)
			at.offset = next;
	}
	tm_broker_reader_free(reader);
	*ret_next = at.offset;
	return rc;
}

tm_rc tm_http_api_records(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_broker_topic topic;
	struct tm_broker *broker = r->server->world.broker;
	TM_TRY(find(r, &topic, err));
	int64_t partition = tm_http_query_i64(r, "partition", 0), offset = tm_http_query_i64(r, "offset", -10),
		limit = tm_http_query_i64(r, "limit", 100), next = 0;
	if (partition < 0 || partition >= topic.partitions)
		return tm_fail(err, TM_NOT_FOUND, "topic %.*s has no partition %lld", TM_STR_ARG(r->parts[0]), (long long)partition);
	struct tm_broker_bounds b;
	TM_TRY(broker->klass->bounds(broker, topic.name, (int32_t)partition, &b, err));
	if (offset < 0)
		offset += b.end;
	offset = offset < b.start ? b.start : offset > b.end ? b.end : offset;
	size_t most = limit < 1 ? 1 : limit > RECORDS_MAX ? RECORDS_MAX : (size_t)limit;
	json_t *list = json_array();
	tm_rc rc = read_on(broker, (struct tm_offset){topic.name, (int32_t)partition, offset}, b.end, most, list, &next, err);
	if (rc != TM_OK) {
		json_decref(list);
		return rc;
	}
	tm_http_put(a, json_pack("{s:o, s:I, s:I, s:I, s:i}", "records", list, "next_offset", (json_int_t)next, "start_offset",
				 (json_int_t)b.start, "end_offset", (json_int_t)b.end, "partitions", (int)topic.partitions));
	return TM_OK;
}

static struct tm_str text_of(const json_t *v, bool *ret_null)
{
	*ret_null = !v || json_is_null(v);
	return *ret_null ? (struct tm_str){0} : tm_str_n(json_string_value(v), json_string_length(v));
}

/* All records for one partition at once. */
static tm_rc produce_part(struct tm_http_request *r, int32_t partition, const json_t *list, json_t *offsets, struct tm_err *err)
{
	struct tm_broker *broker = r->server->world.broker;
	size_t n = 0, i;
	json_t *rec;
	struct tm_record *records = TM_NEW_N(r->arena, struct tm_record, json_array_size(list) + 1);
	json_array_foreach((json_t *)(uintptr_t)list, i, rec)
	{
		int64_t own =
		    json_is_integer(json_object_get(rec, "partition")) ? (int64_t)json_integer_value(json_object_get(rec, "partition")) : 0;
		if (own != partition)
			continue;
		const json_t *key = json_object_get(rec, "key"), *value = json_object_get(rec, "value");
		if ((key && !json_is_string(key) && !json_is_null(key)) || (value && !json_is_string(value) && !json_is_null(value)))
			return tm_fail(err, TM_INVALID, "record %zu: key and value must be strings or null", i);
		struct tm_record *to = &records[n++];
		to->timestamp_ms = tm_now_ms(tm_env_real());
		to->key = text_of(key, &to->key_null);
		to->value = text_of(value, &to->value_null);
	}
	if (!n)
		return TM_OK;
	int64_t base;
	TM_TRY(broker->klass->append(broker, r->parts[0], partition, records, n, &base, err));
	for (size_t k = 0; k < n; k++)
		json_array_append_new(offsets, json_pack("[i, I]", (int)partition, (json_int_t)(base + (int64_t)k)));
	return TM_OK;
}

tm_rc tm_http_api_produce(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	const json_t *list = json_object_get(r->body, "records");
	if (!json_is_array(list))
		return tm_fail(err, TM_INVALID, "the body needs a list \"records\"");
	struct tm_broker *broker = r->server->world.broker;
	if (!broker)
		return tm_fail(err, TM_NOT_FOUND, "there is no broker here");
	struct tm_broker_topic topic;
	tm_rc rc = broker->klass->topic(broker, r->parts[0], &topic, err);
	if (rc == TM_NOT_FOUND) {
		rc = broker->klass->create(broker, r->parts[0], 1, err);
		topic.partitions = 1;
	}
	TM_TRY(rc);
	json_t *offsets = json_array();
	for (int32_t p = 0; p < topic.partitions && rc == TM_OK; p++)
		rc = produce_part(r, p, list, offsets, err);
	if (rc != TM_OK) {
		json_decref(offsets);
		return rc;
	}
	tm_http_server_changed(r->server);
	tm_http_put(a, json_pack("{s:o}", "offsets", offsets));
	return TM_OK;
}
