/* The address, the options of Java's Kafka client, what the runner tells as progress, and when queries have caught up. */
#include "unit.h"
#include "spark/spark_int.h"
#include <stdlib.h>

TEST(addresses)
{
	struct tm_arena arena;
	struct tm_spark_address a;
	struct tm_err err;
	tm_arena_init(&arena);
	CHECK_OK(tm_spark_address_parse(TM_STR("local[2]?python=/p/bin/python&jars=/a,/b&spark.driver.memory=2g"), &arena, &a, &err), err);
	CHECK_STR(tm_str_of(a.master), "local[2]");
	CHECK_INT(a.cores, 2);
	CHECK_STR(tm_str_of(a.python), "/p/bin/python");
	CHECK_STR(tm_str_of(a.jars), "/a,/b");
	CHECK_INT(a.conf_count, 1);
	CHECK_STR(a.conf[0].name, "spark.driver.memory");
	CHECK_OK(tm_spark_address_parse(TM_STR("spark://one,two:7078?checkpoint=hdfs://n/c"), &arena, &a, &err), err);
	CHECK_STR(tm_str_of(a.master), "spark://one:7077,two:7078");
	CHECK_STR(tm_str_of(a.checkpoint), "hdfs://n/c");
	CHECK_INT(a.cores, 0);
	static const char *const wrong[] = {"local[]",        "local[0]",           "local[2",  "local[2]x",
					    "spark://h/path", "spark://h?phyton=x", "mesos://h"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK(tm_spark_address_parse(tm_str_of(wrong[i]), &arena, &a, &err) != TM_OK);
		CHECK(err.hint[0]);
	}
	tm_arena_done(&arena);
}

static struct tm_str option(const struct tm_option *o, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (tm_str_is(o[i].name, name))
			return o[i].value;
	return TM_STR("(none)");
}

TEST(the_broker_in_javas_words)
{
	struct tm_arena arena;
	struct tm_url url;
	struct tm_err err;
	const struct tm_option *o;
	size_t n;
	tm_arena_init(&arena);
	CHECK_OK(
	    tm_url_parse(
		TM_STR("kafka://u:p%22w@h:9093?sasl.mechanisms=SCRAM-SHA-256&security.protocol=SASL_SSL&ssl.ca.location=/ca.pem&debug=all"),
		&arena, &url, &err),
	    err);
	tm_spark_kafka_options(&url, &arena, &o, &n);
	CHECK_INT(n, 5);
	CHECK_STR(option(o, n, "kafka.security.protocol"), "SASL_SSL");
	CHECK_STR(option(o, n, "kafka.sasl.mechanism"), "SCRAM-SHA-256");
	CHECK_STR(option(o, n, "kafka.ssl.truststore.location"), "/ca.pem");
	CHECK_STR(option(o, n, "kafka.ssl.truststore.type"), "PEM");
	CHECK_STR(option(o, n, "kafka.sasl.jaas.config"),
		  "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"p\\\"w\";");
	CHECK_OK(tm_url_parse(TM_STR("kafka://h"), &arena, &url, &err), err);
	tm_spark_kafka_options(&url, &arena, &o, &n);
	CHECK_INT(n, 0);
	tm_arena_done(&arena);
}

/* ---- events ---- */

struct fixture {
	struct tm_spark spark;
	struct tm_query_spec specs[2];
	struct watched queries[2];
};

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	struct tm_spark *s = &f->spark;
	s->env = tm_env_real();
	pthread_mutex_init(&s->lock, NULL);
	s->queries = f->queries;
	s->query_count = 2;
	const struct tm_query_elsewhere elsewhere = {tm_spark_caught_up, s};
	for (size_t i = 0; i < 2; i++) {
		f->specs[i] = (struct tm_query_spec){.name = i ? TM_STR("b") : TM_STR("a"), .line = 7};
		f->queries[i] = (struct watched){
		    .spec = &f->specs[i], .file = TM_STR("p.sql"), .query = tm_query_elsewhere_new(&f->specs[i], &elsewhere)};
		f->queries[i].now.lag = -1;
	}
}

static void end(struct fixture *f)
{
	for (size_t i = 0; i < 2; i++)
		tm_query_free(f->queries[i].query);
	pthread_mutex_destroy(&f->spark.lock);
}

static void tell(struct fixture *f, const char *text)
{
	json_t *e = json_loads(text, 0, NULL);
	CHECK(e != NULL);
	tm_spark_take(&f->spark, e);
	json_decref(e);
}

