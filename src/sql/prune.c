/* What is computed once, and only what is used: common parts of a projection become columns of one below it, columns that nobody
 * reads are dropped down to the scans, and from_json decodes only the fields that are taken out of its struct.
 *
 * prune() is told which columns of an operator are read (need) and answers where they went (place): their new index, their new
 * type, and for a struct with fewer fields where its fields went. */
#include "sql/sql_int.h"

struct need {
	bool used, whole;
	uint8_t *fields;
};
struct place {
	size_t index;
	const struct tm_type *type;
	const size_t *fields;
};

/* ---- sharing ---- */
struct shared {
	struct sx *sx;
	struct {
		struct tm_expr **items;
		size_t count, cap;
	} seen, twice;
};

static bool is_json_field(const struct tm_expr *e)
{
	return e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_field && e->args[0]->kind == TM_EXPR_CALL && e->args[0]->function &&
	       strcmp(e->args[0]->function, "from_json") == 0 && !sx_constant(e->args[0]);
}
static bool worth_sharing(const struct tm_expr *e)
{
	return e->kind == TM_EXPR_CALL && e->arg_count && e->kernel != &sx_kernel_field && !sx_volatile(e) && !sx_constant(e) &&
	       !sx_has(e, TM_EXPR_LAMBDA_VARIABLE);
}
static bool listed(struct tm_expr *const *items, size_t n, const struct tm_expr *e)
{
	for (size_t i = 0; i < n; i++)
		if (sx_same(items[i], e))
			return true;
	return false;
}
/* Only what is certainly evaluated for every row: of lazy calls just the first argument. */
static void find_shared(struct shared *s, struct tm_expr *e)
{
	if (e->kind != TM_EXPR_CALL)
		return;
	if (is_json_field(e) && !listed(s->twice.items, s->twice.count, e->args[0]))
		TM_PUSH_IN(s->sx->arena, &s->twice, e->args[0]);
	if (worth_sharing(e) && s->seen.count < 200) {
		if (!listed(s->seen.items, s->seen.count, e))
			TM_PUSH_IN(s->sx->arena, &s->seen, e);
		else if (!listed(s->twice.items, s->twice.count, e)) {
			TM_PUSH_IN(s->sx->arena, &s->twice, e);
			return;
		} else
			return;
	}
	size_t n = e->kernel->eval_lazy ? (e->arg_count ? 1 : 0) : e->arg_count;
	for (size_t i = 0; i < n; i++)
		find_shared(s, e->args[i]);
}
struct use_shared {
	struct sx *sx;
	const struct shared *shared;
	size_t from;
};
static struct tm_expr *use_shared(void *ctx, struct tm_expr *e)
{
	struct use_shared *u = ctx;
	if (e->kind != TM_EXPR_CALL)
		return e->kind == TM_EXPR_LAMBDA ? e : NULL;
	for (size_t i = 0; i < u->shared->twice.count; i++)
		if (sx_same(u->shared->twice.items[i], e))
			return sx_column_expr(u->sx, u->from + i, e->type, e->nullable, e->text);
	return NULL;
}

/* exprs over op's input: what they share is computed by a projection below. */
static void share(struct sx *sx, struct tm_op *op, struct tm_expr ***lists, const size_t *counts, size_t list_count)
{
	struct shared s = {.sx = sx};
	for (size_t l = 0; l < list_count; l++)
		for (size_t i = 0; i < counts[l]; i++)
			find_shared(&s, lists[l][i]);
	/* A whole expression that is a column already needs no second one. */
	if (!s.twice.count)
		return;
	struct use_shared u = {sx, &s, op->inputs[0]->schema.count};
	op->inputs[0] = sx_op_append(sx, op->inputs[0], s.twice.items, NULL, s.twice.count);
	for (size_t l = 0; l < list_count; l++)
		for (size_t i = 0; i < counts[l]; i++)
			lists[l][i] = sx_rewrite(sx, lists[l][i], use_shared, NULL, &u);
}

