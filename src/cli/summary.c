/* What a run came to: as JSON, and for people. */
#include "cli/instance.h"
#include "cli/diagnose.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static json_t *text(struct tm_str s) { return json_stringn_nocheck(s.at ? s.at : "", s.len); }

static json_t *topics_json(struct tm_instance *in)
{
	json_t *list = json_array();
	struct tm_arena arena;
	struct tm_broker_topic *topics;
	size_t n;
	tm_arena_init(&arena);
	if (in->broker->klass->topics(in->broker, true, &arena, &topics, &n, NULL))
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (!topics[i].internal)
			json_array_append_new(list, json_pack("{s:o, s:i, s:I}", "name", text(topics[i].name), "partitions",
							      (int)topics[i].partitions, "records", (json_int_t)topics[i].records));
	tm_arena_done(&arena);
	return list;
}

static json_t *query_json(const struct tm_query_progress *p, struct tm_str file)
{
	static const char *const states[] = {"running", "stopped", "failed"};
	json_t *dead = json_object();
	int64_t dead_total = 0;
	for (size_t i = 0; i < p->dead_count; i++) {
		json_object_set_new(dead, p->dead[i].reason, json_integer(p->dead[i].rows));
		dead_total += p->dead[i].rows;
	}
	json_t *q =
	    json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "name", text(p->name), "file", text(file), "state", states[p->state],
		      "batches", (json_int_t)p->batches, "rows_read", (json_int_t)p->rows_read, "rows_written", (json_int_t)p->rows_written,
		      "rows_late", (json_int_t)p->rows_late, "rows_dead_lettered", (json_int_t)dead_total, "dead_lettered", dead);
	if (p->watermark_ms != INT64_MIN) {
		char when[40];
		time_t seconds = (time_t)(p->watermark_ms / 1000);
		struct tm tm;
		gmtime_r(&seconds, &tm);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
		json_object_set_new(q, "watermark", json_string(when));
	} else {
		json_object_set_new(q, "watermark", json_null());
	}
	json_object_set_new(q, "lag", p->lag < 0 ? json_null() : json_integer(p->lag));
	json_object_set_new(q, "waiting", p->waiting.len ? text(p->waiting) : json_null());
	if (p->state == TM_QUERY_FAILED)
		json_object_set_new(q, "error",
				    json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i}", "class", p->error.klass, "message", p->error.what,
					      "detail", p->error.detail, "hint", p->error.hint, "file", p->error.file, "line",
					      p->error.line, "column", p->error.column));
	return q;
}

static json_t *pipelines_json(struct tm_instance *in, bool *ok)
{
	json_t *list = json_array();
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < in->pipeline_count; i++)
		for (size_t q = 0; q < in->pipelines[i].pipeline->query_count; q++) {
			struct tm_query_progress p;
			struct tm_query *query = __atomic_load_n(&in->pipelines[i].queries[q], __ATOMIC_ACQUIRE);
			if (!query) /* another instance runs them */
				continue;
			tm_query_progress(query, &arena, &p);
			json_array_append_new(list, query_json(&p, in->pipelines[i].pipeline->file));
			*ok &= p.state != TM_QUERY_FAILED;
		}
	tm_arena_done(&arena);
	return list;
}

static json_t *tables_json(struct tm_instance *in)
{
	json_t *list = json_array();
	const struct tm_table_def **tables = NULL;
	size_t n = 0;
	struct tm_err err = {0};
	if (tm_tables_list(&in->world, &tables, &n, &err) != TM_OK)
		tm_say_err("tidemill", &err);
	for (size_t i = 0; i < n; i++) {
		int64_t rows = 0;
		bool ours = tm_str_is(tables[i]->keyspace, "tidemill"); /* the dead letters are told per pipeline */
		if (!ours) {
			bool known = tm_tables_count(&in->world, tables[i], 0, &rows, &err) == TM_OK;
			if (!known)
				tm_say_err("tidemill", &err);
			json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "keyspace", text(tables[i]->keyspace), "name",
							      text(tables[i]->name), "rows", known ? json_integer(rows) : json_null()));
		}
		tm_tables_unref(&in->world, tables[i]);
	}
	free(tables);
	return list;
}

/* The engine's {dag_id: {…, "runs": […]}} as a list, tasks of a run counted by state. */
json_t *tm_dag_summary_list(struct tm_dag *dag)
{
	json_t *list = json_array();
	struct tm_buf raw = {0};
	if (tm_dag_summary_json(dag, &raw, NULL) != TM_OK)
		return list;
	json_t *dags = json_loadb(raw.at, raw.len, 0, NULL), *d, *run, *task;
	const char *id;
	size_t r, t;
	json_object_foreach(dags, id, d)
	{
		json_array_foreach(json_object_get(d, "runs"), r, run)
		{
			json_t *states = json_object();
			json_array_foreach(json_object_get(run, "tasks"), t, task)
			{
				const char *state = json_string_value(json_object_get(task, "state")),
					   *error = json_string_value(json_object_get(task, "error"));
				state = state ? state : "none";
				json_object_set_new(states, state, json_integer(json_integer_value(json_object_get(states, state)) + 1));
				if (error && *error && strcmp(state, "failed") == 0 && !json_object_get(run, "error"))
					json_object_set_new(
					    run, "error",
					    json_sprintf("task %s: %s", json_string_value(json_object_get(task, "task_id")), error));
			}
			json_object_set(run, "task_instances", json_object_get(run, "tasks"));
			json_object_set_new(run, "tasks", states);
		}
		json_object_set_new(d, "dag_id", json_string(id));
		json_array_append(list, d);
	}
	json_decref(dags);
	tm_buf_done(&raw);
	return list;
}

