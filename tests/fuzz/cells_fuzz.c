/* Serialised cells into columns: the first byte chooses the CQL type, the rest is the cell; what was read is written again. Bytes
 * of a table are what drivers sent, so that nothing about them is certain. */
#include "stream/cells.h"
#include "table/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum tm_cql_kind scalars[] = {TM_CQL_ASCII,   TM_CQL_BIGINT,   TM_CQL_BLOB,     TM_CQL_BOOLEAN,   TM_CQL_DECIMAL,
					   TM_CQL_DOUBLE,  TM_CQL_FLOAT,    TM_CQL_INT,      TM_CQL_TIMESTAMP, TM_CQL_UUID,
					   TM_CQL_VARCHAR, TM_CQL_VARINT,   TM_CQL_TIMEUUID, TM_CQL_INET,      TM_CQL_DATE,
					   TM_CQL_TIME,    TM_CQL_SMALLINT, TM_CQL_TINYINT,  TM_CQL_DURATION};
enum { SCALARS = sizeof scalars / sizeof *scalars };

/* A type made of the first bytes: scalars, or a collection, tuple or vector of what follows. */
static const struct tm_cql_type *type_of(struct tm_arena *arena, struct tm_cursor *c, int depth)
{
	struct tm_cql_type *t = TM_NEW(arena, struct tm_cql_type);
	uint8_t b = tm_cursor_u8(c), k = b % (SCALARS + 5);
	t->frozen = b & 0x80;
	if (k < SCALARS || depth > 3) {
		t->kind = scalars[k % SCALARS];
		return t;
	}
	static const enum tm_cql_kind nests[] = {TM_CQL_LIST, TM_CQL_SET, TM_CQL_MAP, TM_CQL_TUPLE, TM_CQL_UDT};
	t->kind = nests[k - SCALARS];
	t->arg_count = t->kind == TM_CQL_MAP || t->kind == TM_CQL_UDT ? 2 : t->kind == TM_CQL_TUPLE ? 3 : 1;
	const struct tm_cql_type **args = TM_NEW_N(arena, const struct tm_cql_type *, t->arg_count);
	struct tm_str *names = TM_NEW_N(arena, struct tm_str, t->arg_count);
	for (size_t i = 0; i < t->arg_count; i++) {
		args[i] = type_of(arena, c, depth + 1);
		names[i] = i ? TM_STR("b") : TM_STR("a");
	}
	t->args = args;
	t->field_names = names;
	t->keyspace = TM_STR("k");
	t->name = TM_STR("u");
	return t;
}

static void value_text(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out)
{
	(void)session;
	tm_buf_printf(out, "%zu of %zu", row, c->rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	struct tm_cursor c = tm_cursor_of(tm_str_n((const char *)data, size));
	tm_arena_init(&arena);
	const struct tm_cql_type *from = type_of(&arena, &c, 0);
	const struct tm_type *to = tm_cell_type(&arena, from);
	struct tm_cql_value cell = {.bytes = tm_str_n(c.at, tm_cursor_left(&c))}, none = {.null = true};
	if (to) {
		struct tm_cell_reader *r = tm_cell_reader_new(&arena, from, to);
		struct tm_column column;
		struct tm_session session = {.time_zone = "UTC"};
		struct tm_cell_writer w = {.session = &session, .value_text = value_text, .arena = &arena};
		struct tm_str again;
		tm_cell_read(r, &cell);
		tm_cell_read(r, &none);
		tm_cell_reader_finish(r, &column);
		if (!tm_is_null(&column, 0) && tm_cell_fits(to, from))
			tm_cell_write(&w, &column, 0, from, &again);
	}
	tm_arena_done(&arena);
	return 0;
}
