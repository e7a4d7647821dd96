/* The inside of the librdkafka adapter, shared by broker_kafka*.c. */
#ifndef TM_KAFKA_BROKER_KAFKA_INT_H
#define TM_KAFKA_BROKER_KAFKA_INT_H
#include "base/url.h"
#include "kafka/broker_kafka.h"
#include <librdkafka/rdkafka.h>
#include <pthread.h>

enum {
	KB_CALL_MS = 2000,       /* a question to the broker */
	KB_SLICE_MS = 100,       /* of a long wait: after each the caller is asked whether to go on */
	KB_SAY_AFTER_MS = 1000,  /* what is waited for is said then */
	KB_AWAY_AFTER_MS = 10000 /* without any progress: TM_UNAVAILABLE */
};

/* What a handle of librdkafka last complained about, for messages; its call-backs come from any thread. */
struct kb_complaint {
	pthread_mutex_t lock;
	rd_kafka_resp_err_t code;
	char text[300];
};
struct kb_pair {
	const char *name, *value;
};
struct kafka_broker {
	struct tm_broker b;
	struct tm_arena arena; /* of the address */
	struct tm_url url;
	struct kb_pair *pairs; /* what every handle is configured with */
	size_t pair_count;
	struct kb_complaint complaint;
	pthread_mutex_t lock;                /* of all below; held while asking the broker only by append */
	rd_kafka_t *asking[2];               /* consumers without a group, for questions; [1]: read_committed */
	rd_kafka_t *producer;                /* of append */
	pthread_mutex_t appending, counting; /* one at a time; ranks: counting, appending, lock, complaint.lock */
	int64_t counted_ns, count_failed_ns; /* when the list below was made; when making it failed last */
	struct tm_arena counted_arena;       /* of the list */
	struct tm_broker_topic *counted;     /* all topics with their counts, under `counting` */
	size_t counted_count;
	struct tm_err count_err;
	struct tm_arena nodes_arena;
	struct tm_kafka_node *nodes;
	size_t node_count;
	bool outlived; /* by a handle that was given up and may still complain here: never freed */
};
static inline struct kafka_broker *kb_of(struct tm_broker *b) { return (struct kafka_broker *)b; }

/* ---- broker_kafka_conf.c ---- */

/* The address's parts into b->url and b->pairs. */
tm_rc kb_address(struct kafka_broker *b, struct tm_str address, struct tm_err *err) TM_CHECKED;
enum kb_use { KB_ASKING, KB_READING, KB_WRITING };
/* What a view (KB_READING) or a sink (KB_WRITING) says by its kafka.* options beyond what goes to librdkafka. */
struct kb_wishes {
	struct tm_str group, transactional_id; /* empty = not given */
	bool committed;                        /* isolation.level */
	bool exactly_once;
};
/* Reads them, and puts the others into conf (NULL: only checks them). */
tm_rc kb_wishes(const struct tm_option *options, size_t count, enum kb_use use, rd_kafka_conf_t *conf, struct kb_wishes *ret,
		struct tm_err *err) TM_CHECKED;
/* A configuration with the address's options and our own defaults for that use; complaints go to b. */
rd_kafka_conf_t *kb_conf(struct kafka_broker *b, enum kb_use use);
void kb_set(rd_kafka_conf_t *conf, const char *name, const char *value); /* ours: they are known to be right */
/* Takes conf over. */
tm_rc kb_handle(struct kafka_broker *b, rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret, struct tm_err *err) TM_CHECKED;
/* Kafka's errors as ours: what failed by fmt, Kafka's own words behind it. err->code is Kafka's code where it is the broker's. */
tm_rc kb_fail(struct kafka_broker *b, rd_kafka_resp_err_t code, struct tm_err *err, const char *fmt, ...) TM_PRINTF(4, 5);
void kb_complain(struct kafka_broker *b, rd_kafka_resp_err_t code, const char *text);
void kb_content(struct kafka_broker *b); /* it has answered: earlier complaints are void */
/* May the same be tried again? */
bool kb_passing(rd_kafka_resp_err_t code);