tm_rc tm_instance_summary_json(struct tm_instance *in, struct tm_buf *out, bool *ret_ok, struct tm_err *err)
{
	(void)err;
	bool ok = true;
	double elapsed = (double)(tm_mono_ns(tm_env_real()) - in->started_ns) / 1e9; /* without the counting below */
	json_t *dags = json_array();
	if (in->dag) {
		json_decref(dags);
		dags = tm_dag_summary_list(in->dag);
		struct tm_dag_counts counts;
		tm_dag_counts(in->dag, &counts);
		ok &= counts.runs_failed == 0 && counts.import_errors == 0;
	}
	json_t *pipelines = pipelines_json(in, &ok), *topics = topics_json(in), *tables = tables_json(in);
	struct tm_buf raw = {0};
	tm_diagnose_json(in, &raw);
	json_t *findings = json_loadb(raw.at, raw.len, 0, NULL);
	tm_buf_done(&raw);
	json_t *all = json_pack("{s:b, s:f, s:o, s:o, s:o, s:o, s:o}", "ok", ok, "elapsed_s", elapsed, "dags", dags ? dags : json_array(),
				"topics", topics, "pipelines", pipelines, "tables", tables, "findings", findings ? findings : json_array());
	char *s = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
	tm_buf_cstr_put(out, s);
	free(s);
	json_decref(all);
	*ret_ok = ok;
	return TM_OK;
}

/* ---- for people ---- */

static void paint(struct tm_buf *out, bool color, const char *code, const char *s)
{
	if (color)
		tm_buf_printf(out, "\033[%sm%s\033[0m", code, s);
	else
		tm_buf_cstr_put(out, s);
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static long long num(const json_t *o, const char *key) { return (long long)json_integer_value(json_object_get(o, key)); }

static void dags_text(const json_t *dags, bool color, struct tm_buf *out)
{
	size_t i;
	json_t *d;
	json_array_foreach(dags, i, d)
	{
		const json_t *runs = json_object_get(d, "runs");
		size_t r;
		json_t *run;
		json_array_foreach(runs, r, run)
		{
			bool good = strcmp(str(run, "state"), "success") == 0;
			tm_buf_printf(out, "  dag      %-28s ", str(d, "dag_id"));
			paint(out, color, good ? "32" : "31", str(run, "state"));
			const json_t *tasks = json_object_get(run, "tasks");
			const char *state;
			json_t *n;
			tm_buf_cstr_put(out, "  tasks:");
			json_object_foreach((json_t *)(uintptr_t)tasks, state, n) if (json_is_integer(n))
			    tm_buf_printf(out, " %lld %s", (long long)json_integer_value(n), state);
			tm_buf_printf(out, "  (%s)\n", str(run, "run_id"));
		}
	}
}

void tm_summary_text(struct tm_str raw, bool color, struct tm_buf *out)
{
	json_t *all = json_loadb(raw.at, raw.len, 0, NULL), *x;
	size_t i;
	dags_text(json_object_get(all, "dags"), color, out);
	json_array_foreach(json_object_get(all, "topics"), i, x)
	    tm_buf_printf(out, "  topic    %-28s %lld records, %lld partition%s\n", str(x, "name"), num(x, "records"), num(x, "partitions"),
			  num(x, "partitions") == 1 ? "" : "s");
	json_array_foreach(json_object_get(all, "pipelines"), i, x)
	{
		tm_buf_printf(out, "  pipeline %-28s %lld read, %lld written, %lld dead-lettered", str(x, "name"), num(x, "rows_read"),
			      num(x, "rows_written"), num(x, "rows_dead_lettered"));
		const char *reason;
		json_t *n;
		const char *between = " (";
		json_object_foreach(json_object_get(x, "dead_lettered"), reason, n)
		{
			tm_buf_printf(out, "%s%lld %s", between, (long long)json_integer_value(n), reason);
			between = ", ";
		}
		tm_buf_cstr_put(out, strcmp(between, " (") ? ")" : "");
		if (strcmp(str(x, "state"), "failed") == 0) {
			tm_buf_char(out, ' ');
			paint(out, color, "31", "failed");
			const json_t *e = json_object_get(x, "error");
			tm_buf_printf(out, "\n           [%s] %s", str(e, "class"), str(e, "message"));
			if (num(e, "line"))
				tm_buf_printf(out, "\n           %s:%lld:%lld", str(e, "file"), num(e, "line"), num(e, "column"));
		}
		tm_buf_char(out, '\n');
	}
	json_array_foreach(json_object_get(all, "tables"), i, x)
	{
		char name[200];
		snprintf(name, sizeof name, "%s.%s", str(x, "keyspace"), str(x, "name"));
		if (json_is_integer(json_object_get(x, "rows")))
			tm_buf_printf(out, "  table    %-28s %lld rows\n", name, num(x, "rows"));
		else
			tm_buf_printf(out, "  table    %-28s rows could not be counted\n", name);
	}
	json_t *findings = json_object_get(all, "findings");
	if (json_array_size(findings)) {
		char *s = json_dumps(findings, JSON_COMPACT);
		tm_findings_text(tm_str_of(s), color, out);
		free(s);
	}
	json_decref(all);
}
