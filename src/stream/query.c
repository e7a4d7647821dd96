/* A streaming query: micro-batches, each one transaction. A batch is made of what the sources have (or of nothing, when the
 * watermark moved and state waits for it), run through the nodes into the sink, and committed: outputs, state changes, offsets,
 * watermark and dead letters in one write of the store. Where the sink is not part of that write, the batch is announced ahead,
 * so that after a crash the very same batch runs again.
 * States: RUNNING -> STOPPED (by request, or AvailableNow is done) | FAILED. Everything but `shared` belongs to the thread that steps. */
#include "stream/query_int.h"
#include "table/table.h"
#include <stdlib.h>
#include <time.h>

/* ---- watermarks ---- */

/* Gives stateful operators their watermarks for the coming batch; *ret_evict is what goes up, INT64_MIN where nothing below has one. */
static void assign_watermarks(struct tm_node *node, int64_t late_us, int64_t evict_us, int64_t *ret_late, int64_t *ret_evict)
{
	int64_t late = INT64_MIN, evict = INT64_MIN;
	for (size_t i = 0; i < node->input_count; i++) {
		int64_t l, e;
		assign_watermarks(node->inputs[i], late_us, evict_us, &l, &e);
		if (e == INT64_MIN)
			continue;
		late = late == INT64_MIN || l < late ? l : late;
		evict = evict == INT64_MIN || e < evict ? e : evict;
	}
	if (node->klass == &tm_watermark_class && node->op->streaming) {
		late = late_us;
		evict = evict_us;
	}
	if (tm_node_stateful(node)) {
		node->late_us = late;
		node->evict_us = evict;
		if (node->klass->state->passes_on && evict != INT64_MIN) {
			late = node->klass->state->passes_on(node, late);
			evict = node->klass->state->passes_on(node, evict);
		}
	}
	*ret_late = late;
	*ret_evict = evict;
}

/* Is there state that a batch without data would move, now that the watermark is evict_us? */
static bool wants_no_data(struct tm_node *node, int64_t evict_us, int64_t *ret_evict)
{
	int64_t evict = INT64_MIN;
	bool wants = false;
	for (size_t i = 0; i < node->input_count; i++) {
		int64_t e;
		wants |= wants_no_data(node->inputs[i], evict_us, &e);
		if (e != INT64_MIN)
			evict = evict == INT64_MIN || e < evict ? e : evict;
	}
	if (node->klass == &tm_watermark_class && node->op->streaming)
		evict = evict_us;
	if (tm_node_stateful(node)) {
		const struct tm_state_class *s = node->klass->state;
		if (evict != INT64_MIN && evict > node->evict_us && (!s->wants_no_data || s->wants_no_data(node, evict)))
			wants = true;
		if (s->passes_on && evict != INT64_MIN)
			evict = s->passes_on(node, evict);
	}
	*ret_evict = evict;
	return wants;
}

/* After a batch: the watermark of the next one, from the largest event times seen. */
static void move_watermark(struct tm_query *q)
{
	struct tm_stream_run *s = &q->stream;
	if (!s->watermarks.count)
		return;
	int64_t chosen = 0;
	for (size_t i = 0; i < s->watermarks.count; i++) {
		struct tm_watermark_node *w = &s->watermarks.items[i];
		struct tm_checkpoint_watermark *mark = &q->marks[i];
		if (w->seen) {
			int64_t ms = w->max_us >= 0 ? w->max_us / 1000 : -((-w->max_us + 999) / 1000);
			int64_t moved = ms - w->node->op->watermark.delay_us / 1000;
			if (!mark->seen || moved > mark->ms)
				mark->ms = moved;
			mark->seen = true;
		} else if (!mark->seen) {
			mark->ms = 0;
			mark->seen = true;
		}
		w->seen = false;
		chosen = i == 0 || (q->spec.max_watermark_policy ? mark->ms > chosen : mark->ms < chosen) ? mark->ms : chosen;
	}
	if (chosen > q->next_watermark_ms)
		q->next_watermark_ms = chosen;
}

