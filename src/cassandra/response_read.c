/* Responses, read by a client. Types nest at most TM_LIMIT_CQL_NESTING deep; counts are checked against the bytes left. */
#include <stdlib.h>
#include "cassandra/protocol.h"

#define MARSHAL "org.apache.cassandra.db.marshal."

struct reading {
	struct tm_cursor c;
	struct tm_arena *arena;
	int version;
};

static struct tm_str string_take(struct tm_cursor *c)
{
	uint16_t len = tm_cursor_be16(c);
	return tm_cursor_take(c, len);
}

static struct tm_cql_value value_take(struct tm_cursor *c)
{
	int32_t len = (int32_t)tm_cursor_be32(c);
	struct tm_cql_value v = {.null = len < 0};
	if (len < -1)
		c->bad = true;
	if (len >= 0 && !c->bad) {
		v.bytes = tm_cursor_take(c, (size_t)len);
		if (!v.bytes.at)
			v.bytes.at = "";
	}
	return v;
}

static struct tm_cql_type *type_new(struct reading *r, enum tm_cql_kind kind, size_t args)
{
	struct tm_cql_type *t = TM_NEW(r->arena, struct tm_cql_type);
	t->kind = kind;
	t->arg_count = args;
	t->args = TM_NEW_N(r->arena, const struct tm_cql_type *, args + 1);
	return t;
}

static const struct {
	const char *klass;
	enum tm_cql_kind kind;
} classes[] = {
    {"AsciiType", TM_CQL_ASCII},         {"LongType", TM_CQL_BIGINT},           {"BytesType", TM_CQL_BLOB},
    {"BooleanType", TM_CQL_BOOLEAN},     {"CounterColumnType", TM_CQL_COUNTER}, {"DecimalType", TM_CQL_DECIMAL},
    {"DoubleType", TM_CQL_DOUBLE},       {"FloatType", TM_CQL_FLOAT},           {"Int32Type", TM_CQL_INT},
    {"TimestampType", TM_CQL_TIMESTAMP}, {"DateType", TM_CQL_TIMESTAMP},        {"UUIDType", TM_CQL_UUID},
    {"UTF8Type", TM_CQL_VARCHAR},        {"IntegerType", TM_CQL_VARINT},        {"TimeUUIDType", TM_CQL_TIMEUUID},
    {"InetAddressType", TM_CQL_INET},    {"SimpleDateType", TM_CQL_DATE},       {"TimeType", TM_CQL_TIME},
    {"ShortType", TM_CQL_SMALLINT},      {"ByteType", TM_CQL_TINYINT},          {"DurationType", TM_CQL_DURATION},
    {"EmptyType", TM_CQL_EMPTY},
};

/* A class name with its arguments, the part of the grammar that can be inside a vector. */
static const struct tm_cql_type *class_type(struct reading *r, struct tm_str *text, int depth)
{
	struct tm_str s = tm_str_trim(*text), prefix = TM_STR(MARSHAL);
	size_t end = 0;
	while (end < s.len && s.at[end] != '(' && s.at[end] != ')' && s.at[end] != ',' && s.at[end] != ' ')
		end++;
	struct tm_str whole = tm_str_slice(s, 0, end), name = whole;
	if (tm_str_starts(name, prefix))
		name = tm_str_slice(name, prefix.len, name.len);
	s = tm_str_slice(s, end, s.len);
	struct tm_cql_type *t = NULL;
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		if (tm_str_is(name, classes[i].klass))
			t = type_new(r, classes[i].kind, 0);
	bool vector = tm_str_is(name, "VectorType"), list = tm_str_is(name, "ListType"), set = tm_str_is(name, "SetType"),
	     map = tm_str_is(name, "MapType");
	bool tuple = tm_str_is(name, "TupleType"), through = tm_str_is(name, "FrozenType") || tm_str_is(name, "ReversedType");
	if (!t && (vector || list || set || map || tuple || through) && s.len > 0 && s.at[0] == '(' && depth < TM_LIMIT_CQL_NESTING) {
		struct {
			const struct tm_cql_type **items;
			size_t count, cap;
		} args = {0};
		do {
			s = tm_str_slice(s, 1, s.len); /* the ( or , */
			TM_PUSH_IN(r->arena, &args, class_type(r, &s, depth + 1));
			s = tm_str_trim(s);
		} while (!vector && s.len > 0 && s.at[0] == ',');
		t = type_new(r, vector ? TM_CQL_VECTOR : list ? TM_CQL_LIST : set ? TM_CQL_SET : map ? TM_CQL_MAP : TM_CQL_TUPLE, 0);
		t->args = args.items;
		t->arg_count = args.count;
		if (vector && s.len > 0 && s.at[0] == ',') {
			size_t close = tm_str_find(s, TM_STR(")"), 0);
			int64_t n = 0;
			if (close != SIZE_MAX && tm_str_to_i64(tm_str_trim(tm_str_slice(s, 1, close)), &n) && n > 0)
				t->dimension = (size_t)n;
			s = tm_str_slice(s, close == SIZE_MAX ? s.len : close, s.len);
		}
		if (s.len > 0 && s.at[0] == ')')
			s = tm_str_slice(s, 1, s.len);
		else
			r->c.bad = true;
		if ((map && t->arg_count != 2) || ((list || set || through) && t->arg_count != 1) || (vector && !t->dimension))
			r->c.bad = true;
		*text = s;
		return through && !r->c.bad ? t->args[0] : t;
	}
	if (!t) { /* a class of its own: shown by its name, the value as bytes */
		t = type_new(r, TM_CQL_CUSTOM, 0);
		t->name = tm_str_trim(*text);
		s = (struct tm_str){0};
	}
	*text = s;
	return t;
}

