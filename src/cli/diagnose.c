/* Looks at all parts at once and says why nothing moves. Each rule below is one way in which public projects of this kind fail
 * to deliver a row; each names what it saw, why that stops the rows, and what to type next. */
#include "cli/diagnose.h"
#include "cli/coordinator.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct found {
	struct tm_instance *in;
	json_t *list;
	struct tm_broker_topic *topics;
	size_t topic_count;
};

__attribute__((format(printf, 4, 5))) static json_t *add(struct found *f, const char *severity, const char *subject, const char *fmt, ...)
{
	char what[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", severity, "subject", subject, "what", what, "why", "", "next", "");
	if (one)
		json_array_append_new(f->list, one);
	return one;
}

__attribute__((format(printf, 3, 4))) static void say(json_t *one, const char *key, const char *fmt, ...)
{
	char text[900];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (one)
		json_object_set_new(one, key, json_string(text));
}

/* ---- topics ---- */

static struct tm_str option(const struct tm_relation *r, const char *name)
{
	for (size_t i = 0; i < r->option_count; i++)
		if (tm_str_iis(r->options[i].name, name))
			return r->options[i].value;
	return (struct tm_str){0};
}

static bool subscribed(struct tm_instance *in, struct tm_str topic)
{
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t i = 0; i < in->pipelines[p].pipeline->relation_count; i++) {
			const struct tm_relation *r = in->pipelines[p].pipeline->relations[i];
			struct tm_str rest = option(r, "subscribe"), part;
			if (option(r, "subscribePattern").len || option(r, "assign").len)
				return true;
			while (tm_str_split(&rest, ',', &part))
				if (tm_str_eq(tm_str_trim(part), topic))
					return true;
		}
	return false;
}

/* The topic that has the records which a pipeline waits for elsewhere: not subscribed by anyone, the fullest. */
static int64_t elsewhere(const struct found *f, char *name, size_t size)
{
	int64_t best = 0;
	for (size_t i = 0; i < f->topic_count; i++) {
		const struct tm_broker_topic *t = &f->topics[i];
		int64_t records = t->internal || subscribed(f->in, t->name) ? 0 : t->records;
		if (records > best) {
			best = records;
			snprintf(name, size, "%.*s", TM_STR_ARG(t->name));
		}
	}
	return best;
}

static void empty_topics(struct found *f, const struct tm_pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->relation_count; i++) {
		const struct tm_relation *r = pipeline->relations[i];
		struct tm_str rest = option(r, "subscribe"), part;
		if (!r->streaming && !tm_str_is(r->format, "kafka"))
			continue;
		while (rest.len && tm_str_split(&rest, ',', &part)) {
			part = tm_str_trim(part);
			int64_t records = -1;
			for (size_t t = 0; t < f->topic_count; t++)
				if (tm_str_eq(f->topics[t].name, part))
					records = f->topics[t].records;
			if (records > 0)
				continue;
			char name[260] = "", subject[300];
			snprintf(subject, sizeof subject, "topic %.*s", TM_STR_ARG(part));
			int64_t others = elsewhere(f, name, sizeof name);
			json_t *one = add(f, others ? "error" : "warning", subject,
					  records < 0 ? "topic %.*s does not exist" : "topic %.*s has 0 records", TM_STR_ARG(part));
			if (others) {
				say(one, "why", "%lld records are in topic %s, which no pipeline reads", (long long)others, name);
				say(one, "next", "Subscribe to '%s' in %.*s, or let the producer send to '%.*s'.", name,
				    TM_STR_ARG(pipeline->file), TM_STR_ARG(part));
			} else {
				say(one, "why", "nothing has been produced to it yet");
				say(one, "next",
				    "Run the DAG that fills it (`tidemill dag list`, `tidemill dag trigger DAG_ID`), or `tidemill topic "
				    "produce %.*s`.",
				    TM_STR_ARG(part));
			}
		}
	}
}

static void broker_away(struct found *f, const struct tm_err *err)
{
	json_t *one = add(f, "error", "broker", "%s", err->what);
	say(one, "why", "%s", err->detail[0] ? err->detail : "topics are neither read nor written meanwhile; nothing is lost");
	say(one, "next", "Look at %s; everything goes on by itself when it answers again.", f->in->broker->address);
}

/* ---- pipelines ---- */

