/* Names in FROM that are neither view nor file: topics and tables of the running instance. */
#include "log/log.h"
#include "stream/source.h"
#include "table/table.h"

bool tm_source_exists(const struct tm_stream_world *world, struct tm_str format, struct tm_str keyspace, struct tm_str name)
{
	if (tm_str_iis(format, "kafka")) {
		struct tm_topic *topic = world->log ? tm_log_topic_find(world->log, name) : NULL;
		if (!topic)
			return false;
		tm_topic_unref(topic);
		return true;
	}
	const struct tm_table_def *def = world->store ? tm_store_table(world->store, keyspace, name) : NULL;
	if (!def)
		return false;
	tm_table_def_unref(world->store, def);
	return true;
}
