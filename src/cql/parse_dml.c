/* SELECT, INSERT, UPDATE, DELETE and BATCH. */
#include "cql/parse_int.h"

/* a, b, … */
static tm_rc parse_terms(struct parser *p, struct cql_expr ***ret, size_t *ret_count)
{
	struct {
		struct cql_expr **items;
		size_t count, cap;
	} list = {0};
	do {
		struct cql_expr *e;
		TM_TRY(parse_term(p, &e));
		TM_PUSH_IN(p->arena, &list, e);
	} while (take_mark(p, ","));
	*ret = list.items;
	*ret_count = list.count;
	return TM_OK;
}

/* ---- SELECT ---- */
static tm_rc parse_selectors(struct parser *p, struct cql_select *s)
{
	struct {
		struct cql_selector *items;
		size_t count, cap;
	} list = {0};
	if (take_mark(p, "*")) {
		s->wildcard = true;
		return TM_OK;
	}
	p->selecting = true;
	do {
		struct cql_selector sel = {0};
		const struct cql_token *start = cur(p);
		TM_TRY(parse_term(p, &sel.expr));
		if (take_word(p, "as")) {
			TM_TRY(parse_name(p, &sel.alias));
		} else if (!is_mark(p, ",") && !is_word(p, "from")) {
			return no_viable_at(p, start);
		}
		TM_PUSH_IN(p->arena, &list, sel);
	} while (take_mark(p, ","));
	p->selecting = false;
	s->selectors = list.items;
	s->selector_count = list.count;
	return TM_OK;
}

static tm_rc parse_order(struct parser *p, struct cql_select *s)
{
	struct {
		struct cql_ordering *items;
		size_t count, cap;
	} list = {0};
	TM_TRY(need_word(p, "by"));
	do {
		struct cql_ordering o = {0};
		TM_TRY(parse_name(p, &o.column));
		if (take_word(p, "ann")) {
			TM_TRY(need_word(p, "of"));
			TM_TRY(parse_term(p, &o.ann));
		}
		if (take_word(p, "desc"))
			o.descending = true;
		else
			(void)take_word(p, "asc");
		TM_PUSH_IN(p->arena, &list, o);
	} while (take_mark(p, ","));
	s->order = list.items;
	s->order_count = list.count;
	return TM_OK;
}

static tm_rc parse_group(struct parser *p, struct cql_select *s)
{
	TM_TRY(need_word(p, "by"));
	p->selecting = true;
	TM_TRY(parse_terms(p, &s->group, &s->group_count));
	p->selecting = false;
	return TM_OK;
}

tm_rc parse_select(struct parser *p, struct cql_statement *st)
{
	st->kind = CQL_S_SELECT;
	struct cql_select *s = &st->select;
	advance(p);
	bool plain = word_at(p, 1, "from") || mark_at(p, 1, ",") || mark_at(p, 1, ".") || word_at(p, 1, "as") || mark_at(p, 1, "(") ||
		     mark_at(p, 1, "[");
	if (is_word(p, "json") && !plain) {
		s->json = true;
		advance(p);
		plain = word_at(p, 1, "from") || mark_at(p, 1, ",") || mark_at(p, 1, ".") || word_at(p, 1, "as");
	}
	if (is_word(p, "distinct") && !plain) {
		s->distinct = true;
		advance(p);
	}
	TM_TRY(parse_selectors(p, s));
	TM_TRY(need_word(p, "from"));
	const struct cql_token *table = cur(p);
	TM_TRY(parse_table_name(p, &s->table));
	bool first = true;
	if (take_word(p, "where")) {
		TM_TRY(parse_relations(p, false, &s->where, &s->where_count));
		first = false;
	}
	if (take_word(p, "group")) {
		TM_TRY(parse_group(p, s));
		first = false;
	}
	if (take_word(p, "order")) {
		TM_TRY(parse_order(p, s));
		first = false;
	}
	if (is_word(p, "per") && word_at(p, 1, "partition")) {
		advance(p);
		advance(p);
		TM_TRY(need_word(p, "limit"));
		TM_TRY(parse_marker_or(p, CQL_E_INTEGER, &s->per_partition));
		first = false;
	}
	if (take_word(p, "limit")) {
		TM_TRY(parse_marker_or(p, CQL_E_INTEGER, &s->limit));
		first = false;
	}
	if (take_word(p, "allow")) {
		TM_TRY(need_word(p, "filtering"));
		s->allow_filtering = true;
		first = false;
	}
	if (first && cur(p)->kind != CQL_T_END && !is_mark(p, ";"))
		return no_viable_at(p, table);
	if (s->where_count && !s->limit && !s->allow_filtering && !s->order_count &&
	    (is_word(p, "or") || is_word(p, "between") || is_word(p, "not")))
		return no_viable(p);
	return TM_OK;
}

