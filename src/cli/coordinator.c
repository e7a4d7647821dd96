/* See coordinator.h. One thread per attached instance: it follows the journal until ZooKeeper says that we lead, takes over, then watches
 * the lease and the writer until one of them is lost. Whatever ends the lead, ends it here by a byte in `again`: the run loop of `up` stops
 * the instance and starts it anew. */
#include "cli/coordinator.h"
#include "cli/engine.h"
#include "cli/instance.h"
#include "kafka/journal.h"
#include "stream/journal.h"
#include "zookeeper/zookeeper.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { CONFIG_WAIT_MS = 3000, READ_MS = 100, WATCH_MS = 10, HALT_MS = 3000 };

struct tm_coordinator {
	struct tm_zookeeper *zookeeper;
	char name[200], self[TM_ZOOKEEPER_SELF_MAX], host[128];
	int again;
	uint64_t config_version; /* that was looked at last */
	/* The shared configuration that was right last; the thread's, and between two instances the starter's. */
	struct tm_buf good;
	bool has_good, good_known;
	/* the attached instance */
	struct tm_instance *in;
	struct tm_kafka_journal *journal;
	struct tm_stream_replica *replica;
	pthread_t thread;
	bool has_thread, cleared; /* cleared: what the instance's store held before is void, the journal has more to say */
	pthread_mutex_t lock;     /* rank: leaf; guards what follows */
	bool halt, acts, failed;
	int64_t halted_ns;
	uint64_t term; /* that the instance leads, or tries to; 0 = none */
	struct tm_err failure;
	char waiting[400];        /* for the journal */
	char config_note[400];    /* about the shared configuration, for people */
	char config_denied[300];  /* the thread's: as it was said last */
	struct tm_config applied; /* the thread's: whose variables and connections the tasks see */
	bool has_applied;
};

/* ---- what is refused ---- */

static bool has_files(const struct tm_config *config, const char *folder)
{
	char path[4200], **names;
	size_t n;
	snprintf(path, sizeof path, "%s/%s", config->dir, folder);
	if (access(path, F_OK) != 0 || tm_dir_list(path, NULL, &names, &n, NULL) != TM_OK)
		return false;
	tm_dir_list_free(names, n);
	return n > 0;
}

static tm_rc own_tables(const char *what, struct tm_err *err)
{
	tm_rc rc =
	    tm_fail(err, TM_INVALID, "coordinator: several instances need tables that all of them reach; store is embedded, and %s", what);
	tm_err_detail(err, "Each instance would write into tables of its own, and the next leader would find them empty.");
	tm_err_hint(err, "Set store: cassandra://host:port, or coordinator: none for one instance.");
	return rc;
}

tm_rc tm_coordinator_check(const struct tm_config *config, struct tm_err *err)
{
	if (strcmp(config->coordinator, "none") == 0)
		return TM_OK;
	tm_rc rc = tm_zookeeper_check(config->coordinator, err);
	if (rc) {
		tm_err_prefix(err, "coordinator: ");
		return rc;
	}
	if (strcmp(config->broker, "embedded") == 0) {
		rc = tm_fail(err, TM_INVALID, "coordinator: several instances need a broker that all of them reach; broker is embedded");
		tm_err_detail(
		    err, "What the next leader goes on from is kept in a topic of that broker, which also fences the leader before it.");
		tm_err_hint(err, "Set broker: kafka://host:port, or coordinator: none for one instance.");
		return rc;
	}
	if (tm_engine_is_spark(config))
		TM_TRY(tm_engine_check_shared(config, err));
	if (strcmp(config->store, "embedded") == 0 && has_files(config, "tables"))
		return own_tables("the project has tables", err);
	return TM_OK;
}

/* Until when Spark may act for this instance. */
static int64_t spark_until_ns(void *ctx)
{
	struct tm_coordinator *c = ctx;
	pthread_mutex_lock(&c->lock);
	uint64_t term = c->term;
	pthread_mutex_unlock(&c->lock);
	return tm_kafka_journal_fenced(c->journal) ? 0 : tm_zookeeper_certain_until_ns(c->zookeeper, term);
}

