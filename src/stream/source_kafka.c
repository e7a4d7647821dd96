/* Format kafka: topics of the broker (broker.h: the embedded log or a real Kafka), with the options and columns of Spark's Kafka
 * source. Values and keys are views into the bytes that were read; nothing is copied until an operator keeps it. A topic that does
 * not exist yet is waited for. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "stream/broker.h"
#include "stream/provider.h"
#include "stream/state.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* What a batch writes is held until it is committed. Where the pipeline does not say how many (maxOffsetsPerTrigger), as many as make
 * BATCH_BYTES, by the size of the records before them: larger ones would not be faster where most rows are written, for rows sorted for
 * the table leave the cache. More where few rows are written (the commit is what takes the time), and from a real broker, for there a
 * batch waits for answers of other machines. */
enum { SETTLE_MS = 10000, BATCH_RECORDS_MAX = 1 << 15, BATCH_RECORDS_MIN = 16, RECORD_BYTES_FIRST = 512 };
enum { BATCH_BYTES = TM_MIB, BATCH_BYTES_MORE = 8 * TM_MIB };
enum { K_KEY, K_VALUE, K_TOPIC, K_PARTITION, K_OFFSET, K_TIMESTAMP, K_TIMESTAMP_TYPE, K_HEADERS };
enum choice { BY_NAME, BY_PATTERN, BY_ASSIGN };

struct span {
	struct tm_str topic;
	int32_t partition;
	int64_t at, to;
};
struct kafka {
	struct tm_source s;
	struct tm_broker *broker, *own; /* own: made here, over the world's log */
	struct tm_broker_reader *reader;
	enum choice choice;
	struct tm_str wanted; /* the option's text */
	struct tm_offsets assigned;
	pcre2_code *pattern;
	int64_t max_offsets, min_offsets, max_delay_ms; /* 0 = not given */
	int64_t record_bytes;                           /* about what a record has, key and value */
	bool fail_on_loss;
	struct tm_arena options_arena, offsets_arena, range_arena;
	struct tm_offsets pinned;   /* AvailableNow: read up to here */
	bool is_pinned, held;       /* held: less than minOffsetsPerTrigger is there, since held_ms */
	int64_t held_ms, behind_ms; /* behind: since then a partition ends before what was read of it; 0 = none does */
	/* the range at work */
	struct span *spans;
	size_t span_count, span;
	struct tm_broker_records records; /* read of it, given in slices */
	size_t given;
	struct tm_origin origin;
};

static const struct tm_str *option(const struct tm_relation *r, const char *name)
{
	return tm_option_get(r->options, r->option_count, name);
}

static tm_rc kafka_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
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
	if (world->broker)
		TM_TRY(world->broker->klass->check(world->broker, relation->options, relation->option_count, false, err));
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
	me->broker = tm_broker_of(s->world, &me->own);
	if (!me->broker)
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
	me->record_bytes = RECORD_BYTES_FIRST;
	TM_TRY(tm_option_i64(r->options, r->option_count, "maxOffsetsPerTrigger", 0, &me->max_offsets, err));
	TM_TRY(tm_option_i64(r->options, r->option_count, "minOffsetsPerTrigger", 0, &me->min_offsets, err));
	me->max_delay_ms = 15 * 60 * 1000;
	TM_TRY(tm_option_bool(r->options, r->option_count, "failOnDataLoss", true, &me->fail_on_loss, err));
	struct tm_broker_reader_options reading = {.options = r->options,
						   .option_count = r->option_count,
						   .query = tm_stream_query_name(s->run),
						   .caller = tm_stream_caller(s->run)};
	for (size_t i = 0; i < s->column_count; i++)
		reading.headers |= s->columns[i] == K_HEADERS;
	return me->broker->klass->reader(me->broker, &reading, &me->reader, err);
}

static void kafka_close(struct tm_source *s)
{
	struct kafka *me = (struct kafka *)s;
	if (me->pattern)
		pcre2_code_free(me->pattern);
	tm_broker_reader_free(me->reader);
	tm_broker_free(me->own);
	tm_arena_done(&me->options_arena);
	tm_arena_done(&me->offsets_arena);
	tm_arena_done(&me->range_arena);
}

/* ---- which partitions there are ---- */

static bool matches(const struct kafka *me, struct tm_str name)
{
	pcre2_match_data *m = pcre2_match_data_create(1, NULL);
	bool yes = pcre2_match(me->pattern, (PCRE2_SPTR)name.at, name.len, 0, 0, m, NULL) >= 0;
	pcre2_match_data_free(m);
	return yes;
}