static void share_tree(struct sx *sx, struct tm_op *op)
{
	for (size_t i = 0; i < op->input_count; i++)
		share_tree(sx, op->inputs[i]);
	if (op->kind == TM_OP_PROJECT) {
		struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, op->schema.count + 1);
		memcpy(exprs, op->project.exprs, op->schema.count * sizeof *exprs);
		op->project.exprs = exprs;
		share(sx, op, &exprs, &op->schema.count, 1);
	} else if (op->kind == TM_OP_AGGREGATE) {
		size_t n = op->aggregate.agg_count + 1;
		struct tm_expr ***lists = TM_NEW_N(sx->arena, struct tm_expr **, n);
		size_t *counts = TM_NEW_N(sx->arena, size_t, n);
		lists[0] = op->aggregate.keys;
		counts[0] = op->aggregate.key_count;
		for (size_t i = 0; i + 1 < n; i++) {
			struct tm_agg *a = TM_NEW(sx->arena, struct tm_agg);
			*a = *op->aggregate.aggs[i];
			a->args = TM_NEW_N(sx->arena, struct tm_expr *, a->arg_count + 1);
			memcpy(a->args, op->aggregate.aggs[i]->args, a->arg_count * sizeof *a->args);
			op->aggregate.aggs[i] = a;
			lists[i + 1] = a->args;
			counts[i + 1] = a->filter ? 0 : a->arg_count; /* a filtered function's arguments are not evaluated for every row */
		}
		share(sx, op, lists, counts, n);
	}
}

/* ---- needs ---- */
static void need_whole(struct need *n) { n->used = n->whole = true; }
static void add_needs(struct sx *sx, const struct tm_expr *e, struct need *needs)
{
	if (e->kind == TM_EXPR_COLUMN) {
		need_whole(&needs[e->column]);
		return;
	}
	if (e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_field && e->args[0]->kind == TM_EXPR_COLUMN) {
		struct need *n = &needs[e->args[0]->column];
		n->used = true;
		if (!n->fields)
			n->fields = TM_NEW_N(sx->arena, uint8_t, e->args[0]->type->child_count + 1);
		n->fields[(size_t)(uintptr_t)e->bound] = 1;
		return;
	}
	for (size_t i = 0; i < e->arg_count; i++)
		add_needs(sx, e->args[i], needs);
}

struct move {
	struct sx *sx;
	const struct place *places;
};
static struct tm_expr *move(void *ctx, struct tm_expr *e)
{
	struct move *m = ctx;
	const struct tm_expr *base = e->kind == TM_EXPR_CALL && e->kernel == &sx_kernel_field ? e->args[0] : NULL;
	if (base && base->kind == TM_EXPR_COLUMN && m->places[base->column].fields) {
		struct tm_expr *r = sx_copy(m->sx, e);
		r->args = TM_NEW(m->sx->arena, struct tm_expr *);
		r->args[0] = sx_copy(m->sx, base);
		r->args[0]->column = m->places[base->column].index;
		r->args[0]->type = m->places[base->column].type;
		r->bound = (const void *)(uintptr_t)m->places[base->column].fields[(size_t)(uintptr_t)e->bound];
		return r;
	}
	if (e->kind != TM_EXPR_COLUMN)
		return NULL;
	TM_ASSERT(m->places[e->column].index != SIZE_MAX);
	struct tm_expr *r = sx_copy(m->sx, e);
	r->column = m->places[e->column].index;
	r->type = m->places[e->column].type;
	return r;
}
static struct tm_expr *moved(struct sx *sx, struct tm_expr *e, const struct place *places)
{
	struct move m = {sx, places};
	return sx_rewrite(sx, e, move, NULL, &m);
}
static struct tm_expr **moved_list(struct sx *sx, struct tm_expr *const *items, size_t n, const struct place *places)
{
	struct tm_expr **r = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++)
		r[i] = moved(sx, items[i], places);
	return r;
}
static struct tm_agg *moved_agg(struct sx *sx, const struct tm_agg *a, const struct place *places)
{
	struct tm_agg *r = TM_NEW(sx->arena, struct tm_agg);
	*r = *a;
	r->args = moved_list(sx, a->args, a->arg_count, places);
	r->filter = a->filter ? moved(sx, a->filter, places) : NULL;
	return r;
}
static void agg_needs(struct sx *sx, const struct tm_agg *a, struct need *needs)
{
	for (size_t i = 0; i < a->arg_count; i++)
		add_needs(sx, a->args[i], needs);
	if (a->filter)
		add_needs(sx, a->filter, needs);
}

static tm_rc prune(struct sx *sx, struct tm_op *op, struct need *need, struct place *place);