/* ---- building and restoring ---- */

static void find_parts(struct tm_query *q, struct tm_node *node)
{
	for (size_t i = 0; i < node->input_count; i++)
		find_parts(q, node->inputs[i]);
	if (node->klass == &tm_scan_class && node->op->scan.relation->streaming)
		TM_PUSH(&q->sources, (struct tm_query_source){.node = node, .source = tm_scan_source(node)});
	if (node->klass == &tm_watermark_class && node->op->streaming)
		TM_PUSH(&q->stream.watermarks, (struct tm_watermark_node){.node = node});
	if (tm_node_stateful(node)) {
		node->ordinal = (uint32_t)q->stream.stores.count;
		TM_PUSH(&q->stream.stores, (struct tm_state_store){0});
	}
	TM_PUSH(&q->nodes, node);
}

static struct tm_str record_key(struct tm_query *q, char tag)
{
	q->stream.key.len = q->stream.prefix_len;
	tm_buf_char(&q->stream.key, tag);
	return tm_buf_str(&q->stream.key);
}

static tm_rc read_record(struct tm_query *q, char tag, struct tm_arena *arena, struct tm_checkpoint *ret, bool *ret_found,
			 struct tm_err *err)
{
	*ret_found = false;
	if (!q->world->store)
		return TM_OK;
	struct tm_buf bytes = {0};
	tm_rc rc = tm_store_get_bytes(q->world->store, "stream", record_key(q, tag), &bytes, ret_found, err);
	if (!rc && *ret_found)
		rc = tm_checkpoint_decode(tm_arena_str(arena, tm_buf_str(&bytes)), arena, ret, err);
	tm_buf_done(&bytes);
	if (rc)
		tm_err_prefix(err, "query '%.*s': ", TM_STR_ARG(q->spec.name));
	return rc;
}

static tm_rc restore_entry(void *ctx, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct tm_node *node = ctx;
	return node->klass->state->restore(node, key, value, err);
}

static struct tm_str state_prefix(struct tm_query *q, uint32_t ordinal, struct tm_buf *out)
{
	out->len = 0;
	tm_buf_str_put(out, record_key(q, 's'));
	tm_buf_be32(out, ordinal);
	return tm_buf_str(out);
}

static tm_rc restore_state(struct tm_query *q, struct tm_err *err)
{
	struct tm_buf prefix = {0};
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < q->nodes.count && !rc; i++) {
		struct tm_node *node = q->nodes.items[i];
		if (tm_node_stateful(node))
			rc = tm_state_store_restore(&q->stream.stores.items[node->ordinal], q->world->store,
						    state_prefix(q, node->ordinal, &prefix), restore_entry, node, err);
	}
	tm_buf_done(&prefix);
	if (rc)
		tm_err_prefix(err, "query '%.*s': ", TM_STR_ARG(q->spec.name));
	return rc;
}

/* Changes of all operators into the commit. */
static tm_rc write_state(struct tm_query *q, struct tm_err *err)
{
	struct tm_buf prefix = {0};
	tm_rc rc = TM_OK;
	for (size_t i = 0; i < q->nodes.count && !rc; i++) {
		struct tm_node *node = q->nodes.items[i];
		if (!tm_node_stateful(node))
			continue;
		node->klass->state->commit(node);
		if (q->commit)
			rc = tm_state_store_flush(&q->stream.stores.items[node->ordinal], q->world->store, q->commit,
						  state_prefix(q, node->ordinal, &prefix), err);
		else
			tm_state_store_done(&q->stream.stores.items[node->ordinal]); /* nothing is kept without a store */
	}
	tm_buf_done(&prefix);
	return rc;
}

static void take_checkpoint(struct tm_query *q, const struct tm_checkpoint *c)
{
	for (size_t i = 0; i < q->sources.count; i++) {
		q->sources.items[i].from.len = 0;
		tm_buf_str_put(&q->sources.items[i].from, c->offsets[i]);
	}
}

