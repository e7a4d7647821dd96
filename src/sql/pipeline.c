/* Pipelines: a file of sources, views, streaming tables and flows to streaming queries. */
#include <stdio.h>
#include <stdlib.h>
#include "sql/sql_int.h"
#include "stream/stateful.h"

struct table {
	struct tm_str name, format;
	struct tm_option *options;
	size_t option_count;
	int line;
};
struct builder {
	struct tm_sql *sql;
	struct tm_arena *arena;
	struct tm_err *err;
	struct tm_str file;
	bool check_only;
	struct {
		struct tm_query_spec *items;
		size_t count, cap;
	} queries;
	struct {
		struct tm_relation **items;
		size_t count, cap;
	} relations;
	struct {
		struct tm_pipeline_edge *items;
		size_t count, cap;
	} edges;
	struct {
		struct table *items;
		size_t count, cap;
	} tables;
	struct {
		struct tm_step *items;
		size_t count, cap;
	} steps;
	struct tm_str text;
};

static tm_rc fail_at(struct builder *b, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...)
    TM_PRINTF(6, 7);
static tm_rc fail_at(struct builder *b, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct tm_str what = tm_arena_vprintf(b->arena, fmt, ap);
	va_end(ap);
	tm_rc rc = tm_fail_class(b->err, TM_INVALID, klass, sqlstate, "%.*s", TM_STR_ARG(what));
	tm_err_at(b->err, NULL, line, column);
	return rc;
}

static void apply_settings(const struct tm_sql *sql, struct tm_query_spec *q)
{
	q->max_watermark_policy = tm_str_iis(tm_sql_setting(sql, "spark.sql.streaming.multipleWatermarkPolicy"), "max");
	q->no_data_batches_off = tm_str_iis(tm_sql_setting(sql, "spark.sql.streaming.noDataMicroBatches.enabled"), "false");
	q->correctness_check_off =
	    tm_str_iis(tm_sql_setting(sql, "spark.sql.streaming.statefulOperator.checkCorrectness.enabled"), "false");
}

/* "10 seconds", "ProcessingTime 10 seconds", "availableNow". */
static tm_rc set_trigger(struct builder *b, int line, int column, struct tm_str value, struct tm_query_spec *q)
{
	if (tm_str_iis(value, "availableNow") || tm_str_iis(value, "once")) {
		q->trigger = TM_TRIGGER_AVAILABLE_NOW;
		return TM_OK;
	}
	struct tm_str prefix = TM_STR("ProcessingTime");
	if (value.len > prefix.len && tm_str_ieq(tm_str_slice(value, 0, prefix.len), prefix)) {
		value = tm_str_trim(tm_str_slice(value, prefix.len, value.len));
		while (value.len && (value.at[0] == '(' || value.at[0] == '=' || value.at[0] == '\'' || value.at[0] == ' '))
			value = tm_str_slice(value, 1, value.len);
		while (value.len && (value.at[value.len - 1] == ')' || value.at[value.len - 1] == '\''))
			value.len--;
	}
	struct sx sx = sx_begin(b->sql, b->arena, b->err);
	struct sx_env env = {.sx = &sx};
	int64_t us;
	int32_t months;
	if (tm_str_is(value, "0")) {
		us = 0;
		months = 0;
	} else {
		struct tm_expr *text = sx_literal_str(&sx, value);
		text->line = line;
		text->column_no = column;
		TM_TRY(sx_interval_us(&env, text, &us, &months));
	}
	if (us < 0 || months)
		return fail_at(b, line, column, "INVALID_PARAMETER_VALUE.INTERVAL", "22023",
			       "The trigger interval '%.*s' must be non-negative and below a month.", TM_STR_ARG(value));
	q->trigger = us ? TM_TRIGGER_PROCESSING_TIME : TM_TRIGGER_ASAP;
	q->trigger_interval_ms = us / 1000;
	return TM_OK;
}

/* The columns of dropDuplicates and dropDuplicatesWithinWatermark, DataFrame calls for which Spark's SQL has no form: options here,
 * calls of the runner on a real Spark. */
