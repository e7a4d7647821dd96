/* The look-up of functions, and those over values: blobs, collections, JSON, aggregates' signatures, time to text. */
#include "cql/cql_int.h"

const struct cql_function *cql_function_find(struct tm_str name)
{
	const struct cql_function *const tables[] = {cql_functions_value, cql_functions_time, cql_functions_math, cql_functions_more};
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
		for (const struct cql_function *f = tables[t]; f->name; f++)
			if (tm_str_is(name, f->name))
				return f;
	return NULL;
}

/* ---- aggregates ---- */
static const struct tm_cql_type *resolve_any(struct cql_call *c, struct tm_err *err)
{
	(void)err;
	return c->types[0] = c->natural[0];
}

static const struct tm_cql_type *resolve_count(struct cql_call *c, struct tm_err *err)
{
	return resolve_any(c, err) ? tm_type_native(TM_CQL_BIGINT) : NULL;
}

static bool numeric(const struct tm_cql_type *t)
{
	switch (t->kind) {
	case TM_CQL_TINYINT:
	case TM_CQL_SMALLINT:
	case TM_CQL_INT:
	case TM_CQL_BIGINT:
	case TM_CQL_COUNTER:
	case TM_CQL_FLOAT:
	case TM_CQL_DOUBLE:
	case TM_CQL_VARINT:
	case TM_CQL_DECIMAL:
		return true;
	default:
		return false;
	}
}

static const struct tm_cql_type *resolve_sum(struct cql_call *c, struct tm_err *err)
{
	(void)err;
	const struct tm_cql_type *t = c->types[0] = c->natural[0];
	return t && numeric(t) ? t : NULL;
}

static const struct tm_cql_type *resolve_minmax(struct cql_call *c, struct tm_err *err) { return resolve_any(c, err); }

/* ---- blobs ---- */
static const struct {
	const char *name;
	enum tm_cql_kind kind;
} blob_types[] = {
    {"ascii", TM_CQL_ASCII},       {"bigint", TM_CQL_BIGINT},     {"boolean", TM_CQL_BOOLEAN},
    {"counter", TM_CQL_COUNTER},   {"date", TM_CQL_DATE},         {"decimal", TM_CQL_DECIMAL},
    {"double", TM_CQL_DOUBLE},     {"duration", TM_CQL_DURATION}, {"float", TM_CQL_FLOAT},
    {"inet", TM_CQL_INET},         {"int", TM_CQL_INT},           {"smallint", TM_CQL_SMALLINT},
    {"text", TM_CQL_VARCHAR},      {"time", TM_CQL_TIME},         {"timestamp", TM_CQL_TIMESTAMP},
    {"timeuuid", TM_CQL_TIMEUUID}, {"tinyint", TM_CQL_TINYINT},   {"uuid", TM_CQL_UUID},
    {"varchar", TM_CQL_VARCHAR},   {"varint", TM_CQL_VARINT},
};

/* int_as_blob, intasblob, blob_as_int, blobasint: the kind is in the name. */
static enum tm_cql_kind blob_kind(struct tm_str name, bool *to_blob)
{
	struct tm_str a = tm_str_slice(name, 0, name.len);
	*to_blob = tm_str_ends(a, TM_STR("asblob")) || tm_str_ends(a, TM_STR("as_blob"));
	size_t affix = tm_str_find(a, TM_STR("_"), 0) != SIZE_MAX ? 8 : 6;
	a = *to_blob ? tm_str_slice(a, 0, a.len - (affix == 8 ? 8 : 6)) : tm_str_slice(a, affix, a.len);
	for (size_t i = 0; i < sizeof blob_types / sizeof *blob_types; i++)
		if (tm_str_is(a, blob_types[i].name))
			return blob_types[i].kind;
	return TM_CQL_CUSTOM;
}

static const struct tm_cql_type *resolve_blob(struct cql_call *c, struct tm_err *err)
{
	bool to_blob;
	const struct tm_cql_type *t = tm_type_native(blob_kind(c->expr->text, &to_blob)), *blob = tm_type_native(TM_CQL_BLOB);
	(void)err;
	c->types[0] = to_blob ? t : blob;
	if (!cql_assignable(c->scope, c->args[0], c->types[0]))
		return NULL;
	return to_blob ? blob : t;
}

static tm_rc run_blob(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		      struct tm_err *err)
{
	(void)ev;
	*ret = a[0];
	if (n->type->kind == TM_CQL_BLOB)
		return TM_OK;
	struct tm_err bad;
	if (tm_value_validate(n->type, a[0].bytes, &bad) == TM_OK)
		return TM_OK;
	struct tm_buf hex = {0};
	tm_cql_value_text(tm_type_native(TM_CQL_BLOB), a[0].bytes, &hex);
	tm_rc rc =
	    cql_fail(err, CQL_CODE_INVALID, "In call to function system.%s, value %s is not a valid binary representation for type %s",
		     n->function->name, tm_buf_cstr(&hex), tm_type_native_name(n->type->kind));
	tm_buf_done(&hex);
	return rc;
}

