/* Reading everything once, for `tidemill doctor`: every batch of every segment is checked against its checksum. */
#include <stdlib.h>
#include "log/log_int.h"

static size_t verify_segment(struct tm_partition *p, struct tm_segment *s, int64_t limit, int64_t end)
{
	struct tm_buf bytes = {0};
	size_t bad = 0;
	int64_t position = 0, least = s->base_offset;
	while (position < limit) {
		struct tm_batch_info b;
		struct tm_err err = {0};
		if (tm_segment_head(p->log->env, s, position, &b, &err) != TM_OK || position + (int64_t)b.bytes > limit) {
			tm_log_found(p->log, "%s.log is damaged at byte %lld: no record batch begins there", s->path, (long long)position);
			bad++;
			break;
		}
		bytes.len = 0;
		ssize_t n = p->log->env->ops->pread(p->log->env, s->fd, tm_buf_extend(&bytes, b.bytes), b.bytes, position);
		struct tm_str rest = tm_buf_str(&bytes);
		if (n != (ssize_t)b.bytes || tm_batch_next(&rest, true, &b, &err) != TM_OK) {
			tm_log_found(p->log, "%s.log is damaged at byte %lld: the batch there does not fit its checksum", s->path,
				     (long long)position);
			bad++;
		} else if (b.base_offset < least || tm_batch_last_offset(&b) >= end) { /* the base offset is not under the checksum */
			tm_log_found(p->log, "%s.log is damaged at byte %lld: the offsets there do not fit those around them", s->path,
				     (long long)position);
			bad++;
		} else {
			least = tm_batch_last_offset(&b) + 1;
		}
		position += (int64_t)b.bytes;
	}
	tm_buf_done(&bytes);
	return bad;
}

static size_t verify_partition(struct tm_partition *p)
{
	struct {
		struct tm_segment *s;
		int64_t limit;
	} *list = NULL;
	size_t count = 0, bad = 0;
	int64_t end = 0;
	pthread_mutex_lock(&p->lock);
	if (!p->deleted) {
		end = p->hw;
		list = tm_alloc(tm_mul_size(p->segments.count + 1, sizeof *list));
		for (size_t i = 0; i < p->segments.count; i++) {
			struct tm_segment *s = p->segments.items[i];
			if (s->size == 0 || tm_segment_open(p->log->env, s, false, NULL) != TM_OK)
				continue;
			list[count].limit = tm_partition_limit(p, s);
			list[count++].s = tm_segment_ref(s);
		}
	}
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < count; i++) {
		bad += verify_segment(p, list[i].s, list[i].limit, end);
		tm_segment_unref(list[i].s);
	}
	free(list);
	return bad;
}

size_t tm_log_verify(struct tm_log *log)
{
	struct tm_topic **topics;
	size_t bad = 0, n = tm_log_topics(log, &topics);
	for (size_t i = 0; i < n; i++) {
		for (int32_t k = 0; k < tm_topic_partitions(topics[i]); k++)
			bad += verify_partition(tm_topic_partition(topics[i], k));
		tm_topic_unref(topics[i]);
	}
	free(topics);
	return bad;
}
