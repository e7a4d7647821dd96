/* One thread per project holds the session and does everything that asks ZooKeeper, in turns: at once when something happened (a
 * watch, the connection), and at least every sixth of the session's time-out, which renews the lease.
 * A turn: open a handle where there is none; once per session make the paths, enlist, read the configuration; ask for our own znode
 * (the lease); look who is first. Calls block until the answer or the loss of the connection, which the library tells after two
 * thirds of the time-out: the lease, which is only compared with the clock, runs out meanwhile by itself.
 * States: WAITING (no session, or not sure) -> FOLLOWER | LEADER. A leader that is not certain any more is WAITING; it is a leader
 * again, with another term, when ZooKeeper answers that its znode is still there and still the first. */
#include "zookeeper/zookeeper_int.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper.h>

enum { NAME_MAX_BYTES = 96, DATA_MAX = 1 << 20, RETRY_MS = 500, STOP_WAIT_S = 1, CONFIG_AGAIN_MS = 5000 };

struct tm_zookeeper {
	struct tm_zookeeper_options options;
	struct tm_arena arena;
	struct tm_zookeeper_address address;
	char election[256], config_path[256];
	pthread_t thread;
	bool has_thread;
	/* the thread's own */
	zhandle_t *handle;
	char guid[17], node[NAME_MAX_BYTES], before[NAME_MAX_BYTES]; /* our znode, "" = not enlisted; the one that we watch */
	bool paths_made, first;
	char denied[300]; /* what ZooKeeper refused last, for people */
	int64_t config_read_ns;

	int64_t certain_until_ns; /* atomic, by boot_ns; 0 = not */
	uint64_t term;            /* atomic; of the present leadership, 0 = we do not lead */

	pthread_mutex_t telling; /* rank: before the caller's; guards options.changed, which ends when the caller does */
	pthread_mutex_t lock;    /* rank: leaf; guards what follows */
	pthread_cond_t wake;
	bool stop, connected, expired, refused, happened, config_due, resign, standing;
	char self[TM_ZOOKEEPER_SELF_MAX];
	uint64_t terms;
	struct tm_zookeeper_status status;
	struct tm_buf config;
	bool has_config;
	uint64_t config_version;
	bool config_known;
};

/* A clock that goes on while the machine sleeps: a lease must not. */
static int64_t boot_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t timeout_ms(const struct tm_zookeeper *z)
{
	int granted = z->handle ? zoo_recv_timeout(z->handle) : 0;
	return granted > 0 ? granted : z->address.session_timeout_ms;
}

/* ---- what others see ---- */

static void tell(struct tm_zookeeper *z)
{
	pthread_mutex_lock(&z->telling);
	if (z->options.changed)
		z->options.changed(z->options.ctx);
	pthread_mutex_unlock(&z->telling);
}

static void set_role(struct tm_zookeeper *z, enum tm_zookeeper_role role, const char *leader, const char *waiting, bool denied)
{
	pthread_mutex_lock(&z->lock);
	struct tm_zookeeper_status *s = &z->status;
	bool news = s->role != role || s->denied != denied || strcmp(s->leader, leader) != 0 || strcmp(s->waiting, waiting) != 0;
	if (role == TM_ZOOKEEPER_LEADER && s->role != role)
		s->term = ++z->terms;
	s->role = role;
	s->denied = denied;
	snprintf(s->leader, sizeof s->leader, "%s", leader);
	snprintf(s->waiting, sizeof s->waiting, "%s", waiting);
	__atomic_store_n(&z->term, role == TM_ZOOKEEPER_LEADER ? s->term : 0, __ATOMIC_RELEASE);
	if (role != TM_ZOOKEEPER_LEADER)
		__atomic_store_n(&z->certain_until_ns, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&z->lock);
	if (news)
		tell(z);
}

static void wait_for(struct tm_zookeeper *z, const char *why, bool denied)
{
	char text[400];
	snprintf(text, sizeof text, "ZooKeeper at %s: %s", z->address.hosts, why);
	set_role(z, TM_ZOOKEEPER_WAITING, "", text, denied);
}

