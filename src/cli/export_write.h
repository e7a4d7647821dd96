/* Writes of `tidemill export tables` to its target: statements with bound values, prepared once each. */
#ifndef TM_CLI_EXPORT_WRITE_H
#define TM_CLI_EXPORT_WRITE_H
#include "cassandra/client.h"

struct tm_moved_writer;
struct tm_moved_writer *tm_moved_writer_new(struct tm_cassandra_client *target);
void tm_moved_writer_free(struct tm_moved_writer *w);
/* Values are copied. May wait; what was written is durable after flush. */
tm_rc tm_moved_write(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count,
		     struct tm_err *err) TM_CHECKED;
tm_rc tm_moved_writer_flush(struct tm_moved_writer *w, struct tm_err *err) TM_CHECKED;
/* One statement now, with its answer in the arena. */
tm_rc tm_moved_ask(struct tm_moved_writer *w, struct tm_str text, const struct tm_cql_value *values, size_t count, struct tm_arena *arena,
		   struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;
#endif
