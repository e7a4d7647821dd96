/* Retrying, as Cassandra's drivers do. */
#include "cassandra/retry.h"

enum { ATTEMPTS_MAX = 4 };

enum tm_cass_retry tm_cass_retry_error(const struct tm_cass_error *e, bool idempotent, bool patient, int attempts)
{
	bool first = attempts <= 1, enough = !patient && attempts >= ATTEMPTS_MAX;
	switch (e->code) {
	case TM_CASS_E_UNPREPARED:
		return patient || attempts < 2 * ATTEMPTS_MAX ? TM_CASS_TELL : TM_CASS_FAIL;
	case TM_CASS_E_BOOTSTRAPPING: /* it took nothing */
		return enough ? TM_CASS_FAIL : TM_CASS_LATER;
	case TM_CASS_E_UNAVAILABLE: /* nothing was written: another node may see more replicas */
		if (first)
			return TM_CASS_AGAIN;
		return idempotent && !enough ? TM_CASS_LATER : TM_CASS_FAIL;
	case TM_CASS_E_WRITE_TIMEOUT: /* the batch log took it: Cassandra will see to it, or it may be sent again */
		if (first && tm_str_is(e->write_type, "BATCH_LOG"))
			return TM_CASS_AGAIN;
		return idempotent && !enough ? TM_CASS_LATER : TM_CASS_FAIL;
	case TM_CASS_E_READ_TIMEOUT: /* enough replicas answered, without the data: the one with it was too late */
		if (first && e->received >= e->required && !e->data_present)
			return TM_CASS_AGAIN;
		return idempotent && !enough ? TM_CASS_LATER : TM_CASS_FAIL;
	case TM_CASS_E_SERVER:
	case TM_CASS_E_OVERLOADED:
	case TM_CASS_E_TRUNCATE:
		return idempotent && !enough ? TM_CASS_LATER : TM_CASS_FAIL;
	case TM_CASS_E_READ_FAILURE: /* a replica failed at it, as it would again; but replicas are restarted */
	case TM_CASS_E_WRITE_FAILURE:
		return idempotent && patient ? TM_CASS_LATER : TM_CASS_FAIL;
	default:
		return TM_CASS_FAIL;
	}
}

enum tm_cass_retry tm_cass_retry_lost(bool idempotent, bool patient, int attempts)
{
	return idempotent && (patient || attempts < ATTEMPTS_MAX) ? TM_CASS_LATER : TM_CASS_FAIL;
}

static int64_t grown(int64_t first_ns, int64_t most_ns, int attempts, uint32_t random)
{
	int64_t ns = first_ns;
	for (int i = 1; i < attempts && ns < most_ns; i++)
		ns *= 2;
	ns = ns < most_ns ? ns : most_ns;
	return ns * 3 / 4 + (int64_t)((double)ns / 2 * ((double)random / 4294967296.0));
}

int64_t tm_cass_retry_pause_ns(int attempts, uint32_t random) { return grown(20000000, 2000000000, attempts, random); }

int64_t tm_cass_reconnect_pause_ns(int attempts, uint32_t random) { return grown(100000000, 5000000000, attempts, random); }

tm_rc tm_cass_error_rc(int code)
{
	switch (code) {
	case TM_CASS_E_SYNTAX:
		return TM_SYNTAX;
	case TM_CASS_E_UNAUTHORIZED:
	case TM_CASS_E_CREDENTIALS:
		return TM_DENIED;
	case TM_CASS_E_EXISTS:
		return TM_EXISTS;
	case TM_CASS_E_UNAVAILABLE:
	case TM_CASS_E_BOOTSTRAPPING:
		return TM_UNAVAILABLE;
	case TM_CASS_E_OVERLOADED:
		return TM_BUSY;
	case TM_CASS_E_WRITE_TIMEOUT:
	case TM_CASS_E_READ_TIMEOUT:
		return TM_TIMEOUT;
	case TM_CASS_E_SERVER:
		return TM_INTERNAL;
	default:
		return TM_INVALID;
	}
}