/* ---- USING ---- */
static tm_rc parse_using(struct parser *p, struct cql_expr **timestamp, struct cql_expr **ttl)
{
	if (!take_word(p, "using"))
		return TM_OK;
	do {
		if (take_word(p, "timestamp"))
			TM_TRY(parse_marker_or(p, CQL_E_INTEGER, timestamp));
		else if (ttl && take_word(p, "ttl"))
			TM_TRY(parse_marker_or(p, CQL_E_INTEGER, ttl));
		else
			return no_viable(p);
	} while (take_word(p, "and"));
	return TM_OK;
}

static tm_rc parse_conditions(struct parser *p, struct cql_modify *m)
{
	if (!take_word(p, "if"))
		return TM_OK;
	if (take_word(p, "exists")) {
		m->if_exists = true;
		return TM_OK;
	}
	return parse_relations(p, true, &m->conditions, &m->condition_count);
}

/* ---- INSERT ---- */
static tm_rc parse_insert(struct parser *p, struct cql_modify *m)
{
	m->kind = CQL_INSERT;
	advance(p);
	TM_TRY(need_word(p, "into"));
	const struct cql_token *table = cur(p);
	TM_TRY(parse_table_name(p, &m->table));
	if (take_word(p, "json")) {
		m->is_json = true;
		TM_TRY(parse_marker_or(p, CQL_E_STRING, &m->json));
		if (take_word(p, "default")) {
			m->json_default_unset = is_word(p, "unset");
			if (!take_word(p, "null") && !take_word(p, "unset"))
				return no_viable(p);
		}
	} else if (is_mark(p, "(")) {
		struct names names = {0};
		advance(p);
		TM_TRY(parse_column_names(p, &names));
		TM_TRY(need_mark(p, ")"));
		TM_TRY(need_word(p, "values"));
		TM_TRY(need_mark(p, "("));
		TM_TRY(parse_terms(p, &m->values, &m->value_count));
		TM_TRY(need_mark(p, ")"));
		m->columns = names.items;
		m->column_count = names.count;
	} else {
		return no_viable_at(p, table);
	}
	if (take_word(p, "if")) {
		TM_TRY(need_word(p, "not"));
		TM_TRY(need_word(p, "exists"));
		m->if_not_exists = true;
	}
	return parse_using(p, &m->timestamp, &m->ttl);
}

/* ---- UPDATE ---- */
static tm_rc parse_assignment(struct parser *p, struct cql_assignment *a)
{
	*a = (struct cql_assignment){0};
	TM_TRY(parse_name(p, &a->column));
	if (take_mark(p, "[")) {
		a->kind = CQL_SET_ELEMENT;
		TM_TRY(parse_term(p, &a->element));
		TM_TRY(need_mark(p, "]"));
		TM_TRY(need_mark(p, "="));
		return parse_term(p, &a->value);
	}
	if (take_mark(p, ".")) {
		a->kind = CQL_SET_FIELD;
		TM_TRY(parse_name(p, &a->field));
		TM_TRY(need_mark(p, "="));
		return parse_term(p, &a->value);
	}
	if (is_mark(p, "+=") || is_mark(p, "-=")) {
		a->kind = is_mark(p, "+=") ? CQL_SET_ADD : CQL_SET_SUBTRACT;
		a->other = a->column;
		a->short_form = true;
		advance(p);
		return parse_term(p, &a->value);
	}
	TM_TRY(need_mark(p, "="));
	/* c = c + term, c = c - term: a name, then a sign */
	if (is_name(p) && (mark_at(p, 1, "+") || mark_at(p, 1, "-"))) {
		TM_TRY(parse_name(p, &a->other));
		a->kind = is_mark(p, "+") ? CQL_SET_ADD : CQL_SET_SUBTRACT;
		advance(p);
		return parse_term(p, &a->value);
	}
	if (is_name(p) && (mark_at(p, 1, "*") || mark_at(p, 1, "/") || mark_at(p, 1, "%"))) {
		const struct cql_token *start = cur(p);
		advance(p);
		return no_viable_at(p, start);
	}
	if (is_name(p) && ahead(p, 1)->kind == CQL_T_INTEGER && ahead(p, 1)->raw.at[0] == '-') { /* c = c -1 */
		TM_TRY(parse_name(p, &a->other));
		a->kind = CQL_SET_ADD;
		return parse_term(p, &a->value);
	}
	a->kind = CQL_SET;
	/* term + c: prepending to a list. The name is what a term cannot hold. */
	bool before = p->selecting;
	p->selecting = true;
	tm_rc rc = parse_term(p, &a->value);
	p->selecting = before;
	TM_TRY(rc);
	if (a->value->kind == CQL_E_COLUMN)
		return no_viable_at(p, a->value->token);
	if (a->value->kind == CQL_E_BINARY && a->value->op == '+' && a->value->args[1]->kind == CQL_E_COLUMN) {
		a->kind = CQL_SET_PREPEND;
		a->other = a->value->args[1]->text;
		a->value = a->value->args[0];
	}
	return TM_OK;
}

