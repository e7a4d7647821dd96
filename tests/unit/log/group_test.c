/* The groups' state machine with a clock and a topic of the test's own: rebalances, time-outs, static members, offsets, and that
 * replaying the topic gives what was live. */
#include "log/group.h"
#include "unit.h"

struct world {
	struct tm_groups *groups;
	struct tm_buf topic; /* the batches that were written, in order */
	struct {
		struct {
			uint64_t ticket;
			struct tm_buf batch;
		} * items;
		size_t count, cap;
	} writes;  /* not durable yet */
	bool hold; /* writes wait for flush() */
	int64_t now_ms, wall_ms;
	uint64_t seed;
};
struct answer {
	int count, error;
	int32_t generation;
	char member[128], leader[128], protocol[64], assignment[64];
	size_t members;
};

static void world_append(void *ctx, struct tm_str batch, uint64_t ticket)
{
	struct world *w = ctx;
	struct tm_buf copy = {0};
	tm_buf_str_put(&copy, batch);
	TM_PUSH(&w->writes, (typeof(*w->writes.items)){ticket, copy});
}

static void flush(struct world *w, int error)
{
	while (w->writes.count) {
		typeof(*w->writes.items) first = w->writes.items[0];
		memmove(w->writes.items, w->writes.items + 1, --w->writes.count * sizeof first);
		if (!error)
			tm_buf_str_put(&w->topic, tm_buf_str(&first.batch));
		tm_buf_done(&first.batch);
		tm_groups_appended(w->groups, first.ticket, error, w->now_ms);
	}
}

static void settle(struct world *w)
{
	if (!w->hold)
		flush(w, 0);
}

static void world_random(void *ctx, void *out, size_t n)
{
	struct world *w = ctx;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)out)[i] = (uint8_t)(tm_hash_u64(++w->seed) >> 8);
}
static int64_t world_wall(void *ctx) { return ((struct world *)ctx)->wall_ms; }

static struct tm_groups *groups_of(struct world *w)
{
	struct tm_groups_options o = {.ctx = w, .append = world_append, .random = world_random, .wall_ms = world_wall};
	return tm_groups_new(&o);
}
static void world_init(struct world *w)
{
	*w = (struct world){.now_ms = 1000, .wall_ms = 1700000000000};
	w->groups = groups_of(w);
}
static void world_done(struct world *w)
{
	tm_groups_free(w->groups);
	tm_buf_done(&w->topic);
	for (size_t i = 0; i < w->writes.count; i++)
		tm_buf_done(&w->writes.items[i].batch);
	free(w->writes.items);
}

static void put(char *out, size_t size, struct tm_str s) { snprintf(out, size, "%.*s", TM_STR_ARG(s)); }

static void on_joined(void *ctx, const struct tm_group_joined *j)
{
	struct answer *a = ctx;
	a->count++;
	a->error = j->error;
	a->generation = j->generation;
	a->members = j->member_count;
	put(a->member, sizeof a->member, j->member);
	put(a->leader, sizeof a->leader, j->leader);
	put(a->protocol, sizeof a->protocol, j->protocol);
}
static void on_synced(void *ctx, const struct tm_group_synced *s)
{
	struct answer *a = ctx;
	a->count++;
	a->error = s->error;
	put(a->assignment, sizeof a->assignment, s->assignment);
}

static void join(struct world *w, const char *member, const char *instance, const char *protocol, struct answer *a)
{
	struct tm_group_protocol p = {tm_str_of(protocol), TM_STR("meta")};
	struct tm_group_join j = {.group = TM_STR("g"),
				  .member = tm_str_of(member),
				  .instance = tm_str_of(instance),
				  .client_id = TM_STR("c"),
				  .client_host = TM_STR("/h"),
				  .protocol_type = TM_STR("consumer"),
				  .protocols = &p,
				  .protocol_count = 1,
				  .session_timeout_ms = 10000,
				  .rebalance_timeout_ms = 30000};
	tm_groups_join(w->groups, &j, w->now_ms, on_joined, a);
	settle(w);
}
static void sync(struct world *w, const char *member, int32_t generation, const char *for_a, const char *for_b, struct answer *a)
{
	struct tm_group_assignment list[] = {{tm_str_of(for_a), TM_STR("one")}, {tm_str_of(for_b), TM_STR("two")}};
	struct tm_group_sync s = {.group = TM_STR("g"),
				  .member = tm_str_of(member),
				  .generation = generation,
				  .assignments = list,
				  .assignment_count = for_a ? 2 : 0};
	tm_groups_sync(w->groups, &s, w->now_ms, on_synced, a);
	settle(w);
}
static int beat(struct world *w, const char *member, int32_t generation)
{
	return tm_groups_heartbeat(w->groups, TM_STR("g"), tm_str_of(member), (struct tm_str){0}, generation, w->now_ms);
}
static void tick(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	w->wall_ms += ms;
	tm_groups_tick(w->groups, w->now_ms);
	settle(w);
}

