/* One request, one answer. Reads and refusals are answered at once; a write's answer is held until its commit. */
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/server_int.h"

static struct tm_metric requests = TM_COUNTER("tidemill_cql_requests_total", "Requests read by the CQL door.");
static struct tm_metric errors = TM_COUNTER("tidemill_cql_errors_total", "Requests that the CQL door answered with an error.");

struct answering {
	struct tm_cass_conn *conn;
	const struct tm_cass_envelope *envelope;
	struct tm_cass_request request;
	uint8_t *tracing_id; /* NULL = not asked for */
	uint8_t tracing_bytes[16];
	int64_t started_us;
};

static void answer_put(struct answering *a, uint8_t flags, uint8_t opcode, struct tm_str body)
{
	tm_cass_writer_put(&a->conn->writer, flags, a->envelope->stream, opcode, body);
}

/* ---- errors ---- */

/* The table and keyspace of "exists already" errors stand quoted in Cassandra's texts; drivers want them as fields. */
static void exists_fields(struct tm_str what, struct tm_cass_error *e)
{
	struct tm_str quoted[2] = {{0}, {0}};
	size_t n = 0, at = 0;
	while (n < 2) {
		size_t open = tm_str_find(what, TM_STR("\""), at);
		size_t close = open == SIZE_MAX ? SIZE_MAX : tm_str_find(what, TM_STR("\""), open + 1);
		if (close == SIZE_MAX)
			break;
		quoted[n++] = tm_str_slice(what, open + 1, close);
		at = close + 1;
	}
	e->keyspace = n == 2 ? quoted[1] : quoted[0];
	e->name = n == 2 ? quoted[0] : (struct tm_str){0};
}

void tm_cass_fail_write(struct tm_buf *out, int version, const struct tm_err *err, const struct tm_cass_request *request)
{
	struct tm_cass_error e = {.code = err->code ? err->code : tm_rc_cql(err->rc), .message = tm_str_of(err->what)};
	if (tm_str_is(e.message, "Invalid value for the paging state"))
		e.code = TM_CASS_E_PROTOCOL; /* a matter of the protocol, of which the language knows nothing */
	e.consistency = request ? request->options.consistency : 1;
	if (e.code == TM_CASS_E_UNAVAILABLE) {
		e.required = e.alive = 1;
		sscanf(err->detail, "required %d alive %d", &e.required, &e.alive);
	}
	if (e.code == TM_CASS_E_WRITE_TIMEOUT || e.code == TM_CASS_E_WRITE_FAILURE)
		e.write_type = TM_STR("SIMPLE");
	if (e.code == TM_CASS_E_EXISTS)
		exists_fields(e.message, &e);
	if (e.code == TM_CASS_E_UNPREPARED && request)
		e.id = request->id;
	tm_cass_error_write(out, version, &e);
	tm_metric_add(&errors, 1);
}

uint8_t tm_cass_prefix_write(struct tm_buf *out, int version, const uint8_t *tracing_id, const struct tm_cql_result *r)
{
	uint8_t flags = 0;
	if (tracing_id) {
		tm_buf_put(out, tracing_id, 16);
		flags |= TM_CASS_FLAG_TRACING;
	}
	if (r && r->warning_count > 0 && version >= 4) {
		tm_buf_be16(out, (uint16_t)r->warning_count);
		for (size_t i = 0; i < r->warning_count; i++)
			tm_cass_put_string(out, r->warnings[i]);
		flags |= TM_CASS_FLAG_WARNING;
	}
	return flags;
}

void tm_cass_error_answer(struct tm_cass_conn *conn, int16_t stream, const struct tm_err *err, const struct tm_cass_request *request,
			  const uint8_t *tracing_id)
{
	struct tm_buf body = {0};
	uint8_t flags = tm_cass_prefix_write(&body, conn->version, tracing_id, NULL);
	tm_cass_fail_write(&body, conn->version, err, request);
	tm_cass_writer_put(&conn->writer, flags, stream, TM_CASS_ERROR, tm_buf_str(&body));
	tm_buf_done(&body);
}

static void fail_answer(struct answering *a, const struct tm_err *err)
{
	tm_cass_error_answer(a->conn, a->envelope->stream, err, &a->request, a->tracing_id);
}

