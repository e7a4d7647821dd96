/* The log as its users see it: topics, appending, reading, watching. */
#include "log_tools.h"

TEST(append_read_reopen)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "t", 3, NULL, NULL);
	for (int i = 0; i < 50; i++)
		CHECK_INT(append_n(log, t, i * 10, 10), 0);
	CHECK_INT(read_all(t, 0, 0, 1 << 20, false, true), 500);
	CHECK_INT(read_all(t, 0, 123, 1, false, true), 377);
	CHECK_INT(read_all(t, 0, 500, 100, false, true), 0);
	struct tm_log_offsets o;
	struct tm_err err = {0};
	CHECK_OK(tm_log_offsets(t, 0, &o, &err), err);
	CHECK_INT(o.high_watermark, 500);
	CHECK_INT(o.last_stable, 500);
	CHECK_INT(tm_log_offsets(t, 3, &o, &err), TM_NOT_FOUND);
	CHECK_INT(err.code, 3);
	close_log(log, t);
	for (int round = 0; round < 3; round++) {
		log = open_log(dir, NULL);
		t = tm_log_topic_find(log, TM_STR("t"));
		CHECK(t != NULL);
		CHECK_INT(tm_topic_partitions(t), 3);
		CHECK_INT(read_all(t, 0, 0, 1 << 20, false, true), 500 + round * 10);
		CHECK_INT(append_n(log, t, 500 + round * 10, 10), 0);
		close_log(log, t);
	}
	remove_dir(dir);
}

TEST(segments_roll_and_are_read_across)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "t", 1, "segment.bytes", "1048576");
	for (int i = 0; i < 200; i++)
		CHECK_INT(append_n(log, t, i * 1500, 1500), 0);
	CHECK(tm_log_partition_bytes(t, 0) > 3 * 1048576);
	CHECK_INT(read_all(t, 0, 0, 300000, false, true), 300000);
	CHECK_INT(read_all(t, 0, 250123, 4 << 20, false, true), 300000 - 250123);
	int64_t offset, ts;
	struct tm_err err = {0};
	for (int64_t want = 0; want < 300000; want += 33333) {
		CHECK_OK(tm_log_offset_for_time(t, 0, 1700000000000 + want, &offset, &ts, &err), err);
		CHECK_INT(offset, want);
	}
	CHECK_OK(tm_log_offset_for_time(t, 0, -3, &offset, &ts, &err), err);
	CHECK_INT(offset, 299999);
	CHECK_OK(tm_log_offset_for_time(t, 0, 1700000300000, &offset, &ts, &err), err);
	CHECK_INT(offset, -1);
	close_log(log, t);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	CHECK_INT(read_all(t, 0, 0, 4 << 20, false, true), 300000);
	const char **findings;
	CHECK_INT(tm_log_findings(log, &findings), 0);
	free(findings);
	int64_t start;
	CHECK_OK(tm_log_delete_records(t, 0, 150000, &start, &err), err);
	CHECK_INT(start, 150000);
	CHECK_INT(read_all(t, 0, 150000, 4 << 20, false, true), 150000);
	CHECK_INT(tm_log_delete_records(t, 0, 300001, &start, &err), TM_INVALID);
	CHECK_INT(err.code, 1);
	close_log(log, t);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	struct tm_log_offsets o;
	CHECK_OK(tm_log_offsets(t, 0, &o, &err), err);
	CHECK_INT(o.start, 150000);
	CHECK_OK(tm_log_delete_records(t, 0, -1, &start, &err), err);
	CHECK_INT(start, 300000);
	close_log(log, t);
	remove_dir(dir);
}

