/* A Kafka as a broker of pipelines (librdkafka), against our own Kafka door: what is asked, read and written; gaps of transactions; a
 * batch that runs again; queries over it that die at any step. With TM_TEST_KAFKA=kafka://host:port the same against a real Kafka. */
#include <sys/stat.h>
#include <unistd.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include "kafka/broker_kafka_int.h"
#include "kafka/kafka.h"
#include "log/log.h"
#include "sql/sql.h"
#include "stream/query_int.h"
#include "table/table.h"
#include "unit.h"

struct house {
	char dir[64], prefix[40], text[200];
	struct tm_log *log; /* behind the door */
	struct tm_kafka_server *door;
	int port;
	struct tm_broker *broker;
	struct tm_arena arena;
	struct tm_err err;
};

static void open_door(struct house *h)
{
	char path[100];
	snprintf(path, sizeof path, "%s/log", h->dir);
	CHECK_OK(tm_log_open(path, &(struct tm_log_options){0}, &h->log, &h->err), h->err);
	CHECK_OK(tm_kafka_server_start(h->log, &(struct tm_kafka_options){.port = h->port}, &h->door, &h->err), h->err);
	h->port = tm_kafka_server_port(h->door);
}

static void close_door(struct house *h)
{
	tm_kafka_server_stop(h->door);
	tm_log_close(h->log);
	h->door = NULL;
	h->log = NULL;
}

static void open_house(struct house *h)
{
	static int count;
	*h = (struct house){.dir = "/tmp/tm_broker.XXXXXX"};
	CHECK(mkdtemp(h->dir) != NULL);
	tm_arena_init(&h->arena);
	snprintf(h->prefix, sizeof h->prefix, "broker_ut_%d_%d_", (int)getpid(), count++);
	const char *real = getenv("TM_TEST_KAFKA");
	if (!real) {
		open_door(h);
		snprintf(h->text, sizeof h->text, "kafka://127.0.0.1:%d", h->port);
	}
	CHECK_OK(tm_kafka_broker_new(tm_str_of(real ? real : h->text), &h->broker, &h->err), h->err);
	CHECK_OK(tm_kafka_broker_connect(h->broker, 30000, &h->err), h->err);
}

static void close_house(struct house *h)
{
	tm_broker_free(h->broker);
	if (h->door)
		close_door(h);
	tm_arena_done(&h->arena);
	CHECK_OK(tm_dir_remove(h->dir, &h->err), h->err);
}

/* For tests that need more of the broker than a real one lets them do: false, and nothing open, where it is one. */
static bool open_own_house(struct house *h)
{
	open_house(h);
	if (!h->door)
		close_house(h);
	return h->door != NULL;
}

static struct tm_str topic_named(struct house *h, const char *name) { return tm_arena_printf(&h->arena, "%s%s", h->prefix, name); }

static struct tm_str make_topic(struct house *h, const char *name, int32_t partitions)
{
	struct tm_str topic = topic_named(h, name);
	CHECK_OK(h->broker->klass->create(h->broker, topic, partitions, &h->err), h->err);
	return topic;
}

static struct tm_record record(const char *key, const char *value)
{
	return (struct tm_record){.timestamp_ms = 1700000000000,
				  .key = tm_str_of(key ? key : ""),
				  .key_null = !key,
				  .value = tm_str_of(value ? value : ""),
				  .value_null = !value};
}

static int64_t append(struct house *h, struct tm_str topic, int32_t partition, const struct tm_record *records, size_t n)
{
	int64_t base;
	CHECK_OK(h->broker->klass->append(h->broker, topic, partition, records, n, &base, &h->err), h->err);
	return base;
}

static struct tm_broker_bounds bounds(struct house *h, struct tm_str topic, int32_t partition)
{
	struct tm_broker_bounds b;
	CHECK_OK(h->broker->klass->bounds(h->broker, topic, partition, &b, &h->err), h->err);
	return b;
}

static struct tm_broker_reader *open_reader(struct house *h, bool committed)
{
	static const struct tm_option how[] = {{TM_STR("kafka.isolation.level"), TM_STR("read_committed")}};
	struct tm_broker_reader *r;
	const struct tm_broker_reader_options options = {.options = how, .option_count = committed, .headers = true};
	CHECK_OK(h->broker->klass->reader(h->broker, &options, &r, &h->err), h->err);
	return r;
}

