/* The transaction coordinator's state machine. */
#include "log/transaction.h"
#include <stdlib.h>
#include "log/batch.h"

enum {
	TXN_INVALID_REQUEST = 42,
	TXN_INVALID_STATE = 48,
	TXN_INVALID_ID_MAPPING = 49,
	TXN_INVALID_TIMEOUT = 50,
	TXN_CONCURRENT = 51,
	TXN_PRODUCER_FENCED = 90,
	TXN_NOT_AVAILABLE = 15,
};
enum txn_state {
	TXN_EMPTY,
	TXN_ONGOING,
	TXN_PREPARE_COMMIT,
	TXN_PREPARE_ABORT,
	TXN_COMPLETE_COMMIT,
	TXN_COMPLETE_ABORT,
	TXN_DEAD,
	TXN_FENCE
};
static const char *const state_names[] = {"Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
					  "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence"};
#define DEFAULT_MAX_TIMEOUT_MS (15 * 60 * 1000)
#define NO_TIMEOUT INT64_MAX

struct part_list {
	struct tm_transaction_part *items;
	size_t count, cap;
};
/* A change on its way to the topic: becomes the transaction's own when durable. */
struct txn_values {
	int64_t producer_id, start_ms, changed_ms;
	int16_t epoch;
	int32_t timeout_ms;
	enum txn_state state;
	struct part_list parts; /* topics malloc'd */
};
struct txn {
	struct tm_str id;
	struct txn_values now, next;
	uint64_t ticket; /* of the write or the markers under way; 0 = none */
	bool marking;
	tm_transaction_answer answer; /* to whom the change under way is answered */
	void *answer_ctx;
	int16_t marker_epoch;
	/* An init that waits for the abort of what its predecessor left open. */
	tm_transaction_answer init_answer;
	void *init_ctx;
	int32_t init_timeout_ms;
	int16_t answer_epoch; /* after an end that bumps: the next transaction's */
	bool fencing;
	struct txn *next_in_list;
};
struct tm_transactions {
	struct tm_transactions_options options;
	struct txn *list;
	size_t count;
	uint64_t next_ticket;
};

/* ---- values ---- */

static void parts_free(struct part_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free((void *)(uintptr_t)l->items[i].topic.at);
	free(l->items);
	*l = (struct part_list){0};
}

static bool parts_has(const struct part_list *l, struct tm_str topic, int32_t partition)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].partition == partition && tm_str_eq(l->items[i].topic, topic))
			return true;
	return false;
}

static void parts_add(struct part_list *l, struct tm_str topic, int32_t partition)
{
	if (!parts_has(l, topic, partition))
		TM_PUSH(l, (struct tm_transaction_part){tm_str_dup(topic), partition});
}

static struct txn_values values_copy(const struct txn_values *v)
{
	struct txn_values copy = *v;
	copy.parts = (struct part_list){0};
	for (size_t i = 0; i < v->parts.count; i++)
		parts_add(&copy.parts, v->parts.items[i].topic, v->parts.items[i].partition);
	return copy;
}

static struct txn *txn_find(struct tm_transactions *ts, struct tm_str id)
{
	for (struct txn *t = ts->list; t; t = t->next_in_list)
		if (tm_str_eq(t->id, id))
			return t;
	return NULL;
}

static struct txn *txn_make(struct tm_transactions *ts, struct tm_str id)
{
	struct txn *t = txn_find(ts, id);
	if (t)
		return t;
	t = tm_zalloc(sizeof *t);
	t->id = tm_str_dup(id);
	t->now.producer_id = -1;
	t->now.epoch = -1;
	t->next_in_list = ts->list;
	ts->list = t;
	ts->count++;
	return t;
}

static void txn_remove(struct tm_transactions *ts, struct txn *t)
{
	struct txn **at = &ts->list;
	while (*at != t)
		at = &(*at)->next_in_list;
	*at = t->next_in_list;
	ts->count--;
	parts_free(&t->now.parts);
	parts_free(&t->next.parts);
	free((void *)(uintptr_t)t->id.at);
	free(t);
}

/* ---- records: Kafka's TransactionLogKey and TransactionLogValue, version 0 ---- */

static void string_put(struct tm_buf *b, struct tm_str s)
{
	tm_buf_be16(b, (uint16_t)s.len);
	tm_buf_str_put(b, s);
}

