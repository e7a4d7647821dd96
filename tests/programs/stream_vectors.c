/* Runs cases of the streaming vectors: one JSON case per line on standard input, one JSON answer per line on standard output:
 * {"id", "batches": [{batch, step, data, rows, watermark, next_watermark, dropped [, attempt] [, uncommitted]}] [, "error": {class, phase,
 * message}]}. usage: stream_vectors [--kill SEED]   with --kill, queries die at random points of random batches and are opened again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "sql/fn.h"
#include "sql/sql.h"
#include "stream/query_int.h"
#include "stream/stateful.h"
#include "table/table.h"

struct run {
	json_t *test, *batches, *rows; /* of the answer */
	struct tm_store *store;
	struct tm_stream_world world;
	struct tm_sql *sql;
	struct tm_arena arena;
	struct {
		struct tm_memory_feed *feed;
	} * feeds;
	size_t feed_count, step_count;
	struct {
		struct tm_batch *batch;
		json_t *spec;
		const struct tm_type *schema;
		const char *kind;
	} * statics;
	size_t static_count;
	struct tm_query_spec *spec;
	struct tm_query *query;
	struct tm_session session;
	const char *sql_text, *mode;
	json_t *calls;
	int64_t throw_batch; /* the sink throws in that batch; -1 = none */
	bool threw;
	unsigned kill_state;
	bool kill;
	struct tm_err err;
	const char *phase;
	int64_t attempt_batch;
	size_t session_step; /* the step before which the session began */
};

static unsigned next_random(struct run *r)
{
	r->kill_state = r->kill_state * 1664525u + 1013904223u;
	return r->kill_state >> 8;
}

/* ---- values in ---- */

static int64_t days(int64_t y, int m, int d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t parse_time(const char *s)
{
	int y, mo, d, h = 0, mi = 0, used = 0;
	double sec = 0;
	int sign = *s == '-' ? -1 : 1;
	if (*s == '-' || *s == '+')
		s++;
	if (sscanf(s, "%d-%d-%d%n", &y, &mo, &d, &used) < 3)
		return 0;
	s += used;
	int64_t us = days(sign * (int64_t)y, mo, d) * 86400000000LL;
	if (*s == 'T' && sscanf(s + 1, "%d:%d%n", &h, &mi, &used) >= 2) {
		s += 1 + used;
		int64_t whole = 0, frac = 0, unit = 100000;
		if (*s == ':') {
			s++;
			while (*s >= '0' && *s <= '9')
				whole = whole * 10 + (*s++ - '0');
			if (*s == '.')
				for (s++; *s >= '0' && *s <= '9'; unit /= 10)
					frac += (*s++ - '0') * unit;
		}
		us += ((int64_t)h * 3600 + mi * 60 + whole) * 1000000 + frac;
	}
	(void)sec;
	return us;
}

static void fill(struct run *r, struct tm_column *c, const struct tm_type *type, json_t **values, size_t n);

static __int128 parse_decimal(const char *s, int scale)
{
	__int128 v = 0;
	bool minus = *s == '-', point = false;
	int digits = 0;
	for (s += minus; *s; s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		if (point && digits == scale)
			break;
		v = v * 10 + (*s - '0');
		digits += point;
	}
	for (; digits < scale; digits++)
		v *= 10;
	return minus ? -v : v;
}

static double number(json_t *v)
{
	if (!json_is_string(v))
		return json_number_value(v);
	const char *s = json_string_value(v);
	return strcmp(s, "NaN") == 0         ? __builtin_nan("")
	       : strcmp(s, "Infinity") == 0  ? __builtin_inf()
	       : strcmp(s, "-Infinity") == 0 ? -__builtin_inf()
					     : atof(s);
}

static void fill_nested(struct run *r, struct tm_column *c, const struct tm_type *type, json_t **values, size_t n)
{
	size_t total = 0;
	bool map = type->kind == TM_T_MAP;
	json_t **lists = TM_NEW_N(&r->arena, json_t *, n + 1);
	for (size_t i = 0; i < n; i++) {
		lists[i] = map && json_is_object(values[i]) ? json_object_get(values[i], "$map") : values[i];
		c->span[i] = (struct tm_span){(uint32_t)total, (uint32_t)json_array_size(lists[i])};
		total += json_array_size(lists[i]);
	}
	for (size_t k = 0; k < type->child_count; k++) {
		json_t **items = TM_NEW_N(&r->arena, json_t *, total + 1);
		size_t at = 0;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < json_array_size(lists[i]); j++)
				items[at++] = map ? json_array_get(json_array_get(lists[i], j), k) : json_array_get(lists[i], j);
		fill(r, &c->children[k], type->children[k], items, total);
	}
}

