/* The project's streaming queries on a real Apache Spark. The pipelines are parsed here, once; the runner (python/tidemill/spark) is
 * given a description of them, makes readStream, spark.sql and writeStream of it, and tells how the queries stand. */
#ifndef TM_SPARK_SPARK_H
#define TM_SPARK_SPARK_H
#include "base/url.h"
#include "sql/sql.h"

struct json_t;
struct tm_broker;
struct tm_table_def;

/* ---- the address: spark://host:port | local[n], each with ?option=value&… ---- */
struct tm_spark_address {
	const char *master; /* spark://host:port or local[n] */
	const char
	    *python;      /* the Python that has pyspark; NULL: SPARK_PYTHON of the environment, `python:`, the project's .venv, python3 */
	const char *jars; /* comma list of jars and folders of jars; NULL */
	const char *packages; /* comma list of Maven coordinates that Spark fetches; NULL: those of its version, where there are no jars */
	const char *checkpoint;          /* where checkpoints are; NULL: in the data directory */
	const struct tm_url_param *conf; /* spark.*: handed to Spark */
	size_t conf_count;
	int cores; /* local[n]; 0: not local, or local[*] */
};
bool tm_spark_is_address(struct tm_str text); /* begins as one */
tm_rc tm_spark_address_parse(struct tm_str text, struct tm_arena *arena, struct tm_spark_address *ret, struct tm_err *err) TM_CHECKED;

/* ---- what the runner is told ---- */
struct tm_spark_tables { /* the shapes of the tables that pipelines name; NULL functions: none is known */
	/* TM_NOT_FOUND: there is none of this name. release is called once for each def that was found. */
	tm_rc (*find)(void *ctx, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret, struct tm_err *err);
	void (*release)(void *ctx, const struct tm_table_def *def);
	void *ctx;
};
struct tm_spark_place { /* where the queries run, and what they reach from there */
	const char *project_dir, *project_name;
	const char *kafka;                     /* bootstrap.servers */
	const struct tm_option *kafka_options; /* kafka.*, for views and sinks that do not say otherwise; they may hold a password */
	size_t kafka_option_count;
	const char *cassandra_hosts;                                    /* comma list of host:port */
	const char *cassandra_user, *cassandra_password, *cassandra_dc; /* NULL = none */
	const char *checkpoint_dir;
	const char *scratch_dir; /* for Spark's and Java's temporary files, emptied at each start; NULL: theirs */
	bool until_idle;
	struct tm_spark_tables tables;
};
/* Options of `broker: kafka://…` in the words of Java's client. */
void tm_spark_kafka_options(const struct tm_url *url, struct tm_arena *arena, const struct tm_option **ret, size_t *ret_count);
/* Version 1 of the description; docs/spark-engine.md says what is in it. Without address: neither conf nor jars. */
struct json_t *tm_spark_describe(const struct tm_pipeline *const *pipelines, size_t count, const struct tm_spark_place *place,
				 const struct tm_spark_address *address);

/* ---- what a Spark cannot do ---- Refuses a pipeline with the place in its file where this Spark has no way to run it, by the rules of
 * rules.c. version: 305 for 3.5, 403 for 4.3. */
int tm_spark_version_of(const char *text); /* "3.5.9" -> 305; 0: no version */
tm_rc tm_spark_check(const struct tm_pipeline *pipeline, int version, struct tm_err *err) TM_CHECKED;

/* ---- the running engine ---- */
struct tm_spark;
struct tm_spark_options {
	const struct tm_spark_address *address; /* must live as long as the engine, as all below */
	const char *python, *package_dir;       /* tm_spark_python's */
	const char *data_dir;
	const struct tm_pipeline *const *pipelines;
	size_t pipeline_count;
	const struct tm_spark_place *place;
	struct tm_broker *broker; /* topics must be there before a query that reads them starts */
	/* With a coordinator: until when this instance is certain of its lead, in ns of CLOCK_BOOTTIME; 0 = it is not. Asked all the time,
	 * from the engine's thread; no process of Spark lives longer than that. NULL: it always may act. */
	int64_t (*lead_until_ns)(void *ctx);
	void *lead_ctx;
};
/* Which Python, and where our package is; which pyspark it has. Says what is missing, and what to install. Quick: no JVM starts. */
tm_rc tm_spark_python(const struct tm_spark_address *address, const char *dag_python, const char *project_dir, struct tm_arena *arena,
		      const char **ret_python, const char **ret_package_dir, const char **ret_version, struct tm_err *err) TM_CHECKED;
/* Begins to start Spark in a thread of its own, which watches it from then on, and starts it again where it ends or hangs. */
tm_rc tm_spark_start(const struct tm_spark_options *options, struct tm_spark **ret, struct tm_err *err) TM_CHECKED;
/* The query as others see it: pipelines' order, then queries'. The engine's, until tm_spark_stop. */
struct tm_query *tm_spark_query(struct tm_spark *spark, size_t pipeline, size_t query);
/* Something may have been produced: what was known of being caught up is not known any more. */
void tm_spark_disturbed(struct tm_spark *spark);
/* Asks the queries to stop, then Spark; what has not ended after some seconds is killed. NULL is fine. The queries stay. */
void tm_spark_halt(struct tm_spark *spark);
void tm_spark_free(struct tm_spark *spark); /* halts; frees the queries too */
#endif