struct duplicates {
	struct tm_str columns;
	bool asked, within;
};

static size_t op_count(const struct tm_op *op)
{
	size_t n = 1;
	for (size_t i = 0; i < op->input_count; i++)
		n += op_count(op->inputs[i]);
	return n;
}

static tm_rc drop_duplicates(struct builder *b, const struct ast_stmt *s, const struct duplicates *d, struct tm_op **io_root)
{
	struct tm_op *in = *io_root, *op = TM_NEW(b->arena, struct tm_op);
	*op = (struct tm_op){.kind = TM_OP_DEDUPLICATE,
			     .schema = in->schema,
			     .input_count = 1,
			     .streaming = true,
			     .id = op_count(in),
			     .line = s->line,
			     .column_no = s->column};
	op->inputs = TM_NEW(b->arena, struct tm_op *);
	op->inputs[0] = in;
	size_t *columns = TM_NEW_N(b->arena, size_t, in->schema.count + d->columns.len + 1), n = 0;
	struct tm_str rest = d->columns, name;
	while (rest.len && tm_str_split(&rest, ',', &name)) {
		name = tm_str_trim(name);
		size_t found = SIZE_MAX;
		for (size_t i = 0; i < in->schema.count; i++)
			if (tm_str_ieq(in->schema.fields[i].name, name))
				found = i;
		if (found == SIZE_MAX)
			return fail_at(b, s->line, s->column, "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES", "42703",
				       "Cannot resolve column name \"%.*s\" among the columns of the query.", TM_STR_ARG(name));
		columns[n++] = found;
	}
	for (size_t i = 0; !d->columns.len && i < in->schema.count; i++)
		columns[n++] = i;
	size_t event_time = tm_op_watermark_column(in);
	op->deduplicate.columns = columns;
	op->deduplicate.column_count = n;
	op->deduplicate.within_watermark = d->within;
	op->deduplicate.event_time_column = event_time == SIZE_MAX ? -1 : (int)event_time;
	*io_root = op;
	return TM_OK;
}

/* Spark's options of a streaming query among the sink's. */
static tm_rc query_options(struct builder *b, const struct table *t, const struct ast_stmt *s, struct tm_query_spec *q,
			   struct duplicates *ret_duplicates)
{
	struct tm_option *rest = TM_NEW_N(b->arena, struct tm_option, t->option_count + 1);
	for (size_t i = 0; i < t->option_count; i++) {
		struct tm_option o = t->options[i];
		if (tm_str_iis(o.name, "outputMode")) {
			if (tm_str_iis(o.value, "append"))
				q->mode = TM_MODE_APPEND;
			else if (tm_str_iis(o.value, "update"))
				q->mode = TM_MODE_UPDATE;
			else if (tm_str_iis(o.value, "complete"))
				q->mode = TM_MODE_COMPLETE;
			else
				return fail_at(
				    b, s->line, s->column, "STREAMING_OUTPUT_MODE.INVALID", "42KDE",
				    "Invalid streaming output mode: %.*s. Accepted output modes are 'append', 'complete', 'update'.",
				    TM_STR_ARG(o.value));
		} else if (tm_str_iis(o.name, "dropDuplicates") || tm_str_iis(o.name, "dropDuplicatesWithinWatermark")) {
			*ret_duplicates = (struct duplicates){o.value, true, !tm_str_iis(o.name, "dropDuplicates")};
		} else if (tm_str_iis(o.name, "queryName")) {
			q->name = o.value;
		} else if (tm_str_iis(o.name, "trigger") || tm_str_iis(o.name, "processingTime")) {
			TM_TRY(set_trigger(b, s->line, s->column, o.value, q));
		} else if (tm_str_iis(o.name, "availableNow") || tm_str_iis(o.name, "once")) {
			if (tm_str_iis(o.value, "true"))
				q->trigger = TM_TRIGGER_AVAILABLE_NOW;
		} else {
			rest[q->sink_option_count++] = o;
		}
	}
	q->sink_options = rest;
	return TM_OK;
}