static void fill(struct run *r, struct tm_column *c, const struct tm_type *type, json_t **values, size_t n)
{
	tm_column_init(c, &r->arena, type, n);
	for (size_t i = 0; i < n; i++) {
		json_t *v = values[i];
		bool null = !v || json_is_null(v);
		if (null)
			tm_column_need_valid(c, &r->arena)[i] = 0;
		const char *s = null ? "" : json_string_value(v);
		switch (type->kind) {
		case TM_T_BOOLEAN:
			c->boolean[i] = json_is_true(v);
			break;
		case TM_T_TINYINT:
			c->i8[i] = (int8_t)json_integer_value(v);
			break;
		case TM_T_SMALLINT:
			c->i16[i] = (int16_t)json_integer_value(v);
			break;
		case TM_T_INT:
			c->i32[i] = (int32_t)json_integer_value(v);
			break;
		case TM_T_BIGINT:
			c->i64[i] = json_integer_value(v);
			break;
		case TM_T_FLOAT:
			c->f32[i] = null ? 0 : (float)number(v);
			break;
		case TM_T_DOUBLE:
			c->f64[i] = null ? 0 : number(v);
			break;
		case TM_T_DECIMAL: {
			char text[64];
			snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
			c->i128[i] = null ? 0 : parse_decimal(s ? s : text, type->scale);
			break;
		}
		case TM_T_DATE:
			c->i32[i] = null ? 0 : (int32_t)(parse_time(s) / 86400000000LL);
			break;
		case TM_T_TIMESTAMP:
		case TM_T_TIMESTAMP_NTZ:
			c->i64[i] = null ? 0 : parse_time(s);
			break;
		case TM_T_STRING:
		case TM_T_VARIANT:
			c->str[i] = null ? (struct tm_str){"", 0} : tm_str_n(json_string_value(v), json_string_length(v));
			break;
		case TM_T_BINARY: {
			const char *hex = null ? "" : json_string_value(json_object_get(v, "$hex"));
			size_t len = strlen(hex ? hex : "") / 2;
			char *bytes = tm_arena_alloc(&r->arena, len + 1);
			for (size_t k = 0; k < len; k++) {
				unsigned b;
				sscanf(hex + 2 * k, "%2x", &b);
				bytes[k] = (char)b;
			}
			c->str[i] = tm_str_n(bytes, len);
			break;
		}
		default:
			break;
		}
	}
	if (type->kind == TM_T_ARRAY || type->kind == TM_T_MAP)
		fill_nested(r, c, type, values, n);
	if (type->kind == TM_T_STRUCT)
		for (size_t k = 0; k < type->child_count; k++) {
			json_t **items = TM_NEW_N(&r->arena, json_t *, n + 1);
			for (size_t i = 0; i < n; i++)
				items[i] = json_array_get(values[i], k);
			fill(r, &c->children[k], type->children[k], items, n);
		}
}

static void rows_batch(struct run *r, const struct tm_type *schema, json_t *rows, struct tm_batch *ret)
{
	size_t n = json_array_size(rows);
	struct tm_column *columns = TM_NEW_N(&r->arena, struct tm_column, schema->child_count + 1);
	json_t **values = TM_NEW_N(&r->arena, json_t *, n + 1);
	for (size_t c = 0; c < schema->child_count; c++) {
		for (size_t i = 0; i < n; i++)
			values[i] = json_array_get(json_array_get(rows, i), c);
		fill(r, &columns[c], schema->children[c], values, n);
	}
	*ret = (struct tm_batch){.rows = n, .column_count = schema->child_count, .columns = columns};
}

/* ---- the case's views ---- */

