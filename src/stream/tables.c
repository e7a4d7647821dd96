/* The world's tables, whoever keeps them. */
#include "stream/tables.h"
#include "stream/source.h"
#include <stdlib.h>

struct tm_tables *tm_tables_of(const struct tm_stream_world *world, struct tm_str keyspace)
{
	return tm_str_is(keyspace, "tidemill") ? NULL : world->tables;
}

tm_rc tm_tables_find(const struct tm_stream_world *world, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret,
		     struct tm_err *err)
{
	struct tm_tables *outside = tm_tables_of(world, keyspace);
	if (outside)
		return outside->klass->table(outside, keyspace, name, ret, err);
	*ret = world->store ? tm_store_table(world->store, keyspace, name) : NULL;
	return *ret ? TM_OK : tm_fail(err, TM_NOT_FOUND, "there is no table %.*s.%.*s", TM_STR_ARG(keyspace), TM_STR_ARG(name));
}

void tm_tables_unref(const struct tm_stream_world *world, const struct tm_table_def *def)
{
	struct tm_tables *outside = tm_tables_of(world, def->keyspace);
	if (outside)
		outside->klass->table_unref(outside, def);
	else
		tm_table_def_unref(world->store, def);
}

tm_rc tm_tables_list(const struct tm_stream_world *world, const struct tm_table_def ***ret, size_t *ret_count, struct tm_err *err)
{
	const struct tm_table_def **own = NULL, **others = NULL;
	size_t own_count = 0, other_count = 0, n = 0;
	if (world->tables)
		TM_TRY(world->tables->klass->list(world->tables, &others, &other_count, err));
	if (world->store)
		own_count = tm_store_tables(world->store, &own);
	const struct tm_table_def **all = tm_zalloc(tm_mul_size(own_count + other_count + 1, sizeof *all));
	for (size_t i = 0; i < other_count; i++)
		if (tm_tables_of(world, others[i]->keyspace))
			all[n++] = others[i];
		else
			world->tables->klass->table_unref(world->tables, others[i]);
	for (size_t i = 0; i < own_count; i++)
		if (!tm_tables_of(world, own[i]->keyspace))
			all[n++] = own[i];
		else /* made before the store was handed over: nobody writes it any more */
			tm_table_def_unref(world->store, own[i]);
	free(own);
	free(others);
	*ret = all;
	*ret_count = n;
	return TM_OK;
}

tm_rc tm_tables_count(const struct tm_stream_world *world, const struct tm_table_def *def, int64_t max_age_ms, int64_t *ret,
		      struct tm_err *err)
{
	struct tm_tables *outside = tm_tables_of(world, def->keyspace);
	return outside ? outside->klass->count(outside, def, max_age_ms, ret, err) : tm_table_count(world->store, def, ret, err);
}
