/* How long a task waits for its next try: a fixed delay, or an exponential one whose jitter is a hash of the try, so that
 * it is the same on every machine and after every restart. */
#include <math.h>
#include <openssl/evp.h>
#include "dag/dag_int.h"

#define WAIT_MAX_S 86400.0

double tm_dag_retry_wait_s(const char *dag_id, const char *task_id, const char *logical_date, int try_number, double retry_delay_s,
			   double factor, double max_retry_delay_s)
{
	if (factor <= 0)
		return retry_delay_s;
	double base = ceil(retry_delay_s * pow(factor, try_number - 1));
	if (base < 1)
		base = 1;
	double wait = WAIT_MAX_S;
	if (base < WAIT_MAX_S) {
		struct tm_buf text = {0};
		tm_buf_printf(&text, "%s#%s#%s#%d", dag_id, task_id, logical_date, try_number);
		unsigned char sum[EVP_MAX_MD_SIZE];
		unsigned n = 0;
		TM_ASSERT(EVP_Digest(text.at, text.len, sum, &n, EVP_sha1(), NULL) == 1);
		tm_buf_done(&text);
		uint64_t b = (uint64_t)base, rest = 0;
		for (unsigned i = 0; i < n; i++)
			rest = (rest << 8 | sum[i]) % b;
		wait = fmin((double)(b + rest), WAIT_MAX_S);
	}
	return max_retry_delay_s >= 0 ? fmin(wait, max_retry_delay_s) : wait;
}
