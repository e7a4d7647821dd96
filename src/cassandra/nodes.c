/* The cluster as the control connection sees it: nodes, data centres, ring; connections that come and go; whom a call goes to. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "cassandra/session_int.h"

enum { REPLICAS_MAX = 16, REFRESH_MS = 500 };

/* ---- rows of system tables ---- */

static bool cell_text(const struct tm_cql_result *r, size_t row, const char *name, char *out, size_t size)
{
	struct tm_str s = tm_cass_cell(r, row, name);
	if (!s.len || s.len >= size)
		return false;
	memcpy(out, s.at, s.len);
	out[s.len] = 0;
	return true;
}

static bool cell_inet(const struct tm_cql_result *r, size_t row, const char *name, char *out, size_t size)
{
	struct tm_str s = tm_cass_cell(r, row, name);
	return (s.len == 4 || s.len == 16) && inet_ntop(s.len == 4 ? AF_INET : AF_INET6, s.at, out, (socklen_t)size) &&
	       strcmp(out, "0.0.0.0") != 0 && strcmp(out, "::") != 0;
}

static int cell_port(const struct tm_cql_result *r, size_t row, const char *name, int fallback)
{
	struct tm_str s = tm_cass_cell(r, row, name);
	struct tm_cursor c = tm_cursor_of(s);
	int port = (int)tm_cursor_be32(&c);
	return s.len == 4 && port > 0 && port < 65536 ? port : fallback;
}

static void cell_tokens(struct tm_cass_session *s, const struct tm_cql_result *r, size_t row, uint32_t node)
{
	struct tm_cursor c = tm_cursor_of(tm_cass_cell(r, row, "tokens"));
	uint32_t n = tm_cursor_be32(&c);
	for (uint32_t i = 0; i < n && tm_cursor_ok(&c); i++) {
		struct tm_str text = tm_cursor_take(&c, tm_cursor_be32(&c));
		int64_t token;
		if (tm_cursor_ok(&c) && tm_str_to_i64(text, &token))
			tm_cass_ring_put(&s->ring, token, node);
	}
}

/* ---- nodes ---- */

static struct tm_cass_node *node_new(struct tm_cass_session *s, const char *host, int port)
{
	struct tm_cass_node *n = tm_zalloc(sizeof *n);
	snprintf(n->host, sizeof n->host, "%s", host);
	n->port = port;
	TM_PUSH(&s->nodes, n);
	return n;
}

void tm_cass_nodes_contact(struct tm_cass_session *s, const char *host, int port) { node_new(s, host, port)->contact = true; }

static struct tm_cass_node *by_id(struct tm_cass_session *s, struct tm_str id)
{
	for (size_t i = 0; i < s->nodes.count; i++)
		if (s->nodes.items[i]->known && memcmp(s->nodes.items[i]->host_id, id.at, 16) == 0)
			return s->nodes.items[i];
	return NULL;
}

static struct tm_cass_node *by_address(struct tm_cass_session *s, const char *host, int port)
{
	for (size_t i = 0; i < s->nodes.count; i++)
		if (strcmp(s->nodes.items[i]->host, host) == 0 && s->nodes.items[i]->port == port)
			return s->nodes.items[i];
	return NULL;
}

static void node_fill(struct tm_cass_node *n, const struct tm_cql_result *r, size_t row)
{
	memcpy(n->host_id, tm_cass_cell(r, row, "host_id").at, 16);
	n->known = n->seen = true;
	n->data_center[0] = n->rack[0] = n->release[0] = 0;
	cell_text(r, row, "data_center", n->data_center, sizeof n->data_center);
	cell_text(r, row, "rack", n->rack, sizeof n->rack);
	cell_text(r, row, "release_version", n->release, sizeof n->release);
}

static struct tm_cass_node *peer(struct tm_cass_session *s, const struct tm_cql_result *r, size_t row)
{
	char host[INET6_ADDRSTRLEN];
	struct tm_str id = tm_cass_cell(r, row, "host_id");
	if (id.len != 16 || !tm_cass_cell(r, row, "data_center").len)
		return NULL; /* one that is joining or leaving */
	if (!cell_inet(r, row, "native_address", host, sizeof host) && !cell_inet(r, row, "rpc_address", host, sizeof host) &&
	    !cell_inet(r, row, "peer", host, sizeof host))
		return NULL;
	int port = cell_port(r, row, "native_port", s->control->node->port);
	struct tm_cass_node *n = by_id(s, id);
	if (!n)
		n = by_address(s, host, port);
	if (!n)
		n = node_new(s, host, port);
	if (!n->contact && (strcmp(n->host, host) != 0 || n->port != port)) { /* it has moved */
		snprintf(n->host, sizeof n->host, "%s", host);
		n->port = port;
		if (n->link)
			tm_cass_link_close(n->link, "the node has another address now");
	}
	node_fill(n, r, row);
	return n;
}

