/* Rows of CQL for people. */
#include "cli/rows.h"
#include <stdio.h>
#include <stdlib.h>

void tm_rows_print(const struct tm_cql_result *r)
{
	struct tm_buf cells = {0};
	size_t *ends = tm_alloc(tm_mul_size(r->row_count * r->column_count + 1, sizeof *ends)),
	       *width = tm_zalloc(tm_mul_size(r->column_count + 1, sizeof *width));
	for (size_t c = 0; c < r->column_count; c++)
		width[c] = tm_utf8_count(r->columns[c].name);
	for (size_t i = 0; i < r->row_count * r->column_count; i++) {
		size_t start = cells.len;
		if (r->values[i].null)
			tm_buf_cstr_put(&cells, "null");
		else
			tm_cql_value_text(r->columns[i % r->column_count].type, r->values[i].bytes, &cells);
		ends[i] = cells.len;
		size_t n = tm_utf8_count(tm_str_n(cells.at + start, cells.len - start));
		if (n > width[i % r->column_count])
			width[i % r->column_count] = n;
	}
	printf("\n");
	for (size_t c = 0; c < r->column_count; c++)
		printf("%s%.*s%*s", c ? " | " : " ", TM_STR_ARG(r->columns[c].name), (int)(width[c] - tm_utf8_count(r->columns[c].name)),
		       "");
	printf("\n");
	for (size_t c = 0; c < r->column_count; c++) {
		printf("%s", c ? "+" : "");
		for (size_t i = 0; i < width[c] + 2; i++)
			putchar('-');
	}
	printf("\n");
	for (size_t i = 0, start = 0; i < r->row_count * r->column_count; start = ends[i++]) {
		size_t c = i % r->column_count;
		struct tm_str cell = tm_str_n(cells.at + start, ends[i] - start);
		printf("%s%*s%.*s%s", c ? " | " : " ", (int)(width[c] - tm_utf8_count(cell)), "", TM_STR_ARG(cell),
		       c + 1 == r->column_count ? "\n" : "");
	}
	printf("\n(%zu row%s)\n", r->row_count, r->row_count == 1 ? "" : "s");
	free(ends);
	free(width);
	tm_buf_done(&cells);
}
