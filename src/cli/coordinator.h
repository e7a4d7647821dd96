/* The stage `coordinator`: several instances of a project, one of which acts (docs/coordinator.md). The coordinator lives as long as the
 * process; an instance is attached to it. It begins as a follower: its page shows, its scheduler stands by, its store follows the journal.
 * When it is elected it fences its predecessor, reads the journal to the end, and starts queries and scheduler in place. When it cannot be
 * sure of its lead any more, nothing it does counts from that moment on; the instance is then stopped and started again as a follower. */
#ifndef TM_CLI_COORDINATOR_H
#define TM_CLI_COORDINATOR_H
#include "base/base.h"

#define TM_COORDINATOR_CONFIG_NAME "the shared configuration in ZooKeeper" /* the file of its errors */
struct tm_coordinator;
struct tm_instance;
struct tm_config;

/* Refuses what cannot work: a wrong address; an embedded broker, since the journal is kept in a real one; an embedded store where pipelines
 * or tables need one that the others see too; a Spark whose checkpoints the others do not see. Does nothing without a coordinator. */
tm_rc tm_coordinator_check(const struct tm_config *config, struct tm_err *err) TM_CHECKED;
/* Connects to ZooKeeper (in the background) and waits a moment for the shared configuration. *ret NULL: the project has no coordinator. */
tm_rc tm_coordinator_start(const char *dir, struct tm_coordinator **ret, struct tm_err *err) TM_CHECKED;
void tm_coordinator_stop(struct tm_coordinator *c); /* NULL is fine */
/* Readable when the instance has to be stopped and started again, or (tm_coordinator_failed) ended. */
int tm_coordinator_fd(const struct tm_coordinator *c);
/* Why the instance cannot act although it was elected; the process ends with it. */
bool tm_coordinator_failed(struct tm_coordinator *c, struct tm_err *err);
/* tm_config_load with the shared configuration, checked. Where that has become wrong since it was right, what was right last. On an error,
 * too, config is to be done. */
tm_rc tm_coordinator_config_load(struct tm_coordinator *c, const char *dir, struct tm_config *config, struct tm_err *err) TM_CHECKED;

/* ---- an instance ---- its store, scheduler (standing by), pipelines and page are there; queries are not started */
tm_rc tm_coordinator_attach(struct tm_coordinator *c, struct tm_instance *in, struct tm_err *err) TM_CHECKED;
void tm_coordinator_halt(struct tm_coordinator *c);   /* it begins nothing more; before queries and scheduler are stopped */
void tm_coordinator_detach(struct tm_coordinator *c); /* they are stopped: the next instance may lead */
bool tm_coordinator_acts(struct tm_coordinator *c);   /* the queries run here */

/* Appends to a JSON array of findings: whom this instance follows, what is waited for, what of the shared configuration needs a restart. */
struct json_t;
void tm_coordinator_findings(struct tm_coordinator *c, struct json_t *list);
/* {"role": "leader" | "follower" | "waiting", "leader", "self", "instances", "term", "waiting_for", "session_timeout_ms", "config": …}. */
void tm_coordinator_json(struct tm_coordinator *c, struct tm_buf *out);
#endif
