/* Format kafka: topics of the embedded log, with the options and columns of Spark's Kafka source. Values and keys are views into
 * the bytes that were read; nothing is copied until an operator keeps it. A topic that does not exist yet is waited for. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "stream/offsets.h"
#include "stream/provider.h"
#include "log/log.h"
#include "log/record.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_BYTES = 1 << 20, BATCH_RECORDS_MAX = 1 << 18 };
enum { K_KEY, K_VALUE, K_TOPIC, K_PARTITION, K_OFFSET, K_TIMESTAMP, K_TIMESTAMP_TYPE, K_HEADERS };
enum choice { BY_NAME, BY_PATTERN, BY_ASSIGN };

struct span {
	struct tm_str topic;
	int32_t partition;
	int64_t at, to;
};
struct kafka {
	struct tm_source s;
	enum choice choice;
	struct tm_str wanted; /* the option's text */
	struct tm_offsets assigned;
	pcre2_code *pattern;
	int64_t max_offsets, min_offsets, max_delay_ms;
	bool fail_on_loss;
	struct tm_arena options_arena, offsets_arena, range_arena;
	struct tm_offsets pinned; /* AvailableNow: read up to here */
	bool is_pinned, held;     /* held: less than minOffsetsPerTrigger is there, since held_ms */
	int64_t held_ms;
	/* the range at work */
	struct span *spans;
	size_t span_count, span;
	struct tm_buf bytes; /* batches read of the span */
	struct tm_str rest;  /* what is left of them */
	/* records decoded of it, given in slices */
	struct tm_arena records_arena;
	size_t count, cap, given;
	struct tm_str *keys, *values;
	int64_t *offsets, *timestamps;
	const struct tm_header **headers;
	size_t *header_counts;
	uint8_t *append_time;
	bool any_null_key, any_null_value;
	struct tm_origin origin;
};

static const struct tm_str *option(const struct tm_relation *r, const char *name)
{
	return tm_option_get(r->options, r->option_count, name);
}

static tm_rc kafka_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	(void)world;
	static const char *const choices[] = {"subscribe", "subscribePattern", "assign"};
	size_t given = 0;
	for (size_t i = 0; i < 3; i++)
		given += option(relation, choices[i]) != NULL;
	if (given != 1) {
		tm_rc rc =
		    tm_fail(err, TM_INVALID,
			    given ? "only one of the options subscribe, subscribePattern and assign may be given for Kafka source '%.*s'"
				  : "one of the options subscribe, subscribePattern and assign must be given for Kafka source '%.*s'",
			    TM_STR_ARG(relation->name));
		tm_err_hint(err, "USING kafka OPTIONS (subscribe 'topic')");
		return rc;
	}
	bool headers;
	TM_TRY(tm_option_bool(relation->options, relation->option_count, "includeHeaders", false, &headers, err));
	const struct tm_str *ending = option(relation, "endingOffsets");
	if (relation->streaming && ending)
		return tm_fail(err, TM_INVALID, "ending offset not valid in streaming queries (option endingOffsets of '%.*s')",
			       TM_STR_ARG(relation->name));
	struct tm_field *f = TM_NEW_N(arena, struct tm_field, 8);
	f[K_KEY] = (struct tm_field){TM_STR("key"), &tm_type_binary, true};
	f[K_VALUE] = (struct tm_field){TM_STR("value"), &tm_type_binary, true};
	f[K_TOPIC] = (struct tm_field){TM_STR("topic"), &tm_type_string, true};
	f[K_PARTITION] = (struct tm_field){TM_STR("partition"), &tm_type_int, true};
	f[K_OFFSET] = (struct tm_field){TM_STR("offset"), &tm_type_bigint, true};
	f[K_TIMESTAMP] = (struct tm_field){TM_STR("timestamp"), &tm_type_timestamp, true};
	f[K_TIMESTAMP_TYPE] = (struct tm_field){TM_STR("timestampType"), &tm_type_int, true};
	if (headers) {
		const struct tm_str names[] = {TM_STR("key"), TM_STR("value")};
		const struct tm_type *types[] = {&tm_type_string, &tm_type_binary};
		f[K_HEADERS] =
		    (struct tm_field){TM_STR("headers"), tm_type_array(arena, tm_type_struct(arena, 2, names, types, NULL), true), true};
	}
	relation->schema = (struct tm_schema){headers ? 8 : 7, f};
	return TM_OK;
}

