/* JSON bids (about 245 bytes, 7 fields, the shape of Nexmark's) into columns: rows per CPU second for all fields and for one,
 * beside memcpy of the same bytes. Prints one JSON object a line. */
#include <stdio.h>
#include <stdlib.h>
#include "clocks.h"
#include "column/json.h"

enum { ROWS = 4096, ROUNDS = 400 };

static void print(const char *what, double seconds, size_t bytes)
{
	printf("{\"bench\":\"%s\",\"rows_per_cpu_s\":%.0f,\"GB_per_cpu_s\":%.2f}\n", what, ROWS / seconds, (double)bytes / seconds / 1e9);
}

static void measure(const char *what, const struct tm_type *type, const struct tm_column *texts, size_t bytes)
{
	struct tm_arena plan, batch;
	tm_arena_init(&plan);
	tm_arena_init(&batch);
	struct tm_json_decoder *d = tm_json_decoder_new(&plan, type, NULL);
	double best = 1e9;
	for (int pass = 0; pass < 5; pass++) {
		double start = cpu_s();
		for (int i = 0; i < ROUNDS / 5; i++) {
			struct tm_column out;
			struct tm_err err;
			if (tm_json_decode(d, &batch, texts, &out, NULL, &err) != TM_OK || out.rows != ROWS)
				abort();
			tm_arena_reset(&batch);
		}
		double took = (cpu_s() - start) / (ROUNDS / 5);
		best = took < best ? took : best;
	}
	print(what, best, bytes);
	tm_arena_done(&batch);
	tm_arena_done(&plan);
}

int main(void)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_column texts;
	tm_column_init(&texts, &arena, &tm_type_string, ROWS);
	struct tm_buf all = {0};
	static size_t starts[ROWS + 1];
	unsigned seed = 1;
	for (int i = 0; i < ROWS; i++) {
		starts[i] = all.len;
		seed = seed * 1103515245u + 12345u;
		unsigned s = seed >> 4;
		tm_buf_printf(&all,
			      "{\"auction\":%u,\"bidder\":%u,\"price\":%u,\"channel\":\"channel-%u\",\"url\":\"https://www.nexmark.com/"
			      "item/%u/%u.htm?query=1&channel_id=%u\","
			      "\"dateTime\":\"2026-11-22 10:%02u:%02u.%03u\",\"extra\":\"%.*s\"}",
			      1000 + s % 99999, 1000 + s % 7919, s % 100000000, s % 10000, s % 991, s % 9973, s % 10000, s % 60,
			      s / 60 % 60, s % 1000, (int)(20 + s % 24), "[]^`_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR");
	}
	starts[ROWS] = all.len;
	for (int i = 0; i < ROWS; i++)
		texts.str[i] = (struct tm_str){all.at + starts[i], starts[i + 1] - starts[i]};
	const struct tm_str names[] = {TM_STR("auction"), TM_STR("bidder"),   TM_STR("price"), TM_STR("channel"),
				       TM_STR("url"),     TM_STR("dateTime"), TM_STR("extra")};
	const struct tm_type *types[] = {&tm_type_bigint, &tm_type_bigint, &tm_type_bigint, &tm_type_string,
					 &tm_type_string, &tm_type_string, &tm_type_string};
	printf("{\"bench\":\"input\",\"bytes_per_row\":%.0f}\n", (double)all.len / ROWS);
	char *copy = tm_alloc(all.len);
	double start = cpu_s();
	for (int i = 0; i < ROUNDS; i++) {
		memcpy(copy, all.at, all.len);
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	print("memcpy", (cpu_s() - start) / ROUNDS, all.len);
	measure("json_all_7_fields", tm_type_struct(&arena, 7, names, types, NULL), &texts, all.len);
	measure("json_auction_only", tm_type_struct(&arena, 1, names, types, NULL), &texts, all.len);
	free(copy);
	tm_buf_done(&all);
	tm_arena_done(&arena);
	return 0;
}
