/* Writes of `tidemill export tables` to its target: statements with bound values, prepared once each, many on their way at once. */
#ifndef TM_CLI_EXPORT_WRITE_H
#define TM_CLI_EXPORT_WRITE_H
#include "cassandra/client.h"

struct tm_moved_writer;
/* client: the same target, for single questions; it outlives the writer. */
tm_rc tm_moved_writer_new(struct tm_str target, struct tm_cassandra_client *client, struct tm_moved_writer **ret,
			  struct tm_err *err) TM_CHECKED;
void tm_moved_writer_free(struct tm_moved_writer *w); /* NULL is fine */
/* Values are copied. Writes may overtake each other. again: it may be sent a second time when its answer is lost; without it that is an
 * error. What was written is durable after flush. */
struct tm_moved_write {
	struct tm_str text;
	const struct tm_cql_value *values;
	size_t count;
	bool again;
};
tm_rc tm_moved_writer_add(struct tm_moved_writer *w, const struct tm_moved_write *write, struct tm_err *err) TM_CHECKED;
tm_rc tm_moved_writer_flush(struct tm_moved_writer *w, struct tm_err *err) TM_CHECKED;
/* One statement now, with its answer in the arena. */
tm_rc tm_moved_ask(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count, struct tm_arena *arena,
		   struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
#endif
