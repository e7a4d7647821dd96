/* Rows of outside tables. Counting makes the server read the whole table, so for pages it is done by a thread of its own, one table after
 * the other, each at most a fiftieth of the time. */
#include <stdlib.h>
#include "cassandra/tables_int.h"
#include "table/type.h"

enum { COUNT_TIMEOUT_MS = 600000, SHARE = 50 };

static bool stopping(void *ctx) { return __atomic_load_n(&((struct tm_outside *)ctx)->counter_stop, __ATOMIC_ACQUIRE); }

static tm_rc count_now(struct tm_outside *o, struct tm_str keyspace, struct tm_str name, int64_t *ret, struct tm_err *err)
{
	struct tm_buf text = {0};
	struct tm_arena arena;
	struct tm_err own = {0};
	tm_arena_init(&arena);
	tm_buf_cstr_put(&text, "SELECT count(*) FROM ");
	tm_type_name_text(keyspace, &text);
	tm_buf_char(&text, '.');
	tm_type_name_text(name, &text);
	struct tm_cass_call call = {.request = {.opcode = TM_CASS_QUERY, .text = tm_buf_str(&text)},
				    .arena = &arena,
				    .idempotent = true,
				    .timeout_ms = COUNT_TIMEOUT_MS,
				    .err = err ? err : &own};
	const struct tm_cass_waiter waiter = {.ctx = o, .stopping = stopping};
	tm_cass_options_init(&call.request.options);
	call.request.options.consistency = o->read_consistency;
	tm_cass_run(o->session, &call, 1, &waiter);
	tm_rc rc = call.rc;
	const struct tm_cql_result *r = &call.response.result;
	if (!rc && (r->row_count != 1 || r->column_count != 1 || r->values[0].bytes.len != 8))
		rc = tm_fail(err, TM_CORRUPT, "%s does not answer count(*) with a number", o->t.address);
	if (!rc) {
		struct tm_cursor c = tm_cursor_of(r->values[0].bytes);
		*ret = (int64_t)tm_cursor_be64(&c);
	}
	tm_arena_done(&arena);
	tm_buf_done(&text);
	return rc;
}

static struct tm_outside_count *wanted_locked(struct tm_outside *o)
{
	for (size_t i = 0; i < o->counts.count; i++)
		if (o->counts.items[i].wanted)
			return &o->counts.items[i];
	return NULL;
}

static void *counter(void *arg)
{
	struct tm_outside *o = arg;
	pthread_mutex_lock(&o->lock);
	while (!o->counter_stop) {
		struct tm_outside_count *c = wanted_locked(o);
		if (!c) {
			pthread_cond_wait(&o->counter_woken, &o->lock);
			continue;
		}
		uint8_t id[16];
		int64_t rows = 0, began = tm_mono_ns(tm_env_real());
		struct tm_str keyspace = c->keyspace, name = c->name; /* stay while the thread runs */
		memcpy(id, c->id, 16);
		pthread_mutex_unlock(&o->lock);
		tm_rc rc = count_now(o, keyspace, name, &rows, NULL);
		pthread_mutex_lock(&o->lock);
		for (size_t i = 0; i < o->counts.count; i++) {
			c = &o->counts.items[i];
			if (memcmp(c->id, id, 16) != 0)
				continue;
			c->wanted = false;
			c->rows = rc ? c->rows : rows;
			c->at_ns = tm_mono_ns(tm_env_real());
			c->took_ns = c->at_ns - began;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static struct tm_outside_count *entry_locked(struct tm_outside *o, const struct tm_table_def *def)
{
	for (size_t i = 0; i < o->counts.count; i++)
		if (memcmp(o->counts.items[i].id, def->id, 16) == 0)
			return &o->counts.items[i];
	struct tm_outside_count fresh = {.keyspace = tm_str_dup(def->keyspace), .name = tm_str_dup(def->name), .rows = -1};
	memcpy(fresh.id, def->id, 16);
	TM_PUSH(&o->counts, fresh);
	return &o->counts.items[o->counts.count - 1];
}

tm_rc tm_outside_count(struct tm_tables *t, const struct tm_table_def *def, int64_t max_age_ms, int64_t *ret, struct tm_err *err)
{
	struct tm_outside *o = (struct tm_outside *)t;
	if (max_age_ms <= 0)
		return count_now(o, def->keyspace, def->name, ret, err);
	pthread_mutex_lock(&o->lock);
	struct tm_outside_count *c = entry_locked(o, def);
	int64_t age = tm_mono_ns(tm_env_real()) - c->at_ns, most = max_age_ms * 1000000;
	most = c->took_ns * SHARE > most ? c->took_ns * SHARE : most;
	*ret = c->rows;
	if (!c->wanted && (!c->at_ns || age > most)) {
		c->wanted = true;
		if (!o->counter_on && !o->counter_stop)
			o->counter_on = tm_thread_start(&o->counter, "count", counter, o, NULL) == TM_OK;
		pthread_cond_signal(&o->counter_woken);
	}
	pthread_mutex_unlock(&o->lock);
	return TM_OK;
}

void tm_outside_counts_done(struct tm_outside *o)
{
	pthread_mutex_lock(&o->lock);
	__atomic_store_n(&o->counter_stop, true, __ATOMIC_RELEASE);
	pthread_cond_signal(&o->counter_woken);
	pthread_mutex_unlock(&o->lock);
	if (o->counter_on)
		pthread_join(o->counter, NULL);
	for (size_t i = 0; i < o->counts.count; i++) {
		free((void *)o->counts.items[i].keyspace.at);
		free((void *)o->counts.items[i].name.at);
	}
	free(o->counts.items);
}
