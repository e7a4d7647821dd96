/* Format cassandra as a sink: rows become upserts of a table, of the embedded store in the query's own commit, or of a real Cassandra
 * (sink_outside.c). Columns are matched by name; what cannot work is refused before the start, by name. A row with a null in the primary
 * key, or with a value that its column's type refuses, is a dead letter. */
#include "stream/sink_table.h"
#include "stream/cells.h"
#include "stream/state.h"
#include "table/value.h"
#include <stdio.h>
#include <stdlib.h>

static const struct tm_str *option(const struct tm_query_spec *spec, const char *name)
{
	return tm_option_get(spec->sink_options, spec->sink_option_count, name);
}

static void list_name(struct tm_buf *b, struct tm_str name)
{
	tm_buf_cstr_put(b, b->len ? ", " : "");
	tm_buf_str_put(b, name);
}

static size_t column_of(const struct tm_table_def *def, struct tm_str name)
{
	for (size_t i = 0; i < def->column_count; i++)
		if (tm_str_eq(def->columns[i].name, name))
			return i;
	return SIZE_MAX;
}

static tm_rc check_columns(const struct tm_query_spec *spec, const struct tm_table_def *def, struct tm_err *err)
{
	const struct tm_schema *schema = &spec->root->schema;
	struct tm_buf unknown = {0}, missing = {0}, unfit = {0};
	for (size_t i = 0; i < schema->count; i++) {
		size_t at = column_of(def, schema->fields[i].name);
		if (at == SIZE_MAX) {
			list_name(&unknown, schema->fields[i].name);
		} else if (!tm_cell_fits(schema->fields[i].type, def->columns[at].type)) {
			list_name(&unfit, schema->fields[i].name);
			tm_buf_cstr_put(&unfit, " (");
			tm_type_sql(schema->fields[i].type, &unfit);
			tm_buf_char(&unfit, ')');
		}
	}
	for (size_t k = 0; k < def->partition_key_count + def->clustering_count; k++) {
		bool there = false;
		for (size_t i = 0; i < schema->count; i++)
			there = there || tm_str_eq(schema->fields[i].name, def->columns[k].name);
		if (!there)
			list_name(&missing, def->columns[k].name);
	}
	tm_rc rc = TM_OK;
	if (unknown.len)
		rc = tm_fail(err, TM_INVALID, "query '%.*s': columns not found in table %.*s.%.*s: %.*s", TM_STR_ARG(spec->name),
			     TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name), (int)unknown.len, unknown.at);
	else if (missing.len)
		rc = tm_fail(err, TM_INVALID, "query '%.*s': some primary key columns of table %.*s.%.*s are missing in the result: %.*s",
			     TM_STR_ARG(spec->name), TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name), (int)missing.len, missing.at);
	else if (unfit.len)
		rc = tm_fail(err, TM_INVALID,
			     "query '%.*s': these columns cannot be written to table %.*s.%.*s, whose columns have another type: %.*s",
			     TM_STR_ARG(spec->name), TM_STR_ARG(def->keyspace), TM_STR_ARG(def->name), (int)unfit.len, unfit.at);
	if (rc)
		tm_err_at(err, spec->file.at, spec->line, 1);
	if (unknown.len) {
		struct tm_buf has = {0};
		for (size_t i = 0; i < def->column_count; i++)
			list_name(&has, def->columns[i].name);
		tm_err_hint(err, "The table has: %.*s. Name the columns with AS.", (int)has.len, has.at);
		tm_buf_done(&has);
	}
	tm_buf_done(&unknown);
	tm_buf_done(&missing);
	tm_buf_done(&unfit);
	return rc;
}

static tm_rc find_table(const struct tm_stream_world *world, const struct tm_query_spec *spec, const struct tm_table_def **ret,
			struct tm_err *err)
{
	const struct tm_str *keyspace = option(spec, "keyspace"), *table = option(spec, "table");
	if (!keyspace || !table) {
		tm_rc rc = tm_fail(err, TM_INVALID, "query '%.*s': the cassandra sink needs the option %s", TM_STR_ARG(spec->name),
				   keyspace ? "table" : "keyspace");
		tm_err_hint(err, "USING cassandra OPTIONS (keyspace 'ks', table 't')");
		return rc;
	}
	if (!world->store && !world->tables)
		return tm_fail(err, TM_UNAVAILABLE, "query '%.*s' writes to table %.*s.%.*s, but no store runs here",
			       TM_STR_ARG(spec->name), TM_STR_ARG(*keyspace), TM_STR_ARG(*table));
	tm_rc rc = tm_tables_find(world, *keyspace, *table, ret, err);
	if (rc != TM_NOT_FOUND)
		return rc;
	rc = tm_fail(err, TM_NOT_FOUND, "query '%.*s': couldn't find table %.*s in keyspace %.*s%s%s", TM_STR_ARG(spec->name),
		     TM_STR_ARG(*table), TM_STR_ARG(*keyspace), world->tables ? " of " : "", world->tables ? world->tables->address : "");
	tm_err_hint(err, "Make it in a file tables/*.cql; those run before pipelines start.");
	tm_err_at(err, spec->file.at, spec->line, 1);
	return rc;
}

