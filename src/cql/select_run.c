/* Running SELECT: rows from partitions, a token range or a virtual table; tests, limits, groups, order, pages. */
#include <math.h>
#include <stdlib.h>
#include "cql/select.h"

/* Where a page ended: format, limit left, rows left in the partition, index in the list of partitions, position of the row. */
enum { PAGE_FORMAT = 1, NO_LIMIT = INT32_MAX };
struct page {
	int64_t limit, per_partition;
	uint32_t partition;
	struct tm_str position;
};

struct source {
	struct cql_run *run;
	const struct cql_select_plan *plan;
	const struct tm_table *table;
	struct cql_keys keys;
	size_t key_at;
	struct cql_slices slices;
	int64_t token_from, token_to;
	bool empty, by_partition, is_virtual;
	struct tm_read *read;
	struct tm_str after;
	struct tm_cql_rows rows; /* of a virtual table */
	size_t row_at;
	struct cql_test_values *tests;
	struct cql_row row;
};

static void open_read(struct source *s)
{
	struct tm_read_options o = {
	    .token_from = s->token_from,
	    .token_to = s->token_to,
	    .slices = s->slices.items,
	    .slice_count = s->slices.count,
	    .reverse = s->plan->reverse,
	    .static_only = s->plan->distinct,
	    .no_static_row = !s->plan->static_rows_alone,
	    .after = s->after,
	    .now_s = s->run->ev.now_s,
	};
	if (s->by_partition) {
		o.has_partition = true;
		o.partition_key = s->keys.items[s->key_at];
	}
	s->after = (struct tm_str){0};
	s->read = tm_read_open(s->run->session->store, s->table, &o);
}

static tm_rc open_source(struct source *s, const struct page *page, struct tm_err *err)
{
	struct cql_eval *ev = &s->run->ev;
	const struct cql_where *w = &s->plan->where;
	s->table = tm_table_of(s->run->prepared->def);
	s->is_virtual = s->run->prepared->def_is_virtual;
	s->row.table = s->table;
	TM_TRY(cql_where_values(ev, w, s->is_virtual, &s->tests, err));
	if (s->is_virtual) {
		s->rows = (struct tm_cql_rows){.arena = s->run->arena, .table = s->table};
		if (page->position.len == 8)
			s->row_at = (size_t)cql_int_of(page->position);
		return cql_virtual_rows(&s->table->def, s->run->session, &s->rows, err);
	}
	s->by_partition = w->pk_full;
	TM_TRY(cql_where_tokens(ev, w, &s->token_from, &s->token_to, &s->empty, err));
	if (s->by_partition) {
		TM_TRY(cql_where_partitions(ev, w, &s->keys, err));
		TM_TRY(cql_where_slices(ev, w, &s->slices, err));
		s->empty |= s->slices.count == 0;
		if (w->has_token) { /* both: the partition must lie in the range */
			size_t n = 0;
			for (size_t i = 0; i < s->keys.count; i++) {
				int64_t token = tm_value_token(s->keys.items[i]);
				if (token >= s->token_from && token <= s->token_to)
					s->keys.items[n++] = s->keys.items[i];
			}
			s->keys.count = n;
		}
		s->key_at = page->partition;
		if (s->slices.count == 1 && s->slices.items[0].start.len == 0 && s->slices.items[0].end.len == 0)
			s->slices.count = 0;
	}
	s->after = page->position;
	return TM_OK;
}

static bool next_virtual(struct source *s)
{
	while (s->row_at < s->rows.count) {
		s->row.values = s->rows.values + s->row_at++ * s->table->def.column_count;
		s->run->ev.row = &s->row;
		bool hit = cql_where_row_matches(&s->run->ev, &s->plan->where, s->tests);
		if (hit)
			return true;
	}
	return false;
}

/* 1 a row that passes the tests (run->ev.row), 0 the end, -1 an error. */
static int next_row(struct source *s, struct tm_err *err)
{
	s->run->ev.row = &s->row;
	if (s->is_virtual)
		return next_virtual(s);
	for (;;) {
		if (s->empty || (s->by_partition && s->key_at >= s->keys.count))
			return 0;
		if (!s->read)
			open_read(s);
		int got = tm_read_next(s->read, &s->row.read, err);
		if (got < 0)
			return -1;
		if (got == 0) {
			tm_read_close(s->read);
			s->read = NULL;
			if (!s->by_partition)
				return 0;
			s->key_at++;
			continue;
		}
		if (s->plan->where.test_count == 0 || cql_where_row_matches(&s->run->ev, &s->plan->where, s->tests))
			return 1;
	}
}

