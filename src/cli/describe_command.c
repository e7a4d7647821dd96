/* `tidemill describe`: the project's pipelines as JSON, for a Spark that is started by hand (docs/spark-engine.md). Tables are made in a
 * store that is thrown away, as `check` does. */
#include "cli/command.h"
#include "cli/engine.h"
#include "spark/spark.h"
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct describe {
	struct tm_common common;
	struct tm_instance in; /* only its config, store, sql and pipelines */
};

static tm_rc load(struct describe *d, const char *dir, const char *scratch, struct tm_err *err)
{
	const struct tm_store_options store = {0};
	tm_arena_init(&d->in.arena);
	TM_TRY(tm_config_load(&d->in.config, dir, err));
	TM_TRY(tm_store_open(scratch, &store, &d->in.store, err));
	d->in.world = (struct tm_stream_world){.env = tm_env_real(), .store = d->in.store, .project_dir = d->in.config.dir};
	struct tm_sql_options sql = {.world = &d->in.world, .time_zone = "UTC"};
	d->in.sql = tm_sql_new(&sql);
	return tm_instance_load_files(&d->in, err);
}

static void print(struct describe *d)
{
	struct tm_spark_place place;
	struct tm_spark_address address;
	const struct tm_pipeline **pipelines = TM_NEW_N(&d->in.arena, const struct tm_pipeline *, d->in.pipeline_count + 1);
	for (size_t i = 0; i < d->in.pipeline_count; i++)
		pipelines[i] = d->in.pipelines[i].pipeline;
	tm_engine_place(&d->in, &place);
	place.cassandra_password = NULL; /* what is printed is read by others */
	place.kafka_option_count = 0;
	place.checkpoint_dir = NULL;
	bool named = tm_engine_is_spark(&d->in.config) &&
		     tm_spark_address_parse(tm_str_of(d->in.config.engine), &d->in.arena, &address, NULL) == TM_OK;
	json_t *all = tm_spark_describe(pipelines, d->in.pipeline_count, &place, NULL);
	if (named && address.checkpoint)
		json_object_set_new(all, "checkpoint", json_string(address.checkpoint));
	char *text = json_dumps(all, d->common.json ? JSON_COMPACT : JSON_INDENT(2));
	puts(text);
	free(text);
	json_decref(all);
}

int tm_command_describe(const struct tm_command *self, int argc, char **argv)
{
	struct describe d = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&d.common)};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &d.common, &words, &status)) {
		char scratch[] = "/tmp/tidemill-describe-XXXXXX";
		struct tm_err err;
		tm_say_level_set(TM_SAY_WARN);
		if (!mkdtemp(scratch))
			tm_fail(&err, TM_IO, "no temporary directory under /tmp");
		else if (load(&d, words.count ? words.items[0] : d.common.project ? d.common.project : ".", scratch, &err) == TM_OK)
			print(&d), err.rc = TM_OK;
		if (err.rc != TM_OK) {
			struct tm_buf source = {0};
			if (err.file[0] && err.line)
				(void)!tm_file_read(tm_env_real(), err.file, TM_LIMIT_SQL_BYTES, &source, NULL);
			status = tm_command_fail(&err, d.common.json, tm_buf_str(&source));
			tm_buf_done(&source);
		}
		if (d.in.sql)
			tm_sql_free(d.in.sql);
		if (d.in.store)
			tm_store_close(d.in.store);
		tm_arena_done(&d.in.arena);
		tm_config_done(&d.in.config);
		(void)!tm_dir_remove(scratch, NULL);
	}
	tm_texts_done(&words);
	return status;
}
