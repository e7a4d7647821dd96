/* Joins of what is finite: the right side is collected and hashed, the left side streams past it. Without equalities every
 * right row is a candidate (nested loop). A stream joined with a static side runs here too: the static side is read anew by
 * every micro-batch. Rows of the left side keep the way back to their records. */
#include "stream/exec.h"
#include "stream/state.h"

enum { PAIRS = TM_LIMIT_BATCH_ROWS, NO_ROW = UINT32_MAX };

struct join {
	struct tm_node node;
	bool built, right_has_null_key;
	struct tm_batch right;
	struct tm_column *right_keys;
	uint64_t *right_hash;
	uint32_t *heads, *next_same; /* chains of right rows (row + 1), oldest first */
	size_t head_mask;
	uint8_t *right_matched; /* RIGHT and FULL */
	/* the left batch at hand */
	const struct tm_flow *left;
	struct tm_arena left_arena;
	struct tm_column *left_keys;
	struct tm_batch domain; /* of left_keys, what a subquery on the right depends on */
	uint64_t *left_hash;
	uint8_t *left_matched;
	size_t left_at;
	uint32_t chain; /* next candidate (row + 1) of left_at; 0 with chain_started = its chain is used up */
	bool chain_started, left_ended;
	size_t right_at; /* RIGHT and FULL: next right row to look at for the end */
};

static tm_rc join_open(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct join *me = (struct join *)node;
	tm_arena_init(&me->left_arena);
	if (node->op->join.domain)
		tm_domain_bind(node->inputs[1], node->op->join.domain, &me->domain);
	return TM_OK;
}

static void join_close(struct tm_node *node) { tm_arena_done(&((struct join *)node)->left_arena); }

static tm_rc join_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct join *me = (struct join *)node;
	me->built = me->left_ended = false;
	me->left = NULL;
	me->right_at = 0;
	return TM_OK;
}

/* Is there a DOMAIN at or below it? */
static bool depends(const struct tm_op *op)
{
	bool r = op->kind == TM_OP_DOMAIN;
	for (size_t i = 0; !r && i < op->input_count; i++)
		r = depends(op->inputs[i]);
	return r;
}

bool tm_join_rewind(struct tm_node *node)
{
	struct join *me = (struct join *)node;
	if (!me->built || node->op->join.domain || depends(node->op->inputs[1]))
		return false;
	me->left_ended = false;
	me->left = NULL;
	me->right_at = 0;
	memset(me->right_matched, 0, me->right.rows);
	node->out = (struct tm_flow){0};
	return true;
}

/* A key that is null (and not compared null-safe) matches nothing. */
static bool null_key(const struct tm_node *node, const struct tm_column *keys, size_t row)
{
	for (size_t k = 0; k < node->op->join.key_count; k++)
		if (!(node->op->join.null_safe && node->op->join.null_safe[k]) && tm_is_null(&keys[k], row))
			return true;
	return false;
}

static tm_rc build(struct join *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->run_arena;
	size_t keys = node->op->join.key_count;
	TM_TRY(tm_node_collect(node->inputs[1], arena, &node->op->inputs[1]->schema, &me->right, err));
	size_t n = me->right.rows;
	node->rows_in += (int64_t)n;
	TM_TRY(tm_node_columns(node, arena, &me->right, node->op->join.right_keys, keys, &me->right_keys, err));
	me->right_matched = TM_NEW_N(arena, uint8_t, n + 1);
	me->next_same = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *me->next_same));
	me->right_hash = tm_arena_alloc(arena, tm_mul_size(n + 1, sizeof *me->right_hash));
	size_t heads = 16;
	while (keys && heads < n * 2)
		heads *= 2;
	me->heads = TM_NEW_N(arena, uint32_t, heads);
	me->head_mask = heads - 1;
	me->right_has_null_key = false;
	if (keys)
		tm_rows_hash(me->right_keys, keys, n, me->right_hash);
	else
		memset(me->right_hash, 0, n * sizeof *me->right_hash);
	for (size_t i = n; i-- > 0;) {
		if (null_key(node, me->right_keys, i)) {
			me->right_has_null_key = true;
			continue;
		}
		size_t at = keys ? tm_hash_u64(me->right_hash[i]) & me->head_mask : 0;
		me->next_same[i] = me->heads[at];
		me->heads[at] = (uint32_t)i + 1;
	}
	me->built = true;
	return TM_OK;
}