static tm_rc check_fits(struct tm_query *q, const struct tm_checkpoint *c, struct tm_err *err)
{
	if (c->offset_count == q->sources.count)
		return TM_OK;
	tm_rc rc = tm_fail_class(err, TM_INVALID, "STREAM_FAILED", "XXKST",
				 "query '%.*s': there are %zu sources in the checkpoint and %zu in the query", TM_STR_ARG(q->spec.name),
				 c->offset_count, q->sources.count);
	tm_err_hint(err, "Give the query another name to start it afresh.");
	return rc;
}

/* What the state is made of: per stateful operator a line of name, key types, value types. */
static void describe_state(struct tm_query *q, struct tm_buf *out)
{
	struct tm_buf keys = {0}, values = {0};
	for (size_t i = 0; i < q->nodes.count; i++) {
		struct tm_node *node = q->nodes.items[i];
		if (!tm_node_stateful(node))
			continue;
		const struct tm_state_class *s = node->klass->state;
		keys.len = values.len = 0;
		if (s->describe)
			s->describe(node, &keys, &values);
		tm_buf_printf(out, "%s\t%.*s\t%.*s\n", s->name ? s->name(node) : node->klass->label, (int)keys.len, keys.at ? keys.at : "",
			      (int)values.len, values.at ? values.at : "");
	}
	tm_buf_done(&keys);
	tm_buf_done(&values);
}

static tm_rc state_differs(struct tm_query *q, const char *klass, const char *sqlstate, const char *what, struct tm_str was,
			   struct tm_str is, struct tm_err *err)
{
	tm_rc rc = tm_fail_class(
	    err, TM_INVALID, klass, sqlstate, "query '%.*s' was changed since its checkpoint was written: %s (was %.*s, is %.*s)",
	    TM_STR_ARG(q->spec.name), what, (int)(was.len < 150 ? was.len : 150), was.at, (int)(is.len < 150 ? is.len : 150), is.at);
	tm_err_hint(err, "Give the query another name to start it afresh, or restore the old text.");
	return rc;
}

static tm_rc compare_state(struct tm_query *q, struct tm_str was, struct tm_str is, struct tm_err *err)
{
	if (tm_str_eq(was, is))
		return TM_OK;
	if (!was.len)
		return state_differs(q, "STREAMING_STATEFUL_OPERATOR_MISSING_STATE_DIRECTORY", "42K03",
				     "it has stateful operators now, and no state", was, is, err);
	struct tm_str a = was, b = is, line_a, line_b;
	for (bool values = false;; values = true) { /* first names and keys of all, then values */
		a = was;
		b = is;
		for (;;) {
			bool more_a = a.len && tm_str_split(&a, '\n', &line_a), more_b = b.len && tm_str_split(&b, '\n', &line_b);
			if (!more_a && !more_b)
				break;
			struct tm_str name_a = {0}, name_b = {0}, keys_a, keys_b;
			bool both = more_a && more_b && tm_str_split(&line_a, '\t', &name_a) && tm_str_split(&line_b, '\t', &name_b);
			if (!both || !tm_str_eq(name_a, name_b))
				return state_differs(q, "STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA", "42K03",
						     "its stateful operators are others", was, is, err);
			tm_str_split(&line_a, '\t', &keys_a);
			tm_str_split(&line_b, '\t', &keys_b);
			if (!values && !tm_str_eq(keys_a, keys_b))
				return state_differs(q, "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE", "42K06",
						     "the types of its state's keys are others", keys_a, keys_b, err);
			if (values && !tm_str_eq(line_a, line_b))
				return state_differs(q, "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE", "42K06",
						     "the types of its state's values are others", line_a, line_b, err);
		}
		if (values)
			return TM_OK;
	}
}

