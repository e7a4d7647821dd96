/* What the benchmarks measure with. */
#ifndef TM_BENCH_CLOCKS_H
#define TM_BENCH_CLOCKS_H
#include <time.h>
#include "base/base.h"

static inline int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }
static inline double now_s(void) { return (double)now_ns() / 1e9; }
static inline double clock_s(clockid_t clock)
{
	struct timespec t;
	return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec / 1e9 : 0;
}
static inline double cpu_s(void) { return clock_s(CLOCK_PROCESS_CPUTIME_ID); }
#endif
