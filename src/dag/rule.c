/* Trigger rules: what becomes of a task whose upstream instances are in given states. Each rule first looks whether it can
 * never be met any more (a state is set at once), then whether it is met. */
#include "dag/dag_int.h"

enum rule {
	ALL_SUCCESS,
	ALL_FAILED,
	ALL_DONE,
	ALL_DONE_MIN_ONE_SUCCESS,
	ALL_DONE_SETUP_SUCCESS,
	ALL_SKIPPED,
	ONE_FAILED,
	ONE_SUCCESS,
	ONE_DONE,
	NONE_FAILED,
	NONE_FAILED_MIN_ONE_SUCCESS,
	NONE_SKIPPED,
	ALWAYS,
	RULES
};
static const struct {
	const char *name;
	enum rule rule;
} names[] = {{"all_success", ALL_SUCCESS},
	     {"all_failed", ALL_FAILED},
	     {"all_done", ALL_DONE},
	     {"all_done_min_one_success", ALL_DONE_MIN_ONE_SUCCESS},
	     {"all_done_setup_success", ALL_DONE_SETUP_SUCCESS},
	     {"all_skipped", ALL_SKIPPED},
	     {"one_failed", ONE_FAILED},
	     {"one_success", ONE_SUCCESS},
	     {"one_done", ONE_DONE},
	     {"none_failed", NONE_FAILED},
	     {"none_failed_min_one_success", NONE_FAILED_MIN_ONE_SUCCESS},
	     {"none_failed_or_skipped", NONE_FAILED_MIN_ONE_SUCCESS},
	     {"none_skipped", NONE_SKIPPED},
	     {"always", ALWAYS},
	     {"dummy", ALWAYS}};

static int rule_of(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i].name, name))
			return (int)names[i].rule;
	return -1;
}
bool tm_dag_rule_known(const char *rule) { return rule_of(rule) >= 0; }

/* The state that is certain already, NONE = not yet. */
static enum tm_dag_state certain(enum rule rule, const struct tm_dag_rule_counts *n, bool all_done, int version)
{
	bool bad = n->failed || n->upstream_failed;
	switch (rule) {
	case ALL_SUCCESS:
		return bad ? TM_DAG_UPSTREAM_FAILED : n->skipped ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case ALL_FAILED:
		return n->success || n->skipped ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case ONE_SUCCESS:
		if (!all_done)
			return TM_DAG_NONE;
		return n->done == n->skipped ? TM_DAG_SKIPPED : n->success <= 0 ? TM_DAG_UPSTREAM_FAILED : TM_DAG_NONE;
	case ONE_FAILED:
		return all_done && !bad ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case ONE_DONE:
		return all_done && !(n->failed || n->success) ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case NONE_FAILED:
		return bad ? TM_DAG_UPSTREAM_FAILED : TM_DAG_NONE;
	case NONE_FAILED_MIN_ONE_SUCCESS:
		if (bad)
			return TM_DAG_UPSTREAM_FAILED;
		if (n->skipped == n->total)
			return TM_DAG_SKIPPED;
		return version >= 3 && all_done && n->success == 0 ? TM_DAG_UPSTREAM_FAILED : TM_DAG_NONE;
	case NONE_SKIPPED:
		return n->skipped ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case ALL_SKIPPED:
		return n->success || bad ? TM_DAG_SKIPPED : TM_DAG_NONE;
	case ALL_DONE_MIN_ONE_SUCCESS:
		return n->skipped ? TM_DAG_SKIPPED : all_done && n->success == 0 ? TM_DAG_UPSTREAM_FAILED : TM_DAG_NONE;
	case ALL_DONE_SETUP_SUCCESS:
		if (!all_done || !n->setups)
			return TM_DAG_NONE;
		return n->setups_skipped >= n->setups ? TM_DAG_SKIPPED : n->setups_success == 0 ? TM_DAG_UPSTREAM_FAILED : TM_DAG_NONE;
	default:
		return TM_DAG_NONE;
	}
}

/* In Airflow 3 a removed upstream task stands in nobody's way. */
static bool met(enum rule rule, const struct tm_dag_rule_counts *n, bool all_done, int version)
{
	int gone = version >= 3 ? n->removed : 0;
	switch (rule) {
	case ALL_SUCCESS:
		return n->total - gone - n->success <= 0;
	case ALL_FAILED:
		return n->total - gone - n->failed - n->upstream_failed <= 0;
	case ONE_SUCCESS:
		return n->success > 0;
	case ONE_FAILED:
		return n->failed || n->upstream_failed;
	case ONE_DONE:
		return n->success + n->failed > 0;
	case ALL_DONE:
		return all_done;
	case NONE_FAILED:
	case NONE_FAILED_MIN_ONE_SUCCESS:
		return n->total - gone - n->success - n->skipped <= 0;
	case NONE_SKIPPED:
		return all_done && !n->skipped;
	case ALL_SKIPPED:
		return n->total - n->skipped <= 0;
	case ALL_DONE_MIN_ONE_SUCCESS:
		return all_done && n->success > 0;
	case ALL_DONE_SETUP_SUCCESS:
		return all_done && (!n->setups || n->setups_success);
	default:
		return true;
	}
}

enum tm_dag_rule_verdict tm_dag_rule_eval(const char *name, const struct tm_dag_rule_counts *n, int version, enum tm_dag_state *ret_state)
{
	int rule = rule_of(name);
	TM_ASSERT(rule >= 0);
	if (rule == ALWAYS || n->total == 0)
		return TM_DAG_RULE_RUN;
	bool all_done = n->done >= n->total;
	enum tm_dag_state s = certain((enum rule)rule, n, all_done, version);
	if (s != TM_DAG_NONE) {
		*ret_state = s;
		return TM_DAG_RULE_SET;
	}
	return met((enum rule)rule, n, all_done, version) ? TM_DAG_RULE_RUN : TM_DAG_RULE_WAIT;
}
