/* Topics, partition by partition, in order: partitions, keys, values, headers and timestamps stay as they are, and so do the offsets where
 * the source has all records from 0 on.
 *
 * Nothing twice, nothing lost, whenever it is killed: a partition is written by one appender, in order, and what the target holds behind
 * the last saved mark is compared with the source, record by record, before anything is appended. So the mark may be old or missing. An
 * append whose offset is not the expected one, or a record that is not the source's, means that somebody else writes there: it stops. */
#include "cli/export.h"
#include "cli/export_groups.h"
#include "kafka/broker_kafka.h"
#include "kafka/kafka.h"
#include "kafka/moving.h"
#include "log/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, SETTLE_US = 1000000 };

struct moving {
	struct tm_export *x;
	struct tm_log *log; /* of a stopped project, behind a door of its own */
	struct tm_kafka_server *door;
	struct tm_broker *from, *to;
	struct tm_broker_reader *source, *target;
	struct tm_buf scratch;
	struct tm_record *records;
	size_t record_cap;
	char what[300];
};

/* ---- the two sides ---- */

static bool stopping(void *ctx) { return (void)ctx, tm_export_stopping(); }
static void woken(void *ctx) { (void)ctx; }

static tm_rc connect_to(struct tm_str address, struct tm_broker **ret, struct tm_err *err)
{
	TM_TRY(tm_kafka_broker_new(address, ret, err));
	tm_rc rc = tm_kafka_broker_connect(*ret, CONNECT_MS, err);
	if (rc != TM_OK) {
		tm_broker_free(*ret);
		*ret = NULL;
	}
	return rc;
}

static tm_rc open_source(struct moving *m, struct tm_err *err)
{
	struct tm_export *x = m->x;
	const struct tm_config *c = &x->remote.config;
	if (x->from)
		return connect_to(tm_str_of(x->from), &m->from, err);
	if (strcmp(c->broker, "embedded") != 0)
		return connect_to(tm_str_of(c->broker), &m->from, err);
	if (x->running)
		return connect_to(
		    tm_arena_printf(&x->arena, "kafka://%s:%d", tm_address_here(&c->kafka), tm_remote_port(&x->remote, "kafka")), &m->from,
		    err);
	char path[4200];
	snprintf(path, sizeof path, "%s/log", c->data);
	if (access(path, F_OK) != 0) {
		tm_fail(err, TM_NOT_FOUND, "there are no topics in %s", c->data);
		tm_err_hint(err, "Name the project with --project DIR, or a broker with --from kafka://host:port.");
		return TM_NOT_FOUND;
	}
	const struct tm_log_options options = {0};
	TM_TRY(tm_log_open(path, &options, &m->log, err));
	const struct tm_kafka_options door = {.host = "127.0.0.1", .log_dir = path};
	TM_TRY(tm_kafka_server_start(m->log, &door, &m->door, err));
	return connect_to(tm_arena_printf(&x->arena, "kafka://127.0.0.1:%d", tm_kafka_server_port(m->door)), &m->from, err);
}

static tm_rc open_reader(struct tm_broker *b, struct tm_broker_reader **ret, struct tm_err *err)
{
	static const struct tm_option committed = {TM_STR("kafka.isolation.level"), TM_STR("read_committed")};
	const struct tm_broker_reader_options options = {.options = &committed,
							 .option_count = 1,
							 .headers = true,
							 .caller = {.stopping = stopping, .waits = tm_export_waits, .woken = woken}};
	return b->klass->reader(b, &options, ret, err);
}

static tm_rc bounds_of(struct tm_broker_reader *r, struct tm_str topic, int32_t partition, int64_t at, struct tm_broker_bounds *ret,
		       struct tm_err *err)
{
	struct tm_offset one = {topic, partition, at};
	const struct tm_offsets offsets = {.items = &one, .count = 1};
	return r->klass->bounds(r, &offsets, ret, err);
}

/* ---- records ---- */

static void put_bytes(struct tm_buf *out, struct tm_str s, bool null)
{
	tm_buf_le32(out, null ? UINT32_MAX : (uint32_t)s.len);
	tm_buf_put(out, s.at, null ? 0 : s.len);
}

/* The checksum of all records up to this one: order, keys, values, headers and timestamps are in it. */
static uint64_t chain(struct moving *m, uint64_t before, const struct tm_record *r)
{
	struct tm_buf *b = &m->scratch;
	b->len = 0;
	tm_buf_le64(b, (uint64_t)r->timestamp_ms);
	put_bytes(b, r->key, r->key_null);
	put_bytes(b, r->value, r->value_null);
	tm_buf_le32(b, (uint32_t)r->header_count);
	for (size_t i = 0; i < r->header_count; i++) {
		put_bytes(b, r->headers[i].key, false);
		put_bytes(b, r->headers[i].value, r->headers[i].value_null);
	}
	return tm_xxh64(b->at, b->len, before);
}