static tm_rc compile_pattern(struct kafka *me, struct tm_err *err)
{
	int code;
	size_t at;
	me->pattern =
	    pcre2_compile((PCRE2_SPTR)me->wanted.at, me->wanted.len, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &code, &at, NULL);
	if (me->pattern)
		return TM_OK;
	char text[120] = "";
	pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
	return tm_fail(err, TM_INVALID, "subscribePattern '%.*s': %s at character %zu", TM_STR_ARG(me->wanted), text, at + 1);
}

static tm_rc kafka_open(struct tm_source *s, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	const struct tm_relation *r = s->relation;
	tm_arena_init(&me->options_arena);
	tm_arena_init(&me->offsets_arena);
	tm_arena_init(&me->range_arena);
	tm_arena_init(&me->records_arena);
	if (!s->world->log)
		return tm_fail(err, TM_UNAVAILABLE, "topics can only be read where a broker runs: '%.*s' is a Kafka source",
			       TM_STR_ARG(r->name));
	const struct tm_str *v;
	if ((v = option(r, "subscribe"))) {
		me->choice = BY_NAME;
		me->wanted = *v;
	} else if ((v = option(r, "subscribePattern"))) {
		me->choice = BY_PATTERN;
		me->wanted = *v;
		TM_TRY(compile_pattern(me, err));
	} else if ((v = option(r, "assign"))) {
		me->choice = BY_ASSIGN;
		me->wanted = *v;
		TM_TRY(tm_offsets_parse_assign(*v, &me->options_arena, &me->assigned, err));
	}
	TM_TRY(tm_option_i64(r->options, r->option_count, "maxOffsetsPerTrigger", 0, &me->max_offsets, err));
	TM_TRY(tm_option_i64(r->options, r->option_count, "minOffsetsPerTrigger", 0, &me->min_offsets, err));
	me->max_delay_ms = 15 * 60 * 1000;
	return tm_option_bool(r->options, r->option_count, "failOnDataLoss", true, &me->fail_on_loss, err);
}

static void kafka_close(struct tm_source *s)
{
	struct kafka *me = (struct kafka *)s;
	if (me->pattern)
		pcre2_code_free(me->pattern);
	tm_buf_done(&me->bytes);
	tm_arena_done(&me->options_arena);
	tm_arena_done(&me->offsets_arena);
	tm_arena_done(&me->range_arena);
	tm_arena_done(&me->records_arena);
}

/* ---- which partitions there are ---- */

static bool matches(const struct kafka *me, struct tm_str name)
{
	pcre2_match_data *m = pcre2_match_data_create(1, NULL);
	bool yes = pcre2_match(me->pattern, (PCRE2_SPTR)name.at, name.len, 0, 0, m, NULL) >= 0;
	pcre2_match_data_free(m);
	return yes;
}

static void add_topic(struct tm_arena *arena, struct tm_topic *topic, struct tm_offsets *out)
{
	struct tm_str name = tm_arena_str(arena, tm_topic_name(topic));
	for (int32_t p = 0; p < tm_topic_partitions(topic); p++)
		TM_PUSH_IN(arena, out, (struct tm_offset){name, p, 0});
}

/* Partitions asked for that exist now. What does not exist is said in s->waiting. */
static void existing(struct kafka *me, struct tm_arena *arena, struct tm_offsets *out)
{
	struct tm_log *log = me->s.world->log;
	*out = (struct tm_offsets){0};
	me->s.waiting[0] = 0;
	if (me->choice == BY_PATTERN) {
		struct tm_topic **topics;
		size_t n = tm_log_topics(log, &topics);
		for (size_t i = 0; i < n; i++) {
			if (!tm_topic_internal(topics[i]) && matches(me, tm_topic_name(topics[i])))
				add_topic(arena, topics[i], out);
			tm_topic_unref(topics[i]);
		}
		free(topics);
		if (!out->count)
			snprintf(me->s.waiting, sizeof me->s.waiting, "no topic matches subscribePattern '%.*s' yet",
				 TM_STR_ARG(me->wanted));
	} else if (me->choice == BY_NAME) {
		struct tm_str rest = me->wanted, part;
		while (tm_str_split(&rest, ',', &part)) {
			part = tm_str_trim(part);
			struct tm_topic *topic = part.len ? tm_log_topic_find(log, part) : NULL;
			if (topic)
				add_topic(arena, topic, out);
			else if (part.len)
				snprintf(me->s.waiting, sizeof me->s.waiting, "topic '%.*s' does not exist yet", TM_STR_ARG(part));
			if (topic)
				tm_topic_unref(topic);
		}
	} else {
		for (size_t i = 0; i < me->assigned.count; i++) {
			struct tm_topic *topic = tm_log_topic_find(log, me->assigned.items[i].topic);
			if (topic && me->assigned.items[i].partition < tm_topic_partitions(topic))
				TM_PUSH_IN(arena, out, me->assigned.items[i]);
			else
				snprintf(me->s.waiting, sizeof me->s.waiting, "partition %d of topic '%.*s' does not exist yet",
					 me->assigned.items[i].partition, TM_STR_ARG(me->assigned.items[i].topic));
			if (topic)
				tm_topic_unref(topic);
		}
	}
	tm_offsets_sort(out);
}

