/* A small blocking client of the native protocol, on the server's codec: one connection, one request at a time. For the
 * command line and for tests; not for load. Falls back from v5 to v4 and v3 as a driver does. */
#ifndef TM_CASSANDRA_CLIENT_H
#define TM_CASSANDRA_CLIENT_H
#include "cql/cql.h"

struct tm_cassandra_client;
struct tm_cassandra_client_options {
	const char *host;            /* name or address; NULL = 127.0.0.1 */
	int port;                    /* 0 = 9042 */
	int timeout_ms;              /* of connecting and of each request; 0 = 30,000 */
	int version;                 /* 3 to 5; 0 = the highest both know */
	const char *user, *password; /* answered when the server asks; NULL = none */
	const char *compression;     /* "lz4" or NULL */
	bool tls, tls_any_name;      /* any_name: the certificate need not name the host */
	const char *tls_ca;          /* authorities, in PEM; NULL = the system's */
};
/* TM_UNAVAILABLE when nobody listens there. */
tm_rc tm_cassandra_client_open(const struct tm_cassandra_client_options *options, struct tm_cassandra_client **ret,
			       struct tm_err *err) TM_CHECKED;
void tm_cassandra_client_close(struct tm_cassandra_client *client); /* NULL is fine */

/* Runs one statement. options NULL = consistency ONE, pages of 5,000 rows; for the next page set options->paging_state to the
 * last result's. The result is the arena's. An error of the server has its CQL code in err->code and its words in err->what. */
tm_rc tm_cassandra_client_query(struct tm_cassandra_client *client, struct tm_str text, const struct tm_cql_query_options *options,
				struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err) TM_CHECKED;

/* Prepared: what PREPARE said, in the arena it was made in, which must live as long as it is used. */
struct tm_cassandra_statement {
	struct tm_str id, result_metadata_id;
	struct tm_cql_column_spec *markers;
	size_t marker_count;
	struct tm_cql_result known; /* its columns */
};
tm_rc tm_cassandra_client_prepare(struct tm_cassandra_client *client, struct tm_str text, struct tm_arena *arena,
				  struct tm_cassandra_statement *ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_cassandra_client_execute(struct tm_cassandra_client *client, const struct tm_cassandra_statement *statement,
				  const struct tm_cql_query_options *options, struct tm_arena *arena, struct tm_cql_result *ret,
				  struct tm_err *err) TM_CHECKED;
/* The keyspace of the last USE; empty = none. */
struct tm_str tm_cassandra_client_keyspace(const struct tm_cassandra_client *client);
#endif