/* A batch that runs again would add again, and cells of counters have no time of ours. */
static tm_rc refuse_counters(const struct tm_query_spec *spec, const struct tm_table_def *def, struct tm_err *err)
{
	for (size_t i = 0; i < def->column_count; i++)
		if (def->columns[i].type->kind == TM_CQL_COUNTER) {
			tm_rc rc = tm_fail(err, TM_UNSUPPORTED,
					   "query '%.*s': column %.*s of table %.*s.%.*s is a counter, which cannot be "
					   "written to a real Cassandra exactly once",
					   TM_STR_ARG(spec->name), TM_STR_ARG(def->columns[i].name), TM_STR_ARG(def->keyspace),
					   TM_STR_ARG(def->name));
			tm_err_hint(err, "Count in the query (count(*) … GROUP BY, outputMode 'update') and write the total to a bigint.");
			tm_err_at(err, spec->file.at, spec->line, 1);
			return rc;
		}
	return TM_OK;
}

tm_rc tm_table_sink_check(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err)
{
	const struct tm_table_def *def;
	TM_TRY(find_table(world, spec, &def, err));
	tm_rc rc = check_columns(spec, def, err);
	if (!rc && world->tables)
		rc = refuse_counters(spec, def, err);
	tm_tables_unref(world, def);
	return rc;
}

tm_rc tm_table_sink_open(struct tm_sink *s, struct tm_err *err)
{
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	tm_arena_init(&me->arena);
	TM_TRY(find_table(s->world, s->spec, &me->def, err));
	TM_TRY(check_columns(s->spec, me->def, err));
	const struct tm_schema *schema = &s->spec->root->schema;
	me->index = tm_zalloc(tm_mul_size(schema->count + 1, sizeof *me->index));
	me->count = schema->count;
	for (size_t i = 0; i < schema->count; i++)
		me->index[i] = column_of(me->def, schema->fields[i].name);
	const struct tm_option *o = s->spec->sink_options;
	size_t n = s->spec->sink_option_count;
	TM_TRY(tm_option_bool(o, n, option(s->spec, "ignoreNulls") ? "ignoreNulls" : "spark.cassandra.output.ignoreNulls", false,
			      &me->ignore_nulls, err));
	return tm_option_i64(o, n, option(s->spec, "ttl") ? "ttl" : "spark.cassandra.output.ttl", 0, &me->ttl_s, err);
}

void tm_table_sink_close(struct tm_sink *s)
{
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	if (me->def)
		tm_tables_unref(s->world, me->def);
	free(me->index);
	free(me->rows.items);
	tm_buf_done(&me->key);
	tm_arena_done(&me->arena);
}

/* The table may have been changed since: its columns are looked at again by every batch. */
tm_rc tm_table_sink_begin(struct tm_sink *s, struct tm_err *err)
{
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	const struct tm_table_def *now;
	tm_arena_reset(&me->arena);
	me->rows.count = 0;
	TM_TRY(find_table(s->world, s->spec, &now, err));
	if (now == me->def) {
		tm_tables_unref(s->world, now);
		return TM_OK;
	}
	tm_tables_unref(s->world, me->def);
	me->def = now;
	TM_TRY(check_columns(s->spec, now, err));
	for (size_t i = 0; i < me->count; i++)
		me->index[i] = column_of(now, s->spec->root->schema.fields[i].name);
	return TM_OK;
}

/* The row's cells; false = it is a dead letter now. */
static bool row_cells(struct tm_table_sink *me, struct tm_cell_writer *w, const struct tm_flow *rows, size_t row,
		      struct tm_cql_value *values, size_t *index, size_t *ret_n)
{
	size_t keys = me->def->partition_key_count + me->def->clustering_count, n = 0;
	char detail[300];
	for (size_t i = 0; i < me->count; i++) {
		const struct tm_column *c = &rows->batch.columns[i];
		const struct tm_table_column *to = &me->def->columns[me->index[i]];
		if (tm_is_null(c, row)) {
			if (me->index[i] < keys) {
				snprintf(detail, sizeof detail, "column %.*s of the primary key is null", TM_STR_ARG(to->name));
				tm_stream_dead(me->s.run, rows, row, "null_key", detail);
				return false;
			}
			if (me->ignore_nulls && !me->s.world->tables)
				continue;
			values[n] = (struct tm_cql_value){.null = !me->ignore_nulls, .unset = me->ignore_nulls};
		} else {
			struct tm_str bytes;
			if (!tm_cell_write(w, c, row, to->type, &bytes)) {
				snprintf(detail, sizeof detail, "column %.*s: %s", TM_STR_ARG(to->name), w->why);
				tm_stream_dead(me->s.run, rows, row, "refused_value", detail);
				return false;
			}
			values[n] = (struct tm_cql_value){.bytes = bytes};
		}
		index[n++] = me->index[i];
	}
	*ret_n = n;
	return true;
}

