/* The WHERE clause at run time: partition keys, token ranges, slices, and the tests that remain for each row. */
#include <stdlib.h>
#include "cql/where.h"

static tm_rc null_in(const struct cql_eval *ev, const struct cql_test *t, const struct tm_cql_value *v, struct tm_err *err)
{
	const struct tm_table_def *def = &ev->table->def;
	struct tm_str name = def->columns[t->columns[0]].name;
	if (t->token)
		return cql_fail(err, CQL_CODE_INVALID, v->unset ? "Invalid unset token value" : "Invalid null token value");
	bool key = t->columns[0] < def->partition_key_count + def->clustering_count;
	if (v->unset)
		return cql_fail(err, CQL_CODE_INVALID,
				key ? "Invalid unset value for column %.*s" : "Unsupported unset value for column %.*s", TM_STR_ARG(name));
	return cql_fail(err, CQL_CODE_INVALID,
			key ? "Invalid null value in condition for column %.*s" : "Unsupported null value for column %.*s",
			TM_STR_ARG(name));
}

/* All values of a test as serialised strings. */
static tm_rc test_values(struct cql_eval *ev, const struct cql_test *t, struct cql_test_values *ret, struct tm_err *err)
{
	struct tm_cql_value v;
	*ret = (struct cql_test_values){0};
	if (t->op == CQL_IN && !t->value_list) {
		TM_TRY(cql_eval(ev, t->value, &v, err));
		if (v.unset || v.null)
			return cql_fail(err, CQL_CODE_INVALID,
					v.unset ? "Invalid unset value for column %.*s" : "Invalid null value for column %.*s",
					TM_STR_ARG(ev->table->def.columns[t->columns[0]].name));
		struct tm_value_items it;
		struct tm_str item;
		struct {
			struct tm_str *items;
			size_t count, cap;
		} list = {0};
		if (v.bytes.len && tm_value_items_open(v.bytes, &it))
			while (tm_value_items_next(&it, &item)) {
				if (!item.at)
					return null_in(ev, t, &(struct tm_cql_value){.null = true}, err);
				TM_PUSH_IN(ev->arena, &list, item);
			}
		*ret = (struct cql_test_values){.items = list.items, .count = list.count};
		return TM_OK;
	}
	size_t n = t->op == CQL_IN ? t->value_count : 1;
	ret->items = TM_NEW_N(ev->arena, struct tm_str, n + 1);
	ret->count = n;
	for (size_t i = 0; i < n; i++) {
		TM_TRY(cql_eval(ev, t->op == CQL_IN ? t->values[i] : t->value, &v, err));
		if (v.null || v.unset) {
			const struct tm_table_def *def = &ev->table->def;
			bool ck = !t->token && !t->tuple && t->columns[0] >= def->partition_key_count &&
				  t->columns[0] < def->partition_key_count + def->clustering_count;
			if (v.null && ck && t->op >= CQL_LT && t->op <= CQL_GE) {
				ret->null = true; /* Cassandra takes "c > null" for no bound at all, "c < null" for nothing */
				ret->items[i] = (struct tm_str){"", 0};
				continue;
			}
			return null_in(ev, t, &v, err);
		}
		ret->items[i] = v.bytes.at ? v.bytes : (struct tm_str){"", 0};
	}
	if (t->tuple)
		for (size_t i = 0; i < n; i++) {
			struct tm_value_items it = {.c = tm_cursor_of(ret->items[i])};
			struct tm_str part;
			for (size_t c = 0; c < t->column_count; c++)
				if (!tm_value_items_next(&it, &part) || !part.at)
					return cql_fail(err, CQL_CODE_INVALID, "Invalid null value in condition for column %.*s",
							TM_STR_ARG(ev->table->def.columns[t->columns[c]].name));
		}
	return TM_OK;
}

tm_rc cql_where_values(struct cql_eval *ev, const struct cql_where *w, bool all, struct cql_test_values **ret, struct tm_err *err)
{
	struct cql_test_values *v = TM_NEW_N(ev->arena, struct cql_test_values, w->test_count + 1);
	for (size_t i = 0; i < w->test_count; i++)
		if (all || !w->tests[i].used)
			TM_TRY(test_values(ev, &w->tests[i], &v[i], err));
	*ret = v;
	return TM_OK;
}

/* ---- partitions ---- */
struct key_order {
	const struct tm_table_def *def;
};
static int parts_cmp(const void *a, const void *b, void *ctx)
{
	const struct tm_table_def *def = ctx;
	struct tm_str *const *x = a, *const *y = b;
	for (size_t i = 0; i < def->partition_key_count; i++) {
		int c = tm_value_compare(def->columns[i].type, (*x)[i], (*y)[i]);
		if (c)
			return c;
	}
	return 0;
}