/* Two members in generation 2, synced. */
static void two_members(struct world *w, struct answer *a, struct answer *b)
{
	memset(a, 0, sizeof *a);
	memset(b, 0, sizeof *b);
	join(w, "", NULL, "range", a);
	CHECK_INT(a->count, 1);
	CHECK_INT(a->generation, 1);
	CHECK_INT(a->members, 1);
	join(w, "", NULL, "range", b);
	CHECK_INT(b->count, 0); /* waits for a */
	CHECK_INT(beat(w, a->member, 1), 27);
	join(w, a->member, NULL, "range", a);
	CHECK_INT(a->count, 2);
	CHECK_INT(b->count, 1);
	CHECK_INT(b->generation, 2);
	CHECK_INT(a->members, 2);
	CHECK_INT(b->members, 0);
	CHECK(strcmp(a->leader, a->member) == 0 && strcmp(b->leader, a->member) == 0);
	a->count = b->count = 0;
	sync(w, b->member, 2, NULL, NULL, b);
	CHECK_INT(b->count, 0); /* waits for the leader */
	sync(w, a->member, 2, a->member, b->member, a);
	CHECK_INT(a->count, 1);
	CHECK_INT(b->count, 1);
	CHECK(strcmp(a->assignment, "one") == 0 && strcmp(b->assignment, "two") == 0);
}

TEST(two_members_share_and_one_leaves)
{
	struct world w;
	struct answer a, b;
	world_init(&w);
	two_members(&w, &a, &b);
	CHECK_INT(beat(&w, a.member, 2), 0);
	CHECK_INT(beat(&w, a.member, 1), 22);
	CHECK_INT(beat(&w, "nobody", 2), 25);
	CHECK_INT(tm_groups_leave(w.groups, TM_STR("g"), tm_str_of(b.member), (struct tm_str){0}, w.now_ms), 0);
	CHECK_INT(beat(&w, a.member, 2), 27);
	a.count = 0;
	join(&w, a.member, NULL, "range", &a);
	CHECK_INT(a.count, 1);
	CHECK_INT(a.generation, 3);
	CHECK_INT(a.members, 1);
	world_done(&w);
}

TEST(a_silent_member_is_taken_out_and_the_others_go_on)
{
	struct world w;
	struct answer a, b;
	world_init(&w);
	two_members(&w, &a, &b);
	for (int i = 0; i < 12; i++) {
		tick(&w, 1000);
		int e = beat(&w, a.member, 2);
		CHECK(e == 0 || e == 27);
	}
	CHECK_INT(beat(&w, a.member, 2), 27); /* b is gone */
	CHECK_INT(beat(&w, b.member, 2), 25);
	a.count = 0;
	join(&w, a.member, NULL, "range", &a);
	CHECK_INT(a.generation, 3);
	CHECK_INT(a.members, 1);
	/* And when nobody is left the group is empty. */
	tick(&w, 11000);
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_group_info info;
	CHECK(tm_groups_describe(w.groups, TM_STR("g"), &arena, &info));
	tick(&w, 31000);
	CHECK(tm_groups_describe(w.groups, TM_STR("g"), &arena, &info));
	CHECK_STR(info.state, "Empty");
	tm_arena_done(&arena);
	world_done(&w);
}

TEST(who_does_not_rejoin_in_time_is_left_behind)
{
	struct world w;
	struct answer a, b, c = {0};
	world_init(&w);
	two_members(&w, &a, &b);
	a.count = 0;
	join(&w, "", NULL, "range", &c);
	join(&w, a.member, NULL, "range", &a);
	CHECK_INT(a.count, 0);
	for (int i = 0; i < 31; i++) {
		tick(&w, 1000);
		beat(&w, b.member, 2); /* b lives but does not join */
	}
	CHECK_INT(a.count, 1);
	CHECK_INT(c.count, 1);
	CHECK_INT(a.generation, 3);
	CHECK_INT(a.members, 2);
	CHECK_INT(beat(&w, b.member, 3), 25);
	world_done(&w);
}