/* ---- aggregates ---- */
struct accumulator {
	struct tm_str *items;
	size_t count, cap;
	int64_t rows;
	struct tm_str best;
};

static tm_rc accumulate(struct cql_run *run, const struct cql_select_plan *plan, struct accumulator *acc, struct tm_err *err)
{
	for (size_t i = 0; i < plan->aggregate_count; i++) {
		const struct cql_node *n = plan->aggregates[i];
		struct tm_cql_value v = {0};
		if (n->arg_count == 0) {
			acc[i].rows++;
			continue;
		}
		TM_TRY(cql_eval(&run->ev, n->args[0], &v, err));
		if (v.null || v.unset)
			continue;
		acc[i].rows++;
		struct tm_str kept = v.bytes;
		int c;
		switch (n->function->kind) {
		case CQL_AGG_MIN:
		case CQL_AGG_MAX:
			c = acc[i].best.at ? tm_value_compare(n->args[0]->type, v.bytes, acc[i].best) : 0;
			if (!acc[i].best.at || (n->function->kind == CQL_AGG_MIN ? c < 0 : c > 0))
				acc[i].best = tm_arena_str(run->arena, kept);
			break;
		case CQL_AGG_SUM:
		case CQL_AGG_AVG:
			kept = tm_arena_str(run->arena, kept);
			TM_PUSH_IN(run->arena, &acc[i], kept);
			break;
		default:
			break;
		}
	}
	return TM_OK;
}

static struct tm_cql_value finished(struct cql_run *run, const struct cql_node *n, struct accumulator *a)
{
	switch (n->function->kind) {
	case CQL_AGG_COUNT:
		return (struct tm_cql_value){.bytes = cql_be64(run->arena, a->rows)};
	case CQL_AGG_MIN:
	case CQL_AGG_MAX:
		return (struct tm_cql_value){.bytes = a->best, .null = !a->best.at};
	default:
		return cql_accumulate(&run->ev, n->type, a->items, a->count, n->function->kind == CQL_AGG_AVG);
	}
}

/* A copy of the row's values that outlives the reader's. */
static struct tm_cql_value *kept_row(struct cql_run *run, const struct cql_row *row)
{
	size_t n = row->table->def.column_count;
	struct tm_cql_value *values = TM_NEW_N(run->arena, struct tm_cql_value, n + 1);
	for (size_t i = 0; i < n; i++) {
		values[i] = cql_row_value(row, i, run->arena);
		if (values[i].bytes.at)
			values[i].bytes = tm_arena_str(run->arena, values[i].bytes);
		else
			values[i].null = true;
	}
	return values;
}

/* ---- making result rows ---- */
struct collector {
	struct cql_run *run;
	const struct cql_select_plan *plan;
	size_t cap;
};

static void json_row(struct cql_run *run, const struct cql_select_plan *plan, const struct tm_cql_value *values, struct tm_cql_value *ret)
{
	struct tm_buf b = {0};
	tm_buf_char(&b, '{');
	for (size_t i = 0; i < plan->node_count; i++) {
		struct tm_str name = plan->names[i];
		bool plain = true;
		for (size_t k = 0; k < name.len; k++)
			plain &= !(name.at[k] >= 'A' && name.at[k] <= 'Z');
		if (i)
			tm_buf_cstr_put(&b, ", ");
		struct tm_buf quoted = {0};
		tm_buf_printf(&quoted, plain ? "%.*s" : "\"%.*s\"", TM_STR_ARG(name));
		tm_cql_value_json(tm_type_native(TM_CQL_VARCHAR), tm_buf_str(&quoted), &b);
		tm_buf_done(&quoted);
		tm_buf_cstr_put(&b, ": ");
		tm_cql_value_json(plan->nodes[i]->type, values[i].null ? (struct tm_str){0} : values[i].bytes, &b);
	}
	tm_buf_char(&b, '}');
	*ret = (struct tm_cql_value){.bytes = tm_arena_str(run->arena, tm_buf_str(&b))};
	tm_buf_done(&b);
}

static tm_rc give_row(struct collector *c, struct tm_err *err)
{
	struct cql_run *run = c->run;
	const struct cql_select_plan *plan = c->plan;
	struct tm_cql_value small[32],
	    *values = plan->node_count <= 32 ? small : TM_NEW_N(run->arena, struct tm_cql_value, plan->node_count);
	for (size_t i = 0; i < plan->node_count; i++) {
		TM_TRY(cql_eval(&run->ev, plan->nodes[i], &values[i], err));
		if (values[i].unset)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid unset value in the selection");
		/* bytes of the reader's memory move on with it */
		if (!values[i].null && values[i].bytes.at)
			values[i].bytes = tm_arena_str(run->arena, values[i].bytes);
	}
	struct tm_cql_value *out = cql_result_row(run, &c->cap);
	if (plan->json)
		json_row(run, plan, values, out);
	else
		tm_copy(out, values, plan->node_count * sizeof *out);
	return TM_OK;
}

