/* Members of groups: joining, assigning, heartbeats, leaving, time-outs. */
#include "log/group_int.h"
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MIN_SESSION_MS 6000
#define DEFAULT_MAX_SESSION_MS (30 * 60 * 1000)
#define DEFAULT_RETENTION_MS (INT64_C(7) * 24 * 3600 * 1000)
#define EXPIRY_INTERVAL_MS (10 * 60 * 1000)

/* ---- the lock, and what happens when it is released ---- */

void group_lock(struct tm_groups *gs) { pthread_mutex_lock(&gs->lock); }

void group_unlock(struct tm_groups *gs)
{
	for (;;) {
		struct pending_write *append = gs->to_append;
		struct group_answer *answers = gs->answers;
		gs->to_append = NULL;
		gs->to_append_end = &gs->to_append;
		gs->answers = NULL;
		gs->answers_end = &gs->answers;
		/* On the list before the host sees them: it may report at once. */
		for (struct pending_write *p = append; p;) {
			struct pending_write *next = p->next;
			p->next = gs->writes;
			gs->writes = p;
			p = next;
		}
		/* The list is turned round by that; the host gets the batches in the order they were made. */
		size_t n = 0;
		struct {
			uint64_t ticket;
			struct tm_str batch;
		} few[8], *out = few;
		for (struct pending_write *p = gs->writes; append && p; p = p->next) {
			n++;
			if (p == append)
				break;
		}
		if (n > sizeof few / sizeof *few)
			out = tm_alloc(n * sizeof *out);
		size_t at = n;
		for (struct pending_write *p = gs->writes; at > 0; p = p->next) {
			out[--at].ticket = p->ticket;
			out[at].batch = tm_str_n(p->records, p->records_bytes);
		}
		pthread_mutex_unlock(&gs->lock);
		for (size_t i = 0; i < n; i++)
			gs->options.append(gs->options.ctx, out[i].batch, out[i].ticket);
		if (out != few)
			free(out);
		for (struct group_answer *a = answers, *next; a; a = next) {
			next = a->next;
			if (a->join)
				a->join(a->ctx, &a->joined);
			else if (a->sync)
				a->sync(a->ctx, &a->synced);
			else if (a->done)
				a->done(a->ctx);
			else if (a->done_error)
				a->done_error(a->ctx, a->error);
			tm_arena_done(&a->arena);
			free(a);
		}
		return;
	}
}

static struct group_answer *answer_add(struct tm_groups *gs, void *ctx)
{
	struct group_answer *a = tm_zalloc(sizeof *a);
	tm_arena_init(&a->arena);
	a->ctx = ctx;
	*gs->answers_end = a;
	gs->answers_end = &a->next;
	return a;
}

static void join_reply(struct tm_groups *gs, group_join_answer answer, void *ctx, const struct tm_group_joined *joined)
{
	if (!answer)
		return;
	struct group_answer *a = answer_add(gs, ctx);
	a->join = answer;
	a->joined = *joined;
	struct tm_str *strs[] = {&a->joined.protocol_type, &a->joined.protocol, &a->joined.leader, &a->joined.member};
	for (size_t i = 0; i < 4; i++)
		if (strs[i]->at)
			*strs[i] = tm_arena_str(&a->arena, *strs[i]);
	struct tm_group_member *members = TM_NEW_N(&a->arena, struct tm_group_member, joined->member_count + 1);
	for (size_t i = 0; i < joined->member_count; i++) {
		members[i].member = tm_arena_str(&a->arena, joined->members[i].member);
		if (joined->members[i].instance.at)
			members[i].instance = tm_arena_str(&a->arena, joined->members[i].instance);
		members[i].metadata = tm_arena_str(&a->arena, joined->members[i].metadata);
	}
	a->joined.members = members;
}

static void join_fail(struct tm_groups *gs, group_join_answer answer, void *ctx, int error, struct tm_str member)
{
	struct tm_group_joined j = {.error = error, .generation = -1, .member = member.at ? member : TM_STR("")};
	join_reply(gs, answer, ctx, &j);
}

static void sync_reply(struct tm_groups *gs, group_sync_answer answer, void *ctx, int error, const struct group *g,
		       struct tm_str assignment)
{
	if (!answer)
		return;
	struct group_answer *a = answer_add(gs, ctx);
	a->sync = answer;
	a->synced.error = error;
	a->synced.assignment = tm_arena_str(&a->arena, assignment);
	if (!error) {
		a->synced.protocol_type = tm_arena_str(&a->arena, g->protocol_type);
		a->synced.protocol = tm_arena_str(&a->arena, g->protocol);
	}
}

