/* Committed offsets: commit, fetch, delete, expiry; transactional offsets until their transaction ends. */
#include "log/group_int.h"
#include <stdlib.h>

/* ---- the sorted list ---- */

static int order(const struct committed *c, struct tm_str topic, int32_t partition)
{
	int by_topic = tm_str_cmp(c->topic, topic);
	return by_topic ? by_topic : (c->partition > partition) - (c->partition < partition);
}

static size_t position(const struct group *g, struct tm_str topic, int32_t partition)
{
	size_t low = 0, high = g->offsets.count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (order(&g->offsets.items[mid], topic, partition) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct committed *group_offset_find(struct group *g, struct tm_str topic, int32_t partition)
{
	size_t at = position(g, topic, partition);
	return at < g->offsets.count && order(&g->offsets.items[at], topic, partition) == 0 ? &g->offsets.items[at] : NULL;
}

static void committed_free(struct committed *c)
{
	free((void *)(uintptr_t)c->topic.at);
	free((void *)(uintptr_t)c->metadata.at);
}

void group_offset_put(struct group *g, const struct committed *c)
{
	struct committed *have = group_offset_find(g, c->topic, c->partition);
	if (have) {
		group_str_set(&have->metadata, c->metadata);
		have->offset = c->offset;
		have->leader_epoch = c->leader_epoch;
		have->commit_ms = c->commit_ms;
		have->expire_ms = c->expire_ms;
		return;
	}
	size_t at = position(g, c->topic, c->partition);
	struct committed copy = *c;
	copy.topic = tm_str_dup(c->topic);
	copy.metadata = c->metadata.at ? tm_str_dup(c->metadata) : c->metadata;
	TM_PUSH(&g->offsets, copy);
	memmove(&g->offsets.items[at + 1], &g->offsets.items[at], (g->offsets.count - 1 - at) * sizeof copy);
	g->offsets.items[at] = copy;
}

void group_offset_drop(struct group *g, struct tm_str topic, int32_t partition)
{
	struct committed *c = group_offset_find(g, topic, partition);
	if (!c)
		return;
	committed_free(c);
	size_t at = (size_t)(c - g->offsets.items);
	memmove(c, c + 1, (g->offsets.count - 1 - at) * sizeof *c);
	g->offsets.count--;
}

void group_offsets_free(struct group *g)
{
	for (size_t i = 0; i < g->offsets.count; i++)
		committed_free(&g->offsets.items[i]);
	for (size_t i = 0; i < g->unstable.count; i++)
		committed_free(&g->unstable.items[i]);
	free(g->offsets.items);
	free(g->unstable.items);
}

/* ---- writes that have become durable ---- */

static void write_apply(struct tm_groups *gs, const struct pending_write *p)
{
	struct tm_str rest = tm_str_n(p->records, p->records_bytes);
	struct tm_batch_info batch;
	struct tm_err err = {0};
	tm_rc rc = tm_batch_next(&rest, false, &batch, &err);
	if (rc == TM_OK)
		rc = group_batch_apply(gs, &batch, false, &err);
	TM_ASSERT(rc == TM_OK); /* our own batch */
}

static void offsets_fail(struct pending_write *p, int error)
{
	for (size_t i = 0; i < p->offset_count; i++)
		if (!p->offsets[i].error)
			p->offsets[i].error = error;
}

void tm_groups_appended(struct tm_groups *gs, uint64_t ticket, int error, int64_t now_ms)
{
	group_lock(gs);
	struct pending_write **at = &gs->writes;
	while (*at && (*at)->ticket != ticket)
		at = &(*at)->next;
	struct pending_write *p = *at;
	if (p) {
		*at = p->next;
		struct group *g = group_find(gs, p->group);
		if (p->kind == WRITE_ASSIGN) {
			if (g && g->assign_ticket == ticket)
				group_assigned(gs, g, error, now_ms);
		} else if (error) {
			offsets_fail(p, error);
		} else if (p->kind == WRITE_DELETE_GROUP) {
			if (g && !g->member_count)
				group_remove(gs, g);
		} else if (p->kind != WRITE_STATE) {
			write_apply(gs, p);
		}
		if (p->done || p->done_error) {
			struct group_answer *a = tm_zalloc(sizeof *a);
			tm_arena_init(&a->arena);
			*a = (struct group_answer){
			    .arena = a->arena, .done = p->done, .done_error = p->done_error, .ctx = p->ctx, .error = error};
			*gs->answers_end = a;
			gs->answers_end = &a->next;
		}
		free(p->records);
		free((void *)(uintptr_t)p->group.at);
		free(p);
	}
	group_unlock(gs);
}

/* ---- commit ---- */

static int commit_check(struct group *g, const struct tm_group_commit *c)
{
	bool outside = c->generation < 0 && !c->member.len;
	if (!g || g->state == GROUP_DEAD)
		return c->generation < 0 ? 0 : GROUP_ILLEGAL_GENERATION;
	if (outside && g->state == GROUP_EMPTY)
		return 0;
	if (c->producer_id >= 0 && outside)
		return 0; /* a transaction without the group's fencing: older clients */
	struct member *m = NULL;
	int error = g->state == GROUP_EMPTY ? GROUP_UNKNOWN_MEMBER : group_member_check(g, c->member, c->instance, &m);
	if (error)
		return error;
	if (c->generation != g->generation)
		return GROUP_ILLEGAL_GENERATION;
	return g->state == GROUP_COMPLETING ? GROUP_REBALANCE_IN_PROGRESS : 0;
}

void tm_groups_commit(struct tm_groups *gs, const struct tm_group_commit *c, int64_t now_ms, void (*answer)(void *ctx), void *ctx)
{
	group_lock(gs);
	struct group *g = group_find(gs, c->group);
	int error = commit_check(g, c);
	struct group_writer w;
	group_writer_init(&w);
	for (size_t i = 0; i < c->offset_count; i++) {
		struct tm_group_offset *o = &c->offsets[i];
		if (!o->error && error)
			o->error = error;
		if (!o->error && o->metadata.len > gs->options.max_metadata_bytes)
			o->error = GROUP_METADATA_TOO_LARGE;
		if (!o->error)
			group_write_offset(&w, c->group, o);
	}
	if (!error && g && c->member.len) {
		struct member *m = group_member(g, c->member);
		if (m && m->expires_ms != INT64_MAX)
			m->expires_ms = now_ms + m->session_timeout_ms;
	}
	if (w.records.count) {
		struct pending_write *p = group_write(gs, &w, WRITE_COMMIT, c->group, c->producer_id, c->producer_epoch);
		p->offsets = c->offsets;
		p->offset_count = c->offset_count;
		p->done = answer;
		p->ctx = ctx;
	} else {
		tm_arena_done(&w.arena);
	}
	bool answered = w.records.count == 0;
	group_unlock(gs);
	if (answered)
		answer(ctx);
}

void group_transaction_end(struct tm_groups *gs, int64_t producer_id, bool committed)
{
	for (size_t s = 0; s < GROUP_SLOTS; s++) {
		for (struct group *g = gs->slots[s]; g; g = g->next) {
			size_t kept = 0;
			for (size_t i = 0; i < g->unstable.count; i++) {
				struct committed *c = &g->unstable.items[i];
				if (c->producer_id != producer_id) {
					g->unstable.items[kept++] = *c;
					continue;
				}
				c->producer_id = -1;
				if (committed)
					group_offset_put(g, c);
				committed_free(c);
			}
			g->unstable.count = kept;
		}
	}
}

void tm_groups_transaction_end(struct tm_groups *gs, int64_t producer_id, bool committed)
{
	group_lock(gs);
	group_transaction_end(gs, producer_id, committed);
	group_unlock(gs);
}

/* ---- fetch ---- */

static bool is_unstable(const struct group *g, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < g->unstable.count; i++)
		if (order(&g->unstable.items[i], topic, partition) == 0)
			return true;
	return false;
}

static void offset_fill(struct group *g, bool require_stable, struct tm_group_offset *o, struct tm_arena *arena)
{
	const struct committed *c = g ? group_offset_find(g, o->topic, o->partition) : NULL;
	o->offset = c ? c->offset : -1;
	o->leader_epoch = c ? c->leader_epoch : -1;
	o->commit_ms = c ? c->commit_ms : -1;
	o->metadata = c && c->metadata.at ? tm_arena_str(arena, c->metadata) : TM_STR("");
	o->error = 0;
	if (g && require_stable && is_unstable(g, o->topic, o->partition)) {
		o->error = GROUP_UNSTABLE_OFFSET;
		o->offset = -1;
		o->leader_epoch = -1;
		o->metadata = TM_STR("");
	}
}

void tm_groups_fetch(struct tm_groups *gs, struct tm_str group, bool require_stable, struct tm_group_offset *offsets, size_t count,
		     struct tm_arena *arena)
{
	group_lock(gs);
	struct group *g = group_find(gs, group);
	for (size_t i = 0; i < count; i++)
		offset_fill(g, require_stable, &offsets[i], arena);
	group_unlock(gs);
}

size_t tm_groups_fetch_all(struct tm_groups *gs, struct tm_str group, bool require_stable, struct tm_arena *arena,
			   struct tm_group_offset **ret)
{
	group_lock(gs);
	struct group *g = group_find(gs, group);
	size_t n = g ? g->offsets.count : 0;
	struct tm_group_offset *list = TM_NEW_N(arena, struct tm_group_offset, n + 1);
	for (size_t i = 0; i < n; i++) {
		list[i].topic = tm_arena_str(arena, g->offsets.items[i].topic);
		list[i].partition = g->offsets.items[i].partition;
		offset_fill(g, require_stable, &list[i], arena);
	}
	group_unlock(gs);
	*ret = list;
	return n;
}

/* ---- delete ---- */

/* Whether the group's members read the topic: the consumer protocol's metadata lists topics; one that cannot be read says no. */
static bool subscribed(const struct group *g, struct tm_str topic)
{
	for (const struct member *m = g->members; m; m = m->next) {
		for (size_t p = 0; p < m->protocols.count; p++) {
			struct tm_cursor c = tm_cursor_of(m->protocols.items[p].metadata);
			tm_cursor_be16(&c);
			int32_t n = (int32_t)tm_cursor_be32(&c);
			if (c.bad)
				return true; /* unknown: better kept than lost */
			for (int32_t i = 0; i < n && !c.bad; i++)
				if (tm_str_eq(tm_cursor_take(&c, tm_cursor_be16(&c)), topic))
					return true;
		}
	}
	return false;
}

void tm_groups_offsets_delete(struct tm_groups *gs, struct tm_str group, struct tm_group_offset *offsets, size_t count, int64_t now_ms,
			      void (*answer)(void *ctx, int error), void *ctx)
{
	(void)now_ms;
	group_lock(gs);
	struct group *g = group_find(gs, group);
	bool consumers = g && g->protocol_type.at && tm_str_is(g->protocol_type, "consumer");
	int error = !group.len ? GROUP_INVALID_ID : !g ? GROUP_NOT_FOUND : g->member_count && !consumers ? GROUP_NON_EMPTY : 0;
	struct group_writer w;
	group_writer_init(&w);
	for (size_t i = 0; !error && i < count; i++) {
		struct tm_group_offset *o = &offsets[i];
		if (!o->error && g->member_count && subscribed(g, o->topic))
			o->error = GROUP_SUBSCRIBED;
		if (!o->error && group_offset_find(g, o->topic, o->partition))
			group_write_offset_gone(&w, group, o->topic, o->partition);
	}
	bool answered = w.records.count == 0;
	if (answered) {
		tm_arena_done(&w.arena);
	} else {
		struct pending_write *p = group_write(gs, &w, WRITE_DELETE, group, -1, -1);
		p->offsets = offsets;
		p->offset_count = count;
		p->done_error = answer;
		p->ctx = ctx;
	}
	group_unlock(gs);
	if (answered)
		answer(ctx, error);
}

void tm_groups_topic_deleted(struct tm_groups *gs, struct tm_str topic, int64_t now_ms)
{
	(void)now_ms;
	group_lock(gs);
	for (size_t s = 0; s < GROUP_SLOTS; s++) {
		for (struct group *g = gs->slots[s]; g; g = g->next) {
			struct group_writer w;
			group_writer_init(&w);
			for (size_t i = 0; i < g->offsets.count; i++)
				if (tm_str_eq(g->offsets.items[i].topic, topic))
					group_write_offset_gone(&w, g->id, topic, g->offsets.items[i].partition);
			if (w.records.count)
				group_write(gs, &w, WRITE_DELETE, g->id, -1, -1);
			else
				tm_arena_done(&w.arena);
		}
	}
	group_unlock(gs);
}

void tm_groups_delete(struct tm_groups *gs, struct tm_str group, int64_t now_ms, void (*answer)(void *ctx, int error), void *ctx)
{
	(void)now_ms;
	group_lock(gs);
	struct group *g = group_find(gs, group);
	int error = !g ? GROUP_NOT_FOUND : g->member_count || g->pending.count ? GROUP_NON_EMPTY : 0;
	if (!error) {
		struct group_writer w;
		group_writer_init(&w);
		for (size_t i = 0; i < g->offsets.count; i++)
			group_write_offset_gone(&w, group, g->offsets.items[i].topic, g->offsets.items[i].partition);
		group_write_gone(&w, group);
		struct pending_write *p = group_write(gs, &w, WRITE_DELETE_GROUP, group, -1, -1);
		p->done_error = answer;
		p->ctx = ctx;
	}
	group_unlock(gs);
	if (error)
		answer(ctx, error);
}

int64_t group_offsets_expire(struct tm_groups *gs, int64_t wall_ms)
{
	int64_t expired = 0;
	for (size_t s = 0; s < GROUP_SLOTS; s++) {
		for (struct group *g = gs->slots[s]; g; g = g->next) {
			if (g->state != GROUP_EMPTY)
				continue;
			struct group_writer w;
			group_writer_init(&w);
			for (size_t i = 0; i < g->offsets.count; i++) {
				const struct committed *c = &g->offsets.items[i];
				int64_t since = c->commit_ms > g->state_since_ms && !g->protocol_type.at ? c->commit_ms : g->state_since_ms;
				bool old = c->expire_ms >= 0 ? wall_ms >= c->expire_ms
							     : wall_ms - c->commit_ms >= gs->options.offsets_retention_ms &&
								   wall_ms - since >= gs->options.offsets_retention_ms;
				if (old && !is_unstable(g, c->topic, c->partition))
					group_write_offset_gone(&w, g->id, c->topic, c->partition);
			}
			expired += (int64_t)w.records.count;
			if (!w.records.count && (g->offsets.count || g->unstable.count || g->pending.count)) {
				tm_arena_done(&w.arena);
				continue;
			}
			bool all = w.records.count == g->offsets.count && !g->unstable.count;
			if (all)
				group_write_gone(&w, g->id);
			group_write(gs, &w, all ? WRITE_DELETE_GROUP : WRITE_DELETE, g->id, -1, -1);
		}
	}
	return expired;
}

/* ---- looking ---- */

static void info_fill(const struct group *g, bool with_members, struct tm_arena *arena, struct tm_group_info *ret)
{
	*ret = (struct tm_group_info){
	    .group = tm_arena_str(arena, g->id),
	    .state = tm_str_of(group_state_name(g->state)),
	    .protocol_type = g->protocol_type.at ? tm_arena_str(arena, g->protocol_type) : TM_STR(""),
	    .protocol = g->protocol.at && g->state == GROUP_STABLE ? tm_arena_str(arena, g->protocol) : TM_STR(""),
	    .generation = g->generation,
	    .member_count = g->member_count,
	};
	if (!with_members)
		return;
	struct tm_group_member *list = TM_NEW_N(arena, struct tm_group_member, g->member_count + 1), *at = list;
	for (const struct member *m = g->members; m; m = m->next, at++) {
		at->member = tm_arena_str(arena, m->id);
		if (m->instance.at)
			at->instance = tm_arena_str(arena, m->instance);
		at->client_id = tm_arena_str(arena, m->client_id);
		at->client_host = tm_arena_str(arena, m->client_host);
		at->assignment = tm_arena_str(arena, m->assignment);
		at->metadata = TM_STR("");
		for (size_t i = 0; i < m->protocols.count && g->state == GROUP_STABLE; i++)
			if (g->protocol.at && tm_str_eq(m->protocols.items[i].name, g->protocol))
				at->metadata = tm_arena_str(arena, m->protocols.items[i].metadata);
	}
	ret->members = list;
}

static int by_name(const void *a, const void *b)
{
	return tm_str_cmp(((const struct tm_group_info *)a)->group, ((const struct tm_group_info *)b)->group);
}

size_t tm_groups_list(struct tm_groups *gs, bool with_members, struct tm_arena *arena, struct tm_group_info **ret)
{
	group_lock(gs);
	struct tm_group_info *list = TM_NEW_N(arena, struct tm_group_info, gs->count + 1);
	size_t n = 0;
	for (size_t s = 0; s < GROUP_SLOTS; s++)
		for (struct group *g = gs->slots[s]; g; g = g->next)
			info_fill(g, with_members, arena, &list[n++]);
	group_unlock(gs);
	if (n)
		qsort(list, n, sizeof *list, by_name);
	*ret = list;
	return n;
}

bool tm_groups_describe(struct tm_groups *gs, struct tm_str group, struct tm_arena *arena, struct tm_group_info *ret)
{
	group_lock(gs);
	struct group *g = group_find(gs, group);
	if (g)
		info_fill(g, true, arena, ret);
	group_unlock(gs);
	return g != NULL;
}
