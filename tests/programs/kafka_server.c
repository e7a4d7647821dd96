/* A log directory behind the Kafka door, for tests: kafka_server DIR [PORT] [--no-auto-create]
 * Prints "port N" when it listens; ends cleanly when its standard input does, or on SIGTERM and SIGINT. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kafka/kafka.h"

static volatile sig_atomic_t ended;
static void on_signal(int signal_number)
{
	(void)signal_number;
	ended = 1;
}

static int failed(const struct tm_err *err)
{
	char text[1600];
	fprintf(stderr, "%s\n", tm_err_render(err, (struct tm_str){0}, text, sizeof text));
	return tm_rc_exit(err->rc);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: kafka_server DIR [PORT] [--no-auto-create]\n");
		return 64;
	}
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct tm_err err = {0};
	struct tm_log *log = NULL;
	struct tm_log_options log_options = {0};
	if (tm_log_open(argv[1], &log_options, &log, &err) != TM_OK)
		return failed(&err);
	struct tm_kafka_options options = {.port = argc > 2 ? atoi(argv[2]) : 0, .auto_create_off = argc > 3};
	struct tm_kafka_server *server = NULL;
	if (tm_kafka_server_start(log, &options, &server, &err) != TM_OK) {
		tm_log_close(log);
		return failed(&err);
	}
	printf("port %d\n", tm_kafka_server_port(server));
	fflush(stdout);
	while (!ended) {
		struct pollfd in = {.fd = 0, .events = POLLIN};
		char c[64];
		if (poll(&in, 1, -1) > 0 && read(0, c, sizeof c) <= 0)
			break;
	}
	tm_kafka_server_stop(server);
	tm_log_close(log);
	return 0;
}
