/* DAGs: what the engine answers is JSON already; the door passes it on. */
#include "dag/dag.h"
#include "http/http_int.h"
#include <stdlib.h>

static tm_rc engine(struct tm_http_request *r, struct tm_dag **ret, struct tm_err *err)
{
	*ret = r->server->world.dag;
	if (*ret)
		return TM_OK;
	return tm_fail(err, TM_NOT_FOUND, "this project has no DAGs (no dags directory)");
}

tm_rc tm_http_api_dags(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	if (!r->server->world.dag) {
		tm_buf_cstr_put(&a->body, "[]");
		return TM_OK;
	}
	return tm_dag_list_json(r->server->world.dag, &a->body, err);
}

tm_rc tm_http_api_dag(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	return tm_dag_get_json(dag, tm_http_part(r, 0), &a->body, err);
}

tm_rc tm_http_api_runs(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	int64_t limit = tm_http_query_i64(r, "limit", 20), offset = tm_http_query_i64(r, "offset", 0);
	limit = limit < 1 ? 1 : limit > 1000 ? 1000 : limit;
	return tm_dag_runs_json(dag, tm_http_part(r, 0), (int)limit, offset < 0 ? 0 : (int)offset, &a->body, err);
}

tm_rc tm_http_api_run(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	return tm_dag_run_json(dag, tm_http_part(r, 0), tm_http_part(r, 1), &a->body, err);
}

tm_rc tm_http_api_log(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	struct tm_buf path = {0};
	tm_rc rc = tm_dag_log_path(dag, tm_http_part(r, 0), tm_http_part(r, 1), tm_http_part(r, 2),
				   (int)tm_http_query_i64(r, "map_index", -1), (int)tm_http_query_i64(r, "try", 0), &path, err);
	if (rc == TM_OK)
		rc = tm_file_read(tm_env_real(), tm_buf_cstr(&path), 64 * TM_MIB, &a->body, err);
	tm_buf_done(&path);
	a->type = "text/plain; charset=utf-8";
	return rc;
}

tm_rc tm_http_api_trigger(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	const json_t *conf = json_object_get(r->body, "conf");
	char *text = json_is_object(conf) ? json_dumps(conf, JSON_COMPACT) : NULL, run_id[256];
	struct tm_dag_trigger how = {
	    .run_id = json_string_value(json_object_get(r->body, "run_id")), .conf_json = text, .logical_date_us = TM_DAG_NEVER};
	tm_rc rc = tm_dag_trigger(dag, tm_http_part(r, 0), &how, run_id, err);
	free(text);
	if (rc == TM_OK) {
		tm_http_put(a, json_pack("{s:s}", "run_id", run_id));
		tm_http_server_changed(r->server);
	}
	return rc;
}

tm_rc tm_http_api_pause(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	TM_TRY(tm_dag_pause(dag, tm_http_part(r, 0), json_is_true(json_object_get(r->body, "paused")), err));
	tm_buf_cstr_put(&a->body, "{}");
	tm_http_server_changed(r->server);
	return TM_OK;
}

tm_rc tm_http_api_clear(struct tm_http_request *r, struct tm_http_answer *a, struct tm_err *err)
{
	struct tm_dag *dag;
	TM_TRY(engine(r, &dag, err));
	TM_TRY(tm_dag_clear(dag, tm_http_part(r, 0), tm_http_part(r, 1), json_string_value(json_object_get(r->body, "task_id")),
			    json_is_true(json_object_get(r->body, "downstream")), json_is_true(json_object_get(r->body, "only_failed")),
			    err));
	tm_buf_cstr_put(&a->body, "{}");
	tm_http_server_changed(r->server);
	return TM_OK;
}
