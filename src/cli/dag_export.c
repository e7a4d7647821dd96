/* What a real Airflow needs beside the DAG files. Prints what was written and the commands that import it. */
#include "cli/dag_export.h"
#include "cli/instance.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static void print(const json_t *answer)
{
	const json_t *one;
	size_t i;
	json_array_foreach(json_object_get(answer, "files"), i, one)
	    printf("%s%s: %s\n", text(one, "file"), json_is_true(json_object_get(one, "secret")) ? " (0600)" : "", text(one, "holds"));
	json_array_foreach(json_object_get(answer, "warnings"), i, one) printf("warning: %s\n", json_string_value(one));
	printf("\nIn the environment of Airflow (2.x or 3.x):\n  pip install -r %s/requirements.txt\n  set -a; . %s/airflow.env",
	       text(answer, "directory"), text(answer, "directory"));
	json_array_foreach(json_object_get(answer, "files"), i, one) if (json_is_true(json_object_get(one, "secret")))
	    printf("; . %s", text(one, "file"));
	printf("; set +a\n");
	json_array_foreach(json_object_get(answer, "import"), i, one) printf("  %s\n", json_string_value(one));
}

int tm_dag_export(const struct tm_common *common, const char *to, bool secrets)
{
	struct tm_instance in = {0};
	struct tm_err err;
	json_t *answer = NULL;
	tm_arena_init(&in.arena);
	int status = 0;
	tm_rc rc = tm_config_load(&in.config, common->project ? common->project : ".", &err);
	if (rc == TM_OK)
		rc = tm_instance_broker_new(&in, &err);
	if (rc == TM_OK) {
		struct tm_airflow_options options;
		tm_instance_airflow_options(&in, &options);
		char here[4096];
		struct tm_str folder = !to                                        ? tm_arena_printf(&in.arena, "%s/airflow", in.config.dir)
				       : *to == '/' || !getcwd(here, sizeof here) ? tm_str_of(to)
										  : tm_arena_printf(&in.arena, "%s/%s", here, to);
		rc = tm_airflow_export(&options, folder.at, secrets, &answer, &err);
	}
	if (rc != TM_OK) {
		status = tm_command_fail(&err, common->json, (struct tm_str){0});
	} else if (common->json) {
		char *s = json_dumps(answer, JSON_COMPACT);
		puts(s);
		free(s);
	} else {
		print(answer);
	}
	json_decref(answer);
	tm_instance_broker_stop(&in);
	tm_arena_done(&in.arena);
	tm_config_done(&in.config);
	return status;
}