TEST(topics)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL), *second = NULL;
	struct tm_err err = {0};
	CHECK_INT(tm_log_open(dir, NULL, &second, &err), TM_BUSY);
	struct tm_topic *a = make_topic(log, "a", 2, "retention.ms", " 5 "), *b = make_topic(log, "b", 1, NULL, NULL);
	struct tm_arena arena;
	bool is_default;
	tm_arena_init(&arena);
	CHECK_INT(tm_log_topic_create(log, TM_STR("a"), 1, NULL, 0, NULL, &err), TM_EXISTS);
	CHECK_INT(err.code, 36);
	CHECK_INT(tm_log_topic_create(log, TM_STR("a b"), 1, NULL, 0, NULL, &err), TM_INVALID);
	CHECK_INT(err.code, 17);
	CHECK_INT(tm_log_topic_create(log, TM_STR("c"), 0, NULL, 0, NULL, &err), TM_INVALID);
	CHECK_INT(err.code, 37);
	struct tm_log_config bad[] = {{TM_STR("no.such.config"), TM_STR("1")},
				      {TM_STR("retention.ms"), TM_STR("abc")},
				      {TM_STR("cleanup.policy"), TM_STR("bogus")},
				      {TM_STR("segment.bytes"), TM_STR("13")},
				      {TM_STR("min.cleanable.dirty.ratio"), TM_STR("1.5")},
				      {TM_STR("unclean.leader.election.enable"), TM_STR("yes")},
				      {TM_STR("compression.type"), TM_STR("brotli")}};
	const char *words[] = {
	    "Unknown topic config name: no.such.config",
	    "Invalid value abc for configuration retention.ms: Not a number of type LONG",
	    "Invalid value bogus for configuration cleanup.policy: String must be one of: compact, delete",
	    "Invalid value 13 for configuration segment.bytes: Value must be at least 1048576",
	    "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
	    "Invalid value yes for configuration unclean.leader.election.enable: Expected value to be either true or false",
	    ("Invalid value brotli for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, "
	     "producer")};
	for (int i = 0; i < 7; i++) {
		CHECK_INT(tm_log_topic_create(log, TM_STR("c"), 1, &bad[i], 1, NULL, &err), TM_INVALID);
		CHECK_INT(err.code, 40);
		CHECK_STR(tm_str_of(err.what), words[i]);
	}
	struct tm_log_config compact = {TM_STR("cleanup.policy"), TM_STR("compact,delete")};
	CHECK_OK(tm_log_topic_alter(log, TM_STR("a"), &compact, 1, NULL, 0, false, &err), err);
	CHECK_OK(tm_log_topic_add_partitions(log, TM_STR("a"), 5, &err), err);
	CHECK_INT(tm_log_topic_add_partitions(log, TM_STR("a"), 5, &err), TM_INVALID);
	CHECK_INT(err.code, 37);
	tm_topic_unref(a);
	CHECK_OK(tm_log_topic_delete(log, TM_STR("b"), &err), err);
	struct tm_buf batch = batch_of(0, 1, (struct batch_of){0});
	CHECK_INT(append(log, b, 0, &batch, NULL), 3);
	tm_topic_unref(b);
	tm_log_close(log);

	log = open_log(dir, NULL);
	struct tm_topic **list;
	CHECK_INT(tm_log_topics(log, &list), 1);
	CHECK_STR(tm_topic_name(list[0]), "a");
	CHECK_INT(tm_topic_partitions(list[0]), 5);
	CHECK_STR(tm_topic_config(list[0], "cleanup.policy", &is_default, &arena), "compact,delete");
	CHECK(!is_default);
	CHECK_STR(tm_topic_config(list[0], "retention.ms", NULL, &arena), " 5 ");
	CHECK_STR(tm_topic_config(list[0], "segment.ms", &is_default, &arena), "604800000");
	CHECK(is_default);
	struct tm_topic *by_id = tm_log_topic_find_id(log, tm_topic_id(list[0]));
	CHECK(by_id == list[0]);
	tm_topic_unref(by_id);
	tm_topic_unref(list[0]);
	free(list);
	int64_t id, last = -1;
	for (int i = 0; i < 1500; i++) {
		CHECK_OK(tm_log_producer_id(log, &id, &err), err);
		CHECK(id > last);
		last = id;
	}
	tm_log_close(log);
	log = open_log(dir, NULL);
	CHECK_OK(tm_log_producer_id(log, &id, &err), err);
	CHECK(id > last);
	tm_log_close(log);
	tm_arena_done(&arena);
	remove_dir(dir);
}