static struct tm_record record_of(const struct tm_broker_records *in, size_t i)
{
	return (struct tm_record){.offset = in->offsets[i],
				  .timestamp_ms = in->timestamps_us[i] / 1000,
				  .key = in->keys[i],
				  .value = in->values[i],
				  .key_null = !in->keys[i].at,
				  .value_null = !in->values[i].at,
				  .headers = in->headers[i],
				  .header_count = in->header_counts[i]};
}

/* ---- a partition ---- */

/* What the target holds behind the mark must be the source's next records. They are taken into the mark. */
static tm_rc take_up(struct moving *m, struct tm_str topic, int32_t partition, struct tm_export_mark *mark, int64_t source_end,
		     int64_t target_end, struct tm_err *err)
{
	struct tm_broker_records have = {0}, want = {0};
	size_t w = 0;
	int64_t at = mark->base + mark->count, source_at = mark->next;
	while (at < target_end) {
		struct tm_offset from = {topic, partition, at};
		TM_TRY(m->target->klass->read(m->target, &from, target_end, &have, &at, err));
		for (size_t i = 0; i < have.count; i++) {
			while (w == want.count && source_at < source_end) {
				struct tm_offset next = {topic, partition, source_at};
				TM_TRY(m->source->klass->read(m->source, &next, source_end, &want, &source_at, err));
				w = 0;
			}
			struct tm_record there = record_of(&have, i), ours = {0};
			if (w < want.count)
				ours = record_of(&want, w);
			if (w == want.count || have.append_time[i] || chain(m, 0, &there) != chain(m, 0, &ours)) {
				tm_fail(err, TM_EXISTS, "topic %.*s at the target has other records: partition %d, offset %" PRId64,
					TM_STR_ARG(topic), partition, there.offset);
				tm_err_detail(err, "%s",
					      have.append_time[i] ? "That topic gives records its own time (message.timestamp.type)."
					      : w == want.count   ? "It holds more records than the source."
								  : "It is not the record that the source has at that place.");
				tm_err_hint(err, "Delete that topic, or name the topics to move without it.");
				return TM_EXISTS;
			}
			mark->checksum = chain(m, mark->checksum, &ours);
			mark->count++;
			mark->next = ours.offset + 1;
			w++;
		}
		m->x->done += (int64_t)have.count;
		tm_export_progress(m->x, m->what, "records");
	}
	return TM_OK;
}

static tm_rc copy(struct moving *m, struct tm_str topic, int32_t partition, struct tm_export_mark *mark, int64_t end, struct tm_err *err)
{
	while (mark->next < end) {
		struct tm_broker_records in = {0};
		struct tm_offset from = {topic, partition, mark->next};
		int64_t next = mark->next, base = -1;
		if (tm_export_stopping())
			return tm_fail(err, TM_CANCELLED, "stopped; started again it goes on from here");
		TM_TRY(m->source->klass->read(m->source, &from, end, &in, &next, err));
		if (in.count > m->record_cap) {
			m->record_cap = in.count;
			m->records = TM_NEW_N(&m->x->arena, struct tm_record, in.count);
		}
		uint64_t checksum = mark->checksum;
		for (size_t i = 0; i < in.count; i++) {
			m->records[i] = record_of(&in, i);
			checksum = chain(m, checksum, &m->records[i]);
		}
		if (in.count) {
			TM_TRY(m->to->klass->append(m->to, topic, partition, m->records, in.count, &base, err));
			if (base != mark->base + mark->count) {
				tm_fail(err, TM_EXISTS, "somebody else writes to topic %.*s at the target", TM_STR_ARG(topic));
				tm_err_detail(err, "Records landed at offset %" PRId64 " of partition %d instead of %" PRId64 ".", base,
					      partition, mark->base + mark->count);
				tm_err_hint(err, "Stop what produces there, delete the topic, and start the export again.");
				return TM_EXISTS;
			}
		}
		mark->checksum = checksum;
		mark->count += (int64_t)in.count;
		mark->next = next;
		m->x->done += (int64_t)in.count;
		TM_TRY(tm_export_state_save(&m->x->state, false, err));
		tm_export_progress(m->x, m->what, "records");
	}
	return TM_OK;
}

