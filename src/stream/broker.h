/* A broker of topics, as pipelines, the page and the command line see it. Two stand behind it: the embedded log (broker_log.c) and a
 * real Kafka (kafka room, broker_kafka.c). A broker's methods may be called from any thread; a reader or a writer belongs to one.
 * Errors: TM_UNAVAILABLE: the broker is away; the same call may be made again. TM_CANCELLED: the caller is stopping.
 * TM_NOT_FOUND: no such topic or partition. TM_DENIED: it refuses us (password, ACL, fenced by a newer writer). */
#ifndef TM_STREAM_BROKER_H
#define TM_STREAM_BROKER_H
#include "log/record.h"
#include "stream/offsets.h"
#include "stream/plan.h"

struct tm_log;
struct tm_stream_world;
struct tm_broker;
struct tm_broker_topic {
	struct tm_str name;
	int32_t partitions;
	bool internal;
	int64_t records, end, bytes; /* sums over its partitions, from topics() alone: end - start, end; bytes -1 = not known */
};
struct tm_broker_bounds {
	int64_t start, end; /* first offset there is; the one after the last that may be read (high watermark or last stable offset) */
};

/* Who waits while a call takes long. Every function may be NULL. */
struct tm_broker_caller {
	void *ctx;
	bool (*stopping)(void *ctx);                /* true: the call gives up with TM_CANCELLED */
	void (*waits)(void *ctx, const char *what); /* for people: what is waited for */
	void (*woken)(void *ctx);                   /* readers: there may be something new; from any thread, must not block */
};

/* ---- reading ---- */

struct tm_broker_records { /* columns; all that they point to lives until the next call on the reader */
	size_t count;
	struct tm_str *keys, *values; /* at == NULL: null */
	int64_t *offsets, *timestamps_us;
	uint8_t *append_time; /* the timestamp is the broker's */
	const struct tm_header **headers;
	size_t *header_counts; /* 0 where headers were not asked for */
	bool any_null_key, any_null_value;
};
struct tm_broker_reader;
struct tm_broker_reader_options {
	const struct tm_option *options; /* of the view: kafka.* */
	size_t option_count;
	struct tm_str query; /* names the group that offsets are committed to (kafka.group.id wins); empty: they are not committed */
	bool headers;
	struct tm_broker_caller caller;
};
struct tm_broker_reader_class {
	void (*free)(struct tm_broker_reader *r);
	/* Bounds of the partitions of at, whose offsets say from where on they will be read: a reader may begin to fetch there. Where
	 * there is something behind one of the offsets, start may be 0 (not looked up): then reading says what is lost. */
	tm_rc (*bounds)(struct tm_broker_reader *r, const struct tm_offsets *at, struct tm_broker_bounds *ret, struct tm_err *err);
	/* The next records of a partition from at->offset on and below to; *ret_next: where to go on, == to when there are no more (gaps of
	 * compaction and of transactions are passed over). TM_INVALID with code 1 (OFFSET_OUT_OF_RANGE): records from there on were deleted
	 * before they were read, or there is no such offset (yet). */
	tm_rc (*read)(struct tm_broker_reader *r, const struct tm_offset *at, int64_t to, struct tm_broker_records *ret, int64_t *ret_next,
		      struct tm_err *err);
	/* All below these offsets is processed: for the group, so that tools see the lag. Does not wait. NULL = nothing to do. */
	void (*committed)(struct tm_broker_reader *r, const struct tm_offsets *offsets);
};
struct tm_broker_reader {
	const struct tm_broker_reader_class *klass;
};

/* ---- writing, batch by batch ---- */

