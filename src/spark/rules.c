/* What a Spark of some version has no way to run, by one table each for functions, words and shapes. What it only needs in other words
 * is rewritten by the runner (python/tidemill/spark/rewrite.py); docs/spark-engine.md lists both. */
#include "spark/spark.h"
#include <stdio.h>

enum { OLDEST = 305, WATERMARK_SINCE = 401 };

/* Functions of ours that 3.5 does not have: the first version that does. */
static const struct {
	const char *name;
	int since;
} functions[] = {
    {"collate", 400},
    {"current_time", 401},
    {"dayname", 400},
    {"is_valid_utf8", 400},
    {"is_variant_null", 400},
    {"listagg", 400},
    {"make_time", 401},
    {"make_valid_utf8", 400},
    {"monthname", 400},
    {"nullifzero", 400},
    {"parse_json", 400},
    {"quote", 401},
    {"randstr", 400},
    {"schema_of_variant", 400},
    {"session_user", 400},
    {"string_agg", 400},
    {"time_diff", 401},
    {"time_trunc", 401},
    {"to_time", 401},
    {"to_variant_object", 400},
    {"try_make_timestamp", 400},
    {"try_make_timestamp_ltz", 400},
    {"try_make_timestamp_ntz", 400},
    {"try_mod", 400},
    {"try_parse_json", 400},
    {"try_parse_url", 400},
    {"try_to_date", 400},
    {"try_to_time", 401},
    {"try_url_decode", 400},
    {"try_validate_utf8", 400},
    {"try_variant_get", 400},
    {"validate_utf8", 400},
    {"variant_get", 400},
    {"zeroifnull", 400},
};
/* Words. */
static const struct {
	const char *words;
	int since;
} words[] = {{"|>", 400}};

int tm_spark_version_of(const char *text)
{
	int major = 0, minor = 0;
	return sscanf(text, "%d.%d", &major, &minor) == 2 && major < 100 && minor < 100 ? major * 100 + minor : 0;
}

static tm_rc refuse(const struct tm_pipeline *p, int line, int column, struct tm_err *err, const char *what, const char *hint)
{
	tm_rc rc = tm_fail_class(err, TM_UNSUPPORTED, "UNSUPPORTED_BY_SPARK", "0A000", "%s", what);
	char file[160];
	snprintf(file, sizeof file, "%.*s", TM_STR_ARG(p->file));
	tm_err_hint(err, "%s", hint);
	tm_err_at(err, file, line, column);
	return rc;
}

static tm_rc too_old(const struct tm_pipeline *p, const struct tm_text_mark *m, const char *kind, int since, int version,
		     struct tm_err *err)
{
	char what[300], hint[200];
	snprintf(what, sizeof what, "Spark %d.%d has no %s %.*s; it came with %d.%d", version / 100, version % 100, kind,
		 TM_STR_ARG(m->name), since / 100, since % 100);
	snprintf(hint, sizeof hint, "Use a PySpark of %d.%d or newer, or write it without.", since / 100, since % 100);
	return refuse(p, m->line, m->column, err, what, hint);
}

static tm_rc check_mark(const struct tm_pipeline *p, const struct tm_text_mark *m, int version, struct tm_err *err)
{
	char what[400];
	switch (m->kind) {
	case TM_MARK_CALL:
		for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
			if (version < functions[i].since && tm_str_iis(m->name, functions[i].name))
				return too_old(p, m, "function", functions[i].since, version, err);
		return TM_OK;
	case TM_MARK_NEW:
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (version < words[i].since && tm_str_is(m->name, words[i].words))
				return too_old(p, m, "words", words[i].since, version, err);
		return TM_OK;
	case TM_MARK_OUTSIDE:
		snprintf(what, sizeof what, "'%.*s' is no view of this project, and a Spark knows neither topics nor tables by their names",
			 TM_STR_ARG(m->name));
		return refuse(p, m->line, m->column, err, what,
			      "Above it write CREATE TEMPORARY VIEW name USING kafka (or cassandra) OPTIONS (…), and read from that name.");
	case TM_MARK_WATERMARK:
		if (m->common && version < WATERMARK_SINCE)
			return refuse(p, m->line, m->column, err,
				      "before Spark 4.1 a watermark is a call on a view, which cannot be of a common table expression",
				      "Make a CREATE TEMPORARY VIEW of the WITH query, and put WATERMARK behind its name.");
		return TM_OK;
	case TM_MARK_STREAM:
	case TM_MARK_TABLE:
		return TM_OK;
	}
	return TM_OK;
}

/* The use of a view before this one, as a stream or not. */
static const struct tm_text_mark *use_of(const struct tm_pipeline *p, struct tm_str name, enum tm_text_mark_kind kind)
{
	for (size_t i = 0; i < p->step_count; i++)
		for (size_t k = 0; k < p->steps[i].mark_count; k++)
			if (p->steps[i].marks[k].kind == kind && tm_str_ieq(p->steps[i].marks[k].name, name))
				return &p->steps[i].marks[k];
	return NULL;
}

static tm_rc check_source(const struct tm_pipeline *p, const struct tm_step *s, struct tm_err *err)
{
	char what[400], hint[300];
	if (tm_str_iis(s->format, "memory"))
		return refuse(p, s->line, s->column, err, "a real Spark has no source of format memory", "Use kafka, rate, or files.");
	const struct tm_text_mark *stream = use_of(p, s->name, TM_MARK_STREAM), *table = use_of(p, s->name, TM_MARK_TABLE);
	if (!stream || !table)
		return TM_OK;
	snprintf(what, sizeof what, "%.*s is read as a stream (line %d) and as a table (here); a view of a real Spark is one of both",
		 TM_STR_ARG(s->name), stream->line);
	snprintf(hint, sizeof hint, "Make a second CREATE TEMPORARY VIEW with the options of line %d, and read the table from that.",
		 s->line);
	return refuse(p, table->line, table->column, err, what, hint);
}

static tm_rc check_sink(const struct tm_pipeline *p, const struct tm_step *s, struct tm_err *err)
{
	const struct tm_query_spec *q = &p->queries[s->query];
	for (size_t i = 0; i < q->sink_option_count; i++)
		if (tm_str_iis(q->sink_options[i].name, "processing.guarantee") && !tm_str_is(q->sink_options[i].value, "at_least_once"))
			return refuse(p, s->line, s->column, err,
				      "Spark's Kafka sink writes at least once, whatever processing.guarantee asks for",
				      "Leave processing.guarantee out, and drop what comes twice where it is read (dropDuplicates).");
	return TM_OK;
}

tm_rc tm_spark_check(const struct tm_pipeline *p, int version, struct tm_err *err)
{
	if (version < OLDEST)
		return tm_fail(err, TM_UNSUPPORTED, "Spark %d.%d is older than 3.5", version / 100, version % 100);
	for (size_t i = 0; i < p->step_count; i++) {
		const struct tm_step *s = &p->steps[i];
		if (s->kind == TM_STEP_SOURCE)
			TM_TRY(check_source(p, s, err));
		if (s->kind == TM_STEP_QUERY)
			TM_TRY(check_sink(p, s, err));
		for (size_t k = 0; k < s->mark_count; k++)
			TM_TRY(check_mark(p, &s->marks[k], version, err));
	}
	return TM_OK;
}