static void drop_unseen(struct tm_cass_session *s)
{
	for (size_t i = 0; i < s->nodes.count;) {
		struct tm_cass_node *n = s->nodes.items[i];
		if (n->seen) {
			i++;
			continue;
		}
		if (n->link)
			tm_cass_link_close(n->link, "the node has left the cluster");
		n->known = n->local = false;
		if (n->contact || (s->control && s->control->node == n)) {
			i++;
			continue;
		}
		free(n);
		s->nodes.items[i] = s->nodes.items[--s->nodes.count];
	}
}

static uint32_t node_index(const struct tm_cass_session *s, const struct tm_cass_node *n)
{
	for (size_t i = 0; i < s->nodes.count; i++)
		if (s->nodes.items[i] == n)
			return (uint32_t)i;
	return 0;
}

static bool choose_data_center(struct tm_cass_session *s, struct tm_err *err)
{
	char names[200] = "";
	bool there = false;
	if (!s->has_local_dc) {
		snprintf(s->shared.data_center, sizeof s->shared.data_center, "%s", s->control->node->data_center);
		s->has_local_dc = true;
	}
	for (size_t i = 0; i < s->nodes.count; i++) {
		struct tm_cass_node *n = s->nodes.items[i];
		n->local = n->known && strcmp(n->data_center, s->shared.data_center) == 0;
		there |= n->local;
		if (n->known && !strstr(names, n->data_center))
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", names[0] ? ", " : "", n->data_center);
	}
	if (there)
		return true;
	tm_fail(err, TM_NOT_FOUND, "no node of the cluster is in the data centre '%s'", s->shared.data_center);
	tm_err_hint(err, "Its data centres are: %s. Set local_dc to the one that is near (case counts).", names);
	return false;
}

/* Both answers are there: the cluster as it is now. */
static void look_done(struct tm_cass_session *s)
{
	const struct tm_cass_call *local = &s->looks[0], *peers = &s->looks[1];
	s->looking = false;
	if (!s->control)
		return;
	if (local->rc || local->response.result.row_count < 1 || tm_cass_cell(&local->response.result, 0, "host_id").len != 16) {
		tm_cass_link_close(s->control, "system.local cannot be read there");
		return;
	}
	const struct tm_cql_result *me = &local->response.result, *others = &peers->response.result;
	for (size_t i = 0; i < s->nodes.count; i++)
		s->nodes.items[i]->seen = false;
	struct tm_cass_node *n = by_id(s, tm_cass_cell(me, 0, "host_id"));
	struct tm_cass_node *own = n ? n : s->control->node;
	node_fill(own, me, 0);
	struct tm_cass_node **list = TM_NEW_N(&s->look_arena, struct tm_cass_node *, others->row_count + 1);
	for (size_t i = 0; !peers->rc && i < others->row_count; i++)
		list[i] = peer(s, others, i);
	drop_unseen(s);
	tm_cass_ring_done(&s->ring);
	cell_tokens(s, me, 0, node_index(s, own));
	for (size_t i = 0; !peers->rc && i < others->row_count; i++)
		if (list[i])
			cell_tokens(s, others, i, node_index(s, list[i]));
	tm_cass_ring_sort(&s->ring);
	free(s->places);
	s->places = tm_zalloc(tm_mul_size(s->nodes.count + 1, sizeof *s->places));
	for (size_t i = 0; i < s->nodes.count; i++)
		s->places[i] = (struct tm_cass_place){s->nodes.items[i]->data_center, s->nodes.items[i]->rack};
	struct tm_err err = {0};
	pthread_mutex_lock(&s->lock);
	cell_text(me, 0, "cluster_name", s->shared.cluster, sizeof s->shared.cluster);
	cell_text(me, 0, "release_version", s->shared.release, sizeof s->shared.release);
	bool found = choose_data_center(s, &err);
	pthread_mutex_unlock(&s->lock);
	if (!found)
		tm_cass_open_end(s, &err);
	else
		tm_cass_nodes_tick(s, tm_cass_now_ns());
}