/* ---- groups and members ---- */

void group_str_set(struct tm_str *s, struct tm_str value)
{
	struct tm_str fresh = value.at ? tm_str_dup(value) : (struct tm_str){0};
	free((void *)(uintptr_t)s->at);
	*s = fresh;
}

static struct group **slot_of(struct tm_groups *gs, struct tm_str id) { return &gs->slots[tm_xxh3(id.at, id.len, 0) % GROUP_SLOTS]; }

struct group *group_find(struct tm_groups *gs, struct tm_str id)
{
	for (struct group *g = *slot_of(gs, id); g; g = g->next)
		if (tm_str_eq(g->id, id))
			return g;
	return NULL;
}

struct group *group_make(struct tm_groups *gs, struct tm_str id)
{
	struct group *g = group_find(gs, id);
	if (g)
		return g;
	g = tm_zalloc(sizeof *g);
	g->id = tm_str_dup(id);
	g->rebalance_deadline_ms = INT64_MAX;
	g->state_since_ms = gs->options.wall_ms(gs->options.ctx);
	struct group **slot = slot_of(gs, id);
	g->next = *slot;
	*slot = g;
	gs->count++;
	return g;
}

static void protocols_free(struct member *m)
{
	for (size_t i = 0; i < m->protocols.count; i++) {
		free((void *)(uintptr_t)m->protocols.items[i].name.at);
		free((void *)(uintptr_t)m->protocols.items[i].metadata.at);
	}
	m->protocols.count = 0;
}

static void member_free(struct member *m)
{
	struct tm_str *strs[] = {&m->id,         &m->instance,       &m->client_id, &m->client_host, &m->protocol_type,
				 &m->assignment, &m->next_assignment};
	for (size_t i = 0; i < sizeof strs / sizeof *strs; i++)
		free((void *)(uintptr_t)strs[i]->at);
	protocols_free(m);
	free(m->protocols.items);
	free(m);
}

void group_members_free(struct group *g)
{
	for (struct member *m = g->members, *next; m; m = next) {
		next = m->next;
		member_free(m);
	}
	g->members = NULL;
	g->member_count = 0;
}

static void pending_free(struct group *g)
{
	for (size_t i = 0; i < g->pending.count; i++)
		free((void *)(uintptr_t)g->pending.items[i].id.at);
	g->pending.count = 0;
}

static void group_free(struct group *g)
{
	group_members_free(g);
	group_offsets_free(g);
	pending_free(g);
	free(g->pending.items);
	struct tm_str *strs[] = {&g->id, &g->protocol_type, &g->protocol, &g->leader};
	for (size_t i = 0; i < 4; i++)
		free((void *)(uintptr_t)strs[i]->at);
	free(g);
}

void group_remove(struct tm_groups *gs, struct group *g)
{
	struct group **at = slot_of(gs, g->id);
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	gs->count--;
	group_free(g);
}

struct member *group_member(struct group *g, struct tm_str id)
{
	for (struct member *m = g->members; m; m = m->next)
		if (tm_str_eq(m->id, id))
			return m;
	return NULL;
}

struct member *group_instance(struct group *g, struct tm_str instance)
{
	for (struct member *m = g->members; instance.at && m; m = m->next)
		if (m->instance.at && tm_str_eq(m->instance, instance))
			return m;
	return NULL;
}

int group_member_check(struct group *g, struct tm_str id, struct tm_str instance, struct member **ret)
{
	struct member *m = NULL;
	if (instance.at) {
		m = group_instance(g, instance);
		if (!m)
			return GROUP_UNKNOWN_MEMBER;
		if (!tm_str_eq(m->id, id))
			return GROUP_FENCED_INSTANCE;
	} else {
		m = group_member(g, id);
		if (!m)
			return GROUP_UNKNOWN_MEMBER;
	}
	*ret = m;
	return 0;
}

const char *group_state_name(enum group_state s)
{
	static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"};
	return names[s];
}

static bool pending_take(struct group *g, struct tm_str id)
{
	for (size_t i = 0; i < g->pending.count; i++) {
		if (!tm_str_eq(g->pending.items[i].id, id))
			continue;
		free((void *)(uintptr_t)g->pending.items[i].id.at);
		g->pending.items[i] = g->pending.items[--g->pending.count];
		return true;
	}
	return false;
}

static void state_set(struct tm_groups *gs, struct group *g, enum group_state state)
{
	g->state = state;
	g->state_since_ms = gs->options.wall_ms(gs->options.ctx);
}