static int by_topic(const void *a, const void *b)
{
	const struct tm_transaction_part *x = a, *y = b;
	int c = tm_str_cmp(x->topic, y->topic);
	return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

static void parts_put(struct tm_buf *b, const struct txn_values *v)
{
	if (v->state == TXN_EMPTY) {
		tm_buf_be32(b, UINT32_MAX);
		return;
	}
	if (v->parts.count)
		qsort(v->parts.items, v->parts.count, sizeof *v->parts.items, by_topic);
	uint32_t topics = 0;
	for (size_t i = 0; i < v->parts.count; i++)
		topics += i == 0 || !tm_str_eq(v->parts.items[i].topic, v->parts.items[i - 1].topic);
	tm_buf_be32(b, topics);
	for (size_t i = 0, end; i < v->parts.count; i = end) {
		for (end = i + 1; end < v->parts.count && tm_str_eq(v->parts.items[end].topic, v->parts.items[i].topic);)
			end++;
		string_put(b, v->parts.items[i].topic);
		tm_buf_be32(b, (uint32_t)(end - i));
		for (size_t k = i; k < end; k++)
			tm_buf_be32(b, (uint32_t)v->parts.items[k].partition);
	}
}

static struct tm_buf txn_batch(struct tm_transactions *ts, const struct txn *t, const struct txn_values *v)
{
	struct tm_buf key = {0}, value = {0}, batch = {0};
	tm_buf_be16(&key, 0);
	string_put(&key, t->id);
	tm_buf_be16(&value, 0);
	tm_buf_be64(&value, (uint64_t)v->producer_id);
	tm_buf_be16(&value, (uint16_t)v->epoch);
	tm_buf_be32(&value, (uint32_t)v->timeout_ms);
	tm_buf_u8(&value, (uint8_t)v->state);
	parts_put(&value, v);
	tm_buf_be64(&value, (uint64_t)v->changed_ms);
	tm_buf_be64(&value, (uint64_t)v->start_ms);
	struct tm_record r = {.timestamp_ms = ts->options.wall_ms(ts->options.ctx), .key = tm_buf_str(&key), .value = tm_buf_str(&value)};
	struct tm_batch_build build = {.codec = TM_CODEC_NONE, .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
	struct tm_err err = {0};
	tm_rc rc = tm_batch_write(&build, &r, 1, &batch, &err);
	TM_ASSERT(rc == TM_OK); /* our own record */
	tm_buf_done(&key);
	tm_buf_done(&value);
	return batch;
}

static tm_rc record_apply(void *ctx, const struct tm_record *r)
{
	struct tm_transactions *ts = ctx;
	struct tm_cursor key = tm_cursor_of(r->key), c = tm_cursor_of(r->value);
	int key_version = (int16_t)tm_cursor_be16(&key);
	struct tm_str id = tm_cursor_take(&key, tm_cursor_be16(&key));
	if (key.bad || key_version != 0)
		return TM_OK; /* of a newer kind */
	if (r->value_null) {
		struct txn *gone = txn_find(ts, id);
		if (gone)
			txn_remove(ts, gone);
		return TM_OK;
	}
	if (tm_cursor_be16(&c) != 0)
		return TM_OK;
	struct txn *t = txn_make(ts, id);
	parts_free(&t->now.parts);
	t->now.producer_id = (int64_t)tm_cursor_be64(&c);
	t->now.epoch = (int16_t)tm_cursor_be16(&c);
	t->now.timeout_ms = (int32_t)tm_cursor_be32(&c);
	t->now.state = (enum txn_state)(tm_cursor_u8(&c) % (TXN_FENCE + 1));
	int32_t topics = (int32_t)tm_cursor_be32(&c);
	for (int32_t i = 0; i < topics && !c.bad; i++) {
		struct tm_str topic = tm_cursor_take(&c, tm_cursor_be16(&c));
		int32_t n = (int32_t)tm_cursor_be32(&c);
		for (int32_t k = 0; k < n && !c.bad; k++) {
			int32_t partition = (int32_t)tm_cursor_be32(&c);
			if (!c.bad)
				parts_add(&t->now.parts, topic, partition);
		}
	}
	t->now.changed_ms = (int64_t)tm_cursor_be64(&c);
	t->now.start_ms = (int64_t)tm_cursor_be64(&c);
	return TM_OK;
}

tm_rc tm_transactions_replay(struct tm_transactions *ts, const struct tm_batch_info *batch, struct tm_err *err)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	tm_rc rc = tm_batch_each(batch, &arena, record_apply, ts, err);
	tm_arena_done(&arena);
	return rc;
}

/* ---- changes ---- */

/* Writes t->next; its answer comes when it is durable. */
static void txn_write(struct tm_transactions *ts, struct txn *t)
{
	t->next.changed_ms = ts->options.wall_ms(ts->options.ctx);
	t->ticket = ++ts->next_ticket;
	t->marking = false;
	struct tm_buf batch = txn_batch(ts, t, &t->next);
	ts->options.append(ts->options.ctx, tm_buf_str(&batch), t->ticket);
	tm_buf_done(&batch);
}

static void txn_mark(struct tm_transactions *ts, struct txn *t)
{
	bool commit = t->now.state == TXN_PREPARE_COMMIT;
	char key[4] = {0, 0, 0, commit}, value[6] = {0};
	int64_t now = ts->options.wall_ms(ts->options.ctx);
	struct tm_record r = {.timestamp_ms = now, .key = tm_str_n(key, sizeof key), .value = tm_str_n(value, sizeof value)};
	struct tm_batch_compose compose = {
	    .codec = TM_CODEC_NONE,
	    .level = INT32_MIN,
	    .attributes = TM_ATTR_TRANSACTIONAL | TM_ATTR_CONTROL,
	    .base_timestamp_ms = now,
	    .max_timestamp_ms = now,
	    .producer_id = t->now.producer_id,
	    .producer_epoch = t->marker_epoch,
	    .base_sequence = -1,
	    .leader_epoch = 0,
	};
	struct tm_buf batch = {0};
	struct tm_err err = {0};
	tm_rc rc = tm_batch_compose(&compose, &r, 1, &batch, &err);
	TM_ASSERT(rc == TM_OK);
	t->ticket = ++ts->next_ticket;
	t->marking = true;
	ts->options.mark(ts->options.ctx, t->now.parts.items, t->now.parts.count, tm_buf_str(&batch), t->now.producer_id, commit,
			 t->ticket);
	tm_buf_done(&batch);
}

static void txn_change(struct tm_transactions *ts, struct txn *t, tm_transaction_answer answer, void *ctx)
{
	t->answer = answer;
	t->answer_ctx = ctx;
	txn_write(ts, t);
}

static void init_write(struct tm_transactions *ts, struct txn *t, int32_t timeout_ms, tm_transaction_answer answer, void *ctx)
{
	struct tm_err err = {0};
	t->next = (struct txn_values){
	    .producer_id = t->now.producer_id, .epoch = t->now.epoch, .timeout_ms = timeout_ms, .state = TXN_EMPTY, .start_ms = -1};
	if (t->next.producer_id < 0 || t->next.epoch >= INT16_MAX - 1) {
		/* A new id, or the old one's epochs are used up. */
		if (ts->options.producer_id(ts->options.ctx, &t->next.producer_id, &err) != TM_OK) {
			answer(ctx, TXN_NOT_AVAILABLE, -1, -1);
			return;
		}
		t->next.epoch = -1;
	}
	t->next.epoch++;
	txn_change(ts, t, answer, ctx);
}

/* The decision to end: written first, then the markers, then that it is done. */
static void end_write(struct tm_transactions *ts, struct txn *t, bool commit, int16_t marker_epoch, tm_transaction_answer answer, void *ctx)
{
	t->next = values_copy(&t->now);
	t->next.state = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
	t->next.epoch = marker_epoch;
	t->marker_epoch = marker_epoch;
	txn_change(ts, t, answer, ctx);
}

static void answer_give(struct txn *t, int error)
{
	tm_transaction_answer answer = t->answer;
	t->answer = NULL;
	if (answer)
		answer(t->answer_ctx, error, error ? -1 : t->now.producer_id, error ? -1 : t->now.epoch);
}

void tm_transactions_appended(struct tm_transactions *ts, uint64_t ticket, int error)
{
	struct txn *t = ts->list;
	while (t && (t->ticket != ticket || t->marking))
		t = t->next_in_list;
	if (!t)
		return;
	t->ticket = 0;
	if (error) {
		parts_free(&t->next.parts);
		tm_transaction_answer init = t->init_answer;
		t->init_answer = NULL;
		t->fencing = false;
		if (init)
			init(t->init_ctx, TXN_NOT_AVAILABLE, -1, -1);
		answer_give(t, TXN_NOT_AVAILABLE);
		return;
	}
	parts_free(&t->now.parts);
	t->now = t->next;
	t->next.parts = (struct part_list){0};
	if (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT) {
		txn_mark(ts, t);
		return;
	}
	if (t->init_answer && (t->now.state == TXN_COMPLETE_ABORT || t->now.state == TXN_COMPLETE_COMMIT)) {
		tm_transaction_answer init = t->init_answer;
		t->init_answer = NULL;
		t->fencing = false;
		answer_give(t, 0);
		init_write(ts, t, t->init_timeout_ms, init, t->init_ctx);
		return;
	}
	t->fencing = false;
	answer_give(t, 0);
}

void tm_transactions_marked(struct tm_transactions *ts, uint64_t ticket, int error)
{
	struct txn *t = ts->list;
	while (t && (t->ticket != ticket || !t->marking))
		t = t->next_in_list;
	if (!t)
		return;
	t->ticket = 0;
	t->marking = false;
	if (error) {
		/* Decided is decided: the tick tries again; the client asks again. */
		answer_give(t, TXN_NOT_AVAILABLE);
		return;
	}
	t->next = values_copy(&t->now);
	parts_free(&t->next.parts);
	t->next.state = t->now.state == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
	t->next.start_ms = -1;
	txn_write(ts, t);
}

void tm_transactions_replay_end(struct tm_transactions *ts)
{
	for (struct txn *t = ts->list; t; t = t->next_in_list) {
		t->marker_epoch = t->now.epoch;
		if (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT)
			txn_mark(ts, t);
	}
}

int64_t tm_transactions_tick(struct tm_transactions *ts)
{
	int64_t now = ts->options.wall_ms(ts->options.ctx), next = NO_TIMEOUT;
	for (struct txn *t = ts->list; t; t = t->next_in_list) {
		if (t->ticket)
			continue;
		if (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT) {
			txn_mark(ts, t);
			next = now + 1000 < next ? now + 1000 : next;
			continue;
		}
		if (t->now.state != TXN_ONGOING)
			continue;
		int64_t end = t->now.start_ms + t->now.timeout_ms;
		if (end <= now)
			end_write(ts, t, false, (int16_t)(t->now.epoch + 1), NULL, NULL); /* the producer is fenced by the epoch */
		else if (end < next)
			next = end;
	}
	return next;
}

/* ---- what producers ask ---- */

void tm_transactions_init(struct tm_transactions *ts, struct tm_str id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
			  tm_transaction_answer answer, void *ctx)
{
	struct txn *t = txn_find(ts, id);
	if (!id.len) {
		answer(ctx, TXN_INVALID_REQUEST, -1, -1);
	} else if (timeout_ms <= 0 || timeout_ms > ts->options.max_timeout_ms) {
		answer(ctx, TXN_INVALID_TIMEOUT, -1, -1);
	} else if (producer_id >= 0 && t && t->now.producer_id >= 0 && (t->now.producer_id != producer_id || t->now.epoch != epoch)) {
		answer(ctx, TXN_PRODUCER_FENCED, -1, -1);
	} else if (t && (t->ticket || t->init_answer)) {
		answer(ctx, TXN_CONCURRENT, -1, -1);
	} else if (t && t->now.state == TXN_ONGOING) {
		t->init_answer = answer;
		t->init_ctx = ctx;
		t->init_timeout_ms = timeout_ms;
		t->fencing = true;
		end_write(ts, t, false, (int16_t)(t->now.epoch + 1), NULL, NULL);
	} else if (t && (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT)) {
		answer(ctx, TXN_CONCURRENT, -1, -1);
	} else {
		init_write(ts, t ? t : txn_make(ts, id), timeout_ms, answer, ctx);
	}
}

static int producer_check(struct txn *t, struct tm_str id, int64_t producer_id, int16_t epoch)
{
	if (!id.len)
		return TXN_INVALID_REQUEST;
	if (!t || t->now.producer_id != producer_id)
		return TXN_INVALID_ID_MAPPING;
	if (t->now.epoch != epoch)
		return TXN_PRODUCER_FENCED;
	return t->ticket || t->fencing ? TXN_CONCURRENT : 0;
}

void tm_transactions_add(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch,
			 const struct tm_transaction_part *parts, size_t count, tm_transaction_answer answer, void *ctx)
{
	struct txn *t = txn_find(ts, id);
	int error = producer_check(t, id, producer_id, epoch);
	if (!error && (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT))
		error = TXN_CONCURRENT;
	bool all = !error && t->now.state == TXN_ONGOING;
	for (size_t i = 0; all && i < count; i++)
		all = parts_has(&t->now.parts, parts[i].topic, parts[i].partition);
	if (error || all) {
		answer(ctx, error, producer_id, epoch);
		return;
	}
	t->next = values_copy(&t->now);
	if (t->now.state != TXN_ONGOING) {
		parts_free(&t->next.parts);
		t->next.start_ms = ts->options.wall_ms(ts->options.ctx);
	}
	t->next.state = TXN_ONGOING;
	for (size_t i = 0; i < count; i++)
		parts_add(&t->next.parts, parts[i].topic, parts[i].partition);
	txn_change(ts, t, answer, ctx);
}

void tm_transactions_end(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch, bool commit, bool bump,
			 tm_transaction_answer answer, void *ctx)
{
	struct txn *t = txn_find(ts, id);
	int error = producer_check(t, id, producer_id, epoch);
	enum txn_state done = commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
	/* The same end again, its answer having been lost: with the epoch that has been given up, where it was bumped. */
	bool again = bump && t && error == TXN_PRODUCER_FENCED && t->now.state == done && t->now.epoch == epoch + 1;
	if (again || (!error && !bump && t->now.state == done)) {
		answer(ctx, 0, t->now.producer_id, t->now.epoch);
		return;
	}
	if (!error && (t->now.state == TXN_PREPARE_COMMIT || t->now.state == TXN_PREPARE_ABORT))
		error = TXN_CONCURRENT;
	if (!error && t->now.state != TXN_ONGOING)
		error = TXN_INVALID_STATE;
	if (error) {
		answer(ctx, error, -1, -1);
		return;
	}
	end_write(ts, t, commit, (int16_t)(bump ? t->now.epoch + 1 : t->now.epoch), answer, ctx);
}

int tm_transactions_check(struct tm_transactions *ts, struct tm_str id, int64_t producer_id, int16_t epoch, struct tm_str topic,
			  int32_t partition)
{
	struct txn *t = txn_find(ts, id);
	int error = producer_check(t, id, producer_id, epoch);
	if (error && error != TXN_CONCURRENT)
		return error;
	return t->now.state == TXN_ONGOING && parts_has(&t->now.parts, topic, partition) ? 0 : TXN_INVALID_STATE;
}

void tm_transactions_forget(struct tm_transactions *ts, void *ctx)
{
	for (struct txn *t = ts->list; t; t = t->next_in_list) {
		if (t->answer_ctx == ctx)
			t->answer = NULL;
		/* An init that waits goes on, so that what it began to fence is fenced. */
		if (t->init_ctx == ctx)
			t->init_answer = NULL;
	}
}

/* ---- looking ---- */

static void info_fill(const struct txn *t, struct tm_arena *arena, struct tm_transaction_info *ret)
{
	struct tm_transaction_part *parts = TM_NEW_N(arena, struct tm_transaction_part, t->now.parts.count + 1);
	for (size_t i = 0; i < t->now.parts.count; i++)
		parts[i] = (struct tm_transaction_part){tm_arena_str(arena, t->now.parts.items[i].topic), t->now.parts.items[i].partition};
	qsort(parts, t->now.parts.count, sizeof *parts, by_topic);
	*ret = (struct tm_transaction_info){
	    .id = tm_arena_str(arena, t->id),
	    .state = tm_str_of(state_names[t->now.state]),
	    .producer_id = t->now.producer_id,
	    .start_ms = t->now.start_ms,
	    .epoch = t->now.epoch,
	    .timeout_ms = t->now.timeout_ms,
	    .parts = parts,
	    .part_count = t->now.parts.count,
	};
}

static int by_id(const void *a, const void *b)
{
	return tm_str_cmp(((const struct tm_transaction_info *)a)->id, ((const struct tm_transaction_info *)b)->id);
}

size_t tm_transactions_list(struct tm_transactions *ts, struct tm_arena *arena, struct tm_transaction_info **ret)
{
	struct tm_transaction_info *list = TM_NEW_N(arena, struct tm_transaction_info, ts->count + 1);
	size_t n = 0;
	for (struct txn *t = ts->list; t; t = t->next_in_list)
		if (t->now.producer_id >= 0)
			info_fill(t, arena, &list[n++]);
	qsort(list, n, sizeof *list, by_id);
	*ret = list;
	return n;
}

bool tm_transactions_describe(struct tm_transactions *ts, struct tm_str id, struct tm_arena *arena, struct tm_transaction_info *ret)
{
	struct txn *t = txn_find(ts, id);
	if (t && t->now.producer_id >= 0)
		info_fill(t, arena, ret);
	return t && t->now.producer_id >= 0;
}

const char *const *tm_transaction_states(size_t *ret_count)
{
	*ret_count = sizeof state_names / sizeof *state_names;
	return state_names;
}

struct tm_transactions *tm_transactions_new(const struct tm_transactions_options *options)
{
	struct tm_transactions *ts = tm_zalloc(sizeof *ts);
	ts->options = *options;
	if (!ts->options.max_timeout_ms)
		ts->options.max_timeout_ms = DEFAULT_MAX_TIMEOUT_MS;
	return ts;
}

void tm_transactions_free(struct tm_transactions *ts)
{
	while (ts && ts->list)
		txn_remove(ts, ts->list);
	free(ts);
}
