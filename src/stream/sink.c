/* Sinks by format; memory, noop and console. */
#include "stream/provider.h"
#include "stream/state.h"
#include <stdio.h>
#include <stdlib.h>

static const struct tm_sink_class *const classes[] = {&tm_sink_memory, &tm_sink_noop, &tm_sink_console, &tm_sink_table, &tm_sink_kafka};

const char *const tm_sink_formats[] = {"cassandra", "kafka", "console", "memory", "noop", NULL};

const struct tm_sink_class *tm_sink_find(const struct tm_stream_world *world, struct tm_str format)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		for (const char *const *f = classes[i]->formats; *f; f++)
			if (tm_str_iis(format, *f))
				return classes[i] == &tm_sink_table && world->tables ? &tm_sink_outside : classes[i];
	return NULL;
}

tm_rc tm_sink_unknown(const struct tm_query_spec *spec, struct tm_err *err)
{
	static const char *const files[] = {"parquet", "orc", "json", "csv", "text"};
	struct tm_str format = spec->sink_format;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (tm_str_iis(format, files[i]) && spec->mode != TM_MODE_APPEND)
			return tm_fail_class(err, TM_UNSUPPORTED, "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE", "42KDE",
					     "Invalid streaming output mode: %s. This output mode is not supported in Data Source %s.",
					     spec->mode == TM_MODE_UPDATE ? "update" : "complete", files[i]);
	tm_rc rc =
	    tm_fail_class(err, TM_NOT_FOUND, "DATA_SOURCE_NOT_FOUND", "42K02", "Failed to find the data source: %.*s.", TM_STR_ARG(format));
	const char *close = tm_str_closest(format, tm_sink_formats);
	if (close)
		tm_err_hint(err, "Did you mean '%s'?", close);
	else
		tm_err_hint(err, "A stream can be written to: cassandra, kafka, console, memory, noop.");
	return rc;
}

/* ---- memory ---- rows to a function of the caller */

static tm_rc memory_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err)
{
	*ret_written = rows->batch.rows;
	return s->spec->memory_sink ? s->spec->memory_sink(s->spec->memory_ctx, s->batch_id, &rows->batch, err) : TM_OK;
}
static const char *const memory_formats[] = {"memory", NULL};
const struct tm_sink_class tm_sink_memory = {.formats = memory_formats, .size = sizeof(struct tm_sink), .write = memory_write};

/* ---- noop ---- */

static tm_rc noop_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err)
{
	(void)s;
	(void)err;
	*ret_written = rows->batch.rows;
	return TM_OK;
}
static const char *const noop_formats[] = {"noop", NULL};
const struct tm_sink_class tm_sink_noop = {
    .formats = noop_formats, .size = sizeof(struct tm_sink), .transactional = true, .write = noop_write};
