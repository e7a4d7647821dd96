/* Replicas by token, and what is tried again. */
#include "cassandra/retry.h"
#include "cassandra/ring.h"
#include "unit.h"

static const struct tm_cass_place places[] = {{"east", "r1"}, {"east", "r1"}, {"east", "r2"}, {"west", "r1"}, {"west", "r2"}};

static void fill(struct tm_cass_ring *ring)
{
	static const int64_t tokens[] = {0, 10, 20, 30, 40}; /* of nodes 0, 1, 2, 3, 4 */
	for (uint32_t i = 5; i-- > 0;)
		tm_cass_ring_put(ring, tokens[i], i);
	tm_cass_ring_sort(ring);
}

static void replicas(const struct tm_cass_ring *ring, int64_t token, struct tm_cass_replication how, const char *dc, const char *want)
{
	uint32_t list[8];
	char got[40] = "";
	size_t n = tm_cass_ring_replicas(ring, places, 5, token, &how, dc, list, 8);
	for (size_t i = 0; i < n; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%u", i ? " " : "", list[i]);
	CHECK_STR(tm_str_of(got), want);
}

TEST(simple_strategy_walks_the_ring)
{
	struct tm_cass_ring ring = {0};
	fill(&ring);
	const struct tm_cass_replication one = {true, 1}, three = {true, 3}, many = {true, 9};
	replicas(&ring, 0, one, "", "0"); /* a node owns its own token */
	replicas(&ring, 1, one, "", "1");
	replicas(&ring, 41, one, "", "0"); /* around the end */
	replicas(&ring, INT64_MIN, one, "", "0");
	replicas(&ring, 25, three, "", "3 4 0");
	replicas(&ring, 25, many, "", "3 4 0 1 2");
	replicas(&ring, 25, (struct tm_cass_replication){true, 0}, "", "");
	tm_cass_ring_done(&ring);
}

TEST(network_topology_takes_one_of_each_rack_first)
{
	struct tm_cass_ring ring = {0};
	fill(&ring);
	replicas(&ring, 0, (struct tm_cass_replication){false, 2}, "east", "0 2"); /* node 1 is in node 0's rack */
	replicas(&ring, 0, (struct tm_cass_replication){false, 3}, "east", "0 2 1");
	replicas(&ring, 15, (struct tm_cass_replication){false, 2}, "east", "2 0");
	replicas(&ring, 0, (struct tm_cass_replication){false, 1}, "west", "3");
	replicas(&ring, 35, (struct tm_cass_replication){false, 2}, "west", "4 3");
	replicas(&ring, 0, (struct tm_cass_replication){false, 3}, "north", "");
	tm_cass_ring_done(&ring);
}

static enum tm_cass_retry told(int code, bool idempotent, bool patient, int attempts)
{
	const struct tm_cass_error e = {.code = code, .write_type = TM_STR("SIMPLE"), .received = 0, .required = 1};
	return tm_cass_retry_error(&e, idempotent, patient, attempts);
}

TEST(what_may_be_sent_again)
{
	CHECK_INT(told(TM_CASS_E_INVALID, true, true, 1), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_SYNTAX, true, true, 1), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_UNAUTHORIZED, true, true, 1), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_WRITE_TIMEOUT, false, false, 1), TM_CASS_FAIL); /* it may be there */
	CHECK_INT(told(TM_CASS_E_WRITE_TIMEOUT, true, false, 1), TM_CASS_LATER);
	CHECK_INT(told(TM_CASS_E_WRITE_TIMEOUT, true, false, 9), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_WRITE_TIMEOUT, true, true, 1000), TM_CASS_LATER);
	CHECK_INT(told(TM_CASS_E_OVERLOADED, false, false, 1), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_OVERLOADED, true, true, 50), TM_CASS_LATER);
	CHECK_INT(told(TM_CASS_E_BOOTSTRAPPING, false, false, 1), TM_CASS_LATER);
	CHECK_INT(told(TM_CASS_E_UNAVAILABLE, false, false, 1), TM_CASS_AGAIN);
	CHECK_INT(told(TM_CASS_E_UNAVAILABLE, false, false, 2), TM_CASS_FAIL);
	CHECK_INT(told(TM_CASS_E_UNPREPARED, false, false, 1), TM_CASS_TELL);
	const struct tm_cass_error log = {.code = TM_CASS_E_WRITE_TIMEOUT, .write_type = TM_STR("BATCH_LOG")};
	CHECK_INT(tm_cass_retry_error(&log, false, false, 1), TM_CASS_AGAIN);
	CHECK_INT(tm_cass_retry_error(&log, false, false, 2), TM_CASS_FAIL);
	const struct tm_cass_error digest = {.code = TM_CASS_E_READ_TIMEOUT, .received = 2, .required = 2};
	CHECK_INT(tm_cass_retry_error(&digest, false, false, 1), TM_CASS_AGAIN);
	CHECK_INT(tm_cass_retry_lost(false, true, 1), TM_CASS_FAIL);
	CHECK_INT(tm_cass_retry_lost(true, true, 100), TM_CASS_LATER);
}

TEST(pauses_grow_and_end_growing)
{
	CHECK_INT(tm_cass_reconnect_pause_ns(1, 0), 75000000);
	CHECK(tm_cass_reconnect_pause_ns(1, UINT32_MAX) < 126000000);
	CHECK_INT(tm_cass_reconnect_pause_ns(2, 0), 150000000);
	CHECK_INT(tm_cass_reconnect_pause_ns(1000000, 0), 3750000000);
	CHECK(tm_cass_retry_pause_ns(3, 1u << 31) > tm_cass_retry_pause_ns(2, 1u << 31));
	CHECK(tm_cass_retry_pause_ns(1000, UINT32_MAX) <= 2500000000);
}

TEST_MAIN()
