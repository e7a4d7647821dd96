/* A project's settings: tidemill.yaml, overridden by the environment. The keys are in config.def. */
#ifndef TM_CLI_CONFIG_H
#define TM_CLI_CONFIG_H
#include "base/base.h"

struct tm_address {
	char host[256];
	int port;
};
struct tm_pair {
	struct tm_str name, value;
}; /* a value that is no scalar is JSON text */
struct tm_config {
	struct tm_arena arena; /* owns all texts below */
	const char *dir;       /* the project, absolute */
	struct tm_address kafka, cassandra, http;
	struct tm_address kafka_advertised, kafka_published; /* port 0 = none */
	const char *network, *names;                         /* listen.network, listen.names */
	const char *data, *python, *broker, *store, *engine, *orchestrator, *coordinator;
	struct tm_pair *hosts, *variables, *connections;
	size_t host_count, variable_count, connection_count;
};
/* Reads dir/tidemill.yaml where it is there. Errors carry file:line:column and, for an unknown key, the closest one. */
tm_rc tm_config_load(struct tm_config *config, const char *dir, struct tm_err *err) TM_CHECKED;
/* The same with the text of a configuration that several instances share (at NULL = none) between the file and the environment; its errors
 * name shared_name as their file. What belongs to each instance (listen, data, python, coordinator) is refused there. */
tm_rc tm_config_load_shared(struct tm_config *config, const char *dir, const char *shared_name, struct tm_str shared,
			    struct tm_err *err) TM_CHECKED;
void tm_config_done(struct tm_config *config);
/* "host:port", "[::1]:9092", ":9092". */
tm_rc tm_address_parse(struct tm_str text, struct tm_address *ret, struct tm_err *err) TM_CHECKED;
bool tm_address_loopback(const struct tm_address *address);
/* The host by which this machine reaches what listens at address: loopback where that is every address. */
const char *tm_address_here(const struct tm_address *address);
/* Doors listen on more than loopback (listen.network: trusted). */
bool tm_config_trusted(const struct tm_config *config);
#endif
