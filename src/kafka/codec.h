/* The codec of Kafka's messages, sans I/O: bytes <-> C structures (kafka/messages.h, generated), driven by field tables.
 * Decoding never copies: strings, bytes and records point into the input; arrays live in the arena, whose limit bounds what a
 * hostile request can make us allocate. A null string or bytes has at == NULL, a null array count == -1, a null structure is NULL. */
#ifndef TM_KAFKA_CODEC_H
#define TM_KAFKA_CODEC_H
#include "base/base.h"

struct tm_kafka_uuid {
	uint8_t bytes[16];
};
enum tm_kafka_type {
	TM_KAFKA_TYPE_BOOL,
	TM_KAFKA_TYPE_INT8,
	TM_KAFKA_TYPE_INT16,
	TM_KAFKA_TYPE_UINT16,
	TM_KAFKA_TYPE_INT32,
	TM_KAFKA_TYPE_INT64,
	TM_KAFKA_TYPE_FLOAT64,
	TM_KAFKA_TYPE_UUID,
	TM_KAFKA_TYPE_STRING,
	TM_KAFKA_TYPE_BYTES,
	TM_KAFKA_TYPE_RECORDS,
	TM_KAFKA_TYPE_STRUCT,
};
struct tm_kafka_struct;
struct tm_kafka_field {
	const char *name;                  /* as in Kafka's JSON */
	const struct tm_kafka_struct *sub; /* of TYPE_STRUCT */
	int64_t default_value;
	uint32_t offset;
	uint8_t type;
	int8_t min, max, null_min, null_max; /* versions; null_min > null_max = never null */
	int8_t tag;                          /* -1 = not tagged */
	bool array, pointer;
};
struct tm_kafka_struct {
	const struct tm_kafka_field *fields;
	uint32_t count, size;
};
/* How every array member begins: struct { T *items; int32_t count; }. */
struct tm_kafka_array {
	void *items;
	int32_t count;
};
struct tm_kafka_api {
	const char *name;
	int16_t key;
	int8_t min, max, flexible; /* flexible: first flexible version, 127 = none */
	const struct tm_kafka_struct *request, *response;
};
extern const struct tm_kafka_api tm_kafka_apis[]; /* sorted by key */
extern const size_t tm_kafka_api_count;
const struct tm_kafka_api *tm_kafka_api_find(int16_t key); /* NULL = unknown */
const struct tm_kafka_api *tm_kafka_api_named(struct tm_str name);

/* n structures with their defaults, in the arena (aborts when memory is out: not for sizes from outside). */
void *tm_kafka_new(const struct tm_kafka_struct *fields, struct tm_arena *arena, size_t n);

/* Reads one message at this version; false when the bytes are no such message or the arena's limit is reached. What follows the
 * message is left in the cursor. */
bool tm_kafka_decode(const struct tm_kafka_struct *fields, int version, bool flexible, struct tm_cursor *in, struct tm_arena *arena,
		     void *ret);

/* Records that are written beside the buffer rather than copied into it: they belong in front of byte `at` of out. */
struct tm_kafka_splice {
	size_t at;
	struct tm_str bytes;
};
struct tm_kafka_splices {
	struct tm_kafka_splice *items;
	size_t count, cap;
	size_t bytes; /* of all */
};
/* Appends the message to out. With splices (arena memory) large records are listed there instead of copied; may be NULL. */
void tm_kafka_encode(const struct tm_kafka_struct *fields, int version, bool flexible, const void *message, struct tm_buf *out,
		     struct tm_kafka_splices *splices, struct tm_arena *arena);

/* Kafka's own JSON form of a message: for tracing and for tests. */
void tm_kafka_json(const struct tm_kafka_struct *fields, int version, const void *message, struct tm_buf *out);

struct tm_kafka_request_header {
	int16_t api_key, api_version;
	int32_t correlation_id;
	struct tm_str client_id;
};
/* The header's version follows from the API's: 1, or 2 (tagged fields) where the API is flexible at this version. The key and
 * version are set even when false is returned for what comes after them. */
bool tm_kafka_header_decode(struct tm_cursor *in, struct tm_kafka_request_header *ret);
bool tm_kafka_tags_skip(struct tm_cursor *in);
#endif
