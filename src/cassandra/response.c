/* Responses, written by the server: results with their metadata, prepared statements, errors with their fields, events. */
#include "cassandra/protocol.h"

#define MARSHAL "org.apache.cassandra.db.marshal."

/* ---- types ---- since: the protocol version that knows the code; before it the class name goes over the wire. */
static const struct {
	enum tm_cql_kind kind;
	int since;
	const char *klass;
} native_types[] = {
    {TM_CQL_ASCII, 3, "AsciiType"},
    {TM_CQL_BIGINT, 3, "LongType"},
    {TM_CQL_BLOB, 3, "BytesType"},
    {TM_CQL_BOOLEAN, 3, "BooleanType"},
    {TM_CQL_COUNTER, 3, "CounterColumnType"},
    {TM_CQL_DECIMAL, 3, "DecimalType"},
    {TM_CQL_DOUBLE, 3, "DoubleType"},
    {TM_CQL_FLOAT, 3, "FloatType"},
    {TM_CQL_INT, 3, "Int32Type"},
    {TM_CQL_TIMESTAMP, 3, "TimestampType"},
    {TM_CQL_UUID, 3, "UUIDType"},
    {TM_CQL_VARCHAR, 3, "UTF8Type"},
    {TM_CQL_VARINT, 3, "IntegerType"},
    {TM_CQL_TIMEUUID, 3, "TimeUUIDType"},
    {TM_CQL_INET, 3, "InetAddressType"},
    {TM_CQL_DATE, 4, "SimpleDateType"},
    {TM_CQL_TIME, 4, "TimeType"},
    {TM_CQL_SMALLINT, 4, "ShortType"},
    {TM_CQL_TINYINT, 4, "ByteType"},
    {TM_CQL_DURATION, 5, "DurationType"},
    {TM_CQL_EMPTY, 99, "EmptyType"},
};

static void hex_put(struct tm_buf *out, struct tm_str s)
{
	for (size_t i = 0; i < s.len; i++)
		tm_buf_printf(out, "%02x", (uint8_t)s.at[i]);
}

static void marshal_put(struct tm_buf *out, const struct tm_cql_type *t, bool inside_frozen)
{
	for (size_t i = 0; i < sizeof native_types / sizeof native_types[0]; i++)
		if (native_types[i].kind == t->kind) {
			tm_buf_printf(out, MARSHAL "%s", native_types[i].klass);
			return;
		}
	bool collection = t->kind == TM_CQL_LIST || t->kind == TM_CQL_SET || t->kind == TM_CQL_MAP;
	bool wrap = t->frozen && !inside_frozen && (collection || t->kind == TM_CQL_UDT);
	if (wrap)
		tm_buf_cstr_put(out, MARSHAL "FrozenType(");
	bool inner = inside_frozen || t->frozen || t->kind == TM_CQL_TUPLE;
	switch (t->kind) {
	case TM_CQL_VECTOR:
		tm_buf_cstr_put(out, MARSHAL "VectorType(");
		marshal_put(out, t->args[0], inner);
		tm_buf_printf(out, " , %zu)", t->dimension);
		break;
	case TM_CQL_UDT:
		tm_buf_printf(out, MARSHAL "UserType(%.*s,", TM_STR_ARG(t->keyspace));
		hex_put(out, t->name);
		for (size_t i = 0; i < t->arg_count; i++) {
			tm_buf_char(out, ',');
			hex_put(out, t->field_names[i]);
			tm_buf_char(out, ':');
			marshal_put(out, t->args[i], inner);
		}
		tm_buf_char(out, ')');
		break;
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
		tm_buf_printf(out, MARSHAL "%s(",
			      t->kind == TM_CQL_LIST  ? "ListType"
			      : t->kind == TM_CQL_SET ? "SetType"
			      : t->kind == TM_CQL_MAP ? "MapType"
						      : "TupleType");
		for (size_t i = 0; i < t->arg_count; i++) {
			if (i)
				tm_buf_char(out, ',');
			marshal_put(out, t->args[i], inner);
		}
		tm_buf_char(out, ')');
		break;
	default:
		if (t->name.len)
			tm_buf_str_put(out, t->name);
		else
			tm_buf_cstr_put(out, MARSHAL "BytesType");
		break;
	}
	if (wrap)
		tm_buf_char(out, ')');
}

void tm_cass_type_marshal(struct tm_buf *out, const struct tm_cql_type *type) { marshal_put(out, type, false); }

static void custom_write(struct tm_buf *out, const struct tm_cql_type *t)
{
	tm_buf_be16(out, TM_CQL_CUSTOM);
	size_t at = out->len;
	tm_buf_be16(out, 0);
	tm_cass_type_marshal(out, t);
	uint16_t len = __builtin_bswap16((uint16_t)(out->len - at - 2));
	memcpy(out->at + at, &len, 2);
}

