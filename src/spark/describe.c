/* The description of a project's pipelines for the runner: version 1, a JSON object (docs/spark-engine.md). */
#include "spark/spark.h"
#include "cql/cql.h"
#include "table/table.h"
#include <jansson.h>
#include <stdio.h>

static json_t *text(struct tm_str s) { return json_stringn_nocheck(s.at ? s.at : "", s.len); }

static json_t *options_json(const struct tm_option *options, size_t n)
{
	json_t *o = json_object();
	for (size_t i = 0; i < n; i++) {
		char name[256];
		snprintf(name, sizeof name, "%.*s", TM_STR_ARG(options[i].name));
		json_object_set_new_nocheck(o, name, text(options[i].value));
	}
	return o;
}

static json_t *marks_json(const struct tm_step *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->mark_count; i++) {
		const struct tm_text_mark *m = &s->marks[i];
		if (m->kind != TM_MARK_STREAM && m->kind != TM_MARK_TABLE && m->kind != TM_MARK_WATERMARK)
			continue;
		json_t *one = json_pack("{s:s, s:I, s:I, s:o, s:i, s:i}", "kind",
					m->kind == TM_MARK_STREAM  ? "stream"
					: m->kind == TM_MARK_TABLE ? "table"
								   : "watermark",
					"from", (json_int_t)m->from, "to", (json_int_t)m->to, "name", text(m->name), "line", m->line,
					"column", m->column);
		if (m->kind == TM_MARK_WATERMARK) {
			json_object_set_new(one, "base_to", json_integer((json_int_t)m->base_to));
			json_object_set_new(one, "expr", text(m->expr));
			json_object_set_new(one, "alias", text(m->alias));
			json_object_set_new(one, "delay_us", json_integer(m->delay_us));
		}
		json_array_append_new(list, one);
	}
	return list;
}

static void add_query(json_t *o, const struct tm_step *s, const struct tm_query_spec *q)
{
	static const char *const modes[] = {"append", "update", "complete"};
	static const char *const triggers[] = {"asap", "processing_time", "available_now"};
	json_object_set_new(o, "table", text(s->name));
	json_object_set_new(o, "name", text(q->name));
	json_object_set_new(o, "format", text(q->sink_format));
	json_object_set_new(o, "options", options_json(q->sink_options, q->sink_option_count));
	json_object_set_new(o, "mode", json_string(modes[q->mode]));
	json_object_set_new(o, "trigger", json_string(triggers[q->trigger]));
	json_object_set_new(o, "interval_ms", json_integer(q->trigger_interval_ms));
	if (!s->drop_duplicates)
		return;
	json_t *columns = json_array();
	struct tm_str rest = s->duplicate_columns, name;
	while (rest.len && tm_str_split(&rest, ',', &name))
		json_array_append_new(columns, text(tm_str_trim(name)));
	json_object_set_new(o, s->within_watermark ? "dropDuplicatesWithinWatermark" : "dropDuplicates", columns);
}

static json_t *step_json(const struct tm_pipeline *p, const struct tm_step *s)
{
	static const char *const kinds[] = {"set", "source", "view", "query"};
	json_t *o = json_pack("{s:s, s:i, s:i, s:o}", "kind", kinds[s->kind], "line", s->line, "column", s->column, "name", text(s->name));
	if (s->kind == TM_STEP_SET)
		json_object_set_new(o, "value", text(s->value));
	if (s->kind == TM_STEP_SOURCE) {
		json_object_set_new(o, "format", text(s->format));
		json_object_set_new(o, "schema", text(s->schema));
		json_object_set_new(o, "options", options_json(s->options, s->option_count));
	}
	if (s->kind == TM_STEP_VIEW) {
		json_t *columns = json_array();
		for (size_t i = 0; i < s->column_count; i++)
			json_array_append_new(columns, text(s->columns[i]));
		json_object_set_new(o, "columns", columns);
	}
	if (s->kind == TM_STEP_QUERY)
		add_query(o, s, &p->queries[s->query]);
	if (s->text.at) {
		json_object_set_new(o, "text", text(s->text));
		json_object_set_new(o, "text_line", json_integer(s->text_line));
		json_object_set_new(o, "text_column", json_integer(s->text_column));
		json_object_set_new(o, "marks", marks_json(s));
	}
	return o;
}

/* ---- tables ---- */

