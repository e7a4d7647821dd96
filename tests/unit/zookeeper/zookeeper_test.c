/* Election, lease and configuration against a ZooKeeper of our own (Debian's package) with short ticks, which is also paused and killed. */
#include "unit.h"
#include "zookeeper/zookeeper.h"
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zookeeper.h>

static const char jar[] = "/usr/share/java/zookeeper.jar";
static char dir[64];
static int port;
static pid_t server;

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void server_start(void)
{
	char path[128], text[400], log[160];
	snprintf(path, sizeof path, "%s/zoo.cfg", dir);
	snprintf(text, sizeof text,
		 "dataDir=%s/"
		 "data\nclientPort=%d\nclientPortAddress=127.0.0.1\ntickTime=100\nmaxSessionTimeout=20000\nadmin.enableServer="
		 "false\nmaxClientCnxns=0\n",
		 dir, port);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) > 0 && fclose(f) == 0);
	snprintf(log, sizeof log, "%s/log", dir);
	server = fork();
	CHECK(server >= 0);
	if (server == 0) {
		CHECK(freopen(log, "a", stdout) && freopen(log, "a", stderr));
		execlp("java", "java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jar,
		       "org.apache.zookeeper.server.quorum.QuorumPeerMain", path, (char *)NULL);
		_exit(127);
	}
}

static void server_signal(int sig)
{
	kill(server, sig);
	if (sig == SIGKILL)
		waitpid(server, NULL, 0);
}

static void stop_all(void)
{
	if (server)
		server_signal(SIGKILL);
	server = 0;
	(void)!tm_dir_remove(dir, NULL);
}

/* One server for all tests; false: there is no ZooKeeper on this machine, and nothing can be tested. */
static void setup(void)
{
	if (server)
		return;
	if (access(jar, R_OK) != 0)
		FAIL("%s is missing: install the package zookeeper", jar);
	snprintf(dir, sizeof dir, "/tmp/tm-zookeeper-XXXXXX");
	CHECK(mkdtemp(dir));
	port = free_port();
	server_start();
	atexit(stop_all);
}

static struct tm_zookeeper *member_for(const char *who, const char *path, const char *self, int session_ms)
{
	char address[200];
	struct tm_err err;
	snprintf(address, sizeof address, "zookeeper://%s127.0.0.1:%d%s?session_timeout_ms=%d", who, port, path, session_ms);
	struct tm_zookeeper_options o = {.address = address};
	struct tm_zookeeper *z;
	CHECK_OK(tm_zookeeper_start(&o, &z, &err), err);
	if (self)
		tm_zookeeper_stand(z, self);
	return z;
}

static struct tm_zookeeper *member(const char *path, const char *self) { return member_for("", path, self, 1000); }
/* who: "user:password@" */
static struct tm_zookeeper *member_as(const char *who, const char *path, const char *self) { return member_for(who, path, self, 1000); }

static bool role_within(struct tm_zookeeper *z, enum tm_zookeeper_role role, int ms, struct tm_zookeeper_status *s)
{
	for (int i = 0; i <= ms / 5; i++) {
		tm_zookeeper_status(z, s);
		if (s->role == role)
			return true;
		usleep(5000);
	}
	return false;
}

