/* The picture of the whole run: DAGs, topics with rates, pipelines with their operators, tables, dead letters, and what is
 * connected with what. */
#include "cql/cql.h"
#include "dag/dag.h"
#include "http/http_int.h"
#include "sql/sql.h"
#include "stream/broker.h"
#include "stream/tables.h"
#include "table/table.h"
#include <stdio.h>
#include <stdlib.h>

/* Appends what fn writes as JSON text. */
static json_t *from_text(struct tm_buf *raw)
{
	json_t *v = json_loadb(raw->at ? raw->at : "", raw->len, 0, NULL);
	tm_buf_done(raw);
	return v ? v : json_array();
}

/* Records per second between two looks that are at least half a second apart. */
static double rate_locked(struct tm_http_server *s, const char *name, int64_t records, double seconds)
{
	for (size_t i = 0; i < s->rate_count; i++) {
		struct tm_http_rate *r = &s->rates[i];
		if (strcmp(r->name, name) != 0)
			continue;
		if (seconds >= 0.5) {
			r->per_s = records > r->records ? (double)(records - r->records) / seconds : 0;
			r->records = records;
		}
		return r->per_s;
	}
	s->rates = tm_realloc(s->rates, (s->rate_count + 1) * sizeof *s->rates);
	struct tm_http_rate *r = &s->rates[s->rate_count++];
	*r = (struct tm_http_rate){.records = records};
	snprintf(r->name, sizeof r->name, "%s", name);
	return 0;
}

json_t *tm_http_topics(struct tm_http_server *s)
{
	json_t *list = json_array();
	struct tm_broker *broker = s->world.broker;
	struct tm_broker_topic *topics = NULL;
	size_t n = 0;
	struct tm_arena arena;
	tm_arena_init(&arena);
	if (broker && broker->klass->topics(broker, true, &arena, &topics, &n, NULL))
		n = 0; /* it is away: the pipelines say so */
	pthread_mutex_lock(&s->lock);
	int64_t now = tm_mono_ns(tm_env_real());
	double seconds = (double)(now - s->rates_at_ns) / 1e9;
	if (seconds >= 0.5)
		s->rates_at_ns = now;
	for (size_t i = 0; i < n; i++) {
		const struct tm_broker_topic *t = &topics[i];
		char text[256];
		snprintf(text, sizeof text, "%.*s", TM_STR_ARG(t->name));
		if (!t->internal)
			json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:o, s:f}", "name", text, "partitions", (int)t->partitions,
							      "records", (json_int_t)t->records, "bytes",
							      t->bytes < 0 ? json_null() : json_integer(t->bytes), "rate",
							      rate_locked(s, text, t->end, seconds)));
	}
	pthread_mutex_unlock(&s->lock);
	tm_arena_done(&arena);
	return list;
}

enum { COUNT_AGE_MS = 2000 }; /* of rows of outside tables */

json_t *tm_http_tables(struct tm_http_server *s)
{
	json_t *list = json_array();
	const struct tm_table_def **tables = NULL;
	size_t n = 0;
	const struct tm_stream_world own = {.store = s->world.store}, *world = s->world.stream ? s->world.stream : &own;
	if (tm_tables_list(world, &tables, &n, NULL) != TM_OK)
		n = 0; /* what is away is said by the findings */
	static const char *const kinds[] = {"partition_key", "clustering", "static", "regular"};
	for (size_t i = 0; i < n; i++) {
		const struct tm_table_def *d = tables[i];
		int64_t rows = 0;
		if (tm_tables_count(world, d, COUNT_AGE_MS, &rows, NULL) != TM_OK)
			rows = -1;
		json_t *columns = json_array();
		for (size_t c = 0; c < d->column_count; c++) {
			struct tm_buf type = {0};
			tm_cql_type_text(d->columns[c].type, &type);
			json_array_append_new(columns, json_pack("{s:o, s:s, s:s}", "name", tm_http_text(d->columns[c].name), "type",
								 tm_buf_cstr(&type), "kind", kinds[d->columns[c].kind]));
			tm_buf_done(&type);
		}
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "keyspace", tm_http_text(d->keyspace), "name",
						      tm_http_text(d->name), "rows", rows < 0 ? json_null() : json_integer(rows), "columns",
						      columns));
		tm_tables_unref(world, d);
	}
	free(tables);
	return list;
}

static json_t *options_json(const struct tm_option *options, size_t n)
{
	json_t *o = json_object();
	for (size_t i = 0; i < n; i++) {
		char name[128];
		snprintf(name, sizeof name, "%.*s", TM_STR_ARG(options[i].name));
		json_object_set_new(o, name, tm_http_text(options[i].value));
	}
	return o;
}