/* The next right row whose keys equal those of left row `row`, or NO_ROW. */
static uint32_t next_candidate(struct join *me, size_t row)
{
	size_t keys = me->node.op->join.key_count;
	if (!me->chain_started) {
		me->chain_started = true;
		me->chain =
		    null_key(&me->node, me->left_keys, row) ? 0 : me->heads[keys ? tm_hash_u64(me->left_hash[row]) & me->head_mask : 0];
	}
	while (me->chain) {
		uint32_t right = me->chain - 1;
		me->chain = me->next_same[right];
		if (keys && me->right_hash[right] != me->left_hash[row])
			continue;
		bool same = true;
		for (size_t k = 0; k < keys && same; k++)
			same = tm_value_eq(&me->left_keys[k], row, &me->right_keys[k], right);
		if (same)
			return right;
	}
	return NO_ROW;
}

/* Output columns for pairs; right NO_ROW or left NO_ROW gives nulls. */
static void pair_columns(struct join *me, struct tm_arena *arena, const uint32_t *left, const uint32_t *right, size_t n, bool left_only,
			 struct tm_batch *ret)
{
	const struct tm_schema *l = &me->node.op->inputs[0]->schema, *r = &me->node.op->inputs[1]->schema;
	size_t count = l->count + (left_only ? 0 : r->count);
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, count + 1);
	for (size_t i = 0; i < l->count; i++)
		if (left && me->left)
			tm_column_take(&columns[i], arena, &me->left->batch.columns[i], left, n);
		else
			tm_column_init_null(&columns[i], arena, l->fields[i].type, n);
	for (size_t i = 0; i < r->count && !left_only; i++)
		if (right)
			tm_column_take(&columns[l->count + i], arena, &me->right.columns[i], right, n);
		else
			tm_column_init_null(&columns[l->count + i], arena, r->fields[i].type, n);
	*ret = (struct tm_batch){.rows = n, .column_count = count, .columns = columns};
}

static void give(struct join *me, const uint32_t *left, const uint32_t *right, size_t n, bool left_only)
{
	struct tm_node *node = &me->node;
	node->out = (struct tm_flow){0};
	pair_columns(me, &node->arena, left, right, n, left_only, &node->out.batch);
	if (!left || !me->left->origin)
		return;
	node->out.origin = me->left->origin;
	uint32_t *rows = tm_arena_alloc(&node->arena, tm_mul_size(n + 1, sizeof *rows));
	for (size_t i = 0; i < n; i++)
		rows[i] = tm_flow_record(me->left, left[i]);
	node->out.origin_row = rows;
}

/* Candidates of the left batch, up to PAIRS; those that pass the residual stay. */
static tm_rc match_pairs(struct join *me, uint32_t **ret_left, uint32_t **ret_right, size_t *ret_n, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arena = &node->arena;
	uint32_t *left = tm_arena_alloc(arena, PAIRS * sizeof *left), *right = tm_arena_alloc(arena, PAIRS * sizeof *right);
	bool first_only = (node->op->join.kind == TM_JOIN_SEMI || node->op->join.kind == TM_JOIN_ANTI) && !node->op->join.residual;
	size_t n = 0;
	while (me->left_at < me->left->batch.rows && n < PAIRS) {
		uint32_t r = next_candidate(me, me->left_at);
		if (r != NO_ROW) {
			left[n] = (uint32_t)me->left_at;
			right[n++] = r;
		}
		if (r == NO_ROW || first_only) {
			me->left_at++;
			me->chain_started = false;
		}
	}
	if (node->op->join.residual && n) {
		struct tm_batch pairs;
		pair_columns(me, arena, left, right, n, false, &pairs);
		struct tm_eval ev = tm_node_eval(node, arena, &pairs, err);
		uint32_t *keep;
		size_t kept;
		TM_TRY(tm_expr_filter(&ev, node->op->join.residual, &keep, &kept));
		for (size_t i = 0; i < kept; i++) {
			left[i] = left[keep[i]];
			right[i] = right[keep[i]];
		}
		n = kept;
	}
	for (size_t i = 0; i < n; i++) {
		me->left_matched[left[i]] = 1;
		me->right_matched[right[i]] = 1;
	}
	*ret_left = left;
	*ret_right = right;
	*ret_n = n;
	return TM_OK;
}

