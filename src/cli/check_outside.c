/* Looks, and changes nothing there. */
#include "cli/check_outside.h"
#include "cassandra/tables.h"
#include "kafka/broker_kafka.h"
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_WAIT_MS = 5000 };

/* ---- broker ---- */

static void check_broker(struct tm_outside_check *o)
{
	struct tm_err err;
	if (!o->in->broker || !tm_instance_broker_outside(o->in))
		return;
	if (tm_kafka_broker_connect(o->in->broker, CONNECT_WAIT_MS, &err) == TM_OK) {
		o->broker_answers = true;
		return;
	}
	tm_err_prefix(&err, "broker: ");
	o->problem(o->ctx, &err, false);
}

static const struct tm_str *option(const struct tm_option *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (tm_str_iis(options[i].name, name))
			return &options[i].value;
	return NULL;
}

/* Some query of the pipeline writes it, and makes it. */
static bool written_here(const struct tm_pipeline *p, struct tm_str topic)
{
	for (size_t i = 0; i < p->query_count; i++) {
		const struct tm_query_spec *q = &p->queries[i];
		const struct tm_str *name = option(q->sink_options, q->sink_option_count, "topic");
		if (tm_str_iis(q->sink_format, "kafka") && name && tm_str_eq(*name, topic))
			return true;
	}
	return false;
}

void tm_outside_check_pipeline(struct tm_outside_check *o, const struct tm_pipeline *p)
{
	struct tm_broker *b = o->in->broker;
	for (size_t i = 0; o->broker_answers && i < p->relation_count; i++) {
		const struct tm_relation *r = p->relations[i];
		const struct tm_str *topics = option(r->options, r->option_count, "subscribe");
		if (!tm_str_iis(r->format, "kafka") || !topics || option(r->options, r->option_count, "kafka.bootstrap.servers"))
			continue;
		struct tm_str rest = *topics, topic;
		while (tm_str_split(&rest, ',', &topic)) {
			struct tm_broker_topic found;
			struct tm_err err;
			topic = tm_str_trim(topic);
			if (b->klass->topic(b, topic, &found, &err) != TM_NOT_FOUND || written_here(p, topic))
				continue;
			tm_fail(&err, TM_NOT_FOUND, "topic %.*s is not on %s", TM_STR_ARG(topic), b->address);
			tm_err_detail(&err, "The pipelines wait until it is there.");
			tm_err_hint(&err, "The first record makes it, where the broker makes topics by itself; `tidemill export topics` "
					  "moves what was here.");
			char file[160];
			snprintf(file, sizeof file, "%.*s", TM_STR_ARG(p->file));
			tm_err_at(&err, file, 0, 0);
			o->problem(o->ctx, &err, true);
		}
	}
}

/* ---- store ---- */

static bool same_columns(const struct tm_table_def *a, const struct tm_table_def *b, struct tm_buf *ret_what)
{
	for (size_t i = 0; i < a->column_count; i++) {
		const struct tm_table_column *x = &a->columns[i], *y = NULL;
		for (size_t k = 0; k < b->column_count; k++)
			if (tm_str_eq(b->columns[k].name, x->name))
				y = &b->columns[k];
		tm_buf_printf(ret_what, "Column %.*s is ", TM_STR_ARG(x->name));
		if (!y) {
			tm_buf_cstr_put(ret_what, "only in the project's files.");
			return false;
		}
		struct tm_buf types[2] = {{0}, {0}};
		tm_cql_type_text(x->type, &types[0]);
		tm_cql_type_text(y->type, &types[1]);
		bool same = x->kind == y->kind && x->position == y->position && tm_str_eq(tm_buf_str(&types[0]), tm_buf_str(&types[1]));
		if (!same)
			tm_buf_printf(ret_what, "%s%s there and %s%s in the project's files.", tm_buf_cstr(&types[1]),
				      y->kind == x->kind ? "" : " of another place in the key", tm_buf_cstr(&types[0]), "");
		tm_buf_done(&types[0]);
		tm_buf_done(&types[1]);
		if (!same)
			return false;
		ret_what->len = 0;
	}
	return true;
}

