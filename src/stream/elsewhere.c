/* A query that another engine runs (a real Spark). It has no nodes and no thread here; whoever watches it reports how it stands, so
 * that summary, page and diagnosis see it like any other. */
#include "stream/query_int.h"
#include <stdio.h>

enum { LABELS_MAX = 64 };

struct tm_query *tm_query_elsewhere_new(const struct tm_query_spec *spec, const struct tm_query_elsewhere *elsewhere)
{
	struct tm_query *q = tm_zalloc(sizeof *q);
	q->env = tm_env_real();
	q->spec = *spec;
	q->elsewhere = *elsewhere;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	tm_arena_init(&q->stream.arena);
	tm_arena_init(&q->restore_arena);
	q->shared.progress.batch_id = q->shared.progress.lag = -1;
	q->shared.progress.watermark_ms = q->shared.progress.next_watermark_ms = INT64_MIN;
	return q;
}

/* Texts in a progress that lives on: few, as they name kinds of operators and reasons. */
static const char *kept_locked(struct tm_query *q, const char *text)
{
	for (size_t i = 0; i < q->labels.count; i++)
		if (strcmp(q->labels.items[i], text) == 0)
			return q->labels.items[i];
	if (q->labels.count == LABELS_MAX)
		return "other";
	const char *copy = tm_arena_cstr(&q->restore_arena, tm_str_of(text));
	TM_PUSH_IN(&q->restore_arena, &q->labels, copy);
	return copy;
}

void tm_query_report(struct tm_query *q, const struct tm_query_progress *p)
{
	pthread_mutex_lock(&q->lock);
	struct tm_query_shared *s = &q->shared;
	bool ran = p->batches > s->progress.batches;
	s->progress = *p;
	snprintf(s->waiting, sizeof s->waiting, "%.*s", TM_STR_ARG(p->waiting));
	s->dead.count = s->ops.count = 0;
	for (size_t i = 0; i < p->dead_count; i++)
		TM_PUSH(&s->dead, (struct tm_dead_reason){kept_locked(q, p->dead[i].reason), p->dead[i].rows});
	for (size_t i = 0; i < p->op_count; i++) {
		struct tm_op_progress o = p->ops[i];
		o.label = kept_locked(q, o.label);
		TM_PUSH(&s->ops, o);
	}
	pthread_cond_broadcast(&q->changed);
	void (*done)(void *, struct tm_query *) = q->on_batch;
	void *ctx = q->on_batch_ctx;
	pthread_mutex_unlock(&q->lock);
	if (ran && done)
		done(ctx, q);
}

bool tm_query_elsewhere_caught_up(struct tm_query *q)
{
	pthread_mutex_lock(&q->lock);
	bool over = q->shared.progress.state != TM_QUERY_RUNNING;
	pthread_mutex_unlock(&q->lock);
	return over || q->elsewhere.caught_up(q->elsewhere.ctx, q);
}
