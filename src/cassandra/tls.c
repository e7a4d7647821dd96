/* TLS over memory: OpenSSL reads from one buffer and writes into another. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/tls.h"

struct tm_cass_tls_context {
	SSL_CTX *ctx;
	bool any_name;
};
struct tm_cass_tls {
	SSL *ssl;
	BIO *in, *out; /* the SSL's own */
	bool ready;
};

static void reason(char *why, size_t size)
{
	unsigned long code = ERR_get_error();
	snprintf(why, size, "TLS: %s", code ? ERR_reason_error_string(code) : "the connection was closed");
	ERR_clear_error();
}

tm_rc tm_cass_tls_context_new(const char *ca_file, bool any_name, struct tm_cass_tls_context **ret, struct tm_err *err)
{
	char why[200];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		return tm_fail(err, TM_NOMEM, "out of memory");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if ((ca_file ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL) : SSL_CTX_set_default_verify_paths(ctx)) != 1) {
		reason(why, sizeof why);
		SSL_CTX_free(ctx);
		return tm_fail(err, TM_INVALID, "the certificates of authorities in %s cannot be read: %s",
			       ca_file ? ca_file : "the system", why);
	}
	*ret = tm_zalloc(sizeof **ret);
	**ret = (struct tm_cass_tls_context){ctx, any_name};
	return TM_OK;
}

void tm_cass_tls_context_free(struct tm_cass_tls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

struct tm_cass_tls *tm_cass_tls_new(struct tm_cass_tls_context *c, const char *host)
{
	struct tm_cass_tls *t = tm_zalloc(sizeof *t);
	unsigned char address[16];
	t->ssl = SSL_new(c->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	TM_ASSERT(t->ssl && t->in && t->out);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	bool numeric = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	if (!numeric)
		SSL_set_tlsext_host_name(t->ssl, host);
	if (!c->any_name && numeric)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host);
	else if (!c->any_name)
		SSL_set1_host(t->ssl, host);
	return t;
}

void tm_cass_tls_free(struct tm_cass_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

bool tm_cass_tls_ready(const struct tm_cass_tls *t) { return t->ready; }

static void drain(struct tm_cass_tls *t, struct tm_buf *out)
{
	int n = (int)BIO_ctrl_pending(t->out);
	if (n > 0 && BIO_read(t->out, tm_buf_reserve(out, (size_t)n), n) == n)
		out->len += (size_t)n;
}

/* What the certificate lacks, in words of people. */
static void refusal(struct tm_cass_tls *t, char *why, size_t size)
{
	long result = SSL_get_verify_result(t->ssl);
	if (result == X509_V_OK)
		reason(why, size);
	else
		snprintf(why, size, "TLS: its certificate is not accepted: %s", X509_verify_cert_error_string(result));
	ERR_clear_error();
}

bool tm_cass_tls_take(struct tm_cass_tls *t, const char *data, size_t n, struct tm_buf *plain, struct tm_buf *out, char *why,
		      size_t why_size)
{
	enum { PIECE = 16384 };
	ERR_clear_error();
	while (n > 0) {
		int part = n > INT32_MAX ? INT32_MAX : (int)n, put = BIO_write(t->in, data, part);
		if (put <= 0)
			break;
		data += put;
		n -= (size_t)put;
	}
	bool good = true;
	if (!t->ready) {
		int rc = SSL_do_handshake(t->ssl);
		t->ready = rc == 1;
		if (rc != 1 && SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ) {
			refusal(t, why, why_size);
			good = false;
		}
	}
	while (good && t->ready) {
		int got = SSL_read(t->ssl, tm_buf_reserve(plain, PIECE), PIECE);
		if (got > 0) {
			plain->len += (size_t)got;
			continue;
		}
		int e = SSL_get_error(t->ssl, got);
		if (e != SSL_ERROR_WANT_READ) {
			reason(why, why_size);
			good = e == SSL_ERROR_ZERO_RETURN && plain->len; /* first what was said before the end */
		}
		break;
	}
	drain(t, out); /* an alert says to the server what we do not like */
	return good;
}

void tm_cass_tls_put(struct tm_cass_tls *t, struct tm_str plain, struct tm_buf *out)
{
	while (plain.len > 0) {
		int n = SSL_write(t->ssl, plain.at, plain.len > INT32_MAX ? INT32_MAX : (int)plain.len);
		if (n <= 0)
			break; /* memory takes everything; what ended the session is seen when reading */
		plain = tm_str_slice(plain, (size_t)n, plain.len);
	}
	drain(t, out);
}