static struct need *new_needs(struct sx *sx, const struct tm_op *op) { return TM_NEW_N(sx->arena, struct need, op->schema.count + 1); }
static struct place *new_places(struct sx *sx, const struct tm_op *op)
{
	struct place *p = TM_NEW_N(sx->arena, struct place, op->schema.count + 1);
	for (size_t i = 0; i < op->schema.count; i++)
		p[i].index = SIZE_MAX;
	return p;
}
/* The output takes over the input's columns where they are now. */
static void pass_schema(struct sx *sx, struct tm_op *op, const struct tm_op *in, const struct place *from, size_t n, struct place *place)
{
	for (size_t i = 0; i < n; i++)
		place[i] = from[i];
	for (size_t i = 0; i < in->schema.count; i++)
		sx_schema_add(sx, op, in->schema.fields[i].name, in->schema.fields[i].type, in->schema.fields[i].nullable);
}
static void clear_schema(struct tm_op *op) { op->schema = (struct tm_schema){0}; }

/* from_json with fewer fields: bound anew with the smaller schema. */
static tm_rc shrink_json(struct sx *sx, struct tm_expr *e, const struct need *need, struct tm_expr **ret, struct place *place)
{
	const struct tm_type *t = e->type;
	*ret = e;
	if (need->whole || !need->fields || e->kind != TM_EXPR_CALL || !e->function || strcmp(e->function, "from_json") != 0 ||
	    e->arg_count != 2 || t->kind != TM_T_STRUCT)
		return TM_OK;
	size_t n = 0, *fields = TM_NEW_N(sx->arena, size_t, t->child_count + 1);
	struct tm_buf ddl = {0};
	for (size_t i = 0; i < t->child_count; i++) {
		fields[i] = SIZE_MAX;
		if (tm_str_is(t->names[i], "_corrupt_record")) {
			tm_buf_done(&ddl);
			return TM_OK;
		}
		if (!need->fields[i])
			continue;
		struct tm_str name = sx_text_quoted(sx, t->names[i]);
		tm_buf_printf(&ddl, "%s%.*s ", n ? ", " : "", TM_STR_ARG(name));
		tm_type_sql(t->children[i], &ddl);
		fields[i] = n++;
	}
	struct tm_expr *args[2] = {e->args[0], sx_literal_str(sx, tm_arena_str(sx->arena, tm_buf_str(&ddl)))}, *r;
	struct sx_env env = {.sx = sx};
	tm_buf_done(&ddl);
	if (n == t->child_count || !n)
		return TM_OK;
	struct tm_err ignored = {0}, *err = sx->err;
	sx->err = &ignored;
	tm_rc rc = sx_call(&env, "from_json", args, 2, e->line, e->column_no, &r);
	sx->err = err;
	if (rc != TM_OK || r->type->kind != TM_T_STRUCT || r->type->child_count != n)
		return TM_OK;
	r->text = e->text;
	*ret = r;
	place->fields = fields;
	return TM_OK;
}

static tm_rc prune_project(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	size_t n = op->schema.count, kept = 0;
	struct tm_field *fields = op->schema.fields;
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (!need[i].used)
			continue;
		exprs[kept] = op->project.exprs[i];
		/* A struct that only passes through passes its needs on. */
		if (exprs[kept]->kind == TM_EXPR_COLUMN && !need[i].whole) {
			struct need *b = &below[exprs[kept]->column];
			b->used = true;
			if (!b->fields)
				b->fields = TM_NEW_N(sx->arena, uint8_t, exprs[kept]->type->child_count + 1);
			for (size_t f = 0; f < exprs[kept]->type->child_count; f++)
				b->fields[f] |= need[i].fields[f];
		} else {
			TM_TRY(shrink_json(sx, exprs[kept], &need[i], &exprs[kept], &place[i]));
			add_needs(sx, exprs[kept], below);
		}
		place[i].index = kept++;
	}
	TM_TRY(prune(sx, in, below, from));
	clear_schema(op);
	for (size_t i = 0; i < n; i++) {
		if (place[i].index == SIZE_MAX)
			continue;
		struct tm_expr *e = exprs[place[i].index];
		if (e->kind == TM_EXPR_COLUMN && from[e->column].fields)
			place[i].fields = from[e->column].fields;
		e = moved(sx, e, from);
		exprs[place[i].index] = e;
		place[i].type = e->type;
		sx_schema_add(sx, op, fields[i].name, e->type, fields[i].nullable);
	}
	if (!kept) {
		exprs[0] = sx_literal_bool(sx, true);
		sx_schema_add(sx, op, TM_STR("one"), &tm_type_boolean, false);
	}
	op->project.exprs = exprs;
	return TM_OK;
}

