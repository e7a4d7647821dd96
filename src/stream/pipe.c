/* Operators that pass rows through, a batch at a time: values, range, filter, project, expand, generate, limit, union, sample. */
#include "stream/exec.h"
#include "stream/state.h"
#include <stdlib.h>

/* ---- values and range ---- */

struct counting {
	struct tm_node node;
	size_t at;
	int64_t value;
	bool done;
};

static tm_rc counting_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct counting *me = (struct counting *)node;
	me->at = 0;
	me->done = false;
	me->value = node->op->kind == TM_OP_RANGE ? node->op->range.start : 0;
	return TM_OK;
}

static tm_rc values_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	(void)err;
	struct counting *me = (struct counting *)node;
	const struct tm_batch *all = &node->op->values;
	tm_arena_reset(&node->arena);
	*ret = NULL;
	if (me->at >= all->rows)
		return TM_OK;
	size_t n = all->rows - me->at < TM_LIMIT_BATCH_ROWS ? all->rows - me->at : TM_LIMIT_BATCH_ROWS;
	node->out = (struct tm_flow){0};
	tm_batch_slice(&node->out.batch, &node->arena, all, me->at, n);
	me->at += n;
	*ret = &node->out;
	return TM_OK;
}

static tm_rc range_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	(void)err;
	struct counting *me = (struct counting *)node;
	int64_t end = node->op->range.end, step = node->op->range.step;
	tm_arena_reset(&node->arena);
	*ret = NULL;
	struct tm_column *column = TM_NEW(&node->arena, struct tm_column);
	tm_column_init(column, &node->arena, &tm_type_bigint, TM_LIMIT_BATCH_ROWS);
	size_t n = 0;
	while (!me->done && n < TM_LIMIT_BATCH_ROWS && (step > 0 ? me->value < end : me->value > end)) {
		column->i64[n++] = me->value;
		me->done = __builtin_add_overflow(me->value, step, &me->value);
	}
	if (!n)
		return TM_OK;
	column->rows = n;
	node->out = (struct tm_flow){.batch = {.rows = n, .column_count = 1, .columns = column}};
	*ret = &node->out;
	return TM_OK;
}
const struct tm_node_class tm_values_class = {
    .label = "Values", .size = sizeof(struct counting), .begin = counting_begin, .next = values_next};
const struct tm_node_class tm_range_class = {
    .label = "Range", .size = sizeof(struct counting), .begin = counting_begin, .next = range_next};

/* ---- pulling from the only input ---- */

static tm_rc pull(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	tm_arena_reset(&node->arena);
	return tm_node_pull(node, 0, ret, err);
}

/* Rows index[0..n) of in become node->out, with the way back to their records. */
static void take_rows(struct tm_node *node, const struct tm_flow *in, const uint32_t *index, size_t n)
{
	node->out = (struct tm_flow){.origin = in->origin};
	tm_batch_take(&node->out.batch, &node->arena, &in->batch, index, n);
	if (!in->origin)
		return;
	if (!in->origin_row) {
		node->out.origin_row = index;
		return;
	}
	uint32_t *rows = tm_arena_alloc(&node->arena, tm_mul_size(n + 1, sizeof *rows));
	for (size_t i = 0; i < n; i++)
		rows[i] = in->origin_row[index[i]];
	node->out.origin_row = rows;
}

/* Marks the records that a parse could not use. */
static void mark_corrupt(const struct tm_flow *in, const uint8_t *corrupt)
{
	for (size_t i = 0; i < in->batch.rows; i++)
		if (corrupt[i]) {
			in->origin->marks[tm_flow_record(in, i)] |= TM_MARK_CORRUPT;
			in->origin->any_corrupt = true;
		}
}

/* A record that FAILFAST parsing refuses is kept as a dead letter where its bytes are known; the rest of the batch goes on. */
static bool is_malformed(const struct tm_err *err) { return err && strncmp(err->klass, "MALFORMED_RECORD_IN_PARSING", 27) == 0; }