static struct tm_str option_of(const struct tm_relation *r, const char *name)
{
	for (size_t i = 0; i < r->option_count; i++)
		if (tm_str_iis(r->options[i].name, name))
			return r->options[i].value;
	return (struct tm_str){0};
}

static struct tm_str relation_label(struct tm_arena *arena, const struct tm_relation *r)
{
	static const char *const names[] = {"subscribe", "subscribePattern", "assign", "path", NULL};
	struct tm_str keyspace = option_of(r, "keyspace"), table = option_of(r, "table");
	if (table.at)
		return tm_arena_printf(arena, "%.*s%s%.*s", TM_STR_ARG(keyspace), keyspace.len ? "." : "", TM_STR_ARG(table));
	for (size_t i = 0; names[i]; i++) {
		struct tm_str v = option_of(r, names[i]);
		if (v.at)
			return v;
	}
	return r->name;
}

static tm_rc add_step(struct builder *b, const struct ast_stmt *s, struct tm_step step)
{
	step.line = s->line;
	step.column = s->column;
	if (s->query)
		TM_TRY(tm_sql_step_marks(b->sql, s, b->text, &step, b->err));
	TM_PUSH_IN(b->arena, &b->steps, step);
	return TM_OK;
}

static tm_rc add_query(struct builder *b, const struct ast_stmt *s, const struct ast_query *query, const struct table *t,
		       struct tm_str name)
{
	struct tm_query_spec q = {.name = name, .sink_format = t->format, .file = b->file, .line = s->line};
	struct sx sx = sx_begin(b->sql, b->arena, b->err);
	struct tm_op *root;
	sx.want_stream = true;
	sx.check_only = b->check_only;
	q.session = b->sql->session;
	apply_settings(b->sql, &q);
	struct duplicates duplicates = {0};
	TM_TRY(query_options(b, t, s, &q, &duplicates));
	for (size_t i = 0; i < b->queries.count; i++)
		if (tm_str_ieq(b->queries.items[i].name, q.name))
			return fail_at(b, s->line, s->column, "PIPELINE_DUPLICATE_IDENTIFIERS.FLOW", "42710",
				       "There are two queries named `%.*s`: lines %d and %d.", TM_STR_ARG(q.name), b->queries.items[i].line,
				       s->line);
	tm_rc rc = sx_plan(&sx, query, &root);
	/* A table or topic that the project makes at its start: nothing can be said about the query before. */
	if (rc == TM_NOT_FOUND && b->check_only) {
		*b->err = (struct tm_err){0};
		return TM_OK;
	}
	TM_TRY(rc);
	if (!root->streaming)
		return fail_at(
		    b, s->line, s->column, "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE", "42000",
		    "The query of streaming table `%.*s` reads no stream; write FROM STREAM name for the source that should be followed.",
		    TM_STR_ARG(q.name));
	if (duplicates.asked)
		TM_TRY(drop_duplicates(b, s, &duplicates, &root));
	q.root = root;
	q.plan_hash = sx_plan_hash(root);
	TM_TRY(sx_at(&sx, s->line, s->column, tm_query_check(&q, b->err)));
	TM_PUSH_IN(b->arena, &b->queries, q);
	TM_TRY(add_step(b, s,
			(struct tm_step){.kind = TM_STEP_QUERY,
					 .name = t->name,
					 .query = b->queries.count - 1,
					 .drop_duplicates = duplicates.asked,
					 .within_watermark = duplicates.within,
					 .duplicate_columns = duplicates.columns}));
	for (size_t i = 0; i < sx.relations.count; i++) {
		struct tm_pipeline_edge edge = {relation_label(b->arena, sx.relations.items[i]), q.name};
		bool known = false;
		for (size_t k = 0; k < b->edges.count; k++)
			known = known || (tm_str_eq(b->edges.items[k].from, edge.from) && tm_str_eq(b->edges.items[k].to, edge.to));
		if (!known)
			TM_PUSH_IN(b->arena, &b->edges, edge);
		TM_PUSH_IN(b->arena, &b->relations, sx.relations.items[i]);
	}
	return TM_OK;
}

