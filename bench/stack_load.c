/* The load of bench/stack.py, the same for Tidemill and for the real systems: events in JSON into a topic, by librdkafka.
 *   stack_load topic   BROKER TOPIC PARTITIONS
 *   stack_load produce BROKER TOPIC FIRST COUNT                        as fast as the broker takes them
 *   stack_load latency BROKER TOPIC HOST PORT KEYSPACE FIRST RATE SECONDS SAMPLES_PER_S
 *   stack_load row     BROKER TOPIC HOST PORT KEYSPACE FIRST           one event, then waits until its row is readable; waits for servers
 * too Event i is what its number makes of it: id (a UUID), user, category, amount, event time (now). latency asks for the row of every so
 * manieth event until it is there: from the moment at which the event was due to the moment at which the row was read. Prints JSON. */
#include <librdkafka/rdkafka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cassandra/client.h"
#include "clocks.h"

enum { CATEGORIES = 20, USERS = 20000, LATENCY_LIMIT_S = 90 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "stack_load: %s\n", what);
	exit(1);
}

static void id_bytes(uint64_t i, uint8_t out[16])
{
	uint64_t a = tm_hash_u64(i), b = tm_hash_u64(i + (UINT64_C(1) << 40));
	memcpy(out, &a, 8);
	memcpy(out + 8, &b, 8);
	out[6] = (uint8_t)((out[6] & 0x0F) | 0x40); /* version 4 */
	out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

static size_t event_json(uint64_t i, char *out, size_t size)
{
	uint8_t u[16];
	uint64_t r = tm_hash_u64(i * 3 + 1);
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	id_bytes(i, u);
	return (size_t)snprintf(
	    out, size,
	    "{\"id\":\"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\",\"user\":\"user%llu\","
	    "\"category\":\"category%llu\",\"amount\":%llu.%02llu,\"event_time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\"}",
	    u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15],
	    (unsigned long long)(r % USERS), (unsigned long long)((r >> 20) % CATEGORIES), (unsigned long long)((r >> 30) % 1000),
	    (unsigned long long)((r >> 40) % 100), tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    t.tv_nsec / 1000000);
}

/* ---- the broker ---- */
static int64_t delivered, failed;
static void on_delivery(rd_kafka_t *k, const rd_kafka_message_t *m, void *opaque)
{
	(void)k, (void)opaque;
	if (m->err)
		failed++;
	else
		delivered++;
}

static rd_kafka_t *producer(const char *broker, const char *linger_ms)
{
	char err[256];
	const char *const settings[][2] = {{"bootstrap.servers", broker},
					   {"acks", "all"},
					   {"linger.ms", linger_ms},
					   {"queue.buffering.max.messages", "2000000"},
					   {"log_level", "0"},
					   {"reconnect.backoff.ms", "20"},
					   {"reconnect.backoff.max.ms", "100"},
					   {"topic.metadata.refresh.fast.interval.ms", "50"}};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], err, sizeof err) != RD_KAFKA_CONF_OK)
			die(err);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *k = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
	if (!k)
		die(err);
	return k;
}

static void send_event(rd_kafka_t *k, rd_kafka_topic_t *t, uint64_t i)
{
	char text[320];
	size_t len = event_json(i, text, sizeof text);
	while (rd_kafka_produce(t, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, text, len, NULL, 0, NULL) != 0)
		rd_kafka_poll(k, 5);
}

static void send_rest(rd_kafka_t *k)
{
	while (rd_kafka_outq_len(k) > 0)
		rd_kafka_poll(k, 10);
	if (failed)
		die("the broker refused events");
}

static int make_topic(const char *broker, const char *name, int partitions)
{
	char err[256];
	rd_kafka_t *k = producer(broker, "0");
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, err, sizeof err);
	rd_kafka_queue_t *q = rd_kafka_queue_new(k);
	rd_kafka_CreateTopics(k, &topic, 1, NULL, q);
	rd_kafka_event_t *e = rd_kafka_queue_poll(q, 30000);
	if (!e || rd_kafka_event_error(e))
		die("the topic was not made");
	rd_kafka_event_destroy(e);
	rd_kafka_queue_destroy(q);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_destroy(k);
	return 0;
}

static int produce(const char *broker, const char *topic, uint64_t first, uint64_t count)
{
	rd_kafka_t *k = producer(broker, "5");
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, topic, NULL);
	int64_t start = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		send_event(k, t, first + i);
		if ((i & 1023) == 0)
			rd_kafka_poll(k, 0);
	}
	send_rest(k);
	printf("{\"produced\": %llu, \"seconds\": %.3f}\n", (unsigned long long)count, (double)(now_ns() - start) / 1e9);
	rd_kafka_topic_destroy(t);
	rd_kafka_destroy(k);
	return 0;
}

/* ---- the store ---- */
struct reader {
	struct tm_cassandra_client *client;
	struct tm_cassandra_statement select;
	struct tm_arena arena, scratch;
};

static bool reader_open(struct reader *r, const char *host, int port, const char *keyspace)
{
	struct tm_err err = {0};
	char text[200];
	tm_arena_init(&r->arena);
	tm_arena_init(&r->scratch);
	snprintf(text, sizeof text, "SELECT id FROM %s.events WHERE id = ?", keyspace);
	return tm_cassandra_client_open(&(struct tm_cassandra_client_options){.host = host, .port = port, .version = 4}, &r->client,
					&err) == TM_OK &&
	       tm_cassandra_client_prepare(r->client, tm_str_of(text), &r->arena, &r->select, &err) == TM_OK;
}