static tm_rc check_state(struct tm_query *q, struct tm_err *err)
{
	struct tm_buf bytes = {0}, is = {0};
	bool found;
	struct tm_str was = {0};
	describe_state(q, &is);
	tm_rc rc = tm_store_get_bytes(q->world->store, "stream", record_key(q, 'd'), &bytes, &found, err);
	if (!rc && found && !tm_state_unseal(tm_buf_str(&bytes), &was))
		rc = tm_fail(err, TM_CORRUPT, "query '%.*s': the description of its state in the checkpoint is damaged",
			     TM_STR_ARG(q->spec.name));
	if (!rc)
		rc = compare_state(q, was, tm_buf_str(&is), err);
	tm_buf_done(&bytes);
	tm_buf_done(&is);
	return rc;
}

/* Where the last commit left it; and the batch that was announced after it, if any. */
static tm_rc restore(struct tm_query *q, struct tm_err *err)
{
	struct tm_checkpoint done, ahead;
	bool has_done, has_ahead;
	tm_arena_reset(&q->restore_arena);
	TM_TRY(read_record(q, 'c', &q->restore_arena, &done, &has_done, err));
	TM_TRY(read_record(q, 'w', &q->restore_arena, &ahead, &has_ahead, err));
	q->replay = false;
	q->again = 0;
	if (has_done) {
		TM_TRY(check_fits(q, &done, err));
		TM_TRY(check_state(q, err));
		take_checkpoint(q, &done);
		q->batch_id = done.batch_id + 1;
		q->watermark_ms = done.watermark_ms;
		q->next_watermark_ms = done.next_watermark_ms;
		q->last_now_us = done.now_us;
		for (size_t i = 0; i < q->stream.watermarks.count && i < done.watermark_count; i++)
			q->marks[i] = done.watermarks[i];
		int64_t late, evict;
		assign_watermarks(q->root, done.watermark_ms * 1000, done.watermark_ms * 1000, &late, &evict);
		TM_TRY(restore_state(q, err));
		if (q->sink->klass->load && done.sink.len)
			TM_TRY(q->sink->klass->load(q->sink, done.sink, err));
		q->started = true;
	}
	if (has_ahead && ahead.batch_id == (has_done ? done.batch_id + 1 : 0)) {
		TM_TRY(check_fits(q, &ahead, err));
		q->replay = true;
		q->batch_id = ahead.batch_id;
		q->replay_now_us = ahead.now_us / 1000 * 1000;
		q->again = ahead.now_us % 1000 / TM_BATCH_AGAIN_US + 1;
		if (q->again > TM_BATCH_AGAIN_MAX)
			q->again = TM_BATCH_AGAIN_MAX;
		for (size_t i = 0; i < q->sources.count; i++) {
			q->sources.items[i].to.len = 0;
			tm_buf_str_put(&q->sources.items[i].to, ahead.offsets[i]);
		}
		if (!has_done && q->sink->klass->load && ahead.sink.len)
			TM_TRY(q->sink->klass->load(q->sink, ahead.sink, err));
	}
	return TM_OK;
}

static void drop_tree(struct tm_query *q)
{
	tm_node_free(q->root);
	q->root = NULL;
	for (size_t i = 0; i < q->sources.count; i++) {
		tm_buf_done(&q->sources.items[i].from);
		tm_buf_done(&q->sources.items[i].to);
	}
	q->sources.count = q->nodes.count = q->stream.watermarks.count = 0;
	for (size_t i = 0; i < q->stream.stores.count; i++)
		tm_state_store_done(&q->stream.stores.items[i]);
	q->stream.stores.count = 0;
	q->stream.dead.count = 0;
	if (q->sink) {
		if (q->sink->klass->close)
			q->sink->klass->close(q->sink);
		free(q->sink);
		q->sink = NULL;
	}
	free(q->marks);
	q->marks = NULL;
}

