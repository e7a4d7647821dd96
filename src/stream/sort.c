/* Sorting: a merge sort of row numbers with the first key as an ordered 64-bit prefix, so that most comparisons touch no column;
 * the SORT operator, which keeps only what a LIMIT above it can ask for. */
#include "stream/order.h"
#include "stream/state.h"

struct entry {
	uint64_t prefix;
	uint32_t row;
};
struct ordering {
	const struct tm_sort_key *keys;
	const struct tm_column *columns;
	size_t key_count;
	bool prefix_whole;
};

static int cmp_one(const struct tm_sort_key *key, const struct tm_column *c, uint32_t a, uint32_t b)
{
	bool na = tm_is_null(c, a), nb = tm_is_null(c, b);
	if (na || nb)
		return na && nb ? 0 : na == key->nulls_last ? 1 : -1;
	int r = tm_value_cmp(c, a, c, b);
	return key->descending ? -r : r;
}

int tm_order_cmp(const struct tm_sort_key *keys, const struct tm_column *columns, size_t key_count, uint32_t a, uint32_t b)
{
	for (size_t k = 0; k < key_count; k++) {
		int r = cmp_one(&keys[k], &columns[k], a, b);
		if (r)
			return r;
	}
	return 0;
}

/* A number that orders as the value does (or equal where it cannot tell); *whole: it tells all. Nulls are apart: the top two bits. */
static uint64_t prefix_of(const struct tm_column *c, size_t row, bool *whole)
{
	row = tm_row(c, row);
	switch (c->type->kind) {
	case TM_T_BOOLEAN:
		return c->boolean[row];
	case TM_T_TINYINT:
		return (uint64_t)(c->i8[row] + 128);
	case TM_T_SMALLINT:
		return (uint64_t)(c->i16[row] + 32768);
	case TM_T_INT:
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return (uint64_t)((int64_t)c->i32[row] + 2147483648LL);
	case TM_T_BIGINT:
	case TM_T_TIMESTAMP:
	case TM_T_TIMESTAMP_NTZ:
	case TM_T_TIME:
	case TM_T_INTERVAL_DT:
		*whole = false; /* two bits are cut off below */
		return ((uint64_t)c->i64[row] ^ (uint64_t)1 << 63) >> 2;
	case TM_T_STRING:
	case TM_T_BINARY: {
		*whole = false;
		struct tm_str s = c->str[row];
		uint64_t v = 0;
		for (size_t i = 0; i < 8; i++)
			v = v << 8 | (i < s.len ? (unsigned char)s.at[i] : 0);
		return v >> 2;
	}
	default:
		*whole = false;
		return 0;
	}
}

static void merge_sort(const struct ordering *o, struct entry *list, struct entry *spare, size_t n);

static bool before_or_equal(const struct ordering *o, const struct entry *a, const struct entry *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	if (o->prefix_whole)
		return o->key_count == 1 || tm_order_cmp(o->keys + 1, o->columns + 1, o->key_count - 1, a->row, b->row) <= 0;
	return tm_order_cmp(o->keys, o->columns, o->key_count, a->row, b->row) <= 0;
}

static void merge_sort(const struct ordering *o, struct entry *list, struct entry *spare, size_t n)
{
	if (n <= 16) {
		for (size_t i = 1; i < n; i++) {
			struct entry e = list[i];
			size_t k = i;
			for (; k && !before_or_equal(o, &list[k - 1], &e); k--)
				list[k] = list[k - 1];
			list[k] = e;
		}
		return;
	}
	size_t half = n / 2;
	merge_sort(o, list, spare, half);
	merge_sort(o, list + half, spare + half, n - half);
	if (before_or_equal(o, &list[half - 1], &list[half]))
		return;
	memcpy(spare, list, half * sizeof *list);
	size_t a = 0, b = half, at = 0;
	while (a < half && b < n)
		list[at++] = before_or_equal(o, &spare[a], &list[b]) ? spare[a++] : list[b++];
	memcpy(list + at, spare + a, (half - a) * sizeof *list);
}

void tm_order_rows(struct tm_arena *arena, const struct tm_sort_key *keys, const struct tm_column *columns, size_t key_count,
		   uint32_t *index, size_t n)
{
	if (n < 2 || !key_count)
		return;
	struct ordering o = {.keys = keys, .columns = columns, .key_count = key_count, .prefix_whole = true};
	struct entry *list = tm_arena_alloc(arena, tm_mul_size(n, sizeof *list)),
		     *spare = tm_arena_alloc(arena, tm_mul_size(n, sizeof *spare));
	const uint64_t flip = ((uint64_t)1 << 62) - 1;
	for (size_t i = 0; i < n; i++) {
		uint64_t top;
		if (tm_is_null(&columns[0], index[i])) {
			top = keys[0].nulls_last ? (uint64_t)2 << 62 : 0;
		} else {
			uint64_t v = prefix_of(&columns[0], index[i], &o.prefix_whole);
			top = (uint64_t)1 << 62 | (keys[0].descending ? flip - v : v);
		}
		list[i] = (struct entry){top, index[i]};
	}
	merge_sort(&o, list, spare, n);
	for (size_t i = 0; i < n; i++)
		index[i] = list[i].row;
}