static void refuse(struct answering *a, int code, const char *fmt, ...) TM_PRINTF(3, 4);
static void refuse(struct answering *a, int code, const char *fmt, ...)
{
	struct tm_err err = {.rc = code ? TM_INVALID : TM_INTERNAL, .code = code};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err.what, sizeof err.what, fmt, ap);
	va_end(ap);
	fail_answer(a, &err);
}

static void unprepared(struct answering *a, struct tm_str id)
{
	struct tm_buf hex = {0};
	for (size_t i = 0; i < id.len && i < 64; i++)
		tm_buf_printf(&hex, "%02x", (uint8_t)id.at[i]);
	a->request.id = id;
	refuse(a, TM_CASS_E_UNPREPARED,
	       "Prepared query with ID %s not found (either the query was not prepared on this host (maybe the host has been restarted?) "
	       "or you have prepared too many queries and it has "
	       "been evicted from the internal cache)",
	       hex.len ? tm_buf_cstr(&hex) : "");
	tm_buf_done(&hex);
}

void tm_cass_answer_fault(struct tm_cass_conn *conn, const struct tm_cass_fault *fault)
{
	struct tm_cass_writer plain = {.response = true, .version = fault->version >= 6 ? 5 : fault->version, .beta = fault->version == 6};
	struct tm_buf body = {0};
	if (!fault->silent) {
		struct tm_cass_error e = {.code = fault->code, .message = tm_str_of(fault->text)};
		tm_cass_error_write(&body, conn->started ? conn->version : plain.version, &e);
		if (conn->started) {
			tm_cass_writer_put(&conn->writer, 0, fault->stream, TM_CASS_ERROR, tm_buf_str(&body));
		} else {
			tm_cass_writer_put(&plain, 0, fault->stream, TM_CASS_ERROR, tm_buf_str(&body));
			tm_buf_str_put(&conn->writer.envelopes, tm_buf_str(&plain.envelopes));
			tm_cass_writer_done(&plain);
		}
		tm_buf_done(&body);
		tm_metric_add(&errors, 1);
	}
	if (fault->close)
		tm_cass_conn_end(conn);
}

/* ---- tracing ---- */
static void trace_begin(struct answering *a)
{
	struct tm_cassandra_server *s = a->conn->server;
	int64_t ticks = (a->started_us + INT64_C(12219292800000000)) * 10; /* 100 ns since 1582 */
	uint8_t *id = a->tracing_bytes;
	tm_random(s->env, id, 16);
	uint32_t low = (uint32_t)ticks;
	uint16_t mid = (uint16_t)(ticks >> 32), high = (uint16_t)((ticks >> 48 & 0x0FFF) | 0x1000);
	low = __builtin_bswap32(low);
	mid = __builtin_bswap16(mid);
	high = __builtin_bswap16(high);
	memcpy(id, &low, 4);
	memcpy(id + 4, &mid, 2);
	memcpy(id + 6, &high, 2);
	id[8] = (uint8_t)((id[8] & 0x3F) | 0x80);
	a->tracing_id = id;
}

static void trace_end(struct answering *a)
{
	struct tm_cassandra_server *s = a->conn->server;
	struct tm_cass_trace t = {.started_us = a->started_us,
				  .duration_us = tm_now_us(s->env) - a->started_us,
				  .request = tm_cass_opcode_name(a->envelope->opcode)};
	memcpy(t.id, a->tracing_id, 16);
	snprintf(t.client, sizeof t.client, "%s", a->conn->peer);
	snprintf(t.text, sizeof t.text, "%.*s", (int)(a->request.text.len < 399 ? a->request.text.len : 399),
		 a->request.text.at ? a->request.text.at : "");
	pthread_mutex_lock(&s->lock);
	s->traces[s->trace_count++ % TM_CASS_TRACES] = t;
	pthread_mutex_unlock(&s->lock);
}

/* ---- handshake ---- */
static void supported(struct answering *a)
{
	struct tm_buf *body = &a->conn->server->body;
	body->len = 0;
	tm_cass_supported_write(body);
	answer_put(a, 0, TM_CASS_SUPPORTED, tm_buf_str(body));
}