TEST(addresses)
{
	static const struct {
		const char *text, *what;
	} bad[] = {
	    {"zookeeper://h", "names no path"},
	    {"zookeeper://h/", "names no path"},
	    {"zookeeper://h//a", "no path for ZooKeeper"},
	    {"zookeeper://h/a/../b", "no path for ZooKeeper"},
	    {"zookeeper://h/a?session_timeout_ms=x", "a number from"},
	    {"zookeeper://h/a?timeout=1", "unknown option 'timeout'"},
	    {"kafka://h/a", "begins with zookeeper://"},
	    {"zookeeper://:1/a", "a host must be"},
	    {"zookeeper://:hunter2@h/a", "a password, but no user"},
	    {"zookeeper://u%3Av:hunter2@h/a", "a user's name has no ':'"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct tm_err err = {0};
		CHECK(tm_zookeeper_check(bad[i].text, &err) != TM_OK);
		if (!strstr(err.what, bad[i].what))
			FAIL("%s: \"%s\" does not say \"%s\"", bad[i].text, err.what, bad[i].what);
		CHECK(!strstr(err.what, "hunter2") && !strstr(err.detail, "hunter2") && !strstr(err.hint, "hunter2"));
	}
	struct tm_err err;
	CHECK_OK(tm_zookeeper_check("zookeeper://a:1,b,[::1]:3/tidemill/quakes/?session_timeout_ms=4000", &err), err);
}

TEST(the_first_leads_and_the_next_takes_over)
{
	setup();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member("/t/take", "host-a:1");
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	CHECK_STR(tm_str_of(s.leader), "host-a:1");
	CHECK(s.session_timeout_ms == 1000);
	CHECK(tm_zookeeper_certain(a, s.term) && !tm_zookeeper_certain(a, s.term + 1) && !tm_zookeeper_certain(a, 0));
	struct tm_zookeeper *b = member("/t/take", "host-b:2"), *c = member("/t/take", "host-c:3");
	CHECK(role_within(b, TM_ZOOKEEPER_FOLLOWER, 5000, &s));
	CHECK_STR(tm_str_of(s.leader), "host-a:1");
	CHECK(role_within(c, TM_ZOOKEEPER_FOLLOWER, 5000, &s));
	CHECK(!tm_zookeeper_certain(b, 1) && tm_zookeeper_certain_ms(b) == 0);
	struct tm_zookeeper *other = member("/t/other", "host-d:4"); /* another project */
	CHECK(role_within(other, TM_ZOOKEEPER_LEADER, 5000, &s));
	tm_zookeeper_stop(a);
	struct tm_zookeeper *first = b, *second = c;
	for (int i = 0; i < 400 && !role_within(first, TM_ZOOKEEPER_LEADER, 0, &s); i++) {
		struct tm_zookeeper *swap = first;
		first = second;
		second = swap;
		usleep(2500);
	}
	CHECK(s.role == TM_ZOOKEEPER_LEADER);
	const char *name = first == b ? "host-b:2" : "host-c:3";
	struct tm_zookeeper_status t;
	for (int i = 0; i < 200 && (tm_zookeeper_status(second, &t), strcmp(t.leader, name) != 0); i++)
		usleep(10000);
	CHECK_STR(tm_str_of(t.leader), name);
	CHECK(t.role == TM_ZOOKEEPER_FOLLOWER);
	tm_zookeeper_resign(first);
	CHECK(role_within(second, TM_ZOOKEEPER_LEADER, 3000, &s));
	CHECK(role_within(first, TM_ZOOKEEPER_FOLLOWER, 3000, &t));
	CHECK(t.term != 0 && !tm_zookeeper_certain(first, t.term));
	tm_zookeeper_stop(first);
	tm_zookeeper_stop(second);
	tm_zookeeper_stop(other);
}

TEST(a_leader_without_answers_stops_before_its_session_can_end)
{
	setup();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member("/t/lease", "a"), *b;
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	b = member("/t/lease", "b");
	CHECK(role_within(b, TM_ZOOKEEPER_FOLLOWER, 5000, &s));
	tm_zookeeper_status(a, &s);
	uint64_t term = s.term;
	server_signal(SIGSTOP);
	int64_t began = tm_mono_ns(tm_env_real());
	while (tm_zookeeper_certain(a, term))
		usleep(1000);
	int64_t took_ms = (tm_mono_ns(tm_env_real()) - began) / 1000000;
	if (took_ms > 700 || took_ms < 300)
		FAIL("certain for %lld ms after the last answer, with a session of 1000 ms", (long long)took_ms);
	tm_zookeeper_status(a, &s);
	CHECK(s.role == TM_ZOOKEEPER_WAITING && tm_str_starts(tm_str_of(s.waiting), TM_STR("ZooKeeper at 127.0.0.1:")));
	usleep(2000000);
	tm_zookeeper_status(a, &s);
	CHECK(s.role == TM_ZOOKEEPER_WAITING && s.waiting[0]);
	tm_zookeeper_status(b, &s);
	CHECK(s.role == TM_ZOOKEEPER_WAITING && s.waiting[0]); /* a follower cannot know either */
	server_signal(SIGCONT);
	bool a_leads = false, b_leads = false;
	for (int i = 0; i < 2000 && !a_leads && !b_leads; i++) {
		usleep(5000);
		a_leads = role_within(a, TM_ZOOKEEPER_LEADER, 0, &s);
		b_leads = role_within(b, TM_ZOOKEEPER_LEADER, 0, &s);
	}
	CHECK(a_leads != b_leads);
	tm_zookeeper_stop(a);
	CHECK(role_within(b, TM_ZOOKEEPER_LEADER, 5000, &s));
	tm_zookeeper_stop(b);
}

TEST(a_server_that_is_killed_and_comes_back)
{
	setup();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member("/t/killed", "a");
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	server_signal(SIGKILL);
	CHECK(role_within(a, TM_ZOOKEEPER_WAITING, 3000, &s));
	CHECK(strstr(s.waiting, "ZooKeeper at 127.0.0.1:") != NULL);
	struct tm_zookeeper *b = member("/t/killed", "b"); /* started while there is none */
	usleep(300000);
	CHECK(!role_within(b, TM_ZOOKEEPER_LEADER, 0, &s) && s.waiting[0]);
	server_start();
	bool one = false;
	for (int i = 0; i < 4000 && !one; i++) {
		struct tm_zookeeper_status t;
		usleep(5000);
		tm_zookeeper_status(a, &s);
		tm_zookeeper_status(b, &t);
		CHECK(!(s.role == TM_ZOOKEEPER_LEADER && t.role == TM_ZOOKEEPER_LEADER));
		one = (s.role == TM_ZOOKEEPER_LEADER && t.role == TM_ZOOKEEPER_FOLLOWER) ||
		      (s.role == TM_ZOOKEEPER_FOLLOWER && t.role == TM_ZOOKEEPER_LEADER);
	}
	CHECK(one);
	tm_zookeeper_stop(a);
	tm_zookeeper_stop(b);
}

/* ---- what people do with zkCli ---- */

static void nothing(zhandle_t *z, int type, int state, const char *path, void *ctx)
{
	(void)z, (void)type, (void)state, (void)path, (void)ctx;
}

static zhandle_t *client(void)
{
	char hosts[64];
	snprintf(hosts, sizeof hosts, "127.0.0.1:%d", port);
	zhandle_t *z = zookeeper_init(hosts, nothing, 4000, NULL, NULL, 0);
	CHECK(z);
	for (int i = 0; i < 4000 && zoo_state(z) != ZOO_CONNECTED_STATE; i++)
		usleep(5000);
	CHECK(zoo_state(z) == ZOO_CONNECTED_STATE);
	return z;
}

static void news(void *ctx) { __atomic_add_fetch((int *)ctx, 1, __ATOMIC_RELAXED); }

TEST(the_configuration_is_watched)
{
	setup();
	zhandle_t *z = client();
	char address[200];
	int told = 0;
	struct tm_err err;
	struct tm_zookeeper_status s;
	snprintf(address, sizeof address, "zookeeper://127.0.0.1:%d/t/config?session_timeout_ms=1000", port);
	struct tm_zookeeper_options o = {.address = address, .changed = news, .ctx = &told};
	struct tm_zookeeper *a;
	CHECK_OK(tm_zookeeper_start(&o, &a, &err), err);
	struct tm_buf text = {0};
	uint64_t version, before;
	CHECK(tm_zookeeper_config_wait(a, 20000));
	CHECK(!tm_zookeeper_config(a, &text, &before) && text.len == 0);
	CHECK(!role_within(a, TM_ZOOKEEPER_LEADER, 300, &s)); /* it does not take part yet */
	tm_zookeeper_stand(a, "a");
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 5000, &s));
	uint64_t term = s.term;
	CHECK(tm_zookeeper_certain(a, term));
	tm_zookeeper_stand(a, NULL);
	CHECK(!tm_zookeeper_certain(a, term));
	CHECK(role_within(a, TM_ZOOKEEPER_WAITING, 5000, &s));
	tm_zookeeper_stand(a, "again");
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 5000, &s));
	CHECK_STR(tm_str_of(s.leader), "again");
	static const char *const texts[] = {"variables: {a: 1}\n", "variables: {a: 2}\n", ""};
	for (size_t i = 0; i < 3; i++) {
		int rc = i ? zoo_set(z, "/t/config/config", texts[i], (int)strlen(texts[i]), -1)
			   : zoo_create(z, "/t/config/config", texts[i], (int)strlen(texts[i]), &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
		CHECK_INT(rc, ZOK);
		bool has = false;
		for (int n = 0; n < 600; n++) {
			text.len = 0;
			has = tm_zookeeper_config(a, &text, &version);
			if (has && version > before)
				break;
			usleep(5000);
		}
		CHECK(has && version == before + 1);
		CHECK_STR(tm_buf_str(&text), texts[i]);
		before = version;
	}
	CHECK_INT(zoo_delete(z, "/t/config/config", -1), ZOK);
	for (int n = 0; n < 600 && tm_zookeeper_config(a, &text, &version); n++)
		usleep(5000);
	CHECK(!tm_zookeeper_config(a, &text, &version) && version == before + 1);
	CHECK(__atomic_load_n(&told, __ATOMIC_RELAXED) >= 5);
	tm_buf_done(&text);
	tm_zookeeper_stop(a);
	zookeeper_close(z);
}

