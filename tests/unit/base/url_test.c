/* Addresses: every part, defaults, escapes, and what is refused. */
#include "unit.h"
#include "base/url.h"

static struct tm_arena arena;

static struct tm_url parse(const char *text)
{
	struct tm_err err = {0};
	struct tm_url u = {0};
	tm_arena_init(&arena);
	if (tm_url_parse(tm_str_of(text), &arena, &u, &err) != TM_OK)
		FAIL("%s: %s", text, err.what);
	return u;
}

TEST(all_parts)
{
	struct tm_url u = parse("cassandra://ann:p%40ss%3A1@db1:9042,[::1]:9043,db3/ks?local_dc=dc1&x=a%26b");
	CHECK(tm_str_is(u.scheme, "cassandra") && tm_str_is(u.user, "ann") && tm_str_is(u.password, "p@ss:1"));
	CHECK_INT(u.host_count, 3);
	CHECK(tm_str_is(u.hosts[1].host, "::1"));
	CHECK_INT(u.hosts[1].port, 9043);
	CHECK_INT(u.hosts[2].port, 0);
	CHECK(tm_str_is(u.path, "/ks"));
	CHECK(tm_str_is(*tm_url_param(&u, "x"), "a&b"));
	CHECK(!tm_url_param(&u, "y"));
	CHECK(tm_str_is(tm_url_hosts_text(&u, 9042, &arena), "db1:9042,[::1]:9043,db3:9042"));
	tm_arena_done(&arena);
}

TEST(only_a_host)
{
	struct tm_url u = parse("kafka://broker");
	CHECK(u.host_count == 1 && !u.user.len && !u.path.len && !u.param_count);
	tm_arena_done(&arena);
}

TEST(refused)
{
	static const char *const bad[] = {"broker:9092",     "://x",         "kafka://",      "kafka://:9092", "kafka://h:0",
					  "kafka://h:70000", "kafka://h:",   "kafka://a,,b",  "kafka://[::1",  "kafka://[::1]x",
					  "kafka://h?noval", "kafka://h?=v", "kafka://%zz@h", "kafka://h/%4",  "kafka://h:9092x"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct tm_url u;
		struct tm_err err = {0};
		tm_arena_init(&arena);
		if (tm_url_parse(tm_str_of(bad[i]), &arena, &u, &err) != TM_INVALID)
			FAIL("%s was taken", bad[i]);
		tm_arena_done(&arena);
	}
}

TEST(passwords_are_not_shown)
{
	tm_arena_init(&arena);
	struct tm_err err = {0};
	struct tm_url u;
	CHECK_INT(tm_url_parse(TM_STR("cassandra://ann:secret@db:99999"), &arena, &u, &err), TM_INVALID);
	CHECK(!strstr(err.what, "secret") && strstr(err.what, "ann:…@db"));
	CHECK(tm_str_is(tm_url_shown(TM_STR("kafka://db:9092"), &arena), "kafka://db:9092"));
	static const char *const pairs[][2] = {
	    {"kafka://db?sasl.username=ann&sasl.password=secret&ssl.ca.location=/ca.pem",
	     "kafka://db?sasl.username=ann&sasl.password=…&ssl.ca.location=/ca.pem"},
	    {"kafka://a:b@db/p?ssl.key.pem=secret", "kafka://a:…@db/p?ssl.key.pem=…"},
	    {"kafka://db?SASL.PASSWORD=secret&&x", "kafka://db?SASL.PASSWORD=…&&x"},
	    {"kafka://db?sasl%2Epassword=secret", "kafka://db?sasl%2Epassword=…"},
	    {"kafka://db?sasl.password", "kafka://db?sasl.password"},
	    {"kafka://ann:pa/ss?w@db:9092", "kafka://ann:…@db:9092"},
	    {"kafka://db:9092?client.id=a@b", "kafka://db:9092?client.id=a@b"},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		CHECK_STR(tm_url_shown(tm_str_of(pairs[i][0]), &arena), pairs[i][1]);
	CHECK_INT(tm_url_parse(TM_STR("kafka://db:99999?sasl.password=secret"), &arena, &u, &err), TM_INVALID);
	CHECK(!strstr(err.what, "secret"));
	tm_arena_done(&arena);
}

TEST(unknown_options_are_refused_with_the_closest)
{
	static const char *const names[] = {"local_dc", NULL};
	struct tm_url u = parse("cassandra://db?lokal_dc=1");
	struct tm_err err = {0};
	CHECK_INT(tm_url_params_known(&u, names, &err), TM_INVALID);
	CHECK(strstr(err.hint, "local_dc"));
	tm_arena_done(&arena);
}
TEST_MAIN()
