/* Timetables: from the newest run to the next, as Airflow's timetable classes decide it.
 *
 * Spec (JSON): {"kind": …, "schedule": …, "timezone": "Europe/Vienna", "version": 2|3, "interval_s": n, "run_immediately": …}.
 * Kinds: cron_data_interval and cron_trigger (schedule: an expression), multiple_cron_trigger (a list), delta_data_interval and
 * delta_trigger ({"seconds": n} or {"relativedelta": {months, …}}), once, continuous, null, asset, events ({"dates": […]}),
 * asset_or_time ({"timetable": spec}). Where 2.11 and 3.3 differ, version decides. */
#include "dag/dag_int.h"

enum kind { CRON_INTERVAL, CRON_TRIGGER, MULTIPLE_CRON, DELTA_INTERVAL, DELTA_TRIGGER, ONCE, CONTINUOUS, NEVER, EVENTS };
static const struct {
	const char *name;
	enum kind kind;
} kinds[] = {{"cron_data_interval", CRON_INTERVAL},
	     {"cron_trigger", CRON_TRIGGER},
	     {"multiple_cron_trigger", MULTIPLE_CRON},
	     {"delta_data_interval", DELTA_INTERVAL},
	     {"delta_trigger", DELTA_TRIGGER},
	     {"once", ONCE},
	     {"continuous", CONTINUOUS},
	     {"null", NEVER},
	     {"asset", NEVER},
	     {"events", EVENTS}};

/* A relativedelta, or plain seconds in us. */
struct delta {
	int years, months;
	int64_t us;
};
#define RUN_IMMEDIATELY_UNSET (-1)
#define RUN_IMMEDIATELY_ALWAYS (-2)

struct tm_timetable {
	enum kind kind;
	int version;
	struct tm_cron **crons;
	size_t cron_count;
	struct tm_zone *zone;
	struct delta delta, interval;
	bool relative;              /* the delta came as a relativedelta */
	int64_t run_immediately_us; /* or one of the two above */
	int64_t *events;
	size_t event_count;
	bool restrict_to_events;
};

/* ---- reading the spec ---- */
static tm_rc add_cron(struct tm_timetable *t, const char *text, struct tm_err *err)
{
	static const char *const presets[][2] = {{"@quarterly", "0 0 1 */3 *"}, {"@yearly", "0 0 1 1 *"}};
	for (size_t i = 0; i < 2; i++)
		if (!strcmp(text, presets[i][0]))
			text = presets[i][1];
	t->crons = tm_realloc(t->crons, (t->cron_count + 1) * sizeof *t->crons);
	TM_TRY(tm_cron_parse(tm_str_of(text), &t->crons[t->cron_count], err));
	t->cron_count++;
	return TM_OK;
}

static void read_delta(const json_t *j, struct delta *ret)
{
	const json_t *r = json_object_get(j, "relativedelta");
	const json_t *from = r ? r : j;
	ret->years = (int)json_integer_value(json_object_get(from, "years"));
	ret->months = (int)json_integer_value(json_object_get(from, "months"));
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"weeks", 604800}, {"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1}, {"microseconds", 1e-6}};
	double us = 0;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		us += json_number_value(json_object_get(from, units[i].name)) * units[i].seconds * 1e6;
	ret->us = (int64_t)us;
}

static tm_rc read_events(struct tm_timetable *t, const json_t *schedule, struct tm_err *err)
{
	const json_t *dates = json_object_get(schedule, "dates");
	t->restrict_to_events = json_is_true(json_object_get(schedule, "restrict_to_events"));
	size_t n = json_array_size(dates);
	t->events = tm_alloc((n + 1) * sizeof *t->events);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(dates, i));
		if (!text || !tm_iso_parse(tm_str_of(text), &t->events[t->event_count]))
			return tm_fail(err, TM_INVALID, "event %zu of the timetable is no date", i + 1);
		t->event_count++;
	}
	return TM_OK;
}