static const struct tm_cql_type *type_take(struct reading *r, int depth)
{
	uint16_t code = tm_cursor_be16(&r->c);
	struct tm_cql_type *t;
	if (r->c.bad || depth > TM_LIMIT_CQL_NESTING) {
		r->c.bad = true;
		return type_new(r, TM_CQL_BLOB, 0);
	}
	switch (code) {
	case TM_CQL_CUSTOM: {
		struct tm_str name = string_take(&r->c);
		return class_type(r, &name, depth);
	}
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE: {
		size_t n = code == TM_CQL_TUPLE ? tm_cursor_be16(&r->c) : code == TM_CQL_MAP ? 2 : 1;
		if (tm_cursor_left(&r->c) / 2 < n)
			r->c.bad = true;
		t = type_new(r, code, r->c.bad ? 0 : n);
		for (size_t i = 0; i < t->arg_count; i++)
			t->args[i] = type_take(r, depth + 1);
		return t;
	}
	case TM_CQL_UDT: {
		struct tm_str keyspace = string_take(&r->c), name = string_take(&r->c);
		size_t n = tm_cursor_be16(&r->c);
		if (tm_cursor_left(&r->c) / 4 < n)
			r->c.bad = true;
		t = type_new(r, TM_CQL_UDT, r->c.bad ? 0 : n);
		t->keyspace = tm_arena_str(r->arena, keyspace);
		t->name = tm_arena_str(r->arena, name);
		struct tm_str *fields = TM_NEW_N(r->arena, struct tm_str, t->arg_count + 1);
		for (size_t i = 0; i < t->arg_count; i++) {
			fields[i] = tm_arena_str(r->arena, string_take(&r->c));
			t->args[i] = type_take(r, depth + 1);
		}
		t->field_names = fields;
		return t;
	}
	default:
		return type_new(r, (enum tm_cql_kind)code, 0);
	}
}

/* Column specifications; strings are copied, since a client keeps them longer than the envelope. */
static struct tm_cql_column_spec *columns_take(struct reading *r, size_t n, bool global)
{
	if (tm_cursor_left(&r->c) / 4 < n)
		r->c.bad = true;
	if (r->c.bad)
		return NULL;
	struct tm_cql_column_spec *c = TM_NEW_N(r->arena, struct tm_cql_column_spec, n + 1);
	struct tm_str keyspace = {0}, table = {0};
	if (global) {
		keyspace = tm_arena_str(r->arena, string_take(&r->c));
		table = tm_arena_str(r->arena, string_take(&r->c));
	}
	for (size_t i = 0; i < n && !r->c.bad; i++) {
		c[i].keyspace = global ? keyspace : tm_arena_str(r->arena, string_take(&r->c));
		c[i].table = global ? table : tm_arena_str(r->arena, string_take(&r->c));
		c[i].name = tm_arena_str(r->arena, string_take(&r->c));
		c[i].type = type_take(r, 0);
	}
	return c;
}

