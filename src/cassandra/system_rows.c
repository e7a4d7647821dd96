/* The rows of the system tables. Called with the system's lock held, from whichever thread runs the SELECT. */
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/system_int.h"
#include "table/schema.h"

#define RELEASE "5.0.9"
#define CQL_VERSION "3.4.7"
#define PARTITIONER "org.apache.cassandra.dht.Murmur3Partitioner"

tm_rc tm_cass_rows_none(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	(void)s, (void)session, (void)rows, (void)err;
	return TM_OK;
}

/* The address a client reached us at stands for the node; a wildcard becomes loopback. */
static const char *address_of(const struct tm_cassandra_server *s)
{
	return strcmp(s->host, "0.0.0.0") == 0 || strcmp(s->host, "localhost") == 0 || strchr(s->host, ':') ? "127.0.0.1" : s->host;
}

tm_rc tm_cass_rows_local(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	const struct tm_schema *schema = tm_store_schema(s->store);
	struct tm_str token = TM_STR("-9223372036854775808");
	const char *address = address_of(s);
	(void)session, (void)err;
	tm_cql_rows_begin(r);
	tm_cql_rows_text(r, 0, "local");
	tm_cql_rows_text(r, 1, "COMPLETED");
	tm_cql_rows_inet(r, 2, address);
	tm_cql_rows_int(r, 3, 7000);
	tm_cql_rows_text(r, 4, s->cluster_name);
	tm_cql_rows_text(r, 5, CQL_VERSION);
	tm_cql_rows_text(r, 6, "datacenter1");
	tm_cql_rows_int(r, 7, (int32_t)(s->started_us / 1000000));
	tm_cql_rows_uuid(r, 8, s->host_id);
	tm_cql_rows_inet(r, 9, address);
	tm_cql_rows_int(r, 10, 7000);
	tm_cql_rows_text(r, 11, "5");
	tm_cql_rows_text(r, 12, PARTITIONER);
	tm_cql_rows_text(r, 13, "rack1");
	tm_cql_rows_text(r, 14, RELEASE);
	tm_cql_rows_inet(r, 15, address);
	tm_cql_rows_int(r, 16, s->port);
	tm_cql_rows_uuid(r, 17, schema->version);
	tm_cql_rows_texts(r, 18, &token, 1);
	tm_schema_unref(s->store, schema);
	return TM_OK;
}

tm_rc tm_cass_rows_prepared(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	pthread_mutex_lock(&s->prepared.lock);
	for (const struct tm_cass_prepared *p = s->prepared.oldest; p; p = p->newer) {
		tm_cql_rows_begin(r);
		tm_cql_rows_bytes(r, 0, tm_str_n((const char *)p->id, 16));
		if (p->keyspace.len)
			tm_cql_rows_bytes(r, 1, p->keyspace);
		tm_cql_rows_bytes(r, 2, p->text);
	}
	pthread_mutex_unlock(&s->prepared.lock);
	return TM_OK;
}

/* ---- traces: the last few, as a driver asks for them right after its request ---- */
tm_rc tm_cass_rows_sessions(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->trace_count && i < TM_CASS_TRACES; i++) {
		const struct tm_cass_trace *t = &s->traces[i];
		struct tm_str parameters[2] = {TM_STR("query"), tm_str_of(t->text)};
		tm_cql_rows_begin(r);
		tm_cql_rows_uuid(r, 0, t->id);
		if (t->client[0] && !strchr(t->client, ':'))
			tm_cql_rows_inet(r, 1, t->client);
		tm_cql_rows_text(r, 2, "QUERY");
		tm_cql_rows_inet(r, 3, address_of(s));
		tm_cql_rows_int(r, 4, 7000);
		tm_cql_rows_int(r, 5, (int32_t)t->duration_us);
		tm_cql_rows_text_map(r, 6, parameters, 1);
		tm_cql_rows_text(r, 7,
				 strcmp(t->request, "QUERY") == 0     ? "Execute CQL3 query"
				 : strcmp(t->request, "EXECUTE") == 0 ? "Execute CQL3 prepared query"
								      : t->request);
		tm_cql_rows_bigint(r, 8, t->started_us / 1000);
	}
	pthread_mutex_unlock(&s->lock);
	return TM_OK;
}