static void add_topic(struct tm_arena *arena, const struct tm_broker_topic *topic, struct tm_offsets *out)
{
	struct tm_str name = tm_arena_str(arena, topic->name);
	for (int32_t p = 0; p < topic->partitions; p++)
		TM_PUSH_IN(arena, out, (struct tm_offset){name, p, 0});
}

/* A topic by name; *ret_there false: it does not exist (yet). */
static tm_rc find_topic(struct kafka *me, struct tm_str name, struct tm_broker_topic *ret, bool *ret_there, struct tm_err *err)
{
	tm_rc rc = me->broker->klass->topic(me->broker, name, ret, err);
	*ret_there = rc == TM_OK;
	return rc == TM_NOT_FOUND ? TM_OK : rc;
}

static tm_rc existing_by_pattern(struct kafka *me, struct tm_arena *arena, struct tm_offsets *out, struct tm_err *err)
{
	struct tm_broker_topic *topics;
	size_t n;
	TM_TRY(me->broker->klass->topics(me->broker, false, arena, &topics, &n, err));
	for (size_t i = 0; i < n; i++)
		if (!topics[i].internal && matches(me, topics[i].name))
			add_topic(arena, &topics[i], out);
	if (!out->count)
		snprintf(me->s.waiting, sizeof me->s.waiting, "no topic matches subscribePattern '%.*s' yet", TM_STR_ARG(me->wanted));
	return TM_OK;
}

/* Partitions asked for that exist now. What does not exist is said in s->waiting. */
static tm_rc existing(struct kafka *me, struct tm_arena *arena, struct tm_offsets *out, struct tm_err *err)
{
	*out = (struct tm_offsets){0};
	me->s.waiting[0] = 0;
	struct tm_broker_topic topic;
	bool there;
	if (me->choice == BY_PATTERN)
		TM_TRY(existing_by_pattern(me, arena, out, err));
	if (me->choice == BY_NAME) {
		struct tm_str rest = me->wanted, part;
		while (tm_str_split(&rest, ',', &part)) {
			part = tm_str_trim(part);
			if (!part.len)
				continue;
			TM_TRY(find_topic(me, part, &topic, &there, err));
			if (there)
				add_topic(arena, &topic, out);
			else
				snprintf(me->s.waiting, sizeof me->s.waiting, "topic '%.*s' does not exist yet", TM_STR_ARG(part));
		}
	}
	for (size_t i = 0; me->choice == BY_ASSIGN && i < me->assigned.count; i++) {
		TM_TRY(find_topic(me, me->assigned.items[i].topic, &topic, &there, err));
		if (there && me->assigned.items[i].partition < topic.partitions)
			TM_PUSH_IN(arena, out, me->assigned.items[i]);
		else
			snprintf(me->s.waiting, sizeof me->s.waiting, "partition %d of topic '%.*s' does not exist yet",
				 me->assigned.items[i].partition, TM_STR_ARG(me->assigned.items[i].topic));
	}
	tm_offsets_sort(out);
	return TM_OK;
}

/* The first offset at or after a time; where there is none, the end or an error, as the view's strategy says. */
static tm_rc by_time(struct kafka *me, const struct tm_offset *o, int64_t ms, bool starting, int64_t latest, int64_t *ret,
		     struct tm_err *err)
{
	int64_t at;
	TM_TRY(me->broker->klass->offset_for_time(me->broker, o->topic, o->partition, ms, &at, err));
	*ret = at < 0 ? latest : at;
	const struct tm_str *strategy = option(me->s.relation, "startingOffsetsByTimestampStrategy");
	if (at >= 0 || !starting || (strategy && tm_str_iis(tm_str_trim(*strategy), "latest")))
		return TM_OK;
	tm_rc rc = tm_fail(err, TM_NOT_FOUND, "No offset matched from request of topic-partition %.*s-%d and timestamp %lld.",
			   TM_STR_ARG(o->topic), o->partition, (long long)ms);
	tm_err_hint(err, "Set the source's option startingOffsetsByTimestampStrategy to latest to begin at the end there.");
	return rc;
}

