/* How fast the log is, beside its floors. usage: log_bench [DIR] [seconds per measurement] [only this produce measurement]
 * Records of 100 bytes (value), batches as a client makes them. Floors: memcpy of the same bytes, write of them, fdatasync. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clocks.h"
#include "log/log.h"
#include "log/record.h"

static double seconds = 1.0;
static const char *only;

static void die(const struct tm_err *err)
{
	fprintf(stderr, "log_bench: %s\n", err->what);
	exit(1);
}

static struct tm_buf make_batch(int records)
{
	struct tm_record *r = tm_alloc((size_t)records * sizeof *r);
	static char value[100];
	struct tm_buf out = {0};
	struct tm_err err = {0};
	memset(value, 'x', sizeof value);
	for (int i = 0; i < records; i++)
		r[i] =
		    (struct tm_record){.timestamp_ms = tm_now_ms(tm_env_real()), .value = tm_str_n(value, sizeof value), .key_null = true};
	if (tm_batch_write(&(struct tm_batch_build){.producer_id = -1}, r, (size_t)records, &out, &err) != TM_OK)
		die(&err);
	free(r);
	return out;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static struct tm_topic *topic(struct tm_log *log, const char *name, int partitions, bool sync)
{
	struct tm_err err = {0};
	struct tm_topic *t;
	struct tm_log_config c = {TM_STR("flush.messages"), TM_STR("9223372036854775807")};
	if (tm_log_topic_create(log, tm_str_of(name), partitions, &c, sync ? 0 : 1, &t, &err) != TM_OK)
		die(&err);
	return t;
}

static void sync_disk(void) { sync(); }
struct flight {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int count;
};
static void landed(void *ctx)
{
	struct flight *f = ctx;
	pthread_mutex_lock(&f->lock);
	f->count--;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

/* Keeps up to `window` appends under way, as clients with several connections do. */
static void produce(struct tm_log *log, const char *name, bool sync, int records, int window, int partitions)
{
	if (only && strcmp(only, name) != 0)
		return;
	struct tm_topic *t = topic(log, name, partitions, sync);
	struct tm_buf batch = make_batch(records);
	struct flight f = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
	struct tm_log_append *parts = calloc((size_t)window, sizeof *parts);
	sync_disk(); /* what earlier measurements left in the page cache is not to be paid for here */
	double start = now_s(), cpu_start = cpu_s();
	long n = 0;
	for (; now_s() - start < seconds; n++) {
		pthread_mutex_lock(&f.lock);
		while (f.count == window)
			pthread_cond_wait(&f.wake, &f.lock);
		f.count++;
		pthread_mutex_unlock(&f.lock);
		struct tm_log_append *a = &parts[n % window];
		*a = (struct tm_log_append){
		    .topic = t, .partition = (int32_t)(n % partitions), .batches = tm_buf_str(&batch), .from_client = true};
		tm_log_append(log, a, 1, true, landed, &f);
	}
	pthread_mutex_lock(&f.lock);
	while (f.count)
		pthread_cond_wait(&f.wake, &f.lock);
	pthread_mutex_unlock(&f.lock);
	double took = now_s() - start, cpu_took = cpu_s() - cpu_start;
	printf("{\"bench\": \"%s\", \"records_per_s\": %.0f, \"MB_per_s\": %.0f, \"records_per_cpu_s\": %.0f}\n", name,
	       (double)n * records / took, (double)n * (double)batch.len / took / 1e6, (double)n * records / cpu_took);
	free(parts);
	tm_buf_done(&batch);
	tm_topic_unref(t);
}

static double percentile(double *list, size_t n, double p) { return list[(size_t)((double)(n - 1) * p)] * 1e6; }

