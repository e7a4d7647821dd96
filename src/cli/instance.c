/* Starting and stopping the parts of a project. The order is: data, tables, doors, pipelines, DAGs, so that whatever a DAG does
 * first finds a broker that answers and a pipeline that waits. */
#include "cli/instance.h"
#include "cli/coordinator.h"
#include "cli/diagnose.h"
#include "cli/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the project's folders ---- */

typedef tm_rc (*file_fn)(struct tm_instance *in, const char *path, struct tm_err *err);

static tm_rc each_file(struct tm_instance *in, const char *folder, const char *suffix, file_fn each, struct tm_err *err)
{
	char dir[4096], path[8192];
	snprintf(dir, sizeof dir, "%s/%s", in->config.dir, folder);
	if (access(dir, F_OK) != 0)
		return TM_OK;
	char **names;
	size_t count;
	TM_TRY(tm_dir_list(dir, suffix, &names, &count, err));
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < count && rc == TM_OK; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		rc = each(in, path, err);
	}
	tm_dir_list_free(names, count);
	return rc;
}

/* ---- the pipelines folder ---- */

static void batch_done(void *ctx, struct tm_query *query)
{
	(void)query;
	struct tm_instance *in = ctx;
	struct tm_http_server *http = __atomic_load_n(&in->http, __ATOMIC_ACQUIRE);
	if (http)
		tm_http_server_changed(http);
}

static tm_rc load_pipeline(struct tm_instance *in, const char *path, struct tm_err *err)
{
	struct tm_buf text = {0};
	TM_TRY(tm_file_read(tm_env_real(), path, TM_LIMIT_SQL_BYTES, &text, err));
	struct tm_str kept = tm_arena_str(&in->arena, tm_buf_str(&text)), file = tm_arena_str(&in->arena, tm_str_of(path));
	tm_buf_done(&text);
	struct tm_pipeline *pipeline;
	tm_rc rc = tm_sql_pipeline(in->sql, file, kept, false, &pipeline, err);
	if (rc != TM_OK) {
		if (!err->file[0])
			tm_err_at(err, path, err->line, err->column);
		return rc;
	}
	struct tm_pipeline_run run = {pipeline, TM_NEW_N(&in->arena, struct tm_query *, pipeline->query_count ? pipeline->query_count : 1)};
	struct tm_pipeline_run *grown = TM_NEW_N(&in->arena, struct tm_pipeline_run, in->pipeline_count + 1);
	if (in->pipeline_count)
		memcpy(grown, in->pipelines, in->pipeline_count * sizeof *grown);
	grown[in->pipeline_count++] = run;
	in->pipelines = grown;
	return TM_OK;
}

tm_rc tm_instance_queries_start(struct tm_instance *in, struct tm_err *err)
{
	if (tm_engine_is_spark(&in->config)) {
		TM_TRY(tm_instance_engine_start(in, err));
		for (size_t p = 0; p < in->pipeline_count; p++)
			for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
				tm_query_on_batch(in->pipelines[p].queries[q], batch_done, in);
		return TM_OK;
	}
	for (size_t p = 0; p < in->pipeline_count; p++) {
		const struct tm_pipeline *pipeline = in->pipelines[p].pipeline;
		for (size_t q = 0; q < pipeline->query_count; q++) {
			const struct tm_query_spec *spec = &pipeline->queries[q];
			if (in->pipelines[p].queries[q])
				continue; /* begun, before another one had to wait */
			tm_rc rc = tm_query_check(spec, err);
			struct tm_query *query = NULL;
			if (rc == TM_OK)
				rc = tm_query_start(&in->world, spec, &query, err);
			if (rc != TM_OK) {
				if (!err->file[0])
					tm_err_at(err, spec->file.at ? spec->file.at : "", err->line ? err->line : spec->line,
						  err->column ? err->column : 1);
				return rc;
			}
			tm_query_on_batch(query, batch_done, in);
			__atomic_store_n(&in->pipelines[p].queries[q], query, __ATOMIC_RELEASE); /* the page may be looking */
		}
	}
	return TM_OK;
}

/* ---- doors ---- */