TEST(idempotent_producers)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	static const struct {
		int64_t id;
		int16_t epoch;
		int32_t sequence, count;
		int code, offset;
	} steps[] = {
	    {9, 0, 0, 2, 0, 0},    {9, 0, 2, 1, 0, 2},     {9, 0, 2, 1, 0, 2},     {9, 0, 0, 2, 0, 0},
	    {9, 0, 5, 1, 45, -1},  {9, 0, 1, 1, 45, -1},   {9, 0, 3, 1, 0, 3},     {9, 0, 4, 1, 0, 4},
	    {9, 0, 5, 1, 0, 5},    {9, 0, 6, 1, 0, 6},     {9, 0, 7, 1, 0, 7},     {9, 0, 0, 2, 45, -1},
	    {10, 0, 0, 1, 0, 8},   {10, 1, 1, 1, 45, -1},  {10, 1, 0, 1, 0, 9},    {10, 0, 1, 1, 47, -1},
	    {10, 1, 1, 1, 0, 10},  {10, 5, 0, 1, 0, 11},   {10, -1, 0, 1, 47, -1}, {77, 0, 10, 1, 0, 12},
	    {77, 0, 11, 1, 0, 13}, {77, 0, -1, 1, 87, -1}, {78, 3, 0, 1, 0, 14},   {79, 0, 2147483646, 2, 0, 15},
	    {79, 0, 0, 1, 0, 17},
	};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
			int64_t offset;
			struct tm_buf b =
			    batch_of(0, steps[i].count,
				     (struct batch_of){.producer_id = steps[i].id, .epoch = steps[i].epoch, .sequence = steps[i].sequence});
			int code = append(log, t, 0, &b, &offset);
			if (round == 0) {
				CHECK_INT(code, steps[i].code);
				CHECK_INT(offset, steps[i].offset);
			}
			if (round == 1 && steps[i].id == 9 && steps[i].sequence >= 3 &&
			    steps[i].count == 1) { /* the last five are known after a restart */
				CHECK_INT(code, 0);
				CHECK_INT(offset, steps[i].sequence);
			}
		}
		close_log(log, t);
		log = open_log(dir, NULL);
		t = tm_log_topic_find(log, TM_STR("t"));
	}
	close_log(log, t);
	remove_dir(dir);
}

static void marker(struct tm_log *log, struct tm_topic *t, int64_t producer_id, int16_t epoch, bool commit)
{
	/* A control batch: one record, key = version, type; value = version, coordinator epoch. */
	char key[4] = {0, 0, 0, commit}, value[6] = {0};
	struct tm_record r = {.timestamp_ms = 1700000000000, .key = tm_str_n(key, 4), .value = tm_str_n(value, 6)};
	struct tm_batch_build build = {.producer_id = producer_id, .producer_epoch = epoch, .base_sequence = -1, .transactional = true};
	struct tm_buf b = {0};
	struct tm_err err = {0};
	CHECK_OK(tm_batch_write(&build, &r, 1, &b, &err), err);
	b.at[22] |= 0x20;
	uint32_t crc = __builtin_bswap32(tm_crc32c(0, b.at + 21, b.len - 21));
	memcpy(b.at + 17, &crc, 4);
	struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&b)};
	CHECK_OK(tm_log_append_wait(log, &a, 1, &err), err);
	a.from_client = true;
	CHECK_INT(tm_log_append_wait(log, &a, 1, &err), TM_INVALID);
	tm_buf_done(&b);
}

static void check_committed(struct tm_topic *t, int64_t from, int64_t stable, size_t aborted, int64_t first)
{
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_buf out = {0};
	struct tm_log_read r = {.offset = from, .max_bytes = 1 << 20, .at_least_one = true, .committed = true};
	tm_arena_init(&arena);
	CHECK_OK(tm_log_read(t, 0, &r, &arena, &out, &err), err);
	CHECK_INT(r.offsets.last_stable, stable);
	CHECK_INT(r.aborted_count, aborted);
	if (aborted)
		CHECK_INT(r.aborted[0].first_offset, first);
	tm_buf_done(&out);
	tm_arena_done(&arena);
}

TEST(transactions)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	struct tm_buf b = batch_of(0, 2, (struct batch_of){.producer_id = 5, .transactional = true});
	CHECK_INT(append(log, t, 0, &b, NULL), 0);
	check_committed(t, 0, 0, 0, 0);
	CHECK_INT(read_all(t, 0, 0, 1000, true, false), 0);
	CHECK_INT(read_all(t, 0, 0, 1000, false, false), 2);
	marker(log, t, 5, 0, true); /* offset 2 */
	check_committed(t, 0, 3, 0, 0);
	b = batch_of(3, 2, (struct batch_of){.producer_id = 5, .sequence = 2, .transactional = true});
	CHECK_INT(append(log, t, 0, &b, NULL), 0); /* 3, 4 */
	CHECK_INT(append_n(log, t, 5, 1), 0);      /* 5: another producer */
	check_committed(t, 0, 3, 0, 0);
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			marker(log, t, 5, 0, false); /* 6 */
		check_committed(t, 0, round ? 7 : 3, round ? 1 : 0, 3);
		if (round)
			check_committed(t, 7, 7, 0, 0);
		close_log(log, t);
		log = open_log(dir, NULL);
		t = tm_log_topic_find(log, TM_STR("t"));
	}
	check_committed(t, 0, 7, 1, 3);
	const char **findings;
	CHECK_INT(tm_log_findings(log, &findings), 0);
	free(findings);
	close_log(log, t);
	remove_dir(dir);
}