static tm_rc read_spec(struct tm_timetable *t, const json_t *spec, struct tm_err *err)
{
	const char *name = json_string_value(json_object_get(spec, "kind"));
	size_t i = 0;
	while (i < sizeof kinds / sizeof *kinds && (!name || strcmp(kinds[i].name, name) != 0))
		i++;
	if (i == sizeof kinds / sizeof *kinds)
		return tm_fail(err, TM_UNSUPPORTED, "timetable '%s' is not supported", name ? name : "(none)");
	t->kind = kinds[i].kind;
	const json_t *version = json_object_get(spec, "version");
	t->version = version ? (int)json_integer_value(version) : 3;
	const char *zone = json_string_value(json_object_get(spec, "timezone"));
	TM_TRY(tm_zone_open(zone ? zone : "UTC", &t->zone, err));
	const json_t *schedule = json_object_get(spec, "schedule"), *item;
	size_t at;
	switch (t->kind) {
	case CRON_INTERVAL:
	case CRON_TRIGGER:
		if (!json_is_string(schedule))
			return tm_fail(err, TM_INVALID, "the schedule of a cron timetable must be a text");
		TM_TRY(add_cron(t, json_string_value(schedule), err));
		break;
	case MULTIPLE_CRON:
		json_array_foreach(schedule, at, item) TM_TRY(add_cron(t, json_is_string(item) ? json_string_value(item) : "", err));
		if (!t->cron_count)
			return tm_fail(err, TM_INVALID, "cron expression required");
		break;
	case DELTA_INTERVAL:
	case DELTA_TRIGGER:
		read_delta(schedule, &t->delta);
		t->relative = json_object_get(schedule, "relativedelta") != NULL;
		if (t->delta.us <= 0 && !t->delta.months && !t->delta.years)
			return tm_fail(err, TM_INVALID, "schedule interval must be positive");
		break;
	case EVENTS:
		TM_TRY(read_events(t, schedule, err));
		break;
	default:
		break;
	}
	const json_t *interval = json_object_get(spec, "interval_s"), *now = json_object_get(spec, "run_immediately");
	if (json_is_object(interval))
		read_delta(interval, &t->interval);
	else
		t->interval.us = (int64_t)(json_number_value(interval) * 1e6);
	t->run_immediately_us = json_is_true(now)     ? RUN_IMMEDIATELY_ALWAYS
				: json_is_number(now) ? (int64_t)(json_number_value(now) * 1e6)
						      : RUN_IMMEDIATELY_UNSET;
	return TM_OK;
}

tm_rc tm_timetable_new(const json_t *spec, struct tm_timetable **ret, struct tm_err *err)
{
	const json_t *inner = json_object_get(spec, "timetable"); /* asset_or_time: the time half; assets are the scheduler's */
	struct tm_timetable *t = tm_zalloc(sizeof *t);
	tm_rc rc = read_spec(t, json_is_object(inner) ? inner : spec, err);
	if (rc == TM_OK)
		*ret = t;
	else
		tm_timetable_free(t);
	return rc;
}

void tm_timetable_free(struct tm_timetable *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cron_count; i++)
		tm_cron_free(t->crons[i]);
	free(t->crons);
	free(t->events);
	tm_zone_close(t->zone);
	free(t);
}

/* ---- stepping ---- */
static int64_t add(int64_t us, const struct delta *d, int sign)
{
	if (d->years || d->months) {
		int64_t days = tm_floor_div(us, 86400 * TM_DAG_US), rest = us - days * 86400 * TM_DAG_US, y;
		int m, day;
		tm_civil_of(days, &y, &m, &day);
		int64_t months = y * 12 + (m - 1) + sign * (d->years * 12 + d->months);
		y = months / 12;
		m = (int)(months % 12) + 1;
		int last = tm_date_month_days(y, m);
		us = tm_date_days(y, m, day < last ? day : last) * 86400 * TM_DAG_US + rest;
	}
	return us + sign * d->us;
}