enum { PORTS_TRIED = 50 };

/* Starts a door at its address; where the port is taken, at the next free one if that is wanted. */
#define START_DOOR(in, options_, key, address, start_call, door_name)                                                                      \
	do {                                                                                                                               \
		int wanted_ = (address)->port;                                                                                             \
		tm_rc rc_ = TM_BUSY;                                                                                                       \
		for (int try_ = 0; try_ < PORTS_TRIED; try_++) {                                                                           \
			rc_ = (start_call);                                                                                                \
			if (rc_ != TM_BUSY || !(options_)->next_free_port || (address)->port == 0)                                         \
				break;                                                                                                     \
			(address)->port++;                                                                                                 \
		}                                                                                                                          \
		if (rc_ == TM_BUSY) {                                                                                                      \
			tm_err_hint(err, "Stop what listens there, or set %s (environment TIDEMILL_%s) to another address.", key,          \
				    door_name);                                                                                            \
			return rc_;                                                                                                        \
		}                                                                                                                          \
		TM_TRY(rc_);                                                                                                               \
		if ((address)->port != wanted_ && wanted_)                                                                                 \
			tm_say(TM_SAY_WARN, "tidemill", "port %d is taken: %s listens on %d", wanted_, key, (address)->port);              \
	} while (0)

static tm_rc start_doors(struct tm_instance *in, const struct tm_instance_options *options, struct tm_err *err)
{
	struct tm_config *c = &in->config;
	struct tm_kafka_options kafka = {
	    .host = c->kafka.host,
	    .log_dir = tm_arena_printf(&in->arena, "%s/log", c->data).at,
	    .advertised_host = c->kafka_advertised.port ? c->kafka_advertised.host : NULL,
	    .advertised_port = c->kafka_advertised.port,
	    .published_host = c->kafka_published.host,
	    .published_port = c->kafka_published.port,
	};
	if (!tm_instance_broker_outside(in)) {
		START_DOOR(in, options, "listen.kafka", &c->kafka,
			   (kafka.port = c->kafka.port, tm_kafka_server_start(in->log, &kafka, &in->kafka, err)), "LISTEN_KAFKA");
		c->kafka.port = tm_kafka_server_port(in->kafka);
	}
	if (in->tables) {
		c->cassandra.port = 0; /* the real one is asked itself */
		return TM_OK;
	}
	struct tm_cassandra_options cassandra = {.host = c->cassandra.host};
	START_DOOR(in, options, "listen.cassandra", &c->cassandra,
		   (cassandra.port = c->cassandra.port, tm_cassandra_server_start(in->store, &cassandra, &in->cassandra, err)),
		   "LISTEN_CASSANDRA");
	c->cassandra.port = tm_cassandra_server_port(in->cassandra);
	return TM_OK;
}

static void findings(void *ctx, struct tm_buf *out) { tm_diagnose_json(ctx, out); }

static void writers(void *ctx, struct tm_buf *out)
{
	struct tm_instance *in = ctx;
	struct tm_kafka_writer *list = NULL;
	size_t n = in->kafka ? tm_kafka_server_writers(in->kafka, &list) : 0;
	tm_buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		tm_buf_cstr_put(out, i ? ",{\"client_id\":" : "{\"client_id\":");
		tm_buf_json_str(out, tm_str_of(list[i].client_id));
		tm_buf_cstr_put(out, ",\"topic\":");
		tm_buf_json_str(out, tm_str_of(list[i].topic));
		tm_buf_char(out, '}');
	}
	tm_buf_char(out, ']');
	free(list);
}
static void coordinator(void *ctx, struct tm_buf *out) { tm_coordinator_json(ctx, out); }

