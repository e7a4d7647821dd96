/* tidemill.yaml: values, places of errors, suggestions, the environment. */
#include "cli/config.h"
#include <unistd.h>
#include "unit.h"

static char dir[] = "/tmp/tm-config-XXXXXX";

static tm_rc load(const char *yaml, struct tm_config *c, struct tm_err *err)
{
	static bool made;
	if (!made)
		CHECK(mkdtemp(dir));
	made = true;
	char path[64];
	snprintf(path, sizeof path, "%s/tidemill.yaml", dir);
	CHECK_OK(tm_file_replace(tm_env_real(), path, tm_str_of(yaml), err), *err);
	return tm_config_load(c, dir, err);
}

TEST(values)
{
	struct tm_config c;
	struct tm_err err;
	CHECK_OK(
	    load("listen: {kafka: 127.0.0.1:19092}\ndata: /tmp/x\nhosts:\n  broker: 127.0.0.1\nvariables: {a: 1, b: {c: [1, x, true]}}\n",
		 &c, &err),
	    err);
	CHECK_INT(c.kafka.port, 19092);
	CHECK_INT(c.cassandra.port, 9042);
	CHECK_STR(tm_str_of(c.data), "/tmp/x");
	CHECK_INT(c.host_count, 1);
	CHECK_STR(c.hosts[0].name, "broker");
	CHECK_STR(c.variables[1].value, "{\"c\":[1,\"x\",true]}");
	tm_config_done(&c);
}

TEST(mistakes_have_places_and_hints)
{
	static const struct {
		const char *yaml, *what, *hint;
		int line, column;
	} cases[] = {
	    {"data: x\nlisten:\n  kafk: 127.0.0.1:1\n", "unknown key 'listen.kafk'", "Did you mean listen.kafka?", 3, 3},
	    {"pyton: x\n", "unknown key 'pyton'", "Did you mean python?", 1, 1},
	    {"listen: {http: nowhere}\n", "listen.http: 'nowhere' is not an address", NULL, 1, 16},
	    {"listen: {http: 0.0.0.0:80}\n", "listen.http: 0.0.0.0:80 is not a loopback address", NULL, 1, 16},
	    {"listen: {network: everywhere}\n", "listen.network: 'everywhere' is neither loopback nor trusted", NULL, 1, 19},
	    {"listen: {network: loopback, cassandra: 10.0.0.1:9042}\n", "listen.cassandra: 10.0.0.1:9042 is not a loopback address", NULL,
	     1, 40},
	    {"listen: {kafka_published: 127.0.0.1:0}\n", "listen.kafka_published: 127.0.0.1:0 names no port", NULL, 1, 27},
	    {"data: [1]\n", "data must be a single value", NULL, 1, 7},
	    {"data: 'x\n", NULL, NULL, 2, 1},
	    {"broker: rabbit://x\n", "broker: 'rabbit://x' is neither embedded nor kafka://…", NULL, 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tm_config c;
		struct tm_err err;
		CHECK(load(cases[i].yaml, &c, &err) != TM_OK);
		if (cases[i].what)
			CHECK_STR(tm_str_of(err.what), cases[i].what);
		if (cases[i].hint)
			CHECK_STR(tm_str_of(err.hint), cases[i].hint);
		if (err.line != cases[i].line || err.column != cases[i].column)
			FAIL("case %zu is at %d:%d", i, err.line, err.column);
		tm_config_done(&c);
	}
}

/* Other than loopback addresses need the statement, in the file or in the environment; the environment's word is the last. */
TEST(a_trusted_network)
{
	struct tm_config c;
	struct tm_err err;
	const char *const open_file = "listen: {http: 0.0.0.0:80, kafka_advertised: tidemill:29092, network: trusted, names: 'tidemill'}\n";
	CHECK_OK(load(open_file, &c, &err), err);
	CHECK(tm_config_trusted(&c));
	CHECK_STR(tm_str_of(tm_address_here(&c.http)), "127.0.0.1");
	CHECK_STR(tm_str_of(tm_address_here(&c.kafka)), "127.0.0.1");
	CHECK_STR(tm_str_of(c.kafka_advertised.host), "tidemill");
	CHECK_INT(c.kafka_advertised.port, 29092);
	CHECK_INT(c.kafka_published.port, 0);
	CHECK_STR(tm_str_of(c.names), "tidemill");
	tm_config_done(&c);
	setenv("TIDEMILL_LISTEN_NETWORK", "loopback", 1);
	CHECK(load(open_file, &c, &err) == TM_DENIED);
	tm_config_done(&c);
	setenv("TIDEMILL_LISTEN_NETWORK", "trusted", 1);
	CHECK_OK(load("listen: {network: loopback, kafka: '[::]:9092'}\n", &c, &err), err);
	CHECK_STR(tm_str_of(tm_address_here(&c.kafka)), "::1");
	tm_config_done(&c);
	setenv("TIDEMILL_LISTEN_NETWORK", "home", 1);
	CHECK(load("", &c, &err) == TM_INVALID);
	CHECK_STR(tm_str_of(err.file), "TIDEMILL_LISTEN_NETWORK");
	tm_config_done(&c);
	unsetenv("TIDEMILL_LISTEN_NETWORK");
}

TEST(environment_wins)
{
	struct tm_config c;
	struct tm_err err;
	setenv("TIDEMILL_LISTEN_HTTP", "127.0.0.1:0", 1);
	setenv("TIDEMILL_HOSTS", "{kafka1: 127.0.0.1}", 1);
	CHECK_OK(load("listen: {http: 127.0.0.1:8081}\nhosts: {a: b}\n", &c, &err), err);
	CHECK_INT(c.http.port, 0);
	CHECK_STR(c.hosts[0].name, "kafka1");
	tm_config_done(&c);
	setenv("TIDEMILL_LISTEN_HTTP", "x", 1);
	CHECK(load("", &c, &err) != TM_OK);
	CHECK_STR(tm_str_of(err.file), "TIDEMILL_LISTEN_HTTP");
	tm_config_done(&c);
	unsetenv("TIDEMILL_LISTEN_HTTP");
	unsetenv("TIDEMILL_HOSTS");
	CHECK_OK(tm_dir_remove(dir, &err), err);
}

TEST_MAIN()