static tm_rc relation(struct run *r, const char *name, const char *ddl, const struct tm_type **ret_schema, struct tm_relation **ret)
{
	const struct tm_type *schema;
	TM_TRY(tm_type_parse(&r->arena, tm_str_of(ddl), &schema, &r->err));
	struct tm_relation *rel = TM_NEW(&r->arena, struct tm_relation);
	rel->name = tm_str_of(name);
	rel->format = TM_STR("memory");
	rel->schema.count = schema->child_count;
	rel->schema.fields = TM_NEW_N(&r->arena, struct tm_field, schema->child_count + 1);
	for (size_t i = 0; i < schema->child_count; i++)
		rel->schema.fields[i] = (struct tm_field){schema->names[i], schema->children[i], true};
	*ret_schema = schema;
	*ret = rel;
	return TM_OK;
}

static void read_steps(struct run *r, const struct tm_type *schema, json_t *batches, struct tm_memory_feed *feed)
{
	struct tm_memory_step *steps = TM_NEW_N(&r->arena, struct tm_memory_step, r->step_count + 1);
	for (size_t i = 0; i < r->step_count; i++) {
		json_t *b = json_array_get(batches, i);
		if (!b || json_is_null(b))
			continue;
		json_t *parts = json_is_object(b) ? json_object_get(b, "partitions") : NULL;
		size_t n = parts ? json_array_size(parts) : 1;
		struct tm_batch *list = TM_NEW_N(&r->arena, struct tm_batch, n + 1);
		for (size_t p = 0; p < n; p++)
			rows_batch(r, schema, parts ? json_array_get(parts, p) : b, &list[p]);
		steps[i] = (struct tm_memory_step){true, list, n};
	}
	*feed = (struct tm_memory_feed){steps, r->step_count, 0};
}

static tm_rc register_views(struct run *r)
{
	const char *name;
	json_t *source;
	json_t *sources = json_object_get(r->test, "sources"), *statics = json_object_get(r->test, "statics");
	r->step_count = 0;
	json_object_foreach(sources, name, source)
	{
		size_t n = json_array_size(json_object_get(source, "batches"));
		r->step_count = n > r->step_count ? n : r->step_count;
	}
	json_object_foreach(sources, name, source)
	{
		struct tm_relation *rel;
		const struct tm_type *schema;
		TM_TRY(relation(r, name, json_string_value(json_object_get(source, "schema")), &schema, &rel));
		struct tm_memory_feed *feed = TM_NEW(&r->arena, struct tm_memory_feed);
		read_steps(r, schema, json_object_get(source, "batches"), feed);
		rel->streaming = true;
		rel->memory = feed;
		r->feeds = realloc(r->feeds, (r->feed_count + 1) * sizeof *r->feeds);
		r->feeds[r->feed_count++].feed = feed;
		TM_TRY(tm_sql_register(r->sql, rel, &r->err));
	}
	json_object_foreach(statics, name, source)
	{
		struct tm_relation *rel;
		const struct tm_type *schema;
		TM_TRY(relation(r, name, json_string_value(json_object_get(source, "schema")), &schema, &rel));
		struct tm_batch *batch = TM_NEW(&r->arena, struct tm_batch);
		rel->memory = batch;
		const char *kind = json_string_value(json_object_get(source, "kind"));
		r->statics = realloc(r->statics, (r->static_count + 1) * sizeof *r->statics);
		r->statics[r->static_count].batch = batch;
		r->statics[r->static_count].spec = json_object_get(source, "versions");
		r->statics[r->static_count].kind = kind ? kind : "live";
		r->statics[r->static_count++].schema = schema;
		TM_TRY(tm_sql_register(r->sql, rel, &r->err));
	}
	return TM_OK;
}

