/* `tidemill dag export`: what a real Airflow needs beside the DAG files (python/tidemill/export.py knows its formats). */
#include "airflow/airflow_int.h"

tm_rc tm_airflow_export(const struct tm_airflow_options *o, const char *to, bool secrets, json_t **ret, struct tm_err *err)
{
	json_t *more = json_pack("{s:{s:s, s:b}}", "export", "to", to, "secrets", (int)secrets), *answer = NULL;
	TM_TRY(tm_airflow_ask_module(o, "tidemill.export", more, &answer, err));
	const json_t *e = json_array_get(json_object_get(answer, "errors"), 0);
	if (json_is_array(answer)) {
		tm_fail(err, TM_NOT_FOUND, "%s holds no DAG file", o->dags_dir);
		tm_err_hint(err, "An Airflow DAG file is a *.py that mentions DAG and airflow.");
	} else if (e) {
		const char *file = json_string_value(json_object_get(e, "file")), *what = json_string_value(json_object_get(e, "error")),
			   *hint = json_string_value(json_object_get(e, "hint"));
		tm_fail(err, TM_INVALID, "%s", what ? what : "a DAG file does not load");
		tm_err_hint(err, "%s", hint && *hint ? hint : "`tidemill check` shows all that is wrong with the project.");
		tm_err_at(err, file ? file : "", (int)json_integer_value(json_object_get(e, "line")),
			  (int)json_integer_value(json_object_get(e, "column")));
	} else {
		*ret = answer;
		return TM_OK;
	}
	json_decref(answer);
	return err->rc;
}