static void looked(struct tm_cass_call *call)
{
	struct tm_cass_session *s = call->ctx;
	if (call == &s->looks[1] && call->rc == TM_INVALID && !s->peers_old) { /* Cassandra before 4.0 */
		s->peers_old = true;
		*call = (struct tm_cass_call){.request = {.opcode = TM_CASS_QUERY, .text = TM_STR("SELECT * FROM system.peers")},
					      .arena = &s->look_arena,
					      .done = looked,
					      .ctx = s,
					      .link = s->control};
		tm_cass_options_init(&call->request.options);
		if (s->control && tm_cass_link_send(s->control, call)) {
			tm_cass_link_flush(s->control);
			return;
		}
	}
	if (--s->looks_left == 0)
		look_done(s);
}

void tm_cass_control_look(struct tm_cass_session *s)
{
	if (s->looking || !s->control || s->control->state != TM_CASS_LINK_READY)
		return;
	static const char *const texts[] = {"SELECT * FROM system.local WHERE key='local'", "SELECT * FROM system.peers_v2"};
	s->looking = true;
	s->refresh_ns = 0;
	s->looks_left = 2;
	tm_arena_reset(&s->look_arena);
	for (size_t i = 0; i < 2; i++) {
		s->looks[i] = (struct tm_cass_call){
		    .request = {.opcode = TM_CASS_QUERY, .text = tm_str_of(i && s->peers_old ? "SELECT * FROM system.peers" : texts[i])},
		    .arena = &s->look_arena,
		    .done = looked,
		    .ctx = s,
		    .link = s->control};
		tm_cass_options_init(&s->looks[i].request.options);
		TM_ASSERT(tm_cass_link_send(s->control, &s->looks[i]));
	}
	tm_cass_link_flush(s->control);
}

/* ---- connections that come and go ---- */

static size_t alive(const struct tm_cass_session *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->nodes.count; i++)
		n += s->nodes.items[i]->local && s->nodes.items[i]->link && s->nodes.items[i]->link->state == TM_CASS_LINK_READY;
	return n;
}

void tm_cass_link_ready(struct tm_cass_link *l)
{
	struct tm_cass_session *s = l->session;
	struct tm_cass_node *n = l->node;
	if (l->control) {
		s->control_attempts = 0;
		pthread_mutex_lock(&s->lock);
		s->schema++; /* what changed meanwhile was not told */
		s->shared.version = l->version;
		pthread_mutex_unlock(&s->lock);
		tm_cass_control_look(s);
		return;
	}
	if (n->problem[0])
		tm_say(TM_SAY_INFO, "cassandra", "%s:%d answers again", n->host, n->port);
	n->attempts = 0;
	n->problem[0] = 0;
	tm_cass_shared_update(s);
	tm_cass_open_end(s, NULL);
}

/* The first tries: every contact point once, then that is said. */
static void contact_failed(struct tm_cass_session *s, const struct tm_cass_node *n, const char *why, bool denied)
{
	struct tm_err err = {0};
	if (denied) {
		tm_fail(&err, TM_DENIED, "%s:%d refuses us: %s", n->host, n->port, why);
		tm_err_hint(&err, s->user ? "Look at user and password in store: cassandra://user:password@host:port."
					  : "Give them in store: cassandra://user:password@host:port (or TIDEMILL_STORE).");
		tm_cass_open_end(s, &err);
	} else if (s->control_next >= s->nodes.count) {
		tm_fail(&err, TM_UNAVAILABLE, "no Cassandra answers at %s:%d: %s", n->host, n->port, why);
		if (s->nodes.count > 1)
			tm_err_detail(&err, "That is the last of %zu addresses that were tried.", s->nodes.count);
		if (strncmp(why, "TLS: ", 5) == 0)
			tm_err_hint(&err,
				    "ssl_ca=FILE names authorities to trust, ssl_check_hostname=false takes a certificate of another name; "
				    "a server without TLS wants neither (docs/store.md).");
		else
			tm_err_hint(&err,
				    "Is it running, is the port its native_transport_port (9042 by default), and does it want ssl=true?");
		tm_cass_open_end(s, &err);
	}
}