/* What the options say of one end of a range, the strongest first: a time for all partitions, times by partition, offsets. */
struct end_options {
	const char *timestamp, *by_timestamp, *offsets;
	bool starting, latest;
};
static const struct end_options starting_options = {"startingTimestamp", "startingOffsetsByTimestamp", "startingOffsets", true, false};
static const struct end_options stream_options = {"startingTimestamp", "startingOffsetsByTimestamp", "startingOffsets", true, true};
static const struct end_options ending_options = {"endingTimestamp", "endingOffsetsByTimestamp", "endingOffsets", false, true};
static const struct end_options pin_options = {"", "", "", false, true};

/* The offset of each partition of list. */
static tm_rc resolve(struct kafka *me, struct tm_arena *arena, const struct end_options *from, struct tm_offsets *list, struct tm_err *err)
{
	const struct tm_relation *r = me->s.relation;
	const struct tm_str *timestamp = option(r, from->timestamp), *times = timestamp ? NULL : option(r, from->by_timestamp),
			    *named = timestamp || times ? NULL : option(r, from->offsets);
	struct tm_offsets given = {0};
	int64_t all_ms = 0;
	bool json = times || (named && named->len && tm_str_starts(tm_str_trim(*named), TM_STR("{")));
	bool latest = named ? tm_str_iis(tm_str_trim(*named), "latest") : from->latest;
	if (json)
		TM_TRY(tm_offsets_parse(times ? *times : *named, arena, &given, err));
	else if (named && !latest && !tm_str_iis(tm_str_trim(*named), "earliest"))
		return tm_fail(err, TM_INVALID, "offsets must be earliest, latest or JSON, not '%.*s'", TM_STR_ARG(*named));
	if (timestamp && !tm_str_to_i64(tm_str_trim(*timestamp), &all_ms))
		return tm_fail(err, TM_INVALID, "'%.*s' is not a timestamp in milliseconds", TM_STR_ARG(*timestamp));
	struct tm_broker_bounds *b = TM_NEW_N(arena, struct tm_broker_bounds, list->count + 1);
	for (size_t i = 0; i < list->count; i++)
		list->items[i].offset = -1; /* from nowhere yet: bounds only */
	TM_TRY(me->reader->klass->bounds(me->reader, list, b, err));
	for (size_t i = 0; i < list->count; i++) {
		struct tm_offset *at = &list->items[i];
		const struct tm_offset *o = json ? tm_offsets_find(&given, at->topic, at->partition) : NULL;
		if (json && !o)
			return tm_fail(err, TM_INVALID,
				       "%s names no offset for partition %d of topic '%.*s'; use -1 for latest, -2 for earliest",
				       times ? from->by_timestamp : from->offsets, at->partition, TM_STR_ARG(at->topic));
		if (timestamp || times)
			TM_TRY(by_time(me, at, timestamp ? all_ms : o->offset, from->starting, b[i].end, &at->offset, err));
		else if (json)
			at->offset = o->offset == -1 ? b[i].end : o->offset == -2 ? b[i].start : o->offset;
		else
			at->offset = latest ? b[i].end : b[i].start;
	}
	return TM_OK;
}

static tm_rc kafka_initial(struct tm_source *s, struct tm_buf *ret, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_offsets list;
	tm_arena_reset(&me->offsets_arena);
	TM_TRY(existing(me, &me->offsets_arena, &list, err));
	TM_TRY(resolve(me, &me->offsets_arena, &stream_options, &list, err));
	tm_offsets_text(&list, ret);
	return TM_OK;
}