TEST(static_members_keep_their_place)
{
	struct world w;
	struct answer a = {0}, again = {0};
	world_init(&w);
	join(&w, "", "inst", "range", &a);
	CHECK_INT(a.generation, 1);
	char old[128];
	strcpy(old, a.member);
	struct tm_group_assignment list = {tm_str_of(a.member), TM_STR("mine")};
	struct tm_group_sync s = {.group = TM_STR("g"),
				  .member = tm_str_of(a.member),
				  .instance = TM_STR("inst"),
				  .generation = 1,
				  .assignments = &list,
				  .assignment_count = 1};
	tm_groups_sync(w.groups, &s, w.now_ms, on_synced, &a);
	settle(&w);
	CHECK(strcmp(a.assignment, "mine") == 0);
	join(&w, "", "inst", "range", &again);
	CHECK_INT(again.error, 0);
	CHECK_INT(again.generation, 1); /* no rebalance */
	CHECK(strcmp(again.member, old) != 0);
	CHECK_INT(tm_groups_heartbeat(w.groups, TM_STR("g"), tm_str_of(old), TM_STR("inst"), 1, w.now_ms), 82);
	CHECK_INT(tm_groups_heartbeat(w.groups, TM_STR("g"), tm_str_of(again.member), TM_STR("inst"), 1, w.now_ms), 0);
	world_done(&w);
}

TEST(a_member_whose_connection_is_gone_times_out)
{
	struct world w;
	struct answer a = {0}, b = {0};
	world_init(&w);
	join(&w, "", NULL, "range", &a);
	join(&w, "", NULL, "range", &b);
	join(&w, a.member, NULL, "range", &a);
	b.count = 0;
	sync(&w, b.member, 2, NULL, NULL, &b);
	tm_groups_forget(w.groups, &b); /* while it waits for the leader */
	sync(&w, a.member, 2, a.member, b.member, &a);
	CHECK_INT(b.count, 0);
	for (int i = 0; i < 11; i++) {
		tick(&w, 1000);
		beat(&w, a.member, 2);
	}
	CHECK_INT(beat(&w, b.member, 2), 25);
	CHECK_INT(beat(&w, a.member, 2), 27);
	/* And one that is gone while it waits for the others to join. */
	struct answer c = {0};
	join(&w, "", NULL, "range", &c);
	tm_groups_forget(w.groups, &c);
	join(&w, a.member, NULL, "range", &a);
	CHECK_INT(a.generation, 3);
	CHECK_INT(a.members, 2);
	sync(&w, a.member, 3, a.member, a.member, &a);
	for (int i = 0; i < 11; i++) {
		tick(&w, 1000);
		beat(&w, a.member, 3);
	}
	CHECK_INT(beat(&w, a.member, 3), 27);
	world_done(&w);
}

TEST(other_protocols_are_refused)
{
	struct world w;
	struct answer a = {0}, b = {0};
	world_init(&w);
	join(&w, "", NULL, "range", &a);
	join(&w, "", NULL, "sticky", &b);
	CHECK_INT(b.error, 23);
	join(&w, "made-up", NULL, "range", &b);
	CHECK_INT(b.error, 25);
	world_done(&w);
}

static void on_committed(void *ctx) { ++*(int *)ctx; }

static int commit(struct world *w, const char *member, int32_t generation, int64_t offset, int64_t producer_id)
{
	static struct tm_group_offset o;
	int done = 0;
	o = (struct tm_group_offset){.topic = TM_STR("t"),
				     .partition = 3,
				     .offset = offset,
				     .leader_epoch = 1,
				     .metadata = TM_STR("m"),
				     .commit_ms = w->wall_ms,
				     .expire_ms = -1};
	struct tm_group_commit c = {.group = TM_STR("g"),
				    .member = tm_str_of(member),
				    .generation = generation,
				    .offsets = &o,
				    .offset_count = 1,
				    .producer_id = producer_id};
	tm_groups_commit(w->groups, &c, w->now_ms, on_committed, &done);
	settle(w);
	CHECK_INT(done, 1);
	return o.error;
}
static int64_t fetched(struct world *w, bool stable, int *ret_error)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_group_offset o = {.topic = TM_STR("t"), .partition = 3};
	tm_groups_fetch(w->groups, TM_STR("g"), stable, &o, 1, &arena);
	tm_arena_done(&arena);
	if (ret_error)
		*ret_error = o.error;
	return o.offset;
}

TEST(offsets_are_fenced_by_generation)
{
	struct world w;
	struct answer a, b;
	world_init(&w);
	CHECK_INT(commit(&w, "", -1, 7, -1), 0);
	CHECK_INT(fetched(&w, false, NULL), 7);
	two_members(&w, &a, &b);
	CHECK_INT(commit(&w, "", -1, 8, -1), 25);
	CHECK_INT(commit(&w, a.member, 1, 8, -1), 22);
	CHECK_INT(commit(&w, "nobody", 2, 8, -1), 25);
	CHECK_INT(commit(&w, a.member, 2, 9, -1), 0);
	CHECK_INT(fetched(&w, false, NULL), 9);
	world_done(&w);
}