static tm_rc eval_row(struct tm_node *node, const struct tm_flow *in, uint32_t row, struct tm_err *err)
{
	struct tm_batch one;
	tm_batch_take(&one, &node->arena, &in->batch, &row, 1);
	struct tm_eval ev = tm_node_eval(node, &node->arena, &one, err);
	struct tm_column ignored;
	if (node->op->kind == TM_OP_FILTER)
		return tm_expr_eval(&ev, node->op->filter.condition, &ignored);
	for (size_t i = 0; i < node->op->schema.count; i++)
		TM_TRY(tm_expr_eval(&ev, node->op->project.exprs[i], &ignored));
	return TM_OK;
}

static tm_rc without_malformed(struct tm_node *node, const struct tm_flow *in, struct tm_flow *ret, struct tm_err *err)
{
	uint32_t *keep = tm_arena_alloc(&node->arena, tm_mul_size(in->batch.rows + 1, sizeof *keep));
	size_t n = 0;
	for (uint32_t i = 0; i < in->batch.rows; i++) {
		struct tm_err e = {0};
		tm_rc rc = eval_row(node, in, i, &e);
		if (!rc) {
			keep[n++] = i;
			continue;
		}
		if (!is_malformed(&e)) {
			if (err)
				*err = e;
			return rc;
		}
		tm_stream_dead(node->run, in, i, "malformed_record", e.what);
	}
	take_rows(node, in, keep, n);
	*ret = node->out;
	return TM_OK;
}

/* ---- filter ---- */

static tm_rc filter_rows(struct tm_node *node, const struct tm_flow *in, uint32_t **rows, size_t *n, struct tm_err *err)
{
	struct tm_eval ev = tm_node_eval(node, &node->arena, &in->batch, err);
	if (in->origin && in->origin->marks)
		ev.corrupt = TM_NEW_N(&node->arena, uint8_t, in->batch.rows + 1);
	TM_TRY(tm_expr_filter(&ev, node->op->filter.condition, rows, n));
	if (ev.corrupt)
		mark_corrupt(in, ev.corrupt);
	return TM_OK;
}

static tm_rc filter_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	for (;;) {
		const struct tm_flow *in;
		TM_TRY(pull(node, &in, err));
		*ret = in;
		if (!in)
			return TM_OK;
		uint32_t *rows;
		size_t n;
		struct tm_flow rest;
		tm_rc rc = filter_rows(node, in, &rows, &n, err);
		if (rc && is_malformed(err) && in->origin && in->origin->values && node->run->stream) {
			TM_TRY(without_malformed(node, in, &rest, err));
			in = &rest;
			rc = filter_rows(node, in, &rows, &n, err);
		}
		TM_TRY(rc);
		if (!n)
			continue;
		if (n == in->batch.rows) {
			node->out = *in;
			*ret = &node->out;
			return TM_OK;
		}
		take_rows(node, in, rows, n);
		*ret = &node->out;
		return TM_OK;
	}
}
const struct tm_node_class tm_filter_class = {.label = "Filter", .size = sizeof(struct tm_node), .next = filter_next};

/* ---- project ---- */

static tm_rc project_batch(struct tm_node *node, const struct tm_flow *in, struct tm_expr *const *exprs, struct tm_err *err)
{
	size_t count = node->op->schema.count;
	struct tm_column *columns = TM_NEW_N(&node->arena, struct tm_column, count + 1);
	struct tm_eval ev = tm_node_eval(node, &node->arena, &in->batch, err);
	if (in->origin && in->origin->marks)
		ev.corrupt = TM_NEW_N(&node->arena, uint8_t, in->batch.rows + 1);
	for (size_t i = 0; i < count; i++) {
		TM_TRY(tm_expr_eval(&ev, exprs[i], &columns[i]));
		if (columns[i].constant)
			columns[i].rows = in->batch.rows;
	}
	if (ev.corrupt)
		mark_corrupt(in, ev.corrupt);
	node->out = (struct tm_flow){.batch = {.rows = in->batch.rows, .column_count = count, .columns = columns},
				     .origin = in->origin,
				     .origin_row = in->origin_row};
	return TM_OK;
}

