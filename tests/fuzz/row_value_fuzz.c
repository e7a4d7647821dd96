/* Bytes of the disk: the row decoder, merging and purging, and values of every type in their ordered form and as text. */
#include "cql/cql.h"
#include "table/row.h"
#include "table/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct tm_str bytes)
{
	struct tm_row_reader r;
	struct tm_range_tombstone t;
	struct tm_cell c;
	if (!tm_row_open(bytes, &r))
		return;
	while (tm_row_next_range(&r, &t))
		;
	while (tm_row_next(&r, &c) > 0)
		;
}

static void value(const struct tm_cql_type *type, struct tm_str bytes)
{
	struct tm_arena arena;
	struct tm_err err;
	struct tm_buf out = {0};
	struct tm_str back;
	tm_arena_init(&arena);
	struct tm_cursor c = tm_cursor_of(bytes);
	(void)tm_value_order_take(type, &c, &arena, &back);
	if (tm_value_validate(type, bytes, &err) == TM_OK) {
		tm_value_order_put(type, bytes, &out);
		c = tm_cursor_of(tm_buf_str(&out));
		if (!tm_value_order_take(type, &c, &arena, &back))
			__builtin_trap();
		out.len = 0;
		tm_cql_value_json(type, bytes, &out);
		tm_cql_value_text(type, bytes, &out);
		(void)tm_value_compare(type, bytes, back);
	}
	tm_buf_done(&out);
	tm_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct tm_str all = tm_str_n((const char *)data + 1, size - 1);
	struct tm_str a = tm_str_slice(all, 0, data[0]), b = tm_str_slice(all, data[0], all.len);
	struct tm_buf out = {0};
	walk(all);
	if (tm_row_merge(a, b, &out))
		walk(tm_buf_str(&out));
	out.len = 0;
	(void)tm_row_purge(all, data[0] & 1, 1000, &out);
	tm_buf_done(&out);
	for (int k = TM_CQL_ASCII; k <= TM_CQL_DURATION; k++)
		if (k != 0x0A)
			value(tm_type_native((enum tm_cql_kind)k), all);
	const struct tm_cql_type *text = tm_type_native(TM_CQL_VARCHAR), *number = tm_type_native(TM_CQL_DECIMAL), *pair[] = {text, number};
	value(tm_type_list(text, true), all);
	value(tm_type_reversed(tm_table_type_map(number, text, true), true), all);
	value(tm_type_tuple(pair, 2), all);
	value(tm_type_vector(text, 3), all);
	return 0;
}
