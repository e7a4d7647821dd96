/* The outside store: its address, queries, scans and counts. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "cassandra/tables_int.h"
#include "table/type.h"

enum { PAGE_ROWS = 5000, CHANGE_TIMEOUT_MS = 60000, AGREE_MS = 10000 };

static const char *const consistencies[] = {"ANY",          "ONE",         "TWO",    "THREE",        "QUORUM",    "ALL",
					    "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE", NULL};

static bool caller_stopping(void *ctx)
{
	const struct tm_broker_caller *c = ctx;
	return c->stopping && c->stopping(c->ctx);
}
static void caller_waits(void *ctx, const char *what)
{
	const struct tm_broker_caller *c = ctx;
	if (c->waits)
		c->waits(c->ctx, what);
}

struct tm_cass_waiter tm_outside_waiter(const struct tm_broker_caller *caller)
{
	return (struct tm_cass_waiter){(void *)(uintptr_t)caller, caller_stopping, caller_waits};
}

/* ---- scanning ---- */

static void select_text(const struct tm_table_def *def, const size_t *columns, size_t n, struct tm_buf *out)
{
	tm_buf_cstr_put(out, "SELECT ");
	for (size_t i = 0; i < n; i++) {
		tm_buf_cstr_put(out, i ? ", " : "");
		tm_type_name_text(def->columns[columns[i]].name, out);
	}
	if (!n)
		tm_type_name_text(def->columns[0].name, out);
	tm_buf_cstr_put(out, " FROM ");
	tm_type_name_text(def->keyspace, out);
	tm_buf_char(out, '.');
	tm_type_name_text(def->name, out);
}

static tm_rc scan(struct tm_tables *t, const struct tm_table_def *def, const size_t *columns, size_t column_count,
		  const struct tm_broker_caller *caller, tm_rc (*each)(void *ctx, const struct tm_table_row *row), void *ctx,
		  struct tm_err *err)
{
	struct tm_outside *o = (struct tm_outside *)t;
	struct tm_cass_waiter waiter = {0};
	struct tm_buf text = {0}, paging = {0};
	struct tm_arena arena;
	struct tm_err own = {0};
	if (caller)
		waiter = tm_outside_waiter(caller);
	select_text(def, columns, column_count, &text);
	tm_arena_init(&arena);
	tm_rc rc = TM_OK;
	for (bool more = true; more && !rc;) {
		struct tm_cass_call call = {.request = {.opcode = TM_CASS_QUERY, .text = tm_buf_str(&text)},
					    .arena = &arena,
					    .idempotent = true,
					    .patient = caller,
					    .err = err ? err : &own};
		tm_cass_options_init(&call.request.options);
		call.request.options.consistency = o->read_consistency;
		call.request.options.page_size = PAGE_ROWS;
		call.request.options.paging_state = tm_buf_str(&paging);
		tm_cass_run(o->session, &call, 1, caller ? &waiter : NULL);
		rc = call.rc;
		const struct tm_cql_result *r = &call.response.result;
		for (size_t i = 0; i < r->row_count && !rc; i++) {
			const struct tm_table_row row = {&r->values[i * r->column_count]};
			rc = each(ctx, &row);
		}
		paging.len = 0;
		if (!rc)
			tm_buf_str_put(&paging, r->paging_state);
		more = paging.len > 0;
		tm_arena_reset(&arena);
	}
	tm_arena_done(&arena);
	tm_buf_done(&text);
	tm_buf_done(&paging);
	return rc;
}

/* ---- statements of people ---- */

static bool agree(struct tm_outside *o)
{
	static const char *const texts[] = {"SELECT schema_version FROM system.local WHERE key='local'",
					    "SELECT schema_version FROM system.peers"};
	struct tm_str first = {0};
	struct tm_arena arena;
	bool same = true;
	tm_arena_init(&arena);
	for (size_t i = 0; i < 2 && same; i++) {
		struct tm_cql_result r;
		if (tm_cass_query(o->session, tm_str_of(texts[i]), NULL, 0, &arena, &r, NULL)) {
			same = false;
			break;
		}
		for (size_t k = 0; k < r.row_count; k++) {
			struct tm_str v = tm_cass_cell(&r, k, "schema_version");
			if (!first.at)
				first = v;
			same = same && (!v.len || tm_str_eq(first, v));
		}
	}
	tm_arena_done(&arena);
	return same;
}

