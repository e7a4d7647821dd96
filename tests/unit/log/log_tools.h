/* What the tests of the log share: a fresh folder, batches of given records, reading back. */
#ifndef TM_TESTS_LOG_TOOLS_H
#define TM_TESTS_LOG_TOOLS_H
#include <sys/stat.h>
#include <unistd.h>
#include "log/log.h"
#include "log/record.h"
#include "unit.h"

__attribute__((unused)) static char *fresh_dir(void)
{
	static char dir[64];
	snprintf(dir, sizeof dir, "/tmp/tm-log-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	return dir;
}

__attribute__((unused)) static struct tm_log *open_log(const char *dir, const struct tm_env *env)
{
	struct tm_err err = {0};
	struct tm_log *log = NULL;
	struct tm_log_options options = {.env = env};
	CHECK_OK(tm_log_open(dir, &options, &log, &err), err);
	return log;
}

__attribute__((unused)) static void close_log(struct tm_log *log, struct tm_topic *topic)
{
	tm_topic_unref(topic);
	tm_log_close(log);
}

__attribute__((unused)) static struct tm_topic *make_topic(struct tm_log *log, const char *name, int partitions, const char *config,
							   const char *value)
{
	struct tm_err err = {0};
	struct tm_topic *topic = NULL;
	struct tm_log_config c = {tm_str_of(config), tm_str_of(value)};
	CHECK_OK(tm_log_topic_create(log, tm_str_of(name), partitions, &c, config ? 1 : 0, &topic, &err), err);
	return topic;
}

struct batch_of {
	int64_t producer_id;
	int16_t epoch;
	int32_t sequence;
	enum tm_codec codec;
	bool transactional;
	int64_t timestamp_ms;
	const char *key;
};
/* A batch of count records with values "v<first>", "v<first+1>"… */
__attribute__((unused)) static struct tm_buf batch_of(int first, int count, struct batch_of how)
{
	struct tm_record records[2000];
	static char values[2000][24];
	struct tm_buf out = {0};
	struct tm_err err = {0};
	CHECK(count <= 2000);
	for (int i = 0; i < count; i++) {
		snprintf(values[i], sizeof values[i], "v%d", first + i);
		records[i] = (struct tm_record){.timestamp_ms = how.timestamp_ms ? how.timestamp_ms + i : 1700000000000 + first + i,
						.value = tm_str_of(values[i]),
						.key = tm_str_of(how.key),
						.key_null = !how.key};
	}
	struct tm_batch_build build = {.codec = how.codec,
				       .producer_id = how.producer_id ? how.producer_id : -1,
				       .producer_epoch = how.epoch,
				       .base_sequence = how.sequence,
				       .transactional = how.transactional};
	CHECK_OK(tm_batch_write(&build, records, (size_t)count, &out, &err), err);
	return out;
}

/* Appends and waits; returns Kafka's code, the base offset in *ret_offset. */
__attribute__((unused)) static int append(struct tm_log *log, struct tm_topic *topic, int partition, struct tm_buf *batch,
					  int64_t *ret_offset)
{
	struct tm_err err = {0};
	struct tm_log_append a = {.topic = topic, .partition = partition, .batches = tm_buf_str(batch), .from_client = true};
	tm_rc rc = tm_log_append_wait(log, &a, 1, &err);
	CHECK((rc == TM_OK) == (a.kafka_error == 0));
	if (ret_offset)
		*ret_offset = a.base_offset;
	tm_buf_done(batch);
	return a.kafka_error;
}
__attribute__((unused)) static int append_n(struct tm_log *log, struct tm_topic *topic, int first, int count)
{
	struct tm_buf b = batch_of(first, count, (struct batch_of){0});
	return append(log, topic, 0, &b, NULL);
}

/* Reads all records from offset on and checks that values are v<offset>… where `plain`; returns how many. */
struct reading {
	int64_t next;
	int count;
	bool plain, wrong;
};
__attribute__((unused)) static tm_rc reading_each(void *ctx, const struct tm_record *r)
{
	struct reading *s = ctx;
	char want[24];
	if (r->offset < s->next)
		return TM_OK;
	snprintf(want, sizeof want, "v%lld", (long long)r->offset);
	if (s->plain && (r->offset != s->next || !tm_str_is(r->value, want)))
		s->wrong = true;
	s->next = r->offset + 1;
	s->count++;
	return TM_OK;
}
__attribute__((unused)) static int read_all(struct tm_topic *topic, int partition, int64_t from, size_t max_bytes, bool committed,
					    bool plain)
{
	struct reading s = {.next = from, .plain = plain};
	struct tm_err err = {0};
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (;;) {
		struct tm_buf out = {0};
		struct tm_log_read r = {.offset = s.next, .max_bytes = max_bytes, .at_least_one = true, .committed = committed};
		CHECK_OK(tm_log_read(topic, partition, &r, &arena, &out, &err), err);
		struct tm_str rest = tm_buf_str(&out);
		struct tm_batch_info b;
		int64_t next = s.next;
		while (tm_batch_next(&rest, true, &b, &err) == TM_OK) {
			if (!b.control)
				CHECK_OK(tm_batch_each(&b, &arena, reading_each, &s, &err), err);
			next = b.base_offset + b.last_offset_delta + 1;
		}
		CHECK(rest.len == 0);
		bool end = out.len == 0;
		tm_buf_done(&out);
		tm_arena_reset(&arena);
		if (next > s.next)
			s.next = next;
		if (end)
			break;
	}
	tm_arena_done(&arena);
	CHECK(!s.wrong);
	return s.count;
}
__attribute__((unused)) static void remove_dir(const char *dir)
{
	struct tm_err err = {0};
	CHECK_OK(tm_dir_remove(dir, &err), err);
}
#endif