static bool version_ok(struct tm_str s)
{
	struct tm_str major, minor;
	int64_t n;
	return tm_str_split(&s, '.', &major) && tm_str_split(&s, '.', &minor) && tm_str_to_i64(major, &n) && tm_str_to_i64(minor, &n);
}

static void name_keep(char *to, size_t size, struct tm_str from)
{
	snprintf(to, size, "%.*s", (int)(from.len < size ? from.len : size - 1), from.at);
}

static void startup(struct answering *a)
{
	struct tm_cass_conn *c = a->conn;
	struct tm_str cql = {0}, compression = {0};
	for (size_t i = 0; i < a->request.startup_count; i++) {
		struct tm_cass_option *o = &a->request.startup[i];
		if (tm_str_iis(o->key, "CQL_VERSION"))
			cql = o->value;
		else if (tm_str_iis(o->key, "COMPRESSION"))
			compression = o->value;
		else if (tm_str_iis(o->key, "DRIVER_NAME"))
			name_keep(c->driver_name, sizeof c->driver_name, o->value);
		else if (tm_str_iis(o->key, "DRIVER_VERSION"))
			name_keep(c->driver_version, sizeof c->driver_version, o->value);
	}
	if (!cql.at) {
		refuse(a, TM_CASS_E_PROTOCOL, "Missing value CQL_VERSION in STARTUP message");
		return;
	}
	if (!version_ok(cql)) {
		refuse(a, TM_CASS_E_PROTOCOL, "Invalid version value: %.*s", (int)(cql.len < 100 ? cql.len : 100), cql.at);
		return;
	}
	enum tm_cass_compression chosen = tm_str_iis(compression, "lz4")      ? TM_CASS_LZ4
					  : tm_str_iis(compression, "snappy") ? TM_CASS_SNAPPY
									      : TM_CASS_PLAIN;
	if (compression.len && (chosen == TM_CASS_PLAIN || (chosen == TM_CASS_SNAPPY && a->envelope->version >= 5))) {
		refuse(a, TM_CASS_E_PROTOCOL, "Unknown compression algorithm: %.*s", (int)(compression.len < 100 ? compression.len : 100),
		       compression.at);
		return;
	}
	c->started = true;
	c->reader.version = a->envelope->beta ? 6 : a->envelope->version;
	if (c->version < 5)
		c->writer.compression = chosen; /* v3, v4: already this answer */
	answer_put(a, 0, TM_CASS_READY, (struct tm_str){0});
	c->reader.compression = chosen;
	if (c->version >= 5) { /* what follows travels in segments */
		tm_cass_conn_flush(c);
		c->writer.compression = chosen;
		c->writer.segmented = c->reader.segmented = true;
	}
}

static void registered(struct answering *a)
{
	for (size_t i = 0; i < a->request.event_count; i++)
		if (tm_str_is(a->request.events[i], "SCHEMA_CHANGE"))
			a->conn->registered = true;
	answer_put(a, 0, TM_CASS_READY, (struct tm_str){0});
}

/* ---- results ---- */
static void keyspace_set(struct tm_cass_conn *c, struct tm_str keyspace)
{
	free((void *)c->keyspace.at);
	c->keyspace = tm_str_dup(keyspace);
}

/* held: the result's write is not durable yet. */
static void result_answer(struct answering *a, const struct tm_cql_result *r, const struct tm_cass_rows_options *options, bool held)
{
	struct tm_cass_conn *c = a->conn;
	struct tm_buf *body = &c->server->body;
	if (r->kind == TM_CQL_SCHEMA_CHANGE) {
		tm_cass_events_push(c->server, r->change, r->target, r->keyspace, r->name);
		tm_cass_events_told(c->server);
	}
	if (r->kind == TM_CQL_SET_KEYSPACE)
		keyspace_set(c, r->keyspace);
	body->len = 0;
	uint8_t flags = tm_cass_prefix_write(body, c->version, a->tracing_id, r);
	bool conditional = r->column_count > 0 && tm_str_is(r->columns[0].name, "[applied]"); /* its columns depend on the outcome */
	tm_cass_result_write(body, c->version, r, conditional ? NULL : options);
	if (body->len > TM_LIMIT_CQL_FRAME_BYTES) {
		refuse(a, TM_CASS_E_INVALID, "The result's %zu bytes are more than one message may hold; ask for pages", body->len);
		return;
	}
	if (held)
		tm_cass_commit_hold(c, flags, a->envelope->stream, tm_buf_str(body));
	else
		answer_put(a, flags, TM_CASS_RESULT, tm_buf_str(body));
}

