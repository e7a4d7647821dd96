/* The room's door: preparing, executing, batches; what a keyspace's replication demands of a consistency level. */
#include "cql/cql_int.h"
#include <stdlib.h>

struct tm_str cql_session_keyspace(const struct tm_cql_session *s) { return s->keyspace; }

bool cql_is_system_keyspace(struct tm_str name)
{
	static const char *const names[] = {"system",        "system_schema", "system_auth",           "system_distributed",
					    "system_traces", "system_views",  "system_virtual_schema", NULL};
	return tm_str_among(name, names);
}

static tm_rc no_keyspace(struct tm_err *err)
{
	return cql_fail(err, CQL_CODE_INVALID, "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename");
}

tm_rc cql_find_table(const struct tm_cql_session *s, const struct cql_name *name, const struct tm_table_def **ret, bool *ret_virtual,
		     struct tm_err *err)
{
	struct tm_str ks = name->has_keyspace ? name->keyspace : s->keyspace;
	if (!ks.len)
		return no_keyspace(err);
	*ret_virtual = false;
	if ((*ret = tm_store_table(s->store, ks, name->name)))
		return TM_OK;
	*ret_virtual = true;
	if ((*ret = cql_virtual_table(s->store, ks, name->name)))
		return TM_OK;
	const struct tm_schema *schema = tm_store_schema(s->store);
	bool unused, exists = tm_schema_keyspace(schema, ks) || cql_virtual_keyspace(s->store, ks, &unused);
	tm_schema_unref(s->store, schema);
	return exists ? cql_fail(err, CQL_CODE_INVALID, "table %.*s does not exist", TM_STR_ARG(name->name))
		      : cql_fail(err, CQL_CODE_INVALID, "keyspace %.*s does not exist", TM_STR_ARG(ks));
}

/* ---- prepared statements ---- */
static void prepared_free(struct tm_cql_prepared *p)
{
	if (p->def && !p->def_is_virtual)
		tm_table_def_unref(p->store, p->def);
	for (size_t i = 0; i < p->def_count; i++)
		tm_table_def_unref(p->store, p->defs[i]);
	struct tm_arena arena = p->arena;
	tm_arena_done(&arena);
}

void tm_cql_prepared_unref(struct tm_cql_prepared *p)
{
	if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
		prepared_free(p);
}

const uint8_t *tm_cql_prepared_id(const struct tm_cql_prepared *p) { return p->id; }

static void digest(uint8_t out[16], struct tm_str a, struct tm_str b)
{
	uint64_t h[2];
	for (uint64_t i = 0; i < 2; i++)
		h[i] = tm_xxh64(b.at, b.len, tm_xxh64(a.at, a.len, i + 1));
	memcpy(out, h, 16);
}

/* Markers of which all of the partition key is made, in its order; none when a part has no marker. */
static void find_pk_markers(struct tm_cql_prepared *p, const struct tm_table_def *def, const struct cql_relation *where, size_t where_count,
			    const struct cql_modify *insert)
{
	uint16_t *index = TM_NEW_N(&p->arena, uint16_t, def->partition_key_count + 1);
	for (size_t k = 0; k < def->partition_key_count; k++) {
		const struct cql_expr *value = NULL;
		for (size_t i = 0; i < where_count; i++) {
			const struct cql_relation *r = &where[i];
			if (r->token || r->tuple || r->element || !tm_str_eq(r->columns[0], def->columns[k].name))
				continue;
			if (r->op == CQL_EQ)
				value = r->value;
			else if (r->op == CQL_IN && r->value_list && r->value_count)
				value = r->values[r->value_count - 1];
		}
		for (size_t i = 0; insert && i < insert->column_count && i < insert->value_count; i++)
			if (tm_str_eq(insert->columns[i], def->columns[k].name))
				value = insert->values[i];
		if (!value || value->kind != CQL_E_MARKER)
			return;
		index[k] = (uint16_t)value->marker;
	}
	p->pk_index = index;
	p->pk_count = def->partition_key_count;
}

