/* The stage `engine`: who runs the streaming queries. Embedded, or a real Spark (spark room), which reaches topics and tables at our
 * doors, or at the real broker and store where those are outside. */
#include "cli/engine.h"
#include "base/url.h"
#include "spark/spark.h"
#include "stream/tables.h"
#include <stdio.h>
#include <string.h>

bool tm_engine_is_spark(const struct tm_config *c) { return strcmp(c->engine, "embedded") != 0; }

/* ---- addresses ---- */

const char *tm_instance_kafka_address(struct tm_instance *in)
{
	const struct tm_config *c = &in->config;
	struct tm_url url;
	if (strcmp(c->broker, "embedded") == 0)
		return tm_arena_printf(&in->arena, "%s:%d", tm_address_here(&c->kafka), c->kafka.port).at;
	if (tm_url_parse(tm_str_of(c->broker), &in->arena, &url, NULL) != TM_OK)
		return "";
	return tm_url_hosts_text(&url, 9092, &in->arena).at;
}

static void kafka_place(struct tm_instance *in, struct tm_spark_place *place)
{
	struct tm_url url;
	place->kafka = tm_instance_kafka_address(in);
	if (strcmp(in->config.broker, "embedded") != 0 && tm_url_parse(tm_str_of(in->config.broker), &in->arena, &url, NULL) == TM_OK)
		tm_spark_kafka_options(&url, &in->arena, &place->kafka_options, &place->kafka_option_count);
}

static void cassandra_place(struct tm_instance *in, struct tm_spark_place *place)
{
	const struct tm_config *c = &in->config;
	struct tm_url url;
	if (strcmp(c->store, "embedded") == 0) {
		place->cassandra_hosts = tm_arena_printf(&in->arena, "%s:%d", tm_address_here(&c->cassandra), c->cassandra.port).at;
		return;
	}
	if (tm_url_parse(tm_str_of(c->store), &in->arena, &url, NULL) != TM_OK)
		return;
	const struct tm_str *dc = tm_url_param(&url, "local_dc");
	place->cassandra_hosts = tm_url_hosts_text(&url, 9042, &in->arena).at;
	place->cassandra_user = url.user.len ? tm_arena_cstr(&in->arena, url.user) : NULL;
	place->cassandra_password = url.password.len ? tm_arena_cstr(&in->arena, url.password) : NULL;
	place->cassandra_dc = dc ? tm_arena_cstr(&in->arena, *dc) : NULL;
}

/* ---- shapes of tables ---- */

static tm_rc find_table(void *ctx, struct tm_str keyspace, struct tm_str name, const struct tm_table_def **ret, struct tm_err *err)
{
	struct tm_instance *in = ctx;
	if (in->world.tables)
		return in->world.tables->klass->table(in->world.tables, keyspace, name, ret, err);
	*ret = tm_store_table(in->store, keyspace, name);
	return *ret ? TM_OK : tm_fail(err, TM_NOT_FOUND, "there is no table");
}

static void release_table(void *ctx, const struct tm_table_def *def)
{
	struct tm_instance *in = ctx;
	if (in->world.tables)
		in->world.tables->klass->table_unref(in->world.tables, def);
	else
		tm_table_def_unref(in->store, def);
}

void tm_engine_place(struct tm_instance *in, struct tm_spark_place *ret)
{
	const char *slash = strrchr(in->config.dir, '/');
	*ret = (struct tm_spark_place){.project_dir = in->config.dir,
				       .project_name = slash ? slash + 1 : in->config.dir,
				       .checkpoint_dir = tm_arena_printf(&in->arena, "%s/spark/checkpoints", in->config.data).at,
				       .tables = {find_table, release_table, in}};
	kafka_place(in, ret);
	cassandra_place(in, ret);
}

/* ---- starting ---- */

static const struct tm_pipeline *const *pipelines_of(struct tm_instance *in)
{
	const struct tm_pipeline **all = TM_NEW_N(&in->arena, const struct tm_pipeline *, in->pipeline_count + 1);
	for (size_t i = 0; i < in->pipeline_count; i++)
		all[i] = in->pipelines[i].pipeline;
	return all;
}

