/* The functions that make system tables' rows; the tables themselves are listed in system.c. */
#ifndef TM_CASSANDRA_SYSTEM_INT_H
#define TM_CASSANDRA_SYSTEM_INT_H
#include "cassandra/server_int.h"
#include "cql/virtual.h"

/* What outlives a server: the store keeps the tables until it is closed. */
struct tm_cass_system {
	pthread_mutex_t lock;               /* rank: above the server's leaves; held while rows are made */
	struct tm_cassandra_server *server; /* NULL after its stop: the tables are empty */
	struct tm_cass_system *next;
};
typedef tm_rc tm_cass_rows_fn(struct tm_cassandra_server *server, const struct tm_cql_session *session, struct tm_cql_rows *rows,
			      struct tm_err *err);
tm_cass_rows_fn tm_cass_rows_none, tm_cass_rows_local, tm_cass_rows_prepared, tm_cass_rows_sessions, tm_cass_rows_events,
    tm_cass_rows_roles, tm_cass_rows_clients, tm_cass_rows_settings, tm_cass_rows_properties, tm_cass_rows_caches, tm_cass_rows_metrics,
    tm_cass_rows_pools, tm_cass_rows_estimates, tm_cass_rows_table_estimates, tm_cass_rows_gossip;
#endif