/* Tables show the newest version of the step; folders of files all up to it. */
static void set_statics(struct run *r, size_t step)
{
	for (size_t i = 0; i < r->static_count; i++) {
		json_t *rows = json_array();
		size_t k;
		json_t *version;
		json_array_foreach(r->statics[i].spec, k, version)
		{
			size_t from = (size_t)json_integer_value(json_object_get(version, "from_step"));
			bool fixed = strcmp(r->statics[i].kind, "live") !=
				     0; /* a view is a query over the old rows; a folder was listed at the start */
			if (from > step || (fixed && from > r->session_step))
				continue;
			if (strcmp(r->statics[i].kind, "files") != 0)
				json_array_clear(rows);
			json_array_extend(rows, json_object_get(version, "rows"));
		}
		rows_batch(r, r->statics[i].schema, rows, r->statics[i].batch);
		json_object_set_new(r->test, "$keep", rows); /* values point into it until the case ends */
		json_array_append(json_object_get(r->test, "$kept"), rows);
	}
}

/* ---- DataFrame calls ---- */

static tm_rc find_column(struct run *r, const struct tm_op *op, const char *name, size_t *ret)
{
	for (size_t i = 0; i < op->schema.count; i++)
		if (tm_str_iis(op->schema.fields[i].name, name)) {
			*ret = i;
			return TM_OK;
		}
	return tm_fail_class(&r->err, TM_INVALID, "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES", "42703", "no column %s", name);
}

static struct tm_op *wrap(struct run *r, const struct tm_op *in, enum tm_op_kind kind, size_t *next_id)
{
	struct tm_op *op = TM_NEW(&r->arena, struct tm_op);
	op->kind = kind;
	op->schema = in->schema;
	op->input_count = 1;
	op->inputs = TM_NEW_N(&r->arena, struct tm_op *, 1);
	op->inputs[0] = (struct tm_op *)(uintptr_t)in;
	op->streaming = in->streaming;
	op->id = (*next_id)++;
	return op;
}

static int64_t parse_delay(const char *text)
{
	long n = 0;
	char unit[20] = "";
	sscanf(text, "%ld %19s", &n, unit);
	int64_t second = 1000000;
	int64_t one = strncmp(unit, "minute", 6) == 0  ? 60 * second
		      : strncmp(unit, "hour", 4) == 0  ? 3600 * second
		      : strncmp(unit, "day", 3) == 0   ? 86400 * second
		      : strncmp(unit, "month", 5) == 0 ? 31 * 86400 * second
						       : second;
	return n * one;
}

static tm_rc ignore_rows(void *ctx, const struct tm_batch *batch)
{
	(void)ctx;
	(void)batch;
	return TM_OK;
}

static tm_rc apply_call(struct run *r, json_t *call, const struct tm_op **io_op, size_t *next_id)
{
	const char *name = json_string_value(json_array_get(call, 0));
	const struct tm_op *in = *io_op;
	size_t args = json_array_size(call) - 1;
	if (strcmp(name, "withWatermark") == 0) {
		struct tm_op *op = wrap(r, in, TM_OP_WATERMARK, next_id);
		TM_TRY(find_column(r, in, json_string_value(json_array_get(call, 1)), &op->watermark.column));
		op->watermark.delay_us = parse_delay(json_string_value(json_array_get(call, 2)));
		*io_op = op;
		return TM_OK;
	}
	if (strcmp(name, "dropDuplicates") == 0 || strcmp(name, "distinct") == 0 || strcmp(name, "dropDuplicatesWithinWatermark") == 0) {
		struct tm_op *op = wrap(r, in, TM_OP_DEDUPLICATE, next_id);
		size_t *columns = TM_NEW_N(&r->arena, size_t, in->schema.count + args + 1);
		for (size_t i = 0; i < args; i++)
			TM_TRY(find_column(r, in, json_string_value(json_array_get(call, i + 1)), &columns[i]));
		for (size_t i = 0; !args && i < in->schema.count; i++)
			columns[i] = i;
		op->deduplicate.columns = columns;
		op->deduplicate.column_count = args ? args : in->schema.count;
		op->deduplicate.within_watermark = strcmp(name, "dropDuplicatesWithinWatermark") == 0;
		op->deduplicate.event_time_column = -1;
		size_t w = tm_op_watermark_column(in);
		if (w != SIZE_MAX)
			op->deduplicate.event_time_column = (int)w;
		*io_op = op;
		return TM_OK;
	}
	if (strcmp(name, "limit") == 0) {
		struct tm_op *op = wrap(r, in, TM_OP_LIMIT, next_id);
		op->limit.count = json_integer_value(json_array_get(call, 1));
		*io_op = op;
		return TM_OK;
	}
	if (strcmp(name, "sort") == 0) {
		struct tm_op *op = wrap(r, in, TM_OP_SORT, next_id);
		size_t column;
		TM_TRY(find_column(r, in, json_string_value(json_array_get(call, 1)), &column));
		struct tm_expr *e = TM_NEW(&r->arena, struct tm_expr);
		*e = (struct tm_expr){.kind = TM_EXPR_COLUMN, .type = in->schema.fields[column].type, .nullable = true, .column = column};
		op->sort.keys = TM_NEW(&r->arena, struct tm_sort_key);
		op->sort.keys[0].expr = e;
		op->sort.key_count = 1;
		*io_op = op;
		return TM_OK;
	}
	static const char *const actions[] = {"count", "collect", "show", "cache"};
	for (size_t i = 0; i < 4; i++)
		if (strcmp(name, actions[i]) == 0)
			return tm_plan_run(&r->world, &r->spec->session, in, ignore_rows, NULL, &r->err);
	return tm_fail_class(&r->err, TM_UNSUPPORTED, "CALL", "", "the driver has no call %s", name);
}