/* ---- limits ---- */
static tm_rc read_limit(struct cql_run *run, const struct cql_node *n, int64_t *ret, struct tm_err *err)
{
	struct tm_cql_value v;
	*ret = NO_LIMIT;
	if (!n)
		return TM_OK;
	TM_TRY(cql_eval(&run->ev, n, &v, err));
	if (v.unset)
		return TM_OK;
	if (v.null)
		return cql_fail(err, CQL_CODE_INVALID, "Invalid null value of limit");
	*ret = cql_int_of(v.bytes);
	return *ret > 0 ? TM_OK : cql_fail(err, CQL_CODE_INVALID, "LIMIT must be strictly positive");
}

static tm_rc page_decode(struct tm_str state, struct page *p, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(state);
	uint8_t format = tm_cursor_u8(&c);
	p->limit = (int32_t)tm_cursor_be32(&c);
	p->per_partition = (int32_t)tm_cursor_be32(&c);
	p->partition = tm_cursor_be32(&c);
	if (c.bad || format != PAGE_FORMAT)
		return tm_fail(err, TM_INVALID, "Invalid value for the paging state");
	p->position = tm_str_n(c.at, tm_cursor_left(&c));
	return TM_OK;
}

static struct tm_str page_encode(struct tm_arena *arena, const struct page *p)
{
	struct tm_buf b = {0};
	tm_buf_u8(&b, PAGE_FORMAT);
	tm_buf_be32(&b, (uint32_t)p->limit);
	tm_buf_be32(&b, (uint32_t)p->per_partition);
	tm_buf_be32(&b, p->partition);
	tm_buf_str_put(&b, p->position);
	struct tm_str s = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return s;
}

static void set_page(struct source *s, int64_t limit, int64_t per_partition, struct tm_str position)
{
	struct page p = {limit, per_partition, (uint32_t)s->key_at, position};
	if (s->is_virtual)
		p.position = cql_be64(s->run->arena, (int64_t)s->row_at);
	s->run->result->paging_state = page_encode(s->run->arena, &p);
}

/* ---- the three ways of going through rows ---- */
static bool new_partition(const struct source *s, struct tm_buf *last)
{
	if (s->is_virtual)
		return false;
	/* a partition is told by the part of the position before the clustering key */
	const struct tm_read_row *row = s->row.read;
	struct tm_buf now = {0};
	tm_table_partition_key(&s->table->def, row->partition_key, &now);
	bool other = !tm_str_eq(tm_buf_str(&now), tm_buf_str(last));
	if (other) {
		tm_buf_done(last);
		*last = now;
	} else {
		tm_buf_done(&now);
	}
	return other;
}

static tm_rc run_plain(struct source *s, struct collector *c, struct page *page, int64_t limit, int64_t per_partition, struct tm_err *err)
{
	int64_t page_size = s->run->options->page_size > 0 ? s->run->options->page_size : INT64_MAX, given = 0,
		here = page->position.len ? page->per_partition : 0;
	bool track = per_partition != NO_LIMIT;
	struct tm_buf partition = {0};
	bool first = page->position.len > 0;
	int got;
	tm_rc rc = TM_OK;
	while (limit > 0 && (got = next_row(s, err)) != 0) {
		if (got < 0) {
			rc = err->rc;
			break;
		}
		if (track && new_partition(s, &partition)) {
			if (!first)
				here = 0;
			else if (s->row.read->first_of_partition)
				here = 0;
			first = false;
		}
		if (track && here >= per_partition)
			continue;
		here++;
		limit -= limit != NO_LIMIT;
		if ((rc = give_row(c, err)) != TM_OK)
			break;
		if (++given >= page_size && limit > 0) {
			set_page(s, limit, here, s->is_virtual ? (struct tm_str){0} : s->row.read->position);
			break;
		}
	}
	tm_buf_done(&partition);
	return rc;
}

