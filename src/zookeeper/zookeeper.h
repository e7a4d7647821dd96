/* Which of a project's instances acts, decided by a real ZooKeeper; and the configuration they share in a znode.
 *
 * Election is ZooKeeper's own recipe: each instance makes an ephemeral sequential znode under <path>/election, the lowest number leads,
 * everyone else watches the one before it. On top of it a lease: an answer of ZooKeeper to a request sent at t means that the session
 * cannot expire before t + its time-out. The leader is certain of itself until t + 2/3 of the time-out and not a moment longer, by a clock
 * that goes on while the process or the machine sleeps: it stops acting before another one can begin.
 *
 * znodes: <path>/election/n-<random>-<number> (data: who it is), <path>/config (YAML, written by people). What we make is the user's alone
 * where the address names one (digest), else everybody's. */
#ifndef TM_ZOOKEEPER_ZOOKEEPER_H
#define TM_ZOOKEEPER_ZOOKEEPER_H
#include "base/base.h"

enum { TM_ZOOKEEPER_PORT = 2181, TM_ZOOKEEPER_SELF_MAX = 256 };

struct tm_zookeeper;
enum tm_zookeeper_role { TM_ZOOKEEPER_WAITING, TM_ZOOKEEPER_FOLLOWER, TM_ZOOKEEPER_LEADER };
struct tm_zookeeper_options {
	const char *address;        /* zookeeper://[user:password@]host:port,host:port/path[?session_timeout_ms=6000] */
	void (*changed)(void *ctx); /* role, leader, configuration or what is waited for changed; from a thread of ours, must not block */
	void *ctx;
};
/* Checks the address without connecting: unknown options, a missing path, a time-out that no server grants. */
tm_rc tm_zookeeper_check(const char *address, struct tm_err *err) TM_CHECKED;
/* Starts to connect and to watch the configuration; returns at once. The status says what is waited for. */
tm_rc tm_zookeeper_start(const struct tm_zookeeper_options *options, struct tm_zookeeper **ret, struct tm_err *err) TM_CHECKED;
/* Takes part in the election from now on. self: who we are, for the others' pages: one line, at most TM_ZOOKEEPER_SELF_MAX - 1 bytes. NULL:
 * takes part no more, and is a leader no more; the next one leads. Returns at once. */
void tm_zookeeper_stand(struct tm_zookeeper *z, const char *self);
/* Ends the session: where ZooKeeper can be reached the next instance takes over at once. NULL is fine. */
void tm_zookeeper_stop(struct tm_zookeeper *z);

struct tm_zookeeper_status {
	enum tm_zookeeper_role role;
	uint64_t term;                      /* counts our leaderships: another number = it was lost in between */
	size_t instances;                   /* that take part in the election; 0 = not known */
	char leader[TM_ZOOKEEPER_SELF_MAX]; /* the leader's self; empty = not known */
	char waiting[400];                  /* what is waited for, for people; empty = nothing */
	bool denied;                        /* what is waited for is a right: it does not come by itself */
	char config_denied[300];            /* the configuration may not be read any more, for people: the last one holds; empty = it may */
	int64_t session_id, session_timeout_ms; /* as the server granted it; 0 = no session yet */
};
void tm_zookeeper_status(struct tm_zookeeper *z, struct tm_zookeeper_status *ret);
/* The leader of this term, and sure of it: to be asked right before whatever only a leader may do. Quick, any thread. */
bool tm_zookeeper_certain(struct tm_zookeeper *z, uint64_t term);
/* For how long that will be so without another answer of ZooKeeper; 0 = it is not. */
int64_t tm_zookeeper_certain_ms(struct tm_zookeeper *z);
/* Until when that is so, in ns of CLOCK_BOOTTIME; 0 = it is not. For what acts in another process of this machine. */
int64_t tm_zookeeper_certain_until_ns(struct tm_zookeeper *z, uint64_t term);
/* Gives the leadership up and goes to the end of the line (what a leader does that cannot act). Returns at once. */
void tm_zookeeper_resign(struct tm_zookeeper *z);

/* The text of <path>/config as last seen; false = there is none or none was seen yet. ret_version: counts the changes that were seen.
 * ret may be NULL. */
bool tm_zookeeper_config(struct tm_zookeeper *z, struct tm_buf *ret, uint64_t *ret_version);
/* Waits until the first session has told whether there is a configuration, at most wait_ms; false = it has not: none answers, or the
 * status says that we are denied, which ends the waiting. */
bool tm_zookeeper_config_wait(struct tm_zookeeper *z, int64_t wait_ms);
#endif
