/* Prepared writes per second, each fsynced before its answer, and reads by key per second, through the Cassandra door and a
 * client on the same machine: `cql_bench [DIR [SECONDS [CONNECTIONS [WINDOW [VERSION]]]]]`. Beside them the floor: what one
 * fdatasync after another gives on the same disk. One JSON line a figure. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cassandra/cassandra.h"
#include "cassandra/client.h"
#include "cassandra/protocol.h"
#include "clocks.h"

#define VALUE_BYTES 100
#define CONNECTIONS_MAX 64

static void must(tm_rc rc, const struct tm_err *err)
{
	char text[2000];
	if (rc == TM_OK)
		return;
	fprintf(stderr, "%s\n", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
	exit(1);
}

/* ---- one loaded connection ---- */
struct load {
	int fd, version;
	struct tm_cass_reader reader;
	struct tm_cass_writer writer;
	struct tm_buf out;
	size_t out_at, in_flight, window;
	double *sent_at; /* by stream */
	int16_t next_stream;
};
struct run {
	struct load loads[CONNECTIONS_MAX];
	size_t count;
	struct tm_cassandra_statement statement;
	bool write;
	uint64_t next_key, keys, done;
	struct {
		double *items;
		size_t count, cap;
	} latencies;
};

static void load_open(struct load *l, int port, int version, size_t window)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct tm_cass_option o = {TM_STR("CQL_VERSION"), TM_STR("3.0.0")};
	struct tm_cass_request startup = {.opcode = TM_CASS_STARTUP, .startup = &o, .startup_count = 1};
	struct tm_buf body = {0};
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	char data[4096];
	int on = 1;
	*l = (struct load){
	    .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .version = version, .window = window, .writer = {.version = version}};
	if (connect(l->fd, (struct sockaddr *)&a, sizeof a) != 0) {
		perror("connect");
		exit(1);
	}
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	tm_cass_reader_init(&l->reader, false);
	tm_cass_request_write(&body, version, &startup);
	tm_cass_writer_put(&l->writer, 0, 0, TM_CASS_STARTUP, tm_buf_str(&body));
	tm_cass_writer_flush(&l->writer, &l->out);
	if (write(l->fd, l->out.at, l->out.len) != (ssize_t)l->out.len)
		exit(1);
	l->out.len = 0;
	while (tm_cass_reader_next(&l->reader, &e, &f) != TM_CASS_ENVELOPE) {
		ssize_t n = read(l->fd, data, sizeof data);
		if (n <= 0)
			exit(1);
		tm_cass_reader_feed(&l->reader, data, (size_t)n);
	}
	l->reader.version = version;
	l->reader.segmented = l->writer.segmented = version >= 5;
	l->sent_at = tm_zalloc(sizeof *l->sent_at * 32768);
	tm_buf_done(&body);
	fcntl(l->fd, F_SETFL, O_NONBLOCK);
}

static void request_add(struct run *r, struct load *l, struct tm_buf *body)
{
	char key[8], value[VALUE_BYTES];
	uint64_t k = r->write ? r->next_key++ : tm_hash_u64(r->next_key++) % r->keys;
	uint64_t big = __builtin_bswap64(k);
	memcpy(key, &big, 8);
	memset(value, 'a' + (int)(k % 26), sizeof value);
	struct tm_cql_value values[2] = {{.bytes = tm_str_n(key, 8)}, {.bytes = tm_str_n(value, sizeof value)}};
	struct tm_cass_request q = {.opcode = TM_CASS_EXECUTE,
				    .id = r->statement.id,
				    .result_metadata_id = r->statement.result_metadata_id,
				    .skip_metadata = !r->write};
	tm_cass_options_init(&q.options);
	q.options.values = values;
	q.options.value_count = r->write ? 2 : 1;
	body->len = 0;
	tm_cass_request_write(body, l->version, &q);
	tm_cass_writer_put(&l->writer, 0, l->next_stream, TM_CASS_EXECUTE, tm_buf_str(body));
	l->sent_at[l->next_stream] = now_s();
	l->next_stream = (int16_t)((l->next_stream + 1) & 0x7FFF);
	l->in_flight++;
}