/* ---- broker_kafka.c ---- */

/* The handle for questions. Not a reader's own: there they would stand behind its fetches, which wait for data. */
tm_rc kb_asking(struct kafka_broker *b, bool committed, rd_kafka_t **ret, struct tm_err *err) TM_CHECKED;
/* Ends (ms RD_KAFKA_OFFSET_END), starts (RD_KAFKA_OFFSET_BEGINNING) or first offsets at a time, of all partitions of at, by one
 * question to each of their leaders; committed: ends are last stable offsets. -1 where there is none at the time. */
tm_rc kb_list_offsets(struct kafka_broker *b, bool committed, const struct tm_offsets *at, int64_t ms, int64_t *ret,
		      struct tm_err *err) TM_CHECKED;
bool kb_internal(struct tm_str topic);

/* ---- broker_kafka_group.c ---- */

struct kb_group;
struct kb_commits { /* of one group; group NULL = none are made */
	struct kafka_broker *b;
	const char *group;
	struct kb_group *to;
	rd_kafka_topic_partition_list_t *wanted; /* the newest that are not committed */
	int64_t begun_ns;                        /* the last commit, at most one a second */
};
void kb_commits_want(struct kb_commits *c, const struct tm_offsets *offsets);
void kb_commits_serve(struct kb_commits *c); /* now and then */
void kb_commits_done(struct kb_commits *c);  /* commits the last; waits a little */
/* Has one of the partitions this text as the metadata of the group's offset? */
tm_rc kb_group_marked(struct kafka_broker *b, const char *group, rd_kafka_topic_partition_list_t *parts, const char *mark, bool *ret,
		      struct tm_err *err) TM_CHECKED;

/* ---- broker_kafka_mark.c ---- */

/* Commits offsets of the group within the transaction at work. *ret: librdkafka's error, the caller's; NULL = done. false: it did not
 * return in time; the handle must not be touched any more, not even destroyed, and broker and caller's call-backs have to outlive it. */
bool kb_send_offset(rd_kafka_t *rk, const char *group, rd_kafka_topic_partition_list_t *offsets, const struct tm_broker_caller *caller,
		    rd_kafka_error_t **ret) TM_CHECKED;

/* ---- broker_kafka_read.c, broker_kafka_write.c, broker_kafka_replay.c ---- */

tm_rc kb_reader(struct tm_broker *b, const struct tm_broker_reader_options *options, struct tm_broker_reader **ret,
		struct tm_err *err) TM_CHECKED;
tm_rc kb_writer(struct tm_broker *b, const struct tm_broker_writer_options *options, struct tm_broker_writer **ret,
		struct tm_err *err) TM_CHECKED;
/* Hands a record over; flags are RD_KAFKA_MSG_F_*, opaque is the delivery's. */
rd_kafka_resp_err_t kb_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const struct tm_record *r, int flags,
			       void *opaque);
/* Which records of a batch that runs again are in the topics already: looked for behind `ends` (of the last committed batch), else from the
 * batch's time on. *ret_written has a byte for each record, parts one after another, in the arena. */
tm_rc kb_written(struct kafka_broker *b, const struct tm_broker_batch *batch, const struct tm_offsets *ends,
		 const struct tm_broker_caller *caller, struct tm_arena *arena, uint8_t **ret_written, struct tm_err *err) TM_CHECKED;
struct tm_str kb_text(struct tm_arena *arena, const char *s);
const char *kb_cstr(struct tm_arena *arena, struct tm_str s);
static inline bool kb_stopping(const struct tm_broker_caller *c) { return c->stopping && c->stopping(c->ctx); }
static inline void kb_waits(const struct tm_broker_caller *c, const char *what)
{
	if (c->waits)
		c->waits(c->ctx, what);
}
#endif