TEST(a_leader_whose_znode_is_removed_is_none)
{
	setup();
	zhandle_t *z = client();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member("/t/removed", "a"), *b;
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	uint64_t term = s.term;
	b = member("/t/removed", "b");
	CHECK(role_within(b, TM_ZOOKEEPER_FOLLOWER, 5000, &s));
	struct String_vector names;
	CHECK_INT(zoo_get_children(z, "/t/removed/election", 0, &names), ZOK);
	CHECK_INT(names.count, 2);
	for (int i = 0; i < 2; i++) {
		char path[300], data[10];
		int len = sizeof data;
		snprintf(path, sizeof path, "/t/removed/election/%s", names.data[i]);
		CHECK_INT(zoo_get(z, path, 0, data, &len, NULL), ZOK);
		if (len == 1 && data[0] == 'a')
			CHECK_INT(zoo_delete(z, path, -1), ZOK);
	}
	deallocate_String_vector(&names);
	CHECK(role_within(b, TM_ZOOKEEPER_LEADER, 3000, &s));
	CHECK(role_within(a, TM_ZOOKEEPER_FOLLOWER, 3000, &s));
	CHECK(!tm_zookeeper_certain(a, term));
	tm_zookeeper_stop(a);
	tm_zookeeper_stop(b);
	zookeeper_close(z);
}