static tm_rc bounds(struct kafka *me, const struct tm_offset *o, struct tm_log_offsets *ret, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->s.world->log, o->topic);
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(o->topic));
	tm_rc rc = tm_log_offsets(topic, o->partition, ret, err);
	tm_topic_unref(topic);
	return rc;
}

static tm_rc by_time(struct kafka *me, const struct tm_offset *o, int64_t ms, int64_t latest, int64_t *ret, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->s.world->log, o->topic);
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(o->topic));
	int64_t at, stamp;
	tm_rc rc = tm_log_offset_for_time(topic, o->partition, ms, &at, &stamp, err);
	tm_topic_unref(topic);
	if (!rc)
		*ret = at < 0 ? latest : at;
	return rc;
}

/* Offsets that an option (startingOffsets, endingOffsets) names, for each partition of list. */
static tm_rc resolve(struct kafka *me, struct tm_arena *arena, const struct tm_str *named, const struct tm_str *by_timestamp,
		     bool latest_default, struct tm_offsets *list, struct tm_err *err)
{
	struct tm_offsets given = {0};
	bool json = named && named->len && tm_str_trim(*named).at[0] == '{';
	bool latest = named ? tm_str_iis(tm_str_trim(*named), "latest") : latest_default;
	if (json)
		TM_TRY(tm_offsets_parse(*named, arena, &given, err));
	else if (named && !latest && !tm_str_iis(tm_str_trim(*named), "earliest"))
		return tm_fail(err, TM_INVALID, "offsets must be earliest, latest or JSON, not '%.*s'", TM_STR_ARG(*named));
	for (size_t i = 0; i < list->count; i++) {
		struct tm_log_offsets b;
		TM_TRY(bounds(me, &list->items[i], &b, err));
		int64_t at = latest ? b.high_watermark : b.start;
		if (json) {
			const struct tm_offset *o = tm_offsets_find(&given, list->items[i].topic, list->items[i].partition);
			if (!o)
				return tm_fail(
				    err, TM_INVALID,
				    "startingOffsets names no offset for partition %d of topic '%.*s'; use -1 for latest, -2 for earliest",
				    list->items[i].partition, TM_STR_ARG(list->items[i].topic));
			at = o->offset == -1 ? b.high_watermark : o->offset == -2 ? b.start : o->offset;
		}
		if (by_timestamp) {
			int64_t ms;
			if (!tm_str_to_i64(tm_str_trim(*by_timestamp), &ms))
				return tm_fail(err, TM_INVALID, "'%.*s' is not a timestamp in milliseconds", TM_STR_ARG(*by_timestamp));
			TM_TRY(by_time(me, &list->items[i], ms, b.high_watermark, &at, err));
		}
		list->items[i].offset = at;
	}
	return TM_OK;
}

static tm_rc kafka_initial(struct tm_source *s, struct tm_buf *ret, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_offsets list;
	tm_arena_reset(&me->offsets_arena);
	existing(me, &me->offsets_arena, &list);
	TM_TRY(resolve(me, &me->offsets_arena, option(s->relation, "startingOffsets"), option(s->relation, "startingTimestamp"), true,
		       &list, err));
	tm_offsets_text(&list, ret);
	return TM_OK;
}

static tm_rc kafka_pin(struct tm_source *s, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	existing(me, &me->options_arena, &me->pinned);
	TM_TRY(resolve(me, &me->options_arena, &TM_STR("latest"), NULL, true, &me->pinned, err));
	me->is_pinned = true;
	return TM_OK;
}

/* ---- the next batch ---- */