/* Reads back what the target holds. */
static tm_rc verify(struct moving *m, struct tm_str topic, int32_t partition, const struct tm_export_mark *mark, int64_t *ret_count,
		    uint64_t *ret_checksum, struct tm_err *err)
{
	int64_t at = mark->base, end = mark->base + mark->count;
	*ret_count = 0, *ret_checksum = 0;
	while (at < end) {
		struct tm_broker_records in = {0};
		struct tm_offset from = {topic, partition, at};
		if (tm_export_stopping())
			return tm_fail(err, TM_CANCELLED, "stopped; started again it goes on from here");
		TM_TRY(m->target->klass->read(m->target, &from, end, &in, &at, err));
		for (size_t i = 0; i < in.count; i++) {
			struct tm_record r = record_of(&in, i);
			*ret_checksum = chain(m, *ret_checksum, &r);
		}
		*ret_count += (int64_t)in.count;
		m->x->done += (int64_t)in.count;
		tm_export_progress(m->x, m->what, "records");
	}
	return TM_OK;
}

static tm_rc move_partition(struct moving *m, struct tm_str topic, int32_t partition, json_t *part, struct tm_err *err)
{
	struct tm_export *x = m->x;
	struct tm_export_mark *mark = tm_export_state_add(&x->state, tm_arena_printf(&x->arena, "%.*s/%d", TM_STR_ARG(topic), partition));
	struct tm_broker_bounds from, to;
	TM_TRY(bounds_of(m->source, topic, partition, mark->next, &from, err));
	TM_TRY(m->from->klass->bounds(m->from, topic, partition, &from, err));
	TM_TRY(bounds_of(m->target, topic, partition, mark->base, &to, err));
	TM_TRY(m->to->klass->bounds(m->to, topic, partition, &to, err));
	if (mark->begun && to.end == 0)
		*mark = (struct tm_export_mark){.name = mark->name}; /* the topic was deleted there since */
	if (!mark->begun) {
		mark->first = mark->next = from.start;
		mark->base = to.start;
		mark->begun = true;
	} else if (to.end < mark->base + mark->count) {
		tm_fail(err, TM_EXISTS, "topic %.*s at the target has lost records: partition %d ends at %" PRId64 ", not at %" PRId64,
			TM_STR_ARG(topic), partition, to.end, mark->base + mark->count);
		tm_err_hint(err, "Delete that topic and start the export again.");
		return TM_EXISTS;
	}
	if (from.start > mark->next) {
		tm_export_note(
		    x, "topic %.*s, partition %d: offsets %" PRId64 " to %" PRId64 " were deleted at the source before they were moved",
		    TM_STR_ARG(topic), partition, mark->next, from.start - 1);
		mark->next = from.start;
	}
	int64_t before = mark->count;
	TM_TRY(take_up(m, topic, partition, mark, from.end, to.end, err));
	int64_t found = mark->count;
	TM_TRY(copy(m, topic, partition, mark, from.end, err));
	TM_TRY(tm_export_state_save(&x->state, true, err));
	int64_t count = 0;
	uint64_t checksum = 0;
	bool expired = to.start > mark->base;
	if (expired)
		tm_export_note(x, "topic %.*s, partition %d: the target's retention has deleted records already, so only counts agree",
			       TM_STR_ARG(topic), partition);
	else
		TM_TRY(verify(m, topic, partition, mark, &count, &checksum, err));
	bool same = expired || (count == mark->count && checksum == mark->checksum);
	x->different += !same;
	int64_t shift = mark->base - mark->first;
	bool dense = mark->next - mark->first == mark->count;
	char ours[20], theirs[20];
	snprintf(ours, sizeof ours, "%016" PRIx64, mark->checksum);
	snprintf(theirs, sizeof theirs, "%016" PRIx64, checksum);
	json_t *one = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "partition", partition, "records", (json_int_t)mark->count,
				"written", (json_int_t)(mark->count - found), "found", (json_int_t)(found - before), "first_offset",
				(json_int_t)mark->first, "target_first_offset", (json_int_t)mark->base, "checksum", ours, "same", same);
	json_object_set_new(one, "target_checksum", expired ? json_null() : json_string(theirs));
	json_object_set_new(one, "offsets", json_string(shift == 0 && dense ? "same" : dense ? "shifted" : "closed up"));
	json_array_append_new(part, one);
	return TM_OK;
}

/* ---- a topic ---- */

static tm_rc make_topic(struct moving *m, const struct tm_broker_topic *t, bool *ret_made, struct tm_err *err)
{
	struct tm_broker_topic there;
	tm_rc rc = m->to->klass->topic(m->to, t->name, &there, err);
	*ret_made = rc == TM_NOT_FOUND;
	if (rc == TM_NOT_FOUND) {
		struct tm_topic_setting *settings;
		size_t n;
		TM_TRY(tm_kafka_topic_settings(m->from, t->name, &m->x->arena, &settings, &n, err));
		rc = tm_kafka_topic_make(m->to, t->name, t->partitions, settings, n, err);
		if (rc == TM_INVALID && n) {
			tm_export_note(m->x, "topic %.*s is made without its settings: %s", TM_STR_ARG(t->name),
				       err->detail[0] ? err->detail : err->what);
			rc = tm_kafka_topic_make(m->to, t->name, t->partitions, NULL, 0, err);
		}
		return rc;
	}
	if (rc == TM_OK && there.partitions != t->partitions) {
		rc = tm_fail(err, TM_EXISTS, "topic %.*s has %d partitions here and %d at the target", TM_STR_ARG(t->name), t->partitions,
			     there.partitions);
		tm_err_detail(err, "Records keep their partitions, for a key must stay in one.");
		tm_err_hint(err, "Delete that topic, and it is made with %d.", t->partitions);
	}
	return rc;
}