TEST(a_commit_counts_when_it_is_durable_and_not_before)
{
	struct world w;
	static struct tm_group_offset o;
	int done = 0;
	world_init(&w);
	w.hold = true;
	o = (struct tm_group_offset){.topic = TM_STR("t"), .partition = 3, .offset = 5, .metadata = TM_STR(""), .expire_ms = -1};
	struct tm_group_commit c = {
	    .group = TM_STR("g"), .member = TM_STR(""), .generation = -1, .offsets = &o, .offset_count = 1, .producer_id = -1};
	tm_groups_commit(w.groups, &c, w.now_ms, on_committed, &done);
	CHECK_INT(done, 0);
	CHECK_INT(fetched(&w, false, NULL), -1);
	flush(&w, 15); /* the disk failed */
	CHECK_INT(done, 1);
	CHECK_INT(o.error, 15);
	CHECK_INT(fetched(&w, false, NULL), -1);
	world_done(&w);
}

TEST(offsets_of_a_transaction_count_when_it_commits)
{
	struct world w;
	int error;
	world_init(&w);
	CHECK_INT(commit(&w, "", -1, 1, -1), 0);
	CHECK_INT(commit(&w, "", -1, 2, 77), 0);
	CHECK_INT(fetched(&w, false, &error), 1);
	fetched(&w, true, &error);
	CHECK_INT(error, 88);
	tm_groups_transaction_end(w.groups, 77, false);
	CHECK_INT(fetched(&w, true, &error), 1);
	CHECK_INT(error, 0);
	CHECK_INT(commit(&w, "", -1, 3, 77), 0);
	tm_groups_transaction_end(w.groups, 77, true);
	CHECK_INT(fetched(&w, true, &error), 3);
	world_done(&w);
}

TEST(offsets_expire_when_the_group_has_been_empty_for_long)
{
	struct world w;
	world_init(&w);
	CHECK_INT(commit(&w, "", -1, 7, -1), 0);
	tick(&w, INT64_C(6) * 24 * 3600 * 1000);
	CHECK_INT(fetched(&w, false, NULL), 7);
	tick(&w, INT64_C(2) * 24 * 3600 * 1000);
	CHECK_INT(fetched(&w, false, NULL), -1);
	world_done(&w);
}

/* What is live, as text. */
static struct tm_buf picture(struct tm_groups *groups)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_group_info *all;
	struct tm_buf out = {0};
	size_t n = tm_groups_list(groups, true, &arena, &all);
	for (size_t i = 0; i < n; i++) {
		tm_buf_printf(&out, "%.*s %.*s %.*s %.*s %d\n", TM_STR_ARG(all[i].group), TM_STR_ARG(all[i].state),
			      TM_STR_ARG(all[i].protocol_type), TM_STR_ARG(all[i].protocol), all[i].generation);
		for (size_t k = 0; k < all[i].member_count; k++)
			tm_buf_printf(&out, "  %.*s %.*s %.*s %.*s\n", TM_STR_ARG(all[i].members[k].member),
				      TM_STR_ARG(all[i].members[k].instance), TM_STR_ARG(all[i].members[k].metadata),
				      TM_STR_ARG(all[i].members[k].assignment));
		struct tm_group_offset *offsets;
		size_t count = tm_groups_fetch_all(groups, all[i].group, true, &arena, &offsets);
		for (size_t k = 0; k < count; k++)
			tm_buf_printf(&out, "  %.*s/%d %lld %.*s %d\n", TM_STR_ARG(offsets[k].topic), offsets[k].partition,
				      (long long)offsets[k].offset, TM_STR_ARG(offsets[k].metadata), offsets[k].error);
	}
	tm_arena_done(&arena);
	return out;
}

TEST(replay_equals_live)
{
	struct world w;
	struct answer a, b;
	world_init(&w);
	two_members(&w, &a, &b);
	CHECK_INT(commit(&w, a.member, 2, 11, -1), 0);
	CHECK_INT(commit(&w, a.member, 2, 12, 99), 0);
	CHECK_INT(commit(&w, b.member, 2, 13, -1), 0);
	struct tm_groups *again = groups_of(&w);
	struct tm_str rest = tm_buf_str(&w.topic);
	struct tm_batch_info batch;
	struct tm_err err = {0};
	while (tm_batch_next(&rest, true, &batch, &err) == TM_OK)
		CHECK_OK(tm_groups_replay(again, &batch, &err), err);
	tm_groups_replay_end(again, w.now_ms);
	struct tm_buf live = picture(w.groups), replayed = picture(again);
	CHECK_STR(tm_buf_str(&replayed), tm_buf_cstr(&live));
	/* And its members go on as if nothing had been. */
	CHECK_INT(tm_groups_heartbeat(again, TM_STR("g"), tm_str_of(a.member), (struct tm_str){0}, 2, w.now_ms), 0);
	tm_buf_done(&live);
	tm_buf_done(&replayed);
	tm_groups_free(again);
	world_done(&w);
}

TEST_MAIN()
