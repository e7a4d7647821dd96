/* `tidemill up`: runs a project until a signal, or until all that is due is done. */
#include "cli/command.h"
#include "cli/coordinator.h"
#include "cli/instance.h"
#include "cli/rows.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct up {
	struct tm_common common;
	bool until_idle, next_free_port, quiet, show_tables, keep_serving;
	const char *dir;
	struct tm_texts triggers;
};

static int signals_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool waited(int fd, int wait_ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	return poll(&p, 1, wait_ms) > 0;
}

/* True when a signal that ends us came within wait_ms. */
static bool signalled(int fd, int wait_ms) { return waited(fd, wait_ms); }

static tm_rc loaded(struct tm_instance *in, int fd, bool *ret_stop)
{
	struct tm_dag_counts counts = {0};
	while (in->dag && (tm_dag_counts(in->dag, &counts), counts.files_loading > 0))
		if (signalled(fd, 2)) {
			*ret_stop = true;
			break;
		}
	return TM_OK;
}

static tm_rc trigger(struct tm_instance *in, const struct tm_texts *ids, struct tm_err *err)
{
	for (size_t i = 0; i < ids->count; i++) {
		char run_id[256];
		if (!in->dag)
			return tm_fail(err, TM_NOT_FOUND, "there is no DAG %s here: %s", ids->items[i],
				       strcmp(in->config.orchestrator, "airflow") == 0
					   ? "Airflow runs the project's DAGs (orchestrator: airflow)"
					   : "the project has no dags directory");
		const struct tm_dag_trigger how = {.logical_date_us = TM_DAG_NEVER};
		TM_TRY(tm_dag_trigger(in->dag, ids->items[i], &how, run_id, err));
	}
	return TM_OK;
}

static void banner(const struct tm_instance *in, double seconds)
{
	const struct tm_config *c = &in->config;
	size_t queries = 0;
	for (size_t i = 0; i < in->pipeline_count; i++)
		queries += in->pipelines[i].pipeline->query_count;
	fprintf(stderr, "Tidemill %s runs %s (up in %.2f s, %zu streaming quer%s)\n", TM_VERSION, c->dir, seconds, queries,
		queries == 1 ? "y" : "ies");
	fprintf(stderr, "  page       http://%s:%d/\n", tm_address_here(&c->http), c->http.port);
	if (in->kafka)
		fprintf(stderr, "  kafka      %s:%d\n", c->kafka.host, c->kafka.port);
	else
		fprintf(stderr, "  kafka      %s\n", in->broker->address);
	if (in->tables)
		fprintf(stderr, "  cassandra  %s\n", in->tables->address);
	else
		fprintf(stderr, "  cassandra  %s:%d\n", c->cassandra.host, c->cassandra.port);
	if (c->kafka_published.port)
		fprintf(stderr, "  published  kafka as %s:%d\n", c->kafka_published.host, c->kafka_published.port);
}

/* Other commands find an instance that took other ports by this file. */
static void address_write(const struct tm_instance *in, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/http.address", in->config.data);
	struct tm_buf text = {0};
	const char *host = tm_address_here(&in->config.http);
	tm_buf_printf(&text, strchr(host, ':') ? "[%s]:%d\n" : "%s:%d\n", host, in->config.http.port);
	struct tm_err err;
	if (tm_file_replace(tm_env_real(), ret_path, tm_buf_str(&text), &err) != TM_OK)
		tm_say_err("tidemill", &err);
	tm_buf_done(&text);
}

/* Before the data directory is let go of: the next one's file is not ours to remove. */
static void address_remove(char *path)
{
	if (*path)
		unlink(path);
	*path = 0;
}

/* What the first query that waits is waiting for; empty: none waits. */
static void what_waits(struct tm_instance *in, char *ret, size_t size)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	*ret = 0;
	for (size_t p = 0; p < in->pipeline_count && !*ret; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count && !*ret; q++) {
			struct tm_query_progress progress;
			struct tm_query *query = __atomic_load_n(&in->pipelines[p].queries[q], __ATOMIC_ACQUIRE);
			if (!query)
				continue;
			tm_query_progress(query, &arena, &progress);
			if (progress.waiting.len)
				snprintf(ret, size, ", %.*s waits: %.*s", TM_STR_ARG(progress.name), TM_STR_ARG(progress.waiting));
		}
	tm_arena_done(&arena);
}

