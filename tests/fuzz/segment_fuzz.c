/* A segment with any bytes in it: the log opens, recovers, reads and appends, and never shows a batch whose checksum is
 * wrong. The first byte says how much of the rest goes into .index and .timeindex instead of .log. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log/log.h"
#include "log/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static struct tm_env env;
static struct tm_env_ops ops;
static int no_sync(const struct tm_env *e, int fd)
{
	(void)e, (void)fd;
	return 0;
}
static void forget(void) { TM_ASSERT(tm_dir_remove(dir, NULL) == TM_OK); }

static void prepare(void)
{
	struct tm_log *log;
	struct tm_err err = {0};
	if (dir[0])
		return;
	snprintf(dir, sizeof dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tm-segment-XXXXXX" : "/tmp/tm-segment-XXXXXX");
	TM_ASSERT(mkdtemp(dir) != NULL);
	atexit(forget);
	tm_say_level_set(TM_SAY_ERROR + 1);
	ops = *tm_env_real()->ops;
	ops.fdatasync = no_sync;
	env.ops = &ops;
	struct tm_log_options options = {.env = &env};
	TM_ASSERT(tm_log_open(dir, &options, &log, &err) == TM_OK);
	TM_ASSERT(tm_log_topic_create(log, TM_STR("t"), 1, NULL, 0, NULL, &err) == TM_OK);
	tm_log_close(log);
}

static void put(const char *name, const uint8_t *at, size_t n)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	TM_ASSERT(fd >= 0 && write(fd, at, n) == (ssize_t)n);
	close(fd);
}

static void use(struct tm_log *log, struct tm_topic *t)
{
	struct tm_err err = {0};
	struct tm_arena arena;
	struct tm_log_offsets o;
	int64_t offset, ts;
	tm_arena_init(&arena);
	TM_ASSERT(tm_log_offsets(t, 0, &o, &err) == TM_OK);
	TM_ASSERT(o.start <= o.high_watermark && o.high_watermark == o.end && o.last_stable <= o.end);
	for (int64_t at = o.start, reads = 0; at < o.end && reads < 1000; reads++) {
		struct tm_buf out = {0};
		struct tm_log_read r = {.offset = at, .max_bytes = 1000, .at_least_one = true, .committed = reads & 1};
		tm_rc rc = tm_log_read(t, 0, &r, &arena, &out, &err);
		struct tm_str rest = tm_buf_str(&out);
		struct tm_batch_info b;
		bool any = false;
		while (rc == TM_OK && rest.len) {
			TM_ASSERT(tm_batch_next(&rest, true, &b, &err) == TM_OK);
			TM_ASSERT(b.base_offset + b.last_offset_delta >= at);
			at = b.base_offset + b.last_offset_delta + 1;
			any = true;
		}
		tm_buf_done(&out);
		if (!any)
			break;
	}
	tm_rc found = tm_log_offset_for_time(t, 0, 1700000000001, &offset, &ts, &err);
	TM_ASSERT(found == TM_OK || found == TM_CORRUPT);
	found = tm_log_offset_for_time(t, 0, -3, &offset, &ts, &err);
	tm_log_verify(log);
	struct tm_record record = {.timestamp_ms = 1700000000000, .value = TM_STR("v"), .key_null = true};
	struct tm_buf batch = {0};
	TM_ASSERT(tm_batch_write(&(struct tm_batch_build){.producer_id = -1}, &record, 1, &batch, &err) == TM_OK);
	struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&batch), .from_client = true};
	TM_ASSERT(tm_log_append_wait(log, &a, 1, &err) == TM_OK && a.base_offset == o.end);
	tm_buf_done(&batch);
	tm_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_log *log;
	struct tm_err err = {0};
	char path[256];
	if (size < 1 || size > 1 << 16)
		return 0;
	prepare();
	snprintf(path, sizeof path, "%s/t-0", dir);
	TM_ASSERT(tm_dir_remove(path, &err) == TM_OK && mkdir(path, 0755) == 0);
	size_t index = (size - 1) * (data[0] >> 4) / 64, times = (size - 1) * (data[0] & 15) / 64;
	put("t-0/00000000000000000000.log", data + 1 + index + times, size - 1 - index - times);
	if (index)
		put("t-0/00000000000000000000.index", data + 1, index);
	if (times)
		put("t-0/00000000000000000000.timeindex", data + 1 + index, times);
	snprintf(path, sizeof path, "%s/clean-stop", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/marks", dir);
	unlink(path);
	struct tm_log_options options = {.env = &env};
	TM_ASSERT(tm_log_open(dir, &options, &log, &err) == TM_OK);
	struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
	use(log, t);
	tm_topic_unref(t);
	tm_log_close(log);
	return 0;
}
