/* The ring of tokens. */
#include <stdlib.h>
#include "cassandra/ring.h"

void tm_cass_ring_put(struct tm_cass_ring *ring, int64_t token, uint32_t node) { TM_PUSH(ring, (struct tm_cass_ring_entry){token, node}); }

static int by_token(const void *a, const void *b)
{
	const struct tm_cass_ring_entry *x = a, *y = b;
	return (x->token > y->token) - (x->token < y->token);
}

void tm_cass_ring_sort(struct tm_cass_ring *ring)
{
	if (ring->count)
		qsort(ring->items, ring->count, sizeof *ring->items, by_token);
}

void tm_cass_ring_done(struct tm_cass_ring *ring)
{
	free(ring->items);
	*ring = (struct tm_cass_ring){0};
}

/* The entry that owns the token: the first at or behind it, around the end. */
static size_t owner(const struct tm_cass_ring *ring, int64_t token)
{
	size_t low = 0, high = ring->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (ring->items[mid].token < token)
			low = mid + 1;
		else
			high = mid;
	}
	return low == ring->count ? 0 : low;
}

static bool among(const uint32_t *list, size_t n, uint32_t node)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == node)
			return true;
	return false;
}

static bool rack_used(const struct tm_cass_place *nodes, const uint32_t *list, size_t n, const char *rack)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(nodes[list[i]].rack, rack) == 0)
			return true;
	return false;
}

static size_t rack_count(const struct tm_cass_place *nodes, size_t n, const char *data_center)
{
	size_t racks = 0;
	for (size_t i = 0; i < n; i++) {
		bool fresh = strcmp(nodes[i].data_center, data_center) == 0;
		for (size_t k = 0; k < i && fresh; k++)
			fresh = strcmp(nodes[k].data_center, data_center) != 0 || strcmp(nodes[k].rack, nodes[i].rack) != 0;
		racks += fresh;
	}
	return racks;
}

size_t tm_cass_ring_replicas(const struct tm_cass_ring *ring, const struct tm_cass_place *nodes, size_t node_count, int64_t token,
			     const struct tm_cass_replication *replication, const char *data_center, uint32_t *ret, size_t max)
{
	size_t n = 0, wanted = replication->factor > 0 ? (size_t)replication->factor : 0;
	wanted = wanted < max ? wanted : max;
	if (!ring->count || !wanted)
		return 0;
	/* A rack gives a second replica only when every rack has one; those passed over come then, in their order. */
	size_t racks = replication->simple ? 0 : rack_count(nodes, node_count, data_center), used = 0, at = owner(ring, token);
	uint32_t passed[64];
	size_t passed_count = 0;
	for (size_t i = 0; i < ring->count && n < wanted; i++) {
		uint32_t node = ring->items[(at + i) % ring->count].node;
		if (among(ret, n, node) || among(passed, passed_count, node))
			continue;
		if (!replication->simple && strcmp(nodes[node].data_center, data_center) != 0)
			continue;
		if (!replication->simple && used < racks && rack_used(nodes, ret, n, nodes[node].rack)) {
			if (passed_count < sizeof passed / sizeof *passed)
				passed[passed_count++] = node;
			continue;
		}
		ret[n++] = node;
		used++;
		if (!replication->simple && used == racks)
			for (size_t k = 0; k < passed_count && n < wanted; k++)
				ret[n++] = passed[k];
	}
	for (size_t k = 0; k < passed_count && n < wanted; k++)
		if (!among(ret, n, passed[k]))
			ret[n++] = passed[k];
	return n;
}
