/* See spawn.h. */
#include "dag/spawn.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs in the child, which borrows our memory until exec: system calls only. */
static void child(const struct tm_spawn *how, const int *safe_fds, pid_t parent, volatile int *failed)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	struct sigaction plain = {.sa_handler = SIG_DFL};
	static const int reset[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGQUIT};
	for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
		sigaction(reset[i], &plain, NULL);
	for (int i = 0; i < how->fd_count; i++)
		if (dup2(safe_fds[i], i) < 0) {
			*failed = errno;
			_exit(127);
		}
	if (how->cwd && chdir(how->cwd) != 0) {
		*failed = errno;
		_exit(127);
	}
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(how->argv[0], (char *const *)(uintptr_t)how->argv, (char *const *)(uintptr_t)how->env);
	*failed = errno;
	_exit(127);
}

tm_rc tm_spawn_start(const struct tm_spawn *how, pid_t *ret_pid, int *ret_pidfd, struct tm_err *err)
{
	TM_ASSERT(how->fd_count <= 8);
	int safe[8];
	/* Above the targets and close-on-exec, so that no dup2 overwrites a descriptor still needed. */
	for (int i = 0; i < how->fd_count; i++) {
		safe[i] = fcntl(how->fds[i], F_DUPFD_CLOEXEC, 16);
		if (safe[i] < 0) {
			int e = errno;
			while (--i >= 0)
				close(safe[i]);
			return tm_fail_errno(err, e, "starting %s", how->argv[0]);
		}
	}
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	volatile int failed = 0;
	pid_t parent = getpid(), pid = vfork();
	if (pid == 0)
		child(how, safe, parent, &failed);
	int e = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < how->fd_count; i++)
		close(safe[i]);
	if (pid < 0)
		return tm_fail_errno(err, e, "starting %s", how->argv[0]);
	if (failed) {
		waitpid(pid, NULL, 0);
		return tm_fail_errno(err, failed, "starting %s", how->argv[0]);
	}
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		e = errno;
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return tm_fail_errno(err, e, "watching %s", how->argv[0]);
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return TM_OK;
}

/* <variable>=<data dir> in the environment the process was started with? */
static bool owned(const char *pid, const char *variable, const char *data_dir)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	struct tm_buf b = {0};
	ssize_t n;
	while (b.len < TM_MIB && (n = read(fd, tm_buf_reserve(&b, 65536), 65536)) > 0)
		b.len += (size_t)n;
	close(fd);
	struct tm_str rest = tm_buf_str(&b), part;
	bool mine = false;
	size_t key = strlen(variable);
	while (!mine && tm_str_split(&rest, 0, &part))
		mine = part.len > key && tm_str_starts(part, tm_str_of(variable)) && part.at[key] == '=' &&
		       tm_str_is(tm_str_slice(part, key + 1, part.len), data_dir);
	tm_buf_done(&b);
	return mine;
}

void tm_spawn_sweep(const char *data_dir)
{
	int n = tm_spawn_sweep_of(TM_SPAWN_OWNER, data_dir);
	if (n)
		tm_say(TM_SAY_INFO, "dag", "killed %d process%s, left over from before", n, n == 1 ? "" : "es");
}

int tm_spawn_sweep_of(const char *variable, const char *data_dir)
{
	DIR *proc = opendir("/proc");
	int n = 0;
	if (!proc)
		return 0;
	struct dirent *entry;
	while ((entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid != getpid() && owned(entry->d_name, variable, data_dir)) {
			kill(pid, SIGKILL);
			n++;
		}
	}
	closedir(proc);
	return n;
}
