/* TLS for the clients: bytes in, bytes out, no socket. The certificate of the server is always checked against authorities; its name too,
 * unless that is waived (nodes are often reached by addresses that no certificate names). */
#ifndef TM_CASSANDRA_TLS_H
#define TM_CASSANDRA_TLS_H
#include "base/base.h"

struct tm_cass_tls_context; /* shared by connections */
/* ca_file: authorities in PEM; NULL = the system's. */
tm_rc tm_cass_tls_context_new(const char *ca_file, bool any_name, struct tm_cass_tls_context **ret, struct tm_err *err) TM_CHECKED;
void tm_cass_tls_context_free(struct tm_cass_tls_context *context); /* NULL is fine */

struct tm_cass_tls;
struct tm_cass_tls *tm_cass_tls_new(struct tm_cass_tls_context *context, const char *host);
void tm_cass_tls_free(struct tm_cass_tls *tls); /* NULL is fine */
/* What came (n 0 at the start): what it says goes to plain, what has to be answered to out. False: it cannot go on, why says so. */
bool tm_cass_tls_take(struct tm_cass_tls *tls, const char *data, size_t n, struct tm_buf *plain, struct tm_buf *out, char *why,
		      size_t why_size);
bool tm_cass_tls_ready(const struct tm_cass_tls *tls); /* the handshake is done */
void tm_cass_tls_put(struct tm_cass_tls *tls, struct tm_str plain, struct tm_buf *out);
#endif