/* The tick after (step 1) or before (-1) an instant. Seconds are whole in cron; a fraction counts as later than its second. */
static tm_rc cron_step(const struct tm_timetable *t, const struct tm_cron *c, int64_t us, int step, int64_t *ret, struct tm_err *err)
{
	int64_t local = tm_zone_local(t->zone, us), second = local / TM_DAG_US, fraction = local % TM_DAG_US, tick;
	if (fraction < 0) {
		fraction += TM_DAG_US;
		second--;
	}
	if (step > 0)
		TM_TRY(tm_cron_next(c, second, &tick, err));
	else
		TM_TRY(tm_cron_prev(c, second + (fraction ? 1 : 0), &tick, err));
	/* With an hour field the wall clock decides; without, time goes on evenly through a change of the clock. */
	*ret = tm_cron_every_hour(c) ? us + (tick * TM_DAG_US - local) : tm_zone_utc(t->zone, tick * TM_DAG_US);
	return TM_OK;
}
static tm_rc step_time(const struct tm_timetable *t, size_t which, int64_t us, int step, int64_t *ret, struct tm_err *err)
{
	if (t->kind == DELTA_INTERVAL || t->kind == DELTA_TRIGGER) {
		*ret = add(us, &t->delta, step);
		return TM_OK;
	}
	return cron_step(t, t->crons[which], us, step, ret, err);
}
/* The nearest tick at or after (before) an instant. */
static tm_rc align(const struct tm_timetable *t, size_t which, int64_t us, int step, int64_t *ret, struct tm_err *err)
{
	int64_t there, back;
	if (t->kind == DELTA_INTERVAL || t->kind == DELTA_TRIGGER) {
		*ret = us;
		return TM_OK;
	}
	TM_TRY(step_time(t, which, us, step, &there, err));
	TM_TRY(step_time(t, which, there, -step, &back, err));
	*ret = back != us ? there : us;
	return TM_OK;
}

static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; } /* NEVER is the smallest */

/* ---- data intervals ---- */
static tm_rc skip_delta(const struct tm_timetable *t, int64_t earliest, int64_t now, int64_t *ret)
{
	int64_t start;
	if (t->version >= 3 && (t->delta.months || t->delta.years) && earliest != TM_DAG_NEVER) {
		/* Months have no length to divide by: walk from the start. */
		start = earliest;
		while (add(add(start, &t->delta, 1), &t->delta, 1) <= now)
			start = add(start, &t->delta, 1);
	} else {
		int64_t length = t->delta.us + ((int64_t)t->delta.years * 365 + (int64_t)t->delta.months * 30) * 86400 * TM_DAG_US;
		start = add(now - now % length, &t->delta, -1);
	}
	*ret = max64(start, earliest);
	return TM_OK;
}

/* catchup=False: the start of the newest complete interval. */
static tm_rc skip_to_latest(const struct tm_timetable *t, int64_t earliest, int64_t now, int64_t *ret, struct tm_err *err)
{
	if (t->kind == DELTA_INTERVAL)
		return skip_delta(t, earliest, now, ret);
	int64_t last, next, start;
	TM_TRY(step_time(t, 0, now, -1, &last, err));
	TM_TRY(step_time(t, 0, last, 1, &next, err));
	if (next == now)
		start = last;
	else
		TM_TRY(step_time(t, 0, last, -1, &start, err));
	if (earliest != TM_DAG_NEVER) {
		TM_TRY(align(t, 0, earliest, 1, &earliest, err));
		start = max64(start, earliest);
	}
	*ret = start;
	return TM_OK;
}

