/* The native protocol's codec, versions 3 to 5, without input or output: bytes to envelopes, envelopes to messages and back.
 * Used by the server (requests in, responses out) and by the client (the other way round).
 *
 * A reader goes through these states: legacy (envelopes one after the other: v3 and v4 for ever, v5 until the answer to
 * STARTUP) and segmented (v5 afterwards: envelopes inside checksummed segments). It never allocates on the word of a length
 * that it has not checked against a limit. */
#ifndef TM_CASSANDRA_PROTOCOL_H
#define TM_CASSANDRA_PROTOCOL_H
#include "cql/cql.h"

enum tm_cass_opcode {
	TM_CASS_ERROR = 0x00,
	TM_CASS_STARTUP,
	TM_CASS_READY,
	TM_CASS_AUTHENTICATE,
	TM_CASS_CREDENTIALS,
	TM_CASS_OPTIONS,
	TM_CASS_SUPPORTED,
	TM_CASS_QUERY,
	TM_CASS_RESULT,
	TM_CASS_PREPARE,
	TM_CASS_EXECUTE,
	TM_CASS_REGISTER,
	TM_CASS_EVENT,
	TM_CASS_BATCH,
	TM_CASS_AUTH_CHALLENGE,
	TM_CASS_AUTH_RESPONSE,
	TM_CASS_AUTH_SUCCESS,
	TM_CASS_OPCODE_COUNT
};
const char *tm_cass_opcode_name(int opcode);

enum { /* of the envelope */
       TM_CASS_FLAG_COMPRESSED = 0x01,
       TM_CASS_FLAG_TRACING = 0x02,
       TM_CASS_FLAG_PAYLOAD = 0x04,
       TM_CASS_FLAG_WARNING = 0x08,
       TM_CASS_FLAG_BETA = 0x10
};
enum { /* of QUERY, EXECUTE and BATCH */
       TM_CASS_QUERY_VALUES = 0x01,
       TM_CASS_QUERY_SKIP_METADATA = 0x02,
       TM_CASS_QUERY_PAGE_SIZE = 0x04,
       TM_CASS_QUERY_PAGING_STATE = 0x08,
       TM_CASS_QUERY_SERIAL = 0x10,
       TM_CASS_QUERY_TIMESTAMP = 0x20,
       TM_CASS_QUERY_NAMES = 0x40,
       TM_CASS_QUERY_KEYSPACE = 0x80,
       TM_CASS_QUERY_NOW = 0x100
};
enum { /* of a result's metadata */
       TM_CASS_ROWS_GLOBAL = 0x01,
       TM_CASS_ROWS_MORE = 0x02,
       TM_CASS_ROWS_NO_METADATA = 0x04,
       TM_CASS_ROWS_CHANGED = 0x08
};
enum { /* error codes that the door itself gives */
       TM_CASS_E_SERVER = 0x0000,
       TM_CASS_E_PROTOCOL = 0x000A,
       TM_CASS_E_CREDENTIALS = 0x0100,
       TM_CASS_E_UNAVAILABLE = 0x1000,
       TM_CASS_E_OVERLOADED = 0x1001,
       TM_CASS_E_BOOTSTRAPPING = 0x1002,
       TM_CASS_E_TRUNCATE = 0x1003,
       TM_CASS_E_WRITE_TIMEOUT = 0x1100,
       TM_CASS_E_READ_TIMEOUT = 0x1200,
       TM_CASS_E_READ_FAILURE = 0x1300,
       TM_CASS_E_FUNCTION = 0x1400,
       TM_CASS_E_WRITE_FAILURE = 0x1500,
       TM_CASS_E_CAS_UNKNOWN = 0x1700,
       TM_CASS_E_SYNTAX = 0x2000,
       TM_CASS_E_UNAUTHORIZED = 0x2100,
       TM_CASS_E_INVALID = 0x2200,
       TM_CASS_E_EXISTS = 0x2400,
       TM_CASS_E_UNPREPARED = 0x2500
};
enum tm_cass_compression { TM_CASS_PLAIN, TM_CASS_LZ4, TM_CASS_SNAPPY };