/* Keeps what was refused, if it was; gives rc. The server takes any password: a wrong one is only found by what it opens. */
static int asked(struct tm_zookeeper *z, int rc, const char *what, const char *path)
{
	if (rc == ZNOAUTH && z->address.user)
		snprintf(z->denied, sizeof z->denied,
			 "user %.40s may not %.20s %.150s; check user and password, and whose znode it is (getAcl)", z->address.user, what,
			 path);
	else if (rc == ZNOAUTH)
		snprintf(z->denied, sizeof z->denied, "the address names no user, and without one it may not %.20s %.150s", what, path);
	return rc;
}

static void wait_after(struct tm_zookeeper *z, int rc)
{
	switch (rc) {
	case ZNOAUTH:
		wait_for(z, z->denied, true);
		break;
	case ZAUTHFAILED:
		wait_for(z, "it refuses the user's digest authentication", true);
		break;
	case ZOPERATIONTIMEOUT:
	case ZCONNECTIONLOSS:
		wait_for(z, "no answer", false);
		break;
	case ZSESSIONEXPIRED:
		wait_for(z, "the session has expired", false);
		break;
	default:
		wait_for(z, zerror(rc), false);
	}
}

/* ---- events, from the library's thread ---- */

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *ctx)
{
	(void)handle;
	struct tm_zookeeper *z = ctx;
	pthread_mutex_lock(&z->lock);
	if (type == ZOO_SESSION_EVENT) {
		z->connected = state == ZOO_CONNECTED_STATE;
		z->expired |= state == ZOO_EXPIRED_SESSION_STATE;
		z->refused |= state == ZOO_AUTH_FAILED_STATE;
	} else if (path && strcmp(path, z->config_path) == 0) {
		z->config_due = true;
	}
	z->happened = true;
	pthread_cond_broadcast(&z->wake);
	pthread_mutex_unlock(&z->lock);
}

/* ---- a session ---- */

static void open_handle(struct tm_zookeeper *z)
{
	pthread_mutex_lock(&z->lock);
	z->connected = z->expired = z->refused = false;
	z->config_due = true;
	z->status.session_id = z->status.session_timeout_ms = 0;
	pthread_mutex_unlock(&z->lock);
	z->node[0] = 0;
	z->paths_made = false;
	z->handle = zookeeper_init2(z->address.hosts, on_event, z->address.session_timeout_ms, NULL, z, 0, NULL);
	if (!z->handle) {
		wait_for(z, errno == ENOENT || errno == EINVAL ? "the name cannot be resolved" : strerror(errno), false);
		return;
	}
	if (z->address.auth)
		(void)!zoo_add_auth(z->handle, "digest", z->address.auth, (int)strlen(z->address.auth), NULL, NULL);
}

static void close_handle(struct tm_zookeeper *z)
{
	if (z->handle)
		zookeeper_close(z->handle);
	z->handle = NULL;
	z->node[0] = 0;
}

static const struct ACL_vector *acl(const struct tm_zookeeper *z) { return z->address.auth ? &ZOO_CREATOR_ALL_ACL : &ZOO_OPEN_ACL_UNSAFE; }

static int make_paths(struct tm_zookeeper *z)
{
	char path[256];
	snprintf(path, sizeof path, "%s", z->election);
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;
		*p = 0;
		int rc = zoo_create(z->handle, path, "", 0, acl(z), 0, NULL, 0);
		if (rc == ZNOAUTH) { /* a folder of others that we may not write in, but that may be there */
			struct Stat stat;
			rc = zoo_exists(z->handle, path, 0, &stat);
			rc = rc == ZNONODE ? ZNOAUTH : rc;
		}
		if (rc != ZOK && rc != ZNODEEXISTS)
			return asked(z, rc, "make", path);
		*p = was;
		if (!was)
			break;
	}
	/* May we stand in line there? That is told before anything is begun. */
	struct String_vector names = {0};
	int rc = zoo_get_children(z->handle, z->election, 0, &names);
	if (rc == ZOK)
		deallocate_String_vector(&names);
	return asked(z, rc, "read", z->election);
}

static long sequence_of(const char *name)
{
	const char *dash = strrchr(name, '-');
	return dash ? strtol(dash + 1, NULL, 10) : -1;
}

