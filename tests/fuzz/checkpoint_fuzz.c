/* Checkpoint bytes from outside: the record, a chunk's seal, offsets, keys of groups. Nothing may crash or read past the end. */
#include <stdlib.h>
#include "column/column.h"
#include "stream/checkpoint.h"
#include "stream/groups.h"
#include "stream/offsets.h"
#include "stream/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_err err;
	struct tm_str bytes = {(const char *)data + 1, size - 1};
	if (data[0] % 4 == 0) {
		struct tm_checkpoint c;
		struct tm_buf sealed = {0};
		tm_state_seal(&sealed, bytes); /* past the checksum, into the fields */
		if (tm_checkpoint_decode(tm_buf_str(&sealed), &arena, &c, &err) == TM_OK) {
			struct tm_buf again = {0};
			tm_checkpoint_encode(&c, &again);
			if (again.len != sealed.len)
				abort();
			tm_buf_done(&again);
		}
		tm_buf_done(&sealed);
	} else if (data[0] % 4 == 1) {
		struct tm_offsets o;
		if (tm_offsets_parse(bytes, &arena, &o, &err) == TM_OK) {
			struct tm_buf text = {0};
			struct tm_offsets again;
			tm_offsets_sort(&o);
			tm_offsets_text(&o, &text);
			if (tm_offsets_parse(tm_buf_str(&text), &arena, &again, &err) != TM_OK)
				abort();
			tm_buf_done(&text);
		}
		if (tm_offsets_parse_assign(bytes, &arena, &o, &err) == TM_OK)
			tm_offsets_sort(&o);
	} else {
		const struct tm_type *types[] = {&tm_type_string, &tm_type_bigint, tm_type_array(&arena, &tm_type_double, true)};
		struct tm_groups g;
		tm_groups_init(&g, types, NULL, data[0] % 4 == 2 ? 3 : 1, 8, 8);
		uint32_t number;
		bool fresh;
		if (tm_groups_insert_bytes(&g, bytes, &number, &fresh)) {
			struct tm_column keys[3];
			tm_groups_keys(&g, &arena, &number, 1, keys);
		}
		tm_groups_done(&g);
		struct tm_str payload;
		if (tm_state_unseal(bytes, &payload) && payload.len + 5 != bytes.len)
			abort();
	}
	tm_arena_done(&arena);
	return 0;
}
