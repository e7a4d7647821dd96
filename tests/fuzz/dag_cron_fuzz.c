/* Cron expressions from outside: parsing, then searching both ways, must end and stay inside memory. */
#include "dag/dag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_err err = {0};
	struct tm_cron *c;
	if (tm_cron_parse(tm_str_n((const char *)data, size), &c, &err) != TM_OK)
		return 0;
	int64_t next, back;
	if (tm_cron_next(c, 1790000000, &next, &err) == TM_OK) {
		TM_ASSERT(next > 1790000000);
		/* The tick before the next one is not after where we began. */
		if (tm_cron_prev(c, next, &back, &err) == TM_OK)
			TM_ASSERT(back <= 1790000000);
	}
	tm_cron_free(c);
	return 0;
}