/* The token of a row's partition: as the store computes it. Cassandra refuses an empty key of one column. */
static bool row_token(struct tm_table_sink *me, const struct tm_flow *rows, size_t row, const struct tm_cql_value *values,
		      const size_t *index, size_t n, int64_t *ret)
{
	struct tm_str parts[16] = {{NULL, 0}};
	size_t keys = me->def->partition_key_count;
	for (size_t i = 0; i < n; i++)
		if (index[i] < keys && index[i] < 16)
			parts[index[i]] = values[i].bytes;
	if (keys == 1) {
		if (!parts[0].len) {
			tm_stream_dead(me->s.run, rows, row, "refused_value", "Key may not be empty");
			return false;
		}
		*ret = tm_value_token(parts[0]);
		return true;
	}
	me->key.len = 0;
	for (size_t k = 0; k < keys && k < 16; k++) {
		tm_buf_be16(&me->key, (uint16_t)parts[k].len);
		tm_buf_str_put(&me->key, parts[k]);
		tm_buf_char(&me->key, 0);
	}
	*ret = tm_value_token(tm_buf_str(&me->key));
	return true;
}

tm_rc tm_table_sink_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err)
{
	(void)err;
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	struct tm_cell_writer w = {.session = &s->run->session, .value_text = s->spec->value_text, .arena = &me->arena};
	size_t written = 0;
	for (size_t row = 0; row < rows->batch.rows; row++) {
		size_t n;
		int64_t token;
		struct tm_cql_value *values = TM_NEW_N(&me->arena, struct tm_cql_value, me->count + 1);
		size_t *index = TM_NEW_N(&me->arena, size_t, me->count + 1);
		if (!row_cells(me, &w, rows, row, values, index, &n) || !row_token(me, rows, row, values, index, n, &token))
			continue;
		for (size_t i = 0; i < n; i++) /* text and blobs are views into the batch, which goes before the rows are written */
			if (values[i].bytes.at && values[i].bytes.len > 8)
				values[i].bytes = tm_arena_str(&me->arena, values[i].bytes);
			else if (values[i].bytes.at && values[i].bytes.len)
				values[i].bytes = tm_str_n(memcpy(tm_arena_alloc(&me->arena, 8), values[i].bytes.at, values[i].bytes.len),
							   values[i].bytes.len);
		TM_PUSH(&me->rows, (struct tm_sink_row){token, (uint32_t)me->rows.count, (uint32_t)n, values, index});
		written++;
	}
	*ret_written = written;
	return TM_OK;
}

static int by_token(const void *a, const void *b)
{
	const struct tm_sink_row *x = a, *y = b;
	if (x->token != y->token)
		return x->token < y->token ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static tm_rc sink_finish(struct tm_sink *s, struct tm_err *err)
{
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	int64_t now_us = tm_now_us(s->world->env ? s->world->env : tm_env_real());
	int64_t first_us = now_us > me->last_us ? now_us : me->last_us + 1; /* of two rows with one key the later wins */
	if (me->rows.count)
		qsort(me->rows.items, me->rows.count, sizeof *me->rows.items, by_token);
	for (size_t i = 0; i < me->rows.count; i++) {
		const struct tm_sink_row *p = &me->rows.items[i];
		const struct tm_table_write write = {.def = me->def,
						     .column_index = p->index,
						     .values = p->values,
						     .count = p->count,
						     .insert = true,
						     .timestamp_us = first_us + p->number,
						     .ttl_s = (int32_t)me->ttl_s};
		struct tm_err why = {0};
		tm_rc rc = tm_table_batch_write(s->commit, &write, &why);
		if (rc == TM_DATA || rc == TM_INVALID) {
			tm_stream_dead(s->run, NULL, 0, "refused_value", why.what);
		} else if (rc) {
			if (err)
				*err = why;
			return rc;
		}
	}
	me->last_us = first_us + (int64_t)me->rows.count;
	me->rows.count = 0;
	return TM_OK;
}

static const char *const formats[] = {"cassandra", "org.apache.spark.sql.cassandra", NULL};
const struct tm_sink_class tm_sink_table = {.formats = formats,
					    .size = sizeof(struct tm_table_sink),
					    .transactional = true,
					    .check = tm_table_sink_check,
					    .open = tm_table_sink_open,
					    .close = tm_table_sink_close,
					    .begin = tm_table_sink_begin,
					    .write = tm_table_sink_write,
					    .finish = sink_finish};
