/* What Spark refuses for a stream before it starts (its UnsupportedOperationChecker), with the same classes and texts. */
#include "stream/query.h"
#include "stream/stateful.h"
#include <stdio.h>

static const char *mode_name(enum tm_output_mode mode)
{
	return mode == TM_MODE_APPEND ? "append" : mode == TM_MODE_UPDATE ? "update" : "complete";
}

static tm_rc no(struct tm_err *err, const char *text)
{
	return tm_fail_class(err, TM_UNSUPPORTED, "_LEGACY_ERROR_TEMP_3102", "", "%s", text);
}

static tm_rc no_mode(struct tm_err *err, enum tm_output_mode mode, const char *what)
{
	return tm_fail_class(
	    err, TM_UNSUPPORTED, "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION", "42KDE",
	    "Invalid streaming output mode: %s. This output mode is not supported for %s on streaming DataFrames/DataSets.",
	    mode_name(mode), what);
}

static bool streaming_aggregate(const struct tm_op *op) { return op->kind == TM_OP_AGGREGATE && op->streaming; }

static bool any_aggregate(const struct tm_op *op)
{
	if (streaming_aggregate(op))
		return true;
	for (size_t i = 0; i < op->input_count; i++)
		if (any_aggregate(op->inputs[i]))
			return true;
	return false;
}

/* The aggregate nearest to the result. */
static const struct tm_op *first_aggregate(const struct tm_op *op)
{
	if (streaming_aggregate(op))
		return op;
	for (size_t i = 0; i < op->input_count; i++) {
		const struct tm_op *a = first_aggregate(op->inputs[i]);
		if (a)
			return a;
	}
	return NULL;
}

static bool is_session(const struct tm_op *op) { return op->aggregate.session_gap_us || op->aggregate.session_gap; }

static tm_rc check_modes(const struct tm_query_spec *spec, struct tm_err *err)
{
	const struct tm_op *a = first_aggregate(spec->root);
	switch (spec->mode) {
	case TM_MODE_APPEND:
		if (a && !tm_stateful_watermarked(a))
			return no_mode(err, spec->mode, "streaming aggregations without watermark");
		return TM_OK;
	case TM_MODE_UPDATE:
		if (a && is_session(a))
			return no_mode(err, spec->mode, "session window streaming aggregations");
		return TM_OK;
	default:
		return a ? TM_OK : no_mode(err, spec->mode, "no streaming aggregations");
	}
}

/* Rows that leave a stateful operator in update or complete mode may be older than the watermark: another one above would drop them. */
static bool stateful(const struct tm_op *op)
{
	return op->streaming && (op->kind == TM_OP_AGGREGATE || op->kind == TM_OP_DEDUPLICATE ||
				 (op->kind == TM_OP_JOIN && op->inputs[0]->streaming && op->inputs[1]->streaming));
}

static bool emits_late(const struct tm_op *op, enum tm_output_mode mode)
{
	if (op->kind == TM_OP_AGGREGATE && op->streaming && mode != TM_MODE_APPEND)
		return true;
	for (size_t i = 0; i < op->input_count; i++)
		if (emits_late(op->inputs[i], mode))
			return true;
	return false;
}

static tm_rc check_correctness(const struct tm_op *op, enum tm_output_mode mode, struct tm_err *err)
{
	if (stateful(op) && op->kind != TM_OP_DEDUPLICATE)
		for (size_t i = 0; i < op->input_count; i++)
			if (emits_late(op->inputs[i], mode))
				return no(err, "Detected pattern of possible 'correctness' issue due to global watermark. The query "
					       "contains stateful operation which can emit "
					       "rows older than the current watermark plus allowed late record delay, which are \"late "
					       "rows\" in downstream stateful operations "
					       "and these rows can be discarded. Please refer the programming guide doc for more details. "
					       "If you understand the possible risk "
					       "of correctness issue and still need to run the query, you can disable this check by "
					       "setting the config "
					       "`spark.sql.streaming.statefulOperator.checkCorrectness.enabled` to false.");
	for (size_t i = 0; i < op->input_count; i++)
		TM_TRY(check_correctness(op->inputs[i], mode, err));
	return TM_OK;
}