/* A create whose answer was lost may have been done: our znode is known by the random part of its name. */
static int enlist(struct tm_zookeeper *z)
{
	struct String_vector names = {0};
	int rc = zoo_get_children(z->handle, z->election, 0, &names);
	if (rc != ZOK)
		return asked(z, rc, "read", z->election);
	char prefix[32];
	snprintf(prefix, sizeof prefix, "n-%s-", z->guid);
	for (int i = 0; i < names.count; i++)
		if (strncmp(names.data[i], prefix, strlen(prefix)) == 0)
			snprintf(z->node, sizeof z->node, "%s", names.data[i]);
	deallocate_String_vector(&names);
	if (z->node[0])
		return ZOK;
	char path[400], made[400];
	snprintf(path, sizeof path, "%s/%s", z->election, prefix);
	char self[TM_ZOOKEEPER_SELF_MAX];
	pthread_mutex_lock(&z->lock);
	memcpy(self, z->self, sizeof self);
	pthread_mutex_unlock(&z->lock);
	rc = zoo_create(z->handle, path, self, (int)strlen(self), acl(z), ZOO_EPHEMERAL | ZOO_SEQUENCE, made, sizeof made);
	if (rc == ZOK)
		snprintf(z->node, sizeof z->node, "%.*s", NAME_MAX_BYTES - 1, strrchr(made, '/') + 1);
	return asked(z, rc, "write in", z->election);
}

/* A name of our own for each enlistment, so that the znode of a session that is over is never taken for ours. */
static void new_guid(struct tm_zookeeper *z)
{
	uint64_t r;
	tm_random(tm_env_real(), &r, sizeof r);
	snprintf(z->guid, sizeof z->guid, "%016llx", (unsigned long long)r);
	z->node[0] = 0;
}

/* A configuration that was known and may not be read any more stays as it was; it is asked for again in each turn. */
static void set_config_denied(struct tm_zookeeper *z, const char *why)
{
	pthread_mutex_lock(&z->lock);
	bool news = strcmp(z->status.config_denied, why) != 0;
	snprintf(z->status.config_denied, sizeof z->status.config_denied, "%s", why);
	pthread_mutex_unlock(&z->lock);
	if (news)
		tell(z);
}

static int read_config(struct tm_zookeeper *z)
{
	struct Stat stat;
	char *data = tm_alloc(DATA_MAX);
	int len = DATA_MAX;
	int rc = zoo_get(z->handle, z->config_path, 1, data, &len, &stat);
	bool found = rc == ZOK;
	if (rc == ZNONODE) /* the watch for its making */
		rc = zoo_exists(z->handle, z->config_path, 1, &stat);
	bool good = found || rc == ZNONODE;
	if (good) {
		pthread_mutex_lock(&z->lock);
		struct tm_str text = tm_str_n(data, found && len > 0 ? (size_t)len : 0);
		if (found != z->has_config || (found && !tm_str_eq(text, tm_buf_str(&z->config))) || !z->config_known)
			z->config_version++;
		z->has_config = found;
		z->config.len = 0;
		tm_buf_str_put(&z->config, text);
		z->config_known = true;
		z->status.config_denied[0] = 0;
		pthread_cond_broadcast(&z->wake);
		pthread_mutex_unlock(&z->lock);
		tell(z);
	}
	free(data);
	if (rc == ZOK && !found) { /* made in between */
		pthread_mutex_lock(&z->lock);
		z->config_due = z->happened = true;
		pthread_mutex_unlock(&z->lock);
	}
	(void)asked(z, rc, "read", z->config_path);
	if (rc == ZNOAUTH && z->config_known) { /* only this thread sets it */
		set_config_denied(z, z->denied);
		return ZOK;
	}
	return good ? ZOK : rc;
}

/* ---- a turn ---- */

/* Our own znode answers for the session: the lease. */
static int renew(struct tm_zookeeper *z)
{
	char path[400];
	struct Stat stat;
	snprintf(path, sizeof path, "%s/%s", z->election, z->node);
	int64_t asked_ns = boot_ns();
	int rc = zoo_exists(z->handle, path, 0, &stat);
	if (rc == ZOK)
		__atomic_store_n(&z->certain_until_ns, asked_ns + timeout_ms(z) * 1000000 / 3 * 2, __ATOMIC_RELEASE);
	return rc;
}

