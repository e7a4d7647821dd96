/* The list of metrics that were touched at least once. */
#include "base/metrics.h"

static struct tm_metric *head;

static void enlist(struct tm_metric *m)
{
	if (__atomic_load_n(&m->registered, __ATOMIC_ACQUIRE) || __atomic_exchange_n(&m->registered, 1, __ATOMIC_ACQ_REL))
		return;
	struct tm_metric *old = __atomic_load_n(&head, __ATOMIC_ACQUIRE);
	do {
		m->next = old;
	} while (!__atomic_compare_exchange_n(&head, &old, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

void tm_metric_add(struct tm_metric *m, int64_t n)
{
	enlist(m);
	__atomic_fetch_add(&m->value, n, __ATOMIC_RELAXED);
}

void tm_metric_set(struct tm_metric *m, int64_t v)
{
	enlist(m);
	__atomic_store_n(&m->value, v, __ATOMIC_RELAXED);
}

int64_t tm_metric_get(const struct tm_metric *m) { return __atomic_load_n(&m->value, __ATOMIC_RELAXED); }

void tm_metrics_render(struct tm_buf *out)
{
	for (struct tm_metric *m = __atomic_load_n(&head, __ATOMIC_ACQUIRE); m; m = m->next)
		tm_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", m->name, m->help, m->name, m->gauge ? "gauge" : "counter",
			      m->name, (long long)tm_metric_get(m));
}
