/* Retention, compaction, and disks that fail or are full. */
#include <errno.h>
#include "log_tools.h"

static int segments_in(const char *dir)
{
	char **names;
	size_t count;
	struct tm_err err = {0};
	CHECK_OK(tm_dir_list(dir, ".log", &names, &count, &err), err);
	tm_dir_list_free(names, count);
	return (int)count;
}

static struct tm_log_offsets offsets(struct tm_topic *t)
{
	struct tm_log_offsets o;
	struct tm_err err = {0};
	CHECK_OK(tm_log_offsets(t, 0, &o, &err), err);
	return o;
}

static void fill(struct tm_log *log, struct tm_topic *t, int from, int batches, int64_t timestamp_ms)
{
	for (int i = 0; i < batches; i++) {
		struct tm_buf b = batch_of(from + i * 1500, 1500, (struct batch_of){.timestamp_ms = timestamp_ms});
		CHECK_INT(append(log, t, 0, &b, NULL), 0);
	}
}

TEST(retention_by_size_and_time)
{
	char *dir = fresh_dir(), folder[128];
	struct tm_log *log = open_log(dir, NULL);
	struct tm_log_config c[] = {{TM_STR("segment.bytes"), TM_STR("1048576")},
				    {TM_STR("retention.bytes"), TM_STR("2000000")},
				    {TM_STR("retention.ms"), TM_STR("-1")}};
	struct tm_topic *t;
	struct tm_err err = {0};
	CHECK_OK(tm_log_topic_create(log, TM_STR("t"), 1, c, 3, &t, &err), err);
	snprintf(folder, sizeof folder, "%s/t-0", dir);
	int64_t now = tm_now_ms(tm_env_real());
	fill(log, t, 0, 200, now);
	int before = segments_in(folder);
	CHECK(before > 4);
	tm_log_keep_house(log, false);
	CHECK(segments_in(folder) < before);
	int64_t bytes = tm_log_partition_bytes(t, 0);
	CHECK(bytes >= 2000000 && bytes < 2000000 + 1100000);
	struct tm_log_offsets o = offsets(t);
	CHECK(o.start > 0 && o.end == 300000);
	CHECK_INT(read_all(t, 0, o.start, 1 << 20, false, true), 300000 - o.start);
	struct tm_arena arena;
	struct tm_buf out = {0};
	tm_arena_init(&arena);
	struct tm_log_read r = {.offset = o.start - 1, .max_bytes = 100};
	CHECK_INT(tm_log_read(t, 0, &r, &arena, &out, &err), TM_INVALID);
	CHECK_INT(err.code, 1);
	tm_arena_done(&arena);
	/* By time: everything goes once it is old enough, the active segment by way of a roll. */
	struct tm_log_config by_time[] = {{TM_STR("retention.ms"), TM_STR("1")}, {TM_STR("retention.bytes"), TM_STR("-1")}};
	CHECK_OK(tm_log_topic_alter(log, TM_STR("t"), by_time, 2, NULL, 0, false, &err), err);
	usleep(1600000); /* the records' timestamps go up to 1.5 s ahead */
	tm_log_keep_house(log, false);
	tm_log_keep_house(log, false);
	o = offsets(t);
	CHECK_INT(o.start, 300000);
	CHECK_INT(o.end, 300000);
	CHECK_INT(segments_in(folder), 1);
	close_log(log, t);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	o = offsets(t);
	CHECK_INT(o.start, 300000);
	CHECK_INT(append_n(log, t, 300000, 5), 0);
	CHECK_INT(read_all(t, 0, 300000, 1000, false, true), 5);
	close_log(log, t);
	remove_dir(dir);
}

static void put_key(struct tm_log *log, struct tm_topic *t, int key, int value, bool tombstone)
{
	char k[16], v[32];
	struct tm_err err = {0};
	struct tm_buf b = {0};
	snprintf(k, sizeof k, "k%d", key);
	snprintf(v, sizeof v, "value %d", value);
	struct tm_record r = {
	    .timestamp_ms = tm_now_ms(tm_env_real()), .key = tm_str_of(k), .value = tm_str_of(v), .value_null = tombstone};
	struct tm_batch_build build = {.producer_id = -1, .codec = key % 5};
	CHECK_OK(tm_batch_write(&build, &r, 1, &b, &err), err);
	CHECK_INT(append(log, t, 0, &b, NULL), 0);
}

