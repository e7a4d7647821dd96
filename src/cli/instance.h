/* One running project: every part started in order, and stopped in the reverse. */
#ifndef TM_CLI_INSTANCE_H
#define TM_CLI_INSTANCE_H
#include "cli/config.h"
#include "airflow/airflow.h"
#include "cassandra/cassandra.h"
#include "dag/dag.h"
#include "http/http.h"
#include "kafka/kafka.h"
#include "log/log.h"
#include "sql/sql.h"
#include "stream/broker.h"
#include "stream/tables.h"
#include "table/table.h"

struct tm_pipeline_run {
	const struct tm_pipeline *pipeline;
	struct tm_query **queries; /* one per query of the pipeline */
};
struct tm_instance {
	struct tm_config config;
	struct tm_arena arena;
	struct tm_log *log;
	struct tm_broker *broker; /* of the topics: over log, or a real Kafka (then it is world.broker too) */
	struct tm_store *store;
	struct tm_tables *tables; /* a real Cassandra for the tables; NULL = store */
	struct tm_kafka_server *kafka;
	struct tm_cassandra_server *cassandra;
	struct tm_dag *dag;
	struct tm_airflow *airflow;
	struct tm_http_server *http;
	bool http_lent; /* the door outlives the instance; see tm_instance_options */
	struct tm_stream_world world;
	struct tm_sql *sql;
	struct tm_spark *spark;                 /* engine: a real Spark; it has the queries */
	struct tm_spark_options *spark_options; /* what it is started with, once that was looked at */
	struct tm_pipeline_run *pipelines;
	size_t pipeline_count;
	struct tm_http_pipeline *shown;
	int64_t started_ns;
	bool until_idle;
	struct tm_coordinator *coordinator; /* whom this instance is attached to; NULL = it acts alone */
};
struct tm_instance_options {
	bool until_idle;                    /* DAGs: only what is due now, and what is triggered */
	bool next_free_port;                /* where a port is taken: the next free one, said */
	bool no_doors;                      /* none of the three ports */
	struct tm_coordinator *coordinator; /* several instances: it decides when this one acts; NULL = at once */
	/* Where the page's door is kept that outlives the instance: it starts it here if there is none, and leaves it when it stops.
	 * The caller stops it. NULL = each instance has its own. */
	struct tm_http_server **http;
};
/* On error everything that was started is stopped again. */
tm_rc tm_instance_start(struct tm_instance *instance, const char *dir, const struct tm_instance_options *options,
			struct tm_err *err) TM_CHECKED;
void tm_instance_stop(struct tm_instance *instance);
/* Variables and connections of another configuration, for tasks that start from now on. */
void tm_instance_settings(struct tm_instance *instance, const struct tm_config *config);
/* Starts the queries of all pipelines; called by the coordinator when the instance is to act, and again after
 * TM_UNAVAILABLE. */
tm_rc tm_instance_queries_start(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
/* The tables folder into the store, the pipelines folder into pipelines; nothing is started. */
tm_rc tm_instance_load_files(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
/* store.c: the tables where they are not our own (world.tables). The real ones must answer before this returns. */
tm_rc tm_instance_store_start(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
void tm_instance_store_stop(struct tm_instance *instance);
/* Where programs reach the tables by CQL: our door, or the real Cassandra (its first contact point). */
void tm_instance_store_address(struct tm_instance *instance, const char **ret_host, int *ret_port);
/* One statement, whoever keeps the tables; keyspace: of USE. */
tm_rc tm_instance_cql(struct tm_instance *instance, struct tm_str statement, struct tm_str keyspace, struct tm_arena *arena,
		      struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
/* A file of tables/: its statements in order; errors with the file's line and column. */
tm_rc tm_instance_cql_file(struct tm_instance *instance, const char *path, struct tm_err *err) TM_CHECKED;
/* The position in a statement becomes that in its file. */
void tm_instance_cql_err_at(struct tm_err *err, const char *path, const char *file, const char *statement);
/* ---- broker.c: the stage `broker` ---- */
/* The broker of the topics; world.broker too where it is not the log. Connects to nothing. */
tm_rc tm_instance_broker_new(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
/* The same, and a real one must answer before this returns. */
tm_rc tm_instance_broker_start(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
void tm_instance_broker_stop(struct tm_instance *instance);
bool tm_instance_broker_outside(const struct tm_instance *instance);
/* Where Kafka clients find the topics: our door, or the real broker's first address. Texts live as long as the instance. */
void tm_instance_broker_address(const struct tm_instance *instance, const char **ret_host, int *ret_port);
/* Does the real cluster tell its clients to connect to name:port? */
bool tm_instance_broker_is_at(struct tm_instance *instance, const char *name, int port);

/* What the DAG files' door is started with; also for `check`. */
void tm_instance_airflow_options(struct tm_instance *instance, struct tm_airflow_options *ret);
/* All that is due has ended and every pipeline has consumed its topics to the end and committed. */
bool tm_instance_idle(struct tm_instance *instance);
/* {"dags": …, "topics": …, "pipelines": …, "tables": …, "dead_letters": …, "findings": …, "ok": …}; *ret_ok: no DAG run and no pipeline
 * failed. */
tm_rc tm_instance_summary_json(struct tm_instance *instance, struct tm_buf *out, bool *ret_ok, struct tm_err *err) TM_CHECKED;
/* DAG runs that ended since the start: [{"dag_id", "runs": [{"run_id", "state", "tasks": {state: count}, "error"}]}]. */
struct json_t *tm_dag_summary_list(struct tm_dag *dag);
/* The same for people. */
void tm_summary_text(struct tm_str json, bool color, struct tm_buf *out);
#endif