static tm_rc prune_scan(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	size_t n = op->schema.count, kept = 0, *columns = TM_NEW_N(sx->arena, size_t, n + 1), narrow = 0;
	bool any = false;
	struct tm_field *fields = op->schema.fields;
	for (size_t i = 0; i < n; i++) {
		any = any || need[i].used;
		size_t width = tm_type_width(fields[i].type), best = tm_type_width(fields[narrow].type);
		if (width && (!best || width < best))
			narrow = i;
	}
	/* Rows are counted by a column: the narrowest. */
	if (!any && n)
		need_whole(&need[narrow]);
	clear_schema(op);
	for (size_t i = 0; i < n; i++) {
		if (!need[i].used)
			continue;
		columns[kept] = op->scan.columns[i];
		place[i] = (struct place){kept++, fields[i].type, NULL};
		sx_schema_add(sx, op, fields[i].name, fields[i].type, fields[i].nullable);
	}
	op->scan.columns = columns;
	op->scan.column_count = kept;
	return TM_OK;
}

static tm_rc prune_aggregate(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	size_t keys = op->aggregate.key_count, n = op->aggregate.agg_count, kept = 0;
	struct tm_field *fields = op->schema.fields;
	struct tm_agg **aggs = TM_NEW_N(sx->arena, struct tm_agg *, n + 1);
	for (size_t i = 0; i < keys; i++)
		add_needs(sx, op->aggregate.keys[i], below);
	for (size_t i = 0; i < n; i++) {
		bool last = !keys && !kept && i + 1 == n;
		if (!need[keys + i].used && !last)
			continue;
		agg_needs(sx, op->aggregate.aggs[i], below);
		place[keys + i].index = keys + kept;
		place[keys + i].type = fields[keys + i].type;
		aggs[kept++] = op->aggregate.aggs[i];
	}
	if (op->aggregate.session_gap)
		add_needs(sx, op->aggregate.session_gap, below);
	TM_TRY(prune(sx, in, below, from));
	if (op->aggregate.session_gap)
		op->aggregate.session_gap = moved(sx, op->aggregate.session_gap, from);
	op->aggregate.keys = moved_list(sx, op->aggregate.keys, keys, from);
	clear_schema(op);
	for (size_t i = 0; i < keys; i++) {
		place[i] = (struct place){i, op->aggregate.keys[i]->type, NULL};
		sx_schema_add(sx, op, fields[i].name, fields[i].type, fields[i].nullable);
	}
	for (size_t i = 0; i < n; i++)
		if (place[keys + i].index != SIZE_MAX)
			sx_schema_add(sx, op, fields[keys + i].name, fields[keys + i].type, fields[keys + i].nullable);
	for (size_t i = 0; i < kept; i++)
		aggs[i] = moved_agg(sx, aggs[i], from);
	op->aggregate.aggs = aggs;
	op->aggregate.agg_count = kept;
	return TM_OK;
}

