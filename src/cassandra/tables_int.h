/* What the files of the outside store share: tables.c (the class, queries), tables_schema.c (shapes of tables), tables_write.c (rows). */
#ifndef TM_CASSANDRA_TABLES_INT_H
#define TM_CASSANDRA_TABLES_INT_H
#include <pthread.h>
#include "cassandra/client.h"
#include "cassandra/session.h"
#include "cassandra/tables.h"
#include "cassandra/tls.h"

struct tm_outside_def { /* def first: a def that was given out is one of these */
	struct tm_table_def def;
	struct tm_cass_replication replication;
	int refs;
	struct tm_arena arena;
};
struct tm_outside_loaded { /* a keyspace's tables are as of this count of schema changes; empty = all keyspaces */
	struct tm_str keyspace;
	uint64_t schema;
};
struct tm_outside_count {
	uint8_t id[16];
	struct tm_str keyspace, name; /* malloc'd */
	int64_t rows, at_ns, took_ns; /* rows -1 = not known yet */
	bool wanted;
};
struct tm_outside_insert {
	struct tm_str text; /* malloc'd, as the statement */
	struct tm_cass_statement *statement;
	int users;
};
struct tm_outside {
	struct tm_tables t;
	struct tm_cass_session *session;
	struct tm_cass_tls_context *tls;
	int consistency, read_consistency;
	struct tm_arena arena; /* options */
	struct tm_cassandra_client_options plain;

	pthread_mutex_t lock; /* rank: above the session's; not held while waiting for the server, but for `client` */
	struct {
		struct tm_outside_def **items;
		size_t count, cap;
	} defs;
	struct {
		struct tm_outside_loaded *items;
		size_t count, cap;
	} loaded;
	struct {
		struct tm_outside_insert **items;
		size_t count, cap;
	} inserts;
	struct {
		struct tm_str *items;
		size_t count, cap;
	} used; /* keyspaces; malloc'd */
	struct {
		struct tm_outside_count *items;
		size_t count, cap;
	} counts;
	pthread_t counter; /* counts rows aside */
	bool counter_on, counter_stop;
	pthread_cond_t counter_woken;
	pthread_mutex_t client_lock;
	struct tm_cassandra_client *client; /* before protocol v5: statements in a keyspace of USE */
};

/* tables_schema.c */
tm_rc tm_outside_table(struct tm_tables *t, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret,
		       struct tm_err *err);
void tm_outside_unref(struct tm_tables *t, const struct tm_table_def *def);
tm_rc tm_outside_list(struct tm_tables *t, const struct tm_table_def ***ret, size_t *ret_count, struct tm_err *err);
void tm_outside_uses(struct tm_tables *t, struct tm_str keyspace);
void tm_outside_defs_done(struct tm_outside *o);
/* A type as system_schema writes it; types of users by name from rows of system_schema.types (one keyspace's). NULL: too many types. */
const struct tm_cql_type *tm_outside_type(struct tm_str text, struct tm_str keyspace, const struct tm_cql_result *types);

/* tables_count.c */
tm_rc tm_outside_count(struct tm_tables *t, const struct tm_table_def *def, int64_t max_age_ms, int64_t *ret, struct tm_err *err);
void tm_outside_counts_done(struct tm_outside *o); /* before the session is closed */

/* tables_write.c */
tm_rc tm_outside_write(struct tm_tables *t, const struct tm_tables_write *write, struct tm_err *err);
void tm_outside_inserts_done(struct tm_outside *o);

struct tm_cass_waiter tm_outside_waiter(const struct tm_broker_caller *caller);
#endif