static tm_rc kafka_pin(struct tm_source *s, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	TM_TRY(existing(me, &me->options_arena, &me->pinned, err));
	TM_TRY(resolve(me, &me->options_arena, &pin_options, &me->pinned, err));
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

/* A real broker that was killed tells ends for a moment that are before what it had given; only when that stays so is it loss. */
static tm_rc settles(struct kafka *me, const struct tm_offset *o, int64_t end, struct tm_err *err)
{
	int64_t now_ms = tm_now_us(me->s.world->env ? me->s.world->env : tm_env_real()) / 1000;
	if (me->broker->klass->embedded)
		return TM_OK;
	if (!me->behind_ms)
		me->behind_ms = now_ms;
	if (now_ms - me->behind_ms >= SETTLE_MS)
		return TM_OK;
	return tm_fail(err, TM_UNAVAILABLE, "topic '%.*s' partition %d ends at %lld, before offset %lld that was reached",
		       TM_STR_ARG(o->topic), o->partition, (long long)end, (long long)o->offset);
}

/* Spark's share of each partition in the limit: by what it has, small ones not starved. */
static int64_t share(int64_t limit, int64_t has, int64_t total)
{
	double part = (double)limit * ((double)has / (double)total);
	int64_t n = part < 1 ? (part > 0 ? 1 : 0) : (int64_t)part;
	return n < has ? n : has;
}

static int64_t batch_records(const struct kafka *me)
{
	int64_t bytes = me->broker->klass->embedded && !me->s.few_written ? BATCH_BYTES : BATCH_BYTES_MORE;
	int64_t n = bytes / (me->record_bytes > 0 ? me->record_bytes : 1);
	return n < BATCH_RECORDS_MIN ? BATCH_RECORDS_MIN : n < BATCH_RECORDS_MAX ? n : BATCH_RECORDS_MAX;
}

static tm_rc kafka_latest(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_arena *arena = &me->offsets_arena;
	struct tm_offsets start, list;
	tm_arena_reset(arena);
	TM_TRY(tm_offsets_parse(from, arena, &start, err));
	TM_TRY(existing(me, arena, &list, err));
	int64_t *has = TM_NEW_N(arena, int64_t, list.count + 1), total = 0;
	struct tm_broker_bounds *bounds = TM_NEW_N(arena, struct tm_broker_bounds, list.count + 1);
	for (size_t i = 0; i < list.count; i++) {
		const struct tm_offset *was = tm_offsets_find(&start, list.items[i].topic, list.items[i].partition);
		list.items[i].offset = was ? was->offset : -2; /* a partition that came later is read from its start */
	}
	TM_TRY(me->reader->klass->bounds(me->reader, &list, bounds, err));
	for (size_t i = 0; i < list.count; i++) {
		struct tm_offset *o = &list.items[i];
		const struct tm_broker_bounds b = bounds[i];
		if (o->offset == -2)
			o->offset = b.start;
		if (o->offset < b.start) {
			TM_TRY(lost(me, o, "records were deleted before they were read", err));
			o->offset = b.start;
		} else if (o->offset > b.end) {
			TM_TRY(settles(me, o, b.end, err));
			TM_TRY(lost(me, o, "the offset reached is behind the end: the topic was deleted and made anew", err));
			o->offset = b.start;
		}
		int64_t end = b.end;
		if (me->is_pinned) {
			const struct tm_offset *pin = tm_offsets_find(&me->pinned, o->topic, o->partition);
			end = pin ? pin->offset : o->offset;
		}
		has[i] = end > o->offset ? end - o->offset : 0;
		total += has[i];
	}
	me->behind_ms = 0;
	int64_t now_ms = tm_now_us(s->world->env ? s->world->env : tm_env_real()) / 1000;
	bool hold = total && total < me->min_offsets && !me->is_pinned;
	if (hold && !me->held)
		me->held_ms = now_ms;
	me->held = hold;
	if (hold && now_ms - me->held_ms < me->max_delay_ms)
		total = 0;
	int64_t limit = me->max_offsets ? me->max_offsets : batch_records(me);
	if (limit > BATCH_RECORDS_MAX)
		limit = BATCH_RECORDS_MAX;
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
		TM_TRY(existing(me, arena, &start, err));
		if (!start.count && me->s.waiting[0])
			return tm_fail(err, TM_NOT_FOUND, "%s", me->s.waiting);
		end = (struct tm_offsets){TM_NEW_N(arena, struct tm_offset, start.count + 1), start.count, start.count};
		memcpy(end.items, start.items, start.count * sizeof *start.items);
		TM_TRY(resolve(me, arena, &starting_options, &start, err));
		TM_TRY(resolve(me, arena, &ending_options, &end, err));
	} else {
		TM_TRY(tm_offsets_parse(from, arena, &start, err));
		TM_TRY(tm_offsets_parse(to, arena, &end, err));
	}
	me->spans = TM_NEW_N(arena, struct span, end.count + 1);
	me->span_count = me->span = 0;
	for (size_t i = 0; i < end.count; i++) {
		const struct tm_offset *e = &end.items[i], *b = tm_offsets_find(&start, e->topic, e->partition);
		int64_t at = b && b->offset <= e->offset ? b->offset : 0; /* behind the end: the topic was made anew */
		if (at < e->offset)
			me->spans[me->span_count++] = (struct span){e->topic, e->partition, at, e->offset};
	}
	me->records.count = me->given = 0;
	return TM_OK;
}

/* ---- records ---- */