static struct tm_str option_of(const struct tm_option *options, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (tm_str_iis(options[i].name, name))
			return options[i].value;
	return (struct tm_str){0};
}

static void add_table(json_t *tables, const struct tm_spark_tables *from, struct tm_str keyspace, struct tm_str name)
{
	static const char *const kinds[] = {"partition_key", "clustering", "static", "regular"};
	char key[256];
	const struct tm_table_def *d;
	if (!from->find || !keyspace.len || !name.len)
		return;
	snprintf(key, sizeof key, "%.*s.%.*s", TM_STR_ARG(keyspace), TM_STR_ARG(name));
	if (json_object_get(tables, key) || from->find(from->ctx, keyspace, name, &d, NULL) != TM_OK)
		return;
	json_t *columns = json_array();
	for (size_t i = 0; i < d->column_count; i++) {
		struct tm_buf type = {0};
		tm_cql_type_text(d->columns[i].type, &type);
		json_array_append_new(columns,
				      json_pack("[o, s, s]", text(d->columns[i].name), tm_buf_cstr(&type), kinds[d->columns[i].kind]));
		tm_buf_done(&type);
	}
	json_object_set_new_nocheck(tables, key, columns);
	from->release(from->ctx, d);
}

static json_t *tables_json(const struct tm_pipeline *const *pipelines, size_t count, const struct tm_spark_tables *from)
{
	json_t *tables = json_object();
	for (size_t p = 0; p < count; p++)
		for (size_t i = 0; i < pipelines[p]->step_count; i++) {
			const struct tm_step *s = &pipelines[p]->steps[i];
			const struct tm_option *o = s->options;
			size_t n = s->option_count;
			struct tm_str format = s->format;
			if (s->kind == TM_STEP_QUERY) {
				const struct tm_query_spec *q = &pipelines[p]->queries[s->query];
				o = q->sink_options;
				n = q->sink_option_count;
				format = q->sink_format;
			}
			if (tm_str_iis(format, "cassandra"))
				add_table(tables, from, option_of(o, n, "keyspace"), option_of(o, n, "table"));
		}
	return tables;
}

/* ---- the whole ---- */

static void set_some(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new_nocheck(o, key, json_string_nocheck(value));
}

json_t *tm_spark_describe(const struct tm_pipeline *const *pipelines, size_t count, const struct tm_spark_place *place,
			  const struct tm_spark_address *address)
{
	json_t *files = json_array(), *kafka = json_object(), *cassandra = json_object();
	for (size_t p = 0; p < count; p++) {
		json_t *steps = json_array();
		for (size_t i = 0; i < pipelines[p]->step_count; i++)
			json_array_append_new(steps, step_json(pipelines[p], &pipelines[p]->steps[i]));
		json_array_append_new(files, json_pack("{s:o, s:o}", "file", text(pipelines[p]->file), "steps", steps));
	}
	set_some(kafka, "servers", place->kafka);
	if (place->kafka_option_count)
		json_object_set_new(kafka, "options", options_json(place->kafka_options, place->kafka_option_count));
	set_some(cassandra, "hosts", place->cassandra_hosts);
	set_some(cassandra, "user", place->cassandra_user);
	set_some(cassandra, "password", place->cassandra_password);
	set_some(cassandra, "local_dc", place->cassandra_dc);
	json_t *all = json_pack("{s:i, s:o, s:o, s:o, s:b, s:o}", "version", 1, "kafka", kafka, "cassandra", cassandra, "tables",
				tables_json(pipelines, count, &place->tables), "until_idle", place->until_idle, "pipelines", files);
	set_some(all, "project", place->project_dir);
	set_some(all, "name", place->project_name);
	set_some(all, "checkpoint", place->checkpoint_dir);
	set_some(all, "scratch", place->scratch_dir);
	if (address) {
		json_t *conf = json_object();
		for (size_t i = 0; i < address->conf_count; i++) {
			char name[256];
			snprintf(name, sizeof name, "%.*s", TM_STR_ARG(address->conf[i].name));
			json_object_set_new_nocheck(conf, name, text(address->conf[i].value));
		}
		json_object_set_new(all, "conf", conf);
		set_some(all, "master", address->master);
		set_some(all, "jars", address->jars);
		set_some(all, "packages", address->packages);
		json_object_set_new(all, "cores", json_integer(address->cores));
	}
	return all;
}