/* ---- token ---- */
static const struct tm_cql_type *resolve_token(struct cql_call *c, struct tm_err *err)
{
	const struct tm_table_def *def = c->scope->table ? &c->scope->table->def : NULL;
	if (!def || c->arg_count != def->partition_key_count) {
		cql_fail(err, CQL_CODE_INVALID,
			 "Invalid number of arguments in call to function system.token: %zu required but %zu provided",
			 def ? def->partition_key_count : 0, c->arg_count);
		return NULL;
	}
	for (size_t i = 0; i < c->arg_count; i++) {
		c->types[i] = def->columns[i].type;
		if (!cql_assignable(c->scope, c->args[i], c->types[i])) {
			cql_fail(err, CQL_CODE_INVALID,
				 "Type error: %s cannot be passed as argument %zu of function system.token of type %s",
				 cql_expr_cstr(c->scope->arena, c->args[i]), i, cql_type_cstr(c->scope->arena, c->types[i]));
			return NULL;
		}
	}
	return tm_type_native(TM_CQL_BIGINT);
}

static tm_rc run_token(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
		       struct tm_err *err)
{
	(void)err;
	struct tm_str *parts = TM_NEW_N(ev->arena, struct tm_str, n->arg_count);
	for (size_t i = 0; i < n->arg_count; i++)
		parts[i] = a[i].bytes;
	struct tm_buf b = {0};
	tm_table_partition_key(&ev->table->def, parts, &b);
	*ret = (struct tm_cql_value){.bytes = cql_be64(ev->arena, tm_value_token(tm_buf_str(&b)))};
	tm_buf_done(&b);
	return TM_OK;
}

/* ---- JSON ---- */
static const struct tm_cql_type *resolve_to_json(struct cql_call *c, struct tm_err *err)
{
	return resolve_any(c, err) ? tm_type_native(TM_CQL_VARCHAR) : NULL;
}

static tm_rc run_to_json(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			 struct tm_err *err)
{
	(void)err;
	struct tm_buf b = {0};
	tm_cql_value_json(n->args[0]->type, a[0].null ? (struct tm_str){0} : a[0].bytes, &b);
	*ret = (struct tm_cql_value){.bytes = tm_arena_str(ev->arena, tm_buf_str(&b))};
	tm_buf_done(&b);
	return TM_OK;
}

static const struct tm_cql_type *resolve_from_json(struct cql_call *c, struct tm_err *err)
{
	if (!c->wanted) {
		cql_fail(err, CQL_CODE_INVALID, "%.*s() cannot be used in the selection clause of a SELECT statement",
			 TM_STR_ARG(c->expr->text));
		return NULL;
	}
	c->types[0] = tm_type_native(TM_CQL_VARCHAR);
	return cql_assignable(c->scope, c->args[0], c->types[0]) ? c->wanted : NULL;
}

static tm_rc run_from_json(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			   struct tm_err *err)
{
	tm_rc rc = cql_json_value(ev->arena, n->type, a[0].bytes, ret, err);
	if (rc != TM_OK && err) {
		err->code = CQL_CODE_FUNCTION;
		if (!tm_str_starts(tm_str_of(err->what), TM_STR("execution of")))
			tm_err_prefix(err, "execution of 'system.%s[text]' failed: ", n->function->name);
	}
	return rc;
}

/* ---- collections ---- */
static const struct tm_cql_type *wrong(struct cql_call *c, struct tm_err *err, const char *wants)
{
	cql_fail(err, CQL_CODE_INVALID, "Function system.%.*s requires a %s argument, but found argument %s of type %s",
		 TM_STR_ARG(c->expr->text), wants, cql_expr_cstr(c->scope->arena, c->args[0]),
		 c->natural[0] ? cql_type_cstr(c->scope->arena, c->natural[0]) : "unknown");
	return NULL;
}

enum { MAP_KEYS, MAP_VALUES, COLL_COUNT, COLL_MIN, COLL_MAX, COLL_SUM, COLL_AVG };
static const struct tm_cql_type *resolve_collection(struct cql_call *c, struct tm_err *err)
{
	const struct tm_cql_type *t = c->types[0] = c->natural[0];
	int what = cql_function_find(c->expr->text)->what;
	if (!t)
		return wrong(c, err, "collection");
	bool list_or_set = t->kind == TM_CQL_LIST || t->kind == TM_CQL_SET;
	switch (what) {
	case MAP_KEYS:
		return t->kind == TM_CQL_MAP ? tm_type_set(t->args[0], false) : wrong(c, err, "map");
	case MAP_VALUES:
		return t->kind == TM_CQL_MAP ? tm_type_list(t->args[1], false) : wrong(c, err, "map");
	case COLL_COUNT:
		return tm_type_is_collection(t) ? tm_type_native(TM_CQL_INT) : wrong(c, err, "collection");
	case COLL_MIN:
	case COLL_MAX:
		return list_or_set ? t->args[0] : wrong(c, err, "set or list");
	default:
		return list_or_set && numeric(t->args[0]) ? t->args[0] : wrong(c, err, "numeric set/list");
	}
}

