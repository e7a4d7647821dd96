/* For the crash test of the log (tests/crash/test_log_crash.py).
 *   log_crash append DIR N0 N1 N2 N3   appends batches to four partitions of a topic for ever, the first being batch N<p> of
 *                                      partition p; up to five of each are under way, as an idempotent producer does.
 *                                      Each acknowledged batch is told on standard output: "partition batch base-offset".
 *   log_crash verify DIR N0 N1 N2 N3   reads everything: record i of a partition must be at offset i and hold what was
 *                                      sent, batches below N<p> must be there; prints how many records there are.
 * Batch k of a partition is always the same bytes, so that sending it again after a crash is what a client does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log/log.h"
#include "log/record.h"

enum { PARTITIONS = 4, RECORDS = 7, WINDOW = 5, VALUE_MAX = 2400 };

static void die(const struct tm_err *err)
{
	fprintf(stderr, "log_crash: %s\n", err->what);
	exit(2);
}

/* What record i of a partition holds. */
static size_t value_of(int partition, long i, char *out)
{
	size_t n = (size_t)snprintf(out, VALUE_MAX, "%d:%ld:", partition, i), len = n + (size_t)((unsigned long)i * 2654435761u % 2000);
	memset(out + n, 'a' + (int)(i % 26), len - n);
	return len;
}

static struct tm_buf batch_of(int partition, long k)
{
	static char values[RECORDS][VALUE_MAX];
	struct tm_record records[RECORDS];
	struct tm_buf out = {0};
	struct tm_err err = {0};
	for (int i = 0; i < RECORDS; i++)
		records[i] = (struct tm_record){.timestamp_ms = 1700000000000 + k * RECORDS + i,
						.key_null = true,
						.value = tm_str_n(values[i], value_of(partition, k * RECORDS + i, values[i]))};
	struct tm_batch_build build = {.producer_id = 1000 + partition,
				       .base_sequence = (int32_t)(k * RECORDS & INT32_MAX),
				       .codec = k % 3 ? TM_CODEC_NONE : TM_CODEC_LZ4};
	if (tm_batch_write(&build, records, RECORDS, &out, &err) != TM_OK)
		die(&err);
	return out;
}

/* One batch under way. */
struct flight {
	struct tm_log_append part;
	struct tm_buf batch;
	long k;
	bool busy;
};
static struct flight flights[PARTITIONS][WINDOW];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static void landed(void *ctx)
{
	struct flight *f = ctx;
	char line[96];
	if (f->part.rc != TM_OK || f->part.base_offset != f->k * RECORDS) {
		int n = snprintf(line, sizeof line, "wrong %d %ld %lld %d\n", f->part.partition, f->k, (long long)f->part.base_offset,
				 f->part.kafka_error);
		if (write(1, line, (size_t)n) < 0)
			_exit(3);
		_exit(3);
	}
	int n = snprintf(line, sizeof line, "%d %ld %lld\n", f->part.partition, f->k, (long long)f->part.base_offset);
	if (write(1, line, (size_t)n) != n)
		_exit(3);
	pthread_mutex_lock(&lock);
	f->busy = false;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

static void append(struct tm_log *log, struct tm_topic *topic, long next[PARTITIONS])
{
	for (;;) {
		for (int p = 0; p < PARTITIONS; p++) {
			struct flight *f = &flights[p][next[p] % WINDOW];
			pthread_mutex_lock(&lock);
			while (f->busy)
				pthread_cond_wait(&wake, &lock);
			f->busy = true;
			pthread_mutex_unlock(&lock);
			tm_buf_done(&f->batch);
			f->k = next[p]++;
			f->batch = batch_of(p, f->k);
			f->part =
			    (struct tm_log_append){.topic = topic, .partition = p, .batches = tm_buf_str(&f->batch), .from_client = true};
			tm_log_append(log, &f->part, 1, true, landed, f);
		}
	}
}

struct check {
	int partition;
	long next, wrong;
};
static tm_rc check_record(void *ctx, const struct tm_record *r)
{
	struct check *c = ctx;
	char want[VALUE_MAX];
	size_t n = value_of(c->partition, c->next, want);
	if (r->offset != c->next || !tm_str_eq(r->value, tm_str_n(want, n)))
		c->wrong++;
	c->next++;
	return TM_OK;
}

static int verify(struct tm_topic *topic, const long acknowledged[PARTITIONS])
{
	long total = 0;
	for (int p = 0; p < PARTITIONS; p++) {
		struct check c = {.partition = p};
		struct tm_err err = {0};
		struct tm_arena arena;
		tm_arena_init(&arena);
		for (bool more = true; more;) {
			struct tm_buf out = {0};
			struct tm_batch_info b;
			struct tm_log_read r = {.offset = c.next, .max_bytes = TM_MIB, .at_least_one = true};
			if (tm_log_read(topic, p, &r, &arena, &out, &err) != TM_OK)
				die(&err);
			struct tm_str rest = tm_buf_str(&out);
			more = rest.len > 0;
			while (tm_batch_next(&rest, true, &b, &err) == TM_OK)
				if (tm_batch_each(&b, &arena, check_record, &c, &err) != TM_OK)
					die(&err);
			tm_arena_reset(&arena);
			tm_buf_done(&out);
		}
		tm_arena_done(&arena);
		if (c.wrong || c.next < acknowledged[p] * RECORDS) {
			printf("partition %d: %ld records, %ld acknowledged, %ld wrong\n", p, c.next, acknowledged[p] * RECORDS, c.wrong);
			return 1;
		}
		total += c.next;
	}
	printf("%ld records\n", total);
	return 0;
}

int main(int argc, char **argv)
{
	struct tm_log *log;
	struct tm_err err = {0};
	struct tm_log_config config = {TM_STR("segment.bytes"), TM_STR("1048576")};
	long n[PARTITIONS];
	if (argc != 3 + PARTITIONS)
		return 2;
	for (int p = 0; p < PARTITIONS; p++)
		n[p] = atol(argv[3 + p]);
	if (tm_log_open(argv[2], NULL, &log, &err) != TM_OK)
		die(&err);
	struct tm_topic *topic = tm_log_topic_find(log, TM_STR("ledger"));
	if (!topic && tm_log_topic_create(log, TM_STR("ledger"), PARTITIONS, &config, 1, &topic, &err) != TM_OK)
		die(&err);
	const char **findings;
	size_t found = tm_log_findings(log, &findings);
	free(findings);
	if (found)
		return 4; /* said on standard error: a killed process leaves nothing damaged */
	if (strcmp(argv[1], "append") == 0)
		append(log, topic, n);
	int rc = verify(topic, n);
	tm_topic_unref(topic);
	tm_log_close(log);
	return rc;
}
