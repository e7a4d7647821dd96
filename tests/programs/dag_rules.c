/* Answers questions about the rules of the room dag, one JSON object a line on standard input, one answer a line:
 *   {"ask": "cron", "expr", "from": ISO, "n": 5}                 -> {"next": […], "prev": …} or {"error": [class, text]}
 *   {"ask": "rule", "rule", "upstream": [states], "version": 3}  -> {"decision": "run" | "wait" | "set:STATE"}
 *   {"ask": "retry", …}                                          -> {"wait_s": x}
 *   {"ask": "timetable", "spec", "start_us", …}                  -> {"runs": [[…]], "manual": […]} */
#include <stdio.h>
#include "dag/dag_int.h"

static json_t *error_json(const struct tm_err *err)
{
	return json_pack("[s,s]", err->klass[0] ? err->klass : tm_rc_text(err->rc), err->what);
}

static json_t *iso(int64_t us, bool zone)
{
	struct tm_buf b = {0};
	tm_iso_put(&b, us, 'T');
	json_t *j = json_pack("s%", b.at, b.len - 6);
	if (zone) {
		json_decref(j);
		b.len -= 6;
		tm_buf_char(&b, 'Z');
		j = json_pack("s%", b.at, b.len);
	}
	tm_buf_done(&b);
	return j;
}

static json_t *ask_cron(const json_t *q)
{
	struct tm_err err = {0};
	struct tm_cron *c;
	if (tm_cron_parse(tm_str_of(json_string_value(json_object_get(q, "expr"))), &c, &err) != TM_OK)
		return json_pack("{s:o}", "error", error_json(&err));
	json_t *ret = json_object(), *next = json_array();
	const char *from = json_string_value(json_object_get(q, "from"));
	int64_t us = 0, t, v;
	if (from && tm_iso_parse(tm_str_of(from), &us)) {
		t = us / TM_DAG_US;
		for (json_int_t i = json_integer_value(json_object_get(q, "n")); i > 0; i--) {
			if (tm_cron_next(c, t, &v, &err) != TM_OK) {
				json_object_set_new(ret, "next_error", error_json(&err));
				break;
			}
			json_array_append_new(next, iso(v * TM_DAG_US, false));
			t = v;
		}
		if (tm_cron_prev(c, us / TM_DAG_US, &v, &err) == TM_OK)
			json_object_set_new(ret, "prev", iso(v * TM_DAG_US, false));
		else
			json_object_set_new(ret, "prev_error", error_json(&err));
	}
	json_object_set_new(ret, "next", next);
	tm_cron_free(c);
	return ret;
}

static json_t *ask_rule(const json_t *q)
{
	struct tm_dag_rule_counts n = {0};
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(q, "upstream"), i, s)
	{
		enum tm_dag_state state = TM_DAG_NONE;
		tm_dag_state_of(tm_str_of(json_string_value(s)), &state);
		n.total++;
		n.success += state == TM_DAG_SUCCESS;
		n.skipped += state == TM_DAG_SKIPPED;
		n.failed += state == TM_DAG_FAILED;
		n.upstream_failed += state == TM_DAG_UPSTREAM_FAILED;
		n.removed += state == TM_DAG_REMOVED;
		n.done += tm_dag_state_ended(state);
	}
	const char *rule = json_string_value(json_object_get(q, "rule"));
	if (!rule || !tm_dag_rule_known(rule))
		return json_pack("{s:s}", "decision", "unknown rule");
	enum tm_dag_state set = TM_DAG_NONE;
	char text[64];
	switch (tm_dag_rule_eval(rule, &n, (int)json_integer_value(json_object_get(q, "version")), &set)) {
	case TM_DAG_RULE_RUN:
		return json_pack("{s:s}", "decision", "run");
	case TM_DAG_RULE_WAIT:
		return json_pack("{s:s}", "decision", "wait");
	default:
		snprintf(text, sizeof text, "set:%s", tm_dag_state_text(set));
		return json_pack("{s:s}", "decision", text);
	}
}

static json_t *ask_retry(const json_t *q)
{
	const json_t *f = json_object_get(q, "retry_exponential_backoff"), *max = json_object_get(q, "max_retry_delay_s");
	double factor = json_is_true(f) ? 2 : json_is_number(f) ? json_number_value(f) : 0;
	return json_pack(
	    "{s:f}", "wait_s",
	    tm_dag_retry_wait_s(
		json_string_value(json_object_get(q, "dag_id")), json_string_value(json_object_get(q, "task_id")),
		json_string_value(json_object_get(q, "logical_date")), (int)json_integer_value(json_object_get(q, "try_number")),
		json_number_value(json_object_get(q, "retry_delay_s")), factor, json_is_number(max) ? json_number_value(max) : -1));
}

static int64_t wall(const json_t *q, const char *key, struct tm_zone *zone)
{
	int64_t us;
	const char *text = json_string_value(json_object_get(q, key));
	return text && tm_iso_parse(tm_str_of(text), &us) ? tm_zone_utc(zone, us) : TM_DAG_NEVER;
}

static json_t *ask_timetable(const json_t *q)
{
	struct tm_err err = {0};
	struct tm_timetable *t;
	struct tm_zone *zone, *utc;
	json_t *spec = json_object_get(q, "spec");
	if (tm_zone_open(json_string_value(json_object_get(spec, "timezone")), &zone, &err) != TM_OK ||
	    tm_zone_open("UTC", &utc, &err) != TM_OK)
		return json_pack("{s:o}", "error", error_json(&err));
	json_t *ret = json_object(), *runs = json_array();
	if (tm_timetable_new(spec, &t, &err) != TM_OK) {
		json_object_set_new(ret, "error", error_json(&err));
	} else {
		int64_t start = wall(q, "start_date", zone), end = wall(q, "end_date", zone), now = wall(q, "now", utc);
		struct tm_dag_interval last, next;
		bool found;
		for (int i = 0; i < 8; i++) {
			if (tm_timetable_next(t, i ? &last : NULL, start, end, json_is_true(json_object_get(q, "catchup")), now, &found,
					      &next, &err) != TM_OK) {
				json_object_set_new(ret, "error", error_json(&err));
				break;
			}
			if (!found)
				break;
			json_array_append_new(runs, json_pack("[o,o,o,o]", iso(next.logical_us, true), iso(next.start_us, true),
							      iso(next.end_us, true), iso(next.run_after_us, true)));
			last = next;
		}
		if (tm_timetable_manual(t, now, &next, &err) == TM_OK)
			json_object_set_new(ret, "manual", json_pack("[o,o]", iso(next.start_us, true), iso(next.end_us, true)));
		tm_timetable_free(t);
	}
	json_object_set_new(ret, "runs", runs);
	tm_zone_close(zone);
	tm_zone_close(utc);
	return ret;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, stdin) > 0) {
		json_t *q = json_loads(line, 0, NULL), *a;
		const char *ask = json_string_value(json_object_get(q, "ask"));
		if (!ask)
			return 2;
		a = !strcmp(ask, "cron")    ? ask_cron(q)
		    : !strcmp(ask, "rule")  ? ask_rule(q)
		    : !strcmp(ask, "retry") ? ask_retry(q)
					    : ask_timetable(q);
		char *text = json_dumps(a, JSON_COMPACT);
		puts(text);
		free(text);
		json_decref(a);
		json_decref(q);
	}
	free(line);
	return 0;
}