/* ---- protocols ---- */

static bool supports(const struct member *m, struct tm_str protocol)
{
	for (size_t i = 0; i < m->protocols.count; i++)
		if (tm_str_eq(m->protocols.items[i].name, protocol))
			return true;
	return false;
}

static bool all_support(const struct group *g, struct tm_str protocol, const struct member *but)
{
	for (const struct member *m = g->members; m; m = m->next)
		if (m != but && !supports(m, protocol))
			return false;
	return true;
}

static bool protocols_fit(const struct group *g, const struct tm_group_join *j, const struct member *but)
{
	if (!j->protocol_type.len || !j->protocol_count)
		return false;
	if (g->state == GROUP_EMPTY || g->state == GROUP_DEAD || !g->member_count)
		return true;
	if (!tm_str_eq(g->protocol_type, j->protocol_type))
		return false;
	for (size_t i = 0; i < j->protocol_count; i++)
		if (all_support(g, j->protocols[i].name, but))
			return true;
	return false;
}

/* Each member votes for its first protocol that all support; most votes win, then the one that came first. */
static struct tm_str protocol_elect(const struct group *g)
{
	struct tm_str best = {0};
	int best_votes = 0;
	for (const struct member *m = g->members; m; m = m->next) {
		for (size_t i = 0; i < m->protocols.count; i++) {
			struct tm_str candidate = m->protocols.items[i].name;
			if (!all_support(g, candidate, NULL))
				continue;
			int votes = 0;
			for (const struct member *v = g->members; v; v = v->next) {
				size_t k = 0;
				while (k < v->protocols.count && !all_support(g, v->protocols.items[k].name, NULL))
					k++;
				votes += k < v->protocols.count && tm_str_eq(v->protocols.items[k].name, candidate);
			}
			if (votes > best_votes) {
				best = candidate;
				best_votes = votes;
			}
		}
	}
	return best;
}

static bool same_protocols(const struct member *m, const struct tm_group_join *j)
{
	if (m->protocols.count != j->protocol_count)
		return false;
	for (size_t i = 0; i < j->protocol_count; i++)
		if (!tm_str_eq(m->protocols.items[i].name, j->protocols[i].name) ||
		    !tm_str_eq(m->protocols.items[i].metadata, j->protocols[i].metadata))
			return false;
	return true;
}

static void member_update(struct member *m, const struct tm_group_join *j)
{
	protocols_free(m);
	for (size_t i = 0; i < j->protocol_count; i++) {
		struct tm_group_protocol p = {tm_str_dup(j->protocols[i].name), tm_str_dup(j->protocols[i].metadata)};
		TM_PUSH(&m->protocols, p);
	}
	m->session_timeout_ms = j->session_timeout_ms;
	m->rebalance_timeout_ms = j->rebalance_timeout_ms;
	m->skip_assignment_known = j->skip_assignment_known;
	group_str_set(&m->client_id, j->client_id.at ? j->client_id : TM_STR(""));
	group_str_set(&m->client_host, j->client_host.at ? j->client_host : TM_STR(""));
	group_str_set(&m->protocol_type, j->protocol_type);
}

static struct member *member_add(struct group *g, const struct tm_group_join *j, struct tm_str id)
{
	struct member *m = tm_zalloc(sizeof *m), **end = &g->members;
	m->id = tm_str_dup(id);
	group_str_set(&m->instance, j->instance);
	m->assignment = tm_str_dup(TM_STR(""));
	m->next_assignment = tm_str_dup(TM_STR(""));
	member_update(m, j);
	if (!g->member_count)
		group_str_set(&g->protocol_type, j->protocol_type);
	if (!g->leader.at)
		group_str_set(&g->leader, id);
	while (*end)
		end = &(*end)->next;
	*end = m;
	g->member_count++;
	return m;
}

static void member_remove(struct group *g, struct member *m)
{
	struct member **at = &g->members;
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	g->member_count--;
	if (g->leader.at && tm_str_eq(g->leader, m->id)) {
		struct tm_str next = {0};
		for (struct member *o = g->members; o && !next.at; o = o->next)
			if (o->joining)
				next = o->id;
		group_str_set(&g->leader, next.at ? next : g->members ? g->members->id : next);
	}
	member_free(m);
}

/* ---- rebalancing ---- */

static void generation_complete(struct tm_groups *gs, struct group *g, int64_t now_ms);

static bool all_joined(const struct group *g)
{
	for (const struct member *m = g->members; m; m = m->next)
		if (!m->joining)
			return false;
	return !g->pending.count;
}

