/* The groups' APIs: from messages to the state machine in log/group.h and back. */
#include <stdlib.h>
#include "kafka/kafka_int.h"

/* group:topic id:partition */
static bool is_share_key(struct tm_str key)
{
	struct tm_str group, id, partition;
	int64_t n;
	return tm_str_split(&key, ':', &group) && tm_str_split(&key, ':', &id) && tm_str_split(&key, ':', &partition) && group.len &&
	       id.len == 22 && tm_str_to_i64(partition, &n);
}

void kafka_find_coordinator(struct kafka_request *r)
{
	enum { GROUP = 0, TRANSACTION = 1, SHARE = 2 };
	const struct tm_kafka_find_coordinator_request *in = r->in;
	struct tm_kafka_find_coordinator_response *out = r->out;
	bool known = in->key_type == GROUP || in->key_type == TRANSACTION, share = in->key_type == SHARE && r->version >= 6;
	/* Whoever asks will need the topic next. */
	struct tm_topic *topic;
	struct tm_err err = {0};
	if (known &&
	    kafka_internal_topic(r->conn->server, in->key_type == GROUP ? TM_GROUP_TOPIC : TM_TRANSACTION_TOPIC, &topic, &err) == TM_OK)
		tm_topic_unref(topic);
	struct tm_str host = known ? tm_str_of(r->conn->host) : TM_STR("");
	struct tm_str why = in->key_type == 2
				? TM_STR("")
				: TM_STR("This most likely occurs because of a request being malformed by the client library or "
					 "the message was sent to an incompatible broker. See the broker logs for more details.");
	int32_t node = known ? r->conn->server->options.node_id : -1, port = known ? r->conn->port : -1;
	int16_t error = known ? KAFKA_NONE : KAFKA_INVALID_REQUEST;
	if (r->version < 4) {
		out->error_code = error;
		out->error_message = known ? TM_STR("NONE") : why;
		out->node_id = node;
		out->host = host;
		out->port = port;
		kafka_reply(r);
		return;
	}
	int32_t n = in->coordinator_keys.count;
	out->coordinators.items = tm_kafka_find_coordinator_response_coordinators_new(&r->arena, (size_t)n);
	out->coordinators.count = n;
	for (int32_t i = 0; i < n; i++) {
		struct tm_kafka_find_coordinator_response_coordinators *c = &out->coordinators.items[i];
		bool found = known || (share && is_share_key(in->coordinator_keys.items[i]));
		c->key = in->coordinator_keys.items[i];
		c->node_id = found ? r->conn->server->options.node_id : -1;
		c->host = found ? tm_str_of(r->conn->host) : TM_STR("");
		c->port = found ? r->conn->port : -1;
		c->error_code = found ? KAFKA_NONE : KAFKA_INVALID_REQUEST;
		c->error_message = found ? TM_STR("") : why;
	}
	kafka_reply(r);
}

static void group_abandoned(struct kafka_request *r) { tm_groups_forget(r->conn->server->groups, r); }

/* ---- membership ---- */

static void joined(void *ctx, const struct tm_group_joined *j)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_join_group_response *out = r->out;
	r->abandoned = NULL;
	out->error_code = (int16_t)j->error;
	out->generation_id = j->generation;
	out->member_id = j->member;
	out->leader = j->leader;
	out->protocol_name = j->protocol.at || r->version >= 7 ? j->protocol : TM_STR("");
	out->protocol_type = j->protocol_type;
	out->skip_assignment = j->skip_assignment;
	out->members.items = tm_kafka_join_group_response_members_new(&r->arena, j->member_count);
	out->members.count = (int32_t)j->member_count;
	for (size_t i = 0; i < j->member_count; i++) {
		out->members.items[i].member_id = j->members[i].member;
		out->members.items[i].group_instance_id = j->members[i].instance;
		out->members.items[i].metadata = j->members[i].metadata;
	}
	kafka_reply(r);
}