static void rows_take(struct reading *r, const struct tm_cql_result *known, struct tm_cass_response *ret)
{
	struct tm_cql_result *out = &ret->result;
	uint32_t flags = tm_cursor_be32(&r->c);
	size_t columns = tm_cursor_be32(&r->c);
	if (flags & TM_CASS_ROWS_MORE)
		out->paging_state = tm_arena_str(r->arena, value_take(&r->c).bytes);
	if (r->version >= 5 && flags & TM_CASS_ROWS_CHANGED)
		ret->result_metadata_id = tm_arena_str(r->arena, string_take(&r->c));
	out->column_count = columns;
	if (!(flags & TM_CASS_ROWS_NO_METADATA))
		out->columns = columns_take(r, columns, flags & TM_CASS_ROWS_GLOBAL);
	else if (known && known->column_count == columns)
		out->columns = known->columns;
	else
		r->c.bad = true;
	size_t rows = tm_cursor_be32(&r->c), cells;
	if (r->c.bad || __builtin_mul_overflow(rows, columns, &cells) || tm_cursor_left(&r->c) / 4 < cells || (columns == 0 && rows > 0)) {
		r->c.bad = true;
		return;
	}
	out->values = TM_NEW_N(r->arena, struct tm_cql_value, cells + 1);
	for (size_t i = 0; i < cells; i++)
		out->values[i] = value_take(&r->c);
	out->row_count = rows;
}

static void prepared_take(struct reading *r, struct tm_cass_response *ret)
{
	ret->prepared_id = tm_arena_str(r->arena, string_take(&r->c));
	if (r->version >= 5)
		ret->result_metadata_id = tm_arena_str(r->arena, string_take(&r->c));
	uint32_t flags = tm_cursor_be32(&r->c);
	size_t n = tm_cursor_be32(&r->c);
	if (r->version >= 4) {
		size_t keys = tm_cursor_be32(&r->c);
		tm_cursor_take(&r->c, keys > SIZE_MAX / 2 ? SIZE_MAX : keys * 2);
	}
	ret->markers = columns_take(r, n, flags & TM_CASS_ROWS_GLOBAL);
	ret->marker_count = n;
	flags = tm_cursor_be32(&r->c);
	n = tm_cursor_be32(&r->c);
	if (flags & TM_CASS_ROWS_MORE)
		value_take(&r->c);
	if (flags & TM_CASS_ROWS_NO_METADATA)
		return;
	ret->result.columns = columns_take(r, n, flags & TM_CASS_ROWS_GLOBAL);
	ret->result.column_count = n;
}

static void change_take(struct reading *r, struct tm_str *change, struct tm_str *target, struct tm_str *keyspace, struct tm_str *name)
{
	*change = tm_arena_str(r->arena, string_take(&r->c));
	*target = tm_arena_str(r->arena, string_take(&r->c));
	*keyspace = tm_arena_str(r->arena, string_take(&r->c));
	if (!tm_str_is(*target, "KEYSPACE"))
		*name = tm_arena_str(r->arena, string_take(&r->c));
}

/* How many replicas failed; from v5 on which ones, and why. */
static void failures_take(struct reading *r, struct tm_cass_error *e)
{
	e->failures = (int)tm_cursor_be32(&r->c);
	for (int i = 0; r->version >= 5 && i < e->failures && !r->c.bad; i++) {
		tm_cursor_take(&r->c, tm_cursor_u8(&r->c));
		tm_cursor_be16(&r->c);
	}
}

static void error_take(struct reading *r, struct tm_cass_error *e)
{
	e->code = (int)tm_cursor_be32(&r->c);
	e->message = tm_arena_str(r->arena, string_take(&r->c));
	switch (e->code) {
	case TM_CASS_E_UNAVAILABLE:
		e->consistency = tm_cursor_be16(&r->c);
		e->required = (int)tm_cursor_be32(&r->c);
		e->alive = (int)tm_cursor_be32(&r->c);
		break;
	case TM_CASS_E_WRITE_TIMEOUT:
	case TM_CASS_E_READ_TIMEOUT:
	case TM_CASS_E_READ_FAILURE:
	case TM_CASS_E_WRITE_FAILURE:
		e->consistency = tm_cursor_be16(&r->c);
		e->received = (int)tm_cursor_be32(&r->c);
		e->required = (int)tm_cursor_be32(&r->c);
		if (e->code == TM_CASS_E_READ_FAILURE || e->code == TM_CASS_E_WRITE_FAILURE)
			failures_take(r, e);
		if (e->code == TM_CASS_E_WRITE_TIMEOUT || e->code == TM_CASS_E_WRITE_FAILURE)
			e->write_type = tm_arena_str(r->arena, string_take(&r->c));
		else
			e->data_present = tm_cursor_u8(&r->c);
		break;
	case TM_CASS_E_FUNCTION:
	case TM_CASS_E_EXISTS:
		e->keyspace = tm_arena_str(r->arena, string_take(&r->c));
		e->name = tm_arena_str(r->arena, string_take(&r->c));
		break;
	case TM_CASS_E_UNPREPARED:
		e->id = tm_arena_str(r->arena, string_take(&r->c));
		break;
	default:
		break;
	}
}