/* "offset:key=value offset:key=value" of a range. */
static struct tm_str read_text(struct house *h, struct tm_broker_reader *r, struct tm_str topic, int32_t partition, int64_t from,
			       int64_t to)
{
	struct tm_buf out = {0};
	struct tm_offset at = {topic, partition, from};
	while (at.offset < to) {
		struct tm_broker_records got;
		CHECK_OK(r->klass->read(r, &at, to, &got, &at.offset, &h->err), h->err);
		for (size_t i = 0; i < got.count; i++)
			tm_buf_printf(&out, "%s%lld:%.*s=%.*s", out.len ? " " : "", (long long)got.offsets[i],
				      TM_STR_ARG(got.keys[i].at ? got.keys[i] : TM_STR("null")),
				      TM_STR_ARG(got.values[i].at ? got.values[i] : TM_STR("null")));
	}
	struct tm_str text = tm_arena_str(&h->arena, tm_buf_str(&out));
	tm_buf_done(&out);
	return text;
}

/* committed: once no transaction is open. A real broker answers a commit before its marker is in every partition. */
static struct tm_str all_text(struct house *h, struct tm_str topic, bool committed)
{
	struct tm_broker_reader *r = open_reader(h, committed);
	struct tm_offset at = {topic, 0, -1};
	struct tm_broker_bounds b;
	for (int tries = 0;; tries++) {
		CHECK_OK(r->klass->bounds(r, &(struct tm_offsets){&at, 1, 1}, &b, &h->err), h->err);
		if (!committed || b.end == bounds(h, topic, 0).end || tries == 100)
			break;
		usleep(100000);
	}
	struct tm_str text = read_text(h, r, topic, 0, b.start, b.end);
	tm_broker_reader_free(r);
	return text;
}

TEST(address)
{
	struct tm_err err;
	struct tm_broker *b;
	CHECK_OK(tm_kafka_broker_new(TM_STR("kafka://ann:s3cret%40@k1:9093,k2?security.protocol=SASL_SSL&sasl.mechanisms=SCRAM-SHA-256"),
				     &b, &err),
		 err);
	CHECK(!strstr(b->address, "s3cret"));
	CHECK(strstr(b->address, "k1:9093"));
	CHECK_INT(tm_kafka_broker_bootstrap(b).port, 9093);
	tm_broker_free(b);
	CHECK_INT(tm_kafka_broker_new(TM_STR("kafka://k1?security.protocal=SSL"), &b, &err), TM_INVALID);
	CHECK(strstr(err.hint, "security.protocol"));
	CHECK_INT(tm_kafka_broker_new(TM_STR("kafka://k1?security.protocol=SASL"), &b, &err), TM_INVALID);
	CHECK(strstr(err.what, "security.protocol"));
	CHECK_INT(tm_kafka_broker_new(TM_STR("kafka://k1/topic"), &b, &err), TM_INVALID);
	CHECK_INT(tm_kafka_broker_new(TM_STR("zookeeper://k1"), &b, &err), TM_INVALID);
}