static tm_rc streaming_table(struct builder *b, const struct ast_stmt *s)
{
	struct table t = {.name = s->name.items[s->name.count - 1],
			  .format = s->format.at ? s->format : TM_STR("memory"),
			  .option_count = s->options.count,
			  .line = s->line};
	t.options = TM_NEW_N(b->arena, struct tm_option, s->options.count + 1);
	for (size_t i = 0; i < s->options.count; i++)
		t.options[i] = (struct tm_option){s->options.items[i].name, s->options.items[i].value};
	bool known = false;
	for (size_t i = 0; tm_sink_formats[i]; i++)
		known = known || tm_str_iis(t.format, tm_sink_formats[i]);
	if (!known) {
		tm_rc rc =
		    fail_at(b, s->line, s->column, "DATA_SOURCE_NOT_FOUND", "42K02",
			    "Failed to find the data source: %.*s. A streaming table can be written to: cassandra, kafka, console, memory.",
			    TM_STR_ARG(t.format));
		const char *close = tm_str_closest(t.format, tm_sink_formats);
		if (close)
			tm_err_hint(b->err, "did you mean %s?", close);
		return rc;
	}
	for (size_t i = 0; i < b->tables.count; i++)
		if (tm_str_ieq(b->tables.items[i].name, t.name))
			return fail_at(b, s->line, s->column, "PIPELINE_DUPLICATE_IDENTIFIERS.DATASET", "42710",
				       "The streaming table `%.*s` is defined twice: lines %d and %d.", TM_STR_ARG(t.name),
				       b->tables.items[i].line, s->line);
	TM_PUSH_IN(b->arena, &b->tables, t);
	return s->query ? add_query(b, s, s->query, &t, t.name) : TM_OK;
}

static tm_rc flow(struct builder *b, const struct ast_stmt *s)
{
	struct tm_str target = s->target.items[s->target.count - 1];
	for (size_t i = 0; i < b->tables.count; i++)
		if (tm_str_ieq(b->tables.items[i].name, target))
			return add_query(b, s, s->query, &b->tables.items[i], s->name.items[s->name.count - 1]);
	return fail_at(b, s->line, s->column, "TABLE_OR_VIEW_NOT_FOUND", "42P01",
		       "The flow writes into `%.*s`, which no CREATE STREAMING TABLE above defines.", TM_STR_ARG(target));
}

static tm_rc statement(struct builder *b, const struct ast_stmt *s)
{
	struct sx sx = sx_begin(b->sql, b->arena, b->err);
	struct sx_view v = {0};
	switch (s->kind) {
	case AST_STMT_SOURCE: {
		TM_TRY(tm_sql_source(b->sql, s, &v.relation, b->err));
		v.name = v.relation->name;
		bool known = false;
		for (size_t i = 0; tm_source_formats[i]; i++)
			known = known || tm_str_iis(v.relation->format, tm_source_formats[i]);
		if (!known) {
			tm_rc rc =
			    fail_at(b, s->line, s->column, "DATA_SOURCE_NOT_FOUND", "42K02",
				    "Failed to find the data source: %.*s. Make sure the provider name is correct.", TM_STR_ARG(s->format));
			const char *close = tm_str_closest(s->format, tm_source_formats);
			if (close)
				tm_err_hint(b->err, "did you mean %s?", close);
			return rc;
		}
		TM_TRY(sx_at(&sx, s->line, s->column, tm_sql_define(b->sql, &v, true, b->err)));
		return add_step(b, s,
				(struct tm_step){.kind = TM_STEP_SOURCE,
						 .name = v.name,
						 .format = v.relation->format,
						 .schema = s->schema,
						 .options = v.relation->options,
						 .option_count = v.relation->option_count});
	}
	case AST_STMT_VIEW: {
		v.name = s->name.items[s->name.count - 1];
		v.query = s->query;
		v.columns = s->columns;
		TM_TRY(sx_at(&sx, s->line, s->column, tm_sql_define(b->sql, &v, true, b->err)));
		/* Analysed now, so that an error is told where it stands and not at the first use. */
		struct tm_op *root;
		sx.want_stream = true;
		sx.check_only = b->check_only;
		tm_rc rc = sx_plan(&sx, s->query, &root);
		if (rc == TM_NOT_FOUND && b->check_only) {
			*b->err = (struct tm_err){0};
			rc = TM_OK;
		}
		TM_TRY(rc);
		return add_step(
		    b, s,
		    (struct tm_step){.kind = TM_STEP_VIEW, .name = v.name, .columns = s->columns.items, .column_count = s->columns.count});
	}
	case AST_STMT_STREAMING_TABLE:
		return streaming_table(b, s);
	case AST_STMT_FLOW:
		return flow(b, s);
	case AST_STMT_SET:
		if (!s->has_value)
			return TM_OK;
		TM_TRY(sx_at(&sx, s->line, s->column, tm_sql_set(b->sql, s->key, s->value, b->err)));
		return add_step(b, s, (struct tm_step){.kind = TM_STEP_SET, .name = s->key, .value = s->value});
	default: {
		tm_rc rc = fail_at(b, s->line, s->column, "UNSUPPORTED_PIPELINE_STATEMENT", "0A000",
				   "A pipeline file is made of CREATE TEMPORARY VIEW, CREATE STREAMING TABLE, CREATE FLOW and SET; this "
				   "statement is none of them.");
		tm_err_hint(b->err, "to store the query's rows write CREATE STREAMING TABLE name USING cassandra OPTIONS (…) AS SELECT …");
		return rc;
	}
	}
}

