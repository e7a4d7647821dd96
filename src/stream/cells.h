/* Between Spark's values and CQL's serialised ones, by the Cassandra connector's rules. */
#ifndef TM_STREAM_CELLS_H
#define TM_STREAM_CELLS_H
#include "stream/query.h"
#include "table/table.h"

/* The Spark type that a CQL type is read as; NULL where there is none. */
const struct tm_type *tm_cell_type(struct tm_arena *arena, const struct tm_cql_type *type);
/* Can values of the Spark type be written to the CQL type at all? */
bool tm_cell_fits(const struct tm_type *from, const struct tm_cql_type *to);

struct tm_cell_writer {
	const struct tm_session *session;
	void (*value_text)(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);
	struct tm_arena *arena;
	char why[200]; /* set when a value is refused */
};
/* Serialises a value that is not null into ret (in the arena). False = refused, why says what. */
bool tm_cell_write(struct tm_cell_writer *w, const struct tm_column *c, size_t row, const struct tm_cql_type *to, struct tm_str *ret);

/* Grows a column from serialised cells. */
struct tm_cell_reader;
struct tm_cell_reader *tm_cell_reader_new(struct tm_arena *arena, const struct tm_cql_type *from, const struct tm_type *to);
void tm_cell_read(struct tm_cell_reader *r, const struct tm_cql_value *value);
void tm_cell_reader_finish(struct tm_cell_reader *r, struct tm_column *ret);
#endif