static void rebalance_try(struct tm_groups *gs, struct group *g, int64_t now_ms)
{
	if (g->state == GROUP_PREPARING && ((!g->initial && all_joined(g)) || now_ms >= g->rebalance_deadline_ms))
		generation_complete(gs, g, now_ms);
}

static void rebalance_start(struct tm_groups *gs, struct group *g, int64_t now_ms)
{
	if (g->state == GROUP_PREPARING) {
		rebalance_try(gs, g, now_ms);
		return;
	}
	/* Who waits for an assignment of the old generation joins again. */
	for (struct member *m = g->members; m; m = m->next) {
		sync_reply(gs, m->sync_answer, m->sync_ctx, GROUP_REBALANCE_IN_PROGRESS, g, TM_STR(""));
		m->sync_answer = NULL;
		if (m->expires_ms == INT64_MAX && !m->joining)
			m->expires_ms = now_ms + m->session_timeout_ms;
		m->synced = false;
		if (g->state == GROUP_COMPLETING)
			group_str_set(&m->assignment, TM_STR(""));
	}
	g->assign_ticket = 0;
	g->initial = g->state == GROUP_EMPTY && gs->options.initial_delay_ms > 0;
	int64_t wait_ms = g->initial ? gs->options.initial_delay_ms : 0;
	for (struct member *m = g->members; m && !g->initial; m = m->next)
		if (m->rebalance_timeout_ms > wait_ms)
			wait_ms = m->rebalance_timeout_ms;
	if (g->state == GROUP_EMPTY && !g->initial)
		wait_ms = 0; /* the first member does not wait for ids that were given and never used */
	g->rebalance_deadline_ms = now_ms + wait_ms;
	state_set(gs, g, GROUP_PREPARING);
	rebalance_try(gs, g, now_ms);
}

static void metadata_write(struct tm_groups *gs, struct group *g)
{
	struct group_writer w;
	group_writer_init(&w);
	group_write_metadata(&w, g, false, g->state_since_ms);
	group_write(gs, &w, WRITE_STATE, g->id, -1, -1)->generation = g->generation;
}

static void joined_reply(struct tm_groups *gs, struct group *g, struct member *to, group_join_answer answer, void *ctx,
			 bool skip_assignment)
{
	struct tm_group_member *list = NULL;
	struct tm_group_joined j = {
	    .generation = g->generation, .protocol_type = g->protocol_type, .protocol = g->protocol, .leader = g->leader, .member = to->id};
	if (tm_str_eq(g->leader, to->id) || skip_assignment) {
		list = tm_alloc((g->member_count + 1) * sizeof *list);
		for (struct member *m = g->members; m; m = m->next) {
			struct tm_str metadata = TM_STR("");
			for (size_t i = 0; i < m->protocols.count; i++)
				if (tm_str_eq(m->protocols.items[i].name, g->protocol))
					metadata = m->protocols.items[i].metadata;
			list[j.member_count++] = (struct tm_group_member){.member = m->id, .instance = m->instance, .metadata = metadata};
		}
		j.members = list;
		j.skip_assignment = skip_assignment;
	}
	join_reply(gs, answer, ctx, &j);
	free(list);
}

/* Joining has ended: who is here makes the next generation. */
static void generation_complete(struct tm_groups *gs, struct group *g, int64_t now_ms)
{
	for (struct member *m = g->members, *next; m; m = next) {
		next = m->next;
		if (!m->joining && !m->instance.at)
			member_remove(g, m);
	}
	pending_free(g);
	g->initial = false;
	struct member *leader = g->leader.at ? group_member(g, g->leader) : NULL;
	for (struct member *m = g->members; m && (!leader || !leader->joining); m = m->next)
		if (m->joining)
			leader = m;
	g->generation++;
	if (!leader || !leader->joining) {
		if (g->member_count) {
			/* Only static members that have not come back yet: they keep their places until their sessions end. */
			g->generation--;
			g->rebalance_deadline_ms = now_ms + g->members->rebalance_timeout_ms;
			return;
		}
		group_str_set(&g->protocol, (struct tm_str){0});
		group_str_set(&g->leader, (struct tm_str){0});
		state_set(gs, g, GROUP_EMPTY);
		g->rebalance_deadline_ms = INT64_MAX;
		metadata_write(gs, g);
		return;
	}
	struct tm_str leader_id = tm_str_dup(leader->id);
	group_str_set(&g->leader, leader_id);
	free((void *)(uintptr_t)leader_id.at);
	struct tm_str protocol = tm_str_dup(protocol_elect(g));
	group_str_set(&g->protocol, protocol);
	free((void *)(uintptr_t)protocol.at);
	state_set(gs, g, GROUP_COMPLETING);
	int64_t wait_ms = 0;
	for (struct member *m = g->members; m; m = m->next) {
		if (m->join_answer)
			joined_reply(gs, g, m, m->join_answer, m->join_ctx, false);
		m->join_answer = NULL;
		m->joining = m->synced = false;
		m->expires_ms = now_ms + m->session_timeout_ms;
		if (m->rebalance_timeout_ms > wait_ms)
			wait_ms = m->rebalance_timeout_ms;
	}
	g->rebalance_deadline_ms = now_ms + wait_ms;
}

