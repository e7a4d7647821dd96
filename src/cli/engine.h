/* The stage `engine` (engine.c). Where it is embedded only tm_engine_is_spark is asked. */
#ifndef TM_CLI_ENGINE_H
#define TM_CLI_ENGINE_H
#include "cli/instance.h"

struct tm_spark_place;
bool tm_engine_is_spark(const struct tm_config *config);
/* host:port,… of the broker, for those outside this process: our door's, or the real one's. */
const char *tm_instance_kafka_address(struct tm_instance *instance);
/* What queries that run elsewhere reach: topics, tables and their shapes. */
void tm_engine_place(struct tm_instance *instance, struct tm_spark_place *ret);
/* Says what is wrong with the configuration and the pipelines; starts nothing. lead_until_ns as in tm_spark_options. */
tm_rc tm_instance_engine_prepare(struct tm_instance *instance, int64_t (*lead_until_ns)(void *ctx), void *ctx,
				 struct tm_err *err) TM_CHECKED;
/* Prepares what was not prepared; Spark itself comes up in the background. Fills the pipelines' queries. */
tm_rc tm_instance_engine_start(struct tm_instance *instance, struct tm_err *err) TM_CHECKED;
void tm_instance_engine_halt(struct tm_instance *instance); /* Spark ends; the queries can still be looked at */
void tm_instance_engine_stop(struct tm_instance *instance);
void tm_instance_engine_disturbed(struct tm_instance *instance); /* a DAG runs: topics may grow */
/* Refuses checkpoints that the next leader would not find. */
tm_rc tm_engine_check_shared(const struct tm_config *config, struct tm_err *err) TM_CHECKED;
/* The version of the Spark that the configuration names, as tm_spark_check takes it. */
tm_rc tm_engine_check_version(struct tm_instance *instance, int *ret_version, struct tm_err *err) TM_CHECKED;
#endif
