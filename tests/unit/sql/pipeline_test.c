/* Pipelines: what becomes a query, where errors are told, and what the planner makes of it. */
#include "unit.h"
#include "sql/sql.h"

static struct tm_sql *fresh(void)
{
	struct tm_sql_options options = {.time_zone = "UTC"};
	return tm_sql_new(&options);
}
#define SOURCE "CREATE TEMPORARY VIEW raw USING kafka OPTIONS (subscribe 'earthquakes', startingOffsets 'earliest');\n"
#define VIEW                                                                                                                               \
	"CREATE TEMPORARY VIEW quakes AS\n  SELECT q.* FROM (SELECT from_json(CAST(value AS STRING), 'id STRING, mag DOUBLE, place "       \
	"STRING, time TIMESTAMP, more STRUCT<a: INT>') AS q FROM STREAM raw);\n"

TEST(a_pipeline)
{
	struct tm_sql *sql = fresh();
	struct tm_pipeline *p;
	struct tm_err err = {0};
	CHECK_OK(
	    tm_sql_pipeline(sql, TM_STR("q.sql"),
			    TM_STR(SOURCE VIEW "CREATE STREAMING TABLE per_hour USING console OPTIONS (outputMode 'update', trigger '10 "
					       "seconds', queryName 'hours', truncate 'false') AS\n"
					       "  SELECT place, window(time, '1 hour').start AS hour, count(*) AS n FROM STREAM quakes "
					       "WATERMARK time DELAY OF INTERVAL 10 MINUTES GROUP BY place, window(time, '1 hour');\n"
					       "CREATE STREAMING TABLE strong USING kafka OPTIONS (topic 'strong', availableNow 'true');\n"
					       "CREATE FLOW big AS INSERT INTO strong SELECT id AS key, to_json(struct(id, mag)) AS value "
					       "FROM STREAM quakes WHERE mag > 5;"),
			    false, &p, &err),
	    err);
	CHECK_INT(p->query_count, 2);
	CHECK_STR(p->queries[0].name, "hours");
	CHECK_INT(p->queries[0].mode, TM_MODE_UPDATE);
	CHECK_INT(p->queries[0].trigger_interval_ms, 10000);
	CHECK_INT(p->queries[0].sink_option_count, 1);
	CHECK_STR(p->queries[1].name, "big");
	CHECK_INT(p->queries[1].trigger, TM_TRIGGER_AVAILABLE_NOW);
	CHECK_STR(p->queries[1].sink_format, "kafka");
	CHECK_INT(p->edge_count, 2);
	CHECK_STR(p->edges[0].from, "earthquakes");
	CHECK_STR(p->edges[0].to, "hours");
	tm_sql_free(sql);
}

/* The scan gives the value only, and from_json just the fields that are read. */
TEST(only_what_is_used_is_decoded)
{
	struct tm_sql *sql = fresh();
	struct tm_pipeline *p;
	struct tm_err err = {0};
	CHECK_OK(
	    tm_sql_pipeline(sql, TM_STR("q.sql"),
			    TM_STR(SOURCE VIEW "CREATE STREAMING TABLE t USING console AS SELECT mag FROM STREAM quakes WHERE mag > 5"),
			    false, &p, &err),
	    err);
	const struct tm_op *op = p->queries[0].root;
	bool json = false;
	while (op->input_count) {
		for (size_t i = 0; op->kind == TM_OP_PROJECT && i < op->schema.count; i++)
			if (op->schema.fields[i].type->kind == TM_T_STRUCT) {
				CHECK_INT(op->schema.fields[i].type->child_count, 1);
				CHECK_STR(op->schema.fields[i].type->names[0], "mag");
				json = true;
			}
		op = op->inputs[0];
	}
	CHECK(json);
	CHECK_INT(op->kind, TM_OP_SCAN);
	CHECK_INT(op->schema.count, 1);
	CHECK_STR(op->schema.fields[0].name, "value");
	CHECK(op->scan.relation->streaming);
	tm_sql_free(sql);
}

static void refused(const char *text, const char *klass, int line, int column)
{
	struct tm_sql *sql = fresh();
	struct tm_pipeline *p;
	struct tm_err err = {0};
	CHECK(tm_sql_pipeline(sql, TM_STR("pipelines/q.sql"), tm_str_of(text), false, &p, &err) != TM_OK);
	CHECK_STR(tm_str_of(err.klass), klass);
	CHECK_STR(tm_str_of(err.file), "pipelines/q.sql");
	CHECK_INT(err.line, line);
	if (column)
		CHECK_INT(err.column, column);
	tm_sql_free(sql);
}

TEST(errors_say_where)
{
	refused(SOURCE VIEW "CREATE STREAMING TABLE t USING console AS\nSELECT magnitude FROM STREAM quakes",
		"UNRESOLVED_COLUMN.WITH_SUGGESTION", 5, 8);
	refused(SOURCE "SELECT 1", "UNSUPPORTED_PIPELINE_STATEMENT", 2, 1);
	refused(SOURCE VIEW "CREATE STREAMING TABLE t USING cassandr AS SELECT 1", "DATA_SOURCE_NOT_FOUND", 4, 1);
	refused("CREATE TEMPORARY VIEW r USING kafak OPTIONS (subscribe 'x')", "DATA_SOURCE_NOT_FOUND", 1, 1);
	refused(SOURCE "CREATE STREAMING TABLE t USING console AS SELECT 1 AS a",
		"INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE", 2, 1);
	refused(SOURCE VIEW "CREATE STREAMING TABLE t USING console OPTIONS (outputMode 'sometimes') AS SELECT mag FROM STREAM quakes",
		"STREAMING_OUTPUT_MODE.INVALID", 4, 1);
	refused(SOURCE "CREATE STREAMING TABLE t AS SELECT FROM", "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", 2, 0);
	refused("CREATE STREAMING TABLE t AS SELECT * FROM STREAM nothing", "TABLE_OR_VIEW_NOT_FOUND", 1, 0);
}

TEST(scripts_are_split)
{
	struct tm_str rest = TM_STR("SELECT ';' -- ; no\n; /* ; */ ; SELECT \"a;b\", `c;d` ;\n\n"), s;
	CHECK(tm_sql_split(&rest, &s));
	CHECK_STR(tm_str_trim(s), "SELECT ';' -- ; no");
	CHECK(tm_sql_split(&rest, &s));
	CHECK_STR(tm_str_trim(s), "SELECT \"a;b\", `c;d`");
	CHECK(!tm_sql_split(&rest, &s));
}
TEST_MAIN()