/* What the configuration alone does not show. A follower says it at its start, not when it is elected. */
static tm_rc check_pipelines(struct tm_coordinator *c, struct tm_instance *in, struct tm_err *err)
{
	for (size_t p = 0; p < in->pipeline_count && strcmp(in->config.store, "embedded") == 0; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			if (tm_str_is(in->pipelines[p].pipeline->queries[q].sink_format, "cassandra"))
				return own_tables("a pipeline writes into a table", err);
	return tm_engine_is_spark(&in->config) ? tm_instance_engine_prepare(in, spark_until_ns, c, err) : TM_OK;
}

/* ---- the whole ---- */

static void on_change(void *ctx)
{
	struct tm_coordinator *c = ctx;
	pthread_mutex_lock(&c->lock);
	struct tm_http_server *http = c->in && !c->halt ? __atomic_load_n(&c->in->http, __ATOMIC_ACQUIRE) : NULL;
	if (http)
		tm_http_server_changed(http);
	pthread_mutex_unlock(&c->lock);
}

/* The path's names, as a topic may be called. */
static void name_of(const char *address, char *out, size_t size)
{
	struct tm_arena arena;
	struct tm_url url;
	tm_arena_init(&arena);
	size_t n = 0;
	if (tm_url_parse(tm_str_of(address), &arena, &url, NULL) == TM_OK)
		for (size_t i = 1; i < url.path.len && n < size - 1; i++) {
			char ch = url.path.at[i];
			bool fine =
			    (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
			if (ch != '/' || i + 1 < url.path.len)
				out[n++] = fine ? ch : ch == '/' ? '.' : '_';
		}
	out[n] = 0;
	tm_arena_done(&arena);
}

tm_rc tm_coordinator_start(const char *dir, struct tm_coordinator **ret, struct tm_err *err)
{
	struct tm_config config;
	*ret = NULL;
	tm_rc rc = tm_config_load(&config, dir, err);
	if (rc != TM_OK || strcmp(config.coordinator, "none") == 0) {
		tm_config_done(&config);
		return rc;
	}
	struct tm_coordinator *c = tm_zalloc(sizeof *c);
	pthread_mutex_init(&c->lock, NULL);
	c->again = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	name_of(config.coordinator, c->name, sizeof c->name);
	if (gethostname(c->host, sizeof c->host - 1) != 0)
		snprintf(c->host, sizeof c->host, "localhost");
	rc = tm_coordinator_check(&config, err);
	struct tm_zookeeper_options o = {.address = config.coordinator, .changed = on_change, .ctx = c};
	if (rc == TM_OK)
		rc = tm_zookeeper_start(&o, &c->zookeeper, err);
	tm_config_done(&config);
	if (rc != TM_OK) {
		tm_coordinator_stop(c);
		return rc;
	}
	if (!tm_zookeeper_config_wait(c->zookeeper, CONFIG_WAIT_MS)) {
		struct tm_zookeeper_status s;
		tm_zookeeper_status(c->zookeeper, &s);
		if (s.denied) {
			rc = tm_fail(err, TM_DENIED, "coordinator: %s", s.waiting);
			tm_err_hint(
			    err,
			    "All instances of a project need the same user and password; docs/coordinator.md says whose the znodes are.");
			tm_coordinator_stop(c);
			return rc;
		}
		tm_say(TM_SAY_WARN, "coordinator", "waits for %s; until then this instance shows what it knows and does nothing",
		       s.waiting);
	}
	*ret = c;
	return TM_OK;
}

void tm_coordinator_stop(struct tm_coordinator *c)
{
	if (!c)
		return;
	tm_zookeeper_stop(c->zookeeper);
	close(c->again);
	tm_buf_done(&c->good);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int tm_coordinator_fd(const struct tm_coordinator *c) { return c->again; }

bool tm_coordinator_failed(struct tm_coordinator *c, struct tm_err *err)
{
	pthread_mutex_lock(&c->lock);
	bool failed = c->failed;
	if (failed)
		*err = c->failure;
	pthread_mutex_unlock(&c->lock);
	return failed;
}

static tm_rc load_text(const char *dir, bool has, const struct tm_buf *text, struct tm_config *config, struct tm_err *err)
{
	struct tm_str shared = has ? tm_str_n(text->at ? text->at : "", text->len) : (struct tm_str){0};
	TM_TRY(tm_config_load_shared(config, dir, TM_COORDINATOR_CONFIG_NAME, shared, err));
	return tm_coordinator_check(config, err);
}

/* The configuration as ZooKeeper has it. */
static tm_rc load_newest(struct tm_coordinator *c, const char *dir, struct tm_config *config, struct tm_err *err)
{
	struct tm_buf text = {0};
	bool has = tm_zookeeper_config(c->zookeeper, &text, &c->config_version);
	tm_rc rc = load_text(dir, has, &text, config, err);
	if (rc == TM_OK) {
		c->has_good = has;
		c->good_known = true;
		c->good.len = 0;
		tm_buf_str_put(&c->good, tm_buf_str(&text));
	}
	tm_buf_done(&text);
	return rc;
}

tm_rc tm_coordinator_config_load(struct tm_coordinator *c, const char *dir, struct tm_config *config, struct tm_err *err)
{
	pthread_mutex_lock(&c->lock);
	c->config_note[0] = 0; /* the restart that it may have asked for is this one */
	pthread_mutex_unlock(&c->lock);
	tm_rc rc = load_newest(c, dir, config, err);
	if (rc != TM_OK && c->good_known) { /* a lead that is lost must not end the instance for a slip in the configuration */
		tm_config_done(config);
		rc = load_text(dir, c->has_good, &c->good, config, err);
		c->config_version = UINT64_MAX; /* what is wrong is said again */
	}
	return rc;
}

/* ---- the journal's questions ---- */

static bool halted(struct tm_coordinator *c)
{
	pthread_mutex_lock(&c->lock);
	bool halt = c->halt;
	pthread_mutex_unlock(&c->lock);
	return halt;
}

/* A commit under way when the instance is stopped is waited for, not for ever. */
static bool leads(void *ctx)
{
	struct tm_coordinator *c = ctx;
	pthread_mutex_lock(&c->lock);
	bool late = c->halt && tm_mono_ns(tm_env_real()) - c->halted_ns > (int64_t)HALT_MS * 1000000;
	uint64_t term = c->term;
	pthread_mutex_unlock(&c->lock);
	return !late && tm_zookeeper_certain(c->zookeeper, term);
}

static void waits(void *ctx, const char *what)
{
	struct tm_coordinator *c = ctx;
	pthread_mutex_lock(&c->lock);
	bool news = strcmp(c->waiting, what) != 0;
	snprintf(c->waiting, sizeof c->waiting, "%s", what);
	pthread_mutex_unlock(&c->lock);
	if (news && *what)
		tm_say(TM_SAY_WARN, "coordinator", "waits: %s", what);
	else if (news)
		tm_say(TM_SAY_INFO, "coordinator", "goes on");
	on_change(c);
}

/* ---- the shared configuration ---- */

static bool same_pairs(const struct tm_pair *a, size_t a_count, const struct tm_pair *b, size_t b_count)
{
	bool same = a_count == b_count;
	for (size_t i = 0; i < a_count && same; i++)
		same = tm_str_eq(a[i].name, b[i].name) && tm_str_eq(a[i].value, b[i].value);
	return same;
}

static void note(struct tm_coordinator *c, const char *text)
{
	pthread_mutex_lock(&c->lock);
	snprintf(c->config_note, sizeof c->config_note, "%s", text);
	pthread_mutex_unlock(&c->lock);
	if (*text)
		tm_say(TM_SAY_WARN, "coordinator", "%s", text);
	on_change(c);
}

/* What the instance was started with and cannot change. */
static void note_restart(struct tm_coordinator *c, const struct tm_config *now)
{
	const struct tm_config *was = &c->in->config;
	const struct {
		const char *key;
		bool same;
	} keys[] = {{"broker", strcmp(was->broker, now->broker) == 0},
		    {"store", strcmp(was->store, now->store) == 0},
		    {"engine", strcmp(was->engine, now->engine) == 0},
		    {"hosts", same_pairs(was->hosts, was->host_count, now->hosts, now->host_count)}};
	char text[400] = "";
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!keys[i].same)
			snprintf(
			    text + strlen(text), sizeof text - strlen(text), "%s%s",
			    *text ? ", " : "the shared configuration has changed, and this instance needs a restart for: ", keys[i].key);
	note(c, text);
}

static void look_at_config(struct tm_coordinator *c)
{
	struct tm_zookeeper_status s;
	tm_zookeeper_status(c->zookeeper, &s);
	if (strcmp(s.config_denied, c->config_denied) != 0) {
		memcpy(c->config_denied, s.config_denied, sizeof c->config_denied);
		if (s.config_denied[0])
			tm_say(TM_SAY_WARN, "coordinator", "%s: %s; it changes nothing", TM_COORDINATOR_CONFIG_NAME, s.config_denied);
	}
	uint64_t version;
	(void)tm_zookeeper_config(c->zookeeper, NULL, &version);
	if (version == c->config_version)
		return;
	struct tm_config now;
	struct tm_err err = {0};
	tm_rc rc = load_newest(c, c->in->config.dir, &now, &err);
	if (rc != TM_OK) {
		char what[400], line[32] = "";
		if (err.line)
			snprintf(line, sizeof line, ", line %d", err.line);
		snprintf(what, sizeof what, "%s%s: %.280s; it changes nothing", TM_COORDINATOR_CONFIG_NAME, line, err.what);
		note(c, what);
		tm_config_done(&now);
		return;
	}
	const struct tm_config *was = c->has_applied ? &c->applied : &c->in->config;
	bool same = same_pairs(was->variables, was->variable_count, now.variables, now.variable_count) &&
		    same_pairs(was->connections, was->connection_count, now.connections, now.connection_count);
	note_restart(c, &now);
	if (same) {
		tm_config_done(&now);
		return;
	}
	tm_instance_settings(c->in, &now);
	tm_say(TM_SAY_INFO, "coordinator", "variables and connections of the shared configuration are applied");
	if (c->has_applied)
		tm_config_done(&c->applied);
	c->applied = now;
	c->has_applied = true;
}

/* ---- following ---- */

static tm_rc take(void *ctx, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct tm_coordinator *c = ctx;
	struct tm_journal_entry *of_dags = tm_alloc(tm_mul_size(count + 1, sizeof *of_dags));
	size_t n = 0;
	bool first = !c->cleared;
	tm_rc rc = first ? tm_stream_replica_clear(c->replica, err) : TM_OK;
	for (size_t i = 0; i < count && !rc; i++)
		if (entries[i].key.len && entries[i].key.at[0] == 's')
			rc = tm_stream_replica_apply(c->replica, &entries[i], err);
		else if (entries[i].key.len && entries[i].key.at[0] == 'd')
			of_dags[n++] = entries[i];
	if (!rc)
		rc = tm_stream_replica_commit(c->replica, err);
	if (!rc && c->in->dag && (n || first))
		rc = tm_dag_apply(c->in->dag, first, of_dags, n, err);
	c->cleared |= !rc;
	free(of_dags);
	on_change(c);
	return rc;
}

static void fail(struct tm_coordinator *c, tm_rc rc, const struct tm_err *err)
{
	pthread_mutex_lock(&c->lock);
	c->failed = true;
	c->failure = *err;
	c->failure.rc = rc;
	pthread_mutex_unlock(&c->lock);
	(void)!write(c->again, &(uint64_t){1}, 8);
}

/* One step as a follower; false: it cannot go on. */
static bool follow(struct tm_coordinator *c)
{
	struct tm_err err = {0};
	tm_rc rc = tm_kafka_journal_read(c->journal, READ_MS, take, c, &err);
	if (rc == TM_OK) {
		waits(c, "");
		return true;
	}
	if (rc == TM_UNAVAILABLE) {
		waits(c, err.what);
		nanosleep(&(struct timespec){0, READ_MS * 1000000}, NULL);
		return true;
	}
	fail(c, rc, &err);
	return false;
}

/* ---- leading ---- */

/* A store that is away is waited for: the next leader would find it away too. */
static tm_rc start_queries(struct tm_coordinator *c, struct tm_err *err)
{
	for (;;) {
		tm_rc rc = tm_instance_queries_start(c->in, err);
		if (rc != TM_UNAVAILABLE && rc != TM_TIMEOUT) {
			waits(c, "");
			return rc;
		}
		waits(c, err->what);
		if (halted(c) || !leads(c))
			return tm_fail(err, TM_CANCELLED, "this instance leads no more");
		nanosleep(&(struct timespec){0, READ_MS * 1000000}, NULL);
	}
}

static tm_rc take_over(struct tm_coordinator *c, struct tm_err *err)
{
	bool empty;
	int64_t began_ns = tm_mono_ns(tm_env_real());
	TM_TRY(tm_kafka_journal_lead(c->journal, take, c, &empty, err));
	struct tm_journal *writer = tm_kafka_journal_writer(c->journal);
	size_t seeded = 0;
	if (empty)
		TM_TRY(tm_stream_journal_seed(c->in->store, writer, &seeded, err));
	if (seeded)
		tm_say(TM_SAY_INFO, "coordinator", "the journal was empty: it begins with the %zu entries of this instance's store",
		       seeded);
	c->in->world.journal = writer;
	if (c->in->dag)
		TM_TRY(tm_dag_lead(c->in->dag, writer, empty, err));
	TM_TRY(start_queries(c, err));
	tm_say(TM_SAY_INFO, "coordinator", "%s leads (took over in %.0f ms)", c->self,
	       (double)(tm_mono_ns(tm_env_real()) - began_ns) / 1e6);
	return TM_OK;
}

/* Leads until it must not any more; true: the thread goes on following, since nothing was begun. */
static bool lead(struct tm_coordinator *c)
{
	struct tm_err err = {0};
	tm_rc rc = take_over(c, &err);
	bool begun = c->in->world.journal != NULL;
	if (rc == TM_OK) {
		pthread_mutex_lock(&c->lock);
		c->acts = true;
		pthread_mutex_unlock(&c->lock);
		on_change(c);
		while (!halted(c) && leads(c) && !tm_kafka_journal_fenced(c->journal) && !(c->in->dag && tm_dag_lost(c->in->dag))) {
			look_at_config(c);
			nanosleep(&(struct timespec){0, WATCH_MS * 1000000}, NULL);
		}
		pthread_mutex_lock(&c->lock);
		c->acts = false;
		pthread_mutex_unlock(&c->lock);
	}
	if (halted(c))
		return false;
	bool lost = rc == TM_OK || rc == TM_CANCELLED || !leads(c);
	if (!lost) { /* elected, and cannot: another instance may be able to */
		tm_err_prefix(&err, "this instance was elected to lead and cannot: ");
		fail(c, rc, &err);
		return false;
	}
	if (tm_zookeeper_certain(c->zookeeper, c->term)) /* fenced, although ZooKeeper has us first */
		tm_zookeeper_resign(c->zookeeper);
	if (!begun)
		return true;
	struct tm_zookeeper_status s;
	tm_zookeeper_status(c->zookeeper, &s);
	tm_say(TM_SAY_WARN, "coordinator", "%s leads no more%s%s; it stops what it does and follows", c->self, s.waiting[0] ? ": " : "",
	       s.waiting);
	(void)!write(c->again, &(uint64_t){1}, 8);
	return false;
}

static void *run(void *arg)
{
	struct tm_coordinator *c = arg;
	char leader[TM_ZOOKEEPER_SELF_MAX] = "", waiting[400] = "";
	for (bool more = true; more && !halted(c);) {
		struct tm_zookeeper_status s;
		tm_zookeeper_status(c->zookeeper, &s);
		if (s.role == TM_ZOOKEEPER_FOLLOWER && strcmp(leader, s.leader) != 0)
			tm_say(TM_SAY_INFO, "coordinator", "%s follows %s", c->self, s.leader);
		if (s.role == TM_ZOOKEEPER_WAITING && strncmp(s.waiting, "ZooKeeper", 9) == 0 && strcmp(waiting, s.waiting) != 0)
			tm_say(TM_SAY_WARN, "coordinator", "waits for %s", s.waiting);
		memcpy(leader, s.leader, sizeof leader);
		memcpy(waiting, s.waiting, sizeof waiting);
		look_at_config(c);
		if (s.role == TM_ZOOKEEPER_LEADER) {
			pthread_mutex_lock(&c->lock);
			c->term = s.term;
			pthread_mutex_unlock(&c->lock);
			more = lead(c);
		} else {
			more = follow(c);
		}
	}
	return NULL;
}

/* ---- an instance ---- */

tm_rc tm_coordinator_attach(struct tm_coordinator *c, struct tm_instance *in, struct tm_err *err)
{
	uint64_t ignored;
	(void)!read(c->again, &ignored, 8);
	TM_TRY(check_pipelines(c, in, err));
	pthread_mutex_lock(&c->lock); /* the page is served already, and asks */
	snprintf(c->self, sizeof c->self, "%s:%d", c->host, in->config.http.port);
	pthread_mutex_unlock(&c->lock);
	struct tm_kafka_journal_options o = {
	    .address = tm_str_of(in->config.broker), .name = tm_str_of(c->name), .leads = leads, .waits = waits, .ctx = c};
	TM_TRY(tm_kafka_journal_new(&o, &c->journal, err));
	tm_rc rc = tm_stream_replica_new(in->store, &c->replica, err);
	if (rc == TM_OK) {
		pthread_mutex_lock(&c->lock);
		c->in = in;
		c->halt = c->acts = c->failed = c->cleared = false;
		c->term = 0;
		pthread_mutex_unlock(&c->lock);
		rc = tm_thread_start(&c->thread, "coordinator", run, c, err);
		c->has_thread = rc == TM_OK;
	}
	if (rc != TM_OK) {
		tm_coordinator_detach(c);
		return rc;
	}
	tm_zookeeper_stand(c->zookeeper, c->self);
	return TM_OK;
}

void tm_coordinator_halt(struct tm_coordinator *c)
{
	pthread_mutex_lock(&c->lock);
	c->halt = true;
	c->halted_ns = tm_mono_ns(tm_env_real());
	pthread_mutex_unlock(&c->lock);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	c->has_thread = false;
}

void tm_coordinator_detach(struct tm_coordinator *c)
{
	tm_coordinator_halt(c);
	pthread_mutex_lock(&c->lock);
	struct tm_instance *in = c->in;
	c->in = NULL;
	pthread_mutex_unlock(&c->lock);
	tm_kafka_journal_free(c->journal);
	c->journal = NULL;
	if (in)
		in->world.journal = NULL;
	tm_stream_replica_free(c->replica);
	c->replica = NULL;
	if (c->has_applied)
		tm_config_done(&c->applied);
	c->has_applied = false;
	tm_zookeeper_stand(c->zookeeper, NULL);
}

bool tm_coordinator_acts(struct tm_coordinator *c)
{
	pthread_mutex_lock(&c->lock);
	bool acts = c->acts;
	pthread_mutex_unlock(&c->lock);
	return acts;
}

static void finding(json_t *list, const char *severity, const char *what, const char *why, const char *next)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", severity, "subject", "coordinator", "what", what,
					      "why", why, "next", next));
}