static void print_topic(struct tm_export *x, const json_t *topic, const json_t *parts)
{
	const json_t *p;
	size_t i;
	int64_t records = 0, written = 0;
	bool same = true, offsets = true;
	uint64_t checksum = 0;
	json_array_foreach(parts, i, p)
	{
		records += json_integer_value(json_object_get(p, "records"));
		written += json_integer_value(json_object_get(p, "written"));
		same = same && json_is_true(json_object_get(p, "same"));
		offsets = offsets && strcmp(json_string_value(json_object_get(p, "offsets")), "same") == 0;
		const char *hex = json_string_value(json_object_get(p, "checksum"));
		checksum = i ? tm_xxh64(hex, strlen(hex), checksum) : strtoull(hex, NULL, 16);
	}
	if (!x->common.json)
		printf("topic %s: %zu partition%s, %" PRId64 " records (%" PRId64 " written now), checksum %016" PRIx64 "%s, offsets %s\n",
		       json_string_value(json_object_get(topic, "topic")), i, i == 1 ? "" : "s", records, written, checksum,
		       same ? " on both sides" : " HERE ONLY", offsets ? "as before" : "moved");
	fflush(stdout);
}

static tm_rc move_topic(struct moving *m, const struct tm_broker_topic *t, struct tm_err *err)
{
	json_t *parts = json_array(), *topic = json_pack("{s:s%, s:o}", "topic", t->name.at, t->name.len, "partitions", parts);
	json_array_append_new(m->x->parts, topic);
	snprintf(m->what, sizeof m->what, "topic %.*s", TM_STR_ARG(t->name));
	for (int32_t p = 0; p < t->partitions; p++)
		TM_TRY(move_partition(m, t->name, p, parts, err));
	print_topic(m->x, topic, parts);
	return TM_OK;
}

static tm_rc unknown_names(const struct tm_export *x, const struct tm_broker_topic *topics, size_t n, struct tm_err *err)
{
	for (size_t k = 0; k < x->name_count; k++) {
		if (strpbrk(x->names[k], "*?"))
			continue;
		bool found = false;
		for (size_t i = 0; i < n; i++)
			found = found || tm_str_is(topics[i].name, x->names[k]);
		if (!found) {
			tm_fail(err, TM_NOT_FOUND, "there is no topic %s", x->names[k]);
			tm_err_hint(err, "`tidemill topic list` shows them.");
			return TM_NOT_FOUND;
		}
	}
	return TM_OK;
}

static tm_rc run(struct moving *m, struct tm_err *err)
{
	struct tm_export *x = m->x;
	struct tm_broker_topic *topics;
	size_t n, wanted = 0;
	TM_TRY(open_source(m, err));
	TM_TRY(connect_to(tm_str_of(x->to), &m->to, err));
	TM_TRY(m->from->klass->topics(m->from, true, &x->arena, &topics, &n, err));
	TM_TRY(unknown_names(x, topics, n, err));
	bool settle = false;
	for (size_t i = 0; i < n; i++) {
		if (topics[i].internal || !tm_export_wanted(x, topics[i].name))
			continue;
		bool made;
		TM_TRY(make_topic(m, &topics[i], &made, err));
		settle = settle || !made;
		topics[wanted++] = topics[i];
		x->all += 2 * topics[i].records; /* written, and read back */
	}
	/* What a killed export had under way may still be landing. */
	if (settle)
		usleep(SETTLE_US);
	TM_TRY(open_reader(m->from, &m->source, err));
	TM_TRY(open_reader(m->to, &m->target, err));
	for (size_t i = 0; i < wanted; i++)
		TM_TRY(move_topic(m, &topics[i], err));
	return tm_export_groups(x, m->from, m->to, m->source, x->groups, err);
}

tm_rc tm_export_topics(struct tm_export *x, struct tm_err *err)
{
	struct moving m = {.x = x};
	tm_rc rc = run(&m, err);
	tm_broker_reader_free(m.source);
	tm_broker_reader_free(m.target);
	tm_broker_free(m.from);
	tm_broker_free(m.to);
	if (m.door)
		tm_kafka_server_stop(m.door);
	if (m.log)
		tm_log_close(m.log);
	tm_buf_done(&m.scratch);
	return rc;
}