tm_rc cql_where_partitions(struct cql_eval *ev, const struct cql_where *w, struct cql_keys *ret, struct tm_err *err)
{
	const struct tm_table_def *def = &ev->table->def;
	size_t n = def->partition_key_count, total = 1;
	struct cql_test_values *values = TM_NEW_N(ev->arena, struct cql_test_values, n);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < w->test_count; j++) {
			const struct cql_test *t = &w->tests[j];
			if (!t->token && !t->element && t->columns[0] == i && (t->op == CQL_EQ || t->op == CQL_IN)) {
				TM_TRY(test_values(ev, t, &values[i], err));
				break;
			}
		}
	for (size_t i = 0; i < n; i++)
		if (__builtin_mul_overflow(total, values[i].count, &total) || total > 100000)
			return cql_fail(err, CQL_CODE_INVALID, "The number of partition keys of the IN restrictions is over 100000");
	struct tm_str **parts = TM_NEW_N(ev->arena, struct tm_str *, total + 1);
	for (size_t k = 0; k < total; k++) {
		parts[k] = TM_NEW_N(ev->arena, struct tm_str, n);
		size_t rest = k;
		for (size_t i = n; i-- > 0;) {
			parts[k][i] = values[i].items[rest % values[i].count];
			rest /= values[i].count;
		}
	}
	if (total > 1)
		qsort_r(parts, total, sizeof *parts, parts_cmp, (void *)def);
	*ret = (struct cql_keys){.items = TM_NEW_N(ev->arena, struct tm_str, total + 1), .parts = parts};
	for (size_t k = 0; k < total; k++) {
		if (k && parts_cmp(&parts[k - 1], &parts[k], (void *)def) == 0)
			continue;
		struct tm_buf b = {0};
		if (n == 1) {
			ret->items[ret->count] = parts[k][0];
		} else {
			tm_table_partition_key(def, parts[k], &b);
			ret->items[ret->count] = tm_arena_str(ev->arena, tm_buf_str(&b));
			tm_buf_done(&b);
		}
		if (ret->items[ret->count].len == 0)
			return cql_fail(err, CQL_CODE_INVALID, "Key may not be empty");
		if (ret->items[ret->count].len > UINT16_MAX)
			return cql_fail(err, CQL_CODE_INVALID, "Key length of %zu is longer than maximum of 65535",
					ret->items[ret->count].len);
		parts[ret->count++] = parts[k];
	}
	return TM_OK;
}

/* ---- tokens ---- */
tm_rc cql_where_tokens(struct cql_eval *ev, const struct cql_where *w, int64_t *from, int64_t *to, bool *empty, struct tm_err *err)
{
	*from = INT64_MIN;
	*to = INT64_MAX;
	*empty = false;
	for (size_t i = 0; i < w->test_count; i++) {
		const struct cql_test *t = &w->tests[i];
		struct cql_test_values v;
		if (!t->token)
			continue;
		TM_TRY(test_values(ev, t, &v, err));
		int64_t token = cql_int_of(v.items[0]);
		if (t->op == CQL_GT && token == INT64_MIN) /* the ring's start: everything */
			continue;
		if (t->op == CQL_GT && token == INT64_MAX)
			*empty = true;
		if (t->op == CQL_LT && token == INT64_MIN) /* as an end it is the ring's end */
			continue;
		if (t->op == CQL_LE && token == INT64_MIN)
			continue;
		if ((t->op == CQL_GT || t->op == CQL_GE || t->op == CQL_EQ) && token + (t->op == CQL_GT) > *from)
			*from = token + (t->op == CQL_GT);
		if ((t->op == CQL_LT || t->op == CQL_LE || t->op == CQL_EQ) && token - (t->op == CQL_LT) < *to)
			*to = token - (t->op == CQL_LT);
	}
	*empty |= *from > *to;
	return TM_OK;
}

/* ---- slices ---- */
static int prefix_cmp(const void *a, const void *b) { return tm_str_cmp(*(const struct tm_str *)a, *(const struct tm_str *)b); }
struct prefixes {
	struct tm_str *items;
	size_t count, cap;
};

