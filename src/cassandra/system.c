/* The system tables that drivers, cqlsh and curious people read, beside those of the cql room (system_schema and
 * system_virtual_schema): a list of columns for each, in the words of Cassandra 5.0, and the function that makes its rows.
 * A table whose subject does not exist on one node (peers, hints, repairs) is there and empty. */
#include <stdlib.h>
#include "cassandra/system_int.h"

/* A column's line: p = partition key, c = clustering, r = regular. */
#define P(n, t)                                                                                                                            \
	{                                                                                                                                  \
		n, t, TM_COLUMN_PARTITION_KEY                                                                                              \
	}
#define C(n, t)                                                                                                                            \
	{                                                                                                                                  \
		n, t, TM_COLUMN_CLUSTERING                                                                                                 \
	}
#define R(n, t)                                                                                                                            \
	{                                                                                                                                  \
		n, t, TM_COLUMN_REGULAR                                                                                                    \
	}
#define COLUMNS(name) static const struct tm_cql_virtual_column name[]

COLUMNS(local) = {
    P("key", "text"),          R("bootstrapped", "text"),   R("broadcast_address", "inet"), R("broadcast_port", "int"),
    R("cluster_name", "text"), R("cql_version", "text"),    R("data_center", "text"),       R("gossip_generation", "int"),
    R("host_id", "uuid"),      R("listen_address", "inet"), R("listen_port", "int"),        R("native_protocol_version", "text"),
    R("partitioner", "text"),  R("rack", "text"),           R("release_version", "text"),   R("rpc_address", "inet"),
    R("rpc_port", "int"),      R("schema_version", "uuid"), R("tokens", "set<text>"),       R("truncated_at", "map<uuid, blob>")};
COLUMNS(peers) = {P("peer", "inet"),         R("data_center", "text"),    R("host_id", "uuid"),
		  R("preferred_ip", "inet"), R("rack", "text"),           R("release_version", "text"),
		  R("rpc_address", "inet"),  R("schema_version", "uuid"), R("tokens", "set<text>")};
COLUMNS(peers_v2) = {P("peer", "inet"),           C("peer_port", "int"),        R("data_center", "text"),    R("host_id", "uuid"),
		     R("native_address", "inet"), R("native_port", "int"),      R("preferred_ip", "inet"),   R("preferred_port", "int"),
		     R("rack", "text"),           R("release_version", "text"), R("schema_version", "uuid"), R("tokens", "set<text>")};
COLUMNS(peer_events) = {P("peer", "inet"), R("hints_dropped", "map<uuid, int>")};
COLUMNS(peer_events_v2) = {P("peer", "inet"), C("peer_port", "int"), R("hints_dropped", "map<uuid, int>")};
COLUMNS(size_estimates) = {P("keyspace_name", "text"),         C("table_name", "text"),
			   C("range_start", "text"),           C("range_end", "text"),
			   R("mean_partition_size", "bigint"), R("partitions_count", "bigint")};
COLUMNS(table_estimates) = {P("keyspace_name", "text"),     C("table_name", "text"), C("range_type", "text"),
			    C("range_start", "text"),       C("range_end", "text"),  R("mean_partition_size", "bigint"),
			    R("partitions_count", "bigint")};
COLUMNS(prepared_statements) = {P("prepared_id", "blob"), R("logged_keyspace", "text"), R("query_string", "text")};
COLUMNS(index_info) = {P("table_name", "text"), C("index_name", "text"), R("value", "blob")};
COLUMNS(built_views) = {P("keyspace_name", "text"), C("view_name", "text"), R("status_replicated", "boolean")};
COLUMNS(batches) = {P("id", "timeuuid"), R("mutations", "list<blob>"), R("version", "int")};
COLUMNS(available_ranges_v2) = {P("keyspace_name", "text"), R("full_ranges", "set<blob>"), R("transient_ranges", "set<blob>")};
COLUMNS(compaction_history) = {P("id", "timeuuid"),
			       R("bytes_in", "bigint"),
			       R("bytes_out", "bigint"),
			       R("columnfamily_name", "text"),
			       R("compacted_at", "timestamp"),
			       R("compaction_properties", "frozen<map<text, text>>"),
			       R("keyspace_name", "text"),
			       R("rows_merged", "map<int, bigint>")};