void kafka_join_group(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_join_group_request *in = r->in;
	char peer[80], *colon;
	snprintf(peer, sizeof peer, "/%s", r->conn->info.peer);
	if ((colon = strrchr(peer, ':')))
		*colon = 0;
	struct tm_group_protocol *protocols = TM_NEW_N(&r->arena, struct tm_group_protocol, (size_t)in->protocols.count + 1);
	for (int32_t i = 0; i < in->protocols.count; i++)
		protocols[i] = (struct tm_group_protocol){in->protocols.items[i].name, in->protocols.items[i].metadata};
	struct tm_group_join join = {
	    .group = in->group_id,
	    .member = in->member_id,
	    .instance = in->group_instance_id,
	    .client_id = r->header.client_id,
	    .client_host = tm_str_of(peer),
	    .protocol_type = in->protocol_type,
	    .protocols = protocols,
	    .protocol_count = (size_t)in->protocols.count,
	    .session_timeout_ms = in->session_timeout_ms,
	    .rebalance_timeout_ms = r->version >= 1 ? in->rebalance_timeout_ms : in->session_timeout_ms,
	    .member_id_required = r->version >= 4,
	    .skip_assignment_known = r->version >= 9,
	};
	r->abandoned = group_abandoned;
	tm_groups_join(s->groups, &join, kafka_now_ms(s), joined, r);
	kafka_coordinator_tick(s);
}

static void synced(void *ctx, const struct tm_group_synced *sync)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_sync_group_response *out = r->out;
	r->abandoned = NULL;
	out->error_code = (int16_t)sync->error;
	out->protocol_type = sync->protocol_type;
	out->protocol_name = sync->protocol;
	out->assignment = sync->assignment;
	kafka_reply(r);
}

void kafka_sync_group(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_sync_group_request *in = r->in;
	struct tm_group_assignment *list = TM_NEW_N(&r->arena, struct tm_group_assignment, (size_t)in->assignments.count + 1);
	for (int32_t i = 0; i < in->assignments.count; i++)
		list[i] = (struct tm_group_assignment){in->assignments.items[i].member_id, in->assignments.items[i].assignment};
	struct tm_group_sync sync = {
	    .group = in->group_id,
	    .member = in->member_id,
	    .instance = in->group_instance_id,
	    .generation = in->generation_id,
	    .check_protocol = r->version >= 5,
	    .protocol_type = in->protocol_type,
	    .protocol = in->protocol_name,
	    .assignments = list,
	    .assignment_count = (size_t)in->assignments.count,
	};
	r->abandoned = group_abandoned;
	tm_groups_sync(s->groups, &sync, kafka_now_ms(s), synced, r);
	kafka_coordinator_tick(s);
}

void kafka_heartbeat(struct kafka_request *r)
{
	const struct tm_kafka_heartbeat_request *in = r->in;
	struct tm_kafka_heartbeat_response *out = r->out;
	struct tm_kafka_server *s = r->conn->server;
	out->error_code =
	    (int16_t)tm_groups_heartbeat(s->groups, in->group_id, in->member_id, in->group_instance_id, in->generation_id, kafka_now_ms(s));
	kafka_reply(r);
}

void kafka_leave_group(struct kafka_request *r)
{
	const struct tm_kafka_leave_group_request *in = r->in;
	struct tm_kafka_leave_group_response *out = r->out;
	struct tm_kafka_server *s = r->conn->server;
	if (r->version < 3) {
		out->error_code = (int16_t)tm_groups_leave(s->groups, in->group_id, in->member_id, (struct tm_str){0}, kafka_now_ms(s));
	} else {
		int32_t n = in->members.count;
		out->members.items = tm_kafka_leave_group_response_members_new(&r->arena, (size_t)n);
		out->members.count = n;
		for (int32_t i = 0; i < n; i++) {
			out->members.items[i].member_id = in->members.items[i].member_id;
			out->members.items[i].group_instance_id = in->members.items[i].group_instance_id;
			int error = tm_groups_leave(s->groups, in->group_id, in->members.items[i].member_id,
						    in->members.items[i].group_instance_id, kafka_now_ms(s));
			if (error == KAFKA_INVALID_GROUP_ID) {
				out->error_code = (int16_t)error;
				out->members.count = 0;
				break;
			}
			out->members.items[i].error_code = (int16_t)error;
		}
	}
	kafka_reply(r);
	kafka_coordinator_tick(s);
}