/* After a change of the schema: all nodes know it, or that is said. */
static void await_agreement(struct tm_outside *o)
{
	int64_t until = tm_mono_ns(tm_env_real()) + AGREE_MS * INT64_C(1000000);
	tm_cass_session_schema_changed(o->session);
	while (!agree(o)) {
		if (tm_mono_ns(tm_env_real()) > until) {
			tm_say(TM_SAY_WARN, "cassandra", "%s: the nodes do not agree on the schema after %d s; is one of them down?",
			       o->t.address, AGREE_MS / 1000);
			return;
		}
		nanosleep(&(struct timespec){0, 50000000}, NULL);
	}
}

/* "line 1:7 no viable alternative …": where, in our counting from 1. */
static void place_of(struct tm_err *err)
{
	int line = 0, column = 0;
	if (err && !err->line && sscanf(err->what, "line %d:%d ", &line, &column) == 2 && line > 0) {
		err->line = line;
		err->column = column + 1;
	}
}

static bool is_use(struct tm_str text, struct tm_arena *arena, struct tm_str *ret_keyspace)
{
	struct tm_str s = tm_str_trim(text);
	if (s.len && s.at[s.len - 1] == ';')
		s = tm_str_trim(tm_str_slice(s, 0, s.len - 1));
	if (s.len < 5 || !tm_str_iis(tm_str_slice(s, 0, 3), "use") || !strchr(" \t\r\n", s.at[3]))
		return false;
	s = tm_str_trim(tm_str_slice(s, 4, s.len));
	if (s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"') {
		*ret_keyspace = tm_arena_str(arena, tm_str_slice(s, 1, s.len - 1));
		return true;
	}
	char *name = tm_arena_cstr(arena, s);
	for (size_t i = 0; i < s.len; i++)
		name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	*ret_keyspace = tm_str_n(name, s.len);
	return true;
}

/* USE is ours: connections are shared, so each statement names its keyspace itself. */
static tm_rc use(struct tm_outside *o, struct tm_str keyspace, struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	const struct tm_cql_value value = {.bytes = keyspace};
	struct tm_cql_query_options options;
	struct tm_cql_result r;
	tm_cass_options_init(&options);
	options.values = &value;
	options.value_count = 1;
	TM_TRY(tm_cass_query(o->session, TM_STR("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?"), &options, 0,
			     arena, &r, err));
	if (!r.row_count) {
		tm_rc rc = tm_fail(err, TM_INVALID, "Keyspace '%.*s' does not exist", TM_STR_ARG(keyspace));
		if (err)
			err->code = TM_CASS_E_INVALID;
		return rc;
	}
	tm_outside_uses(&o->t, keyspace);
	*ret = (struct tm_cql_result){.kind = TM_CQL_SET_KEYSPACE, .keyspace = keyspace};
	return TM_OK;
}

/* Before v5 the keyspace is the connection's: such statements have a connection of their own. */
static tm_rc query_plain(struct tm_outside *o, struct tm_str text, struct tm_str keyspace, const struct tm_cql_query_options *options,
			 struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_buf use_text = {0};
	tm_buf_cstr_put(&use_text, "USE ");
	tm_type_name_text(keyspace, &use_text);
	pthread_mutex_lock(&o->client_lock);
	tm_rc rc = o->client ? TM_OK : tm_cassandra_client_open(&o->plain, &o->client, err);
	if (!rc)
		rc = tm_cassandra_client_query(o->client, tm_buf_str(&use_text), NULL, arena, ret, err);
	if (!rc)
		rc = tm_cassandra_client_query(o->client, text, options, arena, ret, err);
	if (rc == TM_CLOSED || rc == TM_TIMEOUT) {
		tm_cassandra_client_close(o->client);
		o->client = NULL;
	}
	pthread_mutex_unlock(&o->client_lock);
	tm_buf_done(&use_text);
	return rc;
}

static tm_rc query(struct tm_tables *t, struct tm_str text, struct tm_str keyspace, const struct tm_cql_query_options *options,
		   struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_outside *o = (struct tm_outside *)t;
	struct tm_cass_session_state state;
	struct tm_cql_query_options mine;
	struct tm_str used;
	if (is_use(text, arena, &used))
		return use(o, used, arena, ret, err);
	if (options)
		mine = *options;
	else
		tm_cass_options_init(&mine);
	tm_cass_session_state(o->session, &state);
	tm_rc rc;
	if (keyspace.len && state.version < 5) {
		rc = query_plain(o, text, keyspace, &mine, arena, ret, err);
	} else {
		mine.keyspace = keyspace;
		rc = tm_cass_query(o->session, text, &mine, CHANGE_TIMEOUT_MS, arena, ret, err);
	}
	if (rc)
		place_of(err);
	else if (ret->kind == TM_CQL_SCHEMA_CHANGE)
		await_agreement(o);
	if (!rc && ret->kind == TM_CQL_SCHEMA_CHANGE)
		tm_outside_uses(t, ret->keyspace);
	return rc;
}