/* The last value of each key, as a reader from the start sees it; *ret_records is how many records there are. */
struct state {
	int value[100];
	int records;
	int64_t last;
};
static tm_rc see(void *ctx, const struct tm_record *r)
{
	struct state *s = ctx;
	int key = atoi(r->key.at + 1);
	CHECK(r->offset > s->last);
	s->last = r->offset;
	s->value[key] = r->value_null ? -1 : atoi(r->value.at + 6);
	s->records++;
	return TM_OK;
}
static struct state state_of(struct tm_topic *t)
{
	struct state s = {.last = -1};
	struct tm_err err = {0};
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (int64_t at = 0; at < offsets(t).high_watermark;) {
		struct tm_buf out = {0};
		struct tm_log_read r = {.offset = at, .max_bytes = 5000, .at_least_one = true};
		CHECK_OK(tm_log_read(t, 0, &r, &arena, &out, &err), err);
		struct tm_str rest = tm_buf_str(&out);
		struct tm_batch_info b;
		if (out.len == 0)
			break;
		while (tm_batch_next(&rest, true, &b, &err) == TM_OK) {
			CHECK_OK(tm_batch_each(&b, &arena, see, &s, &err), err);
			at = b.base_offset + b.last_offset_delta + 1;
		}
		tm_buf_done(&out);
		tm_arena_reset(&arena);
	}
	tm_arena_done(&arena);
	return s;
}

TEST(compaction)
{
	char *dir = fresh_dir(), folder[128];
	struct tm_log *log = open_log(dir, NULL);
	struct tm_log_config c[] = {{TM_STR("cleanup.policy"), TM_STR("compact")}, {TM_STR("delete.retention.ms"), TM_STR("0")}};
	struct tm_topic *t;
	struct tm_err err = {0};
	int want[100] = {0};
	CHECK_OK(tm_log_topic_create(log, TM_STR("t"), 1, c, 2, &t, &err), err);
	snprintf(folder, sizeof folder, "%s/t-0", dir);
	struct tm_buf keyless = batch_of(0, 1, (struct batch_of){0});
	CHECK_INT(append(log, t, 0, &keyless, NULL), 87);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 250; i++) {
			int key = (i * 7 + round) % 50;
			put_key(log, t, key, round * 1000 + i, false);
			want[key] = round * 1000 + i;
		}
		put_key(log, t, round, 0, true);
		want[round] = -1;
		int64_t before = tm_log_partition_bytes(t, 0), end = offsets(t).end;
		tm_log_keep_house(log, true);
		struct state s = state_of(t);
		CHECK_INT(offsets(t).end, end);
		CHECK(tm_log_partition_bytes(t, 0) < before);
		CHECK(s.records <= 50);
		for (int k = 0; k < 50; k++)
			CHECK_INT(s.value[k], want[k]);
		if (round == 2) {
			close_log(log, t);
			log = open_log(dir, NULL);
			t = tm_log_topic_find(log, TM_STR("t"));
			s = state_of(t);
			for (int k = 0; k < 50; k++)
				CHECK_INT(s.value[k], want[k]);
		}
	}
	/* Tombstones are there in the first pass, gone in the next. */
	usleep(2000);
	put_key(log, t, 60, 60, false);
	tm_log_keep_house(log, true);
	put_key(log, t, 61, 61, false);
	tm_log_keep_house(log, true);
	struct state s = state_of(t);
	CHECK_INT(s.records, 50 - 1 + 2); /* all but the key whose last record is a tombstone, and the two new ones */
	CHECK_INT(segments_in(folder), 2);
	CHECK_INT((int)tm_log_verify(log), 0);
	int64_t start;
	CHECK_INT(tm_log_delete_records(t, 0, 5, &start, &err), TM_INVALID);
	CHECK_INT(err.code, 44);
	close_log(log, t);
	/* Left behind by a crash between the two renames. */
	char from[256], to[256];
	snprintf(from, sizeof from, "%s/00000000000000000000.log", folder);
	snprintf(to, sizeof to, "%s/00000000000000000000-00000000000000001006.swap", folder);
	CHECK(rename(from, to) == 0);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	struct state after = state_of(t);
	CHECK_INT(after.records, s.records);
	close_log(log, t);
	remove_dir(dir);
}