static void member_wait(struct tm_groups *gs, struct group *g, struct member *m, group_join_answer answer, void *ctx, int64_t now_ms)
{
	m->join_answer = answer;
	m->join_ctx = ctx;
	m->joining = true;
	m->expires_ms = INT64_MAX;
	rebalance_start(gs, g, now_ms);
}

/* A member is gone: the others share anew. */
static void member_gone(struct tm_groups *gs, struct group *g, struct member *m, int64_t now_ms)
{
	join_fail(gs, m->join_answer, m->join_ctx, GROUP_UNKNOWN_MEMBER, m->id);
	sync_reply(gs, m->sync_answer, m->sync_ctx, GROUP_UNKNOWN_MEMBER, g, TM_STR(""));
	member_remove(g, m);
	if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
		rebalance_start(gs, g, now_ms);
	else
		rebalance_try(gs, g, now_ms);
}

/* ---- joining ---- */

static struct tm_str member_id_make(struct tm_groups *gs, const struct tm_group_join *j, char out[400])
{
	uint8_t r[16];
	struct tm_str name = j->instance.at ? j->instance : j->client_id;
	gs->options.random(gs->options.ctx, r, sizeof r);
	int n = snprintf(out, 400, "%.*s-%02x%02x%02x%02x-%02x%02x-4%x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 name.len > 300 ? 300 : (int)name.len, name.at ? name.at : "", r[0], r[1], r[2], r[3], r[4], r[5], r[6] & 15, r[7],
			 (r[8] & 0x3F) | 0x80, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	return tm_str_n(out, (size_t)n);
}

/* A static member that comes back, as a new process: it takes the place of the old one. */
static void instance_replace(struct tm_groups *gs, struct group *g, struct member *m, const struct tm_group_join *j,
			     group_join_answer answer, void *ctx, int64_t now_ms)
{
	char id[400];
	struct tm_str old = tm_str_dup(m->id), fresh = member_id_make(gs, j, id);
	join_fail(gs, m->join_answer, m->join_ctx, GROUP_FENCED_INSTANCE, m->id);
	sync_reply(gs, m->sync_answer, m->sync_ctx, GROUP_FENCED_INSTANCE, g, TM_STR(""));
	m->join_answer = NULL;
	m->sync_answer = NULL;
	bool was_leader = g->leader.at && tm_str_eq(g->leader, m->id), same = same_protocols(m, j);
	group_str_set(&m->id, fresh);
	if (was_leader)
		group_str_set(&g->leader, fresh);
	member_update(m, j);
	m->expires_ms = now_ms + m->session_timeout_ms;
	if (g->state == GROUP_STABLE && same) {
		/* The generation goes on. A client that can be told so gets the list as the leader; an older one is kept from
		 * assigning anew by the name of the leader that was. */
		if (was_leader && j->skip_assignment_known) {
			joined_reply(gs, g, m, answer, ctx, true);
		} else {
			struct tm_group_joined joined = {.generation = g->generation,
							 .protocol_type = g->protocol_type,
							 .protocol = g->protocol,
							 .leader = was_leader ? old : g->leader,
							 .member = m->id};
			join_reply(gs, answer, ctx, &joined);
		}
		metadata_write(gs, g);
	} else {
		member_wait(gs, g, m, answer, ctx, now_ms);
	}
	free((void *)(uintptr_t)old.at);
}

static void join_new(struct tm_groups *gs, struct group *g, const struct tm_group_join *j, group_join_answer answer, void *ctx,
		     int64_t now_ms)
{
	char id[400];
	struct member *known = group_instance(g, j->instance);
	if (!protocols_fit(g, j, known)) {
		join_fail(gs, answer, ctx, GROUP_INCONSISTENT_PROTOCOL, TM_STR(""));
		return;
	}
	if (known) {
		instance_replace(gs, g, known, j, answer, ctx, now_ms);
		return;
	}
	struct tm_str fresh = member_id_make(gs, j, id);
	if (j->member_id_required && !j->instance.at) {
		struct pending_member p = {tm_str_dup(fresh), now_ms + j->session_timeout_ms};
		TM_PUSH(&g->pending, p);
		join_fail(gs, answer, ctx, GROUP_MEMBER_ID_REQUIRED, fresh);
		return;
	}
	member_wait(gs, g, member_add(g, j, fresh), answer, ctx, now_ms);
}

static void join_again(struct tm_groups *gs, struct group *g, struct member *m, const struct tm_group_join *j, group_join_answer answer,
		       void *ctx, int64_t now_ms)
{
	bool is_leader = g->leader.at && tm_str_eq(g->leader, m->id), same = same_protocols(m, j);
	bool goes_on = same && ((g->state == GROUP_COMPLETING) || (g->state == GROUP_STABLE && !is_leader));
	if (g->state == GROUP_EMPTY) {
		join_fail(gs, answer, ctx, GROUP_UNKNOWN_MEMBER, j->member);
		return;
	}
	if (goes_on) {
		m->expires_ms = now_ms + m->session_timeout_ms;
		joined_reply(gs, g, m, answer, ctx, false);
		return;
	}
	if (m->join_answer) /* the same member on a newer connection */
		join_fail(gs, m->join_answer, m->join_ctx, GROUP_REBALANCE_IN_PROGRESS, m->id);
	member_update(m, j);
	member_wait(gs, g, m, answer, ctx, now_ms);
}

static void join_known(struct tm_groups *gs, struct group *g, const struct tm_group_join *j, group_join_answer answer, void *ctx,
		       int64_t now_ms)
{
	struct member *m = NULL;
	int error = g ? group_member_check(g, j->member, j->instance, &m) : GROUP_UNKNOWN_MEMBER;
	if (error == GROUP_UNKNOWN_MEMBER && g && !j->instance.at && pending_take(g, j->member)) {
		if (protocols_fit(g, j, NULL))
			member_wait(gs, g, member_add(g, j, j->member), answer, ctx, now_ms);
		else
			join_fail(gs, answer, ctx, GROUP_INCONSISTENT_PROTOCOL, j->member);
		return;
	}
	if (!error && !protocols_fit(g, j, m))
		error = GROUP_INCONSISTENT_PROTOCOL;
	if (error) {
		join_fail(gs, answer, ctx, error, j->member);
		return;
	}
	join_again(gs, g, m, j, answer, ctx, now_ms);
}

void tm_groups_join(struct tm_groups *gs, const struct tm_group_join *j, int64_t now_ms, group_join_answer answer, void *ctx)
{
	group_lock(gs);
	if (!j->group.len) {
		join_fail(gs, answer, ctx, GROUP_INVALID_ID, j->member);
	} else if (j->session_timeout_ms < gs->options.min_session_ms || j->session_timeout_ms > gs->options.max_session_ms) {
		join_fail(gs, answer, ctx, GROUP_INVALID_SESSION_TIMEOUT, j->member);
	} else if (j->member.len) {
		join_known(gs, group_find(gs, j->group), j, answer, ctx, now_ms);
	} else if (!j->protocol_type.len || !j->protocol_count) {
		join_fail(gs, answer, ctx, GROUP_INCONSISTENT_PROTOCOL, TM_STR(""));
	} else {
		join_new(gs, group_make(gs, j->group), j, answer, ctx, now_ms);
	}
	group_unlock(gs);
}

/* ---- assigning ---- */

void group_assigned(struct tm_groups *gs, struct group *g, int error, int64_t now_ms)
{
	g->assign_ticket = 0;
	if (g->state != GROUP_COMPLETING)
		return;
	if (error) {
		for (struct member *m = g->members; m; m = m->next) {
			sync_reply(gs, m->sync_answer, m->sync_ctx, error, g, TM_STR(""));
			m->sync_answer = NULL;
			m->expires_ms = now_ms + m->session_timeout_ms;
		}
		rebalance_start(gs, g, now_ms);
		return;
	}
	state_set(gs, g, GROUP_STABLE);
	for (struct member *m = g->members; m; m = m->next) {
		group_str_set(&m->assignment, m->next_assignment);
		/* Also one whose connection is gone: it has a session's time to come back. */
		if (m->expires_ms == INT64_MAX)
			m->expires_ms = now_ms + m->session_timeout_ms;
		sync_reply(gs, m->sync_answer, m->sync_ctx, 0, g, m->assignment);
		m->sync_answer = NULL;
	}
}

static void assign(struct tm_groups *gs, struct group *g, const struct tm_group_sync *s)
{
	for (struct member *m = g->members; m; m = m->next) {
		struct tm_str mine = TM_STR("");
		for (size_t i = 0; i < s->assignment_count; i++)
			if (tm_str_eq(s->assignments[i].member, m->id))
				mine = s->assignments[i].assignment;
		group_str_set(&m->next_assignment, mine);
	}
	struct group_writer w;
	group_writer_init(&w);
	group_write_metadata(&w, g, true, gs->options.wall_ms(gs->options.ctx));
	struct pending_write *p = group_write(gs, &w, WRITE_ASSIGN, g->id, -1, -1);
	p->generation = g->generation;
	g->assign_ticket = p->ticket;
}

static int sync_check(struct group *g, const struct tm_group_sync *s, struct member **ret)
{
	int error = group_member_check(g, s->member, s->instance, ret);
	if (error)
		return error;
	if (s->generation != g->generation)
		return GROUP_ILLEGAL_GENERATION;
	if (s->check_protocol && (!s->protocol_type.at || !s->protocol.at || !tm_str_eq(s->protocol_type, g->protocol_type) ||
				  !tm_str_eq(s->protocol, g->protocol)))
		return GROUP_INCONSISTENT_PROTOCOL;
	return 0;
}

void tm_groups_sync(struct tm_groups *gs, const struct tm_group_sync *s, int64_t now_ms, group_sync_answer answer, void *ctx)
{
	group_lock(gs);
	struct group *g = group_find(gs, s->group);
	struct member *m = NULL;
	int error = !s->group.len ? GROUP_INVALID_ID : g ? sync_check(g, s, &m) : GROUP_UNKNOWN_MEMBER;
	if (!error && g->state == GROUP_PREPARING)
		error = GROUP_REBALANCE_IN_PROGRESS;
	if (!error && (g->state == GROUP_EMPTY || g->state == GROUP_DEAD))
		error = GROUP_UNKNOWN_MEMBER;
	if (error) {
		sync_reply(gs, answer, ctx, error, g, TM_STR(""));
	} else if (g->state == GROUP_STABLE) {
		m->expires_ms = now_ms + m->session_timeout_ms;
		m->synced = true;
		sync_reply(gs, answer, ctx, 0, g, m->assignment);
	} else {
		sync_reply(gs, m->sync_answer, m->sync_ctx, GROUP_REBALANCE_IN_PROGRESS, g, TM_STR(""));
		m->sync_answer = answer;
		m->sync_ctx = ctx;
		m->synced = true;
		m->expires_ms = INT64_MAX;
		if (tm_str_eq(g->leader, m->id) && !g->assign_ticket)
			assign(gs, g, s);
	}
	group_unlock(gs);
}

/* ---- staying and leaving ---- */

int tm_groups_heartbeat(struct tm_groups *gs, struct tm_str group, struct tm_str member, struct tm_str instance, int32_t generation,
			int64_t now_ms)
{
	group_lock(gs);
	struct group *g = group_find(gs, group);
	struct member *m = NULL;
	int error = !group.len ? GROUP_INVALID_ID : g ? group_member_check(g, member, instance, &m) : GROUP_UNKNOWN_MEMBER;
	if (!error && generation != g->generation)
		error = GROUP_ILLEGAL_GENERATION;
	if (!error && g->state == GROUP_EMPTY)
		error = GROUP_UNKNOWN_MEMBER;
	if (!error) {
		if (m->expires_ms != INT64_MAX)
			m->expires_ms = now_ms + m->session_timeout_ms;
		if (g->state == GROUP_PREPARING)
			error = GROUP_REBALANCE_IN_PROGRESS;
	}
	group_unlock(gs);
	return error;
}

int tm_groups_leave(struct tm_groups *gs, struct tm_str group, struct tm_str member, struct tm_str instance, int64_t now_ms)
{
	group_lock(gs);
	struct group *g = group_find(gs, group);
	struct member *m = NULL;
	int error = 0;
	if (!group.len) {
		error = GROUP_INVALID_ID;
	} else if (!g) {
		error = GROUP_UNKNOWN_MEMBER;
	} else if (instance.at && !member.len) {
		m = group_instance(g, instance);
		error = m ? 0 : GROUP_UNKNOWN_MEMBER;
	} else if (!instance.at && pending_take(g, member)) {
		rebalance_try(gs, g, now_ms);
	} else {
		error = group_member_check(g, member, instance, &m);
	}
	if (m && !error)
		member_gone(gs, g, m, now_ms);
	group_unlock(gs);
	return error;
}

/* ---- time ---- */

static int64_t group_tick(struct tm_groups *gs, struct group *g, int64_t now_ms)
{
	for (size_t i = 0; i < g->pending.count;) {
		if (g->pending.items[i].expires_ms > now_ms)
			i++;
		else
			pending_take(g, g->pending.items[i].id);
	}
	for (bool again = true; again;) {
		again = false;
		for (struct member *m = g->members; m && !again; m = m->next) {
			if (m->expires_ms > now_ms)
				continue;
			member_gone(gs, g, m, now_ms);
			again = true;
		}
	}
	if (g->state == GROUP_PREPARING) {
		rebalance_try(gs, g, now_ms);
	} else if (g->state == GROUP_COMPLETING && now_ms >= g->rebalance_deadline_ms) {
		/* Who never asked for its assignment holds the others up no longer. */
		for (struct member *m = g->members, *next; m; m = next) {
			next = m->next;
			if (!m->synced && !m->instance.at) {
				join_fail(gs, m->join_answer, m->join_ctx, GROUP_UNKNOWN_MEMBER, m->id);
				member_remove(g, m);
			}
		}
		rebalance_start(gs, g, now_ms);
	}
	int64_t next = g->state == GROUP_PREPARING || g->state == GROUP_COMPLETING ? g->rebalance_deadline_ms : INT64_MAX;
	for (struct member *m = g->members; m; m = m->next)
		if (m->expires_ms < next)
			next = m->expires_ms;
	for (size_t i = 0; i < g->pending.count; i++)
		if (g->pending.items[i].expires_ms < next)
			next = g->pending.items[i].expires_ms;
	return next;
}

int64_t tm_groups_tick(struct tm_groups *gs, int64_t now_ms)
{
	group_lock(gs);
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < GROUP_SLOTS && gs->count; i++) {
		for (struct group *g = gs->slots[i], *following; g; g = following) {
			following = g->next;
			int64_t at = group_tick(gs, g, now_ms);
			if (at < next)
				next = at;
			/* A name that somebody asked to join by, and nothing came of it. */
			if (g->state == GROUP_EMPTY && !g->written && !g->generation && !g->member_count && !g->pending.count)
				group_remove(gs, g);
		}
	}
	if (now_ms >= gs->next_expiry_ms) {
		group_offsets_expire(gs, gs->options.wall_ms(gs->options.ctx));
		gs->next_expiry_ms = now_ms + EXPIRY_INTERVAL_MS;
	}
	if (gs->count && gs->next_expiry_ms < next)
		next = gs->next_expiry_ms;
	group_unlock(gs);
	return next;
}