static tm_rc start_http(struct tm_instance *in, const struct tm_instance_options *options, struct tm_err *err)
{
	struct tm_config *c = &in->config;
	in->shown = TM_NEW_N(&in->arena, struct tm_http_pipeline, in->pipeline_count ? in->pipeline_count : 1);
	for (size_t i = 0; i < in->pipeline_count; i++)
		in->shown[i] = (struct tm_http_pipeline){in->pipelines[i].pipeline, in->pipelines[i].queries};
	struct tm_http_world world = {
	    .project_dir = c->dir,
	    .kafka_port = in->kafka ? c->kafka.port : 0,
	    .cassandra_port = c->cassandra.port,
	    .broker = in->broker,
	    .store = in->store,
	    .dag = in->dag,
	    .stream = &in->world,
	    .pipelines = in->shown,
	    .pipeline_count = in->pipeline_count,
	    .findings = findings,
	    .findings_ctx = in,
	    .writers = writers,
	    .writers_ctx = in,
	    .coordinator = options->coordinator ? coordinator : NULL,
	    .coordinator_ctx = options->coordinator,
	};
	struct tm_http_options http = {.host = c->http.host, .trusted = tm_config_trusted(c), .names = c->names};
	struct tm_http_server *server = options->http ? *options->http : NULL;
	in->http_lent = options->http != NULL;
	if (server)
		tm_http_server_serve(server, &world);
	else
		START_DOOR(in, options, "listen.http", &c->http,
			   (http.port = c->http.port, tm_http_server_start(&world, &http, &server, err)), "LISTEN_HTTP");
	if (options->http)
		*options->http = server;
	c->http.port = tm_http_server_port(server);
	__atomic_store_n(&in->http, server, __ATOMIC_RELEASE);
	return TM_OK;
}

/* ---- DAGs ---- */

/* Names and ports under which tutorials reach their broker and their tables; all lead to our doors. */
static const struct {
	const char *name;
	bool kafka;
} usual_names[] = {
    {"broker", true},       {"kafka", true},    {"kafka1", true},     {"kafka2", true},        {"kafka3", true},
    {"kafka-broker", true}, {"redpanda", true}, {"cassandra", false}, {"cassandra_db", false}, {"cassandra-db", false},
};
static const int kafka_ports[] = {9092, 9093, 29092, 19092}, cassandra_ports[] = {9042};

/* Leads name:port to the broker, unless that is where it is. */
static void route_kafka(struct tm_instance *in, const char *name, int port, struct tm_airflow_route *routes, size_t *n)
{
	const char *host;
	int to;
	tm_instance_broker_address(in, &host, &to);
	if (!tm_instance_broker_is_at(in, name, port) && !(to == port && strcmp(host, name) == 0))
		routes[(*n)++] = (struct tm_airflow_route){name, port, host, to};
}

static void add_routes(struct tm_instance *in, const char *name, bool kafka, bool cassandra, struct tm_airflow_route *routes, size_t *n)
{
	const char *store_host;
	int store_port;
	tm_instance_store_address(in, &store_host, &store_port);
	for (size_t i = 0; kafka && i < sizeof kafka_ports / sizeof *kafka_ports; i++)
		route_kafka(in, name, kafka_ports[i], routes, n);
	for (size_t i = 0; cassandra && i < sizeof cassandra_ports / sizeof *cassandra_ports; i++)
		if (strcmp(name, store_host) != 0 || cassandra_ports[i] != store_port)
			routes[(*n)++] = (struct tm_airflow_route){name, cassandra_ports[i], store_host, store_port};
}

static const struct tm_airflow_pair *pairs(struct tm_arena *arena, const struct tm_pair *from, size_t n)
{
	struct tm_airflow_pair *to = TM_NEW_N(arena, struct tm_airflow_pair, n ? n : 1);
	for (size_t i = 0; i < n; i++)
		to[i] = (struct tm_airflow_pair){tm_arena_cstr(arena, from[i].name), tm_arena_cstr(arena, from[i].value)};
	return to;
}

void tm_instance_settings(struct tm_instance *in, const struct tm_config *config)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	if (in->airflow)
		tm_airflow_settings(in->airflow, pairs(&arena, config->variables, config->variable_count), config->variable_count,
				    pairs(&arena, config->connections, config->connection_count), config->connection_count);
	tm_arena_done(&arena);
}