static tm_rc extend(struct cql_eval *ev, const struct cql_test *t, struct prefixes *p, struct tm_err *err)
{
	const struct tm_table_def *def = &ev->table->def;
	struct cql_test_values v;
	struct prefixes next = {0};
	TM_TRY(test_values(ev, t, &v, err));
	if (v.count * p->count > 100000)
		return cql_fail(err, CQL_CODE_INVALID, "The number of clustering keys of the IN restrictions is over 100000");
	for (size_t i = 0; i < p->count; i++)
		for (size_t j = 0; j < v.count; j++) {
			struct tm_buf b = {0};
			tm_buf_str_put(&b, p->items[i]);
			if (t->tuple) {
				struct tm_value_items it = {.c = tm_cursor_of(v.items[j])};
				struct tm_str part;
				for (size_t c = 0; c < t->column_count && tm_value_items_next(&it, &part); c++)
					tm_value_order_put(def->columns[t->columns[c]].type, part, &b);
			} else {
				tm_value_order_put(def->columns[t->columns[0]].type, v.items[j], &b);
			}
			struct tm_str key = tm_arena_str(ev->arena, tm_buf_str(&b));
			tm_buf_done(&b);
			TM_PUSH_IN(ev->arena, &next, key);
		}
	if (next.count > 1)
		qsort(next.items, next.count, sizeof *next.items, prefix_cmp);
	size_t n = 0;
	for (size_t i = 0; i < next.count; i++)
		if (n == 0 || !tm_str_eq(next.items[n - 1], next.items[i]))
			next.items[n++] = next.items[i];
	next.count = n;
	*p = next;
	return TM_OK;
}

static struct tm_str joined(struct tm_arena *arena, struct tm_str a, struct tm_str b, bool after)
{
	char *out = tm_arena_alloc(arena, a.len + b.len + 2);
	tm_copy(out, a.at, a.len);
	if (b.len)
		memcpy(out + a.len, b.at, b.len);
	out[a.len + b.len] = (char)0xFF;
	return tm_str_n(out, a.len + b.len + after);
}

/* Bounds of the column behind the prefix, in ordered form. */
static tm_rc bounds(struct cql_eval *ev, const struct cql_where *w, size_t column, struct tm_str *low, bool *low_after, struct tm_str *high,
		    bool *high_after, bool *empty, struct tm_err *err)
{
	const struct tm_cql_type *type = ev->table->def.columns[column].type;
	for (size_t i = 0; i < w->test_count; i++) {
		const struct cql_test *t = &w->tests[i];
		struct cql_test_values v;
		if (t->token || t->element || t->columns[0] != column || t->op < CQL_LT || t->op > CQL_GE)
			continue;
		TM_TRY(test_values(ev, t, &v, err));
		struct tm_str value = v.items[0];
		bool inclusive = t->op == CQL_LE || t->op == CQL_GE;
		if (v.null) {
			*empty |= t->op == CQL_LT || t->op == CQL_LE;
			continue;
		}
		if (t->tuple) { /* the first part bounds; the rows between are tested */
			struct tm_value_items it = {.c = tm_cursor_of(v.items[0])};
			if (!tm_value_items_next(&it, &value))
				continue;
			inclusive |= t->column_count > 1;
			bool mixed = false;
			for (size_t c = 1; c < t->column_count; c++)
				mixed |= ev->table->def.columns[t->columns[c]].type->reversed != type->reversed;
			(void)mixed;
		}
		struct tm_buf b = {0};
		tm_value_order_put(type, value, &b);
		struct tm_str form = tm_arena_str(ev->arena, tm_buf_str(&b));
		tm_buf_done(&b);
		bool is_start = (t->op == CQL_GT || t->op == CQL_GE) != type->reversed;
		if (is_start) {
			*low = form;
			*low_after = !inclusive;
		} else {
			*high = form;
			*high_after = inclusive;
		}
	}
	return TM_OK;
}

tm_rc cql_where_slices(struct cql_eval *ev, const struct cql_where *w, struct cql_slices *ret, struct tm_err *err)
{
	const struct tm_table_def *def = &ev->table->def;
	size_t pk = def->partition_key_count;
	struct tm_str *root = TM_NEW(ev->arena, struct tm_str);
	*root = (struct tm_str){"", 0};
	struct prefixes p = {.items = root, .count = 1, .cap = 1};
	*ret = (struct cql_slices){0};
	for (size_t i = 0; i < w->ck_prefix;) {
		const struct cql_test *t = NULL;
		for (size_t j = 0; j < w->test_count && !t; j++)
			if (!w->tests[j].token && !w->tests[j].element && w->tests[j].columns[0] == pk + i &&
			    (w->tests[j].op == CQL_EQ || w->tests[j].op == CQL_IN))
				t = &w->tests[j];
		TM_TRY(extend(ev, t, &p, err));
		i += t->tuple ? t->column_count : 1;
	}
	struct tm_str low = {0}, high = {0};
	bool low_after = false, high_after = false, empty = false;
	if (w->ck_slice)
		TM_TRY(bounds(ev, w, pk + w->ck_prefix, &low, &low_after, &high, &high_after, &empty, err));
	if (empty)
		return TM_OK;
	for (size_t i = 0; i < p.count; i++) {
		struct tm_read_slice s = {.start = p.items[i],
					  .end = p.items[i].len ? joined(ev->arena, p.items[i], (struct tm_str){0}, true)
								: (struct tm_str){"", 0}};
		if (low.at)
			s.start = joined(ev->arena, p.items[i], low, low_after);
		if (high.at)
			s.end = joined(ev->arena, p.items[i], high, high_after);
		if (s.end.len && tm_str_cmp(s.start, s.end) >= 0)
			continue;
		TM_PUSH_IN(ev->arena, ret, s);
	}
	return TM_OK;
}