static tm_rc next_interval(const struct tm_timetable *t, const struct tm_dag_interval *last, int64_t earliest, int64_t latest, bool catchup,
			   int64_t now, bool *ret_found, struct tm_dag_interval *ret, struct tm_err *err)
{
	int64_t start, end;
	if (!catchup)
		TM_TRY(skip_to_latest(t, earliest, now, &earliest, err));
	else if (earliest != TM_DAG_NEVER)
		TM_TRY(align(t, 0, earliest, 1, &earliest, err));
	if (!last) {
		if (earliest == TM_DAG_NEVER)
			return TM_OK;
		start = earliest;
	} else {
		TM_TRY(align(t, 0, last->end_us, -1, &start, err));
		start = max64(start, earliest);
	}
	if (latest != TM_DAG_NEVER && start > latest)
		return TM_OK;
	TM_TRY(step_time(t, 0, start, 1, &end, err));
	*ret = (struct tm_dag_interval){start, start, end, end};
	*ret_found = true;
	return TM_OK;
}

/* ---- triggers ---- */
/* Without a start date: the past tick if it is recent enough, else the next. */
static tm_rc first_tick(const struct tm_timetable *t, size_t which, int64_t now, int64_t *ret, struct tm_err *err)
{
	if (t->kind == DELTA_TRIGGER) {
		*ret = now;
		return TM_OK;
	}
	int64_t past, next;
	TM_TRY(align(t, which, now, -1, &past, err));
	TM_TRY(align(t, which, now, 1, &next, err));
	int64_t within = t->run_immediately_us;
	if (within == RUN_IMMEDIATELY_UNSET)
		within = max64((next - past) / 10, 300 * TM_DAG_US);
	*ret = t->run_immediately_us == RUN_IMMEDIATELY_ALWAYS || now - past <= within ? past : next;
	return TM_OK;
}

static tm_rc next_trigger(const struct tm_timetable *t, size_t which, const struct tm_dag_interval *last, int64_t earliest, int64_t latest,
			  bool catchup, int64_t now, bool *ret_found, struct tm_dag_interval *ret, struct tm_err *err)
{
	int64_t tick, other;
	if (catchup) {
		if (last) {
			TM_TRY(step_time(t, which, last->end_us, 1, &tick, err));
		} else if (earliest == TM_DAG_NEVER) {
			if (t->version < 3)
				return TM_OK;
			TM_TRY(first_tick(t, which, now, &tick, err));
		} else {
			TM_TRY(align(t, which, earliest, 1, &tick, err));
		}
	} else {
		TM_TRY(align(t, which, now, -1, &tick, err));
		if (last) {
			TM_TRY(step_time(t, which, last->end_us, 1, &other, err));
			tick = max64(tick, other);
		} else if (earliest == TM_DAG_NEVER && t->version >= 3) {
			TM_TRY(first_tick(t, which, now, &other, err));
			tick = max64(tick, other);
		}
		if (earliest != TM_DAG_NEVER) {
			TM_TRY(align(t, which, earliest, 1, &other, err));
			tick = max64(tick, other);
		}
	}
	if (latest != TM_DAG_NEVER && latest < tick)
		return TM_OK;
	int64_t start = add(tick, &t->interval, -1);
	*ret = (struct tm_dag_interval){start, start, tick, tick};
	*ret_found = true;
	return TM_OK;
}

/* Of several expressions the one that is due first; without catch-up the newest past tick wins over all. */
static tm_rc next_of_many(const struct tm_timetable *t, const struct tm_dag_interval *last, int64_t earliest, int64_t latest, bool catchup,
			  int64_t now, bool *ret_found, struct tm_dag_interval *ret, struct tm_err *err)
{
	for (size_t i = 0; i < t->cron_count; i++) {
		bool found = false;
		struct tm_dag_interval one;
		TM_TRY(next_trigger(t, i, last, earliest, latest, catchup, now, &found, &one, err));
		if (!found)
			continue;
		bool better = !*ret_found;
		if (*ret_found) {
			bool past = one.run_after_us < now, best_past = ret->run_after_us < now;
			if (catchup)
				better = one.run_after_us < ret->run_after_us;
			else if (past != best_past)
				better = past;
			else
				better = past ? one.run_after_us > ret->run_after_us : one.run_after_us < ret->run_after_us;
		}
		if (better)
			*ret = one;
		*ret_found = true;
	}
	return TM_OK;
}