/* ---- a user with a password ---- */

static void on_auth(int rc, const void *data) { __atomic_store_n((int *)data, rc, __ATOMIC_RELEASE); }

static void log_in(zhandle_t *z, const char *who)
{
	static int rc; /* the library tells it again after a new connection */
	__atomic_store_n(&rc, 1, __ATOMIC_RELEASE);
	CHECK_INT(zoo_add_auth(z, "digest", who, (int)strlen(who), on_auth, &rc), ZOK);
	for (int i = 0; i < 1000 && __atomic_load_n(&rc, __ATOMIC_ACQUIRE) == 1; i++)
		usleep(5000);
	CHECK_INT(__atomic_load_n(&rc, __ATOMIC_ACQUIRE), ZOK);
}

/* All rights are digest user "alice"'s, and nobody else has any. */
static void check_acl(zhandle_t *z, const char *path)
{
	struct ACL_vector acl = {0};
	struct Stat stat;
	CHECK_INT(zoo_get_acl(z, path, &acl, &stat), ZOK);
	CHECK_INT(acl.count, 1);
	CHECK_STR(tm_str_of(acl.data[0].id.scheme), "digest");
	CHECK(tm_str_starts(tm_str_of(acl.data[0].id.id), TM_STR("alice:")));
	CHECK_INT(acl.data[0].perms, ZOO_PERM_ALL);
	deallocate_ACL_vector(&acl);
}

