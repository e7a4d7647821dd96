/* Who keeps what: the ring of tokens, and the replicas of a token as SimpleStrategy and NetworkTopologyStrategy place them. */
#ifndef TM_CASSANDRA_RING_H
#define TM_CASSANDRA_RING_H
#include "cassandra/session.h"

struct tm_cass_place { /* of a node */
	const char *data_center, *rack;
};
struct tm_cass_ring {
	struct tm_cass_ring_entry {
		int64_t token;
		uint32_t node;
	} * items;
	size_t count, cap;
};
void tm_cass_ring_put(struct tm_cass_ring *ring, int64_t token, uint32_t node);
void tm_cass_ring_sort(struct tm_cass_ring *ring); /* after the last put */
void tm_cass_ring_done(struct tm_cass_ring *ring);
/* Nodes of the token's replicas, the first owner first, at most `max`; for NetworkTopologyStrategy those of data_center alone. */
size_t tm_cass_ring_replicas(const struct tm_cass_ring *ring, const struct tm_cass_place *nodes, size_t node_count, int64_t token,
			     const struct tm_cass_replication *replication, const char *data_center, uint32_t *ret, size_t max);
#endif