/* Waits for the end of all that is due; tells where it stands after 300 ms, once a second. */
static bool wait_idle(struct tm_instance *in, int fd, bool quiet)
{
	int64_t start = tm_mono_ns(tm_env_real()), told = 0;
	int calm = 0;
	while (calm < 2) {
		calm = tm_instance_idle(in) ? calm + 1 : 0;
		if (signalled(fd, calm ? 10 : 5))
			return false;
		int64_t ms = (tm_mono_ns(tm_env_real()) - start) / 1000000;
		if (quiet || ms < 300 || ms / 1000 == told)
			continue;
		told = ms / 1000;
		struct tm_dag_counts counts = {0};
		if (in->dag)
			tm_dag_counts(in->dag, &counts);
		char waits[300];
		what_waits(in, waits, sizeof waits);
		fprintf(stderr, "%s  %lld s: %d DAG run%s active, %d task%s running%s%s", isatty(2) ? "\r\033[K" : "", (long long)told,
			counts.runs_active, counts.runs_active == 1 ? "" : "s", counts.tasks_running, counts.tasks_running == 1 ? "" : "s",
			waits, isatty(2) ? "" : "\n");
	}
	if (told && isatty(2))
		fprintf(stderr, "\n");
	return true;
}

static tm_rc finish(struct tm_instance *in, const struct up *up, bool *ret_ok, struct tm_err *err)
{
	struct tm_buf summary = {0};
	tm_rc rc = tm_instance_summary_json(in, &summary, ret_ok, err);
	if (rc == TM_OK && up->common.json) {
		tm_buf_char(&summary, '\n');
		fwrite(summary.at, 1, summary.len, stdout);
	} else if (rc == TM_OK) {
		struct tm_buf text = {0};
		tm_summary_text(tm_buf_str(&summary), tm_color(1), &text);
		fwrite(text.at, 1, text.len, stdout);
		tm_buf_done(&text);
	}
	fflush(stdout);
	tm_buf_done(&summary);
	return rc;
}

enum { ROWS_SHOWN = 8 };

static void show_tables(struct tm_instance *in)
{
	const struct tm_table_def **tables = NULL;
	size_t n = 0;
	struct tm_err away = {0};
	if (tm_tables_list(&in->world, &tables, &n, &away) != TM_OK)
		tm_say_err("tidemill", &away);
	for (size_t i = 0; i < n; i++) {
		struct tm_arena arena;
		tm_arena_init(&arena);
		struct tm_cql_result result;
		struct tm_err err;
		int64_t rows = 0;
		struct tm_str name = tm_arena_printf(&arena, "%.*s.%.*s", TM_STR_ARG(tables[i]->keyspace), TM_STR_ARG(tables[i]->name));
		struct tm_str text = tm_arena_printf(&arena, "SELECT * FROM \"%.*s\".\"%.*s\" LIMIT %d", TM_STR_ARG(tables[i]->keyspace),
						     TM_STR_ARG(tables[i]->name), ROWS_SHOWN);
		bool ours = tm_str_is(tables[i]->keyspace, "tidemill");
		if (!ours && (tm_tables_count(&in->world, tables[i], 0, &rows, &err) != TM_OK ||
			      tm_instance_cql(in, text, (struct tm_str){0}, &arena, &result, &err) != TM_OK)) {
			tm_say_err("tidemill", &err);
		} else if (!ours && rows) {
			printf("\n%.*s", TM_STR_ARG(name));
			if (rows > ROWS_SHOWN)
				printf(" (the first %d of %lld rows)", ROWS_SHOWN, (long long)rows);
			tm_rows_print(&result);
		}
		tm_tables_unref(&in->world, tables[i]);
		tm_arena_done(&arena);
	}
	free(tables);
	fflush(stdout);
}

/* With a coordinator: until this instance acts. False: a signal came, or the instance has to be started again. */
static bool elected(struct tm_instance *in, int fd)
{
	while (in->coordinator && !tm_coordinator_acts(in->coordinator))
		if (signalled(fd, 5) || waited(tm_coordinator_fd(in->coordinator), 0))
			return false;
	return true;
}

/* Until a signal (true), or until the coordinator wants the instance started again. */
static bool wait_signal(const struct tm_instance *in, int fd)
{
	struct pollfd p[2] = {{fd, POLLIN, 0}, {in->coordinator ? tm_coordinator_fd(in->coordinator) : -1, POLLIN, 0}};
	while (poll(p, 2, -1) < 0)
		;
	return p[0].revents != 0;
}

