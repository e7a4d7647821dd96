/* What `check` and a start look at where a stage is outside: does it answer, does it let us in, is what the pipelines name there? */
#ifndef TM_CLI_CHECK_OUTSIDE_H
#define TM_CLI_CHECK_OUTSIDE_H
#include "cli/instance.h"

struct tm_outside_check {
	struct tm_instance *in; /* its config, broker, and a store with the tables of the project's own files */
	void (*problem)(void *ctx, const struct tm_err *err, bool warning);
	void *ctx;
	bool broker_answers; /* and is outside */
};
/* Connects to broker and store, as far as they are outside. Tables that are in the real store and not in the project's files are made
 * in in->store, so that pipelines can be checked against them; one that is in both and differs is a problem. */
void tm_outside_check(struct tm_outside_check *o);
/* Topics that the pipeline subscribes to and the real broker does not have. */
void tm_outside_check_pipeline(struct tm_outside_check *o, const struct tm_pipeline *pipeline);
#endif