static json_t *query_json(const struct tm_pipeline *pipeline, const struct tm_query_spec *spec, struct tm_query *query,
			  struct tm_arena *arena)
{
	static const char *const states[] = {"running", "stopped", "failed"}, *const modes[] = {"append", "update", "complete"};
	struct tm_query_progress p;
	tm_query_progress(query, arena, &p);
	json_t *dead = json_object(), *ops = json_array();
	for (size_t i = 0; i < p.dead_count; i++)
		json_object_set_new(dead, p.dead[i].reason, json_integer(p.dead[i].rows));
	for (size_t i = 0; i < p.op_count; i++)
		json_array_append_new(ops, json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "id", (int)p.ops[i].op_id, "label", p.ops[i].label,
						     "rows_in", (json_int_t)p.ops[i].rows_in, "rows_out", (json_int_t)p.ops[i].rows_out,
						     "state_rows", (json_int_t)p.ops[i].state_rows, "dropped_late",
						     (json_int_t)p.ops[i].dropped_late));
	json_t *q = json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:o, s:o, s:o, s:o}", "name", tm_http_text(p.name),
			      "file", tm_http_text(pipeline->file), "state", states[p.state], "mode", modes[spec->mode], "batches",
			      (json_int_t)p.batches, "rows_read", (json_int_t)p.rows_read, "rows_written", (json_int_t)p.rows_written,
			      "rows_late", (json_int_t)p.rows_late, "rows_per_second", p.rows_per_second, "last_batch_ms",
			      (json_int_t)p.last_batch_ms, "dead_lettered", dead, "ops", ops, "sink",
			      json_pack("{s:o, s:o}", "format", tm_http_text(spec->sink_format), "options",
					options_json(spec->sink_options, spec->sink_option_count)),
			      "watermark_ms", p.watermark_ms == INT64_MIN ? json_null() : json_integer(p.watermark_ms));
	json_object_set_new(q, "waiting", p.waiting.len ? tm_http_text(p.waiting) : json_null());
	json_object_set_new(q, "lag", p.lag < 0 ? json_null() : json_integer(p.lag));
	if (p.state == TM_QUERY_FAILED)
		json_object_set_new(q, "error",
				    json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i}", "class", p.error.klass, "what", p.error.what, "detail",
					      p.error.detail, "hint", p.error.hint, "file", p.error.file, "line", p.error.line, "column",
					      p.error.column));
	return q;
}

static json_t *pipelines_json(struct tm_http_server *s, json_t *edges)
{
	json_t *list = json_array();
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < s->world.pipeline_count; i++) {
		const struct tm_pipeline *p = s->world.pipelines[i].pipeline;
		for (size_t q = 0; q < p->query_count; q++) {
			/* A leader that takes over starts them while the page is served. */
			struct tm_query *query = __atomic_load_n(&s->world.pipelines[i].queries[q], __ATOMIC_ACQUIRE);
			if (query)
				json_array_append_new(list, query_json(p, &p->queries[q], query, &arena));
		}
		for (size_t e = 0; e < p->edge_count; e++)
			json_array_append_new(
			    edges, json_pack("{s:o, s:o}", "from", tm_http_text(p->edges[e].from), "to", tm_http_text(p->edges[e].to)));
	}
	tm_arena_done(&arena);
	return list;
}

static json_t *findings_json(struct tm_http_server *s)
{
	struct tm_buf raw = {0};
	if (s->world.findings)
		s->world.findings(s->world.findings_ctx, &raw);
	return from_text(&raw);
}

static json_t *writers_json(struct tm_http_server *s)
{
	struct tm_buf raw = {0};
	if (s->world.writers)
		s->world.writers(s->world.writers_ctx, &raw);
	return from_text(&raw);
}

/* null: the project has no coordinator. */
static json_t *coordinator_json(struct tm_http_server *s)
{
	struct tm_buf raw = {0};
	if (!s->world.coordinator)
		return json_null();
	s->world.coordinator(s->world.coordinator_ctx, &raw);
	return from_text(&raw);
}

static json_t *dead_letters_json(struct tm_http_server *s)
{
	const struct tm_table_def *def = s->world.store ? tm_store_table(s->world.store, TM_STR("tidemill"), TM_STR("dead_letters")) : NULL;
	int64_t rows = 0;
	if (def) {
		(void)!tm_table_count(s->world.store, def, &rows, NULL);
		tm_table_def_unref(s->world.store, def);
	}
	return json_pack("{s:I}", "rows", (json_int_t)rows);
}

json_t *tm_http_status(struct tm_http_server *s)
{
	struct tm_buf dags = {0}, runs = {0};
	if (s->world.dag) {
		(void)!tm_dag_list_json(s->world.dag, &dags, NULL);
		(void)!tm_dag_runs_json(s->world.dag, NULL, 30, 0, &runs, NULL);
	}
	json_t *edges = json_array(), *pipelines = pipelines_json(s, edges);
	json_t *all =
	    json_pack("{s:s, s:s, s:f, s:{s:i, s:i, s:i}, s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
		      TM_VERSION, "project", s->world.project_dir ? s->world.project_dir : "", "uptime_s",
		      (double)(tm_mono_ns(tm_env_real()) - s->started_ns) / 1e9, "doors", "kafka", s->world.kafka_port, "cassandra",
		      s->world.cassandra_port, "http", s->port, "broker", "kind", s->world.broker ? s->world.broker->klass->name : "none",
		      "address", s->world.broker ? s->world.broker->address : "", "dags", from_text(&dags), "runs", from_text(&runs),
		      "topics", tm_http_topics(s), "pipelines", pipelines, "edges", edges, "writers", writers_json(s), "tables",
		      tm_http_tables(s), "dead_letters", dead_letters_json(s), "findings", findings_json(s));
	json_object_set_new(all, "coordinator", coordinator_json(s));
	return all;
}

tm_rc tm_http_api_status(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	(void)err;
	tm_http_put(a, tm_http_status(r->server));
	return TM_OK;
}

tm_rc tm_http_api_tables(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	(void)err;
	tm_http_put(a, tm_http_tables(r->server));
	return TM_OK;
}

tm_rc tm_http_api_diagnosis(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	(void)err;
	tm_http_put(a, findings_json(r->server));
	return TM_OK;
}