/* ---- the operator ---- */

struct sort {
	struct tm_node node;
	bool sorted;
	struct tm_batch rows;
	uint32_t *index;
	size_t count, at;
};

static tm_rc sort_begin(struct tm_node *node, struct tm_err *err)
{
	(void)err;
	struct sort *me = (struct sort *)node;
	me->sorted = false;
	me->at = 0;
	return TM_OK;
}

/* Row numbers of b in order, in arena. */
static tm_rc order_batch(struct tm_node *node, struct tm_arena *arena, const struct tm_batch *b, uint32_t **ret, struct tm_err *err)
{
	size_t keys = node->op->sort.key_count;
	struct tm_expr **exprs = TM_NEW_N(arena, struct tm_expr *, keys + 1);
	for (size_t k = 0; k < keys; k++)
		exprs[k] = node->op->sort.keys[k].expr;
	struct tm_column *columns;
	TM_TRY(tm_node_columns(node, arena, b, exprs, keys, &columns, err));
	uint32_t *index = tm_arena_alloc(arena, tm_mul_size(b->rows + 1, sizeof *index));
	for (uint32_t i = 0; i < b->rows; i++)
		index[i] = i;
	tm_order_rows(arena, node->op->sort.keys, columns, keys, index, b->rows);
	*ret = index;
	return TM_OK;
}

/* With a LIMIT above: the best rows so far and a batch of new ones are sorted, the rest is forgotten. Memory stays at the limit. */
static tm_rc keep_best(struct sort *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	struct tm_arena *arenas[2], spare;
	tm_arena_init(&spare);
	arenas[0] = &node->run_arena;
	arenas[1] = &spare;
	int turn = 0;
	size_t keep = (size_t)node->limit_hint;
	tm_rc rc = TM_OK;
	struct tm_batch best;
	tm_batch_empty(&best, arenas[0], &node->op->schema);
	for (;;) {
		const struct tm_flow *in;
		TM_TRY_GOTO(rc, out, tm_node_pull(node, 0, &in, err));
		if (!in)
			break;
		tm_arena_reset(&node->arena);
		struct tm_batch both = {.rows = best.rows + in->batch.rows, .column_count = best.column_count};
		both.columns = TM_NEW_N(&node->arena, struct tm_column, best.column_count + 1);
		for (size_t c = 0; c < best.column_count; c++) {
			struct tm_column add = in->batch.columns[c];
			if (add.constant)
				tm_column_flatten(&add, &node->arena);
			const struct tm_column *parts[2] = {&best.columns[c], &add};
			tm_column_concat(&both.columns[c], &node->arena, parts, 2);
		}
		uint32_t *index;
		TM_TRY_GOTO(rc, out, order_batch(node, &node->arena, &both, &index, err));
		struct tm_batch top;
		tm_batch_take(&top, &node->arena, &both, index, both.rows < keep ? both.rows : keep);
		turn = !turn;
		tm_arena_reset(arenas[turn]);
		tm_batch_copy(&best, arenas[turn], &top);
	}
	if (turn) { /* ends in the arena that stays */
		struct tm_batch moved;
		tm_arena_reset(&node->run_arena);
		tm_batch_copy(&moved, &node->run_arena, &best);
		best = moved;
	}
	me->rows = best;
	me->index = tm_arena_alloc(&node->run_arena, tm_mul_size(best.rows + 1, sizeof *me->index));
	for (uint32_t i = 0; i < best.rows; i++)
		me->index[i] = i;
out:
	tm_arena_done(&spare);
	return rc;
}

static tm_rc sort_all(struct sort *me, struct tm_err *err)
{
	struct tm_node *node = &me->node;
	enum { KEEP_BEST_MAX = 10000 };
	if (node->limit_hint >= 0 && node->limit_hint <= KEEP_BEST_MAX) {
		TM_TRY(keep_best(me, err));
	} else {
		TM_TRY(tm_node_collect(node->inputs[0], &node->run_arena, &node->op->schema, &me->rows, err));
		node->rows_in += (int64_t)me->rows.rows;
		TM_TRY(order_batch(node, &node->run_arena, &me->rows, &me->index, err));
	}
	me->count = me->rows.rows;
	me->sorted = true;
	return TM_OK;
}

static tm_rc sort_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct sort *me = (struct sort *)node;
	if (!me->sorted)
		TM_TRY(sort_all(me, err));
	tm_arena_reset(&node->arena);
	*ret = NULL;
	size_t n = me->count - me->at;
	if (!n)
		return TM_OK;
	if (n > TM_LIMIT_BATCH_ROWS)
		n = TM_LIMIT_BATCH_ROWS;
	node->out = (struct tm_flow){0};
	tm_batch_take(&node->out.batch, &node->arena, &me->rows, me->index + me->at, n);
	me->at += n;
	*ret = &node->out;
	return TM_OK;
}
const struct tm_node_class tm_sort_class = {.label = "Sort", .size = sizeof(struct sort), .begin = sort_begin, .next = sort_next};
