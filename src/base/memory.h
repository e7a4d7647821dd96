/* How much memory the process has, and how much it may have: of its control group (a container's limit), else of the machine. */
#ifndef TM_BASE_MEMORY_H
#define TM_BASE_MEMORY_H
#include <stdbool.h>
#include <stddef.h>

size_t tm_memory_used(void);  /* resident bytes of this process; 0 = unknown */
size_t tm_memory_limit(void); /* bytes; SIZE_MAX = unknown. Read once. */
/* Has the process three quarters of its limit, or is less than a sixteenth of the machine's memory left? What was freed is given back to
 * the system before that is said. Some microseconds. */
bool tm_memory_short(void);
/* Another limit than the machine's (tests); 0 = the machine's again. */
void tm_memory_limit_set(size_t bytes);
#endif
