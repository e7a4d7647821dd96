/* A real Cassandra behind `store: cassandra://user:password@host:port,host:port?local_dc=…`: struct tm_tables over a session. */
#ifndef TM_CASSANDRA_TABLES_H
#define TM_CASSANDRA_TABLES_H
#include "stream/tables.h"

struct tm_cassandra_client; /* client.h */
struct tm_cass_session;     /* session.h */

/* Parameters: local_dc, consistency (of writes, LOCAL_QUORUM), read_consistency (LOCAL_ONE), compression (lz4), protocol_version,
 * request_timeout_ms. Connects; says what is wrong where that cannot be. */
tm_rc tm_tables_cassandra_open(struct tm_str url, struct tm_tables **ret, struct tm_err *err) TM_CHECKED;
/* The session behind it, for calls of one's own; *ret_consistency: that of writes. */
struct tm_cass_session *tm_tables_cassandra_session(struct tm_tables *tables, int *ret_consistency);
/* A blocking client of the first contact point that answers. */
tm_rc tm_tables_cassandra_client(struct tm_str url, struct tm_cassandra_client **ret, struct tm_err *err) TM_CHECKED;
/* The address alone: what is wrong with it, without connecting. */
tm_rc tm_tables_cassandra_check(struct tm_str url, struct tm_err *err) TM_CHECKED;
#endif
