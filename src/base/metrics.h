/* Counters and gauges with Prometheus names. Registered once, updated without a lock, rendered by /metrics.
 *   static struct tm_metric produced = TM_COUNTER("tidemill_kafka_records_in_total", "Records produced, acknowledged or not.");
 *   tm_metric_add(&produced, n); */
#ifndef TM_BASE_METRICS_H
#define TM_BASE_METRICS_H
#include "base/buf.h"

struct tm_metric {
	const char *name, *help;
	bool gauge;
	int64_t value;
	int registered;
	struct tm_metric *next;
};
#define TM_COUNTER(n, h)                                                                                                                   \
	{                                                                                                                                  \
		.name = (n), .help = (h)                                                                                                   \
	}
#define TM_GAUGE(n, h)                                                                                                                     \
	{                                                                                                                                  \
		.name = (n), .help = (h), .gauge = true                                                                                    \
	}
void tm_metric_add(struct tm_metric *m, int64_t n);
void tm_metric_set(struct tm_metric *m, int64_t v);
int64_t tm_metric_get(const struct tm_metric *m);
/* Text exposition format of all metrics that were touched. */
void tm_metrics_render(struct tm_buf *out);
#endif