/* ---- a machine whose n-th input or output fails ---- */
static struct {
	int at, seen, error;
	bool all_after, syncs_only;
} fault;
static bool hit(bool sync)
{
	if (fault.syncs_only && !sync)
		return false;
	int n = __atomic_add_fetch(&fault.seen, 1, __ATOMIC_SEQ_CST);
	return fault.at && (n == fault.at || (fault.all_after && n > fault.at));
}
#define REAL tm_env_real()->ops
static int64_t f_now(const struct tm_env *e) { return REAL->now_us(e); }
static int64_t f_mono(const struct tm_env *e) { return REAL->mono_ns(e); }
static void f_random(const struct tm_env *e, void *out, size_t n) { REAL->random(e, out, n); }
static int f_open(const struct tm_env *e, const char *path, int flags, mode_t mode)
{
	return hit(false) ? -fault.error : REAL->open(e, path, flags, mode);
}
static ssize_t f_pwrite(const struct tm_env *e, int fd, const void *data, size_t n, off_t at)
{
	if (!hit(false))
		return REAL->pwrite(e, fd, data, n, at);
	REAL->pwrite(e, fd, data, n / 2, at); /* half of it is there */
	return -fault.error;
}
static ssize_t f_pwritev(const struct tm_env *e, int fd, struct iovec *parts, int count, off_t at)
{
	if (!hit(false))
		return REAL->pwritev(e, fd, parts, count, at);
	REAL->pwrite(e, fd, parts[0].iov_base, parts[0].iov_len, at);
	return -fault.error;
}
static ssize_t f_pread(const struct tm_env *e, int fd, void *data, size_t n, off_t at)
{
	return hit(false) ? -EIO : REAL->pread(e, fd, data, n, at);
}
static int f_sync(const struct tm_env *e, int fd) { return hit(true) ? -fault.error : REAL->fdatasync(e, fd); }
static int f_truncate(const struct tm_env *e, int fd, off_t size) { return hit(false) ? -fault.error : REAL->truncate(e, fd, size); }
static int f_rename(const struct tm_env *e, const char *from, const char *to)
{
	return hit(false) ? -fault.error : REAL->rename(e, from, to);
}
static int f_unlink(const struct tm_env *e, const char *path) { return hit(false) ? -fault.error : REAL->unlink(e, path); }
static const struct tm_env_ops fault_ops = {f_now,  f_mono,     f_random, f_open,   f_pwrite,  f_pread,
					    f_sync, f_truncate, f_rename, f_unlink, f_pwritev, NULL};
static const struct tm_env fault_env = {&fault_ops, NULL};

/* The disk is full for a while: producers are told, nothing acknowledged is lost, and it goes on when there is room. */
TEST(disk_full)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, &fault_env);
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	int acknowledged = 0, refused = 0;
	for (int i = 0; i < 60; i++) {
		fault.error = ENOSPC;
		fault.seen = 0;
		fault.all_after = true;
		fault.at = i % 20 >= 10 ? 1 : 0;
		if (fault.at) /* the sync before and the marks are not what is tested here */
			fault.syncs_only = false;
		struct tm_buf b = batch_of(acknowledged, 3, (struct batch_of){0});
		struct tm_err err = {0};
		struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&b), .from_client = true};
		tm_rc rc = tm_log_append_wait(log, &a, 1, &err);
		fault.at = 0;
		if (rc == TM_OK) {
			CHECK_INT(a.base_offset, acknowledged);
			acknowledged += 3;
		} else {
			CHECK_INT(rc, TM_DISK_FULL);
			CHECK_INT(a.kafka_error, 56);
			refused++;
		}
		tm_buf_done(&b);
		CHECK_INT(read_all(t, 0, 0, 1 << 20, false, true), acknowledged);
	}
	CHECK_INT(refused, 30);
	close_log(log, t);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	CHECK_INT(read_all(t, 0, 0, 1 << 20, false, true), acknowledged);
	close_log(log, t);
	remove_dir(dir);
}

