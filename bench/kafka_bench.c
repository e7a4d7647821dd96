/* A librdkafka client against a Kafka door: kafka_bench [ADDRESS] [MILLIONS]
 * Without an address it starts a door of its own, in this process, in a fresh directory (given by TMPDIR or /tmp).
 * Prints a line of JSON per figure: produce acks=all, consume, one at a time, produce -> consume at 10,000/s; beside them the
 * floors: the same client against librdkafka's own mock broker (in its process, nothing stored), fdatasync alone. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clocks.h"
#include "kafka/kafka.h"

enum { VALUE_BYTES = 100, ONE_BY_ONE = 3000, PACED = 50000, PACE_PER_S = 10000 };
static const char *address;
static char topic[64];
static pid_t door; /* 0 = not ours to measure */

/* CPU time of the door, 0 where it is another's. */
static double door_cpu_s(void)
{
	clockid_t id;
	return door && clock_getcpuclockid(door, &id) == 0 ? clock_s(id) : 0;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char err[256];
	if (rd_kafka_conf_set(conf, name, value, err, sizeof err) != RD_KAFKA_CONF_OK) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char err[256];
	if (address)
		set(conf, "bootstrap.servers", address);
	else
		set(conf, "test.mock.num.brokers", "1");
	rd_kafka_t *k = rd_kafka_new(type, conf, err, sizeof err);
	if (!k) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	return k;
}

static int64_t delivered, failed;
static void on_delivery(rd_kafka_t *k, const rd_kafka_message_t *m, void *opaque)
{
	(void)k, (void)opaque;
	if (m->err)
		failed++;
	else
		delivered++;
}

static void produce_all(const char *name, int64_t n)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "acks", "all");
	set(conf, "linger.ms", "5");
	set(conf, "batch.num.messages", "10000");
	set(conf, "queue.buffering.max.messages", "2000000");
	set(conf, "queue.buffering.max.kbytes", "1048576");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *k = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, topic, NULL);
	char value[VALUE_BYTES];
	memset(value, 'v', sizeof value);
	delivered = failed = 0;
	int64_t start = now_ns();
	double cpu = cpu_s(), door_cpu = door_cpu_s();
	for (int64_t i = 0; i < n;) {
		memcpy(value, &i, sizeof i);
		if (rd_kafka_produce(t, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL) == 0)
			i++;
		else
			rd_kafka_poll(k, 5);
		if ((i & 1023) == 0)
			rd_kafka_poll(k, 0);
	}
	while (rd_kafka_outq_len(k) > 0)
		rd_kafka_poll(k, 10);
	double s = (double)(now_ns() - start) / 1e9;
	printf("{\"bench\": \"%s\", \"records_per_s\": %.0f, \"failed\": %lld, \"client_cpu_s_per_M\": %.3f, \"door_cpu_s_per_M\": %.3f}\n",
	       name, (double)n / s, (long long)failed, (cpu_s() - cpu) / (double)n * 1e6, (door_cpu_s() - door_cpu) / (double)n * 1e6);
	rd_kafka_topic_destroy(t);
	rd_kafka_destroy(k);
}