void tm_instance_airflow_options(struct tm_instance *in, struct tm_airflow_options *ret)
{
	const struct tm_config *c = &in->config;
	size_t usual = sizeof usual_names / sizeof *usual_names, n = 0;
	struct tm_airflow_route *routes = TM_NEW_N(&in->arena, struct tm_airflow_route, (usual + c->host_count + 2) * 8 + 8);
	for (size_t i = 0; i < c->host_count; i++) {
		const char *name = tm_arena_cstr(&in->arena, c->hosts[i].name);
		bool ours = tm_str_starts(c->hosts[i].value, TM_STR("127.")) || tm_str_is(c->hosts[i].value, "localhost");
		if (ours)
			add_routes(in, name, true, true, routes, &n);
		routes[n++] = (struct tm_airflow_route){name, 0, tm_arena_cstr(&in->arena, c->hosts[i].value), 0};
	}
	for (size_t i = 0; i < usual; i++)
		add_routes(in, usual_names[i].name, usual_names[i].kafka, !usual_names[i].kafka, routes, &n);
	/* localhost:9092 of a tutorial means our door, also when that listens elsewhere. */
	if (c->kafka.port != 9092 || tm_instance_broker_outside(in)) {
		route_kafka(in, "localhost", 9092, routes, &n);
		route_kafka(in, "127.0.0.1", 9092, routes, &n);
	}
	const char *store_host;
	int store_port;
	tm_instance_store_address(in, &store_host, &store_port);
	if (store_port != 9042 || (strcmp(store_host, "localhost") != 0 && strncmp(store_host, "127.", 4) != 0)) {
		routes[n++] = (struct tm_airflow_route){"localhost", 9042, store_host, store_port};
		routes[n++] = (struct tm_airflow_route){"127.0.0.1", 9042, store_host, store_port};
	}
	const char *python = c->python;
	if (!*python) {
		const char *own = tm_arena_printf(&in->arena, "%s/.venv/bin/python", c->dir).at;
		python = access(own, X_OK) == 0 ? own : NULL;
	} else if (!strchr(python, '/')) {
		python = c->python; /* found on the PATH */
	} else if (*python != '/') {
		python = tm_arena_printf(&in->arena, "%s/%s", c->dir, python).at;
	}
	*ret = (struct tm_airflow_options){
	    .project_dir = c->dir,
	    .dags_dir = tm_arena_printf(&in->arena, "%s/dags", c->dir).at,
	    .data_dir = c->data,
	    .python = python,
	    .routes = routes,
	    .route_count = n,
	    .variables = pairs(&in->arena, c->variables, c->variable_count),
	    .variable_count = c->variable_count,
	    .connections = pairs(&in->arena, c->connections, c->connection_count),
	    .connection_count = c->connection_count,
	};
}

static tm_rc start_dags(struct tm_instance *in, const struct tm_instance_options *options, struct tm_err *err)
{
	struct tm_airflow_options airflow;
	tm_instance_airflow_options(in, &airflow);
	airflow.no_watch = options->until_idle;
	if (access(airflow.dags_dir, F_OK) != 0)
		return TM_OK; /* a project without DAGs needs no Python */
	if (strcmp(in->config.orchestrator, "airflow") == 0)
		return TM_OK;
	struct tm_dag_options dag = {.data_dir = in->config.data, .due_only = options->until_idle, .standby = options->coordinator != NULL};
	TM_TRY(tm_dag_open(&dag, &in->dag, err));
	return tm_airflow_start(&airflow, in->dag, &in->airflow, err);
}

tm_rc tm_instance_load_files(struct tm_instance *in, struct tm_err *err)
{
	TM_TRY(each_file(in, "tables", ".cql", tm_instance_cql_file, err));
	return each_file(in, "pipelines", ".sql", load_pipeline, err);
}

static tm_rc load_config(struct tm_instance *in, const char *dir, const struct tm_instance_options *options, struct tm_err *err)
{
	if (options->coordinator)
		TM_TRY(tm_coordinator_config_load(options->coordinator, dir, &in->config, err));
	else
		TM_TRY(tm_config_load(&in->config, dir, err));
	return TM_OK;
}