#define TM_CASS_HEADER_BYTES 9
#define TM_CASS_SEGMENT_PAYLOAD_MAX 131071 /* 17 bits */
#define TM_CASS_SUPPORTED_TEXT "3/v3, 4/v4, 5/v5, 6/v6-beta"

struct tm_cass_envelope {
	int version; /* 3 to 5; 6 (beta) is spoken as 5 */
	bool beta;   /* it was 6 on the wire */
	uint8_t flags, opcode;
	int16_t stream;
	struct tm_str body; /* decompressed; lives until the next call on the reader */
};

/* Why a stream of bytes cannot go on as it is. */
struct tm_cass_fault {
	int code;
	int version; /* of the error's envelope */
	uint8_t flags;
	int16_t stream;
	bool silent; /* close without a word */
	bool close;  /* close after the error was sent */
	char text[300];
};
enum tm_cass_read { TM_CASS_MORE, TM_CASS_ENVELOPE, TM_CASS_FAULT };

struct tm_cass_reader {
	bool requests; /* reads what a client sends */
	int version;   /* of the connection, as on the wire; 0 = not yet known */
	bool segmented;
	enum tm_cass_compression compression;
	size_t limit_bytes;   /* of one envelope's body */
	struct tm_buf in;     /* received */
	size_t in_at;         /* of which consumed */
	struct tm_str window; /* v5: the rest of a self-contained segment inside `in` or `plain` */
	struct tm_buf joined; /* v5: a large envelope's parts */
	bool joining;
	struct tm_buf plain;    /* v5: a decompressed segment */
	struct tm_buf body;     /* v3, v4: a decompressed body */
	uint64_t discard_bytes; /* rest of an envelope over the limit */
	uint64_t discard_total;
	int16_t discard_stream;
	bool stuck; /* v3, v4: an envelope that cannot be read stays in front until more bytes come */
	bool dead;  /* v5: nothing more can be read */
};
void tm_cass_reader_init(struct tm_cass_reader *r, bool requests);
void tm_cass_reader_done(struct tm_cass_reader *r);
void tm_cass_reader_feed(struct tm_cass_reader *r, const char *data, size_t n);
enum tm_cass_read tm_cass_reader_next(struct tm_cass_reader *r, struct tm_cass_envelope *ret, struct tm_cass_fault *ret_fault);
size_t tm_cass_reader_held_bytes(const struct tm_cass_reader *r);

/* Collects envelopes; flush moves them, packed into segments where the connection has them, to out. */
struct tm_cass_writer {
	int version;
	bool response, beta, segmented;
	enum tm_cass_compression compression;
	struct tm_buf envelopes;
};
void tm_cass_writer_done(struct tm_cass_writer *w);
void tm_cass_writer_put(struct tm_cass_writer *w, uint8_t flags, int16_t stream, uint8_t opcode, struct tm_str body);
void tm_cass_writer_flush(struct tm_cass_writer *w, struct tm_buf *out);

uint32_t tm_cass_crc24(const void *data, size_t n);
uint32_t tm_cass_crc32(const void *data, size_t n);

/* ---- requests ---- */
struct tm_cass_batch_item {
	bool prepared;
	struct tm_str text_or_id;
	const struct tm_cql_value *values;
	size_t value_count;
};
struct tm_cass_option {
	struct tm_str key, value;
};
struct tm_cass_request {
	uint8_t opcode;
	struct tm_str text;                   /* QUERY, PREPARE */
	struct tm_str id, result_metadata_id; /* EXECUTE */
	struct tm_str keyspace;               /* PREPARE in v5 */
	bool skip_metadata, paging_state_given;
	struct tm_cql_query_options options; /* QUERY, EXECUTE, BATCH */
	int batch_type;
	struct tm_cass_batch_item *items;
	size_t item_count;
	struct tm_cass_option *startup; /* STARTUP */
	size_t startup_count;
	struct tm_str *events; /* REGISTER */
	size_t event_count;
	struct tm_str token; /* AUTH_RESPONSE */
};
void tm_cass_options_init(struct tm_cql_query_options *options); /* consistency ONE, no page, no times */
/* Reads an envelope's body; strings point into it, arrays are the arena's. err.code carries the protocol's error code. */
tm_rc tm_cass_request_read(const struct tm_cass_envelope *envelope, struct tm_arena *arena, struct tm_cass_request *ret,
			   struct tm_err *err) TM_CHECKED;