static bool readable(struct reader *r, uint64_t i)
{
	uint8_t id[16];
	struct tm_err err = {0};
	struct tm_cql_result result = {0};
	id_bytes(i, id);
	struct tm_cql_value value = {.bytes = {(const char *)id, sizeof id}};
	struct tm_cql_query_options o = {
	    .values = &value, .value_count = 1, .consistency = 1, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
	if (tm_cassandra_client_execute(r->client, &r->select, &o, &r->scratch, &result, &err) != TM_OK)
		die(err.what);
	bool there = result.row_count == 1;
	tm_arena_reset(&r->scratch);
	return there;
}

/* ---- latency ---- */
struct samples {
	uint64_t first;
	int64_t start, step_ns;
	uint64_t every;
	size_t count;
	int64_t *took; /* ns; 0 = not readable yet */
	struct reader reader;
	_Atomic uint64_t sent; /* events given to the client so far */
};

static void *look_for_rows(void *arg)
{
	struct samples *s = arg;
	size_t oldest = 0, seen = 0;
	int64_t end =
	    now_ns() + (int64_t)((double)s->count * (double)s->every * (double)s->step_ns) + LATENCY_LIMIT_S * INT64_C(1000000000);
	while (seen < s->count && now_ns() < end) {
		uint64_t sent = atomic_load(&s->sent);
		for (size_t i = oldest; i < s->count && i * s->every < sent; i++) {
			if (!s->took[i] && readable(&s->reader, s->first + i * s->every)) {
				s->took[i] = now_ns() - (s->start + (int64_t)(i * s->every) * s->step_ns);
				seen++;
			}
			while (oldest < s->count && s->took[oldest])
				oldest++;
		}
		struct timespec nap = {0, 200000};
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int latency(const char *broker, const char *topic, const char *host, int port, const char *keyspace, uint64_t first, int rate,
		   int seconds, int samples_per_s)
{
	struct samples s = {.first = first, .step_ns = 1000000000 / rate, .every = (uint64_t)(rate / samples_per_s)};
	uint64_t count = (uint64_t)rate * (uint64_t)seconds;
	s.count = count / s.every;
	s.took = calloc(s.count, sizeof *s.took);
	if (!reader_open(&s.reader, host, port, keyspace))
		die("the store is not there");
	rd_kafka_t *k = producer(broker, "0");
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, topic, NULL);
	const struct rd_kafka_metadata *known;
	if (rd_kafka_metadata(k, 0, t, &known, 30000) != 0)
		die("the broker is not there");
	rd_kafka_metadata_destroy(known);
	pthread_t thread;
	s.start = now_ns() + 50000000;
	pthread_create(&thread, NULL, look_for_rows, &s);
	for (uint64_t i = 0; i < count; i++) {
		int64_t due = s.start + (int64_t)i * s.step_ns;
		while (now_ns() < due) {
			struct timespec nap = {0, 50000};
			nanosleep(&nap, NULL);
			rd_kafka_poll(k, 0);
		}
		send_event(k, t, first + i);
		atomic_store(&s.sent, i + 1);
	}
	send_rest(k);
	pthread_join(thread, NULL);
	size_t missing = 0;
	for (size_t i = 0; i < s.count; i++)
		missing += !s.took[i];
	qsort(s.took, s.count, sizeof *s.took, by_value);
	printf("{\"events\": %llu, \"samples\": %zu, \"missing\": %zu, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"most_ms\": %.2f}\n",
	       (unsigned long long)count, s.count, missing, (double)s.took[s.count / 2] / 1e6, (double)s.took[s.count * 99 / 100] / 1e6,
	       (double)s.took[s.count - 1] / 1e6);
	return missing != 0;
}

static bool listens(const char *broker)
{
	const char *colon = strrchr(broker, ':');
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon ? colon + 1 : "9092"))};
	char host[64];
	snprintf(host, sizeof host, "%.*s", (int)(colon ? colon - broker : 0), broker);
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("the broker is named by its IPv4 address");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* One event, sent as soon as there is a broker; its row, read as soon as there is a store. Who starts it measures from its own start. */
static int row(const char *broker, const char *topic, const char *host, int port, const char *keyspace, uint64_t first)
{
	struct reader r;
	struct timespec nap = {0, 500000};
	int64_t end = now_ns() + 180 * INT64_C(1000000000);
	/* The client looks for a broker that was not there only once a second. */
	while (!listens(broker)) {
		nanosleep(&nap, NULL);
		if (now_ns() > end)
			die("the broker did not come");
	}
	rd_kafka_t *k = producer(broker, "0");
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, topic, NULL);
	send_event(k, t, first);
	while (!reader_open(&r, host, port, keyspace)) {
		rd_kafka_poll(k, 0);
		nanosleep(&nap, NULL);
		if (now_ns() > end)
			die("the store did not come");
	}
	while (!readable(&r, first)) {
		rd_kafka_poll(k, 0);
		nanosleep(&nap, NULL);
		if (now_ns() > end)
			die("the row did not come");
	}
	printf("{\"row\": true}\n");
	return 0;
}

int main(int argc, char **argv)
{
#define NUMBER(n) (strtoull(argv[n], NULL, 10))
	if (argc == 5 && !strcmp(argv[1], "topic"))
		return make_topic(argv[2], argv[3], (int)NUMBER(4));
	if (argc == 6 && !strcmp(argv[1], "produce"))
		return produce(argv[2], argv[3], NUMBER(4), NUMBER(5));
	if (argc == 11 && !strcmp(argv[1], "latency"))
		return latency(argv[2], argv[3], argv[4], (int)NUMBER(5), argv[6], NUMBER(7), (int)NUMBER(8), (int)NUMBER(9),
			       (int)NUMBER(10));
	if (argc == 8 && !strcmp(argv[1], "row"))
		return row(argv[2], argv[3], argv[4], (int)NUMBER(5), argv[6], NUMBER(7));
	die("topic | produce | latency | row, see the head of bench/stack_load.c");
}
