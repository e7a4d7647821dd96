/* Groups as records of __consumer_offsets, in Kafka's own formats: the key's first int16 is its kind (0 and 1: an offset,
 * 2: a group), the value's first int16 its version. A key without a value is a tombstone. */
#include "log/group_int.h"
#include <stdlib.h>

enum { KEY_OFFSET_OLD = 0, KEY_OFFSET = 1, KEY_GROUP = 2, OFFSET_VERSION = 4, GROUP_VERSION = 3 };

/* ---- writing ---- */

void group_writer_init(struct group_writer *w)
{
	memset(w, 0, sizeof *w);
	tm_arena_init(&w->arena);
}

static void string_put(struct tm_buf *b, struct tm_str s)
{
	tm_buf_be16(b, s.at ? (uint16_t)s.len : UINT16_MAX);
	tm_buf_str_put(b, s);
}

static void bytes_put(struct tm_buf *b, struct tm_str s)
{
	tm_buf_be32(b, (uint32_t)s.len);
	tm_buf_str_put(b, s);
}

static void record_add(struct group_writer *w, struct tm_buf *key, struct tm_buf *value)
{
	struct tm_record r = {.key = tm_arena_str(&w->arena, tm_buf_str(key)), .value_null = !value};
	if (value)
		r.value = tm_arena_str(&w->arena, tm_buf_str(value));
	TM_PUSH_IN(&w->arena, &w->records, r);
	tm_buf_done(key);
	if (value)
		tm_buf_done(value);
}

static struct tm_buf offset_key(struct tm_str group, struct tm_str topic, int32_t partition)
{
	struct tm_buf key = {0};
	tm_buf_be16(&key, KEY_OFFSET);
	string_put(&key, group);
	string_put(&key, topic);
	tm_buf_be32(&key, (uint32_t)partition);
	return key;
}

void group_write_offset(struct group_writer *w, struct tm_str group, const struct tm_group_offset *o)
{
	static const uint8_t zero[16];
	struct tm_buf key = offset_key(group, o->topic, o->partition), value = {0};
	if (o->expire_ms >= 0) {
		/* Only the oldest form holds a time of expiry of the offset's own. */
		tm_buf_be16(&value, 1);
		tm_buf_be64(&value, (uint64_t)o->offset);
		string_put(&value, o->metadata.at ? o->metadata : TM_STR(""));
		tm_buf_be64(&value, (uint64_t)o->commit_ms);
		tm_buf_be64(&value, (uint64_t)o->expire_ms);
	} else {
		tm_buf_be16(&value, OFFSET_VERSION);
		tm_buf_be64(&value, (uint64_t)o->offset);
		tm_buf_be32(&value, (uint32_t)o->leader_epoch);
		tm_buf_varint(&value, o->metadata.len + 1);
		tm_buf_str_put(&value, o->metadata);
		tm_buf_be64(&value, (uint64_t)o->commit_ms);
		if (memcmp(o->topic_id, zero, 16) == 0) {
			tm_buf_u8(&value, 0);
		} else {
			tm_buf_put(&value, "\x01\x00\x10", 3); /* one tagged field: 0, of 16 bytes */
			tm_buf_put(&value, o->topic_id, 16);
		}
	}
	record_add(w, &key, &value);
}

void group_write_offset_gone(struct group_writer *w, struct tm_str group, struct tm_str topic, int32_t partition)
{
	struct tm_buf key = offset_key(group, topic, partition);
	record_add(w, &key, NULL);
}

static struct tm_buf group_key(struct tm_str group)
{
	struct tm_buf key = {0};
	tm_buf_be16(&key, KEY_GROUP);
	string_put(&key, group);
	return key;
}

void group_write_gone(struct group_writer *w, struct tm_str group)
{
	struct tm_buf key = group_key(group);
	record_add(w, &key, NULL);
}

static struct tm_str metadata_of(const struct member *m, struct tm_str protocol)
{
	for (size_t i = 0; i < m->protocols.count; i++)
		if (tm_str_eq(m->protocols.items[i].name, protocol))
			return m->protocols.items[i].metadata;
	return TM_STR("");
}

