/* Formats rate and rate-micro-batch: numbered rows with a time, for trying things out.
 * Offsets: rate "<start in ms>:<seconds since>", rate-micro-batch "<batches so far>". */
#include "stream/provider.h"
#include <stdio.h>
#include <string.h>

struct rate {
	struct tm_source s;
	bool micro_batch;
	int64_t rows_per, start_ms, advance_ms; /* rows per second, or per batch */
	int64_t at, to, first_us;               /* values of the range; time of value 0 */
	int64_t per_batch_at;                   /* micro-batch: time of the batch in ms */
};

static tm_rc rate_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	(void)world;
	if (!relation->streaming)
		return tm_fail(err, TM_UNSUPPORTED, "'%.*s': format %.*s is a stream; read it with STREAM", TM_STR_ARG(relation->name),
			       TM_STR_ARG(relation->format));
	struct tm_field *f = TM_NEW_N(arena, struct tm_field, 2);
	f[0] = (struct tm_field){TM_STR("timestamp"), &tm_type_timestamp, true};
	f[1] = (struct tm_field){TM_STR("value"), &tm_type_bigint, true};
	relation->schema = (struct tm_schema){2, f};
	return TM_OK;
}

static tm_rc rate_open(struct tm_source *s, struct tm_err *err)
{
	struct rate *me = (struct rate *)s;
	const struct tm_option *o = s->relation->options;
	size_t n = s->relation->option_count;
	me->micro_batch = tm_str_iis(s->relation->format, "rate-micro-batch");
	TM_TRY(tm_option_i64(o, n, me->micro_batch ? "rowsPerBatch" : "rowsPerSecond", me->micro_batch ? 0 : 1, &me->rows_per, err));
	TM_TRY(tm_option_i64(o, n, "startTimestamp", 0, &me->start_ms, err));
	TM_TRY(tm_option_i64(o, n, "advanceMillisPerBatch", 1000, &me->advance_ms, err));
	if (me->rows_per < 1 || me->rows_per > 1000000000)
		return tm_fail(err, TM_INVALID, "option %s must be between 1 and 1000000000",
			       me->micro_batch ? "rowsPerBatch" : "rowsPerSecond");
	return TM_OK;
}

static int64_t now_ms(const struct tm_source *s) { return tm_now_us(s->world->env ? s->world->env : tm_env_real()) / 1000; }

static tm_rc rate_initial(struct tm_source *s, struct tm_buf *ret, struct tm_err *err)
{
	(void)err;
	if (((struct rate *)s)->micro_batch)
		tm_buf_char(ret, '0');
	else
		tm_buf_printf(ret, "%lld:0", (long long)now_ms(s));
	return TM_OK;
}

/* "a:b" or "b". */
static tm_rc parse(const struct rate *me, struct tm_str text, int64_t *ret_start, int64_t *ret_n, struct tm_err *err)
{
	struct tm_str rest = text, part;
	bool good = true;
	*ret_start = 0;
	if (!me->micro_batch)
		good = tm_str_split(&rest, ':', &part) && tm_str_to_i64(part, ret_start);
	if (!good || !tm_str_to_i64(rest, ret_n) || *ret_n < 0)
		return tm_fail(err, TM_CORRUPT, "'%.*s' is not an offset of a rate stream", TM_STR_ARG(text));
	return TM_OK;
}

static tm_rc rate_latest(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err)
{
	struct rate *me = (struct rate *)s;
	int64_t start, n;
	TM_TRY(parse(me, from, &start, &n, err));
	if (me->micro_batch) {
		tm_buf_printf(ret_to, "%lld", (long long)n + 1);
		*ret_new = true;
		return TM_OK;
	}
	int64_t now = (now_ms(s) - start) / 1000;
	now = now < n ? n : now;
	*ret_new = now > n;
	tm_buf_printf(ret_to, "%lld:%lld", (long long)start, (long long)now);
	return TM_OK;
}

static tm_rc rate_range(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err)
{
	struct rate *me = (struct rate *)s;
	int64_t start, a, b;
	TM_TRY(parse(me, from, &start, &a, err));
	TM_TRY(parse(me, to, &start, &b, err));
	if (__builtin_mul_overflow(a, me->rows_per, &me->at) || __builtin_mul_overflow(b, me->rows_per, &me->to))
		return tm_fail(err, TM_CORRUPT, "the rate stream has counted too far");
	me->first_us = start * 1000;
	me->per_batch_at = me->start_ms + a * me->advance_ms;
	return TM_OK;
}

static tm_rc rate_next(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err)
{
	(void)err;
	struct rate *me = (struct rate *)s;
	int64_t n = me->to - me->at < TM_LIMIT_BATCH_ROWS ? me->to - me->at : TM_LIMIT_BATCH_ROWS;
	*ret_some = n > 0;
	if (n <= 0)
		return TM_OK;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, s->column_count + 1);
	for (size_t c = 0; c < s->column_count; c++) {
		tm_column_init(&columns[c], arena, s->relation->schema.fields[s->columns[c]].type, (size_t)n);
		for (int64_t i = 0; i < n; i++) {
			int64_t value = me->at + i;
			int64_t us = me->micro_batch
					 ? me->per_batch_at * 1000
					 : me->first_us + value / me->rows_per * 1000000 + value % me->rows_per * 1000000 / me->rows_per;
			columns[c].i64[i] = s->columns[c] == 0 ? us : value;
		}
	}
	me->at += n;
	ret->batch = (struct tm_batch){.rows = (size_t)n, .column_count = s->column_count, .columns = columns};
	return TM_OK;
}

static const char *const formats[] = {"rate", "rate-micro-batch", NULL};
const struct tm_source_class tm_source_rate = {.formats = formats,
					       .size = sizeof(struct rate),
					       .describe = rate_describe,
					       .open = rate_open,
					       .initial = rate_initial,
					       .latest = rate_latest,
					       .range = rate_range,
					       .next = rate_next};