/* ---- looking and deleting ---- */

enum { ALL_GROUP_OPERATIONS = 3400 };

static int by_bytes(const void *a, const void *b) { return tm_str_cmp(*(const struct tm_str *)a, *(const struct tm_str *)b); }

/* Answers about several groups come in the order of their names. */
static struct tm_str *names_sorted(struct kafka_request *r, const struct tm_str *names, int32_t count)
{
	struct tm_str *sorted = TM_NEW_N(&r->arena, struct tm_str, (size_t)count + 1);
	if (count > 0) {
		memcpy(sorted, names, (size_t)count * sizeof *names);
		qsort(sorted, (size_t)count, sizeof *sorted, by_bytes);
	}
	return sorted;
}

void kafka_describe_groups(struct kafka_request *r)
{
	const struct tm_kafka_describe_groups_request *in = r->in;
	struct tm_kafka_describe_groups_response *out = r->out;
	struct tm_str *names = names_sorted(r, in->groups.items, in->groups.count);
	out->groups.items = tm_kafka_describe_groups_response_groups_new(&r->arena, (size_t)in->groups.count);
	out->groups.count = in->groups.count;
	for (int32_t i = 0; i < in->groups.count; i++) {
		struct tm_kafka_describe_groups_response_groups *a = &out->groups.items[i];
		struct tm_group_info info;
		a->group_id = names[i];
		if (in->include_authorized_operations)
			a->authorized_operations = ALL_GROUP_OPERATIONS;
		if (!tm_groups_describe(r->conn->server->groups, a->group_id, &r->arena, &info)) {
			a->group_state = TM_STR("Dead");
			if (r->version >= 6) {
				a->error_code = KAFKA_GROUP_ID_NOT_FOUND;
				a->error_message = tm_arena_printf(&r->arena, "Group %.*s not found.", TM_STR_ARG(a->group_id));
			}
			continue;
		}
		a->group_state = info.state;
		a->protocol_type = info.protocol_type;
		a->protocol_data = info.protocol;
		a->members.items = tm_kafka_describe_groups_response_groups_members_new(&r->arena, info.member_count);
		a->members.count = (int32_t)info.member_count;
		for (size_t k = 0; k < info.member_count; k++) {
			struct tm_kafka_describe_groups_response_groups_members *m = &a->members.items[k];
			m->member_id = info.members[k].member;
			m->group_instance_id = info.members[k].instance;
			m->client_id = info.members[k].client_id;
			m->client_host = info.members[k].client_host;
			m->member_metadata = info.members[k].metadata;
			m->member_assignment = info.members[k].assignment;
		}
	}
	kafka_reply(r);
}

static bool listed(const struct tm_str *filter, int32_t count, struct tm_str value)
{
	for (int32_t i = 0; i < count; i++)
		if (tm_str_ieq(filter[i], value))
			return true;
	return count <= 0;
}

void kafka_list_groups(struct kafka_request *r)
{
	const struct tm_kafka_list_groups_request *in = r->in;
	struct tm_kafka_list_groups_response *out = r->out;
	struct tm_group_info *all;
	size_t n = tm_groups_list(r->conn->server->groups, false, &r->arena, &all);
	out->groups.items = tm_kafka_list_groups_response_groups_new(&r->arena, n);
	for (size_t i = 0; i < n; i++) {
		if (!listed(in->states_filter.items, in->states_filter.count, all[i].state) ||
		    !listed(in->types_filter.items, in->types_filter.count, TM_STR("classic")))
			continue;
		struct tm_kafka_list_groups_response_groups *g = &out->groups.items[out->groups.count++];
		g->group_id = all[i].group;
		g->protocol_type = all[i].protocol_type;
		g->group_state = all[i].state;
		g->group_type = TM_STR("classic");
	}
	kafka_reply(r);
}

/* One group after the other: the answer to each starts the next. */
struct group_deletes {
	int32_t at;
};

static void group_delete_next(struct kafka_request *r);