/* Views made by calls, as text where SQL has a form. */
static tm_rc make_view(struct run *r, json_t *view)
{
	const char *name = json_string_value(json_object_get(view, "name")), *text = json_string_value(json_object_get(view, "sql"));
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	tm_buf_printf(&b, "CREATE OR REPLACE TEMPORARY VIEW %s AS ", name);
	if (text) {
		tm_buf_cstr_put(&b, text);
	} else {
		json_t *calls = json_object_get(view, "calls"), *call = json_array_get(calls, 0);
		const char *from = json_string_value(json_object_get(view, "from"));
		if (json_array_size(calls) == 1 && strcmp(json_string_value(json_array_get(call, 0)), "withWatermark") == 0)
			tm_buf_printf(&b, "SELECT * FROM STREAM %s WATERMARK %s DELAY OF INTERVAL '%s'", from,
				      json_string_value(json_array_get(call, 1)), json_string_value(json_array_get(call, 2)));
		else
			rc = tm_fail_class(&r->err, TM_UNSUPPORTED, "CALL", "", "the driver makes no view by this call");
	}
	const struct tm_sql_sink nothing = {0};
	if (!rc)
		rc = tm_sql_run(r->sql, tm_buf_str(&b), &nothing, &r->err);
	tm_buf_done(&b);
	return rc;
}

/* ---- rows out ---- */

static bool native(const struct tm_type *t)
{
	switch (t->kind) {
	case TM_T_BOOLEAN:
	case TM_T_TINYINT:
	case TM_T_SMALLINT:
	case TM_T_INT:
	case TM_T_BIGINT:
	case TM_T_FLOAT:
	case TM_T_DOUBLE:
	case TM_T_DECIMAL:
	case TM_T_STRING:
	case TM_T_BINARY:
		return true;
	case TM_T_ARRAY:
	case TM_T_MAP:
	case TM_T_STRUCT:
		for (size_t i = 0; i < t->child_count; i++)
			if (!native(t->children[i]))
				return false;
		return true;
	default:
		return false;
	}
}

