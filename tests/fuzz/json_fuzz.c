/* The JSON decoder on any bytes: a nested schema with every kind of field. A record reads the same whatever came before it. */
#include <stdlib.h>
#include "column/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	const struct tm_str names[] = {TM_STR("a"), TM_STR("b"), TM_STR("s"), TM_STR("l"),
				       TM_STR("m"), TM_STR("d"), TM_STR("x"), TM_STR("bad")};
	const struct tm_type *inner[] = {&tm_type_smallint, &tm_type_string};
	const struct tm_type *st = tm_type_struct(&arena, 2, names, inner, NULL);
	const struct tm_type *types[] = {&tm_type_int,
					 &tm_type_double,
					 &tm_type_string,
					 tm_type_array(&arena, tm_type_array(&arena, st, true), true),
					 tm_type_map(&arena, &tm_type_string, tm_type_array(&arena, &tm_type_float, true), true),
					 tm_type_decimal(&arena, 20, 4),
					 &tm_type_binary,
					 &tm_type_string};
	struct tm_json_options o = {.corrupt_field = TM_STR("bad"), .allow_unquoted_names = size & 1, .allow_backslash_any = size & 2};
	struct tm_json_decoder *d = tm_json_decoder_new(&arena, tm_type_struct(&arena, 8, names, types, NULL), &o);
	/* Two records, split at a newline, so that the order of names seen first is tried on the second. */
	struct tm_str rest = {(const char *)data, size}, part;
	struct tm_column in, out, copy, one, alone;
	tm_column_init(&in, &arena, &tm_type_binary, 8);
	in.rows = 0;
	while (in.rows < 8 && rest.at && tm_str_split(&rest, '\n', &part))
		in.str[in.rows++] = part;
	struct tm_err err;
	uint8_t corrupt[8], corrupt_alone;
	if (tm_json_decode(d, &arena, &in, &out, corrupt, &err))
		abort();
	tm_column_copy(&copy, &arena, &out);
	tm_column_init(&one, &arena, &tm_type_binary, 1);
	for (size_t row = 0; row < in.rows; row++) {
		one.str[0] = in.str[row];
		struct tm_buf together = {0}, apart = {0};
		if (tm_json_decode(d, &arena, &one, &alone, &corrupt_alone, &err) || corrupt_alone != corrupt[row])
			abort();
		tm_value_encode(&copy, row, &together);
		tm_value_encode(&alone, 0, &apart);
		if (!tm_str_eq(tm_buf_str(&together), tm_buf_str(&apart)))
			abort();
		tm_buf_done(&together);
		tm_buf_done(&apart);
	}
	tm_json_valid((struct tm_str){(const char *)data, size});
	tm_arena_done(&arena);
	return 0;
}