TEST(options_of_views)
{
	struct tm_err err;
	struct tm_broker *b;
	CHECK_OK(tm_kafka_broker_new(TM_STR("kafka://k1"), &b, &err), err);
	const struct {
		const char *name, *value;
		bool sink;
		const char *what; /* NULL = fine */
	} cases[] = {
	    {"kafka.bootstrap.servers", "broker:29092", false, NULL},
	    {"kafka.group.id", "mine", false, NULL},
	    {"kafka.isolation.level", "read_committed", false, NULL},
	    {"kafka.isolation.level", "serializable", false, "kafka.isolation.level must be"},
	    {"KAFKA.Fetch.Min.Bytes", "10", false, NULL},
	    {"kafka.fetch.max.wait.ms", "100", false, NULL},
	    {"kafka.max.partition.fetch.bytes", "1000000", false, NULL},
	    {"kafka.sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";",
	     false, NULL},
	    {"kafka.auto.offset.reset", "latest", false, "kafka.auto.offset.reset is not supported"},
	    {"kafka.enable.auto.commit", "true", false, "kafka.enable.auto.commit is not supported"},
	    {"kafka.isolatoin.level", "x", false, "kafka.isolatoin.level is not one"},
	    {"kafka.plugin.library.paths", "/tmp/x.so", false, "no foreign code"},
	    {"kafka.compression.type", "zstd", true, NULL},
	    {"kafka.compression.type", "rar", true, "kafka.compression.type"},
	    {"kafka.acks", "0", true, "kafka.acks is not supported"},
	    {"kafka.transactional.id", "t", true, NULL},
	    {"subscribe", "x", false, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct tm_option o = {tm_str_of(cases[i].name), tm_str_of(cases[i].value)};
		tm_rc rc = b->klass->check(b, &o, 1, cases[i].sink, &err);
		if ((rc == TM_OK) != !cases[i].what || (rc && !strstr(err.what, cases[i].what)))
			FAIL("%s=%s: %d %s", cases[i].name, cases[i].value, rc, rc ? err.what : "");
	}
	const struct tm_option typo = {TM_STR("kafka.isolatoin.level"), TM_STR("x")};
	CHECK_INT(b->klass->check(b, &typo, 1, false, &err), TM_INVALID);
	CHECK(strstr(err.hint, "kafka.isolation.level"));
	tm_broker_free(b);
}

TEST(nobody_there)
{
	struct tm_err err;
	struct tm_broker *b;
	CHECK_OK(tm_kafka_broker_new(TM_STR("kafka://127.0.0.1:1"), &b, &err), err);
	CHECK_INT(tm_kafka_broker_connect(b, 300, &err), TM_UNAVAILABLE);
	CHECK(strstr(err.detail, "refused"));
	tm_broker_free(b);
}

TEST(topics_and_bounds)
{
	struct house h;
	open_house(&h);
	struct tm_broker *b = h.broker;
	struct tm_str two = make_topic(&h, "two", 2), none = topic_named(&h, "none");
	struct tm_broker_topic t;
	CHECK_INT(b->klass->topic(b, none, &t, &h.err), TM_NOT_FOUND);
	CHECK_INT(b->klass->topic(b, none, &t, &h.err), TM_NOT_FOUND); /* asking did not make it */
	CHECK_INT(b->klass->create(b, two, 2, &h.err), TM_EXISTS);
	CHECK_OK(b->klass->topic(b, two, &t, &h.err), h.err);
	CHECK_INT(t.partitions, 2);
	CHECK_INT(bounds(&h, two, 1).end, 0);
	struct tm_record records[] = {record("a", "1"), record(NULL, "2"), record("c", NULL)};
	records[2].timestamp_ms += 1000;
	CHECK_INT(append(&h, two, 1, records, 3), 0);
	CHECK_INT(append(&h, two, 1, records, 3), 3);
	CHECK_INT(bounds(&h, two, 1).start, 0);
	CHECK_INT(bounds(&h, two, 1).end, 6);
	int64_t at;
	CHECK_OK(b->klass->offset_for_time(b, two, 1, 1700000000500, &at, &h.err), h.err);
	CHECK_INT(at, 2);
	CHECK_OK(b->klass->offset_for_time(b, two, 1, 1800000000000, &at, &h.err), h.err);
	CHECK_INT(at, -1);
	CHECK(b->klass->bounds(b, two, 7, &(struct tm_broker_bounds){0}, &h.err) != TM_OK);
	struct tm_broker_topic *all;
	size_t n, found = 0;
	CHECK_OK(b->klass->topics(b, true, &h.arena, &all, &n, &h.err), h.err);
	for (size_t i = 0; i < n; i++)
		if (tm_str_eq(all[i].name, two)) {
			found++;
			CHECK_INT(all[i].partitions, 2);
			CHECK_INT(all[i].records, 6);
		}
	CHECK_INT(found, 1);
	close_house(&h);
}

TEST(reading)
{
	struct house h;
	open_house(&h);
	struct tm_str topic = make_topic(&h, "r", 1);
	struct tm_header header[] = {{TM_STR("h1"), TM_STR("v1"), false}, {TM_STR("h2"), {NULL, 0}, true}};
	struct tm_record records[] = {record("a", "1"), record(NULL, "2"), record("c", NULL), record("", "")};
	records[0].headers = header;
	records[0].header_count = 2;
	append(&h, topic, 0, records, 4);
	struct tm_broker_reader *r = open_reader(&h, false);
	CHECK_STR(read_text(&h, r, topic, 0, 0, 4), "0:a=1 1:null=2 2:c=null 3:=");
	CHECK_STR(read_text(&h, r, topic, 0, 1, 3), "1:null=2 2:c=null"); /* back, and cut */
	CHECK_STR(read_text(&h, r, topic, 0, 3, 4), "3:=");               /* goes on */
	struct tm_offset at = {topic, 0, 0};
	struct tm_broker_records got;
	int64_t next;
	CHECK_OK(r->klass->read(r, &at, 1, &got, &next, &h.err), h.err);
	CHECK_INT(next, 1);
	CHECK_INT(got.header_counts[0], 2);
	CHECK_STR(got.headers[0][0].key, "h1");
	CHECK_STR(got.headers[0][0].value, "v1");
	CHECK(got.headers[0][1].value_null);
	CHECK_INT(got.timestamps_us[0], 1700000000000000);
	at.offset = 100;
	CHECK_INT(r->klass->read(r, &at, 200, &got, &next, &h.err), TM_INVALID); /* there is no such offset */
	CHECK_INT(h.err.code, 1);
	struct tm_broker_bounds b;
	at.offset = 4;
	CHECK_OK(r->klass->bounds(r, &(struct tm_offsets){&at, 1, 1}, &b, &h.err), h.err);
	CHECK_INT(b.end, 4);
	append(&h, topic, 0, records, 4);
	CHECK_OK(r->klass->bounds(r, &(struct tm_offsets){&at, 1, 1}, &b, &h.err), h.err);
	CHECK_INT(b.end, 8); /* at once, not when a fetch brings it */
	tm_broker_reader_free(r);
	close_house(&h);
}

/* A transaction of one record for each letter of values; taken back or kept. */
static void transaction(struct house *h, struct tm_str topic, const char *values, bool keep)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char servers[100], why[200], id[100];
	snprintf(servers, sizeof servers, "%s", h->broker->address + strlen("kafka://"));
	snprintf(id, sizeof id, "%stx", h->prefix);
	rd_kafka_conf_set(conf, "bootstrap.servers", servers, NULL, 0);
	rd_kafka_conf_set(conf, "transactional.id", id, NULL, 0);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	CHECK(rk != NULL);
	CHECK(rd_kafka_init_transactions(rk, 5000) == NULL);
	CHECK(rd_kafka_begin_transaction(rk) == NULL);
	for (const char *v = values; *v; v++)
		CHECK(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic.at), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE((void *)(uintptr_t)v, 1),
					RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) == 0);
	CHECK(rd_kafka_flush(rk, 5000) == 0);
	CHECK((keep ? rd_kafka_commit_transaction(rk, 5000) : rd_kafka_abort_transaction(rk, 5000)) == NULL);
	rd_kafka_destroy(rk);
}

