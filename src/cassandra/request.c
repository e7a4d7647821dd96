/* Requests: reading them (server) and writing them (client). Every count is checked against the bytes that are left before
 * anything is allocated for it. Error texts are Cassandra's where a driver's author would look them up. */
#include <stdio.h>
#include "cassandra/protocol.h"

/* ---- notations ---- */
void tm_cass_put_string(struct tm_buf *out, struct tm_str s)
{
	size_t n = s.len > UINT16_MAX ? UINT16_MAX : s.len;
	tm_buf_be16(out, (uint16_t)n);
	tm_buf_put(out, s.at, n);
}

void tm_cass_put_long_string(struct tm_buf *out, struct tm_str s)
{
	tm_buf_be32(out, (uint32_t)s.len);
	tm_buf_str_put(out, s);
}

void tm_cass_put_bytes(struct tm_buf *out, struct tm_str s)
{
	tm_buf_be32(out, s.at ? (uint32_t)s.len : UINT32_MAX);
	tm_buf_str_put(out, s);
}

void tm_cass_put_value(struct tm_buf *out, const struct tm_cql_value *v)
{
	if (v->unset || v->null) {
		tm_buf_be32(out, v->unset ? (uint32_t)-2 : UINT32_MAX);
		return;
	}
	tm_buf_be32(out, (uint32_t)v->bytes.len);
	tm_buf_str_put(out, v->bytes);
}

static tm_rc protocol_fail(struct tm_err *err, int code, const char *fmt, ...) TM_PRINTF(3, 4);
static tm_rc protocol_fail(struct tm_err *err, int code, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	tm_fail(err, TM_INVALID, "%s", text);
	if (err) {
		err->code = code;
		if (code == TM_CASS_E_SERVER)
			err->rc = TM_CORRUPT; /* code 0 alone would mean "take the table's" */
	}
	return code == TM_CASS_E_SERVER ? TM_CORRUPT : TM_INVALID;
}

/* The message ends inside a number. */
static tm_rc short_fail(struct tm_err *err, const char *what)
{
	return protocol_fail(err, TM_CASS_E_SERVER, "The message ends before its %s", what);
}

static tm_rc utf8_check(struct tm_str s, struct tm_err *err)
{
	if (tm_utf8_valid(s))
		return TM_OK;
	char hex[65];
	size_t at = 0, n = 0;
	const char *p = s.at, *end = s.at + s.len;
	while (p < end) {
		const char *start = p;
		uint32_t cp = tm_utf8_next(&p, end);
		if (cp == 0xFFFD && !((size_t)(end - start) >= 3 && memcmp(start, "\xEF\xBF\xBD", 3) == 0)) {
			at = (size_t)(start - s.at);
			break;
		}
	}
	for (; at < s.len && n + 2 < sizeof hex; at++, n += 2)
		snprintf(hex + n, 3, "%02x", (uint8_t)s.at[at]);
	hex[n] = 0;
	return protocol_fail(err, TM_CASS_E_PROTOCOL,
			     "Cannot decode string as UTF8: '%s'; java.nio.charset.MalformedInputException: Input length = 1", hex);
}

static tm_rc string_read(struct tm_cursor *c, struct tm_str *ret, struct tm_err *err)
{
	uint16_t len = tm_cursor_be16(c);
	if (!c->bad)
		*ret = tm_cursor_take(c, len);
	if (c->bad)
		return protocol_fail(err, TM_CASS_E_PROTOCOL,
				     "Not enough bytes to read an UTF8 serialized string preceded by its 2 bytes length");
	return utf8_check(*ret, err);
}

static tm_rc long_string_read(struct tm_cursor *c, struct tm_str *ret, struct tm_err *err)
{
	uint32_t len = tm_cursor_be32(c);
	if (!c->bad && len <= INT32_MAX)
		*ret = tm_cursor_take(c, len);
	if (c->bad || len > INT32_MAX)
		return protocol_fail(err, TM_CASS_E_PROTOCOL,
				     "Not enough bytes to read an UTF8 serialized string preceded by its 4 bytes length");
	if (len > TM_LIMIT_CQL_STATEMENT_BYTES)
		return protocol_fail(err, TM_CASS_E_INVALID, "A statement of %u bytes is over the limit of %zu", len,
				     TM_LIMIT_CQL_STATEMENT_BYTES);
	return utf8_check(*ret, err);
}

