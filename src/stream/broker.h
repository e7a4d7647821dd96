/* A broker of topics, as pipelines, the page and the command line see it. Two stand behind it: the embedded log (broker_log.c) and a
 * real Kafka (kafka room, broker_kafka.c). Methods may be called from any thread; a reader belongs to one thread. */
#ifndef TM_STREAM_BROKER_H
#define TM_STREAM_BROKER_H
#include "base/base.h"

struct tm_broker;
struct tm_header; /* log/record.h */
struct tm_broker_topic {
	struct tm_str name;
	int32_t partitions;
	bool internal;
};
struct tm_broker_bounds {
	int64_t start, end; /* first offset there is; the one after the last that may be read (high watermark or last stable offset) */
};
struct tm_broker_record {
	struct tm_str key, value; /* at == NULL: null */
	int64_t offset, timestamp_ms;
	bool append_time; /* the timestamp is the broker's */
	const struct tm_header *headers;
	size_t header_count;
};
struct tm_broker_class {
	const char *name; /* "embedded" or "kafka" */
	bool embedded;
	void (*free)(struct tm_broker *b);
	/* All topics; names in the arena. */
	tm_rc (*topics)(struct tm_broker *b, struct tm_arena *arena, struct tm_broker_topic **ret, size_t *ret_count, struct tm_err *err);
	/* TM_NOT_FOUND where there is no such topic. */
	tm_rc (*topic)(struct tm_broker *b, struct tm_str name, struct tm_broker_topic *ret, struct tm_err *err);
	tm_rc (*bounds)(struct tm_broker *b, struct tm_str topic, int32_t partition, struct tm_broker_bounds *ret, struct tm_err *err);
	/* First offset whose record is at or after ms; -1 where there is none. */
	tm_rc (*offset_for_time)(struct tm_broker *b, struct tm_str topic, int32_t partition, int64_t ms, int64_t *ret, struct tm_err *err);
	/* Makes a topic; TM_EXISTS where it is there. */
	tm_rc (*create)(struct tm_broker *b, struct tm_str topic, int32_t partitions, struct tm_err *err);
};
struct tm_broker {
	const struct tm_broker_class *klass;
};
#endif