static tm_rc check_static_join(const struct tm_op *op, struct tm_err *err)
{
	bool left = op->inputs[0]->streaming;
	switch (op->join.kind) {
	case TM_JOIN_LEFT:
		return left ? TM_OK
			    : no(err, "LeftOuter join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on "
				      "the left is not supported");
	case TM_JOIN_RIGHT:
		return left ? no(err, "RightOuter join with a streaming DataFrame/Dataset on the left and a static DataFrame/DataSet on "
				      "the right not supported")
			    : TM_OK;
	case TM_JOIN_FULL:
		return no(err, left ? "FullOuter joins with streaming DataFrames/Datasets on the left and a static DataFrame/Dataset on "
				      "the right is not supported"
				    : "FullOuter joins with streaming DataFrames/Datasets on the right and a static DataFrame/Dataset on "
				      "the left is not supported");
	case TM_JOIN_SEMI:
		return left ? TM_OK
			    : no(err, "LeftSemi join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on the "
				      "left is not supported");
	case TM_JOIN_ANTI:
		return left ? TM_OK : no(err, "LeftAnti joins with a streaming DataFrame/Dataset on the right are not supported");
	default:
		return TM_OK;
	}
}

/* A subquery that groups rows by more than equality with the stream's: Spark makes an aggregate of the stream for it and joins
 * that with the stream. */
static tm_rc check_domain(enum tm_output_mode mode, struct tm_err *err)
{
	if (mode != TM_MODE_APPEND)
		return no(err, "requirement failed: Update output mode is not supported for stream-stream LeftOuter join");
	return tm_fail_class(err, TM_UNSUPPORTED, "UNSUPPORTED_STREAMING_OPERATOR_WITHOUT_WATERMARK", "0A000",
			     "Append output mode not supported for aggregations on streaming DataFrames/DataSets without watermark.");
}

static tm_rc check_stream_join(const struct tm_op *op, enum tm_output_mode mode, struct tm_err *err)
{
	static const char *const names[] = {
	    [TM_JOIN_INNER] = "Inner",   [TM_JOIN_LEFT] = "LeftOuter", [TM_JOIN_RIGHT] = "RightOuter", [TM_JOIN_FULL] = "FullOuter",
	    [TM_JOIN_SEMI] = "LeftSemi", [TM_JOIN_ANTI] = "LeftAnti",  [TM_JOIN_CROSS] = "Cross"};
	if (op->join.kind == TM_JOIN_ANTI)
		return no(err, "LeftAnti joins with a streaming DataFrame/Dataset on the right are not supported");
	char text[400];
	if (op->join.kind != TM_JOIN_CROSS && op->join.kind != TM_JOIN_INNER) {
		if (mode != TM_MODE_APPEND && op->join.kind != TM_JOIN_SEMI) {
			snprintf(text, sizeof text,
				 "%s join between two streaming DataFrames/Datasets is not supported in %s output mode, only in Append "
				 "output mode",
				 names[op->join.kind], mode == TM_MODE_UPDATE ? "Update" : "Complete");
			return no(err, text);
		}
		if (!tm_join_outer_bounded(op)) {
			snprintf(text, sizeof text,
				 "Stream-stream %s join between two streaming DataFrame/Datasets is not supported without a watermark in "
				 "the join keys, "
				 "or a watermark on the nullable side and an appropriate range condition",
				 names[op->join.kind]);
			return no(err, text);
		}
	}
	if (!op->join.key_count)
		return tm_fail_class(err, TM_UNSUPPORTED, "_LEGACY_ERROR_TEMP_1181", "",
				     "Stream-stream join without equality predicate is not supported.");
	return TM_OK;
}

static bool any_watermark(const struct tm_op *op)
{
	if (op->kind == TM_OP_WATERMARK && op->streaming)
		return true;
	for (size_t i = 0; i < op->input_count; i++)
		if (any_watermark(op->inputs[i]))
			return true;
	return false;
}

