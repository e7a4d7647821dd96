/* What to do with a call that a server answered with an error, or that lost its connection. Pure decisions. */
#ifndef TM_CASSANDRA_RETRY_H
#define TM_CASSANDRA_RETRY_H
#include "cassandra/protocol.h"

enum tm_cass_retry {
	TM_CASS_FAIL,
	TM_CASS_AGAIN, /* at once, on another node where there is one */
	TM_CASS_LATER, /* after a pause that grows */
	TM_CASS_TELL   /* after the node was told the statement */
};
/* attempts: how often it was sent so far, at least 1. Not idempotent: as the drivers' default policy, once, where the server's words say
 * that nothing was written. Idempotent: also what may have worked. patient: without end. */
enum tm_cass_retry tm_cass_retry_error(const struct tm_cass_error *error, bool idempotent, bool patient, int attempts);
/* The connection broke, or no answer came in time, after the call was sent. */
enum tm_cass_retry tm_cass_retry_lost(bool idempotent, bool patient, int attempts);
/* The pause before the attempt after `attempts`: 20 ms, 40 … up to 2 s; random in 0 … 2^32-1 spreads it by a quarter. */
int64_t tm_cass_retry_pause_ns(int attempts, uint32_t random);
/* How long a node that does not answer is left alone: 0.1 s … 5 s. */
int64_t tm_cass_reconnect_pause_ns(int attempts, uint32_t random);
tm_rc tm_cass_error_rc(int code);
#endif