static void run_there(struct tm_instance *in, struct tm_str statement)
{
	while (statement.len && strchr(";\n", statement.at[statement.len - 1]))
		statement.len--;
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_cql_session session = {.store = in->store, .protocol_version = 5};
	struct tm_cql_query_options options = {.timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .page_size = -1};
	struct tm_cql_result result;
	(void)!tm_cql_query(&session, statement, &options, NULL, &arena, &result, NULL); /* what is there already is fine */
	tm_arena_done(&arena);
}

/* A keyspace of the real store, made in ours by the words of DESCRIBE. */
static void learn(struct tm_outside_check *o, struct tm_tables *t, struct tm_str keyspace)
{
	struct tm_arena arena;
	struct tm_cql_result all;
	struct tm_cql_query_options options = {.timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .page_size = -1};
	tm_arena_init(&arena);
	struct tm_str text = tm_arena_printf(&arena, "DESCRIBE KEYSPACE \"%.*s\"", TM_STR_ARG(keyspace));
	if (t->klass->query(t, text, (struct tm_str){0}, &options, &arena, &all, NULL) == TM_OK)
		for (size_t i = 0; i < all.row_count && all.column_count >= 4; i++)
			run_there(o->in, all.values[i * all.column_count + 3].bytes);
	tm_arena_done(&arena);
}

static void check_table(struct tm_outside_check *o, struct tm_tables *t, const struct tm_table_def *theirs, struct tm_str *learnt)
{
	const struct tm_table_def *ours = tm_store_table(o->in->store, theirs->keyspace, theirs->name);
	struct tm_buf what = {0};
	if (!ours && !tm_str_eq(*learnt, theirs->keyspace)) {
		learn(o, t, theirs->keyspace);
		*learnt = theirs->keyspace;
	}
	if (ours && !same_columns(ours, theirs, &what)) {
		struct tm_err err;
		tm_fail(&err, TM_EXISTS, "table %.*s.%.*s is another one in %s", TM_STR_ARG(ours->keyspace), TM_STR_ARG(ours->name),
			t->address);
		tm_err_detail(&err, "%s", tm_buf_cstr(&what));
		tm_err_hint(&err,
			    "CREATE TABLE IF NOT EXISTS leaves it as it is: ALTER it there, drop it there, or change the file in tables/.");
		o->problem(o->ctx, &err, false);
	}
	tm_buf_done(&what);
	if (ours)
		tm_table_def_unref(o->in->store, ours);
}

/* All of them are looked at, not only those of the project's own files. */
static tm_rc use_all_keyspaces(struct tm_tables *t, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_cql_result r = {0};
	struct tm_cql_query_options options = {.timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN, .consistency = 1, .page_size = -1};
	tm_arena_init(&arena);
	tm_rc rc =
	    t->klass->query(t, TM_STR("SELECT keyspace_name FROM system_schema.keyspaces"), (struct tm_str){0}, &options, &arena, &r, err);
	for (size_t i = 0; rc == TM_OK && i < r.row_count; i++)
		if (!tm_str_starts(r.values[i * r.column_count].bytes, TM_STR("system")))
			t->klass->uses(t, r.values[i * r.column_count].bytes);
	tm_arena_done(&arena);
	return rc;
}

static void check_store(struct tm_outside_check *o)
{
	struct tm_tables *t;
	struct tm_err err;
	const struct tm_table_def **all;
	size_t n;
	struct tm_str learnt = {0};
	if (strcmp(o->in->config.store, "embedded") == 0)
		return;
	if (tm_tables_cassandra_open(tm_str_of(o->in->config.store), &t, &err) != TM_OK) {
		tm_err_prefix(&err, "store: ");
		o->problem(o->ctx, &err, false);
		return;
	}
	if (use_all_keyspaces(t, &err) == TM_OK && t->klass->list(t, &all, &n, &err) == TM_OK) {
		for (size_t i = 0; i < n; i++)
			check_table(o, t, all[i], &learnt);
		for (size_t i = 0; i < n; i++)
			t->klass->table_unref(t, all[i]);
		free(all);
	} else {
		tm_err_prefix(&err, "store: ");
		o->problem(o->ctx, &err, false);
	}
	tm_tables_free(t);
}

void tm_outside_check(struct tm_outside_check *o)
{
	check_broker(o);
	check_store(o);
}
