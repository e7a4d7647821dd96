/* A journal for tests of what goes to one and comes back. */
#ifndef TM_TESTS_MEMORY_JOURNAL_H
#define TM_TESTS_MEMORY_JOURNAL_H
#include <pthread.h>
#include <stdlib.h>
#include "base/base.h"

/* A journal in memory: the last value of each key, as a compacted topic keeps it. */
struct memory {
	struct tm_journal journal;
	struct {
		struct tm_journal_entry *items;
		size_t count, cap;
	} entries;
	bool refuses;
	size_t commits, refuse_at; /* refuse_at: the commit with this number (from 1) and all after it are refused; 0 = none */
	pthread_mutex_t lock;
};

static tm_rc memory_commit(struct tm_journal *j, const struct tm_journal_entry *entries, size_t count, struct tm_err *err)
{
	struct memory *m = (struct memory *)j;
	pthread_mutex_lock(&m->lock);
	m->refuses |= m->refuse_at && m->commits + 1 >= m->refuse_at;
	if (m->refuses) {
		pthread_mutex_unlock(&m->lock);
		return tm_fail(err, TM_CANCELLED, "another instance leads");
	}
	m->commits++;
	for (size_t i = 0; i < count; i++) {
		struct tm_journal_entry *old = NULL;
		for (size_t k = 0; k < m->entries.count && !old; k++)
			if (tm_str_eq(m->entries.items[k].key, entries[i].key))
				old = &m->entries.items[k];
		if (!old) {
			TM_PUSH(&m->entries, (struct tm_journal_entry){.key = tm_str_dup(entries[i].key)});
			old = &m->entries.items[m->entries.count - 1];
		}
		free((void *)(uintptr_t)old->value.at);
		old->value = tm_str_dup(entries[i].value);
		old->deleted = entries[i].deleted;
		old->dated = entries[i].dated;
	}
	pthread_mutex_unlock(&m->lock);
	return TM_OK;
}
static bool memory_leads(struct tm_journal *j) { return !((struct memory *)j)->refuses; }
static const struct tm_journal_class memory_class = {.commit = memory_commit, .leads = memory_leads};

#define MEMORY_JOURNAL                                                                                                                     \
	{                                                                                                                                  \
		.journal = {&memory_class, "test"}, .lock = PTHREAD_MUTEX_INITIALIZER                                                      \
	}

static void memory_done(struct memory *m)
{
	for (size_t i = 0; i < m->entries.count; i++) {
		free((void *)(uintptr_t)m->entries.items[i].key.at);
		free((void *)(uintptr_t)m->entries.items[i].value.at);
	}
	free(m->entries.items);
}
#endif