static tm_rc take_rows(void *ctx, int64_t batch_id, const struct tm_batch *rows, struct tm_err *err)
{
	struct run *r = ctx;
	struct tm_buf b = {0};
	for (size_t i = 0; i < rows->rows; i++) {
		json_t *row = json_array();
		for (size_t c = 0; c < rows->column_count; c++) {
			const struct tm_column *col = &rows->columns[c];
			b.len = 0;
			json_t *v;
			if (tm_is_null(col, i)) {
				v = json_null();
			} else if (native(col->type)) {
				tm_value_json(&r->session, col, i, &b);
				v = json_loadb(b.at, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
				if (!v)
					v = json_string("?");
			} else {
				tm_value_text(&r->session, col, i, &b);
				v = json_stringn(b.at ? b.at : "", b.len);
				if (!v)
					v = json_string("?");
			}
			json_array_append_new(row, v);
		}
		json_array_append_new(r->rows, row);
	}
	tm_buf_done(&b);
	(void)batch_id;
	(void)err;
	return TM_OK;
}

static json_t *time_text(int64_t ms)
{
	if (ms == INT64_MIN)
		return json_null();
	char text[128];
	int64_t day = ms / 86400000 - (ms % 86400000 < 0), rest = ms - day * 86400000;
	int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, y = yoe + era * 400,
		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	snprintf(text, sizeof text, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ", (long long)(y + (m <= 2)), (long long)m,
		 (long long)d, (long long)(rest / 3600000), (long long)(rest / 60000 % 60), (long long)(rest / 1000 % 60),
		 (long long)(rest % 1000));
	return json_string(text);
}

static void add_batch(struct run *r, size_t step, bool uncommitted)
{
	struct tm_arena arena;
	tm_arena_init(&arena);
	struct tm_query_progress p;
	tm_query_progress(r->query, &arena, &p);
	json_t *b = json_object();
	int64_t id = uncommitted ? r->throw_batch : p.batch_id, dropped = 0;
	json_object_set_new(b, "batch", json_integer(id));
	json_object_set_new(b, "step", json_integer((json_int_t)step));
	json_object_set(b, "rows", r->rows);
	if (uncommitted) {
		json_object_set_new(b, "uncommitted", json_true());
		r->attempt_batch = id;
	} else {
		json_object_set_new(b, "data", json_boolean(p.last_had_data));
		json_object_set_new(b, "watermark", time_text(p.watermark_ms));
		json_object_set_new(b, "next_watermark", time_text(p.next_watermark_ms));
		for (size_t i = 0; i < p.op_count; i++)
			dropped += p.ops[i].dropped_late;
		json_object_set_new(b, "dropped", json_integer(dropped));
		if (r->attempt_batch == id)
			json_object_set_new(b, "attempt", json_integer(2));
	}
	json_array_append_new(r->batches, b);
	json_decref(r->rows);
	r->rows = json_array();
	tm_arena_done(&arena);
}

/* ---- running ---- */

static tm_rc plan(struct run *r)
{
	static const char *const modes[] = {"append", "update", "complete"};
	size_t m = 0;
	r->phase = "start";
	while (m < 3 && strcasecmp(modes[m], r->mode) != 0)
		m++;
	if (m == 3)
		return tm_fail_class(&r->err, TM_INVALID, "STREAMING_OUTPUT_MODE.INVALID", "42KDE", "Invalid streaming output mode: %s.",
				     r->mode);
	r->phase = "analysis";
	TM_TRY(tm_sql_stream_plan(r->sql, tm_str_of(r->sql_text), (enum tm_output_mode)m, &r->spec, &r->err));
	const struct tm_op *root = r->spec->root;
	size_t next_id = 100000, i;
	json_t *call;
	json_array_foreach(r->calls, i, call) TM_TRY(apply_call(r, call, &root, &next_id));
	r->spec->root = root;
	r->phase = "start";
	r->spec->name = tm_str_of(json_string_value(json_object_get(r->test, "id")));
	r->spec->mode = (enum tm_output_mode)m;
	r->spec->sink_format = TM_STR("memory");
	const char *sink = json_string_value(json_object_get(r->test, "sink"));
	if (sink)
		r->spec->sink_format = tm_str_of(sink);
	r->spec->memory_sink = take_rows;
	r->spec->memory_ctx = r;
	r->session = r->spec->session;
	return TM_OK;
}

static tm_rc open_query(struct run *r)
{
	r->phase = "start";
	json_t *conf = json_object_get(r->test, "conf");
	const char *policy = json_string_value(json_object_get(conf, "spark.sql.streaming.multipleWatermarkPolicy"));
	const char *no_data = json_string_value(json_object_get(conf, "spark.sql.streaming.noDataMicroBatches.enabled"));
	const char *check = json_string_value(json_object_get(conf, "spark.sql.streaming.statefulOperator.checkCorrectness.enabled"));
	r->spec->max_watermark_policy = policy && strcmp(policy, "max") == 0;
	r->spec->no_data_batches_off = no_data && strcmp(no_data, "false") == 0;
	const char *multiple = json_string_value(json_object_get(conf, "spark.sql.streaming.statefulOperator.allowMultiple"));
	r->spec->single_watermark = multiple && strcmp(multiple, "false") == 0;
	r->spec->correctness_check_off = check && strcmp(check, "false") == 0;
	return tm_query_open(&r->world, r->spec, &r->query, &r->err);
}

static tm_rc reopen(struct run *r)
{
	tm_query_free(r->query);
	r->query = NULL;
	return open_query(r);
}

/* Runs what there is to run. */
static tm_rc drain(struct run *r, size_t step, bool backlog)
{
	for (;;) {
		bool ran;
		if (r->kill && next_random(r) % 3 == 0)
			tm_query_fail_at(r->query, (enum tm_fault)(1 + next_random(r) % 4));
		bool throws = r->throw_batch >= 0 && r->query->batch_id == r->throw_batch && !r->threw;
		if (throws)
			tm_query_fail_at(r->query, TM_FAULT_RAN);
		r->phase = "run";
		tm_rc rc = tm_query_step(r->query, &ran, &r->err);
		if (rc == TM_CANCELLED) {
			bool committed = r->query->fault == TM_FAULT_COMMITTED;
			if (throws) {
				r->threw = true;
				add_batch(r, step, true);
			} else if (committed) {
				tm_query_note_batch(r->query, !r->query->stream.no_data, 0, 0, 0);
				add_batch(r, step, false);
				if (backlog)
					step++;
			}
			json_array_clear(r->rows);
			TM_TRY(reopen(r));
			continue;
		}
		if (rc)
			return rc;
		tm_query_fail_at(r->query, TM_FAULT_NONE);
		if (!ran)
			return TM_OK;
		add_batch(r, step, false);
		if (backlog)
			step++;
	}
}

static void release(struct run *r, size_t steps)
{
	for (size_t i = 0; i < r->feed_count; i++)
		r->feeds[i].feed->released = steps;
}

static json_t *restart_after(struct run *r, size_t step)
{
	size_t i;
	json_t *restart;
	json_array_foreach(json_object_get(r->test, "restarts"), i, restart)
	{
		json_t *after = json_object_get(restart, "after_step");
		if (after && (size_t)json_integer_value(after) == step)
			return restart;
	}
	return NULL;
}

static tm_rc new_session(struct run *r)
{
	if (r->sql)
		tm_sql_free(r->sql);
	struct tm_sql_options options = {.world = &r->world, .time_zone = "UTC"};
	r->sql = tm_sql_new(&options);
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(r->test, "conf"), name, value)
	    TM_TRY(tm_sql_set(r->sql, tm_str_of(name), tm_str_of(json_string_value(value)), &r->err));
	return TM_OK;
}