COLUMNS(sstable_activity_v2) = {P("keyspace_name", "text"), P("table_name", "text"), P("id", "text"), R("rate_120m", "double"),
				R("rate_15m", "double")};
COLUMNS(repairs) = {P("parent_id", "timeuuid"),
		    R("cfids", "set<uuid>"),
		    R("coordinator", "inet"),
		    R("coordinator_port", "int"),
		    R("last_update", "timestamp"),
		    R("participants", "set<inet>"),
		    R("participants_wp", "set<text>"),
		    R("ranges", "set<blob>"),
		    R("repaired_at", "timestamp"),
		    R("started_at", "timestamp"),
		    R("state", "int")};
COLUMNS(top_partitions) = {P("keyspace_name", "text"), P("table_name", "text"), C("top_type", "text"), R("last_update", "timestamp"),
			   R("top", "frozen<list<frozen<tuple<text, bigint>>>>")};
COLUMNS(view_builds_in_progress) = {P("keyspace_name", "text"), C("view_name", "text"),    C("start_token", "text"),
				    C("end_token", "text"),     R("keys_built", "bigint"), R("last_token", "text")};

COLUMNS(sessions) = {P("session_id", "uuid"),
		     R("client", "inet"),
		     R("command", "text"),
		     R("coordinator", "inet"),
		     R("coordinator_port", "int"),
		     R("duration", "int"),
		     R("parameters", "map<text, text>"),
		     R("request", "text"),
		     R("started_at", "timestamp")};
COLUMNS(events) = {P("session_id", "uuid"),    C("event_id", "timeuuid"), R("activity", "text"), R("source", "inet"),
		   R("source_elapsed", "int"), R("source_port", "int"),   R("thread", "text")};

COLUMNS(roles) = {P("role", "text"), R("can_login", "boolean"), R("is_superuser", "boolean"), R("member_of", "set<text>"),
		  R("salted_hash", "text")};
COLUMNS(role_members) = {P("role", "text"), C("member", "text")};
COLUMNS(role_permissions) = {P("role", "text"), C("resource", "text"), R("permissions", "set<text>")};
COLUMNS(resource_role_permissons_index) = {P("resource", "text"), C("role", "text")};
COLUMNS(network_permissions) = {P("role", "text"), R("dcs", "frozen<set<text>>")};

COLUMNS(parent_repair_history) = {P("parent_id", "timeuuid"),         R("columnfamily_names", "set<text>"), R("exception_message", "text"),
				  R("exception_stacktrace", "text"),  R("finished_at", "timestamp"),        R("keyspace_name", "text"),
				  R("options", "map<text, text>"),    R("requested_ranges", "set<text>"),   R("started_at", "timestamp"),
				  R("successful_ranges", "set<text>")};
COLUMNS(repair_history) = {P("keyspace_name", "text"),
			   P("columnfamily_name", "text"),
			   C("id", "timeuuid"),
			   R("coordinator", "inet"),
			   R("coordinator_port", "int"),
			   R("exception_message", "text"),
			   R("exception_stacktrace", "text"),
			   R("finished_at", "timestamp"),
			   R("parent_id", "timeuuid"),
			   R("participants", "set<inet>"),
			   R("participants_v2", "set<text>"),
			   R("range_begin", "text"),
			   R("range_end", "text"),
			   R("started_at", "timestamp"),
			   R("status", "text")};
COLUMNS(view_build_status) = {P("keyspace_name", "text"), P("view_name", "text"), C("host_id", "uuid"), R("status", "text")};

