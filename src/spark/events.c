/* What the runner tells, as the progress of queries; and whether they have read all there is.
 * Caught up: when someone asks, counting begins. Spark looks at a query's sources again and again; two looks that found nothing, and no
 * batch of any query in between, mean that nothing was on its way. The second look began after the first ended, so it began after the
 * question; and whatever a query wrote for another one to read, it wrote before its batch was told. */
#include "spark/spark_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { LOOKS = 2 };

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}
static int64_t num(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

void tm_spark_report_locked(struct watched *w)
{
	w->now.waiting = tm_str_of(w->waiting);
	w->now.ops = w->ops;
	w->now.dead = w->dead;
	tm_query_report(w->query, &w->now);
}

static struct watched *by_name(struct tm_spark *s, const char *name)
{
	for (size_t i = 0; i < s->query_count; i++)
		if (tm_str_is(s->queries[i].spec->name, name))
			return &s->queries[i];
	return NULL;
}

static void disturbed_locked(struct tm_spark *s)
{
	for (size_t i = 0; i < s->query_count; i++)
		s->queries[i].quiet = 0;
}

void tm_spark_all_wait(struct tm_spark *s, const char *why)
{
	pthread_mutex_lock(&s->lock);
	disturbed_locked(s);
	for (size_t i = 0; i < s->query_count; i++) {
		struct watched *w = &s->queries[i];
		if (w->now.state != TM_QUERY_RUNNING)
			continue;
		snprintf(w->waiting, sizeof w->waiting, "%s", why);
		tm_spark_report_locked(w);
	}
	pthread_mutex_unlock(&s->lock);
}

void tm_spark_all_fail(struct tm_spark *s, const struct tm_err *err)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->query_count; i++) {
		struct watched *w = &s->queries[i];
		if (w->now.state != TM_QUERY_RUNNING)
			continue;
		w->now.state = TM_QUERY_FAILED;
		w->now.error = *err;
		w->waiting[0] = 0;
		tm_spark_report_locked(w);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- events of one query ---- */

static void take_ops_locked(struct watched *w, const json_t *ops)
{
	size_t i;
	json_t *o;
	w->now.op_count = 0;
	json_array_foreach(ops, i, o)
	{
		if (i == OPS_MAX)
			break;
		snprintf(w->labels[i], sizeof w->labels[i], "%s", str(o, "label"));
		int64_t late = w->ops[i].rows_late + num(o, "late");
		w->ops[i] = (struct tm_op_progress){.op_id = i,
						    .label = w->labels[i],
						    .rows_out = num(o, "rows"),
						    .state_rows = num(o, "state_rows"),
						    .dropped_late = num(o, "late"),
						    .rows_late = late};
		w->now.op_count = i + 1;
	}
}

static void take_dead_locked(struct watched *w, const json_t *dead)
{
	const char *reason;
	json_t *rows;
	json_object_foreach((json_t *)(uintptr_t)dead, reason, rows)
	{
		size_t i = 0;
		while (i < w->now.dead_count && strcmp(w->reasons[i], reason) != 0)
			i++;
		if (i == DEAD_MAX)
			continue;
		if (i == w->now.dead_count) {
			snprintf(w->reasons[i], sizeof w->reasons[i], "%s", reason);
			w->dead[i] = (struct tm_dead_reason){w->reasons[i], 0};
			w->now.dead_count++;
		}
		w->dead[i].rows += json_integer_value(rows);
	}
}

static void take_batch(struct tm_spark *s, struct watched *w, const json_t *e)
{
	pthread_mutex_lock(&s->lock);
	disturbed_locked(s);
	struct tm_query_progress *p = &w->now;
	p->batch_id = num(e, "batch");
	p->batches++;
	p->rows_read += num(e, "rows_read");
	p->rows_written += num(e, "rows_written");
	p->rows_late += num(e, "rows_late");
	p->last_batch_ms = num(e, "took_ms");
	p->rows_per_second = json_number_value(json_object_get(e, "rate"));
	p->lag = num(e, "lag");
	p->last_had_data = num(e, "rows_read") > 0;
	const json_t *mark = json_object_get(e, "watermark_ms");
	p->watermark_ms = p->next_watermark_ms = json_is_integer(mark) ? json_integer_value(mark) : INT64_MIN;
	take_ops_locked(w, json_object_get(e, "ops"));
	take_dead_locked(w, json_object_get(e, "dead"));
	w->waiting[0] = 0;
	tm_spark_report_locked(w);
	pthread_mutex_unlock(&s->lock);
}

static void fill_error(const json_t *e, const struct watched *w, struct tm_err *err)
{
	tm_fail_class(err, TM_INVALID, str(e, "class"), str(e, "sqlstate"), "%s", str(e, "what"));
	const char *file = str(e, "file");
	char own[160] = "";
	if (w)
		snprintf(own, sizeof own, "%.*s", TM_STR_ARG(w->file));
	tm_err_at(err, *file ? file : own, (int)num(e, "line"), (int)num(e, "column"));
}

static void take_failure(struct tm_spark *s, struct watched *w, const json_t *e)
{
	struct tm_err err;
	fill_error(e, w, &err);
	if (!err.line)
		err.line = w->spec->line;
	tm_err_detail(&err, "what Spark itself wrote is in %s", s->log_path);
	pthread_mutex_lock(&s->lock);
	w->now.state = TM_QUERY_FAILED;
	w->now.error = err;
	w->waiting[0] = 0;
	tm_spark_report_locked(w);
	pthread_mutex_unlock(&s->lock);
	tm_err_prefix(&err, "query '%.*s' stopped: ", TM_STR_ARG(w->spec->name));
	tm_say_err("spark", &err);
}

static void take_wait(struct tm_spark *s, struct watched *w, const json_t *e)
{
	pthread_mutex_lock(&s->lock);
	disturbed_locked(s);
	snprintf(w->waiting, sizeof w->waiting, "%s", str(e, "why"));
	tm_spark_report_locked(w);
	pthread_mutex_unlock(&s->lock);
	tm_say(TM_SAY_WARN, "spark", "query '%.*s' waits, and starts again in %lld s: %s", TM_STR_ARG(w->spec->name),
	       (long long)num(e, "retry_s"), str(e, "why"));
}

static void take_fatal(struct tm_spark *s, const json_t *e)
{
	struct tm_err err;
	fill_error(e, NULL, &err);
	if (json_is_true(json_object_get(e, "away"))) { /* the process ends, and another one tries again */
		snprintf(s->why, sizeof s->why, "%s", str(e, "what"));
		return;
	}
	if (!err.klass[0] || strchr(err.klass, '_') == NULL)
		tm_err_hint(&err, "What Spark itself wrote is in %s.", s->log_path);
	pthread_mutex_lock(&s->lock);
	s->state = SPARK_FAILED;
	pthread_mutex_unlock(&s->lock);
	tm_spark_all_fail(s, &err);
	tm_say_err("spark", &err);
}

void tm_spark_take(struct tm_spark *s, const json_t *e)
{
	const char *op = str(e, "op");
	struct watched *w = by_name(s, str(e, "query"));
	if (strcmp(op, "spark") == 0) {
		s->deaths = 0;
		pthread_mutex_lock(&s->lock);
		s->state = SPARK_UP;
		pthread_mutex_unlock(&s->lock);
		tm_say(TM_SAY_INFO, "spark", "Spark %s is up after %.1f s (%s)", str(e, "version"),
		       (double)(tm_mono_ns(s->env) - s->began_ns) / 1e9, str(e, "app"));
		tm_spark_all_wait(s, "");
	} else if (strcmp(op, "fatal") == 0) {
		take_fatal(s, e);
	} else if (!w) {
		return;
	} else if (strcmp(op, "batch") == 0) {
		s->rest_ms = 0;
		take_batch(s, w, e);
	} else if (strcmp(op, "idle") == 0) {
		pthread_mutex_lock(&s->lock);
		w->quiet++;
		if (w->waiting[0]) {
			w->waiting[0] = 0;
			tm_spark_report_locked(w);
		}
		pthread_mutex_unlock(&s->lock);
	} else if (strcmp(op, "waits") == 0) {
		take_wait(s, w, e);
	} else if (strcmp(op, "failed") == 0) {
		take_failure(s, w, e);
	} else if (strcmp(op, "ended") == 0) {
		pthread_mutex_lock(&s->lock);
		disturbed_locked(s);
		w->now.state = TM_QUERY_STOPPED;
		tm_spark_report_locked(w);
		pthread_mutex_unlock(&s->lock);
	} else if (strcmp(op, "started") == 0) {
		pthread_mutex_lock(&s->lock);
		disturbed_locked(s);
		pthread_mutex_unlock(&s->lock);
	}
}

/* ---- caught up ---- */

bool tm_spark_topics_there(struct tm_spark *s, struct watched *w, char *missing, size_t size)
{
	for (size_t i = 0; i < w->topic_count; i++) {
		struct tm_broker_topic topic;
		struct tm_err err;
		tm_rc rc = s->options.broker->klass->topic(s->options.broker, w->topics[i], &topic, &err);
		if (rc == TM_OK)
			continue;
		if (rc == TM_NOT_FOUND)
			snprintf(missing, size, "topic %.*s does not exist yet", TM_STR_ARG(w->topics[i]));
		else
			snprintf(missing, size, "%s", err.what);
		return false;
	}
	return true;
}

bool tm_spark_caught_up(void *ctx, const struct tm_query *query)
{
	struct tm_spark *s = ctx;
	struct watched *w = NULL;
	char missing[200];
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->query_count; i++)
		w = s->queries[i].query == query ? &s->queries[i] : w;
	if (!s->asking) {
		s->asking = true;
		disturbed_locked(s);
	}
	bool quiet = w && s->state == SPARK_UP && w->quiet >= LOOKS, held = w && s->state == SPARK_UP && w->held;
	pthread_mutex_unlock(&s->lock);
	/* A topic that is not there has nothing to read; unless it has come just now. */
	return quiet || (held && !tm_spark_topics_there(s, w, missing, sizeof missing));
}

void tm_spark_disturbed(struct tm_spark *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->asking = false;
	pthread_mutex_unlock(&s->lock);
}