tm_rc tm_cass_rows_events(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->trace_count && i < TM_CASS_TRACES; i++) {
		const struct tm_cass_trace *t = &s->traces[i];
		tm_cql_rows_begin(r);
		tm_cql_rows_uuid(r, 0, t->id);
		tm_cql_rows_uuid(r, 1, t->id); /* a time UUID of the request's start */
		tm_cql_rows_text(r, 2, "Request complete");
		tm_cql_rows_inet(r, 3, address_of(s));
		tm_cql_rows_int(r, 4, (int32_t)t->duration_us);
		tm_cql_rows_int(r, 5, 7000);
		tm_cql_rows_text(r, 6, "cql-door");
	}
	pthread_mutex_unlock(&s->lock);
	return TM_OK;
}

tm_rc tm_cass_rows_roles(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)s, (void)session, (void)err;
	tm_cql_rows_begin(r);
	tm_cql_rows_text(r, 0, "cassandra");
	tm_cql_rows_bool(r, 1, true);
	tm_cql_rows_bool(r, 2, true);
	return TM_OK;
}

tm_rc tm_cass_rows_clients(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	pthread_mutex_lock(&s->lock);
	for (const struct tm_cass_conn *c = s->conns; c; c = c->next) {
		if (!c->peer[0] || strchr(c->peer, ':'))
			continue;
		tm_cql_rows_begin(r);
		tm_cql_rows_inet(r, 0, c->peer);
		tm_cql_rows_int(r, 1, c->peer_port);
		tm_cql_rows_text(r, 3, "Unauthenticated");
		tm_cql_rows_text(r, 5, c->started ? "ready" : "established");
		if (c->driver_name[0])
			tm_cql_rows_text(r, 6, c->driver_name);
		if (c->driver_version[0])
			tm_cql_rows_text(r, 7, c->driver_version);
		tm_cql_rows_text(r, 8, c->peer);
		tm_cql_rows_int(r, 10, c->version);
		tm_cql_rows_bigint(r, 11, c->request_count);
		tm_cql_rows_bool(r, 13, false);
		tm_cql_rows_text(r, 15, "anonymous");
	}
	pthread_mutex_unlock(&s->lock);
	return TM_OK;
}

/* ---- what is set, and what runs ---- */
static void setting(struct tm_cql_rows *r, const char *name, const char *value)
{
	tm_cql_rows_begin(r);
	tm_cql_rows_text(r, 0, name);
	tm_cql_rows_text(r, 1, value);
}

static void setting_number(struct tm_cql_rows *r, const char *name, long long value)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", value);
	setting(r, name, text);
}

tm_rc tm_cass_rows_settings(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	setting(r, "authenticator", "AllowAllAuthenticator");
	setting(r, "authorizer", "AllowAllAuthorizer");
	setting(r, "cluster_name", s->cluster_name);
	setting(r, "commitlog_sync", "group");
	setting(r, "endpoint_snitch", "SimpleSnitch");
	setting(r, "materialized_views_enabled", "false");
	setting_number(r, "native_transport_max_concurrent_connections", (long long)s->connection_limit);
	setting(r, "native_transport_max_frame_size", "16MiB");
	setting_number(r, "native_transport_port", s->port);
	setting_number(r, "num_tokens", 1);
	setting(r, "partitioner", PARTITIONER);
	setting(r, "rpc_address", s->host);
	setting(r, "sasi_indexes_enabled", "false");
	setting(r, "user_defined_functions_enabled", "false");
	return TM_OK;
}

tm_rc tm_cass_rows_properties(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r,
			      struct tm_err *err)
{
	(void)s, (void)session, (void)err;
	setting(r, "os.name", "Linux");
	setting(r, "tidemill.version", TM_VERSION);
	setting(r, "user.timezone", "UTC");
	return TM_OK;
}

tm_rc tm_cass_rows_caches(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	static const char *const names[] = {"chunks", "counters", "keys", "rows"};
	(void)s, (void)session, (void)err;
	for (size_t i = 0; i < 4; i++) {
		tm_cql_rows_begin(r);
		tm_cql_rows_text(r, 0, names[i]);
		for (size_t k = 1; k <= 8; k++) {
			if (k == 2)
				tm_cql_rows_int(r, k, 0);
			else if (k == 4)
				tm_cql_rows_double(r, k, 0);
			else
				tm_cql_rows_bigint(r, k, 0);
		}
	}
	return TM_OK;
}

