/* Prepared statements by id, shared by all connections. A bounded table: the least recently used one leaves, and a client
 * that comes back for it is told to prepare again (0x2500), as by Cassandra. */
#include <stdlib.h>
#include "cassandra/server_int.h"

#define TEXT_LIMIT_BYTES (64 * TM_MIB) /* of all statements' texts together */

void tm_cass_prepared_init(struct tm_cass_prepared_cache *cache, size_t limit)
{
	*cache = (struct tm_cass_prepared_cache){.limit = limit, .slot_count = 256};
	while (cache->slot_count < limit)
		cache->slot_count *= 2;
	cache->slots = tm_zalloc(tm_mul_size(cache->slot_count, sizeof *cache->slots));
	pthread_mutex_init(&cache->lock, NULL);
}

static struct tm_cass_prepared **slot_of(struct tm_cass_prepared_cache *cache, const void *id)
{
	uint64_t hash; /* an MD5: any part is as good as another */
	memcpy(&hash, id, sizeof hash);
	return &cache->slots[hash & (cache->slot_count - 1)];
}

static void unlink_age(struct tm_cass_prepared_cache *cache, struct tm_cass_prepared *p)
{
	if (p->older)
		p->older->newer = p->newer;
	else
		cache->oldest = p->newer;
	if (p->newer)
		p->newer->older = p->older;
	else
		cache->newest = p->older;
	p->older = p->newer = NULL;
}

static void link_newest(struct tm_cass_prepared_cache *cache, struct tm_cass_prepared *p)
{
	p->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = p;
	else
		cache->oldest = p;
	cache->newest = p;
}

struct tm_cass_prepared *tm_cass_prepared_find(struct tm_cass_prepared_cache *cache, struct tm_str id)
{
	if (id.len != 16)
		return NULL;
	struct tm_cass_prepared *p = *slot_of(cache, id.at);
	while (p && memcmp(p->id, id.at, 16) != 0)
		p = p->chain;
	if (p && p != cache->newest) {
		pthread_mutex_lock(&cache->lock);
		unlink_age(cache, p);
		link_newest(cache, p);
		pthread_mutex_unlock(&cache->lock);
	}
	return p;
}

void tm_cass_prepared_drop(struct tm_cass_prepared_cache *cache, struct tm_cass_prepared *p)
{
	struct tm_cass_prepared **at = slot_of(cache, p->id);
	while (*at != p)
		at = &(*at)->chain;
	pthread_mutex_lock(&cache->lock);
	*at = p->chain;
	unlink_age(cache, p);
	cache->count--;
	cache->bytes -= p->text.len;
	pthread_mutex_unlock(&cache->lock);
	tm_cql_prepared_unref(p->statement);
	free((void *)p->text.at);
	free((void *)p->keyspace.at);
	free(p);
}

static void metadata_id(const struct tm_cql_prepared *statement, uint8_t ret[16])
{
	struct tm_cql_prepared_info info;
	struct tm_buf b = {0};
	tm_cql_prepared_describe(statement, &info);
	for (size_t i = 0; i < info.column_count; i++) {
		tm_buf_str_put(&b, info.columns[i].name);
		tm_buf_u8(&b, 0);
		tm_cass_type_marshal(&b, info.columns[i].type);
		tm_buf_put(&b, "\0", 2);
	}
	tm_cass_md5((struct tm_str[]){tm_buf_str(&b)}, 1, ret);
	tm_buf_done(&b);
}

struct tm_cass_prepared *tm_cass_prepared_add(struct tm_cass_prepared_cache *cache, struct tm_cql_prepared *statement, struct tm_str text,
					      struct tm_str keyspace)
{
	uint8_t id[16];
	tm_cass_md5((struct tm_str[]){keyspace, text}, 2, id);
	struct tm_cass_prepared *p = tm_cass_prepared_find(cache, tm_str_n((const char *)id, 16));
	if (p)
		tm_cass_prepared_drop(cache, p);
	while (cache->oldest && (cache->count >= cache->limit || cache->bytes + text.len > TEXT_LIMIT_BYTES)) {
		tm_cass_prepared_drop(cache, cache->oldest);
		__atomic_add_fetch(&cache->evicted, 1, __ATOMIC_RELAXED);
	}
	p = tm_zalloc(sizeof *p);
	memcpy(p->id, id, 16);
	metadata_id(statement, p->result_metadata_id);
	p->statement = statement;
	p->text = tm_str_dup(text);
	p->keyspace = tm_str_dup(keyspace);
	p->settles = tm_cass_text_settles(text);
	p->scans = tm_cass_text_scans(text);
	struct tm_cass_prepared **slot = slot_of(cache, id);
	pthread_mutex_lock(&cache->lock);
	p->chain = *slot;
	*slot = p;
	link_newest(cache, p);
	cache->count++;
	cache->bytes += text.len;
	pthread_mutex_unlock(&cache->lock);
	return p;
}

void tm_cass_prepared_done(struct tm_cass_prepared_cache *cache)
{
	while (cache->oldest)
		tm_cass_prepared_drop(cache, cache->oldest);
	free(cache->slots);
	pthread_mutex_destroy(&cache->lock);
}

/* By its first word; comments before it are stepped over. */
bool tm_cass_text_settles(struct tm_str text)
{
	static const char *const words[] = {"CREATE", "ALTER", "DROP", "TRUNCATE"};
	size_t at = 0;
	for (;;) {
		while (at < text.len && strchr(" \t\r\n;", text.at[at]) && text.at[at])
			at++;
		struct tm_str rest = tm_str_slice(text, at, text.len);
		if (tm_str_starts(rest, TM_STR("--")) || tm_str_starts(rest, TM_STR("//"))) {
			at = tm_str_find(text, TM_STR("\n"), at);
		} else if (tm_str_starts(rest, TM_STR("/*"))) {
			at = tm_str_find(text, TM_STR("*/"), at);
			at = at == SIZE_MAX ? at : at + 2;
		} else {
			break;
		}
		if (at == SIZE_MAX)
			return false;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t n = strlen(words[i]);
		if (text.len - at >= n && tm_str_iis(tm_str_n(text.at + at, n), words[i]))
			return true;
	}
	return false;
}