static void group_deleted(void *ctx, int error)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_delete_groups_response *out = r->out;
	struct group_deletes *d = r->state;
	out->results.items[d->at++].error_code = (int16_t)error;
	group_delete_next(r);
}

static void group_delete_next(struct kafka_request *r)
{
	struct tm_kafka_delete_groups_response *out = r->out;
	struct group_deletes *d = r->state;
	if (d->at == out->results.count)
		kafka_reply(r);
	else
		tm_groups_delete(r->conn->server->groups, out->results.items[d->at].group_id, kafka_now_ms(r->conn->server), group_deleted,
				 r);
}

void kafka_delete_groups(struct kafka_request *r)
{
	const struct tm_kafka_delete_groups_request *in = r->in;
	struct tm_kafka_delete_groups_response *out = r->out;
	int32_t n = in->groups_names.count < 1000 ? in->groups_names.count : 1000; /* each may nest one call */
	out->results.items = tm_kafka_delete_groups_response_results_new(&r->arena, (size_t)n);
	out->results.count = n;
	struct tm_str *names = names_sorted(r, in->groups_names.items, n);
	for (int32_t i = 0; i < n; i++)
		out->results.items[i].group_id = names[i];
	r->state = TM_NEW(&r->arena, struct group_deletes);
	group_delete_next(r);
}

/* ---- offsets ---- */

static void committed(void *ctx)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_offset_commit_response *out = r->out;
	const struct tm_group_offset *o = r->state;
	for (int32_t i = 0; i < out->topics.count; i++)
		for (int32_t k = 0; k < out->topics.items[i].partitions.count; k++)
			out->topics.items[i].partitions.items[k].error_code = (int16_t)(o++)->error;
	kafka_reply(r);
}

void kafka_offset_commit(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_offset_commit_request *in = r->in;
	struct tm_kafka_offset_commit_response *out = r->out;
	size_t count = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		count += (size_t)in->topics.items[i].partitions.count;
	struct tm_group_offset *offsets = TM_NEW_N(&r->arena, struct tm_group_offset, count + 1), *o = offsets;
	int64_t wall_ms = tm_now_ms(s->env);
	out->topics.items = tm_kafka_offset_commit_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_offset_commit_request_topics *t = &in->topics.items[i];
		struct tm_topic *topic = kafka_topic(s, t->name, &t->topic_id, r->version >= 10);
		out->topics.items[i].name = t->name;
		out->topics.items[i].topic_id = t->topic_id;
		out->topics.items[i].partitions.items =
		    tm_kafka_offset_commit_response_topics_partitions_new(&r->arena, (size_t)t->partitions.count);
		out->topics.items[i].partitions.count = t->partitions.count;
		for (int32_t k = 0; k < t->partitions.count; k++, o++) {
			const struct tm_kafka_offset_commit_request_topics_partitions *p = &t->partitions.items[k];
			out->topics.items[i].partitions.items[k].partition_index = p->partition_index;
			*o = (struct tm_group_offset){
			    .topic = topic ? tm_arena_str(&r->arena, tm_topic_name(topic)) : t->name,
			    .partition = p->partition_index,
			    .leader_epoch = p->committed_leader_epoch,
			    .offset = p->committed_offset,
			    .metadata = p->committed_metadata,
			    .commit_ms = r->version == 1 && p->commit_timestamp >= 0 ? p->commit_timestamp : wall_ms,
			    .expire_ms =
				r->version >= 2 && r->version <= 4 && in->retention_time_ms >= 0 ? wall_ms + in->retention_time_ms : -1,
			};
			if (!kafka_partition_ok(topic, p->partition_index))
				o->error = r->version >= 10 && !topic ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
			else
				memcpy(o->topic_id, tm_topic_id(topic), 16);
		}
		tm_topic_unref(topic);
	}
	struct tm_group_commit commit = {
	    .group = in->group_id,
	    .member = in->member_id,
	    .instance = in->group_instance_id,
	    .generation = r->version >= 1 ? in->generation_id_or_member_epoch : -1,
	    .offsets = offsets,
	    .offset_count = count,
	    .producer_id = -1,
	    .producer_epoch = -1,
	};
	r->state = offsets;
	tm_groups_commit(s->groups, &commit, kafka_now_ms(s), committed, r);
}