static tm_rc build_tree(struct tm_query *q, struct tm_err *err)
{
	q->batch_id = 0;
	q->watermark_ms = q->next_watermark_ms = 0;
	q->started = q->described = false;
	TM_TRY(tm_node_build(&q->run, q->spec.root, &q->root, err));
	find_parts(q, q->root);
	q->stream.has_watermark = q->stream.watermarks.count > 0;
	q->marks = tm_zalloc(tm_mul_size(q->stream.watermarks.count + 1, sizeof *q->marks));
	int64_t late, evict;
	assign_watermarks(q->root, 0, 0, &late, &evict);
	const struct tm_sink_class *klass = tm_sink_find(q->world, q->spec.sink_format);
	if (!klass)
		return tm_sink_unknown(&q->spec, err);
	q->sink = tm_zalloc(klass->size);
	*q->sink = (struct tm_sink){.klass = klass, .world = q->world, .spec = &q->spec, .run = &q->run, .ordered = true};
	for (size_t i = 0; i < q->nodes.count; i++)
		if (tm_node_stateful(q->nodes.items[i]))
			q->sink->ordered = false;
	if (klass->open)
		TM_TRY(klass->open(q->sink, err));
	return restore(q, err);
}

/* ---- a batch ---- */

/* Ends of the coming batch; *ret_new: some source has something. */
static tm_rc look(struct tm_query *q, bool *ret_new, bool *ret_moved, struct tm_err *err)
{
	*ret_new = *ret_moved = false;
	for (size_t i = 0; i < q->sources.count; i++) {
		struct tm_query_source *s = &q->sources.items[i];
		if (!s->from.len)
			TM_TRY(s->source->klass->initial(s->source, &s->from, err));
		s->to.len = 0;
		bool fresh = false;
		TM_TRY(s->source->klass->latest(s->source, tm_buf_str(&s->from), &s->to, &fresh, err));
		*ret_new |= fresh;
		*ret_moved |= !tm_str_eq(tm_buf_str(&s->from), tm_buf_str(&s->to));
	}
	return TM_OK;
}

static void fill_record(struct tm_query *q, struct tm_arena *arena, bool ends, struct tm_checkpoint *ret)
{
	*ret = (struct tm_checkpoint){.batch_id = q->batch_id,
				      .watermark_ms = q->watermark_ms,
				      .next_watermark_ms = q->next_watermark_ms,
				      .now_us = q->run.session.now_us,
				      .plan_hash = q->spec.plan_hash,
				      .offset_count = q->sources.count,
				      .watermarks = q->marks,
				      .watermark_count = q->stream.watermarks.count};
	ret->offsets = TM_NEW_N(arena, struct tm_str, q->sources.count + 1);
	for (size_t i = 0; i < q->sources.count; i++)
		ret->offsets[i] = tm_buf_str(ends ? &q->sources.items[i].to : &q->sources.items[i].from);
	if (q->sink->klass->save) {
		q->record.len = 0;
		q->sink->klass->save(q->sink, &q->record);
		ret->sink = tm_arena_str(arena, tm_buf_str(&q->record));
	}
}

static void put_record(struct tm_query *q, struct tm_table_batch *batch, char tag, const struct tm_checkpoint *c)
{
	q->record.len = 0;
	tm_checkpoint_encode(c, &q->record);
	tm_table_batch_put_bytes(batch, "stream", record_key(q, tag), tm_buf_str(&q->record));
}

static void put_description(struct tm_query *q)
{
	struct tm_buf text = {0};
	describe_state(q, &text);
	q->record.len = 0;
	tm_state_seal(&q->record, tm_buf_str(&text));
	tm_table_batch_put_bytes(q->commit, "stream", record_key(q, 'd'), tm_buf_str(&q->record));
	tm_buf_done(&text);
	q->described = true;
}

/* Says what the coming batch will be, before it runs. */
static tm_rc announce(struct tm_query *q, struct tm_err *err)
{
	if (!q->world->store || q->sink->klass->transactional || (q->replay && q->sink->klass != &tm_sink_outside))
		return TM_OK;
	struct tm_checkpoint c;
	fill_record(q, &q->stream.arena, true, &c);
	c.now_us += q->again * TM_BATCH_AGAIN_US;
	put_record(q, q->commit, 'w', &c);
	return tm_query_commit(q, err);
}

