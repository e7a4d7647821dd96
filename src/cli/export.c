/* The command: where from, where to, progress, and what it came to. */
#include "cli/export.h"
#include <fnmatch.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- stopping ---- */

static volatile sig_atomic_t stop_wanted;
static void on_signal(int number)
{
	stop_wanted = 1;
	signal(number, SIG_DFL); /* a second one ends at once: nothing is lost by it */
}
bool tm_export_stopping(void) { return stop_wanted; }

/* ---- progress and notes ---- */

void tm_export_waits(void *ctx, const char *what)
{
	(void)ctx;
	if (what && *what)
		tm_say(TM_SAY_INFO, "export", "waiting: %s", what);
}

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }

void tm_export_progress(struct tm_export *x, const char *what, const char *unit)
{
	int64_t now = now_ns(), since_ms = (now - x->started_ns) / 1000000;
	bool terminal = isatty(2);
	if (since_ms < 300 || (x->shown_ns && now - x->shown_ns < (terminal ? 200000000 : 2000000000)))
		return;
	x->shown_ns = now;
	int64_t per_s = since_ms ? x->done * 1000 / since_ms : 0;
	fprintf(stderr, "%s%s: %" PRId64, terminal ? "\r\033[K" : "", what, x->done);
	if (x->all > x->done)
		fprintf(stderr, " of about %" PRId64 " %s (%d %%)", x->all, unit, (int)(x->done * 100 / x->all));
	else
		fprintf(stderr, " %s", unit);
	fprintf(stderr, ", %" PRId64 "/s%s", per_s, terminal ? "" : "\n");
	fflush(stderr);
	x->line_open = terminal;
}

static void end_line(struct tm_export *x)
{
	if (x->line_open)
		fprintf(stderr, "\r\033[K");
	x->line_open = false;
}

void tm_export_note(struct tm_export *x, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(x->notes, json_string(text));
	end_line(x);
	if (!x->common.json)
		printf("note: %s\n", text);
}

bool tm_export_wanted(const struct tm_export *x, struct tm_str name)
{
	char text[300];
	snprintf(text, sizeof text, "%.*s", TM_STR_ARG(name));
	for (size_t i = 0; i < x->name_count; i++)
		if (fnmatch(x->names[i], text, 0) == 0)
			return true;
	return x->name_count == 0;
}

/* ---- where from, where to ---- */

static const struct {
	const char *kind, *scheme;
	tm_rc (*run)(struct tm_export *x, struct tm_err *err);
} kinds[] = {{"topics", "kafka", tm_export_topics}, {"tables", "cassandra", tm_export_tables}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static tm_rc check_address(struct tm_export *x, const char *option, const char *text, const char *scheme, struct tm_url *ret,
			   struct tm_err *err)
{
	tm_rc rc = tm_url_parse(tm_str_of(text), &x->arena, ret, err);
	if (rc == TM_OK && !tm_str_is(ret->scheme, scheme))
		rc = tm_fail(err, TM_INVALID, "%s go to a %s, so %s is %s://host:port, not %.*s://", x->kind,
			     strcmp(scheme, "kafka") == 0 ? "Kafka" : "Cassandra", option, scheme, TM_STR_ARG(ret->scheme));
	return rc;
}

static tm_rc run(struct tm_export *x, size_t kind, struct tm_err *err)
{
	struct tm_url from;
	/* An address with a password does not belong among the arguments, which everybody on the machine can read. */
	if (!x->to)
		x->to = getenv("TIDEMILL_EXPORT_TO");
	if (!x->from)
		x->from = getenv("TIDEMILL_EXPORT_FROM");
	if (!x->to) {
		tm_fail(err, TM_INVALID, "--to is missing: where do the %s go?", x->kind);
		tm_err_hint(err, "As `tidemill export %s --to %s`; with a password, by TIDEMILL_EXPORT_TO in the environment.", x->kind,
			    kind ? "cassandra://127.0.0.1:9042" : "kafka://127.0.0.1:9092");
		return TM_INVALID;
	}
	TM_TRY(check_address(x, "--to", x->to, kinds[kind].scheme, &x->target, err));
	if (x->from)
		TM_TRY(check_address(x, "--from", x->from, kinds[kind].scheme, &from, err));
	x->target_shown = tm_url_shown(tm_str_of(x->to), &x->arena);
	tm_rc rc = tm_remote_find(&x->remote, x->common.project, err);
	x->running = rc == TM_OK;
	if (rc != TM_OK && !x->remote.config.data)
		return rc; /* no project there, or its configuration is wrong */
	TM_TRY(tm_export_state_open(&x->state, x->remote.config.data, x->kind, x->target_shown, err));
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	x->started_ns = now_ns();
	rc = kinds[kind].run(x, err);
	struct tm_err ignored;
	if (rc != TM_OK)
		(void)!tm_export_state_save(&x->state, true, &ignored);
	return rc;
}

static int outcome(struct tm_export *x)
{
	double seconds = (double)(now_ns() - x->started_ns) / 1e9;
	end_line(x);
	if (x->common.json) {
		json_t *all = json_pack("{s:s, s:s%, s:O, s:O, s:b, s:f}", "kind", x->kind, "to", x->target_shown.at, x->target_shown.len,
					x->kind, x->parts, "notes", x->notes, "same", x->different == 0, "seconds", seconds);
		if (json_array_size(x->groups))
			json_object_set(all, "groups", x->groups);
		char *s = json_dumps(all, JSON_COMPACT);
		puts(s);
		free(s);
		json_decref(all);
	} else if (x->different) {
		printf("%" PRId64
		       " of the %s differ from the source. Is something writing there, or here? Run it again when that is at rest.\n",
		       x->different, x->kind);
	} else {
		printf("%zu %s at %.*s: counts and checksums agree (%.1f s)\n", json_array_size(x->parts), x->kind,
		       TM_STR_ARG(x->target_shown), seconds);
	}
	return x->different ? 1 : 0;
}

int tm_command_export(const struct tm_command *self, int argc, char **argv)
{
	struct tm_export x = {.parts = json_array(), .groups = json_array(), .notes = json_array()};
	const struct tm_arg args[] = {
	    {"--to", TM_ARG_TEXT, &x.to, "URL", "kafka://host:port or cassandra://host:port (or TIDEMILL_EXPORT_TO in the environment)"},
	    {"--from", TM_ARG_TEXT, &x.from, "URL", "the same, instead of the project's own"},
	    TM_COMMON_ARGS(&x.common),
	};
	struct tm_texts words = {0};
	int status = 2;
	tm_arena_init(&x.arena);
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &x.common, &words, &status)) {
		struct tm_err err;
		size_t kind = KINDS;
		for (size_t i = 0; words.count && i < KINDS; i++)
			if (strcmp(words.items[0], kinds[i].kind) == 0)
				kind = i;
		if (kind == KINDS) {
			status = tm_command_misused(self, x.common.json);
		} else {
			x.kind = kinds[kind].kind;
			x.names = words.items + 1;
			x.name_count = words.count - 1;
			tm_rc rc = run(&x, kind, &err);
			if (rc != TM_OK)
				end_line(&x);
			status = rc == TM_OK ? outcome(&x) : tm_command_fail(&err, x.common.json, (struct tm_str){0});
			tm_export_state_done(&x.state);
			tm_remote_done(&x.remote);
		}
	}
	json_decref(x.parts);
	json_decref(x.groups);
	json_decref(x.notes);
	tm_texts_done(&words);
	tm_arena_done(&x.arena);
	return status;
}
