/* The journal in topics, against our own Kafka door (or the broker that TM_TEST_KAFKA names): what was committed is read back whole, by
 * key; a successor fences its predecessor, whose commits are refused from then on. */
#include <pthread.h>
#include <unistd.h>
#include "kafka/journal.h"
#include "kafka/kafka.h"
#include "log/log.h"
#include "unit.h"

static struct tm_err err;
static char dir[64], address[200], name[64];
static struct tm_log *log_;
static struct tm_kafka_server *server;

static void stop_all(void)
{
	tm_kafka_server_stop(server);
	tm_log_close(log_);
	(void)!tm_dir_remove(dir, NULL);
}

/* A broker for all tests, and a project's name for this one. */
static void setup(void)
{
	static int n;
	snprintf(name, sizeof name, "coord.test-%d.%d", (int)getpid(), n++);
	if (address[0])
		return;
	const char *real = getenv("TM_TEST_KAFKA");
	if (real) {
		snprintf(address, sizeof address, "kafka://%s", real);
		return;
	}
	snprintf(dir, sizeof dir, "/tmp/tm-kafka-journal-XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK_OK(tm_log_open(dir, &(struct tm_log_options){0}, &log_, &err), err);
	struct tm_kafka_options o = {.host = "127.0.0.1", .port = 0, .log_dir = dir};
	CHECK_OK(tm_kafka_server_start(log_, &o, &server, &err), err);
	snprintf(address, sizeof address, "kafka://127.0.0.1:%d", tm_kafka_server_port(server));
	atexit(stop_all);
}

struct member {
	struct tm_kafka_journal *j;
	bool leads;
	char waits[300];
	/* what it has read: "k=v " in order, a deletion as "k! ", dated ones as "k~v " */
	struct tm_buf text;
	size_t calls;
};

static bool leads(void *ctx) { return __atomic_load_n(&((struct member *)ctx)->leads, __ATOMIC_RELAXED); }
static void waits(void *ctx, const char *what) { snprintf(((struct member *)ctx)->waits, 300, "%s", what); }
static tm_rc each(void *ctx, const struct tm_journal_entry *e, size_t count, struct tm_err *why)
{
	(void)why;
	struct member *m = ctx;
	m->calls++;
	for (size_t i = 0; i < count; i++)
		tm_buf_printf(&m->text, "%.*s%s%.*s ", TM_STR_ARG(e[i].key),
			      e[i].deleted ? "!"
			      : e[i].dated ? "~"
					   : "=",
			      e[i].deleted ? 0 : (int)e[i].value.len, e[i].deleted ? "" : e[i].value.at);
	tm_buf_cstr(&m->text);
	return TM_OK;
}

static void open_member(struct member *m)
{
	memset(m, 0, sizeof *m);
	m->leads = true;
	struct tm_kafka_journal_options o = {
	    .address = tm_str_of(address), .name = tm_str_of(name), .leads = leads, .waits = waits, .ctx = m};
	CHECK_OK(tm_kafka_journal_new(&o, &m->j, &err), err);
}
static void close_member(struct member *m)
{
	tm_kafka_journal_free(m->j);
	tm_buf_done(&m->text);
}
static tm_rc put(struct member *m, const char *key, const char *value)
{
	struct tm_journal_entry e = {.key = tm_str_of(key), .value = tm_str_of(value), .deleted = !value};
	return tm_journal_commit(tm_kafka_journal_writer(m->j), &e, 1, &err);
}
static void read_until(struct member *m, const char *want)
{
	for (int i = 0; i < 100 && strcmp(m->text.at ? m->text.at : "", want) != 0; i++)
		CHECK_OK(tm_kafka_journal_read(m->j, 100, each, m, &err), err);
	CHECK_STR(tm_buf_str(&m->text), want);
}

TEST(what_is_committed_is_read)
{
	setup();
	struct member a, b;
	bool empty;
	open_member(&a);
	CHECK_OK(tm_kafka_journal_lead(a.j, each, &a, &empty, &err), err);
	CHECK(empty && a.text.len == 0);
	struct tm_journal_entry e[3] = {{.key = TM_STR("sb1"), .value = TM_STR("one")},
					{.key = TM_STR("sb2"), .value = TM_STR("")},
					{.key = TM_STR("sl1"), .value = TM_STR("dead"), .dated = true}};
	CHECK_OK(tm_journal_commit(tm_kafka_journal_writer(a.j), e, 2, &err), err);
	CHECK_OK(put(&a, "sb1", NULL), err);
	open_member(&b);
	read_until(&b, "sb1=one sb2= sb1! ");
	CHECK_OK(tm_journal_commit(tm_kafka_journal_writer(a.j), e + 2, 1, &err), err);
	read_until(&b, "sb1=one sb2= sb1! sl1~dead ");
	close_member(&a);
	close_member(&b);
}

TEST(a_successor_fences_its_predecessor)
{
	setup();
	struct member a, b;
	bool empty;
	open_member(&a);
	open_member(&b);
	CHECK_OK(tm_kafka_journal_lead(a.j, each, &a, &empty, &err), err);
	CHECK_OK(put(&a, "k", "1"), err);
	CHECK_OK(tm_kafka_journal_lead(b.j, each, &b, &empty, &err), err); /* a does not know of it yet */
	CHECK(!empty);
	CHECK_STR(tm_buf_str(&b.text), "k=1 ");
	CHECK_INT(put(&a, "k", "late"), TM_CANCELLED);
	CHECK(tm_kafka_journal_fenced(a.j));
	CHECK_INT(put(&a, "k", "later"), TM_CANCELLED);
	CHECK_OK(put(&b, "k", "2"), err);
	close_member(&a);
	struct member c; /* and again, with what b wrote, and without what a tried */
	open_member(&c);
	CHECK_OK(tm_kafka_journal_lead(c.j, each, &c, &empty, &err), err);
	CHECK_STR(tm_buf_str(&c.text), "k=1 k=2 ");
	CHECK_INT(put(&b, "k", "late"), TM_CANCELLED);
	close_member(&b);
	close_member(&c);
}

TEST(who_is_not_sure_writes_nothing)
{
	setup();
	struct member a, b;
	bool empty;
	open_member(&a);
	CHECK_OK(tm_kafka_journal_lead(a.j, each, &a, &empty, &err), err);
	CHECK_OK(put(&a, "k", "1"), err);
	a.leads = false;
	CHECK_INT(put(&a, "k", "2"), TM_CANCELLED);
	a.leads = true;
	CHECK_INT(put(&a, "k", "3"), TM_CANCELLED); /* once is for good: it has to take over anew */
	open_member(&b);
	b.leads = false;
	CHECK_INT(tm_kafka_journal_lead(b.j, each, &b, &empty, &err), TM_CANCELLED);
	b.leads = true;
	b.text.len = 0;
	CHECK_OK(tm_kafka_journal_lead(b.j, each, &b, &empty, &err), err);
	CHECK(strstr(tm_buf_cstr(&b.text), "k=1") && !strstr(b.text.at, "k=2") && !strstr(b.text.at, "k=3"));
	close_member(&a);
	close_member(&b);
}

enum { THREADS = 8, EACH = 50 };
static void *many(void *arg)
{
	struct member *m = arg;
	for (int i = 0; i < EACH; i++) {
		char key[32];
		struct tm_err mine;
		snprintf(key, sizeof key, "k%p.%d", (void *)&key, i);
		struct tm_journal_entry e = {.key = tm_str_of(key), .value = TM_STR("v")};
		if (tm_journal_commit(tm_kafka_journal_writer(m->j), &e, 1, &mine))
			return arg;
	}
	return NULL;
}

TEST(many_commits_share_a_transaction)
{
	setup();
	struct member a, b;
	bool empty;
	pthread_t threads[THREADS];
	open_member(&a);
	CHECK_OK(tm_kafka_journal_lead(a.j, each, &a, &empty, &err), err);
	int64_t began = tm_mono_ns(tm_env_real());
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, many, &a) == 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		CHECK(!failed);
	}
	printf("%d commits by %d threads: %.2f ms each\n", THREADS * EACH, THREADS,
	       (double)(tm_mono_ns(tm_env_real()) - began) / 1e6 / (THREADS * EACH));
	began = tm_mono_ns(tm_env_real());
	for (int i = 0; i < 20; i++)
		CHECK_OK(put(&a, "alone", "1"), err);
	printf("one after another: %.2f ms each\n", (double)(tm_mono_ns(tm_env_real()) - began) / 1e6 / 20);
	open_member(&b);
	CHECK_OK(tm_kafka_journal_lead(b.j, each, &b, &empty, &err), err);
	size_t n = 0;
	for (const char *p = b.text.at; (p = strstr(p, "=v ")); p++)
		n++;
	CHECK_INT(n, THREADS * EACH);
	close_member(&a);
	close_member(&b);
}

