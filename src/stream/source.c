/* Sources by format, their options, and the SCAN operator. */
#include "stream/provider.h"
#include "stream/state.h"
#include <stdlib.h>

static const struct tm_source_class *const classes[] = {&tm_source_memory, &tm_source_kafka, &tm_source_table, &tm_source_file,
							&tm_source_rate};

const char *const tm_source_formats[] = {"kafka", "cassandra", "json", "csv", "text", "rate", "rate-micro-batch", "memory", NULL};

static const struct tm_source_class *find(struct tm_str format)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		for (const char *const *f = classes[i]->formats; *f; f++)
			if (tm_str_iis(format, *f))
				return classes[i];
	return NULL;
}

static tm_rc unknown(struct tm_str format, struct tm_err *err)
{
	tm_rc rc =
	    tm_fail_class(err, TM_NOT_FOUND, "DATA_SOURCE_NOT_FOUND", "42K02", "Failed to find the data source: %.*s.", TM_STR_ARG(format));
	const char *close = tm_str_closest(format, tm_source_formats);
	if (close)
		tm_err_hint(err, "Did you mean '%s'?", close);
	else
		tm_err_hint(err, "There are: kafka, cassandra, json, csv, text, rate, rate-micro-batch.");
	return rc;
}

tm_rc tm_source_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	const struct tm_source_class *klass = find(relation->format);
	if (!klass)
		return unknown(relation->format, err);
	return klass->describe(world, relation, arena, err);
}

const struct tm_str *tm_option_get(const struct tm_option *options, size_t count, const char *name)
{
	for (size_t i = count; i-- > 0;)
		if (tm_str_iis(options[i].name, name))
			return &options[i].value;
	return NULL;
}

tm_rc tm_option_i64(const struct tm_option *options, size_t count, const char *name, int64_t fallback, int64_t *ret, struct tm_err *err)
{
	const struct tm_str *v = tm_option_get(options, count, name);
	*ret = fallback;
	if (v && (!tm_str_to_i64(tm_str_trim(*v), ret) || *ret < 0))
		return tm_fail(err, TM_INVALID, "option %s must be a whole number of at least 0, not '%.*s'", name, TM_STR_ARG(*v));
	return TM_OK;
}

tm_rc tm_option_bool(const struct tm_option *options, size_t count, const char *name, bool fallback, bool *ret, struct tm_err *err)
{
	const struct tm_str *v = tm_option_get(options, count, name);
	*ret = fallback;
	if (!v)
		return TM_OK;
	*ret = tm_str_iis(tm_str_trim(*v), "true");
	if (!*ret && !tm_str_iis(tm_str_trim(*v), "false"))
		return tm_fail(err, TM_INVALID, "option %s must be true or false, not '%.*s'", name, TM_STR_ARG(*v));
	return TM_OK;
}

/* ---- the operator ---- */

struct scan {
	struct tm_node node;
	struct tm_source *source;
	struct tm_str from, to;
	bool idle;
};

static tm_rc scan_open(struct tm_node *node, struct tm_err *err)
{
	struct scan *me = (struct scan *)node;
	const struct tm_relation *relation = node->op->scan.relation;
	const struct tm_source_class *klass = find(relation->format);
	if (!klass)
		return unknown(relation->format, err);
	if (relation->streaming && !klass->latest)
		return tm_fail(err, TM_UNSUPPORTED, "'%.*s' (format %.*s) cannot be read as a stream", TM_STR_ARG(relation->name),
			       TM_STR_ARG(relation->format));
	if (relation->streaming && !node->run->stream)
		return tm_fail_class(err, TM_INVALID, "_LEGACY_ERROR_TEMP_3102", "",
				     "Queries with streaming sources must be executed with writeStream.start(), or from a streaming table "
				     "or flow definition "
				     "within a Spark Declarative Pipeline.");
	me->source = tm_zalloc(klass->size);
	*me->source = (struct tm_source){.klass = klass,
					 .world = node->run->world,
					 .relation = relation,
					 .columns = node->op->scan.columns,
					 .column_count = node->op->scan.column_count,
					 .session = &node->run->session,
					 .run = node->run};
	return klass->open ? klass->open(me->source, err) : TM_OK;
}

static void scan_close(struct tm_node *node)
{
	struct scan *me = (struct scan *)node;
	if (me->source && me->source->klass->close)
		me->source->klass->close(me->source);
	free(me->source);
}

struct tm_source *tm_scan_source(struct tm_node *node) { return ((struct scan *)node)->source; }

void tm_scan_set_range(struct tm_node *node, struct tm_str from, struct tm_str to)
{
	struct scan *me = (struct scan *)node;
	me->from = from;
	me->to = to;
}

static tm_rc scan_begin(struct tm_node *node, struct tm_err *err)
{
	struct scan *me = (struct scan *)node;
	me->idle = node->op->scan.relation->streaming && tm_str_eq(me->from, me->to);
	return me->idle ? TM_OK : me->source->klass->range(me->source, me->from, me->to, err);
}

/* Records that a parse could not use, that no operator used as they are and that are not kept yet: before their batch goes. */
static void keep_corrupt(struct tm_node *node)
{
	const struct tm_flow all = {.batch = node->out.batch, .origin = node->out.origin};
	if (!all.origin || !all.origin->any_corrupt)
		return;
	for (size_t i = 0; i < all.origin->rows; i++)
		if (all.origin->marks[i] == TM_MARK_CORRUPT)
			tm_stream_dead(node->run, &all, i, "malformed_record", "the record cannot be parsed");
}

static tm_rc scan_next(struct tm_node *node, const struct tm_flow **ret, struct tm_err *err)
{
	struct scan *me = (struct scan *)node;
	*ret = NULL;
	if (me->idle)
		return TM_OK;
	keep_corrupt(node);
	tm_arena_reset(&node->arena);
	node->out = (struct tm_flow){0};
	bool some = false;
	TM_TRY(me->source->klass->next(me->source, &node->arena, &node->out, &some, err));
	if (some) {
		node->rows_in += (int64_t)node->out.batch.rows;
		*ret = &node->out;
	}
	me->idle = !some;
	return TM_OK;
}
const struct tm_node_class tm_scan_class = {
    .label = "Scan", .size = sizeof(struct scan), .open = scan_open, .begin = scan_begin, .next = scan_next, .close = scan_close};
