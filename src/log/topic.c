/* The catalogue of topics, in the file `topics`: names, ids, partition counts, configs. It is written whole (beside, synced,
 * renamed) before a change counts; partitions' folders are made before and removed after it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "log/log_int.h"

static tm_rc with_code(struct tm_err *err, int code, tm_rc rc)
{
	if (err)
		err->code = code;
	return rc;
}

tm_rc tm_log_topic_check_name(struct tm_str n, struct tm_err *err)
{
	tm_rc rc = TM_OK;
	if (n.len == 0)
		rc = tm_fail(err, TM_INVALID, "Topic name is invalid: the empty string is not allowed");
	else if (tm_str_is(n, ".") || tm_str_is(n, ".."))
		rc = tm_fail(err, TM_INVALID, "Topic name is invalid: '%.*s' is not allowed", TM_STR_ARG(n));
	else if (n.len > 249)
		rc = tm_fail(err, TM_INVALID, "Topic name is invalid: the length of '%.*s' is longer than the max allowed length 249",
			     TM_STR_ARG(n));
	for (size_t i = 0; rc == TM_OK && i < n.len; i++) {
		char c = n.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			rc = tm_fail(err, TM_INVALID,
				     "Topic name is invalid: '%.*s' contains one or more characters other than ASCII alphanumerics, '.', "
				     "'_' and '-'",
				     TM_STR_ARG(n));
	}
	return rc == TM_OK ? rc : with_code(err, TM_KAFKA_INVALID_TOPIC, rc);
}

/* ---- references ---- */
struct tm_topic *tm_topic_ref(struct tm_topic *t)
{
	__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

static void free_configs(struct tm_topic *t)
{
	for (size_t i = 0; i < t->configs.count; i++) {
		free((void *)(uintptr_t)t->configs.items[i].name.at);
		free((void *)(uintptr_t)t->configs.items[i].value.at);
	}
	t->configs.count = 0;
}

void tm_topic_unref(struct tm_topic *t)
{
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (int32_t i = 0; i < t->partition_count; i++)
		tm_partition_free(t->partitions[i]);
	free(t->partitions);
	free_configs(t);
	free(t->configs.items);
	free(t->settings);
	for (size_t i = 0; i < t->old.count; i++)
		free(t->old.items[i]);
	free(t->old.items);
	free(t->name);
	free(t);
}

struct tm_str tm_topic_name(const struct tm_topic *t) { return tm_str_of(t->name); }
const uint8_t *tm_topic_id(const struct tm_topic *t) { return t->id; }
int32_t tm_topic_partitions(const struct tm_topic *t) { return __atomic_load_n(&t->partition_count, __ATOMIC_ACQUIRE); }
bool tm_topic_internal(const struct tm_topic *t)
{
	return strcmp(t->name, "__consumer_offsets") == 0 || strcmp(t->name, "__transaction_state") == 0;
}

/* ---- the list ---- */
static size_t place_of(const struct tm_log *log, struct tm_str name, bool *ret_found)
{
	size_t low = 0, high = log->topics.count;
	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = tm_str_cmp(tm_str_of(log->topics.items[mid]->name), name);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void insert(struct tm_log *log, size_t at, struct tm_topic *t)
{
	TM_PUSH(&log->topics, t);
	memmove(log->topics.items + at + 1, log->topics.items + at, (log->topics.count - 1 - at) * sizeof *log->topics.items);
	log->topics.items[at] = t;
}

static void take_out(struct tm_log *log, size_t at)
{
	log->topics.count--;
	memmove(log->topics.items + at, log->topics.items + at + 1, (log->topics.count - at) * sizeof *log->topics.items);
}

struct tm_topic *tm_log_topic_find(struct tm_log *log, struct tm_str name)
{
	bool found;
	pthread_rwlock_rdlock(&log->catalogue);
	size_t i = place_of(log, name, &found);
	struct tm_topic *t = found ? tm_topic_ref(log->topics.items[i]) : NULL;
	pthread_rwlock_unlock(&log->catalogue);
	return t;
}

struct tm_topic *tm_log_topic_find_id(struct tm_log *log, const uint8_t id[16])
{
	struct tm_topic *t = NULL;
	pthread_rwlock_rdlock(&log->catalogue);
	for (size_t i = 0; !t && i < log->topics.count; i++)
		if (memcmp(log->topics.items[i]->id, id, 16) == 0)
			t = tm_topic_ref(log->topics.items[i]);
	pthread_rwlock_unlock(&log->catalogue);
	return t;
}

size_t tm_log_topics(struct tm_log *log, struct tm_topic ***ret)
{
	pthread_rwlock_rdlock(&log->catalogue);
	size_t n = log->topics.count;
	struct tm_topic **list = tm_alloc(tm_mul_size(n + 1, sizeof *list));
	for (size_t i = 0; i < n; i++)
		list[i] = tm_topic_ref(log->topics.items[i]);
	pthread_rwlock_unlock(&log->catalogue);
	*ret = list;
	return n;
}

/* ---- the file ---- */
static void put_text(struct tm_buf *b, struct tm_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		if (c <= ' ' || c == '%' || c >= 0x7F)
			tm_buf_printf(b, "%%%02X", c);
		else
			tm_buf_char(b, (char)c);
	}
	if (s.len == 0)
		tm_buf_cstr_put(b, "%00"); /* so that a field is never nothing */
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct tm_str get_text(struct tm_str s)
{
	char *out = tm_alloc(s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '%' && i + 2 < s.len + 0 && hex_digit(s.at[i + 1]) >= 0 && hex_digit(s.at[i + 2]) >= 0) {
			char c = (char)(hex_digit(s.at[i + 1]) * 16 + hex_digit(s.at[i + 2]));
			if (c)
				out[n++] = c;
			i += 2;
		} else {
			out[n++] = s.at[i];
		}
	}
	out[n] = 0;
	return tm_str_n(out, n);
}

/* The catalogue's lock is held. */
static tm_rc save(struct tm_log *log, struct tm_err *err)
{
	struct tm_buf b = {0};
	for (size_t i = 0; i < log->topics.count; i++) {
		const struct tm_topic *t = log->topics.items[i];
		tm_buf_printf(&b, "topic %s ", t->name);
		for (int k = 0; k < 16; k++)
			tm_buf_printf(&b, "%02x", t->id[k]);
		tm_buf_printf(&b, " %d %lld\n", t->partition_count, (long long)t->created_ms);
		for (size_t k = 0; k < t->configs.count; k++) {
			tm_buf_cstr_put(&b, "config ");
			put_text(&b, t->configs.items[k].name);
			tm_buf_char(&b, ' ');
			put_text(&b, t->configs.items[k].value);
			tm_buf_char(&b, '\n');
		}
	}
	tm_rc rc = tm_log_text_write(log, "topics", "tidemill-topics", tm_buf_str(&b), err);
	tm_buf_done(&b);
	return rc;
}

static struct tm_topic *topic_new(struct tm_log *log, struct tm_str name)
{
	struct tm_topic *t = tm_zalloc(sizeof *t);
	t->log = log;
	t->refs = 1;
	t->name = (char *)(uintptr_t)tm_str_dup(name).at;
	return t;
}

static void use_settings(struct tm_topic *t)
{
	struct tm_settings *s = tm_alloc(sizeof *s);
	*s = tm_settings_of(t->configs.items, t->configs.count);
	if (t->settings)
		TM_PUSH(&t->old, (void *)t->settings);
	__atomic_store_n(&t->settings, s, __ATOMIC_RELEASE);
}

static void set_config(struct tm_topic *t, struct tm_str name, struct tm_str value)
{
	for (size_t i = 0; i < t->configs.count; i++)
		if (tm_str_eq(t->configs.items[i].name, name)) {
			free((void *)(uintptr_t)t->configs.items[i].value.at);
			t->configs.items[i].value = tm_str_dup(value);
			return;
		}
	TM_PUSH(&t->configs, (struct tm_log_config){tm_str_dup(name), tm_str_dup(value)});
}

/* Partitions from `from` on, with folders; nothing of theirs is known yet. */
static tm_rc make_partitions(struct tm_topic *t, int32_t from, int32_t to, struct tm_partition **list, struct tm_err *err)
{
	for (int32_t i = from; i < to; i++) {
		TM_TRY(tm_partition_new(t, i, &list[i], err));
		struct tm_partition *p = list[i];
		struct stat st;
		if (stat(p->dir, &st) == 0) { /* left by a deletion or a creation that a crash cut short */
			char aside[TM_LOG_PATH_MAX + 64];
			uint32_t salt;
			tm_random(t->log->env, &salt, sizeof salt);
			snprintf(aside, sizeof aside, "%s.%08x-delete", p->dir, salt);
			t->log->env->ops->rename(t->log->env, p->dir, aside);
			TM_TRY(tm_dir_remove(aside, err));
		}
		TM_TRY(tm_dir_make(p->dir, err));
		p->mark = tm_marks_take(t->log);
		TM_TRY(tm_marks_put(p, err));
	}
	return TM_OK;
}

static void new_id(struct tm_log *log, uint8_t id[16])
{
	do {
		tm_random(log->env, id, 16);
	} while (id[0] >> 2 == 62 || id[0] == 0); /* as text it must not begin with '-', nor look like Kafka's reserved ids */
	id[6] = (uint8_t)(0x40 | (id[6] & 0x0F));
	id[8] = (uint8_t)(0x80 | (id[8] & 0x3F));
}

static void remove_folders(struct tm_topic *t)
{
	for (int32_t i = 0; i < t->partition_count; i++) {
		struct tm_err ignored = {0};
		if (t->partitions[i] && tm_dir_remove(t->partitions[i]->dir, &ignored) != TM_OK)
			tm_say_err("log", &ignored);
	}
}

static tm_rc check_configs(const struct tm_log_config *configs, size_t count, struct tm_err *err)
{
	for (size_t i = 0; i < count; i++)
		TM_TRY(tm_config_check(configs[i].name, configs[i].value, err));
	return TM_OK;
}

/* '.' and '_' are the same in Kafka's metric names: two topics that differ in them only collide. */
static const char *collision(const struct tm_log *log, struct tm_str name)
{
	for (size_t i = 0; i < log->topics.count; i++) {
		struct tm_str other = tm_str_of(log->topics.items[i]->name);
		bool same = other.len == name.len;
		for (size_t k = 0; same && k < name.len; k++)
			same = (name.at[k] == '.' ? '_' : name.at[k]) == (other.at[k] == '.' ? '_' : other.at[k]);
		if (same)
			return log->topics.items[i]->name;
	}
	return NULL;
}

tm_rc tm_log_topic_create(struct tm_log *log, struct tm_str name, int32_t partitions, const struct tm_log_config *configs,
			  size_t config_count, struct tm_topic **ret, struct tm_err *err)
{
	bool found;
	if (partitions == -1)
		partitions = log->options.default_partitions > 0 ? log->options.default_partitions : 1;
	TM_TRY(tm_log_topic_check_name(name, err));
	pthread_rwlock_wrlock(&log->catalogue);
	size_t at = place_of(log, name, &found);
	const char *collides = found ? NULL : collision(log, name);
	tm_rc rc = TM_OK;
	struct tm_topic *t = NULL;
	if (found)
		rc = with_code(err, TM_KAFKA_TOPIC_EXISTS, tm_fail(err, TM_EXISTS, "Topic '%.*s' already exists.", TM_STR_ARG(name)));
	else if (collides)
		rc = with_code(err, TM_KAFKA_INVALID_TOPIC,
			       tm_fail(err, TM_INVALID, "Topic '%.*s' collides with existing topic: %s", TM_STR_ARG(name), collides));
	else if (partitions <= 0)
		rc = with_code(err, TM_KAFKA_INVALID_PARTITIONS,
			       tm_fail(err, TM_INVALID, "Number of partitions was set to an invalid non-positive value."));
	else if (partitions > TM_LOG_MAX_PARTITIONS)
		rc = with_code(err, TM_KAFKA_POLICY_VIOLATION,
			       tm_fail(err, TM_LIMIT, "Excessively large number of partitions per request."));
	else
		rc = check_configs(configs, config_count, err);
	if (rc == TM_OK) {
		t = topic_new(log, name);
		new_id(log, t->id);
		t->created_ms = tm_now_ms(log->env);
		for (size_t i = 0; i < config_count; i++)
			set_config(t, configs[i].name, configs[i].value);
		use_settings(t);
		t->partitions = tm_zalloc(tm_mul_size((size_t)partitions, sizeof *t->partitions));
		t->partition_count = partitions;
		rc = make_partitions(t, 0, partitions, t->partitions, err);
		if (rc == TM_OK) {
			insert(log, at, t);
			rc = save(log, err);
			if (rc != TM_OK)
				take_out(log, at);
		}
		if (rc != TM_OK) {
			remove_folders(t);
			for (int32_t i = 0; i < partitions; i++)
				if (t->partitions[i] && t->partitions[i]->mark != SIZE_MAX)
					tm_marks_drop(log, t->partitions[i]->mark);
		}
	}
	if (rc == TM_OK && ret)
		*ret = tm_topic_ref(t);
	if (rc == TM_OK)
		tm_commit_event(log, t);
	else
		tm_topic_unref(t);
	pthread_rwlock_unlock(&log->catalogue);
	return rc;
}

static tm_rc no_topic(struct tm_str name, struct tm_err *err)
{
	return with_code(err, TM_KAFKA_UNKNOWN_TOPIC, tm_fail(err, TM_NOT_FOUND, "The topic '%.*s' does not exist.", TM_STR_ARG(name)));
}

tm_rc tm_log_topic_delete(struct tm_log *log, struct tm_str name, struct tm_err *err)
{
	bool found;
	pthread_rwlock_wrlock(&log->catalogue);
	size_t at = place_of(log, name, &found);
	tm_rc rc = found ? TM_OK : no_topic(name, err);
	struct tm_topic *t = found ? log->topics.items[at] : NULL;
	if (rc == TM_OK) {
		take_out(log, at);
		rc = save(log, err);
		if (rc != TM_OK)
			insert(log, at, t);
	}
	if (rc == TM_OK) {
		t->deleted = true;
		for (int32_t i = 0; i < t->partition_count; i++) {
			struct tm_partition *p = t->partitions[i];
			pthread_mutex_lock(&p->lock);
			p->deleted = true;
			tm_partition_drop_front(p, p->segments.count);
			pthread_mutex_unlock(&p->lock);
			tm_marks_drop(log, p->mark);
		}
		remove_folders(t);
		tm_commit_event(log, t);
		tm_topic_unref(t);
	}
	pthread_rwlock_unlock(&log->catalogue);
	return rc;
}

tm_rc tm_log_topic_add_partitions(struct tm_log *log, struct tm_str name, int32_t total, struct tm_err *err)
{
	bool found;
	pthread_rwlock_wrlock(&log->catalogue);
	size_t at = place_of(log, name, &found);
	struct tm_topic *t = found ? log->topics.items[at] : NULL;
	tm_rc rc = found ? TM_OK : no_topic(name, err);
	int32_t now = t ? t->partition_count : 0;
	if (rc == TM_OK && total == now)
		rc = with_code(err, TM_KAFKA_INVALID_PARTITIONS, tm_fail(err, TM_INVALID, "Topic already has %d partition(s).", now));
	else if (rc == TM_OK && total < now)
		rc = with_code(err, TM_KAFKA_INVALID_PARTITIONS,
			       tm_fail(err, TM_INVALID, "The topic %s currently has %d partition(s); %d would not be an increase.", t->name,
				       now, total));
	else if (rc == TM_OK && total > TM_LOG_MAX_PARTITIONS)
		rc = with_code(err, TM_KAFKA_INVALID_PARTITIONS,
			       tm_fail(err, TM_LIMIT, "%d partitions are more than %d", total, TM_LOG_MAX_PARTITIONS));
	if (rc == TM_OK) {
		struct tm_partition **list = tm_zalloc(tm_mul_size((size_t)total, sizeof *list)), **old = t->partitions;
		memcpy(list, old, (size_t)now * sizeof *list);
		rc = make_partitions(t, now, total, list, err);
		if (rc == TM_OK) {
			t->partitions = list;
			t->partition_count = total;
			rc = save(log, err);
			t->partitions = old;
			t->partition_count = now;
		}
		if (rc == TM_OK) { /* readers see the longer list before the larger count */
			TM_PUSH(&t->old, (void *)old);
			__atomic_store_n(&t->partitions, list, __ATOMIC_RELEASE);
			__atomic_store_n(&t->partition_count, total, __ATOMIC_RELEASE);
			tm_commit_event(log, t);
		} else {
			for (int32_t i = now; i < total; i++) {
				if (list[i] && list[i]->mark != SIZE_MAX)
					tm_marks_drop(log, list[i]->mark);
				if (list[i] && tm_dir_remove(list[i]->dir, NULL) != TM_OK)
					tm_say(TM_SAY_WARN, "log", "%s could not be removed", list[i]->dir);
				tm_partition_free(list[i]);
			}
			free(list);
		}
	}
	pthread_rwlock_unlock(&log->catalogue);
	return rc;
}

/* ---- configs ---- */
struct tm_str tm_topic_config(const struct tm_topic *t, const char *name, bool *ret_is_default, struct tm_arena *arena)
{
	struct tm_str value = {NULL, 0};
	bool is_default = true;
	pthread_rwlock_rdlock(&t->log->catalogue);
	for (size_t i = 0; i < t->configs.count; i++)
		if (tm_str_is(t->configs.items[i].name, name)) {
			value = tm_arena_str(arena, t->configs.items[i].value);
			is_default = false;
		}
	pthread_rwlock_unlock(&t->log->catalogue);
	if (is_default)
		value = tm_str_of(tm_config_default(tm_str_of(name)));
	if (ret_is_default)
		*ret_is_default = is_default;
	return value;
}

tm_rc tm_log_topic_alter(struct tm_log *log, struct tm_str name, const struct tm_log_config *sets, size_t set_count,
			 const struct tm_str *deletes, size_t delete_count, bool replace_all, struct tm_err *err)
{
	bool found;
	TM_TRY(check_configs(sets, set_count, err));
	pthread_rwlock_wrlock(&log->catalogue);
	size_t at = place_of(log, name, &found);
	struct tm_topic *t = found ? log->topics.items[at] : NULL;
	tm_rc rc = found ? TM_OK : no_topic(name, err);
	if (t) {
		__typeof__(t->configs) old = t->configs;
		memset(&t->configs, 0, sizeof t->configs);
		for (size_t i = 0; i < old.count && !replace_all; i++) {
			bool gone = false;
			for (size_t k = 0; k < delete_count; k++)
				gone |= tm_str_eq(old.items[i].name, deletes[k]);
			if (!gone)
				set_config(t, old.items[i].name, old.items[i].value);
		}
		for (size_t i = 0; i < set_count; i++)
			set_config(t, sets[i].name, sets[i].value);
		rc = save(log, err);
		__typeof__(t->configs) unused = old;
		if (rc != TM_OK) {
			unused = t->configs;
			t->configs = old;
		}
		__typeof__(t->configs) kept = t->configs;
		t->configs = unused;
		free_configs(t);
		free(t->configs.items);
		t->configs = kept;
		if (rc == TM_OK)
			use_settings(t);
	}
	pthread_rwlock_unlock(&log->catalogue);
	return rc;
}

/* ---- at start ---- */
static bool parse_topic(struct tm_log *log, struct tm_str rest, struct tm_topic **ret)
{
	struct tm_str name, id, count, created;
	int64_t n, ms;
	if (!tm_str_split(&rest, ' ', &name) || !tm_str_split(&rest, ' ', &id) || !tm_str_split(&rest, ' ', &count) ||
	    !tm_str_split(&rest, ' ', &created))
		return false;
	if (tm_log_topic_check_name(name, NULL) != TM_OK || id.len != 32 || !tm_str_to_i64(count, &n) || n <= 0 ||
	    n > TM_LOG_MAX_PARTITIONS || !tm_str_to_i64(created, &ms))
		return false;
	struct tm_topic *t = topic_new(log, name);
	for (int i = 0; i < 16; i++)
		t->id[i] = (uint8_t)(hex_digit(id.at[2 * i]) * 16 + hex_digit(id.at[2 * i + 1]));
	t->created_ms = ms;
	t->partition_count = (int32_t)n;
	t->partitions = tm_zalloc(tm_mul_size((size_t)n, sizeof *t->partitions));
	*ret = t;
	return true;
}

static tm_rc parse(struct tm_log *log, struct tm_str text, struct tm_err *err)
{
	struct tm_str line;
	struct tm_topic *t = NULL;
	while (tm_str_split(&text, '\n', &line)) {
		struct tm_str rest = line, word, name, value;
		if (line.len == 0)
			continue;
		tm_str_split(&rest, ' ', &word);
		if (tm_str_is(word, "topic") && parse_topic(log, rest, &t)) {
			bool found;
			size_t at = place_of(log, tm_str_of(t->name), &found);
			insert(log, at, t);
		} else if (tm_str_is(word, "config") && t && tm_str_split(&rest, ' ', &name) && tm_str_split(&rest, ' ', &value)) {
			TM_PUSH(&t->configs, (struct tm_log_config){get_text(name), get_text(value)});
		} else {
			return tm_fail(err, TM_CORRUPT, "%s/topics holds a line that is not understood: %.*s", log->dir, TM_STR_ARG(line));
		}
	}
	return TM_OK;
}

tm_rc tm_topics_load(struct tm_log *log, bool clean, struct tm_err *err)
{
	struct tm_buf text = {0};
	tm_rc rc = tm_log_text_read(log, "topics", "tidemill-topics", &text, err);
	if (rc == TM_NOT_FOUND)
		return TM_OK;
	if (rc == TM_OK)
		rc = parse(log, tm_buf_str(&text), err);
	tm_buf_done(&text);
	TM_TRY(rc);
	for (size_t i = 0; i < log->topics.count; i++) {
		struct tm_topic *t = log->topics.items[i];
		use_settings(t);
		for (int32_t k = 0; k < t->partition_count; k++) {
			TM_TRY(tm_partition_new(t, k, &t->partitions[k], err));
			TM_TRY(tm_partition_recover(t->partitions[k], clean, err));
		}
	}
	return TM_OK;
}