static bool denied_within(struct tm_zookeeper *z, int ms, struct tm_zookeeper_status *s)
{
	for (int i = 0; i <= ms / 5; i++) {
		tm_zookeeper_status(z, s);
		if (s->denied)
			return true;
		usleep(5000);
	}
	return false;
}

TEST(znodes_of_a_user_are_closed_to_others)
{
	setup();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member_as("alice:p%40ss:hunter2@", "/acl/closed", "a"), *b;
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	b = member_as("alice:p%40ss:hunter2@", "/acl/closed", "b"); /* the same user: they elect */
	CHECK(role_within(b, TM_ZOOKEEPER_FOLLOWER, 5000, &s));
	CHECK_STR(tm_str_of(s.leader), "a");
	CHECK_INT(s.instances, 2);
	zhandle_t *z = client();
	struct String_vector names = {0};
	char data[10], path[300];
	int len = sizeof data;
	for (int turn = 0; turn < 2; turn++) { /* nobody, and somebody else */
		CHECK_INT(zoo_get_children(z, "/acl/closed/election", 0, &names), ZNOAUTH);
		CHECK_INT(zoo_get(z, "/acl/closed/election", 0, data, &len, NULL), ZNOAUTH);
		CHECK_INT(zoo_set(z, "/acl/closed/election", "x", 1, -1), ZNOAUTH);
		CHECK_INT(zoo_create(z, "/acl/closed/election/n-0-0", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNOAUTH);
		CHECK_INT(zoo_create(z, "/acl/closed/config", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNOAUTH);
		log_in(z, "alice:other");
	}
	log_in(z, "alice:p@ss:hunter2");
	CHECK_INT(zoo_get_children(z, "/acl/closed/election", 0, &names), ZOK);
	CHECK_INT(names.count, 2);
	check_acl(z, "/acl/closed");
	check_acl(z, "/acl/closed/election");
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/acl/closed/election/%s", names.data[i]);
		check_acl(z, path);
	}
	zhandle_t *nobody = client();
	CHECK_INT(zoo_delete(nobody, path, -1), ZNOAUTH);
	CHECK_INT(zoo_get(nobody, path, 0, data, &len, NULL), ZNOAUTH);
	deallocate_String_vector(&names);
	zookeeper_close(nobody);
	/* The session ends with the server, and the next one is this user's again. */
	tm_zookeeper_stop(a);
	CHECK(role_within(b, TM_ZOOKEEPER_LEADER, 3000, &s));
	server_signal(SIGKILL);
	CHECK(role_within(b, TM_ZOOKEEPER_WAITING, 3000, &s));
	server_start();
	CHECK(role_within(b, TM_ZOOKEEPER_LEADER, 20000, &s));
	tm_zookeeper_stop(b);
	zookeeper_close(z);
}

TEST(a_wrong_password_is_told_at_once)
{
	setup();
	struct tm_zookeeper_status s;
	struct tm_zookeeper *a = member_as("alice:right@", "/acl1/wrong", "a");
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 20000, &s));
	CHECK(!s.denied);
	static const char *const who[] = {"alice:hunter2@", "bob:right@", ""};
	for (size_t i = 0; i < 3; i++) {
		int64_t began = tm_mono_ns(tm_env_real());
		struct tm_zookeeper *b = member_as(who[i], "/acl1/wrong", NULL);
		CHECK(!tm_zookeeper_config_wait(b, 20000)); /* ends at once: more waiting tells nothing */
		CHECK(tm_mono_ns(tm_env_real()) - began < INT64_C(10000000000));
		CHECK(denied_within(b, 0, &s));
		if (!strstr(s.waiting, "ZooKeeper at 127.0.0.1:") || !strstr(s.waiting, "/acl1/wrong/election") ||
		    !strstr(s.waiting, i == 2 ? "names no user"
				       : i    ? "user bob"
					      : "user alice") ||
		    strstr(s.waiting, "hunter2") || strstr(s.waiting, "right"))
			FAIL("%s", s.waiting);
		tm_zookeeper_stand(b, "b");
		CHECK(!role_within(b, TM_ZOOKEEPER_LEADER, 300, &s) && s.role == TM_ZOOKEEPER_WAITING && s.denied);
		tm_zookeeper_stop(b);
	}
	tm_zookeeper_status(a, &s);
	CHECK(s.role == TM_ZOOKEEPER_LEADER && s.term == 1); /* nobody disturbed it */
	/* A folder above, of others. */
	struct tm_zookeeper *c = member_as("bob:right@", "/acl1/bobs/project", "c");
	CHECK(denied_within(c, 20000, &s));
	if (!strstr(s.waiting, "may not make /acl1/bobs"))
		FAIL("%s", s.waiting);
	tm_zookeeper_stop(c);
	tm_zookeeper_stop(a);
}

