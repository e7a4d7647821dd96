/* Records of topics: looking at them and writing some. */
#include "http/http_int.h"
#include "log/log.h"
#include "log/record.h"
#include <stdlib.h>

enum { RECORDS_MAX = 10000, READ_BYTES = 4 << 20 };

tm_rc tm_http_api_topics(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	(void)err;
	tm_http_put(a, tm_http_topics(r->server));
	return TM_OK;
}

static tm_rc find(struct tm_http_request *r, struct tm_topic **ret, struct tm_err *err)
{
	struct tm_str name = r->parts[0];
	*ret = r->server->world.log ? tm_log_topic_find(r->server->world.log, name) : NULL;
	if (*ret)
		return TM_OK;
	tm_fail(err, TM_NOT_FOUND, "there is no topic %.*s", TM_STR_ARG(name));
	tm_err_hint(err, "`tidemill topic list` shows the topics there are.");
	return TM_NOT_FOUND;
}

struct reading {
	json_t *list;
	int64_t from, next;
	size_t limit;
	int32_t partition;
};

static tm_rc one_record(void *ctx, const struct tm_record *rec)
{
	struct reading *d = ctx;
	if (rec->offset < d->from)
		return TM_OK;
	if (json_array_size(d->list) >= d->limit)
		return TM_CANCELLED;
	json_t *headers = json_array();
	for (size_t i = 0; i < rec->header_count; i++)
		json_array_append_new(headers, json_pack("[o, o]", tm_http_text(rec->headers[i].key),
							 rec->headers[i].value_null ? json_null() : tm_http_text(rec->headers[i].value)));
	json_array_append_new(d->list, json_pack("{s:i, s:I, s:I, s:o, s:o, s:o}", "partition", (int)d->partition, "offset",
						 (json_int_t)rec->offset, "timestamp", (json_int_t)rec->timestamp_ms, "key",
						 rec->key_null ? json_null() : tm_http_text(rec->key), "value",
						 rec->value_null ? json_null() : tm_http_text(rec->value), "headers", headers));
	d->next = rec->offset + 1;
	return TM_OK;
}

/* Batches from d->next on until the limit or the end. */
static tm_rc read_on(struct tm_topic *topic, struct reading *d, int64_t end, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_buf bytes = {0};
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	while (rc == TM_OK && d->next < end && json_array_size(d->list) < d->limit) {
		struct tm_log_read read = {.offset = d->next, .max_bytes = READ_BYTES, .at_least_one = true, .committed = true};
		bytes.len = 0;
		rc = tm_log_read(topic, d->partition, &read, &arena, &bytes, err);
		struct tm_str rest = tm_buf_str(&bytes);
		if (rc != TM_OK || rest.len == 0)
			break;
		struct tm_batch_info batch;
		while (rc == TM_OK && tm_batch_next(&rest, false, &batch, err) == TM_OK) {
			if (!batch.control)
				rc = tm_batch_each(&batch, &arena, one_record, d, err);
			if (rc == TM_OK && batch.base_offset + batch.last_offset_delta + 1 > d->next)
				d->next = batch.base_offset + batch.last_offset_delta + 1;
		}
		tm_arena_reset(&arena);
	}
	tm_arena_done(&arena);
	tm_buf_done(&bytes);
	return rc == TM_CANCELLED ? TM_OK : rc;
}

tm_rc tm_http_api_records(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_topic *topic;
	TM_TRY(find(r, &topic, err));
	int64_t partition = tm_http_query_i64(r, "partition", 0), offset = tm_http_query_i64(r, "offset", -10),
		limit = tm_http_query_i64(r, "limit", 100);
	struct tm_log_offsets o;
	tm_rc rc = TM_OK;
	if (partition < 0 || partition >= tm_topic_partitions(topic))
		rc = tm_fail(err, TM_NOT_FOUND, "topic %.*s has no partition %lld", TM_STR_ARG(r->parts[0]), (long long)partition);
	if (rc == TM_OK)
		rc = tm_log_offsets(topic, (int32_t)partition, &o, err);
	if (rc == TM_OK) {
		if (offset < 0)
			offset += o.high_watermark;
		offset = offset < o.start ? o.start : offset > o.high_watermark ? o.high_watermark : offset;
		struct reading d = {.list = json_array(),
				    .from = offset,
				    .next = offset,
				    .partition = (int32_t)partition,
				    .limit = limit < 1             ? 1
					     : limit > RECORDS_MAX ? RECORDS_MAX
								   : (size_t)limit};
		rc = read_on(topic, &d, o.high_watermark, err);
		tm_http_put(a, json_pack("{s:o, s:I, s:I, s:I, s:i}", "records", d.list, "next_offset", (json_int_t)d.next, "start_offset",
					 (json_int_t)o.start, "end_offset", (json_int_t)o.high_watermark, "partitions",
					 (int)tm_topic_partitions(topic)));
	}
	tm_topic_unref(topic);
	return rc;
}

static struct tm_str text_of(const json_t *v, bool *ret_null)
{
	*ret_null = !v || json_is_null(v);
	return *ret_null ? (struct tm_str){0} : tm_str_n(json_string_value(v), json_string_length(v));
}

/* All records for one partition as one batch. */
static tm_rc produce_part(struct tm_http_request *r, struct tm_topic *topic, int32_t partition, const json_t *list, json_t *offsets,
			  struct tm_err *err)
{
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
	struct tm_buf batch = {0};
	struct tm_batch_build build = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
	tm_rc rc = tm_batch_write(&build, records, n, &batch, err);
	struct tm_log_append append = {.topic = topic, .partition = partition, .batches = tm_buf_str(&batch), .from_client = true};
	if (rc == TM_OK)
		rc = tm_log_append_wait(r->server->world.log, &append, 1, err);
	for (size_t k = 0; rc == TM_OK && k < n; k++)
		json_array_append_new(offsets, json_pack("[i, I]", (int)partition, (json_int_t)(append.base_offset + (int64_t)k)));
	tm_buf_done(&batch);
	return rc;
}

tm_rc tm_http_api_produce(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	const json_t *list = json_object_get(r->body, "records");
	if (!json_is_array(list))
		return tm_fail(err, TM_INVALID, "the body needs a list \"records\"");
	struct tm_topic *topic = r->server->world.log ? tm_log_topic_find(r->server->world.log, r->parts[0]) : NULL;
	if (!topic && r->server->world.log)
		TM_TRY(tm_log_topic_create(r->server->world.log, r->parts[0], 1, NULL, 0, &topic, err));
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "there is no broker here");
	json_t *offsets = json_array();
	tm_rc rc = TM_OK;
	for (int32_t p = 0; p < tm_topic_partitions(topic) && rc == TM_OK; p++)
		rc = produce_part(r, topic, p, list, offsets, err);
	tm_topic_unref(topic);
	if (rc != TM_OK) {
		json_decref(offsets);
		return rc;
	}
	tm_http_server_changed(r->server);
	tm_http_put(a, json_pack("{s:o}", "offsets", offsets));
	return TM_OK;
}