static tm_rc finish_group(struct collector *c, struct accumulator *acc, struct tm_cql_value *first, const struct tm_table *table,
			  struct tm_err *err)
{
	struct cql_run *run = c->run;
	struct tm_cql_value *done = TM_NEW_N(run->arena, struct tm_cql_value, c->plan->aggregate_count + 1);
	for (size_t i = 0; i < c->plan->aggregate_count; i++)
		done[i] = finished(run, c->plan->aggregates[i], &acc[i]);
	struct cql_row row = {.table = table, .values = first};
	const struct cql_row *before = run->ev.row;
	if (!first) {
		row.values = TM_NEW_N(run->arena, struct tm_cql_value, table->def.column_count + 1);
		for (size_t i = 0; i < table->def.column_count; i++)
			((struct tm_cql_value *)row.values)[i].null = true;
	}
	run->ev.row = &row;
	run->ev.aggregates = done;
	tm_rc rc = give_row(c, err);
	run->ev.row = before;
	memset(acc, 0, c->plan->aggregate_count * sizeof *acc);
	return rc;
}

static tm_rc run_grouped(struct source *s, struct collector *c, struct page *page, int64_t limit, int64_t per_partition, struct tm_err *err)
{
	const struct cql_select_plan *plan = s->plan;
	struct cql_run *run = s->run;
	int64_t page_size = run->options->page_size > 0 && plan->grouped ? run->options->page_size : INT64_MAX, given = 0, here = 0;
	struct accumulator *acc = TM_NEW_N(run->arena, struct accumulator, plan->aggregate_count + 1);
	struct tm_str *keys = TM_NEW_N(run->arena, struct tm_str, plan->group_count + 1);
	struct tm_cql_value *first = NULL;
	struct tm_str position = {0};
	struct tm_buf partition = {0}, at = {0};
	bool open = false, full = false;
	int got;
	tm_rc rc = TM_OK;
	(void)page;
	while (!full && (got = next_row(s, err)) != 0) {
		if (got < 0) {
			rc = err->rc;
			goto out;
		}
		bool changed = !open;
		bool other = per_partition != NO_LIMIT && new_partition(s, &partition);
		for (size_t i = 0; i < plan->group_count; i++) {
			struct tm_cql_value v;
			if ((rc = cql_eval(&run->ev, plan->group[i], &v, err)) != TM_OK)
				goto out;
			struct tm_str k = v.null ? (struct tm_str){0} : v.bytes;
			if (!open || !k.at != !keys[i].at || !tm_str_eq(k, keys[i])) {
				changed = true;
				keys[i] = k.at ? tm_arena_str(run->arena, k) : k;
			}
		}
		if (changed && open) {
			if ((rc = finish_group(c, acc, first, s->table, err)) != TM_OK)
				goto out;
			given++;
			open = false;
			limit -= limit != NO_LIMIT;
			if (limit <= 0 || given >= page_size) {
				full = true;
				break;
			}
			here++;
		}
		if (other)
			here = 0;
		if (here >= per_partition)
			continue;
		if (!open) {
			first = kept_row(run, &s->row);
			open = true;
		}
		if ((rc = accumulate(run, plan, acc, err)) != TM_OK)
			goto out;
		at.len = 0;
		if (!s->is_virtual)
			tm_buf_str_put(&at, s->row.read->position);
		position = tm_buf_str(&at);
	}
	if (full && limit > 0)
		set_page(s, limit, per_partition, tm_arena_str(run->arena, position));
	else if (!full && (open || !plan->grouped))
		rc = finish_group(c, acc, open ? first : NULL, s->table, err);
	if (!full && open && plan->grouped && given + 1 >= page_size && limit - 1 > 0)
		set_page(s, limit == NO_LIMIT ? limit : limit - 1, per_partition, tm_arena_str(run->arena, position));
out:
	tm_buf_done(&partition);
	tm_buf_done(&at);
	return rc;
}

/* Rows that are sorted after reading: ORDER BY over several partitions, and by similarity. */
struct held {
	struct tm_cql_value *row;
	double score;
	size_t order;
	const struct cql_select_plan *plan;
	const struct tm_table_def *def;
};

static int held_cmp(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	if (x->plan->ann && x->score != y->score)
		return x->score > y->score ? -1 : 1;
	for (size_t i = 0; i < x->plan->sort_count; i++) {
		size_t c = x->plan->sort[i];
		int r = tm_value_compare(x->def->columns[c].type, x->row[c].bytes, y->row[c].bytes);
		if (r)
			return x->plan->sort_desc[i] ? -r : r;
	}
	return (x->order > y->order) - (x->order < y->order);
}