static struct tm_cql_session session_of(struct answering *a)
{
	struct tm_cass_conn *c = a->conn;
	return (struct tm_cql_session){.store = c->server->store, .keyspace = c->keyspace, .protocol_version = c->version};
}

/* Around a statement: what became of the collecting batch says whether its answer must wait, and whether the statement
 * committed the answers that were waiting before it. */
struct executing {
	struct tm_table_batch *batch;
	size_t before;
};
static struct executing execute_begin(struct answering *a, bool settles)
{
	struct tm_cassandra_server *s = a->conn->server;
	if (settles) {
		tm_cass_commit_settle(s);
		tm_cass_events_look(s);
	}
	struct executing x = {.batch = tm_cass_commit_batch(s)};
	x.before = tm_table_batch_bytes(x.batch);
	return x;
}
static void execute_end(struct answering *a, struct executing *x, tm_rc rc, const struct tm_err *err, const struct tm_cql_result *r,
			const struct tm_cass_rows_options *options)
{
	size_t after = tm_table_batch_bytes(x->batch);
	if (after < x->before)
		tm_cass_commit_taken(a->conn->server, rc, err);
	if (rc != TM_OK)
		fail_answer(a, err);
	else
		result_answer(a, r, options, after > x->before);
}

static void scan(struct answering *a, struct tm_str text, struct tm_str keyspace, const struct tm_cass_rows_options *rows)
{
	if (!tm_cass_scan_start(a->conn, a->envelope, text, keyspace, rows, a->tracing_id))
		refuse(a, TM_CASS_E_OVERLOADED, "Too many long reads at once; try again later");
}

static void query(struct answering *a)
{
	struct tm_cassandra_server *s = a->conn->server;
	if (tm_cass_text_scans(a->request.text)) {
		scan(a, a->request.text, a->conn->keyspace, &(struct tm_cass_rows_options){.no_metadata = a->request.skip_metadata});
		return;
	}
	struct tm_cql_session session = session_of(a);
	struct tm_cql_result result = {0};
	struct tm_err err = {0};
	struct executing x = execute_begin(a, tm_cass_text_settles(a->request.text));
	tm_rc rc = tm_cql_query(&session, a->request.text, &a->request.options, x.batch, &s->arena, &result, &err);
	struct tm_cass_rows_options rows = {.no_metadata = a->request.skip_metadata};
	execute_end(a, &x, rc, &err, &result, &rows);
}

/* Does the statement name its table without a keyspace? By the word after FROM, INTO or UPDATE; USE always does. */
static bool unqualified(struct tm_str text)
{
	struct tm_str word;
	bool named = false, first = true;
	while (tm_str_split(&text, ' ', &word)) {
		if (named && word.len)
			return tm_str_find(word, TM_STR("."), 0) == SIZE_MAX;
		if (first && tm_str_iis(word, "USE"))
			return true;
		named = named || tm_str_iis(word, "FROM") || tm_str_iis(word, "INTO") || (first && tm_str_iis(word, "UPDATE"));
		first = first && word.len == 0;
	}
	return false;
}

static void unqualified_warning(struct answering *a, const struct tm_cass_prepared *p, struct tm_cql_result *to)
{
	struct tm_arena *arena = &a->conn->server->arena;
	struct tm_str used = a->conn->keyspace.len ? a->conn->keyspace : p->keyspace, none = TM_STR("null");
	struct tm_buf hex = {0};
	for (size_t i = 0; i < 16; i++)
		tm_buf_printf(&hex, "%02x", p->id[i]);
	used = used.len ? used : none;
	struct tm_str statement = p->keyspace.len ? p->keyspace : none;
	to->warnings = TM_NEW(arena, struct tm_str);
	to->warning_count = 1;
	*to->warnings = tm_arena_printf(
	    arena,
	    "`USE <keyspace>` with prepared statements is considered to be an anti-pattern due to ambiguity in non-qualified table names. "
	    "Please consider removing instances "
	    "of `Session#setKeyspace(<keyspace>)`, `Session#execute(\"USE <keyspace>\")` and `cluster.newSession(<keyspace>)` from your "
	    "code, and always use fully "
	    "qualified table names (e.g. <keyspace>.<table>). Keyspace used: %.*s, statement keyspace: %.*s, statement id: %s",
	    TM_STR_ARG(used), TM_STR_ARG(statement), tm_buf_cstr(&hex));
	tm_buf_done(&hex);
}