static tm_rc short_bytes_read(struct tm_cursor *c, struct tm_str *ret, struct tm_err *err)
{
	uint16_t len = tm_cursor_be16(c);
	if (!c->bad)
		*ret = tm_cursor_take(c, len);
	if (c->bad)
		return protocol_fail(err, TM_CASS_E_PROTOCOL, "Not enough bytes to read a byte array preceded by its 2 bytes length");
	return TM_OK;
}

static tm_rc value_read(struct tm_cursor *c, struct tm_cql_value *ret, struct tm_err *err)
{
	int32_t len = (int32_t)tm_cursor_be32(c);
	if (c->bad)
		return short_fail(err, "values");
	*ret = (struct tm_cql_value){.null = len == -1, .unset = len == -2};
	if (len < -2)
		return protocol_fail(err, TM_CASS_E_PROTOCOL, "Invalid ByteBuf length %d", len);
	if (len >= 0) {
		ret->bytes = tm_cursor_take(c, (size_t)len);
		if (c->bad)
			return short_fail(err, "values");
		if (!ret->bytes.at)
			ret->bytes.at = ""; /* empty is not null */
	}
	return TM_OK;
}

static tm_rc values_read(struct tm_cursor *c, struct tm_arena *arena, bool named, const struct tm_cql_value **ret,
			 const struct tm_str **ret_names, size_t *ret_count, struct tm_err *err)
{
	size_t count = tm_cursor_be16(c);
	if (c->bad || tm_cursor_left(c) / (named ? 6 : 4) < count)
		return short_fail(err, "values");
	struct tm_cql_value *values = TM_NEW_N(arena, struct tm_cql_value, count + 1);
	struct tm_str *names = named ? TM_NEW_N(arena, struct tm_str, count + 1) : NULL;
	for (size_t i = 0; i < count; i++) {
		if (named)
			TM_TRY(string_read(c, &names[i], err));
		TM_TRY(value_read(c, &values[i], err));
	}
	*ret = values;
	*ret_count = count;
	if (ret_names)
		*ret_names = names;
	return TM_OK;
}

static tm_rc consistency_read(struct tm_cursor *c, int *ret, struct tm_err *err)
{
	uint16_t code = tm_cursor_be16(c);
	if (c->bad)
		return short_fail(err, "consistency level");
	if (code > 11)
		return protocol_fail(err, TM_CASS_E_PROTOCOL, "Unknown code %d for a consistency level", code);
	*ret = code;
	return TM_OK;
}

void tm_cass_options_init(struct tm_cql_query_options *options)
{
	/* 8 = SERIAL, what Cassandra takes where a request says nothing. */
	*options = (struct tm_cql_query_options){
	    .consistency = 1, .serial_consistency = 8, .timestamp_us = INT64_MIN, .now_in_seconds = INT64_MIN};
}