TEST(transactions_leave_gaps)
{
	struct house h;
	open_house(&h);
	struct tm_str topic = make_topic(&h, "t", 1);
	transaction(&h, topic, "ab", true);  /* 0 1, marker 2 */
	transaction(&h, topic, "xy", false); /* 3 4, marker 5 */
	transaction(&h, topic, "c", true);   /* 6, marker 7: the last offset is no record */
	CHECK_STR(all_text(&h, topic, false), "0:null=a 1:null=b 3:null=x 4:null=y 6:null=c");
	CHECK_STR(all_text(&h, topic, true), "0:null=a 1:null=b 6:null=c");
	struct tm_broker_reader *r = open_reader(&h, true);
	CHECK_STR(read_text(&h, r, topic, 0, 2, 6), ""); /* nothing but gaps, in the middle */
	CHECK_STR(read_text(&h, r, topic, 0, 6, 8), "6:null=c");
	struct tm_offset at = {topic, 0, 8};
	struct tm_broker_bounds b;
	struct tm_record later = record(NULL, "d");
	append(&h, topic, 0, &later, 1);
	CHECK_OK(r->klass->bounds(r, &(struct tm_offsets){&at, 1, 1}, &b, &h.err), h.err);
	CHECK_INT(b.end, 9);
	CHECK_STR(read_text(&h, r, topic, 0, 8, 9), "8:null=d");
	tm_broker_reader_free(r);
	close_house(&h);
}

static struct tm_broker_writer *open_writer(struct house *h, bool exactly_once)
{
	static const struct tm_option how[] = {{TM_STR("processing.guarantee"), TM_STR("exactly_once_v2")}};
	struct tm_broker_writer *w;
	const struct tm_broker_writer_options options = {.options = how, .option_count = exactly_once, .query = tm_str_of(h->prefix)};
	CHECK_OK(h->broker->klass->writer(h->broker, &options, &w, &h->err), h->err);
	return w;
}

static void write_batch(struct house *h, struct tm_broker_writer *w, int64_t id, bool replay, struct tm_str topic,
			const struct tm_record *records, size_t n)
{
	int32_t partitions;
	CHECK_OK(w->klass->topic(w, topic, &partitions, &h->err), h->err);
	const struct tm_broker_part part = {topic, 0, records, n};
	const struct tm_broker_batch batch = {
	    .batch_id = id, .now_us = 1700000000000000 + id * 1000000, .replay = replay, .parts = &part, .part_count = 1};
	CHECK_OK(w->klass->write(w, &batch, &h->err), h->err);
}