static void next_event(const struct tm_timetable *t, const struct tm_dag_interval *last, int64_t earliest, int64_t latest, bool catchup,
		       int64_t now, bool *ret_found, struct tm_dag_interval *ret)
{
	int64_t found = TM_DAG_NEVER;
	for (size_t i = 0; i < t->event_count; i++) {
		int64_t e = t->events[i];
		if ((last && e <= last->end_us) || (earliest != TM_DAG_NEVER && e < earliest))
			continue;
		if (!catchup && found != TM_DAG_NEVER && found <= now && e <= now) {
			found = e; /* the newest that is past */
			continue;
		}
		if (found == TM_DAG_NEVER)
			found = e;
		else
			break;
	}
	if (found == TM_DAG_NEVER || (latest != TM_DAG_NEVER && found > latest))
		return;
	*ret = (struct tm_dag_interval){found, found, found, found};
	*ret_found = true;
}

tm_rc tm_timetable_next(const struct tm_timetable *t, const struct tm_dag_interval *last, int64_t earliest, int64_t latest, bool catchup,
			int64_t now, bool *ret_found, struct tm_dag_interval *ret, struct tm_err *err)
{
	*ret_found = false;
	int64_t at;
	switch (t->kind) {
	case CRON_INTERVAL:
	case DELTA_INTERVAL:
		return next_interval(t, last, earliest, latest, catchup, now, ret_found, ret, err);
	case CRON_TRIGGER:
	case DELTA_TRIGGER:
		return next_trigger(t, 0, last, earliest, latest, catchup, now, ret_found, ret, err);
	case MULTIPLE_CRON:
		return next_of_many(t, last, earliest, latest, catchup, now, ret_found, ret, err);
	case EVENTS:
		next_event(t, last, earliest, latest, catchup, now, ret_found, ret);
		return TM_OK;
	case ONCE:
		at = earliest != TM_DAG_NEVER ? earliest : t->version >= 3 ? now : TM_DAG_NEVER;
		if (last || at == TM_DAG_NEVER || (latest != TM_DAG_NEVER && at > latest))
			return TM_OK;
		*ret = (struct tm_dag_interval){at, at, at, at};
		*ret_found = true;
		return TM_OK;
	case CONTINUOUS:
		if (earliest == TM_DAG_NEVER)
			return TM_OK;
		at = last ? last->end_us : earliest;
		if (latest != TM_DAG_NEVER && max64(at, now) > latest)
			return TM_OK;
		*ret = (struct tm_dag_interval){at, at, max64(at, now), max64(at, now)};
		*ret_found = true;
		return TM_OK;
	default:
		return TM_OK;
	}
}

tm_rc tm_timetable_manual(const struct tm_timetable *t, int64_t run_after, struct tm_dag_interval *ret, struct tm_err *err)
{
	int64_t start = run_after, end = run_after;
	switch (t->kind) {
	case CRON_INTERVAL:
		TM_TRY(align(t, 0, run_after, -1, &end, err));
		TM_TRY(step_time(t, 0, end, -1, &start, err));
		break;
	case DELTA_INTERVAL:
		start = add(run_after, &t->delta, -1);
		break;
	case CRON_TRIGGER:
	case MULTIPLE_CRON:
	case DELTA_TRIGGER:
		start = add(run_after, &t->interval, -1);
		break;
	default:
		break;
	}
	*ret = (struct tm_dag_interval){run_after, start, end, run_after};
	return TM_OK;
}

bool tm_timetable_step(const struct tm_timetable *t, int64_t us, int step, int64_t *ret)
{
	if (t->kind == ONCE || t->kind == CONTINUOUS || t->kind == NEVER || t->kind == EVENTS || t->kind == MULTIPLE_CRON)
		return false;
	return step_time(t, 0, us, step, ret, NULL) == TM_OK;
}
