/* Frames between us and the Python processes: a length of 4 bytes, little-endian, and a JSON object of that many bytes. */
#include "airflow/airflow_int.h"

tm_rc tm_frame_next(struct tm_str received, size_t *ret_frame_bytes, json_t **ret_message, struct tm_err *err)
{
	*ret_frame_bytes = 0;
	if (received.len < 4)
		return TM_OK;
	struct tm_cursor c = tm_cursor_of(received);
	size_t n = tm_cursor_le32(&c);
	if (n > TM_LIMIT_TASK_MESSAGE_BYTES)
		return tm_fail(err, TM_LIMIT,
			       "a message of a task has %zu bytes, %zu are allowed (a large XCom? keep the data in a table or a file)", n,
			       TM_LIMIT_TASK_MESSAGE_BYTES);
	if (tm_cursor_left(&c) < n)
		return TM_OK;
	struct tm_str body = tm_cursor_take(&c, n);
	json_error_t at;
	json_t *j = json_loadb(body.at ? body.at : "", body.len, JSON_ALLOW_NUL, &at);
	if (!json_is_object(j)) {
		json_decref(j);
		return tm_fail(err, TM_CORRUPT, "a message of a task is no JSON object: %s", j ? "another value" : at.text);
	}
	*ret_frame_bytes = 4 + n;
	*ret_message = j;
	return TM_OK;
}

void tm_frame_put(struct tm_buf *out, const json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	tm_buf_le32(out, (uint32_t)n);
	tm_buf_put(out, text, n);
	free(text);
}
