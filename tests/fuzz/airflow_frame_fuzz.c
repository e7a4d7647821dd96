/* Messages of task processes: frames cut anywhere, of any length. */
#include "airflow/airflow_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_str rest = tm_str_n((const char *)data, size);
	struct tm_err err = {0};
	for (;;) {
		size_t n = 0;
		json_t *message = NULL;
		if (tm_frame_next(rest, &n, &message, &err) != TM_OK || !n)
			return 0;
		TM_ASSERT(n <= rest.len && json_is_object(message));
		struct tm_buf again = {0};
		tm_frame_put(&again, message);
		tm_buf_done(&again);
		json_decref(message);
		rest = tm_str_slice(rest, n, rest.len);
	}
}
