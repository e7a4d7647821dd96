/* The inside of a streaming query, shared by query.c (batches), drive.c (thread, progress) and dead.c (dead letters). */
#ifndef TM_STREAM_QUERY_INT_H
#define TM_STREAM_QUERY_INT_H
#include <pthread.h>
#include "stream/checkpoint.h"
#include "stream/provider.h"
#include "stream/state.h"

struct tm_cql_value; /* table/table.h */
struct tm_query_source {
	struct tm_node *node;
	struct tm_source *source;
	struct tm_buf from, to;
};

/* For tests: a query that dies at a step of its batch. */
enum tm_fault { TM_FAULT_NONE, TM_FAULT_ANNOUNCED, TM_FAULT_RAN, TM_FAULT_FINISHED, TM_FAULT_COMMITTED };

struct tm_query_shared {                   /* under lock */
	struct tm_query_progress progress; /* its name, texts and lists are unused: they are beside it */
	struct {
		struct tm_dead_reason *items;
		size_t count, cap;
	} dead;
	struct {
		struct tm_op_progress *items;
		size_t count, cap;
	} ops;
	char waiting[200], said[200]; /* said: what the log was told of waiting for other systems */
	uint64_t asked, answered;     /* caught_up: questions, and the last one that was answered */
	bool idle;                    /* the answer */
	bool woken, stop;
	int64_t stop_ns; /* when stop was wanted */
};

struct tm_query {
	const struct tm_stream_world *world;
	const struct tm_env *env;
	struct tm_query_spec spec;
	struct tm_run run;
	struct tm_stream_run stream;
	struct tm_node *root;
	struct {
		struct tm_node **items;
		size_t count, cap;
	} nodes; /* inputs before their operator */
	struct {
		struct tm_query_source *items;
		size_t count, cap;
	} sources;
	struct tm_sink *sink;
	struct tm_table_batch *commit; /* NULL without a store: nothing is kept */
	struct {
		struct tm_arena arena;
		struct {
			struct tm_journal_entry *items;
			size_t count, cap;
		} entries;
	} journal;                             /* what the commit holds, where the world has a journal */
	struct tm_checkpoint_watermark *marks; /* per watermark operator */
	int64_t batch_id;                      /* of the next batch */
	int64_t watermark_ms, next_watermark_ms;
	bool started;                       /* its start is in the store */
	bool described;                     /* so is what its state is made of */
	bool in_batch;                      /* a batch began and did not commit */
	bool torn;                          /* going back to the last commit failed, as another system is away: first do that */
	bool replay;                        /* the next batch was announced before a crash; its ends are in sources */
	int64_t replay_now_us, last_now_us; /* current_timestamp() of the announced batch; of the last one */
	int64_t again; /* how often the batch was begun before; in record w it is the part of now_us below a millisecond */
	struct tm_buf record;
	struct tm_arena restore_arena;
	struct tm_err failed;
	enum tm_fault fault;
	const struct tm_table_def *dead_def;
	int64_t first_batch_ns, rows_read_before;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* rank: below the log's and the store's; guards what follows */
	void (*on_batch)(void *ctx, struct tm_query *query);
	void *on_batch_ctx;
	pthread_cond_t changed;
	struct tm_query_shared shared;
	struct tm_query_elsewhere elsewhere; /* caught_up set: another engine runs it, nothing above has nodes */
	struct {
		const char **items;
		size_t count, cap;
	} labels;
};

/* drive.c */
int64_t tm_query_rows_read(const struct tm_query *q);
void tm_query_note_batch(struct tm_query *q, bool data, int64_t read, int64_t written, int64_t took_ns); /* took_ns -1: at the start */
void tm_query_note_failure(struct tm_query *q);
void tm_query_shared_done(struct tm_query *q);
bool tm_query_stopping(struct tm_query *q);
tm_rc tm_query_fault(struct tm_query *q, enum tm_fault at, struct tm_err *err) TM_CHECKED;
/* Tests: the next batch fails there, as if the process died (nothing after it is done). */
void tm_query_fail_at(struct tm_query *q, enum tm_fault at);

/* journal.c */
void tm_query_journal_watch(struct tm_query *q);                                                  /* a new q->commit */
void tm_query_journal_dead(struct tm_query *q, size_t number, const struct tm_cql_value *values); /* by enum tm_dead_column */
tm_rc tm_query_commit(struct tm_query *q, struct tm_err *err) TM_CHECKED;                         /* q->commit; to the journal first */

bool tm_query_elsewhere_caught_up(struct tm_query *q); /* elsewhere.c */

/* dead.c */
tm_rc tm_dead_open(struct tm_query *q, struct tm_err *err) TM_CHECKED;
tm_rc tm_dead_write(struct tm_query *q, struct tm_err *err) TM_CHECKED; /* the batch's dead letters into its commit */
void tm_dead_close(struct tm_query *q);
#endif