static tm_rc run_collection(struct cql_eval *ev, const struct cql_node *n, const struct tm_cql_value *a, struct tm_cql_value *ret,
			    struct tm_err *err)
{
	const struct tm_cql_type *t = n->args[0]->type;
	struct tm_value_items it;
	struct tm_str item, best = {0};
	struct {
		struct tm_str *items;
		size_t count, cap;
	} list = {0};
	(void)err;
	if (!tm_value_items_open(a[0].bytes, &it))
		return TM_OK;
	for (size_t i = 0; tm_value_items_next(&it, &item); i++) {
		if ((n->what == MAP_KEYS && i % 2) || (n->what == MAP_VALUES && !(i % 2)))
			continue;
		TM_PUSH_IN(ev->arena, &list, item);
		if (n->what == COLL_MIN || n->what == COLL_MAX) {
			int c = best.at ? tm_value_compare(t->args[0], item, best) : n->what == COLL_MIN ? -1 : 1;
			if (n->what == COLL_MIN ? c < 0 : c > 0)
				best = item;
		}
	}
	switch (n->what) {
	case MAP_KEYS:
	case MAP_VALUES:
		*ret = (struct tm_cql_value){.bytes = cql_pack_items(ev->arena, n->type, list.items, list.count)};
		break;
	case COLL_COUNT:
		*ret = (struct tm_cql_value){.bytes = cql_be32(ev->arena, (int32_t)it.count)};
		break;
	case COLL_MIN:
	case COLL_MAX:
		*ret = (struct tm_cql_value){.bytes = best, .null = !best.at};
		break;
	default:
		*ret = cql_accumulate(ev, n->type, list.items, list.count, n->what == COLL_AVG);
	}
	return TM_OK;
}

#define BLOB(t)                                                                                                                            \
	{#t "asblob", 1, 1, resolve_blob, run_blob, false, CQL_SCALAR, 0},                                                                 \
	    {#t "_as_blob", 1, 1, resolve_blob, run_blob, false, CQL_SCALAR, 0},                                                           \
	    {"blobas" #t, 1, 1, resolve_blob, run_blob, false, CQL_SCALAR, 0},                                                             \
	{                                                                                                                                  \
		"blob_as_" #t, 1, 1, resolve_blob, run_blob, false, CQL_SCALAR, 0                                                          \
	}
const struct cql_function cql_functions_value[] = {
    {"count", 1, 1, resolve_count, NULL, false, CQL_AGG_COUNT, 0},
    {"min", 1, 1, resolve_minmax, NULL, false, CQL_AGG_MIN, 0},
    {"max", 1, 1, resolve_minmax, NULL, false, CQL_AGG_MAX, 0},
    {"sum", 1, 1, resolve_sum, NULL, false, CQL_AGG_SUM, 0},
    {"avg", 1, 1, resolve_sum, NULL, false, CQL_AGG_AVG, 0},
    {"token", 0, -1, resolve_token, run_token, false, CQL_SCALAR, 0},
    {"tojson", 1, 1, resolve_to_json, run_to_json, true, CQL_SCALAR, 0},
    {"to_json", 1, 1, resolve_to_json, run_to_json, true, CQL_SCALAR, 0},
    {"fromjson", 1, 1, resolve_from_json, run_from_json, false, CQL_SCALAR, 0},
    {"from_json", 1, 1, resolve_from_json, run_from_json, false, CQL_SCALAR, 0},
    {"map_keys", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, MAP_KEYS},
    {"map_values", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, MAP_VALUES},
    {"collection_count", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, COLL_COUNT},
    {"collection_min", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, COLL_MIN},
    {"collection_max", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, COLL_MAX},
    {"collection_sum", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, COLL_SUM},
    {"collection_avg", 1, 1, resolve_collection, run_collection, false, CQL_SCALAR, COLL_AVG},
    BLOB(ascii),
    BLOB(bigint),
    BLOB(boolean),
    BLOB(counter),
    BLOB(date),
    BLOB(decimal),
    BLOB(double),
    BLOB(duration),
    BLOB(float),
    BLOB(inet),
    BLOB(int),
    BLOB(smallint),
    BLOB(text),
    BLOB(time),
    BLOB(timestamp),
    BLOB(timeuuid),
    BLOB(tinyint),
    BLOB(uuid),
    BLOB(varchar),
    BLOB(varint),
    {0},
};
