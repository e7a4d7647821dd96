/* The names of task states. */
#include "dag/dag_int.h"

static const char *const texts[TM_DAG_STATE_COUNT] = {"none",    "scheduled", "queued",          "running",      "success",
						      "failed",  "skipped",   "upstream_failed", "up_for_retry", "up_for_reschedule",
						      "removed", "restarting"};

const char *tm_dag_state_text(enum tm_dag_state s) { return (unsigned)s < TM_DAG_STATE_COUNT ? texts[s] : "?"; }

bool tm_dag_state_of(struct tm_str text, enum tm_dag_state *ret)
{
	for (int i = 0; i < TM_DAG_STATE_COUNT; i++)
		if (tm_str_is(text, texts[i])) {
			*ret = (enum tm_dag_state)i;
			return true;
		}
	return false;
}

bool tm_dag_state_ended(enum tm_dag_state s)
{
	return s == TM_DAG_SUCCESS || s == TM_DAG_FAILED || s == TM_DAG_SKIPPED || s == TM_DAG_UPSTREAM_FAILED || s == TM_DAG_REMOVED;
}