static tm_rc parse_update(struct parser *p, struct cql_modify *m)
{
	m->kind = CQL_UPDATE;
	advance(p);
	const struct cql_token *table = cur(p);
	TM_TRY(parse_table_name(p, &m->table));
	if (is_name(p))
		return no_viable_at(p, table);
	TM_TRY(parse_using(p, &m->timestamp, &m->ttl));
	TM_TRY(need_word(p, "set"));
	struct {
		struct cql_assignment *items;
		size_t count, cap;
	} list = {0};
	do {
		struct cql_assignment a;
		TM_TRY(parse_assignment(p, &a));
		TM_PUSH_IN(p->arena, &list, a);
	} while (take_mark(p, ","));
	m->assignments = list.items;
	m->assignment_count = list.count;
	TM_TRY(need_word(p, "where"));
	TM_TRY(parse_relations(p, false, &m->where, &m->where_count));
	return parse_conditions(p, m);
}

/* ---- DELETE ---- */
static tm_rc parse_delete(struct parser *p, struct cql_modify *m)
{
	m->kind = CQL_DELETE;
	advance(p);
	struct {
		struct cql_assignment *items;
		size_t count, cap;
	} list = {0};
	if (!is_word(p, "from")) {
		if (!is_name(p))
			TM_TRY(need_word(p, "from"));
		do {
			struct cql_assignment a = {.kind = CQL_DELETE_COLUMN};
			const struct cql_token *start = cur(p);
			TM_TRY(parse_name(p, &a.column));
			if (take_mark(p, "[")) {
				a.kind = CQL_DELETE_ELEMENT;
				TM_TRY(parse_term(p, &a.element));
				TM_TRY(need_mark(p, "]"));
			} else if (take_mark(p, ".")) {
				a.kind = CQL_DELETE_FIELD;
				TM_TRY(parse_name(p, &a.field));
			} else if (is_word(p, "where")) {
				return no_viable_at(p, start);
			}
			TM_PUSH_IN(p->arena, &list, a);
		} while (take_mark(p, ","));
	}
	m->assignments = list.items;
	m->assignment_count = list.count;
	TM_TRY(need_word(p, "from"));
	TM_TRY(parse_table_name(p, &m->table));
	TM_TRY(parse_using(p, &m->timestamp, NULL));
	TM_TRY(need_word(p, "where"));
	TM_TRY(parse_relations(p, false, &m->where, &m->where_count));
	return parse_conditions(p, m);
}

tm_rc parse_modification(struct parser *p, struct cql_modify *m)
{
	return is_word(p, "insert") ? parse_insert(p, m) : is_word(p, "update") ? parse_update(p, m) : parse_delete(p, m);
}

tm_rc parse_batch(struct parser *p, struct cql_statement *st)
{
	st->kind = CQL_S_BATCH;
	struct cql_batch *b = &st->batch;
	struct {
		struct cql_modify *items;
		size_t count, cap;
	} list = {0};
	advance(p);
	if (take_word(p, "unlogged"))
		b->type = 1;
	else if (take_word(p, "counter"))
		b->type = 2;
	TM_TRY(need_word(p, "batch"));
	TM_TRY(parse_using(p, &b->timestamp, &b->ttl));
	while (is_word(p, "insert") || is_word(p, "update") || is_word(p, "delete")) {
		struct cql_modify m = {0};
		TM_TRY(parse_modification(p, &m));
		TM_PUSH_IN(p->arena, &list, m);
		(void)take_mark(p, ";");
	}
	b->parts = list.items;
	b->part_count = list.count;
	TM_TRY(need_word(p, "apply"));
	return need_word(p, "batch");
}