void tm_coordinator_findings(struct tm_coordinator *c, json_t *list)
{
	struct tm_zookeeper_status s;
	char what[500], waiting[400], config[400];
	tm_zookeeper_status(c->zookeeper, &s);
	pthread_mutex_lock(&c->lock);
	bool acts = c->acts;
	memcpy(waiting, c->waiting, sizeof waiting);
	memcpy(config, c->config_note, sizeof config);
	pthread_mutex_unlock(&c->lock);
	if (s.role == TM_ZOOKEEPER_FOLLOWER) {
		snprintf(what, sizeof what, "this instance follows %s, which runs the DAGs and the pipelines", s.leader);
		finding(list, "info", what, "", "Trigger, pause and clear there; this one takes over when it is gone.");
	} else if (s.role == TM_ZOOKEEPER_WAITING) {
		snprintf(what, sizeof what, "this instance does nothing, since it is not known who leads: %s", s.waiting);
		finding(list, "warning", what, "Two instances must never act at once.", "It goes on by itself when ZooKeeper answers.");
	}
	if (waiting[0]) {
		snprintf(what, sizeof what, "waits: %s", waiting);
		finding(list, "warning", what, "What the leader does counts when it is in the journal on the broker.",
			"It goes on by itself.");
	} else if (s.role == TM_ZOOKEEPER_LEADER && !acts) {
		finding(list, "info", "this instance was elected and reads the journal to its end", "", "");
	}
	if (config[0])
		finding(list, "warning", config, "", "");
	if (s.config_denied[0])
		finding(list, "warning", "the shared configuration may not be read any more; the last one holds", s.config_denied, "");
}