static void prepare(struct answering *a)
{
	struct tm_cass_conn *c = a->conn;
	struct tm_cql_session session = session_of(a);
	struct tm_cql_prepared *statement;
	struct tm_err err = {0};
	if (a->request.keyspace.len)
		session.keyspace = a->request.keyspace;
	if (tm_cql_prepare(&session, a->request.text, &statement, &err) != TM_OK) {
		fail_answer(a, &err);
		return;
	}
	struct tm_cass_prepared *p = tm_cass_prepared_add(&c->server->prepared, statement, a->request.text, session.keyspace);
	struct tm_cql_result nudge = {0};
	if (unqualified(a->request.text))
		unqualified_warning(a, p, &nudge);
	struct tm_cql_prepared_info info;
	tm_cql_prepared_describe(p->statement, &info);
	info.result_metadata_id = p->result_metadata_id;
	struct tm_buf *body = &c->server->body;
	body->len = 0;
	uint8_t flags = tm_cass_prefix_write(body, c->version, a->tracing_id, &nudge);
	tm_cass_prepared_write(body, c->version, p->id, &info);
	answer_put(a, flags, TM_CASS_RESULT, tm_buf_str(body));
}

/* NULL, and the answer is given, when a client must prepare again. */
static struct tm_cass_prepared *prepared_of(struct answering *a, struct tm_str id, struct tm_cql_prepared_info *ret_info)
{
	struct tm_cass_prepared_cache *cache = &a->conn->server->prepared;
	struct tm_cass_prepared *p = tm_cass_prepared_find(cache, id);
	if (p) {
		tm_cql_prepared_describe(p->statement, ret_info);
		ret_info->result_metadata_id = p->result_metadata_id;
		if (!ret_info->stale)
			return p;
		tm_cass_prepared_drop(cache, p);
	}
	unprepared(a, id);
	return NULL;
}

static void execute(struct answering *a)
{
	struct tm_cassandra_server *s = a->conn->server;
	struct tm_cass_request *r = &a->request;
	struct tm_cql_prepared_info info;
	struct tm_cass_prepared *p = prepared_of(a, r->id, &info);
	if (!p)
		return;
	if (!r->options.names && r->options.value_count < info.marker_count) {
		refuse(a, TM_CASS_E_INVALID, "there were %zu markers(?) in CQL but %zu bound variables", info.marker_count,
		       r->options.value_count);
		return;
	}
	struct tm_cass_rows_options rows = {0};
	if (info.column_count > 0) { /* not of a conditional statement, whose columns depend on its outcome */
		bool changed =
		    a->conn->version >= 5 && !tm_str_eq(r->result_metadata_id, tm_str_n((const char *)info.result_metadata_id, 16));
		rows.changed_metadata_id = changed ? info.result_metadata_id : NULL;
		rows.no_metadata = r->skip_metadata && !changed;
	}
	__atomic_add_fetch(&s->prepared.executed, 1, __ATOMIC_RELAXED);
	if (p->scans) {
		scan(a, p->text, p->keyspace, &rows);
		return;
	}
	struct tm_cql_session session = session_of(a);
	struct tm_cql_result result = {0};
	struct tm_err err = {0};
	struct executing x = execute_begin(a, p->settles);
	tm_rc rc = tm_cql_execute(&session, p->statement, &r->options, x.batch, &s->arena, &result, &err);
	execute_end(a, &x, rc, &err, &result, &rows);
}