void tm_cass_link_gone(struct tm_cass_link *l, const char *why, bool denied)
{
	struct tm_cass_session *s = l->session;
	struct tm_cass_node *n = l->node;
	int64_t now = tm_cass_now_ns();
	if (l->control && s->control == l)
		s->control = NULL;
	if (n->link == l)
		n->link = NULL;
	if (s->stopping)
		return;
	if (l->refused_version && s->version == l->version && s->version > 3) { /* a step down, at once */
		s->version--;
		if (l->control)
			s->control_next = node_index(s, n);
		s->control_retry_ns = n->retry_at_ns = 0;
		return;
	}
	if (!n->problem[0] && n->known)
		tm_say(TM_SAY_WARN, "cassandra", "%s:%d: %s; it is tried again", n->host, n->port, why);
	snprintf(n->problem, sizeof n->problem, "%s", why);
	if (l->control) {
		s->control_retry_ns =
		    s->opening == TM_CASS_OPENING ? 0 : now + tm_cass_reconnect_pause_ns(++s->control_attempts, tm_cass_random());
		if (s->opening == TM_CASS_OPENING)
			contact_failed(s, n, why, denied);
	} else {
		n->retry_at_ns = now + tm_cass_reconnect_pause_ns(++n->attempts, tm_cass_random());
		if (s->opening == TM_CASS_OPENING && !alive(s)) {
			struct tm_err err = {0};
			tm_fail(&err, TM_UNAVAILABLE, "%s:%d: %s", n->host, n->port, why);
			tm_cass_open_end(s, &err);
		}
	}
	tm_cass_problem(s, n, why);
	tm_cass_shared_update(s);
}

void tm_cass_control_event(struct tm_cass_session *s, const struct tm_cass_response *event)
{
	if (tm_str_is(event->event, "SCHEMA_CHANGE")) {
		pthread_mutex_lock(&s->lock);
		s->schema++;
		pthread_mutex_unlock(&s->lock);
		return;
	}
	/* A node came, went, is up or down: its connection says better whether it answers, but it is worth trying now. */
	for (size_t i = 0; i < s->nodes.count; i++)
		s->nodes.items[i]->retry_at_ns = 0;
	s->refresh_ns = tm_cass_now_ns() + REFRESH_MS * INT64_C(1000000);
}

void tm_cass_nodes_tick(struct tm_cass_session *s, int64_t now)
{
	for (size_t i = 0; i < s->nodes.count; i++) {
		struct tm_cass_node *n = s->nodes.items[i];
		if (n->link)
			tm_cass_link_tick(n->link, now);
		if (n->local && !n->link && now >= n->retry_at_ns)
			tm_cass_link_open(s, n, false);
	}
	if (s->control)
		tm_cass_link_tick(s->control, now);
	if (!s->control && s->opening != TM_CASS_REFUSED && now >= s->control_retry_ns && s->nodes.count) {
		struct tm_cass_node *n = s->nodes.items[s->control_next++ % s->nodes.count];
		tm_cass_link_open(s, n, true);
	}
	if (s->refresh_ns && now >= s->refresh_ns)
		tm_cass_control_look(s);
}

void tm_cass_nodes_done(struct tm_cass_session *s)
{
	for (size_t i = 0; i < s->nodes.count; i++)
		free(s->nodes.items[i]);
	free(s->nodes.items);
	free(s->places);
	tm_cass_ring_done(&s->ring);
}

/* ---- whom a call goes to ---- */

struct tm_cass_link *tm_cass_nodes_choose(struct tm_cass_session *s, const struct tm_cass_call *call, size_t bytes, bool *ret_later)
{
	uint32_t replicas[REPLICAS_MAX];
	struct tm_cass_link *best = NULL, *any = NULL;
	size_t n = 0;
	bool alive_replica = false;
	*ret_later = false;
	for (size_t k = 0; k < s->nodes.count; k++) { /* by turns among those with the fewest in flight */
		const struct tm_cass_node *node = s->nodes.items[(k + s->turn) % s->nodes.count];
		struct tm_cass_link *l = node->local ? node->link : NULL;
		if (l && tm_cass_link_room(l, bytes) && (!any || l->in_flight < any->in_flight))
			any = l;
	}
	s->turn++;
	if (!any)
		return NULL;
	if (call->routed && s->nodes.count > 1 && call->attempts == 0) /* what failed once may go anywhere */
		n = tm_cass_ring_replicas(&s->ring, s->places, s->nodes.count, call->token, &call->replication, s->shared.data_center,
					  replicas, REPLICAS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct tm_cass_link *l = s->nodes.items[replicas[i]]->local ? s->nodes.items[replicas[i]]->link : NULL;
		alive_replica |= l && l->state == TM_CASS_LINK_READY;
		if (l && tm_cass_link_room(l, bytes) && (!best || l->in_flight < best->in_flight))
			best = l;
	}
	*ret_later = alive_replica && !best;
	return best || alive_replica ? best : any;
}