void tm_groups_forget(struct tm_groups *gs, void *ctx)
{
	group_lock(gs);
	for (size_t i = 0; i < GROUP_SLOTS; i++) {
		for (struct group *g = gs->slots[i]; g; g = g->next) {
			for (struct member *m = g->members; m; m = m->next) {
				if (m->join_ctx == ctx)
					m->join_answer = NULL;
				if (m->sync_ctx == ctx)
					m->sync_answer = NULL;
			}
		}
	}
	group_unlock(gs);
}

struct tm_groups *tm_groups_new(const struct tm_groups_options *options)
{
	struct tm_groups *gs = tm_zalloc(sizeof *gs);
	gs->options = *options;
	if (!gs->options.min_session_ms)
		gs->options.min_session_ms = DEFAULT_MIN_SESSION_MS;
	if (!gs->options.max_session_ms)
		gs->options.max_session_ms = DEFAULT_MAX_SESSION_MS;
	if (!gs->options.offsets_retention_ms)
		gs->options.offsets_retention_ms = DEFAULT_RETENTION_MS;
	if (!gs->options.max_metadata_bytes)
		gs->options.max_metadata_bytes = 4096;
	gs->answers_end = &gs->answers;
	gs->to_append_end = &gs->to_append;
	pthread_mutex_init(&gs->lock, NULL);
	return gs;
}

void tm_groups_free(struct tm_groups *gs)
{
	if (!gs)
		return;
	for (size_t i = 0; i < GROUP_SLOTS; i++)
		while (gs->slots[i])
			group_remove(gs, gs->slots[i]);
	for (struct pending_write *p = gs->writes, *next; p; p = next) {
		next = p->next;
		free(p->records);
		free((void *)(uintptr_t)p->group.at);
		free(p);
	}
	pthread_mutex_destroy(&gs->lock);
	free(gs);
}