/* <consistency><flags>[…], the common tail of QUERY, EXECUTE and BATCH. */
static tm_rc options_read(struct tm_cursor *c, int version, struct tm_arena *arena, struct tm_cass_request *r, struct tm_err *err)
{
	struct tm_cql_query_options *o = &r->options;
	TM_TRY(consistency_read(c, &o->consistency, err));
	uint32_t flags = version >= 5 ? tm_cursor_be32(c) : tm_cursor_u8(c);
	if (c->bad)
		return short_fail(err, "flags");
	r->skip_metadata = flags & TM_CASS_QUERY_SKIP_METADATA;
	if (flags & TM_CASS_QUERY_VALUES)
		TM_TRY(values_read(c, arena, flags & TM_CASS_QUERY_NAMES, &o->values, &o->names, &o->value_count, err));
	if (flags & TM_CASS_QUERY_PAGE_SIZE)
		o->page_size = (int32_t)tm_cursor_be32(c);
	if (flags & TM_CASS_QUERY_PAGING_STATE) {
		struct tm_cql_value state = {0};
		TM_TRY(value_read(c, &state, err));
		r->paging_state_given = !state.null;
		o->paging_state = state.bytes;
		if (r->paging_state_given && state.bytes.len == 0)
			return protocol_fail(err, TM_CASS_E_PROTOCOL, "Invalid value for the paging state");
	}
	if (flags & TM_CASS_QUERY_SERIAL)
		TM_TRY(consistency_read(c, &o->serial_consistency, err));
	if (flags & TM_CASS_QUERY_TIMESTAMP) {
		o->timestamp_us = (int64_t)tm_cursor_be64(c);
		if (!c->bad && o->timestamp_us == INT64_MIN)
			return protocol_fail(
			    err, TM_CASS_E_PROTOCOL,
			    "Out of bound timestamp, must be in [-9223372036854775807, 9223372036854775807] (got -9223372036854775808)");
	}
	if (flags & TM_CASS_QUERY_KEYSPACE)
		TM_TRY(string_read(c, &o->keyspace, err));
	if (version >= 5 && flags & TM_CASS_QUERY_NOW)
		o->now_in_seconds = (int32_t)tm_cursor_be32(c);
	return c->bad ? short_fail(err, "options") : TM_OK;
}

static tm_rc batch_read(struct tm_cursor *c, int version, struct tm_arena *arena, struct tm_cass_request *r, struct tm_err *err)
{
	r->batch_type = tm_cursor_u8(c);
	if (c->bad)
		return short_fail(err, "type");
	if (r->batch_type > 2)
		return protocol_fail(err, TM_CASS_E_PROTOCOL, "Invalid BATCH message type %d", r->batch_type);
	size_t count = tm_cursor_be16(c);
	if (c->bad || tm_cursor_left(c) / 5 < count) /* a kind, an empty id and a count at the least */
		return short_fail(err, "statements");
	r->items = TM_NEW_N(arena, struct tm_cass_batch_item, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct tm_cass_batch_item *item = &r->items[i];
		uint8_t kind = tm_cursor_u8(c);
		if (c->bad)
			return short_fail(err, "statements");
		if (kind > 1)
			return protocol_fail(err, TM_CASS_E_PROTOCOL, "Invalid query kind in BATCH messages. Must be 0 or 1 but got %d",
					     kind);
		item->prepared = kind == 1;
		if (item->prepared)
			TM_TRY(short_bytes_read(c, &item->text_or_id, err));
		else
			TM_TRY(long_string_read(c, &item->text_or_id, err));
		TM_TRY(values_read(c, arena, false, &item->values, NULL, &item->value_count, err));
	}
	r->item_count = count;
	return options_read(c, version, arena, r, err);
}

static tm_rc startup_read(struct tm_cursor *c, struct tm_arena *arena, struct tm_cass_request *r, struct tm_err *err)
{
	size_t count = tm_cursor_be16(c);
	if (c->bad || tm_cursor_left(c) / 4 < count)
		return short_fail(err, "options");
	r->startup = TM_NEW_N(arena, struct tm_cass_option, count + 1);
	for (size_t i = 0; i < count; i++) {
		TM_TRY(string_read(c, &r->startup[i].key, err));
		TM_TRY(string_read(c, &r->startup[i].value, err));
	}
	r->startup_count = count;
	return TM_OK;
}