static tm_rc project_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	const struct tm_flow *in;
	TM_TRY(pull(node, &in, err));
	*ret = in;
	if (!in)
		return TM_OK;
	tm_rc rc = project_batch(node, in, node->op->project.exprs, err);
	struct tm_flow rest;
	if (rc && is_malformed(err) && in->origin && in->origin->values && node->run->stream) {
		TM_TRY(without_malformed(node, in, &rest, err));
		rc = project_batch(node, &rest, node->op->project.exprs, err);
	}
	*ret = &node->out;
	return rc;
}
const struct tm_node_class tm_project_class = {.label = "Project", .size = sizeof(struct tm_node), .next = project_next};

/* ---- expand ---- each input batch is given once per projection */

struct expand {
	struct tm_node node;
	const struct tm_flow *in;
	struct tm_flow kept;
	size_t projection;
};

static tm_rc expand_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct expand *)node)->in = NULL;
	return TM_OK;
}

static tm_rc expand_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct expand *me = (struct expand *)node;
	const struct tm_op *op = node->op;
	for (;;) {
		tm_arena_reset(&node->arena);
		if (!me->in || me->projection == op->expand_guarded.count) {
			TM_TRY(tm_node_pull(node, 0, &me->in, err));
			if (!me->in) {
				*ret = NULL;
				return TM_OK;
			}
			me->projection = 0;
		}
		size_t p = me->projection++;
		const struct tm_flow *in = me->in;
		if (op->expand_guarded.guards && op->expand_guarded.guards[p]) {
			struct tm_eval ev = tm_node_eval(node, &node->arena, &in->batch, err);
			uint32_t *rows;
			size_t n;
			TM_TRY(tm_expr_filter(&ev, op->expand_guarded.guards[p], &rows, &n));
			if (!n)
				continue;
			if (n < in->batch.rows) {
				take_rows(node, in, rows, n);
				me->kept = node->out;
				in = &me->kept;
			}
		}
		TM_TRY(project_batch(node, in, op->expand_guarded.projections[p], err));
		*ret = &node->out;
		return TM_OK;
	}
}
const struct tm_node_class tm_expand_class = {.label = "Expand", .size = sizeof(struct expand), .begin = expand_begin, .next = expand_next};

/* ---- generate ---- a batch at a time, however long the lists are */

struct generate {
	struct tm_node node;
	const struct tm_flow *in; /* what is unfolded; NULL = the next one */
	struct tm_arena in_arena; /* of list */
	struct tm_column *list;
	size_t row; /* of in, and its element: where the next output row comes from */
	uint32_t element;
};

/* Per output row: its input row, its element (UINT32_MAX = none) and its position. */
struct unfold {
	uint32_t *row, *element;
	int32_t *position;
	size_t count;
};

static void unfold_some(struct generate *me, struct unfold *ret)
{
	struct tm_arena *arena = &me->node.arena;
	bool outer = me->node.op->generate.outer;
	ret->row = TM_NEW_N(arena, uint32_t, TM_LIMIT_BATCH_ROWS);
	ret->element = TM_NEW_N(arena, uint32_t, TM_LIMIT_BATCH_ROWS);
	ret->position = TM_NEW_N(arena, int32_t, TM_LIMIT_BATCH_ROWS);
	size_t at = 0;
	while (at < TM_LIMIT_BATCH_ROWS && me->row < me->in->batch.rows) {
		struct tm_span s = tm_is_null(me->list, me->row) ? (struct tm_span){0, 0} : me->list->span[tm_row(me->list, me->row)];
		if (!s.count && outer) {
			ret->row[at] = (uint32_t)me->row;
			ret->position[at] = -1;
			ret->element[at++] = UINT32_MAX;
		}
		for (; me->element < s.count && at < TM_LIMIT_BATCH_ROWS; at++, me->element++) {
			ret->row[at] = (uint32_t)me->row;
			ret->position[at] = (int32_t)me->element;
			ret->element[at] = s.from + me->element;
		}
		if (me->element == s.count) {
			me->row++;
			me->element = 0;
		}
	}
	ret->count = at;
}