static void offsets_answer_old(struct kafka_request *r)
{
	const struct tm_kafka_offset_fetch_request *in = r->in;
	struct tm_kafka_offset_fetch_response *out = r->out;
	struct tm_groups *groups = r->conn->server->groups;
	struct tm_group_offset *all = NULL;
	bool every = in->topics.count < 0;
	size_t all_count = every ? tm_groups_fetch_all(groups, in->group_id, in->require_stable, &r->arena, &all) : 0;
	size_t topic_count = every ? all_count : (size_t)in->topics.count, at = 0;
	out->topics.items = tm_kafka_offset_fetch_response_topics_new(&r->arena, topic_count);
	for (size_t i = 0; every ? at < all_count : i < topic_count; i++) {
		struct tm_kafka_offset_fetch_response_topics *t = &out->topics.items[out->topics.count++];
		size_t n = 0;
		struct tm_group_offset *list;
		if (every) {
			list = &all[at];
			while (at < all_count && tm_str_eq(all[at].topic, list->topic))
				at++, n++;
			t->name = list->topic;
		} else {
			t->name = in->topics.items[i].name;
			n = (size_t)in->topics.items[i].partition_indexes.count;
			list = TM_NEW_N(&r->arena, struct tm_group_offset, n + 1);
			for (size_t k = 0; k < n; k++)
				list[k] =
				    (struct tm_group_offset){.topic = t->name, .partition = in->topics.items[i].partition_indexes.items[k]};
			tm_groups_fetch(groups, in->group_id, in->require_stable, list, n, &r->arena);
		}
		t->partitions.items = tm_kafka_offset_fetch_response_topics_partitions_new(&r->arena, n);
		t->partitions.count = (int32_t)n;
		for (size_t k = 0; k < n; k++) {
			struct tm_kafka_offset_fetch_response_topics_partitions *p = &t->partitions.items[k];
			p->partition_index = list[k].partition;
			p->committed_offset = list[k].offset;
			p->committed_leader_epoch = list[k].leader_epoch;
			p->metadata = list[k].metadata;
			p->error_code = (int16_t)list[k].error;
		}
	}
}

static void group_offsets_answer(struct kafka_request *r, const struct tm_kafka_offset_fetch_request_groups *in,
				 struct tm_kafka_offset_fetch_response_groups *out)
{
	struct tm_kafka_server *s = r->conn->server;
	bool require_stable = ((const struct tm_kafka_offset_fetch_request *)r->in)->require_stable, every = in->topics.count < 0;
	struct tm_group_offset *all = NULL;
	size_t all_count = every ? tm_groups_fetch_all(s->groups, in->group_id, require_stable, &r->arena, &all) : 0;
	size_t topic_count = every ? all_count : (size_t)in->topics.count, at = 0;
	out->group_id = in->group_id;
	out->topics.items = tm_kafka_offset_fetch_response_groups_topics_new(&r->arena, topic_count);
	for (size_t i = 0; every ? at < all_count : i < topic_count; i++) {
		struct tm_kafka_offset_fetch_response_groups_topics *t = &out->topics.items[out->topics.count++];
		size_t n = 0;
		struct tm_group_offset *list;
		int16_t error = 0;
		if (every) {
			list = &all[at];
			while (at < all_count && tm_str_eq(all[at].topic, list->topic))
				at++, n++;
			t->name = list->topic;
			struct tm_topic *topic = tm_log_topic_find(s->log, t->name);
			if (topic)
				t->topic_id = kafka_topic_id(topic);
			tm_topic_unref(topic);
		} else {
			t->name = in->topics.items[i].name;
			t->topic_id = in->topics.items[i].topic_id;
			struct tm_topic *topic = r->version >= 10 ? tm_log_topic_find_id(s->log, t->topic_id.bytes) : NULL;
			struct tm_str name = topic ? tm_arena_str(&r->arena, tm_topic_name(topic)) : t->name;
			if (r->version >= 10 && !topic)
				error = KAFKA_UNKNOWN_TOPIC_ID;
			tm_topic_unref(topic);
			n = (size_t)in->topics.items[i].partition_indexes.count;
			list = TM_NEW_N(&r->arena, struct tm_group_offset, n + 1);
			for (size_t k = 0; k < n; k++)
				list[k] =
				    (struct tm_group_offset){.topic = name, .partition = in->topics.items[i].partition_indexes.items[k]};
			tm_groups_fetch(s->groups, in->group_id, require_stable, list, n, &r->arena);
		}
		t->partitions.items = tm_kafka_offset_fetch_response_groups_topics_partitions_new(&r->arena, n);
		t->partitions.count = (int32_t)n;
		for (size_t k = 0; k < n; k++) {
			struct tm_kafka_offset_fetch_response_groups_topics_partitions *p = &t->partitions.items[k];
			p->partition_index = list[k].partition;
			p->committed_offset = list[k].offset;
			p->committed_leader_epoch = list[k].leader_epoch;
			p->metadata = list[k].metadata;
			p->error_code = error ? error : (int16_t)list[k].error;
		}
	}
}

