/* Format cassandra as a sink where the store is a real Cassandra: not part of the query's commit, so the batch is announced ahead, and
 * after a crash the very same batch runs again. Every cell carries the announced batch's time, which is the same then and larger in every
 * later batch: writing it twice changes nothing, and a late write of an old batch loses against a newer one.
 * Within a batch cells have one time, and Cassandra would choose between two of them by their bytes: so of rows with one key only the
 * last goes out (where nulls are left alone: the last value of each column), and rows of one partition carry the same static cells. */
#include "stream/sink_table.h"
#include "stream/state.h"
#include <stdlib.h>

static const struct tm_cql_value *key_cell(const struct tm_sink_row *row, size_t column)
{
	for (size_t i = 0; i < row->count; i++)
		if (row->index[i] == column)
			return &row->values[i];
	return NULL;
}

static int compare_keys(const struct tm_sink_row *a, const struct tm_sink_row *b, size_t columns)
{
	for (size_t k = 0; k < columns; k++) {
		const struct tm_cql_value *x = key_cell(a, k), *y = key_cell(b, k);
		int c = x && y ? tm_str_cmp(x->bytes, y->bytes) : 0;
		if (c)
			return c;
	}
	return 0;
}

static int by_key(const void *a, const void *b, void *ctx)
{
	const struct tm_sink_row *x = a, *y = b;
	const struct tm_table_def *def = ctx;
	if (x->token != y->token)
		return x->token < y->token ? -1 : 1;
	int c = compare_keys(x, y, def->partition_key_count + def->clustering_count);
	return c ? c : (x->number > y->number) - (x->number < y->number);
}

/* The values are ours: the sink made them for this row. */
static struct tm_cql_value *values_of(const struct tm_sink_row *row) { return (struct tm_cql_value *)(uintptr_t)row->values; }

static void merge_equal(struct tm_table_sink *me)
{
	size_t keys = me->def->partition_key_count + me->def->clustering_count, n = 0;
	struct tm_sink_row *rows = me->rows.items;
	for (size_t i = 0; i < me->rows.count; i++) {
		if (!n || rows[n - 1].token != rows[i].token || compare_keys(&rows[n - 1], &rows[i], keys)) {
			rows[n++] = rows[i];
			continue;
		}
		for (size_t c = 0; c < rows[i].count; c++)
			if (rows[i].values[c].unset)
				values_of(&rows[i])[c] = rows[n - 1].values[c];
		rows[n - 1] = rows[i];
	}
	me->rows.count = n;
}

/* Column c (a static one) of the rows first..end, which are one partition: what the last row says that says something. */
static void same_static(struct tm_table_sink *me, size_t first, size_t end, size_t c)
{
	const struct tm_sink_row *last = NULL;
	for (size_t i = first; i < end; i++) {
		const struct tm_sink_row *row = &me->rows.items[i];
		if (!row->values[c].unset && (!last || row->number > last->number))
			last = row;
	}
	for (size_t i = first; last && i < end; i++)
		values_of(&me->rows.items[i])[c] = last->values[c];
}

static void share_statics(struct tm_table_sink *me)
{
	for (size_t c = 0; c < me->count; c++) {
		if (me->def->columns[me->index[c]].kind != TM_COLUMN_STATIC)
			continue;
		for (size_t first = 0, end; first < me->rows.count; first = end) {
			for (end = first + 1; end < me->rows.count; end++)
				if (me->rows.items[end].token != me->rows.items[first].token ||
				    compare_keys(&me->rows.items[end], &me->rows.items[first], me->def->partition_key_count))
					break;
			same_static(me, first, end, c);
		}
	}
}

static void refused(void *ctx, size_t row, const char *why)
{
	struct tm_table_sink *me = ctx;
	(void)row;
	tm_stream_dead(me->s.run, NULL, 0, "refused_value", why);
}

static tm_rc outside_finish(struct tm_sink *s, struct tm_err *err)
{
	struct tm_table_sink *me = (struct tm_table_sink *)s;
	if (!me->rows.count)
		return TM_OK;
	qsort_r(me->rows.items, me->rows.count, sizeof *me->rows.items, by_key, (void *)(uintptr_t)me->def);
	merge_equal(me);
	share_statics(me);
	struct tm_tables_row *rows = TM_NEW_N(&me->arena, struct tm_tables_row, me->rows.count);
	for (size_t i = 0; i < me->rows.count; i++)
		rows[i] = (struct tm_tables_row){me->rows.items[i].values, me->rows.items[i].token};
	const struct tm_tables_write write = {.def = me->def,
					      .columns = me->index,
					      .column_count = me->count,
					      .rows = rows,
					      .row_count = me->rows.count,
					      .timestamp_us = s->write_us,
					      .ttl_s = (int32_t)me->ttl_s,
					      .refused = refused,
					      .ctx = me,
					      .caller = tm_stream_caller(s->run)};
	TM_TRY(s->world->tables->klass->write(s->world->tables, &write, err));
	me->rows.count = 0;
	return TM_OK;
}

static const char *const formats[] = {"cassandra", "org.apache.spark.sql.cassandra", NULL};
const struct tm_sink_class tm_sink_outside = {.formats = formats,
					      .size = sizeof(struct tm_table_sink),
					      .check = tm_table_sink_check,
					      .open = tm_table_sink_open,
					      .close = tm_table_sink_close,
					      .begin = tm_table_sink_begin,
					      .write = tm_table_sink_write,
					      .finish = outside_finish};
