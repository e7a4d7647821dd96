/* A filter for the vectors of record batches: each line of standard input is `read HEX` or `produce HEX`; the answer is one
 * line of JSON. `read` gives every batch with its records, and the same batch written again; `produce` appends to a log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log/batch.h"
#include "log/codec.h"
#include "log/log.h"

static void put_hex(struct tm_buf *b, struct tm_str s, bool null)
{
	if (null) {
		tm_buf_cstr_put(b, "null");
		return;
	}
	tm_buf_char(b, '"');
	for (size_t i = 0; i < s.len; i++)
		tm_buf_printf(b, "%02x", (unsigned char)s.at[i]);
	tm_buf_char(b, '"');
}

static void put_records(struct tm_buf *out, const struct tm_record *records, size_t count, int64_t sequence_base, bool with_headers)
{
	tm_buf_cstr_put(out, "\"records\":[");
	for (size_t i = 0; i < count; i++) {
		const struct tm_record *r = &records[i];
		int64_t sequence = sequence_base < 0 ? -1 : (sequence_base + r->offset - records[0].offset) & INT32_MAX;
		tm_buf_printf(out, "%s{\"offset\":%lld,\"timestamp\":%lld,\"sequence\":%lld,\"key\":", i ? "," : "", (long long)r->offset,
			      (long long)r->timestamp_ms, (long long)sequence);
		put_hex(out, r->key, r->key_null);
		tm_buf_cstr_put(out, ",\"value\":");
		put_hex(out, r->value, r->value_null);
		if (with_headers) {
			tm_buf_cstr_put(out, ",\"headers\":[");
			for (size_t k = 0; k < r->header_count; k++) {
				tm_buf_cstr_put(out, k ? ",[" : "[");
				tm_buf_json_str(out, r->headers[k].key);
				tm_buf_char(out, ',');
				put_hex(out, r->headers[k].value, r->headers[k].value_null);
				tm_buf_char(out, ']');
			}
			tm_buf_char(out, ']');
		}
		tm_buf_char(out, '}');
	}
	tm_buf_char(out, ']');
}

static tm_rc put_batch(struct tm_buf *out, const char *at, const struct tm_batch_info *b, struct tm_arena *arena, struct tm_err *err)
{
	struct tm_record *records;
	size_t count;
	struct tm_buf again = {0};
	TM_TRY(tm_batch_records(b, arena, &records, &count, err));
	tm_buf_printf(
	    out,
	    "{\"base_offset\":%lld,\"last_offset\":%lld,\"next_offset\":%lld,\"size_in_bytes\":%zu,\"magic\":2,\"crc\":%u,\"codec\":\"%s\"",
	    (long long)b->base_offset, (long long)tm_batch_last_offset(b), (long long)tm_batch_last_offset(b) + 1, b->bytes,
	    (uint32_t)tm_be32_at(at + TM_BATCH_CRC), tm_codec_name(b->codec));
	tm_buf_printf(
	    out,
	    ",\"timestamp_type\":\"%s\",\"max_timestamp\":%lld,\"base_timestamp\":%lld,\"partition_leader_epoch\":%d,\"producer_id\":%lld",
	    b->log_append_time ? "LogAppendTime" : "CreateTime", (long long)b->max_timestamp_ms, (long long)b->base_timestamp_ms,
	    b->leader_epoch, (long long)b->producer_id);
	int64_t last = b->base_sequence < 0 ? -1 : ((int64_t)b->base_sequence + b->last_offset_delta) & INT32_MAX;
	tm_buf_printf(
	    out,
	    ",\"producer_epoch\":%d,\"base_sequence\":%d,\"last_sequence\":%lld,\"transactional\":%s,\"control\":%s,\"record_count\":%d,",
	    b->producer_epoch, b->base_sequence, (long long)last, b->transactional ? "true" : "false", b->control ? "true" : "false",
	    b->count);
	if (b->attributes & TM_ATTR_DELETE_HORIZON)
		tm_buf_printf(out, "\"delete_horizon_ms\":%lld,", (long long)b->base_timestamp_ms);
	else
		tm_buf_cstr_put(out, "\"delete_horizon_ms\":null,");
	put_records(out, records, count, b->base_sequence, true);
	struct tm_batch_compose c = tm_batch_compose_as(b);
	tm_rc rc = TM_OK;
	if (b->log_append_time) { /* the records' own times are not in what was read; they are as far as the bytes go */
		struct tm_batch_info own = *b;
		own.log_append_time = false;
		rc = tm_batch_records(&own, arena, &records, &count, err);
	}
	if (rc == TM_OK)
		rc = tm_batch_compose(&c, records, count, &again, err);
	tm_buf_cstr_put(out, ",\"again\":");
	put_hex(out, tm_buf_str(&again), false);
	tm_buf_char(out, '}');
	tm_buf_done(&again);
	return rc;
}