static int self_of(struct tm_zookeeper *z, const char *node, char ret[TM_ZOOKEEPER_SELF_MAX])
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", z->election, node);
	int len = TM_ZOOKEEPER_SELF_MAX - 1;
	int rc = zoo_get(z->handle, path, 0, ret, &len, NULL);
	ret[rc == ZOK && len > 0 ? len : 0] = 0;
	return asked(z, rc, "read", path);
}

/* Who is first, and the watch on the one before us. */
static int look(struct tm_zookeeper *z)
{
	for (int tries = 0; tries < 10; tries++) {
		struct String_vector names = {0};
		int rc = zoo_get_children(z->handle, z->election, 0, &names);
		if (rc != ZOK)
			return asked(z, rc, "read", z->election);
		long mine = sequence_of(z->node), first = mine, before = -1;
		char first_name[NAME_MAX_BYTES], before_name[NAME_MAX_BYTES] = "", leader[TM_ZOOKEEPER_SELF_MAX] = "";
		snprintf(first_name, sizeof first_name, "%s", z->node);
		bool there = false;
		for (int i = 0; i < names.count; i++) {
			long n = sequence_of(names.data[i]);
			there |= strcmp(names.data[i], z->node) == 0;
			if (n >= 0 && n < first) {
				first = n;
				snprintf(first_name, sizeof first_name, "%s", names.data[i]);
			}
			if (n > before && n < mine) {
				before = n;
				snprintf(before_name, sizeof before_name, "%s", names.data[i]);
			}
		}
		size_t instances = (size_t)names.count;
		deallocate_String_vector(&names);
		if (!there)
			return ZNONODE;
		pthread_mutex_lock(&z->lock);
		z->status.instances = instances;
		z->status.session_timeout_ms = timeout_ms(z);
		z->status.session_id = zoo_client_id(z->handle)->client_id;
		char self[TM_ZOOKEEPER_SELF_MAX];
		memcpy(self, z->self, sizeof self);
		pthread_mutex_unlock(&z->lock);
		if (first == mine) {
			z->before[0] = 0;
			set_role(z, TM_ZOOKEEPER_LEADER, self, "", false);
			return ZOK;
		}
		if (strcmp(z->before, before_name) != 0) {
			char path[400];
			struct Stat stat;
			snprintf(path, sizeof path, "%s/%s", z->election, before_name);
			rc = zoo_exists(z->handle, path, 1, &stat);
			if (rc == ZNONODE)
				continue;
			if (rc != ZOK)
				return rc;
			snprintf(z->before, sizeof z->before, "%s", before_name);
		}
		rc = self_of(z, first_name, leader);
		if (rc == ZNONODE)
			continue;
		if (rc == ZOK)
			set_role(z, TM_ZOOKEEPER_FOLLOWER, leader, "", false);
		return rc;
	}
	return ZOK; /* they come and go: the next turn looks again */
}

