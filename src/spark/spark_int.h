/* The inside of the running engine, shared by engine.c (the process) and events.c (what it tells). */
#ifndef TM_SPARK_SPARK_INT_H
#define TM_SPARK_SPARK_INT_H
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include "base/base.h"
#include "dag/spawn.h"
#include "spark/spark.h"
#include "stream/broker.h"

extern char **environ;

enum { OPS_MAX = 16, DEAD_MAX = 8 };

/* One query as Spark told it last. Under the engine's lock. */
struct watched {
	const struct tm_query_spec *spec;
	struct tm_str file;
	struct tm_query *query;
	struct tm_str *topics; /* that it reads by name */
	size_t topic_count;
	bool asked; /* its start, of the process that runs */
	bool held;  /* its topics are not there yet */
	int quiet;  /* looks at its sources, since the question, that found nothing */
	struct tm_query_progress now;
	struct tm_op_progress ops[OPS_MAX];
	struct tm_dead_reason dead[DEAD_MAX];
	char labels[OPS_MAX][48], reasons[DEAD_MAX][48], waiting[200];
};

enum spark_state { SPARK_STARTING, SPARK_UP, SPARK_RESTING, SPARK_FAILED, SPARK_ENDED };
struct tm_spark {
	struct tm_spark_options options;
	const struct tm_env *env;
	struct tm_arena arena;
	struct watched *queries;
	size_t query_count, *first_query; /* of each pipeline */
	char log_path[4200];

	/* of the engine's thread */
	pthread_t thread;
	bool has_thread;
	int wake_fd; /* eventfd */
	int command_fd, event_fd, pid_fd;
	pid_t pid;
	struct tm_buf incoming;
	int64_t began_ns, heard_ns, rest_until_ns, told_ns;
	int rest_ms, deaths; /* deaths: since it was up */
	bool silent;         /* it was said that it does not answer */

	/* with a coordinator: the keeper's thread, which waits for nothing but the process's lock */
	pthread_t keeper;
	bool has_keeper, keeps, lost; /* keeps: atomic; lost: the process was killed with the lead, atomic */
	int64_t lease_ns;             /* what the process was told last of options.lead_until_ns */
	pthread_mutex_t process;      /* rank: above lock; guards pid, command_fd and what is written there */

	pthread_mutex_t lock; /* rank: above a query's */
	enum spark_state state;
	bool stop, asking;
	char why[300]; /* why it rests or failed */
};

/* events.c */
void tm_spark_take(struct tm_spark *s, const json_t *event);
void tm_spark_all_wait(struct tm_spark *s, const char *why); /* every query that is not over: waits for this */
void tm_spark_all_fail(struct tm_spark *s, const struct tm_err *err);
bool tm_spark_topics_there(struct tm_spark *s, struct watched *w, char *missing, size_t size);
bool tm_spark_caught_up(void *ctx, const struct tm_query *query);
void tm_spark_report_locked(struct watched *w);
#endif