void tm_cass_type_write(struct tm_buf *out, int version, const struct tm_cql_type *t)
{
	for (size_t i = 0; i < sizeof native_types / sizeof native_types[0]; i++)
		if (native_types[i].kind == t->kind && version >= native_types[i].since) {
			tm_buf_be16(out, (uint16_t)t->kind);
			return;
		}
	switch (t->kind) {
	case TM_CQL_LIST:
	case TM_CQL_SET:
	case TM_CQL_MAP:
	case TM_CQL_TUPLE:
		tm_buf_be16(out, (uint16_t)t->kind);
		if (t->kind == TM_CQL_TUPLE)
			tm_buf_be16(out, (uint16_t)t->arg_count);
		for (size_t i = 0; i < t->arg_count; i++)
			tm_cass_type_write(out, version, t->args[i]);
		return;
	case TM_CQL_UDT:
		tm_buf_be16(out, TM_CQL_UDT);
		tm_cass_put_string(out, t->keyspace);
		tm_cass_put_string(out, t->name);
		tm_buf_be16(out, (uint16_t)t->arg_count);
		for (size_t i = 0; i < t->arg_count; i++) {
			tm_cass_put_string(out, t->field_names[i]);
			tm_cass_type_write(out, version, t->args[i]);
		}
		return;
	default:
		custom_write(out, t);
	}
}

/* ---- metadata ---- */
static bool one_table(const struct tm_cql_column_spec *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!tm_str_eq(c[i].keyspace, c[0].keyspace) || !tm_str_eq(c[i].table, c[0].table))
			return false;
	return n > 0;
}

static void columns_write(struct tm_buf *out, int version, const struct tm_cql_column_spec *c, size_t n, bool global)
{
	if (global) {
		tm_cass_put_string(out, c[0].keyspace);
		tm_cass_put_string(out, c[0].table);
	}
	for (size_t i = 0; i < n; i++) {
		if (!global) {
			tm_cass_put_string(out, c[i].keyspace);
			tm_cass_put_string(out, c[i].table);
		}
		tm_cass_put_string(out, c[i].name);
		tm_cass_type_write(out, version, c[i].type);
	}
}

static void rows_write(struct tm_buf *out, int version, const struct tm_cql_result *r, const struct tm_cass_rows_options *o)
{
	bool global = one_table(r->columns, r->column_count), more = r->paging_state.len > 0;
	bool changed = version >= 5 && o->changed_metadata_id;
	bool no_metadata = o->no_metadata && !changed;
	tm_buf_be32(out, (global ? TM_CASS_ROWS_GLOBAL : 0u) | (more ? TM_CASS_ROWS_MORE : 0u) |
			     (no_metadata ? TM_CASS_ROWS_NO_METADATA : 0u) | (changed ? TM_CASS_ROWS_CHANGED : 0u));
	tm_buf_be32(out, (uint32_t)r->column_count);
	if (more)
		tm_cass_put_bytes(out, r->paging_state);
	if (changed)
		tm_cass_put_string(out, tm_str_n((const char *)o->changed_metadata_id, 16));
	if (!no_metadata)
		columns_write(out, version, r->columns, r->column_count, global);
	tm_buf_be32(out, (uint32_t)r->row_count);
	size_t cells = r->row_count * r->column_count;
	for (size_t i = 0; i < cells; i++)
		tm_cass_put_value(out, &r->values[i]);
}

void tm_cass_result_write(struct tm_buf *out, int version, const struct tm_cql_result *r, const struct tm_cass_rows_options *options)
{
	static const struct tm_cass_rows_options plain;
	tm_buf_be32(out, (uint32_t)r->kind);
	switch (r->kind) {
	case TM_CQL_ROWS:
		rows_write(out, version, r, options ? options : &plain);
		break;
	case TM_CQL_SET_KEYSPACE:
		tm_cass_put_string(out, r->keyspace);
		break;
	case TM_CQL_SCHEMA_CHANGE:
		tm_cass_put_string(out, r->change);
		tm_cass_put_string(out, r->target);
		tm_cass_put_string(out, r->keyspace);
		if (!tm_str_is(r->target, "KEYSPACE"))
			tm_cass_put_string(out, r->name);
		if (tm_str_is(r->target, "FUNCTION") || tm_str_is(r->target, "AGGREGATE"))
			tm_buf_be16(out, 0);
		break;
	case TM_CQL_VOID:
	case TM_CQL_PREPARED:
		break;
	}
}

void tm_cass_prepared_write(struct tm_buf *out, int version, const uint8_t *id, const struct tm_cql_prepared_info *p)
{
	bool global = one_table(p->markers, p->marker_count);
	tm_buf_be32(out, TM_CQL_PREPARED);
	tm_cass_put_string(out, tm_str_n((const char *)id, 16));
	if (version >= 5)
		tm_cass_put_string(out, tm_str_n((const char *)p->result_metadata_id, 16));
	tm_buf_be32(out, global ? TM_CASS_ROWS_GLOBAL : 0);
	tm_buf_be32(out, (uint32_t)p->marker_count);
	if (version >= 4) {
		tm_buf_be32(out, (uint32_t)p->partition_key_count);
		for (size_t i = 0; i < p->partition_key_count; i++)
			tm_buf_be16(out, p->partition_key_index[i]);
	}
	columns_write(out, version, p->markers, p->marker_count, global);
	bool result_global = one_table(p->columns, p->column_count);
	tm_buf_be32(out, p->column_count == 0 ? TM_CASS_ROWS_NO_METADATA : result_global ? TM_CASS_ROWS_GLOBAL : 0);
	tm_buf_be32(out, (uint32_t)p->column_count);
	if (p->column_count > 0)
		columns_write(out, version, p->columns, p->column_count, result_global);
}