static tm_rc prune_join(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *l = op->inputs[0], *r = op->inputs[1];
	size_t left = l->schema.count, right = r->schema.count;
	bool only_left = op->join.kind == TM_JOIN_SEMI || op->join.kind == TM_JOIN_ANTI;
	struct need *both = TM_NEW_N(sx->arena, struct need, left + right + 1), *right_keys = new_needs(sx, r);
	struct place *from = TM_NEW_N(sx->arena, struct place, left + right + 1), *from_left = new_places(sx, l),
		     *from_right = new_places(sx, r);
	for (size_t i = 0; i < op->schema.count; i++)
		if (need[i].used)
			need_whole(&both[i]);
	for (size_t i = 0; i < op->join.key_count; i++) {
		add_needs(sx, op->join.left_keys[i], both);
		add_needs(sx, op->join.right_keys[i], right_keys);
	}
	if (op->join.residual)
		add_needs(sx, op->join.residual, both);
	for (size_t i = 0; i < left + right; i++)
		if (both[i].used)
			need_whole(&both[i]);
	for (size_t i = 0; i < right; i++)
		if (right_keys[i].used)
			need_whole(&both[left + i]);
	TM_TRY(prune(sx, l, both, from_left));
	TM_TRY(prune(sx, r, both + left, from_right));
	clear_schema(op);
	for (size_t i = 0; i < left; i++)
		from[i] = from_left[i];
	for (size_t i = 0; i < right; i++) {
		from[left + i] = from_right[i];
		if (from_right[i].index != SIZE_MAX)
			from[left + i].index += l->schema.count;
	}
	op->join.left_keys = moved_list(sx, op->join.left_keys, op->join.key_count, from_left);
	op->join.right_keys = moved_list(sx, op->join.right_keys, op->join.key_count, from_right);
	if (op->join.residual)
		op->join.residual = moved(sx, op->join.residual, from);
	size_t outputs = only_left ? left : left + right;
	bool widen_left = op->join.kind == TM_JOIN_RIGHT || op->join.kind == TM_JOIN_FULL,
	     widen_right = op->join.kind == TM_JOIN_LEFT || op->join.kind == TM_JOIN_FULL;
	for (size_t i = 0; i < outputs; i++)
		place[i] = from[i];
	for (size_t i = 0; i < l->schema.count; i++)
		sx_schema_add(sx, op, l->schema.fields[i].name, l->schema.fields[i].type, l->schema.fields[i].nullable || widen_left);
	for (size_t i = 0; !only_left && i < r->schema.count; i++)
		sx_schema_add(sx, op, r->schema.fields[i].name, r->schema.fields[i].type, r->schema.fields[i].nullable || widen_right);
	return TM_OK;
}

/* EXPAND: columns that nobody reads are left out of every projection. */
static tm_rc prune_expand(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	size_t n = op->schema.count, kept = 0, count = op->expand_guarded.count;
	struct tm_field *fields = op->schema.fields;
	struct tm_expr ***projections = TM_NEW_N(sx->arena, struct tm_expr **, count + 1);
	bool any = false;
	for (size_t i = 0; i < n; i++)
		any = any || need[i].used;
	if (!any)
		need_whole(&need[n - 1]);
	for (size_t p = 0; p < count; p++) {
		if (op->expand_guarded.guards && op->expand_guarded.guards[p])
			add_needs(sx, op->expand_guarded.guards[p], below);
		for (size_t i = 0; i < n; i++)
			if (need[i].used)
				add_needs(sx, op->expand_guarded.projections[p][i], below);
	}
	TM_TRY(prune(sx, in, below, from));
	clear_schema(op);
	for (size_t i = 0; i < n; i++)
		if (need[i].used) {
			place[i] = (struct place){kept++, fields[i].type, NULL};
			sx_schema_add(sx, op, fields[i].name, fields[i].type, fields[i].nullable);
		}
	struct tm_expr **guards = op->expand_guarded.guards ? TM_NEW_N(sx->arena, struct tm_expr *, count + 1) : NULL;
	for (size_t p = 0; p < count; p++) {
		projections[p] = TM_NEW_N(sx->arena, struct tm_expr *, kept + 1);
		for (size_t i = 0; i < n; i++)
			if (need[i].used)
				projections[p][place[i].index] = moved(sx, op->expand_guarded.projections[p][i], from);
		if (guards && op->expand_guarded.guards[p])
			guards[p] = moved(sx, op->expand_guarded.guards[p], from);
	}
	op->expand_guarded.projections = projections;
	op->expand_guarded.guards = guards;
	return TM_OK;
}

