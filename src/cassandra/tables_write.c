/* Rows to a real Cassandra. Rows of one partition, and of a few partitions where one node keeps all, travel in one unlogged batch: under
 * the sizes at which Cassandra would warn. A batch that is refused is sent row by row, to find the row that is not liked. */
#include <stdlib.h>
#include "cassandra/tables_int.h"
#include "table/type.h"

enum {
	CHUNK_ROWS = 32768,
	BATCH_ROWS_MAX = 64,
	BATCH_PARTITIONS_MAX = 10, /* unlogged_batch_across_partitions_warn_threshold */
	BATCH_BYTES_MAX = 4096     /* batch_size_warn_threshold is 5 KiB */
};

struct writing {
	struct tm_outside *o;
	const struct tm_tables_write *w;
	struct tm_outside_insert *insert;
	struct tm_cass_waiter waiter;
	struct tm_cql_value ttl;
	char ttl_bytes[4];
	struct tm_arena arena; /* of a chunk */
	struct tm_cass_replication replication;
	bool one_node;
};

static void insert_text(const struct tm_tables_write *w, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "INSERT INTO ");
	tm_type_name_text(w->def->keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(w->def->name, out);
	for (size_t i = 0; i < w->column_count; i++) {
		tm_buf_cstr_put(out, i ? ", " : " (");
		tm_type_name_text(w->def->columns[w->columns[i]].name, out);
	}
	tm_buf_cstr_put(out, ") VALUES (");
	for (size_t i = 0; i < w->column_count; i++)
		tm_buf_cstr_put(out, i ? ", ?" : "?");
	tm_buf_cstr_put(out, w->ttl_s > 0 ? ") USING TTL ?" : ")");
}

static void insert_free(struct tm_outside_insert *i)
{
	tm_cass_statement_free(i->statement);
	free((void *)i->text.at);
	free(i);
}

static struct tm_outside_insert *insert_find_locked(struct tm_outside *o, struct tm_str text)
{
	for (size_t i = 0; i < o->inserts.count; i++) {
		struct tm_outside_insert *in = o->inserts.items[i];
		bool broken = tm_cass_statement_broken(in->statement);
		if (!broken && tm_str_eq(in->text, text))
			return in;
		if (broken && !in->users) {
			insert_free(in);
			o->inserts.items[i--] = o->inserts.items[--o->inserts.count];
		}
	}
	return NULL;
}

/* The prepared statement of these columns, made where it is not there. */
static tm_rc insert_take(struct writing *wr, struct tm_err *err)
{
	struct tm_outside *o = wr->o;
	struct tm_buf text = {0};
	insert_text(wr->w, &text);
	pthread_mutex_lock(&o->lock);
	struct tm_outside_insert *in = insert_find_locked(o, tm_buf_str(&text));
	if (in)
		in->users++;
	pthread_mutex_unlock(&o->lock);
	tm_rc rc = TM_OK;
	if (!in) {
		struct tm_cass_statement *statement;
		rc = tm_cass_prepare(o->session, tm_buf_str(&text), &wr->waiter, &statement, err);
		if (!rc) {
			in = tm_zalloc(sizeof *in);
			*in = (struct tm_outside_insert){tm_str_dup(tm_buf_str(&text)), statement, 1};
			pthread_mutex_lock(&o->lock);
			TM_PUSH(&o->inserts, in);
			pthread_mutex_unlock(&o->lock);
		}
	}
	tm_buf_done(&text);
	wr->insert = in;
	return rc;
}

static void insert_release(struct writing *wr)
{
	if (!wr->insert)
		return;
	pthread_mutex_lock(&wr->o->lock);
	wr->insert->users--;
	pthread_mutex_unlock(&wr->o->lock);
}

void tm_outside_inserts_done(struct tm_outside *o)
{
	for (size_t i = 0; i < o->inserts.count; i++)
		insert_free(o->inserts.items[i]);
	free(o->inserts.items);
}

/* ---- calls ---- */

static size_t row_bytes(const struct tm_tables_write *w, const struct tm_tables_row *row)
{
	size_t n = 32;
	for (size_t i = 0; i < w->column_count; i++)
		n += 8 + row->values[i].bytes.len;
	return n;
}

/* How many rows from first on go together. */
static size_t group_rows(const struct writing *wr, size_t first, size_t end)
{
	const struct tm_tables_row *rows = wr->w->rows;
	size_t n = 1, partitions = 1, bytes = row_bytes(wr->w, &rows[first]);
	for (; first + n < end && n < BATCH_ROWS_MAX; n++) {
		const struct tm_tables_row *row = &rows[first + n];
		if (row->token != rows[first + n - 1].token && (!wr->one_node || ++partitions > BATCH_PARTITIONS_MAX))
			break;
		bytes += row_bytes(wr->w, row);
		if (bytes > BATCH_BYTES_MAX)
			break;
	}
	return n;
}

