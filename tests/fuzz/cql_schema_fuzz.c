/* What a server says of its types: texts of system_schema.columns, and rows of system_schema.types. The input is cut at zero bytes:
 * the first part is a column's type, then come names, lists of field names and lists of field types. */
#include "cassandra/tables_int.h"
#include "table/type.h"

enum { TYPES = 4, CELLS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "a|b|c" as list<text>; what begins with ! is taken as it is. */
static struct tm_str list_of(struct tm_arena *arena, struct tm_str text)
{
	struct tm_buf b = {0};
	struct tm_str rest = text, part;
	uint32_t n = 0;
	if (text.len && text.at[0] == '!')
		return tm_str_slice(text, 1, text.len);
	tm_buf_be32(&b, 0);
	while (tm_str_split(&rest, '|', &part)) {
		tm_buf_be32(&b, (uint32_t)part.len);
		tm_buf_str_put(&b, part);
		n++;
	}
	n = __builtin_bswap32(n);
	memcpy(b.at, &n, 4);
	struct tm_str ret = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	struct tm_str rest = {(const char *)data, size}, type = {0}, part;
	struct tm_cql_column_spec columns[CELLS] = {{.name = TM_STR("keyspace_name")},
						    {.name = TM_STR("type_name")},
						    {.name = TM_STR("field_names")},
						    {.name = TM_STR("field_types")}};
	struct tm_cql_value values[TYPES * CELLS] = {0};
	tm_arena_init(&arena);
	tm_str_split(&rest, 0, &type);
	for (size_t i = 0; i < TYPES; i++) {
		for (size_t c = 1; c < CELLS; c++) {
			if (!rest.len || !tm_str_split(&rest, 0, &part))
				part = (struct tm_str){"", 0};
			values[i * CELLS + c].bytes = c == 1 ? part : list_of(&arena, part);
		}
		values[i * CELLS].bytes = TM_STR("w");
	}
	const struct tm_cql_result rows = {.columns = columns, .column_count = CELLS, .values = values, .row_count = TYPES};
	const struct tm_cql_type *t = tm_outside_type(type, TM_STR("w"), &rows);
	if (t) {
		struct tm_buf text = {0};
		tm_table_type_text(t, &text);
		tm_buf_done(&text);
	}
	tm_arena_done(&arena);
	return 0;
}