COLUMNS(caches) = {P("name", "text"),
		   R("capacity_bytes", "bigint"),
		   R("entry_count", "int"),
		   R("hit_count", "bigint"),
		   R("hit_ratio", "double"),
		   R("recent_hit_rate_per_second", "bigint"),
		   R("recent_request_rate_per_second", "bigint"),
		   R("request_count", "bigint"),
		   R("size_bytes", "bigint")};
COLUMNS(clients) = {P("address", "inet"),
		    C("port", "int"),
		    R("authentication_metadata", "frozen<map<text, text>>"),
		    R("authentication_mode", "text"),
		    R("client_options", "frozen<map<text, text>>"),
		    R("connection_stage", "text"),
		    R("driver_name", "text"),
		    R("driver_version", "text"),
		    R("hostname", "text"),
		    R("keyspace_name", "text"),
		    R("protocol_version", "int"),
		    R("request_count", "bigint"),
		    R("ssl_cipher_suite", "text"),
		    R("ssl_enabled", "boolean"),
		    R("ssl_protocol", "text"),
		    R("username", "text")};
COLUMNS(settings) = {P("name", "text"), R("value", "text")};
COLUMNS(cql_metrics) = {P("name", "text"), R("value", "double")};
COLUMNS(thread_pools) = {P("name", "text"),
			 R("active_tasks", "int"),
			 R("active_tasks_limit", "int"),
			 R("blocked_tasks", "bigint"),
			 R("blocked_tasks_all_time", "bigint"),
			 R("completed_tasks", "bigint"),
			 R("core_pool_size", "int"),
			 R("max_pool_size", "int"),
			 R("max_tasks_queued", "int"),
			 R("pending_tasks", "int")};
COLUMNS(sstable_tasks) = {
    P("keyspace_name", "text"), C("table_name", "text"),      C("task_id", "timeuuid"), R("completion_ratio", "double"),
    R("kind", "text"),          R("progress", "bigint"),      R("sstables", "int"),     R("total", "bigint"),
    R("unit", "text"),          R("target_directory", "text")};
COLUMNS(disk_usage) = {P("keyspace_name", "text"), P("table_name", "text"), R("mebibytes", "bigint")};
COLUMNS(latency) = {P("keyspace_name", "text"), P("table_name", "text"), R("count", "bigint"),     R("max_ms", "double"),
		    R("p50th_ms", "double"),    R("p99th_ms", "double"), R("per_second", "double")};
COLUMNS(queries) = {P("thread_id", "text"), R("queued_micros", "bigint"), R("running_micros", "bigint"), R("task", "text")};
COLUMNS(streaming) = {P("id", "timeuuid"),
		      R("bytes_received", "bigint"),
		      R("bytes_sent", "bigint"),
		      R("completed", "boolean"),
		      R("last_updated", "timestamp"),
		      R("operation", "text"),
		      R("peers", "frozen<list<text>>"),
		      R("progress_percentage", "float"),
		      R("status", "text")};
COLUMNS(pending_hints) = {P("host_id", "uuid"),     R("address", "inet"), R("dc", "text"),   R("files", "int"),  R("newest", "timestamp"),
			  R("oldest", "timestamp"), R("port", "int"),     R("rack", "text"), R("status", "text")};
COLUMNS(snapshots) = {P("name", "text"),         C("keyspace_name", "text"),   C("table_name", "text"),     R("created_at", "timestamp"),
		      R("ephemeral", "boolean"), R("expires_at", "timestamp"), R("size_on_disk", "bigint"), R("true_size", "bigint")};
COLUMNS(gossip_info) = {P("address", "inet"),  P("port", "int"),
			R("dc", "text"),       R("generation", "int"),
			R("heartbeat", "int"), R("host_id", "text"),
			R("hostname", "text"), R("native_address_and_port", "text"),
			R("rack", "text"),     R("release_version", "text"),
			R("schema", "text"),   R("status", "text"),
			R("tokens", "text")};
COLUMNS(system_logs) = {P("timestamp", "timestamp"), C("order_in_millisecond", "int"), R("level", "text"), R("logger", "text"),
			R("message", "text")};