static tm_rc run_rows(struct tm_query *q, int64_t *ret_written, struct tm_err *err)
{
	*ret_written = 0;
	for (;;) {
		const struct tm_flow *flow;
		TM_TRY(tm_node_next(q->root, &flow, err));
		if (!flow)
			return TM_OK;
		if (!flow->batch.rows)
			continue;
		size_t written = 0;
		TM_TRY(q->sink->klass->write(q->sink, flow, &written, err));
		tm_stream_used(flow);
		*ret_written += (int64_t)written;
	}
}

enum { FEW_OF = 4 }; /* rows read for each that is written, or more: a sink that holds little of a batch */

static tm_rc run_batch(struct tm_query *q, bool data, struct tm_err *err)
{
	q->in_batch = true;
	int64_t started_ns = tm_mono_ns(q->env);
	tm_arena_reset(&q->stream.arena);
	q->stream.dead.count = 0;
	q->stream.no_data = !data;
	q->stream.late_watermark_us = q->watermark_ms * 1000;
	q->watermark_ms = q->next_watermark_ms;
	q->stream.watermark_us = q->watermark_ms * 1000;
	int64_t late, evict, written;
	if (q->spec.single_watermark)
		q->stream.late_watermark_us = q->stream.watermark_us;
	assign_watermarks(q->root, q->stream.late_watermark_us, q->stream.watermark_us, &late, &evict);
	int64_t now_us = tm_now_us(q->env) / 1000 * 1000;
	q->run.session.now_us = q->replay                  ? q->replay_now_us
				: q->last_now_us >= now_us ? q->last_now_us + 1000
							   : now_us; /* no two batches at one time */
	q->last_now_us = q->run.session.now_us;
	q->run.session.batch_id = q->batch_id;
	TM_TRY(announce(q, err));
	TM_TRY(tm_query_fault(q, TM_FAULT_ANNOUNCED, err));
	for (size_t i = 0; i < q->sources.count; i++)
		tm_scan_set_range(q->sources.items[i].node, tm_buf_str(&q->sources.items[i].from), tm_buf_str(&q->sources.items[i].to));
	q->sink->commit = q->commit;
	q->sink->batch_id = q->batch_id;
	q->sink->replay = q->replay;
	q->sink->write_us = q->run.session.now_us + q->again * TM_BATCH_AGAIN_US;
	if (q->sink->klass->begin)
		TM_TRY(q->sink->klass->begin(q->sink, err));
	int64_t read_before = tm_query_rows_read(q);
	TM_TRY(tm_node_begin(q->root, err));
	TM_TRY(run_rows(q, &written, err));
	TM_TRY(tm_query_fault(q, TM_FAULT_RAN, err));
	if (q->sink->klass->finish)
		TM_TRY(q->sink->klass->finish(q->sink, err));
	TM_TRY(tm_query_fault(q, TM_FAULT_FINISHED, err));
	TM_TRY(write_state(q, err));
	move_watermark(q);
	if (q->commit) {
		TM_TRY(tm_dead_write(q, err));
		struct tm_checkpoint c;
		fill_record(q, &q->stream.arena, true, &c);
		put_record(q, q->commit, 'c', &c);
		if (!q->described)
			put_description(q);
		TM_TRY(tm_query_commit(q, err));
	}
	TM_TRY(tm_query_fault(q, TM_FAULT_COMMITTED, err));
	int64_t read = tm_query_rows_read(q) - read_before;
	for (size_t i = 0; i < q->sources.count; i++) {
		struct tm_query_source *s = &q->sources.items[i];
		s->source->few_written = read && written * FEW_OF <= read;
		if (s->source->klass->committed)
			s->source->klass->committed(s->source, tm_buf_str(&s->to));
		struct tm_buf swap = s->from;
		s->from = s->to;
		s->to = swap;
	}
	if (q->sink->klass->committed)
		q->sink->klass->committed(q->sink);
	q->replay = q->in_batch = false;
	q->again = 0;
	q->started = true;
	tm_query_note_batch(q, data, read, written, tm_mono_ns(q->env) - started_ns);
	q->batch_id++;
	return TM_OK;
}