/* Appends the body of a request (client). */
void tm_cass_request_write(struct tm_buf *out, int version, const struct tm_cass_request *request);

/* ---- responses ---- */
struct tm_cass_error {
	int code;
	struct tm_str message;
	int consistency, required, alive, received, failures, data_present; /* 0x1000, 0x1100, 0x1200, 0x1300, 0x1500 */
	struct tm_str write_type;                                           /* 0x1100, 0x1500 */
	struct tm_str keyspace, name;                                       /* 0x2400, 0x1400 */
	const struct tm_str *arg_types;                                     /* 0x1400 */
	size_t arg_count;
	struct tm_str id; /* 0x2500 */
};
void tm_cass_error_write(struct tm_buf *out, int version, const struct tm_cass_error *error);
struct tm_cass_rows_options {
	bool no_metadata;
	const uint8_t *changed_metadata_id; /* v5: 16 bytes, sets METADATA_CHANGED; NULL = unchanged */
};
void tm_cass_result_write(struct tm_buf *out, int version, const struct tm_cql_result *result, const struct tm_cass_rows_options *options);
void tm_cass_prepared_write(struct tm_buf *out, int version, const uint8_t *id, const struct tm_cql_prepared_info *info);
void tm_cass_event_write(struct tm_buf *out, struct tm_str change, struct tm_str target, struct tm_str keyspace, struct tm_str name);
void tm_cass_supported_write(struct tm_buf *out);
void tm_cass_type_write(struct tm_buf *out, int version, const struct tm_cql_type *type);
/* Cassandra's class name of a type, as in org.apache.cassandra.db.marshal.Int32Type. */
void tm_cass_type_marshal(struct tm_buf *out, const struct tm_cql_type *type);
struct tm_cass_response { /* what a client reads; in the arena or pointing into the body */
	uint8_t opcode;
	bool traced;
	uint8_t tracing_id[16];
	struct tm_cass_error error;  /* ERROR */
	struct tm_cql_result result; /* RESULT; columns are kept from `known` where the server left them out */
	struct tm_str prepared_id, result_metadata_id;
	struct tm_cql_column_spec *markers; /* PREPARED; result.columns are the statement's own */
	size_t marker_count;
	struct tm_str authenticator;      /* AUTHENTICATE */
	struct tm_cass_option *supported; /* SUPPORTED, one per value */
	size_t supported_count;
	struct tm_str event, change, target, keyspace, name; /* EVENT */
};
tm_rc tm_cass_response_read(const struct tm_cass_envelope *envelope, const struct tm_cql_result *known, struct tm_arena *arena,
			    struct tm_cass_response *ret, struct tm_err *err) TM_CHECKED;
/* Cells of a result by name; at NULL = null or no such column. */
struct tm_str tm_cass_cell(const struct tm_cql_result *r, size_t row, const char *name);

/* The protocol's own notations. */
void tm_cass_put_string(struct tm_buf *out, struct tm_str s);      /* [string] */
void tm_cass_put_long_string(struct tm_buf *out, struct tm_str s); /* [long string] */
void tm_cass_put_bytes(struct tm_buf *out, struct tm_str s);       /* [bytes] */
void tm_cass_put_value(struct tm_buf *out, const struct tm_cql_value *v);
#endif
