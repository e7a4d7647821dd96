/* The stored form of rows: two stretches of bytes (the first byte says where the first ends) as rows, merged and purged. Whatever
 * opens and reads to its end must merge, and what comes of it must open. */
#include "table/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool whole(struct tm_str bytes)
{
	struct tm_row_reader r;
	struct tm_range_tombstone range;
	struct tm_cell cell;
	int rc;
	if (!tm_row_open(bytes, &r))
		return false;
	while (tm_row_next_range(&r, &range))
		;
	while ((rc = tm_row_next(&r, &cell)) == 1)
		TM_ASSERT(cell.value.len <= bytes.len && cell.path.len <= bytes.len);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	size_t cut = (size - 1) * data[0] / 255;
	struct tm_str a = tm_str_n((const char *)data + 1, cut), b = tm_str_n((const char *)data + 1 + cut, size - 1 - cut);
	struct tm_buf out = {0};
	whole(a);
	whole(b);
	if (tm_row_merge(a, b, &out))
		TM_ASSERT(whole(tm_buf_str(&out)));
	for (int head = 0; head < 2; head++) {
		out.len = 0;
		if (tm_row_purge(a, head, 1700000000, &out) == 1)
			TM_ASSERT(whole(tm_buf_str(&out)));
	}
	tm_buf_done(&out);
	return 0;
}
