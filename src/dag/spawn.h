/* Starting a process that dies with us: its own session (so that its group can be killed), SIGKILL when the starting thread
 * ends, signals as they were born. Its end is seen through a pidfd, without SIGCHLD, so that no other part of the process cares. */
#ifndef TM_DAG_SPAWN_H
#define TM_DAG_SPAWN_H
#include <sys/types.h>
#include "base/base.h"

struct tm_spawn {
	const char *const *argv; /* argv[0] is a path */
	const char *const *env;
	const char *cwd; /* NULL = ours */
	int fds[8];      /* fds[i] becomes descriptor i of the child */
	int fd_count;
};
tm_rc tm_spawn_start(const struct tm_spawn *how, pid_t *ret_pid, int *ret_pidfd, struct tm_err *err) TM_CHECKED;
/* Kills every process that a former owner of data_dir left behind (known by TIDEMILL_TASK_OWNER in its environment). */
void tm_spawn_sweep(const char *data_dir);
#define TM_SPAWN_OWNER "TIDEMILL_TASK_OWNER"
/* The same by another variable; how many there were. */
int tm_spawn_sweep_of(const char *variable, const char *data_dir);
#endif