static void answers_take(struct run *r, struct load *l)
{
	static char data[1 << 18];
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	ssize_t n = read(l->fd, data, sizeof data);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		fprintf(stderr, "the server closed the connection\n");
		exit(1);
	}
	if (n < 0)
		return;
	tm_cass_reader_feed(&l->reader, data, (size_t)n);
	double now = now_s();
	while (tm_cass_reader_next(&l->reader, &e, &f) == TM_CASS_ENVELOPE) {
		if (e.opcode != TM_CASS_RESULT) {
			fprintf(stderr, "not a result: %.*s\n", (int)e.body.len, e.body.at);
			exit(1);
		}
		l->in_flight--;
		r->done++;
		TM_PUSH(&r->latencies, now - l->sent_at[e.stream & 0x7FFF]);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void run_for(struct run *r, double duration, const char *name)
{
	struct tm_buf body = {0};
	double start = now_s(), cpu = cpu_s(), end = start + duration;
	bool stop = false;
	for (;;) {
		struct pollfd p[CONNECTIONS_MAX];
		size_t in_flight = 0;
		stop = stop || now_s() > end;
		for (size_t i = 0; i < r->count; i++) {
			struct load *l = &r->loads[i];
			/* Half a window at a time: one system call for many requests. */
			while (!stop && l->in_flight < l->window && (l->writer.envelopes.len > 0 || l->in_flight <= l->window / 2))
				request_add(r, l, &body);
			tm_cass_writer_flush(&l->writer, &l->out);
			ssize_t n = l->out.len > l->out_at ? write(l->fd, l->out.at + l->out_at, l->out.len - l->out_at) : 0;
			l->out_at += n > 0 ? (size_t)n : 0;
			if (l->out_at == l->out.len)
				l->out_at = l->out.len = 0;
			p[i] = (struct pollfd){.fd = l->fd, .events = (short)(POLLIN | (l->out.len ? POLLOUT : 0))};
			in_flight += l->in_flight;
		}
		if (stop && in_flight == 0)
			break;
		poll(p, r->count, 1000);
		for (size_t i = 0; i < r->count; i++)
			if (p[i].revents & (POLLIN | POLLHUP))
				answers_take(r, &r->loads[i]);
	}
	double took = now_s() - start;
	qsort(r->latencies.items, r->latencies.count, sizeof(double), by_value);
	printf("{\"bench\": \"%s\", \"requests\": %llu, \"seconds\": %.2f, \"per_second\": %.0f, \"cpu_seconds\": %.2f, \"p50_ms\": %.2f, "
	       "\"p99_ms\": %.2f}\n",
	       name, (unsigned long long)r->done, took, (double)r->done / took, cpu_s() - cpu,
	       r->latencies.items[r->latencies.count / 2] * 1e3, r->latencies.items[r->latencies.count * 99 / 100] * 1e3);
	fflush(stdout);
	r->done = r->latencies.count = 0;
	tm_buf_done(&body);
}

static void fsync_floor(const char *dir)
{
	char path[4096], data[512] = {0};
	snprintf(path, sizeof path, "%s/floor", dir);
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600), n = 0;
	double start = now_s();
	for (; n < 500 && now_s() - start < 2; n++)
		if (pwrite(fd, data, sizeof data, (off_t)n * 512) < 0 || fdatasync(fd) != 0)
			break;
	double took = now_s() - start;
	close(fd);
	unlink(path);
	printf("{\"bench\": \"fdatasync one after another\", \"per_second\": %.0f, \"mean_ms\": %.3f}\n", n / took, took / n * 1e3);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/tmp/cql_bench";
	double duration = argc > 2 ? atof(argv[2]) : 5;
	size_t connections = argc > 3 ? (size_t)atoi(argv[3]) : 4, window = argc > 4 ? (size_t)atoi(argv[4]) : 512;
	int version = argc > 5 ? atoi(argv[5]) : 5;
	struct tm_err err = {0};
	struct tm_store *store;
	struct tm_cassandra_server *server;
	struct tm_cassandra_client *client;
	struct tm_arena arena;
	struct tm_cql_result result;
	static struct run r;
	static const char *const ddl[] = {
	    "CREATE KEYSPACE IF NOT EXISTS b WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
	    "CREATE TABLE IF NOT EXISTS b.kv (k bigint PRIMARY KEY, v text)"};
	if (connections > CONNECTIONS_MAX)
		connections = CONNECTIONS_MAX;
	must(tm_dir_make(dir, &err), &err);
	must(tm_store_open(dir, &(struct tm_store_options){.env = tm_env_real()}, &store, &err), &err);
	must(tm_cassandra_server_start(store, &(struct tm_cassandra_options){0}, &server, &err), &err);
	int port = tm_cassandra_server_port(server);
	must(tm_cassandra_client_open(&(struct tm_cassandra_client_options){.port = port, .version = version}, &client, &err), &err);
	tm_arena_init(&arena);
	for (size_t i = 0; i < 2; i++)
		must(tm_cassandra_client_query(client, tm_str_of(ddl[i]), NULL, &arena, &result, &err), &err);
	fsync_floor(dir);
	for (r.count = 0; r.count < connections; r.count++)
		load_open(&r.loads[r.count], port, version, window);
	must(tm_cassandra_client_prepare(client, TM_STR("INSERT INTO b.kv (k, v) VALUES (?, ?)"), &arena, &r.statement, &err), &err);
	r.write = true;
	run_for(&r, duration, "prepared writes, fsynced before the answer");
	must(tm_cassandra_client_prepare(client, TM_STR("SELECT v FROM b.kv WHERE k = ?"), &arena, &r.statement, &err), &err);
	r.write = false;
	r.keys = r.next_key;
	run_for(&r, duration, "prepared reads by key");
	for (size_t i = 0; i < r.count; i++) { /* one at a time: what a simple loop in an application sees */
		r.loads[i].window = 1;
		if (i > 0)
			close(r.loads[i].fd);
	}
	r.count = 1;
	must(tm_cassandra_client_prepare(client, TM_STR("INSERT INTO b.kv (k, v) VALUES (?, ?)"), &arena, &r.statement, &err), &err);
	r.write = true;
	run_for(&r, duration / 5, "prepared writes one at a time, fsynced");
	tm_cassandra_client_close(client);
	tm_cassandra_server_stop(server);
	tm_store_close(store);
	tm_arena_done(&arena);
	return 0;
}