static void turn(struct tm_zookeeper *z)
{
	pthread_mutex_lock(&z->lock);
	bool expired = z->expired, connected = z->connected, refused = z->refused, config_due = z->config_due, standing = z->standing,
	     resign = z->resign || !standing;
	z->happened = z->resign = false;
	pthread_mutex_unlock(&z->lock);
	if (refused) { /* tried again, but not as fast as it refuses */
		wait_after(z, ZAUTHFAILED);
		close_handle(z);
		pthread_mutex_lock(&z->lock);
		z->refused = z->happened = false;
		pthread_mutex_unlock(&z->lock);
		return;
	}
	if (expired) {
		wait_for(z, "the session has expired; a new one is opened", false);
		close_handle(z);
	}
	if (!z->handle) {
		new_guid(z);
		z->before[0] = 0;
		open_handle(z);
		return;
	}
	if (!connected) {
		if (tm_zookeeper_certain_ms(z) <= 0)
			wait_for(z, "no connection; it is tried again", false);
		return;
	}
	int rc = ZOK;
	if (resign && z->node[0]) {
		char path[400];
		snprintf(path, sizeof path, "%s/%s", z->election, z->node);
		set_role(z, TM_ZOOKEEPER_WAITING, "", "the leadership was given up", false);
		rc = asked(z, zoo_delete(z->handle, path, -1), "delete", path);
		if (rc == ZOK || rc == ZNONODE) {
			new_guid(z);
			z->before[0] = 0;
			rc = ZOK;
		}
	}
	if (rc == ZOK && !z->paths_made) {
		rc = make_paths(z);
		z->paths_made = rc == ZOK;
	}
	/* A server does not tell of changes in a znode that was closed to us meanwhile, and forgets the watch: it is read now and then. */
	config_due |= boot_ns() - z->config_read_ns > CONFIG_AGAIN_MS * INT64_C(1000000);
	if (rc == ZOK && config_due) {
		rc = read_config(z);
		z->config_read_ns = boot_ns();
		if (rc == ZOK) {
			pthread_mutex_lock(&z->lock);
			z->config_due = z->config_due && (z->happened || z->status.config_denied[0]);
			pthread_mutex_unlock(&z->lock);
		}
	}
	if (rc == ZOK && !standing) {
		set_role(z, TM_ZOOKEEPER_WAITING, "", "this instance does not take part in the election yet", false);
		return;
	}
	if (rc == ZOK && !z->node[0])
		rc = enlist(z);
	if (rc == ZOK)
		rc = renew(z);
	if (rc == ZOK)
		rc = look(z);
	if (rc == ZNONODE) { /* somebody removed our znode: we are nobody until we stand in line again */
		wait_for(z, "this instance's znode is gone; it stands in line again", false);
		new_guid(z);
		z->before[0] = 0;
		z->paths_made = false;
		pthread_mutex_lock(&z->lock);
		z->happened = true;
		pthread_mutex_unlock(&z->lock);
	} else if (rc != ZOK && tm_zookeeper_certain_ms(z) <= 0) {
		wait_after(z, rc);
	}
}

static void *run(void *arg)
{
	struct tm_zookeeper *z = arg;
	pthread_mutex_lock(&z->lock);
	while (!z->stop) {
		pthread_mutex_unlock(&z->lock);
		turn(z);
		int64_t wait = z->handle && z->node[0] ? timeout_ms(z) / 6 : RETRY_MS;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += wait / 1000;
		until.tv_nsec += wait % 1000 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_mutex_lock(&z->lock);
		while (!z->stop && !z->happened)
			if (pthread_cond_timedwait(&z->wake, &z->lock, &until) == ETIMEDOUT)
				break;
	}
	pthread_mutex_unlock(&z->lock);
	set_role(z, TM_ZOOKEEPER_WAITING, "", "stopping", false);
	close_handle(z);
	return NULL;
}

/* ---- the outside ---- */

tm_rc tm_zookeeper_start(const struct tm_zookeeper_options *options, struct tm_zookeeper **ret, struct tm_err *err)
{
	struct tm_zookeeper *z = tm_zalloc(sizeof *z);
	tm_arena_init(&z->arena);
	pthread_mutex_init(&z->lock, NULL);
	pthread_mutex_init(&z->telling, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&z->wake, &attr);
	pthread_condattr_destroy(&attr);
	z->options = *options;
	tm_rc rc = tm_zookeeper_address_parse(options->address, &z->arena, &z->address, err);
	if (rc == TM_OK) {
		snprintf(z->election, sizeof z->election, "%s/election", z->address.path);
		snprintf(z->config_path, sizeof z->config_path, "%s/config", z->address.path);
		snprintf(z->status.waiting, sizeof z->status.waiting, "ZooKeeper at %s: connecting", z->address.hosts);
		zoo_set_debug_level((ZooLogLevel)0); /* what matters is in the status */
		rc = tm_thread_start(&z->thread, "zookeeper", run, z, err);
		z->has_thread = rc == TM_OK;
	}
	if (rc != TM_OK) {
		tm_zookeeper_stop(z);
		return rc;
	}
	*ret = z;
	return TM_OK;
}

