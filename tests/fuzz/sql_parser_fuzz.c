/* SQL text of any bytes: split, parsed and analysed against a small catalogue; nothing is run. Half of the inputs go through the
 * pipeline door. */
#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static const struct tm_str setup = {"CREATE TEMPORARY VIEW t AS SELECT * FROM VALUES (1, 'a', 1.5, array(1, 2), named_struct('x', 1), "
				    "TIMESTAMP'2026-01-01 00:00:00') v(i, s, d, a, r, ts);"
				    "CREATE TEMPORARY VIEW u AS SELECT i + 1 AS i, s FROM t",
				    0};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	struct tm_sql_options options = {.time_zone = "UTC"};
	struct tm_sql *sql = tm_sql_new(&options);
	struct tm_err err = {0};
	struct tm_str rest = {setup.at, strlen(setup.at)}, statement;
	struct tm_buf out = {0};
	tm_rc rc = TM_OK;
	while (tm_sql_split(&rest, &statement) && rc == TM_OK)
		rc = tm_sql_run_json(sql, statement, &out, &err);
	rest = tm_str_n((const char *)data + 1, size - 1);
	if (data[0] & 1) {
		struct tm_pipeline *pipeline;
		rc = tm_sql_pipeline(sql, TM_STR("fuzz.sql"), rest, true, &pipeline, &err);
	} else {
		struct tm_query_spec *spec;
		while (tm_sql_split(&rest, &statement))
			rc = tm_sql_stream_plan(sql, statement, TM_MODE_UPDATE, &spec, &err);
	}
	(void)rc;
	tm_buf_done(&out);
	tm_sql_free(sql);
	return 0;
}