TEST(large_values)
{
	setup();
	struct member a, b;
	bool empty;
	open_member(&a);
	CHECK_OK(tm_kafka_journal_lead(a.j, each, &a, &empty, &err), err);
	struct tm_buf big = {0};
	for (size_t i = 0; i < 5 * TM_MIB; i++)
		tm_buf_char(&big, (char)('a' + (i * i / 7 + i) % 26));
	CHECK_OK(put(&a, "big", tm_buf_cstr(&big)), err);
	open_member(&b);
	CHECK_OK(tm_kafka_journal_lead(b.j, each, &b, &empty, &err), err);
	CHECK_INT(b.text.len, big.len + 5);
	CHECK(memcmp(b.text.at + 4, big.at, big.len) == 0);
	char *at = tm_buf_extend(&big, 60 * TM_MIB);
	memset(at, 'x', 60 * TM_MIB);
	CHECK_INT(put(&b, "big", tm_buf_cstr(&big)), TM_LIMIT);
	CHECK_OK(put(&b, "small", "1"), err); /* that was no reason to stop */
	tm_buf_done(&big);
	close_member(&a);
	close_member(&b);
}

TEST(a_broker_that_is_away_is_waited_for)
{
	struct member a;
	bool empty;
	setup();
	char was[200];
	memcpy(was, address, sizeof was);
	snprintf(address, sizeof address, "kafka://127.0.0.1:1");
	open_member(&a);
	memcpy(address, was, sizeof was);
	CHECK_INT(tm_kafka_journal_read(a.j, 10, each, &a, &err), TM_UNAVAILABLE);
	CHECK(strstr(err.what, "127.0.0.1:1"));
	(void)empty;
	close_member(&a);
}

TEST_MAIN()