static tm_rc make_views(struct run *r)
{
	size_t i;
	json_t *view;
	json_array_foreach(json_object_get(r->test, "views"), i, view) TM_TRY(make_view(r, view));
	return TM_OK;
}

static tm_rc run_steps(struct run *r)
{
	TM_TRY(drain(r, 0, false));
	for (size_t i = 0; i < r->step_count; i++) {
		set_statics(r, i);
		release(r, i + 1);
		TM_TRY(drain(r, i, false));
		json_t *restart = restart_after(r, i);
		if (!restart)
			continue;
		const char *sql = json_string_value(json_object_get(restart, "sql")),
			   *mode = json_string_value(json_object_get(restart, "mode"));
		tm_query_free(r->query);
		r->query = NULL;
		r->sql_text = sql ? sql : r->sql_text;
		r->mode = mode ? mode : r->mode;
		if (json_object_get(restart, "calls"))
			r->calls = json_object_get(restart, "calls");
		if (json_object_get(restart, "conf"))
			json_object_set(r->test, "conf", json_object_get(restart, "conf"));
		r->session_step = i + 1; /* a new session lists folders anew */
		set_statics(r, i + 1);
		TM_TRY(plan(r));
		TM_TRY(open_query(r));
		TM_TRY(drain(r, i, false));
	}
	return TM_OK;
}

