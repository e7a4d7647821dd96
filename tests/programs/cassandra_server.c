/* A store and the Cassandra door over it: `cassandra_server DIR [PORT]` prints the port and serves until its standard input
 * ends or a signal comes. DIR "-" keeps everything in memory. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cassandra/cassandra.h"

static volatile sig_atomic_t asked;
static void on_signal(int sig) { asked = sig; }

static int failed(const struct tm_err *err)
{
	char text[2000];
	fprintf(stderr, "%s\n", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
	return 1;
}

int main(int argc, char **argv)
{
	struct tm_store *store;
	struct tm_cassandra_server *server;
	struct tm_err err = {0};
	if (argc < 2) {
		fprintf(stderr, "usage: cassandra_server DIR|- [PORT]\n");
		return 2;
	}
	bool memory = strcmp(argv[1], "-") == 0;
	struct tm_store_options store_options = {.env = tm_env_real(), .memory_only = memory};
	struct tm_cassandra_options options = {.port = argc > 2 ? atoi(argv[2]) : 0};
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (tm_store_open(memory ? "" : argv[1], &store_options, &store, &err) != TM_OK)
		return failed(&err);
	if (tm_cassandra_server_start(store, &options, &server, &err) != TM_OK)
		return failed(&err);
	printf("%d\n", tm_cassandra_server_port(server));
	fflush(stdout);
	char byte;
	while (!asked && read(STDIN_FILENO, &byte, 1) > 0)
		;
	tm_cassandra_server_stop(server);
	tm_store_close(store);
	return 0;
}