static struct tm_query_progress progress(struct fixture *f, size_t i, struct tm_arena *arena)
{
	struct tm_query_progress p;
	tm_query_progress(f->queries[i].query, arena, &p);
	return p;
}

TEST(progress)
{
	struct fixture f;
	struct tm_arena arena;
	begin(&f);
	tm_arena_init(&arena);
	tm_say_level_set(TM_SAY_ERROR + 1);
	tell(&f, "{\"op\":\"spark\",\"version\":\"4.3.0\",\"app\":\"x\"}");
	for (int i = 0; i < 2; i++)
		tell(&f, "{\"op\":\"batch\",\"query\":\"a\",\"batch\":3,\"rows_read\":10,\"rows_written\":7,\"rows_late\":1,\"took_ms\":40,"
			 "\"rate\":2.5,"
			 "\"lag\":4,\"watermark_ms\":1000,\"dead\":{\"null_key\":2},\"ops\":[{\"label\":\"stateStoreSave\",\"state_rows\":"
			 "9,\"rows\":7,"
			 "\"late\":1}]}");
	struct tm_query_progress p = progress(&f, 0, &arena);
	CHECK_INT(p.batches, 2);
	CHECK_INT(p.rows_read, 20);
	CHECK_INT(p.rows_written, 14);
	CHECK_INT(p.rows_late, 2);
	CHECK_INT(p.lag, 4);
	CHECK_INT(p.watermark_ms, 1000);
	CHECK_INT(p.dead_count, 1);
	CHECK_INT(p.dead[0].rows, 4);
	CHECK_INT(p.op_count, 1);
	CHECK_STR(tm_str_of(p.ops[0].label), "stateStoreSave");
	CHECK_INT(p.ops[0].rows_late, 2);
	CHECK_INT(progress(&f, 1, &arena).lag, -1);
	tell(&f, "{\"op\":\"waits\",\"query\":\"b\",\"why\":\"no broker\",\"retry_s\":2}");
	CHECK_STR(progress(&f, 1, &arena).waiting, "no broker");
	tell(&f, "{\"op\":\"failed\",\"query\":\"b\",\"class\":\"DIVIDE_BY_ZERO\",\"what\":\"Division by zero.\",\"line\":9,\"column\":4}");
	p = progress(&f, 1, &arena);
	CHECK_INT(p.state, TM_QUERY_FAILED);
	CHECK_STR(tm_str_of(p.error.klass), "DIVIDE_BY_ZERO");
	CHECK_STR(tm_str_of(p.error.file), "p.sql");
	CHECK_INT(p.error.line, 9);
	CHECK(tm_query_caught_up(f.queries[1].query)); /* a failed one is waited for by nobody */
	tell(&f, "{\"op\":\"batch\",\"query\":\"nobody\"}");
	tell(&f, "{}");
	tm_arena_done(&arena);
	end(&f);
}

static bool all_caught_up(struct fixture *f)
{
	bool a = tm_query_caught_up(f->queries[0].query), b = tm_query_caught_up(f->queries[1].query);
	return a && b;
}

TEST(caught_up)
{
	struct fixture f;
	static const char a[] = "{\"op\":\"idle\",\"query\":\"a\"}", b[] = "{\"op\":\"idle\",\"query\":\"b\"}";
	begin(&f);
	tm_say_level_set(TM_SAY_ERROR + 1);
	CHECK(!all_caught_up(&f)); /* Spark is not up */
	tell(&f, "{\"op\":\"spark\",\"version\":\"4.3.0\",\"app\":\"x\"}");
	for (int i = 0; i < 2; i++) {
		tell(&f, a);
		tell(&f, b);
	}
	CHECK(all_caught_up(&f)); /* the question was asked before these looks */
	tm_spark_disturbed(&f.spark);
	CHECK(!all_caught_up(&f)); /* something may have come since: asked anew */
	tell(&f, a);
	tell(&f, a);
	tell(&f, b);
	CHECK(!all_caught_up(&f)); /* one look may have begun before the question */
	tell(&f, "{\"op\":\"batch\",\"query\":\"b\",\"rows_written\":1}");
	tell(&f, b);
	tell(&f, b);
	CHECK(!all_caught_up(&f)); /* b may have written what a reads */
	tell(&f, a);
	tell(&f, a);
	CHECK(all_caught_up(&f));
	tm_spark_all_wait(&f.spark, "Spark is gone");
	CHECK(!all_caught_up(&f));
	end(&f);
}

TEST_MAIN()