tm_rc tm_sql_pipeline(struct tm_sql *sql, struct tm_str file_name, struct tm_str text, bool check_only, struct tm_pipeline **ret,
		      struct tm_err *err)
{
	struct tm_err own = {0};
	struct builder b = {.sql = sql, .arena = &sql->arena, .err = err ? err : &own, .check_only = check_only};
	size_t offset = 0;
	tm_rc rc = TM_OK;
	b.file = tm_arena_str(b.arena, file_name);
	b.text = text = tm_arena_str(b.arena, text);
	while (offset < text.len && rc == TM_OK) {
		struct ast_stmt *s;
		rc = tm_sql_parse(b.arena, text, &offset, &s, b.err);
		if (rc == TM_OK && s)
			rc = statement(&b, s);
	}
	if (rc != TM_OK) {
		snprintf(b.err->file, sizeof b.err->file, "%.*s", TM_STR_ARG(b.file));
		return rc;
	}
	struct tm_pipeline *p = TM_NEW(b.arena, struct tm_pipeline);
	*p = (struct tm_pipeline){.file = b.file,
				  .queries = b.queries.items,
				  .query_count = b.queries.count,
				  .relations = b.relations.items,
				  .relation_count = b.relations.count,
				  .edges = b.edges.items,
				  .edge_count = b.edges.count,
				  .steps = b.steps.items,
				  .step_count = b.steps.count};
	*ret = p;
	return TM_OK;
}

tm_rc tm_sql_stream_plan(struct tm_sql *sql, struct tm_str text, enum tm_output_mode mode, struct tm_query_spec **ret, struct tm_err *err)
{
	struct tm_err own = {0};
	struct ast_stmt *s;
	size_t offset = 0;
	struct tm_op *root;
	err = err ? err : &own;
	struct sx sx = sx_begin(sql, &sql->arena, err);
	text = tm_arena_str(&sql->arena, text);
	TM_TRY(tm_sql_parse(&sql->arena, text, &offset, &s, err));
	if (s && s->kind == AST_STMT_INSERT)
		return sx_statement(&sx, s, text, &root);
	if (!s || s->kind != AST_STMT_QUERY)
		return tm_fail_class(err, TM_SYNTAX, "PARSE_SYNTAX_ERROR", "42601", "A query was expected.");
	sx.want_stream = true;
	TM_TRY(sx_plan(&sx, s->query, &root));
	struct tm_query_spec *q = TM_NEW(&sql->arena, struct tm_query_spec);
	q->name = TM_STR("query");
	q->root = root;
	q->mode = mode;
	q->session = sql->session;
	q->plan_hash = sx_plan_hash(root);
	q->sink_format = TM_STR("memory");
	apply_settings(sql, q);
	*ret = q;
	return TM_OK;
}