static void state(struct tm_tables *t, struct tm_arena *arena, struct tm_tables_state *ret)
{
	struct tm_cass_session_state s;
	tm_cass_session_state(((struct tm_outside *)t)->session, &s);
	*ret = (struct tm_tables_state){.up = s.up, .waiting = s.waiting, .nodes = s.nodes, .alive = s.alive};
	ret->what =
	    s.up ? tm_arena_printf(arena, "Cassandra %s, data centre %s, %zu of %zu nodes", s.release, s.data_center, s.alive, s.nodes)
		 : tm_arena_str(arena, tm_str_of(s.problem[0] ? s.problem : "no node answers"));
}

/* ---- the address ---- */

static tm_rc consistency_of(const struct tm_url *url, const char *name, int fallback, int *ret, struct tm_err *err)
{
	const struct tm_str *text = tm_url_param(url, name);
	*ret = fallback;
	if (!text)
		return TM_OK;
	for (int i = 0; consistencies[i]; i++)
		if (tm_str_iis(*text, consistencies[i])) {
			*ret = i;
			return TM_OK;
		}
	tm_rc rc = tm_fail(err, TM_INVALID, "store: %s=%.*s is no consistency level", name, TM_STR_ARG(*text));
	const char *close = tm_str_closest(*text, consistencies);
	tm_err_hint(err, "Did you mean %s?", close ? close : "LOCAL_QUORUM");
	return rc;
}

static tm_rc number_of(const struct tm_url *url, const char *name, int64_t least, int64_t most, int *ret, struct tm_err *err)
{
	const struct tm_str *text = tm_url_param(url, name);
	int64_t v = 0;
	if (text && (!tm_str_to_i64(*text, &v) || v < least || v > most))
		return tm_fail(err, TM_INVALID, "store: %s=%.*s is no number from %lld to %lld", name, TM_STR_ARG(*text), (long long)least,
			       (long long)most);
	*ret = (int)v;
	return TM_OK;
}

static tm_rc flag_of(const struct tm_url *url, const char *name, bool fallback, bool *ret, struct tm_err *err)
{
	const struct tm_str *text = tm_url_param(url, name);
	*ret = text ? tm_str_iis(*text, "true") : fallback;
	if (text && !*ret && !tm_str_iis(*text, "false"))
		return tm_fail(err, TM_INVALID, "store: %s=%.*s is neither true nor false", name, TM_STR_ARG(*text));
	return TM_OK;
}

/* ssl=true, ssl_ca=FILE (which alone means it too), ssl_check_hostname=false. */
static tm_rc read_tls(struct tm_outside *o, const struct tm_url *url, struct tm_cass_session_options *ret, struct tm_err *err)
{
	const struct tm_str *ca = tm_url_param(url, "ssl_ca");
	bool on, check;
	TM_TRY(flag_of(url, "ssl", ca, &on, err));
	TM_TRY(flag_of(url, "ssl_check_hostname", true, &check, err));
	if (!on)
		return TM_OK;
	o->plain.tls = true;
	o->plain.tls_any_name = !check;
	o->plain.tls_ca = ca ? tm_arena_cstr(&o->arena, *ca) : NULL;
	tm_rc rc = tm_cass_tls_context_new(o->plain.tls_ca, !check, &o->tls, err);
	if (rc)
		tm_err_prefix(err, "store: ");
	ret->tls = o->tls;
	return rc;
}