void group_write_metadata(struct group_writer *w, const struct group *g, bool next_assignments, int64_t wall_ms)
{
	struct tm_buf key = group_key(g->id), v = {0};
	tm_buf_be16(&v, GROUP_VERSION);
	string_put(&v, g->protocol_type.at ? g->protocol_type : TM_STR(""));
	tm_buf_be32(&v, (uint32_t)g->generation);
	string_put(&v, g->protocol);
	string_put(&v, g->leader);
	tm_buf_be64(&v, (uint64_t)wall_ms);
	tm_buf_be32(&v, (uint32_t)g->member_count);
	for (const struct member *m = g->members; m; m = m->next) {
		string_put(&v, m->id);
		string_put(&v, m->instance);
		string_put(&v, m->client_id.at ? m->client_id : TM_STR(""));
		string_put(&v, m->client_host.at ? m->client_host : TM_STR(""));
		tm_buf_be32(&v, (uint32_t)m->rebalance_timeout_ms);
		tm_buf_be32(&v, (uint32_t)m->session_timeout_ms);
		bytes_put(&v, metadata_of(m, g->protocol));
		bytes_put(&v, next_assignments ? m->next_assignment : m->assignment);
	}
	record_add(w, &key, &v);
}

struct pending_write *group_write(struct tm_groups *gs, struct group_writer *w, int kind, struct tm_str group, int64_t producer_id,
				  int16_t producer_epoch)
{
	struct tm_batch_build build = {.codec = TM_CODEC_NONE,
				       .producer_id = producer_id,
				       .producer_epoch = producer_epoch,
				       .base_sequence = -1,
				       .transactional = producer_id >= 0};
	int64_t wall_ms = gs->options.wall_ms(gs->options.ctx);
	for (size_t i = 0; i < w->records.count; i++)
		w->records.items[i].timestamp_ms = wall_ms;
	struct tm_buf batch = {0};
	struct tm_err err = {0};
	tm_rc rc = tm_batch_write(&build, w->records.items, w->records.count, &batch, &err);
	TM_ASSERT(rc == TM_OK); /* our own records, uncompressed */
	tm_arena_done(&w->arena);
	struct pending_write *p = tm_zalloc(sizeof *p);
	p->ticket = ++gs->next_ticket;
	p->records = batch.at;
	p->records_bytes = batch.len;
	p->kind = kind;
	p->group = tm_str_dup(group);
	*gs->to_append_end = p;
	gs->to_append_end = &p->next;
	return p;
}

/* ---- reading ---- */

static struct tm_str string_take(struct tm_cursor *c)
{
	int16_t n = (int16_t)tm_cursor_be16(c);
	return n < 0 ? (struct tm_str){0} : tm_cursor_take(c, (size_t)n);
}

static struct tm_str bytes_take(struct tm_cursor *c)
{
	int32_t n = (int32_t)tm_cursor_be32(c);
	return n < 0 ? (struct tm_str){0} : tm_cursor_take(c, (size_t)n);
}

static bool offset_value(struct tm_cursor *c, struct committed *ret)
{
	int version = (int16_t)tm_cursor_be16(c);
	ret->offset = (int64_t)tm_cursor_be64(c);
	ret->leader_epoch = version >= 3 ? (int32_t)tm_cursor_be32(c) : -1;
	if (version >= 4) {
		uint64_t n = tm_cursor_varint(c, 32);
		ret->metadata = n ? tm_cursor_take(c, n - 1) : (struct tm_str){0};
	} else {
		ret->metadata = string_take(c);
	}
	ret->commit_ms = (int64_t)tm_cursor_be64(c);
	ret->expire_ms = version == 1 ? (int64_t)tm_cursor_be64(c) : -1;
	return !c->bad && version >= 0 && version <= OFFSET_VERSION;
}

struct applying {
	struct tm_groups *gs;
	const struct tm_batch_info *batch;
	bool replay;
};

static void offset_apply(struct applying *a, struct tm_cursor *key, const struct tm_record *r)
{
	struct committed c = {.producer_id = a->batch->transactional ? a->batch->producer_id : -1};
	struct tm_str group = string_take(key);
	c.topic = string_take(key);
	c.partition = (int32_t)tm_cursor_be32(key);
	if (key->bad)
		return;
	struct tm_cursor value = tm_cursor_of(r->value);
	if (r->value_null) {
		struct group *g = group_find(a->gs, group);
		if (g)
			group_offset_drop(g, c.topic, c.partition);
		return;
	}
	if (!offset_value(&value, &c))
		return;
	struct group *g = group_make(a->gs, group);
	g->written = true;
	if (c.producer_id < 0) {
		group_offset_put(g, &c);
		return;
	}
	struct committed copy = c;
	copy.topic = tm_str_dup(c.topic);
	copy.metadata = c.metadata.at ? tm_str_dup(c.metadata) : c.metadata;
	TM_PUSH(&g->unstable, copy);
}

