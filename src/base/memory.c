/* See memory.h. */
#include "base/memory.h"
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static size_t limit; /* atomic; 0 = not read yet */

size_t tm_memory_used(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* The number in a file of the control group; "max", or no such file: SIZE_MAX. */
static size_t read_limit(const char *path)
{
	unsigned long long bytes;
	FILE *f = fopen(path, "re");
	if (!f)
		return SIZE_MAX;
	size_t r = fscanf(f, "%llu", &bytes) == 1 && bytes > 0 ? (size_t)bytes : SIZE_MAX;
	fclose(f);
	return r;
}

size_t tm_memory_limit(void)
{
	size_t known = __atomic_load_n(&limit, __ATOMIC_RELAXED);
	if (known)
		return known;
	static const char *const files[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
	long pages = sysconf(_SC_PHYS_PAGES);
	size_t least = pages > 0 ? (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) : SIZE_MAX;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		size_t bytes = read_limit(files[i]);
		if (bytes < least)
			least = bytes;
	}
	__atomic_store_n(&limit, least, __ATOMIC_RELAXED);
	return least;
}

/* Of the machine, bytes; false: unknown. */
static bool machine(unsigned long long *ret_total, unsigned long long *ret_available)
{
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");
	*ret_total = *ret_available = 0;
	while (f && !(*ret_total && *ret_available) && fgets(line, sizeof line, f))
		if (sscanf(line, "MemTotal: %llu", ret_total) != 1)
			(void)!sscanf(line, "MemAvailable: %llu", ret_available);
	if (f)
		fclose(f);
	*ret_total *= 1024;
	*ret_available *= 1024;
	return *ret_total && *ret_available;
}

static bool is_short(void)
{
	unsigned long long total, available;
	return tm_memory_used() > tm_memory_limit() / 4 * 3 || (machine(&total, &available) && available < total / 16);
}

bool tm_memory_short(void)
{
	if (!is_short())
		return false;
	malloc_trim(0);
	return is_short();
}

void tm_memory_limit_set(size_t bytes) { __atomic_store_n(&limit, bytes, __ATOMIC_RELAXED); }