static tm_rc run_backlog(struct run *r)
{
	json_t *available = json_object_get(r->test, "available");
	size_t steps = available ? (size_t)json_integer_value(available) : r->step_count, i;
	json_t *restart;
	set_statics(r, 0);
	release(r, steps);
	TM_TRY(drain(r, 0, true));
	json_array_foreach(json_object_get(r->test, "restarts"), i, restart)
	{
		steps = (size_t)json_integer_value(json_object_get(restart, "release"));
		TM_TRY(reopen(r));
		release(r, steps);
		TM_TRY(drain(r, 0, true));
	}
	return TM_OK;
}

static tm_rc run_case(struct run *r)
{
	r->phase = "analysis";
	json_object_set_new(r->test, "$kept", json_array());
	TM_TRY(new_session(r));
	TM_TRY(register_views(r));
	set_statics(r, 0);
	TM_TRY(make_views(r));
	TM_TRY(plan(r));
	TM_TRY(open_query(r));
	json_t *crash = json_object_get(json_object_get(r->test, "crash"), "batch");
	r->throw_batch = crash ? json_integer_value(crash) : -1;
	return strcmp(json_string_value(json_object_get(r->test, "drive")), "backlog") == 0 ? run_backlog(r) : run_steps(r);
}

static void answer(struct run *r, tm_rc rc)
{
	json_t *out = json_object();
	json_object_set(out, "id", json_object_get(r->test, "id"));
	json_object_set(out, "batches", r->batches);
	if (rc) {
		json_t *e =
		    json_pack("{s:s, s:s, s:s, s:s}", "class", r->err.klass, "sqlstate", r->err.sqlstate, "phase", r->phase, "message", "");
		json_t *m = json_string(r->err.what);
		json_object_set_new(e, "message", m ? m : json_string("?"));
		json_object_set_new(out, "error", e);
	} else if (r->spec) {
		json_t *names = json_array(), *types = json_array();
		struct tm_buf b = {0};
		for (size_t i = 0; i < r->spec->root->schema.count; i++) {
			struct tm_field *f = &r->spec->root->schema.fields[i];
			json_array_append_new(names, json_stringn(f->name.at, f->name.len));
			b.len = 0;
			tm_type_text(f->type, &b);
			json_array_append_new(types, json_stringn(b.at, b.len));
		}
		tm_buf_done(&b);
		json_object_set_new(out, "names", names);
		json_object_set_new(out, "types", types);
	}
	char *text = json_dumps(out, JSON_COMPACT);
	puts(text ? text : "{}");
	fflush(stdout);
	free(text);
	json_decref(out);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	bool kill = argc > 2 && strcmp(argv[1], "--kill") == 0;
	struct tm_err err = {0};
	struct tm_store *store = NULL;
	char dir[] = "/tmp/stream_vectors.XXXXXX";
	if (!mkdtemp(dir) || tm_store_open(dir, &(struct tm_store_options){.memory_only = true}, &store, &err)) {
		fprintf(stderr, "no store: %s\n", err.what);
		return 2;
	}
	tm_say_level_set(TM_SAY_ERROR);
	while ((len = getline(&line, &cap, stdin)) > 0) {
		struct run r = {.store = store,
				.world = {.store = store},
				.kill = kill,
				.kill_state = kill ? (unsigned)atoi(argv[2]) : 0,
				.throw_batch = -1,
				.attempt_batch = -1};
		r.test = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, NULL);
		if (!r.test)
			continue;
		tm_arena_init(&r.arena);
		r.batches = json_array();
		r.rows = json_array();
		r.sql_text = json_string_value(json_object_get(r.test, "sql"));
		r.mode = json_string_value(json_object_get(r.test, "mode"));
		r.calls = json_object_get(r.test, "calls");
		for (const char *p = json_string_value(json_object_get(r.test, "id")); kill && *p; p++)
			r.kill_state = r.kill_state * 31 + (unsigned char)*p;
		tm_rc rc = run_case(&r);
		answer(&r, rc);
		tm_query_free(r.query);
		if (r.sql)
			tm_sql_free(r.sql);
		free(r.feeds);
		free(r.statics);
		json_decref(r.batches);
		json_decref(r.rows);
		json_decref(r.test);
		tm_arena_done(&r.arena);
	}
	free(line);
	tm_store_close(store);
	return tm_dir_remove(dir, &err) ? 1 : 0;
}
