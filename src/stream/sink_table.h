/* What the two sinks of format cassandra share: the embedded store's (sink_table.c) and a real Cassandra's (sink_outside.c). They check the
 * same, turn rows into the same cells and refuse the same rows; they differ in how a batch is written. */
#ifndef TM_STREAM_SINK_TABLE_H
#define TM_STREAM_SINK_TABLE_H
#include "stream/provider.h"
#include "stream/tables.h"

/* A row of the batch at work. Rows are written in the order of their partitions' tokens, which is the order they lie in: the store
 * takes them several times faster than in the order they came. */
struct tm_sink_row {
	int64_t token;
	uint32_t number, count;
	const struct tm_cql_value *values;
	const size_t *index;
};
struct tm_table_sink {
	struct tm_sink s;
	struct {
		struct tm_sink_row *items;
		size_t count, cap;
	} rows;
	struct tm_buf key;
	const struct tm_table_def *def;
	size_t *index, count; /* sink column i goes to table column index[i] */
	bool ignore_nulls;
	int64_t ttl_s, last_us;
	struct tm_arena arena;
};
tm_rc tm_table_sink_check(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err);
tm_rc tm_table_sink_open(struct tm_sink *s, struct tm_err *err);
void tm_table_sink_close(struct tm_sink *s);
tm_rc tm_table_sink_begin(struct tm_sink *s, struct tm_err *err);
tm_rc tm_table_sink_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err);
#endif