void tm_coordinator_json(struct tm_coordinator *c, struct tm_buf *out)
{
	struct tm_zookeeper_status s;
	tm_zookeeper_status(c->zookeeper, &s);
	pthread_mutex_lock(&c->lock);
	bool acts = c->acts;
	char waiting[400], self[TM_ZOOKEEPER_SELF_MAX];
	memcpy(self, c->self, sizeof self);
	snprintf(waiting, sizeof waiting, "%s", s.role == TM_ZOOKEEPER_WAITING || !c->waiting[0] ? s.waiting : c->waiting);
	pthread_mutex_unlock(&c->lock);
	/* Elected is not yet leading: the journal is read to its end first. */
	const char *role = s.role == TM_ZOOKEEPER_LEADER     ? acts ? "leader" : "taking over"
			   : s.role == TM_ZOOKEEPER_FOLLOWER ? "follower"
							     : "waiting";
	json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I}", "role", role, "leader", s.leader, "self", self, "instances",
			      (json_int_t)s.instances, "term", (json_int_t)s.term, "waiting_for", waiting, "session_timeout_ms",
			      (json_int_t)s.session_timeout_ms);
	char *text = json_dumps(j, JSON_COMPACT);
	tm_buf_cstr_put(out, text);
	free(text);
	json_decref(j);
}