static tm_rc lost(struct kafka *me, const struct tm_offset *o, const char *why, struct tm_err *err)
{
	if (!me->fail_on_loss) {
		tm_say(TM_SAY_WARN, "stream", "topic '%.*s' partition %d: %s", TM_STR_ARG(o->topic), o->partition, why);
		return TM_OK;
	}
	tm_rc rc = tm_fail_class(err, TM_DATA, "KAFKA_DATA_LOSS", "22000", "Some data may have been lost: topic '%.*s' partition %d: %s",
				 TM_STR_ARG(o->topic), o->partition, why);
	tm_err_hint(err, "Set the source's option failOnDataLoss to false to go on with what is there.");
	return rc;
}

/* Spark's share of each partition in the limit: by what it has, small ones not starved. */
static int64_t share(int64_t limit, int64_t has, int64_t total)
{
	double part = (double)limit * ((double)has / (double)total);
	int64_t n = part < 1 ? (part > 0 ? 1 : 0) : (int64_t)part;
	return n < has ? n : has;
}

static tm_rc kafka_latest(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_arena *arena = &me->offsets_arena;
	struct tm_offsets start, list;
	tm_arena_reset(arena);
	TM_TRY(tm_offsets_parse(from, arena, &start, err));
	existing(me, arena, &list);
	int64_t *has = TM_NEW_N(arena, int64_t, list.count + 1), total = 0;
	for (size_t i = 0; i < list.count; i++) {
		struct tm_offset *o = &list.items[i];
		struct tm_log_offsets b;
		TM_TRY(bounds(me, o, &b, err));
		const struct tm_offset *was = tm_offsets_find(&start, o->topic, o->partition);
		o->offset = was ? was->offset : b.start; /* a partition that came later is read from its start */
		if (o->offset < b.start) {
			TM_TRY(lost(me, o, "records were deleted before they were read", err));
			o->offset = b.start;
		} else if (o->offset > b.high_watermark) {
			TM_TRY(lost(me, o, "the offset reached is behind the end: the topic was deleted and made anew", err));
			o->offset = b.start;
		}
		int64_t end = b.high_watermark;
		if (me->is_pinned) {
			const struct tm_offset *pin = tm_offsets_find(&me->pinned, o->topic, o->partition);
			end = pin ? pin->offset : o->offset;
		}
		has[i] = end > o->offset ? end - o->offset : 0;
		total += has[i];
	}
	int64_t now_ms = tm_now_us(s->world->env ? s->world->env : tm_env_real()) / 1000;
	bool hold = total && total < me->min_offsets && !me->is_pinned;
	if (hold && !me->held)
		me->held_ms = now_ms;
	me->held = hold;
	if (hold && now_ms - me->held_ms < me->max_delay_ms)
		total = 0;
	int64_t limit = me->max_offsets && me->max_offsets < BATCH_RECORDS_MAX ? me->max_offsets : BATCH_RECORDS_MAX;
	for (size_t i = 0; i < list.count && total; i++)
		list.items[i].offset += total > limit ? share(limit, has[i], total) : has[i];
	*ret_new = total > 0;
	for (size_t i = 0; i < start.count; i++) /* partitions that are gone keep their place */
		if (!tm_offsets_find(&list, start.items[i].topic, start.items[i].partition))
			TM_PUSH_IN(arena, &list, start.items[i]);
	tm_offsets_sort(&list);
	tm_offsets_text(&list, ret_to);
	return TM_OK;
}

static tm_rc kafka_range(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_arena *arena = &me->range_arena;
	tm_arena_reset(arena);
	struct tm_offsets start, end;
	if (!s->relation->streaming) {
		existing(me, arena, &start);
		if (!start.count && me->s.waiting[0])
			return tm_fail(err, TM_NOT_FOUND, "%s", me->s.waiting);
		end = (struct tm_offsets){TM_NEW_N(arena, struct tm_offset, start.count + 1), start.count, start.count};
		memcpy(end.items, start.items, start.count * sizeof *start.items);
		TM_TRY(resolve(me, arena, option(s->relation, "startingOffsets"), option(s->relation, "startingTimestamp"), false, &start,
			       err));
		TM_TRY(resolve(me, arena, option(s->relation, "endingOffsets"), option(s->relation, "endingTimestamp"), true, &end, err));
	} else {
		TM_TRY(tm_offsets_parse(from, arena, &start, err));
		TM_TRY(tm_offsets_parse(to, arena, &end, err));
	}
	me->spans = TM_NEW_N(arena, struct span, end.count + 1);
	me->span_count = me->span = 0;
	for (size_t i = 0; i < end.count; i++) {
		const struct tm_offset *e = &end.items[i], *b = tm_offsets_find(&start, e->topic, e->partition);
		int64_t at = b ? b->offset : 0;
		if (at < e->offset)
			me->spans[me->span_count++] = (struct span){e->topic, e->partition, at, e->offset};
	}
	me->rest = (struct tm_str){0};
	me->count = me->given = 0;
	return TM_OK;
}