#define TABLE(ks, name, comment, columns, stored, fn)                                                                                      \
	{                                                                                                                                  \
		ks, name, comment, columns, sizeof columns / sizeof columns[0], stored, fn                                                 \
	}
static const struct {
	const char *keyspace, *table, *comment;
	const struct tm_cql_virtual_column *columns;
	size_t column_count;
	bool stored_look;
	tm_cass_rows_fn *rows;
} tables[] = {
    TABLE("system", "local", "information about the local node", local, true, tm_cass_rows_local),
    TABLE("system", "peers", "information about known peers in the cluster", peers, true, tm_cass_rows_none),
    TABLE("system", "peers_v2", "information about known peers in the cluster", peers_v2, true, tm_cass_rows_none),
    TABLE("system", "peer_events", "events related to peers", peer_events, true, tm_cass_rows_none),
    TABLE("system", "peer_events_v2", "events related to peers", peer_events_v2, true, tm_cass_rows_none),
    TABLE("system", "size_estimates", "per-table primary range size estimates", size_estimates, true, tm_cass_rows_estimates),
    TABLE("system", "table_estimates", "per-table range size estimates", table_estimates, true, tm_cass_rows_table_estimates),
    TABLE("system", "prepared_statements", "prepared statements", prepared_statements, true, tm_cass_rows_prepared),
    TABLE("system", "IndexInfo", "built column indexes", index_info, true, tm_cass_rows_none),
    TABLE("system", "built_views", "built views", built_views, true, tm_cass_rows_none),
    TABLE("system", "batches", "batches awaiting replay", batches, true, tm_cass_rows_none),
    TABLE("system", "available_ranges_v2", "available keyspace/ranges during bootstrap/replace that are ready to be served",
	  available_ranges_v2, true, tm_cass_rows_none),
    TABLE("system", "compaction_history", "week-long compaction history", compaction_history, true, tm_cass_rows_none),
    TABLE("system", "sstable_activity_v2", "historic sstable read rates", sstable_activity_v2, true, tm_cass_rows_none),
    TABLE("system", "repairs", "repairs", repairs, true, tm_cass_rows_none),
    TABLE("system", "top_partitions", "Stores the top partitions", top_partitions, true, tm_cass_rows_none),
    TABLE("system", "view_builds_in_progress", "views builds current progress", view_builds_in_progress, true, tm_cass_rows_none),
    TABLE("system_traces", "sessions", "tracing sessions", sessions, true, tm_cass_rows_sessions),
    TABLE("system_traces", "events", "tracing events", events, true, tm_cass_rows_events),
    TABLE("system_auth", "roles", "role definitions", roles, true, tm_cass_rows_roles),
    TABLE("system_auth", "role_members", "role memberships lookup table", role_members, true, tm_cass_rows_none),
    TABLE("system_auth", "role_permissions", "permissions granted to db roles", role_permissions, true, tm_cass_rows_none),
    TABLE("system_auth", "resource_role_permissons_index", "index of db roles with permissions granted on a resource",
	  resource_role_permissons_index, true, tm_cass_rows_none),
    TABLE("system_auth", "network_permissions", "user network permissions", network_permissions, true, tm_cass_rows_none),
    TABLE("system_distributed", "parent_repair_history", "Repair history", parent_repair_history, true, tm_cass_rows_none),
    TABLE("system_distributed", "repair_history", "Repair history", repair_history, true, tm_cass_rows_none),
    TABLE("system_distributed", "view_build_status", "Materialized View build status", view_build_status, true, tm_cass_rows_none),
    TABLE("system_views", "caches", "system caches", caches, false, tm_cass_rows_caches),
    TABLE("system_views", "clients", "currently connected clients", clients, false, tm_cass_rows_clients),
    TABLE("system_views", "coordinator_read_latency", "", latency, false, tm_cass_rows_none),
    TABLE("system_views", "coordinator_write_latency", "", latency, false, tm_cass_rows_none),
    TABLE("system_views", "cql_metrics", "Metrics specific to CQL prepared statement caching", cql_metrics, false, tm_cass_rows_metrics),
    TABLE("system_views", "disk_usage", "", disk_usage, false, tm_cass_rows_none),
    TABLE("system_views", "gossip_info", "lists the gossip info for the cluster", gossip_info, false, tm_cass_rows_gossip),
    TABLE("system_views", "local_read_latency", "", latency, false, tm_cass_rows_none),
    TABLE("system_views", "local_write_latency", "", latency, false, tm_cass_rows_none),
    TABLE("system_views", "pending_hints", "Pending hints that this node has for other nodes", pending_hints, false, tm_cass_rows_none),
    TABLE("system_views", "queries", "Lists currently running queries", queries, false, tm_cass_rows_none),
    TABLE("system_views", "settings", "current settings", settings, false, tm_cass_rows_settings),
    TABLE("system_views", "snapshots", "available snapshots", snapshots, false, tm_cass_rows_none),
    TABLE("system_views", "sstable_tasks", "current sstable tasks", sstable_tasks, false, tm_cass_rows_none),
    TABLE("system_views", "streaming", "", streaming, false, tm_cass_rows_none),
    TABLE("system_views", "system_logs", "Cassandra logs", system_logs, false, tm_cass_rows_none),
    TABLE("system_views", "system_properties", "Cassandra relevant system properties", settings, false, tm_cass_rows_properties),
    TABLE("system_views", "thread_pools", "", thread_pools, false, tm_cass_rows_pools),
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

/* The store cannot say when it lets go of its tables, so what they point to stays, small, until the process ends. */
static struct tm_cass_system *systems;
static pthread_mutex_t systems_lock = PTHREAD_MUTEX_INITIALIZER; /* rank: leaf */

/* One of these per table: which one, and whose. */
struct tm_cass_system_table {
	struct tm_cass_system *system;
	tm_cass_rows_fn *rows;
};

static tm_rc table_rows(void *ctx, const struct tm_cql_session *session, struct tm_cql_rows *rows, struct tm_err *err)
{
	struct tm_cass_system_table *t = ctx;
	tm_rc rc = TM_OK;
	pthread_mutex_lock(&t->system->lock);
	if (t->system->server)
		rc = t->rows(t->system->server, session, rows, err);
	pthread_mutex_unlock(&t->system->lock);
	return rc;
}

tm_rc tm_cass_system_register(struct tm_cassandra_server *s, struct tm_err *err)
{
	struct tm_cass_system *system = tm_zalloc(sizeof *system + TABLE_COUNT * sizeof(struct tm_cass_system_table));
	struct tm_cass_system_table *each = (struct tm_cass_system_table *)(system + 1);
	pthread_mutex_init(&system->lock, NULL);
	system->server = s;
	s->system = system;
	pthread_mutex_lock(&systems_lock);
	system->next = systems;
	systems = system;
	pthread_mutex_unlock(&systems_lock);
	TM_TRY(tm_cql_system_register(s->store, err));
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		each[i] = (struct tm_cass_system_table){system, tables[i].rows};
		struct tm_cql_virtual v = {.keyspace = tables[i].keyspace,
					   .table = tables[i].table,
					   .comment = tables[i].comment,
					   .columns = tables[i].columns,
					   .column_count = tables[i].column_count,
					   .rows = table_rows,
					   .ctx = &each[i],
					   .stored_look = tables[i].stored_look};
		TM_TRY(tm_cql_virtual_register(s->store, &v, err));
	}
	return TM_OK;
}

void tm_cass_system_unregister(struct tm_cassandra_server *s)
{
	if (!s->system)
		return;
	pthread_mutex_lock(&s->system->lock);
	s->system->server = NULL; /* the store still holds the tables */
	pthread_mutex_unlock(&s->system->lock);
	s->system = NULL;
}