/* Every single failing operation in turn: what was acknowledged is there at the next start. */
TEST(nth_operation_fails)
{
	fault.all_after = fault.syncs_only = false;
	fault.error = EIO;
	int runs = 0;
	for (int n = 1; n < 400; n++) {
		char *dir = fresh_dir();
		struct tm_log *log = NULL;
		struct tm_topic *t = NULL;
		struct tm_err err = {0};
		struct tm_log_options options = {.env = &fault_env};
		struct tm_log_config config = {TM_STR("segment.bytes"), TM_STR("1048576")};
		int acknowledged = 0;
		fault.seen = 0;
		fault.at = n;
		if (tm_log_open(dir, &options, &log, &err) == TM_OK) {
			if (tm_log_topic_create(log, TM_STR("t"), 1, &config, 1, &t, &err) == TM_OK) {
				for (int i = 0; i < 4; i++) {
					struct tm_buf b =
					    batch_of(acknowledged, 1800, (struct batch_of){.producer_id = 7, .sequence = acknowledged});
					struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&b), .from_client = true};
					if (tm_log_append_wait(log, &a, 1, &err) == TM_OK) {
						CHECK_INT(a.base_offset, acknowledged);
						acknowledged += 1800;
					}
					tm_buf_done(&b);
				}
				tm_topic_unref(t);
			}
			tm_log_close(log);
		}
		bool over = fault.seen < n;
		fault.at = 0;
		log = open_log(dir, NULL);
		t = tm_log_topic_find(log, TM_STR("t"));
		CHECK(t || acknowledged == 0);
		if (t) {
			int there = read_all(t, 0, 0, 1 << 20, false, true);
			if (there < acknowledged)
				FAIL("operation %d failed: %d of %d acknowledged records are there", n, there, acknowledged);
			tm_topic_unref(t);
		}
		tm_log_close(log);
		remove_dir(dir);
		runs = n;
		if (over)
			break;
	}
	printf("%d operations failed, one at a time\n", runs);
	CHECK(runs > 20 && runs < 399);
}

/* An fdatasync that fails is not tried again: the partition takes nothing more until the next start. */
TEST(failed_sync)
{
	char *dir = fresh_dir();
	struct tm_log *log = open_log(dir, &fault_env);
	struct tm_topic *t = make_topic(log, "t", 2, NULL, NULL);
	CHECK_INT(append_n(log, t, 0, 10), 0);
	fault.syncs_only = true;
	fault.all_after = false;
	fault.error = EIO;
	fault.seen = 0;
	fault.at = 1;
	CHECK_INT(append_n(log, t, 10, 10), 56);
	fault.at = 0;
	fault.syncs_only = false;
	CHECK_INT(append_n(log, t, 10, 10), 56);
	CHECK_INT(read_all(t, 0, 0, 1000, false, true), 10);
	struct tm_buf b = batch_of(0, 5, (struct batch_of){0});
	CHECK_INT(append(log, t, 1, &b, NULL), 0);
	close_log(log, t);
	log = open_log(dir, NULL);
	t = tm_log_topic_find(log, TM_STR("t"));
	int there = read_all(t, 0, 0, 1000, false, true);
	CHECK(there == 10 || there == 20);
	CHECK_INT(append_n(log, t, there, 1), 0);
	CHECK_INT(read_all(t, 0, 0, 1000, false, true), there + 1);
	close_log(log, t);
	remove_dir(dir);
}
int main(int argc, char **argv)
{
	tm_say_level_set(TM_SAY_ERROR + (getenv("LOUD") == NULL));
	return unit_main(argc, argv);
}
