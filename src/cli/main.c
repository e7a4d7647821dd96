/* tidemill: the subcommands. */
#include "cli/command.h"
#include <curl/curl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

const struct tm_command tm_commands[] = {
    {"up", "tidemill up [DIR] [--until-idle] [--trigger DAG_ID]…", "run a project: its DAGs, topics, pipelines and tables", tm_command_up},
    {"check", "tidemill check [DIR]", "say all that is wrong with a project, without running it", tm_command_check},
    {"sql", "tidemill sql ['SELECT …']", "answer Spark SQL over topics, tables and files", tm_command_sql},
    {"cql", "tidemill cql ['SELECT …']", "answer CQL on the running instance", tm_command_cql},
    {"topic", "tidemill topic list | tail TOPIC | produce TOPIC", "look into topics, or write to them", tm_command_topic},
    {"dag", "tidemill dag list | trigger DAG_ID | logs DAG_ID [TASK_ID] | export [DIR]",
     "DAGs: list, run one, read its logs; files for Airflow", tm_command_dag},
    {"describe", "tidemill describe [DIR]", "the pipelines as JSON, for a Spark that is started by hand", tm_command_describe},
    {"export", "tidemill export topics|tables --to URL [NAME]…", "move what is here to a real Kafka or Cassandra", tm_command_export},
    {"doctor", "tidemill doctor [DIR]", "find out why nothing moves", tm_command_doctor},
    {"health", "tidemill health [DIR]", "exit 0 while the instance answers and all its doors listen", tm_command_health},
    {"version", "tidemill version", "print the version", tm_command_version},
};
const size_t tm_command_count = sizeof tm_commands / sizeof *tm_commands;

static void usage(FILE *to)
{
	fprintf(to, "Tidemill %s: Airflow DAGs, Kafka topics, Spark SQL pipelines and Cassandra tables in one program.\n\n", TM_VERSION);
	for (size_t i = 0; i < tm_command_count; i++)
		fprintf(to, "  %-70s %s\n", tm_commands[i].usage, tm_commands[i].summary);
	fprintf(to, "\n`tidemill COMMAND --help` lists a command's options. A first run: tidemill up examples/earthquakes\n");
}

/* Threads hand batches to each other, so memory freed in one heap is not what the next batch takes: with glibc's eight heaps a core a
 * backlog held a quarter more. One for two cores costs no time, for what is taken often comes from our arenas. */
static void few_heaps(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	mallopt(M_ARENA_MAX, cores > 3 ? (int)(cores / 2) : 1);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	few_heaps();
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(name, "--version") == 0)
		name = "version";
	const char *names[sizeof tm_commands / sizeof *tm_commands + 1] = {0};
	for (size_t i = 0; i < tm_command_count; i++) {
		if (strcmp(tm_commands[i].name, name) == 0)
			return tm_commands[i].run(&tm_commands[i], argc - 2, argv + 2);
		names[i] = tm_commands[i].name;
	}
	const char *close = tm_str_closest(tm_str_of(name), names);
	fprintf(stderr, "error: unknown command '%s'\n", name);
	if (close)
		fprintf(stderr, "  next: Did you mean `tidemill %s`?\n", close);
	else
		fprintf(stderr, "  next: `tidemill help` lists the commands.\n");
	return 2;
}
