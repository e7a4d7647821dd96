/* A pipeline file as an engine elsewhere needs it: its statements in order, the text that goes there as it stands, and the places in
 * that text which some versions of that engine know in other words or not at all. Everything lives in the tm_sql's arena. */
#ifndef TM_SQL_STEPS_H
#define TM_SQL_STEPS_H
#include "stream/query.h"

enum tm_text_mark_kind {
	TM_MARK_STREAM,    /* STREAM name, STREAM(name): from..to */
	TM_MARK_TABLE,     /* name without STREAM: from..to */
	TM_MARK_WATERMARK, /* relation WATERMARK …: from..to, the relation alone from..base_to */
	TM_MARK_OUTSIDE,   /* a name in FROM that is no view of the project: a topic or a table */
	TM_MARK_CALL,      /* a function */
	TM_MARK_NEW        /* words that only newer versions have */
};
struct tm_text_mark {
	enum tm_text_mark_kind kind;
	int line, column;         /* of the file */
	size_t from, base_to, to; /* bytes of the step's text */
	struct tm_str name;       /* as written, quotes undone; WATERMARK: of the event time's column */
	struct tm_str expr;       /* WATERMARK over an expression: its text; empty: over the column */
	struct tm_str alias;      /* WATERMARK over a name without an alias: the name, under which the query knows its columns */
	int64_t delay_us;
	bool common; /* WATERMARK over something that reads a common table expression of the same statement */
};

enum tm_step_kind { TM_STEP_SET, TM_STEP_SOURCE, TM_STEP_VIEW, TM_STEP_QUERY };
struct tm_step {
	enum tm_step_kind kind;
	int line, column;
	struct tm_str name;              /* of the setting, the view, the streaming table */
	struct tm_str value;             /* SET */
	struct tm_str format, schema;    /* SOURCE */
	const struct tm_option *options; /* SOURCE; of a QUERY they are in its spec */
	size_t option_count;
	const struct tm_str *columns; /* VIEW name (a, b) */
	size_t column_count;
	size_t query;       /* QUERY: which of the pipeline's queries */
	struct tm_str text; /* VIEW, QUERY: SELECT … */
	int text_line, text_column;
	const struct tm_text_mark *marks; /* by their ends: what is inside comes first */
	size_t mark_count;
	bool drop_duplicates, within_watermark; /* QUERY: options for which SQL has no words */
	struct tm_str duplicate_columns;        /* comma list; empty: all */
};
#endif