/* A query that starts at "latest" must not lose what comes between its start and its first batch: the start is kept. */
static tm_rc keep_start(struct tm_query *q, struct tm_err *err)
{
	if (q->started || q->replay || !q->commit)
		return TM_OK;
	for (size_t i = 0; i < q->sources.count; i++)
		if (!q->sources.items[i].from.len)
			return TM_OK;
	struct tm_buf b = {0};
	for (size_t i = 0; i < q->sources.count; i++) {
		tm_buf_le32(&b, (uint32_t)q->sources.items[i].from.len);
		tm_buf_str_put(&b, tm_buf_str(&q->sources.items[i].from));
	}
	q->record.len = 0;
	tm_state_seal(&q->record, tm_buf_str(&b));
	tm_buf_done(&b);
	tm_table_batch_put_bytes(q->commit, "stream", record_key(q, 'i'), tm_buf_str(&q->record));
	q->started = true;
	return tm_query_commit(q, err);
}

static tm_rc read_start(struct tm_query *q, struct tm_err *err)
{
	if (q->started || !q->world->store)
		return TM_OK;
	struct tm_buf bytes = {0};
	bool found;
	tm_rc rc = tm_store_get_bytes(q->world->store, "stream", record_key(q, 'i'), &bytes, &found, err);
	struct tm_str payload;
	if (!rc && found && tm_state_unseal(tm_buf_str(&bytes), &payload)) {
		struct tm_cursor c = tm_cursor_of(payload);
		for (size_t i = 0; i < q->sources.count && tm_cursor_ok(&c); i++) {
			struct tm_str s = tm_cursor_take(&c, tm_cursor_le32(&c));
			if (tm_cursor_ok(&c)) {
				q->sources.items[i].from.len = 0;
				tm_buf_str_put(&q->sources.items[i].from, s);
			}
		}
	} else if (!rc && found) {
		rc =
		    tm_fail(err, TM_CORRUPT, "query '%.*s': where it started cannot be read from the checkpoint", TM_STR_ARG(q->spec.name));
	}
	tm_buf_done(&bytes);
	return rc;
}

/* Back to the last commit, as after a crash. */
static tm_rc reload(struct tm_query *q, struct tm_err *err)
{
	q->torn = true;
	q->in_batch = false;
	drop_tree(q);
	if (q->commit) { /* what the batch put there */
		tm_table_batch_free(q->commit);
		q->commit = tm_table_batch_new(q->world->store);
		tm_query_journal_watch(q);
	}
	TM_TRY(build_tree(q, err));
	TM_TRY(read_start(q, err));
	q->torn = false;
	return TM_OK;
}

static tm_rc step(struct tm_query *q, bool *ret_ran, struct tm_err *err)
{
	*ret_ran = false;
	if (q->replay) {
		for (size_t i = 0; i < q->sources.count; i++)
			if (!q->sources.items[i].from.len)
				TM_TRY(
				    q->sources.items[i].source->klass->initial(q->sources.items[i].source, &q->sources.items[i].from, err));
		bool data = false;
		for (size_t i = 0; i < q->sources.count; i++)
			data |= !tm_str_eq(tm_buf_str(&q->sources.items[i].from), tm_buf_str(&q->sources.items[i].to));
		*ret_ran = true;
		return run_batch(q, data, err);
	}
	bool fresh, moved;
	TM_TRY(look(q, &fresh, &moved, err));
	TM_TRY(keep_start(q, err));
	int64_t evict;
	if (!fresh && !q->spec.no_data_batches_off && q->stream.has_watermark && q->batch_id > 0 &&
	    wants_no_data(q->root, q->next_watermark_ms * 1000, &evict)) {
		for (size_t i = 0; i < q->sources.count; i++) { /* without data, nothing moves on */
			q->sources.items[i].to.len = 0;
			tm_buf_str_put(&q->sources.items[i].to, tm_buf_str(&q->sources.items[i].from));
		}
		*ret_ran = true;
		return run_batch(q, false, err);
	}
	if (fresh) {
		*ret_ran = true;
		return run_batch(q, true, err);
	}
	for (size_t i = 0; moved && i < q->sources.count; i++) {
		q->sources.items[i].from.len = 0;
		tm_buf_str_put(&q->sources.items[i].from, tm_buf_str(&q->sources.items[i].to));
	}
	return TM_OK;
}