static tm_rc check_op(const struct tm_op *op, const struct tm_query_spec *spec, struct tm_err *err)
{
	for (size_t i = 0; i < op->input_count; i++)
		TM_TRY(check_op(op->inputs[i], spec, err));
	if (!op->streaming)
		return TM_OK;
	bool left = op->input_count > 0 && op->inputs[0]->streaming, right = op->input_count > 1 && op->inputs[1]->streaming;
	switch (op->kind) {
	case TM_OP_WATERMARK:
		if (any_watermark(op->inputs[0]) && !spec->single_watermark)
			return tm_fail_class(err, TM_UNSUPPORTED, "_LEGACY_ERROR_TEMP_3076", "",
					     "Redefining watermark is disallowed. You can set the config "
					     "'spark.sql.streaming.statefulOperator.allowMultiple' to 'false' "
					     "to restore the previous behavior. Note that multiple stateful operators will be disallowed.");
		return TM_OK;
	case TM_OP_AGGREGATE:
		for (size_t i = 0; i < op->aggregate.agg_count; i++)
			if (op->aggregate.aggs[i]->distinct)
				return no(err, "Distinct aggregations are not supported on streaming DataFrames/Datasets. Consider using "
					       "approx_count_distinct() instead.");
		if (is_session(op) && op->aggregate.key_count < 2)
			return tm_fail_class(err, TM_UNSUPPORTED, "_LEGACY_ERROR_TEMP_3068", "",
					     "Global aggregation with session window in streaming query is not supported.");
		if (op != first_aggregate(spec->root) && spec->mode == TM_MODE_APPEND && !tm_stateful_watermarked(op))
			return no_mode(err, spec->mode, "streaming aggregations without watermark");
		return TM_OK;
	case TM_OP_WINDOW:
		return tm_fail_class(err, TM_UNSUPPORTED, "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING", "42KDE",
				     "Window function is not supported on streaming DataFrames/Datasets.\nStructured Streaming only "
				     "supports time-window aggregation "
				     "using the WINDOW function.");
	case TM_OP_SORT:
		if (spec->mode != TM_MODE_COMPLETE || !any_aggregate(op))
			return no(err, "Sorting is not supported on streaming DataFrames/Datasets, unless it is on aggregated "
				       "DataFrame/Dataset in Complete output mode");
		return TM_OK;
	case TM_OP_LIMIT:
		if (op->limit.offset > 0)
			return no(err, "Offset is not supported on streaming DataFrames/Datasets");
		if (spec->mode == TM_MODE_UPDATE)
			return no(err, "Limits are not supported on streaming DataFrames/Datasets in Update output mode");
		return TM_OK;
	case TM_OP_SET:
		if (op->set.kind == TM_SET_INTERSECT)
			return no(err, "Intersect of streaming DataFrames/Datasets is not supported");
		if (right)
			return no(err, "Except on a streaming DataFrame/Dataset on the right is not supported");
		return tm_fail_class(
		    err, TM_UNSUPPORTED, "UNSUPPORTED_STREAMING_OPERATOR_WITHOUT_WATERMARK", "0A000",
		    "Append output mode not supported for aggregations on streaming DataFrames/DataSets without watermark.");
	case TM_OP_SAMPLE:
		return no(err, "Sampling is not supported on streaming DataFrames/Datasets");
	case TM_OP_UNION:
		for (size_t i = 0; i < op->input_count; i++)
			if (!op->inputs[i]->streaming)
				return no(err, "Union between streaming and batch DataFrames/Datasets is not supported");
		return TM_OK;
	case TM_OP_DEDUPLICATE:
		if (op->deduplicate.within_watermark && op->deduplicate.event_time_column < 0)
			return no(err, "dropDuplicatesWithinWatermark is not supported on streaming DataFrames/DataSets without watermark");
		return TM_OK;
	case TM_OP_JOIN:
		if (left && op->join.domain_grouped)
			return check_domain(spec->mode, err);
		return left && right ? check_stream_join(op, spec->mode, err) : check_static_join(op, err);
	default:
		return TM_OK;
	}
}

tm_rc tm_query_check(const struct tm_query_spec *spec, struct tm_err *err)
{
	if (!spec->root->streaming)
		return tm_fail_class(err, TM_INVALID, "WRITE_STREAM_NOT_ALLOWED", "42601",
				     "`writeStream` can be called only on streaming Dataset/DataFrame.");
	if (!spec->correctness_check_off)
		TM_TRY(check_correctness(spec->root, spec->mode, err));
	TM_TRY(check_modes(spec, err));
	return check_op(spec->root, spec, err);
}