static const struct {
	const char *reason, *why, *next;
} reasons[] = {
    {"null_key", "a primary key column is null in them, and a table cannot store a row without its key",
     "Look at one (`tidemill cql \"SELECT * FROM tidemill.dead_letters LIMIT 5\"`): the producer does not send that field, or names it "
     "otherwise than the schema of from_json."},
    {"late", "their event time is older than the watermark, so their window is closed",
     "Give WATERMARK … DELAY OF a longer interval, or look at the clock of the producer."},
    {"malformed", "they are no JSON that fits the schema",
     "Look at one with `tidemill topic tail TOPIC`, and compare it with the schema of from_json."},
    {"refused", "the table refused a value", "Compare the types of the table's columns with those of the query (`tidemill check`)."},
};

static void query_findings(struct found *f, struct tm_query *query, struct tm_arena *arena)
{
	struct tm_query_progress p;
	tm_query_progress(query, arena, &p);
	char subject[300];
	snprintf(subject, sizeof subject, "pipeline %.*s", TM_STR_ARG(p.name));
	if (p.state == TM_QUERY_FAILED) {
		json_t *one = add(f, "error", subject, "%s%s%s%s", p.error.klass[0] ? "[" : "", p.error.klass, p.error.klass[0] ? "] " : "",
				  p.error.what);
		say(one, "why", "%s", p.error.detail);
		say(one, "next", "%s", p.error.hint);
		return;
	}
	if (p.waiting.len && !tm_str_ends(p.waiting, TM_STR(" yet"))) /* what is not there yet is said of the topic */
		say(add(f, "warning", subject, "waits: %.*s", TM_STR_ARG(p.waiting)), "why", "it goes on by itself");
	int64_t dead = 0;
	for (size_t i = 0; i < p.dead_count; i++)
		dead += p.dead[i].rows;
	for (size_t i = 0; i < p.dead_count; i++) {
		bool all = p.rows_written == 0 && p.dead[i].rows == dead;
		json_t *one = add(f, all ? "error" : "warning", subject, "%lld of %lld rows went to the dead letters: %s",
				  (long long)p.dead[i].rows, (long long)p.rows_read, p.dead[i].reason);
		for (size_t k = 0; k < sizeof reasons / sizeof *reasons; k++)
			if (strstr(p.dead[i].reason, reasons[k].reason)) {
				say(one, "why", "%s", reasons[k].why);
				say(one, "next", "%s", reasons[k].next);
			}
	}
	if (p.rows_late && !dead)
		say(add(f, p.rows_written ? "warning" : "error", subject, "%lld rows came too late and were dropped",
			(long long)p.rows_late),
		    "why", "their event time is older than the watermark of the batch before");
	if (p.rows_read && !p.rows_written && !dead && !p.rows_late) {
		json_t *one = add(f, "warning", subject, "%lld rows were read and none was written", (long long)p.rows_read);
		say(one, "why", "%s",
		    p.watermark_ms != INT64_MIN
			? "in append mode a window is written when the watermark has passed its end; or WHERE lets no row through"
			: "WHERE lets no row through, or the fields it names are null (a name that from_json does not find)");
		say(one, "next", "Try the query on what is there: `tidemill sql \"SELECT … FROM …\"`.");
	}
}

/* ---- DAGs ---- */