static tm_rc register_read(struct tm_cursor *c, struct tm_arena *arena, struct tm_cass_request *r, struct tm_err *err)
{
	size_t count = tm_cursor_be16(c);
	if (c->bad || tm_cursor_left(c) / 2 < count)
		return short_fail(err, "event types");
	r->events = TM_NEW_N(arena, struct tm_str, count + 1);
	for (size_t i = 0; i < count; i++) {
		TM_TRY(string_read(c, &r->events[i], err));
		if (!tm_str_is(r->events[i], "TOPOLOGY_CHANGE") && !tm_str_is(r->events[i], "STATUS_CHANGE") &&
		    !tm_str_is(r->events[i], "SCHEMA_CHANGE"))
			return protocol_fail(err, TM_CASS_E_PROTOCOL, "Invalid value '%.*s' for Type",
					     (int)(r->events[i].len > 100 ? 100 : r->events[i].len), r->events[i].at);
	}
	r->event_count = count;
	return TM_OK;
}

/* Names to bytes that a driver sent for itself; nothing here uses them. */
static tm_rc payload_skip(struct tm_cursor *c, struct tm_err *err)
{
	size_t count = tm_cursor_be16(c);
	for (size_t i = 0; i < count && !c->bad; i++) {
		struct tm_str key;
		struct tm_cql_value value;
		TM_TRY(string_read(c, &key, err));
		TM_TRY(value_read(c, &value, err));
	}
	return c->bad ? short_fail(err, "custom payload") : TM_OK;
}

tm_rc tm_cass_request_read(const struct tm_cass_envelope *e, struct tm_arena *arena, struct tm_cass_request *ret, struct tm_err *err)
{
	struct tm_cursor c = tm_cursor_of(e->body);
	struct tm_cass_request r = {.opcode = e->opcode};
	tm_cass_options_init(&r.options);
	if (e->flags & TM_CASS_FLAG_PAYLOAD && e->version >= 4)
		TM_TRY(payload_skip(&c, err));
	switch (e->opcode) {
	case TM_CASS_STARTUP:
		TM_TRY(startup_read(&c, arena, &r, err));
		break;
	case TM_CASS_OPTIONS:
		break;
	case TM_CASS_QUERY:
		TM_TRY(long_string_read(&c, &r.text, err));
		TM_TRY(options_read(&c, e->version, arena, &r, err));
		break;
	case TM_CASS_PREPARE:
		TM_TRY(long_string_read(&c, &r.text, err));
		if (e->version >= 5) {
			uint32_t flags = tm_cursor_be32(&c);
			if (c.bad)
				return short_fail(err, "flags");
			if (flags & 1)
				TM_TRY(string_read(&c, &r.keyspace, err));
		}
		break;
	case TM_CASS_EXECUTE:
		TM_TRY(short_bytes_read(&c, &r.id, err));
		if (e->version >= 5)
			TM_TRY(short_bytes_read(&c, &r.result_metadata_id, err));
		TM_TRY(options_read(&c, e->version, arena, &r, err));
		break;
	case TM_CASS_BATCH:
		TM_TRY(batch_read(&c, e->version, arena, &r, err));
		break;
	case TM_CASS_REGISTER:
		TM_TRY(register_read(&c, arena, &r, err));
		break;
	case TM_CASS_AUTH_RESPONSE: {
		struct tm_cql_value token;
		TM_TRY(value_read(&c, &token, err));
		r.token = token.bytes;
		break;
	}
	default:
		return protocol_fail(err, TM_CASS_E_PROTOCOL, "Unsupported message");
	}
	*ret = r;
	return TM_OK;
}