static tm_rc put_legacy(struct tm_buf *out, const struct tm_legacy_info *m, struct tm_arena *arena, struct tm_err *err)
{
	struct tm_record *records;
	size_t count;
	TM_TRY(tm_legacy_records(m, arena, &records, &count, err));
	tm_buf_printf(out,
		      "{\"base_offset\":%lld,\"last_offset\":%lld,\"next_offset\":%lld,\"size_in_bytes\":%zu,\"magic\":%d,\"crc\":%u,"
		      "\"codec\":\"%s\"",
		      (long long)records[0].offset, (long long)m->offset, (long long)m->offset + 1, m->bytes, m->magic, m->crc,
		      tm_codec_name(m->codec));
	tm_buf_printf(out, ",\"timestamp_type\":\"%s\",\"max_timestamp\":%lld,",
		      m->magic == 0        ? "NoTimestampType"
		      : m->log_append_time ? "LogAppendTime"
					   : "CreateTime",
		      (long long)m->timestamp_ms);
	put_records(out, records, count, -1, false);
	tm_buf_char(out, '}');
	return TM_OK;
}

static void read_batches(struct tm_str bytes, struct tm_buf *out)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	tm_rc rc = TM_OK;
	int n = 0;
	tm_arena_init(&arena);
	tm_buf_cstr_put(out, "{\"batches\":[");
	while (rc == TM_OK) {
		struct tm_batch_info b;
		struct tm_legacy_info m;
		const char *at = bytes.at;
		size_t mark = out->len;
		rc = tm_batch_next(&bytes, true, &b, &err);
		bool legacy = rc == TM_UNSUPPORTED;
		if (legacy)
			rc = tm_legacy_next(&bytes, true, &m, &err);
		if (rc != TM_OK)
			break;
		if (n++)
			tm_buf_char(out, ',');
		rc = legacy ? put_legacy(out, &m, &arena, &err) : put_batch(out, at, &b, &arena, &err);
		if (rc != TM_OK)
			out->len = mark;
	}
	tm_buf_cstr_put(out, "]");
	if (rc != TM_NOT_FOUND) {
		tm_buf_cstr_put(out, ",\"error\":");
		tm_buf_json_str(out, tm_str_of(err.what));
	}
	tm_buf_printf(out, ",\"left\":%zu}", bytes.len);
	tm_arena_done(&arena);
}

static void produce(struct tm_log *log, struct tm_topic *topic, struct tm_str bytes, struct tm_buf *out)
{
	struct tm_err err = {0};
	struct tm_log_append a = {.topic = topic, .batches = bytes, .from_client = true};
	tm_rc rc = tm_log_append_wait(log, &a, 1, &err);
	tm_buf_printf(out, "{\"ok\":%s,\"errorCode\":%d,\"errorMessage\":", rc == TM_OK ? "true" : "false", a.kafka_error);
	if (a.message[0])
		tm_buf_json_str(out, tm_str_of(a.message));
	else
		tm_buf_cstr_put(out, "null");
	tm_buf_printf(out, ",\"baseOffset\":%lld}", (long long)a.base_offset);
}

static size_t unhex(char *s)
{
	size_t n = 0;
	for (unsigned v; s[2 * n] && s[2 * n + 1] && sscanf(s + 2 * n, "%2x", &v) == 1; n++)
		s[n] = (char)v;
	return n;
}

int main(void)
{
	char dir[] = "/tmp/tm-batches-XXXXXX", *line = NULL;
	size_t cap = 0;
	struct tm_log *log;
	struct tm_topic *topic;
	struct tm_err err = {0};
	if (!mkdtemp(dir) || tm_log_open(dir, NULL, &log, &err) != TM_OK ||
	    tm_log_topic_create(log, TM_STR("t"), 1, NULL, 0, &topic, &err) != TM_OK) {
		fprintf(stderr, "%s\n", err.what);
		return 1;
	}
	while (getline(&line, &cap, stdin) > 0) {
		struct tm_buf out = {0};
		char *hex = strchr(line, ' ');
		if (!hex)
			break;
		*hex++ = 0;
		hex[strcspn(hex, "\n")] = 0;
		struct tm_str bytes = {hex, unhex(hex)};
		if (strcmp(line, "produce") == 0)
			produce(log, topic, bytes, &out);
		else
			read_batches(bytes, &out);
		puts(tm_buf_cstr(&out));
		fflush(stdout);
		tm_buf_done(&out);
	}
	free(line);
	tm_topic_unref(topic);
	tm_log_close(log);
	return tm_dir_remove(dir, &err) != TM_OK;
}