/* A group coordinator writes offsets of transactions under the client's producer id, without sequences: none is a duplicate, also under
 * the epoch of a newer producer; an older epoch is refused. */
TEST(batches_without_sequences)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	static const int16_t epochs[] = {0, 0, 2, 2, 1};
	for (int i = 0; i < 5; i++) {
		struct tm_buf b =
		    batch_of(i, 1, (struct batch_of){.producer_id = 5, .epoch = epochs[i], .sequence = -1, .transactional = true});
		struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&b)};
		tm_rc rc = tm_log_append_wait(log, &a, 1, NULL);
		CHECK_INT(rc, i < 4 ? TM_OK : TM_INVALID);
		if (!rc)
			CHECK_INT(a.base_offset, i);
		CHECK(!a.duplicate);
		tm_buf_done(&b);
	}
	close_log(log, t);
	remove_dir(dir);
}

TEST(times)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = make_topic(log, "lat", 1, "message.timestamp.type", "LogAppendTime"), *c = make_topic(log, "c", 1, NULL, NULL);
	struct tm_err err = {0};
	int64_t now = tm_now_ms(tm_env_real());
	struct tm_buf b = batch_of(0, 3, (struct batch_of){.timestamp_ms = now + 7200000});
	struct tm_log_append a = {.topic = c, .batches = tm_buf_str(&b), .from_client = true};
	CHECK_INT(tm_log_append_wait(log, &a, 1, &err), TM_INVALID);
	CHECK_INT(a.kafka_error, 32);
	CHECK_INT(a.bad_record_count, 3);
	CHECK_STR(tm_str_of(a.message), "One or more records have been rejected due to invalid timestamp");
	a.topic = t;
	CHECK_OK(tm_log_append_wait(log, &a, 1, &err), err);
	CHECK(a.log_append_time_ms >= now);
	CHECK_INT(read_all(t, 0, 0, 1000, false, true), 3);
	int64_t offset, ts;
	CHECK_OK(tm_log_offset_for_time(t, 0, now, &offset, &ts, &err), err);
	CHECK_INT(offset, 0);
	CHECK_INT(ts, a.log_append_time_ms);
	tm_buf_done(&b);
	tm_topic_unref(t);
	tm_topic_unref(c);
	tm_log_close(log);
	remove_dir(dir);
}

static int changes;
static void changed(void *ctx, struct tm_topic *topic, int32_t partition)
{
	(void)ctx, (void)topic;
	__atomic_add_fetch(&changes, partition >= 0 ? 1 : 100, __ATOMIC_SEQ_CST);
}

TEST(watches_and_acks)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, NULL);
	struct tm_log_watch *w = tm_log_watch_add(log, changed, NULL);
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL), *o = make_topic(log, "o", 1, "flush.messages", "1000000");
	CHECK_INT(append_n(log, t, 0, 1), 0);
	CHECK_INT(append_n(log, o, 0, 1), 0);
	struct tm_log_offsets offsets;
	struct tm_err err = {0};
	CHECK_OK(tm_log_offsets(o, 0, &offsets, &err), err);
	CHECK_INT(offsets.high_watermark, 1);
	for (int i = 0; i < 2000 && __atomic_load_n(&changes, __ATOMIC_SEQ_CST) < 202; i++)
		usleep(1000);
	CHECK(__atomic_load_n(&changes, __ATOMIC_SEQ_CST) >= 202);
	tm_log_watch_remove(log, w);
	tm_topic_unref(t);
	tm_topic_unref(o);
	tm_log_close(log);
	log = open_log(dir, NULL);
	o = tm_log_topic_find(log, TM_STR("o"));
	CHECK_INT(read_all(o, 0, 0, 100, false, true), 1);
	tm_topic_unref(o);
	tm_log_close(log);
	remove_dir(dir);
}
TEST_MAIN()