/* ---- writing (client) ---- */
static void options_write(struct tm_buf *out, int version, const struct tm_cass_request *r)
{
	const struct tm_cql_query_options *o = &r->options;
	bool batch = r->opcode == TM_CASS_BATCH;
	uint32_t flags = 0;
	if (o->value_count > 0 && !batch)
		flags |= TM_CASS_QUERY_VALUES | (o->names ? TM_CASS_QUERY_NAMES : 0);
	if (r->skip_metadata)
		flags |= TM_CASS_QUERY_SKIP_METADATA;
	if (o->page_size > 0 && !batch)
		flags |= TM_CASS_QUERY_PAGE_SIZE;
	if (o->paging_state.len > 0 && !batch)
		flags |= TM_CASS_QUERY_PAGING_STATE;
	if (o->serial_consistency == 9) /* LOCAL_SERIAL; SERIAL is what silence means */
		flags |= TM_CASS_QUERY_SERIAL;
	if (o->timestamp_us != INT64_MIN)
		flags |= TM_CASS_QUERY_TIMESTAMP;
	if (version >= 5 && o->keyspace.len > 0)
		flags |= TM_CASS_QUERY_KEYSPACE;
	if (version >= 5 && o->now_in_seconds != INT64_MIN)
		flags |= TM_CASS_QUERY_NOW;
	tm_buf_be16(out, (uint16_t)o->consistency);
	if (version >= 5)
		tm_buf_be32(out, flags);
	else
		tm_buf_u8(out, (uint8_t)flags);
	if (flags & TM_CASS_QUERY_VALUES) {
		tm_buf_be16(out, (uint16_t)o->value_count);
		for (size_t i = 0; i < o->value_count; i++) {
			if (o->names)
				tm_cass_put_string(out, o->names[i]);
			tm_cass_put_value(out, &o->values[i]);
		}
	}
	if (flags & TM_CASS_QUERY_PAGE_SIZE)
		tm_buf_be32(out, (uint32_t)o->page_size);
	if (flags & TM_CASS_QUERY_PAGING_STATE)
		tm_cass_put_bytes(out, o->paging_state);
	if (flags & TM_CASS_QUERY_SERIAL)
		tm_buf_be16(out, (uint16_t)o->serial_consistency);
	if (flags & TM_CASS_QUERY_TIMESTAMP)
		tm_buf_be64(out, (uint64_t)o->timestamp_us);
	if (flags & TM_CASS_QUERY_KEYSPACE)
		tm_cass_put_string(out, o->keyspace);
	if (flags & TM_CASS_QUERY_NOW)
		tm_buf_be32(out, (uint32_t)o->now_in_seconds);
}

void tm_cass_request_write(struct tm_buf *out, int version, const struct tm_cass_request *r)
{
	switch (r->opcode) {
	case TM_CASS_STARTUP:
		tm_buf_be16(out, (uint16_t)r->startup_count);
		for (size_t i = 0; i < r->startup_count; i++) {
			tm_cass_put_string(out, r->startup[i].key);
			tm_cass_put_string(out, r->startup[i].value);
		}
		break;
	case TM_CASS_QUERY:
		tm_cass_put_long_string(out, r->text);
		options_write(out, version, r);
		break;
	case TM_CASS_PREPARE:
		tm_cass_put_long_string(out, r->text);
		if (version >= 5) {
			tm_buf_be32(out, r->keyspace.len > 0);
			if (r->keyspace.len > 0)
				tm_cass_put_string(out, r->keyspace);
		}
		break;
	case TM_CASS_EXECUTE:
		tm_cass_put_string(out, r->id);
		if (version >= 5)
			tm_cass_put_string(out, r->result_metadata_id);
		options_write(out, version, r);
		break;
	case TM_CASS_BATCH:
		tm_buf_u8(out, (uint8_t)r->batch_type);
		tm_buf_be16(out, (uint16_t)r->item_count);
		for (size_t i = 0; i < r->item_count; i++) {
			const struct tm_cass_batch_item *item = &r->items[i];
			tm_buf_u8(out, item->prepared);
			if (item->prepared)
				tm_cass_put_string(out, item->text_or_id);
			else
				tm_cass_put_long_string(out, item->text_or_id);
			tm_buf_be16(out, (uint16_t)item->value_count);
			for (size_t k = 0; k < item->value_count; k++)
				tm_cass_put_value(out, &item->values[k]);
		}
		options_write(out, version, r);
		break;
	case TM_CASS_REGISTER:
		tm_buf_be16(out, (uint16_t)r->event_count);
		for (size_t i = 0; i < r->event_count; i++)
			tm_cass_put_string(out, r->events[i]);
		break;
	case TM_CASS_AUTH_RESPONSE:
		tm_cass_put_bytes(out, r->token);
		break;
	default: /* OPTIONS has no body */
		break;
	}
}