/* Only at start: while the coordinator lives it knows more of a group than its record. */
static void group_apply(struct applying *a, struct tm_cursor *key, const struct tm_record *r)
{
	struct tm_str id = string_take(key);
	if (key->bad || !a->replay)
		return;
	if (r->value_null) {
		struct group *g = group_find(a->gs, id);
		if (g) {
			group_members_free(g);
			g->state = GROUP_EMPTY;
			if (!g->offsets.count && !g->unstable.count)
				group_remove(a->gs, g);
		}
		return;
	}
	struct group *g = group_make(a->gs, id);
	g->written = true;
	struct tm_cursor c = tm_cursor_of(r->value);
	int version = (int16_t)tm_cursor_be16(&c);
	group_members_free(g);
	group_str_set(&g->protocol_type, string_take(&c));
	g->generation = (int32_t)tm_cursor_be32(&c);
	group_str_set(&g->protocol, string_take(&c));
	group_str_set(&g->leader, string_take(&c));
	g->state_since_ms = version >= 2 ? (int64_t)tm_cursor_be64(&c) : r->timestamp_ms;
	int32_t n = (int32_t)tm_cursor_be32(&c);
	struct member **end = &g->members;
	for (int32_t i = 0; i < n && !c.bad; i++) {
		struct member *m = tm_zalloc(sizeof *m);
		*end = m;
		end = &m->next;
		g->member_count++;
		group_str_set(&m->id, string_take(&c));
		if (version >= 3)
			group_str_set(&m->instance, string_take(&c));
		group_str_set(&m->client_id, string_take(&c));
		group_str_set(&m->client_host, string_take(&c));
		m->rebalance_timeout_ms = version >= 1 ? (int32_t)tm_cursor_be32(&c) : 0;
		m->session_timeout_ms = (int32_t)tm_cursor_be32(&c);
		struct tm_group_protocol p = {0};
		group_str_set(&p.name, g->protocol.at ? g->protocol : TM_STR(""));
		group_str_set(&p.metadata, bytes_take(&c));
		TM_PUSH(&m->protocols, p);
		group_str_set(&m->assignment, bytes_take(&c));
		group_str_set(&m->protocol_type, g->protocol_type);
	}
	g->state = g->member_count ? GROUP_STABLE : GROUP_EMPTY;
}

static tm_rc record_apply(void *ctx, const struct tm_record *r)
{
	struct applying *a = ctx;
	struct tm_cursor key = tm_cursor_of(r->key);
	if (r->key_null)
		return TM_OK;
	int kind = (int16_t)tm_cursor_be16(&key);
	if (kind == KEY_OFFSET || kind == KEY_OFFSET_OLD)
		offset_apply(a, &key, r);
	else if (kind == KEY_GROUP)
		group_apply(a, &key, r);
	return TM_OK; /* kinds that are not known belong to newer protocols */
}

static tm_rc marker_apply(void *ctx, const struct tm_record *r)
{
	struct applying *a = ctx;
	struct tm_cursor key = tm_cursor_of(r->key);
	tm_cursor_be16(&key);
	int16_t kind = (int16_t)tm_cursor_be16(&key);
	if (!key.bad)
		group_transaction_end(a->gs, a->batch->producer_id, kind == 1);
	return TM_OK;
}

tm_rc group_batch_apply(struct tm_groups *gs, const struct tm_batch_info *batch, bool replay, struct tm_err *err)
{
	struct applying a = {.gs = gs, .batch = batch, .replay = replay};
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = tm_batch_each(batch, &arena, batch->control ? marker_apply : record_apply, &a, err);
	tm_arena_done(&arena);
	return rc;
}

tm_rc tm_groups_replay(struct tm_groups *gs, const struct tm_batch_info *batch, struct tm_err *err)
{
	group_lock(gs);
	tm_rc rc = group_batch_apply(gs, batch, true, err);
	group_unlock(gs);
	return rc;
}

void tm_groups_replay_end(struct tm_groups *gs, int64_t now_ms)
{
	group_lock(gs);
	for (size_t i = 0; i < GROUP_SLOTS; i++)
		for (struct group *g = gs->slots[i]; g; g = g->next)
			for (struct member *m = g->members; m; m = m->next)
				m->expires_ms = now_ms + m->session_timeout_ms;
	group_unlock(gs);
}