void kafka_offset_fetch(struct kafka_request *r)
{
	const struct tm_kafka_offset_fetch_request *in = r->in;
	struct tm_kafka_offset_fetch_response *out = r->out;
	if (r->version < 8) {
		offsets_answer_old(r);
		kafka_reply(r);
		return;
	}
	out->groups.items = tm_kafka_offset_fetch_response_groups_new(&r->arena, (size_t)in->groups.count);
	out->groups.count = in->groups.count;
	for (int32_t i = 0; i < in->groups.count; i++)
		group_offsets_answer(r, &in->groups.items[i], &out->groups.items[i]);
	kafka_reply(r);
}

static void offsets_deleted(void *ctx, int error)
{
	struct kafka_request *r = ctx;
	struct tm_kafka_offset_delete_response *out = r->out;
	const struct tm_group_offset *o = r->state;
	out->error_code = (int16_t)error;
	for (int32_t i = 0; i < out->topics.count; i++)
		for (int32_t k = 0; k < out->topics.items[i].partitions.count; k++)
			out->topics.items[i].partitions.items[k].error_code = (int16_t)(o++)->error;
	if (error)
		out->topics.count = 0;
	kafka_reply(r);
}

void kafka_offset_delete(struct kafka_request *r)
{
	struct tm_kafka_server *s = r->conn->server;
	const struct tm_kafka_offset_delete_request *in = r->in;
	struct tm_kafka_offset_delete_response *out = r->out;
	size_t count = 0;
	for (int32_t i = 0; i < in->topics.count; i++)
		count += (size_t)in->topics.items[i].partitions.count;
	struct tm_group_offset *offsets = TM_NEW_N(&r->arena, struct tm_group_offset, count + 1), *o = offsets;
	out->topics.items = tm_kafka_offset_delete_response_topics_new(&r->arena, (size_t)in->topics.count);
	out->topics.count = in->topics.count;
	for (int32_t i = 0; i < in->topics.count; i++) {
		const struct tm_kafka_offset_delete_request_topics *t = &in->topics.items[i];
		struct tm_topic *topic = tm_log_topic_find(s->log, t->name);
		out->topics.items[i].name = t->name;
		out->topics.items[i].partitions.items =
		    tm_kafka_offset_delete_response_topics_partitions_new(&r->arena, (size_t)t->partitions.count);
		out->topics.items[i].partitions.count = t->partitions.count;
		for (int32_t k = 0; k < t->partitions.count; k++, o++) {
			out->topics.items[i].partitions.items[k].partition_index = t->partitions.items[k].partition_index;
			*o = (struct tm_group_offset){.topic = t->name, .partition = t->partitions.items[k].partition_index};
			if (!kafka_partition_ok(topic, o->partition))
				o->error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
		}
		tm_topic_unref(topic);
	}
	r->state = offsets;
	tm_groups_offsets_delete(s->groups, in->group_id, offsets, count, kafka_now_ms(s), offsets_deleted, r);
}