static void position_column(struct tm_node *node, const struct unfold *u, struct tm_column *ret)
{
	tm_column_init(ret, &node->arena, &tm_type_int, u->count);
	memcpy(ret->i32, u->position, u->count * sizeof(int32_t));
	for (size_t i = 0; i < u->count; i++)
		if (u->position[i] < 0) {
			tm_column_need_valid(ret, &node->arena)[i] = 0;
			ret->i32[i] = 0;
		}
}

/* Fields of the struct elements; a null element (or none) gives null fields. */
static void struct_columns(struct tm_node *node, const struct tm_column *elements, struct tm_column *ret)
{
	for (size_t f = 0; f < elements->type->child_count; f++) {
		ret[f] = elements->children[f];
		if (!elements->valid)
			continue;
		uint8_t *valid = tm_arena_alloc(&node->arena, elements->rows + 1);
		for (size_t i = 0; i < elements->rows; i++)
			valid[i] = elements->valid[i] && !tm_is_null(&elements->children[f], i);
		ret[f].valid = valid;
	}
}

static void generate_some(struct generate *me)
{
	struct tm_node *node = &me->node;
	const struct tm_op *op = node->op;
	struct unfold u;
	unfold_some(me, &u);
	take_rows(node, me->in, u.row, u.count);
	struct tm_column *columns = TM_NEW_N(&node->arena, struct tm_column, op->schema.count + 1);
	size_t at = me->in->batch.column_count;
	memcpy(columns, node->out.batch.columns, at * sizeof *columns);
	if (op->generate.position)
		position_column(node, &u, &columns[at++]);
	size_t children = me->list->type->kind == TM_T_MAP ? 2 : 1;
	for (size_t k = 0; k < children; k++) {
		struct tm_column taken;
		tm_column_take(&taken, &node->arena, &me->list->children[k], u.element, u.count);
		if (op->generate.inline_struct) {
			struct_columns(node, &taken, &columns[at]);
			at += taken.type->child_count;
		} else {
			columns[at++] = taken;
		}
	}
	TM_ASSERT(at == op->schema.count);
	node->out.batch = (struct tm_batch){.rows = u.count, .column_count = at, .columns = columns};
}

static tm_rc generate_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct generate *me = (struct generate *)node;
	tm_arena_init(&me->in_arena);
	me->in_arena.limit_bytes = node->arena.limit_bytes;
	return TM_OK;
}

static tm_rc generate_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct generate *)node)->in = NULL;
	return TM_OK;
}

static tm_rc generate_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct generate *me = (struct generate *)node;
	struct tm_expr *const *list = (struct tm_expr *const *)&node->op->generate.list;
	for (;;) {
		tm_arena_reset(&node->arena);
		if (!me->in || me->row == me->in->batch.rows) {
			TM_TRY(tm_node_pull(node, 0, &me->in, err));
			*ret = me->in;
			if (!me->in)
				return TM_OK;
			tm_arena_reset(&me->in_arena);
			TM_TRY(tm_node_columns(node, &me->in_arena, &me->in->batch, list, 1, &me->list, err));
			me->row = me->element = 0;
		}
		generate_some(me);
		if (!node->out.batch.rows)
			continue;
		*ret = &node->out;
		return TM_OK;
	}
}

static void generate_close(struct tm_node *node) { tm_arena_done(&((struct generate *)node)->in_arena); }
const struct tm_node_class tm_generate_class = {.label = "Generate",
						.size = sizeof(struct generate),
						.open = generate_open,
						.begin = generate_begin,
						.next = generate_next,
						.close = generate_close};

/* ---- limit ---- in a stream the rows given in earlier batches count too */

struct limit {
	struct tm_node node;
	int64_t skipped, given;
	bool changed;
};

static tm_rc limit_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct limit *me = (struct limit *)node;
	if (tm_node_stateful(node) && node->run->stream->mode != TM_MODE_COMPLETE)
		return TM_OK;
	me->skipped = 0;
	me->given = 0;
	return TM_OK;
}