/* Left rows at the end of their batch: the unmatched of LEFT, FULL and ANTI, the matched of SEMI. */
static bool left_rest(struct join *me)
{
	struct tm_node *node = &me->node;
	enum tm_join_kind kind = node->op->join.kind;
	if (kind != TM_JOIN_LEFT && kind != TM_JOIN_FULL && kind != TM_JOIN_SEMI && kind != TM_JOIN_ANTI)
		return false;
	bool anti_null = kind == TM_JOIN_ANTI && node->op->join.null_aware_anti;
	if (anti_null && me->right_has_null_key)
		return false;
	size_t rows = me->left->batch.rows, n = 0;
	uint32_t *list = tm_arena_alloc(&node->arena, tm_mul_size(rows + 1, sizeof *list));
	for (uint32_t i = 0; i < rows; i++) {
		if (me->left_matched[i] != (kind == TM_JOIN_SEMI))
			continue;
		if (anti_null && me->right.rows && null_key(node, me->left_keys, i))
			continue;
		list[n++] = i;
	}
	if (n)
		give(me, list, NULL, n, kind == TM_JOIN_SEMI || kind == TM_JOIN_ANTI);
	return n > 0;
}

/* The subquery on the right, for the values of this left batch. */
static tm_rc build_dependent(struct join *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	size_t from = node->op->join.domain_from;
	me->domain =
	    (struct tm_batch){.rows = me->left->batch.rows, .column_count = node->op->join.domain_count, .columns = me->left_keys + from};
	TM_TRY(tm_node_again(node->inputs[1], err));
	tm_arena_reset(&node->run_arena);
	return build(me, err);
}

static tm_rc next_left(struct join *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	TM_TRY(tm_node_pull(node, 0, &me->left, err));
	if (!me->left) {
		me->left_ended = true;
		return TM_OK;
	}
	tm_arena_reset(&me->left_arena);
	size_t keys = node->op->join.key_count, n = me->left->batch.rows;
	TM_TRY(tm_node_columns(node, &me->left_arena, &me->left->batch, node->op->join.left_keys, keys, &me->left_keys, err));
	me->left_hash = TM_NEW_N(&me->left_arena, uint64_t, n + 1);
	if (keys)
		tm_rows_hash(me->left_keys, keys, n, me->left_hash);
	me->left_matched = TM_NEW_N(&me->left_arena, uint8_t, n + 1);
	me->left_at = 0;
	me->chain_started = false;
	return node->op->join.domain ? build_dependent(me, err) : TM_OK;
}

/* RIGHT and FULL, after the last left batch: right rows that nothing matched. */
static bool right_rest(struct join *me)
{
	enum tm_join_kind kind = me->node.op->join.kind;
	if (kind != TM_JOIN_RIGHT && kind != TM_JOIN_FULL)
		return false;
	uint32_t *list = tm_arena_alloc(&me->node.arena, PAIRS * sizeof *list);
	size_t n = 0;
	for (; me->right_at < me->right.rows && n < PAIRS; me->right_at++)
		if (!me->right_matched[me->right_at])
			list[n++] = (uint32_t)me->right_at;
	if (n)
		give(me, NULL, list, n, false);
	return n > 0;
}

static tm_rc join_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct join *me = (struct join *)node;
	enum tm_join_kind kind = node->op->join.kind;
	if (!me->built && !node->op->join.domain)
		TM_TRY(build(me, err));
	for (;;) {
		tm_arena_reset(&node->arena);
		*ret = &node->out;
		if (!me->left && !me->left_ended)
			TM_TRY(next_left(me, err));
		if (me->left_ended) {
			if (!right_rest(me))
				*ret = NULL;
			return TM_OK;
		}
		if (me->left_at < me->left->batch.rows) {
			uint32_t *left, *right;
			size_t n;
			TM_TRY(match_pairs(me, &left, &right, &n, err));
			if (!n || kind == TM_JOIN_SEMI || kind == TM_JOIN_ANTI)
				continue;
			give(me, left, right, n, false);
			return TM_OK;
		}
		bool some = left_rest(me);
		me->left = NULL; /* what was given points into its batch, which lives until the input is pulled again */
		if (some)
			return TM_OK;
	}
}
const struct tm_node_class tm_join_class = {
    .label = "Join", .size = sizeof(struct join), .open = join_open, .begin = join_begin, .next = join_next, .close = join_close};