/* Three batches, the last one twice: run again by the same writer's heir, whole or cut. */
static void batch_again(bool exactly_once)
{
	struct house h;
	open_house(&h);
	struct tm_str topic = topic_named(&h, "sink"); /* made by writing */
	struct tm_header header[] = {{TM_STR("h"), TM_STR("v"), false}};
	struct tm_record first[] = {record("a", "1"), record("a", "1"), record(NULL, "x")}, last[] = {record("a", "1"), record("b", "2")};
	for (size_t i = 0; i < 2; i++)
		last[i].timestamp_ms += 1000;
	last[1].headers = header;
	last[1].header_count = 1;
	struct tm_broker_writer *w = open_writer(&h, exactly_once);
	struct tm_buf saved = {0};
	write_batch(&h, w, 0, false, topic, first, 3);
	w->klass->save(w, &saved);
	write_batch(&h, w, 1, false, topic, last, 2);
	tm_broker_writer_free(w); /* it dies before its commit */
	w = open_writer(&h, exactly_once);
	CHECK_OK(w->klass->load(w, tm_buf_str(&saved), &h.err), h.err);
	write_batch(&h, w, 1, true, topic, last, 2);
	tm_broker_writer_free(w);
	struct tm_str text = all_text(&h, topic, true);
	CHECK_STR(text, exactly_once ? "0:a=1 1:a=1 2:null=x 4:a=1 5:b=2" : "0:a=1 1:a=1 2:null=x 3:a=1 4:b=2");
	/* Once more, but only its first record was there. */
	struct tm_record more[] = {record("a", "1"), record("c", "3")};
	more[0].timestamp_ms += 2000;
	more[1].timestamp_ms += 2000;
	w = open_writer(&h, exactly_once);
	if (!exactly_once)
		append(&h, topic, 0, more, 1);
	write_batch(&h, w, 2, true, topic, more, 2);
	tm_broker_writer_free(w);
	text = all_text(&h, topic, true);
	CHECK(tm_str_ends(text, exactly_once ? TM_STR("7:a=1 8:c=3") : TM_STR("5:a=1 6:c=3")));
	tm_buf_done(&saved);
	close_house(&h);
}

TEST(batch_again_at_least_once) { batch_again(false); }
TEST(batch_again_exactly_once) { batch_again(true); }

static rd_kafka_t *open_mock(struct house *h, rd_kafka_mock_cluster_t **ret)
{
	char why[200];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
	CHECK(rk != NULL);
	*ret = rd_kafka_mock_cluster_new(rk, 1);
	*h = (struct house){.prefix = "broker_ut_mock_"};
	tm_arena_init(&h->arena);
	snprintf(h->text, sizeof h->text, "kafka://%s", rd_kafka_mock_cluster_bootstraps(*ret));
	CHECK_OK(tm_kafka_broker_new(tm_str_of(h->text), &h->broker, &h->err), h->err);
	return rk;
}

static void close_mock(struct house *h, rd_kafka_t *rk, rd_kafka_mock_cluster_t *mock)
{
	tm_broker_free(h->broker);
	tm_arena_done(&h->arena);
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(rk);
}

/* As while a partition was just made, or moves to another broker. */
TEST(bounds_wait_for_a_leader)
{
	enum { LIST_OFFSETS = 2 };
	static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE};
	struct house h;
	rd_kafka_mock_cluster_t *mock;
	rd_kafka_t *rk = open_mock(&h, &mock);
	struct tm_str topic = topic_named(&h, "led");
	CHECK_INT(rd_kafka_mock_topic_create(mock, topic.at, 1, 1), 0);
	CHECK_INT(bounds(&h, topic, 0).end, 0);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		rd_kafka_mock_push_request_errors(mock, LIST_OFFSETS, 3, codes[i], codes[i], codes[i]);
		CHECK_INT(bounds(&h, topic, 0).end, 0);
	}
	close_mock(&h, rk, mock);
}

