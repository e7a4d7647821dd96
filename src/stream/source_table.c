/* Format cassandra: a table as it is now, of the embedded store or of a real Cassandra. Read whole when a run begins, the columns asked
 * for only: a micro-batch sees one state of it. What came from a real Cassandra serves batches of a stream for maxStaleness milliseconds
 * (Spark reads anew by every batch; its batches are seldom closer together than that). */
#include "stream/cells.h"
#include "stream/provider.h"
#include "stream/state.h"
#include "stream/tables.h"

enum { STALENESS_MS = 1000 };

struct table {
	struct tm_source s;
	struct tm_arena arena;
	struct tm_batch rows;
	size_t at;
	int64_t staleness_ms, read_ns; /* read_ns 0 = there is nothing to serve */
};

static tm_rc names(const struct tm_relation *r, const struct tm_str **ret_keyspace, const struct tm_str **ret_table, struct tm_err *err)
{
	*ret_keyspace = tm_option_get(r->options, r->option_count, "keyspace");
	*ret_table = tm_option_get(r->options, r->option_count, "table");
	if (*ret_keyspace && *ret_table)
		return TM_OK;
	tm_rc rc = tm_fail(err, TM_INVALID, "'%.*s': a Cassandra table needs the option %s", TM_STR_ARG(r->name),
			   *ret_keyspace ? "table" : "keyspace");
	tm_err_hint(err, "USING cassandra OPTIONS (keyspace 'ks', table 't')");
	return rc;
}

static tm_rc find_table(const struct tm_stream_world *world, const struct tm_relation *r, const struct tm_table_def **ret,
			struct tm_err *err)
{
	const struct tm_str *keyspace, *table;
	TM_TRY(names(r, &keyspace, &table, err));
	if (!world->store && !world->tables)
		return tm_fail(err, TM_UNAVAILABLE, "tables can only be read where a store runs: '%.*s' is the table %.*s.%.*s",
			       TM_STR_ARG(r->name), TM_STR_ARG(*keyspace), TM_STR_ARG(*table));
	tm_rc rc = tm_tables_find(world, *keyspace, *table, ret, err);
	if (rc != TM_NOT_FOUND)
		return rc;
	rc = tm_fail(err, TM_NOT_FOUND, "Couldn't find table %.*s in keyspace %.*s%s%s", TM_STR_ARG(*table), TM_STR_ARG(*keyspace),
		     world->tables ? " of " : "", world->tables ? world->tables->address : "");
	tm_err_hint(err, "Tables are made by the files in tables/*.cql, before pipelines start.");
	return rc;
}

static tm_rc table_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	const struct tm_table_def *def;
	TM_TRY(find_table(world, relation, &def, err));
	struct tm_field *fields = TM_NEW_N(arena, struct tm_field, def->column_count + 1);
	size_t n = 0;
	int64_t staleness;
	tm_rc rc = tm_option_i64(relation->options, relation->option_count, "maxStaleness", STALENESS_MS, &staleness, err);
	for (size_t i = 0; i < def->column_count && !rc; i++) {
		const struct tm_type *type = tm_cell_type(arena, def->columns[i].type);
		if (!type)
			rc = tm_fail(err, TM_UNSUPPORTED, "column %.*s of table %.*s has a type that SQL has no counterpart for",
				     TM_STR_ARG(def->columns[i].name), TM_STR_ARG(def->name));
		else
			fields[n++] =
			    (struct tm_field){tm_arena_str(arena, def->columns[i].name), type, def->columns[i].kind >= TM_COLUMN_STATIC};
	}
	relation->schema = (struct tm_schema){n, fields};
	tm_tables_unref(world, def);
	return rc;
}

static tm_rc table_open(struct tm_source *s, struct tm_err *err)
{
	struct table *me = (struct table *)s;
	tm_arena_init(&me->arena);
	return tm_option_i64(s->relation->options, s->relation->option_count, "maxStaleness", STALENESS_MS, &me->staleness_ms, err);
}

static void table_close(struct tm_source *s) { tm_arena_done(&((struct table *)s)->arena); }

struct scanning {
	struct tm_cell_reader **readers;
	const size_t *index;
	size_t count, rows;
};

static tm_rc scan_row(void *ctx, const struct tm_table_row *row)
{
	struct scanning *sc = ctx;
	for (size_t i = 0; i < sc->count; i++)
		tm_cell_read(sc->readers[i], &row->values[sc->index[i]]);
	sc->rows++;
	return TM_OK;
}