static tm_rc prune_window(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	size_t have = in->schema.count;
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	struct tm_field *fields = op->schema.fields;
	for (size_t i = 0; i < have; i++)
		below[i] = need[i];
	for (size_t i = 0; i < op->window.partition_count; i++)
		add_needs(sx, op->window.partition[i], below);
	for (size_t i = 0; i < op->window.order_count; i++)
		add_needs(sx, op->window.order[i].expr, below);
	for (size_t i = 0; i < op->window.function_count; i++) {
		const struct tm_window_fn *f = op->window.functions[i];
		for (size_t k = 0; k < f->arg_count; k++)
			add_needs(sx, f->args[k], below);
		if (f->agg)
			agg_needs(sx, f->agg, below);
	}
	for (size_t i = 0; i < have; i++)
		if (below[i].used)
			need_whole(&below[i]);
	TM_TRY(prune(sx, in, below, from));
	clear_schema(op);
	pass_schema(sx, op, in, from, have, place);
	op->window.partition = moved_list(sx, op->window.partition, op->window.partition_count, from);
	struct tm_sort_key *order = TM_NEW_N(sx->arena, struct tm_sort_key, op->window.order_count + 1);
	for (size_t i = 0; i < op->window.order_count; i++) {
		order[i] = op->window.order[i];
		order[i].expr = moved(sx, order[i].expr, from);
	}
	op->window.order = order;
	for (size_t i = 0; i < op->window.function_count; i++) {
		struct tm_window_fn *f = TM_NEW(sx->arena, struct tm_window_fn);
		*f = *op->window.functions[i];
		f->args = moved_list(sx, f->args, f->arg_count, from);
		if (f->agg)
			f->agg = moved_agg(sx, f->agg, from);
		op->window.functions[i] = f;
		place[have + i] = (struct place){in->schema.count + i, fields[have + i].type, NULL};
		sx_schema_add(sx, op, fields[have + i].name, fields[have + i].type, fields[have + i].nullable);
	}
	return TM_OK;
}

/* One column after the other as the parent asked for them. */
static struct tm_op *select_columns(struct sx *sx, struct tm_op *in, const struct need *need, const struct place *from,
				    const struct tm_field *fields, size_t n)
{
	struct tm_expr **exprs = TM_NEW_N(sx->arena, struct tm_expr *, n + 1);
	struct tm_str *names = TM_NEW_N(sx->arena, struct tm_str, n + 1);
	size_t kept = 0;
	bool same = true;
	for (size_t i = 0; i < n; i++) {
		if (!need[i].used)
			continue;
		names[kept] = fields[i].name;
		exprs[kept] = sx_op_column(sx, in, from[i].index);
		same = same && from[i].index == kept;
		kept++;
	}
	return same && kept == in->schema.count ? in : sx_op_project(sx, in, exprs, names, kept);
}

static tm_rc prune_union(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_field *fields = op->schema.fields;
	size_t n = op->schema.count, kept = 0;
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		any = any || need[i].used;
		if (need[i].used)
			need_whole(&need[i]);
	}
	if (!any && n)
		need_whole(&need[0]);
	for (size_t k = 0; k < op->input_count; k++) {
		struct tm_op *in = op->inputs[k];
		struct need *below = new_needs(sx, in);
		struct place *from = new_places(sx, in);
		for (size_t i = 0; i < n; i++)
			below[i] = need[i];
		TM_TRY(prune(sx, in, below, from));
		op->inputs[k] = select_columns(sx, in, need, from, fields, n);
	}
	clear_schema(op);
	for (size_t i = 0; i < n; i++)
		if (need[i].used) {
			place[i] = (struct place){kept++, fields[i].type, NULL};
			sx_schema_add(sx, op, fields[i].name, fields[i].type, fields[i].nullable);
		}
	return TM_OK;
}

/* FILTER, SORT, LIMIT, SAMPLE, WATERMARK, GENERATE: columns pass through. */
static tm_rc prune_through(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	size_t have = in->schema.count, n = op->schema.count;
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	struct tm_field *fields = op->schema.fields;
	for (size_t i = 0; i < have; i++)
		below[i] = need[i];
	if (op->kind == TM_OP_FILTER)
		add_needs(sx, op->filter.condition, below);
	if (op->kind == TM_OP_GENERATE)
		add_needs(sx, op->generate.list, below);
	if (op->kind == TM_OP_WATERMARK)
		need_whole(&below[op->watermark.column]);
	for (size_t i = 0; op->kind == TM_OP_SORT && i < op->sort.key_count; i++)
		add_needs(sx, op->sort.keys[i].expr, below);
	TM_TRY(prune(sx, in, below, from));
	clear_schema(op);
	pass_schema(sx, op, in, from, have, place);
	if (op->kind == TM_OP_FILTER)
		op->filter.condition = moved(sx, op->filter.condition, from);
	if (op->kind == TM_OP_WATERMARK)
		op->watermark.column = from[op->watermark.column].index;
	if (op->kind == TM_OP_GENERATE) {
		op->generate.list = moved(sx, op->generate.list, from);
		for (size_t i = have; i < n; i++) {
			place[i] = (struct place){in->schema.count + i - have, fields[i].type, NULL};
			sx_schema_add(sx, op, fields[i].name, fields[i].type, fields[i].nullable);
		}
	}
	if (op->kind == TM_OP_SORT) {
		struct tm_sort_key *keys = TM_NEW_N(sx->arena, struct tm_sort_key, op->sort.key_count + 1);
		for (size_t i = 0; i < op->sort.key_count; i++) {
			keys[i] = op->sort.keys[i];
			keys[i].expr = moved(sx, keys[i].expr, from);
		}
		op->sort.keys = keys;
	}
	return TM_OK;
}

