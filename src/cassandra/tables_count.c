/* Rows of outside tables. Counting makes the server read the whole table: range by range of tokens, halved where one takes it too long.
 * For pages it is done by a thread of its own, one table after the other, each at most a fiftieth of the time. */
#include <stdlib.h>
#include "cassandra/tables_int.h"
#include "table/type.h"

enum { COUNT_TIMEOUT_MS = 60000, SHARE = 50, RANGES = 16, AT_ONCE = 4, DEPTH_MAX = 14, PAGE_ROWS = 5000 };

static bool stopping(void *ctx) { return __atomic_load_n(&((struct tm_outside *)ctx)->counter_stop, __ATOMIC_ACQUIRE); }

struct range {
	int64_t after, to; /* tokens */
	int depth;
};
struct counting {
	struct tm_outside *o;
	struct tm_str text; /* with two markers: the range's tokens */
	struct {
		struct range *items;
		size_t count, cap;
	} ranges;
	int64_t rows;
};

static void count_text(const struct tm_table_def *def, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "SELECT count(*) FROM ");
	tm_type_name_text(def->keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(def->name, out);
	for (int side = 0; side < 2; side++) {
		tm_buf_cstr_put(out, side ? " AND token(" : " WHERE token(");
		for (size_t i = 0; i < def->partition_key_count; i++) {
			tm_buf_cstr_put(out, i ? ", " : "");
			tm_type_name_text(def->columns[i].name, out);
		}
		tm_buf_cstr_put(out, side ? ") <= ?" : ") > ?");
	}
}

/* The server gave up in the middle: two halves of it may do. */
static bool too_much(const struct tm_cass_call *call, const struct range *r)
{
	bool slow = call->code == TM_CASS_E_READ_TIMEOUT || call->code == TM_CASS_E_READ_FAILURE || call->rc == TM_TIMEOUT;
	return slow && r->depth < DEPTH_MAX && r->to - 1 > r->after;
}

static struct tm_str token_bytes(struct tm_arena *arena, int64_t token)
{
	uint64_t big = __builtin_bswap64((uint64_t)token);
	return tm_arena_str(arena, tm_str_n((const char *)&big, 8));
}

/* A few ranges at once. */
static tm_rc count_some(struct counting *c, struct tm_arena *arena, struct tm_err *err)
{
	struct tm_cass_call calls[AT_ONCE] = {0};
	struct range ranges[AT_ONCE];
	struct tm_err own = {0};
	const struct tm_cass_waiter waiter = {.ctx = c->o, .stopping = stopping};
	size_t n = 0;
	for (; n < AT_ONCE && c->ranges.count; n++) {
		struct tm_cql_value *values = TM_NEW_N(arena, struct tm_cql_value, 2);
		ranges[n] = c->ranges.items[--c->ranges.count];
		values[0] = (struct tm_cql_value){.bytes = token_bytes(arena, ranges[n].after)};
		values[1] = (struct tm_cql_value){.bytes = token_bytes(arena, ranges[n].to)};
		calls[n] = (struct tm_cass_call){
		    .request = {.opcode = TM_CASS_QUERY, .text = c->text}, .arena = arena, .timeout_ms = COUNT_TIMEOUT_MS, .err = &own};
		struct tm_cql_query_options *o = &calls[n].request.options;
		tm_cass_options_init(o);
		o->consistency = c->o->read_consistency;
		o->page_size = PAGE_ROWS; /* that the server takes at a time */
		o->values = values;
		o->value_count = 2;
	}
	tm_cass_run(c->o->session, calls, n, &waiter);
	for (size_t i = 0; i < n; i++) {
		const struct tm_cql_result *r = &calls[i].response.result;
		if (calls[i].rc && too_much(&calls[i], &ranges[i])) {
			int64_t middle = ranges[i].after + (ranges[i].to - ranges[i].after) / 2;
			TM_PUSH(&c->ranges, (struct range){ranges[i].after, middle, ranges[i].depth + 1});
			TM_PUSH(&c->ranges, (struct range){middle, ranges[i].to, ranges[i].depth + 1});
		} else if (calls[i].rc) {
			if (err)
				*err = own;
			return calls[i].rc;
		} else if (r->row_count != 1 || r->column_count != 1 || r->values[0].bytes.len != 8) {
			return tm_fail(err, TM_CORRUPT, "%s does not answer count(*) with a number", c->o->t.address);
		} else {
			struct tm_cursor cursor = tm_cursor_of(r->values[0].bytes);
			c->rows += (int64_t)tm_cursor_be64(&cursor);
		}
	}
	return TM_OK;
}

static tm_rc count_now(struct tm_outside *o, const struct tm_table_def *def, int64_t *ret, struct tm_err *err)
{
	struct tm_buf text = {0};
	struct tm_arena arena;
	struct counting c = {.o = o};
	count_text(def, &text);
	c.text = tm_buf_str(&text);
	tm_arena_init(&arena);
	for (uint64_t i = RANGES; i-- > 0;) { /* no token is the smallest number */
		const uint64_t step = UINT64_MAX / RANGES + 1, first = (uint64_t)INT64_MIN;
		int64_t after = (int64_t)(first + i * step), to = i == RANGES - 1 ? INT64_MAX : (int64_t)(first + (i + 1) * step);
		TM_PUSH(&c.ranges, (struct range){after, to, 0});
	}
	tm_rc rc = TM_OK;
	while (!rc && c.ranges.count) {
		tm_arena_reset(&arena);
		rc = count_some(&c, &arena, err);
	}
	if (!rc)
		*ret = c.rows;
	free(c.ranges.items);
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
		const struct tm_table_def *def;
		tm_rc rc = tm_outside_table(&o->t, keyspace, name, &def, NULL);
		if (!rc) {
			rc = count_now(o, def, &rows, NULL);
			tm_outside_unref(&o->t, def);
		}
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
		return count_now(o, def, ret, err);
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