/* As while a Kafka makes the topic for groups' offsets. After three such answers librdkafka forgets what it wanted from the coordinator. */
static void no_coordinator(rd_kafka_mock_cluster_t *mock, size_t times)
{
	enum { FIND_COORDINATOR = 10 };
	for (size_t i = 0; i < times; i++)
		rd_kafka_mock_push_request_errors(mock, FIND_COORDINATOR, 1, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
}

TEST(first_transaction_waits_for_the_groups_coordinator)
{
	struct house h;
	rd_kafka_mock_cluster_t *mock;
	rd_kafka_t *rk = open_mock(&h, &mock);
	struct tm_broker_writer *w = open_writer(&h, true);
	struct tm_str topic = topic_named(&h, "sink");
	int32_t partitions;
	CHECK_OK(w->klass->topic(w, topic, &partitions, &h.err), h.err); /* the transactions have their coordinator */
	no_coordinator(mock, 3);
	const struct tm_record one = record("a", "1");
	write_batch(&h, w, 0, false, topic, &one, 1);
	tm_broker_writer_free(w);
	close_mock(&h, rk, mock);
}

static bool stopping(void *ctx)
{
	(void)ctx;
	return true;
}

TEST(call_that_librdkafka_forgets_is_given_up)
{
	struct house h;
	rd_kafka_mock_cluster_t *mock;
	rd_kafka_t *host = open_mock(&h, &mock), *rk;
	rd_kafka_conf_t *conf = kb_conf(kb_of(h.broker), KB_WRITING);
	kb_set(conf, "transactional.id", "t");
	CHECK_OK(kb_handle(kb_of(h.broker), RD_KAFKA_PRODUCER, conf, &rk, &h.err), h.err);
	CHECK(!rd_kafka_init_transactions(rk, 10000));
	CHECK(!rd_kafka_begin_transaction(rk));
	no_coordinator(mock, 3);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, "a", 0)->offset = 1;
	const struct tm_broker_caller caller = {.stopping = stopping}; /* or it would be waited for longer */
	rd_kafka_error_t *error = NULL;
	CHECK(!kb_send_offset(rk, "g", list, &caller, &error));
	rd_kafka_topic_partition_list_destroy(list);
	kb_of(h.broker)->outlived = true;
	close_mock(&h, host, mock);
}

TEST(large_records)
{
	struct house h;
	if (!open_own_house(&h)) /* a real one takes 1 MB unless told otherwise */
		return;
	struct tm_str topic = make_topic(&h, "large", 1);
	struct tm_log_config config = {TM_STR("max.message.bytes"), TM_STR("20000000")};
	CHECK_OK(tm_log_topic_alter(h.log, topic, &config, 1, NULL, 0, false, &h.err), h.err);
	size_t size = 10 << 20;
	char *big = tm_zalloc(size);
	memset(big, 'b', size);
	struct tm_record records[] = {record("k", "1"), record("k", ""), record("k", "2")};
	records[1].value = (struct tm_str){big, size};
	struct tm_broker_writer *w = open_writer(&h, false);
	write_batch(&h, w, 0, false, topic, records, 3);
	tm_broker_writer_free(w);
	struct tm_broker_reader *r = open_reader(&h, false);
	struct tm_str text = read_text(&h, r, topic, 0, 0, 3);
	CHECK_INT(text.len, size + strlen("0:k=1 1:k= 2:k=2"));
	tm_broker_reader_free(r);
	free(big);
	close_house(&h);
}

TEST(all_codecs)
{
	struct house h;
	open_house(&h);
	struct tm_str topic = make_topic(&h, "codecs", 1);
	static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
	struct tm_record r = record("key", "valuevaluevaluevaluevaluevalue");
	for (size_t i = 0; i < 5; i++) {
		const struct tm_option how = {TM_STR("kafka.compression.type"), tm_str_of(codecs[i])};
		const struct tm_broker_writer_options options = {.options = &how, .option_count = 1, .query = TM_STR("q")};
		struct tm_broker_writer *w;
		CHECK_OK(h.broker->klass->writer(h.broker, &options, &w, &h.err), h.err);
		write_batch(&h, w, (int64_t)i, false, topic, &r, 1);
		tm_broker_writer_free(w);
	}
	struct tm_str text = all_text(&h, topic, false);
	CHECK(tm_str_ends(text, TM_STR("4:key=valuevaluevaluevaluevaluevalue")));
	close_house(&h);
}

/* ---- queries over it ---- */

struct run {
	struct tm_store *store;
	struct tm_stream_world world;
	struct tm_sql *sql;
	struct tm_pipeline *pipeline;
};

static void open_run(struct house *h, struct run *r, const char *text)
{
	char path[100];
	snprintf(path, sizeof path, "%s/table", h->dir);
	CHECK_OK(tm_store_open(path, &(struct tm_store_options){.memory_only = true}, &r->store, &h->err), h->err);
	r->world = (struct tm_stream_world){.store = r->store, .broker = h->broker};
	r->sql = tm_sql_new(&(struct tm_sql_options){.world = &r->world, .time_zone = "UTC"});
	CHECK_OK(tm_sql_pipeline(r->sql, TM_STR("p.sql"), tm_str_of(text), false, &r->pipeline, &h->err), h->err);
}