/* ---- errors, events, options ---- */
void tm_cass_error_write(struct tm_buf *out, int version, const struct tm_cass_error *e)
{
	/* v3 knows neither failures nor functions: the code becomes the nearest it has. */
	bool function_v3 = version < 4 && e->code == TM_CASS_E_FUNCTION;
	int code = function_v3 ? TM_CASS_E_INVALID : e->code;
	if (version < 4 && code == TM_CASS_E_READ_FAILURE)
		code = TM_CASS_E_READ_TIMEOUT;
	if (version < 4 && code == TM_CASS_E_WRITE_FAILURE)
		code = TM_CASS_E_WRITE_TIMEOUT;
	tm_buf_be32(out, (uint32_t)code);
	size_t at = out->len;
	struct tm_str prefix = function_v3 ? TM_STR("ERROR FUNCTION_FAILURE: ") : (struct tm_str){0};
	size_t room = UINT16_MAX - prefix.len, len = e->message.len < room ? e->message.len : room;
	tm_buf_be16(out, (uint16_t)(prefix.len + len));
	tm_buf_str_put(out, prefix);
	tm_buf_put(out, e->message.at, len);
	TM_ASSERT(out->len == at + 2 + prefix.len + len);
	switch (code) {
	case TM_CASS_E_UNAVAILABLE:
		tm_buf_be16(out, (uint16_t)e->consistency);
		tm_buf_be32(out, (uint32_t)e->required);
		tm_buf_be32(out, (uint32_t)e->alive);
		break;
	case TM_CASS_E_WRITE_TIMEOUT:
	case TM_CASS_E_READ_TIMEOUT:
	case TM_CASS_E_READ_FAILURE:
	case TM_CASS_E_WRITE_FAILURE:
		tm_buf_be16(out, (uint16_t)e->consistency);
		tm_buf_be32(out, (uint32_t)e->received);
		tm_buf_be32(out, (uint32_t)e->required);
		if (code == TM_CASS_E_READ_FAILURE || code == TM_CASS_E_WRITE_FAILURE)
			tm_buf_be32(out, version >= 5 ? 0 : (uint32_t)e->failures); /* v5: an empty map of reasons */
		if (code == TM_CASS_E_READ_TIMEOUT || code == TM_CASS_E_READ_FAILURE)
			tm_buf_u8(out, (uint8_t)e->data_present);
		else
			tm_cass_put_string(out, e->write_type);
		break;
	case TM_CASS_E_FUNCTION:
		tm_cass_put_string(out, e->keyspace);
		tm_cass_put_string(out, e->name);
		tm_buf_be16(out, (uint16_t)e->arg_count);
		for (size_t i = 0; i < e->arg_count; i++)
			tm_cass_put_string(out, e->arg_types[i]);
		break;
	case TM_CASS_E_EXISTS:
		tm_cass_put_string(out, e->keyspace);
		tm_cass_put_string(out, e->name);
		break;
	case TM_CASS_E_UNPREPARED:
		tm_cass_put_string(out, e->id);
		break;
	default:
		break;
	}
}

void tm_cass_event_write(struct tm_buf *out, struct tm_str change, struct tm_str target, struct tm_str keyspace, struct tm_str name)
{
	tm_cass_put_string(out, TM_STR("SCHEMA_CHANGE"));
	tm_cass_put_string(out, change);
	tm_cass_put_string(out, target);
	tm_cass_put_string(out, keyspace);
	if (!tm_str_is(target, "KEYSPACE"))
		tm_cass_put_string(out, name);
	if (tm_str_is(target, "FUNCTION") || tm_str_is(target, "AGGREGATE"))
		tm_buf_be16(out, 0);
}

void tm_cass_supported_write(struct tm_buf *out)
{
	static const char *const versions[] = {"3/v3", "4/v4", "5/v5", "6/v6-beta"};
	tm_buf_be16(out, 3);
	tm_cass_put_string(out, TM_STR("PROTOCOL_VERSIONS"));
	tm_buf_be16(out, 4);
	for (size_t i = 0; i < 4; i++)
		tm_cass_put_string(out, tm_str_of(versions[i]));
	tm_cass_put_string(out, TM_STR("COMPRESSION"));
	tm_buf_be16(out, 2);
	tm_cass_put_string(out, TM_STR("snappy"));
	tm_cass_put_string(out, TM_STR("lz4"));
	tm_cass_put_string(out, TM_STR("CQL_VERSION"));
	tm_buf_be16(out, 1);
	tm_cass_put_string(out, TM_STR("3.4.7"));
}