static void batch(struct answering *a)
{
	struct tm_cassandra_server *s = a->conn->server;
	struct tm_cass_request *r = &a->request;
	struct tm_cql_session session = session_of(a);
	struct tm_cql_batch_part *parts = TM_NEW_N(&s->arena, struct tm_cql_batch_part, r->item_count + 1);
	struct tm_cql_prepared **own = TM_NEW_N(&s->arena, struct tm_cql_prepared *, r->item_count + 1);
	struct tm_err err = {0};
	size_t i = 0;
	if (r->options.keyspace.len)
		session.keyspace = r->options.keyspace;
	for (; i < r->item_count; i++) {
		struct tm_cass_batch_item *item = &r->items[i];
		struct tm_cql_prepared_info info;
		if (item->prepared) {
			struct tm_cass_prepared *p = prepared_of(a, item->text_or_id, &info);
			if (!p)
				break;
			parts[i].prepared = p->statement;
		} else {
			if (tm_cql_prepare(&session, item->text_or_id, &own[i], &err) != TM_OK) {
				fail_answer(a, &err);
				break;
			}
			tm_cql_prepared_describe(own[i], &info);
			parts[i].prepared = own[i];
		}
		if (info.marker_count != item->value_count) {
			refuse(a, TM_CASS_E_INVALID, "There were %zu markers(?) in CQL but %zu bound variables", info.marker_count,
			       item->value_count);
			break;
		}
		parts[i].options = r->options;
		parts[i].options.values = item->values;
		parts[i].options.value_count = item->value_count;
		parts[i].options.names = NULL;
	}
	if (i == r->item_count) {
		struct tm_cql_result result = {0};
		struct executing x = execute_begin(a, false);
		tm_rc rc = tm_cql_batch(&session, r->batch_type, parts, r->item_count, &r->options, x.batch, &s->arena, &result, &err);
		execute_end(a, &x, rc, &err, &result, NULL);
	}
	for (size_t k = 0; k < r->item_count; k++)
		if (own[k])
			tm_cql_prepared_unref(own[k]);
}

static void dispatch(struct answering *a)
{
	switch (a->request.opcode) {
	case TM_CASS_OPTIONS:
		supported(a);
		break;
	case TM_CASS_QUERY:
		query(a);
		break;
	case TM_CASS_PREPARE:
		prepare(a);
		break;
	case TM_CASS_EXECUTE:
		execute(a);
		break;
	case TM_CASS_BATCH:
		batch(a);
		break;
	case TM_CASS_REGISTER:
		registered(a);
		break;
	case TM_CASS_AUTH_RESPONSE: { /* nobody asked; any answer will do */
		static const char null_token[4] = {-1, -1, -1, -1};
		answer_put(a, 0, TM_CASS_AUTH_SUCCESS, tm_str_n(null_token, 4));
		break;
	}
	default:
		refuse(a, TM_CASS_E_PROTOCOL, "Unsupported message");
		break;
	}
}

void tm_cass_answer(struct tm_cass_conn *c, const struct tm_cass_envelope *e)
{
	struct tm_cassandra_server *s = c->server;
	struct answering a = {.conn = c, .envelope = e};
	struct tm_err err = {0};
	tm_metric_add(&requests, 1);
	c->request_count++;
	if (!c->started) { /* each message in its own version until one is agreed */
		c->version = c->writer.version = e->version;
		c->writer.beta = e->beta;
	}
	tm_arena_reset(&s->arena);
	tm_rc rc = tm_cass_request_read(e, &s->arena, &a.request, &err);
	if (!c->started && e->opcode != TM_CASS_STARTUP && e->opcode != TM_CASS_OPTIONS) {
		refuse(&a, TM_CASS_E_PROTOCOL, "Unexpected message %s, expecting STARTUP or OPTIONS", tm_cass_opcode_name(e->opcode));
		tm_cass_conn_end(c);
		return;
	}
	if (c->started && e->opcode == TM_CASS_STARTUP) {
		refuse(&a, TM_CASS_E_PROTOCOL, "Unexpected message STARTUP, the connection is already initialized");
		return;
	}
	if (rc != TM_OK) {
		if (e->opcode == TM_CASS_STARTUP)
			tm_cass_conn_end(c); /* without a word, as Cassandra */
		else
			fail_answer(&a, &err);
		return;
	}
	if (e->opcode == TM_CASS_STARTUP) {
		startup(&a);
		return;
	}
	if (e->flags & TM_CASS_FLAG_TRACING) {
		a.started_us = tm_now_us(s->env);
		trace_begin(&a);
	}
	dispatch(&a);
	if (a.tracing_id)
		trace_end(&a);
}