static tm_rc read_address(struct tm_outside *o, struct tm_str text, struct tm_cass_session_options *ret, struct tm_err *err)
{
	static const char *const known[] = {
	    "local_dc",           "consistency", "read_consistency", "compression",        "protocol_version",
	    "request_timeout_ms", "ssl",         "ssl_ca",           "ssl_check_hostname", NULL};
	struct tm_url url;
	TM_TRY(tm_url_parse(text, &o->arena, &url, err));
	TM_TRY(tm_url_params_known(&url, known, err));
	const struct tm_str *dc = tm_url_param(&url, "local_dc"), *compression = tm_url_param(&url, "compression");
	if (url.path.len > 1)
		return tm_fail(err, TM_INVALID, "store: the address has a path (%.*s); the keyspace is named by each table",
			       TM_STR_ARG(url.path));
	if (compression && !tm_str_is(*compression, "lz4") && !tm_str_is(*compression, "none"))
		return tm_fail(err, TM_INVALID, "store: compression=%.*s is neither lz4 nor none", TM_STR_ARG(*compression));
	*ret = (struct tm_cass_session_options){.hosts = url.hosts,
						.host_count = url.host_count,
						.local_dc = dc ? tm_arena_cstr(&o->arena, *dc) : NULL,
						.user = url.user.len ? tm_arena_cstr(&o->arena, url.user) : NULL,
						.password = url.password.len ? tm_arena_cstr(&o->arena, url.password) : NULL,
						.lz4 = compression && tm_str_is(*compression, "lz4")};
	TM_TRY(consistency_of(&url, "consistency", 6, &o->consistency, err));
	TM_TRY(consistency_of(&url, "read_consistency", 10, &o->read_consistency, err));
	TM_TRY(number_of(&url, "protocol_version", 3, 5, &ret->version, err));
	TM_TRY(number_of(&url, "request_timeout_ms", 100, 3600000, &ret->timeout_ms, err));
	o->plain = (struct tm_cassandra_client_options){.host = tm_arena_cstr(&o->arena, url.hosts[0].host),
							.port = url.hosts[0].port,
							.user = ret->user,
							.password = ret->password,
							.version = ret->version};
	return read_tls(o, &url, ret, err);
}

static void outside_free(struct tm_tables *t)
{
	struct tm_outside *o = (struct tm_outside *)t;
	tm_outside_counts_done(o);
	tm_cass_session_close(o->session);
	tm_cassandra_client_close(o->client);
	tm_cass_tls_context_free(o->tls);
	tm_outside_inserts_done(o);
	tm_outside_defs_done(o);
	tm_arena_done(&o->arena);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->counter_woken);
	pthread_mutex_destroy(&o->client_lock);
	free(o);
}

static const struct tm_tables_class outside_class = {.name = "cassandra",
						     .free = outside_free,
						     .table = tm_outside_table,
						     .table_unref = tm_outside_unref,
						     .uses = tm_outside_uses,
						     .list = tm_outside_list,
						     .count = tm_outside_count,
						     .write = tm_outside_write,
						     .scan = scan,
						     .query = query,
						     .state = state};

static struct tm_outside *outside_new(struct tm_str url)
{
	struct tm_outside *o = tm_zalloc(sizeof *o);
	tm_arena_init(&o->arena);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->counter_woken, NULL);
	pthread_mutex_init(&o->client_lock, NULL);
	o->t = (struct tm_tables){&outside_class, tm_url_shown(url, &o->arena).at};
	return o;
}

/* One connection for the command line: to the first contact point that answers. */
tm_rc tm_tables_cassandra_client(struct tm_str url, struct tm_cassandra_client **ret, struct tm_err *err)
{
	struct tm_outside *o = outside_new(url);
	struct tm_cass_session_options options;
	tm_rc rc = read_address(o, url, &options, err);
	for (size_t i = 0; !rc && i < options.host_count; i++) {
		o->plain.host = tm_arena_cstr(&o->arena, options.hosts[i].host);
		o->plain.port = options.hosts[i].port;
		rc = tm_cassandra_client_open(&o->plain, ret, err);
		if (rc != TM_UNAVAILABLE)
			break;
		tm_err_hint(err, "That is the address of store: %s.", o->t.address);
		if (i + 1 < options.host_count)
			rc = TM_OK;
	}
	outside_free(&o->t);
	return rc;
}

tm_rc tm_tables_cassandra_check(struct tm_str url, struct tm_err *err)
{
	struct tm_outside *o = outside_new(url);
	struct tm_cass_session_options options;
	tm_rc rc = read_address(o, url, &options, err);
	outside_free(&o->t);
	return rc;
}

tm_rc tm_tables_cassandra_open(struct tm_str url, struct tm_tables **ret, struct tm_err *err)
{
	struct tm_outside *o = outside_new(url);
	struct tm_cass_session_options options;
	tm_rc rc = read_address(o, url, &options, err);
	if (!rc)
		rc = tm_cass_session_open(&options, &o->session, err);
	if (rc) {
		outside_free(&o->t);
		return rc;
	}
	*ret = &o->t;
	return TM_OK;
}

struct tm_cass_session *tm_tables_cassandra_session(struct tm_tables *tables, int *ret_consistency)
{
	struct tm_outside *o = (struct tm_outside *)tables;
	*ret_consistency = o->consistency;
	return o->session;
}