static tm_rc prune_deduplicate(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	struct tm_op *in = op->inputs[0];
	size_t n = op->schema.count, *columns = TM_NEW_N(sx->arena, size_t, op->deduplicate.column_count + 1);
	struct need *below = new_needs(sx, in);
	struct place *from = new_places(sx, in);
	for (size_t i = 0; i < n; i++)
		below[i] = need[i];
	for (size_t i = 0; i < op->deduplicate.column_count; i++)
		need_whole(&below[op->deduplicate.columns[i]]);
	for (size_t i = 0; i < n && op->streaming; i++)
		if (sx_delay(in, i) >= 0)
			need_whole(&below[i]); /* the event time says when a key may be forgotten */
	TM_TRY(prune(sx, in, below, from));
	clear_schema(op);
	pass_schema(sx, op, in, from, n, place);
	for (size_t i = 0; i < op->deduplicate.column_count; i++)
		columns[i] = from[op->deduplicate.columns[i]].index;
	op->deduplicate.columns = columns;
	if (op->deduplicate.event_time_column >= 0)
		op->deduplicate.event_time_column = (int)from[op->deduplicate.event_time_column].index;
	return TM_OK;
}

/* Everything is read: VALUES, RANGE, INTERSECT, EXCEPT. */
static tm_rc prune_nothing(struct sx *sx, struct tm_op *op, struct place *place)
{
	for (size_t k = 0; k < op->input_count; k++) {
		struct tm_op *in = op->inputs[k];
		struct need *below = new_needs(sx, in);
		struct place *from = new_places(sx, in);
		size_t n = in->schema.count;
		struct tm_field *fields = in->schema.fields;
		for (size_t i = 0; i < n; i++)
			need_whole(&below[i]);
		TM_TRY(prune(sx, in, below, from));
		op->inputs[k] = select_columns(sx, in, below, from, fields, n);
	}
	for (size_t i = 0; i < op->schema.count; i++)
		place[i] = (struct place){i, op->schema.fields[i].type, NULL};
	return TM_OK;
}

static tm_rc prune(struct sx *sx, struct tm_op *op, struct need *need, struct place *place)
{
	switch (op->kind) {
	case TM_OP_SCAN:
		return prune_scan(sx, op, need, place);
	case TM_OP_PROJECT:
		return prune_project(sx, op, need, place);
	case TM_OP_EXPAND:
		return prune_expand(sx, op, need, place);
	case TM_OP_AGGREGATE:
		return prune_aggregate(sx, op, need, place);
	case TM_OP_JOIN:
		return prune_join(sx, op, need, place);
	case TM_OP_WINDOW:
		return prune_window(sx, op, need, place);
	case TM_OP_UNION:
		return prune_union(sx, op, need, place);
	case TM_OP_DEDUPLICATE:
		return prune_deduplicate(sx, op, need, place);
	case TM_OP_FILTER:
	case TM_OP_SORT:
	case TM_OP_LIMIT:
	case TM_OP_SAMPLE:
	case TM_OP_WATERMARK:
	case TM_OP_GENERATE:
		return prune_through(sx, op, need, place);
	default:
		return prune_nothing(sx, op, place);
	}
}

tm_rc sx_prune(struct sx *sx, struct tm_op **io_root)
{
	struct tm_op *root = *io_root;
	size_t n = root->schema.count;
	struct tm_field *fields = root->schema.fields;
	struct need *need = new_needs(sx, root);
	struct place *place = new_places(sx, root);
	share_tree(sx, root);
	for (size_t i = 0; i < n; i++)
		need_whole(&need[i]);
	TM_TRY(prune(sx, root, need, place));
	*io_root = select_columns(sx, root, need, place, fields, n);
	return TM_OK;
}
