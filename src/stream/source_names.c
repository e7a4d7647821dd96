/* Names in FROM that are neither view nor file: topics and tables of the running instance. */
#include "stream/broker.h"
#include "stream/source.h"
#include "stream/tables.h"

bool tm_source_exists(const struct tm_stream_world *world, struct tm_str format, struct tm_str keyspace, struct tm_str name)
{
	if (tm_str_iis(format, "kafka")) {
		struct tm_broker *own, *broker = tm_broker_of(world, &own);
		struct tm_broker_topic topic;
		bool there = broker && broker->klass->topic(broker, name, &topic, NULL) == TM_OK;
		tm_broker_free(own);
		return there;
	}
	const struct tm_table_def *def;
	if (tm_tables_find(world, keyspace, name, &def, NULL) != TM_OK)
		return false;
	tm_tables_unref(world, def);
	return true;
}