tm_rc tm_query_step(struct tm_query *q, bool *ret_ran, struct tm_err *err)
{
	struct tm_err local = {0};
	if (!err)
		err = &local;
	*ret_ran = false;
	if (q->failed.rc) {
		*err = q->failed;
		return q->failed.rc;
	}
	tm_rc rc = q->torn ? reload(q, err) : TM_OK;
	if (!rc)
		rc = step(q, ret_ran, err);
	if (rc == TM_CANCELLED && tm_query_stopping(q))
		return rc;                                /* the batch at work is left as a crash would leave it */
	if (rc == TM_DISK_FULL || rc == TM_UNAVAILABLE) { /* nothing of the batch is committed; it runs again when that is over */
		struct tm_err why = *err;
		tm_rc wanted = rc;
		*ret_ran = false;
		rc = q->in_batch ? reload(q, err) : TM_OK;
		if (!rc || rc == TM_UNAVAILABLE) {
			*err = why;
			return wanted;
		}
	}
	if (rc) {
		q->failed = *err;
		q->failed.rc = rc;
		tm_query_note_failure(q);
	}
	return rc;
}

tm_rc tm_query_check_sink(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_err *err)
{
	const struct tm_sink_class *sink = tm_sink_find(world, spec->sink_format);
	if (!sink)
		return tm_sink_unknown(spec, err);
	return sink->check ? sink->check(world, spec, err) : TM_OK;
}

tm_rc tm_query_open(const struct tm_stream_world *world, const struct tm_query_spec *spec, struct tm_query **ret, struct tm_err *err)
{
	TM_TRY(tm_query_check(spec, err));
	TM_TRY(tm_query_check_sink(world, spec, err));
	struct tm_query *q = tm_zalloc(sizeof *q);
	q->world = world;
	q->env = world->env ? world->env : tm_env_real();
	q->spec = *spec;
	q->stream.query = q;
	q->stream.mode = spec->mode;
	q->run = (struct tm_run){.world = world, .session = spec->session, .stream = &q->stream};
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	tm_arena_init(&q->stream.arena);
	tm_arena_init(&q->restore_arena);
	tm_buf_str_put(&q->stream.key, spec->name);
	tm_buf_char(&q->stream.key, 0);
	q->stream.prefix_len = q->stream.key.len;
	if (world->store)
		q->commit = tm_table_batch_new(world->store);
	tm_arena_init(&q->journal.arena);
	tm_query_journal_watch(q);
	tm_rc rc = build_tree(q, err);
	if (!rc)
		rc = read_start(q, err);
	if (!rc)
		rc = tm_dead_open(q, err);
	for (size_t i = 0; !rc && spec->trigger == TM_TRIGGER_AVAILABLE_NOW && i < q->sources.count; i++)
		if (q->sources.items[i].source->klass->pin)
			rc = q->sources.items[i].source->klass->pin(q->sources.items[i].source, err);
	if (rc) {
		tm_query_free(q);
		return rc;
	}
	tm_query_note_batch(q, true, 0, 0, -1);
	*ret = q;
	return TM_OK;
}

void tm_query_free(struct tm_query *q)
{
	if (!q)
		return;
	tm_query_stop(q);
	drop_tree(q);
	tm_dead_close(q);
	free(q->sources.items);
	free(q->nodes.items);
	free(q->stream.watermarks.items);
	free(q->stream.dead.items);
	free(q->stream.reasons.items);
	tm_buf_done(&q->stream.key);
	free(q->stream.stores.items);
	tm_buf_done(&q->record);
	free(q->journal.entries.items);
	tm_arena_done(&q->journal.arena);
	if (q->commit)
		tm_table_batch_free(q->commit);
	tm_arena_done(&q->stream.arena);
	tm_arena_done(&q->restore_arena);
	tm_query_shared_done(q);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	free(q);
}