static tm_rc modifiable(const struct tm_table_def *def, bool is_virtual, struct tm_err *err)
{
	if (!is_virtual)
		return TM_OK;
	return cql_is_system_keyspace(def->keyspace)
		   ? cql_fail(err, CQL_CODE_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.", TM_STR_ARG(def->keyspace))
		   : cql_fail(err, CQL_CODE_INVALID, "Virtual tables cannot be modified");
}

static tm_rc prepare_batch(struct cql_scope *s, struct tm_cql_prepared *p)
{
	const struct cql_batch *b = &p->statement.batch;
	p->modify = tm_arena_zalloc(&p->arena, tm_mul_size(cql_modify_plan_size(), b->part_count + 1));
	p->modify_count = b->part_count;
	if (b->timestamp && b->timestamp->kind == CQL_E_MARKER)
		cql_marker(s, b->timestamp->marker, TM_STR("[timestamp]"), tm_type_native(TM_CQL_BIGINT));
	p->defs = TM_NEW_N(&p->arena, const struct tm_table_def *, b->part_count + 1);
	for (size_t i = 0; i < b->part_count; i++) {
		const struct tm_table_def *def;
		bool is_virtual;
		TM_TRY(cql_find_table(s->session, &b->parts[i].table, &def, &is_virtual, s->err));
		TM_TRY(modifiable(def, is_virtual, s->err));
		p->defs[p->def_count++] = def;
		if (b->timestamp && b->parts[i].timestamp)
			return cql_fail(s->err, CQL_CODE_INVALID, "Timestamp must be set either on BATCH or individual statements");
		TM_TRY(cql_modify_prepare(s, p, &b->parts[i], tm_table_of(def), cql_modify_plan_at(p->modify, i)));
		bool one_table = true;
		for (size_t j = 1; j < b->part_count; j++)
			one_table &= tm_str_eq(b->parts[j].table.name, b->parts[0].table.name) &&
				     tm_str_eq(b->parts[j].table.keyspace, b->parts[0].table.keyspace);
		if (i == 0 && one_table)
			find_pk_markers(p, def, b->parts[i].where, b->parts[i].where_count,
					b->parts[i].kind == CQL_INSERT ? &b->parts[i] : NULL);
	}
	for (size_t i = 0; b->timestamp && i < b->part_count; i++)
		if (b->parts[i].condition_count || b->parts[i].if_exists || b->parts[i].if_not_exists)
			return cql_fail(s->err, CQL_CODE_INVALID, "Cannot provide custom timestamp for conditional BATCH");
	if (b->ttl)
		return cql_fail(s->err, CQL_CODE_INVALID, "Global TTL on the BATCH statement is not supported.");
	return TM_OK;
}

static tm_rc prepare_into(struct tm_cql_session *session, struct tm_cql_prepared *p, const struct tm_schema *schema, struct tm_err *err)
{
	struct cql_statement *st = &p->statement;
	TM_TRY(cql_parse(&p->arena, p->text, st, err));
	p->markers = TM_NEW_N(&p->arena, struct tm_cql_column_spec, st->marker_count + 1);
	struct cql_scope s = {.arena = &p->arena,
			      .session = session,
			      .schema = schema,
			      .markers = p->markers,
			      .marker_count = st->marker_count,
			      .marker_names = st->marker_names,
			      .err = err};
	switch (st->kind) {
	case CQL_S_SELECT:
		TM_TRY(cql_find_table(session, &st->select.table, &p->def, &p->def_is_virtual, err));
		s.table = tm_table_of(p->def);
		TM_TRY(cql_select_prepare(&s, p, &st->select));
		find_pk_markers(p, p->def, st->select.where, st->select.where_count, NULL);
		break;
	case CQL_S_MODIFY:
		TM_TRY(cql_find_table(session, &st->modify.table, &p->def, &p->def_is_virtual, err));
		TM_TRY(modifiable(p->def, p->def_is_virtual, err));
		p->modify = tm_arena_zalloc(&p->arena, cql_modify_plan_size());
		p->modify_count = 1;
		TM_TRY(cql_modify_prepare(&s, p, &st->modify, tm_table_of(p->def), p->modify));
		find_pk_markers(p, p->def, st->modify.where, st->modify.where_count, st->modify.kind == CQL_INSERT ? &st->modify : NULL);
		break;
	case CQL_S_BATCH:
		TM_TRY(prepare_batch(&s, p));
		break;
	default:
		break;
	}
	for (size_t i = 0; i < st->marker_count; i++)
		if (!p->markers[i].type)
			return cql_fail(err, CQL_CODE_INVALID, "the type of bind marker %zu cannot be told", i);
	if (!p->pk_index)
		p->pk_count = 0;
	return TM_OK;
}

tm_rc tm_cql_prepare(struct tm_cql_session *session, struct tm_str text, struct tm_cql_prepared **ret, struct tm_err *err)
{
	struct tm_arena arena;
	struct tm_err mine;
	tm_arena_init(&arena);
	err = err ? err : &mine;
	struct tm_cql_prepared *p = TM_NEW(&arena, struct tm_cql_prepared);
	p->arena = arena;
	p->refs = 1;
	p->store = session->store;
	p->text = tm_arena_str(&p->arena, text);
	p->keyspace = tm_arena_str(&p->arena, session->keyspace);
	p->schema_sequence = tm_store_schema_sequence(session->store);
	digest(p->id, session->keyspace, text);
	const struct tm_schema *schema = tm_store_schema(session->store);
	tm_rc rc = prepare_into(session, p, schema, err);
	tm_schema_unref(session->store, schema);
	if (rc != TM_OK) {
		prepared_free(p);
		return rc;
	}
	const struct tm_cql_column_spec *columns;
	size_t count;
	struct tm_buf b = {0};
	cql_select_columns(p, &columns, &count);
	for (size_t i = 0; i < count; i++) {
		tm_buf_str_put(&b, columns[i].name);
		tm_buf_u8(&b, 0);
		tm_table_type_text(columns[i].type, &b);
		tm_buf_u8(&b, 0);
	}
	digest(p->result_id, (struct tm_str){"", 0}, tm_buf_str(&b));
	tm_buf_done(&b);
	*ret = p;
	return TM_OK;
}

static bool table_changed(const struct tm_cql_prepared *p, const struct tm_table_def *def)
{
	const struct tm_table_def *now = tm_store_table(p->store, def->keyspace, def->name);
	tm_table_def_unref(p->store, now);
	return now != def;
}

void tm_cql_prepared_describe(const struct tm_cql_prepared *p, struct tm_cql_prepared_info *ret)
{
	*ret = (struct tm_cql_prepared_info){.markers = p->markers,
					     .marker_count = p->statement.marker_count,
					     .partition_key_index = p->pk_index,
					     .partition_key_count = p->pk_count,
					     .result_metadata_id = p->result_id};
	cql_select_columns(p, &ret->columns, &ret->column_count);
	if (p->schema_sequence != tm_store_schema_sequence(p->store)) {
		if (p->def && !p->def_is_virtual)
			ret->stale = table_changed(p, p->def);
		for (size_t i = 0; i < p->def_count; i++)
			ret->stale |= table_changed(p, p->defs[i]);
	}
}

/* ---- consistency ---- One node: whatever needs a second replica is unavailable. */
enum { CL_ANY, CL_ONE, CL_TWO, CL_THREE, CL_QUORUM, CL_ALL, CL_LOCAL_QUORUM, CL_EACH_QUORUM, CL_SERIAL, CL_LOCAL_SERIAL, CL_LOCAL_ONE };
static const char *const level_names[] = {"ANY",          "ONE",         "TWO",    "THREE",        "QUORUM",   "ALL",
					  "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE"};

static int replication_factor(struct tm_store *store, struct tm_str keyspace)
{
	int factor = 1;
	const struct tm_schema *schema = tm_store_schema(store);
	const struct tm_keyspace *ks = tm_schema_keyspace(schema, keyspace);
	for (size_t i = 0; ks && i < ks->replication.count; i++) {
		int64_t v;
		struct tm_map_entry e = ks->replication.entries[i];
		if (!tm_str_is(e.key, "class") && tm_str_to_i64(e.value, &v))
			factor = (int)v;
	}
	tm_schema_unref(store, schema);
	return factor;
}

static tm_rc check_consistency(const struct cql_run *run, const struct tm_table_def *def, bool write, bool conditional, struct tm_err *err)
{
	int level = run->options->consistency;
	if (level < 0 || level > CL_LOCAL_ONE)
		level = CL_ONE;
	if (!write && level == CL_ANY)
		return cql_fail(err, CQL_CODE_INVALID, "ANY ConsistencyLevel is only supported for writes");
	if (write && (level == CL_SERIAL || level == CL_LOCAL_SERIAL) && !conditional)
		return cql_fail(err, CQL_CODE_INVALID, "You must use conditional updates for serializable writes");
	if (!write && level == CL_EACH_QUORUM)
		return TM_OK;
	int serial = run->options->serial_consistency;
	if (conditional && serial && serial != CL_SERIAL && serial != CL_LOCAL_SERIAL) /* 0: a caller that has none */
		return cql_fail(err, CQL_CODE_INVALID, "Invalid consistency for conditional update. Must be one of SERIAL or LOCAL_SERIAL");
	if (conditional)
		level = CL_QUORUM;
	if (level == CL_ONE || level == CL_LOCAL_ONE || level == CL_ANY)
		return TM_OK;
	int factor = replication_factor(run->session->store, def->keyspace), need = 1;
	if (level == CL_TWO || level == CL_THREE)
		need = level;
	else if (level == CL_ALL)
		need = factor;
	else
		need = factor / 2 + 1;
	if (need <= 1)
		return TM_OK;
	tm_rc rc = cql_fail(err, CQL_CODE_UNAVAILABLE, "Cannot achieve consistency level %s", level_names[level]);
	tm_err_detail(err, "required %d alive 1", need);
	return rc;
}

/* ---- results ---- */
void cql_result_warn(struct cql_run *run, struct tm_str text)
{
	struct tm_str *list = TM_NEW_N(run->arena, struct tm_str, run->result->warning_count + 1);
	if (run->result->warning_count)
		tm_copy(list, run->result->warnings, run->result->warning_count * sizeof *list);
	list[run->result->warning_count++] = tm_arena_str(run->arena, text);
	run->result->warnings = list;
}

struct tm_cql_value *cql_result_row(struct cql_run *run, size_t *cap)
{
	struct tm_cql_result *r = run->result;
	size_t n = r->column_count ? r->column_count : 1;
	if (r->row_count == *cap) {
		size_t more = *cap ? *cap * 2 : 4;
		r->values = tm_arena_grow(run->arena, r->values, tm_mul_size(*cap, n * sizeof *r->values),
					  tm_mul_size(more, n * sizeof *r->values));
		*cap = more;
	}
	struct tm_cql_value *row = r->values + r->row_count++ * n;
	for (size_t i = 0; i < n; i++)
		row[i] = (struct tm_cql_value){.null = true};
	return row;
}

/* The result outlives the statement: names go into the request's memory (types live for ever). */
static void own_columns(struct cql_run *run)
{
	struct tm_cql_result *r = run->result;
	struct tm_cql_column_spec *own = TM_NEW_N(run->arena, struct tm_cql_column_spec, r->column_count + 1);
	struct tm_str ks = {0}, table = {0};
	for (size_t i = 0; i < r->column_count; i++) {
		own[i] = r->columns[i];
		own[i].keyspace = ks = ks.at && tm_str_eq(ks, own[i].keyspace) ? ks : tm_arena_str(run->arena, own[i].keyspace);
		own[i].table = table = table.at && tm_str_eq(table, own[i].table) ? table : tm_arena_str(run->arena, own[i].table);
		own[i].name = tm_arena_str(run->arena, own[i].name);
	}
	r->columns = own;
}

/* ---- executing ---- */
static tm_rc values_in_order(const struct tm_cql_prepared *p, const struct tm_cql_query_options *o, struct tm_arena *arena,
			     const struct tm_cql_value **ret, size_t *ret_count, struct tm_err *err)
{
	size_t n = p->statement.marker_count;
	*ret = o->values;
	*ret_count = o->value_count;
	if (!o->names) {
		if (o->value_count != n)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid amount of bind variables");
		return TM_OK;
	}
	struct tm_cql_value *values = TM_NEW_N(arena, struct tm_cql_value, n + 1);
	for (size_t i = 0; i < n; i++) {
		bool given = false;
		for (size_t j = 0; j < o->value_count; j++)
			if (tm_str_eq(o->names[j], p->markers[i].name)) {
				values[i] = o->values[j];
				given = true;
			}
		if (!given)
			return cql_fail(err, CQL_CODE_INVALID, "Invalid amount of bind variables");
	}
	*ret = values;
	*ret_count = n;
	return TM_OK;
}

static struct cql_run begin_run(struct tm_cql_session *session, const struct tm_cql_prepared *p, const struct tm_cql_query_options *o,
				struct tm_table_batch *pending, struct tm_arena *arena, struct tm_cql_result *ret)
{
	struct cql_run run = {.session = session, .prepared = p, .options = o, .pending = pending, .arena = arena, .result = ret};
	*ret = (struct tm_cql_result){.kind = TM_CQL_VOID};
	run.ev = (struct cql_eval){.arena = arena,
				   .session = session,
				   .table = p && p->def ? tm_table_of(p->def) : NULL,
				   .now_s = o->now_in_seconds != INT64_MIN ? o->now_in_seconds : tm_store_clock_s(session->store)};
	return run;
}

static tm_rc run_modify(struct cql_run *run, struct tm_err *err)
{
	const struct tm_cql_prepared *p = run->prepared;
	struct cql_modify_item *items = TM_NEW_N(run->arena, struct cql_modify_item, p->modify_count + 1);
	const struct cql_node *timestamp = NULL;
	struct cql_node marker;
	bool batch = p->statement.kind == CQL_S_BATCH;
	for (size_t i = 0; i < p->modify_count; i++)
		items[i] = (struct cql_modify_item){p, cql_modify_plan_at(p->modify, i), run->ev.values, run->ev.value_count};
	if (batch && p->statement.batch.timestamp) {
		const struct cql_expr *e = p->statement.batch.timestamp;
		marker = (struct cql_node){
		    .op = e->kind == CQL_E_MARKER ? CQL_N_MARKER : CQL_N_CONST, .type = tm_type_native(TM_CQL_BIGINT), .index = e->marker};
		int64_t v;
		if (e->kind != CQL_E_MARKER) {
			if (!tm_str_to_i64(e->text, &v))
				return cql_fail(err, CQL_CODE_INVALID, "Unable to make long from '%.*s'", TM_STR_ARG(e->text));
			marker.value.bytes = cql_be64(run->arena, v);
		}
		timestamp = &marker;
	}
	return cql_modify_run(run, items, p->modify_count, batch ? p->statement.batch.type : 1, batch, timestamp, err);
}

static bool conditional(const struct cql_statement *st)
{
	const struct cql_modify *m = st->kind == CQL_S_MODIFY ? &st->modify : st->kind == CQL_S_BATCH ? st->batch.parts : NULL;
	size_t n = st->kind == CQL_S_MODIFY ? 1 : st->kind == CQL_S_BATCH ? st->batch.part_count : 0;
	for (size_t i = 0; i < n; i++)
		if (m[i].condition_count || m[i].if_exists || m[i].if_not_exists)
			return true;
	return false;
}

tm_rc tm_cql_execute(struct tm_cql_session *session, const struct tm_cql_prepared *p, const struct tm_cql_query_options *o,
		     struct tm_table_batch *pending, struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_err mine;
	err = err ? err : &mine;
	struct cql_run run = begin_run(session, p, o, pending, arena, ret);
	TM_TRY(values_in_order(p, o, arena, &run.ev.values, &run.ev.value_count, err));
	tm_rc rc = TM_OK;
	switch (p->statement.kind) {
	case CQL_S_SELECT:
		if (!p->def_is_virtual)
			TM_TRY(check_consistency(&run, p->def, false, false, err));
		rc = cql_select_run(&run, err);
		break;
	case CQL_S_MODIFY:
	case CQL_S_BATCH: {
		const struct tm_table_def *def = p->def ? p->def : p->def_count ? p->defs[0] : NULL;
		if (def)
			TM_TRY(check_consistency(&run, def, true, conditional(&p->statement), err));
		rc = run_modify(&run, err);
		break;
	}
	case CQL_S_DDL:
		if (pending)
			TM_TRY(tm_table_batch_commit(pending, true, err));
		rc = cql_ddl_run(&run, &p->statement.ddl, err);
		break;
	case CQL_S_DESCRIBE:
		rc = cql_describe_run(&run, &p->statement.describe, err);
		break;
	}
	if (rc == TM_OK && ret->kind == TM_CQL_ROWS)
		own_columns(&run);
	return rc;
}

tm_rc tm_cql_query(struct tm_cql_session *session, struct tm_str text, const struct tm_cql_query_options *o, struct tm_table_batch *pending,
		   struct tm_arena *arena, struct tm_cql_result *ret, struct tm_err *err)
{
	struct tm_cql_session own = *session;
	struct tm_cql_prepared *p;
	struct tm_err mine;
	err = err ? err : &mine;
	if (o->keyspace.len) {
		const struct tm_schema *schema = tm_store_schema(session->store);
		bool unused, there = tm_schema_keyspace(schema, o->keyspace) || cql_virtual_keyspace(session->store, o->keyspace, &unused);
		tm_schema_unref(session->store, schema);
		if (!there)
			return cql_fail(err, CQL_CODE_INVALID, "Keyspace '%.*s' does not exist", TM_STR_ARG(o->keyspace));
		own.keyspace = o->keyspace;
	}
	TM_TRY(tm_cql_prepare(&own, text, &p, err));
	tm_rc rc = tm_cql_execute(&own, p, o, pending, arena, ret, err);
	tm_cql_prepared_unref(p);
	return rc;
}

tm_rc tm_cql_batch(struct tm_cql_session *session, int type, const struct tm_cql_batch_part *parts, size_t part_count,
		   const struct tm_cql_query_options *o, struct tm_table_batch *pending, struct tm_arena *arena, struct tm_cql_result *ret,
		   struct tm_err *err)
{
	struct tm_err mine;
	err = err ? err : &mine;
	struct cql_run run = begin_run(session, part_count ? parts[0].prepared : NULL, o, pending, arena, ret);
	struct {
		struct cql_modify_item *items;
		size_t count, cap;
	} list = {0};
	bool condition = false;
	for (size_t i = 0; i < part_count; i++) {
		const struct tm_cql_prepared *p = parts[i].prepared;
		if (p->statement.kind != CQL_S_MODIFY)
			return cql_fail(err, CQL_CODE_INVALID,
					"Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed.");
		struct cql_modify_item item = {.prepared = p, .plan = p->modify};
		TM_TRY(values_in_order(p, &parts[i].options, arena, &item.values, &item.value_count, err));
		TM_PUSH_IN(arena, &list, item);
		condition |= conditional(&p->statement);
	}
	if (part_count)
		TM_TRY(check_consistency(&run, parts[0].prepared->def, true, condition, err));
	tm_rc rc = cql_modify_run(&run, list.items, list.count, type, true, NULL, err);
	if (rc == TM_OK && ret->kind == TM_CQL_ROWS)
		own_columns(&run);
	return rc;
}

/* ---- scripts ---- */
bool tm_cql_split(struct tm_str *rest, struct tm_str *ret)
{
	for (;;) {
		struct tm_str s = tm_str_trim(*rest);
		if (!s.len)
			return false;
		size_t i = 0, word = 0;
		bool batch = false, any = false;
		for (; i < s.len; i++) {
			char c = s.at[i];
			if (c == '\'' || c == '"') {
				for (i++; i < s.len && s.at[i] != c; i++)
					;
				any = true;
			} else if (c == '$' && i + 1 < s.len && s.at[i + 1] == '$') {
				size_t to = tm_str_find(s, TM_STR("$$"), i + 2);
				i = to == SIZE_MAX ? s.len : to + 1;
				any = true;
			} else if ((c == '-' || c == '/') && i + 1 < s.len && s.at[i + 1] == c) {
				while (i < s.len && s.at[i] != '\n')
					i++;
			} else if (c == '/' && i + 1 < s.len && s.at[i + 1] == '*') {
				size_t to = tm_str_find(s, TM_STR("*/"), i + 2);
				i = to == SIZE_MAX ? s.len : to + 1;
			} else if (c == ';' && !batch) {
				break;
			} else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
				size_t from = i;
				while (i < s.len && ((s.at[i] >= 'a' && s.at[i] <= 'z') || (s.at[i] >= 'A' && s.at[i] <= 'Z') ||
						     s.at[i] == '_' || (s.at[i] >= '0' && s.at[i] <= '9')))
					i++;
				struct tm_str w = tm_str_slice(s, from, i);
				if (word++ == 0 && tm_str_iis(w, "begin"))
					batch = true;
				else if (batch && tm_str_iis(w, "apply"))
					batch = false;
				any = true;
				i--;
			} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
				any = true;
			}
		}
		if (i > s.len)
			i = s.len;
		*ret = tm_str_trim(tm_str_slice(s, 0, i));
		*rest = i < s.len ? tm_str_slice(s, i + 1, s.len) : (struct tm_str){"", 0};
		if (any)
			return true;
	}
}