TEST(a_configuration_of_somebody_else)
{
	setup();
	struct tm_zookeeper_status s;
	zhandle_t *z = client();
	log_in(z, "alice:right");
	CHECK_INT(zoo_create(z, "/acl2", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
	CHECK_INT(zoo_create(z, "/acl2/config", "a: 1", 4, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
	struct tm_zookeeper *a = member_for("bob:hunter2@", "/acl2", "a", 10000); /* no lead is lost here, on a machine however busy */
	CHECK(!tm_zookeeper_config_wait(a, 20000));
	CHECK(denied_within(a, 0, &s));
	if (!strstr(s.waiting, "user bob may not read /acl2/config") || strstr(s.waiting, "hunter2"))
		FAIL("%s", s.waiting);
	CHECK(!role_within(a, TM_ZOOKEEPER_LEADER, 700, &s)); /* it would act by another configuration than the others */
	struct Stat stat;
	struct ACL_vector before = {0};
	CHECK_INT(zoo_get_acl(z, "/acl2/config", &before, &stat), ZOK);
	CHECK_INT(zoo_set_acl(z, "/acl2/config", -1, &ZOO_OPEN_ACL_UNSAFE), ZOK);
	CHECK(role_within(a, TM_ZOOKEEPER_LEADER, 5000, &s));
	CHECK(!s.denied && !s.config_denied[0]);
	uint64_t version, again;
	struct tm_buf text = {0};
	CHECK(tm_zookeeper_config(a, &text, &version));
	CHECK_STR(tm_buf_str(&text), "a: 1");
	/* While it leads: said, and it leads on with what it knows. */
	uint64_t term = s.term;
	CHECK_INT(zoo_set_acl(z, "/acl2/config", -1, &before), ZOK);
	CHECK_INT(zoo_set(z, "/acl2/config", "a: 2", 4, -1), ZOK);
	for (int i = 0; i < 4000 && (tm_zookeeper_status(a, &s), !s.config_denied[0]); i++)
		usleep(5000);
	if (!strstr(s.config_denied, "user bob may not read /acl2/config"))
		FAIL("\"%s\"", s.config_denied);
	for (int i = 0; i < 200; i++) {
		CHECK(tm_zookeeper_certain(a, term));
		usleep(10000);
	}
	CHECK(tm_zookeeper_config(a, NULL, &again) && again == version);
	CHECK_INT(zoo_set_acl(z, "/acl2/config", -1, &ZOO_OPEN_ACL_UNSAFE), ZOK);
	for (int i = 0; i < 4000 && (tm_zookeeper_status(a, &s), s.config_denied[0] != 0); i++)
		usleep(5000);
	text.len = 0;
	CHECK(tm_zookeeper_config(a, &text, &again) && again > version && !s.config_denied[0]);
	CHECK_STR(tm_buf_str(&text), "a: 2");
	CHECK(tm_zookeeper_certain(a, term));
	deallocate_ACL_vector(&before);
	tm_buf_done(&text);
	tm_zookeeper_stop(a);
	zookeeper_close(z);
}

TEST_MAIN()