static void consume_all(int64_t n)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "group.id", "bench");
	set(conf, "enable.auto.commit", "false");
	set(conf, "fetch.message.max.bytes", "8388608");
	set(conf, "fetch.wait.max.ms", "100");
	set(conf, "queued.max.messages.kbytes", "262144");
	set(conf, "queued.min.messages", "1000000");
	set(conf, "check.crcs", "false");
	rd_kafka_t *k = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(k);
	rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(parts, topic, 0)->offset = 0;
	rd_kafka_assign(k, parts);
	rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(k);
	static rd_kafka_message_t *batch[10000];
	int64_t seen = 0, start = 0;
	double cpu = cpu_s(), door_cpu = door_cpu_s();
	while (seen < n) {
		ssize_t got = rd_kafka_consume_batch_queue(q, 1000, batch, 10000);
		if (got > 0 && !start)
			start = now_ns();
		for (ssize_t i = 0; i < got; i++) {
			seen += !batch[i]->err;
			rd_kafka_message_destroy(batch[i]);
		}
	}
	double s = (double)(now_ns() - start) / 1e9;
	printf("{\"bench\": \"consume\", \"records_per_s\": %.0f, \"client_cpu_s_per_M\": %.3f, \"door_cpu_s_per_M\": %.3f}\n",
	       (double)n / s, (cpu_s() - cpu) / (double)n * 1e6, (door_cpu_s() - door_cpu) / (double)n * 1e6);
	rd_kafka_queue_destroy(q);
	rd_kafka_topic_partition_list_destroy(parts);
	rd_kafka_consumer_close(k);
	rd_kafka_destroy(k);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void latencies_print(const char *what, int64_t *ns, size_t n)
{
	qsort(ns, n, sizeof *ns, by_value);
	printf("{\"bench\": \"%s\", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"most_ms\": %.3f}\n", what,
	       (double)ns[n / 2] / 1e6, (double)ns[n * 99 / 100] / 1e6, (double)ns[n * 999 / 1000] / 1e6, (double)ns[n - 1] / 1e6);
}

static void produce_one_by_one(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "acks", "all");
	set(conf, "linger.ms", "0");
	set(conf, "socket.nagle.disable", "true");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *k = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, "one", NULL);
	static int64_t ns[ONE_BY_ONE];
	char value[VALUE_BYTES] = {0};
	for (int i = -100; i < ONE_BY_ONE; i++) {
		int64_t start = now_ns(), before = delivered;
		rd_kafka_produce(t, 0, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL);
		while (delivered == before && !failed)
			rd_kafka_poll(k, 100);
		if (i >= 0)
			ns[i] = now_ns() - start;
	}
	latencies_print("one_at_a_time_fsynced", ns, ONE_BY_ONE);
	rd_kafka_topic_destroy(t);
	rd_kafka_destroy(k);
}

/* What the disk alone takes, beside it. */
static void disk_alone(const char *dir)
{
	char path[512];
	static int64_t ns[1000];
	char value[200] = {0};
	snprintf(path, sizeof path, "%.480s/fdatasync", dir);
	FILE *f = fopen(path, "wb");
	if (!f)
		return;
	for (int i = 0; i < 1000; i++) {
		int64_t start = now_ns();
		if (write(fileno(f), value, sizeof value) < 0 || fdatasync(fileno(f)) != 0)
			break;
		ns[i] = now_ns() - start;
	}
	fclose(f);
	latencies_print("floor_fdatasync", ns, 1000);
}

struct paced {
	int64_t *ns;
	size_t count;
	rd_kafka_t *k;
};

static void *paced_consume(void *arg)
{
	struct paced *p = arg;
	int64_t end = now_ns() + 30 * INT64_C(1000000000);
	while (p->count < PACED && now_ns() < end) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(p->k, 1000);
		if (!m)
			continue;
		if (!m->err) {
			int64_t sent;
			memcpy(&sent, m->payload, sizeof sent);
			p->ns[p->count++] = now_ns() - sent;
		}
		rd_kafka_message_destroy(m);
	}
	return NULL;
}

