/* Private to the room: calendar and time zones, the store, the scheduler's structures. */
#ifndef TM_DAG_DAG_INT_H
#define TM_DAG_DAG_INT_H
#include "dag/dag.h"

#define TM_DAG_US INT64_C(1000000)

/* ---- calendar.c: proleptic Gregorian days and ISO texts ---- */
int64_t tm_days_of(int year, int month, int day);                     /* since 1970-01-01 */
void tm_days_to(int64_t days, int *ret_year, int *ret_month, int *ret_day);
int tm_month_days(int year, int month);
/* "2026-01-02T03:04:05[.ffffff][Z|+hh:mm]"; without an offset UTC. */
bool tm_iso_parse(struct tm_str s, int64_t *ret_us);
void tm_iso_put(struct tm_buf *out, int64_t us, char sep);            /* 2026-01-02T03:04:05.123456+00:00, fraction only when there is one */

/* ---- zone.c: time zones (ICU); one handle belongs to one thread at a time ---- */
struct tm_zone;
tm_rc tm_zone_open(const char *name, struct tm_zone **ret, struct tm_err *err) TM_CHECKED; /* IANA name, "UTC", "+02:00" */
void tm_zone_close(struct tm_zone *z);
int64_t tm_zone_local(struct tm_zone *z, int64_t us);                 /* wall clock of an instant, as if it were UTC */
int64_t tm_zone_utc(struct tm_zone *z, int64_t local_us);             /* an hour that exists twice: the later; one that does not: moved on by the gap */

/* ---- cron.c ---- */
bool tm_cron_every_hour(const struct tm_cron *c);
#endif