static tm_rc limit_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct limit *me = (struct limit *)node;
	int64_t count = node->op->limit.count, offset = node->op->limit.offset;
	for (;;) {
		*ret = NULL;
		if (count >= 0 && me->given >= count && !tm_node_stateful(node))
			return TM_OK;
		const struct tm_flow *in;
		TM_TRY(pull(node, &in, err)); /* a stream is read on to the batch's end: its offsets and watermark move */
		if (!in)
			return TM_OK;
		int64_t from = 0, n = (int64_t)in->batch.rows;
		if (me->skipped < offset) {
			from = offset - me->skipped < n ? offset - me->skipped : n;
			me->skipped += from;
			me->changed = true;
		}
		n -= from;
		if (count >= 0 && n > count - me->given)
			n = count - me->given;
		if (n <= 0)
			continue;
		me->given += n;
		me->changed = true;
		tm_stream_used(in);
		node->out = (struct tm_flow){0};
		tm_batch_slice(&node->out.batch, &node->arena, &in->batch, (size_t)from, (size_t)n);
		*ret = &node->out;
		return TM_OK;
	}
}

static void limit_commit(struct tm_node *node)
{
	struct limit *me = (struct limit *)node;
	if (!me->changed)
		return;
	me->changed = false;
	struct tm_buf value = {0};
	tm_buf_le64(&value, (uint64_t)me->skipped);
	tm_buf_le64(&value, (uint64_t)me->given);
	tm_state_put(node, TM_STR("limit"), tm_buf_str(&value));
	tm_buf_done(&value);
}

static tm_rc limit_restore(struct tm_node *node, struct tm_str key, struct tm_str value, struct tm_err *err)
{
	struct limit *me = (struct limit *)node;
	struct tm_cursor c = tm_cursor_of(value);
	me->skipped = (int64_t)tm_cursor_le64(&c);
	me->given = (int64_t)tm_cursor_le64(&c);
	if (!tm_str_is(key, "limit") || !tm_cursor_ok(&c) || tm_cursor_left(&c) || me->given < 0 || me->skipped < 0)
		return tm_fail(err, TM_CORRUPT, "the count of a LIMIT in the checkpoint cannot be read");
	return TM_OK;
}

static bool limit_wants(struct tm_node *node, int64_t evict_us)
{
	(void)node;
	(void)evict_us;
	return false;
}

static const struct tm_state_class limit_state = {.commit = limit_commit, .restore = limit_restore, .wants_no_data = limit_wants};
const struct tm_node_class tm_limit_class = {
    .label = "Limit", .size = sizeof(struct limit), .begin = limit_begin, .next = limit_next, .state = &limit_state};

/* ---- union ---- */

struct unions {
	struct tm_node node;
	size_t at;
};

static tm_rc union_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct unions *)node)->at = 0;
	return TM_OK;
}

static tm_rc union_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct unions *me = (struct unions *)node;
	for (; me->at < node->input_count; me->at++) {
		TM_TRY(tm_node_pull(node, me->at, ret, err));
		if (*ret)
			return TM_OK;
	}
	*ret = NULL;
	return TM_OK;
}
const struct tm_node_class tm_union_class = {.label = "Union", .size = sizeof(struct unions), .begin = union_begin, .next = union_next};

/* ---- sample ---- */

struct sample {
	struct tm_node node;
	uint64_t state;
};

static tm_rc sample_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	((struct sample *)node)->state = tm_hash_u64((uint64_t)node->op->sample.seed + 0x9E3779B97F4A7C15u);
	return TM_OK;
}

static tm_rc sample_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct sample *me = (struct sample *)node;
	for (;;) {
		const struct tm_flow *in;
		TM_TRY(pull(node, &in, err));
		*ret = NULL;
		if (!in)
			return TM_OK;
		uint32_t *rows = tm_arena_alloc(&node->arena, tm_mul_size(in->batch.rows + 1, sizeof *rows));
		size_t n = 0;
		for (uint32_t i = 0; i < in->batch.rows; i++) {
			me->state += 0x9E3779B97F4A7C15u;
			if ((double)(tm_hash_u64(me->state) >> 11) * 0x1p-53 < node->op->sample.fraction)
				rows[n++] = i;
		}
		if (!n)
			continue;
		take_rows(node, in, rows, n);
		*ret = &node->out;
		return TM_OK;
	}
}
const struct tm_node_class tm_sample_class = {.label = "Sample", .size = sizeof(struct sample), .begin = sample_begin, .next = sample_next};