tm_rc tm_instance_engine_prepare(struct tm_instance *in, int64_t (*lead_until_ns)(void *ctx), void *ctx, struct tm_err *err)
{
	struct tm_spark_address *address = TM_NEW(&in->arena, struct tm_spark_address);
	struct tm_spark_place *place = TM_NEW(&in->arena, struct tm_spark_place);
	struct tm_spark_options *options = TM_NEW(&in->arena, struct tm_spark_options);
	const char *version;
	if (!in->pipeline_count)
		return TM_OK;
	*options = (struct tm_spark_options){.address = address,
					     .data_dir = in->config.data,
					     .pipelines = pipelines_of(in),
					     .pipeline_count = in->pipeline_count,
					     .place = place,
					     .broker = in->broker,
					     .lead_until_ns = lead_until_ns,
					     .lead_ctx = ctx};
	TM_TRY(tm_spark_address_parse(tm_str_of(in->config.engine), &in->arena, address, err));
	TM_TRY(tm_spark_python(address, in->config.python, in->config.dir, &in->arena, &options->python, &options->package_dir, &version,
			       err));
	for (size_t p = 0; p < in->pipeline_count; p++)
		TM_TRY(tm_spark_check(in->pipelines[p].pipeline, tm_spark_version_of(version), err));
	tm_engine_place(in, place);
	place->scratch_dir = tm_arena_printf(&in->arena, "%s/spark/tmp", in->config.data).at;
	if (address->checkpoint)
		place->checkpoint_dir = address->checkpoint;
	place->until_idle = in->until_idle;
	in->spark_options = options;
	return TM_OK;
}

tm_rc tm_instance_engine_start(struct tm_instance *in, struct tm_err *err)
{
	if (!in->spark_options)
		TM_TRY(tm_instance_engine_prepare(in, NULL, NULL, err));
	if (!in->pipeline_count)
		return TM_OK;
	TM_TRY(tm_spark_start(in->spark_options, &in->spark, err));
	for (size_t p = 0; p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			__atomic_store_n(&in->pipelines[p].queries[q], tm_spark_query(in->spark, p, q),
					 __ATOMIC_RELEASE); /* the page may be looking */
	return TM_OK;
}

void tm_instance_engine_halt(struct tm_instance *in) { tm_spark_halt(in->spark); }

void tm_instance_engine_stop(struct tm_instance *in)
{
	for (size_t p = 0; in->spark && p < in->pipeline_count; p++)
		for (size_t q = 0; q < in->pipelines[p].pipeline->query_count; q++)
			in->pipelines[p].queries[q] = NULL; /* they are the engine's */
	tm_spark_free(in->spark);
	in->spark = NULL;
}

void tm_instance_engine_disturbed(struct tm_instance *in) { tm_spark_disturbed(in->spark); }

/* ---- checking ---- */

/* Behind scheme:, a path of this machine (file:/p, file:///p, /p); NULL: a relative path, or a place elsewhere (*ret_elsewhere). */
static const char *local_path(const char *checkpoint, bool *ret_elsewhere)
{
	size_t n = 0;
	while ((checkpoint[n] >= 'a' && checkpoint[n] <= 'z') || (n && checkpoint[n] >= '0' && checkpoint[n] <= '9'))
		n++;
	bool url = n && checkpoint[n] == ':' && checkpoint[n + 1] == '/', file = url && strncmp(checkpoint, "file:", 5) == 0;
	*ret_elsewhere = url && !file;
	const char *path = file ? checkpoint + 5 : checkpoint;
	while (path[0] == '/' && path[1] == '/')
		path++;
	return !*ret_elsewhere && *path == '/' ? path : NULL;
}

static bool within(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

tm_rc tm_engine_check_shared(const struct tm_config *config, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_spark_address a;
	bool elsewhere = false;
	tm_arena_init(&arena);
	tm_rc rc = tm_spark_address_parse(tm_str_of(config->engine), &arena, &a, err);
	const char *path = rc == TM_OK && a.checkpoint ? local_path(a.checkpoint, &elsewhere) : NULL;
	if (rc == TM_OK && !a.checkpoint)
		rc = tm_fail(
		    err, TM_INVALID,
		    "coordinator: several instances need Spark's checkpoints where all of them reach them; engine names no checkpoint");
	else if (rc == TM_OK && !elsewhere && !path)
		rc = tm_fail(err, TM_INVALID,
			     "coordinator: several instances need Spark's checkpoints where all of them reach them; checkpoint=%s is a "
			     "relative path",
			     a.checkpoint);
	else if (rc == TM_OK && path && within(path, config->data))
		rc =
		    tm_fail(err, TM_INVALID,
			    "coordinator: several instances need Spark's checkpoints where all of them reach them; checkpoint=%s is in the "
			    "data directory of this one",
			    a.checkpoint);
	else
		goto done;
	tm_err_detail(err, "What Spark goes on from (offsets, state) is there, and the next leader's Spark would begin from nothing.");
	tm_err_hint(err, "Add checkpoint= to engine: an absolute path on a file system that all instances mount, or a URL of HDFS or S3; "
			 "coordinator: none for one instance.");
done:
	tm_arena_done(&arena);
	return rc;
}

tm_rc tm_engine_check_version(struct tm_instance *in, int *ret_version, struct tm_err *err)
{
	struct tm_spark_address address;
	const char *python, *package, *version;
	TM_TRY(tm_spark_address_parse(tm_str_of(in->config.engine), &in->arena, &address, err));
	TM_TRY(tm_spark_python(&address, in->config.python, in->config.dir, &in->arena, &python, &package, &version, err));
	*ret_version = tm_spark_version_of(version);
	return TM_OK;
}