static size_t column_of(const struct tm_table_def *def, struct tm_str name)
{
	for (size_t i = 0; i < def->column_count; i++)
		if (tm_str_eq(def->columns[i].name, name))
			return i;
	return SIZE_MAX;
}

/* The columns are picked already, one after the other. */
static tm_rc picked_row(void *ctx, const struct tm_table_row *row)
{
	struct scanning *sc = ctx;
	for (size_t i = 0; i < sc->count; i++)
		tm_cell_read(sc->readers[i], &row->values[i]);
	sc->rows++;
	return TM_OK;
}

static tm_rc read_outside(struct table *me, struct tm_tables *tables, const struct tm_table_def *def, struct scanning *sc,
			  struct tm_err *err)
{
	struct tm_run *run = me->s.run;
	struct tm_broker_caller caller = tm_stream_caller(run);
	return tables->klass->scan(tables, def, sc->index, sc->count, run->stream ? &caller : NULL, picked_row, sc, err);
}

static tm_rc table_range(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err)
{
	(void)from;
	(void)to;
	struct table *me = (struct table *)s;
	int64_t now_ns = tm_mono_ns(s->world->env ? s->world->env : tm_env_real());
	me->at = 0;
	if (s->world->tables && s->run->stream && me->read_ns && now_ns - me->read_ns < me->staleness_ms * 1000000)
		return TM_OK;
	tm_arena_reset(&me->arena);
	me->read_ns = 0;
	me->rows = (struct tm_batch){0};
	const struct tm_table_def *def;
	TM_TRY(find_table(s->world, s->relation, &def, err));
	struct scanning sc = {.count = s->column_count};
	size_t *index = TM_NEW_N(&me->arena, size_t, s->column_count + 1);
	sc.readers = TM_NEW_N(&me->arena, struct tm_cell_reader *, s->column_count + 1);
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < s->column_count && !rc; i++) {
		const struct tm_field *f = &s->relation->schema.fields[s->columns[i]];
		index[i] = column_of(def, f->name);
		const struct tm_type *now = index[i] == SIZE_MAX ? NULL : tm_cell_type(&me->arena, def->columns[index[i]].type);
		if (!now || !tm_type_same(now, f->type))
			rc = tm_fail(err, TM_INVALID, "column %.*s of table %.*s is gone or has another type since the query was made",
				     TM_STR_ARG(f->name), TM_STR_ARG(def->name));
		else
			sc.readers[i] = tm_cell_reader_new(&me->arena, def->columns[index[i]].type, f->type);
	}
	sc.index = index;
	struct tm_tables *outside = tm_tables_of(s->world, def->keyspace);
	if (!rc && outside) {
		rc = read_outside(me, outside, def, &sc, err);
	} else if (!rc && !s->column_count) { /* count(*): rows without columns */
		int64_t n = 0;
		rc = tm_table_count(s->world->store, def, &n, err);
		sc.rows = (size_t)n;
	} else if (!rc) {
		rc = tm_table_scan(s->world->store, def, NULL, 0, scan_row, &sc, err);
	}
	tm_tables_unref(s->world, def);
	TM_TRY(rc);
	struct tm_column *columns = TM_NEW_N(&me->arena, struct tm_column, s->column_count + 1);
	for (size_t i = 0; i < s->column_count; i++)
		tm_cell_reader_finish(sc.readers[i], &columns[i]);
	me->rows = (struct tm_batch){.rows = sc.rows, .column_count = s->column_count, .columns = columns};
	me->read_ns = now_ns;
	return TM_OK;
}

static tm_rc table_next(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err)
{
	(void)err;
	struct table *me = (struct table *)s;
	size_t n = me->rows.rows - me->at;
	*ret_some = n > 0;
	if (!n)
		return TM_OK;
	if (n > TM_LIMIT_BATCH_ROWS)
		n = TM_LIMIT_BATCH_ROWS;
	tm_batch_slice(&ret->batch, arena, &me->rows, me->at, n);
	me->at += n;
	return TM_OK;
}

static const char *const formats[] = {"cassandra", "org.apache.spark.sql.cassandra", NULL};
const struct tm_source_class tm_source_table = {.formats = formats,
						.size = sizeof(struct table),
						.describe = table_describe,
						.open = table_open,
						.close = table_close,
						.range = table_range,
						.next = table_next};