static void supported_take(struct reading *r, struct tm_cass_response *ret)
{
	struct {
		struct tm_cass_option *items;
		size_t count, cap;
	} list = {0};
	size_t n = tm_cursor_be16(&r->c);
	for (size_t i = 0; i < n && !r->c.bad; i++) {
		struct tm_str key = tm_arena_str(r->arena, string_take(&r->c));
		size_t values = tm_cursor_be16(&r->c);
		for (size_t k = 0; k < values && !r->c.bad; k++)
			TM_PUSH_IN(r->arena, &list, (struct tm_cass_option){key, tm_arena_str(r->arena, string_take(&r->c))});
	}
	ret->supported = list.items;
	ret->supported_count = list.count;
}

/* What the flags put before the body proper. */
static void prefix_take(struct reading *r, uint8_t flags, struct tm_cass_response *ret)
{
	if (flags & TM_CASS_FLAG_TRACING) {
		struct tm_str id = tm_cursor_take(&r->c, 16);
		if (id.at)
			memcpy(ret->tracing_id, id.at, 16);
		ret->traced = true;
	}
	if (flags & TM_CASS_FLAG_WARNING) {
		size_t n = tm_cursor_be16(&r->c);
		if (tm_cursor_left(&r->c) / 2 < n)
			r->c.bad = true;
		n = r->c.bad ? 0 : n;
		ret->result.warnings = TM_NEW_N(r->arena, struct tm_str, n + 1);
		for (size_t i = 0; i < n; i++)
			ret->result.warnings[i] = tm_arena_str(r->arena, string_take(&r->c));
		ret->result.warning_count = n;
	}
	if (flags & TM_CASS_FLAG_PAYLOAD) {
		size_t n = tm_cursor_be16(&r->c);
		for (size_t i = 0; i < n && !r->c.bad; i++) {
			string_take(&r->c);
			value_take(&r->c);
		}
	}
}

tm_rc tm_cass_response_read(const struct tm_cass_envelope *e, const struct tm_cql_result *known, struct tm_arena *arena,
			    struct tm_cass_response *ret, struct tm_err *err)
{
	struct reading r = {.c = tm_cursor_of(e->body), .arena = arena, .version = e->version};
	struct tm_cass_response out = {.opcode = e->opcode};
	prefix_take(&r, e->flags, &out);
	switch (e->opcode) {
	case TM_CASS_ERROR:
		error_take(&r, &out.error);
		break;
	case TM_CASS_AUTHENTICATE:
		out.authenticator = tm_arena_str(arena, string_take(&r.c));
		break;
	case TM_CASS_SUPPORTED:
		supported_take(&r, &out);
		break;
	case TM_CASS_EVENT:
		out.event = tm_arena_str(arena, string_take(&r.c));
		if (tm_str_is(out.event, "SCHEMA_CHANGE"))
			change_take(&r, &out.change, &out.target, &out.keyspace, &out.name);
		break;
	case TM_CASS_RESULT: {
		uint32_t kind = tm_cursor_be32(&r.c);
		out.result.kind = kind;
		if (kind < TM_CQL_VOID || kind > TM_CQL_SCHEMA_CHANGE)
			r.c.bad = true;
		else if (kind == TM_CQL_ROWS)
			rows_take(&r, known, &out);
		else if (kind == TM_CQL_SET_KEYSPACE)
			out.result.keyspace = tm_arena_str(arena, string_take(&r.c));
		else if (kind == TM_CQL_PREPARED)
			prepared_take(&r, &out);
		else if (kind == TM_CQL_SCHEMA_CHANGE)
			change_take(&r, &out.result.change, &out.result.target, &out.result.keyspace, &out.result.name);
		break;
	}
	default:
		break;
	}
	if (r.c.bad)
		return tm_fail(err, TM_CORRUPT, "the server's %s message is malformed", tm_cass_opcode_name(e->opcode));
	*ret = out;
	return TM_OK;
}

struct tm_str tm_cass_cell(const struct tm_cql_result *r, size_t row, const char *name)
{
	for (size_t i = 0; i < r->column_count; i++)
		if (tm_str_is(r->columns[i].name, name)) {
			const struct tm_cql_value *v = &r->values[row * r->column_count + i];
			return v->null ? (struct tm_str){0} : v->bytes;
		}
	return (struct tm_str){0};
}