/* One instance, from its start to its end. *ret_again: it was the leader and is none any more; the next one follows. */
static tm_rc run_instance(const struct up *up, struct tm_instance *in, int fd, bool *ret_again, int *ret_status, struct tm_err *err)
{
	bool stop = false, ok = true;
	tm_rc rc = loaded(in, fd, &stop);
	bool acts = up->until_idle || up->triggers.count ? !stop && elected(in, fd) : !stop;
	if (rc == TM_OK && acts)
		rc = trigger(in, &up->triggers, err);
	if (rc == TM_OK && up->until_idle && acts) {
		bool done = wait_idle(in, fd, up->common.json || up->quiet);
		rc = finish(in, up, &ok, err);
		*ret_status = ok && done ? 0 : 1;
		if (rc == TM_OK && up->show_tables && !up->common.json)
			show_tables(in);
		stop = !done || !up->keep_serving;
		if (!stop)
			fprintf(stderr, "\nThe page is at http://%s:%d/ until Ctrl-C.\n", tm_address_here(&in->config.http),
				in->config.http.port);
	}
	if (rc == TM_OK && !stop && (!up->until_idle || up->keep_serving || !acts)) {
		stop = wait_signal(in, fd);
		*ret_again = !stop;
		if (stop && !up->common.json && !up->quiet)
			fprintf(stderr, "\nstopping\n");
		if (!up->until_idle)
			*ret_status = 0;
	}
	if (rc == TM_OK && in->coordinator && tm_coordinator_failed(in->coordinator, err)) {
		*ret_again = false;
		rc = err->rc;
	}
	return rc;
}

/* What an instance that is started anew waits for: a broker or a store that is away is no reason to give up then. */
static bool passes(const struct tm_err *err) { return err->rc == TM_UNAVAILABLE || err->rc == TM_TIMEOUT; }

static tm_rc run(const struct up *up, int fd, int *ret_status, struct tm_err *err)
{
	struct tm_instance in;
	struct tm_coordinator *coordinator;
	TM_TRY(tm_coordinator_start(up->dir, &coordinator, err));
	/* Who starts again as a follower keeps the page's door: those who ask meanwhile wait, and are not turned away. */
	struct tm_http_server *http = NULL;
	struct tm_instance_options options = {.until_idle = up->until_idle,
					      .next_free_port = up->next_free_port,
					      .coordinator = coordinator,
					      .http = coordinator ? &http : NULL};
	tm_rc rc = TM_OK;
	char address[4200] = "";
	bool first = true;
	for (bool again = true; again && rc == TM_OK; first = false) {
		again = false;
		rc = tm_instance_start(&in, up->dir, &options, err);
		if (rc != TM_OK && !first && passes(err)) {
			tm_say_err("tidemill", err);
			again = !signalled(fd, 1000);
			*ret_status = up->until_idle; /* where it ends here: not all that is due is done */
			rc = TM_OK;
			continue;
		}
		if (rc != TM_OK)
			break;
		address_write(&in, address, sizeof address);
		if (first && !up->common.json && !up->quiet)
			banner(&in, (double)(tm_mono_ns(tm_env_real()) - in.started_ns) / 1e9);
		rc = run_instance(up, &in, fd, &again, ret_status, err);
		if (!again)
			address_remove(address);
		tm_instance_stop(&in);
	}
	address_remove(address);
	tm_http_server_stop(http);
	tm_coordinator_stop(coordinator);
	return rc;
}

int tm_command_up(const struct tm_command *self, int argc, char **argv)
{
	struct up up = {0};
	const struct tm_arg args[] = {
	    {"--until-idle", TM_ARG_FLAG, &up.until_idle, NULL, "run what is due, let the pipelines catch up, print a summary, end"},
	    {"--trigger", TM_ARG_TEXTS, &up.triggers, "DAG_ID", "also start a run of this DAG (may be given again)"},
	    {"--next-free-port", TM_ARG_FLAG, &up.next_free_port, NULL, "where a port is taken, listen on the next free one"},
	    {"--show-tables", TM_ARG_FLAG, &up.show_tables, NULL, "with --until-idle: print the first rows of each table"},
	    {"--keep-serving", TM_ARG_FLAG, &up.keep_serving, NULL, "with --until-idle: go on after the summary, until Ctrl-C"},
	    {"--quiet", TM_ARG_FLAG, &up.quiet, NULL, "print nothing but the summary and errors"},
	    TM_COMMON_ARGS(&up.common),
	};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &up.common, &words, &status)) {
		up.dir = words.count ? words.items[0] : up.common.project ? up.common.project : ".";
		struct tm_err err;
		if (words.count > 1) {
			tm_fail(&err, TM_INVALID, "one project directory at a time, not also '%s'", words.items[1]);
			status = (tm_command_fail(&err, up.common.json, (struct tm_str){0}), 2);
		} else {
			if (up.quiet || up.common.json)
				tm_say_level_set(TM_SAY_WARN);
			int fd = signals_open();
			if (run(&up, fd, &status, &err) != TM_OK) {
				struct tm_buf source = {0};
				if (err.file[0] && err.line)
					(void)!tm_file_read(tm_env_real(), err.file, TM_LIMIT_SQL_BYTES, &source, NULL);
				status = tm_command_fail(&err, up.common.json, tm_buf_str(&source));
				tm_buf_done(&source);
			}
			close(fd);
		}
	}
	tm_texts_done(&words);
	tm_texts_done(&up.triggers);
	return status;
}
