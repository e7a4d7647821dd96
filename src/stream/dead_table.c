/* See dead_table.h. */
#include "stream/dead_table.h"
#include "table/schema.h"

enum { DEAD_TTL_S = 30 * 24 * 3600 };

static const struct {
	const char *name;
	enum tm_column_kind kind;
	enum tm_cql_kind type;
	size_t position;
} dead_columns[TM_DEAD_COUNT] = {
    [TM_DEAD_QUERY] = {"query", TM_COLUMN_PARTITION_KEY, TM_CQL_VARCHAR, 0},
    [TM_DEAD_BATCH] = {"batch", TM_COLUMN_CLUSTERING, TM_CQL_BIGINT, 0},
    [TM_DEAD_NUMBER] = {"number", TM_COLUMN_CLUSTERING, TM_CQL_INT, 1},
    [TM_DEAD_AT] = {"at", TM_COLUMN_REGULAR, TM_CQL_TIMESTAMP, 0},
    [TM_DEAD_DETAIL] = {"detail", TM_COLUMN_REGULAR, TM_CQL_VARCHAR, 0},
    [TM_DEAD_KEY] = {"key", TM_COLUMN_REGULAR, TM_CQL_BLOB, 0},
    [TM_DEAD_OFFSET] = {"offset", TM_COLUMN_REGULAR, TM_CQL_BIGINT, 0},
    [TM_DEAD_PARTITION] = {"partition", TM_COLUMN_REGULAR, TM_CQL_INT, 0},
    [TM_DEAD_REASON] = {"reason", TM_COLUMN_REGULAR, TM_CQL_VARCHAR, 0},
    [TM_DEAD_TOPIC] = {"topic", TM_COLUMN_REGULAR, TM_CQL_VARCHAR, 0},
    [TM_DEAD_VALUE] = {"value", TM_COLUMN_REGULAR, TM_CQL_BLOB, 0},
    [TM_DEAD_WATERMARK] = {"watermark", TM_COLUMN_REGULAR, TM_CQL_TIMESTAMP, 0},
};

const char *const tm_dead_columns[TM_DEAD_COUNT] = {"query",  "batch",     "number", "at",    "detail", "key",
						    "offset", "partition", "reason", "topic", "value",  "watermark"};

static tm_rc make_table(struct tm_store *store, struct tm_err *err)
{
	const struct tm_schema *schema = tm_store_schema(store);
	bool has_keyspace = tm_schema_keyspace(schema, TM_STR("tidemill")) != NULL;
	tm_schema_unref(store, schema);
	if (!has_keyspace) {
		struct tm_map_entry entries[] = {{TM_STR("class"), TM_STR("org.apache.cassandra.locator.SimpleStrategy")},
						 {TM_STR("replication_factor"), TM_STR("1")}};
		const struct tm_map replication = {entries, 2};
		TM_TRY(tm_store_keyspace_put(store, TM_STR("tidemill"), &replication, true, err));
	}
	struct tm_table_column columns[TM_DEAD_COUNT];
	for (size_t i = 0; i < TM_DEAD_COUNT; i++)
		columns[i] = (struct tm_table_column){tm_str_of(dead_columns[i].name), dead_columns[i].kind, dead_columns[i].position,
						      tm_type_native(dead_columns[i].type)};
	struct tm_table spec = {.def = {.keyspace = TM_STR("tidemill"),
					.name = TM_STR("dead_letters"),
					.columns = columns,
					.column_count = TM_DEAD_COUNT,
					.partition_key_count = 1,
					.clustering_count = 2,
					.default_ttl = DEAD_TTL_S,
					.comment = TM_STR("Rows that a pipeline could not use, with the reason and the record's bytes.")},
				.params = tm_table_params_default};
	spec.params.default_time_to_live = DEAD_TTL_S;
	spec.params.comment = spec.def.comment;
	return tm_store_table_put(store, &spec, err);
}

tm_rc tm_dead_table(struct tm_store *store, const struct tm_table_def **ret, struct tm_err *err)
{
	tm_store_ddl_lock(store);
	tm_rc rc = TM_OK;
	*ret = tm_store_table(store, TM_STR("tidemill"), TM_STR("dead_letters"));
	if (!*ret) {
		rc = make_table(store, err);
		if (!rc)
			*ret = tm_store_table(store, TM_STR("tidemill"), TM_STR("dead_letters"));
	}
	tm_store_ddl_unlock(store);
	if (!rc && !*ret)
		rc = tm_fail(err, TM_INTERNAL, "the table tidemill.dead_letters could not be made");
	return rc;
}