/* Each record carries the time at which it was due, so that a stall of the sender counts too. */
static void produce_to_consume(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "acks", "all");
	set(conf, "linger.ms", "0");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *k = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *t = rd_kafka_topic_new(k, "paced", NULL);
	char value[VALUE_BYTES] = {0};
	int64_t before = delivered;
	rd_kafka_produce(t, 0, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL);
	while (delivered == before)
		rd_kafka_poll(k, 100);
	rd_kafka_conf_t *cc = rd_kafka_conf_new();
	set(cc, "group.id", "paced");
	set(cc, "enable.auto.commit", "false");
	set(cc, "fetch.wait.max.ms", "100");
	struct paced p = {.ns = calloc(PACED, sizeof(int64_t)), .k = client(RD_KAFKA_CONSUMER, cc)};
	rd_kafka_poll_set_consumer(p.k);
	rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(parts, "paced", 0)->offset = 1;
	rd_kafka_assign(p.k, parts);
	sleep(1);
	pthread_t thread;
	pthread_create(&thread, NULL, paced_consume, &p);
	int64_t start = now_ns();
	for (int64_t i = 0; i < PACED; i++) {
		int64_t due = start + i * (1000000000 / PACE_PER_S);
		while (now_ns() < due) {
			struct timespec nap = {0, 20000};
			nanosleep(&nap, NULL);
			rd_kafka_poll(k, 0);
		}
		memcpy(value, &due, sizeof due);
		rd_kafka_produce(t, 0, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL);
	}
	rd_kafka_flush(k, 10000);
	pthread_join(thread, NULL);
	if (p.count < PACED)
		fprintf(stderr, "only %zu of %d records came\n", p.count, PACED);
	else
		latencies_print("produce_to_consume_10000_per_s", p.ns, p.count);
	free(p.ns);
	rd_kafka_topic_partition_list_destroy(parts);
	rd_kafka_consumer_close(p.k);
	rd_kafka_destroy(p.k);
	rd_kafka_topic_destroy(t);
	rd_kafka_destroy(k);
}

int main(int argc, char **argv)
{
	static char dir[512], own[64];
	struct tm_log *log = NULL;
	struct tm_kafka_server *server = NULL;
	struct tm_err err = {0};
	address = argc > 1 && argv[1][0] ? argv[1] : NULL;
	double millions = argc > 2 ? atof(argv[2]) : 5;
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof dir, "%s/kafka-bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	pid_t child = 0;
	if (!address) {
		/* The door in a process of its own, so that the client's cpu-s are the client's. */
		int out[2], in[2];
		if (pipe(out) || pipe(in))
			return 1;
		child = fork();
		if (child == 0) {
			struct tm_log_options lo = {0};
			struct tm_kafka_options ko = {0};
			close(in[1]);
			if (tm_log_open(dir, &lo, &log, &err) != TM_OK || tm_kafka_server_start(log, &ko, &server, &err) != TM_OK) {
				fprintf(stderr, "%s\n", err.what);
				_exit(1);
			}
			int port = tm_kafka_server_port(server);
			char c;
			if (write(out[1], &port, sizeof port) != sizeof port || read(in[0], &c, 1) < 0)
				_exit(1);
			struct rusage u;
			getrusage(RUSAGE_SELF, &u);
			printf("{\"bench\": \"door\", \"most_MB\": %ld}\n", u.ru_maxrss / 1024);
			fflush(stdout);
			tm_kafka_server_stop(server);
			tm_log_close(log);
			_exit(0);
		}
		close(out[1]);
		close(in[0]);
		int port;
		if (read(out[0], &port, sizeof port) != sizeof port)
			return 1;
		snprintf(own, sizeof own, "127.0.0.1:%d", port);
		address = own;
		snprintf(topic, sizeof topic, "bench");
		int64_t n = (int64_t)(millions * 1e6);
		door = child;
		produce_all("produce_acks_all_fsynced", n);
		address = NULL;
		door = 0;
		produce_all("floor_mock_broker", n);
		address = own;
		door = child;
		consume_all(n);
		produce_one_by_one();
		disk_alone(dir);
		produce_to_consume();
		fflush(stdout);
		close(in[1]);
		waitpid(child, NULL, 0);
	} else {
		snprintf(topic, sizeof topic, "bench-%lld", (long long)now_ns());
		int64_t n = (int64_t)(millions * 1e6);
		produce_all("produce_acks_all", n);
		consume_all(n);
		produce_one_by_one();
		produce_to_consume();
	}
	if (tm_dir_remove(dir, &err) != TM_OK)
		fprintf(stderr, "%s\n", err.what);
	return 0;
}
