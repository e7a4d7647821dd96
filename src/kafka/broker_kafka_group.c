/* Offsets of consumer groups, without being a member of one: a query's progress, so that tools see its lag; and a transactional sink's
 * mark. Each group has one handle of librdkafka for the life of the process: one that is ended while its broker is away may never end
 * (2.0), and the admin calls for the same may abort the process then. So none is ended; a query that begins anew finds its own again. */
#include "kafka/broker_kafka_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COMMIT_EVERY_MS = 1000, COMMIT_LOST_MS = 30000, LAST_COMMIT_MS = 500 };

struct kb_group {
	struct kb_group *next;
	char *address, *group;
	rd_kafka_t *rk;
	bool in_flight, said; /* a commit is on its way; its failure was told */
};
static struct kb_group *groups;
static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t now_ns(void) { return tm_mono_ns(tm_env_real()); }

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
	(void)rk;
	struct kb_group *g = opaque;
	for (int i = 0; offsets && i < offsets->cnt && !code; i++)
		code = offsets->elems[i].err;
	bool passing = !code || kb_passing(code) || code == RD_KAFKA_RESP_ERR__NO_OFFSET || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (!passing && !g->said) {
		tm_say(TM_SAY_WARN, "kafka", "offsets are not committed to the group '%s', tools will show a wrong lag: %s", g->group,
		       rd_kafka_err2str(code));
		g->said = true;
	}
	__atomic_store_n(&g->in_flight, false, __ATOMIC_RELEASE);
}

static void on_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

static tm_rc group_handle(struct kafka_broker *b, const char *name, struct kb_group **ret, struct tm_err *err)
{
	tm_rc rc = TM_OK;
	pthread_mutex_lock(&groups_lock);
	struct kb_group *g = groups;
	while (g && (strcmp(g->group, name) != 0 || strcmp(g->address, b->b.address) != 0))
		g = g->next;
	if (!g) {
		g = tm_zalloc(sizeof *g);
		rd_kafka_conf_t *conf = kb_conf(b, KB_ASKING);
		kb_set(conf, "group.id", name);
		kb_set(conf, "isolation.level", "read_committed");
		rd_kafka_conf_set_opaque(conf, g);
		rd_kafka_conf_set_error_cb(conf, NULL);
		rd_kafka_conf_set_log_cb(conf, on_nothing);
		rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
		rc = kb_handle(b, RD_KAFKA_CONSUMER, conf, &g->rk, err);
		if (rc) {
			free(g);
			g = NULL;
		} else {
			g->address = tm_strdup(b->b.address);
			g->group = tm_strdup(name);
			g->next = groups;
			groups = g;
		}
	}
	pthread_mutex_unlock(&groups_lock);
	*ret = g;
	return rc;
}

/* ---- a query's progress ---- */

static void commit(struct kb_commits *c)
{
	c->begun_ns = now_ns();
	__atomic_store_n(&c->to->in_flight, true, __ATOMIC_RELEASE);
	if (rd_kafka_commit(c->to->rk, c->wanted, 1))
		__atomic_store_n(&c->to->in_flight, false, __ATOMIC_RELEASE);
	rd_kafka_topic_partition_list_destroy(c->wanted);
	c->wanted = NULL;
}

void kb_commits_serve(struct kb_commits *c)
{
	if (!c->to)
		return;
	rd_kafka_poll(c->to->rk, 0);
	int64_t ms = (now_ns() - c->begun_ns) / 1000000;
	if (c->wanted && ms > (__atomic_load_n(&c->to->in_flight, __ATOMIC_ACQUIRE) ? COMMIT_LOST_MS : COMMIT_EVERY_MS))
		commit(c);
}

void kb_commits_want(struct kb_commits *c, const struct tm_offsets *offsets)
{
	if (!c->group || !offsets->count || (!c->to && group_handle(c->b, c->group, &c->to, NULL)))
		return;
	if (c->wanted)
		rd_kafka_topic_partition_list_destroy(c->wanted);
	c->wanted = rd_kafka_topic_partition_list_new((int)offsets->count);
	struct tm_arena arena;
	tm_arena_init(&arena);
	for (size_t i = 0; i < offsets->count; i++)
		rd_kafka_topic_partition_list_add(c->wanted, kb_cstr(&arena, offsets->items[i].topic), offsets->items[i].partition)
		    ->offset = offsets->items[i].offset;
	tm_arena_done(&arena);
	kb_commits_serve(c);
}

void kb_commits_done(struct kb_commits *c)
{
	if (c->wanted && !__atomic_load_n(&c->to->in_flight, __ATOMIC_ACQUIRE))
		commit(c);
	int64_t until_ns = now_ns() + LAST_COMMIT_MS * INT64_C(1000000);
	while (c->to && __atomic_load_n(&c->to->in_flight, __ATOMIC_ACQUIRE) && now_ns() < until_ns)
		rd_kafka_poll(c->to->rk, 20); /* where the broker is away, the checkpoint knows */
	if (c->wanted)
		rd_kafka_topic_partition_list_destroy(c->wanted);
	*c = (struct kb_commits){0};
}

/* ---- marks ---- */

tm_rc kb_group_marked(struct kafka_broker *b, const char *group, rd_kafka_topic_partition_list_t *parts, const char *mark, bool *ret,
		      struct tm_err *err)
{
	struct kb_group *g;
	*ret = false;
	TM_TRY(group_handle(b, group, &g, err));
	rd_kafka_resp_err_t code = rd_kafka_committed(g->rk, parts, KB_AWAY_AFTER_MS / 2);
	for (int i = 0; i < parts->cnt && !code; i++)
		code = parts->elems[i].err;
	if (code)
		return kb_fail(b, code, err, "the offsets of group '%s' cannot be asked", group);
	for (int i = 0; i < parts->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &parts->elems[i];
		*ret |= p->metadata && p->metadata_size == strlen(mark) && memcmp(p->metadata, mark, strlen(mark)) == 0;
	}
	return TM_OK;
}