/* ---- records ---- */

static void need_room(struct kafka *me, size_t more)
{
	if (me->count + more <= me->cap)
		return;
	size_t cap = me->cap ? me->cap * 2 : TM_LIMIT_BATCH_ROWS * 2;
	while (cap < me->count + more)
		cap *= 2;
#define GROW(field)                                                                                                                        \
	me->field = tm_arena_grow(&me->records_arena, me->field, me->cap * sizeof *me->field, tm_mul_size(cap, sizeof *me->field))
	GROW(keys);
	GROW(values);
	GROW(offsets);
	GROW(timestamps);
	GROW(headers);
	GROW(header_counts);
	GROW(append_time);
#undef GROW
	me->cap = cap;
}

struct taking {
	struct kafka *me;
	int64_t from, to;
	bool append_time;
};

static tm_rc take_record(void *ctx, const struct tm_record *r)
{
	struct taking *t = ctx;
	struct kafka *me = t->me;
	if (r->offset < t->from || r->offset >= t->to)
		return TM_OK;
	size_t i = me->count++;
	me->keys[i] = r->key_null ? (struct tm_str){NULL, 0} : (struct tm_str){r->key.at ? r->key.at : "", r->key.len};
	me->values[i] = r->value_null ? (struct tm_str){NULL, 0} : (struct tm_str){r->value.at ? r->value.at : "", r->value.len};
	me->any_null_key |= r->key_null;
	me->any_null_value |= r->value_null;
	me->offsets[i] = r->offset;
	me->timestamps[i] = r->timestamp_ms * 1000;
	me->headers[i] = r->headers;
	me->header_counts[i] = r->header_count;
	me->append_time[i] = t->append_time;
	return TM_OK;
}

static tm_rc read_more(struct kafka *me, struct span *span, struct tm_err *err)
{
	struct tm_topic *topic = tm_log_topic_find(me->s.world->log, span->topic);
	if (!topic)
		return tm_fail(err, TM_NOT_FOUND, "topic '%.*s' is gone", TM_STR_ARG(span->topic));
	struct tm_log_read read = {.offset = span->at, .max_bytes = READ_BYTES, .at_least_one = true};
	me->bytes.len = 0;
	tm_rc rc = tm_log_read(topic, span->partition, &read, &me->records_arena, &me->bytes, err);
	tm_topic_unref(topic);
	me->rest = tm_buf_str(&me->bytes);
	return rc;
}

/* Decodes records of the current span until there is a batch of rows or the bytes are used up. */
static tm_rc decode(struct kafka *me, struct span *span, struct tm_err *err)
{
	tm_arena_reset(&me->records_arena);
	me->count = me->given = me->cap = 0;
	me->keys = me->values = NULL;
	me->offsets = me->timestamps = NULL;
	me->headers = NULL;
	me->header_counts = NULL;
	me->append_time = NULL;
	me->any_null_key = me->any_null_value = false;
	if (!me->rest.len) {
		TM_TRY(read_more(me, span, err));
		if (!me->rest.len) { /* nothing left below the end: the rest of the range was compacted away */
			span->at = span->to;
			return TM_OK;
		}
	}
	while (me->count < TM_LIMIT_BATCH_ROWS && span->at < span->to) {
		struct tm_batch_info info;
		tm_rc rc = tm_batch_next(&me->rest, true, &info, err);
		if (rc == TM_NOT_FOUND) {
			me->rest.len = 0;
			return TM_OK;
		}
		TM_TRY(rc);
		if (!info.control) {
			need_room(me, (size_t)(info.count > 0 ? info.count : 0));
			struct taking t = {me, span->at, span->to, info.log_append_time};
			TM_TRY(tm_batch_each(&info, &me->records_arena, take_record, &t, err));
		}
		span->at = info.base_offset + info.last_offset_delta + 1;
	}
	if (span->at >= span->to)
		me->rest.len = 0;
	return TM_OK;
}