static void metric(struct tm_cql_rows *r, const char *name, double value)
{
	tm_cql_rows_begin(r);
	tm_cql_rows_text(r, 0, name);
	tm_cql_rows_double(r, 1, value);
}

tm_rc tm_cass_rows_metrics(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	pthread_mutex_lock(&s->prepared.lock);
	metric(r, "prepared_statements_count", (double)s->prepared.count);
	pthread_mutex_unlock(&s->prepared.lock);
	metric(r, "prepared_statements_evicted", (double)__atomic_load_n(&s->prepared.evicted, __ATOMIC_RELAXED));
	metric(r, "prepared_statements_executed", (double)__atomic_load_n(&s->prepared.executed, __ATOMIC_RELAXED));
	return TM_OK;
}

tm_rc tm_cass_rows_pools(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	static const char *const names[] = {"MutationStage", "Native-Transport-Requests"};
	(void)s, (void)session, (void)err;
	for (size_t i = 0; i < 2; i++) {
		tm_cql_rows_begin(r);
		tm_cql_rows_text(r, 0, names[i]);
		tm_cql_rows_int(r, 1, 0);
		tm_cql_rows_int(r, 2, 1);
		for (size_t k = 3; k <= 5; k++)
			tm_cql_rows_bigint(r, k, 0);
		for (size_t k = 6; k <= 9; k++)
			tm_cql_rows_int(r, k, k < 8 ? 1 : 0);
	}
	return TM_OK;
}

tm_rc tm_cass_rows_gossip(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	char native[160];
	(void)session, (void)err;
	snprintf(native, sizeof native, "%s:%d", address_of(s), s->port);
	tm_cql_rows_begin(r);
	tm_cql_rows_inet(r, 0, address_of(s));
	tm_cql_rows_int(r, 1, 7000);
	tm_cql_rows_text(r, 2, "datacenter1");
	tm_cql_rows_int(r, 3, (int32_t)(s->started_us / 1000000));
	tm_cql_rows_int(r, 4, (int32_t)((tm_now_us(s->env) - s->started_us) / 1000000));
	tm_cql_rows_text(r, 6, address_of(s));
	tm_cql_rows_text(r, 7, native);
	tm_cql_rows_text(r, 8, "rack1");
	tm_cql_rows_text(r, 9, RELEASE);
	tm_cql_rows_text(r, 11, "NORMAL,-9223372036854775808");
	return TM_OK;
}

/* ---- estimates: one range, the whole ring; readers that split a scan by them (Spark's connector) get one split a table ---- */
static tm_rc estimates(struct tm_cassandra_server *s, struct tm_cql_rows *r, bool typed)
{
	const struct tm_table_def **defs;
	size_t count = tm_store_tables(s->store, &defs);
	size_t shift = typed ? 1 : 0;
	for (size_t i = 0; i < count; i++) {
		tm_cql_rows_begin(r);
		tm_cql_rows_bytes(r, 0, defs[i]->keyspace);
		tm_cql_rows_bytes(r, 1, defs[i]->name);
		if (typed)
			tm_cql_rows_text(r, 2, "primary");
		tm_cql_rows_text(r, 2 + shift, "-9223372036854775808");
		tm_cql_rows_text(r, 3 + shift, "-9223372036854775808");
		tm_cql_rows_bigint(r, 4 + shift, 0);
		tm_cql_rows_bigint(r, 5 + shift, 0);
		tm_table_def_unref(s->store, defs[i]);
	}
	free((void *)defs);
	return TM_OK;
}

tm_rc tm_cass_rows_estimates(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r, struct tm_err *err)
{
	(void)session, (void)err;
	return estimates(s, r, false);
}

tm_rc tm_cass_rows_table_estimates(struct tm_cassandra_server *s, const struct tm_cql_session *session, struct tm_cql_rows *r,
				   struct tm_err *err)
{
	(void)session, (void)err;
	return estimates(s, r, true);
}