static double similarity(const struct cql_select_plan *plan, struct tm_str a, struct tm_str b)
{
	double dot = 0, square = 0, x2 = 0, y2 = 0;
	for (size_t i = 0; i + 4 <= a.len && i + 4 <= b.len; i += 4) {
		double x = cql_double_of(tm_str_slice(a, i, i + 4)), y = cql_double_of(tm_str_slice(b, i, i + 4));
		dot += x * y;
		square += (x - y) * (x - y);
		x2 += x * x;
		y2 += y * y;
	}
	return plan->ann_function == 1 ? 1 / (1 + square) : plan->ann_function == 2 ? (1 + dot) / 2 : (1 + dot / sqrt(x2 * y2)) / 2;
}

static tm_rc run_sorted(struct source *s, struct collector *c, int64_t limit, int64_t per_partition, struct tm_err *err)
{
	struct cql_run *run = s->run;
	struct {
		struct held *items;
		size_t count, cap;
	} list = {0};
	struct tm_cql_value target = {0};
	struct tm_buf partition = {0};
	int64_t here = 0;
	int got;
	tm_rc rc = TM_OK;
	if (s->plan->ann) {
		TM_TRY(cql_eval(&run->ev, s->plan->ann, &target, err));
		if (target.null || target.unset)
			return cql_fail(err, CQL_CODE_INVALID, "Unsupported null value for column %.*s",
					TM_STR_ARG(s->table->def.columns[s->plan->ann_column].name));
		if (limit > 1000)
			return cql_fail(
			    err, CQL_CODE_INVALID,
			    "Use of ANN OF in an ORDER BY clause requires a LIMIT that is not greater than 1000. LIMIT was %lld",
			    (long long)limit);
	}
	while ((got = next_row(s, err)) != 0) {
		if (got < 0) {
			rc = err->rc;
			break;
		}
		if (per_partition != NO_LIMIT && new_partition(s, &partition))
			here = 0;
		if (here++ >= per_partition)
			continue;
		struct held h = {.row = kept_row(run, &s->row), .order = list.count, .plan = s->plan, .def = &s->table->def};
		if (s->plan->ann) {
			if (h.row[s->plan->ann_column].null)
				continue;
			h.score = similarity(s->plan, h.row[s->plan->ann_column].bytes, target.bytes);
		}
		TM_PUSH_IN(run->arena, &list, h);
	}
	tm_buf_done(&partition);
	if (rc != TM_OK)
		return rc;
	if (list.count > 1)
		qsort(list.items, list.count, sizeof *list.items, held_cmp);
	for (size_t i = 0; i < list.count && (int64_t)i < limit && rc == TM_OK; i++) {
		struct cql_row row = {.table = s->table, .values = list.items[i].row};
		run->ev.row = &row;
		rc = give_row(c, err);
	}
	return rc;
}

tm_rc cql_select_run(struct cql_run *run, struct tm_err *err)
{
	const struct cql_select_plan *plan = run->prepared->select;
	struct page page = {NO_LIMIT, 0, 0, {0}};
	int64_t limit, per_partition;
	struct tm_err mine;
	err = err ? err : &mine;
	run->result->kind = TM_CQL_ROWS;
	run->result->columns = plan->columns;
	run->result->column_count = plan->column_count;
	TM_TRY(read_limit(run, plan->limit, &limit, err));
	TM_TRY(read_limit(run, plan->per_partition, &per_partition, err));
	if (run->options->paging_state.len) {
		TM_TRY(page_decode(run->options->paging_state, &page, err));
		if (limit != NO_LIMIT && page.limit < limit)
			limit = page.limit;
	}
	if (plan->sort_count && run->options->page_size > 0)
		return cql_fail(err, CQL_CODE_INVALID,
				"Cannot page queries with both ORDER BY and a IN restriction on the partition key; you must either remove "
				"the ORDER BY or the IN and sort client side, or disable paging for this query");
	struct source s = {.run = run, .plan = plan};
	struct collector c = {.run = run, .plan = plan};
	tm_rc rc = open_source(&s, &page, err);
	if (rc == TM_OK && (plan->aggregate_count || plan->grouped)) {
		if (!plan->where.pk_full && !s.is_virtual)
			cql_result_warn(run, TM_STR("Aggregation query used without partition key"));
		else if (plan->where.pk_in)
			cql_result_warn(run, TM_STR("Aggregation query used on multiple partition keys (IN restriction)"));
		rc = run_grouped(&s, &c, &page, limit, per_partition, err);
	} else if (rc == TM_OK && (plan->sort_count || plan->ann)) {
		rc = run_sorted(&s, &c, limit, per_partition, err);
	} else if (rc == TM_OK) {
		rc = run_plain(&s, &c, &page, limit, per_partition, err);
	}
	if (s.read)
		tm_read_close(s.read);
	return rc;
}