static void close_run(struct run *r)
{
	tm_sql_free(r->sql);
	tm_store_close(r->store);
}

static char *copy_text(struct house *h, const char *in, const char *out, const char *options)
{
	return (char *)(uintptr_t)tm_arena_printf(
		   &h->arena,
		   "CREATE TEMPORARY VIEW src USING kafka OPTIONS (subscribe '%s', startingOffsets 'earliest', maxOffsetsPerTrigger '7');\n"
		   "CREATE STREAMING TABLE copy USING kafka OPTIONS (topic '%s'%s) AS SELECT key, value FROM STREAM src;\n",
		   in, out, options)
	    .at;
}

/* A query that dies at every step of a batch, and one that does not: the sink has each record once. */
static void dies_everywhere(const char *options)
{
	struct house h;
	struct run run;
	open_house(&h);
	struct tm_str in = make_topic(&h, "in", 2), out = make_topic(&h, "out", 1);
	enum { RECORDS = 40 };
	struct tm_record records[RECORDS];
	for (int i = 0; i < RECORDS; i++)
		records[i] = record("k", tm_arena_printf(&h.arena, "v%d", i % 5).at); /* equal ones, too */
	append(&h, in, 0, records, RECORDS / 2);
	append(&h, in, 1, records + RECORDS / 2, RECORDS / 2);
	open_run(&h, &run, copy_text(&h, in.at, out.at, options));
	static const enum tm_fault faults[] = {TM_FAULT_ANNOUNCED, TM_FAULT_RAN, TM_FAULT_FINISHED, TM_FAULT_COMMITTED, TM_FAULT_NONE};
	for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
		struct tm_query *q;
		CHECK_OK(tm_query_open(&run.world, &run.pipeline->queries[0], &q, &h.err), h.err);
		tm_query_fail_at(q, faults[f]);
		bool ran = true;
		while (ran && tm_query_step(q, &ran, &h.err) == TM_OK)
			continue;
		tm_query_free(q);
	}
	struct tm_str text = all_text(&h, out, true), rest = text, one;
	size_t n = 0, counts[5] = {0};
	while (rest.len && tm_str_split(&rest, ' ', &one)) {
		n++;
		counts[one.at[one.len - 1] - '0']++;
	}
	CHECK_INT(n, RECORDS);
	for (size_t i = 0; i < 5; i++)
		CHECK_INT(counts[i], RECORDS / 5);
	close_run(&run);
	close_house(&h);
}

TEST(query_dies_at_least_once) { dies_everywhere(""); }
TEST(query_dies_exactly_once) { dies_everywhere(", processing.guarantee 'exactly_once_v2'"); }

static void wait_for(struct house *h, struct tm_str topic, int64_t end)
{
	for (int i = 0; i < 4000 && bounds(h, topic, 0).end < end; i++)
		usleep(10000);
	CHECK_INT(bounds(h, topic, 0).end, end);
}

TEST(partitions_grow_and_records_wake)
{
	struct house h;
	struct run run;
	if (!open_own_house(&h))
		return;
	struct tm_str in = topic_named(&h, "later"), out = make_topic(&h, "out", 1);
	struct tm_record one = record("k", "v");
	open_run(&h, &run, copy_text(&h, in.at, out.at, ""));
	struct tm_query *q;
	CHECK_OK(tm_query_start(&run.world, &run.pipeline->queries[0], &q, &h.err), h.err);
	usleep(300000);
	struct tm_query_progress p;
	tm_query_progress(q, &h.arena, &p);
	CHECK_INT(p.state, TM_QUERY_RUNNING);
	CHECK(tm_str_find(p.waiting, TM_STR("does not exist yet"), 0) != SIZE_MAX);
	usleep(900000);
	make_topic(&h, "later", 1);
	append(&h, in, 0, &one, 1);
	wait_for(&h, out, 1);
	CHECK_OK(tm_log_topic_add_partitions(h.log, in, 3, &h.err), h.err);
	append(&h, in, 2, &one, 1);
	wait_for(&h, out, 2);
	/* A record wakes the query: it does not wait until the query looks by itself, every 200 ms. The best of some, for a busy machine.
	 */
	int64_t best_ms = INT64_MAX;
	for (int64_t i = 0; i < 10 && best_ms > 50; i++) {
		usleep(250000); /* it rests */
		int64_t began = tm_mono_ns(tm_env_real());
		append(&h, in, 2, &one, 1);
		while (bounds(&h, out, 0).end < 3 + i)
			usleep(500);
		int64_t took_ms = (tm_mono_ns(tm_env_real()) - began) / 1000000;
		best_ms = took_ms < best_ms ? took_ms : best_ms;
	}
	if (best_ms > 50)
		FAIL("a record waited %lld ms at best: it did not wake the query", (long long)best_ms);
	tm_query_free(q);
	close_run(&run);
	close_house(&h);
}