static tm_rc start(struct tm_instance *in, const char *dir, const struct tm_instance_options *options, struct tm_err *err)
{
	TM_TRY(load_config(in, dir, options, err));
	char path[4200];
	TM_TRY(tm_dir_make(in->config.data, err));
	if (access(in->config.data, W_OK) != 0)
		return tm_fail(err, TM_DENIED, "the data directory %s cannot be written", in->config.data);
	snprintf(path, sizeof path, "%s/log", in->config.data);
	struct tm_log_options log = {0};
	TM_TRY(tm_log_open(path, &log, &in->log, err));
	snprintf(path, sizeof path, "%s/table", in->config.data);
	const struct tm_store_options store = {0};
	TM_TRY(tm_store_open(path, &store, &in->store, err));
	in->world = (struct tm_stream_world){.env = tm_env_real(), .log = in->log, .store = in->store, .project_dir = in->config.dir};
	TM_TRY(tm_instance_broker_start(in, err));
	TM_TRY(tm_instance_store_start(in, err));
	TM_TRY(each_file(in, "tables", ".cql", tm_instance_cql_file, err));
	if (!options->no_doors)
		TM_TRY(start_doors(in, options, err));
	struct tm_sql_options sql = {.world = &in->world, .time_zone = "UTC"};
	in->sql = tm_sql_new(&sql);
	TM_TRY(each_file(in, "pipelines", ".sql", load_pipeline, err));
	if (!options->coordinator)
		TM_TRY(tm_instance_queries_start(in, err));
	TM_TRY(start_dags(in, options, err));
	if (!options->no_doors) {
		TM_TRY(start_http(in, options, err));
		tm_http_server_ready(in->http, true);
	}
	if (options->coordinator) {
		TM_TRY(tm_coordinator_attach(options->coordinator, in, err));
		__atomic_store_n(&in->coordinator, options->coordinator, __ATOMIC_RELEASE); /* the page is served already */
	}
	return TM_OK;
}

tm_rc tm_instance_start(struct tm_instance *in, const char *dir, const struct tm_instance_options *options, struct tm_err *err)
{
	memset(in, 0, sizeof *in);
	tm_arena_init(&in->arena);
	in->started_ns = tm_mono_ns(tm_env_real());
	in->until_idle = options->until_idle;
	tm_rc rc = start(in, dir, options, err);
	if (rc != TM_OK)
		tm_instance_stop(in);
	return rc;
}

void tm_instance_stop(struct tm_instance *in)
{
	/* Queries and coordinator tell the page of changes, and the page's answers come from all: it ends between them. */
	if (in->coordinator)
		tm_coordinator_halt(in->coordinator);
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			tm_query_stop_soon(in->pipelines[p].queries[q]);
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			if (in->pipelines[p].queries[q])
				tm_query_stop(in->pipelines[p].queries[q]);
	tm_instance_engine_halt(in);
	struct tm_http_server *http = in->http;
	__atomic_store_n(&in->http, NULL, __ATOMIC_RELEASE);
	if (http && in->http_lent)
		tm_http_server_put_away(http);
	else
		tm_http_server_stop(http);
	tm_instance_engine_stop(in);
	tm_airflow_stop(in->airflow);
	if (in->dag)
		tm_dag_close(in->dag);
	if (in->coordinator)
		tm_coordinator_detach(in->coordinator);
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			tm_query_free(in->pipelines[p].queries[q]);
	tm_kafka_server_stop(in->kafka);
	tm_cassandra_server_stop(in->cassandra);
	if (in->sql)
		tm_sql_free(in->sql);
	tm_instance_store_stop(in);
	if (in->store)
		tm_store_close(in->store);
	tm_instance_broker_stop(in);
	tm_log_close(in->log);
	tm_arena_done(&in->arena);
	tm_config_done(&in->config);
	memset(in, 0, sizeof *in);
}

bool tm_instance_idle(struct tm_instance *in)
{
	if (in->coordinator && !tm_coordinator_acts(in->coordinator))
		return false;
	if (in->dag && !tm_dag_idle(in->dag)) {
		tm_instance_engine_disturbed(in);
		return false;
	}
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			if (!tm_query_caught_up(in->pipelines[p].queries[q]))
				return false;
	return true;
}