void tm_zookeeper_stop(struct tm_zookeeper *z)
{
	if (!z)
		return;
	if (z->has_thread) {
		pthread_mutex_lock(&z->lock);
		z->stop = true;
		pthread_cond_broadcast(&z->wake);
		pthread_mutex_unlock(&z->lock);
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STOP_WAIT_S;
		if (pthread_timedjoin_np(z->thread, NULL, &until) != 0) {
			/* It waits for a server that is silent. Our end must not: the session ends by its time-out, the memory with the
			 * process. */
			pthread_mutex_lock(&z->telling);
			z->options.changed = NULL;
			pthread_mutex_unlock(&z->telling);
			pthread_detach(z->thread);
			return;
		}
	}
	tm_buf_done(&z->config);
	tm_arena_done(&z->arena);
	pthread_mutex_destroy(&z->lock);
	pthread_mutex_destroy(&z->telling);
	pthread_cond_destroy(&z->wake);
	free(z);
}

int64_t tm_zookeeper_certain_ms(struct tm_zookeeper *z)
{
	if (!__atomic_load_n(&z->term, __ATOMIC_ACQUIRE))
		return 0;
	int64_t left = __atomic_load_n(&z->certain_until_ns, __ATOMIC_ACQUIRE) - boot_ns();
	return left > 0 ? left / 1000000 : 0;
}

bool tm_zookeeper_certain(struct tm_zookeeper *z, uint64_t term)
{
	return term && __atomic_load_n(&z->term, __ATOMIC_ACQUIRE) == term &&
	       boot_ns() < __atomic_load_n(&z->certain_until_ns, __ATOMIC_ACQUIRE);
}

int64_t tm_zookeeper_certain_until_ns(struct tm_zookeeper *z, uint64_t term)
{
	int64_t until_ns = __atomic_load_n(&z->certain_until_ns, __ATOMIC_ACQUIRE);
	return tm_zookeeper_certain(z, term) ? until_ns : 0;
}

void tm_zookeeper_status(struct tm_zookeeper *z, struct tm_zookeeper_status *ret)
{
	pthread_mutex_lock(&z->lock);
	*ret = z->status;
	pthread_mutex_unlock(&z->lock);
	if (ret->role == TM_ZOOKEEPER_LEADER && tm_zookeeper_certain_ms(z) <= 0) { /* the thread is still waiting for an answer */
		ret->role = TM_ZOOKEEPER_WAITING;
		ret->leader[0] = 0;
		snprintf(ret->waiting, sizeof ret->waiting, "ZooKeeper at %s: no answer", z->address.hosts);
	}
}

void tm_zookeeper_stand(struct tm_zookeeper *z, const char *self)
{
	pthread_mutex_lock(&z->lock);
	z->standing = self != NULL;
	z->resign = true; /* a znode of before says who we were */
	snprintf(z->self, sizeof z->self, "%s", self ? self : "");
	z->happened = true;
	if (!self) {
		__atomic_store_n(&z->term, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&z->certain_until_ns, 0, __ATOMIC_RELEASE);
	}
	pthread_cond_broadcast(&z->wake);
	pthread_mutex_unlock(&z->lock);
}

void tm_zookeeper_resign(struct tm_zookeeper *z)
{
	pthread_mutex_lock(&z->lock);
	z->resign = z->happened = true;
	pthread_cond_broadcast(&z->wake);
	pthread_mutex_unlock(&z->lock);
}

bool tm_zookeeper_config(struct tm_zookeeper *z, struct tm_buf *ret, uint64_t *ret_version)
{
	pthread_mutex_lock(&z->lock);
	bool has = z->has_config;
	*ret_version = z->config_version;
	if (has && ret)
		tm_buf_str_put(ret, tm_buf_str(&z->config));
	pthread_mutex_unlock(&z->lock);
	return has;
}

bool tm_zookeeper_config_wait(struct tm_zookeeper *z, int64_t wait_ms)
{
	int64_t end_ns = boot_ns() + wait_ms * 1000000;
	for (;;) {
		pthread_mutex_lock(&z->lock);
		bool known = z->config_known, denied = z->status.denied;
		pthread_mutex_unlock(&z->lock);
		if (known || denied || boot_ns() >= end_ns)
			return known;
		usleep(5000);
	}
}
