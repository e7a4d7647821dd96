/* Definitions as a loader might send them: any JSON either becomes a DAG or is refused. */
#include "dag/dag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_error_t at;
	json_t *j = json_loadb((const char *)data, size, 0, &at);
	struct tm_err err = {0};
	if (json_is_object(j) && tm_dag_try_definition(j, "fuzz.py", &err) != TM_OK)
		TM_ASSERT(err.what[0]);
	json_decref(j);
	return 0;
}