static void binary_column(struct tm_arena *arena, const struct tm_type *type, struct tm_str *at, size_t n, bool any_null,
			  struct tm_column *ret)
{
	*ret = (struct tm_column){.type = type, .rows = n, .str = at};
	if (!any_null)
		return;
	uint8_t *valid = tm_column_need_valid(ret, arena);
	for (size_t i = 0; i < n; i++)
		valid[i] = at[i].at != NULL;
}

static void headers_column(struct kafka *me, struct tm_arena *arena, const struct tm_type *type, size_t from, size_t n,
			   struct tm_column *ret)
{
	tm_column_init(ret, arena, type, n);
	size_t total = 0;
	for (size_t i = 0; i < n; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)total, (uint32_t)me->header_counts[from + i]};
		total += me->header_counts[from + i];
		if (!me->header_counts[from + i])
			tm_column_need_valid(ret, arena)[i] = 0; /* Spark gives NULL where there are none */
	}
	tm_column_init(&ret->children[0], arena, type->children[0], total);
	struct tm_column *key = &ret->children[0].children[0], *value = &ret->children[0].children[1];
	for (size_t i = 0, at = 0; i < n; i++)
		for (size_t h = 0; h < me->header_counts[from + i]; h++, at++) {
			const struct tm_header *header = &me->headers[from + i][h];
			key->str[at] = header->key;
			value->str[at] = header->value;
			if (header->value_null)
				tm_column_need_valid(value, arena)[at] = 0;
		}
}

static void constant(struct tm_arena *arena, const struct tm_type *type, size_t n, struct tm_column *ret)
{
	tm_column_init(ret, arena, type, 1);
	ret->constant = true;
	ret->rows = n;
}

static void column(struct kafka *me, struct tm_arena *arena, size_t which, const struct span *span, size_t from, size_t n,
		   struct tm_column *ret)
{
	const struct tm_type *type = me->s.relation->schema.fields[which].type;
	switch (which) {
	case K_KEY:
		binary_column(arena, type, me->keys + from, n, me->any_null_key, ret);
		break;
	case K_VALUE:
		binary_column(arena, type, me->values + from, n, me->any_null_value, ret);
		break;
	case K_TOPIC:
		constant(arena, type, n, ret);
		ret->str[0] = span->topic;
		break;
	case K_PARTITION:
		constant(arena, type, n, ret);
		ret->i32[0] = span->partition;
		break;
	case K_OFFSET:
		*ret = (struct tm_column){.type = type, .rows = n, .i64 = me->offsets + from};
		break;
	case K_TIMESTAMP:
		*ret = (struct tm_column){.type = type, .rows = n, .i64 = me->timestamps + from};
		break;
	case K_TIMESTAMP_TYPE:
		tm_column_init(ret, arena, type, n);
		for (size_t i = 0; i < n; i++)
			ret->i32[i] = me->append_time[from + i];
		break;
	default:
		headers_column(me, arena, type, from, n, ret);
		break;
	}
}

static tm_rc kafka_next(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	*ret_some = false;
	while (me->given >= me->count) {
		if (me->span >= me->span_count)
			return TM_OK;
		if (me->spans[me->span].at >= me->spans[me->span].to) {
			me->span++;
			me->rest.len = 0;
			continue;
		}
		TM_TRY(decode(me, &me->spans[me->span], err));
	}
	const struct span *span = &me->spans[me->span];
	size_t from = me->given, n = me->count - from < TM_LIMIT_BATCH_ROWS ? me->count - from : TM_LIMIT_BATCH_ROWS;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, s->column_count + 1);
	for (size_t i = 0; i < s->column_count; i++)
		column(me, arena, s->columns[i], span, from, n, &columns[i]);
	me->given += n;
	me->origin = (struct tm_origin){.topic = span->topic,
					.partition = span->partition,
					.rows = n,
					.offsets = me->offsets + from,
					.keys = me->keys + from,
					.values = me->values + from,
					.marks = TM_NEW_N(arena, uint8_t, n + 1)};
	*ret = (struct tm_flow){.batch = {.rows = n, .column_count = s->column_count, .columns = columns}, .origin = &me->origin};
	*ret_some = true;
	return TM_OK;
}

static const char *const formats[] = {"kafka", NULL};
const struct tm_source_class tm_source_kafka = {.formats = formats,
						.size = sizeof(struct kafka),
						.describe = kafka_describe,
						.open = kafka_open,
						.close = kafka_close,
						.initial = kafka_initial,
						.latest = kafka_latest,
						.range = kafka_range,
						.next = kafka_next,
						.pin = kafka_pin};