static void dag_findings(struct found *f)
{
	struct tm_dag_counts counts;
	tm_dag_counts(f->in->dag, &counts);
	if (counts.runs_waiting) {
		json_t *one = add(f, "warning", "dags", "%d DAG run%s will not move by itself", counts.runs_waiting,
				  counts.runs_waiting == 1 ? "" : "s");
		say(one, "why", "a task with depends_on_past stands behind one that failed, or the DAG is paused");
		say(one, "next", "Clear or mark the failed task on the page, or unpause the DAG.");
	}
	struct tm_buf raw = {0};
	if (tm_dag_errors_json(f->in->dag, &raw, NULL) == TM_OK) {
		json_t *errors = json_loadb(raw.at, raw.len, 0, NULL), *e;
		size_t i;
		json_array_foreach(errors, i, e)
		{
			const char *file = json_string_value(json_object_get(e, "file")),
				   *text = json_string_value(json_object_get(e, "error"));
			const char *hint = json_string_value(json_object_get(e, "hint"));
			json_t *one = add(f, "error", file ? file : "dags", "the DAG file does not load: %s", text ? text : "");
			say(one, "why", "line %lld", (long long)json_integer_value(json_object_get(e, "line")));
			say(one, "next", "%s", hint && *hint ? hint : "`tidemill check` shows the place.");
		}
		json_decref(errors);
	}
	{
		json_t *dags = tm_dag_summary_list(f->in->dag), *d, *run;
		size_t i, r;
		json_array_foreach(dags, i, d)
		{
			const char *id = json_string_value(json_object_get(d, "dag_id"));
			json_array_foreach(json_object_get(d, "runs"), r, run)
			{
				const char *state = json_string_value(json_object_get(run, "state"));
				if (!id || !state || strcmp(state, "failed") != 0)
					continue;
				const char *why = json_string_value(json_object_get(run, "error"));
				char subject[300];
				snprintf(subject, sizeof subject, "dag %s", id);
				json_t *one =
				    add(f, "error", subject, "the run %s failed", json_string_value(json_object_get(run, "run_id")));
				say(one, "why", "%s", why ? why : "a task failed");
				say(one, "next", "`tidemill dag logs %s` shows what its tasks printed.", id);
			}
		}
		json_decref(dags);
	}
	tm_buf_done(&raw);
}

static void store_away(struct found *f, struct tm_arena *arena)
{
	struct tm_tables *tables = f->in->tables;
	struct tm_tables_state state;
	if (!tables)
		return;
	tables->klass->state(tables, arena, &state);
	if (state.up && state.alive == state.nodes)
		return;
	json_t *one = add(f, state.up ? "warning" : "error", "store", state.up ? "%.*s" : "no node of Cassandra answers: %.*s",
			  TM_STR_ARG(state.what));
	say(one, "why", state.up ? "the others serve meanwhile" : "tables are neither read nor written meanwhile; nothing is lost");
	say(one, "next", "Look at %s; everything goes on by itself when it answers again.", tables->address);
}

void tm_diagnose_json(struct tm_instance *in, struct tm_buf *out)
{
	struct found f = {.in = in, .list = json_array()};
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_err away;
	bool there = in->broker->klass->topics(in->broker, true, &arena, &f.topics, &f.topic_count, &away) == TM_OK;
	if (!there)
		broker_away(&f, &away);
	store_away(&f, &arena);
	struct tm_coordinator *coordinator = __atomic_load_n(&in->coordinator, __ATOMIC_ACQUIRE);
	if (coordinator)
		tm_coordinator_findings(coordinator, f.list);
	if (in->dag)
		dag_findings(&f);
	for (size_t p = 0; p < in->pipeline_count; p++) {
		if (there)
			empty_topics(&f, in->pipelines[p].pipeline);
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++) {
			struct tm_query *query = __atomic_load_n(&in->pipelines[p].queries[q], __ATOMIC_ACQUIRE);
			if (query) /* NULL: another instance runs them */
				query_findings(&f, query, &arena);
		}
	}
	tm_arena_done(&arena);
	char *s = json_dumps(f.list, JSON_COMPACT);
	tm_buf_cstr_put(out, s ? s : "[]");
	free(s);
	json_decref(f.list);
}

void tm_findings_text(struct tm_str raw, bool color, struct tm_buf *out)
{
	json_t *list = json_loadb(raw.at, raw.len, 0, NULL), *one;
	size_t i;
	json_array_foreach(list, i, one)
	{
		const char *severity = json_string_value(json_object_get(one, "severity"));
		const char *code = !color                             ? ""
				   : strcmp(severity, "error") == 0   ? "\033[31m"
				   : strcmp(severity, "warning") == 0 ? "\033[33m"
								      : "\033[36m";
		tm_buf_printf(out, "%s%s%s %s: %s\n", code, severity, color ? "\033[0m" : "",
			      json_string_value(json_object_get(one, "subject")), json_string_value(json_object_get(one, "what")));
		const char *const parts[] = {"why", "next"};
		for (size_t k = 0; k < 2; k++) {
			const char *text = json_string_value(json_object_get(one, parts[k]));
			if (text && *text)
				tm_buf_printf(out, "  %s:%s %s\n", parts[k], k ? "" : " ", text);
		}
	}
	json_decref(list);
}