static const struct tm_cql_value *row_values(struct writing *wr, const struct tm_tables_row *row, size_t *ret_n)
{
	*ret_n = wr->w->column_count;
	if (wr->w->ttl_s <= 0)
		return row->values;
	struct tm_cql_value *values = TM_NEW_N(&wr->arena, struct tm_cql_value, *ret_n + 1);
	memcpy(values, row->values, *ret_n * sizeof *values);
	values[(*ret_n)++] = wr->ttl;
	return values;
}

static void fill_call(struct writing *wr, struct tm_cass_call *call, size_t first, size_t n)
{
	*call = (struct tm_cass_call){.statement = wr->insert->statement,
				      .routed = true,
				      .token = wr->w->rows[first].token,
				      .replication = wr->replication,
				      .idempotent = true,
				      .patient = true,
				      .steps = true};
	struct tm_cass_request *r = &call->request;
	tm_cass_options_init(&r->options);
	r->options.consistency = wr->o->consistency;
	r->options.timestamp_us = wr->w->timestamp_us;
	if (n == 1) {
		r->opcode = TM_CASS_EXECUTE;
		r->options.values = row_values(wr, &wr->w->rows[first], &r->options.value_count);
		return;
	}
	r->opcode = TM_CASS_BATCH;
	r->batch_type = 1;
	r->item_count = n;
	r->items = TM_NEW_N(&wr->arena, struct tm_cass_batch_item, n);
	for (size_t i = 0; i < n; i++) {
		r->items[i] = (struct tm_cass_batch_item){.prepared = true};
		r->items[i].values = row_values(wr, &wr->w->rows[first + i], &r->items[i].value_count);
	}
}

static bool row_refusal(const struct tm_cass_call *call)
{
	return call->rc == TM_INVALID || call->rc == TM_DATA || call->rc == TM_SYNTAX || call->code == TM_CASS_E_WRITE_FAILURE;
}

/* Rows of a refused batch, one by one. */
static tm_rc one_by_one(struct writing *wr, size_t first, size_t n, struct tm_err *err)
{
	for (size_t i = first; i < first + n; i++) {
		struct tm_cass_call call;
		struct tm_err why = {0};
		fill_call(wr, &call, i, 1);
		call.request.options.timestamp_us += TM_CASS_STEPS + 1; /* the refused batch may have written some */
		call.err = &why;
		tm_cass_run(wr->o->session, &call, 1, &wr->waiter);
		if (!call.rc)
			continue;
		if (!row_refusal(&call) || tm_cass_statement_broken(wr->insert->statement)) {
			if (err)
				*err = why;
			return call.rc;
		}
		wr->w->refused(wr->w->ctx, i, why.what);
	}
	return TM_OK;
}

static tm_rc write_chunk(struct writing *wr, size_t first, size_t end, struct tm_err *err)
{
	struct {
		struct tm_cass_call *items;
		size_t count, cap;
	} calls = {0};
	struct {
		size_t *items;
		size_t count, cap;
	} starts = {0};
	tm_rc rc = TM_OK;
	tm_arena_reset(&wr->arena);
	for (size_t at = first; at < end;) {
		size_t n = group_rows(wr, at, end);
		struct tm_cass_call call;
		fill_call(wr, &call, at, n);
		TM_PUSH(&calls, call);
		TM_PUSH(&starts, at);
		at += n;
	}
	TM_PUSH(&starts, end);
	tm_cass_run(wr->o->session, calls.items, calls.count, &wr->waiter);
	for (size_t i = 0; i < calls.count && !rc; i++) {
		const struct tm_cass_call *call = &calls.items[i];
		if (!call->rc)
			continue;
		if (call->rc == TM_CANCELLED)
			rc = tm_fail(err, TM_CANCELLED, "stopped while rows were being written to %s", wr->o->t.address);
		else /* what it is comes out with each row, and its words with it */
			rc = one_by_one(wr, starts.items[i], starts.items[i + 1] - starts.items[i], err);
	}
	free(calls.items);
	free(starts.items);
	return rc;
}

tm_rc tm_outside_write(struct tm_tables *t, const struct tm_tables_write *w, struct tm_err *err)
{
	struct tm_cass_session_state state;
	struct writing wr = {.o = (struct tm_outside *)t,
			     .w = w,
			     .waiter = tm_outside_waiter(&w->caller),
			     .replication = ((const struct tm_outside_def *)w->def)->replication};
	if (!w->row_count)
		return TM_OK;
	uint32_t ttl = __builtin_bswap32((uint32_t)w->ttl_s);
	memcpy(wr.ttl_bytes, &ttl, 4);
	wr.ttl.bytes = tm_str_n(wr.ttl_bytes, 4);
	tm_cass_session_state(wr.o->session, &state);
	wr.one_node = state.nodes == 1;
	tm_arena_init(&wr.arena);
	tm_rc rc = insert_take(&wr, err);
	for (size_t at = 0; at < w->row_count && !rc; at += CHUNK_ROWS)
		rc = write_chunk(&wr, at, at + CHUNK_ROWS < w->row_count ? at + CHUNK_ROWS : w->row_count, err);
	insert_release(&wr);
	tm_arena_done(&wr.arena);
	return rc;
}