static double one_at_a_time(struct tm_log *log)
{
	struct tm_topic *t = topic(log, "one_at_a_time", 1, true);
	struct tm_buf batch = make_batch(1);
	struct tm_err err = {0};
	static double took[100000];
	size_t n = 0;
	for (double start = now_s(); now_s() - start < seconds && n < 100000; n++) {
		double at = now_s();
		struct tm_log_append a = {.topic = t, .batches = tm_buf_str(&batch), .from_client = true};
		if (tm_log_append_wait(log, &a, 1, &err) != TM_OK)
			die(&err);
		took[n] = now_s() - at;
	}
	qsort(took, n, sizeof *took, by_value);
	double p50 = percentile(took, n, 0.5);
	printf("{\"bench\": \"one_record_fsynced\", \"p50_us\": %.0f, \"p99_us\": %.0f}\n", p50, percentile(took, n, 0.99));
	tm_buf_done(&batch);
	tm_topic_unref(t);
	return p50;
}

static double fdatasync_floor(const char *dir)
{
	char path[4096], record[170] = {0};
	static double took[100000];
	size_t n = 0;
	snprintf(path, sizeof path, "%s/floor", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	off_t at = 0;
	for (double start = now_s(); now_s() - start < seconds && n < 100000; n++) {
		double from = now_s();
		if (pwrite(fd, record, sizeof record, at) < 0 || fdatasync(fd) != 0)
			exit(1);
		at += sizeof record;
		took[n] = now_s() - from;
	}
	close(fd);
	unlink(path);
	qsort(took, n, sizeof *took, by_value);
	double p50 = percentile(took, n, 0.5);
	printf("{\"bench\": \"floor_write_fdatasync\", \"p50_us\": %.0f, \"p99_us\": %.0f}\n", p50, percentile(took, n, 0.99));
	return p50;
}

static void write_floors(const char *dir)
{
	char path[4096];
	struct tm_buf batch = make_batch(1000);
	char *to = malloc(64 << 20);
	memset(to, 1, 64 << 20);
	double start = now_s();
	long n = 0;
	for (; now_s() - start < seconds / 2; n++)
		memcpy(to + (size_t)n % ((64u << 20) / batch.len) * batch.len, batch.at, batch.len);
	printf("{\"bench\": \"%s\", \"MB_per_s\": %.0f}\n", "floor_memcpy", (double)n * (double)batch.len / (now_s() - start) / 1e6);
	free(to);
	snprintf(path, sizeof path, "%s/floor", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	off_t at = 0;
	start = now_s();
	for (n = 0; now_s() - start < seconds / 2; n++, at += (off_t)batch.len)
		if (pwrite(fd, batch.at, batch.len, at) < 0)
			exit(1);
	printf("{\"bench\": \"%s\", \"MB_per_s\": %.0f}\n", "floor_write", (double)at / (now_s() - start) / 1e6);
	if (fdatasync(fd) != 0)
		exit(1);
	printf("{\"bench\": \"%s\", \"MB_per_s\": %.0f}\n", "floor_write_one_fdatasync", (double)at / (now_s() - start) / 1e6);
	close(fd);
	unlink(path);
	tm_buf_done(&batch);
}

static tm_rc count_record(void *ctx, const struct tm_record *r)
{
	*(long *)ctx += (long)r->value.len;
	return TM_OK;
}

static void fetch(struct tm_log *log, const char *name, bool decode)
{
	struct tm_topic *t = tm_log_topic_find(log, tm_str_of(name));
	struct tm_buf out = {0};
	struct tm_arena arena;
	struct tm_err err = {0};
	struct tm_log_offsets o;
	tm_arena_init(&arena);
	if (tm_log_offsets(t, 0, &o, &err) != TM_OK)
		die(&err);
	double start = now_s();
	int64_t offset = o.start, bytes = 0, records = 0;
	long sum = 0;
	while (now_s() - start < seconds) {
		struct tm_log_read r = {.offset = offset, .max_bytes = TM_MIB, .at_least_one = true};
		out.len = 0;
		if (tm_log_read(t, 0, &r, &arena, &out, &err) != TM_OK)
			die(&err);
		struct tm_str rest = tm_buf_str(&out);
		struct tm_batch_info b;
		while (tm_batch_next(&rest, decode, &b, &err) == TM_OK) {
			offset = b.base_offset + b.last_offset_delta + 1;
			records += b.count;
			if (decode && tm_batch_each(&b, &arena, count_record, &sum, &err) != TM_OK)
				die(&err);
		}
		bytes += (int64_t)out.len;
		if (offset >= o.high_watermark)
			offset = o.start;
	}
	double took = now_s() - start;
	printf("{\"bench\": \"%s\", \"records_per_s\": %.0f, \"MB_per_s\": %.0f}\n",
	       decode ? "fetch_every_record_seen" : "fetch_whole_batches", (double)records / took, (double)bytes / took / 1e6);
	tm_arena_done(&arena);
	tm_buf_done(&out);
	tm_topic_unref(t);
}

static long resident_kb(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4;
}

static void start_up(const char *dir, int topics)
{
	char path[4096];
	struct tm_log *log;
	struct tm_err err = {0};
	snprintf(path, sizeof path, "%s/many", dir);
	if (tm_log_open(path, NULL, &log, &err) != TM_OK)
		die(&err);
	struct tm_buf batch = make_batch(10);
	for (int i = 0; i < topics; i++) {
		char name[32];
		snprintf(name, sizeof name, "t%d", i);
		struct tm_topic *t = topic(log, name, 10, false);
		for (int k = 0; k < 10; k++) {
			struct tm_log_append a = {.topic = t, .partition = k, .batches = tm_buf_str(&batch), .from_client = true};
			if (tm_log_append_wait(log, &a, 1, &err) != TM_OK)
				die(&err);
		}
		tm_topic_unref(t);
	}
	double start = now_s();
	tm_log_close(log);
	double closed = now_s();
	long before = resident_kb();
	if (tm_log_open(path, NULL, &log, &err) != TM_OK)
		die(&err);
	double opened = now_s();
	printf("{\"bench\": \"%d_partitions\", \"stop_ms\": %.0f, \"start_ms\": %.1f, \"KB_each\": %.1f}\n", topics * 10,
	       (closed - start) * 1e3, (opened - closed) * 1e3, (double)(resident_kb() - before) / (topics * 10));
	tm_log_close(log);
	tm_buf_done(&batch);
}

int main(int argc, char **argv)
{
	char made[] = "/tmp/tm-log-bench-XXXXXX";
	char *dir = argc > 1 ? argv[1] : mkdtemp(made);
	struct tm_log *log;
	struct tm_err err = {0};
	char path[4096];
	if (argc > 2)
		seconds = atof(argv[2]);
	if (argc > 3)
		only = argv[3];
	snprintf(path, sizeof path, "%s/log", dir);
	if (tm_log_open(path, NULL, &log, &err) != TM_OK)
		die(&err);
	write_floors(dir);
	produce(log, "no_fsync_batches_of_1000", false, 1000, 8, 1);
	produce(log, "no_fsync_batches_of_100", false, 100, 8, 1);
	produce(log, "fsync_batches_of_1000_window_8", true, 1000, 8, 1);
	produce(log, "fsync_batches_of_1000_window_64", true, 1000, 64, 1);
	produce(log, "fsync_batches_of_8000_window_5", true, 8000, 5, 1);
	produce(log, "fsync_batches_of_100_window_64", true, 100, 64, 1);
	produce(log, "fsync_batches_of_100_12_partitions", true, 100, 64, 12);
	if (only) {
		tm_log_close(log);
		return tm_dir_remove(dir, &err) != TM_OK;
	}
	double floor_us = fdatasync_floor(dir), ours = one_at_a_time(log), again = fdatasync_floor(dir);
	printf("{\"bench\": \"one_record_to_floor\", \"ratio\": %.2f}\n", ours / ((floor_us + again) / 2));
	fetch(log, "no_fsync_batches_of_1000", false);
	fetch(log, "no_fsync_batches_of_1000", true);
	tm_log_close(log);
	start_up(dir, 30);
	return tm_dir_remove(dir, &err) != TM_OK;
}