struct tm_broker_part {
	struct tm_str topic;
	int32_t partition;
	const struct tm_record *records; /* offset is not used */
	size_t count;
};
struct tm_broker_batch {
	int64_t batch_id, now_us; /* now_us: of the announced batch, the same when it is run again */
	bool replay;              /* some of it, or all, may have been written before a crash */
	const struct tm_broker_part *parts;
	size_t part_count;
};
struct tm_broker_writer;
struct tm_broker_writer_options {
	const struct tm_option *options; /* of the sink: kafka.*, processing.guarantee */
	size_t option_count;
	struct tm_str query;
	struct tm_str project; /* several instances take turns: the sink writes exactly once, under a name of project and query that fences;
				* empty = one instance */
	struct tm_broker_caller caller;
};
struct tm_broker_writer_class {
	void (*free)(struct tm_broker_writer *w);
	/* How many partitions the topic has; it is made where the broker makes topics by itself. */
	tm_rc (*topic)(struct tm_broker_writer *w, struct tm_str name, int32_t *ret_partitions, struct tm_err *err);
	/* All records, durable when it returns; what a replayed batch has written already is not written again. */
	tm_rc (*write)(struct tm_broker_writer *w, const struct tm_broker_batch *batch, struct tm_err *err);
	/* What it has to know after a restart, as of the last written batch. */
	void (*save)(struct tm_broker_writer *w, struct tm_buf *out);
	tm_rc (*load)(struct tm_broker_writer *w, struct tm_str saved, struct tm_err *err);
};
struct tm_broker_writer {
	const struct tm_broker_writer_class *klass;
};

/* ---- the broker ---- */

struct tm_broker_class {
	const char *name; /* "embedded" or "kafka" */
	bool embedded;
	void (*free)(struct tm_broker *b);
	/* All topics, sorted by name; names in the arena. counts: with records, end and bytes, not older than a second or two. */
	tm_rc (*topics)(struct tm_broker *b, bool counts, struct tm_arena *arena, struct tm_broker_topic **ret, size_t *ret_count,
			struct tm_err *err);
	/* TM_NOT_FOUND where there is no such topic. Never makes one. ret->name is the name given; counts are 0. */
	tm_rc (*topic)(struct tm_broker *b, struct tm_str name, struct tm_broker_topic *ret, struct tm_err *err);
	tm_rc (*bounds)(struct tm_broker *b, struct tm_str topic, int32_t partition, struct tm_broker_bounds *ret, struct tm_err *err);
	/* First offset whose record is at or after ms; -1 where there is none. */
	tm_rc (*offset_for_time)(struct tm_broker *b, struct tm_str topic, int32_t partition, int64_t ms, int64_t *ret, struct tm_err *err);
	/* Makes a topic; partitions -1 = as many as the broker gives. TM_EXISTS where it is there. */
	tm_rc (*create)(struct tm_broker *b, struct tm_str topic, int32_t partitions, struct tm_err *err);
	/* Appends records to one partition and waits until they are durable; *ret_base (may be NULL): the first one's offset. */
	tm_rc (*append)(struct tm_broker *b, struct tm_str topic, int32_t partition, const struct tm_record *records, size_t count,
			int64_t *ret_base, struct tm_err *err);
	/* Are these options of a view (or sink) ones that it takes? Without asking the broker. */
	tm_rc (*check)(struct tm_broker *b, const struct tm_option *options, size_t count, bool sink, struct tm_err *err);
	tm_rc (*reader)(struct tm_broker *b, const struct tm_broker_reader_options *options, struct tm_broker_reader **ret,
			struct tm_err *err);
	tm_rc (*writer)(struct tm_broker *b, const struct tm_broker_writer_options *options, struct tm_broker_writer **ret,
			struct tm_err *err);
};
struct tm_broker {
	const struct tm_broker_class *klass;
	const char *address; /* for people, without a password; "embedded" */
};

/* The embedded log as a broker; free it before the log is closed. */
struct tm_broker *tm_broker_log_new(struct tm_log *log);
/* The world's broker; *ret_own (to be freed, may be NULL after it) is made where the world has only a log. NULL: no broker runs here. */
struct tm_broker *tm_broker_of(const struct tm_stream_world *world, struct tm_broker **ret_own);
static inline void tm_broker_free(struct tm_broker *b)
{
	if (b)
		b->klass->free(b);
}
static inline void tm_broker_reader_free(struct tm_broker_reader *r)
{
	if (r)
		r->klass->free(r);
}
static inline void tm_broker_writer_free(struct tm_broker_writer *w)
{
	if (w)
		w->klass->free(w);
}
/* kafka.isolation.level of a view: Spark's default is read_uncommitted. */
tm_rc tm_broker_isolation(const struct tm_option *options, size_t count, bool *ret_committed, struct tm_err *err) TM_CHECKED;
#endif