TEST(broker_goes_and_comes_back)
{
	struct house h;
	struct run run;
	if (!open_own_house(&h))
		return;
	struct tm_str in = make_topic(&h, "in", 1), out = make_topic(&h, "out", 1);
	struct tm_record one = record("k", "v");
	open_run(&h, &run, copy_text(&h, in.at, out.at, ", processing.guarantee 'exactly_once_v2'"));
	struct tm_query *q;
	CHECK_OK(tm_query_start(&run.world, &run.pipeline->queries[0], &q, &h.err), h.err);
	append(&h, in, 0, &one, 1);
	wait_for(&h, out, 2); /* with the transaction's marker */
	close_door(&h);
	struct tm_query_progress p = {0};
	for (int i = 0; i < 2000 && !p.waiting.len; i++) {
		usleep(20000);
		tm_query_progress(q, &h.arena, &p);
	}
	CHECK_INT(p.state, TM_QUERY_RUNNING);
	CHECK(p.waiting.len > 0);
	CHECK(!tm_query_caught_up(q));
	open_door(&h);
	CHECK_OK(tm_kafka_broker_connect(h.broker, 30000, &h.err), h.err);
	append(&h, in, 0, &one, 1);
	wait_for(&h, out, 4);
	close_door(&h); /* stopping does not wait for it */
	int64_t began = tm_mono_ns(tm_env_real());
	tm_query_free(q);
	CHECK((tm_mono_ns(tm_env_real()) - began) / 1000000 < 10000);
	close_run(&run);
	close_house(&h);
}

TEST(deleted_and_made_anew)
{
	struct house h;
	struct run run;
	if (!open_own_house(&h))
		return;
	struct tm_str in = make_topic(&h, "in", 1), out = make_topic(&h, "out", 1);
	struct tm_record records[] = {record("k", "1"), record("k", "2"), record("k", "3")};
	append(&h, in, 0, records, 3);
	char *text =
	    (char *)(uintptr_t)tm_arena_printf(
		&h.arena,
		"CREATE TEMPORARY VIEW a USING kafka OPTIONS (subscribe '%s', startingOffsets 'earliest');\n"
		"CREATE TEMPORARY VIEW b USING kafka OPTIONS (subscribe '%s', startingOffsets 'earliest', failOnDataLoss 'false');\n"
		"CREATE STREAMING TABLE strict USING noop AS SELECT value FROM STREAM a;\n"
		"CREATE STREAMING TABLE lenient USING kafka OPTIONS (topic '%s') AS SELECT value FROM STREAM b;\n",
		in.at, in.at, out.at)
		.at;
	open_run(&h, &run, text);
	struct tm_query *q[2];
	bool ran;
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(tm_query_open(&run.world, &run.pipeline->queries[i], &q[i], &h.err), h.err);
		CHECK_OK(tm_query_step(q[i], &ran, &h.err), h.err);
	}
	CHECK_OK(tm_log_topic_delete(h.log, in, &h.err), h.err);
	make_topic(&h, "in", 1);
	append(&h, in, 0, records, 1);
	usleep(1100000);
	tm_rc rc; /* it is no loss before it stays so */
	while ((rc = tm_query_step(q[0], &ran, &h.err)) == TM_UNAVAILABLE)
		usleep(100000);
	CHECK_INT(rc, TM_DATA);
	CHECK_STR(tm_str_of(h.err.klass), "KAFKA_DATA_LOSS");
	while ((rc = tm_query_step(q[1], &ran, &h.err)) == TM_UNAVAILABLE)
		usleep(100000);
	CHECK_OK(rc, h.err);
	CHECK_STR(all_text(&h, out, false), "0:null=1 1:null=2 2:null=3 3:null=1");
	for (size_t i = 0; i < 2; i++)
		tm_query_free(q[i]);
	close_run(&run);
	close_house(&h);
}

TEST_MAIN()