/* ---- tests on a row ---- */
bool cql_compare_op(enum cql_op op, int c)
{
	switch (op) {
	case CQL_EQ:
		return c == 0;
	case CQL_NE:
		return c != 0;
	case CQL_LT:
		return c < 0;
	case CQL_LE:
		return c <= 0;
	case CQL_GT:
		return c > 0;
	case CQL_GE:
		return c >= 0;
	default:
		return false;
	}
}

static int tuple_compare(struct cql_eval *ev, const struct cql_test *t, struct tm_str value)
{
	struct tm_value_items it = {.c = tm_cursor_of(value)};
	struct tm_str part;
	for (size_t i = 0; i < t->column_count && tm_value_items_next(&it, &part); i++) {
		struct tm_cql_value v = cql_row_value(ev->row, t->columns[i], ev->arena);
		int c = tm_value_compare(ev->table->def.columns[t->columns[i]].type, v.bytes, part);
		if (c)
			return c;
	}
	return 0;
}

static bool contains(const struct tm_cql_type *type, struct tm_str bytes, enum cql_op op, struct tm_str wanted)
{
	struct tm_value_items it;
	struct tm_str item;
	if (!tm_value_items_open(bytes, &it))
		return false;
	bool map = type->kind == TM_CQL_MAP;
	const struct tm_cql_type *t = type->args[map && op == CQL_CONTAINS];
	for (size_t i = 0; tm_value_items_next(&it, &item); i++)
		if (!map || (i % 2 == 1) == (op == CQL_CONTAINS))
			if (tm_value_compare(t, item, wanted) == 0)
				return true;
	return false;
}

static bool element_is(struct cql_eval *ev, const struct tm_cql_type *type, struct tm_str bytes, const struct cql_test *t,
		       struct tm_str wanted)
{
	struct tm_value_items it;
	struct tm_str key, value;
	struct tm_cql_value element;
	struct tm_err unused;
	if (cql_eval(ev, t->element, &element, &unused) != TM_OK || !tm_value_items_open(bytes, &it))
		return false;
	while (tm_value_items_next(&it, &key) && tm_value_items_next(&it, &value))
		if (tm_value_compare(type->args[0], key, element.bytes) == 0)
			return tm_value_compare(type->args[1], value, wanted) == 0;
	return false;
}

static bool text_folds(const struct tm_table *table, size_t column)
{
	for (size_t i = 0; i < table->index_count; i++)
		if (table->indexes[i].custom && tm_str_eq(table->indexes[i].column, table->def.columns[column].name))
			for (size_t j = 0; j < table->indexes[i].options.count; j++)
				if (tm_str_is(table->indexes[i].options.entries[j].key, "case_sensitive") &&
				    tm_str_iis(table->indexes[i].options.entries[j].value, "false"))
					return true;
	return false;
}

bool cql_where_row_matches(struct cql_eval *ev, const struct cql_where *w, const struct cql_test_values *values)
{
	for (size_t i = 0; i < w->test_count; i++) {
		const struct cql_test *t = &w->tests[i];
		const struct cql_test_values *v = &values[i];
		if (t->used || t->token)
			continue;
		bool hit = false;
		if (t->tuple) {
			for (size_t j = 0; j < v->count && !hit; j++)
				hit = cql_compare_op(t->op == CQL_IN ? CQL_EQ : t->op, tuple_compare(ev, t, v->items[j]));
		} else {
			const struct tm_cql_type *type = ev->table->def.columns[t->columns[0]].type;
			struct tm_cql_value now = cql_row_value(ev->row, t->columns[0], ev->arena);
			if (now.null || !now.bytes.at)
				return false;
			if (v->null) {
				hit = t->op == CQL_GT || t->op == CQL_GE;
			} else if (t->element) {
				hit = element_is(ev, type, now.bytes, t, v->items[0]);
			} else if (t->op == CQL_CONTAINS || t->op == CQL_CONTAINS_KEY) {
				hit = contains(type, now.bytes, t->op, v->items[0]);
			} else {
				bool folds = t->index && tm_type_is_text(type) && text_folds(ev->table, t->columns[0]);
				for (size_t j = 0; j < v->count && !hit; j++)
					hit = folds ? tm_str_ieq(now.bytes, v->items[j])
						    : cql_compare_op(t->op == CQL_IN ? CQL_EQ : t->op,
								     tm_value_compare(type, now.bytes, v->items[j]));
			}
		}
		if (!hit)
			return false;
	}
	return true;
}