static void see_sizes(struct kafka *me)
{
	const struct tm_broker_records *r = &me->records;
	if (!r->count)
		return;
	int64_t bytes = 0;
	for (size_t i = 0; i < r->count; i++)
		bytes += (int64_t)(r->keys[i].len + r->values[i].len);
	me->record_bytes += (bytes / (int64_t)r->count - me->record_bytes) / 4;
}

/* The next records of the span. Where records were deleted before they were read, goes on behind them if that is wanted. */
static tm_rc read_span(struct kafka *me, struct span *span, struct tm_err *err)
{
	const struct tm_offset at = {span->topic, span->partition, span->at};
	me->records.count = me->given = 0;
	tm_rc rc = me->reader->klass->read(me->reader, &at, span->to, &me->records, &span->at, err);
	if (rc == TM_OK)
		see_sizes(me);
	if (rc != TM_INVALID || err->code != 1)
		return rc;
	me->records.count = 0;
	struct tm_broker_bounds b;
	TM_TRY(me->broker->klass->bounds(me->broker, span->topic, span->partition, &b, err));
	if (at.offset >= b.end)
		TM_TRY(settles(me, &at, b.end, err));
	TM_TRY(lost(me, &at, "records were deleted before they were read", err));
	span->at = b.start > span->at && b.start < span->to ? b.start : span->to;
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
	const struct tm_broker_records *rec = &me->records;
	tm_column_init(ret, arena, type, n);
	size_t total = 0;
	for (size_t i = 0; i < n; i++) {
		ret->span[i] = (struct tm_span){(uint32_t)total, (uint32_t)rec->header_counts[from + i]};
		total += rec->header_counts[from + i];
		if (!rec->header_counts[from + i])
			tm_column_need_valid(ret, arena)[i] = 0; /* Spark gives NULL where there are none */
	}
	tm_column_init(&ret->children[0], arena, type->children[0], total);
	struct tm_column *key = &ret->children[0].children[0], *value = &ret->children[0].children[1];
	for (size_t i = 0, at = 0; i < n; i++)
		for (size_t h = 0; h < rec->header_counts[from + i]; h++, at++) {
			const struct tm_header *header = &rec->headers[from + i][h];
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
	const struct tm_broker_records *rec = &me->records;
	switch (which) {
	case K_KEY:
		binary_column(arena, type, rec->keys + from, n, rec->any_null_key, ret);
		break;
	case K_VALUE:
		binary_column(arena, type, rec->values + from, n, rec->any_null_value, ret);
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
		*ret = (struct tm_column){.type = type, .rows = n, .i64 = rec->offsets + from};
		break;
	case K_TIMESTAMP:
		*ret = (struct tm_column){.type = type, .rows = n, .i64 = rec->timestamps_us + from};
		break;
	case K_TIMESTAMP_TYPE:
		tm_column_init(ret, arena, type, n);
		for (size_t i = 0; i < n; i++)
			ret->i32[i] = rec->append_time[from + i];
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
	const struct tm_broker_records *rec = &me->records;
	while (me->given >= rec->count) {
		if (me->span >= me->span_count)
			return TM_OK;
		if (me->spans[me->span].at >= me->spans[me->span].to) {
			me->span++;
			continue;
		}
		TM_TRY(read_span(me, &me->spans[me->span], err));
	}
	const struct span *span = &me->spans[me->span];
	size_t from = me->given, n = rec->count - from < TM_LIMIT_BATCH_ROWS ? rec->count - from : TM_LIMIT_BATCH_ROWS;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, s->column_count + 1);
	for (size_t i = 0; i < s->column_count; i++)
		column(me, arena, s->columns[i], span, from, n, &columns[i]);
	me->given += n;
	me->origin = (struct tm_origin){.topic = span->topic,
					.partition = span->partition,
					.rows = n,
					.offsets = rec->offsets + from,
					.keys = rec->keys + from,
					.values = rec->values + from,
					.marks = TM_NEW_N(arena, uint8_t, n + 1)};
	*ret = (struct tm_flow){.batch = {.rows = n, .column_count = s->column_count, .columns = columns}, .origin = &me->origin};
	*ret_some = true;
	return TM_OK;
}

static void kafka_committed(struct tm_source *s, struct tm_str to)
{
	struct kafka *me = (struct kafka *)s;
	struct tm_offsets list;
	if (!me->reader->klass->committed)
		return;
	tm_arena_reset(&me->offsets_arena);
	if (tm_offsets_parse(to, &me->offsets_arena, &list, NULL) == TM_OK)
		me->reader->klass->committed(me->reader, &list);
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
						.committed = kafka_committed,
						.pin = kafka_pin};
